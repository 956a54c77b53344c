//! What is refused for the state that the hub, the sender or the referred message is in. Each story submits something
//! good, brings that state about, and returns the refusal; where the state passes, the same bytes are accepted.

use std::pin::Pin;
use std::sync::Arc;

use i247_ledger::faults::BreakableDisk;
use i247_model::{Identity, Reason, Refusal};
use i247_testkit::{
    Letter, Pen, World, WorldError, country, free_text, name, notice_request, pb, red_form, sign,
};
use i247_trust::Credentials;

/// A story that ends in a refusal.
pub(super) type Story = fn() -> Pin<Box<dyn Future<Output = Result<Refusal, WorldError>>>>;

/// What each story must get.
pub(super) const STORIES: &[(Reason, Story)] = &[
    (Reason::Busy, || Box::pin(too_much_at_once())),
    (Reason::ReadOnly, || Box::pin(a_full_disk())),
    (Reason::Suspended, || Box::pin(a_suspended_post())),
    (Reason::Revoked, || Box::pin(a_revoked_post())),
    (Reason::CertificateNotInForce, || Box::pin(a_void_key())),
    (Reason::Behind, || Box::pin(an_older_copy())),
    (Reason::NoticeConflict, || Box::pin(a_second_decision())),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_state_refuses_says_so_and_spends_no_number() -> Result<(), WorldError> {
    for (reason, story) in STORIES {
        let refusal = story().await?;
        assert_eq!(refusal.reason, *reason, "{refusal}");
        assert!(!refusal.next_step.is_empty(), "{reason}: no next step");
    }
    Ok(())
}

/// Two at once, and one more a second.
async fn too_much_at_once() -> Result<Refusal, WorldError> {
    let world = World::of(["BR"]).submissions_per_second(1).start().await?;
    let mut pen = portugal_listens(&world).await?;
    let begun = log_end(&world).await?;
    let (envelope, taken, refusal) = submit_until_refused(&mut pen).await?;
    assert_eq!(refusal.fields, ["quota"]);
    let wait = refusal.retry_after.unwrap();
    assert!(!wait.is_zero() && wait.as_secs() <= 1, "{wait:?}");
    // Nothing was entered; when the time is over, the same bytes are good.
    assert_eq!(log_end(&world).await?, begun + taken);
    world.advance(wait);
    pen.submit(&envelope).await?;
    world.finish().await?;
    Ok(refusal)
}

async fn a_full_disk() -> Result<Refusal, WorldError> {
    let disk = BreakableDisk::new(31);
    let world = World::of(["BR"]).hub_disk(Arc::new(disk.clone())).segment_bytes(64 * 1024).start().await?;
    let mut pen = portugal_listens(&world).await?;
    let begun = log_end(&world).await?;
    disk.set_capacity(Some(disk.used()));
    let (envelope, taken, refusal) = submit_until_refused(&mut pen).await?;
    assert!(refusal.retry_after.is_some(), "{refusal:?}");
    assert_eq!(log_end(&world).await?, begun + taken);
    disk.set_capacity(None);
    world
        .until("the hub to have room", async || match pen.submit(&envelope).await {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if error.refusal().is_some_and(|refusal| refusal.reason == Reason::ReadOnly) => {
                Ok(None)
            }
            Err(error) => Err(error),
        })
        .await?;
    world.finish().await?;
    Ok(refusal)
}

/// A bureau that is suspended never comes as far as a submission: its connections are cut, and new ones refused, which
/// `membership` tells. A post behind a bureau that is a member is refused by name.
async fn a_suspended_post() -> Result<Refusal, WorldError> {
    let world = World::of(["BR"]).start().await?;
    let mut pen = portugal_listens(&world).await?;
    let (airport, keys) = airport(&world).await?;
    let first = from_the_airport(&pen, &keys, 1);
    let accepted = pen.submit(&sign(&keys.signing_key, &first)).await?;
    let mut second = from_the_airport(&pen, &keys, 2);
    second.header.previous = accepted.header_hash;
    let second = sign(&keys.signing_key, &second);
    world.suspend(&airport).await?;
    let end = log_end(&world).await?;
    let refusal = refused(pen.submit(&second).await);
    assert_eq!(refusal.fields, ["id"]);
    assert_eq!(log_end(&world).await?, end);
    // The bureau before it is as good as ever.
    pen.submit(&pen.sign(&pen.letter(free_text(&["PT"], "from the bureau")))).await?;
    world.reinstate(&airport).await?;
    pen.submit(&second).await?;
    world.finish().await?;
    Ok(refusal)
}

async fn a_revoked_post() -> Result<Refusal, WorldError> {
    let world = World::of(["BR"]).start().await?;
    let mut pen = portugal_listens(&world).await?;
    let (airport, keys) = airport(&world).await?;
    let envelope = sign(&keys.signing_key, &from_the_airport(&pen, &keys, 1));
    world.revoke(&airport).await?;
    let end = log_end(&world).await?;
    let refusal = refused(pen.submit(&envelope).await);
    assert_eq!(refusal.fields, ["id"]);
    assert_eq!(log_end(&world).await?, end);
    world.finish().await?;
    Ok(refusal)
}

/// The post was admitted again with new keys.
async fn a_void_key() -> Result<Refusal, WorldError> {
    let world = World::of(["BR"]).start().await?;
    let mut pen = portugal_listens(&world).await?;
    let (airport, old) = airport(&world).await?;
    world.revoke(&airport).await?;
    let new = world.pki().await.enrol(&airport)?;
    world.admit(&new).await?;
    let end = log_end(&world).await?;
    let refusal = refused(pen.submit(&sign(&old.signing_key, &from_the_airport(&pen, &old, 1))).await);
    assert_eq!(refusal.fields, ["key_id"]);
    assert_eq!(log_end(&world).await?, end);
    pen.submit(&sign(&new.signing_key, &from_the_airport(&pen, &new, 1))).await?;
    world.finish().await?;
    Ok(refusal)
}

async fn an_older_copy() -> Result<Refusal, WorldError> {
    let world = Box::pin(crate::copies::older_hub()).await?;
    let mut pen = world.pen("BR").await?;
    let end = log_end(&world).await?;
    let refusal = refused(pen.submit(&pen.sign(&pen.letter(free_text(&["FR"], "by hand")))).await);
    assert_eq!(log_end(&world).await?, end);
    world.finish().await?;
    Ok(refusal)
}

async fn a_second_decision() -> Result<Refusal, WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let asked = world.bureau("FR").send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    world.until_pending(&asked.id).await?;
    let examined = world.reviewer("lena").await?.examine(&asked.id.to_string()).await?;
    world.publish(&asked).await?;
    let twice = world.reviewer("marc").await?.approve(&[examined]).await.unwrap_err();
    world.finish().await?;
    Ok(twice.refusal().unwrap().clone())
}

