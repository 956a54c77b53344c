//! Attachments at the hub: taken in before the message that names them, given to its audience only.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::attachments::{AttachmentError, Layout};
use i247_model::{MessageId, Party, Reason, Refusal};
use i247_trust::sha256;
use i247_wire::{hash, parsed, pb, status};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::core::Core;
use crate::exchange::missing;
use crate::{past, predecessors};

/// Chunks that wait in a stream for the network.
const CHUNKS_AHEAD: usize = 4;

/// When whoever has too much here should come again.
const COME_AGAIN: Duration = Duration::from_secs(60);

/// Removes what no message names, every `period`.
pub(crate) async fn sweep(core: Arc<Core>, period: Duration, stop: CancellationToken) {
    loop {
        // Dropping the wait loses nothing.
        tokio::select! {
            () = i247_node::sleep_on(&*core.clock, period) => {}
            () = stop.cancelled() => return,
        }
        match core.attachments.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "attachments that no message names were removed"),
            Err(error) => tracing::error!(%error, "cannot remove attachments"),
        }
    }
}

pub(crate) async fn find(
    core: &Core,
    request: pb::FindAttachmentRequest,
) -> Result<pb::FindAttachmentResponse, Status> {
    let name = hash(&request.commitment, "commitment").map_err(|refusal| status(&refusal))?;
    let complete = core.attachments.complete(*name.as_bytes()).await.map_err(refused)?;
    let read =
        |manifest: Bytes| pb::AttachmentManifest::decode(manifest).ok().and_then(|one| layout(&one).ok());
    let chunks = if complete {
        0
    } else {
        core.attachments.progress(*name.as_bytes(), read).await.map_err(refused)?
    };
    Ok(pb::FindAttachmentResponse { chunks, complete })
}

pub(crate) async fn put(
    core: &Core,
    party: Party,
    mut frames: Streaming<pb::PutAttachmentRequest>,
) -> Result<pb::PutAttachmentResponse, Status> {
    use pb::put_attachment_request::Frame;
    let first = frames.message().await?.and_then(|request| request.frame);
    let Some(Frame::Manifest(manifest)) = first else { return Err(missing("manifest")) };
    let layout = layout(&manifest).map_err(refused)?;
    let commitment = Bytes::copy_from_slice(&layout.name);
    let mut upload = core.attachments.begin(layout, &party.to_string()).await.map_err(refused)?;
    while let Some(request) = frames.message().await? {
        let Some(Frame::Chunk(chunk)) = request.frame else { return Err(missing("chunk")) };
        // Sent again after a break: what is there stays.
        if chunk.index < upload.chunks() {
            continue;
        }
        upload = core.attachments.put(upload, chunk.index, chunk.data).await.map_err(refused)?;
    }
    let complete = core.attachments.finish(upload).await.map_err(refused)?;
    Ok(pb::PutAttachmentResponse { commitment, complete })
}

pub(crate) async fn fetch(
    core: Arc<Core>,
    party: Party,
    request: pb::FetchAttachmentRequest,
) -> Result<ReceiverStream<Result<pb::FetchAttachmentResponse, Status>>, Status> {
    let name = hash(&request.commitment, "commitment").map_err(|refusal| status(&refusal))?;
    let id: MessageId = parsed(&request.message_id, "message_id").map_err(|refusal| status(&refusal))?;
    // Whoever may not have it learns nothing, not even whether it exists.
    let absent = || {
        let refusal = Refusal::of(Reason::UnknownReference, "message_id");
        status(&predecessors::perhaps_lost(&core.views, refusal, core.clock.now()))
    };
    let at = {
        let found = past::entered(&core, &id).await.map_err(|refusal| status(&refusal))?;
        let message = found.and_then(|found| found.message).ok_or_else(absent)?;
        let sent = message.id.sender.party() == party;
        let received = message.recipients.get(&party).is_some_and(|recipient| recipient.state.has_it());
        // Handed out on its stream and not yet acknowledged counts as well: it may fetch before it signs.
        let handed = message.recipients.get(&party).is_some_and(|recipient| {
            core.links.find(party).is_some_and(|link| link.handed(id.lane) >= recipient.number)
        });
        if !sent && !received && !handed {
            return Err(absent());
        }
        message.at
    };
    let stored = core.recent.find(&*core.ledger, at).await.map_err(|refusal| status(&refusal))?;
    let header = i247_wire::decode_header(&stored.envelope.header).map_err(|refusal| status(&refusal))?;
    if !header.attachments.contains(&name) {
        return Err(absent());
    }
    let manifest = core.attachments.manifest(*name.as_bytes()).await.map_err(refused)?;
    let manifest = pb::AttachmentManifest::decode(manifest).map_err(|_| missing("manifest"))?;
    let layout = layout(&manifest).map_err(refused)?;
    let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD);
    let streams = core.streams.clone();
    streams.spawn(send_chunks(core, manifest, layout, request.first_chunk, chunks));
    Ok(ReceiverStream::new(stream))
}

