//! What `i247 top` knows: the links as the last ticks left them. It draws nothing.

use std::collections::{BTreeMap, VecDeque};

use i247_client::pb;

/// Rates are shown over so many ticks.
const TICKS: usize = 5;

/// How much each party sent and received.
type Moved = BTreeMap<String, (u32, u32)>;

/// The links.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) at_ms: u64,
    pub(super) numbers: pb::FlowNumbers,
    countries: BTreeMap<String, pb::FlowCountry>,
    /// By the newest ticks: how long they are, and what each party sent and received in them.
    ticks: VecDeque<(u32, Moved)>,
    /// From acceptance to receipt, by who receives.
    p99_ms: BTreeMap<String, u64>,
    pub(super) lost: u32,
    /// Why the hub is not heard, when it is not.
    pub(super) silent: Option<String>,
}

/// What comes from the hub.
pub(super) enum News {
    Tick(Box<pb::FlowTick>),
    Statistics(Box<pb::StatisticsResponse>),
    /// It is not heard, and why.
    Silence(String),
}

/// One line of the table.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) party: String,
    pub(super) state: &'static str,
    pub(super) sent_per_second: f64,
    pub(super) received_per_second: f64,
    pub(super) queued: Vec<u32>,
    /// How long the oldest message waits; none when none does.
    pub(super) oldest_ms: Option<u64>,
    pub(super) p99_ms: u64,
    /// Something is wrong with it, as bad as that.
    pub(super) worst: pb::AlertSeverity,
}

impl Board {
    /// Takes in what came.
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Tick(tick) => self.tick(*tick),
            News::Statistics(statistics) => self.statistics(&statistics),
            News::Silence(why) => self.silent = Some(why),
        }
    }

    /// Takes a tick in.
    pub(super) fn tick(&mut self, tick: pb::FlowTick) {
        if self.silent.take().is_some() {
            // The first tick of a stream names every bureau.
            self.countries.clear();
            self.ticks.clear();
        }
        self.at_ms = tick.at_ms;
        self.lost += tick.ticks_lost;
        self.numbers = tick.numbers.unwrap_or_default();
        for country in tick.countries {
            self.countries.insert(country.party.clone(), country);
        }
        let mut moved = Moved::new();
        for link in tick.links {
            moved.entry(link.from).or_default().0 += link.accepted;
            moved.entry(link.to).or_default().1 += link.delivered;
        }
        self.ticks.push_back((tick.span_ms, moved));
        if self.ticks.len() > TICKS {
            self.ticks.pop_front();
        }
    }

    /// Takes the statistics of the last minutes in.
    pub(super) fn statistics(&mut self, statistics: &pb::StatisticsResponse) {
        self.p99_ms = statistics.parties.iter().map(|one| (one.party.clone(), one.delivery_p99_ms)).collect();
    }

    /// The links: those first with which something is wrong, then those where most waits or moves.
    pub(super) fn lines(&self) -> Vec<Line> {
        let span_ms: u32 = self.ticks.iter().map(|(span, _)| span).sum();
        let per_second = |count: u32| f64::from(count) * 1000.0 / f64::from(span_ms.max(1));
        let line = |country: &pb::FlowCountry| {
            let moved = self.ticks.iter().filter_map(|(_, moved)| moved.get(&country.party));
            let (sent, received) = moved.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let oldest = country.oldest_accepted_at_ms;
            Line {
                party: country.party.clone(),
                state: state(country),
                sent_per_second: per_second(sent),
                received_per_second: per_second(received),
                queued: country.queued.clone(),
                oldest_ms: (oldest > 0).then(|| self.at_ms.saturating_sub(oldest)),
                p99_ms: self.p99_ms.get(&country.party).copied().unwrap_or_default(),
                worst: country.worst(),
            }
        };
        let mut lines: Vec<Line> = self.countries.values().map(line).collect();
        lines.sort_by(|one, other| {
            let weight = |line: &Line| {
                let queued: u64 = line.queued.iter().map(|count| u64::from(*count)).sum();
                (line.worst as i32, queued)
            };
            let moved = |line: &Line| line.sent_per_second + line.received_per_second;
            weight(other).cmp(&weight(one)).then(moved(other).total_cmp(&moved(one)))
        });
        lines
    }
}

fn state(country: &pb::FlowCountry) -> &'static str {
    match (country.standing(), country.connected) {
        (pb::Standing::Suspended, _) => "suspended",
        (pb::Standing::Revoked, _) => "revoked",
        (_, true) => "connected",
        (_, false) => "away",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(party: &str, queued: u32, worst: pb::AlertSeverity) -> pb::FlowCountry {
        pb::FlowCountry {
            party: party.into(),
            connected: queued == 0,
            standing: pb::Standing::Active.into(),
            queued: vec![0, 0, queued, 0],
            oldest_accepted_at_ms: u64::from(queued > 0) * 1_000,
            worst: worst.into(),
        }
    }

    #[test]
    fn what_is_wrong_comes_first_then_what_waits_then_what_moves() {
        let mut board = Board::default();
        let none = pb::AlertSeverity::Unspecified;
        let countries = vec![
            country("BR", 0, none),
            country("FR", 0, none),
            country("JP", 3, none),
            country("SN", 1, pb::AlertSeverity::Critical),
        ];
        let link = pb::FlowLink {
            from: "FR".into(),
            to: "JP".into(),
            accepted: 5,
            delivered: 1,
            ..pb::FlowLink::default()
        };
        let tick = pb::FlowTick {
            at_ms: 61_000,
            span_ms: 500,
            links: vec![link.clone()],
            countries,
            ..Default::default()
        };
        board.tick(tick);
        board.tick(pb::FlowTick { at_ms: 61_500, span_ms: 500, links: vec![link], ..Default::default() });
        let lines = board.lines();
        let order: Vec<&str> = lines.iter().map(|line| line.party.as_str()).collect();
        assert_eq!(order, ["SN", "JP", "FR", "BR"]);
        assert_eq!((lines[2].sent_per_second, lines[1].received_per_second), (10.0, 2.0));
        assert_eq!((lines[1].oldest_ms, lines[1].state), (Some(60_500), "away"));
    }
}
