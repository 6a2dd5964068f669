//! The judge: what each phone received, held against the ledger. It believes the phones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};
use gateway::outbox::Message;
use sandbox::Handset;
use serde_json::Value;

use super::Figures;
use super::books::Books;
use super::world::Said;

/// A participant, and what REDCap gave reason for.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) record: String,
    pub(super) phone: String,
    pub(super) waves: Vec<&'static str>,
}

/// What there is beside the database.
pub(super) struct Evidence {
    pub(super) people: Vec<Person>,
    pub(super) said: Vec<Said>,
    pub(super) handset: Handset,
    /// What is wrong with the ledger's chain.
    pub(super) chain: Option<String>,
    /// Rows of the ledger that were never chained.
    pub(super) unsealed: u64,
    pub(super) left_at_twilio: usize,
    /// What that is: its id, and something about it.
    pub(super) left: Option<Vec<(String, String)>>,
    /// The instant at the end, in seconds.
    pub(super) now: u32,
}

/// Rows of the first fault's story, and characters of each, that are printed.
const STORY: usize = 60;
const SENTENCE: usize = 160;

/// What the product knows of its copies at Twilio, and what keeps it from cleaning them up.
const COPIES: &str = "SELECT copy.sid, copy.kind, copy.state, 'tries ' || copy.tries, 'look at ' || copy.look_at, \
                      (SELECT CAST(COUNT(*) AS TEXT) || ' in doubt' FROM message \
                       WHERE message.recipient = copy.recipient AND message.state IN ('submitting', 'unknown')) \
                      FROM copy";

/// What a text to a phone is about; a phone and this are one occasion.
type Text = (String, String);

/// An occasion as the ledger has it.
#[derive(Debug, Default)]
struct Occasion {
    name: String,
    submitted: Option<i64>,
    ends: Vec<String>,
}

/// What the ledger says of everything, by subject.
#[derive(Debug, Default)]
struct Ledger {
    occasions: BTreeMap<String, Occasion>,
    inbound: BTreeMap<String, i64>,
}

/// Judges a world, and adds what it found to the figures.
pub(super) async fn judge(books: &Books, evidence: &Evidence, figures: &mut Figures) -> Result<()> {
    let ledger = read(books).await?;
    let said_by_sid: BTreeMap<_, _> = evidence.said.iter().map(|said| (said.sid.as_str(), said)).collect();
    let phones: BTreeMap<_, _> =
        evidence.people.iter().map(|person| (person.record.as_str(), person.phone.as_str())).collect();
    let mut received: BTreeMap<Text, Vec<u64>> = BTreeMap::new();
    for (phone, texts) in evidence.handset.all_received() {
        for (seq, body) in texts {
            figures.received += 1;
            received.entry((phone.clone(), about(&body))).or_default().push(seq);
        }
    }
    let opted_out: BTreeSet<_> =
        evidence.said.iter().filter(|said| said.opts_out).map(|said| said.phone.as_str()).collect();

    let mut fault = Fault { books, figures };
    let (mut known, mut written) = (BTreeSet::new(), BTreeSet::new());
    for (id, occasion) in &ledger.occasions {
        fault.figures.occasions += 1;
        let text = text_of(occasion, &phones, &said_by_sid)
            .with_context(|| format!("whose is `{}`?", occasion.name))?;
        known.insert(occasion.name.clone());
        written.insert(text.clone());
        let copies = received.get(&text).map_or(0, Vec::len);
        if copies > 1 {
            fault.find(id, "duplicate", |figures| &mut figures.duplicates).await?;
        }
        let is_reply = !text.1.starts_with("survey ");
        let [end] = occasion.ends.as_slice() else {
            let what = if occasion.ends.is_empty() { "an occasion without an end" } else { "two ends" };
            fault.find(id, what, |figures| &mut figures.lost).await?;
            continue;
        };
        match (end.as_str(), copies) {
            ("unknown", 0) => fault.figures.left_unreceived += 1,
            ("unknown", _) => fault.figures.left_received += 1,
            ("accepted" | "sent" | "delivered", 0) => {
                fault
                    .find(id, "sent, as the ledger has it, and never received", |figures| &mut figures.lost)
                    .await?;
            }
            ("accepted" | "sent" | "delivered", _) => {}
            (_, 1..) => {
                fault
                    .find(id, "received, and not sent, as the ledger has it", |figures| &mut figures.wrong)
                    .await?;
            }
            // An answer that would come too late is not given, and one whose people opted out is not sent.
            _ if is_reply || opted_out.contains(text.0.as_str()) => fault.figures.withheld += 1,
            _ => fault.find(id, "given up without a reason", |figures| &mut figures.lost).await?,
        }
    }
    for (_, about) in received.keys().filter(|text| !written.contains(*text)) {
        fault.find(about, "received, and there is no occasion", |figures| &mut figures.wrong).await?;
    }
    for person in &evidence.people {
        for wave in &person.waves {
            let name = format!("sleep/invitation/{wave}/{}/-/1", person.record);
            if !known.contains(&name) {
                fault
                    .find(&name, "REDCap gave reason, and there is no occasion", |figures| &mut figures.lost)
                    .await?;
            }
        }
    }
    for said in &evidence.said {
        fault.figures.said += 1;
        if said.dead_at.is_some() {
            fault.figures.said_to_nobody += 1;
        }
        let Some(taken_in) = ledger.inbound.get(&said.sid) else {
            fault.find(&said.sid, "a text that was never taken in", |figures| &mut figures.lost).await?;
            continue;
        };
        if !said.opts_out {
            continue;
        }
        fault.figures.opt_outs += 1;
        // Said when everybody was dead, it holds from there on; else from when it was stored.
        let since = said.dead_at.unwrap_or(*taken_in);
        let heard = evidence.handset.texts(&said.phone);
        let seq = heard.iter().find(|text| text.sid.as_deref() == Some(&said.sid)).map_or(0, |text| text.seq);
        for (id, occasion) in &ledger.occasions {
            let Some(text) = text_of(occasion, &phones, &said_by_sid) else { continue };
            let came_later =
                received.get(&text).is_some_and(|seqs| seqs.iter().any(|received| *received > seq));
            if text.0 == said.phone
                && text.1.starts_with("survey ")
                && came_later
                && occasion.submitted.is_some_and(|submitted| submitted > since)
            {
                fault.find(id, "sent after an opt-out", |figures| &mut figures.after_stop).await?;
            }
        }
    }
    if let Some(tampered) = &evidence.chain {
        fault.find(tampered, "the ledger does not verify", |figures| &mut figures.wrong).await?;
    }
    if evidence.unsealed > 0 {
        fault.find("", "rows of the ledger are not chained", |figures| &mut figures.wrong).await?;
    }
    fault.figures.left_at_twilio += u32::try_from(evidence.left_at_twilio)?;
    if let (Some(left), None) = (&evidence.left, &fault.figures.first) {
        let known = books.rows(COPIES).await?;
        let mut story = format!("left at Twilio, at {}:", evidence.now);
        for (sid, what) in left.iter().take(STORY) {
            let copy =
                known.iter().find(|row| row[0] == *sid).map_or("unknown to us".into(), |row| row.join(" "));
            let _ = write!(story, "\n    {sid} {what}: {copy}");
        }
        fault.figures.first = Some(story);
    }
    Ok(())
}

