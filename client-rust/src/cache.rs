//! The disk cache: keeps the last verified view of each selector in a directory, so that a process
//! can start while no registry answers.
//!
//! One task writes, from the first view on; whoever offers views never waits for it. Errors are
//! counted and logged, and nothing ever fails for want of the cache.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_rules::cache_file::{CacheFault, decode_cache_file};
use muster_rules::cache_room::cache_room;
use muster_rules::defaults;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::backoff::signed_millis;
use crate::cache_dir::{CORRUPT, CacheFiles, NEWER, TEMP, wall_ms};
use crate::cache_view::{DiskView, cache_name};
use crate::client::Shared;
use crate::messages;
use crate::token::file_cause;
use crate::view::View;
use crate::watched::Watched;

/// The cache of one client.
pub(crate) struct DiskCache {
    dir: PathBuf,
    files: Arc<dyn CacheFiles>,
    /// There is something new to write, or the end is near.
    wake: Notify,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    started: bool,
    /// Everything that waits is to be written at once, and nothing after.
    ending: bool,
    failing: bool,
    /// By selector key.
    pending: HashMap<Vec<u8>, Arc<View>>,
}

impl DiskCache {
    pub(crate) fn new(dir: PathBuf, files: Arc<dyn CacheFiles>) -> DiskCache {
        DiskCache {
            dir,
            files,
            wake: Notify::new(),
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a view be written soon; true if the task is to be started. An older one that waits is
    /// dropped.
    fn put(&self, key: &[u8], view: &Arc<View>) -> bool {
        let mut inner = self.lock();
        let late = inner.pending.get(key).is_some_and(|w| {
            w.position.epoch == view.position.epoch && w.position.revision > view.position.revision
        });
        let full =
            inner.pending.len() >= defaults::CACHE_PENDING && !inner.pending.contains_key(key);
        if !view.is_cacheable() || inner.ending || late || full {
            return false;
        }
        inner.pending.insert(key.to_vec(), view.clone());
        self.wake.notify_one();
        !std::mem::replace(&mut inner.started, true)
    }

    /// Writes what waits, and ends the task after that.
    pub(crate) fn close(&self) {
        self.lock().ending = true;
        self.wake.notify_one();
    }

    /// Counts an error, and logs the first of a row.
    fn outcome(&self, shared: &Shared, result: io::Result<()>) {
        let first = {
            let mut inner = self.lock();
            let before = std::mem::replace(&mut inner.failing, result.is_err());
            !before
        };
        if let Err(e) = result {
            shared.config.telemetry.counters.cache_failed();
            if first {
                tracing::warn!("{}", messages::cache_failed(&self.dir, &file_cause(&e)));
            }
        }
    }

    /// Reads the view of a selector from disk. A file that is damaged or of a newer version is set
    /// aside, so that it is neither read again nor lost.
    pub(crate) fn load(&self, shared: &Shared, key: &[u8]) -> Option<DiskView> {
        let name = cache_name(key);
        let content = match self.files.read(&name) {
            Ok(content) => content,
            Err(e) => {
                if e.kind() != ErrorKind::NotFound {
                    self.outcome(shared, Err(e));
                }
                return None;
            }
        };
        let stale_ms = shared.config.ages.stale_ms;
        let file = match decode_cache_file(&content) {
            Ok(file) => DiskView::of(file, key, stale_ms, wall_ms()),
            Err(fault @ CacheFault::Newer) => {
                self.set_aside(shared, &name, NEWER, fault.as_str());
                return None;
            }
            Err(fault) => Err(fault.as_str().to_owned()),
        };
        file.map_err(|why| self.set_aside(shared, &name, CORRUPT, &why))
            .ok()
    }

    fn set_aside(&self, shared: &Shared, name: &str, suffix: &str, why: &str) {
        shared.config.telemetry.counters.cache_failed();
        let aside = format!("{name}{suffix}");
        let text = messages::cache_set_aside(&self.dir, name, &aside, why);
        tracing::warn!("{text}");
        if let Err(e) = self.files.rename(name, &aside) {
            self.outcome(shared, Err(e));
        }
    }
}

impl Shared {
    /// Lets the view of a selector be kept. One that is partly fixed is not what the registry has.
    pub(crate) fn keep_on_disk(self: &Arc<Self>, watched: &Watched) {
        if watched.fixed.is_none() {
            self.offer_to_cache(&watched.key, &watched.view());
        }
    }

    /// Lets a view be kept on disk, if there is a cache.
    pub(crate) fn offer_to_cache(self: &Arc<Self>, key: &[u8], view: &Arc<View>) {
        if self.cache.as_ref().is_some_and(|c| c.put(key, view)) {
            self.spawn(run(self.clone()));
        }
    }
}

/// The task: writes what is due until the cache is closed.
async fn run(shared: Arc<Shared>) {
    let Some(cache) = &shared.cache else { return };
    let mut writer = Writer {
        files: cache.files.clone(),
        written: HashMap::new(),
        used: 0,
        scanned: None,
    };
    loop {
        let (due, next, ending) = writer.due(&mut cache.lock());
        let idle = due.is_empty();
        for (key, view) in due {
            let cluster_id = shared.servers.cluster_id();
            let now = Instant::now();
            let written = spawn_blocking(move || {
                let result = writer.store(&key, &view, &cluster_id, now);
                (writer, result)
            });
            // It fails only if it panicked, or if the runtime ends.
            let Ok((back, result)) = written.await else {
                return;
            };
            writer = back;
            cache.outcome(&shared, result);
        }
        if ending && idle {
            return;
        }
        tokio::select! {
            () = cache.wake.notified() => {}
            () = until(next) => {}
            () = std::future::ready(()), if ending => {}
        }
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a file holds and since when.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Written {
    /// Epoch, view id, digest and count; none if the writing failed.
    what: Option<[u64; 4]>,
    at: Instant,
}

/// What the task knows of the directory.
struct Writer {
    files: Arc<dyn CacheFiles>,
    /// By selector key.
    written: HashMap<Vec<u8>, Written>,
    /// At most what the directory holds.
    used: u64,
    /// When it was looked at.
    scanned: Option<Instant>,
}

type Due = (Vec<(Vec<u8>, Arc<View>)>, Option<Instant>, bool);

impl Writer {
    /// Takes out what is due, everything at the end, and says when the next is.
    fn due(&self, inner: &mut Inner) -> Due {
        let now = Instant::now();
        let ending = inner.ending;
        let is_due = |key: &Vec<u8>, view: &mut Arc<View>| {
            ending || self.due_at(key, view).is_none_or(|at| at <= now)
        };
        let due = inner.pending.extract_if(is_due).collect();
        let next = inner.pending.iter().filter_map(|(k, v)| self.due_at(k, v));
        (due, next.min(), ending)
    }

    /// When a view may be written; none for at once.
    fn due_at(&self, key: &[u8], view: &View) -> Option<Instant> {
        let last = self.written.get(key)?;
        let same = last.what == Some(content(view));
        Some(
            last.at
                + if same {
                    defaults::CACHE_REFRESH
                } else {
                    defaults::CACHE_INTERVAL
                },
        )
    }

    fn store(&mut self, key: &[u8], view: &View, cluster_id: &str, now: Instant) -> io::Result<()> {
        let file = view.to_cache_file(key, cluster_id, wall_ms());
        let name = cache_name(key);
        let stored = self
            .make_room(file.len() as u64, &name, now)
            .and_then(|()| self.files.write(&name, &file));
        let what = stored.is_ok().then(|| content(view));
        self.written.insert(key.to_vec(), Written { what, at: now });
        stored
    }

    /// Keeps the directory within its limit. It looks at it when the room could be gone, and once a
    /// minute because of other processes.
    fn make_room(&mut self, needed: u64, name: &str, now: Instant) -> io::Result<()> {
        let recent = self
            .scanned
            .is_some_and(|at| now - at < defaults::CACHE_REFRESH);
        if recent && self.used + needed <= defaults::CACHE_LIMIT {
            self.used += needed;
            return Ok(());
        }
        // The refresh of what is still wanted forgets nothing.
        self.written
            .retain(|_, w| now - w.at <= 2 * defaults::CACHE_REFRESH);
        let mut files = self.files.list()?;
        self.used = needed;
        self.scanned = Some(now);
        files.retain(|f| f.name != name);
        let Some(gone) = cache_room(&files, needed, defaults::CACHE_LIMIT) else {
            let text = "the view is larger than a cache directory may be";
            return Err(io::Error::new(ErrorKind::FileTooLarge, text));
        };
        let wall = wall_ms();
        let mut result = Ok(());
        for f in files {
            let left = f.name.ends_with(TEMP)
                && wall - f.modified_ms > signed_millis(defaults::CACHE_TEMP_LIFETIME);
            if left || gone.contains(&f.name) {
                result = result.and(self.files.remove(&f.name));
            } else {
                self.used += f.bytes;
            }
        }
        result
    }
}

/// What tells one content of a file from another.
fn content(v: &View) -> [u64; 4] {
    [v.position.epoch, v.view_id, v.digest, v.count]
}
