//! Messages by what their headers say, the newest first, back to the first entry of the log. One call looks through a
//! bounded part of it and says where to go on, so that a question without an answer holds nobody up.

use bytes::Bytes;
use i247_ledger::{Position, Record};
use i247_model::{Kind, Lane, MessageId, Party, Reason, RecipientState, Refusal, Timestamp};
use i247_router::{Message, MessageRef};
use i247_wire::{known, parsed_option, pb};
use prost::Message as _;

use crate::core::Core;
use crate::overdue::{is_overdue, owes};
use crate::past::{self, Found};

/// So many entries are read at once.
const BLOCK: u64 = 256;

/// And at most so much of them, in bytes, bodies included.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// So many entries one call looks through at most.
const LOOKED_AT_MAX: u64 = 8_192;

/// So many open messages one call looks through at most, which are in memory.
const OPEN_MAX: usize = 50_000;

const ROWS: usize = 50;
const ROWS_MAX: usize = 500;

/// So many recipients of a message are named.
const NAMED_MAX: usize = 8;

/// What is looked for.
pub(super) struct Search {
    prefix: String,
    conversation: Option<MessageId>,
    parties: Vec<Party>,
    from: Option<Party>,
    to: Option<Party>,
    kinds: Vec<Kind>,
    lanes: Vec<Lane>,
    state: pb::MessageFilterState,
    operation: String,
    begin: Timestamp,
    end: Option<Timestamp>,
    rows: usize,
    /// What was shown before: everything from there on.
    before: Option<MessageRef>,
}

/// What an entry says of one message.
struct Candidate {
    at: MessageRef,
    entered: Timestamp,
    id: MessageId,
    kind: Kind,
    refers_to: Option<MessageId>,
    conversation: Option<MessageId>,
    operation: Option<String>,
    recipients: Vec<Party>,
    refused: Option<String>,
}

impl Search {
    /// # Errors
    /// `MALFORMED` and `TOO_LARGE` with the field.
    pub(super) fn read(wire: pb::FindMessagesRequest) -> Result<Self, Refusal> {
        if wire.parties.len() + wire.kinds.len() + wire.lanes.len() > 256 {
            return Err(Refusal::of(Reason::TooLarge, "parties"));
        }
        let state = pb::MessageFilterState::try_from(wire.state);
        let parties = wire.parties.iter().map(|party| i247_wire::parsed(party, "parties"));
        let kinds = wire.kinds.iter().map(|kind| known::<pb::Kind, Kind>(*kind, "kinds"));
        let lanes = wire.lanes.iter().map(|lane| known::<pb::Lane, Lane>(*lane, "lanes"));
        Ok(Self {
            conversation: parsed_option(&wire.conversation, "conversation")?,
            parties: parties.collect::<Result<_, _>>()?,
            from: parsed_option(&wire.from, "from")?,
            to: parsed_option(&wire.to, "to")?,
            kinds: kinds.collect::<Result<_, _>>()?,
            lanes: lanes.collect::<Result<_, _>>()?,
            state: state.map_err(|_| Refusal::of(Reason::Malformed, "state"))?,
            operation: wire.operation,
            begin: Timestamp::from_millis(wire.from_ms),
            end: (wire.until_ms > 0).then(|| Timestamp::from_millis(wire.until_ms)),
            rows: if wire.limit == 0 { ROWS } else { (wire.limit as usize).min(ROWS_MAX) },
            before: read_place(&wire.after)?,
            prefix: wire.id_prefix,
        })
    }

