//! What tests do to the registry.

use std::time::Duration;

use muster_proto::v1;

use super::check::{DEFAULT_TTL, normalised};
use super::core::{Core, random_id};
use super::registry::Registry;
use super::state::{EntryName, State};
use crate::instance::{Instance, InstanceKey};
use crate::kinds::Position;
use crate::spec::InstanceSpec;

/// For how long frames carry RECOVERING after history was lost.
const RECOVERY_TIME: Duration = Duration::from_secs(60);

impl Registry {
    /// Registers instances that nobody keeps alive: they stay until [`Registry::deregister`],
    /// [`Registry::expire`] or [`Registry::lose_history`]. An instance that is registered already,
    /// by whomever, is replaced, which is how it is changed.
    ///
    /// # Panics
    /// If a spec is wrong.
    pub fn register(&self, specs: impl IntoIterator<Item = InstanceSpec>) {
        for mut spec in specs {
            spec.identify(|| fastrand::u64(..));
            let i = normalised(&spec);
            let i = i.unwrap_or_else(|e| panic!("a test registry: {}", e.message));
            self.shared.with(|core, now| {
                core.grant(vec![i], DEFAULT_TTL, &random_id(), None, now);
            });
        }
    }

    /// Ends an instance by choice, whoever holds it; its key is `namespace/service/id`.
    ///
    /// # Panics
    /// If it is not registered.
    pub fn deregister(&self, key: &str) {
        self.with_registered(key, |core, name, lease_id| {
            core.deregister(
                lease_id,
                std::slice::from_ref(name),
                tokio::time::Instant::now(),
            );
        });
    }

    /// Makes the lease that holds an instance expire at once, with everything that it holds, as if
    /// its TTL had been missed.
    ///
    /// # Panics
    /// If it is not registered.
    pub fn expire(&self, key: &str) {
        self.with_registered(key, |core, _, lease_id| {
            core.expire(&[lease_id.to_owned()], tokio::time::Instant::now());
        });
    }

    /// Makes all leases expire at once.
    pub fn expire_all(&self) {
        self.shared.with(|core, now| {
            let ids: Vec<String> = core.state.leases.keys().cloned().collect();
            core.expire(&ids, now);
        });
    }

    /// Sets an instance to DRAINING without waiting for anybody, whoever holds it.
    ///
    /// # Panics
    /// If it is not registered.
    pub fn drain(&self, key: &str) {
        self.with_registered(key, |core, name, lease_id| {
            core.set_draining(
                lease_id,
                std::slice::from_ref(name),
                tokio::time::Instant::now(),
            );
        });
    }

    fn with_registered(&self, key: &str, act: impl FnOnce(&mut Core, &EntryName, &str)) {
        let mut parts = key.splitn(3, '/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let name = EntryName::from(InstanceKey {
            namespace: part(),
            service: part(),
            instance_id: part(),
        });
        let found = self.shared.with(|core, _| {
            let holder = core.state.holders.get(&name).cloned();
            holder.map(|lease_id| act(core, &name, &lease_id)).is_some()
        });
        assert!(
            found,
            "a test registry: no instance {key:?} is registered; keys are namespace/service/id"
        );
    }

    /// What is registered of a service, `namespace/service`, sorted by key; of all services if it
    /// is empty.
    #[must_use]
    pub fn instances(&self, service: &str) -> Vec<Instance> {
        self.shared.with(|core, _| {
            let all = core.state.instances.iter();
            all.filter(|(name, _)| service.is_empty() || name.service.to_string() == service)
                .map(|(_, i)| Instance::from_wire(v1::Instance::clone(i)))
                .collect()
        })
    }

    /// Where the registry's history stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.shared.with(|core, _| Position {
            epoch: core.state.epoch,
            revision: core.state.revision,
        })
    }

    /// How many watch streams are open.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.shared.with(|core, _| core.streams.len())
    }

    /// Cuts the registry off: connections break and new ones are refused, until
    /// [`Registry::heal`]. Time goes on: leases that cannot be renewed expire.
    pub fn cut(&self) {
        self.place.stop();
    }

    /// Lets clients connect again after [`Registry::cut`].
    pub fn heal(&self) {
        self.place.start();
    }

    /// Restarts the server as a crash would: connections break, and what is registered is still
    /// there. Leases have their whole TTL again, since nobody could renew them meanwhile. The log
    /// of changes is gone, so that clients resume by the digest of what they hold.
    pub fn restart(&self) {
        self.shared.with(|core, now| {
            core.state.compact();
            core.state.leases.values_mut().for_each(|l| l.renew(now));
            core.restarted(now);
        });
        self.place.cut_all();
    }

    /// Restarts the server without anything of what it knew: a new epoch begins, empty. For a
    /// minute the registry says that it is RECOVERING, so that clients keep what they held before
    /// as unconfirmed.
    pub fn lose_history(&self) {
        self.shared.with(|core, now| {
            core.state = State::new(core.state.epoch + 1);
            core.drains.clear();
            core.ended.clear();
            core.recovering_until = Some(now + RECOVERY_TIME);
            core.restarted(now);
        });
        self.place.cut_all();
    }

    /// Forgets the log of changes, as happens to old ones anyway: clients that resume from before
    /// get a new snapshot if anything changed.
    pub fn compact(&self) {
        self.shared.with(|core, _| core.state.compact());
    }
}
