//! Who may connect now: the directory's answer, asked within every handshake.

use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{Hash, Identity, Reason, Refusal};
use i247_node::Clock;
use i247_router::Standing;
use i247_trust::Admission;

use crate::grants::in_force;
use crate::views::Views;

/// Answers from the views, at the time of the clock.
pub(crate) struct ByDirectory {
    pub(crate) views: Arc<RwLock<Views>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for ByDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByDirectory")
    }
}

impl Admission for ByDirectory {
    fn admit(&self, identity: &Identity, tls_key: &Hash) -> Result<(), Refusal> {
        // The authority is the root of all this: its chain is enough, and the directory could not begin otherwise.
        if *identity == Identity::Authority {
            return Ok(());
        }
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let directory = views.state.directory();
        if directory.tls_key_allowed(identity, tls_key) {
            let granted = in_force(directory, identity, self.clock.now());
            return granted.map(drop).inspect_err(|refusal| {
                tracing::info!(post = %identity, %refusal, "a post is not let in");
            });
        }
        Err(match directory.standing(identity) {
            Some(Standing::Suspended) => Refusal::of(Reason::Suspended, "identity"),
            Some(Standing::Revoked) => Refusal::of(Reason::Revoked, "identity"),
            Some(Standing::Active) => Refusal::of(Reason::CertificateNotInForce, "tls_key"),
            None => Refusal::of(Reason::NotAuthorised, "identity"),
        })
    }
}
