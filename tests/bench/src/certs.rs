//! Certificates for the systems that we compare with, and TLS as they use it: mutual TLS 1.3 with ECDSA P-256, as ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The client's name: PostgreSQL takes it for the user.
pub(crate) const CLIENT: &str = "bench";

/// A directory with an authority, a server and a client.
#[derive(Clone, Debug)]
pub(crate) struct Certs(PathBuf);

impl Certs {
    /// Makes them.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        crate::machine::empty(dir)?;
        let certs = Self(dir.to_owned());
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate()?;
        std::fs::write(certs.ca(), ca.self_signed(&ca_key)?.pem())?;
        let issuer = Issuer::new(ca, ca_key);
        for (name, usage) in
            [("server", ExtendedKeyUsagePurpose::ServerAuth), (CLIENT, ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let mut leaf = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
            leaf.distinguished_name.push(DnType::CommonName, name);
            leaf.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            std::fs::write(certs.certificate(name), leaf.signed_by(&key, &issuer)?.pem())?;
            std::fs::write(certs.key(name), key.serialize_pem())?;
        }
        Ok(certs)
    }

    /// Those that another process made.
    pub(crate) fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    /// The client's side, with all key exchanges that the library has, the hybrid one first.
    pub(crate) fn client(&self) -> Result<ClientConfig> {
        self.client_with(aws_lc_rs::default_provider().kx_groups)
    }

    /// The client's side with these key exchanges.
    pub(crate) fn client_with(&self, groups: Vec<&'static dyn SupportedKxGroup>) -> Result<ClientConfig> {
        let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
        let (chain, key) = self.own(CLIENT)?;
        Ok(ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)?)
    }

    /// The server's side, which demands the client's certificate.
    pub(crate) fn server(&self) -> Result<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone()).build()?;
        let (chain, key) = self.own("server")?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?)
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca())?)?;
        Ok(roots)
    }

    fn own(&self, name: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = vec![CertificateDer::from_pem_file(self.certificate(name))?];
        Ok((chain, PrivateKeyDer::from_pem_file(self.key(name))?))
    }
}
