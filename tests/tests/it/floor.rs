//! The floor: what holds although the compliance policy allows everything.

use anyhow::Result;
use gateway::store::{Scope, Step};
use gateway::wording::digest;
use sandbox::{CreateFault, RedcapFault};
use tests::{BEN, EVE, Play, Stage, words};

use crate::hostile::hostile;

/// A project whose compliance policy allows everything.
fn lax() -> Play {
    Play { compliance: hostile("compliance", "allow everything"), ..Play::default() }
}

/// Where a message stands, by which rule, and why.
async fn ended(stage: &Stage, id: &str) -> Result<(String, String, String)> {
    let line = stage.line(id).await?;
    Ok((line.status, line.rule.unwrap_or_default(), line.reason.unwrap_or_default()))
}

/// Invites a record, and sees where the floor puts the message, by which rule and with which words.
async fn stopped(stage: &Stage, record: &str, status: &str, rule: &str, words: &str) -> Result<String> {
    let asked = stage.sandbox.twilio().creates_asked();
    let id = stage.invite("sleep", record).await?;
    let (found, by, reason) = ended(stage, &id).await?;
    assert_eq!((found.as_str(), by.as_str()), (status, rule), "{reason}");
    assert!(reason.contains(words), "{reason}");
    assert_eq!(stage.sandbox.twilio().creates_asked(), asked, "Twilio was not asked for anything");
    Ok(id)
}

/// As [`stopped`], for what a person must look at.
async fn held(stage: &Stage, record: &str, rule: &str, words: &str) -> Result<()> {
    stopped(stage, record, "held", rule, words).await.map(|_| ())
}

#[tokio::test]
async fn a_participant_who_did_not_consent_is_not_texted() -> Result<()> {
    let stage = Stage::with(&[lax()]).await?;
    held(&stage, "5", "floor.consent", "no consent to this delivery method").await?;
    assert_eq!(stage.received(EVE), 0);
    Ok(())
}

#[tokio::test]
async fn a_consent_that_was_withdrawn_counts_no_more() -> Result<()> {
    let consent = "[[consent]]\nrecord = \"5\"\ngiven = 2026-10-01\nwithdrawn = 2026-11-24T11:00:00\n\
                   evidence = \"binder 3\"\nmanner = \"written\"\ncovers = [\"sms-link\"]\n";
    let stage = Stage::with(&[Play { invitations: consent.into(), ..lax() }]).await?;
    let id = stage.invite("sleep", "5").await?;
    stage.until(&id, "delivered").await?;
    stage.later(2 * 3600).await?;
    held(&stage, "5", "floor.consent", "consent was withdrawn").await?;
    assert_eq!(stage.received(EVE), 1);
    Ok(())
}

