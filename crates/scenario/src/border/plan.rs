//! What a seed makes of an operation: records for the owners, travellers for the posts, and, apart from both, what must
//! come of it. Pure; the same seed, the same plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use i247_client::pb;
use i247_model::{CountryCode, Name};
use i247_records::Date;
use i247_records::document::Issuer;
use i247_records::mrz::{BirthDate, Format, Zone};
use i247_records::record::Sex;

use super::file::BorderOperation;
use super::numbers::{BLANKS, Numbers, blank, misread};
use super::table::CountryRow;
use crate::draw::Draw;
use crate::file::ScenarioError;
use crate::person::{self, Person};

/// Of so many records of an owner one is a range of stolen blanks.
const RANGE_EVERY: u32 = 25;

/// Of so many records that nobody bears an owner has found one again.
const FOUND_AGAIN_EVERY: u32 = 20;

/// A place where documents are checked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Station {
    /// Whose it is.
    pub country: CountryCode,
    /// The post there.
    pub post: Name,
}

impl Station {
    /// Where a hit comes from; none when nobody is named there.
    pub fn of(hit: &pb::HitStatus) -> Option<Self> {
        Some(Self { country: hit.asker.parse().ok()?, post: hit.station.parse().ok()? })
    }
}

/// Somebody who is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traveller {
    /// Where.
    pub station: Station,
    /// The machine readable zone of the document. A post sees nothing else.
    pub zone: String,
}

/// How a record stands in the file of its owner, who may not have told the database yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The document is gone.
    Missing,
    /// It was found again.
    FoundAgain,
}

/// What each owner knows of its own records, by their names.
pub type OwnFiles = BTreeMap<CountryCode, BTreeMap<String, Standing>>;

/// What must come of it.
pub type Expected = BTreeMap<CountryCode, CountryRow>;

/// Records, travellers, and what must come of both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BorderPlan {
    /// The seed it was drawn from.
    pub seed: u64,
    /// A file of records for each owner, as `records load` reads it.
    pub files: BTreeMap<CountryCode, String>,
    /// What each owner knows of its records.
    pub own_files: OwnFiles,
    /// In the order in which they come.
    pub travellers: Vec<Traveller>,
    /// Read by whoever compares at the end, and by nobody else.
    pub expected: Expected,
}

/// What a plan is drawn for.
pub(super) struct Setting<'a> {
    pub(super) year: u16,
    /// Where each traveller is checked.
    pub(super) stations: Vec<Station>,
    pub(super) owners: &'a [CountryCode],
    /// Records of each owner.
    pub(super) records: u32,
    pub(super) matches: u32,
    pub(super) look_alikes: u32,
    pub(super) kept_back: u32,
    pub(super) found_again: u32,
}

/// A recorded document.
struct Reported {
    owner: CountryCode,
    issuer: Issuer,
    card: bool,
    number: String,
    last_number: Option<String>,
    borne: Borne,
    standing: Standing,
    /// The country that must not see it.
    kept_from: Option<CountryCode>,
}

/// Who has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Borne {
    Nobody,
    /// This traveller, who is found.
    Found(u32),
    /// This traveller, and who asks must not see the record.
    Kept(u32),
    /// This traveller has one that looks like it.
    Like(u32),
}

impl BorderPlan {
    /// Draws everything for an operation.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when what is drawn cannot be written into a zone: the data are wrong then.
    pub fn draw(operation: &BorderOperation, seed: u64) -> Result<Self, ScenarioError> {
        let workload = &operation.workload;
        let posts = workload.posts.iter().cycle().cloned();
        let country = workload.country;
        let stations = posts.take(workload.checks as usize).map(|post| Station { country, post });
        Setting {
            year: operation.year,
            stations: stations.collect(),
            owners: &workload.owners,
            records: workload.records,
            matches: workload.matches,
            look_alikes: workload.look_alikes,
            kept_back: workload.kept_back,
            found_again: workload.found_again,
        }
        .draw(seed)
    }

    /// All posts, in order.
    pub fn stations(&self) -> Vec<Station> {
        let mut stations: Vec<Station> =
            self.travellers.iter().map(|traveller| traveller.station.clone()).collect();
        stations.sort_unstable();
        stations.dedup();
        stations
    }

    /// How many records a country loads.
    pub fn records_of(&self, country: CountryCode) -> usize {
        self.own_files.get(&country).map_or(0, BTreeMap::len)
    }
}

