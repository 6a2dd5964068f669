//! Messages to participants by day: the calendar of a page and of a messaging plan.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use super::{Line, Simulation};

/// As many participants are shown one by one; of more, all are counted and the first are shown.
pub const SHOWN: usize = 200;

/// As many columns fit on a page before days become weeks.
const COLUMNS: i64 = 62;

/// The days of a simulation, and what each of them brought to whom.
#[derive(Debug)]
pub struct Calendar<'a> {
    /// The first day on anybody's clock.
    pub first: Date,
    /// The last.
    pub last: Date,
    /// The participants that a message was made for, in the order of their names.
    pub participants: Vec<Participant<'a>>,
}

/// A participant and what was made for them and about them.
#[derive(Debug)]
pub struct Participant<'a> {
    /// The record.
    pub record: &'a str,
    /// Every message, in the order in which they were due.
    pub lines: Vec<&'a Line>,
    days: BTreeMap<Date, Tally>,
}

/// Messages to participants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were sent.
    pub sent: usize,
    /// Those that were due and were not sent.
    pub not_sent: usize,
}

/// Some days in a row: one, a week, or four weeks.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The first of them.
    pub first: Date,
    /// The last of them.
    pub last: Date,
    /// The first of them, counted from the day on which the simulation begins.
    pub day: i64,
}

impl<'a> Calendar<'a> {
    /// Sorts messages by participant and day.
    pub fn of(simulation: &'a Simulation) -> Calendar<'a> {
        let begins = simulation.from.date();
        let end = simulation.from.checked_add(i64::from(simulation.days).days()).unwrap_or(simulation.from);
        let ends = end.checked_sub(1.second()).unwrap_or(end).date().max(begins);
        // A participant's clock may show the day before or the day after REDCap's.
        let (earliest, latest) = (begins.saturating_sub(1.day()), ends.saturating_add(1.day()));
        let (mut first, mut last) = (begins, ends);
        let mut by_record: BTreeMap<(Natural, &str), Participant<'_>> = BTreeMap::new();
        for line in &simulation.messages {
            let Some(record) = line.record.as_deref() else { continue };
            let participant = by_record.entry((natural(record), record)).or_insert_with(|| Participant {
                record,
                lines: Vec::new(),
                days: BTreeMap::new(),
            });
            participant.lines.push(line);
            let date = line.at.date();
            if line.sent && (earliest..=latest).contains(&date) {
                (first, last) = (first.min(date), last.max(date));
            }
            if line.to == "participant" {
                let tally = participant.days.entry(date).or_default();
                if line.sent { tally.sent += 1 } else { tally.not_sent += 1 }
            }
        }
        Calendar { first, last, participants: by_record.into_values().collect() }
    }

    /// How many days there are.
    pub fn days(&self) -> i64 {
        i64::from((self.last - self.first).get_days()) + 1
    }

    /// Each of them.
    pub fn dates(&self) -> impl Iterator<Item = Date> {
        self.first.series(1.day()).take_while(|date| *date <= self.last)
    }

    /// Whether a date is among them. What is due after the end of a simulation is not.
    pub fn holds(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }

    /// A day, counted from the first.
    pub fn index(&self, date: Date) -> i64 {
        i64::from((date - self.first).get_days())
    }

    /// The columns of a table that has a row for each participant, day 0 being `begins`.
    pub fn columns(&self, begins: Date) -> Vec<Column> {
        let days = self.days();
        let step = [1, 7, 28].into_iter().find(|step| days <= COLUMNS * step).unwrap_or(28);
        let mut columns = Vec::new();
        let mut first = self.first;
        while first <= self.last {
            let last = first.saturating_add((step - 1).days()).min(self.last);
            columns.push(Column { first, last, day: i64::from((first - begins).get_days()) });
            let Ok(next) = last.tomorrow() else { break };
            first = next;
        }
        columns
    }

    /// What a day brought to all participants together.
    pub fn on(&self, date: Date) -> Tally {
        self.participants.iter().filter_map(|it| it.days.get(&date)).fold(Tally::default(), Tally::and)
    }

    /// The first days of the months that they are of.
    pub fn months(&self) -> Vec<Date> {
        self.first.first_of_month().series(1.month()).take_while(|month| *month <= self.last).collect()
    }
}

impl Participant<'_> {
    /// The days that brought something.
    pub fn days(&self) -> impl Iterator<Item = (Date, Tally)> {
        self.days.iter().map(|(date, tally)| (*date, *tally))
    }

    /// What some days brought.
    pub fn within(&self, column: &Column) -> Tally {
        self.days.range(column.first..=column.last).map(|(_, tally)| tally).fold(Tally::default(), Tally::and)
    }
}

impl Column {
    /// "Monday 30 November 2026", or the first and the last day.
    pub fn name(&self) -> String {
        if self.first == self.last {
            return self.first.strftime("%A %-d %B %Y").to_string();
        }
        format!("{} to {}", self.first.strftime("%-d %B"), self.last.strftime("%-d %B %Y"))
    }
}

impl Tally {
    fn and(self, other: &Tally) -> Tally {
        Tally { sent: self.sent + other.sent, not_sent: self.not_sent + other.not_sent }
    }

    /// As words: "2 messages, 1 not sent".
    pub fn words(self) -> String {
        let sent = match self.sent {
            0 => "no message".to_owned(),
            1 => "1 message".to_owned(),
            n => format!("{n} messages"),
        };
        if self.not_sent == 0 { sent } else { format!("{sent}, {} not sent", self.not_sent) }
    }
}

/// How dark a day is drawn, from 0 for none to 5 for the most that there is.
pub fn level(count: usize, most: usize) -> usize {
    if most <= 5 { count.min(5) } else { (count * 5).div_ceil(most) }
}

/// Weekdays in the order in which a calendar shows them.
pub const WEEK: [(&str, &str); 7] = [
    ("Monday", "Mo"),
    ("Tuesday", "Tu"),
    ("Wednesday", "We"),
    ("Thursday", "Th"),
    ("Friday", "Fr"),
    ("Saturday", "Sa"),
    ("Sunday", "Su"),
];

type Natural = Vec<(usize, String)>;

/// Orders records as people count them: 2 before 10, also in "site-2".
fn natural(record: &str) -> Natural {
    let mut parts: Natural = Vec::new();
    for character in record.chars() {
        let is_digit = character.is_ascii_digit();
        match parts.last_mut() {
            Some((length, digits)) if is_digit && *length > 0 => {
                // Zeros in front say nothing about how large a number is.
                if digits == "0" {
                    digits.clear();
                }
                digits.push(character);
                *length = digits.len();
            }
            Some((0, words)) if !is_digit => words.push(character),
            _ => parts.push((usize::from(is_digit), character.to_string())),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_the_order_in_which_people_count() {
        let mut records = ["10", "2", "site-10", "1", "site-9", "002", "b"];
        records.sort_by_key(|record| (natural(record), *record));
        assert_eq!(records, ["b", "site-9", "site-10", "1", "002", "2", "10"]);
    }

    #[test]
    fn the_most_is_the_darkest_and_one_is_never_nothing() {
        assert_eq!([0, 1, 2, 3].map(|count| level(count, 3)), [0, 1, 2, 3]);
        assert_eq!([0, 1, 250, 999, 1000].map(|count| level(count, 1000)), [0, 1, 2, 5, 5]);
    }
}
