//! Attachments as files: content-addressed, in chunks that are verified one by one.
//!
//! ```text
//!  attachments/<commitment>            the content
//!  attachments/<commitment>.note       what it is called here (local uploads only)
//!  attachments/<commitment>.manifest   the list of chunks; its SHA-256 is the commitment; written last
//! ```
//!
//! It must not know who may have an attachment. Disk work runs through the seam.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::Blocking;
use i247_ledger::disk::{Disk, read_whole, replace_whole};
use i247_model::{Hash, Reason, Refusal};
use i247_trust::sha256;
use i247_wire::pb;
use prost::Message as _;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// Largest attachment, in bytes.
pub const MAX_ATTACHMENT_BYTES: usize = 25 * 1024 * 1024;
/// A chunk, in bytes; the last one may be shorter.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Largest manifest or note, in bytes.
const MAX_SIDE_BYTES: u64 = 64 * 1024;
/// How many attachments may be in memory at once.
const AT_ONCE: usize = 4;

/// The attachments of this bureau.
#[derive(Clone, Debug)]
pub(crate) struct Attachments {
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: PathBuf,
    room: Arc<Semaphore>,
}

/// Content with its manifest, checked against each other.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Whole {
    pub(crate) manifest: pb::AttachmentManifest,
    pub(crate) content: Bytes,
}

impl Whole {
    /// Cuts content into chunks. The salt keeps equal files from looking equal.
    pub(crate) fn new(content: Bytes, salt: [u8; 16]) -> Self {
        let chunks = content.chunks(CHUNK_BYTES).map(hash_bytes);
        let manifest = pb::AttachmentManifest {
            size_bytes: content.len() as u64,
            chunk_bytes: CHUNK_BYTES as u32,
            chunks: chunks.collect(),
            salt: Bytes::copy_from_slice(&salt),
        };
        Self { manifest, content }
    }

    /// What a header names it by.
    pub(crate) fn commitment(&self) -> Hash {
        commitment(&self.manifest)
    }

    /// The chunks in order, without copying.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.content.len())
            .step_by(CHUNK_BYTES)
            .map(|from| self.content.slice(from..self.content.len().min(from + CHUNK_BYTES)))
    }
}

/// Collects the chunks of an attachment that comes from elsewhere, and checks each.
#[derive(Debug)]
pub(crate) struct Collected {
    manifest: pb::AttachmentManifest,
    content: Vec<u8>,
    next: usize,
}

impl Collected {
    /// Begins with the manifest, which must be the one that was committed to.
    pub(crate) fn new(manifest: pb::AttachmentManifest, expected: Hash) -> Result<Self, Refusal> {
        let size = usize::try_from(manifest.size_bytes).unwrap_or(usize::MAX);
        if size > MAX_ATTACHMENT_BYTES {
            return Err(Refusal::of(Reason::TooLarge, "manifest.size_bytes"));
        }
        let right = manifest.chunk_bytes as usize == CHUNK_BYTES
            && manifest.chunks.len() == size.div_ceil(CHUNK_BYTES)
            && commitment(&manifest) == expected;
        if !right {
            return Err(Refusal::of(Reason::BodyMismatch, "manifest"));
        }
        Ok(Self { manifest, content: Vec::with_capacity(size), next: 0 })
    }

    /// Takes the next chunk.
    pub(crate) fn chunk(&mut self, chunk: &pb::AttachmentChunk) -> Result<(), Refusal> {
        let expected = self.manifest.chunks.get(self.next);
        let size = usize::try_from(self.manifest.size_bytes).unwrap_or(usize::MAX);
        let length = CHUNK_BYTES.min(size - self.content.len());
        let right = chunk.index as usize == self.next
            && chunk.data.len() == length
            && expected.is_some_and(|hash| *hash == hash_bytes(&chunk.data));
        if !right {
            return Err(Refusal::of(Reason::BodyMismatch, format!("chunk {}", self.next)));
        }
        self.content.extend_from_slice(&chunk.data);
        self.next += 1;
        Ok(())
    }

    /// The whole, once all chunks are there.
    pub(crate) fn whole(self) -> Result<Whole, Refusal> {
        if self.next < self.manifest.chunks.len() {
            return Err(Refusal::of(Reason::AttachmentMissing, format!("chunk {}", self.next)));
        }
        Ok(Whole { manifest: self.manifest, content: self.content.into() })
    }
}

