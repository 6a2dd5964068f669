//! Leases: which daemon does which piece of the work. A daemon that dies loses its leases, not its messages.
//!
//! A lease is renewed well before it ends. Whoever was away for longer finds that its fence is of yesterday,
//! and the store refuses what it wants to send.

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
}

impl Leases {
    pub(crate) fn new() -> Result<Leases, StoreError> {
        let name: [u8; 8] = random()?;
        Ok(Leases { holder: hex::encode(name), held: Mutex::default() })
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
        let until = now + LASTS;
        let holder = self.leases.holder.clone();
        let asked = self.store.commit(Step::Lease { name: name.into(), holder, until }).await?;
        let mut held = self.leases.held.lock().await;
        match asked {
            Committed::Leased(lease) => {
                held.insert(name.into(), (lease.clone(), until));
                Ok(Some(lease))
            }
            _ => {
                held.remove(name);
                Ok(None)
            }
        }
    }

    /// The lease of a project's sender: who paces it.
    pub(crate) async fn sending_lease(&self, project: &Project) -> Result<Option<Lease>, StoreError> {
        self.lease(&format!("sender/{}", project.account.number.expose())).await
    }
}
