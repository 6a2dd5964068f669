//! What the tests of the rules share, and the tests of the policy as a whole.

use super::*;
use consentry_guest::{
    Address, Attempt, Channel, Failure, FieldValue, LineType, OptOut, Participant, Project, Purpose,
    Recipient, RedcapError, Staff, Survey, SurveyState, TwilioError, Value, WriteError, host,
    routing::Policy as _,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};
use std::cell::RefCell;
use std::collections::BTreeSet;

pub(crate) const NOW: u32 = 1_790_000_000;

/// A host that answers as a test says.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) settings: Vec<(String, Value)>,
    pub(crate) survey: Result<SurveyState, RedcapError>,
    pub(crate) line: Result<LineType, TwilioError>,
    pub(crate) writes: RefCell<Vec<FieldValue>>,
    pub(crate) sent: RefCell<Vec<String>>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            settings: Vec::new(),
            survey: Ok(SurveyState::NotStarted),
            line: Ok(LineType::Mobile),
            writes: RefCell::default(),
            sent: RefCell::default(),
        }
    }
}

impl Answers {
    pub(crate) fn with(mut self, name: &str, value: Value) -> Answers {
        self.settings.push((name.into(), value));
        self
    }
}

impl host::Host for Answers {
    fn get(&self, name: &str) -> Option<Value> {
        self.settings.iter().find(|it| it.0 == name).map(|it| it.1.clone())
    }
    fn survey_status(&self, _: &Survey) -> Result<SurveyState, RedcapError> {
        self.survey.clone()
    }
    fn lookup(&self) -> Result<LineType, TwilioError> {
        self.line.clone()
    }
    fn write(&self, values: &[FieldValue]) -> Result<(), WriteError> {
        self.writes.borrow_mut().extend_from_slice(values);
        Ok(())
    }
    fn send(&self, wording: &str, _: &Finding) {
        self.sent.borrow_mut().push(wording.into());
    }
}

pub(crate) fn participant() -> Participant {
    Participant {
        record: Some("101".into()),
        phone: Some("+16175550101".into()),
        email: Some("p101@example.org".into()),
        preference: None,
        language: None,
        time_zones: Vec::new(),
        consents: Vec::new(),
        opt_outs: Vec::new(),
        recent: Vec::new(),
    }
}

pub(crate) fn staff() -> Recipient {
    let addresses = vec![Address::Email("nurse@example.org".into()), Address::Phone("+16175550111".into())];
    Recipient::Staff(Staff { addresses, opt_outs: Vec::new(), recent: Vec::new() })
}

pub(crate) fn invitation() -> Occasion {
    Occasion {
        id: "o1".into(),
        purpose: Purpose::Invitation,
        wording: None,
        now: NOW,
        due: NOW,
        not_after: None,
        facts_as_of: NOW,
        survey: Some(Survey {
            instrument: "diary".into(),
            event: None,
            instance: 1,
            title: "Your diary".into(),
        }),
        open_invitations: Vec::new(),
        attempts: Vec::new(),
        project: Project {
            id: "12".into(),
            title: "Sleep study".into(),
            protocol: None,
            enabled_methods: vec![DeliveryMethod::SmsLink, DeliveryMethod::VoiceCall, DeliveryMethod::Email],
            default_method: DeliveryMethod::SmsLink,
            time_zone: "America/New_York".into(),
            language: "en".into(),
        },
        recipient: Recipient::Participant,
        participant: Some(participant()),
    }
}

/// The rule that a step cites.
pub(crate) fn rule(step: &Step) -> Option<&str> {
    match step {
        Step::Go => None,
        Step::Instead(_, finding) | Step::Skip(finding) => Some(&finding.rule),
        Step::Wait(wait) => Some(&wait.because.rule),
    }
}

#[test]
fn an_ordinary_invitation_goes_the_default_way() {
    let answers = Answers::default().with("sender", Value::Text("main".into()));
    let route = host::answering(&answers, || Router::choose(invitation()));
    let Route::Contact(plan) = route else { panic!("{route:?}") };
    assert_eq!(plan.method, DeliveryMethod::SmsLink);
    assert_eq!(plan.to, Address::Phone("+16175550101".into()));
    assert_eq!(plan.sender.as_deref(), Some("main"));
    assert_eq!(plan.because.len(), 1);
}

#[test]
fn a_landline_that_nobody_answers_is_called_again() {
    let mut occasion = invitation();
    occasion.attempts = vec![
        Attempt { method: DeliveryMethod::SmsLink, at: NOW - 700, failure: Failure::Landline },
        Attempt { method: DeliveryMethod::VoiceCall, at: NOW - 600, failure: Failure::NoAnswer },
    ];
    let route = host::answering(&Answers::default(), || choose(&occasion));
    assert!(matches!(&route, Route::Wait(it) if it.until == NOW + 3000), "{route:?}");
}

#[test]
fn a_missing_answer_waits_until_the_deadline() {
    let answers = Answers { survey: Err(RedcapError::Unavailable("down".into())), ..Answers::default() };
    for (not_after, expected) in [(None, true), (Some(NOW + 900), true), (Some(NOW + 899), false)] {
        let occasion = Occasion { not_after, ..invitation() };
        let route = host::answering(&answers, || choose(&occasion));
        assert_eq!(matches!(route, Route::Wait(_)), expected, "{not_after:?} {route:?}");
    }
}

