//! Who is late is reminded, then told on; a late answer still counts.

use std::time::Duration;

use i247_model::Kind;
use i247_testkit::{World, WorldError, pb, reply};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_addressee_is_reminded_twice_then_told_on_and_may_still_answer() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let question = world.bureau("FR").ask(["BR", "JP"]).within(HOUR, &world).send().await?;
    world.bureau("BR").receives(&question.id).await?;
    let final_word = reply(&question.id, pb::Outcome::Negative, pb::ReplyStage::Final);
    world.bureau("BR").send(final_word.clone()).await?;
    world.bureau("FR").reply_to(&question, "BR").await?;

    for nth in 1..=2 {
        world.advance(HOUR);
        reminded(&world, "JP", nth).await?;
    }
    world.advance(HOUR);
    let escalation = world.bureau("FR").receives_about(Kind::Escalation, &question.id).await?;
    let Some(pb::body::Form::Escalation(form)) = escalation.form() else { panic!("{escalation:?}") };
    assert_eq!(form.silent, ["JP"]);
    let reminders: Vec<u32> = {
        let mut nths = Vec::new();
        for item in world.bureau("JP").inbox().await?.iter().filter(|item| item.kind() == pb::Kind::Reminder)
        {
            let shown = world.bureau("JP").receives(&item.id.parse().unwrap()).await?;
            let Some(pb::body::Form::Reminder(form)) = shown.form() else { panic!("{shown:?}") };
            nths.push(form.nth);
        }
        nths
    };
    assert_eq!(reminders, [1, 2]);
    // Who has answered is left alone.
    assert_eq!(world.bureau("BR").inbox_ids().await?, [question.id.to_string()]);
    let status = world
        .bureau("FR")
        .stands(&question, "escalated", |status| answer(status, "JP") == pb::AnswerState::Escalated)
        .await?;
    assert_eq!(answer(&status, "BR"), pb::AnswerState::Answered);

    world.bureau("JP").send(final_word).await?;
    world.bureau("FR").reply_to(&question, "JP").await?;
    let trace = world.monitor().await?.trace(&question.id.to_string()).await?;
    assert_eq!(answer(&trace.status.unwrap(), "JP"), pb::AnswerState::Answered);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_fell_due_while_the_hub_was_down_fires_when_it_is_back() -> Result<(), WorldError> {
    let world = World::of(["FR", "JP"]).automatic(false).start().await?;
    let question = world.bureau("FR").ask(["JP"]).within(HOUR, &world).send().await?;
    world.bureau("JP").receives(&question.id).await?;
    world.crash_hub().await?;
    world.advance(HOUR);
    world.start_hub().await?;
    for nth in 1..=2 {
        reminded(&world, "JP", nth).await?;
        world.advance(HOUR);
    }
    world.bureau("FR").receives_about(Kind::Escalation, &question.id).await?;
    world.finish().await
}

/// Waits until a bureau has so many reminders.
async fn reminded(world: &World, code: &str, times: usize) -> Result<(), WorldError> {
    world
        .until(&format!("{times} reminders at {code}"), async || {
            let inbox = world.bureau(code).inbox().await?;
            let reminders = inbox.iter().filter(|item| item.kind() == pb::Kind::Reminder).count();
            Ok((reminders == times).then_some(()))
        })
        .await
}

fn answer(status: &pb::MessageStatus, party: &str) -> pb::AnswerState {
    status.recipients.iter().find(|recipient| recipient.party == party).unwrap().answer()
}
