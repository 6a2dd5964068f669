//! The participants' mailboxes, behind a mail server that speaks SMTP on a port of its own.
//!
//! It takes every mail for every mailbox and keeps it, as a relay does that delivers at once. It knows no TLS,
//! for it is on this machine; and it lets in any user with any password, unless it is told not to.

mod session;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use mail_parser::{MessageParser, MimeHeaders};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::world::World;

/// How a mail goes wrong. Each is for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFault {
    /// The connection ends before a greeting.
    Refuse,
    /// The greeting is this code and not 220: 421 is a server that is busy.
    Greeting(u16),
    /// The login is answered so.
    Login(u16),
    /// The sender is answered so.
    Sender(u16),
    /// The recipient is answered so: 450 is for now, 550 is for ever.
    Recipient(u16),
    /// The whole mail is answered so, and not kept.
    Mail(u16),
    /// The connection ends within the mail, which is not kept.
    DropBeforeTheEnd,
    /// The mail is kept, and the connection ends before the answer.
    KeepThenDrop,
}

/// A mail in a mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMail {
    /// The sender, as the envelope has it.
    pub from: String,
    /// The recipient, as the envelope has it.
    pub to: String,
    /// Who logged in.
    pub user: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The subject, decoded.
    pub subject: String,
    /// Every header, undecoded, in order.
    pub headers: Vec<(String, String)>,
    /// The HTML part, decoded.
    pub html: Option<String>,
    /// The plain part, decoded.
    pub text: Option<String>,
}

impl fmt::Debug for ReceivedMail {
    /// A mail is for its reader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMail").field("at", &self.at).finish_non_exhaustive()
    }
}

impl ReceivedMail {
    /// The value of a header, whichever its capitals.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Every mailbox there is. Clones are the same ones.
#[derive(Clone)]
pub struct Mailboxes {
    post: Arc<Post>,
}

impl Mailboxes {
    /// Mailboxes that nobody delivers to.
    pub(crate) fn empty(world: &Arc<World>) -> Mailboxes {
        Mailboxes { post: Arc::new(Post { state: Mutex::default(), world: Arc::clone(world) }) }
    }
}

impl fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailboxes").finish_non_exhaustive()
    }
}

impl Mailboxes {
    /// What a mailbox holds, oldest first.
    pub fn of(&self, mailbox: &str) -> Vec<ReceivedMail> {
        let state = self.post.state();
        state.kept.iter().filter(|mail| mail.to.eq_ignore_ascii_case(mailbox)).cloned().collect()
    }

    /// How many mails came, to whichever mailbox.
    pub fn count(&self) -> usize {
        self.post.state().kept.len()
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.post.state().connections
    }

    /// Lets the next `count` connections go wrong, after those already planned.
    pub fn next(&self, count: usize, fault: MailFault) {
        self.post.state().faults.extend(std::iter::repeat_n(fault, count));
    }
}

#[derive(Default)]
struct State {
    kept: Vec<ReceivedMail>,
    faults: VecDeque<MailFault>,
    connections: u64,
}

/// What every connection shares.
struct Post {
    state: Mutex<State>,
    world: Arc<World>,
}

impl Post {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail for each of its recipients.
    fn keep(&self, envelope: &Envelope, bytes: &[u8]) {
        let read = MessageParser::default().parse(bytes);
        let headers = read.iter().flat_map(mail_parser::Message::headers_raw);
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), unfolded(value))).collect();
        let part = |kind: &str| {
            let mut parts = read.iter().flat_map(|mail| &mail.parts);
            let found = parts.find(|part| part.is_content_type("text", kind));
            // Lines end on the wire in a way of its own.
            found.and_then(|part| part.text_contents().map(|text| text.replace("\r\n", "\n")))
        };
        let (html, text) = (part("html"), part("plain"));
        let subject = read.as_ref().and_then(|mail| mail.subject()).unwrap_or_default().to_owned();
        for to in &envelope.to {
            self.state().kept.push(ReceivedMail {
                from: envelope.from.clone(),
                to: to.clone(),
                user: envelope.user.clone(),
                at: self.world.now(),
                subject: subject.clone(),
                headers: headers.clone(),
                html: html.clone(),
                text: text.clone(),
            });
        }
        self.world.changed();
    }
}

/// A header on one line.
fn unfolded(value: &str) -> String {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What was said before a mail.
#[derive(Debug, Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
    user: Option<String>,
}

/// The server at work. It ends when it is dropped.
pub(crate) struct MailServer {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl MailServer {
    /// Listens on any free port of the address that the sandbox listens on.
    pub(crate) async fn start(world: Arc<World>, beside: SocketAddr) -> io::Result<MailServer> {
        let listener = TcpListener::bind((beside.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let post = Arc::new(Post { state: Mutex::default(), world });
        let mailboxes = Mailboxes { post: Arc::clone(&post) };
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fault = {
                    let mut state = post.state();
                    state.connections += 1;
                    state.faults.pop_front()
                };
                let post = Arc::clone(&post);
                // Whoever hangs up has had its answer.
                tokio::spawn(async move { session::serve(stream, &post, fault).await });
            }
        });
        Ok(MailServer { mailboxes, address, serving })
    }
}

/// The user of `AUTH PLAIN` or of the first answer of `AUTH LOGIN`.
fn user_of(encoded: &str, plain: bool) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    if plain { decoded.split('\0').nth(1).map(str::to_owned) } else { Some(decoded) }
}
