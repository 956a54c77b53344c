//! Takes renewed keys and certificates from the credentials directory while the node runs.
//!
//! It looks at the files once a minute. What is new and good is shown to connections from then on, and signs from then
//! on: whoever signs follows [`Renewal::credentials`]. What is there must be of the same identity and lead to the same
//! authority; anything else is said once and left alone. It must not touch connections that are open: those end with
//! the certificate that they began with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::{Blocking, outcome};
use i247_trust::{Credentials, CredentialsError, Presented, Use, introduce, verify_chain};
use opentelemetry::metrics::{Gauge, Meter};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::causes::with_causes;
use crate::clock::{Clock, sleep_on};
use crate::seams::Seams;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// Keys and certificates of a running node, kept as new as its files.
#[derive(Debug)]
pub struct Renewal {
    presented: Arc<Presented>,
    /// What is shown and signed with.
    taken: watch::Sender<Arc<Credentials>>,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    /// What was wrong with the files when they were last looked at; said once.
    wrong: Option<String>,
    /// When something was taken last; nothing before.
    rotated: Gauge<f64>,
}

impl Renewal {
    /// Keeps `presented`, which shows `credentials`, as new as the files in `dir`.
    pub fn new(
        presented: Arc<Presented>,
        credentials: Credentials,
        dir: PathBuf,
        seams: &Seams,
        meter: &Meter,
    ) -> Self {
        let (clock, blocking) = (Arc::clone(&seams.clock), Arc::clone(&seams.blocking));
        let taken = watch::Sender::new(Arc::new(credentials));
        let rotated = meter
            .f64_gauge("i247.rotation.last_success")
            .with_unit("s")
            .with_description("when renewed certificates were last taken up, in seconds since 1970")
            .build();
        Self { presented, taken, dir, clock, blocking, wrong: None, rotated }
    }

    /// What the node shows and signs with, as it changes.
    pub fn credentials(&self) -> watch::Receiver<Arc<Credentials>> {
        self.taken.subscribe()
    }

    /// Looks until `stop`.
    ///
    /// # Cancel safety
    /// Dropped at any point, what was taken last stays.
    pub async fn run(mut self, stop: CancellationToken) {
        let clock = Arc::clone(&self.clock);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_on(&*clock, EVERY) => {}
            }
            self.look().await;
        }
    }

    /// Looks once. True when something else is shown or signed with from now on.
    async fn look(&mut self) -> bool {
        let mut found = match self.load().await {
            Ok(found) => found,
            Err(error) => return self.leave(with_causes(&error)),
        };
        let taken = Arc::clone(&self.taken.borrow());
        let other_tls = found.tls_chain != taken.tls_chain;
        let other_signing = found.signing_chain != taken.signing_chain;
        if !other_tls && !other_signing {
            self.wrong = None;
            return false;
        }
        if let Err(wrong) = self.check(&found, &taken) {
            return self.leave(wrong);
        }
        if other_tls && let Err(error) = self.presented.renew(&found) {
            return self.leave(with_causes(&error));
        }
        let other_key = found.signing_key.key_id() != taken.signing_key.key_id();
        tracing::info!(
            identity = %found.identity, other_tls, other_signing, other_key,
            "renewed certificates are shown to new connections and signed with"
        );
        self.wrong = None;
        self.rotated.record(self.clock.now().as_millis() as f64 / 1000.0, &[]);
        // The root was read at the start; whoever holds it goes on with that one.
        found.root = taken.root.clone();
        self.taken.send_replace(Arc::new(found));
        true
    }

    /// Of the same identity, and good at this moment.
    fn check(&self, found: &Credentials, taken: &Credentials) -> Result<(), String> {
        if found.identity != taken.identity {
            return Err(format!("they are those of {}", found.identity));
        }
        let now = self.clock.now();
        verify_chain(&found.tls_chain, &taken.root, now, Use::Tls).map_err(|error| with_causes(&error))?;
        introduce(&found.signing_chain, &taken.root, now).map_err(|error| with_causes(&error))?;
        Ok(())
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
        let dir = self.dir.clone();
        // A job that is given up belongs to a process that ends.
        outcome(&*self.blocking, move || Credentials::load(&dir))
            .await
            .unwrap_or(Err(CredentialsError::Content("the directory")))
    }
}

#[cfg(test)]
mod tests {
    use i247_trust::{Authority, TlsKey, Validity};
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::metrics::noop::NoopMeterProvider;
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
    async fn what_is_renewed_is_shown_and_signed_with_and_what_is_bad_never() {
        let seams = Seams { blocking: Arc::new(i247_ledger::Inline), ..Seams::system() };
        let dir = tempfile::tempdir().unwrap();
        let secretariat = authority(&seams);
        let first = enrol(&secretariat, "ncb/fr", &seams);
        first.save(dir.path()).unwrap();
        let presented = Presented::new(&first).unwrap();
        let shows = |presented: &Presented| presented.resolve(&[], &[]).unwrap().cert.clone();
        let meter = NoopMeterProvider::new().meter("none");
        let dir_of = dir.path().to_owned();
        let mut renewal = Renewal::new(Arc::clone(&presented), first.clone(), dir_of, &seams, &meter);
        assert!(!renewal.look().await);
        assert_eq!(shows(&presented), first.tls_chain);

        let mut second = enrol(&secretariat, "ncb/fr", &seams);
        second.save(dir.path()).unwrap();
        assert!(renewal.look().await);
        assert_eq!(shows(&presented), second.tls_chain);
        assert!(!renewal.look().await);

        // Another signing key, over connections as before.
        let other_key = enrol(&secretariat, "ncb/fr", &seams);
        let signs = renewal.credentials();
        assert_eq!(signs.borrow().signing_key.key_id(), second.signing_key.key_id());
        (second.signing_key, second.signing_chain) = (other_key.signing_key, other_key.signing_chain);
        second.save(dir.path()).unwrap();
        assert!(renewal.look().await);
        assert_eq!(signs.borrow().signing_key.key_id(), second.signing_key.key_id());
        assert_eq!(shows(&presented), second.tls_chain);

        let other_country = enrol(&secretariat, "ncb/br", &seams);
        let other_authority = enrol(&authority(&seams), "ncb/fr", &seams);
        for bad in [other_country, other_authority] {
            bad.save(dir.path()).unwrap();
            assert!(!renewal.look().await);
            assert_eq!(signs.borrow().signing_key.key_id(), second.signing_key.key_id());
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
