//! Documents as records: SLTD, TDAWN, SAD, and what Dial-Doc and Edison hold about documents.

use i247_model::{Colour, Hash, NoticeId};

use super::key::Key;
use super::line::{Edition, Line, Paragraph, Year};
use super::value::{Faults, enum_atoms, layout};
use crate::database::Database;
use crate::date::Date;
use crate::document::{AdministrativeType, DocumentNumber, DocumentType, Issuer};
use crate::text::named;

named! {
    /// Why a travel document is not valid.
    pub enum FraudType: "a type of fraud: STOLEN_BLANK, STOLEN_BEARER, LOST_BEARER, REVOKED or INVALID" {
        /// Stolen before it was issued to anybody.
        StolenBlank = "STOLEN_BLANK",
        /// Stolen from its bearer.
        StolenBearer = "STOLEN_BEARER",
        /// Lost by its bearer.
        LostBearer = "LOST_BEARER",
        /// Taken back by its issuer.
        Revoked = "REVOKED",
        /// Not valid for another reason.
        Invalid = "INVALID",
    }
}

named! {
    /// How a document was forged.
    pub enum ForgeryKind: "a kind of forgery: COUNTERFEIT, FORGED, PHOTO_SWAP, IMPOSTOR or FANTASY" {
        /// Made from nothing.
        Counterfeit = "COUNTERFEIT",
        /// A genuine one was changed.
        Forged = "FORGED",
        /// The picture was exchanged.
        PhotoSwap = "PHOTO_SWAP",
        /// Genuine, in the wrong hands.
        Impostor = "IMPOSTOR",
        /// Of an issuer that there is not.
        Fantasy = "FANTASY",
    }
}

named! {
    /// How far an alert has come.
    pub enum AlertState: "a state of an alert: SUBMITTED, QUALITY_CHECK or PUBLISHED" {
        /// Sent by the bureau.
        Submitted = "SUBMITTED",
        /// The secretariat examines it.
        QualityCheck = "QUALITY_CHECK",
        /// Members see it.
        Published = "PUBLISHED",
    }
}

enum_atoms! { DocumentType, AdministrativeType, FraudType, ForgeryKind, AlertState }

layout! {
    /// A stolen, lost, revoked or invalid travel document, or a range of stolen blanks. Nothing about the bearer.
    pub struct TravelDocument {
        /// The number, or the first of a range.
        number: DocumentNumber,
        /// Who issued it; the only one who may report it.
        issuing_country: Issuer,
        /// What it is.
        document_type: DocumentType,
        /// Why it is not valid.
        fraud_type: FraudType,
        /// The last number of a range of stolen blanks.
        last_number: Option<DocumentNumber>,
        /// Where it was stolen or lost.
        theft_country: Option<Issuer>,
        /// When it was issued. Blanks never were.
        issued_on: Option<Date>,
        /// The last day of its validity. Blanks have none.
        expires_on: Option<Date>,
        /// The day of the theft or loss.
        stolen_on: Option<Date>,
        /// Circumstances, without data of the bearer.
        information: Option<Line>,
    }
}

/// Most numbers of one range of stolen blanks.
pub const MAX_RANGE: u64 = 10_000_000;

impl TravelDocument {
    /// How many numbers it stands for: one, or those of its range.
    pub fn numbers(&self) -> u64 {
        let Some(last) = &self.last_number else { return 1 };
        match (self.number.serial(), last.serial()) {
            (Some((_, _, from)), Some((_, _, to))) => to.saturating_sub(from).saturating_add(1),
            _ => 1,
        }
    }

    /// How a number of the same issuer is one of those that it stands for; none when it is not.
    pub fn likeness(&self, number: &DocumentNumber) -> Option<Likeness> {
        let last = self.last_number.as_ref().unwrap_or(&self.number);
        if within(self.number.as_str(), last.as_str(), number.as_str()) {
            return Some(Likeness::Same);
        }
        let (first, last) = (self.number.folded(), last.folded());
        within(first.as_str(), last.as_str(), number.folded().as_str()).then_some(Likeness::Similar)
    }

