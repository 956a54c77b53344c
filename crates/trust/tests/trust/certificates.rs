//! Chains: what is introduced, and what is not.

use bytes::Bytes;
use i247_model::{Reason, Refusal, Timestamp};
use i247_trust::{CertificateError, Root, Use, introduce, introduce_past, verify_chain};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, SanType};
use rustls::pki_types::CertificateDer;

use crate::hand_made::{Made, Plan, root, uri};
use crate::{NOW, days};

fn national(ca: &Made) -> Made {
    Plan::authority("ncb/fr/authority", BasicConstraints::Constrained(0)).by(ca)
}

fn signing(chain: &[&Made], root: &Root) -> Result<String, CertificateError> {
    let chain: Vec<Bytes> = chain.iter().map(|made| made.bytes()).collect();
    introduce(&chain, root, NOW).map(|signer| signer.identity.to_string())
}

fn tls(chain: &[&Made], root: &Root) -> Result<String, CertificateError> {
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|made| made.der.clone()).collect();
    verify_chain(&chain, root, NOW, Use::Tls).map(|certificate| certificate.identity.to_string())
}

fn wrong_issuer(identity: &str, issued_by: &str) -> CertificateError {
    let full = |path: &str| format!("spiffe://i247.test/{path}").parse().unwrap();
    CertificateError::WrongIssuer { identity: full(identity), issued_by: full(issued_by) }
}

#[test]
fn a_bureau_and_a_post_behind_it_are_introduced() {
    let (ca, root) = root();
    let bureau = Plan::signing("ncb/fr").by(&ca);
    let chain = [bureau.bytes()];
    let signer = introduce(&chain, &root, NOW).unwrap();
    assert_eq!(signer.identity.to_string(), "spiffe://i247.test/ncb/fr");
    assert_eq!(signer.key, bureau.verifying_key());
    assert_eq!(signer.key_id, bureau.verifying_key().key_id());
    assert_eq!((signer.not_before, signer.not_after), (days(-1), days(30)));
    let national = national(&ca);
    let post = Plan::signing("ncb/fr/post/cdg").by(&national);
    assert_eq!(signing(&[&post, &national], &root).unwrap(), "spiffe://i247.test/ncb/fr/post/cdg");
    // Those who send the root too are not refused for it.
    assert!(signing(&[&post, &national, &ca], &root).is_ok());
    assert_eq!(tls(&[&Plan::tls("ncb/fr").by(&ca)], &root).unwrap(), "spiffe://i247.test/ncb/fr");
}

#[test]
fn a_foreign_authority_of_the_same_name_is_not_believed() {
    let (ca, root) = root();
    let (foreign, foreign_root) = self::root();
    assert!(signing(&[&Plan::signing("ncb/fr").by(&ca)], &root).is_ok());
    let leaf = Plan::signing("ncb/fr").by(&foreign);
    assert!(signing(&[&leaf], &foreign_root).is_ok());
    assert!(matches!(signing(&[&leaf], &root), Err(CertificateError::Untrusted(Some(_)))));
    assert!(matches!(signing(&[&leaf, &foreign], &root), Err(CertificateError::Untrusted(Some(_)))));
    let refusal = Refusal::from(signing(&[&leaf], &root).unwrap_err());
    assert_eq!((refusal.reason, refusal.fields), (Reason::UnknownKey, vec!["certificates".to_owned()]));
}

#[test]
fn a_certificate_counts_from_its_first_to_its_last_second() {
    let (ca, root) = root();
    let chain = [Plan::signing("ncb/fr").by(&ca).bytes()];
    let at = |time: Timestamp| introduce(&chain, &root, time).map(|_| ());
    let shifted =
        |time: Timestamp, ms: i64| Timestamp::from_millis(time.as_millis().saturating_add_signed(ms));
    assert_eq!(at(days(-1)), Ok(()));
    assert_eq!(at(shifted(days(-1), -1)), Err(CertificateError::NotInForce));
    assert_eq!(at(shifted(days(30), 999)), Ok(()));
    assert_eq!(at(shifted(days(30), 1000)), Err(CertificateError::NotInForce));
    let refusal = Refusal::from(CertificateError::NotInForce);
    assert_eq!(refusal.reason, Reason::CertificateNotInForce);
}

#[test]
fn the_signer_of_a_message_that_waited_is_introduced_after_the_end_of_its_certificate() {
    let (ca, root) = root();
    let plan = Plan { not_after: days(2), ..Plan::signing("ncb/fr") };
    let chain = [plan.by(&ca).bytes()];
    assert_eq!(introduce(&chain, &root, days(3)).unwrap_err(), CertificateError::NotInForce);
    let signer = introduce_past(&chain, &root, days(3)).unwrap();
    assert_eq!(signer.not_after, days(2));
    assert!(!signer.in_force(days(3)));
    assert_eq!(introduce_past(&chain, &root, days(-2)).unwrap_err(), CertificateError::NotInForce);
}

