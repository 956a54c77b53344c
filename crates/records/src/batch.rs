//! Batches: the changes of one database as a message carries them, and what the hub asks of them before they are entered.
//!
//! Whether a batch may be entered is said here, of all of it at once; what each change does then, the register decides.

use i247_model::{Party, Reason, Refusal};
use i247_wire::pb;

use crate::database::Database;
use crate::record::Change;

/// Most changes in a batch.
pub const MAX_ITEMS: usize = 1024;

/// Most bytes of a batch as carried.
pub const MAX_BATCH_BYTES: usize = 200 * 1024;

/// What an item takes beside its change: a salt, and what frames the three.
pub const ITEM_BYTES: usize = 16 + 2 + 4 + 4;

/// The database of a batch and the change in each item; none where an item was erased.
///
/// # Errors
/// What is wrong with the first item that is not right, by its path: `items[17].change.add.number`. What stands in the
/// field is not repeated: a refusal is kept where nothing is ever erased.
pub fn read(batch: &pb::RecordBatch) -> Result<(Database, Vec<Option<Change>>), Refusal> {
    let database = database(batch)?;
    let mut changes = Vec::with_capacity(batch.items.len());
    for (at, item) in batch.items.iter().enumerate() {
        let erased = item.change.is_empty();
        let change =
            if erased { None } else { Some(Change::decode(database, &item.change).map_err(in_item(at))?) };
        changes.push(change);
    }
    Ok((database, changes))
}

/// Checks a batch that is to be entered: as [`read`], and whether every change is one that `sender` may make.
///
/// # Errors
/// As [`read`], and `NOT_OWNER` with the field and who may do it.
pub fn check(batch: &pb::RecordBatch, sender: Party) -> Result<(), Refusal> {
    let database = database(batch)?;
    for (at, item) in batch.items.iter().enumerate() {
        let change = Change::decode(database, &item.change).map_err(in_item(at))?;
        change.check_owner(database, sender).map_err(in_item(at))?;
    }
    Ok(())
}

/// The database of a batch.
///
/// # Errors
/// `MALFORMED` with `database`.
pub fn database(batch: &pb::RecordBatch) -> Result<Database, Refusal> {
    let number = u8::try_from(batch.database).ok();
    number.and_then(Database::from_number).ok_or_else(|| Refusal::of(Reason::Malformed, "database"))
}

fn in_item(at: usize) -> impl Fn(Refusal) -> Refusal {
    move |mut refusal| {
        for field in &mut refusal.fields {
            let path = field.split(' ').next().unwrap_or_default();
            *field = format!("items[{at}].{path}");
        }
        refusal
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::record::{Cell, Record, RecordName};

    fn passport(number: &str, issuer: &str, owner: &str) -> Record {
        let cells =
            ["", "", "", "", number, issuer, "PASSPORT", "STOLEN_BEARER"].map(|cell| Cell::Text(cell.into()));
        Record::from_row(Database::Sltd, owner.parse().unwrap(), &cells).unwrap()
    }

    fn batch(database: Database, changes: &[Change]) -> pb::RecordBatch {
        let item = |change: &Change| pb::RecordItem { change: change.encode().into(), ..Default::default() };
        pb::RecordBatch { database: i32::from(database.number()), items: changes.iter().map(item).collect() }
    }

    fn refused(changes: &[Change], sender: &str) -> (Reason, String, String) {
        let refusal = check(&batch(Database::Sltd, changes), sender.parse().unwrap()).unwrap_err();
        (refusal.reason, refusal.fields.join(" "), refusal.next_step)
    }

    #[test]
    fn a_record_of_somebody_elses_is_refused_with_its_place_and_its_owner() {
        let own = Change::Add(passport("P1", "FRA", "FR"));
        let changes = [own.clone(), Change::Add(passport("P2", "BRA", "BR"))];
        check(&batch(Database::Sltd, &changes[..1]), "FR".parse().unwrap()).unwrap();
        assert_eq!(
            refused(&changes, "FR"),
            (Reason::NotOwner, "items[1].change.add.issuing_country".into(), "only BR may do this".into())
        );
        // Issued by France, which says that it is Brazil's.
        assert_eq!(
            refused(&[Change::Restrict(passport("P2", "FRA", "BR"))], "FR"),
            (Reason::NotOwner, "items[0].change.restrict.owner".into(), "only BR may do this".into())
        );
        let name = RecordName::parse(Database::Sltd, "BRA/PASSPORT/P2").unwrap();
        assert_eq!(
            refused(&[own, Change::Withdraw(name)], "FR"),
            (Reason::NotOwner, "items[1].change.withdraw".into(), "only BR may do this".into())
        );
    }

    #[test]
    fn nobody_loads_what_follows_from_notices() {
        let name = RecordName::parse(Database::Tdawn, "FRA/PASSPORT/P2/2010/4711").unwrap();
        let batch = batch(Database::Tdawn, &[Change::Withdraw(name)]);
        let refusal = check(&batch, "FR".parse().unwrap()).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotOwner);
        assert!(refusal.next_step.contains("publishing a notice"), "{refusal}");
    }

    #[test]
    fn what_a_record_says_is_in_no_refusal() {
        let mut record = passport("P1", "FRA", "FR").to_wire();
        let Some(pb::record::Content::TravelDocument(of)) = &mut record.content else { panic!() };
        of.number = "SECRET NUMBER!".into();
        let change = pb::RecordChange { action: Some(pb::record_change::Action::Add(record)) };
        let item = pb::RecordItem { change: change.encode_to_vec().into(), ..Default::default() };
        let batch = pb::RecordBatch { database: pb::Database::Sltd.into(), items: vec![item] };
        let refusal = check(&batch, "FR".parse().unwrap()).unwrap_err();
        assert_eq!(
            (refusal.reason, &refusal.fields[0][..]),
            (Reason::WrongField, "items[0].change.add.number")
        );
        assert!(!format!("{refusal:?}").contains("SECRET"), "{refusal:?}");
    }

    #[test]
    fn what_is_wrong_in_an_item_is_named_with_its_place() {
        let mut bad = batch(Database::Sltd, &[Change::Add(passport("P1", "FRA", "FR"))]);
        bad.items.push(pb::RecordItem { change: vec![0xff].into(), ..Default::default() });
        let refusal = check(&bad, "FR".parse().unwrap()).unwrap_err();
        assert_eq!((refusal.reason, &refusal.fields[0][..]), (Reason::Malformed, "items[1].change"));
        bad.database = 20;
        let refusal = check(&bad, "FR".parse().unwrap()).unwrap_err();
        assert_eq!((refusal.reason, &refusal.fields[0][..]), (Reason::Malformed, "database"));
    }

    #[test]
    fn an_erased_item_holds_no_change_and_its_neighbours_are_read() {
        let mut batch = batch(Database::Sltd, &[Change::Add(passport("P1", "FRA", "FR"))]);
        batch.items.push(pb::RecordItem { leaf: vec![1; 32].into(), ..Default::default() });
        let (database, changes) = read(&batch).unwrap();
        assert_eq!(database, Database::Sltd);
        assert!(changes[0].is_some() && changes[1].is_none());
        assert!(check(&batch, "FR".parse().unwrap()).is_err());
    }
}
