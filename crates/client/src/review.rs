//! The secretariat's reviewers: what waits, what it says, and what is decided.
//!
//! A reviewer believes nobody but the authority: she checks the country's signature for herself, and
//! numbers and signs what she decides with a key that the hub does not have.

mod alerts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Hash, Header, Identity, Kind, Lane, MessageId, Name, Refusal, Timestamp};
use i247_node::{Clock, Dice, sleep};
use i247_trust::{Root, SigningKey, introduce_past, open, open_carried};
use i247_wire::pb;
use i247_wire::pb::review_service_client::ReviewServiceClient;
use tonic::transport::Channel;

pub use alerts::ExaminedAlert;

use crate::ClientError;
use crate::call::{CALL, answer, request};
use crate::publication::{Moment, Numbers, Unnumbered, approval, cancellation, decision, sign};

/// Largest page of the list.
const PAGE: u32 = 200;

/// How often the same bytes are sent when the answer is lost, or the hub says "not now".
const ATTEMPTS: u32 = 5;

/// The first pause before the same bytes are sent again; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// What a reviewer needs.
pub struct ReviewerParts {
    /// The connection to the hub, under the reviewer's certificate.
    pub channel: Channel,
    /// Her name, as her certificate has it.
    pub name: Name,
    /// Her signing key.
    pub key: SigningKey,
    /// The authority, where every chain of certificates ends.
    pub root: Root,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where salts come from.
    pub dice: Arc<dyn Dice>,
}

/// A reviewer at work. Her numbers make one series, so she decides one thing after the other.
pub struct Reviewer {
    parts: ReviewerParts,
    service: ReviewServiceClient<Channel>,
    /// Asked of the hub before the first decision, and after every error.
    numbers: Option<Numbers>,
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviewer").field("name", &self.parts.name).finish_non_exhaustive()
    }
}

/// What a country signed, once that is checked.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The header.
    pub header: Header,
    /// Its hash, which a decision names.
    pub header_hash: Hash,
    /// The country.
    pub country: CountryCode,
}

/// A request as the reviewer read it: signature and body checked by herself.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The country's signed header.
    pub header: Header,
    /// Its hash, which the decision names.
    pub header_hash: Hash,
    /// The country that asks.
    pub requester: CountryCode,
    /// The number that the notice has or will have.
    pub notice_id: String,
    /// The edition that it would be published as.
    pub edition: u32,
    /// It was approved before, and only the publication is missing.
    pub approved: bool,
    /// The published notice that would be changed, for an addendum.
    pub addendum_to: Option<MessageId>,
    /// Countries that the owner bars.
    pub except: BTreeSet<CountryCode>,
    /// What is to be published.
    pub form: pb::NoticeForm,
    /// All that the request says.
    pub body: pb::Body,
}

/// An approved request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// The country's request.
    pub request: MessageId,
    /// The decision; none when an earlier one waited for this publication.
    pub decision: Option<MessageId>,
    /// The notice or addendum.
    pub publication: MessageId,
    /// The notice's number.
    pub notice_id: String,
}

impl Reviewer {
    /// A reviewer who has decided nothing yet. A call may take 20 seconds.
    pub fn new(parts: ReviewerParts) -> Self {
        Self { service: ReviewServiceClient::new(parts.channel.clone()), parts, numbers: None }
    }

    /// All requests that wait, page by page, the most urgent first.
    ///
    /// # Errors
    /// As every call.
    pub async fn pending(&self) -> Result<Vec<pb::PendingNotice>, ClientError> {
        let mut pending: Vec<pb::PendingNotice> = Vec::new();
        loop {
            let after = pending.last().map_or_else(String::new, |last| last.request_id.clone());
            let asked = request(pb::ListPendingRequest { limit: PAGE, after_request_id: after }, CALL);
            let page = answer(CALL, self.service.clone().list_pending(asked)).await?.pending;
            // A list that begins again has lost our place in it: what there is, we have.
            let again = pending.first().is_some_and(|first| page.contains(first));
            if page.is_empty() || again {
                return Ok(pending);
            }
            pending.extend(page);
        }
    }

