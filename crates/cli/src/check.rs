//! `i247 check`: asks the databases about a document, a thing, a person, or a whole list of travellers. What was found is told by
//! the exit code too.

mod list;
mod probe;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use i247_client::pb;
use i247_model::{Name, Reason, Refusal};
use i247_records::Database;
use i247_records::document::DocumentType;
use i247_records::import::Traveller;
use serde_json::json;

use crate::fail::{Exit, Fail};
use crate::mind::{self, Offline};
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::{Checks, Session};

/// Keys of a frame.
const FRAME: usize = 256;

/// Frames that are under way at once.
const FRAMES_UNDER_WAY: usize = 4;

const AFTER_HELP: &str = "\
A hit is a lead, not a ground for action: its owner must confirm it first.

Exit codes:
  0  no record
  1  something was found, surely or possibly; of a manifest also when rows of it could not be asked
  2  the question is none (a wrong check digit, an unknown country), or the bureau refused it; of a \
manifest: nothing was found, and rows of it could not be asked
  3  the network cannot be reached
  4  something on this machine is at fault

Examples:
  i247 check P1234567 --country UTO --purpose border
  i247 check --mrz 'P<UTO… X4719…' --purpose border
  i247 check --manifest passengers.csv --purpose border --station cdg
  i247 check --name 'MARLOWE, TESSA' --born 1987-03-22 --purpose border
  i247 check --name 'Марлоу Тесса' --age 35..45 --purpose police-check
  i247 check --probe face.bin --database faces --purpose investigation
  i247 check --thing vin 1HGBH41JXMN109186 --purpose police-check
  i247 check --model UTO --type passport --series 2024 --purpose border   (alerts of forgeries, and specimens)
  i247 check P1234567 --country UTO --purpose border --context cdg   (a post, at the hub itself)
  i247 check P1234567 --country UTO --purpose border --offline /var/lib/mind   (no network; see `i247 mind sync --help`)

A manifest is a CSV file whose first line names its columns: mrz, or number with issuing_country and document_type; and \
name, which is repeated in the answer. A hit is never hidden by a row that could not be asked: such rows are told on \
standard error whatever the exit code, and stand in the list as `not asked` (with --json as \"wrong\").

A probe is a file of as many signed bytes as its kind has numbers: 256 of a fingerprint, mark or palm, 128 of a face; or a \
DNA profile as text, such as D3S1358:15,17;TH01:6,9.3;FGA:22 with six loci or more. It goes to the hub, which compares it \
and keeps a digest of it. Vectors are invented here: nothing makes one out of a picture.

A post signs for what it asks, each minute and at the end: `i247 ledger searches` shows where the hub counted otherwise.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, arg_required_else_help = true)]
#[command(group = ArgGroup::new("asked").required(true).args(["number", "mrz", "name", "manifest", "probe", "model"]))]
pub(crate) struct CheckArgs {
    /// The number of a document, or of what --thing says
    #[arg(value_name = "NUMBER")]
    number: Option<String>,
    /// Who issued it: an ICAO code such as FRA, D or UTO. Without it an answer is never more than possible
    #[arg(long = "country", value_name = "ICAO", requires = "number")]
    issuing_country: Option<String>,
    /// What the document is: passport, id-card, visa …
    #[arg(long = "type", value_name = "TYPE", value_parser = document_type, default_value = "passport")]
    document_type: DocumentType,
    /// The number is that of a thing, not of a travel document
    #[arg(long, value_name = "KIND", requires = "number", conflicts_with = "document_type")]
    thing: Option<Thing>,
    /// What is known of a model of travel document, by who issues it, as an ICAO code, and by --type: alerts of forgeries,
    /// and specimens of genuine ones
    #[arg(long, value_name = "ICAO", conflicts_with = "offline")]
    model: Option<String>,
    /// Only of this model or series
    #[arg(long, value_name = "SERIES", requires = "model")]
    series: Option<String>,
    /// The machine readable zone of a document: its lines, apart by a space or a line break
    #[arg(long, value_name = "LINES")]
    mrz: Option<String>,
    /// The name of a person, as 'FAMILY, GIVEN' or as one text; what is found is never more than possible
    #[arg(long, value_name = "NAME", conflicts_with = "offline")]
    name: Option<String>,
    /// When the person was born: YYYY, YYYY-MM or YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "name")]
    born: Option<String>,
    /// How old the person is in years, such as 40 or 40..50
    #[arg(long, value_name = "YEARS", requires = "name", conflicts_with = "born", value_parser = age)]
    age: Option<(u32, u32)>,
    /// The person's nationality: an ICAO code
    #[arg(long, value_name = "ICAO", requires = "name")]
    nationality: Option<String>,
    /// A file with a fingerprint (256 bytes), a face (128) or a DNA profile (text); --database says which. It is compared
    /// and forgotten, and what is found is never more than possible
    #[arg(long, value_name = "FILE", requires = "databases", conflicts_with = "offline")]
    probe: Option<PathBuf>,
    /// A CSV file with a list of travellers
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Print the answers to a manifest as CSV, safe to open in a spreadsheet
    #[arg(long, requires = "manifest", conflicts_with = "json")]
    csv: bool,
    /// What the search is for
    #[arg(long)]
    purpose: Purpose,
    /// Where it is asked, such as cdg; a post's is its own name
    #[arg(long, default_value = "desk")]
    station: Name,
    /// The operation that the search belongs to, such as hammer; `i247 operation report` counts by it
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only in these databases: sltd, tdawn, vehicles …; with --probe one of fingerprints, faces, dna, dna-missing
    #[arg(long, visible_alias = "database", value_name = "DATABASES", value_delimiter = ',', value_parser = database)]
    databases: Vec<Database>,
    /// Ask the offline copies in this directory instead; nothing better than possible is answered then
    #[arg(long, value_name = "DIR")]
    offline: Option<PathBuf>,
    /// The seat that asks, where the context is not an officer's own
    #[arg(long, value_name = "SEAT", default_value = "duty")]
    officer: Name,
}

