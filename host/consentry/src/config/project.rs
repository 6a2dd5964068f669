//! A project's file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, RwLock};

use gateway::project::{
    ConsentFields, InvitationRule, Keywords, ParticipantFields, Policies, Project, TwilioAccount,
};
use gateway::vocabulary::Word;
use gateway::wording::{Wording, digest};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use policy::contract::settings::Value;
use policy::contract::twilio::SenderKind;
use policy::contract::types::{Consent, ConsentManner, DeliveryMethod, Protocol, Purpose, ReviewBody};
use policy::contract::wordings::Part;
use policy::{Engine, Grant, Grants, Limits, LoadError, Policy, Settings, World};
use toml::de::DeValue;
use twilio::PhoneNumber;

use super::reader::{Found, Section};
use super::schedules::{approval, staff, takes_over};
use super::{mail, secret};

const DAY: u32 = 86_400;

/// A text without a receipt is asked after for three days, and only then deleted at Twilio.
const KEPT_ALARM: u32 = 96;

/// Reads a project; none when something that it cannot be without is wrong, which was then said.
pub(super) fn read(
    top: &Section<'_>,
    folder: &Path,
    engine: &Arc<Engine>,
    notes: &mut Vec<String>,
) -> Option<Project> {
    let name = top.required("name", top.text("name"), "a short name for URLs and logs, such as \"sleep\"");
    let name = name.and_then(|found| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !found.value.is_empty() && found.value.chars().all(plain) {
            return Some(found.value);
        }
        top.say(found.at, "`name` takes small letters, digits and hyphens, because it stands in URLs", None);
        None
    });
    let title = top.required("title", top.text("title"), "the study's name, for people");
    let redcap = required_section(top, "redcap", |section| redcap(section, folder)).flatten();
    let zone = redcap.as_ref().map_or(TimeZone::UTC, |redcap| redcap.zone.clone());
    let messages = required_section(top, "messages", messages).flatten();
    let mail = top.section("mail", |section| mail::account(section, folder)).flatten();
    if messages.as_ref().is_some_and(|messages| messages.methods.contains(&DeliveryMethod::Email))
        && !top.has("mail")
    {
        let help = "write a table [mail] with `server` and `from`, or leave \"email\" out of `methods`";
        top.say(top.place("messages"), "the method \"email\" needs a mail server", help.to_owned());
    }
    let region = messages.as_ref().map_or_else(|| "US".to_owned(), |messages| messages.region.clone());
    let account = required_section(top, "twilio", |section| account(section, folder, &region)).flatten();
    let fields = required_section(top, "participant", participant);
    let protocol = top.section("protocol", |section| protocol(section, &zone));
    let consents = top.sections("consent", |section| consent(section, &zone, &region));
    let invitations = top.sections("invitation", invitation);
    let takes_over = top.section("schedules", takes_over).unwrap_or_default();
    let staff = top.sections("staff", |section| staff(section, &region));
    let of_redcap =
        "the digest of the text that is approved; `consentry schedules` shows those of REDCap's texts";
    let approvals = top.sections("approval", |section| approval(section, &zone, of_redcap));
    let wordings = top.sections("wording", |section| wording(section, &zone, notes));
    let guarded = fields.as_ref().map_or_else(Vec::new, guarded);
    let policies =
        required_section(top, "policy", |section| policies(section, folder, engine, &guarded)).flatten();
    for rule in invitations.iter().flatten() {
        let known = |id: &String| wordings.iter().flatten().any(|wording| wording.id == *id);
        if let Some(id) = rule.wording.as_ref().filter(|id| !known(id)) {
            let sentence =
                format!("the invitation `{}` names the wording `{id}`, which is not here", rule.id);
            top.say(top.at.clone(), sentence, None);
        }
    }
    let (protocol, waiver) = protocol.map_or((None, None), |(protocol, waiver)| (protocol, waiver));
    let mut by_record: BTreeMap<String, Vec<Consent>> = BTreeMap::new();
    for (record, consent) in consents.into_iter().flatten() {
        by_record.entry(record).or_default().push(consent);
    }
    let (redcap, messages) = (redcap?, messages?);
    Some(Project {
        name: name?,
        id: redcap.id,
        title: title?.value,
        redcap: redcap.client,
        passes_trigger_on: redcap.passes_trigger_on,
        design: RwLock::default(),
        takes_over,
        staff: staff.into_iter().flatten().collect(),
        approvals: approvals.into_iter().flatten().map(|it| (it.digest.clone(), it)).collect(),
        zone,
        zone_name: redcap.zone_name,
        language: messages.language,
        region,
        fields: fields?,
        methods: messages.methods,
        default_method: messages.default_method,
        protocol,
        consents: by_record,
        waiver,
        invitations: invitations.into_iter().flatten().collect(),
        wordings: wordings.into_iter().flatten().collect(),
        account: account?,
        mail,
        policies: policies?,
        ceiling: messages.ceiling,
        facts_max_age: messages.facts_max_age,
        retention: messages.retention,
    })
}

