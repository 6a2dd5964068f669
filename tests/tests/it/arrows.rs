//! Which crate may know which: the design's arrows, asserted from the manifests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may depend on, of our own. The host never depends on the guest or on a policy: a swapped
/// policy is really swapped.
const ARROWS: [(&str, &[&str]); 11] = [
    ("consentry-guest", &[]),
    ("routing", &["consentry-guest"]),
    ("template", &["consentry-guest"]),
    ("compliance", &["consentry-guest"]),
    ("redcap", &[]),
    ("twilio", &[]),
    ("policy", &[]),
    ("sandbox", &["redcap", "twilio"]),
    ("gateway", &["policy", "redcap", "twilio"]),
    ("consentry", &["gateway", "policy", "redcap", "sandbox", "twilio"]),
    ("xtask", &[]),
];

#[test]
fn every_crate_knows_only_what_the_design_lets_it_know() -> Result<()> {
    let metadata =
        MetadataCommand::new().manifest_path(tests::workspace().join("Cargo.toml")).no_deps().exec()?;
    let ours: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if name == "tests" || name.starts_with("hostile-") {
            continue;
        }
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("`{name}` has no arrows in this test"));
        let found: BTreeSet<_> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal && ours.contains(&dependency.name))
            .map(|dependency| dependency.name.as_str())
            .collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        assert!(found.is_subset(&allowed), "`{name}` depends on {found:?}, and may on {allowed:?}");
    }
    Ok(())
}

#[test]
fn the_top_level_is_the_given_one() -> Result<()> {
    let given = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "guest",
        "host",
        "policies",
        "target",
        "tests",
        "wit",
    ];
    for entry in std::fs::read_dir(tests::workspace())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || given.contains(&name.as_str()),
            "`{name}` does not belong at the top"
        );
    }
    Ok(())
}

#[test]
fn sql_is_in_the_store_and_the_clock_is_asked_in_one_place() -> Result<()> {
    let mut sources = Vec::new();
    rust_files(&tests::workspace().join("host"), &mut sources)?;
    for path in sources {
        let text = std::fs::read_to_string(&path)?;
        let name = path.display().to_string();
        let clock = text.contains("Timestamp::now()") || text.contains("SystemTime::now()");
        assert!(!clock || name.ends_with("gateway/src/clock.rs"), "`{name}` asks what time it is");
        let sql = text.contains("rusqlite");
        assert!(!sql || name.contains("gateway/src/store/sqlite"), "`{name}` knows of SQL");
    }
    Ok(())
}

fn rust_files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}
