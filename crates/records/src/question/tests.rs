//! What counts as the same, as similar, and as something else; and what is refused before anything is looked up.

use i247_model::Party;

use super::*;
use crate::record::Cell;

const MARLOWE: &str =
    "P<UTOMARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3UTO8703226F3106279<<<<<<<<<<<<<<<8";

fn today() -> Date {
    "2026-11-22".parse().unwrap()
}

fn document(number: &str, country: &str, document_type: pb::TravelDocumentType) -> pb::SearchKey {
    let asked = pb::TravelDocumentKey {
        number: number.into(),
        issuing_country: country.into(),
        document_type: document_type.into(),
    };
    pb::SearchKey { key: Some(pb::search_key::Key::TravelDocument(asked)) }
}

fn mrz(text: &str) -> pb::SearchKey {
    pb::SearchKey { key: Some(pb::search_key::Key::Mrz(text.into())) }
}

fn thing(kind: pb::ThingKeyKind, value: &str, country: &str) -> pb::SearchKey {
    let asked = pb::ThingKey { kind: kind.into(), value: value.into(), country: country.into() };
    pb::SearchKey { key: Some(pb::search_key::Key::Thing(asked)) }
}

fn ask(key: &pb::SearchKey) -> Question {
    Question::read(key, today()).unwrap()
}

fn refused(key: &pb::SearchKey) -> (Reason, String) {
    let refusal = Question::read(key, today()).unwrap_err();
    (refusal.reason, refusal.fields.join(" | "))
}

fn record(database: Database, texts: &[&str]) -> Record {
    let cells: Vec<Cell<'_>> = texts.iter().map(|text| Cell::Text((*text).into())).collect();
    Record::from_row(database, Party::Secretariat, &cells).unwrap()
}

fn stolen(number: &str, country: &str, document_type: &str) -> Record {
    record(Database::Sltd, &["", "", "", "", number, country, document_type, "STOLEN_BEARER"])
}

const PASSPORT: pb::TravelDocumentType = pb::TravelDocumentType::Passport;
const UNKNOWN: pb::TravelDocumentType = pb::TravelDocumentType::Unspecified;

#[test]
fn the_same_number_issuer_and_type_are_a_match_and_less_is_possible() {
    let passport = stolen("X4719T06M", "UTO", "PASSPORT");
    let likeness = |key: &pb::SearchKey| ask(key).likeness(&passport);
    assert_eq!(likeness(&document(" x4719-t06m<<", "uto", PASSPORT)), Some(Likeness::Same));
    assert_eq!(likeness(&mrz(MARLOWE)), Some(Likeness::Same));
    // O for 0.
    assert_eq!(likeness(&document("X4719TO6M", "UTO", PASSPORT)), Some(Likeness::Similar));
    assert_eq!(likeness(&document("X4719T06M", "", PASSPORT)), Some(Likeness::Similar));
    assert_eq!(likeness(&document("X4719T06M", "UTO", UNKNOWN)), Some(Likeness::Similar));
    let visa = pb::TravelDocumentType::Visa;
    assert_eq!(likeness(&document("X4719T06M", "UTO", visa)), Some(Likeness::Similar));
    // Another country's number, and another number.
    assert_eq!(likeness(&document("X4719T06M", "FRA", PASSPORT)), None);
    assert_eq!(likeness(&document("X4179T06M", "UTO", PASSPORT)), None);
}

#[test]
fn a_range_of_blanks_and_a_document_of_a_notice_are_told_apart_in_the_same_way() {
    let row = ["", "", "", "", "P0001000", "UTO", "PASSPORT", "STOLEN_BLANK", "P0002999"];
    let blanks = record(Database::Sltd, &row);
    assert_eq!(ask(&document("P0002000", "UTO", PASSPORT)).likeness(&blanks), Some(Likeness::Same));
    assert_eq!(ask(&document("P000200O", "UTO", PASSPORT)).likeness(&blanks), Some(Likeness::Similar));
    assert_eq!(ask(&document("P0003000", "UTO", PASSPORT)).likeness(&blanks), None);
    let row = ["", "", "", "", "X4719T06M", "UTO", "PASSPORT", "2010/4711", "red", "2"];
    let held = record(Database::Tdawn, &row);
    assert_eq!(ask(&mrz(MARLOWE)).likeness(&held), Some(Likeness::Same));
    assert_eq!(ask(&document("X4719T06N", "UTO", PASSPORT)).likeness(&held), None);
}

