//! A directory for one test, and faults in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use muster_rules::cache_file::{CacheFile, decode_cache_file, encode_cache_file};
use muster_rules::cache_room::CacheSize;

use crate::cache_dir::{CacheDir, CacheFiles};
use crate::config::OpenCache;

/// A directory that goes with the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        let name = format!("muster-test-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory");
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|e| {
                let name = e.expect("an entry").file_name();
                name.into_string().expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }

    /// The path of the one file.
    pub(crate) fn only(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.0.join(&names[0])
    }

    /// Changes the one file, with a right checksum.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut CacheFile)) {
        let path = self.only();
        let content = fs::read(&path).expect("readable");
        let mut file = decode_cache_file(&content).expect("a cache file");
        change(&mut file);
        fs::write(path, encode_cache_file(&file)).expect("written");
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Counts writes, and fails them while the disk is full.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) writes: AtomicUsize,
    pub(crate) full: AtomicBool,
}

impl Faults {
    pub(crate) fn count(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Puts itself between a client and its directory.
    pub(crate) fn opener(self: &Arc<Self>) -> OpenCache {
        let faults = self.clone();
        Arc::new(move |path| {
            Ok(Arc::new(Faulty {
                faults: faults.clone(),
                inner: CacheDir::open(path)?,
            }))
        })
    }
}

struct Faulty {
    faults: Arc<Faults>,
    inner: CacheDir,
}

impl CacheFiles for Faulty {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.faults.writes.fetch_add(1, Ordering::SeqCst);
        if self.faults.full.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(28)); // ENOSPC
        }
        self.inner.write(name, content)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<CacheSize>> {
        self.inner.list()
    }
}
