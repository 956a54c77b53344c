//! Whoever means harm: bad certificates, bent frames, floods, the wrong role, and a client that is not ours.
//!
//! ```text
//!   somebody hostile ── frames by hand ──► i247 hub, i247 bureau BR ◄── somebody honest, who must not notice
//! ```
//!
//! Each case ends as it should, an honest call is answered afterwards, and the process gives back memory and files.
//!
//! What is tried elsewhere and not again here: envelopes that are not canonical, forged or in another's name
//! (`tests/it/refusals`, `tests/it/identity.rs`), signatures at the edge of the rule (`crates/trust/tests/vectors.py`),
//! repetitions (`tests/it/duplicates.rs`), streams cut by a revocation (`tests/it/membership.rs`), connections that are
//! idle, too many or past their certificate (`crates/node/tests/server.rs`).
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod doors;
mod floods;
mod foreign;
mod frames;
mod line;
mod matrix;
mod posts;
mod scene;
mod shapes;
mod slow;
