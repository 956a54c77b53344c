//! Who acts and on which network: contexts, credentials, connections. It asks the network nothing by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_client::{
    ClientError, Context, Contexts, Copies, Desk, Hits, Monitor, Reviewer, ReviewerParts, RolledSearches,
    Searches, pb,
};
use i247_model::{CountryCode, Identity, Name};
use i247_node::{ChannelLimits, Seams, TlsClock, connect};
use i247_trust::{AtRestKey, Credentials, Presented, Root};
use tonic::transport::Channel;

use crate::args::Global;
use crate::fail::Fail;

/// What a verb works with.
pub(crate) struct Session {
    pub(crate) seams: Seams,
    pub(crate) global: Global,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self { seams: Seams::system(), global }
    }

    /// Sixteen random bytes in hexadecimal: the key of a draft.
    pub(crate) fn key(&self) -> String {
        let mut bytes = [0; 16];
        self.seams.dice.fill(&mut bytes);
        i247_model::hexadecimal(&bytes)
    }

    pub(crate) fn contexts_path() -> Result<PathBuf, Fail> {
        Ok(Contexts::path(|name| std::env::var_os(name))?)
    }

    pub(crate) fn contexts() -> Result<Contexts, Fail> {
        Ok(Contexts::load(&Self::contexts_path()?)?)
    }

    /// Whether the context that is meant leads to the hub.
    pub(crate) fn leads_to_hub(&self) -> Result<bool, Fail> {
        if self.global.country.is_some() {
            return Ok(false);
        }
        let contexts = Self::contexts()?;
        let context = match &self.global.context {
            Some(name) => Some(contexts.named(name)?),
            None => contexts.current().ok(),
        };
        Ok(context.is_some_and(|context| matches!(context.server, Identity::Hub(_))))
    }

    /// The desk that is meant.
    pub(crate) fn desk(&self) -> Result<Desk, Fail> {
        let contexts = Self::contexts()?;
        let context = self.chosen_desk(&contexts)?;
        self.open_desk(context)
    }

    /// Where the databases are asked: at the desk that is meant, or, as a post, at the hub.
    pub(crate) fn checks(&self) -> Result<Checks, Fail> {
        let contexts = Self::contexts()?;
        let context = self.chosen(&contexts)?;
        if let Identity::Hub(_) = context.server {
            let own = credentials(&context.credentials)?;
            if let Identity::Post(_, name) = &own.identity {
                let server = context.server.clone();
                let channel = self.channel(&context.address, &own, move |found| *found == server)?;
                let (name, seams) = (name.clone(), &self.seams);
                let rolled =
                    RolledSearches::new(Searches::new(channel), own, seams.clock.clone(), &*seams.dice);
                return Ok(Checks::Post(Box::new(rolled), name));
            }
        }
        self.desk().map(Checks::Desk)
    }

    /// Offline copies, under the identity of the context: a post's or a bureau's own at the hub, a post's at its bureau.
    pub(crate) fn copies(&self) -> Result<Copies, Fail> {
        let contexts = Self::contexts()?;
        let context = self.chosen(&contexts)?;
        let own = credentials(&context.credentials)?;
        let fits = match (&own.identity, &context.server) {
            (Identity::Post(..) | Identity::Bureau(_), Identity::Hub(_)) => true,
            (Identity::Post(country, _), Identity::Bureau(bureau)) => country == bureau,
            _ => false,
        };
        if !fits {
            return Err(Fail::usage(
                "copies are fetched at the hub by a post or a bureau, or at its own bureau by a post",
                "choose a context with --context that leads there under the certificate of a post or a bureau",
            ));
        }
        let server = context.server.clone();
        Ok(Copies::new(self.channel(&context.address, &own, move |found| *found == server)?))
    }

    /// Who asks; nobody is called.
    pub(crate) fn own_identity(&self) -> Result<Identity, Fail> {
        let contexts = Self::contexts()?;
        Ok(credentials(&self.chosen(&contexts)?.credentials)?.identity)
    }

    /// Which network counts, and for which country; nobody is called.
    pub(crate) fn own_network(&self) -> Result<(Root, CountryCode), Fail> {
        let contexts = Self::contexts()?;
        let own = credentials(&self.chosen(&contexts)?.credentials)?;
        match own.identity {
            Identity::Post(country, _) | Identity::Bureau(country) | Identity::Officer(country, _) => {
                Ok((own.root, country))
            }
            other => Err(Fail::usage(
                format!("{other} is of no country"),
                "choose the context of a post, a bureau or an officer with --context",
            )),
        }
    }

    /// The key under which lies on the disk what is asked without a network: beside the private keys, made at first use.
    pub(crate) fn own_at_rest_key(&self) -> Result<AtRestKey, Fail> {
        let contexts = Self::contexts()?;
        let dir = &self.chosen(&contexts)?.credentials;
        let mut random = [0; 32];
        self.seams.dice.fill(&mut random);
        AtRestKey::load_or_make(dir, random).map_err(|error| {
            let next = "see that the directory with the private keys is yours and has room";
            Fail::because(dir.display().to_string(), &error, next)
        })
    }

    fn chosen<'a>(&self, contexts: &'a Contexts) -> Result<&'a Context, Fail> {
        Ok(match (&self.global.context, self.global.country) {
            (Some(name), _) => contexts.named(name)?,
            (None, Some(country)) => contexts.as_country(country)?,
            (None, None) => contexts.current()?,
        })
    }

    fn chosen_desk<'a>(&self, contexts: &'a Contexts) -> Result<&'a Context, Fail> {
        let context = self.chosen(contexts)?;
        if context.country().is_none() {
            let what = format!("the context leads to {}, which has no desk", context.server);
            return Err(Fail::usage(
                what,
                "name a country with --as, or choose a context that leads to a bureau",
            ));
        }
        Ok(context)
    }

    /// The desk that a context leads to.
    pub(crate) fn open_desk(&self, context: &Context) -> Result<Desk, Fail> {
        let credentials = credentials(&context.credentials)?;
        let server = context.server.clone();
        let channel = self.channel(&context.address, &credentials, move |found| *found == server)?;
        Ok(Desk::new(channel))
    }

    /// The hub, as a reviewer.
    pub(crate) fn reviewer(&self) -> Result<Reviewer, Fail> {
        let (credentials, channel) = self.hub("reviewer", |own| matches!(own, Identity::Reviewer(_)))?;
        let Identity::Reviewer(name) = credentials.identity else {
            return Err(nobody("reviewer"));
        };
        Ok(Reviewer::new(ReviewerParts {
            channel,
            name,
            key: credentials.signing_key,
            root: credentials.root,
            clock: self.seams.clock.clone(),
            dice: self.seams.dice.clone(),
        }))
    }

    /// The hub, as an operator.
    pub(crate) fn monitor(&self) -> Result<Monitor, Fail> {
        let (_, channel) = self.hub("operator", |own| matches!(own, Identity::Operator(_)))?;
        Ok(Monitor::new(channel))
    }

    /// The hub that a context leads to, as an operator.
    pub(crate) fn open_monitor(&self, context: &Context) -> Result<Monitor, Fail> {
        let credentials = credentials(&context.credentials)?;
        let server = context.server.clone();
        let channel = self.channel(&context.address, &credentials, move |found| *found == server)?;
        Ok(Monitor::new(channel))
    }

    /// The hub, under the first identity that fits.
    fn hub(&self, role: &str, fits: impl Fn(&Identity) -> bool) -> Result<(Credentials, Channel), Fail> {
        let (context, own) = self.at_hub(role, fits)?;
        let server = context.server;
        let channel = self.channel(&context.address, &own, move |found| *found == server)?;
        Ok((own, channel))
    }

    /// The context that leads to the hub under an identity that fits: the one that was named, else the chosen one, else
    /// any.
    pub(crate) fn at_hub(
        &self,
        role: &str,
        fits: impl Fn(&Identity) -> bool,
    ) -> Result<(Context, Credentials), Fail> {
        if self.global.country.is_some() {
            let what = format!("--as names a country's desk, but this is for {role}s at the hub");
            return Err(Fail::usage(what, "leave --as out, or name a context with --context"));
        }
        let contexts = Self::contexts()?;
        let candidates: Vec<&Context> = match &self.global.context {
            Some(name) => vec![contexts.named(name)?],
            None => contexts.current().into_iter().chain(contexts.list().values()).collect(),
        };
        for context in candidates {
            if !matches!(context.server, Identity::Hub(_)) {
                continue;
            }
            let own = match credentials(&context.credentials) {
                Ok(own) => own,
                // One that nobody named may be stale; the next one may do.
                Err(_) if self.global.context.is_none() => continue,
                Err(fail) => return Err(fail),
            };
            if fits(&own.identity) {
                return Ok((context.clone(), own));
            }
        }
        Err(nobody(role))
    }

    /// A connection under these credentials to a server that `expected` knows. It is made at the first call.
    pub(crate) fn channel(
        &self,
        address: &str,
        credentials: &Credentials,
        expected: impl Fn(&Identity) -> bool + Send + Sync + 'static,
    ) -> Result<Channel, Fail> {
        let next = "have the certificates issued anew with `i247 authority issue`";
        let unusable = |error| Fail::because("the certificates cannot be used", &error, next);
        let presented = Presented::new(credentials).map_err(unusable)?;
        let time = Arc::new(TlsClock(self.seams.clock.clone()));
        let tls =
            i247_trust::client_config(presented, &credentials.root, time, expected).map_err(unusable)?;
        connect(self.seams.network.clone(), address, tls, &ChannelLimits::default())
            .map_err(|error| Fail::usage(error.to_string(), "give the address as HOST:PORT"))
    }
}

