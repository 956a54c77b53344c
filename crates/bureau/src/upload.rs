//! Brings an attachment to the hub: asks what is there, sends the rest. It must not decide when.

use bytes::Bytes;
use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::put_attachment_request::Frame;

use crate::attachments::{Attachments, Whole};
use crate::link::{CALL_WITHIN, Exchange, TRANSFER_WITHIN, within};

/// Uploads an attachment that is stored here. What the hub holds already is not sent again.
///
/// # Cancel safety
/// Broken off anywhere, the next upload goes on where this one stopped.
pub(crate) async fn upload(
    mut exchange: Exchange,
    attachments: &Attachments,
    attachment: Hash,
) -> Result<(), tonic::Status> {
    let commitment = Bytes::copy_from_slice(attachment.as_bytes());
    let asked = pb::FindAttachmentRequest { commitment };
    let found = within(CALL_WITHIN, exchange.find_attachment(asked)).await?.into_inner();
    if found.complete {
        return Ok(());
    }
    let _room = attachments.room().await;
    let missing = || i247_wire::status(&Refusal::of(Reason::AttachmentMissing, "attachment"));
    let loaded = attachments.load(attachment).await;
    let whole = loaded.map_err(|_| missing())?.ok_or_else(missing)?;
    let frames = tokio_stream::iter(frames(&whole, found.chunks));
    let put = within(TRANSFER_WITHIN, exchange.put_attachment(frames)).await?;
    if put.into_inner().complete { Ok(()) } else { Err(missing()) }
}

/// The manifest, then the chunks from `first` on.
fn frames(whole: &Whole, first: u32) -> Vec<pb::PutAttachmentRequest> {
    let manifest = pb::PutAttachmentRequest { frame: Some(Frame::Manifest(whole.manifest.clone())) };
    let chunks = (0..).zip(whole.chunks()).skip(first as usize).map(|(index, data)| {
        pb::PutAttachmentRequest { frame: Some(Frame::Chunk(pb::AttachmentChunk { index, data })) }
    });
    std::iter::once(manifest).chain(chunks).collect()
}
