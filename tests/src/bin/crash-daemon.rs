//! Daemons that die on command, for the crash harness: the real daemon, on a clock that the harness steps.
//!
//! Compiling the policies takes a second, and a daemon of the harness lives for a fraction of one. So this
//! process compiles them once, and each daemon is a fork of it: a process of its own, with everything of its
//! own but the machine code. What to bear comes in lines, as [`tests::crash::Birth`] writes them. A daemon
//! connects to the harness, tells its number, is told the time, and tells its port when it listens. When the
//! connection ends it ends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use consentry::config::Config;
use consentry::daemon::Daemon;
use gateway::failpoint::{self, Point};
use gateway::store::Store;
use gateway::{Clock, Gateway};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use tests::crash::Birth;
use tokio::net::TcpListener;

/// Where this daemon dies, and how often it has passed that point yet.
static DEATH: OnceLock<(Point, u32)> = OnceLock::new();
static PASSED: AtomicU32 = AtomicU32::new(0);

fn main() -> Result<()> {
    for line in std::io::stdin().lines() {
        let birth = Birth::read(&line?)?;
        // The dead keep their numbers until here, so that the harness kills nobody else.
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(found) if found != WaitStatus::StillAlive)
        {
        }
        // The engine keeps what it has compiled. After the first time this is short.
        tests::read(&birth.config)?;
        if bear()? {
            live(&birth)?;
            return Ok(());
        }
    }
    Ok(())
}

/// Forks, and says whether this is the child.
#[expect(
    unsafe_code,
    reason = "fork is unsafe when a thread holds a lock; Wasmtime's threads rest now, and it allows forks"
)]
fn bear() -> Result<bool> {
    // SAFETY: no thread of this process is at work but this one and the policies' epoch, which holds no lock;
    // the allocator takes care of itself.
    Ok(matches!(unsafe { fork() }.context("fork")?, ForkResult::Child))
}

fn live(birth: &Birth) -> Result<()> {
    let mut harness = TcpStream::connect(("127.0.0.1", birth.harness))?;
    writeln!(harness, "{}", std::process::id())?;
    if let Some(death) = birth.death {
        // Nobody else sets it.
        let _ = DEATH.set(death);
        failpoint::install(pass);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(serve(birth, &harness));
    if let Err(error) = &result {
        writeln!(harness, "{error:#}")?;
    }
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(())
}

async fn serve(birth: &Birth, harness: &TcpStream) -> Result<()> {
    let config = tests::read(&birth.config)?;
    let mut lines = BufReader::new(harness.try_clone()?).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(()) };
    let clock = Clock::stepped(first.parse().context("read the instant at which to start")?);
    let stepped = clock.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Ok(at) = line.parse() {
                stepped.step(at);
            }
        }
        std::process::exit(0);
    });
    if !birth.follows {
        return without_following(config, clock, harness).await;
    }
    let mut daemon = Daemon::start(config, clock).await?;
    tell(harness, daemon.address.port())?;
    bail!("{}", daemon.ended().await)
}

/// The daemon with one part taken out, to see that the harness finds what is missing then.
async fn without_following(config: Config, clock: Clock, harness: &TcpStream) -> Result<()> {
    let store = Store::open(&config.database, &config.keys, clock.clone())?;
    let listener = TcpListener::bind(config.listen).await?;
    let port = listener.local_addr()?.port();
    let mut gateway = Gateway::new(config.projects, store, clock, &config.public_url)?;
    gateway.follows = false;
    let gateway = std::sync::Arc::new(gateway);
    let router = gateway::webhooks::router(gateway.clone(), config.trigger_secret);
    tokio::spawn(gateway.run());
    tell(harness, port)?;
    Ok(axum::serve(listener, router).await?)
}

fn tell(mut harness: &TcpStream, port: u16) -> Result<()> {
    Ok(writeln!(harness, "{port}")?)
}

fn pass(point: Point) {
    if let Some((at, nth)) = DEATH.get()
        && point == *at
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        // Nothing is flushed, closed or dropped, as when the power fails.
        let _ = raise(Signal::SIGKILL);
    }
}
