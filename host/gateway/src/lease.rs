//! Leases: which daemon does which piece of the work. A daemon that dies loses its leases, not its messages.
//!
//! A lease is renewed well before it ends. Whoever was away for longer finds that its fence is of yesterday,
//! and the store refuses what it wants to send.
//!
//! Daemons that share a database share the leases evenly: each holds one for itself, so that the others can
//! count it, and takes no more of the rest than its part.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::gateway::Gateway;
use crate::project::Project;
use crate::store::{Committed, Lease, Step, StoreError, random};

/// How long a lease lasts, in seconds.
const LASTS: u32 = 30;

/// The leases of a daemon.
#[derive(Debug)]
pub(crate) struct Leases {
    /// The daemon's name, new with each start: leases are not inherited.
    pub(crate) holder: String,
    held: Mutex<BTreeMap<String, Held>>,
    /// Leases that others hold, and until when they are not asked for again.
    refused: Mutex<BTreeMap<String, u32>>,
    /// How many daemons there were, and until when that is believed.
    daemons: Mutex<(usize, u32)>,
}

/// A lease that this daemon holds.
#[derive(Clone, Debug)]
struct Held {
    lease: Lease,
    /// When it ends, in seconds.
    until: u32,
    /// Since when it was held without a break.
    since: u32,
}

impl Leases {
    pub(crate) fn new() -> Result<Leases, StoreError> {
        let name: [u8; 8] = random()?;
        Ok(Leases {
            holder: hex::encode(name),
            held: Mutex::default(),
            refused: Mutex::default(),
            daemons: Mutex::default(),
        })
    }

    /// How many it holds, by what stands before the slash.
    pub(crate) fn held(&self, now: u32) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for (name, held) in &*self.held.lock() {
            if held.until > now {
                *count.entry(name.split('/').next().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        count
    }
}

impl Gateway {
    /// The lease of a piece of work, if this daemon has it or can have it.
    pub(crate) async fn lease(&self, name: &str) -> Result<Option<Lease>, StoreError> {
        let now = self.clock.seconds();
        if let Some(held) = self.leases.held.lock().get(name)
            && held.until > now + LASTS / 2
        {
            return Ok(Some(held.lease.clone()));
        }
        if self.draining() || self.leases.refused.lock().get(name).is_some_and(|until| *until > now) {
            return Ok(None);
        }
        // One that is held beyond this daemon's part ends now, so that another can have it.
        let until = if self.has_its_part(name, now).await? { now + LASTS } else { now };
        let holder = self.leases.holder.clone();
        let asked = self.store.commit(Step::Lease { name: name.into(), holder, until }).await?;
        let mut held = self.leases.held.lock();
        match asked {
            Committed::Leased(lease) if until > now => {
                let before = held.get(name).filter(|before| before.lease == lease);
                let since = before.map_or(now, |before| before.since);
                held.insert(name.into(), Held { lease: lease.clone(), until, since });
                Ok(Some(lease))
            }
            _ => {
                held.remove(name);
                // Another daemon is at it; it is not asked again every moment.
                self.leases.refused.lock().insert(name.into(), now + LASTS / 10);
                Ok(None)
            }
        }
    }

    /// Whether this daemon may take a lease, or keep it, beside those of the same kind that it holds.
    async fn has_its_part(&self, name: &str, now: u32) -> Result<bool, StoreError> {
        let Some((kind, _)) = name.split_once('/').filter(|_| self.store.is_shared()) else {
            return Ok(true);
        };
        let daemons = self.daemons(now).await?;
        let part = self.projects.len().div_ceil(daemons.max(1));
        let held = self.leases.held.lock();
        let others = held.iter().filter(|(other, held)| {
            held.until > now && *other != name && other.split_once('/').is_some_and(|(it, _)| it == kind)
        });
        Ok(others.count() < part)
    }

    /// How many daemons are at work, this one among them.
    async fn daemons(&self, now: u32) -> Result<usize, StoreError> {
        let (count, until) = *self.leases.daemons.lock();
        if until > now {
            return Ok(count);
        }
        let holder = self.leases.holder.clone();
        let step = Step::Lease { name: format!("daemon/{holder}"), holder, until: now + LASTS };
        self.store.commit(step).await?;
        let count = self.store.daemons(now).await?;
        *self.leases.daemons.lock() = (count, now + LASTS / 3);
        Ok(count)
    }

    /// The lease of a project's sender: who paces it.
    pub(crate) async fn sending_lease(&self, project: &Project) -> Result<Option<Lease>, StoreError> {
        self.lease(&sender(project)).await
    }

    /// Whether this daemon has the lease of a project's sender, which is not asked for and not renewed.
    pub(crate) fn is_sending(&self, project: &Project) -> bool {
        let now = self.clock.seconds();
        self.leases.held.lock().get(&sender(project)).is_some_and(|held| held.until > now)
    }

    /// Since when this daemon has held the lease of a project's sender without a break.
    pub(crate) fn sending_since(&self, project: &Project) -> u32 {
        let held = self.leases.held.lock();
        held.get(&sender(project)).map_or(u32::MAX, |held| held.since)
    }
}

fn sender(project: &Project) -> String {
    format!("sender/{}", project.account.number.expose())
}
