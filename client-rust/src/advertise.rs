//! The address under which others reach a listener of this process.

use std::net::SocketAddr;

use crate::error::{Error, Reason};

/// The address by which others reach a listener bound to `local`, such as
/// `listener.local_addr()?`, for an [`EndpointSpec`](crate::EndpointSpec): that of the listener
/// itself if it is on a particular address.
///
/// If it is on all of them (`0.0.0.0:8080`, `[::]:8080`), it is the environment variable
/// `MUSTER_ADVERTISE` (an IP address, `host:port` or the name of an interface), or else `POD_IP`, or
/// else the first address of the running interfaces by name, IPv4 first, those of bridges for
/// containers (`docker0`) after all others, and loopback last. Set `MUSTER_ADVERTISE` on machines
/// with several networks. The port is the listener's unless `MUSTER_ADVERTISE` has one; a link-local
/// address is never taken.
/// `docs/client-spec.md` section 22 has the rule.
///
/// # Errors
/// `INVALID_ENDPOINT`, which names what was wrong.
pub fn advertise_from(local: SocketAddr) -> Result<String, Error> {
    let variable = |name| {
        let value = std::env::var_os(name).unwrap_or_default();
        value.to_string_lossy().into_owned()
    };
    let (wanted, pod_ip) = (variable("MUSTER_ADVERTISE"), variable("POD_IP"));
    choose(local, &wanted, &pod_ip, &interface_addresses())
}

fn choose(
    local: SocketAddr,
    wanted: &str,
    pod_ip: &str,
    interfaces: &[(String, String)],
) -> Result<String, Error> {
    let interfaces: Vec<(&str, &str)> = interfaces
        .iter()
        .map(|(name, address)| (name.as_str(), address.as_str()))
        .collect();
    muster_rules::advertise::advertise(&local.to_string(), wanted, pod_ip, &interfaces)
        .map_err(|e| Error::new(Reason::InvalidEndpoint, e).about("advertise", local.to_string()))
}

/// The addresses of the interfaces that run, each after the interface's name. What cannot be
/// listed is left out: the rule says so if nothing is left.
fn interface_addresses() -> Vec<(String, String)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    interfaces
        .filter(if_addrs::Interface::is_oper_up)
        .map(|i| (i.name.clone(), i.ip().to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertise_from() {
        let at = |local: &str, wanted: &str, pod_ip: &str| {
            let local = local.parse().expect("an address");
            choose(local, wanted, pod_ip, &[])
        };
        for (local, wanted, pod_ip, want) in [
            ("10.0.0.1:8080", "10.1.1.1", "10.9.8.7", "10.0.0.1:8080"),
            ("0.0.0.0:8080", "10.1.1.1:9", "10.9.8.7", "10.1.1.1:9"),
            ("[::]:8080", "", "10.9.8.7", "10.9.8.7:8080"),
        ] {
            assert_eq!(at(local, wanted, pod_ip).expect("an address"), want);
        }
        assert_eq!(
            at("[::]:8080", "", "here")
                .expect_err("no address")
                .to_string(),
            "muster: environment variable POD_IP is \"here\": use an IP address that others can dial [INVALID_ENDPOINT]"
        );
    }

    /// Whatever machine this runs on has a loopback interface.
    #[test]
    fn interface_addresses() {
        let all = super::interface_addresses();
        let loopback =
            |(name, address): &(String, String)| !name.is_empty() && address == "127.0.0.1";
        assert!(all.iter().any(loopback), "{all:?}");
    }
}