#[tokio::test]
async fn a_number_that_opted_out_gets_nothing() -> Result<()> {
    let stage = Stage::with(&[Play { routing: hostile("routing", "contact everybody"), ..lax() }]).await?;
    stage.say(BEN, "STOP").await?;
    let id = stage.invite("sleep", "1").await?;
    let (status, rule, reason) = ended(&stage, &id).await?;
    assert_eq!((status.as_str(), rule.as_str()), ("suppressed", "floor.opted-out"));
    assert!(reason.contains("PARTICIPANT OPTED OUT"), "{reason}");
    assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn words_that_nobody_approved_are_not_sent() -> Result<()> {
    let mut play = Play { template: hostile("template", "unapproved-wording"), ..lax() };
    let mut unapproved = words("unapproved", "message", &["invitation"], "Win a prize: [survey-link]");
    unapproved.approved = false;
    play.wordings.push(unapproved);
    let stage = Stage::with(&[play]).await?;
    held(&stage, "1", "floor.approval", "`unapproved` is not approved").await
}

#[tokio::test]
async fn words_that_were_changed_since_their_approval_are_not_sent() -> Result<()> {
    let mut play = lax();
    play.wordings.retain(|wording| wording.id != "invitation");
    play.invitations = wording("Hi, your survey: [survey-link]", &digest("en", "Hi: [survey-link]"), "");
    let stage = Stage::with(&[play]).await?;
    held(&stage, "1", "floor.approval", "was changed since it was").await
}

#[tokio::test]
async fn an_approval_that_ends_while_a_message_waits_is_no_approval() -> Result<()> {
    let mut play = lax();
    play.wordings.retain(|wording| wording.id != "invitation");
    let text = "Hi, your survey: [survey-link]";
    play.invitations = wording(text, &digest("en", text), "expires = 2026-11-24T12:00:00\n");
    let stage = Stage::with(&[play]).await?;
    stage.sandbox.faults().next_creates(1, CreateFault::RateLimited);
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(ended(&stage, &id).await?.0, "deferred");
    stage.later(2 * 3600).await?;
    let (status, rule, reason) = ended(&stage, &id).await?;
    assert_eq!((status.as_str(), rule.as_str()), ("held", "floor.approval"));
    assert!(reason.contains("has expired"), "{reason}");
    assert_eq!(stage.received(BEN), 0);
    Ok(())
}

/// The TOML of a wording for invitations.
fn wording(text: &str, digest: &str, rest: &str) -> String {
    format!(
        "[[wording]]\nid = \"invitation\"\nlanguage = \"en\"\npurposes = [\"invitation\"]\ntext = {text:?}\n\
         [wording.approval]\ndigest = {digest:?}\nby = \"a test\"\napproved = 2026-01-01\n{rest}"
    )
}

#[tokio::test]
async fn an_identifier_is_filled_in_only_where_the_approval_names_it() -> Result<()> {
    let mut play = lax();
    for wording in &mut play.wordings {
        wording.identifiers = &["email"];
    }
    let stage = Stage::with(&[play]).await?;
    held(&stage, "1", "floor.identifier", "`first_name`, which its approval does not name").await
}

#[tokio::test]
async fn a_trial_account_sends_nothing() -> Result<()> {
    let stage = Stage::with(&[lax()]).await?;
    stage.sandbox.twilio().set_trial(&[BEN]);
    stage.gateway.sweep().await;
    let id = stopped(&stage, "1", "deferred", "floor.account", "trial account").await?;
    stage.later(2 * 86_400).await?;
    assert_eq!((ended(&stage, &id).await?.0.as_str(), stage.received(BEN)), ("expired", 0));
    Ok(())
}

#[tokio::test]
async fn a_suspended_account_sends_nothing_until_it_is_mended() -> Result<()> {
    let stage = Stage::with(&[lax()]).await?;
    stage.sandbox.twilio().set_balance(0.0);
    stage.gateway.sweep().await;
    let id = stopped(&stage, "1", "deferred", "floor.account", "suspended or closed").await?;
    stage.later(3600).await?;
    assert_eq!(stage.received(BEN), 0);
    stage.sandbox.twilio().set_balance(20.0);
    stage.gateway.sweep().await;
    stage.later(900).await?;
    stage.until(&id, "delivered").await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_before_somebody_attests_that_request_inspector_is_off() -> Result<()> {
    let stage = Stage::with(&[Play { twilio: "keywords = \"twilio\"\n".into(), ..lax() }]).await?;
    stopped(&stage, "1", "deferred", "floor.account", "Request Inspector").await.map(|_| ())
}

#[tokio::test]
async fn a_survey_as_conversation_is_refused_to_research_that_an_irb_reviews() -> Result<()> {
    let mut play = Play { routing: hostile("routing", "conversation"), ..lax() };
    play.messages = "methods = [\"sms-conversation\"]\ndefault-method = \"sms-conversation\"\n".into();
    play.participant = play.participant.replace("sms-link", "sms-conversation");
    for body in ["local-irb", "external-irb"] {
        let protocol = play.protocol.replace("local-irb", body);
        let stage = Stage::with(&[Play { protocol, ..play.clone() }]).await?;
        held(&stage, "1", "floor.conversation", "is refused to research").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_number_gets_no_more_texts_in_a_day_than_the_ceiling() -> Result<()> {
    let mut play = lax();
    play.messages += "texts-per-day = 2\n";
    let stage = Stage::with(&[play]).await?;
    for _ in 0..2 {
        let id = stage.invite("sleep", "1").await?;
        stage.until(&id, "delivered").await?;
    }
    let third = stage.invite("sleep", "1").await?;
    let (status, rule, reason) = ended(&stage, &third).await?;
    assert_eq!((status.as_str(), rule.as_str()), ("deferred", "floor.ceiling"));
    assert!(reason.contains("2 texts in 24 hours"), "{reason}");
    for _ in 0..23 {
        stage.later(3600).await?;
        assert_eq!(stage.received(BEN), 2);
    }
    stage.later(3600).await?;
    stage.until(&third, "delivered").await?;
    Ok(())
}

#[tokio::test]
async fn the_same_text_over_and_over_is_a_loop() -> Result<()> {
    let mut play = lax();
    play.messages += "texts-per-day = 50\n";
    let stage = Stage::with(&[play]).await?;
    for _ in 0..5 {
        let id = stage.invite("sleep", "1").await?;
        stage.until(&id, "delivered").await?;
    }
    held(&stage, "1", "floor.loop", "this very text too often").await?;
    assert_eq!(stage.received(BEN), 5);
    Ok(())
}

#[tokio::test]
async fn what_was_not_out_in_time_is_never_sent() -> Result<()> {
    let stage = Stage::with(&[lax()]).await?;
    stage.sandbox.faults().redcap(Some(RedcapFault::Down));
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(ended(&stage, &id).await?.0, "deferred");
    stage.sandbox.faults().clear();
    stage.later(86_401).await?;
    let (status, rule, _) = ended(&stage, &id).await?;
    assert_eq!((status.as_str(), rule.as_str()), ("expired", "floor.not-after"));
    assert_eq!(stage.received(BEN), 0);
    Ok(())
}

#[tokio::test]
async fn the_operator_stops_one_project_or_all_and_lets_them_go_on() -> Result<()> {
    for scope in [Scope::Project("sleep".into()), Scope::All] {
        let stage = Stage::with(&[lax()]).await?;
        let stop = Step::Stop { scope: scope.clone(), why: "the server moves".into() };
        stage.gateway.store.commit(stop).await?;
        let id = stage.invite("sleep", "1").await?;
        stage.later(3600).await?;
        let (status, rule, reason) = ended(&stage, &id).await?;
        assert_eq!((status.as_str(), rule.as_str()), ("deferred", "floor.stopped"));
        assert!(reason.contains("the server moves"), "{reason}");
        assert_eq!(stage.received(BEN), 0);
        stage.gateway.store.commit(Step::Resume { scope, why: "it has moved".into() }).await?;
        stage.settle().await?;
        stage.until(&id, "delivered").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_held_stays_held() -> Result<()> {
    let stage = Stage::with(&[lax()]).await?;
    let id = stage.invite("sleep", "5").await?;
    for _ in 0..5 {
        stage.later(3600).await?;
        stage.gateway.sweep().await;
        stage.settle().await?;
    }
    assert_eq!(ended(&stage, &id).await?.0, "held");
    assert_eq!(stage.received(EVE), 0);
    Ok(())
}
