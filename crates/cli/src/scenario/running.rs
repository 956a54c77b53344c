//! A scenario on a network that runs already: the identities that it needs, as the contexts have them, and the counts of
//! the hub as an operator is told them. It makes no identity and grants nothing: what is missing is named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use i247_client::{Context, Contexts, Desk, Monitor, RolledSearches, Searches, pb};
use i247_model::{CountryCode, Hash, Identity};
use i247_node::stop_signal;
use i247_scenario::border::{
    Asked, BorderActors, BorderCounts, BorderPlan, BorderPlayed, Station, play, tabulate_border,
};
use i247_trust::Credentials;

use super::loading::{DATABASE, load};
use super::show::Show;
use super::{Job, RunArgs, finish, stopped};
use crate::authority::short;
use crate::fail::{Exit, Fail};
use crate::out;
use crate::session::{Session, credentials};

/// How long a step waits for something new: longer than a post whose minute is used up has to wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// The network, and who acts there.
struct Network {
    monitor: Monitor,
    /// The hub's, as the operator's context has it.
    hub: Context,
    desks: BTreeMap<CountryCode, Desk>,
    posts: BTreeMap<Station, (Context, Credentials)>,
}

pub(super) async fn perform(args: &RunArgs, job: &Job<'_>, session: &Session) -> Result<ExitCode, Fail> {
    let mut show = Show::new();
    show.opening(job.told.name, &job.plan);
    let network = Network::find(job, session)?;
    network.check_grants(&job.plan).await?;
    show.done(network.desks.len(), "desks have an officer");
    show.done(network.posts.len(), "posts are granted it");
    let (dir, kept) = files(args)?;
    let mut stop = pin!(stop_signal());
    let acted = tokio::select! {
        biased;
        _ = &mut stop => Err(stopped()),
        acted = Box::pin(act(&network, job, (dir.as_path(), session), &mut show)) => acted,
    };
    if !kept {
        // What is left there is among the temporary files.
        drop(std::fs::remove_dir_all(&dir));
    }
    let (played, counts) = acted?;
    let mut table = tabulate_border(job.told, &counts, &job.plan.expected);
    table.rows.extend(played.rows());
    let code = finish(&table, &played, session)?;
    let stay = "The records that were loaded stay in the databases";
    out::talk(&if kept {
        format!(
            "{stay}. `i247 records withdraw {DATABASE} --from {}/FILE --as COUNTRY` takes a country's out.",
            dir.display()
        )
    } else {
        format!("{stay}; with --dir their files stay too.")
    });
    Ok(code)
}

/// Where the files of records are put, and whether they stay there.
fn files(args: &RunArgs) -> Result<(PathBuf, bool), Fail> {
    match &args.dir {
        Some(dir) if dir.exists() => {
            Err(Fail::usage(format!("{} is there already", dir.display()), "name a new directory"))
        }
        Some(dir) => Ok((dir.clone(), true)),
        None => {
            let dir = std::env::temp_dir().join(format!("i247-scenario-{}", std::process::id()));
            Ok((dir, false))
        }
    }
}

/// Everything that goes through the network, and what the hub counted of it.
async fn act(
    network: &Network,
    job: &Job<'_>,
    (dir, session): (&std::path::Path, &Session),
    show: &mut Show,
) -> Result<(BorderPlayed, BorderCounts), Fail> {
    let Network { monitor, desks, .. } = network;
    // The network is as it was found before anything of this run is in it.
    let (before, after) = (monitor.searches_end().await?, newest(desks).await?);
    let posts: Result<_, Fail> =
        network.posts.iter().map(|(station, post)| Ok((station.clone(), signing(post, session)?))).collect();
    let clock = Arc::clone(&session.seams.clock);
    let (desks, operation) = (desks.clone(), job.told.id.to_owned());
    let actors = BorderActors { posts: posts?, operation, desks, clock, patience: PATIENCE, after };
    let plan = &job.plan;
    let loaded = load(dir, plan, &actors).await?;
    show.done(loaded, "records loaded by their owners, and accepted");
    let played = play(&plan.travellers, job.due.as_deref(), &plan.own_files, &actors, show).await;
    show.counting();
    let tallies = monitor.search_tally(before).await?;
    let stations: BTreeSet<&Station> = actors.posts.keys().collect();
    let asked = tallies.values().filter_map(asked).filter(|(station, _)| stations.contains(station));
    // What the hub says of the operation may hold earlier runs of it.
    let counts = BorderCounts { asked: asked.collect(), hits: actors.hits().await?, operation: None };
    Ok((played, counts))
}

/// The hub, as the post, which signs for what it asks.
fn signing((context, own): &(Context, Credentials), session: &Session) -> Result<RolledSearches, Fail> {
    let server = context.server.clone();
    let channel = session.channel(&context.address, own, move |found| *found == server)?;
    let (clock, dice) = (Arc::clone(&session.seams.clock), &*session.seams.dice);
    Ok(RolledSearches::new(Searches::new(channel), own.clone(), clock, dice))
}

/// What a post asked, by the hub's count.
fn asked(tally: &pb::AskerTally) -> Option<(Station, Asked)> {
    let Ok(Identity::Post(country, post)) = tally.asker.parse() else { return None };
    let pb::AskerTally { keys, refused, matches, possible, signed_for, .. } = *tally;
    Some((Station { country, post }, Asked { keys, refused, matches, possible, signed_for }))
}

