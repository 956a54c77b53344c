//! A probe as it lies in a file. It must not be copied anywhere but into the question.

use std::path::Path;

use i247_client::pb;
use i247_records::Database;

use crate::fail::Fail;

/// Largest file that is read as a probe, in bytes. The hub takes less.
const PROBE_FILE_MAX: u64 = 64 * 1024;

/// The probe in a file, for the one database that is named. What is no probe the hub refuses with the reason.
pub(super) fn read(path: &Path, databases: &[Database]) -> Result<pb::ProbeKey, Fail> {
    let [database] = databases else {
        let next = "name one of fingerprints, faces, dna and dna-missing with --database";
        return Err(Fail::usage("a probe is compared in one database", next));
    };
    let next = "name a file with the bytes of a probe; `i247 check --help` says how many";
    let unreadable = |error: &dyn std::error::Error| Fail::because(path.display().to_string(), error, next);
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if length > PROBE_FILE_MAX {
        let what = format!("{}: {length} bytes, and no probe has more than {PROBE_FILE_MAX}", path.display());
        return Err(Fail::usage(what, next));
    }
    let mut template = std::fs::read(path).map_err(|error| unreadable(&error))?;
    if matches!(database, Database::Dna | Database::DnaMissing) {
        // A text file ends with a line break.
        template.truncate(template.trim_ascii_end().len());
    }
    Ok(pb::ProbeKey { database: i32::from(database.number()), template: template.into() })
}