/// Whether a message reached its phone.
pub(super) fn has_received(handset: &Handset, message: &Message) -> bool {
    let Some(draft) = &message.draft else { return false };
    let policy::contract::types::Address::Phone(phone) = &draft.to else { return false };
    handset.texts(phone).iter().any(|text| text.body == draft.body)
}

/// Counts a fault, and keeps the story of the first.
struct Fault<'a> {
    books: &'a Books,
    figures: &'a mut Figures,
}

impl Fault<'_> {
    async fn find(&mut self, subject: &str, what: &str, count: fn(&mut Figures) -> &mut u32) -> Result<()> {
        *count(self.figures) += 1;
        if self.figures.first.is_none() {
            let mut story = format!("{what}: {subject}");
            for row in rows(self.books).await?.iter().filter(|row| row[2] == subject).take(STORY) {
                let public: String = row[3].chars().take(SENTENCE).collect();
                let _ = write!(story, "\n    {} {} {} {public}", row[0], row[4], row[1]);
            }
            self.figures.first = Some(story);
        }
        Ok(())
    }
}

async fn rows(books: &Books) -> Result<Vec<Vec<String>>> {
    let sql =
        "SELECT CAST(id AS TEXT), kind, subject, public, CAST(at AS TEXT) FROM ledger ORDER BY ledger.id";
    books.rows(sql).await
}

async fn read(books: &Books) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    for row in rows(books).await? {
        let [id, kind, subject, public, _] = row.as_slice() else { continue };
        let public: Value = serde_json::from_str(public)?;
        let word = |key: &str| public[key].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "occasion" => ledger.occasions.entry(subject.clone()).or_default().name = word("occasion"),
            // What was refused is submitted again: only the last can have reached somebody.
            "submitting" => {
                ledger.occasions.entry(subject.clone()).or_default().submitted = Some(id.parse()?);
            }
            "ended" => ledger.occasions.entry(subject.clone()).or_default().ends.push(word("state")),
            "inbound" => {
                ledger.inbound.insert(subject.clone(), id.parse()?);
            }
            _ => {}
        }
    }
    Ok(ledger)
}

/// To whom an occasion is a text, and about what.
fn text_of(
    occasion: &Occasion,
    phones: &BTreeMap<&str, &str>,
    texts: &BTreeMap<&str, &Said>,
) -> Option<Text> {
    let parts: Vec<_> = occasion.name.split('/').collect();
    match parts.as_slice() {
        [_, "invitation", wave, record, ..] => {
            Some(((*phones.get(record)?).to_owned(), format!("survey {wave}")))
        }
        [_, "help", sid] => Some((texts.get(sid)?.phone.clone(), "help".into())),
        [_, "opt-out-confirmation", sid] => Some((texts.get(sid)?.phone.clone(), "confirmation".into())),
        _ => None,
    }
}

/// What a text says that it is about.
fn about(body: &str) -> String {
    if let Some((_, rest)) = body.split_once("your survey ") {
        return format!("survey {}", rest.split(':').next().unwrap_or_default());
    }
    if body.contains("no more texts") { "confirmation".into() } else { "help".into() }
}
