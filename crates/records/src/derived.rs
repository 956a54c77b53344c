//! Records that follow from notices and diffusions: the person that a form names, and the travel documents that it says
//! the person holds. Nobody loads them, and they end with what they follow from.
//!
//! What a form says goes through the rules of the records, and what does not hold there is left out: a notice is for
//! people to read, and may say more than a database takes.

use i247_model::{Colour, MessageId, NoticeId, Party};
use i247_wire::pb;
use i247_wire::pb::notice_form::Form;

use crate::Database;
use crate::document::{DocumentNumber, DocumentType, Issuer};
use crate::record::value::Field;
use crate::record::{
    About, Content, Edition, Line, MAX_LIST, NoticeDocument, Paragraph, Person, PersonDocument, Record,
    RecordName, Reference,
};

/// What records follow from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A published notice, in an edition.
    Notice(NoticeId, u32),
    /// A diffusion.
    Diffusion(MessageId),
}

/// Before the number of a notice in the reference of its person.
const NOTICE: &str = "notice/";
/// Before the id of a diffusion in the reference of its person.
const DIFFUSION: &str = "diffusion/";

/// Aliases of a person that would be too long a record with all of them.
const ALIASES_OF_LONG: usize = 16;

/// Whether only notices and diffusions bring a record of this name to a database.
pub fn is_derived(database: Database, name: &RecordName) -> bool {
    let of_origin = |reference: &Reference| {
        let text = reference.as_str();
        text.starts_with(NOTICE) || text.starts_with(DIFFUSION)
    };
    match name {
        RecordName::NoticeDocument(..) => true,
        RecordName::Reference(_, reference) => database == Database::Nominal && of_origin(reference),
        RecordName::TravelDocument(..) | RecordName::Range(..) | RecordName::AdministrativeDocument(..) => {
            false
        }
    }
}

/// The records that follow from a form, always in the same order: the person, then the documents of a notice. `owner` is
/// whose data it is.
pub fn records(form: &pb::NoticeForm, origin: &Origin, owner: Party) -> Vec<Record> {
    let Some(identity) = identity(form) else { return Vec::new() };
    let documents = identity.documents.iter().filter_map(document).take(MAX_LIST);
    let documents: Vec<PersonDocument> = documents.collect();
    let mut records = Vec::with_capacity(1 + documents.len());
    records.extend(person(form, identity, documents.clone(), origin, owner));
    let (Origin::Notice(notice_id, edition), Some(colour)) = (origin, colour(form)) else { return records };
    let Some(edition) = Edition::new(*edition) else { return records };
    for document in documents {
        let PersonDocument { document_type, issuing_country, number } = document;
        let notice_id = *notice_id;
        let content = NoticeDocument { number, issuing_country, document_type, notice_id, colour, edition };
        let record = Record::new(Database::Tdawn, About::of(owner), Content::NoticeDocument(content));
        records.extend(record.ok());
    }
    records
}

/// Whom a form is about, where it is about somebody.
fn identity(form: &pb::NoticeForm) -> Option<&pb::Identity> {
    match form.form.as_ref()? {
        Form::Red(red) => red.identity.as_ref(),
        Form::Yellow(yellow) => yellow.identity.as_ref(),
        Form::Blue(blue) => blue.identity.as_ref(),
        Form::Green(green) => green.identity.as_ref(),
        Form::Orange(_) | Form::Purple(_) | Form::Black(_) => None,
    }
}

fn colour(form: &pb::NoticeForm) -> Option<Colour> {
    Some(match form.form.as_ref()? {
        Form::Red(_) => Colour::Red,
        Form::Yellow(_) => Colour::Yellow,
        Form::Blue(_) => Colour::Blue,
        Form::Green(_) => Colour::Green,
        Form::Orange(_) => Colour::Orange,
        Form::Purple(_) => Colour::Purple,
        Form::Black(_) => Colour::Black,
    })
}

fn person(
    form: &pb::NoticeForm,
    identity: &pb::Identity,
    documents: Vec<PersonDocument>,
    origin: &Origin,
    owner: Party,
) -> Option<Record> {
    let (reference, notices) = match origin {
        Origin::Notice(id, _) => (format!("{NOTICE}{id}"), vec![*id]),
        Origin::Diffusion(id) => (format!("{DIFFUSION}{id}"), Vec::new()),
    };
    let reference: Reference = reference.parse().ok()?;
    let content = Person {
        entity_id: None,
        family_names: lines([&identity.family_name]),
        forenames: lines([&identity.forename]),
        aliases: lines(identity.aliases.iter().take(MAX_LIST)),
        birth_dates: identity.date_of_birth.trim().parse().into_iter().collect(),
        birth_places: Vec::new(),
        nationalities: identity
            .nationalities
            .iter()
            .filter_map(|text| country(text))
            .take(MAX_LIST)
            .collect(),
        sex: Field::from_wire(identity.sex).unwrap_or_default(),
        parents: lines([&identity.parent_name]),
        documents,
        status: Field::from_wire(form.person_status).ok()?,
        cautions: Vec::new(),
        notices,
        languages: Vec::new(),
        description: identity.description.trim().parse::<Paragraph>().ok(),
        marks: None,
    };
    let about = About { reference: Some(reference), ..About::of(owner) };
    let record = |content| Record::new(Database::Nominal, about.clone(), Content::Person(content));
    // What makes it too long is left to the notice itself.
    let shorter = || {
        let aliases = content.aliases.iter().take(ALIASES_OF_LONG).cloned().collect();
        Person { aliases, description: None, ..content.clone() }
    };
    record(content.clone()).or_else(|_| record(shorter())).ok()
}

