//! The databases of the network: what a record is, by which keys it is found, what counts as a match, and how a copy of them travels.
//!
//! Everything here is pure: time, randomness, keys and disks are handed in; nothing here knows gRPC.
