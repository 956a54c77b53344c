//! Stories of the network, told in the test kit's words.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod operation;
mod question;
mod tidy;
