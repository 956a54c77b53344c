//! Editions: what is published, version by version, and what a holder makes of it. It must not take a version that does
//! not follow from the one before.

use std::collections::BTreeMap;

use i247_model::{Hash, Timestamp};

use super::keys::{KEY_BITS, KeySet, key_of};
use super::part::{self, Form, Statement, sha256};
use super::{Mark, OfflineError, Scope};
use crate::index::Fingerprint;

/// The most changes that a holder carries beside a snapshot; beyond, a new snapshot is smaller work.
pub const MAX_CHANGES: u64 = 4_000_000;
/// What a key takes in a delta, in bytes.
const KEY_BYTES: usize = KEY_BITS as usize / 8;

/// What an edition is of: this does not change from version to version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The network: a value that no other has.
    pub network: Hash,
    /// Whose keys.
    pub scope: Scope,
    /// The databases that the keys are of, by name. A key of another one cannot be asked for.
    pub databases: Vec<String>,
}

/// One version of a copy, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    about: About,
    mark: Mark,
    as_of: Timestamp,
    through: u64,
    keys: KeySet,
}

/// The step from one version to the next.
#[derive(Clone, Debug)]
pub struct Delta {
    statement: Statement,
    body: Vec<u8>,
}

impl Edition {
    /// The first edition of a chain, at any version above those that were published before.
    ///
    /// # Panics
    /// When there are more than 255 databases, or a name has more than 255 bytes: they are part of the program.
    #[must_use]
    pub fn first(about: About, version: u64, as_of: Timestamp, through: u64, keys: KeySet) -> Self {
        let fits = about.databases.len() < 256 && about.databases.iter().all(|name| name.len() < 256);
        assert!(fits, "the names of the databases fit into a statement");
        // A chain that is begun anew is another one, even at the same version.
        let chain = sha256(&[b"i247 offline chain", &version.to_le_bytes(), &sha256(&[&keys.encode()]).0]);
        Self { about, mark: Mark { version, chain }, as_of, through, keys }
    }

    /// The next version, and the delta that leads to it.
    ///
    /// # Errors
    /// [`OfflineError::TooManyChanges`]: begin a new chain with [`first`](Self::first).
    pub fn next(&self, as_of: Timestamp, through: u64, keys: KeySet) -> Result<(Self, Delta), OfflineError> {
        let (added, removed) = differences(&self.keys, &keys)?;
        let version = self.mark.version + 1;
        // A clock that was set back does not make a newer version an older one.
        let as_of = as_of.max(self.as_of);
        let body: Vec<u8> = added
            .iter()
            .chain(&removed)
            .flat_map(|key| key.to_le_bytes().into_iter().take(KEY_BYTES))
            .collect();
        let body_hash = sha256(&[&body]);
        let chain = next_chain(&self.mark.chain, version, as_of, &body_hash);
        let edition = Self { about: self.about.clone(), mark: Mark { version, chain }, as_of, through, keys };
        let (added, removed) = (added.len() as u64, removed.len() as u64);
        let before = self.mark.chain;
        let statement =
            Statement { form: Form::Delta, added, removed, before, ..edition.statement(body_hash) };
        Ok((edition, Delta { statement, body }))
    }

    /// The snapshot of this version as a file; `sign` signs the statement in it.
    pub fn snapshot(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let body = self.keys.encode();
        part::write(&self.statement(sha256(&[&body])), &body, sign)
    }

    /// Reads a snapshot; `verify` says whether a signature over a statement is good.
    ///
    /// # Errors
    /// When it is damaged, cut off, not signed as it should be, or no snapshot.
    pub fn read(file: &[u8], verify: impl FnOnce(&[u8], &[u8]) -> bool) -> Result<Self, OfflineError> {
        let (statement, body) = part::read(file, verify)?;
        let none = (statement.added, statement.removed, statement.before) == (0, 0, Hash([0; 32]));
        if statement.form != Form::Snapshot || !none {
            return Err(OfflineError::Contents);
        }
        let keys = KeySet::decode(body, statement.keys).ok_or(OfflineError::Contents)?;
        let Statement { network, scope, databases, version, chain, as_of, through, .. } = statement;
        let about = About { network, scope, databases };
        Ok(Self { about, mark: Mark { version, chain }, as_of, through, keys })
    }

    /// What it is of.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its version, and the chain up to it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys.len()
    }

    fn statement(&self, body: Hash) -> Statement {
        Statement {
            network: self.about.network,
            scope: self.about.scope,
            form: Form::Snapshot,
            version: self.mark.version,
            as_of: self.as_of,
            through: self.through,
            keys: self.keys.len(),
            added: 0,
            removed: 0,
            before: Hash([0; 32]),
            chain: self.mark.chain,
            body,
            databases: self.about.databases.clone(),
        }
    }
}

impl Delta {
    /// The delta as a file; `sign` signs the statement in it.
    pub fn signed(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        part::write(&self.statement, &self.body, sign)
    }

    /// How many keys come and go.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.statement.added + self.statement.removed
    }
}

/// What comes and what goes, sorted.
fn differences(old: &KeySet, new: &KeySet) -> Result<(Vec<u64>, Vec<u64>), OfflineError> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.keys().peekable(), new.keys().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return Ok((added, removed)),
            (Some(a), Some(b)) if a == b => {
                old.next();
                new.next();
                continue;
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => removed.extend(old.next()),
            _ => added.extend(new.next()),
        }
        let changes = (added.len() + removed.len()) as u64;
        if changes > MAX_CHANGES {
            return Err(OfflineError::TooManyChanges(changes));
        }
    }
}