fn required_section<T>(top: &Section<'_>, key: &str, read: impl FnOnce(&Section<'_>) -> T) -> Option<T> {
    let found = top.section(key, |section| read(section));
    top.required(key, found, &format!("the project needs a table [{key}]"))
}

struct Redcap {
    client: redcap::Client,
    passes_trigger_on: Option<Arc<redcap::client::TriggerTarget>>,
    id: String,
    zone: TimeZone,
    zone_name: String,
}

fn redcap(section: &Section<'_>, folder: &Path) -> Option<Redcap> {
    let url = section.required("url", section.text("url"), "REDCap's API, \"https://…/api/\"");
    let token = secret(section, "token", folder);
    let id = section.required("project-id", section.text("project-id"), "the project's PID, as a text");
    let zone = section.required(
        "time-zone",
        section.text("time-zone"),
        "the zone of the REDCap server's clock, such as \"America/New_York\": REDCap's times carry none",
    );
    let zone = zone.and_then(|found| match TimeZone::get(&found.value) {
        Ok(zone) => Some((zone, found.value)),
        Err(_) => {
            section.say(found.at, "there is no such time zone", "such as \"America/New_York\"".to_owned());
            None
        }
    });
    let url = url?;
    let client = match redcap::Client::new(redcap::ClientConfig::new(&url.value, token?)) {
        Ok(client) => client,
        Err(error) => {
            section.say(url.at, format!("REDCap cannot be reached there: {error}"), None);
            return None;
        }
    };
    let (zone, zone_name) = zone?;
    let passes_trigger_on = section.text("trigger-also-to").and_then(|found| {
        match redcap::client::TriggerTarget::new(&found.value) {
            Ok(target) => Some(Arc::new(target)),
            Err(error) => {
                section.say(found.at, format!("the trigger cannot be passed on: {error}"), None);
                None
            }
        }
    });
    Some(Redcap { client, passes_trigger_on, id: id?.value, zone, zone_name })
}

struct Messages {
    language: String,
    region: String,
    methods: Vec<DeliveryMethod>,
    default_method: DeliveryMethod,
    ceiling: u32,
    facts_max_age: u32,
    retention: Option<u32>,
}

fn messages(section: &Section<'_>) -> Option<Messages> {
    let methods = section.required(
        "methods",
        section.texts("methods"),
        "the delivery methods that are enabled, such as methods = [\"sms-link\"]",
    );
    let methods: Vec<DeliveryMethod> =
        methods.unwrap_or_default().iter().filter_map(|found| word(section, found)).collect();
    let default_method = section.required(
        "default-method",
        section.text("default-method"),
        "the delivery method of those who prefer none",
    );
    let default_method = default_method.and_then(|found| {
        let method = word(section, &found)?;
        if !methods.contains(&method) {
            section.say(found.at, "the default method is not one of the enabled `methods`", None);
        }
        Some(method)
    });
    let or = |found: Option<Found<String>>, default: &str| found.map_or_else(|| default.into(), |f| f.value);
    Some(Messages {
        language: or(section.text("language"), "en"),
        region: or(section.text("region"), "US"),
        methods,
        ceiling: section.number("texts-per-day").map_or(6, |found| found.value),
        facts_max_age: section
            .within("facts-max-age-seconds", &(0..=3600), "an older consent may have been withdrawn since")
            .unwrap_or(30),
        retention: section
            .within("retention-days", &(1..=36_500), "leave it out to keep what is private for ever")
            .map(|days| days * DAY),
        default_method: default_method?,
    })
}

