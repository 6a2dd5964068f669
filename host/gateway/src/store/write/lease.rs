//! Which daemon does which piece of the work.

use super::super::sql::{one, values};
use super::super::{Committed, Lease, StoreError};
use super::Writing;
/// Seconds that no lease lasts longer than.
const LONGEST: u32 = 300;

impl Writing<'_> {
    pub(super) fn lease(&mut self, name: &str, holder: &str, until: u32) -> Result<Committed, StoreError> {
        self.leases.clear();
        let select =
            format!("SELECT holder, fence, until FROM lease WHERE name = ?1{}", self.db.for_update());
        let Some(held) = one(self.db, &select, values![name])? else {
            let inserted = self.db.execute(
                "INSERT INTO lease (name, holder, fence, until) VALUES (?1, ?2, 1, ?3) ON CONFLICT (name) DO NOTHING",
                values![name, holder, until],
            )?;
            let lease = Lease { name: name.into(), fence: 1 };
            return Ok(if inserted == 1 { Committed::Leased(lease) } else { Committed::Stale });
        };
        let (by, fence, ends): (String, i64, u32) = (held.get(0)?, held.get(1)?, held.get(2)?);
        // None lasts for so long: it was written by a clock that was wrong.
        let in_force = ends > self.now && ends - self.now <= LONGEST;
        if in_force && by != holder {
            return Ok(Committed::Stale);
        }
        // One that had ended was perhaps another's in between, so it counts as a new holder's.
        let fence = if in_force { fence } else { fence + 1 };
        self.db.execute(
            "UPDATE lease SET holder = ?2, fence = ?3, until = ?4 WHERE name = ?1",
            values![name, holder, fence, until],
        )?;
        Ok(Committed::Leased(Lease { name: name.into(), fence }))
    }

    pub(super) fn holds(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        if self.leases.contains(lease) {
            return Ok(true);
        }
        // It stays so until the transaction ends.
        let select = format!(
            "SELECT 1 FROM lease WHERE name = ?1 AND fence = ?2 AND until > ?3{}",
            self.db.for_update()
        );
        let held = one(self.db, &select, values![lease.name.as_str(), lease.fence, self.now])?.is_some();
        if held {
            self.leases.push(lease.clone());
        }
        Ok(held)
    }
}
