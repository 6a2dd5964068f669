//! The gateway at work: what wakes it, and what it does then.
//!
//! Everything it has to do is in the store. A wake only says that there may be something: losing one loses
//! nothing, because the store is looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::Effect;
use policy::contract::reviewer::{Draft, Stage};
use policy::contract::router::Route;
use policy::contract::types::{Purpose, Survey};
use policy::{Reply, Request};
use redcap::Record;
use redcap::client::ExportRecords;
use serde_json::json;
use tokio::sync::{Mutex, Notify};
use twilio::{AccountStatus, AccountType, PhoneNumber, RequestError};

use crate::clock::Clock;
use crate::decide::Asked;
use crate::facts::{Known, phone_of};
use crate::floor::Account;
use crate::outbox::{Message, NewMessage, Reason, State};
use crate::project::Project;
use crate::record::without_values;
use crate::store::{Committed, Decided, Sqlite, Step, StoreError};
use crate::{mistakes, render, trigger};

/// Seconds between two looks at everything: REDCap's records, the account.
const SWEEP: u32 = 300;

/// Messages that are decided in a row before what is due is sent.
const IN_A_ROW: u32 = 50;

/// What may wake the gateway.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// A message came in.
    pub(crate) inbox: Notify,
    /// A message is to be decided or sent.
    pub(crate) outbox: Notify,
    /// Records to read again, by project; none means all of them.
    records: Mutex<BTreeSet<(String, Option<String>)>>,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The projects, by name.
    pub projects: BTreeMap<String, Arc<Project>>,
    /// What is remembered.
    pub store: Sqlite,
    /// The one clock.
    pub clock: Clock,
    /// Where Twilio and REDCap reach us, without a slash at its end.
    pub public_url: String,
    pub(crate) wake: Wake,
    pub(crate) line_types: Mutex<BTreeMap<PhoneNumber, policy::contract::twilio::LineType>>,
    accounts: Mutex<BTreeMap<String, Account>>,
}

/// Why an invitation cannot be sent by hand.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// There is no such project.
    #[error("there is no project `{0}` in the configuration")]
    Project(String),
    /// REDCap has not answered yet.
    #[error("REDCap has not said yet what the project is; try again when it is reachable")]
    NotReady,
    /// The instrument is not a survey.
    #[error("`{0}` is not a survey of this project")]
    NotASurvey(String),
    /// The store failed.
    #[error("remember the invitation")]
    Store(#[from] StoreError),
}

impl Gateway {
    /// A gateway that has not begun to work.
    pub fn new(
        projects: impl IntoIterator<Item = Project>,
        store: Sqlite,
        clock: Clock,
        public_url: &str,
    ) -> Gateway {
        let projects =
            projects.into_iter().map(|project| (project.name.clone(), Arc::new(project))).collect();
        Gateway {
            projects,
            store,
            clock,
            public_url: public_url.trim_end_matches('/').into(),
            wake: Wake::default(),
            line_types: Mutex::default(),
            accounts: Mutex::default(),
        }
    }

    /// Works until it is dropped. Inbound messages have a loop of their own beside the outbox's: however long
    /// that is, an opt-out does not wait.
    pub async fn run(self: Arc<Self>) {
        let inbox = {
            let gateway = self.clone();
            async move {
                loop {
                    let waiting = gateway.wake.inbox.notified();
                    match gateway.read_inbox().await {
                        Ok(0) => gateway.or_after(waiting, 60).await,
                        Ok(_) => {}
                        Err(error) => gateway.stumble(&error).await,
                    }
                }
            }
        };
        let sweep = {
            let gateway = self.clone();
            async move {
                loop {
                    gateway.sweep().await;
                    let next = gateway.clock.now() + jiff::SignedDuration::from_secs(i64::from(SWEEP));
                    gateway.clock.until(next).await;
                }
            }
        };
        let outbox = async move {
            loop {
                let waiting = self.wake.outbox.notified();
                match self.work().await {
                    Ok(0) => {
                        let now = self.clock.seconds();
                        let next = self.store.next_look().ok().flatten().unwrap_or(now + SWEEP);
                        self.or_after(waiting, next.saturating_sub(now).clamp(1, SWEEP)).await;
                    }
                    Ok(_) => {}
                    Err(error) => self.stumble(&error).await,
                }
            }
        };
        tokio::join!(inbox, sweep, outbox);
    }

