//! Posts that mean harm: a certificate that says more than it may, rights that nobody granted, and staying when the
//! bureau goes.

use std::time::Duration;

use i247_model::{Identity, Reason};
use i247_testkit::{World, WorldError, airport, country, name};
use i247_trust::{Credentials, TlsKey, Validity};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::AlertDescription;

use crate::doors::{FLAWS, Flaw, Forger, refused, uri};
use crate::line::let_in;
use crate::scene::{Target, end, targets};

/// Longer than the hub may take to cut somebody off, for machines that are busy with other cases.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a country's authority may not certify, or not as a post.
const MORE: &[Flaw] = &[
    (
        "its bureau's name",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/br")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "its own authority's name",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/br/authority")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "another country's post",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/jp/post/galeao")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "a second post in one certificate",
        |params| params.subject_alt_names.push(uri("spiffe://i247.test/ncb/br/post/santos")),
        AlertDescription::CertificateUnknown,
    ),
    (
        "an operator's name",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/operator/ops")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "a post below it",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/br/post/galeao/gate")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "a post that was granted nothing",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/br/post/santos")],
        AlertDescription::UnsupportedCertificate,
    ),
    (
        "rights to certify others",
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        AlertDescription::CertificateUnknown,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_with_more_in_its_certificate_than_it_may_have_opens_no_door() -> Result<(), WorldError> {
    let Some(mut targets) = targets().await? else { return Ok(()) };
    let galeao = targets[0].world().post("BR", "galeao").await?;
    targets[0].hostile = galeao;
    let hub = &targets[0];
    hub.world().bureau("BR").grants(airport(&name("galeao"))).await?;
    let forger = Forger::at(hub).await;
    assert_eq!(let_in(hub.address, forger.shows(&forger.issued(|_| {}))).await, Ok(()), "without a flaw");
    for (flaw, change, alert) in FLAWS.iter().chain(MORE) {
        refused(hub, flaw, forger.shows(&forger.issued(change)), Some(*alert)).await;
    }
    by_other_authorities(hub, &forger).await?;
    below_a_post(hub, &forger).await;
    hub.recovers("posts' certificates").await;
    end(targets).await
}

/// The same name and key, certified by whoever may not do so.
async fn by_other_authorities(hub: &Target, forger: &Forger) -> Result<(), WorldError> {
    let pki = hub.world().pki().await;
    let dir = tempfile::tempdir().unwrap();
    let now = hub.world().seams().clock.now();
    let japan = pki.authority().issue_national(country("JP"), week(now), TlsKey::P256)?;
    japan.save(dir.path()).unwrap();
    let japans = Forger::with(hub, dir.path());
    let unknown = Some(AlertDescription::CertificateUnknown);
    refused(hub, "by another country's authority", japans.shows(&japans.issued(|_| {})), unknown).await;
    // A good chain of Brazil's does not lend itself to a certificate of Japan's.
    let mixed = [vec![japans.issued(|_| {})[0].clone()], forger.above.clone()].concat();
    let alert = Some(AlertDescription::UnknownCA);
    refused(hub, "under another's chain", japans.shows(&mixed), alert).await;

    let dir = tempfile::tempdir().unwrap();
    pki.authority().save(dir.path()).unwrap();
    let directly = Forger::with(hub, dir.path());
    let chain = vec![directly.issued(|_| {})[0].clone()];
    refused(hub, "by the secretariat's authority itself", directly.shows(&chain), unknown).await;

    let dir = tempfile::tempdir().unwrap();
    let ended = Validity { not_before: back(now, 240), not_after: back(now, 60) };
    pki.authority().issue_national(country("BR"), ended, TlsKey::P256)?.save(dir.path()).unwrap();
    let outlived = Forger::with(hub, dir.path());
    let expired = Some(AlertDescription::CertificateExpired);
    refused(hub, "beyond its authority's life", outlived.shows(&outlived.issued(|_| {})), expired).await;
    Ok(())
}

/// A post certifies another, with a certificate that says that it may.
async fn below_a_post(hub: &Target, forger: &Forger) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.subject_alt_names = vec![uri("spiffe://i247.test/ncb/br/post/galeao")];
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = authority.signed_by(&key, &forger.issuer).unwrap().der().clone();
    let issuer = Issuer::new(authority, key);
    let leaf = forger.params(|_| {}).signed_by(&forger.key, &issuer).unwrap().der().clone();
    let chain = [vec![leaf, certificate], forger.above.clone()].concat();
    let unknown = Some(AlertDescription::CertificateUnknown);
    refused(hub, "certified by a post", forger.shows(&chain), unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_certificate_gives_no_more_than_was_granted_and_none_stays_when_the_bureau_goes()
-> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let hub = &targets[0];
    let (world, brazil) = (hub.world(), hub.world().bureau("BR"));
    brazil.grants(airport(&name("galeao"))).await?;
    let first = world.post("BR", "galeao").await?;
    let second = world.post("BR", "galeao").await?;
    let other = world.post("BR", "santos").await?;
    let mut open = [world.knocks(&first).await?.unwrap(), world.knocks(&second).await?.unwrap()];
    assert_eq!(world.knocks(&other).await?.unwrap_err(), Reason::NotGranted);
    assert_eq!(brazil.desk().await?.posts().await?.posts[0].connections, 2, "both count as the one post");
    // What one may not, the other may not either.
    brazil.withdraws("galeao").await?;
    for stream in &mut open {
        stream.ends_within(PATIENCE).await?;
    }
    for certificate in [&first, &second] {
        assert_eq!(world.knocks(certificate).await?.unwrap_err(), Reason::NotGranted);
    }
    brazil.grants(airport(&name("galeao"))).await?;
    bureau_goes(world, &first).await?;
    hub.recovers("posts of a bureau that went").await;
    end(targets).await
}

/// Revoked with its bureau: open streams end, and no certificate helps.
async fn bureau_goes(world: &World, post: &Credentials) -> Result<(), WorldError> {
    let mut open = world.knocks(post).await?.unwrap();
    world.revoke(&Identity::Bureau(country("BR"))).await?;
    open.ends_within(PATIENCE).await?;
    for certificate in [post, &world.post("BR", "galeao").await?, &world.post("BR", "santos").await?] {
        assert_eq!(world.knocks(certificate).await?.unwrap_err(), Reason::Revoked);
    }
    Ok(())
}

fn week(from: i247_model::Timestamp) -> Validity {
    Validity { not_before: back(from, 60), not_after: from.plus(Duration::from_secs(7 * 24 * 3600)) }
}

fn back(from: i247_model::Timestamp, seconds: u64) -> i247_model::Timestamp {
    i247_model::Timestamp::from_millis(from.as_millis().saturating_sub(seconds * 1000))
}
