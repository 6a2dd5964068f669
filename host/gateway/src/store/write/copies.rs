//! What Twilio still holds of ours, and what is destroyed here at the end of retention.

use serde_json::json;

use super::super::sql::{one, values};
use super::super::{Cleaning, Committed, StoreError};
use super::{DAY, Writing, address};
use crate::outbox::Message;
/// When a copy at Twilio is tried again, in seconds: Twilio lets a record be deleted after a minute as a rule,
/// and in rare cases after 14 days.
const LADDER: [u32; 5] = [60, 300, 1800, 7200, 43_200];

/// Tries after which a copy that cannot be deleted becomes a task: the ladder, and then 14 days.
const CLEANINGS: u32 = 19;

/// Messages whose private parts are destroyed in one transaction.
const DESTROYED: u32 = 500;

impl Writing<'_> {
    /// Twilio has a copy, which is to be cleaned up.
    pub(super) fn keep_copy(&mut self, sid: &str, kind: &str, message: &Message) -> Result<(), StoreError> {
        let recipient =
            message.draft.as_ref().map_or_else(Vec::new, |draft| self.vault.lookup(&address(draft)));
        self.db.execute(
            "INSERT INTO copy (sid, kind, project, message, recipient, state, at, look_at, tries) \
             VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?6, 0) ON CONFLICT (sid) DO NOTHING",
            values![sid, kind, message.new.project.as_str(), message.id.as_str(), recipient, self.now],
        )?;
        Ok(())
    }

    /// Twilio's copy of what has ended is cleaned up from now on.
    pub(super) fn finish_copy(&mut self, sid: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE copy SET state = 'final', look_at = ?2 WHERE sid = ?1 AND state = 'open'",
            values![sid, self.now],
        )?;
        Ok(())
    }

    pub(super) fn cleaned(&mut self, sid: &str, cleaning: &Cleaning) -> Result<Committed, StoreError> {
        let select = format!(
            "SELECT state, tries, message, project, kind FROM copy WHERE sid = ?1 AND state IN ('final', 'redacted'){}",
            self.db.for_update()
        );
        let copy = one(self.db, &select, values![sid])?;
        let Some(copy) = copy else { return Ok(Committed::Stale) };
        let (tries, message): (u32, Option<String>) = (copy.get(1)?, copy.get(2)?);
        match cleaning {
            Cleaning::Redacted { price, currency } => {
                if let Some(message) = message {
                    self.db.execute(
                        "UPDATE message SET price = COALESCE(?2, price), currency = COALESCE(?3, currency) \
                         WHERE id = ?1",
                        values![message, *price, currency.as_deref()],
                    )?;
                }
                let was_final = copy.get::<String>(0)? == "final";
                let wait = if was_final { LADDER[0] } else { 0 };
                self.db.execute(
                    "UPDATE copy SET state = 'redacted', look_at = ?2, tries = 0 WHERE sid = ?1",
                    values![sid, self.now + wait],
                )?;
                // A call has no words that could be emptied.
                if was_final && copy.get::<String>(4)? != "call" {
                    self.ledger("redacted-at-twilio", sid, &json!({ "price": price }), None)?;
                }
            }
            Cleaning::Gone => {
                self.db.execute(
                    "UPDATE copy SET state = 'gone', gone = ?2 WHERE sid = ?1",
                    values![sid, self.now],
                )?;
                self.ledger("deleted-at-twilio", sid, &json!({}), None)?;
            }
            Cleaning::NotYet { answered } => {
                let tries = tries + u32::from(*answered);
                let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
                let wait = if *answered { LADDER.get(step).copied().unwrap_or(DAY) } else { 60 };
                self.db.execute(
                    "UPDATE copy SET tries = ?2, look_at = ?3 WHERE sid = ?1",
                    values![sid, tries, self.now + wait],
                )?;
                if tries == CLEANINGS && *answered {
                    let sentence = "Twilio does not let a record be deleted, although 14 days have passed; it is \
                                    tried again every day";
                    let project: String = copy.get(3)?;
                    self.plan_task("kept-at-twilio", &project, sid, None, sentence)?;
                }
            }
        }
        Ok(Committed::Done)
    }

    /// Bodies, numbers and values that have ended are destroyed, some at a time. What was counted, decided and
    /// promised stays, and opt-outs are still matched by their number's key.
    pub(super) fn destroy(&mut self, project: &str, before: u32) -> Result<Committed, StoreError> {
        let messages = "SELECT id FROM message WHERE project = ?1 AND ended < ?2 \
                        AND (draft IS NOT NULL OR number IS NOT NULL OR mailbox IS NOT NULL OR frozen IS NOT NULL) \
                        ORDER BY ended, id LIMIT ?3";
        let inbound = "SELECT sid FROM inbound WHERE project = ?1 AND at < ?2 AND state = 'done' \
                       AND body IS NOT NULL ORDER BY at, sid LIMIT ?3";
        let mut destroyed = 0;
        for (which, forget) in [
            (
                messages,
                "UPDATE message SET draft = NULL, number = NULL, mailbox = NULL, frozen = NULL WHERE id = ?1",
            ),
            (inbound, "UPDATE inbound SET body = NULL, number = NULL WHERE sid = ?1"),
        ] {
            for row in self.db.query(which, values![project, before, DESTROYED])? {
                let subject: String = row.get(0)?;
                self.db.execute(forget, values![subject.as_str()])?;
                self.db.execute(
                    "UPDATE ledger SET private = NULL WHERE subject = ?1 AND private IS NOT NULL",
                    values![subject.as_str()],
                )?;
                destroyed += 1;
            }
        }
        self.db.execute(
            "UPDATE write_back SET field_values = NULL WHERE project = ?1 AND state <> 'new' AND look_at < ?2 \
             AND field_values IS NOT NULL",
            values![project, before],
        )?;
        if destroyed > 0 {
            self.ledger("destroyed", project, &json!({ "before": before, "count": destroyed }), None)?;
        }
        Ok(Committed::Count(destroyed))
    }
}
