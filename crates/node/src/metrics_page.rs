//! `GET /metrics` on a listener of its own, as Prometheus reads it. Nothing else is served there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock::sleep;
use crate::net::{BoxedStream, Listener};

/// How many may read at once; the next wait.
const READERS: usize = 8;
/// How long one reader may stay.
const DEADLINE: Duration = Duration::from_secs(10);

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn serve(listener: Box<dyn Listener>, registry: Registry) {
    let places = Arc::new(Semaphore::new(READERS));
    let mut readers = JoinSet::new();
    loop {
        // Closed only with this function; a reader that is gone frees its place before the next is accepted.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while readers.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = registry.clone();
                readers.spawn(async move {
                    let _place = place;
                    read(stream, registry).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept readers of metrics");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn read(stream: BoxedStream, registry: Registry) {
    let answer = service_fn(move |request| {
        let answer = page(&request, &registry);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(DEADLINE)
        .max_buf_size(16 * 1024)
        .auto_date_header(false)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // A reader that breaks off or takes too long has itself to blame.
    drop(tokio::time::timeout(DEADLINE, connection).await);
}

fn page(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "only /metrics is here\n");
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&registry.gather(), &mut text) {
        tracing::warn!(%error, "metrics cannot be written");
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    }
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(prometheus::TEXT_FORMAT));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
