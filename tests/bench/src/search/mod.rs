//! The databases: what searches take beside the bare gRPC and PostgreSQL, what they take while the hub has other work,
//! how fast records come in, and the two indexes at full size.
//!
//! ```text
//!  generate ─► load ─► hub, its owner's bureau ─► load more, beside it searches and messages ─► who must not see
//!                       └─ rounds: hub, echo, PostgreSQL in turn ─► log checked       index, names: processes apart
//! ```

mod apart;
mod asked;
mod asking;
mod bare;
mod beside;
mod hidden;
mod index;
mod look_ups;
mod names;
mod owner;
mod planted;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use i247_client::Searches;
use i247_model::CountryCode;
use tonic::transport::Channel;

use crate::certs::Certs;
use crate::contender::{Contender, Place};
use crate::hub::{Hub, People};
use crate::measure::Work;
use crate::out;
use crate::peers::postgres::{self, Postgres};
use crate::peers::raw_tonic::RawTonic;
use crate::rounds::{Effort, Results, play};

pub(crate) use apart::{APART, Options as Apart, run as run_apart};
pub(crate) use asked::PACKED;
pub(crate) use beside::{Beside, MESSAGES, SEARCHES};
pub(crate) use hidden::Hidden;
pub(crate) use index::{BATCH, Measured as Indexed};
pub(crate) use names::Measured as Named;
pub(crate) use owner::Loading;

use asked::{Asked, Officer, SCREENING};
use asking::Line as _;
use bare::Bare;
use look_ups::LookUps;
use owner::{COUNTRY, Owner};
use planted::{Document, Pick, Planted, Question};

/// How much of each. Records, queries, persons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Loaded before anything is asked.
    loaded: u64,
    /// Loaded while it is asked.
    beside: u64,
    /// Kept from somebody.
    hidden: u64,
    /// Searches of each kind by who must not see them.
    hidden_queries: usize,
    index: u64,
    persons: u64,
}

const WHOLE: Sizes = Sizes {
    loaded: 5_000_000,
    beside: 1_000_000,
    hidden: 1000,
    hidden_queries: 100_000,
    index: 20_000_000,
    persons: 1_000_000,
};
const QUICK: Sizes = Sizes {
    loaded: 200_000,
    beside: 200_000,
    hidden: 1000,
    hidden_queries: 5000,
    index: 2_000_000,
    persons: 100_000,
};

/// All documents of the service that is modelled, and the memory that must be free to try.
pub(crate) const ALL: u64 = 128_000_000;
const ALL_NEEDS_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Keys that are in no database are of a file of so many.
const ABSENT: u64 = 100_000;

/// The files, by the seeds that they are drawn from.
const LOADED: u64 = 1;
const MORE: u64 = 2;
const HIDDEN: u64 = 3;
const NEVER_LOADED: u64 = 4;

/// Of the records that are kept from somebody, so many are shown to somebody else first.
const SHOWN: usize = 8;

impl Sizes {
    pub(crate) fn of(effort: Effort) -> Self {
        if effort.quick { QUICK } else { WHOLE }
    }
}

/// What was found of searches.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) results: Results,
    pub(crate) loading: Loading,
    pub(crate) beside: Beside,
    pub(crate) hidden: Hidden,
    /// The same of one whom an owner bars from all that it owns.
    pub(crate) barred: Hidden,
    /// Why the hub's log or the bureau is not sound, if so: then nothing counts.
    pub(crate) unsound: Option<String>,
}

/// Who is measured, and with what.
pub(crate) struct Scene<'a> {
    pub(crate) program: &'a Path,
    pub(crate) place: &'a Place,
    pub(crate) people: &'a Arc<People>,
    pub(crate) certs: &'a Certs,
    pub(crate) effort: Effort,
}

