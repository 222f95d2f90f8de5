//! Why a channel picks which instances.

use std::fmt;

use muster_rules::connection::Phase;

use crate::error::{Error, Reason};
use crate::kinds::Position;

use super::core::{Core, Mode};

/// Why a channel picks which instances, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PickExplanation {
    /// The service that the channel calls, `namespace/service`.
    pub service: String,
    /// The position of the view that the channel uses; zero before the first.
    pub position: Position,
    /// Whether health is ignored, because only `healthy` of `total` instances are so.
    pub panicking: bool,
    /// See `panicking`.
    pub healthy: usize,
    /// See `panicking`.
    pub total: usize,
    /// What a call would fail with now; `None` if one can be sent or waits.
    pub error: Option<Error>,
    /// The instances of the view, in its order.
    pub instances: Vec<InstanceExplanation>,
}

/// Why a channel picks an instance, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceExplanation {
    /// The id of the instance.
    pub id: String,
    /// The address that is dialled; empty if there is none.
    pub address: String,
    /// The step of the plan that decided: `PICKED` or `PANIC` if it is picked, else what it was left
    /// out for: `STARTING`, `NO_ENDPOINT`, `DRAINING`, `WEIGHTLESS`, `VERSION_SHARE`, `LOCALITY`,
    /// `SUBSET`, `UNHEALTHY` or `EJECTED`.
    pub step: &'static str,
    /// The weight of its slot, which instances of one address share; 0 is not picked.
    pub weight: u64,
    /// The state of the connection; `None` if the channel has none to do with it.
    pub state: Option<Phase>,
    /// Why there is no connection; empty if nothing failed.
    pub failure: String,
    /// The requests of the slot that have not ended.
    pub in_flight: u64,
}

/// Tells why a channel picks which instances now.
pub(crate) fn explain(core: &Core) -> PickExplanation {
    let table = core.table.load();
    let planning = &table.planning;
    let error = match &table.mode {
        Mode::Fail(failure) => Some(failure.to_error()),
        Mode::Serve(_) | Mode::Wait => None,
    };
    let instances = planning.set.endpoints.iter().enumerate();
    let instances = instances.map(|(at, endpoint)| {
        let mut told = InstanceExplanation {
            id: endpoint.instance.to_string(),
            address: endpoint.key.address.to_string(),
            step: planning.why[at].as_str(),
            weight: 0,
            state: None,
            failure: String::new(),
            in_flight: 0,
        };
        if let Some(entry) = planning.slot_of[at].and_then(|index| table.entries.get(index)) {
            let facts = entry.slot.facts();
            told.weight = facts.weight;
            told.state = Some(facts.phase);
            if facts.phase != Phase::Ready {
                told.failure = facts.error.as_deref().unwrap_or_default().to_owned();
            }
            told.in_flight = entry.slot.in_flight();
        }
        told
    });
    PickExplanation {
        service: core.target.to_string(),
        position: planning.set.position,
        panicking: planning.panicking,
        healthy: planning.healthy,
        total: planning.total,
        error,
        instances: instances.collect(),
    }
}

/// The name of a phase, as the Go client writes it.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "IDLE",
        Phase::Connecting => "CONNECTING",
        Phase::Ready => "READY",
        Phase::Backoff => "BACKOFF",
    }
}

/// The whole as a table for people.
impl fmt::Display for PickExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, position) = (&self.service, self.position);
        write!(
            f,
            "{service}, {position}: {} of {} healthy",
            self.healthy, self.total
        )?;
        if self.panicking {
            f.write_str(", health is ignored")?;
        }
        if let Some(error) = &self.error {
            write!(f, "\ncalls fail: {error}")?;
        }
        for i in &self.instances {
            write!(
                f,
                "\n{} {} {} weight={} in_flight={}",
                i.id, i.address, i.step, i.weight, i.in_flight
            )?;
            if let Some(state) = i.state {
                write!(f, " {}", name(state))?;
            }
            if !i.failure.is_empty() {
                write!(f, " ({})", i.failure)?;
            }
        }
        Ok(())
    }
}

impl super::failure::Failure {
    /// The same as an error of this crate.
    fn to_error(&self) -> Error {
        match self.reason() {
            Reason::Closed => Error::new(Reason::Closed, self.message()),
            reason => Error::with_code(reason, crate::error::Code::Unavailable, self.message()),
        }
    }
}
