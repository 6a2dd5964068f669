//! One world: a REDCap, a Twilio and the phones of made-up people on one stepped clock, one database, and
//! daemons that live and die on it under continuous load.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use gateway::Clock;
use gateway::outbox::State;
use gateway::store::{Committed, Fate, Step, Store};
use gateway::vault::Keys;
use jiff::SignedDuration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redcap::Place;
use sandbox::{CreateFault, Delivery, OptOutHandling, Sandbox, SandboxConfig, TwilioAccount};
use tokio::task::JoinSet;

use super::Figures;
use super::books::Books;
use super::daemon::{Daemon, End, Nursery};
use super::dice::Dice;
use super::door::{Door, Open, locked};
use super::judge;
use super::plan::{CALLBACKS, Death, Deck, Lot, Trouble};
use crate::postgres::Server;
use crate::{MORNING, Play, STUDY};

/// The project.
const PROJECT: &str = "sleep";

/// People in a world, with the numbers +16175550110 and so on.
const PEOPLE: u32 = 60;

/// Invitations that each of them can get, by the names that stand in their words.
const WAVES: [&str; 20] = [
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13", "A14", "A15",
    "A16", "A17", "A18", "A19", "A20",
];

/// Steps of the clock in a life after which it is ended, whatever it was to die of; with two daemons that many for
/// each, since one of them sends and the other waits for that.
const LIFE: u32 = 150;

/// Steps of the clock within which a process must have started.
const START: u32 = 6000;

/// The real time between two steps of the clock, for each daemon. They are other processes: while this one waits,
/// they work.
const BEAT: Duration = Duration::from_millis(5);

/// Looks at the store after which it is clear that what is due there waits for something else.
const STILL: u32 = 16;

/// Steps of the clock at the end after which everything was read anew.
const FIRST: u32 = 15;

/// Kills between two stops of PostgreSQL.
const KILLS_BETWEEN_STOPS: u32 = 22;

/// What strikes the daemon of each place when a request arrives at Twilio, and how many requests later.
type Strikes = Vec<Option<(Death, u32)>>;

/// A participant.
#[derive(Debug)]
struct Person {
    record: String,
    phone: String,
    wave: usize,
    has_opted_out: bool,
    has_asked_for_help: bool,
}

/// A text that a participant sent.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) phone: String,
    pub(super) sid: String,
    pub(super) opts_out: bool,
    /// Where the ledger stood, if every daemon was dead when it was sent.
    pub(super) dead_at: Option<i64>,
}

/// A daemon at work.
#[derive(Debug)]
struct Life {
    daemon: Daemon,
    lot: Lot,
    /// Steps of the clock, first until it listened and then since.
    age: u32,
    is_open: bool,
    /// Steps of the clock for which it is stopped by SIGSTOP.
    paused: u32,
}

/// The world.
pub(super) struct World {
    dice: Dice,
    clock: Clock,
    sandbox: Sandbox,
    server: Option<Arc<Server>>,
    /// Steps of the clock for which PostgreSQL is still stopped.
    stopped: u32,
    next_stop: u32,
    books: Books,
    config: PathBuf,
    folder: PathBuf,
    door: Door,
    people: Vec<Person>,
    said: Arc<Mutex<Vec<Said>>>,
    under_way: JoinSet<()>,
    deck: Deck,
    lives: Vec<Option<Life>>,
    nursery: Arc<Nursery>,
    follows: bool,
    /// Who was killed from outside, and how that is called.
    struck: Arc<Mutex<BTreeMap<Pid, &'static str>>>,
    strikes: Arc<Mutex<Strikes>>,
    figures: Figures,
}

