//! Who is on the network and what they may do now. It knows hashes of keys, never keys or certificates.

use std::collections::BTreeMap;

use i247_model::{
    CountryCode, Hash, Identity, MEMBERS, Name, Party, Reason, Refusal, Sender, Timestamp, member,
};
use serde::{Deserialize, Serialize};

use crate::grant::{Granted, Grants};
use crate::{DirectoryAction, DirectoryChange, Stamp};

/// Whether an identity may act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// It may.
    Active,
    /// Cut off; its queues are kept.
    Suspended,
    /// Cut off; its keys are void for good.
    Revoked,
}

/// What the directory holds about an identity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whether it may act.
    pub standing: Standing,
    /// Hash of its TLS key.
    pub tls_key: Option<Hash>,
    /// Hashes of its signing keys in force, each with the end of its certificate.
    pub signing_keys: BTreeMap<Hash, Option<Timestamp>>,
    /// Keys that a revocation made void, and that no admission brings back.
    pub void_keys: Vec<Hash>,
    /// When the last change was.
    pub since: Timestamp,
    /// Which entry it was.
    pub position: u64,
    /// Sequence of the last change.
    pub sequence: u64,
    /// Positions at which its membership began and ended, in turn. A suspension ends no membership.
    pub membership: Vec<u64>,
}

/// The directory.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Directory {
    /// Asked for each party of each message, and therefore apart.
    bureaus: BTreeMap<CountryCode, Record>,
    others: BTreeMap<Identity, Record>,
    pub(crate) grants: Grants,
}

impl Directory {
    /// Every record: the bureaus by country, then all others by identity.
    pub fn records(&self) -> impl Iterator<Item = (Identity, &Record)> {
        let others = self.others.iter().map(|(identity, record)| (identity.clone(), record));
        self.bureaus().map(|(country, record)| (Identity::Bureau(country), record)).chain(others)
    }

    /// The records of all bureaus, by country.
    pub fn bureaus(&self) -> impl Iterator<Item = (CountryCode, &Record)> {
        self.bureaus.iter().map(|(country, record)| (*country, record))
    }

    /// What is held about an identity.
    pub fn record(&self, identity: &Identity) -> Option<&Record> {
        match identity {
            Identity::Bureau(country) => self.bureaus.get(country),
            _ => self.others.get(identity),
        }
    }

    /// Whether an identity may act; none when it is unknown. Posts and officers can do no more than
    /// their bureau, which vouches for those that the directory does not name.
    pub fn standing(&self, identity: &Identity) -> Option<Standing> {
        let own = self.record(identity).map(|record| record.standing);
        match identity {
            Identity::Officer(country, _)
            | Identity::Post(country, _)
            | Identity::NationalAuthority(country) => {
                let bureau = self.bureaus.get(country)?.standing;
                Some(own.map_or(bureau, |own| own.max(bureau)))
            }
            Identity::Authority
            | Identity::Hub(_)
            | Identity::Reviewer(_)
            | Identity::Operator(_)
            | Identity::Bureau(_)
            | Identity::Entity(_) => own,
        }
    }

    /// Whether an identity may connect with this TLS key.
    pub fn tls_key_allowed(&self, identity: &Identity, key: &Hash) -> bool {
        self.standing(identity) == Some(Standing::Active)
            && self.key_allowed(identity, key, |record| record.tls_key == Some(*key))
    }

    /// Whether an identity may sign with this key.
    pub fn signing_key_allowed(&self, identity: &Identity, key: &Hash) -> bool {
        self.standing(identity) == Some(Standing::Active)
            && self.key_allowed(identity, key, |record| record.signing_keys.contains_key(key))
    }

    /// What a post is granted, whether or not that is in force; none for everybody else, who needs no grant.
    pub fn grant(&self, identity: &Identity) -> Option<&Granted> {
        match identity {
            Identity::Post(country, name) => self.grants.find(*country, name),
            _ => None,
        }
    }

    /// What the posts of a country are granted, by name.
    pub fn grants_of(&self, country: CountryCode) -> impl Iterator<Item = (&Name, &Granted)> {
        self.grants.of(country)
    }

    /// The first end of a grant after this moment.
    pub fn next_grant_end(&self, after: Timestamp) -> Option<Timestamp> {
        self.grants.next_end(after)
    }

    /// Whether a country is a member now, if only a suspended one.
    pub fn is_member(&self, country: CountryCode) -> bool {
        matches!(self.standing_of(country.into()), Some(Standing::Active | Standing::Suspended))
    }

    /// Where the present membership of a country began; none when it is no member.
    pub fn member_since(&self, country: CountryCode) -> Option<u64> {
        let membership = &self.bureaus.get(&country)?.membership;
        membership.last().copied().filter(|_| membership.len() % 2 == 1)
    }

    /// Whether a party was a member once the entry at this position was in force, if only a suspended one.
    pub(crate) fn was_member(&self, party: Party, position: u64) -> bool {
        let Party::Bureau(country) = party else { return true };
        let record = self.bureaus.get(&country);
        let turns = record.map_or(0, |record| record.membership.partition_point(|turn| *turn <= position));
        turns % 2 == 1
    }

    /// The standing of a mailbox's owner.
    pub(crate) fn standing_of(&self, party: Party) -> Option<Standing> {
        match party {
            Party::Secretariat => Some(Standing::Active),
            Party::Bureau(country) => self.bureaus.get(&country).map(|record| record.standing),
        }
    }

