//! What participants and Twilio tell us: nothing is lost, nothing is done twice, and an opt-out is in force
//! from the moment in which it is stored.

use anyhow::{Context, Result};
use gateway::store::{Committed, Contact, Decided, Lease, Step};
use redcap::record::Place;
use reqwest::StatusCode;
use sandbox::{CallbackFault, CreateFault, Delivery, RedcapFault};
use tests::{BEN, PATIENCE, Play, Stage};
use twilio::{PhoneNumber, Secret};

use crate::hostile::hostile;

const OPTED_OUT: &str = "PARTICIPANT OPTED OUT";

fn ben() -> PhoneNumber {
    PhoneNumber::from_e164(BEN).expect("it is a number")
}

/// The opt-outs in force for Ben.
async fn opt_outs(stage: &Stage, project: &str) -> Result<usize> {
    Ok(stage.gateway.store.opt_outs(&Contact::Phone(ben()), project).await?.len())
}

/// Texts that nobody has read yet.
async fn unread(stage: &Stage) -> Result<usize> {
    Ok(stage.gateway.store.uninterpreted(stage.clock.seconds(), 10).await?.len())
}

/// Invites Ben, who gets nothing, because of an opt-out.
async fn suppressed(stage: &Stage) -> Result<()> {
    let before = (stage.received(BEN), stage.sandbox.twilio().creates_asked());
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "suppressed", "{line:#?}");
    assert!(line.reason.unwrap_or_default().contains(OPTED_OUT));
    assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), before);
    Ok(())
}

/// Invites Ben, who gets a text.
async fn delivered(stage: &Stage) -> Result<()> {
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    Ok(())
}

/// What REDCap holds about Ben's opt-out.
fn texts_stopped(stage: &Stage) -> Option<String> {
    stage.sandbox.redcap().value("1", "texts_stopped", &Place::at("event_1_arm_1"))
}

/// Posts a form that claims to be Twilio's.
async fn post(
    stage: &Stage,
    path: &str,
    form: &[(&str, &str)],
    signature: Option<&str>,
) -> Result<StatusCode> {
    let mut request = reqwest::Client::new().post(format!("{}{path}", stage.url)).form(form);
    if let Some(signature) = signature {
        request = request.header("X-Twilio-Signature", signature);
    }
    Ok(request.send().await?.status())
}

/// Twilio's signature of a form.
fn signed(stage: &Stage, path: &str, form: &[(&str, &str)]) -> String {
    let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    twilio::sign(&format!("{}{path}", stage.url), &form, &Secret::from("5a4db0c5a4db0c5a4db0c5a4db0c5a4d"))
}

const STOP: [(&str, &str); 6] = [
    ("MessageSid", "SM0000000000000000000000000000000a"),
    ("AccountSid", "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d"),
    ("From", BEN),
    ("To", "+16175550100"),
    ("Body", "STOP"),
    ("NumMedia", "0"),
];

#[tokio::test]
async fn stop_is_in_force_before_any_policy_has_read_it() -> Result<()> {
    let stage = Stage::new().await?;
    let said = stage.sandbox.handset().say(BEN, "STOP").await;
    assert!(matches!(said.delivery, Delivery::Answered { status: 200, .. }), "{said:?}");
    assert_eq!(opt_outs(&stage, "sleep").await?, 1);
    assert_eq!(unread(&stage).await?, 1, "nobody has read it yet");
    stage.settle().await?;
    suppressed(&stage).await
}

#[tokio::test]
async fn stop_holds_whatever_a_compliance_policy_makes_of_it() -> Result<()> {
    for behaviour in ["trap", "loop-forever", "ignore-everything", "start-everything", "answer-everything"] {
        let play = Play {
            routing: hostile("routing", "contact everybody"),
            compliance: hostile("compliance", behaviour),
            ..Play::default()
        };
        let stage = Stage::with(&[play]).await?;
        for words in ["STOP", "hello", "ok thanks"] {
            stage.say(BEN, words).await?;
            assert_eq!(opt_outs(&stage, "sleep").await?, 1, "{behaviour}: {words}");
        }
        assert_eq!(texts_stopped(&stage).as_deref(), Some("1"), "{behaviour}: REDCap is told");
        suppressed(&stage).await?;
        assert!(stage.gateway.store.verify(None).await?.is_ok(), "{behaviour}");
    }
    Ok(())
}

