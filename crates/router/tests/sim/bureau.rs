//! Bureaus in the simulation: streams, journals and receipts, each number checked as it comes.

use i247_model::{CountryCode, Lane, LaneReceipt, NumberRange, Party, Reason, Receipts};
use i247_router::{Cursor, Decision, Input, STARVATION_BOUND};

use crate::record::Record;
use crate::sent::Fate;
use crate::world::World;

/// A bureau's end of a stream, as the bureau sees it.
pub(crate) struct Stream {
    pub(crate) cursor: Cursor,
    pub(crate) handed: [u64; 4],
    passed: [u32; 4],
}

impl World {
    pub(crate) fn connect(&mut self, country: CountryCode) {
        let party = Party::Bureau(country);
        if self.record.is_active(party) {
            let handed = self.journal.get(&party).copied().unwrap_or_default();
            let stream = Stream { cursor: self.state.cursor(party), handed, passed: [0; 4] };
            self.streams.insert(party, stream);
        }
    }

    /// The line goes down: what was not acknowledged is forgotten.
    pub(crate) fn cut(&mut self, country: CountryCode) {
        self.streams.remove(&country.into());
    }

    /// The hub hands one number to a bureau, which checks it.
    pub(crate) fn hand(&mut self, country: CountryCode) -> bool {
        let party = Party::Bureau(country);
        let Some(stream) = self.streams.get_mut(&party) else { return false };
        let ready = ready(&self.record, party, &stream.handed);
        let Some(delivery) = self.state.next_delivery(&mut stream.cursor) else {
            assert_eq!(ready, [false; 4], "{party} waits for ever");
            return false;
        };
        let lane = delivery.lane.index();
        stream.handed[lane] += 1;
        assert_eq!(delivery.number, stream.handed[lane], "the mailbox of {party} has a hole");
        assert!(ready[lane], "{party} got something before what it refers to");
        for (passed, ready) in stream.passed.iter_mut().zip(ready).skip(lane + 1) {
            *passed += u32::from(ready);
            assert!(*passed <= STARVATION_BOUND, "{party} starves");
        }
        stream.passed[lane] = 0;
        let mail = &self.record.mail[&party][lane];
        let sent = self.record.sent.nth(mail[delivery.number as usize - 1]);
        let id = &sent.id;
        assert_eq!((delivery.message.position, u64::from(delivery.message.n)), sent.at, "another message");
        let copy = sent.copies.get(&party).expect("nobody else ever gets it");
        assert_ne!(copy.fate, Fate::Delivered, "{id} was delivered twice");
        assert_eq!(delivery.gap.is_some(), copy.fate == Fate::Gone, "{id} at {party}");
        let starved = stream.passed.contains(&STARVATION_BOUND);
        self.see(if delivery.gap.is_some() { "gap" } else { "delivery" });
        if starved {
            self.see("starvation bound reached");
        }
        true
    }

    /// A bureau writes what it got to its journal and signs for it, sometimes for less, sometimes twice.
    pub(crate) fn acknowledge(&mut self, country: CountryCode) {
        let party = Party::Bureau(country);
        let Some(stream) = self.streams.get(&party) else { return };
        let handed = stream.handed;
        let journal = self.journal.entry(party).or_default();
        let before = *journal;
        let mut lanes = Vec::new();
        for lane in Lane::ALL {
            let (from, to) = (journal[lane.index()], handed[lane.index()]);
            let up_to = if self.dice.once_in(4) { from + self.dice.below(to - from + 1) } else { to };
            journal[lane.index()] = up_to;
            let range = (up_to > 0).then(|| {
                let first = 1 + self.dice.below(up_to);
                NumberRange { first, last: first + self.dice.below(up_to - first + 1) }
            });
            let opened = range.into_iter().filter(|_| self.dice.once_in(2)).collect();
            let actioned = range.into_iter().filter(|_| self.dice.once_in(3)).collect();
            // An old receipt that comes late takes nothing back.
            let stale = self.dice.once_in(6) && range.is_none();
            lanes.push(LaneReceipt {
                lane,
                delivered_up_to: if stale { 0 } else { up_to },
                opened,
                actioned,
            });
        }
        let journal = *journal;
        let receipts = Receipts { party, lanes, signed_at: self.now };
        let mut wild = receipts.clone();
        wild.lanes[0].delivered_up_to =
            self.record.mail.get(&party).map_or(0, |mail| mail[0].len()) as u64 + 1;
        assert_eq!(self.input(Input::Receipts(wild)), Err(Reason::WrongField));
        assert_eq!(self.input(Input::Receipts(receipts)), Ok(Decision::Noted));
        let Some(mail) = self.record.mail.get(&party) else { return };
        for (mail, (before, after)) in mail.iter().zip(before.into_iter().zip(journal)) {
            for place in &mail[before as usize..after as usize] {
                let copy = self.record.sent.change_nth(*place).copies.get_mut(&party).unwrap();
                if copy.fate == Fate::Waiting {
                    copy.fate = Fate::Delivered;
                }
            }
        }
    }

    pub(crate) fn journal_of(&self, country: CountryCode) -> [u64; 4] {
        self.journal.get(&country.into()).copied().unwrap_or_default()
    }
}

/// Per lane, whether its next number may be handed out.
fn ready(record: &Record, party: Party, handed: &[u64; 4]) -> [bool; 4] {
    let Some(mail) = record.mail.get(&party) else { return [false; 4] };
    std::array::from_fn(|lane| {
        let Some(place) = mail[lane].get(handed[lane] as usize) else { return false };
        let copy = &record.sent.nth(*place).copies[&party];
        copy.fate == Fate::Gone || copy.waits_for.is_none_or(|(lane, number)| handed[lane.index()] >= number)
    })
}
