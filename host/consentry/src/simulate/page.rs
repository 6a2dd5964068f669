//! The page of a simulation: what people would rather look at than read. It needs nothing but itself, neither a
//! network nor a script, and every picture in it stands beside a table that says the same.

use std::collections::BTreeMap;

use askama::Template;
use jiff::civil::{Date, Time, Weekday};
use miette::IntoDiagnostic;

use super::calendar::{self, Calendar, SHOWN, Tally, WEEK};
use super::report::{self, FROM, Findings, UNTIL};
use super::{Line, Simulation};

/// How high a day is drawn, in pixels.
const HEIGHT: u32 = 132;

/// Marks of a day that are nearer to each other than this, in minutes, are drawn side by side.
const NEAR: i64 = 100;

/// As many of a list of findings are told one by one.
const TOLD: usize = 100;

/// Draws a simulation.
pub(super) fn html(simulation: &Simulation) -> miette::Result<String> {
    Page::of(simulation).render().into_diagnostic()
}

#[derive(Template)]
#[template(path = "simulation.html")]
struct Page<'a> {
    simulation: &'a Simulation,
    /// From which day to which, in words.
    period: String,
    found: Findings,
    /// As many findings of a kind are told.
    told: usize,
    figures: Vec<Figure>,
    months: Vec<Month>,
    /// The darkest day of all participants together.
    most: usize,
    strip: Strip<'a>,
    lanes: Vec<Lane<'a>>,
    /// How many participants a message was made for.
    participants: usize,
    /// How many records there are for which none was.
    silent: usize,
    /// How wide a timeline is at least, in pixels.
    width: i64,
    /// How wide what is between two of its lines is, a day or a week, as a part of a hundred.
    one_day: String,
    /// The days that are named under a timeline: where, as a part of a hundred, and how.
    named: Vec<(String, String)>,
    quiet: Quiet,
    reasons: Vec<Reason<'a>>,
    not_sent: usize,
    busiest: Vec<(&'a str, String, usize)>,
    snippets: Vec<Snippet<'a>>,
    has_texts: bool,
}

/// A figure of the headline.
struct Figure {
    value: String,
    what: &'static str,
    note: String,
}

/// A month of the calendar.
struct Month {
    name: String,
    weeks: Vec<Vec<Option<Cell>>>,
}

/// A day of the calendar, or a cell of the table by participant.
struct Cell {
    /// The day of the month.
    number: i8,
    tally: Tally,
    level: usize,
    is_outside: bool,
    title: String,
}

/// The table by participant and day.
struct Strip<'a> {
    /// Months, and how many columns each has.
    months: Vec<(String, usize)>,
    columns: Vec<Heading>,
    rows: Vec<Row<'a>>,
    /// What a column is, where it is no day.
    unit: Option<&'static str>,
}

struct Heading {
    number: i8,
    title: String,
    is_weekend: bool,
}

struct Row<'a> {
    record: &'a str,
    cells: Vec<Cell>,
    total: usize,
}

/// The timeline of a participant.
struct Lane<'a> {
    record: &'a str,
    zone: &'a str,
    zone_is_known: bool,
    sent: usize,
    not_sent: usize,
    marks: Vec<Mark>,
    lines: Vec<&'a Line>,
    /// How many of them are due after the end, and are not drawn.
    after: usize,
}

/// A message on a timeline.
struct Mark {
    /// Where, as a part of a hundred of the width.
    x: String,
    /// How far down, in pixels.
    y: i64,
    /// How far to the side of its day's middle, in pixels.
    aside: i64,
    kind: &'static str,
    sent: bool,
    title: String,
}

/// The hours that are shaded, and where they begin and end, in pixels.
struct Quiet {
    height: u32,
    until: Time,
    from: Time,
    morning: i64,
    noon: i64,
    evening: i64,
}

/// Why messages were not sent: a rule, and where they ended.
struct Reason<'a> {
    rule: &'a str,
    state: &'a str,
    count: usize,
    /// What was said, and of which schedules how often.
    said: Vec<(&'a str, Vec<(&'a str, usize)>)>,
}