    async fn or_after(&self, waiting: tokio::sync::futures::Notified<'_>, seconds: u32) {
        let until = self.clock.now() + jiff::SignedDuration::from_secs(i64::from(seconds));
        tokio::select! {
            () = waiting => {}
            () = self.clock.until(until) => {}
        }
    }

    async fn stumble(&self, error: &StoreError) {
        tracing::error!(%error, "the store failed; nothing is sent until it works again");
        let until = self.clock.now() + jiff::SignedDuration::from_secs(5);
        self.clock.until(until).await;
    }

    /// Works until nothing is left that can be done at this instant. For those who hold the clock.
    pub async fn settle(&self) -> Result<(), StoreError> {
        while self.read_inbox().await? + self.work().await? > 0 {}
        Ok(())
    }

    /// Looks at everything once: the account, the project, the records.
    pub async fn sweep(&self) {
        for project in self.projects.values() {
            let account = self.look_at_account(project).await;
            self.accounts.lock().await.insert(project.name.clone(), account);
            if let Err(error) = self.connect(project).await {
                let error = without_values(&error);
                tracing::warn!(project = project.name, error, "REDCap does not answer; it is asked again");
                continue;
            }
            self.wake.records.lock().await.insert((project.name.clone(), None));
        }
        self.wake.outbox.notify_one();
    }

    /// A record may have changed. Nothing is believed until it is read back.
    pub async fn record_changed(&self, project: &str, record: &str) {
        self.wake.records.lock().await.insert((project.to_owned(), Some(record.to_owned())));
        self.wake.outbox.notify_one();
    }

    /// Invites a record to a survey, by hand. Each call is an occasion of its own.
    pub async fn invite(
        &self,
        project: &str,
        record: &str,
        instrument: &str,
        wording: Option<String>,
    ) -> Result<String, InviteError> {
        let project = self.projects.get(project).ok_or_else(|| InviteError::Project(project.into()))?;
        let model = project.model().ok_or(InviteError::NotReady)?;
        let survey = trigger::survey(&model, instrument, None)
            .ok_or_else(|| InviteError::NotASurvey(instrument.into()))?;
        let now = self.clock.seconds();
        let nonce: [u8; 8] = crate::store::random()?;
        let new = NewMessage {
            occasion: format!("{}/by-hand/{instrument}/{record}/{}", project.name, hex::encode(nonce)),
            project: project.name.clone(),
            purpose: Purpose::Invitation,
            record: Some(record.into()),
            survey: Some(survey),
            wording,
            number: None,
            cause: None,
            depth: 0,
            due: now,
            not_after: Some(now + 86_400),
        };
        let planned = self.store.commit(Step::Plan(vec![new])).await?;
        self.wake.outbox.notify_one();
        match planned {
            Committed::Planned(mut ids) => Ok(ids.pop().unwrap_or_default()),
            _ => Ok(String::new()),
        }
    }

    /// Where Twilio reports on a message.
    pub fn status_url(&self, project: &str, id: &str) -> String {
        format!("{}/twilio/{project}/status?m={id}", self.public_url)
    }

    /// What is known of a project's account.
    pub async fn account(&self, project: &str) -> Account {
        let unknown = || Account::Unknown("Twilio has not said yet whether the account may send".into());
        self.accounts.lock().await.get(project).cloned().unwrap_or_else(unknown)
    }

    async fn look_at_account(&self, project: &Project) -> Account {
        let account = &project.account;
        if account.request_inspector_off.is_none() {
            return Account::Bad(
                "nobody has attested that Request Inspector is off in the Twilio account".into(),
            );
        }
        match account.client.account().await {
            Ok(found) if found.account_type == AccountType::Trial => {
                Account::Bad("the Twilio account is a trial account".into())
            }
            Ok(found) if found.account_type != AccountType::Full => {
                Account::Bad("the Twilio account is of a kind that Consentry does not know".into())
            }
            Ok(found) if found.status != AccountStatus::Active => {
                Account::Bad("the Twilio account is suspended or closed".into())
            }
            Ok(_) => Account::Good,
            // An API key may not read the account. Then a named person's word stands in for Twilio's.
            Err(RequestError::Api(error)) if matches!(error.status, 401 | 403) => {
                if account.full_account.is_some() && account.by_key && error.code == Some(20003) {
                    Account::Good
                } else {
                    Account::Bad(
                        "Twilio refuses these credentials, or they may not read the account; attest \
                         `full-account` if they are an API key's"
                            .into(),
                    )
                }
            }
            Err(error) => {
                tracing::warn!(project = project.name, %error, "Twilio does not answer; it is asked again");
                Account::Unknown("Twilio does not answer".into())
            }
        }
    }

