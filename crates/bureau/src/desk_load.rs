//! The desk's loading of records: changes come line by line, batches go into the outbox. It reads no file.
//!
//! ```text
//!  lines ──► checked as the hub will ──► batch of ≤ 1024, salted ──► journal ──► durable line, told back
//! ```
//!
//! Batches follow each other in the journal without a gap, so that a load goes on from its last durable line whatever
//! ended it; the journal's writer refuses one that does not follow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use i247_model::{Audience, Hash, Header, Identity, Kind, Lane, MessageId, Party, Reason, Refusal};
use i247_records::Database;
use i247_records::batch::{ITEM_BYTES, MAX_BATCH_BYTES, MAX_ITEMS};
use i247_records::record::Change;
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use i247_wire::pb::load_records_request::Frame;
use tokio::sync::oneshot;
use tonic::{Status, Streaming};

use crate::desk::{Answers, Desk, DeskError, malformed, status};
use crate::journal::{JournalError, Numberless};
use crate::loads::Part;
use crate::outbox::SentState;

/// So many batches of one load may wait for the journal.
const IN_FLIGHT: usize = 16;
/// Messages that the hub is asked about at once.
const ASKED_AT_ONCE: usize = 256;
/// So many lines that were not accepted are told.
const MAX_TOLD: usize = 100;

/// Salts of a batch.
const SALT_BYTES: usize = 16;

/// A load while its client is there.
struct Loading {
    desk: Desk,
    officer: Identity,
    requests: Streaming<pb::LoadRecordsRequest>,
    name: Hash,
    database: Database,
    /// Up to here everything was durable when this call began; what comes of it again is passed over.
    resumed: u64,
    /// The last line that came.
    line: u64,
    /// The last line that was handed to the journal.
    handed: u64,
    items: Vec<Bytes>,
    lines: Vec<u64>,
    bytes: usize,
    waiting: VecDeque<Waiting>,
    durable: pb::LoadRecordsResponse,
    begun: bool,
    ended: bool,
}

/// A batch that the journal is writing.
struct Waiting {
    line: u64,
    records: u64,
    answer: oneshot::Receiver<Result<MessageId, JournalError>>,
}

impl Desk {
    /// Begins a load, or goes on with it.
    pub(crate) async fn load(
        &self,
        mut requests: Streaming<pb::LoadRecordsRequest>,
        officer: Identity,
    ) -> Result<Answers<pb::LoadRecordsResponse>, Status> {
        let first = requests.message().await?.and_then(|request| request.frame);
        let Some(Frame::Begin(begin)) = first else { return Err(malformed("begin")) };
        let name =
            i247_wire::hash(&begin.name, "begin.name").map_err(|refusal| i247_wire::status(&refusal))?;
        let database = database(begin.database)?;
        let durable = {
            let views = self.journal.views();
            let load = views.loads.get(&name);
            if load.is_some_and(|load| load.database != begin.database) {
                return Err(malformed("begin.database"));
            }
            pb::LoadRecordsResponse {
                durable_line: load.map_or(0, |load| load.line),
                records: load.map_or(0, |load| load.records),
            }
        };
        tracing::info!(officer = %officer, %database, from = durable.durable_line, "a load of records");
        let line = durable.durable_line;
        let loading = Loading {
            desk: self.clone(),
            officer,
            requests,
            name,
            database,
            resumed: line,
            line: 0,
            handed: line,
            items: Vec::new(),
            lines: Vec::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            durable,
            begun: false,
            ended: false,
        };
        Ok(Box::pin(futures::stream::try_unfold(loading, |mut loading| async move {
            Ok(loading.next().await?.map(|answer| (answer, loading)))
        })))
    }

