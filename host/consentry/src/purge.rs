//! What an older system left at Twilio of a project's number: it is found by listing, and redacted and deleted.
//!
//! What the gateway knows of is left to the gateway, which deletes it by itself. What came in is touched only
//! when it is from before the gateway's own reading, so that no refusal is deleted unread; and nothing of a
//! number that has a message in doubt, which is looked for in the same lists.

use std::collections::BTreeMap;
use std::fmt::Write;

use gateway::project::Project;
use gateway::store::{Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use twilio::{
    Deleted, Direction, Keyword, ListCalls, ListMessages, PhoneNumber, RequestError, default_keyword,
};

/// What came in so shortly before the last listing may not have been in it.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// Twilio's largest page, and how many of them are read of each list.
const PAGE: u16 = 1000;
const PAGES: u16 = 200;

/// Why a purge did not happen.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The store failed.
    #[error("read what the gateway knows of")]
    Store(#[from] StoreError),
    /// Twilio's lists could not be read.
    #[error("list what Twilio keeps")]
    List(#[source] RequestError),
    /// A record could not be deleted for another reason than that it is too early.
    #[error("delete a record at Twilio; {done} were deleted before it")]
    Delete {
        /// Records that were.
        done: u64,
        /// Why not this one.
        #[source]
        source: RequestError,
    },
    /// The gateway has never read what came in.
    #[error("delete what came in before the gateway has read it")]
    NotRead,
}

/// What is left at Twilio of a project's number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Texts that an older system sent.
    pub sent: u64,
    /// Texts that came in to it.
    pub came_in: u64,
    /// Its calls.
    pub calls: u64,
    /// STOP and START, which the project keeps there.
    pub kept: u64,
    /// Records that are the gateway's own, or later than the instant that was given: they are left alone.
    pub not_meant: u64,
    /// Records of numbers with a message in doubt: they are left alone until it is settled.
    pub in_doubt: u64,
    /// Whether Twilio listed everything; if not, purge again.
    pub complete: bool,
    #[serde(skip)]
    records: Vec<Record>,
}

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Records that are gone.
    pub gone: u64,
    /// Records that Twilio does not let go yet; texts among them are emptied, if Twilio allowed that.
    pub not_yet: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    sid: String,
    is_call: bool,
}

/// Something in one of Twilio's lists.
struct Listed {
    sid: String,
    is_call: bool,
    inbound: bool,
    at: Timestamp,
    other: Option<PhoneNumber>,
    keyword: bool,
}

/// Looks for what an older system left from before an instant.
pub async fn look(project: &Project, store: &Store, before: Timestamp) -> Result<Left, PurgeError> {
    let swept = store.swept(&project.name).await?.ok_or(PurgeError::NotRead)?;
    let read = Timestamp::from_second(i64::from(swept)).unwrap_or_default() - MARGIN;
    let (listed, complete) = list(project).await?;
    let mut left = Left { complete, ..Left::default() };
    let mut in_doubt: BTreeMap<String, bool> = BTreeMap::new();
    let mut meant = Vec::new();
    for record in listed {
        let end = if record.inbound { before.min(read) } else { before };
        if record.at >= end {
            left.not_meant += 1;
        } else if doubted(store, &mut in_doubt, record.other.as_ref()).await? {
            left.in_doubt += 1;
        } else {
            meant.push(record);
        }
    }
    // Asked last: what was submitted meanwhile is either in doubt above or known here.
    let known = store.known_sids(meant.iter().map(|record| record.sid.clone()).collect()).await?;
    for record in meant {
        let count = match &record {
            record if known.contains(&record.sid) => &mut left.not_meant,
            record if record.keyword && project.account.keep_opt_outs => &mut left.kept,
            record => {
                left.records.push(Record { sid: record.sid.clone(), is_call: record.is_call });
                match (record.is_call, record.inbound) {
                    (true, _) => &mut left.calls,
                    (false, true) => &mut left.came_in,
                    (false, false) => &mut left.sent,
                }
            }
        };
        *count += 1;
    }
    Ok(left)
}

