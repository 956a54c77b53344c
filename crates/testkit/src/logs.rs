//! Where the nodes of one process write their logs: each into `log.txt` of its own directory, as a process of its own
//! would.
//!
//! A node runs in a span that holds its file. Its tasks, connections and jobs for the disk stay in that span, and what
//! is said there goes into the file. What belongs to no node goes into `log.txt` of the process's first world.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use i247_ledger::{Blocking, OnThreads};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::error::WorldError;

const LOG: &str = "log.txt";

/// Sets up the logs of this process, unless somebody before did.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn begin(dir: &Path) -> Result<(), WorldError> {
    if tracing::dispatcher::has_been_set() {
        return Ok(());
    }
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .event_format(ByNode::default())
        .with_writer(Mutex::new(open(dir)?))
        .finish();
    // Another world may have been quicker: then its file has what belongs to no node.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}

/// The span in which a node runs, whose words go into the log in `dir`.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn of_node(dir: &Path) -> Result<Span, WorldError> {
    let node = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let span = tracing::info_span!("node", name = node);
    let log = NodeLog(Arc::new(Mutex::new(open(dir)?)));
    span.with_subscriber(|(id, subscriber)| {
        // Where somebody else has set up the logs, they stay as that one wants them.
        let span = subscriber.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let Some(span) = span {
            span.extensions_mut().replace(log);
        }
    });
    Ok(span)
}

fn open(dir: &Path) -> Result<File, WorldError> {
    let path = dir.join(LOG);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.map_err(|source| WorldError::file(&path, source))
}

/// The file of a node, kept with its span.
#[derive(Clone, Debug)]
struct NodeLog(Arc<Mutex<File>>);

/// Lines as usual; those of a node into its own file.
#[derive(Debug, Default)]
struct ByNode(Format);

impl<S> FormatEvent<S, DefaultFields> for ByNode
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    DefaultFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut scope = context.event_scope().into_iter().flatten();
        let Some(log) = scope.find_map(|span| span.extensions().get::<NodeLog>().cloned()) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // A log that cannot be written stands in nobody's way.
        drop(log.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()));
        Ok(())
    }
}

/// Jobs for the disk, in the span of whoever asks for them.
#[derive(Debug)]
pub(crate) struct InSpan;

impl Blocking for InSpan {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        let span = Span::current();
        OnThreads.run(Box::new(move || span.in_scope(job)));
    }
}
