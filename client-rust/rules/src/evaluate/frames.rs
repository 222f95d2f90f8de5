use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::digest::{EntryKey, KIND_INSTANCE, KIND_SERVICE_STATE};
use crate::entry_set::Entry;
use crate::frames::{
    Applied, FrameHeader, Frames, InstanceEntry, Outcome, Removed, Update, ViewPosition,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    steps: Vec<StepInput>,
    /// Adds to the results what a user reads of a problem, and to the entries of views which step
    /// brought them.
    #[serde(default)]
    explain: bool,
}

/// A frame, or a new stream (reopen: RESUME or FRESH).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StepInput {
    reopen: String,
    now_ms: i64,
    forbidden: Vec<ServiceInput>,
    frame: FrameInput,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServiceInput {
    namespace: String,
    service: String,
}

/// Of kind SNAPSHOT, DELTA or PROGRESS. Numbers are those of the contract.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FrameInput {
    kind: String,
    header: Option<HeaderInput>,
    index: u32,
    position: i32,
    cause: i32,
    from_revision: Text<u64>,
    instances: Vec<EntryInput>,
    services: Vec<EntryInput>,
    removals: Vec<RemovalInput>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HeaderInput {
    view_id: Text<u64>,
    epoch: Text<u64>,
    revision: Text<u64>,
    digest: Text<u64>,
    count: Text<u64>,
    recovering: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EntryInput {
    namespace: String,
    service: String,
    instance_id: String,
    modify_revision: Text<u64>,
    tag: Text<u64>,
    #[serde(skip)]
    step: usize,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RemovalInput {
    kind: i32,
    namespace: String,
    service: String,
    instance_id: String,
    reason: i32,
}

#[derive(Clone)]
struct Instance {
    entry: EntryInput,
    unconfirmed: bool,
}

impl Entry for Instance {
    const KIND: u8 = KIND_INSTANCE;

    fn key(&self) -> EntryKey<'_> {
        let e = &self.entry;
        (&e.namespace, &e.service, &e.instance_id)
    }

    fn stamp(&self) -> (u64, u64) {
        (self.entry.modify_revision.0, self.entry.tag.0)
    }
}

impl InstanceEntry for Instance {
    fn as_unconfirmed(&self) -> Instance {
        Instance {
            entry: self.entry.clone(),
            unconfirmed: true,
        }
    }
}

#[derive(Clone)]
struct Service(EntryInput);

impl Entry for Service {
    const KIND: u8 = KIND_SERVICE_STATE;

    fn key(&self) -> EntryKey<'_> {
        (&self.0.namespace, &self.0.service, "")
    }

    fn stamp(&self) -> (u64, u64) {
        (self.0.modify_revision.0, self.0.tag.0)
    }
}

#[derive(Serialize)]
struct Output {
    steps: Vec<StepOutput>,
}

/// What a step did, and what is held then if a frame was applied.
#[derive(Serialize)]
struct StepOutput {
    outcome: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    snapshot: bool,
    cause: i32,
    gone: Vec<Gone>,
    resumable: bool,
    view: Option<ViewOutput>,
}

#[derive(Serialize)]
struct Gone {
    key: String,
    reason: i32,
}

/// Lists entries as "`key@modify_revision`", unconfirmed ones by key; if asked to explain, with
/// " of step N".
#[derive(Serialize)]
struct ViewOutput {
    view_id: Text<u64>,
    epoch: Text<u64>,
    revision: Text<u64>,
    digest: Text<u64>,
    count: Text<u64>,
    instances: Vec<String>,
    services: Vec<String>,
    unconfirmed: Vec<String>,
    unverified: bool,
}

pub(super) fn frames(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let mut frames = Frames::default();
        let steps = input.steps.into_iter().enumerate().map(|(n, mut s)| {
            s.frame.came_with(n);
            step(&mut frames, s, input.explain)
        });
        Output {
            steps: steps.collect(),
        }
    })
}

impl FrameInput {
    /// Notes on entries which step brings them.
    fn came_with(&mut self, step: usize) {
        for e in self.instances.iter_mut().chain(&mut self.services) {
            e.step = step;
        }
    }
}

