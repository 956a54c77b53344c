//! What follows from the journal and is kept beside it, so that a start reads no more than what came since. Without it all
//! of the journal is read, and nothing is lost. It must not be taken for what the journal does not have.

use i247_ledger::disk;
use i247_ledger::outcome;
use prost::Message;

use super::Audit;

/// The largest such file.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

impl Audit {
    /// What this file has; none when there is nothing that can be used.
    pub(super) async fn kept<M: Message + Default + 'static>(&self, file: &str) -> Option<M> {
        let (disk, path) = (self.disk.clone(), self.dir.join(file));
        let read = move || {
            let bytes = disk::read_whole(&*disk, &path, FILE_BYTES).ok()?;
            M::decode(bytes.as_slice()).ok()
        };
        outcome(&*self.blocking, read).await.flatten()
    }

    /// Writes this file in place of the one before.
    pub(super) async fn keep_beside(&self, file: &'static str, what: &impl Message) {
        let (disk, dir, bytes) = (self.disk.clone(), self.dir.clone(), what.encode_to_vec());
        let kept = outcome(&*self.blocking, move || disk::replace_whole(&*disk, &dir, file, &bytes)).await;
        if let Some(Err(error)) = kept {
            tracing::warn!(%error, file, "what follows from the journal of searches is not kept");
        }
    }
}