#[tokio::test]
async fn what_no_policy_could_read_is_read_by_a_person_and_nothing_is_sent_until_then() -> Result<()> {
    let compliance = hostile("compliance", "trap-when-interpreting");
    let stage = Stage::with(&[Play { compliance, ..Play::default() }]).await?;
    delivered(&stage).await?;
    stage.say(BEN, "hello there").await?;
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.rule.as_deref(), Some("floor.unread"), "it is tried again first");
    for _ in 0..4 {
        stage.later(100).await?;
    }
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!(tasks[0].kind, "unread-reply");
    assert!(tasks[0].sentence.contains("trapped"), "{tasks:?}");
    assert_eq!(stage.line(&id).await?.rule.as_deref(), Some("floor.unclear"));
    assert_eq!(stage.received(BEN), 1);
    Ok(())
}

#[tokio::test]
async fn what_a_policy_says_of_a_text_names_no_number() -> Result<()> {
    let compliance = hostile("compliance", "quote-number");
    let stage = Stage::with(&[Play { compliance, ..Play::default() }]).await?;
    let said = stage.say(BEN, "hello").await?;
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(tasks[0].sentence, "ask +… yourself");
    let story = format!("{:?}", stage.gateway.store.story(&said.sid).await?);
    assert!(!story.contains("6175550121"), "{story}");
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_not_twilios_leaves_nothing_but_a_count() -> Result<()> {
    let stage = Stage::new().await?;
    let head = stage.gateway.store.verify(None).await??;
    let right = signed(&stage, "/twilio/sleep/sms", &STOP);
    for (path, signature) in [
        ("/twilio/sleep/sms", None),
        ("/twilio/sleep/sms", Some("")),
        ("/twilio/sleep/sms", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ("/twilio/sleep/sms?more", Some(right.as_str())),
        ("/twilio/sleep/status?m=1", Some(right.as_str())),
    ] {
        assert_eq!(post(&stage, path, &STOP, signature).await?, StatusCode::FORBIDDEN, "{path}");
    }
    let mut other = STOP;
    other[2].1 = tests::EVE;
    assert_eq!(post(&stage, "/twilio/sleep/sms", &other, Some(&right)).await?, StatusCode::FORBIDDEN);
    assert_eq!(stage.gateway.store.figure("rejected-signatures").await?, 6);
    assert_eq!(stage.gateway.store.all_opt_outs().await?.len(), 0);
    assert_eq!(unread(&stage).await?, 0);
    assert_eq!(stage.gateway.store.verify(None).await??.seq, head.seq + 1, "but a task in the ledger");
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(tasks.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(), ["rejected-signatures"]);
    assert_eq!(
        post(&stage, "/twilio/sleep/sms", &STOP, Some(&right)).await?,
        StatusCode::OK,
        "the right one"
    );
    assert_eq!(opt_outs(&stage, "sleep").await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_twilio_signed_for_somebody_else_is_answered_and_not_acted_on() -> Result<()> {
    let stage = Stage::new().await?;
    let mut other = STOP;
    other[1].1 = "ACffffffffffffffffffffffffffffffff";
    let path = "/twilio/sleep/sms";
    for form in [&other[..], &STOP[..3]] {
        let signature = signed(&stage, path, form);
        assert_eq!(post(&stage, path, form, Some(&signature)).await?, StatusCode::OK);
    }
    assert_eq!(stage.gateway.store.all_opt_outs().await?.len(), 0);
    assert_eq!(post(&stage, "/twilio/nobody/sms", &STOP, None).await?, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_delivered_twice_is_answered_the_same_and_acted_on_once() -> Result<()> {
    let stage = Stage::new().await?;
    let said = stage.say(BEN, "please stop texting me").await?;
    let first = stage.lines().await?;
    assert_eq!(first.len(), 1, "one confirmation");
    for _ in 0..3 {
        assert_eq!(stage.sandbox.handset().redeliver(&said.sid).await, said.delivery);
        stage.settle().await?;
    }
    stage.until(&first[0].id, "delivered").await?;
    assert_eq!(
        (stage.lines().await?.len(), stage.received(BEN), opt_outs(&stage, "sleep").await?),
        (1, 1, 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_refusal_in_plain_words_is_confirmed_once_and_nothing_follows() -> Result<()> {
    let stage = Stage::new().await?;
    for refusal in ["please stop texting me", "leave me alone", "stop texting me!!"] {
        stage.say(BEN, refusal).await?;
    }
    let lines = stage.lines().await?;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].purpose, "opt-out-confirmation");
    stage.until(&lines[0].id, "delivered").await?;
    let texts = stage.sandbox.handset().texts(BEN);
    assert!(texts.iter().any(|text| text.body == "You will get no more texts from us."), "{texts:?}");
    assert_eq!(stage.received(BEN), 1);
    suppressed(&stage).await
}

#[tokio::test]
async fn a_stop_that_twilio_confirmed_is_not_confirmed_again() -> Result<()> {
    let stage = Stage::new().await?;
    stage.say(BEN, "STOP").await?;
    assert_eq!((stage.lines().await?.len(), stage.received(BEN)), (0, 0));
    let texts = stage.sandbox.handset().texts(BEN);
    assert_eq!(texts.iter().filter(|text| text.from_twilio).count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_confirmation_that_cannot_be_out_in_five_minutes_is_not_sent() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(10, CreateFault::RateLimited);
    stage.say(BEN, "please stop texting me").await?;
    let id = stage.lines().await?.pop().context("there is a confirmation")?.id;
    stage.later(290).await?;
    assert_eq!(stage.line(&id).await?.status, "deferred");
    stage.sandbox.faults().clear();
    stage.later(61).await?;
    assert_eq!(stage.line(&id).await?.status, "expired");
    assert_eq!((stage.received(BEN), opt_outs(&stage, "sleep").await?), (0, 1));
    Ok(())
}

#[tokio::test]
async fn an_unclear_text_waits_for_a_person_and_so_does_everything_to_its_sender() -> Result<()> {
    let stage = Stage::new().await?;
    stage.say(BEN, "can you stop by tomorrow").await?;
    assert_eq!(opt_outs(&stage, "sleep").await?, 0);
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(
        (line.status.as_str(), line.rule.as_deref()),
        ("deferred", Some("floor.unclear")),
        "{line:#?}"
    );
    stage.later(3600).await?;
    assert_eq!(stage.received(BEN), 0);
    let resolve = Step::Resolve { id: tasks[0].id.clone(), resolution: "a nurse called Ben".into() };
    assert!(matches!(stage.gateway.store.commit(resolve).await?, Committed::Done));
    stage.later(300).await?;
    stage.until(&id, "delivered").await?;
    delivered(&stage).await?;
    assert_eq!(stage.gateway.store.tasks().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn help_is_answered_once_by_whoever_answers_it() -> Result<()> {
    let stage = Stage::new().await?;
    stage.say(BEN, "HELP").await?;
    assert_eq!((stage.lines().await?.len(), stage.received(BEN)), (0, 0), "Twilio answered");
    stage.say(BEN, "ayuda").await?;
    let lines = stage.lines().await?;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    stage.until(&lines[0].id, "delivered").await?;
    let texts = stage.sandbox.handset().texts(BEN);
    assert!(texts.iter().any(|text| text.body.contains("617-555-0142")), "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn help_is_answered_after_an_opt_out_too_if_that_was_the_word() -> Result<()> {
    let stage = Stage::with(&[Play { twilio: ours(), ..Play::default() }]).await?;
    stage.say(BEN, "please stop texting me").await?;
    stage.say(BEN, "HELP").await?;
    for line in stage.lines().await? {
        stage.until(&line.id, "delivered").await?;
    }
    assert_eq!(stage.received(BEN), 2, "the confirmation and the answer");
    stage.say(BEN, "ayuda").await?;
    assert_eq!(stage.lines().await?.len(), 2);
    assert_eq!(stage.gateway.store.tasks().await?.len(), 1, "a person reads it");
    Ok(())
}

/// `[twilio]` of a project whose keywords nobody but us answers.
fn ours() -> String {
    Play::default().twilio.replace("keywords = \"twilio\"", "keywords = \"consentry\"")
}

#[tokio::test]
async fn only_start_opens_a_number_again() -> Result<()> {
    let stage = Stage::new().await?;
    stage.say(BEN, "STOP").await?;
    for words in ["ok thanks", "YES", "yes please", "hello?", "I changed my mind"] {
        stage.say(BEN, words).await?;
        assert_eq!(opt_outs(&stage, "sleep").await?, 1, "{words}");
    }
    suppressed(&stage).await?;
    stage.say(BEN, "START").await?;
    assert_eq!(opt_outs(&stage, "sleep").await?, 0);
    for task in stage.gateway.store.tasks().await? {
        stage.gateway.store.commit(Step::Resolve { id: task.id, resolution: "read".into() }).await?;
    }
    delivered(&stage).await
}

#[tokio::test]
async fn start_to_one_study_ends_no_opt_out_from_another() -> Result<()> {
    let diet = Play { name: "diet".into(), ..Play::default() };
    let stage = Stage::with(&[Play::default(), diet]).await?;
    stage.say(BEN, "please stop texting me").await?;
    stage.sandbox.set_sms_webhook(&format!("{}/twilio/diet/sms", stage.url));
    stage.say(BEN, "please stop texting me").await?;
    stage.say(BEN, "START").await?;
    assert_eq!((opt_outs(&stage, "sleep").await?, opt_outs(&stage, "diet").await?), (1, 0));
    Ok(())
}

#[tokio::test]
async fn an_opt_out_that_only_twilio_knows_of_is_learned_from_its_refusal() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(1, CreateFault::Refuse { code: 21610, status: 400 });
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "failed");
    assert!(line.reason.unwrap_or_default().contains(OPTED_OUT));
    assert_eq!((opt_outs(&stage, "sleep").await?, texts_stopped(&stage).as_deref()), (1, Some("1")));
    suppressed(&stage).await
}

/// Waits until so many reports on a message were taken.
async fn reported(stage: &Stage, id: &str, reports: usize) -> Result<Vec<String>> {
    let enough = async {
        loop {
            let story = stage.gateway.store.story(id).await?;
            let states: Vec<_> = story
                .iter()
                .filter(|(kind, ..)| kind == "status")
                .filter_map(|(_, _, public)| public["state"].as_str().map(str::to_owned))
                .collect();
            if states.len() >= reports {
                return Ok(states);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, enough).await?
}

#[tokio::test]
async fn reports_move_a_message_forward_however_they_come() -> Result<()> {
    // One report is Twilio's answer to the create.
    for (fault, reports) in
        [(None, 3), (Some(CallbackFault::Duplicate), 5), (Some(CallbackFault::Reorder), 3)]
    {
        let stage = Stage::new().await?;
        if let Some(fault) = fault {
            stage.sandbox.faults().next_callbacks(1, fault);
        }
        let id = stage.invite("sleep", "1").await?;
        let states = reported(&stage, &id, reports).await?;
        let order = ["accepted", "sent", "delivered"];
        let places: Vec<_> = states.iter().map(|state| order.iter().position(|it| it == state)).collect();
        assert!(places.is_sorted() && !places.contains(&None), "{fault:?}: {states:?}");
        assert_eq!(stage.line(&id).await?.status, "delivered", "{fault:?}");
        assert_eq!(stage.received(BEN), 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_became_of_a_message_without_reports_is_asked() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_callbacks(1, CallbackFault::Drop);
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "accepted");
    stage.later(120).await?;
    stage.later(600).await?;
    stage.until(&id, "delivered").await?;
    assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn an_undelivered_message_says_why() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.twilio().set_unreachable(BEN, 30005);
    let id = stage.invite("sleep", "1").await?;
    let line = stage.until(&id, "undelivered").await?;
    assert!(line.delivery_error.unwrap_or_default().starts_with("30005: "));
    // The number itself cannot get texts: nothing else goes there, and somebody is told.
    let next = stage.invite("sleep", "1").await?;
    let line = stage.line(&next).await?;
    assert_eq!((line.status.as_str(), line.rule.as_deref()), ("suppressed", Some("floor.unreachable")));
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(tasks.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(), ["unreachable-number"]);
    Ok(())
}

#[tokio::test]
async fn what_failed_for_a_passing_reason_is_decided_again_a_few_times() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.twilio().set_unreachable(BEN, 30003);
    let id = stage.invite("sleep", "1").await?;
    for tried in 1..4 {
        let line = stage.until(&id, "deferred").await?;
        assert!(line.delivery_error.unwrap_or_default().starts_with("30003: "));
        assert_eq!(stage.sandbox.twilio().creates_asked(), tried);
        stage.later(6 * 3600).await?;
        // The next morning, if it is night by then.
        stage.later(0).await?;
        if stage.line(&id).await?.status == "deferred" {
            break;
        }
    }
    stage.later(24 * 3600).await?;
    let line = stage.line(&id).await?;
    assert!(["undelivered", "expired"].contains(&line.status.as_str()), "{line:?}");
    assert!(stage.sandbox.twilio().creates_asked() <= 4);
    Ok(())
}

#[tokio::test]
async fn what_may_have_been_sent_is_never_sent_again_and_twilios_report_settles_it() -> Result<()> {
    for fault in [CreateFault::AcceptThenDrop, CreateFault::Error500ButSent] {
        let stage = Stage::new().await?;
        stage.sandbox.faults().next_creates(1, fault);
        let id = stage.invite("sleep", "1").await?;
        stage.until(&id, "delivered").await?;
        stage.later(3 * 3600).await?;
        assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (1, 1), "{fault:?}");
        assert_eq!(stage.gateway.store.tasks().await?.len(), 0, "{fault:?}: nobody has to look");
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_reports_on_is_looked_for_at_twilio() -> Result<()> {
    for fault in [CreateFault::AcceptThenDrop, CreateFault::Error500ButSent] {
        let stage = Stage::new().await?;
        stage.sandbox.faults().next_creates(1, fault);
        stage.sandbox.faults().next_callbacks(1, CallbackFault::Drop);
        let id = stage.invite("sleep", "1").await?;
        assert_eq!(stage.line(&id).await?.status, "unknown", "{fault:?}");
        stage.later(5).await?;
        assert!(
            ["accepted", "sent", "delivered"].contains(&stage.line(&id).await?.status.as_str()),
            "{fault:?}"
        );
        stage.later(600).await?;
        stage.until(&id, "delivered").await?;
        assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (1, 1), "{fault:?}");
        assert_eq!(stage.gateway.store.tasks().await?.len(), 0, "{fault:?}: nobody has to look");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_found_nowhere_is_a_task_and_never_a_second_text() -> Result<()> {
    for fault in [CreateFault::Error500NotSent, CreateFault::DropNotSent] {
        let stage = Stage::new().await?;
        stage.sandbox.faults().next_creates(1, fault);
        stage.sandbox.faults().next_callbacks(1, CallbackFault::Drop);
        let id = stage.invite("sleep", "1").await?;
        for _ in 0..6 {
            stage.later(3600).await?;
            stage.gateway.sweep().await;
            stage.settle().await?;
        }
        let line = stage.line(&id).await?;
        assert_eq!(
            (line.status.as_str(), line.rule.as_deref()),
            ("unknown", Some("send.unknown")),
            "{fault:?}"
        );
        assert_eq!(stage.sandbox.twilio().creates_asked(), 1, "{fault:?}");
        let tasks = stage.gateway.store.tasks().await?;
        assert_eq!(
            tasks.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(),
            ["unknown-send"],
            "{fault:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_definite_not_now_is_tried_again_later_and_sent_once() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(2, CreateFault::RateLimited);
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "deferred");
    stage.later(44).await?;
    assert_eq!(stage.sandbox.twilio().creates_asked(), 1, "not before its time");
    stage.later(32).await?;
    assert_eq!(stage.sandbox.twilio().creates_asked(), 2);
    stage.later(151).await?;
    stage.until(&id, "delivered").await?;
    assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (1, 3));
    Ok(())
}

#[tokio::test]
async fn an_opt_out_is_written_to_redcap_as_soon_as_redcap_takes_it() -> Result<()> {
    for words in ["STOP", "please stop texting me"] {
        let stage = Stage::new().await?;
        stage.sandbox.faults().redcap(Some(RedcapFault::Down));
        stage.say(BEN, words).await?;
        assert_eq!((opt_outs(&stage, "sleep").await?, texts_stopped(&stage)), (1, None), "{words}");
        for fault in [RedcapFault::HtmlError, RedcapFault::NotPermitted] {
            stage.sandbox.faults().redcap(Some(fault));
            stage.later(3600).await?;
            assert_eq!(texts_stopped(&stage), None);
        }
        stage.sandbox.faults().clear();
        stage.later(3600).await?;
        assert_eq!(texts_stopped(&stage).as_deref(), Some("1"), "{words}");
        stage.say(BEN, "START").await?;
        assert_eq!(texts_stopped(&stage).as_deref(), Some("0"), "{words}");
    }
    Ok(())
}

#[tokio::test]
async fn a_text_that_waits_when_stop_comes_is_never_sent() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(1, CreateFault::RateLimited);
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "deferred");
    stage.sandbox.handset().say(BEN, "STOP").await;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "suppressed", "at once");
    assert!(line.reason.unwrap_or_default().contains(OPTED_OUT));
    stage.later(3600).await?;
    assert_eq!(stage.received(BEN), 0);
    Ok(())
}

/// A message that a sender has claimed, and has not sent yet.
async fn claimed(stage: &Stage) -> Result<(gateway::outbox::Message, Lease)> {
    stage.sandbox.faults().next_creates(1, CreateFault::RateLimited);
    let id = stage.invite("sleep", "1").await?;
    let store = &stage.gateway.store;
    let message = store.message(&id).await?.context("it is there")?;
    let due = Decided {
        id: id.clone(),
        version: message.version,
        state: gateway::outbox::State::Due,
        look_at: stage.clock.seconds(),
        draft: message.draft,
        reason: None,
        decisions: vec![],
        writes: vec![],
        messages: vec![],
        refused: vec![],
        evidence: None,
    };
    assert!(matches!(store.commit(Step::Decide(Box::new(due))).await?, Committed::Done));
    let until = stage.clock.seconds() + 120;
    let lease = Step::Lease { name: "a test's".into(), holder: "a test".into(), until };
    let Committed::Leased(lease) = store.commit(lease).await? else { anyhow::bail!("it is free") };
    let claim = Step::Claim {
        project: "sleep".into(),
        lease: lease.clone(),
        texts: 1,
        calls: 0,
        mails: 0,
        in_all: u32::MAX,
        replies_only: false,
        until,
    };
    match store.commit(claim).await? {
        Committed::Claimed(mut claimed) => Ok((claimed.pop().context("it is claimed")?, lease)),
        other => anyhow::bail!("{other:?}"),
    }
}

fn submit((message, lease): &(gateway::outbox::Message, Lease)) -> Step {
    Step::Submit {
        id: message.id.clone(),
        version: message.version,
        lease: lease.clone(),
        ceiling: 6,
        sender: "+16175550100".into(),
        swept: 0,
        decisions: vec![],
    }
}

#[tokio::test]
async fn stop_between_the_review_and_the_first_byte_is_seen() -> Result<()> {
    let stage = Stage::new().await?;
    let message = claimed(&stage).await?;
    stage.sandbox.handset().say(BEN, "STOP").await;
    assert!(matches!(stage.gateway.store.commit(submit(&message)).await?, Committed::Stale));
    assert_eq!(stage.line(&message.0.id).await?.status, "suppressed");
    Ok(())
}

#[tokio::test]
async fn a_text_that_nobody_has_read_yet_may_be_a_refusal_and_is_waited_for() -> Result<()> {
    let stage = Stage::new().await?;
    let message = claimed(&stage).await?;
    stage.sandbox.handset().say(BEN, "please stop texting me").await;
    let committed = stage.gateway.store.commit(submit(&message)).await?;
    let Committed::Stopped(reason) = committed else { anyhow::bail!("{committed:?}") };
    assert_eq!(reason.rule, "floor.unread");
    stage.later(5).await?;
    assert_eq!(stage.line(&message.0.id).await?.status, "suppressed");
    Ok(())
}

#[tokio::test]
async fn a_message_is_submitted_once_however_often_it_is_claimed() -> Result<()> {
    let stage = Stage::new().await?;
    let message = claimed(&stage).await?;
    assert!(matches!(stage.gateway.store.commit(submit(&message)).await?, Committed::Done));
    assert!(matches!(stage.gateway.store.commit(submit(&message)).await?, Committed::Stale));
    // Whoever submitted it is gone: nobody knows what left, and the lease ends.
    stage.later(3600).await?;
    assert_eq!(stage.line(&message.0.id).await?.status, "unknown");
    assert_eq!(stage.received(BEN), 0);
    Ok(())
}

#[tokio::test]
async fn redcaps_trigger_needs_its_secret() -> Result<()> {
    let stage = Stage::new().await?;
    let record = [("record", "1")];
    for (path, status) in [
        ("/redcap/sleep/trigger/wrong", StatusCode::FORBIDDEN),
        ("/redcap/sleep/trigger/secre", StatusCode::FORBIDDEN),
        ("/redcap/sleep/trigger/secret", StatusCode::OK),
        ("/redcap/nobody/trigger/secret", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(post(&stage, path, &record, None).await?, status, "{path}");
    }
    assert_eq!(post(&stage, "/redcap/sleep/trigger/secret", &[], None).await?, StatusCode::BAD_REQUEST);
    Ok(())
}

const ENROLLED: &str =
    "[[invitation]]\nid = \"diary\"\nsurvey = \"sleep_diary\"\nwhen = \"[record_id] = '1'\"\n";

#[tokio::test]
async fn a_daemon_that_starts_while_redcap_is_down_catches_up() -> Result<()> {
    for fault in [RedcapFault::Down, RedcapFault::HtmlError, RedcapFault::NotPermitted] {
        let stage = Stage::dark(&[Play { invitations: ENROLLED.into(), ..Play::default() }]).await?;
        stage.sandbox.faults().redcap(Some(fault));
        stage.gateway.sweep().await;
        stage.settle().await?;
        assert_eq!(stage.lines().await?.len(), 0, "{fault:?}");
        stage.say(BEN, "STOP").await?;
        stage.say(tests::EVE, "please stop texting me").await?;
        assert_eq!(
            stage.gateway.store.all_opt_outs().await?.len(),
            2,
            "{fault:?}: no refusal waits for REDCap"
        );
        stage.say(BEN, "START").await?;
        stage.sandbox.faults().clear();
        stage.gateway.sweep().await;
        stage.settle().await?;
        let line = stage.lines().await?.into_iter().find(|line| line.record.as_deref() == Some("1"));
        stage.until(&line.context("it is found")?.id, "delivered").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_starts_while_twilio_is_down_catches_up() -> Result<()> {
    let stage = Stage::dark(&[Play { invitations: ENROLLED.into(), ..Play::default() }]).await?;
    stage.sandbox.faults().twilio_down(true);
    stage.gateway.sweep().await;
    stage.settle().await?;
    let lines = stage.lines().await?;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].status, "deferred", "{lines:#?}");
    stage.sandbox.faults().clear();
    stage.gateway.sweep().await;
    stage.later(901).await?;
    stage.until(&lines[0].id, "delivered").await?;
    assert_eq!(stage.received(BEN), 1);
    Ok(())
}