    /// All notices in force, page by page, by number.
    ///
    /// # Errors
    /// As every call.
    pub async fn notices(&self) -> Result<Vec<pb::NoticeInForce>, ClientError> {
        let mut notices: Vec<pb::NoticeInForce> = Vec::new();
        loop {
            let after = notices.last().map_or_else(String::new, |last| last.notice_id.clone());
            let asked = request(pb::ListNoticesRequest { limit: PAGE, after_notice_id: after }, CALL);
            let page = answer(CALL, self.service.clone().list_notices(asked)).await?.notices;
            if page.is_empty() {
                return Ok(notices);
            }
            notices.extend(page);
        }
    }

    /// One request, whole, by its id or a unique prefix of it. Signature, certificate and body are checked
    /// here; the hub need not be believed.
    ///
    /// # Errors
    /// As every call; [`ClientError::Unexpected`] when what the hub shows is not what a country signed.
    pub async fn examine(&self, request_id: &str) -> Result<Examined, ClientError> {
        let asked = request(pb::ShowPendingRequest { request_id: request_id.to_owned() }, CALL);
        let shown = answer(CALL, self.service.clone().show_pending(asked)).await?;
        examined(shown, &self.parts.root, self.parts.clock.now())
    }

    /// Approves requests and publishes their notices, in this order, and waits until the hub has both.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the first refusal; what stands before it in the list is published.
    ///
    /// # Cancel safety
    /// Dropped, some may be published. What is no longer pending was.
    pub async fn approve(&mut self, requests: &[Examined]) -> Result<Vec<Published>, ClientError> {
        let mut messages = Vec::with_capacity(2 * requests.len());
        for examined in requests {
            let [decision, publication] = approval(examined);
            if !examined.approved {
                messages.push(decision);
            }
            messages.push(publication);
        }
        let mut ids = self.submit(messages).await?.into_iter();
        let mut published = Vec::with_capacity(requests.len());
        for examined in requests {
            let decision = if examined.approved { None } else { ids.next() };
            published.push(Published {
                request: examined.header.id.clone(),
                decision,
                publication: ids.next().ok_or_else(|| ClientError::unexpected("no result"))?,
                notice_id: examined.notice_id.clone(),
            });
        }
        Ok(published)
    }

    /// Refuses a request and tells the country why.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it was decided already.
    ///
    /// # Cancel safety
    /// Dropped, it may have been refused. What is no longer pending was decided.
    pub async fn refuse(
        &mut self,
        examined: &Examined,
        ground: pb::RefusalGround,
        remark: &str,
    ) -> Result<MessageId, ClientError> {
        let refused = decision(examined, pb::ReviewVerdict::Refused, ground, remark);
        self.submit_one(refused).await
    }

    /// Cancels a published notice at everybody who had it. `notice` is the message that published it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it is no longer in force.
    ///
    /// # Cancel safety
    /// Dropped, it may have been cancelled; cancelling again is then refused.
    pub async fn cancel(
        &mut self,
        notice: MessageId,
        notice_id: &str,
        reason: &str,
    ) -> Result<MessageId, ClientError> {
        self.submit_one(cancellation(notice, notice_id, reason)).await
    }

    async fn submit_one(&mut self, message: Unnumbered) -> Result<MessageId, ClientError> {
        let ids = self.submit(vec![message]).await?;
        ids.into_iter().next().ok_or_else(|| ClientError::unexpected("no result"))
    }

