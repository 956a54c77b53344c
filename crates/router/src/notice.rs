//! The life of a notice: asked for, reviewed, published, added to, cancelled. It reads no form; what it
//! needs of one is lifted.

use std::collections::BTreeSet;

use i247_model::{Colour, CountryCode, Hash, Kind, MessageId, NoticeId, Reason, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::audience::Call;
use crate::{Message, MessageRef, Origin, Stamp, State, Submission};

/// A notice that is asked for or in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NoticeFile {
    /// The request.
    pub request: MessageId,
    /// Who asked, and owns the data.
    pub owner: CountryCode,
    /// Countries that the owner bars from this notice.
    pub except: BTreeSet<CountryCode>,
    /// What it is for.
    pub colour: Option<Colour>,
    /// The newest edition; 0 before publication.
    pub edition: u32,
    /// The notice and its addenda, in the order of editions.
    pub published: Vec<MessageId>,
}

impl NoticeFile {
    /// The published notice.
    pub fn message(&self) -> Option<&MessageId> {
        self.published.first()
    }
}

/// A notice request that waits for a reviewer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Review {
    /// The request.
    pub request: MessageId,
    /// Where the log has it: the order of requests.
    pub at: MessageRef,
    /// Hash of its header, which decision and publication must name.
    pub request_hash: Hash,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Who asked.
    pub requester: CountryCode,
    /// The number that the notice will have, or has.
    pub notice_id: NoticeId,
    /// What it is for.
    pub colour: Option<Colour>,
    /// The notice that an addendum would change.
    pub addendum_to: Option<MessageId>,
    /// A reviewer approved it; it waits for publication.
    pub approved: bool,
}

/// The notice that a message is about, once the rules of its life allow the message.
///
/// # Errors
/// `NOTICE_CONFLICT` with the field that does not fit the notice's present state.
pub(crate) fn check(
    state: &State,
    stamp: Stamp,
    submission: &Submission,
    call: &Call<'_>,
) -> Result<Option<NoticeId>, Refusal> {
    let Some(referred) = call.referred else {
        let asks = submission.header.kind == Kind::NoticeRequest;
        return Ok(asks.then(|| claimed(state, submission).unwrap_or_else(|| next_number(state, stamp))));
    };
    let lifted = &submission.lifted;
    let kind = submission.header.kind;
    if kind == Kind::ReviewDecision && (referred.kind == Kind::Records || lifted.item.is_some()) {
        return check_record(submission, referred).map(|()| None);
    }
    if !matches!(
        kind,
        Kind::NoticeRequest | Kind::ReviewDecision | Kind::Notice | Kind::Addendum | Kind::Cancellation
    ) {
        return Ok(referred.notice_id);
    }
    let known = referred.notice_id.and_then(|id| Some((id, state.notices.get(&id)?)));
    let (id, file) = known.ok_or_else(|| conflict("refers_to"))?;
    let named = match lifted.notice_id {
        Some(named) => named == id,
        // A bureau that cancels its request may not know the number yet; a refusal gives none.
        None => {
            matches!(kind, Kind::NoticeRequest | Kind::Cancellation)
                || (kind == Kind::ReviewDecision && lifted.approved == Some(false))
        }
    };
    if !named {
        return Err(conflict("notice_id"));
    }
    let review = state.reviews.get(&referred.id);
    let examined = |review: Option<&Review>| {
        review.is_some_and(|review| lifted.request_header_hash == Some(review.request_hash))
    };
    // Published before it was lost: it had been approved, and was the next edition then.
    let comes_back = submission.origin != Origin::Sender;
    let fits = match kind {
        Kind::NoticeRequest if file.request != referred.id => Err("refers_to"),
        Kind::NoticeRequest => file.message().map(|_| ()).ok_or("refers_to"),
        Kind::ReviewDecision if review.is_none_or(|review| review.approved) => Err("refers_to"),
        Kind::ReviewDecision => examined(review).then_some(()).ok_or("request_header_hash"),
        Kind::Notice
            if !review
                .is_some_and(|review| (review.approved || comes_back) && review.addendum_to.is_none()) =>
        {
            Err("refers_to")
        }
        Kind::Notice if lifted.edition != 1 => Err("edition"),
        Kind::Notice => examined(review).then_some(()).ok_or("request_header_hash"),
        Kind::Addendum if !comes_back && file.edition.checked_add(1) != Some(lifted.edition) => {
            Err("edition")
        }
        // The secretariat may add of its own accord; for a request it must be an approved one.
        Kind::Addendum if lifted.request_header_hash.is_some() => {
            addendum_asked(state, id, submission).map(|_| ()).ok_or("request_header_hash")
        }
        _ => Ok(()),
    };
    fits.map(|()| Some(id)).map_err(conflict)
}

