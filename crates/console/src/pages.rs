//! The built front end, compiled in. Built or not: a program without it says how to get it.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE};
use http::{HeaderValue, Response, StatusCode};

use crate::respond::{Body, with};

#[derive(rust_embed::Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// The file at this path; `/` is the page itself.
pub(crate) fn page(path: &str) -> Response<Body> {
    let name = match path {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let Some(file) = Dist::get(name) else {
        return match name {
            "index.html" => not_built(),
            _ => with(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"there is no such page\n")),
        };
    };
    let mut response = with(StatusCode::OK, media_type(name), file.data.into_owned().into());
    // The names of these files have a hash of what is in them.
    if name.starts_with("assets/") {
        let value = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, value);
    }
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

fn not_built() -> Response<Body> {
    let text = "This i247 was built without its pages.\n\nIn its source: make console\nThen build it again, and \
                start the console anew.\n";
    let mut response = with(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(text.as_bytes()));
    response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
