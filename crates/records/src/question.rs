//! Questions: what somebody asks the databases, read from the wire, and how sure it is that a record is what was meant.
//!
//! It looks nothing up: it names the keys to look under, and judges the records that were found there.
//!
//! ```text
//!  pb::SearchKey ──read──► Question ──keys──► (index) ──► Record ──likeness──► none, possible, match
//! ```

use std::sync::Arc;

use i247_model::{Hash, Reason, Refusal};
use i247_wire::{WrittenDocument, pb};

use crate::Date;
use crate::database::{Database, KeyKind};
use crate::document::{DocumentNumber, DocumentType, Issuer};
use crate::mrz::{Fault, MrzError, Zone};
use crate::nominal::{Birth, Name, NameError, Query, recorded};
use crate::offline::part::sha256;
use crate::record::value::Field;
use crate::record::{
    Content, Key, Likeness, Line, NoticeDocument, PartialDate, Record, TravelDocument, Vehicle, Vessel,
};
use crate::template::{Sought, TemplateError};

/// Most bytes of a machine readable zone with whatever stands between its lines.
const MAX_ZONE_BYTES: usize = 256;
/// Most bytes of a number, name or code that is asked for.
const MAX_VALUE_BYTES: usize = 200;

/// Most persons in an answer.
const PERSONS_MAX: usize = 20;

/// What somebody asks for. Its `Debug` shows the kind only: keys are data of persons.
#[derive(Clone, PartialEq, Eq)]
pub struct Question(Asked);

#[derive(Clone, PartialEq, Eq)]
enum Asked {
    TravelDocument {
        number: DocumentNumber,
        issuer: Option<Issuer>,
        bearing: Bearing,
    },
    AdministrativeDocument {
        number: DocumentNumber,
        country: Option<Issuer>,
    },
    Plate {
        number: DocumentNumber,
        country: Option<Issuer>,
    },
    /// A model of travel document, of one series or any.
    Model {
        issuer: Issuer,
        document_type: DocumentType,
        series: Box<str>,
    },
    /// A number that needs no country.
    Number(KeyKind, DocumentNumber),
    /// A name, title or code.
    Words(KeyKind, Box<str>),
    /// A person, and what was asked in one form.
    Person(Box<Query>, Box<str>),
    /// Whoever a fingerprint, face or profile is of, in one database, and the hash of the probe.
    Probe(Database, Arc<Sought>, Hash),
}

/// What is known of the type of a travel document.
#[derive(Clone, PartialEq, Eq)]
enum Bearing {
    Type(DocumentType),
    /// The letters of a machine readable zone, which may leave it open.
    Letters(Box<str>),
    Unknown,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({})", self.kind())
    }
}

impl Question {
    /// Reads what is asked. `today` decides the centuries of a machine readable zone.
    ///
    /// # Errors
    /// `MALFORMED` when nothing is asked, `MISSING_DATA` without a number, `WRONG_CHECK_DIGIT` with every digit found
    /// and expected, `UNKNOWN_COUNTRY`, `WRONG_FIELD`, `TOO_LARGE`. The fields repeat what was asked: they are for who
    /// asked, and for no log.
    pub fn read(key: &pb::SearchKey, today: Date) -> Result<Self, Refusal> {
        use pb::search_key::Key as Wire;
        match &key.key {
            None => Err(Refusal::of(Reason::Malformed, "key")),
            Some(Wire::TravelDocument(asked)) => Self::of_document(WrittenDocument {
                document_type: asked.document_type,
                issuing_country: &asked.issuing_country,
                number: &asked.number,
            }),
            Some(Wire::Mrz(text)) if text.len() > MAX_ZONE_BYTES => Err(Refusal::of(Reason::TooLarge, "mrz")),
            Some(Wire::Mrz(text)) => {
                let zone = Zone::read(text, today).map_err(|error| unreadable(&error))?;
                Ok(Self(Asked::TravelDocument {
                    number: zone.number,
                    issuer: Some(zone.issuer),
                    bearing: Bearing::Letters(zone.code.into()),
                }))
            }
            Some(Wire::Thing(asked)) => thing(asked),
            Some(Wire::DocumentModel(asked)) => model(asked),
            Some(Wire::Person(asked)) => person(asked, today),
            Some(Wire::Probe(asked)) => probe(asked),
        }
    }

