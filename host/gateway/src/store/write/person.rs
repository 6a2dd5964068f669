//! What a person decides: tasks, holds, stops.

use serde_json::json;

use super::super::read::messages;
use super::super::sql::{Value, one, values};
use super::super::{Committed, Scope, StoreError};
use super::{RESTORED, WAS_RESTORED, Writing, address};
use crate::outbox::{Message, Reason, State};
impl Writing<'_> {
    pub(super) fn resolve(&mut self, id: &str, resolution: &str) -> Result<Committed, StoreError> {
        let resolved = one(
            self.db,
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE id = ?1 AND resolved IS NULL \
             RETURNING recipient",
            values![id, self.now, resolution],
        )?;
        let Some(resolved) = resolved else { return Ok(Committed::Stale) };
        self.ledger("task-resolved", id, &json!({ "resolution": resolution }), None)?;
        // What waited only until a person had read a text is decided at once.
        if let Some(recipient) = resolved.get::<Option<Vec<u8>>>(0)? {
            self.wake("recipient = ?2 AND rule = 'floor.unclear'", recipient)?;
        }
        Ok(Committed::Done)
    }

    /// Deferred messages are decided now.
    fn wake(&mut self, which: &str, value: impl Into<Value>) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE message SET look_at = ?1, version = version + 1 WHERE state = 'deferred' AND {which}"
        );
        self.db.execute(&sql, &[Value::from(self.now), value.into()])?;
        Ok(())
    }

    pub(super) fn hold(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.may_become(State::Held)) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Held, self.now, Some(&Reason::new("held-by-hand", why)))?;
        let cause = format!("{id}/{}", message.version);
        self.plan_task("held-message", &message.new.project, &cause, None, why)?;
        Ok(Committed::Done)
    }

    /// What has not left is not to leave any more, and its reminders are not to leave without it. Where the message
    /// itself has left, its reminders are what can still be taken back.
    pub(super) fn cancel(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)? else { return Ok(Committed::Stale) };
        let mut count = 0;
        self.with_reminders(&message, |this, message| {
            if message.may_become(State::Canceled) {
                count += 1;
                let reason = Reason::new("canceled-by-hand", why);
                this.advance(message, State::Canceled, this.now, Some(&reason))?;
                this.close_held(&message.id, why)?;
            }
            Ok(())
        })?;
        if count == 0 {
            return Ok(Committed::Stale);
        }
        self.let_go(&message.new.project, why)?;
        Ok(Committed::Count(count))
    }

    /// A held message is decided again from its start: what held it may hold it again.
    pub(super) fn release(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.state == State::Held) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Deferred, self.now, Some(&Reason::new("released", why)))?;
        self.close_held(id, why)?;
        self.let_go(&message.new.project, why)?;
        Ok(Committed::Done)
    }

    fn close_held(&mut self, id: &str, how: &str) -> Result<(), StoreError> {
        self.close_tasks("held-message", &format!("{id}/"), how)
    }

    /// The open tasks of a kind whose cause begins so are done.
    pub(super) fn close_tasks(&mut self, kind: &str, cause: &str, how: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE task SET resolved = ?3, resolution = ?4 WHERE kind = ?1 AND cause LIKE ?2 \
             AND resolved IS NULL",
            values![kind, format!("{cause}%"), self.now, how],
        )?;
        Ok(())
    }

    pub(super) fn stop(&mut self, scope: &Scope, why: &str) -> Result<Committed, StoreError> {
        self.db.execute(
            "INSERT INTO stop (scope, at, why) VALUES (?1, ?2, ?3) \
             ON CONFLICT (scope) DO UPDATE SET at = excluded.at, why = excluded.why",
            values![scope.word(), self.now, why],
        )?;
        self.ledger("stopped", &scope.word(), &json!({ "why": why }), None)?;
        Ok(Committed::Done)
    }

    /// Twilio's answer stops more than the one message: the number, the words, the sender.
    pub(super) fn stop_for(
        &mut self,
        message: &Message,
        scope: &Scope,
        why: &Reason,
    ) -> Result<(), StoreError> {
        // Only the store knows how it finds a number again.
        let own = match (scope, &message.draft) {
            (Scope::Recipient(_, by), Some(draft)) => {
                Scope::Recipient(self.vault.lookup(&address(draft)), *by)
            }
            _ => scope.clone(),
        };
        let scope = &own;
        let known: Option<String> =
            self.first("SELECT scope FROM stop WHERE scope = ?1", values![scope.word()])?;
        if known.is_some() {
            return Ok(());
        }
        self.stop(scope, &why.sentence)?;
        let kind = match scope {
            Scope::Wording(_) => "stopped-wording",
            Scope::Recipient(..) => "unreachable-number",
            Scope::All | Scope::Project(_) | Scope::Sender(_) => "stopped-sender",
        };
        let cause = format!("stop/{}/{}", scope.word(), self.now);
        let sentence = format!("{}; `consentry resume` lets it go on", why.sentence);
        self.plan_task(kind, &message.new.project, &cause, None, &sentence)
    }

    pub(super) fn resume(&mut self, scope: &Scope, why: &str) -> Result<Committed, StoreError> {
        let word = scope.word();
        if self.db.execute("DELETE FROM stop WHERE scope = ?1", values![word.as_str()])? == 0 {
            return Ok(Committed::Stale);
        }
        self.ledger("resumed", &word, &json!({ "why": why }), None)?;
        self.db.execute(
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE cause LIKE ?1 AND resolved IS NULL",
            values![format!("stop/{word}/%"), self.now, why],
        )?;
        self.wake("rule = ?2", "floor.stopped")?;
        if matches!(scope, Scope::Wording(_)) {
            // Those of another wording that is stopped are held again.
            let held = self.db.query(
                "SELECT id FROM message WHERE state = 'held' AND rule = 'floor.wording' AND ended IS NULL",
                values![],
            )?;
            for row in held {
                self.release(&row.get::<String>(0)?, why)?;
            }
        }
        Ok(Committed::Done)
    }

    /// What was due when the backup was made may have been sent since: a person looks first.
    pub(super) fn restored(&mut self, since: u32) -> Result<Committed, StoreError> {
        let sentence = WAS_RESTORED;
        self.stop(&Scope::All, sentence)?;
        self.db.execute(
            "INSERT INTO figure (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            values![RESTORED, self.now],
        )?;
        let open = "WHERE state IN ('planned', 'deferred', 'due', 'claimed', 'submitting')";
        for message in messages(self.db, self.vault, open, values![])? {
            if message.state == State::Submitting {
                self.unknown(&message, &Reason::new("send.unknown", sentence))?;
            } else {
                self.advance(&message, State::Held, self.now, Some(&Reason::new("restored", sentence)))?;
            }
        }
        self.ledger("restored", "", &json!({ "since": since }), None)?;
        self.plan_task("restored", "", &format!("restored/{}", self.now), None, sentence)?;
        Ok(Committed::Done)
    }

    pub(super) fn plan_task(
        &mut self,
        kind: &str,
        project: &str,
        cause: &str,
        phone: Option<&str>,
        sentence: &str,
    ) -> Result<(), StoreError> {
        let id = self.id()?;
        let inserted = self.db.execute(
            "INSERT INTO task (id, kind, project, cause, recipient, sentence, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (cause) DO NOTHING",
            values![
                id,
                kind,
                project,
                cause,
                phone.map(|phone| self.vault.lookup(phone)),
                sentence,
                self.now
            ],
        )?;
        if inserted == 1 {
            let public = json!({ "kind": kind, "project": project, "sentence": sentence });
            // A task about a message belongs to its story.
            let about = cause.split_once('/').filter(|(id, _)| id.len() == ulid::ULID_LEN);
            self.ledger("task", about.map_or(cause, |(id, _)| id), &public, None)?;
        }
        Ok(())
    }
}
