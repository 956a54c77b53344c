//! The shelves as a snapshot keeps them, and their digest. It must not keep what a record says.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{CountryCode, Hash, Party};
use i247_records::index::{Index, Locator};
use i247_records::register::{Register, StoredRegister};
use i247_records::{Database, Date};
use serde::{Deserialize, Serialize};

use super::Verdicts;
use super::circulars::{Circular, Subject};
use super::shelves::{Restricted, Shelves};
use super::unpublished::Unpublished;

/// The shelves as a snapshot keeps them: places, days and verdicts, and nothing that a record says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    position: u64,
    entry: Hash,
    today: Option<u32>,
    registers: Vec<StoredRegister>,
    restricted: Vec<(u64, Restricted)>,
    unpublished: Vec<(u64, Unpublished)>,
    verdicts: BTreeMap<u64, Verdicts>,
    circulars: BTreeMap<Subject, Circular>,
    barred: BTreeMap<Party, BTreeSet<CountryCode>>,
    begins: Vec<(u64, u8, Party)>,
}

impl Kept {
    /// What a snapshot of this version holds.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// The hash of the last entry that was taken in.
    pub(crate) fn entry(&self) -> Hash {
        self.entry
    }
}

impl Shelves {
    /// Those of a snapshot, over the index up to it; none when something else has written it.
    pub(crate) fn of(kept: Kept, index: Index) -> Option<Self> {
        let Kept { position, entry, today, registers, restricted, unpublished, .. } = kept;
        let Kept { verdicts, circulars, barred, begins, .. } = kept;
        let mut shelves = Self::new(index);
        (shelves.position, shelves.entry, shelves.verdicts) = (position, entry, verdicts);
        (shelves.circulars, shelves.barred) = (circulars, barred);
        if let Some(today) = today {
            shelves.today = Some(Date::from_number(today)?);
        }
        for stored in registers {
            let register = Register::of_stored(stored)?;
            shelves.registers.insert(register.database(), register);
        }
        for (at, restricted) in restricted {
            shelves.restricted.insert(Locator::of_number(at)?, restricted);
        }
        for (at, one) in unpublished {
            shelves.unpublished.insert(Locator::of_number(at)?, one);
        }
        for (at, database, owner) in begins {
            shelves.begins.insert(Locator::of_number(at)?, (Database::from_number(database)?, owner));
        }
        Some(shelves)
    }

    /// What a snapshot keeps of them.
    ///
    /// # Errors
    /// Never for shelves that fit into memory; the type of the encoder says otherwise.
    pub(crate) fn to_snapshot(&self) -> Result<Vec<u8>, postcard::Error> {
        let restricted = self.restricted.iter().map(|(at, restricted)| (at.number(), restricted.clone()));
        let unpublished = self.unpublished.iter().map(|(at, one)| (at.number(), one.clone()));
        postcard::to_stdvec(&Kept {
            position: self.position,
            entry: self.entry,
            today: self.today.map(Date::number),
            registers: self.registers.values().map(Register::stored).collect(),
            restricted: restricted.collect(),
            unpublished: unpublished.collect(),
            verdicts: self.verdicts.clone(),
            circulars: self.circulars.clone(),
            barred: self.barred.clone(),
            begins: self
                .begins
                .iter()
                .map(|(at, (one, owner))| (at.number(), one.number(), *owner))
                .collect(),
        })
    }

    /// 32 bytes that are the same for equal logs.
    ///
    /// # Errors
    /// As [`to_snapshot`](Self::to_snapshot).
    pub(crate) fn digest(&self) -> Result<Hash, postcard::Error> {
        Ok(i247_trust::sha256(&[self.index.digest().as_bytes(), &self.to_snapshot()?]))
    }
}
