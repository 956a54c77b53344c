//! Who receives, and who never learns of it.

use std::collections::BTreeSet;

use i247_model::{Identity, Kind, MessageId};
use i247_testkit::{
    Builder, Sent, World, WorldError, country, diffusion, free_text, notice_request, pb, red_form, withdrawal,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withheld_country_never_learns_of_a_notice() -> Result<(), WorldError> {
    withheld(World::of(["FR", "BR", "JP", "SN"])).await
}

/// The story, in one process or in many.
pub(crate) async fn withheld(builder: Builder) -> Result<(), WorldError> {
    let world = Box::pin(builder.automatic(false).start()).await?;
    let asked = world.bureau("FR").send(notice_request(red_form("MARLOWE", "ANTON"), &["BR"])).await?;
    let published = world.publish(&asked).await?;
    world.bureau("JP").receives(&published.publication).await?;
    world.bureau("SN").receives(&published.publication).await?;
    assert_eq!(recipients(&world, &published.publication).await?, set(["JP", "SN"]));

    // What Brazil can ask tells it nothing.
    assert!(world.bureau("BR").inbox().await?.is_empty());
    assert!(world.bureau("BR").desk().await?.show(&published.publication.to_string()).await.is_err());
    let mut exchange = world.pen("BR").await?.service();
    let ids = vec![published.publication.to_string(), asked.id.to_string()];
    let known = exchange.statuses(pb::StatusesRequest { ids }).await.unwrap().into_inner();
    assert!(known.statuses.is_empty());

    // Nor does it learn of the end.
    let mut end = withdrawal(&asked);
    end.kind = pb::Kind::Cancellation.into();
    end.body.as_mut().unwrap().form = Some(pb::body::Form::Cancellation(pb::Cancellation {
        notice_id: published.notice_id,
        reason: "The person is found".into(),
    }));
    let ended = world.bureau("FR").send(end).await?;
    world.bureau("JP").receives(&ended.id).await?;
    world.bureau("SN").receives(&ended.id).await?;
    assert!(world.bureau("BR").inbox().await?.is_empty());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_restriction_holds_for_all_that_its_owner_sends() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP", "SN"]).start().await?;
    let before = world.bureau("FR").tell(&["BR", "JP"], "before the restriction").await?;
    world.bureau("BR").receives(&before.id).await?;
    let barred = world.bureau("FR").send(restriction(&["BR"])).await?;
    world.bureau("FR").accepted(&barred).await?;

    let both = world.bureau("FR").tell(&["BR", "JP"], "under the restriction").await?;
    world.bureau("JP").receives(&both.id).await?;
    assert_eq!(recipients(&world, &both.id).await?, set(["JP"]));
    let only = world.bureau("FR").tell(&["BR"], "under the restriction").await?;
    let answer = world.bureau("FR").answered(&only).await?;
    assert_eq!(answer.refusal.unwrap().reason, "BAD_AUDIENCE");
    let asked = world.bureau("FR").send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    let published = world.publish(&asked).await?;
    world.bureau("JP").receives(&published.publication).await?;
    assert_eq!(recipients(&world, &published.publication).await?, set(["JP", "SN"]));
    assert_eq!(world.bureau("BR").inbox_ids().await?, [before.id.to_string()]);

    // It can be lifted; what was sent under it stays away.
    let lifted = world.bureau("FR").send(restriction(&[])).await?;
    world.bureau("FR").accepted(&lifted).await?;
    let after = world.bureau("FR").tell(&["BR"], "after the restriction").await?;
    world.bureau("BR").receives(&after.id).await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [before.id.to_string(), after.id.to_string()]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_is_what_then_happens() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "DE", "JP", "SN", "ES"]).start().await?;
    let barred = world.bureau("FR").send(restriction(&["SN"])).await?;
    world.bureau("FR").accepted(&barred).await?;
    world.suspend(&Identity::Bureau(country("JP"))).await?;
    let all_but_spain = pb::Audience { all: true, except: vec!["ES".into()], ..pb::Audience::default() };
    let europe = pb::Audience { regions: vec!["Europe".into()], ..pb::Audience::default() };
    let named = pb::Audience {
        countries: vec!["BR".into(), "SN".into()],
        copies: vec!["DE".into(), "IPSG".into()],
        ..pb::Audience::default()
    };
    let expected = [
        (all_but_spain, set(["BR", "DE", "JP"])),
        (europe, set(["DE", "ES"])),
        (named, set(["BR", "DE", "IPSG"])),
    ];
    let desk = world.bureau("FR").desk().await?;
    for (audience, expected) in expected {
        let mut draft = free_text(&["BR"], "who receives this?");
        draft.audience = Some(audience);
        let explained = desk.explain(draft.clone()).await?;
        let admitted = explained.parties.iter().filter(|party| party.admitted);
        let admitted: BTreeSet<String> = admitted.map(|party| party.party.clone()).collect();
        assert_eq!(admitted, expected);
        // Every member country of the table and the secretariat are named, each with a rule.
        assert_eq!(explained.parties.len(), 197);
        let sent = world.bureau("FR").send(draft).await?;
        world.bureau("FR").accepted(&sent).await?;
        assert_eq!(recipients(&world, &sent.id).await?, expected);
    }
    let rule = |code: &str, explained: &pb::ExplainResponse| {
        explained.parties.iter().find(|party| party.party == code).unwrap().rule()
    };
    let explained = desk.explain(diffusion(red_form("MARLOWE", "ANTON"), &["BR", "SN", "JP"])).await?;
    assert_eq!(rule("BR", &explained), pb::Rule::Named);
    assert_eq!(rule("SN", &explained), pb::Rule::RestrictedByOwner);
    assert_eq!(rule("JP", &explained), pb::Rule::Suspended);
    assert_eq!(rule("FR", &explained), pb::Rule::Sender);
    assert_eq!(rule("DE", &explained), pb::Rule::NotNamed);
    assert_eq!(rule("PT", &explained), pb::Rule::NotAMember);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_on_a_notice_goes_to_its_owner_and_nobody_else() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let asked = world.bureau("FR").send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    let published = world.publish(&asked).await?;
    world.bureau("JP").receives(&published.publication).await?;
    let located = pb::PersonLocated {
        notice_id: published.notice_id.clone(),
        certainty: pb::Certainty::Positive.into(),
        place: "Osaka".into(),
        found_at_ms: world.seams().clock.now().as_millis(),
        proposed_measure: "observation".into(),
    };
    let mut report = free_text(&[], "");
    report.kind = pb::Kind::PersonLocated.into();
    report.audience = None;
    report.refers_to = published.publication.to_string();
    report.body.as_mut().unwrap().form = Some(pb::body::Form::PersonLocated(located));
    let report: Sent = world.bureau("JP").send(report).await?;
    world.bureau("FR").receives_about(Kind::PersonLocated, &published.publication).await?;
    assert_eq!(recipients(&world, &report.id).await?, set(["FR", "IPSG"]));
    world.finish().await
}

fn restriction(except: &[&str]) -> pb::Draft {
    let except = except.iter().map(|code| (*code).to_owned()).collect();
    let mut draft = free_text(&[], "");
    draft.kind = pb::Kind::Restriction.into();
    draft.audience = None;
    draft.body.as_mut().unwrap().form = Some(pb::body::Form::Restriction(pb::Restriction { except }));
    draft
}

async fn recipients(world: &World, id: &MessageId) -> Result<BTreeSet<String>, WorldError> {
    let trace = world.monitor().await?.trace(&id.to_string()).await?;
    Ok(trace.status.unwrap().recipients.into_iter().map(|recipient| recipient.party).collect())
}

fn set<const N: usize>(parties: [&str; N]) -> BTreeSet<String> {
    parties.into_iter().map(str::to_owned).collect()
}
