//! The register of hits: a record matched what somebody asked for, its owner is told, and says whether it still holds;
//! only then is anything done. It looks nothing up and sends nothing: it is told what the log says, in the log's order.
//!
//! ```text
//!  NEW ──told──► SOURCE_NOTIFIED ──► CONFIRMED │ DENIED │ STALE ──► ACTION_REPORTED
//! ```

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{HitFound, HitVerdict, MessageId, Name, Party, Timestamp};
use serde::{Deserialize, Serialize};

/// Hits that are done with are kept for whoever asks, the newest so many of them.
pub const DONE_KEPT: usize = 10_000;

/// Operations of which it keeps what became of hits that it has let go of.
const OPERATIONS_KEPT: usize = 1024;

/// Where a hit stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum State {
    /// It was found; its owner does not have it yet.
    New,
    /// Its owner has it.
    SourceNotified,
    /// The owner says that the record holds.
    Confirmed,
    /// The owner says that it is not the same, or was found again.
    Denied,
    /// The owner says that the record is out of date and goes.
    Stale,
    /// The asker said what was done.
    ActionReported,
}

/// A hit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The message by which the owner is told.
    pub id: MessageId,
    /// What was found by whom.
    pub found: HitFound,
    /// When the owner's answer is due.
    pub due: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What the owner said last.
    pub verdict: Option<HitVerdict>,
    /// The message in which the owner said it: whoever acts refers to it.
    pub decision: Option<MessageId>,
    /// The position of the log at which it changed last.
    pub changed: u64,
}

impl Hit {
    /// Whether the owner's answer is late.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.verdict.is_none() && now > self.due
    }

    /// Whether it was found by a search of this operation.
    pub fn is_of(&self, operation: &str) -> bool {
        self.found.operation.as_deref() == Some(operation)
    }

    /// Whether the owner says that the record holds.
    pub fn is_confirmed(&self) -> bool {
        self.verdict == Some(HitVerdict::Confirmed)
    }

    /// Whether nobody has anything left to do.
    pub fn is_done(&self) -> bool {
        self.state == State::ActionReported
    }
}

/// Record, asker and station, and whether that is a post: what makes two hits one.
type Same = (MessageId, u16, Party, Name, bool);

/// All hits, as the log has them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Register {
    hits: BTreeMap<u64, Hit>,
    /// The place of each hit, by the message that told of it and by those in which its owner decided.
    places: BTreeMap<MessageId, u64>,
    /// Those on which the owner has not decided, by what was found by whom and where.
    undecided: BTreeMap<Same, u64>,
    done: usize,
    changed: u64,
    /// What became of those in an operation that it has let go of, and where the last of them had changed.
    past: BTreeMap<String, (u64, Tally)>,
}

/// Hits, by what their owners said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// All of them.
    pub hits: u64,
    /// The record holds.
    pub confirmed: u64,
    /// It is not the same, or was found again.
    pub denied: u64,
    /// The record is out of date.
    pub stale: u64,
    /// The owner has not decided.
    pub undecided: u64,
    /// It was said what was done.
    pub acted: u64,
    /// Records that a confirmed hit led to, each once.
    pub located: u64,
}

impl Tally {
    fn count(&mut self, hit: &Hit) {
        self.hits += 1;
        match hit.verdict {
            Some(HitVerdict::Confirmed) => self.confirmed += 1,
            Some(HitVerdict::Denied) => self.denied += 1,
            Some(HitVerdict::Stale) => self.stale += 1,
            None => self.undecided += 1,
        }
        self.acted += u64::from(hit.is_done());
    }
}

impl Register {
    /// A hit was entered at this position.
    pub fn enter(&mut self, position: u64, at: Timestamp, id: &MessageId, found: &HitFound) {
        let hit = Hit {
            id: id.clone(),
            found: found.clone(),
            due: at.plus(found.confirm_within()),
            state: State::New,
            since: at,
            verdict: None,
            decision: None,
            changed: position,
        };
        self.places.insert(id.clone(), position);
        self.undecided.insert(same(found), position);
        self.hits.insert(position, hit);
        self.changed = position;
    }

    /// The owner has the message of a hit.
    pub fn told(&mut self, position: u64, at: Timestamp, id: &MessageId) {
        self.change(position, at, id, |hit| {
            if hit.state != State::New {
                return false;
            }
            hit.state = State::SourceNotified;
            true
        });
    }

