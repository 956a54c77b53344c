//! Crashes: power and processes that end between commits, in the middle of them, and while a machine recovers.

use std::time::Duration;

use super::{Breaker, Fuse, HUB, Undo, count, note};
use crate::network::Network;

impl Breaker {
    pub(super) fn is_down(&self, machine: usize) -> bool {
        self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Boot(booted) if *booted == machine))
    }

    pub(super) fn busy(&self, machine: usize) -> bool {
        self.is_down(machine) || self.fuses.iter().any(|fuse| fuse.machine == machine)
    }

    /// Mostly in the middle of a commit, else between two.
    pub(super) fn begin_crash(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.busy(machine) {
            return;
        }
        if self.dice.below(8) < 5 {
            // Often in what comes next, whatever that is.
            let most = if self.dice.one_in(2) { 6 } else { 24 };
            let operations = self.dice.below(most);
            network.machine(machine).disk.borrow().power_off_after(operations);
            let until = now + Duration::from_millis(2_500);
            self.fuses.push(Fuse { machine, until, recovering: false });
            return;
        }
        self.crash_between(network, machine);
    }

    pub(super) fn crash_between(&mut self, network: &mut Network, machine: usize) {
        let lose = self.dice.one_in(2);
        let who = if machine == HUB { "hub" } else { "bureau" };
        count(network, &format!("{who} crash between commits"));
        count(network, if lose { "power loss" } else { "process killed" });
        self.crash(network, machine, lose);
    }

    /// Power or process ends; it starts again later.
    pub(super) fn crash(&mut self, network: &mut Network, machine: usize, lose: bool) {
        let target = network.machine(machine);
        let (name, unsynced) = (target.name.clone(), target.disk.borrow().unsynced());
        if lose && unsynced > 0 {
            count(network, "unsynced writes lost, kept or torn");
        }
        note(network, &format!("* {name} crashes, {unsynced} unsynced, power lost: {lose}"));
        let next = match lose {
            true => target.disk.borrow().power_off(),
            false => target.disk.borrow().kill(),
        };
        *target.disk.borrow_mut() = next;
        target.network.lines.close_all(network.now());
        network.sim.crash(name.as_str());
        target.ended.take();
        self.excused.remove(&machine);
        let now = network.now();
        match self.leaving.remove(&machine) {
            Some(None) => self.stay_away(network, now, machine),
            Some(Some(until)) => self.undo.push((until, Undo::Boot(machine))),
            None => self.after(now, 20, 2_000, Undo::Boot(machine)),
        }
    }

    /// It starts again much later; now and then together with another one, when both have much to be told of.
    fn stay_away(&mut self, network: &Network, now: Duration, bureau: usize) {
        let until = now + Duration::from_millis(5_000 + self.dice.below(7_000));
        let other = self.some_bureau(network);
        if other != bureau && self.watched != Some(other) && self.dice.one_in(2) {
            self.undo.push((now + Duration::from_millis(2_000), Undo::Follow(other, until)));
            self.undo.push((until, Undo::SlowHub));
        }
        self.undo.push((until, Undo::Boot(bureau)));
    }

    /// Fuses that have blown, and those that have not in their time.
    pub(super) fn blow(&mut self, network: &mut Network, now: Duration) {
        for fuse in std::mem::take(&mut self.fuses) {
            let powered = network.machine(fuse.machine).disk.borrow().is_powered();
            if powered && now < fuse.until {
                self.fuses.push(fuse);
                continue;
            }
            if powered {
                network.machine(fuse.machine).disk.borrow().power_off_after(u64::MAX);
                if !fuse.recovering {
                    self.crash_between(network, fuse.machine);
                }
                continue;
            }
            let who = if fuse.machine == HUB { "hub" } else { "bureau" };
            count(network, &format!("{who} crash inside a commit"));
            count(network, "power loss");
            if fuse.recovering {
                count(network, "crash during recovery");
            }
            if fuse.machine == HUB && network.machine(HUB).to_recover.get() {
                count(network, "crash while the log is taken up");
            }
            self.crash(network, fuse.machine, true);
        }
    }

    /// Programs that have ended by themselves are started again, as an operator's supervisor would.
    pub(super) fn notice_ends(&mut self, network: &mut Network, now: Duration) {
        for machine in 0..=network.bureaus.len() {
            if self.busy(machine) {
                continue;
            }
            let target = network.machine(machine);
            let Some(why) = target.ended.take() else { continue };
            let name = target.name.clone();
            note(network, &format!("* {name} has ended: {why}"));
            // What closes a log needs room, too.
            let room = self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Room(at) if *at == machine));
            let stopped = why == "stopped" || (room && why.ends_with("no room on the disk"));
            count(network, if stopped { "stopped in order" } else { "ended by itself" });
            if !stopped && !self.excused.contains_key(&machine) {
                let text = format!("{name} ended by itself: {why}");
                network.record.borrow_mut().broken("ends only for a cause", "", text);
            }
            let excused = self.excused.remove(&machine);
            self.crash(network, machine, false);
            // What is damaged stays so until it is mended.
            let damaged =
                self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Mend(at, ..) if *at == machine));
            if let Some(since) = excused.filter(|_| damaged) {
                self.excused.insert(machine, since);
                count(network, "damage refused");
                self.mend_now(now, machine);
            }
        }
    }

    /// Starts a machine, now and then with a fuse that blows while it recovers.
    pub(super) fn boot(&mut self, network: &mut Network, now: Duration, machine: usize) {
        let name = network.machine(machine).name.clone();
        if network.sim.is_host_running(name.as_str()) {
            return;
        }
        let taken_up = machine == HUB && network.machine(HUB).to_recover.get();
        if now < crate::run::BUSY && self.dice.one_in(if taken_up { 2 } else { 4 }) {
            let operations = self.dice.below(6);
            network.machine(machine).disk.borrow().power_off_after(operations);
            let until = now + Duration::from_millis(300);
            self.fuses.push(Fuse { machine, until, recovering: true });
        }
        network.boot(machine);
    }
}