    async fn connect(&self, project: &Project) -> Result<(), redcap::ApiError> {
        let xml = project.redcap.project_xml(true).await?;
        match redcap::odm::read_project(xml.as_bytes()) {
            Ok((model, problems)) => {
                for problem in problems.iter().take(10) {
                    let (line, sentence) = (problem.line, &problem.sentence);
                    tracing::warn!(project = project.name, line, sentence, "the project XML");
                }
                self.tell(project, mistakes::mistakes(project, &model)).await;
                project.set_model(model);
            }
            // REDCap answered, with something that is no project: what was known before stays in force.
            Err(error) => tracing::error!(project = project.name, %error, "the project XML cannot be read"),
        }
        Ok(())
    }

    /// Tells of mistakes in a project's settings: each is one task, however often it is seen.
    async fn tell(&self, project: &Project, mistakes: Vec<String>) {
        for sentence in mistakes {
            tracing::error!(project = project.name, sentence, "the project's settings");
            let cause = format!("settings/{}/{sentence}", project.name);
            let ask = Step::Ask { kind: "wrong-setting", project: project.name.clone(), cause, sentence };
            if let Err(error) = self.store.commit(ask).await {
                tracing::error!(%error, "a task cannot be remembered; it is found again at the next sweep");
            }
        }
    }

    /// Does what there is to do, once around, and says how much that was.
    async fn work(&self) -> Result<usize, StoreError> {
        let mut done = self.read_records().await?;
        for message in self.store.undecided(self.clock.seconds(), IN_A_ROW)? {
            self.decide(message).await?;
            done += 1;
        }
        done += self.send_due().await?;
        done += self.write_back().await?;
        Ok(done)
    }

    async fn read_records(&self) -> Result<usize, StoreError> {
        let waiting = std::mem::take(&mut *self.wake.records.lock().await);
        let count = waiting.len();
        for (name, record) in waiting {
            let Some(project) = self.projects.get(&name).cloned() else { continue };
            let Some(model) = project.model() else { continue };
            let wanted = ExportRecords {
                records: record.iter().cloned().collect(),
                survey_fields: true,
                ..ExportRecords::default()
            };
            match project.redcap.export_records(&wanted).await {
                Ok(rows) => {
                    let records = redcap::record::from_flat_rows(&model, &rows);
                    self.plan(&project, &model, &records).await?;
                }
                // The next sweep reads every record again, so nothing is lost.
                Err(error) => {
                    let error = without_values(&error);
                    tracing::warn!(project = name, error, "records cannot be read; they are read again");
                }
            }
        }
        Ok(count)
    }

    async fn plan(
        &self,
        project: &Project,
        model: &redcap::Project,
        records: &[Record],
    ) -> Result<(), StoreError> {
        let now = self.clock.seconds();
        let pairs =
            records.iter().map(|record| (record.id.clone(), phone_of(project, model, record))).collect();
        self.store.commit(Step::Phones { project: project.name.clone(), pairs }).await?;
        let found: Vec<_> =
            records.iter().flat_map(|record| trigger::occasions(project, model, record, now)).collect();
        if !found.is_empty() {
            self.store.commit(Step::Plan(found)).await?;
        }
        Ok(())
    }

    /// Reads a record as it is now.
    pub(crate) async fn read_record(
        &self,
        project: &Project,
        model: &redcap::Project,
        record: &str,
        now: u32,
    ) -> Result<(Arc<Record>, u32), Reason> {
        let wanted =
            ExportRecords { records: vec![record.into()], survey_fields: true, ..ExportRecords::default() };
        let unreadable = |why: String| Reason::new("facts.redcap", why);
        let rows =
            project.redcap.export_records(&wanted).await.map_err(|error| {
                unreadable(format!("REDCap could not be read: {}", without_values(&error)))
            })?;
        let found = redcap::record::from_flat_rows(model, &rows).into_iter().find(|found| found.id == record);
        let found = found.ok_or_else(|| unreadable("REDCap has no such record any more".into()))?;
        Ok((Arc::new(found), now))
    }

