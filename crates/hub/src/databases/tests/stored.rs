//! Stories of what lies on disk: a start goes on from there, and whatever is damaged or of another log is made anew.

use i247_ledger::faults::{BreakableDisk, Dice};

use super::*;

/// Three rounds of everything that a register keeps: a range, a restriction, a last day, a refusal.
async fn some_rounds(world: &mut World, rounds: std::ops::Range<u64>) {
    for round in rounds {
        let number = |n: u64| format!("P{round:03}{n:03}");
        let mut changes: Vec<Change> = (0..20).map(|n| add(&number(n))).collect();
        changes.push(Change::Restrict(record(&number(3), "", "BR", "")));
        changes.push(Change::Withdraw(name(&format!("FRA/PASSPORT/{}", number(1)))));
        changes.push(Change::Add(record(&number(30), "", "", "2026-11-23")));
        let (first, last) = (format!("WW{round:03}100"), format!("WW{round:03}199"));
        changes.push(Change::Add(record(&first, &last, "JP", "")));
        changes.push(add(&number(5)));
        world.enter(NOON + round * DAY, &changes).await;
    }
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join(DIR)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_start_goes_on_from_what_was_stored_and_comes_to_the_same() {
    let mut world = World::new().await;
    some_rounds(&mut world, 0..3).await;
    world.databases.store_all().await.unwrap();
    some_rounds(&mut world, 3..5).await;
    let digest = world.databases.digest().unwrap();
    let (again, read) = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await;
    assert_eq!(read, [4, 5], "what was stored is not read again");
    assert_eq!(again.digest().unwrap(), digest);
    let elsewhere = tempfile::tempdir().unwrap();
    let (anew, read) = opened(Arc::new(OsDisk), elsewhere.path(), &world.log).await;
    assert_eq!(read, [1, 2, 3, 4, 5]);
    assert_eq!(anew.digest().unwrap(), digest);
    // What goes on from there is the same too, also what happens on a later day.
    world.databases = again;
    let verdicts = world.enter(NOON + 9 * DAY, &[add("P004005"), add("P004030"), add("WW004150")]).await;
    assert_eq!((verdicts.accepted, reasons(&verdicts)), (2, vec![(0, Reason::Duplicate)]));
    assert!(world.found("JP", "WW000150").await.is_empty());
    assert_eq!(world.found("BR", "WW000150").await.len(), 1);
    assert!(world.found("BR", "P000003").await.is_empty());
}

#[tokio::test]
async fn what_is_damaged_is_made_anew_from_the_log() {
    let mut world = World::new().await;
    some_rounds(&mut world, 0..3).await;
    world.databases.store_all().await.unwrap();
    let digest = world.databases.digest().unwrap();
    for file in files(world.dir.path()) {
        let bytes = std::fs::read(&file).unwrap();
        for place in [bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            let (anew, read) = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await;
            assert_eq!(read, [1, 2, 3], "{}", file.display());
            assert_eq!(anew.digest().unwrap(), digest);
            anew.store_all().await.unwrap();
        }
        std::fs::remove_file(&file).unwrap();
        let (anew, read) = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await;
        assert_eq!(read, [1, 2, 3], "without {}", file.display());
        anew.store_all().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_stored_of_another_log_or_of_a_longer_one_is_made_anew() {
    let mut world = World::new().await;
    some_rounds(&mut world, 0..3).await;
    world.databases.store_all().await.unwrap();
    let mut other = World::new().await;
    other.enter(NOON, &[add("P1")]).await;
    let (of_other, read) = opened(Arc::new(OsDisk), world.dir.path(), &other.log).await;
    assert_eq!(read, [1], "a longer log");
    assert_eq!(of_other.digest().unwrap(), other.databases.digest().unwrap());
    of_other.store_all().await.unwrap();
    let (of_this, read) = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await;
    assert_eq!(read, [1, 2, 3], "another log");
    assert_eq!(of_this.digest().unwrap(), world.databases.digest().unwrap());
}

#[tokio::test]
async fn whenever_the_power_goes_a_start_comes_to_the_same() {
    let mut world = World::new().await;
    some_rounds(&mut world, 0..6).await;
    let digest = world.databases.digest().unwrap();
    for seed in 0..60 {
        let disk = BreakableDisk::new(seed);
        let log = Path::new("log");
        let part = Arc::new(Memory::new());
        let records = world.log.read(Position(1), 6, usize::MAX).await.unwrap();
        let drafts = records.into_iter().map(|record| Draft {
            entry: record.entry,
            body: match record.body {
                i247_ledger::Body::Present(body) => Some(body),
                _ => None,
            },
        });
        let (mut at, mut databases) = (0, opened(Arc::new(disk.clone()), log, &part).await.0);
        disk.power_off_after(Dice::new(seed).below(60));
        for draft in drafts {
            part.append(Position(at), vec![draft]).await.unwrap();
            at += 1;
            // Nothing that fails here may harm the next start.
            if databases.take_in(&[at]).await.is_ok() {
                drop(databases.store_all().await);
            }
        }
        let disk = disk.power_off();
        databases = opened(Arc::new(disk.clone()), log, &part).await.0;
        assert_eq!(databases.digest().unwrap(), digest, "seed {seed}");
    }
}
