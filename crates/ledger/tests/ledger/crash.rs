//! Thousands of histories of appends, erasures and crashes, compared with the test's own record.

use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::{AppendError, Body, Draft, EraseError, Ledger, Position, Record, Segments, check};

use crate::common::{as_disk, dir, draft, present, read_all, try_open};

/// A bug that the disk plays: the histories must find it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    LazySyncs,
    LazyDirSyncs,
}

/// What the test knows of one position.
#[derive(Clone)]
struct Known {
    entry: String,
    body: Option<String>,
    /// `None`: asked for, but not acknowledged.
    erased: Option<bool>,
}

struct History {
    seed: u64,
    dice: Dice,
    planted: Planted,
    acknowledged: Vec<Known>,
    /// The group whose fate is open.
    in_flight: Vec<Known>,
    groups: u64,
}

impl History {
    fn new(seed: u64, planted: Planted) -> Self {
        let dice = Dice::new(seed ^ 0x5EED);
        History { seed, dice, planted, acknowledged: Vec::new(), in_flight: Vec::new(), groups: 0 }
    }

    /// Plays the history, and says what was lost, if anything was.
    async fn play(&mut self) -> Result<(), String> {
        let mut disk = BreakableDisk::new(self.seed);
        for _ in 0..2 + self.dice.below(4) {
            disk.set_lazy_syncs(self.planted == Planted::LazySyncs);
            disk.set_lazy_dir_syncs(self.planted == Planted::LazyDirSyncs);
            disk.set_short_transfers(self.dice.one_in(3));
            // Now and then the power goes off while the log is being opened.
            if self.dice.one_in(3) {
                disk.power_off_after(self.dice.below(6));
            }
            if let Ok((log, _)) = try_open(&disk) {
                self.compare(&log, &disk).await?;
                disk.power_off_after(self.dice.below(60));
                self.work(&log, &disk).await;
            }
            disk = if self.dice.one_in(4) { disk.kill() } else { disk.power_off() };
        }
        let (log, _) = try_open(&disk).map_err(|error| format!("does not open: {error:?}"))?;
        self.compare(&log, &disk).await
    }

    async fn work(&mut self, log: &Segments, disk: &BreakableDisk) {
        for _ in 0..40 {
            if self.dice.one_in(30) {
                let _ = log.close().await;
                return;
            }
            if self.dice.one_in(20) {
                disk.fail_next_sync();
            }
            if self.dice.one_in(20) {
                disk.no_room_for_next_write();
            }
            let goes_on = if self.dice.one_in(5) { self.erase(log).await } else { self.append(log).await };
            if !goes_on {
                return;
            }
        }
    }

    async fn append(&mut self, log: &Segments) -> bool {
        self.groups += 1;
        let count = 1 + self.dice.below(4);
        let mut group = Vec::new();
        for index in 0..count {
            let long = if self.dice.one_in(3) { self.dice.below(3000) } else { self.dice.below(40) };
            let entry = format!("{}.{index} {}", self.groups, "e".repeat(usize::try_from(long).unwrap_or(0)));
            let body = self.dice.one_in(2).then(|| {
                let long = usize::try_from(self.dice.below(2000)).unwrap_or(0);
                format!("body of {}.{index} {}", self.groups, "b".repeat(long))
            });
            group.push(Known { entry, body, erased: Some(false) });
        }
        let drafts: Vec<Draft> =
            group.iter().map(|known| draft(&known.entry, known.body.as_deref())).collect();
        let end = Position(self.acknowledged.len() as u64);
        match log.append(end, drafts).await {
            Ok(_) => {
                self.acknowledged.extend(group);
                true
            }
            Err(AppendError::Full) => true,
            Err(_) => {
                self.in_flight = group;
                false
            }
        }
    }

    async fn erase(&mut self, log: &Segments) -> bool {
        if self.acknowledged.is_empty() {
            return true;
        }
        let index = usize::try_from(self.dice.below(self.acknowledged.len() as u64)).unwrap_or(0);
        let erased = log.erase(Position(index as u64 + 1)).await;
        let known = &mut self.acknowledged[index];
        match erased {
            Ok(()) => known.erased = Some(true),
            Err(_) if known.erased == Some(true) => {}
            Err(_) => known.erased = None,
        }
        matches!(erased, Ok(()) | Err(EraseError::Full))
    }

    /// All that was acknowledged is there, in order, and of the group in flight all or nothing.
    async fn compare(&mut self, log: &Segments, disk: &BreakableDisk) -> Result<(), String> {
        let read = read_all(log).await;
        let open = std::mem::take(&mut self.in_flight);
        if read.len() == self.acknowledged.len() + open.len() {
            self.acknowledged.extend(open);
        }
        if read.len() != self.acknowledged.len() {
            return Err(format!("{} read of {}", read.len(), self.acknowledged.len()));
        }
        for (known, record) in self.acknowledged.iter_mut().zip(&read) {
            agree(known, record).map_err(|what| format!("position {}: {what}", record.position))?;
        }
        let report = check(&as_disk(disk), &dir()).map_err(|error| error.to_string())?;
        if report.is_sound() { Ok(()) } else { Err(format!("not sound: {:?}", report.damage)) }
    }
}

fn agree(known: &mut Known, record: &Record) -> Result<(), &'static str> {
    if record.entry != known.entry {
        return Err("another entry");
    }
    let Some(text) = &known.body else {
        return if record.body == Body::None { Ok(()) } else { Err("a body out of nothing") };
    };
    let erased = record.body == Body::Erased;
    if !erased && record.body != present(text) {
        return Err("another body");
    }
    match known.erased {
        Some(expected) if expected != erased => Err("not as it was erased"),
        _ => {
            known.erased = Some(erased);
            Ok(())
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_the_order_is_kept() {
    let (mut positions, mut groups) = (0, 0);
    for seed in 0..4000 {
        let mut history = History::new(seed, Planted::Nothing);
        if let Err(what) = history.play().await {
            panic!("seed {seed}: {what}");
        }
        positions += history.acknowledged.len();
        groups += history.groups;
    }
    assert!(positions > 50_000, "{positions} positions in {groups} groups");
}

#[tokio::test]
async fn a_sync_that_does_nothing_is_found() {
    assert!(seeds_that_find(Planted::LazySyncs).await > 50);
}

#[tokio::test]
async fn a_directory_sync_that_does_nothing_is_found() {
    assert!(seeds_that_find(Planted::LazyDirSyncs).await > 50);
}

/// How many of a hundred histories see the bug.
async fn seeds_that_find(planted: Planted) -> u32 {
    let mut found = 0;
    for seed in 0..100 {
        found += u32::from(History::new(seed, planted).play().await.is_err());
    }
    found
}
