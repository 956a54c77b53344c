//! Work that comes in small pieces from many members, done together: signatures of many cost half as much at once as one
//! after the other, and a thread is woken once for all of them. It must not look at what is done.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use i247_ledger::{Blocking, outcome};
use i247_node::Stage;
use tokio::sync::{mpsc, oneshot};

/// So many pieces wait. Each member has one here at most, so that nobody waits long for the flood of another.
const WAITING: usize = 64;

/// Nothing is added to what weighs so much: everybody waits for the whole of it.
const ENOUGH: usize = 128;

/// Where pieces of work wait, each for its answer.
pub(crate) struct Together<P, A> {
    queue: mpsc::Sender<Waiting<P, A>>,
}

/// A piece that waits.
struct Waiting<P, A> {
    piece: P,
    answer: oneshot::Sender<A>,
}

/// How pieces are done.
pub(crate) struct How<P, W> {
    /// So many threads are at it.
    pub(crate) threads: usize,
    /// What a piece weighs.
    pub(crate) weight: fn(&P) -> usize,
    /// Does them; an answer for each, in their order.
    pub(crate) work: W,
}

impl<P: Send + 'static, A: Send + 'static> Together<P, A> {
    /// Begins; it ends when the stage is asked to stop.
    pub(crate) fn begin<W>(
        stage: &Stage,
        name: &'static str,
        blocking: Arc<dyn Blocking>,
        how: How<P, W>,
    ) -> Self
    where
        W: Fn(Vec<P>) -> Vec<A> + Clone + Send + Sync + 'static,
    {
        let (queue, waiting) = mpsc::channel(WAITING);
        let stop = stage.stop();
        stage.spawn_vital(name, async move {
            stop.run_until_cancelled(run(waiting, blocking, how)).await;
        });
        Self { queue }
    }

    /// The answer to a piece of work; none when the hub stops.
    ///
    /// # Cancel safety
    /// Once it waits it may be done all the same.
    pub(crate) async fn answer(&self, piece: P) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Waiting { piece, answer }).await.ok()?;
        answered.await.ok()
    }
}

/// What gathers while all threads are at work is done next.
async fn run<P, A, W>(mut queue: mpsc::Receiver<Waiting<P, A>>, blocking: Arc<dyn Blocking>, how: How<P, W>)
where
    P: Send + 'static,
    A: Send + 'static,
    W: Fn(Vec<P>) -> Vec<A> + Clone + Send + Sync + 'static,
{
    let mut under_way = FuturesUnordered::new();
    loop {
        // Dropping either wait loses nothing.
        let first = tokio::select! {
            Some(()) = under_way.next() => continue,
            first = queue.recv(), if under_way.len() < how.threads => first,
        };
        let Some(first) = first else { return };
        let (pieces, answers) = gather(first, &mut queue, how.weight);
        let (work, blocking) = (how.work.clone(), blocking.clone());
        under_way.push(async move {
            // Given up by a runtime that shuts down, or a fault of ours: whoever waits hears that nothing was done.
            let Some(done) = outcome(&*blocking, move || work(pieces)).await else { return };
            for (answer, done) in answers.into_iter().zip(done) {
                // Whoever is gone needs no answer.
                drop(answer.send(done));
            }
        });
    }
}

/// This piece and what else waits, as long as that is not too much.
fn gather<P, A>(
    first: Waiting<P, A>,
    queue: &mut mpsc::Receiver<Waiting<P, A>>,
    weight: fn(&P) -> usize,
) -> (Vec<P>, Vec<oneshot::Sender<A>>) {
    let mut gathered = weight(&first.piece);
    let (mut pieces, mut answers) = (vec![first.piece], vec![first.answer]);
    while gathered < ENOUGH
        && let Ok(next) = queue.try_recv()
    {
        gathered += weight(&next.piece);
        pieces.push(next.piece);
        answers.push(next.answer);
    }
    (pieces, answers)
}
