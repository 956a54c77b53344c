//! The people of the secretariat: the authority, who enters changes of the directory, and a reviewer, who decides what
//! is published. They try until the hub has it.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use i247_client::{ClientError, Directory, Reviewer, ReviewerParts, channel};
use i247_ledger::faults::Dice;
use i247_model::{CountryCode, Identity};
use i247_node::{Clock as _, SeededDice};
use i247_trust::Credentials;
use i247_wire::pb;
use tokio::sync::mpsc;

use crate::identities::Identities;
use crate::lines::SimNetwork;
use crate::machine::{HUB_PORT, site};
use crate::network::Fault;
use crate::officer::{WITHIN, now};
use crate::record::{Published, Shared};
use crate::seams::SimClock;

/// What the driver asks of the authority.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) action: pb::DirectoryAction,
    pub(crate) country: CountryCode,
}

/// The authority at its own machine: admits everybody, then does what the driver orders.
pub(crate) struct Authority {
    pub(crate) identities: Identities,
    pub(crate) members: Vec<Credentials>,
    pub(crate) record: Shared,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

impl Authority {
    /// Works for ever.
    pub(crate) async fn work(mut self) -> Result<(), Fault> {
        let clock = SimClock::default();
        let directory = Directory::new(to_hub(self.identities.authority())?).within(WITHIN);
        for member in std::mem::take(&mut self.members) {
            let identity = member.identity.clone();
            let change =
                self.identities.change(pb::DirectoryAction::Admit, &identity, Some(&member), clock.now());
            self.enter(&directory, &change, "admitted", &identity).await;
        }
        while let Some(order) = self.orders.recv().await {
            if self.record.borrow().revoked.contains_key(&order.country) {
                // For good.
                continue;
            }
            let identity = Identity::Bureau(order.country);
            let change = self.identities.change(order.action, &identity, None, clock.now());
            let what = match order.action {
                pb::DirectoryAction::Suspend => "suspended",
                pb::DirectoryAction::Revoke => "revoked",
                _ => "reinstated",
            };
            self.enter(&directory, &change, what, &identity).await;
            let mut record = self.record.borrow_mut();
            match order.action {
                pb::DirectoryAction::Revoke => {
                    record.revoked.insert(order.country, clock.now().as_millis());
                }
                pb::DirectoryAction::Suspend => record.suspended.push((order.country, now())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Until the hub has it.
    async fn enter(&self, directory: &Directory, change: &pb::Signed, what: &str, identity: &Identity) {
        let mut unsure = false;
        while let Err(error) = directory.change(change.clone()).await {
            if let Some(refusal) = error.refusal().filter(|_| !error.passes()) {
                // It was entered, and the first answer was lost.
                if unsure && refusal.fields.iter().any(|field| field == "sequence") {
                    break;
                }
                let text = format!("{identity} is not {what}: {refusal}");
                self.record.borrow_mut().broken("the directory takes changes", "", text);
                return;
            }
            unsure |= error.may_have_happened() || error.passes();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut record = self.record.borrow_mut();
        record.note(now(), format!("* {identity} is {what}"));
        record.count(what);
    }
}

/// A reviewer at her own machine.
pub(crate) struct Desk {
    pub(crate) credentials: Credentials,
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) record: Shared,
    pub(crate) dice: Dice,
}

impl Desk {
    /// Works for ever.
    pub(crate) async fn work(mut self) -> Result<(), Fault> {
        let mut reviewer = Reviewer::new(ReviewerParts {
            channel: to_hub(&self.credentials)?,
            name: reviewer_name(),
            key: self.credentials.signing_key.clone(),
            root: self.credentials.root.clone(),
            clock: Arc::new(SimClock::default()),
            dice: Arc::new(SeededDice::new(self.dice.roll())),
        });
        loop {
            tokio::time::sleep(Duration::from_millis(300 + self.dice.below(900))).await;
            // What fails is pending still, or published: the next look says which.
            drop(self.round(&mut reviewer).await);
        }
    }

    async fn round(&mut self, reviewer: &mut Reviewer) -> Result<(), ClientError> {
        for pending in reviewer.pending().await? {
            let examined = reviewer.examine(&pending.request_id).await?;
            if !examined.approved && self.dice.one_in(4) {
                let id = reviewer.refuse(&examined, pb::RefusalGround::Other, "more is needed").await?;
                self.publish(id.to_string(), &pending.request_id, BTreeSet::from([examined.requester]));
                continue;
            }
            for published in reviewer.approve(std::slice::from_ref(&examined)).await? {
                let others = self.countries.iter().copied();
                let audience = others.filter(|country| *country != examined.requester);
                let barred = self.record.borrow().barred(&pending.request_id);
                let audience = audience.filter(|country| !barred.contains(country)).collect();
                self.publish(published.publication.to_string(), &pending.request_id, audience);
            }
        }
        Ok(())
    }

    /// The reviewer holds an answer for it: it must arrive.
    fn publish(&self, id: String, request: &str, audience: BTreeSet<CountryCode>) {
        let mut record = self.record.borrow_mut();
        record.note(now(), format!("{id} is published"));
        record.count("published");
        record.published.push(Published { id, request: request.to_owned(), audience });
    }
}

/// The reviewer's name.
pub(crate) fn reviewer_name() -> i247_model::Name {
    "lena".parse().expect("a name in the program text")
}

fn to_hub(credentials: &Credentials) -> Result<tonic::transport::Channel, Fault> {
    let address = format!("hub:{HUB_PORT}");
    let (hub, network) = (Identity::Hub(site()), Arc::new(SimNetwork::default()));
    Ok(channel(&address, &hub, credentials, network, Arc::new(SimClock::default()))?)
}

/// A task whose end is nobody's business but its fault is ours.
pub(crate) fn employ(work: impl Future<Output = Result<(), Fault>> + 'static, record: &Shared) {
    let record = Rc::clone(record);
    tokio::task::spawn_local(async move {
        if let Err(fault) = work.await {
            record.borrow_mut().broken("the simulator works", "", fault.to_string());
        }
    });
}
