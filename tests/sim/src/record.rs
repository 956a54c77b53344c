//! The simulation's own record: what officers handed in and hold receipts for, what each country's application saw,
//! and who may see what by a rule of its own. It must not ask the hub.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Kind, Lane, MessageId};
use i247_wire::pb;

use crate::lines::Lines;
use crate::seams::BEGIN;
use crate::stall::Stall;

/// The record as officers and driver share it.
pub(crate) type Shared = Rc<RefCell<Record>>;

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Which rule.
    pub(crate) rule: &'static str,
    /// The message concerned, if there is one.
    pub(crate) message: String,
    /// What happened.
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.rule, self.message, self.text)
    }
}

/// What an officer handed in, or wants to.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) from: CountryCode,
    pub(crate) kind: Kind,
    /// When it was written, in simulated time.
    pub(crate) written: Duration,
    /// Who may receive it, in the officer's words.
    pub(crate) audience: BTreeSet<CountryCode>,
    /// What its body says.
    pub(crate) words: String,
    pub(crate) refers_to: String,
    /// Who shall not have the notice that it asks for.
    pub(crate) barred: BTreeSet<CountryCode>,
    /// What goes with it; empty for nothing.
    pub(crate) attachment: Bytes,
    /// From then on nobody needs it, in milliseconds since 1970; 0: it stays good.
    pub(crate) expires_at_ms: u64,
    /// When an answer is due, in milliseconds since 1970; 0: none is.
    pub(crate) reply_by_ms: u64,
    /// The national system wrote it, and the officer found it in the outbox.
    pub(crate) by_itself: bool,
    /// The desk's answer.
    pub(crate) id: Option<String>,
    /// The officer saw that the hub accepted it.
    pub(crate) receipt: bool,
    /// When that was.
    pub(crate) receipt_seen: Duration,
    /// The officer saw that the hub refused it, or that it was given up; why.
    pub(crate) refused: Option<String>,
    /// The bureau lost it with an older copy of its data before anybody else had it.
    pub(crate) lost: bool,
    /// It was accepted, and is not in the outbox of its sender, whose bureau was restored from an older copy.
    pub(crate) missing: bool,
    /// The sender's last look at where it stands.
    pub(crate) status: Option<pb::MessageStatus>,
}

impl Wish {
    /// Something that was just written, and that nobody has yet.
    pub(crate) fn new(from: CountryCode, kind: Kind, words: String, written: Duration) -> Self {
        Self {
            from,
            kind,
            written,
            audience: BTreeSet::new(),
            words,
            refers_to: String::new(),
            barred: BTreeSet::new(),
            attachment: Bytes::new(),
            expires_at_ms: 0,
            reply_by_ms: 0,
            by_itself: false,
            id: None,
            receipt: false,
            receipt_seen: Duration::ZERO,
            refused: None,
            lost: false,
            missing: false,
            status: None,
        }
    }

    /// Whether there may still be something new about it; who has `lost` something may open again what was closed.
    pub(crate) fn looked_at(&self, lost: bool) -> bool {
        let closed = self.status.as_ref().is_some_and(|status| status.closed) && !lost;
        !self.lost && self.refused.is_none() && !(self.receipt && closed)
    }
}

/// A decision or publication that the reviewer holds an answer for.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) id: String,
    /// The request that it answers.
    pub(crate) request: String,
    /// Who must receive it.
    pub(crate) audience: BTreeSet<CountryCode>,
    /// When the answer came.
    pub(crate) at: Duration,
}

