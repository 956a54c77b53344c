//! Attachments: what officers store here and what is fetched from the hub, in chunks that are verified one by one.
//!
//! The content lies with the ledger's attachments, under its commitment; beside it, in `notes`, what officers call
//! it. It must not know who may have an attachment.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use i247_ledger::attachments::{self as files, AttachmentError, Layout};
use i247_ledger::disk::{Disk, is_full, read_whole, replace_whole};
use i247_ledger::{Blocking, outcome};
use i247_model::{Hash, Reason, Refusal};
use i247_trust::sha256;
use i247_wire::pb;
use prost::Message as _;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

/// Largest attachment, in bytes.
pub const MAX_ATTACHMENT_BYTES: usize = files::MAX_ATTACHMENT_BYTES as usize;
/// A chunk, in bytes; the last one may be shorter.
pub const CHUNK_BYTES: usize = files::CHUNK_BYTES as usize;
/// Largest note, in bytes.
const MAX_NOTE_BYTES: u64 = 4 * 1024;
/// How many attachments may be in memory at once.
const AT_ONCE: usize = 4;

/// The attachments of this bureau.
#[derive(Clone, Debug)]
pub(crate) struct Attachments {
    files: files::Attachments,
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    notes: PathBuf,
    room: Arc<Semaphore>,
    /// Two that store the same attachment must not write the same file.
    storing: Arc<Mutex<()>>,
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
            chunk_bytes: files::CHUNK_BYTES,
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

/// An attachment on the disk, read one checked chunk after the other: a slow reader holds one of them in memory.
#[derive(Debug)]
pub(crate) struct Stored {
    files: files::Attachments,
    layout: Layout,
    next: u32,
}

impl Stored {
    /// The next chunk; none behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, AttachmentError> {
        if self.next as usize >= self.layout.chunks.len() {
            return Ok(None);
        }
        let chunk = self.files.chunk(self.layout.clone(), self.next).await?;
        self.next += 1;
        Ok(Some(chunk))
    }
}

