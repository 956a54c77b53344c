//! What strikes again and again: lines, disks, clocks, the directory, and programs that are asked to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use i247_ledger::disk::Disk as _;
use i247_ledger::faults::Dice;
use i247_wire::pb;

use super::{Breaker, HUB, Special, Undo, count, note};
use crate::machine::{Machine, Role};
use crate::network::Network;
use crate::secretariat::Order;

/// How long a program takes at most to stop in order.
const STOPPING: Duration = Duration::from_secs(5);

impl Breaker {
    pub(super) fn cut(&mut self, network: &mut Network, now: Duration, bureau: usize, cut: Cut) {
        let name = network.machine(bureau).name.clone();
        note(network, &format!("* {name} is cut off: {cut:?}"));
        match cut {
            Cut::Both => network.sim.partition("hub", name.as_str()),
            Cut::ToHub => network.sim.partition_oneway(name.as_str(), "hub"),
            Cut::FromHub => network.sim.partition_oneway("hub", name.as_str()),
        }
        count(network, if cut == Cut::Both { "partition" } else { "one-way partition" });
        self.after(now, 300, 9_000, Undo::Repair(bureau));
    }

    /// All lines, one by one; they are joined in another order.
    pub(super) fn swizzle(&mut self, network: &mut Network, now: Duration) {
        count(network, "all lines cut");
        for bureau in 1..=network.bureaus.len() {
            self.cut(network, now, bureau, Cut::Both);
        }
    }

    pub(super) fn hold(&mut self, network: &mut Network, now: Duration, bureau: usize) {
        if self.watched == Some(bureau) {
            return;
        }
        let name = network.machine(bureau).name.clone();
        note(network, &format!("* the line of {name} is held"));
        network.sim.hold("hub", name.as_str());
        count(network, "hold and release");
        self.after(now, 100, 4_000, Undo::Release(bureau));
    }

    pub(super) fn slow_line(&mut self, network: &mut Network, now: Duration, bureau: usize) {
        if self.watched == Some(bureau) {
            return;
        }
        let name = network.machine(bureau).name.clone();
        let latency = Duration::from_millis(200 + self.dice.below(2_000));
        note(network, &format!("* the line of {name} is slow: up to {latency:?}"));
        network.sim.set_link_max_message_latency("hub", name.as_str(), latency);
        count(network, "latency spike");
        self.after(now, 300, 4_000, Undo::Latency(bureau));
    }

    pub(super) fn slow_disk(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.watched == Some(machine) {
            return;
        }
        let most = if self.dice.one_in(3) { 2_000 } else { 400 };
        let ms = 5 + self.dice.below(most);
        self.slow_down(network, now, machine, ms);
        // Somebody comes back to a hub that has to look up what it is asked.
        let bureau = self.some_bureau(network);
        if machine == HUB && self.watched != Some(bureau) && !self.busy(bureau) {
            self.crash_between(network, bureau);
        }
    }

    pub(super) fn slow_down(&mut self, network: &Network, now: Duration, machine: usize, ms: u64) {
        let target = network.machine(machine);
        target.blocking.set_slowest(ms);
        note(network, &format!("* the disk of {} is slow: up to {ms} ms", target.name));
        count(network, "slow disk");
        self.after(now, 300, 5_000, Undo::Disk(machine));
    }

    pub(super) fn break_disk(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.watched == Some(machine) {
            return;
        }
        if self.busy(machine) {
            return;
        }
        let what = match self.dice.below(5) {
            0 => "a sync fails",
            1 => "a write fails",
            2 => "no room for a write",
            3 => "a read fails",
            _ => "short transfers",
        };
        let target = network.machine(machine);
        {
            let disk = target.disk.borrow();
            match what {
                "a sync fails" => disk.fail_next_sync(),
                "a write fails" => disk.fail_next_write(),
                "no room for a write" => disk.no_room_for_next_write(),
                "a read fails" => disk.fail_next_read(),
                _ => disk.set_short_transfers(true),
            }
        }
        let name = target.name.clone();
        note(network, &format!("* at {name} {what} next"));
        self.excused.insert(machine, now);
    }

    pub(super) fn fill_disk(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.watched == Some(machine) {
            return;
        }
        let target = network.machine(machine);
        let room = self.dice.below(16 * 1024);
        {
            let disk = target.disk.borrow();
            disk.set_capacity(Some(disk.used() + room));
        }
        let name = target.name.clone();
        note(network, &format!("* the disk of {name} has {room} bytes left"));
        self.after(now, 500, 5_000, Undo::Room(machine));
        // More is decided while the disk finds out that there is no room.
        if self.dice.one_in(2) {
            let ms = 50 + self.dice.below(400);
            self.slow_down(network, now, machine, ms);
        }
    }

