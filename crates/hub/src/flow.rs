//! What moves through the hub, counted behind its hot path: for those who watch, and for statistics.
//!
//! ```text
//!   sequencer ─ moves of a group ─► gathered ─ 10 times a second ─► tick ─► watchers
//!                                                  │                 └────► seconds (the last hour), minutes
//!                                                  └─ single messages, while somebody taps ─► taps
//! ```
//!
//! The sequencer copies a few bytes for each recipient into a list; all else happens here. What is too much is left
//! out and counted, so that watching never holds up what is watched. It must not decide, nor hold the views for long.

mod cells;
mod latency;
mod matrix;
mod moves;
mod ring;
mod sample;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use i247_model::{Kind, Lane, Party, Reason, Timestamp};
use i247_wire::pb;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

pub(crate) use cells::{Cell, Cells, LinkKey};
pub(crate) use latency::{BOUNDS_MS, Latency};
pub(crate) use matrix::Matrix;
pub(crate) use moves::{Move, Moves, Replied, Tapped, What};
pub(crate) use ring::{LINKS_KEPT, Ring, Second};
pub(crate) use sample::{Sample, Stand, sample, stand};

use crate::core::Core;

/// How long moves gather.
const TICK: Duration = Duration::from_millis(100);

/// How often it is looked how all stand while nothing moves.
const IDLE: Duration = Duration::from_secs(1);

/// At most so many moves gather between two ticks: what a fan-out to all of 5,000 messages makes.
const MOVES_MAX: usize = 1_000_000;

/// At most so many single messages gather between two ticks.
const TAPPED_MAX: usize = 4096;

/// So many ticks wait for a watcher.
const TICKS_WAITING: usize = 16;

/// What moved in one tick, and how all stand at its end.
#[derive(Debug)]
pub(crate) struct Tick {
    pub(crate) span: Duration,
    pub(crate) cells: Cells,
    /// Moves that were too much to be counted by links.
    pub(crate) left_out: u64,
    pub(crate) sample: Arc<Sample>,
}

/// Single messages of one tick.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    pub(crate) messages: Vec<Tapped>,
    pub(crate) left_out: u64,
}

/// The counters, and who watches them.
#[derive(Debug)]
pub(crate) struct Flow {
    gathered: Mutex<Gathered>,
    bell: Notify,
    tapping: AtomicUsize,
    ticks: broadcast::Sender<Arc<Tick>>,
    taps: broadcast::Sender<Arc<Taps>>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Gathered {
    moves: Moves,
    moves_left_out: u64,
    taps_left_out: u64,
}

/// What is kept of the past.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) ring: Ring,
    pub(crate) matrix: Matrix,
}

/// Somebody taps; while it lives, single messages are gathered.
pub(crate) struct Tap {
    flow: Arc<Flow>,
    pub(crate) taps: broadcast::Receiver<Arc<Taps>>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.flow.tapping.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Flow {
    /// Counts from now on.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            gathered: Mutex::default(),
            bell: Notify::new(),
            tapping: AtomicUsize::new(0),
            ticks: broadcast::Sender::new(TICKS_WAITING),
            taps: broadcast::Sender::new(TICKS_WAITING),
            kept: Mutex::new(Kept { ring: Ring::new(now), matrix: Matrix::new(now) }),
        }
    }

    /// Whether single messages are wanted.
    pub(crate) fn is_tapped(&self) -> bool {
        self.tapping.load(Ordering::Relaxed) > 0
    }

    /// Takes the moves of a group; the list is empty then.
    pub(crate) fn take(&self, moves: &mut Moves) {
        if moves.is_empty() {
            return;
        }
        {
            let mut gathered = lock(&self.gathered);
            gathered.moves_left_out += cut(&mut moves.moves, MOVES_MAX, gathered.moves.moves.len());
            gathered.taps_left_out += cut(&mut moves.tapped, TAPPED_MAX, gathered.moves.tapped.len());
            gathered.moves.append(moves);
        }
        self.bell.notify_one();
    }

    /// Counts a refusal of which no entry tells.
    pub(crate) fn refused(&self, from: Party, kind: Option<Kind>, lane: Option<Lane>, reason: Reason) {
        let refused = Move { from, to: None, kind, lane, what: What::Refused(reason), after_ms: 0 };
        self.take(&mut Moves { moves: vec![refused], ..Moves::default() });
    }

    /// The ticks from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Tick>> {
        let ticks = self.ticks.subscribe();
        // The first tick comes soon, whether something moves or not.
        self.bell.notify_one();
        ticks
    }

    /// Single messages from now on.
    pub(crate) fn tap(self: &Arc<Self>) -> Tap {
        self.tapping.fetch_add(1, Ordering::Relaxed);
        Tap { flow: self.clone(), taps: self.taps.subscribe() }
    }

    /// What is kept of the past. Ticks wait while it is held.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    fn drain(&self) -> Gathered {
        std::mem::take(&mut *lock(&self.gathered))
    }
}

/// Counts until `stop`.
pub(crate) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut before = core.clock.monotonic();
    loop {
        // Dropping these waits loses nothing.
        tokio::select! {
            () = core.flow.bell.notified() => {
                tokio::select! {
                    () = i247_node::sleep(TICK) => {}
                    () = stop.cancelled() => return,
                }
            }
            () = i247_node::sleep(IDLE) => {}
            () = stop.cancelled() => return,
        }
        let monotonic = core.clock.monotonic();
        tick(&core, monotonic.saturating_sub(before));
        before = monotonic;
    }
}

/// Counts what has gathered, and tells those who watch.
fn tick(core: &Core, span: Duration) {
    let flow = &core.flow;
    let Gathered { moves, moves_left_out, taps_left_out } = flow.drain();
    let Moves { moves, tapped, replies, .. } = moves;
    let now = core.clock.now();
    let mut cells = Cells::default();
    for one in &moves {
        cells.count(one);
    }
    let mut sample = sample(core, now);
    {
        let mut kept = flow.kept();
        kept.matrix.count(now, &moves, &replies);
        kept.matrix.rates(now, &mut sample.numbers);
        let Sample { stands, numbers, .. } = &sample;
        kept.ring.count(now, &cells, stands, numbers);
    }
    core.counters.moved(&moves, &replies);
    // An error says that nobody watches.
    if flow.ticks.receiver_count() > 0 {
        let tick = Tick { span, cells, left_out: moves_left_out, sample: Arc::new(sample) };
        let _ = flow.ticks.send(Arc::new(tick));
    }
    if !tapped.is_empty() || taps_left_out > 0 {
        let _ = flow.taps.send(Arc::new(Taps { messages: tapped, left_out: taps_left_out }));
    }
}

/// Cuts off what does not fit behind `there`, and says how much that was.
fn cut<T>(list: &mut Vec<T>, max: usize, there: usize) -> u64 {
    let room = max.saturating_sub(there);
    let left_out = list.len().saturating_sub(room);
    list.truncate(room);
    left_out as u64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lane as the wire has it; unspecified for none.
pub(crate) fn wire_lane(lane: Option<Lane>) -> i32 {
    lane.map_or(pb::Lane::Unspecified, pb::Lane::from).into()
}

/// A kind as the wire has it; unspecified for none.
pub(crate) fn wire_kind(kind: Option<Kind>) -> i32 {
    kind.map_or(pb::Kind::Unspecified, pb::Kind::from).into()
}