/// The newest entry of the hub's log that changed a hit, as far as these desks know.
async fn newest(desks: &BTreeMap<CountryCode, Desk>) -> Result<u64, Fail> {
    let hits = i247_scenario::border::register(desks, 0).await?;
    Ok(hits.iter().map(|hit| hit.changed_position).max().unwrap_or(0))
}

impl Network {
    /// Finds everybody among the contexts.
    ///
    /// # Errors
    /// All that is missing, each with the commands that make it.
    fn find(job: &Job<'_>, session: &Session) -> Result<Self, Fail> {
        let (hub, operator) = session.at_hub("operator", |own| matches!(own, Identity::Operator(_)))?;
        let contexts = Session::contexts()?;
        let known = known(&contexts, operator.root.signer().key_id);
        let mut missing = Vec::new();
        let mut desks = BTreeMap::new();
        for country in &job.countries {
            let at_desk = |context: &Context, who: &Identity| {
                context.country() == Some(*country)
                    && matches!(who, Identity::Officer(of, _) if of == country)
            };
            match known.iter().find(|(context, own)| at_desk(context, &own.identity)) {
                Some((context, _)) => drop(desks.insert(*country, session.open_desk(context)?)),
                None => missing.push(no_desk(*country)),
            }
        }
        let mut posts = BTreeMap::new();
        for station in job.plan.stations() {
            let identity = Identity::Post(station.country, station.post.clone());
            match known.iter().find(|(context, own)| context.server == hub.server && own.identity == identity)
            {
                Some(found) => drop(posts.insert(station, found.clone())),
                None => missing.push(no_post(&station, &hub)),
            }
        }
        if missing.is_empty() {
            return Ok(Self { monitor: session.open_monitor(&hub)?, hub, desks, posts });
        }
        Err(lacking(
            missing,
            "no context has them; officers and posts are certified by the authority of their country, with whose keys \
             the commands that are named are run",
        ))
    }

    /// Holds what the posts are granted against what they are to ask.
    async fn check_grants(&self, plan: &BorderPlan) -> Result<(), Fail> {
        let mut missing = Vec::new();
        for station in self.posts.keys() {
            let checks =
                plan.travellers.iter().filter(|traveller| traveller.station == *station).count() as u64;
            let listed = match self.desks.get(&station.country) {
                Some(desk) => desk.posts().await?.posts,
                None => Vec::new(),
            };
            let granted = |record: &pb::PostRecord| {
                record.grant.as_ref().is_some_and(|grant| grant.post == station.post.as_str())
            };
            match listed
                .into_iter()
                .find(granted)
                .map_or(Err("is granted nothing"), |post| enough(&post, checks))
            {
                Ok(per_minute) => tell_minutes(station, checks, per_minute),
                Err(lacking) => missing.push(format!(
                    "post {} of {}: {lacking}: {}",
                    station.post,
                    station.country,
                    grant(station)
                )),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(lacking(missing, &format!("grant it, and run it again; the hub is {}", self.hub.address)))
    }
}

/// Every context of this network with its credentials, the chosen one first. One that is stale is none.
fn known(contexts: &Contexts, network: Hash) -> Vec<(Context, Credentials)> {
    let all = contexts.current().into_iter().chain(contexts.list().values());
    let own = all.filter_map(|context| Some((context.clone(), credentials(&context.credentials).ok()?)));
    own.filter(|(_, own)| own.root.signer().key_id == network).collect()
}

/// How many keys a minute a post is granted, when it may ask as much as it is to.
fn enough(post: &pb::PostRecord, checks: u64) -> Result<u64, &'static str> {
    let grant = post.grant.clone().unwrap_or_default();
    if post.state() != pb::PostState::InForce {
        return Err("is granted nothing at this moment");
    }
    if grant.verb() != pb::PostVerb::Search {
        return Err("may only check, and is shown no hit");
    }
    if !grant.databases.contains(&i32::from(DATABASE.number())) {
        return Err("is not granted to ask sltd");
    }
    if u64::from(grant.keys_per_day).saturating_sub(post.keys_today) < checks {
        return Err("is granted fewer keys than it has left to ask about today");
    }
    Ok(grant.keys_per_minute.into())
}

fn tell_minutes(station: &Station, checks: u64, per_minute: u64) {
    let minutes = checks / per_minute.max(1);
    if minutes > 0 {
        out::talk(&format!(
            "The post {} of {} is granted {per_minute} keys a minute: its {checks} checks take {minutes} minutes or more.",
            station.post, station.country
        ));
    }
}

fn no_desk(country: CountryCode) -> String {
    let code = country.to_lowercase();
    format!(
        "an officer of {country}: i247 context add {code} --address DESK:PORT --server ncb/{code} --credentials DIR"
    )
}

fn no_post(station: &Station, hub: &Context) -> String {
    let (post, code) = (&station.post, station.country.to_lowercase());
    let server = short(&hub.server);
    format!(
        "post {post} of {}: i247 post issue {post} --authority AUTHORITY-OF-{} --out {code}-{post}; {}; i247 context add \
         {code}_{post} --address {} --server {server} --credentials {code}-{post}",
        station.country,
        station.country,
        grant(station),
        hub.address
    )
}

/// What lets a post ask as fast as it can.
fn grant(station: &Station) -> String {
    format!(
        "i247 post grant {} --unit airport --databases sltd,tdawn --per-minute 1000000 --per-day 100000000 --as {}",
        station.post, station.country
    )
}

fn lacking(fields: Vec<String>, next: &str) -> Fail {
    let what = format!("for this scenario {} things are missing on this network", fields.len());
    Fail { exit: Exit::Usage, what, fields, next: next.to_owned() }
}