#[test]
fn things_are_found_by_their_numbers_and_never_surely_by_a_name() {
    use pb::ThingKeyKind as By;
    let numbers = ["v1", "", "", "", "CAR", "1HGBH41JXMN109186", "E77", "AB-123-CD", "FRA", ""];
    let car = record(Database::Vehicles, &[&numbers[..], &["HONDA", "", "", "1991", "", ""]].concat());
    let of_car = |key: &pb::SearchKey| ask(key).likeness(&car);
    assert_eq!(of_car(&thing(By::Vin, "1HGBH41JXMN109186", "")), Some(Likeness::Same));
    assert_eq!(of_car(&thing(By::Vin, "IHGBH41JXMN109186", "")), Some(Likeness::Similar));
    assert_eq!(of_car(&thing(By::Engine, "e77", "")), Some(Likeness::Same));
    assert_eq!(of_car(&thing(By::Part, "e77", "")), None);
    assert_eq!(of_car(&thing(By::Plate, "AB123CD", "FRA")), Some(Likeness::Same));
    assert_eq!(of_car(&thing(By::Plate, "AB123CD", "")), Some(Likeness::Similar));
    assert_eq!(of_car(&thing(By::Plate, "AB123CD", "D")), None);
    let row = ["b1", "", "", "", "SAILING YACHT", "", "9074729", "Été d'or", "FRA", "1250", "E1;E2", ""];
    let boat = record(Database::Vessels, &row);
    assert_eq!(ask(&thing(By::VesselName, "été d or", "")).likeness(&boat), Some(Likeness::Similar));
    assert_eq!(ask(&thing(By::Hull, "9074729", "")).likeness(&boat), Some(Likeness::Same));
    assert_eq!(ask(&thing(By::Engine, "E2", "")).likeness(&boat), Some(Likeness::Same));
    assert_eq!(ask(&thing(By::VesselName, "HIVER", "")).likeness(&boat), None);
}

#[test]
fn alerts_and_specimens_are_found_by_the_model_of_a_document() {
    let model = |country: &str, document_type: pb::TravelDocumentType, series: &str| {
        let (issuing_country, series) = (country.into(), series.into());
        let asked = pb::DocumentModelKey { issuing_country, document_type: document_type.into(), series };
        pb::SearchKey { key: Some(pb::search_key::Key::DocumentModel(asked)) }
    };
    let alert = ["a1", "", "", "", "UTO", "PASSPORT", "Series 2024/B", "COUNTERFEIT", "the seal is printed"];
    let alert = record(Database::DialDoc, &[&alert[..], &["", "", "SUBMITTED"]].concat());
    let specimen = ["s1", "", "", "", "UTO", "PASSPORT", "", "2024", "a blue thread", ""];
    let specimen = record(Database::Edison, &specimen);
    let both = |key: &pb::SearchKey| [ask(key).likeness(&alert), ask(key).likeness(&specimen)];
    let possible = Some(Likeness::Similar);
    assert_eq!(both(&model("uto", PASSPORT, "")), [possible, possible]);
    assert_eq!(both(&model("UTO", PASSPORT, "series 2024 b")), [possible, None]);
    assert_eq!(both(&model("UTO", PASSPORT, "2023")), [None, None]);
    assert_eq!(both(&model("UTO", pb::TravelDocumentType::Visa, "")), [None, None]);
    assert_eq!(both(&model("FRA", PASSPORT, "")), [None, None]);
    assert_eq!(ask(&model("UTO", PASSPORT, "")).databases(&[]), [Database::DialDoc, Database::Edison]);
    let missing = |field: &str| (Reason::MissingData, format!("document_model.{field}"));
    assert_eq!(refused(&model("", PASSPORT, "")), missing("issuing_country"));
    assert_eq!(refused(&model("UTO", UNKNOWN, "")), missing("document_type"));
    let long = model("UTO", PASSPORT, &"x".repeat(201));
    assert_eq!(refused(&long), (Reason::TooLarge, "document_model.series".into()));
}

#[test]
fn a_wrong_check_digit_is_refused_with_the_digit_found_and_expected() {
    // The number was X4719T06M: two digits have changed places.
    let (reason, fields) = refused(&mrz(&MARLOWE.replace("X4719T06M", "X4179T06M")));
    assert_eq!(reason, Reason::WrongCheckDigit);
    assert!(fields.contains("mrz: check digit of the document number: found 3, expected "), "{fields}");
    assert!(fields.contains("mrz: check digit of the whole zone: found 8, expected "), "{fields}");
    let (reason, fields) = refused(&mrz(&MARLOWE.replace("P<UTO", "P<ZZZ")));
    assert_eq!(reason, Reason::UnknownCountry);
    assert!(fields.contains("mrz: issuing country"), "{fields}");
    assert_eq!(refused(&mrz("P<UTO")).0, Reason::WrongField);
    assert_eq!(refused(&mrz(&"<".repeat(257))).0, Reason::TooLarge);
}

