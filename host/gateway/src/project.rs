//! A project as the gateway runs it: REDCap's model, and the messaging settings that REDCap's XML does not
//! carry.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use jiff::tz::TimeZone;
use policy::Policy;
use policy::contract::twilio::SenderKind;
use policy::contract::types::{self, Consent, ConsentManner, DeliveryMethod, Protocol};
use twilio::PhoneNumber;

use crate::mail::{MailAccount, Mailbox};
use crate::schedule::Design;
use crate::wording::{Wording, WordingApproval};

/// A project that messages are sent for.
#[derive(Debug)]
pub struct Project {
    /// Its name in the configuration, in URLs and in the ledger.
    pub name: String,
    /// The REDCap project id, as policies see it.
    pub id: String,
    /// The study's name, for people.
    pub title: String,
    /// The REDCap API.
    pub redcap: redcap::Client,
    /// Another program that wants the project's Data Entry Trigger too.
    pub passes_trigger_on: Option<Arc<redcap::client::TriggerTarget>>,
    /// What REDCap says the project is; none until REDCap answered for the first time.
    pub design: RwLock<Option<Arc<Design>>>,
    /// What of REDCap's own schedules Consentry runs, and how.
    pub takes_over: TakesOver,
    /// The members of staff who may be written to.
    pub staff: Vec<Staff>,
    /// Approvals of texts that are written in REDCap, by digest.
    pub approvals: BTreeMap<String, WordingApproval>,
    /// The zone of the REDCap server's clock.
    pub zone: TimeZone,
    /// The zone's IANA name.
    pub zone_name: String,
    /// The language for those who prefer none.
    pub language: String,
    /// The region in which a number without a country code is read, "US".
    pub region: String,
    /// The fields that hold what the gateway needs to know of a participant.
    pub fields: ParticipantFields,
    /// The delivery methods that are enabled.
    pub methods: Vec<DeliveryMethod>,
    /// The method for those who prefer none.
    pub default_method: DeliveryMethod,
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// Consents that were entered by hand, by record.
    pub consents: BTreeMap<String, Vec<Consent>>,
    /// When a first text may go out although no consent is on record: the waiver or the verbal permission
    /// that the protocol documents.
    pub waiver: Option<String>,
    /// Which surveys are invited to, and when.
    pub invitations: Vec<InvitationRule>,
    /// The wordings, in every language.
    pub wordings: Vec<Wording>,
    /// The account.
    pub account: TwilioAccount,
    /// The mail server; none where the project sends no e-mail.
    pub mail: Option<MailAccount>,
    /// The three policies.
    pub policies: Policies,
    /// Texts that one number may get in 24 hours, whatever the policies say.
    pub ceiling: u32,
    /// Seconds that what REDCap said may be old when a message is reviewed for the second time.
    pub facts_max_age: u32,
    /// Seconds after its end at which what is private of a message is destroyed here; none to keep it.
    pub retention: Option<u32>,
}

/// What of REDCap's own schedules Consentry runs, and how.
#[derive(Clone, Debug)]
pub struct TakesOver {
    /// Automated survey invitations, by survey, or by survey and event: `diary`, `diary@week_1_arm_1`.
    pub invitations: Selection,
    /// Alerts, by title or by number: "Late diary", "#3".
    pub alerts: Selection,
    /// Whether a text is that of the moment when it was scheduled, or of when it goes out.
    pub content: Content,
    /// Whether what could not be sent is sent when its cause is mended in time.
    pub mends: bool,
    /// Seconds after it is due after which a message is not sent any more.
    pub not_after: u32,
    /// Messages that may become due within an hour; more are held until a person has looked.
    pub brake: u32,
    /// What becomes of what was due before the project went live.
    pub go_live: GoLive,
    /// Whether REDCap sends what its own definitions say.
    pub redcap_sends: RedcapSends,
    /// The link to the public survey, which REDCap's API does not tell: it belongs to no record.
    pub public_survey_link: Option<String>,
}

impl Default for TakesOver {
    fn default() -> TakesOver {
        TakesOver {
            invitations: Selection::default(),
            alerts: Selection::default(),
            content: Content::Frozen,
            mends: false,
            not_after: crate::schedule::NOT_AFTER,
            brake: 500,
            go_live: GoLive::Baseline,
            redcap_sends: RedcapSends::AsDesigned,
            public_survey_link: None,
        }
    }
}

/// Some of a kind, by name, or all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<String>);

impl Selection {
    /// Everything.
    pub const ALL: &'static str = "*";

    /// Whether something with any of these names is among them.
    pub fn includes(&self, names: &[&str]) -> bool {
        self.0.iter().any(|wanted| wanted == Selection::ALL || names.contains(&wanted.as_str()))
    }

    /// What is named in it.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|wanted| *wanted != Selection::ALL)
    }
}

/// Of which moment the words of a scheduled message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Of when it was scheduled, as in REDCap.
    Frozen,
    /// Of when it goes out.
    AtSend,
}

/// What becomes of what was due before a project went live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoLive {
    /// It is recorded, and a person releases what is wanted of it.
    Baseline,
    /// It is sent: the study begins here, and nothing was sent before.
    Everything,
}

/// Whether REDCap sends what its own definitions say. Where it does, what is active there is not run here: the
/// participant would get it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedcapSends {
    /// It sends what is active.
    AsDesigned,
    /// It sends nothing: its Twilio module is off, or there is none, as in a simulation.
    Never,
}

