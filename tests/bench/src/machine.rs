//! The benchmark card: on what, with which versions and settings, and when. And the directory that everything lies in,
//! which must be on a disk.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use i247_model::Timestamp;

/// A file system in memory: a flush costs nothing there, and nothing survives.
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

/// Makes sure that `dir` is there, empty, and on a file system that syncs.
///
/// # Errors
/// When it is in memory, or cannot be made.
pub(crate) fn work_dir(dir: &Path) -> Result<()> {
    empty(dir)?;
    let kind = rustix::fs::statfs(dir).context("statfs")?.f_type as u64;
    if kind == TMPFS || kind == RAMFS {
        bail!(
            "{} is in memory, where a sync costs nothing: name a directory on a disk with --dir",
            dir.display()
        );
    }
    Ok(())
}

/// An empty directory.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())
}

/// Lines of the card, in their order.
pub(crate) type Card = Vec<(&'static str, String)>;

/// What there is to say of the machine and of the program that is measured.
pub(crate) fn card(dir: &Path, program: &Path, profile: &str, now: Timestamp) -> Card {
    let mut card: Card = vec![
        ("date", date(now)),
        ("commit", commit()),
        ("processor", format!("{} × {}", cores(), line_of("/proc/cpuinfo", "model name"))),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        ("kernel", said("uname", &["-sr"])),
        ("file system", file_system(dir)),
        ("load before", said("cut", &["-d ", "-f1-3", "/proc/loadavg"])),
        (
            "i247",
            format!("{} built with profile {profile}", said(&program.display().to_string(), &["--version"])),
        ),
        ("rustc", said("rustc", &["--version"])),
    ];
    card.extend(settings());
    let defaults = said(&program.display().to_string(), &["hub", "--print-config"]);
    card.push((
        "hub config",
        defaults.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "),
    ));
    card
}

fn settings() -> Card {
    let body = crate::bureaus::BODY_BYTES;
    let every = crate::bureaus::RECEIPT_EVERY.as_millis();
    vec![
        ("message", format!("{body} bytes of body; ours adds header and signature, which are not counted")),
        (
            "ours",
            "default configuration, own process; fdatasync before every answer; mutual TLS 1.3, X25519MLKEM768; Ed25519 \
             with a key for each country, every signature verified; router, mailboxes, signed receipts and index on"
                .into(),
        ),
        (
            "load",
            format!(
                "every country its own connection, one client process; messages signed beforehand; a receipt signed \
                 every {every} ms at most; the recipients of the load check mailbox numbers and not signatures"
            ),
        ),
        (
            "searches",
            "by bureaus over mutual TLS, in the database of travel documents; the journal of searches is on; every \
             answer is held against the files that were loaded"
                .into(),
        ),
        ("peers", "mutual TLS, unsigned messages".into()),
        ("rate", "deliveries a second; processor time is of all the server's processes and of the client, a delivery".into()),
    ]
}

fn date(now: Timestamp) -> String {
    let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_millisecond(millis);
    date.map_or_else(|error| error.to_string(), |date| date.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if changed { format!("{commit} with changes") } else { commit }
}

/// The file system that holds a directory, as the kernel names it.
fn file_system(dir: &Path) -> String {
    let dir = std::fs::canonicalize(dir).unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, at, kind, options, ..] = fields.as_slice() else { return None };
        dir.starts_with(at).then(|| (at.len(), format!("{kind} on {device} ({options})")))
    });
    holding.max_by_key(|(length, _)| *length).map(|(_, text)| text).unwrap_or_default()
}

fn line_of(file: &str, key: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(':'));
    found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// What a program says, or that it is not there.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |error| format!("{program}: {error}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The card as text.
pub(crate) fn render(card: &Card) -> String {
    let mut text = String::new();
    for (key, value) in card {
        let _ = writeln!(text, "{key:<12} {value}");
    }
    text
}
