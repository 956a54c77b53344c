//! The whole network goes on after its hub lost the end of its log: nothing that a sender was promised is missing, and
//! nobody sees anything twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_hub::Hub;
use i247_ledger::Inline;
use i247_ledger::disk::OsDisk;
use i247_model::MessageId;
use i247_node::Seams;
use i247_testkit::{
    Sent, World, WorldError, diffusion, free_text, notice_request, pb, red_form, reply, withdrawal,
};
use i247_trust::Credentials;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);

/// What everybody had before the hub was restored.
struct Before {
    inboxes: BTreeMap<String, Vec<String>>,
    accepted: BTreeSet<String>,
}

impl Before {
    async fn of(world: &World) -> Result<Self, WorldError> {
        let (mut inboxes, mut accepted) = (BTreeMap::new(), BTreeSet::new());
        for code in world.countries() {
            let bureau = world.bureau(code.as_str());
            inboxes.insert(code.to_string(), bureau.inbox_ids().await?);
            let sent = bureau.outbox().await?.into_iter();
            accepted
                .extend(sent.filter(|item| item.state() == pb::OutboxState::Accepted).map(|item| item.id));
        }
        Ok(Self { inboxes, accepted })
    }

    /// Waits until the hub has all of it again, and sees that nobody received anything of it once more.
    async fn is_back(&self, world: &World) -> Result<(), WorldError> {
        let monitor = world.monitor().await?;
        for id in &self.accepted {
            world
                .until(&format!("the hub to know {id} again"), async || match monitor.trace(id).await {
                    Ok(trace) => Ok(trace.status.map(|_| ())),
                    Err(error) if error.refusal().is_some() => Ok(None),
                    Err(error) => Err(error.into()),
                })
                .await?;
        }
        for (code, before) in &self.inboxes {
            let now = world.bureau(code).inbox_ids().await?;
            assert_eq!(now[..before.len()], before[..], "what {code} had, in its order");
            let unique: BTreeSet<&String> = now.iter().collect();
            assert_eq!(unique.len(), now.len(), "{code} sees something twice");
        }
        Ok(())
    }
}

/// Copies the hub's data while it is stopped; whoever is not away is linked again then.
async fn copy(world: &World, away: &str) -> Result<PathBuf, WorldError> {
    world.stop_hub().await?;
    let copy = world.back_up("hub")?;
    world.start_hub().await?;
    all_linked(world, away).await?;
    Ok(copy)
}

/// The hub is restored from the copy and recovered.
async fn restore_and_recover(world: &World, copy: &Path, away: &str) -> Result<(), WorldError> {
    world.stop_hub().await?;
    world.restore("hub", copy)?;
    world.recover_hub().await?;
    world.start_hub().await?;
    all_linked(world, away).await
}

async fn all_linked(world: &World, away: &str) -> Result<(), WorldError> {
    for code in world.countries().iter().filter(|code| code.as_str() != away) {
        world.linked(code.as_str()).await?;
    }
    Ok(())
}

/// The hub is restored from the copy, accepts nothing, and is recovered.
async fn lose_and_recover(world: &World, copy: &Path) -> Result<(), WorldError> {
    world.stop_hub().await?;
    world.restore("hub", copy)?;
    world.start_hub().await?;
    let why = world.bureau("FR").halted().await?;
    assert!(why.contains("older copy") && why.contains("recover"), "{why}");
    world.not_serving("hub").await?;
    restore_and_recover(world, copy, "").await?;
    world.resend().await.map(drop)
}

/// A diffusion of Brazil with a picture.
async fn with_picture(world: &World) -> Result<(Sent, Bytes), WorldError> {
    let picture = Bytes::from(vec![47; 700_000]);
    let note = pb::AttachmentNote { name: "picture.png".into(), ..pb::AttachmentNote::default() };
    let commitment = world.bureau("BR").desk().await?.add_attachment(note, picture.clone()).await?;
    let mut draft = diffusion(red_form("VOSS", "MAREK"), &["FR", "JP"]);
    draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
    Ok((world.bureau("BR").send(draft).await?, picture))
}

fn last_word(question: &Sent) -> pb::Draft {
    reply(&question.id, pb::Outcome::Negative, pb::ReplyStage::Final)
}

