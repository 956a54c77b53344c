//! Fingerprints, faces and profiles: what is near enough is found and nothing is surer than possible, what the asker may
//! not see is not there, and of a probe nothing is left.

use std::time::Duration;

use i247_model::{Reason, Refusal};
use i247_records::Database;
use i247_testkit::{World, WorldError, pb};

use crate::own_records::Keyboard;
use crate::search::{added, ask, bytes, country_records, files, frame, journal, searches};

const LOCI: &str = "D16S539:9,11;D3S1358:15,16;D8S1179:12,13;FGA:22;TH01:7,9.3;TPOX:8,9;VWA:17,18";

/// The bytes of a vector that looks like no other.
fn vector(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // From 16 to 79, so that what is added below stays a small number.
        16 + ((state >> 24) as u8 & 63)
    };
    (0..length).map(|_| next()).collect()
}

/// The same with every number larger by so much.
fn shifted(vector: &[u8], by: u8) -> Vec<u8> {
    vector.iter().map(|number| number + by).collect()
}

fn hex(vector: &[u8]) -> String {
    vector.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn probe(database: pb::Database, template: Vec<u8>) -> pb::SearchKey {
    let asked = pb::ProbeKey { database: database.into(), template: template.into() };
    pb::SearchKey { key: Some(pb::search_key::Key::Probe(asked)) }
}

/// Germany records two fingerprints, a mark that Japan must not see, a face and a profile.
async fn germany_records_traces(world: &World) -> Result<(), WorldError> {
    let [one, other, hidden] = [1, 2, 3].map(|seed| hex(&vector(256, seed)));
    let face = hex(&vector(128, 4));
    let prints: [&[&str]; 3] = [
        &["fp-1", "", "", "", "KNOWN", "FINGERPRINT", &one, "80"],
        &["fp-2", "", "", "", "KNOWN", "FINGERPRINT", &other, ""],
        &["fp-3", "", "JP", "", "UNKNOWN", "MARK", &hidden, ""],
    ];
    country_records(world, "DE", Database::Fingerprints, 1, &prints).await?;
    let faces: [&[&str]; 1] = [&["f-1", "", "", "", "UNKNOWN", "FACE", &face, ""]];
    country_records(world, "DE", Database::Faces, 2, &faces).await?;
    let profiles: [&[&str]; 1] = [&["d-1", "", "", "", "UNKNOWN", LOCI]];
    country_records(world, "DE", Database::Dna, 3, &profiles).await
}

/// What was found: its name, certainty and score.
fn told(answer: &pb::KeyAnswer) -> Vec<(&str, pb::SearchResult, u32)> {
    answer.found.iter().map(|one| (one.name.as_str(), one.certainty(), one.score)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_near_enough_is_found_and_its_owner_is_told_and_of_the_probe_nothing_is_left()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_records_traces(&world).await?;
    let desk = world.bureau("FR").desk().await?;
    // 256 differences of 3 are 2,304 of a threshold of 36,864: 500 - 500 / 16 above the half. Twelve are the threshold
    // itself, and thirteen too many.
    let probes = [3, 12, 13].map(|by| shifted(&vector(256, 1), by));
    let keys = probes.clone().map(|template| probe(pb::Database::Fingerprints, template));
    let asked = pb::SearchRequest { purpose: pb::Purpose::Investigation.into(), ..frame(keys.to_vec()) };
    let answers = desk.check(asked).await?.answers;
    use pb::SearchResult::{NoRecord, Possible};
    assert_eq!(told(&answers[0]), [("DE/fp-1", Possible, 969)]);
    assert_eq!(told(&answers[1]), [("DE/fp-1", Possible, 500)]);
    assert_eq!((answers[2].result(), answers[2].found.len()), (NoRecord, 0));
    let found = &answers[0].found[0];
    assert_eq!(found.reasons, ["at a distance of 2304, where 36864 is the threshold"]);
    assert!(answers[0].next_step.contains("have an examiner compare"), "{found:?}");
    let Some(pb::record::Content::Template(shown)) = found.record.clone().unwrap().content else { panic!() };
    assert!(shown.vector.is_empty() && shown.quality == 80, "what is compared is nobody else's business");
    // Both probes led to one record: one hit, of which Germany is told.
    assert_eq!(found.hit_id, answers[1].found[0].hit_id);
    world.bureau("DE").receives(&found.hit_id.parse().unwrap()).await?;

    let face = probe(pb::Database::Faces, shifted(&vector(128, 4), 2));
    let profile = LOCI.replace("TH01:7,9.3", "TH01:7,9").into_bytes();
    let answers = desk.check(frame(vec![face, probe(pb::Database::Dna, profile)])).await?.answers;
    assert_eq!(told(&answers[0]), [("DE/f-1", Possible, 980)]);
    assert_eq!(told(&answers[1]), [("DE/d-1", Possible, 857)]);
    assert_eq!(answers[1].found[0].reasons, ["6 of 7 loci agree", "TH01 differs"]);
    // They come back from the log.
    world.stop_hub().await?;
    world.start_hub().await?;
    let again = || desk.check(frame(vec![keys[0].clone()]));
    let again = world.until("the hub to answer again", async || Ok(again().await.ok())).await?;
    assert_eq!(told(&again.answers[0]), [("DE/fp-1", Possible, 969)]);

    world.stop_all().await?;
    for file in files(world.dir()) {
        let held = std::fs::read(&file).unwrap();
        let (part, text) = (&probes[0][..16], hex(&probes[0][..16]));
        let is_there = |bytes: &[u8]| held.windows(bytes.len()).any(|window| window == bytes);
        assert!(!is_there(part) && !is_there(text.as_bytes()), "{}", file.display());
    }
    let records = journal(&world.dir().join("hub/data/audit")).await;
    let told =
        |record: &pb::AuditRecord| (record.keys, record.matches, record.possible, record.digests.len());
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), [(3, 0, 2, 24), (2, 0, 2, 16), (1, 0, 1, 8)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_not_see_a_trace_gets_the_bytes_of_no_record() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_records_traces(&world).await?;
    let (mut france, mut japan) = (searches(&world, "FR").await?, searches(&world, "JP").await?);
    let hidden = vec![probe(pb::Database::Fingerprints, vector(256, 3))];
    let seen = ask(&mut france, hidden.clone()).await?;
    assert_eq!(told(&seen.answers[0]), [("DE/fp-3", pb::SearchResult::Possible, 1000)]);
    let answer = ask(&mut japan, hidden).await?;
    let nothing = ask(&mut japan, vec![probe(pb::Database::Fingerprints, vector(256, 9))]).await?;
    assert_eq!(answer.answers[0].result(), pb::SearchResult::NoRecord);
    assert_eq!(bytes(answer), bytes(nothing));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_too_large_or_of_another_length_is_refused_in_its_place() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let mut france = searches(&world, "FR").await?;
    let sound = probe(pb::Database::Faces, vector(128, 1));
    let cases: [(Vec<u8>, Reason, &str); 3] = [
        (vector(129, 1), Reason::TooLarge, "a probe too large: 129 bytes, and at most 128 are taken"),
        (vector(200_000, 1), Reason::TooLarge, "a probe too large: 200000 bytes, and at most 128 are taken"),
        (vector(127, 1), Reason::WrongField, "a probe too short: 127 bytes of 128"),
    ];
    for (template, reason, why) in cases {
        let keys = vec![probe(pb::Database::Faces, template), sound.clone()];
        let answers = ask(&mut france, keys).await?.answers;
        let refusal = Refusal::try_from(answers[0].refusal.clone().unwrap()).unwrap();
        assert_eq!((refusal.reason, refusal.fields), (reason, vec![format!("probe.template: {why}")]));
        assert_eq!(answers[1].result(), pb::SearchResult::NoRecord, "the other is compared");
    }
    // Elsewhere than in its own database, and five at once.
    let elsewhere =
        pb::SearchRequest { databases: vec![pb::Database::Sltd.into()], ..frame(vec![sound.clone()]) };
    let answer = france.search(elsewhere).await.unwrap().into_inner().answers.remove(0);
    let refusal = Refusal::try_from(answer.refusal.unwrap()).unwrap();
    assert_eq!((refusal.reason, refusal.fields), (Reason::WrongField, vec!["databases".into()]));
    assert!(ask(&mut france, vec![sound.clone(); 4]).await.is_ok());
    let status = france.search(frame(vec![sound; 5])).await.unwrap_err();
    let refusal = i247_wire::refusal(&status).unwrap();
    assert_eq!((refusal.reason, refusal.fields), (Reason::TooLarge, vec!["probes".into()]));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_loaded_by_its_owner_alone() -> Result<(), WorldError> {
    use pb::load_records_request::Frame;
    let world = World::of(["DE", "FR"]).start().await?;
    let face = hex(&vector(128, 4));
    let row: &[&str] = &["f-1", "", "", "", "UNKNOWN", "FACE", &face, ""];
    let begin = pb::LoadBegin { name: vec![9; 32].into(), database: pb::Database::Faces.into() };
    let lines = pb::LoadLines { lines: vec![2], changes: vec![added("DE", Database::Faces, row)] };
    let frames =
        [Frame::Begin(begin), Frame::Lines(lines)].map(|frame| pb::LoadRecordsRequest { frame: Some(frame) });
    let desk = world.bureau("FR").desk().await?;
    let mut load = desk.load_records(tokio_stream::iter(frames)).await?;
    let refused = loop {
        match load.next(Duration::from_secs(30)).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("France has loaded what is Germany's"),
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().contains("NOT_OWNER"), "{refused}");
    let mut germany = searches(&world, "DE").await?;
    let asked = vec![probe(pb::Database::Faces, vector(128, 4))];
    assert_eq!(ask(&mut germany, asked.clone()).await?.answers[0].result(), pb::SearchResult::NoRecord);
    country_records(&world, "DE", Database::Faces, 1, &[row]).await?;
    assert_eq!(ask(&mut germany, asked).await?.answers[0].result(), pb::SearchResult::Possible);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keyboard_a_face_is_loaded_from_a_file_and_found_by_another() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let face = vector(128, 4);
    let row = format!(
        r#"{{"reference":"f-1","subject_kind":"UNKNOWN","modality":"FACE","vector":"{}","quality":"70"}}"#,
        hex(&face)
    );
    let file = keyboard.file("faces.jsonl", row.as_bytes());
    keyboard.types("DE", &["records", "load", "faces", &file]).await.well("accepted   1");
    let probe = keyboard.file("face.bin", &shifted(&face, 2));
    let large = keyboard.file("large.bin", &vector(129, 4));
    let check = |file: &str| {
        let words = ["check", "--probe", file, "--database", "faces", "--purpose", "investigation"];
        words.map(str::to_owned)
    };
    let asks = async |file: &str| {
        let words = check(file);
        keyboard.types("FR", &words.each_ref().map(String::as_str)).await
    };
    let found = asks(&probe).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    for words in ["POSSIBLE", "DE/f-1", "980 of 1000", "unknown", "have an examiner compare"] {
        assert!(found.out.contains(words), "{words}: {found:?}");
    }
    assert!(!found.out.contains(&hex(&face)[..16]), "the template is not shown: {found:?}");
    let refused = asks(&large).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for words in ["TOO_LARGE", "probe.template", "at most 128 are taken"] {
        assert!(refused.err.contains(words), "{words}: {refused:?}");
    }
    world.stop_all().await
}
