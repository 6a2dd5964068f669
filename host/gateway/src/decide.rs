//! Asking a policy: the facts it needs are fetched without holding a thread, and the decision is run again
//! from its start. It is pure, so that is the same decision.

use std::sync::Arc;

use policy::contract::reviewer::{Intent, Stage, Verdict};
use policy::contract::router::Route;
use policy::contract::twilio as carrier;
use policy::contract::types::Finding;
use policy::{Effect, Ended, Policy, Question, Record, Reply, Request};
use serde_json::{Value, json};

use crate::clock::Stopwatch;
use crate::facts::Known;
use crate::gateway::Gateway;
use crate::metrics;
use crate::outbox::{Reason, masked};
use crate::store::DecisionRow;

/// A decision is run this often at most.
const ROUNDS: usize = 8;

/// What came of asking a policy.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The answer, or why there is none.
    pub(crate) reply: Result<Reply, Reason>,
    /// For the ledger.
    pub(crate) row: DecisionRow,
    /// What it asked the host to do.
    pub(crate) effects: Vec<Effect>,
}

impl Gateway {
    /// Asks a policy, fetching what it needs. What was fetched stays known for the next policy.
    pub(crate) async fn ask(&self, policy: &Arc<Policy>, request: Request, known: &mut Known) -> Asked {
        let request = Arc::new(request);
        let mut rounds = 0;
        loop {
            rounds += 1;
            let (policy_, request_, facts) = (policy.clone(), request.clone(), Arc::new(known.clone()));
            let watch = Stopwatch::start();
            let decided = tokio::task::spawn_blocking(move || policy_.decide(&request_, facts)).await;
            let decision = match decided {
                Ok(decision) => decision,
                // A panic of the engine's is a mistake of ours, and holds the message like any other end.
                Err(error) => policy::Decision {
                    ended: Ended::HostError { why: error.to_string() },
                    transcript: vec![],
                    effects: vec![],
                    log: vec![],
                    fuel: 0,
                    memory: 0,
                },
            };
            metrics::decision(policy.world().name(), watch.elapsed(), decision.fuel);
            match &decision.ended {
                Ended::Needs(question) if rounds < ROUNDS => {
                    let question = question.clone();
                    self.fetch(&question, known).await;
                }
                _ => return conclude(policy, &request, decision, rounds),
            }
        }
    }

    async fn fetch(&self, question: &Question, known: &mut Known) {
        match (question, known.phone.clone()) {
            (Question::Lookup, Some(phone)) => {
                known.line_type = Some(self.line_type(&known.project, &phone).await);
            }
            (Question::History(_), Some(phone)) => {
                known.deliveries = Some(self.store.deliveries(&phone, 50).await.unwrap_or_default());
            }
            // Everything else is known before a policy is asked.
            _ => {}
        }
    }

    async fn line_type(
        &self,
        project: &crate::project::Project,
        phone: &twilio::PhoneNumber,
    ) -> Result<carrier::LineType, carrier::Error> {
        if let Some(known) = self.line_types.lock().get(phone) {
            return Ok(*known);
        }
        let found = project.account.client.lookup_line_type(phone).await;
        let found = match found {
            Ok(found) => line_type(found),
            Err(error) => return Err(carrier::Error::Unavailable(error.to_string())),
        };
        self.line_types.lock().insert(phone.clone(), found);
        Ok(found)
    }
}

fn line_type(found: twilio::LineType) -> carrier::LineType {
    match found {
        twilio::LineType::Mobile => carrier::LineType::Mobile,
        twilio::LineType::Landline => carrier::LineType::Landline,
        twilio::LineType::FixedVoip => carrier::LineType::FixedVoip,
        twilio::LineType::NonFixedVoip => carrier::LineType::NonFixedVoip,
        twilio::LineType::TollFree => carrier::LineType::TollFree,
        twilio::LineType::Unknown => carrier::LineType::Unknown,
    }
}