impl World {
    pub(super) async fn new(
        seed: u64,
        server: Option<Arc<Server>>,
        nursery: Arc<Nursery>,
        follows: bool,
    ) -> Result<World> {
        let mut dice = Dice::new(seed);
        let clock = Clock::stepped(MORNING.parse()?);
        let now = clock.clone();
        // In every other world Consentry is the only one who knows of keywords.
        let ours = seed % 2 == 1;
        let config = SandboxConfig {
            phone_field: Some("mobile".into()),
            twilio: TwilioAccount {
                opt_out: if ours { OptOutHandling::None } else { OptOutHandling::Default },
                ..TwilioAccount::default()
            },
            ..SandboxConfig::new(study(), Arc::new(move || now.now()))
        };
        let sandbox = Sandbox::start(config).await?;
        sandbox.twilio().set_balance(1e6);
        sandbox.twilio().set_deletable_after(SignedDuration::from_mins(1));
        let (config, folder) = crate::write(&[play(ours)], &sandbox)?;
        let door = Door::new().await?;
        let (database, books) = match &server {
            Some(server) => {
                let name = format!("crash_{seed}");
                let url = server.database(&name)?;
                (url.clone(), Books::Postgres(url))
            }
            None => ("crash.db".to_owned(), Books::Sqlite(folder.join("crash.db"))),
        };
        let daemon = format!(
            "listen = \"127.0.0.1:0\"\npublic-url = \"{}\"\ndatabase = \"{database}\"\nkeys = {{ file = \"keys.txt\" }}\n\
             trigger-secret = {{ file = \"trigger.txt\" }}\nprojects = [\"{PROJECT}.toml\"]\n",
            door.url
        );
        std::fs::write(&config, daemon)?;
        sandbox.set_sms_webhook(&format!("{}/twilio/{PROJECT}/sms", door.url));
        sandbox.set_data_entry_trigger(&format!("{}/redcap/{PROJECT}/trigger/secret", door.url));
        let people = (0..PEOPLE)
            .map(|n| Person {
                record: (n + 1).to_string(),
                phone: phone(n),
                wave: 0,
                has_opted_out: false,
                has_asked_for_help: false,
            })
            .collect();
        let slots = if server.is_some() { 2 } else { 1 };
        Ok(World {
            clock,
            sandbox,
            server,
            stopped: 0,
            next_stop: dice.between(1, KILLS_BETWEEN_STOPS),
            books,
            config,
            folder,
            door,
            people,
            said: Arc::default(),
            under_way: JoinSet::new(),
            deck: Deck::new(),
            lives: (0..slots).map(|_| None).collect(),
            nursery,
            follows,
            struck: Arc::default(),
            strikes: Arc::new(Mutex::new(vec![None; slots])),
            figures: Figures::default(),
            dice,
        })
    }

    /// Lets daemons live and die, then lets one come to the end of everything, and judges.
    pub(super) async fn play(mut self, kills: u32) -> Result<Figures> {
        while self.figures.kills() < kills {
            for slot in 0..self.lives.len() {
                self.tend(slot).await?;
            }
            self.load();
            self.trouble_the_house().await?;
            let step =
                if self.is_anybody_paused() { self.dice.between(3, 8) } else { self.dice.between(1, 4) };
            self.pass(step);
            for _ in &self.lives {
                beat().await;
            }
        }
        let result = self.come_to_an_end().await;
        self.sandbox.faults().clear();
        let _ = std::fs::remove_dir_all(&self.folder);
        result.map(|()| self.figures)
    }

    /// Looks after a place for a daemon: buries the dead, ends who has lived long enough, starts the next one.
    async fn tend(&mut self, slot: usize) -> Result<()> {
        if let Some(life) = &self.lives[slot] {
            return match life.daemon.ended().cloned() {
                Some(end) => self.bury(slot, end).await,
                None => self.grow(slot),
            };
        }
        // After a failure of the power everybody is dead before anybody lives.
        if self.stopped == 0 && locked(&self.struck).is_empty() {
            let lot = self.deck.draw(&mut self.dice);
            let mut daemon = self.bear(Some(&lot))?;
            locked(&self.strikes)[slot] = Some((lot.death, lot.nth));
            self.set_trouble(lot.trouble);
            daemon.tick(self.clock.now());
            self.figures.lives += 1;
            self.lives[slot] = Some(Life { daemon, lot, age: 0, is_open: false, paused: 0 });
        }
        Ok(())
    }