fn step(
    frames: &mut Frames<Arc<Instance>, Arc<Service>>,
    s: StepInput,
    explain: bool,
) -> StepOutput {
    let mut applied = Applied::default();
    let mut view = None;
    let mut problem = String::new();
    let outcome = match act(frames, s) {
        None => "REOPENED",
        Some(Outcome::Staged) => "STAGED",
        Some(Outcome::Applied(a)) => {
            applied = a;
            view = Some(view_of(frames, explain));
            "APPLIED"
        }
        Some(Outcome::Gap(text)) => {
            problem = text;
            "GAP"
        }
        Some(Outcome::Violation(text)) => {
            problem = text;
            "VIOLATION"
        }
        Some(Outcome::Mismatch(text)) => {
            problem = text;
            "MISMATCH"
        }
    };
    if !explain {
        problem.clear();
    }
    let gone = applied.gone.iter().map(|g| Gone {
        key: key_text((&g.key.0, &g.key.1, &g.key.2)),
        reason: g.reason,
    });
    StepOutput {
        outcome,
        problem,
        snapshot: applied.snapshot.is_some(),
        cause: applied.snapshot.unwrap_or(0),
        gone: gone.collect(),
        resumable: frames.known().is_some(),
        view,
    }
}

fn act(frames: &mut Frames<Arc<Instance>, Arc<Service>>, s: StepInput) -> Option<Outcome> {
    if !s.reopen.is_empty() {
        let resumed = s.reopen == "RESUME" && frames.known().is_some();
        frames.begin_stream(resumed);
        return None;
    }
    let header = s.frame.header.as_ref().map(|h| FrameHeader {
        view_id: h.view_id.0,
        position: ViewPosition {
            epoch: h.epoch.0,
            revision: h.revision.0,
        },
        digest: h.digest.0,
        count: h.count.0,
        recovering: h.recovering,
    });
    match s.frame.kind.as_str() {
        "PROGRESS" => Some(frames.progress(header)),
        "DROP" => {
            frames.drop_stage();
            None
        }
        _ => {
            let forbidden: Vec<(&str, &str)> = s
                .forbidden
                .iter()
                .map(|n| (n.namespace.as_str(), n.service.as_str()))
                .collect();
            Some(frames.apply(update(header, s.frame), &forbidden, s.now_ms))
        }
    }
}

fn update(header: Option<FrameHeader>, f: FrameInput) -> Update<Arc<Instance>, Arc<Service>> {
    let instance = |entry| {
        Arc::new(Instance {
            entry,
            unconfirmed: false,
        })
    };
    let service = |entry| Arc::new(Service(entry));
    let removal = |r: RemovalInput| Removed {
        kind: r.kind,
        key: (r.namespace, r.service, r.instance_id),
        reason: r.reason,
    };
    Update {
        header,
        index: f.index,
        position: f.position,
        snapshot: f.kind == "SNAPSHOT",
        cause: f.cause,
        from: f.from_revision.0,
        instances: f.instances.into_iter().map(instance).collect(),
        services: f.services.into_iter().map(service).collect(),
        removals: f.removals.into_iter().map(removal).collect(),
    }
}

fn view_of(frames: &Frames<Arc<Instance>, Arc<Service>>, explain: bool) -> ViewOutput {
    let (set, position) = (frames.set(), frames.position());
    let step = |e: &EntryInput| match explain {
        true => format!(" of step {}", e.step),
        false => String::new(),
    };
    let instance = |i: &Arc<Instance>| entry_text(i) + &step(&i.entry);
    let service = |s: &Arc<Service>| entry_text(s) + &step(&s.0);
    let unconfirmed = frames.unconfirmed().iter().filter(|i| i.unconfirmed);
    ViewOutput {
        view_id: Text(frames.view_id()),
        epoch: Text(position.epoch),
        revision: Text(position.revision),
        digest: Text(set.digest),
        count: Text(set.count()),
        instances: set.instances.iter().map(instance).collect(),
        services: set.services.iter().map(service).collect(),
        unconfirmed: unconfirmed.map(|i| key_text(i.key())).collect(),
        unverified: frames.is_unverified(),
    }
}

fn key_text((namespace, service, id): EntryKey<'_>) -> String {
    if id.is_empty() {
        return format!("{namespace}/{service}");
    }
    format!("{namespace}/{service}/{id}")
}

fn entry_text<E: Entry>(e: &E) -> String {
    format!("{}@{}", key_text(e.key()), e.stamp().0)
}
