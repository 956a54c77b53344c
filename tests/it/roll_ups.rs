//! Roll-ups: a post signs for what it asked, each minute and at the end, and what is forged, left out or said twice is
//! found.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_client::{ClientError, ROLL_UP_EVERY, RolledSearches, Searches};
use i247_ledger::{Draft, Ledger as _, Options, Position, Segments};
use i247_model::{Hash, Reason};
use i247_testkit::{World, WorldError, airport, name, pb};
use i247_trust::{Credentials, search_digest, search_root, search_session, sha256, sign};
use i247_wire::payload;
use prost::Message as _;

use crate::search::{frame, passport};

const SALT: [u8; 32] = [7; 32];

fn asked(number: &str) -> pb::SearchRequest {
    pb::SearchRequest { station: String::new(), ..frame(vec![passport(number, "D")]) }
}

/// A post of France that may search, and a client of the hub for it.
pub(crate) async fn post(world: &World, post: &str) -> Result<(Credentials, Searches), WorldError> {
    let credentials = world.post("FR", post).await?;
    world.bureau("FR").grants(airport(&name(post))).await?;
    let searches = Searches::new(world.channel_over_line("FR", &credentials)?);
    Ok((credentials, searches))
}

async fn checked(world: &World) -> i247_hub::Searches {
    let (disk, threads) = (Arc::new(i247_ledger::disk::OsDisk), Arc::new(i247_ledger::OnThreads));
    i247_hub::check_searches(disk, threads, &world.dir().join("hub/data")).await.unwrap()
}

/// Writes the journal of searches anew, as somebody might who has the disk: with this change of each roll-up, and with
/// entries that name each other again. The place of the first roll-up.
async fn rewritten(world: &World, change: impl Fn(&mut pb::AuditRollUp)) -> u64 {
    let dir = world.dir().join("hub/data/audit");
    let disk = Arc::new(i247_ledger::disk::OsDisk);
    let (journal, _) = Segments::open(disk.clone(), &dir, Options::default()).unwrap();
    let records = journal.read(Position(1), usize::MAX, usize::MAX).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    let (mut group, mut previous, mut place) = (Vec::new(), Bytes::new(), 0);
    for record in records {
        let mut entry = pb::AuditGroup::decode(record.entry).unwrap();
        if place == 0 && !entry.roll_ups.is_empty() {
            place = record.position.0;
        }
        entry.roll_ups.iter_mut().for_each(&change);
        entry.previous = previous;
        let bytes = Bytes::from(entry.encode_to_vec());
        let root = sha256(&[b"i247.v1.AuditGroup\0", &bytes]);
        previous = Bytes::copy_from_slice(root.as_bytes());
        group.push(Draft { entry: bytes, body: None });
    }
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::create_dir(&dir).unwrap();
    let (journal, _) = Segments::open(disk, &dir, Options::default()).unwrap();
    journal.append(Position::START, group).await.unwrap();
    journal.close().await.unwrap();
    place
}

