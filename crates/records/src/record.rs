//! Records: what a database holds about one document, thing, person or trace, typed and valid by construction.
//!
//! ```text
//!  pb::Record ──► Record::from_wire ──►┐                        ┌──► name: which record it is
//!  columns ─────► Record::from_row ───►├─ Record (every rule) ──┼──► keys: by what it is found
//!  Record::new ───────────────────────►┘                        └──► encode: its only bytes
//! ```
//!
//! A record does not say when it was accepted or by which message it came: that is where it lies in the log.

mod change;
mod content;
mod generic;
mod key;
mod line;
mod name;
mod paper;
mod person;
mod thing;
mod trace;
pub(crate) mod value;

use i247_model::{CountryCode, Party};
use i247_wire::pb;
use prost::Message as _;

use crate::database::{Database, KeyKind, Retention, Writers};
use crate::date::Date;

pub use change::{Change, MAX_CHANGE_BYTES};
pub use content::Content;
pub use generic::{Attribute, GenericRecord};
pub use key::Key;
pub use line::{
    Centimetres, Code, Edition, Line, Millimetres, Number, Paragraph, PartialDate, Quality, Reference,
    Vector, Year,
};
pub use name::RecordName;
pub use paper::{
    AdministrativeDocument, AlertState, DocumentAlert, DocumentSpecimen, ForgeryKind, FraudType, Likeness,
    MAX_RANGE, NoticeDocument, TravelDocument,
};
pub use person::{Person, PersonDocument, PersonStatus, Sex};
pub use thing::{Artwork, Firearm, FirearmStatus, Vehicle, VehicleKind, Vessel};
pub use trace::{DnaProfile, Locus, MIN_LOCI, Modality, SubjectKind, Template};
use value::Field;
pub use value::{Cell, Column, Fault, Faults, MAX_LIST, Presence, Problem};

/// Most bytes of an encoded record.
pub const MAX_RECORD_BYTES: usize = 16 * 1024;
/// Most countries that a record is kept from. More than there are.
pub const MAX_EXCEPT: usize = 256;
/// Most conditions on use of a record.
pub const MAX_HANDLING: usize = 16;

/// The columns that every record has, in front of those of its content.
pub const ABOUT_COLUMNS: &[&str] = &["reference", "review_on", "except", "handling"];

/// What every record says about itself, whatever it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Whose it is.
    pub owner: Party,
    /// The owner's own reference.
    pub reference: Option<Reference>,
    /// The last day on which it counts, when the owner wants it shorter than the database's retention.
    pub review_on: Option<Date>,
    /// Countries that must not see it, sorted and free of repetition.
    pub except: Vec<CountryCode>,
    /// Conditions on use.
    pub handling: Vec<Line>,
}

impl About {
    /// Nothing but the owner.
    pub fn of(owner: Party) -> Self {
        Self { owner, reference: None, review_on: None, except: Vec::new(), handling: Vec::new() }
    }
}

/// A record of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    database: Database,
    about: About,
    content: Content,
}

