//! A country's own records at the command line: loaded from files good and hostile, changed, kept from others, withdrawn;
//! and what befalls those of others.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use i247_records::Date;
use i247_testkit::{World, WorldError, country, pb};

use crate::search::{frame, passport};
use crate::tracing::contexts;

/// How long a command may take.
const WITHIN: Duration = Duration::from_secs(60);

const COLUMNS: &str = "number,issuing_country,document_type,fraud_type,review_on,information\n";

/// Officers at a keyboard.
pub(crate) struct Keyboard {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Keyboard {
    pub(crate) async fn of(world: &World) -> Result<Option<Self>, WorldError> {
        let Some(program) = i247_testkit::program() else { return Ok(None) };
        let home = tempfile::tempdir().unwrap();
        contexts(world, home.path()).await?;
        Ok(Some(Self { program, home }))
    }

    pub(crate) fn file(&self, name: &str, text: &[u8]) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A directory of its own.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let dir = self.home.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    pub(crate) async fn types(&self, officer: &str, words: &[&str]) -> Said {
        self.types_at(self.home.path(), &[words, &["--as", officer]].concat()).await
    }

    /// Under the only context of another home.
    pub(crate) async fn types_at(&self, home: &Path, words: &[&str]) -> Said {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(words).env("I247_HOME", home).kill_on_drop(true);
        Said::from(tokio::time::timeout(WITHIN, command.output()).await.unwrap().unwrap())
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn well(self, words: &str) {
        assert!(self.code == Some(0) && self.out.contains(words), "{words}: {self:?}");
    }

    /// It ended with 1, and said so.
    #[track_caller]
    fn refused(self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        let all = format!("{}{}", self.out, self.err);
        for words in words {
            assert!(all.contains(words), "{words}: {self:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_owner_changes_a_record_restricts_it_or_takes_it_out() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let file =
        keyboard.file("stolen.csv", format!("{COLUMNS}P0000001,FRA,PASSPORT,LOST_BEARER,,\n").as_bytes());
    keyboard.types("FR", &["records", "load", "sltd", &file]).await.well("accepted   1");
    let name = "FRA/PASSPORT/P0000001";
    for words in [
        &["records", "change", "sltd", name, "fraud_type=REVOKED"][..],
        &["records", "restrict", "sltd", name, "--except", "DE"],
        &["records", "withdraw", "sltd", name],
    ] {
        keyboard.types("BR", words).await.refused(&[
            "NOT_OWNER",
            "is a record of France (FR)",
            "only FR may do this",
        ]);
    }

    let change = ["records", "change", "sltd", name, "fraud_type=REVOKED", "information=sold on"];
    keyboard.types("FR", &change).await.well("is changed");
    let show = ["records", "show", "sltd", name];
    let shown = keyboard.types("BR", &show).await;
    assert!(shown.out.contains("REVOKED") && shown.out.contains("sold on"), "{shown:?}");
    keyboard.types("FR", &change).await.refused(&["DUPLICATE"]);
    keyboard
        .types("FR", &["records", "restrict", "sltd", name, "--except", "BR"])
        .await
        .well("seen by others");
    keyboard.types("BR", &show).await.refused(&["UNKNOWN_RECORD"]);
    keyboard.types("BR", &["records", "withdraw", "sltd", name]).await.refused(&["NOT_OWNER", "France"]);
    keyboard.types("FR", &["records", "restrict", "sltd", name]).await.well("seen by others");
    keyboard.types("BR", &show).await.well(name);
    keyboard.types("FR", &["records", "withdraw", "sltd", name]).await.well("is withdrawn");
    keyboard.types("FR", &["records", "withdraw", "sltd", name]).await.refused(&["UNKNOWN_RECORD"]);
    keyboard.types("FR", &["check", "P0000001", "--country", "FRA", "--purpose", "border"]).await.well("");
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_file_loses_nothing_and_what_was_wrong_is_mended_and_loaded() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let file = [
        COLUMNS.as_bytes(),
        b"P0000001,FRA,PASSPORT,LOST_BEARER,,=HYPERLINK(\"\"http://x\"\")\n".as_slice(),
        b"P0000002,FRA,PASSPORT,LOST_BEARER,,caf\xe9\n",
        &[b'x'; 1_000_000],
        b"\nP0000003,FRA,TICKET,LOST_BEARER,,\n",
        b"P0000004,ZZZ,PASSPORT,LOST_BEARER,,\n",
        b"P0000005,BRA,PASSPORT,LOST_BEARER,,\n",
        b"P0000006,FRA,PASSPORT,LOST_BEARER,,\"no end\n",
        b"P0000007,FRA,PASSPORT,LOST_BEARER,1999-12-31,\n",
        b"P0000008,FRA,PASSPORT,LOST_BEARER,,\n",
    ]
    .concat();
    let file = keyboard.file("stolen.csv", &file);
    let said = keyboard.types("FR", &["records", "load", "sltd", &file]).await;
    assert!(said.err.contains("6 bad lines are set aside"), "{said:?}");
    let bad = std::fs::read(format!("{file}.bad")).unwrap();
    let text = String::from_utf8_lossy(&bad).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], COLUMNS.trim_end());
    for (line, why, row) in [
        ("# line 3: ", "not UTF-8", "P0000002,FRA"),
        ("# line 4: ", "more than 65536 bytes", ""),
        ("# line 5: ", "document_type \"TICKET\"", "P0000003,FRA"),
        ("# line 6: ", "issuing_country \"ZZZ\" is not the ICAO code", "P0000004,ZZZ"),
        ("# line 7: ", "only BR may do this", "P0000005,BRA"),
        ("# line 8: ", "quotation mark", "P0000006,FRA"),
    ] {
        let at =
            lines.iter().position(|one| one.starts_with(line)).unwrap_or_else(|| panic!("{line}: {text}"));
        assert!(lines[at].contains(why) && lines[at + 1].starts_with(row), "{line}: {text}");
    }
    // The hub's own refusal: a record that would not count for a day.
    said.refused(&["EXPIRED", "line 9", "review_on", "accepted   2"]);
    for (number, there) in [("P0000001", true), ("P0000007", false), ("P0000008", true)] {
        assert_eq!(found(&world, "FR", number, "FRA").await?, there, "{number}");
    }

    let mended = bad.iter().map(|byte| if *byte == 0xe9 { b'e' } else { *byte }).collect::<Vec<u8>>();
    let mended = String::from_utf8(mended).unwrap();
    let mended = mended.replace("TICKET", "VISA").replace("ZZZ", "FRA").replace("\"no end", "no end");
    let mended = keyboard.file("stolen.csv.bad", mended.replace("P0000005,BRA", "P0000005,FRA").as_bytes());
    keyboard.types("FR", &["records", "load", "sltd", &mended]).await.well("accepted   5");
    assert!(found(&world, "FR", "P0000006", "FRA").await?);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_records_of_a_file_are_kept_back_shown_changed_and_withdrawn() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let numbers = ["P0000001", "P0000002", "P0000003"];
    let rows = |fraud: &str| {
        let row = |number| format!("{number},FRA,PASSPORT,{fraud},,\n");
        format!("{COLUMNS}{}", numbers.map(row).concat())
    };
    let file = keyboard.file("stolen.csv", rows("LOST_BEARER").as_bytes());
    let does = async |words: &[&str], from: &str| {
        let words = [&["records"], words, &["--from", from]].concat();
        keyboard.types("FR", &words).await
    };
    let seen = async || -> Result<usize, WorldError> {
        let mut seen = 0;
        for number in numbers {
            seen += usize::from(found(&world, "BR", number, "FRA").await?);
        }
        Ok(seen)
    };
    keyboard.types("FR", &["records", "load", "sltd", &file]).await.well("accepted   3");
    assert_eq!(seen().await?, 3);

    does(&["restrict", "sltd", "--except", "BR"], &file).await.well("accepted   3");
    assert_eq!(seen().await?, 0);
    let once_more = does(&["restrict", "sltd", "--except", "BR"], &file).await;
    assert!(once_more.err.contains("done with the file before"), "{once_more:?}");
    once_more.well("accepted   3");
    does(&["restrict", "sltd"], &file).await.well("accepted   3");
    assert_eq!(seen().await?, 3);
    // Kept back once more, which the bureau has been told of before.
    does(&["restrict", "sltd", "--again", "--except", "BR"], &file).await.well("accepted   3");
    assert_eq!(seen().await?, 0);

    // The column of the file counts: nobody is kept from it. One line is wrong, one is of no record.
    let changed =
        rows("REVOKED").replace("P0000002,FRA", "P0000002,XXX") + "P0000009,FRA,PASSPORT,REVOKED,,\n";
    let changed = keyboard.file("changed.csv", changed.as_bytes());
    let said = does(&["change", "sltd"], &changed).await;
    assert!(said.err.contains("1 bad lines are set aside"), "{said:?}");
    said.refused(&["accepted   2", "UNKNOWN_RECORD", "line 5"]);
    assert_eq!(seen().await?, 2);
    let shown = keyboard.types("BR", &["records", "show", "sltd", "FRA/PASSPORT/P0000001"]).await;
    assert!(shown.out.contains("REVOKED"), "{shown:?}");
    // They stand otherwise than in the first file by now.
    let more = does(&["restrict", "sltd", "--again", "--except", "JP"], &file).await;
    assert!(more.code == Some(1) && more.out.contains("accepted   1"), "{more:?}");

    does(&["withdraw", "sltd"], &file).await.well("accepted   3");
    assert_eq!(seen().await?, 0);
    does(&["withdraw", "sltd", "--again"], &file).await.refused(&["3 UNKNOWN_RECORD"]);
    for (wrong, words) in [
        (&["withdraw", "sltd", "FRA/PASSPORT/P0000001"][..], "cannot be used with"),
        (&["change", "sltd", "fraud_type=REVOKED"], "cannot be used with"),
    ] {
        let said = does(wrong, &file).await;
        assert!(said.code == Some(2) && said.err.contains(words), "{said:?}");
    }
    let nothing = keyboard.types("FR", &["records", "withdraw", "sltd"]).await;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_specimen_is_whose_who_recorded_it_for_an_exercise() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let file = format!("{COLUMNS}P1234567,UTO,PASSPORT,STOLEN_BEARER,,\n");
    let file = keyboard.file("exercise.csv", file.as_bytes());
    keyboard.types("BR", &["records", "load", "sltd", &file]).await.well("accepted   1");
    let check = ["check", "P1234567", "--country", "UTO", "--purpose", "border"];
    keyboard.types("FR", &check).await.refused(&["UTO/PASSPORT/P1234567", "BR"]);
    keyboard.types("FR", &["records", "load", "sltd", &file]).await.refused(&["DUPLICATE"]);
    let withdraw = ["records", "withdraw", "sltd", "UTO/PASSPORT/P1234567"];
    keyboard.types("FR", &withdraw).await.refused(&["is a record of Brazil (BR)"]);
    keyboard.types("BR", &withdraw).await.well("is withdrawn");
    keyboard.types("FR", &check).await.well("");
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_found_up_to_its_last_day_and_not_behind_it() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let today = Date::of(world.seams().clock.now());
    let file = format!("{COLUMNS}P0000001,FRA,PASSPORT,LOST_BEARER,{},\n", today.next());
    let file = keyboard.file("short.csv", file.as_bytes());
    keyboard.types("FR", &["records", "load", "sltd", &file]).await.well("accepted   1");
    assert!(found(&world, "BR", "P0000001", "FRA").await?);
    world.advance(Duration::from_secs(2 * 24 * 3600));
    world
        .until("the record to have gone", async || {
            Ok((!found(&world, "BR", "P0000001", "FRA").await?).then_some(()))
        })
        .await?;
    world.stop_all().await
}

/// Whether a country's officer finds it.
async fn found(world: &World, code: &str, number: &str, issuer: &str) -> Result<bool, WorldError> {
    let desk = world.desk(country(code), &world.seats_of(country(code)).remove(0)).await?;
    let answer = desk.check(frame(vec![passport(number, issuer)])).await?.answers.remove(0);
    Ok(answer.result() == pb::SearchResult::Match)
}
