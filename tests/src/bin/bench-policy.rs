//! `cargo bench-policy`: what a decision costs, as ratios measured in one run.
//!
//! Three ways through the same decision, in turns, so that whatever else the machine does falls on all of
//! them: *ours* (the engine of the product, with its transcript and the encoded decision record), *bare*
//! (Wasmtime with the same configuration, limits, components and requests, answers dropped) and *native* (the
//! same Rust code, compiled into this program).

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use policy::contract::{redcap, twilio as carrier, wordings};
use policy::{
    Answer, Ended, Engine, Facts, Grants, Limits, Policy, Question, Record, Request, Settings, World,
};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{ResourceLimiter, Store};

/// Rounds of ours, bare, native.
const ROUNDS: usize = 5;
/// Decisions in each.
const DECISIONS: usize = 4000;

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
fn main() -> Result<()> {
    let engine = Arc::new(Engine::new()?);
    println!("engine {}, {ROUNDS} alternating rounds of {DECISIONS} decisions each\n", engine.hash());
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "p50 µs", "p99 µs", "bare p50", "÷ bare", "native", "÷ native"
    );
    for asking in [Asking::Nothing, Asking::Three] {
        let bench = Bench::new(&engine, asking)?;
        let mut whole = Figures::default();
        for case in &bench.cases {
            let figures = case.measure(&bench)?;
            print_row(&case.name(&bench)?, &figures);
            whole.add(&figures);
        }
        print_row(&format!("route + render + review, {}", asking.words()), &whole);
        println!();
    }
    let bench = Bench::new(&engine, Asking::Three)?;
    let (ours, native) = (bench.scaling(Way::Ours)?, bench.scaling(Way::Native)?);
    println!("two threads ÷ one thread: ours {ours:.2}, native {native:.2}");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
fn print_row(name: &str, figures: &Figures) {
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{name:<34} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.1}",
        us(figures.ours.0),
        us(figures.ours.1),
        us(figures.bare.0),
        us(figures.ours.0) / us(figures.bare.0),
        us(figures.native.0),
        us(figures.ours.0) / us(figures.native.0),
    );
}

/// Whether the policies ask the host for more facts.
#[derive(Clone, Copy, PartialEq)]
enum Asking {
    Nothing,
    Three,
}

impl Asking {
    fn words(self) -> &'static str {
        match self {
            Asking::Nothing => "fewest host calls",
            Asking::Three => "most host calls",
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Ours,
    Bare,
    Native,
}

/// Medians over the rounds of the median and of the 99th percentile.
#[derive(Default)]
struct Figures {
    ours: (Duration, Duration),
    bare: (Duration, Duration),
    native: (Duration, Duration),
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        for (sum, part) in
            [(&mut self.ours, other.ours), (&mut self.bare, other.bare), (&mut self.native, other.native)]
        {
            sum.0 += part.0;
            sum.1 += part.1;
        }
    }
}

struct Bench {
    cases: Vec<Case>,
    facts: Arc<Canned>,
    native: NativeHost,
}

/// One decision, three ways.
struct Case {
    policy: Policy,
    bare: Bare,
    request: Request,
    native: fn(&NativeHost, &NativeRequests),
    requests: NativeRequests,
}

