//! Authorities: requests, what is issued, and the files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use i247_model::Identity;
use i247_trust::{
    Authority, AuthorityError, Certificate, Credentials, CredentialsError, Request, TlsKey, Use, Validity,
    introduce, verify_chain,
};
use rcgen::{CertificateParams, KeyPair};

use crate::{NOW, days, until};

fn identity(path: &str) -> Identity {
    format!("spiffe://i247.test/{path}").parse().unwrap()
}

fn authority() -> Authority {
    Authority::new(until(100), TlsKey::P256).unwrap()
}

fn mode(dir: &Path, name: &str) -> u32 {
    fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_signing_key_comes_beside_the_tls_key_of_a_node_that_runs_on() {
    let (running, renewed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (fr, authority) = (identity("ncb/fr"), authority());
    let request = Request::create(running.path(), &fr, TlsKey::P256).unwrap();
    authority.issue(&request, &fr, &["bureau.example"], until(30)).unwrap().save(running.path()).unwrap();
    let before = Credentials::load(running.path()).unwrap();

    let request = Request::renew_signing(renewed.path(), running.path(), &fr).unwrap();
    authority.issue(&request, &fr, &["bureau.example"], until(60)).unwrap().save(renewed.path()).unwrap();
    let after = Credentials::load(renewed.path()).unwrap();
    assert_eq!(after.tls_key_id(), before.tls_key_id());
    assert_ne!(after.signing_key.key_id(), before.signing_key.key_id());
    assert_eq!(mode(renewed.path(), "signing.key.pem"), 0o600);

    let refused = |identity, running: &Path| {
        let dir = tempfile::tempdir().unwrap();
        Request::renew_signing(dir.path(), running, &identity).is_err()
    };
    assert!(refused(identity("ncb/br"), running.path()));
    assert!(refused(identity("ncb/fr/authority"), running.path()));
    assert!(Request::renew_signing(renewed.path(), running.path(), &fr).is_err(), "keys are there");
}

#[test]
fn a_bureau_asks_with_keys_that_stay_where_they_were_made() {
    let (secretariat, bureau) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Authority::create(secretariat.path(), until(100), TlsKey::P256).unwrap();
    let fr = identity("ncb/fr");
    Request::create(bureau.path(), &fr, TlsKey::P256).unwrap();
    let keys: Vec<_> = fs::read(bureau.path().join("tls.key.pem")).into_iter().collect();
    // What travels is one file, and holds no private key.
    let travelling = fs::read_to_string(bureau.path().join("request.pem")).unwrap();
    assert!(!travelling.contains("PRIVATE"));
    let authority = Authority::load(secretariat.path()).unwrap();
    let request = Request::from_pem(&travelling).unwrap();
    assert_eq!(request.identity(), &fr);
    let issued = authority.issue(&request, &fr, &["bureau.example", "127.0.0.2"], until(30)).unwrap();
    // What comes back is certificates only.
    issued.save(bureau.path()).unwrap();
    let credentials = Credentials::load(bureau.path()).unwrap();
    assert_eq!(credentials.identity, fr);
    assert_eq!(credentials.tls_key_id(), issued.tls_key_id().unwrap());
    assert_eq!(credentials.signing_chain, issued.signing_chain);
    let signer = introduce(&credentials.signing_chain, authority.root(), NOW).unwrap();
    assert_eq!(signer.key_id, credentials.signing_key.key_id());
    assert_eq!(fs::read(bureau.path().join("tls.key.pem")).into_iter().collect::<Vec<_>>(), keys);
    for name in ["tls.key.pem", "signing.key.pem"] {
        assert_eq!(mode(bureau.path(), name), 0o600, "{name}");
    }
    assert_eq!(mode(secretariat.path(), "ca.key.pem"), 0o600);
    assert_eq!(mode(bureau.path(), "tls.crt.pem"), 0o644);
}

#[test]
fn a_national_authority_is_certified_by_request_too_and_then_certifies_posts() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    let fr = identity("ncb/fr/authority");
    let request = Request::create(dir.path(), &fr, TlsKey::P256).unwrap();
    authority.issue(&request, &fr, &[], until(50)).unwrap().save(dir.path()).unwrap();
    let national = Authority::load(dir.path()).unwrap();
    assert_eq!(national.identity(), &fr);
    let post = national.enrol(&identity("ncb/fr/post/cdg"), &[], until(30), TlsKey::P256).unwrap();
    let signer = introduce(&post.signing_chain, authority.root(), NOW).unwrap();
    assert_eq!(signer.identity, identity("ncb/fr/post/cdg"));
    assert!(verify_chain(&post.tls_chain, authority.root(), NOW, Use::Tls).is_ok());
    // The authority signs under its own name too.
    let signer = introduce(&national.credentials().signing_chain, authority.root(), NOW).unwrap();
    assert_eq!(signer.identity, fr);
}

#[test]
fn an_authority_is_the_same_after_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), until(100), TlsKey::Ed25519).unwrap();
    let loaded = Authority::load(dir.path()).unwrap();
    assert_eq!(loaded.credentials().tls_key_id(), authority.credentials().tls_key_id());
    let bureau = loaded.enrol(&identity("ncb/fr"), &[], until(30), TlsKey::P256).unwrap();
    assert!(introduce(&bureau.signing_chain, authority.root(), NOW).is_ok());
    assert_eq!(authority.root().signer().key_id, authority.credentials().signing_key.key_id());
    let again = Authority::create(dir.path(), until(100), TlsKey::P256);
    assert!(matches!(again, Err(AuthorityError::Exists)));
}

