//! Who may do what to whose: every call of every service, by everybody, on what is theirs and on what is not.
//!
//! The table is written by hand and holds itself to the compiled descriptors: a new call without a row fails. Each cell
//! is called over a connection of its own; where the role or the service is wrong, with a head alone, since the refusal
//! must not wait for a body.

mod story;
mod table;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use i247_model::Identity;
use i247_node::TlsClock;
use i247_testkit::{World, WorldError, country};
use i247_trust::{Credentials, Presented, client_config};
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};
use rustls::ClientConfig;

use self::story::Story;
use self::table::{CALLERS, DESK, HUB, Object, Row};
use crate::line::{Answer, Line, let_in};

#[test]
fn every_call_of_every_service_has_a_row() {
    let services = |rows: &'static [Row]| -> BTreeSet<&str> {
        rows.iter().map(|row| row.call.rsplit_once('/').unwrap().0).collect()
    };
    let with_row: BTreeSet<&str> = HUB.iter().chain(DESK).map(|row| row.call).collect();
    assert_eq!(calls(), with_row.iter().map(|call| (*call).to_owned()).collect());
    for (where_, rows) in [("hub", HUB), ("desk", DESK)] {
        let rows_of: BTreeSet<&str> = rows.iter().map(|row| row.call).collect();
        for call in calls() {
            let served = services(rows).contains(call.rsplit_once('/').unwrap().0);
            assert_eq!(served, rows_of.contains(call.as_str()), "{call} at the {where_}");
        }
        for row in rows {
            assert_eq!(row.cells().len(), CALLERS.len(), "{} at the {where_}", row.call);
        }
    }
}

/// What a field of a request is called that names something which may be another's.
const NAMES: [&str; 8] = ["id", "ids", "message_id", "request_id", "refers_to", "commitment", "name", "post"];

#[test]
fn every_call_that_names_something_is_tried_with_what_is_anothers() {
    let naming = naming();
    assert!(naming.len() > 10, "{naming:?}");
    for (where_, rows) in [("hub", HUB), ("desk", DESK)] {
        for row in rows.iter().filter(|row| naming.contains(row.call)) {
            let mut of_call = rows.iter().filter(|other| other.call == row.call);
            let foreign = of_call.any(|row| matches!(row.object, Object::Foreign));
            assert!(foreign, "{} at the {where_} is never asked about what is another's", row.call);
        }
    }
}

