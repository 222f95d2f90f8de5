//! Rules of the disk cache.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use muster_rules::cache_file::{CacheEntry, CacheFile};
use muster_rules::defaults;
use tokio::time::sleep;

use super::cache_files::{Faults, TempDir};
use super::fake::{Fake, OpenWatch};
use super::watch::{grown, ids, pay, until_view};
use crate::cache_dir::wall_ms;
use crate::cache_view::cache_name;
use crate::config::ClientBuilder;
use crate::testset::Model;
use crate::{Client, Freshness, Reason, Source, Subscription, View};

fn cached(fake: &Fake, dir: &TempDir) -> ClientBuilder {
    fake.builder().cache_dir(dir.path())
}

fn open(fake: &Fake, dir: &TempDir) -> (Client, Subscription) {
    let client = cached(fake, dir).build().expect("a client");
    let sub = client.subscribe(pay()).expect("subscribed");
    (client, sub)
}

async fn show(stream: &OpenWatch, m: &Model, sub: &Subscription) -> Arc<View> {
    stream.open_in(m.epoch, m.view_id).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    let revision = m.revision;
    until_view(sub, |v| v.position().revision == revision).await
}

/// Leaves this view of shop/pay on disk, as a process that ended.
async fn fill(fake: &Fake, dir: &TempDir, m: &Model) {
    let (client, sub) = open(fake, dir);
    show(&fake.next_watch().await, m, &sub).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn cache_starts_without_a_registry() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    let mut m = Model::with(1, 10, &["a", "b"]);
    fill(&fake, &dir, &m).await;
    fake.place(0).stop();

    let (client, sub) = open(&fake, &dir);
    let view = sub.view();
    assert_eq!(ids(&view), ["a", "b"]);
    assert_eq!(
        (view.source(), view.freshness()),
        (Source::Disk, Freshness::Fresh)
    );
    assert_eq!(view.digest(), m.header().digest);
    assert_eq!(sub.wait(2).await.expect("at once").source(), Source::Disk);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(
        (sub.view().source(), sub.view().freshness()),
        (Source::Disk, Freshness::Stale)
    );

    fake.place(0).start();
    let stream = fake.next_watch().await;
    let known = stream.resume().expect("resumed");
    assert_eq!(
        (known.epoch, known.revision, known.digest),
        (1, 10, m.header().digest)
    );
    stream.open_in(1, m.view_id).await;
    m.revision = 20;
    stream.progress(m.progress()).await;
    let view = until_view(&sub, |v| v.source() == Source::Registry).await;
    assert_eq!((ids(&view), view.snapshots), (vec!["a", "b"], 1));
    assert_eq!(view.freshness(), Freshness::Fresh);
    assert_eq!(client.stats().cache_errors, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn cache_age_is_by_the_wall_clock() {
    for (ms, want) in [
        (-25_000, Freshness::Fresh),
        (-31_000, Freshness::Stale),
        (-660_000, Freshness::Expired),
        (3_600_000, Freshness::Stale), // the clock went back
    ] {
        let (fake, dir) = (Fake::new(1), TempDir::new());
        fill(&fake, &dir, &Model::with(1, 10, &["a"])).await;
        fake.place(0).stop();
        dir.edit(|f| f.written_ms = wall_ms() + ms);
        let (client, sub) = open(&fake, &dir);
        assert_eq!(sub.view().source(), Source::Disk);
        assert_eq!(sub.view().freshness(), want, "{ms} ms");
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn cache_of_another_cluster_is_not_continued() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    let m = Model::with(1, 10, &["a", "b"]);
    fill(&fake, &dir, &m).await;
    dir.edit(|f| {
        f.cluster_id = "elsewhere".to_owned();
        f.epoch = 99;
    });
    let (client, sub) = open(&fake, &dir);
    assert_eq!(sub.view().source(), Source::Disk);
    let stream = fake.next_watch().await;
    assert_eq!(stream.resume(), None);
    let next = grown(&m, "c");
    let view = show(&stream, &next, &sub).await;
    assert_eq!(
        (ids(&view), view.position().epoch),
        (vec!["a", "b", "c"], 1)
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn cache_of_a_higher_epoch_waits_for_its_server() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    let m = Model::with(1, 10, &["a"]);
    fill(&fake, &dir, &m).await;
    dir.edit(|f| f.epoch = 9);
    let (client, sub) = open(&fake, &dir);
    let began = tokio::time::Instant::now();
    let stream = loop {
        let stream = fake.next_watch().await;
        assert_eq!(sub.view().position().epoch, 9);
        if stream.resume().is_none() {
            break stream;
        }
        stream.open_in(1, m.view_id).await;
    };
    let waited = began.elapsed().as_secs();
    assert!((60..=75).contains(&waited), "accepted after {waited} s");
    let view = show(&stream, &grown(&m, "b"), &sub).await;
    assert_eq!(view.position().epoch, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn cache_damage_is_set_aside() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    fill(&fake, &dir, &Model::with(1, 10, &["a", "b"])).await;
    fake.place(0).stop();
    let path = dir.only();
    let good = fs::read(&path).expect("readable");
    let client = cached(&fake, &dir).build().expect("a client");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        fs::write(&path, bad).expect("written");
        let sub = client.subscribe(pay()).expect("subscribed");
        assert!(!sub.view().is_received(), "byte {at}");
        let suffix = if (8..12).contains(&at) {
            ".newer"
        } else {
            ".corrupt"
        };
        assert!(!path.exists(), "byte {at}");
        let names = dir.names();
        assert!(names.iter().any(|n| n.ends_with(suffix)), "{at}: {names:?}");
    }
    assert_eq!(client.stats().cache_errors, good.len() as u64);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn cache_of_wrong_content_is_set_aside() {
    let bad = || vec![0xff];
    type Change<'a> = (&'a str, &'a dyn Fn(&mut CacheFile));
    let changes: [Change<'_>; 8] = [
        ("digest", &|f| f.digest ^= 1),
        ("count", &|f| f.count += 1),
        ("another's", &|f| f.selector = b"other".to_vec()),
        ("no message", &|f| f.entries[0].value = bad()),
        ("no state", &|f| f.entries[2].value = bad()),
        ("no name", &|f| {
            f.entries.push(CacheEntry {
                kind: 3,
                value: bad(),
            });
        }),
        ("an entry twice", &|f| f.entries[1] = f.entries[0].clone()),
        ("an entry is off", &|f| drop(f.entries.remove(0))),
    ];
    for (name, change) in changes {
        let (fake, dir) = (Fake::new(1), TempDir::new());
        fill(&fake, &dir, &Model::with(1, 10, &["a", "b"])).await;
        fake.place(0).stop();
        dir.edit(change);
        let (client, sub) = open(&fake, &dir);
        assert!(!sub.view().is_received(), "{name}");
        assert!(dir.names()[0].ends_with(".corrupt"), "{name}");
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn cache_writes_at_most_once_a_second() {
    let (fake, dir, faults) = (Fake::new(1), TempDir::new(), Arc::new(Faults::default()));
    let builder = cached(&fake, &dir).with_open_cache(faults.opener());
    let client = builder.build().expect("a client");
    let sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    let mut m = Model::with(1, 10, &["a"]);
    show(&stream, &m, &sub).await;
    for _ in 0..100 {
        let next = grown(&m, "a");
        stream.delta(next.delta_from(&m, Why::Expired)).await;
        m = next;
        sleep(Duration::from_millis(100)).await;
    }
    let n = faults.count();
    assert!((9..=11).contains(&n), "{n} writes in 10 s of change");
    sleep(Duration::from_secs(2)).await;
    let before = faults.count();
    for _ in 0..30 {
        stream.progress(m.progress()).await;
        sleep(Duration::from_secs(10)).await;
    }
    let n = faults.count() - before;
    assert!((4..=5).contains(&n), "{n} writes in 5 min without change");
    stream.progress(m.progress()).await;
    sleep(Duration::from_secs(1)).await;
    let before = faults.count();
    client.close().await;
    assert_eq!(faults.count() - before, 1, "the end sets the age");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.only()).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}

#[tokio::test(start_paused = true)]
async fn cache_full_disk_is_not_fatal() {
    let (fake, dir, faults) = (Fake::new(1), TempDir::new(), Arc::new(Faults::default()));
    faults.full.store(true, Ordering::SeqCst);
    let builder = cached(&fake, &dir).with_open_cache(faults.opener());
    let client = builder.build().expect("a client");
    let sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    let mut m = Model::with(1, 10, &["a"]);
    show(&stream, &m, &sub).await;
    for _ in 0..20 {
        let next = grown(&m, "a");
        stream.delta(next.delta_from(&m, Why::Expired)).await;
        m = next;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(client.stats().cache_errors >= 10);
    assert!(dir.names().is_empty());
    assert_eq!(sub.view().position().revision, m.revision);
    faults.full.store(false, Ordering::SeqCst);
    stream.progress(m.progress()).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(dir.names(), [cache_name(&pay().canonical())]);
    client.close().await;
}

#[tokio::test]
async fn cache_directory_is_checked() {
    let dir = TempDir::new();
    let file = dir.path().join("file");
    fs::write(&file, b"").expect("written");
    let deep = file.join("deep").display().to_string();
    let relative = "use an absolute path, or leave the option out for no cache";
    let unwritable =
        "it cannot be written to (not a directory); name a directory that this process may write";
    for (path, allowed) in [
        ("", relative),
        ("some/where", relative),
        (deep.as_str(), unwritable),
    ] {
        let built = Client::builder(["a:1"]).cache_dir(path).build();
        let e = built.expect_err("refused");
        assert_eq!(e.reason(), Reason::InvalidArgument);
        assert_eq!(
            e.to_string(),
            format!(
                "muster: option cache_dir: \"{path}\" is not allowed; {allowed} [INVALID_ARGUMENT]"
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn cache_directory_is_bounded() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    let put = |name: &str, size: u64, minutes: u64| {
        let file = fs::File::create(dir.path().join(name)).expect("a file");
        file.set_len(size).expect("sized");
        let age = Duration::from_secs(minutes * 60);
        let modified = file.metadata().expect("about").modified().expect("a time");
        file.set_modified(modified - age).expect("dated");
    };
    put("0000000000000001.view", defaults::CACHE_LIMIT / 2, 180);
    put(
        "0000000000000002.view.corrupt",
        defaults::CACHE_LIMIT / 2,
        120,
    );
    put("0000000000000003.view", 1_000, 60);
    put(".0000000000000004.ABC.tmp", 10, 9);
    put(".0000000000000005.ABC.tmp", 10, 11);
    put("the user's own", defaults::CACHE_LIMIT, 600);
    fill(&fake, &dir, &Model::with(1, 10, &["a"])).await;
    let own = cache_name(&pay().canonical());
    let mut want = vec![
        ".0000000000000004.ABC.tmp",
        "0000000000000002.view.corrupt",
        "0000000000000003.view",
        &own,
        "the user's own",
    ];
    want.sort_unstable();
    assert_eq!(dir.names(), want);
}

#[tokio::test(start_paused = true)]
async fn cache_keeps_only_what_is_worth_it() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    fill(&fake, &dir, &Model::with(1, 10, &["a"])).await;
    fake.place(0).stop();
    let (client, sub) = open(&fake, &dir);
    let mut good = View::clone(&sub.view());
    good.source = Source::Registry;
    assert!(good.is_cacheable());
    type Change<'a> = (&'a str, &'a dyn Fn(&mut View));
    let changes: [Change<'_>; 5] = [
        ("nothing yet", &|v| v.timing = None),
        ("from memory", &|v| v.source = Source::Memory),
        ("unverified", &|v| v.unverified = true),
        ("distrusted", &|v| v.distrusted = true),
        ("recovering", &|v| v.flags.recovering = true),
    ];
    for (name, change) in changes {
        let mut view = good.clone();
        change(&mut view);
        assert!(!view.is_cacheable(), "{name}");
    }
    client.close().await;
}
