//! Gives waiting messages their final header and their signature, in bursts. It must not send: what it makes is sent
//! only after it is durable.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_ledger::{Body, ReadError};
use i247_model::{Hash, Header, Lane, MessageId, Refusal, Timestamp};
use i247_trust::SigningKey;
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use i247_wire::pb::submit_result::Result as Outcome;

use crate::journal::{Journal, Note};

/// A burst that is ready once its notes are durable.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// To be written before anything is sent.
    pub(crate) notes: Vec<Note>,
    /// What was sealed now, and so was never sent before.
    pub(crate) fresh: Vec<MessageId>,
    /// To be sent, in this order.
    pub(crate) outgoing: Vec<Outgoing>,
    /// What was accepted once, and cannot be sent again.
    pub(crate) skipped: Vec<MessageId>,
}

/// What goes to the hub under a number of this bureau.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) id: MessageId,
    pub(crate) envelope: pb::Envelope,
    /// What the hub's log said of it whose end was lost.
    pub(crate) answered: Option<Outcome>,
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

impl SealError {
    /// Whether another attempt would find the same.
    fn is_final(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Read(ReadError::Damaged(_)))
    }
}

/// Where a message's parts stand in the journal.
#[derive(Clone, Copy)]
struct Places {
    draft: u64,
    sealed: Option<u64>,
    answer: Option<u64>,
    /// The hub had answered it, and lost the answer.
    again: bool,
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
        let places = {
            let views = journal.views();
            last.entry(id.lane).or_insert_with(|| views.outbox.lane(id.lane).last_hash);
            let again = views.outbox.again().contains(id);
            views.outbox.get(id).map(|sent| Places {
                draft: sent.draft_at_entry(),
                sealed: sent.sealed.map(|sealed| sealed.at_entry),
                // The answer to a void is not one to the message whose number it takes.
                answer: sent.answered_at_entry.filter(|_| again && sent.voided_at_entry.is_none()),
                again,
            })
        };
        let places = places.ok_or_else(|| broken(id, "it is not in the outbox"))?;
        let read = if let Some(at) = places.sealed {
            sealed(journal, id, &places, at).await
        } else {
            let previous = last.entry(id.lane).or_default();
            let unsigned = unsigned(journal, id, &places, key, now, *previous).await;
            if let Ok(outgoing) = &unsigned {
                let header = outgoing.envelope.header.clone();
                *previous = Some(i247_trust::header_hash(&header));
                fresh.push((burst.outgoing.len(), id.clone(), header));
            }
            unsigned
        };
        match read {
            Ok(outgoing) => burst.outgoing.push(outgoing),
            // The promise was kept once; what can be done now is up to those who have it.
            Err(error) if places.again && error.is_final() => {
                tracing::error!(
                    message_id = %id, %error,
                    "the recovered hub lacks it and it cannot be sent again: its recipients must hand it over"
                );
                burst.skipped.push(id.clone());
            }
            Err(error) => return Err(error),
        }
    }
    sign(key, &fresh, &mut burst);
    Ok(burst)
}

fn broken(id: &MessageId, what: &str) -> SealError {
    SealError::Broken { id: id.clone(), what: what.into() }
}

/// A message with the seal that it has, as it was sent before.
async fn sealed(journal: &Journal, id: &MessageId, places: &Places, at: u64) -> Result<Outgoing, SealError> {
    let (_, body) = draft(journal, id, places).await?;
    let (entry, _) = journal.read(at).await?;
    let Some(Event::Sealed(sealed)) = entry.event else { return Err(broken(id, "its seal is gone")) };
    let answered = match places.answer {
        Some(at) => answer(journal.read(at).await?.0),
        None => None,
    };
    let envelope = pb::Envelope { header: sealed.header, body, signature: sealed.signature };
    Ok(Outgoing { id: id.clone(), envelope, answered })
}

