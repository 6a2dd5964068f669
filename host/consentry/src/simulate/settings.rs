//! The project's file in a simulation: the one that the institution wrote, led to the simulated REDCap and Twilio;
//! or, where there is none, what it would have to say for anything to be sent, each of it told as an assumption.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::project::{Project, Selection};
use gateway::schedule::Design;
use gateway::wording::WordingApproval;
use miette::{IntoDiagnostic, miette};
use policy::Engine;
use policy::contract::types::{Consent, ConsentManner, DeliveryMethod};
use sandbox::Sandbox;
use secrecy::SecretString;
use toml::{Table, Value};

use super::Study;
use crate::config;

/// The project's name, whatever its file says.
pub const NAME: &str = "simulated";

/// Where nothing is: everything is called in this process.
pub(super) const PUBLIC_URL: &str = "https://consentry.invalid";
pub(super) const SECRET: &str = "simulated";
const BASE: &str = "https://sandbox.example";
const SID: &str = "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d";
const TOKEN: &str = "5a4db0c5a4db0c5a4db0c5a4db0c5a4d";
const API_TOKEN: &str = "5A4DB0C5A4DB0C5A4DB0C5A4DB0C5A4D";

/// Who approved what nobody did.
const ASSUMED: &str = "assumed by a simulation";
const SAMPLES: &str = "the sentences that end texts are sample ones, which count as approved";

/// What was taken for granted.
#[derive(Debug, Default)]
pub struct Assumed {
    /// Each of it as a sentence.
    pub sentences: Vec<String>,
}

/// A project that is ready to be connected.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) project: Project,
    pub(super) xml: String,
    model: redcap::Project,
    records: Vec<String>,
    is_assumed: bool,
    assumed: Assumed,
}

pub(super) fn secret() -> SecretString {
    SecretString::from(SECRET)
}

/// Reads the settings, as the daemon would.
pub(super) fn prepare(study: &Study) -> miette::Result<Prepared> {
    let (mut model, _) = redcap::odm::read_project(study.xml.as_bytes()).into_diagnostic()?;
    // Whoever is in the file is no participant of the simulation: its records are.
    let xml = if model.records.is_empty() {
        study.xml.clone()
    } else {
        model.records.clear();
        redcap::odm::write_project(&model)
    };
    let mut assumed = Assumed::default();
    let own: Table = match &study.settings {
        Some(text) => text.parse().into_diagnostic()?,
        None => Table::new(),
    };
    let table = merged(own, study, &model, &mut assumed);
    let folder = folder()?;
    let written = write(&folder, &table);
    let read = written.and_then(|path| {
        let engine = Arc::new(Engine::new().into_diagnostic()?);
        config::read(&path, &engine)
    });
    // Nothing but what was just written is in it.
    std::fs::remove_dir_all(&folder).into_diagnostic()?;
    let project = read?.projects.pop().ok_or_else(|| miette!("the settings are of no project"))?;
    let renamed = study.script.deeds.iter().filter_map(|deed| match &deed.what {
        super::What::Renamed(name) => Some(name.clone()),
        _ => None,
    });
    let records = study.rows.iter().map(|row| row.record.clone()).chain(renamed).collect();
    let is_assumed = study.assumes;
    Ok(Prepared { project, xml, model, records, is_assumed, assumed })
}

/// Connects a project to the simulated REDCap and Twilio.
pub(super) fn connect(prepared: Prepared, sandbox: &Sandbox) -> miette::Result<(Project, Assumed)> {
    let Prepared { mut project, model, records, is_assumed, mut assumed, .. } = prepared;
    let redcap = redcap::ClientConfig::new(&format!("{BASE}/redcap/api/"), SecretString::from(API_TOKEN));
    project.redcap = redcap::Client::over(redcap, sandbox.wire()).into_diagnostic()?;
    let twilio = twilio::ClientConfig {
        api_base: BASE.into(),
        lookups_base: BASE.into(),
        pricing_base: BASE.into(),
        account_sid: SID.into(),
        user: SID.into(),
        secret: SecretString::from(TOKEN),
    };
    project.account.client = twilio::Client::over(twilio, sandbox.wire()).into_diagnostic()?;
    project.account.verifier = twilio::Verifier::new(vec![SecretString::from(TOKEN)], BTreeMap::new());
    take_over(&mut project, &model, &mut assumed);
    if is_assumed {
        assume(&mut project, model, records, &mut assumed);
    }
    Ok((project, assumed))
}

