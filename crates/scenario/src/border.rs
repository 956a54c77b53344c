//! Operations at borders: posts check the documents of travellers against the databases, and the owners of what is found
//! say whether it holds.
//!
//! ```text
//!  data file ─┬─ workload ─► BorderPlan::draw(seed) ─┬─ records ────► files that bureaus load
//!             │                                      ├─ travellers ─► play: posts ask, owners decide from their own files
//!             │                                      └─ expected ───► compared at the end, and read by nothing else
//!             └─ recorded ─────────────────────────────► table: counts of journal and register beside them
//! ```
//!
//! A post is handed zones of documents and nothing else; an owner is handed its own files and nothing else. What a run
//! came to is counted by whoever has the journal of searches and the register of hits.

mod count;
mod day;
mod file;
mod network;
mod numbers;
mod plan;
mod play;
mod table;

pub use count::{Asked, BorderCounts, register};
pub use file::{BorderOperation, BorderWorkload, Seen, SeenFigure, Told, network, operation, operations};
pub use network::{Network, NetworkPlan};
pub use plan::{BorderPlan, Expected, OwnFiles, Standing, Station, Traveller};
pub use play::{BorderActors, BorderPlayed, BorderProgress, Step, play};
pub use table::{BorderTable, CountryRow, differences, render_border, tabulate_border};
