//! The databases are asked: what is recorded is found, what the asker may not see is not there, what is no question is
//! refused, and every search stands in the journal.

use std::time::Duration;

use bytes::Bytes;
use i247_ledger::{Ledger, Position, Segments};
use i247_model::{Identity, Reason, Refusal};
use i247_records::Database;
use i247_records::record::{Cell, Change, Record};
use i247_testkit::{World, WorldError, country, pb};
use i247_wire::pb::search_service_client::SearchServiceClient;
use prost::Message as _;
use tonic::transport::Channel;

pub(crate) const ZONE: &str =
    "P<D<<MARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3D<<8703226F3106279<<<<<<<<<<<<<<<8";

/// Germany records two passports as stolen; Japan must not see the second.
pub(crate) async fn germany_reports(world: &World) -> Result<(), WorldError> {
    let stolen = |except, number| ["", "", except, "", number, "D", "PASSPORT", "STOLEN_BEARER", ""];
    germany_records(world, 7, &[stolen("", "X4719T06M"), stolen("JP", "L0000001K")]).await
}

/// Germany loads rows of SLTD, under a name of its own for each load, and waits until all are accepted.
pub(crate) async fn germany_records(world: &World, load: u8, rows: &[[&str; 9]]) -> Result<(), WorldError> {
    let rows: Vec<&[&str]> = rows.iter().map(<[&str; 9]>::as_slice).collect();
    country_records(world, "DE", Database::Sltd, load, &rows).await
}

/// What adds the record in a row of a country's own.
pub(crate) fn added(owner: &str, database: Database, cells: &[&str]) -> Bytes {
    let cells: Vec<Cell<'_>> = cells.iter().map(|text| Cell::Text((*text).into())).collect();
    let record = Record::from_row(database, country(owner).into(), &cells).unwrap();
    Change::Add(record).encode().into()
}

/// A country loads rows of a database, under a name of its own for each load, and waits until all are accepted.
pub(crate) async fn country_records(
    world: &World,
    code: &str,
    database: Database,
    load: u8,
    rows: &[&[&str]],
) -> Result<(), WorldError> {
    use pb::load_records_request::Frame;
    let begin = pb::LoadBegin { name: vec![load; 32].into(), database: i32::from(database.number()) };
    // The first line of a file names the columns.
    let lines = (2..).take(rows.len()).collect();
    let changes = rows.iter().map(|row| added(code, database, row)).collect();
    let lines = pb::LoadLines { lines, changes };
    let frames =
        [Frame::Begin(begin), Frame::Lines(lines)].map(|frame| pb::LoadRecordsRequest { frame: Some(frame) });
    let desk = world.bureau(code).desk().await?;
    let mut load = desk.load_records(tokio_stream::iter(frames)).await?;
    while load.next(Duration::from_secs(30)).await?.is_some() {}
    world
        .until("the records to be accepted", async || {
            // Not answered is not accepted.
            let status = desk.load_status(None).await.ok();
            Ok(status.filter(|status| status.accepted == rows.len() as u64).map(drop))
        })
        .await
}

pub(crate) async fn searches(world: &World, code: &str) -> Result<SearchServiceClient<Channel>, WorldError> {
    let credentials = world.credentials(&Identity::Bureau(country(code))).await?;
    Ok(SearchServiceClient::new(world.hub_channel(&credentials).await?))
}

pub(crate) fn passport(number: &str, issuing_country: &str) -> pb::SearchKey {
    let asked = pb::TravelDocumentKey {
        number: number.into(),
        issuing_country: issuing_country.into(),
        document_type: pb::TravelDocumentType::Passport.into(),
    };
    pb::SearchKey { key: Some(pb::search_key::Key::TravelDocument(asked)) }
}

/// A document of a type that there may not be.
fn of_type(document_type: i32) -> pb::SearchKey {
    let mut key = passport("X4719T06M", "D");
    let Some(pb::search_key::Key::TravelDocument(asked)) = &mut key.key else { panic!() };
    asked.document_type = document_type;
    key
}

fn titled(value: &str) -> pb::SearchKey {
    let kind = pb::ThingKeyKind::Title.into();
    let thing = pb::ThingKey { kind, value: value.into(), country: String::new() };
    pb::SearchKey { key: Some(pb::search_key::Key::Thing(thing)) }
}

fn mrz(text: &str) -> pb::SearchKey {
    pb::SearchKey { key: Some(pb::search_key::Key::Mrz(text.into())) }
}

pub(crate) fn frame(keys: Vec<pb::SearchKey>) -> pb::SearchRequest {
    pb::SearchRequest {
        purpose: pb::Purpose::BorderControl.into(),
        officer: "duty".into(),
        station: "airport".into(),
        keys,
        ..pb::SearchRequest::default()
    }
}

