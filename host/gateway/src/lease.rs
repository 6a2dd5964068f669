//! Leases: which daemon does which piece of the work. A daemon that dies loses its leases, not its messages.
//!
//! A lease is renewed well before it ends. Whoever was away for longer finds that its fence is of yesterday,
//! and the store refuses what it wants to send.
//!
//! Daemons that share a database share the leases evenly: each holds one for itself, so that the others can
//! count it, and takes no more of the rest than its part.

use std::collections::BTreeMap;

use tokio::sync::Mutex;

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
    held: Mutex<BTreeMap<String, (Lease, u32)>>,
    /// How many daemons there were, and until when that is believed.
    daemons: Mutex<(usize, u32)>,
}

impl Leases {
    pub(crate) fn new() -> Result<Leases, StoreError> {
        let name: [u8; 8] = random()?;
        Ok(Leases { holder: hex::encode(name), held: Mutex::default(), daemons: Mutex::default() })
    }

    /// How many it holds, by what stands before the slash.
    pub(crate) async fn held(&self, now: u32) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for (name, (_, until)) in &*self.held.lock().await {
            if *until > now {
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
        if let Some((lease, until)) = self.leases.held.lock().await.get(name)
            && *until > now + LASTS / 2
        {
            return Ok(Some(lease.clone()));
        }
        if self.draining() {
            return Ok(None);
        }
        // One that is held beyond this daemon's part ends now, so that another can have it.
        let until = if self.has_its_part(name, now).await? { now + LASTS } else { now };
        let holder = self.leases.holder.clone();
        let asked = self.store.commit(Step::Lease { name: name.into(), holder, until }).await?;
        let mut held = self.leases.held.lock().await;
        match asked {
            Committed::Leased(lease) if until > now => {
                held.insert(name.into(), (lease.clone(), until));
                Ok(Some(lease))
            }
            _ => {
                held.remove(name);
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
        let held = self.leases.held.lock().await;
        let others = held.iter().filter(|(other, (_, until))| {
            *until > now && *other != name && other.split_once('/').is_some_and(|(it, _)| it == kind)
        });
        Ok(others.count() < part)
    }

    /// How many daemons are at work, this one among them.
    async fn daemons(&self, now: u32) -> Result<usize, StoreError> {
        let mut counted = self.leases.daemons.lock().await;
        let (count, until) = *counted;
        if until > now {
            return Ok(count);
        }
        let holder = self.leases.holder.clone();
        let step = Step::Lease { name: format!("daemon/{holder}"), holder, until: now + LASTS };
        self.store.commit(step).await?;
        let count = self.store.daemons(now).await?;
        *counted = (count, now + LASTS / 3);
        Ok(count)
    }

    /// The lease of a project's sender: who paces it.
    pub(crate) async fn sending_lease(&self, project: &Project) -> Result<Option<Lease>, StoreError> {
        self.lease(&format!("sender/{}", project.account.number.expose())).await
    }
}
