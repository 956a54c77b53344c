//! How the entries of a run are packed, and how one of them is found. It must not touch a disk.
//!
//! ```text
//!   fingerprint:  | directory bits | the remainder |
//!   directory:    where the bucket of each value of these bits begins, counted in entries; and the end
//!   bucket:       | remainder … | value … |     so that a key which is not there costs the remainders alone
//! ```
//!
//! In memory each place of the directory also has a sieve of 32 bits, in which each entry of the bucket sets one: four of
//! five keys that are not there, or more, are done with after one miss of the cache, and a key that is there pays
//! nothing for it. (A BinaryFuse8 filter before the runs lets fewer through, but costs three misses, a byte an entry,
//! and some gigabytes of memory while it is made for 128 million; who finds something pays for it as well.)
//!
//! Remainders and values take as many whole bytes as they need, little end first. A bucket holds 4 to 8 entries on
//! average: the directory then costs two bytes an entry in memory at most, and a search two misses of the cache.

use i247_ledger::Position;

use super::Fingerprint;
use super::entry::{Entry, Value};

/// Loads take eight bytes at once: so many zeroes stand behind the last bucket in memory.
pub(super) const PADDING: usize = 8;
/// So many keys are looked for at once.
pub(super) const LANES: usize = 64;
/// Buckets longer than this are searched by halves. Only keys made on purpose, or shared by many records, fill one.
const LONG_BUCKET: u32 = 32;

/// How wide things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) directory_bits: u32,
    pub(super) remainder_bytes: usize,
    pub(super) value_bytes: usize,
}

impl Shape {
    pub(super) const DIRECTORY_BITS: std::ops::RangeInclusive<u32> = 8..=24;

    /// The shape for so many entries of a log of this length.
    pub(super) fn of(entries: u64, through: Position) -> Self {
        let whole = entries.max(1).ilog2().saturating_sub(2);
        let directory_bits = whole.clamp(*Self::DIRECTORY_BITS.start(), *Self::DIRECTORY_BITS.end());
        let value_bits = u64::BITS - Value::greatest(through).0.leading_zeros();
        Self::with(directory_bits, value_bits.div_ceil(8) as usize)
    }

    /// The shape with these widths.
    pub(super) fn with(directory_bits: u32, value_bytes: usize) -> Self {
        let remainder_bytes = (u64::BITS - directory_bits).div_ceil(8) as usize;
        Self { directory_bits, remainder_bytes, value_bytes }
    }

    /// How many buckets there are.
    pub(super) fn buckets(self) -> usize {
        1 << self.directory_bits
    }

    /// What an entry takes, in bytes.
    pub(super) fn width(self) -> usize {
        self.remainder_bytes + self.value_bytes
    }

    /// The bucket of a fingerprint.
    pub(super) fn bucket(self, fingerprint: u64) -> usize {
        (fingerprint >> (u64::BITS - self.directory_bits)) as usize
    }

    /// What the bucket does not say.
    pub(super) fn remainder(self, fingerprint: u64) -> u64 {
        fingerprint & (u64::MAX >> self.directory_bits)
    }

    /// The fingerprint again.
    pub(super) fn fingerprint(self, bucket: usize, remainder: u64) -> u64 {
        (bucket as u64) << (u64::BITS - self.directory_bits) | remainder
    }

    /// The greatest value that fits.
    pub(super) fn greatest_value(self) -> u64 {
        mask(self.value_bytes)
    }
}

/// The lowest so many bytes.
fn mask(bytes: usize) -> u64 {
    u64::MAX >> (u64::BITS - 8 * bytes as u32)
}

/// Packs entries that come sorted.
#[derive(Debug)]
pub(super) struct Packer {
    shape: Shape,
    directory: Vec<u32>,
    bucket: Vec<Entry>,
    /// The bucket that is open.
    open: usize,
    packed: u32,
}

impl Packer {
    pub(super) fn new(shape: Shape) -> Self {
        let mut directory = Vec::with_capacity(shape.buckets() + 1);
        directory.push(0);
        Self { shape, directory, bucket: Vec::new(), open: 0, packed: 0 }
    }

