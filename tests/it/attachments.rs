//! Pictures and prints: for the audience only.

use bytes::Bytes;
use i247_model::{Reason, Refusal};
use i247_testkit::pb::put_attachment_request::Frame;
use i247_testkit::{Pen, World, WorldError, free_text, pb};
use i247_trust::sha256;
use prost::Message as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_reaches_the_audience_whole_and_nobody_else() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let picture: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let note = pb::AttachmentNote {
        name: "photograph.png".into(),
        media_type: "image/png".into(),
        size_bytes: picture.len() as u64,
    };
    let desk = world.bureau("FR").desk().await?;
    let commitment = desk.add_attachment(note.clone(), picture.clone().into()).await?;
    let mut draft = free_text(&["BR"], "the picture");
    draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
    let sent = world.bureau("FR").send(draft).await?;
    world.bureau("BR").receives(&sent.id).await?;
    let (received, bytes) = world.bureau("BR").desk().await?.open_attachment(&sent.id.to_string(), 0).await?;
    assert_eq!(received, note);
    assert!(bytes == picture, "another picture came out");
    // The sender can look at it too.
    let (_, own) = desk.open_attachment(&sent.id.to_string(), 0).await?;
    assert!(own == picture);

    let stranger = world.bureau("JP").desk().await?.open_attachment(&sent.id.to_string(), 0).await;
    assert!(stranger.unwrap_err().refusal().is_some());
    let mut exchange = world.pen("JP").await?.service();
    let asked = pb::FetchAttachmentRequest {
        message_id: sent.id.to_string(),
        commitment: Bytes::copy_from_slice(commitment.as_bytes()),
        first_chunk: 0,
    };
    let refused = exchange.fetch_attachment(asked).await.unwrap_err();
    // The same answer as for a message that does not exist.
    assert_eq!(i247_wire::refusal(&refused).unwrap().reason, Reason::UnknownReference);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_is_sent_although_the_line_and_the_hub_break() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.cut("FR");
    let note = pb::AttachmentNote { name: "prints.bin".into(), ..pb::AttachmentNote::default() };
    let prints = Bytes::from(vec![7; 2_000_000]);
    let commitment = world.bureau("FR").desk().await?.add_attachment(note, prints.clone()).await?;
    let mut draft = free_text(&["BR"], "the prints");
    draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
    let sent = world.bureau("FR").send(draft).await?;
    world.heal("FR");
    world.bureau("FR").accepted(&sent).await?;
    world.crash_hub().await?;
    world.start_hub().await?;
    world.bureau("BR").receives(&sent.id).await?;
    world.linked("BR").await?;
    let desk = world.bureau("BR").desk().await?;
    let (_, bytes) = world
        .until("the prints at BR", async || {
            desk.open_attachment(&sent.id.to_string(), 0).await.map(Some).map_err(WorldError::from)
        })
        .await?;
    assert!(bytes == prints);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_that_fills_the_hub_with_what_no_message_names_is_refused_alone() -> Result<(), WorldError>
{
    const LARGEST: u64 = 25 * 1024 * 1024;
    let world = World::of(["FR", "BR"]).start().await?;
    let promised = |salt: u64| pb::PutAttachmentRequest {
        frame: Some(Frame::Manifest(pb::AttachmentManifest {
            size_bytes: LARGEST,
            chunk_bytes: 64 * 1024,
            chunks: vec![Bytes::from_static(&[7; 32]); 400],
            salt: Bytes::copy_from_slice(&[salt.to_le_bytes(), [0; 8]].concat()),
        })),
    };
    let put = async |exchange: &mut pb::exchange_service_client::ExchangeServiceClient<_>, salt| {
        exchange.put_attachment(tokio_stream::iter([promised(salt)])).await
    };
    let mut flood = world.pen("JP").await?.service();
    let room = i247_hub::Config::default().attachment_bytes / LARGEST;
    for salt in 0..room {
        assert!(!put(&mut flood, salt).await.unwrap().into_inner().complete);
    }
    let refusal = i247_wire::refusal(&put(&mut flood, room).await.unwrap_err()).unwrap();
    assert_eq!((refusal.reason, refusal.fields), (Reason::Busy, vec!["manifest.size_bytes".to_owned()]));
    assert!(
        refusal
            .next_step
            .ends_with("send the messages that name what is here already, or wait until it is removed")
    );
    // What it began already goes on, and the others are not concerned.
    put(&mut flood, 0).await.unwrap();
    put(&mut world.pen("SN").await?.service(), room).await.unwrap();
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_that_decayed_at_its_bureau_voids_its_message_and_the_lane_goes_on()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let first = world.bureau("FR").tell(&["BR"], "the number before").await?;
    world.bureau("FR").accepted(&first).await?;
    world.cut("FR");
    let note = pb::AttachmentNote { name: "prints.bin".into(), ..pb::AttachmentNote::default() };
    let prints = Bytes::from(vec![7; 100_000]);
    let commitment = world.bureau("FR").desk().await?.add_attachment(note, prints).await?;
    let mut draft = free_text(&["BR"], "the prints");
    draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
    let lost = world.bureau("FR").send(draft).await?;
    let next = world.bureau("FR").tell(&["BR"], "the next of the lane").await?;
    let file = world.dir().join("fr/data/attachments").join(commitment.to_string());
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    world.heal("FR");

    world.bureau("BR").receives(&next.id).await?;
    let item = world.bureau("FR").answered(&lost).await?;
    assert_eq!(item.refusal.unwrap().reason, Reason::AttachmentMissing.as_str());
    // The hub has a void under the number, which went to nobody.
    let trace = world.monitor().await?.trace(&lost.id.to_string()).await?;
    assert_eq!((trace.events[0].event.as_str(), trace.events[1].event.as_str()), ("signed", "accepted"));
    assert_eq!(world.bureau("BR").inbox_ids().await?, [first.id.to_string(), next.id.to_string()]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_does_not_match_its_manifest_is_refused_and_the_right_one_completes()
-> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let mut pen = world.pen("FR").await?;
    let prints: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    let chunks: Vec<Bytes> = prints.chunks(64 * 1024).map(Bytes::copy_from_slice).collect();
    assert_eq!(chunks.len(), 3);
    let manifest = pb::AttachmentManifest {
        size_bytes: 160_000,
        chunk_bytes: 64 * 1024,
        chunks: chunks.iter().map(|chunk| Bytes::copy_from_slice(sha256(&[chunk]).as_bytes())).collect(),
        salt: Bytes::from_static(&[5; 16]),
    };
    let changed = {
        let mut bytes = chunks[1].to_vec();
        bytes[40_000] ^= 1;
        Bytes::from(bytes)
    };
    let right = |index: usize| (index as u32, chunks[index].clone());

    let refusal = put(&pen, &manifest, &[right(0), (1, changed)]).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.fields), (Reason::BodyMismatch, vec!["chunk.data".to_owned()]));
    let words = "chunk 1 does not match the manifest; send the bytes that the manifest names there";
    assert_eq!(refusal.next_step, words);
    assert_eq!(found(&pen, &manifest).await, (1, false), "something of the changed chunk was kept");
    let refusal = put(&pen, &manifest, &[right(2)]).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.fields), (Reason::OutOfOrder, vec!["chunk.index".to_owned()]));
    assert_eq!(refusal.next_step, "chunk 1 is next; go on with that one");
    assert_eq!(found(&pen, &manifest).await, (1, false));
    // No message can name it yet.
    let mut draft = free_text(&["BR"], "the prints");
    draft.attachments = vec![commitment(&manifest)];
    let envelope = pen.sign(&pen.letter(draft));
    let missing = pen.submit(&envelope).await.unwrap_err();
    assert_eq!(missing.refusal().unwrap().reason, Reason::AttachmentMissing);

    assert_eq!(put(&pen, &manifest, &[right(1), right(2)]).await, Ok(true));
    assert!(found(&pen, &manifest).await.1);
    let accepted = pen.submit(&envelope).await?;
    world.bureau("BR").receives(&accepted.id.parse().unwrap()).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_that_contradicts_itself_is_refused() -> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let pen = world.pen("FR").await?;
    let good = pb::AttachmentManifest {
        size_bytes: 5,
        chunk_bytes: 64 * 1024,
        chunks: vec![Bytes::copy_from_slice(sha256(&[b"print"]).as_bytes())],
        salt: Bytes::from_static(&[5; 16]),
    };
    let bad = [
        pb::AttachmentManifest { size_bytes: 0, ..good.clone() },
        pb::AttachmentManifest { size_bytes: 64 * 1024 + 1, ..good.clone() },
        pb::AttachmentManifest { size_bytes: u64::MAX, ..good.clone() },
        pb::AttachmentManifest { chunk_bytes: 0, ..good.clone() },
        pb::AttachmentManifest { chunks: Vec::new(), ..good.clone() },
        pb::AttachmentManifest { chunks: vec![good.chunks[0].slice(..31)], ..good.clone() },
    ];
    let print = (0, Bytes::from_static(b"print"));
    for manifest in bad {
        let refusal = put(&pen, &manifest, std::slice::from_ref(&print)).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.fields), (Reason::Malformed, vec!["manifest".to_owned()]));
        assert_eq!(found(&pen, &manifest).await, (0, false));
    }
    assert_eq!(put(&pen, &good, &[print]).await, Ok(true));
    world.finish().await
}

