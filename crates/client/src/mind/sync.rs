//! Fetching: what is missing to the newest copy, gone on with where it stopped; and handing in what was asked meanwhile.

use std::time::Duration;

use bytes::Bytes;
use i247_model::{Reason, Timestamp};
use i247_records::Database;
use i247_records::offline::{AskedList, Begun, HolderError, OfflineCopy, Part};
use i247_wire::pb;
use i247_wire::pb::fetch_copy_response::Frame;

use super::{Mind, MindError};
use crate::{ClientError, Copies};

/// Nothing may come for so long before a fetch is given up. A large copy takes some time to be published.
const PIECE: Duration = Duration::from_secs(120);

/// The largest delta: four million keys and some.
const MAX_DELTA_BYTES: u64 = 64 * 1024 * 1024;

/// Searches that are handed in at once, and their bytes.
const SEARCHES: usize = 256;
const SEARCHES_BYTES: usize = 192 * 1024;

/// How far a fetch has come, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What has come.
    pub done: u64,
    /// What comes in all.
    pub bytes: u64,
}

/// A copy that is here now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Synced {
    /// The version of the base.
    pub version: u64,
    /// When the network was as it says.
    pub as_of: Timestamp,
    /// How many keys it has.
    pub keys: u64,
    /// How many bytes came.
    pub bytes: u64,
}

/// A file that is coming.
enum Coming {
    Snapshot { begun: Begun, size: u64 },
    Delta { part: Part, version: u64, bytes: Vec<u8>, size: u64 },
}

