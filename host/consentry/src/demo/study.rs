//! What is demonstrated: the study that ships with Consentry, or a project of somebody's own with sample
//! records, consents and approvals, which are labelled as such.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use gateway::wording::digest;
use miette::{IntoDiagnostic, miette};
use redcap::html::html_to_text;
use redcap::project::{Field, FieldKind};
use redcap::{Place, Record};
use sandbox::Sandbox;

use super::e164;

/// The secret in the Data Entry Trigger's address. The sandbox listens on this machine only.
pub(super) const TRIGGER_SECRET: &str = "demo-trigger";

/// The sandbox's token and auth token, as it makes them up.
const API_TOKEN: &str = "5A4DB0C5A4DB0C5A4DB0C5A4DB0C5A4D";
const ACCOUNT_SID: &str = "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d";
const AUTH_TOKEN: &str = "5a4db0c5a4db0c5a4db0c5a4db0c5a4d";
const NUMBER: &str = "+16175550100";

/// Whom the story is about.
#[derive(Debug, Clone)]
pub struct Story {
    /// The participant who answers the survey and then sends STOP.
    pub record: String,
    /// Their number.
    pub number: String,
    /// Their answers, by field. What else the page asks is answered with the first thing that fits.
    pub answers: Vec<(String, String)>,
    /// The survey of the second invitation.
    pub second_survey: String,
    /// Another participant, who refuses in plain words: number and words.
    pub refuser: Option<(String, String)>,
    /// The fields of the survey, to answer what the page asks.
    pub fields: Vec<Field>,
    /// What was made up for a project of somebody's own.
    pub samples: Option<&'static str>,
}

/// A study to demonstrate.
pub(super) struct Study {
    pub(super) name: String,
    pub(super) xml: String,
    pub(super) zone: String,
    pub(super) phone_field: String,
    pub(super) landlines: Vec<String>,
    pub(super) story: Story,
    title: String,
    region: String,
    language: String,
    /// TOML of `[participant]`, `[[invitation]]`, `[[consent]]`.
    people: String,
    wordings: Vec<Sample>,
    consent_expression: Option<&'static str>,
    approved_by: &'static str,
    identifiers: Vec<String>,
}

struct Sample {
    id: &'static str,
    language: &'static str,
    part: &'static str,
    purposes: &'static [&'static str],
    methods: &'static [&'static str],
    text: String,
    identifiers: Vec<String>,
}

