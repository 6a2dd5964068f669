//! Render: the template policy names pieces; the host fills, joins, measures and digests them.

use policy::contract::reviewer::{Approval, Draft, Filling};
use policy::contract::types::{Address, Channel, DeliveryMethod};
use policy::contract::wordings::{ApprovalState, Part, Piece};
use policy::contract::writer::Words;
use redcap::html::{has_tag, text_to_html};
use redcap::logic::Context;
use redcap::pipe::{
    Filled, LinkKind, LinkRequest, Piped, pipe, pipe_into_html, pipe_into_html_without_identifiers,
    pipe_without_identifiers,
};
use redcap::reference::{Instance, Surroundings};
use redcap::{Place, Record};
use twilio::SmartEncoding;

use crate::facts::{Known, sensitivity};
use crate::floor::PieceApproval;
use crate::outbox::{Reason, masked};
use crate::vocabulary::channel;
use crate::wording::Wording;

/// Pieces, filled and joined.
#[derive(Debug)]
pub struct Joined {
    /// The text.
    pub text: String,
    /// What stands behind each piece.
    pub pieces: Vec<PieceApproval>,
    /// The approvals in force.
    pub approvals: Vec<Approval>,
    /// The fields that were filled in.
    pub fillings: Vec<Filling>,
    /// The links.
    pub links: Vec<String>,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As a phone shows it.
    Plain,
    /// As an e-mail shows it. A wording without tags is plain text, and made HTML.
    Html,
}

impl Form {
    fn of(method: DeliveryMethod) -> Form {
        if channel(method) == Channel::Email { Form::Html } else { Form::Plain }
    }

    /// What stands between two pieces.
    fn between(self) -> char {
        if self == Form::Html { '\n' } else { ' ' }
    }
}

/// Fills and joins pieces into plain text, or says which of them cannot be filled.
pub fn join(known: &Known, pieces: &[Piece], language: &str) -> Result<Joined, Reason> {
    join_as(known, pieces, language, Form::Plain)
}

fn join_as(known: &Known, pieces: &[Piece], language: &str, form: Form) -> Result<Joined, Reason> {
    let mut joined =
        Joined { text: String::new(), pieces: vec![], approvals: vec![], fillings: vec![], links: vec![] };
    for piece in pieces {
        let Piece::Wording(id) = piece else {
            return Err(Reason::new("render.question", "there is no question at hand to take a label from"));
        };
        let Some(wording) = known.wording(id, language) else {
            let sentence = format!("there is no wording `{id}` in the language `{language}`");
            return Err(Reason::new("render.wording", masked(&sentence)));
        };
        let (text, fillings, links) = fill(known, &wording, form)?;
        if !joined.text.is_empty() {
            joined.text.push(form.between());
        }
        joined.text.push_str(text.trim());
        joined.pieces.push(PieceApproval {
            wording: id.clone(),
            state: wording.approval_state(known.now),
            part: wording.part,
            purposes: wording.purposes.clone(),
            methods: wording.methods.clone(),
            identifiers: wording.approval.iter().flat_map(|a| a.identifiers.clone()).collect(),
            fillings: fillings.clone(),
        });
        // That of the message itself comes first: what Twilio refuses, it refuses for its sake.
        if let Some(approval) = wording.approval_at(known.now) {
            let place = if wording.part == Part::Whole { 0 } else { joined.approvals.len() };
            joined.approvals.insert(place, approval);
        }
        joined.fillings.extend(fillings);
        joined.links.extend(links);
    }
    Ok(joined)
}

fn fill(known: &Known, wording: &Wording, form: Form) -> Result<(String, Vec<Filling>, Vec<String>), Reason> {
    let record = piped_record(known, wording);
    let place = known.place();
    let surroundings = surroundings(known);
    let context = Context::new(&known.model, &record, &place, known.civil());
    let context = Context { surroundings: &surroundings, ..context };
    let link = |wanted: &LinkRequest| {
        if let Some((_, link)) = known.links.iter().find(|(known, _)| known == wanted) {
            return Some(link.clone());
        }
        let own = known.survey.as_ref()?;
        // A link to another survey, event or repeat is another link, and not this one.
        let event = own.event.as_deref().unwrap_or(redcap::project::CLASSIC_EVENT);
        let same = wanted.instrument.as_ref().is_none_or(|instrument| *instrument == own.instrument)
            && wanted.event == event
            && match wanted.instance {
                None | Some(Instance::Current) => true,
                Some(Instance::Number(number)) => number == own.instance,
                Some(_) => false,
            };
        (wanted.kind == LinkKind::Survey && same).then(|| known.survey_link.clone()).flatten()
    };
    let withholds = known.schedule().is_some_and(|schedule| schedule.blanks_identifiers);
    let template = wording.text.as_str();
    // Whether it is HTML the wording says, and not what a participant typed.
    let piped = match (form, withholds) {
        (Form::Html, false) if has_tag(template) => pipe_into_html(template, &context, &link),
        (Form::Html, true) if has_tag(template) => {
            pipe_into_html_without_identifiers(template, &context, &link)
        }
        (_, false) => pipe(template, &context, &link),
        (_, true) => pipe_without_identifiers(template, &context, &link),
    };
    let piped = match form {
        Form::Html if !has_tag(template) => Piped { text: text_to_html(&piped.text), ..piped },
        _ => piped,
    };
    if let Some(problem) = piped.problems.first() {
        return Err(Reason::new(
            "render.piping",
            format!("the wording cannot be filled: {}", problem.sentence),
        ));
    }
    // REDCap would send six underscores. A participant can do nothing with them, unless the author
    // said that a blank leaves nothing behind.
    let intended = |filled: &Filled| filled.may_be_blank || (withholds && filled.identifier);
    if let Some(blank) = piped.filled.iter().find(|filled| filled.blank && !intended(filled)) {
        return Err(Reason::new(
            "render.blank",
            format!("the field `{}`, which the wording pipes, is blank", blank.field),
        ));
    }
    let fillings = piped
        .filled
        .iter()
        .map(|filled| {
            // What is withheld tells nobody anything.
            let tells = filled.identifier && !(withholds && filled.blank);
            Filling { field: filled.field.clone(), sensitivity: sensitivity(tells) }
        })
        .collect();
    Ok((piped.text, fillings, piped.links))
}