/// Whether a reviewer decides about a record of the very message that she examined. Whether that still waits, only the
/// databases know: a decision about what does not wait changes nothing.
fn check_record(decision: &Submission, referred: &Message) -> Result<(), Refusal> {
    let lifted = &decision.lifted;
    if referred.kind != Kind::Records {
        return Err(conflict("refers_to"));
    }
    if lifted.item.is_none() {
        return Err(conflict("item"));
    }
    if lifted.notice_id.is_some() {
        return Err(conflict("notice_id"));
    }
    let examined = lifted.request_header_hash.is_some() && lifted.request_header_hash == referred.header_hash;
    if examined { Ok(()) } else { Err(conflict("request_header_hash")) }
}

/// Applies what an accepted message does to its notice.
pub(crate) fn apply(state: &mut State, stamp: Stamp, submission: &Submission, notice_id: NoticeId) {
    let (header, lifted) = (&submission.header, &submission.lifted);
    match header.kind {
        Kind::NoticeRequest => register(state, stamp, submission, notice_id),
        Kind::ReviewDecision => {
            let Some(request) = &header.refers_to else { return };
            if lifted.approved == Some(true) {
                if let Some(review) = state.reviews.get_mut(request) {
                    review.approved = true;
                }
                return;
            }
            state.reviews.remove(request);
            if state.notices.get(&notice_id).is_some_and(|file| file.request == *request) {
                state.notices.remove(&notice_id);
            }
        }
        Kind::Notice | Kind::Addendum => {
            if let Some(file) = state.notices.get_mut(&notice_id) {
                file.edition = lifted.edition.max(file.edition);
                file.published.push(header.id.clone());
            }
            let request = match header.kind {
                Kind::Notice => header.refers_to.clone(),
                _ => addendum_asked(state, notice_id, submission).cloned(),
            };
            if let Some(request) = request {
                state.reviews.remove(&request);
            }
        }
        Kind::Cancellation => {
            state.notices.remove(&notice_id);
            state.reviews.retain(|_, review| review.notice_id != notice_id);
        }
        _ => {}
    }
}

fn register(state: &mut State, stamp: Stamp, submission: &Submission, notice_id: NoticeId) {
    let (header, lifted) = (&submission.header, &submission.lifted);
    let Some(requester) = header.id.sender.party().country() else { return };
    let addendum_to = match &header.refers_to {
        None => {
            let file = NoticeFile {
                request: header.id.clone(),
                owner: requester,
                except: lifted.except.clone(),
                colour: lifted.colour,
                edition: 0,
                published: Vec::new(),
            };
            state.newest_notice = state.newest_notice.max(Some(notice_id));
            state.notices.insert(notice_id, file);
            None
        }
        // The owner's word on who is barred holds from now on.
        Some(_) => state.notices.get_mut(&notice_id).and_then(|file| {
            file.except.extend(lifted.except.iter().copied());
            file.message().cloned()
        }),
    };
    let review = Review {
        request: header.id.clone(),
        at: MessageRef { position: stamp.position, n: 0 },
        request_hash: submission.header_hash,
        accepted_at: stamp.at,
        requester,
        notice_id,
        colour: lifted.colour,
        addendum_to,
        approved: false,
    };
    state.reviews.insert(header.id.clone(), review);
}

/// The approved request that an addendum names; one that comes back had been approved.
fn addendum_asked<'a>(state: &'a State, notice: NoticeId, addendum: &Submission) -> Option<&'a MessageId> {
    let fits = |review: &&Review| {
        review.notice_id == notice
            && (review.approved || addendum.origin != Origin::Sender)
            && review.addendum_to.is_some()
            && Some(review.request_hash) == addendum.lifted.request_header_hash
    };
    state.reviews.values().find(fits).map(|review| &review.request)
}

/// The number that a predecessor of the log gave to the request, unless another has it.
fn claimed(state: &State, submission: &Submission) -> Option<NoticeId> {
    let Origin::Again(earlier) = &submission.origin else { return None };
    earlier.notice_id.filter(|id| !state.notices.contains_key(id))
}

/// Year of the stamp, and the serial after the newest of that year.
fn next_number(state: &State, stamp: Stamp) -> NoticeId {
    let year = year_of(stamp.at);
    let newest = state.newest_notice.filter(|newest| newest.year == year);
    NoticeId { year, serial: newest.map_or(1, |newest| newest.serial.saturating_add(1)) }
}

/// The Gregorian year in UTC, by counting days in eras of 400 years that begin on 1 March.
pub(crate) fn year_of(at: Timestamp) -> u16 {
    const DAYS_TO_1970: u64 = 719_468;
    let days = at.as_millis() / 86_400_000 + DAYS_TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // January and February belong to the year that began the March before.
    let year = era * 400 + year_of_era + u64::from(day_of_year >= 306);
    u16::try_from(year).unwrap_or(u16::MAX)
}

fn conflict(field: &str) -> Refusal {
    Refusal::of(Reason::NoticeConflict, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_turns_at_midnight_utc() {
        for (millis, year) in [
            (0, 1970),
            (1_262_303_999_999, 2009),
            (1_262_304_000_000, 2010),
            (1_709_164_800_000, 2024),
            (1_735_689_599_999, 2024),
            (1_735_689_600_000, 2025),
        ] {
            assert_eq!(year_of(Timestamp::from_millis(millis)), year);
        }
    }
}
