//! `i247 mind`: offline copies of the databases in a directory, fetched while there is a network and asked while there is
//! none (`i247 check --offline`).

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use i247_client::mind::{Found, MarksFile, Mind, MindError, OfflineAnswers, Progress, Synced};
use i247_client::{ClientError, Copies, pb};
use i247_model::{Identity, Reason, Refusal};
use i247_records::Database;
use i247_records::offline::{
    Copies as OfflineCopies, HolderError, ListError, OLD_AFTER, OfflineError, REFUSED_AFTER,
};
use serde_json::{Value as Json, json};

use crate::check::database;
use crate::fail::Fail;
use crate::out;
use crate::render;
use crate::session::Session;

/// How often a line that breaks is taken up again.
const TRIES: u32 = 5;

/// How long is waited before that, unless the hub says how long.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long a search waits for another one at the same list.
const LIST_WAIT: Duration = Duration::from_millis(20);
const LIST_TRIES: u32 = 250;

/// Databases that are fetched when none is named, as far as they are granted.
const USUAL: [Database; 2] = [Database::Sltd, Database::Tdawn];

const AFTER_HELP: &str = "\
A post gets its copies at its bureau, or at the hub itself, whichever its context leads to, as far as it is granted: `i247 \
post grant --offline`. It holds the hub's signature for itself in either case.

A copy answers POSSIBLE or NO RECORD, as of a moment: ask again on line before anything is done. From 48 hours on it \
warns, after 7 days it does not answer any more. What is asked of it is written down beside it, and handed in to the \
hub's journal of searches by the next `i247 mind sync`.

The directory holds fingerprints of what may be asked, in the clear, and the searches that wait, sealed by a key that lies \
beside the private keys: keep it as safe as a register. Which versions were there is noted in the home directory of the \
command, so that an older copy is noticed.

Examples:
  i247 mind sync /var/lib/mind --context cdg
  i247 mind sync /var/lib/mind --databases sltd,vehicles --context cdg
  i247 mind status /var/lib/mind --context cdg
  i247 check X4719T06M --country D --purpose border --offline /var/lib/mind --context cdg";

