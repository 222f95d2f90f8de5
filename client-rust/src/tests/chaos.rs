//! Random faults in random order, many times over: whatever happens, the client ends up where it
//! should, and breaks no rule on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use muster_proto::v1::watch_response::Frame;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, OpenWatch, Scripted, What, answer};
use super::registration::spec;
use super::watch::{ids, pay, until_view};
use crate::status::status_of;
use crate::testset::{Model, VIEW, split};
use crate::{Freshness, RegistrationState as State};

const SEEDS: u64 = 15;
const SERVERS: usize = 3;
const STEPS: usize = 60;

/// One fault, or the end of one.
fn fault(fake: &Fake, rng: &mut Rng) {
    let server = rng.usize(..SERVERS);
    match rng.u8(..12) {
        0 => fake.place(server).stop(),
        1..=3 => fake.place(server).start(),
        4 => fake.place(server).cut_all(),
        5 => fake.lock().mute.push(server),
        6 => fake.lock().mute.clear(),
        7 => {
            let retry = Duration::from_millis(rng.u64(100..3_000));
            fake.lock().unconfirmed.insert(server, retry);
        }
        8 => fake.lock().unconfirmed.clear(),
        9 => {
            // The lease expires, as after a pause.
            fake.lock().leases.clear();
        }
        _ => {
            let methods = ["register", "update", "keepalive", "watch", "update_watch"];
            let lost = || status_of(Code::Unavailable, "STORE_FAILED", &[], None);
            let scripted = match rng.u8(..4) {
                0 => Scripted::Fail(lost()),
                1 => Scripted::DoThenFail(lost()),
                2 => Scripted::Hang,
                _ => Scripted::Delay(Duration::from_millis(rng.u64(..8_000))),
            };
            fake.script(methods[rng.usize(..methods.len())], scripted);
        }
    }
}

/// Nothing is wrong any more.
fn heal(fake: &Fake) {
    (0..SERVERS).for_each(|s| fake.place(s).start());
    let mut state = fake.lock();
    state.mute.clear();
    state.unconfirmed.clear();
    state.scripts.clear();
}

/// What the client sent must keep the rules, whatever was done to it.
fn check_calls(fake: &Fake, seed: u64) {
    let state = fake.lock();
    let mut requests: BTreeMap<String, v1::RegisterRequest> = BTreeMap::new();
    for call in &state.calls {
        let What::Register(r) = &call.what else {
            continue;
        };
        let first = requests.entry(r.request_id.clone()).or_insert(r.clone());
        assert_eq!(
            first.instances, r.instances,
            "seed {seed}: a retry is the same request"
        );
    }
    assert!(!state.overlapping_registers, "seed {seed}: two in flight");
}

#[tokio::test(start_paused = true)]
async fn registration_survives_any_faults() {
    for seed in 0..SEEDS {
        let fake = Fake::new(SERVERS);
        let client = fake.client();
        let reg = client.register([spec("pay-1")]).await.expect("registered");
        let mut rng = Rng::with_seed(seed);
        let mut weight = 100;
        for _ in 0..STEPS {
            fault(&fake, &mut rng);
            if rng.u8(..4) == 0 {
                weight = rng.u32(..1_000);
                reg.set_weight(weight);
            }
            sleep(Duration::from_millis(rng.u64(..6_000))).await;
        }
        heal(&fake);
        sleep(Duration::from_secs(60)).await;
        let status = reg.status();
        assert_eq!(status.state, State::Active, "seed {seed}: {status:?}");
        let lease = fake.only_lease();
        assert_eq!(lease.lease.incarnation, status.incarnation, "seed {seed}");
        reg.flush().await.expect("flushed");
        let sent = fake.lock().weight;
        assert_eq!(sent, Some(weight), "seed {seed}: as it should be");
        check_calls(&fake, seed);
        client.close().await;
        assert!(fake.lock().leases.is_empty(), "seed {seed}: deregistered");
    }
}

/// The registry's set, which changes all the time.
type Truth = Arc<Mutex<Model>>;

