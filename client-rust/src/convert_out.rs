//! Entries as a server would send them, for the disk cache. What `from_wire` reads, this writes.

use muster_proto::v1;

use crate::instance::{Endpoint, HealthSlot, Instance, Locality, ServiceState, shard_to_wire};
use crate::kinds::Timestamp;
use crate::policy::TrafficPolicy;

impl Instance {
    /// The entry as a server would send it, for the disk cache. It names every field, so that one
    /// that is read from servers is not left out here.
    pub(crate) fn to_wire(&self) -> v1::Instance {
        let Instance {
            key,
            version,
            endpoints,
            locality,
            weight,
            lifecycle,
            shard,
            metadata,
            capabilities,
            schema_version,
            health,
            health_slots,
            incarnation,
            create_revision,
            modify_revision,
            create_time,
            modify_time,
            origin,
            unconfirmed: _, // is not the server's to say
            tag,
        } = self.clone();
        v1::Instance {
            namespace: key.namespace,
            service: key.service,
            instance_id: key.instance_id,
            version,
            endpoints: endpoints.into_iter().map(endpoint_to_wire).collect(),
            locality: (locality != Locality::default()).then_some(v1::Locality {
                region: locality.region,
                zone: locality.zone,
            }),
            weight: Some(weight),
            lifecycle: lifecycle.to_wire(),
            shard: shard.as_ref().map(shard_to_wire),
            metadata: metadata.into_iter().collect(),
            capabilities,
            schema_version,
            health: health.to_wire(),
            health_slots: health_slots.into_iter().map(slot_to_wire).collect(),
            incarnation,
            create_revision,
            modify_revision,
            create_time: create_time.map(time_to_wire),
            modify_time: modify_time.map(time_to_wire),
            origin: origin.map(|o| v1::Origin {
                region: o.region,
                cluster_id: o.cluster_id,
                epoch: o.position.epoch,
                revision: o.position.revision,
            }),
            tag,
            checks: Vec::new(), // never sent to watchers
            self_health: None,
        }
    }
}

fn endpoint_to_wire(e: Endpoint) -> v1::Endpoint {
    v1::Endpoint {
        name: e.name,
        address: e.address,
        protocol: e.protocol.to_wire(),
        security: e.security.to_wire(),
        server_name: e.server_name,
        authority: e.authority,
    }
}

fn slot_to_wire(s: HealthSlot) -> v1::HealthSlot {
    v1::HealthSlot {
        source: s.source.to_wire(),
        health: s.health.to_wire(),
        reason: s.reason,
        since_time: s.since_time.map(time_to_wire),
    }
}

fn time_to_wire(t: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: t.seconds,
        nanos: t.nanos,
    }
}

impl ServiceState {
    /// The state as a server would send it, as far as this client knows it.
    pub(crate) fn to_wire(&self) -> v1::ServiceState {
        let ServiceState {
            name,
            held,
            emptied,
            policy,
            create_revision,
            modify_revision,
            tag,
        } = self.clone();
        v1::ServiceState {
            namespace: name.namespace,
            service: name.service,
            policy: policy.as_ref().map(TrafficPolicy::to_wire),
            holds: Vec::from_iter(held.then(v1::GuardHold::default)),
            emptied: emptied.map(|e| v1::Emptied {
                reason: e.reason.to_wire(),
                instance_id: e.instance_id,
                revision: e.revision,
                time: e.time.map(time_to_wire),
            }),
            create_revision,
            modify_revision,
            tag,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Shard;

    #[test]
    fn entries_out_and_in_again() {
        let time = Some(prost_types::Timestamp {
            seconds: 5,
            nanos: 6,
        });
        let mut i = v1::Instance {
            namespace: "shop".into(),
            service: "pay".into(),
            instance_id: "pay-7".into(),
            version: "1.2.3".into(),
            endpoints: vec![v1::Endpoint {
                name: "grpc".into(),
                address: "10.0.0.5:8080".into(),
                protocol: 2,
                security: 3,
                server_name: "s".into(),
                authority: "a".into(),
            }],
            locality: Some(v1::Locality {
                region: "r".into(),
                zone: "z".into(),
            }),
            weight: Some(0),
            lifecycle: 3,
            metadata: [("k".into(), "v".into())].into(),
            capabilities: vec!["c".into()],
            schema_version: 4,
            health: 2,
            health_slots: vec![v1::HealthSlot {
                source: 2,
                health: 3,
                reason: "why".into(),
                since_time: time,
            }],
            incarnation: 9,
            create_revision: 10,
            modify_revision: 11,
            create_time: time,
            modify_time: time,
            origin: Some(v1::Origin {
                region: "r".into(),
                cluster_id: "c1".into(),
                epoch: 12,
                revision: 13,
            }),
            tag: 14,
            ..Default::default()
        };
        for shard in [Shard::Ids(vec![1, 2]), {
            let (start, end) = (b"a".to_vec(), b"b".to_vec());
            Shard::KeyRange { start, end }
        }] {
            i.shard = Some(shard_to_wire(&shard));
            assert_eq!(Instance::from_wire(i.clone()).to_wire(), i);
        }
        let s = v1::ServiceState {
            namespace: "shop".into(),
            service: "pay".into(),
            policy: Some(v1::TrafficPolicy {
                version_shares: vec![v1::VersionShare {
                    version_range: ">=1.0.0".into(),
                    share: 7,
                }],
                locality_rule: 4,
                subset_size: 5,
                panic_threshold: Some(0),
            }),
            holds: vec![v1::GuardHold::default()],
            emptied: Some(v1::Emptied {
                reason: 2,
                instance_id: "pay-7".into(),
                revision: 3,
                time,
            }),
            create_revision: 1,
            modify_revision: 2,
            tag: 3,
        };
        assert_eq!(ServiceState::from_wire(s.clone()).to_wire(), s);
    }
}