    /// The secretariat and every country of the table, each with its standing. Table and directory have the
    /// same order, so that nothing is searched.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = (Party, Option<Standing>)> {
        let mut bureaus = self.bureaus();
        let mut next = bureaus.next();
        let countries = MEMBERS.iter().map(move |member| {
            while next.is_some_and(|(country, _)| country < member.code) {
                next = bureaus.next();
            }
            let record = next.filter(|(country, _)| *country == member.code);
            (Party::Bureau(member.code), record.map(|(_, record)| record.standing))
        });
        std::iter::once((Party::Secretariat, Some(Standing::Active))).chain(countries)
    }

    /// Whether a sender may submit.
    pub(crate) fn check_sender(&self, sender: &Sender) -> Result<(), Refusal> {
        let standing = match sender {
            // The hub's own messages are made by decisions, never submitted.
            Sender::Secretariat => None,
            Sender::Reviewer(name) => self.standing(&Identity::Reviewer(name.clone())),
            Sender::Bureau(country) => self.standing_of(Party::Bureau(*country)),
            Sender::Post(country, name) => self.standing(&Identity::Post(*country, name.clone())),
        };
        match standing {
            Some(Standing::Active) => Ok(()),
            Some(Standing::Suspended) => Err(Refusal::of(Reason::Suspended, "id")),
            Some(Standing::Revoked) => Err(Refusal::of(Reason::Revoked, "id")),
            None => Err(Refusal::of(Reason::NotAuthorised, "id")),
        }
    }

    /// Whether a change may be entered.
    ///
    /// # Errors
    /// Nothing is entered: wrong sequence, void key, or an action that the standing does not allow.
    pub(crate) fn check(&self, change: &DirectoryChange) -> Result<(), Refusal> {
        if let Identity::Bureau(country) = change.identity
            && member(country).is_none()
        {
            return Err(Refusal::of(Reason::UnknownCountry, "identity"));
        }
        let record = self.record(&change.identity);
        if change.sequence != record.map_or(0, |record| record.sequence).saturating_add(1) {
            return Err(Refusal::of(Reason::WrongField, "sequence"));
        }
        let vouched = matches!(change.identity, Identity::Post(..) | Identity::Officer(..));
        let standing = record.map(|record| record.standing);
        let allowed = match (change.action, standing) {
            (DirectoryAction::Admit, _) => true,
            (DirectoryAction::Suspend, Some(Standing::Active)) => true,
            (DirectoryAction::Revoke, Some(Standing::Active | Standing::Suspended)) => true,
            (DirectoryAction::Reinstate, Some(Standing::Suspended)) => true,
            // Its bureau vouches for it, so that the directory first hears of it now.
            (DirectoryAction::Suspend | DirectoryAction::Revoke, None) => vouched,
            (DirectoryAction::Suspend | DirectoryAction::Revoke | DirectoryAction::Reinstate, _) => false,
        };
        if !allowed {
            return Err(Refusal::of(Reason::WrongField, "action"));
        }
        let void = |key: Option<Hash>| {
            key.is_some_and(|key| record.is_some_and(|record| record.void_keys.contains(&key)))
        };
        let admits = change.action == DirectoryAction::Admit;
        if void(change.tls_key) || (change.tls_key.is_some() && !admits) {
            return Err(Refusal::of(Reason::WrongField, "tls_key"));
        }
        if void(change.signing_key) || (change.signing_key.is_some() && !admits) {
            return Err(Refusal::of(Reason::WrongField, "signing_certificates"));
        }
        Ok(())
    }

    pub(crate) fn apply(&mut self, stamp: Stamp, change: &DirectoryChange) {
        let new = || Record {
            standing: Standing::Active,
            tls_key: None,
            signing_keys: BTreeMap::new(),
            void_keys: Vec::new(),
            since: stamp.at,
            position: stamp.position,
            sequence: 0,
            membership: Vec::new(),
        };
        let record = match &change.identity {
            Identity::Bureau(country) => self.bureaus.entry(*country).or_insert_with(new),
            other => self.others.entry(other.clone()).or_insert_with(new),
        };
        record.since = stamp.at;
        record.position = stamp.position;
        record.sequence = change.sequence;
        let is_member = record.membership.len() % 2 == 1;
        let turns = match change.action {
            DirectoryAction::Admit => !is_member,
            DirectoryAction::Revoke => is_member,
            DirectoryAction::Suspend | DirectoryAction::Reinstate => false,
        };
        record.membership.extend(turns.then_some(stamp.position));
        match change.action {
            DirectoryAction::Admit => {
                record.tls_key = change.tls_key.or(record.tls_key);
                record.signing_keys.extend(change.signing_key.map(|key| (key, change.not_after)));
                // New keys do not end a suspension; an admission after a revocation is a new beginning.
                if record.standing == Standing::Revoked {
                    record.standing = Standing::Active;
                }
            }
            DirectoryAction::Suspend => record.standing = Standing::Suspended,
            DirectoryAction::Reinstate => record.standing = Standing::Active,
            DirectoryAction::Revoke => {
                record.standing = Standing::Revoked;
                record.void_keys.extend(record.tls_key.take());
                record.void_keys.extend(std::mem::take(&mut record.signing_keys).into_keys());
            }
        }
    }

    /// Of those that the directory does not name the chain of certificates decides.
    fn key_allowed(&self, identity: &Identity, key: &Hash, holds: impl Fn(&Record) -> bool) -> bool {
        let vouched = matches!(identity, Identity::Officer(..) | Identity::Post(..));
        match self.record(identity) {
            None => vouched,
            Some(record) if record.void_keys.contains(key) => false,
            // Suspended and reinstated, but never admitted with keys of its own.
            Some(record) if vouched && record.tls_key.is_none() && record.signing_keys.is_empty() => true,
            Some(record) => holds(record),
        }
    }
}
