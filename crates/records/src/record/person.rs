//! Persons as records: the nominal data of notices and diffusions.

use i247_model::NoticeId;
use i247_wire::pb;

use super::key::Key;
use super::line::{Line, Paragraph, PartialDate, Reference};
use super::value::{Atom, Faults, enum_atoms, layout};
use crate::database::Database;
use crate::document::{DocumentNumber, DocumentType, Issuer};
use crate::text::{TextError, named};

named! {
    /// The sex of a person.
    pub enum Sex: "a sex: FEMALE, MALE or UNKNOWN" {
        /// Female.
        Female = "FEMALE",
        /// Male.
        Male = "MALE",
        /// Not said or not known.
        Unknown = "UNKNOWN",
    }
}

named! {
    /// Why a person is of interest. Nobody is shown as wanted who is not.
    pub enum PersonStatus: "a status of a person: WANTED, CONVICTED, CHARGED, SUSPECT, WITNESS, VICTIM, MISSING or DECEASED" {
        /// Wanted for arrest.
        Wanted = "WANTED",
        /// Sentenced.
        Convicted = "CONVICTED",
        /// Charged.
        Charged = "CHARGED",
        /// Suspected.
        Suspect = "SUSPECT",
        /// May help as a witness.
        Witness = "WITNESS",
        /// Harmed by a crime.
        Victim = "VICTIM",
        /// Missing.
        Missing = "MISSING",
        /// Dead.
        Deceased = "DECEASED",
    }
}

enum_atoms! { Sex, PersonStatus }

layout! {
    /// A person of a notice or diffusion.
    pub struct Person {
        /// The number that the person has in the network.
        entity_id: Option<Reference>,
        /// The name in use first, then others.
        family_names: Vec<Line>,
        /// Forenames.
        forenames: Vec<Line>,
        /// Whole names, as known elsewhere.
        aliases: Vec<Line>,
        /// Birth dates; several when in doubt.
        birth_dates: Vec<PartialDate>,
        /// Places of birth.
        birth_places: Vec<Line>,
        /// Nationalities.
        nationalities: Vec<Issuer>,
        /// The sex.
        sex: Option<Sex>,
        /// Names of parents.
        parents: Vec<Line>,
        /// Documents that the person holds.
        documents: Vec<PersonDocument>,
        /// Why the person is of interest.
        status: PersonStatus,
        /// Warnings to officers.
        cautions: Vec<Line>,
        /// Notices about the person.
        notices: Vec<NoticeId>,
        /// Languages spoken.
        languages: Vec<Line>,
        /// What the person looks like.
        description: Option<Paragraph>,
        /// Scars, tattoos and the like.
        marks: Option<Paragraph>,
    }
}

impl Person {
    pub(super) fn check(&self, faults: &mut Faults) {
        let named = !self.family_names.is_empty() || !self.forenames.is_empty() || !self.aliases.is_empty();
        faults.rule(named, "family_names", "or forenames or aliases must be there");
    }

    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        for document in &self.documents {
            keys.push(Key::travel_document(Database::Nominal, document.issuing_country, &document.number));
        }
    }
}

/// A document that a person holds. Written `PASSPORT/FRA/P1234567`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersonDocument {
    /// What it is.
    pub document_type: DocumentType,
    /// Who issued it.
    pub issuing_country: Issuer,
    /// Its number.
    pub number: DocumentNumber,
}

impl Atom for PersonDocument {
    type Wire = pb::PersonDocument;

    fn from_wire(wire: pb::PersonDocument) -> Result<Self, TextError> {
        Ok(Self {
            document_type: Atom::from_wire(wire.document_type)?,
            issuing_country: Atom::from_wire(wire.issuing_country)?,
            number: Atom::from_wire(wire.number)?,
        })
    }

    fn to_wire(&self) -> pb::PersonDocument {
        pb::PersonDocument {
            document_type: self.document_type.to_wire(),
            issuing_country: self.issuing_country.to_wire(),
            number: self.number.to_wire(),
        }
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        let mut parts = text.split('/');
        let (Some(kind), Some(country), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TextError::new(text, "a document such as PASSPORT/FRA/P1234567"));
        };
        Ok(Self { document_type: kind.parse()?, issuing_country: country.parse()?, number: number.parse()? })
    }

    fn show(&self) -> String {
        format!("{}/{}/{}", self.document_type, self.issuing_country, self.number)
    }
}
