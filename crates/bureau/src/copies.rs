//! CopyService for the country's posts: a fetch of a post is made at the hub in its name, and what comes is sent on as it
//! came. The hub decides what the post may have, and the post holds its signature for itself: nothing is read here.

use futures::StreamExt as _;
use i247_model::{CountryCode, Hash, Identity, Name, Reason, Refusal};
use i247_node::{Peer, Role, Rule};
use i247_wire::pb;
use i247_wire::pb::copy_service_server::CopyService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::desk::Answers;
use crate::journal::Journal;
use crate::link::{Link, away};
use crate::views::Views;

/// The full name of the service.
pub(crate) const COPY_SERVICE: &str = "i247.v1.CopyService";

/// Who may call it: the country's posts.
pub(crate) fn rules(country: CountryCode) -> [(&'static str, Rule); 2] {
    let posts = Rule::OfCountry(country, &[Role::Post]);
    [("/i247.v1.CopyService/FetchCopy", posts.clone()), ("/i247.v1.CopyService/HandInSearches", posts)]
}

/// The service.
pub(crate) struct PostCopies {
    pub(crate) journal: Journal,
    pub(crate) link: Link,
    /// Cancelled when those who fetch must leave.
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl CopyService for PostCopies {
    type FetchCopyStream = Answers<pb::FetchCopyResponse>;

    async fn fetch_copy(
        &self,
        request: Request<pb::FetchCopyRequest>,
    ) -> Result<Response<Self::FetchCopyStream>, Status> {
        let post = self.post("FetchCopy", &request)?;
        let wanted = in_name_of(&post, request.get_ref().post.as_str())?;
        let fetched =
            self.link.fetch_copy(pb::FetchCopyRequest { post: wanted, ..request.into_inner() }).await?;
        let sent_on = fetched.take_until(self.stop.clone().cancelled_owned());
        Ok(Response::new(Box::pin(sent_on.map(|frame| frame.map_err(away)))))
    }

    async fn hand_in_searches(
        &self,
        request: Request<pb::HandInSearchesRequest>,
    ) -> Result<Response<pb::HandInSearchesResponse>, Status> {
        let post = self.post("HandInSearches", &request)?;
        let given = in_name_of(&post, request.get_ref().post.as_str())?;
        let taken =
            self.link.hand_in(pb::HandInSearchesRequest { post: given, ..request.into_inner() }).await?;
        Ok(Response::new(taken))
    }
}

impl PostCopies {
    /// Which post calls. One whose leave ended after it had connected is refused.
    fn post<T>(&self, call: &'static str, request: &Request<T>) -> Result<Name, Status> {
        let peer = Peer::of(request)?;
        let Identity::Post(_, post) = &peer.identity else {
            return Err(i247_wire::status(&Refusal::of(Reason::NotAuthorised, "identity")));
        };
        let admitted = admit(&self.journal.views(), (&peer.identity, post), &peer.tls_key);
        admitted.map_err(|refusal| i247_wire::status(&refusal))?;
        tracing::info!(post = %peer.identity, call, "offline copies");
        Ok(post.clone())
    }
}

/// Whether a post of the country may come with this TLS key.
///
/// # Errors
/// As for all of its people; `NOT_GRANTED` when it is granted no copy.
pub(crate) fn admit(
    views: &Views,
    (identity, post): (&Identity, &Name),
    tls_key: &Hash,
) -> Result<(), Refusal> {
    views.people.admit(identity, tls_key)?;
    if views.posts.may_come(post) {
        return Ok(());
    }
    let next_step = format!("ask your bureau for leave: `i247 post grant {post} --offline DATABASES`");
    Err(Refusal { next_step, ..Refusal::of(Reason::NotGranted, "grant.offline") })
}

/// A post speaks for itself alone.
fn in_name_of(post: &Name, named: &str) -> Result<String, Status> {
    if named.is_empty() || named == post.as_str() {
        return Ok(post.to_string());
    }
    Err(i247_wire::status(&Refusal::of(Reason::WrongField, "post")))
}
