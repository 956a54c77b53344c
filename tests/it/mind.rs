//! Offline copies: who may ask takes one, goes on checking where there is no network, and hands in what was asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use i247_client::Copies;
use i247_client::mind::{Found, MarksFile, Mind, MindError, OfflineAnswers, Synced};
use i247_model::{Identity, Reason, Timestamp};
use i247_records::Database;
use i247_records::offline::{HolderError, OfflineError};
use i247_testkit::{World, WorldError, airport, country, name, pb, with_copies};
use i247_trust::{AtRestKey, Credentials};

use crate::search::{frame, germany_records, germany_reports, passport};

const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const PUBLISHED_EVERY: Duration = Duration::from_secs(15 * 60);

/// Whoever holds copies, in a directory of its own.
pub(crate) struct Holder {
    pub(crate) credentials: Credentials,
    pub(crate) dir: PathBuf,
    pub(crate) mind: Mind,
}

impl Holder {
    pub(crate) fn new(world: &World, credentials: Credentials, name: &str) -> Self {
        let (dir, marks) = (world.dir().join(name), world.dir().join(format!("{name}-home")));
        let country = match &credentials.identity {
            Identity::Post(country, _) | Identity::Bureau(country) => *country,
            other => panic!("{other} holds no copy"),
        };
        let marks = MarksFile { dir: marks, name: "marks".into() };
        let mind = Mind::new(
            world.seams(),
            &dir,
            marks,
            (credentials.root.clone(), country),
            AtRestKey::new(&[7; 32]).unwrap(),
        );
        Self { credentials, dir, mind }
    }

    pub(crate) async fn hub(&self, world: &World) -> Result<Copies, WorldError> {
        Ok(Copies::new(world.hub_channel(&self.credentials).await?))
    }

    pub(crate) async fn sync(&self, world: &World) -> Result<Synced, MindError> {
        let hub = self.hub(world).await.unwrap();
        self.mind.sync(&hub, Database::Sltd, &mut |_| {}).await
    }

    /// Asks for German passports, each in a frame of its own.
    async fn asks(&self, numbers: &[&str]) -> Result<Vec<OfflineAnswers>, MindError> {
        let copies = self.mind.open(&[]).await?;
        let mut answers = Vec::new();
        for number in numbers {
            let request = pb::SearchRequest { station: "cdg".into(), ..frame(vec![passport(number, "D")]) };
            answers.push(self.mind.check(&copies, &request).await?);
        }
        Ok(answers)
    }

    /// Whether there may be something, number by number.
    pub(crate) async fn finds(&self, numbers: &[&str]) -> Vec<bool> {
        let possible = |answers: &OfflineAnswers| !answers.answers[0].as_ref().unwrap().possible.is_empty();
        self.asks(numbers).await.unwrap().iter().map(possible).collect()
    }
}

/// Germany records a range of stolen blanks and one passport more.
pub(crate) async fn germany_goes_on(world: &World) -> Result<(), WorldError> {
    let blanks = ["", "", "", "", "C01X00095", "D", "PASSPORT", "STOLEN_BLANK", "C01X00213"];
    let lost = ["", "", "", "", "Y1234567K", "D", "PASSPORT", "LOST_BEARER", ""];
    germany_records(world, 8, &[blanks, lost]).await
}

/// A post of France that may search SLTD and TDAWN and hold copies of them.
async fn cdg(world: &World) -> Result<Holder, WorldError> {
    let credentials = world.post("FR", "cdg").await?;
    world.bureau("FR").grants(with_copies(airport(&name("cdg")))).await?;
    Ok(Holder::new(world, credentials, "cdg"))
}

