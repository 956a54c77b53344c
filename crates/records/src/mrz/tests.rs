//! Vectors written by hand, those of the standard among them, and a second opinion on made-up zones.

use super::*;

fn today() -> Date {
    "2026-11-22".parse().unwrap()
}

fn read(text: &str) -> Zone {
    Zone::read(text, today()).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    Zone::read(text, today()).unwrap_err().faults().iter().map(ToString::to_string).collect()
}

const TD3: &str =
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";
const TD1: &str =
    "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<";
const TD2: &str = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6";
const MRV_A: &str =
    "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL8988901C4XXX4009078F96121096ZE184226B<<<<<<";
const MRV_B: &str = "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nL8988901C4XXX4009078F9612109<<<<<<<<";

#[test]
fn check_digits_are_as_computed_by_hand() {
    for (text, digit) in [
        ("AB2134<<<", 5),
        ("520727", 3),
        ("L898902C3", 6),
        ("740812", 2),
        ("120415", 9),
        ("ZE184226B<<<<<", 1),
        ("D23145890", 7),
        ("1234567890", 7),
        ("ABCDEFGHI", 4),
        ("999999999", 7),
        ("Z0Z0Z0Z0Z", 5),
        ("X4719T06M", 3),
        ("870322", 6),
        ("310627", 9),
        ("X4719T06M5Q8", 4),
        ("SIM0048<<<<<<<", 2),
        ("", 0),
    ] {
        assert_eq!(check_digit(text), Some(digit), "{text}");
    }
    assert_eq!(check_digit("a"), None);
    assert_eq!(check_digit("Ä"), None);
}

#[test]
fn the_passport_of_the_standard_is_read() {
    let zone = read(TD3);
    assert_eq!(zone.format, Format::Td3);
    assert_eq!(zone.code, "P");
    assert_eq!(zone.issuer.as_str(), "UTO");
    assert_eq!(zone.number.as_str(), "L898902C3");
    assert_eq!(zone.surname, "ERIKSSON");
    assert_eq!(zone.given_names, "ANNA MARIA");
    assert_eq!(zone.nationality, "UTO");
    assert_eq!(zone.birth, BirthDate { year: Some(1974), month: Some(8), day: Some(12) });
    assert_eq!(zone.sex, Sex::Female);
    assert_eq!(zone.expiry.to_string(), "2012-04-15");
    assert_eq!(zone.optional, "ZE184226B");
}

#[test]
fn the_cards_of_the_standard_are_read() {
    for (text, format) in [(TD1, Format::Td1), (TD2, Format::Td2)] {
        let zone = read(text);
        assert_eq!(zone.format, format);
        assert_eq!(zone.code, "I");
        assert_eq!(zone.number.as_str(), "D23145890");
        assert_eq!((zone.surname.as_str(), zone.given_names.as_str()), ("ERIKSSON", "ANNA MARIA"));
        assert_eq!(zone.optional, "");
    }
}

#[test]
fn the_visas_of_the_standard_are_read_and_have_no_digit_over_the_whole() {
    let zone = read(MRV_A);
    assert_eq!((zone.format, zone.number.as_str()), (Format::MrvA, "L8988901C"));
    assert_eq!(zone.nationality, "XXX");
    assert_eq!(zone.birth.year, Some(1940));
    assert_eq!(zone.optional, "6ZE184226B");
    let zone = read(MRV_B);
    assert_eq!((zone.format, zone.number.as_str()), (Format::MrvB, "L8988901C"));
    assert_eq!(zone.expiry.to_string(), "1996-12-10");
}

#[test]
fn a_zone_may_come_in_one_piece_and_in_small_letters() {
    let joined = TD3.replace('\n', "");
    assert_eq!(read(&joined), read(TD3));
    assert_eq!(read(&TD1.replace('\n', "").to_lowercase()), read(TD1));
    assert_eq!(read(&format!("  {}\r\n", TD2.replace('\n', " "))), read(TD2));
}

