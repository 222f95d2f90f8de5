//! Which instances a client uses, and with which weights.

use crate::locality::nearest;
use crate::slot_key::SlotKey;
use crate::subset::subset;
use crate::version_shares::{Group, VersionShare, split_by_version};

/// An instance of the service as a plan needs it. Names are those of the contract, without prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The endpoint to dial; without address there is none.
    pub key: SlotKey<'a>,
    /// The share of new calls relative to others; 0 takes none, and above 1,000,000 it counts as that.
    pub weight: u32,
    /// Takes calls if it is `SERVING` or empty; `DRAINING` takes none any more, and everything else
    /// none yet.
    pub lifecycle: &'a str,
    /// `HEALTHY`, `DEGRADED` or `UNHEALTHY`; everything else is `HEALTHY`.
    pub health: &'a str,
    /// The version; empty if unknown.
    pub version: &'a str,
    /// The region; empty if unknown.
    pub region: &'a str,
    /// The zone; empty if unknown.
    pub zone: &'a str,
    /// Rises when the instance is registered anew.
    pub generation: u64,
    /// Whether this client's own experience speaks against its slot.
    pub ejected: bool,
}

impl Candidate<'_> {
    pub(crate) fn is_healthy(&self) -> bool {
        self.health != "UNHEALTHY" && !self.ejected
    }
}

/// What operators set for the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy<'a> {
    /// Split calls between versions; empty: they do not matter.
    pub version_shares: Vec<VersionShare<'a>>,
    /// `ANY`, `PREFER_ZONE`, `PREFER_REGION` or `REQUIRE_REGION`; everything else is `PREFER_ZONE`.
    pub locality_rule: &'a str,
    /// How many slots of each version group one client uses; 0 is [`DEFAULT_SUBSET_SIZE`].
    pub subset_size: u32,
    /// The share of healthy instances below which health is ignored, in basis points; `None` is
    /// [`DEFAULT_PANIC_THRESHOLD`].
    pub panic_threshold: Option<u32>,
}

/// How many slots a client uses unless told otherwise.
pub const DEFAULT_SUBSET_SIZE: u32 = 100;
/// Half of the instances, in basis points.
pub const DEFAULT_PANIC_THRESHOLD: u32 = 5000;
/// The contract's greatest weight; with it no sum of weights overflows.
const MAX_WEIGHT: u32 = 1_000_000;
/// Everything, in basis points.
pub(crate) const WHOLE_SHARE: u32 = 10_000;

/// The client that plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Me<'a> {
    /// The region where it runs; empty if unknown.
    pub region: &'a str,
    /// The zone where it runs; empty if unknown.
    pub zone: &'a str,
    /// A random number that spreads clients over subsets.
    pub client_id: u64,
}

/// The step of a plan that decided on an instance, in the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It takes no calls yet.
    Starting,
    /// It has no endpoint that can be dialled.
    NoEndpoint,
    /// It takes no new calls any more.
    Draining,
    /// Its weight is 0.
    Weightless,
    /// The policy gives its version no share.
    VersionShare,
    /// There are enough nearer ones.
    Locality,
    /// This client uses others.
    Subset,
    /// The registry says that it is unhealthy.
    Unhealthy,
    /// This client's own calls to it failed.
    Ejected,
    /// It is picked although unhealthy or ejected, as too few are not.
    Panic,
    /// It is picked.
    Picked,
}

impl Why {
    /// The name, such as `NO_ENDPOINT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::NoEndpoint => "NO_ENDPOINT",
            Self::Draining => "DRAINING",
            Self::Weightless => "WEIGHTLESS",
            Self::VersionShare => "VERSION_SHARE",
            Self::Locality => "LOCALITY",
            Self::Subset => "SUBSET",
            Self::Unhealthy => "UNHEALTHY",
            Self::Ejected => "EJECTED",
            Self::Panic => "PANIC",
            Self::Picked => "PICKED",
        }
    }
}

/// Which slots a client uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Sorted by key.
    pub slots: Vec<PlanSlot<'a>>,
    /// The deciding step of each candidate, in their order.
    pub why: Vec<Why>,
    /// Whether health is ignored.
    pub panicking: bool,
    /// How many instances were healthy when panic was decided.
    pub healthy: usize,
    /// How many there were then.
    pub total: usize,
}

/// One connection of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSlot<'a> {
    /// The key of the slot.
    pub key: SlotKey<'a>,
    /// Its share of new calls; 0 takes none. An instance of weight 1 counts 2^16, unless versions
    /// have shares.
    pub weight: u64,
    /// Whether to have a connection. Without it one that is there is kept, for its instance may take
    /// calls again.
    pub connect: bool,
    /// The greatest of its instances'.
    pub generation: u64,
}

