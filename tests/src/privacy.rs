//! What is left at Twilio after a run of messages, calls and answers: shown by a test with small numbers, and by
//! `cargo soak --privacy` with large ones.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use gateway::Clock;
use gateway::outbox::State;
use jiff::SignedDuration;
use sandbox::{CreateFault, Kept};

use crate::MORNING;
use crate::crowd::{Crowd, Desk, Project, phone};

/// Texts and calls of each person, with different words.
const EACH: usize = 5;

/// What was sent, and what Twilio still holds.
#[derive(Debug)]
pub struct Left {
    /// Texts of ours that Twilio took.
    pub sent: usize,
    /// Calls of ours that Twilio took.
    pub called: usize,
    /// Texts that came in.
    pub came_in: usize,
    /// STOP and START among them.
    pub opt_outs: usize,
    /// What Twilio holds at the end.
    pub kept: Kept,
    /// Texts and calls without a price, although Twilio told one before they were deleted.
    pub unpriced: usize,
    /// Records of a number that were touched while a message to it was in doubt.
    pub touched_in_doubt: u64,
}

impl Left {
    /// Whether Twilio holds nothing but what it should.
    pub fn is_private(&self, keep_opt_outs: bool) -> bool {
        let opt_outs = if keep_opt_outs { self.opt_outs } else { 0 };
        self.kept.messages == opt_outs
            && self.kept.stop_or_start == opt_outs
            && self.kept.inbound == opt_outs
            && self.kept.calls == 0
            && self.kept.recordings == 0
            && self.unpriced == 0
            && self.touched_in_doubt == 0
    }
}

/// Sends so many texts and calls, some of which get an answer, and lets a week pass.
pub async fn run(messages: usize, calls: usize, keep_opt_outs: bool) -> Result<Left> {
    let texts = Project { wordings: EACH, keep_opt_outs, ..Project::default() };
    let voice = Project {
        name: "voice".into(),
        number: "+16175550101".into(),
        method: "voice-message",
        ..texts.clone()
    };
    let people = messages.max(calls).div_ceil(EACH);
    let projects = vec![texts.clone(), voice.clone()];
    let crowd = Crowd::gather(people, projects, Clock::stepped(MORNING.parse()?)).await?;
    let twilio = crowd.sandbox.twilio();
    // Twilio lets a record be deleted only some time after its end, and tells the price later than the end.
    twilio.set_deletable_after(SignedDuration::from_hours(1));
    twilio.set_price_after(SignedDuration::from_mins(10));
    let desk = crowd.open("daemon", "consentry.db", &crowd.projects).await?;
    desk.gateway.sweep().await;
    desk.gateway.settle().await?;

    // The first person's first text is lost on the way back, and Twilio tells nothing of it.
    let doubt = Doubt::of(&crowd);
    let first = invite(&desk, &texts, 1, 0).await?;
    desk.gateway.settle().await?;
    ensure!(state(&desk, &first).await? == State::Unknown, "the first text is in doubt");
    let said = crowd.sandbox.handset().say_to(&phone(1), &texts.number, "thanks").await;
    ensure!(!said.sid.is_empty(), "the first person answers meanwhile");
    desk.gateway.settle().await?;
    doubt.is_over(&desk, &crowd, &first).await?;

    let mut sent = 1;
    for (project, count) in [(&texts, messages), (&voice, calls)] {
        for index in 0..count {
            let (person, wording) = (index / EACH + 1, index % EACH);
            if project.name == texts.name && index == 0 {
                continue;
            }
            invite(&desk, project, person, wording).await?;
            sent += 1;
            if sent % 100 == 0 {
                desk.gateway.settle().await?;
            }
        }
    }
    desk.gateway.settle().await?;
    // Somebody with access to the account has a call recorded.
    for sid in crowd.sandbox.handset().calls(&phone(1)).iter().map(|call| call.sid.clone()) {
        twilio.add_recording(&sid);
    }
    let (came_in, opt_outs) = answers(&crowd, &desk, &texts).await?;
    for hours in [1, 2, 6, 12, 24, 24, 48, 72] {
        crowd.clock.step(crowd.clock.now() + SignedDuration::from_hours(hours));
        desk.gateway.sweep().await;
        desk.gateway.settle().await?;
    }
    let log = desk.gateway.store.log(None, None, u32::MAX).await?;
    let reached = log.iter().filter(|message| message.sid.is_some());
    let of = |name: &str| reached.clone().filter(|message| message.new.project == name).count();
    Ok(Left {
        sent: of(&texts.name),
        called: of(&voice.name),
        came_in,
        opt_outs,
        kept: twilio.kept(),
        unpriced: reached.clone().filter(|message| message.price.is_none()).count(),
        touched_in_doubt: doubt.touched.load(Ordering::Relaxed),
    })
}

