//! Mail: an e-mail is handed to the institution's own server, by SMTP.
//!
//! The delivery contract is that of [`crate::outbox`]. A server that says no, at whichever step, and a
//! connection that ends before the line that ends the mail was written, are a definite no. Once that line may
//! have left, nobody but the server knows: a mail server keeps no list that could be asked, so what it does not
//! answer then is unknown, for a person, and never sent again. What the server took is sent, and nothing more is
//! expected of it.
//!
//! The server's words are never repeated: they may quote the mailbox. Only its codes are.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Message as Mail, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use policy::contract::reviewer::Draft;
use policy::contract::types::{Address, Attempt, Channel, Failure};
use redcap::html::{escape, html_to_text};
use secrecy::{ExposeSecret, SecretString};

use crate::facts::Known;
use crate::floor::Account;
use crate::gateway::Gateway;
use crate::metrics::{self, Sent};
use crate::outbox::{Message, Reason, backoff};
use crate::project::Project;
use crate::send::ATTEMPTS;
use crate::store::{Outcome, Scope};
use crate::vocabulary::channel;

/// How long a server may take until it is ready for the mail, and again until it has taken it. Both together
/// are less than the time after which a submission counts as cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// E-mails that are on their way at once: a server that hangs must not hold up texts.
pub(crate) const AT_ONCE: u32 = 4;

/// E-mails a second, where the project does not say.
pub const MAILS_A_SECOND: u32 = 5;

/// Bytes of a mail that are written at once.
const CHUNK: usize = 8192;

/// Seconds after which what a person must mend at the sender is tried again.
const MENDED: u32 = 900;

/// A mailbox that somebody is written to at. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox(lettre::Address);

/// A text is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no e-mail address")]
pub struct NotAMailbox;

impl Mailbox {
    /// Reads a mailbox as somebody typed it.
    pub fn read(text: &str) -> Result<Mailbox, NotAMailbox> {
        text.trim().parse().map(Mailbox).map_err(|_| NotAMailbox)
    }

    /// The mailbox in clear.
    pub fn expose(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(…)")
    }
}

/// Under which spelling an address is found again: nobody has two mailboxes that differ in capitals.
pub(crate) fn key(to: &Address) -> Cow<'_, str> {
    match to {
        Address::Phone(number) => Cow::Borrowed(number),
        Address::Email(mailbox) => Cow::Owned(mailbox_key(mailbox)),
    }
}

/// As [`key`], of a mailbox.
pub(crate) fn mailbox_key(mailbox: &str) -> String {
    mailbox.trim().to_lowercase()
}

/// A mailbox of the institution's own, with the name that it writes under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMailbox(lettre::message::Mailbox);

impl OwnMailbox {
    /// Reads "Northfield Sleep Study <sleep@example.edu>", or a mailbox without a name.
    pub fn read(text: &str) -> Result<OwnMailbox, NotAMailbox> {
        text.trim().parse().map(OwnMailbox).map_err(|_| NotAMailbox)
    }
}

/// The server that a project's e-mails are handed to, and whom they come from.
#[derive(Debug)]
pub struct MailAccount {
    /// The server.
    pub server: Server,
    /// The user and the password, where the server wants them.
    pub login: Option<(String, SecretString)>,
    /// Who writes.
    pub from: OwnMailbox,
    /// Where answers go, if that is another mailbox.
    pub reply_to: Option<OwnMailbox>,
    /// Where somebody writes to who wants no more e-mail.
    pub unsubscribe: Option<OwnMailbox>,
    /// E-mails a second that the server is given.
    pub mails_a_second: u32,
}

impl MailAccount {
    /// The mailbox that e-mails come from, without its name.
    pub fn sender(&self) -> &str {
        self.from.0.email.as_ref()
    }
}

/// How a connection is made secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// It is not: for a relay on the same machine or in the institution's own network.
    None,
    /// From its first byte.
    Tls,
    /// By the command STARTTLS, which must be there.
    StartTls,
}

