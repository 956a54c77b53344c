//! Stories of records: what is taken, what is refused and why, and that each has one form of bytes.

use i247_model::Reason;

use super::*;

fn cells<'a>(texts: &[&'a str]) -> Vec<Cell<'a>> {
    texts.iter().map(|text| Cell::Text((*text).into())).collect()
}

fn bureau(code: &str) -> Party {
    code.parse().unwrap()
}

fn row(database: Database, owner: &str, texts: &[&str]) -> Result<Record, String> {
    Record::from_row(database, bureau(owner), &cells(texts)).map_err(|faults| faults.to_string())
}

fn passport() -> Record {
    row(
        Database::Sltd,
        "FR",
        &[
            "2026-17",
            "",
            "",
            "",
            "x4719t06m",
            "FRA",
            "passport",
            "STOLEN_BEARER",
            "",
            "D",
            "2021-06-28",
            "2031-06-27",
            "2026-11-20",
            "taken from a car",
        ],
    )
    .unwrap()
}

/// One row of every layout, as a file would have it.
fn one_of_each() -> Vec<Record> {
    [papers(), persons_and_things(), traces()].concat()
}

fn of(database: Database, texts: &[&str]) -> Record {
    row(database, "FR", texts).unwrap()
}

fn papers() -> Vec<Record> {
    let hash = "ab".repeat(32);
    let held = ["", "", "", "", "P1234567", "UTO", "PASSPORT", "2010/4711", "red", "2"];
    let alert =
        ["d1", "", "", "", "UTO", "PASSPORT", "2019", "PHOTO_SWAP", "two\nlines", &hash, "", "SUBMITTED"];
    vec![
        passport(),
        of(Database::Tdawn, &held),
        of(Database::Sad, &["", "", "", "", "A1", "FRA", "REGISTRATION", "yes", "2026-01-02"]),
        of(Database::DialDoc, &alert),
        of(Database::Edison, &["e1", "", "", "", "UTO", "VISA", "", "2019", "watermark;thread", ""]),
    ]
}

fn persons_and_things() -> Vec<Record> {
    let hash = "ab".repeat(32);
    let documents = "PASSPORT/FRA/P1234567; ID_CARD/D/L1";
    let names = ["p1", "", "", "", "2010/4711-1", "MARLOWE;NYE", "TESSA;IRIS", "TESS \"THE FOX\""];
    let birth = ["1987-03-22;1987", "", "UTO;D", "female", "", documents];
    let person = [&names[..], &birth, &["WANTED", "ARMED", "2010/4711", "EN", "tall", ""]].concat();
    let numbers = ["v1", "", "", "", "CAR", "1HGBH41JXMN109186", "", "AB-123-CD", "FRA", ""];
    let car = [&numbers[..], &["HONDA", "ACCORD", "blue", "1991", "2026-11-01", "FRA"]].concat();
    let boat = ["b1", "", "", "", "SAILING YACHT", "", "9074729", "Été d'or", "FRA", "1250", "E1;E2", ""];
    let title = ["a1", "", "", "", "PAINTING", "Harbour at dusk", "", "", "oil"];
    let painting = [&title[..], &["730", "920", "", &hash, "", "", "yes"]].concat();
    vec![
        of(Database::Nominal, &person),
        of(Database::Vehicles, &car),
        of(Database::Vessels, &boat),
        of(Database::Art, &painting),
        of(Database::Iarms, &["w1", "", "", "", "SN-12 34", "ACME", "", "9 mm", "", "", "STOLEN"]),
        of(Database::Cards, &["c1", "", "", "", "class 7", "7/B", "network=invented"]),
    ]
}

fn traces() -> Vec<Record> {
    let (face, mark) = ("07".repeat(128), "07".repeat(256));
    let loci = "CSF1PO:10,12;D3S1358:15,17;FGA:22;TH01:6,9.3;TPOX:8;VWA:14,16";
    vec![
        of(Database::Dna, &["t1", "", "", "", "UNKNOWN", loci]),
        of(Database::DnaMissing, &["t1", "", "", "", "BODY", loci]),
        of(Database::Faces, &["f1", "", "", "", "KNOWN", "FACE", &face, "80"]),
        of(Database::Fingerprints, &["f2", "", "", "", "UNKNOWN", "MARK", &mark, ""]),
    ]
}

#[test]
fn a_passport_is_read_from_its_row() {
    let record = passport();
    let Content::TravelDocument(of) = record.content() else { panic!("{record:?}") };
    assert_eq!(of.number.as_str(), "X4719T06M");
    assert_eq!(of.theft_country.unwrap().as_str(), "D");
    assert_eq!(record.name().to_string(), "FRA/PASSPORT/X4719T06M");
    assert_eq!(record.keys(), [Key::travel_document(Database::Sltd, of.issuing_country, &of.number)]);
    assert_eq!(record.sole_writer(), Some(bureau("FR")));
}

