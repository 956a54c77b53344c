//! What a post signs of its searches, and what the hub holds against it: digests of what was asked that only those two
//! can work out. It must not decide whether a roll-up is right.

use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::{Anchor, sha256, verify};

/// The name of a session: what stands in journals in the place of its salt.
pub fn search_session(salt: &[u8; 32]) -> [u8; 16] {
    let whole = sha256(&[b"i247.v1.SearchSession\0", salt]);
    let mut session = [0; 16];
    session.copy_from_slice(&whole.as_bytes()[..16]);
    session
}

/// The digest of a frame that was asked as this one of a session. Without the salt nobody can guess what was asked.
pub fn search_digest(salt: &[u8; 32], number: u64, search: &pb::SearchRequest) -> Hash {
    let asked = pb::SearchRequest { session: None, ..search.clone() }.encode_to_vec();
    sha256(&[b"i247.v1.SearchDigest\0", salt, &number.to_be_bytes(), &asked])
}

/// The root over digests, in the order of their numbers.
pub fn search_root<'a>(digests: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let digests: Vec<u8> = digests.into_iter().flat_map(|digest| digest.0).collect();
    sha256(&[b"i247.v1.SearchRollUp\0", &digests])
}

/// What a post has signed, by its certificate as it was at `at`.
///
/// # Errors
/// What the chain, the name in it or the signature lacks.
pub fn read_roll_up(
    given: &pb::HandInRollUpRequest,
    post: &Identity,
    anchor: &Anchor,
    at: Timestamp,
) -> Result<pb::SearchRollUp, Refusal> {
    let bad = |field: &str| Refusal::of(Reason::BadSignature, field);
    let malformed = |field: &str| Refusal::of(Reason::Malformed, field);
    let signed = given.signed.as_ref().ok_or_else(|| malformed("signed"))?;
    let signer = anchor.introduce_past(&given.chain, at).map_err(|_| bad("chain"))?;
    if signer.identity != *post {
        return Err(bad("chain"));
    }
    let payload = verify(signed, payload::SEARCH_ROLL_UP, &signer.key)?;
    pb::SearchRollUp::decode(payload).map_err(|_| malformed("signed.payload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_one_frame_of_one_session_and_what_was_asked_in_it() {
        let search = pb::SearchRequest { officer: "duty".into(), ..pb::SearchRequest::default() };
        let digest = search_digest(&[7; 32], 1, &search);
        let session = pb::SearchSession { salt: vec![7; 32].into(), number: 1 };
        let with_session = pb::SearchRequest { session: Some(session), ..search.clone() };
        assert_eq!(search_digest(&[7; 32], 1, &with_session), digest, "where it stands is not in it twice");
        let other = pb::SearchRequest { officer: "night".into(), ..search.clone() };
        for changed in [
            search_digest(&[8; 32], 1, &search),
            search_digest(&[7; 32], 2, &search),
            search_digest(&[7; 32], 1, &other),
        ] {
            assert_ne!(changed, digest);
        }
        let (one, two) = (Hash([1; 32]), Hash([2; 32]));
        assert_ne!(search_root([&one, &two]), search_root([&two, &one]));
        assert_ne!(search_root([&one]), search_root([]));
        assert_ne!(search_session(&[7; 32]), search_session(&[8; 32]));
    }
}