    /// How far a load is, and what became of its records: the hub is asked for what is not known yet.
    pub(crate) async fn status_of_load(
        &self,
        request: &pb::LoadStatusRequest,
    ) -> Result<pb::LoadStatusResponse, Status> {
        let (name, load, unanswered, refused) = {
            let views = self.journal.views();
            let name = if request.name.is_empty() {
                views.loads.newest()
            } else {
                Some(i247_wire::hash(&request.name, "name").map_err(|refusal| i247_wire::status(&refusal))?)
            };
            let found = name.and_then(|name| Some((name, views.loads.get(&name)?.clone())));
            let Some((name, load)) = found else {
                let mut refusal = Refusal::of(Reason::UnknownReference, "name");
                refusal.next_step = "no load of this name was begun at this bureau".into();
                return Err(i247_wire::status(&refusal));
            };
            let mut unanswered = BTreeMap::new();
            let mut refused = Vec::new();
            for (id, records) in &load.batches {
                match views.outbox.get(id).map(|sent| &sent.state) {
                    Some(SentState::Accepted(_)) => {}
                    Some(SentState::Refused(refusal)) => {
                        refused.push((id.clone(), *records, refusal.clone()))
                    }
                    Some(SentState::Waiting) | None => {
                        unanswered.insert(id.clone(), *records);
                    }
                }
            }
            (name, load, unanswered, refused)
        };
        let asked = load.batches.iter().map(|(id, _)| id);
        let asked = asked.filter(|id| !unanswered.contains_key(*id));
        let gone: BTreeSet<&MessageId> = refused.iter().map(|(id, ..)| id).collect();
        let asked = asked.filter(|id| !gone.contains(id)).cloned().collect();
        let verdicts = self.verdicts(asked).await;
        let mut told = Told::default();
        for (id, records, refusal) in &refused {
            told.batch_refused(*records, refusal, self.lines(id).await?.first().copied());
        }
        for verdict in &verdicts {
            told.verdict(verdict);
            if told.first.len() < MAX_TOLD && !verdict.first.is_empty() {
                let id = verdict.id.parse().map_err(|_| malformed("verdict.id"))?;
                told.items(verdict, &self.lines(&id).await?);
            }
        }
        let waiting: u64 = unanswered.values().map(|records| u64::from(*records)).sum();
        let counted = told.accepted + told.refused.values().sum::<u64>();
        Ok(pb::LoadStatusResponse {
            name: Bytes::copy_from_slice(name.as_bytes()),
            database: load.database,
            begun_at_ms: load.begun_at.as_millis(),
            durable_line: load.line,
            records: load.records,
            waiting,
            undecided: load.records.saturating_sub(waiting + counted),
            accepted: told.accepted,
            refused: told
                .refused
                .into_iter()
                .map(|(reason, count)| pb::ReasonCount { reason, count })
                .collect(),
            first: told.first,
        })
    }

    /// One record, as the hub finds it for this country.
    pub(crate) async fn record(
        &self,
        request: pb::ShowRecordRequest,
    ) -> Result<pb::ShowRecordResponse, Status> {
        let asked = pb::FindRecordRequest { database: request.database, name: request.name };
        let found = Some(self.link.find_record(asked).await?);
        Ok(pb::ShowRecordResponse { found })
    }

    /// The verdicts on these messages, as far as the hub has them. They never change: each is asked for once.
    async fn verdicts(&self, ids: Vec<MessageId>) -> Vec<pb::BatchVerdict> {
        let known = || self.verdicts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let missing: Vec<String> = {
            let known = known();
            ids.iter().filter(|id| !known.contains_key(id)).map(ToString::to_string).collect()
        };
        for ids in missing.chunks(ASKED_AT_ONCE) {
            // What the hub cannot say now is not known yet.
            let Ok(told) = self.link.verdicts(pb::VerdictsRequest { ids: ids.to_vec() }).await else { break };
            let mut known = known();
            for verdict in told.verdicts {
                if let Ok(id) = verdict.id.parse::<MessageId>() {
                    known.insert(id, verdict);
                }
            }
        }
        let known = known();
        ids.iter().filter_map(|id| known.get(id).cloned()).collect()
    }