/// A mail server.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

/// Why a mail server's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not written as one.
    #[error("`server` takes the address of a mail server")]
    Address,
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up on this machine; are the system's certificates there?")]
    Tls(#[source] lettre::transport::smtp::Error),
}

impl Server {
    /// Reads `smtp://host:25`, `smtps://host:465` or `smtp+starttls://host:587`; the port may be left out.
    pub fn read(url: &str) -> Result<Server, ServerError> {
        let (scheme, place) = url.split_once("://").ok_or(ServerError::Address)?;
        let (security, usual) = match scheme {
            "smtp" => (Security::None, 25),
            "smtps" => (Security::Tls, 465),
            "smtp+starttls" => (Security::StartTls, 587),
            _ => return Err(ServerError::Address),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = match place.rsplit_once(':') {
            // An IPv6 address has colons of its own, between brackets.
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| ServerError::Address)?)
            }
            _ => (place, usual),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', '@', '?', '#', ' ', '[', ']']) {
            return Err(ServerError::Address);
        }
        let tls = match security {
            Security::None => None,
            Security::Tls | Security::StartTls => {
                Some(TlsParameters::new(host.to_owned()).map_err(ServerError::Tls)?)
            }
        };
        Ok(Server { host: host.into(), port, security, tls })
    }

    /// Whether a password would be readable by whoever listens on the network.
    pub fn is_overheard(&self) -> bool {
        let here = self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        self.security == Security::None && !here
    }
}

/// Who a draft comes from, by number or mailbox: what a stop of the sender is about.
pub(crate) fn sender(project: &Project, draft: &Draft) -> String {
    let mailbox = project.mail.as_ref().filter(|_| channel(draft.method) == Channel::Email);
    mailbox.map_or_else(|| project.account.number.expose().to_owned(), |mail| mail.sender().to_owned())
}

/// Whether a project may send e-mail. Its server is not asked before there is something to send.
pub(crate) fn account(project: &Project) -> Account {
    match project.mail {
        Some(_) => Account::Good,
        None => Account::Bad("the project has no mail server to send e-mail by".into()),
    }
}

impl Gateway {
    /// Hands an e-mail to the server. The step to `submitting` is committed.
    pub(crate) async fn submit_mail(&self, message: &Message, draft: &Draft, known: &Known) -> Outcome {
        let now = self.clock.seconds();
        let project = &known.project;
        let Some(account) = &project.mail else {
            let why = Reason::new("send.channel", "the project has no mail server to send e-mail by");
            return Outcome::Held { code: None, why, stop: None };
        };
        let mail = match compose(account, draft, &message.id, now) {
            Ok(mail) => mail,
            Err(why) => return Outcome::Held { code: None, why, stop: None },
        };
        let handed = hand_over(account, mail.envelope(), &mail.formatted()).await;
        metrics::sent(&project.name, how(handed));
        match handed {
            Ok(()) => Outcome::Mailed,
            Err(failed) => {
                let (step, answer) = (failed.step, failed.answer);
                tracing::warn!(project = project.name, ?step, ?answer, "an e-mail was not taken");
                outcome(failed, message, draft, account.sender(), now)
            }
        }
    }
}

