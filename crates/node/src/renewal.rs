//! Takes a renewed certificate from the credentials directory while the node runs.
//!
//! It looks at the files once a minute, and shows what is new and good to connections from then on. What is there must
//! be of the same identity and lead to the same authority; anything else is said once and left alone. It must not
//! touch the signing key, nor connections that are open: those end with the certificate that they began with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::Blocking;
use i247_model::Identity;
use i247_trust::{Credentials, CredentialsError, Presented, Use, verify_chain};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, sleep};
use crate::seams::Seams;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// The certificate of a running node, kept as new as its files.
#[derive(Debug)]
pub struct Renewal {
    presented: Arc<Presented>,
    /// What is shown.
    shown: Credentials,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    /// What was wrong with the files when they were last looked at; said once.
    wrong: Option<String>,
}

impl Renewal {
    /// Keeps `presented`, which shows `shown`, as new as the files in `dir`.
    pub fn new(presented: Arc<Presented>, shown: Credentials, dir: PathBuf, seams: &Seams) -> Self {
        let (clock, blocking) = (Arc::clone(&seams.clock), Arc::clone(&seams.blocking));
        Self { presented, shown, dir, clock, blocking, wrong: None }
    }

    /// Looks until `stop`.
    ///
    /// # Cancel safety
    /// Dropped at any point, the certificate that was shown last stays.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
            }
            self.look().await;
        }
    }

    /// Looks once. True when another certificate is shown from now on.
    async fn look(&mut self) -> bool {
        let found = match self.load().await {
            Ok(found) => found,
            Err(error) => return self.leave(said(&error)),
        };
        if found.tls_chain == self.shown.tls_chain {
            self.wrong = None;
            return false;
        }
        if found.identity != self.shown.identity {
            return self.leave(format!("they are those of {}", found.identity));
        }
        if let Err(error) = verify_chain(&found.tls_chain, &self.shown.root, self.clock.now(), Use::Tls) {
            return self.leave(said(&error));
        }
        if let Err(error) = self.presented.renew(&found) {
            return self.leave(said(&error));
        }
        let other_key = found.signing_key.key_id() != self.shown.signing_key.key_id();
        // A hub introduces itself by its signing certificate; for a bureau the directory does that.
        let introduces = matches!(found.identity, Identity::Hub(_));
        if other_key || (introduces && found.signing_chain != self.shown.signing_chain) {
            tracing::warn!(
                "what it signs with is renewed at the next start: restart before the old one ends"
            );
        }
        tracing::info!(identity = %found.identity, "a renewed certificate is shown to new connections");
        self.wrong = None;
        self.shown.tls_chain = found.tls_chain;
        true
    }

    fn leave(&mut self, wrong: String) -> bool {
        if self.wrong.as_ref() != Some(&wrong) {
            let dir = self.dir.display();
            tracing::warn!(%dir, wrong, "the credentials on the disk are not taken; the present ones stay");
            self.wrong = Some(wrong);
        }
        false
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let (done, loaded) = oneshot::channel();
        let dir = self.dir.clone();
        // Whoever asked may be gone by then.
        self.blocking.run(Box::new(move || drop(done.send(Credentials::load(&dir)))));
        // A job that is given up belongs to a process that ends.
        loaded.await.unwrap_or(Err(CredentialsError::Content("the directory")))
    }
}

/// An error with its causes, on one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use i247_trust::{Authority, TlsKey, Validity};
    use rustls::client::ResolvesClientCert as _;

    use super::*;

    fn authority(seams: &Seams) -> Authority {
        let validity = Validity::lasting(seams.clock.now(), Duration::from_secs(7200));
        Authority::new(validity, TlsKey::P256).unwrap()
    }

    fn enrol(authority: &Authority, path: &str, seams: &Seams) -> Credentials {
        let validity = Validity::lasting(seams.clock.now(), Duration::from_secs(3600));
        let identity = format!("spiffe://i247.test/{path}").parse().unwrap();
        authority.enrol(&identity, &["127.0.0.1"], validity, TlsKey::P256).unwrap()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_and_a_bad_one_never() {
        let seams = Seams { blocking: Arc::new(i247_ledger::Inline), ..Seams::system() };
        let dir = tempfile::tempdir().unwrap();
        let secretariat = authority(&seams);
        let first = enrol(&secretariat, "ncb/fr", &seams);
        first.save(dir.path()).unwrap();
        let presented = Presented::new(&first).unwrap();
        let shows = |presented: &Presented| presented.resolve(&[], &[]).unwrap().cert.clone();
        let mut renewal = Renewal::new(Arc::clone(&presented), first.clone(), dir.path().to_owned(), &seams);
        assert!(!renewal.look().await);
        assert_eq!(shows(&presented), first.tls_chain);

        let second = enrol(&secretariat, "ncb/fr", &seams);
        second.save(dir.path()).unwrap();
        assert!(renewal.look().await);
        assert_eq!(shows(&presented), second.tls_chain);
        assert!(!renewal.look().await);

        let other_country = enrol(&secretariat, "ncb/br", &seams);
        let other_authority = enrol(&authority(&seams), "ncb/fr", &seams);
        for bad in [other_country, other_authority] {
            bad.save(dir.path()).unwrap();
            assert!(!renewal.look().await);
        }
        // Half written: the new key with the old certificate, then no certificate at all.
        second.save(dir.path()).unwrap();
        let third = enrol(&secretariat, "ncb/fr", &seams);
        let elsewhere = tempfile::tempdir().unwrap();
        third.save(elsewhere.path()).unwrap();
        std::fs::copy(elsewhere.path().join("tls.key.pem"), dir.path().join("tls.key.pem")).unwrap();
        assert!(!renewal.look().await);
        std::fs::write(dir.path().join("tls.crt.pem"), "").unwrap();
        assert!(!renewal.look().await);
        assert_eq!(shows(&presented), second.tls_chain);

        third.save(dir.path()).unwrap();
        assert!(renewal.look().await);
        assert_eq!(shows(&presented), third.tls_chain);
    }
}