    /// Gathers what nearly every decision needs.
    pub(crate) async fn gather(&self, message: &Message, now: u32) -> Result<Known, Reason> {
        let missing = |why: &str| Reason::new("facts.project", why);
        let project = self
            .projects
            .get(&message.new.project)
            .cloned()
            .ok_or_else(|| missing("its project is not in the configuration any more"))?;
        let model = project.model().ok_or_else(|| missing("REDCap has not said yet what the project is"))?;
        let (mut record, mut as_of, mut survey_link) = (None, now, None);
        if let Some(id) = &message.new.record {
            let (read, at) = self.read_record(&project, &model, id, now).await?;
            (record, as_of) = (Some(read), at);
            if let Some(survey) = &message.new.survey {
                survey_link = Some(self.survey_link(&project, id, survey).await?);
            }
        }
        let phone = match (&message.new.number, &record) {
            (Some(number), _) => Some(number.clone()),
            (None, Some(record)) => phone_of(&project, &model, record),
            (None, None) => None,
        };
        let failed = |error: StoreError| Reason::new("facts.store", error.to_string());
        let (opt_outs, recent) = match &phone {
            Some(phone) => (
                self.store.opt_outs(phone, &project.name).map_err(failed)?,
                self.store.recent(phone).map_err(failed)?,
            ),
            None => (vec![], vec![]),
        };
        let open_invitations = match &message.new.record {
            Some(record) => self.store.open_invitations(&project.name, record).map_err(failed)?,
            None => vec![],
        };
        Ok(Known {
            project,
            model,
            record,
            as_of,
            now,
            survey: message.new.survey.clone(),
            survey_link,
            phone,
            opt_outs,
            recent,
            open_invitations,
            line_type: None,
            deliveries: None,
        })
    }

    async fn survey_link(&self, project: &Project, record: &str, survey: &Survey) -> Result<String, Reason> {
        project
            .redcap
            .survey_link(record, &survey.instrument, survey.event.as_deref(), survey.instance)
            .await
            .map_err(|error| {
                let why = format!("REDCap gave no survey link: {}", without_values(&error));
                Reason::new("facts.survey-link", why)
            })
    }

    /// Route, render, review: where a message goes next.
    async fn decide(&self, message: Message) -> Result<(), StoreError> {
        let now = self.clock.seconds();
        let mut decided = Decided {
            id: message.id.clone(),
            version: message.version,
            state: State::Deferred,
            look_at: now + 60,
            draft: None,
            reason: None,
            decisions: vec![],
            writes: vec![],
            messages: vec![],
            refused: vec![],
            evidence: None,
        };
        if message.new.not_after.is_some_and(|end| now > end) {
            decided.state = State::Expired;
            decided.reason =
                Some(Reason::new("floor.not-after", "it was not out in time, and is not sent any more"));
        } else {
            match self.gather(&message, now).await {
                Ok(known) => self.consider(&message, known, &mut decided).await,
                Err(why) => decided.reason = Some(why),
            }
            // However long a policy wants to wait, the end of the message's time is seen.
            if let (State::Deferred, Some(end)) = (decided.state, message.new.not_after) {
                decided.look_at = decided.look_at.min(end.saturating_add(1));
            }
        }
        self.store.commit(Step::Decide(Box::new(decided))).await?;
        Ok(())
    }

