//! Records on their way into the databases: loaded through the real path, interrupted, refused, restricted, withdrawn.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_client::{ClientError, Desk, pb};
use i247_ledger::faults::BreakableDisk;
use i247_model::{Hash, Reason, Refusal};
use i247_records::record::{About, Cell, Change, Record, RecordName};
use i247_records::{Database, batch};
use i247_testkit::{World, WorldError, free_text};
use pb::load_records_request::Frame;
use tonic::codegen::tokio_stream;

/// How long the desk may take for one answer.
const WITHIN: Duration = Duration::from_secs(30);

/// A passport that was lost by whoever held it.
fn passport(issuer: &str, owner: &str, number: u32, except: &str) -> Record {
    let number = format!("P{number:07}");
    let cells = ["", "", except, "", &number, issuer, "PASSPORT", "LOST_BEARER"];
    let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::Text((*cell).into())).collect();
    Record::from_row(Database::Sltd, owner.parse().unwrap(), &cells).unwrap()
}

/// French passports with these numbers, one a line from line 2 on, as in a file.
fn lines(numbers: std::ops::Range<u32>) -> Vec<(u64, Change)> {
    let change = |number| Change::Add(passport("FRA", "FR", number, ""));
    (2..).zip(numbers.map(change)).collect()
}

fn frames(name: u8, lines: &[(u64, Change)]) -> Vec<pb::LoadRecordsRequest> {
    let begin = pb::LoadBegin { name: vec![name; 32].into(), database: pb::Database::Sltd.into() };
    let mut frames = vec![pb::LoadRecordsRequest { frame: Some(Frame::Begin(begin)) }];
    for chunk in lines.chunks(500) {
        let lines = chunk.iter().map(|(line, _)| *line).collect();
        let changes = chunk.iter().map(|(_, change)| Bytes::from(change.encode())).collect();
        let frame = Frame::Lines(pb::LoadLines { lines, changes });
        frames.push(pb::LoadRecordsRequest { frame: Some(frame) });
    }
    frames
}

/// Loads all of it, and returns from where it went on and up to where it is durable.
async fn load(desk: &Desk, name: u8, lines: &[(u64, Change)]) -> Result<(u64, u64), ClientError> {
    let mut load = desk.load_records(tokio_stream::iter(frames(name, lines))).await?;
    let from = load.next(WITHIN).await?.unwrap_or_default().durable_line;
    let mut durable = from;
    while let Some(answer) = load.next(WITHIN).await? {
        durable = answer.durable_line;
    }
    Ok((from, durable))
}

/// What became of a load, once the hub has decided about all of it.
async fn decided(world: &World, name: u8) -> Result<pb::LoadStatusResponse, WorldError> {
    world
        .until("the verdicts on a load", async || {
            let desk = world.bureau("FR").desk().await?;
            // Not connected yet, after a crash: asked again.
            let status = desk.load_status(Some(Hash([name; 32]))).await.ok();
            Ok(status.filter(|status| status.waiting + status.undecided == 0))
        })
        .await
}

fn refused(status: &pb::LoadStatusResponse) -> Vec<(&str, u64)> {
    status.refused.iter().map(|refused| (refused.reason.as_str(), refused.count)).collect()
}

