//! What came of an operation, counted afterwards through the public API: desks and monitor.
//!
//! It counts what the bureaus and the hub hold. It does not know the script.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest as hash};
use futures::StreamExt as _;
use futures::stream;
use i247_client::{ClientError, Desk, InboxFilter, Monitor, OutboxFilter, pb};
use i247_model::{CountryCode, MessageId, NoticeId, hexadecimal};
use serde::Serialize;

/// How many bureaus are asked at once.
const AT_ONCE: usize = 8;

/// What came of an operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counted {
    /// Which operation.
    pub operation: String,
    /// What each bureau holds.
    pub countries: BTreeMap<CountryCode, CountedCountry>,
    /// Messages accepted by the hub, by kind.
    pub accepted: BTreeMap<String, u64>,
    /// Messages that the hub has not delivered yet, by country.
    pub undelivered: BTreeMap<CountryCode, u64>,
    /// Frames of receipts in the hub's log.
    pub receipts: u64,
    /// Reminders that the hub sent.
    pub reminders: u64,
    /// Escalations that the hub sent.
    pub escalations: u64,
    /// Half of all deliveries took no longer, in milliseconds from acceptance to receipt.
    pub delivery_p50_ms: u64,
    /// 99 in 100 deliveries took no longer.
    pub delivery_p99_ms: u64,
    /// From the first accepted message to the last, in milliseconds.
    pub lasted_ms: u64,
    /// What was asked of the databases, by the hub's journal of searches and its register of hits.
    pub searches: CountedSearches,
}

/// What an operation asked of the databases, and what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CountedSearches {
    /// Stations that asked.
    pub stations: u64,
    /// Keys.
    pub keys: u64,
    /// Keys that had a match.
    pub matches: u64,
    /// Hits that their owners were told of.
    pub hits: u64,
    /// Hits of which the owner says that the record holds.
    pub confirmed: u64,
    /// Records that a confirmed hit led to.
    pub located: u64,
}

impl From<pb::OperationSearches> for CountedSearches {
    fn from(told: pb::OperationSearches) -> Self {
        let (count, hits) = (told.count.unwrap_or_default(), told.hits.unwrap_or_default());
        Self {
            stations: told.stations.into(),
            keys: count.keys,
            matches: count.matches,
            hits: hits.hits,
            confirmed: hits.confirmed,
            located: hits.located,
        }
    }
}

/// What one bureau holds of an operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CountedCountry {
    /// Why its desk could not be asked. The rest is then empty.
    pub unreachable: Option<String>,
    /// Its cases, by its own reference.
    pub cases: BTreeMap<String, CountedCase>,
    /// Requests in its outbox that the hub accepted.
    pub sent: u64,
    /// Replies in its inbox.
    pub received: u64,
    /// Messages in its outbox that the hub has not answered.
    pub waiting: u64,
    /// Messages in its outbox that the hub refused.
    pub refused: u64,
    /// Whether it put anything on the network.
    pub took_part: bool,
    /// Officers' seats that sent.
    pub seats: BTreeSet<String>,
}

/// A case, as the bureau that opened it holds it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CountedCase {
    /// The state's name, such as `ARRESTED`.
    pub state: String,
    /// Whether there is a decision on the notice.
    pub decided: bool,
    /// Requests sent.
    pub requests: u32,
    /// Replies received.
    pub replies: u32,
    /// Countries that owe a final reply.
    pub silent: Vec<String>,
    /// What another country reported, where one did.
    pub finding: Option<Finding>,
}

/// What a country reported about a fugitive.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Finding {
    /// Which country.
    pub by: String,
    /// Where the person is.
    pub place: String,
    /// What the country proposes; empty where the person is arrested.
    pub measure: String,
}

impl Counted {
    /// All cases of all countries.
    pub fn cases(&self) -> impl Iterator<Item = &CountedCase> {
        self.countries.values().flat_map(|country| country.cases.values())
    }

    /// Cases in this state.
    pub fn in_state(&self, state: pb::CaseState) -> u64 {
        let name = state_name(state.into());
        self.cases().filter(|case| case.state == name).count() as u64
    }