    /// Reads a travel document that is asked for.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of_document(asked: WrittenDocument<'_>) -> Result<Self, Refusal> {
        let number = number(asked.number, "travel_document.number")?;
        let issuer = country(asked.issuing_country, "travel_document.issuing_country")?;
        let document_type = document_type(asked.document_type, "travel_document.document_type")?;
        let bearing = document_type.map_or(Bearing::Unknown, Bearing::Type);
        Ok(Self(Asked::TravelDocument { number, issuer, bearing }))
    }

    /// By what kind of key it is looked up.
    pub fn kind(&self) -> KeyKind {
        match &self.0 {
            Asked::TravelDocument { .. } => KeyKind::TravelDocument,
            Asked::AdministrativeDocument { .. } => KeyKind::AdministrativeDocument,
            Asked::Plate { .. } => KeyKind::Plate,
            Asked::Model { .. } => KeyKind::DocumentModel,
            Asked::Number(kind, _) | Asked::Words(kind, _) => *kind,
            Asked::Person(..) => KeyKind::Name,
            Asked::Probe(_, sought, _) => match **sought {
                Sought::Vector(_) => KeyKind::Template,
                Sought::Profile(_) => KeyKind::Loci,
            },
        }
    }

    /// What the records of its database are compared with: no key leads there.
    pub fn probe(&self) -> Option<&Arc<Sought>> {
        match &self.0 {
            Asked::Probe(_, sought, _) => Some(sought),
            _ => None,
        }
    }

    /// Whom to search for, where it is asked for a person: no key leads there.
    pub fn person(&self) -> Option<&Query> {
        match &self.0 {
            Asked::Person(query, _) => Some(query),
            _ => None,
        }
    }

    /// Whether it has to be looked up under every issuer there is.
    pub fn is_open(&self) -> bool {
        matches!(
            self.0,
            Asked::TravelDocument { issuer: None, .. }
                | Asked::AdministrativeDocument { country: None, .. }
                | Asked::Plate { country: None, .. }
        )
    }

    /// Where it is looked up: of the databases that are named those that know such a key; of all, when none is named,
    /// but for those that only their specialists ask. Persons are found by name alone.
    pub fn databases(&self, named: &[Database]) -> Vec<Database> {
        let (kind, none_named) = (self.kind(), named.is_empty());
        if let Asked::Probe(database, ..) = &self.0 {
            return if none_named || named.contains(database) { vec![*database] } else { Vec::new() };
        }
        let by_name = |database: &Database| (*database == Database::Nominal) == (kind == KeyKind::Name);
        let knows = |database: &Database| database.keys().contains(&kind) && by_name(database);
        let wanted = |database: &Database| {
            if none_named { *database != Database::Icse } else { named.contains(database) }
        };
        Database::ALL.iter().copied().filter(|database| knows(database) && wanted(database)).collect()
    }

    /// Adds the keys under which it is looked up in one of its databases.
    pub fn keys(&self, database: Database, keys: &mut Vec<Key>) {
        match &self.0 {
            Asked::TravelDocument { number, issuer, .. } => {
                each(*issuer, |issuer| keys.push(Key::travel_document(database, issuer, number)));
            }
            Asked::AdministrativeDocument { number, country } => {
                each(*country, |country| keys.push(Key::administrative_document(country, number)));
            }
            Asked::Plate { number, country } => {
                each(*country, |country| keys.push(Key::plate(country, number)));
            }
            Asked::Model { issuer, document_type, .. } => {
                keys.push(Key::document_model(database, *issuer, *document_type));
            }
            Asked::Number(kind, number) => keys.push(Key::number(database, *kind, number)),
            Asked::Words(kind, text) => keys.push(Key::words(database, *kind, text)),
            Asked::Person(..) | Asked::Probe(..) => {}
        }
    }

    /// Adds the one form of what is asked, whichever way it was written: what a journal keeps a digest of.
    pub fn normalised(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.kind().as_str().as_bytes());
        bytes.push(0);
        let (country, number) = match &self.0 {
            Asked::TravelDocument { number, issuer: country, .. }
            | Asked::AdministrativeDocument { number, country }
            | Asked::Plate { number, country } => (*country, number),
            Asked::Number(_, number) => (None, number),
            Asked::Model { issuer, document_type, series } => {
                let (issuer, document_type) = (issuer.as_str(), document_type.as_str());
                bytes.extend_from_slice(format!("{issuer}/{document_type}/").as_bytes());
                bytes.extend_from_slice(plain(series).as_bytes());
                return;
            }
            Asked::Words(kind, text) => {
                bytes.extend_from_slice(Key::words(Database::Art, *kind, text).as_bytes());
                return;
            }
            Asked::Person(_, text) => {
                bytes.extend_from_slice(text.as_bytes());
                return;
            }
            Asked::Probe(database, _, hash) => {
                bytes.extend_from_slice(database.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(hash.as_bytes());
                return;
            }
        };
        bytes.extend_from_slice(country.as_ref().map_or("", Issuer::as_str).as_bytes());
        bytes.push(b'/');
        bytes.extend_from_slice(number.folded().as_str().as_bytes());
    }

    /// How sure it is that a record is what was asked for; none when it is something else. What is asked without its
    /// country or type, and names and titles, are never more than similar.
    pub fn likeness(&self, record: &Record) -> Option<Likeness> {
        match (&self.0, record.content()) {
            (Asked::TravelDocument { number, issuer, bearing }, Content::TravelDocument(of)) => {
                let TravelDocument { issuing_country, document_type, .. } = of;
                let likeness = of.likeness(number)?;
                let sure = issued_by(*issuer, *issuing_country)? && bearing.is(*document_type);
                Some(if sure { likeness } else { Likeness::Similar })
            }
            (Asked::TravelDocument { number, issuer, bearing }, Content::NoticeDocument(of)) => {
                let NoticeDocument { issuing_country, document_type, .. } = of;
                let likeness = alike(number, &of.number)?;
                let sure = issued_by(*issuer, *issuing_country)? && bearing.is(*document_type);
                Some(if sure { likeness } else { Likeness::Similar })
            }
            (Asked::AdministrativeDocument { number, country }, Content::AdministrativeDocument(of)) => {
                let likeness = alike(number, &of.number)?;
                Some(if issued_by(*country, of.country)? { likeness } else { Likeness::Similar })
            }
            (Asked::Plate { number, country }, Content::Vehicle(of)) => {
                let (plate, plate_country) = of.plate.zip(of.plate_country)?;
                let likeness = alike(number, &plate)?;
                Some(if issued_by(*country, plate_country)? { likeness } else { Likeness::Similar })
            }
            (Asked::Model { issuer, document_type, series }, content) => {
                let (of_issuer, of_type, of_series) = match content {
                    Content::DocumentAlert(of) => (of.country, of.document_type, &of.series),
                    Content::DocumentSpecimen(of) => (of.country, of.document_type, &of.series),
                    _ => return None,
                };
                let is_series = |of: &Line| plain(of.as_str()) == plain(series);
                let of_model = (*issuer, *document_type) == (of_issuer, of_type);
                let wanted = of_model && (series.is_empty() || of_series.as_ref().is_some_and(is_series));
                wanted.then_some(Likeness::Similar)
            }
            (Asked::Number(kind, number), content) => {
                numbers(*kind, content).iter().filter_map(|other| alike(number, other)).max()
            }
            (Asked::Words(kind, text), content) => {
                let asked = Key::words(record.database(), *kind, text);
                let same = |words: &str| Key::words(record.database(), *kind, words) == asked;
                match content {
                    Content::Vessel(of) => {
                        of.name.as_ref().filter(|name| same(name.as_str())).map(|_| Likeness::Similar)
                    }
                    Content::Artwork(of) => same(of.title.as_str()).then_some(Likeness::Similar),
                    Content::GenericRecord(of) => {
                        let code = of.codes.iter().find(|code| same(code.as_str()))?;
                        Some(if code.as_str() == &**text { Likeness::Same } else { Likeness::Similar })
                    }
                    _ => None,
                }
            }
            // Whoever searches has compared them; a name alone is nobody.
            (Asked::Person(..), Content::Person(_))
            | (Asked::Probe(..), Content::Template(_) | Content::DnaProfile(_)) => Some(Likeness::Similar),
            _ => None,
        }
    }
}