/// France writes to Portugal, where nobody signs receipts: the log grows by what is submitted only.
async fn portugal_listens(world: &World) -> Result<Pen, WorldError> {
    world.credentials(&Identity::Bureau(country("PT"))).await?;
    world.pen("FR").await
}

/// The first envelope that is not taken, how many were taken before, and why it was not.
async fn submit_until_refused(pen: &mut Pen) -> Result<(pb::Envelope, u64, Refusal), WorldError> {
    const AT_MOST: u64 = 500;
    for taken in 0..AT_MOST {
        let envelope = pen.sign(&pen.letter(free_text(&["PT"], &"one more ".repeat(50))));
        match pen.submit(&envelope).await {
            Ok(_) => {}
            Err(error) if error.refusal().is_some() => return Ok((envelope, taken, refused(Err(error)))),
            Err(error) => return Err(error),
        }
    }
    panic!("{AT_MOST} messages were taken")
}

/// A post of France, admitted, and its keys.
async fn airport(world: &World) -> Result<(Identity, Credentials), WorldError> {
    let airport = Identity::Post(country("FR"), name("cdg"));
    let keys = world.credentials(&airport).await?;
    Ok((airport, keys))
}

/// What the post writes; its bureau hands it on.
fn from_the_airport(pen: &Pen, keys: &Credentials, number: u64) -> Letter {
    let mut letter = pen.letter(free_text(&["PT"], "from the airport"));
    letter.header.id = format!("FR.cdg-1-N-{number}");
    letter.header.key_id = keys.signing_key.key_id().as_bytes().to_vec().into();
    letter.header.previous = bytes::Bytes::new();
    letter
}

fn refused(answer: Result<pb::Acceptance, WorldError>) -> Refusal {
    answer.expect_err("a refusal").refusal().expect("a refusal").clone()
}

async fn log_end(world: &World) -> Result<u64, WorldError> {
    Ok(world.monitor().await?.summary().await?.log_end)
}
