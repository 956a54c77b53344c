//! The records of a scenario on the path of everybody's records: a file for each owner, loaded at its desk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_client::{Desk, pb};
use i247_model::{CountryCode, Reason};
use i247_node::Clock;
use i247_records::Database;
use i247_scenario::border::{BorderActors, BorderPlan};

use crate::fail::Fail;
use crate::records::deed::FileOf;
use crate::records::load::{Loaded, load_at};
use crate::records::{Format, LoadArgs};

/// What is loaded.
pub(super) const DATABASE: Database = Database::Sltd;

/// Has every owner load its file, as anybody does. How many records there are then; those that an earlier run has loaded are
/// there already.
pub(super) async fn load(dir: &Path, plan: &BorderPlan, actors: &BorderActors) -> Result<usize, Fail> {
    let failed = |error: std::io::Error| {
        Fail::because(dir.display().to_string(), &error, "make room, and run it again")
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut loading = Vec::new();
    for (country, text) in &plan.files {
        let file = dir.join(format!("{}.csv", country.to_lowercase()));
        std::fs::write(&file, text).map_err(failed)?;
        let Some(desk) = actors.desks.get(country) else {
            return Err(Fail::refused(format!("{country} has no desk here"), "run it among other countries"));
        };
        loading.push(load_file(desk, *country, file, plan.records_of(*country), &actors.clock));
    }
    let loaded = futures::future::join_all(loading).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(loaded.into_iter().sum())
}

async fn load_file(
    desk: &Desk,
    country: CountryCode,
    file: PathBuf,
    expected: usize,
    clock: &Arc<dyn Clock>,
) -> Result<usize, Fail> {
    let args = LoadArgs { database: DATABASE, file, format: Some(Format::Csv), no_wait: false };
    let Loaded { status, bad } = load_at(desk, &FileOf::from(&args), clock, &mut |_| {}).await?;
    if bad > 0 || status.accepted + there_already(&status) != expected as u64 {
        let what =
            format!("of {country}'s {expected} records {} were accepted and {bad} were bad", status.accepted);
        return Err(Fail::refused(what, "run it again; with --dir the files stay"));
    }
    Ok(expected)
}

fn there_already(status: &pb::LoadStatusResponse) -> u64 {
    let same = |refused: &&pb::ReasonCount| refused.reason == Reason::Duplicate.as_str();
    status.refused.iter().filter(same).map(|refused| refused.count).sum()
}
