//! Taking over a running study: what REDCap itself would still send. Until REDCap is told to stop, Consentry does
//! not run it too, for the participant would get it twice; and what REDCap has queued already it will send, whatever
//! its definitions say now.

use std::collections::BTreeSet;

use policy::contract::types::DeliveryMethod;
use policy::contract::wordings::ApprovalState;
use redcap::ApiError;
use redcap::client::{LogKind, Participant, ReadLog};
use serde::Serialize;

use crate::facts::civil;
use crate::outbox::Reason;
use crate::project::{Project, RedcapSends};
use crate::record::without_values;
use crate::schedule::{Design, Schedule, moment};
use crate::store::{CatchUp, Committed, Step, Store, StoreError};

/// The rule of an invitation that REDCap itself has queued.
pub const QUEUED: &str = "schedule.redcap-queued";

/// Why a message is held whose record REDCap will still invite.
pub(crate) fn queued(record: &str) -> Reason {
    let sentence = format!(
        "REDCap itself has queued an invitation to this survey for record {record}, and will send it: delete it in \
         REDCap's survey invitation log, or cancel this one"
    );
    Reason::new(QUEUED, sentence)
}

/// What is designed in REDCap, with what keeps it from being run here.
pub async fn design(project: &Project, model: redcap::Project) -> Result<Design, String> {
    let mut design = Design::of(project, model);
    look(project, &mut design).await.map_err(|error| without_values(&error))?;
    Ok(design)
}

/// Marks in a design what is not run here because REDCap itself sends it.
pub fn mark(project: &Project, design: &mut Design) {
    let asks = project.takes_over.redcap_sends == RedcapSends::AsDesigned;
    let sent = design.schedules.iter_mut().filter(|it| asks && it.active_in_redcap && it.not_run.is_none());
    for schedule in sent {
        schedule.not_run = Some(still_active(schedule));
    }
}

/// A person has looked at what was held before go-live, by the brake, or because REDCap had queued it. Says how many
/// messages that was; reminders go with their invitations and are not counted.
pub async fn catch_up(store: &Store, wanted: &CatchUp, why: &str) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let step = Step::CatchUp { catch_up: wanted.clone(), why: why.into() };
        let Committed::Count(count) = store.commit(step).await? else { return Ok(all) };
        all += count;
        // A sample is taken once.
        if count == 0 || wanted.at_most.is_some() {
            return Ok(all);
        }
    }
}

/// Marks in a design what REDCap itself sends, and reads what it has queued. An error is a passing one: what cannot
/// be told for good keeps its schedule from running.
pub(crate) async fn look(project: &Project, design: &mut Design) -> Result<(), ApiError> {
    mark(project, design);
    if project.takes_over.redcap_sends == RedcapSends::Never {
        return Ok(());
    }
    for (instrument, event) in surveys(&design.schedules, |schedule| schedule.not_run.is_none()) {
        let listed = project.redcap.participant_list(&instrument, event.as_deref()).await;
        let (records, why) = match listed {
            Ok(listed) => queued_in(&listed),
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => (BTreeSet::new(), Some(not_listed(&error))),
        };
        let survey = Some((instrument, event));
        for schedule in design.schedules.iter_mut().filter(|it| is_invitation(it) && it.survey == survey) {
            if schedule.not_run.is_none() {
                schedule.not_run.clone_from(&why);
            }
            if !records.is_empty() {
                design.queued.insert(schedule.id.clone(), records.clone());
            }
        }
    }
    Ok(())
}

/// Schedules that REDCap would send too.
pub(crate) fn sent_by_redcap<'a>(
    project: &Project,
    design: &'a Design,
) -> impl Iterator<Item = &'a Schedule> + use<'a> {
    let asks = project.takes_over.redcap_sends == RedcapSends::AsDesigned;
    design.schedules.iter().filter(move |schedule| asks && schedule.active_in_redcap)
}

fn is_invitation(schedule: &Schedule) -> bool {
    schedule.id.starts_with("asi/")
}

fn still_active(schedule: &Schedule) -> String {
    let how = if is_invitation(schedule) { "set it to inactive" } else { "deactivate it" };
    format!("REDCap would send it too, because it is active there; {how} in REDCap, and it is run here")
}

fn not_listed(error: &ApiError) -> String {
    let why = without_values(error);
    format!("REDCap's participant list cannot be read, so nobody knows what REDCap has queued: {why}")
}

/// The surveys of invitations that are taken over, each once.
fn surveys(schedules: &[Schedule], wanted: impl Fn(&Schedule) -> bool) -> BTreeSet<(String, Option<String>)> {
    let invitations = schedules.iter().filter(|schedule| is_invitation(schedule) && wanted(schedule));
    invitations.filter_map(|schedule| schedule.survey.clone()).collect()
}

