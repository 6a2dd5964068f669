//! The texts of a plan: each once, as it is approved or would have to be, however many schedules use it.

use gateway::project::Project;
use gateway::schedule::{Design, Schedule, To};
use gateway::vocabulary::{Word, channel};
use gateway::wording::Wording;
use policy::contract::types::{Channel, DeliveryMethod};
use policy::contract::wordings::{ApprovalState, Part};
use redcap::logic::Context;
use redcap::{Place, Record};
use serde::Serialize;
use twilio::{Encoding, SmartEncoding};

use super::words;

/// A text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Text {
    /// Its number in the plan; 0 for a wording of the project's own, which has an id.
    pub number: usize,
    /// Its id, for a wording of the project's own.
    pub id: Option<String>,
    /// "text message", "e-mail", "subject of an e-mail", "spoken text", or which part of a message it is.
    pub kind: &'static str,
    /// A BCP 47 tag.
    pub language: String,
    /// The purposes that it serves, where it does not serve all.
    pub purposes: Vec<&'static str>,
    /// The text, byte by byte as it is digested.
    pub text: String,
    /// The same in pieces, so that what is filled in can be marked.
    pub pieces: Vec<Piece>,
    /// The identifier fields that it fills in.
    pub identifiers: Vec<String>,
    /// What it measures before anything is filled in, if it is texted.
    pub measure: Option<Measure>,
    /// How it says how to opt out.
    pub opt_out: OptOut,
    /// Where its approval stands, as words.
    pub state: &'static str,
    /// Whether it is approved.
    pub is_approved: bool,
    /// The digest that an approval names.
    pub digest: String,
    /// Its approval, also one that is over.
    pub approval: Option<Approval>,
    /// The schedules that use it.
    pub schedules: Vec<String>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Piece {
    /// The words.
    pub text: String,
    /// Whether something is filled in here.
    pub is_slot: bool,
    /// Whether it says who somebody is.
    pub is_identifier: bool,
}

/// What a text measures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measure {
    /// Segments.
    pub segments: u32,
    /// Characters.
    pub characters: u32,
    /// "GSM-7" or "UCS-2".
    pub encoding: &'static str,
    /// Segments with the sentence that says how to opt out, where that is added.
    pub with_opt_out: Option<u32>,
}

/// How a text says how to opt out.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptOut {
    /// In its own words.
    Says,
    /// By the project's sentence, which is added.
    Added(String),
    /// It does not, and there is no sentence to add.
    Missing,
    /// It does not have to: it is no text to a participant.
    NotNeeded,
}

/// An approval.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    /// Who recorded it.
    pub by: String,
    /// The IRB's number.
    pub protocol: Option<String>,
    /// When it was approved.
    pub approved: String,
    /// When that ends.
    pub until: Option<String>,
    /// The identifier fields that it names.
    pub identifiers: Vec<String>,
}

/// Texts as they are found.
pub(super) struct Texts<'a> {
    project: &'a Project,
    design: &'a Design,
    now: u32,
    pub(super) all: Vec<Text>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(project: &'a Project, design: &'a Design, now: u32) -> Texts<'a> {
        Texts { project, design, now, all: Vec::new() }
    }

    /// The numbers of a schedule's texts.
    pub(super) fn of(&mut self, schedule: &Schedule) -> Vec<usize> {
        let to_participant = schedule.to.contains(&To::Participant);
        let mut numbers = Vec::new();
        for method in words::methods(schedule, self.project) {
            let subject = schedule.subject().filter(|_| method == DeliveryMethod::Email);
            let ids = [subject.map(|id| (id, true)), schedule.wording_for(method).map(|id| (id, false))];
            for (id, is_subject) in ids.into_iter().flatten() {
                let Some(wording) = self.design.wordings.iter().find(|wording| wording.id == id) else {
                    continue;
                };
                if wording.text.trim().is_empty() {
                    continue;
                }
                let kind = kind(method, is_subject);
                let digest = wording.digest();
                let known = self.all.iter().position(|text| text.digest == digest && text.kind == kind);
                let at = known.unwrap_or_else(|| {
                    let mut text = read(wording, kind, self.project, self.design, self.now);
                    text.number = self.all.len() + 1;
                    self.all.push(text);
                    self.all.len() - 1
                });
                let text = &mut self.all[at];
                if !text.schedules.contains(&schedule.id) {
                    text.schedules.push(schedule.id.clone());
                }
                if to_participant && channel(method) == Channel::Sms {
                    ends(text, self.project);
                }
                if !numbers.contains(&text.number) {
                    numbers.push(text.number);
                }
            }
        }
        numbers
    }
}

/// A wording of the project's own.
pub(super) fn own(wording: &Wording, project: &Project, design: &Design, now: u32) -> Text {
    let kind = match wording.part {
        Part::Whole => "message",
        Part::OptOut => "how to opt out",
        Part::FirstMessage => "what a first message says besides",
    };
    let mut text = read(wording, kind, project, design, now);
    text.id = Some(wording.id.clone());
    text.purposes = wording.purposes.iter().map(|purpose| purpose.word()).collect();
    let is_texted =
        wording.methods.is_empty() || wording.methods.iter().any(|it| channel(*it) == Channel::Sms);
    text.measure = is_texted.then(|| measure(&wording.text, None));
    text
}

