//! The hub's promises, checked before they count: signed by its service key, for the very header that was sent, in the
//! log of this stream. It must not decide what follows from one.

use i247_model::{Identity, MessageId, Reason, Refusal};
use i247_trust::VerifyingKey;
use i247_wire::pb;
use prost::Message as _;

use crate::checks::Signers;
use crate::outbox::Acceptance;
use crate::views::Views;

/// Checks promises that came one after the other, the signatures together: one may cover several of them.
///
/// # Errors
/// For the first that does not hold. None of them counts then.
pub(crate) fn check<'a>(
    promises: impl IntoIterator<Item = (&'a MessageId, &'a pb::Signed)>,
    signers: &Signers,
    log_id: &[u8],
    views: &Views,
) -> Result<(), Refusal> {
    let mut ids = Vec::new();
    let mut signed: Vec<(&pb::Signed, VerifyingKey)> = Vec::new();
    for (id, promise) in promises {
        let key_id = i247_wire::hash(&promise.key_id, "acceptance.key_id")?;
        let signer = signers.find(&key_id);
        let signer = signer.ok_or_else(|| Refusal::of(Reason::UnknownKey, "acceptance.key_id"))?;
        if !matches!(signer.identity, Identity::Hub(_)) {
            return Err(Refusal::of(Reason::NotAuthorised, "acceptance.key_id"));
        }
        ids.push(id);
        signed.push((promise, signer.key));
    }
    let payloads = i247_trust::verify_together(i247_wire::payload::ACCEPTANCE, &signed);
    for (id, payload) in ids.into_iter().zip(payloads) {
        let acceptance = pb::Acceptance::decode(payload?)
            .map_err(|_| Refusal::of(Reason::Malformed, "acceptance.payload"))?;
        let sealed = views.outbox.get(id).and_then(|sent| sent.sealed);
        let own = sealed.map(|sealed| sealed.header_hash);
        let same = own.is_some_and(|hash| acceptance.header_hash.as_ref() == hash.as_bytes().as_slice());
        if acceptance.id != id.to_string() || !same || acceptance.log_id != log_id {
            return Err(Refusal::of(Reason::BodyMismatch, "acceptance"));
        }
        // Whatever is journaled must be readable at every start.
        Acceptance::try_from(&acceptance)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use i247_model::{Hash, Kind, Timestamp};
    use i247_trust::{Authority, Credentials, TlsKey, Validity};
    use i247_wire::payload;

    use super::*;
    use crate::story::{about, accepted, header, sealed};

    /// A hub, a bureau that is none, and whoever was introduced: both.
    fn signers() -> (Credentials, Credentials, Signers) {
        let now = Timestamp::from_millis(1_900_000_000_000);
        let validity = Validity::lasting(now, Duration::from_secs(86_400));
        let authority = Authority::new(validity, TlsKey::P256).unwrap();
        let enrol = |path: &str| {
            let identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            authority.enrol(&identity, &["127.0.0.1"], validity, TlsKey::P256).unwrap()
        };
        let (hub, bureau) = (enrol("gs/hub/lyon"), enrol("ncb/br"));
        let mut signers = Signers::new(Arc::new(hub.root.clone()));
        for who in [&hub, &bureau] {
            signers.introduce(&who.signing_chain, now).unwrap();
        }
        (hub, bureau, signers)
    }

    /// Two messages that were sent, and what the hub promises for them.
    fn sent() -> (Views, Vec<MessageId>, Vec<pb::Acceptance>) {
        let mut views = Views::new("FR".parse().unwrap());
        let (mut ids, mut promises) = (Vec::new(), Vec::new());
        for number in 1..=2 {
            let words = header(&format!("FR-1-N-{number}"), Kind::FreeText);
            views.apply(2 * number - 1, &accepted(&words, about(""), "")).unwrap();
            views.apply(2 * number, &sealed(&words)).unwrap();
            let hash: Hash = i247_trust::header_hash(&i247_wire::encode_header(&words));
            promises.push(pb::Acceptance {
                id: words.id.to_string(),
                header_hash: bytes::Bytes::copy_from_slice(hash.as_bytes()),
                log_id: bytes::Bytes::from_static(b"log"),
                position: 10 + number,
                ..Default::default()
            });
            ids.push(words.id);
        }
        (views, ids, promises)
    }

    fn together(by: &Credentials, promises: &[pb::Acceptance]) -> Vec<pb::Signed> {
        let payloads = promises.iter().map(prost::Message::encode_to_vec).collect();
        i247_trust::sign_together(&by.signing_key, payload::ACCEPTANCE, payloads)
    }

    #[test]
    fn promises_under_one_signature_hold_for_what_was_sent_and_for_nothing_else() {
        let (hub, bureau, signers) = signers();
        let (views, ids, promises) = sent();
        let checked = |signed: &[pb::Signed]| check(ids.iter().zip(signed), &signers, b"log", &views);
        let reason = |signed: &[pb::Signed]| checked(signed).unwrap_err().reason;
        let signed = together(&hub, &promises);
        assert_eq!(signed[0].signature, signed[1].signature, "one signature");
        assert_eq!(checked(&signed), Ok(()));
        assert_eq!(
            checked(&[together(&hub, &promises[..1]), together(&hub, &promises[1..])].concat()),
            Ok(())
        );

        assert_eq!(reason(&[signed[1].clone(), signed[0].clone()]), Reason::BodyMismatch);
        assert_eq!(reason(&together(&bureau, &promises)), Reason::NotAuthorised);
        let mut forged = signed.clone();
        forged[1].payload = signed[0].payload.clone();
        assert_eq!(reason(&forged), Reason::BadSignature);
        let other_log = check(ids.iter().zip(&signed), &signers, b"another log", &views);
        assert_eq!(other_log.unwrap_err().reason, Reason::BodyMismatch);
        let mut other_header = promises.clone();
        other_header[1].header_hash = promises[0].header_hash.clone();
        assert_eq!(reason(&together(&hub, &other_header)), Reason::BodyMismatch);
    }
}
