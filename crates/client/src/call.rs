//! One call: a deadline that both sides know, and a typed error.

use std::future::Future;
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::ClientError;

/// How long a call may take where the caller sets nothing else.
pub(crate) const CALL: Duration = Duration::from_secs(20);

/// How long the upload or download of an attachment may take: 25 MiB at 100 KiB/s.
pub(crate) const TRANSFER: Duration = Duration::from_secs(260);

/// A request that tells the server its deadline and the span that it belongs to.
pub(crate) fn request<T>(message: T, within: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(within);
    if let Some(parent) = i247_node::trace::traceparent().and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("traceparent", parent);
    }
    request
}

/// Waits for the answer, and no longer than the deadline even where the server ignores it.
pub(crate) async fn answer<T>(
    within: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(ClientError::of(status, within)),
        Err(_late) => Err(ClientError::Late(within)),
    }
}
