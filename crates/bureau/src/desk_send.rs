//! The desk's writing calls: drafts, marks, attachments, a new epoch.

use bytes::{Bytes, BytesMut};
use i247_model::{Identity, MessageId, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tonic::{Status, Streaming};
use tracing::Span;

use crate::attachments::{MAX_ATTACHMENT_BYTES, Whole};
use crate::desk::{Desk, DeskError, malformed, status};
use crate::draft;
use crate::greeting::{check_welcome, lost};
use crate::journal::Note;
use crate::spans;

/// Longest name or media type of an attachment, in bytes.
const MAX_NOTE_BYTES: usize = 200;
/// Longest reason for a new epoch, in bytes.
const MAX_REASON_BYTES: usize = 500;

impl Desk {
    /// Takes a draft into the outbox and returns its id once it is durable. The same draft under the same key gets the
    /// same id again; another one is refused.
    ///
    /// # Cancel safety
    /// Once handed to the journal it is written, whether or not the caller waits.
    pub(crate) async fn take(&self, draft: pb::Draft, officer: &Identity) -> Result<MessageId, DeskError> {
        let keyed = !draft.idempotency_key.is_empty();
        let mut notes = Vec::with_capacity(draft.attachments.len());
        let mut contents = Vec::new();
        if draft.attachments.len() > i247_wire::MAX_ATTACHMENTS {
            return Err(Refusal::of(Reason::TooLarge, "draft.attachments").into());
        }
        for attachment in &draft.attachments {
            let commitment = i247_wire::hash(attachment, "draft.attachments")?;
            notes.push(self.attachments.note(commitment).await.map_err(DeskError::Disk)?);
            if keyed {
                contents.push(self.attachments.content(commitment).await.map_err(DeskError::Disk)?);
            }
        }
        let digest = draft::digest(&draft, &contents);
        let span = spans::accept(self.me, draft.kind());
        if !matches!(officer, Identity::Bureau(_)) {
            self.link_to_question(&span, &draft.refers_to).await;
        }
        let salt = self.salt();
        let numberless = {
            let views = self.journal.views();
            // A repeated key is answered before the draft is checked anew: the world may have changed since.
            if let Some(known) = views.key(&(officer.to_string(), draft.idempotency_key.clone())) {
                return Ok(known.stands_for(digest.as_ref())?.clone());
            }
            let desk = draft::Desk { me: self.me, now: self.clock.now(), views: &views, notes };
            let mut numberless = span.in_scope(|| draft::prepare(draft, officer, &desk, salt))?;
            let bytes = digest.map(|hash| Bytes::copy_from_slice(hash.as_bytes()));
            numberless.accepted.draft_hash = bytes.unwrap_or_default();
            numberless
        };
        let id = self.journal.number(numberless).await?;
        spans::accepted(&span, &id);
        span.in_scope(|| tracing::info!(officer = %officer, "accepted into the outbox"));
        Ok(id)
    }

    /// Links what an officer sends to the trace of the message that it is about, which is only looked up where spans are
    /// exported. (What the national system answers is in that trace already.)
    async fn link_to_question(&self, span: &Span, refers_to: &str) {
        if span.in_scope(i247_node::trace::traceparent).is_none() {
            return;
        }
        let question = {
            let views = self.journal.views();
            let id = refers_to.parse().ok();
            id.and_then(|id| views.inbox.get(&id)).map(|received| (received.at_entry, received.received_at))
        };
        let Some((at_entry, received_at)) = question else { return };
        let Ok((entry, _)) = self.journal.read(at_entry).await else { return };
        let Some(Event::Arrived(arrived)) = entry.event else { return };
        let Ok(header) = pb::Header::decode(arrived.header) else { return };
        i247_node::trace::link(span, &header.traceparent, self.clock.now().since(received_at));
    }

    /// What the hub is asked for an explanation.
    pub(crate) fn explain_request(&self, draft: &pb::Draft) -> Result<pb::ExplainRequest, Refusal> {
        let views = self.journal.views();
        let desk = draft::Desk { me: self.me, now: self.clock.now(), views: &views, notes: Vec::new() };
        draft::explain(draft, &desk)
    }

    /// Marks a received message as opened, or as acted upon. Marking again changes nothing.
    pub(crate) async fn mark(&self, id: &str, actioned: bool, officer: &Identity) -> Result<(), Status> {
        let id = {
            let views = self.journal.views();
            let id = views.names.find(id, "id").map_err(|refusal| i247_wire::status(&refusal))?;
            let Some(received) = views.inbox.get(&id) else {
                let mut refusal = Refusal::of(Reason::WrongReference, "id");
                refusal.next_step = format!("{id} is not a message that this bureau received");
                return Err(i247_wire::status(&refusal));
            };
            if if actioned { received.actioned } else { received.opened } {
                return Ok(());
            }
            id
        };
        let marked = pb::JournalMarked { id: id.to_string(), actioned, officer: officer.to_string() };
        let written = self.journal.write(vec![Event::Marked(marked).into()]).await;
        written.map_err(|error| status(&error.into()))
    }

    /// Stores what an officer uploads.
    pub(crate) async fn store_attachment(
        &self,
        mut frames: Streaming<pb::AddAttachmentRequest>,
        officer: &Identity,
    ) -> Result<pb::AddAttachmentResponse, Status> {
        use pb::add_attachment_request::Frame;
        let first = frames.message().await?.and_then(|request| request.frame);
        let Some(Frame::Note(mut note)) = first else { return Err(malformed("note")) };
        if note.name.len() > MAX_NOTE_BYTES || note.media_type.len() > MAX_NOTE_BYTES {
            return Err(i247_wire::status(&Refusal::of(Reason::TooLarge, "note")));
        }
        let _room = self.attachments.room().await;
        let mut content = BytesMut::new();
        while let Some(request) = frames.message().await? {
            let Some(Frame::Data(data)) = request.frame else { return Err(malformed("data")) };
            if content.len() + data.len() > MAX_ATTACHMENT_BYTES {
                return Err(i247_wire::status(&Refusal::of(Reason::TooLarge, "data")));
            }
            content.extend_from_slice(&data);
        }
        if content.is_empty() {
            return Err(i247_wire::status(&Refusal::of(Reason::MissingData, "data")));
        }
        let size_bytes = content.len() as u64;
        note.size_bytes = size_bytes;
        let whole = Whole::new(content.freeze(), self.salt());
        let stored = self.attachments.store(&whole, Some(note)).await;
        let commitment = stored.map_err(|error| status(&DeskError::Disk(error)))?;
        let commitment = Bytes::copy_from_slice(commitment.as_bytes());
        let added = pb::JournalAttachment {
            commitment: commitment.clone(),
            size_bytes,
            officer: officer.to_string(),
        };
        let written = self.journal.write(vec![Event::Attachment(added).into()]).await;
        written.map_err(|error| status(&error.into()))?;
        Ok(pb::AddAttachmentResponse { commitment, size_bytes })
    }

    /// Begins a new epoch after the bureau was restored from an older copy.
    ///
    /// What the hub had not answered is given up, to be sent anew by the officers. What the lost copy had sent and
    /// received comes back from the hub on the next stream. The entry and the signed message that tells the secretariat
    /// are one group: both are there or neither.
    pub(crate) async fn begin_epoch(&self, reason: &str, officer: &Identity) -> Result<u64, Status> {
        let behind = self.link.state.borrow().behind.clone();
        let Some(welcome) = behind else {
            let mut refusal = Refusal::of(Reason::WrongReference, "bureau");
            refusal.next_step = "nothing is to be recovered: hub and bureau remember the same".into();
            return Err(i247_wire::status(&refusal));
        };
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            let mut refusal = Refusal::of(Reason::MissingData, "reason");
            refusal.next_step = format!("say in at most {MAX_REASON_BYTES} bytes why the data was restored");
            return Err(i247_wire::status(&refusal));
        }
        let present = {
            let views = self.journal.views();
            // Asked twice before the link is back: the epoch has begun already.
            if check_welcome(&welcome, &views).is_ok() {
                return Ok(views.outbox.epoch);
            }
            views.outbox.epoch
        };
        let epoch = present.max(welcome.epoch) + 1;
        let opening = draft::new_epoch(self.me, epoch, reason, officer, self.salt());
        let (accepted, body) = opening.map_err(|refusal| i247_wire::status(&refusal))?;
        let begun = pb::JournalEpoch {
            epoch,
            reason: reason.into(),
            officer: officer.to_string(),
            lost: lost(&welcome, &self.journal.views().outbox),
            mailbox: welcome.mailbox.clone(),
        };
        let notes =
            vec![Event::Epoch(begun).into(), Note { event: Event::Accepted(accepted), body: Some(body) }];
        self.journal.write(notes).await.map_err(|error| status(&error.into()))?;
        tracing::warn!(epoch, officer = %officer, "a new epoch begins");
        Ok(epoch)
    }

    fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.dice.fill(&mut salt);
        salt
    }
}
