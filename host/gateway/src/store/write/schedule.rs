//! What was scheduled: going live, the brake, and what a person does with what either of them held.

use serde_json::json;

use super::super::read::messages;
use super::super::sql::{Value, scalar, values};
use super::super::{CatchUp, Catching, Committed, StoreError};
use super::Writing;
use crate::gateway::CAN_BE_MENDED;
use crate::outbox::{Message, Reason, State};
use crate::takeover::QUEUED;
use crate::watch::{BEFORE_GO_LIVE, BRAKE};

/// Messages that one step touches at most; who asks for more asks again.
const AT_ONCE: u32 = 500;

impl Writing<'_> {
    pub(super) fn figure(&mut self, name: &str, value: u32) -> Result<(), StoreError> {
        self.db.execute(
            "INSERT INTO figure (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            values![name, value],
        )?;
        Ok(())
    }

    /// A project, or some of its schedules, has recorded what was due before it, and sends what becomes due from now
    /// on.
    pub(super) fn go_live(&mut self, project: &str, schedules: &[String]) -> Result<Committed, StoreError> {
        let live = format!("live/{project}");
        let since: Option<u32> =
            self.first("SELECT value FROM figure WHERE name = ?1", values![live.as_str()])?;
        if since.is_none() {
            self.figure(&live, self.now)?;
        }
        for schedule in schedules {
            self.figure(&format!("begun/{project}/{schedule}"), self.now)?;
        }
        let held: u64 = scalar(
            self.db,
            "SELECT COUNT(*) FROM message WHERE project = ?1 AND state = 'held' AND rule = ?2",
            values![project, BEFORE_GO_LIVE],
        )?;
        self.ledger("went-live", project, &json!({ "held": held, "schedules": schedules }), None)?;
        if held > 0 {
            let sentence = format!(
                "{held} messages were due before the project went live, and are not sent unless somebody releases \
                 them: `consentry catch-up {project}` shows them"
            );
            let cause = format!("go-live/{project}/{}", self.now);
            self.close_tasks("before-go-live", &format!("go-live/{project}/"), "there is a newer one")?;
            self.plan_task("before-go-live", project, &cause, None, &sentence)?;
        }
        Ok(Committed::Done)
    }

    /// Holds what is far more than was planned: what was found only when it was due, and what is late by an hour.
    pub(super) fn brake(&mut self, project: &str, more_than: u32) -> Result<Committed, StoreError> {
        let unplanned = "WHERE project = ?1 AND state = 'planned' AND schedule IS NOT NULL \
                         AND schedule NOT LIKE 'by-hand/%' AND look_at <= ?2 AND (since + 60 >= due OR due + 3600 <= ?2)";
        let counted = format!("SELECT COUNT(*) FROM (SELECT 1 FROM message {unplanned} LIMIT ?3) AS counted");
        let count: u32 = scalar(self.db, &counted, values![project, self.now, more_than.saturating_add(1)])?;
        let name = format!("brake/{project}");
        let braked: Option<u32> =
            self.first("SELECT value FROM figure WHERE name = ?1", values![name.as_str()])?;
        let braked = braked.is_some_and(|at| at > 0);
        if count == 0 || (count <= more_than && !braked) {
            return Ok(Committed::Count(0));
        }
        let reason = Reason::new(
            BRAKE,
            format!(
                "more than {more_than} messages became due at once that nobody had planned for; a person looks before \
                 any of them is sent"
            ),
        );
        let some = format!("{unplanned} ORDER BY look_at, id LIMIT ?3");
        let found = messages(self.db, self.vault, &some, values![project, self.now, AT_ONCE])?;
        for message in &found {
            self.advance(message, State::Held, self.now, Some(&reason))?;
        }
        if !braked {
            self.figure(&name, self.now)?;
            let sentence = format!(
                "{}: `consentry catch-up {project}` shows them, and releases, expires or samples them",
                reason.sentence
            );
            self.plan_task("brake", project, &format!("brake/{project}/{}", self.now), None, &sentence)?;
        }
        Ok(Committed::Count(found.len() as u64))
    }

    /// A person has looked at what was held before go-live or by the brake.
    pub(super) fn catch_up(&mut self, catch_up: &CatchUp, why: &str) -> Result<Committed, StoreError> {
        let CatchUp { project, schedule, what, at_most, queued } = catch_up;
        let rules = if *queued { [QUEUED, QUEUED] } else { [BEFORE_GO_LIVE, BRAKE] };
        let limit = at_most.map_or(AT_ONCE, |most| most.min(AT_ONCE));
        // A sample is taken from everywhere: ids end in chance.
        let order = if at_most.is_some() { "substr(id, 20)" } else { "due, id" };
        let rest = format!(
            "WHERE project = ?1 AND state = 'held' AND rule IN (?2, ?3) AND (?4 = '' OR schedule = ?4) \
             AND purpose <> 'reminder' ORDER BY {order} LIMIT ?5"
        );
        let schedule = schedule.as_deref().unwrap_or_default();
        let given = values![project, rules[0], rules[1], schedule, limit];
        let found = messages(self.db, self.vault, &rest, given)?;
        for message in &found {
            match what {
                Catching::Release => self.send_from_now(message, why)?,
                Catching::Expire => self.with_reminders(message, |this, message| {
                    let reason = Reason::new("schedule.expired-by-hand", why);
                    this.advance(message, State::Expired, this.now, Some(&reason))
                })?,
            }
        }
        self.let_go(project, why)?;
        Ok(Committed::Count(found.len() as u64))
    }

    /// Something that was held is sent as if it were due now, and its reminders come as much later.
    fn send_from_now(&mut self, message: &Message, why: &str) -> Result<(), StoreError> {
        let late = self.now.saturating_sub(message.new.due);
        self.with_reminders(message, |this, message| {
            let end = message.new.not_after.map(|end| end.saturating_add(late));
            this.reschedule_row(&message.id, message.new.due.saturating_add(late), end)?;
            let due = message.new.due.saturating_add(late);
            let Some(moved) = this.message(&message.id)? else { return Ok(()) };
            this.advance(&moved, State::Deferred, due, Some(&Reason::new("released", why)))
        })
    }

    /// Does something to a message and to the reminders that wait with it.
    pub(super) fn with_reminders(
        &mut self,
        message: &Message,
        mut does: impl FnMut(&mut Self, &Message) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        does(self, message)?;
        let occasion = &message.new.occasion;
        for n in 1..=5_u32 {
            let named = values![format!("{occasion}/reminder-{n}")].to_vec();
            let rest = "WHERE occasion = ?1 AND state IN ('held', 'planned', 'deferred', 'due')";
            for reminder in messages(self.db, self.vault, rest, &named)? {
                does(self, &reminder)?;
            }
        }
        Ok(())
    }

    fn reschedule_row(&mut self, id: &str, due: u32, not_after: Option<u32>) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE message SET due = ?2, not_after = ?3 WHERE id = ?1",
            &[id.into(), due.into(), Value::from(not_after)],
        )?;
        Ok(())
    }

    /// When nothing is held any more, the brake is off and its task is done.
    pub(super) fn let_go(&mut self, project: &str, why: &str) -> Result<(), StoreError> {
        for (rule, kind, cause) in [(BEFORE_GO_LIVE, "before-go-live", "go-live"), (BRAKE, "brake", "brake")]
        {
            let left: u64 = scalar(
                self.db,
                "SELECT COUNT(*) FROM message WHERE project = ?1 AND state = 'held' AND rule = ?2",
                values![project, rule],
            )?;
            if left == 0 {
                self.close_tasks(kind, &format!("{cause}/{project}/"), why)?;
                if rule == BRAKE {
                    self.figure(&format!("brake/{project}"), 0)?;
                }
            }
        }
        Ok(())
    }

    /// Records were read that changed: what waits for something to be mended in them is looked at now.
    pub(super) fn mended(&mut self, project: &str, records: &[String]) -> Result<Committed, StoreError> {
        let rules = CAN_BE_MENDED.map(|rule| format!("'{rule}'")).join(", ");
        let wake = format!(
            "UPDATE message SET look_at = ?3, version = version + 1 WHERE project = ?1 AND record = ?2 \
             AND state = 'deferred' AND look_at > ?3 AND submitted IS NULL AND rule IN ({rules})"
        );
        let mut count = 0;
        for record in records {
            count += self.db.execute(&wake, values![project, record, self.now])?;
        }
        Ok(Committed::Count(count))
    }

    /// A person wants a message at another time. Its reminders come as much sooner or later.
    pub(super) fn reschedule(&mut self, id: &str, due: u32, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.may_become(State::Deferred)) else {
            return Ok(Committed::Stale);
        };
        if message.submitted.is_some() {
            return Ok(Committed::Stale);
        }
        let due = due.max(self.now);
        let by = i64::from(due) - i64::from(message.new.due);
        self.with_reminders(&message, |this, message| {
            let moved = |at: u32| u32::try_from(i64::from(at) + by).unwrap_or(this.now);
            let (due, before) = (moved(message.new.due).max(this.now), message.new.due);
            let end =
                message.new.not_after.map(|end| due.saturating_add(end.saturating_sub(before).max(3600)));
            this.reschedule_row(&message.id, due, end)?;
            let Some(moved) = this.message(&message.id)? else { return Ok(()) };
            this.advance(&moved, State::Deferred, due, Some(&Reason::new("rescheduled", why)))?;
            this.close_tasks("held-message", &format!("{}/", message.id), why)
        })?;
        self.let_go(&message.new.project, why)?;
        Ok(Committed::Done)
    }
}
