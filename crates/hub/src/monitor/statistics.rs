//! Country by country, kind by kind: what the last minutes say.

use std::collections::BTreeMap;

use i247_model::{Kind, Party, Reason, Refusal};
use i247_wire::{parsed_option, pb};

use crate::core::Core;
use crate::flow::{Latency, sample};

/// Of a pair of parties in the whole window.
#[derive(Default)]
struct Pair {
    accepted: u64,
    delivered: u64,
    failed: u64,
    latency: Latency,
    overdue: u32,
}

/// Of a party in the whole window.
#[derive(Default)]
struct OfParty {
    sent: u64,
    received: u64,
    failed: u64,
    latency: Latency,
}

/// Of a kind in the whole window.
#[derive(Default)]
struct OfKind {
    accepted: u64,
    refused: u64,
    delivered: u64,
    latency: Latency,
}

/// What the window says.
///
/// # Errors
/// `MALFORMED` for a party that is none.
pub(super) fn statistics(
    core: &Core,
    asked: &pb::StatisticsRequest,
) -> Result<pb::StatisticsResponse, Refusal> {
    let about: Option<Party> = parsed_option(&asked.party, "party")?;
    let window_s = window_s(asked.window_s)?;
    let now = core.clock.now();
    let mut numbers = sample(core, now).numbers;
    let mut pairs: BTreeMap<(Party, Option<Party>), Pair> = BTreeMap::new();
    let mut kinds: BTreeMap<Kind, OfKind> = BTreeMap::new();
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    let mut minutes = Vec::new();
    let fits = |from: Party, to: Option<Party>| about.is_none() || about == Some(from) || about == to;
    let since = {
        let kept = core.flow.kept();
        kept.matrix.rates(now, &mut numbers);
        let (since, window) = kept.matrix.window(now, u64::from(window_s) * 1000);
        for minute in window {
            for (from, to, moved) in minute.pairs().filter(|(from, to, _)| fits(*from, *to)) {
                let pair = pairs.entry((from, to)).or_default();
                pair.accepted += moved.accepted;
                pair.delivered += moved.delivered;
                pair.failed += moved.failed;
                pair.latency.add(&moved.latency);
            }
            for (kind, moved) in &minute.kinds {
                let of = kinds.entry(*kind).or_default();
                of.accepted += moved.accepted;
                of.refused += moved.refused;
                of.delivered += moved.delivered;
                of.latency.add(&moved.latency);
            }
            for (reason, count) in &minute.reasons {
                *reasons.entry(*reason).or_default() += count;
            }
            minutes.push(pb::MinuteStatistics {
                begins_ms: minute.begins_ms,
                accepted: minute.totals.accepted,
                delivered: minute.totals.delivered,
                refused: minute.totals.refused,
                delivery_p99_ms: minute.latency.percentile(99),
            });
        }
        since
    };
    for ((from, to), count) in &core.overdue.found().pairs {
        if fits(*from, Some(*to)) {
            pairs.entry((*from, Some(*to))).or_default().overdue = *count;
        }
    }
    let parties = add_up(&pairs);
    Ok(pb::StatisticsResponse {
        at_ms: now.as_millis(),
        since_ms: since.as_millis(),
        numbers: Some(numbers),
        pairs: pairs.into_iter().map(|((from, to), pair)| pair.wire(from, to)).collect(),
        kinds: kinds.into_iter().map(|(kind, of)| of.wire(kind)).collect(),
        refusals: counts(reasons),
        minutes,
        parties: parties.into_iter().map(|(party, of)| of.wire(party)).collect(),
    })
}

/// Over how many seconds it is counted: so many, or five minutes where nothing is said.
///
/// # Errors
/// `WRONG_FIELD` for less than a minute and more than an hour.
pub(super) fn window_s(asked: u32) -> Result<u32, Refusal> {
    match asked {
        0 => Ok(300),
        60..=3600 => Ok(asked),
        _ => Err(Refusal::of(Reason::WrongField, "window_s")),
    }
}

/// How often something was refused, by reason.
pub(super) fn counts(reasons: BTreeMap<Reason, u64>) -> Vec<pb::ReasonCount> {
    let count = |(reason, count): (Reason, u64)| pb::ReasonCount { reason: reason.as_str().into(), count };
    reasons.into_iter().map(count).collect()
}

/// The pairs, by party.
fn add_up(pairs: &BTreeMap<(Party, Option<Party>), Pair>) -> BTreeMap<Party, OfParty> {
    let mut parties: BTreeMap<Party, OfParty> = BTreeMap::new();
    for ((from, to), pair) in pairs {
        parties.entry(*from).or_default().sent += pair.accepted;
        let of = parties.entry(to.unwrap_or(*from)).or_default();
        of.received += pair.delivered;
        of.failed += pair.failed;
        of.latency.add(&pair.latency);
    }
    parties
}

impl OfParty {
    fn wire(&self, party: Party) -> pb::PartyStatistics {
        pb::PartyStatistics {
            party: party.to_string(),
            sent: self.sent,
            received: self.received,
            failed: self.failed,
            delivery_p99_ms: self.latency.percentile(99),
        }
    }
}

impl Pair {
    fn wire(&self, from: Party, to: Option<Party>) -> pb::PairStatistics {
        pb::PairStatistics {
            from: from.to_string(),
            to: to.map(|to| to.to_string()).unwrap_or_default(),
            accepted: self.accepted,
            delivered: self.delivered,
            failed: self.failed,
            delivery_p99_ms: self.latency.percentile(99),
            overdue: self.overdue,
        }
    }
}

impl OfKind {
    fn wire(&self, kind: Kind) -> pb::KindStatistics {
        pb::KindStatistics {
            kind: pb::Kind::from(kind).into(),
            accepted: self.accepted,
            refused: self.refused,
            delivered: self.delivered,
            delivery_p50_ms: self.latency.percentile(50),
            delivery_p99_ms: self.latency.percentile(99),
        }
    }
}
