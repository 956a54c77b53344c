//! The body of a message of records: a batch whose items are bound to the header one by one.
//!
//! ```text
//!  item ── salt ‖ change ──► leaf ──┐
//!  item ── erased ─────────► leaf ──┴─► root = commitment       body hash = SHA-256(context ‖ 0x00 ‖ database ‖ count ‖ root)
//! ```
//!
//! So an item can be erased alone, and what is left of the batch is still what its sender signed. It must not know what
//! a change says.

use bytes::Bytes;
use i247_model::{Hash, Header, Reason, Refusal};
use i247_wire::pb;
use prost::Message as _;

use crate::body::CarriedBody;
use crate::envelope::Door;
use crate::sha256;
use crate::tree::Tree;

/// Most items of a batch.
pub const MAX_ITEMS: usize = 1024;

const CONTEXT: &[u8] = b"i247.v1.RecordBatch";
const TREE: Tree = Tree(b"i247 record");
const SALT_BYTES: usize = 16;

/// Packs a batch of at least one item. Each salt must be random and used for nothing else.
///
/// # Errors
/// As for a batch that comes: an item without salt or change, too many, none.
pub fn carry_batch(batch: &pb::RecordBatch) -> Result<CarriedBody, Refusal> {
    let commitment = root(batch, Door::Submission)?;
    let bytes = Bytes::from(batch.encode_to_vec());
    Ok(CarriedBody { body_hash: body_hash(batch, &commitment), commitment, bytes })
}

/// The batch in a body whose hashes are known to be right, as those of an [`Attested`](crate::Attested) message are.
///
/// # Errors
/// `MALFORMED` with `body`.
pub fn decode_batch(bytes: &Bytes) -> Result<pb::RecordBatch, Refusal> {
    pb::RecordBatch::decode(bytes.clone()).map_err(|_| Refusal::of(Reason::Malformed, "body"))
}

/// Whether a body is the batch that the header was made for.
///
/// # Errors
/// `MALFORMED`, `NOT_CANONICAL`, `TOO_LARGE`, `BODY_MISMATCH` with `body`, `commitment` or the item.
pub(crate) fn check(bytes: &Bytes, header: &Header, door: Door) -> Result<(), Refusal> {
    let batch = decode_batch(bytes)?;
    let commitment = root(&batch, door)?;
    if body_hash(&batch, &commitment) != header.body_hash {
        return Err(Refusal::of(Reason::BodyMismatch, "body"));
    }
    if commitment != header.commitment {
        return Err(Refusal::of(Reason::BodyMismatch, "commitment"));
    }
    // What no leaf covers must not be there.
    if batch.encode_to_vec() != bytes[..] {
        return Err(Refusal::of(Reason::NotCanonical, "body"));
    }
    Ok(())
}

fn body_hash(batch: &pb::RecordBatch, root: &Hash) -> Hash {
    let count = (batch.items.len() as u64).to_be_bytes();
    sha256(&[CONTEXT, &[0], &batch.database.to_be_bytes(), &count, root.as_bytes()])
}

fn root(batch: &pb::RecordBatch, door: Door) -> Result<Hash, Refusal> {
    if batch.items.is_empty() {
        return Err(Refusal::of(Reason::Malformed, "items"));
    }
    if batch.items.len() > MAX_ITEMS {
        return Err(Refusal::of(Reason::TooLarge, "items"));
    }
    let leaves: Result<Vec<Hash>, Refusal> = batch
        .items
        .iter()
        .enumerate()
        .map(|(at, item)| {
            leaf(item, door).ok_or_else(|| Refusal::of(Reason::Malformed, format!("items[{at}]")))
        })
        .collect();
    Ok(TREE.root(&leaves?))
}