impl Setting<'_> {
    pub(super) fn draw(&self, seed: u64) -> Result<BorderPlan, ScenarioError> {
        let draw = Draw::new(seed);
        let numbers = Numbers::new(draw.hash("numbers", 0, ""));
        let mut reported = self.reported(draw, numbers)?;
        self.hand_out(draw, &mut reported);
        let mut expected: Expected = BTreeMap::new();
        for station in &self.stations {
            let asker = expected.entry(station.country).or_default();
            asker.checks += 1;
            asker.signed_for += 1;
        }
        let mut borne: BTreeMap<u32, (&Reported, String)> = BTreeMap::new();
        for one in &reported {
            let station = |nth: u32| &self.stations[nth as usize];
            match one.borne {
                Borne::Nobody => {}
                Borne::Kept(nth) => drop(borne.insert(nth, (one, one.number.clone()))),
                Borne::Like(nth) => {
                    expected.entry(station(nth).country).or_default().possible += 1;
                    borne.insert(nth, (one, misread(&one.number).unwrap_or_default()));
                }
                Borne::Found(nth) => {
                    let asker = expected.entry(station(nth).country).or_default();
                    asker.matches += 1;
                    asker.acted += 1;
                    let owner = expected.entry(one.owner).or_default();
                    owner.hits += 1;
                    match one.standing {
                        Standing::Missing => owner.confirmed += 1,
                        Standing::FoundAgain => owner.denied += 1,
                    }
                    let number = match one.last_number {
                        Some(_) => within(&one.number, draw.hash("blank", nth, "")),
                        None => one.number.clone(),
                    };
                    borne.insert(nth, (one, number));
                }
            }
        }
        let own = u64::from(self.records) * self.owners.len() as u64;
        let mut travellers = Vec::with_capacity(self.stations.len());
        for (nth, station) in (0_u32..).zip(&self.stations) {
            let person = person::traveller(draw, nth);
            let (issuer, card, number) = match borne.get(&nth) {
                Some((one, number)) => (one.issuer, one.card, number.clone()),
                None => {
                    let issuer = issuer(person.nationality)?;
                    (issuer, draw.below("card", nth, 3) == 0, numbers.number(own + u64::from(nth)))
                }
            };
            let zone = zone(&person, issuer, card, &number, draw.below("expiry", nth, 5));
            let zone = zone.ok_or_else(|| wrong(&format!("no zone holds {person:?} and {number}")))?;
            travellers.push(Traveller { station: station.clone(), zone });
        }
        let files = self.files(draw, &reported);
        let mut own_files: OwnFiles = BTreeMap::new();
        for one in &reported {
            own_files.entry(one.owner).or_default().insert(one.name(), one.standing);
        }
        Ok(BorderPlan { seed, files, own_files, travellers, expected })
    }

    /// What is recorded; nobody bears any of it yet.
    fn reported(&self, draw: Draw, numbers: Numbers) -> Result<Vec<Reported>, ScenarioError> {
        let mut reported = Vec::new();
        let mut nth = 0;
        for owner in self.owners {
            for of_owner in 0..self.records {
                let range = of_owner % RANGE_EVERY == RANGE_EVERY - 1;
                let at = u64::from(of_owner / RANGE_EVERY);
                let number = if range { blank(at, 0) } else { numbers.number(u64::from(nth)) };
                let found_again = draw.below("found again", nth, FOUND_AGAIN_EVERY) == 0;
                reported.push(Reported {
                    owner: *owner,
                    issuer: issuer(*owner)?,
                    card: !range && draw.below("recorded card", nth, 3) == 0,
                    number,
                    last_number: range.then(|| blank(at, BLANKS - 1)),
                    borne: Borne::Nobody,
                    standing: if found_again { Standing::FoundAgain } else { Standing::Missing },
                    kept_from: None,
                });
                nth += 1;
            }
        }
        Ok(reported)
    }

    /// Gives some of what is recorded to travellers: exactly as many as are to be found.
    fn hand_out(&self, draw: Draw, reported: &mut [Reported]) {
        let travellers = u32::try_from(self.stations.len()).unwrap_or(u32::MAX);
        let mut travellers = draw.ranked("who bears it", 0, 0..travellers).into_iter();
        let (mut found, mut like, mut kept) = (self.matches, self.look_alikes, self.kept_back);
        for nth in draw.ranked("what is borne", 0, 0..u32::try_from(reported.len()).unwrap_or(u32::MAX)) {
            let one = &mut reported[nth as usize];
            let single = one.last_number.is_none();
            let by: fn(u32) -> Borne = if found > 0 {
                Borne::Found
            } else if like > 0 && single && misread(&one.number).is_some() {
                Borne::Like
            } else if kept > 0 && single {
                Borne::Kept
            } else {
                continue;
            };
            // Nobody's own documents: a country is no hit to itself.
            let foreign = |traveller: &u32| self.stations[*traveller as usize].country != one.owner;
            let Some(traveller) = travellers.find(foreign) else { return };
            one.borne = by(traveller);
            match one.borne {
                Borne::Found(_) => {
                    let again = self.matches - found < self.found_again;
                    one.standing = if again { Standing::FoundAgain } else { Standing::Missing };
                    found -= 1;
                }
                Borne::Like(_) => like -= 1,
                Borne::Kept(_) => {
                    one.kept_from = Some(self.stations[traveller as usize].country);
                    kept -= 1;
                }
                Borne::Nobody => {}
            }
            if found + like + kept == 0 {
                return;
            }
        }
    }

    fn files(&self, draw: Draw, reported: &[Reported]) -> BTreeMap<CountryCode, String> {
        const COLUMNS: &str =
            "number,last_number,issuing_country,document_type,fraud_type,stolen_on,except\n";
        let mut files: BTreeMap<CountryCode, String> = BTreeMap::new();
        for (nth, one) in (0_u32..).zip(reported) {
            let fraud = match (&one.last_number, draw.below("fraud", nth, 8)) {
                (Some(_), _) => "STOLEN_BLANK",
                (None, 0..=4) => "LOST_BEARER",
                (None, 5 | 6) => "STOLEN_BEARER",
                (None, _) => "REVOKED",
            };
            let year = u32::from(self.year) - 1 - draw.below("stolen in", nth, 4);
            let (month, day) =
                (1 + draw.below("stolen month", nth, 12), 1 + draw.below("stolen day", nth, 28));
            let last = one.last_number.as_deref().unwrap_or("");
            let except = one.kept_from.map(|country| country.to_string()).unwrap_or_default();
            let file = files.entry(one.owner).or_insert_with(|| COLUMNS.to_owned());
            let (number, issuer, kind) = (&one.number, one.issuer, one.kind());
            let _ =
                writeln!(file, "{number},{last},{issuer},{kind},{fraud},{year}-{month:02}-{day:02},{except}");
        }
        files
    }
}