    /// In words, for the book of look-ups.
    pub(super) fn words(&self) -> String {
        let list = |words: Vec<String>| words.join(",");
        let mut words = vec![
            ("id", self.prefix.clone()),
            ("conversation", self.conversation.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("parties", list(self.parties.iter().map(ToString::to_string).collect())),
            ("from", self.from.map(|party| party.to_string()).unwrap_or_default()),
            ("to", self.to.map(|party| party.to_string()).unwrap_or_default()),
            ("kinds", list(self.kinds.iter().map(ToString::to_string).collect())),
            ("lanes", list(self.lanes.iter().map(ToString::to_string).collect())),
            ("operation", self.operation.clone()),
        ];
        if self.state != pb::MessageFilterState::Unspecified {
            words.push(("state", self.state.as_str_name().to_owned()));
        }
        if self.begin > Timestamp::default() {
            words.push(("from_ms", self.begin.as_millis().to_string()));
        }
        words.extend(self.end.map(|end| ("until_ms", end.as_millis().to_string())));
        words.retain(|(_, word)| !word.is_empty());
        let words: Vec<String> = words.into_iter().map(|(name, word)| format!("{name}={word}")).collect();
        words.join(" ")
    }

    fn fits(&self, one: &Candidate) -> bool {
        let sender = one.id.sender.party();
        let receives = |party: &Party| one.recipients.contains(party);
        let begins = |id: &MessageId| self.prefix.is_empty() || id.to_string().starts_with(&self.prefix);
        let belongs = |first: &MessageId| one.id == *first || one.conversation.as_ref() == Some(first);
        self.before.is_none_or(|before| one.at < before)
            && one.entered >= self.begin
            && self.end.is_none_or(|end| one.entered < end)
            && (self.kinds.is_empty() || self.kinds.contains(&one.kind))
            && (self.lanes.is_empty() || self.lanes.contains(&one.id.lane))
            && self.from.is_none_or(|from| from == sender)
            && self.to.as_ref().is_none_or(receives)
            && (self.parties.is_empty()
                || self.parties.iter().any(|party| *party == sender || receives(party)))
            && (self.operation.is_empty() || one.operation.as_ref() == Some(&self.operation))
            && (self.state == pb::MessageFilterState::Refused || self.state_may_fit(one))
            && begins(&one.id)
            && self.conversation.as_ref().is_none_or(belongs)
    }

    fn state_may_fit(&self, one: &Candidate) -> bool {
        one.refused.is_none() || self.state == pb::MessageFilterState::Unspecified
    }

    /// Whether only what is open can fit: then the log need not be read.
    fn is_of_open(&self) -> bool {
        use pb::MessageFilterState as State;
        match self.state {
            State::Undelivered | State::Overdue | State::Open | State::WithdrawalNotAcknowledged => true,
            State::Unspecified
            | State::Delivered
            | State::Refused
            | State::UrgentNotOpened
            | State::Closed
            | State::Expired => false,
        }
    }

    fn state_fits(&self, one: &Candidate, found: &Found, now: Timestamp) -> bool {
        use pb::MessageFilterState as State;
        let Some(message) = &found.message else {
            return matches!(self.state, State::Unspecified | State::Refused) && one.refused.is_some();
        };
        let mut recipients = message.recipients.values();
        match self.state {
            State::Unspecified => true,
            State::Undelivered => recipients.any(|recipient| !recipient.state.settled()),
            State::Delivered => !message.recipients.is_empty() && recipients.all(|one| one.state.has_it()),
            State::Refused => false,
            State::Overdue => recipients.any(|recipient| is_overdue(recipient, now)),
            State::UrgentNotOpened => {
                matches!(one.id.lane, Lane::VeryUrgent | Lane::Urgent)
                    && message.recipients.iter().any(|(party, recipient)| {
                        *party != Party::Secretariat && recipient.state == RecipientState::Delivered
                    })
            }
            State::WithdrawalNotAcknowledged => {
                matches!(one.kind, Kind::Withdrawal | Kind::Cancellation)
                    && recipients.any(|recipient| !recipient.state.settled())
            }
            State::Open => !found.closed,
            State::Closed => found.closed,
            State::Expired => recipients.any(|recipient| recipient.state == RecipientState::Expired),
        }
    }
}

/// One page.
///
/// # Errors
/// `READ_ONLY` when the log or history cannot be read.
pub(super) async fn find(core: &Core, search: &Search) -> Result<pb::FindMessagesResponse, Refusal> {
    if search.is_of_open() {
        return find_open(core, search).await;
    }
    let end = core.ledger.end().0;
    let mut upto = match (search.before, search.end) {
        // Other messages of the same entry may be left.
        (Some(before), _) => before.position.min(end),
        (None, Some(until)) => last_before(core, until, end).await?,
        (None, None) => end,
    };
    let (mut page, mut looked_at) = (Page::default(), 0);
    while upto > 0 && looked_at < LOOKED_AT_MAX {
        let from = upto.saturating_sub(BLOCK - 1).max(1);
        for record in read(core, from, upto).await?.iter().rev() {
            let mut candidates = candidates(record)?;
            candidates.reverse();
            if candidates.first().is_some_and(|one| one.entered < search.begin) {
                return Ok(page.done(record.position.0));
            }
            for one in candidates.into_iter().filter(|one| search.fits(one)) {
                if page.take(core, search, &one).await? {
                    return Ok(page.more(one.at));
                }
            }
        }
        looked_at += upto - from + 1;
        upto = from - 1;
    }
    if upto == 0 {
        return Ok(page.done(1));
    }
    Ok(page.more(MessageRef { position: upto + 1, n: 0 }))
}

/// One page of what is open.
async fn find_open(core: &Core, search: &Search) -> Result<pb::FindMessagesResponse, Refusal> {
    let (mut page, mut looked_at, mut before) = (Page::default(), 0, search.before);
    loop {
        let slice: Vec<MessageRef> = {
            let views = core.views();
            let refs = views.state.open_before(before).take(512).map(|message| message.at);
            refs.collect()
        };
        let Some(last) = slice.last().copied() else { return Ok(page.done(1)) };
        before = Some(last);
        looked_at += slice.len();
        for at in slice {
            let one = core.views().state.message_at(at).map(Candidate::of);
            let Some(mut one) = one else { continue };
            let is_asked = search.conversation.is_some() || !search.operation.is_empty();
            if is_asked || search.fits(&one) {
                one.complete(core).await?;
            }
            if search.fits(&one) && page.take(core, search, &one).await? {
                return Ok(page.more(at));
            }
        }
        if looked_at >= OPEN_MAX {
            return Ok(page.more(last));
        }
    }
}

/// What one call has found.
#[derive(Default)]
struct Page {
    rows: Vec<pb::MessageRow>,
}

impl Page {
    /// Takes a message in, if it also stands as is wanted. Whether the page is full.
    async fn take(&mut self, core: &Core, search: &Search, one: &Candidate) -> Result<bool, Refusal> {
        let (id, now) = (one.id.clone(), core.clock.now());
        let found = past::ask(core, move |views| past::find_whole(views, &id)).await?;
        // What used a number a second time is evidence, not the message of that number.
        let found = found.filter(|found| found.item.place == one.at);
        if let Some(found) = found.filter(|found| search.state_fits(one, found, now)) {
            self.rows.push(row(one, &found, now));
        }
        Ok(self.rows.len() >= search.rows)
    }

