//! What a holder has on its disk: for each database the files of both parts, and a note which of them count together. It
//! must not be answered from files that do not belong together, and never without their signatures being checked.
//!
//! ```text
//!   DIR/sltd/base-<version>.snapshot    .delta for each version behind it     .part while it is being fetched
//!            supplement-…
//!            current    i247 mind 1
//!                       base <version of the snapshot> <newest version>
//!                       supplement …
//! ```
//!
//! `current` changes last, whole or not at all, when both parts are there and fit: a crash at any moment leaves a copy
//! that can be asked, and what was fetched meanwhile is taken up again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::{self, DirLock, Disk, is_full};
use i247_model::{CountryCode, Hash};

use super::{Begun, Edition, Holding, Marks, OfflineCopy, OfflineError};
use crate::database::Database;

const CURRENT: &str = "current";
const HEAD: &str = "i247 mind 1";

/// The largest file, in bytes: a snapshot of as many keys as there can be takes less.
const MAX_FILE_BYTES: u64 = 32 << 30;

/// So many deltas behind a snapshot, and a new one is fetched.
const MAX_DELTAS: u64 = 200;

/// How often a copy is read again when its files change meanwhile.
const TRIES: usize = 3;

/// One of the two parts of a copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// What nobody is kept from.
    Base,
    /// What the holder's country sees besides.
    Supplement,
}

impl Part {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Base, Self::Supplement];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Supplement => "supplement",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|part| part.as_str() == name)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the files of a holder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// There is no copy of the database here.
    #[error("{}: no copy of {database}; fetch one with `i247 mind sync`", .dir.display())]
    Absent {
        /// Where it was looked for.
        dir: PathBuf,
        /// The database.
        database: Database,
    },
    /// A part is refused.
    #[error("{database}, {part}: {source}")]
    Refused {
        /// The database.
        database: Database,
        /// Which part of its copy.
        part: Part,
        /// Why.
        source: OfflineError,
    },
    /// The file is none of these.
    #[error("{} is not what it should be; move the directory away and fetch a new copy", .0.display())]
    NotOurs(PathBuf),
    /// Another process fetches into the directory.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// No room. What was there is still there.
    #[error("no room on the disk for {}", .0.display())]
    Full(PathBuf),
    /// The disk refused something else.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

impl HolderError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        if is_full(&source) { Self::Full(path.into()) } else { Self::Io { path: path.into(), source } }
    }

    fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Whose copies are believed: what they must say, and whether a signature over a statement is good.
pub struct Network<'a> {
    /// The network.
    pub network: Hash,
    /// The holder's country.
    pub country: CountryCode,
    /// Whether a signature over a statement is good.
    pub verify: &'a (dyn Fn(&[u8], &[u8]) -> bool + Send + Sync),
}

/// What is there of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Have {
    /// The newest version; 0 for none.
    pub version: u64,
    /// The version of a snapshot that was begun, and how many bytes of it are there.
    pub begun: Option<(u64, u64)>,
}

/// The copies in a directory. Everything here blocks.
#[derive(Clone, Debug)]
pub struct Holder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// Which files of a part count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    snapshot: u64,
    newest: u64,
}

/// What the name of a file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Snapshot,
    Delta,
    Begun,
}

impl Holder {
    /// The copies in `dir`, which need not be there yet.
    pub fn new(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Self {
        Self { disk, dir: dir.into() }
    }

    /// Makes the directory, and keeps other processes from fetching into it.
    ///
    /// # Errors
    /// [`HolderError::InUse`], or what the disk says.
    pub fn lock(&self) -> Result<Box<dyn DirLock>, HolderError> {
        self.disk.create_dir(&self.dir).map_err(|error| HolderError::io(&self.dir, error))?;
        self.disk.lock(&self.dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => HolderError::InUse(self.dir.clone()),
            _ => HolderError::io(&self.dir, error),
        })
    }

