//! Addresses, `host:port`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::semver::{is_identifier_byte, is_numeric, parse_number};

/// What the text of an address turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// It can be dialled.
    Dialable,
    /// It can be listened at, but not dialled by others: it has no host, an unspecified one, or
    /// port 0.
    Unspecified,
    /// It is no address.
    Malformed,
}

/// Judges `host:port`: host a DNS name, an IPv4 address, or an IPv6 address in brackets without
/// zone; port 0 to 65535 without leading zeros.
#[must_use]
pub fn kind_of_address(address: &str) -> AddressKind {
    let Some((host, port)) = address.rsplit_once(':') else {
        return AddressKind::Malformed;
    };
    match (parse_number(port), kind_of_host(host)) {
        (Ok(0), AddressKind::Dialable) => AddressKind::Unspecified,
        (Ok(0..=65535), host) => host,
        _ => AddressKind::Malformed,
    }
}

fn kind_of_host(host: &str) -> AddressKind {
    if host.is_empty() {
        return AddressKind::Unspecified;
    }
    let unspecified = if let Some(inner) = host.strip_prefix('[') {
        let ip = inner.strip_suffix(']').map(str::parse::<Ipv6Addr>);
        let Some(Ok(ip)) = ip else {
            return AddressKind::Malformed;
        };
        ip.is_unspecified()
    } else if let Ok(ip) = host.parse::<Ipv4Addr>() {
        ip.is_unspecified()
    } else if is_dns_name(host) {
        false
    } else {
        return AddressKind::Malformed;
    };
    if unspecified {
        AddressKind::Unspecified
    } else {
        AddressKind::Dialable
    }
}

/// Whether this is the name of a machine: labels of letters, digits, `-` and `_`, and a last one
/// that is not all digits, which would be an IPv4 address that is none.
fn is_dns_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label_fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_host_byte)
    };
    host.len() <= 253
        && host.split('.').all(label_fits)
        && !host.rsplit('.').next().is_some_and(is_numeric)
}

fn is_host_byte(c: u8) -> bool {
    is_identifier_byte(c) || c == b'_'
}
