//! Walks a whole log, verifies the chain and finds the end. It must not change anything.
//!
//! A group is written only after the one before is synced. So whatever lies behind a bad group proves that it once
//! was whole: that is damage. Only what nothing lies behind may be torn.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crc32c::crc32c;

use crate::disk::{Disk, DiskFile, read_up_to};
use crate::format::{BLOCK, Hash, Head, Kind, NotASegment, SegmentHeader, segment_name, segment_sequence};
use crate::index::{Glance, Index, Place, glance, stretch};
use crate::{Body, Damage, DamageKind, Position};

/// How much is searched with one read, in bytes.
const SEARCH_BYTES: usize = 256 * 1024;

/// What a scan looks at besides the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Entries up to here are not read: a snapshot vouches for them.
    pub trusted_to: Position,
    /// Whether all bodies are read, or only those of the last group.
    pub bodies: bool,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub index: Index,
    pub segments: u64,
    pub groups: u64,
    pub salt: u64,
    pub end: Position,
    /// The hash of the last group with entries.
    pub hash: Hash,
    pub damage: Vec<Damage>,
    /// Where the next group belongs; `None` while there is no segment.
    pub tail: Option<Place>,
    /// Where the torn group lay that is not part of the log.
    pub torn: Option<Damage>,
    /// The last group of any kind.
    pub last: Option<Last>,
    /// Writer and term of the last whole head.
    pub author: Option<(u64, u64)>,
    pub bodies: Bodies,
}

/// How many bodies are in which state, as far as they were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bodies {
    pub present: u64,
    pub erased: u64,
    pub damaged: u64,
}

/// The last group, and what was before it.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub place: Place,
    pub head: Head,
}

/// Why a log cannot be walked.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io { file: String, source: io::Error },
    Version { file: String, version: u32 },
}

/// Walks the log in `dir`.
pub(crate) fn scan(disk: &dyn Disk, dir: &Path, depth: Depth) -> Result<Scan, ScanError> {
    let names = disk.list(dir).map_err(|source| ScanError::Io { file: String::new(), source })?;
    let sequences: Vec<u64> = names.iter().filter_map(|name| segment_sequence(name)).collect();
    let mut walk = Walk {
        scan: Scan::default(),
        depth,
        next: Position(1),
        link: Some([0; 32]),
        gap: None,
        pending: None,
    };
    for (index, sequence) in sequences.iter().enumerate() {
        let name = segment_name(*sequence);
        let failed = |source| ScanError::Io { file: segment_name(*sequence), source };
        let file = disk.open_read(&dir.join(&name)).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let segment = Segment { name, sequence: *sequence, bytes, last: index + 1 == sequences.len(), file };
        walk.header(&segment)?;
        walk.groups(&segment).map_err(failed)?;
    }
    walk.finish()
}

/// The segment that is walked.
struct Segment {
    name: String,
    sequence: u64,
    bytes: u64,
    last: bool,
    file: Arc<dyn DiskFile>,
}

struct Walk {
    scan: Scan,
    depth: Depth,
    /// The position that comes next.
    next: Position,
    /// The hash that the next group must name; `None` where it is not known.
    link: Option<Hash>,
    /// A stretch without groups, ahead of what is read next.
    gap: Option<Gap>,
    /// The last group with entries, as long as nothing behind proves that it was whole.
    pending: Option<Pending>,
}

/// A stretch without groups.
struct Gap {
    sequence: u64,
    offset: u64,
    /// Not all zeroes.
    dirty: bool,
}

/// A group whose bodies were not looked at.
struct Pending {
    file: Arc<dyn DiskFile>,
    place: Place,
    head: Head,
}

impl Walk {
    fn header(&mut self, segment: &Segment) -> Result<(), ScanError> {
        let failed = |source| ScanError::Io { file: segment.name.clone(), source };
        // A later segment was begun only after all before it was synced.
        self.settle().map_err(failed)?;
        self.scan.segments += 1;
        if segment.sequence != self.scan.segments && !self.is_lost() {
            self.damage_at(&segment_name(self.scan.segments), 0, DamageKind::Missing);
            self.link = None;
            self.gap = None;
        }
        let mut block = [0; BLOCK as usize];
        let count = read_up_to(&*segment.file, &mut block, 0).map_err(failed)?;
        match SegmentHeader::parse(&block[..count]) {
            Ok(header) if header.sequence == segment.sequence => {
                self.scan.salt = header.salt;
                self.follow(segment, 0, header.first, header.previous);
                Ok(())
            }
            Err(NotASegment::Version(version)) => {
                Err(ScanError::Version { file: segment.name.clone(), version })
            }
            Ok(_) | Err(NotASegment::Damaged) => {
                self.damage_at(&segment.name, 0, DamageKind::Segment);
                self.link = None;
                Ok(())
            }
        }
    }

