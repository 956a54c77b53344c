//! What the console says of each rule in the languages that are not English is all there, with the same values and the
//! same commands in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{RULES, Rule};

/// What the console says of a rule.
#[derive(Deserialize)]
struct Told {
    watches: String,
    #[serde(rename = "do")]
    next_step: String,
    says: BTreeMap<String, String>,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.into_iter().flatten()
}

/// The names of the values in a text.
fn values(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

#[test]
fn every_rule_is_told_in_every_language_of_the_console() {
    for (language, text) in [
        ("ar", include_str!("../../../console/web/src/words/alerts/ar.json")),
        ("es", include_str!("../../../console/web/src/words/alerts/es.json")),
        ("fr", include_str!("../../../console/web/src/words/alerts/fr.json")),
    ] {
        let words: BTreeMap<String, Told> = serde_json::from_str(text).unwrap();
        let told: BTreeSet<&str> = words.keys().map(String::as_str).collect();
        assert_eq!(told, rules().map(|rule| rule.name).collect(), "{language}");
        for rule in rules() {
            let Told { watches, next_step, says } = &words[rule.name];
            assert!(!watches.is_empty() && watches != rule.about, "{language}: {}", rule.name);
            // Commands are the same everywhere, and so are the places of what they are about.
            for word in ["COUNTRY", "MESSAGE", "i247 ", "REQUEST", "DATA"] {
                let same = next_step.matches(word).count() == rule.next_step.matches(word).count();
                assert!(same, "{language}: {}: {next_step}", rule.name);
            }
            let named: BTreeSet<&str> = rule.phrases.iter().map(|phrase| phrase.name).collect();
            assert_eq!(named.len(), rule.phrases.len(), "{} calls two phrases the same", rule.name);
            assert_eq!(says.keys().map(String::as_str).collect::<BTreeSet<_>>(), named, "{language}");
            for phrase in rule.phrases {
                let there = &says[phrase.name];
                assert_eq!(values(there), values(phrase.english), "{language}: {}: {there}", rule.name);
                assert_ne!(there, phrase.english, "{language}: {}", rule.name);
            }
        }
    }
}
