//! Everyone that the directory knows, with their certificates on the axis of time.

use i247_model::Identity;
use i247_wire::pb;

use super::country::{facts, signing, tls};
use crate::core::Core;
use crate::directory::standing;

/// All of them, and the root above them.
pub(super) fn identities(core: &Core) -> pb::IdentitiesResponse {
    let views = core.views();
    let one = |(identity, record): (Identity, &i247_router::Record)| {
        let live = core.live.connections_of(&identity) > 0;
        let mut certificates: Vec<pb::CertificateFacts> =
            record.signing_keys.keys().filter_map(|key| signing(&views, key, record.position)).collect();
        if let Identity::Bureau(country) = identity
            && let Some(link) = core.links.newest(country.into())
        {
            certificates.insert(0, tls(&link));
        }
        pb::IdentityFacts {
            identity: identity.to_string(),
            standing: standing(record.standing).into(),
            since_ms: record.since.as_millis(),
            position: record.position,
            connected: live,
            certificates,
            void_keys: u32::try_from(record.void_keys.len()).unwrap_or(u32::MAX),
            changes: record.sequence,
        }
    };
    let root = views.signers.root().certificate();
    pb::IdentitiesResponse {
        at_ms: core.clock.now().as_millis(),
        identities: views.state.directory().records().map(one).collect(),
        authority: Some(facts("authority", root, None, 0)),
    }
}