    /// Whether the same document could be meant by this record and another: same issuer and type, and a number in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same = self.issuing_country == other.issuing_country && self.document_type == other.document_type;
        same && (self.likeness(&other.number) == Some(Likeness::Same)
            || other.likeness(&self.number) == Some(Likeness::Same))
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        let blank = self.fraud_type == FraudType::StolenBlank;
        faults.rule(!blank || self.issued_on.is_none(), "issued_on", "does not go with a blank");
        faults.rule(!blank || self.expires_on.is_none(), "expires_on", "does not go with a blank");
        let order = self.issued_on.zip(self.expires_on).is_none_or(|(from, to)| from <= to);
        faults.rule(order, "expires_on", "lies before issued_on");
        if let Some(last) = &self.last_number {
            self.check_range(last, faults);
        }
    }

    fn check_range(&self, last: &DocumentNumber, faults: &mut Faults) {
        let blank = self.fraud_type == FraudType::StolenBlank;
        faults.rule(blank, "last_number", "goes with fraud_type STOLEN_BLANK only");
        let (Some((prefix, digits, from)), Some((last_prefix, last_digits, to))) =
            (self.number.serial(), last.serial())
        else {
            return faults.rule(false, "last_number", "needs numbers that end in digits");
        };
        let alike = prefix == last_prefix && digits == last_digits;
        faults.rule(alike, "last_number", "has other letters or another length than number");
        faults.rule(!alike || from < to, "last_number", "does not lie behind number");
        faults.rule(
            self.numbers() <= MAX_RANGE,
            "last_number",
            "makes a range of more than 10000000 numbers",
        );
    }

    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        // The numbers of a range are found by the register's list of ranges.
        if self.last_number.is_none() {
            keys.push(Key::travel_document(Database::Sltd, self.issuing_country, &self.number));
        }
    }

    /// The latest day that it speaks of as past, with its field.
    pub(super) fn past(&self) -> [(&'static str, Option<Date>); 2] {
        [("stolen_on", self.stolen_on), ("issued_on", self.issued_on)]
    }
}

/// Whether `number` lies between two numbers that differ in their digits at the end alone. They are all of one length,
/// and then the order of texts is that of numbers; but a letter must not count as one more digit.
fn within(first: &str, last: &str, number: &str) -> bool {
    let shape = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let alike = number.len() == first.len() && shape(number) == shape(first);
    alike && (first..=last).contains(&number)
}

/// How sure it is that a number is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Likeness {
    /// It looks like it: never more than POSSIBLE.
    Similar,
    /// Character for character.
    Same,
}

layout! {
    /// A document of the subject of a notice. The document itself may be valid.
    pub struct NoticeDocument {
        /// The number.
        number: DocumentNumber,
        /// Who issued it.
        issuing_country: Issuer,
        /// What it is.
        document_type: DocumentType,
        /// The notice whose subject holds it.
        notice_id: NoticeId,
        /// The notice's colour.
        colour: Colour,
        /// The edition of the notice that it was taken from.
        edition: Edition,
    }
}

impl NoticeDocument {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::travel_document(Database::Tdawn, self.issuing_country, &self.number));
    }
}

layout! {
    /// A stolen document that identifies a thing or allows something.
    pub struct AdministrativeDocument {
        /// The number.
        number: DocumentNumber,
        /// Who issued it.
        country: Issuer,
        /// What it is.
        document_type: AdministrativeType,
        /// It was stolen before it was issued to anybody.
        blank: bool,
        /// The day of the theft.
        stolen_on: Option<Date>,
    }
}

impl AdministrativeDocument {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::administrative_document(self.country, &self.number));
    }
}

layout! {
    /// A newly seen forgery.
    pub struct DocumentAlert {
        /// Whose document it pretends to be.
        country: Issuer,
        /// What it pretends to be.
        document_type: DocumentType,
        /// Model or series.
        series: Option<Line>,
        /// How it was forged.
        forgery_kind: ForgeryKind,
        /// How it is recognised.
        text: Paragraph,
        /// Commitments of pictures of a genuine document.
        genuine_images: Vec<Hash>,
        /// Commitments of pictures of the forgery.
        false_images: Vec<Hash>,
        /// How far the alert has come: SUBMITTED when it is sent, and the secretariat publishes it.
        state: AlertState,
    }
}

impl DocumentAlert {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::document_model(Database::DialDoc, self.country, self.document_type));
    }
}

layout! {
    /// A specimen of a genuine document.
    pub struct DocumentSpecimen {
        /// Who issues it.
        country: Issuer,
        /// What it is.
        document_type: DocumentType,
        /// Model or series.
        series: Option<Line>,
        /// The year in which it was first issued.
        first_issued: Option<Year>,
        /// What makes it genuine.
        features: Vec<Line>,
        /// Commitments of pictures.
        images: Vec<Hash>,
    }
}

impl DocumentSpecimen {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::document_model(Database::Edison, self.country, self.document_type));
    }
}
