//! Hands a file of records in: rows become changes, changes go to the desk, and what became of them is told.
//!
//! A thread reads and checks, in front of the desk by a few frames only; the desk says what is durable. It must not
//! remember anything: run again, it asks the desk where to go on.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use i247_client::{ClientError, Desk, Load, pb};
use i247_model::{CountryCode, Hash, Party};
use i247_node::Clock;
use i247_records::Database;
use i247_records::import::{self, Import, ImportError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::deed::{Deed, FileOf};
use super::{Format, file, number, thousands};
use crate::fail::{Exit, Fail};

/// Changes in one frame to the desk.
const FRAME_LINES: usize = 512;
/// Bytes of changes in one frame.
const FRAME_BYTES: usize = 256 * 1024;
/// Frames that are read ahead of the desk.
const AHEAD: usize = 8;
/// How long the desk may be silent before that is looked into.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the verdicts.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long verdicts may stay away before the rest is left to the bureau.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// So many lines that the hub did not accept are shown.
const SHOWN: usize = 10;

/// What is to be read, and for whom.
struct Job {
    path: PathBuf,
    database: Database,
    format: Format,
    owner: CountryCode,
    deed: Deed,
    /// What lies before this line is durable at the bureau already.
    after: u64,
    /// The last line that was read.
    read: Arc<AtomicU64>,
}

/// What was read.
#[derive(Default)]
struct Counted {
    good: u64,
    bad: u64,
    /// Of the good ones: not handed in before.
    new: u64,
}

/// What became of a file.
pub(crate) struct Loaded {
    /// As far as it is known.
    pub(crate) status: pb::LoadStatusResponse,
    /// Lines that were set aside.
    pub(crate) bad: u64,
}

/// Hands a file in at this desk, and says how far it is.
///
/// # Cancel safety
/// Dropped, what was said to be durable stays so; the same file goes on behind it.
pub(crate) async fn load_at(
    desk: &Desk,
    of: &FileOf,
    clock: &Arc<dyn Clock>,
    say: &mut dyn FnMut(&str),
) -> Result<Loaded, Fail> {
    let country = desk.report().await?.country;
    let owner: CountryCode = country.parse().map_err(|_| {
        Fail::local("the desk does not say whose it is", "see that both run the same version")
    })?;
    let (database, named) = (of.database, of.clone());
    let named = tokio::task::spawn_blocking(move || file::name(&named, owner)).await;
    let name = ended(named)?.map_err(|error| unreadable(&of.file, &error))?;
    let (frames, sent) = mpsc::channel(AHEAD);
    let begin =
        pb::LoadBegin { name: Bytes::copy_from_slice(name.as_bytes()), database: number(database).into() };
    // There is room for it: nothing was sent before.
    drop(frames.try_send(frame(pb::load_records_request::Frame::Begin(begin))));
    let mut load = desk.load_records(ReceiverStream::new(sent)).await?;
    let first = load.next(SILENCE).await?.unwrap_or_default();
    if first.durable_line > 0 {
        say(&format!("It goes on behind line {}.", thousands(first.durable_line)));
    }
    let read = Arc::new(AtomicU64::new(0));
    let job = Job {
        path: of.file.clone(),
        database,
        format: of.format.unwrap_or_else(|| file::format(&of.file)),
        owner,
        deed: of.deed.clone(),
        after: first.durable_line,
        read: read.clone(),
    };
    let reading = tokio::task::spawn_blocking(move || read_all(&job, &frames));
    let followed = follow(&mut load, first, &read, clock, say).await;
    let counted = ended(reading.await)?;
    // The desk's word explains why reading was broken off.
    followed?;
    let counted = counted?;
    if counted.bad > 0 {
        say(&format!(
            "{} bad lines are set aside, each with its reason, in {}: mend them there, and load that file.",
            thousands(counted.bad),
            bad_path(&of.file).display()
        ));
    }
    if counted.good == 0 {
        return Err(Fail::refused(
            format!("{}: there is no record in it", of.file.display()),
            format!("`i247 records columns {database}` says what a file must look like"),
        ));
    }
    if counted.new == 0 && of.deed != Deed::Add {
        say(
            "This was done with the file before, and nothing is done now; with --again it is done once more.",
        );
    }
    let status =
        if of.no_wait { desk.load_status(Some(name)).await } else { decided(desk, name, clock, say).await };
    Ok(Loaded { status: status?, bad: counted.bad })
}

/// 0 when every record was accepted as far as is known, else 1.
pub(crate) fn code(status: &pb::LoadStatusResponse, bad: u64) -> ExitCode {
    let short = bad > 0 || !status.refused.is_empty();
    if short { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS }
}

/// How a load stands, for people.
pub(crate) fn told(status: &pb::LoadStatusResponse) -> String {
    let mut text = String::new();
    let name = Hash::from_slice(&status.name).map(|name| name.to_string()).unwrap_or_default();
    let _ = writeln!(text, "load       {name}");
    let _ = writeln!(
        text,
        "durable    {} records, up to line {}",
        thousands(status.records),
        status.durable_line
    );
    let _ = writeln!(text, "accepted   {}", thousands(status.accepted));
    for refused in &status.refused {
        let _ = writeln!(text, "refused    {} {}", thousands(refused.count), refused.reason);
    }
    if status.waiting > 0 {
        let _ = writeln!(text, "waiting    {} for the hub", thousands(status.waiting));
    }
    if status.undecided > 0 {
        let _ = writeln!(text, "undecided  {}", thousands(status.undecided));
    }
    for line in status.first.iter().take(SHOWN) {
        let refusal = line.refusal.clone().unwrap_or_default();
        let fields = refusal.fields.join(", ");
        let _ = writeln!(text, "  line {}: {} {fields}; {}", line.line, refusal.reason, refusal.next_step);
    }
    text
}

/// Tells the progress until everything is durable at the bureau.
async fn follow(
    load: &mut Load,
    first: pb::LoadRecordsResponse,
    read: &AtomicU64,
    clock: &Arc<dyn Clock>,
    say: &mut dyn FnMut(&str),
) -> Result<(), Fail> {
    let (begun, mut told) = (clock.monotonic(), clock.monotonic());
    let mut seen = read.load(Ordering::Relaxed);
    loop {
        match load.next(SILENCE).await {
            Ok(None) => return Ok(()),
            Ok(Some(durable)) => {
                let now = clock.monotonic();
                if now.saturating_sub(told) >= TELL_EVERY {
                    told = now;
                    let records = durable.records.saturating_sub(first.records);
                    let millis =
                        u64::try_from(now.saturating_sub(begun).as_millis()).unwrap_or(u64::MAX).max(1);
                    say(&format!(
                        "line {}: {} records durable at the bureau, {} a second",
                        thousands(durable.durable_line),
                        thousands(durable.records),
                        thousands(records.saturating_mul(1000) / millis)
                    ));
                }
            }
            // What is durable already may take long to be passed over.
            Err(ClientError::Late(_)) if read.load(Ordering::Relaxed) > seen => {
                seen = read.load(Ordering::Relaxed);
                say(&format!("line {} read", thousands(seen)));
            }
            Err(error) => {
                let mut fail = Fail::from(error);
                if fail.exit == Exit::Unreachable {
                    fail.next = "run the same command again: it goes on where it was".into();
                }
                return Err(fail);
            }
        }
    }
}

/// Waits until the hub has decided about every record, as long as it goes on.
pub(super) async fn decided(
    desk: &Desk,
    name: Hash,
    clock: &Arc<dyn Clock>,
    say: &mut dyn FnMut(&str),
) -> Result<pb::LoadStatusResponse, ClientError> {
    let (mut left, mut since, mut told) = (u64::MAX, clock.monotonic(), clock.monotonic());
    loop {
        let status = desk.load_status(Some(name)).await?;
        let open = status.waiting + status.undecided;
        if open == 0 {
            return Ok(status);
        }
        if open < left {
            (left, since) = (open, clock.monotonic());
        }
        let now = clock.monotonic();
        if now.saturating_sub(since) > GIVE_UP_AFTER {
            say("The rest is left to the bureau, which goes on: `i247 records status` says how it stands.");
            return Ok(status);
        }
        if now.saturating_sub(told) >= TELL_EVERY {
            told = now;
            say(&format!("{} records not decided about yet", thousands(open)));
        }
        i247_node::sleep_on(&**clock, LOOK_EVERY).await;
    }
}

/// Reads the file to its end, or until nobody takes its rows any more.
fn read_all(job: &Job, frames: &mpsc::Sender<pb::LoadRecordsRequest>) -> Result<Counted, Fail> {
    let broken = |error: std::io::Error| unreadable(&job.path, &error);
    let reader = file::open(&job.path).map_err(broken)?;
    let owner = Party::Bureau(job.owner);
    let rows: Import<Box<dyn BufRead + Send>> = match job.format {
        Format::Json => Import::json_lines(job.database, owner, reader),
        Format::Csv => Import::csv(job.database, owner, reader).map_err(|error| match error {
            ImportError::Stream(error) => broken(error),
            ImportError::Header(error) => Fail {
                exit: Exit::Refused,
                what: format!("{}: line 1: {error}", job.path.display()),
                fields: Vec::new(),
                next: format!("`i247 records columns {}` says what a file must look like", job.database),
            },
        })?,
    };
    let mut bad = Bad::new(&job.path, rows.first_line());
    let (mut lines, mut bytes, mut good, mut new) = (pb::LoadLines::default(), 0, 0, 0);
    for row in rows {
        let row = row.map_err(broken)?;
        job.read.store(row.line, Ordering::Relaxed);
        let change = row.record.map_err(|error| error.to_string()).and_then(|record| {
            let change = job.deed.of(record);
            let owned = change.check_owner(job.database, owner);
            owned.map(|()| change).map_err(|refusal| refusal.to_string())
        });
        match change {
            Err(reason) => bad.set_aside(row.line, &reason, &row.text)?,
            Ok(_) if row.line <= job.after => good += 1,
            Ok(change) => {
                (good, new) = (good + 1, new + 1);
                let change = Bytes::from(change.encode());
                bytes += change.len();
                lines.lines.push(row.line);
                lines.changes.push(change);
            }
        }
        if lines.lines.len() >= FRAME_LINES || bytes >= FRAME_BYTES {
            bytes = 0;
            let full = frame(pb::load_records_request::Frame::Lines(std::mem::take(&mut lines)));
            if frames.blocking_send(full).is_err() {
                // The desk has ended the load, and says why.
                return bad.close(good, new);
            }
        }
    }
    if !lines.lines.is_empty() {
        drop(frames.blocking_send(frame(pb::load_records_request::Frame::Lines(lines))));
    }
    bad.close(good, new)
}

/// The rows that are set aside: as they stand in the file, each below a note that says where it was and what is wrong.
/// Mended, the file can be loaded.
struct Bad<'a> {
    of: &'a Path,
    /// What the new file begins with.
    first_line: Option<Vec<u8>>,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl<'a> Bad<'a> {
    fn new(of: &'a Path, first_line: Option<&[u8]>) -> Self {
        Self { of, first_line: first_line.map(<[u8]>::to_vec), file: None, count: 0 }
    }

    fn set_aside(&mut self, line: u64, reason: &str, row: &[u8]) -> Result<(), Fail> {
        self.count += 1;
        let path = bad_path(self.of);
        let failed = |error: std::io::Error| {
            Fail::because(
                path.display().to_string(),
                &error,
                "see that the directory of the file can be written",
            )
        };
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
                if let Some(first) = &self.first_line {
                    file.write_all(first).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
                }
                file
            }
        };
        // A reason may hold what stood in the line.
        let note = import::note(line, &crate::render::line(reason));
        for text in [note.as_bytes(), b"\n", row, b"\n"] {
            file.write_all(text).map_err(failed)?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn close(self, good: u64, new: u64) -> Result<Counted, Fail> {
        if let Some(mut file) = self.file {
            file.flush().map_err(|error| {
                let path = bad_path(self.of);
                Fail::because(path.display().to_string(), &error, "make room, and run it again")
            })?;
        }
        Ok(Counted { good, bad: self.count, new })
    }
}

/// Where the bad lines of a file are set aside.
fn bad_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".bad");
    name.into()
}