/// What an institution would write, and what it is for.
struct Snippet<'a> {
    write: &'a str,
    /// Rules and sentences.
    whys: Vec<(&'a str, &'a str)>,
    schedules: Vec<&'a str>,
}

impl<'a> Page<'a> {
    fn of(simulation: &'a Simulation) -> Page<'a> {
        let found = report::findings(simulation);
        let calendar = Calendar::of(simulation);
        let most = calendar.dates().map(|date| calendar.on(date).sent).max().unwrap_or(0);
        let participants = calendar.participants.len();
        let not_sent = simulation.messages.iter().filter(|line| !line.sent).count();
        Page {
            simulation,
            period: format!("{} to {}", day(calendar.first), day(calendar.last)),
            told: TOLD,
            figures: figures(simulation, &found, not_sent),
            months: calendar.months().into_iter().map(|month| Month::of(&calendar, month, most)).collect(),
            most,
            strip: Strip::of(&calendar, simulation.from.date()),
            lanes: calendar.participants.iter().take(SHOWN).map(|it| Lane::of(&calendar, it)).collect(),
            participants,
            silent: simulation.records.saturating_sub(participants),
            width: width(calendar.days()),
            one_day: percent(if calendar.days() > 62 { 7 } else { 1 }, calendar.days()),
            named: named(&calendar),
            quiet: Quiet::usual(),
            reasons: reasons(simulation),
            not_sent,
            busiest: busiest(&calendar),
            snippets: snippets(simulation),
            has_texts: simulation.messages.iter().any(|line| line.text.is_some()),
            found,
        }
    }
}

fn figures(simulation: &Simulation, found: &Findings, not_sent: usize) -> Vec<Figure> {
    let figure = |value: String, what, note: String| Figure { value, what, note };
    let held = simulation.messages.iter().filter(|line| line.state == "held").count();
    let (most, whom) = match &found.most {
        Some((count, record, date)) => (*count, format!("record {record}, {}", short(*date))),
        None => (0, "nobody got one".into()),
    };
    vec![
        figure(simulation.records.to_string(), "participants", "records at the end".into()),
        figure(found.sent.to_string(), "messages sent", "to participants and staff".into()),
        figure(not_sent.to_string(), "not sent", format!("{held} of them held for a person")),
        figure(found.segments.to_string(), "segments", "as Twilio counts them".into()),
        match found.micros {
            0 => figure("–".into(), "US dollars", "no price was reported".into()),
            micros => figure(format!("{:.2}", report::dollars(micros)), "US dollars", "an estimate".into()),
        },
        figure(most.to_string(), "most on one day", whom),
    ]
}

impl Month {
    fn of(calendar: &Calendar<'_>, month: Date, most: usize) -> Month {
        let before = usize::try_from(month.weekday().to_monday_zero_offset()).unwrap_or(0);
        let mut cells: Vec<Option<Cell>> = std::iter::repeat_with(|| None).take(before).collect();
        for number in 1..=month.days_in_month() {
            let Ok(date) = Date::new(month.year(), month.month(), number) else { continue };
            let tally = calendar.on(date);
            cells.push(Some(Cell {
                number,
                tally,
                level: calendar::level(tally.sent, most),
                is_outside: !calendar.holds(date),
                title: format!("{}: {}", long(date), tally.words()),
            }));
        }
        let mut weeks = Vec::new();
        while !cells.is_empty() {
            let rest = cells.split_off(cells.len().min(7));
            cells.resize_with(7, || None);
            weeks.push(std::mem::replace(&mut cells, rest));
        }
        Month { name: month.strftime("%B %Y").to_string(), weeks }
    }
}

impl<'a> Strip<'a> {
    fn of(calendar: &Calendar<'a>, begins: Date) -> Strip<'a> {
        let columns = calendar.columns(begins);
        let shown = &calendar.participants[..calendar.participants.len().min(SHOWN)];
        let counts = shown.iter().flat_map(|it| columns.iter().map(|column| it.within(column).sent));
        let most = counts.max().unwrap_or(0);
        let mut months: Vec<(String, usize)> = Vec::new();
        for column in &columns {
            let name = column.first.strftime("%B %Y").to_string();
            match months.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => months.push((name, 1)),
            }
        }
        let rows = shown.iter().map(|participant| {
            let cells = columns.iter().map(|column| {
                let tally = participant.within(column);
                Cell {
                    number: column.first.day(),
                    tally,
                    level: calendar::level(tally.sent, most),
                    is_outside: false,
                    title: format!("record {}, {}: {}", participant.record, column.name(), tally.words()),
                }
            });
            let cells: Vec<Cell> = cells.collect();
            Row { record: participant.record, total: cells.iter().map(|cell| cell.tally.sent).sum(), cells }
        });
        let rows = rows.collect();
        let headings = columns.iter().map(|column| Heading {
            number: column.first.day(),
            title: format!("day {}, {}", column.day, column.name()),
            is_weekend: column.first == column.last
                && matches!(column.first.weekday(), Weekday::Saturday | Weekday::Sunday),
        });
        let unit = match columns.first().map(|column| calendar.index(column.last) + 1) {
            None | Some(1) => None,
            Some(7) => Some("a week"),
            Some(_) => Some("four weeks"),
        };
        Strip { months, columns: headings.collect(), rows, unit }
    }
}

impl<'a> Lane<'a> {
    fn of(calendar: &Calendar<'_>, participant: &calendar::Participant<'a>) -> Lane<'a> {
        let lines = participant.lines.clone();
        let own = lines.iter().find(|line| line.to == "participant").or(lines.first());
        let drawn: Vec<&Line> = lines.iter().copied().filter(|line| calendar.holds(line.at.date())).collect();
        let mut by_day: BTreeMap<Date, Vec<&Line>> = BTreeMap::new();
        for line in &drawn {
            by_day.entry(line.at.date()).or_default().push(line);
        }
        let mut marks = Vec::with_capacity(drawn.len());
        for (date, mut lines) in by_day {
            lines.sort_by_key(|line| line.at);
            for near in lines.chunk_by(|a, b| minutes(b.at.time()) - minutes(a.at.time()) < NEAR) {
                let middle = (index(near.len()) - 1) * 5;
                marks.extend(near.iter().enumerate().map(|(n, line)| Mark {
                    x: percent(calendar.index(date) * 2 + 1, calendar.days() * 2),
                    y: pixels(line.at.time()),
                    aside: index(n) * 10 - middle,
                    kind: kind(line),
                    sent: line.sent,
                    title: told(line),
                }));
            }
        }
        let sent = lines.iter().filter(|line| line.sent).count();
        Lane {
            record: participant.record,
            zone: own.map_or("", |line| &line.zone),
            zone_is_known: own.is_some_and(|line| line.zone_is_known),
            sent,
            not_sent: lines.len() - sent,
            after: lines.len() - drawn.len(),
            marks,
            lines,
        }
    }
}