/// Serves a watch stream from the truth, with faults.
async fn serve(stream: OpenWatch, truth: Truth, mut rng: Rng, faults: Arc<Mutex<bool>>) {
    let faulty = move || *faults.lock().expect("not poisoned");
    if faulty() && rng.u8(..8) == 0 {
        return; // not even Opened
    }
    let began = Instant::now();
    let now = || {
        let mut m = truth.lock().expect("not poisoned").clone();
        m.uptime_ms = u64::try_from(began.elapsed().as_millis()).expect("not long");
        m
    };
    let mut sent = now();
    let opened = v1::Opened {
        stream_id: "s".into(),
        cluster_id: "c1".into(),
        epoch: sent.epoch,
        limits: None,
        subscriptions: stream
            .request
            .subscriptions
            .iter()
            .map(|s| answer(s.subscription_id, VIEW))
            .collect(),
    };
    if !send(&stream, Frame::Opened(opened)).await {
        return;
    }
    let known = stream.resume().filter(|k| {
        let h = sent.header();
        (k.epoch, k.digest, k.count) == (h.epoch, h.digest, h.count)
    });
    let first = match known {
        Some(_) => vec![Frame::Progress(sent.progress())],
        None => split(sent.snapshot(Cause::HistoryCompacted))
            .into_iter()
            .map(Frame::Snapshot)
            .collect(),
    };
    let mut frames = first;
    loop {
        for mut frame in frames.drain(..) {
            if faulty() && rng.u8(..12) == 0 {
                damage(&mut frame, &mut rng);
            }
            let cut = faulty() && rng.u8(..15) == 0;
            if cut || !send(&stream, frame).await {
                return;
            }
        }
        sleep(Duration::from_millis(rng.u64(..9_000))).await;
        let next = now();
        frames = if next.revision == sent.revision {
            vec![Frame::Progress(next.progress())]
        } else {
            vec![Frame::Delta(next.delta_from(&sent, Why::Expired))]
        };
        sent = next;
    }
}

async fn send(stream: &OpenWatch, frame: Frame) -> bool {
    let response = v1::WatchResponse { frame: Some(frame) };
    stream.frames.send(Ok(response)).await.is_ok()
}

fn damage(frame: &mut Frame, rng: &mut Rng) {
    match frame {
        Frame::Snapshot(s) => s.header.as_mut().expect("a header").digest ^= 1 << rng.u8(..64),
        Frame::Delta(d) if rng.bool() => d.from_revision += 1,
        Frame::Delta(d) => drop(d.instances.pop()),
        Frame::Progress(p) => p.header.as_mut().expect("a header").count += 1,
        Frame::Opened(_) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn watch_survives_any_faults() {
    for seed in 0..SEEDS {
        let fake = Arc::new(Fake::new(SERVERS));
        let truth: Truth = Arc::new(Mutex::new(Model::with(1, 10, &["a"])));
        let faults = Arc::new(Mutex::new(true));
        let server = tokio::spawn({
            let (fake, truth, faults) = (fake.clone(), truth.clone(), faults.clone());
            async move {
                for n in 0u64.. {
                    let stream = fake.next_watch().await;
                    let rng = Rng::with_seed(seed * 10_000 + n);
                    tokio::spawn(serve(stream, truth.clone(), rng, faults.clone()));
                }
            }
        });
        let client = fake.client();
        let sub = client.subscribe(pay()).expect("subscribed");
        let mut rng = Rng::with_seed(seed);
        for step in 0..STEPS {
            if rng.bool() {
                fault(&fake, &mut rng);
            }
            {
                let mut m = truth.lock().expect("not poisoned");
                m.revision += 1;
                if rng.bool() {
                    m.put(&format!("i{}", step % 9));
                } else {
                    m.instances.remove(&format!("i{}", rng.usize(..9)));
                }
            }
            sleep(Duration::from_millis(rng.u64(..6_000))).await;
            let view = sub.view();
            assert!(
                !view.is_received() || view.is_unverified() || ids(&view).contains(&"a"),
                "seed {seed}: an instance that was always there is gone"
            );
        }
        heal(&fake);
        *faults.lock().expect("not poisoned") = false;
        let want = truth.lock().expect("not poisoned").clone();
        let digest = want.header().digest;
        let view = until_view(&sub, |v| {
            v.digest() == digest && v.freshness() == Freshness::Fresh && !v.is_unverified()
        })
        .await;
        let wanted: Vec<&str> = want.instances.keys().map(String::as_str).collect();
        assert_eq!(ids(&view), wanted, "seed {seed}");
        client.close().await;
        server.abort();
    }
}
