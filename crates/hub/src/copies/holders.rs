//! Who has which version of a copy, as far as this hub has sent it whole: what became of it there is not known here. It
//! must not keep anybody from a copy.
//!
//! ```text
//!   copies/sltd/holders    one record each, behind each other; written anew when somebody has fetched
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use i247_ledger::disk::{self, Disk};
use i247_ledger::{Blocking, outcome};
use i247_model::{Identity, Party, Timestamp};
use i247_records::Database;
use i247_wire::pb;
use prost::Message as _;

use crate::grants;

/// The file of a database.
const FILE: &str = "holders";

/// The largest that is read, in bytes: far more than every member and its posts need.
const MAX_BYTES: u64 = 16 << 20;

/// What somebody has of a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    /// Of the base, and of the supplement.
    pub(crate) versions: [u64; 2],
    /// When the network was so.
    pub(crate) as_of: Timestamp,
    /// When it was sent whole.
    pub(crate) fetched_at: Timestamp,
}

type Shelf = BTreeMap<Identity, Held>;

/// Who has what.
pub(crate) struct Holders {
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: PathBuf,
    held: Mutex<BTreeMap<Database, Shelf>>,
    /// Whoever writes holds it, so that the newest is written last.
    writing: tokio::sync::Mutex<()>,
}

impl Holders {
    /// Reads what was kept of these databases, in the directory of the copies; what cannot be read is not known. It
    /// blocks.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        blocking: Arc<dyn Blocking>,
        dir: PathBuf,
        kept: impl Iterator<Item = Database>,
    ) -> Self {
        let mut held = BTreeMap::new();
        for database in kept {
            match read(&*disk, &dir.join(database.as_str()).join(FILE)) {
                Ok(shelf) => drop(held.insert(database, shelf)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, %database, "who holds which copy cannot be read"),
            }
        }
        Self { disk, blocking, dir, held: Mutex::new(held), writing: tokio::sync::Mutex::default() }
    }

    /// Somebody was sent a copy whole.
    ///
    /// # Cancel safety
    /// It is known in any case; it is kept when this has ended.
    pub(super) async fn fetched(&self, database: Database, holder: Identity, held: Held) {
        self.held().entry(database).or_default().insert(holder, held);
        let _turn = self.writing.lock().await;
        let bytes = encode(database, self.held().get(&database));
        let (disk, dir) = (self.disk.clone(), self.dir.join(database.as_str()));
        let written = outcome(&*self.blocking, move || disk::replace_whole(&*disk, &dir, FILE, &bytes)).await;
        if let Some(Err(error)) = written {
            tracing::warn!(%error, %database, "who holds which copy is not kept over a restart");
        }
    }

    /// Everybody's, of all databases.
    pub(crate) fn all(&self) -> Vec<(Database, Identity, Held)> {
        let held = self.held();
        let of = |(database, shelf): (&Database, &Shelf)| {
            let each = |(holder, held): (&Identity, &Held)| (*database, holder.clone(), *held);
            shelf.iter().map(each).collect::<Vec<_>>()
        };
        held.iter().flat_map(of).collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Database, Shelf>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose copies a holder's count among: its country's.
pub(crate) fn party_of(holder: &Identity) -> Option<Party> {
    grants::country(holder).map(Party::Bureau)
}

pub(crate) fn wire(database: Database, holder: &Identity, held: &Held) -> pb::CopyHolder {
    pb::CopyHolder {
        holder: holder.to_string(),
        party: party_of(holder).map(|party| party.to_string()).unwrap_or_default(),
        database: database.number().into(),
        base_version: held.versions[0],
        supplement_version: held.versions[1],
        as_of_ms: held.as_of.as_millis(),
        fetched_at_ms: held.fetched_at.as_millis(),
    }
}

fn encode(database: Database, shelf: Option<&Shelf>) -> Vec<u8> {
    let each = shelf.into_iter().flatten();
    each.flat_map(|(holder, held)| wire(database, holder, held).encode_length_delimited_to_vec()).collect()
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Shelf> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let bytes = disk::read_whole(disk, path, MAX_BYTES)?;
    let (mut left, mut shelf) = (&bytes[..], Shelf::new());
    while !left.is_empty() {
        let one = pb::CopyHolder::decode_length_delimited(&mut left).map_err(|_| damaged())?;
        let holder: Identity = one.holder.parse().map_err(|_| damaged())?;
        let held = Held {
            versions: [one.base_version, one.supplement_version],
            as_of: Timestamp::from_millis(one.as_of_ms),
            fetched_at: Timestamp::from_millis(one.fetched_at_ms),
        };
        shelf.insert(holder, held);
    }
    Ok(shelf)
}

#[cfg(test)]
mod tests {
    use i247_ledger::Inline;
    use i247_ledger::faults::BreakableDisk;

    use super::*;

    fn held(version: u64) -> Held {
        let at = Timestamp::from_millis(version * 1000);
        Held { versions: [version, version + 1], as_of: at, fetched_at: at }
    }

    fn open(disk: &BreakableDisk) -> Holders {
        let databases = [Database::Sltd, Database::Vehicles].into_iter();
        Holders::open(Arc::new(disk.clone()), Arc::new(Inline), "copies".into(), databases)
    }

    #[tokio::test]
    async fn who_has_what_is_known_after_a_restart_and_the_newest_counts() {
        let disk = BreakableDisk::new(5);
        let holders = open(&disk);
        assert!(holders.all().is_empty());
        let who = |text: &str| text.parse::<Identity>().unwrap();
        let (france, cdg) = (who("spiffe://i247.test/ncb/fr"), who("spiffe://i247.test/ncb/fr/post/cdg"));
        holders.fetched(Database::Vehicles, france.clone(), held(7)).await;
        holders.fetched(Database::Sltd, france.clone(), held(10)).await;
        holders.fetched(Database::Sltd, cdg.clone(), held(11)).await;
        holders.fetched(Database::Sltd, france.clone(), held(12)).await;
        let expected = vec![
            (Database::Sltd, france.clone(), held(12)),
            (Database::Sltd, cdg.clone(), held(11)),
            (Database::Vehicles, france, held(7)),
        ];
        assert_eq!(holders.all(), expected);
        assert_eq!(open(&disk.power_off()).all(), expected);
        assert_eq!(party_of(&cdg).unwrap().to_string(), "FR");
    }

    #[tokio::test]
    async fn a_damaged_file_says_nothing_and_is_written_anew() {
        let disk = BreakableDisk::new(6);
        disk.put(Path::new("copies/sltd/holders"), &[9, 1, 2]);
        let holders = open(&disk);
        assert!(holders.all().is_empty());
        let france: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        holders.fetched(Database::Sltd, france, held(3)).await;
        assert_eq!(open(&disk).all().len(), 1);
    }
}
