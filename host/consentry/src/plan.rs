//! The messaging plan that an IRB asks for: every text with what makes it, when it comes, to whom it goes and what
//! is approved of it; the policies that decide, with their rules; and the calendar that comes of it. It is made of
//! what is designed in REDCap and configured here, so it cannot say anything else than what will happen.

mod command;
mod markdown;
mod page;
mod texts;
mod words;

use gateway::project::{Keywords, Project};
use gateway::schedule::{By, Design, Schedule, To};
use policy::Policy;
use policy::contract::settings::Value;
use policy::contract::twilio::SenderKind;
use policy::contract::types::{ConsentManner, ReviewBody};
use policy::contract::wordings::Part;
use serde::Serialize;

use crate::simulate::calendar::{self, Calendar, Column, SHOWN};
use crate::simulate::needs::{self, Need};
use crate::simulate::{Designed, Simulation};

pub use command::{Options, command};
pub use markdown::markdown;
pub use page::html;
pub use texts::{Approval, OptOut, Piece, Text};

/// A messaging plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The study's name.
    pub title: String,
    /// The day on which it was made.
    pub made: String,
    /// The zone of REDCap's clock.
    pub zone: String,
    /// The protocol, if the project's file names it.
    pub protocol: Option<Protocol>,
    /// When a first text may go out although no consent is on record.
    pub waiver: Option<String>,
    /// What kind of number texts come from.
    pub sender: &'static str,
    /// Who answers STOP, START and HELP.
    pub keywords: &'static str,
    /// The ways in which participants may be written to.
    pub methods: Vec<&'static str>,
    /// The way for those who prefer none.
    pub default_method: &'static str,
    /// The language for those who prefer none.
    pub language: String,
    /// Consent, as sentences.
    pub consent: Vec<String>,
    /// Texts that one number may get in a day, whatever the policies say.
    pub ceiling: u32,
    /// Days after which what is private of a message is destroyed here; none to keep it.
    pub retention_days: Option<u32>,
    /// What is sent by itself.
    pub schedules: Vec<Planned>,
    /// The texts that schedules use, each once however many use it.
    pub texts: Vec<Text>,
    /// The project's own wordings: opt-out, confirmation, help, first message, and messages.
    pub wordings: Vec<Text>,
    /// The hours and the number of messages that the compliance policy allows, as configured.
    pub limits: Vec<Setting>,
    /// The policies that decide.
    pub policies: Vec<InForce>,
    /// The simulated calendar.
    pub calendar: Option<Simulated>,
    /// What was taken for granted, because no settings say it.
    pub assumed: Vec<String>,
}

/// The protocol.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Protocol {
    /// The IRB's number.
    pub number: String,
    /// Who reviews it.
    pub reviewed_by: &'static str,
    /// When it was approved.
    pub approved: String,
    /// When the approval ends.
    pub expires: Option<String>,
}

/// Something that is sent by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// Its id.
    pub id: String,
    /// For people.
    pub title: String,
    /// "invitation to a survey" or "alert".
    pub kind: &'static str,
    /// What makes it, as sentences.
    pub trigger: Vec<String>,
    /// Its condition, as it is written in REDCap.
    pub condition: Option<String>,
    /// When it is due.
    pub timing: String,
    /// When each of its reminders is due.
    pub reminders: Vec<String>,
    /// What else limits it, as sentences.
    pub limits: Vec<String>,
    /// To whom it goes, without any number.
    pub recipients: Vec<String>,
    /// How it goes.
    pub by: String,
    /// Its texts, by their numbers in the plan.
    pub texts: Vec<usize>,
    /// The wordings of the project's own that it may be said in.
    pub wordings: Vec<String>,
    /// Why it is not run.
    pub not_run: Option<String>,
    /// What it still needs.
    pub needs: Vec<Need>,
}

/// A policy that decides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InForce {
    /// What it decides: "routing", "template" or "compliance".
    pub world: &'static str,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its component.
    pub digest: String,
    /// What it does.
    pub summary: String,
    /// Its settings.
    pub settings: Vec<Setting>,
    /// The rules that it may cite.
    pub rules: Vec<Rule>,
}