    /// Numbers, signs and hands in. After any error the numbers are asked for anew.
    async fn submit(&mut self, messages: Vec<Unnumbered>) -> Result<Vec<MessageId>, ClientError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut numbers = match self.numbers.take() {
            Some(numbers) => numbers,
            None => self.resume().await?,
        };
        let dice = self.parts.dice.clone();
        let salt = move || {
            let mut salt = [0; 16];
            dice.fill(&mut salt);
            salt
        };
        let moment = Moment { now: self.parts.clock.now(), salt: &salt };
        let groups = sign(messages, &self.parts.name, &self.parts.key, &mut numbers, &moment)?;
        let mut ids = Vec::new();
        for group in groups {
            let (group_ids, envelopes): (Vec<MessageId>, Vec<pb::Envelope>) = group.into_iter().unzip();
            self.decide(&group_ids, envelopes).await?;
            ids.extend(group_ids);
        }
        self.numbers = Some(numbers);
        Ok(ids)
    }

    /// Hands one group in. The same bytes are sent again while the answer is lost or the hub says "not
    /// now": what it has already, it answers as before.
    async fn decide(&self, ids: &[MessageId], envelopes: Vec<pb::Envelope>) -> Result<(), ClientError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let asked = request(pb::DecideRequest { envelopes: envelopes.clone() }, CALL);
            let decided = answer(CALL, self.service.clone().decide(asked)).await;
            match decided.and_then(|decided| accepted(ids, decided.results)) {
                Err(error) if error.passes() && attempt < ATTEMPTS => {
                    let asked_for = error.refusal().and_then(|refusal| refusal.retry_after);
                    sleep(asked_for.unwrap_or_default().max(pause)).await;
                }
                ended => return ended,
            }
            pause *= 2;
            attempt += 1;
        }
    }

    async fn resume(&self) -> Result<Numbers, ClientError> {
        let asked = request(pb::ResumeRequest {}, CALL);
        let resumed = answer(CALL, self.service.clone().resume(asked)).await?;
        let mut lanes = BTreeMap::new();
        for last in resumed.lanes {
            let lane: Lane = i247_wire::known::<pb::Lane, Lane>(last.lane, "lanes.lane").map_err(broken)?;
            let hash = i247_wire::hash_option(&last.header_hash, "lanes.header_hash").map_err(broken)?;
            lanes.insert(lane, (last.number, hash));
        }
        // A reviewer who has sent nothing yet begins with epoch 1.
        Ok(Numbers { epoch: resumed.epoch.max(1), lanes })
    }
}

/// Whether every message of a group was accepted.
fn accepted(ids: &[MessageId], results: Vec<pb::SubmitResult>) -> Result<(), ClientError> {
    let mut by_id: BTreeMap<String, pb::SubmitResult> =
        results.into_iter().map(|result| (result.id.clone(), result)).collect();
    for id in ids {
        match by_id.remove(&id.to_string()).and_then(|result| result.result) {
            Some(pb::submit_result::Result::Acceptance(_)) => {}
            Some(pb::submit_result::Result::Refusal(refusal)) => {
                return Err(Refusal::try_from(refusal).map_err(broken)?.into());
            }
            None => return Err(ClientError::unexpected(format!("no result for {id}"))),
        }
    }
    Ok(())
}

/// Checks what the hub shows against the country's signature.
fn examined(shown: pb::ShowPendingResponse, root: &Root, now: Timestamp) -> Result<Examined, ClientError> {
    let pending = shown.pending.ok_or_else(|| ClientError::unexpected("a request without a number"))?;
    let envelope = shown.envelope.ok_or_else(|| ClientError::unexpected("a request without envelope"))?;
    let arrived = Timestamp::from_millis(pending.accepted_at_ms);
    let (signed, carried) = signed(&envelope, &shown.certificates, arrived, root, now)?;
    let Signed { header, header_hash, country: requester } = signed;
    if header.kind != Kind::NoticeRequest || pending.request_id != header.id.to_string() {
        return Err(ClientError::unexpected("another message than the one that is pending"));
    }
    let body = open_carried(&carried, &header).map_err(broken)?;
    // Whether it is a notice or an addendum is for the country to say, not for the hub.
    if header.refers_to.is_some() == pending.addendum_to.is_empty() {
        return Err(ClientError::unexpected("a request that is shown as another kind of publication"));
    }
    let Some(pb::body::Form::NoticeRequest(asked)) = body.form.clone() else {
        return Err(ClientError::unexpected("a notice request without its form"));
    };
    let barred: Result<BTreeSet<CountryCode>, Refusal> =
        asked.except.iter().map(|code| i247_wire::parsed(code, "notice_request.except")).collect();
    Ok(Examined {
        header_hash,
        header,
        requester,
        notice_id: pending.notice_id,
        edition: pending.edition,
        approved: pending.approved,
        addendum_to: i247_wire::parsed_option(&pending.addendum_to, "addendum_to").map_err(broken)?,
        except: barred.map_err(broken)?,
        form: asked.form.unwrap_or_default(),
        body,
    })
}

