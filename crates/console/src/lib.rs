//! `i247 console`: the operators' web page, under the operator's own identity at the hub.
//!
//! ```text
//!  browser ─► door ─► gate ─┬─► pages   the built front end, compiled in
//!   TLS or loopback,        ├─► api     one look-up, one call of the hub's monitor
//!   bounded                 └─► live    what the hub tells, gathered once for all who watch
//!            host, session, headers
//! ```
//!
//! It only looks: it has no way to send, and holds no key but the operator's own. Texts of the network go out as JSON
//! strings and nothing else, so that no name can become markup.

mod api;
mod attempts;
mod door;
mod gate;
mod live;
mod measured;
mod pages;
mod passwords;
mod recorded;
mod respond;
mod sessions;

pub use door::{BuildError, Console, Settings, TlsError, tls};
pub use passwords::{Passwords, PasswordsError, new_password};
