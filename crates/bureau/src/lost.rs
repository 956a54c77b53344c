//! Attachments that are damaged here and not at the hub. What names one can never be sent: whoever sent it is told,
//! and a signed void takes its number, so that its lane goes on.

use std::collections::BTreeMap;

use i247_model::{Hash, MessageId, Reason, Refusal};
use i247_node::Dice;
use i247_wire::pb::journal_entry::Event;

use crate::draft;
use crate::journal::Note;
use crate::outbound::Outbound;
use crate::outbox::Outbox;

/// An attachment that was read so often and never whole is lost; a disk may err once.
const READS: u32 = 3;

/// How often attachments were found damaged on one stream.
#[derive(Debug, Default)]
pub(crate) struct Lost(BTreeMap<Hash, u32>);

impl Lost {
    /// This attachment was read and is not whole.
    pub(crate) fn found(&mut self, attachment: Hash) {
        *self.0.entry(attachment).or_default() += 1;
    }

    /// Voids for all that waits for what is lost. A message that was signed before the attachment was lost, and what
    /// follows it, must not be under way: the hub could have either then.
    pub(crate) fn voids(&self, outbox: &Outbox, outbound: &Outbound, dice: &dyn Dice) -> Vec<Note> {
        let mut lost: BTreeMap<MessageId, Hash> = BTreeMap::new();
        for (attachment, _) in self.0.iter().filter(|(_, reads)| **reads >= READS) {
            let ids = outbox.waiting_for(attachment).into_iter();
            lost.extend(ids.filter(|id| outbound.is_idle_from(id)).map(|id| (id, *attachment)));
        }
        lost.iter().map(|(id, attachment)| void(id, attachment, dice)).collect()
    }
}

fn void(id: &MessageId, attachment: &Hash, dice: &dyn Dice) -> Note {
    tracing::error!(
        message_id = %id, %attachment,
        "a stored attachment is damaged: its message is given up and its number void; it must be sent anew"
    );
    let mut why = Refusal::of(Reason::AttachmentMissing, "attachments");
    why.next_step = format!(
        "attachment {attachment} is damaged at this bureau and never reached the hub: add it again and send the \
         message anew"
    );
    let mut salt = [0; 16];
    dice.fill(&mut salt);
    let (voided, body) = draft::void(id, &format!("attachment {attachment} is damaged"), &why, salt);
    Note { event: Event::Voided(voided), body: Some(body) }
}