async fn reminder(world: &World, at: &str, of: &Sent, nth: usize) -> Result<MessageId, WorldError> {
    let about = of.id.to_string();
    world
        .until(&format!("reminder {nth} at {at}"), async || {
            let reminders = world.bureau(at).inbox().await?.into_iter();
            let mut reminders =
                reminders.filter(|item| item.kind() == pb::Kind::Reminder && item.refers_to == about);
            Ok(reminders.nth(nth - 1).map(|item| item.id.parse().unwrap()))
        })
        .await
}

async fn state_at(
    world: &World,
    of: &MessageId,
    at: &str,
    state: pb::RecipientState,
) -> Result<(), WorldError> {
    let id = of.to_string();
    world
        .until(&format!("{id} to be {} at {at}", state.as_str_name()), async || {
            let trace = match world.monitor().await?.trace(&id).await {
                // It is not back yet.
                Err(error) if error.refusal().is_some() => return Ok(None),
                trace => trace?,
            };
            let recipients = trace.status.unwrap_or_default().recipients;
            Ok(recipients.iter().any(|one| one.party == at && one.state() == state).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_whose_hub_lost_its_end_has_everything_again() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let (france, brazil, japan) = (world.bureau("FR"), world.bureau("BR"), world.bureau("JP"));
    world.monitor().await?;
    world.reviewer("lena").await?;
    let kept = france.ask(["BR", "JP"]).about("PARDEL", "TESSA").within(HOUR, &world).send().await?;
    let circular = france.send(diffusion(red_form("ORLOV", "IDA"), &["BR", "JP"])).await?;
    brazil.receives(&circular.id).await?;
    japan.receives(&circular.id).await?;
    let copy = copy(&world, "").await?;

    // A bit of everything that the copy does not have; some of it answers what it has.
    brazil.send(last_word(&kept)).await?;
    france.reply_to(&kept, "BR").await?;
    let lost = japan.ask(["FR"]).about("PARDEL", "TESSA").within(20 * HOUR, &world).send().await?;
    france.receives(&lost.id).await?;
    france.send(last_word(&lost)).await?;
    japan.reply_to(&lost, "FR").await?;
    let asked = france.send(notice_request(red_form("PARDEL", "TESSA"), &[])).await?;
    let published = world.publish(&asked).await?;
    brazil.receives(&published.publication).await?;
    japan.receives(&published.publication).await?;
    brazil.desk().await?.mark_actioned(&published.publication.to_string()).await?;
    let (with_picture, picture) = with_picture(&world).await?;
    france.receives(&with_picture.id).await?;
    japan.receives(&with_picture.id).await?;
    let taken_back = france.send(withdrawal(&circular)).await?;
    brazil.receives(&taken_back.id).await?;
    japan.receives(&taken_back.id).await?;
    world.advance(HOUR);
    let reminded = reminder(&world, "JP", &kept, 1).await?;
    state_at(&world, &published.publication, "BR", pb::RecipientState::Actioned).await?;
    let before = Before::of(&world).await?;

    lose_and_recover(&world, &copy).await?;
    before.is_back(&world).await?;
    world.serving("hub").await?;
    assert_eq!(france.desk().await?.report().await?.halted, "");
    // Marks are there again, the notice has its number, and its picture can be looked at by somebody new.
    state_at(&world, &published.publication, "BR", pb::RecipientState::Actioned).await?;
    // It is handed a picture once it was handed the message again.
    for at in ["FR", "JP"] {
        state_at(&world, &with_picture.id, at, pb::RecipientState::Opened).await?;
    }
    let notices = world.reviewer("lena").await?.notices().await?;
    let numbers: Vec<&str> = notices.iter().map(|notice| notice.notice_id.as_str()).collect();
    assert_eq!(numbers, [published.notice_id.as_str()], "the notice that bureaus hold");
    let (_, bytes) = japan.desk().await?.open_attachment(&with_picture.id.to_string(), 0).await?;
    assert!(bytes == picture, "another picture came out");
    // Japan still owes its answer, and is reminded under an id that nobody has seen; but not before all came back, so
    // that Brazil is not reminded of what it has answered.
    world.advance(HOUR / 6);
    let anew = reminder(&world, "JP", &kept, 2).await?;
    assert!(anew.epoch > 1_000_000_000_000 && anew != reminded, "{anew} after {reminded}");
    assert!(brazil.inbox().await?.iter().all(|item| item.kind() != pb::Kind::Reminder));
    japan.send(last_word(&kept)).await?;
    france.reply_to(&kept, "JP").await?;
    // And all goes on: words, and another notice under a number that was never given.
    for (from, to) in [("FR", "JP"), ("JP", "FR"), ("BR", "FR")] {
        let sent = world.bureau(from).tell(&[to], "after the recovery").await?;
        world.bureau(to).receives(&sent.id).await?;
    }
    let asked = brazil.send(notice_request(red_form("VOSS", "MAREK"), &[])).await?;
    let second = world.publish(&asked).await?;
    assert_ne!(second.notice_id, published.notice_id);
    assert_eq!(second.publication.epoch, 2, "the reviewer numbers anew");
    france.receives(&second.publication).await?;
    Box::pin(same_when_made_anew(world)).await
}

/// Stops the world; what the log alone says of it is what the hub had.
async fn same_when_made_anew(world: World) -> Result<(), WorldError> {
    let dir = world.dir().join("hub");
    let credentials = Credentials::load(&dir).unwrap();
    let config = i247_hub::Config {
        listen: "127.0.0.1:0".into(),
        data: dir.join("data"),
        telemetry: i247_node::TelemetryConfig { level: "error".into(), ..Default::default() },
        ..i247_hub::Config::default()
    };
    world.holds().await?;
    world.stop_all().await?;
    let hub = Hub::build(config.clone(), credentials.clone(), Seams::system()).await.unwrap();
    let digest = hub.digest().unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    hub.serve(stop).await.unwrap();
    let root = credentials.root.clone();
    let rebuilt =
        i247_hub::rebuild(Arc::new(OsDisk), Arc::new(Inline), &config.data.join("log"), root).await.unwrap();
    assert_eq!(rebuilt.digest, digest, "made anew from the log alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_may_lose_its_end_twice_and_who_was_away_both_times_comes_back() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let (france, brazil, japan) = (world.bureau("FR"), world.bureau("BR"), world.bureau("JP"));
    world.monitor().await?;
    let copied = copy(&world, "").await?;
    let mut all = Vec::new();
    for (from, to) in [("FR", "BR"), ("BR", "JP"), ("JP", "FR")] {
        all.push(world.bureau(from).tell(&[to], "lost the first time").await?);
    }
    brazil.receives(&all[0].id).await?;
    japan.receives(&all[1].id).await?;
    france.receives(&all[2].id).await?;
    let before = Before::of(&world).await?;
    // Japan sleeps through all that follows.
    world.stop("JP").await?;
    restore_and_recover(&world, &copied, "JP").await?;
    let copied = copy(&world, "JP").await?;
    let again = france.tell(&["BR", "JP"], "lost the second time").await?;
    brazil.receives(&again.id).await?;
    brazil.tell(&["FR"], "lost the second time too").await?;
    restore_and_recover(&world, &copied, "JP").await?;
    world.restart("JP").await?;
    before.is_back(&world).await?;
    japan.receives(&again.id).await?;
    let last = japan.tell(&["FR", "BR"], "what have I missed?").await?;
    france.receives(&last.id).await?;
    brazil.receives(&last.id).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hub_and_sender_lost_comes_back_from_who_received_it() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let (france, brazil, japan) = (world.bureau("FR"), world.bureau("BR"), world.bureau("JP"));
    world.monitor().await?;
    world.stop("FR").await?;
    let of_france = world.back_up("FR")?;
    world.restart("FR").await?;
    let copied = copy(&world, "").await?;
    world.cut("JP");
    let lost = france.send(free_text(&["BR", "JP"], "lost by hub and sender")).await?;
    brazil.receives(&lost.id).await?;
    let about = {
        let mut draft = free_text(&["FR"], "about what was lost");
        draft.refers_to = lost.id.to_string();
        brazil.send(draft).await?
    };
    france.receives(&about.id).await?;
    world.stop("FR").await?;
    world.restore("FR", &of_france)?;
    world.stop_hub().await?;
    world.restore("hub", &copied)?;
    world.recover_hub().await?;
    world.heal("JP");
    world.start_hub().await?;
    // Brazil hands it over: it is delivered to whoever had not received it, and what refers to it counts.
    japan.receives(&lost.id).await?;
    world.restart("FR").await?;
    let why = france.halted().await?;
    assert!(why.contains("older copy"), "{why}");
    assert_eq!(france.desk().await?.recover("both were restored").await?, 2);
    france.receives(&about.id).await?;
    let anew = france.tell(&["BR"], "in the new epoch").await?;
    assert_eq!(anew.id.to_string(), "FR-2-N-1");
    brazil.receives(&anew.id).await?;
    world.finish().await
}