/// What is wrong, without where it stands.
fn wrong(checked: &i247_hub::Searches) -> Vec<&str> {
    checked
        .broken
        .iter()
        .map(|broken| broken.split_once(": ").map_or(broken.as_str(), |(_, what)| what))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_signs_for_what_it_asked_each_minute_and_at_the_end_also_across_a_restart()
-> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let (credentials, searches) = post(&world, "cdg").await?;
    let seams = world.seams();
    let cdg = RolledSearches::new(searches, credentials, seams.clock.clone(), &*seams.dice);
    for number in ["X4719T06M", "X9999999X"] {
        cdg.check(asked(number)).await?;
    }
    // Refused: the hub has noted nothing, and the post signs for nothing.
    assert!(cdg.check(pb::SearchRequest { purpose: 0, ..asked("X4719T06M") }).await.is_err());
    cdg.check(asked("X4719T06M")).await?;
    let minute = async {
        world.advance(ROLL_UP_EVERY - Duration::from_secs(1));
        cdg.check(asked("X4719T06M")).await?;
        assert_eq!(cdg.taken(), 0, "a minute is not over");
        world.advance(Duration::from_secs(1));
        world.until("a roll-up", async || Ok((cdg.taken() == 5).then_some(()))).await
    };
    tokio::select! {
        biased;
        () = cdg.keep(|error| panic!("{error}")) => {}
        done = minute => done?,
    }
    // The hub does not remember the session, and reads it back; at the end the rest is signed for.
    cdg.check(asked("X9999999X")).await?;
    world.stop_hub().await?;
    world.start_hub().await?;
    let again = async || Ok(cdg.check(asked("X4719T06M")).await.ok());
    world.until("the hub to answer again", again).await?;
    cdg.end().await?;
    cdg.end().await?;
    world.stop_all().await?;
    let checked = checked(&world).await;
    assert_eq!((checked.signed_for, checked.frames, checked.broken.as_slice()), (6, 6, [].as_slice()));
    Ok(())
}

/// A roll-up of the session, signed with a key, of what was answered with these digests.
pub(crate) fn roll_up(own: &Credentials, first: u64, last: u64, digests: &[Hash]) -> pb::HandInRollUpRequest {
    let roll_up = pb::SearchRollUp {
        session: search_session(&SALT).to_vec().into(),
        began_ms: 1,
        first,
        last,
        answered: digests.len() as u32,
        root: search_root(digests).as_bytes().to_vec().into(),
        ..pb::SearchRollUp::default()
    };
    let signed = sign(&own.signing_key, payload::SEARCH_ROLL_UP, roll_up.encode_to_vec());
    pb::HandInRollUpRequest { chain: own.signing_chain.clone(), signed: Some(signed) }
}

pub(crate) async fn ask(searches: &Searches, number: u64) -> Result<Hash, ClientError> {
    let session = pb::SearchSession { salt: SALT.to_vec().into(), number };
    let search = pb::SearchRequest { session: Some(session), ..asked("X4719T06M") };
    searches.check(search.clone()).await?;
    Ok(search_digest(&SALT, number, &search))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_up_that_is_forged_repeated_wrong_or_missing_is_found() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let ((cdg, searches), (orly, of_orly)) = (post(&world, "cdg").await?, post(&world, "orly").await?);
    let mut digests = Vec::new();
    for number in 1..=6 {
        digests.push(ask(&searches, number).await?);
    }
    let sound = roll_up(&cdg, 1, 2, &digests[..2]);
    assert!(searches.hand_in_roll_up(sound.clone()).await?.agrees);
    assert!(searches.hand_in_roll_up(sound.clone()).await?.agrees, "the same once more is nothing new");
    let refused = async |given: pb::HandInRollUpRequest| {
        let error = searches.hand_in_roll_up(given).await.unwrap_err();
        let refusal = error.refusal().unwrap();
        (refusal.reason, refusal.fields.join(" "))
    };
    let said = |reason, field: &str| (reason, field.to_owned());
    // Two of which one was never asked, where two were rolled up.
    assert_eq!(refused(roll_up(&cdg, 1, 2, &digests[..1])).await, said(Reason::NumberReused, "first"));
    assert_eq!(refused(roll_up(&cdg, 4, 4, &digests[3..4])).await, said(Reason::OutOfOrder, "first"));
    // Signed by somebody else, with and without the certificate of the post.
    let of_other = roll_up(&orly, 3, 3, &digests[2..3]);
    assert_eq!(refused(of_other.clone()).await, said(Reason::BadSignature, "chain"));
    let with_chain = pb::HandInRollUpRequest { chain: sound.chain.clone(), ..of_other };
    assert_eq!(refused(with_chain).await.0, Reason::UnknownKey);
    // One search less than the hub has answered, and then one of which the post does not know.
    assert!(!searches.hand_in_roll_up(roll_up(&cdg, 3, 4, &digests[2..3])).await?.agrees);
    let number_twice = ask(&searches, 6).await.unwrap_err();
    assert_eq!(number_twice.refusal().unwrap().reason, Reason::NumberReused);
    assert!(ask(&searches, 4).await.is_err(), "what is signed for is closed");
    // Nobody signs for 5 and 6, and minutes go by.
    world.advance(Duration::from_secs(240));
    of_orly.check(asked("X4719T06M")).await?;
    world.stop_all().await?;
    let checked = checked(&world).await;
    let cdg = "spiffe://i247.test/ncb/fr/post/cdg";
    assert_eq!(
        wrong(&checked),
        [
            format!("{cdg} has signed for its searches 1 to 2 a second time, differently"),
            format!("{cdg} has signed for its searches 4 to 4, and left out some before"),
            format!("a roll-up came from {cdg} that it has not signed"),
            format!("a roll-up came from {cdg} that it has not signed"),
            format!(
                "{cdg} has signed for 1 searches from 3 to 4, and the journal has 2 that are not the same"
            ),
            format!("{cdg} has not signed for 2 of its searches"),
        ]
    );
    assert_eq!(checked.signed_for, 2);
    Ok(())
}

