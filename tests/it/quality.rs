//! The quality check of alerts about false documents: what a country reports is its own until a reviewer of the
//! secretariat has published it, and what she returns says why.

use i247_client::{ClientError, Context, Contexts, InboxFilter, Reviewer};
use i247_model::{Identity, Reason};
use i247_records::Database;
use i247_testkit::{World, WorldError, name, pb};

use crate::own_records::{Keyboard, Said};
use crate::search::{country_records, frame};

/// An alert of a counterfeit passport of UTO.
fn row<'a>(reference: &'a str, text: &'a str) -> [&'a str; 12] {
    [reference, "", "", "", "UTO", "PASSPORT", "2024", "COUNTERFEIT", text, "", "", "SUBMITTED"]
}

/// France reports two alerts.
async fn france_reports(world: &World) -> Result<(), WorldError> {
    let rows = [row("a-1", "the seal is printed"), row("a-2", "the thread is painted")];
    country_records(world, "FR", Database::DialDoc, 61, &[&rows[0], &rows[1]]).await
}

/// France's two alerts, of which a reviewer publishes the first and returns the second.
pub(crate) async fn some_alerts(world: &World) -> Result<(), WorldError> {
    france_reports(world).await?;
    some_decisions(&mut world.reviewer("lena").await?).await?;
    world
        .until("the decision to be taken in", async || Ok(state(world, "BR", "FR/a-1").await?.map(drop)))
        .await
}

/// How far an alert has come, as a country finds it; none when it does not.
async fn state(world: &World, code: &str, name: &str) -> Result<Option<pb::AlertState>, WorldError> {
    let found = match world.bureau(code).desk().await?.show_record(pb::Database::DialDoc, name).await {
        Err(ClientError::Refused(refusal)) if refusal.reason == Reason::UnknownRecord => return Ok(None),
        found => found?,
    };
    let Some(pb::record::Content::DocumentAlert(alert)) = found.record.unwrap().content else { panic!() };
    Ok(Some(alert.state()))
}

