//! `i247 doctor`, the built program, at real ends: links that are well, and each cause for which one is not.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use i247_client::{Context, Contexts};
use i247_model::{Identity, Timestamp};
use i247_testkit::{World, WorldError, country, name, program};
use i247_trust::Validity;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than a connection may take.
const SLOW: Duration = Duration::from_millis(1200);

/// A context of this identity, which expects that server at that address.
async fn context(
    world: &World,
    home: &Path,
    who: Identity,
    server: Identity,
    address: &str,
) -> Result<Context, WorldError> {
    let credentials = home.join(who.to_string().replace(['/', ':'], "_"));
    std::fs::create_dir_all(&credentials).unwrap();
    world.credentials(&who).await?.save(&credentials).unwrap();
    Ok(Context { address: address.to_owned(), server, credentials })
}

/// What the doctor says of one context, and its exit code.
async fn doctor(program: &Path, home: &Path, context: Context) -> (String, i32) {
    let mut contexts = Contexts::default();
    contexts.add(name("examined"), context);
    contexts.save(&home.join("contexts.toml")).unwrap();
    let mut command = tokio::process::Command::new(program);
    command.arg("doctor").env("I247_HOME", home).kill_on_drop(true);
    let done = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    (String::from_utf8(done.stdout).unwrap(), done.status.code().unwrap())
}

/// A line to an address that takes its time before it carries anything.
async fn slow_line(to: SocketAddr) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let carries = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        tokio::time::sleep(SLOW).await;
        let mut far = TcpStream::connect(to).await.unwrap();
        // Either end may close it.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    });
    (address, AbortOnDropHandle::new(carries))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_proved_to_its_end_or_the_cause_is_named() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR", "BR"]).start().await?;
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    let hub = Identity::Hub(name("lyon"));
    let at = world.hub_address().await?.to_string();
    let of_hub = context(&world, home, Identity::Operator(name("ops")), hub, &at).await?;
    let (said, code) = doctor(&program, home, of_hub.clone()).await;
    for words in
        ["TLSv1_3 with X25519MLKEM768", "the hub takes entries", "FR is connected", "BR is connected"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(code == 0 && !said.contains("FAIL"), "{said}");
    let seat = world.seats_of(country("FR")).remove(0);
    let officer = Identity::Officer(country("FR"), seat);
    let desk = world.desk_address(country("FR")).await?.to_string();
    let of_desk = context(&world, home, officer, Identity::Bureau(country("FR")), &desk).await?;
    let (said, code) = doctor(&program, home, of_desk.clone()).await;
    assert!(code == 0 && said.contains("the bureau is connected to the hub"), "{said}");

    // Nothing listens any more at a port that was just given back.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let another = Identity::Bureau(country("BR"));
    let nowhere = "nowhere.invalid:443".to_owned();
    for (context, cause) in [
        (Context { address: nowhere, ..of_hub.clone() }, "nowhere.invalid:443 does not resolve"),
        (Context { address: closed, ..of_hub.clone() }, "refuses the connection"),
        (Context { server: another, ..of_hub.clone() }, "somebody else than"),
    ] {
        let (said, code) = doctor(&program, home, context).await;
        assert!(code == 1 && said.contains("FAIL ") && said.contains(cause), "{cause}: {said}");
        assert!(said.contains("do: "), "{said}");
    }

    let (address, _line) = slow_line(world.hub_address().await?).await;
    let slow = Context { address: address.to_string(), ..of_hub.clone() };
    let (said, _) = doctor(&program, home, slow).await;
    assert!(said.contains("warn  slow: connected in"), "{said}");

    world.cut("BR");
    world.unlinked("BR").await?;
    let (said, code) = doctor(&program, home, of_hub.clone()).await;
    assert!(code == 1 && said.contains("FAIL  BR is not connected"), "{said}");

    // A minute has passed for the network, and none for this machine.
    world.heal("BR");
    world.linked("BR").await?;
    world.advance(Duration::from_secs(60));
    let (said, code) = doctor(&program, home, of_hub).await;
    assert!(code == 1 && said.contains("ahead of ours"), "{said}");
    let (said, _) = doctor(&program, home, of_desk).await;
    assert!(said.contains("ahead of ours"), "{said}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_certificate_is_the_cause_it_is_said_which_and_why() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let (world, other) = (World::of(["FR"]).start().await?, World::of(["FR"]).start().await?);
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    let hub = || Identity::Hub(name("lyon"));
    let at = world.hub_address().await?.to_string();
    let operator = |who: &str| Identity::Operator(name(who));

    let of_other = context(&other, home, operator("stranger"), hub(), &at).await?;
    let suspended = context(&world, home, operator("resting"), hub(), &at).await?;
    world.suspend(&operator("resting")).await?;
    let revoked = context(&world, home, operator("gone"), hub(), &at).await?;
    world.revoke(&operator("gone")).await?;
    let ended = home.join("ended");
    std::fs::create_dir_all(&ended).unwrap();
    let now = world.seams().clock.now().as_millis();
    let ago = |time: Duration| Timestamp::from_millis(now - u64::try_from(time.as_millis()).unwrap());
    // The authority itself has been in force for some minutes only.
    let a_minute = Validity { not_before: ago(2 * MINUTE), not_after: ago(MINUTE) };
    world.pki().await.enrol_for(&operator("late"), a_minute)?.save(&ended).unwrap();
    let ended = Context { address: at.clone(), server: hub(), credentials: ended };
    for (context, cause) in [
        (of_other, "FAIL  the server's certificate is of another authority than ours: not trusted"),
        (suspended, "FAIL  we are suspended"),
        (revoked, "FAIL  we are revoked"),
        (ended, "FAIL  our certificate has ended"),
    ] {
        let (said, code) = doctor(&program, home, context).await;
        assert!(code == 1 && said.contains(cause) && said.contains("do: "), "{cause}: {said}");
    }
    world.stop_all().await?;
    other.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_connection_and_says_nothing_is_said_not_to_answer() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR"]).start().await?;
    let place = tempfile::tempdir().unwrap();
    // What it accepts, the system accepts for it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let context =
        context(&world, place.path(), Identity::Operator(name("ops")), Identity::Hub(name("lyon")), &at)
            .await?;
    let (said, code) = doctor(&program, place.path(), context).await;
    let cause = format!("FAIL  {at} does not answer within 5 s");
    assert!(code == 1 && said.contains(&cause), "{said}");
    world.stop_all().await
}
