//! Stories of the quality check: an alert is its owner's alone until a reviewer has published it.

use i247_model::Lifted;
use i247_records::record::{AlertState, Content};
use i247_router::Accepted;
use i247_wire::pb::body::Form;

use super::circulars::Sent;
use super::*;

fn alert(reference: &str, text: &str, except: &str, state: &str) -> Record {
    let cells = [reference, "", except, "", "UTO", "PASSPORT", "2024", "COUNTERFEIT", text, "", "", state];
    let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::Text((*cell).into())).collect();
    Record::from_row(Database::DialDoc, "FR".parse().unwrap(), &cells).unwrap()
}

fn submitted(reference: &str, text: &str) -> Record {
    alert(reference, text, "", "SUBMITTED")
}

/// A reviewer's decision on an item of one of France's batches.
fn decided(batch: u64, item: u16, approved: bool) -> Sent {
    Sent {
        id: "GS.lena-1-N-1".into(),
        kind: Kind::ReviewDecision,
        refers_to: format!("FR-1-B-{batch}"),
        form: Form::ReviewDecision(pb::ReviewDecision::default()),
        lifted: Lifted { approved: Some(approved), item: Some(item), ..Lifted::default() },
        accepted: Accepted::default(),
    }
}

impl World {
    /// What an asker finds of alerts about passports of UTO: name and state.
    async fn alerts(&self, asker: &str) -> Vec<(String, AlertState)> {
        let issuer = "UTO".parse().unwrap();
        let key = Key::document_model(Database::DialDoc, issuer, "PASSPORT".parse().unwrap());
        let found = self.looked_up(asker, Database::DialDoc, key).await;
        let state = |record: &Record| match record.content() {
            Content::DocumentAlert(alert) => alert.state,
            other => panic!("{other:?}"),
        };
        found.into_iter().map(|found| (found.reference, state(&found.record))).collect()
    }

    async fn waiting(&self) -> Vec<String> {
        let waiting = self.databases.waiting_alerts(0, 10).await.unwrap();
        waiting.into_iter().map(|(_, found)| found.reference).collect()
    }

    /// How many keys are in a copy for everybody, and in what France and Brazil may have besides.
    async fn copied(&self) -> [u64; 3] {
        let frozen = self.databases.frozen(Database::DialDoc, self.databases.position()).await;
        let restricted = frozen.restricted();
        let besides = |code: &str| Frozen::supplement(&restricted, code.parse().unwrap()).unwrap().len();
        [frozen.base().unwrap().len(), besides("FR"), besides("BR")]
    }
}

fn one(name: &str, state: AlertState) -> Vec<(String, AlertState)> {
    vec![(name.to_owned(), state)]
}

#[tokio::test]
async fn an_alert_is_found_by_its_owner_alone_until_it_is_published() {
    let mut world = World::new().await;
    let adds = [submitted("a-1", "the seal is printed"), submitted("a-2", "the thread is painted")];
    let verdicts = world.enter_into(Database::DialDoc, &adds.map(Change::Add)).await;
    assert_eq!(verdicts.accepted, 2);
    assert!(world.alerts("BR").await.is_empty());
    let own = ["FR/a-1", "FR/a-2"].map(|name| (name.to_owned(), AlertState::QualityCheck));
    assert_eq!(world.alerts("FR").await, own);
    assert_eq!(world.alerts("IPSG").await, own);
    assert_eq!(world.waiting().await, ["FR/a-1", "FR/a-2"]);
    let [base, france, brazil] = world.copied().await;
    assert_eq!((base, brazil), (0, 0));
    assert!(france > 0, "its owner's copy has what its owner finds");
    world.is_as_the_log_says().await;

    world.hear(decided(1, 1, true)).await;
    assert_eq!(world.alerts("BR").await, one("FR/a-2", AlertState::Published));
    assert_eq!(world.waiting().await, ["FR/a-1"]);
    assert!(world.copied().await[0] > 0);
    world.is_as_the_log_says().await;
    // After a start from what is stored, too.
    world.databases = open(&world.dir, &world.log).await;
    assert_eq!(world.alerts("BR").await, one("FR/a-2", AlertState::Published));
    assert_eq!(world.alerts("FR").await.len(), 2);
    assert_eq!(world.waiting().await, ["FR/a-1"]);
}

