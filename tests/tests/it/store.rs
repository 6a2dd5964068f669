//! What the store promises, on both databases by the same tests: SQLite, and PostgreSQL when it is installed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use gateway::Clock;
use gateway::outbox::{Message, NewMessage, Reason, State};
use gateway::schedule::{Origin, Whom};
use gateway::store::{
    CatchUp, Catching, Cleaning, Committed, Contact, Database, Decided, DecisionRow, Fate, Found, Lease,
    Outcome, ProviderStatus, Received, Report, Scope, Step, Store, StoreError, Understood, copy, rotate,
};
use gateway::vault::Keys;
use policy::contract::reviewer::{Approval, Draft};
use policy::contract::types::{Address, Attempt, Channel, DeliveryMethod, Failure, Purpose};
use serde_json::json;
use tests::postgres::{self, Server};
use tests::{MORNING, PATIENCE};
use tokio::task::JoinSet;
use twilio::{MessageBody, MessageStatus, PhoneNumber};

const PROJECT: &str = "sleep";
const SENDER: &str = "+16175550100";
const WORDING: &str = "sha256:1";
const BODY: &str = "Hi Ben, your survey waits";

/// A database with its clock, and a daemon's way to it.
struct Site {
    database: Database,
    keys: String,
    clock: Clock,
    store: Store,
    folder: PathBuf,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs a test on an empty database of each kind.
async fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(Site) -> F) -> Result<()> {
    test(Site::on_sqlite().await?).await.context("on SQLite")?;
    on_postgres(test).await
}

/// Runs a test that needs no second way to the database in memory too.
async fn on_all<F: Future<Output = Result<()>>>(test: impl Fn(Site) -> F) -> Result<()> {
    test(Site::on(Database::Memory, tests::folder()?).await?).await.context("in memory")?;
    on_each(test).await
}

#[expect(clippy::print_stdout, reason = "a test that does not run says so")]
async fn on_postgres<F: Future<Output = Result<()>>>(test: impl Fn(Site) -> F) -> Result<()> {
    match postgres::shared() {
        Some(server) => test(Site::on_server(server).await?).await.context("on PostgreSQL"),
        None => {
            println!("skipped: PostgreSQL is not installed");
            Ok(())
        }
    }
}

/// A number that no other test, and no other part of this one, has.
fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn phone(nth: u32) -> PhoneNumber {
    PhoneNumber::from_e164(&format!("+1617555{:04}", 1000 + nth)).expect("it is a number")
}

fn sid(nth: u32) -> String {
    format!("SM{nth:032x}")
}

fn text(status: MessageStatus) -> ProviderStatus {
    ProviderStatus::Text(status)
}

fn why() -> Reason {
    Reason::new("test", "a test says so")
}

impl Site {
    async fn on_sqlite() -> Result<Site> {
        let folder = tests::folder()?;
        Site::on(Database::Sqlite(folder.join("store.db")), folder).await
    }

    async fn on_server(server: &Server) -> Result<Site> {
        let name = format!("store_{}_{}", std::process::id(), number());
        Site::on(Database::Postgres(server.database(&name)?.into()), tests::folder()?).await
    }

    async fn on(database: Database, folder: PathBuf) -> Result<Site> {
        let keys = Keys::generate()?;
        let clock = Clock::stepped(MORNING.parse()?);
        let store = Store::open(&database, &Keys::read(&keys)?, clock.clone())?;
        let site = Site { database, keys, clock, store, folder };
        site.done(Step::Swept { project: PROJECT.into(), until: site.now() }).await?;
        Ok(site)
    }

    /// Another daemon on the same database.
    fn another(&self) -> Result<Store> {
        Ok(Store::open(&self.database, &Keys::read(&self.keys)?, self.clock.clone())?)
    }

    fn now(&self) -> u32 {
        self.clock.seconds()
    }

    fn later(&self, seconds: u32) {
        self.clock.step(self.clock.now() + jiff::SignedDuration::from_secs(seconds.into()));
    }

    async fn done(&self, step: Step) -> Result<()> {
        match self.store.commit(step).await? {
            Committed::Done => Ok(()),
            other => bail!("it came to {other:?}"),
        }
    }

    async fn stale(&self, step: Step) -> Result<()> {
        match self.store.commit(step).await? {
            Committed::Stale => Ok(()),
            other => bail!("it came to {other:?}"),
        }
    }

    async fn lease(&self, holder: &str, lasts: u32) -> Result<Option<Lease>> {
        let until = self.now() + lasts;
        let name = format!("sender/{SENDER}");
        match self.store.commit(Step::Lease { name, holder: holder.into(), until }).await? {
            Committed::Leased(lease) => Ok(Some(lease)),
            Committed::Stale => Ok(None),
            other => bail!("it came to {other:?}"),
        }
    }

    /// The lease of the daemon of most tests.
    async fn own_lease(&self) -> Result<Lease> {
        self.lease("one", 10_000_000).await?.context("nobody else wants it")
    }

    async fn message(&self, id: &str) -> Result<Message> {
        self.store.message(id).await?.context("it is there")
    }

    async fn planned(&self, new: NewMessage) -> Result<Message> {
        match self.store.commit(Step::Plan(vec![new])).await? {
            Committed::Planned(ids) => self.message(ids.first().context("it is new")?).await,
            other => bail!("it came to {other:?}"),
        }
    }

    fn occasion(&self, nth: u32) -> NewMessage {
        NewMessage {
            record: Some(format!("{nth}")),
            wording: Some("invitation".into()),
            number: Some(phone(nth)),
            ..NewMessage::about(PROJECT, format!("occasion/{nth}"), Purpose::Invitation, self.now())
        }
    }

    /// A message to a person that waits to be sent.
    async fn due(&self, nth: u32) -> Result<Message> {
        let planned = self.planned(self.occasion(nth)).await?;
        self.decide_due(&planned, draft(&phone(nth), BODY)).await
    }

    async fn decide_due(&self, message: &Message, draft: Draft) -> Result<Message> {
        let decided = Decided { draft: Some(draft), ..decided(message, State::Due, self.now()) };
        self.done(Step::Decide(Box::new(decided))).await?;
        self.message(&message.id).await
    }

    /// Claims everything that is due.
    async fn claim(&self) -> Result<Vec<Message>> {
        let lease = self.own_lease().await?;
        claim(&self.store, &lease, 1000, self.now() + 300).await
    }

    /// A message to a person that is claimed.
    async fn claimed(&self, nth: u32) -> Result<Message> {
        let due = self.due(nth).await?;
        self.claim().await?.into_iter().find(|message| message.id == due.id).context("it is claimed")
    }

    async fn submit(&self, message: &Message) -> Result<Step> {
        Ok(submit(message, &self.own_lease().await?))
    }

    /// A message to a person whose bytes may be leaving.
    async fn submitting(&self, nth: u32) -> Result<Message> {
        let claimed = self.claimed(nth).await?;
        self.done(self.submit(&claimed).await?).await?;
        self.message(&claimed.id).await
    }

    async fn settled(&self, message: &Message, outcome: Outcome) -> Result<Message> {
        self.done(Step::Settle { id: message.id.clone(), version: message.version, outcome }).await?;
        self.message(&message.id).await
    }

    async fn accepted(&self, nth: u32) -> Result<(Message, String)> {
        let (message, sid) = (self.submitting(nth).await?, sid(number()));
        let outcome = Outcome::Accepted { sid: sid.clone(), status: text(MessageStatus::Queued) };
        Ok((self.settled(&message, outcome).await?, sid))
    }

    async fn delivered(&self, nth: u32) -> Result<(Message, String)> {
        let (message, sid) = self.accepted(nth).await?;
        self.done(report(&message, &sid, MessageStatus::Delivered, None)).await?;
        Ok((self.message(&message.id).await?, sid))
    }

    async fn unknown(&self, nth: u32) -> Result<Message> {
        let message = self.submitting(nth).await?;
        self.settled(&message, Outcome::Unknown { why: why() }).await
    }

    /// A person's text comes in.
    async fn hear(&self, nth: u32, words: &str, sent: u32) -> Result<String> {
        let text = received(nth, words, sent);
        let sid = text.sid.clone();
        self.done(Step::Receive(text)).await?;
        Ok(sid)
    }

    async fn understand(&self, sid: &str, intent: &'static str) -> Result<()> {
        self.done(Step::Understand(Box::new(understood(sid, intent)))).await
    }

    async fn is_opted_out(&self, nth: u32) -> Result<bool> {
        Ok(!self.store.opt_outs(&Contact::Phone(phone(nth)), PROJECT).await?.is_empty())
    }

