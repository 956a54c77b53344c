//! How each fault ends.

use std::time::Duration;

use i247_wire::pb;

use super::{Breaker, HUB, Undo, note};
use crate::network::{Network, PEOPLE};
use crate::run::BUSY;
use crate::secretariat::Order;

impl Breaker {
    pub(super) fn undo_due(&mut self, network: &mut Network, now: Duration) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.undo).into_iter().partition(|(due, _)| *due <= now);
        self.undo = later;
        for (_, undo) in due {
            self.undo(network, now, undo);
        }
    }

    pub(super) fn undo(&mut self, network: &mut Network, now: Duration, undo: Undo) {
        match undo {
            Undo::Repair(bureau) => network.sim.repair("hub", network.machine(bureau).name.as_str()),
            Undo::Release(bureau) => network.sim.release("hub", network.machine(bureau).name.as_str()),
            Undo::Latency(bureau) => {
                let name = network.machine(bureau).name.clone();
                network.sim.set_link_max_message_latency("hub", name.as_str(), self.max_latency);
            }
            Undo::Disk(machine) => network.machine(machine).blocking.set_slowest(0),
            Undo::Room(machine) => network.machine(machine).disk.borrow().set_capacity(None),
            Undo::Reads(machine) => network.machine(machine).disk.borrow().flip_one_read_in(None),
            Undo::Clock(machine) => network.machine(machine).clock.set_wrong_by(0),
            Undo::Boot(machine) => self.boot(network, now, machine),
            Undo::Follow(bureau, until) if now < BUSY && !self.busy(bureau) => {
                self.leaving.insert(bureau, Some(until));
                self.crash(network, bureau, false);
            }
            Undo::SlowHub if now < BUSY => {
                let ms = 200 + self.dice.below(1_000);
                self.slow_down(network, now, HUB, ms);
            }
            // It is over, or the bureau is away already.
            Undo::Follow(..) | Undo::SlowHub => {}
            Undo::Reinstate(country) => {
                network.order(Order::Change(pb::DirectoryAction::Reinstate, country));
            }
            Undo::OwnDisk => {
                self.crash(network, HUB, false);
                self.change_disk(network);
                network.sim.repair("hub", PEOPLE);
                note(network, "* the hub's own disk is back");
            }
            Undo::Recover => {
                self.crash(network, HUB, false);
                self.change_disk(network);
                network.sim.repair("hub", PEOPLE);
                self.recover(network);
            }
            Undo::Mend(machine, path, offset, bit) => {
                if !self.is_down(machine) {
                    self.crash(network, machine, false);
                }
                let mended = network.machine(machine).disk.borrow().flip(&path, offset, bit);
                note(network, &format!("* the bit is flipped back: {mended}"));
            }
        }
    }

    fn change_disk(&mut self, network: &Network) {
        if let Some(next) = self.next_disk.take() {
            next.set_capacity(None);
            *network.machine(HUB).disk.borrow_mut() = next;
        }
    }
}
