//! The national system: follows the inbox and answers by policy, without an officer.
//!
//! It goes on behind the last arrival that the journal says is handled. What it sends carries keys made of the message
//! that it answers, so that handling a message twice (after a crash, or when a notice arrives after a request about
//! it) sends nothing twice. It must not decide what the law says; that is `policy`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use i247_ledger::ReadError;
use i247_model::{CountryCode, Identity, Kind, Refusal};
use i247_node::sleep;
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::desk::{Desk, DeskError};
use crate::desk_read::clear_body;
use crate::inbox::{Received, known_notice};
use crate::journal::JournalError;
use crate::policy::{self, Asked, Policy};
use crate::register::Register;
use crate::spans;

/// How many arrivals are handled side by side, so that their drafts share journal groups.
const AT_ONCE: usize = 32;
/// After so many arrivals the journal is told how far it got.
const TOLD_AFTER: usize = 256;
/// The wait when the disk is full or does not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What answers by itself.
pub(crate) struct National {
    pub(crate) me: CountryCode,
    pub(crate) desk: Desk,
    pub(crate) register: Arc<Register>,
    pub(crate) policy: Policy,
    /// Operations whose requests an officer answers.
    pub(crate) left_to_officers: BTreeSet<String>,
}

/// Why an arrival could not be handled now.
#[derive(Debug, thiserror::Error)]
enum Later {
    /// The same again after a while.
    #[error("the disk is full or does not answer")]
    Again,
    /// The journal has stopped.
    #[error("the journal has stopped")]
    Stopped,
}

impl National {
    /// Answers what arrives until `stop`.
    ///
    /// # Cancel safety
    /// Dropped at any point, the next run goes on where the journal says.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut applied = self.desk.journal.applied();
        loop {
            // Dropping the handling half way is safe: see above.
            let caught_up = tokio::select! {
                () = stop.cancelled() => return,
                caught_up = self.catch_up() => caught_up,
            };
            match caught_up {
                Ok(()) => {}
                Err(Later::Again) => sleep(AGAIN_AFTER).await,
                Err(Later::Stopped) => return,
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = applied.changed(), if caught_up.is_ok() => if changed.is_err() { return },
                () = std::future::ready(()), if caught_up.is_err() => {}
            }
        }
    }

    /// Handles all arrivals that are there.
    async fn catch_up(&self) -> Result<(), Later> {
        loop {
            let (from, to) = {
                let views = self.desk.journal.views();
                (views.inbox.handled, views.inbox.all().len())
            };
            if from >= to {
                return Ok(());
            }
            let to = to.min(from + TOLD_AFTER);
            let mut handling =
                futures::stream::iter(from..to).map(|place| self.handle(place)).buffered(AT_ONCE);
            while let Some(handled) = handling.next().await {
                handled?;
            }
            drop(handling);
            let handled = Event::Handled(pb::JournalHandled { arrivals: to as u64 });
            self.desk.journal.write(vec![handled.into()]).await.map_err(|error| later(&error))?;
        }
    }

    /// Handles the arrival at this place of the inbox.
    async fn handle(&self, place: usize) -> Result<(), Later> {
        let Some(received) = self.desk.journal.views().inbox.all().get(place).cloned() else { return Ok(()) };
        match received.kind {
            Kind::Request => self.answer(&received).await,
            Kind::Notice => {
                let Some(notice) = known_notice(&received) else { return Ok(()) };
                if let Some(draft) = policy::decide_notice(&self.policy, &notice) {
                    self.send(draft).await?;
                }
                // A request may have overtaken the notice that it is about: what it could not lead to, it does now.
                let asked: Vec<Received> = {
                    let views = self.desk.journal.views();
                    views.inbox.asked_about(&notice.notice_id).into_iter().cloned().collect()
                };
                for received in asked {
                    self.answer(&received).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn answer(&self, received: &Received) -> Result<(), Later> {
        if self.left_to_officers.contains(&received.operation) {
            return Ok(());
        }
        let (entry, body) = match self.desk.journal.read(received.at_entry).await {
            Ok(read) => read,
            // It will not mend by itself, and what came behind it is owed answers too.
            Err(error @ ReadError::Damaged(_)) => {
                tracing::error!(message_id = %received.id, %error, "an officer must answer this request");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read");
                return Err(Later::Again);
            }
        };
        let header = match entry.event {
            Some(Event::Arrived(arrived)) => pb::Header::decode(arrived.header).unwrap_or_default(),
            _ => return Ok(()),
        };
        let waited = self.desk.clock.now().since(received.received_at);
        let span = spans::answer(&header, self.me, waited);
        let audience = header.audience.unwrap_or_default();
        if !policy::owes_answer(self.me, &received.id.sender, &audience) {
            return Ok(());
        }
        let i247_ledger::Body::Present(carried) = body else {
            tracing::error!(message_id = %received.id, "the body is not there: an officer must answer this request");
            return Ok(());
        };
        let Some(body) = clear_body(carried) else { return Ok(()) };
        let Some(pb::body::Form::Request(request)) = body.form else { return Ok(()) };
        let notice = self.desk.journal.views().inbox.notice(&request.notice_id);
        let asked = Asked {
            id: received.id.clone(),
            operation: received.operation.clone(),
            their_ref: body.our_ref,
            request,
        };
        let subject = asked.request.subject.clone().unwrap_or_default();
        let matches = self.register.search(&subject);
        let now = self.desk.clock.now();
        for draft in policy::answer(&self.policy, &asked, &matches, notice.as_ref(), now) {
            self.send(draft).instrument(span.clone()).await?;
        }
        Ok(())
    }

    async fn send(&self, draft: pb::Draft) -> Result<(), Later> {
        match self.desk.take(draft, &Identity::Bureau(self.me)).await {
            Ok(_) => Ok(()),
            Err(DeskError::Journal(error @ (JournalError::Full | JournalError::Stopped))) => {
                Err(later(&error))
            }
            Err(DeskError::Disk(error)) => {
                tracing::error!(%error, "an attachment could not be looked up");
                Err(Later::Again)
            }
            Err(DeskError::Refused(refusal) | DeskError::Journal(JournalError::Refused(refusal))) => {
                refused(&refusal);
                Ok(())
            }
        }
    }
}

/// Sending it again would be refused again: an officer must answer by hand.
fn refused(refusal: &Refusal) {
    tracing::error!(reason = %refusal.reason, fields = ?refusal.fields, "an automatic answer was not right");
}

fn later(error: &JournalError) -> Later {
    match error {
        JournalError::Stopped => Later::Stopped,
        JournalError::Full | JournalError::Refused(_) => Later::Again,
    }
}

#[cfg(test)]
#[path = "national_tests.rs"]
mod tests;
