//! A network that stays: contexts for every country, and what to try next.

use std::path::{Path, PathBuf};

use i247_client::{Context, Contexts};
use i247_model::{CountryCode, Identity, Name};
use i247_scenario::Plan;
use i247_testkit::{World, WorldError, name};

use crate::fail::Fail;

/// A new directory among the temporary files.
pub(crate) fn new_dir() -> PathBuf {
    std::env::temp_dir().join(format!("i247-demo-{}", std::process::id()))
}

/// Writes keys and contexts: one for each country's first officer, one for the reviewer, one for the operator; and the keys
/// of each country's authority, which certifies more officers and posts.
/// Returns the directory for `I247_HOME`.
pub(crate) async fn write_contexts(world: &World, plan: &Plan) -> Result<PathBuf, Fail> {
    let home = world.dir().join("home");
    let mut contexts = Contexts::default();
    for code in world.countries() {
        let Some(seat) = world.seats_of(code).into_iter().next() else { continue };
        let Ok(address) = world.desk_address(code).await else { continue };
        let officer = Identity::Officer(code, seat);
        let credentials = save(world, &officer, &home).await?;
        let context = Context { address: address.to_string(), server: Identity::Bureau(code), credentials };
        contexts.add(name(&code.to_lowercase()), context);
        save_authority(world, code, &authority_dir(&home, code)).await?;
    }
    let hub = world.hub_address().await.map_err(|error| super::of_world(&error))?;
    for (who, identity) in
        [("reviewer", Identity::Reviewer(name("lena"))), ("operator", Identity::Operator(name("ops")))]
    {
        let credentials = save(world, &identity, &home).await?;
        let server = Identity::Hub(name("lyon"));
        contexts.add(name(who), Context { address: hub.to_string(), server, credentials });
    }
    if let Some(first) = first_country(plan) {
        contexts.choose(&first.to_lowercase())?;
    }
    contexts.save(&home.join("contexts.toml"))?;
    Ok(home)
}

/// What to try next. `scenario` is the file that was played, where it is not the one that comes with the program.
pub(crate) fn invitation(home: &Path, plan: &Plan, scenario: Option<&Path>) -> String {
    let mut codes = plan.policies.keys();
    let (first, second) = (first_country(plan), codes.find(|code| Some(**code) != first_country(plan)));
    let code = |code: Option<CountryCode>| code.map(|code| code.to_string()).unwrap_or_default();
    let (first, second) = (code(first), code(second.copied()));
    let program = std::env::args().next().unwrap_or_else(|| "i247".into());
    let authority = first_country(plan).map(|code| authority_dir(home, code)).unwrap_or_default();
    let (home, authority) = (home.display(), authority.display());
    let operation = &plan.script.operation;
    let scenario = scenario.map(|file| format!(" --scenario {}", file.display())).unwrap_or_default();
    format!(
        "\nThe network stays until Ctrl-C. Try, in another terminal:\n\
         \n  export I247_HOME={home}\
         \n  {program} inbox --as {first}\
         \n  {program} ask {second} --as {first} --about \"a stolen car\" --name \"PARDEL, Tessa\" --born 1970-01-01\
         \n  {program} operation report {operation}{scenario} --context operator\
         \n  {program} post issue cdg --authority {authority} --out {home}/cdg --days 7\
         \n  {program} console --context operator",
    )
}

fn authority_dir(home: &Path, code: CountryCode) -> PathBuf {
    home.join("credentials").join(code.to_lowercase()).join("authority")
}

async fn save_authority(world: &World, code: CountryCode, dir: &Path) -> Result<(), Fail> {
    let next = "name another directory with --dir";
    std::fs::create_dir_all(dir).map_err(|error| Fail::because(dir.display().to_string(), &error, next))?;
    let mut pki = world.pki().await;
    let saved = pki.national(code).and_then(|authority| authority.save(dir));
    saved.map_err(|error| Fail::because("the keys of an authority cannot be saved", &error, next))
}

fn first_country(plan: &Plan) -> Option<CountryCode> {
    plan.policies.keys().find(|code| code.as_str() == "FR").or_else(|| plan.policies.keys().next()).copied()
}

async fn save(world: &World, identity: &Identity, home: &Path) -> Result<PathBuf, Fail> {
    let folder: Name = match identity {
        Identity::Officer(code, _) => name(&code.to_lowercase()),
        Identity::Reviewer(who) | Identity::Operator(who) => who.clone(),
        _ => name("other"),
    };
    let dir = home.join("credentials").join(folder.as_str());
    let local = |error: WorldError| super::of_world(&error);
    let credentials = world.credentials(identity).await.map_err(local)?;
    std::fs::create_dir_all(&dir).map_err(|error| {
        Fail::because(dir.display().to_string(), &error, "name another directory with --dir")
    })?;
    credentials.save(&dir).map_err(|error| {
        Fail::because("the keys cannot be saved", &error, "name another directory with --dir")
    })?;
    Ok(dir)
}
