//! The rules of the contract for what clients send, checked before anything is sent. Pure.

use muster_rules::address::{AddressKind, kind_of_address};
use muster_rules::semver::Version;
use muster_rules::semver_range::Range;

use crate::error::{Error, Reason};
use crate::kinds::Lifecycle;
use crate::messages;
use crate::spec::{EndpointSpec, InstanceSpec};

const NAME_BYTES: usize = 63;
const ID_BYTES: usize = 128;
const ENDPOINTS: usize = 16;
const METADATA_KEYS: usize = 64;
const METADATA_BYTES: usize = 16 * 1024;
const CAPABILITIES: usize = 64;
const MAX_WEIGHT: u32 = 1_000_000;
const REASON_BYTES: usize = 256;
const SHARD_IDS: usize = 1_024;

const NAMESPACE_RULE: &str =
    "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit";
const SERVICE_RULE: &str = "1 to 63 of a-z, 0-9, '-', '.' and '_', beginning and ending with a \
                            letter or a digit";
const ID_RULE: &str = "1 to 128 of a-z, A-Z, 0-9, '-', '.', '_' and ':', beginning and ending with \
                       a letter or a digit";
const KEY_RULE: &str = "1 to 63 of a-z, A-Z, 0-9, '-', '.', '_' and '/'";
const RANGE_RULE: &str = "comparators joined by spaces, such as >=1.2.0 <2.0.0";
const VERSION_RULE: &str = "a semantic version without \"v\", such as 1.4.2";
const ADDRESS_RULE: &str = "host:port, with a DNS name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535";

/// Checks all instances of one registration.
pub(crate) fn specs(specs: &[InstanceSpec]) -> Result<(), Error> {
    if specs.is_empty() {
        return Err(Error::new(
            Reason::InvalidArgument,
            "registration: no instances; pass at least one InstanceSpec",
        )
        .about("register", ""));
    }
    for (i, spec) in specs.iter().enumerate() {
        instance(spec)?;
        if specs[..i].iter().any(|other| other.key() == spec.key()) {
            return Err(Error::new(
                Reason::InvalidArgument,
                format!(
                    "registration: instance {} occurs twice; give each its own id",
                    spec.key()
                ),
            )
            .about("register", spec.key().to_string()));
        }
    }
    Ok(())
}

/// Checks a namespace.
pub(crate) fn namespace(object: &str, value: &str) -> Result<(), Error> {
    require(
        is_word(value, NAME_BYTES, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
        }),
        object,
        "namespace",
        value,
        NAMESPACE_RULE,
    )
}

/// Checks a service.
pub(crate) fn service(object: &str, value: &str) -> Result<(), Error> {
    require(
        is_word(value, NAME_BYTES, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c)
        }),
        object,
        "service",
        value,
        SERVICE_RULE,
    )
}

/// Checks the range of versions that a selector asks for.
pub(crate) fn version_range(object: &str, value: &str) -> Result<(), Error> {
    require(
        Range::parse(value).is_ok(),
        object,
        "version range",
        value,
        RANGE_RULE,
    )
}

/// Checks one instance.
pub(crate) fn instance(spec: &InstanceSpec) -> Result<(), Error> {
    let object = spec.service_name().to_string();
    namespace(&object, &spec.namespace)?;
    service(&object, &spec.service)?;
    require(
        is_word(&spec.instance_id, ID_BYTES, |c| {
            c.is_ascii_alphanumeric() || "-._:".contains(c)
        }),
        &object,
        "instance_id",
        &spec.instance_id,
        ID_RULE,
    )?;
    require(
        spec.version.is_empty() || Version::parse(&spec.version).is_ok(),
        &object,
        "version",
        &spec.version,
        VERSION_RULE,
    )?;
    weight(&object, spec.weight)?;
    lifecycle(&object, spec.lifecycle)?;
    endpoints(&object, &spec.endpoints)?;
    metadata(&object, &spec.metadata)?;
    capabilities(&object, &spec.capabilities)?;
    place(&object, spec)?;
    health_reason(&object, &spec.health_reason)
}