impl Reported {
    fn kind(&self) -> &'static str {
        if self.card { "ID_CARD" } else { "PASSPORT" }
    }

    /// What the database calls it.
    fn name(&self) -> String {
        let (issuer, kind, number) = (self.issuer, self.kind(), &self.number);
        match &self.last_number {
            Some(last) => format!("{issuer}/{kind}/{number}..{last}"),
            None => format!("{issuer}/{kind}/{number}"),
        }
    }
}

/// One of the blanks of a range that begins there.
fn within(first: &str, hash: u64) -> String {
    let (letters, digits) = first.split_at(2);
    let first: u64 = digits.parse().unwrap_or(0);
    format!("{letters}{:07}", first + hash % BLANKS)
}

fn issuer(country: CountryCode) -> Result<Issuer, ScenarioError> {
    Issuer::of_member(country).ok_or(ScenarioError::UnknownCountry(country))
}

fn zone(person: &Person, issuer: Issuer, card: bool, number: &str, expiry: u32) -> Option<String> {
    let born: Date = person.date_of_birth.parse().ok()?;
    let zone = Zone {
        format: if card { Format::Td1 } else { Format::Td3 },
        code: if card { "I" } else { "P" }.to_owned(),
        issuer,
        number: number.parse().ok()?,
        surname: person.family_name.to_ascii_uppercase(),
        given_names: person.forename.to_ascii_uppercase(),
        nationality: issuer.to_string(),
        birth: BirthDate { year: Some(born.year()), month: Some(born.month()), day: Some(born.day()) },
        sex: if person.female { Sex::Female } else { Sex::Male },
        expiry: Date::new(2031 + u16::try_from(expiry).ok()?, 6, 27)?,
        optional: String::new(),
    };
    zone.print()
}

