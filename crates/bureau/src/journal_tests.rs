//! The writer over a ledger in memory.

use i247_ledger::faults::BreakableDisk;
use i247_ledger::{Inline, Memory, Options, Segments};
use i247_model::Timestamp;

use super::*;
use crate::story::{about, accepted, case, header};

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1000)
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

fn numberless(key: &str, officer: &str) -> Numberless {
    let header = header("FR-1-N-1", i247_model::Kind::FreeText);
    let Some(Event::Accepted(mut accepted)) = accepted(&header, about(""), key).event else {
        panic!("a draft")
    };
    accepted.officer = officer.into();
    Numberless { accepted, lane: Lane::Normal, body: Bytes::from_static(b"carried") }
}

/// The journal of France over a ledger, read from its first entry.
pub(crate) async fn opened(ledger: &Arc<Memory>) -> (Journal, Writer) {
    let mut views = Views::new("FR".parse().unwrap());
    crate::snapshots::replay(&**ledger, &mut views).await.unwrap();
    open(views, ledger.clone(), Arc::new(Still))
}

async fn journal(ledger: &Arc<Memory>) -> (Journal, tokio::task::JoinHandle<()>, CancellationToken) {
    let (journal, writer) = opened(ledger).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(writer.run(stop.clone()));
    (journal, running, stop)
}

#[tokio::test]
async fn numbers_are_given_in_order_and_survive_a_restart() {
    let ledger = Arc::new(Memory::new());
    let (first, running, stop) = journal(&ledger).await;
    for number in 1..=3 {
        let id = first.number(numberless("", "a")).await.unwrap();
        assert_eq!(id.to_string(), format!("FR-1-N-{number}"));
    }
    let digest = first.views().digest();
    stop.cancel();
    running.await.unwrap();
    assert!(matches!(first.number(numberless("", "a")).await, Err(JournalError::Stopped)));

    let (second, _running, _stop) = journal(&ledger).await;
    assert_eq!(second.views().digest(), digest);
    assert_eq!(second.number(numberless("", "a")).await.unwrap().to_string(), "FR-1-N-4");
}

#[tokio::test]
async fn the_same_key_gets_the_same_id_also_at_the_same_time_and_after_a_restart() {
    let ledger = Arc::new(Memory::new());
    let (first, running, stop) = journal(&ledger).await;
    let (one, two) = tokio::join!(first.number(numberless("key", "a")), first.number(numberless("key", "a")));
    assert_eq!((one.unwrap().number, two.unwrap().number), (1, 1));
    stop.cancel();
    running.await.unwrap();
    let (second, _running, _stop) = journal(&ledger).await;
    assert_eq!(second.number(numberless("key", "a")).await.unwrap().number, 1);
    // A key is its caller's own: another one's message is another message.
    assert_eq!(second.number(numberless("key", "b")).await.unwrap().number, 2);
    assert_eq!(second.number(numberless("key", "b")).await.unwrap().number, 2);
}

#[tokio::test]
async fn another_draft_under_a_known_key_is_refused_also_at_the_same_time_and_after_a_restart() {
    let ledger = Arc::new(Memory::new());
    let draft = |byte: u8| {
        let mut draft = numberless("key", "a");
        draft.accepted.draft_hash = Bytes::from(vec![byte; 32]);
        draft
    };
    let refused = |result: Result<MessageId, JournalError>| match result {
        Err(JournalError::Refused(refusal)) => {
            assert!(refusal.next_step.contains("FR-1-N-1"), "{}", refusal.next_step);
            (refusal.reason, refusal.fields.concat())
        }
        other => panic!("{other:?}"),
    };
    let other_key = (Reason::WrongField, "draft.idempotency_key".to_owned());
    let (first, running, stop) = journal(&ledger).await;
    let (one, two, same) =
        tokio::join!(first.number(draft(1)), first.number(draft(2)), first.number(draft(1)));
    assert_eq!((one.unwrap().number, same.unwrap().number), (1, 1));
    assert_eq!(refused(two), other_key);
    stop.cancel();
    running.await.unwrap();
    let (second, _running, _stop) = journal(&ledger).await;
    assert_eq!(refused(second.number(draft(2)).await), other_key);
    assert_eq!(second.number(draft(1)).await.unwrap().number, 1);
    assert_eq!(ledger.end(), Position(1));
}

#[tokio::test]
async fn what_is_too_large_is_refused_alone() {
    let ledger = Arc::new(Memory::new());
    let (journal, _running, _stop) = journal(&ledger).await;
    let large = Numberless { body: Bytes::from(vec![0; MAX_ENTRY_BYTES]), ..numberless("", "a") };
    let (one, refused, two) = tokio::join!(
        journal.number(numberless("", "a")),
        journal.number(large),
        journal.number(numberless("", "b")),
    );
    assert_eq!((one.unwrap().number, two.unwrap().number), (1, 2));
    assert!(matches!(refused, Err(JournalError::Refused(refusal)) if refusal.reason == Reason::TooLarge));
}