impl Study {
    /// The study that ships with Consentry.
    pub(super) fn ours() -> Study {
        let name = || vec!["first_name".to_owned()];
        let says = |id, language, part, purposes, methods, text: &str, identifiers| Sample {
            id,
            language,
            part,
            purposes,
            methods,
            text: text.into(),
            identifiers,
        };
        let invitation: &[&str] = &["invitation", "reminder"];
        let link: &[&str] = &["sms-link"];
        let wordings = vec![
            says(
                "invitation",
                "en",
                "message",
                invitation,
                link,
                "Hi [first_name], this is the Northfield Sleep Study. Your survey is ready: [survey-link]",
                name(),
            ),
            says(
                "invitation",
                "es",
                "message",
                invitation,
                link,
                "Hola [first_name], le escribe el estudio del sueño de Northfield. Su encuesta: [survey-link]",
                name(),
            ),
            says("opt-out", "en", "opt-out", &[], &[], "Reply STOP to end texts.", vec![]),
            says("opt-out", "es", "opt-out", &[], &[], "Responda STOP para no recibir mensajes.", vec![]),
            says(
                "first-message",
                "en",
                "first-message",
                &[],
                &[],
                "About 2 texts a week. Msg & data rates may apply. Questions? Call 617-555-0142.",
                vec![],
            ),
            says(
                "first-message",
                "es",
                "first-message",
                &[],
                &[],
                "Unos 2 mensajes por semana. Pueden aplicarse cargos. Llame al 617-555-0142.",
                vec![],
            ),
            says(
                "opt-out-confirmation",
                "en",
                "message",
                &["opt-out-confirmation"],
                &[],
                "The Northfield Sleep Study will not text you any more. Questions? Call 617-555-0142.",
                vec![],
            ),
            says(
                "opt-out-confirmation",
                "es",
                "message",
                &["opt-out-confirmation"],
                &[],
                "El estudio del sueño de Northfield no le enviará más mensajes. Llame al 617-555-0142.",
                vec![],
            ),
            says(
                "help",
                "en",
                "message",
                &["help"],
                &[],
                "Northfield Sleep Study. Questions? Call 617-555-0142. Reply STOP to end texts.",
                vec![],
            ),
            says(
                "help",
                "es",
                "message",
                &["help"],
                &[],
                "Estudio del sueño de Northfield. Llame al 617-555-0142. Responda STOP para no recibir mensajes.",
                vec![],
            ),
        ];
        let people = "\
[participant]
phone-field = \"mobile\"
email-field = \"email\"
preference-field = \"preference\"
language-field = \"language\"
time-zone-field = \"zone\"
opt-out-field = \"texts_stopped\"

# Consent to texts is documented in REDCap, with its date.
[participant.consent]
given-field = \"text_consent_date\"
phone-field = \"mobile\"
manner = \"electronic\"
covers = [\"sms-link\"]

[[invitation]]
id = \"diary\"
survey = \"sleep_diary\"
when = \"[enrolled] = '1'\"
";
        let answers =
            [("bed_time", "22:45"), ("hours_slept", "7.5"), ("sleep_quality", "4"), ("woke_up", "0")];
        let own = |(field, value): (&str, &str)| (field.to_owned(), value.to_owned());
        Study {
            name: "sleep".into(),
            xml: include_str!("../../demo/sleep-study.xml").into(),
            zone: "America/New_York".into(),
            phone_field: "mobile".into(),
            landlines: vec!["+16175550123".into()],
            story: Story {
                record: "1".into(),
                number: "+16175550121".into(),
                answers: answers.map(own).into(),
                second_survey: "weekly_checkin".into(),
                refuser: Some(("+16175550122".into(), "Por favor, no me escriban más".into())),
                fields: vec![],
                samples: None,
            },
            title: "Northfield Sleep Study".into(),
            region: "US".into(),
            language: "en".into(),
            people: people.into(),
            wordings,
            consent_expression: Some("[text_consent] = '1'"),
            approved_by: "the IRB of the made-up Northfield Institute",
            identifiers: name(),
        }
    }

    /// Somebody's own project.
    pub(super) fn theirs(xml: &[u8], phone_field: Option<&str>) -> miette::Result<Study> {
        let (mut project, _) = redcap::odm::read_project(xml).into_diagnostic()?;
        let region = region(&project);
        let phone = phone_field.map(str::to_owned).or_else(|| designated(&project)).ok_or_else(|| {
            miette!(
                help = "say which with --phone-field NAME",
                "no field of the project is used as a phone number"
            )
        })?;
        let field = project.field(&phone).cloned();
        let field = field.ok_or_else(|| miette!("the project has no field `{phone}`"))?;
        let invitation = project
            .invitations
            .iter()
            .filter(|it| {
                it.delivery_type.starts_with("SMS")
                    && project.survey(&it.instrument).is_some_and(|s| s.enabled)
            })
            .max_by_key(|it| it.active)
            .cloned();
        let survey = invitation.as_ref().map(|it| it.instrument.clone()).or_else(|| {
            project.surveys.iter().find(|survey| survey.enabled).map(|survey| survey.instrument.clone())
        });
        let survey = survey.ok_or_else(|| miette!("the project has no survey that takes answers"))?;
        let text = invitation.map_or_else(
            || "A survey is ready for you: [survey-link]".to_owned(),
            |it| one_line(&html_to_text(&it.content)),
        );
        let text = if text.contains("[survey-link") || text.contains("[survey-url") {
            text
        } else {
            text + " [survey-link]"
        };
        let identifiers: Vec<String> = redcap::pipe::slots(&text)
            .iter()
            .filter_map(|slot| project.field(slot.trim_matches(['[', ']'])))
            .filter(|field| field.identifier)
            .map(|field| field.name.clone())
            .collect();
        let event =
            project.form_events.iter().find(|mapped| mapped.instrument == survey).map(|m| m.event.clone());
        let phone_event = project
            .form_events
            .iter()
            .find(|mapped| mapped.instrument == field.instrument)
            .map(|m| m.event.clone());
        let numbers = sample_numbers(&region, &field);
        let mut consents = String::new();
        project.records.clear();
        for (index, typed) in numbers.iter().enumerate() {
            let id = format!("SAMPLE-{}", index + 1);
            let mut record = Record::new(&id);
            let event = phone_event.as_deref().unwrap_or(redcap::project::CLASSIC_EVENT);
            let place = Place::of(&project, event, &field.instrument, 1);
            record.set(&project.record_id_field, &place, &id);
            record.set(&phone, &place, typed);
            // What the wording pipes is filled in, so that the text can be seen whole.
            for slot in redcap::pipe::slots(&text) {
                let name = slot.trim_matches(['[', ']']).to_owned();
                if let Some(piped) = project.field(&name).filter(|piped| piped.kind == FieldKind::Text) {
                    let place = Place::of(&project, event, &piped.instrument, 1);
                    record.set(&name, &place, "Sample");
                }
            }
            project.records.push(record);
            let _ = write!(
                consents,
                "\n[[consent]]\nrecord = \"{id}\"\ngiven = 2026-01-01\nmanner = \"written\"\nevidence = \"SAMPLE consent, made \
                 for this demonstration\"\ncovers = [\"sms-link\"]\n"
            );
        }
        let number = |index: usize| numbers.get(index).and_then(|typed| e164(typed, &region));
        let first = number(0).ok_or_else(|| miette!("no sample number fits the field `{phone}`"))?;
        let mut people = format!("[participant]\nphone-field = \"{phone}\"\n");
        if let Some(event) = phone_event.filter(|_| project.longitudinal) {
            let _ = writeln!(people, "event = \"{event}\"");
        }
        let record_id = &project.record_id_field;
        let _ = write!(
            people,
            "\n[[invitation]]\nid = \"demo\"\nsurvey = \"{survey}\"\nwhen = \"[{record_id}] <> ''\"\n"
        );
        if let Some(event) = event.filter(|_| project.longitudinal) {
            let _ = writeln!(people, "event = \"{event}\"");
        }
        people.push_str(&consents);
        let second = project.surveys.iter().find(|other| other.enabled && other.instrument != survey);
        let second_survey = second.map_or_else(|| survey.clone(), |other| other.instrument.clone());
        let fields = project.fields_of(&survey).cloned().collect();
        let title = project.title.clone();
        let zone = match region.as_str() {
            "AU" => "Australia/Melbourne",
            "GB" => "Europe/London",
            _ => "America/New_York",
        };
        let sample = |id, part, purposes, text: &str, identifiers| Sample {
            id,
            language: "en",
            part,
            purposes,
            methods: &[],
            text: text.into(),
            identifiers,
        };
        let wordings = vec![
            sample("invitation", "message", &["invitation", "reminder"], &text, identifiers.clone()),
            sample("opt-out", "opt-out", &[], "Reply STOP to end texts.", vec![]),
            sample(
                "opt-out-confirmation",
                "message",
                &["opt-out-confirmation"],
                &format!("{title}: you will get no more texts."),
                vec![],
            ),
            sample("help", "message", &["help"], &format!("{title}. Reply STOP to end texts."), vec![]),
        ];
        Ok(Study {
            name: "project".into(),
            xml: redcap::odm::write_project(&project),
            zone: zone.into(),
            phone_field: phone,
            landlines: vec![],
            story: Story {
                record: "SAMPLE-1".into(),
                number: first,
                answers: vec![],
                second_survey,
                refuser: number(1).map(|number| (number, "please stop texting me".into())),
                fields,
                samples: Some(
                    "The records, consents and approvals below are SAMPLES, made for this demonstration.",
                ),
            },
            title,
            region,
            language: "en".into(),
            people,
            wordings,
            consent_expression: None,
            approved_by: "nobody: a SAMPLE approval, made for this demonstration",
            identifiers,
        })
    }

    /// Writes the configuration, and says where the daemon's file is.
    pub(super) fn write(
        &self,
        folder: &Path,
        policies: &Path,
        sandbox: &Sandbox,
        public_url: &str,
    ) -> io::Result<PathBuf> {
        std::fs::write(folder.join("redcap-token.txt"), API_TOKEN)?;
        std::fs::write(folder.join("twilio-token.txt"), AUTH_TOKEN)?;
        std::fs::write(folder.join("trigger-secret.txt"), TRIGGER_SECRET)?;
        let keys = gateway::vault::Keys::generate().map_err(io::Error::other)?;
        std::fs::write(folder.join("keys.txt"), keys)?;
        let project = format!("{}.toml", self.name);
        std::fs::write(folder.join(&project), self.toml(policies, sandbox))?;
        let daemon = format!(
            "listen = \"127.0.0.1:0\"\npublic-url = \"{public_url}\"\ndatabase = \"consentry.db\"\n\
             keys = {{ file = \"keys.txt\" }}\ntrigger-secret = {{ file = \"trigger-secret.txt\" }}\nprojects = [\"{project}\"]\n"
        );
        let path = folder.join("consentry.toml");
        std::fs::write(&path, daemon)?;
        Ok(path)
    }

    fn toml(&self, policies: &Path, sandbox: &Sandbox) -> String {
        let Study { name, title, zone, language, region, people, .. } = self;
        let (redcap, base) = (sandbox.redcap_url(), sandbox.twilio_url());
        let mut toml = format!(
            "name = \"{name}\"\ntitle = {title}\n\n[redcap]\nurl = \"{redcap}\"\ntoken = {{ file = \"redcap-token.txt\" }}\n\
             project-id = \"1\"\ntime-zone = \"{zone}\"\n\n[twilio]\naccount-sid = \"{ACCOUNT_SID}\"\n\
             auth-token = {{ file = \"twilio-token.txt\" }}\nnumber = \"{NUMBER}\"\nkind = \"long-code\"\n\
             keywords = \"twilio\"\napi-base = \"{base}\"\nlookups-base = \"{base}\"\npricing-base = \"{base}\"\n\n[twilio.attested]\n\
             request-inspector-off = \"the demonstration\"\n\n[schedules]\ngo-live = \"everything\"\n\n[messages]\nlanguage = \"{language}\"\n\
             region = \"{region}\"\nmethods = [\"sms-link\"]\ndefault-method = \"sms-link\"\n\n[protocol]\n\
             number = \"DEMO-2026-001\"\nreviewed-by = \"local-irb\"\napproved = 2026-01-01\n\n{people}\n",
            title = text(title),
        );
        for sample in &self.wordings {
            self.wording(&mut toml, sample);
        }
        self.policies(&mut toml, policies);
        toml
    }

    fn wording(&self, toml: &mut String, sample: &Sample) {
        let Sample { id, language, part, purposes, methods, text: words, identifiers } = sample;
        let list =
            |items: &[&str]| items.iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", ");
        let identifiers = identifiers.iter().map(String::as_str).collect::<Vec<_>>();
        let _ = write!(
            toml,
            "[[wording]]\nid = \"{id}\"\nlanguage = \"{language}\"\npart = \"{part}\"\npurposes = [{}]\nmethods = [{}]\n\
             text = {}\n[wording.approval]\ndigest = \"{}\"\nby = {}\nprotocol = \"DEMO-2026-001\"\n\
             approved = 2026-01-01\nidentifiers = [{}]\n\n",
            list(purposes),
            list(methods),
            text(words),
            digest(language, words),
            text(self.approved_by),
            list(&identifiers),
        );
    }

