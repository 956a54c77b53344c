//! Hits: the owner of a record is told that it was found, says whether it still holds, and hears what was done.

use std::time::Duration;

use i247_client::{Desk, Hits};
use i247_model::{MessageId, Reason};
use i247_testkit::{World, WorldError, pb};
use pb::body::Form;

use crate::search::{frame, germany_reports, passport};

/// Waits until a hit stands so.
async fn stands(hits: &mut Hits, id: &MessageId, state: pb::HitState) -> Result<pb::HitStatus, WorldError> {
    loop {
        let within = Duration::from_secs(30);
        let hit = hits.next(within).await?.expect("the watch goes on");
        if hit.id == id.to_string() && hit.state() == state {
            return Ok(hit);
        }
    }
}

pub(crate) fn decision(hit: &MessageId, verdict: pb::HitVerdict) -> pb::Draft {
    let form = pb::HitDecision { verdict: verdict.into(), remark: "reported on Monday".into() };
    draft(pb::Kind::HitDecision, hit.to_string(), Form::HitDecision(form))
}

fn action(decision: &str) -> pb::Draft {
    let form = pb::HitAction {
        measure: pb::HitMeasure::DocumentSeized.into(),
        done_at_ms: 1_900_000_000_000,
        place: "Modane".into(),
        remark: String::new(),
    };
    draft(pb::Kind::HitAction, decision.to_owned(), Form::HitAction(form))
}

fn draft(kind: pb::Kind, refers_to: String, form: Form) -> pb::Draft {
    let body = pb::Body { subject: "About a hit".into(), form: Some(form), ..pb::Body::default() };
    pb::Draft { kind: kind.into(), refers_to, body: Some(body), ..pb::Draft::default() }
}

async fn found(desk: &Desk, number: &str) -> Result<pb::FoundRecord, WorldError> {
    let mut answers = desk.check(frame(vec![passport(number, "D")])).await?.answers;
    Ok(answers.remove(0).found.remove(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_reaches_its_owner_who_confirms_it_and_the_asker_acts_and_says_so() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let (germany, france) = (world.bureau("DE"), world.bureau("FR"));
    let desk = france.desk().await?;
    let hit: MessageId = found(&desk, "X4719T06M").await?.hit_id.parse().unwrap();

    // Both sides are told, and nobody is told twice of what still waits.
    let told = germany.receives(&hit).await?;
    let Some(Form::Hit(form)) = told.form() else { panic!("{told:?}") };
    let said = [&form.name, &form.owner, &form.asker, &form.station].map(String::as_str);
    assert_eq!(said, ["D/PASSPORT/X4719T06M", "DE", "FR", "airport"]);
    assert_eq!(form.purpose(), pb::Purpose::BorderControl);
    france.receives(&hit).await?;
    assert_eq!(found(&desk, "X4719T06M").await?.hit_id, hit.to_string());
    // What is only possible, or one's own, is no hit.
    assert_eq!(found(&desk, "X4719TO6M").await?.hit_id, "");
    assert_eq!(found(&germany.desk().await?, "X4719T06M").await?.hit_id, "");

    let mut live = desk.watch_hits(0, true).await?;
    let waiting = stands(&mut live, &hit, pb::HitState::SourceNotified).await?;
    assert_eq!((waiting.decision_id.as_str(), waiting.overdue), ("", false));
    // Twelve hours to answer an urgent one, from when the hub entered it.
    let hours = Duration::from_millis(waiting.confirm_by_ms - waiting.asked_at_ms).as_secs() / 3600;
    assert_eq!(hours, 12);

    // Nobody acts on a lead, and only the owner decides.
    let early = desk.send(action(&hit.to_string())).await.unwrap_err();
    assert_eq!(early.refusal().unwrap().reason, Reason::WrongReference);
    let mine = france.send(decision(&hit, pb::HitVerdict::Confirmed)).await?;
    assert_eq!(france.answered(&mine).await?.refusal.unwrap().reason, "NOT_OWNER");
    let stranger = world.bureau("JP").desk().await?.send(decision(&hit, pb::HitVerdict::Denied)).await;
    assert_eq!(stranger.unwrap_err().refusal().unwrap().reason, Reason::UnknownReference);
    assert_eq!(
        world.bureau("JP").desk().await?.watch_hits(0, false).await?.next(Duration::from_secs(30)).await?,
        None
    );

    let decided = germany.send(decision(&hit, pb::HitVerdict::Confirmed)).await?;
    let confirmed = stands(&mut live, &hit, pb::HitState::Confirmed).await?;
    assert_eq!(confirmed.decision_id, decided.id.to_string());
    france.receives(&decided.id).await?;
    let acted = france.send(action(&confirmed.decision_id)).await?;
    stands(&mut live, &hit, pb::HitState::ActionReported).await?;
    let report = germany.receives(&acted.id).await?;
    let Some(Form::HitAction(done)) = report.form() else { panic!("{report:?}") };
    assert_eq!((done.measure(), done.place.as_str()), (pb::HitMeasure::DocumentSeized, "Modane"));

    // The register follows from the log.
    world.crash_hub().await?;
    world.start_hub().await?;
    world.linked("FR").await?;
    let kept = desk.watch_hits(0, false).await?.next(Duration::from_secs(30)).await?.unwrap();
    assert_eq!((kept.state(), kept.id), (pb::HitState::ActionReported, hit.to_string()));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_real_clock_an_owner_is_told_of_a_hit_within_a_second() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let (germany, desk) = (world.bureau("DE"), world.bureau("FR").desk().await?);
    let clock = world.seams().clock.clone();
    // At each station it is another hit. A machine that is busy with other stories may make one late, and not all.
    let mut took = Vec::new();
    for station in ["gate_1", "gate_2", "gate_3", "gate_4"] {
        let asked = pb::SearchRequest { station: station.into(), ..frame(vec![passport("X4719T06M", "D")]) };
        let answer = desk.check(asked).await?.answers.remove(0);
        let answered = clock.monotonic();
        germany.receives(&answer.found[0].hit_id.parse().unwrap()).await?;
        took.push(clock.monotonic().saturating_sub(answered));
    }
    println!("the owner was told after {took:?}");
    assert!(took.iter().any(|took| *took <= Duration::from_secs(1)), "{took:?}");
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_does_not_answer_is_reminded() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let desk = world.bureau("FR").desk().await?;
    let hit: MessageId = found(&desk, "X4719T06M").await?.hit_id.parse().unwrap();
    world.bureau("DE").receives(&hit).await?;
    world.advance(Duration::from_secs(12 * 3600 + 1));
    world.bureau("DE").receives_about(i247_model::Kind::Reminder, &hit).await?;
    let late = desk.watch_hits(0, false).await?.next(Duration::from_secs(30)).await?.unwrap();
    assert!(late.overdue);
    world.stop_all().await
}