impl Bench {
    fn new(engine: &Arc<Engine>, asking: Asking) -> Result<Bench> {
        let facts = Arc::new(Canned);
        let load = |world: World, settings: Settings| -> Result<(Policy, Vec<u8>)> {
            let bytes = std::fs::read(tests::component(world.name()))?;
            let policy = Policy::load(engine, world, &bytes, Grants::all(), settings, Limits::default())?;
            Ok((policy, bytes))
        };
        let value = policy::contract::settings::Value::Text;
        let truth = policy::contract::settings::Value::Truth;
        let mut routing = Settings::new();
        let mut compliance = Settings::new();
        if asking == Asking::Nothing {
            routing.insert("check-line-type".into(), truth(false));
        } else {
            compliance.insert("consent-expression".into(), value("[consented] = '1'".into()));
        }
        let native = NativeHost { settings: vec![routing.clone(), compliance.clone()] };
        let occasion = host::occasion(asking == Asking::Three);
        let requests =
            || NativeRequests { occasion: guest::occasion(asking == Asking::Three), draft: guest::draft() };
        let mut cases = Vec::new();
        let (policy, bytes) = load(World::Routing, routing)?;
        cases.push(Case {
            bare: Bare::new(engine, World::Routing, &bytes, &policy)?,
            policy,
            request: Request::Choose(occasion.clone()),
            native: |host, requests| {
                consentry_guest::host::answering(host, || {
                    black_box(<routing::Router as consentry_guest::routing::Policy>::choose(
                        requests.occasion.clone(),
                    ));
                });
            },
            requests: requests(),
        });
        let (policy, bytes) = load(World::Template, Settings::new())?;
        cases.push(Case {
            bare: Bare::new(engine, World::Template, &bytes, &policy)?,
            policy,
            request: Request::Render(occasion.clone(), policy::contract::types::DeliveryMethod::SmsLink),
            native: |host, requests| {
                consentry_guest::host::answering(host, || {
                    let method = consentry_guest::DeliveryMethod::SmsLink;
                    let words = <template::Writer as consentry_guest::template::Policy>::render(
                        requests.occasion.clone(),
                        method,
                    );
                    let _ = black_box(words);
                });
            },
            requests: requests(),
        });
        let (policy, bytes) = load(World::Compliance, compliance)?;
        cases.push(Case {
            bare: Bare::new(engine, World::Compliance, &bytes, &policy)?,
            policy,
            request: Request::Review(occasion, host::draft(), policy::contract::reviewer::Stage::Planned),
            native: |host, requests| {
                consentry_guest::host::answering(host, || {
                    black_box(<compliance::Reviewer as consentry_guest::compliance::Policy>::review(
                        requests.occasion.clone(),
                        requests.draft.clone(),
                        consentry_guest::Stage::Planned,
                    ));
                });
            },
            requests: requests(),
        });
        Ok(Bench { cases, facts, native })
    }

    /// Throughput of two threads over that of one.
    fn scaling(&self, way: Way) -> Result<f64> {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let one = self.throughput(way, 1)?;
            let two = self.throughput(way, 2)?;
            ratios.push(two / one);
        }
        ratios.sort_by(f64::total_cmp);
        Ok(ratios[ROUNDS / 2])
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn throughput(&self, way: Way, threads: usize) -> Result<f64> {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let work = |_| {
                scope.spawn(|| {
                    for _ in 0..DECISIONS {
                        for case in &self.cases {
                            case.once(self, way)?;
                        }
                    }
                    anyhow::Ok(())
                })
            };
            let running: Vec<_> = (0..threads).map(work).collect();
            running
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand decisions")]
        Ok((threads * DECISIONS) as f64 / begin.elapsed().as_secs_f64())
    }
}

impl Case {
    fn name(&self, bench: &Bench) -> Result<String> {
        let decision = self.policy.decide(&self.request, bench.facts.clone());
        match decision.ended {
            Ended::Answered(_) => {
                Ok(format!("{}, {} host calls", self.policy.world().name(), decision.transcript.len()))
            }
            ended => Err(anyhow!("the {} policy did not answer: {ended}", self.policy.world().name())),
        }
    }

