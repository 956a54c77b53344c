//! Leave: what a bureau grants one of its posts, from when until when, and how much of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Name, Timestamp};

/// What kind of unit a post is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Unit {
    /// A crossing on a land border.
    BorderCrossing,
    /// An airport.
    Airport,
    /// A sea port.
    SeaPort,
    /// Customs.
    Customs,
    /// An immigration post.
    Immigration,
    /// A specialised police unit.
    Police,
    /// Forestry and wildlife officers.
    Wildlife,
    /// A team at a major event: what it is granted needs an end.
    EventTeam,
    /// An airline or another private partner: it may only check.
    Partner,
}

impl Unit {
    /// All of them, in the order of the wire.
    pub const ALL: [Self; 9] = [
        Self::BorderCrossing,
        Self::Airport,
        Self::SeaPort,
        Self::Customs,
        Self::Immigration,
        Self::Police,
        Self::Wildlife,
        Self::EventTeam,
        Self::Partner,
    ];

    /// The word for it, everywhere the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BorderCrossing => "border crossing",
            Self::Airport => "airport",
            Self::SeaPort => "sea port",
            Self::Customs => "customs",
            Self::Immigration => "immigration",
            Self::Police => "police",
            Self::Wildlife => "wildlife",
            Self::EventTeam => "event team",
            Self::Partner => "partner",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a post may do with the databases that it is granted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Verb {
    /// It asks and is shown what is found.
    Search,
    /// It asks and is told no more than that there is no match, or whom to refer to.
    CheckOnly,
}

/// What a bureau grants a post.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// What kind of unit it is.
    pub unit: Unit,
    /// What it may do.
    pub verb: Verb,
    /// Which databases it may ask, by their numbers.
    pub databases: BTreeSet<u8>,
    /// In force from then on; none for at once.
    pub from: Option<Timestamp>,
    /// Not in force any more from then on; none for until it is withdrawn.
    pub until: Option<Timestamp>,
    /// How many keys it may ask about in a minute.
    pub keys_per_minute: u32,
    /// How many keys it may ask about in a day (UTC).
    pub keys_per_day: u32,
    /// Of which of them it may hold offline copies.
    pub offline: BTreeSet<u8>,
    /// These have the country's supplement too.
    pub supplement: bool,
}

/// Where a grant stands at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// It begins then.
    NotYet(Timestamp),
    /// Now.
    InForce,
    /// It ended then.
    Ended(Timestamp),
}

impl Grant {
    /// The field that does not fit the others, and what to do about it; none when all is well.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let backwards = matches!((self.from, self.until), (Some(from), Some(until)) if from >= until);
        let browsing_partner = self.unit == Unit::Partner && self.verb != Verb::CheckOnly;
        if backwards {
            Some(("grant.until_ms", "let the grant end after it begins"))
        } else if self.unit == Unit::EventTeam && self.until.is_none() {
            Some(("grant.until_ms", "say when the event is over: a team's grant ends by itself"))
        } else if browsing_partner {
            Some(("grant.verb", "let a partner check only: it may ask, never browse"))
        } else if self.keys_per_minute > self.keys_per_day {
            Some(("grant.keys_per_minute", "let a minute's keys be no more than a day's"))
        } else if !self.offline.is_subset(&self.databases) {
            Some(("grant.offline", "grant copies of databases that the post may ask"))
        } else if self.verb == Verb::CheckOnly && !self.offline.is_empty() {
            Some(("grant.offline", "grant no copy to a post that may only check"))
        } else if self.supplement && self.offline.is_empty() {
            Some(("grant.supplement", "say of which databases the post may hold copies"))
        } else {
            None
        }
    }

    /// Whether it is in force, was, or will be.
    pub fn term(&self, at: Timestamp) -> Term {
        match (self.from, self.until) {
            (_, Some(until)) if at >= until => Term::Ended(until),
            (Some(from), _) if at < from => Term::NotYet(from),
            _ => Term::InForce,
        }
    }
}

/// A post and what it is granted from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leave {
    /// The post's name.
    pub post: Name,
    /// Nothing any more, when there is none: the grant is withdrawn.
    pub grant: Option<Grant>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_that_contradicts_itself_names_the_field() {
        let airport = Grant {
            unit: Unit::Airport,
            verb: Verb::Search,
            databases: [7].into(),
            from: None,
            until: None,
            keys_per_minute: 60,
            keys_per_day: 60,
            offline: [7].into(),
            supplement: true,
        };
        assert_eq!(airport.fault(), None);
        let at = |millis| Some(Timestamp::from_millis(millis));
        for (grant, field) in [
            (Grant { from: at(2), until: at(2), ..airport.clone() }, "grant.until_ms"),
            (Grant { unit: Unit::EventTeam, ..airport.clone() }, "grant.until_ms"),
            (Grant { unit: Unit::Partner, ..airport.clone() }, "grant.verb"),
            (Grant { keys_per_minute: 61, ..airport.clone() }, "grant.keys_per_minute"),
            (Grant { offline: [7, 8].into(), ..airport.clone() }, "grant.offline"),
            (Grant { verb: Verb::CheckOnly, ..airport.clone() }, "grant.offline"),
            (Grant { offline: [].into(), ..airport.clone() }, "grant.supplement"),
        ] {
            assert_eq!(grant.fault().unwrap().0, field);
        }
        let (verb, offline) = (Verb::CheckOnly, BTreeSet::new());
        let partner = Grant { unit: Unit::Partner, verb, offline, supplement: false, ..airport };
        assert_eq!(partner.fault(), None);
    }

    #[test]
    fn a_grant_is_in_force_from_its_first_to_before_its_last_moment() {
        let at = Timestamp::from_millis;
        let grant = Grant {
            unit: Unit::EventTeam,
            verb: Verb::Search,
            databases: [7].into(),
            from: Some(at(1000)),
            until: Some(at(2000)),
            keys_per_minute: 60,
            keys_per_day: 1000,
            offline: BTreeSet::new(),
            supplement: false,
        };
        for (now, term) in [
            (999, Term::NotYet(at(1000))),
            (1000, Term::InForce),
            (1999, Term::InForce),
            (2000, Term::Ended(at(2000))),
            (3000, Term::Ended(at(2000))),
        ] {
            assert_eq!(grant.term(at(now)), term, "{now}");
        }
        let permanent = Grant { from: None, until: None, ..grant };
        assert_eq!(permanent.term(at(0)), Term::InForce);
        assert_eq!(permanent.term(at(u64::MAX)), Term::InForce);
    }
}