#[test]
fn every_layout_goes_round_by_row_and_by_wire() {
    for record in one_of_each() {
        let database = record.database();
        let cells = record.to_row();
        assert_eq!(cells.len(), Record::columns(database).count(), "{database}");
        assert_eq!(Record::from_row(database, record.owner(), &cells).unwrap(), record);
        assert_eq!(Record::from_wire(record.to_wire()).unwrap(), record);
        let change = Change::Add(record.clone());
        assert_eq!(Change::decode(database, &change.encode()).unwrap(), change);
        assert_eq!(RecordName::parse(database, &record.name().to_string()).unwrap(), record.name());
        assert!(record.name().key(database).is_none_or(|key| record.keys().contains(&key)), "{database}");
        for key in record.keys() {
            assert!(database.keys().contains(&key.kind()), "{database} {key:?}");
        }
    }
}

#[test]
fn the_columns_are_those_of_the_fields() {
    let columns: Vec<&str> = Record::columns(Database::Sad).collect();
    assert_eq!(
        columns,
        [
            "reference",
            "review_on",
            "except",
            "handling",
            "number",
            "country",
            "document_type",
            "blank",
            "stolen_on"
        ]
    );
}

#[test]
fn a_row_hears_everything_that_is_wrong_with_it() {
    assert_eq!(
        row(Database::Sltd, "FR", &["", "2026-02-30", "", "", "", "ZZZ", "PASS", "STOLEN_BEARER"])
            .unwrap_err(),
        "review_on \"2026-02-30\" is not a date YYYY-MM-DD between 1000 and 9999; number is missing; \
         issuing_country \"ZZZ\" is not the ICAO code of an issuer, such as FRA, D or UTO; \
         document_type \"PASS\" is not a type of travel document: PASSPORT, DIPLOMATIC, SERVICE, ID_CARD, VISA, \
         REFUGEE_TD, STATELESS_TD, EMERGENCY_TD, SEAMAN, RESIDENCE_PERMIT or OTHER"
    );
    assert_eq!(
        row(Database::Vehicles, "FR", &["", "", "", "", "CAR", "V1"]).unwrap_err(),
        "reference is missing"
    );
}

#[test]
fn blanks_have_no_dates_and_ranges_are_of_blanks() {
    let range = |fraud: &str, first: &str, last: &str, issued: &str| {
        row(Database::Sltd, "FR", &["", "", "", "", first, "FRA", "PASSPORT", fraud, last, "", issued])
    };
    let record = range("STOLEN_BLANK", "P0000001", "P0002000", "").unwrap();
    assert_eq!(record.name().to_string(), "FRA/PASSPORT/P0000001..P0002000");
    assert!(record.keys().is_empty());
    let Content::TravelDocument(of) = record.content() else { panic!("{record:?}") };
    assert_eq!(of.numbers(), 2000);
    for (fraud, first, last, issued, fault) in [
        ("STOLEN_BLANK", "P0000001", "", "2020-01-01", "issued_on does not go with a blank"),
        ("REVOKED", "P0000001", "P0002000", "", "last_number goes with fraud_type STOLEN_BLANK only"),
        (
            "STOLEN_BLANK",
            "P0000001",
            "Q0002000",
            "",
            "last_number has other letters or another length than number",
        ),
        (
            "STOLEN_BLANK",
            "P0000001",
            "P00020000",
            "",
            "last_number has other letters or another length than number",
        ),
        ("STOLEN_BLANK", "P0002000", "P0000001", "", "last_number does not lie behind number"),
        ("STOLEN_BLANK", "P0000001", "P000000X", "", "last_number needs numbers that end in digits"),
        (
            "STOLEN_BLANK",
            "00000001",
            "99999999",
            "",
            "last_number makes a range of more than 10000000 numbers",
        ),
    ] {
        assert_eq!(range(fraud, first, last, issued).unwrap_err(), fault);
    }
}