/// The records to which REDCap will still send an invitation, and what is wrong if it does not say to which.
fn queued_in(listed: &[Participant]) -> (BTreeSet<String>, Option<String>) {
    let queued: Vec<_> = listed.iter().filter(|row| row.invitation_send_time.is_some()).collect();
    let records: BTreeSet<_> = queued.iter().filter_map(|row| row.record.clone()).collect();
    let nameless = queued.iter().filter(|row| row.record.is_none()).count();
    let why = (nameless > 0).then(|| {
        format!(
            "REDCap has queued {nameless} invitations without saying for which records; delete them in REDCap's survey \
             invitation log"
        )
    });
    (records, why)
}

/// How something stands that a project needs before it goes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// Something to look at.
    Warn,
    /// Nobody could find out.
    Unknown,
    /// The project must not go live so.
    Stop,
}

/// One finding of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: "redcap-sends", "redcap-queued", "not-run" …
    pub check: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The schedule, the survey or the wording.
    pub about: Option<String>,
    /// What was found.
    pub sentence: String,
    /// What to do about it.
    pub todo: Option<String>,
    /// How many there are of it.
    pub count: Option<usize>,
    /// The records.
    pub records: Vec<String>,
}

impl Finding {
    fn new(check: &'static str, standing: Standing, sentence: impl Into<String>) -> Finding {
        Finding {
            check,
            standing,
            about: None,
            sentence: sentence.into(),
            todo: None,
            count: None,
            records: vec![],
        }
    }

    fn about(mut self, what: &str) -> Finding {
        self.about = Some(what.into());
        self
    }

    fn todo(mut self, todo: &str) -> Finding {
        self.todo = Some(todo.into());
        self
    }
}

/// Reads what a project is in REDCap.
pub async fn read_model(project: &Project) -> Result<redcap::Project, String> {
    let xml = project.redcap.project_xml(true).await.map_err(|error| without_values(&error))?;
    let read = redcap::odm::read_project(xml.as_bytes());
    read.map(|(model, _)| model).map_err(|error| format!("the project XML cannot be read: {error}"))
}

/// What keeps the schedules of a project from going live.
pub async fn check(project: &Project, model: redcap::Project, now: u32) -> Vec<Finding> {
    let design = Design::of(project, model);
    let mut found = Vec::new();
    of_definitions(project, &design, &mut found);
    of_queue(project, &design, &mut found).await;
    of_token(project, &design, now, &mut found).await;
    of_wordings(&design, now, &mut found);
    of_surveys(project, &design, now, &mut found);
    found
}

fn of_definitions(project: &Project, design: &Design, found: &mut Vec<Finding>) {
    for sentence in Design::not_there(project, &design.model) {
        let todo = "write its name as REDCap has it, or take it out of [schedules]";
        found.push(Finding::new("not-there", Standing::Stop, sentence).todo(todo));
    }
    for schedule in &design.schedules {
        if let Some(why) = &schedule.not_run {
            let todo = "change it in REDCap to something that can be run, or leave it to REDCap";
            let not_run = Finding::new("not-run", Standing::Stop, format!("it is not run: {why}"));
            found.push(not_run.about(&schedule.id).todo(todo));
        }
    }
    let sent: Vec<_> = sent_by_redcap(project, design).collect();
    for schedule in &sent {
        let todo = if is_invitation(schedule) {
            "set it to inactive under \"Automated Invitations\"; what it has queued already is sent all the same"
        } else {
            "deactivate it under \"Alerts & Notifications\""
        };
        let sentence = "it is active in REDCap, and both would send it";
        found.push(Finding::new("redcap-sends", Standing::Stop, sentence).about(&schedule.id).todo(todo));
    }
    if project.takes_over.redcap_sends == RedcapSends::Never {
        let sentence = "the settings say that REDCap sends nothing itself (redcap-sends = \"never\")";
        found.push(Finding::new("redcap-sends", Standing::Ok, sentence));
        let by_email = |it: &&Schedule| it.active_in_redcap && it.method() == Some(DeliveryMethod::Email);
        for schedule in design.schedules.iter().filter(by_email) {
            let sentence = "it is active in REDCap, whose e-mails need no Twilio module: both may send it";
            let todo = "deactivate it in REDCap, or leave it to REDCap";
            let warning = Finding::new("redcap-sends", Standing::Warn, sentence);
            found.push(warning.about(&schedule.id).todo(todo));
        }
    } else if sent.is_empty() {
        let sentence = "nothing that is taken over is active in REDCap";
        found.push(Finding::new("redcap-sends", Standing::Ok, sentence));
    }
}

