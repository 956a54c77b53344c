//! `i247 context`: which network is meant, and under which identity.

use std::path::PathBuf;

use clap::Subcommand;
use i247_client::{Context, Contexts};
use i247_model::{Identity, Name};
use serde_json::json;

use crate::authority::identity;
use crate::fail::Fail;
use crate::out;
use crate::render;
use crate::session::{Session, credentials};

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; the chosen one has a star
    List,
    /// Choose the context that is meant when none is named
    Use {
        /// Its name
        name: String,
    },
    /// Add a context, or replace the one of this name
    #[command(
        after_help = "Example:\n  i247 context add fr --address 127.0.0.1:7248 --server ncb/fr --credentials keys/fr/duty"
    )]
    Add {
        /// Its name: small letters, digits and underscores
        name: String,
        /// Where the desk or the hub listens
        #[arg(long, value_name = "HOST:PORT")]
        address: String,
        /// Who answers there, such as ncb/fr or gs/hub/lyon
        #[arg(long, value_name = "IDENTITY", value_parser = identity)]
        server: Identity,
        /// The directory of the own keys and certificates
        #[arg(long, value_name = "DIR")]
        credentials: PathBuf,
    },
    /// Remove a context; keys and certificates stay where they are
    Remove {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(command: ContextCommand, session: &Session) -> Result<(), Fail> {
    let path = Session::contexts_path()?;
    let mut contexts = Session::contexts()?;
    match command {
        ContextCommand::List => {
            list(&contexts, session);
            return Ok(());
        }
        ContextCommand::Use { name } => contexts.choose(&name)?,
        ContextCommand::Add { name, address, server, credentials: dir } => {
            let name: Name = name.parse().map_err(|error: i247_model::ParseError| {
                Fail::usage(error.to_string(), "choose a name such as fr or review")
            })?;
            let next = "name a directory that is there";
            let dir = std::path::absolute(&dir)
                .map_err(|error| Fail::because(dir.display().to_string(), &error, next))?;
            // Now rather than at the first call: whoever adds a context wants to know.
            credentials(&dir)?;
            contexts.add(name, Context { address, server, credentials: dir });
        }
        ContextCommand::Remove { name } => drop(contexts.remove(&name)?),
    }
    contexts.save(&path)?;
    let chosen = contexts.current_name().map_or("none", Name::as_str);
    out::talk(&format!("{} contexts in {}; chosen: {chosen}", contexts.list().len(), path.display()));
    Ok(())
}

fn list(contexts: &Contexts, session: &Session) {
    let all: Vec<_> = contexts.list().iter().collect();
    let json = || {
        let one = |(name, context): &(&Name, &Context)| {
            json!({
                "name": name.as_str(),
                "chosen": contexts.current_name() == Some(name),
                "address": context.address,
                "server": context.server.to_string(),
                "credentials": context.credentials,
            })
        };
        all.iter().map(one).collect()
    };
    let nothing =
        "There are no contexts. `i247 context add` adds one; `i247 demo --keep` makes one for each country.";
    out::list(session, &all, json, nothing, || render::contexts(contexts));
}
