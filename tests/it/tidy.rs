//! Rules about the code itself: who may depend on whom, how long a file may be, one version of what must be one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may use which of our crates. Everything points down and inwards.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ledger", &[]),
    ("router", &["model"]),
    ("wire", &["model"]),
    ("trust", &["model", "wire"]),
    ("records", &["ledger", "model", "wire"]),
    ("node", &["ledger", "model", "trust", "wire"]),
    ("client", &["ledger", "model", "node", "records", "trust", "wire"]),
    ("hub", &["ledger", "model", "node", "records", "router", "trust", "wire"]),
    ("bureau", &["ledger", "model", "node", "records", "trust", "wire"]),
    ("scenario", &["client", "model", "node", "records", "trust", "wire"]),
    (
        "testkit",
        &["bureau", "client", "hub", "ledger", "model", "node", "router", "scenario", "trust", "wire"],
    ),
    ("console", &["client", "ledger", "model", "node", "scenario", "trust"]),
    (
        "cli",
        &[
            "bureau", "client", "console", "hub", "ledger", "model", "node", "records", "router", "scenario",
            "testkit", "trust", "wire",
        ],
    ),
];

/// Lines that a source file may have. Longer means two jobs.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_crate_depends_only_on_what_it_may() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let manifest: toml::Table = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap().parse().unwrap();
        let used: BTreeSet<String> = manifest["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter_map(|dependency| dependency.strip_prefix("i247-").map(str::to_owned))
            .collect();
        let may =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("crates/{name} has no row in the table"));
        for one in &used {
            assert!(may.contains(one.as_str()), "crates/{name} may use {may:?}, but uses {one}");
        }
        found.insert(name);
    }
    assert_eq!(found, EDGES.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    sources(&root().join("tests"), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{} has {lines} lines", file.display()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not begin with //!", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_one_version_of_what_must_be_one() {
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        versions.entry(name).or_default().push(package["version"].as_str().unwrap());
    }
    for name in ["tonic", "prost", "rustls", "tokio", "aws-lc-rs", "opentelemetry"] {
        assert_eq!(versions[name].len(), 1, "{name}: {:?}", versions[name]);
    }
    for name in ["openssl-sys", "native-tls"] {
        assert!(!versions.contains_key(name), "{name} is in the tree");
    }
}

#[test]
fn the_top_level_holds_only_what_it_may() {
    let may = [
        "Cargo.toml",
        "Cargo.lock",
        "Makefile",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "crates",
        "deploy",
        "proto",
        "tests",
        "target",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || may.contains(&name.as_str()),
            "{name} does not belong at the top level"
        );
    }
}
