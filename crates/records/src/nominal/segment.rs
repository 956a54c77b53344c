//! Persons who do not change any more, and the inverted index over their keys.
//!
//! The index is tantivy's, in memory, written by its writer of a single segment: the one that starts no thread.
//! What tantivy gives is the dictionary of keys and the packed lists of who has them; the persons themselves lie
//! beside it, since thousands of them are looked at for each question. Nothing here knows what a good match is.

use std::sync::Arc;

use tantivy::directory::RamDirectory;
use tantivy::schema::{Field, INDEXED, IndexRecordOption, Schema};
use tantivy::{Index, IndexSettings, InvertedIndexReader, SegmentReader, TantivyDocument, Term};

use super::keys::{Bits, Kind, keys_of};
use super::{NominalError, Person};

/// For how much memory the writer prepares; it takes more where it needs more.
const WRITER_BYTES: usize = 16 << 20;

/// Persons in the order in which they came, with their index.
pub(super) struct Segment {
    lists: Vec<(Field, Arc<InvertedIndexReader>)>,
    locators: Vec<u64>,
    /// The persons, packed, one after the other.
    packed: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Segment {
    /// Indexes these persons; there must be one at least.
    pub(super) fn build(
        persons: impl Iterator<Item = Result<Person, NominalError>>,
    ) -> Result<Self, NominalError> {
        let mut schema = Schema::builder();
        let fields = Kind::ALL.map(|kind| schema.add_u64_field(&format!("{kind:?}").to_lowercase(), INDEXED));
        // Nothing is kept in the store of documents, and no thread compresses it.
        let settings =
            IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
        let index = Index::builder().schema(schema.build()).settings(settings);
        let mut writer = index.single_segment_index_writer(RamDirectory::create(), WRITER_BYTES)?;
        let (mut locators, mut packed, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for person in persons {
            let person = person?;
            let mut document = TantivyDocument::new();
            for (kind, key) in keys_of(&person) {
                document.add_u64(fields[kind as usize], key);
            }
            writer.add_document(document)?;
            locators.push(person.locator);
            packed = postcard::to_extend(&person, packed)?;
            ends.push(packed.len());
        }
        let index = writer.finalize()?;
        let segments = index.searchable_segments()?;
        let reader = SegmentReader::open(segments.first().ok_or(NominalError::Empty)?)?;
        let mut lists = Vec::with_capacity(fields.len());
        for field in fields {
            lists.push((field, reader.inverted_index(field)?));
        }
        packed.shrink_to_fit();
        Ok(Self { lists, locators, packed, ends })
    }

    /// How many persons.
    pub(super) fn len(&self) -> usize {
        self.locators.len()
    }

    /// The locator of the person at this place.
    pub(super) fn locator(&self, place: usize) -> u64 {
        self.locators[place]
    }

    /// The person at this place.
    pub(super) fn person(&self, place: usize) -> Result<Person, NominalError> {
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        Ok(postcard::from_bytes(&self.packed[begin..self.ends[place]])?)
    }

    /// The bits of each person, by place.
    pub(super) fn bits(&self, asked: &[(Kind, u64, Bits)]) -> Result<Vec<Bits>, NominalError> {
        let mut bits = vec![0; self.len()];
        for (kind, key, shared) in asked {
            let (field, list) = &self.lists[*kind as usize];
            let term = Term::from_field_u64(*field, *key);
            let Some(mut postings) = list.read_block_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            while !postings.docs().is_empty() {
                for place in postings.docs() {
                    bits[*place as usize] |= shared;
                }
                postings.advance();
            }
        }
        Ok(bits)
    }
}