/// A message as an application saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) lane: Lane,
    pub(crate) refers_to: String,
    /// It is an answer, and no other of its country follows.
    pub(crate) last_answer: bool,
    /// By the bureau's clock.
    pub(crate) received_at_ms: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) wishes: Vec<Wish>,
    pub(crate) published: Vec<Published>,
    pub(crate) inboxes: BTreeMap<CountryCode, Vec<Seen>>,
    pub(crate) violations: Vec<Violation>,
    /// How often what happened.
    pub(crate) counts: BTreeMap<String, u64>,
    /// What happened, in order: the same for the same seed.
    pub(crate) history: Vec<String>,
    /// Bureaus that were given an older copy of their data.
    pub(crate) restored: BTreeSet<CountryCode>,
    /// Attachments that an application opened, whole: whose, and of which message.
    pub(crate) fetched: BTreeSet<(CountryCode, String)>,
    /// Countries whose bureau answers by itself.
    pub(crate) automatic: BTreeSet<CountryCode>,
    /// The lines to the hub.
    pub(crate) lines: Lines,
    /// Suspensions: of whom, and when the hub answered, in simulated time.
    pub(crate) suspended: Vec<(CountryCode, Duration)>,
    /// Countries whose clock was wrong or whose disk was slow at any time: when something came there, they cannot say.
    pub(crate) astray: BTreeSet<CountryCode>,
    /// Countries whose disk flipped bits when it read at any time. What a bureau finds damaged, and damaged again when it
    /// reads it once more, it leaves to its officer.
    pub(crate) misread: BTreeSet<CountryCode>,
    /// When the hub was down, slow, full, or wrong about the time.
    pub(crate) hub_unwell: Vec<(Duration, Duration)>,
    /// The hub ran on an older copy of its data for a while.
    pub(crate) older_hub: bool,
    /// When the hub, with an older copy of its data, took its log up under a new name.
    pub(crate) recovered: Option<Duration>,
    /// Countries that may still give such a hub back what it lost. From the copy on: what a reviewer writes between the copy
    /// and the recovery nobody brings back but those who received it.
    pub(crate) giving_back: BTreeSet<CountryCode>,
    /// Countries whose certificate had ended, from when until when, in milliseconds since 1970.
    pub(crate) away: BTreeMap<CountryCode, (u64, u64)>,
    /// Once the faults were over, a country stood still.
    pub(crate) stall: Option<Stall>,
    /// Countries that were revoked: when the revocation was answered, in milliseconds since 1970.
    pub(crate) revoked: BTreeMap<CountryCode, u64>,
}

impl Record {
    /// Notes that something happened.
    pub(crate) fn note(&mut self, now: Duration, text: String) {
        self.history.push(format!("{:>9.3} {text}", now.as_secs_f64()));
    }

    /// Counts something.
    pub(crate) fn count(&mut self, what: &str) {
        self.count_all(what, 1);
    }

    /// Counts it so many times.
    pub(crate) fn count_all(&mut self, what: &str, times: u64) {
        *self.counts.entry(what.to_owned()).or_default() += times;
    }

    /// A promise was broken.
    pub(crate) fn broken(&mut self, rule: &'static str, message: &str, text: String) {
        self.violations.push(Violation { rule, message: message.to_owned(), text });
    }

    /// The officers' wishes for an id: one, but for a bureau that gave a number twice after it had lost data.
    pub(crate) fn wishes_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Wish> {
        self.wishes.iter().filter(move |wish| wish.id.as_deref() == Some(id))
    }

    /// The officer's wish for an id; one that was accepted before any other.
    pub(crate) fn wish<'a>(&'a self, id: &'a str) -> Option<&'a Wish> {
        self.wishes_of(id).find(|wish| wish.receipt).or_else(|| self.wishes_of(id).last())
    }

    /// Who shall not have the notice that this request asks for.
    pub(crate) fn barred(&self, request: &str) -> BTreeSet<CountryCode> {
        self.wish(request).map(|wish| wish.barred.clone()).unwrap_or_default()
    }

    /// Whether this country holds a receipt for something that its officer wrote behind the first so many wishes.
    pub(crate) fn holds_receipt_since(&self, country: CountryCode, wishes: usize) -> bool {
        let later = self.wishes.iter().skip(wishes);
        later.filter(|wish| wish.from == country && !wish.by_itself).any(|wish| wish.receipt)
    }

    /// Whether a country has a line to the hub, and may have one.
    pub(crate) fn takes_part(&self, country: CountryCode) -> bool {
        self.lines.is_joined(&country.to_lowercase()) && !self.revoked.contains_key(&country)
    }

    /// Whether the hub loses something, or somebody may still give it back.
    pub(crate) fn is_being_given_back(&self) -> bool {
        self.giving_back.iter().any(|country| !self.revoked.contains_key(country))
    }

