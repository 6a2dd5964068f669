//! The gateway at work: what wakes it, and what it does then.
//!
//! Everything it has to do is in the store. A wake only says that there may be something: losing one loses
//! nothing, because the store is looked at again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use policy::Effect;
use policy::contract::reviewer::{Draft, Stage};
use policy::contract::router::Route;
use policy::contract::types::{Channel, DeliveryMethod, Purpose, Survey};
use policy::contract::wordings::Piece;
use policy::{Reply, Request};
use redcap::Record;
use redcap::client::ExportRecords;
use redcap::pipe::LinkKind;
use redcap::reference::Instance;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;
use twilio::PhoneNumber;

use crate::account::Look;
use crate::clock::Clock;
use crate::decide::Asked;
use crate::facts::{Known, mailbox_of, phone_of};
use crate::lease::Leases;
use crate::outbox::{Message, NewMessage, Reason, State};
use crate::pace::Pace;
use crate::project::Project;
use crate::record::without_values;
use crate::schedule::{Design, Schedule, Whom, still_wanted};
use crate::store::{Committed, Decided, Queue, Step, Store, StoreError};
use crate::watch::Watching;
use crate::{by_hand, mistakes, render, takeover, trigger};

/// Seconds between two looks at everything: REDCap's records, the account.
pub(crate) const SWEEP: u32 = 300;

/// Messages of a project that are decided in a row before something else has its turn.
const IN_A_ROW: u32 = 16;

/// Records whose facts are kept for the second review.
const RECORDS: usize = 4096;

/// What waits to be done for a project, beside what is in the store.
#[derive(Debug)]
pub(crate) struct Work {
    /// Changes when something is to be decided or written.
    pub(crate) decide: watch::Sender<u64>,
    /// Changes when something is to be sent.
    pub(crate) send: watch::Sender<u64>,
    /// Changes when Twilio is to be asked.
    pub(crate) follow: watch::Sender<u64>,
    /// Changes when something has become final at Twilio.
    pub(crate) clean: watch::Sender<u64>,
    /// Records to read.
    pub(crate) watching: Mutex<Watching>,
    /// Whether the project is known to be live.
    pub(crate) live: AtomicBool,
    /// Whether the inbound messages are to be listed now.
    pub(crate) list_inbound: AtomicBool,
    /// When they were listed last.
    pub(crate) listed: Mutex<Listed>,
    /// When a webhook could not be stored for the last time, in seconds.
    pub(crate) missed: AtomicU32,
    /// How fast texts, calls and e-mails may go.
    pub(crate) pace: Mutex<(Pace, Pace, Pace)>,
    /// What is known of the account.
    pub(crate) account: Mutex<Look>,
}

/// When inbound messages were listed, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listed {
    /// To the end.
    pub(crate) done: u32,
    /// At all.
    pub(crate) tried: u32,
}

/// Facts of REDCap's, as they were read.
#[derive(Debug, Default)]
struct Read {
    records: BTreeMap<(String, String), (Arc<Record>, u32)>,
    links: BTreeMap<(String, String, String), (String, u32)>,
    /// Counts what was forgotten: what was read before that is not kept after it.
    forgotten: u64,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The projects, by name.
    pub projects: BTreeMap<String, Arc<Project>>,
    /// What is remembered.
    pub store: Store,
    /// The one clock.
    pub clock: Clock,
    /// Where Twilio and REDCap reach us, without a slash at its end.
    pub public_url: String,
    /// Whether Twilio is asked what became of what nobody knows of. Only a test of the crash tests says no.
    pub follows: bool,
    /// Keeps what names a saved form from telling what was saved.
    pub(crate) salt: Arc<[u8]>,
    /// From when on this daemon is at work: what came in before must have been taken in before it sends.
    pub(crate) started: u32,
    pub(crate) leases: Leases,
    pub(crate) work: BTreeMap<String, Work>,
    pub(crate) inbox: watch::Sender<u64>,
    pub(crate) line_types: Mutex<BTreeMap<PhoneNumber, policy::contract::twilio::LineType>>,
    read: Mutex<Read>,
    draining: watch::Sender<bool>,
}