/// A message with its final header, to be signed with the burst.
async fn unsigned(
    journal: &Journal,
    id: &MessageId,
    places: &Places,
    key: &SigningKey,
    now: Timestamp,
    previous: Option<Hash>,
) -> Result<Outgoing, SealError> {
    let (header, body) = draft(journal, id, places).await?;
    let header = finish(header, key, now, previous).map_err(|refusal| broken(id, &refusal.to_string()))?;
    let envelope = pb::Envelope { header, body, signature: None };
    Ok(Outgoing { id: id.clone(), envelope, answered: None })
}

/// What the desk took, or the void that takes its number.
async fn draft(journal: &Journal, id: &MessageId, places: &Places) -> Result<(pb::Header, Bytes), SealError> {
    let (entry, body) = journal.read(places.draft).await?;
    let Body::Present(body) = body else { return Err(broken(id, "its body is gone")) };
    let header = match entry.event {
        Some(Event::Accepted(accepted)) => accepted.header,
        Some(Event::Voided(voided)) => voided.header,
        _ => None,
    };
    Ok((header.ok_or_else(|| broken(id, "its draft is gone"))?, body))
}

/// The hub's answer in an entry.
fn answer(entry: pb::JournalEntry) -> Option<Outcome> {
    let Some(Event::Answered(answered)) = entry.event else { return None };
    answered.result?.result
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
            burst.outgoing[*place].envelope.signature = Some(signature.clone());
            let sealed =
                pb::JournalSealed { id: id.to_string(), header: header.clone(), signature: Some(signature) };
            burst.notes.push(Event::Sealed(sealed).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_accepted_once_and_is_gone_here_is_passed_over_and_nothing_else_is() {
        use std::sync::Arc;

        use i247_ledger::Memory;
        use i247_model::Kind;

        use crate::journal::tests::opened;
        use crate::story::{about, accepted, accepted_by_hub, header, sealed, taken_over};

        let (journal, writer) = opened(&Arc::new(Memory::new())).await;
        let stop = tokio_util::sync::CancellationToken::new();
        let writing = tokio::spawn(writer.run(stop.clone()));
        let messages = ["FR-1-N-1", "FR-1-N-2"].map(|id| header(id, Kind::FreeText));
        let mut notes: Vec<Note> = Vec::new();
        for (message, body) in messages.iter().zip([None, Some(Bytes::from_static(b"carried"))]) {
            notes.push(Note { event: accepted(message, about(""), "").event.unwrap(), body });
            notes.push(sealed(message).event.unwrap().into());
        }
        journal.write(notes).await.unwrap();
        let key = SigningKey::generate().unwrap();
        let ids = messages.clone().map(|message| message.id);
        let now = Timestamp::from_millis(1000);
        let waiting = seal(&journal, &key, now, &ids).await;
        assert!(matches!(waiting, Err(SealError::Broken { id, .. }) if id == ids[0]));

        let answered = [11, 12].into_iter().zip(&messages).map(|(at, message)| accepted_by_hub(message, at));
        let lost = answered.chain([taken_over("log", "log two", 10, [0; 4], 0)]);
        let notes = lost.map(|entry| entry.event.unwrap().into()).collect();
        journal.write(notes).await.unwrap();
        let burst = seal(&journal, &key, now, &ids).await.unwrap();
        assert_eq!(burst.skipped, ids[..1]);
        let sent: Vec<(&MessageId, bool)> =
            burst.outgoing.iter().map(|outgoing| (&outgoing.id, outgoing.answered.is_some())).collect();
        assert_eq!(sent, [(&ids[1], true)]);
        assert_eq!((burst.notes.len(), burst.fresh.len()), (0, 0));
        stop.cancel();
        writing.await.unwrap();
    }

    #[test]
    fn what_expired_while_it_waited_is_signed_before_its_end() {
        let now = Timestamp::from_millis(5_000);
        assert_eq!(signed_at(now, 0), 5_000);
        assert_eq!(signed_at(now, 6_000), 5_000);
        assert_eq!(signed_at(now, 5_000), 4_999);
        assert_eq!(signed_at(now, 1_000), 999);
    }
}