#[test]
fn what_is_no_key_is_refused_by_field() {
    use pb::ThingKeyKind as By;
    let nothing = pb::SearchKey { key: None };
    assert_eq!(refused(&nothing), (Reason::Malformed, "key".into()));
    assert_eq!(
        refused(&document("", "UTO", PASSPORT)),
        (Reason::MissingData, "travel_document.number".into())
    );
    assert_eq!(refused(&document("P1", "Utopia", PASSPORT)).0, Reason::UnknownCountry);
    assert_eq!(refused(&document("P1/2", "UTO", PASSPORT)).0, Reason::WrongField);
    let mut other_type = document("P1", "UTO", PASSPORT);
    if let Some(pb::search_key::Key::TravelDocument(asked)) = &mut other_type.key {
        asked.document_type = 99;
    }
    assert_eq!(refused(&other_type), (Reason::WrongField, "travel_document.document_type".into()));
    assert_eq!(refused(&thing(By::Unspecified, "1", "")), (Reason::Malformed, "thing.kind".into()));
    assert_eq!(refused(&thing(By::Vin, "1", "FRA")), (Reason::WrongField, "thing.country".into()));
    assert_eq!(refused(&thing(By::Title, " … ", "")), (Reason::MissingData, "thing.value".into()));
    assert_eq!(refused(&thing(By::Title, &"a".repeat(201), "")).0, Reason::TooLarge);
}

#[test]
fn a_key_is_asked_where_it_is_known() {
    use pb::ThingKeyKind as By;
    let databases = |key: &pb::SearchKey, named: &[Database]| ask(key).databases(named);
    assert_eq!(databases(&mrz(MARLOWE), &[]), [Database::Sltd, Database::Tdawn]);
    assert_eq!(databases(&mrz(MARLOWE), &[Database::Tdawn, Database::Vehicles]), [Database::Tdawn]);
    let engine = thing(By::Engine, "E1", "");
    assert_eq!(databases(&engine, &[]), [Database::Vehicles, Database::Vessels]);
    let code = thing(By::Code, "abc", "");
    let open = [Database::Ifrt, Database::Ibin, Database::Cards, Database::Piracy];
    assert_eq!(databases(&code, &[]), open);
    assert_eq!(databases(&code, &[Database::Icse]), [Database::Icse]);
    let mut keys = Vec::new();
    ask(&document("P1", "", PASSPORT)).keys(Database::Sltd, &mut keys);
    assert_eq!(keys.len(), Issuer::all().count());
}

