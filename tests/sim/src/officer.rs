//! One officer at each desk: hands drafts in until the desk has taken them, reads the inbox, answers, looks where
//! messages stand. Everything goes through the desk's API over mTLS. An officer's memory never crashes.

mod writing;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use i247_client::{ClientError, Desk, InboxFilter, OutboxFilter};
use i247_ledger::faults::Dice;
use i247_model::{CountryCode, Kind, MessageId};
use i247_wire::pb;

use crate::record::{Shared, Wish};
use crate::seams::SimClock;
use crate::stall::Stall;

/// How long one call may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(3);

/// Why an officer begins a new epoch.
const REASON: &str = "the disk was replaced";

/// What everybody does now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// New messages are written.
    Busy,
    /// Only what was begun is brought to its end.
    Ending,
    /// One country stands still; another floods it, and the others write to each other.
    Beside(Stall),
}

/// An officer.
pub(crate) struct Officer {
    pub(crate) me: CountryCode,
    /// All countries of the network, also this one.
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) desk: Desk,
    pub(crate) record: Shared,
    pub(crate) phase: Rc<Cell<Phase>>,
    pub(crate) clock: SimClock,
    pub(crate) dice: Dice,
    /// How many messages she still writes.
    pub(crate) to_write: u64,
    /// How many rushes she still writes: many messages at once.
    pub(crate) rushes: u64,
    /// Whether she has flooded a country that stands still.
    pub(crate) flooded: bool,
    /// Drafts that the desk has not confirmed, with their places in the record.
    pub(crate) pending: Vec<(usize, pb::Draft)>,
    /// Whether she answers questions; else the bureau does by itself.
    pub(crate) answers: bool,
    /// Questions that she has answered, or leaves alone.
    pub(crate) answered: BTreeSet<String>,
}

impl Officer {
    /// Works for ever.
    pub(crate) async fn work(mut self) {
        let desk = self.desk.clone().within(WITHIN);
        self.desk = desk;
        loop {
            tokio::time::sleep(Duration::from_millis(40 + self.dice.below(300))).await;
            // A desk that is away is asked again.
            drop(self.round().await);
        }
    }

    async fn round(&mut self) -> Result<(), ClientError> {
        if self.pending.is_empty() && self.phase.get() == Phase::Busy && self.to_write > 0 {
            self.to_write -= 1;
            self.write();
        }
        if let Phase::Beside(stall) = self.phase.get() {
            self.write_beside(stall);
        }
        self.hand_in().await?;
        self.read().await?;
        self.look().await?;
        let report = self.desk.report().await?;
        self.record.borrow_mut().saw_report(self.me, &report);
        if !report.halted.is_empty() {
            self.halted(&report.halted).await?;
        }
        Ok(())
    }

    /// Hands in what the desk has not confirmed. The draft carries its own key, so the desk takes it once.
    async fn hand_in(&mut self) -> Result<(), ClientError> {
        while let Some((nth, draft)) = self.pending.first().cloned() {
            let draft = self.attach(nth, draft).await?;
            let taken = self.desk.send(draft).await;
            let mut record = self.record.borrow_mut();
            let words = record.wishes[nth].words.clone();
            match taken {
                Ok(id) => {
                    let about = match record.wishes[nth].refers_to.as_str() {
                        "" => String::new(),
                        refers_to => format!(" about {refers_to}"),
                    };
                    record.note(now(), format!("{id} is taken: {words}{about}"));
                    record.wishes[nth].id = Some(id.to_string());
                }
                Err(ClientError::Refused(refusal)) if !passes(&refusal) => {
                    record.note(now(), format!("{words} is not taken: {refusal}"));
                    record.count(&format!("desk refused {}", refusal.reason));
                    record.wishes[nth].refused = Some(refusal.to_string());
                }
                Err(error) => return Err(error),
            }
            self.pending.remove(0);
        }
        Ok(())
    }

