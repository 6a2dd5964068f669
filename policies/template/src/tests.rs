//! What the tests of the rules share, and the tests of the policy as a whole.

use super::*;
use consentry_guest::{
    ApprovalState, Length, Participant, PastMessage, Project, Survey, Value, template::Policy as _,
};
use std::collections::BTreeSet;

pub(crate) const NOW: u32 = 1_790_000_000;

/// A host that answers as a test says.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) settings: Vec<(String, Value)>,
    pub(crate) wordings: Vec<Wording>,
    /// The segments of messages that begin with this wording; an empty id is any message.
    pub(crate) segments: Vec<(String, u32)>,
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
    fn find(&self, id: &str, language: &str) -> Option<Wording> {
        self.wordings.iter().find(|it| it.id == id && it.language == language).cloned()
    }
    fn list(&self, part: Part) -> Vec<Wording> {
        self.wordings.iter().filter(|it| it.part == part).cloned().collect()
    }
    fn measure(&self, pieces: &[Piece], _: &str) -> Length {
        let first = match &pieces[0] {
            Piece::Wording(id) => id,
            Piece::Label | Piece::Note | Piece::Choices(_) => "",
        };
        let segments = self.segments.iter().find(|it| it.0.is_empty() || it.0 == first).map_or(1, |it| it.1);
        Length { segments, characters: segments * 100 }
    }
}

pub(crate) fn wording(id: &str, language: &str, part: Part, text: &str) -> Wording {
    Wording {
        id: id.into(),
        language: language.into(),
        part,
        purposes: Vec::new(),
        methods: Vec::new(),
        text: text.into(),
        approval: ApprovalState::Approved,
    }
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
            enabled_methods: vec![DeliveryMethod::SmsLink, DeliveryMethod::Email],
            default_method: DeliveryMethod::SmsLink,
            time_zone: "America/New_York".into(),
            language: "en".into(),
        },
        recipient: Recipient::Participant,
        participant: Some(Participant {
            record: Some("101".into()),
            phone: Some("+16175550101".into()),
            email: Some("p101@example.org".into()),
            preference: None,
            language: None,
            time_zones: Vec::new(),
            consents: Vec::new(),
            opt_outs: Vec::new(),
            recent: vec![PastMessage {
                at: NOW - 9000,
                purpose: Purpose::Invitation,
                method: DeliveryMethod::SmsLink,
            }],
        }),
    }
}

fn project() -> Vec<Wording> {
    vec![
        wording("invite", "en", Part::Whole, "Your survey is ready: [survey-url]"),
        wording("invite", "es", Part::Whole, "Su encuesta está lista: [survey-url]"),
        wording("first", "en", Part::FirstMessage, "From the sleep study. Msg & data rates may apply."),
        wording("out", "en", Part::OptOut, "Reply STOP to opt out."),
        wording("out", "es", Part::OptOut, "Responda ALTO para no recibir más."),
    ]
}

fn told(occasion: &Occasion, method: DeliveryMethod, answers: &Answers) -> String {
    match host::answering(answers, || render(occasion, method)) {
        Ok(words) => {
            let mut told = words.language;
            for piece in words.pieces {
                let Piece::Wording(id) = piece else { panic!("{piece:?}") };
                told.push(' ');
                told.push_str(&id);
            }
            told
        }
        Err(finding) => {
            assert!(RULES.iter().any(|it| it.id == finding.rule), "{}", finding.rule);
            assert!(!finding.sentence.ends_with('.'));
            finding.rule
        }
    }
}

#[test]
fn a_message_is_put_together() {
    let heard = invitation();
    let mut new = invitation();
    new.participant.as_mut().unwrap().recent.clear();
    let mut spanish = invitation();
    spanish.participant.as_mut().unwrap().language = Some("es-US".into());
    let number =
        Occasion { recipient: Recipient::Number("+16175550199".into()), participant: None, ..invitation() };
    let help = Occasion { purpose: Purpose::Help, ..new.clone() };
    let sms = DeliveryMethod::SmsLink;
    for (name, occasion, method, expected) in [
        ("an invitation", &heard, sms, "en invite out"),
        ("the first one", &new, sms, "en invite first out"),
        ("in Spanish", &spanish, sms, "es invite out"),
        ("to a list", &number, sms, "en invite first out"),
        ("by e-mail", &new, DeliveryMethod::Email, "en invite"),
        ("by voice", &new, DeliveryMethod::VoiceCall, "en invite"),
        ("an answer to HELP", &help, sms, "en invite"),
    ] {
        let answers = Answers { wordings: project(), ..Answers::default() };
        assert_eq!(told(occasion, method, &answers), expected, "{name}");
    }
}

#[test]
fn an_opening_that_says_how_to_opt_out_is_enough() {
    let mut wordings = project();
    wordings[2].text = "Sleep study, 2 msgs/week. Reply HELP for help, STOP to end.".into();
    let mut new = invitation();
    new.participant.as_mut().unwrap().recent.clear();
    let answers = Answers { wordings, ..Answers::default() };
    assert_eq!(told(&new, DeliveryMethod::SmsLink, &answers), "en invite first");
}

#[test]
fn without_an_opt_out_sentence_there_is_no_text() {
    let mut wordings = project();
    wordings.retain(|it| it.part != Part::OptOut);
    let answers = Answers { wordings, ..Answers::default() };
    assert_eq!(told(&invitation(), DeliveryMethod::SmsLink, &answers), "no-opt-out-wording");
    assert_eq!(told(&invitation(), DeliveryMethod::Email, &answers), "en invite");
}

#[test]
fn staff_are_not_told_how_to_opt_out() {
    let staff = consentry_guest::Staff { addresses: Vec::new(), opt_outs: Vec::new(), recent: Vec::new() };
    let occasion = Occasion { recipient: Recipient::Staff(staff), purpose: Purpose::Alert, ..invitation() };
    let answers = Answers { wordings: project(), ..Answers::default() };
    assert_eq!(told(&occasion, DeliveryMethod::SmsText, &answers), "en invite");
}

#[test]
fn a_shorter_wording_is_chosen_before_giving_up() {
    let mut wordings = project();
    wordings.push(wording("short", "en", Part::Whole, "Survey: [survey-url]"));
    let segments = vec![("invite".to_owned(), 5), ("short".to_owned(), 1)];
    let answers = Answers { wordings, segments, ..Answers::default() };
    assert_eq!(told(&invitation(), DeliveryMethod::SmsLink, &answers), "en short out");

    let answers = Answers { wordings: project(), segments: vec![(String::new(), 5)], ..Answers::default() };
    assert_eq!(told(&invitation(), DeliveryMethod::SmsLink, &answers), "too-long");
    assert_eq!(told(&invitation(), DeliveryMethod::Email, &answers), "en invite");
}

#[test]
fn ids_are_kebab_case_and_unique() {
    let description = Writer::describe();
    let ids: BTreeSet<&str> = description.rules.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), description.rules.len());
    for id in ids.into_iter().chain(description.settings.iter().map(|it| it.name.as_str())) {
        assert!(id.bytes().all(|it| it.is_ascii_lowercase() || it == b'-'), "{id}");
    }
}