/// What a search is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Purpose {
    /// Somebody or something crosses a border
    Border,
    /// Somebody or something is checked inland
    PoliceCheck,
    /// An investigation
    Investigation,
    /// A visa or another leave to travel is decided on
    Visa,
    /// The safety of a gathering of many
    Event,
    /// A partner screens what it is shown
    Screening,
}

/// By what a thing is asked for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Thing {
    /// A vehicle's registration, a customs paper, a driving licence
    AdministrativeDocument,
    /// Vehicle identification number
    Vin,
    /// Number of an engine
    Engine,
    /// Registration plate
    Plate,
    /// Number of an identifiable part
    Part,
    /// Hull or IMO number of a vessel
    Hull,
    /// Name of a vessel
    VesselName,
    /// Serial number of a firearm
    Serial,
    /// Title of a work of art
    Title,
    /// A class, hash, model, name or telephone number
    Code,
}

/// Asks, and says with the exit code whether anything was found.
pub(crate) async fn check(args: &CheckArgs, session: &Session) -> Result<ExitCode, Fail> {
    if let Some(dir) = &args.offline {
        return Box::pin(offline(args, dir, session)).await;
    }
    let checks = session.checks()?;
    if let Some(path) = &args.manifest {
        return manifest(args, path, &checks, session).await;
    }
    let found = checks.check(request(args, vec![key(args)?])).await;
    checks.sign_off().await;
    let found = found.map_err(refused)?;
    let answer = found.answers.first().cloned().unwrap_or_default();
    if let Some(refusal) = &answer.refusal {
        return Err(no_question(refusal));
    }
    out::answer(session, || to_json("KeyAnswer", &answer), || render::checked(&answer));
    Ok(code(std::slice::from_ref(&answer)))
}