/// Writes the mail: an HTML part, and a plain one for whoever wants that.
fn compose(account: &MailAccount, draft: &Draft, id: &str, now: u32) -> Result<Mail, Reason> {
    let no_mailbox = || Reason::new("send.address", NotAMailbox.to_string());
    let Address::Email(to) = &draft.to else { return Err(no_mailbox()) };
    let to = Mailbox::read(to).map_err(|_| no_mailbox())?;
    let plain = html_to_text(&draft.body);
    let mut mail = Mail::builder()
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(now.into()))
        .message_id(Some(format!("<{id}@{}>", account.from.0.email.domain())))
        .from(account.from.0.clone())
        .to(lettre::message::Mailbox::new(None, to.0))
        // No machine is to answer a machine.
        .raw_header(header("Auto-Submitted", "auto-generated".into()));
    if let Some(mailbox) = &account.reply_to {
        mail = mail.reply_to(mailbox.0.clone());
    }
    if let Some(mailbox) = &account.unsubscribe {
        mail = mail.raw_header(header(
            "List-Unsubscribe",
            format!("<mailto:{}?subject=unsubscribe>", mailbox.0.email),
        ));
    }
    if let Some(subject) = &draft.subject {
        mail = mail.subject(subject.clone());
    }
    let parts = MultiPart::alternative_plain_html(plain, document(draft));
    let cannot = |_| Reason::new("send.mail", "the e-mail cannot be written as one");
    mail.multipart(parts).map_err(cannot)
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// A body as a whole document, in its language, which a voice that reads it to somebody asks for.
fn document(draft: &Draft) -> String {
    let language = escape(&draft.language);
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\"></head>\n<body>\n{}\n</body></html>\n",
        draft.body
    )
}

/// How far a submission came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The connection, the greeting, and what makes it secure.
    Connect,
    /// User and password.
    LogIn,
    /// Who it is from.
    From,
    /// Whom it is for.
    To,
    /// The mail, before the line that ends it was written.
    Mail,
    /// That line, which may have left.
    End,
}

/// What there was instead of a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The server's code.
    Code(u16),
    /// The connection was lost, or took too long.
    None,
    /// The server does not do what is needed: no such login, no STARTTLS, no such letters in an address.
    Cannot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed {
    step: Step,
    answer: Answer,
}

impl Failed {
    fn at(step: Step) -> impl Fn(lettre::transport::smtp::Error) -> Failed {
        move |error| {
            let answer = match error.status() {
                Some(code) => Answer::Code(code.into()),
                None if error.is_client() => Answer::Cannot,
                None => Answer::None,
            };
            Failed { step, answer }
        }
    }
}

fn how(handed: Result<(), Failed>) -> Sent {
    match handed {
        Ok(()) => Sent::Accepted,
        Err(Failed { answer: Answer::Code(_) | Answer::Cannot, .. }) => Sent::Refused,
        Err(Failed { step: Step::End, .. }) => Sent::Unknown,
        Err(_) => Sent::NotSent,
    }
}

/// Says the whole conversation with the server, on a connection of its own.
async fn hand_over(account: &MailAccount, envelope: &Envelope, mail: &[u8]) -> Result<(), Failed> {
    let opened = tokio::time::timeout(PATIENCE, open(account, envelope)).await;
    let mut connection = opened.unwrap_or(Err(Failed { step: Step::Connect, answer: Answer::None }))?;
    let may_have_ended = AtomicBool::new(false);
    let chunks = Chunks { rest: mail, done: &may_have_ended };
    let taken = tokio::time::timeout(PATIENCE, connection.message_iter(chunks)).await;
    let step = if may_have_ended.load(Ordering::Relaxed) { Step::End } else { Step::Mail };
    taken.map_err(|_| Failed { step, answer: Answer::None })?.map_err(Failed::at(step))?;
    // Nobody waits for the good-bye.
    tokio::spawn(async move {
        let _ = tokio::time::timeout(PATIENCE, connection.quit()).await;
    });
    Ok(())
}

