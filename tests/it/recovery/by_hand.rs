//! What a recovered hub says to bureaus that speak by hand: each refusal starts from what is accepted, and changes one
//! thing.

use std::path::PathBuf;
use std::time::Duration;

use i247_model::{Class, Identity, Reason, Refusal};
use i247_router::RECOVERY_WINDOW;
use i247_testkit::{Pen, World, WorldError, country, free_text, pb};
use i247_trust::{Credentials, SigningKey, sign};
use i247_wire::payload;
use pb::connect_request::Frame as Up;
use prost::Message as _;

use super::line::{Line, copy, from_copy, hello, said};

/// Portugal and Japan by hand, and a hub that has lost what Portugal sent last.
struct Lost {
    world: World,
    portugal: Pen,
    japan: Pen,
    /// What Portugal sent, in order, of which the copy has the first; and what the hub had said to it.
    sent: Vec<(pb::Envelope, pb::Signed)>,
    /// The name of the log before.
    before: Vec<u8>,
    /// The last position of the copy.
    end: u64,
    copy: PathBuf,
}

/// Japan received everything; nobody else is there.
async fn lost() -> Result<Lost, WorldError> {
    let world = World::of([]).start().await?;
    let (mut portugal, mut japan) = (world.pen("PT").await?, world.pen("JP").await?);
    // Whoever asks later was admitted before.
    world.monitor().await?;
    let mut sent = vec![send(&mut portugal, "in the copy").await];
    let copy = copy(&world, &mut [&mut portugal, &mut japan]).await?;
    for text in ["lost", "lost too"] {
        sent.push(send(&mut portugal, text).await);
    }
    let taken_up = from_copy(&world, &copy, &[], &mut [&mut portugal, &mut japan]).await?;
    let (before, end) = (taken_up.previous_log_id.to_vec(), taken_up.previous_end);
    assert_eq!(said(&sent[0].1).log_id, before);
    assert!(said(&sent[0].1).position <= end && said(&sent[1].1).position > end);
    Ok(Lost { world, portugal, japan, sent, before, end, copy })
}

/// Portugal's next message to Japan over a stream, so that the acceptance is had as it was signed.
async fn send(pen: &mut Pen, text: &str) -> (pb::Envelope, pb::Signed) {
    let envelope = pen.sign(&pen.letter(free_text(&["JP"], text)));
    pen.submit(&envelope).await.unwrap();
    let mut line = Line::open(pen, hello(&[], 0, 0)).await.unwrap();
    let signed = line.submit(Up::Envelope(envelope.clone())).await.unwrap();
    (envelope, signed)
}

fn again((envelope, acceptance): &(pb::Envelope, pb::Signed)) -> Up {
    let (envelope, acceptance) = (Some(envelope.clone()), Some(acceptance.clone()));
    Up::Resubmission(pb::Resubmission { envelope, acceptance, refusal: None })
}

