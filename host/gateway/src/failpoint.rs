//! Named moments of a delivery at which a daemon may die.
//!
//! A crash test installs what happens there, such as the end of the process; in every other program a point
//! is passed without a trace.

use std::sync::OnceLock;

/// A moment at which everything may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Messages are due, and nobody has them yet.
    BeforeClaim,
    /// Messages were claimed.
    AfterClaim,
    /// A message may leave: that is committed, and no byte of it has left.
    BeforeBytes,
    /// Twilio has answered, and what it said is not committed yet.
    BeforeSettle,
    /// What Twilio said is committed.
    AfterSettle,
    /// Twilio's copy was redacted, and that is not committed yet.
    MidRedaction,
    /// An inbound webhook was verified, and is not stored yet.
    MidInbound,
    /// The steps of a transaction are written, and their rows of the ledger are not.
    BeforeLedger,
    /// A transaction is written whole, and not committed.
    BeforeCommit,
}

impl Point {
    /// Every point with its name.
    pub const ALL: [(Point, &'static str); 9] = [
        (Point::BeforeClaim, "before-claim"),
        (Point::AfterClaim, "after-claim"),
        (Point::BeforeBytes, "before-bytes"),
        (Point::BeforeSettle, "before-settle"),
        (Point::AfterSettle, "after-settle"),
        (Point::MidRedaction, "mid-redaction"),
        (Point::MidInbound, "mid-inbound"),
        (Point::BeforeLedger, "before-ledger"),
        (Point::BeforeCommit, "before-commit"),
    ];

    /// The point with a name.
    pub fn read(name: &str) -> Option<Point> {
        Point::ALL.iter().find(|(_, known)| *known == name).map(|(point, _)| *point)
    }
}

static AT: OnceLock<fn(Point)> = OnceLock::new();

/// Installs what happens at every point of this process, once.
pub fn install(at: fn(Point)) {
    // A second installation would be a test's mistake, and the first stays.
    let _ = AT.set(at);
}

pub(crate) fn pass(point: Point) {
    if let Some(at) = AT.get() {
        at(point);
    }
}