fn lines<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<Line> {
    texts.into_iter().filter_map(|text| text.trim().parse().ok()).collect()
}

/// A document whose number and issuer can be looked up. What people call its type they write as they like.
fn document(document: &pb::IdentityDocument) -> Option<PersonDocument> {
    let number: DocumentNumber = document.number.parse().ok()?;
    let issuing_country = country(&document.country)?;
    let document_type = document.r#type.parse().unwrap_or(DocumentType::Other);
    Some(PersonDocument { document_type, issuing_country, number })
}

/// A country by the code of its documents, or by that of its bureau.
fn country(text: &str) -> Option<Issuer> {
    let text = text.trim();
    // `D` is Germany on its documents; no bureau has a code of one letter.
    let of_bureau = || Issuer::of_member(text.to_ascii_uppercase().parse().ok()?);
    if text.len() == 2 { of_bureau() } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(documents: &[(&str, &str, &str)]) -> pb::NoticeForm {
        let documents = documents.iter().map(|(kind, number, country)| pb::IdentityDocument {
            r#type: (*kind).into(),
            number: (*number).into(),
            country: (*country).into(),
        });
        let identity = pb::Identity {
            family_name: "MARLOWE".into(),
            forename: " Tessa ".into(),
            sex: pb::Sex::Female.into(),
            date_of_birth: "1987-03".into(),
            nationalities: vec!["DE".into(), "UTO".into(), "nowhere".into()],
            aliases: vec!["The Clockmaker".into(), String::new()],
            documents: documents.collect(),
            ..pb::Identity::default()
        };
        let green = pb::GreenForm { identity: Some(identity), ..pb::GreenForm::default() };
        pb::NoticeForm {
            person_status: pb::PersonStatus::Suspect.into(),
            form: Some(Form::Green(green)),
            ..pb::NoticeForm::default()
        }
    }

    fn names(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| format!("{}:{}", record.database(), record.name())).collect()
    }

    #[test]
    fn a_notice_brings_its_person_and_the_documents_that_can_be_looked_up() {
        let form = form(&[
            ("Passport", "X4719 T06M", "DE"),
            ("carte de séjour", "AB12", "FRA"),
            ("passport", "P1", "nowhere"),
            ("passport", "", "DE"),
        ]);
        let notice: NoticeId = "2026/17".parse().unwrap();
        let records = records(&form, &Origin::Notice(notice, 2), "FR".parse().unwrap());
        assert_eq!(
            names(&records),
            [
                "nominal:FR/notice/2026/17",
                "tdawn:D/PASSPORT/X4719T06M/2026/17",
                "tdawn:FRA/OTHER/AB12/2026/17"
            ]
        );
        let Content::Person(person) = records[0].content() else { panic!() };
        assert_eq!(person.forenames[0].as_str(), "Tessa");
        assert_eq!((person.aliases.len(), person.documents.len(), person.nationalities.len()), (1, 2, 2));
        assert_eq!(person.birth_dates[0].to_string(), "1987-03");
        let Content::NoticeDocument(document) = records[1].content() else { panic!() };
        assert_eq!((document.colour, document.edition.value()), (Colour::Green, 2));
        for record in &records {
            assert!(is_derived(record.database(), &record.name()), "{}", record.name());
        }
    }

    #[test]
    fn a_person_of_whom_much_is_said_is_recorded_with_less() {
        let mut form = form(&[]);
        let Some(Form::Green(green)) = &mut form.form else { panic!() };
        let identity = green.identity.as_mut().unwrap();
        identity.aliases = (0..200).map(|n| format!("{n:0200}")).collect();
        identity.description = "x".repeat(4000);
        let notice: NoticeId = "2026/17".parse().unwrap();
        let records = records(&form, &Origin::Notice(notice, 1), "FR".parse().unwrap());
        let Content::Person(person) = records[0].content() else { panic!() };
        assert_eq!((person.aliases.len(), person.description.is_none()), (16, true));
        assert_eq!(Record::from_wire(records[0].to_wire()).unwrap(), records[0]);
    }

    #[test]
    fn a_diffusion_brings_its_person_alone_and_a_form_about_nobody_nothing() {
        let origin = Origin::Diffusion("FR-1-U-9223372036854775807".parse().unwrap());
        let owner: Party = "FR".parse().unwrap();
        let of_person = records(&form(&[("passport", "X4719T06M", "D")]), &origin, owner);
        assert_eq!(names(&of_person), ["nominal:FR/diffusion/FR-1-U-9223372036854775807"]);
        assert!(is_derived(Database::Nominal, &of_person[0].name()));
        let orange = Some(Form::Orange(pb::OrangeForm::default()));
        let of_nobody = pb::NoticeForm { form: orange, ..pb::NoticeForm::default() };
        assert_eq!(records(&of_nobody, &origin, owner), []);
    }
}