/// A rule of a policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// The rule.
    pub sentence: String,
    /// The law, guidance or house rule behind it.
    pub citation: Option<String>,
}

/// A setting of a policy, as it is in force.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// Its value, as words.
    pub value: String,
    /// Whether the institution left it as it comes.
    pub is_default: bool,
}

/// The calendar of a simulation: messages by participant and study day.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Simulated {
    /// From when to when.
    pub period: String,
    /// What a column is: "day", "week" or "four weeks".
    pub unit: &'static str,
    /// The study days, 0 being the first.
    pub columns: Vec<String>,
    /// Participants, and how many messages each got when.
    pub rows: Vec<(String, Vec<usize>, usize)>,
    /// The same for all participants.
    pub all: Vec<usize>,
    /// How many participants there are, of whom the first are shown.
    pub participants: usize,
    /// Messages to participants in all.
    pub sent: usize,
    /// The most that one participant got on one day.
    pub most: usize,
    /// What the simulation took for granted, as sentences.
    pub assumed: Vec<String>,
}

impl Simulated {
    fn level(&self, count: usize) -> usize {
        calendar::level(count, self.most)
    }
}

impl Plan {
    /// The plan of a study, as it stands at an instant, with what a simulation of it came to.
    pub fn of(designed: &Designed, simulation: Option<&Simulation>, now: u32) -> Plan {
        let Designed { project, design, assumed, link_hosts } = designed;
        let date = |instant| words::date(instant, project);
        let mut texts = texts::Texts::new(project, design, now);
        let schedules =
            design.schedules.iter().map(|it| planned(project, design, it, &mut texts, now)).collect();
        let policies = [&project.policies.routing, &project.policies.template, &project.policies.compliance];
        let policies: Vec<_> = policies.into_iter().map(|policy| in_force(policy, link_hosts)).collect();
        let compliance = policies.iter().find(|policy| policy.world == "compliance");
        let limits = compliance.into_iter().flat_map(|policy| &policy.settings);
        let limits =
            limits.filter(|it| it.name.starts_with("quiet-") || it.name.starts_with("max-")).cloned();
        Plan {
            title: project.title.clone(),
            made: date(now),
            zone: project.zone_name.clone(),
            protocol: project.protocol.as_ref().map(|protocol| Protocol {
                number: protocol.number.clone(),
                reviewed_by: match protocol.reviewed_by {
                    ReviewBody::LocalIrb => "the institution’s own IRB",
                    ReviewBody::ExternalIrb => "an external IRB",
                    ReviewBody::NotResearch => "nobody, for it is not research",
                },
                approved: date(protocol.approved),
                expires: protocol.expires.map(date),
            }),
            waiver: project.waiver.clone(),
            sender: match project.account.kind {
                SenderKind::LongCode => "an ordinary ten-digit number",
                SenderKind::TollFree => "a toll-free number",
                SenderKind::ShortCode => "a short code",
                SenderKind::MessagingService => "a messaging service, which chooses the number",
            },
            keywords: match project.account.keywords {
                Keywords::Twilio => {
                    "Twilio answers STOP, START and HELP by itself, and Consentry honours them as well"
                }
                Keywords::Advanced => {
                    "Twilio answers STOP, START and HELP by Advanced Opt-Out, in the words that are set there, and Consentry honours them as well"
                }
                Keywords::Consentry => {
                    "Consentry answers STOP, START and HELP, in the project’s own wordings"
                }
            },
            methods: project.methods.iter().map(|method| words::method(*method)).collect(),
            default_method: words::method(project.default_method),
            language: project.language.clone(),
            consent: consent(project),
            ceiling: project.ceiling,
            retention_days: project.retention.map(|seconds| seconds / 86_400),
            schedules,
            texts: texts.all,
            wordings: project
                .wordings
                .iter()
                .map(|wording| texts::own(wording, project, design, now))
                .collect(),
            limits: limits.collect(),
            policies,
            calendar: simulation.map(simulated),
            assumed: assumed.clone(),
        }
    }