    /// Takes the next entry, and puts a bucket that is complete at the end of `out`. The caller keeps to the order and
    /// to at most `u32::MAX` entries.
    pub(super) fn push(&mut self, entry: Entry, out: &mut Vec<u8>) {
        let bucket = self.shape.bucket(entry.fingerprint);
        if bucket != self.open {
            self.close_up_to(bucket, out);
        }
        self.bucket.push(entry);
    }

    /// Puts the last bucket at the end of `out`, and returns the directory.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Vec<u32> {
        self.close_up_to(self.shape.buckets(), out);
        self.directory
    }

    fn close_up_to(&mut self, bucket: usize, out: &mut Vec<u8>) {
        for entry in &self.bucket {
            let remainder = self.shape.remainder(entry.fingerprint);
            out.extend_from_slice(&remainder.to_le_bytes()[..self.shape.remainder_bytes]);
        }
        for entry in &self.bucket {
            out.extend_from_slice(&entry.value.0.to_le_bytes()[..self.shape.value_bytes]);
        }
        self.packed += self.bucket.len() as u32;
        self.bucket.clear();
        self.directory.resize(bucket + 1, self.packed);
        self.open = bucket;
    }
}

/// Packed entries in memory.
#[derive(Debug)]
pub(super) struct Packed {
    shape: Shape,
    /// One for each bucket, and one for the end.
    directory: Vec<Place>,
    /// The buckets, and [`PADDING`].
    bytes: Vec<u8>,
}

/// What the directory says of a bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    sieve: u32,
}

/// The bit that an entry sets in its bucket's sieve.
fn sieve_bit(remainder: u64) -> u32 {
    1 << (remainder & 31)
}

/// Where a bucket begins and ends, counted in entries.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    start: u32,
    end: u32,
}

/// The entries of one fingerprint: some of a bucket, counted from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    bucket: Bucket,
    from: u32,
    to: u32,
}

impl Span {
    fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// How many there are.
    pub(super) fn len(self) -> usize {
        (self.to - self.from) as usize
    }
}

impl Packed {
    /// Takes what a packer made, and [`PADDING`] behind the buckets; the directory rises, from 0 to how many there are.
    pub(super) fn new(shape: Shape, starts: impl Iterator<Item = u32>, bytes: Vec<u8>) -> Self {
        let mut directory = Vec::with_capacity(shape.buckets() + 1);
        directory.extend(starts.map(|start| Place { start, sieve: 0 }));
        let mut packed = Self { shape, directory, bytes };
        for number in 0..shape.buckets() {
            let bucket = packed.whole_bucket(number);
            let bits = (0..bucket.end - bucket.start).map(|at| sieve_bit(packed.remainder(bucket, at)));
            packed.directory[number].sieve = bits.fold(0, |sieve, bit| sieve | bit);
        }
        packed
    }

