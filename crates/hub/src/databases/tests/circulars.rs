//! Stories of what follows from notices and diffusions: it comes with them, changes with them, and goes with them.

use i247_model::{Audience, CountryCode, Header, Lifted, NoticeId};
use i247_records::derived::Origin;
use i247_records::nominal::{Name, Query};
use i247_records::record::{Content, Reference};
use i247_router::{Accepted, Decision, Place};
use i247_wire::pb::body::Form;

use super::*;

/// What somebody sends, and what the hub makes of it.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) refers_to: String,
    pub(super) form: Form,
    pub(super) lifted: Lifted,
    pub(super) accepted: Accepted,
}

fn green(family_name: &str, passport: &str) -> pb::NoticeForm {
    let document =
        pb::IdentityDocument { r#type: "passport".into(), number: passport.into(), country: "D".into() };
    let identity = pb::Identity {
        family_name: family_name.into(),
        forename: "Tessa".into(),
        documents: vec![document],
        ..pb::Identity::default()
    };
    let green = pb::GreenForm { identity: Some(identity), ..pb::GreenForm::default() };
    pb::NoticeForm {
        person_status: pb::PersonStatus::Suspect.into(),
        form: Some(pb::notice_form::Form::Green(green)),
        ..pb::NoticeForm::default()
    }
}

fn notice() -> NoticeId {
    "2026/7".parse().unwrap()
}

fn countries(codes: &[&str]) -> std::collections::BTreeSet<CountryCode> {
    codes.iter().map(|code| code.parse().unwrap()).collect()
}

fn about_notice() -> Accepted {
    Accepted { notice_id: Some(notice()), ..Accepted::default() }
}

/// France asks for the notice, and bars these from it.
fn asked(except: &[&str]) -> Sent {
    Sent {
        id: "FR-1-N-1".into(),
        kind: Kind::NoticeRequest,
        refers_to: String::new(),
        form: Form::NoticeRequest(pb::NoticeRequest::default()),
        lifted: Lifted { except: countries(except), ..Lifted::default() },
        accepted: about_notice(),
    }
}

fn published(form: pb::NoticeForm) -> Sent {
    Sent {
        id: "GS.lena-1-N-1".into(),
        kind: Kind::Notice,
        refers_to: "FR-1-N-1".into(),
        form: Form::Notice(pb::Notice { form: Some(form), edition: 1, ..pb::Notice::default() }),
        lifted: Lifted { edition: 1, ..Lifted::default() },
        accepted: about_notice(),
    }
}

fn added(form: Option<pb::NoticeForm>) -> Sent {
    Sent {
        id: "GS.lena-1-N-2".into(),
        kind: Kind::Addendum,
        refers_to: "GS.lena-1-N-1".into(),
        form: Form::Addendum(pb::Addendum { form, edition: 2, ..pb::Addendum::default() }),
        lifted: Lifted { edition: 2, ..Lifted::default() },
        accepted: about_notice(),
    }
}

fn cancelled() -> Sent {
    Sent {
        id: "FR-1-N-2".into(),
        kind: Kind::Cancellation,
        refers_to: "GS.lena-1-N-1".into(),
        form: Form::Cancellation(pb::Cancellation::default()),
        lifted: Lifted::default(),
        accepted: about_notice(),
    }
}

fn diffused(form: pb::NoticeForm, to: &[&str]) -> Sent {
    let place = |code: &&str| Place {
        party: code.parse().unwrap(),
        number: 1,
        held: false,
        owes: false,
        after: None,
    };
    let places = to.iter().map(place).collect();
    Sent {
        id: "FR-1-N-3".into(),
        kind: Kind::Diffusion,
        refers_to: String::new(),
        form: Form::Diffusion(pb::Diffusion { form: Some(form) }),
        lifted: Lifted::default(),
        accepted: Accepted { places, ..Accepted::default() },
    }
}

fn taken_back() -> Sent {
    Sent {
        id: "FR-1-N-4".into(),
        kind: Kind::Withdrawal,
        refers_to: "FR-1-N-3".into(),
        form: Form::Withdrawal(pb::Withdrawal::default()),
        lifted: Lifted::default(),
        accepted: Accepted::default(),
    }
}

fn barred(except: &[&str]) -> Sent {
    Sent {
        id: "FR-1-N-5".into(),
        kind: Kind::Restriction,
        refers_to: String::new(),
        form: Form::Restriction(pb::Restriction::default()),
        lifted: Lifted { except: countries(except), ..Lifted::default() },
        accepted: Accepted::default(),
    }
}

impl Sent {
    /// The entry that a hub writes about it.
    fn draft(self) -> Draft {
        let Self { id, kind, refers_to, form, lifted, accepted } = self;
        let body = pb::Body { form: Some(form), ..pb::Body::default() };
        let carried = i247_trust::carry(&body, [7; 16]);
        let id: MessageId = id.parse().unwrap();
        let header = Header {
            previous: (id.number > 1).then_some(i247_model::Hash([2; 32])),
            refers_to: refers_to.parse().ok(),
            ..Header::bare(
                id,
                kind,
                Audience::secretariat(),
                i247_model::Hash([1; 32]),
                i247_model::Timestamp::from_millis(NOON),
                (carried.body_hash, carried.commitment),
            )
        };
        let submission = pb::Submission {
            header: pb::Header::from(&header).encode_to_vec().into(),
            lifted: Some((&lifted).into()),
            ..pb::Submission::default()
        };
        let entry = pb::Entry {
            at_ms: NOON,
            input: Some(pb::entry::Input::Submission(submission)),
            decision: crate::entry::encode_decision(&Decision::Accepted(accepted)),
            made: Vec::new(),
        };
        Draft { entry: entry.encode_to_vec().into(), body: Some(carried.bytes) }
    }
}

impl World {
    pub(super) async fn hear(&mut self, sent: Sent) {
        let end = self.log.end();
        self.log.append(end, vec![sent.draft()]).await.unwrap();
        self.databases.take_in(&[self.log.end().0]).await.unwrap();
    }

    pub(super) async fn looked_up(&self, asker: &str, database: Database, key: Key) -> Vec<Found> {
        let today = Date::of(i247_model::Timestamp::from_millis(NOON));
        let keys = [key];
        let found = self.databases.look_up(asker.parse().unwrap(), database, &keys, today);
        found.await.unwrap().remove(0)
    }

    /// Documents of notices with this number.
    async fn documents(&self, asker: &str, number: &str) -> Vec<Found> {
        let key = Key::travel_document(Database::Tdawn, "D".parse().unwrap(), &number.parse().unwrap());
        self.looked_up(asker, Database::Tdawn, key).await
    }

    /// How many persons of France's there are of a reference.
    async fn persons(&self, asker: &str, reference: &str) -> usize {
        let reference: Reference = reference.parse().unwrap();
        let key = Key::reference(Database::Nominal, "FR".parse().unwrap(), &reference);
        self.looked_up(asker, Database::Nominal, key).await.len()
    }

    /// Names of records of persons who may be meant.
    async fn named(&self, asker: &str, name: &str) -> Vec<String> {
        let query = Query { at_least: 700, ..Query::new(Name::whole(name).unwrap(), None) };
        let today = Date::of(i247_model::Timestamp::from_millis(NOON));
        let found = self.databases.search_persons(asker.parse().unwrap(), &query, today);
        found.await.unwrap().into_iter().map(|found| found.reference).collect()
    }

    /// Made anew from the log, and opened from what is stored, it is the same.
    pub(super) async fn is_as_the_log_says(&self) {
        let digest = self.databases.digest().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(open(&elsewhere, &self.log).await.digest().unwrap(), digest);
        self.databases.store_all().await.unwrap();
        let (again, read) = opened(Arc::new(OsDisk), self.dir.path(), &self.log).await;
        assert_eq!((again.digest().unwrap(), read), (digest, Vec::new()));
    }
}

#[tokio::test]
async fn the_documents_and_the_person_of_a_notice_come_and_go_with_it() {
    let mut world = World::new().await;
    world.hear(asked(&["SN"])).await;
    assert!(world.documents("BR", "X4719T06M").await.is_empty(), "asked for is not published");
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    let found = world.documents("BR", "X4719T06M").await.remove(0);
    assert_eq!(found.reference, "D/PASSPORT/X4719T06M/2026/7");
    assert_eq!((found.owner, found.message.to_string()), ("FR".parse().unwrap(), "GS.lena-1-N-1".to_owned()));
    assert_eq!(found.position, 2, "where the notice lies");
    assert_eq!(world.persons("BR", "notice/2026/7").await, 1);
    // Whom the owner bars finds nothing; the owner does.
    assert!(world.documents("SN", "X4719T06M").await.is_empty());
    assert_eq!(world.persons("SN", "notice/2026/7").await, 0);
    assert_eq!(world.documents("FR", "X4719T06M").await.len(), 1);
    world.is_as_the_log_says().await;
    world.hear(cancelled()).await;
    assert!(world.documents("BR", "X4719T06M").await.is_empty());
    assert_eq!(world.persons("BR", "notice/2026/7").await, 0);
    assert_eq!(world.databases.count(Database::Tdawn) + world.databases.count(Database::Nominal), 0);
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn an_addition_with_a_form_takes_the_place_of_what_the_notice_said() {
    let mut world = World::new().await;
    world.hear(asked(&[])).await;
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    world.hear(added(None)).await;
    assert_eq!(world.documents("BR", "X4719T06M").await.len(), 1, "words alone change nothing");
    world.hear(added(Some(green("MARLOWE", "L0000001K")))).await;
    assert!(world.documents("BR", "X4719T06M").await.is_empty());
    let found = world.documents("BR", "L0000001K").await.remove(0);
    let Content::NoticeDocument(document) = found.record.content() else { panic!() };
    assert_eq!((document.edition.value(), found.position), (2, 4));
    assert_eq!(world.databases.count(Database::Nominal), 1);
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn the_person_of_a_diffusion_is_there_for_whom_it_went_to() {
    let mut world = World::new().await;
    world.hear(diffused(green("MARLOWE", "X4719T06M"), &["BR", "JP"])).await;
    let reference = "diffusion/FR-1-N-3";
    for (asker, found) in [("BR", 1), ("JP", 1), ("FR", 1), ("SN", 0), ("ES", 0)] {
        assert_eq!(world.persons(asker, reference).await, found, "{asker}");
    }
    assert!(world.documents("BR", "X4719T06M").await.is_empty(), "only notices bring documents");
    world.is_as_the_log_says().await;
    world.hear(taken_back()).await;
    assert_eq!(world.persons("BR", reference).await, 0);
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn whom_an_owner_bars_later_sees_nothing_of_it_from_then_on() {
    let mut world = World::new().await;
    world.hear(asked(&[])).await;
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    world.enter(NOON, &[add("P1")]).await;
    world.hear(asked(&["SN"])).await;
    assert!(world.documents("SN", "X4719T06M").await.is_empty(), "barred from the notice");
    world.hear(barred(&["JP"])).await;
    assert!(world.documents("JP", "X4719T06M").await.is_empty(), "barred from all");
    assert!(world.found("JP", "P1").await.is_empty());
    assert_eq!((world.documents("BR", "X4719T06M").await.len(), world.found("BR", "P1").await.len()), (1, 1));
    world.is_as_the_log_says().await;
    world.hear(barred(&[])).await;
    assert_eq!((world.documents("JP", "X4719T06M").await.len(), world.found("JP", "P1").await.len()), (1, 1));
}

#[tokio::test]
async fn whom_an_owner_bars_from_all_is_led_to_no_record_and_loses_none_of_others() {
    let mut world = World::new().await;
    let blanks = Change::Add(record("W000001", "W000099", "", ""));
    world.enter(NOON, &[add("P1"), add("P2"), blanks]).await;
    world.hear(barred(&["JP"])).await;
    let keys = ["P1", "W000050", "P2", "P9"].map(key);
    let led = |asker: &str| {
        let places = world.databases.shelves().candidates(asker.parse().unwrap(), Database::Sltd, &keys, 1);
        places.into_iter().map(|(query, _)| query).collect::<Vec<usize>>()
    };
    // The owner and others are; who is barred has no record read for it, as for what there is not.
    assert_eq!((led("BR"), led("FR"), led("JP")), (vec![0, 1, 2], vec![0, 1, 2], vec![]));
    let sees = |asker: &str, at| world.databases.shelves().sees(asker.parse().unwrap(), at);
    let place = Locator::new(Position(1), 0).unwrap();
    assert_eq!((sees("BR", place), sees("JP", place)), (true, false), "persons and probes go by this alone");
}

#[tokio::test]
async fn the_owner_itself_cannot_load_or_take_away_what_follows_from_a_notice() {
    let mut world = World::new().await;
    world.hear(asked(&[])).await;
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    let person = i247_records::derived::records(
        &green("NYE", "P1"),
        &Origin::Notice("2026/8".parse().unwrap(), 1),
        "FR".parse().unwrap(),
    );
    let name = RecordName::parse(Database::Nominal, "FR/notice/2026/7").unwrap();
    let changes = [Change::Withdraw(name), Change::Add(person[0].clone())];
    let verdicts = world.enter_into(Database::Nominal, &changes).await;
    assert_eq!(reasons(&verdicts), [(0, Reason::NotOwner), (1, Reason::NotOwner)]);
    assert_eq!(world.persons("BR", "notice/2026/7").await, 1);
}

#[tokio::test]
async fn a_notice_that_was_erased_is_found_no_more_and_ends_all_the_same() {
    let mut world = World::new().await;
    world.hear(asked(&[])).await;
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    world.databases.store_all().await.unwrap();
    world.log.erase(Position(2)).await.unwrap();
    world.databases = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await.0;
    assert!(world.documents("BR", "X4719T06M").await.is_empty());
    assert!(world.named("BR", "MARLOWE, TESSA").await.is_empty());
    world.hear(cancelled()).await;
    assert_eq!(world.databases.count(Database::Tdawn) + world.databases.count(Database::Nominal), 0);
}

#[tokio::test]
async fn persons_are_searched_by_name_among_those_whom_the_asker_may_see() {
    let mut world = World::new().await;
    world.hear(asked(&["SN"])).await;
    world.hear(published(green("MARLOWE", "X4719T06M"))).await;
    world.hear(diffused(green("MARLOW", "P1"), &["JP"])).await;
    let both = ["FR/notice/2026/7", "FR/diffusion/FR-1-N-3"];
    assert_eq!(world.named("FR", "Tessa Marlowe").await, both, "the nearer first");
    assert_eq!(world.named("JP", "Marlow, Tesa").await.len(), 2);
    assert_eq!(world.named("BR", "MARLOWE, TESSA").await, both[..1]);
    assert!(world.named("SN", "MARLOWE, TESSA").await.is_empty());
    assert!(world.named("FR", "Castellet, Pilar").await.is_empty());
    // Their names are not stored: a start reads them from the log.
    world.databases.store_all().await.unwrap();
    let (again, read) = opened(Arc::new(OsDisk), world.dir.path(), &world.log).await;
    assert_eq!(read, Vec::<u64>::new());
    for file in std::fs::read_dir(world.dir.path().join(DIR)).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap().to_ascii_lowercase();
        assert!(!bytes.windows(6).any(|window| window == b"marlow"), "a name is on disk beside the log");
    }
    world.databases = again;
    assert_eq!(world.named("BR", "MARLOWE, TESSA").await, both[..1]);
    world.hear(cancelled()).await;
    assert_eq!(world.named("FR", "Tessa Marlowe").await, both[1..]);
}

#[tokio::test]
async fn persons_that_bureaus_load_are_found_by_name_until_they_are_withdrawn() {
    let mut world = World::new().await;
    let person = |n: u32| {
        let cell = |column: &str| match column {
            "reference" => format!("2026-{n}"),
            "family_names" => "DORANOV".to_owned(),
            "aliases" if n == 0 => "Pilar Castellet".to_owned(),
            "forenames" => format!("Ivan {}", ["Oleg", "Jovan", "Marek"][n as usize % 3]),
            "status" => "WANTED".to_owned(),
            _ => String::new(),
        };
        let cells: Vec<Cell<'_>> =
            Record::columns(Database::Nominal).map(|column| Cell::Text(cell(column).into())).collect();
        Record::from_row(Database::Nominal, "FR".parse().unwrap(), &cells).unwrap()
    };
    // More than wait unindexed.
    for round in 0..3 {
        let changes: Vec<Change> = (0..600).map(|n| Change::Add(person(round * 600 + n))).collect();
        assert_eq!(world.enter_into(Database::Nominal, &changes).await.accepted, 600);
    }
    let hidden = person(0).with_except(vec!["BR".parse().unwrap()]);
    world.enter_into(Database::Nominal, &[Change::Restrict(hidden)]).await;
    assert_eq!(world.named("JP", "Castellet, Pilar").await, ["FR/2026-0"]);
    assert!(world.named("BR", "Castellet, Pilar").await.is_empty());
    let seen = world.named("BR", "Doranov, Ivan Oleg").await;
    assert_eq!(seen.len(), 20);
    let first = RecordName::parse(Database::Nominal, &seen[0]).unwrap();
    world.enter_into(Database::Nominal, &[Change::Withdraw(first)]).await;
    assert!(!world.named("BR", "Doranov, Ivan Oleg").await.contains(&seen[0]));
    world.is_as_the_log_says().await;
}