/// Decides which slots a client uses, and why it does not use the others. The order of the
/// candidates decides nothing but that of `why`.
#[must_use]
pub fn plan<'a>(candidates: &[Candidate<'a>], policy: &Policy<'_>, me: &Me<'_>) -> Plan<'a> {
    let threshold = policy
        .panic_threshold
        .unwrap_or(DEFAULT_PANIC_THRESHOLD)
        .min(WHOLE_SHARE);
    let mut why: Vec<_> = candidates.iter().map(admit).collect();
    let admitted: Vec<_> = (0..why.len()).filter(|&i| why[i] == Why::Picked).collect();
    let mut groups = split_by_version(candidates, admitted, &policy.version_shares, &mut why);
    let (mut healthy, mut total) = (0, 0);
    for group in &mut groups {
        let rule = policy.locality_rule;
        nearest(
            candidates,
            &mut group.members,
            rule,
            threshold,
            me,
            &mut why,
        );
        let size = subset_size(policy);
        subset(candidates, &mut group.members, size, me.client_id, &mut why);
        total += group.members.len();
        healthy += healthy_of(candidates, &group.members);
    }
    let panicking = too_few(healthy, total, threshold);
    let mut weights = vec![0; candidates.len()];
    for group in &groups {
        pick(candidates, group, panicking, &mut why, &mut weights);
    }
    Plan {
        slots: merge(candidates, &why, &weights),
        why,
        panicking,
        healthy,
        total,
    }
}

fn subset_size(policy: &Policy<'_>) -> usize {
    let size = match policy.subset_size {
        0 => DEFAULT_SUBSET_SIZE,
        size => size,
    };
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Decides whether an instance can take calls at all. `Picked`: the next steps decide.
fn admit(candidate: &Candidate<'_>) -> Why {
    let serving = matches!(candidate.lifecycle, "SERVING" | "");
    if !serving && candidate.lifecycle != "DRAINING" {
        Why::Starting
    } else if candidate.key.address.is_empty() {
        Why::NoEndpoint
    } else if !serving {
        Why::Draining
    } else if candidate.weight == 0 {
        Why::Weightless
    } else {
        Why::Picked
    }
}

pub(crate) fn healthy_of(candidates: &[Candidate<'_>], members: &[usize]) -> usize {
    let healthy = |&&i: &&usize| candidates[i].is_healthy();
    members.iter().filter(healthy).count()
}

/// Whether the healthy are less than a share, in basis points.
pub(crate) fn too_few(healthy: usize, total: usize, threshold: u32) -> bool {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    wide(healthy) * u64::from(WHOLE_SHARE) < u64::from(threshold) * wide(total)
}

/// Gives weights to the members of a group that can be picked.
fn pick(
    candidates: &[Candidate<'_>],
    group: &Group,
    panicking: bool,
    why: &mut [Why],
    weights: &mut [u64],
) {
    let mut sum = 0u64;
    for &i in &group.members {
        let candidate = &candidates[i];
        why[i] = if candidate.is_healthy() {
            Why::Picked
        } else if panicking {
            Why::Panic
        } else if candidate.health == "UNHEALTHY" {
            Why::Unhealthy
        } else {
            Why::Ejected
        };
        if matches!(why[i], Why::Unhealthy | Why::Ejected) {
            continue;
        }
        weights[i] = u64::from(candidate.weight.min(MAX_WEIGHT)) << 16;
        if candidate.health == "DEGRADED" && !panicking {
            weights[i] /= 4;
        }
        sum += weights[i];
    }
    let Some(share) = group.share else {
        return;
    };
    for &i in &group.members {
        if weights[i] > 0 {
            let part = (u128::from(share) << 24) * u128::from(weights[i]) / u128::from(sum);
            weights[i] = u64::try_from(part).unwrap_or(u64::MAX).max(1);
        }
    }
}

/// Joins candidates with equal keys. Those that were left out by policy have no slot; those that can
/// take no calls now keep theirs.
fn merge<'a>(candidates: &[Candidate<'a>], why: &[Why], weights: &[u64]) -> Vec<PlanSlot<'a>> {
    let mut slots: Vec<_> = candidates
        .iter()
        .zip(why)
        .zip(weights)
        .filter_map(|((candidate, why), &weight)| {
            let connect = match why {
                Why::Picked | Why::Panic | Why::Unhealthy | Why::Ejected => true,
                Why::Draining | Why::Weightless => false,
                _ => return None,
            };
            Some(PlanSlot {
                key: candidate.key,
                weight,
                connect,
                generation: candidate.generation,
            })
        })
        .collect();
    slots.sort_by_key(|slot| slot.key);
    slots.dedup_by(|next, slot| {
        let equal = next.key == slot.key;
        if equal {
            slot.weight += next.weight;
            slot.connect |= next.connect;
            slot.generation = slot.generation.max(next.generation);
        }
        equal
    });
    slots
}
