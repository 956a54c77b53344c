//! Attachments: files in chunks, each checked by its hash, that can be taken in piece by piece. It must not decide
//! who may have one.
//!
//! An attachment is named by the hash of its manifest, which lists the chunks. A file holds
//! `manifest length 4 | manifest | chunk | chunk …`; while it is incomplete it is called `<name>.part`. What of an
//! incomplete file survives a crash is found by checking the chunks again, so only the last step is synced.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::Blocking;
use crate::disk::{Disk, DiskFile, is_full, read_up_to, write_all_at};

/// The largest attachment, in bytes: 25 MiB.
pub const MAX_ATTACHMENT_BYTES: u64 = 25 * 1024 * 1024;
/// The size of every chunk but the last, in bytes.
pub const CHUNK_BYTES: u32 = 64 * 1024;
/// The longest manifest, in bytes: 400 chunk hashes and some.
pub const MAX_MANIFEST_BYTES: usize = 32 * 1024;

/// What the manifest says, as its reader decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// SHA-256 of the manifest: the attachment's name.
    pub name: [u8; 32],
    /// The manifest as it came.
    pub manifest: Bytes,
    /// Length of the whole, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of each chunk.
    pub chunks: Vec<[u8; 32]>,
}

/// Why an attachment is not taken or not served.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// The manifest contradicts itself or passes a limit.
    #[error("the manifest is not possible: {0}")]
    Manifest(&'static str),
    /// The chunk is not the one that the manifest names there.
    #[error("chunk {0} does not match the manifest")]
    Chunk(u32),
    /// Chunks come in order, this is the next one.
    #[error("chunk {0} is next")]
    OutOfOrder(u32),
    /// It is not here, or not complete.
    #[error("the attachment is not here")]
    Absent,
    /// No room; what is there stays, and the rest may be sent again.
    #[error("no room on the disk")]
    Full,
    /// The disk refused something else.
    #[error("cannot use the attachments in {}", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The runtime shuts down.
    #[error("the work was given up")]
    Cancelled,
}

/// The attachments in one directory.
#[derive(Clone, Debug)]
pub struct Attachments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    blocking: Arc<dyn Blocking>,
}

/// An attachment that is being taken in. One at a time for a name.
#[derive(Debug)]
pub struct Upload {
    file: Arc<dyn DiskFile>,
    layout: Layout,
    next: u32,
}

impl Upload {
    /// How many chunks, from the first, are there.
    pub fn chunks(&self) -> u32 {
        self.next
    }
}

impl Layout {
    /// The layout, if the numbers fit together and the limits are kept.
    ///
    /// # Errors
    /// [`AttachmentError::Manifest`] names the rule.
    pub fn new(
        manifest: Bytes,
        size_bytes: u64,
        chunk_bytes: u32,
        chunks: Vec<[u8; 32]>,
    ) -> Result<Self, AttachmentError> {
        if manifest.len() > MAX_MANIFEST_BYTES {
            return Err(AttachmentError::Manifest("it is too long"));
        }
        if size_bytes == 0 || size_bytes > MAX_ATTACHMENT_BYTES {
            return Err(AttachmentError::Manifest("size_bytes must be between 1 byte and 25 MiB"));
        }
        if chunk_bytes != CHUNK_BYTES {
            return Err(AttachmentError::Manifest("chunk_bytes must be 65536"));
        }
        if size_bytes.div_ceil(u64::from(CHUNK_BYTES)) != chunks.len() as u64 {
            return Err(AttachmentError::Manifest("the number of chunks does not match size_bytes"));
        }
        Ok(Self { name: sha256(&manifest), manifest, size_bytes, chunks })
    }

    /// Length of one chunk; `None` behind the last.
    fn chunk_len(&self, index: u32) -> Option<usize> {
        let begin = u64::from(index) * u64::from(CHUNK_BYTES);
        let left = self.size_bytes.checked_sub(begin).filter(|left| *left > 0)?;
        usize::try_from(left.min(u64::from(CHUNK_BYTES))).ok()
    }