/// Brings a manifest and these chunks to the hub, and whether the attachment is complete with them.
async fn put(pen: &Pen, manifest: &pb::AttachmentManifest, chunks: &[(u32, Bytes)]) -> Result<bool, Refusal> {
    let chunk = |(index, data): &(u32, Bytes)| {
        Frame::Chunk(pb::AttachmentChunk { index: *index, data: data.clone() })
    };
    let frames: Vec<pb::PutAttachmentRequest> = std::iter::once(Frame::Manifest(manifest.clone()))
        .chain(chunks.iter().map(chunk))
        .map(|frame| pb::PutAttachmentRequest { frame: Some(frame) })
        .collect();
    match pen.service().put_attachment(tokio_stream::iter(frames)).await {
        Ok(answer) => Ok(answer.into_inner().complete),
        Err(refused) => Err(i247_wire::refusal(&refused).unwrap()),
    }
}

/// What the hub has of it: how many chunks of one that it goes on with, and whether it is complete.
async fn found(pen: &Pen, manifest: &pb::AttachmentManifest) -> (u32, bool) {
    let asked = pb::FindAttachmentRequest { commitment: commitment(manifest) };
    let found = pen.service().find_attachment(asked).await.unwrap().into_inner();
    (found.chunks, found.complete)
}

fn commitment(manifest: &pb::AttachmentManifest) -> Bytes {
    Bytes::copy_from_slice(sha256(&[&manifest.encode_to_vec()]).as_bytes())
}
