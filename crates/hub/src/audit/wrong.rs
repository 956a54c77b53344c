//! Roll-ups that do not agree with what the hub counted, or that nobody has signed: kept for a day, for whoever is to be
//! told of them. The journal has them for ever.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use i247_model::{CountryCode, Identity, Name, Timestamp};
use i247_wire::pb;
use prost::Message as _;

use super::Audit;

/// How long one is told of.
pub(super) const TOLD_FOR: Duration = Duration::from_secs(86_400);

/// So many posts are remembered with one; beyond, the oldest is forgotten.
const POSTS_MAX: usize = 1000;

/// What is wrong with the last such roll-up of a post.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WrongRollUp {
    pub(crate) at: Timestamp,
    pub(crate) country: CountryCode,
    pub(crate) post: Name,
    pub(crate) finding: pb::RollUpFinding,
    /// What the post has signed; nothing when it has not.
    pub(crate) said: pb::SearchRollUp,
    /// What the hub counted, where it did.
    pub(crate) counted: u32,
}

/// The last of each post and finding.
pub(super) type Wrong = BTreeMap<(CountryCode, Name, i32), WrongRollUp>;

impl Audit {
    /// Remembers a roll-up, if something is wrong with it.
    pub(super) fn remember(&self, entry: &pb::AuditRollUp) {
        let Some(found) = read(entry) else { return };
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (found.country, found.post.clone(), entry.finding);
        // At a start the journal is read while posts come already.
        if wrong.get(&key).is_none_or(|known| known.at <= found.at) {
            wrong.insert(key, found);
        }
        if wrong.len() > POSTS_MAX
            && let Some(oldest) = wrong.iter().min_by_key(|(_, found)| found.at).map(|(key, _)| key.clone())
        {
            wrong.remove(&oldest);
        }
    }

    /// What came in the last day and is wrong.
    pub(crate) fn wrong_roll_ups(&self, now: Timestamp) -> Vec<WrongRollUp> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|_, found| now.since(found.at) < TOLD_FOR);
        wrong.values().cloned().collect()
    }
}

fn read(entry: &pb::AuditRollUp) -> Option<WrongRollUp> {
    let finding = entry.finding();
    if matches!(finding, pb::RollUpFinding::Agrees | pb::RollUpFinding::Unspecified) {
        return None;
    }
    let Ok(Identity::Post(country, post)) = entry.asker.parse() else { return None };
    let said = entry.signed.as_ref().and_then(|signed| pb::SearchRollUp::decode(signed.payload.clone()).ok());
    let (at, said) = (Timestamp::from_millis(entry.at_ms), said.unwrap_or_default());
    Some(WrongRollUp { at, country, post, finding, said, counted: entry.counted })
}
