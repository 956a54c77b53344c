//! A country's posts, for people.

use i247_client::pb;

use super::check::database;
use super::table::{moment, table, word};

/// The country's posts: what each is granted, and how it stands.
pub(crate) fn posts(posts: &pb::ListPostsResponse) -> String {
    let rows = posts.posts.iter().map(|post| {
        let grant = post.grant.clone().unwrap_or_default();
        let databases: Vec<&str> = grant.databases().map(database).collect();
        vec![
            grant.post.clone(),
            word(grant.unit().as_str_name(), "POST_UNIT_"),
            word(post.state().as_str_name(), "POST_STATE_"),
            word(grant.verb().as_str_name(), "POST_VERB_"),
            databases.join(" "),
            offline(&grant),
            moment(grant.from_ms),
            moment(grant.until_ms),
            format!("{} / {}", grant.keys_per_minute, grant.keys_per_day),
            post.keys_today.to_string(),
            post.connections.to_string(),
            post.position.to_string(),
        ]
    });
    let header = [
        "POST",
        "UNIT",
        "STATE",
        "MAY",
        "DATABASES",
        "OFFLINE",
        "FROM (UTC)",
        "UNTIL (UTC)",
        "KEYS MIN / DAY",
        "TODAY",
        "OPEN",
        "ENTRY",
    ];
    format!("{}\n\nAs of entry {}.", table(&header, rows.collect()), posts.directory_position)
}

/// Of which it may hold copies, and of what.
fn offline(grant: &pb::Grant) -> String {
    let databases: Vec<&str> = grant.offline().map(database).collect();
    match (databases.as_slice(), grant.supplement) {
        ([], _) => "-".to_owned(),
        (_, true) => format!("{} whole", databases.join(" ")),
        (_, false) => format!("{} base", databases.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_with_what_they_are_granted() {
        let grant = pb::Grant {
            post: "cdg".into(),
            unit: pb::PostUnit::SeaPort.into(),
            verb: pb::PostVerb::CheckOnly.into(),
            databases: vec![7, 10],
            offline: vec![7],
            until_ms: 86_400_000,
            keys_per_minute: 120,
            keys_per_day: 20_000,
            ..Default::default()
        };
        let listed = pb::ListPostsResponse {
            directory_position: 9,
            posts: vec![pb::PostRecord {
                grant: Some(grant),
                state: pb::PostState::InForce.into(),
                position: 8,
                since_ms: 1,
                connections: 2,
                keys_today: 31,
            }],
        };
        assert_eq!(
            anstream::adapter::strip_str(&posts(&listed)).to_string(),
            "POST  UNIT      STATE     MAY         DATABASES      OFFLINE    FROM (UTC)  UNTIL (UTC)          KEYS MIN / DAY  TODAY  OPEN  ENTRY
cdg   sea port  in force  check only  sltd dial-doc  sltd base  -           1970-01-02 00:00:00  120 / 20000     31     2     8

As of entry 9."
        );
    }
}