#[test]
fn nothing_is_introduced_once_the_root_itself_has_ended() {
    let ca = Plan { not_after: days(5), ..Plan::authority("gs/authority", BasicConstraints::Constrained(1)) };
    let ca = ca.self_signed();
    let root = Root::new(ca.der.clone(), Plan::signing("gs/authority").by(&ca).der).unwrap();
    let chain = [Plan::signing("ncb/fr").by(&ca).bytes()];
    assert!(introduce(&chain, &root, days(5)).is_ok());
    assert_eq!(introduce(&chain, &root, days(6)).unwrap_err(), CertificateError::NotInForce);
}

#[test]
fn a_national_authority_that_has_ended_takes_its_posts_along() {
    let (ca, root) = root();
    let constraints = BasicConstraints::Constrained(0);
    let plan = Plan { not_after: days(-1), ..Plan::authority("ncb/fr/authority", constraints) };
    let national = Plan { not_before: days(-2), ..plan }.by(&ca);
    let post = Plan::signing("ncb/fr/post/cdg").by(&national);
    assert_eq!(signing(&[&post, &national], &root), Err(CertificateError::NotInForce));
}

#[test]
fn a_national_authority_certifies_its_own_country_only_and_no_bureau() {
    let (ca, root) = root();
    let national = national(&ca);
    let accepted = Plan::signing("ncb/fr/officer/duty").by(&national);
    assert!(signing(&[&accepted, &national], &root).is_ok());
    for path in
        ["ncb/br/officer/duty", "ncb/br/post/cdg", "ncb/fr", "ncb/br", "gs/reviewer/lena", "gs/hub/lyon"]
    {
        let leaf = Plan::signing(path).by(&national);
        assert_eq!(
            signing(&[&leaf, &national], &root),
            Err(wrong_issuer(path, "ncb/fr/authority")),
            "{path}"
        );
        let leaf = Plan::tls(path).by(&national);
        assert_eq!(tls(&[&leaf, &national], &root), Err(wrong_issuer(path, "ncb/fr/authority")), "{path}");
    }
}

#[test]
fn the_secretariat_certifies_no_officers_and_posts_itself() {
    let (ca, root) = root();
    let leaf = Plan::signing("ncb/fr/post/cdg").by(&ca);
    assert_eq!(signing(&[&leaf], &root), Err(wrong_issuer("ncb/fr/post/cdg", "gs/authority")));
    // Nor does a national authority beside it, that has not signed it, help.
    assert_eq!(
        signing(&[&leaf, &national(&ca)], &root),
        Err(wrong_issuer("ncb/fr/post/cdg", "gs/authority"))
    );
}

#[test]
fn an_authority_with_room_below_it_certifies_nobody() {
    let (ca, root) = root();
    for constraints in [BasicConstraints::Unconstrained, BasicConstraints::Constrained(1)] {
        let wide = Plan::authority("ncb/fr/authority", constraints).by(&ca);
        let post = Plan::signing("ncb/fr/post/cdg").by(&wide);
        assert_eq!(signing(&[&post, &wide], &root), Err(CertificateError::PathTooLong));
    }
}

#[test]
fn an_authority_below_a_national_authority_is_refused() {
    let (ca, root) = root();
    let national = national(&ca);
    let below = Plan::authority("ncb/fr/authority", BasicConstraints::Constrained(0)).by(&national);
    let post = Plan::signing("ncb/fr/post/cdg").by(&below);
    assert_eq!(signing(&[&post, &below, &national], &root), Err(CertificateError::PathTooLong));
    let wide = Plan::authority("ncb/fr/authority", BasicConstraints::Unconstrained).by(&ca);
    let below = Plan::authority("ncb/fr/authority", BasicConstraints::Constrained(0)).by(&wide);
    let post = Plan::signing("ncb/fr/post/cdg").by(&below);
    assert_eq!(signing(&[&post, &below, &wide], &root), Err(CertificateError::PathTooLong));
}

#[test]
fn a_leaf_certifies_nobody() {
    let (ca, root) = root();
    let leaf = Plan { authority: IsCa::ExplicitNoCa, ..Plan::tls("ncb/fr/authority") }.by(&ca);
    let post = Plan::signing("ncb/fr/post/cdg").by(&leaf);
    assert!(matches!(
        signing(&[&post, &leaf], &root),
        Err(CertificateError::Untrusted(_) | CertificateError::WrongUse)
    ));
    let authority = Plan { authority: IsCa::Ca(BasicConstraints::Constrained(0)), ..Plan::signing("ncb/fr") };
    assert_eq!(signing(&[&authority.by(&ca)], &root), Err(CertificateError::WrongUse));
}

