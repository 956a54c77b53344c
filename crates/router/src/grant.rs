//! What bureaus grant their posts. A grant counts by its own times: nothing is entered when one begins or ends.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{CountryCode, Grant, Kind, Leave, Name, Reason, Refusal, Sender, Term, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Origin, Stamp, State, Submission};

/// Most grants of one country, those that ended lately included.
pub const GRANTS_MAX: usize = 4096;

/// How long a grant that has ended is remembered, so that its post can be told that it did.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A grant and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// What is granted.
    pub grant: Grant,
    /// When.
    pub since: Timestamp,
    /// Which entry.
    pub position: u64,
}

/// The newest grant of each post that has one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grants(BTreeMap<CountryCode, BTreeMap<Name, Granted>>);

impl Grants {
    pub(crate) fn find(&self, country: CountryCode, post: &Name) -> Option<&Granted> {
        self.0.get(&country)?.get(post)
    }

    pub(crate) fn of(&self, country: CountryCode) -> impl Iterator<Item = (&Name, &Granted)> {
        self.0.get(&country).into_iter().flatten()
    }

    /// The first end of a grant after this moment.
    pub(crate) fn next_end(&self, after: Timestamp) -> Option<Timestamp> {
        let all = self.0.values().flat_map(BTreeMap::values);
        all.filter_map(|granted| granted.grant.until).filter(|until| *until > after).min()
    }

    pub(crate) fn apply(&mut self, stamp: Stamp, country: CountryCode, leave: &Leave) {
        let posts = self.0.entry(country).or_default();
        posts.retain(|_, granted| !is_forgotten(&granted.grant, stamp.at));
        match &leave.grant {
            Some(grant) => {
                let granted = Granted { grant: grant.clone(), since: stamp.at, position: stamp.position };
                posts.insert(leave.post.clone(), granted);
            }
            None => drop(posts.remove(&leave.post)),
        }
        if posts.is_empty() {
            self.0.remove(&country);
        }
    }
}

/// What a grant must keep. That only a bureau grants, to the secretariat and in its own name, is said elsewhere.
///
/// # Errors
/// `WRONG_FIELD` with the field, or `UNKNOWN_REFERENCE` when nothing is there to be withdrawn.
pub(crate) fn check(state: &State, stamp: Stamp, submission: &Submission) -> Result<(), Refusal> {
    let header = &submission.header;
    if header.kind != Kind::Grant {
        return Ok(());
    }
    let wrong =
        |field: &str, next_step: String| Err(Refusal { next_step, ..Refusal::of(Reason::WrongField, field) });
    // What was accepted in time may come back late, and after what it withdraws was forgotten.
    let comes_back = submission.origin != Origin::Sender;
    let (Sender::Bureau(country), Some(leave)) = (&header.id.sender, &submission.lifted.leave) else {
        return Err(Refusal::of(Reason::MissingData, "grant"));
    };
    let grants = &state.directory.grants;
    let Some(grant) = &leave.grant else {
        if comes_back || grants.find(*country, &leave.post).is_some() {
            return Ok(());
        }
        let next_step = format!("{} is granted nothing: `i247 post list` shows who is", leave.post);
        return Err(Refusal { next_step, ..Refusal::of(Reason::UnknownReference, "grant.post") });
    };
    if let Some((field, next_step)) = grant.fault() {
        return wrong(field, next_step.to_owned());
    }
    if matches!(grant.term(stamp.at), Term::Ended(_)) && !comes_back {
        return wrong("grant.until_ms", "let the grant end later than now".to_owned());
    }
    let remembered = grants.of(*country).filter(|(_, granted)| !is_forgotten(&granted.grant, stamp.at));
    if grants.find(*country, &leave.post).is_none() && remembered.count() >= GRANTS_MAX {
        return wrong("grant.post", format!("{GRANTS_MAX} posts have grants: withdraw one that needs none"));
    }
    Ok(())
}

fn is_forgotten(grant: &Grant, at: Timestamp) -> bool {
    grant.until.is_some_and(|until| until.plus(REMEMBERED) <= at)
}
