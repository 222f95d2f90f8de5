//! What operators set for a service: the [`TrafficPolicy`].

use std::fmt;

use muster_proto::v1;

/// What operators set for a service. Shares are in basis points, 1/10,000. The channels of this
/// crate hold to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TrafficPolicy {
    /// Split calls between versions. What they leave goes to the versions that none of them
    /// matches.
    pub version_shares: Vec<VersionShare>,
    /// How strongly near instances are preferred.
    pub locality_rule: LocalityRule,
    /// How many endpoints of each version one client uses; 0 is 100.
    pub subset_size: u32,
    /// The share of healthy instances below which health is ignored; `None` is 5,000.
    pub panic_threshold: Option<u32>,
}

/// Gives a share of new calls to a range of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionShare {
    /// Which versions, as in a selector.
    pub version_range: String,
    /// The share in basis points.
    pub share: u32,
}

/// How strongly near instances are preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalityRule {
    /// Distance is ignored.
    Any,
    /// The own zone, then the own region, then the rest.
    #[default]
    PreferZone,
    /// The own region, then the rest.
    PreferRegion,
    /// The own region and nothing else.
    RequireRegion,
}

impl LocalityRule {
    /// The name in the contract, such as `PREFER_ZONE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::PreferZone => "PREFER_ZONE",
            Self::PreferRegion => "PREFER_REGION",
            Self::RequireRegion => "REQUIRE_REGION",
        }
    }

    fn from_wire(number: i32) -> Self {
        match v1::LocalityRule::try_from(number) {
            Ok(v1::LocalityRule::Any) => Self::Any,
            Ok(v1::LocalityRule::PreferRegion) => Self::PreferRegion,
            Ok(v1::LocalityRule::RequireRegion) => Self::RequireRegion,
            Ok(v1::LocalityRule::PreferZone | v1::LocalityRule::Unspecified) | Err(_) => {
                Self::PreferZone
            }
        }
    }

    fn to_wire(self) -> v1::LocalityRule {
        match self {
            Self::Any => v1::LocalityRule::Any,
            Self::PreferZone => v1::LocalityRule::PreferZone,
            Self::PreferRegion => v1::LocalityRule::PreferRegion,
            Self::RequireRegion => v1::LocalityRule::RequireRegion,
        }
    }
}

impl fmt::Display for LocalityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TrafficPolicy {
    pub(crate) fn from_wire(p: v1::TrafficPolicy) -> Self {
        let share = |s: v1::VersionShare| VersionShare {
            version_range: s.version_range,
            share: s.share,
        };
        Self {
            version_shares: p.version_shares.into_iter().map(share).collect(),
            locality_rule: LocalityRule::from_wire(p.locality_rule),
            subset_size: p.subset_size,
            panic_threshold: p.panic_threshold,
        }
    }

    pub(crate) fn to_wire(&self) -> v1::TrafficPolicy {
        let share = |s: &VersionShare| v1::VersionShare {
            version_range: s.version_range.clone(),
            share: s.share,
        };
        v1::TrafficPolicy {
            version_shares: self.version_shares.iter().map(share).collect(),
            locality_rule: self.locality_rule.to_wire().into(),
            subset_size: self.subset_size,
            panic_threshold: self.panic_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_keep_everything_on_the_wire() {
        for rule in [
            LocalityRule::Any,
            LocalityRule::PreferZone,
            LocalityRule::PreferRegion,
            LocalityRule::RequireRegion,
        ] {
            let policy = TrafficPolicy {
                version_shares: vec![VersionShare {
                    version_range: ">=2.0.0".into(),
                    share: 1_000,
                }],
                locality_rule: rule,
                subset_size: 7,
                panic_threshold: Some(0),
            };
            assert_eq!(TrafficPolicy::from_wire(policy.to_wire()), policy);
            let name = rule.to_wire().as_str_name();
            assert_eq!(name.strip_prefix("LOCALITY_RULE_"), Some(rule.as_str()));
        }
        let unsaid = TrafficPolicy::from_wire(v1::TrafficPolicy::default());
        assert_eq!(unsaid, TrafficPolicy::default());
    }
}
