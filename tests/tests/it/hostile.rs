//! Policies that misbehave. Whatever a policy does, its own message is held or waits with a reason of its
//! own, nothing reaches the phone, and the project next to it goes on.

use std::collections::BTreeSet;

use anyhow::Result;
use redcap::record::Place;
use tests::{ANA, BEN, Play, Stage, reference, words};

/// The TOML of a policy that misbehaves in this way.
pub(crate) fn hostile(world: &str, behaviour: &str) -> String {
    let grants = match world {
        "routing" => "grants = [\"redcap-write\", \"twilio-send\"]\nwrite-fields = [\"enrolled\"]\n",
        "compliance" => "grants = [\"redcap\"]\n",
        _ => "",
    };
    let rest = format!("{grants}[policy.{world}.settings]\nbehaviour = {behaviour:?}\n");
    reference(&format!("hostile/{world}"), &rest)
}

/// A project in which one policy misbehaves, and the others are the reference policies.
pub(crate) fn play(name: &str, world: &str, behaviour: &str) -> Play {
    let mut play = Play { name: name.into(), ..Play::default() };
    let mut unapproved = words("unapproved", "message", &["invitation"], "Win a prize: [survey-link]");
    unapproved.approved = false;
    play.wordings.push(unapproved);
    let notice = "A note from the Northfield Sleep Study. Reply STOP to end texts.";
    play.wordings.push(words("notice", "message", &["notification"], notice));
    let slot = match world {
        "routing" => &mut play.routing,
        "template" => &mut play.template,
        _ => &mut play.compliance,
    };
    *slot = hostile(world, behaviour);
    play
}

/// World, behaviour, where its message ends, the rule, and what the reason says.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ROUTING: [Case; 11] = [
    ("routing", "another-number", "held", "floor.address", "an address that is not the recipient's"),
    ("routing", "method-not-enabled", "held", "floor.method", "a delivery method that is not enabled"),
    ("routing", "voice-message", "held", "floor.consent", "no consent to this delivery method"),
    ("routing", "write-ungranted-field", "suppressed", "hostile", "lets nobody write `first_name`"),
    ("routing", "write-many", "held", "policy.too-many-calls", "the routing policy"),
    ("routing", "send-to-itself", "suppressed", "hostile", "the next one will do"),
    ("routing", "wait-into-the-past", "deferred", "hostile", "ask me again at once"),
    ("routing", "wait-forever", "deferred", "hostile", "ask me again in 2106"),
    ("routing", "not-before-forever", "deferred", "hostile", "not in this century"),
    ("routing", "loop-forever", "held", "policy.out-of-fuel", "the routing policy"),
    ("routing", "trap", "held", "policy.trapped", "the routing policy"),
];

const TEMPLATE: [Case; 13] = [
    ("template", "unapproved-wording", "held", "floor.approval", "`unapproved` is not approved"),
    ("template", "unknown-wording", "held", "render.wording", "there is no wording `whatever I like`"),
    ("template", "number-for-a-wording", "held", "render.wording", "there is no wording `+…`"),
    ("template", "label-piece", "held", "render.question", "no question at hand"),
    ("template", "choices-piece", "held", "render.question", "no question at hand"),
    ("template", "wrong-language", "held", "render.wording", "in the language `tlh`"),
    ("template", "no-pieces", "held", "floor.approval", "no approved message in it"),
    ("template", "many-pieces", "held", "policy.bad-answer", "the template policy"),
    ("template", "long-text", "held", "send.content", "1600"),
    ("template", "no-opt-out", "suppressed", "opt-out-wording", "does not say how to opt out"),
    ("template", "measure-forever", "held", "policy.too-much-data", "the template policy"),
    ("template", "loop-forever", "held", "policy.out-of-fuel", "the template policy"),
    ("template", "trap", "held", "policy.trapped", "the template policy"),
];

