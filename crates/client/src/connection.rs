//! From a context to a connection: credentials from the disk, TLS, and a server that is who it should be.

use std::sync::Arc;

use i247_model::Identity;
use i247_node::{ChannelLimits, Clock, ConnectError, Network, TlsClock};
use i247_trust::{Credentials, CredentialsError, Presented, TlsError, client_config};
use tonic::transport::Channel;

use crate::Context;

/// A connection and the identity that it is made under.
pub struct Connection {
    /// Connects at the first call, and again when a call finds the connection gone.
    pub channel: Channel,
    /// Keys and certificates of the caller.
    pub credentials: Credentials,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The credentials of the context cannot be used.
    #[error("{directory}: no usable credentials")]
    Credentials {
        /// Where they should be.
        directory: String,
        /// What is wrong with them.
        #[source]
        source: CredentialsError,
    },
    /// The key or certificate cannot be used for TLS.
    #[error("the certificate cannot be used for TLS")]
    Tls(#[from] TlsError),
    /// The address is none.
    #[error("{0}")]
    Address(#[from] ConnectError),
}

impl Context {
    /// Prepares a connection. Files are read here; nothing is sent before the first call.
    ///
    /// # Errors
    /// [`ConnectionError`] says what to look at.
    pub fn connect(
        &self,
        network: Arc<dyn Network>,
        clock: Arc<dyn Clock>,
    ) -> Result<Connection, ConnectionError> {
        let credentials = Credentials::load(&self.credentials).map_err(|source| {
            ConnectionError::Credentials { directory: self.credentials.display().to_string(), source }
        })?;
        let channel = channel(&self.address, &self.server, &credentials, network, clock)?;
        Ok(Connection { channel, credentials })
    }
}

/// A channel to `address` under these credentials. Whoever answers there must be `server`.
///
/// # Errors
/// [`ConnectionError::Tls`], [`ConnectionError::Address`].
pub fn channel(
    address: &str,
    server: &Identity,
    credentials: &Credentials,
    network: Arc<dyn Network>,
    clock: Arc<dyn Clock>,
) -> Result<Channel, ConnectionError> {
    let expected = server.clone();
    let time = Arc::new(TlsClock(clock));
    let presented = Presented::new(credentials)?;
    let tls = client_config(presented, &credentials.root, time, move |found| *found == expected)?;
    Ok(i247_node::connect(network, address, tls, &ChannelLimits::default())?)
}
