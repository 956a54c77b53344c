//! SearchService: reads a frame of keys, has them looked up, notes the search, and only then answers. What the asker may
//! not see is not found by the look-up; nothing here knows of it.

mod frame;
mod hits;

use std::sync::Arc;

use i247_model::{Identity, Party, Reason, Refusal, Verb};
use i247_node::Peer;
use i247_records::Date;
use i247_wire::pb::search_service_server::SearchService;
use i247_wire::pb::search_stream_response::Frame as Answered;
use i247_wire::{pb, status};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::core::Core;
use crate::searched::Tally;
use frame::{Frame, answers, check_size, judge, only_checked};
pub(crate) use hits::stands;

/// Answers that wait in a stream for the network.
const FRAMES_AHEAD: usize = 8;

/// The largest frame of keys, in bytes: 256 of the longest.
pub(crate) const SEARCH_BYTES_MAX: usize = 256 * 1024;

/// The service.
pub(crate) struct Search(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl SearchService for Search {
    type SearchStreamStream = ReceiverStream<Result<pb::SearchStreamResponse, Status>>;
    type WatchHitsStream = ReceiverStream<Result<pb::WatchHitsResponse, Status>>;

    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        let found = self.0.search(&asker, request.get_ref()).await;
        found.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn search_stream(
        &self,
        request: Request<Streaming<pb::SearchStreamRequest>>,
    ) -> Result<Response<Self::SearchStreamStream>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        let (answers, stream) = mpsc::channel(FRAMES_AHEAD);
        self.0.streams.spawn(serve(self.0.clone(), asker, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn hand_in_roll_up(
        &self,
        request: Request<pb::HandInRollUpRequest>,
    ) -> Result<Response<pb::HandInRollUpResponse>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        let taken = self.0.take_roll_up(&asker, request.get_ref()).await;
        let agrees = taken.map_err(|refusal| status(&self.0.count(&asker.identity, refusal)))?;
        Ok(Response::new(pb::HandInRollUpResponse { agrees }))
    }

    async fn watch_hits(
        &self,
        request: Request<pb::WatchHitsRequest>,
    ) -> Result<Response<Self::WatchHitsStream>, Status> {
        let asker = Asker::of(&Peer::of(&request)?.identity).map_err(|refusal| status(&refusal))?;
        let may = hits::may_watch(&self.0, &asker, self.0.clock.now());
        may.map_err(|refusal| status(&self.0.count(&asker.identity, refusal)))?;
        let (told, stream) = mpsc::channel(FRAMES_AHEAD);
        self.0.streams.spawn(hits::watch(self.0.clone(), asker, request.into_inner(), told));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) identity: Identity,
    /// What it may see is what its country may see. A post may be granted less.
    pub(crate) party: Party,
}

impl Asker {
    /// # Errors
    /// `NOT_AUTHORISED` for those who ask nothing.
    pub(crate) fn of(identity: &Identity) -> Result<Self, Refusal> {
        match identity {
            Identity::Bureau(country) | Identity::Post(country, _) => {
                Ok(Self { identity: identity.clone(), party: Party::Bureau(*country) })
            }
            _ => Err(Refusal::of(Reason::NotAuthorised, "identity")),
        }
    }
}

/// One stream to its end: a frame is read when the one before it is answered, and its answer has room.
async fn serve(
    core: Arc<Core>,
    asker: Asker,
    mut frames: Streaming<pb::SearchStreamRequest>,
    answers: mpsc::Sender<Result<pb::SearchStreamResponse, Status>>,
) {
    let stop = core.streams.stop();
    loop {
        // What was not read is not answered: the client asks again elsewhere.
        let next = tokio::select! {
            next = frames.message() => next,
            () = stop.cancelled() => return,
        };
        let Ok(Some(frame)) = next else { return };
        let found = match &frame.search {
            Some(search) => core.search(&asker, search).await,
            None => Err(Refusal::of(Reason::Malformed, "search")),
        };
        let frame = match found {
            Ok(found) => Answered::Answers(found),
            Err(refusal) => Answered::Refusal((&refusal).into()),
        };
        if answers.send(Ok(pb::SearchStreamResponse { frame: Some(frame) })).await.is_err() {
            return;
        }
    }
}

impl Core {
    /// Takes what a post has signed of its searches.
    async fn take_roll_up(&self, post: &Asker, given: &pb::HandInRollUpRequest) -> Result<bool, Refusal> {
        self.check_open()?;
        let now = self.clock.now();
        self.grants.allows(&post.identity, &[], now)?;
        let waited = self.searches.take(&post.identity, 1, self.clock.monotonic());
        waited.map_err(|wait| Refusal::of(Reason::Busy, "quota").retry_after(wait))?;
        let root = self.views().signers.root().clone();
        self.audit.take_roll_up(&post.identity, given, &root, now).await
    }

    /// Answers a frame of keys, once the search is noted.
    ///
    /// # Errors
    /// The frame is refused whole: what it lacks, what is not granted, how much is too much, and `READ_ONLY`, `BEHIND`
    /// or `BUSY` when it may come again. A key that is none is refused in its own place.
    ///
    /// # Cancel safety
    /// Dropped, the search may be noted and nobody has its answer.
    pub(crate) async fn search(
        self: &Arc<Self>,
        asker: &Asker,
        request: &pb::SearchRequest,
    ) -> Result<pb::SearchResponse, Refusal> {
        let begun = self.clock.monotonic();
        let answered = self.answer(asker, request).await;
        let ended = self.clock.monotonic();
        let took = ended.saturating_sub(begun);
        let now = self.clock.now();
        match &answered {
            Ok((response, tally)) => {
                self.pace.searched(took, ended);
                self.searched.answered(now, asker.party, tally, took);
                self.counters.searched(response, tally, took);
            }
            Err(refusal) => {
                self.searched.refused(now, refusal.reason);
                self.counters.search_refused(refusal.reason);
            }
        }
        answered.map(|(response, _)| response)
    }

    async fn answer(
        self: &Arc<Self>,
        asker: &Asker,
        request: &pb::SearchRequest,
    ) -> Result<(pb::SearchResponse, Tally), Refusal> {
        self.check_open()?;
        self.audit.check_open()?;
        let now = self.clock.now();
        let today = Date::of(now);
        let allowance = self.grants.allows(&asker.identity, &frame::named(request)?, now);
        let allowance = allowance.inspect_err(|refusal| {
            tracing::info!(asker = %asker.identity, %refusal, "search refused");
        })?;
        let placed = frame::placed(asker, request)?;
        let mut frame = Frame::read(asker, request, &allowance.databases, today)?;
        if allowance.partner {
            frame.check_partner(&request.keys)?;
        }
        self.grants.charge(&asker.identity, &allowance, frame.len()).await?;
        let waited = self.searches.take(&asker.identity, frame.len(), self.clock.monotonic());
        waited.map_err(|wait| Refusal::of(Reason::Busy, "quota").retry_after(wait))?;
        let as_of_position = self.databases_as_of();
        let (found, times) = frame.look_up(&self.databases, asker, today, &*self.clock).await?;
        let mut told = judge(&frame, found);
        let only_checks = allowance.verb == Verb::CheckOnly;
        if !only_checks {
            check_size(&told)?;
        }
        let record = frame.record(&self.audit, asker, now, &told);
        match &placed {
            Some(placed) => self.audit.note_placed(record, placed)?,
            None => self.audit.note(&record)?,
        };
        let is_post = matches!(asker.identity, Identity::Post(..));
        if is_post && frame.normalised().any(|key| self.grants.enumerates(&asker.identity, &key)) {
            self.counters.enumerated();
            tracing::warn!(asker = %asker.identity, "one number after the other is asked about");
        }
        let tally = frame.tally(&told, &times);
        if only_checks {
            let response = frame.response(only_checked(&frame, &told), 0);
            // Not waited for: how long an answer takes says no more than what it says.
            let (core, asker) = (self.clone(), asker.clone());
            self.streams.spawn(async move { hits::notify(&core, &frame, &asker, &mut told, now).await });
            return Ok((response, tally));
        }
        hits::notify(self, &frame, asker, &mut told, now).await;
        let answers = answers(&frame, told);
        Ok((frame.response(answers, as_of_position), tally))
    }
}
