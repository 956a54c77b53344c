//! DirectoryService: the authority enters changes that it has signed. The signature counts, not the connection.

use std::sync::Arc;

use i247_ledger::Position;
use i247_model::{Identity, Reason, Refusal, Timestamp};
use i247_node::Peer;
use i247_router::{DirectoryChange, Standing};
use i247_trust::{introduce, verify};
use i247_wire::pb::directory_service_server::DirectoryService;
use i247_wire::{payload, pb, status};
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::entry::hash_bytes;
use crate::exchange::missing;
use crate::lookups::Who;
use crate::sequencer::Work;
use crate::views::directory_change;

/// The service.
pub(crate) struct Directory(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn change(
        &self,
        request: Request<pb::ChangeRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let signed = request.into_inner().change.ok_or_else(|| missing("change"))?;
        let position = self.enter(signed).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::ChangeResponse { position }))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let identity = Peer::of(&request)?.identity.clone();
        if matches!(identity, Identity::Operator(_)) {
            let who = Who { identity, person: None };
            self.0.lookups.looked_at(&who, "List", self.0.clock.now()).await;
        }
        let views = self.0.views();
        let records = views.state.directory().records().map(|(identity, record)| {
            let newest = record.signing_keys.iter().max_by_key(|(_, not_after)| **not_after);
            pb::DirectoryRecord {
                identity: identity.to_string(),
                standing: standing(record.standing).into(),
                tls_key: record.tls_key.as_ref().map(hash_bytes).unwrap_or_default(),
                signing_key: newest.map(|(key, _)| hash_bytes(key)).unwrap_or_default(),
                since_ms: record.since.as_millis(),
                position: record.position,
                not_after_ms: newest.and_then(|(_, end)| *end).map_or(0, Timestamp::as_millis),
                sequence: record.sequence,
            }
        });
        Ok(Response::new(pb::ListResponse { position: views.position, records: records.collect() }))
    }
}

impl Directory {
    async fn enter(&self, signed: pb::Signed) -> Result<u64, Refusal> {
        self.0.check_open()?;
        let now = self.0.clock.now();
        let root = self.0.views().signers.root().clone();
        if !root.signer().in_force(now) {
            return Err(Refusal::of(Reason::CertificateNotInForce, "key_id"));
        }
        let payload = verify(&signed, payload::DIRECTORY_CHANGE, &root.signer().key)?;
        let change =
            pb::DirectoryChange::decode(payload).map_err(|_| Refusal::of(Reason::Malformed, "change"))?;
        let chain = change.signing_certificates.clone();
        let signer = if chain.is_empty() { None } else { Some(introduce(&chain, &root, now)?) };
        let noun = directory_change(&change, signer.as_ref())?;
        if signer.is_some_and(|signer| signer.identity != noun.identity) {
            return Err(Refusal::of(Reason::WrongSender, "signing_certificates"));
        }
        if noun.identity == Identity::Authority {
            return Err(Refusal::of(Reason::WrongField, "identity"));
        }
        if let Some(position) = self.entered(&noun, &signed).await {
            return Ok(position);
        }
        let (answer, entered) = oneshot::channel();
        let work = Work::Change { signed, change: Box::new(noun), chain, answer };
        let stopping = || Refusal::of(Reason::Busy, "change");
        self.0.work.send(work).await.map_err(|_| stopping())?;
        entered.await.map_err(|_| stopping())?
    }
}

impl Directory {
    /// Where this very change stands as the last one about its identity: it was sent before, and the answer was lost.
    async fn entered(&self, change: &DirectoryChange, signed: &pb::Signed) -> Option<u64> {
        let position = {
            let views = self.0.views();
            let record = views.state.directory().record(&change.identity);
            record.filter(|record| record.sequence == change.sequence)?.position
        };
        let records = self.0.ledger.read(Position(position), 1, usize::MAX).await.ok()?;
        let entry = pb::Entry::decode(records.into_iter().next()?.entry).ok()?;
        let same = entry.input == Some(pb::entry::Input::DirectoryChange(signed.clone()));
        same.then_some(position)
    }
}

/// A standing as the wire has it.
pub(crate) fn standing(standing: Standing) -> pb::Standing {
    match standing {
        Standing::Active => pb::Standing::Active,
        Standing::Suspended => pb::Standing::Suspended,
        Standing::Revoked => pb::Standing::Revoked,
    }
}
