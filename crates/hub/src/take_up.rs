//! Taking a log up again after the data directory was restored from an older copy: the same log goes on under a new
//! name, and its next entry says from where. It must not run beside a hub, and changes no entry that there is.

use bytes::Bytes;
use i247_ledger::{AppendError, CloseError, Draft, Ledger as _, Position};
use i247_model::{Identity, hexadecimal};
use i247_node::Seams;
use i247_router::{Input, Previous, Stamp, decide};
use i247_trust::Credentials;
use i247_wire::pb;
use prost::Message as _;

use crate::app;
use crate::config::Config;
use crate::entry::encode_decision;
use crate::recover::{RecoverError, Recovered};

/// A log that goes on under a new name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenUp {
    /// The name that it had.
    pub previous_log_id: Bytes,
    /// The last position of the copy; what stood after it comes back from the bureaus.
    pub previous_end: u64,
    /// The name that it has from here on.
    pub log_id: Bytes,
}

/// Why the log does not go on. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TakeUpError {
    /// The certificate is another's.
    #[error("the certificate names {0}, not this hub")]
    WrongIdentity(Identity),
    /// The data cannot be used, or a hub uses it.
    #[error("the data directory cannot be used")]
    Recover(#[from] RecoverError),
    /// There is no log that could go on.
    #[error("the data directory holds no log")]
    Empty,
    /// This log is known, or is no name: it was not lost.
    #[error("{0} is not the name of a log that the copy does not know")]
    NotLost(String),
    /// The entry cannot be written.
    #[error("the log cannot be written")]
    Append(#[from] AppendError),
    /// The log cannot be closed; the entry is written.
    #[error("the log goes on, and was not closed")]
    Close(#[from] CloseError),
}

/// Lets the log in the data directory go on under a new name. Bureaus that knew it under the name before are then
/// welcome, although they have seen more of it, and bring back what the copy lacks.
///
/// May be done any number of times, and while nothing is lost it does no harm. A copy from before an earlier recovery does
/// not know what the log was called since: `lost` says it, the oldest first, so that bureaus which knew those names are
/// welcome too.
///
/// # Errors
/// [`TakeUpError`]; also when a hub runs on the directory.
pub async fn take_up(
    config: &Config,
    credentials: &Credentials,
    seams: &Seams,
    lost: &[Bytes],
) -> Result<TakenUp, TakeUpError> {
    if credentials.identity != Identity::Hub(config.site.clone()) {
        return Err(TakeUpError::WrongIdentity(credentials.identity.clone()));
    }
    let Recovered { ledger, mut views, .. } = app::open(config, credentials, seams).await?;
    let own = views.state.log_id().map(Bytes::copy_from_slice).ok_or(TakeUpError::Empty)?;
    let end = views.position;
    let mut log_id = [0; 16];
    seams.dice.fill(&mut log_id);
    let log_id = Bytes::copy_from_slice(&log_id);
    // Stamps never go back.
    let at = seams.clock.now().max(views.at);
    let (mut before, mut drafts) = (own.clone(), Vec::new());
    for name in lost.iter().chain([&log_id]) {
        let stamp = Stamp { position: end + drafts.len() as u64 + 1, at };
        let previous = Some(Previous { log_id: before.to_vec(), end });
        let input = Input::Genesis { log_id: name.to_vec(), previous };
        let decision =
            decide(&views.state, stamp, &input).map_err(|_| TakeUpError::NotLost(hexadecimal(name)))?;
        views.state.apply(stamp, &input, &decision);
        let genesis = pb::Genesis {
            log_id: name.clone(),
            authority: credentials.root.authority(),
            previous_log_id: before,
            previous_end: end,
            certificates: credentials.signing_chain.clone(),
        };
        let entry = pb::Entry {
            at_ms: at.as_millis(),
            input: Some(pb::entry::Input::Genesis(genesis)),
            decision: encode_decision(&decision),
            made: Vec::new(),
        };
        drafts.push(Draft { entry: entry.encode_to_vec().into(), body: None });
        before = name.clone();
    }
    ledger.append(Position(end), drafts).await?;
    ledger.close().await?;
    Ok(TakenUp { previous_log_id: own, previous_end: end, log_id })
}
