//! What can go wrong in a world that is not the network's own refusal.

use std::io;
use std::path::{Path, PathBuf};

use i247_client::ClientError;
use i247_trust::AuthorityError;

/// Why a step of a story failed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A node did not start, or did not stop well.
    #[error("{name}: {text}")]
    Node {
        /// Which node.
        name: String,
        /// What it said.
        text: String,
    },
    /// A file is not accessible.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Keys or certificates cannot be made.
    #[error("the throw-away authority")]
    Authority(#[from] AuthorityError),
    /// A call was refused, or not answered.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// An event did not come.
    #[error("waited {seconds} s for {what}")]
    Waited {
        /// For what.
        what: String,
        /// How long, in seconds.
        seconds: u64,
    },
    /// There is no such country in this world, or it does not run.
    #[error("{0} does not run in this world")]
    NotRunning(String),
    /// Invariants are broken.
    #[error("{} invariants are broken: {}", .0.len(), .0.join("; "))]
    Broken(Vec<String>),
    /// TLS or an address.
    #[error("cannot connect: {0}")]
    Connect(String),
}

impl WorldError {
    pub(crate) fn node(name: &str, error: &dyn std::error::Error) -> Self {
        Self::Node { name: name.into(), text: i247_node::with_causes(error) }
    }

    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// The network's refusal, if it was one.
    pub fn refusal(&self) -> Option<&i247_model::Refusal> {
        match self {
            Self::Client(error) => error.refusal(),
            _ => None,
        }
    }
}