pub(crate) async fn ask(
    searches: &mut SearchServiceClient<Channel>,
    keys: Vec<pb::SearchKey>,
) -> Result<pb::SearchResponse, WorldError> {
    searches.search(frame(keys)).await.map(tonic::Response::into_inner).map_err(connect)
}

pub(crate) fn connect(status: tonic::Status) -> WorldError {
    WorldError::Connect(status.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_officer_finds_a_stolen_passport_and_every_search_is_in_the_journal() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let desk = world.bureau("FR").desk().await?;
    let keys = ["X4719T06M", "X4719TO6M", "X9999999X"].map(|number| passport(number, "D"));
    let found = desk.check(frame([&keys[..], &[mrz(ZONE)]].concat())).await?;
    let results: Vec<_> = found.answers.iter().map(pb::KeyAnswer::result).collect();
    use pb::SearchResult::{Match, NoRecord, Possible};
    assert_eq!(results, [Match, Possible, NoRecord, Match]);
    let hit = &found.answers[0].found[0];
    assert_eq!((hit.name.as_str(), hit.owner.as_str()), ("D/PASSPORT/X4719T06M", "DE"));
    assert!(found.answers[0].next_step.contains("a lead and no ground for action"), "{found:?}");
    assert!(found.answers[1].next_step.contains("compare the record"), "{found:?}");
    // Without the country it is never more than possible.
    let open = desk.check(frame(vec![passport("X4719T06M", "")])).await?;
    assert_eq!(open.answers[0].result(), Possible);

    world.stop_all().await?;
    let data = world.dir().join("hub/data");
    let disk = std::sync::Arc::new(i247_ledger::disk::OsDisk);
    let checked = i247_hub::check_searches(disk, std::sync::Arc::new(i247_ledger::OnThreads), &data).await;
    let checked = checked.unwrap();
    assert!(checked.broken.is_empty() && checked.frames >= 2, "{checked:?}");
    let records = journal(&world.dir().join("hub/data/audit")).await;
    let last = &records[records.len() - 2..];
    let told = |record: &pb::AuditRecord| {
        let pb::AuditRecord { asker, officer, station, keys, refused, matches, possible, .. } = record;
        format!("{asker} {officer} {station}: {keys} asked, {refused} none, {matches} {possible}")
    };
    assert_eq!(told(&last[0]), "spiffe://i247.test/ncb/fr duty airport: 4 asked, 0 none, 2 1");
    assert_eq!(told(&last[1]), "spiffe://i247.test/ncb/fr duty airport: 1 asked, 0 none, 0 1");
    assert_eq!(last[0].purpose(), pb::Purpose::BorderControl);
    // One digest a key; a look-alike and the zone have the same as the number itself.
    let digests: Vec<&[u8]> = last[0].digests.chunks(8).collect();
    assert_eq!(digests.len(), 4);
    assert!(digests[0] == digests[1] && digests[0] == digests[3] && digests[0] != digests[2]);
    // Nothing of what was asked can be read, in the journal or in a log.
    for file in files(world.dir()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"X9999999X"), "{}", file.display());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_not_see_a_record_gets_the_bytes_of_no_record() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let (mut france, mut japan) = (searches(&world, "FR").await?, searches(&world, "JP").await?);
    let hidden = vec![passport("L0000001K", "D")];
    assert_eq!(ask(&mut france, hidden.clone()).await?.answers[0].result(), pb::SearchResult::Match);
    let answer = ask(&mut japan, hidden).await?;
    let nothing = ask(&mut japan, vec![passport("L9999999K", "D")]).await?;
    assert_eq!(answer.answers[0].result(), pb::SearchResult::NoRecord);
    assert_eq!(bytes(answer), bytes(nothing.clone()));
    // Nor is it found by a look-alike, or without its country.
    for key in [passport("LOOOOOO1K", "D"), passport("L0000001K", "")] {
        let answer = ask(&mut japan, vec![key]).await?;
        assert_eq!(bytes(answer), bytes(nothing.clone()));
    }
    world.finish().await
}