    /// The lines that a batch carries.
    async fn lines(&self, id: &MessageId) -> Result<Vec<u64>, Status> {
        let at = self.journal.views().outbox.get(id).map(|sent| sent.accepted_at_entry);
        let Some(at) = at else { return Ok(Vec::new()) };
        let read = self.journal.read(at).await;
        let (entry, _) = read.map_err(|_| status(&DeskError::Journal(JournalError::Stopped)))?;
        let Some(Event::Accepted(pb::JournalAccepted { load: Some(load), .. })) = entry.event else {
            return Ok(Vec::new());
        };
        Part::of(&load).map(|part| part.lines).map_err(|refusal| i247_wire::status(&refusal))
    }
}

/// What is told of a load's records.
#[derive(Default)]
struct Told {
    accepted: u64,
    refused: BTreeMap<String, u64>,
    first: Vec<pb::RefusedLine>,
}

impl Told {
    /// The hub refused a whole batch, which begins at this line.
    fn batch_refused(&mut self, records: u32, refusal: &Refusal, line: Option<u64>) {
        *self.refused.entry(refusal.reason.as_str().into()).or_default() += u64::from(records);
        if self.first.len() < MAX_TOLD {
            let line = line.unwrap_or_default();
            self.first.push(pb::RefusedLine { line, refusal: Some(refusal.into()) });
        }
    }

    fn verdict(&mut self, verdict: &pb::BatchVerdict) {
        self.accepted += u64::from(verdict.accepted);
        for refused in &verdict.refused {
            *self.refused.entry(refused.reason.clone()).or_default() += refused.count;
        }
    }

    fn items(&mut self, verdict: &pb::BatchVerdict, lines: &[u64]) {
        for refused in verdict.first.iter().take(MAX_TOLD - self.first.len()) {
            let line = lines.get(refused.item as usize).copied().unwrap_or_default();
            self.first.push(pb::RefusedLine { line, refusal: refused.refusal.clone() });
        }
    }
}

