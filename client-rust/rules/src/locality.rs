//! How near an instance must be.

use crate::plan::{Candidate, Me, Why, healthy_of, too_few};

/// The distance of an instance from the client. Unknown is near to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    SameZone,
    SameRegion,
    Elsewhere,
}

/// Compares where two run. A zone is within its region.
fn distance(candidate: &Candidate<'_>, me: &Me<'_>) -> Distance {
    if candidate.region != me.region {
        Distance::Elsewhere
    } else if candidate.zone == me.zone && !candidate.zone.is_empty() {
        Distance::SameZone
    } else if !candidate.region.is_empty() {
        Distance::SameRegion
    } else {
        Distance::Elsewhere
    }
}

/// How far a rule looks, the nearest first, and the farthest.
fn tiers(rule: &str) -> (&'static [Distance], Distance) {
    use Distance::{Elsewhere, SameRegion, SameZone};
    match rule {
        "ANY" => (&[], Elsewhere),
        "PREFER_REGION" => (&[SameRegion], Elsewhere),
        "REQUIRE_REGION" => (&[], SameRegion),
        _ => (&[SameZone, SameRegion], Elsewhere),
    }
}

/// Keeps the members within the nearest tier that has a healthy one and not too few of them, else
/// those within the widest.
pub(crate) fn nearest(
    candidates: &[Candidate<'_>],
    members: &mut Vec<usize>,
    rule: &str,
    threshold: u32,
    me: &Me<'_>,
    why: &mut [Why],
) {
    let (tiers, widest) = tiers(rule);
    let within = |i: usize, tier: Distance| distance(&candidates[i], me) <= tier;
    let suffices = |tier: Distance| {
        let near: Vec<_> = members
            .iter()
            .copied()
            .filter(|&i| within(i, tier))
            .collect();
        let healthy = healthy_of(candidates, &near);
        healthy > 0 && !too_few(healthy, near.len(), threshold)
    };
    let reach = tiers.iter().copied().find(|&tier| suffices(tier));
    members.retain(|&i| {
        let kept = within(i, reach.unwrap_or(widest));
        if !kept {
            why[i] = Why::Locality;
        }
        kept
    });
}