/// A frame of documents of Germany in one field.
fn documents(numbers: &[&str]) -> pb::SearchRequest {
    let asked = numbers.iter().map(|number| pb::TravelDocumentKey {
        number: (*number).into(),
        issuing_country: "D".into(),
        document_type: pb::TravelDocumentType::Passport.into(),
    });
    let documents = i247_wire::pack_documents(&asked.collect::<Vec<_>>()).unwrap();
    pb::SearchRequest { documents, ..frame(Vec::new()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_documents_in_one_field_only_what_is_found_or_wrong_is_answered() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let (mut france, mut japan) = (searches(&world, "FR").await?, searches(&world, "JP").await?);
    let numbers = ["X9999999X", "X4719TO6M", "X/1", "L0000001K", "X9999998X"];
    let found = france.search(documents(&numbers)).await.map_err(connect)?.into_inner();
    let told: Vec<_> = found.places.iter().zip(&found.answers).map(|(at, one)| (*at, one.result())).collect();
    use pb::SearchResult::{Match, Possible, Unspecified};
    assert_eq!(told, [(1, Possible), (2, Unspecified), (3, Match)]);
    assert_eq!(found.answers.len(), 3);
    let refusal = Refusal::try_from(found.answers[1].refusal.clone().unwrap()).unwrap();
    assert_eq!(refusal.reason, Reason::WrongField);
    assert!(refusal.fields[0].starts_with("travel_document.number"), "{refusal}");
    // The same as one by one.
    let keys = numbers.map(|number| passport(number, "D"));
    let one_by_one = ask(&mut france, keys.to_vec()).await?.answers;
    let again = france.search(documents(&numbers)).await.map_err(connect)?.into_inner();
    for (at, answer) in again.places.iter().zip(&again.answers) {
        assert_eq!(one_by_one[*at as usize], *answer);
    }
    // Who must not see one gets the bytes of none.
    let hidden = japan.search(documents(&["L0000001K"])).await.map_err(connect)?.into_inner();
    let nothing = japan.search(documents(&["L9999999K"])).await.map_err(connect)?.into_inner();
    assert_eq!((hidden.answers.len(), hidden.places.len()), (0, 0));
    assert_eq!(bytes(hidden), bytes(nothing));
    world.stop_all().await?;
    let records = journal(&world.dir().join("hub/data/audit")).await;
    let told = |record: &pb::AuditRecord| {
        (record.keys, record.refused, record.matches, record.possible, record.digests.len())
    };
    assert_eq!(told(&records[0]), (5, 1, 1, 1, 4 * 8));
    assert_eq!(told(&records[1]), told(&records[0]));
    assert_eq!(records[0].digests, records[1].digests);
    Ok(())
}

/// An answer but for how far the databases had come: the log goes on from one search to the next.
pub(crate) fn bytes(mut answer: pb::SearchResponse) -> Vec<u8> {
    answer.as_of_position = 0;
    answer.encode_to_vec()
}

/// What is wrong with a frame, and why it is refused with which fields.
type Case = (fn(&mut pb::SearchRequest), Reason, &'static [&'static str]);

const FRAMES: &[Case] = &[
    (|frame| frame.purpose = 0, Reason::MissingData, &["purpose"]),
    (
        |frame| *frame = pb::SearchRequest::default(),
        Reason::MissingData,
        &["purpose", "officer", "station", "keys"],
    ),
    (|frame| frame.purpose = 99, Reason::Malformed, &["purpose"]),
    (|frame| frame.officer = "Duty Officer".into(), Reason::Malformed, &["officer"]),
    (|frame| frame.databases = vec![0], Reason::Malformed, &["databases"]),
    (|frame| frame.operation = "Hammer 2011".into(), Reason::Malformed, &["operation"]),
    (|frame| frame.operation = "h".repeat(65), Reason::Malformed, &["operation"]),
    (|frame| frame.keys = vec![frame.keys[0].clone(); 257], Reason::TooLarge, &["keys"]),
    (|frame| frame.documents = Bytes::from_static(b"\x05\x01D<<1"), Reason::Malformed, &["documents"]),
    (
        |frame| (frame.keys, frame.documents) = (Vec::new(), Bytes::from_static(b"\x06\x01D<<1")),
        Reason::Malformed,
        &["documents"],
    ),
    (
        |frame| (frame.keys, frame.documents) = (Vec::new(), b"\x05\x01D<<1".repeat(257).into()),
        Reason::TooLarge,
        &["documents"],
    ),
    (
        |frame| frame.keys = vec![passport("X4719T06M", ""); 5],
        Reason::TooLarge,
        &["keys without the country that issued"],
    ),
];

/// A key that is none, why it is refused, and a part of the field.
type BentKey = (fn() -> pb::SearchKey, Reason, &'static str);

/// Each is refused in its own place.
const KEYS: &[BentKey] = &[
    (|| mrz(&ZONE.replace("X4719T06M3", "X4719T06M4")), Reason::WrongCheckDigit, "found 4, expected 3"),
    (|| mrz(&ZONE.replace("P<D<<", "P<ZZZ")), Reason::UnknownCountry, "mrz: issuing country"),
    (|| passport("X4719T06M", "Utopia"), Reason::UnknownCountry, "travel_document.issuing_country"),
    (|| of_type(99), Reason::WrongField, "travel_document.document_type"),
    (|| passport("", "D"), Reason::MissingData, "travel_document.number"),
    (|| mrz(&"<".repeat(257)), Reason::TooLarge, "mrz"),
    (|| titled(&"x".repeat(201)), Reason::TooLarge, "thing.value"),
    (|| pb::SearchKey { key: None }, Reason::Malformed, "key"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_question_is_refused_and_says_why() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let mut france = searches(&world, "FR").await?;
    for (bend, reason, fields) in FRAMES {
        let mut asked = frame(vec![passport("X4719T06M", "D")]);
        bend(&mut asked);
        let status = france.search(asked).await.unwrap_err();
        let refusal = i247_wire::refusal(&status).unwrap();
        assert_eq!(
            (refusal.reason, refusal.fields),
            (*reason, fields.iter().map(|f| (*f).to_owned()).collect())
        );
    }
    let keys: Vec<pb::SearchKey> = KEYS.iter().map(|(key, ..)| key()).collect();
    let sound = passport("X4719T06M", "D");
    let answers = ask(&mut france, [&keys[..], &[sound]].concat()).await?.answers;
    for ((_, reason, field), answer) in KEYS.iter().zip(&answers) {
        let refusal = Refusal::try_from(answer.refusal.clone().unwrap()).unwrap();
        assert_eq!((refusal.reason, answer.result()), (*reason, pb::SearchResult::Unspecified));
        assert!(refusal.fields.iter().any(|found| found.contains(field)), "{refusal}");
    }
    // The others are answered all the same.
    assert_eq!(answers[KEYS.len()].result(), pb::SearchResult::NoRecord);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_answers_frame_by_frame_and_goes_on_after_a_refusal() -> Result<(), WorldError> {
    use pb::search_stream_response::Frame;
    let world = World::of(["FR"]).start().await?;
    let mut france = searches(&world, "FR").await?;
    let full = frame(vec![passport("X4719T06M", "D"); 256]);
    let bent = pb::SearchRequest { purpose: 0, ..full.clone() };
    let frames = [full.clone(), bent, full].map(|search| pb::SearchStreamRequest { search: Some(search) });
    let mut answers = france.search_stream(tokio_stream::iter(frames)).await.map_err(connect)?.into_inner();
    let mut told = Vec::new();
    while let Some(answer) = answers.message().await.map_err(connect)? {
        told.push(match answer.frame.unwrap() {
            Frame::Answers(found) => format!("{} answers", found.answers.len()),
            Frame::Refusal(refusal) => refusal.reason,
        });
    }
    assert_eq!(told, ["256 answers", "MISSING_DATA", "256 answers"]);
    world.finish().await
}

/// The wrong check digit of the table of reasons.
pub(crate) async fn a_misread_zone() -> Result<Refusal, WorldError> {
    let world = World::of(["FR"]).start().await?;
    let mut france = searches(&world, "FR").await?;
    let answer = ask(&mut france, vec![KEYS[0].0()]).await?.answers.remove(0);
    world.finish().await?;
    Ok(Refusal::try_from(answer.refusal.unwrap()).unwrap())
}

/// All that a journal of searches holds.
pub(crate) async fn journal(dir: &std::path::Path) -> Vec<pb::AuditRecord> {
    let disk = std::sync::Arc::new(i247_ledger::disk::OsDisk);
    let (journal, opened) = Segments::open(disk, dir, i247_ledger::Options::default()).unwrap();
    assert!(opened.clean_stop);
    let entries = journal.read(Position(1), 10_000, usize::MAX).await.unwrap();
    let groups = entries.iter().map(|entry| pb::AuditGroup::decode(entry.entry.clone()).unwrap());
    groups.flat_map(|group| group.records).collect()
}

/// Every file below a directory.
pub(crate) fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_the_databases_hold_and_what_they_are_asked_for() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    let keys = ["X4719T06M", "X4719TO6M", "X9999999X"].map(|number| passport(number, "D"));
    let mut searches = searches(&world, "FR").await?;
    ask(&mut searches, keys.to_vec()).await?;
    let mut without = frame(keys.to_vec());
    without.officer.clear();
    assert!(searches.search(without).await.is_err());
    let told = world.monitor().await?.databases(0).await?;
    let sltd = told.databases.iter().find(|one| one.database() == pb::Database::Sltd).unwrap();
    assert_eq!((sltd.records, sltd.asked, sltd.found, sltd.hits_open), (2, 3, 2, 1));
    assert_eq!(told.databases.len(), 19);
    let hits: u32 = told.hits.iter().map(|one| one.count).sum();
    assert_eq!((hits, told.hits_overdue), (1, 0));
    let askers: Vec<_> = told.askers.iter().map(|one| (one.party.as_str(), one.asked, one.found)).collect();
    assert_eq!(askers, [("FR", 3, 2)]);
    let refused: Vec<_> = told.refusals.iter().map(|one| (one.reason.as_str(), one.count)).collect();
    assert_eq!(refused, [("MISSING_DATA", 1)]);
    let minutes: u64 = told.minutes.iter().map(|minute| minute.asked).sum();
    assert_eq!(minutes, 3);
    Ok(())
}
