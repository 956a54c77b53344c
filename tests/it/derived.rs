//! What a notice or a diffusion says of somebody is found in the databases while it is in force, by whoever may know of it.

use i247_model::Reason;
use i247_testkit::{World, WorldError, diffusion, notice_request, pb, red_form};

use crate::search::{frame, passport};

/// A red form about somebody who holds a German passport.
fn form(family_name: &str, forename: &str, number: &str) -> pb::NoticeForm {
    let mut form = red_form(family_name, forename);
    if let Some(pb::notice_form::Form::Red(red)) = &mut form.form
        && let Some(identity) = &mut red.identity
    {
        identity.documents.push(pb::IdentityDocument {
            r#type: "passport".into(),
            number: number.into(),
            country: "DE".into(),
        });
    }
    form
}

fn person(name: &str, born: &str) -> pb::SearchKey {
    let person = pb::PersonKey { name: name.into(), born: born.into(), ..pb::PersonKey::default() };
    pb::SearchKey { key: Some(pb::search_key::Key::Person(person)) }
}

async fn ask(world: &World, code: &str, key: pb::SearchKey) -> Result<pb::KeyAnswer, WorldError> {
    let desk = world.bureau(code).desk().await?;
    Ok(desk.check(frame(vec![key])).await?.answers.remove(0))
}

/// Asks until something is found, or nothing any more.
async fn until(
    world: &World,
    code: &str,
    key: pb::SearchKey,
    found: usize,
) -> Result<pb::KeyAnswer, WorldError> {
    world
        .until("the databases to follow", async || {
            let answer = ask(world, code, key.clone()).await?;
            Ok((answer.found.len() == found).then_some(answer))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_passport_and_the_name_of_a_notice_are_found_until_it_is_cancelled() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR", "SN"]).automatic(false).start().await?;
    let france = world.bureau("FR");
    let request = france.send(notice_request(form("MARLOWE", "TESSA", "X4719T06M"), &["SN"])).await?;
    france.accepted(&request).await?;
    world.until_pending(&request.id).await?;
    let mut reviewer = world.reviewer("lena").await?;
    let examined = reviewer.examine(&request.id.to_string()).await?;
    let published = reviewer.approve(&[examined]).await?.remove(0);

    let answer = until(&world, "BR", passport("X4719T06M", "D"), 1).await?;
    assert_eq!(answer.result(), pb::SearchResult::Match);
    let document = &answer.found[0];
    assert_eq!((document.database(), document.owner.as_str()), (pb::Database::Tdawn, "FR"));
    assert_eq!(document.name, format!("D/PASSPORT/X4719T06M/{}", published.notice_id));
    // Whose notice it is hears of it, and which message it came by.
    let hit = document.hit_id.parse().unwrap();
    let told = france.receives(&hit).await?;
    let Some(pb::body::Form::Hit(told)) = told.form() else { panic!("{told:?}") };
    assert_eq!(told.records_id, published.publication.to_string());

    // By another spelling of the name; never more than possible, and nobody is told.
    let answer = until(&world, "BR", person("Marlow, Tesa", "1970-01-01"), 1).await?;
    let marlowe = &answer.found[0];
    assert_eq!(
        (answer.result(), marlowe.certainty()),
        (pb::SearchResult::Possible, pb::SearchResult::Possible)
    );
    assert_eq!(marlowe.name, format!("FR/notice/{}", published.notice_id));
    assert!((740..1000).contains(&marlowe.score), "{}", marlowe.score);
    assert!(marlowe.reasons.iter().any(|reason| reason == "born the same day"), "{:?}", marlowe.reasons);
    assert_eq!(marlowe.hit_id, "");
    assert!(ask(&world, "BR", person("Castellet, Pilar", "1970-01-01")).await?.found.is_empty());

    // Whom the owner bars finds neither, as if there were nothing.
    let nothing = pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..pb::KeyAnswer::default() };
    assert_eq!(ask(&world, "SN", passport("X4719T06M", "D")).await?, nothing);
    assert_eq!(ask(&world, "SN", person("MARLOWE, TESSA", "1970-01-01")).await?, nothing);

    // After a start all is as it was.
    world.stop_hub().await?;
    world.start_hub().await?;
    world.linked("BR").await?;
    until(&world, "BR", person("MARLOWE, TESSA", "1970"), 1).await?;

    let notice = published.publication.clone();
    world.reviewer("lena").await?.cancel(notice, &published.notice_id, "found").await?;
    assert_eq!(until(&world, "BR", passport("X4719T06M", "D"), 0).await?, nothing);
    assert_eq!(until(&world, "BR", person("MARLOWE, TESSA", "1970"), 0).await?, nothing);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_person_of_a_diffusion_is_found_by_those_who_received_it() -> Result<(), WorldError> {
    let world = World::of(["BR", "FR", "SN"]).automatic(false).start().await?;
    let circular = world.bureau("FR").send(diffusion(form("VOSS", "MAREK", "L0000001K"), &["BR"])).await?;
    world.bureau("FR").accepted(&circular).await?;
    let answer = until(&world, "BR", person("Voss, Marek", "1970-01-01"), 1).await?;
    assert_eq!(answer.found[0].name, format!("FR/diffusion/{}", circular.id));
    assert!(ask(&world, "SN", person("Voss, Marek", "1970-01-01")).await?.found.is_empty());
    assert!(ask(&world, "BR", passport("L0000001K", "D")).await?.found.is_empty(), "it is no notice");

    let withdrawn = world.bureau("FR").send(i247_testkit::withdrawal(&circular)).await?;
    world.bureau("FR").accepted(&withdrawn).await?;
    until(&world, "BR", person("Voss, Marek", "1970-01-01"), 0).await?;
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_about_nobody_is_none() -> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let refused = async |key| Ok::<_, WorldError>(ask(&world, "BR", key).await?.refusal.unwrap());
    let nobody = refused(person("…", "1970")).await?;
    assert_eq!(
        (nobody.reason.as_str(), &nobody.fields[..]),
        ("MISSING_DATA", &["person.name".to_owned()][..])
    );
    assert_eq!(refused(person("Voss", "22.3.1970")).await?.reason, "WRONG_FIELD");
    let aged = pb::PersonKey { name: "Voss".into(), age_from: 20, age_to: 90, ..pb::PersonKey::default() };
    let aged = pb::SearchKey { key: Some(pb::search_key::Key::Person(aged)) };
    assert_eq!(refused(aged).await?.reason, "WRONG_FIELD");
    let five = frame((0..5).map(|_| person("Voss, Marek", "1970")).collect());
    let desk = world.bureau("BR").desk().await?;
    let refusal = desk.check(five).await.unwrap_err();
    assert_eq!(refusal.refusal().unwrap().reason, Reason::TooLarge);
    world.stop_all().await
}
