//! Bodies that are signed and hashed as they should be and cannot be read. The hub does not open what bureaus say to each
//! other: it is the recipient who meets them.

use bytes::Bytes;
use i247_model::Hash;
use i247_testkit::{World, WorldError, free_text, pb};
use i247_trust::sha256;
use prost::Message as _;

const SALT: [u8; 16] = [7; 16];

/// More levels than anybody reads.
const LEVELS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_cannot_be_read_holds_up_nothing_behind_it() -> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let (brazil, mut france) = (world.bureau("BR"), world.pen("FR").await?);
    let mut read = Vec::new();
    for (what, body) in [
        ("not an envelope of content and salt", Bytes::from(vec![0xff; 40])),
        ("nested where content and salt are", nested().into()),
        ("content of no kind", carried(&[0xff; 40])),
        ("content that ends too early", carried(&[0x0a, 0x7f, b'x'])),
        ("nested content", carried(&nested())),
        ("no content", carried(&[])),
    ] {
        let mut letter = france.letter(free_text(&["BR"], what));
        letter.header.body_hash = bytes(&sha256(&[&body]));
        letter.header.commitment = commitment(&body);
        letter.body = body;
        let poison = france.submit(&france.sign(&letter)).await?;
        let next = france.submit(&france.sign(&france.letter(free_text(&["BR"], "the next one")))).await?;
        let received = brazil.receives(&next.id.parse().unwrap()).await?;
        let Some(pb::body::Form::FreeText(words)) = received.form() else { panic!("{received:?}") };
        assert_eq!(words.text, "the next one", "behind {what}");
        assert!(brazil.desk().await?.show(&poison.id).await.is_err(), "{what} is shown");
        read.push(next.id);
    }
    // Nor does it when all is read again.
    world.stop("BR").await?;
    world.restart("BR").await?;
    let last = france.submit(&france.sign(&france.letter(free_text(&["BR"], "the last one")))).await?;
    brazil.receives(&last.id.parse().unwrap()).await?;
    read.push(last.id);
    assert_eq!(brazil.inbox_ids().await?, read);
    assert_eq!(brazil.desk().await?.report().await?.halted, "");
    world.finish().await
}

/// Groups of an unknown number inside each other, begun and ended as they should be.
fn nested() -> Vec<u8> {
    // Number 2000, by the rules of the encoding: begin of a group, and its end.
    [[0x83, 0x7d].repeat(LEVELS), [0x84, 0x7d].repeat(LEVELS)].concat()
}

fn carried(content: &[u8]) -> Bytes {
    let (salt, clear) = (Bytes::from_static(&SALT), Bytes::copy_from_slice(content));
    pb::Carried { salt, clear, sealed: Bytes::new() }.encode_to_vec().into()
}

/// As the protocol has it; of what has no content, of nothing.
fn commitment(body: &Bytes) -> Bytes {
    let clear = pb::Carried::decode(body.clone()).map(|carried| carried.clear).unwrap_or_default();
    bytes(&sha256(&[b"i247.v1.Commitment", &[0], &SALT, &clear]))
}

fn bytes(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}
