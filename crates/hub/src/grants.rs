//! Posts, at the door and at every search: whether the grant of their bureau lets them, and how much of it is left.
//!
//! What is granted follows from the log; here it is held against the time. It must not look anything up for them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use i247_model::{CountryCode, Identity, Reason, Refusal, Term, Timestamp, Unit, Verb};
use i247_node::{Clock, Live};
use i247_records::Database;
use i247_router::{Directory, Granted, Standing};
use i247_wire::pb;
use tokio::sync::{Notify, SetOnce};
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::budgets::{self, Budgets, Limit, Moment};
use crate::enumeration::Enumeration;
use crate::views::Views;

/// How long posts wait while the hub counts, and when they should come again after it.
const COUNTING: Duration = Duration::from_secs(1);

/// What posts are granted, and what they have used of it.
pub(crate) struct Grants {
    views: Arc<RwLock<Views>>,
    clock: Arc<dyn Clock>,
    live: Live,
    budgets: Budgets,
    /// What all of a country may ask about together.
    of_country: Limit,
    enumeration: Enumeration,
    /// Set once what was asked today, before the start, is counted.
    recalled: SetOnce<()>,
    /// Rung when somebody is granted something, or nothing any more.
    changed: Notify,
}

/// What somebody may ask now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    /// Whether what is found is shown.
    pub(crate) verb: Verb,
    /// Which databases; empty for all that know the key.
    pub(crate) databases: Vec<Database>,
    /// Of which databases it may hold copies; none for all.
    pub(crate) offline: Option<BTreeSet<u8>>,
    /// These have the supplement of its country.
    pub(crate) supplement: bool,
    /// A partner asks less than others that may only check.
    pub(crate) partner: bool,
    /// A post's own quota.
    limit: Option<Limit>,
}

impl Grants {
    pub(crate) fn new(
        views: Arc<RwLock<Views>>,
        clock: Arc<dyn Clock>,
        live: Live,
        of_country: Limit,
    ) -> Self {
        Self {
            views,
            clock,
            live,
            budgets: Budgets::default(),
            of_country,
            enumeration: Enumeration::default(),
            recalled: SetOnce::new(),
            changed: Notify::new(),
        }
    }

