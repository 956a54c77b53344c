//! Grants: what a bureau allows its posts.

use std::collections::BTreeSet;

use i247_model::{Grant, Leave, Refusal, Timestamp, Unit, Verb};

use crate::notice::Missing;
use crate::{known, malformed, parsed, pb, same_variants};

same_variants!(
    "grant.unit",
    pb::PostUnit,
    Unit,
    BorderCrossing,
    Airport,
    SeaPort,
    Customs,
    Immigration,
    Police,
    Wildlife,
    EventTeam,
    Partner,
);

same_variants!("grant.verb", pb::PostVerb, Verb, Search, CheckOnly);

/// The grant in its form, and what it lacks.
///
/// # Errors
/// `MALFORMED` with the field when something is not what it should be.
pub(crate) fn leave(form: &pb::Grant) -> Result<(Option<Leave>, Vec<String>), Refusal> {
    let mut missing = Missing::default();
    missing.text("grant", "post", &form.post);
    if !form.withdrawn {
        missing.unless(form.unit() != pb::PostUnit::Unspecified, "grant", "unit");
        missing.unless(form.verb() != pb::PostVerb::Unspecified, "grant", "verb");
        missing.unless(!form.databases.is_empty(), "grant", "databases");
        missing.unless(form.keys_per_minute > 0, "grant", "keys_per_minute");
        missing.unless(form.keys_per_day > 0, "grant", "keys_per_day");
    }
    if !missing.0.is_empty() {
        return Ok((None, missing.0));
    }
    Ok((Some(Leave::try_from(form)?), Vec::new()))
}

/// Whole grants only: what lacks something is none.
impl TryFrom<&pb::Grant> for Leave {
    type Error = Refusal;

    fn try_from(form: &pb::Grant) -> Result<Self, Refusal> {
        let post = parsed(&form.post, "grant.post")?;
        if form.withdrawn {
            let bare = pb::Grant { post: form.post.clone(), withdrawn: true, ..Default::default() };
            if *form != bare {
                return Err(malformed("grant.withdrawn"));
            }
            return Ok(Self { post, grant: None });
        }
        let grant = Grant {
            unit: known::<pb::PostUnit, _>(form.unit, "grant.unit")?,
            verb: known::<pb::PostVerb, _>(form.verb, "grant.verb")?,
            databases: databases(&form.databases, "grant.databases")?,
            from: time(form.from_ms),
            until: time(form.until_ms),
            keys_per_minute: form.keys_per_minute,
            keys_per_day: form.keys_per_day,
            offline: databases(&form.offline, "grant.offline")?,
            supplement: form.supplement,
        };
        Ok(Self { post, grant: Some(grant) })
    }
}

impl From<&Leave> for pb::Grant {
    fn from(leave: &Leave) -> Self {
        let post = leave.post.to_string();
        let Some(grant) = &leave.grant else { return Self { post, withdrawn: true, ..Self::default() } };
        let numbers = |databases: &BTreeSet<u8>| databases.iter().map(|number| i32::from(*number)).collect();
        let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
        Self {
            post,
            unit: pb::PostUnit::from(grant.unit).into(),
            verb: pb::PostVerb::from(grant.verb).into(),
            databases: numbers(&grant.databases),
            from_ms: millis(grant.from),
            until_ms: millis(grant.until),
            keys_per_minute: grant.keys_per_minute,
            keys_per_day: grant.keys_per_day,
            withdrawn: false,
            offline: numbers(&grant.offline),
            supplement: grant.supplement,
        }
    }
}

fn databases(numbers: &[i32], field: &str) -> Result<BTreeSet<u8>, Refusal> {
    let wrong = || malformed(field);
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(wrong());
    }
    let mut databases = BTreeSet::new();
    for number in numbers {
        let known = pb::Database::try_from(*number).map_err(|_| wrong())?;
        if known == pb::Database::Unspecified {
            return Err(wrong());
        }
        databases.insert(u8::try_from(*number).map_err(|_| wrong())?);
    }
    Ok(databases)
}

/// 0 stands for no time.
fn time(millis: u64) -> Option<Timestamp> {
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use i247_model::Reason;

    use super::*;

    fn airport() -> pb::Grant {
        pb::Grant {
            post: "cdg".into(),
            unit: pb::PostUnit::Airport.into(),
            verb: pb::PostVerb::Search.into(),
            databases: vec![pb::Database::Sltd.into(), pb::Database::Tdawn.into()],
            from_ms: 1000,
            until_ms: 2000,
            keys_per_minute: 60,
            keys_per_day: 10_000,
            withdrawn: false,
            offline: vec![pb::Database::Tdawn.into()],
            supplement: true,
        }
    }

    #[test]
    fn a_grant_and_its_withdrawal_come_back_as_they_were() {
        let withdrawn = pb::Grant { post: "cdg".into(), withdrawn: true, ..Default::default() };
        for form in [airport(), withdrawn] {
            let (leave, missing) = leave(&form).unwrap();
            assert!(missing.is_empty());
            assert_eq!(pb::Grant::from(&leave.unwrap()), form);
        }
    }

    #[test]
    fn what_a_grant_lacks_is_named_whole() {
        let (none, missing) = leave(&pb::Grant::default()).unwrap();
        assert_eq!(none, None);
        let fields = ["post", "unit", "verb", "databases", "keys_per_minute", "keys_per_day"];
        assert_eq!(missing, fields.map(|field| format!("grant.{field}")));
        let bare = pb::Grant { withdrawn: true, ..Default::default() };
        assert_eq!(leave(&bare).unwrap().1, ["grant.post"]);
    }

    #[test]
    fn what_is_no_grant_is_malformed() {
        type Change = fn(&mut pb::Grant);
        let cases: [(Change, &str); 5] = [
            (|grant| grant.post = "CDG".into(), "grant.post"),
            (|grant| grant.databases = vec![8, 7], "grant.databases"),
            (|grant| grant.databases = vec![20], "grant.databases"),
            (|grant| grant.offline = vec![8, 8], "grant.offline"),
            (|grant| grant.withdrawn = true, "grant.withdrawn"),
        ];
        for (change, field) in cases {
            let mut form = airport();
            change(&mut form);
            let refusal = leave(&form).unwrap_err();
            assert_eq!((refusal.reason, refusal.fields), (Reason::Malformed, vec![field.to_owned()]));
        }
        // A kind of unit that a later version has: there is none for this one.
        assert_eq!(leave(&pb::Grant { unit: 99, ..airport() }).unwrap().1, ["grant.unit"]);
    }
}