    fn more(self, at: MessageRef) -> pb::FindMessagesResponse {
        let mut next = Vec::with_capacity(12);
        next.extend(at.position.to_be_bytes());
        next.extend(at.n.to_be_bytes());
        pb::FindMessagesResponse { rows: self.rows, next: next.into(), looked_down_to: at.position }
    }

    fn done(self, looked_down_to: u64) -> pb::FindMessagesResponse {
        pb::FindMessagesResponse { rows: self.rows, next: Bytes::new(), looked_down_to }
    }
}

/// Where a page before has ended.
fn read_place(after: &[u8]) -> Result<Option<MessageRef>, Refusal> {
    if after.is_empty() {
        return Ok(None);
    }
    let place = after.split_first_chunk::<8>().and_then(|(position, n)| {
        let n = <[u8; 4]>::try_from(n).ok()?;
        Some(MessageRef { position: u64::from_be_bytes(*position), n: u32::from_be_bytes(n) })
    });
    place.map(Some).ok_or_else(|| Refusal::of(Reason::Malformed, "after"))
}

impl Candidate {
    /// What is open says all but what only its header holds.
    fn of(message: &Message) -> Self {
        Self {
            at: message.at,
            entered: message.accepted_at,
            id: message.id.clone(),
            kind: message.kind,
            refers_to: message.refers_to.clone(),
            conversation: None,
            operation: None,
            recipients: message.recipients.keys().copied().collect(),
            refused: None,
        }
    }

