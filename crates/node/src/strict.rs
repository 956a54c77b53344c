//! The protocol taken at its word: what tonic lets pass although gRPC does not allow it.
//!
//! Left alone, it serves `GET`, any content type, no `te`, `grpc-timeout: banana`, `/Svc/Method?x=1` and a second
//! message in a unary call, all with status OK.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, TE};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

/// What is wrong with a call before its body is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// Not `POST`.
    #[error("a call is made with POST")]
    Method,
    /// Not `application/grpc` or `application/grpc+proto`.
    #[error("the content-type of a call is application/grpc or application/grpc+proto")]
    ContentType,
    /// `te: trailers` is missing.
    #[error("a call carries te: trailers")]
    Te,
    /// A query string, which could walk round an authorisation rule.
    #[error("the path of a call has no query")]
    Query,
    /// `grpc-timeout` is not 1 to 8 digits and a unit of `HMSmun`, or stands there twice.
    #[error("grpc-timeout is 1 to 8 digits and one of H, M, S, m, u, n")]
    Timeout,
}

/// Checks the head of a call, and returns the caller's deadline if it set one.
pub fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Option<Duration>, Breach> {
    if method != Method::POST {
        return Err(Breach::Method);
    }
    if !matches!(only(headers, CONTENT_TYPE.as_str()), Some(b"application/grpc" | b"application/grpc+proto"))
    {
        return Err(Breach::ContentType);
    }
    if only(headers, TE.as_str()) != Some(b"trailers") {
        return Err(Breach::Te);
    }
    if uri.query().is_some() {
        return Err(Breach::Query);
    }
    if !headers.contains_key("grpc-timeout") {
        return Ok(None);
    }
    only(headers, "grpc-timeout").and_then(timeout).map(Some).ok_or(Breach::Timeout)
}

impl Breach {
    /// The answer: plain HTTP to what is no gRPC call at all, a gRPC status to the rest.
    pub(crate) fn response(&self) -> Response<tonic::body::Body> {
        let code = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Te | Self::Query | Self::Timeout => {
                return Status::invalid_argument(self.to_string()).into_http();
            }
        };
        let mut response = Response::new(tonic::body::Body::empty());
        *response.status_mut() = code;
        if *self == Self::Method {
            response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("POST"));
        }
        response
    }
}

/// The value of a header that stands there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// A request body that holds at most one message; a second ends the call.
#[derive(Debug)]
pub(crate) struct OneMessage<B> {
    body: B,
    /// Bytes of the message's head (a flag and a length) that have come.
    head: Vec<u8>,
    /// Bytes of the message still to come, once its head is there.
    left: u64,
}

impl<B> OneMessage<B> {
    const HEAD_BYTES: usize = 5;

    pub(crate) fn new(body: B) -> Self {
        Self { body, head: Vec::with_capacity(Self::HEAD_BYTES), left: 0 }
    }

    /// Whether the bytes that came belong to the first message.
    fn belongs(&mut self, mut bytes: &[u8]) -> bool {
        if self.head.len() < Self::HEAD_BYTES {
            let take = bytes.len().min(Self::HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if let [_, a, b, c, d] = self.head[..] {
                self.left = u64::from(u32::from_be_bytes([a, b, c, d]));
            }
        }
        let came = bytes.len() as u64;
        let belongs = came <= self.left;
        self.left = self.left.saturating_sub(came);
        belongs
    }
}

impl<B> Body for OneMessage<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(frame) = std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Into::into)?;
        if frame.data_ref().is_some_and(|bytes| !this.belongs(bytes)) {
            let refused = Status::invalid_argument("this call takes exactly one message");
            return Poll::Ready(Some(Err(refused.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    const GOOD: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

    #[test]
    fn a_good_call_passes_and_each_single_change_is_refused() {
        let path = Uri::from_static("/i247.v1.ExchangeService/Submit");
        assert_eq!(check(&Method::POST, &path, &head(&GOOD)), Ok(None));
        assert_eq!(check(&Method::GET, &path, &head(&GOOD)), Err(Breach::Method));
        let query = Uri::from_static("/i247.v1.ExchangeService/Submit?x=1");
        assert_eq!(check(&Method::POST, &query, &head(&GOOD)), Err(Breach::Query));
        for content_type in ["application/json", "application/grpc+json", "application/grpcx"] {
            let headers = head(&[("content-type", content_type), GOOD[1]]);
            assert_eq!(check(&Method::POST, &path, &headers), Err(Breach::ContentType));
        }
        assert_eq!(check(&Method::POST, &path, &head(&GOOD[1..])), Err(Breach::ContentType));
        assert_eq!(check(&Method::POST, &path, &head(&GOOD[..1])), Err(Breach::Te));
        assert_eq!(check(&Method::POST, &path, &head(&[GOOD[0], GOOD[1], GOOD[1]])), Err(Breach::Te));
    }

    #[test]
    fn a_deadline_is_digits_and_a_unit() {
        let path = Uri::from_static("/s/m");
        let deadline = |text| check(&Method::POST, &path, &head(&[GOOD[0], GOOD[1], ("grpc-timeout", text)]));
        assert_eq!(deadline("20S"), Ok(Some(Duration::from_secs(20))));
        assert_eq!(deadline("150m"), Ok(Some(Duration::from_millis(150))));
        assert_eq!(deadline("99999999H"), Ok(Some(Duration::from_secs(359_999_996_400))));
        for text in ["banana", "", "S", "123456789S", "-1S", "1 S", "1s", "1"] {
            assert_eq!(deadline(text), Err(Breach::Timeout), "{text}");
        }
    }

    #[test]
    fn a_second_message_is_noticed_however_the_bytes_are_cut() {
        let message = b"\x00\x00\x00\x00\x03abc";
        for cut in 0..=message.len() {
            let mut body = OneMessage::new(());
            assert!(body.belongs(&message[..cut]) && body.belongs(&message[cut..]));
            assert!(body.belongs(b""));
            assert!(!body.belongs(b"\x00"), "cut at {cut}");
        }
        let mut body = OneMessage::new(());
        assert!(!body.belongs(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"));
    }
}