    /// What an asker may do at this moment with the databases that it names, or with all that it may ask when it names
    /// none. A bureau may ask them all.
    ///
    /// # Errors
    /// For posts: `NOT_GRANTED` with what is lacking; `SUSPENDED` or `REVOKED` when itself or its bureau is.
    pub(crate) fn allows(
        &self,
        asker: &Identity,
        named: &[Database],
        at: Timestamp,
    ) -> Result<Allowance, Refusal> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let directory = views.state.directory();
        match directory.standing(asker) {
            Some(Standing::Active) => {}
            Some(Standing::Suspended) => return Err(Refusal::of(Reason::Suspended, "identity")),
            Some(Standing::Revoked) => return Err(Refusal::of(Reason::Revoked, "identity")),
            None => return Err(Refusal::of(Reason::NotAuthorised, "identity")),
        }
        let Some(Granted { grant, .. }) = in_force(directory, asker, at)? else {
            let (verb, databases) = (Verb::Search, named.to_vec());
            let (offline, supplement) = (None, true);
            return Ok(Allowance { verb, databases, offline, supplement, partner: false, limit: None });
        };
        if let Some(lacking) = named.iter().find(|named| !grant.databases.contains(&named.number())) {
            let next_step = format!("ask your bureau for leave to ask {lacking} too");
            return Err(Refusal { next_step, ..Refusal::of(Reason::NotGranted, "databases") });
        }
        let granted = || grant.databases.iter().filter_map(|number| Database::from_number(*number)).collect();
        let databases = if named.is_empty() { granted() } else { named.to_vec() };
        let limit = Limit { per_minute: grant.keys_per_minute, per_day: grant.keys_per_day.into() };
        let partner = grant.unit == Unit::Partner;
        let (offline, supplement) = (Some(grant.offline.clone()), grant.supplement);
        Ok(Allowance { verb: grant.verb, databases, offline, supplement, partner, limit: Some(limit) })
    }

    /// Takes so many keys from the quotas of a post and of its country; of a bureau's country alone.
    ///
    /// # Errors
    /// `BUSY`, with the time after which as many may come. After a start posts wait until what they asked today is
    /// counted: a second at most, and then they are told to come again.
    ///
    /// # Cancel safety
    /// Dropped while it waits, it has taken nothing.
    pub(crate) async fn charge(
        &self,
        asker: &Identity,
        allowance: &Allowance,
        keys: usize,
    ) -> Result<(), Refusal> {
        let Some(country) = country(asker) else { return Ok(()) };
        let post = allowance.limit.map(|limit| (asker, limit));
        if post.is_some() && tokio::time::timeout(COUNTING, self.recalled.wait()).await.is_err() {
            let next_step = "the hub counts what was asked today: ask again after the time given".into();
            let refusal = Refusal { next_step, ..Refusal::of(Reason::Busy, "quota.post") };
            return Err(refusal.retry_after(COUNTING));
        }
        let now = Moment { at: self.clock.now(), monotonic: self.clock.monotonic() };
        self.budgets.take(post, (country, self.of_country), keys as u64, now)
    }

    /// Looks at a normalised key; true when people should know of one number asked about after the other.
    pub(crate) fn enumerates(&self, asker: &Identity, key: &[u8]) -> bool {
        self.enumeration.notice(asker, key)
    }

    /// What the posts of a country are granted, and how they stand now.
    pub(crate) fn list(&self, country: CountryCode) -> pb::ListPostsResponse {
        let now = self.clock.now();
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let directory = views.state.directory();
        let posts = directory.grants_of(country).map(|(name, granted)| {
            let post = Identity::Post(country, name.clone());
            let leave = i247_model::Leave { post: name.clone(), grant: Some(granted.grant.clone()) };
            pb::PostRecord {
                grant: Some(pb::Grant::from(&leave)),
                state: state(directory.standing(&post), granted.grant.term(now)).into(),
                position: granted.position,
                since_ms: granted.since.as_millis(),
                connections: u32::try_from(self.live.connections_of(&post)).unwrap_or(u32::MAX),
                keys_today: self.budgets.today(&post, now),
            }
        });
        pb::ListPostsResponse { directory_position: views.position, posts: posts.collect() }
    }

    /// Says that an entry has changed what somebody is granted.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Counts what was asked today before the start, and cuts off whose grant ends, until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, audit: Arc<Audit>, stop: CancellationToken) {
        let counting = stop.run_until_cancelled(self.recall(&audit));
        tokio::join!(counting, self.keep_cut(&stop));
    }

    /// The journal of searches is what a day's budget is counted from: it is durable, and knows who asked and how much.
    async fn recall(&self, audit: &Audit) {
        let now = self.clock.now();
        match audit.recall_since(budgets::midnight_before(now), now).await {
            Ok(asked) => {
                tracing::info!(askers = asked.len(), "what was asked today is counted");
                for (asker, keys) in asked {
                    let Some(country) = country(&asker) else { continue };
                    let post = matches!(asker, Identity::Post(..)).then_some(&asker);
                    self.budgets.recall(post, country, keys, now);
                }
            }
            Err(error) => tracing::error!(%error, "what was asked today cannot be counted: it begins anew"),
        }
        // Only here, and once.
        let _ = self.recalled.set(());
    }

    /// Cuts posts off as soon as their grant has ended or was withdrawn, until `stop`. New connections the admission
    /// refuses already.
    async fn keep_cut(&self, stop: &CancellationToken) {
        loop {
            let now = self.clock.now();
            let end = self.cut(now);
            let ended = async {
                match end {
                    Some(end) => i247_node::sleep_until(&*self.clock, end).await,
                    None => std::future::pending().await,
                }
            };
            // All of them are only wake-ups.
            tokio::select! {
                () = ended => {}
                () = self.changed.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Cuts whom nothing lets in at this moment; the next end of a grant.
    fn cut(&self, now: Timestamp) -> Option<Timestamp> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let directory = views.state.directory();
        let cut = self.live.cut_where(|identity| in_force(directory, identity, now).is_err());
        if cut > 0 {
            tracing::info!(connections = cut, "posts whose grant is not in force any more are cut off");
        }
        directory.next_grant_end(now)
    }
}

/// The grant that lets a post in at this moment; none for those who need none.
///
/// # Errors
/// `NOT_GRANTED`, with when it may come, or that it may not come any more.
pub(crate) fn in_force<'a>(
    directory: &'a Directory,
    identity: &Identity,
    at: Timestamp,
) -> Result<Option<&'a Granted>, Refusal> {
    let Identity::Post(_, name) = identity else { return Ok(None) };
    let refused = |field, next_step| Refusal { next_step, ..Refusal::of(Reason::NotGranted, field) };
    let Some(granted) = directory.grant(identity) else {
        let next_step = format!("ask your bureau for leave: it gives it with `i247 post grant {name}`");
        return Err(refused("grant", next_step));
    };
    match granted.grant.term(at) {
        Term::InForce => Ok(Some(granted)),
        Term::NotYet(from) => {
            let refusal = refused("grant.from_ms", "wait until the grant begins".to_owned());
            Err(refusal.retry_after(from.since(at)))
        }
        Term::Ended(_) => {
            let next_step =
                format!("the grant has ended: ask your bureau to renew it (`i247 post grant {name}`)");
            Err(refused("grant.until_ms", next_step))
        }
    }
}

fn state(standing: Option<Standing>, term: Term) -> pb::PostState {
    match (standing, term) {
        (Some(Standing::Active), Term::InForce) => pb::PostState::InForce,
        (Some(Standing::Active), Term::NotYet(_)) => pb::PostState::NotYet,
        (_, Term::Ended(_)) => pb::PostState::Ended,
        _ => pb::PostState::CutOff,
    }
}

/// The country of whoever may ask: a bureau, or a post behind it.
pub(crate) fn country(asker: &Identity) -> Option<CountryCode> {
    match asker {
        Identity::Bureau(country) | Identity::Post(country, _) => Some(*country),
        _ => None,
    }
}