fn wrong(what: &str) -> ScenarioError {
    ScenarioError::Contradiction(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use i247_model::Party;
    use i247_records::Database;
    use i247_records::import::Import;
    use i247_records::record::Record;

    use super::super::file::operation;
    use super::*;

    fn hammer() -> BorderPlan {
        BorderPlan::draw(&operation("hammer").unwrap(), 2011).unwrap()
    }

    fn records(plan: &BorderPlan) -> Vec<Record> {
        let mut records = Vec::new();
        for (country, file) in &plan.files {
            let rows = Import::csv(Database::Sltd, Party::Bureau(*country), file.as_bytes()).unwrap();
            records.extend(rows.map(|row| row.unwrap().record.unwrap()));
        }
        records
    }

    #[test]
    fn every_record_is_one_that_its_owner_may_load_and_knows_by_name() {
        let plan = hammer();
        let records = records(&plan);
        assert_eq!(records.len(), 12 * 400);
        let names: BTreeSet<String> = records.iter().map(|record| record.name().to_string()).collect();
        assert_eq!(names.len(), 12 * 400);
        for record in &records {
            let Party::Bureau(owner) = record.owner() else { panic!() };
            assert_eq!(record.sole_writer(), Some(Party::Bureau(owner)));
            assert!(plan.own_files[&owner].contains_key(&record.name().to_string()), "{}", record.name());
        }
    }

    #[test]
    fn so_many_travellers_are_found_as_the_operation_says_and_each_is_asked_about_once() {
        let plan = hammer();
        let today: Date = "2026-11-22".parse().unwrap();
        let zones: Vec<Zone> =
            plan.travellers.iter().map(|traveller| Zone::read(&traveller.zone, today).unwrap()).collect();
        let numbers: BTreeSet<String> =
            zones.iter().map(|zone| format!("{}{}", zone.issuer, zone.number)).collect();
        assert_eq!(numbers.len(), 8000);
        let (mut open, mut kept, mut like) = (0, 0, 0);
        for record in records(&plan) {
            let i247_records::record::Content::TravelDocument(document) = record.content() else { panic!() };
            for zone in zones.iter().filter(|zone| zone.issuer == document.issuing_country) {
                use i247_records::record::Likeness::{Same, Similar};
                let hidden = !record.about().except.is_empty();
                match document.likeness(&zone.number) {
                    Some(Same) if hidden => kept += 1,
                    Some(Same) => open += 1,
                    Some(Similar) => like += 1,
                    None => {}
                }
            }
        }
        assert_eq!((open, kept, like), (3, 2, 2));
        let sum = |part: fn(&CountryRow) -> u64| plan.expected.values().map(part).sum::<u64>();
        assert_eq!((sum(|row| row.checks), sum(|row| row.matches), sum(|row| row.possible)), (8000, 3, 2));
        assert_eq!((sum(|row| row.hits), sum(|row| row.confirmed), sum(|row| row.denied)), (3, 2, 1));
        assert_eq!(plan.expected[&"IT".parse().unwrap()].checks, 8000);
        let told: Vec<String> = plan.stations().iter().map(|station| station.post.to_string()).collect();
        assert_eq!(told, ["fiumicino", "malpensa"]);
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let small = operation("hammer").unwrap().with_checks(50).unwrap();
        let plan = |seed| BorderPlan::draw(&small, seed).unwrap();
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1).travellers, plan(2).travellers);
    }

    #[test]
    fn nothing_that_a_post_or_an_owner_is_handed_says_who_is_found() {
        // The travellers of two plans that differ in nothing but how many are found differ in nothing but those.
        let mut with = operation("manila").unwrap();
        with.workload.checks = 400;
        let mut without = with.clone();
        (without.workload.matches, without.workload.found_again) = (0, 0);
        let (with, without) = (BorderPlan::draw(&with, 7).unwrap(), BorderPlan::draw(&without, 7).unwrap());
        let same = with.travellers.iter().zip(&without.travellers).filter(|(a, b)| a == b).count();
        assert!((400 - 12..400).contains(&same), "{same}");
    }

    #[test]
    fn all_operations_can_be_drawn() {
        for operation in super::super::file::operations().unwrap() {
            let plan = BorderPlan::draw(&operation, u64::from(operation.year)).unwrap();
            assert_eq!(plan.travellers.len(), operation.workload.checks as usize);
            let hits: u64 = plan.expected.values().map(|row| row.hits).sum();
            assert_eq!(hits, u64::from(operation.workload.matches), "{}", operation.id);
        }
    }
}