#[derive(Debug, Subcommand)]
pub(crate) enum MindCommand {
    /// Fetch what is missing to the newest copies, and hand in what was asked meanwhile. Goes on where it stopped
    #[command(after_help = AFTER_HELP)]
    Sync(SyncArgs),
    /// Say which copies there are, how old they are, and what waits to be handed in; needs no network
    #[command(after_help = AFTER_HELP)]
    Status {
        /// The directory
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The directory; made when it is not there
    dir: PathBuf,
    /// Which databases; those that are there already and, at first, sltd and tdawn as far as they are granted
    #[arg(long, value_delimiter = ',', value_name = "DATABASES", value_parser = database)]
    databases: Vec<Database>,
}

pub(crate) async fn run(command: MindCommand, session: &Session) -> Result<(), Fail> {
    match command {
        MindCommand::Sync(args) => sync(&args, session).await,
        MindCommand::Status { dir } => status(&dir, session).await,
    }
}

async fn sync(args: &SyncArgs, session: &Session) -> Result<(), Fail> {
    let copies = session.copies()?;
    let unusable = |error: std::io::Error| {
        Fail::because(args.dir.display().to_string(), &error, "name a directory of yours")
    };
    std::fs::create_dir_all(&args.dir).map_err(unusable)?;
    let mind = open(&args.dir, session)?;
    let handed_in = again(session, async || mind.hand_in(&copies).await).await?;
    if handed_in > 0 {
        out::talk(&format!("{handed_in} searches handed in."));
    }
    let mut databases = args.databases.clone();
    if databases.is_empty() {
        databases = mind.databases().await?;
    }
    let usual = databases.is_empty();
    let databases = if usual { USUAL.to_vec() } else { databases };
    let mut synced = Vec::new();
    for database in databases {
        match again(session, async || fetch(&mind, &copies, database).await).await {
            Ok(copy) => synced.push((database, copy)),
            Err(MindError::Client(error)) if usual && is_not_granted(&error) => {
                out::talk(&format!("{database}: not granted, left out."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if synced.is_empty() {
        return Err(Fail::refused(
            "no copy is granted",
            "ask your bureau: `i247 post list` shows what is granted",
        ));
    }
    if session.global.json {
        out::json(
            &json!({ "handed_in": handed_in, "copies": synced.iter().map(synced_json).collect::<Vec<_>>() }),
        );
    } else {
        for (database, Synced { version, as_of, keys, bytes }) in &synced {
            let as_of = render::moment(as_of.as_millis());
            out::data(&format!(
                "{database}: version {version}, {keys} keys, as of {as_of} UTC; {bytes} bytes came"
            ));
        }
    }
    Ok(())
}

async fn fetch(mind: &Mind, copies: &Copies, database: Database) -> Result<Synced, MindError> {
    let terminal = std::io::stderr().is_terminal();
    let mut told = 0;
    let mut progress = |Progress { done, bytes }: Progress| {
        let percent = (done * 100).checked_div(bytes).unwrap_or(100);
        if terminal && percent >= told + 5 {
            told = percent;
            out::talk(&format!("{database}: {percent} % of {bytes} bytes"));
        }
    };
    mind.sync(copies, database, &mut progress).await
}

/// Does it again when it may succeed by itself.
async fn again<T>(session: &Session, act: impl AsyncFn() -> Result<T, MindError>) -> Result<T, MindError> {
    let mut tries = 1;
    loop {
        match act().await {
            Err(MindError::Client(error)) if error.passes() && tries < TRIES => {
                let wait = error.refusal().and_then(|refusal| refusal.retry_after).unwrap_or(TRY_AGAIN);
                out::talk(&format!("{error}: tried again in {} ms", wait.as_millis()));
                i247_node::sleep_on(&*session.seams.clock, wait).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

async fn status(dir: &Path, session: &Session) -> Result<(), Fail> {
    let mind = open(dir, session)?;
    let waiting = patient(session, async || mind.searches_waiting().await).await?;
    let copies = mind.open(&[]).await?;
    let now = session.seams.clock.now();
    let mut rows = Vec::new();
    for database in copies.databases() {
        let Some(copy) = copies.get(database) else { continue };
        let version = copy.parts().next().map_or(0, |base| base.mark().version);
        rows.push((database, version, copy.keys(), copy.as_of(), now.since(copy.as_of())));
    }
    if session.global.json {
        let rows: Vec<Json> = rows
            .iter()
            .map(|(database, version, keys, as_of, age)| {
                json!({
                    "database": database.as_str(), "version": version, "keys": keys,
                    "as_of_ms": as_of.as_millis(), "age_seconds": age.as_secs(), "state": state(*age),
                })
            })
            .collect();
        out::json(&json!({ "copies": rows, "searches_waiting": waiting }));
        return Ok(());
    }
    for (database, version, keys, as_of, age) in rows {
        let as_of = render::moment(as_of.as_millis());
        let hours = age.as_secs() / 3600;
        out::data(&format!(
            "{database}: version {version}, {keys} keys, as of {as_of} UTC, {hours} h old: {}",
            state(age)
        ));
    }
    out::data(&format!("{waiting} searches wait to be handed in"));
    Ok(())
}

/// What a copy of this age does.
fn state(age: Duration) -> &'static str {
    if age > REFUSED_AFTER {
        "too old to answer"
    } else if age > OLD_AFTER {
        "answers with a warning"
    } else {
        "answers"
    }
}

/// Copies in a directory, to be asked.
pub(crate) struct Offline<'a> {
    mind: Mind,
    copies: OfflineCopies,
    session: &'a Session,
    station: Option<String>,
}

impl<'a> Offline<'a> {
    /// Opens the copies in a directory, and checks them.
    pub(crate) async fn open(dir: &Path, databases: &[Database], session: &'a Session) -> Result<Self, Fail> {
        let mind = open(dir, session)?;
        let copies = mind.open(databases).await?;
        let station = match session.own_identity()? {
            Identity::Post(_, name) => Some(name.to_string()),
            _ => None,
        };
        Ok(Self { mind, copies, session, station })
    }

    /// Asks for a frame of keys. The answers are in the form of those that come on line; when they are from is told
    /// apart.
    pub(crate) async fn check(
        &self,
        mut request: pb::SearchRequest,
    ) -> Result<(pb::SearchResponse, OfflineAnswers), Fail> {
        if let Some(station) = &self.station {
            request.station.clone_from(station);
        }
        let told = patient(self.session, async || self.mind.check(&self.copies, &request).await).await?;
        let answers = told.answers.iter().map(answer).collect();
        Ok((pb::SearchResponse { answers, ..pb::SearchResponse::default() }, told))
    }
}

/// Tries again while another process is at the list.
async fn patient<T>(session: &Session, act: impl AsyncFn() -> Result<T, MindError>) -> Result<T, MindError> {
    let mut tries = 1;
    loop {
        match act().await {
            Err(MindError::List(ListError::InUse(_))) if tries < LIST_TRIES => {
                i247_node::sleep_on(&*session.seams.clock, LIST_WAIT).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

fn answer(told: &Result<Found, Refusal>) -> pb::KeyAnswer {
    let found = match told {
        Ok(found) => found,
        Err(refusal) => return pb::KeyAnswer { refusal: Some(refusal.into()), ..pb::KeyAnswer::default() },
    };
    let possible = pb::SearchResult::Possible;
    let records = found.possible.iter().map(|database| pb::FoundRecord {
        database: i32::from(database.number()),
        certainty: possible.into(),
        ..pb::FoundRecord::default()
    });
    let result = if found.possible.is_empty() { pb::SearchResult::NoRecord } else { possible };
    let next_step = "ask again on line before anything is done: an offline copy knows no more than that there may be a record";
    pb::KeyAnswer {
        result: result.into(),
        found: records.collect(),
        next_step: if found.possible.is_empty() { String::new() } else { next_step.to_owned() },
        refusal: None,
    }
}

/// The line that every answer of a copy has.
pub(crate) fn as_of(told: &OfflineAnswers) -> String {
    let mut asked: Vec<&str> = Vec::new();
    for found in told.answers.iter().flatten() {
        asked.extend(found.asked.iter().map(|database| database.as_str()));
    }
    asked.sort_unstable();
    asked.dedup();
    format!("Offline copy of {}, as of {} UTC.", asked.join(", "), render::moment(told.as_of.as_millis()))
}

/// Warns of a copy that is old.
pub(crate) fn warn(told: &OfflineAnswers) {
    if let Some(age) = told.old {
        let hours = age.as_secs() / 3600;
        out::talk(&format!(
            "warning: the offline copy is {hours} hours old; `i247 mind sync` fetches a newer one"
        ));
    }
}

/// What every answer of a copy has, for machines.
pub(crate) fn as_of_json(told: &OfflineAnswers) -> Json {
    json!({ "as_of_ms": told.as_of.as_millis(), "old": told.old.is_some() })
}

fn open(dir: &Path, session: &Session) -> Result<Mind, Fail> {
    let unusable = |error: std::io::Error| {
        Fail::because(dir.display().to_string(), &error, "fetch a copy first: `i247 mind sync DIR`")
    };
    let dir = std::fs::canonicalize(dir).map_err(unusable)?;
    let (network, key) = (session.own_network()?, session.own_at_rest_key()?);
    let contexts = Session::contexts_path()?;
    let home = contexts.parent().unwrap_or(Path::new(".")).join("mind");
    let place = i247_trust::sha256(&[dir.as_os_str().as_encoded_bytes()]).to_string();
    let marks = MarksFile { dir: home, name: format!("{}.marks", &place[..32]) };
    Ok(Mind::new(&session.seams, &dir, marks, network, key))
}

fn synced_json((database, copy): &(Database, Synced)) -> Json {
    json!({
        "database": database.as_str(), "version": copy.version, "keys": copy.keys,
        "as_of_ms": copy.as_of.as_millis(), "bytes": copy.bytes,
    })
}

fn is_not_granted(error: &ClientError) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.reason == Reason::NotGranted && refusal.fields == ["databases"])
}

impl From<MindError> for Fail {
    fn from(error: MindError) -> Self {
        let refused = |what: &dyn std::error::Error, next: &str| Self::usage(what.to_string(), next);
        let error = match error {
            MindError::Client(error) => return Self::from(error),
            other => other,
        };
        match &error {
            MindError::Client(_) | MindError::GivenUp => Self::local(error.to_string(), "try again"),
            MindError::Question(refusal) => Self::from(refusal),
            MindError::Offline(OfflineError::TooOld { .. }) => {
                refused(&error, "run `i247 mind sync` while there is a network; until then nobody knows")
            }
            MindError::Offline(_) => refused(&error, "`i247 mind status` shows what there is"),
            MindError::Holder(HolderError::Refused { .. }) => {
                Self::local(error.to_string(), "nothing was asked; `i247 mind sync` fetches a copy anew")
            }
            MindError::Holder(HolderError::Absent { .. }) => {
                refused(&error, "`i247 mind status` shows what there is")
            }
            MindError::Holder(_) | MindError::List(_) => {
                Self::because("offline copies", &error, "see that the directory is yours and has room")
            }
        }
    }
}
