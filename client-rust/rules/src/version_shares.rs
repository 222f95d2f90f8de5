//! How calls are split between versions.

use crate::plan::{Candidate, WHOLE_SHARE, Why};
use crate::semver_range::Range;

/// Gives a share of new calls to a range of versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionShare<'a> {
    /// The range of versions; one that cannot be read matches none.
    pub range: &'a str,
    /// The share in basis points.
    pub share: u32,
}

/// The candidates that split one share.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// In basis points, at most the whole; `None`: versions have no shares.
    pub(crate) share: Option<u32>,
    pub(crate) members: Vec<usize>,
}

/// Groups the admitted by the first range that their versions match; the rest is the last group and
/// has what the others leave. Groups without a share are left out, unless that would leave nobody:
/// then versions do not matter.
pub(crate) fn split_by_version(
    candidates: &[Candidate<'_>],
    admitted: Vec<usize>,
    shares: &[VersionShare<'_>],
    why: &mut [Why],
) -> Vec<Group> {
    let ranges: Vec<_> = shares.iter().map(|s| Range::parse(s.range).ok()).collect();
    let mut shares: Vec<_> = shares.iter().map(|s| s.share.min(WHOLE_SHARE)).collect();
    let taken = shares
        .iter()
        .fold(0u32, |sum, &share| sum.saturating_add(share));
    shares.push(WHOLE_SHARE.saturating_sub(taken));
    let mut members = vec![Vec::new(); shares.len()];
    for &i in &admitted {
        let matches = |range: &Option<Range>| {
            let range = range.as_ref();
            range.is_some_and(|range| range.matches_text(candidates[i].version))
        };
        let group = ranges.iter().position(matches).unwrap_or(ranges.len());
        members[group].push(i);
    }
    let with_share = |&(share, members): &(&u32, &Vec<usize>)| *share > 0 && !members.is_empty();
    if ranges.is_empty() || !shares.iter().zip(&members).any(|group| with_share(&group)) {
        return vec![Group {
            share: None,
            members: admitted,
        }];
    }
    let mut groups = Vec::new();
    for (share, members) in shares.into_iter().zip(members) {
        if share > 0 {
            groups.push(Group {
                share: Some(share),
                members,
            });
        } else {
            members.iter().for_each(|&i| why[i] = Why::VersionShare);
        }
    }
    groups
}