impl Record {
    /// The record, if every rule of its database holds.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn new(database: Database, about: About, content: Content) -> Result<Self, Faults> {
        let record = Self { database, about, content };
        let mut faults = Faults::default();
        record.check(&mut faults);
        faults.unless_any(Some(record))
    }

    /// The columns of this database's files: those of every record, then those of its content.
    pub fn columns(database: Database) -> impl Iterator<Item = &'static str> {
        ABOUT_COLUMNS.iter().chain(Content::columns(database)).copied()
    }

    /// The same columns, with what each says and how it is written.
    pub fn described(database: Database) -> Vec<Column> {
        let named_by_it = database.keys().contains(&KeyKind::Reference);
        let reference = if named_by_it { Presence::Must } else { Presence::May };
        let about = [
            (reference, "The owner's own name of the record.", value::expected::<Reference>()),
            (
                Presence::May,
                "The last day on which it counts, when that is not to be as late as it may.",
                value::expected::<Date>(),
            ),
            (Presence::List, "Countries that must not see it.", "a country code such as FR"),
            (Presence::List, "Conditions on use.", value::expected::<Line>()),
        ];
        let about = ABOUT_COLUMNS
            .iter()
            .copied()
            .zip(about)
            .map(|(name, (presence, meaning, expected))| Column { name, presence, meaning, expected });
        about.chain(Content::described(database)).collect()
    }

    /// The record in a row, its cells in the order of [`Record::columns`]; those that are not there count as empty.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn from_row(database: Database, owner: Party, cells: &[Cell<'_>]) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut about_cells = cells.iter();
        let mut next = || about_cells.next().unwrap_or(&Cell::EMPTY);
        let reference: Option<Option<Reference>> = faults.take("reference", Field::from_cell(next()));
        let review_on: Option<Option<Date>> = faults.take("review_on", Field::from_cell(next()));
        let except: Option<Vec<CountryCode>> = faults.take("except", Field::from_cell(next()));
        let handling: Option<Vec<Line>> = faults.take("handling", Field::from_cell(next()));
        let content = Content::from_row(database, cells.get(ABOUT_COLUMNS.len()..).unwrap_or(&[]));
        let content = content.map_err(|others| faults.join(others)).ok();
        let (Some(reference), Some(review_on), Some(mut except), Some(handling), Some(content)) =
            (reference, review_on, except, handling, content)
        else {
            return Err(faults);
        };
        except.sort_unstable();
        except.dedup();
        Self::new(database, About { owner, reference, review_on, except, handling }, content)
    }

    /// The row that [`Record::from_row`] reads. The owner is not in it.
    pub fn to_row(&self) -> Vec<Cell<'static>> {
        let About { owner: _, reference, review_on, except, handling } = &self.about;
        let mut cells = vec![reference.to_cell(), review_on.to_cell(), except.to_cell(), handling.to_cell()];
        self.content.to_row(&mut cells);
        cells
    }

    /// The record in a message.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn from_wire(wire: pb::Record) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let database: Option<Database> = faults.take("database", Field::from_wire(wire.database));
        let owner: Option<Party> = faults.take("owner", Field::from_wire(wire.owner));
        let reference: Option<Option<Reference>> = faults.take("reference", Field::from_wire(wire.reference));
        let review_on: Option<Option<Date>> = faults.take("review_on", Field::from_wire(wire.review_on));
        // The list of countries may be longer than other lists.
        let except: Result<Vec<CountryCode>, _> = wire.except.into_iter().map(Field::from_wire).collect();
        let except = faults.take("except", except);
        let handling: Option<Vec<Line>> = faults.take("handling", Field::from_wire(wire.handling));
        let content = match wire.content.map(Content::from_wire) {
            None => {
                faults.missing("content");
                None
            }
            Some(content) => content.map_err(|others| faults.join(others)).ok(),
        };
        let (
            Some(database),
            Some(owner),
            Some(reference),
            Some(review_on),
            Some(except),
            Some(handling),
            Some(content),
        ) = (database, owner, reference, review_on, except, handling, content)
        else {
            return Err(faults);
        };
        Self::new(database, About { owner, reference, review_on, except, handling }, content)
    }

    /// The record as a message.
    pub fn to_wire(&self) -> pb::Record {
        let About { owner, reference, review_on, except, handling } = &self.about;
        pb::Record {
            database: Field::to_wire(&self.database),
            owner: Field::to_wire(owner),
            reference: Field::to_wire(reference),
            review_on: Field::to_wire(review_on),
            except: Field::to_wire(except),
            handling: Field::to_wire(handling),
            content: Some(self.content.to_wire()),
        }
    }

    /// Its only bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    /// The database that it is in.
    pub fn database(&self) -> Database {
        self.database
    }

    /// What it says about itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whose it is.
    pub fn owner(&self) -> Party {
        self.about.owner
    }

    /// What it holds.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether a country may see it. Its owner always may; the secretariat always may.
    pub fn is_visible_to(&self, asker: Party) -> bool {
        let barred = |country| self.about.except.binary_search(&country).is_ok();
        asker == self.about.owner || !asker.country().is_some_and(barred)
    }

    /// Whether somebody may not see it.
    pub fn is_restricted(&self) -> bool {
        !self.about.except.is_empty()
    }

    /// The same record with another list of countries that must not see it.
    #[must_use]
    pub fn with_except(mut self, mut except: Vec<CountryCode>) -> Self {
        except.sort_unstable();
        except.dedup();
        except.truncate(MAX_EXCEPT);
        self.about.except = except;
        self
    }

    /// The same alert in another state; anything else is as it was.
    #[must_use]
    pub fn with_alert_state(mut self, state: AlertState) -> Self {
        if let Content::DocumentAlert(alert) = &mut self.content {
            alert.state = state;
        }
        self
    }

    /// What it is called.
    pub fn name(&self) -> RecordName {
        match &self.content {
            Content::TravelDocument(of) => match of.last_number {
                Some(last) => RecordName::Range(of.issuing_country, of.document_type, of.number, last),
                None => RecordName::TravelDocument(of.issuing_country, of.document_type, of.number),
            },
            Content::NoticeDocument(of) => {
                RecordName::NoticeDocument(of.issuing_country, of.document_type, of.number, of.notice_id)
            }
            Content::AdministrativeDocument(of) => {
                RecordName::AdministrativeDocument(of.country, of.document_type, of.number)
            }
            _ => match &self.about.reference {
                Some(reference) => RecordName::Reference(self.about.owner, reference.clone()),
                None => unreachable!("a record without a name of its own was made without a reference"),
            },
        }
    }

    /// All keys under which it is found. A range of blanks has none.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        if let name @ RecordName::Reference(..) = self.name() {
            keys.extend(name.key(self.database));
        }
        self.content.keys(self.database, &mut keys);
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Who alone may add it; none where any bureau may.
    pub fn sole_writer(&self) -> Option<Party> {
        match (self.database.writers(), &self.content) {
            (Writers::IssuingCountry, Content::TravelDocument(of)) => of.issuing_country.owner(),
            (Writers::AnyBureau | Writers::IssuingCountry | Writers::FromNotices, _) => None,
        }
    }

    /// The last day on which it counts when it is accepted on `accepted`; none while its notice lives.
    pub fn expires_on(&self, accepted: Date) -> Option<Date> {
        let known = self.content.is_person_known();
        let longest = self.database.retention().years(known).map(|years| accepted.plus_years(years));
        match (longest, self.about.review_on) {
            (Some(longest), Some(review_on)) => Some(longest.min(review_on)),
            (longest, review_on) => longest.or(review_on),
        }
    }

    fn check(&self, faults: &mut Faults) {
        let About { reference, review_on, except, handling, .. } = &self.about;
        let named_by_content = matches!(self.database, Database::Sltd | Database::Tdawn | Database::Sad);
        if reference.is_none() && !named_by_content {
            faults.missing("reference");
        }
        let with_notice = self.database.retention() == Retention::WithNotice;
        faults.rule(!with_notice || review_on.is_none(), "review_on", "is given by the notice");
        let sorted = except.windows(2).all(|pair| pair[0] < pair[1]);
        faults.rule(sorted, "except", "is not sorted and free of repetition");
        faults.rule(except.len() <= MAX_EXCEPT, "except", "has more than 256 entries");
        faults.rule(handling.len() <= MAX_HANDLING, "handling", "has more than 16 entries");
        let held = self.content.is_held_by(self.database);
        faults.rule(held, "content", "belongs to another database");
        self.content.check(self.database, faults);
        if faults.list().is_empty() && self.content.may_be_long() {
            let fits = self.to_wire().encoded_len() <= MAX_RECORD_BYTES;
            faults.rule(fits, "record", "has more than 16384 bytes");
        }
    }
}

#[cfg(test)]
mod tests;