    fn policies(&self, toml: &mut String, folder: &Path) {
        let component = |world: &str| text(&folder.join(format!("{world}.wasm")).display().to_string());
        let identifiers: Vec<_> = self.identifiers.iter().map(|field| format!("\"{field}\"")).collect();
        let expression = self
            .consent_expression
            .map_or_else(String::new, |logic| format!("consent-expression = {}\n", text(logic)));
        let _ = write!(
            toml,
            "[policy.routing]\ncomponent = {}\ngrants = [\"redcap\", \"redcap-write\", \"twilio\", \"twilio-send\"]\n\n\
             [policy.template]\ncomponent = {}\n\n\
             [policy.compliance]\ncomponent = {}\ngrants = [\"redcap\", \"twilio\"]\n\n\
             [policy.compliance.settings]\nlink-hosts = [\"127.0.0.1\"]\nidentifiers-allowed = [{}]\n{expression}",
            component("routing"),
            component("template"),
            component("compliance"),
            identifiers.join(", "),
        );
    }
}

/// A value that answers a field, for a page that asks for it.
pub(crate) fn answer(field: &Field, today: jiff::civil::Date) -> Option<(String, String)> {
    let value = match field.kind {
        FieldKind::Radio | FieldKind::Dropdown | FieldKind::YesNo | FieldKind::TrueFalse => {
            field.choices.first()?.code.clone()
        }
        FieldKind::Checkbox => {
            let code = &field.choices.first()?.code;
            return Some((redcap::record::checkbox_column(&field.name, code), "1".into()));
        }
        FieldKind::Slider => "50".into(),
        FieldKind::Text | FieldKind::Notes => match field.validation.as_deref() {
            Some("integer" | "number") => field.min.clone().unwrap_or_else(|| "1".into()),
            Some(kind) if kind.starts_with("number") => field.min.clone().unwrap_or_else(|| "1".into()),
            Some("email") => "sample@example.org".into(),
            Some("phone") => "(617) 555-0131".into(),
            Some("time") => "08:00".into(),
            Some("zipcode") => "02139".into(),
            Some(kind) if kind.starts_with("datetime_seconds") => format!("{} 08:00:00", date(kind, today)),
            Some(kind) if kind.starts_with("datetime") => format!("{} 08:00", date(kind, today)),
            Some(kind) if kind.starts_with("date") => date(kind, today),
            _ => "sample".into(),
        },
        _ => return None,
    };
    Some((field.name.clone(), value))
}

