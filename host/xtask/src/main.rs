//! The workspace's own commands. They add the WebAssembly target, build the policies and make components of
//! them, and then run cargo: whoever has Rust needs nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

/// What the policies are compiled for: it imports nothing that is not asked for.
const TARGET: &str = "wasm32-unknown-unknown";

/// The reference policies, by crate.
const POLICIES: [&str; 3] = ["routing", "template", "compliance"];

/// The policies that misbehave, for the tests: the crate `hostile-NAME` becomes `hostile/NAME.wasm`.
const HOSTILE: [&str; 3] = ["routing", "template", "compliance"];

#[derive(Parser)]
#[command(about = "The workspace's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the reference policies and make components of them
    Policies,
    /// Build everything and run `consentry demo`
    Demo {
        /// Passed on, for example --script
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Format, lint, build the policies, run every test, check the licenses
    Verify,
    /// Measure the time of a decision
    BenchPolicy {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Kill daemons under load, again and again, and judge by what each phone received
    Crash {
        /// Passed on, for example --kills 200
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure how many messages a second are delivered, and how soon after they are due
    BenchDelivery {
        /// Passed on, for example --messages 2000
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Keep a daemon busy and watch its memory; with --privacy, show what is left at Twilio
    Soak {
        /// Passed on, for example --messages 20000 --minutes 1
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what a simulation costs, and finding what is due among what is scheduled far ahead
    BenchSimulate {
        /// Passed on: a project XML file, and for example --participants 250,500
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure reading and evaluating the conditions and formulas of a project
    BenchRedcap {
        /// Passed on: a project XML file
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> Result<()> {
    // Paths that are passed on are meant from where the command was given.
    let here = std::env::current_dir().context("ask where the command was given")?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("find the workspace")?;
    std::env::set_current_dir(workspace).context("go to the workspace")?;
    match Cli::parse().command {
        Task::Policies => policies().map(|_| ()),
        Task::Demo { arguments } => {
            policies()?;
            step("building the daemon (the first time takes some minutes)");
            programs()?;
            let program = workspace.join(target()).join("debug/consentry");
            run(Command::new(program).current_dir(here).arg("demo").args(arguments))
        }
        Task::Verify => verify(),
        Task::BenchPolicy { arguments } => measured("bench-policy", &arguments),
        Task::Crash { arguments } => measured("crash", &arguments),
        Task::BenchDelivery { arguments } => measured("bench-delivery", &arguments),
        Task::Soak { arguments } => measured("soak", &arguments),
        Task::BenchSimulate { arguments } => {
            policies()?;
            programs()?;
            let program = workspace.join(target()).join("debug/bench-simulate");
            run(Command::new(program).current_dir(here).args(arguments))
        }
        Task::BenchRedcap { arguments } => {
            programs()?;
            let program = workspace.join(target()).join("debug/bench-redcap");
            run(Command::new(program).current_dir(here).args(arguments))
        }
    }
}

/// Runs a program of the tests' that needs the policies and the daemon.
fn measured(program: &str, arguments: &[OsString]) -> Result<()> {
    policies()?;
    programs()?;
    run(Command::new(target().join("debug").join(program)).args(arguments))
}

/// Everything that must hold before a change lands.
fn verify() -> Result<()> {
    step("formatting");
    cargo(&["fmt", "--all", "--check"])?;
    policies()?;
    step("lints");
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    // What is off by default is compiled too.
    cargo(&["check", "--package", "consentry", "--features", "otlp"])?;
    step("tests");
    // Some tests run the program itself; and one failure must not hide the others.
    programs()?;
    cargo(&["test", "--workspace", "--no-fail-fast"])?;
    skipped();
    step("licenses, bans and sources of the dependencies");
    if Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success())
    {
        cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"])
    } else if std::env::var_os("CI").is_some() {
        bail!("cargo-deny is not installed; `cargo install --locked cargo-deny` installs it")
    } else {
        step("skipped: cargo-deny is not installed; `cargo install --locked cargo-deny` installs it");
        Ok(())
    }
}

/// Builds the programs. They are built as a part of the whole workspace, as the tests are: built alone, their
/// dependencies would have fewer features and be compiled a second time.
fn programs() -> Result<()> {
    cargo(&["build", "--workspace", "--bins"])
}

/// Tests say on their own output what they skip; cargo shows that only when they fail.
fn skipped() {
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    if missing("chromium") || missing("chromedriver") {
        step("skipped: the browser test, because chromium or chromedriver is not installed");
    }
    let server = std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    if !server && missing("initdb") {
        step("skipped: the tests on PostgreSQL, because its server is not installed");
    }
    if std::env::var_os("CONSENTRY_CORPUS").is_none() {
        step(
            "skipped: the tests on a corpus of real inputs, because CONSENTRY_CORPUS does not name its folder",
        );
    }
}

/// Builds the policies into `policies` beside the daemon's program, where it looks for them.
fn policies() -> Result<PathBuf> {
    step("building the policies");
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if !Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).exists() {
        step(&format!("adding the target {TARGET}"));
        run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
            format!("add the target {TARGET}; without rustup, install your distribution's package for it")
        })?;
    }
    let mut build = vec!["build", "--quiet", "--target", TARGET, "--profile", "policy"];
    let hostile = HOSTILE.map(|policy| format!("hostile-{policy}"));
    for policy in POLICIES.into_iter().chain(hostile.iter().map(String::as_str)) {
        build.extend(["--package", policy]);
    }
    cargo(&build)?;
    let folder = target().join("debug/policies");
    let for_tests = folder.join("hostile");
    std::fs::create_dir_all(&for_tests).with_context(|| format!("make `{}`", for_tests.display()))?;
    let modules = target().join(TARGET).join("policy");
    for policy in POLICIES {
        let file = format!("{policy}.wasm");
        componentize(&modules.join(&file), &folder.join(&file))?;
    }
    for policy in HOSTILE {
        let module = modules.join(format!("hostile_{policy}.wasm"));
        componentize(&module, &for_tests.join(format!("{policy}.wasm")))?;
    }
    Ok(folder)
}

/// Makes a component of a core module, whose world the SDK left in a custom section.
fn componentize(module: &Path, component: &Path) -> Result<()> {
    let bytes = std::fs::read(module).with_context(|| format!("read `{}`", module.display()))?;
    let encoded = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(wit_component::ComponentEncoder::encode)
        .with_context(|| format!("make a component of `{}`", module.display()))?;
    // An unchanged component keeps its time, so that nothing that depends on it is built again.
    if std::fs::read(component).is_ok_and(|before| before == encoded) {
        return Ok(());
    }
    std::fs::write(component, encoded).with_context(|| format!("write `{}`", component.display()))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
fn step(words: &str) {
    eprintln!("xtask: {words}");
}
