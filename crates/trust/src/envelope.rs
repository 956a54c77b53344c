//! Opening envelopes: who signed a message, and that it is whole.
//!
//! The cheap checks come first, the signature last: bad input costs little, and the signatures of
//! what is left are verified together. What is signed is the header's bytes as carried; nobody
//! encodes them again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Hash, Header, Identity, Kind, Reason, Refusal, Timestamp};
use i247_wire::{decode_canonical_header, decode_header, pb};

use crate::body::MAX_CARRIED_BYTES;
use crate::burst::claimed;
use crate::key::{Claim, verify_batch};
use crate::{Signer, batch, header_hash, sha256};

/// How far a header may be dated ahead of the hub's clock.
pub const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);

/// Which side opens an envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// The hub, at submission: the header must be canonical and the body there.
    Submission,
    /// An addressee, or a reader of the log: fields that are not known are ignored, and an erased body
    /// does not make the header less true.
    Delivery,
}

/// A message that is proved to come from its signer. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Attested {
    header: Header,
    header_hash: Hash,
    signer: Arc<Signer>,
    envelope: pb::Envelope,
}

impl Attested {
    /// The header, decoded.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header's bytes, as signed.
    pub fn header_bytes(&self) -> &Bytes {
        &self.envelope.header
    }

    /// The hash by which the header is chained, logged and signed.
    pub fn header_hash(&self) -> Hash {
        self.header_hash
    }

    /// Who signed it.
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// The body as carried, checked against the header's hash; none when it was erased.
    pub fn body(&self) -> Option<&Bytes> {
        Some(&self.envelope.body).filter(|body| !body.is_empty())
    }

    /// The envelope as it came.
    pub fn envelope(&self) -> &pb::Envelope {
        &self.envelope
    }

    /// Header and envelope, for whoever keeps them.
    pub fn into_parts(self) -> (Header, pb::Envelope) {
        (self.header, self.envelope)
    }
}

/// Opens an envelope at an addressee.
///
/// `now` is when the message reached the hub: the stamp on its delivery. `signer_of` finds the signer of
/// a key id.
///
/// # Errors
/// `MALFORMED`, `TOO_LARGE`, `UNKNOWN_KEY`, `CERTIFICATE_NOT_IN_FORCE`, `WRONG_SENDER`,
/// `NOT_AUTHORISED`, `FUTURE_DATED`, `BODY_MISMATCH`, `BAD_SIGNATURE`.
pub fn open(
    envelope: &pb::Envelope,
    now: Timestamp,
    signer_of: impl Fn(&Hash) -> Option<Arc<Signer>>,
) -> Result<Attested, Refusal> {
    open_one(envelope, Door::Delivery, now, &|header| signer_of(&header.key_id))
}

/// Opens an envelope at the hub. `now` is the hub's clock.
///
/// # Errors
/// As [`open`], and `NOT_CANONICAL`.
pub fn open_submission(
    envelope: &pb::Envelope,
    now: Timestamp,
    signer_of: impl Fn(&Hash) -> Option<Arc<Signer>>,
) -> Result<Attested, Refusal> {
    open_one(envelope, Door::Submission, now, &|header| signer_of(&header.key_id))
}

/// Opens several envelopes, which need not be of one signer, with the answers that each would get alone.
/// A signature that serves several of them is verified once, different ones together. `signer_of` finds whoever had
/// the key of a header when that was signed: certificates of one key follow each other.
pub fn open_many(
    envelopes: &[pb::Envelope],
    door: Door,
    now: Timestamp,
    signer_of: impl Fn(&Header) -> Option<Arc<Signer>>,
) -> Vec<Result<Attested, Refusal>> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut places: BTreeMap<Hash, usize> = BTreeMap::new();
    let mut opened: Vec<Result<(Attested, usize), Refusal>> = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        opened.push(check(envelope, door, now, &signer_of).map(|(attested, claim)| {
            let place = *places.entry(claim.digest()).or_insert(claims.len());
            if place == claims.len() {
                claims.push(claim);
            }
            (attested, place)
        }));
    }
    let holds = verify_batch(&claims);
    let answer = |(attested, place): (Attested, usize)| holds[place].then_some(attested).ok_or_else(unsigned);
    opened.into_iter().map(|result| result.and_then(answer)).collect()
}

fn open_one(
    envelope: &pb::Envelope,
    door: Door,
    now: Timestamp,
    signer_of: &impl Fn(&Header) -> Option<Arc<Signer>>,
) -> Result<Attested, Refusal> {
    let (attested, claim) = check(envelope, door, now, signer_of)?;
    if claim.key.signed(&claim.message, &claim.signature) { Ok(attested) } else { Err(unsigned()) }
}

fn unsigned() -> Refusal {
    Refusal::of(Reason::BadSignature, "signature")
}

/// All but the signature: the claim that is left to verify makes the rest true.
fn check(
    envelope: &pb::Envelope,
    door: Door,
    now: Timestamp,
    signer_of: &impl Fn(&Header) -> Option<Arc<Signer>>,
) -> Result<(Attested, Claim), Refusal> {
    let header = match door {
        Door::Submission => decode_canonical_header(&envelope.header)?,
        Door::Delivery => decode_header(&envelope.header)?,
    };
    if envelope.body.len() > MAX_CARRIED_BYTES {
        return Err(Refusal::of(Reason::TooLarge, "body"));
    }
    let signature = envelope.signature.as_ref().ok_or_else(unsigned)?;
    let signer = signer_of(&header).ok_or_else(|| Refusal::of(Reason::UnknownKey, "key_id"))?;
    if signer.key.key_id() != header.key_id {
        return Err(Refusal::of(Reason::UnknownKey, "key_id"));
    }
    if !signer.in_force(header.signed_at) || !signer.in_force(now) {
        return Err(Refusal::of(Reason::CertificateNotInForce, "key_id"));
    }
    check_sender(&header, &signer.identity)?;
    let ahead = header.signed_at.since(now);
    if ahead > MAX_AHEAD {
        return Err(Refusal::of(Reason::FutureDated, "signed_at_ms").retry_after(ahead - MAX_AHEAD));
    }
    let erased = door == Door::Delivery && envelope.body.is_empty();
    match header.kind {
        _ if erased => {}
        Kind::Records => batch::check(&envelope.body, &header, door)?,
        _ if sha256(&[&envelope.body]) == header.body_hash => {}
        _ => return Err(Refusal::of(Reason::BodyMismatch, "body")),
    }
    let header_hash = header_hash(&envelope.header);
    let (message, bytes) = claimed(signature, header_hash)?;
    let claim = Claim { key: signer.key, message, signature: bytes };
    Ok((Attested { header, header_hash, signer, envelope: envelope.clone() }, claim))
}

/// Whether this identity signs under this name, and messages of this kind at all.
fn check_sender(header: &Header, signer: &Identity) -> Result<(), Refusal> {
    if signer.sender().as_ref() != Some(&header.id.sender) {
        return Err(Refusal::of(Reason::WrongSender, "id"));
    }
    // The hub has no key that anybody accepts for what people decide.
    let of_the_hub = matches!(header.kind, Kind::Reminder | Kind::Escalation | Kind::Hit);
    if matches!(signer, Identity::Hub(_)) != of_the_hub {
        return Err(Refusal::of(Reason::NotAuthorised, "kind"));
    }
    Ok(())
}
