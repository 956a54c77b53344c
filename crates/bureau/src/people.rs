//! Who of the country may use its desk now: a view of the journal, as the hub's directory is one of the log.
//!
//! The country's authority certifies its people, and its certificate is enough until it says something about one of
//! them: then its last word counts. It knows hashes of keys, never keys or certificates, and must not check signatures.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_wire::pb::{self, DirectoryAction as Action};
use prost::Message as _;
use serde::{Deserialize, Serialize};

/// Whether somebody may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Standing {
    /// As long as the certificate is good.
    Active,
    /// Cut off until reinstated.
    Suspended,
    /// Cut off; the keys are void for good.
    Revoked,
}

/// What is held about somebody.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Record {
    standing: Standing,
    /// The only TLS key that counts, once there was an admission; before, every certified one does.
    tls_key: Option<Hash>,
    /// Keys that a revocation made void, and that no admission brings back.
    void_keys: Vec<Hash>,
    since: Timestamp,
    position: u64,
    sequence: u64,
}

/// Everybody about whom the country's authority has said something.
#[derive(PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct People {
    records: BTreeMap<Identity, Record>,
    /// Where the last change stands in the journal.
    position: u64,
}

/// A change, as the authority signed it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    action: Action,
    pub(crate) identity: Identity,
    tls_key: Option<Hash>,
    sequence: u64,
}

impl Change {
    /// Reads the payload of a signed change.
    ///
    /// # Errors
    /// `MALFORMED` with the field.
    pub(crate) fn read(payload: &Bytes) -> Result<Self, Refusal> {
        let change = pb::DirectoryChange::decode(payload.clone())
            .map_err(|_| Refusal::of(Reason::Malformed, "change"))?;
        if change.action() == Action::Unspecified {
            return Err(Refusal::of(Reason::Malformed, "action"));
        }
        Ok(Self {
            action: change.action(),
            identity: i247_wire::parsed(&change.identity, "identity")?,
            tls_key: i247_wire::hash_option(&change.tls_key, "tls_key")?,
            sequence: change.sequence,
        })
    }
}

