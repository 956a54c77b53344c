//! What stands in the databases and what does not, and the rule by which every answer is judged. It reads the files that
//! were loaded, and nothing of how they are found.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use i247_ledger::faults::Dice;
use i247_wire::pb;

/// One key in so many is recorded, as in the traffic of border posts.
pub(crate) const RECORDED: u64 = 15_000;

/// Records that each asker asks for again and again where every key hits.
pub(crate) const OWN_HITS: usize = 1024;

/// Leads from one record to another far from it, and to every one in the end: a prime.
const STRIDE: usize = 7_368_787;

/// A document of which a file speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Document {
    /// What a record of it is called: country, type and number.
    pub(crate) name: Box<str>,
    kind: pb::TravelDocumentType,
}

impl Document {
    /// That of a line; none for a range of blanks.
    fn of_line(line: &str) -> Result<Option<Self>> {
        let mut cells = line.split(',');
        let mut cell = || cells.next().context("a line with too few cells");
        let (number, last, country, kind) = (cell()?, cell()?, cell()?, cell()?);
        if !last.is_empty() {
            return Ok(None);
        }
        let name = format!("{country}/{kind}/{number}").into();
        let kind = pb::TravelDocumentType::from_str_name(&format!("TRAVEL_DOCUMENT_TYPE_{kind}"));
        Ok(Some(Self { name, kind: kind.context("a type of document that there is not")? }))
    }

    /// How it is asked for.
    fn key(&self) -> pb::SearchKey {
        pb::SearchKey { key: Some(pb::search_key::Key::TravelDocument(self.asked())) }
    }

    fn asked(&self) -> pb::TravelDocumentKey {
        let country = self.name.split('/').next().unwrap_or_default();
        let number = self.name.rsplit('/').next().unwrap_or_default();
        pb::TravelDocumentKey {
            number: number.into(),
            issuing_country: country.into(),
            document_type: self.kind.into(),
        }
    }
}

/// All documents of a file, as `i247 records generate` writes it.
///
/// # Errors
/// When it is something else.
pub(crate) fn read(file: &Path) -> Result<Vec<Document>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut documents = Vec::new();
    for line in text.lines().skip(1) {
        documents.extend(Document::of_line(line)?);
    }
    ensure!(!documents.is_empty(), "{}: no documents", file.display());
    Ok(documents)
}

/// What can be asked for.
#[derive(Debug)]
pub(crate) struct Planted {
    /// Recorded, for everybody to find.
    pub(crate) there: Vec<Document>,
    /// Of a file that nobody loaded.
    pub(crate) absent: Vec<Document>,
}

/// How often a key hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hits {
    /// One key in [`RECORDED`].
    Recorded,
    /// Every key: the asker's own [`OWN_HITS`] in turn.
    Every,
}

/// One key of a question, by its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pick {
    There(usize),
    Absent(usize),
}

/// The keys of one frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question(pub(crate) Vec<Pick>);

impl Planted {
    pub(crate) fn document(&self, pick: Pick) -> &Document {
        match pick {
            Pick::There(place) => &self.there[place],
            Pick::Absent(place) => &self.absent[place],
        }
    }

    /// The names of the records that must be found, in the order of the keys.
    pub(crate) fn due<'a>(&'a self, question: &'a Question) -> impl Iterator<Item = &'a str> {
        let there = question.0.iter().filter(|pick| matches!(pick, Pick::There(_)));
        there.map(|pick| &*self.document(*pick).name)
    }

    /// The frame that asks it.
    pub(crate) fn frame(&self, question: &Question) -> pb::SearchRequest {
        frame(question.0.iter().map(|pick| self.document(*pick)))
    }

    /// Holds an answer against what is planted.
    ///
    /// # Errors
    /// When any key got another answer than it must.
    pub(crate) fn judge(&self, question: &Question, found: &pb::SearchResponse) -> Result<()> {
        if question.0.len() > 1 {
            return self.judge_documents(question, found);
        }
        ensure!(found.answers.len() == question.0.len(), "not one answer for each key");
        for (pick, answer) in question.0.iter().zip(&found.answers) {
            let right = match pick {
                Pick::Absent(_) => is_nothing(answer),
                Pick::There(place) => self.is_found(*place, answer),
            };
            if !right {
                bail!("{pick:?}, {}: {answer:?}", self.document(*pick).name);
            }
        }
        Ok(())
    }

