//! What lies on this machine: contexts, and what a check of a log found.

use i247_client::Contexts;
use i247_hub::Searches;
use i247_ledger::Report;
use serde_json::{Value as Json, json};

use super::table::{pairs, table, word};
use crate::authority::short;

/// The contexts; the chosen one has a star.
pub(crate) fn contexts(contexts: &Contexts) -> String {
    let rows = contexts.list().iter().map(|(name, context)| {
        let chosen = contexts.current_name() == Some(name);
        vec![
            if chosen { "*" } else { "" }.to_owned(),
            name.to_string(),
            short(&context.server),
            context.address.clone(),
            context.credentials.display().to_string(),
        ]
    });
    table(&["", "NAME", "SERVER", "ADDRESS", "CREDENTIALS"], rows.collect())
}

/// What a check found.
pub(crate) fn check(report: &Report) -> String {
    let sound =
        if report.is_sound() { "yes".to_owned() } else { format!("NO: {} faults", report.damage.len()) };
    let head = pairs(&[
        ("sound", sound),
        ("entries", report.end.to_string()),
        ("segments", format!("{} with {} groups", report.segments, report.groups)),
        ("bodies", format!("{} whole, {} erased", report.bodies_present, report.bodies_erased)),
        ("snapshots", report.snapshots.to_string()),
        ("runs", report.runs.to_string()),
        ("closed", if report.clean_stop { "yes" } else { "no" }.to_owned()),
    ]);
    if report.is_sound() {
        return head;
    }
    let faults: Vec<String> = report.damage.iter().map(ToString::to_string).collect();
    format!("{head}\n\n{}", faults.join("\n"))
}

/// What the journal of searches holds, and whether the log vouches for it.
pub(crate) fn searches(found: &Searches) -> String {
    let sound = if found.broken.is_empty() { "yes" } else { "NO" };
    let mut head = vec![
        ("sound", sound.to_owned()),
        ("entries", format!("{}, of which the log vouches for {}", found.entries, found.vouched)),
        ("frames", found.frames.to_string()),
        ("keys", format!("{}, {} with a match", found.keys, found.matches)),
        ("signed for", format!("{} frames by the posts that asked", found.signed_for)),
    ];
    if found.unverified > 0 {
        head.push(("unverified", format!("{} roll-ups: the log names no authority", found.unverified)));
    }
    let head = format!("{}\n\n{}", pairs(&head), asked(found));
    if found.broken.is_empty() { head } else { format!("{head}\n\n{}", found.broken.join("\n")) }
}

/// What was asked on line and of offline copies, by country and purpose.
fn asked(found: &Searches) -> String {
    let rows = found.asked.iter().map(|((country, purpose), asked)| {
        let purpose = word(purpose.as_str_name(), "PURPOSE_");
        let count = |(frames, keys): (u64, u64)| [frames.to_string(), keys.to_string()];
        [vec![country.to_string(), purpose], count(asked.on_line).to_vec(), count(asked.offline).to_vec()]
            .concat()
    });
    table(&["COUNTRY", "PURPOSE", "FRAMES ON LINE", "KEYS", "FRAMES OFFLINE", "KEYS"], rows.collect())
}

/// The same as JSON.
pub(crate) fn searches_json(found: &Searches) -> Json {
    json!({
        "sound": found.broken.is_empty(),
        "entries": found.entries,
        "vouched": found.vouched,
        "frames": found.frames,
        "keys": found.keys,
        "matches": found.matches,
        "signed_for": found.signed_for,
        "unverified": found.unverified,
        "asked": found.asked.iter().map(|((country, purpose), asked)| json!({
            "country": country.to_string(),
            "purpose": purpose.as_str_name(),
            "frames_on_line": asked.on_line.0,
            "keys_on_line": asked.on_line.1,
            "frames_offline": asked.offline.0,
            "keys_offline": asked.offline.1,
        })).collect::<Vec<_>>(),
        "broken": found.broken,
    })
}

/// The same as JSON.
pub(crate) fn check_json(report: &Report) -> Json {
    let damage = report.damage.iter().map(|damage| {
        json!({
            "file": damage.file,
            "offset": damage.offset,
            "position": damage.position.0,
            "problem": damage.kind.to_string(),
            "fatal": damage.kind.is_fatal(),
        })
    });
    json!({
        "sound": report.is_sound(),
        "entries": report.end.0,
        "segments": report.segments,
        "groups": report.groups,
        "bodies_present": report.bodies_present,
        "bodies_erased": report.bodies_erased,
        "snapshots": report.snapshots,
        "runs": report.runs,
        "clean_stop": report.clean_stop,
        "damage": damage.collect::<Vec<_>>(),
    })
}
