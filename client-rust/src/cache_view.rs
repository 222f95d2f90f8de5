//! A view as a cache file, and back.

use std::sync::Arc;

use bytes::Bytes;
use muster_proto::v1;
use muster_rules::cache_age::cache_age;
use muster_rules::cache_file::{
    CACHE_INSTANCE, CACHE_SERVICE, CacheEntry, CacheFile, encode_cache_file,
};
use prost::Message;
use xxhash_rust::xxh64::xxh64;

use crate::cache_dir::SUFFIX;
use crate::frame::{FrameState, Outcome};
use crate::freshness::Timing;
use crate::instance::ServiceName;
use crate::kinds::{Position, SnapshotCause};
use crate::view::{Source, View};

/// The file of a selector, by its key.
pub(crate) fn cache_name(key: &[u8]) -> String {
    format!("{:016x}{SUFFIX}", xxh64(key, 0))
}

impl View {
    /// Whether the view is worth to be started from. One of a registry that is recovering is not:
    /// the view before it is, whose instances the new history is to confirm.
    pub(crate) fn is_cacheable(&self) -> bool {
        self.is_received()
            && self.source == Source::Registry
            && !self.unverified
            && !self.distrusted
            && !self.flags.recovering
    }

    /// The bytes of the view's file of now.
    pub(crate) fn to_cache_file(&self, key: &[u8], cluster_id: &str, now_ms: i64) -> Vec<u8> {
        let instances = self.instances.iter().map(|i| CacheEntry {
            kind: CACHE_INSTANCE,
            value: i.to_wire().encode_to_vec(),
        });
        let services = self.services.iter().map(|s| CacheEntry {
            kind: CACHE_SERVICE,
            value: s.to_wire().encode_to_vec(),
        });
        let forbidden = self.forbidden.iter().map(|n| CacheEntry {
            kind: muster_rules::cache_file::CACHE_FORBIDDEN,
            value: v1::ServiceName {
                namespace: n.namespace.clone(),
                service: n.service.clone(),
            }
            .encode_to_vec(),
        });
        encode_cache_file(&CacheFile {
            cluster_id: cluster_id.to_owned(),
            selector: key.to_vec(),
            epoch: self.position.epoch,
            revision: self.position.revision,
            view_id: self.view_id,
            digest: self.digest,
            count: self.count,
            written_ms: now_ms,
            age_ms: self.age_ms().unwrap_or(0),
            entries: instances.chain(services).chain(forbidden).collect(),
        })
    }
}

/// What a file holds of a selector: verified, and to be resumed from.
pub(crate) struct DiskView {
    pub(crate) cluster_id: String,
    pub(crate) frames: FrameState,
    pub(crate) forbidden: Arc<[ServiceName]>,
    age_ms: i64,
    header: v1::ViewHeader,
}

impl DiskView {
    /// Verifies a file like a snapshot; an error is why it is not taken.
    pub(crate) fn of(
        f: CacheFile,
        key: &[u8],
        stale_ms: i64,
        now_ms: i64,
    ) -> Result<DiskView, String> {
        if f.selector != key {
            return Err("it is of another selector".to_owned());
        }
        let header = v1::ViewHeader {
            epoch: f.epoch,
            revision: f.revision,
            view_id: f.view_id,
            digest: f.digest,
            count: f.count,
            ..Default::default()
        };
        let mut snapshot = v1::Snapshot {
            header: Some(header.clone()),
            chunk: Some(v1::Chunk {
                index: 0,
                position: v1::ChunkPosition::Final as i32,
            }),
            cause: v1::SnapshotCause::First as i32,
            ..Default::default()
        };
        let mut forbidden = Vec::new();
        for entry in f.entries {
            add(&mut snapshot, &mut forbidden, entry).map_err(|e| e.to_string())?;
        }
        let mut frames = FrameState::default();
        if let Outcome::Broken(broken) = frames.snapshot(snapshot, &[], 0) {
            return Err(broken.text().to_owned());
        }
        Ok(DiskView {
            age_ms: cache_age(now_ms, f.written_ms, f.age_ms, stale_ms),
            cluster_id: f.cluster_id,
            forbidden: forbidden.into(),
            frames,
            header,
        })
    }

    /// Makes an empty view the one from disk.
    pub(crate) fn show(&self, v: &mut View) {
        v.timing = Some(Timing {
            received_ms: v.clock.now_ms(),
            age_then_ms: self.age_ms,
        });
        v.source = Source::Disk;
        v.position = Position::new(self.header.epoch, self.header.revision);
        v.view_id = self.header.view_id;
        v.digest = self.header.digest;
        v.count = self.header.count;
        v.instances = self.frames.instances();
        v.services = self.frames.services();
        v.forbidden = self.forbidden.clone();
        v.snapshots = 1;
        v.last_cause = SnapshotCause::First;
    }
}

/// Decodes an entry to where it belongs.
fn add(
    to: &mut v1::Snapshot,
    forbidden: &mut Vec<ServiceName>,
    entry: CacheEntry,
) -> Result<(), prost::DecodeError> {
    let value = Bytes::from(entry.value);
    match entry.kind {
        CACHE_INSTANCE => to.instances.push(v1::Instance::decode(value)?),
        CACHE_SERVICE => to.services.push(v1::ServiceState::decode(value)?),
        _ => {
            let name = v1::ServiceName::decode(value)?;
            forbidden.push(ServiceName::new(name.namespace, name.service));
        }
    }
    Ok(())
}
