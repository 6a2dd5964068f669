//! How fast a sender may send: carriers limit segments a second, and Twilio queues what is more for ten hours.
//! What would wait there is better kept here, where a STOP still reaches it and a reply overtakes it.

use jiff::Timestamp;
use policy::contract::twilio::SenderKind;

/// Segments a second that a sender of this kind carries (Twilio's figures for the US and Canada).
pub fn segments_a_second(kind: SenderKind) -> u32 {
    match kind {
        SenderKind::LongCode | SenderKind::MessagingService => 1,
        SenderKind::TollFree => 3,
        SenderKind::ShortCode => 100,
    }
}

/// Segments that wait at Twilio at most, as hours of its queue: beyond it refuses them.
pub const QUEUE_HOURS: u32 = 10;

/// A bucket that fills at a rate and holds one second of it, at least the longest text: what is taken beyond
/// what it holds is waited for later.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: u32,
    /// When the bucket was empty, or will be, in nanoseconds.
    empty_at: i128,
}

/// Segments of a text that go out in a row at the slowest rate, so that one long text does not wait for itself.
const BURST: u32 = 3;

const SECOND: i128 = 1_000_000_000;

impl Pace {
    /// A full bucket at a rate, in units a second.
    pub fn new(rate: u32) -> Pace {
        Pace { rate: rate.max(1), empty_at: 0 }
    }

    /// How many units may go now.
    pub fn available(&self, now: Timestamp) -> u32 {
        let gone_by = now.as_nanosecond() - self.empty_at;
        let held = gone_by.max(0) * i128::from(self.rate) / SECOND;
        u32::try_from(held).unwrap_or(u32::MAX).min(self.capacity())
    }

    /// Takes units, also more than there are: then the next ones wait longer.
    pub fn take(&mut self, units: u32, now: Timestamp) {
        let full_since = now.as_nanosecond() - i128::from(self.capacity()) * SECOND / i128::from(self.rate);
        self.empty_at = self.empty_at.max(full_since) + i128::from(units) * SECOND / i128::from(self.rate);
    }

    /// When a unit may go again.
    pub fn next(&self) -> Timestamp {
        let at = self.empty_at + SECOND / i128::from(self.rate) + 1;
        Timestamp::from_nanosecond(at).unwrap_or(Timestamp::MAX)
    }

    fn capacity(&self) -> u32 {
        self.rate.max(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_millis(millis)
    }

    #[test]
    fn a_long_code_sends_a_segment_a_second_after_its_first_burst() {
        let mut pace = Pace::new(1);
        assert_eq!(pace.available(at(0)), BURST);
        pace.take(BURST, at(0));
        assert_eq!(pace.available(at(999)), 0);
        assert_eq!(pace.available(at(1001)), 1);
        assert!(pace.next() <= at(1001));
    }

    proptest! {
        /// Over any stretch of time no more goes out than the rate allows, and one burst.
        #[test]
        fn nothing_goes_faster_than_the_rate(
            rate in 1_u32..200,
            steps in proptest::collection::vec((0_i64..3000, 1_u32..12), 1..200),
        ) {
            let mut pace = Pace::new(rate);
            let (mut now, mut taken, mut longest) = (0, 0_i64, 0);
            for (wait, segments) in steps {
                now += wait;
                if pace.available(at(now)) > 0 {
                    pace.take(segments, at(now));
                    taken += i64::from(segments);
                    longest = longest.max(i64::from(segments));
                }
            }
            let allowed = i64::from(rate) * (now + 1) / 1000 + i64::from(rate.max(BURST)) + longest + 1;
            prop_assert!(taken <= allowed, "{taken} of {allowed}");
        }
    }
}
