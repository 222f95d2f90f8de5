//! The W3C trace context, which the API of OpenTelemetry has no propagator for.

use std::str::FromStr;

use muster_client::Header;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The headers that carry a span; none if it is none.
pub(crate) fn headers(span: &SpanContext) -> Vec<Header> {
    if !span.is_valid() {
        return Vec::new();
    }
    let mut headers = vec![Header::new(
        "traceparent",
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags() & TraceFlags::SAMPLED
        ),
    )];
    let state = span.trace_state().header();
    if !state.is_empty() {
        headers.push(Header::new("tracestate", state));
    }
    headers
}

/// The span that headers carry; none if they carry none, or nonsense.
pub(crate) fn span_of(headers: &[Header]) -> Option<SpanContext> {
    let value = |name| headers.iter().find(|h| h.name == name).map(|h| &h.value);
    let state = value("tracestate").and_then(|s| TraceState::from_str(s).ok());
    parse(value("traceparent")?, state.unwrap_or_default())
}

/// The span of a `traceparent`, of this version of the form or a later one.
pub(crate) fn parse(traceparent: &str, state: TraceState) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex =
        |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let later = version != "00";
    if !hex(version, 2) || version == "ff" || !later && parts.next().is_some() {
        return None;
    }
    if !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let span = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        state,
    );
    span.is_valid().then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn headers_come_back_as_the_span() {
        let state = TraceState::from_str("a=1").expect("a state");
        let span = parse(TRACEPARENT, state).expect("a span");
        assert!(span.is_sampled() && span.is_remote());
        let sent = headers(&span);
        assert_eq!(sent[0], Header::new("traceparent", TRACEPARENT));
        assert_eq!(sent[1], Header::new("tracestate", "a=1"));
        assert_eq!(span_of(&sent), Some(span));
        assert_eq!(headers(&SpanContext::empty_context()), []);
    }

    #[test]
    fn nonsense_is_no_span() {
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-x";
        assert!(parse(later, TraceState::default()).is_some());
        for bad in [
            "",
            "nonsense",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
        ] {
            assert_eq!(parse(bad, TraceState::default()), None, "{bad}");
        }
    }
}
