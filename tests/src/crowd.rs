//! A crowd: a study of as many people as a measurement needs, on a sandbox, and projects whose limits do not
//! stand in its way. Everything else is as it is in a hospital: real components, real HTTP, a real database.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use consentry::config::Config;
use gateway::store::Store;
use gateway::wording::digest;
use gateway::{Clock, Gateway};
use sandbox::{Sandbox, SandboxConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{STUDY, component, folder, read};

/// How many people a crowd can have: the numbers of the exchange that telephone companies give to nobody, but
/// for those of the account.
pub const PEOPLE: usize = 9_000;

/// A wording per number: by default the floor lets a number have the same text five times a day.
pub const SAME_TEXT: usize = 5;

/// The phone of a person, counted from one.
pub fn phone(person: usize) -> String {
    format!("+1617555{:04}", 999 + person)
}

/// The study that ships with Consentry, with other people in it.
fn study(people: usize, enrolled: bool) -> Result<String> {
    let start = STUDY.find("\t<SubjectData").context("find the first person of the study")?;
    let end = STUDY.find("</ClinicalData>").context("find the end of the study's people")?;
    let mut study = STUDY[..start].to_owned();
    for person in 1..=people {
        let values = [
            ("first_name", format!("Person {person}")),
            ("mobile", phone(person)),
            ("language", "en".into()),
            ("zone", "America/New_York".into()),
            ("enrolled", u8::from(enrolled).to_string()),
            ("text_consent", "1".into()),
            ("text_consent_date", "2020-01-01".into()),
        ];
        let item =
            |(field, value): (&str, String)| format!("<ItemData ItemOID=\"{field}\" Value=\"{value}\"/>");
        let values = values.map(item).concat();
        writeln!(
            study,
            "<SubjectData SubjectKey=\"{person}\" redcap:RecordIdField=\"record_id\">\
             <StudyEventData StudyEventOID=\"Event.event_1_arm_1\" StudyEventRepeatKey=\"1\" \
             redcap:UniqueEventName=\"event_1_arm_1\"><FormData FormOID=\"Form.enrolment\" FormRepeatKey=\"1\">\
             <ItemGroupData ItemGroupOID=\"enrolment.record_id\" ItemGroupRepeatKey=\"1\">\
             <ItemData ItemOID=\"record_id\" Value=\"{person}\"/>{values}</ItemGroupData>\
             <ItemGroupData ItemGroupOID=\"enrolment.enrolment_complete\" ItemGroupRepeatKey=\"1\">\
             <ItemData ItemOID=\"enrolment_complete\" Value=\"2\"/></ItemGroupData></FormData></StudyEventData>\
             </SubjectData>"
        )?;
    }
    Ok(study + &STUDY[end..])
}

/// A project of the crowd's.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The account's number that it writes from.
    pub number: String,
    /// "sms-link" or "voice-message".
    pub method: &'static str,
    /// How many approved invitations it has, `w0` and so on: different words, as far as the floor is concerned.
    pub wordings: usize,
    /// Whether REDCap's records cause the invitations, one by each wording.
    pub invites: bool,
    /// Requests that run at once.
    pub at_once: usize,
    /// Whether texts that say STOP or START stay at Twilio.
    pub keep_opt_outs: bool,
}

impl Default for Project {
    fn default() -> Project {
        Project {
            name: "crowd".into(),
            number: "+16175550100".into(),
            method: "sms-link",
            wordings: 1,
            invites: false,
            at_once: 32,
            keep_opt_outs: true,
        }
    }
}

impl Project {
    /// Projects that share the people, each with a number of its own.
    pub fn several(count: usize, of: &Project) -> Vec<Project> {
        let one = |index| Project {
            name: format!("{}-{index}", of.name),
            number: format!("+161755501{index:02}"),
            ..of.clone()
        };
        (0..count).map(one).collect()
    }