    /// How many schedules still need something.
    pub fn lacking(&self) -> usize {
        self.schedules.iter().filter(|it| !it.needs.is_empty() || it.not_run.is_some()).count()
    }

    /// How many texts are approved.
    pub fn approved(&self) -> usize {
        self.texts.iter().filter(|text| text.is_approved).count()
    }
}

fn planned(
    project: &Project,
    design: &Design,
    schedule: &Schedule,
    texts: &mut texts::Texts<'_>,
    now: u32,
) -> Planned {
    let mut limits = Vec::new();
    if schedule.ensure {
        limits.push("Its condition must still hold at the moment when it goes out.".to_owned());
    }
    limits.extend(schedule.repeat.as_ref().map(words::repetition));
    limits.push(words::once_per(schedule, &design.model));
    limits.push(format!("It is not sent later than {} after it is due.", words::seconds(schedule.not_after)));
    if let Some(end) = schedule.ends {
        limits.push(format!("Nothing of it is sent after {}.", end.strftime("%-d %B %Y, %H:%M")));
    }
    if schedule.blanks_identifiers {
        limits.push("Identifier fields are left blank in its text.".to_owned());
    }
    let recipients = schedule.to.iter().map(|to| match to {
        To::Participant => "the participant".to_owned(),
        To::Field(field) => {
            format!("whoever the field `{field}` names, who is neither the participant nor registered staff")
        }
        To::Number(number) => staff(project.staff_with_phone(number), "number"),
        To::Mailbox(mailbox) => staff(project.staff_with_mailbox(mailbox), "mailbox"),
        To::Nobody => "something that is neither a number nor a mailbox".to_owned(),
    });
    let mut told: Vec<String> = Vec::new();
    for recipient in recipients {
        if !told.contains(&recipient) {
            told.push(recipient);
        }
    }
    Planned {
        id: schedule.id.clone(),
        title: schedule.title.clone(),
        kind: if schedule.survey.is_some() { "invitation to a survey" } else { "alert" },
        trigger: words::trigger(schedule, &design.model),
        condition: schedule.trigger.condition.as_ref().map(|(text, _)| text.trim().to_owned()),
        timing: words::timing(&schedule.timing),
        reminders: words::reminders(schedule),
        limits,
        recipients: told,
        by: match schedule.by {
            By::Preference => "in the way that the participant prefers, among those that are enabled".into(),
            By::Method(method) => words::method(method).to_owned(),
        },
        texts: texts.of(schedule),
        wordings: chosen(project, schedule),
        not_run: schedule.not_run.clone(),
        needs: needs::of(project, design, schedule, now),
    }
}

/// The project's own wordings among which the template policy chooses.
fn chosen(project: &Project, schedule: &Schedule) -> Vec<String> {
    use policy::contract::types::Purpose;
    if !schedule.id.starts_with("invitation/") {
        return vec![];
    }
    let fits = |it: &&gateway::wording::Wording| match &schedule.wording {
        Some(id) => it.id == *id,
        None => {
            it.part == Part::Whole && (it.purposes.is_empty() || it.purposes.contains(&Purpose::Invitation))
        }
    };
    let mut ids: Vec<String> = Vec::new();
    for wording in project.wordings.iter().filter(fits) {
        if !ids.contains(&wording.id) {
            ids.push(wording.id.clone());
        }
    }
    ids
}

fn staff(known: Option<&gateway::project::Staff>, what: &str) -> String {
    known.map_or_else(
        || format!("a {what} that is written out in REDCap and that no administrator registered"),
        |staff| format!("staff: {} (registered by {})", staff.name, staff.registered),
    )
}

