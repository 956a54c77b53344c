//! Offline copies of posts through their bureau: what the grant says and no more, as long as it says so, and nothing that
//! the hub has not signed.

use i247_client::Copies;
use i247_client::mind::{MindError, Synced};
use i247_model::Reason;
use i247_records::Database;
use i247_records::offline::HolderError;
use i247_testkit::{World, WorldError, airport, country, name, pb};

use crate::mind::{Holder, PUBLISHED_EVERY, checked, fetched, germany_goes_on, refusal};
use crate::search::germany_reports;

/// What everybody sees, what France sees besides, a range that comes later, and one that nobody has recorded.
const NUMBERS: [&str; 4] = ["X4719T06M", "L0000001K", "C01X00100", "X9999999X"];

/// A post of a country, whose bureau's desk it knows.
struct Post<'a> {
    world: &'a World,
    code: &'static str,
    holder: Holder,
}

impl<'a> Post<'a> {
    async fn new(world: &'a World, code: &'static str, post: &str, dir: &str) -> Result<Self, WorldError> {
        let credentials = world.post(code, post).await?;
        Ok(Self { world, code, holder: Holder::new(world, credentials, dir) })
    }

    async fn bureau(&self) -> Result<Copies, WorldError> {
        let channel = self.world.desk_channel(country(self.code), &self.holder.credentials).await?;
        Ok(Copies::new(channel))
    }

    async fn syncs(&self, database: Database) -> Result<Synced, MindError> {
        let bureau = self.bureau().await.unwrap();
        self.holder.mind.sync(&bureau, database, &mut |_| {}).await
    }
}