    fn measure(&self, bench: &Bench) -> Result<Figures> {
        let (mut ours, mut bare, mut native) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(self.round(bench, Way::Ours)?);
            bare.push(self.round(bench, Way::Bare)?);
            native.push(self.round(bench, Way::Native)?);
        }
        Ok(Figures { ours: middle(ours), bare: middle(bare), native: middle(native) })
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn round(&self, bench: &Bench, way: Way) -> Result<(Duration, Duration)> {
        let mut times = Vec::with_capacity(DECISIONS);
        for _ in 0..DECISIONS {
            let begin = Instant::now();
            self.once(bench, way)?;
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        Ok((times[DECISIONS / 2], times[DECISIONS * 99 / 100]))
    }

    fn once(&self, bench: &Bench, way: Way) -> Result<()> {
        match way {
            Way::Ours => {
                let decision = self.policy.decide(&self.request, bench.facts.clone());
                black_box(Record::of(&self.policy, &self.request, &decision).encode()?);
            }
            Way::Bare => self.bare.call(&self.request)?,
            Way::Native => (self.native)(&bench.native, &self.requests),
        }
        Ok(())
    }
}

fn middle(mut rounds: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

/// The answers to everything that is asked, in all three ways.
#[derive(Debug)]
struct Canned;

impl Facts for Canned {
    fn answer(&self, question: &Question) -> Option<Answer> {
        Some(match question {
            Question::Evaluate { .. } => Answer::Evaluate(Ok(redcap::LogicValue::Truth(true))),
            Question::SurveyStatus(_) => Answer::SurveyStatus(Ok(redcap::SurveyState::NotStarted)),
            Question::Lookup => Answer::Lookup(Ok(carrier::LineType::Mobile)),
            Question::History(_) => Answer::History(Ok(vec![])),
            Question::ListWordings(part) => Answer::ListWordings(host::wordings(*part)),
            Question::FindWording { .. } => Answer::FindWording(None),
            Question::Measure { .. } => Answer::Measure(wordings::Length { segments: 1, characters: 120 }),
            _ => return None,
        })
    }
}

/// Wasmtime without our engine around it.
struct Bare {
    engine: wasmtime::Engine,
    pre: BarePre,
    limits: Limits,
    settings: Vec<(String, policy::contract::settings::Value)>,
}

enum BarePre {
    Routing(policy::contract::routing::RoutingPre<State>),
    Template(policy::contract::template::TemplatePre<State>),
    Compliance(policy::contract::compliance::CompliancePre<State>),
}

struct State {
    settings: Vec<(String, policy::contract::settings::Value)>,
    limit: usize,
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.limit)
    }
    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 50_000)
    }
}

