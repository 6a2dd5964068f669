//! What is no policy, or no policy of this contract, is refused when it is loaded, in words that say what
//! to mend. And what is loaded decides the same way every time.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result};
use policy::contract::redcap::{FieldValue, Place};
use policy::contract::reviewer::Inbound;
use policy::contract::settings::Value;
use policy::contract::types::{Channel, DeliveryMethod, Project};
use policy::{
    Answer, Decision, Ended, Exchange, Facts, Grant, Grants, Limits, LoadError, Policy, Question, Record,
    Request, Settings, World,
};
use proptest::prelude::*;
use tests::{Play, Stage, component, engine, reference};

static COMPLIANCE: LazyLock<Vec<u8>> = LazyLock::new(|| file("compliance"));
static HOSTILE: LazyLock<Vec<u8>> = LazyLock::new(|| file("hostile/compliance"));

fn file(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).expect("the component can be read")
}

fn load(world: World, bytes: &[u8]) -> Result<Policy, LoadError> {
    let engine = engine().expect("there is an engine");
    Policy::load(&engine, world, bytes, Grants::all(), Settings::new(), Limits::default())
}

/// The hostile policy, told to misbehave in this way within these limits.
fn misbehaving(behaviour: &str, limits: Limits) -> Result<Policy> {
    let settings = BTreeMap::from([("behaviour".to_owned(), Value::Text(behaviour.into()))]);
    Ok(Policy::load(&engine()?, World::Compliance, &HOSTILE, Grants::all(), settings, limits)?)
}

fn refusal(world: World, bytes: &[u8]) -> String {
    load(world, bytes).expect_err("it is refused").to_string()
}

/// The component with one text in it replaced by another of the same length.
fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            patched[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "`{from}` is in the component");
    patched
}

#[test]
fn a_file_that_was_cut_short_is_refused_wherever_it_was_cut() {
    for sixteenth in 0..16 {
        let end = COMPLIANCE.len() * sixteenth / 16;
        let error = load(World::Compliance, &COMPLIANCE[..end]).expect_err("it is refused");
        let told = error.to_string();
        assert!(matches!(error, LoadError::NotAComponent { .. } | LoadError::Misfit { .. }), "{end}: {told}");
    }
}

#[test]
fn what_is_no_component_is_refused_by_its_kind() {
    let module = b"\0asm\x01\0\0\0";
    assert!(refusal(World::Compliance, module).contains("core module"));
    assert!(refusal(World::Compliance, module).contains("cargo xtask policies"), "and how to mend it");
    for bytes in [&b""[..], b"this is a text", b"\0asm", b"\x7fELF"] {
        let told = refusal(World::Compliance, bytes);
        assert!(told.contains("not a component") && told.contains("at byte"), "{told}");
    }
    let told = refusal(World::Compliance, &vec![0; (64 << 20) + 1]);
    assert!(told.contains("67108865 bytes"), "{told}");
}

#[test]
fn a_policy_in_the_wrong_place_is_named_for_what_it_is() {
    for (found, wanted) in
        [("routing", World::Compliance), ("template", World::Routing), ("compliance", World::Template)]
    {
        let told = refusal(wanted, &file(found));
        let sentence = format!("this is a policy of the world `{found}`");
        assert!(told.contains(&sentence) && told.contains(wanted.name()), "{told}");
    }
}

#[test]
fn a_policy_of_another_contract_is_told_which_one_is_spoken_here() {
    let other = patched(&COMPLIANCE, "consentry:policy/reviewer@0.1.0", "consentry:policy/reviewer@0.2.0");
    let told = refusal(World::Compliance, &other);
    assert!(told.contains("reviewer@0.2.0") && told.contains("reviewer@0.1.0"), "{told}");
    let other = patched(&HOSTILE, "consentry:policy/log@0.1.0", "consentry:policy/log@0.3.0");
    let told = refusal(World::Compliance, &other);
    assert!(told.contains("log@0.3.0") && told.contains("speaks contract 0.1.0"), "{told}");
}

#[test]
fn an_import_from_elsewhere_is_no_way_out() {
    let evil = patched(&HOSTILE, "consentry:policy/log@0.1.0", "evil-wasi:policy/log@0.1.0");
    let told = refusal(World::Compliance, &evil);
    assert!(told.contains("`evil-wasi:policy/log@0.1.0`") && told.contains("no way out"), "{told}");
}

#[test]
fn what_is_not_granted_is_told_with_the_line_that_grants_it() -> Result<()> {
    let bytes = file("routing");
    let granted = Grants { interfaces: [Grant::Redcap].into(), ..Grants::default() };
    let loaded =
        Policy::load(&engine()?, World::Routing, &bytes, granted, Settings::new(), Limits::default());
    let told = loaded.expect_err("it is refused").to_string();
    assert!(told.contains("`redcap-write`, `twilio`, `twilio-send`"), "{told}");
    let line = "grants = [\"redcap\", \"redcap-write\", \"twilio\", \"twilio-send\"]";
    assert!(told.contains(line), "{told}");
    Ok(())
}

