//! With which key the hub signs: the log has its certificates before anything is signed with it, so that whoever
//! follows the log can check what the hub has ever signed.

use bytes::Bytes;
use i247_router::Input;

use super::{Group, Sequencer};

impl Sequencer {
    /// The certificates to be entered, because the hub is to sign with them; none when they stand in the log.
    pub(super) fn new_chain(&self) -> Vec<Bytes> {
        let own = self.own.borrow();
        if own.signing_chain == self.entered { Vec::new() } else { own.signing_chain.clone() }
    }

    /// Signs with the key whose certificates have become durable with this group.
    pub(super) fn take_key(&mut self, group: &Group) {
        for pending in &group.entries {
            if matches!(pending.taken.input, Input::Tick { .. }) && !pending.taken.chain.is_empty() {
                self.entered.clone_from(&pending.taken.chain);
                let own = self.own.borrow();
                // Renewed once more meanwhile: then the next group enters those.
                if own.signing_chain == self.entered {
                    self.answers.key = own.signing_key.clone();
                    self.maker.key = own.signing_key.clone();
                    tracing::info!(key = %own.signing_key.key_id(), "signs with this key from here on");
                }
            }
        }
    }
}
