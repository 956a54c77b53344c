//! Gives waiting messages their final header and their signature, in bursts. It must not send: what it makes is sent
//! only after it is durable.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_ledger::{Body, ReadError};
use i247_model::{Hash, Header, Lane, MessageId, Refusal, Timestamp};
use i247_trust::SigningKey;
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;

use crate::journal::{Journal, Note};

/// A burst that is ready once its notes are durable.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// To be written before anything is sent.
    pub(crate) notes: Vec<Note>,
    /// What was sealed now, and so was never sent before.
    pub(crate) fresh: Vec<MessageId>,
    /// To be sent, in this order.
    pub(crate) envelopes: Vec<pb::Envelope>,
}

/// Why a message cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// The journal cannot be read now.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The draft in the journal is not a message, or its body is gone.
    #[error("{id} cannot be sealed: {what}")]
    Broken {
        /// Which message.
        id: MessageId,
        /// What is wrong.
        what: String,
    },
}

/// Where a message's parts stand in the journal.
struct Places {
    draft: u64,
    sealed: Option<u64>,
}

/// Seals these messages, or takes the seal that they have; per lane they follow each other in number.
pub(crate) async fn seal(
    journal: &Journal,
    key: &SigningKey,
    now: Timestamp,
    ids: &[MessageId],
) -> Result<Burst, SealError> {
    let mut burst = Burst::default();
    let mut fresh: Vec<(usize, MessageId, Bytes)> = Vec::new();
    let mut last: BTreeMap<Lane, Option<Hash>> = BTreeMap::new();
    for id in ids {
        let broken = |what: &str| SealError::Broken { id: id.clone(), what: what.into() };
        let places = {
            let views = journal.views();
            last.entry(id.lane).or_insert_with(|| views.outbox.lane(id.lane).last_hash);
            views.outbox.get(id).map(|sent| Places {
                draft: sent.draft_at_entry(),
                sealed: sent.sealed.map(|sealed| sealed.at_entry),
            })
        };
        let places = places.ok_or_else(|| broken("it is not in the outbox"))?;
        let (entry, body) = journal.read(places.draft).await?;
        let Body::Present(body) = body else { return Err(broken("its body is gone")) };
        let header = match entry.event {
            Some(Event::Accepted(accepted)) => accepted.header,
            Some(Event::Voided(voided)) => voided.header,
            _ => None,
        };
        let Some(header) = header else { return Err(broken("its draft is gone")) };
        if let Some(at) = places.sealed {
            let (entry, _) = journal.read(at).await?;
            let Some(Event::Sealed(sealed)) = entry.event else { return Err(broken("its seal is gone")) };
            burst.envelopes.push(pb::Envelope { header: sealed.header, body, signature: sealed.signature });
            continue;
        }
        let previous = last.entry(id.lane).or_default();
        let header = finish(header, key, now, *previous).map_err(|refusal| broken(&refusal.to_string()))?;
        *previous = Some(i247_trust::header_hash(&header));
        fresh.push((burst.envelopes.len(), id.clone(), header.clone()));
        burst.envelopes.push(pb::Envelope { header, body, signature: None });
    }
    sign(key, &fresh, &mut burst);
    Ok(burst)
}

/// The header as it is signed.
fn finish(
    mut header: pb::Header,
    key: &SigningKey,
    now: Timestamp,
    previous: Option<Hash>,
) -> Result<Bytes, Refusal> {
    header.key_id = Bytes::copy_from_slice(key.key_id().as_bytes());
    header.previous = previous.map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(hash.as_bytes()));
    header.signed_at_ms = signed_at(now, header.expires_at_ms);
    Ok(i247_wire::encode_header(&Header::try_from(header)?))
}

/// A message that expired while it waited is signed within its time all the same: only then can the hub refuse it and
/// spend its number. Unsigned, it would hold up its lane for ever.
fn signed_at(now: Timestamp, expires_at_ms: u64) -> u64 {
    let now = now.as_millis();
    if expires_at_ms == 0 { now } else { now.min(expires_at_ms.saturating_sub(1)) }
}

fn sign(key: &SigningKey, fresh: &[(usize, MessageId, Bytes)], burst: &mut Burst) {
    burst.fresh = fresh.iter().map(|(_, id, _)| id.clone()).collect();
    for chunk in fresh.chunks(i247_trust::MAX_BURST) {
        let headers: Vec<Bytes> = chunk.iter().map(|(_, _, header)| header.clone()).collect();
        for ((place, id, header), signature) in chunk.iter().zip(i247_trust::sign_headers(key, &headers)) {
            burst.envelopes[*place].signature = Some(signature.clone());
            let sealed =
                pb::JournalSealed { id: id.to_string(), header: header.clone(), signature: Some(signature) };
            burst.notes.push(Event::Sealed(sealed).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expired_while_it_waited_is_signed_before_its_end() {
        let now = Timestamp::from_millis(5_000);
        assert_eq!(signed_at(now, 0), 5_000);
        assert_eq!(signed_at(now, 6_000), 5_000);
        assert_eq!(signed_at(now, 5_000), 4_999);
        assert_eq!(signed_at(now, 1_000), 999);
    }
}
