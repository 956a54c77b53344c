//! What strikes once in a seed, if at all: a revocation, a certificate that ends, a disk restored from an older copy.

use std::time::Duration;

use i247_model::CountryCode;
use i247_wire::pb;

use super::{Breaker, HUB, OlderCopy, Plan, Special, Undo, count, note};
use crate::machine::Role;
use crate::network::{Network, PEOPLE};
use crate::secretariat::Order;

impl Breaker {
    /// What strikes once, when it is time for it.
    pub(super) fn special(&mut self, network: &mut Network, now: Duration) {
        match self.special {
            Special::None => {}
            Special::Revoke(bureau) => {
                let Role::Bureau { country, .. } = network.machine(bureau).role else { return };
                network.order(Order::Change(pb::DirectoryAction::Revoke, country));
                count(network, "revocation in mid-stream");
                self.special = Special::None;
            }
            Special::Restore(machine) => self.restore(network, now, machine),
            Special::Expire(bureau) => {
                count(network, "certificate ends in mid-stream");
                note(network, &format!("* the certificate of {} ends", network.machine(bureau).name));
                self.special = Special::Renew(bureau);
                self.special_at = now + Duration::from_millis(2_500 + self.dice.below(2_500));
            }
            Special::Renew(bureau) => {
                self.special = Special::None;
                network.renew(bureau);
                note(network, &format!("* the certificate of {} is renewed", network.machine(bureau).name));
            }
        }
    }

    /// First a copy is taken, later it takes the place of the disk.
    pub(super) fn restore(&mut self, network: &mut Network, now: Duration, machine: usize) {
        if self.busy(machine) {
            return;
        }
        let Some(copy) = self.copy.take() else {
            let disk = network.machine(machine).disk.borrow().fork();
            disk.set_capacity(None);
            note(network, &format!("* a copy is taken of {}", network.machine(machine).name));
            let wishes = network.record.borrow().wishes.len();
            let plan = match self.dice.below(3) {
                _ if machine != HUB => Plan::OwnDisk,
                0 => Plan::OwnDisk,
                1 => Plan::Recover,
                _ => Plan::RecoverUnseen,
            };
            if plan != Plan::OwnDisk {
                network.record.borrow_mut().giving_back = network.countries.iter().copied().collect();
            }
            self.copy = Some(OlderCopy { disk, wishes, plan });
            self.special_at = now + Duration::from_millis(3_000 + self.dice.below(6_000));
            return;
        };
        if copy.plan == Plan::RecoverUnseen {
            self.crash(network, HUB, true);
            network.machine(HUB).disk.replace(copy.disk.kill());
            note(network, "* hub is restored from the older copy before anybody has seen it");
            self.recover(network);
            self.special = Special::None;
            return;
        }
        if machine == HUB {
            let record = network.record.borrow();
            let knows = |country: &CountryCode| record.holds_receipt_since(*country, copy.wishes);
            if !network.countries.iter().all(knows) {
                // The copy could not be told from the hub's own data yet.
                self.copy = Some(copy);
                return;
            }
        }
        let target = network.machine(machine);
        let name = target.name.clone();
        let untouched = copy.disk.fork();
        self.crash(network, machine, true);
        let own = target.disk.replace(copy.disk.kill());
        note(network, &format!("* {name} is restored from the older copy"));
        match target.role {
            Role::Hub => {
                count(network, "hub restored from an older copy");
                network.record.borrow_mut().older_hub = true;
                // What they would enter now would be lost with the copy.
                network.sim.partition("hub", PEOPLE);
                let (next, undo) = match copy.plan {
                    Plan::OwnDisk => (own, Undo::OwnDisk),
                    Plan::Recover | Plan::RecoverUnseen => (untouched.kill(), Undo::Recover),
                };
                self.next_disk = Some(next);
                self.after(now, 2_000, 4_000, undo);
            }
            Role::Bureau { country, .. } => {
                count(network, "bureau restored from an older copy");
                let mut record = network.record.borrow_mut();
                record.restored.insert(country);
                record.inboxes.remove(&country);
            }
        }
        self.special = Special::None;
    }

    /// The hub, which does not run and has an older copy, shall go on from it.
    pub(super) fn recover(&mut self, network: &Network) {
        let hub = network.machine(HUB);
        hub.to_recover.set(true);
        self.recovering = true;
        note(network, "* the hub's log is to be taken up under a new name");
    }

    /// Whether it has: bureaus and the authority then give it back what the copy lacks.
    pub(super) fn notice_recovery(&mut self, network: &Network, now: Duration) {
        if !self.recovering || network.machine(HUB).to_recover.get() {
            return;
        }
        self.recovering = false;
        count(network, "hub recovered under a new log id");
        note(network, "* the hub's log goes on under a new name");
        network.record.borrow_mut().recovered = Some(now);
        network.order(Order::Resend);
    }
}
