//! The pages have a word for everything that the hub names: where there is none, a reader of Arabic gets English.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::collections::BTreeMap;

use i247_client::pb;
use i247_model::{Kind, Reason, Region};

/// The names of an enum of the protocol, without what they begin with.
fn names<E: TryFrom<i32>>(name: impl Fn(&E) -> &'static str, begin: &str) -> Vec<String> {
    let all = (1..64).filter_map(|number| E::try_from(number).ok());
    all.map(|one| name(&one).strip_prefix(begin).unwrap().to_owned()).collect()
}

#[test]
fn everything_that_the_hub_names_has_a_word_in_every_language() {
    let groups: [(&str, Vec<String>); 12] = [
        ("reason", Reason::ALL.iter().map(ToString::to_string).collect()),
        ("kind", Kind::ALL.iter().map(ToString::to_string).collect()),
        ("region", Region::ALL.iter().map(ToString::to_string).collect()),
        ("lane", names(pb::Lane::as_str_name, "LANE_")),
        ("database", names(pb::Database::as_str_name, "DATABASE_")),
        ("recipient", names(pb::RecipientState::as_str_name, "RECIPIENT_STATE_")),
        ("answer", names(pb::AnswerState::as_str_name, "ANSWER_STATE_")),
        // Those that admit: who does not receive is not on the pages.
        ("rule", names(pb::Rule::as_str_name, "RULE_").into_iter().take(7).collect()),
        ("standing", names(pb::Standing::as_str_name, "STANDING_")),
        ("notice", names(pb::NoticeState::as_str_name, "NOTICE_STATE_")),
        ("hit", names(pb::HitState::as_str_name, "HIT_STATE_")),
        ("severity", names(pb::AlertSeverity::as_str_name, "ALERT_SEVERITY_")),
    ];
    for (language, text) in [
        ("en", include_str!("../web/src/words/en.json")),
        ("fr", include_str!("../web/src/words/fr.json")),
        ("es", include_str!("../web/src/words/es.json")),
        ("ar", include_str!("../web/src/words/ar.json")),
    ] {
        let words: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        for (group, names) in &groups {
            assert!(!names.is_empty(), "{group}");
            for name in names {
                let key = format!("{group}.{}", name.to_lowercase().replace([' ', '-'], "_"));
                assert!(words.get(&key).is_some_and(|word| !word.is_empty()), "{language} lacks {key}");
            }
        }
    }
}
