//! Who looked at what: one line for each look-up of an operator, on stable storage before it is answered.
//!
//! A file for each day beside the log, `lookups/2010-07-05.jsonl`, of JSON lines: when, who, for which person where a
//! console says so, which call, what was asked.
//! What names nobody (the network as a whole, again and again) is written once a minute for each operator and call.
//! Nothing is ever removed here: how long it is kept is the business of whoever runs the hub. It must not hold what was
//! found.
//!
//! A full disk keeps no operator from seeing why: some lines wait in memory then, and stand in the log of the process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use i247_ledger::disk::{Disk, DiskFile, is_full, read_up_to, write_all_at};
use i247_ledger::{Blocking, outcome};
use i247_model::{Identity, Name, Reason, Refusal, Timestamp};
use serde::Serialize;

/// The directory, below that of the hub's data.
pub(crate) const DIR: &str = "lookups";

/// How long one operator's use of one call that names nobody stands for.
const FOLDED_MS: u64 = 60_000;

/// So many lines may wait for room.
const WAITING_MAX: usize = 4096;

/// The longest question that is written, in bytes.
const QUESTION_MAX: usize = 1024;

/// Who looks something up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Who {
    pub(crate) identity: Identity,
    /// Whom it asks for, by its own word: several people look through one console.
    pub(crate) person: Option<Name>,
}

/// The look-ups of one hub.
#[derive(Debug)]
pub(crate) struct Lookups {
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: PathBuf,
    book: Arc<Mutex<Book>>,
    /// When an operator last used a call that names nobody.
    folded: Mutex<BTreeMap<(Who, &'static str), u64>>,
}

/// The file of the day.
#[derive(Debug, Default)]
struct Book {
    day: u64,
    file: Option<(Arc<dyn DiskFile>, u64)>,
    /// Lines for which there was no room.
    waiting: Vec<String>,
}

impl Lookups {
    /// Look-ups kept in this directory. Files are made when there is something to write.
    pub(crate) fn new(disk: Arc<dyn Disk>, blocking: Arc<dyn Blocking>, dir: PathBuf) -> Self {
        Self { disk, blocking, dir, book: Arc::default(), folded: Mutex::default() }
    }

    /// Writes that somebody looks something up, and returns when that is durable.
    ///
    /// # Errors
    /// `READ_ONLY` when it cannot be written: then nothing is looked up.
    ///
    /// # Cancel safety
    /// Once begun it is written to its end.
    pub(crate) async fn looked_up(
        &self,
        who: &Who,
        call: &'static str,
        asked: &str,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let line = line(who, call, asked, at);
        let (disk, dir, book) = (self.disk.clone(), self.dir.clone(), self.book.clone());
        let written =
            outcome(&*self.blocking, move || write(&*disk, &dir, &book, line.map_err(io::Error::from)?, at))
                .await;
        let refused = || {
            let next_step = "look-ups cannot be written down at the moment: tell whoever runs the hub";
            Refusal { next_step: next_step.into(), ..Refusal::of(Reason::ReadOnly, "lookups") }
        };
        match written {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                tracing::error!(%error, "look-ups cannot be written down: nothing is looked up");
                Err(refused())
            }
            None => Err(refused()),
        }
    }

    /// Writes that somebody looks at the network as a whole, unless that stands there since less than a minute. It
    /// never keeps an operator from seeing that something is wrong.
    pub(crate) async fn looked_at(&self, who: &Who, call: &'static str, at: Timestamp) {
        {
            let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
            let now = at.as_millis();
            folded.retain(|_, written| now.saturating_sub(*written) < FOLDED_MS);
            if folded.contains_key(&(who.clone(), call)) {
                return;
            }
            folded.insert((who.clone(), call), now);
        }
        // Said in the log of the process when it fails.
        let _ = self.looked_up(who, call, "", at).await;
    }
}