fn conclude(policy: &Policy, request: &Request, decision: policy::Decision, rounds: usize) -> Asked {
    let about = policy.description();
    let (answer, findings) = match &decision.ended {
        Ended::Answered(reply) => summary(reply),
        _ => ("none", Vec::new()),
    };
    let told = if matches!(decision.ended, Ended::Answered(_)) { answer } else { decision.ended.kind() };
    metrics::verdict(policy.world().name(), told, findings.first().map(|finding| finding.rule.as_str()));
    let public = json!({
        "policy": policy.world().name(),
        "stage": stage(request),
        "name": about.name,
        "version": about.version,
        "component": policy.digest().as_str(),
        "settings": policy.settings_digest().as_str(),
        "ended": decision.ended.kind(),
        "answer": answer,
        "findings": findings.iter().map(|finding| finding_json(finding)).collect::<Vec<_>>(),
        "fuel": decision.fuel,
        "rounds": rounds,
        "host-calls": decision.transcript.len(),
    });
    let record = Record::of(policy, request, &decision).encode().unwrap_or_else(|error| {
        tracing::error!(%error, "a decision record cannot be encoded");
        Vec::new()
    });
    let row = DecisionRow { public, record };
    let reply = match decision.ended {
        Ended::Answered(reply) => Ok(reply),
        // What is wrong with an answer is told in the component's own words, such as a rule's id.
        Ended::BadAnswer { why } => Err(Reason::new(
            "policy.bad-answer",
            format!(
                "the {} policy `{}` gave no answer: {}",
                policy.world().name(),
                about.name,
                Ended::BadAnswer { why: masked(&why) }
            ),
        )),
        Ended::Needs(_) => Err(Reason::new(
            "policy.needs",
            format!(
                "the {} policy `{}` needs more facts than a decision may fetch",
                policy.world().name(),
                about.name
            ),
        )),
        ended => Err(Reason::new(
            &format!("policy.{}", ended.kind()),
            format!("the {} policy `{}` gave no answer: {ended}", policy.world().name(), about.name),
        )),
    };
    Asked { reply, row, effects: decision.effects }
}

/// A draft is reviewed twice: when it is planned, and again when it is claimed for sending.
fn stage(request: &Request) -> Option<&'static str> {
    match request {
        Request::Review(_, _, Stage::Planned) => Some("planned"),
        Request::Review(_, _, Stage::Claimed) => Some("claimed"),
        _ => None,
    }
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule,
        "sentence": masked(&finding.sentence),
        "citation": finding.citation.as_deref().map(masked),
    })
}

fn summary(reply: &Reply) -> (&'static str, Vec<&Finding>) {
    match reply {
        Reply::Route(Route::Contact(plan)) => ("contact", plan.because.iter().collect()),
        Reply::Route(Route::Wait(wait)) => ("wait", vec![&wait.because]),
        Reply::Route(Route::Skip(finding)) => ("skip", vec![finding]),
        Reply::Words(Ok(_)) => ("words", vec![]),
        Reply::Words(Err(finding)) => ("no words", vec![finding]),
        Reply::Verdict(Verdict::Allow(allowance)) => ("allow", allowance.because.iter().collect()),
        Reply::Verdict(Verdict::Defer(deferral)) => ("defer", deferral.because.iter().collect()),
        Reply::Verdict(Verdict::Hold(findings)) => ("hold", findings.iter().collect()),
        Reply::Verdict(Verdict::Deny(findings)) => ("deny", findings.iter().collect()),
        Reply::Intent(Intent::Stop(stop)) => ("stop", vec![&stop.because]),
        Reply::Intent(Intent::Start(finding)) => ("start", vec![finding]),
        Reply::Intent(Intent::Help) => ("help", vec![]),
        Reply::Intent(Intent::Answer) => ("answer", vec![]),
        Reply::Intent(Intent::AccessCode(_)) => ("access code", vec![]),
        Reply::Intent(Intent::AskStaff(finding)) => ("ask staff", vec![finding]),
        Reply::Intent(Intent::Ignore(finding)) => ("ignore", vec![finding]),
    }
}
