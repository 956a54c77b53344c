//! ExchangeService: what bureaus call. It opens streams and answers questions; it decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use i247_model::{
    Audience, CountryCode, Identity, Kind, Lane, MessageId, Party, Reason, Refusal, Rule, Timestamp,
};
use i247_node::Peer;
use i247_router::{Question, explain};
use i247_wire::pb::connect_response::Frame;
use i247_wire::pb::exchange_service_server::ExchangeService;
use i247_wire::{known, parsed, parsed_option, pb, status};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::anew::{Anew, LostHere, LostLane};
use crate::attachments;
use crate::core::{Core, mailbox_of};
use crate::frames::{FrameStream, Frames, frames};
use crate::inbound::{Inbound, Submitter, check_chain, hello, received, welcome};
use crate::links::{Caller, Link};
use crate::loads::{LOADS_ASIDE, take_loads};
use crate::outbound::{Outbound, send_progress, send_results};
use crate::past;

/// Messages that one call may ask about.
const STATUSES_MAX: usize = 256;

/// The service.
pub(crate) struct Exchange(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl ExchangeService for Exchange {
    type ConnectStream = FrameStream;
    type FetchAttachmentStream = ReceiverStream<Result<pb::FetchAttachmentResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let peer = Peer::of(&request)?.clone();
        let party = mailbox_of(&peer.identity).map_err(|refusal| status(&refusal))?;
        let (frames, stream) = frames();
        let core = self.0.clone();
        self.0.streams.spawn(serve(core, peer, party, request.into_inner(), frames));
        Ok(Response::new(stream))
    }

    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let peer = Peer::of(&request)?.identity.clone();
        let envelope = request.into_inner().envelope.ok_or_else(|| missing("envelope"))?;
        mailbox_of(&peer).and_then(|_| self.0.charge(&peer, 1)).map_err(|refusal| status(&refusal))?;
        let result =
            self.0.calls.submit(&self.0, envelope, &peer).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::SubmitResponse { result: Some(result) }))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let peer = Peer::of(&request)?.identity.clone();
        let explained = self.explanation(&peer, &request.into_inner()).await;
        explained.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn statuses(
        &self,
        request: Request<pb::StatusesRequest>,
    ) -> Result<Response<pb::StatusesResponse>, Status> {
        let party = mailbox_of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        let ids = request.into_inner().ids;
        if ids.len() > STATUSES_MAX {
            return Err(status(&Refusal::of(Reason::TooLarge, "ids")));
        }
        let own = |id: &MessageId| id.sender.party() == party;
        let ids = ids.iter().filter_map(|id| id.parse().ok()).filter(own).collect();
        let statuses = past::statuses(&self.0, ids).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::StatusesResponse { statuses }))
    }

    async fn find_attachment(
        &self,
        request: Request<pb::FindAttachmentRequest>,
    ) -> Result<Response<pb::FindAttachmentResponse>, Status> {
        attachments::find(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn put_attachment(
        &self,
        request: Request<Streaming<pb::PutAttachmentRequest>>,
    ) -> Result<Response<pb::PutAttachmentResponse>, Status> {
        let peer = Peer::of(&request)?.identity.clone();
        let party = mailbox_of(&peer).map_err(|refusal| status(&refusal))?;
        self.0.charge(&peer, 1).map_err(|refusal| status(&refusal))?;
        attachments::put(&self.0, party, request.into_inner()).await.map(Response::new)
    }

    async fn fetch_attachment(
        &self,
        request: Request<pb::FetchAttachmentRequest>,
    ) -> Result<Response<Self::FetchAttachmentStream>, Status> {
        let party = mailbox_of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        attachments::fetch(self.0.clone(), party, request.into_inner()).await.map(Response::new)
    }

    async fn list_posts(
        &self,
        request: Request<pb::ListPostsRequest>,
    ) -> Result<Response<pb::ListPostsResponse>, Status> {
        match mailbox_of(&Peer::of(&request)?.identity) {
            Ok(Party::Bureau(country)) => Ok(Response::new(self.0.grants.list(country))),
            Ok(Party::Secretariat) => Err(status(&Refusal::of(Reason::NotAuthorised, "identity"))),
            Err(refusal) => Err(status(&refusal)),
        }
    }
}

impl Exchange {
    async fn explanation(
        &self,
        peer: &Identity,
        request: &pb::ExplainRequest,
    ) -> Result<pb::ExplainResponse, Refusal> {
        let sender = peer.sender().ok_or_else(|| Refusal::of(Reason::NotAuthorised, "identity"))?;
        let kind: Kind = known::<pb::Kind, Kind>(request.kind, "kind")?;
        let audience: Audience =
            request.audience.clone().ok_or_else(|| Refusal::of(Reason::Malformed, "audience"))?.try_into()?;
        let refers_to: Option<MessageId> = parsed_option(&request.refers_to, "refers_to")?;
        let mut except: BTreeSet<CountryCode> = BTreeSet::new();
        for country in &request.except {
            except.insert(parsed(country, "except")?);
        }
        // What is closed stays closed: nothing is missed between the two looks.
        let referred = match &refers_to {
            Some(id) if self.0.views().state.message(id).is_none() => {
                past::closed(&self.0, id.clone()).await?
            }
            _ => None,
        };
        let views = self.0.views();
        let under_way = self.0.links.under_way(&views.state);
        let question = Question {
            sender: &sender,
            kind,
            audience: &audience,
            except: &except,
            refers_to: refers_to.as_ref(),
            referred: referred.as_ref(),
            under_way: &under_way,
        };
        let parties = explain(&views.state, &question)?;
        let explanation = |(party, rule): (Party, Rule)| pb::Explanation {
            party: party.to_string(),
            admitted: rule.admits(),
            rule: pb::Rule::from(rule).into(),
        };
        Ok(pb::ExplainResponse {
            directory_position: views.position,
            parties: parties.into_iter().map(explanation).collect(),
        })
    }
}

pub(crate) fn missing(field: &'static str) -> Status {
    status(&Refusal::of(Reason::Malformed, field))
}

/// One stream from Hello to its end.
async fn serve(
    core: Arc<Core>,
    connection: Peer,
    party: Party,
    mut requests: Streaming<pb::ConnectRequest>,
    frames: Frames,
) {
    let end = core.streams.stop().child_token();
    let peer = connection.identity.clone();
    // A stream that has not begun when the hub stops is not waited for.
    let Some(hello) = end.run_until_cancelled(hello(&mut requests)).await else { return };
    let opened = match hello {
        Ok(hello) => {
            let opened = open(&core, &peer, party, &hello);
            opened.map(|(welcome, lost)| (welcome, lost, received(&core, party, &hello), hello))
        }
        Err(refusal) => Err(refusal),
    };
    let (welcome, sent, received, hello) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return farewell(&frames, &refusal).await,
    };
    let cursor = core.views().state.cursor(party);
    let signed_for = if hello.deliver_anew { Lane::ALL.map(|lane| cursor.handed(lane)) } else { received };
    let lost = LostHere { sent, received: Anew::between(party, received, signed_for) };
    let began = core.clock.now();
    let caller = Caller { peer: connection, program: hello.program, began };
    let link = Arc::new(Link::new(party, cursor, received, end.clone(), caller));
    if hello.sent_at_ms > 0 {
        link.clock_was(Timestamp::from_millis(hello.sent_at_ms), began);
    }
    core.links.enter(link.clone());
    tracing::info!(%party, "linked");
    // Before anything else, so that results and deliveries come behind it.
    let greeted = frames.send(Frame::Welcome(welcome)).await;
    if greeted.is_ok() {
        let (results, outcomes) = mpsc::channel(core.window as usize);
        let submitter = Submitter { core: core.clone(), peer, results };
        let (loads, aside) = mpsc::channel(LOADS_ASIDE);
        let inbound = Inbound { link: link.clone(), submitter: submitter.clone(), loads };
        let outbound = Outbound {
            core: core.clone(),
            link: link.clone(),
            frames: frames.clone(),
            introduced: BTreeSet::new(),
        };
        // Tasks of their own, so that what wakes one does not look at the others. They end with the set.
        let mut parts = JoinSet::new();
        parts.spawn(inbound.run(requests).in_current_span());
        parts.spawn(take_loads(submitter, aside).in_current_span());
        parts.spawn(outbound.run(lost).in_current_span());
        parts.spawn(send_results(core.clone(), outcomes, frames.clone()).in_current_span());
        parts.spawn(send_progress(core.clone(), link.clone(), frames.clone()).in_current_span());
        // Whichever ends first ends the stream; what the others hold can be asked for again.
        let ended = tokio::select! {
            first = parts.join_next() => {
                let ended = first.and_then(Result::ok).unwrap_or(Ok(()));
                ended.inspect_err(|refusal| tracing::warn!(%party, %refusal, "stream refused"))
            }
            () = frames.closed() => Ok(()),
            () = end.cancelled() => Err(Refusal::of(Reason::Busy, "stream")),
        };
        parts.shutdown().await;
        if let Err(refusal) = ended {
            farewell(&frames, &refusal).await;
        }
    }
    link.heard(core.clock.now());
    link.end.cancel();
    tracing::info!(%party, "unlinked");
}

/// What the hub says first, and of which lanes the bureau has lost what it sent.
fn open(
    core: &Core,
    peer: &Identity,
    party: Party,
    hello: &pb::Hello,
) -> Result<(pb::Welcome, Vec<LostLane>), Refusal> {
    let lost = LostLane::named(hello)?;
    let sender = peer.sender().ok_or_else(|| Refusal::of(Reason::NotAuthorised, "identity"))?;
    let welcome = welcome(core, party, &sender, hello)?;
    check_chain(core, &sender, hello)?;
    Ok((welcome, lost))
}

async fn farewell(frames: &Frames, refusal: &Refusal) {
    const FAREWELL_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
    let frame = frames.send(Frame::Farewell(refusal.into()));
    // A bureau that does not read misses the reason, nothing else.
    let _ = tokio::time::timeout(FAREWELL_WITHIN, frame).await;
}