    /// How wide things are.
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Where each bucket begins, and the end.
    pub(super) fn starts(&self) -> impl Iterator<Item = u32> + '_ {
        self.directory.iter().map(|place| place.start)
    }

    /// The buckets as they lie in a file.
    pub(super) fn buckets(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - PADDING]
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u32 {
        self.directory.last().map_or(0, |end| end.start)
    }

    /// What all of it takes in memory, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.bytes.len() + size_of_val(&self.directory[..])) as u64
    }

    /// Finds a key.
    pub(super) fn find_one(&self, key: Fingerprint) -> Option<Span> {
        let span = self.find(self.bucket(key.0), key.0);
        (!span.is_empty()).then_some(span)
    }

    /// Finds up to [`LANES`] keys at once, and names those that are there with their number.
    ///
    /// Memory is slow and answers many questions at a time: each look is made for all keys before the next one, so
    /// that the processor waits for them together.
    pub(super) fn find_all(&self, keys: &[Fingerprint], mut found: impl FnMut(usize, Span)) {
        let mut buckets = [Bucket::default(); LANES];
        for (bucket, key) in buckets.iter_mut().zip(keys) {
            *bucket = self.bucket(key.0);
        }
        let mut touched = 0;
        for &bucket in &buckets[..keys.len().min(LANES)] {
            touched ^= self.touch(bucket);
        }
        // The bytes mean nothing: that they were read is the point.
        std::hint::black_box(touched);
        for (number, (&bucket, key)) in buckets.iter().zip(keys).enumerate() {
            let span = self.find(bucket, key.0);
            if !span.is_empty() {
                found(number, span);
            }
        }
    }

    /// The first look: the directory. A bucket without the key is as good as empty, and lies where the cache has it.
    fn bucket(&self, fingerprint: u64) -> Bucket {
        let number = self.shape.bucket(fingerprint);
        let place = self.directory[number];
        if place.sieve & sieve_bit(fingerprint) == 0 {
            return Bucket::default();
        }
        Bucket { start: place.start, end: self.directory[number + 1].start }
    }

    /// The second look, which only brings the bucket's first bytes near.
    fn touch(&self, bucket: Bucket) -> u8 {
        self.bytes[self.offset(bucket)]
    }

    /// The third look: the entries of the fingerprint.
    fn find(&self, bucket: Bucket, fingerprint: u64) -> Span {
        let wanted = self.shape.remainder(fingerprint);
        let len = bucket.end - bucket.start;
        let mut from = 0;
        if len <= LONG_BUCKET {
            // Counting has no branch that depends on what is found.
            for at in 0..len {
                from += u32::from(self.remainder(bucket, at) < wanted);
            }
        } else {
            from = lower_bound(len, |at| self.remainder(bucket, at) < wanted);
        }
        let mut to = from;
        if from < len && self.remainder(bucket, from) == wanted {
            to = if len <= LONG_BUCKET {
                (from..len).take_while(|&at| self.remainder(bucket, at) == wanted).count() as u32 + from
            } else {
                lower_bound(len, |at| self.remainder(bucket, at) <= wanted)
            };
        }
        Span { bucket, from, to }
    }

    /// The value number `at` of the span, from 0 on.
    pub(super) fn value(&self, span: Span, at: usize) -> Value {
        let len = (span.bucket.end - span.bucket.start) as usize;
        let offset = self.offset(span.bucket)
            + len * self.shape.remainder_bytes
            + (span.from as usize + at) * self.shape.value_bytes;
        Value(self.load(offset) & mask(self.shape.value_bytes))
    }

    /// All entries, sorted.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.shape.buckets()).flat_map(move |number| {
            let bucket = self.whole_bucket(number);
            let len = bucket.end - bucket.start;
            let span = Span { bucket, from: 0, to: len };
            (0..len).map(move |at| Entry {
                fingerprint: self.shape.fingerprint(number, self.remainder(bucket, at)),
                value: self.value(span, at as usize),
            })
        })
    }

    fn whole_bucket(&self, number: usize) -> Bucket {
        Bucket { start: self.directory[number].start, end: self.directory[number + 1].start }
    }

    fn offset(&self, bucket: Bucket) -> usize {
        bucket.start as usize * self.shape.width()
    }

    fn remainder(&self, bucket: Bucket, at: u32) -> u64 {
        let offset = self.offset(bucket) + at as usize * self.shape.remainder_bytes;
        self.load(offset) & mask(self.shape.remainder_bytes)
    }

    fn load(&self, offset: usize) -> u64 {
        let bytes: &[u8; 8] =
            self.bytes[offset..].first_chunk().expect("the padding stands behind the last bucket");
        u64::from_le_bytes(*bytes)
    }
}

/// How many of the first `len` are below, when those that are come first.
fn lower_bound(len: u32, below: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_four_to_eight_entries_on_average() {
        let bits = |entries| Shape::of(entries, Position(1)).directory_bits;
        assert_eq!(bits(0), 8);
        assert_eq!(bits(1_000_000), 17);
        assert_eq!(bits(20_000_000), 22);
        assert_eq!(bits(128_000_000), 24);
        assert_eq!(bits(4_000_000_000), 24);
    }

    #[test]
    fn an_entry_of_128_million_takes_eleven_bytes() {
        let shape = Shape::of(128_000_000, Position(128_000_000));
        assert_eq!((shape.remainder_bytes, shape.value_bytes), (5, 6));
    }

    #[test]
    fn a_fingerprint_is_put_together_again() {
        for bits in Shape::DIRECTORY_BITS {
            let shape = Shape::with(bits, 1);
            for fingerprint in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 63] {
                let bucket = shape.bucket(fingerprint);
                assert_eq!(shape.fingerprint(bucket, shape.remainder(fingerprint)), fingerprint);
            }
        }
    }
}