    fn groups(&mut self, segment: &Segment) -> io::Result<()> {
        let mut offset = BLOCK;
        while offset < segment.bytes {
            if let Glance::Group(head) = glance(&*segment.file, offset, self.scan.salt)?
                && offset + head.extent() <= segment.bytes
            {
                let behind = offset + head.extent();
                if !self.group(segment, offset, head)? {
                    return Ok(());
                }
                offset = behind;
                continue;
            }
            let found = search(segment, offset, self.scan.salt)?;
            if found.group.is_none() && segment.last {
                self.scan.tail = Some(Place { sequence: segment.sequence, offset });
                if found.dirty {
                    // What was begun behind the last group proves it.
                    self.settle()?;
                    self.torn_at(segment.sequence, offset);
                }
                return Ok(());
            }
            self.gap = Some(Gap { sequence: segment.sequence, offset, dirty: found.dirty });
            let Some(at) = found.group else { return Ok(()) };
            offset = at;
        }
        self.scan.tail = Some(Place { sequence: segment.sequence, offset });
        Ok(())
    }

    /// Takes one group with a whole head into the log; `false` if it is torn, and the log ends before it.
    fn group(&mut self, segment: &Segment, offset: u64, head: Head) -> io::Result<bool> {
        self.settle()?;
        let place = Place { sequence: segment.sequence, offset };
        let mut hash = None;
        if head.kind == Kind::Entries && head.after() > self.depth.trusted_to.next() {
            match verify_entries(&*segment.file, offset, &head)? {
                Ok(verified) => hash = Some(verified),
                Err(position) => {
                    let behind = search(segment, offset + head.extent(), self.scan.salt)?;
                    if segment.last && behind.group.is_none() && !behind.dirty {
                        self.scan.tail = Some(place);
                        self.torn_at(segment.sequence, offset);
                        return Ok(false);
                    }
                    self.scan.damage.push(entry_damage(place, position));
                }
            }
        }
        self.follow(segment, offset, head.first, head.previous);
        self.scan.groups += 1;
        self.scan.author = Some((head.writer, head.term));
        if head.kind == Kind::Entries {
            self.scan.index.push(place, head.first);
            self.next = head.after();
            self.link = hash;
            self.pending = Some(Pending { file: segment.file.clone(), place, head: head.clone() });
        }
        self.scan.last = Some(Last { place, head });
        Ok(true)
    }

    /// Checks that what begins here follows what was before, and says what a gap ahead of it means.
    fn follow(&mut self, segment: &Segment, offset: u64, first: Position, previous: Hash) {
        let follows = first == self.next && self.link.is_none_or(|link| link == previous);
        match self.gap.take() {
            // The rest of a segment that could not hold the next group.
            Some(gap) if follows && !gap.dirty && gap.sequence != segment.sequence => {}
            Some(gap) => {
                let kind = if follows { DamageKind::Control } else { DamageKind::Group };
                self.damage_at(&segment_name(gap.sequence), gap.offset, kind);
            }
            None if follows => {}
            // What is lost here was named already.
            None if self.link.is_none() && self.is_lost() => {}
            None => self.damage_at(&segment.name, offset, DamageKind::Chain),
        }
        self.next = first;
        self.link = Some(previous);
    }