/// Checks where an instance runs, and what part of the service it serves.
fn place(object: &str, spec: &InstanceSpec) -> Result<(), Error> {
    for (field, value) in [
        ("region", &spec.locality.region),
        ("zone", &spec.locality.zone),
    ] {
        let ok = value.len() <= NAME_BYTES;
        require(ok, object, field, value, "at most 63 bytes")?;
    }
    if let Some(crate::Shard::Ids(ids)) = &spec.shard {
        let ascending = ids.windows(2).all(|w| w[0] < w[1]);
        require(
            ascending && ids.len() <= SHARD_IDS,
            object,
            "shard ids",
            &format!("{ids:?}"),
            "ascending, at most 1024",
        )?;
    }
    Ok(())
}

/// Checks a weight.
pub(crate) fn weight(object: &str, value: u32) -> Result<(), Error> {
    require(
        value <= MAX_WEIGHT,
        object,
        "weight",
        &value.to_string(),
        "at most 1000000",
    )
}

/// Checks a lifecycle that a client sets.
pub(crate) fn lifecycle(object: &str, value: Lifecycle) -> Result<(), Error> {
    require(
        value != Lifecycle::Draining,
        object,
        "lifecycle",
        value.as_str(),
        "STARTING or SERVING; use drain to drain",
    )
}

/// Checks why a process reports its health.
pub(crate) fn health_reason(object: &str, value: &str) -> Result<(), Error> {
    require(
        value.len() <= REASON_BYTES,
        object,
        "health reason",
        value,
        "at most 256 bytes",
    )
}

/// Checks metadata.
pub(crate) fn metadata(
    object: &str,
    map: &std::collections::BTreeMap<String, String>,
) -> Result<(), Error> {
    for key in map.keys() {
        require(is_key(key), object, "metadata key", key, KEY_RULE)?;
    }
    let bytes: usize = map.iter().map(|(k, v)| k.len() + v.len()).sum();
    require(
        map.len() <= METADATA_KEYS && bytes <= METADATA_BYTES,
        object,
        "metadata",
        &format!("{} keys, {bytes} bytes", map.len()),
        "at most 64 keys and 16384 bytes together",
    )
}

fn capabilities(object: &str, names: &[String]) -> Result<(), Error> {
    require(
        names.len() <= CAPABILITIES,
        object,
        "capabilities",
        &names.len().to_string(),
        "at most 64",
    )?;
    for (i, name) in names.iter().enumerate() {
        require(is_key(name), object, "capability", name, KEY_RULE)?;
        require(
            !names[..i].contains(name),
            object,
            "capability",
            name,
            "each once",
        )?;
    }
    Ok(())
}

fn endpoints(object: &str, endpoints: &[EndpointSpec]) -> Result<(), Error> {
    require(
        endpoints.len() <= ENDPOINTS,
        object,
        "endpoints",
        &endpoints.len().to_string(),
        "at most 16",
    )?;
    for (i, e) in endpoints.iter().enumerate() {
        let name_ok = (1..=NAME_BYTES).contains(&e.name.len())
            && e.name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        require(
            name_ok,
            object,
            "endpoint name",
            &e.name,
            "1 to 63 of a-z, 0-9 and '-'",
        )?;
        require(
            endpoints[..i].iter().all(|o| o.name != e.name),
            object,
            "endpoint name",
            &e.name,
            "each once",
        )?;
        address(object, e)?;
    }
    Ok(())
}

fn address(object: &str, e: &EndpointSpec) -> Result<(), Error> {
    match kind_of_address(&e.address) {
        AddressKind::Dialable => Ok(()),
        AddressKind::Unspecified => Err(Error::new(
            Reason::InvalidEndpoint,
            messages::undialable(&e.name, object, &e.address),
        )
        .about("register", object)),
        AddressKind::Malformed => Err(Error::new(
            Reason::InvalidEndpoint,
            messages::invalid(
                &format!("endpoint \"{}\" of {object}", e.name),
                "address",
                &e.address,
                ADDRESS_RULE,
            ),
        )
        .about("register", object)),
    }
}