fn account(section: &Section<'_>, folder: &Path, region: &str) -> Option<TwilioAccount> {
    let sid = section.required("account-sid", section.text("account-sid"), "the account's SID, \"AC…\"");
    let token = secret(section, "auth-token", folder);
    let old =
        section.has("auth-token-before").then(|| secret(section, "auth-token-before", folder)).flatten();
    let key = section.text("api-key");
    let key_secret = section.has("api-secret").then(|| secret(section, "api-secret", folder)).flatten();
    let number = section.required("number", section.text("number"), "the number that texts come from");
    let number = number.and_then(|found| match PhoneNumber::parse(&found.value, region) {
        Ok(number) => Some(number),
        Err(error) => {
            section.say(found.at, format!("this is not a phone number: {error}"), None);
            None
        }
    });
    let kinds = [
        ("long-code", SenderKind::LongCode),
        ("toll-free", SenderKind::TollFree),
        ("short-code", SenderKind::ShortCode),
    ];
    let kind = section.one_of("kind", &kinds).unwrap_or(SenderKind::LongCode);
    let keywords =
        [("twilio", Keywords::Twilio), ("advanced", Keywords::Advanced), ("consentry", Keywords::Consentry)];
    let keywords = section.one_of("keywords", &keywords).unwrap_or(Keywords::Twilio);
    let base =
        |key: &str, default: &str| section.text(key).map_or_else(|| default.to_owned(), |found| found.value);
    let api_base = base("api-base", twilio::DEFAULT_API_BASE);
    let lookups_base = base("lookups-base", twilio::DEFAULT_LOOKUPS_BASE);
    let pricing_base = base("pricing-base", twilio::DEFAULT_PRICING_BASE);
    let attested = section.section("attested", |attested| {
        let text = |key: &str| attested.text(key).map(|found| found.value);
        (text("request-inspector-off"), text("full-account"))
    });
    let (request_inspector_off, full_account) = attested.unwrap_or_default();
    let (sid, token) = (sid?, token?);
    if let (Some(key), None) = (&key, &key_secret) {
        section.say(key.at.clone(), "an `api-key` needs its `api-secret`", None);
    }
    let (user, secret, by_key) = match (key, key_secret) {
        (Some(key), Some(secret)) => (key.value, secret, true),
        _ => (sid.value.clone(), token.clone(), false),
    };
    let client = twilio::ClientConfig {
        api_base,
        lookups_base,
        pricing_base,
        account_sid: sid.value.clone(),
        user,
        secret,
    };
    let client = match twilio::Client::new(client) {
        Ok(client) => client,
        Err(error) => {
            section.say(sid.at, format!("Twilio cannot be set up: {error}"), None);
            return None;
        }
    };
    let tokens = std::iter::once(token).chain(old).collect();
    let pace = "to send nothing there is `consentry stop`";
    let segments_a_second = section.within("segments-per-second", &(1..=2000), pace);
    let calls_a_second = section.within("calls-per-second", &(1..=100), pace);
    let at_once = section.within("requests-at-once", &(1..=1000), pace);
    let kept_alarm = section.within("kept-alarm-hours", &(1..=8760), "hours that a record may be at Twilio");
    let low_balance = money(section, "low-balance");
    let keep_opt_outs = section.flag("keep-opt-outs").unwrap_or(true);
    let parent = section.section("paid-by", |parent| payer(parent, folder, &base)).flatten();
    Some(TwilioAccount {
        segments_a_second: segments_a_second.unwrap_or_else(|| gateway::pace::segments_a_second(kind)),
        calls_a_second: calls_a_second.unwrap_or(1),
        at_once: at_once.unwrap_or(8),
        keep_opt_outs,
        kept_alarm: kept_alarm.unwrap_or(KEPT_ALARM),
        parent,
        low_balance,
        client,
        verifier: twilio::Verifier::new(tokens, BTreeMap::new()),
        sid: sid.value,
        number: number?,
        kind,
        keywords,
        request_inspector_off,
        by_key,
        full_account,
    })
}

