//! What stands in the certificates that an authority of this network issues.

use std::time::Duration;

use aws_lc_rs::rand;
use i247_model::{Identity, TRUST_DOMAIN, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};

use crate::Use;
use crate::certificate::DOCUMENT_SIGNING;

/// 9999-12-31 23:59:59 UTC, in seconds: the last moment that a certificate can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// How long a certificate begins before the moment of issue, for clocks that are behind.
const BACKDATED_MS: u64 = 5 * 60 * 1000;

/// From when to when a certificate is in force. Certificates count whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// For so long from now on; it begins five minutes earlier, for clocks that are behind.
    pub fn lasting(now: Timestamp, length: Duration) -> Self {
        let not_before = Timestamp::from_millis(now.as_millis().saturating_sub(BACKDATED_MS));
        Self { not_before, not_after: now.plus(length) }
    }
}

/// The certificate of an authority that may stand above so many others.
pub(crate) fn of_authority(
    identity: &Identity,
    validity: Validity,
    path_length: u8,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = of(identity, &[], validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The certificate of a leaf.
pub(crate) fn of_leaf(
    identity: &Identity,
    names: &[&str],
    validity: Validity,
    purpose: Use,
) -> Result<CertificateParams, rcgen::Error> {
    let names = if purpose == Use::Tls { names } else { &[] };
    let mut params = of(identity, names, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match purpose {
        Use::Tls => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        Use::Signing => vec![ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNING.to_vec())],
    };
    Ok(params)
}

/// A request names an identity and nothing else: the rest is said by the authority's operator.
pub(crate) fn of_request(identity: &Identity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names.push(uri(identity)?);
    params.distinguished_name = distinguished_name(identity);
    Ok(params)
}

/// The identity as it stands among the names of a certificate.
pub(crate) fn uri(identity: &Identity) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(identity.to_string().try_into()?))
}

fn of(identity: &Identity, names: &[&str], validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.subject_alt_names.insert(0, uri(identity)?);
    params.distinguished_name = distinguished_name(identity);
    // Strict verifiers, OpenSSL's and Python's among them, ask for it.
    params.use_authority_key_identifier_extension = true;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |time: Timestamp| Duration::from_secs((time.as_millis() / 1000).min(LAST_SECOND));
    params.not_before = epoch + seconds(validity.not_before);
    params.not_after = epoch + seconds(validity.not_after);
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// The path of the identity: unlike the whole it is never longer than a common name may be.
fn distinguished_name(identity: &Identity) -> DistinguishedName {
    let text = identity.to_string();
    let path = text.trim_start_matches("spiffe://").trim_start_matches(TRUST_DOMAIN);
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "I-24/7 simulation");
    name.push(DnType::CommonName, path);
    name
}

/// Random, and always 16 bytes long when encoded.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = 0x40 | (bytes[0] & 0x3f);
    Ok(SerialNumber::from(bytes.to_vec()))
}