    /// What was pending is proven by what lies behind it: a bad body is damage.
    fn settle(&mut self) -> io::Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if self.depth.bodies {
            let (bodies, damaged) = look_at_bodies(&pending)?;
            self.count(bodies, damaged);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Scan, ScanError> {
        let file = self.pending.as_ref().map_or_else(String::new, |last| segment_name(last.place.sequence));
        let failed = |source| ScanError::Io { file, source };
        self.end().map_err(failed)?;
        self.scan.end = Position(self.next.0.saturating_sub(1));
        self.scan.hash = self.link.unwrap_or_default();
        Ok(self.scan)
    }

    /// Decides on the last group, which nothing behind it proves.
    fn end(&mut self) -> io::Result<()> {
        let Some(last) = self.pending.take() else { return Ok(()) };
        if self.link.is_none() && !self.is_lost() {
            // It was trusted unread, but its hash is needed.
            match verify_entries(&*last.file, last.place.offset, &last.head)? {
                Ok(hash) => self.link = Some(hash),
                Err(position) => self.scan.damage.push(entry_damage(last.place, position)),
            }
        }
        let (bodies, damaged) = look_at_bodies(&last)?;
        let known = last.head.first <= self.depth.trusted_to;
        // Erasing is noted in a group of its own first: a torn group alone can have erased bodies here.
        if known || bodies.damaged + bodies.erased == 0 {
            self.count(bodies, damaged);
            return Ok(());
        }
        self.scan.index.pop();
        self.scan.groups -= 1;
        self.scan.last = None;
        self.scan.tail = Some(last.place);
        self.next = last.head.first;
        self.link = Some(last.head.previous);
        self.torn_at(last.place.sequence, last.place.offset);
        Ok(())
    }

    fn count(&mut self, bodies: Bodies, damaged: Vec<Damage>) {
        self.scan.bodies.present += bodies.present;
        self.scan.bodies.erased += bodies.erased;
        self.scan.bodies.damaged += bodies.damaged;
        self.scan.damage.extend(damaged);
    }

    fn damage_at(&mut self, file: &str, offset: u64, kind: DamageKind) {
        self.scan.damage.push(Damage { file: file.to_owned(), offset, position: self.next, kind });
    }

    fn torn_at(&mut self, sequence: u64, offset: u64) {
        let file = segment_name(sequence);
        self.scan.torn = Some(Damage { file, offset, position: self.next, kind: DamageKind::Torn });
    }

    fn is_lost(&self) -> bool {
        self.scan.damage.iter().any(|damage| damage.kind.is_fatal())
    }
}

/// What lies behind a place in a segment.
struct Found {
    /// Something that is not zero.
    dirty: bool,
    /// A group.
    group: Option<u64>,
}

/// Searches for the next group from `from` on.
fn search(segment: &Segment, from: u64, salt: u64) -> io::Result<Found> {
    let mut buffer = vec![0; SEARCH_BYTES];
    let mut offset = from;
    let mut dirty = false;
    while offset < segment.bytes {
        let count = read_up_to(&*segment.file, &mut buffer, offset)?;
        if count == 0 {
            break;
        }
        let read = &buffer[..count];
        if read.iter().any(|byte| *byte != 0) {
            dirty = true;
            for (index, block) in read.chunks(BLOCK as usize).enumerate() {
                let at = offset + index as u64 * BLOCK;
                if Head::table_end(block).is_some()
                    && let Glance::Group(head) = glance(&*segment.file, at, salt)?
                    && at + head.extent() <= segment.bytes
                {
                    return Ok(Found { dirty, group: Some(at) });
                }
            }
        }
        offset += count as u64;
    }
    Ok(Found { dirty, group: None })
}

/// The group's hash, or the first position whose entry does not match its checksum.
fn verify_entries(file: &dyn DiskFile, offset: u64, head: &Head) -> io::Result<Result<Hash, Position>> {
    let at = offset + head.entries_at() as u64;
    let Some(entries) = stretch(file, at, head.bodies_at() - head.entries_at())? else {
        return Ok(Err(head.first));
    };
    let mut begin = 0;
    for (index, row) in head.rows.iter().enumerate() {
        if crc32c(&entries[begin..begin + row.entry_bytes]) != row.entry_crc {
            return Ok(Err(head.first.plus(index as u64)));
        }
        begin += row.entry_bytes;
    }
    Ok(Ok(head.hash(&entries)))
}

/// Counts the bodies of a group by their state, and names the damaged.
fn look_at_bodies(group: &Pending) -> io::Result<(Bodies, Vec<Damage>)> {
    let mut bodies = Bodies::default();
    let mut damaged = Vec::new();
    let mut offset = group.place.offset + group.head.bodies_at() as u64;
    for (index, row) in group.head.rows.iter().enumerate() {
        let frame = stretch(&*group.file, offset, row.frame_bytes())?;
        match frame.map_or(Body::Damaged, |frame| group.head.body(index, &frame)) {
            Body::None => {}
            Body::Present(_) => bodies.present += 1,
            Body::Erased => bodies.erased += 1,
            Body::Damaged => {
                bodies.damaged += 1;
                let position = group.head.first.plus(index as u64);
                let file = segment_name(group.place.sequence);
                damaged.push(Damage { file, offset, position, kind: DamageKind::Body });
            }
        }
        offset += row.frame_bytes() as u64;
    }
    Ok((bodies, damaged))
}

fn entry_damage(place: Place, position: Position) -> Damage {
    let file = segment_name(place.sequence);
    Damage { file, offset: place.offset, position, kind: DamageKind::Entry }
}