const COMPLIANCE: [Case; 19] = [
    ("compliance", "trap", "held", "policy.trapped", "unreachable"),
    ("compliance", "loop-forever", "held", "policy.out-of-fuel", "the compliance policy"),
    ("compliance", "recurse-forever", "held", "policy.trapped", "call stack exhausted"),
    ("compliance", "allocate-forever", "held", "policy.out-of-memory", "the compliance policy"),
    ("compliance", "call-forever", "held", "policy.too-many-calls", "the compliance policy"),
    ("compliance", "huge-answer", "held", "policy.bad-answer", "its answer cannot be taken"),
    ("compliance", "many-findings", "held", "policy.bad-answer", "its answer cannot be taken"),
    ("compliance", "huge-log", "held", "policy.bad-answer", "its answer cannot be taken"),
    ("compliance", "invalid-utf8", "held", "policy.bad-answer", "utf-8"),
    ("compliance", "undeclared-rule", "held", "policy.bad-answer", "`made up`, which it does not declare"),
    ("compliance", "undeclared-number", "held", "policy.bad-answer", "`+…`, which it does not declare"),
    ("compliance", "hold-without-a-word", "held", "policy.silent", "gave no reason"),
    ("compliance", "defer-into-the-past", "deferred", "hostile", "ask me again at once"),
    ("compliance", "defer-forever", "deferred", "hostile", "ask me again in 2106"),
    ("compliance", "quote-number", "held", "hostile", "+… is (… is … is …"),
    ("compliance", "quote-number-late", "held", "hostile", "+… is (… is … is …"),
    ("compliance", "cite-number", "held", "hostile", "it hides the number elsewhere"),
    ("compliance", "counter", "held", "hostile", "this is decision 1 of this instance"),
    ("compliance", "occasion", "held", "hostile", "occasion/by-hand/sleep_diary/"),
];

/// On one daemon: a good project, and one for each way to misbehave. All of them write at once.
async fn nothing_comes_of_it(cases: &[Case]) -> Result<()> {
    let mut plays = vec![Play { name: "good".into(), ..Play::default() }];
    plays.extend(cases.iter().map(|case| play(case.1, case.0, case.1)));
    let stage = Stage::with(&plays).await?;
    let mut bad = Vec::new();
    for case in cases {
        bad.push((case, stage.gateway.invite(case.1, "2", "sleep_diary", None).await?));
    }
    let good = stage.gateway.invite("good", "1", "sleep_diary", None).await?;
    stage.settle().await?;
    stage.until(&good, "delivered").await?;
    for ((_, behaviour, status, rule, sentence), id) in bad {
        let line = stage.line(&id).await?;
        let reason = line.reason.clone().unwrap_or_default();
        let mut found = (line.status.as_str(), line.rule.as_deref().unwrap_or_default());
        // What fuel and the count of calls bound may on a busy machine be ended by the time before.
        if behaviour.ends_with("-forever") && found.1 == "policy.deadline" {
            found.1 = rule;
        }
        assert_eq!(found, (*status, *rule), "{behaviour}: {reason}");
        assert!(reason.contains(sentence), "{behaviour}: {reason}");
        // What everybody may see names nobody's number, however it is written.
        let story = stage.gateway.store.story(&id).await?;
        let shown = format!("{}{story:?}", serde_json::to_string(&line)?);
        for number in ["6175550122", "555-0122", "555.0122", "555 0122"] {
            assert!(!shown.contains(number), "{behaviour}: {shown}");
        }
    }
    assert_eq!((stage.received(ANA), stage.received(BEN)), (0, 1));
    assert!(stage.gateway.store.verify(None).await?.is_ok(), "the ledger holds");
    Ok(())
}

