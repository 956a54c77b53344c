//! PostgreSQL as it is asked: the same records in a table with an index over their names, prepared statements, TLS with
//! client certificates.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::SinkExt as _;
use i247_node::SystemClock;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};

use super::asked::PACKED;
use super::asking::{self, Line, Span};
use super::planted::{Hits, Planted, Question, Script};
use crate::contender::{Contender, Task};
use crate::measure::{Measured, Setting, Work};
use crate::peers::postgres::{NAME, Postgres};
use crate::process::Stopwatch;

/// Connections: with single keys and with many.
const SINGLE: usize = 4;
const MANY: usize = 2;

const TABLE: &str = "
    create table record (
        number text not null, last_number text, issuing_country text not null, document_type text not null,
        fraud_type text not null, theft_country text, stolen_on date,
        name text generated always as (issuing_country || '/' || document_type || '/' || number) stored)";
const COPY: &str =
    "copy record (number, last_number, issuing_country, document_type, fraud_type, theft_country, stolen_on)
    from stdin with (format csv, header)";
/// Bytes of a file that are sent at once.
const COPY_BYTES: usize = 1024 * 1024;

const INDEX: &str = "create unique index record_name on record (name); vacuum analyze record;";
const FIND_ONE: &str = "select name, fraud_type, theft_country, stolen_on::text from record where name = $1";
const FIND_MANY: &str =
    "select name, fraud_type, theft_country, stolen_on::text from record where name = any($1)";

/// The server as a contender; it keeps its table from round to round, and stops with the last one.
pub(crate) struct LookUps {
    server: Postgres,
    clock: Arc<SystemClock>,
    planted: Arc<Planted>,
    /// The files that the hub's records came from.
    files: Vec<PathBuf>,
    rounds_left: usize,
    is_filled: bool,
}

impl LookUps {
    pub(crate) fn new(
        server: Postgres,
        clock: &Arc<SystemClock>,
        planted: &Arc<Planted>,
        files: Vec<PathBuf>,
        rounds: usize,
    ) -> Self {
        let (clock, planted) = (clock.clone(), planted.clone());
        Self { server, clock, planted, files, rounds_left: rounds, is_filled: false }
    }

    async fn fill(&mut self) -> Result<()> {
        let client = self.server.clients(1).await?.remove(0);
        client.batch_execute(TABLE).await?;
        for file in &self.files {
            let mut copy = Box::pin(client.copy_in::<_, Bytes>(COPY).await?);
            let mut rows = Bytes::from(std::fs::read(file)?);
            while !rows.is_empty() {
                copy.feed(rows.split_to(rows.len().min(COPY_BYTES))).await?;
            }
            copy.close().await?;
        }
        // Vacuum wants to be alone in its transaction.
        for statement in INDEX.split_inclusive(';') {
            client.batch_execute(statement).await?;
        }
        Ok(())
    }
}

/// A connection that several ask over at once.
struct Asker {
    client: Arc<Client>,
    find: Statement,
    planted: Arc<Planted>,
}

#[tonic::async_trait]
impl Line for Asker {
    async fn ask(&mut self, question: &Question) -> Result<()> {
        let names: Vec<&str> = question.0.iter().map(|pick| &*self.planted.document(*pick).name).collect();
        let rows = match names.as_slice() {
            [one] => self.client.query(&self.find, &[one]).await?,
            many => self.client.query(&self.find, &[&many]).await?,
        };
        let mut found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let mut due: Vec<&str> = self.planted.due(question).collect();
        found.sort_unstable();
        due.sort_unstable();
        ensure!(found == due, "found {found:?} instead of {due:?}");
        Ok(())
    }
}

#[tonic::async_trait(?Send)]
impl Contender for LookUps {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let asked: &[usize] = match (work, quick) {
            (Work::Search, false) => &[1, 64, 128],
            (Work::Search, true) => &[128],
            (Work::Frames | Work::Hits, false) => &[2, 4, 8],
            (Work::Frames | Work::Hits, true) => &[4],
            _ => &[],
        };
        asked.iter().map(|asked| Setting::of(*asked, "")).collect()
    }

    async fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_filled, true) {
            return Ok(());
        }
        self.server.begin().await?;
        self.fill().await
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let (connections, keys, find) = match task.work {
            Work::Search => (SINGLE, 1, FIND_ONE),
            _ => (MANY, PACKED, FIND_MANY),
        };
        let hits = if task.work == Work::Hits { Hits::Every } else { Hits::Recorded };
        let mut lines = Vec::new();
        for client in self.server.clients(connections).await? {
            lines.push((client.prepare(find).await?, client));
        }
        let stopwatch = Stopwatch::start(self.server.process());
        let span = Span::new(&self.clock, task.seconds);
        let mut asking = JoinSet::new();
        for asker in 0..task.setting.in_flight {
            let (find, client) = lines[asker % connections].clone();
            let line = Asker { client, find, planted: self.planted.clone() };
            let script = Script::new(self.planted.clone(), hits, keys, asker);
            asking.spawn(asking::call(line, script, span.clone()));
        }
        asking::gather(asking, &span, &stopwatch).await
    }

    async fn end(&mut self) -> Result<()> {
        self.rounds_left = self.rounds_left.saturating_sub(1);
        if self.rounds_left > 0 { Ok(()) } else { self.server.end().await.context("the last round") }
    }
}