/// The account that pays for a child account.
fn payer(
    section: &Section<'_>,
    folder: &Path,
    base: &dyn Fn(&str, &str) -> String,
) -> Option<twilio::Client> {
    let sid =
        section.required("account-sid", section.text("account-sid"), "the parent account's SID, \"AC…\"");
    let token = secret(section, "auth-token", folder);
    let sid = sid?;
    let client = twilio::Client::new(twilio::ClientConfig {
        api_base: base("api-base", twilio::DEFAULT_API_BASE),
        lookups_base: base("lookups-base", twilio::DEFAULT_LOOKUPS_BASE),
        pricing_base: base("pricing-base", twilio::DEFAULT_PRICING_BASE),
        account_sid: sid.value.clone(),
        user: sid.value,
        secret: token?,
    });
    match client {
        Ok(client) => Some(client),
        Err(error) => {
            section.say(sid.at, format!("Twilio cannot be set up: {error}"), None);
            None
        }
    }
}

/// An amount in the account's currency, in millionths.
fn money(section: &Section<'_>, key: &str) -> Option<i64> {
    let found = section.text(key)?;
    let micros = twilio::micros(&found.value);
    if micros.is_none() {
        section.say(found.at, format!("`{key}` takes an amount"), "such as \"25.00\"".to_owned());
    }
    micros
}

fn participant(section: &Section<'_>) -> ParticipantFields {
    let text = |key: &str| section.text(key).map(|found| found.value);
    let consent = section.section("consent", |consent| {
        let given = consent.required(
            "given-field",
            consent.text("given-field"),
            "the field that holds the date on which consent to texts was given",
        );
        let covers = consent.texts("covers").unwrap_or_default();
        Some(ConsentFields {
            given: given?.value,
            withdrawn: consent.text("withdrawn-field").map(|found| found.value),
            phone: consent.text("phone-field").map(|found| found.value),
            manner: consent.one_of("manner", &MANNERS).unwrap_or(ConsentManner::Electronic),
            covers: covers.iter().filter_map(|found| word(consent, found)).collect(),
        })
    });
    let phone = section.required(
        "phone-field",
        section.text("phone-field"),
        "the field that REDCap designates for phone numbers",
    );
    ParticipantFields {
        event: text("event"),
        phone: phone.map(|found| found.value),
        email: text("email-field"),
        preference: text("preference-field"),
        language: text("language-field"),
        time_zone: text("time-zone-field"),
        consent: consent.flatten(),
        opt_out: text("opt-out-field"),
    }
}

const MANNERS: [(&str, ConsentManner); 3] = [
    ("written", ConsentManner::Written),
    ("verbal-documented", ConsentManner::VerbalDocumented),
    ("electronic", ConsentManner::Electronic),
];

fn protocol(section: &Section<'_>, zone: &TimeZone) -> (Option<Protocol>, Option<String>) {
    let number = section.required("number", section.text("number"), "the IRB's number");
    let bodies = [
        ("local-irb", ReviewBody::LocalIrb),
        ("external-irb", ReviewBody::ExternalIrb),
        ("not-research", ReviewBody::NotResearch),
    ];
    let reviewed_by = section.one_of("reviewed-by", &bodies);
    let reviewed_by =
        section.required("reviewed-by", reviewed_by, "\"local-irb\", \"external-irb\" or \"not-research\"");
    let approved = section.required("approved", date(section, "approved", zone), "the date of the approval");
    let expires = date(section, "expires", zone);
    let waiver = section.text("first-text-waiver").map(|found| found.value);
    let protocol = number.zip(reviewed_by).zip(approved).map(|((number, reviewed_by), approved)| Protocol {
        number: number.value,
        reviewed_by,
        approved,
        expires,
    });
    (protocol, waiver)
}

fn consent(section: &Section<'_>, zone: &TimeZone, region: &str) -> Option<(String, Consent)> {
    let record = section.required("record", section.text("record"), "the REDCap record");
    let given = section.required("given", date(section, "given", zone), "the date on which it was given");
    let evidence = section.required("evidence", section.text("evidence"), "where the evidence is kept");
    let manner = section.one_of("manner", &MANNERS);
    let manner = section.required("manner", manner, "\"written\", \"verbal-documented\" or \"electronic\"");
    let covers = section.required("covers", section.texts("covers"), "the delivery methods that it covers");
    let covers = covers.unwrap_or_default().iter().filter_map(|found| word(section, found)).collect();
    let phone = section.text("phone").and_then(|found| match PhoneNumber::parse(&found.value, region) {
        Ok(phone) => Some(phone.expose().to_owned()),
        Err(error) => {
            section.say(found.at, format!("this is not a phone number: {error}"), None);
            None
        }
    });
    let withdrawn = date(section, "withdrawn", zone);
    let consent =
        Consent { given: given?, evidence: evidence?.value, manner: manner?, withdrawn, phone, covers };
    Some((record?.value, consent))
}

