//! The rules one by one: each test starts from something accepted and changes one thing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod delivery;
mod explained;
mod grants;
mod kit;
mod notices;
mod recovery;
mod refusals;
mod requests;