/// A whole list, in frames of which several are under way at once.
async fn manifest(
    args: &CheckArgs,
    path: &Path,
    checks: &Checks,
    session: &Session,
) -> Result<ExitCode, Fail> {
    let travellers = list::read(path)?;
    let frames = frames(args, &travellers);
    let keyed: usize = frames.iter().map(|(places, _)| places.len()).sum();
    let mut answers: Vec<Option<pb::KeyAnswer>> = vec![None; travellers.len()];
    let mut done = 0;
    let asking = frames.into_iter().map(|(places, frame)| async move {
        let found = match i247_client::packed(&frame) {
            Some(packed) => i247_client::unpacked(checks.check(packed).await.map_err(refused)?, places.len()),
            None => checks.check(frame).await.map_err(refused)?,
        };
        Ok::<_, Fail>((places, found.answers))
    });
    let mut answered = stream::iter(asking).buffered(FRAMES_UNDER_WAY);
    let all = async {
        while let Some((places, found)) = answered.try_next().await? {
            done += places.len();
            for (at, answer) in places.into_iter().zip(found) {
                answers[at] = Some(answer);
            }
            if std::io::stderr().is_terminal() {
                out::talk(&format!("{done} of {keyed} asked"));
            }
        }
        Ok::<_, Fail>(())
    };
    let asked = tokio::select! {
        asked = all => asked,
        () = checks.keep_signing() => Ok(()),
    };
    drop(answered);
    checks.sign_off().await;
    asked?;
    list::tell((args.csv, session), &travellers, answers, None)
}

/// A number, a zone or a list, of which copies are asked.
async fn offline(args: &CheckArgs, dir: &Path, session: &Session) -> Result<ExitCode, Fail> {
    let copies = Offline::open(dir, &args.databases, session).await?;
    let Some(path) = &args.manifest else {
        let (found, told) = copies.check(request(args, vec![key(args)?])).await?;
        let answer = found.answers.first().cloned().unwrap_or_default();
        if let Some(refusal) = &answer.refusal {
            return Err(no_question(refusal));
        }
        mind::warn(&told);
        if session.global.json {
            let answer = to_json("KeyAnswer", &answer);
            out::json(&json!({ "answer": answer, "copy": mind::as_of_json(&told) }));
        } else {
            out::data(&format!("{}\n{}", render::checked_offline(&answer), mind::as_of(&told)));
        }
        return Ok(code(std::slice::from_ref(&answer)));
    };
    let travellers = list::read(path)?;
    let mut answers: Vec<Option<pb::KeyAnswer>> = vec![None; travellers.len()];
    let mut last = None;
    for (places, frame) in frames(args, &travellers) {
        let (found, told) = copies.check(frame).await?;
        for (at, answer) in places.into_iter().zip(found.answers) {
            answers[at] = Some(answer);
        }
        last = Some(told);
    }
    last.iter().for_each(mind::warn);
    list::tell((args.csv, session), &travellers, answers, last.as_ref())
}

/// The keys of a list in frames, with their places in it.
fn frames(args: &CheckArgs, travellers: &[Traveller]) -> Vec<(Vec<usize>, pb::SearchRequest)> {
    let keyed: Vec<(usize, pb::SearchKey)> = travellers
        .iter()
        .enumerate()
        .filter_map(|(at, traveller)| traveller.key.as_ref().ok().map(|key| (at, key.clone())))
        .collect();
    let of_frame = |frame: &[(usize, pb::SearchKey)]| {
        let (places, keys) = frame.iter().cloned().unzip();
        (places, request(args, keys))
    };
    keyed.chunks(FRAME).map(of_frame).collect()
}

fn request(args: &CheckArgs, keys: Vec<pb::SearchKey>) -> pb::SearchRequest {
    pb::SearchRequest {
        purpose: args.purpose.wire().into(),
        officer: args.officer.to_string(),
        station: args.station.to_string(),
        keys,
        databases: args.databases.iter().map(|database| i32::from(database.number())).collect(),
        // A post says which of its searches it is where it asks.
        operation: args.operation.clone().unwrap_or_default(),
        ..pb::SearchRequest::default()
    }
}

