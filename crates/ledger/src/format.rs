//! The bytes on the disk, format version 1. It must not do I/O or decide what damage means.
//!
//! Numbers are little-endian. A segment file is one header block, then groups; each begins on a block of 512 bytes.
//!
//! ```text
//! segment header   magic 8 | version 4 | 0 4 | sequence 8 | salt 8 | first position 8 | previous 32 | crc 4 | 0 …
//! group            magic 8 | kind 4 | count 4 | first position 8 | writer 8 | term 8 | subject 8 | previous 32 | crc 4
//!                  count × ( entry length 4 | entry crc 4 | body length 4, all ones for none )
//!                  entries, one after the other
//!                  bodies, each: mark 1 | crc 4 | bytes; all zeroes once erased
//!                  zeroes to the end of the block
//! ```
//!
//! A group's hash is SHA-256 over all of it up to the bodies; `previous` is the hash of the last group with entries.
//! Groups without entries (a stop, a noted erasure) stand outside that chain, so that two copies of one log agree
//! whatever stops each has seen. The head's checksum covers the table, and begins with the log's salt: contents
//! that come from elsewhere cannot pass for a group. A body's checksum continues the head's and its position, so
//! that a body is valid in its own place only.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use crc32c::crc32c_append;

use crate::{Body, Draft, MAX_ENTRY_BYTES, MAX_GROUP_DRAFTS, Position};

/// The unit of alignment, and the length of a segment's header.
pub(crate) const BLOCK: u64 = 512;
/// A group's head without the table.
pub(crate) const HEAD_BYTES: usize = 84;
const ROW_BYTES: usize = 12;
const FRAME_BYTES: usize = 5;
const FRAME_MARK: u8 = 0xB1;
const NO_BODY: u32 = u32::MAX;

const GROUP_MAGIC: &[u8; 8] = b"i247grp\n";
const SEGMENT_MAGIC: &[u8; 8] = b"i247log\n";
const VERSION: u32 = 1;
const HEAD_CRC_AT: usize = 80;
const SEGMENT_CRC_AT: usize = 72;

/// A SHA-256 hash; all zeroes before the first group.
pub(crate) type Hash = [u8; 32];

/// What a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entries,
    /// Notes that the body at `subject` is being erased.
    Erase,
    /// A clean stop.
    Close,
}

/// Who writes, and into which log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub salt: u64,
    pub writer: u64,
    pub term: u64,
}

/// The lengths and the checksum of one draft.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub entry_bytes: usize,
    pub entry_crc: u32,
    pub body_bytes: Option<usize>,
}

impl Row {
    /// What the body takes on the disk.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.body_bytes.map_or(0, |bytes| bytes + FRAME_BYTES)
    }
}

/// The head of a group, checked.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub kind: Kind,
    pub first: Position,
    pub writer: u64,
    pub term: u64,
    pub subject: Position,
    pub previous: Hash,
    pub crc: u32,
    pub rows: Vec<Row>,
    /// The bytes of head and table.
    pub raw: Vec<u8>,
}

impl Head {
    /// How long head and table are together, if the first [`HEAD_BYTES`] look like a group.
    pub(crate) fn table_end(prefix: &[u8]) -> Option<usize> {
        if prefix.get(..8)? != GROUP_MAGIC {
            return None;
        }
        let count = usize::try_from(u32_at(prefix, 12)?).ok()?;
        (count <= MAX_GROUP_DRAFTS).then_some(HEAD_BYTES + count * ROW_BYTES)
    }

