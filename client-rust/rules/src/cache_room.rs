//! Which files leave a cache directory that is full.

/// A file in a cache directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSize {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub bytes: u64,
    /// When it was written, by the wall clock in Unix ms.
    pub modified_ms: i64,
}

/// Says which files must go, oldest first, so that `needed` more bytes fit under `limit`. None if
/// they never do; then nothing goes.
#[must_use]
pub fn cache_room(files: &[CacheSize], needed: u64, limit: u64) -> Option<Vec<String>> {
    let mut room = limit.checked_sub(needed)?;
    let mut oldest: Vec<&CacheSize> = files.iter().collect();
    oldest.sort_by(|a, b| (a.modified_ms, &a.name).cmp(&(b.modified_ms, &b.name)));
    // From the newest on, keep what fits; all that is older than the first that does not fit goes.
    while let Some(left) = oldest.last().and_then(|f| room.checked_sub(f.bytes)) {
        room = left;
        oldest.pop();
    }
    Some(oldest.into_iter().map(|f| f.name.clone()).collect())
}
