//! Frames of many travel documents: they go out in one field, and come back with what was found or is wrong.
//!
//! A list of passengers is hardly ever anything but documents of which nothing is known. In one field it is a third
//! shorter, and its answer is next to nothing.

use i247_wire::pb;

/// The same frame with its documents in one field; none when it asks for anything else too, or for one alone.
pub fn packed(search: &pb::SearchRequest) -> Option<pb::SearchRequest> {
    if search.keys.len() < 2 || !search.documents.is_empty() {
        return None;
    }
    let document = |key: &pb::SearchKey| match &key.key {
        Some(pb::search_key::Key::TravelDocument(document)) => Some(document.clone()),
        _ => None,
    };
    let documents: Vec<pb::TravelDocumentKey> = search.keys.iter().map(document).collect::<Option<_>>()?;
    // What has no place there goes out as it is, and the hub says what is wrong with it.
    let documents = i247_wire::pack_documents(&documents).ok()?;
    Some(pb::SearchRequest { keys: Vec::new(), documents, ..search.clone() })
}

/// The answer to so many documents as if each had been a key: of those that are not in it there is no record.
pub fn unpacked(found: pb::SearchResponse, keys: usize) -> pb::SearchResponse {
    let none = pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..pb::KeyAnswer::default() };
    let mut answers = vec![none; keys];
    for (place, answer) in found.places.into_iter().zip(found.answers) {
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| answers.get_mut(place)) {
            *slot = answer;
        }
    }
    pb::SearchResponse { answers, as_of_position: found.as_of_position, places: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: &str, issuing_country: &str) -> pb::SearchKey {
        let document = pb::TravelDocumentKey {
            number: number.into(),
            issuing_country: issuing_country.into(),
            document_type: 1,
        };
        pb::SearchKey { key: Some(pb::search_key::Key::TravelDocument(document)) }
    }

    fn frame(keys: Vec<pb::SearchKey>) -> pb::SearchRequest {
        pb::SearchRequest { officer: "duty".into(), keys, ..pb::SearchRequest::default() }
    }

    #[test]
    fn many_documents_share_a_field_and_nothing_else_does() {
        let two = packed(&frame(vec![key("P1", "D"), key("P23", "UTO")])).unwrap();
        assert_eq!((two.officer.as_str(), &two.documents[..]), ("duty", &b"\x06\x01D<<P1\x07\x01UTOP23"[..]));
        assert!(two.keys.is_empty());
        assert_eq!(packed(&frame(vec![key("P1", "D")])), None, "one is answered in any case");
        let zone = pb::SearchKey { key: Some(pb::search_key::Key::Mrz("P<".into())) };
        assert_eq!(packed(&frame(vec![key("P1", "D"), zone])), None);
        assert_eq!(packed(&frame(vec![key("P1", "D"), key("P1", "FRANCE")])), None);
    }

    #[test]
    fn whatever_is_not_in_the_answer_is_not_recorded() {
        use pb::SearchResult::{Match, NoRecord};
        let found = pb::KeyAnswer { result: Match.into(), ..pb::KeyAnswer::default() };
        let answered = |places: &[u32]| pb::SearchResponse {
            answers: vec![found.clone(); places.len()],
            as_of_position: 7,
            places: places.to_vec(),
        };
        let results = |found: pb::SearchResponse| -> Vec<_> {
            found.answers.iter().map(pb::KeyAnswer::result).collect()
        };
        let whole = unpacked(answered(&[1]), 3);
        assert_eq!((whole.as_of_position, whole.places.len()), (7, 0));
        assert_eq!(results(whole), [NoRecord, Match, NoRecord]);
        assert_eq!(results(unpacked(answered(&[]), 2)), [NoRecord, NoRecord]);
        // A place that was not asked about is nobody's.
        assert_eq!(results(unpacked(answered(&[2, 0]), 2)), [Match, NoRecord]);
    }
}
