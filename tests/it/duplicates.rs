//! The same thing said twice happens once.

use i247_testkit::{Builder, World, WorldError, free_text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_gets_the_same_message_also_after_a_crash() -> Result<(), WorldError> {
    same_key(World::of(["FR", "BR"])).await
}

/// The story, in one process or in many.
pub(crate) async fn same_key(builder: Builder) -> Result<(), WorldError> {
    let world = Box::pin(builder.start()).await?;
    let first = world.bureau("FR").ask(["BR"]).key("case 17").send().await?;
    let again = world.bureau("FR").ask(["BR"]).key("case 17").send().await?;
    assert_eq!(again, first);
    world.bureau("FR").reply_to(&first, "BR").await?;
    world.crash("FR").await?;
    world.restart("FR").await?;
    let after = world.bureau("FR").ask(["BR"]).key("case 17").send().await?;
    assert_eq!(after, first);
    let other = world.bureau("FR").ask(["BR"]).key("case 18").send().await?;
    assert_ne!(other, first);
    world.bureau("FR").reply_to(&other, "BR").await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [first.id.to_string(), other.id.to_string()]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_envelope_gets_the_same_answer_also_after_a_crash() -> Result<(), WorldError> {
    Box::pin(same_envelope(World::of(["BR"]))).await
}

/// The story, in one process or in many.
pub(crate) async fn same_envelope(builder: Builder) -> Result<(), WorldError> {
    let world = Box::pin(builder.start()).await?;
    let mut pen = world.pen("FR").await?;
    let envelope = pen.sign(&pen.letter(free_text(&["BR"], "once")));
    let refused = {
        let mut letter = pen.letter(free_text(&["BR"], "never"));
        letter.header.id = "FR-1-N-2".into();
        letter.header.audience.as_mut().unwrap().countries = vec!["ZZ".into()];
        letter
    };
    let first = pen.submit(&envelope).await?;
    let mut refused = refused;
    refused.header.previous = first.header_hash.clone();
    let refused = pen.sign(&refused);
    let no = pen.submit(&refused).await.unwrap_err();
    assert_eq!(no.refusal().unwrap().reason, i247_model::Reason::UnknownCountry);

    world.bureau("BR").receives(&first.id.parse().unwrap()).await?;
    for crash in [false, true] {
        if crash {
            world.crash_hub().await?;
            world.start_hub().await?;
            pen = world.pen("FR").await?;
        }
        assert_eq!(pen.submit(&envelope).await?, first);
        let again = pen.submit(&refused).await.unwrap_err();
        assert_eq!(again.refusal(), no.refusal());
    }
    assert_eq!(world.bureau("BR").inbox_ids().await?, ["FR-1-N-1"]);
    world.finish().await
}