async fn send_chunks(
    core: Arc<Core>,
    manifest: pb::AttachmentManifest,
    layout: Layout,
    first: u32,
    stream: mpsc::Sender<Result<pb::FetchAttachmentResponse, Status>>,
) {
    use pb::fetch_attachment_response::Frame;
    let count = u32::try_from(layout.chunks.len()).unwrap_or(u32::MAX);
    let frame = |frame| pb::FetchAttachmentResponse { frame: Some(frame) };
    if stream.send(Ok(frame(Frame::Manifest(manifest)))).await.is_err() {
        return;
    }
    for index in first..count {
        let chunk = core.attachments.chunk(layout.clone(), index).await;
        let sent = match chunk {
            Ok(data) => Ok(frame(Frame::Chunk(pb::AttachmentChunk { index, data }))),
            Err(error) => Err(refused(error)),
        };
        let failed = sent.is_err();
        if stream.send(sent).await.is_err() || failed {
            return;
        }
    }
}

/// What a manifest says, if it can be.
fn layout(manifest: &pb::AttachmentManifest) -> Result<Layout, AttachmentError> {
    let mut chunks = Vec::with_capacity(manifest.chunks.len().min(1024));
    for chunk in &manifest.chunks {
        let chunk: [u8; 32] = chunk
            .as_ref()
            .try_into()
            .map_err(|_| AttachmentError::Manifest("a chunk hash has not 32 bytes"))?;
        chunks.push(chunk);
    }
    let layout =
        Layout::new(manifest.encode_to_vec().into(), manifest.size_bytes, manifest.chunk_bytes, chunks)?;
    debug_assert_eq!(layout.name, *sha256(&[&layout.manifest]).as_bytes());
    Ok(layout)
}

fn refused(error: AttachmentError) -> Status {
    let refusal = match &error {
        AttachmentError::Manifest(_) => Refusal::of(Reason::Malformed, "manifest"),
        AttachmentError::Chunk(_) => Refusal {
            next_step: "send the bytes that the manifest names there".into(),
            ..Refusal::of(Reason::BodyMismatch, "chunk.data")
        },
        AttachmentError::OutOfOrder(_) => Refusal {
            next_step: "go on with that one".into(),
            ..Refusal::of(Reason::OutOfOrder, "chunk.index")
        },
        AttachmentError::Absent => Refusal::of(Reason::UnknownReference, "commitment"),
        AttachmentError::TooMuch { .. } => {
            let next_step = "send the messages that name what is here already, or wait until it is removed";
            Refusal {
                next_step: next_step.into(),
                ..Refusal::of(Reason::Busy, "manifest.size_bytes").retry_after(COME_AGAIN)
            }
        }
        AttachmentError::Full => Refusal::of(Reason::ReadOnly, "attachment"),
        AttachmentError::Io { .. } | AttachmentError::Cancelled => {
            tracing::error!(%error, "attachment");
            Refusal::of(Reason::ReadOnly, "attachment")
        }
    };
    status(&Refusal { next_step: format!("{error}; {}", refusal.next_step), ..refusal })
}
