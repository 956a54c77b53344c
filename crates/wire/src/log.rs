//! What an entry of the log keeps of a clear body.

use bytes::Bytes;
use i247_model::{HitFound, HitVerdict, Lane, Leave, Lifted, Refusal, Timestamp};

use crate::envelope::{sorted, texts};
use crate::{hash_option, known, malformed, operation, parsed, parsed_option, pb};

impl TryFrom<pb::Lifted> for Lifted {
    type Error = Refusal;

    fn try_from(wire: pb::Lifted) -> Result<Self, Refusal> {
        Ok(Self {
            except: sorted(&wire.except, "lifted.except")?,
            notice_id: parsed_option(&wire.notice_id, "lifted.notice_id")?,
            edition: wire.edition,
            colour: parsed_option(&wire.colour, "lifted.colour")?,
            approved: wire.approved,
            request_header_hash: hash_option(&wire.request_header_hash, "lifted.request_header_hash")?,
            missing: wire.missing,
            epoch: (wire.epoch > 0).then_some(wire.epoch),
            refused: wire.refused.map(Refusal::try_from).transpose()?,
            leave: wire.grant.as_ref().map(Leave::try_from).transpose()?,
            verdict: verdict(wire.verdict)?,
            item: item(wire.item, "lifted.item")?,
        })
    }
}

impl From<&Lifted> for pb::Lifted {
    fn from(lifted: &Lifted) -> Self {
        Self {
            except: texts(&lifted.except),
            notice_id: lifted.notice_id.map(|id| id.to_string()).unwrap_or_default(),
            edition: lifted.edition,
            colour: lifted.colour.map(|colour| colour.to_string()).unwrap_or_default(),
            approved: lifted.approved,
            request_header_hash: lifted
                .request_header_hash
                .map(|hash| Bytes::copy_from_slice(hash.as_bytes()))
                .unwrap_or_default(),
            missing: lifted.missing.clone(),
            epoch: lifted.epoch.unwrap_or_default(),
            refused: lifted.refused.as_ref().map(pb::Refusal::from),
            grant: lifted.leave.as_ref().map(pb::Grant::from),
            verdict: lifted.verdict.map_or(0, |verdict| pb::HitVerdict::from(verdict).into()),
            item: lifted.item.map(u32::from),
        }
    }
}

/// The place of a change in a message of records.
pub(crate) fn item(number: Option<u32>, field: &str) -> Result<Option<u16>, Refusal> {
    number.map(|number| u16::try_from(number).map_err(|_| malformed(field))).transpose()
}

fn verdict(number: i32) -> Result<Option<HitVerdict>, Refusal> {
    if number == 0 {
        return Ok(None);
    }
    known::<pb::HitVerdict, HitVerdict>(number, "lifted.verdict").map(Some)
}

impl TryFrom<pb::HitFound> for HitFound {
    type Error = Refusal;

    fn try_from(wire: pb::HitFound) -> Result<Self, Refusal> {
        let small = |number: u32, field| u8::try_from(number).map_err(|_| malformed(field));
        Ok(Self {
            records: parsed(&wire.records_id, "hit.records_id")?,
            item: u16::try_from(wire.item).map_err(|_| malformed("hit.item"))?,
            database: small(wire.database, "hit.database")?,
            owner: parsed(&wire.owner, "hit.owner")?,
            asker: parsed(&wire.asker, "hit.asker")?,
            lane: known::<pb::Lane, Lane>(wire.lane, "hit.lane")?,
            purpose: small(wire.purpose, "hit.purpose")?,
            station: parsed(&wire.station, "hit.station")?,
            asked_at: Timestamp::from_millis(wire.asked_at_ms),
            by_post: wire.by_post,
            operation: operation(&wire.operation, "hit.operation")?,
        })
    }
}

impl From<&HitFound> for pb::HitFound {
    fn from(found: &HitFound) -> Self {
        Self {
            records_id: found.records.to_string(),
            item: found.item.into(),
            database: found.database.into(),
            owner: found.owner.to_string(),
            asker: found.asker.to_string(),
            lane: pb::Lane::from(found.lane).into(),
            purpose: found.purpose.into(),
            station: found.station.to_string(),
            asked_at_ms: found.asked_at.as_millis(),
            by_post: found.by_post,
            operation: found.operation.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use i247_model::{Colour, Hash, NoticeId};

    use super::*;

    #[test]
    fn refused_and_undecided_are_told_apart_in_the_log() {
        for approved in [None, Some(false), Some(true)] {
            let lifted = Lifted {
                except: ["FR", "AO"].iter().map(|code| code.parse().unwrap()).collect(),
                notice_id: Some(NoticeId { year: 2010, serial: 4711 }),
                edition: 2,
                colour: Some(Colour::Red),
                approved,
                request_header_hash: Some(Hash([7; 32])),
                missing: vec!["form.red.facts".into()],
                epoch: Some(3),
                refused: Some(Refusal::of(i247_model::Reason::NotOwner, "items[17].change.add.owner")),
                leave: Some(Leave { post: "cdg".parse().unwrap(), grant: None }),
                verdict: Some(HitVerdict::Stale),
                item: Some(0),
            };
            assert_eq!(Lifted::try_from(pb::Lifted::from(&lifted)).unwrap(), lifted);
        }
        assert_eq!(Lifted::try_from(pb::Lifted::default()).unwrap(), Lifted::default());
    }

    #[test]
    fn a_hit_comes_back_as_it_was_stored() {
        let found = HitFound {
            records: "DE-1-B-7".parse().unwrap(),
            item: 1023,
            database: 7,
            owner: "DE".parse().unwrap(),
            asker: "FR".parse().unwrap(),
            lane: Lane::Urgent,
            purpose: 1,
            station: "cdg".parse().unwrap(),
            asked_at: Timestamp::from_millis(5000),
            by_post: true,
            operation: Some("hammer-2011".into()),
        };
        let before = HitFound { operation: None, ..found.clone() };
        assert_eq!(HitFound::try_from(pb::HitFound::from(&before)).unwrap(), before);
        assert_eq!(HitFound::try_from(pb::HitFound::from(&found)).unwrap(), found);
        assert!(HitFound::try_from(pb::HitFound::default()).is_err());
    }
}
