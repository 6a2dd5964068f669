//! Interpret, then act: the compliance policy says what an inbound message means, and what follows is
//! committed with that.

use std::sync::Arc;

use policy::contract::reviewer::{Expecting, Inbound, Intent, ProviderHandling, Scope};
use policy::contract::types::{Channel, Purpose};
use policy::{Reply, Request};
use twilio::Keyword;

use crate::facts::Known;
use crate::gateway::Gateway;
use crate::outbox::{NewMessage, Reason};
use crate::project::Project;
use crate::store::{Step, StoreError, Understood, Waiting};

/// Tries before an inbound message becomes a task.
const TRIES: u32 = 3;

/// The confirmation of an opt-out is presumed to be asked for if it comes within five minutes
/// (47 CFR 64.1200(a)(12)).
const CONFIRM_WITHIN: u32 = 300;

/// An answer to HELP that comes later than this answers nobody.
const HELP_WITHIN: u32 = 3600;

impl Gateway {
    /// Interprets what came in, and says how much that was.
    pub(crate) async fn read_inbox(&self) -> Result<usize, StoreError> {
        let waiting = self.store.uninterpreted(self.clock.seconds(), 50).await?;
        let count = waiting.len();
        for inbound in waiting {
            let step = match self.projects.get(&inbound.project) {
                Some(project) => self.interpret(&project.clone(), &inbound).await?,
                None => Step::Misunderstand {
                    sid: inbound.sid.clone(),
                    why: Reason::new("inbox.project", "its project is not in the configuration any more"),
                    decisions: vec![],
                    give_up: true,
                },
            };
            self.store.commit(step).await?;
            self.wake_deciding(&inbound.project);
        }
        Ok(count)
    }

    async fn interpret(&self, project: &Arc<Project>, waiting: &Waiting) -> Result<Step, StoreError> {
        let now = self.clock.seconds();
        // REDCap may not have answered yet. That makes nobody's refusal wait.
        let design = project.design().unwrap_or_default();
        let mut participants = Vec::new();
        let records = self.store.records_of(&project.name, &waiting.number).await?;
        let history = self.store.history(&project.name, Some(&waiting.number), None, records.clone()).await?;
        let mut known = Known {
            project: project.clone(),
            model: design.model.clone(),
            design,
            frozen: None,
            origin: None,
            links: vec![],
            record: None,
            as_of: now,
            now,
            survey: None,
            survey_link: None,
            phone: Some(waiting.number.clone()),
            opt_outs: history.opt_outs,
            recent: history.recent,
            open_invitations: vec![],
            line_type: None,
            deliveries: None,
        };
        for record in &records {
            // REDCap may be away. That makes nobody's refusal wait.
            if let Ok(read) =
                self.read_record(project, &known.model, record, now, project.facts_max_age).await
            {
                known.record = Some(read.0);
                participants.extend(known.participant());
            }
        }
        let inbound = Inbound {
            id: waiting.sid.clone(),
            now,
            channel: Channel::Sms,
            from: waiting.number.expose().into(),
            body: waiting.body.expose().into(),
            project: project.for_policy(),
            participants,
            open_invitations: history.open_invitations,
            expecting: Expecting::Nothing,
            provider: handling(&waiting.provider),
        };
        let policy = project.policies.compliance.clone();
        let asked = self.ask(&policy, Request::Interpret(inbound), &mut known).await;
        let decisions = vec![asked.row];
        match asked.reply {
            Ok(Reply::Intent(intent)) => Ok(self.act(project, waiting, &records, &known, intent, decisions)),
            Ok(_) => Ok(Step::Misunderstand {
                sid: waiting.sid.clone(),
                why: Reason::new("policy.bad-answer", "the compliance policy answered something else"),
                decisions,
                give_up: true,
            }),
            Err(why) => Ok(Step::Misunderstand {
                sid: waiting.sid.clone(),
                why,
                decisions,
                give_up: waiting.tries >= TRIES,
            }),
        }
    }