/// Redacts and deletes it. A record that Twilio has not settled yet is left, and can be purged again later.
pub async fn purge(project: &Project, left: &Left) -> Result<Purged, PurgeError> {
    let mut purged = Purged::default();
    for record in &left.records {
        let deleted = if record.is_call {
            delete_call(project, record).await
        } else {
            delete_text(project, record).await
        };
        match deleted {
            Ok(Deleted::Gone | Deleted::AlreadyGone) => purged.gone += 1,
            Ok(Deleted::NotYet) => purged.not_yet += 1,
            Err(source) => return Err(PurgeError::Delete { done: purged.gone, source }),
        }
    }
    Ok(purged)
}

/// What is left, for a person.
pub fn text(left: &Left) -> String {
    let mut text = String::new();
    for (count, what) in [
        (left.sent, "texts that were sent"),
        (left.came_in, "texts that came in"),
        (left.calls, "calls"),
        (left.kept, "texts that say STOP or START, which the project keeps there"),
        (left.not_meant, "records that are Consentry's own or too young, which are left alone"),
        (
            left.in_doubt,
            "records of numbers with a message in doubt, which are left alone until it is settled",
        ),
    ] {
        // A `String` takes every write.
        let _ = writeln!(text, "{count:>9}  {what}");
    }
    text
}

async fn delete_text(project: &Project, record: &Record) -> Result<Deleted, RequestError> {
    let client = &project.account.client;
    match client.redact_message(&record.sid).await {
        Ok(_) => client.delete_message(&record.sid).await,
        Err(RequestError::Api(error)) if error.status == 404 => Ok(Deleted::AlreadyGone),
        // It is on its way still.
        Err(RequestError::Api(error)) if matches!(error.status, 400 | 409) => Ok(Deleted::NotYet),
        Err(error) => Err(error),
    }
}

async fn delete_call(project: &Project, record: &Record) -> Result<Deleted, RequestError> {
    let client = &project.account.client;
    for recording in client.list_recordings(&record.sid).await? {
        client.delete_recording(&recording.sid).await?;
    }
    client.delete_call(&record.sid).await
}

async fn list(project: &Project) -> Result<(Vec<Listed>, bool), PurgeError> {
    let account = &project.account;
    let number = Some(account.number.clone());
    let mut listed = Vec::new();
    let mut complete = true;
    for (to, from) in [(number.clone(), None), (None, number)] {
        let texts = ListMessages {
            to: to.clone(),
            from: from.clone(),
            page_size: PAGE,
            max_pages: PAGES,
            ..ListMessages::default()
        };
        let texts = account.client.list_messages(&texts).await.map_err(PurgeError::List)?;
        complete &= texts.complete;
        listed.extend(texts.items.into_iter().map(|text| {
            let inbound = text.direction == Direction::Inbound;
            let keyword = default_keyword(text.body.expose(), account.number.is_toll_free());
            Listed {
                sid: text.sid,
                is_call: false,
                inbound,
                at: text.date_created,
                other: if inbound { text.from } else { text.to },
                keyword: inbound && matches!(keyword, Some(Keyword::Stop | Keyword::Start)),
            }
        }));
        let calls = ListCalls { to, from, page_size: PAGE, max_pages: PAGES };
        let calls = account.client.list_calls(&calls).await.map_err(PurgeError::List)?;
        complete &= calls.complete;
        listed.extend(calls.items.into_iter().map(|call| {
            let inbound = call.direction == Direction::Inbound;
            // Nobody reads who called: it is not a message to be taken in.
            Listed {
                sid: call.sid,
                is_call: true,
                inbound: false,
                at: call.date_created,
                other: if inbound { call.from } else { call.to },
                keyword: false,
            }
        }));
    }
    Ok((listed, complete))
}

/// Whether a number has a message of which nobody knows whether it was sent.
async fn doubted(
    store: &Store,
    known: &mut BTreeMap<String, bool>,
    number: Option<&PhoneNumber>,
) -> Result<bool, StoreError> {
    let Some(number) = number else { return Ok(false) };
    if let Some(known) = known.get(number.expose()) {
        return Ok(*known);
    }
    let last = store.deliveries(number, 50).await?;
    let doubt = last.iter().any(|(_, status, _)| ["submitting", "unknown"].contains(&status.as_str()));
    known.insert(number.expose().to_owned(), doubt);
    Ok(doubt)
}
