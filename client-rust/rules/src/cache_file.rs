//! The file in which a client keeps a verified view: its bytes, and what they may turn out to be.

use xxhash_rust::xxh64::xxh64;

/// Begins every cache file.
const MAGIC: &[u8; 8] = b"MUSTLKG\n";
/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// The length of what stands before the body: magic, format, checksum and length.
const HEAD: usize = 28;
/// Where the part begins that the checksum covers.
const CHECKED: usize = 20;

/// The kind of an encoded `muster.v1.Instance`.
pub const CACHE_INSTANCE: u8 = 1;
/// The kind of an encoded `muster.v1.ServiceState`.
pub const CACHE_SERVICE: u8 = 2;
/// The kind of an encoded `muster.v1.ServiceName` that may not be seen.
pub const CACHE_FORBIDDEN: u8 = 3;

/// A verified view as a client keeps it on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheFile {
    /// The registry that it came from.
    pub cluster_id: String,
    /// The encoded selector that it is of.
    pub selector: Vec<u8>,
    /// The history that it is of.
    pub epoch: u64,
    /// Where in the history it is.
    pub revision: u64,
    /// The view id of its last header.
    pub view_id: u64,
    /// The digest of its last header.
    pub digest: u64,
    /// The count of its last header.
    pub count: u64,
    /// When it was written, by the wall clock in Unix ms.
    pub written_ms: i64,
    /// How old its data was then.
    pub age_ms: i64,
    /// The entries of the view, in its order.
    pub entries: Vec<CacheEntry>,
}

/// One entry of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// What `value` encodes.
    pub kind: u8,
    /// A message in protobuf's wire format.
    pub value: Vec<u8>,
}

/// Why bytes are not a cache file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFault {
    /// The end is missing.
    Truncated,
    /// They do not begin as a cache file does.
    Foreign,
    /// A later version wrote them.
    Newer,
    /// They were changed.
    Corrupted,
}

impl CacheFault {
    /// The name that both clients print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CacheFault::Truncated => "TRUNCATED",
            CacheFault::Foreign => "FOREIGN",
            CacheFault::Newer => "NEWER_FORMAT",
            CacheFault::Corrupted => "CORRUPTED",
        }
    }
}

/// Writes a file.
#[must_use]
pub fn encode_cache_file(f: &CacheFile) -> Vec<u8> {
    let mut body = Vec::new();
    put_bytes(&mut body, f.cluster_id.as_bytes());
    put_bytes(&mut body, &f.selector);
    for n in [f.epoch, f.revision, f.view_id, f.digest, f.count] {
        body.extend_from_slice(&n.to_le_bytes());
    }
    for n in [f.written_ms, f.age_ms] {
        body.extend_from_slice(&n.to_le_bytes());
    }
    for e in &f.entries {
        body.push(e.kind);
        put_bytes(&mut body, &e.value);
    }
    let mut checked = (body.len() as u64).to_le_bytes().to_vec();
    checked.append(&mut body);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&xxh64(&checked, 0).to_le_bytes());
    file.append(&mut checked);
    file
}

fn put_bytes(to: &mut Vec<u8>, value: &[u8]) {
    to.extend_from_slice(&(value.len() as u64).to_le_bytes());
    to.extend_from_slice(value);
}

/// Reads what [`encode_cache_file`] wrote.
///
/// # Errors
/// What the bytes are instead.
pub fn decode_cache_file(b: &[u8]) -> Result<CacheFile, CacheFault> {
    if b.len() < HEAD {
        return Err(CacheFault::Truncated);
    }
    if !b.starts_with(MAGIC) {
        return Err(CacheFault::Foreign);
    }
    match u32_at(b, MAGIC.len()) {
        FORMAT => {}
        0 => return Err(CacheFault::Corrupted),
        _ => return Err(CacheFault::Newer),
    }
    let body = &b[HEAD..];
    let length = u64_at(b, CHECKED);
    if length > body.len() as u64 {
        return Err(CacheFault::Truncated);
    }
    let checksum = u64_at(b, CHECKED - 8);
    if length < body.len() as u64 || xxh64(&b[CHECKED..], 0) != checksum {
        return Err(CacheFault::Corrupted);
    }
    Reader { rest: body }.file().ok_or(CacheFault::Corrupted)
}

/// The number at a place that exists.
fn u32_at(b: &[u8], at: usize) -> u32 {
    let mut n = [0; 4];
    n.copy_from_slice(&b[at..at + 4]);
    u32::from_le_bytes(n)
}

/// The number at a place that exists.
fn u64_at(b: &[u8], at: usize) -> u64 {
    let mut n = [0; 8];
    n.copy_from_slice(&b[at..at + 8]);
    u64::from_le_bytes(n)
}

/// Takes a body apart; none once something is missing.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn file(&mut self) -> Option<CacheFile> {
        let mut f = CacheFile {
            cluster_id: String::from_utf8(self.bytes()?.to_vec()).ok()?,
            selector: self.bytes()?.to_vec(),
            epoch: self.number()?,
            revision: self.number()?,
            view_id: self.number()?,
            digest: self.number()?,
            count: self.number()?,
            written_ms: self.number()?.cast_signed(),
            age_ms: self.number()?.cast_signed(),
            entries: Vec::new(),
        };
        while let Some((kind, rest)) = self.rest.split_first() {
            self.rest = rest;
            if !(CACHE_INSTANCE..=CACHE_FORBIDDEN).contains(kind) {
                return None;
            }
            let value = self.bytes()?.to_vec();
            f.entries.push(CacheEntry { kind: *kind, value });
        }
        Some(f)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64_at(self.take(8)?, 0))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// The next n bytes; none if there are fewer.
    fn take(&mut self, n: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(usize::try_from(n).unwrap_or(usize::MAX))?;
        self.rest = rest;
        Some(taken)
    }
}