#[test]
fn credentials_are_the_same_after_they_were_saved() {
    let dir = tempfile::tempdir().unwrap();
    let credentials =
        authority().enrol(&identity("ncb/fr"), &["localhost"], until(30), TlsKey::P256).unwrap();
    credentials.save(dir.path()).unwrap();
    credentials.save(dir.path()).unwrap();
    let loaded = Credentials::load(dir.path()).unwrap();
    assert_eq!(format!("{loaded:?}"), format!("{credentials:?}"));
    assert_eq!(loaded.tls_chain, credentials.tls_chain);
    assert_eq!(loaded.signing_chain, credentials.signing_chain);
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["authority.crt.pem", "signing.crt.pem", "signing.key.pem", "tls.crt.pem", "tls.key.pem"]
    );
}

#[test]
fn files_that_do_not_belong_together_are_no_credentials() {
    let authority = authority();
    let of = |path: &str| authority.enrol(&identity(path), &[], until(30), TlsKey::P256).unwrap();
    let (fr, br) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    of("ncb/br").save(br.path()).unwrap();
    for name in ["tls.key.pem", "signing.key.pem", "tls.crt.pem", "signing.crt.pem"] {
        of("ncb/fr").save(fr.path()).unwrap();
        assert!(Credentials::load(fr.path()).is_ok());
        fs::copy(br.path().join(name), fr.path().join(name)).unwrap();
        let result = Credentials::load(fr.path());
        assert!(matches!(result, Err(CredentialsError::Mismatch)), "{name}: {result:?}");
    }
    of("ncb/fr").save(fr.path()).unwrap();
    fs::copy(fr.path().join("tls.crt.pem"), fr.path().join("authority.crt.pem")).unwrap();
    assert!(matches!(Credentials::load(fr.path()), Err(CredentialsError::Content("authority.crt.pem"))));
    fs::remove_file(fr.path().join("tls.key.pem")).unwrap();
    assert!(Credentials::load(fr.path()).is_err());
}

#[test]
fn new_keys_never_overwrite_those_in_use() {
    let dir = tempfile::tempdir().unwrap();
    Request::create(dir.path(), &identity("ncb/fr"), TlsKey::P256).unwrap();
    let again = Request::create(dir.path(), &identity("ncb/fr"), TlsKey::P256);
    assert!(matches!(again, Err(AuthorityError::Exists)));
}

#[test]
fn an_authority_issues_for_its_own_and_as_the_request_says() {
    let authority = authority();
    let national = authority.issue_national("FR".parse().unwrap(), until(50), TlsKey::P256).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fr = identity("ncb/fr");
    let request = Request::create(dir.path(), &fr, TlsKey::P256).unwrap();
    assert!(authority.issue(&request, &fr, &[], until(30)).is_ok());
    let other = authority.issue(&request, &identity("ncb/br"), &[], until(30));
    assert!(matches!(other, Err(AuthorityError::BadRequest(_))));
    assert!(matches!(national.issue(&request, &fr, &[], until(30)), Err(AuthorityError::NotOurs { .. })));
    for path in ["gs/authority", "ncb/fr/post/cdg", "ncb/fr/officer/duty"] {
        let result = authority.enrol(&identity(path), &[], until(30), TlsKey::P256);
        assert!(matches!(result, Err(AuthorityError::NotOurs { .. })), "{path}");
    }
    for path in ["ncb/br/post/cdg", "ncb/fr/authority", "operator/ops"] {
        let result = national.enrol(&identity(path), &[], until(30), TlsKey::P256);
        assert!(matches!(result, Err(AuthorityError::NotOurs { .. })), "{path}");
    }
}