/// Says everything up to the mail itself: the server is ready for it.
async fn open(account: &MailAccount, envelope: &Envelope) -> Result<AsyncSmtpConnection, Failed> {
    let server = &account.server;
    let hello = ClientId::Domain(account.from.0.email.domain().to_owned());
    let place = (server.host.as_str(), server.port);
    let wrapped = server.tls.clone().filter(|_| server.security == Security::Tls);
    let mut connection = AsyncSmtpConnection::connect_tokio1(place, Some(PATIENCE), &hello, wrapped, None)
        .await
        .map_err(Failed::at(Step::Connect))?;
    if let Some(tls) = server.tls.clone().filter(|_| server.security == Security::StartTls) {
        connection.starttls(tls, &hello).await.map_err(Failed::at(Step::Connect))?;
    }
    if let Some((user, password)) = &account.login {
        let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        connection.auth(&mechanisms, &credentials).await.map_err(Failed::at(Step::LogIn))?;
    }
    let mut parameters = vec![];
    let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failed { step: Step::To, answer: Answer::Cannot });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let from = MailFrom::new(envelope.from().cloned(), parameters);
    connection.command(from).await.map_err(Failed::at(Step::From))?;
    for to in envelope.to() {
        connection.command(Rcpt::new(to.clone(), vec![])).await.map_err(Failed::at(Step::To))?;
    }
    connection.command(Data).await.map_err(Failed::at(Step::Mail))?;
    Ok(connection)
}

/// A mail in pieces, which notes when the last of them was written: what follows is the line that ends it.
struct Chunks<'a> {
    rest: &'a [u8],
    done: &'a AtomicBool,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            self.done.store(true, Ordering::Relaxed);
            return None;
        }
        let (chunk, rest) = self.rest.split_at(self.rest.len().min(CHUNK));
        self.rest = rest;
        Some(chunk)
    }
}

/// What a failure means: for the recipient, for the sender, or for now.
fn outcome(failed: Failed, message: &Message, draft: &Draft, sender: &str, now: u32) -> Outcome {
    let again = |at, attempt, why: Reason, stop| Outcome::Again { at, attempt, code: None, why, stop };
    let passing = |sentence: String| {
        again(now + backoff(&message.id, message.tries), None, Reason::new("send.mail", sentence), None)
    };
    let held = |rule: &str, sentence: String| Outcome::Held {
        code: None,
        why: Reason::new(rule, sentence),
        stop: None,
    };
    match (failed.step, failed.answer) {
        (Step::End, Answer::None | Answer::Cannot) => Outcome::Unknown {
            why: Reason::new(
                "send.unknown",
                "the connection to the mail server was lost before it said whether it has the e-mail; it is never \
                 sent again, and nobody but a person can find out",
            ),
        },
        (_, Answer::Code(code @ 400..=499)) => {
            passing(format!("the mail server asked to try again later (code {code})"))
        }
        (Step::Connect | Step::From | Step::To | Step::Mail, Answer::None) => passing(
            "the mail server could not be reached, or was lost before the e-mail; nothing was sent".into(),
        ),
        (Step::LogIn, Answer::None) => {
            passing("the mail server was lost at the login; nothing was sent".into())
        }
        (Step::Connect | Step::LogIn | Step::From, answer) => {
            let what = match failed.step {
                Step::LogIn => "refuses the user or the password of `[mail]`",
                Step::From => "does not let us write from the mailbox of `[mail]`",
                _ => "does not talk to us, or not as securely as `[mail]` wants",
            };
            let why = Reason::new("send.configuration", format!("the mail server {what}{}", of(answer)));
            again(now + MENDED, None, why, Some(Scope::Sender(sender.into())))
        }
        (Step::To, Answer::Cannot) => {
            held("send.address", "the mail server takes no address with such letters".into())
        }
        (Step::To, answer) if message.attempts.len() < ATTEMPTS => {
            let why = Reason::new(
                "send.recipient",
                format!("the mail server says that this mailbox cannot be reached{}", of(answer)),
            );
            let attempt = Attempt { method: draft.method, at: now, failure: Failure::Unreachable };
            again(now + 60, Some(attempt), why, None)
        }
        (_, answer) => held("send.refused", format!("the mail server refused the e-mail{}", of(answer))),
    }
}