/// Measures everything that needs a hub; `alone`: without the systems beside it.
///
/// # Errors
/// When the hub does not start, or does not take the records.
pub(crate) async fn measure(scene: &Scene<'_>, alone: bool) -> Result<Found> {
    let (place, clock, sizes) = (scene.place, &scene.place.clock, Sizes::of(scene.effort));
    let hub = Hub::start(scene.program, place, scene.people).await?;
    let dir = place.dir.join("owner");
    let owner = Owner::start(scene.program, &dir, clock, scene.people, &hub).await?;
    let file = owner.generate(LOADED, sizes.loaded).await?;
    out::talk(&format!("loading {} records", sizes.loaded));
    let loading = owner.load(&file, sizes.loaded).await?;
    out::talk(&format!("  {:.0} records/s through bureau and hub", loading.rate()));
    let absent = planted::read(&owner.generate(NEVER_LOADED, ABSENT).await?)?;
    let planted = Arc::new(Planted { there: planted::read(&file)?, absent });
    let askers = askers(scene, &hub)?;
    asked::connect(&askers, &planted).await?;
    owner.idle().await?;

    let more = owner.generate(MORE, sizes.beside).await?;
    out::talk(&format!("searches and messages while {} records are loaded", sizes.beside));
    let load = (more.as_path(), sizes.beside);
    let beside =
        Box::pin(beside::measure(&hub, scene.people, &owner, clock, (&askers, &planted), load)).await?;
    owner.idle().await?;
    let hidden = excluded(scene, &hub, &owner, &askers, &planted, sizes).await?;
    owner.bar(hidden::BARRED).await?;
    owner.idle().await?;
    out::talk(&format!("{} searches by whom the owner bars from all", sizes.hidden_queries));
    let barred = kept_from(scene, &hub, hidden::BARRED, (&planted.there, &planted.absent), sizes).await?;
    owner.idle().await?;

    let works = [Work::Search, Work::SearchStream, Work::Frames, Work::Hits];
    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(Asked::new(clock, &planted, hub.process(), askers))];
    if !alone {
        contenders.push(Box::new(Bare::new(RawTonic::new(place, scene.people), clock, &planted)));
        if let Some(bin) = postgres::programs() {
            let server = Postgres::new(bin, place, scene.certs);
            let rounds = scene.effort.rounds;
            contenders.push(Box::new(LookUps::new(server, clock, &planted, vec![file, more], rounds)));
        }
    }
    let results = play(&mut contenders, &works, scene.effort).await;
    drop(contenders);
    let unsound = close(hub, owner).await.err().map(|error| format!("{error:#}"));
    Ok(Found { results, loading, beside, hidden, barred, unsound })
}

/// A connection for every bureau that asks: neither the owner nor who must not see something, nor those that send.
fn askers(scene: &Scene<'_>, hub: &Hub) -> Result<Vec<Channel>> {
    let others = scene.people.members.iter().rev().filter(|(country, _)| {
        let code = country.to_string();
        ![COUNTRY, hidden::EXCLUDED, hidden::BARRED].contains(&code.as_str())
    });
    let askers: Vec<Channel> =
        others.take(SCREENING).map(|(_, own)| hub.channel(own)).collect::<Result<_>>()?;
    ensure!(askers.len() == SCREENING, "too few countries");
    Ok(askers)
}

/// What a restriction shows of itself.
async fn excluded(
    scene: &Scene<'_>,
    hub: &Hub,
    owner: &Owner,
    askers: &[Channel],
    planted: &Arc<Planted>,
    sizes: Sizes,
) -> Result<Hidden> {
    let file = hidden::restrict(&owner.generate(HIDDEN, sizes.hidden).await?)?;
    owner.load(&file, sizes.hidden).await?;
    let kept = Arc::new(Planted { there: planted::read(&file)?, absent: Vec::new() });
    let mut other = Officer { searches: Searches::new(askers[0].clone()), planted: kept.clone() };
    for nth in 0..SHOWN.min(kept.there.len()) {
        other.ask(&Question(vec![Pick::There(nth)])).await.context("a record that is kept from another")?;
    }
    out::talk(&format!("{} searches by who must not see", sizes.hidden_queries));
    kept_from(scene, hub, hidden::EXCLUDED, (&kept.there, &planted.absent), sizes).await
}

/// What the time of an answer shows a country of documents that it must not see, beside some that there are not.
async fn kept_from(
    scene: &Scene<'_>,
    hub: &Hub,
    country: &str,
    documents: (&[Document], &[Document]),
    sizes: Sizes,
) -> Result<Hidden> {
    let country: CountryCode = country.parse()?;
    let own = scene.people.members.iter().find(|(code, _)| *code == country);
    let (_, own) = own.context("no such member")?;
    // So many as there are of those that are kept by themselves, so that both are as often asked for again.
    let there = &documents.0[..documents.0.len().min(usize::try_from(sizes.hidden)?)];
    hidden::measure(hub.channel(own)?, &scene.place.clock, (there, documents.1), sizes.hidden_queries).await
}

async fn close(hub: Hub, owner: Owner) -> Result<()> {
    owner.stop().await?;
    hub.stop().await
}

/// The index of exact keys: of so many records when that is asked for, else of those of the effort, and of all when
/// there is room. What cannot be measured is said.
pub(crate) async fn indexes(dir: &Path, effort: Effort, records: Option<u64>) -> Vec<Indexed> {
    let mut counts = vec![records.unwrap_or(Sizes::of(effort).index)];
    if records.is_none() && !effort.quick && free_memory() >= ALL_NEEDS_BYTES {
        counts.push(ALL);
    }
    let mut found = Vec::new();
    for count in counts {
        out::talk(&format!("the index of {count} records"));
        match index::measure(count, &dir.join("index")).await {
            Ok(measured) => found.push(measured),
            Err(error) => out::talk(&format!("  not measured: {error:#}")),
        }
    }
    found
}

/// The search for persons.
///
/// # Errors
/// When it cannot be measured.
pub(crate) async fn persons(dir: &Path, effort: Effort) -> Result<Named> {
    let persons = Sizes::of(effort).persons;
    out::talk(&format!("names of {persons} persons"));
    apart::measure(apart::What::Names, persons, &PathBuf::from(dir)).await
}

/// Bytes that the kernel says could be had.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
