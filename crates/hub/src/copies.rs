//! Offline copies: for each database a base of what nobody is kept from, and for each country that asks a supplement of
//! what it sees besides. It must not give anybody what it may not ask on line, nor a post what it is not granted to hold.
//!
//! ```text
//!   databases ──frozen, when somebody asks and the last one is old──► base, supplements ──► files ──pieces──► bureau, post
//! ```
//!
//! Base and supplements of a publication are of one moment. A part keeps its newest two snapshots and the deltas that
//! led to it, so that whoever has a version comes from there to the newest, and whoever was cut off goes on where it was.

mod chain;
mod files;
mod hand_in;
pub(crate) mod holders;
mod publication;
mod stream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use i247_ledger::Blocking;
use i247_ledger::disk::{self, Disk};
use i247_model::{Hash, Identity, Reason, Refusal, Verb};
use i247_node::{Clock, Peer, Seams};
use i247_records::Database;
use i247_records::database::KeyKind;
use i247_trust::Credentials;
use i247_wire::pb::copy_service_server::CopyService;
use i247_wire::{pb, status};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::core::Core;
use crate::databases::Databases;
use crate::search::Asker;
use holders::Holders;
use publication::Published;

/// The directory of the copies, in that of the hub's data.
const DIR: &str = "copies";

/// Copies that one asker may fetch at once.
const AT_ONCE: usize = 2;

/// When those who fetch too much at once should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The largest call that hands searches in.
pub(crate) const HAND_IN_BYTES_MAX: usize = 256 * 1024;

/// The copies that a hub publishes.
pub(crate) struct Copies {
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    clock: Arc<dyn Clock>,
    databases: Arc<Databases>,
    own: watch::Receiver<Arc<Credentials>>,
    dir: PathBuf,
    /// A publication is given out for so long.
    every: Duration,
    log_id: Hash,
    /// One for each database; whoever publishes it holds it.
    shelves: BTreeMap<Database, tokio::sync::Mutex<Option<Published>>>,
    under_way: DashMap<Identity, usize>,
    pub(crate) holders: Holders,
}

impl Copies {
    pub(crate) fn new(
        seams: &Seams,
        config: &Config,
        own: watch::Receiver<Arc<Credentials>>,
        databases: Arc<Databases>,
        log_id: &[u8],
    ) -> Arc<Self> {
        let copied = || Database::ALL.iter().copied().filter(|database| is_copied(*database));
        let (dir, log_id) = (config.data.join(DIR), i247_trust::sha256(&[log_id]));
        // Versions of another log say nothing of this one.
        let of_this_log = |database: &Database| {
            let of_log =
                disk::read_whole(&*seams.disk, &dir.join(database.as_str()).join(publication::LOG), 32);
            of_log.is_ok_and(|log| log == log_id.as_bytes())
        };
        let kept: Vec<Database> = copied().filter(of_this_log).collect();
        Arc::new(Self {
            holders: Holders::open(seams.disk.clone(), seams.blocking.clone(), dir.clone(), kept.into_iter()),
            disk: seams.disk.clone(),
            blocking: seams.blocking.clone(),
            clock: seams.clock.clone(),
            databases,
            own,
            dir,
            every: config.copy_every.0,
            log_id,
            shelves: copied().map(|database| (database, tokio::sync::Mutex::new(None))).collect(),
            under_way: DashMap::new(),
        })
    }

    /// Takes a place for a fetch of this asker.
    ///
    /// # Errors
    /// `BUSY` when it has as many as it may.
    fn enter(self: &Arc<Self>, asker: &Identity) -> Result<Place, Refusal> {
        let mut open = self.under_way.entry(asker.clone()).or_default();
        if *open >= AT_ONCE {
            return Err(Refusal::of(Reason::Busy, "copies").retry_after(COME_AGAIN));
        }
        *open += 1;
        Ok(Place { copies: self.clone(), asker: asker.clone() })
    }
}

/// A fetch that is under way; its place is free again when it is dropped.
pub(crate) struct Place {
    copies: Arc<Copies>,
    asker: Identity,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut open) = self.copies.under_way.get_mut(&self.asker) {
            *open = open.saturating_sub(1);
        }
        self.copies.under_way.remove_if(&self.asker, |_, open| *open == 0);
    }
}

/// Whether there are copies of a database: it is asked by exact keys, and not by its specialists alone.
fn is_copied(database: Database) -> bool {
    let asked =
        |kind: &KeyKind| kind.is_exact() && !matches!(kind, KeyKind::Reference | KeyKind::DocumentModel);
    !matches!(database, Database::Nominal | Database::Icse) && database.keys().iter().any(asked)
}

/// The service.
pub(crate) struct CopyDesk(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl CopyService for CopyDesk {
    type FetchCopyStream = ReceiverStream<Result<pb::FetchCopyResponse, Status>>;

    async fn fetch_copy(
        &self,
        request: Request<pb::FetchCopyRequest>,
    ) -> Result<Response<Self::FetchCopyStream>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity);
        let asker = asker.and_then(|asker| holder(asker, &request.get_ref().post));
        let asker = asker.map_err(|refusal| status(&refusal))?;
        let begun = self.0.begin_copy(&asker, request.get_ref()).await;
        let (files, place) = begun.map_err(|refusal| status(&self.0.count(&asker.identity, refusal)))?;
        let (pieces, stream) = mpsc::channel(stream::PIECES_AHEAD);
        self.0.streams.spawn(stream::send(self.0.clone(), asker, files, place, pieces));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn hand_in_searches(
        &self,
        request: Request<pb::HandInSearchesRequest>,
    ) -> Result<Response<pb::HandInSearchesResponse>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity);
        let asker = asker.and_then(|asker| holder(asker, &request.get_ref().post));
        let asker = asker.map_err(|refusal| status(&refusal))?;
        let taken = hand_in::hand_in(&self.0, &asker, request.get_ref()).await;
        let taken = taken.map_err(|refusal| status(&self.0.count(&asker.identity, refusal)))?;
        Ok(Response::new(pb::HandInSearchesResponse { taken }))
    }
}

impl Core {
    /// Whether somebody may have a copy of a database at this moment: a bureau, and a post that is granted it. Whether with
    /// the supplement of its country.
    ///
    /// # Errors
    /// `NOT_GRANTED`, `SUSPENDED`, `REVOKED`.
    pub(crate) fn may_copy(&self, asker: &Asker, database: Database) -> Result<bool, Refusal> {
        let allowance = self.grants.allows(&asker.identity, &[database], self.clock.now())?;
        if allowance.verb == Verb::CheckOnly {
            let next_step = "ask on line: who may only check has no copy".into();
            return Err(Refusal { next_step, ..Refusal::of(Reason::NotGranted, "grant.verb") });
        }
        if allowance.offline.is_some_and(|offline| !offline.contains(&database.number())) {
            let next_step = format!("ask your bureau for leave to hold a copy of {database}: --offline");
            return Err(Refusal { next_step, ..Refusal::of(Reason::NotGranted, "grant.offline") });
        }
        Ok(allowance.supplement)
    }
}

/// For whom a caller asks: for itself, or, as a bureau, for one of its posts.
///
/// # Errors
/// `WRONG_FIELD` for a post that names one, `MALFORMED`.
fn holder(asker: Asker, post: &str) -> Result<Asker, Refusal> {
    if post.is_empty() {
        return Ok(asker);
    }
    let Identity::Bureau(country) = asker.identity else {
        return Err(Refusal::of(Reason::WrongField, "post"));
    };
    let post = i247_wire::parsed(post, "post")?;
    Ok(Asker { identity: Identity::Post(country, post), ..asker })
}
