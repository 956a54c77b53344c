//! The last hour by minutes: from whom to whom, of which kind, how fast. Bounded: where more moves than has room, the
//! oldest minutes go first, and what is answered says since when it counts.

use std::collections::{BTreeMap, VecDeque};

use i247_model::{Kind, Lane, Party, Reason, RecipientState, Timestamp};
use i247_wire::pb;

use super::cells::{Table, code, party};
use super::{Latency, Move, Replied, What};

/// How many minutes are kept.
const MINUTES: usize = 60;

/// How many pairs of parties all minutes may hold together: 30 MB.
const PAIRS_MAX: usize = 250_000;

/// Of how many answers of a country the times are kept.
const REPLIES_KEPT: usize = 256;

const MINUTE_MS: u64 = 60_000;

/// Over so much time rates are counted that are shown by the second.
const RATE_SECONDS: u64 = 10;

/// What moved from one party to another, or was refused from one.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pair {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) latency: Latency,
}

/// What moved of one kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct OfKind {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    pub(crate) latency: Latency,
}

/// Of all together.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Totals {
    /// Messages.
    pub(crate) accepted: u64,
    /// Recipients.
    pub(crate) delivered: u64,
    /// Messages.
    pub(crate) refused: u64,
}

/// What moved in some time.
#[derive(Clone, Default, Debug)]
pub(crate) struct Minute {
    pub(crate) begins_ms: u64,
    pairs: Table<u32, Pair>,
    pub(crate) kinds: BTreeMap<Kind, OfKind>,
    pub(crate) reasons: BTreeMap<Reason, u64>,
    /// Delivered, by recipient and lane.
    lanes: BTreeMap<(Party, Lane), u64>,
    pub(crate) totals: Totals,
    pub(crate) latency: Latency,
}

/// How a country has answered.
#[derive(Clone, Default, Debug)]
pub(crate) struct Performance {
    pub(crate) answered: u64,
    pub(crate) in_time: u64,
    last_ms: VecDeque<u64>,
}

/// The last hour, and all answers since the start.
#[derive(Debug)]
pub(crate) struct Matrix {
    since: Timestamp,
    /// The newest last.
    minutes: VecDeque<Minute>,
    pairs: usize,
    /// By seconds, the newest last.
    seconds: VecDeque<(u64, Totals)>,
    replies: BTreeMap<Party, Performance>,
}

impl Performance {
    /// The time that so many in a hundred of the last answers took at most, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> u64 {
        let mut times: Vec<u64> = self.last_ms.iter().copied().collect();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100);
        times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Totals {
    fn count(&mut self, what: What) {
        match what {
            What::Accepted => self.accepted += 1,
            What::Stands(RecipientState::Delivered) => self.delivered += 1,
            What::Refused(_) => self.refused += 1,
            What::Entered | What::Stands(_) => {}
        }
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.refused += other.refused;
    }
}