/// What a wording is filled from: the record as it is, or as it was when the message was scheduled.
fn piped_record(known: &Known, wording: &Wording) -> Record {
    let record = known.record.as_deref();
    if let Some(frozen) = &known.frozen
        && frozen.wordings.iter().any(|(id, _)| *id == wording.id)
    {
        let mut then = Record::new(record.map_or("", |record| &record.id));
        for held in &frozen.values {
            let (event, instrument) = (held.event.clone(), held.instrument.clone());
            then.set(&held.field, &Place { event, instrument, instance: held.instance }, &held.value);
        }
        return then;
    }
    record.cloned().unwrap_or_else(|| Record::new(""))
}

/// The participant's number, also where somebody else is written to.
fn participant_phone(known: &Known) -> Option<String> {
    let phone = match &known.record {
        Some(record) => crate::facts::phone_of(&known.project, &known.model, record),
        None => known.phone.clone(),
    };
    phone.map(|phone| phone.expose().to_owned())
}

fn surroundings(known: &Known) -> Surroundings {
    Surroundings {
        instrument: known.survey.as_ref().map(|survey| survey.instrument.clone()),
        as_survey: known.survey.as_ref().map(|_| true),
        participant_phone: participant_phone(known),
        project_id: Some(known.project.id.clone()),
        ..Surroundings::default()
    }
}

/// The links and codes that the words of an occasion may ask for, beside the link to its own survey.
pub(crate) fn links_wanted(known: &Known) -> Vec<LinkRequest> {
    let Some(schedule) = known.schedule() else { return vec![] };
    let Some(id) = &schedule.wording else { return vec![] };
    let mut wanted = Vec::new();
    let all = known.project.wordings.iter().chain(&known.design.wordings);
    let own = all.filter(|it| {
        it.id.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    for wording in own {
        let Some(wording) = known.wording(&wording.id, &wording.language) else { continue };
        let record = piped_record(known, &wording);
        let (place, surroundings) = (known.place(), surroundings(known));
        let context = Context::new(&known.model, &record, &place, known.civil());
        let context = Context { surroundings: &surroundings, ..context };
        let asked = std::cell::RefCell::new(Vec::new());
        // Only what it asks for is wanted of it.
        let _ = pipe(&wording.text, &context, &|request| {
            asked.borrow_mut().push(request.clone());
            Some(String::new())
        });
        for request in asked.into_inner() {
            if !wanted.contains(&request) {
                wanted.push(request);
            }
        }
    }
    wanted
}

/// The draft that a template policy's words make.
pub fn draft(
    known: &Known,
    words: &Words,
    method: DeliveryMethod,
    sender: Option<String>,
    to: Address,
) -> Result<(Draft, Vec<PieceApproval>), Reason> {
    let body = join_as(known, &words.pieces, &words.language, Form::of(method))?;
    let mut pieces = body.pieces;
    let mut approvals = body.approvals;
    let mut fillings = body.fillings;
    let subject = match &words.subject {
        Some(piece) => {
            let subject = join(known, std::slice::from_ref(piece), &words.language)?;
            pieces.extend(subject.pieces);
            approvals.extend(subject.approvals);
            fillings.extend(subject.fillings);
            // It is one line of a header.
            Some(subject.text.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        None => None,
    };
    let sms = channel(method) == Channel::Sms;
    let segments = if sms { twilio::measure(&body.text, SmartEncoding::Off).segments } else { 0 };
    let draft = Draft {
        method,
        sender,
        to,
        subject,
        body: body.text,
        language: words.language.clone(),
        segments,
        approvals,
        fillings,
        links: body.links,
    };
    Ok((draft, pieces))
}

/// What stands behind the pieces of a stored draft now: an approval may have ended since.
pub fn standing(known: &Known, draft: &Draft) -> Vec<PieceApproval> {
    let named: Vec<String> = draft
        .approvals
        .iter()
        .filter_map(|approval| known.wording(&approval.wording, &draft.language))
        .flat_map(|wording| wording.approval.into_iter().flat_map(|approval| approval.identifiers))
        .collect();
    let one = |approval: &Approval| {
        let wording = known.wording(&approval.wording, &draft.language);
        // The words on their way are those of the digest that was approved then.
        let same = wording.as_ref().filter(|wording| wording.digest() == approval.digest);
        PieceApproval {
            wording: approval.wording.clone(),
            state: same.map_or(ApprovalState::Absent, |wording| wording.approval_state(known.now)),
            part: wording.as_ref().map_or(Part::Whole, |wording| wording.part),
            purposes: wording.as_ref().map_or_else(Vec::new, |wording| wording.purposes.clone()),
            methods: wording.as_ref().map_or_else(Vec::new, |wording| wording.methods.clone()),
            identifiers: named.clone(),
            fillings: draft.fillings.clone(),
        }
    };
    draft.approvals.iter().map(one).collect()
}
