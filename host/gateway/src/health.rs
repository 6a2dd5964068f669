//! Whether the daemon can do its work, and the figures that are read at a scrape.
//!
//! A daemon that is not ready still takes webhooks, and must go on being sent them: a refusal that comes in
//! while nothing can be sent is the one that matters.

use serde::Serialize;

use crate::floor::Account;
use crate::gateway::Gateway;
use crate::inbox::INBOUND_AGE;
use crate::metrics;
use crate::outbox::State;
use crate::store::{Scope, StoreError};

/// What is known of the daemon at an instant.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The instant, in seconds.
    pub now: u32,
    /// Whether it is about to end.
    pub draining: bool,
    /// Why the store does not answer, if it does not.
    pub store: Option<String>,
    /// Each project.
    pub projects: Vec<ProjectFacts>,
}

/// What is known of a project at an instant.
#[derive(Clone, Debug)]
pub struct ProjectFacts {
    /// Its name.
    pub name: String,
    /// Whether REDCap has said what the project is.
    pub model: bool,
    /// Up to which instant inbound messages were taken in, in seconds.
    pub swept: Option<u32>,
    /// Whether its account may send.
    pub account: Account,
}

/// Why the daemon does not do all of its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// The project; none when it is about every one.
    pub project: Option<String>,
    /// What is missing: "store", "redcap", "inbound", "account", "draining".
    pub what: &'static str,
    /// What is wrong, in words.
    pub sentence: String,
}

/// Everything that keeps the daemon from its work; nothing when it is ready.
pub fn reasons(facts: &Facts) -> Vec<NotReady> {
    let mut reasons = Vec::new();
    let mut say = |project: Option<&str>, what, sentence: String| {
        reasons.push(NotReady { project: project.map(str::to_owned), what, sentence });
    };
    if facts.draining {
        say(None, "draining", "the daemon is about to end and begins nothing new".into());
    }
    if let Some(error) = &facts.store {
        say(None, "store", format!("the database does not answer: {error}"));
    }
    for project in &facts.projects {
        let name = Some(project.name.as_str());
        if !project.model {
            say(name, "redcap", "REDCap has not said yet what the project is".into());
        }
        // What the store has not told is not a fact of the project.
        if facts.store.is_none() {
            match project.swept {
                None => say(name, "inbound", "inbound messages were never listed at Twilio".into()),
                Some(until) if facts.now.saturating_sub(until) > INBOUND_AGE => {
                    let minutes = facts.now.saturating_sub(until) / 60;
                    let sentence = format!(
                        "inbound messages have not been listed at Twilio for {minutes} minutes, and nothing is sent \
                         until they are"
                    );
                    say(name, "inbound", sentence);
                }
                Some(_) => {}
            }
        }
        match &project.account {
            Account::Good => {}
            Account::Bad(why) | Account::Unknown(why) => say(name, "account", why.clone()),
        }
    }
    reasons
}

impl Gateway {
    /// What is known now.
    pub async fn health(&self) -> Facts {
        let mut facts =
            Facts { now: self.clock.seconds(), draining: self.draining(), store: None, projects: Vec::new() };
        for (name, project) in &self.projects {
            let swept = self.store.swept(name).await.unwrap_or_else(|error| {
                facts.store = Some(error.to_string());
                None
            });
            let account = self.account(name);
            let model = project.model().is_some();
            facts.projects.push(ProjectFacts { name: name.clone(), model, swept, account });
        }
        facts
    }