impl Gateway {
    /// A gateway that has not begun to work.
    pub fn new(
        projects: impl IntoIterator<Item = Project>,
        store: Store,
        clock: Clock,
        public_url: &str,
    ) -> Result<Gateway, StoreError> {
        let projects: BTreeMap<_, _> =
            projects.into_iter().map(|project| (project.name.clone(), Arc::new(project))).collect();
        let salt = store.salt().into();
        let work = projects.iter().map(|(name, project)| (name.clone(), Work::new(project))).collect();
        Ok(Gateway {
            salt,
            started: clock.seconds(),
            leases: Leases::new()?,
            projects,
            store,
            clock,
            public_url: public_url.trim_end_matches('/').into(),
            follows: true,
            work,
            inbox: watch::Sender::new(0),
            line_types: Mutex::default(),
            read: Mutex::default(),
            draining: watch::Sender::new(false),
        })
    }

    /// Works until it is dropped, or drained. Each project has its own loops, so that one whose REDCap is slow
    /// makes no other wait; and inbound messages have theirs: however long an outbox is, an opt-out does not
    /// wait.
    pub async fn run(self: Arc<Self>) {
        let mut loops = JoinSet::new();
        loops.spawn(self.clone().turn(Queue::Inbox, String::new(), self.inbox.subscribe()));
        for (name, work) in &self.work {
            for (queue, woken) in [
                (Queue::Decide, work.decide.subscribe()),
                (Queue::Send, work.send.subscribe()),
                (Queue::Follow, work.follow.subscribe()),
                (Queue::Clean, work.clean.subscribe()),
            ] {
                loops.spawn(self.clone().turn(queue, name.clone(), woken));
            }
        }
        let gateway = self.clone();
        loops.spawn(async move {
            while !gateway.draining() {
                gateway.look_around(false).await;
                let next = gateway.clock.now() + jiff::SignedDuration::from_secs(i64::from(SWEEP));
                gateway.rest(next).await;
            }
        });
        let gateway = self.clone();
        loops.spawn(async move { gateway.seal().await });
        while let Some(ended) = loops.join_next().await {
            // A loop that fails takes all of them with it: better to start anew than to go on by half.
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// Does one kind of work again and again: at once while there is some, and else when it is woken, when the
    /// store says that something is due, or after a while.
    async fn turn(self: Arc<Self>, queue: Queue, project: String, mut woken: watch::Receiver<u64>) {
        while !self.draining() {
            woken.borrow_and_update();
            let wait = match self.work_on(queue, &project).await {
                Ok(0) => {
                    let next = self.store.next_of(queue, &project).await.ok().flatten();
                    // What another daemon or a command has written is found by looking.
                    let patience = self.patience();
                    next.map_or(patience, |at| at.saturating_sub(self.clock.seconds()).clamp(1, patience))
                }
                Ok(_) => continue,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, "the store failed; nothing is sent until it works again");
                    2
                }
            };
            let until = self.clock.now() + jiff::SignedDuration::from_secs(i64::from(wait));
            tokio::select! {
                // The sender is ours, so the channel cannot close while we wait.
                _ = woken.changed() => {}
                () = self.rest(until) => {}
            }
        }
    }

    /// Does one kind of work for a project, once around, and says how much that was.
    async fn work_on(&self, queue: Queue, project: &str) -> Result<usize, StoreError> {
        match queue {
            Queue::Inbox => self.read_inbox().await,
            Queue::Decide => self.plan_and_decide(project).await,
            Queue::Send => self.send(project).await,
            Queue::Follow => self.listen_and_follow(project).await,
            Queue::Clean => self.clean(project).await,
        }
    }

    /// Seconds after which the store is looked at again without a reason.
    fn patience(&self) -> u32 {
        if self.store.is_shared() { 1 } else { 10 }
    }

