//! What the gateway measures: every name and every label is in this file, and nowhere else.
//!
//! A label is a word of ours, the name of a project or of a policy, a rule that a policy declares, or a code
//! of Twilio's. It is never a number, a body, a record or a message: whoever reads the figures learns how much
//! there is of what, and nothing about anybody.
//!
//! Counters and histograms are told when something happens. Gauges are told at every scrape, from facts that
//! the caller has just read; what is told no more is shown no more (see the recorder of the daemon). Until a
//! recorder is installed, measuring costs next to nothing and keeps nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::clock::Stopwatch;
use crate::outbox::State;

const SENDS: &str = "consentry_sends_total";
const SEND: &str = "consentry_send_seconds";
const REQUEST: &str = "consentry_twilio_request_seconds";
const ERRORS: &str = "consentry_twilio_errors_total";
const VERDICTS: &str = "consentry_verdicts_total";
const DECISION: &str = "consentry_decision_seconds";
const FUEL: &str = "consentry_decision_fuel";
const QUEUE: &str = "consentry_queue";
const QUEUE_OLDEST: &str = "consentry_queue_oldest_seconds";
const KEPT: &str = "consentry_twilio_kept";
const KEPT_OLDEST: &str = "consentry_twilio_kept_oldest_seconds";
const BALANCE: &str = "consentry_balance";
const BALANCE_KNOWN: &str = "consentry_balance_known";
const TASKS: &str = "consentry_tasks";
const TASKS_OLDEST: &str = "consentry_tasks_oldest_seconds";
const STOPPED: &str = "consentry_stopped";
const UNSEALED: &str = "consentry_ledger_unsealed";
const ROWS: &str = "consentry_ledger_rows";
const SWEPT: &str = "consentry_inbound_swept_seconds";
const REJECTED: &str = "consentry_signatures_rejected_total";
const LEASES: &str = "consentry_leases_held";

/// The bounds of each histogram's buckets, which a recorder is given: seconds, and units of fuel.
pub const BUCKETS: [(&str, &[f64]); 4] = [
    (SEND, &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
    // A create that is answered late is answered within half a minute or so.
    (REQUEST, &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
    // From a decision that is a few comparisons to the deadline.
    (DECISION, &[50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0]),
    // To the default budget.
    (FUEL, &[1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 2e8]),
];

/// Pairs of a policy and a rule that have a series of their own.
const RULES: usize = 200;

/// What all other rules are together.
const OTHER: &str = "other";

/// Tells the recorder what everything means, once it is installed.
pub fn describe() {
    describe_counter!(SENDS, Unit::Count, "Submissions to Twilio and to mail servers by how they ended");
    describe_histogram!(SEND, Unit::Seconds, "From when a message was due to its request to Twilio");
    describe_histogram!(REQUEST, Unit::Seconds, "How long Twilio took to answer");
    describe_counter!(ERRORS, Unit::Count, "Errors that Twilio answered or reported, by its code");
    describe_counter!(
        VERDICTS,
        Unit::Count,
        "Decisions by what was answered and the first rule given for it"
    );
    describe_histogram!(DECISION, Unit::Seconds, "How long one run of a policy took");
    describe_histogram!(FUEL, Unit::Count, "Units of fuel that one run of a policy used");
    describe_gauge!(QUEUE, Unit::Count, "Messages that something is still expected of, by state");
    describe_gauge!(QUEUE_OLDEST, Unit::Seconds, "For how long the oldest of them has been in its state");
    describe_gauge!(KEPT, Unit::Count, "What Twilio still keeps of ours, by kind");
    describe_gauge!(KEPT_OLDEST, Unit::Seconds, "For how long Twilio has kept the oldest of its kind");
    describe_gauge!(BALANCE, "The balance of the project's Twilio account, in its currency");
    describe_gauge!(BALANCE_KNOWN, "1 when Twilio tells the balance, 0 when it does not");
    describe_gauge!(TASKS, Unit::Count, "What waits for a person, by kind");
    describe_gauge!(TASKS_OLDEST, Unit::Seconds, "For how long the oldest of its kind has waited");
    describe_gauge!(STOPPED, Unit::Count, "What nothing is sent of at the moment, by kind");
    describe_gauge!(UNSEALED, Unit::Count, "Rows of the ledger that are not chained yet");
    describe_gauge!(ROWS, Unit::Count, "Rows of the ledger that are chained");
    describe_gauge!(SWEPT, Unit::Seconds, "Since when inbound messages were not listed at Twilio");
    describe_counter!(REJECTED, Unit::Count, "Webhooks whose signature was wrong");
    describe_gauge!(LEASES, Unit::Count, "Pieces of the work that this daemon does for all, by kind");
}

/// How a submission to Twilio or to a mail server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Accepted,
    /// The answer was no.
    Refused,
    /// It may or may not have been sent.
    Unknown,
    /// No byte of it left.
    NotSent,
}

impl Sent {
    fn word(self) -> &'static str {
        match self {
            Sent::Accepted => "accepted",
            Sent::Refused => "refused",
            Sent::Unknown => "unknown",
            Sent::NotSent => "not-sent",
        }
    }
}

