//! Messages numbered, chained and signed before the measurement begins: what is measured is the network, not this
//! process's own signing.

use bytes::Bytes;
use i247_model::{Audience, CountryCode, Hash, Lane, MessageId, Sender, Timestamp};
use i247_trust::{Credentials, carry, header_hash, sign_headers};
use i247_wire::pb;
use prost::Message as _;

/// Size of every body as it is carried, in bytes. Header, signature and path come on top.
pub(crate) const BODY_BYTES: usize = 1024;

/// The pen of one country.
#[derive(Clone)]
pub(crate) struct Pen {
    country: CountryCode,
    credentials: Credentials,
    /// The last number that was sent, and the hash of its header.
    last: Option<(u64, Hash)>,
}

/// Signed and not sent yet.
pub(crate) struct Letter {
    pub(crate) envelope: pb::Envelope,
    hash: Hash,
}

impl Pen {
    pub(crate) fn new(country: CountryCode, credentials: Credentials) -> Self {
        Self { country, credentials, last: None }
    }

    /// The number that the next letter gets.
    pub(crate) fn next(&self) -> u64 {
        self.last.map_or(0, |(number, _)| number) + 1
    }

    /// So many letters of free text to these audiences in turn, `burst` of them under one signature.
    pub(crate) fn write(
        &self,
        count: usize,
        burst: usize,
        audiences: &[Audience],
        now: Timestamp,
    ) -> Vec<Letter> {
        let audiences: Vec<pb::Audience> = audiences.iter().map(Into::into).collect();
        let mut previous = self.last.map(|(_, hash)| hash);
        let mut letters: Vec<Letter> = Vec::with_capacity(count);
        for (number, audience) in (self.next()..).zip(audiences.iter().cycle()).take(count) {
            let (header, body) = self.letter(number, previous, audience.clone(), now);
            let hash = header_hash(&header);
            previous = Some(hash);
            letters.push(Letter { envelope: pb::Envelope { header, body, signature: None }, hash });
        }
        for burst in letters.chunks_mut(burst) {
            let headers: Vec<Bytes> = burst.iter().map(|letter| letter.envelope.header.clone()).collect();
            let signatures = sign_headers(&self.credentials.signing_key, &headers);
            for (letter, signature) in burst.iter_mut().zip(signatures) {
                letter.envelope.signature = Some(signature);
            }
        }
        letters
    }

    /// So many letters were sent, this one the last: the next ones follow it. What was written behind it is waste.
    pub(crate) fn sent_up_to(&mut self, letter: &Letter, count: u64) {
        self.last = Some((self.next() + count - 1, letter.hash));
    }

    fn letter(
        &self,
        number: u64,
        previous: Option<Hash>,
        audience: pb::Audience,
        now: Timestamp,
    ) -> (Bytes, Bytes) {
        let id = MessageId { sender: Sender::Bureau(self.country), epoch: 1, lane: Lane::Normal, number };
        let carried = carry(&free_text(), salt(number));
        let header = pb::Header {
            version: 1,
            id: id.to_string(),
            key_id: bytes(&self.credentials.signing_key.key_id()),
            previous: previous.as_ref().map(bytes).unwrap_or_default(),
            kind: pb::Kind::FreeText.into(),
            audience: Some(audience),
            signed_at_ms: now.as_millis(),
            body_hash: bytes(&carried.body_hash),
            commitment: bytes(&carried.commitment),
            ..pb::Header::default()
        };
        (header.encode_to_vec().into(), carried.bytes)
    }
}

/// A body that is [`BODY_BYTES`] long as it is carried.
fn free_text() -> pb::Body {
    // Salt, tags and lengths around the text.
    const AROUND: usize = 18 + 3 + 11 + 4 + 4 + 3;
    pb::Body {
        subject: "Benchmark".into(),
        language: "EN".into(),
        form: Some(pb::body::Form::FreeText(pb::FreeText { text: "x".repeat(BODY_BYTES - AROUND) })),
        ..pb::Body::default()
    }
}

/// Different for every number; it hides nothing here.
fn salt(number: u64) -> [u8; 16] {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&number.to_le_bytes());
    salt
}

fn bytes(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use i247_model::Identity;
    use i247_trust::{Authority, TlsKey, Validity};

    use super::*;

    #[test]
    fn a_body_is_one_kibibyte_and_numbers_follow_what_was_sent() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let country: CountryCode = "FR".parse().unwrap();
        let validity = Validity::lasting(now, Duration::from_secs(60));
        let authority = Authority::new(validity, TlsKey::P256).unwrap();
        let identity = Identity::Bureau(country);
        let credentials = authority.enrol(&identity, &["localhost"], validity, TlsKey::P256).unwrap();
        let mut pen = Pen::new(country, credentials);
        let to = [Audience::countries(["BR".parse().unwrap()])];
        let letters = pen.write(3, 2, &to, now);
        assert!(letters.iter().all(|letter| letter.envelope.body.len() == BODY_BYTES));
        let bursts: Vec<u32> =
            letters.iter().map(|letter| letter.envelope.signature.as_ref().unwrap().count).collect();
        assert_eq!(bursts, [2, 2, 1]);
        pen.sent_up_to(&letters[0], 1);
        let again = pen.write(1, 1, &to, now);
        assert_eq!(again[0].hash, pen.write(1, 64, &to, now)[0].hash);
        let header = pb::Header::decode(again[0].envelope.header.clone()).unwrap();
        assert_eq!((header.id.as_str(), &header.previous[..]), ("FR-1-N-2", &letters[0].hash.as_bytes()[..]));
    }
}
