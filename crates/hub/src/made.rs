//! The hub's own messages: reminders, escalations and hits, signed with its service key, which is good for nothing else.

use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Audience, Hash, Header, HitFound, Kind, Party};
use i247_node::Dice;
use i247_router::{Made, Stamp};
use i247_trust::{SigningKey, carry, header_hash, sign_headers};
use i247_wire::{encode_header, pb};

/// Makes them.
pub(crate) struct Maker {
    pub(crate) key: SigningKey,
    pub(crate) dice: Arc<dyn Dice>,
}

impl Maker {
    /// The messages that a decision made, in its order.
    pub(crate) fn make(&self, stamp: Stamp, made: &[Made]) -> Vec<pb::Envelope> {
        let mut headers: Vec<Bytes> = Vec::with_capacity(made.len());
        let mut bodies = Vec::with_capacity(made.len());
        for message in made {
            let mut salt = [0; 16];
            self.dice.fill(&mut salt);
            let carried = carry(&body(message), salt);
            let previous = headers.last().map(|header| header_hash(header));
            headers.push(encode_header(&self.header(
                stamp,
                message,
                previous,
                carried.body_hash,
                carried.commitment,
            )));
            bodies.push(carried.bytes);
        }
        let mut signatures = Vec::with_capacity(headers.len());
        for burst in headers.chunks(i247_trust::MAX_BURST) {
            signatures.extend(sign_headers(&self.key, burst));
        }
        headers
            .into_iter()
            .zip(bodies)
            .zip(signatures)
            .map(|((header, body), signature)| pb::Envelope { header, body, signature: Some(signature) })
            .collect()
    }

    /// The message of a hit.
    pub(crate) fn hit(&self, stamp: Stamp, made: &Made, found: &HitFound, name: &str) -> pb::Envelope {
        let mut salt = [0; 16];
        self.dice.fill(&mut salt);
        let carried = carry(&hit(stamp, found, name), salt);
        let header = encode_header(&self.header(stamp, made, None, carried.body_hash, carried.commitment));
        let signature = sign_headers(&self.key, std::slice::from_ref(&header)).pop();
        pb::Envelope { header, body: carried.bytes, signature }
    }

    fn header(
        &self,
        stamp: Stamp,
        made: &Made,
        previous: Option<Hash>,
        body_hash: Hash,
        commitment: Hash,
    ) -> Header {
        let parties = made.places.iter().map(|place| place.party);
        let countries = parties.clone().filter_map(Party::country);
        let mut audience = Audience::countries(countries);
        audience.secretariat = parties.clone().any(|party| party == Party::Secretariat);
        Header {
            // The first of an entry has no predecessor; the others name the one before.
            previous: previous.filter(|_| made.id.number > 1),
            refers_to: Some(made.refers_to.clone()),
            conversation: Some(made.refers_to.clone()),
            ..Header::bare(
                made.id.clone(),
                made.kind,
                audience,
                self.key.key_id(),
                stamp.at,
                (body_hash, commitment),
            )
        }
    }
}

fn body(made: &Made) -> pb::Body {
    let request_id = made.refers_to.to_string();
    let (subject, form) = if made.kind == Kind::Escalation {
        let silent = made.silent.iter().map(Party::to_string).collect();
        let form = pb::body::Form::Escalation(pb::Escalation { request_id: request_id.clone(), silent });
        (format!("No answer to {request_id}"), form)
    } else {
        let form = pb::body::Form::Reminder(pb::Reminder {
            request_id: request_id.clone(),
            nth: u32::from(made.nth),
        });
        (format!("Reminder of {request_id}"), form)
    };
    pb::Body { subject, language: "EN".into(), form: Some(form), ..pb::Body::default() }
}

fn hit(stamp: Stamp, found: &HitFound, name: &str) -> pb::Body {
    let form = pb::Hit {
        database: found.database.into(),
        name: name.to_owned(),
        records_id: found.records.to_string(),
        item: found.item.into(),
        owner: found.owner.to_string(),
        asker: found.asker.to_string(),
        station: found.station.to_string(),
        asked_at_ms: found.asked_at.as_millis(),
        purpose: found.purpose.into(),
        confirm_by_ms: stamp.at.plus(found.confirm_within()).as_millis(),
    };
    let subject = format!("Hit on a record of {}, asked by {}", found.owner, found.asker);
    let form = Some(pb::body::Form::Hit(form));
    pb::Body { subject, language: "EN".into(), form, ..pb::Body::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use i247_ledger::MAX_ENTRY_BYTES;
    use i247_model::{Lane, MessageId, Sender, Timestamp};
    use i247_node::SeededDice;
    use i247_router::{DEADLINES_PER_TICK, Deadline, Fired, FiredDeadline, MessageRef, Outcome, Place};
    use prost::Message as _;

    use super::*;
    use crate::entry::encode_decision;

    /// A full tick in which every addressee of requests with the longest ids is reminded.
    #[test]
    fn the_fullest_tick_fits_into_one_entry() {
        let maker = Maker { key: SigningKey::generate().unwrap(), dice: Arc::new(SeededDice::new(7)) };
        let stamp = Stamp { position: u64::MAX / 4, at: Timestamp::from_millis(1_800_000_000_000) };
        let party: Party = "FR".parse().unwrap();
        let asked: MessageId = "FR.frontiere_de_modane_nord_est_six-1-U-9223372036854775807".parse().unwrap();
        let number = u64::MAX / 2;
        let mut fired = Fired::default();
        for n in 0..DEADLINES_PER_TICK {
            let deadline = Deadline {
                at: stamp.at,
                message: MessageRef { position: number, n: 0 },
                addressee: Some(party),
            };
            let outcome = Outcome::Reminded { nth: 1, due: stamp.at };
            fired.deadlines.push(FiredDeadline { deadline, outcome });
            let id = MessageId {
                sender: Sender::Secretariat,
                epoch: stamp.position,
                lane: Lane::Urgent,
                number: n as u64 + 1,
            };
            let place = Place { party, number, held: false, owes: false, after: None };
            fired.made.push(Made {
                id,
                kind: Kind::Reminder,
                refers_to: asked.clone(),
                places: vec![place],
                nth: 1,
                silent: Vec::new(),
            });
        }
        let made = maker.make(stamp, &fired.made);
        let entry = pb::Entry {
            at_ms: stamp.at.as_millis(),
            input: Some(pb::entry::Input::Tick(pb::Tick::default())),
            decision: encode_decision(&i247_router::Decision::Fired(fired)),
            made,
        };
        let bytes = entry.encoded_len();
        assert!(bytes <= MAX_ENTRY_BYTES, "{bytes} bytes in one entry");
    }
}
