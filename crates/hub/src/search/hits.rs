//! Hits: the owner of what was found is told, and both sides see where the hit stands, as it changes.

use std::sync::Arc;
use std::time::Duration;

use i247_model::{HitFound, HitVerdict, Identity, Lane, Reason, Refusal, Timestamp, Verb};
use i247_records::hits::{Hit, State};
use i247_wire::pb;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::Asker;
use super::frame::{Frame, Told};
use crate::core::Core;
use crate::sequencer::Work;

/// How long an answer waits for its hits to be entered. Their owners are told all the same.
const ENTERED_WITHIN: Duration = Duration::from_secs(1);

/// How often it is tried again while the hub cannot write.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Frame {
    /// What the log is told of a hit; none of what is one's own.
    fn hit(&self, asker: &Asker, told: &Told, at: Timestamp) -> Option<HitFound> {
        let found = &told.found;
        if found.owner == asker.party || !told.is_hit() {
            return None;
        }
        // Somebody stands before an officer, and waits.
        let waits = matches!(
            self.purpose,
            pb::Purpose::BorderControl | pb::Purpose::PoliceCheck | pb::Purpose::MajorEvent
        );
        Some(HitFound {
            records: found.message.clone(),
            item: found.item,
            database: found.database.number(),
            owner: found.owner,
            asker: asker.party,
            lane: if waits { Lane::Urgent } else { Lane::Normal },
            purpose: u8::try_from(i32::from(self.purpose)).unwrap_or_default(),
            station: self.station.clone(),
            asked_at: at,
            by_post: matches!(asker.identity, Identity::Post(..)),
            operation: self.operation.clone(),
        })
    }

    /// The hits that nobody knows of yet, each with what led to it. Into what led to others it is written which they
    /// are; the register is looked at once.
    fn news<'a>(
        &self,
        core: &Core,
        asker: &Asker,
        answers: &'a mut [Vec<Told>],
        at: Timestamp,
    ) -> Vec<(HitFound, Vec<&'a mut Told>)> {
        let mut news: Vec<(HitFound, Vec<&mut Told>)> = Vec::new();
        let views = core.views();
        for told in answers.iter_mut().flatten() {
            let Some(found) = self.hit(asker, told, at) else { continue };
            if let Some(pending) = views.hits.pending(&found) {
                told.hit = Some(pending.id.clone());
                continue;
            }
            // Two keys may lead to one record, which is one hit.
            let same =
                |(one, _): &&mut (HitFound, _)| (&one.records, one.item) == (&found.records, found.item);
            match news.iter_mut().find(same) {
                Some((_, begun)) => begun.push(told),
                None => news.push((found, vec![told])),
            }
        }
        news
    }
}

/// Enters what matched, and writes into each which hit it is. What is waiting for its owner already is that hit.
pub(super) async fn notify(
    core: &Arc<Core>,
    frame: &Frame,
    asker: &Asker,
    answers: &mut [Vec<Told>],
    at: Timestamp,
) {
    let mut entering: Vec<Entering<'_>> = Vec::new();
    for (found, told) in frame.news(core, asker, answers, at) {
        let name = told.first().map(|told| told.found.reference.clone()).unwrap_or_default();
        let entered = enter(core.clone(), found.clone(), name);
        // A task of its own: the owner is told although the asker may be gone.
        let (answer, entered_in_time) = oneshot::channel();
        core.streams.spawn(async move {
            // Nobody may wait for it any more.
            let _ = answer.send(entered.await);
        });
        entering.push(Entering { told, found, entered: entered_in_time });
    }
    let ended = core.clock.monotonic().saturating_add(ENTERED_WITHIN);
    for Entering { told, found, entered } in entering {
        let left = ended.saturating_sub(core.clock.monotonic());
        if let Ok(Ok(true)) = tokio::time::timeout(left, entered).await {
            let id = core.views().hits.pending(&found).map(|hit| hit.id.clone());
            told.into_iter().for_each(|told| told.hit.clone_from(&id));
        }
    }
}

/// A hit that is being entered, and what led to it.
struct Entering<'a> {
    told: Vec<&'a mut Told>,
    found: HitFound,
    entered: oneshot::Receiver<bool>,
}

