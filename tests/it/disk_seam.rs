//! What is durable goes through the disk that a node is given, so that every crash and every broken disk can be tried.

use std::path::{Path, PathBuf};

/// Crates that keep something.
const DURABLE: [&str; 4] = ["bureau", "hub", "ledger", "records"];

/// The disk itself.
const SEAM: &str = "ledger/src/os_disk.rs";

/// The module of every library by which somebody would go past it.
const PAST_IT: &str = "fs";

#[test]
fn no_crate_that_keeps_something_goes_past_the_disk_that_it_is_given() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let (mut looked_at, mut past) = (0, Vec::new());
    for source in DURABLE.iter().flat_map(|name| sources(&crates.join(name).join("src"))) {
        if source.ends_with(SEAM) || is_test(source.strip_prefix(&crates).unwrap()) {
            continue;
        }
        let text = std::fs::read_to_string(&source).unwrap();
        // Unit tests stand last, and use what they like.
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = product.lines().filter(|line| names(line, PAST_IT));
        past.extend(lines.map(|line| format!("{}: {}", source.display(), line.trim())));
        looked_at += 1;
    }
    assert!(past.is_empty(), "this goes past the disk of the seams:\n{}", past.join("\n"));
    assert!(looked_at > 100, "{looked_at} files");
    let seam = std::fs::read_to_string(crates.join(SEAM)).unwrap();
    assert!(seam.lines().any(|line| names(line, PAST_IT)), "the disk itself is somewhere else now");
}

/// Whether a word stands in a line that is no comment.
fn names(line: &str, wanted: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted)
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let each = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    each.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// Files that are nothing but tests.
fn is_test(source: &Path) -> bool {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    name.ends_with("tests") || source.components().any(|part| part.as_os_str() == "tests")
}
