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
        sequence: 0,
        file: None,
    };
    for (index, sequence) in sequences.iter().enumerate() {
        walk.segment(disk, dir, *sequence, index + 1 == sequences.len())?;
    }
    walk.finish()
}

struct Walk {
    scan: Scan,
    depth: Depth,
    /// The position that comes next.
    next: Position,
    /// The hash that the next group must name; `None` where it is not known.
    link: Option<Hash>,
    /// A stretch that is no group, ahead of the next head.
    gap: Option<Gap>,
    sequence: u64,
    file: Option<Arc<dyn DiskFile>>,
}

/// A stretch that is no group.
struct Gap {
    file: String,
    offset: u64,
    dirty: bool,
}

impl Walk {
    fn segment(&mut self, disk: &dyn Disk, dir: &Path, sequence: u64, last: bool) -> Result<(), ScanError> {
        let name = segment_name(sequence);
        let failed = |source| ScanError::Io { file: segment_name(sequence), source };
        if sequence != self.sequence + 1 {
            self.damage_at(&segment_name(self.sequence + 1), 0, DamageKind::Missing);
            self.link = None;
        }
        // A later segment was begun only after all before it was synced.
        self.settle().map_err(failed)?;
        self.sequence = sequence;
        self.scan.segments += 1;
        let file = disk.open_read(&dir.join(&name)).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        self.file = Some(file.clone());
        let mut block = [0; BLOCK as usize];
        let count = read_up_to(&*file, &mut block, 0).map_err(failed)?;
        match SegmentHeader::parse(&block[..count]) {
            Ok(header) if header.sequence == sequence => {
                self.scan.salt = header.salt;
                self.follow(&name, 0, header.first, header.previous, header.first);
            }
            Err(NotASegment::Version(version)) => return Err(ScanError::Version { file: name, version }),
            Ok(_) | Err(NotASegment::Damaged) => {
                self.damage_at(&name, 0, DamageKind::Segment);
                self.link = None;
            }
        }
        self.groups(&name, &*file, bytes, last).map_err(failed)
    }

    fn groups(&mut self, name: &str, file: &dyn DiskFile, bytes: u64, last: bool) -> io::Result<()> {
        let mut offset = BLOCK;
        while offset < bytes {
            if let Glance::Group(head) = glance(file, offset, self.scan.salt)?
                && offset + head.extent() <= bytes
            {
                let extent = head.extent();
                if !self.group(name, file, offset, bytes, head, last)? {
                    return Ok(());
                }
                offset += extent;
                continue;
            }
            let found = search(file, offset, bytes, self.scan.salt)?;
            if found.group.is_none() && last {
                self.scan.tail = Some(Place { sequence: self.sequence, offset });
                if found.dirty {
                    // What was begun behind the last group proves it.
                    self.settle()?;
                    self.torn_at(name, offset);
                }
                return Ok(());
            }
            self.gap = Some(Gap { file: name.to_owned(), offset, dirty: found.dirty });
            let Some(at) = found.group else { return Ok(()) };
            offset = at;
        }
        self.scan.tail = Some(Place { sequence: self.sequence, offset });
        Ok(())
    }

    /// Takes one group with a whole head into the log; `false` if it is torn, and the log ends before it.
    fn group(
        &mut self,
        name: &str,
        file: &dyn DiskFile,
        offset: u64,
        bytes: u64,
        head: Head,
        last: bool,
    ) -> io::Result<bool> {
        let mut hash = None;
        if head.kind == Kind::Entries && head.after() > self.depth.trusted_to.next() {
            match verify_entries(file, offset, &head)? {
                Ok(verified) => hash = Some(verified),
                Err(position) => {
                    let behind = search(file, offset + head.extent(), bytes, self.scan.salt)?;
                    self.settle()?;
                    if last && behind.group.is_none() && !behind.dirty {
                        self.scan.tail = Some(Place { sequence: self.sequence, offset });
                        self.torn_at(name, offset);
                        return Ok(false);
                    }
                    let damage =
                        Damage { file: name.to_owned(), offset, position, kind: DamageKind::Entry };
                    self.scan.damage.push(damage);
                }
            }
        }
        self.settle()?;
        self.follow(name, offset, head.first, head.previous, head.first);
        let place = Place { sequence: self.sequence, offset };
        self.scan.groups += 1;
        if head.kind == Kind::Entries {
            self.scan.index.push(place, head.first);
            self.next = head.after();
            self.link = hash;
        }
        self.scan.last = Some(Last { place, head });
        Ok(true)
    }