#[tokio::test]
async fn more_than_a_group_holds_becomes_several() {
    let ledger = Arc::new(Memory::new());
    let (journal, _running, _stop) = journal(&ledger).await;
    let much = || {
        let gap =
            Event::Gap(pb::JournalGap { lane: pb::Lane::Normal.into(), number: 1, ..Default::default() });
        let note = |_| Note { event: gap.clone(), body: Some(Bytes::from(vec![0; 200 * 1024])) };
        (0..30).map(note).collect::<Vec<Note>>()
    };
    let (one, two, id) =
        tokio::join!(journal.write(much()), journal.write(much()), journal.number(numberless("", "a")));
    one.unwrap();
    two.unwrap();
    assert_eq!(id.unwrap().number, 1);
    assert_eq!(ledger.end(), Position(61));
}

#[tokio::test]
async fn what_waits_is_written_before_the_writer_ends() {
    let ledger = Arc::new(Memory::new());
    let (journal, writer) = opened(&ledger).await;
    let stop = CancellationToken::new();
    stop.cancel();
    // Handed in before the writer first looks: both are polled once before it runs.
    let (one, two, ()) = tokio::join!(
        journal.number(numberless("", "a")),
        journal.number(numberless("", "a")),
        writer.run(stop),
    );
    assert_eq!((one.unwrap().number, two.unwrap().number), (1, 2));
    assert_eq!(ledger.end(), Position(2));
}

#[tokio::test]
async fn a_new_epoch_stands_in_a_group_of_its_own() {
    let ledger = Arc::new(Memory::new());
    let (journal, _running, _stop) = journal(&ledger).await;
    let epoch = Event::Epoch(pb::JournalEpoch { epoch: 2, ..Default::default() });
    let (before, began, after) = tokio::join!(
        journal.number(numberless("", "a")),
        journal.write(vec![epoch.into()]),
        journal.number(numberless("", "a")),
    );
    began.unwrap();
    assert_eq!(before.unwrap().to_string(), "FR-1-N-1");
    assert_eq!(after.unwrap().to_string(), "FR-2-N-1");

    // Two who recover at the same time begin one epoch.
    let again = Event::Epoch(pb::JournalEpoch { epoch: 2, ..Default::default() });
    assert!(matches!(journal.write(vec![again.into()]).await, Err(JournalError::Refused(_))));
    assert_eq!(journal.number(numberless("", "a")).await.unwrap().to_string(), "FR-2-N-2");
}

#[tokio::test]
async fn of_two_changes_at_the_same_time_about_an_officer_one_is_entered() {
    let ledger = Arc::new(Memory::new());
    let (journal, _running, _stop) = journal(&ledger).await;
    let change = |action: pb::DirectoryAction| {
        let change = pb::DirectoryChange {
            action: action.into(),
            identity: "spiffe://i247.test/ncb/fr/officer/duty".into(),
            sequence: 1,
            ..Default::default()
        };
        let payload = change.encode_to_vec().into();
        let change = Some(pb::Signed { payload, ..Default::default() });
        Event::Directory(pb::JournalDirectory { change, certificates: Vec::new() })
    };
    let (revoked, suspended) = tokio::join!(
        journal.write(vec![change(pb::DirectoryAction::Revoke).into()]),
        journal.write(vec![change(pb::DirectoryAction::Suspend).into()]),
    );
    revoked.unwrap();
    assert!(matches!(suspended, Err(JournalError::Refused(refusal)) if refusal.fields == ["sequence"]));
    assert_eq!(journal.views().people.list().records[0].standing(), pb::Standing::Revoked);
}

#[tokio::test]
async fn a_reader_finds_every_entry_where_the_views_say() {
    let ledger = Arc::new(Memory::new());
    let (journal, _running, _stop) = journal(&ledger).await;
    let notes = case().into_iter().filter_map(|entry| entry.event).map(Note::from).collect();
    journal.write(notes).await.unwrap();
    let at = journal.views().inbox.get(&"BR-1-U-4".parse().unwrap()).unwrap().at_entry;
    let (entry, body) = journal.read(at).await.unwrap();
    assert!(matches!(entry.event, Some(Event::Arrived(arrived)) if arrived.number == 4));
    assert_eq!(body, Body::None);
}

/// One read in forty flips a bit, and several reads make an entry: read once, many of these would be damaged.
#[tokio::test]
async fn what_only_the_reading_damaged_is_read_once_more() {
    let disk = BreakableDisk::new(1);
    let options = Options { segment_bytes: 64 * 1024, blocking: Arc::new(Inline), ..Options::default() };
    let (segments, _) = Segments::open(Arc::new(disk.clone()), "/journal", options).unwrap();
    let (journal, writer) = open(Views::new("FR".parse().unwrap()), Arc::new(segments), Arc::new(Still));
    let _running = tokio::spawn(writer.run(CancellationToken::new()));
    journal.number(numberless("", "a")).await.unwrap();
    disk.flip_one_read_in(Some(40));
    let mut whole = 0;
    for _ in 0..2000 {
        let read = journal.read(1).await;
        whole += u32::from(read.is_ok_and(|(_, body)| body == Body::Present(Bytes::from_static(b"carried"))));
    }
    assert!(whole > 1970, "{whole}");
}