#[tokio::test]
async fn the_same_message_arrives_when_nobody_misbehaves() -> Result<()> {
    for world in ["routing", "template", "compliance"] {
        let stage = Stage::with(&[play("tame", world, "not at all")]).await?;
        let id = stage.invite("tame", "2").await?;
        stage.until(&id, "delivered").await?;
        assert_eq!(stage.received(ANA), 1, "{world}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hostile_routing_policy_reaches_nobody() -> Result<()> {
    nothing_comes_of_it(&ROUTING).await
}

#[tokio::test]
async fn a_hostile_template_policy_says_nothing() -> Result<()> {
    nothing_comes_of_it(&TEMPLATE).await
}

#[tokio::test]
async fn a_hostile_compliance_policy_lets_nothing_out() -> Result<()> {
    nothing_comes_of_it(&COMPLIANCE).await
}

#[test]
fn a_person_can_tell_from_the_reason_what_a_policy_did() {
    let cases = ROUTING.iter().chain(&TEMPLATE).chain(&COMPLIANCE);
    let held: BTreeSet<_> = cases.filter(|case| case.2 == "held").map(|case| (case.3, case.4)).collect();
    assert!(held.len() >= 12, "{held:#?}");
}

#[tokio::test]
async fn a_policy_that_answers_each_message_with_another_comes_to_an_end() -> Result<()> {
    let stage = Stage::with(&[play("bad", "routing", "send-to-itself")]).await?;
    stage.invite("bad", "2").await?;
    let lines = stage.lines().await?;
    // The invitation and one message for each step down, the last of which causes nothing.
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert_eq!(stage.received(ANA), 0);
    Ok(())
}

#[tokio::test]
async fn a_policy_that_always_waits_is_seen_when_the_message_is_too_late() -> Result<()> {
    for (world, behaviour) in [
        ("routing", "wait-into-the-past"),
        ("routing", "wait-forever"),
        ("routing", "not-before-forever"),
        ("compliance", "defer-into-the-past"),
        ("compliance", "defer-forever"),
    ] {
        let stage = Stage::with(&[play("bad", world, behaviour)]).await?;
        let id = stage.invite("bad", "2").await?;
        let asked = stage.line(&id).await?.decisions.len();
        stage.settle().await?;
        assert_eq!(stage.line(&id).await?.decisions.len(), asked, "{behaviour}: not asked again at once");
        stage.later(86_402).await?;
        let line = stage.line(&id).await?;
        assert_eq!((line.status.as_str(), line.rule.as_deref()), ("expired", Some("floor.not-after")));
        assert_eq!(stage.received(ANA), 0, "{behaviour}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_policy_may_not_write_stays_as_it_is() -> Result<()> {
    let stage = Stage::with(&[play("bad", "routing", "write-ungranted-field")]).await?;
    stage.invite("bad", "2").await?;
    let place = Place::at("event_1_arm_1");
    assert_eq!(stage.sandbox.redcap().value("2", "first_name", &place).as_deref(), Some("Ana"));
    let mut play = play("bad", "routing", "write-ungranted-field");
    play.routing = play.routing.replace("\"enrolled\"", "\"first_name\"");
    let stage = Stage::with(&[play]).await?;
    stage.invite("bad", "2").await?;
    assert_eq!(stage.sandbox.redcap().value("2", "first_name", &place).as_deref(), Some("1"), "if granted");
    Ok(())
}

#[tokio::test]
async fn a_policy_remembers_nothing_from_one_message_to_the_next() -> Result<()> {
    let stage = Stage::with(&[play("bad", "compliance", "counter")]).await?;
    for record in ["1", "2", "1"] {
        let id = stage.invite("bad", record).await?;
        let reason = stage.line(&id).await?.reason.unwrap_or_default();
        assert_eq!(reason, "this is decision 1 of this instance");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_never_goes_out_as_a_text() -> Result<()> {
    let mut play = play("bad", "routing", "voice-message");
    play.participant = play.participant.replace("\"sms-link\"", "\"sms-link\", \"voice-message\"");
    let stage = Stage::with(&[play]).await?;
    stage.say(ANA, "STOP").await?;
    let id = stage.invite("bad", "2").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.method.as_deref(), Some("voice-message"), "{line:#?}");
    stage.until(&id, "delivered").await?;
    assert_eq!(stage.received(ANA), 0, "no text");
    assert_eq!(stage.sandbox.handset().calls(ANA).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_condition_that_is_nested_without_end_ends_the_decision_and_not_the_daemon() -> Result<()> {
    let stage = Stage::with(&[play("bad", "compliance", "deep-logic")]).await?;
    let id = stage.invite("bad", "2").await?;
    // The host says that it cannot be read, and the policy goes on with what it wants.
    stage.until(&id, "delivered").await?;
    Ok(())
}

#[tokio::test]
async fn lines_for_the_author_are_bounded() -> Result<()> {
    let stage = Stage::with(&[play("bad", "compliance", "long-log")]).await?;
    let id = stage.invite("bad", "2").await?;
    stage.until(&id, "delivered").await?;
    let story = stage.gateway.store.story(&id).await?;
    assert!(format!("{story:?}").len() < 16_000, "the log is no part of what everybody may see");
    Ok(())
}