    /// What the hub writes next finds no room after a while, in which it decides more.
    pub(super) fn fill_slow_disk(&mut self, network: &mut Network, now: Duration) {
        if self.busy(HUB) {
            return;
        }
        let ms = 200 + self.dice.below(800);
        self.slow_down(network, now, HUB, ms);
        network.machine(HUB).disk.borrow().no_room_for_next_write();
        note(network, "* at hub no room for a write next");
        self.excused.insert(HUB, now);
    }

    pub(super) fn flip_reads(&mut self, network: &mut Network, now: Duration, machine: usize) {
        let target = network.machine(machine);
        target.disk.borrow().flip_one_read_in(Some(8));
        let name = target.name.clone();
        note(network, &format!("* the disk of {name} flips bits when it reads"));
        network.record.borrow_mut().misread.extend(target.country());
        self.excused.insert(machine, now);
        self.after(now, 300, 2_500, Undo::Reads(machine));
    }

    /// A bit of an older segment is flipped while the machine is down; after a while it is mended.
    pub(super) fn damage(&mut self, network: &mut Network, now: Duration, machine: usize) {
        // What is copied stays damaged for ever.
        if self.busy(machine) || self.special == Special::Restore(machine) {
            return;
        }
        let Some((path, length)) = older_segment(&network.machine(machine), &mut self.dice) else { return };
        self.crash(network, machine, false);
        let (offset, bit) = (self.dice.below(length), u8::try_from(self.dice.below(8)).unwrap_or(0));
        let target = network.machine(machine);
        if !target.disk.borrow().flip(&path, offset, bit) {
            return;
        }
        note(network, &format!("* a bit is flipped: {}, byte {offset}", path.display()));
        count(network, "bit flipped at rest");
        self.excused.insert(machine, now);
        self.after(now, 2_500, 3_000, Undo::Mend(machine, path, offset, bit));
    }

    pub(super) fn mend_now(&mut self, now: Duration, machine: usize) {
        for (due, undo) in &mut self.undo {
            if matches!(undo, Undo::Mend(at, ..) if *at == machine) {
                *due = now;
            }
        }
    }

    pub(super) fn set_clock(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.watched == Some(machine) {
            return;
        }
        // Certificates end by the hub's clock.
        if machine == HUB && matches!(self.special, Special::Expire(_) | Special::Renew(_)) {
            return;
        }
        let jump = self.dice.one_in(2);
        let most: u64 = if jump { 240_000 } else { 3_000 };
        let ms = i64::try_from(self.dice.below(2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0);
        let target = network.machine(machine);
        target.clock.set_wrong_by(ms);
        let name = target.name.clone();
        note(network, &format!("* the clock of {name} is wrong by {ms} ms"));
        count(network, if jump { "clock jump" } else { "clock skew" });
        self.after(now, 500, 8_000, Undo::Clock(machine));
    }

    pub(super) fn suspend(&mut self, network: &mut Network, now: Duration, bureau: usize) {
        let Role::Bureau { country, .. } = network.machine(bureau).role else { return };
        let pending = self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Reinstate(_)));
        if pending || self.watched == Some(bureau) {
            return;
        }
        network.order(Order::Change(pb::DirectoryAction::Suspend, country));
        count(network, "suspension");
        self.after(now, 500, 7_000, Undo::Reinstate(country));
    }

    /// A bureau that is stopped for long: much gathers for it.
    pub(super) fn leave(&mut self, network: &mut Network, bureau: usize) {
        if self.watched == Some(bureau) || self.busy(bureau) {
            return;
        }
        self.leaving.insert(bureau, None);
        count(network, "long absence");
        self.stop(network, bureau);
    }

    pub(super) fn stop(&mut self, network: &mut Network, machine: usize) {
        if !self.busy(machine) {
            if machine == HUB {
                let now = network.now();
                self.hub_unwell.push((now, now + STOPPING));
            }
            let target = network.machine(machine);
            let name = target.name.clone();
            target.stop.borrow().cancel();
            note(network, &format!("* {name} is asked to stop"));
        }
    }
}

/// Which way a line is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    Both,
    ToHub,
    FromHub,
}

/// A segment that is not the last one, and its length in bytes: there, damage cannot be taken for a torn write.
fn older_segment(machine: &Machine, dice: &mut Dice) -> Option<(PathBuf, u64)> {
    let dir = Path::new(if matches!(machine.role, Role::Hub) { "/hub/log" } else { "/bureau/journal" });
    let disk = machine.disk.borrow();
    let mut segments = disk.list(dir).ok()?;
    segments.retain(|name| name.ends_with(".log"));
    segments.pop();
    let one = dice.below(segments.len().max(1) as u64);
    let path = dir.join(segments.get(usize::try_from(one).ok()?)?);
    let length = disk.contents(&path)?.len() as u64;
    Some((path, length))
}
