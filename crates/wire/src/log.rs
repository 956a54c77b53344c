//! What an entry of the log keeps of a clear body.

use bytes::Bytes;
use i247_model::{Leave, Lifted, Refusal};

use crate::envelope::{sorted, texts};
use crate::{hash_option, parsed_option, pb};

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
            };
            assert_eq!(Lifted::try_from(pb::Lifted::from(&lifted)).unwrap(), lifted);
        }
        assert_eq!(Lifted::try_from(pb::Lifted::default()).unwrap(), Lifted::default());
    }
}