impl People {
    /// Whether somebody whom the country has certified may come to the desk with this TLS key.
    ///
    /// # Errors
    /// `SUSPENDED`, `REVOKED`, or `CERTIFICATE_NOT_IN_FORCE` for a key that is void or was replaced.
    pub(crate) fn admit(&self, identity: &Identity, tls_key: &Hash) -> Result<(), Refusal> {
        let Some(record) = self.records.get(identity) else { return Ok(()) };
        let next_step = "ask your country's authority why, and to be admitted again";
        let refused = |reason| Refusal { next_step: next_step.into(), ..Refusal::of(reason, "identity") };
        match record.standing {
            Standing::Suspended => return Err(refused(Reason::Suspended)),
            Standing::Revoked => return Err(refused(Reason::Revoked)),
            Standing::Active => {}
        }
        match record.tls_key {
            Some(key) if key != *tls_key => Err(Refusal::of(Reason::CertificateNotInForce, "tls_key")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a change may be entered.
    ///
    /// # Errors
    /// Nothing is entered: wrong sequence, void or missing key, or an action that the standing does not allow.
    pub(crate) fn check(&self, change: &Change) -> Result<(), Refusal> {
        let record = self.records.get(&change.identity);
        if change.sequence != record.map_or(0, |record| record.sequence).saturating_add(1) {
            return Err(Refusal::of(Reason::WrongField, "sequence"));
        }
        // Its certificate vouches for whom the bureau hears of for the first time.
        let standing = record.map_or(Standing::Active, |record| record.standing);
        let allowed = match change.action {
            Action::Admit => true,
            Action::Suspend => standing == Standing::Active,
            Action::Revoke => standing != Standing::Revoked,
            Action::Reinstate => standing == Standing::Suspended,
            Action::Unspecified => false,
        };
        if !allowed {
            return Err(Refusal::of(Reason::WrongField, "action"));
        }
        let void = |key: &Hash| record.is_some_and(|record| record.void_keys.contains(key));
        match (change.action, &change.tls_key) {
            // Without a key, every certificate would count again.
            (Action::Admit, None) => Err(Refusal::of(Reason::MissingData, "tls_key")),
            (Action::Admit, Some(key)) if void(key) => Err(Refusal::of(Reason::WrongField, "tls_key")),
            (Action::Suspend | Action::Reinstate, Some(_)) => Err(Refusal::of(Reason::WrongField, "tls_key")),
            _ => Ok(()),
        }
    }

    pub(crate) fn apply(&mut self, position: u64, at: Timestamp, change: &Change) {
        let record = self.records.entry(change.identity.clone()).or_insert_with(|| Record {
            standing: Standing::Active,
            tls_key: None,
            void_keys: Vec::new(),
            since: at,
            position,
            sequence: 0,
        });
        (record.since, record.position, record.sequence) = (at, position, change.sequence);
        match change.action {
            Action::Admit => {
                record.tls_key = change.tls_key;
                // New keys do not end a suspension; an admission after a revocation is a new beginning.
                if record.standing == Standing::Revoked {
                    record.standing = Standing::Active;
                }
            }
            Action::Suspend => record.standing = Standing::Suspended,
            Action::Reinstate => record.standing = Standing::Active,
            Action::Revoke => {
                record.standing = Standing::Revoked;
                record.void_keys.extend(record.tls_key.take());
                record.void_keys.extend(change.tls_key);
            }
            Action::Unspecified => {}
        }
        self.position = position;
    }

    /// Whom the changes behind this entry of the journal were about.
    pub(crate) fn changed_after(&self, position: u64) -> Vec<Identity> {
        if self.position <= position {
            return Vec::new();
        }
        let changed = self.records.iter().filter(|(_, record)| record.position > position);
        changed.map(|(identity, _)| identity.clone()).collect()
    }

    /// Where the last change stands in the journal.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Every record, by identity, as the authority sees it.
    pub(crate) fn list(&self) -> pb::ListResponse {
        let records = self.records.iter().map(|(identity, record)| pb::DirectoryRecord {
            identity: identity.to_string(),
            standing: pb::Standing::from(record.standing).into(),
            tls_key: record.tls_key.map(|key| Bytes::copy_from_slice(key.as_bytes())).unwrap_or_default(),
            since_ms: record.since.as_millis(),
            position: record.position,
            sequence: record.sequence,
            ..pb::DirectoryRecord::default()
        });
        pb::ListResponse { position: self.position, records: records.collect() }
    }
}

impl From<Standing> for pb::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self::Active,
            Standing::Suspended => Self::Suspended,
            Standing::Revoked => Self::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Hash = Hash([1; 32]);
    const NEW: Hash = Hash([2; 32]);

    fn duty() -> Identity {
        "spiffe://i247.test/ncb/fr/officer/duty".parse().unwrap()
    }

    fn change(action: Action, tls_key: Option<Hash>, sequence: u64) -> Change {
        Change { action, identity: duty(), tls_key, sequence }
    }

    /// Enters a change at the position of its sequence.
    fn enter(people: &mut People, action: Action, tls_key: Option<Hash>, sequence: u64) {
        let change = change(action, tls_key, sequence);
        people.check(&change).unwrap();
        people.apply(sequence, Timestamp::default(), &change);
    }

    fn refused(people: &People, change: &Change) -> (Reason, String) {
        let refusal = people.check(change).unwrap_err();
        (refusal.reason, refusal.fields[0].clone())
    }

    #[test]
    fn whom_the_authority_has_not_spoken_of_may_come_with_every_certified_key() {
        let people = People::default();
        assert!(people.admit(&duty(), &OLD).is_ok() && people.admit(&duty(), &NEW).is_ok());
    }

    #[test]
    fn a_suspension_ends_and_leaves_the_keys_as_they_were() {
        let mut people = People::default();
        enter(&mut people, Action::Suspend, None, 1);
        assert_eq!(people.admit(&duty(), &OLD).unwrap_err().reason, Reason::Suspended);
        enter(&mut people, Action::Reinstate, None, 2);
        assert!(people.admit(&duty(), &OLD).is_ok());
    }

    #[test]
    fn after_a_revocation_only_the_keys_of_a_new_admission_count() {
        let mut people = People::default();
        enter(&mut people, Action::Revoke, Some(OLD), 1);
        for key in [OLD, NEW] {
            assert_eq!(people.admit(&duty(), &key).unwrap_err().reason, Reason::Revoked);
        }
        let void = (Reason::WrongField, "tls_key".to_owned());
        assert_eq!(refused(&people, &change(Action::Admit, Some(OLD), 2)), void);
        let keyless = (Reason::MissingData, "tls_key".to_owned());
        assert_eq!(refused(&people, &change(Action::Admit, None, 2)), keyless);
        enter(&mut people, Action::Admit, Some(NEW), 2);
        assert!(people.admit(&duty(), &NEW).is_ok());
        let old = people.admit(&duty(), &OLD).unwrap_err();
        assert_eq!(old.reason, Reason::CertificateNotInForce);
        enter(&mut people, Action::Revoke, None, 3);
        assert_eq!(refused(&people, &change(Action::Admit, Some(NEW), 4)), void);
    }

    #[test]
    fn an_older_change_and_one_that_the_standing_does_not_allow_are_refused() {
        let mut people = People::default();
        let action = (Reason::WrongField, "action".to_owned());
        assert_eq!(refused(&people, &change(Action::Reinstate, None, 1)), action);
        enter(&mut people, Action::Revoke, None, 1);
        for (again, field) in [(1, "sequence"), (3, "sequence"), (2, "action")] {
            let refused = refused(&people, &change(Action::Revoke, None, again));
            assert_eq!(refused, (Reason::WrongField, field.to_owned()));
        }
        assert_eq!(refused(&people, &change(Action::Reinstate, None, 2)), action);
    }

    #[test]
    fn who_was_changed_is_found_by_the_place_of_the_change() {
        let mut people = People::default();
        enter(&mut people, Action::Suspend, None, 1);
        assert_eq!(people.changed_after(0), [duty()]);
        assert!(people.changed_after(1).is_empty());
    }
}
