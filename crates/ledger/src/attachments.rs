//! Attachments: files in chunks, each checked by its hash, that can be taken in piece by piece. It must not decide
//! who may have one.
//!
//! An attachment is named by the hash of its manifest, which lists the chunks. A file holds
//! `manifest length 4 | manifest | chunk | chunk …`. What of an incomplete file survives a crash is found by checking
//! the chunks again, so only the last steps are synced:
//!
//! ```text
//!   <name>.part ──all chunks──► <name>.whole ──a message names it──► <name>
//! ```
//!
//! What is called `<name>` stays for ever. The others are charged to whoever brings them, and swept when nothing
//! comes of them.

mod unnamed;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use self::unnamed::Unnamed;
use crate::disk::{Disk, DiskFile, is_full, read_up_to, write_all_at};
use crate::{Blocking, outcome};

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
    /// Whoever brings it has too much here that no message names; it may be sent again when there is less.
    #[error("more than {limit} bytes that no message names")]
    TooMuch {
        /// How many bytes one may have here.
        limit: u64,
    },
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
    bytes_each: u64,
    unnamed: Arc<Mutex<Unnamed>>,
}

/// An attachment that is being taken in. One at a time for a name.
#[derive(Debug)]
pub struct Upload {
    file: Arc<dyn DiskFile>,
    layout: Layout,
    next: u32,
    _open: Arc<()>,
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
    /// The attachments in `dir`, which is made if it is not there. Each owner may have `bytes_each` bytes in it that no
    /// message names. Blocks.
    ///
    /// # Errors
    /// [`AttachmentError::Io`] when it cannot be made.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        blocking: Arc<dyn Blocking>,
        bytes_each: u64,
    ) -> Result<Self, AttachmentError> {
        let dir = dir.into();
        // A process that was killed may have given a name that is not durable yet; now every name is.
        disk.create_dir(&dir)
            .and_then(|()| disk.sync_dir(&dir))
            .map_err(|source| AttachmentError::Io { dir: dir.clone(), source })?;
        Ok(Self { disk, dir, blocking, bytes_each, unnamed: Arc::default() })
    }

    /// Whether the attachment is complete and durable. Whoever was told so has until the sweep after the next to
    /// [`keep`](Self::keep) it.
    pub async fn complete(&self, name: [u8; 32]) -> Result<bool, AttachmentError> {
        self.run(move |store| {
            store.unnamed().touch(&hex(&name));
            match store.open_complete(&name) {
                Ok(_) => Ok(true),
                Err(AttachmentError::Absent) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Keeps a complete attachment for ever, since a message names it; false when it is not complete. It is durable
    /// before this returns, so call it before that message is written.
    ///
    /// # Cancel safety
    ///
    /// It is kept or not; repeating it is harmless.
    pub async fn keep(&self, name: [u8; 32]) -> Result<bool, AttachmentError> {
        self.run(move |store| {
            // Held to the end: whoever finds the name given must find it durable.
            let mut unnamed = store.unnamed();
            store.check_synced(&unnamed)?;
            match store.disk.rename(&store.path(&name, ".whole"), &store.path(&name, "")) {
                Ok(()) => store.sync_names(&mut unnamed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return match store.disk.open_read(&store.path(&name, "")) {
                        Ok(_) => Ok(true),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                        Err(error) => Err(store.refused(error)),
                    };
                }
                Err(error) => return Err(store.refused(error)),
            }
            unnamed.release(&hex(&name));
            Ok(true)
        })
        .await
    }

    /// Removes what no message names and to which nothing has happened since the sweep before; returns how many
    /// files. So an upload that is given up stays for one to two times the time between sweeps.
    ///
    /// # Cancel safety
    ///
    /// What is not removed yet is removed by a later sweep.
    pub async fn sweep(&self) -> Result<u64, AttachmentError> {
        self.run(|store| {
            // Held to the end: nothing may be kept, or begun anew, while it is removed.
            let mut unnamed = store.unnamed();
            let (mut removed, mut left) = (0, BTreeSet::new());
            for file in store.disk.list(&store.dir).map_err(|error| store.refused(error))? {
                let Some(name) = file.strip_suffix(".part").or(file.strip_suffix(".whole")) else { continue };
                if unnamed.is_abandoned(name) {
                    store.disk.remove(&store.dir.join(&file)).map_err(|error| store.refused(error))?;
                    removed += 1;
                } else {
                    left.insert(name.to_owned());
                }
            }
            unnamed.swept(&left);
            Ok(removed)
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

    /// Begins or resumes taking in an attachment, which is charged to `owner` until it is kept or swept.
    pub async fn begin(&self, layout: Layout, owner: &str) -> Result<Upload, AttachmentError> {
        let owner = owner.to_owned();
        self.run(move |store| store.begin_now(layout, owner)).await
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
            let name = &upload.layout.name;
            if store.open_complete(name).is_ok() {
                return Ok(true);
            }
            store.check_synced(&store.unnamed())?;
            // Long, so nobody waits for it.
            let synced = upload.file.sync_data();
            let mut unnamed = store.unnamed();
            if let Err(error) = synced {
                unnamed.failed = true;
                return Err(store.refused(error));
            }
            match store.disk.rename(&store.path(name, ".part"), &store.path(name, ".whole")) {
                Ok(()) => {
                    unnamed.touch(&hex(name));
                    store.sync_names(&mut unnamed).map(|()| true)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(store.refused(error)),
            }
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

    fn begin_now(&self, layout: Layout, owner: String) -> Result<Upload, AttachmentError> {
        let part = self.path(&layout.name, ".part");
        if let Ok(file) = self.open_complete(&layout.name) {
            let next = u32::try_from(layout.chunks.len()).unwrap_or(u32::MAX);
            return Ok(Upload { file, layout, next, _open: Arc::default() });
        }
        let open = self.charge(&layout, owner)?;
        let file = match self.disk.open(&part) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create(&part).map_err(|error| self.refused(error))?
            }
            Err(error) => return Err(self.refused(error)),
        };
        let next = self.survivors(&*file, &layout)?;
        self.write_again(&*file, &layout, next)?;
        Ok(Upload { file, layout, next, _open: open })
    }

    /// Writes the head, and once more the chunks that survived: after a sync that failed, the page cache alone may know
    /// them, and the next sync would not take them along.
    fn write_again(&self, file: &dyn DiskFile, layout: &Layout, next: u32) -> Result<(), AttachmentError> {
        let length = u32::try_from(layout.manifest.len()).unwrap_or(u32::MAX).to_le_bytes();
        write_all_at(file, &length, 0)
            .and_then(|()| write_all_at(file, &layout.manifest, 4))
            .map_err(|error| self.refused(error))?;
        for index in 0..next {
            let mut bytes = vec![0; layout.chunk_len(index).ok_or(AttachmentError::Chunk(index))?];
            self.read(file, &mut bytes, layout.chunk_at(index))?;
            layout.check(index, &bytes)?;
            write_all_at(file, &bytes, layout.chunk_at(index)).map_err(|error| self.refused(error))?;
        }
        Ok(())
    }

    fn charge(&self, layout: &Layout, owner: String) -> Result<Arc<()>, AttachmentError> {
        let mut unnamed = self.unnamed();
        self.check_synced(&unnamed)?;
        unnamed
            .charge(hex(&layout.name), owner, layout.size_bytes, self.bytes_each)
            .ok_or(AttachmentError::TooMuch { limit: self.bytes_each })
    }

    fn unnamed(&self) -> MutexGuard<'_, Unnamed> {
        self.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a sync has failed, nothing says what a later one has written.
    fn check_synced(&self, unnamed: &Unnamed) -> Result<(), AttachmentError> {
        if unnamed.failed {
            return Err(self.refused(io::Error::other("a sync has failed; start again")));
        }
        Ok(())
    }

    fn sync_names(&self, unnamed: &mut Unnamed) -> Result<(), AttachmentError> {
        self.disk.sync_dir(&self.dir).map_err(|error| {
            unnamed.failed = true;
            self.refused(error)
        })
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
        // In the order in which it changes its name, so that it is found although it changes it in between.
        for suffix in [".whole", ""] {
            match self.disk.open_read(&self.path(name, suffix)) {
                Ok(file) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
        Err(AttachmentError::Absent)
    }

    fn read(&self, file: &dyn DiskFile, bytes: &mut [u8], at: u64) -> Result<(), AttachmentError> {
        let count = read_up_to(file, bytes, at).map_err(|error| self.refused(error))?;
        if count == bytes.len() { Ok(()) } else { Err(AttachmentError::Absent) }
    }

    fn path(&self, name: &[u8; 32], suffix: &str) -> PathBuf {
        self.dir.join(hex(name) + suffix)
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
        outcome(&*self.blocking, move || job(&store)).await.unwrap_or(Err(AttachmentError::Cancelled))
    }
}

fn hex(name: &[u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for byte in name {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
