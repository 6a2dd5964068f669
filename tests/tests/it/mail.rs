//! E-mail: from REDCap to a mailbox, and what becomes of it when the mail server is not at its best.

use anyhow::{Context, Result};
use gateway::mail::Mailbox;
use gateway::store::{Contact, Fate, Scope, Step};
use sandbox::{MailFault, ReceivedMail};
use tests::{BEN, Play, Stage, reference, words};

/// Where Ben reads his mail.
const MAILBOX: &str = "ben@example.org";

/// A project that writes by e-mail, and by text to those who want that or cannot be reached by mail.
fn by_mail() -> Play {
    let mut mail = words(
        "invitation-mail",
        "message",
        &["invitation"],
        "<p>Dear [first_name],</p><p>your sleep diary is ready: [survey-link]</p>",
    );
    (mail.methods, mail.identifiers) = (&["email"], &["first_name"]);
    let mut subject = words("subject", "message", &["invitation"], "Your sleep diary, [first_name]");
    (subject.methods, subject.identifiers) = (&["email"], &["first_name"]);
    let mut play = Play::default();
    for text in &mut play.wordings {
        text.methods = &["sms-link", "sms-text"];
    }
    play.wordings.extend([mail, subject]);
    Play {
        messages: "methods = [\"email\", \"sms-link\"]\ndefault-method = \"email\"\n".into(),
        mail: Some(
            "from = \"Northfield Sleep Study <sleep@example.edu>\"\nreply-to = \"team@example.edu\"\n\
             unsubscribe = \"stop@example.edu\"\nmails-per-second = 100\n"
                .into(),
        ),
        participant: format!("email-field = \"email\"\n{}", play.participant)
            .replace("covers = [\"sms-link\"]", "covers = [\"sms-link\", \"email\"]"),
        template: reference(
            "template",
            "grants = []\n[policy.template.settings]\nsubject-wording = \"subject\"\n",
        ),
        ..play
    }
}

/// A stage on which Ben has a mailbox.
async fn stage(play: Play) -> Result<Stage> {
    let stage = Stage::with(&[play]).await?;
    mailbox(&stage, MAILBOX).await?;
    Ok(stage)
}

/// The study team types Ben's mailbox.
async fn mailbox(stage: &Stage, typed: &str) -> Result<()> {
    stage.sandbox.redcap().save_form("1", "enrolment", None, 1, &[("email", typed)]).await;
    stage.settle().await
}

fn only(mails: &[ReceivedMail]) -> Result<&ReceivedMail> {
    anyhow::ensure!(mails.len() == 1, "there are {} mails", mails.len());
    mails.first().context("there is one")
}