fn write(disk: &dyn Disk, dir: &Path, book: &Mutex<Book>, line: String, at: Timestamp) -> io::Result<()> {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.waiting.push(line);
    match book.append(disk, dir, at.as_millis() / 86_400_000) {
        Ok(()) => {
            book.waiting.clear();
            Ok(())
        }
        Err(error) if is_full(&error) && book.waiting.len() <= WAITING_MAX => {
            tracing::warn!(line = book.waiting.last(), "no room for a look-up: the line waits");
            Ok(())
        }
        Err(error) => {
            book.waiting.pop();
            Err(error)
        }
    }
}

impl Book {
    /// Appends the lines that wait to the file of the day. After an error that is opened anew: what a failed sync has
    /// written nobody knows.
    fn append(&mut self, disk: &dyn Disk, dir: &Path, day: u64) -> io::Result<()> {
        let (file, end) = match self.file.take().filter(|_| self.day == day) {
            Some(open) => open,
            None => open(disk, dir, &file_name(day))?,
        };
        let lines = self.waiting.concat();
        write_all_at(&*file, lines.as_bytes(), end)?;
        file.sync_data()?;
        (self.day, self.file) = (day, Some((file, end + lines.len() as u64)));
        Ok(())
    }
}

/// The file, and where it goes on.
fn open(disk: &dyn Disk, dir: &Path, name: &str) -> io::Result<(Arc<dyn DiskFile>, u64)> {
    let path = dir.join(name);
    match disk.open(&path) {
        Ok(file) => {
            let end = file.len()?;
            let mut last = [b'\n'];
            read_up_to(&*file, &mut last, end.saturating_sub(1))?;
            if end > 0 && last != [b'\n'] {
                // Half a line, which was never acknowledged: the next begins behind it.
                write_all_at(&*file, b"\n", end)?;
                return Ok((file, end + 1));
            }
            Ok((file, end))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.create_dir(dir)?;
            let file = disk.create(&path)?;
            disk.sync_dir(dir)?;
            Ok((file, 0))
        }
        Err(error) => Err(error),
    }
}

/// The date of a day that is counted from 1970-01-01.
fn file_name(day: u64) -> String {
    let second = i64::try_from(day).unwrap_or(i64::MAX).saturating_mul(86_400);
    let date = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    format!("{}.jsonl", date.strftime("%Y-%m-%d"))
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    who: &'a Identity,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<&'a str>,
    call: &'a str,
    asked: &'a str,
}

fn line(who: &Who, call: &str, asked: &str, at: Timestamp) -> Result<String, serde_json::Error> {
    let end = (0..=asked.len().min(QUESTION_MAX)).rev().find(|end| asked.is_char_boundary(*end)).unwrap_or(0);
    let person = who.person.as_ref().map(Name::as_str);
    let line = Line { at_ms: at.as_millis(), who: &who.identity, person, call, asked: &asked[..end] };
    Ok(serde_json::to_string(&line)? + "\n")
}

#[cfg(test)]
mod tests {
    use i247_ledger::Inline;
    use i247_ledger::disk::OsDisk;
    use i247_ledger::faults::BreakableDisk;

    use super::*;

    /// Noon of 5 July 2010.
    const NOON: Timestamp = Timestamp::from_millis(1_278_331_200_000);

    fn lookups(dir: &Path) -> Lookups {
        Lookups::new(Arc::new(OsDisk), Arc::new(Inline), dir.join("lookups"))
    }

    fn who(name: &str) -> Who {
        Who { identity: format!("spiffe://i247.test/operator/{name}").parse().unwrap(), person: None }
    }

    fn person(name: &str) -> Who {
        Who { person: Some(name.parse().unwrap()), ..who("console") }
    }