fn key(args: &CheckArgs) -> Result<pb::SearchKey, Fail> {
    use pb::search_key::Key;
    if let Some(path) = &args.probe {
        let key = Key::Probe(probe::read(path, &args.databases)?);
        return Ok(pb::SearchKey { key: Some(key) });
    }
    if let Some(issuer) = &args.model {
        let key = Key::DocumentModel(pb::DocumentModelKey {
            issuing_country: issuer.clone(),
            document_type: args.document_type as i32 + 1,
            series: args.series.clone().unwrap_or_default(),
        });
        return Ok(pb::SearchKey { key: Some(key) });
    }
    let (number, country) =
        (args.number.clone().unwrap_or_default(), args.issuing_country.clone().unwrap_or_default());
    if let Some(name) = &args.name {
        let (age_from, age_to) = args.age.unwrap_or_default();
        let (born, nationality) = (args.born.clone(), args.nationality.clone());
        let (born, nationality) = (born.unwrap_or_default(), nationality.unwrap_or_default());
        let person = pb::PersonKey { name: name.clone(), born, age_from, age_to, nationality };
        return Ok(pb::SearchKey { key: Some(Key::Person(person)) });
    }
    let key = match (&args.mrz, args.thing) {
        (Some(mrz), _) => Key::Mrz(mrz.clone()),
        (None, Some(thing)) => Key::Thing(pb::ThingKey { kind: thing.wire().into(), value: number, country }),
        (None, None) => Key::TravelDocument(pb::TravelDocumentKey {
            number,
            issuing_country: country,
            document_type: args.document_type as i32 + 1,
        }),
    };
    Ok(pb::SearchKey { key: Some(key) })
}

fn is_found(answers: &[pb::KeyAnswer]) -> bool {
    answers.iter().any(|answer| answer.result() != pb::SearchResult::NoRecord)
}

/// 1 when anything was found.
fn code(answers: &[pb::KeyAnswer]) -> ExitCode {
    if is_found(answers) { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS }
}

/// 1 is for what was found: a question that nobody answers ends with another code.
fn refused(error: i247_client::ClientError) -> Fail {
    let fail = Fail::from(error);
    if fail.exit == Exit::Refused { Fail { exit: Exit::Usage, ..fail } } else { fail }
}

fn no_question(refusal: &pb::Refusal) -> Fail {
    let known = Refusal::try_from(refusal.clone());
    let refusal = known.unwrap_or_else(|_| Refusal::of(Reason::Malformed, "refusal"));
    Fail { exit: Exit::Usage, ..Fail::from(&refusal) }
}

/// An age, or the first and the last of several.
fn age(text: &str) -> Result<(u32, u32), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let years = |text: &str| text.parse::<u32>().ok().filter(|age| (1..=150).contains(age));
    let ages = years(from).zip(years(to)).filter(|(from, to)| from <= to);
    ages.ok_or_else(|| format!("{text:?} is not an age in years, such as 40 or 40..50"))
}

fn document_type(text: &str) -> Result<DocumentType, String> {
    text.parse().map_err(|error: i247_records::TextError| error.to_string())
}

pub(crate) fn database(text: &str) -> Result<Database, String> {
    text.parse().map_err(|error: i247_records::TextError| error.to_string())
}

impl Purpose {
    fn wire(self) -> pb::Purpose {
        match self {
            Self::Border => pb::Purpose::BorderControl,
            Self::PoliceCheck => pb::Purpose::PoliceCheck,
            Self::Investigation => pb::Purpose::Investigation,
            Self::Visa => pb::Purpose::Visa,
            Self::Event => pb::Purpose::MajorEvent,
            Self::Screening => pb::Purpose::Screening,
        }
    }
}

impl Thing {
    fn wire(self) -> pb::ThingKeyKind {
        match self {
            Self::AdministrativeDocument => pb::ThingKeyKind::AdministrativeDocument,
            Self::Vin => pb::ThingKeyKind::Vin,
            Self::Engine => pb::ThingKeyKind::Engine,
            Self::Plate => pb::ThingKeyKind::Plate,
            Self::Part => pb::ThingKeyKind::Part,
            Self::Hull => pb::ThingKeyKind::Hull,
            Self::VesselName => pb::ThingKeyKind::VesselName,
            Self::Serial => pb::ThingKeyKind::Serial,
            Self::Title => pb::ThingKeyKind::Title,
            Self::Code => pb::ThingKeyKind::Code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_one_number_or_two() {
        assert_eq!(age("40"), Ok((40, 40)));
        assert_eq!(age("40..50"), Ok((40, 50)));
        for wrong in ["", "50..40", "0", "200", "40-50", "..50", "forty"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
