//! Entries of the log: the stored form of an input and its decision. It must not decide, and never encodes a body.

use bytes::Bytes;
use i247_model::{Hash, Lane, NoticeId, Party, Reason, Refusal, Timestamp};
use i247_router::{
    Accepted, Deadline, Decision, Fired, FiredDeadline, Made, MessageRef, Outcome, Place, TakenBack,
};
use i247_wire::{hash, known, parsed, parsed_option, pb};

/// The stored form of a decision; none for those that are no entry.
pub(crate) fn encode_decision(decision: &Decision) -> Option<pb::Decision> {
    use pb::decision::Decision as Wire;
    let wire = match decision {
        Decision::Accepted(accepted) => Wire::Accepted(encode_accepted(accepted)),
        Decision::Void(refusal) => Wire::Void(refusal.into()),
        Decision::Noted => Wire::Noted(pb::Noted {}),
        Decision::Fired(fired) => Wire::Fired(pb::Fired {
            deadlines: fired.deadlines.iter().map(encode_deadline).collect(),
            made: fired.made.iter().map(encode_made).collect(),
        }),
        Decision::Equivocation { first } => {
            Wire::Equivocation(pb::Equivocation { first: Bytes::copy_from_slice(first.as_bytes()) })
        }
        Decision::Answered(_) | Decision::Older => return None,
    };
    Some(pb::Decision { decision: Some(wire) })
}

/// The decision in its stored form.
///
/// # Errors
/// `MALFORMED` with the field: the entry was written by something else.
pub(crate) fn decode_decision(wire: pb::Decision) -> Result<Decision, Refusal> {
    use pb::decision::Decision as Wire;
    Ok(match wire.decision.ok_or_else(|| Refusal::of(Reason::Malformed, "decision"))? {
        Wire::Accepted(accepted) => Decision::Accepted(decode_accepted(accepted)?),
        Wire::Void(refusal) => Decision::Void(refusal.try_into()?),
        Wire::Noted(_) => Decision::Noted,
        Wire::Fired(fired) => Decision::Fired(Fired {
            deadlines: fired.deadlines.into_iter().map(decode_deadline).collect::<Result<_, _>>()?,
            made: fired.made.into_iter().map(decode_made).collect::<Result<_, _>>()?,
        }),
        Wire::Equivocation(equivocation) => {
            Decision::Equivocation { first: hash(&equivocation.first, "decision.first")? }
        }
    })
}

fn encode_accepted(accepted: &Accepted) -> pb::Accepted {
    pb::Accepted {
        places: accepted.places.iter().map(encode_place).collect(),
        notice_id: accepted.notice_id.map(|id| id.to_string()).unwrap_or_default(),
        taken_back: accepted
            .taken_back
            .iter()
            .map(|back| pb::TakenBack { message_id: back.message.to_string(), party: back.party.to_string() })
            .collect(),
        come: accepted.come.iter().map(Party::to_string).collect(),
        gone: accepted.gone.iter().map(Party::to_string).collect(),
    }
}

fn decode_accepted(wire: pb::Accepted) -> Result<Accepted, Refusal> {
    let mut taken_back = Vec::with_capacity(wire.taken_back.len());
    for back in wire.taken_back {
        taken_back.push(TakenBack {
            message: parsed(&back.message_id, "decision.taken_back.message_id")?,
            party: parsed(&back.party, "decision.taken_back.party")?,
        });
    }
    Ok(Accepted {
        places: decode_places(wire.places)?,
        notice_id: parsed_option::<NoticeId>(&wire.notice_id, "decision.notice_id")?,
        taken_back,
        come: parties(&wire.come, "decision.come")?,
        gone: parties(&wire.gone, "decision.gone")?,
    })
}

fn encode_place(place: &Place) -> pb::Place {
    pb::Place {
        party: place.party.to_string(),
        number: place.number,
        held: place.held,
        owes: place.owes,
        after_lane: place.after.map_or(pb::Lane::Unspecified, |(lane, _)| lane.into()).into(),
        after_number: place.after.map_or(0, |(_, number)| number),
    }
}

fn decode_places(wire: Vec<pb::Place>) -> Result<Vec<Place>, Refusal> {
    let mut places = Vec::with_capacity(wire.len());
    for place in wire {
        let after = match place.after_number {
            0 => None,
            number => {
                Some((known::<pb::Lane, Lane>(place.after_lane, "decision.places.after_lane")?, number))
            }
        };
        places.push(Place {
            party: parsed(&place.party, "decision.places.party")?,
            number: place.number,
            held: place.held,
            owes: place.owes,
            after,
        });
    }
    Ok(places)
}