/// Enters a hit, however long that takes. Whether it was entered; not when the hub stops.
async fn enter(core: Arc<Core>, found: HitFound, name: String) -> bool {
    loop {
        let (answer, entered) = oneshot::channel();
        let work = Work::Hit { found: Box::new(found.clone()), name: name.clone(), answer };
        if core.work.send(work).await.is_err() {
            return false;
        }
        match entered.await {
            Ok(Ok(_)) => return true,
            Ok(Err(refusal)) => tracing::warn!(%refusal, "a hit is not entered yet"),
            Err(_) => return false,
        }
        let stop = core.streams.stop();
        let waited = i247_node::sleep_on(&*core.clock, TRY_AGAIN);
        if stop.run_until_cancelled(waited).await.is_none() {
            tracing::error!("a hit was not entered before the hub stopped");
            return false;
        }
    }
}

/// Whether somebody may see hits at this moment: a bureau, and a post that is shown what is found.
///
/// # Errors
/// `NOT_GRANTED`, `SUSPENDED`, `REVOKED`.
pub(super) fn may_watch(core: &Core, asker: &Asker, now: Timestamp) -> Result<(), Refusal> {
    if core.grants.allows(&asker.identity, &[], now)?.verb == Verb::CheckOnly {
        let next_step = "ask, and refer whom you are told to: who may only check is shown no hit".into();
        return Err(Refusal { next_step, ..Refusal::of(Reason::NotGranted, "grant.verb") });
    }
    Ok(())
}

/// Tells a party of its hits that changed after an entry, and, when it wants, of whatever changes.
pub(super) async fn watch(
    core: Arc<Core>,
    asker: Asker,
    request: pb::WatchHitsRequest,
    told: mpsc::Sender<Result<pb::WatchHitsResponse, Status>>,
) {
    let (mut changes, mut after, stop) = (core.hits.clone(), request.after_position, core.streams.stop());
    loop {
        changes.borrow_and_update();
        let now = core.clock.now();
        // What is granted may have become less meanwhile.
        if let Err(refusal) = may_watch(&core, &asker, now) {
            // Whoever watches may be gone.
            drop(told.send(Err(i247_wire::status(&core.count(&asker.identity, refusal)))).await);
            return;
        }
        let (mut hits, changed) = {
            let views = core.views();
            let hits: Vec<pb::HitStatus> = match &asker.identity {
                Identity::Post(_, name) => {
                    views.hits.of_post(asker.party, name, after).map(|hit| status(hit, now)).collect()
                }
                _ => views.hits.of(asker.party, after).map(|hit| status(hit, now)).collect(),
            };
            (hits, views.hits.changed())
        };
        // Whoever is cut off goes on behind the last that came.
        hits.sort_by_key(|hit| hit.changed_position);
        for hit in hits {
            if told.send(Ok(pb::WatchHitsResponse { hit: Some(hit) })).await.is_err() {
                return;
            }
        }
        after = after.max(changed);
        if !request.follow {
            return;
        }
        // A change that came meanwhile is remembered.
        let changed = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            () = told.closed() => false,
            () = stop.cancelled() => false,
        };
        if !changed {
            return;
        }
    }
}

/// Where a hit stands, for the wire.
pub(crate) fn stands(state: State) -> pb::HitState {
    match state {
        State::New => pb::HitState::New,
        State::SourceNotified => pb::HitState::SourceNotified,
        State::Confirmed => pb::HitState::Confirmed,
        State::Denied => pb::HitState::Denied,
        State::Stale => pb::HitState::Stale,
        State::ActionReported => pb::HitState::ActionReported,
    }
}

fn status(hit: &Hit, now: Timestamp) -> pb::HitStatus {
    let state = stands(hit.state);
    pb::HitStatus {
        id: hit.id.to_string(),
        database: hit.found.database.into(),
        owner: hit.found.owner.to_string(),
        asker: hit.found.asker.to_string(),
        station: hit.found.station.to_string(),
        purpose: hit.found.purpose.into(),
        asked_at_ms: hit.found.asked_at.as_millis(),
        state: state.into(),
        since_ms: hit.since.as_millis(),
        confirm_by_ms: hit.due.as_millis(),
        overdue: hit.is_overdue(now),
        verdict: hit.verdict.map_or(0, |verdict: HitVerdict| pb::HitVerdict::from(verdict).into()),
        decision_id: hit.decision.as_ref().map(ToString::to_string).unwrap_or_default(),
        changed_position: hit.changed,
    }
}
