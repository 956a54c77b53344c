//! The ledger beside the embedded stores that could have been it: durable appends of 1 KiB in groups, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use i247_ledger::{Draft, Ledger, Options, Segments};
use i247_node::Seams;

use crate::bureaus::BODY_BYTES;
use crate::measure::{Cpu, Measured};
use crate::process::Stopwatch;

/// Who is measured.
pub(crate) const LEDGER: &str = "ledger";
pub(crate) const STORES: [&str; 4] = [LEDGER, "redb", "fjall", "sqlite"];

/// Entries in one commit.
pub(crate) const GROUPS: [usize; 2] = [32, 256];

/// A store that takes groups.
#[tonic::async_trait(?Send)]
trait Store {
    /// Returns once the group is on the disk.
    async fn append(&mut self, first: u64, group: &[Bytes]) -> Result<()>;

    /// How many entries there are, asked of the store after it was closed and opened again.
    async fn reopen(self: Box<Self>) -> Result<u64>;
}

/// Appends groups for a while; each commit is one latency.
pub(crate) async fn measure(
    store: &str,
    group: usize,
    dir: &Path,
    seams: &Seams,
    seconds: f64,
) -> Result<Measured> {
    crate::machine::empty(dir)?;
    let mut open: Box<dyn Store> = match store {
        LEDGER => Box::new(Own::open(dir, seams)?),
        "redb" => Box::new(Redb::open(dir)?),
        "fjall" => Box::new(Fjall::open(dir)?),
        _ => Box::new(Sqlite::open(dir)?),
    };
    // Bodies that do not compress, made beforehand.
    let bodies: Vec<Bytes> = (0..group)
        .map(|_| {
            let mut body = vec![0; BODY_BYTES];
            seams.dice.fill(&mut body);
            body.into()
        })
        .collect();
    let clock = &seams.clock;
    let (begun, stopwatch) = (clock.monotonic(), Stopwatch::start(None));
    let (mut latencies, mut sent) = (Vec::new(), 0);
    let mut now = begun;
    while now < begun + Duration::from_secs_f64(seconds) {
        open.append(sent, &bodies).await?;
        sent += group as u64;
        let after = clock.monotonic();
        latencies.push(after - now);
        now = after;
    }
    let cpu = Cpu { server: stopwatch.stop().client, client: Duration::ZERO };
    let found = open.reopen().await?;
    std::fs::remove_dir_all(dir)?;
    Ok(Measured {
        elapsed: now - begun,
        sent,
        accepted: sent,
        due: sent,
        delivered: found,
        acknowledged: sent,
        latencies,
        cpu,
        trouble: None,
    })
}

/// Ours.
struct Own {
    segments: Arc<Segments>,
    dir: std::path::PathBuf,
    seams: Seams,
}

impl Own {
    fn open(dir: &Path, seams: &Seams) -> Result<Self> {
        let options = Options { blocking: seams.blocking.clone(), ..Options::default() };
        let (segments, _) = Segments::open(seams.disk.clone(), dir.join("log"), options)?;
        Ok(Self { segments: Arc::new(segments), dir: dir.to_owned(), seams: seams.clone() })
    }
}

#[tonic::async_trait(?Send)]
impl Store for Own {
    async fn append(&mut self, _: u64, group: &[Bytes]) -> Result<()> {
        let drafts = group.iter().map(|body| Draft { entry: body.clone(), body: None }).collect();
        self.segments.append(self.segments.end(), drafts).await?;
        Ok(())
    }

    async fn reopen(self: Box<Self>) -> Result<u64> {
        self.segments.close().await?;
        drop(self.segments);
        let again = Self::open(&self.dir, &self.seams)?;
        Ok(again.segments.end().0)
    }
}

/// Keys are numbers, so every store may append at its end.
struct Redb(redb::Database, std::path::PathBuf);

const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("log");

impl Redb {
    fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("log.redb");
        Ok(Self(redb::Database::create(&file)?, file))
    }
}

#[tonic::async_trait(?Send)]
impl Store for Redb {
    async fn append(&mut self, first: u64, group: &[Bytes]) -> Result<()> {
        // Durable at once is its default.
        let write = self.0.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for (key, body) in (first..).zip(group) {
                table.insert(key, &body[..])?;
            }
        }
        Ok(write.commit()?)
    }

    async fn reopen(self: Box<Self>) -> Result<u64> {
        use redb::{ReadableDatabase as _, ReadableTableMetadata as _};
        let Self(database, file) = *self;
        drop(database);
        Ok(redb::Database::open(file)?.begin_read()?.open_table(TABLE)?.len()?)
    }
}

struct Fjall {
    database: fjall::Database,
    log: fjall::Keyspace,
    dir: std::path::PathBuf,
}

impl Fjall {
    fn open(dir: &Path) -> Result<Self> {
        let database = fjall::Database::builder(dir.join("fjall")).open()?;
        let log = database.keyspace("log", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self { database, log, dir: dir.to_owned() })
    }
}

#[tonic::async_trait(?Send)]
impl Store for Fjall {
    async fn append(&mut self, first: u64, group: &[Bytes]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(fjall::PersistMode::SyncData));
        for (key, body) in (first..).zip(group) {
            batch.insert(&self.log, key.to_be_bytes(), &body[..]);
        }
        Ok(batch.commit()?)
    }

    async fn reopen(self: Box<Self>) -> Result<u64> {
        let Self { database, log, dir } = *self;
        drop((log, database));
        Ok(Self::open(&dir)?.log.len()? as u64)
    }
}

struct Sqlite(rusqlite::Connection, std::path::PathBuf);

impl Sqlite {
    fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("log.sqlite");
        let connection = rusqlite::Connection::open(&file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch("create table if not exists log (key integer primary key, body blob)")?;
        Ok(Self(connection, file))
    }
}

#[tonic::async_trait(?Send)]
impl Store for Sqlite {
    async fn append(&mut self, first: u64, group: &[Bytes]) -> Result<()> {
        let write = self.0.transaction()?;
        {
            let mut insert = write.prepare_cached("insert into log values (?, ?)")?;
            for (key, body) in (first..).zip(group) {
                insert.execute((i64::try_from(key)?, &body[..]))?;
            }
        }
        Ok(write.commit()?)
    }

    async fn reopen(self: Box<Self>) -> Result<u64> {
        let Self(connection, file) = *self;
        drop(connection);
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let connection = rusqlite::Connection::open(file)?;
        let count = connection.query_row("select count(*) from log", [], count).context("count")?;
        Ok(u64::try_from(count)?)
    }
}