impl Quiet {
    fn usual() -> Quiet {
        Quiet {
            height: HEIGHT,
            until: FROM,
            from: UNTIL,
            morning: pixels(FROM),
            noon: pixels(Time::constant(12, 0, 0, 0)),
            evening: pixels(UNTIL),
        }
    }
}

/// By rule and by where they ended, the most frequent first; and within, by what was said.
fn reasons(simulation: &Simulation) -> Vec<Reason<'_>> {
    type Said<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;
    let mut by_rule: BTreeMap<(&str, &str), Said<'_>> = BTreeMap::new();
    for line in simulation.messages.iter().filter(|line| !line.sent) {
        let rule = line.rule.as_deref().unwrap_or("not due yet");
        let why = line.why.as_deref().unwrap_or("it was not due yet when the simulation ended");
        let said = by_rule.entry((rule, line.state)).or_default();
        *said.entry(why).or_default().entry(schedule(line)).or_default() += 1;
    }
    let most_first = |(_, a): &(&str, usize), (_, b): &(&str, usize)| b.cmp(a);
    let mut reasons: Vec<Reason<'_>> = by_rule
        .into_iter()
        .map(|((rule, state), said)| {
            let said = said.into_iter().map(|(why, schedules)| {
                let mut schedules: Vec<_> = schedules.into_iter().collect();
                schedules.sort_by(most_first);
                (why, schedules)
            });
            let said: Vec<_> = said.collect();
            let count = said.iter().flat_map(|(_, schedules)| schedules).map(|(_, count)| count).sum();
            Reason { rule, state, count, said }
        })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