    /// What a desk says of itself: whether it still gives the hub back what that lost.
    pub(crate) fn saw_report(&mut self, of: CountryCode, report: &pb::ReportResponse) {
        let gives = ["sent again", "handed over"].iter().any(|words| report.warning.contains(words));
        if self.recovered.is_some() && report.connected && !gives && self.lines.is_joined(&of.to_lowercase())
        {
            self.giving_back.remove(&of);
        }
    }

    /// What the application of a country sees now, the oldest first, compared with what it saw before.
    pub(crate) fn saw_inbox(&mut self, now: Duration, at: CountryCode, items: &[pb::InboxItem]) {
        let mut inbox = self.inboxes.remove(&at).unwrap_or_default();
        for (nth, seen) in inbox.iter().enumerate() {
            if items.get(nth).is_none_or(|item| item.id != seen.id) {
                if self.restored.contains(&at) {
                    inbox.clear();
                    break;
                }
                let text = format!("{at} saw it as number {nth} of its inbox, and it is not there any more");
                self.broken("seen and lost", &seen.id, text);
                self.inboxes.insert(at, inbox);
                return;
            }
        }
        for item in &items[inbox.len()..] {
            self.note(now, format!("{at} receives {}", item.id));
            if inbox.iter().any(|seen| seen.id == item.id) {
                self.broken("once", &item.id, format!("{at} sees it again"));
            }
            if inbox.iter().any(|seen| seen.refers_to == item.id) {
                self.broken(
                    "nothing before what it refers to",
                    &item.id,
                    format!("{at} saw an answer to it first"),
                );
            }
            let later = inbox.iter().find(|seen| comes_later(&seen.id, &item.id));
            if let Some(later) = later.filter(|_| !self.is_given_once_more(item)) {
                self.broken("in order", &item.id, format!("{at} saw {} before it", later.id));
            }
            inbox.push(Seen {
                id: item.id.clone(),
                kind: i247_wire::known::<pb::Kind, Kind>(item.kind, "kind").unwrap_or(Kind::FreeText),
                lane: i247_wire::known::<pb::Lane, Lane>(item.lane, "lane").unwrap_or(Lane::Normal),
                refers_to: item.refers_to.clone(),
                last_answer: item.kind() == pb::Kind::Reply && item.reply_stage() != pb::ReplyStage::Interim,
                received_at_ms: item.received_at_ms,
            });
        }
        self.inboxes.insert(at, inbox);
    }

    /// The request that a notice goes back to, as a country's application saw it; any other message is itself.
    pub(crate) fn request_behind(&self, at: CountryCode, id: &str) -> String {
        let notice = self
            .inboxes
            .get(&at)
            .into_iter()
            .flatten()
            .find(|seen| seen.id == id && seen.kind == Kind::Notice);
        notice.map_or(id, |notice| &notice.refers_to).to_owned()
    }

    /// Whether a recovered hub may deliver it although it had been taken back, and then its end.
    fn is_given_once_more(&self, item: &pb::InboxItem) -> bool {
        let ends = |wish: &Wish| match wish.kind {
            Kind::Withdrawal => wish.refers_to == item.id,
            Kind::Cancellation => item.kind() == pb::Kind::Notice && wish.refers_to == item.refers_to,
            _ => false,
        };
        let is_end = matches!(item.kind(), pb::Kind::Withdrawal | pb::Kind::Cancellation);
        self.recovered.is_some() && (is_end || self.wishes.iter().any(ends))
    }

    /// Whether this country's bureau and the hub know all that they ever knew.
    fn forgets_nothing(&self, country: CountryCode) -> bool {
        !self.restored.contains(&country) && !self.older_hub && self.recovered.is_none()
    }

    /// Whether a country's application saw a message.
    pub(crate) fn has(&self, at: CountryCode, id: &str) -> bool {
        self.inboxes.get(&at).is_some_and(|inbox| inbox.iter().any(|seen| seen.id == id))
    }

    /// Whether a country's application saw a message of this kind about another.
    pub(crate) fn has_about(&self, at: CountryCode, kind: Kind, id: &str) -> bool {
        let mut inbox = self.inboxes.get(&at).into_iter().flatten();
        inbox.any(|seen| seen.kind == kind && seen.refers_to == id)
    }