    /// Nothing new is begun, and what was begun is ended. The work of [`Gateway::run`] ends then.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Waits until an instant, or until there is nothing more to wait for because the daemon is drained.
    async fn rest(&self, until: jiff::Timestamp) {
        let mut draining = self.draining.subscribe();
        tokio::select! {
            () = self.clock.until(until) => {}
            // The sender is ours, so the channel cannot close while we wait.
            _ = draining.wait_for(|draining| *draining) => {}
        }
    }

    /// Gives what this daemon holds to the others, after it was drained.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.store.commit(Step::Leave { holder: self.leases.holder.clone() }).await.map(|_| ())
    }

    pub(crate) fn draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Chains what was committed to a shared ledger, twice a second, while this daemon holds that lease.
    async fn seal(&self) {
        while self.store.is_shared() && !self.draining() {
            if let Err(error) = self.seal_once().await {
                tracing::warn!(error = chain(&error), "the ledger could not be sealed; it is tried again");
            }
            let next = self.clock.now() + jiff::SignedDuration::from_millis(500);
            self.rest(next).await;
        }
    }

    async fn seal_once(&self) -> Result<(), StoreError> {
        while self.lease("sealer").await?.is_some()
            && matches!(self.store.commit(Step::Seal).await?, Committed::Count(count) if count > 0)
        {}
        Ok(())
    }

    /// Works until nothing is left that can be done at this instant. For those who hold the clock.
    pub async fn settle(&self) -> Result<(), StoreError> {
        loop {
            let mut done = self.read_inbox().await?;
            for name in self.projects.keys() {
                for queue in [Queue::Follow, Queue::Decide, Queue::Send, Queue::Clean] {
                    done += self.work_on(queue, name).await?;
                }
            }
            if done == 0 {
                return if self.store.is_shared() { self.seal_once().await } else { Ok(()) };
            }
        }
    }

    /// When something is to be done next, if nothing happens before. For those who hold the clock.
    pub async fn next_due(&self) -> Result<Option<u32>, StoreError> {
        let mut next = None;
        for name in self.projects.keys() {
            for queue in [Queue::Inbox, Queue::Follow, Queue::Decide, Queue::Send, Queue::Clean] {
                let due = self.store.next_of(queue, name).await?;
                next = next.into_iter().chain(due).min();
            }
            next = next.into_iter().chain(self.next_watch(name)).min();
        }
        Ok(next)
    }

    /// Looks at everything once: the account, the inbound messages, the project, the records; and destroys
    /// what has been kept long enough.
    pub async fn sweep(&self) {
        self.look_around(true).await;
    }

    /// As [`Gateway::sweep`], but for the records when REDCap's log tells which of them changed.
    async fn look_around(&self, everything: bool) {
        let looks = self.projects.values().map(|project| async {
            self.look_at_account(project).await;
            self.list_now(project);
            if let Err(error) = self.connect(project).await {
                let error = without_values(&error);
                tracing::warn!(project = project.name, error, "REDCap does not answer; it is asked again");
                return;
            }
            if everything || self.work[&project.name].watching.lock().wants_everything(self.clock.seconds()) {
                self.work[&project.name].watching.lock().everything = true;
            }
            self.wake_deciding(&project.name);
            if let Err(error) = self.warn_of_kept(project).await {
                tracing::warn!(
                    error = chain(&error),
                    "what Twilio keeps could not be looked at; it is looked at again"
                );
            }
            if let Err(error) = self.destroy(project).await {
                tracing::warn!(
                    error = chain(&error),
                    "what is old could not be destroyed; it is tried again"
                );
            }
        });
        futures_util::future::join_all(looks).await;
    }

    async fn destroy(&self, project: &Project) -> Result<(), StoreError> {
        let Some(keep) = project.retention else { return Ok(()) };
        let before = self.clock.seconds().saturating_sub(keep);
        let step = || Step::Destroy { project: project.name.clone(), before };
        while matches!(self.store.commit(step()).await?, Committed::Count(count) if count > 0) {}
        Ok(())
    }

    /// Something of a project may be to decide: who decides looks.
    pub fn wake_deciding(&self, project: &str) {
        if let Some(work) = self.work.get(project) {
            work.decide.send_modify(|count| *count += 1);
        }
    }

    /// What came in at Twilio is listed as soon as it can be.
    pub(crate) fn list_now(&self, project: &Project) {
        let work = &self.work[&project.name];
        work.listed.lock().tried = 0;
        work.list_inbound.store(true, Ordering::Relaxed);
        work.follow.send_modify(|count| *count += 1);
    }

    /// Something of a project may be due: its sender looks.
    pub fn wake_sending(&self, project: &str) {
        if let Some(work) = self.work.get(project) {
            work.send.send_modify(|count| *count += 1);
        }
    }

    /// Where Twilio reports on a message.
    pub fn status_url(&self, project: &str, id: &str, of: Channel) -> String {
        let what = if of == Channel::Voice { "call-status" } else { "status" };
        format!("{}/twilio/{project}/{what}?m={id}", self.public_url)
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
                let mut design = Design::of(project, model);
                takeover::look(project, &mut design).await?;
                project.set_design(design);
                self.tell(project, mistakes::of_schedules(project)).await;
            }
            // REDCap answered, with something that is no project: what was known before stays in force.
            Err(error) => tracing::error!(project = project.name, %error, "the project XML cannot be read"),
        }
        Ok(())
    }

    /// Tells of mistakes in a project's settings: each is one task, however often it is seen.
    pub(crate) async fn tell(&self, project: &Project, mistakes: Vec<String>) {
        for sentence in mistakes {
            tracing::error!(project = project.name, sentence, "the project's settings");
            let cause = format!("settings/{}/{sentence}", project.name);
            let ask = Step::Ask { kind: "wrong-setting", project: project.name.clone(), cause, sentence };
            if let Err(error) = self.store.commit(ask).await {
                tracing::error!(%error, "a task cannot be remembered; it is found again at the next sweep");
            }
        }
    }

    /// Reads records, decides what is undecided and writes what is to be written, once around, and says how much
    /// that was. One daemon at a time does it for a project.
    async fn plan_and_decide(&self, name: &str) -> Result<usize, StoreError> {
        let Some(project) = self.projects.get(name) else { return Ok(0) };
        if self.lease(&format!("schedule/{name}")).await?.is_none() {
            return Ok(0);
        }
        let mut done = self.read_records(project).await?;
        while matches!(self.store.commit(Step::Brake { project: name.into(), more_than: project.takes_over.brake }).await?,
            Committed::Count(count) if count > 0)
        {}
        let undecided = self.store.undecided(name, self.clock.seconds(), IN_A_ROW).await?;
        done += undecided.len();
        let decisions = undecided.into_iter().map(|message| {
            let span = tracing::info_span!("decide", project = name, message = message.id);
            self.decide(message).instrument(span)
        });
        for decided in futures_util::future::join_all(decisions).await {
            decided?;
        }
        done += self.write_back(project).await?;
        Ok(done)
    }

    /// Sends what is due. One daemon at a time does it for a sender.
    async fn send(&self, name: &str) -> Result<usize, StoreError> {
        let Some(project) = self.projects.get(name) else { return Ok(0) };
        if self.sending_lease(project).await?.is_none() {
            return Ok(0);
        }
        self.send_due(project).await
    }

    /// Takes inbound messages in, and asks what became of what was sent. Whoever sends does it.
    async fn listen_and_follow(&self, name: &str) -> Result<usize, StoreError> {
        let Some(project) = self.projects.get(name) else { return Ok(0) };
        if self.sending_lease(project).await?.is_none() {
            return Ok(0);
        }
        self.list_inbound(project).await?;
        if self.follows { self.follow(project).await } else { Ok(0) }
    }

    pub(crate) fn forget(&self, project: &str, record: &str) {
        let mut read = self.read.lock();
        read.forgotten += 1;
        read.records.remove(&(project.to_owned(), record.to_owned()));
    }

    /// Reads a record: as it is now, or as it was at most so many seconds ago.
    pub(crate) async fn read_record(
        &self,
        project: &Project,
        model: &redcap::Project,
        record: &str,
        now: u32,
        max_age: u32,
    ) -> Result<(Arc<Record>, u32), Reason> {
        let key = (project.name.clone(), record.to_owned());
        if max_age > 0
            && let Some((known, as_of)) = self.read.lock().records.get(&key)
            && as_of + max_age > now
        {
            return Ok((known.clone(), *as_of));
        }
        let forgotten = self.read.lock().forgotten;
        let wanted =
            ExportRecords { records: vec![record.into()], survey_fields: true, ..ExportRecords::default() };
        let unreadable = |why: String| Reason::new("facts.redcap", why);
        let rows =
            project.redcap.export_records(&wanted).await.map_err(|error| {
                unreadable(format!("REDCap could not be read: {}", without_values(&error)))
            })?;
        let found = redcap::record::from_flat_rows(model, &rows).into_iter().find(|found| found.id == record);
        let gone = || {
            let sentence = "REDCap has no such record any more; it was deleted, or renamed";
            Reason::new("facts.record-gone", sentence)
        };
        let found = found.ok_or_else(gone)?;
        let found = Arc::new(found);
        let mut read = self.read.lock();
        if read.forgotten == forgotten {
            if read.records.len() >= RECORDS {
                read.records.clear();
            }
            read.records.insert(key, (found.clone(), now));
        }
        Ok((found, now))
    }

    /// Gathers what nearly every decision needs. What REDCap said may be so many seconds old.
    pub(crate) async fn gather(&self, message: &Message, now: u32, max_age: u32) -> Result<Known, Reason> {
        let missing = |why: &str| Reason::new("facts.project", why);
        let project = self
            .projects
            .get(&message.new.project)
            .cloned()
            .ok_or_else(|| missing("its project is not in the configuration any more"))?;
        let design =
            project.design().ok_or_else(|| missing("REDCap has not said yet what the project is"))?;
        let model = design.model.clone();
        let (mut record, mut as_of, mut survey_link) = (None, now, None);
        if let Some(id) = &message.new.record {
            let (read, at) = self.read_record(&project, &model, id, now, max_age).await?;
            (record, as_of) = (Some(read), at);
            if let Some(survey) = &message.new.survey {
                survey_link = Some(self.survey_link(&project, id, survey, now, max_age).await?);
            }
        } else if message.new.origin.as_ref().is_some_and(|origin| origin.whom == Whom::List) {
            survey_link = Some(by_hand::public_link(&project)?);
        }
        let phone = match (&message.new.number, &record) {
            (Some(number), _) => Some(number.clone()),
            (None, Some(record)) if message.new.mailbox.is_none() => phone_of(&project, &model, record),
            (None, _) => None,
        };
        let failed = |error: StoreError| Reason::new("facts.store", error.to_string());
        let records = message.new.record.iter().cloned().collect();
        let mailbox = match (&message.new.mailbox, &record) {
            (Some(mailbox), _) => Some(mailbox.expose().to_owned()),
            (None, Some(record)) => mailbox_of(&project, &model, record),
            (None, None) => None,
        };
        let history = self.store.history(&project.name, phone.as_ref(), mailbox, records).await;
        let history = history.map_err(failed)?;
        let mut known = Known {
            project,
            model,
            design,
            frozen: message.new.frozen.clone(),
            origin: message.new.origin.clone(),
            links: vec![],
            record,
            as_of,
            now,
            survey: message.new.survey.clone(),
            survey_link,
            phone,
            opt_outs: history.opt_outs,
            recent: history.recent,
            open_invitations: history.open_invitations,
            line_type: None,
            deliveries: None,
        };
        self.fetch_links(&mut known, max_age).await?;
        Ok(known)
    }

    /// The links and codes that the words of a schedule ask for. One that cannot be had is left out, and what
    /// could not be filled in is then named.
    async fn fetch_links(&self, known: &mut Known, max_age: u32) -> Result<(), Reason> {
        let Some(record) = known.record.clone() else { return Ok(()) };
        for wanted in render::links_wanted(known) {
            let own = known.place();
            let instance = match wanted.instance {
                None | Some(Instance::Current) => own.instance,
                Some(Instance::Number(number)) => number,
                // The next instance of a form is made by opening it; its link is not known before.
                Some(_) => continue,
            };
            let instrument =
                wanted.instrument.clone().or_else(|| known.survey.as_ref().map(|s| s.instrument.clone()));
            let event = known.model.longitudinal.then(|| wanted.event.clone());
            let link = match (wanted.kind, instrument) {
                (LinkKind::Survey, Some(instrument)) => {
                    if known.model.survey(&instrument).is_none() {
                        continue;
                    }
                    let survey = Survey { instrument, event, instance, title: String::new() };
                    self.survey_link(&known.project, &record.id, &survey, known.now, max_age).await?
                }
                (LinkKind::Form, Some(instrument)) => known.project.redcap.form_url(
                    &known.model.redcap_version,
                    &known.project.id,
                    &record.id,
                    &instrument,
                ),
                (LinkKind::SurveyQueue, _) => {
                    match known.project.redcap.survey_queue_link(&record.id).await {
                        Ok(link) => link,
                        Err(error) => return Err(no_link(&error)),
                    }
                }
                (LinkKind::SurveyAccessCode, Some(instrument)) => {
                    let redcap = &known.project.redcap;
                    let code = redcap.survey_access_code(&record.id, &instrument, event.as_deref(), instance);
                    code.await.map_err(|error| no_link(&error))?
                }
                (LinkKind::SurveyReturnCode, Some(instrument)) => {
                    let redcap = &known.project.redcap;
                    let code = redcap.survey_return_code(&record.id, &instrument, event.as_deref(), instance);
                    code.await.map_err(|error| no_link(&error))?
                }
                (_, None) => continue,
            };
            known.links.push((wanted, link));
        }
        Ok(())
    }

    /// A survey's link, which stays the same as long as there is the record.
    async fn survey_link(
        &self,
        project: &Project,
        record: &str,
        survey: &Survey,
        now: u32,
        max_age: u32,
    ) -> Result<String, Reason> {
        let place = format!("{}/{:?}/{}", survey.instrument, survey.event, survey.instance);
        let key = (project.name.clone(), record.to_owned(), place);
        if max_age > 0
            && let Some((link, as_of)) = self.read.lock().links.get(&key)
            && as_of + max_age > now
        {
            return Ok(link.clone());
        }
        let link = project
            .redcap
            .survey_link(record, &survey.instrument, survey.event.as_deref(), survey.instance)
            .await
            .map_err(|error| no_link(&error))?;
        let mut read = self.read.lock();
        if read.links.len() >= RECORDS {
            read.links.clear();
        }
        read.links.insert(key, (link.clone(), now));
        Ok(link)
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
            match self.gather(&message, now, 0).await {
                Ok(known) => self.consider(&message, known, &mut decided).await,
                Err(why) if why.rule == "facts.record-gone" => {
                    decided.state = State::Canceled;
                    decided.reason = Some(why);
                }
                Err(why) => decided.reason = Some(why),
            }
            // However long a policy wants to wait, the end of the message's time is seen.
            if let (State::Deferred, Some(end)) = (decided.state, message.new.not_after) {
                decided.look_at = decided.look_at.min(end.saturating_add(1));
            }
        }
        self.plan_next(&message, &mut decided);
        let due = decided.state == State::Due;
        self.store.commit(Step::Decide(Box::new(decided))).await?;
        if due {
            self.wake_sending(&message.new.project);
        }
        Ok(())
    }

    /// Why a message that was scheduled is not wanted any more, if it is not.
    pub(crate) async fn unwanted(
        &self,
        message: &Message,
        known: &Known,
    ) -> Result<Option<(State, Reason)>, StoreError> {
        if let Err(unwanted) = still_wanted(known, message) {
            return Ok(Some(unwanted));
        }
        if let Some((invitation, _)) = message.new.occasion.rsplit_once("/reminder-") {
            let (state, rule) = self.store.standing_of(invitation).await?.unzip();
            let told = |state, sentence| Some((state, Reason::new("schedule.no-invitation", sentence)));
            let unwanted = match state {
                // An invitation that was late, or that could only have come at night, is no reason not to remind.
                Some(State::Suppressed) if rule.flatten().as_deref() == Some("quiet-hours") => None,
                Some(State::Suppressed | State::Canceled) => {
                    told(State::Suppressed, "its invitation was not sent, so there is nothing to remind of")
                }
                // Whoever looks at the invitation looks at what follows from it.
                Some(State::Held) => told(State::Deferred, "its invitation waits for a person"),
                Some(State::Planned | State::Deferred | State::Due | State::Claimed) => {
                    told(State::Deferred, "its invitation has not gone out yet")
                }
                _ => None,
            };
            if unwanted.is_some() {
                return Ok(unwanted);
            }
        }
        self.was_sent_under_another_name(message, known).await
    }

    /// A record that was renamed has all its occasions a second time. What its number or mailbox got under the old
    /// name, it does not get again.
    async fn was_sent_under_another_name(
        &self,
        message: &Message,
        known: &Known,
    ) -> Result<Option<(State, Reason)>, StoreError> {
        let (Some(origin), Some(own)) = (&message.new.origin, &message.new.record) else { return Ok(None) };
        if by_hand::is_by_hand(&origin.schedule) {
            return Ok(None);
        }
        let mailbox = match (&message.new.mailbox, &known.record) {
            (Some(mailbox), _) => Some(mailbox.expose().to_owned()),
            (None, Some(record)) => mailbox_of(&known.project, &known.model, record),
            (None, None) => None,
        };
        for other in self.store.twins(known.phone.as_ref(), mailbox, own, origin).await? {
            let read = self.read_record(&known.project, &known.model, &other, known.now, 0).await;
            if read.is_err_and(|why| why.rule == "facts.record-gone") {
                let sentence = format!("this number got it already, when the record was called `{other}`");
                return Ok(Some((State::Suppressed, Reason::new("schedule.renamed", sentence))));
            }
        }
        Ok(None)
    }

    /// Once a message's time has come, the next of what repeats itself is planned.
    fn plan_next(&self, message: &Message, decided: &mut Decided) {
        if matches!(decided.state, State::Deferred | State::Planned) {
            return;
        }
        let Some(project) = self.projects.get(&message.new.project) else { return };
        let Some((design, origin)) = project.design().zip(message.new.origin.as_ref()) else { return };
        let Some(schedule) = design.schedule(&origin.schedule) else { return };
        decided.messages.extend(trigger::next_repetition(project, schedule, &message.new));
    }

    async fn consider(&self, message: &Message, mut known: Known, decided: &mut Decided) {
        let now = known.now;
        match self.unwanted(message, &known).await {
            Ok(None) => {}
            Ok(Some((state, reason))) => {
                decided.state = state;
                decided.look_at = if state == State::Deferred { now + 900 } else { now };
                decided.reason = Some(reason);
                return wait_for_mending(message, &known, decided);
            }
            // It is looked at again in a minute.
            Err(error) => {
                decided.reason = Some(Reason::new("facts.store", error.to_string()));
                return;
            }
        }
        let mut occasion = known.occasion(message);
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
                return wait_for_mending(message, &known, decided);
            }
            Err(reason) => return hold(decided, reason),
        };
        if let Some(at) = plan.not_before.filter(|at| *at > now) {
            // Never so soon that the same question is asked again and again.
            decided.look_at = at.max(now + 60);
            decided.reason = plan.because.into_iter().next().map(Reason::from);
            return;
        }
        if let Some(schedule) = known.schedule() {
            occasion.wording = schedule.wording_for(plan.method);
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
        let drafted = words.and_then(|mut words| {
            // A text of REDCap's has its subject with it.
            if plan.method == DeliveryMethod::Email && words.subject.is_none() {
                words.subject = known.schedule().and_then(Schedule::subject).map(Piece::Wording);
            }
            render::draft(&known, &words, plan.method, plan.sender.clone(), plan.to.clone())
        });
        let (draft, pieces) = match drafted {
            Ok(drafted) => drafted,
            Err(reason) => {
                hold(decided, reason);
                return wait_for_mending(message, &known, decided);
            }
        };
        if invites_by_link(message, plan.method) && draft.links.is_empty() && known.schedule().is_some() {
            let sentence = "the text has no link to the survey, so nobody could answer it";
            hold(decided, Reason::new("schedule.no-link", sentence));
            return wait_for_mending(message, &known, decided);
        }
        let reviewed = self.review(message, &occasion, &draft, &pieces, Stage::Planned, &mut known).await;
        decided.decisions.extend(reviewed.asked.map(|asked| asked.row));
        decided.state = reviewed.state;
        decided.look_at = reviewed.look_at;
        decided.reason = reviewed.reason;
        decided.evidence = Some(evidence(&known, &draft));
        decided.draft = Some(draft);
    }
}