fn invitation(section: &Section<'_>) -> Option<InvitationRule> {
    let id = section.required("id", section.text("id"), "a name that never changes");
    let survey = section.required("survey", section.text("survey"), "the survey's instrument");
    let when = section.required("when", section.text("when"), "the condition, in REDCap's logic");
    if let Some(when) = &when
        && let Err(mistakes) = redcap::logic::parse(&when.value)
    {
        for mistake in mistakes {
            // The quote before the text is one byte, so the place in the file is one further.
            let at = when.at.start + 1 + mistake.at.start..when.at.start + 1 + mistake.at.end;
            section.say(at, format!("this condition cannot be read: {}", mistake.sentence), mistake.help);
        }
    }
    let hours = section.number("not-after-hours").map_or(24, |found| found.value);
    Some(InvitationRule {
        id: id?.value,
        survey: survey?.value,
        event: section.text("event").map(|found| found.value),
        when: when?.value,
        wording: section.text("wording").map(|found| found.value),
        not_after: hours.saturating_mul(3600),
    })
}

fn wording(section: &Section<'_>, zone: &TimeZone, notes: &mut Vec<String>) -> Option<Wording> {
    let id = section.required("id", section.text("id"), "a name for the wording");
    let language = section.required("language", section.text("language"), "such as \"en\" or \"es\"");
    let text = section.required("text", section.text("text"), "the words, with REDCap's piping");
    let parts = [("message", Part::Whole), ("opt-out", Part::OptOut), ("first-message", Part::FirstMessage)];
    let part = section.one_of("part", &parts).unwrap_or(Part::Whole);
    let purposes: Vec<Purpose> =
        section.texts("purposes").unwrap_or_default().iter().filter_map(|f| word(section, f)).collect();
    let methods: Vec<DeliveryMethod> =
        section.texts("methods").unwrap_or_default().iter().filter_map(|f| word(section, f)).collect();
    let now =
        language.as_ref().zip(text.as_ref()).map(|(language, text)| digest(&language.value, &text.value));
    let help = format!("the approved template's digest; that of this text is {}", now.unwrap_or_default());
    let approval = section.section("approval", |section| approval(section, zone, &help));
    let wording = Wording {
        id: id?.value,
        language: language?.value,
        part,
        purposes,
        methods,
        text: text?.value,
        approval: approval.flatten(),
    };
    // A changed wording is no mistake in the file: it is held until it is approved again.
    match &wording.approval {
        Some(approval) if approval.digest != wording.digest() => notes.push(format!(
            "the wording `{}` ({}) was changed since it was approved, and is held until it is approved again; its \
             digest is now {}",
            wording.id,
            wording.language,
            wording.digest()
        )),
        None => notes.push(format!(
            "the wording `{}` ({}) has no approval, and is held until it has one; its digest is {}",
            wording.id,
            wording.language,
            wording.digest()
        )),
        Some(_) => {}
    }
    Some(wording)
}

fn policies(
    section: &Section<'_>,
    folder: &Path,
    engine: &Arc<Engine>,
    guarded: &[String],
) -> Option<Policies> {
    let load = |world: World| {
        required_section(section, world.name(), |section| policy(section, world, folder, engine, guarded))
            .flatten()
    };
    let (routing, template, compliance) =
        (load(World::Routing), load(World::Template), load(World::Compliance));
    Some(Policies { routing: routing?, template: template?, compliance: compliance? })
}

