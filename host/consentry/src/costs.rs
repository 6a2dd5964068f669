//! What messages cost, by Twilio's own prices.

use std::collections::BTreeMap;
use std::fmt::Write;

use gateway::store::{Store, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

/// What the messages of a project cost in a month.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The month in UTC, as Twilio's invoices have it, "2026-11".
    pub month: String,
    /// The project.
    pub project: String,
    /// Messages that left, calls among them.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
    /// What Twilio charged, by currency, as a decimal. Fees of carriers are not among it.
    pub cost: BTreeMap<String, String>,
    /// Messages whose price Twilio has not told yet.
    pub not_priced: u64,
}

/// The costs of so many months up to this one, newest first; of one project, or of all.
pub async fn lines(
    store: &Store,
    project: Option<&str>,
    now: Timestamp,
    months: u32,
) -> Result<Vec<Line>, StoreError> {
    let months = self::months(now, months);
    let spans = months.iter().map(|(_, from, to)| (*from, *to)).collect();
    let found = store.costs(spans).await?;
    let mut lines = Vec::new();
    for (month, from, _) in months {
        // What has no price yet has no currency either, and is the same project's all the same.
        let mut by_project: BTreeMap<&str, (Line, BTreeMap<String, i64>)> = BTreeMap::new();
        for cost in found.iter().filter(|cost| cost.month == from) {
            if project.is_some_and(|project| project != cost.project) {
                continue;
            }
            let empty = || Line {
                month: month.clone(),
                project: cost.project.clone(),
                messages: 0,
                segments: 0,
                cost: BTreeMap::new(),
                not_priced: 0,
            };
            let (line, micros) =
                by_project.entry(&cost.project).or_insert_with(|| (empty(), BTreeMap::new()));
            line.messages += cost.sent;
            line.segments += cost.segments;
            line.not_priced += cost.sent - cost.priced;
            if let Some(currency) = &cost.currency {
                *micros.entry(currency.clone()).or_default() += cost.micros;
            }
        }
        for (mut line, micros) in by_project.into_values() {
            line.cost = micros.into_iter().map(|(currency, sum)| (currency, twilio::decimal(sum))).collect();
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The lines for a person.
pub fn text(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "nothing was sent in these months\n".into();
    }
    let mut text = String::new();
    for line in lines {
        let cost: Vec<_> =
            line.cost.iter().map(|(currency, amount)| format!("{amount} {currency}")).collect();
        let cost = if cost.is_empty() { "no price yet".to_owned() } else { cost.join(" + ") };
        // A `String` takes every write.
        let _ = write!(
            text,
            "{}  {}: {} message{}, {} segment{}, {cost}",
            line.month,
            line.project,
            line.messages,
            if line.messages == 1 { "" } else { "s" },
            line.segments,
            if line.segments == 1 { "" } else { "s" },
        );
        let _ = match line.not_priced {
            0 => writeln!(text),
            count => writeln!(text, "; Twilio has not told the price of {count} yet"),
        };
    }
    text
}

/// So many months up to this one, newest first: the name, the first second, and that of the next month.
fn months(now: Timestamp, count: u32) -> Vec<(String, u32, u32)> {
    let seconds = |first: Date| {
        let at = TimeZone::UTC.to_ambiguous_timestamp(first.at(0, 0, 0, 0)).compatible();
        at.map_or(0, |at| u32::try_from(at.as_second()).unwrap_or(0))
    };
    let mut first = TimeZone::UTC.to_datetime(now).date().first_of_month();
    let mut months = Vec::new();
    for _ in 0..count {
        let next = first.saturating_add(1.month());
        months.push((first.strftime("%Y-%m").to_string(), seconds(first), seconds(next)));
        first = first.saturating_sub(1.month());
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_meet_and_cross_the_year() {
        let months = months("2026-02-28T23:59:59Z".parse().unwrap(), 3);
        let names: Vec<_> = months.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["2026-02", "2026-01", "2025-12"]);
        assert_eq!(months[0].2 - months[0].1, 28 * 86_400);
        assert_eq!(months[1].2, months[0].1);
        assert_eq!(months[1].1, months[2].2);
    }
}