    /// The databases of which there is a copy.
    ///
    /// # Errors
    /// What the disk says.
    pub fn databases(&self) -> Result<Vec<Database>, HolderError> {
        let mut there = Vec::new();
        for database in Database::ALL {
            if self.names(*database)?.iter().any(|name| name == CURRENT) {
                there.push(*database);
            }
        }
        Ok(there)
    }

    /// What is there of a part, from which a fetch can go on. Nothing when a new snapshot is due.
    ///
    /// # Errors
    /// What the disk says.
    pub fn have(&self, database: Database, part: Part) -> Result<Have, HolderError> {
        let files = self.files(database, part)?;
        let begun = files.iter().filter(|(form, _)| *form == Form::Begun).map(|(_, version)| *version).max();
        let begun = match begun {
            Some(version) => {
                let path = self.path(database, part, Form::Begun, version);
                let file = self.disk.open_read(&path).and_then(|file| file.len());
                Some((version, file.map_err(|error| HolderError::io(&path, error))?))
            }
            None => None,
        };
        let span = newest(&files).filter(|span| span.newest - span.snapshot < MAX_DELTAS);
        Ok(Have { version: span.map_or(0, |span| span.newest), begun })
    }

    /// Begins to take in a snapshot, or goes on with it where it stopped.
    ///
    /// # Errors
    /// When so much of it is not there, or what the disk says.
    pub fn begin(
        &self,
        database: Database,
        part: Part,
        version: u64,
        from: u64,
    ) -> Result<Begun, HolderError> {
        let dir = self.dir.join(database.as_str());
        let path = self.path(database, part, Form::Begun, version);
        let opened = self.disk.create_dir(&dir).and_then(|()| {
            if from > 0 {
                return self.disk.open(&path);
            }
            disk::remove_if_there(&*self.disk, &path)?;
            self.disk.create(&path)
        });
        let file = opened.map_err(|error| HolderError::io(&path, error))?;
        Ok(Begun { file, path, at: from, database, part, version })
    }

    /// Makes a file of what has come, once it is a snapshot of this version that is signed as it should be. What is not
    /// goes.
    ///
    /// # Errors
    /// [`HolderError::Refused`], or what the disk says.
    pub fn finish(&self, begun: Begun, network: &Network<'_>) -> Result<(), HolderError> {
        let Begun { file, path, database, part, version, .. } = begun;
        let at = |error| HolderError::io(&path, error);
        file.sync_data().map_err(at)?;
        let bytes = disk::read_whole(&*self.disk, &path, MAX_FILE_BYTES).map_err(at)?;
        let read = Edition::read(&bytes, network.verify);
        let refused = match read {
            Ok(edition) if edition.mark().version == version => None,
            Ok(edition) => Some(OfflineError::Gap { have: edition.mark().version, offered: version }),
            Err(error) => Some(error),
        };
        if let Some(source) = refused {
            disk::remove_if_there(&*self.disk, &path).map_err(at)?;
            return Err(HolderError::Refused { database, part, source });
        }
        let named = self.path(database, part, Form::Snapshot, version);
        let renamed = self.disk.rename(&path, &named);
        renamed.and_then(|()| self.disk.sync_dir(&self.dir.join(database.as_str()))).map_err(at)
    }

