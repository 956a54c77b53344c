//! Pictures and prints: for the audience only.

use bytes::Bytes;
use i247_model::Reason;
use i247_testkit::{World, WorldError, free_text, pb};

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
