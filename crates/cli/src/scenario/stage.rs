//! The network of a scenario: nodes, posts with grants, and, when it has been stopped, the journal of searches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use i247_client::{RolledSearches, Searches, pb};
use i247_model::{CountryCode, Identity};
use i247_scenario::border::{Asked, BorderActors, Station};
use i247_testkit::{World, WorldError, airport, operation};

use super::RunArgs;
use crate::fail::Fail;
use crate::session::Session;

/// How much a post may ask: days and weeks are pressed into seconds.
const KEYS_PER_MINUTE: u32 = 1_000_000;
const KEYS_PER_DAY: u32 = 100_000_000;

/// A network that runs.
pub(super) struct Stage {
    world: World,
}

impl Stage {
    pub(super) async fn start(args: &RunArgs, countries: &[CountryCode]) -> Result<Self, Fail> {
        let mut builder = World::with(countries.to_vec()).direct().log("error");
        if !args.one_process {
            let program = std::env::current_exe().map_err(|error| {
                Fail::because("this program cannot find itself", &error, "run it with --one-process")
            })?;
            builder = builder.processes(program);
        }
        if let Some(dir) = &args.dir {
            if dir.exists() {
                return Err(Fail::usage(
                    format!("{} is there already", dir.display()),
                    "name a new directory",
                ));
            }
            builder = builder.keep(dir.clone());
        }
        Ok(Self { world: Box::pin(builder.start()).await.map_err(of_world)? })
    }

    /// Certifies the posts, has their bureaus grant them their work, and waits until each is let in.
    pub(super) async fn grant(
        &self,
        stations: &[Station],
    ) -> Result<BTreeMap<Station, RolledSearches>, Fail> {
        let letting_in = stations.iter().map(|station| self.let_in(station));
        let posts = futures::future::join_all(letting_in).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(stations.iter().cloned().zip(posts).collect())
    }

    async fn let_in(&self, station: &Station) -> Result<RolledSearches, Fail> {
        let (country, post) = (station.country.as_str(), station.post.as_str());
        let grant = pb::Grant {
            keys_per_minute: KEYS_PER_MINUTE,
            keys_per_day: KEYS_PER_DAY,
            ..airport(&station.post)
        };
        self.world.bureau(country).grants(grant).await.map_err(of_world)?;
        let credentials = self.world.post(country, post).await.map_err(of_world)?;
        if let Err(reason) = self.world.knocks(&credentials).await.map_err(of_world)? {
            let what = format!("the post {post} of {country} is not let in: {reason}");
            return Err(Fail::refused(what, "run it again; this should not happen"));
        }
        let searches = Searches::new(self.world.hub_channel(&credentials).await.map_err(of_world)?);
        let seams = self.world.seams();
        Ok(RolledSearches::new(searches, credentials, Arc::clone(&seams.clock), &*seams.dice))
    }

    /// Where the files of records are put.
    pub(super) fn files(&self) -> PathBuf {
        self.world.dir().join("records")
    }

    pub(super) async fn actors(
        &self,
        operation: &str,
        posts: BTreeMap<Station, RolledSearches>,
        patience: Duration,
    ) -> Result<BorderActors, Fail> {
        let desks = operation::desks(&self.world).await.map_err(of_world)?;
        let clock = Arc::clone(&self.world.seams().clock);
        Ok(BorderActors { operation: operation.to_owned(), posts, desks, clock, patience, after: 0 })
    }

    /// What the hub says of the operation.
    pub(super) async fn operation(&self, id: &str) -> Result<pb::OperationSearches, Fail> {
        let monitor = self.world.monitor().await.map_err(of_world)?;
        Ok(monitor.operation_tally(id).await?.searches.unwrap_or_default())
    }

    pub(super) async fn stop(&self) -> Result<(), Fail> {
        self.world.stop_all().await.map_err(of_world)
    }

    /// What each post asked, by the journal of the hub, which has been stopped.
    pub(super) async fn asked(&self, session: &Session) -> Result<BTreeMap<Station, Asked>, Fail> {
        let data = self.world.dir().join("hub/data");
        let (disk, blocking) = (session.seams.disk.clone(), session.seams.blocking.clone());
        let tallies = i247_hub::tally_searches(disk, blocking, &data).await.map_err(|error| {
            Fail::because("the journal of searches", &error, "run it again; with --dir it stays")
        })?;
        let mut asked = BTreeMap::new();
        for (asker, tally) in tallies {
            if let Identity::Post(country, post) = asker {
                let i247_hub::SearchTally { keys, refused, matches, possible, signed_for, .. } = tally;
                let tally = Asked { keys, refused, matches, possible, signed_for };
                asked.insert(Station { country, post }, tally);
            }
        }
        Ok(asked)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn of_world(error: WorldError) -> Fail {
    Fail::because("the network of the scenario", &error, "run it again; with --dir the logs stay")
}