impl Bearing {
    /// Whether a document of this type is certainly meant.
    fn is(&self, document_type: DocumentType) -> bool {
        match self {
            Self::Type(asked) => *asked == document_type,
            Self::Letters(letters) => document_type.may_bear(letters),
            Self::Unknown => false,
        }
    }
}

/// The numbers of a record by which it is found under this kind of key.
fn numbers(kind: KeyKind, content: &Content) -> Vec<DocumentNumber> {
    match (kind, content) {
        (KeyKind::Vin, Content::Vehicle(of)) => Vec::from_iter(of.vin),
        (KeyKind::Engine, Content::Vehicle(of)) => Vec::from_iter(of.engine_number),
        (KeyKind::Engine, Content::Vessel(Vessel { engine_numbers, .. })) => engine_numbers.clone(),
        (KeyKind::Part, Content::Vehicle(Vehicle { part_number, .. })) => Vec::from_iter(*part_number),
        (KeyKind::Hull, Content::Vessel(of)) => {
            [of.hull_number, of.imo_number].into_iter().flatten().collect()
        }
        (KeyKind::Serial, Content::Firearm(of)) => vec![of.serial],
        _ => Vec::new(),
    }
}

fn alike(asked: &DocumentNumber, recorded: &DocumentNumber) -> Option<Likeness> {
    if asked == recorded {
        return Some(Likeness::Same);
    }
    asked.is_near_miss_of(recorded).then_some(Likeness::Similar)
}

