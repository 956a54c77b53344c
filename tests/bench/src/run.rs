//! One run from the first to the last: who is there, the rounds, the rest, the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use i247_model::MEMBERS;
use i247_node::{Clock as _, Seams, SystemClock};

use crate::Options;
use crate::certs::Certs;
use crate::contender::{Contender, Place};
use crate::hub::{Ours, People};
use crate::measure::{Point, Work};
use crate::peers::nats::{self, Nats};
use crate::peers::postgres::{self, Postgres};
use crate::peers::raw_tls::RawTls;
use crate::peers::raw_tonic::RawTonic;
use crate::report::{Findings, tell};
use crate::rounds::{Effort, play};
use crate::search::{self, Found, Indexed, Named, Scene};
use crate::{Part, curves, links, machine, out, stores, watched};

/// A whole run: three rounds of the full sweep.
const WHOLE: Effort = Effort { rounds: 3, seconds: 3.0, quick: false };
/// Two minutes.
const QUICK: Effort = Effort { rounds: 2, seconds: 1.0, quick: true };

/// Measures everything and tells.
pub(crate) async fn run(options: Options) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let work = options.dir.join("work");
    machine::work_dir(&work)?;
    let work = std::fs::canonicalize(work)?;
    let program = std::fs::canonicalize(&options.program)
        .with_context(|| format!("{}: build it first", options.program.display()))?;
    let place = Place { dir: work.clone(), clock: clock.clone(), countries: MEMBERS.len() };
    let effort = if options.quick { QUICK } else { WHOLE };
    let people = Arc::new(People::new(&clock)?);
    let certs = Certs::create(&work.join("certs"))?;
    let mut card = machine::card(&work, &program, &options.profile, clock.now());

    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(Ours::new(program.clone(), place.clone(), people.clone()))];
    let mut absent = Vec::new();
    if !options.alone {
        absent = peers(&options, &place, &people, &certs, &mut contenders, &mut card);
    }
    card.push(("effort", format!("{effort:?}")));
    out::talk(&machine::render(&card));

    let results = play(&mut contenders, &works(&options), effort).await;
    let stores = if options.wants(Part::Stores) {
        measure_stores(&work.join("stores"), effort).await
    } else {
        Vec::new()
    };
    let (mut memory, mut handshakes) = (None, None);
    if options.wants(Part::Links) {
        out::talk("connections and handshakes");
        memory = told("memory", links::memory(&program, &place, &people).await);
        handshakes =
            told("handshakes", links::handshakes(&certs, &clock, if effort.quick { 11 } else { 41 }));
    }
    let mut watched = None;
    if options.wants(Part::Watched) {
        out::talk("watched by consoles");
        watched = told("watched", watched::measure(&program, &place, &people, effort).await);
    }
    let scene = Scene { program: &program, place: &place, people: &people, certs: &certs, effort };
    let (searches, names, indexes) = measure_databases(&options, &scene).await;
    let (mut by_countries, mut by_length) = (None, None);
    if options.wants(Part::Countries) {
        out::talk("cost by number of countries");
        let grown = curves::by_countries(&program, &place, &people, effort.seconds).await;
        by_countries = told("countries", grown);
    }
    if options.wants(Part::Log) {
        out::talk("cost by length of the log");
        let grown = curves::by_length(&program, &place, &people, effort.seconds, options.longest).await;
        by_length = told("log", grown);
    }
    let findings = Findings {
        card,
        results,
        stores,
        memory,
        handshakes,
        watched,
        searches,
        names,
        indexes,
        by_countries: by_countries.unwrap_or_default(),
        by_length: by_length.unwrap_or_default(),
        absent,
    };
    std::fs::remove_dir_all(&work)?;
    tell(&findings, &options.dir)
}

/// What every contender is asked to do with messages.
fn works(options: &Options) -> Vec<Work> {
    let works =
        [(Part::OneToOne, Work::PointToPoint), (Part::OneToAll, Work::FanOut), (Part::Echo, Work::Echo)];
    works.into_iter().filter(|(part, _)| options.wants(*part)).map(|(_, work)| work).collect()
}

/// Adds whoever is here to compare with, and says on the card what they are. Returns who is not here.
fn peers(
    options: &Options,
    place: &Place,
    people: &Arc<People>,
    certs: &Certs,
    contenders: &mut Vec<Box<dyn Contender>>,
    card: &mut machine::Card,
) -> Vec<(&'static str, &'static str)> {
    let mut absent = Vec::new();
    match nats_program(options) {
        Some(program) => {
            card.push(("nats", nats::version(&program)));
            for always in [false, true] {
                contenders.push(Box::new(Nats::new(always, &program, place, certs)));
            }
        }
        None => absent.push((nats::DEFAULT, "make setup")),
    }
    match postgres::programs() {
        Some(bin) => {
            card.push(("postgresql", postgres::version(&bin)));
            contenders.push(Box::new(Postgres::new(bin, place, certs)));
        }
        None => absent.push((postgres::NAME, "make setup, or apt-get install postgresql")),
    }
    contenders.push(Box::new(RawTls::new(place, certs)));
    contenders.push(Box::new(RawTonic::new(place, people)));
    absent
}

/// What cannot be measured is said, and the rest goes on.
fn told<T>(what: &str, measured: Result<T>) -> Option<T> {
    measured.inspect_err(|error| out::talk(&format!("  {what}: not measured: {error:#}"))).ok()
}

/// Searches over a hub, names, and the index of exact keys.
async fn measure_databases(
    options: &Options,
    scene: &Scene<'_>,
) -> (Option<Found>, Option<Named>, Vec<Indexed>) {
    let (mut searches, mut names, mut indexes) = (None, None, Vec::new());
    if options.wants(Part::Search) {
        out::talk("searches");
        searches = told("searches", Box::pin(search::measure(scene, options.alone)).await);
    }
    if options.wants(Part::Names) {
        names = told("names", search::persons(&scene.place.dir, scene.effort).await);
    }
    if options.wants(Part::Index) {
        indexes = search::indexes(&scene.place.dir, scene.effort, options.records).await;
    }
    (searches, names, indexes)
}

/// The stores in turn, each round once; the round with the median rate stands for all.
async fn measure_stores(dir: &Path, effort: Effort) -> Vec<(&'static str, usize, Point)> {
    let seams = Seams::system();
    let mut found = Vec::new();
    for group in stores::GROUPS {
        let mut rounds: Vec<Vec<Point>> = vec![Vec::new(); stores::STORES.len()];
        for _ in 0..effort.rounds {
            for (store, points) in stores::STORES.iter().zip(&mut rounds) {
                let measured = stores::measure(store, group, dir, &seams, effort.seconds).await;
                let point = measured.map_or_else(
                    |error| Point::failed(format!("{error:#}")),
                    crate::measure::Measured::point,
                );
                out::talk(&format!("  {store:<8} {group:>4} a commit {:>9.0}/s", point.rate));
                points.push(point);
            }
        }
        for (store, points) in stores::STORES.iter().zip(rounds) {
            found.push((*store, group, crate::measure::median_point(&points)));
        }
    }
    found
}

/// Where the server of NATS is.
fn nats_program(options: &Options) -> Option<PathBuf> {
    const NAME: &str = "nats-server";
    let from_setup = Path::new("target/tools/bin").join(NAME);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(NAME));
    let places = options.nats.clone().into_iter().chain([from_setup]).chain(on_path);
    places.into_iter().find(|place| place.exists())
}