impl Loading {
    /// The next that is told: first from where to go on, then what became durable.
    async fn next(&mut self) -> Result<Option<pb::LoadRecordsResponse>, Status> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(self.durable));
        }
        loop {
            if self.ended && self.waiting.is_empty() {
                return Ok(None);
            }
            if self.ended || self.waiting.len() >= IN_FLIGHT {
                return self.settle().await.map(Some);
            }
            if let Some(first) = self.waiting.front_mut() {
                // Dropped unready, the answer stays in its channel and the frame in the stream.
                tokio::select! {
                    biased;
                    answer = &mut first.answer => return self.settled(answer).map(Some),
                    frame = self.requests.message() => self.take(frame?).await?,
                }
            } else {
                let frame = self.requests.message().await?;
                self.take(frame).await?;
            }
        }
    }

    /// Waits for the oldest batch.
    async fn settle(&mut self) -> Result<pb::LoadRecordsResponse, Status> {
        let Some(first) = self.waiting.front_mut() else { return Ok(self.durable) };
        let answer = (&mut first.answer).await;
        self.settled(answer)
    }

    fn settled(
        &mut self,
        answer: Result<Result<MessageId, JournalError>, oneshot::error::RecvError>,
    ) -> Result<pb::LoadRecordsResponse, Status> {
        let written = answer.unwrap_or(Err(JournalError::Stopped));
        written.map_err(|error| status(&DeskError::Journal(error)))?;
        if let Some(written) = self.waiting.pop_front() {
            self.durable.durable_line = written.line;
            self.durable.records += written.records;
        }
        Ok(self.durable)
    }

    async fn take(&mut self, request: Option<pb::LoadRecordsRequest>) -> Result<(), Status> {
        let Some(request) = request else {
            self.ended = true;
            return self.hand_in().await;
        };
        let Some(Frame::Lines(pb::LoadLines { lines, changes })) = request.frame else {
            return Err(malformed("lines"));
        };
        if lines.len() != changes.len() || lines.len() > MAX_ITEMS {
            return Err(malformed("lines"));
        }
        for (line, change) in lines.into_iter().zip(changes) {
            if line <= self.line {
                return Err(malformed("lines.lines"));
            }
            self.line = line;
            // What is durable already comes to nothing.
            if line <= self.resumed {
                continue;
            }
            let checked = Change::decode(self.database, &change)
                .and_then(|change| change.check_owner(self.database, Party::Bureau(self.desk.me)));
            checked.map_err(|refusal| i247_wire::status(&in_line(line, refusal)))?;
            if self.bytes + change.len() + ITEM_BYTES > MAX_BATCH_BYTES {
                self.hand_in().await?;
            }
            self.bytes += change.len() + ITEM_BYTES;
            self.items.push(change);
            self.lines.push(line);
            if self.items.len() == MAX_ITEMS {
                self.hand_in().await?;
            }
        }
        Ok(())
    }

    /// Hands what has gathered to the journal.
    async fn hand_in(&mut self) -> Result<(), Status> {
        let Some(last) = self.lines.last().copied() else { return Ok(()) };
        let records = self.lines.len() as u64;
        let draft = self.draft().map_err(|refusal| i247_wire::status(&refusal))?;
        (self.handed, self.bytes) = (last, 0);
        let answer = self.desk.journal.number_later(draft).await;
        let answer = answer.map_err(|error| status(&DeskError::Journal(error)))?;
        self.waiting.push_back(Waiting { line: last, records, answer });
        Ok(())
    }

    /// The message that carries what has gathered; it lacks its number.
    fn draft(&mut self) -> Result<Numberless, Refusal> {
        let (changes, lines) = (std::mem::take(&mut self.items), std::mem::take(&mut self.lines));
        let mut salts = vec![0; changes.len() * SALT_BYTES];
        self.desk.dice.fill(&mut salts);
        let salts = Bytes::from(salts);
        let item = |(at, change): (usize, Bytes)| {
            let salt = salts.slice(at * SALT_BYTES..(at + 1) * SALT_BYTES);
            pb::RecordItem { salt, change, leaf: Bytes::new() }
        };
        let items = changes.into_iter().enumerate().map(item).collect();
        let database = i32::from(self.database.number());
        let carried = i247_trust::carry_batch(&pb::RecordBatch { database, items })?;
        let mut steps = Vec::with_capacity(lines.len());
        let mut before = self.handed;
        for line in lines {
            let far = |_| Refusal::of(Reason::TooLarge, "lines.lines");
            steps.push(u32::try_from(line - before).map_err(far)?);
            before = line;
        }
        let name = Bytes::copy_from_slice(self.name.as_bytes());
        let load = pb::JournalLoad { name, database, after: self.handed, steps };
        let header = self.header(&carried);
        i247_wire::check_header(&header)?;
        let accepted = pb::JournalAccepted {
            header: Some(pb::Header::from(&header)),
            facts: Some(pb::JournalFacts::default()),
            officer: self.officer.to_string(),
            idempotency_key: String::new(),
            draft_hash: Bytes::new(),
            load: Some(load),
        };
        Ok(Numberless { accepted, lane: Lane::Bulk, body: carried.bytes })
    }

    fn header(&self, carried: &i247_trust::CarriedBody) -> Header {
        // The number and the chain are fixed when it is written and sealed.
        let views = self.desk.journal.views();
        let number = views.outbox.lane(Lane::Bulk).numbered + 1;
        Header {
            previous: (number > 1).then_some(Hash([0; 32])),
            seat: crate::draft::seat(&self.officer),
            ..Header::bare(
                views.outbox.id(Lane::Bulk, number),
                Kind::Records,
                Audience::secretariat(),
                Hash([0; 32]),
                self.desk.clock.now(),
                (carried.body_hash, carried.commitment),
            )
        }
    }
}

fn database(number: i32) -> Result<Database, Status> {
    let number = u8::try_from(number).ok();
    number.and_then(Database::from_number).ok_or_else(|| malformed("begin.database"))
}

fn in_line(line: u64, mut refusal: Refusal) -> Refusal {
    for field in &mut refusal.fields {
        *field = format!("line {line}: {field}");
    }
    refusal
}