#[test]
fn rules_between_fields_hold() {
    let vehicle = |vin: &str, plate: &str, country: &str| {
        row(Database::Vehicles, "FR", &["r", "", "", "", "CAR", vin, "", plate, country]).map(|_| ())
    };
    assert_eq!(vehicle("1HGBH41JXMN10918O", "", ""), Err("vin of 17 characters has no I, O or Q".into()));
    assert_eq!(vehicle("123456789012345678", "", ""), Err("vin has more than 17 characters".into()));
    assert_eq!(vehicle("V1", "AB123", ""), Err("plate_country goes with plate, and plate with it".into()));
    assert_eq!(vehicle("", "", ""), Err("vin or engine_number, plate or part_number must be there".into()));
    let trace = |database: Database, modality: &str, bytes: usize| {
        row(database, "FR", &["r", "", "", "", "KNOWN", modality, &"07".repeat(bytes)]).map(|_| ())
    };
    assert_eq!(trace(Database::Faces, "FACE", 128), Ok(()));
    assert_eq!(trace(Database::Faces, "FACE", 127), Err("vector of a face has 128 bytes".into()));
    assert_eq!(trace(Database::Fingerprints, "PALM", 256), Ok(()));
    let wrong = "vector of a fingerprint, mark or palm has 256 bytes";
    assert_eq!(trace(Database::Fingerprints, "PALM", 257), Err(wrong.into()));
    assert_eq!(
        trace(Database::Fingerprints, "FACE", 128),
        Err("modality belongs to another database".into())
    );
    let dna = |kind: &str, loci: &str| row(Database::Dna, "FR", &["r", "", "", "", kind, loci]).map(|_| ());
    assert_eq!(dna("KNOWN", "TH01:6"), Err("loci has fewer than 6 places".into()));
    let loci = "A1:6;A2:6;A3:6;A4:6;A5:6;A6:6";
    assert_eq!(dna("BODY", loci), Err("subject_kind belongs to the other database of DNA profiles".into()));
    assert_eq!(dna("KNOWN", loci), Ok(()));
    assert_eq!(
        dna("KNOWN", "A2:6;A1:6;A3:6;A4:6;A5:6;A6:6"),
        Err("loci is not sorted by name and free of repetition".into())
    );
}

#[test]
fn hostile_texts_are_not_taken() {
    let info = |text: &str| {
        row(Database::Sltd, "FR", &["", "", "", "", "P1", "FRA", "VISA", "REVOKED", "", "", "", "", "", text])
    };
    assert!(info("=HYPERLINK(\"evil\")").is_ok());
    for text in ["a\u{0}b", "a\nb", "a\u{1b}[31mb", "a\u{202e}b", &"x".repeat(201)] {
        assert!(info(text).is_err(), "{text:?}");
    }
    let many = "A;".repeat(65);
    assert!(row(Database::Vessels, "FR", &["r", "", "", "", "BOAT", "H1", "", "", "", "", &many]).is_err());
}

#[test]
fn a_change_has_one_form_of_bytes() {
    let bytes = Change::Add(passport()).encode();
    let refused = |bytes: &[u8]| Change::decode(Database::Sltd, bytes).unwrap_err();
    let mut unknown_field = bytes.clone();
    unknown_field.extend([0xf8, 0x01, 1]);
    assert_eq!(refused(&unknown_field).reason, Reason::NotCanonical);
    assert_eq!(refused(&[]).reason, Reason::Malformed);
    assert_eq!(refused(&bytes[..bytes.len() - 1]).reason, Reason::Malformed);
    assert_eq!(refused(&vec![0; MAX_CHANGE_BYTES + 1]).reason, Reason::TooLarge);
    let other = Change::decode(Database::Sad, &bytes).unwrap_err();
    assert_eq!(other.fields, ["change.add.database is not that of the batch"]);

    let mut small_letters = passport().to_wire();
    let Some(pb::record::Content::TravelDocument(of)) = &mut small_letters.content else { panic!() };
    of.number = "x4719t06m".into();
    let change = pb::RecordChange { action: Some(pb::record_change::Action::Add(small_letters)) };
    assert_eq!(refused(&change.encode_to_vec()).reason, Reason::NotCanonical);

    let mut nobody = passport().to_wire();
    nobody.owner.clear();
    nobody.content = None;
    let change = pb::RecordChange { action: Some(pb::record_change::Action::Add(nobody)) };
    let refusal = refused(&change.encode_to_vec());
    assert_eq!(refusal.reason, Reason::MissingData);
    assert_eq!(refusal.fields, ["change.add.owner is missing", "change.add.content is missing"]);
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused_or_still_canonical() {
    for record in one_of_each() {
        let database = record.database();
        let bytes = Change::Add(record).encode();
        for at in 0..bytes.len() {
            assert!(Change::decode(database, &bytes[..at]).is_err(), "{database} cut at {at}");
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                if let Ok(change) = Change::decode(database, &bent) {
                    assert_eq!(change.encode(), bent, "{database} bit {bit} of byte {at}");
                }
            }
        }
    }
}

