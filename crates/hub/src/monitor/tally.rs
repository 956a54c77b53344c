//! What one operation put on the network, counted from what the log holds of it.

pub(super) mod searches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use i247_model::{CountryCode, Kind, MessageId, Party, RecipientState, Timestamp};
use i247_wire::pb;

use super::millis;
use crate::history::HistoryError;
use crate::past::{self, Found};
use crate::views::Views;

/// Counts an operation from what the log holds of it.
pub(super) fn tally(views: &RwLock<Views>, name: &str) -> Result<pb::OperationTallyResponse, HistoryError> {
    let mut tally = Tally::default();
    let operation = past::operation(views, name)?;
    for id in operation.messages.iter().filter_map(|id| id.parse().ok()) {
        if let Some(found) = past::find(views, &id)? {
            tally.count(&id, &found);
        }
    }
    tally.latencies.sort_unstable();
    let percentile = |percent: usize| {
        let last = tally.latencies.len().saturating_sub(1);
        tally.latencies.get(last * percent / 100).copied().unwrap_or_default()
    };
    Ok(pb::OperationTallyResponse {
        participants: u32::try_from(tally.participants.len()).unwrap_or(u32::MAX),
        seats: u32::try_from(operation.seats.len()).unwrap_or(u32::MAX),
        delivery_p50_ms: percentile(50),
        delivery_p99_ms: percentile(99),
        first_accepted_at_ms: tally.first.map_or(0, Timestamp::as_millis),
        last_accepted_at_ms: tally.last.map_or(0, Timestamp::as_millis),
        reminders: tally.kinds.get(&Kind::Reminder).map_or(0, |kind| kind.accepted),
        escalations: tally.kinds.get(&Kind::Escalation).map_or(0, |kind| kind.accepted),
        cases: tally.cases,
        cases_located: tally.located.len() as u64,
        searches: None,
        receipts: views.read().unwrap_or_else(PoisonError::into_inner).receipts,
        kinds: tally.kinds.into_values().collect(),
        countries: tally.countries.into_values().collect(),
    })
}

#[derive(Default)]
struct Tally {
    kinds: BTreeMap<Kind, pb::KindTally>,
    countries: BTreeMap<CountryCode, pb::CountryTally>,
    participants: BTreeSet<CountryCode>,
    latencies: Vec<u64>,
    cases: u64,
    /// The notices on which somebody reported an arrest, or where the person is.
    located: BTreeSet<MessageId>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Tally {
    fn count(&mut self, id: &MessageId, found: &Found) {
        let item = &found.item;
        self.participants.extend(id.sender.party().country());
        let kind = self
            .kinds
            .entry(item.kind)
            .or_insert_with(|| pb::KindTally { kind: item.kind.to_string(), ..pb::KindTally::default() });
        if item.refused.is_some() {
            kind.refused += 1;
            return;
        }
        kind.accepted += 1;
        match (item.kind, &item.refers_to) {
            // With a reference it is an addendum to a case that is there.
            (Kind::NoticeRequest, None) => self.cases += 1,
            (Kind::PersonLocated | Kind::ArrestReport, Some(notice)) => {
                self.located.insert(notice.clone());
            }
            _ => {}
        }
        self.first = Some(self.first.map_or(item.at, |first| first.min(item.at)));
        self.last = self.last.max(Some(item.at));
        let delivered = item.events.iter().filter(|event| event.state == RecipientState::Delivered);
        let countries = delivered.filter(|event| event.party != Party::Secretariat);
        self.latencies.extend(countries.map(|event| millis(event.at.since(item.at))));
        let Some(message) = &found.message else { return };
        for (party, recipient) in &message.recipients {
            kind.deliveries += 1;
            kind.delivered += u64::from(recipient.state.has_it());
            let Some(country) = party.country() else { continue };
            self.participants.insert(country);
            let entry = self.countries.entry(country).or_insert_with(|| pb::CountryTally {
                country: country.to_string(),
                ..pb::CountryTally::default()
            });
            entry.undelivered += u64::from(!recipient.state.settled());
            if let Some(line) = recipient.line {
                entry.owed += 1;
                entry.answered += u64::from(!line.state.owed());
            }
        }
    }
}
