//! Lanes, receipts, refusals, and where messages stand.

use std::time::Duration;

use bytes::Bytes;
use i247_model::{
    AnswerState, Class, Lane, LaneReceipt, NumberRange, Reason, Receipts, RecipientState, Refusal, Rule,
    Timestamp,
};

use crate::{known, malformed, parsed, pb, same_variants};

/// Most ranges in one list of a lane receipt.
pub const MAX_RANGES: usize = 1024;

same_variants!("lane", pb::Lane, Lane, VeryUrgent, Urgent, Normal, Bulk);

same_variants!("class", pb::RefusalClass, Class, NotAttributable, NotNow, No);

same_variants!(
    "state",
    pb::RecipientState,
    RecipientState,
    Queued,
    Held,
    Delivered,
    Opened,
    Actioned,
    Withdrawn,
    Expired,
    Refused,
);

same_variants!(
    "rule",
    pb::Rule,
    Rule,
    Named,
    Region,
    All,
    Copy,
    Referred,
    Secretariat,
    Suspended,
    NotNamed,
    Sender,
    Excluded,
    RestrictedByOwner,
    NotAMember,
    Revoked,
);

/// How many reminders there were is not on the wire: reminded becomes reminded once. Overdue is
/// reserved, and refused.
impl TryFrom<pb::AnswerState> for AnswerState {
    type Error = Refusal;

    fn try_from(wire: pb::AnswerState) -> Result<Self, Refusal> {
        match wire {
            pb::AnswerState::Unspecified | pb::AnswerState::Overdue => Err(malformed("answer")),
            pb::AnswerState::Awaited => Ok(Self::Awaited),
            pb::AnswerState::Interim => Ok(Self::Interim),
            pb::AnswerState::Answered => Ok(Self::Answered),
            pb::AnswerState::Refused => Ok(Self::Refused),
            pb::AnswerState::Reminded => Ok(Self::Reminded(1)),
            pb::AnswerState::Escalated => Ok(Self::Escalated),
        }
    }
}

impl From<&AnswerState> for pb::AnswerState {
    fn from(state: &AnswerState) -> Self {
        match state {
            AnswerState::Awaited => Self::Awaited,
            AnswerState::Interim => Self::Interim,
            AnswerState::Answered => Self::Answered,
            AnswerState::Refused => Self::Refused,
            AnswerState::Reminded(_) => Self::Reminded,
            AnswerState::Escalated => Self::Escalated,
        }
    }
}

impl From<AnswerState> for pb::AnswerState {
    fn from(state: AnswerState) -> Self {
        Self::from(&state)
    }
}

impl TryFrom<pb::Refusal> for Refusal {
    type Error = Self;

    fn try_from(wire: pb::Refusal) -> Result<Self, Self> {
        let reason = reason(&wire.reason).ok_or_else(|| malformed("reason"))?;
        if known::<pb::RefusalClass, Class>(wire.class, "class")? != reason.class() {
            return Err(malformed("class"));
        }
        let retry_after = (wire.retry_after_ms > 0).then(|| Duration::from_millis(wire.retry_after_ms));
        Ok(Self { reason, fields: wire.fields, next_step: wire.next_step, retry_after })
    }
}

impl From<&Refusal> for pb::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason.as_str().into(),
            class: pb::RefusalClass::from(refusal.reason.class()).into(),
            fields: refusal.fields.clone(),
            next_step: refusal.next_step.clone(),
            retry_after_ms: refusal
                .retry_after
                .map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// The reason of this stable name.
pub(crate) fn reason(name: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name)
}

/// The frame that a recipient signs: its receipts, and the log whose mailbox numbers they speak of.
pub fn receipts(receipts: &Receipts, log_id: Bytes) -> pb::Receipts {
    pb::Receipts {
        party: receipts.party.to_string(),
        log_id,
        lanes: receipts.lanes.iter().map(Into::into).collect(),
        signed_at_ms: receipts.signed_at.as_millis(),
    }
}

/// The log id is for the caller to compare; the noun does not carry it.
impl TryFrom<pb::Receipts> for Receipts {
    type Error = Refusal;

    fn try_from(wire: pb::Receipts) -> Result<Self, Refusal> {
        let party = parsed(&wire.party, "party")?;
        let lanes: Vec<LaneReceipt> =
            wire.lanes.into_iter().map(LaneReceipt::try_from).collect::<Result<_, _>>()?;
        if !lanes.is_sorted_by(|a, b| a.lane < b.lane) {
            return Err(malformed("lanes"));
        }
        if wire.signed_at_ms == 0 {
            return Err(malformed("signed_at_ms"));
        }
        Ok(Self { party, lanes, signed_at: Timestamp::from_millis(wire.signed_at_ms) })
    }
}

