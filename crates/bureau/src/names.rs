//! Finds a message by its id or by a prefix that only one message has. It knows ids and nothing else.

use std::collections::BTreeMap;

use i247_model::{MessageId, Reason, Refusal};

/// How many candidates an ambiguous prefix is answered with.
const CANDIDATES: usize = 3;

/// The ids of all messages that this bureau sent or received, as text in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(BTreeMap<String, MessageId>);

impl Names {
    /// Adds an id; adding it again changes nothing.
    pub(crate) fn add(&mut self, id: &MessageId) {
        self.0.insert(id.to_string(), id.clone());
    }

    /// The message of this id, or the only one whose id begins so.
    pub(crate) fn find(&self, text: &str, field: &str) -> Result<MessageId, Refusal> {
        if let Some(id) = self.0.get(text) {
            return Ok(id.clone());
        }
        let unknown =
            |next_step: String| Refusal { next_step, ..Refusal::of(Reason::UnknownReference, field) };
        if text.is_empty() {
            return Err(unknown("name a message by its id or the beginning of it".into()));
        }
        let mut found = self.0.range(text.to_owned()..).take_while(|(name, _)| name.starts_with(text));
        let Some((first, id)) = found.next() else {
            return Err(unknown(format!(
                "no message here begins with {}; list the inbox and the outbox for the ids",
                shortened(text)
            )));
        };
        let others: Vec<&str> = found.take(CANDIDATES - 1).map(|(name, _)| name.as_str()).collect();
        if others.is_empty() {
            return Ok(id.clone());
        }
        Err(unknown(format!(
            "several messages begin so: {first}, {}; give more of the id",
            others.join(", ")
        )))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for id in ["FR-1-N-1", "FR-1-N-10", "FR-1-U-3", "BR-1-U-7"] {
            names.add(&id.parse().unwrap());
        }
        names
    }

    #[test]
    fn a_whole_id_wins_over_longer_ones_that_begin_with_it() {
        assert_eq!(names().find("FR-1-N-1", "id").unwrap().to_string(), "FR-1-N-1");
    }

    #[test]
    fn a_unique_prefix_is_enough() {
        assert_eq!(names().find("BR", "id").unwrap().to_string(), "BR-1-U-7");
        assert_eq!(names().find("FR-1-U", "id").unwrap().to_string(), "FR-1-U-3");
    }

    #[test]
    fn an_ambiguous_or_unknown_prefix_is_refused_with_what_to_do() {
        let ambiguous = names().find("FR-1", "id").unwrap_err();
        assert_eq!(
            ambiguous.next_step,
            "several messages begin so: FR-1-N-1, FR-1-N-10, FR-1-U-3; give more of the id"
        );
        assert_eq!(names().find("JP", "id").unwrap_err().reason, Reason::UnknownReference);
        assert_eq!(names().find("", "refers_to").unwrap_err().fields, ["refers_to"]);
    }
}
