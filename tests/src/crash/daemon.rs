//! A daemon as the harness holds it: a real process, a fork of one that has compiled the policies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway::failpoint::Point;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::door::locked;
use super::plan::{Death, Lot};

/// What a daemon is born with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The harness's port.
    pub harness: u16,
    /// Its configuration.
    pub config: PathBuf,
    /// Where it dies, and how often it passes there until then.
    pub death: Option<(Point, u32)>,
    /// Whether it asks Twilio what became of messages.
    pub follows: bool,
}

impl Birth {
    /// As a line.
    pub fn write(&self) -> String {
        let death =
            self.death.map_or_else(|| "-".to_owned(), |(point, nth)| format!("{}:{nth}", name(point)));
        format!("{}\t{death}\t{}\t{}", self.harness, self.follows, self.config.display())
    }

    /// From a line.
    pub fn read(line: &str) -> Result<Birth> {
        let mut parts = line.splitn(4, '\t');
        let mut next = || parts.next().with_context(|| format!("`{line}` is no birth"));
        let harness = next()?.parse()?;
        let death = match next()?.split_once(':') {
            Some((point, nth)) => Some((Point::read(point).context("there is no such point")?, nth.parse()?)),
            None => None,
        };
        Ok(Birth { harness, death, follows: next()?.parse()?, config: next()?.into() })
    }
}

/// The name of a point.
pub(super) fn name(point: Point) -> &'static str {
    Point::ALL.iter().find(|(known, _)| *known == point).map_or("", |(_, name)| name)
}

/// Where daemons come from. They end with it.
#[derive(Debug)]
pub(super) struct Nursery {
    child: Mutex<Child>,
    births: Mutex<Option<ChildStdin>>,
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // At the end of its input it ends.
        *locked(&self.births) = None;
        let _ = locked(&self.child).wait();
    }
}

impl Nursery {
    pub(super) fn open(program: &Path) -> Result<Nursery> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{}`, which is built with the tests", program.display()))?;
        let births = Mutex::new(child.stdin.take());
        Ok(Nursery { child: Mutex::new(child), births })
    }

    /// A new process, which starts when it is told the time.
    pub(super) fn bear(&self, config: &Path, lot: Option<&Lot>, follows: bool) -> Result<Daemon> {
        let harness = TcpListener::bind("127.0.0.1:0")?;
        let death = match lot {
            Some(Lot { death: Death::At(point), nth, .. }) => Some((*point, *nth)),
            _ => None,
        };
        let birth =
            Birth { harness: harness.local_addr()?.port(), config: config.to_owned(), death, follows };
        writeln!(locked(&self.births).as_mut().context("the nursery is open")?, "{}", birth.write())?;
        let (born, heard) = mpsc::channel();
        std::thread::spawn(move || born.send(harness.accept()));
        let (clock, _) = loop {
            match heard.recv_timeout(Duration::from_millis(100)) {
                Ok(connection) => break connection?,
                Err(_) => ensure!(locked(&self.child).try_wait()?.is_none(), "no daemon is born any more"),
            }
        };
        let mut said = BufReader::new(clock.try_clone()?).lines();
        let pid = said.next().context("the daemon's number")??;
        let daemon =
            Daemon { pid: Pid::from_raw(pid.parse()?), clock, port: Arc::default(), end: Arc::default() };
        let (port, end) = (daemon.port.clone(), daemon.end.clone());
        std::thread::spawn(move || {
            let mut last = None;
            while let Some(Ok(line)) = said.next() {
                match line.parse() {
                    // Nobody else sets these.
                    Ok(at) => _ = port.set(at),
                    Err(_) => last = Some(line),
                }
            }
            _ = end.set(last.map_or(End::Killed, End::GaveUp));
        });
        Ok(daemon)
    }
}

/// A daemon's process. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) pid: Pid,
    clock: TcpStream,
    port: Arc<OnceLock<u16>>,
    end: Arc<OnceLock<End>>,
}

/// What became of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It fell silent in the middle of everything.
    Killed,
    /// It said why.
    GaveUp(String),
}

impl Daemon {
    /// Tells it the time. The first time it is told, it starts.
    pub(super) fn tick(&mut self, at: Timestamp) {
        // One that is dead has no clock.
        let _ = writeln!(self.clock, "{at}");
    }

    /// Where it listens, once it does.
    pub(super) fn port(&self) -> Option<u16> {
        self.port.get().copied()
    }

    pub(super) fn signal(&self, signal: Signal) {
        // It may have died meanwhile. Its number is nobody else's until the next birth, and not soon then.
        let _ = kill(self.pid, signal);
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<&End> {
        self.end.get()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
        }
    }
}
