//! `cargo crash`: thousands of deaths under load, judged by what each phone received. See `tests::crash`.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tests::crash::{self, Options, Which};

#[derive(Parser)]
#[command(name = "cargo crash", about = "Kill daemons under load, and judge by what each phone received")]
struct Cli {
    /// Kills on SQLite, with one daemon
    #[arg(long, default_value_t = 2000)]
    kills: u32,
    /// Kills on PostgreSQL, with two daemons
    #[arg(long, default_value_t = 500)]
    postgres_kills: u32,
    /// The seed of a run that is to be led the same way again
    #[arg(long)]
    seed: Option<u64>,
    /// Take out the reconciliation with Twilio: then something must be lost
    #[arg(long)]
    no_follow: bool,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
#[expect(clippy::disallowed_methods, reason = "the run itself is timed")]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    // A short number is easier to type again.
    let seed = cli.seed.unwrap_or_else(|| RandomState::new().hash_one("seed") % 1_000_000);
    let daemon = std::env::current_exe()?.with_file_name("crash-daemon");
    let options = Options { daemon, seed, follows: !cli.no_follow };
    println!("seed {seed}");
    let mut good = true;
    for (which, kills, name) in [
        (Which::Sqlite, cli.kills, "SQLite, one daemon"),
        (Which::Postgres, cli.postgres_kills, "PostgreSQL, two daemons"),
    ] {
        if kills == 0 {
            continue;
        }
        let began = Instant::now();
        let figures = crash::run(which, kills, &options).await.with_context(|| format!("run on {name}"))?;
        let Some(figures) = figures else {
            println!("\n{name}: skipped, PostgreSQL is not installed");
            continue;
        };
        println!("\n{name}, {:.0} seconds\n{figures}", began.elapsed().as_secs_f64());
        if let Some(first) = &figures.first {
            println!("  the first fault: {first}");
        }
        good &= figures.is_good();
    }
    ensure!(good, "not every promise was kept");
    Ok(())
}
