//! Where each group lies, and the reading of records through that. It must not serve a byte that it did not check.

use std::io;
use std::path::Path;

use bytes::Bytes;
use crc32c::crc32c;

use crate::disk::{Disk, DiskFile, read_up_to};
use crate::format::{HEAD_BYTES, Head, segment_name};
use crate::{Body, Damage, DamageKind, Position, ReadError, Record};

/// How much is read to see a group's head; tables of more than about 340 rows need a second read.
const GLANCE_BYTES: usize = 4096;

/// Where each group with entries lies: 16 bytes a group.
#[derive(Debug, Default)]
pub(crate) struct Index {
    segments: Vec<SegmentIndex>,
}

/// The groups of one segment, in order.
#[derive(Debug)]
struct SegmentIndex {
    sequence: u64,
    groups: Vec<(Position, u64)>,
}

/// Where a group lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub sequence: u64,
    pub offset: u64,
}

impl Index {
    /// Notes a group behind all others.
    pub(crate) fn push(&mut self, place: Place, first: Position) {
        match self.segments.last_mut() {
            Some(segment) if segment.sequence == place.sequence => segment.groups.push((first, place.offset)),
            _ => self
                .segments
                .push(SegmentIndex { sequence: place.sequence, groups: vec![(first, place.offset)] }),
        }
    }

    /// Forgets the last group.
    pub(crate) fn pop(&mut self) {
        if let Some(segment) = self.segments.last_mut() {
            segment.groups.pop();
            if segment.groups.is_empty() {
                self.segments.pop();
            }
        }
    }

    /// The group that holds the position, if it is not before all.
    pub(crate) fn place(&self, position: Position) -> Option<Place> {
        let after = self.segments.partition_point(|segment| segment.groups[0].0 <= position);
        let segment = &self.segments[after.checked_sub(1)?];
        let after = segment.groups.partition_point(|(first, _)| *first <= position);
        let (_, offset) = segment.groups[after.checked_sub(1)?];
        Some(Place { sequence: segment.sequence, offset })
    }
}

/// What a look at a place in a segment shows.
pub(crate) enum Glance {
    Group(Head),
    /// No group, or one with a damaged head.
    Nothing,
}

/// Reads the head of the group at `offset`.
pub(crate) fn glance(file: &dyn DiskFile, offset: u64, salt: u64) -> io::Result<Glance> {
    let mut raw = vec![0; GLANCE_BYTES];
    let count = read_up_to(file, &mut raw, offset)?;
    raw.truncate(count);
    if raw.len() < HEAD_BYTES {
        return Ok(Glance::Nothing);
    }
    let Some(table_end) = Head::table_end(&raw) else { return Ok(Glance::Nothing) };
    if table_end > raw.len() {
        raw.resize(table_end, 0);
        if read_up_to(file, &mut raw, offset)? < table_end {
            return Ok(Glance::Nothing);
        }
    }
    raw.truncate(table_end);
    Ok(Head::parse(raw, salt).map_or(Glance::Nothing, Glance::Group))
}

/// Reads exactly `bytes` bytes; `None` if the file ends before.
pub(crate) fn stretch(file: &dyn DiskFile, offset: u64, bytes: usize) -> io::Result<Option<Bytes>> {
    let mut buffer = vec![0; bytes];
    let count = read_up_to(file, &mut buffer, offset)?;
    Ok((count == bytes).then(|| Bytes::from(buffer)))
}

/// What is wanted of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub from: Position,
    /// The last position to read.
    pub to: Position,
    pub records: usize,
    pub bytes: usize,
}

/// Reads records. Damage behind the first record ends the answer; the next read then names it.
pub(crate) fn read(
    disk: &dyn Disk,
    dir: &Path,
    salt: u64,
    wanted: Wanted,
    place_of: impl Fn(Position) -> Option<Place>,
) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    let mut left = wanted;
    let mut open: Option<(u64, std::sync::Arc<dyn DiskFile>)> = None;
    while left.from <= left.to && left.records > 0 {
        let Some(place) = place_of(left.from) else { break };
        let name = segment_name(place.sequence);
        let read = (|| {
            let file = match &open {
                Some((sequence, file)) if *sequence == place.sequence => file.clone(),
                _ => {
                    let file = disk.open_read(&dir.join(&name)).map_err(|e| unreadable(&name, &e))?;
                    open.insert((place.sequence, file)).1.clone()
                }
            };
            read_group(&*file, &name, place.offset, salt, left, records.is_empty())
        })();
        let group = match read {
            Ok(group) => group,
            Err(error) if records.is_empty() => return Err(error),
            Err(_) => break,
        };
        if group.is_empty() {
            break;
        }
        left.from = left.from.plus(group.len() as u64);
        left.records -= group.len();
        for record in &group {
            let body = if let Body::Present(bytes) = &record.body { bytes.len() } else { 0 };
            left.bytes = left.bytes.saturating_sub(record.entry.len() + body);
        }
        records.extend(group);
    }
    Ok(records)
}

