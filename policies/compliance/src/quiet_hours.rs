//! No text and no call at night.
//!
//! What counts is the clock where the participant is. An area code only hints at that, so where several
//! zones are possible all of them must be inside the hours. A message outside waits for the earliest
//! instant at which they are; the civil calendar is stepped through zone by zone, which is right across a
//! change to or from daylight-saving time as well. Research invitations are seldom solicitations in the
//! law's sense, yet nobody wants them at night either, so the law's window is the default.
//!
//! Replies in a conversation that the participant keeps up are exempt.

use crate::opinion::Opinions;
use crate::{addressee, channel, is_reply, setting};
use consentry_guest::host::time;
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, Civil, Draft, Instant, Occasion, Recipient, TimeError};

/// The window.
pub const RULE: Rule = Rule {
    id: "quiet-hours",
    sentence: "Participants get texts and calls only in the daytime, by the clock of every zone that they may be in.",
    citation: Some("47 CFR 64.1200(c)(1)"),
};

/// No window, or no way to tell.
pub const NO_WINDOW: Rule = Rule {
    id: "quiet-hours-unknown",
    sentence: "When it cannot be told whether it is daytime for a participant, a person must look.",
    citation: Some("47 CFR 64.1200(c)(1); house rule: fail closed"),
};

const DAY: u32 = 24 * 60 * 60;
const QUARTER: u32 = 15 * 60;
const MIDNIGHT: u16 = 24 * 60;

/// A part of the day, in minutes since midnight; the end is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// The first minute at which a message may go.
    pub from: u16,
    /// The first minute at which it may not go any more.
    pub until: u16,
}

/// Reviews the time of day.
pub fn review(occasion: &Occasion, draft: &Draft, opinions: &mut Opinions) {
    let to_staff = matches!(occasion.recipient, Recipient::Staff(_));
    if to_staff
        || is_reply(occasion.purpose)
        || channel(draft.method) == Channel::Email
        || !setting::quiet_hours()
    {
        return;
    }
    let Some(hours) = setting::hours() else {
        let sentence = "the settings for quiet hours leave no time of day; they need a look";
        opinions.hold(NO_WINDOW.finding(sentence, "setting.quiet-hours"));
        return;
    };
    let known = addressee(occasion).map_or(&[][..], |it| &it.time_zones);
    let zones = if known.is_empty() { std::slice::from_ref(&occasion.project.time_zone) } else { known };
    match opening(occasion.now, zones, hours) {
        Ok(Some(opening)) if opening == occasion.now => {
            opinions.allow(RULE.finding("it is daytime for the participant", "participant.time-zones"));
            // A text that is taken in time can still arrive late, so its end goes with it.
            if let Ok(end) = closing(occasion.now, zones, hours) {
                opinions.arrive_by(end);
            }
        }
        Ok(Some(opening)) => {
            let sentence = "it is outside the hours at which the participant may be contacted";
            opinions.defer(opening, &RULE, sentence, "participant.time-zones");
        }
        Ok(None) => {
            let sentence = "there is no time of day that suits every zone in which the participant may be";
            opinions.hold(NO_WINDOW.finding(sentence, "participant.time-zones"));
        }
        Err(_) => {
            let sentence = "a time zone of the participant or of the project cannot be read";
            opinions.hold(NO_WINDOW.finding(sentence, "participant.time-zones"));
        }
    }
}

/// The earliest instant from `now` on at which every zone is inside the hours; none within two days.
pub fn opening(now: Instant, zones: &[String], hours: Hours) -> Result<Option<Instant>, TimeError> {
    let mut at = now;
    'again: loop {
        if at - now > 2 * DAY {
            return Ok(None);
        }
        for zone in zones {
            let (civil, _) = time::local(at, zone)?;
            let minute = u16::from(civil.hour) * 60 + u16::from(civil.minute);
            if (hours.from..hours.until).contains(&minute) {
                continue;
            }
            let day = if minute < hours.from { civil } else { tomorrow(civil) };
            let next = time::at(start(day, hours), zone)?;
            // An hour that occurs twice may lead back; a small step always leads on.
            at = if next > at { next } else { at.saturating_add(QUARTER) };
            continue 'again;
        }
        return Ok(Some(at));
    }
}

/// The earliest instant after `now`, at which all zones are inside the hours, at which one of them no longer
/// is.
pub fn closing(now: Instant, zones: &[String], hours: Hours) -> Result<Instant, TimeError> {
    let mut end = Instant::MAX;
    for zone in zones {
        let (civil, _) = time::local(now, zone)?;
        let last = if hours.until < MIDNIGHT { clock(civil, hours.until) } else { clock(tomorrow(civil), 0) };
        // An hour that occurs twice may lead back; the quarter is early, and never late.
        let at = time::at(last, zone)?;
        end = end.min(if at > now { at } else { now.saturating_add(QUARTER) });
    }
    Ok(end)
}

fn start(day: Civil, hours: Hours) -> Civil {
    clock(day, hours.from)
}