    /// Of documents those alone are answered that are there.
    fn judge_documents(&self, question: &Question, found: &pb::SearchResponse) -> Result<()> {
        ensure!(found.answers.len() == found.places.len(), "not one place for each answer");
        let mut answers = found.places.iter().zip(&found.answers);
        for (at, pick) in (0..).zip(&question.0) {
            let Pick::There(place) = pick else { continue };
            let answer = answers.next().filter(|(place_of, _)| **place_of == at);
            if !answer.is_some_and(|(_, answer)| self.is_found(*place, answer)) {
                bail!("{pick:?}, {}: {answer:?}", self.document(*pick).name);
            }
        }
        ensure!(answers.next().is_none(), "a record of a document that is not there");
        Ok(())
    }

    fn is_found(&self, place: usize, answer: &pb::KeyAnswer) -> bool {
        answer.result() == pb::SearchResult::Match
            && answer.found.len() == 1
            && answer.found[0].name == *self.there[place].name
    }
}

/// Whether nothing was found, and nothing was wrong with the key.
pub(crate) fn is_nothing(answer: &pb::KeyAnswer) -> bool {
    answer.result() == pb::SearchResult::NoRecord && answer.found.is_empty() && answer.refusal.is_none()
}

/// A frame that asks for these documents: one at a border as a key, many of a list of passengers in one field.
pub(crate) fn frame<'a>(documents: impl Iterator<Item = &'a Document>) -> pb::SearchRequest {
    let documents: Vec<&Document> = documents.collect();
    let common = pb::SearchRequest {
        officer: "duty".into(),
        station: "airport".into(),
        databases: vec![pb::Database::Sltd.into()],
        ..pb::SearchRequest::default()
    };
    if let [one] = documents[..] {
        return pb::SearchRequest {
            purpose: pb::Purpose::BorderControl.into(),
            keys: vec![one.key()],
            ..common
        };
    }
    let asked: Vec<pb::TravelDocumentKey> = documents.into_iter().map(Document::asked).collect();
    // What `i247 records generate` writes has a place.
    let documents = i247_wire::pack_documents(&asked).unwrap_or_default();
    pb::SearchRequest { purpose: pb::Purpose::Screening.into(), documents, ..common }
}

/// What one asker asks, question by question.
pub(crate) struct Script {
    planted: Arc<Planted>,
    hits: Hits,
    /// Keys of a question.
    keys: usize,
    asker: usize,
    asked: usize,
    dice: Dice,
}

impl Script {
    /// The script of the `asker`th; others have other keys.
    pub(crate) fn new(planted: Arc<Planted>, hits: Hits, keys: usize, asker: usize) -> Self {
        let dice = Dice::new(0x5eed ^ ((asker as u64) << 32));
        Self { planted, hits, keys, asker, asked: 0, dice }
    }

    /// The next question.
    pub(crate) fn next(&mut self) -> Question {
        let question = (0..self.keys).map(|_| self.pick()).collect();
        Question(question)
    }