/// The leaf of an item; none when it is neither whole nor, behind the hub's door, erased.
fn leaf(item: &pb::RecordItem, door: Door) -> Option<Hash> {
    if item.salt.len() == SALT_BYTES && !item.change.is_empty() && item.leaf.is_empty() {
        return Some(TREE.leaf_of([&item.salt, &item.change]));
    }
    let erased = item.salt.is_empty() && item.change.is_empty() && door == Door::Delivery;
    Hash::from_slice(&item.leaf).filter(|_| erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: u8) -> pb::RecordItem {
        pb::RecordItem { salt: vec![n; 16].into(), change: vec![n, 1, 2].into(), leaf: Bytes::new() }
    }

    fn batch() -> pb::RecordBatch {
        pb::RecordBatch { database: pb::Database::Sltd.into(), items: vec![item(1), item(2), item(3)] }
    }

    fn header(carried: &CarriedBody) -> Header {
        let header = pb::Header {
            version: 1,
            id: "FR-1-B-1".into(),
            key_id: vec![1; 32].into(),
            kind: pb::Kind::Records.into(),
            audience: Some(pb::Audience { secretariat: true, ..Default::default() }),
            signed_at_ms: 1,
            body_hash: Bytes::copy_from_slice(carried.body_hash.as_bytes()),
            commitment: Bytes::copy_from_slice(carried.commitment.as_bytes()),
            ..Default::default()
        };
        header.try_into().unwrap()
    }

    #[test]
    fn the_root_is_that_of_rfc_9162_over_salted_leaves() {
        let leaf = |n: u8| sha256(&[b"i247 record", &[0], &[n; 16], &[n, 1, 2]]);
        let node =
            |left: Hash, right: Hash| sha256(&[b"i247 record", &[1], left.as_bytes(), right.as_bytes()]);
        let carried = carry_batch(&batch()).unwrap();
        assert_eq!(carried.commitment, node(node(leaf(1), leaf(2)), leaf(3)));
        check(&carried.bytes, &header(&carried), Door::Submission).unwrap();
        assert_eq!(decode_batch(&carried.bytes).unwrap(), batch());
    }

    #[test]
    fn an_item_that_is_erased_leaves_the_others_provable() {
        let carried = carry_batch(&batch()).unwrap();
        let mut erased = batch();
        let leaf = leaf(&erased.items[1], Door::Submission).unwrap();
        erased.items[1] =
            pb::RecordItem { leaf: Bytes::copy_from_slice(leaf.as_bytes()), ..Default::default() };
        let bytes = Bytes::from(erased.encode_to_vec());
        check(&bytes, &header(&carried), Door::Delivery).unwrap();
        let refused = check(&bytes, &header(&carried), Door::Submission).unwrap_err();
        assert_eq!((refused.reason, &refused.fields[0][..]), (Reason::Malformed, "items[1]"));
    }

    #[test]
    fn what_the_sender_did_not_sign_is_refused() {
        let carried = carry_batch(&batch()).unwrap();
        let header = header(&carried);
        let refused = |bytes: Vec<u8>| check(&bytes.into(), &header, Door::Submission).unwrap_err().reason;
        let changed = |change: &dyn Fn(&mut pb::RecordBatch)| {
            let mut batch = batch();
            change(&mut batch);
            refused(batch.encode_to_vec())
        };
        assert_eq!(changed(&|batch| batch.database = 8), Reason::BodyMismatch);
        assert_eq!(changed(&|batch| batch.items.swap(0, 1)), Reason::BodyMismatch);
        assert_eq!(changed(&|batch| batch.items[2].change = vec![9].into()), Reason::BodyMismatch);
        assert_eq!(changed(&|batch| batch.items[0].salt = vec![1; 15].into()), Reason::Malformed);
        assert_eq!(changed(&|batch| batch.items.clear()), Reason::Malformed);
        assert_eq!(changed(&|batch| batch.items = vec![item(1); 1025]), Reason::TooLarge);
        let mut longer = carried.bytes.to_vec();
        longer.extend_from_slice(&[0x78, 1]);
        assert_eq!(refused(longer), Reason::NotCanonical);
        assert_eq!(refused(vec![0xff]), Reason::Malformed);
    }
}