impl Minute {
    fn count(&mut self, moved: &Move) {
        let Move { from, to, kind, lane, what, after_ms } = *moved;
        self.totals.count(what);
        let key = u32::from(code(from)) << 16 | to.map_or(1, |to| u32::from(code(to)));
        match what {
            What::Accepted => self.kind(kind, |of| of.accepted += 1),
            What::Entered => self.pairs.entry(key).or_default().accepted += 1,
            What::Stands(RecipientState::Delivered) => {
                let pair = self.pairs.entry(key).or_default();
                pair.delivered += 1;
                pair.latency.count(after_ms);
                self.latency.count(after_ms);
                self.kind(kind, |of| {
                    of.delivered += 1;
                    of.latency.count(after_ms);
                });
                if let (Some(to), Some(lane)) = (to, lane) {
                    *self.lanes.entry((to, lane)).or_default() += 1;
                }
            }
            What::Stands(RecipientState::Expired | RecipientState::Refused) => {
                self.pairs.entry(key).or_default().failed += 1;
            }
            What::Stands(_) => {}
            What::Refused(reason) => {
                self.pairs.entry(key).or_default().failed += 1;
                self.kind(kind, |of| of.refused += 1);
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }

    fn kind(&mut self, kind: Option<Kind>, count: impl FnOnce(&mut OfKind)) {
        if let Some(kind) = kind {
            count(self.kinds.entry(kind).or_default());
        }
    }

    /// Every pair that moved, in no order that anybody may rely on.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Party, Option<Party>, &Pair)> {
        self.pairs
            .iter()
            .filter_map(|(key, pair)| Some((party((key >> 16) as u16)?, party(*key as u16), pair)))
    }
}

impl Matrix {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            minutes: VecDeque::new(),
            pairs: 0,
            seconds: VecDeque::new(),
            replies: BTreeMap::new(),
        }
    }

    /// Counts what moved up to now.
    pub(crate) fn count(&mut self, now: Timestamp, moves: &[Move], replies: &[Replied]) {
        let now_ms = now.as_millis();
        for Replied { by, after_ms, in_time } in replies {
            let performance = self.replies.entry(*by).or_default();
            performance.answered += 1;
            performance.in_time += u64::from(*in_time);
            performance.last_ms.push_back(*after_ms);
            if performance.last_ms.len() > REPLIES_KEPT {
                performance.last_ms.pop_front();
            }
        }
        let second = now_ms / 1000;
        while self.seconds.front().is_some_and(|(begins, _)| begins + RATE_SECONDS < second) {
            self.seconds.pop_front();
        }
        let begins_ms = now_ms - now_ms % MINUTE_MS;
        while self.minutes.front().is_some_and(|oldest| oldest.begins_ms + 60 * MINUTE_MS < now_ms) {
            self.drop_oldest();
        }
        if moves.is_empty() {
            return;
        }
        if self.minutes.back().is_none_or(|newest| newest.begins_ms < begins_ms) {
            self.minutes.push_back(Minute { begins_ms, ..Minute::default() });
        }
        let mut totals = Totals::default();
        if let Some(minute) = self.minutes.back_mut() {
            let before = minute.pairs.len();
            for moved in moves {
                minute.count(moved);
                totals.count(moved.what);
            }
            self.pairs += minute.pairs.len() - before;
        }
        match self.seconds.back_mut().filter(|(begins, _)| *begins == second) {
            Some((_, there)) => there.add(totals),
            None => self.seconds.push_back((second, totals)),
        }
        while self.minutes.len() > MINUTES || (self.pairs > PAIRS_MAX && self.minutes.len() > 1) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.minutes.pop_front() {
            self.pairs -= oldest.pairs.len();
            self.since = self.since.max(Timestamp::from_millis(oldest.begins_ms + MINUTE_MS));
        }
    }

    /// The minutes that lie in a window before now, the oldest first, and since when they count.
    pub(crate) fn window(
        &self,
        now: Timestamp,
        window_ms: u64,
    ) -> (Timestamp, impl Iterator<Item = &Minute>) {
        let from = now.as_millis().saturating_sub(window_ms);
        // A minute that has begun before the window counts whole: the window begins with it.
        let begins = from - from % MINUTE_MS;
        let since = self.since.max(Timestamp::from_millis(begins));
        (since, self.minutes.iter().filter(move |minute| minute.begins_ms >= begins))
    }

    /// How a country has answered since the start.
    pub(crate) fn performance(&self, party: Party) -> Performance {
        self.replies.get(&party).cloned().unwrap_or_default()
    }

    /// Deliveries a second to a mailbox in a lane, over about the last minute.
    pub(crate) fn delivered_per_second(&self, now: Timestamp, party: Party, lane: Lane) -> f64 {
        let delivered = |minute: &Minute| minute.lanes.get(&(party, lane)).copied().unwrap_or_default();
        let (weighted, span_ms) = self.about_a_minute(now, |minute| delivered(minute) as f64);
        if span_ms == 0 { 0.0 } else { weighted * 1000.0 / span_ms as f64 }
    }

    /// What was counted over the last ten seconds and about the last minute.
    pub(crate) fn rates(&self, now: Timestamp, numbers: &mut pb::FlowNumbers) {
        let second = now.as_millis() / 1000;
        let mut totals = Totals::default();
        for (_, one) in self.seconds.iter().filter(|(begins, _)| begins + RATE_SECONDS > second) {
            totals.add(*one);
        }
        let up_ms = now.since(self.since).as_millis() as u64;
        let seconds = (up_ms as f64 / 1000.0).clamp(1.0, RATE_SECONDS as f64);
        numbers.accepted_per_second = totals.accepted as f64 / seconds;
        numbers.delivered_per_second = totals.delivered as f64 / seconds;
        numbers.refused_per_second = totals.refused as f64 / seconds;
        let mut latency = Latency::default();
        let from = now.as_millis().saturating_sub(2 * MINUTE_MS);
        for minute in self.minutes.iter().rev().take(2).filter(|minute| minute.begins_ms > from) {
            latency.add(&minute.latency);
        }
        numbers.delivery_p99_ms = latency.percentile(99);
    }

    /// The running minute, and of the one before as much as makes a minute with it; and how long that is.
    fn about_a_minute(&self, now: Timestamp, read: impl Fn(&Minute) -> f64) -> (f64, u64) {
        let now_ms = now.as_millis();
        let begins = now_ms - now_ms % MINUTE_MS;
        let at = |begins_ms: u64| self.minutes.iter().rev().take(2).find(|one| one.begins_ms == begins_ms);
        let gone = now_ms - begins;
        let share = 1.0 - gone as f64 / MINUTE_MS as f64;
        let before = at(begins.saturating_sub(MINUTE_MS)).map_or(0.0, |minute| read(minute) * share);
        let up_ms = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        (at(begins).map_or(0.0, read) + before, up_ms.clamp(1000, MINUTE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_040_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(START + ms)
    }

    fn moved(to: &str, what: What) -> Move {
        let (kind, lane) = (Some(Kind::Request), Some(Lane::Normal));
        Move { from: "FR".parse().unwrap(), to: Some(to.parse().unwrap()), kind, lane, what, after_ms: 40 }
    }

    #[test]
    fn a_window_holds_its_minutes_and_older_ones_go_after_an_hour() {
        let mut matrix = Matrix::new(at(0));
        for minute in 0..70 {
            let moves = [moved("BR", What::Entered), moved("BR", What::Stands(RecipientState::Delivered))];
            matrix.count(at(minute * MINUTE_MS), &moves, &[]);
        }
        let now = at(69 * MINUTE_MS + 30_000);
        let (since, minutes) = matrix.window(now, 2 * MINUTE_MS);
        assert_eq!(since, at(67 * MINUTE_MS));
        assert_eq!(minutes.count(), 3, "the window begins with a whole minute");
        let (since, minutes) = matrix.window(now, 60 * MINUTE_MS);
        assert_eq!((since, minutes.count()), (at(10 * MINUTE_MS), 60));
        let newest = matrix.minutes.back().unwrap();
        let (from, to, pair) = newest.pairs().next().unwrap();
        assert_eq!((from.to_string(), to.unwrap().to_string()), ("FR".into(), "BR".into()));
        assert_eq!((pair.accepted, pair.delivered, pair.latency.percentile(99)), (1, 1, 50));
        assert_eq!(matrix.pairs, 60);
    }

    #[test]
    fn a_queue_is_drained_at_the_rate_of_about_the_last_minute() {
        let mut matrix = Matrix::new(at(0));
        let delivered = vec![moved("BR", What::Stands(RecipientState::Delivered)); 60];
        matrix.count(at(10_000), &delivered, &[]);
        let brazil = "BR".parse().unwrap();
        assert_eq!(matrix.delivered_per_second(at(10_000), brazil, Lane::Normal), 6.0);
        assert_eq!(matrix.delivered_per_second(at(90_000), brazil, Lane::Normal), 0.5);
        assert_eq!(matrix.delivered_per_second(at(180_000), brazil, Lane::Normal), 0.0);
        assert_eq!(matrix.delivered_per_second(at(10_000), brazil, Lane::Urgent), 0.0);
    }

    #[test]
    fn answers_are_counted_by_country_and_the_last_are_timed() {
        let mut matrix = Matrix::new(at(0));
        let by: Party = "BR".parse().unwrap();
        let replies: Vec<Replied> =
            (1..=300).map(|n| Replied { by, after_ms: n * 10, in_time: n % 3 > 0 }).collect();
        matrix.count(at(0), &[], &replies);
        let performance = matrix.performance(by);
        assert_eq!((performance.answered, performance.in_time), (300, 200));
        assert_eq!((performance.percentile(50), performance.percentile(90)), (1720, 2750));
        assert_eq!(matrix.performance("FR".parse().unwrap()).percentile(50), 0);
    }
}