impl Attachments {
    /// The attachments under this directory, which is made when it is not there. Blocks.
    pub(crate) fn open(disk: Arc<dyn Disk>, blocking: Arc<dyn Blocking>, dir: PathBuf) -> io::Result<Self> {
        disk.create_dir(&dir)?;
        Ok(Self { disk, blocking, dir, room: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Room in memory for one attachment; waits until there is some.
    pub(crate) async fn room(&self) -> SemaphorePermit<'_> {
        self.room.acquire().await.expect("the semaphore is never closed")
    }

    /// Stores an attachment durably.
    ///
    /// # Cancel safety
    /// Once begun it goes on to its end; half of it is never taken for the whole.
    pub(crate) async fn store(&self, whole: Whole, note: Option<pb::AttachmentNote>) -> io::Result<Hash> {
        let commitment = whole.commitment();
        let (disk, dir, name) = (Arc::clone(&self.disk), self.dir.clone(), commitment.to_string());
        self.run(move || {
            replace_whole(&*disk, &dir, &name, &whole.content)?;
            if let Some(note) = note {
                replace_whole(&*disk, &dir, &format!("{name}.note"), &note.encode_to_vec())?;
            }
            replace_whole(&*disk, &dir, &format!("{name}.manifest"), &whole.manifest.encode_to_vec())
        })
        .await?;
        Ok(commitment)
    }

    /// The attachment, if it is here and whole. What is damaged reads as not there, and is said in the log.
    pub(crate) async fn load(&self, commitment: Hash) -> io::Result<Option<Whole>> {
        let (disk, path) = (Arc::clone(&self.disk), self.dir.join(commitment.to_string()));
        let read = self.run(move || {
            let manifest = read_whole(&*disk, &path.with_extension("manifest"), MAX_SIDE_BYTES)?;
            let content = read_whole(&*disk, &path, MAX_ATTACHMENT_BYTES as u64)?;
            Ok((manifest, content))
        });
        let (manifest, content) = match read.await {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let whole = checked(&manifest, content.into(), commitment);
        if whole.is_none() {
            tracing::error!(%commitment, "a stored attachment is damaged; it is not served");
        }
        Ok(whole)
    }

    /// What an attachment was called when it was stored here; none when it is not here.
    pub(crate) async fn note(&self, commitment: Hash) -> io::Result<Option<pb::AttachmentNote>> {
        let (disk, path) = (Arc::clone(&self.disk), self.dir.join(commitment.to_string()));
        let read = self.run(move || {
            read_whole(&*disk, &path.with_extension("manifest"), MAX_SIDE_BYTES)?;
            read_whole(&*disk, &path.with_extension("note"), MAX_SIDE_BYTES)
        });
        match read.await {
            Ok(bytes) => Ok(pb::AttachmentNote::decode(bytes.as_slice()).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        // Whoever asked may be gone by then.
        self.blocking.run(Box::new(move || drop(done.send(job()))));
        result.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
    }
}

fn checked(manifest: &[u8], content: Bytes, expected: Hash) -> Option<Whole> {
    let manifest = pb::AttachmentManifest::decode(manifest).ok()?;
    let salt: [u8; 16] = manifest.salt.as_ref().try_into().ok()?;
    let whole = Whole::new(content, salt);
    (whole.manifest == manifest && whole.commitment() == expected).then_some(whole)
}

fn commitment(manifest: &pb::AttachmentManifest) -> Hash {
    sha256(&[&manifest.encode_to_vec()])
}

fn hash_bytes(chunk: &[u8]) -> Bytes {
    Bytes::copy_from_slice(sha256(&[chunk]).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(size: usize) -> Whole {
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        Whole::new(content.into(), [7; 16])
    }

    fn frames(whole: &Whole) -> Vec<pb::AttachmentChunk> {
        (0..).zip(whole.chunks()).map(|(index, data)| pb::AttachmentChunk { index, data }).collect()
    }

    #[test]
    fn what_is_cut_into_chunks_comes_together_again() {
        for size in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1] {
            let whole = whole(size);
            assert_eq!(whole.manifest.chunks.len(), size.div_ceil(CHUNK_BYTES));
            let mut collected = Collected::new(whole.manifest.clone(), whole.commitment()).unwrap();
            for chunk in frames(&whole) {
                collected.chunk(&chunk).unwrap();
            }
            assert_eq!(collected.whole().unwrap(), whole, "{size}");
        }
    }

    #[test]
    fn a_changed_chunk_is_named() {
        let whole = whole(2 * CHUNK_BYTES);
        let mut collected = Collected::new(whole.manifest.clone(), whole.commitment()).unwrap();
        let mut chunks = frames(&whole);
        collected.chunk(&chunks[0]).unwrap();
        let mut changed = chunks[1].data.to_vec();
        changed[5] ^= 1;
        chunks[1].data = changed.into();
        let refusal = collected.chunk(&chunks[1]).unwrap_err();
        assert_eq!((refusal.reason, refusal.fields), (Reason::BodyMismatch, vec!["chunk 1".to_owned()]));
    }

    #[test]
    fn a_missing_chunk_leaves_no_whole() {
        let whole = whole(2 * CHUNK_BYTES);
        let mut collected = Collected::new(whole.manifest.clone(), whole.commitment()).unwrap();
        collected.chunk(&frames(&whole)[0]).unwrap();
        assert_eq!(collected.whole().unwrap_err().reason, Reason::AttachmentMissing);
    }

    #[test]
    fn a_manifest_that_was_not_committed_to_is_refused() {
        let one = whole(10);
        let other = Whole::new(one.content.clone(), [8; 16]);
        assert_ne!(one.commitment(), other.commitment());
        assert!(Collected::new(other.manifest, one.commitment()).is_err());
    }
}