    async fn bury(&mut self, slot: usize, end: End) -> Result<()> {
        let Some(life) = self.lives[slot].take() else { return Ok(()) };
        self.door.closed(life.daemon.pid);
        locked(&self.strikes)[slot] = None;
        let struck = locked(&self.struck).remove(&life.daemon.pid);
        match end {
            End::Killed => {
                let death = struck.unwrap_or(life.lot.death.name());
                *self.figures.deaths.entry((death, life.lot.trouble.name())).or_default() += 1;
            }
            // A daemon that finds no database at its start says so and ends.
            End::GaveUp(_) if self.server.is_some() => self.figures.gave_up += 1,
            End::GaveUp(why) => bail!("a daemon ended by itself: {why}"),
        }
        // Sometimes the power fails for all of them.
        if self.lives.len() > 1 && self.dice.percent(15) {
            for open in locked(&self.door.behind()).iter() {
                strike(&self.struck, open.pid, Death::AnyMoment);
            }
        }
        if self.lives.iter().all(Option::is_none) && self.stopped == 0 {
            self.while_all_are_dead().await?;
        }
        Ok(())
    }

    fn grow(&mut self, slot: usize) -> Result<()> {
        let now = self.clock.now();
        let long = if self.lives.len() > 1 { 2 * LIFE } else { LIFE };
        let Some(life) = &mut self.lives[slot] else { return Ok(()) };
        if life.paused > 0 {
            life.paused -= 1;
            if life.paused == 0 {
                // It wakes in the present.
                life.daemon.tick(now);
                life.daemon.signal(Signal::SIGCONT);
                self.door.opened(Open { pid: life.daemon.pid, port: life.daemon.port().unwrap_or(0) });
            }
            return Ok(());
        }
        life.age += 1;
        if let (false, Some(port)) = (life.is_open, life.daemon.port()) {
            life.is_open = true;
            life.age = 0;
            self.door.opened(Open { pid: life.daemon.pid, port });
        }
        ensure!(life.is_open || life.age < START, "a daemon did not start");
        let its_time = if life.lot.death == Death::AnyMoment { life.lot.nth } else { long };
        if life.is_open && life.age >= its_time {
            strike(&self.struck, life.daemon.pid, Death::AnyMoment);
        }
        if life.is_open
            && life.lot.death == Death::At(gateway::failpoint::Point::MidInbound)
            && life.age % 8 == 4
        {
            self.say_something(false);
        }
        Ok(())
    }

    /// What Twilio does from now on.
    fn set_trouble(&mut self, trouble: Trouble) {
        let faults = self.sandbox.faults();
        faults.clear();
        faults.random(self.dice.throw(), trouble.creates(), CALLBACKS);
        if trouble == Trouble::Slow {
            faults.next_creates(100, CreateFault::Slow(Duration::from_millis(60)));
        }
        let goes_down_at = if trouble == Trouble::Down { self.dice.between(1, 6) } else { 0 };
        let (strikes, behind, struck) = (self.strikes.clone(), self.door.behind(), self.struck.clone());
        let (down, seen) = (faults.clone(), AtomicU32::new(0));
        faults.on_create(move |_| {
            knock(&strikes, Death::AfterBytes, &behind, &struck);
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == goes_down_at {
                down.twilio_down(true);
            }
        });
        let (strikes, behind, struck) = (self.strikes.clone(), self.door.behind(), self.struck.clone());
        faults.on_delete(move |_| knock(&strikes, Death::AtDeletion, &behind, &struck));
    }