#[test]
fn a_record_is_kept_from_the_countries_that_its_owner_names_and_from_no_other() {
    let record =
        row(Database::Sltd, "FR", &["", "", "GB; DE;DE", "", "P1", "FRA", "VISA", "REVOKED"]).unwrap();
    assert!(record.is_restricted());
    assert_eq!(record.about().except.len(), 2);
    for (asker, sees) in [("GB", false), ("DE", false), ("FR", true), ("ES", true), ("IPSG", true)] {
        assert_eq!(record.is_visible_to(bureau(asker)), sees, "{asker}");
    }
    let own = record.with_except(vec!["FR".parse().unwrap()]);
    assert!(own.is_visible_to(bureau("FR")));
    assert!(own.is_visible_to(bureau("GB")));
}

#[test]
fn retention_counts_from_acceptance_and_the_owner_may_only_shorten_it() {
    let accepted = "2026-11-22".parse().unwrap();
    let expires = |record: Record| record.expires_on(accepted).map(|day| day.to_string());
    let reviewed =
        |day: &str| row(Database::Sltd, "FR", &["", day, "", "", "P1", "FRA", "VISA", "REVOKED"]).unwrap();
    assert_eq!(expires(reviewed("")).unwrap(), "2036-11-22");
    assert_eq!(expires(reviewed("2027-01-31")).unwrap(), "2027-01-31");
    assert_eq!(expires(reviewed("2099-01-31")).unwrap(), "2036-11-22");
    let by_database: Vec<(Database, Option<String>)> =
        one_of_each().into_iter().map(|record| (record.database(), expires(record))).collect();
    let year = |database| {
        let day = by_database.iter().find(|(of, _)| *of == database).unwrap().1.as_ref();
        day.map(|day| day[..4].to_owned())
    };
    assert_eq!(year(Database::Dna).unwrap(), "2041");
    assert_eq!(year(Database::Faces).unwrap(), "2031");
    assert_eq!(year(Database::Art).unwrap(), "2076");
    assert_eq!(year(Database::Tdawn), None);
}

#[test]
fn the_names_on_the_wire_are_those_of_the_columns() {
    for (number, kind) in (1..).zip(FraudType::ALL) {
        let wire = pb::FraudType::try_from(number).unwrap();
        assert_eq!(wire.as_str_name(), format!("FRAUD_TYPE_{kind}"));
    }
    for (number, database) in (1..).zip(Database::ALL) {
        let wire = pb::Database::try_from(number).unwrap().as_str_name().to_owned();
        assert_eq!(wire, format!("DATABASE_{}", database.as_str().to_uppercase().replace('-', "_")));
    }
    for (number, kind) in (1..).zip(crate::document::DocumentType::ALL) {
        let wire = pb::TravelDocumentType::try_from(number).unwrap();
        assert_eq!(wire.as_str_name(), format!("TRAVEL_DOCUMENT_TYPE_{kind}"));
    }
    for (number, kind) in (1..).zip(crate::document::AdministrativeType::ALL) {
        let wire = pb::AdministrativeDocumentType::try_from(number).unwrap();
        assert_eq!(wire.as_str_name(), format!("ADMINISTRATIVE_DOCUMENT_TYPE_{kind}"));
    }
    for (number, kind) in (1..).zip(PersonStatus::ALL) {
        assert_eq!(
            pb::PersonStatus::try_from(number).unwrap().as_str_name(),
            format!("PERSON_STATUS_{kind}")
        );
    }
    for (number, kind) in (1..).zip(Sex::ALL) {
        assert_eq!(pb::Sex::try_from(number).unwrap().as_str_name(), format!("SEX_{kind}"));
    }
    for (number, kind) in (1..).zip(VehicleKind::ALL) {
        assert_eq!(pb::VehicleKind::try_from(number).unwrap().as_str_name(), format!("VEHICLE_KIND_{kind}"));
    }
    for (number, kind) in (1..).zip(SubjectKind::ALL) {
        assert_eq!(pb::SubjectKind::try_from(number).unwrap().as_str_name(), format!("SUBJECT_KIND_{kind}"));
    }
    for (number, kind) in (1..).zip(Modality::ALL) {
        assert_eq!(pb::Modality::try_from(number).unwrap().as_str_name(), format!("MODALITY_{kind}"));
    }
    for (number, kind) in (1..).zip(FirearmStatus::ALL) {
        assert_eq!(
            pb::FirearmStatus::try_from(number).unwrap().as_str_name(),
            format!("FIREARM_STATUS_{kind}")
        );
    }
    for (number, kind) in (1..).zip(ForgeryKind::ALL) {
        assert_eq!(pb::ForgeryKind::try_from(number).unwrap().as_str_name(), format!("FORGERY_KIND_{kind}"));
    }
    for (number, kind) in (1..).zip(AlertState::ALL) {
        assert_eq!(pb::AlertState::try_from(number).unwrap().as_str_name(), format!("ALERT_STATE_{kind}"));
    }
}
