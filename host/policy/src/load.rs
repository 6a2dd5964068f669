//! Loading a policy: nothing that fails a check ever decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use crate::check::{self, Mismatch};
use crate::contract::declarations::{Description, Problem, SettingKind};
use crate::contract::settings::Value;
use crate::contract::types::Finding;
use crate::contract::{self, reviewer, router, shared};
use crate::decide::{Answer, Deciding, Decision, Ended, Facts, Question, Reply, Request, decide};
use crate::engine::{Engine, Limits};

/// The largest component that is looked at. A Python policy is 18 MB.
const COMPONENT_MAX: usize = 64 << 20;

/// The contract's worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    /// How a recipient is contacted.
    Routing,
    /// Which words are said.
    Template,
    /// Whether a message may go out, and what an inbound message means.
    Compliance,
}

impl World {
    /// The world's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            World::Routing => "routing",
            World::Template => "template",
            World::Compliance => "compliance",
        }
    }
}

/// A SHA-256, as "sha256:" and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings that an operator gave a policy, by name.
pub type Settings = BTreeMap<String, Value>;

/// An interface that reaches beyond the decision, and so is given only by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Reads of the record at hand.
    Redcap,
    /// Writes to granted fields of the record at hand.
    RedcapWrite,
    /// Reads of the account and the recipient's number.
    Twilio,
    /// Extra messages to the recipient at hand.
    TwilioSend,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Grant; 4] = [Grant::Redcap, Grant::RedcapWrite, Grant::Twilio, Grant::TwilioSend];

    /// The interface's name, which is also how a grant is written.
    pub fn name(self) -> &'static str {
        match self {
            Grant::Redcap => "redcap",
            Grant::RedcapWrite => "redcap-write",
            Grant::Twilio => "twilio",
            Grant::TwilioSend => "twilio-send",
        }
    }
}

/// What an operator grants a policy. Everything that a component imports must be granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The interfaces.
    pub interfaces: BTreeSet<Grant>,
    /// The fields that `redcap-write` may write.
    pub write_fields: BTreeSet<String>,
}

impl Grants {
    /// Everything but writes to fields, which are granted by name.
    pub fn all() -> Grants {
        Grants { interfaces: Grant::ALL.into(), write_fields: BTreeSet::new() }
    }

    /// Whether a field may be written. A checkbox is named with its code, `symptoms(2)`.
    pub(crate) fn may_write(&self, field: &str) -> bool {
        let name = field.split('(').next().unwrap_or(field);
        self.write_fields.contains(name)
    }
}

/// Something wrong with a policy's settings, in the words of the policy that will use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting.
    pub setting: String,
    /// Which item of a list, counted from 0.
    pub item: Option<u32>,
    /// What is wrong with it.
    pub sentence: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Why a policy was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is larger than any policy.
    #[error("the component has {bytes} bytes, and at most {COMPONENT_MAX} are looked at")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The file is a core module.
    #[error(
        "this is a core module, not a component; make it one with `cargo xtask policies`, or with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is not WebAssembly, is cut short, or uses what the engine has switched off.
    #[error("this is not a component that can be loaded: at byte {at}, {why}")]
    NotAComponent {
        /// Where in the file.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// It was built against something else than the world that it is loaded as.
    #[error("it does not fit the world `{}` of contract {}:{}", .world.name(), contract::VERSION, check::lines(.mismatches))]
    Misfit {
        /// The world.
        world: World,
        /// Each difference.
        mismatches: Vec<Mismatch>,
    },
    /// It wants what it was not granted.
    #[error("it imports `{}`, which it is not granted; if it may, write {line}", .names.join("`, `"))]
    NotGranted {
        /// The interfaces.
        names: Vec<&'static str>,
        /// The line to write in the configuration.
        line: String,
    },
    /// The engine refused it.
    #[error("the engine refuses it: {why}")]
    Refused {
        /// The engine's reason.
        why: String,
    },
    /// It failed when it was asked what it is.
    #[error("asked to describe itself, {0}")]
    Describe(Ended),
    /// It failed when it was asked to check its settings.
    #[error("asked to check its settings, {0}")]
    CheckSettings(Ended),
    /// Its settings are wrong.
    #[error("its settings are wrong: {}", sentences(.0))]
    Settings(Vec<SettingProblem>),
}

fn sentences(problems: &[SettingProblem]) -> String {
    let sentences: Vec<_> = problems.iter().map(|p| format!("`{}`: {}", p.setting, p.sentence)).collect();
    sentences.join("; ")
}