/// A grant of so many copies.
fn leave(offline: &[pb::Database], supplement: bool) -> pb::Grant {
    let offline = offline.iter().map(|database| i32::from(*database)).collect();
    pb::Grant { offline, supplement, ..airport(&name("cdg")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_gets_its_copy_and_what_changes_through_its_bureau() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    let france = world.bureau("FR");
    france.grants(leave(&[pb::Database::Sltd], true)).await?;
    let cdg = Post::new(&world, "FR", "cdg", "cdg").await?;
    let whole = cdg.syncs(Database::Sltd).await.unwrap();
    assert_eq!(whole.keys, 2, "one of the base, and one of the supplement of France");
    assert_eq!(cdg.holder.finds(&NUMBERS).await, [true, true, false, false]);
    // It is the post's, to operators and in the journal.
    let (holder, version, _) = fetched(&world).await?.remove(0);
    assert_eq!((holder.as_str(), version), ("spiffe://i247.test/ncb/fr/post/cdg", whole.version));
    assert_eq!(cdg.holder.mind.hand_in(&cdg.bureau().await?).await.unwrap(), 4);

    // What changed, and nothing else, comes the next time.
    germany_goes_on(&world).await?;
    assert_eq!(cdg.syncs(Database::Sltd).await.unwrap().bytes, 0, "it was published a moment ago");
    world.advance(PUBLISHED_EVERY);
    let next = cdg.syncs(Database::Sltd).await.unwrap();
    assert_eq!(next.version, whole.version + 1);
    assert_eq!(cdg.holder.finds(&NUMBERS).await, [true, true, true, false]);

    // Without the supplement it holds what nobody is kept from, from the next fetch on.
    france.grants(leave(&[pb::Database::Sltd], false)).await?;
    world.advance(PUBLISHED_EVERY);
    cdg.syncs(Database::Sltd).await.unwrap();
    assert_eq!(cdg.holder.finds(&NUMBERS).await, [true, false, true, false]);
    france.grants(leave(&[pb::Database::Sltd], true)).await?;
    cdg.syncs(Database::Sltd).await.unwrap();
    assert_eq!(cdg.holder.finds(&NUMBERS).await, [true, true, true, false]);
    // Whoever takes the supplement away from what lies there is found out.
    let current = cdg.holder.dir.join("sltd/current");
    let text = std::fs::read_to_string(&current).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("supplement")).collect();
    std::fs::write(&current, format!("{}\nsupplement 0 0\n", lines.join("\n"))).unwrap();
    let refused = cdg.holder.mind.open(&[]).await.unwrap_err();
    assert!(matches!(refused, MindError::Holder(HolderError::Refused { .. })), "{refused}");

    world.stop_all().await?;
    let journal = checked(&world).await;
    assert_eq!((journal.offline, journal.broken), (4, Vec::<String>::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_gets_no_copy_that_it_is_not_granted_any_more_or_by_somebody_else() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).start().await?;
    germany_reports(&world).await?;
    let france = world.bureau("FR");
    let cdg = Post::new(&world, "FR", "cdg", "cdg").await?;
    let out = async || matches!(cdg.syncs(Database::Sltd).await, Err(MindError::Client(_)));
    assert!(out().await, "nothing is granted");
    // It may ask and hold no copy; it may hold one of another database; it may hold this one.
    france.grants(leave(&[], false)).await?;
    assert!(out().await, "no copy is granted");
    france.grants(leave(&[pb::Database::Tdawn], false)).await?;
    let not_granted = (Reason::NotGranted, "grant.offline".to_owned());
    assert_eq!(refusal(cdg.syncs(Database::Sltd).await), not_granted);
    france.grants(leave(&[pb::Database::Sltd], false)).await?;
    cdg.syncs(Database::Sltd).await.unwrap();
    // At the hub itself it gets the same, and no more.
    let hub = Copies::new(world.hub_channel(&cdg.holder.credentials).await?);
    let refused = cdg.holder.mind.sync(&hub, Database::Tdawn, &mut |_| {}).await;
    assert_eq!(refusal(refused), not_granted);
    // Another country's bureau is not its own, and nobody speaks for it.
    let elsewhere = Post { code: "JP", ..Post::new(&world, "FR", "cdg", "elsewhere").await? };
    assert!(matches!(elsewhere.syncs(Database::Sltd).await, Err(MindError::Client(_))));
    let asked = pb::FetchCopyRequest {
        database: pb::Database::Sltd.into(),
        post: "orly".into(),
        ..pb::FetchCopyRequest::default()
    };
    let refused = cdg.bureau().await?.fetch(asked).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::WrongField);

    // One that is connected is cut off with the grant, and does not come in again.
    let bureau = cdg.bureau().await?;
    cdg.holder.mind.sync(&bureau, Database::Sltd, &mut |_| {}).await.unwrap();
    france.withdraws("cdg").await?;
    let again = cdg.holder.mind.sync(&bureau, Database::Sltd, &mut |_| {}).await;
    assert!(matches!(again, Err(MindError::Client(_))), "{again:?}");
    assert!(out().await);
    // The bureau remembers it, and what it granted, across a start.
    let orly = Post::new(&world, "FR", "orly", "orly").await?;
    france.grants(pb::Grant { post: "orly".into(), ..leave(&[pb::Database::Sltd], false) }).await?;
    world.stop("FR").await?;
    world.restart("FR").await?;
    world.linked("FR").await?;
    assert!(out().await);
    orly.syncs(Database::Sltd).await.unwrap();
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_refuses_what_was_changed_on_the_way() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    world.bureau("FR").grants(leave(&[pb::Database::Sltd], true)).await?;
    let first = Post::new(&world, "FR", "cdg", "first").await?;
    first.syncs(Database::Sltd).await.unwrap();
    // The hub's disk and the bureau send it on as it is: only the post looks.
    let published = world.dir().join("hub/data/copies/sltd");
    let snapshot = std::fs::read_dir(published).unwrap().map(|file| file.unwrap().path());
    let snapshot: Vec<_> = snapshot.filter(|path| path.to_string_lossy().contains("/FR-")).collect();
    assert!(!snapshot.is_empty());
    for path in &snapshot {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let second = Post::new(&world, "FR", "cdg", "second").await?;
    let refused = second.syncs(Database::Sltd).await.unwrap_err();
    assert!(matches!(refused, MindError::Holder(HolderError::Refused { .. })), "{refused}");
    assert!(second.holder.mind.open(&[Database::Sltd]).await.is_err(), "nothing of it is asked");
    assert_eq!(first.holder.finds(&NUMBERS).await, [true, true, false, false]);
    world.finish().await
}
