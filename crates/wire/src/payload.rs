//! The types that a [`pb::Signed`](crate::pb::Signed) may carry. They are part of what is signed, so both sides
//! name them from here.

/// The hub's promise to a sender: an encoded `Acceptance`.
pub const ACCEPTANCE: &str = "i247.v1.Acceptance";

/// What a recipient signs for: an encoded `Receipts`.
pub const RECEIPTS: &str = "i247.v1.Receipts";

/// What the authority orders: an encoded `DirectoryChange`.
pub const DIRECTORY_CHANGE: &str = "i247.v1.DirectoryChange";

/// What a post says that it asked: an encoded `SearchRollUp`.
pub const SEARCH_ROLL_UP: &str = "i247.v1.SearchRollUp";

/// What the hub states of an offline copy: the statement that `i247_records::offline` documents.
pub const OFFLINE_COPY: &str = "i247.v1.OfflineCopy";
