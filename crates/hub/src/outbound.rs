//! What a bureau gets on its stream: results of its submissions, deliveries within its credit, and where its own
//! messages stand. One task a stream; a slow bureau fills its own buffer and nobody else's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Hash, Lane, MessageId, Refusal, Timestamp};
use i247_router::{Delivery, Gap, MessageRef};
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame;
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use crate::anew::LostHere;
use crate::core::Core;
use crate::frames::{Frames, Gone};
use crate::links::Link;
use crate::past;
use crate::recent::Stored;
use crate::spans;

/// At most so many deliveries are picked before results and the end of the stream are looked at again.
const PICKED_MAX: u32 = 64;

/// So many messages a bureau is told of in one frame at most.
const TOLD_MAX: usize = 64;

/// And so many recipients, unless one message has more.
const RECIPIENTS_MAX: usize = 256;

/// What cannot be read is looked at again after so long, then twice as long each time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// But not longer than this.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);

/// The sending side of one stream.
pub(crate) struct Outbound {
    pub(crate) core: Arc<Core>,
    pub(crate) link: Arc<Link>,
    pub(crate) frames: Frames,
    pub(crate) introduced: BTreeSet<Hash>,
}

/// Passes results on as they come, each behind the certificates of the key that signed it. A task of its own, so that
/// deliveries never hold them up.
pub(crate) async fn send_results(
    core: Arc<Core>,
    mut results: mpsc::Receiver<pb::SubmitResult>,
    frames: Frames,
) -> Result<(), Refusal> {
    let mut introduced = None;
    while let Some(result) = results.recv().await {
        if let Some(pb::submit_result::Result::Acceptance(signed)) = &result.result
            && let Some(key) = Hash::from_slice(&signed.key_id)
            && introduced.replace(key) != Some(key)
        {
            let known = core.views().signers.find(&key).map(|known| known.chains.clone());
            for chain in known.unwrap_or_default() {
                let certificates = chain.certificates;
                let introduction = Frame::Introduction(pb::Introduction { certificates });
                if frames.send(introduction).await.is_err() {
                    return Ok(());
                }
            }
        }
        if frames.send(Frame::Result(result)).await.is_err() {
            return Ok(());
        }
    }
    // Whoever reads the bureau's frames has ended, and says why: that must not be overtaken.
    frames.closed().await;
    Ok(())
}