    /// Puts with the draft what goes with it.
    async fn attach(&mut self, nth: usize, mut draft: pb::Draft) -> Result<pb::Draft, ClientError> {
        let content = self.record.borrow().wishes[nth].attachment.clone();
        if content.is_empty() || !draft.attachments.is_empty() {
            return Ok(draft);
        }
        let note = pb::AttachmentNote {
            name: "list.bin".into(),
            media_type: "application/octet-stream".into(),
            size_bytes: 0,
        };
        let commitment = self.desk.add_attachment(note, content).await?;
        draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
        // The same again when this draft is handed in once more.
        self.pending[0].1 = draft.clone();
        Ok(draft)
    }

    /// Reads the inbox, opens something, acts on something, answers questions.
    async fn read(&mut self) -> Result<(), ClientError> {
        let mut items = self.desk.inbox(&InboxFilter::default()).await?;
        items.reverse();
        self.record.borrow_mut().saw_inbox(now(), self.me, &items);
        if let Some(unread) = items.iter().find(|item| !item.opened).filter(|_| self.dice.one_in(2)) {
            let shown = self.desk.show(&unread.id).await?;
            self.compare(&shown);
        }
        if let Some(idle) =
            items.iter().find(|item| item.opened && !item.actioned).filter(|_| self.dice.one_in(4))
        {
            self.desk.mark_actioned(&idle.id).await?;
        }
        self.fetch(&items).await?;
        if self.phase.get() != Phase::Busy || !self.answers {
            return Ok(());
        }
        for item in items.iter().filter(|item| item.kind() == pb::Kind::Request) {
            if self.answered.contains(&item.id) || !self.dice.one_in(3) {
                continue;
            }
            self.answer(&item.id);
        }
        Ok(())
    }

    /// The body is what its sender wrote, and its sender signed it.
    fn compare(&self, shown: &pb::ShowResponse) {
        let mut record = self.record.borrow_mut();
        let Some(wish) = record.wish(&shown.id).cloned() else { return };
        let Some(words) = shown.body.as_ref().map(|body| body.subject.clone()) else {
            // Damaged on the disk, and not served.
            record.count("body not served");
            return;
        };
        if words != wish.words && !record.restored.contains(&wish.from) {
            record.broken("unaltered", &shown.id, format!("{} reads {words:?}", self.me));
        }
        let signer = format!("spiffe://i247.test/ncb/{}", wish.from.to_lowercase());
        if shown.signed_by != signer {
            record.broken("unaltered", &shown.id, format!("signed by {}", shown.signed_by));
        }
    }

    /// Opens an attachment: now and then, and all of them in the end.
    async fn fetch(&mut self, items: &[pb::InboxItem]) -> Result<(), ClientError> {
        let next = {
            let record = self.record.borrow();
            let wanted = items.iter().find_map(|item| {
                let fetched = record.fetched.contains(&(self.me, item.id.clone()));
                let content = record.wish(&item.id).map(|wish| wish.attachment.clone()).unwrap_or_default();
                (!fetched && !content.is_empty()).then(|| (item.id.clone(), content))
            });
            wanted.filter(|_| self.phase.get() == Phase::Ending || self.dice.one_in(2))
        };
        let Some((id, content)) = next else { return Ok(()) };
        let opened = self.desk.open_attachment(&id, 0).await;
        let mut record = self.record.borrow_mut();
        let (_, bytes) = opened.inspect_err(|error| {
            record.note(now(), format!("{} cannot open the attachment of {id}: {error}", self.me));
        })?;
        record.count("attachment opened");
        if bytes != content {
            record.broken("unaltered", &id, format!("{} opens another attachment", self.me));
        }
        record.fetched.insert((self.me, id));
        Ok(())
    }

