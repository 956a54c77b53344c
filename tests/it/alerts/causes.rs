//! Alerts about disks, clocks, certificates and key agreement, each by its real cause.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::disk::Disk as _;
use i247_ledger::faults::BreakableDisk;
use i247_model::Identity;
use i247_node::TlsClock;
use i247_testkit::{Sent, World, WorldError, country, free_text, pb};
use i247_trust::{Credentials, Presented, Validity};
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{DAY, HOUR, MINUTE, over, said};
use crate::roll_ups::{ask, post, roll_up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_an_alert_while_the_disk_of_a_connected_bureau_is_full() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(21);
    let world = World::of(["FR", "BR"])
        .bureau_disk("BR", Arc::new(disk.clone()))
        .segment_bytes(64 * 1024)
        .start()
        .await?;
    world.linked("BR").await?;
    disk.set_capacity(Some(disk.used()));
    // The room of the present segment is taken already; then it is full.
    let flood = world.bureau("FR").flood(&["BR"], 150).await?;
    world.bureau("FR").accepted(&flood[149]).await?;
    world.not_serving("BR").await?;
    world.advance(HOUR + MINUTE);
    let alert = said(&world, "drain_too_slow", "BR").await?;
    assert!(alert.text.starts_with("normal messages for BR: "), "{}", alert.text);
    assert!(alert.text.ends_with(", and nothing moves"), "{}", alert.text);
    assert!(flood.iter().any(|sent| sent.id.to_string() == alert.message_id), "{alert:?}");
    assert!(alert.next_step.ends_with("i247 tap --country BR"), "{}", alert.next_step);
    disk.set_capacity(None);
    world.bureau("BR").receives_all(&flood).await?;
    over(&world, "drain_too_slow", "BR").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_disk_is_slow_is_an_alert_until_it_is_fast_or_unused() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(22);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let one = async || -> Result<(), WorldError> {
        let sent = world.bureau("FR").tell(&["BR"], "one write, or two").await?;
        world.bureau("FR").accepted(&sent).await
    };
    // Fewer than fifty writes say nothing.
    for _ in 0..50 {
        one().await?;
    }
    disk.slow_syncs(Duration::from_millis(60));
    for _ in 0..10 {
        one().await?;
    }
    let alert = said(&world, "log_append_slow", "").await?;
    assert_eq!(alert.severity(), pb::AlertSeverity::Warning);
    let Some(pb::alert_value::Value::TimeMs(took)) = alert.phrases[0].values[0].value else {
        panic!("{alert:?}");
    };
    assert!(took >= 60 && alert.text.contains(" took "), "{alert:?}");
    disk.slow_syncs(Duration::ZERO);
    world.advance(6 * MINUTE);
    over(&world, "log_append_slow", "").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_clock_leaps_ahead_says_so_until_it_is_set_right_though_nobody_sends()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let before = world.bureau("FR").tell(&["BR"], "in time").await?;
    world.bureau("BR").receives(&before.id).await?;
    world.set_hub_clock_ahead(2 * MINUTE);
    let sent = world.bureau("FR").tell(&["BR"], "by which clock?").await?;
    world.bureau("BR").receives(&sent.id).await?;
    let alert = said(&world, "hub_clock_astray", "").await?;
    assert_eq!(alert.severity(), pb::AlertSeverity::Critical);
    world.set_hub_clock_ahead(Duration::ZERO);
    over(&world, "hub_clock_astray", "").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_an_older_copy_is_an_alert_and_the_newest_copy_is_none() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.stop_hub().await?;
    let older = world.back_up("hub")?;
    world.start_hub().await?;
    let sent = world.bureau("FR").tell(&["BR"], "the older copy has never heard of it").await?;
    world.bureau("BR").receives(&sent.id).await?;
    world.stop_hub().await?;
    let data = world.dir().join("hub/data");
    let newest = data.with_extension("newest");
    std::fs::rename(&data, &newest).unwrap();
    std::fs::rename(&older, &data).unwrap();
    world.start_hub().await?;
    let alert = said(&world, "hub_behind", "").await?;
    assert_eq!(alert.severity(), pb::AlertSeverity::Critical);
    assert!(alert.next_step.contains("start the newest copy"), "{}", alert.next_step);
    // It is over when the hub is stopped, and not before: nothing that goes on brings the log up to it.
    assert!(alert.text.contains("holds this hub's receipt of entry"), "{}", alert.text);
    world.advance(DAY);
    assert_eq!(said(&world, "hub_behind", "").await?.first_seen_ms, alert.first_seen_ms);
    // What it says to do.
    world.stop_hub().await?;
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&newest, &data).unwrap();
    world.start_hub().await?;
    world.linked("FR").await?;
    world.linked("BR").await?;
    let all = world.monitor().await?.alerts(true).await?.alerts;
    assert!(all.iter().all(|alert| alert.rule != "hub_behind"), "{all:?}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_rots_is_an_alert_until_it_can_be_read_again() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(23);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let (sent, segment, offset) = waits_for_brazil(&world, &disk, OPERATION).await?;
    assert!(disk.flip(&segment, offset, 0));
    world.heal("BR");
    let alert = said(&world, "log_unreadable", "").await?;
    let status = world.bureau("FR").stands(&sent, "accepted", |_| true).await?;
    assert_eq!(alert.text, format!("entry {} of the log cannot be read", status.position));
    assert!(disk.flip(&segment, offset, 0));
    world.bureau("BR").receives(&sent.id).await?;
    over(&world, "log_unreadable", "").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_nobody_waits_for_any_more_is_an_alert_no_longer_than_it_cannot_be_read()
-> Result<(), WorldError> {
    let disk = BreakableDisk::new(24);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let (_, segment, offset) = waits_for_brazil(&world, &disk, OPERATION).await?;
    assert!(disk.flip(&segment, offset, 0));
    world.heal("BR");
    said(&world, "log_unreadable", "").await?;
    // Brazil is shut out for good: nobody asks for its entry again.
    world.revoke(&Identity::Bureau(country("BR"))).await?;
    world.unlinked("BR").await?;
    assert!(disk.flip(&segment, offset, 0));
    over(&world, "log_unreadable", "").await?;
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_rots_is_an_alert_until_it_is_whole_again() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(25);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let (sent, segment, offset) = waits_for_brazil(&world, &disk, TEXT).await?;
    assert!(disk.flip(&segment, offset, 0));
    world.heal("BR");
    let alert = said(&world, "log_unreadable", "").await?;
    let status = world.bureau("FR").stands(&sent, "accepted", |_| true).await?;
    let text = format!("entry {} of the log cannot be read whole: the body is damaged", status.position);
    assert_eq!((alert.text.as_str(), alert.severity()), (text.as_str(), pb::AlertSeverity::Critical));
    // It is delivered without it, and nobody asks for it again.
    world.bureau("FR").stands(&sent, "delivered", |status| status.closed).await?;
    assert!(disk.flip(&segment, offset, 0));
    over(&world, "log_unreadable", "").await?;
    world.stop_all().await
}

/// What a message says, and what its header says of it.
const TEXT: &str = "about an operation";
const OPERATION: &str = "three-harbours";

/// A message that waits for a bureau which is away, and which the hub has to read from its disk; and where a word of it
/// lies.
async fn waits_for_brazil(
    world: &World,
    disk: &BreakableDisk,
    word: &str,
) -> Result<(Sent, PathBuf, u64), WorldError> {
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut draft = free_text(&["BR"], TEXT);
    draft.operation = OPERATION.into();
    let sent = world.bureau("FR").send(draft).await?;
    world.bureau("FR").accepted(&sent).await?;
    // What it still had in memory would serve.
    world.crash_hub().await?;
    world.start_hub().await?;
    let log = world.dir().join("hub/data/log");
    let holds = |path: &PathBuf| {
        let bytes = disk.contents(path).unwrap_or_default();
        bytes.windows(word.len()).position(|window| window == word.as_bytes()).map(|at| at as u64)
    };
    let files = disk.list(&log).unwrap().into_iter().map(|name| log.join(name));
    let (segment, offset) = files.filter_map(|path| Some((path.clone(), holds(&path)?))).next().unwrap();
    Ok((sent, segment, offset))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_ended_is_an_alert_until_there_is_a_new_one() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let japan = Identity::Bureau(country("JP"));
    let now = world.seams().clock.now();
    let of_a_day =
        world.pki().await.enrol_for(&japan, Validity { not_before: now, not_after: now.plus(DAY) })?;
    world.admit(&of_a_day).await?;
    world.advance(DAY + MINUTE);
    let alert = said(&world, "certificate_ended", "JP").await?;
    assert_eq!(
        (alert.text.as_str(), alert.severity()),
        ("the signing certificate of JP has ended", pb::AlertSeverity::Critical)
    );
    assert!(alert.next_step.contains("i247 authority issue"), "{}", alert.next_step);
    let all = world.monitor().await?.alerts(false).await?.alerts;
    assert!(all.iter().all(|alert| alert.rule != "certificate_ended" || alert.party == "JP"), "{all:?}");
    let lasting = world.pki().await.enrol(&japan)?;
    world.admit(&lasting).await?;
    over(&world, "certificate_ended", "JP").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_under_a_classical_key_agreement_is_an_alert_while_it_lasts() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let japan = world.credentials(&Identity::Bureau(country("JP"))).await?;
    let tls = classical(&world, &japan);
    let address = world.hub_address().await?.to_string();
    let limits = i247_node::ChannelLimits::default();
    let channel = i247_node::connect(world.seams().network.clone(), &address, tls, &limits).unwrap();
    let (say, said_by_japan) = mpsc::channel(1);
    let hello = pb::Hello { epoch: 1, program: "a classical one".into(), ..pb::Hello::default() };
    let frame = pb::ConnectRequest { frame: Some(pb::connect_request::Frame::Hello(hello)) };
    say.send(frame).await.unwrap();
    let stream = ReceiverStream::new(said_by_japan);
    let answers = ExchangeServiceClient::new(channel).connect(stream).await.unwrap();
    let alert = said(&world, "not_post_quantum", "JP").await?;
    assert_eq!(
        (alert.text.as_str(), alert.severity()),
        ("JP is connected with X25519", pb::AlertSeverity::Notice)
    );
    // Who offers better gets better.
    let all = world.monitor().await?.alerts(false).await?.alerts;
    assert!(all.iter().all(|alert| alert.rule != "not_post_quantum" || alert.party == "JP"), "{all:?}");
    drop((say, answers));
    over(&world, "not_post_quantum", "JP").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_up_that_disagrees_with_the_journal_is_an_alert_for_a_day() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let ((cdg, searches), (orly, _)) = (post(&world, "cdg").await?, post(&world, "orly").await?);
    let digests = [ask(&searches, 1).await?, ask(&searches, 2).await?, ask(&searches, 3).await?];
    assert!(searches.hand_in_roll_up(roll_up(&cdg, 1, 1, &digests[..1])).await?.agrees);
    let none = world.monitor().await?.alerts(true).await?.alerts;
    assert!(none.iter().all(|alert| alert.rule != "roll_up_disagrees"), "{none:?}");

    assert!(!searches.hand_in_roll_up(roll_up(&cdg, 2, 3, &digests[1..2])).await?.agrees);
    let alert = said(&world, "roll_up_disagrees", "FR").await?;
    let differs = "post cdg of FR has signed for 1 searches from 2 to 3, and the journal holds 2";
    assert_eq!((alert.text.as_str(), alert.severity()), (differs, pb::AlertSeverity::Warning));
    assert!(alert.next_step.contains("i247 ledger searches DATA"), "{}", alert.next_step);
    // By the key of another post.
    assert!(searches.hand_in_roll_up(roll_up(&orly, 4, 4, &[])).await.is_err());
    let forged = "a roll-up came from post cdg of FR that it has not signed";
    let both = async || -> Result<_, WorldError> {
        let alerts = world.monitor().await?.alerts(false).await?.alerts;
        let ours = alerts.into_iter().filter(|alert| alert.rule == "roll_up_disagrees");
        let mut texts: Vec<String> = ours.map(|alert| alert.text).collect();
        texts.sort();
        Ok((texts == [forged, differs]).then_some(()))
    };
    world.until("an alert for each finding", &both).await?;
    // A hub that was started anew reads it in the journal.
    world.stop_hub().await?;
    world.start_hub().await?;
    world.until("the alerts of before", &both).await?;
    world.advance(DAY);
    over(&world, "roll_up_disagrees", "FR").await?;
    world.stop_all().await
}

/// TLS as a bureau has it, but for the key agreement; whoever answers is believed.
fn classical(world: &World, credentials: &Credentials) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519];
    let time = Arc::new(TlsClock(world.seams().clock.clone()));
    let mut tls = ClientConfig::builder_with_details(Arc::new(provider), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believes))
        .with_client_cert_resolver(Presented::new(credentials).unwrap());
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

/// Believes every server: it is the hub that is looked at.
#[derive(Debug)]
struct Believes;

impl ServerCertVerifier for Believes {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