    fn pick(&mut self) -> Pick {
        let (there, absent) = (self.planted.there.len(), self.planted.absent.len());
        match self.hits {
            Hits::Every => {
                let nth = self.asker * OWN_HITS + self.asked % OWN_HITS;
                self.asked += 1;
                Pick::There(nth.wrapping_mul(STRIDE) % there)
            }
            Hits::Recorded if self.dice.one_in(RECORDED) => {
                Pick::There(self.dice.below(there as u64) as usize)
            }
            Hits::Recorded => Pick::Absent(self.dice.below(absent as u64) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn document(name: &str) -> Document {
        Document { name: name.into(), kind: pb::TravelDocumentType::Passport }
    }

    fn answer(result: pb::SearchResult, name: &str) -> pb::KeyAnswer {
        let record = pb::FoundRecord { name: name.into(), ..pb::FoundRecord::default() };
        let found = if name.is_empty() { Vec::new() } else { vec![record] };
        pb::KeyAnswer { result: result.into(), found, ..pb::KeyAnswer::default() }
    }

    #[test]
    fn a_line_is_a_document_and_a_range_of_blanks_is_none() {
        let line = "AAC0A1B2C,,FRA,ID_CARD,LOST_BEARER,,2020-01-02";
        let read = Document::of_line(line).unwrap().unwrap();
        assert_eq!((&*read.name, read.kind), ("FRA/ID_CARD/AAC0A1B2C", pb::TravelDocumentType::IdCard));
        let Some(pb::search_key::Key::TravelDocument(key)) = read.key().key else { panic!() };
        assert_eq!((key.number.as_str(), key.issuing_country.as_str()), ("AAC0A1B2C", "FRA"));
        assert_eq!(Document::of_line("W1,W9,FRA,PASSPORT,STOLEN_BLANK,,2020-01-02").unwrap(), None);
        assert!(Document::of_line("AAC0A1B2C,,FRA,PASSEPORT,LOST_BEARER,,").is_err());
    }

    #[test]
    fn an_answer_is_right_or_spoils_the_measurement() {
        use pb::SearchResult::{Match, NoRecord, Possible};
        let planted =
            Planted { there: vec![document("FRA/PASSPORT/A")], absent: vec![document("FRA/PASSPORT/B")] };
        let judge = |question: &[Pick], answers: &[&pb::KeyAnswer], places: &[u32]| {
            let answers = answers.iter().map(|answer| (*answer).clone()).collect();
            let places = places.to_vec();
            let found = pb::SearchResponse { answers, places, as_of_position: 1 };
            planted.judge(&Question(question.to_vec()), &found).is_ok()
        };
        let (there, absent) = (Pick::There(0), Pick::Absent(0));
        let (hit, miss) = (answer(Match, "FRA/PASSPORT/A"), answer(NoRecord, ""));
        let possible = answer(Possible, "FRA/PASSPORT/A");
        let other = answer(Match, "FRA/PASSPORT/C");

        assert!(judge(&[there], &[&hit], &[]));
        assert!(judge(&[absent], &[&miss], &[]));
        for wrong in [&miss, &possible, &other] {
            assert!(!judge(&[there], &[wrong], &[]));
        }
        assert!(!judge(&[there], &[], &[]));
        assert!(!judge(&[absent], &[&hit], &[]));
        assert!(!judge(&[absent], &[&pb::KeyAnswer::default()], &[]));

        assert!(judge(&[absent, there], &[&hit], &[1]));
        assert!(!judge(&[absent, there], &[], &[]));
        assert!(!judge(&[absent, there], &[&hit], &[0]));
        assert!(!judge(&[absent, there], &[&hit], &[]));
        assert!(!judge(&[absent, there], &[&possible], &[1]));
        assert!(!judge(&[absent, there], &[&hit, &hit], &[1, 2]));
        assert!(!judge(&[absent, absent], &[&hit], &[0]));
    }

    #[test]
    fn each_asker_has_its_own_hits_and_the_rest_hits_as_often_as_is_recorded() {
        let document = |n: usize| document(&format!("FRA/PASSPORT/{n}"));
        let planted = Arc::new(Planted {
            there: (0..100_000).map(document).collect(),
            absent: (0..10).map(document).collect(),
        });
        let own = |asker| -> BTreeSet<String> {
            let mut script = Script::new(planted.clone(), Hits::Every, 256, asker);
            let questions: Vec<Question> = (0..8).map(|_| script.next()).collect();
            questions.iter().flat_map(|one| planted.due(one)).map(str::to_owned).collect()
        };
        assert_eq!((own(0).len(), own(1).len()), (OWN_HITS, OWN_HITS));
        assert!(own(0).is_disjoint(&own(1)));
        let mut script = Script::new(planted.clone(), Hits::Recorded, 1000, 3);
        let hits: usize = (0..1500).map(|_| planted.due(&script.next()).count()).sum();
        assert!((50..200).contains(&hits), "{hits} of 1,500,000 keys");
    }
}