/// Every call of ours whose request names something.
fn naming() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(i247_wire::DESCRIPTOR).unwrap().file;
    let messages = files.iter().flat_map(|file| {
        file.message_type
            .iter()
            .map(move |message| (format!(".{}.{}", file.package(), message.name()), message))
    });
    let names = |message: &DescriptorProto| message.field.iter().any(|field| NAMES.contains(&field.name()));
    let naming: BTreeSet<String> =
        messages.filter(|(_, message)| names(message)).map(|(path, _)| path).collect();
    let mut calls = BTreeSet::new();
    for file in &files {
        for service in &file.service {
            let of_service = service.method.iter().filter(|call| naming.contains(call.input_type()));
            calls.extend(
                of_service.map(|call| format!("/{}.{}/{}", file.package(), service.name(), call.name())),
            );
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_do_at_the_hub_what_the_table_says_and_nothing_else() -> Result<(), WorldError> {
    let (world, story) = Box::pin(story::begin()).await?;
    let callers = Callers::of(&world, "fr").await?;
    play(world.hub_address().await?, &callers, HUB, &story).await;
    every_look_up_is_in_the_book(&world);
    world.stop_all().await
}

/// What an operator was told stands in the book of look-ups, whichever call told it.
fn every_look_up_is_in_the_book(world: &World) {
    let days = std::fs::read_dir(world.dir().join("hub/data/lookups")).unwrap();
    let book: String = days.map(|day| std::fs::read_to_string(day.unwrap().path()).unwrap()).collect();
    let operator = CALLERS.iter().position(|caller| *caller == "operator/ops").unwrap();
    for row in HUB.iter().filter(|row| row.cells()[operator] == "ok") {
        let Some((_, call)) = row.call.split_once("Service/").filter(|_| row.call.starts_with("/i247.v1."))
        else {
            continue;
        };
        assert!(book.contains(&format!("\"call\":\"{call}\"")), "{call} is not in the book: {book}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_do_at_a_desk_what_the_table_says_and_nothing_else() -> Result<(), WorldError> {
    let (world, story) = Box::pin(story::begin()).await?;
    let desk = world.desk_address(country("BR")).await?;
    let callers = Callers::of(&world, "br").await?;
    play(desk, &callers, DESK, &story).await;
    // Whoever is of another country does not come in, whatever they would call.
    for stranger in Callers::of(&world, "jp").await?.0.into_iter().take(5) {
        assert!(let_in(desk, stranger).await.is_err());
    }
    world.stop_all().await
}

/// Every path that the descriptors know.
fn calls() -> BTreeSet<String> {
    let sets = [
        i247_wire::DESCRIPTOR,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let mut calls = BTreeSet::new();
    for set in sets {
        for file in FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                let path = |call: &str| format!("/{}.{}/{call}", file.package(), service.name());
                calls.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
    }
    calls
}

/// Calls every cell, and names every one that is not as the table says.
async fn play(address: SocketAddr, callers: &Callers, rows: &[Row], story: &Story) {
    let mut wrong = Vec::new();
    for row in rows {
        let messages = (row.request)(story);
        for ((caller, tls), expected) in CALLERS.iter().zip(&callers.0).zip(row.cells()) {
            let found = cell(address, tls.clone(), row, &messages, expected).await;
            if found != expected {
                wrong.push(format!("{} on {:?} by {caller}: {found}, not {expected}", row.call, row.object));
            }
        }
    }
    let served: BTreeSet<&str> = rows.iter().map(|row| row.call).collect();
    for call in calls().iter().filter(|call| !served.contains(call.as_str())) {
        for (caller, tls) in CALLERS.iter().zip(&callers.0) {
            if let_in(address, tls.clone()).await.is_err() {
                continue;
            }
            let mut line = Line::open(address, tls.clone()).await.unwrap();
            let found = outcome(call, &head_alone(&mut line, call).await);
            if found != "absent" {
                wrong.push(format!("{call}, which is not served here, by {caller}: {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Makes one call and says what became of it, in the words of the table.
async fn cell(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    row: &Row,
    messages: &[Vec<u8>],
    expected: &str,
) -> String {
    // A client hears that it is refused when it reads first.
    if let_in(address, tls.clone()).await.is_err() {
        return "door".into();
    }
    let mut line = Line::open(address, tls).await.unwrap();
    let answer = if expected == "role" {
        head_alone(&mut line, row.call).await
    } else {
        line.call_with(row.call, messages, row.answers).await
    };
    outcome(row.call, &answer)
}

async fn head_alone(line: &mut Line, call: &str) -> Answer {
    let stream = line.begin(call).await;
    line.answer(stream).await
}

fn outcome(call: &str, answer: &Answer) -> String {
    const DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    let messages = answer.messages();
    if call.ends_with("/Connect") && !messages.is_empty() {
        return streamed(&messages);
    }
    let reason = answer.text.split(|end: char| !end.is_ascii_uppercase() && end != '_').next();
    match (answer.grpc, reason.unwrap_or_default()) {
        (None | Some(0), _) if messages.iter().any(|message| !message.is_empty()) => "ok".into(),
        (None | Some(0), _) => "none".into(),
        (Some(UNIMPLEMENTED), _) => "absent".into(),
        (Some(DENIED), "NOT_AUTHORISED") => "role".into(),
        (_, reason) => reason.to_lowercase(),
    }
}

/// What a stream answered last.
fn streamed(messages: &[&[u8]]) -> String {
    let mut last = String::new();
    for message in messages {
        let refusal = match pb::ConnectResponse::decode(*message).unwrap().frame {
            Some(Frame::Welcome(_)) => None,
            Some(Frame::Farewell(refusal)) => Some(refusal),
            Some(Frame::Result(result)) => match result.result {
                Some(pb::submit_result::Result::Refusal(refusal)) => Some(refusal),
                _ => None,
            },
            _ => continue,
        };
        last = refusal.map_or_else(|| "ok".into(), |refusal| refusal.reason.to_lowercase());
    }
    last
}

/// TLS for each column of the table.
struct Callers(Vec<Arc<ClientConfig>>);

impl Callers {
    /// With this country for those who belong to one.
    async fn of(world: &World, home: &str) -> Result<Self, WorldError> {
        let mut all: Vec<Arc<ClientConfig>> = Vec::new();
        for path in CALLERS {
            let path = path.replace("XX", home);
            let tls = match path.as_str() {
                "nobody" => {
                    let mut tls = ClientConfig::clone(&all[0]);
                    tls.client_auth_cert_resolver = Arc::new(crate::doors::Shows(None));
                    Arc::new(tls)
                }
                path => tls_of(world, &credentials(world, path).await?),
            };
            all.push(tls);
        }
        Ok(Self(all))
    }
}

async fn credentials(world: &World, path: &str) -> Result<Credentials, WorldError> {
    let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
    match identity {
        Identity::Authority => Ok(world.pki().await.authority().credentials().clone()),
        Identity::NationalAuthority(home) => {
            let own = world.pki().await.national(home)?.credentials().clone();
            // It has no business at the hub, which may know it all the same.
            world.admit(&own).await?;
            Ok(own)
        }
        identity => world.credentials(&identity).await,
    }
}

fn tls_of(world: &World, credentials: &Credentials) -> Arc<ClientConfig> {
    let time = Arc::new(TlsClock(world.seams().clock.clone()));
    client_config(Presented::new(credentials).unwrap(), &credentials.root, time, |_| true).unwrap()
}