fn policy(
    section: &Section<'_>,
    world: World,
    folder: &Path,
    engine: &Arc<Engine>,
    guarded: &[String],
) -> Option<Arc<Policy>> {
    let component = section.required("component", section.text("component"), "the component's file");
    let pinned = section.text("digest");
    let grants = section.texts("grants").unwrap_or_default();
    let interfaces: BTreeSet<Grant> = grants.iter().filter_map(|found| grant(section, found)).collect();
    let write_fields = section.texts("write-fields").unwrap_or_default();
    for found in write_fields.iter().filter(|found| guarded.contains(&found.value)) {
        let sentence = format!("no policy may write `{}`: the floor reads it", found.value);
        section.say(found.at.clone(), sentence, None);
    }
    let write_fields: BTreeSet<String> = write_fields.into_iter().map(|found| found.value).collect();
    let mut places: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let settings = section.section("settings", |settings| {
        let mut read = Settings::new();
        for (name, value) in settings.entries() {
            places.insert(name.clone(), value.span());
            match setting(value.get_ref()) {
                Some(setting) => {
                    read.insert(name, setting);
                }
                None => settings.say(
                    value.span(),
                    format!("`{name}` takes true or false, a number, a text or a list of texts"),
                    None,
                ),
            }
        }
        read
    });
    let component = component?;
    let bytes = match std::fs::read(folder.join(&component.value)) {
        Ok(bytes) => bytes,
        Err(error) => {
            section.say(component.at, format!("the component cannot be read: {error}"), None);
            return None;
        }
    };
    let actual = policy::Digest::of(&bytes);
    if let Some(pinned) = pinned.filter(|pinned| pinned.value != actual.as_str()) {
        let help = format!("this component's digest is {actual}; pin that if you have reviewed it");
        section.say(pinned.at, "the component is not the one that is pinned", help);
        return None;
    }
    let grants = Grants { interfaces, write_fields };
    match Policy::load(engine, world, &bytes, grants, settings.unwrap_or_default(), Limits::default()) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(LoadError::Settings(problems)) => {
            for problem in problems {
                let at = places.get(&problem.setting).cloned().unwrap_or_else(|| section.at.clone());
                section.say(at, problem.sentence, problem.help);
            }
            None
        }
        Err(error) => {
            section.say(component.at, format!("the {} policy is not loaded: {error}", world.name()), None);
            None
        }
    }
}

/// The fields from which the floor learns of consent, of numbers and of opt-outs.
fn guarded(fields: &ParticipantFields) -> Vec<String> {
    let mut guarded: Vec<String> =
        fields.phone.iter().chain(&fields.email).chain(&fields.opt_out).cloned().collect();
    if let Some(consent) = &fields.consent {
        guarded.push(consent.given.clone());
        guarded.extend(consent.withdrawn.iter().chain(&consent.phone).cloned());
    }
    guarded
}

fn setting(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::Boolean(truth) => Some(Value::Truth(*truth)),
        DeValue::Integer(number) => number.as_str().parse().ok().map(Value::Number),
        DeValue::Float(number) => number.as_str().parse().ok().map(Value::Number),
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Array(list) => {
            let texts = list.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Value::Texts)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn grant(section: &Section<'_>, found: &Found<String>) -> Option<Grant> {
    let grant = Grant::ALL.into_iter().find(|grant| grant.name() == found.value);
    if grant.is_none() {
        let names = Grant::ALL.map(Grant::name).join(", ");
        section.say(found.at.clone(), "there is no such interface to grant", format!("there are {names}"));
    }
    grant
}

/// A word of the contract.
fn word<W: Word>(section: &Section<'_>, found: &Found<String>) -> Option<W> {
    let word = W::read(&found.value);
    if word.is_none() {
        let words: Vec<_> = W::ALL.iter().map(|(_, word)| *word).collect();
        section.say(
            found.at.clone(),
            format!("`{}` is not known here", found.value),
            format!("there are {}", words.join(", ")),
        );
    }
    word
}

/// A date, or a date and time, on the project's clock.
pub(super) fn date(section: &Section<'_>, key: &str, zone: &TimeZone) -> Option<u32> {
    let found = section.date(key)?;
    let at = match found.value.parse::<Date>() {
        Ok(date) if found.value.len() <= 10 => Some(date.at(0, 0, 0, 0)),
        _ => found.value.replacen(' ', "T", 1).parse::<DateTime>().ok(),
    };
    let seconds = at
        .and_then(|at| zone.to_ambiguous_timestamp(at).compatible().ok())
        .and_then(|at| u32::try_from(at.as_second()).ok());
    if seconds.is_none() {
        section.say(found.at, format!("`{key}` takes a date"), "such as 2026-11-20".to_owned());
    }
    seconds
}
