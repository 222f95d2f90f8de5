//! Why a service shows no instances. Pure.
//!
//! An empty list is never an accident: each way to be empty has its own word, so that a program can
//! tell "everybody left" from "nobody ever came" and from "you may not look".

use crate::instance::ServiceState;
use crate::kinds::RemovalReason;

/// What a view says of the presence of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Intent {
    /// It has instances.
    Present,
    /// It was never registered.
    NeverSeen,
    /// The last instance was deregistered by choice.
    AllDeregistered,
    /// The last instance missed its TTL, or went for a reason that nobody chose.
    AllExpired,
    /// It has instances, but none passes the filter.
    FilteredToNone,
    /// This client may not see it.
    Forbidden,
    /// The registry holds back expiries of it, because too many were overdue at once.
    Held,
    /// The registry lost history, and instances are still coming back.
    Recovering,
    /// No view was received yet.
    NotYet,
}

impl Intent {
    /// The name that both clients print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Intent::Present => "PRESENT",
            Intent::NeverSeen => "NEVER_SEEN",
            Intent::AllDeregistered => "ALL_DEREGISTERED",
            Intent::AllExpired => "ALL_EXPIRED",
            Intent::FilteredToNone => "FILTERED_TO_NONE",
            Intent::Forbidden => "FORBIDDEN",
            Intent::Held => "HELD",
            Intent::Recovering => "RECOVERING",
            Intent::NotYet => "NOT_YET",
        }
    }
}

impl std::fmt::Display for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of one service when its intent is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// Whether the client may not see it.
    pub(crate) forbidden: bool,
    /// Whether the view has instances of it.
    pub(crate) present: bool,
    /// Whether the server is recovering from lost history.
    pub(crate) recovering: bool,
    /// What the registry remembers of it.
    pub(crate) state: Option<&'a ServiceState>,
    /// Whether the selector may leave instances out.
    pub(crate) filtered: bool,
    /// The reason of the last removal of one of its instances that this view saw.
    pub(crate) last_removal: Option<RemovalReason>,
}

/// The intent of one service; the first rule that fits decides.
pub(crate) fn of_service(facts: Facts<'_>) -> Intent {
    if facts.forbidden {
        return Intent::Forbidden;
    }
    if facts.present {
        return Intent::Present;
    }
    if facts.recovering {
        return Intent::Recovering;
    }
    let Some(state) = facts.state else {
        return Intent::NeverSeen;
    };
    if state.held {
        return Intent::Held;
    }
    if let Some(emptied) = &state.emptied {
        return by_reason(emptied.reason);
    }
    if facts.filtered {
        return Intent::FilteredToNone; // others may be there that do not pass
    }
    facts.last_removal.map_or(Intent::AllExpired, by_reason)
}

fn by_reason(reason: RemovalReason) -> Intent {
    match reason {
        RemovalReason::Deregistered => Intent::AllDeregistered,
        _ => Intent::AllExpired,
    }
}

/// The intent of several services together: `Present` if any is; otherwise the first of this order
/// that any of them has, from "may change by itself" to "nothing to wait for".
pub(crate) fn overall(intents: impl IntoIterator<Item = Intent>) -> Intent {
    const ORDER: [Intent; 8] = [
        Intent::Present,
        Intent::Recovering,
        Intent::Held,
        Intent::FilteredToNone,
        Intent::AllExpired,
        Intent::AllDeregistered,
        Intent::Forbidden,
        Intent::NeverSeen,
    ];
    let rank = |i: Intent| ORDER.iter().position(|o| *o == i).unwrap_or(ORDER.len());
    intents
        .into_iter()
        .min_by_key(|i| rank(*i))
        .unwrap_or(Intent::NeverSeen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Emptied, ServiceName};

    fn state(held: bool, emptied: Option<RemovalReason>) -> ServiceState {
        ServiceState {
            name: ServiceName::new("shop", "pay"),
            held,
            emptied: emptied.map(|reason| Emptied {
                reason,
                instance_id: "pay-7".into(),
                revision: 811,
                time: None,
            }),
            policy: None,
            create_revision: 1,
            modify_revision: 2,
            tag: 3,
        }
    }

    #[test]
    fn intent_table() {
        use RemovalReason as R;
        let none = state(false, None);
        let held = state(true, Some(R::Expired));
        let gone = |r| state(false, Some(r));
        let base = Facts {
            forbidden: false,
            present: false,
            recovering: false,
            state: Some(&none),
            filtered: false,
            last_removal: None,
        };
        let cases = [
            (
                Facts {
                    forbidden: true,
                    present: true,
                    ..base
                },
                Intent::Forbidden,
            ),
            (
                Facts {
                    present: true,
                    recovering: true,
                    ..base
                },
                Intent::Present,
            ),
            (
                Facts {
                    recovering: true,
                    state: None,
                    ..base
                },
                Intent::Recovering,
            ),
            (
                Facts {
                    state: None,
                    ..base
                },
                Intent::NeverSeen,
            ),
            (
                Facts {
                    state: Some(&held),
                    ..base
                },
                Intent::Held,
            ),
            (base, Intent::AllExpired),
            (
                Facts {
                    filtered: true,
                    last_removal: Some(R::Deregistered),
                    ..base
                },
                Intent::FilteredToNone,
            ),
            (
                Facts {
                    last_removal: Some(R::Deregistered),
                    ..base
                },
                Intent::AllDeregistered,
            ),
            (
                Facts {
                    last_removal: Some(R::Expired),
                    ..base
                },
                Intent::AllExpired,
            ),
        ];
        for (facts, want) in cases {
            assert_eq!(of_service(facts), want, "{facts:?}");
        }
        for (reason, want) in [
            (R::Deregistered, Intent::AllDeregistered),
            (R::Expired, Intent::AllExpired),
            (R::OriginLost, Intent::AllExpired),
            (R::Unknown, Intent::AllExpired),
        ] {
            let state = gone(reason);
            let facts = Facts {
                state: Some(&state),
                last_removal: Some(R::FilteredOut),
                ..base
            };
            assert_eq!(of_service(facts), want, "emptied {reason}");
        }
    }

    #[test]
    fn overall_prefers_what_may_change() {
        use Intent as I;
        assert_eq!(overall([I::NeverSeen, I::Present]), I::Present);
        assert_eq!(overall([I::AllExpired, I::Held]), I::Held);
        assert_eq!(
            overall([I::NeverSeen, I::AllDeregistered]),
            I::AllDeregistered
        );
        assert_eq!(overall([I::Forbidden, I::Forbidden]), I::Forbidden);
        assert_eq!(overall([]), I::NeverSeen);
    }
}