    /// What the sender sees of its message in a list.
    pub(crate) fn saw_listed(&mut self, now: Duration, nth: usize, item: &pb::OutboxItem) {
        let wish = &self.wishes[nth];
        let (id, had_receipt) = (item.id.clone(), wish.receipt);
        let restored = self.restored.contains(&wish.from);
        // Given up by the copy, until the hub has given it back and answered it again.
        self.wishes[nth].missing = restored && had_receipt && item.state() != pb::OutboxState::Accepted;
        match item.state() {
            pb::OutboxState::Refused if self.wishes[nth].missing => {}
            pb::OutboxState::Accepted if !had_receipt => {
                self.note(now, format!("{id} is accepted"));
                self.wishes[nth].receipt = true;
                self.wishes[nth].receipt_seen = now;
            }
            pb::OutboxState::Refused if self.wishes[nth].refused.is_none() => {
                let why = item.refusal.as_ref().map(|refusal| refusal.reason.clone()).unwrap_or_default();
                self.note(now, format!("{id} is refused: {why}"));
                self.count(&format!("refused {why}"));
                self.wishes[nth].refused = Some(why);
            }
            _ => {}
        }
        if !restored && had_receipt && item.state() != pb::OutboxState::Accepted {
            self.broken(
                "accepted is final",
                &id,
                format!("its sender held a receipt; now {:?}", item.state()),
            );
        }
    }

    /// What the sender sees of its message when it looks closer.
    pub(crate) fn saw_sent(&mut self, now: Duration, nth: usize, answer: &pb::StatusResponse) {
        let Some(item) = &answer.item else { return };
        self.saw_listed(now, nth, item);
        let Some(status) = &answer.status else { return };
        if self.wishes[nth].status.as_ref() == Some(status) {
            return;
        }
        for recipient in &status.recipients {
            let known = self.wishes[nth].status.as_ref().and_then(|known| {
                known.recipients.iter().find(|before| before.party == recipient.party).cloned()
            });
            if known.as_ref().is_none_or(|before| before.state != recipient.state) {
                self.count(&format!("state {}", short(recipient.state().as_str_name())));
            }
            if known.as_ref().is_none_or(|before| before.answer != recipient.answer) && recipient.answer != 0
            {
                self.count(&format!("answer {}", short(recipient.answer().as_str_name())));
            }
            if let Some(before) = known.filter(|before| goes_back(before.state(), recipient.state()))
                && self.forgets_nothing(self.wishes[nth].from)
            {
                let (before, state) = (before.state().as_str_name(), recipient.state().as_str_name());
                let text = format!("{} was {before}, and is {state}", recipient.party);
                self.broken("states do not go back", &item.id, text);
            }
        }
        self.wishes[nth].status = Some(status.clone());
    }
}

/// Whether a state takes back what an earlier one said.
fn goes_back(before: pb::RecipientState, now: pb::RecipientState) -> bool {
    let rank = |state| match state {
        pb::RecipientState::Unspecified | pb::RecipientState::Queued | pb::RecipientState::Held => 0,
        pb::RecipientState::Delivered => 1,
        pb::RecipientState::Opened => 2,
        pb::RecipientState::Actioned => 3,
        pb::RecipientState::Withdrawn | pb::RecipientState::Expired | pb::RecipientState::Refused => 4,
    };
    rank(now) < rank(before) || (rank(before) == 4 && now != before)
}

/// The simulated time of a time since 1970; nothing is before the beginning.
pub(crate) fn simulated(ms: u64) -> Duration {
    Duration::from_millis(ms).saturating_sub(BEGIN)
}

/// `RECIPIENT_STATE_QUEUED` as `QUEUED`.
fn short(name: &str) -> &str {
    name.rsplit("STATE_").next().unwrap_or(name)
}

/// Whether `id` is behind `other` in the same series of its sender.
fn comes_later(id: &str, other: &str) -> bool {
    let (Ok(id), Ok(other)) = (id.parse::<MessageId>(), other.parse::<MessageId>()) else { return false };
    id.sender == other.sender && id.epoch == other.epoch && id.lane == other.lane && id.number > other.number
}