fn kind(method: DeliveryMethod, is_subject: bool) -> &'static str {
    match channel(method) {
        Channel::Sms => "text message",
        Channel::Email if is_subject => "subject of an e-mail",
        Channel::Email => "e-mail",
        Channel::Voice => "spoken text",
    }
}

fn read(wording: &Wording, kind: &'static str, project: &Project, design: &Design, now: u32) -> Text {
    let (pieces, identifiers) = marked(&wording.text, &design.model);
    let state = wording.approval_state(now);
    let date = |instant| words::date(instant, project);
    Text {
        number: 0,
        id: None,
        kind,
        language: wording.language.clone(),
        purposes: vec![],
        text: wording.text.clone(),
        pieces,
        identifiers,
        measure: (kind == "text message").then(|| measure(&wording.text, None)),
        opt_out: OptOut::NotNeeded,
        state: match state {
            ApprovalState::Approved => "approved",
            ApprovalState::Submitted => "submitted, and not in force yet",
            ApprovalState::Expired => "its approval is over",
            ApprovalState::Absent => "not approved",
        },
        is_approved: state == ApprovalState::Approved,
        digest: wording.digest(),
        // One that names other words is none of these.
        approval: wording.approval.as_ref().filter(|it| it.digest == wording.digest()).map(|it| Approval {
            by: it.by.clone(),
            protocol: it.protocol.clone(),
            approved: date(it.approved),
            until: it.expires.map(date),
            identifiers: it.identifiers.clone(),
        }),
        schedules: vec![],
    }
}

/// A text to a participant says how to opt out, or is given a sentence that does.
fn ends(text: &mut Text, project: &Project) {
    let says = text.text.split(|it: char| !it.is_alphanumeric()).any(|word| word == "STOP");
    let sentence = || {
        let fits = |it: &&Wording| it.part == Part::OptOut && it.language == text.language;
        project.wordings.iter().find(fits).map(|it| it.text.clone())
    };
    text.opt_out = if says { OptOut::Says } else { sentence().map_or(OptOut::Missing, OptOut::Added) };
    let added = match &text.opt_out {
        OptOut::Added(sentence) => Some(sentence.as_str()),
        _ => None,
    };
    text.measure = Some(measure(&text.text, added));
}

fn measure(text: &str, added: Option<&str>) -> Measure {
    let of = |text: &str| twilio::measure(text, SmartEncoding::Off);
    let measured = of(text);
    Measure {
        segments: measured.segments,
        characters: measured.characters,
        encoding: match measured.encoding {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        },
        with_opt_out: added.map(|added| of(&[text.trim(), added].join(" ")).segments),
    }
}

/// A text in pieces, and the identifier fields among its slots.
fn marked(text: &str, model: &redcap::Project) -> (Vec<Piece>, Vec<String>) {
    let nobody = Record::new("");
    let place = Place { event: None, instrument: None, instance: 1 };
    let context = Context::new(model, &nobody, &place, jiff::civil::DateTime::default());
    let mut identifiers: Vec<String> = Vec::new();
    let slots: Vec<(String, bool)> = redcap::pipe::slots(text)
        .into_iter()
        .map(|slot| {
            let piped = redcap::pipe::pipe(&slot, &context, &|_| Some(String::new()));
            let found: Vec<_> =
                piped.filled.into_iter().filter(|it| it.identifier).map(|it| it.field).collect();
            let is_identifier = !found.is_empty();
            for field in found {
                if !identifiers.contains(&field) {
                    identifiers.push(field);
                }
            }
            (slot, is_identifier)
        })
        .collect();
    let piece = |text: &str| Piece { text: text.to_owned(), is_slot: false, is_identifier: false };
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        // The first slot that comes, and of two that begin at the same place the longer.
        let next = slots
            .iter()
            .filter_map(|(slot, is_identifier)| Some((rest.find(slot.as_str())?, slot, *is_identifier)))
            .min_by_key(|(at, slot, _)| (*at, std::cmp::Reverse(slot.len())));
        let Some((at, slot, is_identifier)) = next else { break };
        if at > 0 {
            pieces.push(piece(&rest[..at]));
        }
        pieces.push(Piece { text: slot.clone(), is_slot: true, is_identifier });
        rest = &rest[at + slot.len()..];
    }
    if !rest.is_empty() {
        pieces.push(piece(rest));
    }
    (pieces, identifiers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_text_are_the_text() {
        let model = include_bytes!("../../demo/sleep-study.xml");
        let (model, _) = redcap::odm::read_project(model.as_slice()).unwrap();
        let text = "Hi [first_name], [first_name]! Your diary: [survey-link].";
        let (pieces, identifiers) = marked(text, &model);
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
        let slots: Vec<_> =
            pieces.iter().filter(|it| it.is_slot).map(|it| (it.text.as_str(), it.is_identifier)).collect();
        assert_eq!(slots, [("[first_name]", true), ("[first_name]", true), ("[survey-link]", false)]);
        assert_eq!(identifiers, ["first_name"]);
    }
}