    /// Reads head and table; `None` if anything in them is wrong.
    pub(crate) fn parse(raw: Vec<u8>, salt: u64) -> Option<Head> {
        if Head::table_end(&raw)? != raw.len() {
            return None;
        }
        let crc = u32_at(&raw, HEAD_CRC_AT)?;
        if crc != head_crc(&raw, salt) {
            return None;
        }
        let mut rows = Vec::with_capacity((raw.len() - HEAD_BYTES) / ROW_BYTES);
        for row in raw[HEAD_BYTES..].chunks_exact(ROW_BYTES) {
            let entry_bytes = usize::try_from(u32_at(row, 0)?).ok()?;
            let body = u32_at(row, 8)?;
            let body_bytes = if body == NO_BODY { None } else { Some(usize::try_from(body).ok()?) };
            if entry_bytes > MAX_ENTRY_BYTES || body_bytes.is_some_and(|bytes| bytes > MAX_ENTRY_BYTES) {
                return None;
            }
            rows.push(Row { entry_bytes, entry_crc: u32_at(row, 4)?, body_bytes });
        }
        let kind = match u32_at(&raw, 8)? {
            1 => Kind::Entries,
            2 => Kind::Erase,
            3 => Kind::Close,
            _ => return None,
        };
        if (kind == Kind::Entries) == rows.is_empty() {
            return None;
        }
        Some(Head {
            kind,
            first: Position(u64_at(&raw, 16)?),
            writer: u64_at(&raw, 24)?,
            term: u64_at(&raw, 32)?,
            subject: Position(u64_at(&raw, 40)?),
            previous: hash_at(&raw, 48)?,
            crc,
            rows,
            raw,
        })
    }

    /// The position behind the group.
    pub(crate) fn after(&self) -> Position {
        self.first.plus(self.rows.len() as u64)
    }

    /// Where the entries begin, from the group's begin.
    pub(crate) fn entries_at(&self) -> usize {
        self.raw.len()
    }

    /// Where the bodies begin, from the group's begin.
    pub(crate) fn bodies_at(&self) -> usize {
        self.entries_at() + self.rows.iter().map(|row| row.entry_bytes).sum::<usize>()
    }

    /// What the group takes on the disk.
    pub(crate) fn extent(&self) -> u64 {
        align(self.bodies_at() + self.rows.iter().map(Row::frame_bytes).sum::<usize>())
    }

    /// The group's hash, from the bytes of its entries.
    pub(crate) fn hash(&self, entries: &[u8]) -> Hash {
        let mut context = aws_lc_rs::digest::Context::new(&SHA256);
        context.update(&self.raw);
        context.update(entries);
        to_hash(context.finish().as_ref())
    }

    /// What a body's frame holds.
    pub(crate) fn body(&self, index: usize, frame: &Bytes) -> Body {
        if frame.is_empty() {
            return Body::None;
        }
        if frame.len() >= FRAME_BYTES && frame[0] == FRAME_MARK {
            let bytes = frame.slice(FRAME_BYTES..);
            let position = self.first.plus(index as u64);
            if u32_at(frame, 1) == Some(body_crc(self.crc, position, &bytes)) {
                return Body::Present(bytes);
            }
        }
        if frame.iter().all(|byte| *byte == 0) { Body::Erased } else { Body::Damaged }
    }
}

/// What a group says besides its drafts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    pub kind: Kind,
    pub first: Position,
    pub subject: Position,
    pub previous: Hash,
}

