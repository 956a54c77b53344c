//! Files of a copy, piece by piece, to whoever may have them as long as it may. It must not read ahead of the network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::disk::{DiskFile, read_up_to};
use i247_ledger::outcome;
use i247_model::{Party, Reason, Refusal, Timestamp};
use i247_records::Database;
use i247_wire::pb::fetch_copy_response::Frame;
use i247_wire::{pb, status};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::Place;
use super::files::{Sent, leading};
use super::holders::Held;
use super::publication::Moment;
use crate::core::Core;
use crate::search::Asker;

/// Pieces that wait in a stream for the network.
pub(super) const PIECES_AHEAD: usize = 4;

/// Bytes of a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// When somebody whose file has gone should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// What is sent of a copy.
pub(crate) struct Files {
    database: Database,
    as_of: Timestamp,
    plan: pb::CopyPlan,
    /// Of the base, and of the supplement.
    sent: [Vec<Sent>; 2],
}

impl Core {
    /// What is sent to whoever asks for a copy, and its place among those who fetch.
    ///
    /// # Errors
    /// `MALFORMED`, `NOT_GRANTED`, `BUSY`, `WRONG_FIELD` where there are no copies, `READ_ONLY`.
    pub(super) async fn begin_copy(
        self: &Arc<Self>,
        asker: &Asker,
        request: &pb::FetchCopyRequest,
    ) -> Result<(Files, Place), Refusal> {
        self.check_open()?;
        let database = u8::try_from(request.database).ok().and_then(Database::from_number);
        let database = database.ok_or_else(|| Refusal::of(Reason::Malformed, "database"))?;
        let with_supplement = self.may_copy(asker, database)?;
        let Party::Bureau(country) = asker.party else {
            return Err(Refusal::of(Reason::NotAuthorised, "identity"));
        };
        let place = self.copies.enter(&asker.identity)?;
        let (told, newest) = oneshot::channel();
        let as_of = self.clock.now();
        let moment = {
            let views = self.views();
            Moment { as_of, end: views.position, fed_at: views.fed_at }
        };
        let copies = self.copies.clone();
        // A task of its own: it is published to its end, although the asker may be gone.
        self.streams.spawn(async move { drop(told.send(copies.newest(database, country, moment).await)) });
        let stopped = || Refusal::of(Reason::Busy, "copies").retry_after(COME_AGAIN);
        let newest = newest.await.map_err(|_| stopped())??;
        let [base, supplement] = newest.files;
        let held = |held: &Option<pb::PartHeld>| held.unwrap_or_default();
        let [base_version, mut supplement_version] = newest.versions;
        let base = leading(&base, base_version, &held(&request.base));
        let mut supplement = leading(&supplement, supplement_version, &held(&request.supplement));
        if !with_supplement {
            (supplement, supplement_version) = (Vec::new(), 0);
        }
        let sent = [base, supplement];
        let bytes = sent.iter().flatten().map(|sent| sent.file.bytes - sent.from).sum();
        let plan = pb::CopyPlan { base_version, supplement_version, bytes };
        Ok((Files { database, as_of: newest.as_of, plan, sent }, place))
    }
}

/// Sends a copy to its end, or until it may not be had any more.
pub(super) async fn send(
    core: Arc<Core>,
    asker: Asker,
    files: Files,
    _place: Place,
    stream: mpsc::Sender<Result<pb::FetchCopyResponse, Status>>,
) {
    let stop = core.streams.stop();
    let sending = async {
        let Files { database, as_of, plan, sent } = files;
        tell(&stream, Frame::Plan(plan)).await?;
        for (supplement, sent) in sent.into_iter().enumerate().map(|(at, sent)| (at == 1, sent)) {
            for sent in sent {
                file(&core, (&asker, database), supplement, sent, &stream).await?;
            }
        }
        // All of it was taken for the network.
        stream.reserve_many(PIECES_AHEAD).await.map_err(|_| Ended::Gone)?;
        let versions = [plan.base_version, plan.supplement_version];
        let held = Held { versions, as_of, fetched_at: core.clock.now() };
        core.copies.holders.fetched(database, asker.identity.clone(), held).await;
        Ok(())
    };
    if let Some(Err(Ended::Refused(refusal))) = stop.run_until_cancelled(sending).await {
        // Whoever fetches may be gone.
        drop(stream.send(Err(status(&core.count(&asker.identity, refusal)))).await);
    }
}

/// Why a stream ends early.
enum Ended {
    /// Nobody reads it any more.
    Gone,
    Refused(Refusal),
}

async fn file(
    core: &Arc<Core>,
    (asker, database): (&Asker, Database),
    supplement: bool,
    Sent { file, from }: Sent,
    stream: &mpsc::Sender<Result<pb::FetchCopyResponse, Status>>,
) -> Result<(), Ended> {
    let open = open(core, file.path).await.map_err(Ended::Refused)?;
    let head = pb::CopyFile {
        supplement,
        delta: file.delta,
        version: file.version,
        size_bytes: file.bytes,
        from_byte: from,
    };
    tell(stream, Frame::File(head)).await?;
    let mut at = from;
    while at < file.bytes {
        // What is granted may have become less since the last piece.
        let with_supplement = core.may_copy(asker, database).map_err(Ended::Refused)?;
        if supplement && !with_supplement {
            return Err(Ended::Refused(Refusal::of(Reason::NotGranted, "grant.supplement")));
        }
        let left = usize::try_from(file.bytes - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = piece(core, &open, at, left).await.map_err(Ended::Refused)?;
        at += piece.len() as u64;
        tell(stream, Frame::Piece(piece)).await?;
    }
    Ok(())
}

async fn tell(
    stream: &mpsc::Sender<Result<pb::FetchCopyResponse, Status>>,
    frame: Frame,
) -> Result<(), Ended> {
    stream.send(Ok(pb::FetchCopyResponse { frame: Some(frame) })).await.map_err(|_| Ended::Gone)
}

async fn open(core: &Core, path: PathBuf) -> Result<Arc<dyn DiskFile>, Refusal> {
    let disk = core.copies.disk.clone();
    let opened = outcome(&*core.blocking, move || disk.open_read(&path)).await;
    // A newer version has taken its place.
    opened.and_then(Result::ok).ok_or_else(|| Refusal::of(Reason::Busy, "copies").retry_after(COME_AGAIN))
}

async fn piece(core: &Core, file: &Arc<dyn DiskFile>, at: u64, bytes: usize) -> Result<Bytes, Refusal> {
    let file = file.clone();
    let read = outcome(&*core.blocking, move || {
        let mut piece = vec![0; bytes];
        let count = read_up_to(&*file, &mut piece, at)?;
        piece.truncate(count);
        Ok::<_, std::io::Error>(Bytes::from(piece))
    });
    let unreadable = || {
        tracing::error!("a file of an offline copy cannot be read");
        Refusal::of(Reason::ReadOnly, "copies").retry_after(COME_AGAIN)
    };
    read.await.and_then(Result::ok).filter(|piece| piece.len() == bytes).ok_or_else(unreadable)
}