/// A submission of a project's ended.
pub fn sent(project: &str, how: Sent) {
    counter!(SENDS, "project" => project.to_owned(), "outcome" => how.word()).increment(1);
}

/// A message is about to leave, so long after it was due.
pub fn leaves(after_due: Duration) {
    histogram!(SEND).record(after_due);
}

/// Twilio answered a request, or did not, after so long. The operation is ours to name: "create-message",
/// "list-messages" and so on, never a URL, which holds numbers.
pub fn twilio_request(operation: &'static str, took: Duration) {
    histogram!(REQUEST, "operation" => operation).record(took);
}

/// Asks Twilio something, and measures how long that took.
pub async fn asking<T>(operation: &'static str, request: impl Future<Output = T>) -> T {
    let watch = Stopwatch::start();
    let answer = request.await;
    twilio_request(operation, watch.elapsed());
    answer
}

/// Twilio answered or reported an error. There is none without a code but those of its HTTP front.
pub fn twilio_error(code: Option<u32>) {
    counter!(ERRORS, "code" => code.map_or_else(|| "none".to_owned(), |code| code.to_string())).increment(1);
}

/// A policy decided: what it answered, or how else it ended, and the first rule that it gave.
pub fn verdict(policy: &str, answer: &'static str, rule: Option<&str>) {
    let mut known = KNOWN_RULES.lock().unwrap_or_else(PoisonError::into_inner);
    let rule = rule.map_or("none", |rule| known.label(policy, rule)).to_owned();
    drop(known);
    counter!(VERDICTS, "policy" => policy.to_owned(), "answer" => answer, "rule" => rule).increment(1);
}

/// A policy was run once, for so long and with so much fuel.
pub fn decision(policy: &str, took: Duration, fuel: u64) {
    histogram!(DECISION, "policy" => policy.to_owned()).record(took);
    histogram!(FUEL, "policy" => policy.to_owned()).record(figure(fuel));
}

/// At a scrape: the messages of a project in a state, and for how many seconds the oldest has been in it.
pub fn queue(project: &str, state: State, count: u64, oldest: u32) {
    gauge!(QUEUE, "project" => project.to_owned(), "state" => state.name()).set(figure(count));
    gauge!(QUEUE_OLDEST, "project" => project.to_owned(), "state" => state.name()).set(oldest);
}

/// At a scrape: what Twilio still keeps of a kind ("message", "inbound", "call", "emptied", "kept"), and for
/// how many seconds it has kept the oldest.
pub fn kept(kind: &str, count: u64, oldest: u32) {
    gauge!(KEPT, "kind" => kind.to_owned()).set(figure(count));
    gauge!(KEPT_OLDEST, "kind" => kind.to_owned()).set(oldest);
}

/// At a scrape: the balance of a project's account in millionths, with its currency; none when Twilio does not
/// tell it, as for a child account.
pub fn balance(project: &str, balance: Option<(i64, &str)>) {
    let known = gauge!(BALANCE_KNOWN, "project" => project.to_owned());
    known.set(if balance.is_some() { 1.0 } else { 0.0 });
    if let Some((micros, currency)) = balance {
        #[expect(clippy::cast_precision_loss, reason = "a graph does not show what is lost beyond 2^53")]
        let amount = micros as f64 / 1e6;
        gauge!(BALANCE, "project" => project.to_owned(), "currency" => currency.to_owned()).set(amount);
    }
}

/// At a scrape: what waits for a person, and for how many seconds the oldest of its kind has waited.
pub fn tasks(kind: &str, count: u64, oldest: u32) {
    gauge!(TASKS, "kind" => kind.to_owned()).set(figure(count));
    gauge!(TASKS_OLDEST, "kind" => kind.to_owned()).set(oldest);
}

/// At a scrape: how many of a kind nothing is sent of: "all", "project", "sender", "wording", "recipient". Which
/// they are is not told here, because a sender and a recipient are numbers.
pub fn stopped(kind: &'static str, count: u64) {
    gauge!(STOPPED, "kind" => kind).set(figure(count));
}

/// At a scrape: how many rows of the ledger are chained, and how many are not yet.
pub fn ledger(rows: u64, unsealed: u64) {
    gauge!(ROWS).set(figure(rows));
    gauge!(UNSEALED).set(figure(unsealed));
}

/// At a scrape: for how many seconds the inbound messages of a project have not been listed.
pub fn swept(project: &str, ago: u32) {
    gauge!(SWEPT, "project" => project.to_owned()).set(ago);
}

/// At a scrape: how many webhooks were ever rejected, which outlives a restart.
pub fn signatures_rejected(ever: u64) {
    counter!(REJECTED).absolute(ever);
}

/// At a scrape: the leases that this daemon holds, by kind ("pace", "schedule", "seal" …).
pub fn leases(kind: &str, count: u64) {
    gauge!(LEASES, "kind" => kind.to_owned()).set(figure(count));
}

#[expect(clippy::cast_precision_loss, reason = "a graph does not show what is lost beyond 2^53")]
fn figure(count: u64) -> f64 {
    count as f64
}

