//! The key spaces of all databases: a hub that fills an index and a post that asks a copy of it name keys alike.

use std::collections::BTreeMap;

use super::{Fingerprint, KeySpace};
use crate::database::{Database, KeyKind};
use crate::record::Key;

/// How keys become fingerprints.
#[derive(Clone, Debug)]
pub struct KeySpaces(BTreeMap<(Database, KeyKind), KeySpace>);

impl Default for KeySpaces {
    fn default() -> Self {
        let kinds = |database: &Database| {
            let database = *database;
            database.keys().iter().map(move |kind| (database, *kind))
        };
        let space = |(database, kind): (Database, KeyKind)| {
            ((database, kind), KeySpace::new(database.as_str(), kind.as_str()))
        };
        Self(Database::ALL.iter().flat_map(kinds).map(space).collect())
    }
}

impl KeySpaces {
    /// What stands for a key.
    #[must_use]
    pub fn fingerprint(&self, key: &Key) -> Fingerprint {
        self.of(key.database(), key.kind(), key.as_bytes())
    }

    /// What stands for these bytes among the keys of a kind. A kind that the database does not have leads nowhere.
    #[must_use]
    pub fn of(&self, database: Database, kind: KeyKind, bytes: &[u8]) -> Fingerprint {
        self.0.get(&(database, kind)).map_or(Fingerprint(0), |space| space.fingerprint(bytes))
    }
}
