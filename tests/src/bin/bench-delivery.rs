//! `cargo bench-delivery`: how many messages a second go from due to accepted, durably, beside what the same
//! parts do without each other, as ratios measured in one run.
//!
//! *Ours* is the whole gateway: three components have decided, each message is claimed, its facts are gathered,
//! it is reviewed again by a component, submitted, posted and settled. *One by one* (a) is the same database
//! with the same rows, claimed before, one message after the other, two commits each. *A hundred at once* (b)
//! claims and completes a hundred in one transaction each. *No store* (c) is the same HTTP client and sandbox.
//!
//! Everything runs on the same machine, the sandbox and PostgreSQL too.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures of a benchmark are far below 2^52, and none is negative"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use gateway::outbox::{Message, NewMessage, State};
use gateway::store::{Committed, Decided, DecisionRow, Lease, Outcome, ProviderStatus, Step, Store};
use gateway::{Clock, Stopwatch};
use jiff::{SignedDuration, Timestamp};
use policy::contract::reviewer::Draft;
use policy::contract::types::{Address, Purpose, Survey};
use sandbox::{CallbackMix, CreateMix};
use serde_json::json;
use tests::crowd::{Crowd, Desk, PEOPLE, Project, SAME_TEXT, given, phone};
use tests::{MORNING, postgres};
use tokio::runtime::{Builder, Handle, Runtime};
use twilio::{CreateMessage, MessageBody, MessageStatus, PhoneNumber, Sender};

/// Who holds the senders until everything is due.
const HOLDER: &str = "the bench";

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_mins(10);

/// How often it is looked whether it is so.
const LOOK: Duration = Duration::from_millis(20);

/// Messages of one transaction that plans.
const PLANNED: usize = 2000;

/// Bytes of the record of a second review, as they are in a run.
const RECORD: usize = 800;

fn main() -> Result<()> {
    let own =
        |name: &str| Builder::new_multi_thread().thread_name(name).worker_threads(2).enable_all().build();
    // Runtimes of their own, so that the time of the processor can be told apart by the threads' names.
    let (sandbox, gateway) = (own("sandbox")?, own("gateway")?);
    let measured = gateway.block_on(measure(sandbox.handle()));
    shut(sandbox);
    shut(gateway);
    measured
}

fn shut(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(1));
}

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
async fn measure(sandbox: &Handle) -> Result<()> {
    let messages = given("--messages", 8000);
    let at_once = given("--at-once", 32);
    let only_delay = std::env::args().any(|argument| argument == "--delay");
    if !only_delay {
        let size = Size { messages, at_once, few: messages / 8, wordings: 2 };
        println!(
            "{messages} messages, 4 senders, {at_once} requests at once for each; synchronous commits\n"
        );
        if !std::env::args().any(|argument| argument == "--postgres") {
            println!("SQLite, one daemon");
            throughput(sandbox, &size, None).await?.print();
        }
        match postgres::Server::start()? {
            Some(server) => {
                println!("\nPostgreSQL, two daemons that share the senders");
                throughput(sandbox, &size, Some(&server)).await?.print();
            }
            None => println!("\nskipped: PostgreSQL, which is not installed"),
        }
    }
    let scheduled = given("--scheduled", 1_000_000);
    let (rate, seconds) = (given("--rate", 300), given("--seconds", 20));
    println!("\nSQLite, {scheduled} messages scheduled, {rate} become due each second for {seconds} s");
    delay(sandbox, scheduled, rate, seconds, at_once).await
}

/// How much is sent, in which words, and how.
struct Size {
    messages: usize,
    at_once: usize,
    /// Messages that are sent one by one.
    few: usize,
    /// Wordings of a project: each person gets each of them once.
    wordings: usize,
}

/// Messages a second.
struct Figures {
    decided: f64,
    ours: f64,
    reported: f64,
    one_by_one: f64,
    hundreds: f64,
    no_store: f64,
    spent: Vec<(String, f64)>,
    policy: f64,
    post: Option<f64>,
}