/// The message in an envelope and its body, once the signature and the certificate of a country are checked.
fn signed(
    envelope: &pb::Envelope,
    certificates: &[Bytes],
    arrived: Timestamp,
    root: &Root,
    now: Timestamp,
) -> Result<(Signed, Bytes), ClientError> {
    let signer = introduce_past(certificates, root, now)
        .map_err(|error| ClientError::unexpected(format!("the signer's certificate: {error}")))?;
    let Identity::Bureau(country) = signer.identity else {
        return Err(ClientError::unexpected("a message that no bureau signed"));
    };
    let signer = Arc::new(signer);
    let attested = open(envelope, arrived, |key| (*key == signer.key_id).then(|| signer.clone()))
        .map_err(|refusal| ClientError::unexpected(format!("the country's signature: {refusal}")))?;
    let carried = attested.body().ok_or_else(|| ClientError::unexpected("a message without body"))?.clone();
    let (header, header_hash) = (attested.header().clone(), attested.header_hash());
    Ok((Signed { header, header_hash, country }, carried))
}

/// What the other side sent breaks the protocol; that is no refusal of what we asked.
fn broken(refusal: Refusal) -> ClientError {
    ClientError::unexpected(refusal.to_string())
}

#[cfg(test)]
mod tests {
    use i247_model::Reason;

    use super::*;

    fn ids(texts: &[&str]) -> Vec<MessageId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn taken(id: &str) -> pb::SubmitResult {
        let acceptance = pb::submit_result::Result::Acceptance(pb::Signed::default());
        pb::SubmitResult { id: id.to_owned(), result: Some(acceptance) }
    }

    fn refused(id: &str, reason: Reason) -> pb::SubmitResult {
        let refusal = pb::Refusal::from(&Refusal::of(reason, "notice_id"));
        pb::SubmitResult { id: id.to_owned(), result: Some(pb::submit_result::Result::Refusal(refusal)) }
    }

    #[test]
    fn a_group_is_taken_when_every_message_is() {
        let both = ids(&["GS.lena-1-U-1", "GS.lena-1-U-2"]);
        assert!(accepted(&both, vec![taken("GS.lena-1-U-2"), taken("GS.lena-1-U-1")]).is_ok());
        let missing = accepted(&both, vec![taken("GS.lena-1-U-1")]).unwrap_err();
        assert!(matches!(missing, ClientError::Unexpected(_)), "{missing}");
    }

    #[test]
    fn the_first_refusal_of_a_group_is_the_answer() {
        let both = ids(&["GS.lena-1-U-1", "GS.lena-1-U-2"]);
        let results = vec![refused("GS.lena-1-U-1", Reason::NoticeConflict), taken("GS.lena-1-U-2")];
        let error = accepted(&both, results).unwrap_err();
        assert_eq!(error.refusal().unwrap().reason, Reason::NoticeConflict);
        assert!(!error.passes());
        let busy = accepted(&both, vec![refused("GS.lena-1-U-1", Reason::Busy)]).unwrap_err();
        assert!(busy.passes());
    }
}
