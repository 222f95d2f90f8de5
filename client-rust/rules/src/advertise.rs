//! The address by which others reach a listener.

use std::net::IpAddr;

use crate::address::{AddressKind, kind_of_address};
use crate::environment::refuse;
use crate::quote::quote;

pub(crate) const ADVERTISE_VARIABLE: &str = "MUSTER_ADVERTISE";
const POD_IP: &str = "POD_IP";

/// What names of interfaces begin with that lead to containers and virtual machines on this
/// machine, not to others.
const VIRTUAL_INTERFACES: [&str; 15] = [
    "br-", "cali", "cilium", "cni", "docker", "flannel", "kube-", "lxc", "lxdbr", "podman",
    "vboxnet", "veth", "virbr", "vmnet", "vxlan",
];

/// The `host:port` by which others reach a listener at an IP address and port: that address itself
/// if it is not unspecified, else what the variable `MUSTER_ADVERTISE` says (an IP address, the name
/// of an interface, or `host:port`), else `POD_IP`, else the best address of this machine.
/// `interfaces` are its interfaces' names with one IP address each.
///
/// # Errors
///
/// What was wrong.
pub fn advertise(
    listener: &str,
    advertise: &str,
    pod: &str,
    interfaces: &[(&str, &str)],
) -> Result<String, String> {
    let Some((ip, port)) = parse_ip_port(listener) else {
        return Err(refuse_listener(listener, "that is no IP address and port"));
    };
    if port == "0" {
        return Err(refuse_listener(listener, "port 0 is not listened at yet"));
    }
    if !ip.is_unspecified() {
        let problem = "that address cannot be dialled by others";
        return dialled(ip, port, || refuse_listener(listener, problem));
    }
    if !advertise.is_empty() {
        return wanted(advertise, port, interfaces);
    }
    if !pod.is_empty() {
        return match parse_ip(pod).filter(|ip| can_be_dialled(*ip)) {
            Some(ip) => Ok(join_port(ip, port)),
            None => Err(refuse(
                POD_IP,
                pod,
                "use an IP address that others can dial",
            )),
        };
    }
    match best_address(interfaces.iter().copied()) {
        Some(ip) => Ok(join_port(ip, port)),
        None => Err(refuse_listener(
            listener,
            "no address of this machine can be dialled by others; set MUSTER_ADVERTISE or POD_IP",
        )),
    }
}

/// What `MUSTER_ADVERTISE` says, which is not empty.
fn wanted(wanted: &str, port: &str, interfaces: &[(&str, &str)]) -> Result<String, String> {
    let refused = || {
        let allowed =
            "use an IP address, host:port, or an interface, with an address that others can dial";
        refuse(ADVERTISE_VARIABLE, wanted, allowed)
    };
    if let Some(ip) = parse_ip(wanted) {
        return dialled(ip, port, refused);
    }
    let named = || {
        interfaces
            .iter()
            .copied()
            .filter(|(name, _)| *name == wanted)
    };
    if let Some(ip) = best_address(named()) {
        return Ok(join_port(ip, port));
    }
    if named().next().is_some() || kind_of_address(wanted) != AddressKind::Dialable {
        return Err(refused());
    }
    match parse_ip_port(wanted) {
        None => Ok(wanted.to_owned()),
        Some((ip, port)) => dialled(ip, port, refused),
    }
}

/// The first in the order: not loopback before loopback, not virtual before virtual, IPv4 before
/// IPv6, by the name of the interface, as given.
fn best_address<'a>(interfaces: impl Iterator<Item = (&'a str, &'a str)>) -> Option<IpAddr> {
    interfaces
        .filter_map(|(name, address)| Some((parse_ip(address)?, name)))
        .filter(|(ip, _)| can_be_dialled(*ip))
        .min_by_key(|(ip, name)| (ip.is_loopback(), is_virtual(name), ip.is_ipv6(), *name))
        .map(|(ip, _)| ip)
}

fn is_virtual(name: &str) -> bool {
    VIRTUAL_INTERFACES
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn dialled(ip: IpAddr, port: &str, refused: impl FnOnce() -> String) -> Result<String, String> {
    if can_be_dialled(ip) {
        Ok(join_port(ip, port))
    } else {
        Err(refused())
    }
}

fn can_be_dialled(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

/// Splits an address whose host is an IP address.
fn parse_ip_port(address: &str) -> Option<(IpAddr, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    if kind_of_address(address) == AddressKind::Malformed {
        return None;
    }
    let ip = parse_ip(host.trim_matches(['[', ']']))?;
    Some((ip, port))
}

/// Reads an IP address without zone; one of IPv4 that is written as one of IPv6 becomes one of
/// IPv4.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    Some(ip.to_canonical())
}

fn join_port(ip: IpAddr, port: &str) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

fn refuse_listener(listener: &str, problem: &str) -> String {
    format!("listener {}: {problem}; pass an address", quote(listener))
}