    /// The owner decided, in this message. It may change its mind until something was done.
    pub fn decide(
        &mut self,
        position: u64,
        at: Timestamp,
        (id, decision): (&MessageId, &MessageId),
        by: Party,
        verdict: HitVerdict,
    ) {
        let changed = self.change(position, at, id, |hit| {
            if hit.is_done() || by != hit.found.owner {
                return false;
            }
            hit.state = match verdict {
                HitVerdict::Confirmed => State::Confirmed,
                HitVerdict::Denied => State::Denied,
                HitVerdict::Stale => State::Stale,
            };
            hit.verdict = Some(verdict);
            hit.decision = Some(decision.clone());
            true
        });
        if changed && let Some(place) = self.places.get(id).copied() {
            self.places.insert(decision.clone(), place);
            if let Some(hit) = self.hits.get(&place) {
                self.undecided.remove(&same(&hit.found));
            }
        }
    }

    /// The asker said what was done after a decision.
    pub fn act(&mut self, position: u64, at: Timestamp, decision: &MessageId, by: Party) {
        let changed = self.change(position, at, decision, |hit| {
            if hit.verdict.is_none() || hit.is_done() || by != hit.found.asker {
                return false;
            }
            hit.state = State::ActionReported;
            true
        });
        if changed {
            self.done += 1;
            self.forget();
        }
    }

    /// A hit by the message that told of it, or by one in which its owner decided.
    pub fn get(&self, id: &MessageId) -> Option<&Hit> {
        self.hits.get(self.places.get(id)?)
    }

    /// All hits that it holds, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Hit> {
        self.hits.values()
    }

    /// The hits of a party, as owner or asker, that changed after a position, in the order in which they were found.
    pub fn of(&self, party: Party, after: u64) -> impl Iterator<Item = &Hit> {
        self.hits
            .values()
            .filter(move |hit| hit.changed > after && (hit.found.owner == party || hit.found.asker == party))
    }

    /// The hits that the searches of a post made and that changed after a position, in the order in which they were found.
    pub fn of_post(&self, home: Party, post: &Name, after: u64) -> impl Iterator<Item = &Hit> {
        let by_it = move |found: &HitFound| found.by_post && found.asker == home && found.station == *post;
        self.hits.values().filter(move |hit| hit.changed > after && by_it(&hit.found))
    }

    /// What became of the hits of an operation. A record that was let go of and is found again later counts as located
    /// again.
    pub fn tally(&self, operation: &str) -> Tally {
        let (_, mut tally) = self.past.get(operation).copied().unwrap_or_default();
        let mut located = BTreeSet::new();
        for hit in self.hits.values().filter(|hit| hit.is_of(operation)) {
            tally.count(hit);
            if hit.is_confirmed() {
                located.insert((&hit.found.records, hit.found.item));
            }
        }
        tally.located += located.len() as u64;
        tally
    }

    /// The same record found by the same asker, on which the owner has not yet decided: nobody is told twice.
    pub fn pending(&self, found: &HitFound) -> Option<&Hit> {
        self.hits.get(self.undecided.get(&same(found))?)
    }

    /// The position of the last change.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    fn change(
        &mut self,
        position: u64,
        at: Timestamp,
        id: &MessageId,
        change: impl FnOnce(&mut Hit) -> bool,
    ) -> bool {
        let hit = self.places.get(id).and_then(|place| self.hits.get_mut(place));
        let Some(hit) = hit else { return false };
        if !change(hit) {
            return false;
        }
        (hit.since, hit.changed) = (at, position);
        self.changed = position;
        true
    }

    /// Lets go of the oldest that are done with.
    fn forget(&mut self) {
        while self.done > DONE_KEPT {
            let oldest = self.hits.iter().find(|(_, hit)| hit.is_done()).map(|(place, _)| *place);
            let Some(place) = oldest else { return };
            if let Some(hit) = self.hits.remove(&place) {
                self.count_past(&hit);
            }
            self.places.retain(|_, at| *at != place);
            self.done -= 1;
        }
    }
}

impl Register {
    /// Counts a hit that it lets go of, so that its operation keeps it.
    fn count_past(&mut self, hit: &Hit) {
        let Some(operation) = &hit.found.operation else { return };
        // While another hit on the same record is here, that one says that it was located.
        let again = |other: &Hit| {
            let same = (&other.found.records, other.found.item) == (&hit.found.records, hit.found.item);
            same && other.is_of(operation) && other.is_confirmed()
        };
        let located = hit.is_confirmed() && !self.hits.values().any(again);
        let (changed, past) = self.past.entry(operation.clone()).or_default();
        *changed = hit.changed.max(*changed);
        past.count(hit);
        past.located += u64::from(located);
        if self.past.len() > OPERATIONS_KEPT {
            let oldest = self.past.iter().min_by_key(|(_, (changed, _))| *changed);
            if let Some(oldest) = oldest.map(|(operation, _)| operation.clone()) {
                self.past.remove(&oldest);
            }
        }
    }
}