/// An instance of each world, for the interface that all of them export.
enum About {
    Routing(contract::routing::Routing),
    Template(contract::template::Template),
    Compliance(contract::compliance::Compliance),
}

enum Pre {
    Routing(contract::routing::RoutingPre<Deciding>),
    Template(contract::template::TemplatePre<Deciding>),
    Compliance(contract::compliance::CompliancePre<Deciding>),
}

/// A loaded policy.
pub struct Policy {
    engine: Arc<Engine>,
    limits: Limits,
    pre: Pre,
    digest: Digest,
    settings: Arc<Settings>,
    settings_digest: Digest,
    grants: Arc<Grants>,
    description: Description,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.description.name)
            .field("world", &self.world())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Loads a policy: checks its bytes, its world, its grants and its settings.
    pub fn load(
        engine: &Arc<Engine>,
        world: World,
        bytes: &[u8],
        grants: Grants,
        settings: Settings,
        limits: Limits,
    ) -> Result<Policy, LoadError> {
        let found = check::component(bytes, COMPONENT_MAX)?;
        let mismatches = found.compare(world);
        if !mismatches.is_empty() {
            return Err(LoadError::Misfit { world, mismatches });
        }
        granted(&found.grants(), &grants)?;
        let limits = Limits { memory: limits.memory.min(Limits::MEMORY_MAX), ..limits };
        let refused = |error: wasmtime::Error| LoadError::Refused { why: format!("{error:#}") };
        let digest = Digest::of(bytes);
        let component = engine.compile(digest.as_str(), bytes).map_err(refused)?;
        let linker = linker(engine, world, &grants).map_err(refused)?;
        let pre = linker.instantiate_pre(&component).map_err(refused)?;
        let pre = match world {
            World::Routing => contract::routing::RoutingPre::new(pre).map(Pre::Routing),
            World::Template => contract::template::TemplatePre::new(pre).map(Pre::Template),
            World::Compliance => contract::compliance::CompliancePre::new(pre).map(Pre::Compliance),
        }
        .map_err(refused)?;
        let mut policy = Policy {
            engine: engine.clone(),
            limits,
            pre,
            digest,
            settings: Arc::new(settings),
            settings_digest: Digest::of(&[]),
            grants: Arc::new(grants),
            description: Description {
                name: String::new(),
                version: String::new(),
                summary: String::new(),
                settings: Vec::new(),
                rules: Vec::new(),
            },
        };
        policy.description = policy.describe()?;
        policy.settle()?;
        Ok(policy)
    }

    /// The world that it is of.
    pub fn world(&self) -> World {
        match self.pre {
            Pre::Routing(_) => World::Routing,
            Pre::Template(_) => World::Template,
            Pre::Compliance(_) => World::Compliance,
        }
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The settings in force, defaults included.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The digest of the settings in force, defaults included.
    pub fn settings_digest(&self) -> &Digest {
        &self.settings_digest
    }

    /// The hash of the engine that runs it.
    pub fn engine_hash(&self) -> &str {
        self.engine.hash()
    }

    /// Takes a decision. It blocks for as long as the decision takes, which the limits bound.
    pub fn decide(&self, request: &Request, facts: Arc<dyn Facts>) -> Decision {
        self.run(facts, request.has_record(), |store| {
            let reply = match (&self.pre, request) {
                (Pre::Routing(pre), Request::Choose(occasion)) => {
                    let world = pre.instantiate(&mut *store)?;
                    Reply::Route(world.consentry_policy_router().call_choose(store, occasion)?)
                }
                (Pre::Template(pre), Request::Render(occasion, method)) => {
                    let world = pre.instantiate(&mut *store)?;
                    Reply::Words(world.consentry_policy_writer().call_render(store, occasion, *method)?)
                }
                (Pre::Template(pre), Request::Ask(occasion, method, turn)) => {
                    let world = pre.instantiate(&mut *store)?;
                    Reply::Words(world.consentry_policy_writer().call_ask(store, occasion, *method, turn)?)
                }
                (Pre::Compliance(pre), Request::Review(occasion, draft, stage)) => {
                    let world = pre.instantiate(&mut *store)?;
                    let reviewer = world.consentry_policy_reviewer();
                    Reply::Verdict(reviewer.call_review(store, occasion, draft, *stage)?)
                }
                (Pre::Compliance(pre), Request::Interpret(inbound)) => {
                    let world = pre.instantiate(&mut *store)?;
                    Reply::Intent(world.consentry_policy_reviewer().call_interpret(store, inbound)?)
                }
                _ => {
                    return Ok(Err(format!(
                        "a policy of the world `{}` was asked for something else",
                        self.world().name()
                    )));
                }
            };
            Ok(self.declared(&reply).map(|()| reply))
        })
    }

    fn run(
        &self,
        facts: Arc<dyn Facts>,
        has_record: bool,
        run: impl FnOnce(&mut Store<Deciding>) -> wasmtime::Result<Result<Reply, String>>,
    ) -> Decision {
        decide(&self.engine, self.limits, &self.settings, &self.grants, facts, has_record, run)
    }

    /// Every rule that a reply cites must be declared, so that the rule book is complete.
    fn declared(&self, reply: &Reply) -> Result<(), String> {
        for finding in findings(reply) {
            if !self.description.rules.iter().any(|rule| rule.id == finding.rule) {
                return Err(format!("it cites the rule `{}`, which it does not declare", finding.rule));
            }
        }
        Ok(())
    }

    fn describe(&self) -> Result<Description, LoadError> {
        self.about(|about, store| match about {
            About::Routing(world) => world.consentry_policy_about().call_describe(store),
            About::Template(world) => world.consentry_policy_about().call_describe(store),
            About::Compliance(world) => world.consentry_policy_about().call_describe(store),
        })
        .map_err(LoadError::Describe)
    }

    fn check_settings(&self) -> Result<Vec<Problem>, LoadError> {
        self.about(|about, store| match about {
            About::Routing(world) => world.consentry_policy_about().call_check_settings(store),
            About::Template(world) => world.consentry_policy_about().call_check_settings(store),
            About::Compliance(world) => world.consentry_policy_about().call_check_settings(store),
        })
        .map_err(LoadError::CheckSettings)
    }

    /// Calls the interface that every world exports, within the same limits as a decision.
    fn about<T>(
        &self,
        call: impl FnOnce(&About, &mut Store<Deciding>) -> wasmtime::Result<T>,
    ) -> Result<T, Ended> {
        let mut answer = None;
        let decision = self.run(Arc::new(Nothing), false, |store| {
            let about = match &self.pre {
                Pre::Routing(pre) => About::Routing(pre.instantiate(&mut *store)?),
                Pre::Template(pre) => About::Template(pre.instantiate(&mut *store)?),
                Pre::Compliance(pre) => About::Compliance(pre.instantiate(&mut *store)?),
            };
            answer = Some(call(&about, store)?);
            // The answer is of no world's own interface, so it does not go by the decision.
            Ok(Err(String::new()))
        });
        answer.ok_or(decision.ended)
    }

    /// Compares the settings with the declared ones, fills in the defaults, and lets the policy check them.
    fn settle(&mut self) -> Result<(), LoadError> {
        let mut problems = Vec::new();
        for (name, value) in self.settings.iter() {
            match self.description.settings.iter().find(|setting| setting.name == *name) {
                None => problems.push(SettingProblem {
                    setting: name.clone(),
                    item: None,
                    sentence: format!("`{}` has no such setting", self.description.name),
                    help: Some(nearest(name, &self.description)),
                }),
                Some(setting) if kind(value) != setting.kind => problems.push(SettingProblem {
                    setting: name.clone(),
                    item: None,
                    sentence: format!(
                        "{} is expected, and this is {}",
                        expected(setting.kind),
                        expected(kind(value))
                    ),
                    help: Some(setting.doc.clone()),
                }),
                Some(_) => {}
            }
        }
        if !problems.is_empty() {
            return Err(LoadError::Settings(problems));
        }
        let mut settled = (*self.settings).clone();
        for setting in &self.description.settings {
            if let Some(default) = &setting.default {
                settled.entry(setting.name.clone()).or_insert_with(|| default.clone());
            }
        }
        self.settings_digest = digest(&settled);
        self.settings = Arc::new(settled);
        let found = self.check_settings()?;
        if found.is_empty() {
            return Ok(());
        }
        let problem = |p: Problem| SettingProblem {
            setting: p.setting,
            item: p.item,
            sentence: p.sentence,
            help: p.help,
        };
        Err(LoadError::Settings(found.into_iter().map(problem).collect()))
    }
}

