//! Certificates that no authority of ours would issue.

use bytes::Bytes;
use i247_model::Timestamp;
use i247_trust::{Root, VerifyingKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, PublicKeyData as _, SanType, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;

use crate::days;

/// What a certificate says, before it is made.
pub(crate) struct Plan {
    pub(crate) names: Vec<SanType>,
    pub(crate) algorithm: &'static SignatureAlgorithm,
    pub(crate) purposes: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) authority: IsCa,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// A certificate with its private key.
pub(crate) struct Made {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl Plan {
    fn of(path: &str) -> Self {
        Self {
            names: vec![uri(path)],
            algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
            purposes: Vec::new(),
            authority: IsCa::ExplicitNoCa,
            not_before: days(-1),
            not_after: days(30),
        }
    }

    pub(crate) fn signing(path: &str) -> Self {
        let purposes = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36])];
        Self { algorithm: &rcgen::PKCS_ED25519, purposes, ..Self::of(path) }
    }

    pub(crate) fn tls(path: &str) -> Self {
        let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { purposes, ..Self::of(path) }
    }

    pub(crate) fn authority(path: &str, constraints: BasicConstraints) -> Self {
        Self { authority: IsCa::Ca(constraints), ..Self::of(path) }
    }

    pub(crate) fn self_signed(self) -> Made {
        let key = KeyPair::generate_for(self.algorithm).unwrap();
        let der = self.params(&key).self_signed(&key).unwrap().der().clone();
        Made { der, key }
    }

    pub(crate) fn by(self, issuer: &Made) -> Made {
        let key = KeyPair::generate_for(self.algorithm).unwrap();
        let issuer = Issuer::from_ca_cert_der(&issuer.der, &issuer.key).unwrap();
        let der = self.params(&key).signed_by(&key, &issuer).unwrap().der().clone();
        Made { der, key }
    }

    fn params(&self, key: &KeyPair) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = self.names.clone();
        params.is_ca = self.authority;
        params.extended_key_usages = self.purposes.clone();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + std::time::Duration::from_millis(self.not_before.as_millis());
        params.not_after = epoch + std::time::Duration::from_millis(self.not_after.as_millis());
        // A subject of its own, so that chains are found by it.
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, format!("{:?}", &key.der_bytes()[..8]));
        params.distinguished_name = name;
        params
    }
}

impl Made {
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.der)
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_spki(&self.key.subject_public_key_info()).unwrap()
    }
}

pub(crate) fn uri(path: &str) -> SanType {
    SanType::URI(format!("spiffe://i247.test/{path}").try_into().unwrap())
}

/// A root whose key the test holds.
pub(crate) fn root() -> (Made, Root) {
    let ca = Plan::authority("gs/authority", BasicConstraints::Constrained(1)).self_signed();
    let signing = Plan::signing("gs/authority").by(&ca);
    let root = Root::new(ca.der.clone(), signing.der).unwrap();
    (ca, root)
}