fn date(kind: &str, today: jiff::civil::Date) -> String {
    let form = match kind.rsplit('_').next() {
        Some("dmy") => "%d-%m-%Y",
        Some("mdy") => "%m-%d-%Y",
        _ => "%Y-%m-%d",
    };
    today.strftime(form).to_string()
}

/// The field that the project itself texts.
fn designated(project: &redcap::Project) -> Option<String> {
    let texted = project.alerts.iter().find_map(|alert| {
        let name = alert.phone_number_to.trim().strip_prefix('[')?.strip_suffix(']')?;
        project.field(name).map(|field| field.name.clone())
    });
    let validated =
        || project.fields.iter().find(|f| f.validation.as_deref().is_some_and(|v| v.starts_with("phone")));
    let named = || {
        let hints = ["mobile", "cell", "phone"];
        project
            .fields
            .iter()
            .find(|f| f.kind == FieldKind::Text && hints.iter().any(|hint| f.name.contains(hint)))
    };
    texted.or_else(|| validated().or_else(named).map(|field| field.name.clone()))
}

/// Where the project's own numbers are from.
fn region(project: &redcap::Project) -> String {
    let literal = project.alerts.iter().flat_map(|alert| alert.phone_number_to.split(';')).find_map(|to| {
        let digits = to.trim().trim_start_matches('+');
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| format!("+{digits}"))?;
        twilio::PhoneNumber::from_e164(&number).ok()?.region()
    });
    literal.unwrap_or_else(|| "US".into())
}

/// Numbers that belong to nobody, in the form that the field takes.
fn sample_numbers(region: &str, field: &Field) -> Vec<String> {
    let digits = matches!(field.validation.as_deref(), Some("integer" | "number"));
    let numbers: &[&str] = match region {
        "AU" => &["+61491570156", "+61491570157"],
        "GB" => &["+447700900123", "+447700900124"],
        _ => &["+16175550131", "+16175550132"],
    };
    numbers.iter().map(|number| if digits { number[1..].to_owned() } else { (*number).to_owned() }).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A TOML text. A JSON text is one, apart from characters that no study's name has.
fn text(words: &str) -> String {
    serde_json::Value::from(words).to_string()
}
