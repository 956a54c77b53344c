//! A crash at every named point between a draft at a desk and the receipt for it.

use i247_model::Lane;
use i247_testkit::{Point, Sent, World, WorldError, free_text, pb};

/// What is there, once the power is on again and before anybody has spoken with anybody.
struct Left {
    /// The draft is in the sender's journal, so that its officer need not write it again.
    taken: Part,
    /// The hub's log has the message.
    entered: Part,
    /// The sender's desk shows that the hub has accepted it.
    receipt: Part,
    /// The addressee's inbox has it.
    kept: Part,
}

/// Whether something is there. What was written and not synced may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Yes,
    No,
    May,
}

use Part::{May, No, Yes};

/// What a crash leaves. By then a message that was answered may have come to its addressee too.
fn left(point: Point) -> Left {
    let all = |taken, entered, receipt, kept| Left { taken, entered, receipt, kept };
    match point {
        Point::Offered => all(No, No, No, No),
        Point::Taken | Point::Sealed | Point::Sent | Point::Received | Point::Decided => all(Yes, No, No, No),
        Point::Appending => all(Yes, May, No, No),
        Point::Appended => all(Yes, Yes, No, No),
        Point::Answered | Point::Told => all(Yes, Yes, No, May),
        Point::Noted => all(Yes, Yes, Yes, May),
        Point::Delivered => all(Yes, Yes, May, No),
        Point::Keeping => all(Yes, Yes, May, May),
        Point::Kept => all(Yes, Yes, May, Yes),
        Point::Acknowledged | Point::Entered => all(Yes, Yes, Yes, Yes),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_point_of_a_messages_life_loses_nothing_and_doubles_nothing() -> Result<(), WorldError>
{
    let world = World::of(["FR", "BR"]).automatic(false).breakable(1923).start().await?;
    let before = world.bureau("FR").tell(&["BR"], "before the first crash").await?;
    settled(&world, &before).await?;
    let mut sent = vec![before];
    for point in Point::ALL {
        sent.push(Box::pin(crash_at(&world, point)).await?);
        let expected: Vec<String> = sent.iter().map(|sent| sent.id.to_string()).collect();
        assert_eq!(world.bureau("BR").inbox_ids().await?, expected, "{point:?}");
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_disk_lies_about_syncs_is_found_out_by_a_crash_after_its_answer() -> Result<(), WorldError>
{
    let world = World::of(["FR", "BR"]).automatic(false).breakable(1).start().await?;
    let before = world.bureau("FR").tell(&["BR"], "while the disk is honest").await?;
    settled(&world, &before).await?;
    world.disk(None).set_lazy_syncs(true);
    let id = world.bureau("FR").next_id(Lane::Normal).await?;
    let crash = world.crash_at(Point::Acknowledged, &id, "BR").await?;
    world.bureau("FR").tell(&["BR"], "accepted, and nowhere").await?;
    crash.strikes().await?;
    crash.recover().await?;
    // The sender holds a receipt for what the hub has lost, and says so.
    let why = world.bureau("FR").halted().await?;
    assert!(why.contains("older copy") || why.contains("BEHIND"), "{why}");
    world.stop_all().await
}

/// One message whose life is crossed by a crash.
async fn crash_at(world: &World, point: Point) -> Result<Sent, WorldError> {
    let (france, brazil) = (world.bureau("FR"), world.bureau("BR"));
    let id = france.next_id(Lane::Normal).await?;
    let crash = world.crash_at(point, &id, "BR").await?;
    let mut draft = free_text(&["BR"], "across a crash");
    draft.idempotency_key = format!("{point:?}");
    let told = france.send(draft.clone()).await;
    crash.strikes().await?;

    // Nobody speaks with anybody until it is seen what is left.
    world.cut("FR");
    world.cut("BR");
    crash.recover().await?;
    let Left { taken, entered, receipt, kept } = left(point);
    let outbox = france.outbox().await?;
    let item = outbox.iter().find(|item| item.id == id.to_string());
    let accepted = item.is_some_and(|item| item.state() == pb::OutboxState::Accepted);
    let traced = world.monitor().await?.trace(&id.to_string()).await.is_ok();
    let arrived = brazil.inbox_ids().await?.contains(&id.to_string());
    let is = |what, part, there| assert!(part == May || (part == Yes) == there, "{point:?}, {what}: {there}");
    is("taken", taken, item.is_some());
    is("entered", entered, traced);
    is("receipt", receipt, accepted);
    is("kept", kept, arrived);
    // What the officer was told holds, and so does what the hub has promised.
    assert!(told.is_err() || item.is_some(), "{point:?}: taken and lost");
    assert!(!accepted || traced, "{point:?}: accepted and lost");

    world.heal("FR");
    world.heal("BR");
    // An officer who was told nothing writes it again, under the same key: it is the same message.
    let again = france.send(draft).await?;
    assert_eq!(again.id, id, "{point:?}");
    settled(world, &again).await?;
    Ok(again)
}

/// Waits until the sender knows that all is done.
async fn settled(world: &World, sent: &Sent) -> Result<(), WorldError> {
    world.bureau("BR").receives_all(std::slice::from_ref(sent)).await?;
    world.bureau("FR").stands(sent, "closed", |status| status.closed).await.map(drop)
}
