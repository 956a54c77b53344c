//! Reviewers decide, once.

use i247_model::{Identity, Kind, Reason};
use i247_testkit::pb::review_service_client::ReviewServiceClient;
use i247_testkit::{World, WorldError, name, notice_request, pb, red_form};
use tonic::transport::Channel;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_behind_a_request_that_was_decided_meanwhile() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let mut asked = Vec::new();
    for forename in ["ANTON", "BELLA", "CARL"] {
        let sent = world.bureau("FR").send(notice_request(red_form("MARLOWE", forename), &[])).await?;
        world.until_pending(&sent.id).await?;
        asked.push(sent.id.to_string());
    }
    let mut review = service(&world, "marc").await?;
    let mut page = async |after: &str| {
        let request = pb::ListPendingRequest { limit: 1, after_request_id: after.into() };
        let pending = review.list_pending(request).await?.into_inner().pending;
        Ok::<Vec<String>, tonic::Status>(pending.into_iter().map(|one| one.request_id).collect())
    };
    assert_eq!(page("").await.unwrap(), asked[..1]);
    let mut lena = world.reviewer("lena").await?;
    let examined = lena.examine(&asked[0]).await?;
    lena.refuse(&examined, pb::RefusalGround::Article3, "of political character").await?;
    assert_eq!(page(&asked[0]).await.unwrap(), asked[1..2]);
    assert_eq!(page(&asked[1]).await.unwrap(), asked[2..]);
    assert!(page(&asked[2]).await.unwrap().is_empty());
    let unknown = i247_wire::refusal(&page("FR-1-N-99").await.unwrap_err()).unwrap();
    assert_eq!((unknown.reason, unknown.fields), (Reason::UnknownReference, vec!["after_request_id".into()]));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_that_floods_waits_and_the_others_do_not() -> Result<(), WorldError> {
    let world = World::of(["FR"]).submissions_per_second(1).start().await?;
    let mut flood = service(&world, "marc").await?;
    let nonsense = pb::DecideRequest { envelopes: vec![pb::Envelope::default(); 64] };
    let first = flood.decide(nonsense.clone()).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&first).unwrap().reason, Reason::Malformed);
    let second = i247_wire::refusal(&flood.decide(nonsense.clone()).await.unwrap_err()).unwrap();
    assert_eq!((second.reason, second.fields), (Reason::Busy, vec!["quota".to_owned()]));
    assert!(second.retry_after.is_some());
    let calm = service(&world, "lena").await?.decide(nonsense).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&calm).unwrap().reason, Reason::Malformed);
    world.finish().await
}

async fn service(world: &World, who: &str) -> Result<ReviewServiceClient<Channel>, WorldError> {
    let credentials = world.credentials(&Identity::Reviewer(name(who))).await?;
    Ok(ReviewServiceClient::new(world.hub_channel(&credentials).await?))
}
