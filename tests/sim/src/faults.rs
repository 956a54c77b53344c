//! What goes wrong, from the seed: it strikes, counts and undoes, and has nothing to do with what must hold.
//!
//! Machine 0 is the hub, the others are bureaus. A crash takes the disk's power first, so that destructors repair
//! nothing; a fuse takes it in the middle of a commit.

mod once;
mod power;
mod strikes;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use i247_ledger::faults::{BreakableDisk, Dice};
use i247_model::CountryCode;

use self::strikes::Cut;
use crate::logs::Heard;
use crate::network::Network;

/// No fault before that: everybody is admitted first.
const BEGIN_AFTER: Duration = Duration::from_millis(1_500);

/// A fault may begin before it is noticed, and leave something to catch up with.
const NOTICED: Duration = Duration::from_millis(1_500);

/// The hub's place among the machines.
const HUB: usize = 0;

/// What ends a fault, or follows it.
#[derive(Clone, Debug)]
enum Undo {
    Repair(usize),
    Release(usize),
    Latency(usize),
    Disk(usize),
    Room(usize),
    Reads(usize),
    Clock(usize),
    Boot(usize),
    /// Another bureau stops, until somebody who is away comes back.
    Follow(usize, Duration),
    /// Both come back to a hub that has much to look up on a slow disk.
    SlowHub,
    Reinstate(CountryCode),
    /// Puts the hub's own disk back in place of the older copy.
    OwnDisk,
    /// Recovers the older copy, as it was before it ran.
    Recover,
    /// Flips the bit back: a file and a place in it.
    Mend(usize, PathBuf, u64, u8),
}

/// A disk that will lose its power in the middle of something.
#[derive(Clone, Copy, Debug)]
struct Fuse {
    machine: usize,
    until: Duration,
    recovering: bool,
}

/// Whoever breaks things.
#[derive(Debug)]
pub(crate) struct Breaker {
    dice: Dice,
    next: Duration,
    undo: Vec<(Duration, Undo)>,
    fuses: Vec<Fuse>,
    /// Machines whose disks were tampered with since they started: they may end by themselves.
    excused: BTreeMap<usize, Duration>,
    special: Special,
    /// When it is time for it.
    special_at: Duration,
    /// A bureau that must be cut off in time: nothing may hold up what was on its way before.
    watched: Option<usize>,
    copy: Option<OlderCopy>,
    /// When the hub was down, slow, full, or wrong about the time.
    hub_unwell: Vec<(Duration, Duration)>,
    /// Bureaus with a wrong clock or a slow disk at any time.
    astray: BTreeSet<usize>,
    /// While the hub runs on an older copy, the disk that takes its place: its own, or the copy as it was.
    next_disk: Option<BreakableDisk>,
    /// The hub's log is to be taken up under a new name.
    recovering: bool,
    /// Bureaus that stop for long, and until when, if that is fixed.
    leaving: BTreeMap<usize, Option<Duration>>,
    max_latency: Duration,
    heard: Heard,
}

/// An older copy of a disk.
#[derive(Debug)]
struct OlderCopy {
    disk: BreakableDisk,
    /// How many wishes there were then.
    wishes: usize,
    plan: Plan,
}

/// What becomes of a hub that is restored from an older copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    /// It gets its own disk back.
    OwnDisk,
    /// It is seen to be an older copy, and recovered.
    Recover,
    /// It is recovered before anybody has seen the copy.
    RecoverUnseen,
}

/// What strikes once in a seed, if at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Special {
    None,
    /// This bureau is revoked.
    Revoke(usize),
    /// This bureau, or the hub, is restored from an older copy.
    Restore(usize),
    /// The certificate of this bureau ends.
    Expire(usize),
    /// It has ended, and is renewed.
    Renew(usize),
}

impl Breaker {
    /// What the seed has in store.
    pub(crate) fn new(seed: u64, network: &Network, heard: &Heard) -> Self {
        let mut dice = Dice::new(!seed);
        let bureau = 1 + usize::try_from(dice.below(network.bureaus.len() as u64)).unwrap_or(0);
        let drawn = match dice.below(10) {
            0 | 1 => Special::Revoke(bureau),
            2 | 3 => Special::Restore(bureau),
            4..8 => Special::Restore(HUB),
            _ => Special::None,
        };
        let at = Duration::from_millis(2_500 + dice.below(3_000));
        let (special, special_at) = match (&network.expiry, drawn) {
            (Some(expiry), _) => (Special::Expire(expiry.machine), expiry.at),
            (None, Special::Revoke(_)) => (drawn, at * if dice.one_in(2) { 2 } else { 3 }),
            (None, _) => (drawn, at),
        };
        let watched = match special {
            Special::Revoke(bureau) | Special::Expire(bureau) => Some(bureau),
            Special::None | Special::Restore(_) | Special::Renew(_) => None,
        };
        Self {
            dice,
            next: BEGIN_AFTER,
            undo: Vec::new(),
            fuses: Vec::new(),
            excused: BTreeMap::new(),
            special,
            special_at,
            watched,
            copy: None,
            hub_unwell: Vec::new(),
            astray: BTreeSet::new(),
            next_disk: None,
            recovering: false,
            leaving: BTreeMap::new(),
            max_latency: network.max_latency,
            heard: heard.clone(),
        }
    }

