//! Notices that are asked for or in force, by number, and what waits for a reviewer.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{CountryCode, NoticeId, Refusal, Timestamp};
use i247_router::{NoticeFile, Review};
use i247_wire::{parsed_option, pb};

use crate::core::Core;

const ROWS: usize = 100;
const ROWS_MAX: usize = 500;

/// A page of notices, and how many there are of each colour.
///
/// # Errors
/// `MALFORMED` for what is no country or number.
pub(super) fn notices(core: &Core, asked: &pb::NoticesRequest) -> Result<pb::NoticesResponse, Refusal> {
    let requester: Option<CountryCode> = parsed_option(&asked.requester, "requester")?;
    let after: Option<NoticeId> = parsed_option(&asked.after_notice_id, "after_notice_id")?;
    let rows = if asked.limit == 0 { ROWS } else { (asked.limit as usize).min(ROWS_MAX) };
    let views = core.views();
    let mut waiting: BTreeMap<NoticeId, &Review> = BTreeMap::new();
    for review in views.state.reviews() {
        waiting.insert(review.notice_id, review);
    }
    let mut response = pb::NoticesResponse {
        oldest_pending_at_ms: views
            .state
            .reviews()
            .filter(|review| !review.approved)
            .map(|review| review.accepted_at.as_millis())
            .min()
            .unwrap_or_default(),
        ..pb::NoticesResponse::default()
    };
    let mut counts: BTreeMap<String, pb::NoticeCount> = BTreeMap::new();
    for (id, file) in views.state.notices() {
        let review = waiting.get(&id).copied();
        let colour = colour(file);
        let count = counts
            .entry(colour.clone())
            .or_insert_with(|| pb::NoticeCount { colour: colour.clone(), ..Default::default() });
        count.in_force += u32::from(file.message().is_some());
        count.pending += u32::from(review.is_some());
        let fits = after.is_none_or(|after| id > after)
            && (asked.colour.is_empty() || asked.colour == colour)
            && requester.is_none_or(|requester| requester == file.owner)
            && (!asked.pending || review.is_some());
        if !fits {
            continue;
        }
        if response.notices.len() < rows {
            response.notices.push(row(id, file, review));
        } else if response.next.is_empty() {
            response.next = response.notices.last().map(|last| last.notice_id.clone()).unwrap_or_default();
        }
    }
    response.counts = counts.into_values().collect();
    Ok(response)
}

fn colour(file: &NoticeFile) -> String {
    file.colour.map(|colour| colour.to_string()).unwrap_or_default()
}

fn row(id: NoticeId, file: &NoticeFile, review: Option<&Review>) -> pb::NoticeRow {
    let state = match (file.message(), review) {
        (Some(_), _) => pb::NoticeState::InForce,
        (None, Some(review)) if review.approved => pb::NoticeState::Approved,
        (None, _) => pb::NoticeState::Pending,
    };
    let except: &BTreeSet<CountryCode> = &file.except;
    pb::NoticeRow {
        notice_id: id.to_string(),
        colour: colour(file),
        requester: file.owner.to_string(),
        edition: file.edition,
        request_id: file.request.to_string(),
        published: file.published.iter().map(ToString::to_string).collect(),
        state: state.into(),
        waiting_since_ms: review.map_or(0, |review| Timestamp::as_millis(review.accepted_at)),
        except: u32::try_from(except.len()).unwrap_or(u32::MAX),
    }
}