    /// Tells the figures that are read at a scrape.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let now = self.clock.seconds();
        let since = |at: u32| now.saturating_sub(at);
        for count in self.store.queue().await? {
            if let Some(state) = State::read(&count.what) {
                metrics::queue(&count.project, state, count.count, since(count.oldest));
            }
        }
        let kept = self.store.kept().await?.into_iter().map(|kept| (kept.what, kept.count, kept.oldest));
        // What Twilio sent us for a call it remembers for 30 days, and nobody can delete it.
        let events = self.store.calls_placed(now.saturating_sub(30 * 86_400)).await?.into_iter();
        let events = events.map(|calls| ("call-events".to_owned(), calls.count, calls.oldest));
        for (kind, (count, oldest)) in together(kept.chain(events)) {
            metrics::kept(&kind, count, since(oldest));
        }
        let tasks = self.store.tasks().await?.into_iter().map(|task| (task.kind, 1, task.at));
        for (kind, (count, oldest)) in together(tasks) {
            metrics::tasks(&kind, count, since(oldest));
        }
        let stops = self.store.stopped().await?;
        for kind in ["all", "project", "sender", "wording", "recipient"] {
            let count = stops.iter().filter(|stop| kind_of(&stop.scope) == kind).count();
            metrics::stopped(kind, count as u64);
        }
        let ledger = self.store.unsealed().await?;
        metrics::ledger(ledger.chained, ledger.rows);
        metrics::signatures_rejected(self.store.figure("rejected-signatures").await?);
        for name in self.projects.keys() {
            if let Some(until) = self.store.swept(name).await? {
                metrics::swept(name, since(until));
            }
            let money = self.money(name);
            metrics::balance(name, money.as_ref().map(|money| (money.balance, money.currency.as_str())));
        }
        for (kind, count) in self.leases.held(now) {
            metrics::leases(&kind, count);
        }
        Ok(())
    }
}

/// What is stopped, in a word. A scope that only the store knows stops everything.
fn kind_of(scope: &str) -> &'static str {
    match Scope::read(scope) {
        None | Some(Scope::All) => "all",
        Some(Scope::Project(_)) => "project",
        Some(Scope::Sender(_)) => "sender",
        Some(Scope::Wording(_)) => "wording",
        Some(Scope::Recipient(..)) => "recipient",
    }
}

/// Counts of the same kind, added up, with the instant of the oldest.
fn together(
    counts: impl Iterator<Item = (String, u64, u32)>,
) -> std::collections::BTreeMap<String, (u64, u32)> {
    let mut together = std::collections::BTreeMap::new();
    for (kind, count, oldest) in counts {
        let (all, first) = together.entry(kind).or_insert((0, u32::MAX));
        *all += count;
        *first = oldest.min(*first);
    }
    together
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_764_000_000;

    fn facts() -> Facts {
        let project = ProjectFacts {
            name: "sleep".into(),
            model: true,
            swept: Some(NOW - INBOUND_AGE),
            account: Account::Good,
        };
        Facts { now: NOW, draining: false, store: None, projects: vec![project] }
    }

    /// What is missing after a change.
    fn missing(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
        let mut facts = facts();
        change(&mut facts);
        reasons(&facts).into_iter().map(|reason| reason.what).collect()
    }

    #[test]
    fn each_thing_that_is_missing_is_told_and_nothing_else() {
        assert!(missing(|_| {}).is_empty());
        assert_eq!(missing(|facts| facts.draining = true), ["draining"]);
        assert_eq!(missing(|facts| facts.store = Some("it is away".into())), ["store"]);
        assert_eq!(missing(|facts| facts.projects[0].model = false), ["redcap"]);
        assert_eq!(missing(|facts| facts.projects[0].swept = None), ["inbound"]);
        assert_eq!(missing(|facts| facts.projects[0].swept = Some(NOW - INBOUND_AGE - 1)), ["inbound"]);
        assert_eq!(
            missing(|facts| facts.projects[0].account = Account::Bad("it is empty".into())),
            ["account"]
        );
        assert_eq!(missing(|facts| facts.projects[0].account = Account::Unknown("away".into())), ["account"]);
    }

    #[test]
    fn what_a_silent_store_could_not_tell_is_not_held_against_a_project() {
        let told = missing(|facts| {
            facts.store = Some("it is away".into());
            facts.projects[0].swept = None;
        });
        assert_eq!(told, ["store"]);
    }
}