/// Builds a group in `buffer`, and returns its hash. The drafts are within their limits.
pub(crate) fn encode_group(buffer: &mut Vec<u8>, stamp: Stamp, heading: Heading, group: &[Draft]) -> Hash {
    buffer.clear();
    buffer.reserve(group_extent(group));
    buffer.extend_from_slice(GROUP_MAGIC);
    let kind: u32 = match heading.kind {
        Kind::Entries => 1,
        Kind::Erase => 2,
        Kind::Close => 3,
    };
    buffer.extend_from_slice(&kind.to_le_bytes());
    buffer.extend_from_slice(&length(group.len()).to_le_bytes());
    for number in [heading.first.0, stamp.writer, stamp.term, heading.subject.0] {
        buffer.extend_from_slice(&number.to_le_bytes());
    }
    buffer.extend_from_slice(&heading.previous);
    buffer.extend_from_slice(&[0; 4]);
    for draft in group {
        buffer.extend_from_slice(&length(draft.entry.len()).to_le_bytes());
        buffer.extend_from_slice(&crc32c_append(0, &draft.entry).to_le_bytes());
        let body = draft.body.as_ref().map_or(NO_BODY, |body| length(body.len()));
        buffer.extend_from_slice(&body.to_le_bytes());
    }
    let crc = head_crc(buffer, stamp.salt);
    buffer[HEAD_CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    for draft in group {
        buffer.extend_from_slice(&draft.entry);
    }
    let hash = to_hash(digest(&SHA256, buffer).as_ref());
    for (index, draft) in group.iter().enumerate() {
        if let Some(body) = &draft.body {
            buffer.push(FRAME_MARK);
            let position = heading.first.plus(index as u64);
            buffer.extend_from_slice(&body_crc(crc, position, body).to_le_bytes());
            buffer.extend_from_slice(body);
        }
    }
    let extent = buffer.len().next_multiple_of(BLOCK as usize);
    buffer.resize(extent, 0);
    hash
}

/// What the group will take on the disk.
pub(crate) fn group_extent(group: &[Draft]) -> usize {
    let drafts = group.iter().map(|draft| ROW_BYTES + FRAME_BYTES + draft.bytes()).sum::<usize>();
    (HEAD_BYTES + drafts).next_multiple_of(BLOCK as usize)
}

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub sequence: u64,
    pub salt: u64,
    pub first: Position,
    pub previous: Hash,
}

