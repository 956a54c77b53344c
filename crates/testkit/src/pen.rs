//! A member that numbers, chains, signs and submits envelopes by hand, one call each: for stories about what the hub
//! refuses, and for whoever wants to see how little a client needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Class, CountryCode, Hash, Lane, MessageId, Reason, Refusal, Sender};
use i247_node::{Clock, Dice, Seams};
use i247_trust::{Credentials, SigningKey, carry, header_hash, sign_headers};
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use i247_wire::{known, pb};
use prost::Message as _;
use tonic::transport::Channel;

use crate::error::WorldError;

/// Writes under one identity. It keeps its numbers in memory only.
#[derive(Debug)]
pub struct Pen {
    country: CountryCode,
    credentials: Credentials,
    service: ExchangeServiceClient<Channel>,
    /// Last number of each lane, and the hash of its header.
    ends: BTreeMap<Lane, (u64, Hash)>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

/// A message before it is signed. Everything may be changed.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What will be signed.
    pub header: pb::Header,
    /// The body as carried.
    pub body: Bytes,
}

impl Pen {
    pub(crate) fn new(
        country: CountryCode,
        credentials: Credentials,
        channel: Channel,
        seams: &Seams,
    ) -> Self {
        Self {
            country,
            credentials,
            service: ExchangeServiceClient::new(channel),
            ends: BTreeMap::new(),
            clock: seams.clock.clone(),
            dice: seams.dice.clone(),
        }
    }

    /// Its keys and certificates.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The hub's service, for its other calls.
    pub fn service(&self) -> ExchangeServiceClient<Channel> {
        self.service.clone()
    }

    /// Goes on over another connection: a hub that was started again has another address.
    pub fn continue_over(&mut self, channel: Channel) {
        self.service = ExchangeServiceClient::new(channel);
    }

    /// A draft under the next number of its lane.
    ///
    /// # Panics
    /// When the draft has no lane or body: it stands in the program text.
    pub fn letter(&self, draft: pb::Draft) -> Letter {
        let lane: Lane = known::<pb::Lane, Lane>(draft.lane, "lane").expect("a lane");
        let end = self.ends.get(&lane);
        let id = MessageId {
            sender: Sender::Bureau(self.country),
            epoch: 1,
            lane,
            number: end.map_or(0, |(number, _)| *number) + 1,
        };
        let header = pb::Header {
            version: 1,
            id: id.to_string(),
            key_id: bytes(&self.credentials.signing_key.key_id()),
            previous: end.map(|(_, hash)| bytes(hash)).unwrap_or_default(),
            kind: draft.kind,
            refers_to: draft.refers_to,
            audience: draft.audience,
            signed_at_ms: self.clock.now().as_millis(),
            expires_at_ms: draft.expires_at_ms,
            reply_by_ms: draft.reply_by_ms,
            reply_stage: draft.reply_stage,
            reply_to_all: draft.reply_to_all,
            operation: draft.operation,
            attachments: draft.attachments,
            explained_at: draft.explained_at,
            exactly: draft.exactly,
            ..pb::Header::default()
        };
        let mut letter = Letter { header, body: Bytes::new() };
        letter.say(&draft.body.expect("a body"), &*self.dice);
        letter
    }

    /// Another body for the letter, with the hashes that bind it.
    pub fn say(&self, letter: &mut Letter, body: &pb::Body) {
        letter.say(body, &*self.dice);
    }

    /// Signs it as it stands.
    pub fn sign(&self, letter: &Letter) -> pb::Envelope {
        sign(&self.credentials.signing_key, letter)
    }

    /// Submits it and notes what became of its number.
    ///
    /// # Errors
    /// [`WorldError::Client`] with the hub's refusal, or without one when there was no answer.
    pub async fn submit(&mut self, envelope: &pb::Envelope) -> Result<pb::Acceptance, WorldError> {
        let request = pb::SubmitRequest { envelope: Some(envelope.clone()) };
        let answer = self.service.submit(request).await;
        let result = match answer {
            Ok(answer) => answer.into_inner().result.and_then(|result| result.result),
            Err(status) => match i247_wire::refusal(&status) {
                Some(refusal) => Some(pb::submit_result::Result::Refusal((&refusal).into())),
                None => return Err(WorldError::Connect(status.to_string())),
            },
        };
        let outcome = match result {
            Some(pb::submit_result::Result::Acceptance(signed)) => {
                let acceptance = pb::Acceptance::decode(signed.payload);
                Ok(acceptance.map_err(|error| WorldError::Connect(error.to_string()))?)
            }
            Some(pb::submit_result::Result::Refusal(refusal)) => Err(Refusal::try_from(refusal)
                .unwrap_or_else(|unreadable| Refusal { reason: Reason::Malformed, ..unreadable })),
            None => return Err(WorldError::Connect("a result without a result".into())),
        };
        if outcome.as_ref().map_or_else(|refusal| refusal.reason.class() == Class::No, |_| true) {
            self.spent(envelope);
        }
        outcome.map_err(|refusal| WorldError::Client(refusal.into()))
    }

    /// The number of this envelope is used up.
    fn spent(&mut self, envelope: &pb::Envelope) {
        let id = pb::Header::decode(envelope.header.clone()).ok().and_then(|header| header.id.parse().ok());
        let Some(MessageId { sender, lane, number, .. }) = id else { return };
        if sender != Sender::Bureau(self.country) {
            return;
        }
        if self.ends.get(&lane).is_none_or(|(last, _)| *last < number) {
            self.ends.insert(lane, (number, header_hash(&envelope.header)));
        }
    }
}

impl Letter {
    fn say(&mut self, body: &pb::Body, dice: &dyn Dice) {
        let mut salt = [0; 16];
        dice.fill(&mut salt);
        let carried = carry(body, salt);
        self.header.body_hash = bytes(&carried.body_hash);
        self.header.commitment = bytes(&carried.commitment);
        self.body = carried.bytes;
    }
}

/// Signs a letter with any key.
///
/// # Panics
/// Never: one header is a burst.
pub fn sign(key: &SigningKey, letter: &Letter) -> pb::Envelope {
    let header = Bytes::from(letter.header.encode_to_vec());
    let signature = sign_headers(key, std::slice::from_ref(&header)).pop();
    pb::Envelope { header, body: letter.body.clone(), signature }
}

fn bytes(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}