impl Attachments {
    /// The attachments under this directory, which is made when it is not there. Blocks.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        blocking: Arc<dyn Blocking>,
        dir: PathBuf,
    ) -> Result<Self, AttachmentError> {
        let notes = dir.join("notes");
        let refused = |source| AttachmentError::Io { dir: notes.clone(), source };
        // What is stored here is named by the journal at once, so nobody is charged for it.
        let files = files::Attachments::open(Arc::clone(&disk), dir, Arc::clone(&blocking), u64::MAX)?;
        disk.create_dir(&notes).map_err(refused)?;
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { files, disk, blocking, notes, room, storing: Arc::default() })
    }

    /// Room in memory for one attachment; waits until there is some.
    pub(crate) async fn room(&self) -> SemaphorePermit<'_> {
        self.room.acquire().await.expect("the semaphore is never closed")
    }

    /// Stores an attachment durably; what is there already stays.
    ///
    /// # Cancel safety
    /// Half of it is never taken for the whole; storing it again goes on from there.
    pub(crate) async fn store(
        &self,
        whole: &Whole,
        note: Option<pb::AttachmentNote>,
    ) -> Result<Hash, AttachmentError> {
        let _one = self.storing.lock().await;
        let commitment = whole.commitment();
        if let Some(note) = note {
            let (disk, dir, name) = (Arc::clone(&self.disk), self.notes.clone(), commitment.to_string());
            self.run(move || replace_whole(&*disk, &dir, &name, &note.encode_to_vec())).await?;
        }
        if self.files.keep(*commitment.as_bytes()).await? {
            return Ok(commitment);
        }
        // What was broken off before, and not begun again since.
        self.files.sweep().await?;
        let mut upload = self.files.begin(layout(&whole.manifest)?, "").await?;
        let first = upload.chunks();
        for (index, chunk) in (first..).zip(whole.chunks().skip(first as usize)) {
            upload = self.files.put(upload, index, chunk).await?;
        }
        // Not complete, or gone before it was kept: it must not be promised.
        if !self.files.finish(upload).await? || !self.files.keep(*commitment.as_bytes()).await? {
            return Err(AttachmentError::Absent);
        }
        Ok(commitment)
    }

    /// The attachment, if it is here and whole. What is damaged is not served, and said in the log.
    pub(crate) async fn load(&self, commitment: Hash) -> Result<Option<Whole>, AttachmentError> {
        if !self.files.complete(*commitment.as_bytes()).await? {
            return Ok(None);
        }
        match self.read(commitment).await {
            Ok(whole) => Ok(Some(whole)),
            Err(AttachmentError::Absent | AttachmentError::Chunk(_) | AttachmentError::Manifest(_)) => {
                tracing::error!(%commitment, "a stored attachment is damaged; it is not served");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A stored attachment to be read chunk by chunk, if it is here.
    pub(crate) async fn find(&self, commitment: Hash) -> Result<Option<Stored>, AttachmentError> {
        if !self.files.complete(*commitment.as_bytes()).await? {
            return Ok(None);
        }
        match self.stored(commitment).await {
            Ok((_, layout)) => Ok(Some(Stored { files: self.files.clone(), layout, next: 0 })),
            Err(AttachmentError::Absent | AttachmentError::Manifest(_)) => {
                tracing::error!(%commitment, "a stored attachment is damaged; it is not served");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What an attachment was called when it was stored here; none when it is not here.
    pub(crate) async fn note(&self, commitment: Hash) -> Result<Option<pb::AttachmentNote>, AttachmentError> {
        if !self.files.complete(*commitment.as_bytes()).await? {
            return Ok(None);
        }
        let (disk, path) = (Arc::clone(&self.disk), self.notes.join(commitment.to_string()));
        let read = self.run(move || match read_whole(&*disk, &path, MAX_NOTE_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        Ok(read.await?.and_then(|bytes| pb::AttachmentNote::decode(bytes.as_slice()).ok()))
    }

    /// Hash of the content without its salt: equal for equal files, however often they are stored. None when it is not
    /// here.
    pub(crate) async fn content(&self, commitment: Hash) -> Result<Option<Hash>, AttachmentError> {
        match self.stored(commitment).await {
            Ok((manifest, _)) => {
                Ok(Some(sha256(&[&manifest.size_bytes.to_le_bytes(), &manifest.chunks.concat()])))
            }
            Err(AttachmentError::Absent | AttachmentError::Manifest(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn stored(&self, commitment: Hash) -> Result<(pb::AttachmentManifest, Layout), AttachmentError> {
        let bytes = self.files.manifest(*commitment.as_bytes()).await?;
        let manifest = pb::AttachmentManifest::decode(bytes)
            .map_err(|_| AttachmentError::Manifest("it cannot be decoded"))?;
        let layout = layout(&manifest)?;
        Ok((manifest, layout))
    }

    async fn read(&self, commitment: Hash) -> Result<Whole, AttachmentError> {
        let (manifest, layout) = self.stored(commitment).await?;
        let mut content = BytesMut::new();
        for index in 0..layout.chunks.len() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            content.extend_from_slice(&self.files.chunk(layout.clone(), index).await?);
        }
        Ok(Whole { manifest, content: content.freeze() })
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, AttachmentError> {
        let result = outcome(&*self.blocking, job).await.ok_or(AttachmentError::Cancelled)?;
        result.map_err(|source| match is_full(&source) {
            true => AttachmentError::Full,
            false => AttachmentError::Io { dir: self.notes.clone(), source },
        })
    }
}

fn layout(manifest: &pb::AttachmentManifest) -> Result<Layout, AttachmentError> {
    let hash = |chunk: &Bytes| {
        <[u8; 32]>::try_from(chunk.as_ref())
            .map_err(|_| AttachmentError::Manifest("a chunk hash has not 32 bytes"))
    };
    let chunks: Vec<[u8; 32]> = manifest.chunks.iter().map(hash).collect::<Result<_, _>>()?;
    Layout::new(manifest.encode_to_vec().into(), manifest.size_bytes, manifest.chunk_bytes, chunks)
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
    #[tokio::test]
    async fn what_is_stored_comes_back_with_its_note_and_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let disk = Arc::new(i247_ledger::disk::OsDisk);
            Attachments::open(disk, Arc::new(i247_ledger::Inline), dir.path().to_owned()).unwrap()
        };
        let (whole, note) =
            (whole(CHUNK_BYTES + 5), pb::AttachmentNote { name: "a".into(), ..Default::default() });
        let commitment = open().store(&whole, Some(note.clone())).await.unwrap();
        assert_eq!(open().store(&whole, Some(note.clone())).await.unwrap(), commitment);
        assert_eq!(open().load(commitment).await.unwrap(), Some(whole));
        assert_eq!(open().note(commitment).await.unwrap(), Some(note));
        assert_eq!(open().load(Hash([1; 32])).await.unwrap(), None);
        assert_eq!(open().note(Hash([1; 32])).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_not_whole_is_never_said_to_be_stored() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(i247_ledger::disk::OsDisk);
        let attachments =
            Attachments::open(disk, Arc::new(i247_ledger::Inline), dir.path().to_owned()).unwrap();
        let mut half = whole(2 * CHUNK_BYTES);
        half.content.truncate(CHUNK_BYTES);
        assert!(matches!(attachments.store(&half, None).await, Err(AttachmentError::Absent)));
        assert_eq!(attachments.load(half.commitment()).await.unwrap(), None);
    }
}