/// What operators see of copies: who has which version, as of when. Whoever fetches one has it a moment before.
pub(crate) async fn fetched(world: &World) -> Result<Vec<(String, u64, Timestamp)>, WorldError> {
    let one = |copy: pb::CopyHolder| (copy.holder, copy.base_version, Timestamp::from_millis(copy.as_of_ms));
    world
        .until("a copy that was fetched", async || {
            let copies = world.monitor().await?.databases(0).await?.copies;
            Ok((!copies.is_empty()).then(|| copies.into_iter().map(one).collect()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_goes_on_checking_without_a_network_and_each_search_is_in_the_journal_once()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let cdg = cdg(&world).await?;
    let synced = cdg.sync(&world).await.unwrap();
    assert_eq!(synced.keys, 2, "one of the base, and one of the supplement of France");
    assert_eq!(
        fetched(&world).await?,
        [("spiffe://i247.test/ncb/fr/post/cdg".into(), synced.version, synced.as_of)]
    );
    world.stop_hub().await?;

    // The passport, one that looks like it, none, and one that Japan must not see.
    let numbers = ["X4719T06M", "X4719TO6M", "X9999999X", "L0000001K"];
    assert_eq!(cdg.finds(&numbers).await, [true, true, false, true]);
    let answers = cdg.asks(&["X4719T06M"]).await.unwrap().remove(0);
    let found = Found { asked: vec![Database::Sltd], possible: vec![Database::Sltd] };
    assert_eq!((answers.answers[0].clone(), answers.as_of, answers.old), (Ok(found), synced.as_of, None));
    world.advance(48 * HOUR);
    assert!(cdg.asks(&["X9999999X"]).await.unwrap()[0].old > Some(48 * HOUR), "it warns");
    world.advance(5 * 24 * HOUR);
    let refused = cdg.asks(&["X9999999X"]).await.unwrap_err();
    assert!(matches!(refused, MindError::Offline(OfflineError::TooOld { .. })), "{refused}");
    assert_eq!(cdg.mind.searches_waiting().await.unwrap(), 6, "what was not answered is not there");
    // Nobody reads there what was asked, and what somebody changed there is refused.
    let lies = cdg.dir.join("searches/asked");
    let sealed = std::fs::read(&lies).unwrap();
    assert!(!sealed.windows(9).any(|part| part == b"X4719T06M"));
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&lies, &changed).unwrap();
    let refused = cdg.mind.searches_waiting().await.unwrap_err();
    assert!(matches!(refused, MindError::List(_)) && refused.to_string().contains("asked"), "{refused}");
    std::fs::write(&lies, &sealed).unwrap();

    // Operators see its age, also those of a hub that was started anew.
    world.start_hub().await?;
    let told = world.monitor().await?.databases(0).await?;
    assert_eq!(
        fetched(&world).await?,
        [("spiffe://i247.test/ncb/fr/post/cdg".into(), synced.version, synced.as_of)]
    );
    assert!(told.at_ms - told.copies[0].as_of_ms > told.copies_refused_after_ms, "{told:?}");
    assert_eq!(told.copies_old_after_ms, 48 * 3_600_000);

    // Handed in, and again after a crash of the post before it could let go, and of the hub behind that.
    let list = cdg.dir.join("searches/asked");
    let before = std::fs::read(&list).unwrap();
    assert_eq!(cdg.mind.hand_in(&cdg.hub(&world).await?).await.unwrap(), 6);
    std::fs::write(&list, &before).unwrap();
    cdg.mind.hand_in(&cdg.hub(&world).await?).await.unwrap();
    world.crash_hub().await?;
    world.start_hub().await?;
    std::fs::write(&list, &before).unwrap();
    cdg.mind.hand_in(&cdg.hub(&world).await?).await.unwrap();
    assert_eq!(cdg.mind.searches_waiting().await.unwrap(), 0);
    // A copy answers again once it was fetched anew, and goes on in the same list.
    cdg.sync(&world).await.unwrap();
    let held = fetched(&world).await?;
    assert!(held.len() == 1 && held[0].2 > synced.as_of && held[0].1 > synced.version, "{held:?}");
    assert_eq!(cdg.finds(&["X4719T06M"]).await, [true]);
    assert_eq!(cdg.mind.hand_in(&cdg.hub(&world).await?).await.unwrap(), 1);

    world.stop_all().await?;
    let checked = checked(&world).await;
    assert_eq!((checked.offline, checked.broken), (7, Vec::<String>::new()));
    Ok(())
}

pub(crate) async fn checked(world: &World) -> i247_hub::Searches {
    let (disk, threads) = (Arc::new(i247_ledger::disk::OsDisk), Arc::new(i247_ledger::OnThreads));
    i247_hub::check_searches(disk, threads, &world.dir().join("hub/data")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_holds_what_its_country_may_see_and_is_brought_to_the_newest_by_what_changed()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let france = cdg(&world).await?;
    let japan = world.credentials(&Identity::Bureau(country("JP"))).await?;
    let japan = Holder::new(&world, japan, "japan");
    let whole = france.sync(&world).await.unwrap();
    japan.sync(&world).await.unwrap();
    let numbers = ["X4719T06M", "L0000001K", "C01X00100", "C01X00214", "Y1234567K"];
    assert_eq!(france.finds(&numbers).await, [true, true, false, false, false]);
    assert_eq!(japan.finds(&numbers).await, [true, false, false, false, false]);

    germany_goes_on(&world).await?;
    let same = france.sync(&world).await.unwrap();
    assert_eq!((same.version, same.bytes), (whole.version, 0), "it was published a moment ago");
    world.advance(PUBLISHED_EVERY);
    for holder in [&france, &japan] {
        let synced = holder.sync(&world).await.unwrap();
        assert_eq!(synced.version, whole.version + 1);
        assert!(synced.as_of > whole.as_of);
    }
    // A number of the range, and the one behind it.
    assert_eq!(france.finds(&numbers).await, [true, true, true, false, true]);
    assert_eq!(japan.finds(&numbers).await, [true, false, true, false, true]);
    // The files of one version lead to the next.
    let base = |ending: &str| france.dir.join(format!("sltd/base-{}.{ending}", whole.version + 1));
    assert!(base("delta").exists() || base("snapshot").exists());

    // Another one begins with what somebody else has half of.
    let half = Holder::new(&world, france.credentials.clone(), "half");
    let other = Holder::new(&world, france.credentials.clone(), "other");
    let newest = other.sync(&world).await.unwrap();
    let snapshot = format!("sltd/base-{}", newest.version);
    let bytes = std::fs::read(other.dir.join(format!("{snapshot}.snapshot"))).unwrap();
    std::fs::create_dir_all(half.dir.join("sltd")).unwrap();
    std::fs::write(half.dir.join(format!("{snapshot}.part")), &bytes[..200]).unwrap();
    let rest = half.sync(&world).await.unwrap();
    assert_eq!(rest.bytes, newest.bytes - 200);
    assert_eq!(half.finds(&numbers).await, [true, true, true, false, true]);
    // What was damaged on the way is fetched whole.
    let damaged = Holder::new(&world, france.credentials.clone(), "damaged");
    std::fs::create_dir_all(damaged.dir.join("sltd")).unwrap();
    std::fs::write(damaged.dir.join(format!("{snapshot}.part")), [0; 200]).unwrap();
    assert_eq!(damaged.sync(&world).await.unwrap().bytes, newest.bytes);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_changed_by_one_bit_or_is_older_than_the_last_one_is_refused()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    let cdg = cdg(&world).await?;
    cdg.sync(&world).await.unwrap();
    let first = files(&cdg.dir.join("sltd"));
    germany_goes_on(&world).await?;
    world.advance(PUBLISHED_EVERY);
    cdg.sync(&world).await.unwrap();
    let second = files(&cdg.dir.join("sltd"));
    for (path, bytes) in second.iter().filter(|(path, _)| path.file_name().unwrap() != "current") {
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(path, &changed).unwrap();
            let refused = cdg.mind.open(&[Database::Sltd]).await.unwrap_err();
            assert!(matches!(refused, MindError::Holder(HolderError::Refused { .. })), "{path:?} at {at}");
        }
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(cdg.finds(&["Y1234567K"]).await, [true]);

    // All of it as it was before: a burglar's favourite.
    put_back(&cdg.dir.join("sltd"), &first);
    let refused = cdg.mind.open(&[Database::Sltd]).await.unwrap_err();
    let MindError::Holder(HolderError::Refused { source, .. }) = refused else { panic!("{refused}") };
    assert!(matches!(source, OfflineError::RolledBack { .. }), "{source}");
    // The next fetch mends it.
    cdg.sync(&world).await.unwrap();
    assert_eq!(cdg.finds(&["Y1234567K"]).await, [true]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_a_copy_of_what_it_may_not_ask_on_line() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    let cdg = cdg(&world).await?;
    cdg.sync(&world).await.unwrap();
    let hub = cdg.hub(&world).await?;
    let mut silent = |_| {};
    for (database, reason, field) in [
        (Database::Vehicles, Reason::NotGranted, "databases"),
        (Database::Nominal, Reason::NotGranted, "databases"),
    ] {
        let refused = cdg.mind.sync(&hub, database, &mut silent).await;
        assert_eq!(refusal(refused), (reason, field.to_owned()));
    }
    let france = world.credentials(&Identity::Bureau(country("FR"))).await?;
    let france = Holder::new(&world, france, "france");
    let refused = france.mind.sync(&france.hub(&world).await?, Database::Nominal, &mut silent).await;
    assert_eq!(
        refusal(refused),
        (Reason::WrongField, "database".to_owned()),
        "there are no copies of persons"
    );

    let checks = pb::Grant { verb: pb::PostVerb::CheckOnly.into(), ..airport(&name("cdg")) };
    world.bureau("FR").grants(checks).await?;
    assert_eq!(refusal(cdg.sync(&world).await), (Reason::NotGranted, "grant.verb".to_owned()));
    let answered = cdg.asks(&["X4719T06M"]).await;
    assert!(answered.is_ok(), "what it has it can ask until it is too old");
    let refused = cdg.mind.hand_in(&hub).await;
    assert_eq!(refusal(refused), (Reason::NotGranted, "grant.verb".to_owned()));
    world.bureau("FR").withdraws("cdg").await?;
    assert_eq!(refusal(cdg.sync(&world).await).0, Reason::NotGranted);
    world.finish().await
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, MindError>) -> (Reason, String) {
    let error = match result {
        Err(MindError::Client(error)) => error,
        other => panic!("{other:?}"),
    };
    let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
    (refusal.reason, refusal.fields.first().cloned().unwrap_or_default())
}

/// Every file of a directory.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn put_back(dir: &Path, files: &[(PathBuf, Vec<u8>)]) {
    std::fs::remove_dir_all(dir).unwrap();
    std::fs::create_dir(dir).unwrap();
    for (path, bytes) in files {
        std::fs::write(path, bytes).unwrap();
    }
}