fn consent(project: &Project) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(fields) = &project.fields.consent {
        let manner = match fields.manner {
            ConsentManner::Written => "in writing",
            ConsentManner::VerbalDocumented => "in speech, documented by who heard it",
            ConsentManner::Electronic => "electronically",
        };
        sentences.push(format!(
            "Consent is given {manner}; the field `{}` says when, and as long as it is blank nothing is sent.",
            fields.given
        ));
        let covers: Vec<_> = fields.covers.iter().map(|method| words::method(*method)).collect();
        if !covers.is_empty() {
            sentences.push(format!("It covers: {}.", covers.join(", ")));
        }
        if let Some(phone) = &fields.phone {
            sentences.push(format!("It is for the number in the field `{phone}`, and for no other."));
        }
        if let Some(withdrawn) = &fields.withdrawn {
            sentences.push(format!("It ends when the field `{withdrawn}` says so."));
        }
    }
    if !project.consents.is_empty() {
        let count = project.consents.len();
        sentences.push(format!(
            "The consents of {count} records were entered by hand, each with where its evidence is."
        ));
    }
    if sentences.is_empty() {
        sentences.push("No field of REDCap documents consent to texts, and none was entered by hand: nothing is sent but what a waiver allows.".into());
    }
    if let Some(field) = &project.fields.opt_out {
        sentences.push(format!("An opt-out is written to the field `{field}`."));
    }
    sentences
}

fn in_force(policy: &Policy, link_hosts: &[String]) -> InForce {
    let about = policy.description();
    let settings = about.settings.iter().map(|declared| {
        let given = policy.settings().get(&declared.name).cloned();
        // Where links may lead is a simulation's in the project at hand, and the institution's in its plan.
        let given = match declared.name.as_str() {
            "link-hosts" => (!link_hosts.is_empty()).then(|| Value::Texts(link_hosts.to_vec())),
            _ => given,
        };
        Setting {
            name: declared.name.clone(),
            doc: declared.doc.clone(),
            is_default: given.is_none() || given == declared.default,
            value: words::value(given.as_ref().or(declared.default.as_ref())),
        }
    });
    let rules = about.rules.iter().map(|rule| Rule {
        id: rule.id.clone(),
        sentence: rule.sentence.clone(),
        citation: rule.citation.clone(),
    });
    InForce {
        world: policy.world().name(),
        name: about.name.clone(),
        version: about.version.clone(),
        digest: policy.digest().as_str().to_owned(),
        summary: about.summary.clone(),
        settings: settings.collect(),
        rules: rules.collect(),
    }
}

fn simulated(simulation: &Simulation) -> Simulated {
    let calendar = Calendar::of(simulation);
    let columns = calendar.columns(simulation.from.date());
    let name = |column: &Column| {
        let days = i64::from((column.last - column.first).get_days());
        if days == 0 { column.day.to_string() } else { format!("{}–{}", column.day, column.day + days) }
    };
    let counts = |participant: &crate::simulate::calendar::Participant<'_>| -> Vec<usize> {
        columns.iter().map(|column| participant.within(column).sent).collect()
    };
    let mut all = vec![0; columns.len()];
    for participant in &calendar.participants {
        for (sum, count) in all.iter_mut().zip(counts(participant)) {
            *sum += count;
        }
    }
    let rows = calendar.participants.iter().take(SHOWN).map(|participant| {
        let counts = counts(participant);
        let sum = counts.iter().sum();
        (participant.record.to_owned(), counts, sum)
    });
    let step = columns.first().map_or(0, |column| (column.last - column.first).get_days());
    let day = |date: jiff::civil::Date| date.strftime("%-d %B %Y").to_string();
    Simulated {
        period: format!("{} to {}", day(calendar.first), day(calendar.last)),
        unit: match step {
            0 => "day",
            6 => "week",
            _ => "four weeks",
        },
        rows: rows.collect(),
        sent: all.iter().sum(),
        all,
        participants: calendar.participants.len(),
        most: calendar
            .participants
            .iter()
            .flat_map(calendar::Participant::days)
            .map(|(_, it)| it.sent)
            .max()
            .unwrap_or(0),
        columns: columns.iter().map(name).collect(),
        assumed: simulation.assumed.clone(),
    }
}
