//! The calls on one connection: checked, authorised, bounded in number and time, then handed to the services.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use i247_model::{Reason, Refusal};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service as _;
use tracing::Instrument as _;

use crate::authorise::{Rules, Shape};
use crate::limits::Limits;
use crate::server::Peer;
use crate::strict::{self, OneMessage};
use crate::trace;

/// hyper's service for one connection.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) peer: Peer,
    pub(crate) rules: Arc<Rules>,
    pub(crate) routes: Routes,
    pub(crate) limits: Arc<Limits>,
    /// How many calls are under way.
    pub(crate) open: watch::Sender<u32>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Held>, Infallible>> + Send>>;

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Held>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let held = Open::new(&self.open);
        let calls = self.clone();
        Box::pin(async move {
            let response = match calls.admit(&request, held.number) {
                Ok((shape, limit)) => calls.answer(request, shape, limit).await,
                Err(refused) => *refused,
            };
            Ok(response.map(|body| Held { body, _open: held }))
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
        self.rules.check(path, &self.peer.identity).map_err(|refusal| refused(&refusal))?;
        let upload = shape.caller_streams && !shape.answer_streams;
        let limit = if upload { self.limits.upload } else { self.limits.call };
        Ok((shape, deadline.map_or(limit, |deadline| deadline.min(limit))))
    }

    async fn answer(mut self, request: Request<Incoming>, shape: Shape, limit: Duration) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let span = tracing::info_span!("call", method = head.uri.path(), caller = %self.peer.identity);
        if let Some(parent) = head.headers.get("traceparent").and_then(|value| value.to_str().ok()) {
            trace::set_parent(&span, parent);
        }
        head.extensions.insert(self.peer);
        let body = if shape.caller_streams { Body::new(body) } else { Body::new(OneMessage::new(body)) };
        let answer = self.routes.call(Request::from_parts(head, body)).instrument(span);
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => response,
            Err(_late) => Status::deadline_exceeded("the call took too long").into_http(),
        }
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

/// An answer's body; the call is under way until it ends.
pub(crate) struct Held {
    body: Body,
    _open: Open,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