impl Mind {
    /// Fetches what is missing to the newest copy of a database; `progress` hears of every piece. At the end the new
    /// copy is asked, at an error the one that was there.
    ///
    /// # Errors
    /// [`MindError::Client`]: what has come is gone on from the next time. [`MindError::Holder`] when the copy is refused,
    /// or another process fetches into the directory.
    ///
    /// # Cancel safety
    /// Dropped, what has come is gone on from the next time.
    pub async fn sync(
        &self,
        copies: &Copies,
        database: Database,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Synced, MindError> {
        let _lock = self.holder.lock()?;
        match self.fetch(copies, database, false, progress).await {
            // What was here already does not lead there: everything anew, once.
            Err(MindError::Holder(HolderError::Refused { .. })) => {
                self.holder.clear(database)?;
                self.fetch(copies, database, true, progress).await
            }
            fetched => fetched,
        }
    }

    async fn fetch(
        &self,
        copies: &Copies,
        database: Database,
        anew: bool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Synced, MindError> {
        let wanted = pb::FetchCopyRequest {
            database: i32::from(database.number()),
            base: Some(self.held(database, Part::Base, anew)?),
            supplement: Some(self.held(database, Part::Supplement, anew)?),
            post: String::new(),
        };
        let mut stream = copies.fetch(wanted).await?;
        let Some(Frame::Plan(plan)) = stream.next(PIECE).await? else {
            return Err(ClientError::unexpected("no plan of a copy").into());
        };
        let (mut done, mut coming) = (0, None);
        progress(Progress { done, bytes: plan.bytes });
        while let Some(frame) = stream.next(PIECE).await? {
            match frame {
                Frame::Plan(_) => return Err(ClientError::unexpected("a second plan").into()),
                Frame::File(_) if coming.is_some() => {
                    return Err(ClientError::unexpected("a file that does not end").into());
                }
                Frame::File(file) => coming = Some(self.begin(database, &file)?),
                Frame::Piece(piece) => {
                    done += piece.len() as u64;
                    coming = self.take(database, coming, &piece).await?;
                    progress(Progress { done, bytes: plan.bytes });
                }
            }
        }
        if coming.is_some() {
            return Err(ClientError::unexpected("a file that does not end").into());
        }
        let copy = self.adopt(database, [plan.base_version, plan.supplement_version]).await?;
        let version = copy.parts().next().map_or(0, |base| base.mark().version);
        Ok(Synced { version, as_of: copy.as_of(), keys: copy.keys(), bytes: done })
    }

    fn held(&self, database: Database, part: Part, anew: bool) -> Result<pb::PartHeld, MindError> {
        if anew {
            return Ok(pb::PartHeld::default());
        }
        let have = self.holder.have(database, part)?;
        let (begun_version, begun_bytes) = have.begun.unwrap_or_default();
        Ok(pb::PartHeld { version: have.version, begun_version, begun_bytes })
    }

    fn begin(&self, database: Database, file: &pb::CopyFile) -> Result<Coming, MindError> {
        let part = if file.supplement { Part::Supplement } else { Part::Base };
        let (version, size) = (file.version, file.size_bytes);
        if !file.delta {
            let begun = self.holder.begin(database, part, version, file.from_byte)?;
            return Ok(Coming::Snapshot { begun, size });
        }
        if size > MAX_DELTA_BYTES {
            return Err(ClientError::unexpected("a delta that is too large").into());
        }
        Ok(Coming::Delta { part, version, bytes: Vec::new(), size })
    }

    /// Takes a piece of a file; the file is gone when it was the last.
    async fn take(
        &self,
        database: Database,
        coming: Option<Coming>,
        piece: &Bytes,
    ) -> Result<Option<Coming>, MindError> {
        let too_much = || MindError::from(ClientError::unexpected("more than the file has"));
        match coming {
            None => Err(ClientError::unexpected("a piece of no file").into()),
            Some(Coming::Snapshot { mut begun, size }) => {
                if begun.len() + piece.len() as u64 > size {
                    return Err(too_much());
                }
                begun.write(piece)?;
                if begun.len() < size {
                    return Ok(Some(Coming::Snapshot { begun, size }));
                }
                let own = self.clone();
                self.blocking(move || Ok(own.with_network(|network| own.holder.finish(begun, network))?))
                    .await?;
                Ok(None)
            }
            Some(Coming::Delta { part, version, mut bytes, size }) => {
                bytes.extend_from_slice(piece);
                if bytes.len() as u64 > size {
                    return Err(too_much());
                }
                if (bytes.len() as u64) < size {
                    return Ok(Some(Coming::Delta { part, version, bytes, size }));
                }
                let holder = self.holder.clone();
                self.blocking(move || Ok(holder.put_delta(database, part, version, &bytes)?)).await?;
                Ok(None)
            }
        }
    }

    async fn adopt(&self, database: Database, versions: [u64; 2]) -> Result<OfflineCopy, MindError> {
        let own = self.clone();
        self.blocking(move || {
            let mut marks = own.load_marks()?;
            let adopt =
                own.with_network(|network| own.holder.adopt(database, versions, network, &mut marks))?;
            own.save_marks(&marks)?;
            Ok(adopt)
        })
        .await
    }

    /// Hands in what was asked of the copies; how many searches. Each stands in the hub's journal once, however often this
    /// is begun.
    ///
    /// # Errors
    /// [`MindError::Client`]: what is left is handed in the next time.
    ///
    /// # Cancel safety
    /// As after a crash: nothing is lost or there twice.
    pub async fn hand_in(&self, copies: &Copies) -> Result<u64, MindError> {
        let mut handed_in = 0;
        loop {
            let Some((searches, count)) = self.waiting().await? else { return Ok(handed_in) };
            let first = searches.first;
            match copies.hand_in(searches).await {
                Ok(taken) if taken >= first => {
                    self.with_list(move |list| list.let_go(taken)).await?;
                    handed_in += count.min(taken - first + 1);
                }
                Ok(_) => return Err(ClientError::unexpected("searches that were not taken").into()),
                // Another directory with the same list, or an older copy of this one.
                Err(error) if is_reused(&error) => {
                    let list = self.new_list();
                    self.with_list(move |waiting| waiting.begin_anew(list)).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is handed in next; none when nothing waits.
    async fn waiting(&self) -> Result<Option<(pb::HandInSearchesRequest, u64)>, MindError> {
        self.with_list(|list| {
            let mut bytes = 0;
            let fits = |search: &&Vec<u8>| {
                bytes += search.len();
                bytes <= SEARCHES_BYTES
            };
            let searches: Vec<Bytes> = list
                .waiting()
                .iter()
                .take(SEARCHES)
                .take_while(fits)
                .map(|search| Bytes::copy_from_slice(search))
                .collect();
            let count = searches.len() as u64;
            let request = pb::HandInSearchesRequest {
                list: Bytes::copy_from_slice(&list.id()),
                first: list.first(),
                chain: Bytes::copy_from_slice(list.chain().as_bytes()),
                searches,
                post: String::new(),
            };
            Ok((count > 0).then_some((request, count)))
        })
        .await
    }

    /// How many searches wait to be handed in.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub async fn searches_waiting(&self) -> Result<usize, MindError> {
        self.with_list(|list| Ok(list.waiting().len())).await
    }

    pub(super) async fn with_list<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut AskedList) -> Result<T, i247_records::offline::ListError> + Send + 'static,
    ) -> Result<T, MindError> {
        let (disk, dir, list) = (self.disk.clone(), self.searches.clone(), self.new_list());
        let sealed = self.sealed.clone();
        self.blocking(move || Ok(act(&mut AskedList::open(disk, sealed, &dir, list)?)?)).await
    }

    fn new_list(&self) -> [u8; 16] {
        let mut list = [0; 16];
        self.dice.fill(&mut list);
        list
    }
}

fn is_reused(error: &ClientError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.reason == Reason::NumberReused)
}