#[test]
fn a_policy_that_cannot_say_what_it_is_is_refused() {
    let error = misbehaving("trap-when-described", Limits::default()).expect_err("it is refused");
    assert!(error.to_string().contains("asked to describe itself, it trapped"), "{error}");
}

#[test]
fn settings_are_refused_in_the_words_of_the_policy_that_has_them() -> Result<()> {
    let text = |text: &str| Value::Text(text.into());
    for (name, value, sentence, help) in [
        ("quiet-form", text("21:00"), "no such setting", "did you mean `quiet-from`?"),
        ("nothing-like-it", text("x"), "no such setting", "it has: "),
        ("max-per-day", text("3"), "a number is expected, and this is a text", "How many"),
        ("quiet-from", text("25:99"), "not a time of day", "write hours and minutes"),
        ("link-hosts", Value::Texts(vec!["https://x.edu".into()]), "not the name of a host", "only the host"),
    ] {
        let settings = BTreeMap::from([(name.to_owned(), value)]);
        let loaded = Policy::load(
            &engine()?,
            World::Compliance,
            &COMPLIANCE,
            Grants::all(),
            settings,
            Limits::default(),
        );
        let Err(LoadError::Settings(problems)) = loaded else { panic!("`{name}` is refused: {loaded:?}") };
        let problem = problems.first().context("there is a problem")?;
        assert_eq!(problem.setting, name);
        assert!(problem.sentence.contains(sentence), "{problem:?}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{problem:?}");
    }
    Ok(())
}

/// Everything that is wrong with a project, as it is told: each with its line and with help.
async fn told(play: Play) -> Result<String> {
    let error = Stage::dark(&[play]).await.err().context("the configuration is refused")?;
    Ok(format!("{error:#}"))
}

