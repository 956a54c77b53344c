//! What strikes once in a seed, if at all: a revocation, a certificate that ends, a disk restored from an older copy.

use std::time::Duration;

use i247_model::CountryCode;
use i247_wire::pb;

use super::{Breaker, HUB, Special, Undo, count, note};
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
                network.order(Order { action: pb::DirectoryAction::Revoke, country });
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
        let Some((_, copy, wishes)) = self.copy.take() else {
            let copy = network.machine(machine).disk.borrow().fork();
            note(network, &format!("* a copy is taken of {}", network.machine(machine).name));
            self.copy = Some((machine, copy, network.record.borrow().wishes.len()));
            self.special_at = now + Duration::from_millis(3_000 + self.dice.below(6_000));
            return;
        };
        if machine == HUB {
            let record = network.record.borrow();
            let knows = |country: &CountryCode| record.holds_receipt_since(*country, wishes);
            if !network.countries.iter().all(knows) {
                // The copy could not be told from the hub's own data yet.
                self.copy = Some((machine, copy, wishes));
                return;
            }
        }
        let target = network.machine(machine);
        let name = target.name.clone();
        self.crash(network, machine, true);
        let own = target.disk.replace(copy.kill());
        note(network, &format!("* {name} is restored from the older copy"));
        match target.role {
            Role::Hub => {
                count(network, "hub restored from an older copy");
                network.record.borrow_mut().older_hub = true;
                self.own = Some(own);
                // What they would enter now would be lost with the copy.
                network.sim.partition("hub", PEOPLE);
                self.after(now, 3_000, 4_000, Undo::OwnDisk);
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
}