async fn of_queue(project: &Project, design: &Design, found: &mut Vec<Finding>) {
    if project.takes_over.redcap_sends == RedcapSends::Never {
        return;
    }
    for (instrument, event) in surveys(&design.schedules, |_| true) {
        let about =
            event.as_ref().map_or_else(|| instrument.clone(), |event| format!("{instrument}@{event}"));
        let listed = match project.redcap.participant_list(&instrument, event.as_deref()).await {
            Ok(listed) => listed,
            Err(error) => {
                let standing = if error.is_passing() { Standing::Unknown } else { Standing::Stop };
                let todo = "give the token's user the right to the survey distribution tools";
                found.push(
                    Finding::new("redcap-queued", standing, not_listed(&error)).about(&about).todo(todo),
                );
                continue;
            }
        };
        let queued: Vec<_> = listed.iter().filter(|row| row.invitation_send_time.is_some()).collect();
        let mut finding = if queued.is_empty() {
            Finding::new("redcap-queued", Standing::Ok, "REDCap has queued no invitation to it")
        } else {
            let sentence =
                format!("REDCap has queued {} invitations to it, and will send them", queued.len());
            let todo = "delete them in REDCap's survey invitation log, or wait until they are sent";
            Finding::new("redcap-queued", Standing::Stop, sentence).todo(todo)
        };
        finding.count = Some(queued.len());
        finding.records = queued.iter().filter_map(|row| row.record.clone()).collect();
        found.push(finding.about(&about));
    }
}

async fn of_token(project: &Project, design: &Design, now: u32, found: &mut Vec<Finding>) {
    let begin = civil(now.saturating_sub(60), project).strftime("%Y-%m-%d %H:%M").to_string();
    let wanted = ReadLog { kind: LogKind::Record, begin: Some(begin), ..ReadLog::default() };
    found.push(match project.redcap.log(&wanted).await {
        Ok(_) => Finding::new("token-log", Standing::Ok, "REDCap's log can be read"),
        Err(error) => {
            let standing = if error.is_passing() { Standing::Unknown } else { Standing::Warn };
            let sentence = format!("REDCap's log cannot be read: {}", without_values(&error));
            let todo = "give the token's user the right to see the log; without it every record is read every five \
                        minutes";
            Finding::new("token-log", standing, sentence).todo(todo)
        }
    });
    let Some((instrument, event)) = surveys(&design.schedules, |_| true).into_iter().next() else { return };
    let listed = project.redcap.participant_list(&instrument, event.as_deref()).await.unwrap_or_default();
    let Some(record) = listed.into_iter().find_map(|row| row.record) else {
        let sentence = "there is no record yet whose survey link could be asked for";
        found.push(Finding::new("token-survey-link", Standing::Unknown, sentence).about(&instrument));
        return;
    };
    let link = project.redcap.survey_link(&record, &instrument, event.as_deref(), 1).await;
    let finding = match link {
        Ok(_) => Finding::new("token-survey-link", Standing::Ok, "REDCap tells the links of surveys"),
        Err(error) => {
            let standing = if error.is_passing() { Standing::Unknown } else { Standing::Stop };
            let sentence = format!("REDCap does not tell the link of a survey: {}", without_values(&error));
            let todo = "give the token's user the right to the survey distribution tools";
            Finding::new("token-survey-link", standing, sentence).todo(todo)
        }
    };
    found.push(finding.about(&instrument));
}

fn of_wordings(design: &Design, now: u32, found: &mut Vec<Finding>) {
    for schedule in &design.schedules {
        // What is not among these texts is sent in no way that this schedule goes.
        let methods = schedule.method().map_or_else(|| vec![DeliveryMethod::SmsLink], |method| vec![method]);
        let wanted = methods.into_iter().filter_map(|method| schedule.wording_for(method));
        for id in wanted {
            let Some(wording) = design.wordings.iter().find(|wording| wording.id == id) else { continue };
            let what = match wording.approval_state(now) {
                ApprovalState::Approved => continue,
                ApprovalState::Submitted => "is not approved yet",
                ApprovalState::Expired => "has an approval that has expired",
                ApprovalState::Absent => "has no approval",
            };
            let sentence = format!("its text {what}, and is held; its digest is {}", wording.digest());
            let todo = "have the text approved, and write an [[approval]] with this digest";
            found.push(Finding::new("approval", Standing::Warn, sentence).about(&id).todo(todo));
        }
    }
}

fn of_surveys(project: &Project, design: &Design, now: u32, found: &mut Vec<Finding>) {
    let invited = design.schedules.iter().filter_map(|schedule| schedule.survey.clone());
    let invited: BTreeSet<_> = invited.map(|(instrument, _)| instrument).collect();
    for instrument in invited {
        let Some(survey) = design.model.survey(&instrument) else { continue };
        let ends = survey.expiration.as_deref().and_then(moment);
        let what = if !survey.enabled {
            "the survey is not active in REDCap, and nobody is invited to it"
        } else if ends.is_some_and(|end| end < civil(now, project)) {
            "the survey has expired in REDCap, and nobody is invited to it"
        } else {
            continue;
        };
        let todo = "open the survey in REDCap's \"Survey Settings\"";
        found.push(Finding::new("survey", Standing::Warn, what).about(&instrument).todo(todo));
    }
}