/// Whoever is asked about a document or a thing.
pub(crate) enum Checks {
    /// The desk, under the officer's seat.
    Desk(Desk),
    /// The hub, by a post of this name, which signs for what it asks.
    Post(Box<RolledSearches>, Name),
}

impl Checks {
    pub(crate) async fn check(
        &self,
        mut search: pb::SearchRequest,
    ) -> Result<pb::SearchResponse, ClientError> {
        match self {
            Self::Desk(desk) => desk.check(search).await,
            Self::Post(searches, name) => {
                search.station = name.to_string();
                searches.check(search).await
            }
        }
    }
}

impl Checks {
    /// A post signs a roll-up each minute, until this is dropped.
    pub(crate) async fn keep_signing(&self) {
        match self {
            Self::Desk(_) => std::future::pending().await,
            Self::Post(searches, _) => {
                let wrong = |error: ClientError| {
                    crate::out::talk(&format!("A roll-up of searches was not taken: {error}"))
                };
                searches.keep(wrong).await;
            }
        }
    }

    /// A post signs for what it asked since the last roll-up. What was answered counts although this fails.
    pub(crate) async fn sign_off(&self) {
        if let Self::Post(searches, _) = self
            && let Err(error) = searches.end().await
        {
            crate::out::talk(&format!("The roll-up of these searches was not taken: {error}"));
        }
    }

    /// The hits of whoever asks.
    pub(crate) async fn watch_hits(&self, after_position: u64, follow: bool) -> Result<Hits, ClientError> {
        match self {
            Self::Desk(desk) => desk.watch_hits(after_position, follow).await,
            Self::Post(searches, _) => searches.watch_hits(after_position, follow).await,
        }
    }
}

/// The credentials in a directory.
pub(crate) fn credentials(dir: &Path) -> Result<Credentials, Fail> {
    Credentials::load(dir).map_err(|error| {
        let next = "keys come from `i247 authority request`, certificates from `i247 authority issue`";
        Fail::because(format!("{}: no credentials", dir.display()), &error, next)
    })
}

fn nobody(role: &str) -> Fail {
    Fail::usage(
        format!("no context leads to the hub as {role}"),
        "add one: i247 context add NAME --address HOST:PORT --server gs/hub/SITE --credentials DIR",
    )
}
