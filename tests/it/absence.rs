//! Bureaus that are away.

use std::time::Duration;

use i247_model::Kind;
use i247_testkit::{Builder, Sent, World, WorldError, diffusion, free_text, pb, red_form, reply, withdrawal};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bureau_absent_for_three_days_gets_what_still_counts_in_order() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let (france, brazil, japan) = (world.bureau("FR"), world.bureau("BR"), world.bureau("JP"));
    world.stop("JP").await?;
    world.unlinked("JP").await?;

    // The first day: a question that is due tomorrow, news that are stale in two days, and words that last.
    let question = france.ask(["BR", "JP"]).within(DAY, &world).send().await?;
    let mut news = free_text(&["BR", "JP"], "of these two days only");
    news.expires_at_ms = world.seams().clock.now().plus(2 * DAY).as_millis();
    let news = france.send(news).await?;
    let first = france.tell(&["BR", "JP"], "of the first day").await?;
    brazil.receives_all(&[question.clone(), news.clone(), first.clone()]).await?;
    let final_word = reply(&question.id, pb::Outcome::Negative, pb::ReplyStage::Final);
    brazil.send(final_word.clone()).await?;
    france.reply_to(&question, "BR").await?;
    waiting(&world, "JP", 3).await?;

    // The second: Japan is reminded.
    world.advance(DAY);
    france
        .stands(&question, "reminded at JP", |status| answer(status, "JP") == pb::AnswerState::Reminded)
        .await?;
    let mut urgent = free_text(&["JP"], "of the second day");
    urgent.lane = pb::Lane::VeryUrgent.into();
    let urgent = france.send(urgent).await?;
    let second = france.tell(&["BR", "JP"], "of the second day").await?;
    waiting(&world, "JP", 6).await?;

    // The third: the news are stale, and it is reminded again.
    world.advance(DAY);
    let status = france
        .stands(&news, "expired at JP", |status| state(status, "JP") == pb::RecipientState::Expired)
        .await?;
    assert!(state(&status, "BR") >= pb::RecipientState::Delivered);
    assert!(status.closed);
    let third = brazil.tell(&["JP"], "of the third day").await?;
    waiting(&world, "JP", 7).await?;

    // The fourth: it is told on, and all else still waits for it.
    world.advance(DAY);
    let escalation = france.receives_about(Kind::Escalation, &question.id).await?;
    let Some(pb::body::Form::Escalation(form)) = escalation.form() else { panic!("{escalation:?}") };
    assert_eq!(form.silent, ["JP"]);
    let status = france
        .stands(&question, "escalated", |status| answer(status, "JP") == pb::AnswerState::Escalated)
        .await?;
    assert_eq!(state(&status, "JP"), pb::RecipientState::Queued);
    assert_eq!(answer(&status, "BR"), pb::AnswerState::Answered);

    world.restart("JP").await?;
    japan
        .receives_all(&[question.clone(), first.clone(), urgent.clone(), second.clone(), third.clone()])
        .await?;
    france.stands(&urgent, "closed", |status| status.closed).await?;
    let inbox = japan.inbox().await?;
    let of = |lane: pb::Lane| -> Vec<String> {
        let reminder = |item: &pb::InboxItem| item.kind() == pb::Kind::Reminder;
        let name = |item: &pb::InboxItem| if reminder(item) { "reminder".into() } else { item.id.clone() };
        inbox.iter().filter(|item| item.lane() == lane).map(name).collect()
    };
    let text = |sent: &Sent| sent.id.to_string();
    assert_eq!(of(pb::Lane::VeryUrgent), [text(&urgent)]);
    let expected =
        [text(&question), text(&first), "reminder".into(), text(&second), "reminder".into(), text(&third)];
    assert_eq!(of(pb::Lane::Normal), expected);
    assert_eq!(inbox.len(), 7);

    // Late is better than never.
    japan.send(final_word).await?;
    france.reply_to(&question, "JP").await?;
    france.stands(&question, "answered", |status| answer(status, "JP") == pb::AnswerState::Answered).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_bureau_gets_the_rest_in_order_when_it_returns() -> Result<(), WorldError> {
    absence(World::of(["FR", "BR", "JP"])).await
}

