//! Offline copies in a directory: fetched while there is a network, asked while there is none. What was asked goes into a
//! list, and from there to the hub's journal when there is a network again.
//!
//! ```text
//!   hub ──sync──► DIR/sltd, DIR/tdawn …  ──check──► nothing recorded │ possible, always with "as of"
//!    ▲                                        └───► DIR/searches/asked
//!    └──────────────hand_in─────────────────────────────┘
//! ```
//!
//! It must not answer from a copy that was changed by one bit, that is older than one that was here before, or that is a
//! week old; nor before the search is written down.

mod check;
mod sync;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, outcome};
use i247_model::{CountryCode, Refusal};
use i247_node::{Clock, Dice, Seams};
use i247_records::Database;
use i247_records::offline::{
    Copies as OfflineCopies, Holder, HolderError, ListError, Marks, Network, OfflineError, Seal,
};
use i247_trust::{AtRestKey, Root, copy_network, copy_signed};

use crate::ClientError;

pub use check::{Found, OfflineAnswers};
pub use sync::{Progress, Synced};

/// The directory of the list, in that of the copies.
const SEARCHES: &str = "searches";

/// Why a copy cannot be fetched or asked.
#[derive(Debug, thiserror::Error)]
pub enum MindError {
    /// The hub refuses, or cannot be reached. What has come is kept.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The files cannot be used.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The copy does not answer.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The search cannot be written down.
    #[error(transparent)]
    List(#[from] ListError),
    /// It is no question.
    #[error(transparent)]
    Question(#[from] Refusal),
    /// The work was given up by a runtime that shuts down.
    #[error("the work was given up")]
    GivenUp,
}

/// Where the marks of the newest copies lie that were in a directory: somewhere else, so that an older copy of the
/// directory does not bring older marks with it.
#[derive(Clone, Debug)]
pub struct MarksFile {
    /// Its directory.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
}

/// The copies in a directory, for a country. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mind {
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    holder: Holder,
    searches: PathBuf,
    marks: MarksFile,
    root: Root,
    country: CountryCode,
    sealed: Arc<Sealed>,
}

/// What was asked lies on the disk under the key of whoever asked.
#[derive(Debug)]
struct Sealed {
    key: AtRestKey,
    dice: Arc<dyn Dice>,
}

impl Seal for Sealed {
    fn seal(&self, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        self.dice.fill(&mut nonce);
        self.key.seal(nonce, place, plain)
    }

    fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.key.open(place, sealed)
    }
}

impl Mind {
    /// The copies in `dir`, which need not be there yet. They count when a hub of the network of `root` has signed them;
    /// what is asked of them lies there under `key` until it is handed in.
    pub fn new(
        seams: &Seams,
        dir: &Path,
        marks: MarksFile,
        (root, country): (Root, CountryCode),
        key: AtRestKey,
    ) -> Self {
        Self {
            clock: seams.clock.clone(),
            dice: seams.dice.clone(),
            disk: seams.disk.clone(),
            blocking: seams.blocking.clone(),
            holder: Holder::new(seams.disk.clone(), dir),
            searches: dir.join(SEARCHES),
            marks,
            root,
            country,
            sealed: Arc::new(Sealed { key, dice: seams.dice.clone() }),
        }
    }

    /// The copies of these databases, checked; of all that are here when none is named.
    ///
    /// # Errors
    /// [`MindError::Holder`] for the first that is absent or refused.
    pub async fn open(&self, databases: &[Database]) -> Result<OfflineCopies, MindError> {
        let (own, databases) = (self.clone(), databases.to_vec());
        self.blocking(move || {
            let databases = if databases.is_empty() { own.holder.databases()? } else { databases };
            let mut marks = own.load_marks()?;
            let before = marks.clone();
            let mut copies = OfflineCopies::default();
            for database in databases {
                let copy = own.with_network(|network| own.holder.open(database, network, &mut marks))?;
                copies.put(database, copy);
            }
            if marks != before {
                own.save_marks(&marks)?;
            }
            Ok(copies)
        })
        .await
    }

    /// The databases of which there is a copy.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn databases(&self) -> Result<Vec<Database>, MindError> {
        let holder = self.holder.clone();
        self.blocking(move || Ok(holder.databases()?)).await
    }

    fn with_network<T>(&self, act: impl FnOnce(&Network<'_>) -> T) -> T {
        let now = self.clock.now();
        let verify = |statement: &[u8], signature: &[u8]| copy_signed(&self.root, now, statement, signature);
        act(&Network { network: copy_network(&self.root), country: self.country, verify: &verify })
    }

    fn load_marks(&self) -> Result<Marks, HolderError> {
        Marks::load(&*self.disk, &self.marks.dir.join(&self.marks.name))
    }

    fn save_marks(&self, marks: &Marks) -> Result<(), HolderError> {
        marks.save(&*self.disk, &self.marks.dir, &self.marks.name)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, MindError> + Send + 'static,
    ) -> Result<T, MindError> {
        outcome(&*self.blocking, job).await.ok_or(MindError::GivenUp)?
    }
}