    /// What goes on at all times: the study team enters what gives reason for invitations, and people text.
    fn load(&mut self) {
        if !self.lives.iter().flatten().any(|life| life.is_open) {
            return;
        }
        if self.dice.percent(25) {
            self.give_reason();
        }
        if self.dice.percent(3) {
            let may_opt_out = self.dice.percent(25);
            self.say_something(may_opt_out);
        }
    }

    /// REDCap's trigger tells of it; who does not hear it, reads it at the next sweep.
    fn give_reason(&mut self) {
        let n = self.somebody();
        let person = &mut self.people[n];
        if person.wave < WAVES.len() {
            person.wave += 1;
            let (redcap, record, wave) =
                (self.sandbox.redcap(), person.record.clone(), person.wave.to_string());
            self.under_way.spawn(async move {
                redcap.save_form(&record, "enrolment", None, 1, &[("wave", &wave)]).await;
            });
        }
    }

    /// A text while somebody may hear it.
    fn say_something(&mut self, may_opt_out: bool) {
        let (n, words) = self.something(may_opt_out);
        let (handset, all, phone) = (self.sandbox.handset(), self.said.clone(), self.people[n].phone.clone());
        self.under_way.spawn(async move {
            let sid = handset.say(&phone, words).await.sid;
            locked(&all).push(Said { phone, sid, opts_out: opts_out(words), dead_at: None });
        });
    }

    fn somebody(&mut self) -> usize {
        usize::try_from(self.dice.between(0, PEOPLE - 1)).unwrap_or(0)
    }

    fn something(&mut self, may_opt_out: bool) -> (usize, &'static str) {
        let n = self.somebody();
        let stop = ["STOP", "please opt out", "please stop texting me", "opt out"];
        let stop = stop[usize::try_from(self.dice.between(0, 3)).unwrap_or(0)];
        let asks = self.dice.percent(30);
        // Most of them stay, so that there is somebody to write to.
        let many = self.people.iter().filter(|person| person.has_opted_out).count() > self.people.len() / 3;
        let person = &mut self.people[n];
        if may_opt_out && !person.has_opted_out && !many {
            person.has_opted_out = true;
            return (n, stop);
        }
        if asks && !person.has_asked_for_help {
            person.has_asked_for_help = true;
            return (n, "HELP");
        }
        (n, "Thanks!")
    }

    /// Nobody hears what is said now, and nobody reads what is entered now.
    async fn while_all_are_dead(&mut self) -> Result<()> {
        for _ in 0..self.dice.between(0, 4) {
            self.give_reason();
        }
        if self.dice.percent(35) {
            let may_opt_out = self.dice.percent(60);
            let (n, words) = self.something(may_opt_out);
            let (handset, phone) = (self.sandbox.handset(), self.people[n].phone.clone());
            let dead_at = Some(self.books.position().await?);
            let sid = if self.dice.percent(50) {
                let said = handset.say(&phone, words).await;
                ensure!(matches!(said.delivery, Delivery::Failed { .. }), "somebody heard it: {said:?}");
                said.sid
            } else {
                handset.say_quietly(&phone, words)
            };
            locked(&self.said).push(Said { phone, sid, opts_out: opts_out(words), dead_at });
        }
        // The next daemon waits for the leases of the last one, which are still in force for half a minute.
        let away = match self.dice.between(1, 100) {
            1..70 => 31,
            70..85 => self.dice.between(0, 30),
            85..95 => self.dice.between(600, 1800),
            _ => 7200,
        };
        self.pass(away);
        Ok(())
    }