    /// What follows from an intent.
    fn act(
        &self,
        project: &Project,
        waiting: &Waiting,
        records: &[String],
        known: &Known,
        intent: Intent,
        decisions: Vec<crate::store::DecisionRow>,
    ) -> Step {
        let now = self.clock.seconds();
        let mut understood = Understood {
            sid: waiting.sid.clone(),
            intent: "",
            reason: None,
            decisions,
            stop: None,
            start: false,
            messages: vec![],
            task: None,
            writes: vec![],
        };
        let written = |value: &str| match &project.fields.opt_out {
            Some(field) => records
                .iter()
                .map(|record| (record.clone(), vec![(field.clone(), value.to_owned())]))
                .collect(),
            None => vec![],
        };
        let reply = |purpose: Purpose, within: u32| {
            let record = if records.len() == 1 { records.first().cloned() } else { None };
            reply(project, waiting, record, purpose, now, within)
        };
        match intent {
            Intent::Stop(stop) => {
                understood.intent = "stop";
                understood.reason = Some(stop.because.into());
                understood.stop = Some(match stop.scope {
                    Scope::Study => project.name.clone(),
                    Scope::Institution => String::new(),
                });
                // An opt-out is confirmed once: not by us when Twilio did, and not again for a second STOP.
                let before = known.opt_outs.iter().any(|o| o.cause.as_ref() != Some(&waiting.sid));
                if waiting.provider != "stopped" && !before {
                    understood.messages.push(reply(Purpose::OptOutConfirmation, CONFIRM_WITHIN));
                }
            }
            // An opt-out ends only by an explicit word, whatever a policy makes of others.
            Intent::Start(finding) if !known.opt_outs.is_empty() && !says_start(project, waiting) => {
                understood.intent = "ask staff";
                understood.reason = Some(finding.into());
                let sentence = "a text came in that may ask for messages again, and START was not the word";
                understood.task = Some(("unclear-reply", sentence.into()));
            }
            Intent::Start(finding) => {
                understood.intent = "start";
                understood.reason = Some(finding.into());
                understood.start = true;
                understood.writes = written("0");
            }
            // Somebody who opted out gets the answer to HELP only when HELP was the word.
            Intent::Help if !known.opt_outs.is_empty() && !says_help(project, waiting) => {
                understood.intent = "ask staff";
                let sentence = "a text from somebody who opted out may ask for help";
                understood.task = Some(("unclear-reply", sentence.into()));
            }
            Intent::Help => {
                understood.intent = "help";
                if waiting.provider != "helped" {
                    understood.messages.push(reply(Purpose::Help, HELP_WITHIN));
                }
            }
            Intent::AskStaff(finding) => {
                understood.intent = "ask staff";
                let reason = Reason::from(finding);
                understood.task = Some(("unclear-reply", reason.sentence.clone()));
                understood.reason = Some(reason);
            }
            Intent::Ignore(finding) => {
                understood.intent = "ignore";
                understood.reason = Some(finding.into());
            }
            Intent::Answer | Intent::AccessCode(_) => {
                understood.intent = "unexpected answer";
                let sentence = "a text came in that answers a question, and no question was asked";
                understood.task = Some(("unread-reply", sentence.into()));
            }
        }
        Step::Understand(Box::new(understood))
    }
}

fn reply(
    project: &Project,
    waiting: &Waiting,
    record: Option<String>,
    purpose: Purpose,
    now: u32,
    within: u32,
) -> NewMessage {
    use crate::vocabulary::Word;
    let occasion = format!("{}/{}/{}", project.name, purpose.word(), waiting.sid);
    NewMessage {
        record,
        number: Some(waiting.number.clone()),
        cause: Some(waiting.sid.clone()),
        not_after: Some(now + within),
        ..NewMessage::about(&project.name, occasion, purpose, now)
    }
}

/// Whether a text is START beyond doubt: Twilio took it for that, or it is one of Twilio's own words.
fn says_start(project: &Project, waiting: &Waiting) -> bool {
    let words = waiting.body.expose();
    let keyword = twilio::default_keyword(words, project.account.number.is_toll_free());
    let yes = words.trim().eq_ignore_ascii_case("yes");
    waiting.provider == "started" || (keyword == Some(Keyword::Start) && !yes)
}

fn says_help(project: &Project, waiting: &Waiting) -> bool {
    let toll_free = project.account.number.is_toll_free();
    waiting.provider == "helped"
        || twilio::default_keyword(waiting.body.expose(), toll_free) == Some(Keyword::Help)
}

fn handling(provider: &str) -> ProviderHandling {
    match provider {
        "stopped" => ProviderHandling::Stopped,
        "started" => ProviderHandling::Started,
        "helped" => ProviderHandling::Helped,
        _ => ProviderHandling::None,
    }
}