    /// Messages of this kind that the hub accepted.
    pub fn accepted_of(&self, kind: i247_model::Kind) -> u64 {
        self.accepted.get(kind.as_str()).copied().unwrap_or_default()
    }
}

/// Counts an operation at these bureaus and at the hub. A bureau that cannot be asked is named, and
/// counts nothing.
///
/// # Errors
/// When the hub cannot be asked.
pub async fn count(
    operation: &str,
    desks: &BTreeMap<CountryCode, Desk>,
    monitor: &Monitor,
) -> Result<Counted, ClientError> {
    let asking = desks.iter().map(|(code, desk)| async move {
        let counted = country(operation, desk).await.unwrap_or_else(|error| CountedCountry {
            unreachable: Some(error.to_string()),
            ..CountedCountry::default()
        });
        (*code, counted)
    });
    let countries = stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
    let tally = monitor.operation_tally(operation).await?;
    Ok(of(operation, countries, tally))
}

/// Puts together what the bureaus and the hub said.
fn of(
    operation: &str,
    countries: BTreeMap<CountryCode, CountedCountry>,
    tally: pb::OperationTallyResponse,
) -> Counted {
    let undelivered = tally.countries.iter().filter(|country| country.undelivered > 0);
    Counted {
        operation: operation.to_owned(),
        countries,
        accepted: tally.kinds.iter().map(|kind| (kind.kind.clone(), kind.accepted)).collect(),
        undelivered: undelivered
            .filter_map(|country| Some((country.country.parse().ok()?, country.undelivered)))
            .collect(),
        receipts: tally.receipts,
        reminders: tally.reminders,
        escalations: tally.escalations,
        delivery_p50_ms: tally.delivery_p50_ms,
        delivery_p99_ms: tally.delivery_p99_ms,
        lasted_ms: tally.last_accepted_at_ms.saturating_sub(tally.first_accepted_at_ms),
        searches: tally.searches.map(Into::into).unwrap_or_default(),
    }
}

async fn country(operation: &str, desk: &Desk) -> Result<CountedCountry, ClientError> {
    let all = OutboxFilter { operation: operation.to_owned(), ..OutboxFilter::default() };
    let outbox = desk.outbox(&all).await?;
    let replies =
        InboxFilter { kind: pb::Kind::Reply, operation: operation.to_owned(), ..InboxFilter::default() };
    // The total is that of all that match; one item is enough to learn it.
    let received = desk.inbox_page(&replies, 1, "").await?.total;
    let mut cases = BTreeMap::new();
    for case in desk.cases(operation).await? {
        let finding = match case.state() {
            pb::CaseState::PossiblyLocated | pb::CaseState::PositivelyLocated | pb::CaseState::Arrested => {
                Some(finding(&desk.show(&case.moved_by).await?))
            }
            pb::CaseState::Unspecified
            | pb::CaseState::Selected
            | pb::CaseState::Worked
            | pb::CaseState::Refused => None,
        };
        cases.insert(case.our_ref.clone(), counted_case(case, finding));
    }
    Ok(CountedCountry { cases, received, ..sent(&outbox) })
}

/// What an outbox says.
fn sent(outbox: &[pb::OutboxItem]) -> CountedCountry {
    let mut counted = CountedCountry { took_part: !outbox.is_empty(), ..CountedCountry::default() };
    for item in outbox {
        match item.state() {
            pb::OutboxState::Accepted => {
                counted.sent += u64::from(item.kind() == pb::Kind::Request);
            }
            pb::OutboxState::Waiting => counted.waiting += 1,
            pb::OutboxState::Refused => counted.refused += 1,
            pb::OutboxState::Unspecified => {}
        }
        // What the bureau answers by itself has no seat.
        if !item.seat.is_empty() {
            counted.seats.insert(item.seat.clone());
        }
    }
    counted
}

fn counted_case(case: pb::Case, finding: Option<Finding>) -> CountedCase {
    CountedCase {
        state: state_name(case.state).to_owned(),
        decided: case.notice_id.parse::<NoticeId>().is_ok() || case.state() == pb::CaseState::Refused,
        requests: case.requests_sent,
        replies: case.replies_received,
        silent: case.silent,
        finding,
    }
}