fn encode_deadline(fired: &FiredDeadline) -> pb::FiredDeadline {
    use pb::fired_deadline::Outcome as Wire;
    let Deadline { at, message, addressee } = fired.deadline;
    pb::FiredDeadline {
        at_ms: at.as_millis(),
        position: message.position,
        n: message.n,
        addressee: addressee.map(|party| party.to_string()).unwrap_or_default(),
        outcome: Some(match &fired.outcome {
            Outcome::Expired { parties, again } => Wire::Expired(pb::ExpiredAt {
                parties: parties.iter().map(Party::to_string).collect(),
                again_ms: again.map_or(0, Timestamp::as_millis),
            }),
            Outcome::Reminded { nth, due } => {
                Wire::Reminded(pb::RemindedOf { nth: u32::from(*nth), due_ms: due.as_millis() })
            }
            Outcome::Escalated => Wire::Escalated(pb::EscalatedTo {}),
        }),
    }
}

fn decode_deadline(wire: pb::FiredDeadline) -> Result<FiredDeadline, Refusal> {
    use pb::fired_deadline::Outcome as Wire;
    let malformed = |field| Refusal::of(Reason::Malformed, field);
    let deadline = Deadline {
        at: Timestamp::from_millis(wire.at_ms),
        message: MessageRef { position: wire.position, n: wire.n },
        addressee: parsed_option(&wire.addressee, "decision.deadlines.addressee")?,
    };
    let outcome = match wire.outcome.ok_or_else(|| malformed("decision.deadlines.outcome"))? {
        Wire::Expired(expired) => Outcome::Expired {
            parties: parties(&expired.parties, "decision.deadlines.parties")?,
            again: (expired.again_ms > 0).then(|| Timestamp::from_millis(expired.again_ms)),
        },
        Wire::Reminded(reminded) => Outcome::Reminded {
            nth: u8::try_from(reminded.nth).map_err(|_| malformed("decision.deadlines.nth"))?,
            due: Timestamp::from_millis(reminded.due_ms),
        },
        Wire::Escalated(_) => Outcome::Escalated,
    };
    Ok(FiredDeadline { deadline, outcome })
}

fn encode_made(made: &Made) -> pb::Made {
    pb::Made {
        id: made.id.to_string(),
        kind: pb::Kind::from(made.kind).into(),
        refers_to: made.refers_to.to_string(),
        places: made.places.iter().map(encode_place).collect(),
        nth: u32::from(made.nth),
        silent: made.silent.iter().map(Party::to_string).collect(),
    }
}

fn decode_made(wire: pb::Made) -> Result<Made, Refusal> {
    Ok(Made {
        id: parsed(&wire.id, "decision.made.id")?,
        kind: known::<pb::Kind, _>(wire.kind, "decision.made.kind")?,
        refers_to: parsed(&wire.refers_to, "decision.made.refers_to")?,
        places: decode_places(wire.places)?,
        nth: u8::try_from(wire.nth).map_err(|_| Refusal::of(Reason::Malformed, "decision.made.nth"))?,
        silent: parties(&wire.silent, "decision.made.silent")?,
    })
}

fn parties(wire: &[String], field: &'static str) -> Result<Vec<Party>, Refusal> {
    wire.iter().map(|text| parsed(text, field)).collect()
}

/// A hash as the wire carries it.
pub(crate) fn hash_bytes(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(country: &str) -> Place {
        Place {
            party: country.parse().unwrap(),
            number: 7,
            held: country == "BR",
            owes: true,
            after: (country == "JP").then_some((Lane::Urgent, 3)),
        }
    }

    #[test]
    fn every_decision_comes_back_as_it_was_stored() {
        let request = "FR-1-U-4".parse().unwrap();
        let message = MessageRef { position: 9, n: 1 };
        let at = Timestamp::from_millis(5000);
        let deadline =
            |addressee, outcome| FiredDeadline { deadline: Deadline { at, message, addressee }, outcome };
        let silent: Party = "JP".parse().unwrap();
        let decisions = [
            Decision::Accepted(Accepted {
                places: vec![place("BR"), place("JP")],
                notice_id: Some("2010/4711".parse().unwrap()),
                taken_back: vec![TakenBack { message: "FR-1-N-1".parse().unwrap(), party: silent }],
                come: vec!["BR".parse().unwrap()],
                gone: vec!["AO".parse().unwrap(), "ZW".parse().unwrap()],
            }),
            Decision::Void(Refusal::of(Reason::MissingData, "form.red.facts")),
            Decision::Noted,
            Decision::Fired(Fired {
                deadlines: vec![
                    deadline(None, Outcome::Expired { parties: vec![silent], again: Some(at) }),
                    deadline(Some(silent), Outcome::Reminded { nth: 1, due: at }),
                    deadline(Some(silent), Outcome::Escalated),
                ],
                made: vec![Made {
                    id: "IPSG-12-U-1".parse().unwrap(),
                    kind: i247_model::Kind::Reminder,
                    refers_to: request,
                    places: vec![place("JP")],
                    nth: 1,
                    silent: vec![silent],
                }],
            }),
            Decision::Equivocation { first: Hash([3; 32]) },
        ];
        for decision in decisions {
            assert_eq!(decode_decision(encode_decision(&decision).unwrap()).unwrap(), decision);
        }
    }
}