async fn invite(desk: &Desk, project: &Project, person: usize, wording: usize) -> Result<String> {
    let wording = Some(format!("w{wording}"));
    Ok(desk.gateway.invite(&project.name, &person.to_string(), "sleep_diary", wording).await?)
}

async fn state(desk: &Desk, id: &str) -> Result<State> {
    Ok(desk.gateway.store.message(id).await?.context("the message is there")?.state)
}

/// Every tenth person answers: with words, or with STOP and later START. Gives how many texts that makes, and how
/// many of them Twilio may keep.
async fn answers(crowd: &Crowd, desk: &Desk, project: &Project) -> Result<(usize, usize)> {
    let handset = crowd.sandbox.handset();
    let (mut came_in, mut opt_outs) = (1, 0);
    for person in (2..=crowd.people).step_by(10) {
        let says: &[&str] = match person / 10 % 3 {
            0 => &["Thank you, I did it"],
            1 => &["STOP"],
            _ => &["STOP", "START"],
        };
        for words in says {
            handset.say_to(&phone(person), &project.number, words).await;
            desk.gateway.settle().await?;
            came_in += 1;
            opt_outs += usize::from(*words == "STOP" || *words == "START");
        }
    }
    Ok((came_in, opt_outs))
}

/// A text of which nobody knows whether it was sent: nothing is emptied or deleted that is of its number.
struct Doubt {
    lasts: Arc<AtomicBool>,
    touched: Arc<AtomicU64>,
    /// What was touched, for a person.
    what: Arc<Mutex<Vec<String>>>,
}

impl Doubt {
    fn of(crowd: &Crowd) -> Doubt {
        let doubt = Doubt { lasts: Arc::default(), touched: Arc::default(), what: Arc::default() };
        doubt.lasts.store(true, Ordering::Relaxed);
        let (lasts, touched, what) = (doubt.lasts.clone(), doubt.touched.clone(), doubt.what.clone());
        crowd.sandbox.faults().next_creates(1, CreateFault::AcceptThenDrop);
        crowd.sandbox.faults().next_callbacks(1, sandbox::CallbackFault::Drop);
        crowd.sandbox.faults().on_delete(move |seen| {
            if lasts.load(Ordering::Relaxed) {
                touched.fetch_add(1, Ordering::Relaxed);
                what.lock().unwrap_or_else(PoisonError::into_inner).push(seen.sid);
            }
        });
        doubt
    }

    /// The doubt ends as it should: the text is found in Twilio's list.
    async fn is_over(&self, desk: &Desk, crowd: &Crowd, id: &str) -> Result<()> {
        crowd.clock.step(crowd.clock.now() + SignedDuration::from_secs(2));
        desk.gateway.settle().await?;
        let touched = self.what.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(touched.is_empty(), "{touched:?} were touched while a message was in doubt");
        self.lasts.store(false, Ordering::Relaxed);
        crowd.clock.step(crowd.clock.now() + SignedDuration::from_secs(10));
        desk.gateway.settle().await?;
        let state = state(desk, id).await?;
        ensure!(
            state == State::Delivered || state == State::Accepted || state == State::Sent,
            "it is {state}"
        );
        Ok(())
    }
}