#[tokio::test]
async fn what_was_returned_waits_for_its_owner_and_is_checked_again_when_it_changes() {
    let mut world = World::new().await;
    world.enter_into(Database::DialDoc, &[Change::Add(submitted("a-1", "the seal is printed"))]).await;
    world.hear(decided(1, 0, false)).await;
    assert!(world.waiting().await.is_empty() && world.alerts("BR").await.is_empty());
    assert_eq!(world.alerts("FR").await, one("FR/a-1", AlertState::Submitted));
    // It stands: nobody decides again, nor about what is not there.
    world.hear(decided(1, 0, true)).await;
    world.hear(decided(1, 7, true)).await;
    world.hear(decided(9, 0, true)).await;
    assert!(world.alerts("BR").await.is_empty());
    world.is_as_the_log_says().await;

    let mended = submitted("a-1", "the seal is printed in one colour");
    world.enter_into(Database::DialDoc, &[Change::Change(mended)]).await;
    assert_eq!(world.waiting().await, ["FR/a-1"]);
    world.hear(decided(1, 0, true)).await;
    assert!(world.alerts("BR").await.is_empty(), "that was decided about what it said before");
    world.hear(decided(2, 0, true)).await;
    assert_eq!(world.alerts("BR").await, one("FR/a-1", AlertState::Published));
    // What was published and changes is checked again.
    let changed = submitted("a-1", "the seal is printed in two colours");
    world.enter_into(Database::DialDoc, &[Change::Change(changed.clone())]).await;
    assert!(world.alerts("BR").await.is_empty());
    world.hear(decided(3, 0, true)).await;
    assert_eq!(world.alerts("BR").await.len(), 1);
    world.is_as_the_log_says().await;

    // Kept from a country it stays published for the others; withdrawn it is gone.
    let kept = changed.with_except(vec!["BR".parse().unwrap()]);
    world.enter_into(Database::DialDoc, &[Change::Restrict(kept)]).await;
    assert!(world.alerts("BR").await.is_empty());
    assert_eq!(world.alerts("JP").await, one("FR/a-1", AlertState::Published));
    let name = RecordName::parse(Database::DialDoc, "FR/a-1").unwrap();
    world.enter_into(Database::DialDoc, &[Change::Withdraw(name)]).await;
    assert!(world.alerts("FR").await.is_empty() && world.waiting().await.is_empty());
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn what_is_kept_from_a_country_is_kept_from_it_once_it_is_published() {
    let mut world = World::new().await;
    let kept = alert("a-1", "the seal is printed", "BR", "SUBMITTED");
    world.enter_into(Database::DialDoc, &[Change::Add(kept)]).await;
    assert!(world.alerts("JP").await.is_empty());
    world.hear(decided(1, 0, true)).await;
    assert!(world.alerts("BR").await.is_empty());
    assert_eq!(world.alerts("JP").await.len(), 1);
    let [base, france, brazil] = world.copied().await;
    assert!(base == 0 && brazil == 0 && france > 0);
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn no_owner_says_that_its_alert_is_published() {
    let mut world = World::new().await;
    for state in ["PUBLISHED", "QUALITY_CHECK"] {
        let record = alert("a-1", "the seal is printed", "", state);
        let verdicts = world.enter_into(Database::DialDoc, &[Change::Add(record)]).await;
        assert_eq!(reasons(&verdicts), [(0, Reason::WrongField)], "{state}");
    }
    assert!(world.alerts("FR").await.is_empty());
}