    /// Looks where sent messages stand, and takes a circular back now and then.
    async fn look(&mut self) -> Result<(), ClientError> {
        let outbox = self.desk.outbox(&OutboxFilter::default()).await?;
        self.adopt(&outbox);
        let mine: Vec<(usize, String, String)> = {
            let record = self.record.borrow();
            let lost = record.recovered.is_some() || record.restored.contains(&self.me);
            let mine = record
                .wishes
                .iter()
                .enumerate()
                .filter(|(_, wish)| wish.from == self.me && wish.looked_at(lost));
            mine.filter_map(|(nth, wish)| Some((nth, wish.id.clone()?, wish.words.clone()))).collect()
        };
        let restored = self.record.borrow().restored.contains(&self.me);
        let mut closer = Vec::new();
        for (nth, id, words) in mine {
            // A number may stand for another message where data was lost.
            let same = |item: &&pb::OutboxItem| item.id == id && (!restored || item.subject == words);
            match outbox.iter().find(same) {
                Some(item) => {
                    self.record.borrow_mut().saw_listed(now(), nth, item);
                    closer.push((nth, id, words));
                }
                None => self.missing(nth, &id),
            }
        }
        for (nth, id, words) in closer {
            let answer = self.desk.status(&id).await?;
            // What the hub has under the number, where that is not what was given up here.
            let other = answer.item.as_ref().is_some_and(|item| item.subject != words);
            if !(restored && other) {
                self.record.borrow_mut().saw_sent(now(), nth, &answer);
            }
        }
        // Best while somebody is away for whom it is still queued.
        let often = if self.somebody_away().is_some() { 4 } else { 1 };
        if self.phase.get() == Phase::Busy && self.dice.one_in(12 / often) {
            self.take_back();
        }
        if self.phase.get() == Phase::Busy && self.dice.one_in(48 / often) {
            self.cancel();
        }
        Ok(())
    }

    /// What the desk took is not in the outbox.
    fn missing(&self, nth: usize, id: &str) {
        let mut record = self.record.borrow_mut();
        if record.restored.contains(&self.me) {
            // What the hub has accepted comes back.
            let accepted = record.wishes[nth].receipt;
            (record.wishes[nth].missing, record.wishes[nth].lost) = (accepted, !accepted);
        } else {
            record.broken("taken and lost", id, format!("{} does not have it any more", self.me));
        }
    }

    /// What the national system wrote by itself belongs into the record too.
    fn adopt(&mut self, outbox: &[pb::OutboxItem]) {
        let mut record = self.record.borrow_mut();
        for item in outbox.iter().rev() {
            // Damaged on the disk just now: it is read again.
            if item.subject.is_empty() && item.kind() != pb::Kind::NewEpoch {
                continue;
            }
            let waits = self.pending.iter().any(|(nth, _)| record.wishes[*nth].words == item.subject);
            // A bureau that lost data may give a number again.
            let again = record.restored.contains(&self.me) && !item.subject.is_empty();
            let known = record.wishes_of(&item.id).any(|wish| !again || wish.words == item.subject);
            if waits || known {
                continue;
            }
            let kind = i247_wire::known::<pb::Kind, Kind>(item.kind, "kind").unwrap_or(Kind::FreeText);
            // About a notice it writes to the country that asked for it.
            let about = record.request_behind(self.me, &item.refers_to);
            let asker = about.parse::<MessageId>().ok().and_then(|id| id.sender.party().country());
            if asker.is_none() && kind != Kind::NewEpoch {
                // The notice came since she read the inbox.
                continue;
            }
            record.note(now(), format!("{} writes {} by itself about {}", self.me, item.id, item.refers_to));
            record.count(&format!("written {kind}"));
            let words = item.subject.clone();
            record.wishes.push(Wish {
                audience: asker.into_iter().collect(),
                refers_to: item.refers_to.clone(),
                by_itself: true,
                id: Some(item.id.clone()),
                ..Wish::new(self.me, kind, words, now())
            });
        }
    }

    /// A bureau that says that it is an older copy begins a new epoch; any other must not say so.
    async fn halted(&mut self, why: &str) -> Result<(), ClientError> {
        if !why.contains("recover --reason") {
            let mut record = self.record.borrow_mut();
            if why.contains("the hub") && !record.older_hub {
                record.broken("halts without a cause", "", format!("{}: {why}", self.me));
            }
            return Ok(());
        }
        {
            let mut record = self.record.borrow_mut();
            if !record.restored.contains(&self.me) {
                record.broken("halts without a cause", "", format!("{}: {why}", self.me));
                return Ok(());
            }
        }
        let epoch = self.desk.recover(REASON).await?;
        let mut record = self.record.borrow_mut();
        record.note(now(), format!("{} begins epoch {epoch}", self.me));
        record.count("a new epoch");
        Ok(())
    }
}

/// Simulated time since the beginning.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn passes(refusal: &i247_model::Refusal) -> bool {
    refusal.reason.class() == i247_model::Class::NotNow
}