impl TryFrom<pb::LaneReceipt> for LaneReceipt {
    type Error = Refusal;

    fn try_from(wire: pb::LaneReceipt) -> Result<Self, Refusal> {
        Ok(Self {
            lane: known::<pb::Lane, _>(wire.lane, "lanes.lane")?,
            delivered_up_to: wire.delivered_up_to,
            opened: ranges(&wire.opened, "lanes.opened")?,
            actioned: ranges(&wire.actioned, "lanes.actioned")?,
        })
    }
}

impl From<&LaneReceipt> for pb::LaneReceipt {
    fn from(receipt: &LaneReceipt) -> Self {
        Self {
            lane: pb::Lane::from(receipt.lane).into(),
            delivered_up_to: receipt.delivered_up_to,
            opened: receipt.opened.iter().map(Into::into).collect(),
            actioned: receipt.actioned.iter().map(Into::into).collect(),
        }
    }
}

impl From<&NumberRange> for pb::NumberRange {
    fn from(range: &NumberRange) -> Self {
        Self { first: range.first, last: range.last }
    }
}

/// Ranges that ascend and do not overlap; numbers begin at 1.
fn ranges(wire: &[pb::NumberRange], field: &str) -> Result<Vec<NumberRange>, Refusal> {
    if wire.len() > MAX_RANGES {
        return Err(Refusal::of(Reason::TooLarge, field));
    }
    let mut below = 0;
    let mut ranges = Vec::with_capacity(wire.len());
    for range in wire {
        if range.first <= below || range.last < range.first {
            return Err(malformed(field));
        }
        below = range.last;
        ranges.push(NumberRange { first: range.first, last: range.last });
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opened: &[(u64, u64)]) -> pb::Receipts {
        let opened = opened.iter().map(|&(first, last)| pb::NumberRange { first, last }).collect();
        let lane = pb::LaneReceipt { lane: 2, delivered_up_to: 9, opened, actioned: Vec::new() };
        pb::Receipts {
            party: "FR".into(),
            log_id: Bytes::from_static(b"log"),
            lanes: vec![lane],
            signed_at_ms: 1,
        }
    }

    #[test]
    fn receipts_come_back_as_they_were() {
        let wire = frame(&[(1, 3), (5, 5)]);
        let noun = Receipts::try_from(wire.clone()).unwrap();
        assert_eq!(noun.lanes[0].lane, Lane::Urgent);
        assert_eq!(receipts(&noun, wire.log_id.clone()), wire);
    }

    #[test]
    fn ranges_that_overlap_or_run_backwards_or_begin_at_zero_are_malformed() {
        for opened in [&[(1, 3), (3, 4)][..], &[(4, 3)], &[(0, 1)], &[(5, 6), (1, 2)]] {
            let refusal = Receipts::try_from(frame(opened)).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.fields),
                (Reason::Malformed, vec!["lanes.opened".to_owned()])
            );
        }
    }

    #[test]
    fn a_lane_stands_once() {
        let mut wire = frame(&[]);
        wire.lanes.push(wire.lanes[0].clone());
        assert_eq!(Receipts::try_from(wire).unwrap_err().fields, ["lanes"]);
    }

    #[test]
    fn every_refusal_comes_back_as_it_was() {
        for reason in Reason::ALL {
            let refusal = Refusal::of_fields(*reason, vec!["a".into(), "b".into()])
                .retry_after(Duration::from_millis(1500));
            assert_eq!(Refusal::try_from(pb::Refusal::from(&refusal)).unwrap(), refusal);
        }
    }

    #[test]
    fn a_class_that_is_not_the_reasons_own_is_malformed() {
        let mut wire = pb::Refusal::from(&Refusal::of(Reason::Busy, "x"));
        wire.class = pb::RefusalClass::No.into();
        assert_eq!(Refusal::try_from(wire).unwrap_err().fields, ["class"]);
    }

    #[test]
    fn overdue_is_reserved() {
        assert!(AnswerState::try_from(pb::AnswerState::Overdue).is_err());
        assert_eq!(pb::AnswerState::from(AnswerState::Reminded(2)), pb::AnswerState::Reminded);
    }
}