    fn chunk_at(&self, index: u32) -> u64 {
        4 + self.manifest.len() as u64 + u64::from(index) * u64::from(CHUNK_BYTES)
    }

    fn check(&self, index: u32, bytes: &[u8]) -> Result<(), AttachmentError> {
        let expected = usize::try_from(index).ok().and_then(|at| self.chunks.get(at));
        if Some(bytes.len()) != self.chunk_len(index) || expected != Some(&sha256(bytes)) {
            return Err(AttachmentError::Chunk(index));
        }
        Ok(())
    }
}

impl Attachments {
    /// The attachments in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// [`AttachmentError::Io`] when it cannot be made.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        blocking: Arc<dyn Blocking>,
    ) -> Result<Self, AttachmentError> {
        let dir = dir.into();
        disk.create_dir(&dir).map_err(|source| AttachmentError::Io { dir: dir.clone(), source })?;
        Ok(Self { disk, dir, blocking })
    }

    /// Whether the attachment is complete and durable.
    pub async fn complete(&self, name: [u8; 32]) -> Result<bool, AttachmentError> {
        self.run(move |store| match store.disk.open_read(&store.path(&name, "")) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(store.refused(error)),
        })
        .await
    }

    /// How many chunks, from the first, are there of an attachment that is not complete. `read` makes a layout of
    /// its manifest, which is found beside them.
    pub async fn progress(
        &self,
        name: [u8; 32],
        read: fn(Bytes) -> Option<Layout>,
    ) -> Result<u32, AttachmentError> {
        self.run(move |store| {
            let file = match store.disk.open_read(&store.path(&name, ".part")) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(store.refused(error)),
            };
            let layout = match store.read_manifest(&*file, &name) {
                Ok(manifest) => read(manifest),
                // Broken off before the manifest was whole: it begins anew.
                Err(AttachmentError::Absent) => None,
                Err(error) => return Err(error),
            };
            layout.map_or(Ok(0), |layout| store.survivors(&*file, &layout))
        })
        .await
    }

    /// Begins or resumes taking in an attachment.
    pub async fn begin(&self, layout: Layout) -> Result<Upload, AttachmentError> {
        self.run(move |store| store.begin_now(layout)).await
    }

    /// Takes in the next chunk.
    ///
    /// # Cancel safety
    ///
    /// The chunk is taken or not; resume with [`begin`](Self::begin) to find out.
    pub async fn put(&self, mut upload: Upload, index: u32, bytes: Bytes) -> Result<Upload, AttachmentError> {
        self.run(move |store| {
            if index != upload.next {
                return Err(AttachmentError::OutOfOrder(upload.next));
            }
            upload.layout.check(index, &bytes)?;
            write_all_at(&*upload.file, &bytes, upload.layout.chunk_at(index))
                .map_err(|error| store.refused(error))?;
            upload.next += 1;
            Ok(upload)
        })
        .await
    }

    /// Ends an upload: true once all chunks are there and durable, false while some are missing.
    ///
    /// # Cancel safety
    ///
    /// Once begun it goes on to its end; repeating it is harmless.
    pub async fn finish(&self, upload: Upload) -> Result<bool, AttachmentError> {
        self.run(move |store| {
            if (upload.next as usize) < upload.layout.chunks.len() {
                return Ok(false);
            }
            upload.file.sync_data().map_err(|error| store.refused(error))?;
            let name = &upload.layout.name;
            store
                .disk
                .rename(&store.path(name, ".part"), &store.path(name, ""))
                .and_then(|()| store.disk.sync_dir(&store.dir))
                .map_err(|error| store.refused(error))?;
            Ok(true)
        })
        .await
    }

    /// The manifest of a complete attachment.
    pub async fn manifest(&self, name: [u8; 32]) -> Result<Bytes, AttachmentError> {
        self.run(move |store| store.read_manifest(&*store.open_complete(&name)?, &name)).await
    }

    /// One chunk of a complete attachment, checked.
    pub async fn chunk(&self, layout: Layout, index: u32) -> Result<Bytes, AttachmentError> {
        self.run(move |store| {
            let file = store.open_complete(&layout.name)?;
            let mut bytes = vec![0; layout.chunk_len(index).ok_or(AttachmentError::Chunk(index))?];
            store.read(&*file, &mut bytes, layout.chunk_at(index))?;
            layout.check(index, &bytes)?;
            Ok(bytes.into())
        })
        .await
    }

    fn begin_now(&self, layout: Layout) -> Result<Upload, AttachmentError> {
        let part = self.path(&layout.name, ".part");
        if let Ok(file) = self.disk.open_read(&self.path(&layout.name, "")) {
            let next = u32::try_from(layout.chunks.len()).unwrap_or(u32::MAX);
            return Ok(Upload { file, layout, next });
        }
        let file = match self.disk.open(&part) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create(&part).map_err(|error| self.refused(error))?
            }
            Err(error) => return Err(self.refused(error)),
        };
        let next = self.survivors(&*file, &layout)?;
        if next == 0 {
            let length = u32::try_from(layout.manifest.len()).unwrap_or(u32::MAX).to_le_bytes();
            write_all_at(&*file, &length, 0)
                .and_then(|()| write_all_at(&*file, &layout.manifest, 4))
                .map_err(|error| self.refused(error))?;
        }
        Ok(Upload { file, layout, next })
    }

    /// The manifest at the head of a file. Damaged bytes are not served.
    fn read_manifest(&self, file: &dyn DiskFile, name: &[u8; 32]) -> Result<Bytes, AttachmentError> {
        let mut length = [0; 4];
        self.read(file, &mut length, 0)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_MANIFEST_BYTES {
            return Err(AttachmentError::Absent);
        }
        let mut manifest = vec![0; length];
        self.read(file, &mut manifest, 4)?;
        if sha256(&manifest) == *name { Ok(manifest.into()) } else { Err(AttachmentError::Absent) }
    }

    /// How many chunks of an incomplete file are good, from the first.
    fn survivors(&self, file: &dyn DiskFile, layout: &Layout) -> Result<u32, AttachmentError> {
        let mut head = vec![0; 4 + layout.manifest.len()];
        let count = read_up_to(file, &mut head, 0).map_err(|error| self.refused(error))?;
        if count < head.len() || head[4..] != layout.manifest[..] {
            return Ok(0);
        }
        let mut index = 0;
        while let Some(len) = layout.chunk_len(index) {
            let mut bytes = vec![0; len];
            let count =
                read_up_to(file, &mut bytes, layout.chunk_at(index)).map_err(|error| self.refused(error))?;
            if count < len || layout.check(index, &bytes).is_err() {
                break;
            }
            index += 1;
        }
        Ok(index)
    }

    fn open_complete(&self, name: &[u8; 32]) -> Result<Arc<dyn DiskFile>, AttachmentError> {
        self.disk.open_read(&self.path(name, "")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AttachmentError::Absent,
            _ => self.refused(error),
        })
    }

    fn read(&self, file: &dyn DiskFile, bytes: &mut [u8], at: u64) -> Result<(), AttachmentError> {
        let count = read_up_to(file, bytes, at).map_err(|error| self.refused(error))?;
        if count == bytes.len() { Ok(()) } else { Err(AttachmentError::Absent) }
    }

    fn path(&self, name: &[u8; 32], suffix: &str) -> PathBuf {
        let mut text = String::with_capacity(64 + suffix.len());
        for byte in name {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push_str(suffix);
        self.dir.join(text)
    }

    fn refused(&self, error: io::Error) -> AttachmentError {
        if is_full(&error) {
            return AttachmentError::Full;
        }
        AttachmentError::Io { dir: self.dir.clone(), source: error }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Attachments) -> Result<T, AttachmentError> + Send + 'static,
    ) -> Result<T, AttachmentError> {
        let store = self.clone();
        let (told, result) = oneshot::channel();
        self.blocking.run(Box::new(move || drop(told.send(job(&store)))));
        result.await.unwrap_or(Err(AttachmentError::Cancelled))
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inline;
    use crate::disk::OsDisk;

    fn layout(data: &[u8]) -> Layout {
        let chunks: Vec<[u8; 32]> = data.chunks(CHUNK_BYTES as usize).map(sha256).collect();
        let manifest: Bytes = chunks.concat().into();
        Layout::new(manifest, data.len() as u64, CHUNK_BYTES, chunks).unwrap()
    }

    fn layout_of(manifest: Bytes) -> Layout {
        let chunks = manifest.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
        Layout { name: sha256(&manifest), manifest, size_bytes: 0, chunks }
    }

    fn store(dir: &std::path::Path) -> Attachments {
        Attachments::open(Arc::new(OsDisk), dir, Arc::new(Inline)).unwrap()
    }

    fn chunk(data: &[u8], index: usize) -> Bytes {
        Bytes::copy_from_slice(data.chunks(CHUNK_BYTES as usize).nth(index).unwrap())
    }

    #[tokio::test]
    async fn an_attachment_is_taken_in_pieces_and_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let data: Vec<u8> = (0..150_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let layout = layout(&data);
        let upload = store(dir.path()).begin(layout.clone()).await.unwrap();
        let upload = store(dir.path()).put(upload, 0, chunk(&data, 0)).await.unwrap();
        assert!(!store(dir.path()).finish(upload).await.unwrap(), "two chunks are missing");
        let known = |manifest: Bytes| Some(Layout { size_bytes: 150_000, ..layout_of(manifest) });
        assert_eq!(store(dir.path()).progress(layout.name, known).await.unwrap(), 1);
        assert_eq!(store(dir.path()).progress([9; 32], known).await.unwrap(), 0);

        let attachments = store(dir.path());
        let mut upload = attachments.begin(layout.clone()).await.unwrap();
        assert_eq!(upload.chunks(), 1, "the first chunk is still there");
        for index in 1..3 {
            upload = attachments.put(upload, index, chunk(&data, index as usize)).await.unwrap();
        }
        assert!(attachments.finish(upload).await.unwrap());
        assert!(attachments.complete(layout.name).await.unwrap());
        assert_eq!(attachments.manifest(layout.name).await.unwrap(), layout.manifest);
        assert_eq!(attachments.chunk(layout, 2).await.unwrap(), chunk(&data, 2));
    }

    #[tokio::test]
    async fn a_chunk_that_does_not_match_is_refused_by_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let data = vec![7; 70_000];
        let attachments = store(dir.path());
        let upload = attachments.begin(layout(&data)).await.unwrap();
        let upload = attachments.put(upload, 0, chunk(&data, 0)).await.unwrap();
        let wrong = attachments.put(upload, 1, Bytes::from_static(&[8; 4464])).await;
        assert!(matches!(wrong, Err(AttachmentError::Chunk(1))));
        assert!(!attachments.complete(layout(&data).name).await.unwrap());
    }

    #[test]
    fn an_impossible_manifest_is_refused() {
        let chunks = vec![[0; 32]; 2];
        assert!(Layout::new(Bytes::new(), 70_000, CHUNK_BYTES, chunks.clone()).is_ok());
        assert!(Layout::new(Bytes::new(), 0, CHUNK_BYTES, vec![]).is_err());
        assert!(Layout::new(Bytes::new(), 60_000, CHUNK_BYTES, chunks.clone()).is_err());
        assert!(Layout::new(Bytes::new(), 70_000, 1024, chunks).is_err());
        assert!(
            Layout::new(Bytes::new(), MAX_ATTACHMENT_BYTES + 1, CHUNK_BYTES, vec![[0; 32]; 401]).is_err()
        );
    }
}