    fn toml(&self, sandbox: &Sandbox) -> Result<String> {
        let mut toml = format!(
            "name = \"{name}\"\ntitle = \"Northfield Sleep Study\"\n\
             [redcap]\nurl = \"{redcap}\"\ntoken = {{ file = \"redcap.txt\" }}\nproject-id = \"1\"\n\
             time-zone = \"America/New_York\"\n\
             [twilio]\naccount-sid = \"AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d\"\nauth-token = {{ file = \"twilio.txt\" }}\n\
             number = \"{number}\"\napi-base = \"{base}\"\nlookups-base = \"{base}\"\npricing-base = \"{base}\"\n\
             segments-per-second = 2000\ncalls-per-second = 100\nrequests-at-once = {at_once}\n\
             keep-opt-outs = {keep}\nkeywords = \"twilio\"\n[twilio.attested]\nrequest-inspector-off = \"a test\"\n\
             [schedules]\ngo-live = \"everything\"\n[messages]\nmethods = [\"{method}\"]\ndefault-method = \"{method}\"\ntexts-per-day = 100000\n\
             facts-max-age-seconds = 300\n\
             [participant]\nphone-field = \"mobile\"\nlanguage-field = \"language\"\ntime-zone-field = \"zone\"\n\
             opt-out-field = \"texts_stopped\"\n[participant.consent]\ngiven-field = \"text_consent_date\"\n\
             phone-field = \"mobile\"\ncovers = [\"{method}\"]\n\
             [protocol]\nnumber = \"T-1\"\nreviewed-by = \"local-irb\"\napproved = 2020-01-01\n",
            name = self.name,
            redcap = sandbox.redcap_url(),
            number = self.number,
            base = sandbox.twilio_url(),
            at_once = self.at_once,
            keep = self.keep_opt_outs,
            method = self.method,
        );
        for wording in 0..self.wordings {
            let words = format!("Your sleep diary no. {wording} of {} is ready", self.name);
            let text = if self.method == "sms-link" { words + ": [survey-link]" } else { words + "." };
            wording_toml(&mut toml, &format!("w{wording}"), "message", "invitation", &text)?;
            if self.invites {
                write!(
                    toml,
                    "[[invitation]]\nid = \"i{wording}\"\nsurvey = \"sleep_diary\"\nwhen = \"[enrolled] = '1'\"\n\
                     wording = \"w{wording}\"\n"
                )?;
            }
        }
        wording_toml(&mut toml, "opt-out", "opt-out", "", "Reply STOP to end texts.")?;
        let confirmed = "You will get no more texts from us.";
        wording_toml(&mut toml, "opt-out-confirmation", "message", "opt-out-confirmation", confirmed)?;
        let help = "Northfield Sleep Study, 617-555-0142. Reply STOP to end texts.";
        wording_toml(&mut toml, "help", "message", "help", help)?;
        write!(
            toml,
            "[policy.routing]\ncomponent = \"{}\"\ngrants = [\"redcap\", \"redcap-write\", \"twilio\", \"twilio-send\"]\n\
             [policy.template]\ncomponent = \"{}\"\n\
             [policy.compliance]\ncomponent = \"{}\"\ngrants = [\"redcap\", \"twilio\"]\n[policy.compliance.settings]\n\
             quiet-hours = false\nmax-per-day = 50\nmax-per-week = 50\nlink-hosts = [\"127.0.0.1\"]\n",
            component("routing").display(),
            component("template").display(),
            component("compliance").display(),
        )?;
        Ok(toml)
    }
}

/// A wording that is approved.
fn wording_toml(toml: &mut String, id: &str, part: &str, purpose: &str, text: &str) -> Result<()> {
    let purposes: Vec<&str> = Some(purpose).filter(|purpose| !purpose.is_empty()).into_iter().collect();
    write!(
        toml,
        "[[wording]]\nid = {id:?}\nlanguage = \"en\"\npart = {part:?}\npurposes = {purposes:?}\ntext = {text:?}\n\
         [wording.approval]\ndigest = {:?}\nby = \"a test\"\napproved = 2020-01-01\n",
        digest("en", text)
    )?;
    Ok(())
}