#[tokio::test]
async fn an_invitation_by_mail_has_an_html_part_and_a_plain_one_with_the_link() -> Result<()> {
    let stage = stage(by_mail()).await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "sent", "{:?}", line.reason);
    let message = stage.gateway.store.message(&id).await?.context("it is there")?;
    assert!(message.ended.is_some(), "nothing more is expected of it");

    let mails = stage.sandbox.mail().of(MAILBOX);
    let mail = only(&mails)?;
    assert_eq!(mail.subject, "Your sleep diary, Ben");
    assert_eq!(mail.from, "sleep@example.edu");
    let (html, text) = (mail.html.clone().unwrap_or_default(), mail.text.clone().unwrap_or_default());
    let address = text.split_whitespace().find(|word| word.starts_with("http")).context("a link")?;
    assert!(text.starts_with("Dear Ben,\nyour sleep diary is ready: http"), "{text}");
    assert!(html.contains(&format!("<a href=\"{address}\">{address}</a>")), "{html}");
    for (name, value) in [
        ("From", "\"Northfield Sleep Study\" <sleep@example.edu>".to_owned()),
        ("Reply-To", "team@example.edu".to_owned()),
        ("Message-ID", format!("<{id}@example.edu>")),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("List-Unsubscribe", "<mailto:stop@example.edu?subject=unsubscribe>".to_owned()),
    ] {
        assert_eq!(mail.header(name), Some(value.as_str()), "{name}");
    }
    assert_eq!((stage.received(BEN), stage.sandbox.twilio().creates_asked()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_participant_typed_is_never_a_tag_in_a_mail() -> Result<()> {
    let stage = stage(by_mail()).await?;
    let name = "<b title=\"x\">Ben</b>";
    stage.sandbox.redcap().save_form("1", "enrolment", None, 1, &[("first_name", name)]).await;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "sent", "{:?}", line.reason);
    let mails = stage.sandbox.mail().of(MAILBOX);
    let mail = only(&mails)?;
    let html = mail.html.clone().unwrap_or_default();
    assert!(html.contains("Dear &lt;b title=&quot;x&quot;&gt;Ben&lt;/b&gt;,"), "{html}");
    assert!(mail.text.clone().unwrap_or_default().contains(name), "it is shown as it was typed");
    Ok(())
}

#[tokio::test]
async fn a_wording_without_tags_is_made_a_mail_of_two_parts_too() -> Result<()> {
    let mut play = by_mail();
    for wording in &mut play.wordings {
        if wording.id == "invitation-mail" {
            wording.text = "Dear [first_name] & family,\n\nyour diary: [survey-link]".into();
        }
    }
    let stage = stage(play).await?;
    stage.invite("sleep", "1").await?;
    let mails = stage.sandbox.mail().of(MAILBOX);
    let mail = only(&mails)?;
    let (html, text) = (mail.html.clone().unwrap_or_default(), mail.text.clone().unwrap_or_default());
    assert!(html.contains("<p>Dear Ben &amp; family,</p>\n<p>your diary: <a href=\"http"), "{html}");
    assert!(text.starts_with("Dear Ben & family,\nyour diary: http"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_is_busy_is_tried_again_and_the_mail_comes_once() -> Result<()> {
    let stage = stage(by_mail()).await?;
    let faults =
        [MailFault::Greeting(421), MailFault::Refuse, MailFault::Recipient(450), MailFault::Mail(451)];
    for fault in faults {
        stage.sandbox.mail().next(1, fault);
    }
    let id = stage.invite("sleep", "1").await?;
    for tries in 1..=faults.len() {
        let line = stage.line(&id).await?;
        assert_eq!(line.status, "deferred", "after {tries}: {:?}", line.reason);
        assert_eq!(stage.sandbox.mail().count(), 0);
        stage.later(3600).await?;
    }
    assert_eq!(stage.line(&id).await?.status, "sent");
    only(&stage.sandbox.mail().of(MAILBOX))?;
    assert_eq!(stage.received(BEN), 0, "what passes is no reason for another way");
    Ok(())
}

#[tokio::test]
async fn a_mailbox_that_there_is_not_lets_routing_try_the_phone() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::Recipient(550));
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    let reason = line.reason.unwrap_or_default();
    assert!(line.status == "deferred" && reason.contains("550"), "{}: {reason}", line.status);
    assert!(!reason.contains('@'), "the server's words quote the mailbox: {reason}");
    stage.later(120).await?;
    stage.until(&id, "delivered").await?;
    assert_eq!((stage.received(BEN), stage.sandbox.mail().count()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_mail_that_may_have_been_taken_is_a_task_and_never_sent_again() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::KeepThenDrop);
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "unknown");
    let tasks = stage.gateway.store.tasks().await?;
    let task = tasks.iter().find(|task| task.kind == "unknown-send").context("a person is asked")?;
    assert!(task.sentence.contains("mail server"), "{}", task.sentence);
    for _ in 0..3 {
        stage.later(6 * 3600).await?;
    }
    assert_eq!(stage.line(&id).await?.status, "unknown");
    assert_eq!((stage.sandbox.mail().connections(), stage.received(BEN)), (1, 0));
    only(&stage.sandbox.mail().of(MAILBOX))?;

    let found = Step::FindOut { id: id.clone(), fate: Fate::Sent, why: "it is in the server's log".into() };
    stage.gateway.store.commit(found).await?;
    assert_eq!(stage.line(&id).await?.status, "sent");
    assert!(stage.gateway.store.tasks().await?.iter().all(|task| task.kind != "unknown-send"));
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_lost_within_the_mail_is_never_followed_by_two_mails() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::DropBeforeTheEnd);
    let id = stage.invite("sleep", "1").await?;
    let status = stage.line(&id).await?.status;
    // Whether the last line had left when the connection broke is for the network to know.
    assert!(status == "unknown" || status == "deferred", "{status}");
    stage.later(3600).await?;
    let mails = stage.sandbox.mail().count();
    assert_eq!(mails, usize::from(status == "deferred"));
    Ok(())
}

#[tokio::test]
async fn a_mailbox_that_opted_out_gets_nothing_however_it_is_spelt() -> Result<()> {
    let stage = stage(by_mail()).await?;
    let contact = Contact::Mailbox(Mailbox::read("Ben@Example.org")?);
    let noted = Step::OptOut { project: "sleep".into(), contact: contact.clone(), why: "by e-mail".into() };
    stage.gateway.store.commit(noted).await?;
    assert_eq!(stage.gateway.store.opt_outs(&contact, "sleep").await?.len(), 1);
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!((line.status.as_str(), line.rule.as_deref()), ("suppressed", Some("floor.opted-out")));
    assert!(line.reason.unwrap_or_default().contains("PARTICIPANT OPTED OUT"));
    mailbox(&stage, "BEN@example.ORG").await?;
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "suppressed");
    assert_eq!((stage.sandbox.mail().connections(), stage.received(BEN)), (0, 0));
    Ok(())
}