#[test]
fn nothing_is_issued_beyond_the_life_of_its_authority() {
    let authority = authority();
    let lasting = |not_before, not_after| {
        let validity = Validity { not_before, not_after };
        authority.enrol(&identity("ncb/fr"), &[], validity, TlsKey::P256).map(|_| ())
    };
    assert!(lasting(days(-1), days(100)).is_ok());
    assert!(matches!(lasting(days(-1), days(101)), Err(AuthorityError::Validity)));
    assert!(matches!(lasting(days(-2), days(30)), Err(AuthorityError::Validity)));
    assert!(matches!(lasting(days(3), days(3)), Err(AuthorityError::Validity)));
}

#[test]
fn a_request_counts_only_when_its_keys_signed_it_and_are_of_the_right_type() {
    let dir = tempfile::tempdir().unwrap();
    let fr = identity("ncb/fr");
    let request = Request::create(dir.path(), &fr, TlsKey::P256).unwrap();
    let bad = |text: &str| matches!(Request::from_pem(text), Err(AuthorityError::BadRequest(_)));
    assert!(!bad(request.to_pem()));
    assert!(bad(""));
    assert!(bad("-----BEGIN"));
    let parts: Vec<pem::Pem> = pem::parse_many(request.to_pem()).unwrap();
    assert!(bad(&pem::encode(&parts[0])), "one key");
    let mut changed = parts[0].contents().to_vec();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let changed = pem::Pem::new("CERTIFICATE REQUEST", changed);
    assert!(bad(&pem::encode_many(&[changed, parts[1].clone()])), "not signed by its own key");
    assert!(bad(&pem::encode_many(&[parts[0].clone(), parts[1].clone(), parts[1].clone()])), "no authority");
    // The TLS key twice: it is not one that signs messages.
    let twice = pem::encode_many(&[parts[0].clone(), parts[0].clone()]);
    let issued = authority().issue(&Request::from_pem(&twice).unwrap(), &fr, &[], until(30));
    assert!(matches!(issued, Err(AuthorityError::BadRequest(_))));
    let one_key = pem::encode_many(&[parts[1].clone(), parts[1].clone()]);
    let issued = authority().issue(&Request::from_pem(&one_key).unwrap(), &fr, &[], until(30));
    assert!(matches!(issued, Err(AuthorityError::BadRequest("one key for two uses"))));
    // A larger curve.
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![crate::hand_made::uri("ncb/fr")];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let text = params.serialize_request(&key).unwrap().pem().unwrap() + &pem::encode(&parts[1]);
    let issued = authority().issue(&Request::from_pem(&text).unwrap(), &fr, &[], until(30));
    assert!(matches!(issued, Err(AuthorityError::BadRequest(_))));
}

#[test]
fn certificates_for_repeatable_runs_have_one_length() {
    let authority = Authority::new(until(100), TlsKey::Ed25519).unwrap();
    let length = || {
        let credentials = authority.enrol(&identity("ncb/fr"), &[], until(30), TlsKey::Ed25519).unwrap();
        credentials.tls_chain[0].len()
    };
    let first = length();
    assert!((0..20).all(|_| length() == first));
}

#[test]
fn every_certificate_says_which_key_issued_it_as_strict_verifiers_ask() {
    let authority = authority();
    let national = authority.issue_national("FR".parse().unwrap(), until(50), TlsKey::P256).unwrap();
    let post = national.enrol(&identity("ncb/fr/post/cdg"), &[], until(30), TlsKey::P256).unwrap();
    assert_eq!(post.tls_chain.len(), 2);
    // The OID 2.5.29.35.
    let names_issuer = |der: &[u8]| der.windows(5).any(|five| five == [0x06, 0x03, 0x55, 0x1d, 0x23]);
    let signing = post.signing_chain.iter().map(|der| der.as_ref());
    assert!(signing.chain(post.tls_chain.iter().map(AsRef::as_ref)).all(names_issuer));
}

#[test]
fn a_certificate_of_a_moment_begins_five_minutes_earlier() {
    let validity = Validity::lasting(NOW, std::time::Duration::from_secs(3600));
    let authority = Authority::new(validity, TlsKey::P256).unwrap();
    let certificate: &Certificate = authority.root().certificate();
    assert_eq!(certificate.not_before.as_millis(), NOW.as_millis() - 300_000);
    assert_eq!(certificate.not_after.as_millis(), NOW.as_millis() + 3_600_000);
}