fn frame(frame: pb::load_records_request::Frame) -> pb::LoadRecordsRequest {
    pb::LoadRecordsRequest { frame: Some(frame) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fail {
    Fail::because(
        path.display().to_string(),
        error,
        "name a file that can be read; run again, the load goes on",
    )
}

fn ended<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Fail> {
    joined.map_err(|error| Fail::because("reading was broken off", &error, "run it again: it goes on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lines_go_to_the_desk_and_bad_ones_are_set_aside_with_their_reasons() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stolen.csv");
        std::fs::write(
            &path,
            "number,issuing_country,document_type,fraud_type\n\
             P0000001,FRA,PASSPORT,STOLEN_BEARER\n\
             P0000002,FRA,PASSPORT,STOLEN\n\
             P0000003,BRA,PASSPORT,STOLEN_BEARER\n\
             P0000004,FRA,PASSPORT,STOLEN_BEARER\n",
        )
        .unwrap();
        let read = |after: u64| {
            let job = Job {
                path: path.clone(),
                database: Database::Sltd,
                format: Format::Csv,
                owner: "FR".parse().unwrap(),
                deed: Deed::Add,
                after,
                read: Arc::default(),
            };
            let (frames, mut taken) = mpsc::channel(AHEAD);
            let counted = read_all(&job, &frames).unwrap();
            drop(frames);
            let mut lines = Vec::new();
            while let Some(frame) = taken.blocking_recv() {
                let Some(pb::load_records_request::Frame::Lines(frame)) = frame.frame else { panic!() };
                lines.extend(frame.lines);
            }
            assert_eq!(counted.good, 2);
            (counted.bad, lines)
        };
        assert_eq!(read(0), (2, vec![2, 5]));
        assert_eq!(read(2), (2, vec![5]));
        let bad = std::fs::read_to_string(dir.path().join("stolen.csv.bad")).unwrap();
        let bad: Vec<&str> = bad.lines().collect();
        assert_eq!(bad[0], "number,issuing_country,document_type,fraud_type");
        assert!(bad[1].starts_with("# line 3: fraud_type \"STOLEN\" is not"), "{bad:?}");
        assert_eq!(bad[2], "P0000002,FRA,PASSPORT,STOLEN");
        assert!(
            bad[3].starts_with("# line 4: NOT_OWNER") && bad[3].contains("only BR may do this"),
            "{bad:?}"
        );
        assert_eq!(bad[4..], ["P0000003,BRA,PASSPORT,STOLEN_BEARER"]);
    }

    #[test]
    fn what_was_set_aside_and_mended_is_loaded_from_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stolen.jsonl");
        let row = |kind: &str| {
            format!(
                "{{\"number\":\"P1\",\"issuing_country\":\"FRA\",\"document_type\":\"PASSPORT\",\"fraud_type\":\"{kind}\"}}\n"
            )
        };
        std::fs::write(&path, [b"\xff\n", row("STOLEN").as_bytes(), &b"x".repeat(70_000)].concat()).unwrap();
        let read = |path: &Path| {
            let job = Job {
                path: path.to_owned(),
                database: Database::Sltd,
                format: file::format(path),
                owner: "FR".parse().unwrap(),
                deed: Deed::Add,
                after: 0,
                read: Arc::default(),
            };
            let (frames, _taken) = mpsc::channel(AHEAD);
            let counted = read_all(&job, &frames).unwrap();
            (counted.good, counted.bad)
        };
        assert_eq!(read(&path), (0, 3));
        let set_aside = bad_path(&path);
        let text = std::fs::read(&set_aside).unwrap();
        // What is no UTF-8 stays as it was, what is too long is left out.
        assert!(text.starts_with(b"# line 1: not UTF-8 from byte 1 on: save the file as UTF-8\n\xff\n"));
        assert!(text.ends_with(b"# line 3: more than 65536 bytes\n\n"));
        let from = text.windows(8).position(|part| part == b"# line 2").unwrap();
        let mended: Vec<u8> = String::from_utf8_lossy(&text[from..]).replace("STOLEN\"", "REVOKED\"").into();
        std::fs::write(&set_aside, mended).unwrap();
        assert_eq!(read(&set_aside), (1, 0));
    }

    #[test]
    fn a_load_that_fell_short_is_told_as_one() {
        let mut status =
            pb::LoadStatusResponse { records: 2, accepted: 2, durable_line: 3, ..Default::default() };
        assert_eq!(code(&status, 0), ExitCode::SUCCESS);
        assert_eq!(code(&status, 1), ExitCode::from(1));
        status.refused.push(pb::ReasonCount { reason: "DUPLICATE".into(), count: 1234 });
        assert_eq!(code(&status, 0), ExitCode::from(1));
        assert!(told(&status).contains("refused    1,234 DUPLICATE\n"), "{}", told(&status));
    }
}
