//! `make profile`: where the hub's time goes under load, by function, as `perf` samples it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use i247_model::MEMBERS;
use i247_node::{Clock as _, SystemClock};
use tokio::process::Command;

use crate::Options;
use crate::contender::{Contender as _, Place, Task};
use crate::hub::{IN_BURSTS, ONE_BY_ONE, Ours, People};
use crate::measure::{Setting, Work};
use crate::{machine, out};

/// Samples a second.
const FREQUENCY: &str = "499";
/// Lines that are printed; the file has all.
const SHOWN: usize = 45;
/// Functions below this share are left out, in hundredths.
const LEAST: f64 = 0.2;
/// How long each load is played.
const SECONDS: f64 = 8.0;

/// Plays three loads and writes what `perf` saw of each.
pub(crate) async fn run(options: Options) -> Result<()> {
    if Command::new("perf").arg("--version").output().await.is_err() {
        bail!("perf is missing: apt-get install linux-perf");
    }
    let clock = Arc::new(SystemClock::new());
    let work = options.dir.join("profile");
    machine::work_dir(&work)?;
    let program = std::fs::canonicalize(&options.program)?;
    let place = Place { dir: work.clone(), clock: clock.clone(), countries: MEMBERS.len() };
    let mut ours = Ours::new(program.clone(), place, Arc::new(People::new(&clock)?));
    out::talk(&machine::render(&machine::card(&work, &program, &options.profile, clock.now())));
    ours.begin().await?;
    for (name, work_kind, setting) in [
        ("one-to-one", Work::PointToPoint, Setting::of(1024, ONE_BY_ONE)),
        ("one-to-one-in-bursts", Work::PointToPoint, Setting::of(1024, IN_BURSTS)),
        ("one-to-all", Work::FanOut, Setting::of(16, ONE_BY_ONE)),
    ] {
        let process = ours.hub().context("no hub runs")?.process().to_string();
        let data = work.join(format!("{name}.data"));
        let mut recorder = Command::new("perf");
        recorder.args(["record", "--quiet", "--freq", FREQUENCY, "--pid", &process, "--output"]).arg(&data);
        let mut recording = recorder.kill_on_drop(true).spawn()?;
        let task = Task { work: work_kind, setting, seconds: SECONDS, rate_before: None };
        let point = ours.measure(&task).await?.point();
        i247_node::linux::terminate(recording.id().context("perf has ended")?)?;
        tokio::time::timeout(Duration::from_secs(30), recording.wait()).await??;
        let functions = functions(&data).await?;
        let head = format!(
            "{name}: {:.0}/s, p50 {:.0} us, server {:.1} us a delivery {}",
            point.rate,
            point.p50_us,
            point.server_us,
            point.shortfall.clone().unwrap_or_default()
        );
        let text = tell(&functions, point.server_us);
        let file = options.dir.join(format!("profile-{name}.txt"));
        std::fs::write(&file, format!("{head}\n{text}"))?;
        out::data(&format!("{head}\n{}", text.lines().take(SHOWN).collect::<Vec<_>>().join("\n")));
        out::talk(&format!("written: {}", file.display()));
    }
    ours.end().await?;
    Ok(std::fs::remove_dir_all(work)?)
}

/// Each function with its share of the samples, in hundredths.
async fn functions(data: &Path) -> Result<Vec<(f64, String)>> {
    let mut command = Command::new("perf");
    command.args(["report", "--stdio", "--sort", "symbol", "--input"]).arg(data);
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let function = |line: &str| {
        let (share, name) = line.trim().split_once('%')?;
        // Behind the name stand columns that are empty here.
        let name = name.split_whitespace().filter(|word| *word != "-").collect::<Vec<_>>();
        Some((share.parse().ok()?, name.join(" ")))
    };
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(function).collect())
}

/// Where time goes, and by what in the name of a function it is known; the first that fits.
const PARTS: [(&str, &[&str]); 15] = [
    ("kernel", &["[k]"]),
    ("signing", &["scalarmulbase"]),
    ("verifying", &["curve25519", "ed25519"]),
    ("hashing", &["sha256", "sha512", "sha2::"]),
    ("TLS", &["aes", "gcm", "gf_", "rustls"]),
    ("snapshots", &["postcard", "Serialize"]),
    ("history", &["i247_hub::history"]),
    ("router", &["i247_router"]),
    ("ledger", &["i247_ledger", "crc32c"]),
    ("hub", &["i247_"]),
    ("allocation", &["malloc", "free", "realloc", "calloc", "unlink_chunk", "_int_"]),
    ("copying", &["memmove", "memcpy", "memset", "memcmp"]),
    ("protobuf, HTTP/2", &["prost", "h2::", "hyper", "tonic", "http::", "bytes::"]),
    ("maps", &["btree", "hashbrown", "dashmap"]),
    ("runtime", &["tokio", "futures", "parking_lot", "pthread", "tracing"]),
];

/// A budget by part, then the functions themselves.
fn tell(functions: &[(f64, String)], server_us: f64) -> String {
    let part_of = |name: &str| {
        let fits = |(_, marks): &(&str, &[&str])| marks.iter().any(|mark| name.contains(mark));
        PARTS.iter().position(fits).unwrap_or(PARTS.len())
    };
    let mut shares = [0.0; PARTS.len() + 1];
    for (share, name) in functions {
        shares[part_of(name)] += share;
    }
    let names = PARTS.iter().map(|(name, _)| *name).chain(["other"]);
    let mut parts: Vec<(f64, &str)> = shares.into_iter().zip(names).collect();
    parts.sort_by(|one, other| other.0.total_cmp(&one.0));
    let line =
        |share: f64, name: &str| format!("{share:6.2} %  {:7.2} us  {name}", share * server_us / 100.0);
    let mut lines: Vec<String> = parts.iter().map(|(share, name)| line(*share, name)).collect();
    lines.push(String::new());
    lines.extend(
        functions.iter().filter(|(share, _)| *share >= LEAST).map(|(share, name)| line(*share, name)),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_counts_for_one_part_and_the_rest_is_named_other() {
        let functions = [
            (40.0, "[.] _int_malloc".to_owned()),
            (30.0, "[.] <i247_hub::history::History as serde_core::ser::Serialize>".to_owned()),
            (20.0, "[k] __memcpy".to_owned()),
            (10.0, "[.] main".to_owned()),
        ];
        let text = tell(&functions, 50.0);
        let parts: Vec<&str> = text.lines().take(5).collect();
        assert_eq!(
            parts[..4],
            [
                " 40.00 %    20.00 us  allocation",
                " 30.00 %    15.00 us  snapshots",
                " 20.00 %    10.00 us  kernel",
                " 10.00 %     5.00 us  other",
            ]
        );
    }
}
