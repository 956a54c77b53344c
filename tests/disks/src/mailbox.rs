//! What one recipient was given, held against the book. It must not believe the order in which anybody lists it later.

use std::collections::BTreeMap;
use std::fmt;

use i247_model::{CountryCode, Lane, MessageId, Sender};

use crate::book::{Book, Receipt};

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Broken {
    /// It was promised and did not come.
    Lost { message: String, at: CountryCode },
    /// It came twice.
    Doubled { message: String, at: CountryCode },
    /// It came behind a later one of its sender and lane.
    Reordered { message: String, at: CountryCode },
    /// Nobody sent it, or not to there.
    Stray { message: String, at: CountryCode },
    /// Something else, in words.
    Otherwise(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { message, at } => write!(f, "{message} was promised and is not at {at}"),
            Self::Doubled { message, at } => write!(f, "{message} came to {at} twice"),
            Self::Reordered { message, at } => write!(f, "{message} came to {at} behind a later one"),
            Self::Stray { message, at } => write!(f, "{message} came to {at}, and nobody sent it there"),
            Self::Otherwise(what) => f.write_str(what),
        }
    }
}

/// How often each promise was broken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) reordered: usize,
    pub(crate) stray: usize,
    pub(crate) otherwise: usize,
}

impl Counts {
    pub(crate) fn of(found: &[Broken]) -> Self {
        let mut counts = Self::default();
        for one in found {
            *match one {
                Broken::Lost { .. } => &mut counts.lost,
                Broken::Doubled { .. } => &mut counts.doubled,
                Broken::Reordered { .. } => &mut counts.reordered,
                Broken::Stray { .. } => &mut counts.stray,
                Broken::Otherwise(_) => &mut counts.otherwise,
            } += 1;
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, reordered, stray, otherwise } = self;
        write!(f, "{lost} lost, {doubled} doubled, {reordered} reordered, {stray} stray")?;
        if *otherwise > 0 { write!(f, ", {otherwise} otherwise") } else { Ok(()) }
    }
}

/// One recipient's.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    at: CountryCode,
    given: BTreeMap<String, MessageId>,
    /// The last number that came of each sender, epoch and lane.
    last: BTreeMap<(Sender, u64, Lane), u64>,
    order: Vec<MessageId>,
}

impl Mailbox {
    pub(crate) fn new(at: CountryCode) -> Self {
        Self { at, given: BTreeMap::new(), last: BTreeMap::new(), order: Vec::new() }
    }

    /// A message comes; what is wrong with that.
    pub(crate) fn takes(&mut self, id: MessageId, text: &str, book: &Book) -> Vec<Broken> {
        let (message, at) = (format!("{id} ({text})"), self.at);
        let mut broken = Vec::new();
        if !book.was_offered(text, at) {
            broken.push(Broken::Stray { message: message.clone(), at });
        }
        let line = (id.sender.clone(), id.epoch, id.lane);
        let before = self.last.insert(line, id.number);
        self.order.push(id.clone());
        if self.given.insert(text.to_owned(), id.clone()).is_some() {
            broken.push(Broken::Doubled { message, at });
        } else if before.is_some_and(|before| before >= id.number) {
            broken.push(Broken::Reordered { message, at });
        }
        broken
    }

    /// Whether this promise is kept, as far as it is this recipient's business. Under another id it is another message.
    pub(crate) fn has(&self, receipt: &Receipt) -> bool {
        !receipt.to.contains(&self.at) || self.given.get(&receipt.text) == Some(&receipt.id)
    }

    /// What of these promises was not kept.
    pub(crate) fn lacks<'a>(&self, receipts: impl IntoIterator<Item = &'a Receipt>) -> Vec<Broken> {
        let lost = receipts.into_iter().filter(|receipt| !self.has(receipt));
        let tell = |receipt: &Receipt| format!("{} ({})", receipt.id, receipt.text);
        lost.map(|receipt| Broken::Lost { message: tell(receipt), at: self.at }).collect()
    }

    /// Everything that came, in the order in which it came.
    pub(crate) fn order(&self) -> &[MessageId] {
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn code(text: &str) -> CountryCode {
        text.parse().unwrap()
    }

    /// France promised two messages to Brazil, and a third is on its way.
    fn book() -> Book {
        let mut book = Book::default();
        let to = BTreeSet::from([code("BR")]);
        for (id, text) in [("FR-1-N-1", "one"), ("FR-1-N-2", "two")] {
            book.offers(text, &to);
            book.holds(Receipt { id: id.parse().unwrap(), text: text.into(), to: to.clone() });
        }
        book.offers("three", &to);
        book
    }

    fn given(messages: &[(&str, &str)]) -> (Counts, usize) {
        let book = book();
        let mut mailbox = Mailbox::new(code("BR"));
        let mut broken = Vec::new();
        for (id, text) in messages {
            broken.extend(mailbox.takes(id.parse().unwrap(), text, &book));
        }
        broken.extend(mailbox.lacks(book.receipts()));
        (Counts::of(&broken), mailbox.order().len())
    }

    #[test]
    fn all_in_order_is_good_and_so_is_what_was_not_promised_yet() {
        let (counts, came) = given(&[("FR-1-N-1", "one"), ("FR-1-N-2", "two"), ("FR-1-N-3", "three")]);
        assert_eq!((counts.to_string(), came), ("0 lost, 0 doubled, 0 reordered, 0 stray".into(), 3));
    }

    #[test]
    fn what_does_not_come_is_lost() {
        assert_eq!(given(&[("FR-1-N-1", "one")]).0.lost, 1);
    }

    #[test]
    fn a_second_one_under_another_id_is_doubled() {
        let (counts, _) = given(&[("FR-1-N-1", "one"), ("FR-1-N-2", "two"), ("FR-1-N-3", "two")]);
        assert_eq!((counts.doubled, counts.lost), (1, 1));
    }

    #[test]
    fn a_later_one_before_it_is_reordered() {
        assert_eq!(given(&[("FR-1-N-2", "two"), ("FR-1-N-1", "one")]).0.reordered, 1);
    }

    #[test]
    fn what_nobody_sent_is_stray() {
        assert_eq!(given(&[("FR-1-N-1", "one"), ("FR-1-N-2", "twO")]).0.stray, 1);
    }
}