impl Work {
    fn new(project: &Project) -> Work {
        Work {
            decide: watch::Sender::new(0),
            send: watch::Sender::new(0),
            follow: watch::Sender::new(0),
            clean: watch::Sender::new(0),
            watching: Mutex::default(),
            live: AtomicBool::new(false),
            list_inbound: AtomicBool::new(true),
            listed: Mutex::default(),
            missed: AtomicU32::new(0),
            pace: Mutex::new((
                Pace::new(project.account.segments_a_second),
                Pace::new(project.account.calls_a_second),
                Pace::new(project.mail.as_ref().map_or(1, |mail| mail.mails_a_second)),
            )),
            account: Mutex::default(),
        }
    }
}

fn no_link(error: &redcap::ApiError) -> Reason {
    Reason::new(
        "facts.survey-link",
        format!("REDCap gave no link or code to the survey: {}", without_values(error)),
    )
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
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
                let occasion = format!("{}/caused/{}/{index}", known.project.name, message.id);
                decided.messages.push(NewMessage {
                    record: message.new.record.clone(),
                    survey: message.new.survey.clone(),
                    wording: Some(wording),
                    cause: Some(message.id.clone()),
                    depth: message.new.depth + 1,
                    not_after: message.new.not_after,
                    ..NewMessage::about(&known.project.name, occasion, Purpose::Notification, known.now)
                });
            }
        }
    }
}