/// Whether the issuer that was asked for is this one, for certain; none when it is another one.
fn issued_by(asked: Option<Issuer>, recorded: Issuer) -> Option<bool> {
    match asked {
        Some(issuer) if issuer == recorded => Some(true),
        Some(_) => None,
        None => Some(false),
    }
}

fn each(issuer: Option<Issuer>, mut push: impl FnMut(Issuer)) {
    match issuer {
        Some(issuer) => push(issuer),
        None => Issuer::all().for_each(push),
    }
}

fn thing(asked: &pb::ThingKey) -> Result<Question, Refusal> {
    use pb::ThingKeyKind as Wire;
    let kind = Wire::try_from(asked.kind).map_err(|_| Refusal::of(Reason::Malformed, "thing.kind"))?;
    let has_country = matches!(kind, Wire::AdministrativeDocument | Wire::Plate);
    if !has_country && !asked.country.is_empty() {
        return Err(Refusal::of(Reason::WrongField, "thing.country"));
    }
    let country = country(&asked.country, "thing.country")?;
    let numbered = |kind| Ok(Question(Asked::Number(kind, number(&asked.value, "thing.value")?)));
    let named = |kind| Ok(Question(Asked::Words(kind, words(&asked.value)?)));
    match kind {
        Wire::Unspecified => Err(Refusal::of(Reason::Malformed, "thing.kind")),
        Wire::AdministrativeDocument => {
            let number = number(&asked.value, "thing.value")?;
            Ok(Question(Asked::AdministrativeDocument { number, country }))
        }
        Wire::Plate => {
            let number = number(&asked.value, "thing.value")?;
            Ok(Question(Asked::Plate { number, country }))
        }
        Wire::Vin => numbered(KeyKind::Vin),
        Wire::Engine => numbered(KeyKind::Engine),
        Wire::Part => numbered(KeyKind::Part),
        Wire::Hull => numbered(KeyKind::Hull),
        Wire::Serial => numbered(KeyKind::Serial),
        Wire::VesselName => named(KeyKind::VesselName),
        Wire::Title => named(KeyKind::Title),
        Wire::Code => named(KeyKind::Code),
    }
}

fn model(asked: &pb::DocumentModelKey) -> Result<Question, Refusal> {
    let missing = |field: &str| Refusal::of(Reason::MissingData, format!("document_model.{field}"));
    let issuer = country(&asked.issuing_country, "document_model.issuing_country")?;
    let document_type = document_type(asked.document_type, "document_model.document_type")?;
    if asked.series.len() > MAX_VALUE_BYTES {
        return Err(Refusal::of(Reason::TooLarge, "document_model.series"));
    }
    Ok(Question(Asked::Model {
        issuer: issuer.ok_or_else(|| missing("issuing_country"))?,
        document_type: document_type.ok_or_else(|| missing("document_type"))?,
        series: asked.series.as_str().into(),
    }))
}

/// A series as it is compared.
fn plain(series: &str) -> Key {
    Key::words(Database::Edison, KeyKind::DocumentModel, series)
}