#[test]
fn the_invented_holder_is_read_in_all_three_sizes() {
    let td3 = "P<UTOMARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3UTO8703226F3106279<<<<<<<<<<<<<<<8";
    let zone = read(td3);
    assert_eq!(zone.number.as_str(), "X4719T06M");
    assert_eq!(zone.expiry.to_string(), "2031-06-27");
    assert_eq!(read(&td3.replace("<<<8", "<<08")), zone);
    let with_optional = td3.replace("9<<<<<<<<<<<<<<<8", "9SIM0048<<<<<<<22");
    assert_eq!(read(&with_optional).optional, "SIM0048");
    let td2 = "I<UTOMARLOWE<<TESSA<IRIS<<<<<<<<<<<<\nX4719T06M3UTO8703226F3106279<<<<<<<8";
    assert_eq!(read(td2).number, zone.number);
    let td1 =
        "I<UTOX4719T06M3<<<<<<<<<<<<<<<\n8703226F3106279UTO<<<<<<<<<<<8\nMARLOWE<<TESSA<IRIS<<<<<<<<<<<";
    assert_eq!(read(td1).number, zone.number);
}

#[test]
fn a_long_number_goes_on_in_the_optional_data() {
    let td1 =
        "I<UTOX4719T06M<5Q84<<<<<<<<<<<\n8703226F3106279UTO<<<<<<<<<<<6\nMARLOWE<<TESSA<IRIS<<<<<<<<<<<";
    let zone = read(td1);
    assert_eq!(zone.number.as_str(), "X4719T06M5Q8");
    assert_eq!(zone.optional, "");
    assert_eq!(
        faults(&td1.replace("5Q84", "5Q83")),
        [
            "check digit of the document number: found 3, expected 4",
            "check digit of the whole zone: found 6, expected 3",
        ]
    );
}

#[test]
fn a_wrong_digit_says_which_and_what_was_expected() {
    assert_eq!(
        faults(&TD3.replace("7408122", "7408121")),
        [
            "check digit of the date of birth: found 1, expected 2",
            "check digit of the whole zone: found 0, expected 7",
        ]
    );
    assert_eq!(
        faults(&TD3.replace("<<<<<10", "<<<<<20")),
        [
            "check digit of the optional data: found 2, expected 1",
            "check digit of the whole zone: found 0, expected 1"
        ]
    );
    assert_eq!(
        faults(&TD3.replace("<<<<<10", "<<<<<1<")),
        ["check digit of the whole zone: found <, expected 0"]
    );
}

#[test]
fn exchanged_characters_of_a_number_are_noticed() {
    let swapped =
        "P<UTOMARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4179T06M3UTO8703226F3106279<<<<<<<<<<<<<<<8";
    let error = Zone::read(swapped, today()).unwrap_err();
    // 33*7+4*3+1*1+7*7+9*3+29*1+0*7+6*3+22*1 = 389
    assert_eq!(error.faults()[0], Fault::CheckDigit { field: Field::Number, found: '3', expected: 9 });
}

#[test]
fn what_is_no_zone_is_refused_by_its_shape_or_characters() {
    let shape = |found: &[usize]| {
        format!("lines of {found:?} characters are no machine readable zone: 3 of 30, 2 of 36 or 2 of 44 are")
    };
    assert_eq!(faults(""), [shape(&[])]);
    assert_eq!(faults(&TD3[..60]), [shape(&[44, 15])]);
    assert_eq!(faults(&"<".repeat(1000)), [shape(&[1000])]);
    assert_eq!(faults(&"A ".repeat(200)), [shape(&[1, 1, 1, 1, 1, 1])]);
    assert_eq!(
        faults(&TD3.replace("ANNA", "ÄN.A")),
        [
            "line 1, position 16: 'Ä' is none of A-Z, 0-9 and <",
            "line 1, position 18: '.' is none of A-Z, 0-9 and <"
        ]
    );
    assert_eq!(Zone::read(&"Ä".repeat(44), today()).unwrap_err().faults().len(), 1);
}