/// The story, in one process or in many.
pub(crate) async fn absence(builder: Builder) -> Result<(), WorldError> {
    let world = Box::pin(builder.start()).await?;
    let before = world.bureau("FR").tell(&["BR"], "before").await?;
    world.bureau("BR").receives(&before.id).await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut sent = vec![before];
    sent.extend(world.bureau("FR").flood(&["BR", "JP"], 40).await?);
    // Nobody waits for the absent one.
    world.bureau("JP").receives_all(&sent[1..]).await?;
    let status = world
        .bureau("FR")
        .stands(&sent[40], "delivered at JP", |status| state(status, "JP") == pb::RecipientState::Delivered)
        .await?;
    assert_eq!(state(&status, "BR"), pb::RecipientState::Queued);
    assert_eq!(world.bureau("BR").inbox_ids().await?.len(), 1);
    // What it sends meanwhile waits in its outbox.
    let own = world.bureau("BR").tell(&["FR"], "written while away").await?;
    world.heal("BR");
    world.bureau("BR").receives_all(&sent).await?;
    world.bureau("FR").receives(&own.id).await?;
    let expected: Vec<String> = sent.iter().map(|sent| sent.id.to_string()).collect();
    assert_eq!(world.bureau("BR").inbox_ids().await?, expected);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_while_a_bureau_was_away_becomes_a_gap() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let first = world.bureau("FR").tell(&["BR"], "for as long as it takes").await?;
    let mut short = free_text(&["BR", "JP"], "of today only");
    short.expires_at_ms = world.seams().clock.now().plus(HOUR).as_millis();
    let short = world.bureau("FR").send(short).await?;
    let last = world.bureau("FR").tell(&["BR"], "of another day").await?;
    world.bureau("JP").receives(&short.id).await?;
    world.advance(HOUR);
    let status = world
        .bureau("FR")
        .stands(&short, "expired at BR", |status| state(status, "BR") == pb::RecipientState::Expired)
        .await?;
    assert!(state(&status, "JP") >= pb::RecipientState::Delivered);
    assert!(status.closed);
    world.heal("BR");
    world.bureau("BR").receives(&last.id).await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [first.id.to_string(), last.id.to_string()]);
    world.bureau("FR").stands(&last, "closed", |status| status.closed).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_expired_unseen_reminds_nobody() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.stop("BR").await?;
    world.unlinked("BR").await?;
    let mut question = world.bureau("FR").ask(["BR"]).within(HOUR, &world).draft();
    question.expires_at_ms = question.reply_by_ms;
    let question = world.bureau("FR").send(question).await?;
    world.bureau("FR").accepted(&question).await?;
    world.advance(HOUR);
    let status = world.bureau("FR").stands(&question, "closed", |status| status.closed).await?;
    assert_eq!(state(&status, "BR"), pb::RecipientState::Expired);
    world.restart("BR").await?;
    let after = world.bureau("FR").tell(&["BR"], "after").await?;
    world.bureau("BR").receives(&after.id).await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [after.id.to_string()]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diffusion_taken_back_while_queued_never_arrives() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let sent = world.bureau("FR").send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    world.bureau("JP").receives(&sent.id).await?;
    let taken = world.bureau("FR").send(withdrawal(&sent)).await?;
    world.bureau("JP").receives_about(Kind::Withdrawal, &sent.id).await?;
    let status = world
        .bureau("FR")
        .stands(&sent, "withdrawn at BR", |status| state(status, "BR") == pb::RecipientState::Withdrawn)
        .await?;
    // A recipient who has it keeps having it, and is told.
    assert!(state(&status, "JP") >= pb::RecipientState::Delivered);
    let after = world.bureau("FR").tell(&["BR"], "after").await?;
    world.heal("BR");
    world.bureau("BR").receives(&after.id).await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [after.id.to_string()]);
    let told = world.bureau("FR").stands(&taken, "closed", |status| status.closed).await?;
    let told: Vec<&str> = told.recipients.iter().map(|recipient| recipient.party.as_str()).collect();
    assert_eq!(told, ["JP"]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_starts_takes_nothing_back_until_the_bureau_says_what_it_has() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let sent = world.bureau("FR").send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    world.bureau("JP").receives(&sent.id).await?;
    // For all that the next hub knows, it was on its way.
    world.crash_hub().await?;
    world.start_hub().await?;
    let taken = world.bureau("FR").send(withdrawal(&sent)).await?;
    world.bureau("JP").receives_about(Kind::Withdrawal, &sent.id).await?;
    world.heal("BR");
    let told = world.bureau("BR").receives_about(Kind::Withdrawal, &sent.id).await?;
    assert_eq!(told.id(), taken.id.to_string());
    assert_eq!(world.bureau("BR").inbox_ids().await?, [sent.id.to_string(), taken.id.to_string()]);
    world.bureau("FR").stands(&taken, "closed", |status| status.closed).await?;

    // Now it has said so, and what is queued can be taken back again.
    world.cut("BR");
    world.unlinked("BR").await?;
    let again = world.bureau("FR").send(diffusion(red_form("PARDEL", "TESSA"), &["BR"])).await?;
    world.bureau("FR").send(withdrawal(&again)).await?;
    world
        .bureau("FR")
        .stands(&again, "withdrawn at BR", |status| state(status, "BR") == pb::RecipientState::Withdrawn)
        .await?;
    world.heal("BR");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_never_arrives_before_its_question() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    world.cut("JP");
    world.unlinked("JP").await?;
    let question = world.bureau("FR").ask(["BR", "JP"]).reply_to_all().send().await?;
    world.bureau("BR").receives(&question.id).await?;
    // In a lane that overtakes the question's.
    let mut answer = reply(&question.id, pb::Outcome::Positive, pb::ReplyStage::Final);
    answer.lane = pb::Lane::VeryUrgent.into();
    answer.audience.as_mut().unwrap().countries = vec!["FR".into(), "JP".into()];
    let answer = world.bureau("BR").send(answer).await?;
    world.bureau("FR").reply_to(&question, "BR").await?;
    let urgent = {
        let mut draft = free_text(&["JP"], "about something else");
        draft.lane = pb::Lane::VeryUrgent.into();
        world.bureau("FR").send(draft).await?
    };
    world.bureau("FR").accepted(&urgent).await?;
    world.heal("JP");
    world.bureau("JP").receives_all(&[question.clone(), answer.clone(), urgent.clone()]).await?;
    let ids = world.bureau("JP").inbox_ids().await?;
    let place = |id: &i247_model::MessageId| ids.iter().position(|here| *here == id.to_string()).unwrap();
    assert!(place(&question.id) < place(&answer.id), "{ids:?}");
    // Brazil's lane is its own: the mailbox's very urgent lane waits behind the gate, in order.
    assert!(place(&answer.id) < place(&urgent.id), "{ids:?}");
    world.finish().await
}

fn state(status: &pb::MessageStatus, party: &str) -> pb::RecipientState {
    status.recipients.iter().find(|recipient| recipient.party == party).unwrap().state()
}

fn answer(status: &pb::MessageStatus, party: &str) -> pb::AnswerState {
    status.recipients.iter().find(|recipient| recipient.party == party).unwrap().answer()
}

/// Waits until so much waits at the hub for a bureau.
async fn waiting(world: &World, code: &str, count: u64) -> Result<(), WorldError> {
    let queued = |summary: &pb::SummaryResponse| {
        summary.links.iter().any(|link| link.party == code && link.queued == count)
    };
    world.hub_shows(&format!("{count} messages for {code}"), queued).await.map(drop)
}