fn invites_by_link(message: &Message, method: DeliveryMethod) -> bool {
    message.new.survey.is_some() && matches!(method, DeliveryMethod::SmsLink | DeliveryMethod::Email)
}

/// What REDCap or the settings can mend: until the message's time is over it may yet be sent, if the project says
/// so.
pub(crate) const CAN_BE_MENDED: [&str; 10] = [
    "no-contact",
    "no-phone",
    "no-email",
    "not-enabled",
    "unreachable",
    "render.blank",
    "render.piping",
    "schedule.inactive",
    "schedule.no-link",
    "schedule.no-longer-true",
];

/// A message that cannot be sent for a reason that can be mended is looked at again, when its record changes and
/// every hour, until its time is over.
fn wait_for_mending(message: &Message, known: &Known, decided: &mut Decided) {
    let can = decided.reason.as_ref().is_some_and(|why| CAN_BE_MENDED.contains(&why.rule.as_str()));
    if can && known.project.takes_over.mends && message.new.not_after.is_some() {
        decided.state = State::Deferred;
        decided.look_at = known.now + 3600;
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
        "permission": known.origin.as_ref().and_then(|origin| origin.permission.as_ref()),
        "segments": draft.segments,
        "language": draft.language,
        "fields": draft.fillings.iter().map(|filling| filling.field.clone()).collect::<Vec<_>>(),
        "facts-as-of": known.as_of,
    })
}