#[test]
fn one_number_has_one_normalised_form_however_it_is_shown() {
    let normalised = |key: &pb::SearchKey| {
        let mut bytes = Vec::new();
        ask(key).normalised(&mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(normalised(&mrz(MARLOWE)), "travel-document\0UTO/X4719T06M");
    assert_eq!(normalised(&document("x4719-to6m", "UTO", UNKNOWN)), "travel-document\0UTO/X4719T06M");
    assert_eq!(normalised(&thing(pb::ThingKeyKind::Title, "the Harbour!", "")), "title\0THE HARBOUR");
    // What reaches a log says nothing about whom it is about.
    assert_eq!(format!("{:?}", ask(&mrz(MARLOWE))), "Question(travel-document)");
}

#[test]
fn a_person_is_asked_for_by_name_with_a_birth_or_an_age_and_is_never_more_than_possible() {
    let asked = |name: &str, born: &str, ages: (u32, u32), nationality: &str| {
        let (age_from, age_to) = ages;
        let (name, born, nationality) = (name.into(), born.into(), nationality.into());
        let person = pb::PersonKey { name, born, age_from, age_to, nationality };
        pb::SearchKey { key: Some(pb::search_key::Key::Person(person)) }
    };
    let question = ask(&asked("Marlowe, Tessa", "1987-03", (0, 0), "D"));
    assert_eq!(question.databases(&[]), [Database::Nominal]);
    assert_eq!(question.databases(&[Database::Sltd]), []);
    assert_eq!(question.person().unwrap().nationality, "DE".parse().ok());
    assert!(format!("{question:?}").ends_with("(name)"), "{question:?}");
    let columns = ["1", "", "", "", "", "MARLOWE", "Tessa", "", "1987-03-22", "", "", "", "", "", "WANTED"];
    let person = record(Database::Nominal, &columns);
    assert_eq!(question.likeness(&person), Some(Likeness::Similar));
    assert_eq!(question.likeness(&stolen("X4719T06M", "UTO", "PASSPORT")), None);
    assert!(ask(&asked("Marlowe, Tessa", "", (35, 45), "")).person().unwrap().birth.is_some());
    // Written otherwise, and the same to a journal.
    let normalised = |key: &pb::SearchKey| {
        let mut bytes = Vec::new();
        ask(key).normalised(&mut bytes);
        bytes
    };
    let known = normalised(&asked("Marlowe,  Tessa", "1987", (0, 0), ""));
    assert_eq!(normalised(&asked("MARLOWE, TESSA", "1987", (0, 0), "")), known);
    assert_ne!(normalised(&asked("MARLOWE, TESSA", "1988", (0, 0), "")), known);
    for (key, reason, field) in [
        (asked("…", "", (0, 0), ""), Reason::MissingData, "person.name"),
        (asked(&"x".repeat(600), "", (0, 0), ""), Reason::TooLarge, "person.name"),
        (asked("Marlowe", "1987", (35, 45), ""), Reason::WrongField, "person.born|age"),
        (asked("Marlowe", "22.3.87", (0, 0), ""), Reason::WrongField, "person.born: "),
        (asked("Marlowe", "", (20, 90), ""), Reason::WrongField, "person.age_to: "),
        (asked("Marlowe", "", (45, 35), ""), Reason::WrongField, "person.age_to: "),
        (asked("Marlowe", "", (0, 0), "ZZZ"), Reason::UnknownCountry, "person.nationality: "),
    ] {
        let (found, fields) = refused(&key);
        assert!(found == reason && fields.starts_with(field), "{found:?} {fields}");
    }
}

fn probe(database: pb::Database, template: Vec<u8>) -> pb::SearchKey {
    let asked = pb::ProbeKey { database: database.into(), template: template.into() };
    pb::SearchKey { key: Some(pb::search_key::Key::Probe(asked)) }
}

#[test]
fn a_probe_is_compared_in_its_own_database_and_never_more_than_possible() {
    let face = record(Database::Faces, &["f", "", "", "", "KNOWN", "FACE", &"07".repeat(128), ""]);
    let asked = ask(&probe(pb::Database::Faces, vec![7; 128]));
    assert_eq!(asked.likeness(&face), Some(Likeness::Similar), "although it is the same vector");
    assert_eq!(asked.likeness(&stolen("X4719T06M", "UTO", "PASSPORT")), None);
    assert_eq!(asked.databases(&[]), [Database::Faces]);
    assert_eq!(asked.databases(&[Database::Sltd, Database::Faces]), [Database::Faces]);
    assert_eq!(asked.databases(&[Database::Fingerprints]), []);
    let mut keys = Vec::new();
    asked.keys(Database::Faces, &mut keys);
    assert!(keys.is_empty() && asked.probe().is_some() && !asked.is_open());
    // Of the probe its hash is left, and which database it is of.
    let normalised = |key| {
        let mut bytes = Vec::new();
        ask(&key).normalised(&mut bytes);
        bytes
    };
    let same = normalised(probe(pb::Database::Faces, vec![7; 128]));
    assert!(same.starts_with(b"template\0faces\0") && !same.windows(4).any(|bytes| bytes == [7; 4]));
    assert_eq!(same.len(), b"template\0faces\0".len() + 32);
    assert_ne!(same, normalised(probe(pb::Database::Faces, vec![8; 128])));
}

#[test]
fn a_probe_too_large_or_of_another_kind_is_refused_with_the_limit() {
    let wrong = |database, template| refused(&probe(database, template));
    let too_large = |limit: &str| (Reason::TooLarge, format!("probe.template: a probe too large: {limit}"));
    assert_eq!(wrong(pb::Database::Faces, vec![7; 129]), too_large("129 bytes, and at most 128 are taken"));
    assert_eq!(
        wrong(pb::Database::Fingerprints, vec![7; 100_000]),
        too_large("100000 bytes, and at most 256 are taken")
    );
    assert_eq!(
        wrong(pb::Database::Dna, vec![b';'; 1025]),
        too_large("1025 bytes, and at most 1024 are taken")
    );
    let short = "probe.template: a probe too short: 128 bytes of 256";
    assert_eq!(wrong(pb::Database::Fingerprints, vec![7; 128]), (Reason::WrongField, short.into()));
    assert_eq!(wrong(pb::Database::Sltd, vec![7; 128]), (Reason::WrongField, "probe.database".into()));
    assert_eq!(wrong(pb::Database::Unspecified, vec![7; 128]), (Reason::WrongField, "probe.database".into()));
}
