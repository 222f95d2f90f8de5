//! The directory of cache files, as the operating system has it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use muster_rules::cache_room::CacheSize;
use muster_rules::defaults;

// What the names of cache files end in.
pub(crate) const SUFFIX: &str = ".view";
pub(crate) const TEMP: &str = ".tmp";
pub(crate) const CORRUPT: &str = ".corrupt";
pub(crate) const NEWER: &str = ".newer";

/// A directory of cache files; tests put faults in between. Only the cache's task writes, anybody
/// reads. All of it blocks.
pub(crate) trait CacheFiles: Send + Sync {
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Replaces a file as a whole, or leaves it as it was.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Every file that a cache made, of other processes too.
    fn list(&self) -> io::Result<Vec<CacheSize>>;
}

/// The cache files of a directory of the operating system.
#[derive(Debug)]
pub(crate) struct CacheDir(PathBuf);

impl CacheDir {
    /// Makes the directory if it is not there, for this user alone, and tells whether it can be
    /// written to.
    pub(crate) fn open(path: &Path) -> io::Result<CacheDir> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path)?;
        let dir = CacheDir(path.to_owned());
        let probe = dir.temp("0000000000000000");
        match write_new(&probe, b"") {
            Ok(()) => fs::remove_file(probe)?,
            Err(e) if e.kind() == ErrorKind::StorageFull => {} // that passes
            Err(e) => return Err(e),
        }
        Ok(dir)
    }

    /// A name of its own: another process may be writing the same view.
    fn temp(&self, base: &str) -> PathBuf {
        let word = fastrand::u64(..);
        let process = std::process::id();
        self.0
            .join(format!(".{base}.{process:x}-{word:016x}{TEMP}"))
    }
}

impl CacheFiles for CacheDir {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.0.join(name);
        let size = fs::metadata(&path)?.len();
        if size > defaults::CACHE_LIMIT {
            let text = format!("{name} has {size} bytes, more than a cache may hold");
            return Err(io::Error::new(ErrorKind::FileTooLarge, text));
        }
        fs::read(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temp = self.temp(name.trim_end_matches(SUFFIX));
        let written = write_new(&temp, content).and_then(|()| fs::rename(&temp, self.0.join(name)));
        if let Err(e) = written {
            // What cannot be removed now is removed as left over later.
            let _ = fs::remove_file(&temp);
            return Err(e);
        }
        // Makes the rename last.
        File::open(&self.0)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<CacheSize>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(about) = entry.metadata() else {
                continue; // gone meanwhile
            };
            if about.is_file() && is_cache_name(&name) {
                files.push(CacheSize {
                    name,
                    bytes: about.len(),
                    modified_ms: about.modified().map_or(0, unix_ms),
                });
            }
        }
        Ok(files)
    }
}

impl fmt::Display for CacheDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Writes a file that did not exist, through to the disk.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whether a cache made a file of this name, so that nothing else in the directory is ever removed.
fn is_cache_name(name: &str) -> bool {
    let hidden = name.strip_prefix('.');
    let Some((base, ending)) = hidden.unwrap_or(name).split_once('.') else {
        return false;
    };
    let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if base.len() != 16 || !base.bytes().all(digits) {
        return false;
    }
    match hidden {
        Some(_) => ending.ends_with(TEMP),
        None => matches!(ending, "view" | "view.corrupt" | "view.newer"),
    }
}

/// The wall clock, in Unix ms: the age of a file must outlive the process.
#[allow(
    clippy::disallowed_types,
    reason = "compares with what another process wrote; ages of what this one holds are monotonic"
)]
pub(crate) fn wall_ms() -> i64 {
    unix_ms(std::time::SystemTime::now())
}

#[allow(clippy::disallowed_types, reason = "times of files are wall clock")]
fn unix_ms(t: std::time::SystemTime) -> i64 {
    let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match t.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    }
}
