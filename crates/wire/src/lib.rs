//! The bytes: protobuf types, and the only conversions between them and the nouns of `model`.
//!
//! It decides nothing. What comes from the network is a [`pb`] type; what the rest of the program
//! works with is a noun that is valid by construction; the way from one to the other is here.

/// The generated types and services of package `i247.v1`.
#[expect(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated; the documents are the comments in proto/"
)]
pub mod pb {
    tonic::include_proto!("i247.v1");
}

/// The descriptor of package `i247.v1`, for server reflection and for the golden comparison.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/i247.v1.binpb"));
