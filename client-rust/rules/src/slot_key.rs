//! What a connection is for.

/// The identity of a connection: instances with equal keys share one. All parts are the contract's
/// names and texts; a key without address is none. Keys are ordered by their parts, as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey<'a> {
    /// What is spoken, such as `GRPC`.
    pub protocol: &'a str,
    /// `host:port`.
    pub address: &'a str,
    /// The name wanted in the certificate.
    pub server_name: &'a str,
    /// How it is dialled, such as `TLS`.
    pub security: &'a str,
    /// The `:authority` of requests.
    pub authority: &'a str,
}

impl SlotKey<'_> {
    /// Writes the key as it is hashed: each part behind its length.
    pub(crate) fn append(&self, bytes: &mut Vec<u8>) {
        for part in [
            self.protocol,
            self.address,
            self.server_name,
            self.security,
            self.authority,
        ] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
}