    async fn consider(&self, message: &Message, mut known: Known, decided: &mut Decided) {
        let now = known.now;
        let occasion = known.occasion(message);
        let hold = |decided: &mut Decided, reason: Reason| {
            decided.state = State::Held;
            decided.look_at = now;
            decided.reason = Some(reason);
        };
        let (route, asked) = self.route(message, &occasion, &mut known).await;
        if let Some(asked) = asked {
            keep(message, &known, asked, decided);
        }
        let plan = match route {
            Ok(Route::Contact(plan)) => plan,
            Ok(Route::Wait(wait)) => {
                decided.look_at = wait.until.max(now + 60);
                decided.reason = Some(wait.because.into());
                return;
            }
            Ok(Route::Skip(finding)) => {
                decided.state = State::Suppressed;
                decided.look_at = now;
                // A participant who opted out is shown as such, whatever the policy called it.
                let opted_out = known.opt_outs.iter().any(|o| o.ended.is_none());
                decided.reason = Some(if opted_out { crate::floor::opted_out() } else { finding.into() });
                return;
            }
            Err(reason) => return hold(decided, reason),
        };
        if let Some(at) = plan.not_before.filter(|at| *at > now) {
            // Never so soon that the same question is asked again and again.
            decided.look_at = at.max(now + 60);
            decided.reason = plan.because.into_iter().next().map(Reason::from);
            return;
        }
        let template = known.project.policies.template.clone();
        let request = Request::Render(occasion.clone(), plan.method);
        let asked = self.ask(&template, request, &mut known).await;
        let words = match asked.reply.clone() {
            Ok(Reply::Words(Ok(words))) => Ok(words),
            Ok(Reply::Words(Err(finding))) => Err(Reason::from(finding)),
            Ok(_) => Err(Reason::new("policy.bad-answer", "the template policy answered something else")),
            Err(reason) => Err(reason),
        };
        decided.decisions.push(asked.row);
        let drafted = words.and_then(|words| {
            render::draft(&known, &words, plan.method, plan.sender.clone(), plan.to.clone())
        });
        let (draft, pieces) = match drafted {
            Ok(drafted) => drafted,
            Err(reason) => return hold(decided, reason),
        };
        let reviewed = self.review(message, &occasion, &draft, &pieces, Stage::Planned, &mut known).await;
        decided.decisions.extend(reviewed.asked.map(|asked| asked.row));
        decided.state = reviewed.state;
        decided.look_at = reviewed.look_at;
        decided.reason = reviewed.reason;
        decided.evidence = Some(evidence(&known, &draft));
        decided.draft = Some(draft);
    }
}

/// Keeps a decision and what it asked the host to do.
fn keep(message: &Message, known: &Known, asked: Asked, decided: &mut Decided) {
    decided.decisions.push(asked.row);
    if asked.reply.is_err() {
        return;
    }
    for (index, effect) in asked.effects.into_iter().enumerate() {
        match effect {
            Effect::Write(values) if values.iter().any(|value| value.place.instance != 1) => {
                let sentence =
                    "a policy asked to write to a repeat instance, and this version writes to none";
                decided.refused.push(sentence.into());
            }
            Effect::Write(values) => {
                // Without an event, the occasion's own is meant.
                let own = known.place().event_name().to_owned();
                let mut by_event: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
                for value in values {
                    let event = value.place.event.unwrap_or_else(|| own.clone());
                    by_event.entry(event).or_default().push((value.field, value.value));
                }
                decided.writes.extend(by_event);
            }
            // A policy that answers each message with another would never end: what the floor holds for its
            // depth causes nothing more.
            Effect::Send { .. } | Effect::Call { .. } if message.new.depth > crate::floor::DEPTH => {}
            Effect::Call { .. } => {
                decided.refused.push("a policy asked for a call, and this version places none".into());
            }
            Effect::Send { wording, .. } if !known.project.wordings.iter().any(|w| w.id == wording) => {
                decided
                    .refused
                    .push("a policy asked for a text with a wording that the project has not".into());
            }
            Effect::Send { wording, .. } => {
                decided.messages.push(NewMessage {
                    occasion: format!("{}/caused/{}/{index}", known.project.name, message.id),
                    project: known.project.name.clone(),
                    purpose: Purpose::Notification,
                    record: message.new.record.clone(),
                    survey: message.new.survey.clone(),
                    wording: Some(wording),
                    number: None,
                    cause: Some(message.id.clone()),
                    depth: message.new.depth + 1,
                    due: known.now,
                    not_after: message.new.not_after,
                });
            }
        }
    }
}

/// What allowed a message: the approvals and the consent that were in force.
fn evidence(known: &Known, draft: &Draft) -> serde_json::Value {
    let consents: Vec<_> = known
        .participant()
        .into_iter()
        .flat_map(|participant| participant.consents)
        .filter(|consent| consent.covers.contains(&draft.method))
        .map(|consent| json!({ "given": consent.given, "evidence": consent.evidence, "withdrawn": consent.withdrawn }))
        .collect();
    let approvals: Vec<_> = draft
        .approvals
        .iter()
        .map(|approval| json!({ "wording": approval.wording, "digest": approval.digest, "protocol": approval.protocol }))
        .collect();
    json!({
        "approvals": approvals,
        "consents": consents,
        "waiver": known.project.waiver,
        "segments": draft.segments,
        "language": draft.language,
        "fields": draft.fillings.iter().map(|filling| filling.field.clone()).collect::<Vec<_>>(),
        "facts-as-of": known.as_of,
    })
}
