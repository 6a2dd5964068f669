//! What of REDCap's own schedules a project takes over, who of its staff may be written to, and the approvals of
//! the texts that are written in REDCap.

use gateway::mail::Mailbox;
use gateway::project::{Content, GoLive, RedcapSends, Selection, Staff, TakesOver};
use gateway::wording::WordingApproval;
use jiff::tz::TimeZone;
use twilio::PhoneNumber;

use super::project::date;
use super::reader::{Found, Section};

/// `[schedules]`.
pub(super) fn takes_over(section: &Section<'_>) -> TakesOver {
    let named = |key: &str| {
        let found = section.texts(key).unwrap_or_default();
        Selection(found.into_iter().map(|found| found.value).collect())
    };
    let usual = TakesOver::default();
    let content = section.one_of("content", &[("frozen", Content::Frozen), ("at-send", Content::AtSend)]);
    let go_live =
        section.one_of("go-live", &[("baseline", GoLive::Baseline), ("everything", GoLive::Everything)]);
    let hours = section.within("not-after-hours", &(1..=720), "what is later is a message of its own");
    let brake = section.within("brake", &(1..=1_000_000), "to stop all of it there is `consentry stop`");
    let sends = section
        .one_of("redcap-sends", &[("as-designed", RedcapSends::AsDesigned), ("never", RedcapSends::Never)]);
    let public = section.text("public-survey-link").and_then(|found| public_link(section, found));
    TakesOver {
        invitations: named("invitations"),
        alerts: named("alerts"),
        content: content.unwrap_or(usual.content),
        mends: section.flag("send-when-mended").unwrap_or(usual.mends),
        not_after: hours.map_or(usual.not_after, |hours| hours * 3600),
        brake: brake.unwrap_or(usual.brake),
        go_live: go_live.unwrap_or(usual.go_live),
        redcap_sends: sends.unwrap_or(usual.redcap_sends),
        public_survey_link: public,
    }
}

/// The link of the public survey goes to people's phones: it must lead to a survey, and not in clear.
fn public_link(section: &Section<'_>, found: Found<String>) -> Option<String> {
    let help = "copy the public survey link from REDCap, such as \"https://redcap.example.edu/surveys/?s=…\"";
    let after = found.value.strip_prefix("https://").or_else(|| {
        let rest = found.value.strip_prefix("http://")?;
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        matches!(host, "127.0.0.1" | "localhost").then_some(rest)
    });
    let host = after.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    let leads = after.is_some_and(|rest| rest.contains("s=") || rest.contains('/'));
    if host.is_empty() || host.contains('@') || !leads || found.value.contains(char::is_whitespace) {
        let sentence = "`public-survey-link` takes the whole https:// address of a survey";
        section.say(found.at, sentence, help.to_owned());
        return None;
    }
    Some(found.value)
}

/// `[[staff]]`.
pub(super) fn staff(section: &Section<'_>, region: &str) -> Option<Staff> {
    let name = section.required("name", section.text("name"), "who this is, such as \"on-call nurse\"");
    let registered = section.required(
        "registered",
        section.text("registered"),
        "the administrator who registered the address, and when: alerts may name registered addresses only",
    );
    let phone = section.text("phone").and_then(|found| match PhoneNumber::parse(&found.value, region) {
        Ok(phone) => Some(phone),
        Err(error) => {
            section.say(found.at, format!("this is not a phone number: {error}"), None);
            None
        }
    });
    let email = section.text("email").and_then(|found| {
        let mailbox = Mailbox::read(&found.value).ok();
        if mailbox.is_none() {
            section.say(
                found.at,
                "this is not an e-mail address",
                "such as \"nurse@example.edu\"".to_owned(),
            );
        }
        mailbox
    });
    if !section.has("phone") && !section.has("email") {
        section.say(section.at.clone(), "a member of staff needs a `phone` or an `email`", None);
    }
    let identifiers = section.texts("identifiers").unwrap_or_default();
    Some(Staff {
        name: name?.value,
        phone,
        email,
        registered: registered?.value,
        identifiers: identifiers.into_iter().map(|found| found.value).collect(),
    })
}

/// An approval of a text, which `[[approval]]` and `[wording.approval]` write alike.
pub(super) fn approval(section: &Section<'_>, zone: &TimeZone, help: &str) -> Option<WordingApproval> {
    let digest = section.required("digest", section.text("digest"), help);
    let by = section.required("by", section.text("by"), "who recorded the approval");
    let approved = section.required("approved", date(section, "approved", zone), "the date of the approval");
    let expires = date(section, "expires", zone);
    let identifiers = section.texts("identifiers").unwrap_or_default();
    Some(WordingApproval {
        digest: digest?.value,
        by: by?.value,
        protocol: section.text("protocol").map(|found| found.value),
        approved: approved?,
        expires,
        identifiers: identifiers.into_iter().map(|found| found.value).collect(),
    })
}