/// Reads the wanted records of one group: at least one if `first`, else none when there are no bytes left.
fn read_group(
    file: &dyn DiskFile,
    name: &str,
    offset: u64,
    salt: u64,
    wanted: Wanted,
    first: bool,
) -> Result<Vec<Record>, ReadError> {
    let damage =
        |position, kind| ReadError::Damaged(Damage { file: name.to_owned(), offset, position, kind });
    let Glance::Group(head) = glance(file, offset, salt).map_err(|e| unreadable(name, &e))? else {
        return Err(damage(wanted.from, DamageKind::Group));
    };
    let skip = usize::try_from(wanted.from.0.wrapping_sub(head.first.0)).unwrap_or(usize::MAX);
    if skip >= head.rows.len() {
        return Err(damage(wanted.from, DamageKind::Chain));
    }
    let mut count = 0;
    let mut bytes = 0;
    for row in head.rows[skip..].iter().take(wanted.records) {
        bytes += row.entry_bytes + row.body_bytes.unwrap_or(0);
        if bytes > wanted.bytes && !(first && count == 0) {
            break;
        }
        count += 1;
    }
    let rows = &head.rows[skip..skip + count];
    let before = &head.rows[..skip];
    let entries_at = head.entries_at() + before.iter().map(|row| row.entry_bytes).sum::<usize>();
    let bodies_at = head.bodies_at() + before.iter().map(|row| row.frame_bytes()).sum::<usize>();
    let read = |at: usize, bytes: usize| {
        stretch(file, offset + at as u64, bytes)
            .map_err(|e| unreadable(name, &e))?
            .ok_or_else(|| damage(wanted.from, DamageKind::Group))
    };
    let mut entries = read(entries_at, rows.iter().map(|row| row.entry_bytes).sum())?;
    let mut frames = read(bodies_at, rows.iter().map(|row| row.frame_bytes()).sum())?;
    let mut records = Vec::with_capacity(count);
    for (index, row) in rows.iter().enumerate() {
        let position = wanted.from.plus(index as u64);
        let entry = entries.split_to(row.entry_bytes);
        if crc32c(&entry) != row.entry_crc {
            if records.is_empty() {
                return Err(damage(position, DamageKind::Entry));
            }
            break;
        }
        let body = head.body(skip + index, &frames.split_to(row.frame_bytes()));
        records.push(Record { position, entry, body });
    }
    Ok(records)
}

/// Where a body lies.
pub(crate) struct Frame {
    pub offset: u64,
    pub bytes: usize,
    pub body: Body,
}

/// Finds the body at `position` in the group at `place`.
pub(crate) fn find_frame(
    file: &dyn DiskFile,
    place: Place,
    salt: u64,
    position: Position,
) -> Result<Frame, ReadError> {
    let name = segment_name(place.sequence);
    let damage = || Damage { file: name.clone(), offset: place.offset, position, kind: DamageKind::Group };
    let Glance::Group(head) = glance(file, place.offset, salt).map_err(|e| unreadable(&name, &e))? else {
        return Err(ReadError::Damaged(damage()));
    };
    let index = usize::try_from(position.0.wrapping_sub(head.first.0)).unwrap_or(usize::MAX);
    let Some(row) = head.rows.get(index) else { return Err(ReadError::Damaged(damage())) };
    let before = head.rows[..index].iter().map(|row| row.frame_bytes()).sum::<usize>();
    let offset = place.offset + (head.bodies_at() + before) as u64;
    let bytes = row.frame_bytes();
    let frame = stretch(file, offset, bytes).map_err(|e| unreadable(&name, &e))?;
    let body = head.body(index, &frame.ok_or_else(|| ReadError::Damaged(damage()))?);
    Ok(Frame { offset, bytes, body })
}

pub(crate) fn unreadable(file: &str, error: &io::Error) -> ReadError {
    ReadError::Io { file: file.to_owned(), kind: error.kind() }
}
