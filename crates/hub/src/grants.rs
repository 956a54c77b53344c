//! Posts at the door: whether the grant of their bureau lets them in, and for how long.
//!
//! What is granted follows from the log; here it is held against the time. It must not decide what is granted.

use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{CountryCode, Identity, Reason, Refusal, Term, Timestamp};
use i247_node::{Clock, Live};
use i247_router::{Directory, Granted, Standing};
use i247_wire::pb;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::views::Views;

/// What posts are granted.
pub(crate) struct Grants {
    views: Arc<RwLock<Views>>,
    clock: Arc<dyn Clock>,
    live: Live,
    /// Rung when somebody is granted something, or nothing any more.
    changed: Notify,
}

impl Grants {
    pub(crate) fn new(views: Arc<RwLock<Views>>, clock: Arc<dyn Clock>, live: Live) -> Self {
        Self { views, clock, live, changed: Notify::new() }
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
            }
        });
        pb::ListPostsResponse { directory_position: views.position, posts: posts.collect() }
    }

    /// Says that an entry has changed what somebody is granted.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Cuts posts off as soon as their grant has ended or was withdrawn, until `stop`. New connections the admission
    /// refuses already.
    pub(crate) async fn keep_cut(self: Arc<Self>, stop: CancellationToken) {
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
