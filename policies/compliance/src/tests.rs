//! What the tests of the rules share, and the tests of the policy as a whole.

use super::*;
use consentry_guest::{
    Address, Approval, Civil, Consent, ConsentManner, Finding, Instant, LogicValue, PastMessage, Place,
    Project, Protocol, RedcapError, ReviewBody, Staff, Survey, TimeError, Value, Weekday,
    compliance::Policy as _, host,
};
use std::collections::BTreeSet;

/// 2026-09-21T14:13:20Z, which is 10:13 in New York.
pub(crate) const NOW: u32 = 1_790_000_000;
pub(crate) const PHONE: &str = "+16175550101";

/// A host that answers as a test says.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) settings: Vec<(String, Value)>,
    pub(crate) logic: Result<LogicValue, RedcapError>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers { settings: Vec::new(), logic: Ok(LogicValue::Truth(true)) }
    }
}

impl Answers {
    pub(crate) fn with(mut self, name: &str, value: Value) -> Answers {
        self.settings.push((name.into(), value));
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Answers {
        self.with(name, Value::Text(value.into()))
    }
}

impl host::Host for Answers {
    fn get(&self, name: &str) -> Option<Value> {
        self.settings.iter().find(|it| it.0 == name).map(|it| it.1.clone())
    }
    fn evaluate(&self, _: &str, _: Option<&Place>) -> Result<LogicValue, RedcapError> {
        self.logic.clone()
    }
    fn local(&self, at: Instant, zone: &str) -> Result<(Civil, Weekday), TimeError> {
        let zone = jiff::tz::TimeZone::get(zone).map_err(|_| TimeError::UnknownZone(zone.into()))?;
        let at = jiff::Timestamp::from_second(i64::from(at)).unwrap();
        let at = zone.to_datetime(at);
        let small = |it: i8| u8::try_from(it).unwrap();
        let civil = Civil {
            year: u16::try_from(at.year()).unwrap(),
            month: small(at.month()),
            day: small(at.day()),
            hour: small(at.hour()),
            minute: small(at.minute()),
            second: small(at.second()),
        };
        Ok((civil, Weekday::Monday))
    }
    fn at(&self, civil: Civil, zone: &str) -> Result<Instant, TimeError> {
        let zone = jiff::tz::TimeZone::get(zone).map_err(|_| TimeError::UnknownZone(zone.into()))?;
        let small = |it: u8| i8::try_from(it).unwrap();
        let at = jiff::civil::DateTime::new(
            i16::try_from(civil.year).unwrap(),
            small(civil.month),
            small(civil.day),
            small(civil.hour),
            small(civil.minute),
            small(civil.second),
            0,
        )
        .and_then(|it| zone.to_timestamp(it))
        .map_err(|_| TimeError::NoSuchDate)?;
        u32::try_from(at.as_second()).map_err(|_| TimeError::NoSuchDate)
    }
}

pub(crate) fn instant(text: &str) -> Instant {
    u32::try_from(text.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap()
}

pub(crate) fn consent() -> Consent {
    Consent {
        given: NOW - 100,
        evidence: "consent_form".into(),
        manner: ConsentManner::Electronic,
        withdrawn: None,
        phone: Some(PHONE.into()),
        covers: vec![DeliveryMethod::SmsLink, DeliveryMethod::SmsConversation],
    }
}

pub(crate) fn approval(expires: Option<Instant>) -> Approval {
    Approval {
        wording: "invite".into(),
        digest: "sha256:00".into(),
        protocol: Some("2026P000123".into()),
        approved: NOW - 1000,
        expires,
    }
}

pub(crate) fn protocol(expires: Option<Instant>) -> Protocol {
    Protocol {
        number: "2026P000123".into(),
        reviewed_by: ReviewBody::LocalIrb,
        approved: NOW - 1000,
        expires,
    }
}

pub(crate) fn staff() -> Recipient {
    let addresses = vec![Address::Phone("+16175550111".into())];
    Recipient::Staff(Staff { addresses, opt_outs: Vec::new(), recent: Vec::new() })
}

pub(crate) fn participant() -> Participant {
    Participant {
        record: Some("101".into()),
        phone: Some(PHONE.into()),
        email: Some("p101@example.org".into()),
        preference: None,
        language: None,
        time_zones: Vec::new(),
        consents: vec![consent()],
        opt_outs: Vec::new(),
        recent: Vec::new(),
    }
}

pub(crate) fn project() -> Project {
    Project {
        id: "12".into(),
        title: "Sleep study".into(),
        protocol: Some(protocol(None)),
        enabled_methods: vec![DeliveryMethod::SmsLink],
        default_method: DeliveryMethod::SmsLink,
        time_zone: "America/New_York".into(),
        language: "en".into(),
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
        project: project(),
        recipient: Recipient::Participant,
        participant: Some(participant()),
    }
}

pub(crate) fn draft() -> Draft {
    let link = "https://redcap.uni.edu/surveys/?s=AB12";
    Draft {
        method: DeliveryMethod::SmsLink,
        sender: None,
        to: Address::Phone(PHONE.into()),
        subject: None,
        body: ["Sleep study: your diary is ready. ", link, " Reply STOP to end."].concat(),
        language: "en".into(),
        segments: 1,
        approvals: vec![approval(None)],
        fillings: Vec::new(),
        links: vec![link.into()],
    }
}

/// What the rules said, as one word and the rules cited; a deferral is told in seconds from `NOW`.
pub(crate) fn verdict(review: impl FnOnce(&mut Opinions)) -> String {
    verdict_from(NOW, None, review)
}

pub(crate) fn verdict_from(
    now: Instant,
    not_after: Option<Instant>,
    review: impl FnOnce(&mut Opinions),
) -> String {
    let mut opinions = Opinions::default();
    review(&mut opinions);
    told(now, opinions.verdict(not_after))
}

fn told(now: Instant, verdict: Verdict) -> String {
    let (word, findings) = match verdict {
        Verdict::Allow(it) => ("allow".to_owned(), it.because),
        Verdict::Defer(it) => (format!("defer {}", it.until - now), it.because),
        Verdict::Hold(findings) => ("hold".to_owned(), findings),
        Verdict::Deny(findings) => ("deny".to_owned(), findings),
    };
    check(&findings);
    findings.iter().fold(word, |told, it| told + " " + &it.rule)
}

/// Every finding cites a declared rule, and is a sentence for a coordinator that gives nothing away.
pub(crate) fn check(findings: &[Finding]) {
    for finding in findings {
        let rule = RULES.iter().find(|it| it.id == finding.rule).expect(&finding.rule);
        assert_eq!(finding.citation.as_deref(), rule.citation);
        assert!(!finding.sentence.ends_with('.') && !finding.sentence.contains("+1617"));
    }
}

#[test]
fn an_ordinary_invitation_may_go() {
    let verdict =
        host::answering(&Answers::default(), || Reviewer::review(invitation(), draft(), Stage::Planned));
    assert_eq!(told(NOW, verdict), "allow consent approval quiet-hours");
}

#[test]
fn the_strictest_rule_speaks() {
    let mut occasion = invitation();
    occasion.now = instant("2026-09-22T03:00:00Z");
    let review = |occasion: &Occasion, draft: &Draft, answers: &Answers| {
        told(occasion.now, host::answering(answers, || crate::review(occasion, draft)))
    };
    let silent = Answers::default();
    assert_eq!(review(&occasion, &draft(), &silent), "defer 32400 quiet-hours");

    let unapproved = Draft { approvals: Vec::new(), ..draft() };
    assert_eq!(review(&occasion, &unapproved, &silent), "hold approval-missing");

    let shortened = Draft { links: vec!["https://bit.ly/x".into()], ..unapproved };
    assert_eq!(review(&occasion, &shortened, &silent), "deny link-shortener");

    // REDCap is not asked for what is denied anyway.
    let unavailable = Answers { logic: Err(RedcapError::Unavailable("down".into())), ..Answers::default() }
        .text("consent-expression", "[ok] = '1'");
    assert_eq!(review(&occasion, &shortened, &unavailable), "deny link-shortener");
    assert_eq!(review(&occasion, &draft(), &unavailable), "hold consent-expression");
}

#[test]
fn an_answer_to_help_goes_at_night_without_consent_after_an_opt_out() {
    let mut occasion =
        Occasion { purpose: Purpose::Help, now: instant("2026-09-22T03:00:00Z"), ..invitation() };
    let someone = occasion.participant.as_mut().unwrap();
    someone.consents.clear();
    someone.opt_outs = vec![consentry_guest::OptOut { channel: Channel::Sms, at: NOW }];
    someone.recent =
        vec![PastMessage { at: NOW, purpose: Purpose::Invitation, method: DeliveryMethod::SmsLink }; 20];
    let draft = Draft { method: DeliveryMethod::SmsText, body: "Call the study.".into(), ..draft() };
    let verdict = host::answering(&Answers::default(), || crate::review(&occasion, &draft));
    assert_eq!(told(NOW, verdict), "allow approval");
}

#[test]
fn ids_are_kebab_case_and_unique() {
    let description = Reviewer::describe();
    let ids: BTreeSet<&str> = description.rules.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), description.rules.len());
    for id in ids.into_iter().chain(description.settings.iter().map(|it| it.name.as_str())) {
        assert!(id.bytes().all(|it| it.is_ascii_lowercase() || it == b'-'), "{id}");
    }
    assert!(description.rules.iter().all(|it| it.citation.is_some() && it.sentence.ends_with('.')));
}
