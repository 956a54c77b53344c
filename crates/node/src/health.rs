//! Health that is true, and reflection: the two standard services beside ours.
//!
//! A node says `SERVING` for a service only when told so, and everything begins as `NOT_SERVING`.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

/// Says how the services of this node are. Clones share one truth.
#[derive(Debug, Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// Health for these services (full names); the empty name, which stands for the node as a whole, is added.
    /// None is ready yet.
    pub async fn new(services: &[&str]) -> (Self, HealthServer<HealthService>) {
        let health = Self(HealthReporter::new());
        let server = HealthServer::new(HealthService::from_health_reporter(health.0.clone()));
        for service in services.iter().chain([&""]) {
            health.set_ready(service, false).await;
        }
        (health, server)
    }

    /// From now on `service` is ready, or is not; the empty name is the node as a whole.
    pub async fn set_ready(&self, service: &str, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.0.set_service_status(service, status).await;
    }
}

/// The reflection service for these services of package `i247.v1` (full names), health and itself, so that `grpcurl`
/// works. The listener's rules let only authenticated peers in.
pub fn reflection(
    services: &[&str],
) -> Result<ServerReflectionServer<impl ServerReflection>, tonic_reflection::server::Error> {
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(i247_wire::DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection");
    for service in services {
        builder = builder.with_service_name(*service);
    }
    builder.build_v1()
}
