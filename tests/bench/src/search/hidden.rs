//! Whether the time of an answer tells that a record is kept from whoever asks, by itself or with all that its owner has:
//! one asker that a restriction excludes asks for such records and for ones that there are not, in turn.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use i247_client::Searches;
use i247_node::{Clock as _, SystemClock};
use i247_wire::pb;
use prost::Message as _;
use tonic::transport::Channel;

use super::planted::{Document, frame, is_nothing};
use crate::measure::{median, micros};

/// Who must not see the records.
pub(crate) const EXCLUDED: &str = "JP";

/// Whom the owner bars from all that it owns.
pub(crate) const BARRED: &str = "KR";

/// Medians in microseconds, from one asker with one search under way.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    /// Of each kind.
    pub(crate) queries: usize,
    pub(crate) excluded_us: f64,
    pub(crate) absent_us: f64,
    /// Why it counts for nothing, if so.
    pub(crate) shortfall: Option<String>,
}

/// The same file with a column more, which excludes somebody from every record.
pub(crate) fn restrict(file: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(file)?;
    let mut lines = text.lines();
    let mut restricted = format!("{},except\n", lines.next().context("an empty file")?);
    for line in lines {
        restricted.push_str(&format!("{line},{EXCLUDED}\n"));
    }
    let beside = file.with_extension("restricted.csv");
    std::fs::write(&beside, restricted)?;
    Ok(beside)
}

/// So many searches of each kind, in turn.
pub(crate) async fn measure(
    channel: Channel,
    clock: &SystemClock,
    (hidden, absent): (&[Document], &[Document]),
    queries: usize,
) -> Result<Hidden> {
    let searches = Searches::new(channel);
    let mut took = [Vec::with_capacity(queries), Vec::with_capacity(queries)];
    let mut shortfall = None;
    for nth in 0..queries {
        let mut answers: [Vec<u8>; 2] = Default::default();
        for (which, documents) in [hidden, absent].into_iter().enumerate() {
            let request = frame(std::iter::once(&documents[nth % documents.len()]));
            let begun = clock.monotonic();
            let found = searches.check(request).await?;
            took[which].push(micros(clock.monotonic() - begun));
            if !(found.answers.len() == 1 && is_nothing(&found.answers[0])) {
                shortfall.get_or_insert_with(|| format!("something was found: {found:?}"));
            }
            // The log goes on from one search to the next.
            answers[which] = pb::SearchResponse { as_of_position: 0, ..found }.encode_to_vec();
        }
        if answers[0] != answers[1] {
            shortfall.get_or_insert_with(|| "the two answers are not the same bytes".into());
        }
    }
    let [excluded_us, absent_us] = took.map(median);
    Ok(Hidden { queries, excluded_us, absent_us, shortfall })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restricted_file_excludes_from_every_line() {
        let dir = std::env::temp_dir().join(format!("i247-restrict-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("sltd.csv");
        std::fs::write(&file, "number,stolen_on\nA,2020-01-02\nB,\n").unwrap();
        let restricted = std::fs::read_to_string(restrict(&file).unwrap()).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(restricted, "number,stolen_on,except\nA,2020-01-02,JP\nB,,JP\n");
    }
}
