//! The calls on one connection: checked, authorised, bounded in number and time, then handed to the services.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use i247_model::{Identity, Reason, Refusal};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower_service::Service as _;
use tracing::{Instrument as _, Span};

use crate::authorise::{Rules, Shape};
use crate::limits::Limits;
use crate::server::Peer;
use crate::strict::{self, OneMessage};
use crate::trace;

/// What spans of calls are known by to those who filter.
pub(crate) const TARGET: &str = module_path!();

/// hyper's service for one connection.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) peer: Peer,
    pub(crate) rules: Arc<Rules>,
    /// Counts what they refuse, by the RPC whose rule it is.
    pub(crate) denied: Counter<u64>,
    pub(crate) routes: Routes,
    pub(crate) limits: Arc<Limits>,
    /// How many calls are under way.
    pub(crate) open: watch::Sender<u32>,
    /// Which of them wait for the peer.
    pub(crate) answers: Answers,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Held>, Infallible>> + Send>>;

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Held>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let held = Open::new(&self.open);
        let (calls, waiting) = (self.clone(), self.answers.enter());
        Box::pin(async move {
            let response = match calls.admit(&request, held.number) {
                Ok((shape, limit)) => calls.answer(request, shape, limit).await,
                Err(refused) => *refused,
            };
            Ok(response.map(|body| Held { body, waiting, _open: held }))
        })
    }
}

impl Calls {
    /// The shape of the call and how long it may take, or the answer that refuses it.
    fn admit(
        &self,
        request: &Request<Incoming>,
        number: u32,
    ) -> Result<(Shape, Duration), Box<Response<Body>>> {
        let deadline = strict::check(request.method(), request.uri(), request.headers())
            .map_err(|breach| Box::new(breach.response()))?;
        if number > self.limits.calls_per_connection {
            return Err(refused(&Refusal::of(Reason::Busy, "calls").retry_after(Duration::from_millis(100))));
        }
        let path = request.uri().path();
        let Some(shape) = self.rules.shape(path) else {
            return Err(Box::new(Status::unimplemented("there is no such call here").into_http()));
        };
        self.rules.check(path, &self.peer.identity).map_err(|refusal| {
            // There are as many paths as rules: what is no call here has gone already.
            let rule = path.trim_start_matches('/').to_owned();
            self.denied.add(1, &[KeyValue::new("rule", rule)]);
            refused(&refusal)
        })?;
        let upload = shape.caller_streams && !shape.answer_streams;
        let limit = if upload { self.limits.upload } else { self.limits.call };
        Ok((shape, deadline.map_or(limit, |deadline| deadline.min(limit))))
    }

    async fn answer(mut self, request: Request<Incoming>, shape: Shape, limit: Duration) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let span = span(head.uri.path(), &self.peer.identity);
        if let Some(parent) = head.headers.get("traceparent").and_then(|value| value.to_str().ok()) {
            trace::set_parent(&span, parent);
        }
        head.extensions.insert(self.peer);
        let body = if shape.caller_streams { Body::new(body) } else { Body::new(OneMessage::new(body)) };
        let answer = self.routes.call(Request::from_parts(head, body)).instrument(span.clone());
        let response = match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => response,
            Err(_late) => Status::deadline_exceeded("the call took too long").into_http(),
        };
        if !shape.answer_streams {
            ended(&span, &response);
        }
        response
    }
}

/// A call, by the conventions of OpenTelemetry for RPC. Made only where traces are exported or logs tell all: one for each
/// call costs as much as half a search.
fn span(path: &str, caller: &Identity) -> Span {
    let name = path.trim_start_matches('/');
    let (service, method) = name.rsplit_once('/').unwrap_or((name, ""));
    tracing::debug_span!(
        "call",
        otel.name = name,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        %caller,
    )
}

/// Tells how a call ended whose one answer is there: what failed says so in its head, and has no body.
fn ended(span: &Span, response: &Response<Body>) {
    if span.is_disabled() {
        return;
    }
    let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    span.record("rpc.grpc.status_code", i64::from(i32::from(code)));
    // The caller's own faults are none of ours.
    let ours = [
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
    ];
    if ours.contains(&code) {
        span.record("otel.status_code", "ERROR");
    }
}

fn refused(refusal: &Refusal) -> Box<Response<Body>> {
    Box::new(i247_wire::status(refusal).into_http())
}

/// One call under way.
struct Open {
    open: watch::Sender<u32>,
    number: u32,
}

impl Open {
    fn new(open: &watch::Sender<u32>) -> Self {
        let mut number = 0;
        open.send_modify(|count| {
            *count += 1;
            number = *count;
        });
        Self { open: open.clone(), number }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.send_modify(|count| *count -= 1);
    }
}

/// The answers of one connection of which a piece waits to be taken, by their numbers, with how often it was seen to.
///
/// Whoever asks and does not read the answer makes us keep it; pings do not tell, since they are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    pieces: BTreeMap<u64, u32>,
}

impl Answers {
    /// How often the piece that has waited longest was seen to wait, before this.
    pub(crate) fn look(&self) -> u32 {
        let mut waiting = self.lock();
        let mut most = 0;
        for seen in waiting.pieces.values_mut() {
            most = most.max(*seen);
            *seen += 1;
        }
        most
    }

    fn enter(&self) -> Piece {
        let mut waiting = self.lock();
        waiting.next += 1;
        Piece { answers: self.clone(), number: waiting.next }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing can panic while it is held, so a poisoned lock holds sound counts all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one answer among [`Answers`].
struct Piece {
    answers: Answers,
    number: u64,
}

impl Piece {
    fn waits(&self, waits: bool) {
        let mut waiting = self.answers.lock();
        if waits {
            waiting.pieces.insert(self.number, 0);
        } else {
            waiting.pieces.remove(&self.number);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.waits(false);
    }
}

/// An answer's body; the call is under way until it ends.
pub(crate) struct Held {
    body: Body,
    waiting: Piece,
    _open: Open,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // hyper asks for the next piece when the one before has been taken.
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.waiting.waits(matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