/// What somebody does to a roll-up of the journal.
type Change<'a> = &'a dyn Fn(&mut pb::AuditRollUp);

/// The same bytes with one bit of the one at this place turned over.
fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_up_of_which_a_byte_was_changed_later_does_not_verify() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let (credentials, searches) = post(&world, "cdg").await?;
    let digests = [ask(&searches, 1).await?, ask(&searches, 2).await?];
    assert!(searches.hand_in_roll_up(roll_up(&credentials, 1, 2, &digests)).await?.agrees);
    world.stop_all().await?;
    let journal = world.dir().join("hub/data/audit");
    let sound = checked(&world).await;
    assert_eq!((sound.signed_for, sound.broken.as_slice()), (2, [].as_slice()));
    let signed = |entry: &mut pb::AuditRollUp, change: &dyn Fn(&mut pb::Signed)| {
        change(entry.signed.as_mut().unwrap());
    };
    let signature =
        |entry: &mut pb::AuditRollUp| signed(entry, &|one| one.signature = flipped(&one.signature, 9));
    let payload = |entry: &mut pb::AuditRollUp| signed(entry, &|one| one.payload = flipped(&one.payload, 30));
    let key = |entry: &mut pb::AuditRollUp| signed(entry, &|one| one.key_id = flipped(&one.key_id, 0));
    let certificate = |entry: &mut pb::AuditRollUp| {
        let at = entry.chain[0].len() - 5;
        entry.chain[0] = flipped(&entry.chain[0], at);
    };
    let cdg = "spiffe://i247.test/ncb/fr/post/cdg";
    let changes: [(Change<'_>, &str); 4] = [
        (&signature, "BAD_SIGNATURE: signature"),
        (&payload, "BAD_SIGNATURE: signature"),
        (&key, "UNKNOWN_KEY: key_id"),
        (&certificate, "BAD_SIGNATURE: chain"),
    ];
    let kept = journal.with_extension("kept");
    for (change, reason) in changes {
        std::fs::rename(&journal, &kept).unwrap();
        copy(&kept, &journal);
        let place = rewritten(&world, change).await;
        let found = checked(&world).await;
        let expected = format!("entry {place}: a roll-up of {cdg} does not verify: {reason}");
        assert!(found.broken.contains(&expected), "{expected}: {:?}", found.broken);
        // Nor does the log vouch for it, if it was told of as much before the stop.
        let denied =
            found.broken.iter().any(|broken| broken.ends_with("is not the one that the log was told of"));
        assert!(denied || found.vouched < place, "{found:?}");
        assert_eq!(found.signed_for, 0);
        std::fs::remove_dir_all(&journal).unwrap();
        std::fs::rename(&kept, &journal).unwrap();
    }
    Ok(())
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