    /// With two daemons one is paused for longer than its leases last, and the database itself fails.
    async fn trouble_the_house(&mut self) -> Result<()> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        if self.stopped > 0 {
            self.stopped -= 1;
            if self.stopped == 0 {
                tokio::task::spawn_blocking(move || server.start_again()).await??;
            }
            return Ok(());
        }
        if self.figures.kills() >= self.next_stop {
            self.next_stop = self.figures.kills() + KILLS_BETWEEN_STOPS;
            self.stopped = self.dice.between(4, 24);
            self.figures.stops += 1;
            return tokio::task::spawn_blocking(move || server.stop()).await?;
        }
        let all_at_work = self.lives.iter().flatten().filter(|life| life.is_open).count() == self.lives.len();
        if all_at_work && !self.is_anybody_paused() && self.dice.between(1, 100) == 1 {
            let slot = usize::try_from(self.dice.between(0, 1)).unwrap_or(0);
            let steps = self.dice.between(8, 24);
            if let Some(life) = &mut self.lives[slot] {
                life.daemon.signal(Signal::SIGSTOP);
                life.paused = steps;
                self.door.closed(life.daemon.pid);
                self.figures.pauses += 1;
            }
        }
        Ok(())
    }

    fn is_anybody_paused(&self) -> bool {
        self.lives.iter().flatten().any(|life| life.paused > 0)
    }

    fn pass(&mut self, seconds: u32) {
        let now = self.clock.now() + SignedDuration::from_secs(i64::from(seconds));
        self.clock.step(now);
        for life in self.lives.iter_mut().flatten().filter(|life| life.paused == 0) {
            life.daemon.tick(now);
        }
    }

    /// Nothing fails any more: the daemons work until nothing more is expected of any occasion and nothing of
    /// ours is left at Twilio.
    async fn come_to_an_end(&mut self) -> Result<()> {
        self.lives.iter_mut().for_each(|life| *life = None);
        self.door.close();
        if let (Some(server), true) = (self.server.clone(), self.stopped > 0) {
            tokio::task::spawn_blocking(move || server.start_again()).await??;
        }
        self.sandbox.faults().clear();
        while self.under_way.join_next().await.is_some() {}
        let keys = Keys::read(&std::fs::read_to_string(self.folder.join("keys.txt"))?)?;
        let store = Store::open(&self.books.database(), &keys, self.clock.clone())?;
        self.work_to_the_end(&store).await?;
        self.lives.iter_mut().for_each(|life| *life = None);

        while matches!(store.commit(Step::Seal).await?, Committed::Count(count) if count > 0) {}
        let chain = store.verify(None).await?;
        let unsealed = store.unsealed().await?.rows;
        drop(store);
        let left = if self.left_at_twilio() > 0 { Some(self.left().await?) } else { None };
        let evidence = judge::Evidence {
            people: self.people.iter().map(|person| self.seen(person)).collect(),
            said: locked(&self.said).clone(),
            handset: self.sandbox.handset(),
            chain: chain.err().map(|tampered| tampered.to_string()),
            unsealed,
            left_at_twilio: self.left_at_twilio(),
            left,
            now: self.clock.seconds(),
        };
        judge::judge(&self.books, &evidence, &mut self.figures).await
    }

    fn bear(&self, lot: Option<&Lot>) -> Result<Daemon> {
        tokio::task::block_in_place(|| self.nursery.bear(&self.config, lot, self.follows))
    }

    /// What REDCap says of a person, which is what counts.
    fn seen(&self, person: &Person) -> judge::Person {
        let place = Place::at("event_1_arm_1");
        let wave = self.sandbox.redcap().value(&person.record, "wave", &place);
        let wave = wave.and_then(|wave| wave.parse().ok()).unwrap_or(0);
        judge::Person {
            record: person.record.clone(),
            phone: person.phone.clone(),
            waves: WAVES[..wave].to_vec(),
        }
    }

    async fn work_to_the_end(&mut self, store: &Store) -> Result<()> {
        let mut daemon = self.bear(None)?;
        daemon.tick(self.clock.now());
        let mut waited = 0;
        let steps = if self.follows { 600 } else { 60 };
        for step in 0..steps {
            while daemon.port().is_none() {
                ensure!(daemon.ended().is_none() && waited < START, "the last daemon did not start");
                waited += 1;
                beat().await;
            }
            if step == 0 {
                self.door.opened(Open { pid: daemon.pid, port: daemon.port().unwrap_or(0) });
            }
            let next = self.quiet(store).await?;
            if step > FIRST && self.is_over(store).await? {
                break;
            }
            let now = self.clock.seconds();
            let wait = match next {
                // Time passes between what is due too: leases are taken up again, and who waits looks again.
                _ if step % 3 > 0 => 11,
                // At first everything is read anew.
                _ if step < FIRST => 310,
                Some(next) if next > now => next - now,
                _ => 310,
            };
            let now = self.clock.now() + SignedDuration::from_secs(i64::from(wait));
            self.clock.step(now);
            daemon.tick(now);
            beat().await;
        }
        Ok(())
    }

    /// Waits until everything that can be done at this instant is done, or nothing moves any more, and says what
    /// is looked at next.
    async fn quiet(&self, store: &Store) -> Result<Option<u32>> {
        let now = self.clock.seconds();
        let (mut before, mut still) = (None, 0);
        loop {
            let next = store.next_look(PROJECT).await?;
            let stands =
                (next, store.uninterpreted(now, 50).await?.len(), store.queue().await?, store.kept().await?);
            if stands.1 == 0 && next.is_none_or(|next| next > now) || still == STILL {
                return Ok(next);
            }
            still = if before.as_ref() == Some(&stands) { still + 1 } else { 0 };
            before = Some(stands);
            beat().await;
        }
    }

    async fn is_over(&self, store: &Store) -> Result<bool> {
        if !store.queue().await?.is_empty() {
            return Ok(false);
        }
        // What nobody can find out a person does: the judge has it in the ledger already.
        for message in store.log(None, None, 1_000_000).await? {
            if message.state == State::Unknown && message.ended.is_some() {
                let fate = if judge::has_received(&self.sandbox.handset(), &message) {
                    Fate::Sent
                } else {
                    Fate::NotSent
                };
                store
                    .commit(Step::FindOut { id: message.id, fate, why: "the harness looked".into() })
                    .await?;
            }
        }
        Ok(self.left_at_twilio() == 0)
    }

    /// What Twilio lists of ours, STOP too.
    async fn left(&self) -> Result<Vec<(String, String)>> {
        let base = self.sandbox.twilio_url();
        let account = TwilioAccount::default();
        let client = twilio::Client::new(twilio::ClientConfig {
            api_base: base.clone(),
            lookups_base: base.clone(),
            pricing_base: base,
            user: account.account_sid.clone(),
            account_sid: account.account_sid,
            secret: account.auth_token,
        })?;
        let listed = client.list_messages(&twilio::ListMessages::default()).await?;
        let about = |found: &twilio::Message| {
            format!(
                "{:?} {} {} empty {}",
                found.direction,
                found.status,
                found.date_created,
                found.body.expose().is_empty()
            )
        };
        Ok(listed.items.iter().map(|found| (found.sid.clone(), about(found))).collect())
    }

    /// What Twilio keeps of ours but for STOP.
    fn left_at_twilio(&self) -> usize {
        let kept = self.sandbox.twilio().kept();
        kept.messages - kept.stop_or_start
    }
}