/// Why a block is no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotASegment {
    Damaged,
    /// Whole, but written by another version.
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; BLOCK as usize] {
        let mut block = [0; BLOCK as usize];
        block[..8].copy_from_slice(SEGMENT_MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        block[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        block[24..32].copy_from_slice(&self.salt.to_le_bytes());
        block[32..40].copy_from_slice(&self.first.0.to_le_bytes());
        block[40..SEGMENT_CRC_AT].copy_from_slice(&self.previous);
        let crc = crc32c_append(0, &block[..SEGMENT_CRC_AT]);
        block[SEGMENT_CRC_AT..SEGMENT_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        block
    }

    pub(crate) fn parse(block: &[u8]) -> Result<SegmentHeader, NotASegment> {
        SegmentHeader::fields(block).ok_or(NotASegment::Damaged)?
    }

    fn fields(block: &[u8]) -> Option<Result<SegmentHeader, NotASegment>> {
        if block.get(..8)? != SEGMENT_MAGIC {
            return None;
        }
        if u32_at(block, SEGMENT_CRC_AT)? != crc32c_append(0, &block[..SEGMENT_CRC_AT]) {
            return None;
        }
        let version = u32_at(block, 8)?;
        if version != VERSION {
            return Some(Err(NotASegment::Version(version)));
        }
        Some(Ok(SegmentHeader {
            sequence: u64_at(block, 16)?,
            salt: u64_at(block, 24)?,
            first: Position(u64_at(block, 32)?),
            previous: hash_at(block, 40)?,
        }))
    }
}

/// The name of a segment file.
pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{sequence:010}.log")
}

/// The sequence of a segment file, if the name is one.
pub(crate) fn segment_sequence(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(".log")?.parse().ok()?;
    (segment_name(sequence) == name).then_some(sequence)
}

/// Head and table without the checksum's own four bytes.
fn head_crc(raw: &[u8], salt: u64) -> u32 {
    let crc = crc32c_append(0, &salt.to_le_bytes());
    let crc = crc32c_append(crc, &raw[..HEAD_CRC_AT]);
    crc32c_append(crc, &raw[HEAD_BYTES..])
}

fn body_crc(head_crc: u32, position: Position, body: &[u8]) -> u32 {
    crc32c_append(crc32c_append(head_crc, &position.0.to_le_bytes()), body)
}

fn align(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(BLOCK)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("drafts are checked against limits far below 4 GiB")
}

fn to_hash(bytes: &[u8]) -> Hash {
    bytes.try_into().expect("SHA-256 has 32 bytes")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn hash_at(bytes: &[u8], at: usize) -> Option<Hash> {
    bytes.get(at..at + 32)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { salt: 7, writer: 2, term: 3 };

    fn group_of_one() -> (Vec<u8>, Hash) {
        let heading =
            Heading { kind: Kind::Entries, first: Position(5), subject: Position(0), previous: [9; 32] };
        let draft = Draft { entry: Bytes::from_static(b"entry"), body: Some(Bytes::from_static(b"body")) };
        let mut buffer = Vec::new();
        let hash = encode_group(&mut buffer, STAMP, heading, &[draft]);
        (buffer, hash)
    }

    #[test]
    fn the_stored_form_of_a_group_does_not_change() {
        let (buffer, _) = group_of_one();
        assert_eq!(buffer.len(), 512);
        assert_eq!(&buffer[..8], b"i247grp\n");
        assert_eq!(buffer[8..24], [1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buffer[24..48], [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buffer[48..80], [9; 32]);
        assert_eq!(buffer[84..88], [5, 0, 0, 0]);
        assert_eq!(buffer[92..96], [4, 0, 0, 0]);
        assert_eq!(&buffer[96..101], b"entry");
        assert_eq!(buffer[101], 0xB1);
        assert_eq!(&buffer[106..110], b"body");
        assert!(buffer[110..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn any_flipped_bit_in_head_and_table_is_seen() {
        let (buffer, _) = group_of_one();
        for bit in 0..96 * 8 {
            let mut raw = buffer[..96].to_vec();
            raw[bit / 8] ^= 1 << (bit % 8);
            assert!(Head::parse(raw, STAMP.salt).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn any_flipped_bit_in_a_body_is_seen() {
        let (buffer, _) = group_of_one();
        let head = Head::parse(buffer[..96].to_vec(), STAMP.salt).expect("whole");
        for bit in 0..9 * 8 {
            let mut frame = buffer[101..110].to_vec();
            assert_eq!(
                head.body(0, &Bytes::copy_from_slice(&frame)),
                Body::Present(Bytes::from_static(b"body"))
            );
            frame[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(head.body(0, &Bytes::from(frame)), Body::Damaged, "bit {bit}");
        }
        assert_eq!(head.body(0, &Bytes::from_static(&[0; 9])), Body::Erased);
    }

    #[test]
    fn a_group_of_another_log_is_none_of_ours() {
        let (buffer, _) = group_of_one();
        assert!(Head::parse(buffer[..96].to_vec(), 8).is_none());
    }

    #[test]
    fn the_hash_covers_head_table_and_entries_but_no_body() {
        let (buffer, hash) = group_of_one();
        let head = Head::parse(buffer[..96].to_vec(), STAMP.salt).expect("whole");
        assert_eq!(head.hash(b"entry"), hash);
        assert_ne!(head.hash(b"entrx"), hash);
        assert_eq!(head.bodies_at(), 101);
        assert_eq!(head.extent(), 512);
    }

    #[test]
    fn a_segment_header_reads_as_written_and_another_version_is_named() {
        let header = SegmentHeader { sequence: 1, salt: 2, first: Position(3), previous: [4; 32] };
        let mut block = header.encode();
        assert_eq!(SegmentHeader::parse(&block), Ok(header));
        block[8] = 2;
        assert_eq!(SegmentHeader::parse(&block), Err(NotASegment::Damaged));
        let crc = crc32c_append(0, &block[..SEGMENT_CRC_AT]);
        block[SEGMENT_CRC_AT..SEGMENT_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::parse(&block), Err(NotASegment::Version(2)));
    }

    #[test]
    fn only_segment_names_are_segments() {
        assert_eq!(segment_sequence("0000000012.log"), Some(12));
        for other in ["12.log", "lock", "0000000012.log.tmp", "+000000012.log", ""] {
            assert_eq!(segment_sequence(other), None, "{other}");
        }
    }
}
