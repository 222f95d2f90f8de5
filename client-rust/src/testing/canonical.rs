//! The one form of a selector that means this, byte by byte (docs/protocol.md, section 2.13). The
//! numbers of filter fields are those of `InstanceFilter`. Pure.

use std::collections::BTreeSet;

use muster_proto::v1;
use muster_proto::v1::selector::Names;
use muster_proto::v1::shard_match::Kind;
use muster_rules::semver_range::Range;
use xxhash_rust::xxh64::xxh64;

use super::fault::Fault;

/// The canonical form of a selector.
pub(super) fn canonical(selector: &v1::Selector) -> Result<Vec<u8>, Fault> {
    let mut b = vec![1];
    names(&mut b, selector)?;
    let Some(f) = &selector.filter else {
        return Ok(b);
    };
    let versions = Range::parse(&f.version_range)
        .map_err(|e| Fault::invalid(format!("selector.filter.version_range: {e}")))?;
    if !versions.is_empty() {
        b.push(1);
        string(&mut b, versions.to_string().as_bytes());
    }
    metadata(&mut b, &f.metadata);
    set(&mut b, 3, &f.capabilities);
    shard(&mut b, f.shard.as_ref())?;
    enums(&mut b, 5, &f.healths, |n| v1::Health::try_from(n).is_ok())?;
    enums(&mut b, 6, &f.lifecycles, |n| {
        v1::Lifecycle::try_from(n).is_ok()
    })?;
    set(&mut b, 7, &f.regions);
    set(&mut b, 8, &f.zones);
    set(&mut b, 9, &f.instance_ids);
    set(&mut b, 10, &f.endpoint_names);
    Ok(b)
}

/// Names the view of a selector in its canonical form, for clients of an access class.
pub(super) fn view_id(canonical: &[u8], access_class: &str) -> u64 {
    let mut b = canonical.to_vec();
    string(&mut b, access_class.as_bytes());
    number(&mut b, 1); // the filters' version
    xxh64(&b, 0).max(1)
}

fn names(b: &mut Vec<u8>, selector: &v1::Selector) -> Result<(), Fault> {
    match &selector.names {
        Some(Names::Services(list)) => {
            let name = |n: &v1::ServiceName| (n.namespace.clone(), n.service.clone());
            let set: BTreeSet<_> = list.names.iter().map(name).collect();
            if set.is_empty() {
                return Err(Fault::invalid(
                    "selector.services.names: is empty; name at least one service, or use prefix",
                ));
            }
            b.push(1);
            length(b, set.len());
            for (namespace, service) in set {
                string(b, namespace.as_bytes());
                string(b, service.as_bytes());
            }
            Ok(())
        }
        Some(Names::Prefix(p)) if p.namespace.is_empty() && !p.prefix.is_empty() => {
            Err(Fault::invalid(format!(
                "selector.prefix.prefix: {:?} without a namespace; name the namespace, or leave \
                 both empty",
                p.prefix
            )))
        }
        Some(Names::Prefix(p)) => {
            b.push(2);
            string(b, p.namespace.as_bytes());
            string(b, p.prefix.as_bytes());
            Ok(())
        }
        None => Err(Fault::invalid(
            "selector: names no services; set services or prefix",
        )),
    }
}

fn metadata(b: &mut Vec<u8>, conditions: &[v1::MetadataMatch]) {
    let set: BTreeSet<(&str, BTreeSet<&str>)> = conditions
        .iter()
        .map(|m| {
            (
                m.key.as_str(),
                m.values.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    if set.is_empty() {
        return;
    }
    b.push(2);
    length(b, set.len());
    for (key, values) in set {
        string(b, key.as_bytes());
        strings(b, &values);
    }
}

fn shard(b: &mut Vec<u8>, shard: Option<&v1::ShardMatch>) -> Result<(), Fault> {
    match shard.map(|s| s.kind.as_ref()) {
        None => {}
        Some(Some(Kind::Key(key))) => {
            b.extend([4, 1]);
            string(b, key);
        }
        Some(Some(Kind::ShardId(id))) => {
            b.extend([4, 2]);
            number(b, *id);
        }
        Some(None) => {
            return Err(Fault::invalid(
                "selector.filter.shard: says neither key nor shard_id; set one, or leave shard unset",
            ));
        }
    }
    Ok(())
}

/// Refuses 0 and numbers that are not known: nobody could tell which instances they are about.
fn enums(
    b: &mut Vec<u8>,
    field: u8,
    list: &[i32],
    known: impl Fn(i32) -> bool,
) -> Result<(), Fault> {
    let set: BTreeSet<i32> = list.iter().copied().collect();
    if set.is_empty() {
        return Ok(());
    }
    b.push(field);
    length(b, set.len());
    for value in set {
        match u32::try_from(value) {
            Ok(n) if n > 0 && known(value) => number(b, n),
            _ => {
                let text = format!("selector.filter: {value} is no value to select by");
                return Err(Fault::invalid(text));
            }
        }
    }
    Ok(())
}

fn set(b: &mut Vec<u8>, field: u8, list: &[String]) {
    if !list.is_empty() {
        b.push(field);
        strings(b, &list.iter().map(String::as_str).collect());
    }
}

fn strings(b: &mut Vec<u8>, set: &BTreeSet<&str>) {
    length(b, set.len());
    for s in set {
        string(b, s.as_bytes());
    }
}

fn string(b: &mut Vec<u8>, s: &[u8]) {
    length(b, s.len());
    b.extend_from_slice(s);
}

/// Writes a length. Requests are bounded far below 2^32 bytes.
fn length(b: &mut Vec<u8>, n: usize) {
    number(b, u32::try_from(n).unwrap_or(u32::MAX));
}

fn number(b: &mut Vec<u8>, n: u32) {
    b.extend_from_slice(&n.to_le_bytes());
}
