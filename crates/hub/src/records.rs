//! RecordsService: what bureaus ask about records and the batches that brought them. It decides nothing.

use std::sync::Arc;

use i247_model::{MessageId, Party, Reason, Refusal, Timestamp};
use i247_node::Peer;
use i247_records::document::Issuer;
use i247_records::record::{Key, RecordName};
use i247_records::{Database, Date};
use i247_router::MessageRef;
use i247_wire::pb::records_service_server::RecordsService;
use i247_wire::{pb, status};
use tonic::{Request, Response, Status};

use crate::core::{Core, mailbox_of};
use crate::databases::{DatabasesError, Found, Verdicts};
use crate::past;

/// Messages that one call may ask about.
const IDS_MAX: usize = 256;

/// The service.
pub(crate) struct Records(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl RecordsService for Records {
    async fn verdicts(
        &self,
        request: Request<pb::VerdictsRequest>,
    ) -> Result<Response<pb::VerdictsResponse>, Status> {
        let party = self.caller(&request)?;
        let ids = request.into_inner().ids;
        if ids.len() > IDS_MAX {
            return Err(status(&Refusal::of(Reason::TooLarge, "ids")));
        }
        let own = |id: &MessageId| id.sender.party() == party;
        let ids: Vec<MessageId> = ids.iter().filter_map(|id| id.parse().ok()).filter(own).collect();
        let verdicts = self.verdicts_on(ids).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::VerdictsResponse { verdicts }))
    }

    async fn find_record(
        &self,
        request: Request<pb::FindRecordRequest>,
    ) -> Result<Response<pb::FindRecordResponse>, Status> {
        let party = self.caller(&request)?;
        let found = self.find(party, request.get_ref()).await;
        found.map(Response::new).map_err(|refusal| status(&refusal))
    }
}

impl Records {
    /// Whose bureau calls; it is charged for the call.
    fn caller<T>(&self, request: &Request<T>) -> Result<Party, Status> {
        let peer = &Peer::of(request)?.identity;
        let party = mailbox_of(peer).map_err(|refusal| status(&refusal))?;
        self.0.charge(peer, 1).map_err(|refusal| status(&refusal))?;
        Ok(party)
    }

    async fn verdicts_on(&self, ids: Vec<MessageId>) -> Result<Vec<pb::BatchVerdict>, Refusal> {
        let places = past::ask(&self.0, move |views| {
            let mut places = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(found) = past::find(views, &id)?.filter(|found| found.item.refused.is_none()) {
                    places.push((id, found.item.place.position));
                }
            }
            Ok(places)
        });
        let places = places.await?;
        let taken_in = self.0.databases.position();
        let told = places.into_iter().filter(|(_, position)| *position <= taken_in);
        Ok(told
            .filter_map(|(id, position)| Some(verdict(&id, position, &self.0.databases.verdicts(position)?)))
            .collect())
    }

    async fn find(
        &self,
        asker: Party,
        request: &pb::FindRecordRequest,
    ) -> Result<pb::FindRecordResponse, Refusal> {
        let number = u8::try_from(request.database).ok();
        let database = number.and_then(Database::from_number);
        let database = database.ok_or_else(|| Refusal::of(Reason::Malformed, "database"))?;
        let name = RecordName::parse(database, &request.name).map_err(|error| Refusal {
            next_step: error.to_string(),
            ..Refusal::of(Reason::Malformed, "name")
        })?;
        let today = Date::of(self.0.clock.now());
        let found = self.0.databases.look_up(asker, database, &[key(database, &name)], today).await;
        let found = found.map_err(|error| unreadable(&error))?.into_iter().flatten();
        let unknown = || Refusal::of(Reason::UnknownRecord, "name");
        let found = found.into_iter().find(|found| found.record.name() == name).ok_or_else(unknown)?;
        self.with_origin(found).await
    }

    /// A record with the message that brought it and whoever signed that.
    async fn with_origin(&self, found: Found) -> Result<pb::FindRecordResponse, Refusal> {
        let at = MessageRef { position: found.position, n: 0 };
        let stored = self.0.recent.find(&*self.0.ledger, at).await?;
        let signed_by = stored.signed.and_then(|(key, signed_at)| {
            let views = self.0.views();
            views.signers.find_at(&key, signed_at).map(|known| known.signer.identity.to_string())
        });
        Ok(pb::FindRecordResponse {
            record: Some(found.record.to_wire()),
            message_id: found.message.to_string(),
            position: found.position,
            item: u32::from(found.item),
            signed_by: signed_by.unwrap_or_default(),
            accepted_at_ms: Timestamp::as_millis(stored.at),
        })
    }
}

/// The key under which a record of this name is found; that of the first number for a range of blanks.
fn key(database: Database, name: &RecordName) -> Key {
    let of_document = |issuer: &Issuer, number| Key::travel_document(database, *issuer, number);
    match name {
        RecordName::TravelDocument(issuer, _, number)
        | RecordName::NoticeDocument(issuer, _, number, _)
        | RecordName::Range(issuer, _, number, _) => of_document(issuer, number),
        RecordName::AdministrativeDocument(issuer, _, number) => {
            Key::administrative_document(*issuer, number)
        }
        RecordName::Reference(owner, reference) => Key::reference(database, *owner, reference),
    }
}

fn verdict(id: &MessageId, position: u64, verdicts: &Verdicts) -> pb::BatchVerdict {
    let count = |(reason, count): (&Reason, &u32)| pb::ReasonCount {
        reason: reason.as_str().into(),
        count: u64::from(*count),
    };
    let item = |(item, refusal): &(u16, Refusal)| pb::RefusedItem {
        item: u32::from(*item),
        refusal: Some(refusal.into()),
    };
    pb::BatchVerdict {
        id: id.to_string(),
        position,
        accepted: verdicts.accepted,
        refused: verdicts.refused.iter().map(count).collect(),
        first: verdicts.first.iter().map(item).collect(),
    }
}

fn unreadable(error: &DatabasesError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "a record cannot be read");
    Refusal::of(Reason::ReadOnly, "record")
}