/// A request has arrived at Twilio. If a daemon was to die of that, the power fails: for all of them, since nobody
/// knows which one sent it.
fn knock(
    strikes: &Mutex<Strikes>,
    death: Death,
    behind: &Mutex<Vec<Open>>,
    struck: &Mutex<BTreeMap<Pid, &'static str>>,
) {
    for strike in locked(strikes).iter_mut() {
        let Some((_, left)) = strike.as_mut().filter(|(waits_for, _)| *waits_for == death) else { continue };
        *left -= 1;
        if *left == 0 {
            *strike = None;
            locked(behind).iter().for_each(|open| self::strike(struck, open.pid, death));
        }
    }
}

/// Ends a process that is not waited for yet.
fn strike(struck: &Mutex<BTreeMap<Pid, &'static str>>, pid: Pid, death: Death) {
    locked(struck).entry(pid).or_insert(death.name());
    // It may have died meanwhile.
    let _ = kill(pid, Signal::SIGKILL);
}

/// Other processes work while this one waits; they tell nobody when they are done.
async fn beat() {
    tokio::time::sleep(BEAT).await;
}

fn opts_out(words: &str) -> bool {
    !matches!(words, "HELP" | "Thanks!")
}

fn phone(n: u32) -> String {
    format!("+1617555{:04}", 110 + n)
}

