//! The address under which others reach a listener of this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::error::{Error, Reason};

/// The environment variable that names this process's own address, as Kubernetes' downward API
/// usually provides it.
const POD_IP: &str = "POD_IP";
/// A documentation address (RFC 5737). Nothing is ever sent there: it only asks the kernel which
/// of its own addresses it would send from.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The `host:port` to advertise for a listener bound to `local`, such as
/// `listener.local_addr()?`.
///
/// A specific address is used as it is. For an unspecified one (`0.0.0.0`, `[::]`) it is the
/// address in the environment variable `POD_IP`, or else the one that this machine uses towards
/// other networks.
///
/// # Errors
/// `INVALID_ENDPOINT` if the port is 0 or no address can be found; pass one explicitly then.
pub fn advertise_from(local: SocketAddr) -> Result<String, Error> {
    choose(local, std::env::var(POD_IP).ok().as_deref(), outgoing)
}

fn choose(
    local: SocketAddr,
    pod_ip: Option<&str>,
    outgoing: impl FnOnce() -> Option<IpAddr>,
) -> Result<String, Error> {
    let refuse = |why: &str| {
        Err(Error::new(
            Reason::InvalidEndpoint,
            format!("cannot advertise {local}: {why}; pass a reachable address"),
        )
        .about("advertise", local.to_string()))
    };
    if local.port() == 0 {
        return refuse("its port is 0, so nothing listens there yet");
    }
    let ip = if !local.ip().is_unspecified() {
        Some(local.ip())
    } else if let Some(text) = pod_ip.filter(|t| !t.is_empty()) {
        match text.parse() {
            Ok(ip) => Some(ip),
            Err(_) => return refuse(&format!("{POD_IP} is \"{text}\", which is no IP address")),
        }
    } else {
        outgoing()
    };
    match ip.filter(|ip| !ip.is_unspecified()) {
        Some(ip) => Ok(SocketAddr::new(ip, local.port()).to_string()),
        None => refuse("no address of this machine can be dialled by others; set POD_IP"),
    }
}

/// The address that the kernel would send from. Connecting a datagram socket sends nothing.
fn outgoing() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertise_table() {
        let out = || Some(IpAddr::from([10, 1, 2, 3]));
        for (local, pod_ip, want) in [
            ("10.0.0.5:8080", Some("10.9.9.9"), Ok("10.0.0.5:8080")),
            ("127.0.0.1:8080", None, Ok("127.0.0.1:8080")),
            ("0.0.0.0:8080", Some("10.9.9.9"), Ok("10.9.9.9:8080")),
            ("[::]:8080", Some("fd00::7"), Ok("[fd00::7]:8080")),
            ("[::]:8080", None, Ok("10.1.2.3:8080")),
            ("0.0.0.0:8080", Some(""), Ok("10.1.2.3:8080")),
            ("0.0.0.0:8080", Some("here"), Err("POD_IP is \"here\"")),
            (
                "0.0.0.0:8080",
                Some("0.0.0.0"),
                Err("no address of this machine"),
            ),
            ("10.0.0.5:0", None, Err("port is 0")),
        ] {
            let got = choose(local.parse().expect("an address"), pod_ip, out);
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => {
                    assert!(got.to_string().contains(want), "{got} should say {want}");
                    assert_eq!(got.reason(), Reason::InvalidEndpoint);
                }
                (got, want) => panic!("{local}: got {got:?}, want {want:?}"),
            }
        }
        assert!(choose("0.0.0.0:1".parse().expect("an address"), None, || None).is_err());
    }
}
