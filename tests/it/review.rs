//! Reviewers decide, once.

use i247_model::{Kind, Reason};
use i247_testkit::{World, WorldError, notice_request, pb, red_form};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_notice_is_told_to_its_country_and_published_to_nobody() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let asked = world.bureau("FR").send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    world.until_pending(&asked.id).await?;
    let mut lena = world.reviewer("lena").await?;
    let examined = lena.examine(&asked.id.to_string()).await?;
    lena.refuse(&examined, pb::RefusalGround::Article3, "of political character").await?;
    let decision = world.bureau("FR").receives_about(Kind::ReviewDecision, &asked.id).await?;
    let Some(pb::body::Form::ReviewDecision(form)) = decision.form() else { panic!("{decision:?}") };
    assert_eq!(form.verdict(), pb::ReviewVerdict::Refused);
    assert_eq!(form.ground(), pb::RefusalGround::Article3);
    // The decision is the reviewer's own word, which the bureau has checked.
    assert_eq!(decision.0.signed_by, "spiffe://i247.test/gs/reviewer/lena");

    // It stands: nobody decides again.
    let mut marc = world.reviewer("marc").await?;
    let twice = marc.approve(&[examined]).await.unwrap_err();
    assert_eq!(twice.refusal().unwrap().reason, Reason::NoticeConflict);
    assert!(lena.pending().await?.is_empty());
    assert!(world.bureau("BR").inbox().await?.is_empty());
    assert!(world.bureau("JP").inbox().await?.is_empty());
    world.finish().await
}