#[test]
fn codes_dates_and_sex_must_mean_something() {
    assert_eq!(
        faults(&TD3.replace("P<UTO", "P<ZZZ")),
        ["issuing country: \"ZZZ\" is not the ICAO code of an issuer, such as FRA, D or UTO"]
    );
    assert_eq!(
        faults(&TD3.replace("P<UTO", "X<UTO")),
        ["document code: \"X<\" is not P for passports, V for visas, or A, C or I for cards"]
    );
    assert_eq!(faults(&TD3.replace("2F1", "2X1")), ["sex: \"X\" is not F, M or <"]);
    // 741312: 49+12+1+21+3+2 = 88, so its own digit is right.
    let wrong = faults(&TD3.replace("7408122", "7413128"));
    assert_eq!(
        wrong[0],
        "date of birth: \"741312\" is not a date of birth YYMMDD, with << for what is not known"
    );
}

#[test]
fn a_birth_is_never_in_the_future_and_may_be_known_in_part() {
    let born = |digits: &str| {
        let digit = check_digit(digits).unwrap();
        let text = MRV_B.replace("4009078", &format!("{digits}{digit}"));
        read(&text).birth
    };
    assert_eq!(born("261122").year, Some(2026));
    assert_eq!(born("261123").year, Some(1926));
    assert_eq!(born("270101").year, Some(1927));
    assert_eq!(born("85<<<<"), BirthDate { year: Some(1985), month: None, day: None });
    assert_eq!(born("<<<<<<"), BirthDate { year: None, month: None, day: None });
}

#[test]
fn a_second_opinion_agrees_on_made_up_passports() {
    let mut dice = 0x9303_u64;
    let mut next = move |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for _ in 0..2_000 {
        let number: String =
            (0..9).map(|_| char::from(alphabet[usize::try_from(next(36)).unwrap()])).collect();
        let zone = mrz::format_td3(&mrz::Td3Fields {
            issuing_country: "UTO".into(),
            document_number: number.clone(),
            surname: "MARLOWE".into(),
            given_names: "TESSA IRIS".into(),
            nationality: "UTO".into(),
            date_of_birth: mrz::MrzDate::Calendar(mrz::Date::new(1980, 1, 1)),
            sex: mrz::Sex::Female,
            date_of_expiry: mrz::MrzDate::Calendar(mrz::Date::new(2030, 12, 30)),
            ..Default::default()
        });
        assert_eq!(read(&zone).number.as_str(), number);
        // One character of the second line is changed, in a place that a digit covers.
        let at = zone.len() - 44 + usize::try_from(next(9)).unwrap();
        let mut bent = zone.into_bytes();
        bent[at] = alphabet[usize::try_from(next(36)).unwrap()];
        let bent = String::from_utf8(bent).unwrap();
        let (first, second) = bent.split_at(44);
        let theirs = mrz::parse_td3(first, second.trim()).is_ok_and(|zone| zone.checks.all_valid());
        assert_eq!(Zone::read(&bent, today()).is_ok(), theirs, "{bent}");
    }
}

#[test]
fn what_is_read_is_printed_as_it_stood() {
    let passport =
        "P<UTOMARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3UTO8703226F3106279SIM0048<<<<<<<22";
    for text in [TD3, TD1, TD2, MRV_A, MRV_B, passport] {
        assert_eq!(read(text).print().unwrap(), text);
    }
    // Where a passport's optional field is empty its digit may be 0 or <: 0 is printed.
    let empty = "P<D<<MARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3D<<8703226F3106279<<<<<<<<<<<<<<<8";
    let printed =
        "P<D<<MARLOWE<<TESSA<IRIS<<<<<<<<<<<<<<<<<<<<\nX4719T06M3D<<8703226F3106279<<<<<<<<<<<<<<08";
    assert_eq!(read(empty).print().unwrap(), printed);
    let long = Zone { surname: "VERY LONG".repeat(9), ..read(TD1) };
    assert_eq!(long.print().unwrap().lines().map(str::len).collect::<Vec<_>>(), [30, 30, 30]);
    assert_eq!(Zone { number: "X4719T06M5Q8".parse().unwrap(), ..read(TD1) }.print(), None);
    assert_eq!(Zone { surname: "MÜLLER".into(), ..read(TD1) }.print(), None);
}