fn next_chain(before: &Hash, version: u64, as_of: Timestamp, body: &Hash) -> Hash {
    let as_of = as_of.as_millis().to_le_bytes();
    sha256(&[b"i247 offline chain", &before.0, &version.to_le_bytes(), &as_of, &body.0])
}

/// What a holder has: a snapshot and the deltas behind it.
#[derive(Clone, Debug)]
pub struct Holding {
    /// As of the newest delta, but with the keys of the snapshot.
    edition: Edition,
    /// What the deltas changed: whether the key is there.
    changed: BTreeMap<u64, bool>,
    /// How many keys there are now.
    keys: u64,
}

impl Holding {
    /// Reads a snapshot and the deltas that follow it, oldest first. `known` is the mark of what this holder had before,
    /// kept where an older copy of these files does not bring an older mark with it.
    ///
    /// # Errors
    /// [`OfflineError::RolledBack`] and [`OfflineError::Forked`] against `known`; else as [`Edition::read`] and
    /// [`apply`](Self::apply).
    pub fn open<'a>(
        snapshot: &[u8],
        deltas: impl IntoIterator<Item = &'a [u8]>,
        known: Option<Mark>,
        verify: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Self, OfflineError> {
        let edition = Edition::read(snapshot, &verify)?;
        let mut holding = Self { keys: edition.keys(), edition, changed: BTreeMap::new() };
        holding.agrees_with(known)?;
        for delta in deltas {
            holding.apply(delta, &verify)?;
            holding.agrees_with(known)?;
        }
        match known {
            Some(known) if holding.mark().version < known.version => {
                Err(OfflineError::RolledBack { known: known.version, offered: holding.mark().version })
            }
            _ => Ok(holding),
        }
    }

    /// Takes the next delta, whole or not at all. Store it and the new [`mark`](Self::mark) behind it.
    ///
    /// # Errors
    /// When it is damaged, cut off, not signed as it should be, of another copy, or does not follow.
    pub fn apply(
        &mut self,
        file: &[u8],
        verify: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<(), OfflineError> {
        let (statement, body) = part::read(file, verify)?;
        self.follows(&statement)?;
        let changes = statement.added.saturating_add(statement.removed);
        if changes.saturating_add(self.changed.len() as u64) > MAX_CHANGES {
            return Err(OfflineError::TooManyChanges(changes));
        }
        let inconsistent = OfflineError::Inconsistent { version: statement.version };
        let (keys, rest) = body.as_chunks::<KEY_BYTES>();
        let keys_after = (self.keys + statement.added).checked_sub(statement.removed);
        if !rest.is_empty() || keys.len() as u64 != changes || keys_after != Some(statement.keys) {
            return Err(inconsistent);
        }
        let keys: Vec<u64> =
            keys.iter().map(|&[a, b, c, d, e, f, g]| u64::from_le_bytes([a, b, c, d, e, f, g, 0])).collect();
        let (added, removed) = keys.split_at(statement.added as usize);
        let sorted = added.is_sorted_by(|a, b| a < b) && removed.is_sorted_by(|a, b| a < b);
        let fitting = added.iter().all(|&key| !self.has(key)) && removed.iter().all(|&key| self.has(key));
        if !sorted || !fitting {
            return Err(inconsistent);
        }
        self.changed.extend(added.iter().map(|&key| (key, true)));
        self.changed.extend(removed.iter().map(|&key| (key, false)));
        self.keys = statement.keys;
        self.edition.mark = Mark { version: statement.version, chain: statement.chain };
        self.edition.as_of = statement.as_of;
        self.edition.through = statement.through;
        Ok(())
    }

    /// Whether the delta is of this copy, and of the next version in its chain.
    fn follows(&self, statement: &Statement) -> Result<(), OfflineError> {
        let Edition { about, mark, as_of, .. } = &self.edition;
        if statement.network != about.network {
            return Err(OfflineError::Network);
        }
        if statement.scope != about.scope {
            return Err(OfflineError::Scope { expected: about.scope, found: statement.scope });
        }
        if statement.form != Form::Delta || statement.databases != about.databases {
            return Err(OfflineError::Contents);
        }
        let offered = statement.version;
        if offered <= mark.version {
            return Err(OfflineError::RolledBack { known: mark.version, offered });
        }
        if offered > mark.version + 1 {
            return Err(OfflineError::Gap { have: mark.version, offered });
        }
        if statement.before != mark.chain {
            return Err(OfflineError::Forked { version: mark.version });
        }
        let chain = next_chain(&mark.chain, offered, statement.as_of, &statement.body);
        if chain != statement.chain || statement.as_of < *as_of {
            return Err(OfflineError::Inconsistent { version: offered });
        }
        Ok(())
    }

    fn agrees_with(&self, known: Option<Mark>) -> Result<(), OfflineError> {
        let mark = self.mark();
        match known {
            Some(known) if known.version == mark.version && known.chain != mark.chain => {
                Err(OfflineError::Forked { version: mark.version })
            }
            _ => Ok(()),
        }
    }

    /// Whether the key is there, or one that shares its first 56 bits.
    #[must_use]
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.has(key_of(fingerprint))
    }

    /// What it is of.
    #[must_use]
    pub fn about(&self) -> &About {
        self.edition.about()
    }

    /// Its version and the chain up to it: to be kept, and handed to [`open`](Self::open) the next time.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.edition.mark
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// When the network was as it says.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.edition.as_of
    }

    /// The last position of the log that is in it.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.edition.through
    }

    fn has(&self, key: u64) -> bool {
        self.changed.get(&key).copied().unwrap_or_else(|| self.edition.keys.has(key))
    }
}