/// Tells a bureau where its messages stand, folded together over a little while. A task of its own, since it waits.
pub(crate) async fn send_progress(core: Arc<Core>, link: Arc<Link>, frames: Frames) -> Result<(), Refusal> {
    loop {
        link.news.notified().await;
        i247_node::sleep(core.progress_wait).await;
        let ids: Vec<MessageId> = link.take_progress().into_iter().collect();
        for ids in ids.chunks(TOLD_MAX) {
            for progress in folded(statuses(&core, ids).await) {
                if frames.send(Frame::Progress(progress)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Where these messages stand. What cannot be read is said by the next that changes, or when the sender asks, and keeps
/// back no other.
async fn statuses(core: &Core, ids: &[MessageId]) -> Vec<pb::MessageStatus> {
    if let Ok(statuses) = past::statuses(core, ids.to_vec()).await {
        return statuses;
    }
    let mut statuses = Vec::new();
    for id in ids {
        statuses.extend(past::statuses(core, vec![id.clone()]).await.unwrap_or_default());
    }
    statuses
}

/// Statuses in as few frames as they fit into.
fn folded(statuses: Vec<pb::MessageStatus>) -> Vec<pb::Progress> {
    let mut frames: Vec<pb::Progress> = Vec::new();
    let mut recipients = 0;
    for status in statuses {
        recipients += status.recipients.len();
        match frames.last_mut() {
            Some(last) if recipients <= RECIPIENTS_MAX => last.statuses.push(status),
            _ => {
                recipients = status.recipients.len();
                frames.push(pb::Progress { statuses: vec![status] });
            }
        }
    }
    frames
}

impl Outbound {
    /// Sends until the bureau is gone: first what it has lost, then what waits for it.
    pub(crate) async fn run(mut self, lost: LostHere) -> Result<(), Refusal> {
        if self.make_good(lost).await.is_err() {
            return Ok(());
        }
        while self.deliver().await.is_ok() {
            // A bell that rang meanwhile is remembered.
            self.link.bell.notified().await;
        }
        Ok(())
    }

    /// Hands out what is due, within the credit.
    async fn deliver(&mut self) -> Result<(), Gone> {
        loop {
            let picked = self.pick().await;
            if picked.is_empty() {
                return Ok(());
            }
            for delivery in picked {
                self.send(delivery).await?;
            }
        }
    }

    /// Spends credit for one delivery, as soon as there is some. A member that is suspended waits.
    pub(crate) async fn wait_for_credit(&self) {
        loop {
            if self.link.credit() > 0 && self.core.views().state.hands_out_to(self.link.party) {
                return self.link.spend(1);
            }
            self.link.bell.notified().await;
        }
    }

    async fn pick(&self) -> Vec<Delivery> {
        let credit = self.link.credit().min(PICKED_MAX);
        if credit == 0 {
            return Vec::new();
        }
        let _open = self.core.handing_out.read().await;
        let views = self.core.views();
        let mut cursor = self.link.cursor();
        let mut picked = Vec::new();
        while (picked.len() as u32) < credit {
            let Some(delivery) = views.state.next_delivery(&mut cursor) else { break };
            picked.push(delivery);
        }
        self.link.spend(picked.len() as u32);
        picked
    }

    async fn send(&mut self, delivery: Delivery) -> Result<(), Gone> {
        let Delivery { lane, number, message, gap } = delivery;
        let content = match gap {
            Some(gap) => Err(gap),
            None => Ok(self.stored(message).await),
        };
        self.hand_out((lane, number), message, content).await
    }

    /// Hands out a mailbox number: its message, or why there is none any more.
    pub(crate) async fn hand_out(
        &mut self,
        (lane, number): (Lane, u64),
        message: MessageRef,
        content: Result<Stored, Gap>,
    ) -> Result<(), Gone> {
        let mut deliver = Span::none();
        let mut frame = pb::Delivery {
            lane: pb::Lane::from(lane).into(),
            number,
            position: message.position,
            accepted_at_ms: 0,
            content: None,
        };
        match content {
            Err(gap) => {
                let gap = match gap {
                    Gap::Withdrawn => pb::Gap::Withdrawn,
                    Gap::Expired => pb::Gap::Expired,
                };
                frame.content = Some(pb::delivery::Content::Gap(gap.into()));
            }
            Ok(Stored { at, signed, envelope, traced }) => {
                if let Some(traced) = traced {
                    let now = self.core.clock.now();
                    deliver = spans::deliver(&traced, self.link.party, message.position, at, now);
                }
                self.introduce(signed).await?;
                frame.accepted_at_ms = at.as_millis();
                frame.content = Some(pb::delivery::Content::Envelope(envelope));
            }
        }
        self.frames.send(Frame::Delivery(frame)).instrument(deliver).await
    }

    /// The message, when it can be read. Nothing behind it is handed out before: a mailbox has no holes, and what was
    /// accepted is not passed over. The hub is not ready meanwhile; its operator was told where the log is damaged.
    pub(crate) async fn stored(&self, message: MessageRef) -> Stored {
        self.patiently(|| self.core.recent.find(&*self.core.ledger, message)).await
    }

    /// Asks until there is an answer. What cannot be read was named where that was found.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, Refusal>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> T {
        let mut pause = LOOK_AGAIN;
        loop {
            if let Ok(answer) = ask().await {
                return answer;
            }
            i247_node::sleep_on(&*self.core.clock, pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }

    /// Introduces the signer of an envelope by all its certificates, each once on this stream.
    pub(crate) async fn introduce(&mut self, signed: Option<(Hash, Timestamp)>) -> Result<(), Gone> {
        let Some((key, at)) = signed else { return Ok(()) };
        let fresh: Vec<Vec<Bytes>> = {
            let views = self.core.views();
            let chains = views.signers.find_at(&key, at).into_iter().flat_map(|known| &known.chains);
            let fresh = chains.filter(|chain| self.introduced.insert(chain.leaf));
            fresh.map(|chain| chain.certificates.clone()).collect()
        };
        for certificates in fresh {
            self.frames.send(Frame::Introduction(pb::Introduction { certificates })).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: &str, recipients: usize) -> pb::MessageStatus {
        let recipients = vec![pb::RecipientStatus::default(); recipients];
        pb::MessageStatus { id: id.into(), recipients, ..pb::MessageStatus::default() }
    }

    #[test]
    fn statuses_share_a_frame_up_to_256_recipients_and_none_is_left_out() {
        let statuses =
            vec![status("a", 200), status("b", 56), status("c", 1), status("d", 300), status("e", 2)];
        let frames = folded(statuses);
        let ids = |frame: &pb::Progress| frame.statuses.iter().map(|one| one.id.clone()).collect::<String>();
        assert_eq!(frames.iter().map(ids).collect::<Vec<_>>(), ["ab", "c", "d", "e"]);
        assert!(folded(Vec::new()).is_empty());
    }
}