    /// Checks that what stands here follows what was before, and says what a gap ahead of it means.
    fn follow(&mut self, name: &str, offset: u64, first: Position, previous: Hash, next: Position) {
        let follows = first == self.next && self.link.is_none_or(|link| link == previous);
        let known = self.link.is_some();
        match self.gap.take() {
            Some(gap) if follows && known => {
                if gap.dirty || self.file_is(&gap.file) {
                    self.damage_at(&gap.file, gap.offset, DamageKind::Control);
                }
            }
            // The rest of a segment that could not hold the next group.
            Some(gap) if follows && !gap.dirty && !self.file_is(&gap.file) => {}
            Some(gap) => self.damage_at(&gap.file, gap.offset, DamageKind::Group),
            None if follows => {}
            // Behind damage that was named already, positions may begin anew.
            None if !known && self.scan.damage.iter().any(|damage| damage.kind.is_fatal()) => {}
            None => self.damage_at(name, offset, DamageKind::Chain),
        }
        self.next = next;
        self.link = Some(previous);
    }

    /// The last group is proven by what lies behind it: its bodies are only counted.
    fn settle(&mut self) -> io::Result<()> {
        let (Some(last), Some(file)) = (&self.scan.last, &self.file) else { return Ok(()) };
        if !self.depth.bodies || last.head.kind != Kind::Entries {
            return Ok(());
        }
        let (bodies, damaged) = look_at_bodies(&**file, last)?;
        self.count(bodies, damaged);
        // Counted once.
        self.scan.last = None;
        Ok(())
    }

    fn finish(mut self) -> Result<Scan, ScanError> {
        let name = segment_name(self.sequence);
        let failed = |source| ScanError::Io { file: segment_name(self.sequence), source };
        if let (Some(last), Some(file)) = (self.scan.last.clone(), self.file.clone())
            && last.head.kind == Kind::Entries
            && self.scan.torn.is_none()
        {
            let (bodies, damaged) = look_at_bodies(&*file, &last).map_err(failed)?;
            // Erasing is noted in a group of its own first: a last group has no erased bodies.
            if bodies.damaged + bodies.erased == 0 {
                self.count(bodies, damaged);
            } else {
                self.scan.index.pop();
                self.scan.groups -= 1;
                self.next = last.head.first;
                self.link = Some(last.head.previous);
                self.scan.tail = Some(last.place);
                self.scan.last = None;
                self.torn_at(&name, last.place.offset);
            }
        }
        self.scan.end = Position(self.next.0.saturating_sub(1));
        self.scan.hash = match self.link {
            Some(link) => link,
            None => self.unread_hash().map_err(failed)?,
        };
        Ok(self.scan)
    }

    /// The hash of the last group, where it was trusted unread.
    fn unread_hash(&self) -> io::Result<Hash> {
        let (Some(place), Some(file)) = (self.scan.index.place(self.scan.end), &self.file) else {
            return Ok([0; 32]);
        };
        if place.sequence != self.sequence {
            return Ok([0; 32]);
        }
        let Glance::Group(head) = glance(&**file, place.offset, self.scan.salt)? else { return Ok([0; 32]) };
        Ok(verify_entries(&**file, place.offset, &head)?.unwrap_or([0; 32]))
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

    fn torn_at(&mut self, file: &str, offset: u64) {
        let damage = Damage { file: file.to_owned(), offset, position: self.next, kind: DamageKind::Torn };
        self.scan.torn = Some(damage);
    }

    fn file_is(&self, name: &str) -> bool {
        segment_name(self.sequence) == name
    }
}

