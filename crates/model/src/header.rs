//! The header of a message: what the hub must act on, and nothing about persons.

use crate::{Audience, Hash, Kind, MessageId, Name, ReplyStage, Timestamp};

/// The last checkpoint of the log that the signer had seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which log.
    pub log_id: Vec<u8>,
    /// How many entries it had.
    pub size: u64,
    /// The root of its tree.
    pub root: Vec<u8>,
}

/// A header, decoded and valid in itself.
///
/// What is signed is the encoded bytes; this is only the reader's view of them. Attributable it
/// becomes by `trust::open`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Who, which epoch, which lane, which number.
    pub id: MessageId,
    /// SHA-256 of the signing key's `SubjectPublicKeyInfo`.
    pub key_id: Hash,
    /// Hash of the sender's previous header in this epoch and lane; none for number 1.
    pub previous: Option<Hash>,
    /// What it is.
    pub kind: Kind,
    /// The message that it answers, changes or takes back.
    pub refers_to: Option<MessageId>,
    /// The first message of the exchange, when this is not it.
    pub conversation: Option<MessageId>,
    /// Who is to receive it.
    pub audience: Audience,
    /// When it was signed, by the sender's clock.
    pub signed_at: Timestamp,
    /// Not delivered after this.
    pub expires_at: Option<Timestamp>,
    /// When replies are due (requests only).
    pub reply_by: Option<Timestamp>,
    /// How far the answer goes (replies only).
    pub reply_stage: Option<ReplyStage>,
    /// Replies may go to every addressee (requests only).
    pub reply_to_all: bool,
    /// The operation that it belongs to: letters, digits and dashes, at most 64 bytes.
    pub operation: Option<String>,
    /// The seat of the officer who acted.
    pub seat: Option<Name>,
    /// The national service spoken for.
    pub service: Option<Name>,
    /// W3C traceparent of the sending span.
    pub traceparent: Option<String>,
    /// The last checkpoint that the signer had seen.
    pub seen: Option<Seen>,
    /// SHA-256 of the body as carried.
    pub body_hash: Hash,
    /// SHA-256 over salt and plaintext.
    pub commitment: Hash,
    /// Merkle root over the key wraps of a sealed body.
    pub wraps_root: Option<Hash>,
    /// Commitments of the attachments.
    pub attachments: Vec<Hash>,
    /// The directory position of the explanation that the sender saw.
    pub explained_at: Option<u64>,
    /// Refused when a member has come to the audience or left it since then.
    pub exactly: bool,
}

impl Header {
    /// One that says what each must, and nothing besides. The last are the hash of the body as carried, and its
    /// commitment.
    pub fn bare(
        id: MessageId,
        kind: Kind,
        audience: Audience,
        key_id: Hash,
        signed_at: Timestamp,
        (body_hash, commitment): (Hash, Hash),
    ) -> Self {
        Self {
            id,
            key_id,
            previous: None,
            kind,
            refers_to: None,
            conversation: None,
            audience,
            signed_at,
            expires_at: None,
            reply_by: None,
            reply_stage: None,
            reply_to_all: false,
            operation: None,
            seat: None,
            service: None,
            traceparent: None,
            seen: None,
            body_hash,
            commitment,
            wraps_root: None,
            attachments: Vec::new(),
            explained_at: None,
            exactly: false,
        }
    }
}