/// A study as it is designed and configured, before anything is simulated.
#[derive(Debug)]
pub struct Designed {
    /// The project, with its policies. It is connected to nothing.
    pub project: Project,
    /// What is designed in REDCap, as the project takes it over.
    pub design: Design,
    /// What was taken for granted, each of it as a sentence.
    pub assumed: Vec<String>,
    /// The hosts of links that the institution wrote down; those of the project are a simulation's.
    pub link_hosts: Vec<String>,
}

/// Reads a study without simulating it. Nothing counts as approved that nobody approved, and nobody as consenting.
pub(crate) fn designed(study: &Study) -> miette::Result<Designed> {
    let link_hosts = link_hosts(study);
    let Prepared { mut project, model, mut assumed, .. } = prepare(study)?;
    take_over(&mut project, &model, &mut assumed);
    for wording in &mut project.wordings {
        wording.approval.take_if(|approval| approval.by == ASSUMED);
    }
    for sentence in assumed.sentences.iter_mut().filter(|sentence| *sentence == SAMPLES) {
        "the sentences that end texts are samples, which nobody has approved".clone_into(sentence);
    }
    let design = Design::of(&project, model);
    Ok(Designed { project, design, assumed: assumed.sentences, link_hosts })
}

fn link_hosts(study: &Study) -> Vec<String> {
    let own: Option<Table> = study.settings.as_ref().and_then(|text| text.parse().ok());
    let hosts = own.as_ref().and_then(|table| {
        table.get("policy")?.get("compliance")?.get("settings")?.get("link-hosts")?.as_array()
    });
    hosts.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the settings take over, or else everything that is active.
fn take_over(project: &mut Project, model: &redcap::Project, assumed: &mut Assumed) {
    if project.takes_over.invitations.0.is_empty() && project.takes_over.alerts.0.is_empty() {
        take_over_what_is_active(project, model);
        assumed
            .sentences
            .push("every invitation and alert that is active in REDCap is run by Consentry".into());
    }
}

fn take_over_what_is_active(project: &mut Project, model: &redcap::Project) {
    let named = |it: &redcap::project::AutomatedInvitation| {
        if model.longitudinal { format!("{}@{}", it.instrument, it.event) } else { it.instrument.clone() }
    };
    let invitations = model.invitations.iter().filter(|it| it.active).map(named).collect();
    let alerts = model.alerts.iter().filter(|it| it.active).map(|it| format!("#{}", it.number)).collect();
    project.takes_over.invitations = Selection(invitations);
    project.takes_over.alerts = Selection(alerts);
}

/// What no file says is taken for granted, so that there is something to look at.
fn assume(project: &mut Project, model: redcap::Project, records: Vec<String>, assumed: &mut Assumed) {
    let design = Design::of(project, model);
    for wording in &design.wordings {
        let approval = WordingApproval {
            digest: wording.digest(),
            by: ASSUMED.into(),
            protocol: None,
            approved: 0,
            expires: None,
            identifiers: vec![],
        };
        project.approvals.entry(approval.digest.clone()).or_insert(approval);
    }
    let covers = DeliveryMethod::ALL.iter().map(|(method, _)| *method).collect::<Vec<_>>();
    for record in records {
        let consent = Consent {
            given: 0,
            evidence: ASSUMED.into(),
            manner: ConsentManner::Written,
            withdrawn: None,
            phone: None,
            covers: covers.clone(),
        };
        project.consents.entry(record).or_insert_with(|| vec![consent]);
    }
    let told = [
        "every text of REDCap's is approved as it stands, without permission for identifier fields",
        "every participant has consented to every way of being written to",
    ];
    assumed.sentences.extend(told.map(str::to_owned));
    if project.staff.is_empty() {
        assumed.sentences.push("no member of staff is registered".into());
    }
}

use gateway::vocabulary::Word;

/// The settings with everything that a project's file must have.
fn merged(own: Table, study: &Study, model: &redcap::Project, assumed: &mut Assumed) -> Table {
    let mut table = own;
    let text = |words: &str| Value::String(words.to_owned());
    table.insert("name".into(), text(NAME));
    if !table.contains_key("title") {
        table.insert("title".into(), text(if model.title.is_empty() { "a study" } else { &model.title }));
    }
    let zone = table
        .get("redcap")
        .and_then(|redcap| redcap.get("time-zone"))
        .and_then(Value::as_str)
        .map_or_else(|| study.zone.iana_name().unwrap_or("UTC").to_owned(), str::to_owned);
    let mut redcap = Table::new();
    for (key, value) in
        [("url", "https://sandbox.example/redcap/api/"), ("project-id", "1"), ("time-zone", &zone)]
    {
        redcap.insert(key.into(), text(value));
    }
    redcap.insert("token".into(), file("redcap.txt"));
    table.insert("redcap".into(), Value::Table(redcap));
    let mut twilio = Table::new();
    // Who answers STOP, and what kind of number it is, is the institution's; where Twilio is, is not.
    if let Some(Value::Table(own)) = table.get("twilio") {
        for key in ["kind", "keywords", "keep-opt-outs", "segments-per-second"] {
            twilio.extend(own.get(key).map(|value| (key.to_owned(), value.clone())));
        }
    }
    for (key, value) in [
        ("account-sid", SID),
        ("number", "+16175550100"),
        ("api-base", BASE),
        ("lookups-base", BASE),
        ("pricing-base", BASE),
    ] {
        twilio.insert(key.into(), text(value));
    }
    twilio.insert("auth-token".into(), file("twilio.txt"));
    twilio.entry("segments-per-second").or_insert(Value::Integer(100));
    let mut attested = Table::new();
    attested.insert("request-inspector-off".into(), text("the simulation"));
    twilio.insert("attested".into(), Value::Table(attested));
    table.insert("twilio".into(), Value::Table(twilio));
    if !table.contains_key("participant") {
        let phone = phone_field(model);
        assumed.sentences.push(format!("participants' numbers are in the field `{phone}`"));
        let mut participant = Table::new();
        participant.insert("phone-field".into(), text(&phone));
        if let Some(email) = &model.invitation_email_field {
            participant.insert("email-field".into(), text(email));
        }
        table.insert("participant".into(), Value::Table(participant));
    }
    if !table.contains_key("messages") {
        let mut messages = Table::new();
        messages.insert("methods".into(), Value::Array(vec![text("sms-link")]));
        messages.insert("default-method".into(), text("sms-link"));
        table.insert("messages".into(), Value::Table(messages));
    }
    if !table.contains_key("wording") {
        let sentences = sample_wordings();
        table.insert("wording".into(), Value::Array(sentences));
        assumed.sentences.push(SAMPLES.into());
    }
    let schedules = table.entry("schedules").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(schedules) = schedules {
        // A simulation begins before anything was sent, and nobody is there to look.
        schedules.insert("go-live".into(), text("everything"));
        schedules.insert("brake".into(), Value::Integer(1_000_000));
        // What is active in REDCap is what is to be simulated.
        schedules.insert("redcap-sends".into(), text("never"));
    }
    policies(&mut table, study, assumed);
    table
}

fn policies(table: &mut Table, study: &Study, assumed: &mut Assumed) {
    let own = match table.remove("policy") {
        Some(Value::Table(own)) => own,
        _ => {
            assumed.sentences.push("the reference policies decide, with their usual settings".into());
            Table::new()
        }
    };
    let mut policy = Table::new();
    for (world, grants) in [
        ("routing", &["redcap", "redcap-write", "twilio", "twilio-send"][..]),
        ("template", &[]),
        ("compliance", &["redcap", "twilio"]),
    ] {
        let mut one = match own.get(world) {
            Some(Value::Table(one)) => one.clone(),
            _ => Table::new(),
        };
        if !one.contains_key("grants") && !one.contains_key("component") {
            let grants = grants.iter().map(|grant| Value::String((*grant).to_owned())).collect();
            one.insert("grants".into(), Value::Array(grants));
        }
        let beside = study.policies.join(format!("{world}.wasm"));
        let component = match one.get("component").and_then(Value::as_str) {
            Some(written) if study.folder.join(written).exists() => study.folder.join(written),
            _ => beside,
        };
        one.insert("component".into(), Value::String(component.display().to_string()));
        if world == "compliance" {
            let settings = one.entry("settings").or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(settings) = settings {
                // Links to surveys lead to the simulated REDCap; others lead where they did.
                let hosts = ["sandbox.example", "127.0.0.1"].map(|host| Value::String(host.to_owned()));
                let known = settings.entry("link-hosts").or_insert_with(|| Value::Array(vec![]));
                if let Value::Array(known) = known {
                    known.extend(hosts);
                }
            }
        }
        policy.insert(world.into(), Value::Table(one));
    }
    table.insert("policy".into(), Value::Table(policy));
}

/// The field of participants' numbers: the one that alerts name, or else the first that is validated as a phone.
fn phone_field(model: &redcap::Project) -> String {
    let named = model.alerts.iter().find_map(|alert| {
        let name = alert.phone_number_to.strip_prefix('[')?.strip_suffix(']')?;
        model.field(name).map(|field| field.name.clone())
    });
    let is_phone = |field: &&redcap::project::Field| {
        field.validation.as_deref().is_some_and(|validation| validation.starts_with("phone"))
    };
    named
        .or_else(|| model.fields.iter().find(is_phone).map(|field| field.name.clone()))
        .unwrap_or_else(|| "phone".into())
}

fn sample_wordings() -> Vec<Value> {
    let one = |id: &str, part: &str, purposes: &[&str], words: &str| {
        let mut wording = Table::new();
        let text = |words: &str| Value::String(words.to_owned());
        for (key, value) in [("id", id), ("language", "en"), ("part", part), ("text", words)] {
            wording.insert(key.into(), text(value));
        }
        let purposes = purposes.iter().map(|purpose| text(purpose)).collect();
        wording.insert("purposes".into(), Value::Array(purposes));
        let mut approval = Table::new();
        approval.insert("digest".into(), text(&gateway::wording::digest("en", words)));
        approval.insert("by".into(), text(ASSUMED));
        approval.insert("approved".into(), text("2000-01-01"));
        wording.insert("approval".into(), Value::Table(approval));
        Value::Table(wording)
    };
    vec![
        one("opt-out", "opt-out", &[], "Reply STOP to end texts."),
        one(
            "opt-out-confirmation",
            "message",
            &["opt-out-confirmation"],
            "You will get no more texts from us.",
        ),
        one("help", "message", &["help"], "Ask the study team. Reply STOP to end texts."),
    ]
}

fn file(name: &str) -> Value {
    let mut table = Table::new();
    table.insert("file".into(), Value::String(name.to_owned()));
    Value::Table(table)
}

fn write(folder: &std::path::Path, project: &Table) -> miette::Result<std::path::PathBuf> {
    let daemon = format!(
        "listen = \"127.0.0.1:0\"\npublic-url = \"{PUBLIC_URL}\"\ndatabase = \"unused.db\"\n\
         keys = {{ file = \"keys.txt\" }}\ntrigger-secret = {{ file = \"trigger.txt\" }}\nprojects = [\"project.toml\"]\n"
    );
    let keys = gateway::vault::Keys::generate().into_diagnostic()?;
    let text = toml::to_string(project).into_diagnostic()?;
    for (name, words) in [
        ("redcap.txt", API_TOKEN),
        ("twilio.txt", TOKEN),
        ("trigger.txt", SECRET),
        ("keys.txt", keys.as_str()),
        ("project.toml", text.as_str()),
        ("consentry.toml", daemon.as_str()),
    ] {
        std::fs::write(folder.join(name), words).into_diagnostic()?;
    }
    Ok(folder.join("consentry.toml"))
}

fn folder() -> miette::Result<std::path::PathBuf> {
    crate::demo::folder()
}
