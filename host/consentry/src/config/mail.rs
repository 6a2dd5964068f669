//! A project's mail server.

use std::path::Path;

use gateway::mail::{MAILS_A_SECOND, MailAccount, OwnMailbox, Server};

use super::reader::Section;
use super::secret;

/// How a server is written.
const SERVERS: &str =
    "\"smtp+starttls://host:587\", \"smtps://host:465\" or, for a relay without TLS, \"smtp://host:25\"";

/// Reads `[mail]`; none when something that it cannot be without is wrong, which was then said.
pub(super) fn account(section: &Section<'_>, folder: &Path) -> Option<MailAccount> {
    let server = section.required("server", section.text("server"), &format!("the mail server, {SERVERS}"));
    let server = server.and_then(|found| match Server::read(&found.value) {
        Ok(server) => Some((server, found.at)),
        Err(error) => {
            section.say(found.at, error.to_string(), SERVERS.to_owned());
            None
        }
    });
    let user = section.text("user");
    let password = section.has("password").then(|| secret(section, "password", folder)).flatten();
    if let Some(user) = user.as_ref().filter(|_| !section.has("password")) {
        section.say(user.at.clone(), "a `user` needs its `password`", None);
    }
    if user.is_none() && section.has("password") {
        section.say(section.place("password"), "a `password` needs its `user`", None);
    }
    if let (Some((server, at)), Some(_)) = (&server, &user)
        && server.is_overheard()
    {
        let sentence = "the password would cross the network for everybody to read";
        section.say(at.clone(), sentence, "write smtps:// or smtp+starttls://".to_owned());
    }
    let example = "who writes, such as \"Northfield Sleep Study <sleep@example.edu>\"";
    let from = mailbox(section, "from");
    let from = section.required("from", from, example);
    let (reply_to, unsubscribe) = (mailbox(section, "reply-to"), mailbox(section, "unsubscribe"));
    let pace = section.within("mails-per-second", &(1..=100), "to send nothing there is `consentry stop`");
    Some(MailAccount {
        server: server?.0,
        login: user.map(|user| user.value).zip(password),
        from: from?,
        reply_to,
        unsubscribe,
        mails_a_second: pace.unwrap_or(MAILS_A_SECOND),
    })
}

/// A mailbox of the institution's own.
fn mailbox(section: &Section<'_>, key: &str) -> Option<OwnMailbox> {
    let found = section.text(key)?;
    match OwnMailbox::read(&found.value) {
        Ok(mailbox) => Some(mailbox),
        Err(_) => {
            let help = "such as \"sleep@example.edu\" or \"Sleep Study <sleep@example.edu>\"";
            section.say(found.at, format!("`{key}` takes an e-mail address"), help.to_owned());
            None
        }
    }
}