/// While a policy describes itself there is no record and no number to ask about.
struct Nothing;

impl Facts for Nothing {
    fn answer(&self, _: &Question) -> Option<Answer> {
        None
    }
}

fn granted(wanted: &[Grant], grants: &Grants) -> Result<(), LoadError> {
    let missing: Vec<_> = wanted.iter().filter(|grant| !grants.interfaces.contains(grant)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut all = grants.interfaces.clone();
    all.extend(wanted);
    let all: Vec<_> = all.iter().map(|grant| format!("\"{}\"", grant.name())).collect();
    Err(LoadError::NotGranted {
        names: missing.iter().map(|grant| grant.name()).collect(),
        line: format!("`grants = [{}]`", all.join(", ")),
    })
}

/// Only what is granted is linked: what is not cannot be called by any mistake.
fn linker(engine: &Engine, world: World, grants: &Grants) -> wasmtime::Result<Linker<Deciding>> {
    use shared::consentry::policy::{
        declarations, log, redcap, redcap_write, settings, time, twilio, twilio_send, types, wordings,
    };
    type Own = HasSelf<Deciding>;
    let mut linker = Linker::new(&engine.wasm);
    types::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    declarations::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    settings::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    time::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    log::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    if world == World::Template {
        wordings::add_to_linker::<_, Own>(&mut linker, |d| d)?;
    }
    for grant in &grants.interfaces {
        match grant {
            Grant::Redcap => redcap::add_to_linker::<_, Own>(&mut linker, |d| d)?,
            Grant::RedcapWrite => redcap_write::add_to_linker::<_, Own>(&mut linker, |d| d)?,
            Grant::Twilio => twilio::add_to_linker::<_, Own>(&mut linker, |d| d)?,
            Grant::TwilioSend => twilio_send::add_to_linker::<_, Own>(&mut linker, |d| d)?,
        }
    }
    // A component may use only types of `redcap`, which is no grant: the import is then an instance without
    // functions, and needs no host side beyond the interface's presence.
    Ok(linker)
}

/// The findings that a reply cites.
fn findings(reply: &Reply) -> Vec<&Finding> {
    match reply {
        Reply::Route(router::Route::Contact(plan)) => plan.because.iter().collect(),
        Reply::Route(router::Route::Wait(wait)) => vec![&wait.because],
        Reply::Route(router::Route::Skip(finding)) | Reply::Words(Err(finding)) => vec![finding],
        Reply::Words(Ok(_)) => Vec::new(),
        Reply::Verdict(verdict) => match verdict {
            reviewer::Verdict::Hold(list) | reviewer::Verdict::Deny(list) => list.iter().collect(),
            reviewer::Verdict::Allow(allowance) => allowance.because.iter().collect(),
            reviewer::Verdict::Defer(deferral) => deferral.because.iter().collect(),
        },
        Reply::Intent(intent) => match intent {
            reviewer::Intent::Stop(stop) => vec![&stop.because],
            reviewer::Intent::Start(finding)
            | reviewer::Intent::AskStaff(finding)
            | reviewer::Intent::Ignore(finding) => vec![finding],
            reviewer::Intent::Help | reviewer::Intent::Answer | reviewer::Intent::AccessCode(_) => Vec::new(),
        },
    }
}

fn kind(value: &Value) -> SettingKind {
    match value {
        Value::Truth(_) => SettingKind::Truth,
        Value::Number(_) => SettingKind::Number,
        Value::Text(_) => SettingKind::Text,
        Value::Texts(_) => SettingKind::Texts,
    }
}

fn expected(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Truth => "true or false",
        SettingKind::Number => "a number",
        SettingKind::Text => "a text",
        SettingKind::Texts => "a list of texts",
    }
}

/// The declared setting that shares the longest beginning with a wrong name, else all of them.
fn nearest(name: &str, description: &Description) -> String {
    let shared = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let best = description.settings.iter().max_by_key(|setting| shared(&setting.name));
    match best {
        Some(setting) if shared(&setting.name) >= 3 => format!("did you mean `{}`?", setting.name),
        Some(_) => {
            let names: Vec<_> = description.settings.iter().map(|s| s.name.as_str()).collect();
            format!("it has: {}", names.join(", "))
        }
        None => "it has no settings".into(),
    }
}

fn digest(settings: &Settings) -> Digest {
    // The map is ordered, so equal settings are equal bytes.
    Digest::of(&postcard::to_extend(settings, Vec::new()).unwrap_or_default())
}
