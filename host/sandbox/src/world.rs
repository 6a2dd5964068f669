//! What every part of the sandbox shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::account::Account;
use crate::faults::Plan;
use crate::post::Post;
use crate::study::Study;

/// Tells the instant. The sandbox asks for it whenever something happens, and never waits for it to pass.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(crate) struct World {
    account: Mutex<Account>,
    study: Mutex<Study>,
    plan: Mutex<Plan>,
    now: Now,
    zone: TimeZone,
    /// Counts releases of the creates that wait for one.
    pub(crate) released: watch::Sender<u64>,
    /// Counts changes, so that a page or a test can wait for the next one.
    changes: watch::Sender<u64>,
    pub(crate) post: Post,
    pub(crate) base_url: String,
}

impl World {
    pub(crate) fn new(
        account: Account,
        study: Study,
        now: Now,
        zone: TimeZone,
        post: Post,
        base_url: String,
    ) -> Self {
        Self {
            account: Mutex::new(account),
            study: Mutex::new(study),
            plan: Mutex::default(),
            now,
            zone,
            released: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            post,
            base_url,
        }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        locked(&self.account)
    }

    pub(crate) fn study(&self) -> MutexGuard<'_, Study> {
        locked(&self.study)
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.plan)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// REDCap's clock: server local time, without a zone.
    pub(crate) fn local_now(&self) -> DateTime {
        self.zone.to_datetime(self.now())
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A panic elsewhere, as in a failed assertion of a test, must not hide what the sandbox holds.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