fn person(asked: &pb::PersonKey, today: Date) -> Result<Question, Refusal> {
    let pb::PersonKey { name, born, age_from, age_to, nationality } = asked;
    let wrong = |field: &str, why: String| Refusal::of(Reason::WrongField, format!("person.{field}: {why}"));
    let known = Name::whole(name).map_err(|error| match error {
        NameError::Empty => Refusal::of(Reason::MissingData, "person.name"),
        NameError::TooLong | NameError::TooManyWords => Refusal::of(Reason::TooLarge, "person.name"),
    })?;
    let aged = (*age_from, *age_to) != (0, 0);
    let birth = match (born.is_empty(), aged) {
        (true, false) => None,
        (false, true) => return Err(Refusal::of(Reason::WrongField, "person.born|age")),
        (false, false) => {
            let date = born.parse::<PartialDate>().map_err(|error| wrong("born", error.to_string()))?;
            recorded::birth(date)
        }
        (true, true) => {
            let years = |age: u32| u16::try_from(age).unwrap_or(u16::MAX);
            let window = Birth::aged(years(*age_from), years(*age_to), today);
            Some(window.map_err(|error| wrong("age_to", error.to_string()))?)
        }
    };
    let issuer = country(nationality, "person.nationality")?;
    let nationality = issuer.and_then(|issuer| issuer.owner()?.country());
    let words = Key::words(Database::Nominal, KeyKind::Name, name);
    let words = String::from_utf8_lossy(words.as_bytes());
    let normalised = format!("{words}/{born}/{age_from}-{age_to}");
    let query = Query { nationality, limit: PERSONS_MAX, ..Query::new(known, birth) };
    Ok(Question(Asked::Person(Box::new(query), normalised.into())))
}

fn probe(asked: &pb::ProbeKey) -> Result<Question, Refusal> {
    let known = u8::try_from(asked.database).ok().and_then(Database::from_number);
    let Some(database) = known.filter(|database| database.is_compared()) else {
        return Err(Refusal::of(Reason::WrongField, "probe.database"));
    };
    let sought = Sought::read(database, &asked.template).map_err(|error| {
        let reason = match error {
            TemplateError::TooLarge { .. } => Reason::TooLarge,
            _ => Reason::WrongField,
        };
        Refusal::of(reason, format!("probe.template: {error}"))
    })?;
    let hash = sha256(&[&asked.template]);
    Ok(Question(Asked::Probe(database, Arc::new(sought), hash)))
}

fn number(text: &str, field: &str) -> Result<DocumentNumber, Refusal> {
    if text.is_empty() {
        return Err(Refusal::of(Reason::MissingData, field));
    }
    text.parse().map_err(|error| Refusal::of(Reason::WrongField, format!("{field}: {error}")))
}

fn words(text: &str) -> Result<Box<str>, Refusal> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(Refusal::of(Reason::TooLarge, "thing.value"));
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(Refusal::of(Reason::MissingData, "thing.value"));
    }
    Ok(text.into())
}

fn document_type(wire: i32, field: &str) -> Result<Option<DocumentType>, Refusal> {
    Field::from_wire(wire).map_err(|_| Refusal::of(Reason::WrongField, field))
}

fn country(text: &str, field: &str) -> Result<Option<Issuer>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| unknown_country(format!("{field}: {error}")))
}

fn unknown_country(field: String) -> Refusal {
    let next_step = "give the ICAO code that documents of the issuer bear, such as FRA, D or UTO";
    Refusal { next_step: next_step.into(), ..Refusal::of(Reason::UnknownCountry, field) }
}

/// Every fault of a zone. A wrong check digit is what it is refused for, whatever else is wrong.
fn unreadable(error: &MrzError) -> Refusal {
    let faults = error.faults();
    let fields: Vec<String> = faults.iter().map(|fault| format!("mrz: {fault}")).collect();
    if faults.iter().any(|fault| matches!(fault, Fault::CheckDigit { .. })) {
        return Refusal::of_fields(Reason::WrongCheckDigit, fields);
    }
    let issuer = |fault: &Fault| matches!(fault, Fault::Content { field: crate::mrz::Field::Issuer, .. });
    if faults.iter().any(issuer) {
        return Refusal { fields, ..unknown_country(String::new()) };
    }
    Refusal::of_fields(Reason::WrongField, fields)
}

#[cfg(test)]
mod tests;