fn same(found: &HitFound) -> Same {
    (found.records.clone(), found.item, found.asker, found.station.clone(), found.by_post)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use i247_model::Lane;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(text: &str) -> MessageId {
        text.parse().unwrap()
    }

    fn party(code: &str) -> Party {
        code.parse().unwrap()
    }

    fn found(item: u16) -> HitFound {
        HitFound {
            records: id("DE-1-B-7"),
            item,
            database: 7,
            owner: party("DE"),
            asker: party("FR"),
            lane: Lane::Urgent,
            purpose: 1,
            station: "cdg".parse().unwrap(),
            asked_at: START,
            by_post: false,
            operation: None,
        }
    }

    fn register() -> Register {
        let mut register = Register::default();
        register.enter(40, START, &id("IPSG-40-U-1"), &found(3));
        register
    }

    #[test]
    fn a_hit_goes_from_new_to_what_was_done() {
        let (mut register, hit, decision) = (register(), id("IPSG-40-U-1"), id("DE-1-U-1"));
        assert_eq!(register.get(&hit).unwrap().state, State::New);
        register.told(41, START, &hit);
        assert_eq!(register.get(&hit).unwrap().state, State::SourceNotified);
        register.decide(42, START, (&hit, &decision), party("DE"), HitVerdict::Confirmed);
        assert_eq!(register.get(&decision).unwrap().state, State::Confirmed);
        register.act(43, START, &decision, party("FR"));
        let done = register.get(&hit).unwrap();
        assert_eq!(
            (done.state, done.verdict, done.changed),
            (State::ActionReported, Some(HitVerdict::Confirmed), 43)
        );
        // What comes late changes nothing.
        register.told(44, START, &hit);
        register.decide(45, START, (&hit, &decision), party("DE"), HitVerdict::Denied);
        assert_eq!(register.changed(), 43);
    }

    #[test]
    fn only_the_owner_decides_and_only_the_asker_acts_after_that() {
        let (mut register, hit, decision) = (register(), id("IPSG-40-U-1"), id("BR-1-U-1"));
        register.decide(41, START, (&hit, &decision), party("BR"), HitVerdict::Confirmed);
        register.decide(42, START, (&hit, &decision), party("FR"), HitVerdict::Confirmed);
        register.act(43, START, &hit, party("FR"));
        assert_eq!(register.get(&hit).unwrap().state, State::New);
        // It decides before it has said that it has the message, and may change its mind.
        let (first, second) = (id("DE-1-U-1"), id("DE-1-U-2"));
        register.decide(44, START, (&hit, &first), party("DE"), HitVerdict::Stale);
        register.decide(45, START, (&hit, &second), party("DE"), HitVerdict::Denied);
        register.act(46, START, &second, party("BR"));
        assert_eq!(register.get(&hit).unwrap().state, State::Denied);
        register.act(47, START, &first, party("FR"));
        assert_eq!(register.get(&hit).unwrap().state, State::ActionReported);
    }

    #[test]
    fn the_same_record_at_the_same_station_is_one_hit_until_it_is_decided() {
        let mut register = register();
        assert_eq!(register.pending(&found(3)).map(|hit| hit.id.clone()), Some(id("IPSG-40-U-1")));
        assert!(register.pending(&found(4)).is_none());
        assert!(register.pending(&HitFound { station: "orly".parse().unwrap(), ..found(3) }).is_none());
        assert!(register.pending(&HitFound { asker: party("JP"), ..found(3) }).is_none());
        let (hit, decision) = (id("IPSG-40-U-1"), id("DE-1-U-1"));
        register.decide(41, START, (&hit, &decision), party("DE"), HitVerdict::Confirmed);
        assert!(register.pending(&found(3)).is_none());
    }

    #[test]
    fn a_post_sees_what_its_own_searches_made_and_not_what_its_bureau_asked_in_its_place() {
        let mut register = register();
        let by_post = HitFound { by_post: true, ..found(3) };
        assert!(register.pending(&by_post).is_none(), "the bureau's hit is not the post's");
        register.enter(41, START, &id("IPSG-41-U-1"), &by_post);
        let of = |home: &str, post: &str, after| {
            let post: Name = post.parse().unwrap();
            let hits = register.of_post(party(home), &post, after);
            hits.map(|hit| hit.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("FR", "cdg", 0), ["IPSG-41-U-1"]);
        assert_eq!(of("FR", "cdg", 41), Vec::<String>::new());
        assert_eq!(of("FR", "orly", 0), Vec::<String>::new());
        assert_eq!(of("BR", "cdg", 0), Vec::<String>::new());
        assert_eq!(of("DE", "cdg", 0), Vec::<String>::new());
    }

    #[test]
    fn an_answer_is_late_after_twelve_hours_when_it_is_urgent_and_after_ten_days_otherwise() {
        let mut register = register();
        let normal = HitFound { lane: Lane::Normal, ..found(4) };
        register.enter(41, START, &id("IPSG-41-N-1"), &normal);
        let late = |register: &Register, hit: &str, hours: u64| {
            let now = START.plus(Duration::from_secs(hours * 3600 + 1));
            register.get(&id(hit)).unwrap().is_overdue(now)
        };
        assert!(!late(&register, "IPSG-40-U-1", 11) && late(&register, "IPSG-40-U-1", 12));
        assert!(!late(&register, "IPSG-41-N-1", 239) && late(&register, "IPSG-41-N-1", 240));
        let (hit, decision) = (id("IPSG-40-U-1"), id("DE-1-U-1"));
        register.decide(42, START, (&hit, &decision), party("DE"), HitVerdict::Stale);
        assert!(!late(&register, "IPSG-40-U-1", 12));
    }

    #[test]
    fn a_party_sees_its_own_hits_that_changed_and_what_is_done_is_let_go() {
        let mut register = register();
        for (code, after, count) in [("DE", 0, 1), ("FR", 39, 1), ("FR", 40, 0), ("BR", 0, 0)] {
            assert_eq!(register.of(party(code), after).count(), count, "{code} after {after}");
        }
        for n in 0..=DONE_KEPT as u64 {
            let (place, hit) = (100 + n, id(&format!("IPSG-{}-U-1", 100 + n)));
            let decision = id(&format!("DE-1-U-{}", n + 1));
            register.enter(place, START, &hit, &found(5));
            register.decide(place, START, (&hit, &decision), party("DE"), HitVerdict::Confirmed);
            register.act(place, START, &decision, party("FR"));
        }
        assert!(register.get(&id("IPSG-100-U-1")).is_none() && register.get(&id("DE-1-U-1")).is_none());
        assert!(register.get(&id("IPSG-101-U-1")).is_some());
        assert_eq!(register.get(&id("IPSG-40-U-1")).unwrap().state, State::New);
    }

    #[test]
    fn the_hits_of_an_operation_are_counted_by_what_their_owners_said_also_those_that_were_let_go() {
        let mut register = Register::default();
        let mut place = 100;
        // Each: its item, the operation, what the owner said, and whether it was said what was done.
        let mut hit = |register: &mut Register, item, operation: Option<&str>, verdict, acted: bool| {
            place += 1;
            let (hit, decision) = (id(&format!("IPSG-{place}-U-1")), id(&format!("DE-1-U-{place}")));
            let found = HitFound { operation: operation.map(str::to_owned), ..found(item) };
            register.enter(place, START, &hit, &found);
            if let Some(verdict) = verdict {
                register.decide(place, START, (&hit, &decision), party("DE"), verdict);
            }
            if acted {
                register.act(place, START, &decision, party("FR"));
            }
        };
        let (confirmed, denied, stale) =
            (Some(HitVerdict::Confirmed), Some(HitVerdict::Denied), Some(HitVerdict::Stale));
        hit(&mut register, 1, Some("hammer"), confirmed, true);
        hit(&mut register, 1, Some("hammer"), confirmed, false);
        hit(&mut register, 2, Some("hammer"), confirmed, true);
        hit(&mut register, 3, Some("hammer"), denied, false);
        hit(&mut register, 4, Some("hammer"), stale, false);
        hit(&mut register, 5, Some("hammer"), None, false);
        hit(&mut register, 6, Some("anaconda"), confirmed, false);
        hit(&mut register, 7, None, confirmed, false);
        let expected =
            Tally { hits: 6, confirmed: 3, denied: 1, stale: 1, undecided: 1, acted: 2, located: 2 };
        assert_eq!(register.tally("hammer"), expected);
        assert_eq!(
            register.tally("anaconda"),
            Tally { hits: 1, confirmed: 1, located: 1, ..Tally::default() }
        );
        assert_eq!(register.tally("thunder"), Tally::default());
        // The oldest two that are done with are let go, and their operation keeps them.
        for _ in 0..DONE_KEPT {
            hit(&mut register, 9, None, confirmed, true);
        }
        assert!(register.get(&id("IPSG-101-U-1")).is_none() && register.get(&id("IPSG-103-U-1")).is_none());
        assert_eq!(register.tally("hammer"), expected);
    }
}
