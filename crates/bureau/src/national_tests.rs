//! The national system over a ledger in memory: what follows from arrivals, once, whatever breaks in between.

use i247_ledger::disk::OsDisk;
use i247_ledger::{Draft, Inline, Ledger, Memory, Position};
use i247_model::{Audience, Header};
use i247_node::SeededDice;
use tokio::sync::watch;

use super::*;
use crate::attachments::Attachments;
use crate::desk::Parts;
use crate::journal::tests::{Still, opened};
use crate::journal::{Journal, Note};
use crate::link::{Copies, Exchange, Link, Records, Search, State};
use crate::policy::Measure;
use crate::story::header;

const REGISTER: &str = r#"{"family_name":"MARLOWE","forename":"T","date_of_birth":"1987-03-22","files":["ENTRY_EXIT"],"place":"Split"}"#;

fn request() -> pb::Body {
    let subject = pb::Identity {
        family_name: "MARLOWE".into(),
        forename: "T".into(),
        date_of_birth: "1987-03-22".into(),
        ..Default::default()
    };
    let request = pb::Request { subject: Some(subject), notice_id: "2010/8".into(), ..Default::default() };
    pb::Body { form: Some(pb::body::Form::Request(request)), ..Default::default() }
}

fn notice() -> pb::Body {
    let form = pb::notice_form::Form::Red(pb::RedForm::default());
    let notice = pb::Notice {
        notice_id: "2010/8".into(),
        requester: "PT".into(),
        form: Some(pb::NoticeForm { form: Some(form), ..Default::default() }),
        ..Default::default()
    };
    pb::Body { form: Some(pb::body::Form::Notice(notice)), ..Default::default() }
}

/// An arrival in the journal, body beside it.
fn arrival(number: u64, mut header: Header, body: &pb::Body) -> Note {
    header.audience = Audience::countries(["FR".parse().unwrap()]);
    let carried = i247_trust::carry(body, [1; 16]);
    let entry = crate::story::arrived(number, &header, crate::facts::facts(body));
    Note { event: entry.event.unwrap(), body: Some(carried.bytes) }
}

async fn open(ledger: &Arc<Memory>, dir: &std::path::Path) -> (National, Journal, CancellationToken) {
    let (journal, writer) = opened(ledger).await;
    let stop = CancellationToken::new();
    tokio::spawn(writer.run(stop.clone()));
    let nowhere = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let desk = Desk::new(Parts {
        me: "FR".parse().unwrap(),
        journal: journal.clone(),
        link: Link {
            state: watch::channel(State::default()).1,
            exchange: Exchange::new(nowhere.clone()),
            search: Search::new(nowhere.clone()),
            records: Records::new(nowhere.clone()),
            copies: Copies::new(nowhere),
        },
        attachments: Attachments::open(Arc::new(OsDisk), Arc::new(Inline), dir.to_owned()).unwrap(),
        clock: Arc::new(Still),
        dice: Arc::new(SeededDice::new(7)),
        measure: Measure::ArrestBasis,
        register_entries: 1,
        verdicts: Default::default(),
        stop: stop.clone(),
    });
    let national = National {
        me: "FR".parse().unwrap(),
        desk,
        register: Arc::new(Register::parse(REGISTER).unwrap()),
        policy: Policy { red_notice: Measure::ArrestBasis, objection: None },
        left_to_officers: ["by-hand".to_owned()].into(),
    };
    (national, journal, stop)
}

fn sent(journal: &Journal) -> Vec<Kind> {
    journal.views().outbox.all().iter().map(|sent| sent.kind).collect()
}

/// The same ledger as it was after so many entries.
async fn cut(ledger: &Memory, entries: usize) -> Arc<Memory> {
    let shorter = Memory::new();
    for record in ledger.read(Position(1), entries, usize::MAX).await.unwrap() {
        let body = match record.body {
            i247_ledger::Body::Present(body) => Some(body),
            _ => None,
        };
        shorter.append(shorter.end(), vec![Draft { entry: record.entry, body }]).await.unwrap();
    }
    Arc::new(shorter)
}

const ALL: [Kind; 5] =
    [Kind::NationalDecision, Kind::Reply, Kind::Reply, Kind::PersonLocated, Kind::ArrestReport];

#[tokio::test]
async fn broken_off_after_any_entry_everything_is_sent_once_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Memory::new());
    let (national, journal, stop) = open(&ledger, dir.path()).await;
    let mut published = header("GS.lena-1-N-2", Kind::Notice);
    published.refers_to = Some("PT-1-N-1".parse().unwrap());
    let arrivals =
        vec![arrival(1, published, &notice()), arrival(1, header("BR-1-U-1", Kind::Request), &request())];
    journal.write(arrivals).await.unwrap();
    national.catch_up().await.map_err(|error| error.to_string()).unwrap();
    let mut all = sent(&journal);
    all.sort();
    let mut expected = ALL;
    expected.sort();
    assert_eq!(all, expected);
    stop.cancel();

    // Two arrivals, five drafts, and the entry that says how far it got.
    let end = usize::try_from(ledger.end().0).unwrap();
    assert_eq!(end, 8);
    for entries in 2..=end {
        let (national, journal, stop) = open(&cut(&ledger, entries).await, dir.path()).await;
        national.catch_up().await.map_err(|error| error.to_string()).unwrap();
        let mut again = sent(&journal);
        again.sort();
        assert_eq!(again, expected, "broken off after entry {entries}");
        stop.cancel();
    }
}

#[tokio::test]
async fn what_follows_from_one_request_is_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Memory::new());
    let (national, journal, _stop) = open(&ledger, dir.path()).await;
    let asked = arrival(1, header("BR-1-U-1", Kind::Request), &request());
    journal.write(vec![asked]).await.unwrap();
    national.catch_up().await.map_err(|error| error.to_string()).unwrap();
    assert_eq!(sent(&journal), [Kind::Reply, Kind::Reply]);

    // The notice comes later: now the findings lead to reports.
    let mut published = header("GS.lena-1-N-2", Kind::Notice);
    published.refers_to = Some("PT-1-N-1".parse().unwrap());
    journal.write(vec![arrival(1, published, &notice())]).await.unwrap();
    national.catch_up().await.map_err(|error| error.to_string()).unwrap();
    assert_eq!(
        sent(&journal),
        [Kind::Reply, Kind::Reply, Kind::NationalDecision, Kind::PersonLocated, Kind::ArrestReport]
    );
}

#[tokio::test]
async fn what_is_left_to_officers_is_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Memory::new());
    let (national, journal, _stop) = open(&ledger, dir.path()).await;
    let asked = Header { operation: Some("by-hand".into()), ..header("BR-1-U-1", Kind::Request) };
    journal.write(vec![arrival(1, asked, &request())]).await.unwrap();
    national.catch_up().await.map_err(|error| error.to_string()).unwrap();
    assert_eq!(sent(&journal), []);
    assert_eq!(journal.views().inbox.handled, 1);
}
