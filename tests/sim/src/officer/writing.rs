//! What an officer writes, and when. It must not look at what the network does with it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Kind, Lane, MessageId};
use i247_node::Clock as _;
use i247_wire::pb;

use super::{Officer, now};
use crate::drafts;
use crate::record::Wish;
use crate::stall::Stall;

/// How many messages a rush has: more than may pass one that is less urgent.
const RUSH: u64 = 40;

/// How many messages a flood has, and how long each is, in bytes: more than a stream to a bureau and its line have room for.
const FLOOD: usize = 32;
const FLOOD_BYTES: usize = 60 * 1024;

/// The longest attachment, in bytes: more than goes into one frame.
const ATTACHMENT_MAX: u64 = 80 * 1024;

impl Officer {
    /// Writes something new.
    pub(super) fn write(&mut self) {
        if self.rushes > 0
            && let Some(away) = self.somebody_away()
        {
            self.rushes -= 1;
            return self.rush(away);
        }
        let lane = Lane::ALL[usize::try_from(self.dice.below(4)).unwrap_or(0)];
        let to = self.some_countries();
        let words = self.words("writes");
        // Best to somebody who may be back too late.
        let away = self.somebody_away().filter(|_| self.dice.one_in(3));
        if let Some(away) = away {
            let until = self.soon(500, 3_000);
            self.expiring(BTreeSet::from([away]), lane, words, until);
            return;
        }
        let (kind, draft) = match self.dice.below(8) {
            0 => {
                let until = self.soon(500, 8_000);
                return self.expiring(to, lane, words, until);
            }
            1 | 2 => {
                let by = self.soon(2_000, 20_000);
                (Kind::Request, drafts::question(&to, lane, &words, by))
            }
            3 | 4 => (Kind::Diffusion, drafts::diffusion(&to, lane, &words)),
            5 => {
                let barred = if self.dice.one_in(2) { to } else { BTreeSet::new() };
                let draft = drafts::notice_request(&barred, &words);
                self.wish(Kind::NoticeRequest, BTreeSet::new(), words, draft);
                return;
            }
            _ => (Kind::FreeText, drafts::free_text(&to, lane, &words)),
        };
        let attached = kind == Kind::FreeText && self.dice.one_in(3);
        let nth = self.wish(kind, to, words, draft);
        if attached {
            let content = self.some_bytes();
            self.record.borrow_mut().wishes[nth].attachment = content;
        }
    }

    /// Words that nobody needs from a time on.
    fn expiring(&mut self, to: BTreeSet<CountryCode>, lane: Lane, words: String, until: u64) {
        let draft = drafts::free_text(&to, lane, &words);
        self.wish(Kind::FreeText, to, words, pb::Draft { expires_at_ms: until, ..draft });
    }

    /// Many messages at once to somebody who is away: few that must not starve behind the others, or few that must
    /// not wait for them.
    fn rush(&mut self, to: CountryCode) {
        let starve = self.dice.one_in(2);
        let (few, many) = if starve { (Lane::Normal, Lane::VeryUrgent) } else { (Lane::Urgent, Lane::Bulk) };
        let to = BTreeSet::from([to]);
        for nth in 0..=RUSH {
            let first_or_last = if starve { nth == 0 } else { nth == RUSH };
            let (lane, words) = (if first_or_last { few } else { many }, self.words("hurries"));
            let draft = drafts::free_text(&to, lane, &words);
            self.wish(Kind::FreeText, to.clone(), words, draft);
        }
        self.record.borrow_mut().count("rush");
    }

    /// While a country stands still: floods it once, or writes to those who have no part in that.
    pub(super) fn write_beside(&mut self, stall: Stall) {
        if self.me == stall.flooder && !self.flooded {
            self.flooded = true;
            let to = BTreeSet::from([stall.country]);
            for _ in 0..FLOOD {
                let words = self.words("floods");
                let draft = drafts::long_text(&to, &words, FLOOD_BYTES);
                self.wish(Kind::FreeText, to.clone(), words, draft);
            }
        }
        let takes_part = |country: CountryCode| self.record.borrow().takes_part(country);
        if stall.spares(self.me) && takes_part(self.me) && self.pending.is_empty() {
            let others = self.countries.iter().copied();
            let linked = |country: &CountryCode| {
                *country != self.me && *country != stall.country && takes_part(*country)
            };
            let (to, words) = (others.filter(linked).collect(), self.words("goes on"));
            let draft = drafts::free_text(&to, Lane::Normal, &words);
            self.wish(Kind::FreeText, to, words, draft);
        }
    }

