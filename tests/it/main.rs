//! Stories of the network, told in the test kit's words.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod absence;
mod alerts;
mod attachments;
mod audience;
mod copies;
mod crashes;
mod deadlines;
mod demo;
mod deploy;
mod derived;
mod disks;
mod duplicates;
mod explain;
mod hits;
mod hub_faults;
mod identity;
mod membership;
mod metrics;
mod monitor;
mod operation;
mod own_records;
mod points;
mod posts;
mod processes;
mod question;
mod rebuild;
mod records;
mod recovery;
mod refusals;
mod review;
mod scenario;
mod search;
mod tidy;
mod tracing;
mod urgency;
