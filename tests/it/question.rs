//! Questions and answers.

use i247_testkit::{Builder, World, WorldError, pb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_by_the_register_of_the_country_asked() -> Result<(), WorldError> {
    Box::pin(question(World::of(["FR", "BR", "JP", "SN"]))).await
}

/// The story, in one process or in many.
pub(crate) async fn question(builder: Builder) -> Result<(), WorldError> {
    let register = r#"{"family_name":"PARDEL","forename":"TESSA IRIS","date_of_birth":"1970-01-01","sex":"F","nationalities":["PT"],"files":["ENTRY_EXIT"],"place":"Manaus","note":"entered by road"}"#;
    let builder = builder.register(i247_testkit::country("BR"), register.into());
    let world = Box::pin(builder.start()).await?;
    let question = world.bureau("FR").ask(["BR", "JP"]).about("PARDEL", "TESSA IRIS").send().await?;
    assert_eq!(question.id.to_string(), "FR-1-N-1");
    let found = world.bureau("FR").reply_to(&question, "BR").await?;
    assert_eq!(found.outcome(), pb::Outcome::Positive);
    let nothing = world.bureau("FR").reply_to(&question, "JP").await?;
    assert_eq!(nothing.outcome(), pb::Outcome::Negative);
    let status = world.bureau("FR").stands(&question, "closed", |status| status.closed).await?;
    let parties: Vec<&str> = status.recipients.iter().map(|recipient| recipient.party.as_str()).collect();
    assert_eq!(parties, ["BR", "JP"]);
    assert!(world.bureau("SN").inbox().await?.is_empty());
    world.finish().await
}
