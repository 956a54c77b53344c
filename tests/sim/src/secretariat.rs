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
pub(crate) enum Order {
    /// A change of the directory about the bureau of a country.
    Change(pb::DirectoryAction, CountryCode),
    /// To enter again what the hub lost.
    Resend,
}

/// The authority at its own machine: admits everybody, then does what the driver orders.
pub(crate) struct Authority {
    pub(crate) identities: Identities,
    pub(crate) members: Vec<Credentials>,
    pub(crate) record: Shared,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// All changes, in order, and about whom each is.
    pub(crate) changes: Vec<(Identity, u64, pb::Signed)>,
}

impl Authority {
    /// Works for ever.
    pub(crate) async fn work(mut self) -> Result<(), Fault> {
        let clock = SimClock::default();
        let directory = Directory::new(to_hub(self.identities.authority())?).within(WITHIN);
        for member in std::mem::take(&mut self.members) {
            let identity = member.identity.clone();
            let admit = pb::DirectoryAction::Admit;
            let (sequence, change) = self.identities.change(admit, &identity, Some(&member), clock.now());
            self.changes.push((identity.clone(), sequence, change));
            self.enter(&directory, "admitted", &identity).await;
        }
        while let Some(order) = self.orders.recv().await {
            let Order::Change(action, country) = order else {
                self.resend(&directory).await;
                continue;
            };
            if self.record.borrow().revoked.contains_key(&country) {
                // For good.
                continue;
            }
            let identity = Identity::Bureau(country);
            let (sequence, change) = self.identities.change(action, &identity, None, clock.now());
            self.changes.push((identity.clone(), sequence, change));
            let what = match action {
                pb::DirectoryAction::Suspend => "suspended",
                pb::DirectoryAction::Revoke => "revoked",
                _ => "reinstated",
            };
            self.enter(&directory, what, &identity).await;
            let mut record = self.record.borrow_mut();
            match action {
                pb::DirectoryAction::Revoke => {
                    record.revoked.insert(country, clock.now().as_millis());
                }
                pb::DirectoryAction::Suspend => record.suspended.push((country, now())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Until the hub has the last change.
    async fn enter(&self, directory: &Directory, what: &str, identity: &Identity) {
        let Some((_, _, change)) = self.changes.last() else { return };
        let mut unsure = false;
        while let Err(error) = directory.change(change.clone()).await {
            if let Some(refusal) = error.refusal().filter(|_| !error.passes()) {
                // It was entered, and the first answer was lost.
                let other_number = refusal.fields.iter().any(|field| field == "sequence");
                if unsure && other_number {
                    break;
                }
                // The one before it was lost.
                if other_number && self.record.borrow().recovered.is_some() {
                    self.resend(directory).await;
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

    /// Enters every change again that the hub does not know.
    async fn resend(&self, directory: &Directory) {
        while let Err(error) = self.resend_once(directory).await {
            self.record.borrow_mut().note(now(), format!("the authority tries again: {error}"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.record.borrow_mut().note(now(), "* the directory is whole".into());
    }

    async fn resend_once(&self, directory: &Directory) -> Result<(), ClientError> {
        let known = directory.list().await?.records;
        for (identity, sequence, change) in &self.changes {
            let identity = identity.to_string();
            let record = known.iter().find(|record| record.identity == identity);
            if record.is_none_or(|record| record.sequence < *sequence) {
                directory.change(change.clone()).await?;
                self.record.borrow_mut().count("change of the directory entered again");
            }
        }
        Ok(())
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
        // She is told when the hub has all again.
        if self.record.borrow().is_being_given_back() {
            return Ok(());
        }
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
        record.published.push(Published { id, request: request.to_owned(), audience, at: now() });
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