    /// Keeps a delta, to be checked when the copy is adopted.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_delta(
        &self,
        database: Database,
        part: Part,
        version: u64,
        bytes: &[u8],
    ) -> Result<(), HolderError> {
        let path = self.path(database, part, Form::Delta, version);
        let (dir, name) = (self.dir.join(database.as_str()), file_name(part, Form::Delta, version));
        disk::replace_whole(&*self.disk, &dir, &name, bytes).map_err(|error| HolderError::io(&path, error))
    }

    /// Checks what has come, and makes it what is asked from now on; without a supplement where its version is 0. `marks` are those of the newest copy that was here,
    /// and become this one's: save them next.
    ///
    /// # Errors
    /// [`HolderError::Refused`]: the copy from before is asked on.
    pub fn adopt(
        &self,
        database: Database,
        versions: [u64; 2],
        network: &Network<'_>,
        marks: &mut Marks,
    ) -> Result<OfflineCopy, HolderError> {
        let mut spans = [Span { snapshot: 0, newest: 0 }; 2];
        for ((part, version), span) in Part::BOTH.into_iter().zip(versions).zip(&mut spans) {
            if part == Part::Supplement && version == 0 {
                marks.forget(database, part);
                continue;
            }
            let found = newest(&self.files(database, part)?).filter(|span| span.newest == version);
            let missing = || OfflineError::Gap { have: 0, offered: version };
            *span = found.ok_or_else(|| HolderError::Refused { database, part, source: missing() })?;
        }
        let copy = self.assemble(database, spans, network, marks)?;
        let mut text = format!("{HEAD}\n");
        for (part, Span { snapshot, newest }) in Part::BOTH.into_iter().zip(spans) {
            text.push_str(&format!("{part} {snapshot} {newest}\n"));
        }
        let dir = self.dir.join(database.as_str());
        let written = disk::replace_whole(&*self.disk, &dir, CURRENT, text.as_bytes());
        written.map_err(|error| HolderError::io(&dir.join(CURRENT), error))?;
        for (part, holding) in Part::BOTH.into_iter().zip(copy.parts()) {
            marks.put(database, part, holding.mark());
        }
        self.clear(database)?;
        Ok(copy)
    }

    /// The copy of a database, checked against the marks; where there are none yet, these become the marks.
    ///
    /// # Errors
    /// [`HolderError::Absent`], [`HolderError::Refused`], or what the disk says.
    pub fn open(
        &self,
        database: Database,
        network: &Network<'_>,
        marks: &mut Marks,
    ) -> Result<OfflineCopy, HolderError> {
        let mut tries = 1;
        let copy = loop {
            let spans = self.current(database)?;
            match self.assemble(database, spans, network, marks) {
                // Fetched anew meanwhile: what was current has gone.
                Err(error) if error.is_missing() && tries < TRIES => tries += 1,
                read => break read?,
            }
        };
        for (part, holding) in Part::BOTH.into_iter().zip(copy.parts()) {
            marks.put(database, part, holding.mark());
        }
        Ok(copy)
    }

    /// Removes what is not asked from: a fetch begins anew.
    ///
    /// # Errors
    /// What the disk says.
    pub fn clear(&self, database: Database) -> Result<(), HolderError> {
        let spans = match self.current(database) {
            Err(HolderError::Absent { .. }) => [Span { snapshot: 0, newest: 0 }; 2],
            spans => spans?,
        };
        for (part, Span { snapshot, newest }) in Part::BOTH.into_iter().zip(spans) {
            for (form, version) in self.files(database, part)? {
                let counts = match form {
                    Form::Snapshot => version == snapshot,
                    Form::Delta => (snapshot + 1..=newest).contains(&version),
                    Form::Begun => false,
                };
                if !counts {
                    let path = self.path(database, part, form, version);
                    let removed = disk::remove_if_there(&*self.disk, &path);
                    removed.map_err(|error| HolderError::io(&path, error))?;
                }
            }
        }
        Ok(())
    }

    /// Reads and checks these files.
    fn assemble(
        &self,
        database: Database,
        spans: [Span; 2],
        network: &Network<'_>,
        marks: &Marks,
    ) -> Result<OfflineCopy, HolderError> {
        let mut holdings = Vec::new();
        for (part, Span { snapshot, newest }) in Part::BOTH.into_iter().zip(spans) {
            let known = marks.get(database, part);
            if part == Part::Supplement && newest == 0 {
                // Somebody has taken away one that was here.
                if let Some(known) = known {
                    let source = OfflineError::RolledBack { known: known.version, offered: 0 };
                    return Err(HolderError::Refused { database, part, source });
                }
                continue;
            }
            let file = |form, version| {
                let path = self.path(database, part, form, version);
                let read = disk::read_whole(&*self.disk, &path, MAX_FILE_BYTES);
                read.map_err(|error| HolderError::io(&path, error))
            };
            let deltas = (snapshot + 1..=newest).map(|version| file(Form::Delta, version));
            let deltas: Vec<Vec<u8>> = deltas.collect::<Result<_, _>>()?;
            let snapshot = file(Form::Snapshot, snapshot)?;
            let holding = Holding::open(&snapshot, deltas.iter().map(Vec::as_slice), known, network.verify);
            let holding = holding.map_err(|source| HolderError::Refused { database, part, source })?;
            if holding.about().databases != [database.as_str()] {
                let source = OfflineError::NotCovered(database.to_string());
                return Err(HolderError::Refused { database, part, source });
            }
            holdings.push(holding);
        }
        let mut holdings = holdings.into_iter();
        let base = holdings.next().ok_or_else(|| self.absent(database))?;
        let supplement = holdings.next();
        let copy = OfflineCopy::new(network.network, network.country, base, supplement);
        copy.map_err(|source| HolderError::Refused { database, part: Part::Supplement, source })
    }

    /// Which files count.
    fn current(&self, database: Database) -> Result<[Span; 2], HolderError> {
        let path = self.dir.join(database.as_str()).join(CURRENT);
        let bytes = match disk::read_whole(&*self.disk, &path, 1024) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.absent(database)),
            read => read.map_err(|error| HolderError::io(&path, error))?,
        };
        let read = || {
            let mut lines = std::str::from_utf8(&bytes).ok()?.lines();
            if lines.next()? != HEAD {
                return None;
            }
            let mut spans = [Span { snapshot: 0, newest: 0 }; 2];
            for (part, span) in Part::BOTH.into_iter().zip(&mut spans) {
                let mut words = lines.next()?.split(' ');
                let right = words.next()? == part.as_str();
                *span = Span { snapshot: words.next()?.parse().ok()?, newest: words.next()?.parse().ok()? };
                if !right || words.next().is_some() || span.newest < span.snapshot {
                    return None;
                }
            }
            lines.next().is_none().then_some(spans)
        };
        read().ok_or(HolderError::NotOurs(path))
    }

    fn absent(&self, database: Database) -> HolderError {
        HolderError::Absent { dir: self.dir.clone(), database }
    }

    fn names(&self, database: Database) -> Result<Vec<String>, HolderError> {
        let dir = self.dir.join(database.as_str());
        match self.disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| HolderError::io(&dir, error)),
        }
    }

    fn files(&self, database: Database, part: Part) -> Result<Vec<(Form, u64)>, HolderError> {
        let parse = |name: &String| {
            let (version, form) = name.strip_prefix(part.as_str())?.strip_prefix('-')?.split_once('.')?;
            let form =
                [Form::Snapshot, Form::Delta, Form::Begun].into_iter().find(|one| one.ending() == form)?;
            Some((form, version.parse().ok()?))
        };
        Ok(self.names(database)?.iter().filter_map(parse).collect())
    }

    fn path(&self, database: Database, part: Part, form: Form, version: u64) -> PathBuf {
        self.dir.join(database.as_str()).join(file_name(part, form, version))
    }
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
            Self::Begun => "part",
        }
    }
}

fn file_name(part: Part, form: Form, version: u64) -> String {
    format!("{part}-{version}.{}", form.ending())
}

/// The newest snapshot, and how far deltas lead from it.
fn newest(files: &[(Form, u64)]) -> Option<Span> {
    let of =
        |wanted: Form| files.iter().filter(move |(form, _)| *form == wanted).map(|(_, version)| *version);
    let snapshot = of(Form::Snapshot).max()?;
    let mut newest = snapshot;
    while of(Form::Delta).any(|version| version == newest + 1) {
        newest += 1;
    }
    Some(Span { snapshot, newest })
}