/// The days on which somebody got more than one message, the fullest first.
fn busiest<'a>(calendar: &Calendar<'a>) -> Vec<(&'a str, String, usize)> {
    let mut days: Vec<(usize, Date, &str)> = Vec::new();
    for participant in &calendar.participants {
        days.extend(
            participant
                .days()
                .filter(|(_, it)| it.sent > 1)
                .map(|(date, it)| (it.sent, date, participant.record)),
        );
    }
    // Stable: records stay in their order.
    days.sort_by_key(|(count, date, _)| (std::cmp::Reverse(*count), *date));
    days.into_iter().take(5).map(|(count, date, record)| (record, day(date), count)).collect()
}

/// The same words, for however many schedules, are written once.
fn snippets(simulation: &Simulation) -> Vec<Snippet<'_>> {
    let mut snippets: BTreeMap<&str, Snippet<'_>> = BTreeMap::new();
    for (schedule, needs) in &simulation.needs {
        for need in needs {
            let write = need.write.as_str();
            let snippet =
                snippets.entry(write).or_insert_with(|| Snippet { write, whys: vec![], schedules: vec![] });
            let why = (need.rule, need.sentence.as_str());
            if !snippet.whys.contains(&why) {
                snippet.whys.push(why);
            }
            if !snippet.schedules.contains(&schedule.as_str()) {
                snippet.schedules.push(schedule);
            }
        }
    }
    let mut snippets: Vec<_> = snippets.into_values().collect();
    snippets.sort_by_key(|snippet| std::cmp::Reverse(snippet.schedules.len()));
    snippets
}

/// At most seven days are named under a timeline, for it may be narrow.
fn named(calendar: &Calendar<'_>) -> Vec<(String, String)> {
    let days = calendar.days();
    let step = usize::try_from((days + 6) / 7).unwrap_or(1).max(1);
    let every = calendar.dates().enumerate().step_by(step);
    every.map(|(n, date)| (percent(index(n) * 2 + 1, days * 2), short(date))).collect()
}

/// A day is as wide as a mark or two, as long as there are not too many of them.
fn width(days: i64) -> i64 {
    (days * 20).min(1_240).max(days * 3)
}

/// Which mark a message gets.
fn kind(line: &Line) -> &'static str {
    match (line.to, line.purpose) {
        ("participant", "invitation") => "invitation",
        ("participant", "reminder") => "reminder",
        ("participant", "alert") => "alert",
        ("participant", _) => "other",
        _ => "staff",
    }
}

/// What a mark says when it is pointed at. It holds no text, which may name somebody.
fn told(line: &Line) -> String {
    let mut words = format!("{}: {}", report::when(line), what(line));
    if let Some(title) = &line.title {
        words.push_str(", ");
        words.push_str(title);
    }
    words.push_str("; ");
    words.push_str(line.state);
    if let Some(why) = &line.why {
        words.push_str(": ");
        words.push_str(why);
    }
    words
}

/// "reminder 2 to staff".
fn what(line: &Line) -> String {
    let mut words = line.purpose.replace('-', " ");
    if line.reminder > 0 {
        words = format!("{words} {}", line.reminder);
    }
    if line.repetition > 1 {
        words = format!("{words}, repetition {}", line.repetition);
    }
    if line.to != "participant" {
        words = format!("{words} to {}", line.to);
    }
    words
}

/// Words in backticks are code.
pub(crate) fn pieces(sentence: &str) -> impl Iterator<Item = (bool, &str)> {
    sentence.split('`').enumerate().map(|(n, piece)| (n % 2 == 1, piece))
}

fn schedule(line: &Line) -> &str {
    line.schedule.as_deref().unwrap_or(line.purpose)
}

fn minutes(time: Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

fn pixels(time: Time) -> i64 {
    minutes(time) * i64::from(HEIGHT) / 1440
}

fn index(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A part of a hundred, with two digits behind the point.
fn percent(part: i64, of: i64) -> String {
    let hundredths = part.saturating_mul(10_000) / of.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn short(date: Date) -> String {
    date.strftime("%-d %b").to_string()
}

fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

fn long(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}
