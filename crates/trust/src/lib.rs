//! Who said it: keys, certificates, envelopes, TLS.
//!
//! ```text
//!  SigningKey ── sign_headers ──► Envelope ── open ──► Attested    (a message, and who signed it)
//!             └─ sign ──────────► Signed ──── verify ► bytes       (anything else that is signed)
//!
//!  Authority ── issue ──► Credentials ─┬─ server_config, client_config   (TLS 1.3 both ways)
//!      │                               └─ signing_chain ── introduce ──► Signer
//!      └──► Root ◄── verify_chain: one verification for TLS and for signatures
//! ```
//!
//! A certificate says who somebody is. What they may do now is the directory's business, which is
//! asked through [`Admission`]. Nothing here stores messages, decides about them, or reads a clock.

mod at_rest;
mod authority;
mod batch;
mod body;
mod burst;
mod certificate;
mod copies;
mod credentials;
mod envelope;
mod files;
mod hash;
mod key;
mod profile;
mod request;
mod roll_up;
mod signed;
mod tls;
mod tree;

pub use at_rest::{AtRestError, AtRestKey, SEALED_MORE};
pub use authority::{Authority, AuthorityError, Issued};
pub use batch::{MAX_ITEMS, carry_batch, decode_batch};
pub use body::{CarriedBody, carry, open_carried};
pub use burst::{header_hash, sign_headers};
pub use certificate::{
    Anchor, Certificate, CertificateError, Root, Signer, Use, introduce, introduce_past, verify_chain,
};
pub use copies::{copy_network, copy_signed};
pub use credentials::{Credentials, CredentialsError};
pub use envelope::{Attested, Door, MAX_AHEAD, open, open_many, open_submission};
pub use files::FileError;
pub use hash::sha256;
pub use key::{KeyError, SigningKey, VerifyingKey};
pub use profile::Validity;
pub use request::{Request, TlsKey};
pub use roll_up::{read_roll_up, search_digest, search_root, search_session};
pub use signed::{sign, sign_together, verify, verify_together};
pub use tls::{Admission, Peer, Presented, TlsError, client_config, peer_identity, server_config};
pub use tree::MAX_BURST;
