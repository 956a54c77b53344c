//! Kinds, reply stages, audiences and checkpoints seen. The header itself is in `header`.

use std::collections::BTreeSet;
use std::str::FromStr;

use bytes::Bytes;
use i247_model::{Audience, AudienceError, HitVerdict, Kind, Reason, Refusal, ReplyStage, Seen};

use crate::{malformed, parsed, pb, same_variants};

/// Longest list of an audience. More than there are countries.
pub const MAX_AUDIENCE_LIST: usize = 256;

/// Longest log id, in bytes.
const MAX_LOG_ID_BYTES: usize = 32;

same_variants!(
    "kind",
    pb::Kind,
    Kind,
    NoticeRequest,
    ReviewDecision,
    Notice,
    Addendum,
    Cancellation,
    Diffusion,
    Withdrawal,
    Request,
    Reply,
    PersonLocated,
    ArrestReport,
    NationalDecision,
    FreeText,
    Reminder,
    Escalation,
    Restriction,
    Void,
    NewEpoch,
    Records,
    Hit,
    HitDecision,
    HitAction,
    Grant,
);

same_variants!("verdict", pb::HitVerdict, HitVerdict, Confirmed, Denied, Stale);

same_variants!("reply_stage", pb::ReplyStage, ReplyStage, Interim, Final, Refusal);

/// Refuses with `MALFORMED` what is not sorted, repeated or unknown, with `BAD_AUDIENCE` what
/// cannot be meant. Fields are named from `audience` on.
impl TryFrom<pb::Audience> for Audience {
    type Error = Refusal;

    fn try_from(wire: pb::Audience) -> Result<Self, Refusal> {
        let audience = parsed_audience(&wire)?;
        check_audience(&audience)?;
        Ok(audience)
    }
}

/// An audience that may still contradict itself.
pub(crate) fn parsed_audience(wire: &pb::Audience) -> Result<Audience, Refusal> {
    Ok(Audience {
        all: wire.all,
        regions: sorted(&wire.regions, "audience.regions")?,
        countries: sorted(&wire.countries, "audience.countries")?,
        except: sorted(&wire.except, "audience.except")?,
        secretariat: wire.secretariat,
        as_referred: wire.as_referred,
        copies: sorted(&wire.copies, "audience.copies")?,
    })
}

/// `BAD_AUDIENCE` when nobody is addressed, or somebody both named and excluded.
pub(crate) fn check_audience(audience: &Audience) -> Result<(), Refusal> {
    audience.check().map_err(|error| match error {
        AudienceError::Empty => Refusal::of(Reason::BadAudience, "audience"),
        AudienceError::Contradiction(_) => Refusal::of(Reason::BadAudience, "audience.except"),
    })
}

/// The set in a list, if the list is sorted by its text and free of repetition.
pub(crate) fn sorted<T: FromStr + Ord>(list: &[String], field: &str) -> Result<BTreeSet<T>, Refusal> {
    if list.len() > MAX_AUDIENCE_LIST {
        return Err(Refusal::of(Reason::TooLarge, field));
    }
    if !list.is_sorted_by(|a, b| a < b) {
        return Err(malformed(field));
    }
    list.iter().map(|text| parsed(text, field)).collect()
}

/// The list of a set, sorted by text: the order of the nouns need not be that of their names.
pub(crate) fn texts<T: ToString>(set: &BTreeSet<T>) -> Vec<String> {
    let mut list: Vec<String> = set.iter().map(T::to_string).collect();
    list.sort();
    list
}

impl From<&Audience> for pb::Audience {
    fn from(audience: &Audience) -> Self {
        Self {
            all: audience.all,
            regions: texts(&audience.regions),
            countries: texts(&audience.countries),
            except: texts(&audience.except),
            secretariat: audience.secretariat,
            as_referred: audience.as_referred,
            copies: texts(&audience.copies),
        }
    }
}

impl TryFrom<pb::Seen> for Seen {
    type Error = Refusal;

    fn try_from(wire: pb::Seen) -> Result<Self, Refusal> {
        if wire.log_id.is_empty() || wire.log_id.len() > MAX_LOG_ID_BYTES {
            return Err(malformed("seen.log_id"));
        }
        if !matches!(wire.root.len(), 0 | 32) {
            return Err(malformed("seen.root"));
        }
        Ok(Self { log_id: wire.log_id.to_vec(), size: wire.size, root: wire.root.to_vec() })
    }
}

impl From<&Seen> for pb::Seen {
    fn from(seen: &Seen) -> Self {
        Self {
            log_id: Bytes::copy_from_slice(&seen.log_id),
            size: seen.size,
            root: Bytes::copy_from_slice(&seen.root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(countries: &[&str]) -> pb::Audience {
        pb::Audience { countries: countries.iter().map(|c| (*c).into()).collect(), ..Default::default() }
    }

    fn refused(wire: pb::Audience) -> (Reason, Vec<String>) {
        let refusal = Audience::try_from(wire).unwrap_err();
        (refusal.reason, refusal.fields)
    }

    #[test]
    fn a_list_out_of_order_or_with_a_repetition_is_malformed() {
        let field = vec!["audience.countries".to_owned()];
        assert_eq!(refused(wire(&["FR", "DE"])), (Reason::Malformed, field.clone()));
        assert_eq!(refused(wire(&["FR", "FR"])), (Reason::Malformed, field.clone()));
        assert_eq!(refused(wire(&["France"])), (Reason::Malformed, field));
    }

    #[test]
    fn an_audience_of_nobody_or_of_somebody_excluded_is_bad() {
        assert_eq!(refused(wire(&[])), (Reason::BadAudience, vec!["audience".to_owned()]));
        let contradiction = pb::Audience { except: vec!["FR".into()], ..wire(&["FR"]) };
        assert_eq!(refused(contradiction), (Reason::BadAudience, vec!["audience.except".to_owned()]));
    }

    #[test]
    fn copies_are_sorted_by_text_although_the_secretariat_sorts_first_as_a_party() {
        let audience =
            pb::Audience { copies: vec!["FR".into(), "IPSG".into(), "US".into()], ..Default::default() };
        let noun = Audience::try_from(audience.clone()).unwrap();
        assert_eq!(pb::Audience::from(&noun), audience);
    }

    #[test]
    fn unspecified_is_refused_and_every_kind_comes_back() {
        assert!(Kind::try_from(pb::Kind::Unspecified).is_err());
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            let wire = pb::Kind::from(kind);
            assert_eq!(wire as usize, place + 1);
            assert_eq!(Kind::try_from(wire).unwrap(), kind);
        }
    }
}