#[test]
fn ids_are_kebab_case_and_unique() {
    let description = Router::describe();
    let ids: BTreeSet<&str> = description.rules.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), description.rules.len());
    let names: BTreeSet<&str> = description.settings.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), description.settings.len());
    for id in ids.iter().chain(&names) {
        assert!(id.bytes().all(|it| it.is_ascii_lowercase() || it == b'-'), "{id}");
    }
}

fn method() -> impl Strategy<Value = DeliveryMethod> {
    use DeliveryMethod::{Email, SmsConversation, SmsLink, SmsText, SmsToMakeCall, SmsToReceiveCall};
    prop_oneof![
        Just(Email),
        Just(SmsLink),
        Just(SmsConversation),
        Just(SmsToMakeCall),
        Just(SmsToReceiveCall),
        Just(SmsText),
        Just(DeliveryMethod::VoiceCall),
        Just(DeliveryMethod::VoiceMessage),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    use Failure::{Busy, Expired, Filtered, Landline, NoAnswer, OptedOut, Unreachable};
    prop_oneof![
        Just(NoAnswer),
        Just(Busy),
        Just(Unreachable),
        Just(Landline),
        Just(OptedOut),
        Just(Filtered),
        Just(Expired),
    ]
}

fn purpose() -> impl Strategy<Value = Purpose> {
    use Purpose::{Acknowledgement, Alert, Confirmation, Dialogue, Help, Invitation, Notification, Reminder};
    prop_oneof![
        Just(Invitation),
        Just(Reminder),
        Just(Alert),
        Just(Dialogue),
        Just(Acknowledgement),
        Just(Confirmation),
        Just(Purpose::OptOutConfirmation),
        Just(Help),
        Just(Notification),
    ]
}

fn channels() -> impl Strategy<Value = Vec<Channel>> {
    prop::collection::vec(prop_oneof![Just(Channel::Email), Just(Channel::Sms), Just(Channel::Voice)], 0..3)
}

fn line() -> impl Strategy<Value = Result<LineType, TwilioError>> {
    prop_oneof![
        Just(Ok(LineType::Mobile)),
        Just(Ok(LineType::Landline)),
        Just(Ok(LineType::Unknown)),
        Just(Err(TwilioError::NoNumber)),
        Just(Err(TwilioError::Unavailable("down".into()))),
    ]
}

fn recipient() -> impl Strategy<Value = Recipient> {
    prop_oneof![
        4 => Just(Recipient::Participant),
        1 => Just(staff()),
        1 => Just(Recipient::Number("+16175550102".into())),
    ]
}

proptest! {
    /// Whatever the facts: a plan goes to an address of the recipient over an open channel, a wait lies
    /// ahead and in time, and every finding cites a declared rule.
    #[test]
    fn every_route_is_sound(
        purpose in purpose(),
        recipient in recipient(),
        (phone, email, known) in (any::<bool>(), any::<bool>(), any::<bool>()),
        preference in prop::option::of(method()),
        enabled in prop::collection::vec(method(), 0..4),
        default_method in method(),
        closed in channels(),
        attempts in prop::collection::vec((method(), failure(), 0..9000_u32), 0..5),
        not_after in prop::option::of(NOW - 10..NOW + 9000),
        line in line(),
        by_email in any::<bool>(),
        heads_up in any::<bool>(),
    ) {
        let mut occasion = Occasion { purpose, recipient, not_after, ..invitation() };
        occasion.attempts = attempts
            .into_iter()
            .map(|(method, failure, ago)| Attempt { method, failure, at: NOW - ago })
            .collect();
        occasion.project.enabled_methods = enabled;
        occasion.project.default_method = default_method;
        if known {
            let someone = occasion.participant.as_mut().unwrap();
            someone.preference = preference;
            someone.opt_outs = closed.iter().map(|it| OptOut { channel: *it, at: NOW - 5 }).collect();
            if !phone { someone.phone = None; }
            if !email { someone.email = None; }
        } else {
            occasion.participant = None;
        }
        let mut answers = Answers { line, ..Answers::default() }
            .with("email-after-opt-out", Value::Truth(by_email));
        if heads_up {
            answers = answers.with("heads-up-wording", Value::Text("call-coming".into()));
        }
        let route = host::answering(&answers, || choose(&occasion));
        let declared: BTreeSet<&str> = RULES.iter().map(|it| it.id).collect();
        let findings = match &route {
            Route::Contact(plan) => {
                let reach = Reach::of(&occasion);
                prop_assert!(reach.address(plan.method).as_ref() == Some(&plan.to));
                let exempt = matches!(purpose, Purpose::OptOutConfirmation | Purpose::Help);
                prop_assert!(exempt || !reach.opted_out(reach::channel(plan.method)));
                prop_assert!(not_after.is_none_or(|it| NOW <= it));
                plan.because.clone()
            }
            Route::Wait(wait) => {
                prop_assert!(wait.until > NOW && not_after.is_none_or(|it| wait.until <= it));
                vec![wait.because.clone()]
            }
            Route::Skip(finding) => vec![finding.clone()],
        };
        for finding in findings {
            prop_assert!(declared.contains(finding.rule.as_str()), "{}", finding.rule);
            prop_assert!(!finding.sentence.contains("+1617") && !finding.sentence.ends_with('.'));
        }
    }
}