#[test]
fn a_certificate_names_exactly_one_identity() {
    let (ca, root) = root();
    let names = |names: Vec<SanType>| signing(&[&Plan { names, ..Plan::signing("ncb/fr") }.by(&ca)], &root);
    let host = || SanType::DnsName("bureau.example".to_owned().try_into().unwrap());
    let address = || SanType::IpAddress("127.0.0.1".parse().unwrap());
    assert!(names(vec![uri("ncb/fr")]).is_ok());
    assert!(names(vec![host(), uri("ncb/fr"), address()]).is_ok());
    let mail = SanType::Rfc822Name("duty@bureau.example".to_owned().try_into().unwrap());
    let other = SanType::URI("https://bureau.example/".to_owned().try_into().unwrap());
    for wrong in [
        vec![uri("ncb/fr"), uri("ncb/br")],
        vec![uri("ncb/fr"), uri("ncb/fr")],
        vec![uri("ncb/fr"), other.clone()],
        vec![uri("ncb/fr"), mail],
        vec![uri("ncb/FR")],
        vec![uri("ncb/f1")],
        vec![other],
        vec![host()],
        vec![],
    ] {
        let text = format!("{wrong:?}");
        assert_eq!(names(wrong), Err(CertificateError::WrongName), "{text}");
    }
}

#[test]
fn a_leaf_is_good_for_the_use_it_was_made_for_and_no_other() {
    let (ca, root) = root();
    let tls_leaf = Plan::tls("ncb/fr").by(&ca);
    let signing_leaf = Plan::signing("ncb/fr").by(&ca);
    assert!(tls(&[&tls_leaf], &root).is_ok());
    assert!(signing(&[&signing_leaf], &root).is_ok());
    assert_eq!(signing(&[&tls_leaf], &root), Err(CertificateError::WrongUse));
    assert_eq!(tls(&[&signing_leaf], &root), Err(CertificateError::WrongUse));
    let document = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]);
    let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
    for purposes in [
        vec![],
        vec![server.clone()],
        vec![client.clone()],
        vec![ExtendedKeyUsagePurpose::Any],
        vec![server, client, document],
    ] {
        let leaf = Plan { purposes: purposes.clone(), ..Plan::tls("ncb/fr") }.by(&ca);
        assert_eq!(tls(&[&leaf], &root), Err(CertificateError::WrongUse), "{purposes:?}");
        let leaf = Plan { purposes: purposes.clone(), ..Plan::signing("ncb/fr") }.by(&ca);
        assert_eq!(signing(&[&leaf], &root), Err(CertificateError::WrongUse), "{purposes:?}");
    }
}

#[test]
fn the_type_of_the_key_follows_the_use() {
    let (ca, root) = root();
    let tls_with = |algorithm| tls(&[&Plan { algorithm, ..Plan::tls("ncb/fr") }.by(&ca)], &root);
    assert!(tls_with(&rcgen::PKCS_ECDSA_P256_SHA256).is_ok());
    assert!(tls_with(&rcgen::PKCS_ED25519).is_ok());
    assert_eq!(tls_with(&rcgen::PKCS_ECDSA_P384_SHA384), Err(CertificateError::WrongUse));
    let signing_with = |algorithm| signing(&[&Plan { algorithm, ..Plan::signing("ncb/fr") }.by(&ca)], &root);
    assert!(signing_with(&rcgen::PKCS_ED25519).is_ok());
    assert_eq!(signing_with(&rcgen::PKCS_ECDSA_P256_SHA256), Err(CertificateError::WrongUse));
}

#[test]
fn bytes_that_are_no_chain_are_refused_as_such() {
    let (ca, root) = root();
    let leaf = Plan::signing("ncb/fr").by(&ca);
    let chain = |chain: Vec<Bytes>| introduce(&chain, &root, NOW).map(|_| ());
    let malformed = |result| matches!(result, Err(CertificateError::Malformed(_)));
    assert_eq!(chain(vec![leaf.bytes()]), Ok(()));
    assert!(malformed(chain(vec![])));
    assert!(malformed(chain(vec![leaf.bytes(); 4])));
    assert!(malformed(chain(vec![leaf.bytes().slice(1..)])));
    assert!(malformed(chain(vec![[leaf.bytes(), Bytes::from_static(b"x")].concat().into()])));
    assert!(malformed(chain(vec![vec![0x30; 5000].into()])));
    assert!(malformed(chain(vec![leaf.bytes(), vec![0; 5000].into()])));
    let mut flipped = leaf.bytes().to_vec();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert!(matches!(chain(vec![flipped.into()]), Err(CertificateError::Untrusted(Some(_)))));
    for length in 0..leaf.der.len() {
        assert!(malformed(chain(vec![leaf.bytes().slice(..length)])), "cut to {length}");
    }
}

#[test]
fn a_root_is_the_authority_with_its_own_signing_certificate() {
    let (ca, root) = root();
    assert_eq!(root.signer().identity.to_string(), "spiffe://i247.test/gs/authority");
    let signing = Plan::signing("gs/authority").by(&ca);
    assert!(Root::new(ca.der.clone(), signing.der.clone()).is_ok());
    let (foreign, _) = self::root();
    assert!(Root::new(foreign.der, signing.der.clone()).is_err());
    assert!(Root::new(ca.der.clone(), Plan::signing("ncb/fr").by(&ca).der).is_err());
    assert!(Root::new(ca.der.clone(), Plan::tls("gs/authority").by(&ca).der).is_err());
    assert!(Root::new(signing.der.clone(), signing.der).is_err());
}
