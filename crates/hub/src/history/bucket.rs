//! What 64 mailbox numbers of one party and lane carry, and which of them were opened or actioned after the message
//! was closed. It must not know what became of the messages.

use i247_model::NumberRange;
use i247_router::MessageRef;

use super::HistoryError;

/// Numbers in a bucket.
const BUCKET: u64 = 64;

/// No message: positions begin at 1.
const NOTHING: MessageRef = MessageRef { position: 0, n: 0 };

/// The bucket of a number. Numbers begin at 1.
pub(super) fn of(number: u64) -> u64 {
    number.saturating_sub(1) / BUCKET
}

/// The place of a number in its bucket.
pub(super) fn offset(number: u64) -> usize {
    (number.saturating_sub(1) % BUCKET) as usize
}

/// The places in a bucket that a range covers, of those buckets that it touches.
pub(super) fn within(bucket: u64, numbers: NumberRange) -> std::ops::RangeInclusive<usize> {
    let first = if of(numbers.first) == bucket { offset(numbers.first) } else { 0 };
    let last = if of(numbers.last) == bucket { offset(numbers.last) } else { BUCKET as usize - 1 };
    first..=last
}

/// What the numbers carry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Bucket {
    messages: Vec<MessageRef>,
    /// Bit by place.
    opened: u64,
    actioned: u64,
}

impl Bucket {
    pub(super) fn place(&mut self, number: u64, message: MessageRef) {
        let at = offset(number);
        if at >= self.messages.len() {
            self.messages.resize(at + 1, NOTHING);
        }
        self.messages[at] = message;
    }

    /// The numbers from this one of the bucket on that carry something, with what they carry.
    pub(super) fn from(&self, first: u64) -> Vec<(u64, MessageRef)> {
        let behind = self.messages.iter().enumerate().skip(offset(first));
        let begin = first - offset(first) as u64;
        let carried = behind.filter(|(_, message)| **message != NOTHING);
        carried.map(|(at, message)| (begin + at as u64, *message)).collect()
    }

    /// Marks places, and returns the messages of those that were not marked so.
    pub(super) fn mark(
        &mut self,
        places: std::ops::RangeInclusive<usize>,
        actioned: bool,
    ) -> Vec<MessageRef> {
        let bits = if actioned { &mut self.actioned } else { &mut self.opened };
        let mut fresh = Vec::new();
        for at in places {
            let Some(message) = self.messages.get(at).filter(|message| **message != NOTHING) else {
                continue;
            };
            if *bits & (1 << at) == 0 {
                *bits |= 1 << at;
                fresh.push(*message);
            }
        }
        fresh
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), HistoryError> {
        let mut before = 0;
        let steps: Vec<(u64, u32)> = self
            .messages
            .iter()
            .map(|message| {
                let step = message.position.wrapping_sub(before);
                before = message.position;
                (step, message.n)
            })
            .collect();
        super::stored::append(&(self.opened, self.actioned, steps), bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HistoryError> {
        let (opened, actioned, steps): (u64, u64, Vec<(u64, u32)>) =
            postcard::from_bytes(bytes).map_err(|_| HistoryError::Row)?;
        let mut position: u64 = 0;
        let messages = steps
            .into_iter()
            .map(|(step, n)| {
                position = position.wrapping_add(step);
                MessageRef { position, n }
            })
            .collect();
        Ok(Self { messages, opened, actioned })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> MessageRef {
        MessageRef { position, n: 0 }
    }

    #[test]
    fn numbers_are_marked_once() {
        let mut bucket = Bucket::default();
        for number in 65..=70 {
            bucket.place(number, at(1000 + number));
        }
        let range = |first, last| within(1, NumberRange { first, last });
        assert_eq!(bucket.mark(range(60, 66), false), [at(1065), at(1066)]);
        assert_eq!(bucket.mark(range(66, 67), false), [at(1067)]);
        assert_eq!(bucket.mark(range(1, 500), true).len(), 6);
        assert_eq!(bucket.mark(range(1, 500), true), []);
    }

    #[test]
    fn what_numbers_carry_is_told_from_any_of_them_on() {
        let mut bucket = Bucket::default();
        for number in [65, 66, 68] {
            bucket.place(number, at(1000 + number));
        }
        assert_eq!(bucket.from(65), [(65, at(1065)), (66, at(1066)), (68, at(1068))]);
        assert_eq!(bucket.from(66), [(66, at(1066)), (68, at(1068))]);
        assert_eq!(bucket.from(69), []);
    }

    #[test]
    fn what_is_stored_comes_back() {
        let mut bucket = Bucket::default();
        bucket.place(3, MessageRef { position: 77, n: 2 });
        bucket.place(4, at(70));
        assert_eq!(bucket.mark(0..=3, true).len(), 2);
        let mut bytes = Vec::new();
        bucket.encode(&mut bytes).unwrap();
        assert_eq!(Bucket::decode(&bytes).unwrap(), bucket);
        assert!(Bucket::decode(&bytes[..3]).is_err());
    }
}