    pub(super) fn answer(&mut self, question: &str) {
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
        let words = self.words("answers");
        let draft = drafts::reply(&id, stage, &words);
        self.wish(Kind::Reply, BTreeSet::from([asker]), words, draft);
    }

    /// Takes a circular back.
    pub(super) fn take_back(&mut self) {
        let Some((id, audience, _)) = self.own(Kind::Diffusion, Kind::Withdrawal) else { return };
        // In a more urgent lane it could overtake what it ends.
        let own = id.parse::<MessageId>().map_or(Lane::Normal, |id| id.lane);
        let lane = if self.dice.one_in(2) { Lane::VeryUrgent } else { own };
        let words = self.words("takes back");
        let draft = drafts::withdrawal(&id, lane, &words);
        self.wish(Kind::Withdrawal, audience, words, draft);
    }

    /// Ends a notice that she asked for, published or not.
    pub(super) fn cancel(&mut self) {
        let Some((id, _, barred)) = self.own(Kind::NoticeRequest, Kind::Cancellation) else { return };
        let lane = if self.dice.one_in(2) { Lane::VeryUrgent } else { Lane::Normal };
        let words = self.words("cancels");
        let draft = drafts::cancellation(&id, lane, &words);
        let others =
            self.countries.iter().filter(|country| **country != self.me && !barred.contains(country));
        let audience = others.copied().collect();
        self.wish(Kind::Cancellation, audience, words, draft);
    }

    /// A message of hers that the desk took and that she has not ended yet, while somebody is away the newest; its
    /// audience, and whom it bars.
    fn own(&self, kind: Kind, end: Kind) -> Option<(String, BTreeSet<CountryCode>, BTreeSet<CountryCode>)> {
        let record = self.record.borrow();
        let ended = |id: &str| record.wishes.iter().any(|wish| wish.kind == end && wish.refers_to == id);
        let mine = record.wishes.iter().filter(|wish| wish.from == self.me && wish.kind == kind);
        let mut open = mine.filter_map(|wish| {
            let id = wish.id.clone()?;
            let open = !ended(&id) && wish.refused.is_none() && !wish.lost;
            open.then(|| (id, wish.audience.clone(), wish.barred.clone()))
        });
        if self.somebody_away().is_some() { open.next_back() } else { open.next() }
    }

    /// Keeps what she wants, and hands it in next; where it stands in the record.
    fn wish(
        &mut self,
        kind: Kind,
        audience: BTreeSet<CountryCode>,
        words: String,
        draft: pb::Draft,
    ) -> usize {
        let mut record = self.record.borrow_mut();
        let nth = record.wishes.len();
        record.count(&format!("written {kind}"));
        record.wishes.push(Wish {
            audience,
            barred: drafts::barred(&draft),
            refers_to: draft.refers_to.clone(),
            expires_at_ms: draft.expires_at_ms,
            reply_by_ms: draft.reply_by_ms,
            ..Wish::new(self.me, kind, words, now())
        });
        self.pending.push((nth, draft));
        nth
    }

    /// No two messages have the same words.
    fn words(&self, does: &str) -> String {
        format!("{} {does} {}", self.me, self.record.borrow().wishes.len())
    }

    /// A time in milliseconds since 1970, by a right clock.
    fn soon(&mut self, least_ms: u64, spread_ms: u64) -> u64 {
        let wait = Duration::from_millis(least_ms + self.dice.below(spread_ms));
        self.clock.now().plus(wait).as_millis()
    }

    fn some_bytes(&mut self) -> Bytes {
        let length = 1 + self.dice.below(ATTACHMENT_MAX);
        (0..length.div_ceil(8)).flat_map(|_| self.dice.roll().to_le_bytes()).collect()
    }

    /// At least one of the others.
    fn some_countries(&mut self) -> BTreeSet<CountryCode> {
        let others: Vec<_> = self.countries.iter().copied().filter(|country| *country != self.me).collect();
        let mut some: BTreeSet<_> = others.iter().copied().filter(|_| self.dice.one_in(2)).collect();
        let one = self.dice.below(others.len() as u64);
        some.insert(others[usize::try_from(one).unwrap_or(0)]);
        some
    }

    /// One of the others that has no line to the hub.
    pub(super) fn somebody_away(&self) -> Option<CountryCode> {
        let record = self.record.borrow();
        let away = |country: &&CountryCode| {
            **country != self.me
                && !record.revoked.contains_key(country)
                && !record.lines.is_joined(&country.to_lowercase())
        };
        self.countries.iter().find(away).copied()
    }
}
