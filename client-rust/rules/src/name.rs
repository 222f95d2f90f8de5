//! Names of namespaces, services and endpoints.

use crate::quote::quote;

/// What one kind of name may be.
pub(crate) struct NameRule {
    /// What the name is of, for errors.
    what: &'static str,
    allowed: fn(u8) -> bool,
    /// The allowed characters, for errors.
    chars: &'static str,
    /// Whether the first and the last must be a letter or a digit.
    edges: bool,
}

pub(crate) const LONGEST_NAME: usize = 63;

pub(crate) const NAMESPACE: NameRule = NameRule {
    what: "namespace",
    allowed: |c| is_lower(c) || c == b'-',
    chars: "a-z, 0-9 and '-'",
    edges: true,
};

pub(crate) const SERVICE: NameRule = NameRule {
    what: "service",
    allowed: |c| is_lower(c) || matches!(c, b'-' | b'.' | b'_'),
    chars: "a-z, 0-9, '-', '.' and '_'",
    edges: true,
};

pub(crate) const ENDPOINT: NameRule = NameRule {
    what: "endpoint name",
    allowed: |c| is_lower(c) || c == b'-',
    chars: "a-z, 0-9 and '-'",
    edges: false,
};

impl NameRule {
    /// Says what is wrong with a name that begins at byte `at` of a longer text.
    pub(crate) fn check(&self, name: &str, at: usize) -> Result<(), String> {
        let (what, bytes) = (self.what, name.as_bytes());
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(format!("byte {at}: the {what} is empty"));
        };
        if let Some(i) = bytes.iter().position(|c| !(self.allowed)(*c)) {
            return Err(format!(
                "byte {}: {} cannot be in the {what}, which is of {}",
                at + i,
                quote(&bytes[i..=i]),
                self.chars
            ));
        }
        if name.len() > LONGEST_NAME {
            return Err(format!(
                "byte {at}: the {what} is {} bytes long, at most {LONGEST_NAME} are allowed",
                name.len()
            ));
        }
        if self.edges && (!is_lower(*first) || !is_lower(*last)) {
            return Err(format!(
                "byte {at}: the {what} must begin and end with a letter or digit"
            ));
        }
        Ok(())
    }
}

fn is_lower(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}