    /// The ledger's kinds of a message, in order.
    async fn kinds(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.store.story(id).await?.into_iter().map(|(kind, ..)| kind).collect())
    }

    async fn ended(&self, id: &str) -> Result<Vec<String>> {
        let story = self.store.story(id).await?;
        let ended = story.into_iter().filter(|(kind, ..)| kind == "ended");
        Ok(ended.map(|(_, _, public)| public["state"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Chains what is not chained yet, and verifies all of it.
    async fn verified(&self) -> Result<gateway::ledger::Head> {
        seal(&self.store).await?;
        let unsealed = self.store.unsealed().await?;
        ensure!(unsealed.rows == 0 && unsealed.since.is_none(), "{unsealed:?}");
        Ok(self.store.verify(None).await??)
    }

    /// Everything that the database holds, as text: bytes also in hexadecimal digits.
    async fn dump(&self) -> Result<String> {
        let mut dump = String::new();
        match &self.database {
            Database::Sqlite(path) => {
                for name in ["store.db", "store.db-wal"] {
                    let bytes = std::fs::read(path.with_file_name(name)).unwrap_or_default();
                    dump += &String::from_utf8_lossy(&bytes);
                }
            }
            Database::Memory => bail!("nobody else sees into memory"),
            Database::Postgres(_) => {
                let tables = "SELECT quote_ident(table_name) FROM information_schema.tables \
                              WHERE table_schema = 'public'";
                for table in self.raw(tables).await? {
                    dump += &self.raw(&format!("SELECT CAST(t AS TEXT) FROM {table} AS t")).await?.join("\n");
                }
            }
        }
        Ok(dump)
    }

    /// Runs a statement past the store, and gives its first column.
    async fn raw(&self, sql: &str) -> Result<Vec<String>> {
        use secrecy::ExposeSecret;
        let (database, sql) = (self.database.clone(), sql.to_owned());
        tokio::task::spawn_blocking(move || match database {
            Database::Sqlite(path) => {
                let db = rusqlite::Connection::open(path)?;
                let mut statement = db.prepare(&sql)?;
                let rows = statement.query_map([], |row| row.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Database::Memory => bail!("nobody else sees into memory"),
            Database::Postgres(url) => {
                let mut db = ::postgres::Client::connect(url.expose_secret(), ::postgres::NoTls)?;
                Ok(db.query(&sql, &[])?.iter().map(|row| row.get(0)).collect())
            }
        })
        .await?
    }

    /// A deployment with something of everything in it. Gives two messages: one that ended and one that is due.
    async fn everything(&self) -> Result<(Message, Message)> {
        let person = 500;
        let (ended, ended_sid) = self.delivered(person).await?;
        self.accepted(person + 1).await?;
        self.unknown(person + 2).await?;
        self.settled(
            &self.submitting(person + 3).await?,
            Outcome::Held { code: Some(21617), why: why(), stop: Some(Scope::Wording("sha256:2".into())) },
        )
        .await?;
        let stop = self.hear(person + 4, "STOP", self.now()).await?;
        let mut stopped = understood(&stop, "stop");
        stopped.writes = vec![("4".into(), vec![("texts_stopped".into(), "1".into())])];
        self.done(Step::Understand(Box::new(stopped))).await?;
        let unclear = self.hear(person + 5, "who is this?", self.now()).await?;
        let mut asked = understood(&unclear, "ask-staff");
        asked.task = Some(("unclear-reply", "somebody asks who this is".into()));
        asked.decisions =
            vec![DecisionRow { public: json!({ "policy": "compliance" }), record: vec![7; 100] }];
        self.done(Step::Understand(Box::new(asked))).await?;
        self.hear(person + 6, "not read yet", self.now()).await?;
        let pairs = vec![("4".into(), Some(phone(person + 4))), ("5".into(), Some(phone(person + 5)))];
        self.done(Step::Phones { project: PROJECT.into(), pairs }).await?;
        self.done(Step::Stop { scope: Scope::Project("other".into()), why: "a test".into() }).await?;
        self.store.commit(Step::Count("rejected")).await?;
        let price = Cleaning::Redacted { price: Some(7900), currency: Some("USD".into()) };
        self.done(Step::Cleaned { sid: ended_sid, cleaning: price }).await?;
        let due = self.due(person + 7).await?;
        let mut story = BTreeSet::new();
        for message in self.store.log(None, None, 100).await? {
            story.insert(message.state);
        }
        ensure!(story.len() >= 5, "{story:?}");
        Ok((self.message(&ended.id).await?, due))
    }
}

fn draft(to: &PhoneNumber, body: &str) -> Draft {
    Draft {
        method: DeliveryMethod::SmsLink,
        sender: None,
        to: Address::Phone(to.expose().into()),
        subject: None,
        body: body.into(),
        language: "en".into(),
        segments: 1,
        approvals: vec![Approval {
            wording: "invitation".into(),
            digest: WORDING.into(),
            protocol: None,
            approved: 0,
            expires: None,
        }],
        fillings: vec![],
        links: vec![],
    }
}

fn decided(message: &Message, state: State, look_at: u32) -> Decided {
    Decided {
        id: message.id.clone(),
        version: message.version,
        state,
        look_at,
        draft: message.draft.clone(),
        reason: None,
        decisions: vec![DecisionRow {
            public: json!({ "policy": "routing" }),
            record: b"asked and answered".to_vec(),
        }],
        writes: vec![],
        messages: vec![],
        refused: vec![],
        evidence: None,
    }
}

fn submit(message: &Message, lease: &Lease) -> Step {
    Step::Submit {
        id: message.id.clone(),
        version: message.version,
        lease: lease.clone(),
        ceiling: 6,
        sender: SENDER.into(),
        swept: 0,
        decisions: vec![],
    }
}

fn report(message: &Message, sid: &str, status: MessageStatus, code: Option<u32>) -> Step {
    Step::Report(Report {
        project: PROJECT.into(),
        id: Some(message.id.clone()),
        sid: sid.into(),
        status: text(status),
        code,
    })
}

fn received(nth: u32, words: &str, sent: u32) -> Received {
    let stop = (words == "STOP").then(|| Reason::new("keyword", "STOP"));
    Received {
        sid: sid(number()),
        project: PROJECT.into(),
        number: phone(nth),
        body: MessageBody::new(words),
        provider: if stop.is_some() { "stopped" } else { "none" },
        sent,
        keep_at_twilio: false,
        stop,
    }
}

fn understood(sid: &str, intent: &'static str) -> Understood {
    Understood {
        sid: sid.into(),
        intent,
        reason: None,
        decisions: vec![],
        stop: None,
        start: intent == "start",
        messages: vec![],
        task: None,
        writes: vec![],
    }
}

async fn claim(store: &Store, lease: &Lease, limit: u32, until: u32) -> Result<Vec<Message>> {
    match store
        .commit(Step::Claim {
            project: PROJECT.into(),
            lease: lease.clone(),
            texts: limit,
            calls: 0,
            mails: 0,
            in_all: u32::MAX,
            replies_only: false,
            until,
        })
        .await?
    {
        Committed::Claimed(claimed) => Ok(claimed),
        other => bail!("it came to {other:?}"),
    }
}

async fn seal(store: &Store) -> Result<()> {
    loop {
        match store.commit(Step::Seal).await? {
            Committed::Count(0) => return Ok(()),
            Committed::Count(_) => {}
            other => bail!("it came to {other:?}"),
        }
    }
}

/// Waits for tasks that run at once.
async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    while let Some(result) = tokio::time::timeout(PATIENCE * 4, tasks.join_next()).await? {
        results.push(result??);
    }
    Ok(results)
}

// What is planned, claimed and submitted.

#[tokio::test]
async fn an_occasion_is_planned_once_however_many_find_it() -> Result<()> {
    on_each(|site| async move {
        let stores = [site.store.clone(), site.another()?];
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let store = stores[task % 2].clone();
            let found: Vec<_> = (0..10).map(|nth| site.occasion(nth)).collect();
            tasks.spawn(async move {
                match store.commit(Step::Plan(found)).await? {
                    Committed::Planned(ids) => Ok(ids),
                    other => bail!("it came to {other:?}"),
                }
            });
        }
        let planned: Vec<_> = all(tasks).await?.into_iter().flatten().collect();
        assert_eq!(planned.len(), 10);
        for id in &planned {
            assert_eq!(site.kinds(id).await?, ["occasion"]);
        }
        let message = site.message(&planned[0]).await?;
        assert_eq!((message.state, message.version, message.new.depth), (State::Planned, 1, 0));
        assert!(message.new.number.is_some() && message.draft.is_none());
        assert_eq!(site.store.undecided(PROJECT, site.now(), 100).await?.len(), 10);
        assert_eq!(site.store.undecided("other", site.now(), 100).await?.len(), 0);
        assert_eq!(site.store.undecided(PROJECT, site.now() - 1, 100).await?.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_decision_is_taken_on_the_version_that_was_read() -> Result<()> {
    on_all(|site| async move {
        let planned = site.planned(site.occasion(1)).await?;
        let due = site.decide_due(&planned, draft(&phone(1), BODY)).await?;
        assert_eq!(due.draft.as_ref().map(|draft| draft.body.as_str()), Some(BODY));
        site.stale(Step::Decide(Box::new(decided(&planned, State::Held, site.now())))).await?;
        assert_eq!(site.message(&due.id).await?.state, State::Due);
        assert_eq!(site.kinds(&due.id).await?, ["occasion", "decision", "due"]);

        // What a policy asked for comes with the decision, once.
        let other = site.planned(site.occasion(2)).await?;
        let mut deferred = decided(&other, State::Deferred, site.now() + 60);
        deferred.messages = vec![site.occasion(3), site.occasion(1)];
        deferred.writes = vec![("event_1".into(), vec![("a".into(), "b".into())])];
        deferred.refused = vec!["it wanted more".into()];
        site.done(Step::Decide(Box::new(deferred))).await?;
        let writes = site.store.write_backs(PROJECT, site.now(), 10).await?;
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].values, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(site.store.log(None, None, 10).await?.len(), 3);
        assert_eq!(site.store.next_look(PROJECT).await?, Some(site.now()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn replies_are_claimed_first_and_what_nobody_sent_is_claimed_again() -> Result<()> {
    on_all(|site| async move {
        let first = site.due(1).await?;
        let help = NewMessage { purpose: Purpose::Help, ..site.occasion(2) };
        let reply = site.decide_due(&site.planned(help).await?, draft(&phone(2), "help")).await?;
        let lease = site.own_lease().await?;
        let ids = |claimed: Vec<Message>| claimed.into_iter().map(|message| message.id).collect::<Vec<_>>();
        let until = site.now() + 300;
        assert_eq!(ids(claim(&site.store, &lease, 1, until).await?), std::slice::from_ref(&reply.id));
        assert_eq!(ids(claim(&site.store, &lease, 5, until).await?), std::slice::from_ref(&first.id));
        assert_eq!(claim(&site.store, &lease, 5, until).await?.len(), 0);
        site.later(300);
        let again = claim(&site.store, &lease, 5, site.now() + 300).await?;
        assert_eq!(ids(again), [reply.id, first.id]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_daemons_never_claim_the_same_message() -> Result<()> {
    on_each(|site| async move {
        for nth in 0..60 {
            site.due(nth).await?;
        }
        let (lease, until) = (site.own_lease().await?, site.now() + 300);
        let stores = [site.store.clone(), site.another()?];
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let (store, lease) = (stores[task % 2].clone(), lease.clone());
            tasks.spawn(async move {
                let mut ids = Vec::new();
                loop {
                    let claimed = claim(&store, &lease, 3, until).await?;
                    if claimed.is_empty() {
                        return Ok(ids);
                    }
                    ids.extend(claimed.into_iter().map(|message| message.id));
                }
            });
        }
        let mut ids: Vec<_> = all(tasks).await?.into_iter().flatten().collect();
        // Whoever found the rest held by the other came away with nothing, and left nothing behind.
        ids.extend(claim(&site.store, &lease, 100, until).await?.into_iter().map(|message| message.id));
        assert_eq!(ids.len(), 60);
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), 60);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_daemon_that_lost_its_lease_claims_and_submits_nothing() -> Result<()> {
    on_all(|site| async move {
        let one = site.lease("one", 30).await?.context("it is free")?;
        assert_eq!(site.lease("one", 30).await?.as_ref(), Some(&one), "it is renewed");
        assert_eq!(site.lease("two", 30).await?, None);
        site.due(1).await?;
        site.due(2).await?;
        let claimed = claim(&site.store, &one, 1, site.now() + 300).await?;
        site.later(30);
        let step = |lease: &Lease| Step::Claim {
            project: PROJECT.into(),
            lease: lease.clone(),
            texts: 1,
            calls: 0,
            mails: 0,
            in_all: u32::MAX,
            replies_only: false,
            until: site.now() + 300,
        };
        site.stale(step(&one)).await?;
        site.stale(submit(&claimed[0], &one)).await?;
        // Nobody waits until the claim ends.
        assert_eq!(site.message(&claimed[0].id).await?.state, State::Due);
        let two = site.lease("two", 30).await?.context("it has ended")?;
        assert!(two.fence > one.fence);
        site.stale(step(&one)).await?;
        site.stale(submit(&claimed[0], &one)).await?;
        assert_eq!(site.lease("one", 30).await?, None);

        site.done(Step::Leave { holder: "two".into() }).await?;
        site.stale(step(&two)).await?;
        let again = site.lease("one", 30).await?.context("it was given up")?;
        assert!(again.fence > two.fence);
        site.stale(submit(&claimed[0], &again)).await?;
        let anew = claim(&site.store, &again, 2, site.now() + 300).await?;
        let anew = anew.iter().find(|message| message.id == claimed[0].id).context("it is claimed again")?;
        site.done(submit(anew, &again)).await?;
        assert_eq!(site.message(&claimed[0].id).await?.state, State::Submitting);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_of_many_gets_the_lease() -> Result<()> {
    on_each(|site| async move {
        let stores = [site.store.clone(), site.another()?];
        for round in 0..5 {
            let mut tasks = JoinSet::new();
            for task in 0..6 {
                let (store, until) = (stores[task % 2].clone(), site.now() + 30);
                let step = Step::Lease { name: "schedule/sleep".into(), holder: format!("{task}"), until };
                tasks.spawn(async move { Ok(store.commit(step).await?) });
            }
            let held = all(tasks).await?;
            let fences = held.iter().filter_map(|end| match end {
                Committed::Leased(lease) => Some(lease.fence),
                _ => None,
            });
            assert_eq!(fences.collect::<Vec<_>>(), [round + 1]);
            site.later(30);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_floor_looks_once_more_in_the_transaction_that_lets_the_first_byte_leave() -> Result<()> {
    on_all(|site| async move {
        // What stops a message, the rule that says so, and where the message goes.
        let stopped = async |message: &Message, rule: &str, state: State| -> Result<()> {
            match site.store.commit(site.submit(message).await?).await? {
                Committed::Stopped(reason) => assert_eq!(reason.rule, rule),
                other => bail!("{rule}: it came to {other:?}"),
            }
            let message = site.message(&message.id).await?;
            assert_eq!(message.state, state, "{rule}");
            assert_eq!(message.reason.map(|reason| reason.rule).as_deref(), Some(rule));
            let kinds = site.kinds(&message.id).await?;
            assert!(!kinds.contains(&"submitting".to_owned()), "{rule}");
            let is_end = i32::from(message.ended.is_some());
            assert_eq!(kinds.iter().filter(|kind| *kind == "ended").count(), usize::try_from(is_end)?, "{rule}");
            Ok(())
        };

        let stop = site.hear(1, "STOP", site.now()).await?;
        site.understand(&stop, "stop").await?;
        stopped(&site.claimed(1).await?, "floor.opted-out", State::Suppressed).await?;

        let unread = site.claimed(2).await?;
        let words = site.hear(2, "no more please", site.now()).await?;
        stopped(&unread, "floor.unread", State::Deferred).await?;

        let mut unclear = understood(&words, "ask-staff");
        unclear.task = Some(("unclear-reply", "what does it mean?".into()));
        site.done(Step::Understand(Box::new(unclear))).await?;
        let deferred = site.message(&unread.id).await?;
        site.decide_due(&deferred, draft(&phone(2), BODY)).await?;
        let claimed = site.claim().await?.pop().context("it is claimed")?;
        stopped(&claimed, "floor.unclear", State::Deferred).await?;
        let task = site.store.tasks().await?.pop().context("there is a task")?;
        site.later(1);
        site.done(Step::Resolve { id: task.id.clone(), resolution: "a question".into() }).await?;
        site.stale(Step::Resolve { id: task.id, resolution: "again".into() }).await?;
        let woken = site.message(&unread.id).await?;
        assert_eq!(woken.look_at, site.now());

        let recipient = Scope::Recipient(site.store.key_of(&phone(3)).await?, Channel::Sms);
        for (scope, rule, state) in [
            (Scope::All, "floor.stopped", State::Deferred),
            (Scope::Project(PROJECT.into()), "floor.stopped", State::Deferred),
            (Scope::Sender(SENDER.into()), "floor.stopped", State::Deferred),
            (Scope::Wording(WORDING.into()), "floor.wording", State::Held),
            (recipient, "floor.unreachable", State::Suppressed),
        ] {
            let new = NewMessage { occasion: format!("stop/{}", scope.word()), ..site.occasion(3) };
            site.decide_due(&site.planned(new).await?, draft(&phone(3), BODY)).await?;
            let claimed = site.claim().await?.pop().context("it is claimed")?;
            let stop = Step::Stop { scope: scope.clone(), why: "a test".into() };
            site.done(stop).await?;
            stopped(&claimed, rule, state).await?;
            assert_eq!(site.store.stopped().await?.len(), 1);
            site.later(1);
            site.done(Step::Resume { scope: scope.clone(), why: "a test".into() }).await?;
            site.stale(Step::Resume { scope, why: "a test".into() }).await?;
            if state == State::Deferred {
                assert_eq!(site.message(&claimed.id).await?.look_at, site.now(), "it is woken");
            }
        }

        let unswept = site.claimed(4).await?;
        let lease = site.own_lease().await?;
        let Step::Submit { id, version, lease, ceiling, sender, decisions, .. } = submit(&unswept, &lease) else {
            bail!("it is a submission")
        };
        let swept = site.now() + 1;
        let early = Step::Submit { id, version, lease, ceiling, sender, decisions, swept };
        assert!(
            matches!(site.store.commit(early).await?, Committed::Stopped(reason) if reason.rule == "floor.inbound")
        );

        let late = NewMessage { not_after: Some(site.now() + 5), ..site.occasion(5) };
        site.decide_due(&site.planned(late).await?, draft(&phone(5), BODY)).await?;
        let late = site.claim().await?.pop().context("it is claimed")?;
        site.later(6);
        stopped(&late, "floor.not-after", State::Expired).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_number_gets_no_more_texts_a_day_than_the_ceiling_and_no_text_too_often() -> Result<()> {
    on_all(|site| async move {
        let send = async |nth: u32, person: u32, body: &str| -> Result<Committed> {
            let new = NewMessage { occasion: format!("{person}/{nth}"), number: Some(phone(person)), ..site.occasion(0) };
            site.decide_due(&site.planned(new).await?, draft(&phone(person), body)).await?;
            let claimed = site.claim().await?.pop().context("it is claimed")?;
            Ok(site.store.commit(site.submit(&claimed).await?).await?)
        };
        for nth in 0..5 {
            assert!(matches!(send(nth, 1, BODY).await?, Committed::Done));
        }
        assert!(matches!(send(5, 1, BODY).await?, Committed::Stopped(reason) if reason.rule == "floor.loop"));
        assert!(matches!(send(6, 1, "something else").await?, Committed::Done));
        assert!(
            matches!(send(7, 1, "and more").await?, Committed::Stopped(reason) if reason.rule == "floor.ceiling")
        );
        assert!(matches!(send(8, 2, BODY).await?, Committed::Done));
        site.later(86_400);
        assert!(matches!(send(9, 1, BODY).await?, Committed::Done));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn stop_comes_before_the_first_byte_or_after_it_and_never_between() -> Result<()> {
    on_each(|site| async move {
        let other = site.another()?;
        let mut sent = 0;
        for nth in 0..40 {
            let claimed = site.claimed(nth).await?;
            let submit = site.submit(&claimed).await?;
            let stop = Step::Receive(received(nth, "STOP", site.now()));
            // Who comes first is up to the threads; each goes first half of the time.
            let (submitted, stopped) = if nth % 2 == 0 {
                tokio::join!(site.store.commit(submit), other.commit(stop))
            } else {
                let (stopped, submitted) = tokio::join!(other.commit(stop), site.store.commit(submit));
                (submitted, stopped)
            };
            assert!(matches!(stopped?, Committed::Done));
            assert!(site.is_opted_out(nth).await?);
            let kinds = site.kinds(&claimed.id).await?;
            let (left, suppressed) =
                (kinds.contains(&"submitting".to_owned()), kinds.contains(&"suppressed".to_owned()));
            assert!(left != suppressed, "{kinds:?}");
            match submitted? {
                Committed::Done => assert!(left),
                Committed::Stale | Committed::Stopped(_) => assert!(suppressed),
                other => bail!("it came to {other:?}"),
            }
            assert_eq!(site.ended(&claimed.id).await?.len(), usize::from(suppressed));
            sent += u32::from(left);
        }
        println!("{sent} of 40 left before their STOP");
        Ok(())
    })
    .await
}

// What became of what was submitted.

#[tokio::test]
async fn an_outcome_settles_the_submission_that_it_is_about_and_no_other() -> Result<()> {
    on_all(|site| async move {
        let (accepted, accepted_sid) = site.accepted(1).await?;
        assert_eq!((accepted.state, accepted.sid.as_deref()), (State::Accepted, Some(accepted_sid.as_str())));
        let again = Outcome::Accepted { sid: accepted_sid, status: text(MessageStatus::Queued) };
        site.stale(Step::Settle { id: accepted.id.clone(), version: accepted.version, outcome: again })
            .await?;

        let submitting = site.submitting(2).await?;
        let attempt = Attempt { method: DeliveryMethod::SmsLink, at: site.now(), failure: Failure::Landline };
        let outcome = || Outcome::Again {
            at: site.now() + 60,
            attempt: Some(attempt),
            code: Some(21614),
            why: why(),
            stop: Some(Scope::Recipient(vec![], Channel::Sms)),
        };
        let again = site.settled(&submitting, outcome()).await?;
        assert_eq!((again.state, again.look_at, again.tries), (State::Deferred, site.now() + 60, 1));
        assert_eq!((again.attempts.len(), again.error_code, again.submitted), (1, Some(21614), None));
        let late = Step::Settle { id: again.id.clone(), version: submitting.version, outcome: outcome() };
        site.stale(late).await?;
        let scope = Scope::Recipient(site.store.key_of(&phone(2)).await?, Channel::Sms).word();
        assert_eq!(
            site.store.stopped().await?.into_iter().map(|stop| stop.scope).collect::<Vec<_>>(),
            [scope]
        );

        let refused =
            site.settled(&site.submitting(3).await?, Outcome::OptedOut { code: Some(21610) }).await?;
        assert_eq!(refused.state, State::Failed);
        assert!(site.is_opted_out(3).await?);
        assert_eq!(site.ended(&refused.id).await?, ["failed"]);

        let held = Outcome::Held { code: Some(99999), why: why(), stop: Some(Scope::Sender("x".into())) };
        let held = site.settled(&site.submitting(4).await?, held).await?;
        assert_eq!((held.state, held.submitted), (State::Held, None));
        let kinds: Vec<_> = site.store.tasks().await?.into_iter().map(|task| task.kind).collect();
        assert!(kinds.contains(&"held-message".to_owned()) && kinds.contains(&"stopped-sender".to_owned()));
        site.done(Step::Release { id: held.id.clone(), why: "mended".into() }).await?;
        assert_eq!(site.message(&held.id).await?.state, State::Deferred);
        site.stale(Step::Release { id: held.id.clone(), why: "again".into() }).await?;
        site.done(Step::Hold { id: held.id.clone(), why: "wait".into() }).await?;
        assert_eq!(site.message(&held.id).await?.state, State::Held);

        let unknown = site.unknown(5).await?;
        assert_eq!((unknown.state, unknown.look_at, unknown.looks), (State::Unknown, site.now() + 5, 0));
        assert!(unknown.submitted.is_some() && unknown.ended.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_submission_whose_daemon_died_is_unknown_and_never_claimed() -> Result<()> {
    on_all(|site| async move {
        let cut_off = site.submitting(1).await?;
        site.later(119);
        assert_eq!(site.claim().await?.len(), 0);
        assert_eq!(site.message(&cut_off.id).await?.state, State::Submitting);
        site.later(1);
        assert_eq!(site.claim().await?.len(), 0);
        let unknown = site.message(&cut_off.id).await?;
        assert_eq!(unknown.state, State::Unknown);
        // The answer that its daemon did not live to write is written by nobody; but one that was only slow is.
        let outcome = Outcome::Accepted { sid: sid(number()), status: text(MessageStatus::Sent) };
        assert_eq!(site.settled(&cut_off, outcome).await?.state, State::Sent);
        Ok(())
    })
    .await
}

/// Every order of a few things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else { return vec![vec![]] };
    let mut found = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, first.clone());
            found.push(order);
        }
    }
    found
}

#[tokio::test]
async fn reports_come_in_any_order_and_twice_and_say_the_same() -> Result<()> {
    use MessageStatus::{Delivered, Failed, Queued, Read, Sending, Sent, Undelivered};
    on_all(|site| async move {
        let mut nth = 0;
        for (last, code) in
            [(Delivered, None), (Undelivered, Some(30003)), (Failed, Some(99_999)), (Read, None)]
        {
            for mut order in orders(&[Queued, Sending, Sent, last.clone()]) {
                nth += 1;
                let (message, sid) = site.accepted(nth).await?;
                let first = order[0].clone();
                order.push(first);
                // It is in time for nothing else, so no failure is tried again.
                for status in order {
                    let code = code.filter(|_| status == last);
                    site.store.commit(report(&message, &sid, status, code)).await?;
                }
                let message = site.message(&message.id).await?;
                if code == Some(30003) {
                    assert_eq!((message.state, message.tries), (State::Deferred, 1));
                    assert_eq!(site.ended(&message.id).await?.len(), 0);
                    continue;
                }
                assert_eq!(message.state, State::of(&last));
                assert_eq!(message.provider_status.as_deref(), Some(last.as_str()));
                assert_eq!(message.error_code, code);
                assert_eq!(site.ended(&message.id).await?, [State::of(&last).name()]);
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_report_is_taken_from_the_project_that_sent_the_message_only() -> Result<()> {
    on_all(|site| async move {
        let (message, sid) = site.accepted(1).await?;
        let foreign = |project: &str, id: Option<String>, sid: &str| {
            let status = text(MessageStatus::Delivered);
            Step::Report(Report { project: project.into(), id, sid: sid.into(), status, code: None })
        };
        site.stale(foreign("other", Some(message.id.clone()), &sid)).await?;
        site.stale(foreign(PROJECT, Some("nobody's".into()), "SMnobodys")).await?;
        site.stale(foreign(PROJECT, None, "SMnobodys")).await?;
        assert_eq!(site.message(&message.id).await?.state, State::Accepted);
        site.done(foreign(PROJECT, None, &sid)).await?;
        assert_eq!(site.message(&message.id).await?.state, State::Delivered);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_failed_for_a_passing_reason_is_tried_again_three_times() -> Result<()> {
    on_all(|site| async move {
        let (mut message, mut sid) = site.accepted(1).await?;
        for again in 1..=3 {
            site.done(report(&message, &sid, MessageStatus::Undelivered, Some(30017))).await?;
            let deferred = site.message(&message.id).await?;
            assert_eq!((deferred.state, deferred.tries), (State::Deferred, again));
            assert!(deferred.look_at > site.now() && deferred.sid.is_none());
            // What comes late is about an attempt that ended.
            site.stale(report(&message, &sid, MessageStatus::Sent, None)).await?;
            site.stale(report(&message, &sid, MessageStatus::Undelivered, Some(30017))).await?;
            site.later(900);
            site.decide_due(&deferred, draft(&phone(1), BODY)).await?;
            let claimed = site.claim().await?.pop().context("it is claimed")?;
            site.done(site.submit(&claimed).await?).await?;
            message = site.message(&claimed.id).await?;
            sid = self::sid(number());
            let outcome = Outcome::Accepted { sid: sid.clone(), status: text(MessageStatus::Queued) };
            message = site.settled(&message, outcome).await?;
            assert_eq!(site.ended(&message.id).await?.len(), 0);
        }
        site.done(report(&message, &sid, MessageStatus::Undelivered, Some(30017))).await?;
        assert_eq!(site.message(&message.id).await?.state, State::Undelivered);
        assert_eq!(site.ended(&message.id).await?, ["undelivered"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_arrived_after_all_is_not_sent_again() -> Result<()> {
    on_all(|site| async move {
        let (message, sid) = site.accepted(1).await?;
        site.done(report(&message, &sid, MessageStatus::Undelivered, Some(30017))).await?;
        assert_eq!(site.message(&message.id).await?.state, State::Deferred);
        site.done(report(&message, &sid, MessageStatus::Delivered, None)).await?;
        site.done(report(&message, &sid, MessageStatus::Delivered, None)).await?;
        assert_eq!(site.message(&message.id).await?.state, State::Delivered);
        assert_eq!(site.store.undecided(PROJECT, u32::MAX, 10).await?.len(), 0);
        assert_eq!(site.ended(&message.id).await?, ["delivered"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_answer_and_a_report_of_it_meet_at_two_daemons() -> Result<()> {
    on_each(|site| async move {
        let other = site.another()?;
        for nth in 0..40 {
            let (message, sid) = (site.submitting(nth).await?, sid(number()));
            let outcome = Outcome::Accepted { sid: sid.clone(), status: text_queued() };
            let settle = Step::Settle { id: message.id.clone(), version: message.version, outcome };
            let report = report(&message, &sid, MessageStatus::Delivered, None);
            let (settled, reported) = tokio::join!(site.store.commit(settle), other.commit(report));
            settled?;
            assert!(matches!(reported?, Committed::Done));
            assert_eq!(site.message(&message.id).await?.state, State::Delivered);
            assert_eq!(site.ended(&message.id).await?, ["delivered"]);
            assert!(!site.kinds(&message.id).await?.contains(&"contradicted".to_owned()));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unknown_is_looked_for_until_it_is_found_or_a_persons() -> Result<()> {
    on_all(|site| async move {
        let look =
            |message: &Message, found| Step::Look { id: message.id.clone(), version: message.version, found };
        let unknown = site.unknown(1).await?;
        site.later(5);
        assert_eq!(site.store.to_follow(PROJECT, site.now(), 10).await?.len(), 1);
        site.done(look(&unknown, Found::Unanswered)).await?;
        let unanswered = site.message(&unknown.id).await?;
        assert_eq!((unanswered.look_at, unanswered.looks), (site.now() + 30, 0));
        let mut looks = 0;
        while site.message(&unknown.id).await?.ended.is_none() {
            let message = site.message(&unknown.id).await?;
            ensure!(message.looks == looks && looks < 10, "it is looked for without an end");
            site.later(message.look_at.saturating_sub(site.now()));
            site.done(look(&message, Found::Nothing)).await?;
            looks += 1;
        }
        assert_eq!(looks, 5);
        assert_eq!(site.ended(&unknown.id).await?, ["unknown"]);
        assert_eq!(site.store.to_follow(PROJECT, u32::MAX, 10).await?.len(), 0);
        assert_eq!(site.store.tasks().await?.len(), 1);
        let left = site.message(&unknown.id).await?;
        site.stale(look(&left, Found::Nothing)).await?;

        // Twilio reports on it after all: nothing is left for a person.
        site.done(report(&unknown, &sid(number()), MessageStatus::Delivered, None)).await?;
        assert_eq!(site.message(&unknown.id).await?.state, State::Delivered);
        assert_eq!(site.store.tasks().await?.len(), 0);
        assert_eq!(site.ended(&unknown.id).await?, ["unknown"], "it is said once");

        // Two in doubt to one number are not settled with one SID.
        let (one, two) = (site.unknown(2).await?, site.unknown(3).await?);
        let sid = sid(number());
        let found = |code| Found::Message { sid: sid.clone(), status: text(MessageStatus::Delivered), code };
        site.stale(Step::Look { id: one.id.clone(), version: one.version + 1, found: found(None) }).await?;
        site.done(look(&one, found(None))).await?;
        site.done(look(&two, found(None))).await?;
        let (one, two) = (site.message(&one.id).await?, site.message(&two.id).await?);
        assert_eq!((one.state, one.sid.as_deref()), (State::Delivered, Some(sid.as_str())));
        assert_eq!((two.state, two.sid, two.look_at), (State::Unknown, None, site.now() + 5));
        assert!(site.kinds(&one.id).await?.contains(&"found".to_owned()));
        assert_eq!(site.ended(&one.id).await?, ["delivered"]);
        assert_eq!(site.store.known_sids(vec![sid.clone(), "x".into()]).await?, BTreeSet::from([sid]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_was_accepted_is_asked_for_until_nothing_more_is_expected() -> Result<()> {
    on_all(|site| async move {
        let (message, sid) = site.accepted(1).await?;
        let mut looks = 0;
        loop {
            let message = site.message(&message.id).await?;
            if message.ended.is_some() {
                break;
            }
            ensure!(looks < 20, "it is asked for without an end");
            site.later(message.look_at.saturating_sub(site.now()));
            let found = Found::Message { sid: sid.clone(), status: text(MessageStatus::Sent), code: None };
            site.done(Step::Look { id: message.id.clone(), version: message.version, found }).await?;
            looks += 1;
        }
        assert_eq!(looks, 7, "once for the news, and six times for what follows it");
        let message = site.message(&message.id).await?;
        assert_eq!(message.state, State::Sent);
        assert_eq!(site.ended(&message.id).await?, ["sent"]);
        assert_eq!(site.store.to_clean(PROJECT, site.now(), 10).await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_person_finds_out_what_became_of_it() -> Result<()> {
    on_all(|site| async move {
        for (nth, fate, state, ended) in [
            (1, Fate::Sent, State::Sent, vec!["sent"]),
            (2, Fate::NotSent, State::Failed, vec!["failed"]),
            (3, Fate::SendAgain, State::Deferred, vec![]),
        ] {
            let unknown = site.unknown(nth).await?;
            let step = || Step::FindOut { id: unknown.id.clone(), fate, why: "I looked".into() };
            site.done(step()).await?;
            site.stale(step()).await?;
            assert_eq!(site.message(&unknown.id).await?.state, state);
            assert_eq!(site.ended(&unknown.id).await?, ended);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_twilio_has_although_it_had_said_no_is_not_sent_again() -> Result<()> {
    on_all(|site| async move {
        let again = || Outcome::Again { at: site.now(), attempt: None, code: None, why: why(), stop: None };
        let refused = site.settled(&site.submitting(1).await?, again()).await?;
        let late = sid(number());
        site.done(report(&refused, &late, MessageStatus::Sent, None)).await?;
        let message = site.message(&refused.id).await?;
        assert_eq!((message.state, message.sid.as_deref()), (State::Sent, Some(late.as_str())));
        assert!(site.kinds(&refused.id).await?.contains(&"contradicted".to_owned()));
        assert_eq!(site.store.undecided(PROJECT, u32::MAX, 10).await?.len(), 0);
        site.done(report(&refused, &late, MessageStatus::Delivered, None)).await?;
        assert_eq!(site.ended(&refused.id).await?, ["delivered"]);

        // A second one for the same message is told, and changes nothing.
        site.done(report(&refused, &sid(number()), MessageStatus::Sent, None)).await?;
        assert_eq!(site.message(&refused.id).await?.sid.as_deref(), Some(late.as_str()));
        let contradicted =
            site.kinds(&refused.id).await?.iter().filter(|kind| *kind == "contradicted").count();
        assert_eq!(contradicted, 2);
        assert_eq!(site.ended(&refused.id).await?, ["delivered"]);

        // An answer that comes when a person had already vouched that nothing was sent.
        let unknown = site.unknown(2).await?;
        site.done(Step::FindOut { id: unknown.id.clone(), fate: Fate::SendAgain, why: "none".into() })
            .await?;
        let outcome = Outcome::Accepted { sid: sid(number()), status: text(MessageStatus::Queued) };
        let message = site.settled(&unknown, outcome).await?;
        assert_eq!(message.state, State::Accepted);
        assert_eq!(site.store.undecided(PROJECT, u32::MAX, 10).await?.len(), 0);
        Ok(())
    })
    .await
}

// What Twilio keeps, and who wants no more texts.

#[tokio::test]
async fn a_copy_is_emptied_and_deleted_and_nothing_is_touched_while_a_message_is_in_doubt() -> Result<()> {
    on_all(|site| async move {
        let (message, sid) = site.delivered(1).await?;
        let doubted = NewMessage { occasion: "doubted".into(), ..site.occasion(1) };
        site.decide_due(&site.planned(doubted).await?, draft(&phone(1), "another")).await?;
        let claimed = site.claim().await?.pop().context("it is claimed")?;
        let cleanable =
            async || Ok::<_, StoreError>(site.store.to_clean(PROJECT, site.now(), 10).await?.len());
        assert_eq!(cleanable().await?, 1);
        site.done(site.submit(&claimed).await?).await?;
        assert_eq!(cleanable().await?, 0);
        let submitting = site.message(&claimed.id).await?;
        let unknown = site.settled(&submitting, Outcome::Unknown { why: why() }).await?;
        assert_eq!(cleanable().await?, 0);
        site.done(Step::FindOut { id: unknown.id, fate: Fate::NotSent, why: "none".into() }).await?;

        let kept = site.store.to_clean(PROJECT, site.now(), 10).await?;
        assert!(!kept[0].redacted && !kept[0].priced && kept[0].sid == sid && kept[0].kind == "message");
        let cleaned = |cleaning| Step::Cleaned { sid: sid.clone(), cleaning };
        let redacted =
            |price: Option<i64>| Cleaning::Redacted { price, currency: price.map(|_| "USD".into()) };
        site.done(cleaned(redacted(None))).await?;
        assert_eq!(cleanable().await?, 0);
        site.later(60);
        let kept = site.store.to_clean(PROJECT, site.now(), 10).await?;
        assert!(kept[0].redacted && !kept[0].priced);
        site.done(cleaned(redacted(Some(7900)))).await?;
        assert!(site.store.to_clean(PROJECT, site.now(), 10).await?[0].priced);
        assert_eq!(site.message(&message.id).await?.price, Some(7900));

        let mut waited = vec![];
        for _ in 0..19 {
            let before = site.now();
            site.done(cleaned(Cleaning::NotYet { answered: true })).await?;
            let next = site.store.next_look(PROJECT).await?.context("it is tried again")?;
            waited.push(next - before);
            site.later(next - before);
        }
        assert_eq!(waited[..6], [60, 300, 1800, 7200, 43_200, 86_400]);
        assert_eq!(site.store.tasks().await?.iter().filter(|task| task.kind == "kept-at-twilio").count(), 1);
        let tries = site.store.to_clean(PROJECT, site.now(), 10).await?[0].tries;
        site.done(cleaned(Cleaning::NotYet { answered: false })).await?;
        site.later(60);
        assert_eq!(
            site.store.to_clean(PROJECT, site.now(), 10).await?[0].tries,
            tries,
            "an outage does not count"
        );
        site.done(cleaned(Cleaning::Gone)).await?;
        site.stale(cleaned(Cleaning::Gone)).await?;
        assert_eq!(site.kinds(&sid).await?, ["redacted-at-twilio", "task", "deleted-at-twilio"]);
        assert_eq!(site.store.kept().await?, []);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn stop_and_start_hold_in_the_order_in_which_they_were_sent() -> Result<()> {
    on_all(|site| async move {
        let now = site.now();
        let stop = site.hear(1, "STOP", now).await?;
        site.understand(&stop, "stop").await?;
        let start = site.hear(1, "START", now + 10).await?;
        assert!(site.is_opted_out(1).await?);
        site.understand(&start, "start").await?;
        assert!(!site.is_opted_out(1).await?);

        // A STOP that is found late is older than a START that was heard.
        site.hear(1, "STOP", now + 5).await?;
        assert!(!site.is_opted_out(1).await?);
        site.later(60);
        site.hear(1, "STOP", now + 60).await?;
        assert!(site.is_opted_out(1).await?);

        // A START that is understood late is older than a STOP that was heard.
        let start = site.hear(2, "START", now + 61).await?;
        site.hear(2, "STOP", now + 62).await?;
        site.understand(&start, "start").await?;
        assert!(site.is_opted_out(2).await?);

        // The institution's is not opened by a word to one project, and a text is taken in once.
        let every = site.hear(3, "no more of any of you", now + 63).await?;
        let mut institution = understood(&every, "stop");
        institution.stop = Some(String::new());
        site.done(Step::Understand(Box::new(institution))).await?;
        let start = received(3, "START", now + 64);
        let again = Received { sid: start.sid.clone(), ..received(3, "START", now + 64) };
        let sid = start.sid.clone();
        site.done(Step::Receive(start)).await?;
        site.stale(Step::Receive(again)).await?;
        site.understand(&sid, "start").await?;
        assert!(site.is_opted_out(3).await?);
        let kinds: Vec<_> = site.store.tasks().await?.into_iter().map(|task| task.kind).collect();
        assert!(kinds.contains(&"start-after-stop".to_owned()), "{kinds:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_opt_out_reaches_redcap_once_for_each_record() -> Result<()> {
    on_all(|site| async move {
        site.hear(1, "STOP", site.now()).await?;
        let pairs =
            vec![("1".into(), Some(phone(1))), ("2".into(), Some(phone(1))), ("3".into(), Some(phone(3)))];
        site.done(Step::Phones { project: PROJECT.into(), pairs }).await?;
        assert_eq!(site.store.records_of(PROJECT, &phone(1)).await?, ["1", "2"]);
        let records = site.store.unwritten_opt_outs(PROJECT).await?;
        assert_eq!(records.len(), 2);
        let step = || Step::WriteOptOuts {
            project: PROJECT.into(),
            field: "texts_stopped".into(),
            records: records.clone(),
        };
        site.done(step()).await?;
        assert_eq!(site.store.unwritten_opt_outs(PROJECT).await?, []);
        let writes = site.store.write_backs(PROJECT, site.now(), 10).await?;
        assert_eq!(writes.len(), 2);
        let id = writes[0].id.clone();
        for _ in 0..8 {
            let failed = Step::WriteBack { id: id.clone(), error: Some("no".into()), again: site.now() };
            site.done(failed).await?;
        }
        assert!(site.store.tasks().await?.iter().any(|task| task.kind == "failed-write-back"));
        let written = || Step::WriteBack { id: id.clone(), error: None, again: site.now() };
        site.done(written()).await?;
        site.stale(written()).await?;
        assert_eq!(site.store.write_backs(PROJECT, site.now(), 10).await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_nobody_could_read_is_a_task() -> Result<()> {
    on_all(|site| async move {
        let sid = site.hear(1, "hm", site.now()).await?;
        let step = |give_up| Step::Misunderstand { sid: sid.clone(), why: why(), decisions: vec![], give_up };
        assert_eq!(site.store.uninterpreted(site.now(), 10).await?[0].body.expose(), "hm");
        site.done(step(false)).await?;
        assert_eq!(site.store.uninterpreted(site.now(), 10).await?.len(), 0);
        site.later(30);
        assert_eq!(site.store.uninterpreted(site.now(), 10).await?.len(), 1);
        site.done(step(true)).await?;
        site.stale(step(true)).await?;
        site.later(300);
        assert_eq!(site.store.uninterpreted(site.now(), 10).await?.len(), 0);
        assert_eq!(site.store.tasks().await?[0].kind, "unread-reply");
        Ok(())
    })
    .await
}

// What is kept, sealed, destroyed and restored.

#[tokio::test]
async fn no_number_and_no_body_is_in_the_database() -> Result<()> {
    on_each(|site| async move {
        site.everything().await?;
        site.verified().await?;
        let dump = site.dump().await?;
        ensure!(dump.contains("occasion/") && dump.contains("unclear-reply"), "the dump is empty");
        for secret in
            ["617555", BODY, "who is this?", "not read yet", "asked and answered", "texts_stopped\",\"1"]
        {
            // The institution's own number is no secret.
            let dump = dump.replace("6175550100", "");
            assert!(!dump.contains(secret), "{secret}");
            let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            assert!(!dump.contains(&hex), "{secret}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_destroyed_is_gone_and_the_ledger_and_the_opt_outs_hold() -> Result<()> {
    on_each(|site| async move {
        let (ended, due) = site.everything().await?;
        let head = site.verified().await?;
        let opted_out = site.store.all_opt_outs().await?;
        site.later(100);
        let before = site.now();
        let destroy = |before| Step::Destroy { project: PROJECT.into(), before };
        let Committed::Count(count) = site.store.commit(destroy(before)).await? else { bail!("it counts") };
        assert!(count >= 3, "{count}");
        assert!(matches!(site.store.commit(destroy(before)).await?, Committed::Count(0)));
        let message = site.message(&ended.id).await?;
        assert!(message.draft.is_none() && message.new.number.is_none());
        assert_eq!((message.state, message.price), (State::Delivered, Some(7900)));
        let kept = format!(
            "SELECT CAST(COUNT(*) AS TEXT) FROM ledger WHERE subject = '{}' AND private IS NOT NULL",
            ended.id
        );
        assert_eq!(site.raw(&kept).await?, ["0"]);
        assert_eq!(
            site.raw("SELECT CAST(COUNT(*) AS TEXT) FROM inbound WHERE body IS NOT NULL").await?,
            ["1"]
        );
        assert!(site.message(&due.id).await?.draft.is_some(), "what has not ended is needed");
        assert_eq!(site.store.uninterpreted(site.now(), 10).await?.len(), 1);
        for opt_out in opted_out {
            assert_eq!(site.store.opt_outs(&opt_out.of, PROJECT).await?.len(), 1);
        }
        seal(&site.store).await?;
        assert!(site.store.verify(Some(head.clone())).await??.seq > head.seq);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn keys_are_rotated_and_wrapped_again_and_everything_opens() -> Result<()> {
    on_each(|mut site| async move {
        let (ended, due) = site.everything().await?;
        let head = site.verified().await?;
        let count = rotate(&site.database, &Keys::read(&site.keys)?)?;
        assert!(count > 20, "{count}");
        // A daemon that was started before knows the old key only, and must be started again.
        site.store = site.another()?;
        assert!(site.message(&ended.id).await?.draft.is_some());
        assert_eq!(site.store.verify(Some(head.clone())).await??, head);

        // A new key of the institution wraps, and then the old one is not needed any more.
        let old = site.keys.clone();
        site.keys = Keys::add(&old)?;
        site.store = site.another()?;
        assert!(matches!(
            Store::open(&site.database, &Keys::read(&old)?, site.clock.clone()),
            Err(StoreError::Seal(_))
        ));
        let newest = site.keys.lines().last().context("there is a key")?.to_owned();
        site.keys = newest + "\n";
        site.store = site.another()?;
        let due_draft = site.message(&due.id).await?.draft.context("it is still there")?;
        assert_eq!(due_draft.body, BODY);
        assert_eq!(site.store.opt_outs(&site.store.all_opt_outs().await?[0].of, PROJECT).await?.len(), 1);
        assert_eq!(rotate(&site.database, &Keys::read(&site.keys)?)?, count);
        site.store = site.another()?;
        assert_eq!(site.store.verify(Some(head.clone())).await??, head);
        assert!(matches!(
            Store::open(&site.database, &Keys::read(&Keys::generate()?)?, site.clock.clone()),
            Err(StoreError::Seal(_))
        ));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn after_a_restore_a_person_looks_before_anything_is_sent() -> Result<()> {
    on_all(|site| async move {
        let due = site.due(1).await?;
        let cut_off = site.submitting(2).await?;
        let (accepted, _) = site.accepted(3).await?;
        let due = site.message(&due.id).await?;
        site.done(Step::Restored { since: site.now() - 3600 }).await?;
        assert_eq!(site.message(&due.id).await?.state, State::Held);
        assert_eq!(site.message(&cut_off.id).await?.state, State::Unknown);
        assert_eq!(site.message(&accepted.id).await?.state, State::Accepted);
        assert_eq!(site.planned(site.occasion(4)).await?.state, State::Held, "it may have been sent before");
        assert!(site.store.tasks().await?.iter().any(|task| task.kind == "restored"));
        site.done(Step::Resume { scope: Scope::All, why: "compared".into() }).await?;
        // REDCap may have been away until now: what was sent before the restore is only found now.
        assert_eq!(site.planned(site.occasion(5)).await?.state, State::Held);
        site.clock.step("2026-11-24T16:00:01Z".parse()?);
        site.done(Step::ReadWhole { project: PROJECT.into() }).await?;
        assert_eq!(site.planned(site.occasion(6)).await?.state, State::Planned);
        site.done(Step::Release { id: due.id.clone(), why: "compared".into() }).await?;
        assert_eq!(site.message(&due.id).await?.state, State::Deferred);
        assert_eq!(site.store.stopped().await?, []);
        Ok(())
    })
    .await
}

// What several daemons do at once.

#[tokio::test]
async fn a_figure_counts_everybody() -> Result<()> {
    on_each(|site| async move {
        let stores = [site.store.clone(), site.another()?];
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let store = stores[task % 2].clone();
            tasks.spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..10 {
                    match store.commit(Step::Count("rejected")).await? {
                        Committed::Count(value) => seen.push(value),
                        other => bail!("it came to {other:?}"),
                    }
                }
                Ok(seen)
            });
        }
        let mut seen: Vec<_> = all(tasks).await?.into_iter().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=80).collect::<Vec<_>>());
        assert_eq!(site.store.figure("rejected").await?, 80);
        assert_eq!(site.store.figure("another").await?, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_ledger_of_several_writers_has_every_row_once_and_is_one_chain() -> Result<()> {
    on_each(|site| async move {
        let stores = [site.store.clone(), site.another()?];
        let mut tasks = JoinSet::new();
        for task in 0..8_u32 {
            let store = stores[task as usize % 2].clone();
            let sealer = stores[(task as usize + 1) % 2].clone();
            let (mut ids, mut news) = (Vec::new(), Vec::new());
            for nth in 0..15 {
                news.push(site.occasion(task * 100 + nth));
            }
            tasks.spawn(async move {
                for new in news {
                    match store.commit(Step::Plan(vec![new])).await? {
                        Committed::Planned(planned) => ids.extend(planned),
                        other => bail!("it came to {other:?}"),
                    }
                    sealer.commit(Step::Seal).await?;
                }
                Ok(ids)
            });
        }
        let ids: Vec<_> = all(tasks).await?.into_iter().flatten().collect();
        let head = site.verified().await?;
        assert_eq!(head.seq, 120, "each occasion is one row, and the sweep is none");
        for id in ids {
            assert_eq!(site.kinds(&id).await?, ["occasion"]);
        }
        assert_eq!(site.store.verify(Some(head.clone())).await??, head);

        // The database itself refuses to change what was written.
        for forbidden in [
            "DELETE FROM ledger",
            "UPDATE ledger SET public = '{}'",
            "UPDATE ledger SET seq = seq + 1000",
            "UPDATE ledger SET hash = NULL",
        ] {
            assert!(site.raw(&format!("{forbidden} RETURNING kind")).await.is_err(), "{forbidden}");
        }
        assert_eq!(site.store.verify(Some(head.clone())).await??, head);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_not_chained_yet_is_counted() -> Result<()> {
    on_postgres(|site| async move {
        site.planned(site.occasion(1)).await?;
        let unsealed = site.store.unsealed().await?;
        assert_eq!((unsealed.rows, unsealed.since), (1, Some(site.now())));
        assert_eq!(site.store.verify(None).await??.seq, 0);
        assert_eq!(site.verified().await?.seq, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn daemons_that_meet_at_the_same_rows_lose_nothing() -> Result<()> {
    on_each(|site| async move {
        // Few people, so that everything meets: texts of theirs, decisions, claims, submissions, looks, reports.
        let people = 4;
        let stores = [site.store.clone(), site.another()?];
        let lease = site.own_lease().await?;
        let mut tasks = JoinSet::new();
        for task in 0..8_u32 {
            let store = stores[task as usize % 2].clone();
            let (lease, clock) = (lease.clone(), site.clock.clone());
            let news: Vec<_> = (0..12)
                .map(|nth| NewMessage {
                    occasion: format!("{task}/{nth}"),
                    number: Some(phone((task + nth) % people)),
                    purpose: if nth % 3 == 0 { Purpose::Help } else { Purpose::Invitation },
                    ..site.occasion(nth)
                })
                .collect();
            let texts: Vec<_> = (0..12).map(|nth| received((task + nth) % people, "hello", 1)).collect();
            tasks.spawn(async move {
                for (new, text) in news.into_iter().zip(texts) {
                    let (to, heard) = (new.number.clone().context("it has one")?, text.sid.clone());
                    store.commit(Step::Receive(text)).await?;
                    let Committed::Planned(ids) = store.commit(Step::Plan(vec![new])).await? else {
                        bail!("it is planned")
                    };
                    let message = store.message(&ids[0]).await?.context("it is there")?;
                    let now = clock.seconds();
                    let body = format!("{BODY} {}", message.id);
                    let due =
                        Decided { draft: Some(draft(&to, &body)), ..decided(&message, State::Due, now) };
                    store.commit(Step::Decide(Box::new(due))).await?;
                    store.commit(Step::Understand(Box::new(understood(&heard, "none")))).await?;
                    for claimed in claim(&store, &lease, 2, now + 300).await? {
                        let Step::Submit { id, version, lease, sender, swept, decisions, .. } =
                            submit(&claimed, &lease)
                        else {
                            bail!("it is a submission")
                        };
                        let step =
                            Step::Submit { id, version, lease, sender, swept, decisions, ceiling: 1000 };
                        if !matches!(store.commit(step).await?, Committed::Done) {
                            continue;
                        }
                        let sid = sid(number());
                        let outcome = Outcome::Accepted { sid: sid.clone(), status: text_queued() };
                        let settle =
                            Step::Settle { id: claimed.id.clone(), version: claimed.version + 1, outcome };
                        let report = report(&claimed, &sid, MessageStatus::Delivered, None);
                        let (settled, reported) = tokio::join!(store.commit(settle), store.commit(report));
                        settled?;
                        reported?;
                    }
                }
                Ok(())
            });
        }
        all(tasks).await?;
        let messages = site.store.log(None, None, 1000).await?;
        assert_eq!(messages.len(), 96);
        let delivered = messages.iter().filter(|message| message.state == State::Delivered);
        let mut count = 0;
        for message in delivered {
            count += 1;
            assert_eq!(site.ended(&message.id).await?, ["delivered"]);
            let submitted =
                site.kinds(&message.id).await?.iter().filter(|kind| *kind == "submitting").count();
            assert_eq!(submitted, 1);
        }
        assert!(count > 0);
        println!("{count} of 96 delivered, the others wait");
        let stuck = messages.iter().filter(|message| {
            matches!(message.state, State::Submitting | State::Accepted | State::Unknown | State::Planned)
        });
        assert_eq!(stuck.count(), 0);
        site.verified().await?;
        Ok(())
    })
    .await
}

fn text_queued() -> ProviderStatus {
    text(MessageStatus::Queued)
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle_of_commits_keeps_what_it_answered() -> Result<()> {
    let Some(server) = tokio::task::spawn_blocking(Server::start).await?? else {
        println!("skipped: PostgreSQL is not installed");
        return Ok(());
    };
    let server = std::sync::Arc::new(server);
    let site = Site::on_server(&server).await?;
    let stores = [site.store.clone(), site.another()?];
    let (enough, mut told) = tokio::sync::watch::channel(0_u32);
    let mut tasks = JoinSet::new();
    for task in 0..4_u32 {
        let (store, enough) = (stores[task as usize % 2].clone(), enough.clone());
        let news: Vec<_> = (0..250).map(|nth| site.occasion(task * 1000 + nth)).collect();
        tasks.spawn(async move {
            let (mut answered, mut refused, mut lost) = (Vec::new(), Vec::new(), 0);
            for new in news {
                let occasion = new.occasion.clone();
                match store.commit(Step::Plan(vec![new])).await {
                    Ok(Committed::Planned(ids)) => {
                        ensure!(ids.len() == 1, "{occasion} was there before it was answered");
                        answered.extend(ids);
                    }
                    Ok(other) => bail!("it came to {other:?}"),
                    Err(StoreError::Away(_) | StoreError::NotTaken | StoreError::Conflict) => {
                        lost += 1;
                        refused.push(occasion);
                        // The next is not thrown after it while the server is away.
                        tokio::task::yield_now().await;
                    }
                    Err(error) => return Err(error).context("an error of another kind"),
                }
                enough.send_modify(|count| *count += 1);
            }
            Ok((answered, refused, lost))
        });
    }
    for stop in [100, 300] {
        told.wait_for(|count| *count >= stop).await?;
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            server.stop()?;
            server.start_again()
        })
        .await??;
    }
    let (mut answered, mut refused, mut lost) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (ids, occasions, count) in all(tasks).await? {
        answered.extend(ids);
        refused.extend(occasions);
        lost += count;
    }
    println!("{} answered, {lost} refused", answered.len());
    assert_eq!(answered.len() + refused.len(), 1000);
    let there = site.store.log(None, None, 2000).await?;
    assert_eq!(there.iter().map(|message| message.id.clone()).collect::<BTreeSet<_>>(), answered);
    assert!(there.iter().all(|message| !refused.contains(&message.new.occasion)));
    assert_eq!(site.verified().await?.seq, answered.len() as u64);
    Ok(())
}

// Moving.

#[tokio::test]
async fn a_deployment_moves_to_another_database_whole() -> Result<()> {
    // There and, as nobody is made to stay, back again.
    on_each(|from| async move {
        let others = match (&from.database, postgres::shared()) {
            (Database::Sqlite(_), Some(server)) => {
                let name = format!("copy_{}_{}", std::process::id(), number());
                Database::Postgres(server.database(&name)?.into())
            }
            _ => Database::Sqlite(from.folder.join("moved.db")),
        };
        let (ended, due) = from.everything().await?;
        let keys = Keys::read(&from.keys)?;
        let moved = || copy(&from.database, &others, &keys, from.now());
        let at_work = moved();
        assert!(matches!(at_work, Err(StoreError::AtWork)), "{at_work:?}");
        from.done(Step::Leave { holder: "one".into() }).await?;
        let stranger = Keys::read(&Keys::generate()?)?;
        let refused = copy(&from.database, &others, &stranger, from.now());
        assert!(matches!(refused, Err(StoreError::Seal(_))), "{refused:?}");

        let copied = moved()?;
        let rows = |name: &str| copied.tables.iter().find(|(table, _)| table == name).map(|(_, rows)| *rows);
        assert_eq!(
            (rows("data_key"), rows("lease"), rows("figure"), rows("opt_out")),
            (Some(2), None, Some(1), Some(1))
        );
        assert_eq!((rows("message"), rows("inbound")), (Some(5), Some(3)));
        assert_eq!(rows("ledger"), Some(copied.head.seq));
        assert!(matches!(moved(), Err(StoreError::NotEmpty { .. })));

        let to = Site {
            database: others.clone(),
            keys: from.keys.clone(),
            clock: from.clock.clone(),
            store: Store::open(&others, &keys, from.clock.clone())?,
            folder: tests::folder()?,
        };
        assert_eq!(to.store.verify(None).await??, copied.head);
        let printed = |messages: Vec<Message>| {
            messages.into_iter().map(|message| format!("{message:?} {:?}", message.draft)).collect::<Vec<_>>()
        };
        assert_eq!(
            printed(to.store.log(None, None, 100).await?),
            printed(from.store.log(None, None, 100).await?)
        );
        assert_eq!(to.store.all_opt_outs().await?.len(), 1);
        assert_eq!(to.store.story(&ended.id).await?, from.store.story(&ended.id).await?);
        let (mut left, moved) = (from.store.stopped().await?, to.store.stopped().await?);
        assert_eq!(left.remove(0).scope, "", "nothing is sent from the old one any more");
        assert_eq!(moved, left);
        assert_eq!(to.store.kept().await?, from.store.kept().await?);
        assert_eq!(to.store.costs(vec![(0, u32::MAX)]).await?, from.store.costs(vec![(0, u32::MAX)]).await?);

        // It works on: the same occasion is still the same, what is due goes out, new rows follow the old ones.
        let Committed::Planned(again) = to.store.commit(Step::Plan(vec![ended.new.clone()])).await? else {
            bail!("it is known")
        };
        assert_eq!(again.len(), 0);
        let claimed = to.claim().await?;
        assert_eq!(claimed.iter().map(|message| &message.id).collect::<Vec<_>>(), [&due.id]);
        to.done(to.submit(&claimed[0]).await?).await?;
        to.hear(900, "STOP", to.now()).await?;
        assert!(to.is_opted_out(900).await?);
        seal(&to.store).await?;
        assert!(to.store.verify(Some(copied.head.clone())).await??.seq > copied.head.seq);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_nobody_planned_for_is_held_and_a_person_lets_it_go() -> Result<()> {
    on_each(|site| async move {
        let project = || PROJECT.to_owned();
        let scheduled = |nth: u32| NewMessage {
            origin: Some(Origin {
                schedule: "asi/diary".into(),
                event: None,
                instrument: None,
                instance: 1,
                repetition: 1,
                reminder: 0,
                whom: Whom::Participant,
                permission: None,
            }),
            ..site.occasion(nth)
        };
        let count = |committed: Committed| match committed {
            Committed::Count(count) => count,
            _ => 0,
        };
        site.done(Step::GoLive { project: project(), schedules: vec!["asi/diary".into()] }).await?;
        site.store.commit(Step::Plan((0..9).map(scheduled).collect())).await?;
        let brake = || Step::Brake { project: project(), more_than: 20 };
        ensure!(count(site.store.commit(brake()).await?) == 0, "nine may go");
        let brake = || Step::Brake { project: project(), more_than: 5 };
        ensure!(count(site.store.commit(brake()).await?) == 9, "nine are more than five");
        let held = site.store.to_catch_up(PROJECT).await?;
        ensure!(held.iter().map(|(_, held)| held.count).sum::<u64>() == 9, "{held:?}");
        let catch_up = |what, at_most| Step::CatchUp {
            catch_up: CatchUp { project: project(), schedule: None, what, at_most, queued: false },
            why: "a test".into(),
        };
        ensure!(count(site.store.commit(catch_up(Catching::Release, Some(2))).await?) == 2);
        ensure!(count(site.store.commit(catch_up(Catching::Expire, None)).await?) == 7);
        ensure!(site.store.to_catch_up(PROJECT).await?.is_empty(), "nothing is held any more");
        let mended = Step::Mended { project: project(), records: vec!["1".into()] };
        site.store.commit(mended).await?;
        let ready = site.store.undecided(PROJECT, site.now(), 20).await?;
        ensure!(ready.len() == 2, "{} go on", ready.len());
        let id = ready[0].id.clone();
        site.done(Step::Reschedule { id, due: site.now() + 60, why: "later".into() }).await?;
        ensure!(site.store.undecided(PROJECT, site.now(), 20).await?.len() == 1);
        Ok(())
    })
    .await
}