impl Bare {
    fn new(engine: &Engine, world: World, bytes: &[u8], policy: &Policy) -> Result<Bare> {
        use policy::contract::shared::consentry::policy as interfaces;
        let engine = engine.wasmtime().clone();
        let component = Component::from_binary(&engine, bytes).map_err(|error| anyhow!("{error:#}"))?;
        let mut linker: Linker<State> = Linker::new(&engine);
        let link = |linker: &mut Linker<State>| -> wasmtime::Result<()> {
            interfaces::types::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::declarations::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::settings::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::time::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::log::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::wordings::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::redcap::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::redcap_write::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::twilio::add_to_linker::<_, HasSelf<State>>(linker, |s| s)?;
            interfaces::twilio_send::add_to_linker::<_, HasSelf<State>>(linker, |s| s)
        };
        let pre = link(&mut linker)
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(|pre| match world {
                World::Routing => policy::contract::routing::RoutingPre::new(pre).map(BarePre::Routing),
                World::Template => policy::contract::template::TemplatePre::new(pre).map(BarePre::Template),
                World::Compliance => {
                    policy::contract::compliance::CompliancePre::new(pre).map(BarePre::Compliance)
                }
            })
            .map_err(|error| anyhow!("{error:#}"))?;
        let settings = policy.settings().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Bare { engine, pre, limits: Limits::default(), settings })
    }

    fn call(&self, request: &Request) -> Result<()> {
        self.run(request).map_err(|error| anyhow!("{error:#}"))
    }

    fn run(&self, request: &Request) -> wasmtime::Result<()> {
        let data = State { settings: self.settings.clone(), limit: self.limits.memory };
        let mut store = Store::new(&self.engine, data);
        store.limiter(|state| state);
        store.set_epoch_deadline(201);
        store.set_hostcall_fuel(self.limits.data);
        store.set_max_component_handles(16);
        store.set_fuel(self.limits.fuel)?;
        match (&self.pre, request) {
            (BarePre::Routing(pre), Request::Choose(occasion)) => {
                let world = pre.instantiate(&mut store)?;
                black_box(world.consentry_policy_router().call_choose(&mut store, occasion)?);
            }
            (BarePre::Template(pre), Request::Render(occasion, method)) => {
                let world = pre.instantiate(&mut store)?;
                let _ =
                    black_box(world.consentry_policy_writer().call_render(&mut store, occasion, *method)?);
            }
            (BarePre::Compliance(pre), Request::Review(occasion, draft, stage)) => {
                let world = pre.instantiate(&mut store)?;
                let reviewer = world.consentry_policy_reviewer();
                black_box(reviewer.call_review(&mut store, occasion, draft, *stage)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The imports of the bare way: the same answers, and nothing else.
mod bare {
    use super::{Canned, State};
    use policy::contract::{
        declarations, log, redcap, redcap_write, settings, time, twilio, twilio_send, types, wordings,
    };
    use policy::{Answer, Facts, Question};

    macro_rules! canned {
        ($kind:ident, $question:expr) => {
            match Canned.answer(&$question) {
                Some(Answer::$kind(answer)) => Ok(answer),
                _ => Err(wasmtime::Error::msg("there is no canned answer")),
            }
        };
    }

    impl types::Host for State {}
    impl declarations::Host for State {}
    impl redcap::Host for State {
        fn read(
            &mut self,
            fields: Vec<String>,
            at: Option<redcap::Place>,
        ) -> wasmtime::Result<Result<Vec<redcap::FieldValue>, redcap::Error>> {
            canned!(Read, Question::Read { fields, at })
        }
        fn describe_fields(
            &mut self,
            fields: Vec<String>,
        ) -> wasmtime::Result<Result<Vec<redcap::FieldDescription>, redcap::Error>> {
            canned!(DescribeFields, Question::DescribeFields(fields))
        }
        fn evaluate(
            &mut self,
            logic: String,
            at: Option<redcap::Place>,
        ) -> wasmtime::Result<Result<redcap::LogicValue, redcap::Error>> {
            canned!(Evaluate, Question::Evaluate { logic, at })
        }
        fn survey_status(
            &mut self,
            survey: types::Survey,
        ) -> wasmtime::Result<Result<redcap::SurveyState, redcap::Error>> {
            canned!(SurveyStatus, Question::SurveyStatus(survey))
        }
    }
    impl redcap_write::Host for State {
        fn write(&mut self, _: Vec<redcap::FieldValue>) -> wasmtime::Result<Result<(), redcap_write::Error>> {
            Ok(Ok(()))
        }
    }
    impl twilio::Host for State {
        fn lookup(&mut self) -> wasmtime::Result<Result<twilio::LineType, twilio::Error>> {
            canned!(Lookup, Question::Lookup)
        }
        fn senders(&mut self) -> wasmtime::Result<Result<Vec<twilio::Sender>, twilio::Error>> {
            canned!(Senders, Question::Senders)
        }
        fn history(
            &mut self,
            limit: u32,
        ) -> wasmtime::Result<Result<Vec<twilio::PastDelivery>, twilio::Error>> {
            canned!(History, Question::History(limit))
        }
    }
    impl twilio_send::Host for State {
        fn send(&mut self, _: String, _: types::Finding) -> wasmtime::Result<()> {
            Ok(())
        }
        fn call(&mut self, _: String, _: types::Finding) -> wasmtime::Result<()> {
            Ok(())
        }
    }
    impl wordings::Host for State {
        fn find(&mut self, id: String, language: String) -> wasmtime::Result<Option<wordings::Wording>> {
            canned!(FindWording, Question::FindWording { id, language })
        }
        fn list(&mut self, part: wordings::Part) -> wasmtime::Result<Vec<wordings::Wording>> {
            canned!(ListWordings, Question::ListWordings(part))
        }
        fn measure(
            &mut self,
            pieces: Vec<wordings::Piece>,
            language: String,
        ) -> wasmtime::Result<wordings::Length> {
            canned!(Measure, Question::Measure { pieces, language })
        }
    }
    impl time::Host for State {
        fn local(
            &mut self,
            _: types::Instant,
            _: String,
        ) -> wasmtime::Result<Result<(time::Civil, time::Weekday), time::Error>> {
            let civil = time::Civil { year: 2026, month: 11, day: 24, hour: 10, minute: 0, second: 0 };
            Ok(Ok((civil, time::Weekday::Tuesday)))
        }
        fn at(&mut self, _: time::Civil, _: String) -> wasmtime::Result<Result<types::Instant, time::Error>> {
            Ok(Ok(super::NOW))
        }
    }
    impl settings::Host for State {
        fn get(&mut self, name: String) -> wasmtime::Result<Option<settings::Value>> {
            Ok(self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
        }
    }
    impl log::Host for State {
        fn write(&mut self, _: log::Level, _: String) -> wasmtime::Result<()> {
            Ok(())
        }
    }
}

struct NativeRequests {
    occasion: consentry_guest::Occasion,
    draft: consentry_guest::Draft,
}

/// The host of the native way.
struct NativeHost {
    settings: Vec<Settings>,
}

impl consentry_guest::host::Host for NativeHost {
    fn evaluate(
        &self,
        _: &str,
        _: Option<&consentry_guest::Place>,
    ) -> Result<consentry_guest::LogicValue, consentry_guest::RedcapError> {
        Ok(consentry_guest::LogicValue::Truth(true))
    }
    fn survey_status(
        &self,
        _: &consentry_guest::Survey,
    ) -> Result<consentry_guest::SurveyState, consentry_guest::RedcapError> {
        Ok(consentry_guest::SurveyState::NotStarted)
    }
    fn lookup(&self) -> Result<consentry_guest::LineType, consentry_guest::TwilioError> {
        Ok(consentry_guest::LineType::Mobile)
    }
    fn list(&self, part: consentry_guest::Part) -> Vec<consentry_guest::Wording> {
        guest::wordings(part)
    }
    fn measure(&self, _: &[consentry_guest::Piece], _: &str) -> consentry_guest::Length {
        consentry_guest::Length { segments: 1, characters: 120 }
    }
    fn local(
        &self,
        _: u32,
        _: &str,
    ) -> Result<(consentry_guest::Civil, consentry_guest::Weekday), consentry_guest::TimeError> {
        let civil = consentry_guest::Civil { year: 2026, month: 11, day: 24, hour: 10, minute: 0, second: 0 };
        Ok((civil, consentry_guest::Weekday::Tuesday))
    }
    fn at(&self, _: consentry_guest::Civil, _: &str) -> Result<u32, consentry_guest::TimeError> {
        Ok(NOW)
    }
    fn get(&self, name: &str) -> Option<consentry_guest::Value> {
        use policy::contract::settings::Value;
        let found = self.settings.iter().find_map(|settings| settings.get(name));
        found.map(|value| match value {
            Value::Truth(truth) => consentry_guest::Value::Truth(*truth),
            Value::Number(number) => consentry_guest::Value::Number(*number),
            Value::Text(text) => consentry_guest::Value::Text(text.clone()),
            Value::Texts(texts) => consentry_guest::Value::Texts(texts.clone()),
        })
    }
}

/// Ten in the morning in New York.
const NOW: u32 = 1_795_532_400;

/// The same facts in the host's types and in the guest's.
macro_rules! facts {
    ($module:ident, $types:path, $wordings:path, $reviewer:path, $redcap:path) => {
        mod $module {
            use super::NOW;
            use $redcap as redcap;
            use $reviewer as reviewer;
            use $types as types;
            use $wordings as words;

            pub(super) fn occasion(with_survey: bool) -> types::Occasion {
                let survey = types::Survey {
                    instrument: "sleep_diary".into(),
                    event: None,
                    instance: 1,
                    title: "Sleep diary".into(),
                };
                let past = |days: u32| types::PastMessage {
                    at: NOW - days * 86_400,
                    purpose: types::Purpose::Invitation,
                    method: types::DeliveryMethod::SmsLink,
                };
                let consent = types::Consent {
                    given: NOW - 5_000_000,
                    evidence: "REDCap field `text_consent_date`".into(),
                    manner: types::ConsentManner::Electronic,
                    withdrawn: None,
                    phone: Some("+16175550121".into()),
                    covers: vec![types::DeliveryMethod::SmsLink],
                };
                types::Occasion {
                    id: "sleep/invitation/diary/1/-/1".into(),
                    purpose: types::Purpose::Invitation,
                    wording: None,
                    now: NOW,
                    due: NOW,
                    not_after: Some(NOW + 86_400),
                    facts_as_of: NOW,
                    survey: with_survey.then_some(survey),
                    open_invitations: vec![],
                    attempts: vec![],
                    project: types::Project {
                        id: "17".into(),
                        title: "Northfield Sleep Study".into(),
                        protocol: Some(types::Protocol {
                            number: "2026-001".into(),
                            reviewed_by: types::ReviewBody::LocalIrb,
                            approved: NOW - 9_000_000,
                            expires: Some(NOW + 9_000_000),
                        }),
                        enabled_methods: vec![types::DeliveryMethod::SmsLink],
                        default_method: types::DeliveryMethod::SmsLink,
                        time_zone: "America/New_York".into(),
                        language: "en".into(),
                    },
                    recipient: types::Recipient::Participant,
                    participant: Some(types::Participant {
                        record: Some("1".into()),
                        phone: Some("+16175550121".into()),
                        email: Some("ben@example.org".into()),
                        preference: Some(types::DeliveryMethod::SmsLink),
                        language: Some("en".into()),
                        time_zones: vec!["America/New_York".into()],
                        consents: vec![consent],
                        opt_outs: vec![],
                        recent: vec![past(3), past(10), past(17)],
                    }),
                }
            }

            pub(super) fn draft() -> reviewer::Draft {
                let approval = |wording: &str| reviewer::Approval {
                    wording: wording.into(),
                    digest: "sha256:2f1c8b3a9d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd".into(),
                    protocol: Some("2026-001".into()),
                    approved: NOW - 8_000_000,
                    expires: None,
                };
                reviewer::Draft {
                    method: types::DeliveryMethod::SmsLink,
                    sender: None,
                    to: types::Address::Phone("+16175550121".into()),
                    subject: None,
                    body:
                        "Your sleep diary is ready: https://redcap.example.edu/surveys/?s=4VGAWUD5XKYTHUV7 \
                           Reply STOP to end texts."
                            .into(),
                    language: "en".into(),
                    segments: 1,
                    approvals: vec![approval("invitation"), approval("opt-out")],
                    fillings: vec![reviewer::Filling {
                        field: "visit".into(),
                        sensitivity: redcap::Sensitivity::Plain,
                    }],
                    links: vec!["https://redcap.example.edu/surveys/?s=4VGAWUD5XKYTHUV7".into()],
                }
            }

            pub(super) fn wordings(part: words::Part) -> Vec<words::Wording> {
                let one = |id: &str, language: &str, text: &str| words::Wording {
                    id: id.into(),
                    language: language.into(),
                    part,
                    purposes: vec![],
                    methods: vec![],
                    text: text.into(),
                    approval: words::ApprovalState::Approved,
                };
                match part {
                    words::Part::Whole => vec![
                        one("invitation", "en", "Your sleep diary is ready: [survey-link]"),
                        one("invitation", "es", "Su diario: [survey-link]"),
                    ],
                    words::Part::OptOut => vec![
                        one("opt-out", "en", "Reply STOP to end texts."),
                        one("opt-out", "es", "Responda STOP para no recibir mensajes."),
                    ],
                    words::Part::FirstMessage => vec![],
                }
            }
        }
    };
}

facts!(
    host,
    policy::contract::types,
    policy::contract::wordings,
    policy::contract::reviewer,
    policy::contract::redcap
);
facts!(guest, consentry_guest, consentry_guest, consentry_guest, consentry_guest);