fn of(answer: Answer) -> String {
    match answer {
        Answer::Code(code) => format!(" (code {code})"),
        Answer::None | Answer::Cannot => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{NewMessage, State};
    use policy::contract::types::{DeliveryMethod, Purpose};

    fn server(url: &str) -> Option<(String, u16, Security)> {
        Server::read(url).ok().map(|server| (server.host, server.port, server.security))
    }

    fn account() -> MailAccount {
        let mailbox = |text: &str| OwnMailbox::read(text).unwrap();
        MailAccount {
            server: Server::read("smtp://127.0.0.1:25").unwrap(),
            login: Some(("sleep".into(), SecretString::from("a secret"))),
            from: mailbox("Northfield Sleep Study <sleep@example.edu>"),
            reply_to: Some(mailbox("team@example.edu")),
            unsubscribe: Some(mailbox("stop@example.edu")),
            mails_a_second: MAILS_A_SECOND,
        }
    }

    fn draft(to: &str) -> Draft {
        Draft {
            method: DeliveryMethod::Email,
            sender: None,
            to: Address::Email(to.into()),
            subject: Some("Dein Fragebogen für heute".into()),
            body: "<p>Hallo, <a href=\"https://example.edu/s/1\">hier</a> entlang.</p>".into(),
            language: "de".into(),
            segments: 0,
            approvals: vec![],
            fillings: vec![],
            links: vec![],
        }
    }

    fn message(attempts: usize) -> Message {
        let attempt = Attempt { method: DeliveryMethod::Email, at: 0, failure: Failure::Unreachable };
        Message {
            id: "01J00000000000000000000000".into(),
            new: NewMessage::about("p", "o".into(), Purpose::Invitation, 0),
            state: State::Submitting,
            version: 3,
            look_at: 0,
            draft: None,
            sid: None,
            provider_status: None,
            error_code: None,
            reason: None,
            attempts: vec![attempt; attempts],
            tries: 0,
            looks: 0,
            submitted: Some(0),
            changed: 0,
            since: 0,
            ended: None,
            price: None,
        }
    }

    #[test]
    fn a_server_is_read_with_the_usual_port_of_its_kind() {
        for (url, expected) in [
            ("smtp://relay", Some(("relay", 25, Security::None))),
            ("smtps://mail.example.edu/", Some(("mail.example.edu", 465, Security::Tls))),
            ("smtp+starttls://mail.example.edu", Some(("mail.example.edu", 587, Security::StartTls))),
            ("smtp://127.0.0.1:2525", Some(("127.0.0.1", 2525, Security::None))),
            ("smtp://[::1]:2525", Some(("::1", 2525, Security::None))),
            ("smtp://[::1]", Some(("::1", 25, Security::None))),
            ("mail.example.edu", None),
            ("http://mail.example.edu", None),
            ("smtp://", None),
            ("smtp://user:password@mail.example.edu", None),
            ("smtp://mail.example.edu:smtp", None),
        ] {
            let expected = expected.map(|(host, port, security)| (host.to_owned(), port, security));
            assert_eq!(server(url), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_overheard_on_a_network_without_tls() {
        for (url, expected) in [
            ("smtp://mail.example.edu", true),
            ("smtp://127.0.0.1:25", false),
            ("smtp://localhost", false),
            ("smtps://mail.example.edu", false),
        ] {
            assert_eq!(Server::read(url).unwrap().is_overheard(), expected, "{url}");
        }
    }

    #[test]
    fn a_mail_has_both_parts_and_says_that_a_machine_wrote_it() {
        let mail = compose(&account(), &draft("ben@example.org"), "01J0", 1_764_000_000).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        for expected in [
            "Message-ID: <01J0@example.edu>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "List-Unsubscribe: <mailto:stop@example.edu?subject=unsubscribe>\r\n",
            "From: \"Northfield Sleep Study\" <sleep@example.edu>\r\n",
            "Reply-To: team@example.edu\r\n",
            "To: ben@example.org\r\n",
            "Date: Mon, 24 Nov 2025 16:00:00 +0000\r\n",
            "multipart/alternative",
            "Content-Type: text/plain",
            "Content-Type: text/html",
            "Hallo, hier https://example.edu/s/1 entlang.\r\n",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(text.is_ascii(), "any server takes it");
    }

    #[test]
    fn a_line_end_in_a_mailbox_or_a_subject_makes_no_header() {
        assert!(compose(&account(), &draft("ben@example.org\r\nBcc: eve@example.org"), "01J0", 0).is_err());
        let mut draft = draft("ben@example.org");
        draft.subject = Some("Hi\r\nBcc: eve@example.org".into());
        let text = String::from_utf8(compose(&account(), &draft, "01J0", 0).unwrap().formatted()).unwrap();
        assert!(!text.contains("\r\nBcc:"), "{text}");
    }

    #[test]
    fn what_is_no_mailbox_is_told_and_a_mailbox_does_not_print() {
        for typed in
            ["", "ben", "ben@", "@example.org", "ben@example.org, eve@example.org", "a b@example.org"]
        {
            assert_eq!(Mailbox::read(typed), Err(NotAMailbox), "{typed}");
            let why = compose(&account(), &draft(typed), "01J0", 0).unwrap_err();
            assert_eq!(
                (why.rule.as_str(), why.sentence.as_str()),
                ("send.address", "it is no e-mail address")
            );
        }
        let mailbox = Mailbox::read(" Ben@Example.org ").unwrap();
        assert_eq!(mailbox_key(mailbox.expose()), "ben@example.org");
        assert_eq!(format!("{mailbox:?}"), "Mailbox(…)");
        assert!(!format!("{:?}", account()).contains("a secret"));
    }

    #[test]
    fn each_failure_has_its_own_consequence() {
        let of = |step, answer| {
            let sender = "sleep@example.edu";
            outcome(Failed { step, answer }, &message(0), &draft("ben@example.org"), sender, 1000)
        };
        let all = [Step::Connect, Step::LogIn, Step::From, Step::To, Step::Mail, Step::End];
        for step in all {
            let passing = of(step, Answer::Code(451));
            assert!(
                matches!(passing, Outcome::Again { attempt: None, stop: None, .. }),
                "{step:?} {passing:?}"
            );
            let lost = of(step, Answer::None);
            match step {
                Step::End => assert!(matches!(lost, Outcome::Unknown { .. }), "{lost:?}"),
                _ => assert!(matches!(lost, Outcome::Again { attempt: None, stop: None, .. }), "{lost:?}"),
            }
        }
        for step in [Step::Connect, Step::LogIn, Step::From] {
            for answer in [Answer::Code(535), Answer::Cannot] {
                let refused = of(step, answer);
                assert!(
                    matches!(&refused, Outcome::Again { at: 1900, attempt: None, stop: Some(Scope::Sender(of)), .. }
                        if of == "sleep@example.edu"),
                    "{step:?} {refused:?}"
                );
            }
        }
        let unreachable = of(Step::To, Answer::Code(550));
        assert!(matches!(
            unreachable,
            Outcome::Again { attempt: Some(Attempt { failure: Failure::Unreachable, .. }), stop: None, .. }
        ));
        assert!(matches!(of(Step::Mail, Answer::Code(554)), Outcome::Held { stop: None, .. }));
        assert!(matches!(of(Step::End, Answer::Code(554)), Outcome::Held { stop: None, .. }));
        assert!(matches!(of(Step::To, Answer::Cannot), Outcome::Held { stop: None, .. }));
        let often = message(ATTEMPTS);
        let failed = Failed { step: Step::To, answer: Answer::Code(550) };
        let held = outcome(failed, &often, &draft("ben@example.org"), "sleep@example.edu", 1000);
        assert!(matches!(held, Outcome::Held { .. }), "{held:?}");
    }
}