    #[tokio::test]
    async fn every_look_up_is_a_line_of_its_day_and_survives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        lookups(dir.path()).looked_up(&who("ops"), "Trace", "FR-1-U-1", NOON).await.unwrap();
        let again = lookups(dir.path());
        again
            .looked_up(&who("ops"), "Trace", "a\"b\n\\", NOON.plus(std::time::Duration::from_secs(60)))
            .await
            .unwrap();
        again
            .looked_up(&who("ops"), "Country", "FR", NOON.plus(std::time::Duration::from_secs(86_400)))
            .await
            .unwrap();
        let written = std::fs::read_to_string(dir.path().join("lookups/2010-07-05.jsonl")).unwrap();
        let expected = "{\"at_ms\":1278331200000,\"who\":\"spiffe://i247.test/operator/ops\",\"call\":\"Trace\",\"asked\":\"FR-1-U-1\"}\n\
            {\"at_ms\":1278331260000,\"who\":\"spiffe://i247.test/operator/ops\",\"call\":\"Trace\",\"asked\":\"a\\\"b\\n\\\\\"}\n";
        assert_eq!(written, expected);
        assert!(dir.path().join("lookups/2010-07-06.jsonl").exists());
    }

    #[tokio::test]
    async fn what_is_looked_at_again_and_again_is_written_once_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let lookups = lookups(dir.path());
        for second in [0, 1, 59, 60, 61] {
            let at = NOON.plus(std::time::Duration::from_secs(second));
            lookups.looked_at(&who("ops"), "Summary", at).await;
        }
        lookups.looked_at(&who("night"), "Summary", NOON).await;
        // Two people at one console are two.
        for name in ["anna", "ben", "anna"] {
            lookups.looked_at(&person(name), "Summary", NOON).await;
        }
        let written = std::fs::read_to_string(dir.path().join("lookups/2010-07-05.jsonl")).unwrap();
        assert_eq!(written.lines().count(), 5, "{written}");
        let anna = "{\"at_ms\":1278331200000,\"who\":\"spiffe://i247.test/operator/console\",\
            \"person\":\"anna\",\"call\":\"Summary\",\"asked\":\"\"}";
        assert_eq!(written.lines().nth(3), Some(anna));
    }

    #[tokio::test]
    async fn a_full_disk_keeps_nobody_from_looking_and_the_lines_come_later() {
        let disk = BreakableDisk::new(3);
        let lookups = Lookups::new(Arc::new(disk.clone()), Arc::new(Inline), "lookups".into());
        lookups.looked_up(&who("ops"), "Trace", "one", NOON).await.unwrap();
        disk.set_capacity(Some(disk.used()));
        lookups.looked_up(&who("ops"), "Trace", "two", NOON).await.unwrap();
        disk.set_capacity(None);
        lookups.looked_up(&who("ops"), "Trace", "three", NOON).await.unwrap();
        let path = Path::new("lookups/2010-07-05.jsonl");
        let written = String::from_utf8(disk.contents(path).unwrap()).unwrap();
        let asked: Vec<&str> = written
            .lines()
            .map(|line| line.split("\"asked\":").nth(1).unwrap().trim_end_matches('}'))
            .collect();
        assert_eq!(asked, ["\"one\"", "\"two\"", "\"three\""]);
        // Half a line spoils no other.
        disk.put(path, format!("{written}{{\"at_ms\":12").as_bytes());
        let again = Lookups::new(Arc::new(disk.clone()), Arc::new(Inline), "lookups".into());
        again.looked_up(&who("ops"), "Trace", "a longer one", NOON).await.unwrap();
        let written = String::from_utf8(disk.contents(path).unwrap()).unwrap();
        assert_eq!((written.lines().count(), written.ends_with("a longer one\"}\n")), (5, true), "{written}");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lookups"), "in the way").unwrap();
        let refusal =
            lookups(dir.path()).looked_up(&who("ops"), "Trace", "FR-1-U-1", NOON).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.fields[0].as_str()), (Reason::ReadOnly, "lookups"));
    }

    #[test]
    fn days_have_their_dates() {
        for (day, name) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_454, "2026-01-01")]
        {
            assert_eq!(file_name(day), format!("{name}.jsonl"));
        }
    }
}