/// What a country finds when it asks about passports of UTO, each with how sure it is.
async fn by_model(world: &World, code: &str) -> Result<Vec<(String, pb::SearchResult)>, WorldError> {
    let asked = pb::DocumentModelKey {
        issuing_country: "UTO".into(),
        document_type: pb::TravelDocumentType::Passport.into(),
        series: String::new(),
    };
    let key = pb::SearchKey { key: Some(pb::search_key::Key::DocumentModel(asked)) };
    let answered = world.bureau(code).desk().await?.check(frame(vec![key])).await?;
    let answer = &answered.answers[0];
    let result = answer.result();
    Ok(answer.found.iter().map(|found| (found.name.clone(), result)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_found_by_others_once_a_reviewer_has_published_it() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    france_reports(&world).await?;
    assert_eq!(state(&world, "BR", "FR/a-1").await?, None);
    assert_eq!(by_model(&world, "BR").await?, []);
    assert_eq!(state(&world, "FR", "FR/a-1").await?, Some(pb::AlertState::QualityCheck));
    let (mut lena, mut marc) = (world.reviewer("lena").await?, world.reviewer("marc").await?);
    let waiting = lena.alerts().await?;
    let told = |one: &pb::PendingAlert| (one.name.clone(), one.owner.clone(), one.item);
    let expected = [("FR/a-1", 0), ("FR/a-2", 1)].map(|(name, item)| (name.into(), "FR".into(), item));
    assert_eq!(waiting.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(waiting[0].message_id, "FR-1-B-1");
    let late = marc.examine_alert("FR/a-2").await?;

    some_decisions(&mut lena).await?;
    let published = async || Ok(state(&world, "BR", "FR/a-1").await?);
    let published = world.until("the alert to be published", published).await?;
    assert_eq!(published, pb::AlertState::Published);
    assert_eq!(by_model(&world, "BR").await?, [("FR/a-1".to_owned(), pb::SearchResult::Possible)]);
    assert_eq!(state(&world, "BR", "FR/a-2").await?, None);
    assert_eq!(state(&world, "FR", "FR/a-2").await?, Some(pb::AlertState::Submitted));
    // Its owner hears of both, by the reviewer's own word.
    let decisions = world
        .until("both decisions", async || {
            let filter = InboxFilter { kind: pb::Kind::ReviewDecision, ..InboxFilter::default() };
            let mut items = world.bureau("FR").desk().await?.inbox(&filter).await?;
            items.sort_by(|one, other| one.id.cmp(&other.id));
            Ok((items.len() == 2).then_some(items))
        })
        .await?;
    let returned = world.bureau("FR").desk().await?.show(&decisions[1].id).await?;
    assert_eq!(returned.signed_by, "spiffe://i247.test/gs/reviewer/lena");
    let body = returned.body.unwrap();
    assert_eq!(body.your_ref, "FR/a-2");
    let Some(pb::body::Form::ReviewDecision(form)) = body.form else { panic!() };
    assert_eq!((form.verdict(), form.item), (pb::ReviewVerdict::Refused, Some(1)));
    assert_eq!(form.remark, "without a picture of the thread");

    // It stands: what was decided waits no more, and who comes late changes nothing.
    assert!(lena.alerts().await?.is_empty());
    let gone = marc.examine_alert("FR/a-2").await.unwrap_err();
    assert_eq!(gone.refusal().unwrap().reason, Reason::UnknownReference);
    marc.publish_alerts(&[late]).await?;
    world.stop_hub().await?;
    world.start_hub().await?;
    let published = async || Ok(state(&world, "BR", "FR/a-1").await.ok().flatten());
    world.until("the alert to be there after a start", published).await?;
    assert_eq!(state(&world, "BR", "FR/a-2").await?, None);
    world.stop_all().await
}

async fn some_decisions(lena: &mut Reviewer) -> Result<(), WorldError> {
    let (first, second) = (lena.examine_alert("FR/a-1").await?, lena.examine_alert("FR/a-2").await?);
    lena.publish_alerts(&[first]).await?;
    lena.return_alert(&second, pb::RefusalGround::Other, "without a picture of the thread").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_checks_alerts_at_her_keyboard_and_the_owner_mends_what_came_back()
-> Result<(), WorldError> {
    let world = World::of(["BR", "FR"]).start().await?;
    let Some(keyboard) = Keyboard::of(&world).await? else { return world.stop_all().await };
    let credentials = keyboard.dir("credentials");
    world.credentials(&Identity::Reviewer(name("lena"))).await?.save(&credentials).unwrap();
    let mut contexts = Contexts::default();
    let (address, server) = (world.hub_address().await?.to_string(), Identity::Hub(name("lyon")));
    contexts.add(name("lena"), Context { address, server, credentials });
    let lena = Desk { keyboard: &keyboard, home: keyboard.dir("lena") };
    contexts.save(&lena.home.join("contexts.toml")).unwrap();

    france_reports(&world).await?;
    let said = lena.types(&["review", "alerts"]).await;
    assert!(said.out.contains("FR/a-1") && said.out.contains("counterfeit"), "{said:?}");
    lena.types(&["review", "show", "FR/a-1"]).await.well("the seal is printed");
    let refuse = ["review", "refuse", "FR/a-2", "--ground", "other", "--remark", "which thread?"];
    lena.types(&refuse).await.well("GS.lena-1-N-1");
    lena.types(&["review", "approve", "FR/a-1"]).await.well("FR/a-1 GS.lena-1-N-2");
    let gone = lena.types(&["review", "show", "FR/a-1"]).await;
    assert!(gone.code == Some(1) && gone.err.contains("UNKNOWN_REFERENCE"), "{gone:?}");

    let change = ["records", "change", "dial-doc", "FR/a-2", "text=the silver thread is painted"];
    keyboard.types("FR", &change).await.well("is changed");
    lena.types(&["review", "alerts"]).await.well("FR/a-2");
    lena.types(&["review", "approve", "FR/a-2"]).await.well("FR/a-2");
    for alert in ["FR/a-1", "FR/a-2"] {
        let show = async || {
            let said = keyboard.types("BR", &["records", "show", "dial-doc", alert]).await;
            Ok((said.code == Some(0)).then_some(said))
        };
        world.until("the alert to be published", show).await?.well("PUBLISHED");
    }
    // What changes is checked again; what is only kept from somebody is not.
    let restrict = ["records", "restrict", "dial-doc", "FR/a-1", "--except", "JP"];
    keyboard.types("FR", &restrict).await.well("seen by others");
    keyboard.types("BR", &["records", "show", "dial-doc", "FR/a-1"]).await.well("PUBLISHED");
    world.stop_all().await
}

/// A keyboard with another home.
struct Desk<'a> {
    keyboard: &'a Keyboard,
    home: std::path::PathBuf,
}

impl Desk<'_> {
    async fn types(&self, words: &[&str]) -> Said {
        self.keyboard.types_at(&self.home, words).await
    }
}