async fn show(
    world: &World,
    country: &str,
    name: &str,
) -> Result<Option<pb::FindRecordResponse>, WorldError> {
    match world.bureau(country).desk().await?.show_record(pb::Database::Sltd, name).await {
        Ok(found) => Ok(Some(found)),
        Err(ClientError::Refused(refusal)) if refusal.reason == Reason::UnknownRecord => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A few records of France's, loaded and decided about.
pub(crate) async fn some_records(world: &World) -> Result<(), WorldError> {
    let desk = world.bureau("FR").desk().await?;
    load(&desk, 9, &lines(0..40)).await?;
    let restricted = passport("FRA", "FR", 3, "BR");
    let name = RecordName::parse(Database::Sltd, "FRA/PASSPORT/P0000004").unwrap();
    load(&desk, 10, &[(1, Change::Restrict(restricted)), (2, Change::Withdraw(name))]).await?;
    let status = decided(world, 10).await?;
    assert_eq!((status.accepted, status.refused.len()), (2, 0));
    Ok(())
}

/// What becomes of a change, once France's first passport is there.
async fn verdict_on(change: Change) -> Result<Refusal, WorldError> {
    let world = World::of(["FR"]).start().await?;
    let desk = world.bureau("FR").desk().await?;
    load(&desk, 1, &lines(0..1)).await?;
    load(&desk, 2, &[(1, change)]).await?;
    let told = decided(&world, 2).await?.first.remove(0);
    world.stop_all().await?;
    Ok(Refusal::try_from(told.refusal.unwrap()).unwrap())
}

pub(crate) async fn a_record_that_is_there() -> Result<Refusal, WorldError> {
    Box::pin(verdict_on(Change::Add(passport("FRA", "FR", 0, "")))).await
}

pub(crate) async fn a_record_that_is_not_there() -> Result<Refusal, WorldError> {
    let name = RecordName::parse(Database::Sltd, "FRA/PASSPORT/P0000001").unwrap();
    Box::pin(verdict_on(Change::Withdraw(name))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_a_crash_breaks_off_goes_on_and_repeats_nothing() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let all = lines(0..3000);
    {
        // The file's first part comes, some of it durable; then the bureau is gone.
        let desk = world.bureau("FR").desk().await?;
        let some = tokio_stream::iter(frames(7, &all[..2000]));
        let mut begun =
            desk.load_records(tokio_stream::StreamExt::chain(some, tokio_stream::pending())).await?;
        assert_eq!(begun.next(WITHIN).await?.unwrap().durable_line, 0);
        let durable = begun.next(WITHIN).await?.unwrap();
        assert_eq!((durable.durable_line, durable.records), (1025, 1024), "the first batch");
        world.crash("FR").await?;
    }
    world.restart("FR").await?;
    let desk = world.bureau("FR").desk().await?;
    assert_eq!(load(&desk, 7, &all).await?, (1025, 3001), "from behind what was acknowledged");
    let status = decided(&world, 7).await?;
    assert_eq!((status.records, status.accepted, refused(&status)), (3000, 3000, vec![]));
    assert_eq!(load(&desk, 7, &all).await?, (3001, 3001), "nothing is left to load");
    assert_eq!(decided(&world, 7).await?.records, 3000);
    for (number, there) in [(0, true), (1023, true), (1024, true), (2999, true), (3000, false)] {
        let found = show(&world, "BR", &format!("FRA/PASSPORT/P{number:07}")).await?;
        assert_eq!(found.is_some(), there, "{number}");
    }
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_says_which_message_brought_it_and_who_signed_that() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    some_records(&world).await?;
    let found = show(&world, "BR", "FRA/PASSPORT/P0000007").await?.unwrap();
    assert_eq!((found.message_id.as_str(), found.item), ("FR-1-B-1", 7));
    assert_eq!(found.signed_by, "spiffe://i247.test/ncb/fr");
    assert!(found.position > 0 && found.accepted_at_ms > 0);
    let record = Record::from_wire(found.record.unwrap()).unwrap();
    assert_eq!(record, passport("FRA", "FR", 7, ""));
    assert_eq!(record.about(), &About::of("FR".parse().unwrap()));
    // Kept from Brazil, and withdrawn.
    assert!(show(&world, "BR", "FRA/PASSPORT/P0000003").await?.is_none());
    let restricted = show(&world, "FR", "FRA/PASSPORT/P0000003").await?.unwrap();
    assert_eq!((restricted.message_id.as_str(), restricted.item), ("FR-1-B-2", 0));
    assert!(show(&world, "FR", "FRA/PASSPORT/P0000004").await?.is_none());
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_accepted_is_told_with_its_line_and_reason() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    some_records(&world).await?;
    let desk = world.bureau("FR").desk().await?;
    // There already, though kept from Brazil now; there already; new; not there to be withdrawn.
    let mut again: Vec<(u64, Change)> = [3, 5, 50]
        .iter()
        .zip([11, 12, 14])
        .map(|(number, line)| (line, lines(*number..*number + 1).remove(0).1))
        .collect();
    let gone = RecordName::parse(Database::Sltd, "FRA/PASSPORT/P0000004").unwrap();
    again.push((20, Change::Withdraw(gone)));
    assert_eq!(load(&desk, 11, &again).await?, (0, 20));
    let status = decided(&world, 11).await?;
    assert_eq!(status.accepted, 1);
    assert_eq!(refused(&status), [("DUPLICATE", 2), ("UNKNOWN_RECORD", 1)]);
    let first: Vec<(u64, &str)> =
        status.first.iter().map(|line| (line.line, line.refusal.as_ref().unwrap().reason.as_str())).collect();
    assert_eq!(first, [(11, "DUPLICATE"), (12, "DUPLICATE"), (20, "UNKNOWN_RECORD")]);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_issued_a_document_may_report_it() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let (own, foreign) = (passport("FRA", "FR", 1, ""), passport("BRA", "FR", 2, ""));
    // The desk refuses it with its line.
    let desk = world.bureau("FR").desk().await?;
    let mixed = [(2, Change::Add(own.clone())), (3, Change::Add(foreign.clone()))];
    let Err(ClientError::Refused(refusal)) = load(&desk, 12, &mixed).await else { panic!("taken") };
    assert_eq!(refusal.reason, Reason::NotOwner);
    assert_eq!(refusal.fields, ["line 3: change.add.issuing_country"]);
    assert_eq!(refusal.next_step, "only BR may do this");
    world.stop("FR").await?;

    // So does the hub, whatever a bureau lets through: all of the batch is void.
    let mut pen = world.pen("FR").await?;
    let mut draft = free_text(&["BR"], "");
    draft.lane = pb::Lane::Bulk.into();
    let mut letter = pen.letter(draft);
    let item = |(at, record): (u8, Record)| pb::RecordItem {
        salt: vec![at; 16].into(),
        change: Change::Add(record).encode().into(),
        ..Default::default()
    };
    let items = [(1, own), (2, foreign)].map(item).to_vec();
    let sent = pb::RecordBatch { database: pb::Database::Sltd.into(), items };
    assert!(batch::check(&sent, "FR".parse().unwrap()).is_err());
    let carried = i247_trust::carry_batch(&sent).unwrap();
    letter.header.kind = pb::Kind::Records.into();
    letter.header.audience = Some(pb::Audience { secretariat: true, ..Default::default() });
    letter.header.body_hash = Bytes::copy_from_slice(carried.body_hash.as_bytes());
    letter.header.commitment = Bytes::copy_from_slice(carried.commitment.as_bytes());
    letter.body = carried.bytes;
    let envelope = pen.sign(&letter);
    let Err(WorldError::Client(ClientError::Refused(refusal))) = pen.submit(&envelope).await else {
        panic!("taken")
    };
    assert_eq!(refusal.reason, Reason::NotOwner);
    assert_eq!(refusal.fields, ["items[1].change.add.issuing_country"]);
    assert_eq!(refusal.next_step, "only BR may do this");
    assert!(show(&world, "BR", "FRA/PASSPORT/P0000001").await?.is_none());
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_cannot_read_the_log_are_behind_it_until_they_can() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(31);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let monitor = world.monitor().await?;
    let numbers = async || -> Result<pb::FlowNumbers, WorldError> {
        Ok(monitor.statistics(60).await?.numbers.unwrap_or_default())
    };
    assert_eq!(numbers().await?.behind_log, 0);
    disk.flip_one_read_in(Some(1));
    load(&world.bureau("FR").desk().await?, 1, &lines(0..3)).await?;
    let fed = world
        .until("the databases to stay behind", async || {
            let numbers = numbers().await?;
            Ok((numbers.behind_log > 0).then_some(numbers))
        })
        .await?;
    // Whatever comes after it, they wait for that entry.
    let sent = world.bureau("FR").tell(&["BR"], "from this no record follows").await?;
    world.bureau("BR").receives(&sent.id).await?;
    let alert = crate::alerts::said(&world, "databases_behind", "").await?;
    assert!(alert.text.ends_with("entries behind the log"), "{}", alert.text);
    // Health says so of what answers from them, and of nothing else.
    world.not_serving("hub").await?;
    for (service, serves) in [
        ("Search", false),
        ("Records", false),
        ("Copy", false),
        ("Exchange", true),
        ("Review", true),
        ("Monitor", true),
    ] {
        assert_eq!(world.hub_serves(&format!("i247.v1.{service}Service")).await?, serves, "{service}");
    }
    let later = numbers().await?;
    assert!(later.behind_log > fed.behind_log, "{later:?} after {fed:?}");
    disk.flip_one_read_in(None);
    world.advance(WITHIN);
    world
        .until(
            "the databases to be up to date",
            async || Ok((numbers().await?.behind_log == 0).then_some(())),
        )
        .await?;
    crate::alerts::over(&world, "databases_behind", "").await?;
    world.serving("hub").await?;
    assert!(world.hub_serves("i247.v1.SearchService").await?);
    decided(&world, 1).await?;
    world.finish().await
}
