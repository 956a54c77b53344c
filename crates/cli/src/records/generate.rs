//! Synthetic records: documents that nobody ever held, the same for the same seed. It writes only what `load` reads.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};

use i247_records::Database;
use i247_records::document::Issuer;

use super::GenerateArgs;
use crate::fail::Fail;

/// Most records of one file: there are no more numbers with the letters of one seed.
pub(crate) const MAX_COUNT: u64 = 300_000_000;

/// The largest seed: three letters stand for it in every number, so that no two files of a country share one.
pub(crate) const MAX_SEED: u64 = 16 * 16 * 16 - 1;

/// Letters that look like no digit, so that no two numbers are look-alikes of each other.
const LETTERS: &[u8; 16] = b"ACEFHJKLMNPRTUVX";
/// What the last six characters of a number are made of.
const SIGNS: &[u8; 26] = b"0123456789ACEFHJKLMNPRTUVX";
/// Ways to write six of these.
const SPACE: u64 = 26 * 26 * 26 * 26 * 26 * 26;
/// Odd and no multiple of thirteen: it takes every number of the space once.
const STRIDE: u64 = 1_618_033_987;
/// Every so many lines a range of stolen blanks, as long as there are numbers for it.
const RANGE_EVERY: u64 = 10_000;
/// How many blanks are in one.
const BLANKS: u64 = 50;
/// Ranges of one file: five digits are for them.
const RANGES: u64 = 100_000 / BLANKS;

/// Writes the file.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Fail> {
    if args.database != Database::Sltd {
        let what = format!("there is no generator for {}", args.database);
        return Err(Fail::usage(what, "generate sltd"));
    }
    let failed = |error: io::Error| match &args.out {
        Some(path) => {
            Fail::because(path.display().to_string(), &error, "name a file that is not there yet with --out")
        }
        None => Fail::because("standard output", &error, "see where the output goes"),
    };
    let written = match &args.out {
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
            write(args, BufWriter::with_capacity(1 << 20, file))
        }
        None => write(args, BufWriter::with_capacity(1 << 20, io::stdout().lock())),
    };
    match written {
        // Whoever read it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && args.out.is_none() => Ok(()),
        written => written.map_err(failed),
    }
}

fn write(args: &GenerateArgs, mut out: impl Write) -> io::Result<()> {
    out.write_all(b"number,last_number,issuing_country,document_type,fraud_type,theft_country,stolen_on\n")?;
    for at in 0..args.count {
        row(&mut out, args.seed, args.issuer, at)?;
    }
    out.flush()
}

/// One line; `at` counts from 0.
fn row(out: &mut impl Write, seed: u64, country: Issuer, at: u64) -> io::Result<()> {
    let drawn = mixed(seed, at);
    let day = 1 + drawn % 28;
    let (month, year) = (1 + drawn / 28 % 12, 2018 + drawn / 336 % 8);
    let letters = letters(seed);
    if at % RANGE_EVERY == RANGE_EVERY - 1 && at / RANGE_EVERY < RANGES {
        // No single number begins with a W.
        let first = at / RANGE_EVERY * BLANKS;
        let last = first + BLANKS - 1;
        return writeln!(
            out,
            "W{letters}{first:05},W{letters}{last:05},{country},PASSPORT,STOLEN_BLANK,,{year}-{month:02}-{day:02}"
        );
    }
    // A permutation of the space: every number once, in no order that anybody sees.
    let signs = signs((at * (STRIDE % SPACE) + mixed(seed, u64::MAX) % SPACE) % SPACE);
    let kind = match drawn >> 16 & 15 {
        0..=8 => "PASSPORT",
        9..=13 => "ID_CARD",
        14 => "VISA",
        _ => "RESIDENCE_PERMIT",
    };
    let fraud = match drawn >> 20 & 15 {
        0..=8 => "LOST_BEARER",
        9..=13 => "STOLEN_BEARER",
        14 => "REVOKED",
        _ => "INVALID",
    };
    let theft = match drawn >> 24 & 7 {
        0 => "ESP",
        1 => "BRA",
        _ => "",
    };
    writeln!(out, "{letters}{signs},,{country},{kind},{fraud},{theft},{year}-{month:02}-{day:02}")
}