#[tokio::test]
async fn the_configuration_shows_the_line_and_what_to_write_instead() -> Result<()> {
    let compliance = |rest: &str| Play { compliance: reference("compliance", rest), ..Play::default() };
    let granted = |rest: &str| compliance(&format!("grants = [\"redcap\", \"twilio\"]\n{rest}"));
    for (play, line, words) in [
        (granted("[policy.compliance.settings]\nquiet-form = \"21:00\"\n"), "quiet-form", "did you mean"),
        (
            granted("[policy.compliance.settings]\nmax-per-day = \"3\"\n"),
            "max-per-day = \"3\"",
            "a number is",
        ),
        (granted("[policy.compliance.settings]\nquiet-from = \"25:99\"\n"), "quiet-from", "write hours and"),
        (granted("digest = \"sha256:0000\"\n"), "sha256:0000", "pin that if you have reviewed it"),
        (compliance(""), "component = ", "grants = [\"redcap\"]"),
        (compliance("grants = [\"redcap\", \"internet\"]\n"), "internet", "redcap-write"),
        (
            Play {
                routing: reference(
                    "routing",
                    "grants = [\"redcap\", \"redcap-write\", \"twilio\", \"twilio-send\"]\n\
                     write-fields = [\"texts_stopped\"]\n",
                ),
                ..Play::default()
            },
            "write-fields",
            "no policy may write `texts_stopped`",
        ),
        (
            Play { compliance: reference("routing", ""), ..Play::default() },
            "routing.wasm",
            "a policy of the world `routing`",
        ),
    ] {
        let told = told(play).await?;
        // The report draws the line and breaks its sentences, so they are compared without the frame.
        let plain = told.split(['│', '\n']).map(str::trim).collect::<Vec<_>>().join(" ");
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(line), "{line}: {told}");
        assert!(plain.contains(words), "{words}: {told}");
        assert!(told.contains("sleep.toml"), "{told}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Most of these are refused. None of them is the end of the daemon.
    #[test]
    fn a_damaged_file_never_ends_the_daemon(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0..8_u32), 1..12)
    ) {
        let mut bytes = HOSTILE.clone();
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        match load(World::Compliance, &bytes) {
            // A flip in a text or a number of the program may go unseen: it decides as it then is.
            Ok(policy) => { let _ = policy.decide(&inbound("hello"), nothing()); }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

fn nothing() -> Arc<dyn Facts> {
    Arc::new(Vec::<Exchange>::new())
}

fn inbound(body: &str) -> Request {
    Request::Interpret(Inbound {
        id: "SM1".into(),
        now: 1_795_532_400,
        channel: Channel::Sms,
        from: "+16175550121".into(),
        body: body.into(),
        project: Project {
            id: "1".into(),
            title: "Northfield Sleep Study".into(),
            protocol: None,
            enabled_methods: vec![DeliveryMethod::SmsLink],
            default_method: DeliveryMethod::SmsLink,
            time_zone: "America/New_York".into(),
            language: "en".into(),
        },
        participants: vec![],
        open_invitations: vec![],
        expecting: policy::contract::reviewer::Expecting::Nothing,
        provider: policy::contract::reviewer::ProviderHandling::None,
    })
}

#[test]
fn fuel_ends_a_decision_at_the_same_place_on_every_machine() -> Result<()> {
    let limits = Limits { fuel: 1_000_000, ..Limits::default() };
    let policy = misbehaving("loop-forever", limits)?;
    let decisions = [(); 2].map(|()| policy.decide(&inbound("hello"), nothing()));
    assert_eq!(decisions[0].ended, Ended::OutOfFuel { limit: 1_000_000 });
    assert_eq!(decisions[0], decisions[1]);
    Ok(())
}

#[test]
fn time_ends_what_fuel_does_not() -> Result<()> {
    let limits = Limits { fuel: u64::MAX / 2, deadline: Duration::from_millis(50), ..Limits::default() };
    let decision = misbehaving("loop-forever", limits)?.decide(&inbound("hello"), nothing());
    assert_eq!(decision.ended, Ended::Deadline { limit_ms: 50 });
    Ok(())
}

#[test]
fn the_engine_decides_on_after_every_way_to_misbehave() -> Result<()> {
    for behaviour in
        ["trap", "recurse-forever", "allocate-forever", "call-forever", "huge-log", "invalid-utf8"]
    {
        let policy = misbehaving(behaviour, Limits::default())?;
        // More often than there are places in the pool: each is given back.
        for _ in 0..100 {
            let decision = policy.decide(&inbound("hello"), Arc::new(Unreadable));
            assert!(!matches!(decision.ended, Ended::Answered(_) | Ended::HostError { .. }), "{behaviour}");
        }
    }
    let decision = misbehaving("not at all", Limits::default())?.decide(&inbound("hello"), nothing());
    assert!(matches!(decision.ended, Ended::Answered(_)), "{decision:?}");
    Ok(())
}

/// A REDCap that cannot be read.
struct Unreadable;

impl Facts for Unreadable {
    fn answer(&self, _: &Question) -> Option<Answer> {
        Some(Answer::Read(Err(policy::contract::redcap::Error::Unavailable("it is down".into()))))
    }
}

#[test]
fn the_same_question_gets_the_same_answer_byte_for_byte() -> Result<()> {
    let policy = load(World::Compliance, &COMPLIANCE)?;
    for body in ["STOP", "please stop texting me", "can you stop by tomorrow", "ok thanks", "ja", "¿?"] {
        let request = inbound(body);
        let records: Vec<_> = (0..3).map(|_| recorded(&policy, &request)).collect::<Result<_>>()?;
        assert_eq!(records[0], records[1], "{body}");
        assert_eq!(records[1], records[2], "{body}");
        let record = Record::decode(&records[0].1)?;
        let again = Record::of(&policy, &request, &records[0].0).encode()?;
        assert_eq!(Record::decode(&again)?, record, "{body}: what is written is what is read");
        assert_eq!(record.encode()?, again, "{body}");
    }
    Ok(())
}

fn recorded(policy: &Policy, request: &Request) -> Result<(Decision, Vec<u8>)> {
    let decision = policy.decide(request, nothing());
    let bytes = Record::of(policy, request, &decision).encode()?;
    Ok((decision, bytes))
}

#[test]
fn a_damaged_record_is_refused_and_never_misread() -> Result<()> {
    let policy = load(World::Compliance, &COMPLIANCE)?;
    let (_, bytes) = recorded(&policy, &inbound("STOP"))?;
    assert!(Record::decode(&[]).is_err());
    assert!(Record::decode(&[9, 1, 2]).expect_err("another version").to_string().contains("version 9"));
    for end in 1..bytes.len() {
        assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    Ok(())
}

#[test]
fn a_recorded_decision_is_replayed_to_the_same_answer() -> Result<()> {
    let policy = misbehaving("repeat-what-redcap-says", Limits::default())?;
    let request = inbound("hello");
    let taken = policy.decide(&request, Arc::new(Named("Ben")));
    let bytes = Record::of(&policy, &request, &taken).encode()?;
    let record = Record::decode(&bytes)?;
    assert_eq!(record.transcript.len(), 1);
    let replayed = policy.decide(&record.request, Arc::new(record.transcript.to_vec()));
    assert_eq!(replayed, taken);
    let other = policy.decide(&request, Arc::new(Named("Ana")));
    assert_ne!(other.ended, taken.ended, "the answer depends on what REDCap said");
    Ok(())
}

/// A REDCap that holds a name.
struct Named(&'static str);

impl Facts for Named {
    fn answer(&self, question: &Question) -> Option<Answer> {
        let Question::Read { fields, .. } = question else { return None };
        let place = Place { event: None, instance: 1 };
        let value =
            |field: &String| FieldValue { field: field.clone(), place: place.clone(), value: self.0.into() };
        Some(Answer::Read(Ok(fields.iter().map(value).collect())))
    }
}

#[test]
fn what_a_policy_needs_and_nobody_knows_is_not_made_up() -> Result<()> {
    let policy = misbehaving("call-forever", Limits::default())?;
    let decision = policy.decide(&inbound("hello"), nothing());
    assert!(matches!(decision.ended, Ended::Needs(Question::Read { .. })), "{decision:?}");
    Ok(())
}