    async fn complete(&mut self, core: &Core) -> Result<(), Refusal> {
        let stored = core.recent.find(&*core.ledger, self.at).await?;
        let header = i247_wire::decode_header(&stored.envelope.header)?;
        (self.conversation, self.operation) = (header.conversation, header.operation);
        Ok(())
    }
}

/// The messages that an entry brought, in their order.
fn candidates(record: &Record) -> Result<Vec<Candidate>, Refusal> {
    let malformed = || Refusal::of(Reason::ReadOnly, "position");
    let entry = pb::Entry::decode(record.entry.clone()).map_err(|_| malformed())?;
    let (position, entered) = (record.position.0, Timestamp::from_millis(entry.at_ms));
    let mut found = Vec::new();
    let decision = entry.decision.and_then(|decision| decision.decision);
    let mut add = |n: u32, header: &Bytes, places: &[pb::Place], refused: Option<String>| {
        let Ok(header) = i247_wire::decode_header(header) else { return };
        found.push(Candidate {
            at: MessageRef { position, n },
            entered,
            id: header.id,
            kind: header.kind,
            refers_to: header.refers_to,
            conversation: header.conversation,
            operation: header.operation,
            recipients: places.iter().filter_map(|place| place.party.parse().ok()).collect(),
            refused,
        });
    };
    if let Some(pb::entry::Input::Submission(submission)) = &entry.input {
        match &decision {
            Some(pb::decision::Decision::Accepted(accepted)) => {
                add(0, &submission.header, &accepted.places, None);
            }
            Some(pb::decision::Decision::Void(refusal)) => {
                add(0, &submission.header, &[], Some(refusal.reason.clone()));
            }
            _ => {}
        }
    }
    if let Some(pb::decision::Decision::Fired(fired)) = &decision {
        for (n, (envelope, made)) in (1..).zip(entry.made.iter().zip(&fired.made)) {
            add(n, &envelope.header, &made.places, None);
        }
    }
    Ok(found)
}

async fn read(core: &Core, from: u64, upto: u64) -> Result<Vec<Record>, Refusal> {
    let unreadable = || Refusal::of(Reason::ReadOnly, "position");
    let mut records: Vec<Record> = Vec::new();
    let mut next = from;
    while next <= upto {
        let count = usize::try_from(upto - next + 1).unwrap_or(1);
        let part = core.ledger.read(Position(next), count, BLOCK_BYTES).await.map_err(|error| {
            tracing::error!(%error, position = next, "a search cannot read the log");
            unreadable()
        })?;
        let last = part.last().ok_or_else(unreadable)?;
        next = last.position.0 + 1;
        records.extend(part);
    }
    Ok(records)
}

/// The last entry that was stamped before a moment.
async fn last_before(core: &Core, moment: Timestamp, end: u64) -> Result<u64, Refusal> {
    let (mut before, mut behind) = (0, end + 1);
    while before + 1 < behind {
        let middle = before + (behind - before) / 2;
        let record = read(core, middle, middle).await?.into_iter().next();
        let entry = record.and_then(|record| pb::Entry::decode(record.entry).ok());
        let at_ms = entry.ok_or_else(|| Refusal::of(Reason::ReadOnly, "position"))?.at_ms;
        if at_ms < moment.as_millis() { before = middle } else { behind = middle }
    }
    Ok(before)
}

fn row(one: &Candidate, found: &Found, now: Timestamp) -> pb::MessageRow {
    let mut row = pb::MessageRow {
        id: one.id.to_string(),
        position: one.at.position,
        accepted_at_ms: one.entered.as_millis(),
        kind: pb::Kind::from(one.kind).into(),
        lane: pb::Lane::from(one.id.lane).into(),
        from: one.id.sender.party().to_string(),
        refers_to: one.refers_to.as_ref().map(ToString::to_string).unwrap_or_default(),
        conversation: one.conversation.as_ref().unwrap_or(&one.id).to_string(),
        operation: found.item.operation.clone().unwrap_or_default(),
        refused: one.refused.clone().unwrap_or_default(),
        closed: found.closed,
        ..pb::MessageRow::default()
    };
    let Some(message) = &found.message else { return row };
    row.to = message.recipients.keys().take(NAMED_MAX).map(ToString::to_string).collect();
    row.recipients = u32::try_from(message.recipients.len()).unwrap_or(u32::MAX);
    row.reply_by_ms = message.reply_by.map_or(0, Timestamp::as_millis);
    for recipient in message.recipients.values() {
        let count = match recipient.state {
            RecipientState::Queued | RecipientState::Held => &mut row.queued,
            RecipientState::Delivered => &mut row.delivered,
            RecipientState::Opened => &mut row.opened,
            RecipientState::Actioned => &mut row.actioned,
            RecipientState::Withdrawn | RecipientState::Expired | RecipientState::Refused => &mut row.ended,
        };
        *count += 1;
        row.answers_owed += u32::from(owes(recipient));
        row.answers_overdue += u32::from(is_overdue(recipient, now));
    }
    row
}