/// The letters that stand for a seed.
fn letters(seed: u64) -> String {
    [seed / 256, seed / 16, seed].map(|part| char::from(LETTERS[(part % 16) as usize])).iter().collect()
}

/// The six characters that stand for a number of the space.
fn signs(mut number: u64) -> String {
    let mut signs = ['0'; 6];
    for sign in signs.iter_mut().rev() {
        *sign = char::from(SIGNS[(number % 26) as usize]);
        number /= 26;
    }
    signs.iter().collect()
}

/// The finaliser of SplitMix64.
fn mixed(seed: u64, at: u64) -> u64 {
    let mut z = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use i247_model::Party;
    use i247_records::import::Import;

    use super::*;

    fn file(seed: u64, count: u64) -> Vec<u8> {
        let args =
            GenerateArgs { database: Database::Sltd, count, seed, issuer: "FRA".parse().unwrap(), out: None };
        let mut out = Vec::new();
        write(&args, &mut out).unwrap();
        out
    }

    #[test]
    fn every_generated_line_is_a_record_of_its_own() {
        let owner: Party = "FR".parse().unwrap();
        let file = file(7, 30_000);
        let rows = Import::csv(Database::Sltd, owner, &file[..]).unwrap();
        let mut names = BTreeSet::new();
        let mut ranges = 0;
        for row in rows {
            let record = row.unwrap().record.unwrap();
            assert_eq!(record.sole_writer(), Some(owner));
            ranges += usize::from(record.keys().is_empty());
            assert!(names.insert(record.name().to_string()), "{}", record.name());
        }
        assert_eq!((names.len(), ranges), (30_000, 3));
    }

    #[test]
    fn the_same_seed_gives_the_same_file_and_another_seed_another() {
        assert_eq!(file(7, 100), file(7, 100));
        assert_ne!(file(7, 100), file(8, 100));
    }

    #[test]
    fn files_of_different_seeds_have_no_number_in_common() {
        // Every number of a seed has its letters, whether single or of a range.
        let mut all = BTreeSet::new();
        for seed in 0..=MAX_SEED {
            let letters = letters(seed);
            assert!(letters.len() == 3 && all.insert(letters), "{seed}");
        }
        for (seed, letters) in [(0, "AAA"), (1, "AAC"), (16, "ACA"), (2010, "LUP"), (4095, "XXX")] {
            let text = String::from_utf8(file(seed, 10_000)).unwrap();
            let rows: Vec<&str> = text.lines().skip(1).collect();
            assert!(rows[..9_999].iter().all(|row| row.starts_with(letters)), "{seed}");
            let range = format!("W{letters}00000,W{letters}00049,FRA,");
            assert!(rows[9_999].starts_with(&range), "{}", rows[9_999]);
        }
    }

    #[test]
    fn when_the_numbers_of_ranges_are_used_up_single_ones_go_on() {
        let row = |at: u64| {
            let mut out = Vec::new();
            row(&mut out, 7, "FRA".parse().unwrap(), at).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(row(RANGES * RANGE_EVERY - 1).starts_with("WAAL99950,WAAL99999,"));
        assert!(row((RANGES + 1) * RANGE_EVERY - 1).starts_with("AAL"));
    }

    #[test]
    fn the_stride_takes_every_number_of_the_space() {
        assert!(!STRIDE.is_multiple_of(2) && !STRIDE.is_multiple_of(13));
        const { assert!(MAX_COUNT < SPACE) };
        assert!(MAX_COUNT.checked_mul(STRIDE % SPACE).is_some());
        assert_eq!(
            (signs(0), signs(27), signs(SPACE - 1)),
            ("000000".into(), "000011".into(), "XXXXXX".into())
        );
    }
}
