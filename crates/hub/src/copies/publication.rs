//! A publication: base and supplements of one moment. It must not give out two of different moments together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::disk;
use i247_ledger::outcome;
use i247_model::{CountryCode, Reason, Refusal, Timestamp};
use i247_records::Database;
use i247_records::offline::{About, Scope};

use super::Copies;
use super::chain::{Chain, File, PublishError, network};
use crate::databases::{Frozen, RestrictedKey};

/// When those who ask while nothing can be published should come again.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// Says of which log the files of a database are.
pub(super) const LOG: &str = "log";

/// The network at a moment.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) as_of: Timestamp,
    /// The end of the log.
    pub(super) end: u64,
    /// The last entry from which records follow.
    pub(super) fed_at: u64,
}

/// What was published last of a database.
#[derive(Clone)]
pub(crate) struct Published {
    as_of: Timestamp,
    /// By the clock that does not go back.
    at: Duration,
    through: u64,
    base: u64,
    /// What supplements are made of.
    restricted: Arc<Vec<RestrictedKey>>,
    supplements: BTreeMap<CountryCode, u64>,
}

/// The newest version of each part, and the files of both.
pub(super) struct Newest {
    pub(super) as_of: Timestamp,
    pub(super) versions: [u64; 2],
    pub(super) files: [Vec<File>; 2],
}

impl Copies {
    /// The newest copy for a country, published now if the last publication is old.
    ///
    /// # Errors
    /// `WRONG_FIELD` for a database without copies, `BEHIND`, `READ_ONLY`.
    ///
    /// # Cancel safety
    /// None: whoever begins it waits for its end, so that nobody else publishes meanwhile.
    pub(super) async fn newest(
        self: &Arc<Self>,
        database: Database,
        country: CountryCode,
        moment: Moment,
    ) -> Result<Newest, Refusal> {
        let no_copies = || Refusal {
            next_step: format!("ask {database} on line: there are no copies of it"),
            ..Refusal::of(Reason::WrongField, "database")
        };
        let mut shelf = self.shelves.get(&database).ok_or_else(no_copies)?.lock().await;
        let now = self.clock.monotonic();
        let fresh = shelf.take().filter(|last| now.saturating_sub(last.at) < self.every);
        let mut published = match fresh {
            Some(published) => published,
            None => self.publish(database, moment, now).await?,
        };
        let supplement = match published.supplements.get(&country) {
            Some(version) => *version,
            None => {
                let version = self.publish_supplement(database, country, &published).await?;
                published.supplements.insert(country, version);
                version
            }
        };
        let (as_of, versions) = (published.as_of, [published.base, supplement]);
        *shelf = Some(published);
        let copies = self.clone();
        let files = self.blocking(move || {
            let of = |scope| copies.chain(database, scope).files();
            Ok([of(Scope::Base)?, of(Scope::Supplement(country))?])
        });
        Ok(Newest { as_of, versions, files: files.await? })
    }

    async fn publish(
        self: &Arc<Self>,
        database: Database,
        Moment { as_of, end, fed_at }: Moment,
        at: Duration,
    ) -> Result<Published, Refusal> {
        let frozen = self.databases.frozen(database, fed_at).await;
        let copies = self.clone();
        self.blocking(move || {
            copies.begin_anew_with_another_log(database)?;
            let (through, restricted) = (frozen.position().max(end), Arc::new(frozen.restricted()));
            let base = copies.chain(database, Scope::Base).publish(as_of, through, &frozen.base()?)?;
            tracing::info!(%database, version = base, through, "offline copy published");
            Ok(Published { as_of, at, through, base, restricted, supplements: BTreeMap::new() })
        })
        .await
    }

    async fn publish_supplement(
        self: &Arc<Self>,
        database: Database,
        country: CountryCode,
        published: &Published,
    ) -> Result<u64, Refusal> {
        let (copies, published) = (self.clone(), published.clone());
        self.blocking(move || {
            let keys = Frozen::supplement(&published.restricted, country)?;
            let chain = copies.chain(database, Scope::Supplement(country));
            chain.publish(published.as_of, published.through, &keys)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = outcome(&*self.blocking, job).await;
        let refused = |next_step: &str| {
            let next_step = next_step.into();
            let refusal = Refusal { next_step, ..Refusal::of(Reason::ReadOnly, "copies") };
            refusal.retry_after(COME_AGAIN)
        };
        done.ok_or_else(|| refused("ask again"))?.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "no offline copy is published");
            refused("copies cannot be written at the moment: ask again, and tell whoever runs the hub")
        })
    }

    /// Files of another log say nothing of this one: chains begin anew then.
    fn begin_anew_with_another_log(&self, database: Database) -> Result<(), PublishError> {
        let dir = self.dir.join(database.as_str());
        self.disk.create_dir(&dir)?;
        let of_log = disk::read_whole(&*self.disk, &dir.join(LOG), 32);
        if of_log.is_ok_and(|log| log == self.log_id.as_bytes()) {
            return Ok(());
        }
        for name in self.disk.list(&dir)? {
            disk::remove_if_there(&*self.disk, &dir.join(name))?;
        }
        Ok(disk::replace_whole(&*self.disk, &dir, LOG, self.log_id.as_bytes())?)
    }

    fn chain(&self, database: Database, scope: Scope) -> Chain {
        let own = self.own.borrow().clone();
        let about = About { network: network(&own), scope, databases: vec![database.to_string()] };
        Chain { disk: self.disk.clone(), dir: self.dir.join(database.as_str()), about, own }
    }
}
