//! Whatever dies, no participant gets a text twice, none is forgotten, and none after STOP. `cargo crash` kills
//! thousands of daemons; these are enough to see that it still holds.

use std::path::PathBuf;

use anyhow::Result;
use tests::crash::{self, Figures, Options, Which};

fn options(seed: u64, follows: bool) -> Options {
    Options { daemon: PathBuf::from(env!("CARGO_BIN_EXE_crash-daemon")), seed, follows }
}

fn told(figures: &Figures) -> String {
    format!("{figures}\n{}", figures.first.as_deref().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_sent_twice_whenever_a_daemon_is_killed() -> Result<()> {
    let Some(figures) = crash::run(Which::Sqlite, 40, &options(4, true)).await? else { return Ok(()) };
    assert!(figures.is_good() && figures.kills() >= 40 && figures.received > 0, "{}", told(&figures));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_on_postgresql_lose_nothing_when_they_and_the_database_are_killed() -> Result<()> {
    let Some(figures) = crash::run(Which::Postgres, 10, &options(5, true)).await? else {
        println!("skipped: PostgreSQL is not installed");
        return Ok(());
    };
    assert!(figures.is_good() && figures.kills() >= 10 && figures.received > 0, "{}", told(&figures));
    Ok(())
}

/// The harness can fail: without the reconciliation it finds what is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_asking_twilio_what_became_of_messages_occasions_are_lost() -> Result<()> {
    let Some(figures) = crash::run(Which::Sqlite, 30, &options(6, false)).await? else { return Ok(()) };
    assert!(figures.lost > 0 && !figures.is_good(), "{}", told(&figures));
    assert_eq!((figures.duplicates, figures.after_stop), (0, 0), "{}", told(&figures));
    Ok(())
}