/// The people, their REDCap and Twilio, and a folder for what is made.
#[derive(Debug)]
pub struct Crowd {
    /// REDCap and Twilio.
    pub sandbox: Sandbox,
    /// The clock that they share with every gateway.
    pub clock: Clock,
    /// How many people there are.
    pub people: usize,
    /// The projects, each with a number at Twilio.
    pub projects: Vec<Project>,
    folder: PathBuf,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Crowd {
    /// People in a REDCap, and a Twilio with a number for each project.
    pub async fn gather(people: usize, projects: Vec<Project>, clock: Clock) -> Result<Crowd> {
        anyhow::ensure!(people <= PEOPLE, "there are numbers for {PEOPLE} people");
        let now = clock.clone();
        let enrolled = !projects.iter().any(|project| project.invites);
        let config = SandboxConfig {
            phone_field: Some("mobile".into()),
            ..SandboxConfig::new(study(people, enrolled)?, Arc::new(move || now.now()))
        };
        let sandbox = Sandbox::start(config).await?;
        let own = Project::default().number;
        for project in projects.iter().filter(|project| project.number != own) {
            sandbox.twilio().add_number(&project.number)?;
        }
        // A dollar is soon spent, and an account without money stops.
        sandbox.twilio().set_balance(1e6);
        let folder = folder()?;
        std::fs::write(folder.join("redcap.txt"), "5A4DB0C5A4DB0C5A4DB0C5A4DB0C5A4D")?;
        std::fs::write(folder.join("twilio.txt"), "5a4db0c5a4db0c5a4db0c5a4db0c5a4d")?;
        std::fs::write(folder.join("trigger.txt"), "secret")?;
        std::fs::write(folder.join("keys.txt"), gateway::vault::Keys::generate()?)?;
        for project in &projects {
            std::fs::write(folder.join(format!("{}.toml", project.name)), project.toml(&sandbox)?)?;
        }
        Ok(Crowd { sandbox, clock, people, projects, folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the configuration of a daemon that works for these projects, and points their webhooks to it.
    /// `database` is what stands in the file: a path or a URL.
    pub fn configure(&self, daemon: &str, database: &str, at: &str, projects: &[Project]) -> Result<PathBuf> {
        let files: Vec<_> = projects.iter().map(|project| format!("{}.toml", project.name)).collect();
        let path = self.folder.join(format!("{daemon}.toml"));
        std::fs::write(
            &path,
            format!(
                "listen = \"{at}\"\npublic-url = \"http://{at}\"\ndatabase = {database:?}\n\
                 keys = {{ file = \"keys.txt\" }}\ntrigger-secret = {{ file = \"trigger.txt\" }}\nprojects = {files:?}\n"
            ),
        )?;
        for project in projects {
            let url = format!("http://{at}/twilio/{}/sms", project.name);
            self.sandbox.set_sms_webhook_of(&project.number, &url);
        }
        Ok(path)
    }

    /// Opens a desk: a gateway for these projects on a database, whose webhooks are served.
    pub async fn open(&self, daemon: &str, database: &str, projects: &[Project]) -> Result<Desk> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?.to_string();
        let Config { database, keys, projects, trigger_secret, public_url, .. } =
            read(&self.configure(daemon, database, &at, projects)?)?;
        let store = Store::open(&database, &keys, self.clock.clone())?;
        let gateway = Arc::new(Gateway::new(projects, store, self.clock.clone(), &public_url)?);
        let router = gateway::webhooks::router(gateway.clone(), trigger_secret);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Desk { gateway, serving, working: None })
    }
}

/// A gateway with its webhooks. It stops when dropped.
#[derive(Debug)]
pub struct Desk {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    serving: JoinHandle<()>,
    working: Option<JoinHandle<()>>,
}

impl Desk {
    /// Lets it work by itself from now on.
    pub fn run(&mut self) {
        self.working = Some(tokio::spawn(self.gateway.clone().run()));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(working) = &self.working {
            working.abort();
        }
    }
}

/// The number that was given as `--name 7` on the command line, or another one.
pub fn given(name: &str, otherwise: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}