#[tokio::test]
async fn what_waits_is_suppressed_when_its_mailbox_opts_out() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::Greeting(421));
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "deferred");
    let contact = Contact::Mailbox(Mailbox::read(MAILBOX)?);
    let noted = Step::OptOut { project: String::new(), contact, why: "by letter".into() };
    stage.gateway.store.commit(noted).await?;
    assert_eq!(stage.line(&id).await?.status, "suppressed");
    stage.later(3600).await?;
    assert_eq!(stage.sandbox.mail().count(), 0);
    Ok(())
}

#[tokio::test]
async fn what_is_no_mailbox_is_held_with_that_reason() -> Result<()> {
    let stage = stage(by_mail()).await?;
    mailbox(&stage, "ben at example.org").await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!((line.status.as_str(), line.rule.as_deref()), ("held", Some("send.address")));
    assert_eq!(line.reason.as_deref(), Some("it is no e-mail address"));
    assert_eq!(stage.sandbox.mail().connections(), 0);

    mailbox(&stage, MAILBOX).await?;
    stage.gateway.store.commit(Step::Release { id: id.clone(), why: "mended in REDCap".into() }).await?;
    stage.settle().await?;
    assert_eq!(stage.line(&id).await?.status, "sent");
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_refuses_us_stops_the_mailbox_that_writes_and_no_text() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::Sender(550));
    let id = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&id).await?.status, "deferred");
    let stops = stage.gateway.store.stopped().await?;
    let scopes: Vec<_> = stops.iter().map(|stop| stop.scope.as_str()).collect();
    assert_eq!(scopes, ["sender/sleep@example.edu"]);
    stage.later(1000).await?;
    assert_eq!((stage.line(&id).await?.status.as_str(), stage.sandbox.mail().count()), ("deferred", 0));
    let resume = Step::Resume { scope: Scope::Sender("sleep@example.edu".into()), why: "mended".into() };
    stage.gateway.store.commit(resume).await?;
    stage.settle().await?;
    assert_eq!((stage.line(&id).await?.status.as_str(), stage.sandbox.mail().count()), ("sent", 1));
    Ok(())
}

#[tokio::test]
async fn mail_goes_on_while_twilio_is_away_or_has_no_money() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.twilio().set_balance(0.0);
    stage.sandbox.faults().twilio_down(true);
    stage.gateway.sweep().await;
    // What came in at Twilio has not been read for an hour.
    stage.later(3600).await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!((line.status.as_str(), stage.sandbox.mail().count()), ("sent", 1), "{:?}", line.reason);
    Ok(())
}

#[tokio::test]
async fn no_mailbox_and_no_words_of_a_mail_are_in_the_database() -> Result<()> {
    let stage = stage(by_mail()).await?;
    stage.sandbox.mail().next(1, MailFault::Recipient(450));
    stage.invite("sleep", "1").await?;
    let contact = Contact::Mailbox(Mailbox::read(MAILBOX)?);
    stage.later(3600).await?;
    stage
        .gateway
        .store
        .commit(Step::OptOut { project: String::new(), contact, why: "by letter".into() })
        .await?;
    assert_eq!(stage.sandbox.mail().count(), 1);
    for file in std::fs::read_dir(stage.folder())? {
        let file = file?.path();
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("consentry.db")) {
            let bytes = std::fs::read(&file)?;
            for secret in [MAILBOX, "sleep diary is ready", "Your sleep diary, Ben"] {
                let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!there, "`{secret}` is in {}", file.display());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_method_email_without_a_mail_server_is_a_problem_of_the_configuration() -> Result<()> {
    let told = |mail: Option<&'static str>| async move {
        let stage = Stage::with(&[Play { mail: mail.map(str::to_owned), ..by_mail() }]).await;
        stage.err().map(|error| format!("{error:?}")).unwrap_or_default()
    };
    let missing = told(None).await;
    assert!(missing.contains("the method \"email\" needs a mail server"), "{missing}");
    let wrong =
        told(Some("from = \"sleep at example.edu\"\nuser = \"sleep\"\npassword-file = \"x\"\n")).await;
    for expected in
        ["`from` takes an e-mail address", "a `user` needs its `password`", "there is no key `password-file`"]
    {
        assert!(wrong.contains(expected), "{expected} in {wrong}");
    }
    Ok(())
}
