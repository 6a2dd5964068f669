//! A PostgreSQL of the tests' own: made of the installed package in a temporary directory, ended and removed
//! with the process that started it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How often a server that starts is asked whether it is ready, ten times a second.
const ATTEMPTS: usize = 600;

/// The server's guardian, a shell: it starts and stops the server when it is told to, and when its input ends,
/// which it does however the process of the tests ends, it stops the server and removes the directory.
///
/// A stop is immediate, without a checkpoint: as if the machine had failed.
const GUARDIAN: &str = r#"
programs=$1 directory=$2
start() { "$programs/postgres" -D "$directory/data" </dev/null >>"$directory/log" 2>&1 & server=$!; }
stop() { if [ -n "$server" ]; then kill -QUIT "$server"; wait "$server"; server=; fi; }
while read -r word; do
    case $word in start) start ;; stop) stop ;; esac
    echo done
done
stop
rm -rf "$directory"
"#;

/// Durable, as it is in a hospital: that is what is tested. Small, for it runs beside everything else.
const SETTINGS: &str = "
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 32MB
max_connections = 100
listen_addresses = '127.0.0.1'
";

/// Servers that this process has made: each has a directory of its own.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A server.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    guardian: Mutex<Guardian>,
}

#[derive(Debug)]
struct Guardian {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The server that all tests of this process share. `None` when PostgreSQL is not installed: the test says
/// that it was skipped.
///
/// # Panics
///
/// When it is installed and does not start: then the tests cannot say anything.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| Server::start().expect("PostgreSQL is installed, so it starts")).as_ref()
}

impl Server {
    /// Makes a server and starts it. `None` when PostgreSQL is not installed, which under `CI=1` is an error.
    pub fn start() -> Result<Option<Server>> {
        let Some(programs) = installed() else {
            ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "1"), "PostgreSQL is not installed");
            return Ok(None);
        };
        // The path is short, for the name of a Unix socket has 107 bytes.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("pg-{}-{count}", std::process::id()));
        std::fs::create_dir(&directory).context("make a directory for PostgreSQL")?;
        if let Some((user, group)) = other_user()? {
            std::os::unix::fs::chown(&directory, Some(user), Some(group))?;
        }

        // The guardian comes first, so that the directory is removed whatever comes after.
        let mut child = as_user(Path::new("/bin/sh"))?
            .args(["-c", GUARDIAN, "guardian"])
            .args([&programs, &directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt from the keyboard is for the tests; the guardian sees that they ended.
            .process_group(0)
            .spawn()
            .context("start a shell")?;
        let words = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the shell's output")?);
        let guardian = Mutex::new(Guardian { child, words, answers });

        let data = directory.join("data");
        let mut initdb = as_user(&programs.join("initdb"))?;
        initdb.arg("-D").arg(&data).args(["--auth=trust", "-U", "postgres", "-E", "UTF8", "--no-locale"]);
        succeeded(&initdb.output().context("run initdb")?)?;
        // The port is free now; it names the socket too.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut file = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
        write!(file, "{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n", directory.display())?;
        drop(file);

        let server = Server { programs, directory, port, guardian };
        server.start_again()?;
        Ok(Some(server))
    }

    /// Makes a new database, and gives its URL over the Unix socket.
    pub fn database(&self, name: &str) -> Result<String> {
        let mut createdb = Command::new(self.programs.join("createdb"));
        succeeded(&createdb.args(self.at()).arg(name).output().context("run createdb")?)?;
        Ok(format!("postgres://postgres@/{name}?host={}&port={}", self.directory.display(), self.port))
    }

    /// The URL of a database over TCP on loopback, so that something can stand in between.
    pub fn over_tcp(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Stops the server at once, as if the machine had failed.
    pub fn stop(&self) -> Result<()> {
        self.tell("stop")
    }

    /// Starts the server after a stop, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        self.tell("start")?;
        for _ in 0..ATTEMPTS {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            if ready.args(self.at()).output().context("run pg_isready")?.status.success() {
                return Ok(());
            }
            pause();
        }
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        bail!("PostgreSQL does not answer:\n{log}")
    }

    fn tell(&self, word: &str) -> Result<()> {
        let mut guardian = self.guardian.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(guardian.words.as_mut().context("the guardian is there")?, "{word}")?;
        let mut answer = String::new();
        guardian.answers.read_line(&mut answer)?;
        ensure!(answer == "done\n", "PostgreSQL's guardian has ended");
        Ok(())
    }

    fn at(&self) -> [String; 6] {
        ["-h", &self.directory.display().to_string(), "-p", &self.port.to_string(), "-U", "postgres"]
            .map(str::to_owned)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let guardian = self.guardian.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Its input ends here.
        guardian.words = None;
        let _ = guardian.child.wait();
    }
}

/// Where the programs are: Debian keeps each version in a directory of its own, and others have them in PATH.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut directories: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    directories.sort();
    directories.reverse();
    directories.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    directories.into_iter().find(|directory| {
        ["initdb", "postgres", "pg_isready", "createdb"].iter().all(|name| directory.join(name).exists())
    })
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made, with this user and group.
fn other_user() -> Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.context("root needs a user `postgres` to run PostgreSQL as")?.split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok()).context("read /etc/passwd");
    Ok(Some((number()?, number()?)))
}

fn as_user(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    if let Some((user, group)) = other_user()? {
        // The directory that the tests run in may be closed to it.
        command.uid(user).gid(group).current_dir("/");
    }
    Ok(command)
}

fn succeeded(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program is waited for, which tells nobody when it is ready"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
