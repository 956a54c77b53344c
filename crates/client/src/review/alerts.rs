//! The quality check of alerts: what waits, what it says, and what is decided. Like every decision it is signed here, over
//! the very message that the country signed.

use bytes::Bytes;
use i247_model::{Audience, Kind, Lane, MessageId, Timestamp};
use i247_records::Database;
use i247_records::record::{Change, Record};
use i247_wire::pb;

use super::{PAGE, Reviewer, Signed, broken, signed};
use crate::ClientError;
use crate::call::{CALL, answer, request};
use crate::publication::Unnumbered;

/// An alert as the reviewer read it: signature and batch checked by herself.
#[derive(Clone, Debug)]
pub struct ExaminedAlert {
    /// The message that brought it, as its owner signed it.
    pub signed: Signed,
    /// Its place in that message, from 0.
    pub item: u16,
    /// What it says.
    pub record: Record,
}

impl Reviewer {
    /// All alerts that wait for their quality check, page by page, in the order in which they came.
    ///
    /// # Errors
    /// As every call.
    pub async fn alerts(&self) -> Result<Vec<pb::PendingAlert>, ClientError> {
        let mut alerts: Vec<pb::PendingAlert> = Vec::new();
        loop {
            let after_place = alerts.last().map_or(0, |last| last.place);
            let asked = request(pb::ListAlertsRequest { limit: PAGE, after_place }, CALL);
            let page = answer(CALL, self.service.clone().list_alerts(asked)).await?.alerts;
            if page.is_empty() {
                return Ok(alerts);
            }
            alerts.extend(page);
        }
    }

    /// One of them, whole, by its name. Signature, certificate and batch are checked here; the hub need not be believed.
    ///
    /// # Errors
    /// As every call; [`ClientError::Unexpected`] when what the hub shows is not what a country signed.
    pub async fn examine_alert(&self, name: &str) -> Result<ExaminedAlert, ClientError> {
        let asked = request(pb::ShowAlertRequest { name: name.to_owned() }, CALL);
        let shown = answer(CALL, self.service.clone().show_alert(asked)).await?;
        let alert = shown.alert.ok_or_else(|| ClientError::unexpected("no alert"))?;
        let envelope = shown.envelope.ok_or_else(|| ClientError::unexpected("an alert without envelope"))?;
        let arrived = Timestamp::from_millis(shown.accepted_at_ms);
        let (signed, carried) =
            signed(&envelope, &shown.certificates, arrived, &self.parts.root, self.parts.clock.now())?;
        if signed.header.kind != Kind::Records || alert.message_id != signed.header.id.to_string() {
            return Err(ClientError::unexpected("another message than the one that brought the alert"));
        }
        let batch = i247_trust::decode_batch(&carried).map_err(broken)?;
        let item = u16::try_from(alert.item).unwrap_or(u16::MAX);
        let change = batch.items.get(usize::from(item)).map(|item| item.change.clone()).unwrap_or_default();
        let change = Change::decode(Database::DialDoc, &change).map_err(broken)?;
        let record = change.record().filter(|record| record.name().to_string() == name).cloned();
        let record =
            record.ok_or_else(|| ClientError::unexpected("another alert than the one that waits"))?;
        Ok(ExaminedAlert { signed, item, record })
    }

    /// Publishes alerts: from then on whoever may see them finds them, and their owners are told.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the first refusal; what stands before it in the list is published.
    ///
    /// # Cancel safety
    /// Dropped, some may be published. What waits no more was decided.
    pub async fn publish_alerts(&mut self, alerts: &[ExaminedAlert]) -> Result<Vec<MessageId>, ClientError> {
        let approved =
            |alert| decision(alert, pb::ReviewVerdict::Approved, pb::RefusalGround::Unspecified, "");
        self.submit(alerts.iter().map(approved).collect()).await
    }

    /// Returns an alert to its owner and says why. Nobody else finds it until it was changed and published.
    ///
    /// # Errors
    /// As every call.
    ///
    /// # Cancel safety
    /// Dropped, it may have been returned. What waits no more was decided.
    pub async fn return_alert(
        &mut self,
        alert: &ExaminedAlert,
        ground: pb::RefusalGround,
        remark: &str,
    ) -> Result<MessageId, ClientError> {
        self.submit_one(decision(alert, pb::ReviewVerdict::Refused, ground, remark)).await
    }
}

fn decision(
    alert: &ExaminedAlert,
    verdict: pb::ReviewVerdict,
    ground: pb::RefusalGround,
    remark: &str,
) -> Unnumbered {
    let ExaminedAlert { signed, item, record } = alert;
    Unnumbered {
        kind: Kind::ReviewDecision,
        // The records came in the lane of bulk; a decision does not wait behind others'.
        lane: Lane::Normal,
        audience: Audience::countries([signed.country]),
        refers_to: signed.header.id.clone(),
        operation: None,
        attachments: Vec::new(),
        body: pb::Body {
            subject: format!("Decision on the alert {}", record.name()),
            your_ref: record.name().to_string(),
            language: "EN".into(),
            form: Some(pb::body::Form::ReviewDecision(pb::ReviewDecision {
                verdict: verdict.into(),
                ground: ground.into(),
                remark: remark.to_owned(),
                notice_id: String::new(),
                request_header_hash: Bytes::copy_from_slice(signed.header_hash.as_bytes()),
                item: Some(u32::from(*item)),
            })),
            ..Default::default()
        },
    }
}
