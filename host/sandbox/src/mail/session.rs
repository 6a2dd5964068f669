//! One connection: what is said, and what is answered.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Envelope, MailFault, Post, user_of};

/// A command, or a line of a mail, is not longer; RFC 5321 allows a thousand.
const LINE: u64 = 4096;

/// A mail is not longer.
const MAIL: usize = 4 * 1024 * 1024;

/// A connection, which goes wrong at most once.
struct Session<'a> {
    stream: BufReader<TcpStream>,
    post: &'a Post,
    fault: Option<MailFault>,
    envelope: Envelope,
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, post: &Post, fault: Option<MailFault>) -> io::Result<()> {
    let stream = BufReader::new(stream);
    let mut session = Session { stream, post, fault, envelope: Envelope::default() };
    match fault {
        Some(MailFault::Refuse) => return Ok(()),
        Some(MailFault::Greeting(code)) => return session.say(&format!("{code} not now")).await,
        _ => session.say("220 sandbox ESMTP").await?,
    }
    while let Some(line) = session.line().await? {
        if !session.answer(&line).await? {
            break;
        }
    }
    Ok(())
}

impl Session<'_> {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// The next line without its end; none when the other side has hung up.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        (&mut self.stream).take(LINE).read_until(b'\n', &mut line).await?;
        let ended = line.ends_with(b"\n");
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        Ok(ended.then_some(line))
    }

    /// Answers a command, and says whether another one may follow.
    async fn answer(&mut self, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let fault = self.fault;
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.say("250-sandbox\r\n250-AUTH PLAIN LOGIN\r\n250-SMTPUTF8\r\n250 8BITMIME").await?,
            "HELO" => self.say("250 sandbox").await?,
            "AUTH" => self.log_in(rest).await?,
            "MAIL" => match fault {
                Some(MailFault::Sender(code)) => self.say(&format!("{code} not from here")).await?,
                _ => {
                    self.envelope.from = path(rest);
                    self.envelope.to.clear();
                    self.say("250 ok").await?;
                }
            },
            "RCPT" => match fault {
                // As real servers do, this one quotes the mailbox.
                Some(MailFault::Recipient(code)) => {
                    self.say(&format!("{code} <{}>: no mailbox here", path(rest))).await?;
                }
                _ => {
                    self.envelope.to.push(path(rest));
                    self.say("250 ok").await?;
                }
            },
            "DATA" if self.envelope.to.is_empty() => self.say("503 whom for?").await?,
            "DATA" => return self.take_mail().await,
            "RSET" => {
                self.envelope.to.clear();
                self.say("250 ok").await?;
            }
            "NOOP" => self.say("250 ok").await?,
            "QUIT" => {
                self.say("221 bye").await?;
                return Ok(false);
            }
            _ => self.say("500 what?").await?,
        }
        Ok(true)
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        let (mechanism, given) = rest.split_once(' ').unwrap_or((rest, ""));
        let plain = mechanism.eq_ignore_ascii_case("PLAIN");
        let mut first = given.to_owned();
        if first.is_empty() {
            self.say(if plain { "334 " } else { "334 VXNlcm5hbWU6" }).await?;
            first = self.line().await?.unwrap_or_default();
        }
        if !plain {
            self.say("334 UGFzc3dvcmQ6").await?;
            self.line().await?;
        }
        if let Some(MailFault::Login(code)) = self.fault {
            return self.say(&format!("{code} no")).await;
        }
        self.envelope.user = user_of(&first, plain);
        self.say("235 welcome").await
    }

    async fn take_mail(&mut self) -> io::Result<bool> {
        self.say("354 go on").await?;
        if self.fault == Some(MailFault::DropBeforeTheEnd) {
            return Ok(false);
        }
        let mut mail = String::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(false) };
            if line == "." {
                break;
            }
            // A dot at the beginning of a line was doubled.
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.push_str("\r\n");
            if mail.len() > MAIL {
                self.say("552 too much").await?;
                return Ok(false);
            }
        }
        match self.fault {
            Some(MailFault::Mail(code)) => {
                self.say(&format!("{code} not this one")).await?;
                return Ok(true);
            }
            Some(MailFault::KeepThenDrop) => {
                self.post.keep(&self.envelope, mail.as_bytes());
                return Ok(false);
            }
            _ => {}
        }
        self.post.keep(&self.envelope, mail.as_bytes());
        self.say("250 taken").await?;
        Ok(true)
    }
}

/// The mailbox between angle brackets.
fn path(rest: &str) -> String {
    let between = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    between.map_or("", |(mailbox, _)| mailbox).to_owned()
}
