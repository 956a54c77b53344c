//! Whether posts have signed for what they asked: the roll-ups of a journal are held against its searches once more. It
//! believes neither what the hub found nor what the post says.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_trust::{Anchor, read_roll_up, search_root};
use i247_wire::pb;
use prost::Message as _;

/// A post has so long to sign for what it asked before that is missed: a minute, the deadline of a call, and an outage.
const SIGNED_WITHIN_MS: u64 = 180_000;

/// What posts asked and have signed for, as it is read from a journal.
#[derive(Default)]
pub(super) struct SignedFor {
    /// The authorities that the log names, one after the other.
    anchors: Vec<Anchor>,
    sessions: BTreeMap<(String, Bytes), Session>,
    /// Frames that a roll-up vouches for.
    pub(super) frames: u64,
    /// Roll-ups whose signatures were not verified, since the log names no authority.
    pub(super) unverified: u64,
    latest_ms: u64,
}

#[derive(Default)]
struct Session {
    rolled: u64,
    frames: BTreeMap<u64, (Hash, u64)>,
}

impl SignedFor {
    /// Roll-ups are those of posts that these have certified.
    pub(super) fn new(anchors: Vec<Anchor>) -> Self {
        Self { anchors, ..Self::default() }
    }

    /// A search that was noted.
    pub(super) fn search(&mut self, record: &pb::AuditRecord) {
        self.latest_ms = self.latest_ms.max(record.at_ms);
        let Some(placed) = &record.placed else { return };
        let session = self.sessions.entry((record.asker.clone(), placed.session.clone())).or_default();
        let digest = Hash::from_slice(&placed.digest).unwrap_or(Hash([0; 32]));
        session.frames.insert(placed.number, (digest, record.at_ms));
    }

    /// A roll-up that was handed in. What is wrong with it, if anything is.
    pub(super) fn roll_up(&mut self, entry: &pb::AuditRollUp) -> Option<String> {
        use pb::RollUpFinding as Finding;
        self.latest_ms = self.latest_ms.max(entry.at_ms);
        let asker = &entry.asker;
        if entry.finding() == Finding::Forged {
            return Some(format!("a roll-up came from {asker} that it has not signed"));
        }
        let read = match self.read(entry) {
            Ok(read) => read,
            Err(Refusal { reason, fields, .. }) => {
                let fields = fields.join(", ");
                return Some(format!("a roll-up of {asker} does not verify: {reason}: {fields}"));
            }
        };
        let pb::SearchRollUp { first, last, answered, .. } = read;
        match entry.finding() {
            Finding::Repeated => {
                return Some(format!(
                    "{asker} has signed for its searches {first} to {last} a second time, differently"
                ));
            }
            Finding::LeftOut => {
                return Some(format!(
                    "{asker} has signed for its searches {first} to {last}, and left out some before"
                ));
            }
            _ => {}
        }
        let session = self.sessions.entry((asker.clone(), read.session.clone())).or_default();
        let later = session.frames.split_off(&last.saturating_add(1));
        let mut frames = std::mem::replace(&mut session.frames, later);
        frames.retain(|number, _| read.unknown.binary_search(number).is_err());
        let left_out = first > session.rolled + 1;
        session.rolled = session.rolled.max(last);
        let root = search_root(frames.values().map(|(digest, _)| digest));
        if frames.len() as u64 != u64::from(answered) || root.as_bytes()[..] != read.root[..] || left_out {
            let here = frames.len();
            return Some(format!(
                "{asker} has signed for {answered} searches from {first} to {last}, and the journal has {here} that are not the same"
            ));
        }
        self.frames += u64::from(answered);
        (entry.finding() != Finding::Agrees)
            .then(|| format!("a roll-up of {asker} was found to differ, and does not"))
    }

    /// What a post has signed, by its own certificate as it was then. The hub's word for it does not count.
    fn read(&mut self, entry: &pb::AuditRollUp) -> Result<pb::SearchRollUp, Refusal> {
        if self.anchors.is_empty() {
            self.unverified += 1;
            let payload = entry.signed.as_ref().map(|signed| signed.payload.clone()).unwrap_or_default();
            return pb::SearchRollUp::decode(payload)
                .map_err(|_| Refusal::of(Reason::Malformed, "signed.payload"));
        }
        let asker: Identity = i247_wire::parsed(&entry.asker, "asker")?;
        let given = pb::HandInRollUpRequest { chain: entry.chain.clone(), signed: entry.signed.clone() };
        let at = Timestamp::from_millis(entry.at_ms);
        let mut read = Err(Refusal::of(Reason::BadSignature, "chain"));
        for anchor in self.anchors.iter().rev() {
            read = read_roll_up(&given, &asker, anchor, at);
            if read.is_ok() {
                break;
            }
        }
        read
    }

    /// What nobody has signed for in time, when all was read.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for ((asker, _), session) in &self.sessions {
            let latest = self.latest_ms;
            let late = session.frames.values().filter(|(_, at)| at + SIGNED_WITHIN_MS < latest).count();
            if late > 0 {
                missing.push(format!("{asker} has not signed for {late} of its searches"));
            }
        }
        missing
    }
}
