//! The one clock. Nothing else in the product asks what time it is.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time, and waits for it. The same gateway runs live and on stepped time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock, set forward or back: a demonstration begins in the morning whenever it is shown.
    Shifted(SignedDuration),
    /// A clock that stands still until it is moved.
    Stepped(watch::Sender<Timestamp>),
}

impl Clock {
    /// The machine's clock, set so that it shows `at` now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn showing(at: Timestamp) -> Clock {
        Clock::Shifted(at.duration_since(Timestamp::now()))
    }

    /// A clock that stands at an instant.
    pub fn stepped(at: Timestamp) -> Clock {
        Clock::Stepped(watch::Sender::new(at))
    }

    /// The instant at which it stands.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::now(),
            Clock::Shifted(by) => Timestamp::now().saturating_add(*by).unwrap_or(Timestamp::MAX),
            Clock::Stepped(at) => *at.borrow(),
        }
    }

    /// The instant in whole seconds, as the contract and the store count them.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.now().as_second()).unwrap_or(0)
    }

    /// Moves a stepped clock forward. The machine's clock cannot be moved, and neither goes back.
    pub fn step(&self, to: Timestamp) {
        if let Clock::Stepped(at) = self {
            at.send_if_modified(|now| {
                let later = to > *now;
                *now = to.max(*now);
                later
            });
        }
    }

    /// Waits until the clock shows `at`.
    pub async fn until(&self, at: Timestamp) {
        match self {
            Clock::System | Clock::Shifted(_) => {
                let wait = at.duration_since(self.now());
                if let Ok(wait) = Duration::try_from(wait) {
                    tokio::time::sleep(wait).await;
                }
            }
            Clock::Stepped(now) => {
                // The sender is ours, so the channel cannot close while we wait.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }
}

/// Measures how long something takes. It is the one place of monotonic time: nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[expect(clippy::disallowed_methods, reason = "measures how long, and never what time it is")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since it was started.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
