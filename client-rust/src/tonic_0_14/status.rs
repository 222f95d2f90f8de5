//! What an HTTP/2 failure means for a gRPC call.
//!
//! tonic maps these only if some crate of the program enabled its server, and then calls a closed
//! connection CANCELLED. Hence this table: the one of the gRPC specification, with every loss of
//! a connection as UNAVAILABLE.

use h2::Reason;
use http::HeaderMap;
use tonic::{Code, Status};

use super::endpoint::EndpointKey;

const GRPC_STATUS: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";

/// Whether the peer said that it has not processed the stream of this error.
pub(crate) fn is_unprocessed(error: &h2::Error) -> bool {
    // h2 gives the error of a GOAWAY only to streams above its last stream id.
    error.is_remote()
        && (error.is_go_away()
            || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Whether the error is the end of the whole connection.
pub(crate) fn is_connection_lost(error: &h2::Error) -> bool {
    error.is_io() || error.is_go_away()
}

/// The status of a call whose stream failed. `lost` is why its connection broke, if it did.
pub(crate) fn of_stream(error: &h2::Error, key: &EndpointKey, lost: Option<&str>) -> Status {
    if is_connection_lost(error) {
        let cause = lost.map_or_else(|| error.to_string(), str::to_owned);
        return Status::unavailable(format!("connection to {key} lost: {cause}"));
    }
    let code = match error.reason() {
        Some(Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(Reason::CANCEL) => Code::Cancelled,
        Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        _ => Code::Internal,
    };
    Status::new(code, format!("stream to {key} failed: {error}"))
}

/// Makes headers or trailers safe to hand to tonic, which panics on details that are not base64.
/// The code and the message stay.
pub(crate) fn clean(headers: &mut HeaderMap) {
    if headers
        .get(DETAILS)
        .is_some_and(|value| !is_base64(value.as_bytes()))
    {
        headers.remove(DETAILS);
    }
}

/// A server that keeps the deadline may end the call a moment before this side does, and some
/// say CANCELLED then. The caller gets what it would have got a moment later.
pub(crate) fn cancelled_to_deadline(headers: &mut HeaderMap) {
    if headers.get(GRPC_STATUS).is_some_and(|value| value == "1") {
        headers.insert(GRPC_STATUS, http::HeaderValue::from_static("4"));
    }
}

/// Whether tonic's decoder takes it: standard alphabet, padding optional but correct, and no
/// stray bits at the end.
fn is_base64(text: &[u8]) -> bool {
    let digits = match text {
        [head @ .., b'=', b'='] if text.len().is_multiple_of(4) => head,
        [head @ .., b'='] if text.len().is_multiple_of(4) => head,
        all => all,
    };
    let values = digits.iter().map(|&byte| sextet(byte));
    let Some(last) = values.clone().next_back() else {
        return text.is_empty();
    };
    let stray = match digits.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    values.clone().all(|value| value.is_some()) && last.is_some_and(|value| value & stray == 0)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn resets_have_the_codes_of_the_specification() {
        let key = EndpointKey::plaintext("a:1");
        for (reason, code) in [
            (Reason::NO_ERROR, Code::Internal),
            (Reason::PROTOCOL_ERROR, Code::Internal),
            (Reason::REFUSED_STREAM, Code::Unavailable),
            (Reason::CANCEL, Code::Cancelled),
            (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
        ] {
            assert_eq!(
                of_stream(&h2::Error::from(reason), &key, None).code(),
                code,
                "{reason:?}"
            );
        }
    }

    fn headers(details: &[u8]) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from_static("5"));
        headers.insert(DETAILS, HeaderValue::from_bytes(details).ok()?);
        Some(headers)
    }

    #[test]
    fn details_are_kept_or_stripped() {
        for (details, kept) in [
            ("", true),
            ("AA", true),
            ("AA==", true),
            ("AAA", true),
            ("AAA=", true),
            ("AAAA", true),
            ("+/+/", true),
            ("A", false),
            ("AA=", false),
            ("AAAA=", false),
            ("AAA==", false),
            ("AB", false),
            ("AAB", false),
            ("A-_A", false),
            ("=", false),
            ("====", false),
            ("not base64!", false),
        ] {
            let mut headers = headers(details.as_bytes()).unwrap();
            clean(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), kept, "{details:?}");
            assert_eq!(
                Status::from_header_map(&headers).unwrap().code(),
                Code::NotFound
            );
        }
    }

    proptest! {
        /// tonic itself is the judge: it must not panic on what was cleaned.
        #[test]
        fn tonic_takes_whatever_is_left(details in "[A-Za-z0-9+/=]{0,9}|[ -~]{0,12}") {
            let mut headers = headers(details.as_bytes()).unwrap();
            clean(&mut headers);
            prop_assert!(Status::from_header_map(&headers).is_some());
        }

        #[test]
        fn what_tonic_writes_is_kept(details in proptest::collection::vec(any::<u8>(), 0..40)) {
            let status = Status::with_details(Code::NotFound, "", details.clone().into());
            let mut headers = HeaderMap::new();
            status.add_header(&mut headers).unwrap();
            clean(&mut headers);
            let read = Status::from_header_map(&headers).unwrap();
            prop_assert_eq!(read.details(), &details[..]);
        }
    }
}
