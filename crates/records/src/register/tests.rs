//! Stories of a register: who may do what, what follows, and that a rebuild comes to the same.

use std::collections::BTreeMap;
use std::convert::Infallible;

use i247_ledger::Position;

use super::*;
use crate::import::Import;

/// Log and index of one database, small enough to look at.
struct World {
    register: Register,
    keys: BTreeMap<Key, Vec<Locator>>,
    records: BTreeMap<Locator, Record>,
    today: Date,
    next: u64,
    history: Vec<(Effect, Option<Record>)>,
}

impl Lookup for World {
    type Error = Infallible;

    fn candidates(&self, key: &Key) -> Result<Vec<Locator>, Infallible> {
        Ok(self.keys.get(key).cloned().unwrap_or_default())
    }

    fn fetch(&self, at: Locator) -> Result<Option<Record>, Infallible> {
        Ok(self.records.get(&at).cloned())
    }
}

impl World {
    fn new(database: Database) -> Self {
        Self {
            register: Register::new(database),
            keys: BTreeMap::new(),
            records: BTreeMap::new(),
            today: date("2026-11-22"),
            next: 1,
            history: Vec::new(),
        }
    }

    fn here(&self) -> Locator {
        Locator::new(Position(self.next), 3).unwrap()
    }

    /// Decides and applies; tells the reason when it is not accepted.
    fn ask(&mut self, sender: &str, change: Change) -> Result<(), String> {
        let request = Request {
            change: &change,
            sender: party(sender),
            from_notice: false,
            at: self.here(),
            today: self.today,
        };
        let effect = self.register.decide(&request, &*self).map_err(|rejected| rejected.to_string())?;
        self.carry_out(effect, change.record().cloned());
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, record: Option<Record>) {
        self.register.apply(&effect);
        if let Some(record) = &record {
            self.records.insert(self.here(), record.clone());
        }
        for change in effect.index() {
            match *change {
                IndexChange::Insert { key, at, .. } => self.keys.entry(key).or_default().push(at),
                IndexChange::Remove { key, at } => self.keys.entry(key).or_default().retain(|one| *one != at),
            }
        }
        self.history.push((effect, record));
        self.next += 1;
    }

    fn sweep(&mut self, today: &str) {
        self.today = date(today);
        for at in self.register.due(self.today, 1000) {
            let effect = self.register.decide_end(at, &*self).unwrap();
            self.carry_out(effect, None);
        }
    }