/// The study with people of its own, and a field that counts the invitations that are due to each of them.
fn study() -> String {
    let before = STUDY.split("<ClinicalData").next().unwrap_or_default();
    let field = "<ItemDef OID=\"wave\" Name=\"wave\" DataType=\"integer\" Length=\"999\" redcap:Variable=\"wave\" \
                 redcap:FieldType=\"text\" redcap:TextValidationType=\"int\"><Question><TranslatedText>Wave\
                 </TranslatedText></Question></ItemDef>\n<ItemDef OID=\"enrolled\"";
    let listed = "<ItemRef ItemOID=\"wave\" Mandatory=\"No\" redcap:Variable=\"wave\"/>\n<ItemRef ItemOID=\"enrolled\"";
    let mut xml = before.replacen("<ItemDef OID=\"enrolled\"", field, 1).replacen(
        "<ItemRef ItemOID=\"enrolled\"",
        listed,
        1,
    );
    xml += "<ClinicalData StudyOID=\"Project.NorthfieldSleepStudy\" MetaDataVersionOID=\"Metadata.NorthfieldSleepStudy\">";
    for n in 0..PEOPLE {
        let record = n + 1;
        let _ = write!(
            xml,
            "<SubjectData SubjectKey=\"{record}\" redcap:RecordIdField=\"record_id\"><StudyEventData \
             StudyEventOID=\"Event.event_1_arm_1\" StudyEventRepeatKey=\"1\" redcap:UniqueEventName=\"event_1_arm_1\">\
             <FormData FormOID=\"Form.enrolment\" FormRepeatKey=\"1\"><ItemGroupData \
             ItemGroupOID=\"enrolment.record_id\" ItemGroupRepeatKey=\"1\">"
        );
        for (name, value) in [
            ("record_id", record.to_string().as_str()),
            ("first_name", &format!("Kim{record}")),
            ("mobile", &phone(n)),
            ("language", "en"),
            ("preference", "SMS_INVITE_WEB"),
            ("zone", "America/New_York"),
            ("wave", "0"),
            ("enrolled", "1"),
            ("text_consent", "1"),
            ("text_consent_date", "2026-10-02"),
        ] {
            let _ = write!(xml, "<ItemData ItemOID=\"{name}\" Value=\"{value}\"/>");
        }
        xml += "</ItemGroupData></FormData></StudyEventData></SubjectData>";
    }
    xml + "</ClinicalData></ODM>"
}

/// Each wave has an invitation with words of its own, so that a phone tells which one it received.
fn play(ours: bool) -> Play {
    let mut play = Play::default();
    let message = play.wordings.remove(0);
    play.twilio = play.twilio.replace(
        "keywords = \"twilio\"",
        if ours { "keywords = \"consentry\"" } else { "keywords = \"twilio\"" },
    );
    play.messages += "texts-per-day = 1000\n";
    play.compliance += "quiet-hours = false\nmax-per-day = 50\nmax-per-week = 50\n";
    for (before, id) in WAVES.into_iter().enumerate() {
        let _ = write!(
            play.invitations,
            "[[invitation]]\nid = \"{id}\"\nsurvey = \"sleep_diary\"\nwhen = \"[wave] > {before}\"\nwording = \"{id}\"\n\
             not-after-hours = 2000\n"
        );
        let text = format!("Hi [first_name], your survey {id}: [survey-link]");
        play.wordings.push(crate::Words { id, text, ..message.clone() });
    }
    play
}