/// The rules that have a series of their own. The recorder is the process's, and so is this.
static KNOWN_RULES: Mutex<Rules> = Mutex::new(Rules(BTreeMap::new()));

/// Policies and their rules, as far as there is room: each pair is a series that the monitoring keeps for
/// months, and what is written in a policy must not fill its disk.
struct Rules(BTreeMap<String, BTreeSet<String>>);

impl Rules {
    /// What the rule is called in a label.
    fn label<'a>(&mut self, policy: &str, rule: &'a str) -> &'a str {
        if self.0.get(policy).is_some_and(|rules| rules.contains(rule)) {
            return rule;
        }
        if self.0.values().map(BTreeSet::len).sum::<usize>() >= RULES {
            return OTHER;
        }
        self.0.entry(policy.to_owned()).or_default().insert(rule.to_owned());
        rule
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    use super::*;

    /// What is measured in `measure`, and what a scrape then reads.
    fn scraped(measure: impl FnOnce()) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle: PrometheusHandle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            measure();
        });
        handle.render()
    }

    #[test]
    fn everything_that_is_measured_is_there_with_its_labels() {
        let text = scraped(|| {
            sent("sleep", Sent::Accepted);
            sent("sleep", Sent::NotSent);
            leaves(Duration::from_millis(40));
            twilio_request("create-message", Duration::from_millis(90));
            twilio_error(Some(21610));
            twilio_error(None);
            decision("routing", Duration::from_micros(70), 12_345);
            queue("sleep", State::Unknown, 2, 300);
            kept("message", 7, 86_400);
            balance("sleep", Some((-12_345_678, "USD")));
            balance("child", None);
            tasks("unclear-reply", 3, 60);
            stopped("sender", 1);
            ledger(100, 5);
            swept("sleep", 12);
            signatures_rejected(4);
            leases("pace", 2);
        });
        for line in [
            "consentry_sends_total{project=\"sleep\",outcome=\"accepted\"} 1",
            "consentry_sends_total{project=\"sleep\",outcome=\"not-sent\"} 1",
            "consentry_send_seconds_count 1",
            "consentry_twilio_request_seconds_count{operation=\"create-message\"} 1",
            "consentry_twilio_errors_total{code=\"21610\"} 1",
            "consentry_twilio_errors_total{code=\"none\"} 1",
            "consentry_decision_seconds_count{policy=\"routing\"} 1",
            "consentry_decision_fuel_sum{policy=\"routing\"} 12345",
            "consentry_queue{project=\"sleep\",state=\"unknown\"} 2",
            "consentry_queue_oldest_seconds{project=\"sleep\",state=\"unknown\"} 300",
            "consentry_twilio_kept{kind=\"message\"} 7",
            "consentry_twilio_kept_oldest_seconds{kind=\"message\"} 86400",
            "consentry_balance{project=\"sleep\",currency=\"USD\"} -12.345678",
            "consentry_balance_known{project=\"sleep\"} 1",
            "consentry_balance_known{project=\"child\"} 0",
            "consentry_tasks{kind=\"unclear-reply\"} 3",
            "consentry_tasks_oldest_seconds{kind=\"unclear-reply\"} 60",
            "consentry_stopped{kind=\"sender\"} 1",
            "consentry_ledger_unsealed 5",
            "consentry_ledger_rows 100",
            "consentry_inbound_swept_seconds{project=\"sleep\"} 12",
            "consentry_signatures_rejected_total 4",
            "consentry_leases_held{kind=\"pace\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("consentry_balance{project=\"child\""), "{text}");
        for line in text.lines().filter(|line| line.starts_with("# HELP")) {
            assert!(line.split_whitespace().count() > 3, "no help: {line}");
        }
    }

    #[test]
    fn a_verdict_is_counted_by_its_first_rule() {
        let text = scraped(|| {
            verdict("compliance", "hold", Some("identifiers"));
            verdict("compliance", "hold", Some("identifiers"));
            verdict("compliance", "deadline", None);
        });
        let held = "consentry_verdicts_total{policy=\"compliance\",answer=\"hold\",rule=\"identifiers\"} 2";
        let ended = "consentry_verdicts_total{policy=\"compliance\",answer=\"deadline\",rule=\"none\"} 1";
        assert!(text.contains(held) && text.contains(ended), "{text}");
    }

    #[test]
    fn more_rules_than_there_is_room_for_are_one() {
        let mut rules = Rules(BTreeMap::new());
        let names: Vec<_> = (0..RULES).map(|index| format!("rule-{index}")).collect();
        for (index, name) in names.iter().enumerate() {
            assert_eq!(rules.label(if index % 2 == 0 { "even" } else { "odd" }, name), name);
        }
        assert_eq!(rules.label("even", "one-more"), OTHER);
        assert_eq!(rules.label("another", "rule-0"), OTHER);
        assert_eq!(rules.label("even", "rule-0"), "rule-0");
    }

    #[test]
    fn every_histogram_has_its_buckets_in_order() {
        for (name, bounds) in BUCKETS {
            assert!(bounds.is_sorted_by(|less, more| less < more), "{name}");
        }
    }
}
