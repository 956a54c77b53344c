//! Posts: what a bureau grants them, and how they fare at the hub's door.

use std::time::Duration;

use i247_model::{Audience, Identity, Name, Reason};
use i247_node::ConnectError;
use i247_trust::Credentials;
use i247_wire::pb;
use tonic::Status;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::acts::Sent;
use crate::bureau::Bureau;
use crate::error::WorldError;
use crate::world::World;

/// A stream that a post has open at the hub.
#[derive(Debug)]
pub struct Open {
    stream: tonic::Streaming<tonic_health::pb::HealthCheckResponse>,
    /// The connection lasts as long as somebody may call over it.
    _connection: HealthClient<Channel>,
}

impl World {
    /// Certificates of a post, by its country's authority. The secretariat's directory does not hear of it.
    ///
    /// # Errors
    /// When they cannot be made.
    pub async fn post(&self, code: &str, post: &str) -> Result<Credentials, WorldError> {
        let post = Identity::Post(crate::country(code), crate::name(post));
        Ok(self.pki().await.enrol(&post)?)
    }

    /// Makes a new connection to the hub and a call that everybody may make who is let in; then a stream is open.
    ///
    /// # Errors
    /// When the hub does not run. Inside: why it is not let in.
    pub async fn knocks(&self, credentials: &Credentials) -> Result<Result<Open, Reason>, WorldError> {
        let mut health = HealthClient::new(self.hub_channel(credentials).await?);
        let watched = async {
            let mut watching = health.watch(HealthCheckRequest::default()).await?.into_inner();
            watching.message().await?;
            Ok::<_, Status>(watching)
        };
        match watched.await {
            Ok(stream) => Ok(Ok(Open { stream, _connection: health })),
            Err(status) => match ConnectError::of(&status) {
                Some(ConnectError::NotAdmitted { reason: Some(reason), .. }) => Ok(Err(*reason)),
                _ => Err(WorldError::Connect(status.to_string())),
            },
        }
    }
}

impl Open {
    /// Waits until the stream has ended.
    ///
    /// # Errors
    /// When it is still open after so long.
    pub async fn ends_within(&mut self, within: Duration) -> Result<(), WorldError> {
        let ended = async { while let Ok(Some(_)) = self.stream.message().await {} };
        let late = |_| WorldError::Waited { what: "a stream to end".into(), seconds: within.as_secs() };
        tokio::time::timeout(within, ended).await.map_err(late)
    }

    /// Whether it stays open for so long.
    pub async fn stays_for(&mut self, long: Duration) -> bool {
        self.ends_within(long).await.is_err()
    }
}

impl Bureau<'_> {
    /// Grants a post something, or nothing any more, and waits until the hub has accepted it.
    ///
    /// # Errors
    /// When the desk or the hub refuses it.
    pub async fn grants(&self, grant: pb::Grant) -> Result<Sent, WorldError> {
        let sent = self.send(grant_draft(grant)).await?;
        self.accepted(&sent).await?;
        Ok(sent)
    }

    /// Ends what a post is granted.
    ///
    /// # Errors
    /// As [`Bureau::grants`].
    pub async fn withdraws(&self, post: &str) -> Result<Sent, WorldError> {
        self.grants(pb::Grant { post: post.into(), withdrawn: true, ..pb::Grant::default() }).await
    }
}

/// An airport that may search SLTD and TDAWN, until that is withdrawn.
pub fn airport(post: &Name) -> pb::Grant {
    pb::Grant {
        post: post.to_string(),
        unit: pb::PostUnit::Airport.into(),
        verb: pb::PostVerb::Search.into(),
        databases: vec![pb::Database::Sltd.into(), pb::Database::Tdawn.into()],
        keys_per_minute: 120,
        keys_per_day: 20_000,
        ..pb::Grant::default()
    }
}

/// The same with leave to hold copies of all that the country sees there.
pub fn with_copies(grant: pb::Grant) -> pb::Grant {
    pb::Grant { offline: grant.databases.clone(), supplement: true, ..grant }
}

/// The draft of a grant.
pub fn grant_draft(grant: pb::Grant) -> pb::Draft {
    pb::Draft {
        kind: pb::Kind::Grant.into(),
        lane: pb::Lane::VeryUrgent.into(),
        audience: Some((&Audience::secretariat()).into()),
        body: Some(pb::Body {
            subject: format!("Grant for {}", grant.post),
            language: "EN".into(),
            form: Some(pb::body::Form::Grant(grant)),
            ..pb::Body::default()
        }),
        ..pb::Draft::default()
    }
}
