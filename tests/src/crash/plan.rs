//! Where daemons die, and what Twilio does meanwhile.

use gateway::failpoint::Point;
use sandbox::{CallbackMix, CreateMix};

use super::daemon;
use super::dice::Dice;

/// Where a daemon dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// By its own hand, when it passes a point of its program.
    At(Point),
    /// When all bytes of a create have arrived at Twilio, before that does anything about them.
    AfterBytes,
    /// When a request to redact or to delete has arrived at Twilio.
    AtDeletion,
    /// At a moment that nobody chose.
    AnyMoment,
}

impl Death {
    /// How often what it waits for may happen before: rare moments come soon.
    fn patience(self) -> u32 {
        match self {
            Death::At(Point::BeforeLedger | Point::BeforeCommit) => 60,
            Death::At(Point::MidInbound) => 2,
            Death::AnyMoment => 40,
            _ => 6,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Death::At(point) => daemon::name(point),
            Death::AfterBytes => "after-bytes",
            Death::AtDeletion => "at-deletion",
            Death::AnyMoment => "any-moment",
        }
    }
}

/// Every death, by name, in the order in which the table shows them.
pub(super) fn deaths() -> Vec<Death> {
    let mut deaths: Vec<_> = Point::ALL.iter().map(|(point, _)| Death::At(*point)).collect();
    deaths.extend([Death::AfterBytes, Death::AtDeletion, Death::AnyMoment]);
    deaths
}

/// What Twilio does with most creates of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Accepts,
    AcceptsAndDrops,
    FailsButSends,
    FailsUnsent,
    DropsUnsent,
    Refuses,
    Slow,
    Down,
}

impl Trouble {
    pub(super) const ALL: [(Trouble, &'static str); 8] = [
        (Trouble::Accepts, "accepts"),
        (Trouble::AcceptsAndDrops, "and drops"),
        (Trouble::FailsButSends, "500 sent"),
        (Trouble::FailsUnsent, "500 unsent"),
        (Trouble::DropsUnsent, "drops"),
        (Trouble::Refuses, "429"),
        (Trouble::Slow, "slow"),
        (Trouble::Down, "down"),
    ];

    pub(super) fn name(self) -> &'static str {
        Trouble::ALL.iter().find(|(trouble, _)| *trouble == self).map_or("", |(_, name)| name)
    }

    /// Every other create meets the trouble, so that others move on meanwhile.
    pub(super) fn creates(self) -> CreateMix {
        let mut mix = CreateMix { accept: 1, ..CreateMix::default() };
        match self {
            Trouble::AcceptsAndDrops => mix.accept_then_drop = 1,
            Trouble::FailsButSends => mix.error_500_but_sent = 1,
            Trouble::FailsUnsent => mix.error_500_not_sent = 1,
            Trouble::DropsUnsent => mix.drop_not_sent = 1,
            Trouble::Refuses => mix.rate_limited = 1,
            Trouble::Accepts | Trouble::Slow | Trouble::Down => {}
        }
        mix
    }
}

/// Callbacks come twice, in the wrong order, or not at all.
pub(super) const CALLBACKS: CallbackMix = CallbackMix { deliver: 4, duplicate: 2, reorder: 2, drop: 2 };

/// One life of a daemon: how it ends, and what Twilio does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lot {
    pub(super) death: Death,
    pub(super) nth: u32,
    pub(super) trouble: Trouble,
}

/// Every death with every trouble, again and again, shuffled each time.
#[derive(Debug)]
pub(super) struct Deck(Vec<Lot>);

impl Deck {
    pub(super) fn new() -> Deck {
        Deck(Vec::new())
    }

    pub(super) fn draw(&mut self, dice: &mut Dice) -> Lot {
        loop {
            if let Some(lot) = self.0.pop() {
                return lot;
            }
            for death in deaths() {
                for (trouble, _) in Trouble::ALL {
                    self.0.push(Lot { death, nth: dice.between(1, death.patience()), trouble });
                }
            }
            dice.shuffle(&mut self.0);
        }
    }
}