    /// What is due now.
    pub(crate) fn step(&mut self, network: &mut Network) {
        let now = network.now();
        self.notice_disks(network);
        self.undo_due(network, now);
        self.blow(network, now);
        self.notice_ends(network, now);
        self.notice_recovery(network, now);
        if now >= self.special_at {
            self.special(network, now);
        }
        if now >= self.next {
            self.next = now + Duration::from_millis(100 + self.dice.below(1_500));
            self.strike(network, now);
        }
    }

    /// Ends all faults: whatever is down starts, whatever is cut is joined. Called until it says that it is done.
    pub(crate) fn heal(&mut self, network: &mut Network) {
        let now = network.now();
        self.fuses.clear();
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.undo(network, now, undo);
        }
        for machine in 0..=network.bureaus.len() {
            let powered = network.machine(machine).disk.borrow().is_powered();
            if !powered {
                self.crash(network, machine, true);
            }
            network.machine(machine).disk.borrow().power_off_after(u64::MAX);
            // What was to fail next would strike later.
            if self.excused.contains_key(&machine) {
                self.crash(network, machine, false);
                self.undo.retain(|(_, undo)| !matches!(undo, Undo::Boot(booted) if *booted == machine));
                network.boot(machine);
            }
        }
        self.excused.clear();
        if !self.recovering && network.record.borrow().recovered.is_none() {
            // There was no time for it.
            network.record.borrow_mut().giving_back.clear();
        }
        note(network, "* the faults stop");
    }

    /// In quiet times: nothing strikes, but a machine that ends by itself is started again.
    pub(crate) fn watch(&mut self, network: &mut Network) {
        let now = network.now();
        self.undo_due(network, now);
        self.notice_ends(network, now);
        self.notice_recovery(network, now);
    }

    /// What disks have done of what was set: what never struck does not count.
    fn notice_disks(&self, network: &Network) {
        for machine in 0..=network.bureaus.len() {
            let struck = network.machine(machine).disk.borrow().struck();
            struck.into_iter().for_each(|(what, times)| network.record.borrow_mut().count_all(what, times));
        }
        if self.heard.taken_back() > 0 {
            count(network, "full disk with a group decided behind it");
            note(network, "* hub takes back what it had decided behind what its disk had no room for");
        }
    }

    fn strike(&mut self, network: &mut Network, now: Duration) {
        let machine = self.some_machine(network);
        let bureau = self.some_bureau(network);
        if self.next_disk.is_some() {
            return;
        }
        match self.dice.below(33) {
            0..6 => self.begin_crash(network, now, machine),
            6..8 => self.begin_crash(network, now, HUB),
            8 => self.cut(network, now, bureau, Cut::Both),
            9 => self.cut(network, now, bureau, Cut::ToHub),
            10 => self.cut(network, now, bureau, Cut::FromHub),
            11 => self.swizzle(network, now),
            12 => self.hold(network, now, bureau),
            13 | 14 => self.slow_line(network, now, bureau),
            15 | 16 => self.slow_disk(network, now, machine),
            17..20 => self.break_disk(network, now, machine),
            20 => self.fill_disk(network, now, machine),
            21 => self.flip_reads(network, now, machine),
            22 => self.damage(network, now, machine),
            23..26 => self.set_clock(network, now, machine),
            26 | 27 => self.suspend(network, now, bureau),
            28 | 29 => self.leave(network, bureau),
            30 => self.fill_slow_disk(network, now),
            _ => self.stop(network, machine),
        }
    }

    fn some_machine(&mut self, network: &Network) -> usize {
        if self.dice.one_in(2) { HUB } else { self.some_bureau(network) }
    }

    fn some_bureau(&mut self, network: &Network) -> usize {
        1 + usize::try_from(self.dice.below(network.bureaus.len() as u64)).unwrap_or(0)
    }

    fn after(&mut self, now: Duration, least_ms: u64, spread_ms: u64, undo: Undo) {
        let due = now + Duration::from_millis(least_ms + self.dice.below(spread_ms));
        match undo {
            Undo::Disk(HUB) | Undo::Room(HUB) | Undo::Clock(HUB) | Undo::Boot(HUB) => {
                self.hub_unwell.push((now.saturating_sub(NOTICED), due + NOTICED));
            }
            Undo::Disk(bureau) | Undo::Clock(bureau) => drop(self.astray.insert(bureau)),
            _ => {}
        }
        self.undo.push((due, undo));
    }

    /// When the hub was down, slow, full, or wrong about the time.
    pub(crate) fn hub_unwell(&self) -> Vec<(Duration, Duration)> {
        self.hub_unwell.clone()
    }

    /// Countries with a wrong clock or a slow disk at any time.
    pub(crate) fn astray(&self, network: &Network) -> BTreeSet<CountryCode> {
        self.astray.iter().filter_map(|bureau| network.machine(*bureau).country()).collect()
    }
}

fn count(network: &Network, what: &str) {
    network.record.borrow_mut().count(what);
}

fn note(network: &Network, text: &str) {
    let now = network.now();
    network.record.borrow_mut().note(now, text.to_owned());
}
