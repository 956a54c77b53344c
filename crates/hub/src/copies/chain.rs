//! One part of a copy, version by version, as files. It must not give a version another content.
//!
//! ```text
//!   copies/sltd/base-<version>.snapshot, base-<version>.delta, FR-<version>.snapshot …
//! ```
//!
//! The delta that leads to a version is written before its snapshot: a version is there when its snapshot is. A chain is
//! begun at the second of its first publication, so that one that is begun anew, because the files were lost or the hub
//! was recovered, is above every version that was ever given out.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::disk::{self, Disk};
use i247_model::{Hash, Timestamp};
use i247_records::offline::{About, Edition, KeySet, OfflineError, Scope};
use i247_trust::Credentials;
use i247_wire::{payload, pb};
use prost::Message as _;

/// The largest snapshot that is read, in bytes.
const MAX_BYTES: u64 = 32 << 30;

/// Snapshots that stay: whoever fetches the one before goes on with it.
const SNAPSHOTS_KEPT: usize = 2;

/// Deltas that stay.
const DELTAS_KEPT: usize = 1000;

/// Why a part cannot be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The disk refuses.
    #[error("the files of the copies cannot be used")]
    Io(#[from] io::Error),
    /// There is too much, or a file is damaged.
    #[error("a copy cannot be made")]
    Copy(#[from] OfflineError),
}

/// Where the files of a part lie, and who signs them.
pub(super) struct Chain {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) about: About,
    pub(super) own: Arc<Credentials>,
}

/// A file of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct File {
    pub(super) version: u64,
    pub(super) delta: bool,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl Chain {
    /// Publishes the next version. It blocks.
    ///
    /// # Errors
    /// [`PublishError`]; the version before is still there.
    pub(super) fn publish(&self, as_of: Timestamp, through: u64, keys: &KeySet) -> Result<u64, PublishError> {
        self.disk.create_dir(&self.dir)?;
        let begun_at = as_of.as_millis() / 1000;
        let first = |version| Edition::first(self.about.clone(), version, as_of, through, keys.clone());
        let sign = |statement: &[u8]| sign(&self.own, statement);
        let edition = match self.newest()? {
            None => first(begun_at),
            Some(newest) => match newest.next(as_of, through, keys.clone()) {
                Ok((edition, delta)) => {
                    let name = self.name(edition.mark().version, true);
                    disk::replace_whole(&*self.disk, &self.dir, &name, &delta.signed(sign))?;
                    edition
                }
                // Too much has changed for a step.
                Err(_) => first(begun_at.max(newest.mark().version + 1)),
            },
        };
        let version = edition.mark().version;
        let name = self.name(version, false);
        disk::replace_whole(&*self.disk, &self.dir, &name, &edition.snapshot(sign))?;
        self.prune(version)?;
        Ok(version)
    }

    /// All files of the part, by version.
    pub(super) fn files(&self) -> io::Result<Vec<File>> {
        let mut files = Vec::new();
        for name in self.disk.list(&self.dir)? {
            let Some((version, delta)) = self.read_name(&name) else { continue };
            let path = self.dir.join(&name);
            let bytes = self.disk.open_read(&path)?.len()?;
            files.push(File { version, delta, path, bytes });
        }
        files.sort_by_key(|file| (file.version, file.delta));
        Ok(files)
    }

    /// The newest version. Its signature was the hub's own business.
    fn newest(&self) -> Result<Option<Edition>, PublishError> {
        let newest = self.files()?.into_iter().filter(|file| !file.delta).max_by_key(|file| file.version);
        let Some(File { path, .. }) = newest else { return Ok(None) };
        let bytes = disk::read_whole(&*self.disk, &path, MAX_BYTES)?;
        match Edition::read(&bytes, |_, _| true) {
            Ok(edition) if *edition.about() == self.about => Ok(Some(edition)),
            // Of another network: begun anew.
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a published copy is damaged: its chain begins anew");
                Ok(None)
            }
        }
    }

    fn prune(&self, newest: u64) -> io::Result<()> {
        let files = self.files()?;
        let snapshots = files.iter().rev().filter(|file| !file.delta).skip(SNAPSHOTS_KEPT);
        let deltas = files.iter().rev().filter(|file| file.delta && file.version <= newest).skip(DELTAS_KEPT);
        for file in snapshots.chain(deltas) {
            disk::remove_if_there(&*self.disk, &file.path)?;
        }
        Ok(())
    }

    fn whose(&self) -> String {
        match self.about.scope {
            Scope::Base => "base".into(),
            Scope::Supplement(country) => country.to_string(),
        }
    }

    fn name(&self, version: u64, delta: bool) -> String {
        format!("{}-{version:020}.{}", self.whose(), if delta { "delta" } else { "snapshot" })
    }

    fn read_name(&self, name: &str) -> Option<(u64, bool)> {
        let (version, form) = name.strip_prefix(&self.whose())?.strip_prefix('-')?.split_once('.')?;
        let delta = match form {
            "delta" => true,
            "snapshot" => false,
            _ => return None,
        };
        Some((version.parse().ok()?, delta))
    }
}

/// What a network is told apart by from others: the key of its authority.
pub(super) fn network(own: &Credentials) -> Hash {
    i247_trust::copy_network(&own.root)
}

/// What stands in the place of a signature.
fn sign(own: &Credentials, statement: &[u8]) -> Vec<u8> {
    let signed = i247_trust::sign(&own.signing_key, payload::OFFLINE_COPY, statement.to_vec());
    let signed = pb::Signed { payload: bytes::Bytes::new(), ..signed };
    pb::CopySignature { chain: own.signing_chain.clone(), signed: Some(signed) }.encode_to_vec()
}