    fn found(&self, number: &str) -> usize {
        let key = Key::travel_document(Database::Sltd, "FRA".parse().unwrap(), &number.parse().unwrap());
        self.keys.get(&key).map_or(0, Vec::len)
    }
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn party(text: &str) -> Party {
    text.parse().unwrap()
}

/// A record of France out of a row of JSON with `"` written as `'`.
fn record(database: Database, json: &str) -> Record {
    record_of("FR", database, json)
}

fn record_of(owner: &str, database: Database, json: &str) -> Record {
    let json = json.replace('\'', "\"");
    let mut rows = Import::json_lines(database, party(owner), json.as_bytes());
    rows.next().unwrap().unwrap().record.unwrap()
}

fn passport(number: &str) -> Record {
    let row =
        "{'number':'NR','issuing_country':'FRA','document_type':'PASSPORT','fraud_type':'STOLEN_BEARER'}";
    record(Database::Sltd, &row.replace("NR", number))
}

fn blanks(first: &str, last: &str) -> Record {
    let row = "{'number':'FIRST','last_number':'LAST','issuing_country':'FRA','document_type':'PASSPORT','fraud_type':'STOLEN_BLANK'}";
    record(Database::Sltd, &row.replace("FIRST", first).replace("LAST", last))
}

fn with_information(record: &Record, text: &str) -> Record {
    let mut cells = record.to_row();
    *cells.last_mut().unwrap() = crate::record::Cell::Text(text.to_owned().into());
    Record::from_row(record.database(), record.owner(), &cells).unwrap()
}

fn withdraw(name: &str) -> Change {
    Change::Withdraw(RecordName::parse(Database::Sltd, name).unwrap())
}

#[test]
fn only_the_issuing_country_reports_a_travel_document() {
    let mut world = World::new(Database::Sltd);
    let refused = world.ask("DE", Change::Add(passport("P1")));
    assert_eq!(refused, Err("owner: only FR may do this".into()));
    let german = record_of(
        "DE",
        Database::Sltd,
        "{'number':'P1','issuing_country':'FRA','document_type':'PASSPORT','fraud_type':'REVOKED'}",
    );
    assert_eq!(world.ask("DE", Change::Add(german)), Err("issuing_country: only FR may do this".into()));
    assert_eq!(world.ask("FR", Change::Add(passport("P1"))), Ok(()));
    assert_eq!(world.register.len(), 1);
    assert_eq!(world.found("P1"), 1);
}

#[test]
fn only_the_owner_changes_restricts_and_withdraws() {
    let mut world = World::new(Database::Sltd);
    world.ask("FR", Change::Add(passport("P1"))).unwrap();
    let changed = with_information(&passport("P1"), "found in a drawer");
    let restricted = changed.clone().with_except(vec!["GB".parse().unwrap()]);
    let not_yours = Err("owner: only FR may do this".to_owned());
    for change in
        [Change::Change(changed.clone()), Change::Restrict(restricted.clone()), withdraw("FRA/PASSPORT/P1")]
    {
        assert_eq!(world.ask("DE", change), not_yours);
    }
    assert_eq!(world.ask("FR", Change::Change(changed)), Ok(()));
    assert_eq!(world.ask("FR", Change::Restrict(restricted.clone())), Ok(()));
    assert_eq!(world.register.len(), 1);
    assert_eq!(world.found("P1"), 1);
    let (last, _) = world.history.last().unwrap();
    assert!(matches!(
        last.index(),
        [IndexChange::Remove { .. }, IndexChange::Insert { restricted: true, .. }]
    ));
    assert_eq!(
        world.ask("FR", Change::Restrict(restricted.clone())),
        Err("the record says so already".into())
    );
    let more = with_information(&restricted, "and more").with_except(Vec::new());
    assert_eq!(
        world.ask("FR", Change::Restrict(more)),
        Err("except: a restriction changes nothing else".into())
    );
    assert_eq!(world.ask("FR", withdraw("FRA/PASSPORT/P1")), Ok(()));
    assert_eq!(world.ask("FR", withdraw("FRA/PASSPORT/P1")), Err("there is no such record".into()));
    assert_eq!(world.register.len(), 0);
    assert_eq!(world.found("P1"), 0);
}

#[test]
fn a_duplicate_says_whether_it_is_the_same() {
    let mut world = World::new(Database::Sltd);
    world.ask("FR", Change::Add(passport("P1"))).unwrap();
    assert_eq!(world.ask("FR", Change::Add(passport("P1"))), Err("the record is there already".into()));
    assert_eq!(
        world.ask("FR", Change::Add(with_information(&passport("P1"), "again"))),
        Err("the record is there already and says something else: change it".into())
    );
    assert_eq!(world.ask("FR", Change::Change(passport("P1"))), Err("the record says so already".into()));
    // A look-alike is another document, although it has the same key.
    assert_eq!(world.ask("FR", Change::Add(passport("PI"))), Ok(()));
    assert_eq!(world.found("P1"), 2);
}

#[test]
fn a_range_of_blanks_is_one_record_of_many_numbers() {
    let mut world = World::new(Database::Sltd);
    world.ask("FR", Change::Add(blanks("P0000001", "P0002000"))).unwrap();
    let covers = |world: &World, country: &str, number: &str| {
        world.register.ranges().covering(country.parse().unwrap(), &number.parse().unwrap()).len()
    };
    for (number, count) in [
        ("P0000001", 1),
        ("P0002000", 1),
        ("PO0O1234", 1),
        ("P0000000", 0),
        ("P0002001", 0),
        ("P000001", 0),
        ("Q0000001", 0),
    ] {
        assert_eq!(covers(&world, "FRA", number), count, "{number}");
    }
    assert_eq!(covers(&world, "UTO", "P0000001"), 0);
    assert_eq!(
        world.ask("FR", Change::Add(blanks("P0002000", "P0003000"))),
        Err("last_number: the numbers overlap with FRA/PASSPORT/P0000001..P0002000".into())
    );
    assert_eq!(world.ask("FR", Change::Add(blanks("P0002001", "P0003000"))), Ok(()));
    // Its letters look like digits of the first one, but it is another series.
    assert_eq!(world.ask("FR", Change::Add(blanks("PO000001", "PO002000"))), Ok(()));
    // One of the blanks turns up and is reported by itself.
    assert_eq!(world.ask("FR", Change::Add(passport("P0000007"))), Ok(()));
    assert_eq!(world.register.ranges().len(), 3);
    world.ask("FR", withdraw("FRA/PASSPORT/P0000001..P0002000")).unwrap();
    assert_eq!(
        world.ask("FR", withdraw("FRA/PASSPORT/P0000001..P0002000")),
        Err("there is no such record".into())
    );
    assert_eq!(covers(&world, "FRA", "P0000001"), 1);
    assert_eq!(world.register.len(), 3);
}

#[test]
fn likeness_tells_the_number_from_its_look_alike() {
    let Content::TravelDocument(of) = blanks("P0000001", "P0002000").content().clone() else { panic!() };
    let likeness = |number: &str| of.likeness(&number.parse().unwrap());
    assert_eq!(likeness("P0001234"), Some(crate::record::Likeness::Same));
    assert_eq!(likeness("PO001234"), Some(crate::record::Likeness::Similar));
    assert_eq!(likeness("P0002001"), None);
    assert_eq!(likeness("P00012345"), None);
    assert_eq!(likeness("P000123X"), None);
}

#[test]
fn records_go_after_their_last_day() {
    let mut world = World::new(Database::Sltd);
    world.ask("FR", Change::Add(passport("P1"))).unwrap();
    let short = record(
        Database::Sltd,
        "{'number':'P2','issuing_country':'FRA','document_type':'PASSPORT','fraud_type':'REVOKED','review_on':'2027-01-31'}",
    );
    world.ask("FR", Change::Add(short)).unwrap();
    assert_eq!(world.register.due(date("2027-01-31"), 10), []);
    assert_eq!(world.register.due(date("2027-02-01"), 10).len(), 1);
    // Not yet swept, it is gone all the same.
    world.today = date("2027-02-01");
    assert_eq!(world.ask("FR", withdraw("FRA/PASSPORT/P2")), Err("there is no such record".into()));
    world.sweep("2027-02-01");
    assert_eq!((world.register.len(), world.found("P2")), (1, 0));
    world.sweep("2036-11-22");
    assert_eq!(world.register.len(), 1);
    world.sweep("2036-11-23");
    assert!(world.register.is_empty());
    assert_eq!(world.register.digest(), Register::new(Database::Sltd).digest());
}

#[test]
fn an_erased_record_goes_after_its_last_day_too() {
    let mut world = World::new(Database::Sltd);
    let at = world.here();
    world.ask("FR", Change::Add(passport("P1"))).unwrap();
    world.records.remove(&at);
    world.sweep("2036-11-23");
    assert!(world.register.is_empty());
    assert_eq!(world.register.due(date("2099-01-01"), 10), []);
}

#[test]
fn what_is_past_or_in_the_future_is_not_taken() {
    let mut world = World::new(Database::Sltd);
    let of = |field: &str| {
        let row =
            "{'number':'P2','issuing_country':'FRA','document_type':'PASSPORT','fraud_type':'REVOKED',FIELD}";
        Change::Add(record(Database::Sltd, &row.replace("FIELD", field)))
    };
    assert_eq!(world.ask("FR", of("'review_on':'2026-11-21'")), Err("review_on: 2026-11-21 is past".into()));
    assert_eq!(
        world.ask("FR", of("'stolen_on':'2026-11-24'")),
        Err("stolen_on: 2026-11-24 is in the future".into())
    );
    assert_eq!(world.ask("FR", of("'stolen_on':'2026-11-23'")), Ok(()));
}

#[test]
fn documents_of_notices_are_loaded_by_nobody() {
    let mut world = World::new(Database::Tdawn);
    let row = "{'number':'P1','issuing_country':'UTO','document_type':'PASSPORT','notice_id':'2010/4711','colour':'red','edition':1}";
    let change = Change::Add(record(Database::Tdawn, row));
    assert_eq!(
        world.ask("FR", change.clone()),
        Err("the records of tdawn follow from published notices".into())
    );
    let request = Request {
        change: &change,
        sender: Party::Secretariat,
        from_notice: true,
        at: world.here(),
        today: world.today,
    };
    let effect = world.register.decide(&request, &world).unwrap();
    world.carry_out(effect, change.record().cloned());
    assert_eq!(world.register.due(Date::LAST, 10), []);
    assert_eq!(world.register.len(), 1);
}

#[test]
fn two_countries_may_miss_the_same_car_and_each_owns_its_record() {
    let mut world = World::new(Database::Vehicles);
    let row = "{'reference':'r1','kind':'CAR','vin':'V1'}";
    world.ask("FR", Change::Add(record_of("FR", Database::Vehicles, row))).unwrap();
    world.ask("DE", Change::Add(record_of("DE", Database::Vehicles, row))).unwrap();
    let vin = Key::number(Database::Vehicles, crate::database::KeyKind::Vin, &"V1".parse().unwrap());
    assert_eq!(world.candidates(&vin).unwrap().len(), 2);
    let name = RecordName::parse(Database::Vehicles, "FR/r1").unwrap();
    assert_eq!(world.ask("DE", Change::Withdraw(name.clone())), Err("owner: only FR may do this".into()));
    world.ask("FR", Change::Withdraw(name)).unwrap();
    assert_eq!(world.candidates(&vin).unwrap().len(), 1);
}

#[test]
fn a_record_of_another_database_is_refused() {
    let mut world = World::new(Database::Vehicles);
    assert_eq!(world.ask("FR", Change::Add(passport("P1"))), Err("the record belongs to sltd".into()));
}

#[test]
fn the_same_effects_give_the_same_digest_and_others_another() {
    let mut world = World::new(Database::Sltd);
    for number in 1..50 {
        world.ask("FR", Change::Add(passport(&format!("P{number}")))).unwrap();
        if number % 3 == 0 {
            world.ask("FR", withdraw(&format!("FRA/PASSPORT/P{}", number - 1))).unwrap();
        }
    }
    world.ask("FR", Change::Add(blanks("X001", "X100"))).unwrap();
    let mut rebuilt = Register::new(Database::Sltd);
    let mut digests = vec![rebuilt.digest()];
    for (effect, _) in &world.history {
        rebuilt.apply(effect);
        digests.push(rebuilt.digest());
    }
    assert_eq!(rebuilt.digest(), world.register.digest());
    assert_eq!(rebuilt.len(), 49 - 16 + 1);
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), world.history.len() + 1);
}

#[test]
fn a_clock_that_goes_back_keeps_nothing_longer() {
    let mut world = World::new(Database::Sltd);
    world.ask("FR", Change::Add(passport("P1"))).unwrap();
    world.today = date("2026-11-20");
    world.ask("FR", Change::Add(passport("P2"))).unwrap();
    assert_eq!(world.register.due(date("2036-11-23"), 10).len(), 2);
    world.ask("FR", withdraw("FRA/PASSPORT/P2")).unwrap();
    assert_eq!(world.register.due(date("2036-11-23"), 10).len(), 1);
}