impl Figures {
    #[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
    fn print(&self) {
        let row = |name: &str, figure: f64| {
            println!("  {name:<58} {figure:>8.0}/s   ours ÷ this {:>6.2}", self.ours / figure);
        };
        row("ours: due → accepted", self.ours);
        row("ours, while Twilio reports on all and is cleaned up", self.reported);
        row("(a) the store alone, one by one, two commits each", self.one_by_one);
        row("(b) the store alone, a hundred in each transaction", self.hundreds);
        row("(c) the HTTP client and the sandbox alone", self.no_store);
        row("planned → due: facts of REDCap's, three policies, one commit", self.decided);
        println!("  where the processor's time goes, in µs for each message of ours:");
        for (name, micros) in &self.spent {
            println!("    {name:<56} {micros:>8.0}");
        }
        println!("    {:<56} {:>8.0}", "of that in the compliance policy", self.policy);
        if let Some(post) = self.post {
            println!("  from the first byte of a POST to its answer: {post:.1} ms");
        }
    }
}

/// Projects that share the people, ready to send.
struct Ready {
    crowd: Crowd,
    desks: Vec<Desk>,
    decided: f64,
}

impl Ready {
    /// A crowd whose messages are all decided and due, and wait for a sender.
    async fn with(
        sandbox: &Handle,
        size: &Size,
        server: Option<&postgres::Server>,
        clock: Clock,
    ) -> Result<Ready> {
        let (wordings, at_once) = (size.wordings, size.at_once);
        let projects = Project::several(4, &Project { wordings, at_once, ..Project::default() });
        // A number may have the same text five times a day, and the projects' policies let it have fifty in all.
        let people = size.messages.div_ceil(projects.len() * wordings).max(1);
        let crowd = sandbox.spawn(Crowd::gather(people, projects, clock)).await??;
        let database = match server {
            Some(server) => {
                static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                server
                    .database(&format!("bench{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))?
            }
            None => "consentry.db".into(),
        };
        let mut desks = Vec::new();
        for index in 0..if server.is_some() { 2 } else { 1 } {
            desks.push(crowd.open(&format!("daemon-{index}"), &database, &crowd.projects).await?);
        }
        let mut ready = Ready { crowd, desks: vec![], decided: 0.0 };
        hold_all(&ready.crowd, &desks[0]).await?;
        for desk in &mut desks {
            desk.run();
            until("REDCap's answer", || async {
                Ok(desk.gateway.projects.values().all(|project| project.model().is_some()))
            })
            .await?;
        }
        ready.desks = desks;
        let watch = Stopwatch::start();
        let count = ready.plan(wordings, size.messages).await?;
        let mut held = Stopwatch::start();
        let desk = &ready.desks[0];
        while count_of(&desk.gateway.store, &[State::Due]).await? < count {
            ensure!(watch.elapsed() < PATIENCE, "waited too long for everything to be due");
            if held.elapsed() > Duration::from_mins(1) {
                hold_all(&ready.crowd, desk).await?;
                held = Stopwatch::start();
            }
            tokio::time::sleep(LOOK).await;
        }
        ready.decided = per_second(count, watch.elapsed());
        Ok(ready)
    }

    /// Plans invitations, to everybody in turn.
    async fn plan(&self, wordings: usize, messages: usize) -> Result<u64> {
        let mut new = Vec::new();
        let now = self.crowd.clock.seconds();
        for index in 0..messages {
            let project = &self.crowd.projects[index % self.crowd.projects.len()];
            let round = index / self.crowd.projects.len();
            let wording = (round / self.crowd.people) % wordings;
            let occasion = format!("{}/bench/{index}", project.name);
            new.push(invitation(&project.name, occasion, round % self.crowd.people + 1, wording, now));
        }
        for some in new.chunks(PLANNED) {
            self.desks[0].gateway.store.commit(Step::Plan(some.to_vec())).await?;
        }
        for desk in &self.desks {
            for project in desk.gateway.projects.keys() {
                desk.gateway.record_changed(project, "1", None);
            }
        }
        Ok(messages as u64)
    }

    /// Lets the senders go, and waits until every message was accepted. Gives messages a second.
    async fn send(&self, messages: usize) -> Result<f64> {
        let asked = self.crowd.sandbox.twilio().creates_asked();
        let first = Arc::new(OnceLock::new());
        let began = first.clone();
        self.crowd.sandbox.faults().on_create(move |_| {
            began.get_or_init(Stopwatch::start);
        });
        let store = &self.desks[0].gateway.store;
        store.commit(Step::Leave { holder: HOLDER.into() }).await?;
        until("the creates", || async {
            Ok(self.crowd.sandbox.twilio().creates_asked() - asked >= messages as u64)
        })
        .await?;
        until("the last to be accepted", || async {
            Ok(count_of(store, &[State::Due, State::Claimed, State::Submitting]).await? == 0)
        })
        .await?;
        let elapsed = first.get().context("a create came")?.elapsed();
        self.crowd.sandbox.faults().clear();
        Ok(per_second(messages as u64, elapsed))
    }
}

async fn throughput(sandbox: &Handle, size: &Size, server: Option<&postgres::Server>) -> Result<Figures> {
    let clock = || -> Result<Clock> { Ok(Clock::showing(MORNING.parse()?)) };
    // With everything that Twilio tells while it goes on, first.
    let ready = Ready::with(sandbox, size, server, clock()?).await?;
    let reported = ready.send(size.messages).await?;
    drop(ready);

    let ready = Ready::with(sandbox, size, server, clock()?).await?;
    say_nothing(&ready.crowd);
    let recorder = recorder()?;
    let before = (Spent::until_now(), recorder.render());
    let ours = ready.send(size.messages).await?;
    let after = (Spent::until_now(), recorder.render());
    let each = |ticks: u64| ticks as f64 * 1e6 / TICKS / size.messages as f64;
    let spent = after.0.since(&before.0).into_iter().map(|(name, ticks)| (name, each(ticks))).collect();
    let took = |name: &str, label: &str| {
        figure(&after.1, &format!("{name}_sum"), label) - figure(&before.1, &format!("{name}_sum"), label)
    };
    let policy = took("consentry_decision_seconds", "compliance") * 1e6 / size.messages as f64;
    let posted = took("consentry_twilio_request_seconds", "create-message");
    let post = (posted > 0.0).then(|| posted * 1e3 / size.messages as f64);

    let store = &ready.desks[0].gateway.store;
    let draft = a_draft(store).await?;
    let clock = &ready.crowd.clock;
    let one_by_one = alone(store, clock, &draft, size.few, 1).await?;
    let hundreds = alone(store, clock, &draft, size.messages, 100).await?;
    say_nothing(&ready.crowd);
    let no_store = posts(&ready.crowd, size).await?;
    Ok(Figures {
        decided: ready.decided,
        ours,
        reported,
        one_by_one,
        hundreds,
        no_store,
        spent,
        policy,
        post,
    })
}

/// Twilio posts no status callback from now on.
fn say_nothing(crowd: &Crowd) {
    let silent = CallbackMix { drop: 1, ..CallbackMix::default() };
    crowd.sandbox.faults().random(1, CreateMix::default(), silent);
}

/// The store alone: messages claimed and completed, so many at once. One at a time is claimed before, so that
/// it costs two commits.
async fn alone(store: &Store, clock: &Clock, draft: &Draft, messages: usize, at_once: usize) -> Result<f64> {
    let project = format!("alone-{at_once}");
    let lease = hold(store, &project, clock).await?;
    let now = clock.seconds();
    store.commit(Step::Swept { project: project.clone(), until: now }).await?;
    due(store, &project, draft, messages, now).await?;
    let limit = if at_once == 1 { messages } else { at_once };
    let claim = || Step::Claim {
        project: project.clone(),
        lease: lease.clone(),
        texts: u32::try_from(limit).unwrap_or(u32::MAX),
        calls: 0,
        mails: 0,
        in_all: u32::MAX,
        replies_only: false,
        until: now + 3600,
    };
    let mut claimed = if at_once == 1 { claim_some(store, claim()).await? } else { vec![] };
    let watch = Stopwatch::start();
    for _ in 0..messages / at_once {
        let batch = if at_once == 1 {
            claimed.split_off(claimed.len() - 1)
        } else {
            claim_some(store, claim()).await?
        };
        ensure!(batch.len() == at_once, "{} instead of {at_once} were claimed", batch.len());
        let submits = batch.iter().map(|message| store.commit(submit(message, &lease)));
        for submitted in futures_util::future::join_all(submits).await {
            is_done(&submitted?)?;
        }
        let settles = batch.iter().map(|message| store.commit(settle(message)));
        for settled in futures_util::future::join_all(settles).await {
            is_done(&settled?)?;
        }
    }
    Ok(per_second(messages as u64, watch.elapsed()))
}

fn is_done(committed: &Committed) -> Result<()> {
    ensure!(matches!(committed, Committed::Done), "the store did not do what it should: {committed:?}");
    Ok(())
}

async fn claim_some(store: &Store, claim: Step) -> Result<Vec<Message>> {
    match store.commit(claim).await? {
        Committed::Claimed(claimed) => Ok(claimed),
        other => bail!("nothing was claimed: {other:?}"),
    }
}

fn submit(message: &Message, lease: &Lease) -> Step {
    let public = json!({
        "policy": "compliance", "world": "compliance", "stage": "claimed", "answer": "allow",
        "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "findings": [], "fuel": 123_456, "memory": 1_179_648, "rounds": 1,
    });
    Step::Submit {
        id: message.id.clone(),
        version: message.version,
        lease: lease.clone(),
        ceiling: u32::MAX,
        sender: "the bench".into(),
        swept: 0,
        decisions: vec![DecisionRow { public, record: vec![7; RECORD] }],
    }
}

fn settle(message: &Message) -> Step {
    let outcome = Outcome::Accepted {
        sid: format!("SM{}", message.id),
        status: ProviderStatus::Text(MessageStatus::Queued),
    };
    Step::Settle { id: message.id.clone(), version: message.version + 1, outcome }
}

/// Messages that are due, each with words and a number of its own.
async fn due(store: &Store, project: &str, draft: &Draft, messages: usize, now: u32) -> Result<()> {
    let new: Vec<_> = (0..messages)
        .map(|index| invitation(project, format!("{project}/{index}"), index + 1, 0, now))
        .collect();
    let mut ids = Vec::new();
    for some in new.chunks(PLANNED) {
        if let Committed::Planned(planned) = store.commit(Step::Plan(some.to_vec())).await? {
            ids.extend(planned);
        }
    }
    let decides = ids.iter().enumerate().map(|(index, id)| {
        let to = Address::Phone(phone(index % 9000 + 1));
        let body = format!("{} {index}", draft.body);
        store.commit(decide(id.clone(), Draft { to, body, ..draft.clone() }, now))
    });
    let mut committed = stream::iter(decides).buffer_unordered(500);
    while let Some(committed) = committed.next().await {
        is_done(&committed?)?;
    }
    Ok(())
}

fn decide(id: String, draft: Draft, now: u32) -> Step {
    Step::Decide(Box::new(Decided {
        id,
        version: 1,
        state: State::Due,
        look_at: now,
        draft: Some(draft),
        reason: None,
        decisions: vec![],
        writes: vec![],
        messages: vec![],
        refused: vec![],
        evidence: None,
    }))
}

fn invitation(project: &str, occasion: String, person: usize, wording: usize, due: u32) -> NewMessage {
    NewMessage {
        record: Some(person.to_string()),
        survey: Some(Survey {
            instrument: "sleep_diary".into(),
            event: None,
            instance: 1,
            title: "Sleep diary".into(),
        }),
        wording: Some(format!("w{wording}")),
        not_after: Some(due + 86_400),
        ..NewMessage::about(project, occasion, Purpose::Invitation, due)
    }
}

/// A draft as the policies and the host made it.
async fn a_draft(store: &Store) -> Result<Draft> {
    let newest = store.log(None, None, 1).await?.pop().context("there is a message")?;
    newest.draft.context("it was written")
}

/// The HTTP client and the sandbox alone, with as many requests at once as ours has in all, and no status
/// callbacks, as in our run.
async fn posts(crowd: &Crowd, size: &Size) -> Result<f64> {
    let base = crowd.sandbox.twilio_url();
    let client = twilio::Client::new(twilio::ClientConfig {
        api_base: base.clone(),
        lookups_base: base.clone(),
        pricing_base: base,
        account_sid: "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d".into(),
        user: "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d".into(),
        secret: "5a4db0c5a4db0c5a4db0c5a4db0c5a4d".to_owned().into(),
    })?;
    let from = PhoneNumber::from_e164(&crowd.projects[0].number)?;
    let creates = (0..size.messages).map(|index| {
        let (client, from) = (&client, from.clone());
        async move {
            let create = CreateMessage {
                to: PhoneNumber::from_e164(&phone(index % 9000 + 1))?,
                from: Sender::Number(from),
                body: MessageBody::new(format!(
                    "Your sleep diary no. {index} is ready. Reply STOP to end texts."
                )),
                status_callback: Some("http://127.0.0.1:9/".into()),
                validity_period: Some(36_000),
                smart_encoded: false,
            };
            client.create_message(&create).await.map_err(|error| anyhow::anyhow!("{error}"))
        }
    });
    let watch = Stopwatch::start();
    let mut answers = stream::iter(creates).buffer_unordered(size.at_once * crowd.projects.len());
    while let Some(created) = answers.next().await {
        created?;
    }
    Ok(per_second(size.messages as u64, watch.elapsed()))
}

/// From the moment that the commit is asked for which makes a message due, to the arrival of its create at the
/// sandbox, with many messages scheduled for later.
#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
async fn delay(
    sandbox: &Handle,
    scheduled: usize,
    rate: usize,
    seconds: usize,
    at_once: usize,
) -> Result<()> {
    let messages = rate * seconds;
    // Real drafts first, one for each person and wording: they are sent once before, and four times then.
    let drafts = messages.div_ceil(SAME_TEXT - 1);
    let size = Size { messages: drafts, at_once, few: 0, wordings: 2 };
    let ready = Ready::with(sandbox, &size, None, Clock::showing(MORNING.parse()?)).await?;
    let store = &ready.desks[0].gateway.store;
    let mut drafted = store.log(None, None, u32::try_from(drafts)?).await?;
    drafted.sort_by(|a, b| a.id.cmp(&b.id));
    ready.send(drafts).await?;

    let watch = Stopwatch::start();
    let later = ready.crowd.clock.seconds() + 30 * 86_400;
    let projects = &ready.crowd.projects;
    let plan = |from: usize, to: usize, is_soon: bool| {
        let at = |index: usize| {
            let like = &drafted[index % drafted.len()].new;
            // What is scheduled for later is about other people, ten messages for each.
            let (project, record, when) = if is_soon {
                (&like.project, like.record.clone(), "soon")
            } else {
                let record = PEOPLE + index / 10;
                (&projects[index % projects.len()].name, Some(record.to_string()), "later")
            };
            let occasion = format!("{project}/{when}/{index}");
            NewMessage {
                occasion,
                project: project.clone(),
                record,
                due: later,
                not_after: None,
                ..like.clone()
            }
        };
        Step::Plan((from..to).map(at).collect())
    };
    for from in (0..scheduled).step_by(PLANNED) {
        store.commit(plan(from, (from + PLANNED).min(scheduled), false)).await?;
    }
    let mut soon = Vec::new();
    for from in (0..messages).step_by(PLANNED) {
        if let Committed::Planned(ids) =
            store.commit(plan(from, (from + PLANNED).min(messages), true)).await?
        {
            soon.extend(ids);
        }
    }
    println!("  {} messages were planned in {:.0} s", scheduled + messages, watch.elapsed().as_secs_f64());

    let under_way: Arc<Mutex<UnderWay>> = Arc::default();
    let arrivals = under_way.clone();
    ready.crowd.sandbox.faults().on_create(move |create| {
        let mut under_way = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = under_way.due.get_mut(&create.to).and_then(VecDeque::pop_front) {
            under_way.delays.push(since.elapsed());
        }
    });
    let began = ready.crowd.clock.now();
    let mut commits = FuturesUnordered::new();
    for (index, id) in soon.into_iter().enumerate() {
        let at = i64::try_from(index * 1_000_000 / rate)?;
        until_instant(&ready.crowd.clock, began + SignedDuration::from_micros(at)).await;
        let like = &drafted[index % drafted.len()];
        let draft = like.draft.clone().context("it was written")?;
        let Address::Phone(to) = draft.to.clone() else { bail!("a draft goes to no phone") };
        under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .due
            .entry(to)
            .or_default()
            .push_back(Stopwatch::start());
        let gateway = ready.desks[0].gateway.clone();
        let (project, now) = (like.new.project.clone(), ready.crowd.clock.seconds());
        commits.push(tokio::spawn(async move {
            gateway.store.commit(decide(id, draft, now)).await?;
            gateway.wake_sending(&project);
            anyhow::Ok(())
        }));
    }
    while let Some(committed) = commits.next().await {
        committed??;
    }
    until("the creates", || async {
        Ok(under_way.lock().unwrap_or_else(PoisonError::into_inner).delays.len() == messages)
    })
    .await?;
    let mut delays = std::mem::take(&mut under_way.lock().unwrap_or_else(PoisonError::into_inner).delays);
    delays.sort();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "  due → POST: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

/// What became due and has not arrived, by number in its order, and how long the others took.
#[derive(Default)]
struct UnderWay {
    due: BTreeMap<String, VecDeque<Stopwatch>>,
    delays: Vec<Duration>,
}

async fn until_instant(clock: &Clock, at: Timestamp) {
    if at > clock.now() {
        clock.until(at).await;
    }
}

/// Keeps all senders for the bench.
async fn hold_all(crowd: &Crowd, desk: &Desk) -> Result<()> {
    for project in &crowd.projects {
        hold(&desk.gateway.store, &project.number, &crowd.clock).await?;
    }
    Ok(())
}

/// Keeps a sender for the bench, for as long as a lease may last.
async fn hold(store: &Store, number: &str, clock: &Clock) -> Result<Lease> {
    let step =
        Step::Lease { name: format!("sender/{number}"), holder: HOLDER.into(), until: clock.seconds() + 240 };
    match store.commit(step).await? {
        Committed::Leased(lease) => Ok(lease),
        other => bail!("the lease was not given: {other:?}"),
    }
}

/// Messages in one of these states.
async fn count_of(store: &Store, states: &[State]) -> Result<u64> {
    let queue = store.queue().await?;
    Ok(queue
        .iter()
        .filter(|row| states.iter().any(|state| state.name() == row.what))
        .map(|row| row.count)
        .sum())
}

/// Waits until something is so.
async fn until<F: Future<Output = Result<bool>>>(what: &str, is_so: impl Fn() -> F) -> Result<()> {
    let watch = Stopwatch::start();
    while !is_so().await? {
        ensure!(watch.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn recorder() -> Result<metrics_exporter_prometheus::PrometheusHandle> {
    static HANDLE: OnceLock<metrics_exporter_prometheus::PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// The sum of the series of a name with a label.
fn figure(rendered: &str, name: &str, label: &str) -> f64 {
    let lines = rendered.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Linux counts the processor's time in hundredths of a second.
const TICKS: f64 = 100.0;

/// The processor's time so far, in ticks: of the threads of this process, by their ids, and of the machine.
struct Spent {
    threads: BTreeMap<std::ffi::OsString, (String, u64)>,
    machine: u64,
}

impl Spent {
    fn until_now() -> Spent {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            // The fields after the name: the 12th and the 13th are the time in user mode and in the kernel.
            let ticks =
                rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
            Some((task.file_name(), (name.to_owned(), ticks.sum())))
        });
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        // User, nice, system, and after idling and waiting what the kernel does for interrupts.
        let busy = fields.enumerate().filter(|(at, _)| [0, 1, 2, 5, 6].contains(at));
        let machine = busy.filter_map(|(_, field)| field.parse::<u64>().ok()).sum();
        Spent { threads: threads.collect(), machine }
    }

    /// What was spent since then, by the names of the threads; what is not ours comes last.
    fn since(&self, before: &Spent) -> Vec<(String, u64)> {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for (id, (name, ticks)) in &self.threads {
            let then = before.threads.get(id).map_or(0, |(_, ticks)| *ticks);
            *by_name.entry(name).or_default() += ticks.saturating_sub(then);
        }
        let ours: u64 = by_name.values().sum();
        let others = (self.machine - before.machine).saturating_sub(ours);
        let by_name = by_name.into_iter().map(|(name, ticks)| (format!("threads `{name}`"), ticks));
        let others = ("everything else on the machine, PostgreSQL too".to_owned(), others);
        by_name.chain([others]).filter(|(_, ticks)| *ticks > 0).collect()
    }
}
