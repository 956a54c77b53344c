//! Brings an attachment to the hub: asks what is there, sends the rest. It must not decide when.

use bytes::Bytes;
use i247_ledger::attachments::AttachmentError;
use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::put_attachment_request::Frame;

use crate::attachments::{Attachments, Whole};
use crate::link::{CALL_WITHIN, Exchange, TRANSFER_WITHIN, within};

/// Why an attachment did not get to the hub.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The hub, or the way to it. Another attempt may succeed.
    #[error("the hub did not take it: {:?}", .0.code())]
    Hub(#[from] tonic::Status),
    /// It cannot be read now.
    #[error("the disk did not answer")]
    Disk(#[from] AttachmentError),
    /// What is stored here is not whole, and the hub does not have it.
    #[error("it is damaged here")]
    Damaged,
}

/// Uploads an attachment that is stored here. What the hub holds already is not sent again.
///
/// # Cancel safety
/// Broken off anywhere, the next upload goes on where this one stopped.
pub(crate) async fn upload(
    mut exchange: Exchange,
    attachments: &Attachments,
    attachment: Hash,
) -> Result<(), UploadError> {
    let commitment = Bytes::copy_from_slice(attachment.as_bytes());
    let asked = pb::FindAttachmentRequest { commitment };
    let found = within(CALL_WITHIN, exchange.find_attachment(asked)).await?.into_inner();
    if found.complete {
        return Ok(());
    }
    let _room = attachments.room().await;
    let whole = attachments.load(attachment).await?.ok_or(UploadError::Damaged)?;
    let frames = tokio_stream::iter(frames(&whole, found.chunks));
    let put = within(TRANSFER_WITHIN, exchange.put_attachment(frames)).await?;
    if put.into_inner().complete {
        return Ok(());
    }
    Err(i247_wire::status(&Refusal::of(Reason::AttachmentMissing, "attachment")).into())
}

/// The manifest, then the chunks from `first` on.
fn frames(whole: &Whole, first: u32) -> Vec<pb::PutAttachmentRequest> {
    let manifest = pb::PutAttachmentRequest { frame: Some(Frame::Manifest(whole.manifest.clone())) };
    let chunks = (0..).zip(whole.chunks()).skip(first as usize).map(|(index, data)| {
        pb::PutAttachmentRequest { frame: Some(Frame::Chunk(pb::AttachmentChunk { index, data })) }
    });
    std::iter::once(manifest).chain(chunks).collect()
}
