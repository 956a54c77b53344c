//! What can go wrong with a call: a variant for each thing that the caller can do about it.

use std::time::Duration;

use i247_model::{Reason, Refusal};
use i247_node::ConnectError;
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused, for a stated reason: read the next step.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// There is no connection, so nothing happened: look at the address, the certificates, the server.
    #[error("no connection")]
    NoConnection(#[source] ConnectError),
    /// No answer in time. What was asked may have happened all the same: ask again with the same key.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The connection broke. What was asked may have happened all the same: ask again with the same key.
    #[error("the connection broke")]
    Broken(#[source] Box<Status>),
    /// The server failed in a way that it does not explain: look at its log.
    #[error("the server failed: {}", .0.message())]
    Failed(#[source] Box<Status>),
    /// The answer is not what the protocol promises: the server is of another version, or lies.
    #[error("the answer is not what the protocol promises: {0}")]
    Unexpected(String),
}

impl ClientError {
    /// Whether what was asked may have happened although the call failed.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Late(_) | Self::Broken(_) | Self::Failed(_) | Self::Unexpected(_) => true,
            Self::Refused(_) | Self::NoConnection(_) => false,
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn passes(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.reason.class() == i247_model::Class::NotNow,
            Self::NoConnection(_) | Self::Late(_) | Self::Broken(_) => true,
            Self::Failed(_) | Self::Unexpected(_) => false,
        }
    }

    /// The refusal, if the server gave one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Why a stream has ended that had begun.
    pub fn of_stream(status: Status) -> Self {
        Self::of(status, crate::call::CALL)
    }

    pub(crate) fn of(status: Status, within: Duration) -> Self {
        if let Some(refusal) = i247_wire::refusal(&status) {
            return Self::Refused(refusal);
        }
        if let Some(error) = ConnectError::of(&status) {
            if let ConnectError::NotAdmitted { reason: Some(reason), .. } = error {
                let next_step = match reason {
                    Reason::NotGranted => reason.next_step(),
                    _ => "ask the authority that certified you why, and to be admitted again",
                };
                let next_step = next_step.into();
                return Self::Refused(Refusal { next_step, ..Refusal::of(*reason, "identity") });
            }
            return Self::NoConnection(error.clone());
        }
        match status.code() {
            Code::DeadlineExceeded => Self::Late(within),
            // The transport watches the same deadline, and reports it as a call that was cancelled.
            Code::Cancelled if timed_out(&status) => Self::Late(within),
            // What the transport reports of a lost connection or a stream cut off.
            Code::Unavailable | Code::Cancelled | Code::Aborted | Code::Unknown => {
                Self::Broken(Box::new(status))
            }
            _ => Self::Failed(Box::new(status)),
        }
    }

    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected(what.into())
    }
}

/// Whether the transport's own timer ended the call.
fn timed_out(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(1);

    #[test]
    fn a_refusal_comes_back_as_the_noun_that_the_server_gave() {
        let refusal = Refusal::of(Reason::UnknownCountry, "audience.countries");
        let error = ClientError::of(i247_wire::status(&refusal), WITHIN);
        assert_eq!(error.refusal(), Some(&refusal));
        assert!(!error.may_have_happened());
        assert!(!error.passes());
    }

    #[test]
    fn what_the_sender_must_wait_for_passes_by_itself() {
        let refusal = Refusal::of(Reason::Busy, "calls").retry_after(Duration::from_millis(100));
        assert!(ClientError::of(i247_wire::status(&refusal), WITHIN).passes());
    }

    #[test]
    fn a_lost_connection_leaves_open_what_happened() {
        for status in
            [Status::unavailable("gone"), Status::cancelled("cut"), Status::deadline_exceeded("late")]
        {
            let error = ClientError::of(status, WITHIN);
            assert!(error.may_have_happened() && error.passes(), "{error}");
        }
        let error = ClientError::of(Status::internal("bug"), WITHIN);
        assert!(error.may_have_happened() && !error.passes());
    }
}