/// A member of staff whom an administrator registered: alerts may name this number or mailbox.
#[derive(Clone, Debug)]
pub struct Staff {
    /// A name for people, such as "on-call nurse".
    pub name: String,
    /// The phone.
    pub phone: Option<PhoneNumber>,
    /// The mailbox.
    pub email: Option<Mailbox>,
    /// Who registered it, and when.
    pub registered: String,
    /// The identifier fields that may be told to this person.
    pub identifiers: Vec<String>,
}

/// The fields that hold what the gateway needs to know of a participant, all optional but the phone.
#[derive(Clone, Debug, Default)]
pub struct ParticipantFields {
    /// The event at which they are; none for the first event.
    pub event: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// The mailbox.
    pub email: Option<String>,
    /// The preferred delivery method, by REDCap's codes.
    pub preference: Option<String>,
    /// The preferred language.
    pub language: Option<String>,
    /// The time zone.
    pub time_zone: Option<String>,
    /// Consent to texts.
    pub consent: Option<ConsentFields>,
    /// Where an opt-out is written.
    pub opt_out: Option<String>,
}

/// The fields that document consent to be texted.
#[derive(Clone, Debug)]
pub struct ConsentFields {
    /// When it was given; blank means that there is no consent.
    pub given: String,
    /// When it was withdrawn.
    pub withdrawn: Option<String>,
    /// The number that it names.
    pub phone: Option<String>,
    /// How it was obtained.
    pub manner: ConsentManner,
    /// The methods that it covers.
    pub covers: Vec<DeliveryMethod>,
}

/// A survey that participants are invited to when a condition becomes true.
#[derive(Clone, Debug)]
pub struct InvitationRule {
    /// Its id, part of the identity of every occasion it makes.
    pub id: String,
    /// The survey's instrument.
    pub survey: String,
    /// The survey's event.
    pub event: Option<String>,
    /// The condition, in REDCap's logic.
    pub when: String,
    /// The wording, if the template policy is not to choose.
    pub wording: Option<String>,
    /// For how many seconds after it is due an invitation may still go out.
    pub not_after: u32,
}

/// The Twilio account that a project sends from.
#[derive(Debug)]
pub struct TwilioAccount {
    /// The REST API.
    pub client: twilio::Client,
    /// Checks webhook signatures.
    pub verifier: twilio::Verifier,
    /// The account's SID.
    pub sid: String,
    /// The number that texts come from.
    pub number: PhoneNumber,
    /// Its kind.
    pub kind: SenderKind,
    /// Who answers STOP, START and HELP.
    pub keywords: Keywords,
    /// Segments a second that the number may send.
    pub segments_a_second: u32,
    /// Calls a second that the account may place.
    pub calls_a_second: u32,
    /// Requests that run at once, at most.
    pub at_once: u32,
    /// Whether texts that say STOP or START stay at Twilio, where the institution reads opt-outs too.
    pub keep_opt_outs: bool,
    /// Hours after which what Twilio still keeps of us is an alarm.
    pub kept_alarm: u32,
    /// The account that pays for this one, if that is another.
    pub parent: Option<twilio::Client>,
    /// Millionths of the currency below which the money is an alarm.
    pub low_balance: Option<i64>,
    /// Who attested that Request Inspector is off.
    pub request_inspector_off: Option<String>,
    /// Whether the REST API is called with an API key, which may not be able to read the account.
    pub by_key: bool,
    /// Who attested that the account is not a trial account; counts only when Twilio will not say.
    pub full_account: Option<String>,
}

/// Who answers STOP, START and HELP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keywords {
    /// Twilio does, as it does by default for a number outside of a service.
    Twilio,
    /// Twilio does, by Advanced Opt-Out, and says so in the webhook.
    Advanced,
    /// Nobody but Consentry: a short code, or an account with keyword handling switched off.
    Consentry,
}

/// The policies that decide for a project.
#[derive(Clone, Debug)]
pub struct Policies {
    /// How a recipient is contacted.
    pub routing: Arc<Policy>,
    /// Which words are said.
    pub template: Arc<Policy>,
    /// Whether a message may go out, and what an inbound message means.
    pub compliance: Arc<Policy>,
}

impl Project {
    /// What is designed in REDCap, once REDCap has answered.
    pub fn design(&self) -> Option<Arc<Design>> {
        self.design.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// REDCap's model, once REDCap has answered.
    pub fn model(&self) -> Option<Arc<redcap::Project>> {
        self.design().map(|design| design.model.clone())
    }

    /// Takes REDCap's model in.
    pub fn set_model(&self, model: redcap::Project) {
        self.set_design(Design::of(self, model));
    }

    /// Takes in what is designed in REDCap.
    pub fn set_design(&self, design: Design) {
        *self.design.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(design));
    }

    /// The member of staff who has this number.
    pub fn staff_with_phone(&self, phone: &PhoneNumber) -> Option<&Staff> {
        self.staff.iter().find(|staff| staff.phone.as_ref() == Some(phone))
    }

    /// The member of staff who has this mailbox.
    pub fn staff_with_mailbox(&self, mailbox: &Mailbox) -> Option<&Staff> {
        self.staff.iter().find(|staff| staff.email.as_ref() == Some(mailbox))
    }

    /// As policies see it.
    pub fn for_policy(&self) -> types::Project {
        types::Project {
            id: self.id.clone(),
            title: self.title.clone(),
            protocol: self.protocol.clone(),
            enabled_methods: self.methods.clone(),
            default_method: self.default_method,
            time_zone: self.zone_name.clone(),
            language: self.language.clone(),
        }
    }
}
