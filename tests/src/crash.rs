//! The crash harness: daemons are killed under load, again and again, and at the end every occasion must have
//! come to exactly one end, no phone may have anything twice, and nobody who opted out may have anything more.
//!
//! Daemons are real processes that end by SIGKILL: at a named moment of their own program, when bytes have
//! arrived at Twilio, or at any moment. REDCap, Twilio and the phones outlive them. A run is many worlds, each
//! with a seed of its own; what happens at the same time is up to the machine, so a seed leads the same way
//! again and not to the same step.

mod books;
mod daemon;
mod dice;
mod door;
mod judge;
mod plan;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::postgres::Server;
pub use daemon::Birth;
use daemon::Nursery;
use plan::Trouble;
use world::World;

/// Kills in a world: then everybody has had nearly all invitations.
const A_WORLD: u32 = 96;

/// Worlds at the same time.
const AT_ONCE: usize = 2;

/// Which store, and with it how many daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A file, and one daemon.
    Sqlite,
    /// A server of its own, and two daemons.
    Postgres,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program `crash-daemon`.
    pub daemon: PathBuf,
    /// The seed of the first world; the next has the next.
    pub seed: u64,
    /// Whether the daemons ask Twilio what became of messages. Without it something must be missing.
    pub follows: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Kills by where the daemon died and what Twilio did.
    pub deaths: BTreeMap<(&'static str, &'static str), u32>,
    /// Daemons that started.
    pub lives: u32,
    /// Those that ended because the database was away when they started.
    pub gave_up: u32,
    /// Daemons that were paused.
    pub pauses: u32,
    /// Stops of the database.
    pub stops: u32,
    /// Occasions.
    pub occasions: u32,
    /// Texts that phones received.
    pub received: u32,
    /// Texts that participants sent.
    pub said: u32,
    /// Those of them that were sent while every daemon was dead.
    pub said_to_nobody: u32,
    /// Opt-outs among them.
    pub opt_outs: u32,
    /// Occasions that rightly came to nothing, because of an opt-out or because an answer would come too late.
    pub withheld: u32,
    /// Occasions that a phone received more than once.
    pub duplicates: u32,
    /// Occasions, and texts of participants, that were forgotten.
    pub lost: u32,
    /// Texts after an opt-out.
    pub after_stop: u32,
    /// What the ledger says otherwise than the phones, or does not say right.
    pub wrong: u32,
    /// Left for a person, who would find that it was received.
    pub left_received: u32,
    /// Left for a person, who would find that it was not.
    pub left_unreceived: u32,
    /// Records of ours that Twilio still has at the end, but for STOP.
    pub left_at_twilio: u32,
    /// The story of the first fault.
    pub first: Option<String>,
}

impl Figures {
    /// How many daemons were killed.
    pub fn kills(&self) -> u32 {
        self.deaths.values().sum()
    }

    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.duplicates + self.lost + self.after_stop + self.wrong + self.left_at_twilio == 0
    }

    fn add(&mut self, other: Figures, seed: u64) {
        for (death, count) in other.deaths {
            *self.deaths.entry(death).or_default() += count;
        }
        for (sum, count) in [
            (&mut self.lives, other.lives),
            (&mut self.gave_up, other.gave_up),
            (&mut self.pauses, other.pauses),
            (&mut self.stops, other.stops),
            (&mut self.occasions, other.occasions),
            (&mut self.received, other.received),
            (&mut self.said, other.said),
            (&mut self.said_to_nobody, other.said_to_nobody),
            (&mut self.opt_outs, other.opt_outs),
            (&mut self.withheld, other.withheld),
            (&mut self.duplicates, other.duplicates),
            (&mut self.lost, other.lost),
            (&mut self.after_stop, other.after_stop),
            (&mut self.wrong, other.wrong),
            (&mut self.left_received, other.left_received),
            (&mut self.left_unreceived, other.left_unreceived),
            (&mut self.left_at_twilio, other.left_at_twilio),
        ] {
            *sum += count;
        }
        if let (None, Some(first)) = (&self.first, other.first) {
            self.first = Some(format!("seed {seed}, {first}"));
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:16}", "killed at")?;
        for (_, trouble) in Trouble::ALL {
            write!(f, "{trouble:>12}")?;
        }
        writeln!(f, "{:>8}", "all")?;
        for death in plan::deaths() {
            let death = death.name();
            write!(f, "  {death:16}")?;
            let mut all = 0;
            for (_, trouble) in Trouble::ALL {
                let count = self.deaths.get(&(death, trouble)).copied().unwrap_or(0);
                all += count;
                write!(f, "{count:>12}")?;
            }
            writeln!(f, "{all:>8}")?;
        }
        writeln!(
            f,
            "  kills {}, lives {}, of which {} found no database",
            self.kills(),
            self.lives,
            self.gave_up
        )?;
        writeln!(f, "  pauses of a daemon {}, stops of the database {}", self.pauses, self.stops)?;
        writeln!(
            f,
            "  occasions {}, texts received {}, rightly withheld {}",
            self.occasions, self.received, self.withheld
        )?;
        writeln!(
            f,
            "  participants wrote {} times, {} of them while every daemon was dead; opt-outs {}",
            self.said, self.said_to_nobody, self.opt_outs
        )?;
        writeln!(
            f,
            "  left for a person {}: {} of them received, {} not",
            self.left_received + self.left_unreceived,
            self.left_received,
            self.left_unreceived
        )?;
        write!(
            f,
            "  duplicates {}, lost {}, after STOP {}, ledger against phones {}, left at Twilio {}",
            self.duplicates, self.lost, self.after_stop, self.wrong, self.left_at_twilio
        )
    }
}

/// Kills so many daemons. None when PostgreSQL is not installed.
pub async fn run(which: Which, kills: u32, options: &Options) -> Result<Option<Figures>> {
    let mut waiting: Vec<_> = (0..kills.div_ceil(A_WORLD))
        .map(|n| (options.seed.wrapping_add(u64::from(n)), A_WORLD.min(kills - n * A_WORLD)))
        .rev()
        .collect();
    let mut servers = Vec::new();
    if which == Which::Postgres {
        for _ in 0..AT_ONCE.min(waiting.len()) {
            let Some(server) = tokio::task::spawn_blocking(Server::start).await?? else { return Ok(None) };
            servers.push(Arc::new(server));
        }
    }
    let nursery = Arc::new(Nursery::open(&options.daemon)?);
    let mut all = Figures::default();
    let mut worlds = JoinSet::new();
    loop {
        while worlds.len() < AT_ONCE
            && let Some((seed, kills)) = waiting.pop()
        {
            let (server, nursery, follows) = (servers.pop(), nursery.clone(), options.follows);
            worlds.spawn(async move {
                let figures =
                    async { World::new(seed, server.clone(), nursery, follows).await?.play(kills).await };
                (seed, server.clone(), figures.await)
            });
        }
        let Some(played) = worlds.join_next().await else { return Ok(Some(all)) };
        let (seed, server, figures) = played?;
        servers.extend(server);
        all.add(figures.with_context(|| format!("play the world of seed {seed}"))?, seed);
    }
}