fn handed_over((envelope, _): &(pb::Envelope, pb::Signed)) -> Up {
    Up::HandedOver(envelope.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovered_hub_welcomes_who_knew_its_log_and_says_which_numbers_hold() -> Result<(), WorldError> {
    let Lost { world, portugal, japan, before, end, .. } = Box::pin(lost()).await?;
    let line = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    let [predecessor] = &line.welcome.predecessors[..] else { panic!("{:?}", line.welcome) };
    assert_eq!((&predecessor.log_id[..], predecessor.end), (&before[..], end));
    let given: Vec<(pb::Lane, u64)> =
        predecessor.mailbox.iter().map(|given| (given.lane(), given.number)).collect();
    let expected =
        [(pb::Lane::VeryUrgent, 0), (pb::Lane::Urgent, 0), (pb::Lane::Normal, 1), (pb::Lane::Bulk, 0)];
    assert_eq!(given, expected);
    assert_ne!(line.welcome.log_id, before);
    // What Portugal had sent beyond that is to be sent again.
    let known = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    assert_eq!(known.welcome.accepted[2].number, 1);
    // A log that this one does not go on from is another, and of its own it must have seen less than there is.
    let refused = Line::open(&japan, hello(b"another log", end, 1)).await.err().unwrap();
    assert_eq!((refused.reason, &refused.fields[..]), (Reason::Behind, &["log_id".to_owned()][..]));
    for hello in [hello(&line.welcome.log_id, end + 9, 1), hello(&line.welcome.log_id, end, 2)] {
        let refused = Line::open(&japan, hello).await.err().unwrap();
        assert_eq!((refused.reason, &refused.fields[..]), (Reason::Behind, &["log_end_seen".to_owned()][..]));
    }
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_from_beyond_the_copy_are_not_signed_for() -> Result<(), WorldError> {
    let Lost { world, portugal, japan, sent, before, end, .. } = Box::pin(lost()).await?;
    let mut line = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    line.receipt(&japan, 2).await;
    let refused = line.farewell().await;
    assert_eq!(refused.reason, Reason::WrongField, "the second number is yet to be given: {refused}");
    // The first is the same in both logs.
    let mut line = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    line.receipt(&japan, 1).await;
    let signed_for = |summary: &pb::SummaryResponse| {
        summary.links.iter().any(|link| link.party == "JP" && link.queued == 0)
    };
    world.hub_shows("nothing that waits for Japan", signed_for).await?;
    let mut sender = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    sender.submit(again(&sent[1])).await.unwrap();
    line.say(Up::Credit(pb::Credit { deliveries: 8 })).await;
    let delivery = line.delivery().await;
    assert_eq!(delivery.number, 2, "what was signed for is not delivered again");
    let Some(pb::delivery::Content::Envelope(envelope)) = delivery.content else { panic!("no message") };
    assert_eq!(envelope.header, sent[1].0.header);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_with_its_acceptance_is_accepted_anew_and_once() -> Result<(), WorldError> {
    let Lost { world, mut portugal, mut japan, sent, before, end, copy } = Box::pin(lost()).await?;
    let mut line = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    let first = said(&line.submit(again(&sent[1])).await.unwrap());
    assert_eq!(first.log_id, line.welcome.log_id);
    assert_eq!((first.header_hash, first.recipients), (said(&sent[1].1).header_hash, 1));
    let repeated = said(&line.submit(again(&sent[1])).await.unwrap());
    assert_eq!(repeated.position, first.position, "the same answer");
    // A second time from the same copy: it does not know what the log was called since, and is told.
    let (since, second) = (line.welcome.log_id.clone(), line.submit(again(&sent[2])).await.unwrap());
    drop(line);
    let lost = [since.clone()];
    let taken_up = from_copy(&world, &copy, &lost, &mut [&mut portugal, &mut japan]).await?;
    assert_eq!((taken_up.previous_log_id.to_vec(), taken_up.previous_end), (before.clone(), end));
    let line = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    let ends: Vec<(&[u8], u64)> =
        line.welcome.predecessors.iter().map(|one| (&one.log_id[..], one.end)).collect();
    assert_eq!(ends, [(&before[..], end), (&since[..], end)]);
    let mut line = Line::open(&portugal, hello(&since, end + 3, 0)).await.unwrap();
    line.submit(again(&sent[1])).await.unwrap();
    line.submit(again(&(sent[2].0.clone(), second))).await.unwrap();
    world.stop_all().await
}

/// Signs an acceptance as somebody.
fn signed(key: &SigningKey, acceptance: &pb::Acceptance) -> pb::Signed {
    sign(key, payload::ACCEPTANCE, acceptance.encode_to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_that_does_not_fit_is_refused_by_its_field() -> Result<(), WorldError> {
    let Lost { world, portugal, sent, before, end, .. } = Box::pin(lost()).await?;
    let hub = Credentials::load(&world.dir().join("hub")).unwrap().signing_key;
    let mut line = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    let (envelope, good) = &sent[1];
    let changed = |change: fn(&mut pb::Acceptance)| {
        let mut acceptance = said(good);
        change(&mut acceptance);
        signed(&hub, &acceptance)
    };
    let mut torn = good.clone();
    torn.signature = vec![1; 64].into();
    let own = signed(&portugal.credentials().signing_key, &said(good));
    let mut shared = said(good);
    shared.position = end;
    let not_shared = signed(&hub, &shared);
    for (acceptance, reason, field) in [
        (sent[2].1.clone(), Reason::Malformed, "acceptance.id"),
        (changed(|said| said.header_hash = vec![1; 32].into()), Reason::Malformed, "acceptance.header_hash"),
        (changed(|said| said.log_id = vec![1; 16].into()), Reason::Malformed, "acceptance.log_id"),
        (not_shared, Reason::Malformed, "acceptance.position"),
        (changed(|said| said.notice_id = "1".into()), Reason::Malformed, "acceptance.notice_id"),
        (torn, Reason::BadSignature, "acceptance.signature"),
        (own, Reason::WrongSender, "acceptance.key_id"),
    ] {
        let refused = line.submit(again(&(envelope.clone(), acceptance))).await.unwrap_err();
        assert_eq!((refused.reason, &refused.fields[..]), (reason, &[field.to_owned()][..]));
        assert_eq!(refused.reason.class(), Class::NotAttributable);
    }
    line.submit(again(&sent[1])).await.unwrap();
    // What nobody can check any more proves nothing, and the message is one like any other.
    let unknown = signed(&SigningKey::generate().unwrap(), &said(&sent[2].1));
    line.submit(again(&(sent[2].0.clone(), unknown))).await.unwrap();
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_predecessor_had_refused_comes_back_as_refused_and_says_why() -> Result<(), WorldError> {
    let Lost { world, portugal, japan, sent, before, end, .. } = Box::pin(lost()).await?;
    let mut line = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    let envelope = &sent[1].0;
    let refused = |refusal: pb::Refusal| {
        let (envelope, refusal) = (Some(envelope.clone()), Some(refusal));
        Up::Resubmission(pb::Resubmission { envelope, acceptance: None, refusal })
    };
    let good = pb::Refusal::from(&Refusal::of(Reason::UnknownCountry, "audience.countries.JP"));
    let many = vec![String::from("audience"); 513];
    for (bad, field) in [
        (pb::Refusal::from(&Refusal::of(Reason::Busy, "quota")), "refusal.reason"),
        (pb::Refusal { fields: many, ..good.clone() }, "refusal.fields"),
        (pb::Refusal { fields: vec!["a".repeat(257)], ..good.clone() }, "refusal.fields"),
    ] {
        let said = line.submit(refused(bad)).await.unwrap_err();
        assert_eq!((said.reason, &said.fields[..]), (Reason::Malformed, &[field.to_owned()][..]));
    }
    let said = line.submit(refused(good.clone())).await.unwrap_err();
    assert_eq!(
        (said.reason, said.fields),
        (Reason::UnknownCountry, vec!["audience.countries.JP".to_owned()])
    );
    // What follows it in its lane goes on, and Japan gets that alone.
    line.submit(again(&sent[2])).await.unwrap();
    let mut receiver = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    receiver.say(Up::Credit(pb::Credit { deliveries: 8 })).await;
    for (number, message) in [(1, &sent[0]), (2, &sent[2])] {
        let delivery = receiver.delivery().await;
        let Some(pb::delivery::Content::Envelope(next)) = delivery.content else { panic!("no message") };
        assert_eq!((delivery.number, next.header), (number, message.0.header.clone()));
    }
    // Neither or both is no resubmission.
    let acceptance = Some(sent[2].1.clone());
    let both = pb::Resubmission { envelope: Some(sent[2].0.clone()), acceptance, refusal: Some(good) };
    line.say(Up::Resubmission(both)).await;
    let said = line.farewell().await;
    assert_eq!((said.reason, &said.fields[..]), (Reason::Malformed, &["resubmission".to_owned()][..]));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_has_lost_nothing_takes_nothing_back() -> Result<(), WorldError> {
    let world = World::of([]).start().await?;
    let mut portugal = world.pen("PT").await?;
    world.pen("JP").await?;
    let sent = send(&mut portugal, "known").await;
    for frame in [again(&sent), handed_over(&sent)] {
        let mut line = Line::open(&portugal, hello(&[], 0, 0)).await.unwrap();
        line.say(frame).await;
        let refused = line.farewell().await;
        assert_eq!((refused.reason, &refused.fields[..]), (Reason::Malformed, &["frame".to_owned()][..]));
    }
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_hand_over_comes_in_order_and_its_audience_is_the_senders_business()
-> Result<(), WorldError> {
    let Lost { world, portugal, japan, sent, before, end, .. } = Box::pin(lost()).await?;
    let mut line = Line::open(&japan, hello(&before, end + 2, 3)).await.unwrap();
    let refused = line.submit(handed_over(&sent[2])).await.unwrap_err();
    assert_eq!((refused.reason, refused.reason.class()), (Reason::OutOfOrder, Class::NotNow));
    let refused = line.submit(Up::Envelope(sent[1].0.clone())).await.unwrap_err();
    assert_eq!(refused.reason, Reason::WrongSender, "as its own it is still another's");
    let entered = said(&line.submit(handed_over(&sent[1])).await.unwrap());
    assert_eq!((entered.log_id, entered.recipients), (line.welcome.log_id.clone(), 0));
    // Its sender is told all, whoever was first; and Japan again nothing.
    let mut sender = Line::open(&portugal, hello(&before, end + 2, 0)).await.unwrap();
    assert_eq!(sender.welcome.accepted[2].number, 2);
    let told = said(&sender.submit(again(&sent[1])).await.unwrap());
    assert_eq!((told.position, told.recipients), (entered.position, 1));
    assert_eq!(said(&line.submit(handed_over(&sent[1])).await.unwrap()).recipients, 0);
    // After the hour it is said once and for all what cannot be entered.
    world.advance(RECOVERY_WINDOW + Duration::from_secs(1));
    sender.submit(again(&sent[2])).await.unwrap();
    let out_of_order = {
        let letter = portugal.letter(free_text(&["JP"], "far ahead"));
        let mut letter = letter.clone();
        letter.header.id = "PT-1-N-9".into();
        (portugal.sign(&letter), pb::Signed::default())
    };
    let refused = line.submit(handed_over(&out_of_order)).await.unwrap_err();
    let expected = ["handed_over".to_owned(), "id".to_owned()];
    assert_eq!((refused.reason, &refused.fields[..]), (Reason::Expired, &expected[..]));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_the_lost_log_had_made_are_not_entered() -> Result<(), WorldError> {
    let world = World::of([]).start().await?;
    let (mut portugal, mut japan) = (world.pen("PT").await?, world.pen("JP").await?);
    world.monitor().await?;
    let copy = copy(&world, &mut [&mut portugal, &mut japan]).await?;
    let mut draft = free_text(&["JP"], "a question");
    draft.kind = pb::Kind::Request.into();
    draft.reply_by_ms = world.seams().clock.now().as_millis() + 60_000;
    draft.body.as_mut().unwrap().form = Some(pb::body::Form::Request(pb::Request {
        questions: vec![pb::Question::Record.into()],
        reason: "an invented case".into(),
        ..pb::Request::default()
    }));
    portugal.submit(&portugal.sign(&portugal.letter(draft))).await?;
    let mut line = Line::open(&japan, hello(&[], 0, 0)).await.unwrap();
    line.say(Up::Credit(pb::Credit { deliveries: 8 })).await;
    line.delivery().await;
    world.advance(Duration::from_secs(61));
    let Some(pb::delivery::Content::Envelope(reminder)) = line.delivery().await.content else {
        panic!("no reminder")
    };
    let before = line.welcome.log_id.to_vec();
    drop(line);
    from_copy(&world, &copy, &[], &mut [&mut portugal, &mut japan]).await?;
    let mut line = Line::open(&japan, hello(&before, 20, 2)).await.unwrap();
    let refused = line.submit(Up::HandedOver(reminder)).await.unwrap_err();
    assert_eq!((refused.reason, refused.reason.class()), (Reason::NotAuthorised, Class::NotAttributable));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_admitted_in_the_lost_part_is_waited_for_until_the_authority_sends_again()
-> Result<(), WorldError> {
    let world = World::of([]).start().await?;
    let mut japan = world.pen("JP").await?;
    world.monitor().await?;
    let copy = copy(&world, &mut [&mut japan]).await?;
    let mut portugal = world.pen("PT").await?;
    let sent = send(&mut portugal, "lost with its sender").await;
    let before = said(&sent.1).log_id.to_vec();
    from_copy(&world, &copy, &[], &mut [&mut japan]).await?;
    let mut line = Line::open(&japan, hello(&before, 20, 1)).await.unwrap();
    let refused: Refusal = line.submit(handed_over(&sent)).await.unwrap_err();
    assert_eq!((refused.reason, &refused.fields[..]), (Reason::Busy, &["key_id".to_owned()][..]));
    assert!(refused.retry_after.is_some());
    assert_eq!(world.resend().await?, 1);
    line.submit(handed_over(&sent)).await.unwrap();
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_directory_that_comes_twice_is_answered_twice() -> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let brazil = Identity::Bureau(country("BR"));
    world.suspend(&brazil).await?;
    let (first, repeated) = (world.repeat_last_change(false).await?, world.repeat_last_change(false).await?);
    assert_eq!(first, repeated);
    // The same number for something else is refused as ever.
    let refused = world.repeat_last_change(true).await.unwrap_err();
    let refused = refused.refusal().unwrap();
    assert_eq!((refused.reason, &refused.fields[..]), (Reason::WrongField, &["sequence".to_owned()][..]));
    world.reinstate(&brazil).await?;
    world.finish().await
}