/// A day at a minute since its midnight.
fn clock(day: Civil, minutes: u16) -> Civil {
    #[expect(clippy::cast_possible_truncation, reason = "hours and minutes of a day are below 60")]
    let (hour, minute) = ((minutes / 60) as u8, (minutes % 60) as u8);
    Civil { hour, minute, second: 0, ..day }
}

fn tomorrow(day: Civil) -> Civil {
    let leap = day.year.is_multiple_of(4) && (!day.year.is_multiple_of(100) || day.year.is_multiple_of(400));
    let days = match day.month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    match (day.month, day.day) {
        (12, 31) => Civil { year: day.year + 1, month: 1, day: 1, ..day },
        (_, date) if date >= days => Civil { month: day.month + 1, day: 1, ..day },
        _ => Civil { day: day.day + 1, ..day },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, draft, instant, invitation};
    use consentry_guest::{Purpose, host};
    use proptest::prelude::{prop, prop_assert, proptest};

    const NEW_YORK: &str = "America/New_York";
    const DAYTIME: Hours = Hours { from: 8 * 60, until: 21 * 60 };

    fn opens(now: &str, zones: &[&str], hours: Hours) -> Option<String> {
        let zones: Vec<String> = zones.iter().map(|it| (*it).to_owned()).collect();
        let opening = host::answering(&Answers::default(), || opening(instant(now), &zones, hours)).unwrap();
        opening.map(|it| jiff::Timestamp::from_second(i64::from(it)).unwrap().to_string())
    }

    #[test]
    fn the_window_opens_where_the_participant_is() {
        for (now, zones, expected) in [
            // Inside, and its edges.
            ("2026-06-10T16:00:00Z", &[NEW_YORK][..], Some("2026-06-10T16:00:00Z")),
            ("2026-06-10T12:00:00Z", &[NEW_YORK], Some("2026-06-10T12:00:00Z")),
            ("2026-06-10T11:59:59Z", &[NEW_YORK], Some("2026-06-10T12:00:00Z")),
            ("2026-06-11T00:59:59Z", &[NEW_YORK], Some("2026-06-11T00:59:59Z")),
            ("2026-06-11T01:00:00Z", &[NEW_YORK], Some("2026-06-11T12:00:00Z")),
            // Across the end of a month and of a year.
            ("2026-03-01T02:30:00Z", &[NEW_YORK], Some("2026-03-01T13:00:00Z")),
            ("2027-01-01T03:00:00Z", &[NEW_YORK], Some("2027-01-01T13:00:00Z")),
            // The nights in which clocks change.
            ("2026-03-08T03:00:00Z", &[NEW_YORK], Some("2026-03-08T12:00:00Z")),
            ("2026-11-01T02:00:00Z", &[NEW_YORK], Some("2026-11-01T13:00:00Z")),
            // Every zone must be inside.
            ("2026-06-10T12:30:00Z", &[NEW_YORK, "America/Los_Angeles"], Some("2026-06-10T15:00:00Z")),
            ("2026-06-11T02:00:00Z", &[NEW_YORK, "America/Los_Angeles"], Some("2026-06-11T15:00:00Z")),
            ("2026-06-10T16:30:00Z", &["America/Adak", "America/Anchorage"], Some("2026-06-10T17:00:00Z")),
            ("2026-06-10T16:00:00Z", &[NEW_YORK, "Asia/Tokyo"], Some("2026-06-10T23:00:00Z")),
            // Nothing suits these three.
            ("2026-06-10T16:00:00Z", &[NEW_YORK, "Asia/Tokyo", "Europe/Paris"], None),
            // Half-hour zones and no daylight saving.
            ("2026-06-10T02:00:00Z", &["Asia/Kolkata"], Some("2026-06-10T02:30:00Z")),
            ("2026-06-10T14:00:00Z", &["America/Phoenix"], Some("2026-06-10T15:00:00Z")),
        ] {
            assert_eq!(opens(now, zones, DAYTIME).as_deref(), expected, "{now} {zones:?}");
        }
    }

    #[test]
    fn the_window_closes_where_it_closes_first() {
        for (now, zones, hours, expected) in [
            ("2026-06-10T16:00:00Z", &[NEW_YORK][..], DAYTIME, "2026-06-11T01:00:00Z"),
            ("2026-06-11T00:59:59Z", &[NEW_YORK], DAYTIME, "2026-06-11T01:00:00Z"),
            ("2026-06-10T16:00:00Z", &[NEW_YORK, "America/Los_Angeles"], DAYTIME, "2026-06-11T01:00:00Z"),
            // The whole day, until its midnight; and the day on which the clocks change.
            ("2026-12-31T20:00:00Z", &[NEW_YORK], Hours { from: 0, until: 1440 }, "2027-01-01T05:00:00Z"),
            ("2026-11-01T05:30:00Z", &[NEW_YORK], Hours { from: 0, until: 9 * 60 }, "2026-11-01T14:00:00Z"),
        ] {
            let zones: Vec<String> = zones.iter().map(|it| (*it).to_owned()).collect();
            let end = host::answering(&Answers::default(), || closing(instant(now), &zones, hours)).unwrap();
            assert_eq!(end, instant(expected), "{now} {zones:?}");
        }
    }

    #[test]
    fn a_window_that_begins_in_a_gap_or_twice_still_opens() {
        let early = Hours { from: 2 * 60 + 30, until: 21 * 60 };
        // 02:30 does not exist on that day.
        assert_eq!(
            opens("2026-03-08T06:00:00Z", &[NEW_YORK], early).as_deref(),
            Some("2026-03-08T07:30:00Z")
        );
        // 01:30 occurs twice; at the second 01:10 the first 01:30 is over.
        let early = Hours { from: 90, until: 21 * 60 };
        let opening = opens("2026-11-01T06:10:00Z", &[NEW_YORK], early).unwrap();
        assert!(("2026-11-01T06:10:00Z".."2026-11-01T07:00:01Z").contains(&opening.as_str()), "{opening}");
    }

    #[test]
    fn only_unasked_texts_and_calls_to_participants_wait() {
        use consentry_guest::DeliveryMethod::{Email, SmsLink, VoiceCall};
        let night = instant("2026-06-10T06:00:00Z");
        for (purpose, method, expected) in [
            (Purpose::Invitation, SmsLink, "defer 21600 quiet-hours"),
            (Purpose::Reminder, VoiceCall, "defer 21600 quiet-hours"),
            (Purpose::Alert, SmsLink, "defer 21600 quiet-hours"),
            (Purpose::Confirmation, SmsLink, "defer 21600 quiet-hours"),
            (Purpose::Invitation, Email, "allow"),
            (Purpose::Dialogue, SmsLink, "allow"),
            (Purpose::Acknowledgement, SmsLink, "allow"),
            (Purpose::Help, SmsLink, "allow"),
            (Purpose::OptOutConfirmation, SmsLink, "allow"),
        ] {
            let occasion = Occasion { now: night, purpose, ..invitation() };
            let draft = Draft { method, ..draft() };
            let told = crate::tests::verdict_from(night, None, |opinions| {
                host::answering(&Answers::default(), || review(&occasion, &draft, opinions));
            });
            assert_eq!(told, expected, "{purpose:?} {method:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_held_and_what_comes_too_late_is_denied() {
        let night = instant("2026-06-10T06:00:00Z");
        let strange = |zone: &str| {
            let mut occasion = Occasion { now: night, ..invitation() };
            occasion.participant.as_mut().unwrap().time_zones = vec![zone.into()];
            occasion
        };
        let told = |occasion: &Occasion, answers: &Answers| {
            crate::tests::verdict_from(night, occasion.not_after, |opinions| {
                host::answering(answers, || review(occasion, &draft(), opinions));
            })
        };
        let silent = Answers::default();
        assert_eq!(told(&strange("Mars/Olympus"), &silent), "hold quiet-hours-unknown");
        assert_eq!(told(&strange("Europe/Paris"), &silent), "allow quiet-hours");
        let wrong = Answers::default().text("quiet-from", "25:00");
        assert_eq!(told(&strange("Europe/Paris"), &wrong), "hold quiet-hours-unknown");
        let late = Occasion { not_after: Some(night + 60), ..strange(NEW_YORK) };
        assert_eq!(told(&late, &silent), "deny quiet-hours");
        let off = Answers::default().with("quiet-hours", consentry_guest::Value::Truth(false));
        assert_eq!(told(&strange(NEW_YORK), &off), "allow");
    }

    #[test]
    fn a_day_leads_to_the_next() {
        for (day, expected) in [
            ((2026, 1, 31), (2026, 2, 1)),
            ((2026, 2, 28), (2026, 3, 1)),
            ((2028, 2, 28), (2028, 2, 29)),
            ((2028, 2, 29), (2028, 3, 1)),
            ((2100, 2, 28), (2100, 3, 1)),
            ((2026, 4, 30), (2026, 5, 1)),
            ((2026, 12, 31), (2027, 1, 1)),
        ] {
            let civil = |(year, month, day)| Civil { year, month, day, hour: 1, minute: 2, second: 3 };
            assert_eq!(tomorrow(civil(day)), civil(expected));
        }
    }

    proptest! {
        /// At the opening every zone is inside the hours, and a quarter of an hour before it, if that is
        /// not in the past, one of them was not.
        #[test]
        fn the_opening_is_the_earliest(
            now in 1_700_000_000..1_900_000_000_u32,
            picked in prop::sample::subsequence(
                vec![NEW_YORK, "America/Los_Angeles", "America/Adak", "Europe/Berlin", "America/Phoenix"],
                1..3,
            ),
        ) {
            let zones: Vec<String> = picked.iter().map(|it| (*it).to_owned()).collect();
            let answers = Answers::default();
            let inside = |at: u32| zones.iter().all(|zone| {
                let (civil, _) = host::answering(&answers, || time::local(at, zone)).unwrap();
                (8..21).contains(&civil.hour)
            });
            if let Some(opening) = host::answering(&answers, || opening(now, &zones, DAYTIME)).unwrap() {
                prop_assert!(opening >= now && inside(opening));
                let mut before = now;
                while before < opening {
                    prop_assert!(!inside(before));
                    before += 900;
                }
            }
        }
    }
}
