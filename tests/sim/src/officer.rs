//! One officer at each desk: hands drafts in until the desk has taken them, reads the inbox, answers, looks where
//! messages stand. Everything goes through the desk's API over mTLS. An officer's memory never crashes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use i247_client::{ClientError, Desk, InboxFilter, OutboxFilter};
use i247_ledger::faults::Dice;
use i247_model::{CountryCode, Kind, Lane, MessageId};
use i247_node::Clock as _;
use i247_wire::pb;

use crate::drafts;
use crate::record::{Shared, Wish};
use crate::seams::SimClock;

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
        self.hand_in().await?;
        self.read().await?;
        self.look().await?;
        let report = self.desk.report().await?;
        if !report.halted.is_empty() {
            self.halted(&report.halted).await?;
        }
        Ok(())
    }

    /// Writes something new.
    fn write(&mut self) {
        let lane = Lane::ALL[usize::try_from(self.dice.below(4)).unwrap_or(0)];
        let to = self.some_countries();
        let words = format!("{} writes {}", self.me, self.record.borrow().wishes.len());
        let soon = |ms: u64| self.clock.now().plus(Duration::from_millis(ms)).as_millis();
        let (kind, draft) = match self.dice.below(8) {
            0 => {
                let until = soon(500 + self.dice.below(8_000));
                (Kind::FreeText, pb::Draft { expires_at_ms: until, ..drafts::free_text(&to, lane, &words) })
            }
            1 | 2 => {
                let by = soon(2_000 + self.dice.below(20_000));
                (Kind::Request, drafts::question(&to, lane, &words, by))
            }
            3 | 4 => (Kind::Diffusion, drafts::diffusion(&to, lane, &words)),
            5 => {
                let barred = if self.dice.one_in(2) { to } else { BTreeSet::new() };
                let draft = drafts::notice_request(&barred, &words);
                return self.wish(Kind::NoticeRequest, BTreeSet::new(), words, draft);
            }
            _ => (Kind::FreeText, drafts::free_text(&to, lane, &words)),
        };
        self.wish(kind, to, words, draft);
    }

    fn wish(&mut self, kind: Kind, audience: BTreeSet<CountryCode>, words: String, draft: pb::Draft) {
        let mut record = self.record.borrow_mut();
        self.pending.push((record.wishes.len(), draft.clone()));
        let barred = drafts::barred(&draft);
        record.count(&format!("written {kind}"));
        record.wishes.push(Wish {
            from: self.me,
            kind,
            audience,
            words,
            refers_to: draft.refers_to,
            barred,
            expires: draft.expires_at_ms > 0,
            id: None,
            receipt: false,
            refused: None,
            lost: false,
            status: None,
        });
    }

    /// At least one of the others.
    fn some_countries(&mut self) -> BTreeSet<CountryCode> {
        let others: Vec<_> = self.countries.iter().copied().filter(|country| *country != self.me).collect();
        let mut some: BTreeSet<_> = others.iter().copied().filter(|_| self.dice.one_in(2)).collect();
        let one = self.dice.below(others.len() as u64);
        some.insert(others[usize::try_from(one).unwrap_or(0)]);
        some
    }

    /// Hands in what the desk has not confirmed. The draft carries its own key, so the desk takes it once.
    async fn hand_in(&mut self) -> Result<(), ClientError> {
        while let Some((nth, draft)) = self.pending.first().cloned() {
            let taken = self.desk.send(draft).await;
            let mut record = self.record.borrow_mut();
            let words = record.wishes[nth].words.clone();
            match taken {
                Ok(id) => {
                    record.note(now(), format!("{id} is taken: {words}"));
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
        if self.phase.get() == Phase::Ending || !self.answers {
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

    fn answer(&mut self, question: &str) {
        let Ok(id) = question.parse::<MessageId>() else { return };
        let Some(asker) = id.sender.party().country() else { return };
        let (stage, last) = match self.dice.below(6) {
            0 => (pb::ReplyStage::Interim, false),
            1 => (pb::ReplyStage::Refusal, true),
            // Never: the question becomes overdue.
            2 => {
                self.answered.insert(question.into());
                return;
            }
            _ => (pb::ReplyStage::Final, true),
        };
        if last {
            self.answered.insert(question.into());
        }
        let words = format!("{} answers {}", self.me, self.record.borrow().wishes.len());
        let draft = drafts::reply(&id, stage, &words);
        self.wish(Kind::Reply, BTreeSet::from([asker]), words, draft);
    }

    /// Looks where sent messages stand, and takes a circular back now and then.
    async fn look(&mut self) -> Result<(), ClientError> {
        let outbox = self.desk.outbox(&OutboxFilter::default()).await?;
        self.adopt(&outbox);
        let mine: Vec<(usize, String, String)> = {
            let record = self.record.borrow();
            let mine =
                record.wishes.iter().enumerate().filter(|(_, wish)| wish.from == self.me && wish.looked_at());
            mine.filter_map(|(nth, wish)| Some((nth, wish.id.clone()?, wish.words.clone()))).collect()
        };
        let restored = self.record.borrow().restored.contains(&self.me);
        for (nth, id, words) in mine {
            // A number may stand for another message where data was lost.
            let same = |item: &pb::OutboxItem| !restored || item.subject == words;
            if !outbox.iter().any(|item| item.id == id && same(item)) {
                self.missing(nth, &id);
                continue;
            }
            let answer = self.desk.status(&id).await?;
            self.record.borrow_mut().saw_sent(now(), nth, &answer);
        }
        if self.phase.get() == Phase::Busy && self.dice.one_in(12) {
            self.take_back();
        }
        Ok(())
    }

    /// What the desk took is not in the outbox.
    fn missing(&self, nth: usize, id: &str) {
        let mut record = self.record.borrow_mut();
        if record.restored.contains(&self.me) {
            record.wishes[nth].lost = true;
        } else {
            record.broken("taken and lost", id, format!("{} does not have it any more", self.me));
        }
    }

    /// What the national system wrote by itself belongs into the record too.
    fn adopt(&mut self, outbox: &[pb::OutboxItem]) {
        let mut record = self.record.borrow_mut();
        for item in outbox.iter().rev() {
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
            record.note(now(), format!("{} writes {} by itself", self.me, item.id));
            record.count(&format!("written {kind}"));
            record.wishes.push(Wish {
                from: self.me,
                kind,
                audience: asker.into_iter().collect(),
                words: item.subject.clone(),
                refers_to: item.refers_to.clone(),
                barred: BTreeSet::new(),
                expires: false,
                id: Some(item.id.clone()),
                receipt: false,
                refused: None,
                lost: false,
                status: None,
            });
        }
    }

    fn take_back(&mut self) {
        let found = {
            let record = self.record.borrow();
            let mut own =
                record.wishes.iter().filter(|wish| wish.from == self.me && wish.kind == Kind::Diffusion);
            let ended = |id: &str| {
                record.wishes.iter().any(|wish| wish.kind == Kind::Withdrawal && wish.refers_to == id)
            };
            own.find_map(|wish| {
                let id = wish.id.clone()?;
                (!ended(&id) && wish.refused.is_none() && !wish.lost).then(|| (id, wish.audience.clone()))
            })
        };
        let Some((id, audience)) = found else { return };
        let lane = id.parse::<MessageId>().map_or(Lane::Normal, |id| id.lane);
        let words = format!("{} takes back {}", self.me, self.record.borrow().wishes.len());
        let draft = drafts::withdrawal(&id, lane, &words);
        self.wish(Kind::Withdrawal, audience, words, draft);
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

impl Wish {
    /// Whether there may still be something new about it.
    fn looked_at(&self) -> bool {
        let closed = self.status.as_ref().is_some_and(|status| status.closed);
        !self.lost && self.refused.is_none() && !(self.receipt && closed)
    }
}

/// Simulated time since the beginning.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn passes(refusal: &i247_model::Refusal) -> bool {
    refusal.reason.class() == i247_model::Class::NotNow
}