fn finding(shown: &pb::ShowResponse) -> Finding {
    let by = shown.id.parse::<MessageId>().map(|id| id.sender.party().to_string()).unwrap_or_default();
    match shown.body.as_ref().and_then(|body| body.form.as_ref()) {
        Some(pb::body::Form::PersonLocated(located)) => {
            Finding { by, place: located.place.clone(), measure: located.proposed_measure.clone() }
        }
        Some(pb::body::Form::ArrestReport(arrest)) => {
            Finding { by, place: arrest.place.clone(), measure: String::new() }
        }
        _ => Finding { by, ..Finding::default() },
    }
}

fn state_name(state: i32) -> &'static str {
    let name = pb::CaseState::try_from(state).unwrap_or_default().as_str_name();
    name.strip_prefix("CASE_STATE_").unwrap_or(name)
}

/// A digest over cases, outcomes and counts, in hexadecimal.
///
/// It leaves out whatever depends on time or on the order of messages of different bureaus: ids, notice
/// numbers, receipts, speed. So the same seed gives the same digest in one process, in thirty, and on a
/// slow machine.
pub fn digest(counted: &Counted) -> String {
    hexadecimal(hash(&SHA256, canonical(counted).as_bytes()).as_ref())
}

/// The text that the digest is over: one line for each case, each country and each count, in order.
fn canonical(counted: &Counted) -> String {
    let mut lines = vec![format!("operation {}", counted.operation)];
    for (code, country) in &counted.countries {
        lines.push(format!("country {code} sent {} received {}", country.sent, country.received));
        for (our_ref, case) in &country.cases {
            let silent = case.silent.join(",");
            let CountedCase { state, requests, replies, .. } = case;
            lines.push(format!(
                "case {our_ref} {state} requests {requests} replies {replies} silent [{silent}]"
            ));
            if let Some(Finding { by, place, measure }) = &case.finding {
                lines.push(format!("found {our_ref} by {by} at {place:?} measure {measure:?}"));
            }
        }
    }
    for state in ["ARRESTED", "POSITIVELY_LOCATED", "POSSIBLY_LOCATED"] {
        let cases = counted.cases().filter(|case| case.state == state).count();
        lines.push(format!("count {state} {cases}"));
    }
    for kind in [i247_model::Kind::NoticeRequest, i247_model::Kind::Notice, i247_model::Kind::Request] {
        lines.push(format!("count {kind} {}", counted.accepted_of(kind)));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn case(state: &str, replies: u32, silent: &[&str]) -> CountedCase {
        CountedCase {
            state: state.into(),
            decided: state != "SELECTED",
            requests: 1,
            replies,
            silent: silent.iter().map(|code| (*code).to_owned()).collect(),
            finding: None,
        }
    }

    /// Two countries and three cases: FR arrested somebody of BR's; BR owes an answer.
    pub(crate) fn small() -> Counted {
        let found = CountedCase {
            finding: Some(Finding { by: "FR".into(), place: "Paris".into(), measure: String::new() }),
            ..case("ARRESTED", 2, &[])
        };
        let brazil = CountedCountry {
            cases: BTreeMap::from([("BR-IR-0001".to_owned(), found)]),
            sent: 1,
            received: 2,
            took_part: true,
            seats: BTreeSet::from(["desk1".to_owned()]),
            ..CountedCountry::default()
        };
        let france = CountedCountry {
            cases: BTreeMap::from([
                ("FR-IR-0002".to_owned(), case("WORKED", 0, &["BR"])),
                ("FR-IR-0003".to_owned(), case("WORKED", 1, &[])),
            ]),
            sent: 2,
            received: 1,
            took_part: true,
            seats: BTreeSet::from(["desk1".to_owned(), "desk2".to_owned()]),
            ..CountedCountry::default()
        };
        Counted {
            operation: "infra-red-2010".into(),
            countries: BTreeMap::from([("BR".parse().unwrap(), brazil), ("FR".parse().unwrap(), france)]),
            accepted: BTreeMap::from(
                [("notice request", 3), ("notice", 3), ("request", 3), ("reply", 3)]
                    .map(|(k, n)| (k.into(), n)),
            ),
            receipts: 9,
            delivery_p50_ms: 12,
            delivery_p99_ms: 80,
            lasted_ms: 4_000,
            ..Counted::default()
        }
    }

    #[test]
    fn the_digest_is_over_a_text_that_anyone_can_write_down() {
        assert_eq!(
            canonical(&small()),
            "operation infra-red-2010\n\
             country BR sent 1 received 2\n\
             case BR-IR-0001 ARRESTED requests 1 replies 2 silent []\n\
             found BR-IR-0001 by FR at \"Paris\" measure \"\"\n\
             country FR sent 2 received 1\n\
             case FR-IR-0002 WORKED requests 1 replies 0 silent [BR]\n\
             case FR-IR-0003 WORKED requests 1 replies 1 silent []\n\
             count ARRESTED 1\n\
             count POSITIVELY_LOCATED 0\n\
             count POSSIBLY_LOCATED 0\n\
             count notice request 3\n\
             count notice 3\n\
             count request 3\n"
        );
        assert_eq!(digest(&small()).len(), 64);
    }

    #[test]
    fn the_digest_does_not_depend_on_time_and_depends_on_every_outcome() {
        let same = digest(&small());
        let mut slow = small();
        (slow.delivery_p50_ms, slow.delivery_p99_ms, slow.lasted_ms, slow.receipts) =
            (900, 9_000, 90_000, 77);
        assert_eq!(digest(&slow), same);
        let mut other = small();
        let brazil = other.countries.get_mut(&"BR".parse().unwrap()).unwrap();
        brazil.cases.get_mut("BR-IR-0001").unwrap().finding.as_mut().unwrap().measure = "watching".into();
        assert_ne!(digest(&other), same);
    }

    #[test]
    fn only_accepted_requests_count_as_sent_and_only_officers_have_seats() {
        let item = |kind: pb::Kind, state: pb::OutboxState, seat: &str| pb::OutboxItem {
            kind: kind.into(),
            state: state.into(),
            seat: seat.into(),
            ..Default::default()
        };
        let counted = sent(&[
            item(pb::Kind::Request, pb::OutboxState::Accepted, "desk1"),
            item(pb::Kind::Request, pb::OutboxState::Waiting, "desk2"),
            item(pb::Kind::Request, pb::OutboxState::Refused, "desk1"),
            item(pb::Kind::Reply, pb::OutboxState::Accepted, ""),
            item(pb::Kind::NoticeRequest, pb::OutboxState::Accepted, "desk1"),
        ]);
        assert_eq!((counted.sent, counted.waiting, counted.refused), (1, 1, 1));
        assert_eq!(counted.seats.len(), 2);
    }

    #[test]
    fn a_report_says_who_found_whom_where() {
        let located = pb::PersonLocated {
            place: "Tokyo".into(),
            proposed_measure: "discreet watching".into(),
            ..Default::default()
        };
        let shown = pb::ShowResponse {
            id: "JP-1-U-12".into(),
            body: Some(pb::Body { form: Some(pb::body::Form::PersonLocated(located)), ..Default::default() }),
            ..Default::default()
        };
        let expected =
            Finding { by: "JP".into(), place: "Tokyo".into(), measure: "discreet watching".into() };
        assert_eq!(finding(&shown), expected);
    }

    #[test]
    fn the_tally_adds_what_only_the_hub_can_know() {
        let tally = pb::OperationTallyResponse {
            kinds: vec![pb::KindTally { kind: "notice".into(), accepted: 447, ..Default::default() }],
            countries: vec![
                pb::CountryTally { country: "JP".into(), undelivered: 3, ..Default::default() },
                pb::CountryTally { country: "FR".into(), ..Default::default() },
            ],
            first_accepted_at_ms: 1_000,
            last_accepted_at_ms: 9_000,
            ..Default::default()
        };
        let counted = of("infra-red-2010", BTreeMap::new(), tally);
        assert_eq!(counted.accepted_of(i247_model::Kind::Notice), 447);
        assert_eq!(counted.undelivered, BTreeMap::from([("JP".parse().unwrap(), 3)]));
        assert_eq!(counted.lasted_ms, 8_000);
    }
}