fn is_word(value: &str, max: usize, allowed: impl Fn(char) -> bool) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    value.len() <= max
        && value.chars().all(allowed)
        && edge(value.chars().next())
        && edge(value.chars().next_back())
}

fn is_key(value: &str) -> bool {
    (1..=NAME_BYTES).contains(&value.len())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
}

fn require(ok: bool, object: &str, field: &str, value: &str, allowed: &str) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::new(
        Reason::InvalidArgument,
        messages::invalid(object, field, value, allowed),
    )
    .about("register", object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> InstanceSpec {
        InstanceSpec::new("shop", "pay")
            .id("pay-7")
            .endpoint(EndpointSpec::new("grpc", "10.0.0.5:8080"))
    }

    #[test]
    fn address_table() {
        for (address, want) in [
            ("10.0.0.5:8080", None),
            ("[fd00::7]:8080", None),
            ("pay-7.shop.svc:8080", None),
            ("localhost:1", None),
            ("0.0.0.0:8080", Some("cannot be dialled by others")),
            ("[::]:8080", Some("cannot be dialled by others")),
            (":8080", Some("cannot be dialled by others")),
            ("10.0.0.5:0", Some("cannot be dialled by others")),
            ("10.0.0.5", Some("is not allowed")),
            ("10.0.0.5:70000", Some("is not allowed")),
            ("10.0.0.256:80", Some("is not allowed")),
            ("fd00::7:8080", Some("is not allowed")),
            ("a b:80", Some("is not allowed")),
            ("", Some("is not allowed")),
        ] {
            let mut spec = good();
            spec.endpoints[0].address = address.into();
            match (instance(&spec), want) {
                (Ok(()), None) => {}
                (Err(e), Some(want)) => {
                    assert_eq!(e.reason(), Reason::InvalidEndpoint, "{address}");
                    assert!(e.to_string().contains(want), "{address}: {e}");
                }
                (got, _) => panic!("{address}: got {got:?}, want {want:?}"),
            }
        }
    }

    #[test]
    fn instance_rules() {
        type Break = fn(&mut InstanceSpec);
        let cases: [(&str, Break); 13] = [
            ("namespace", |s| s.namespace = "Shop".into()),
            ("namespace", |s| s.namespace = "-shop".into()),
            ("service", |s| s.service = String::new()),
            ("service", |s| s.service = "a".repeat(64)),
            ("instance_id", |s| s.instance_id = "pay@eu".into()),
            ("version", |s| s.version = "v1".into()),
            ("weight", |s| s.weight = 1_000_001),
            ("lifecycle", |s| s.lifecycle = Lifecycle::Draining),
            ("endpoint name", |s| {
                s.endpoints.push(s.endpoints[0].clone())
            }),
            ("metadata key", |s| {
                s.metadata.insert("a b".into(), String::new());
            }),
            ("metadata", |s| {
                s.metadata.insert("a".into(), "x".repeat(16 * 1024));
            }),
            ("capability", |s| {
                s.capabilities = vec!["a".into(), "a".into()]
            }),
            ("shard ids", |s| {
                s.shard = Some(crate::Shard::Ids(vec![2, 1]))
            }),
        ];
        assert!(instance(&good()).is_ok());
        for (field, break_it) in cases {
            let mut spec = good();
            break_it(&mut spec);
            let e = instance(&spec).expect_err(field);
            assert_eq!(e.reason(), Reason::InvalidArgument, "{field}: {e}");
            assert!(
                e.to_string().contains(&format!(": {field} \"")),
                "{field}: {e}"
            );
        }
    }

    #[test]
    fn registration_rules() {
        assert!(specs(&[]).is_err());
        let e = specs(&[good(), good()]).expect_err("twice");
        assert!(e.to_string().contains("shop/pay/pay-7 occurs twice"), "{e}");
        assert!(specs(&[good(), good().id("pay-8")]).is_ok());
    }
}
