//! The run's own counts beside what was recorded, country by country, and how they differ from what was planted. Pure.

use std::collections::BTreeMap;

use i247_client::pb;
use i247_model::CountryCode;
use serde::Serialize;

use super::count::BorderCounts;
use super::file::{SeenFigure, Told};
use super::plan::Expected;
use crate::render::recorded;
use crate::table::{RecordedCell, Row};

/// The table that a run ends with.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BorderTable {
    /// Which operation.
    pub operation: String,
    /// Its name.
    pub name: String,
    /// Line by line.
    pub rows: Vec<Row>,
    /// Country by country.
    pub countries: BTreeMap<CountryCode, CountryRow>,
    /// How the counts differ from what was planted; empty when they do not.
    pub differences: Vec<String>,
    /// What else was published of the operation.
    pub noted: Vec<String>,
}

/// What a country's posts asked, and what became of its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CountryRow {
    /// Documents that its posts checked.
    pub checks: u64,
    /// Frames for which its posts have signed; each has one document.
    pub signed_for: u64,
    /// Of these: were none, such as a zone with a wrong check digit.
    pub refused: u64,
    /// Of these: were found.
    pub matches: u64,
    /// Of these: look like something that is recorded.
    pub possible: u64,
    /// Hits of its posts about which it has reported what was done.
    pub acted: u64,
    /// Hits on its records.
    pub hits: u64,
    /// Of these: it says that the record holds.
    pub confirmed: u64,
    /// Of these: it says that it is something else, or was found again.
    pub denied: u64,
    /// Of these: it says that the record is out of date.
    pub stale: u64,
}

/// Lays the counts beside what was recorded, and holds them against what was planted.
pub fn tabulate_border(told: Told<'_>, counts: &BorderCounts, expected: &Expected) -> BorderTable {
    let countries = by_country(counts);
    let sum = |part: fn(&CountryRow) -> u64| countries.values().map(part).sum::<u64>();
    let row = |label: &str, run: u64, figure: Option<SeenFigure>| {
        let seen = told.recorded.iter().find(|seen| Some(seen.figure) == figure);
        let recorded = seen.map(|seen| RecordedCell {
            value: seen.value,
            qualifier: seen.qualifier,
            source: seen.source.clone(),
            met: seen.qualifier.is_met(seen.value, run),
        });
        Row { label: label.to_owned(), run: run.to_string(), recorded }
    };
    let hits = counts.hits.len() as u64;
    let open = counts.hits.iter().filter(|hit| hit.verdict == 0).count() as u64;
    let rows = vec![
        row("Posts that checked", counts.asked.len() as u64, Some(SeenFigure::Stations)),
        row("Documents checked", sum(|row| row.checks), Some(SeenFigure::Checks)),
        row("Signed for by their posts", sum(|row| row.signed_for), None),
        row("Matches", sum(|row| row.matches), Some(SeenFigure::Matches)),
        row("Possible only", sum(|row| row.possible), None),
        row("Refused, such as a wrong check digit", sum(|row| row.refused), None),
        row("Hits in the register", hits, None),
        row("Confirmed by their owners", sum(|row| row.confirmed), None),
        row("Denied by their owners", sum(|row| row.denied), None),
        row("Out of date, say their owners", sum(|row| row.stale), None),
        row("Not decided", open, None),
        row("Action reported", sum(|row| row.acted), None),
    ];
    let mut differences = differences(expected, &countries);
    if let Some(operation) = &counts.operation {
        differences.extend(operation_differences(operation, counts.asked.len(), &countries));
    }
    BorderTable {
        operation: told.id.to_owned(),
        name: told.name.to_owned(),
        rows,
        differences,
        countries,
        noted: told.noted.to_vec(),
    }
}

fn by_country(counts: &BorderCounts) -> BTreeMap<CountryCode, CountryRow> {
    let mut countries: BTreeMap<CountryCode, CountryRow> = BTreeMap::new();
    for (station, asked) in &counts.asked {
        let row = countries.entry(station.country).or_default();
        row.checks += asked.keys;
        row.signed_for += asked.signed_for;
        row.refused += asked.refused;
        row.matches += asked.matches;
        row.possible += asked.possible;
    }
    for hit in &counts.hits {
        if let Ok(asker) = hit.asker.parse() {
            let reported = hit.state() == pb::HitState::ActionReported;
            countries.entry(asker).or_default().acted += u64::from(reported);
        }
        let Ok(owner) = hit.owner.parse() else { continue };
        let row = countries.entry(owner).or_default();
        row.hits += 1;
        match hit.verdict() {
            pb::HitVerdict::Confirmed => row.confirmed += 1,
            pb::HitVerdict::Denied => row.denied += 1,
            pb::HitVerdict::Stale => row.stale += 1,
            pb::HitVerdict::Unspecified => {}
        }
    }
    countries
}

/// How the counts differ from what was planted, country by country and figure by figure.
pub fn differences(expected: &Expected, counted: &BTreeMap<CountryCode, CountryRow>) -> Vec<String> {
    let mut countries: Vec<&CountryCode> = expected.keys().chain(counted.keys()).collect();
    countries.sort_unstable();
    countries.dedup();
    let mut differences = Vec::new();
    for country in countries {
        let planted = expected.get(country).copied().unwrap_or_default();
        let counted = counted.get(country).copied().unwrap_or_default();
        for ((what, planted), (_, counted)) in planted.figures().into_iter().zip(counted.figures()) {
            if planted != counted {
                differences.push(format!("{country}: {what}: {planted} planted, {counted} counted"));
            }
        }
    }
    differences
}

/// How what the hub says of the operation differs from what was counted station by station and hit by hit.
fn operation_differences(
    operation: &pb::OperationSearches,
    stations: usize,
    countries: &BTreeMap<CountryCode, CountryRow>,
) -> Vec<String> {
    let sum = |part: fn(&CountryRow) -> u64| countries.values().map(part).sum::<u64>();
    let (count, hits) = (operation.count.unwrap_or_default(), operation.hits.unwrap_or_default());
    [
        ("stations", operation.stations.into(), stations as u64),
        ("checks", count.keys, sum(|row| row.checks)),
        ("refused", count.refused, sum(|row| row.refused)),
        ("matches", count.matches, sum(|row| row.matches)),
        ("possible", count.possible, sum(|row| row.possible)),
        ("hits", hits.hits, sum(|row| row.hits)),
        ("confirmed", hits.confirmed, sum(|row| row.confirmed)),
        ("denied", hits.denied, sum(|row| row.denied)),
        ("out of date", hits.stale, sum(|row| row.stale)),
        ("action reported", hits.acted, sum(|row| row.acted)),
    ]
    .into_iter()
    .filter(|(_, told, counted)| told != counted)
    .map(|(what, told, counted)| format!("the operation: {what}: {counted} counted, the hub says {told}"))
    .collect()
}

impl CountryRow {
    fn figures(self) -> [(&'static str, u64); 10] {
        [
            ("checks", self.checks),
            ("signed for", self.signed_for),
            ("refused", self.refused),
            ("matches", self.matches),
            ("possible", self.possible),
            ("action reported", self.acted),
            ("hits", self.hits),
            ("confirmed", self.confirmed),
            ("denied", self.denied),
            ("out of date", self.stale),
        ]
    }
}

/// The table as lines.
pub fn render_border(table: &BorderTable) -> Vec<String> {
    let mut lines = vec![format!("{:<38}  {:>8}  recorded", table.name, "this run"), "-".repeat(66)];
    for row in &table.rows {
        let beside = row.recorded.as_ref().map_or(String::new(), recorded);
        lines.push(format!("{:<38}  {:>8}  {beside}", row.label, row.run).trim_end().to_owned());
    }
    lines.push(String::new());
    let head = ["", "checks", "matches", "possible", "acted", "hits", "confirmed", "denied", "stale"];
    let line = |cells: [String; 9]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        cells.concat().trim_end().to_owned()
    };
    lines.push(line(head.map(str::to_owned)));
    for (country, row) in &table.countries {
        let CountryRow { checks, matches, possible, acted, hits, confirmed, denied, stale, .. } = *row;
        let figures = [checks, matches, possible, acted, hits, confirmed, denied, stale];
        let mut cells = [const { String::new() }; 9];
        cells[0] = country.to_string();
        for (cell, figure) in cells[1..].iter_mut().zip(figures) {
            *cell = if figure == 0 { "-".to_owned() } else { figure.to_string() };
        }
        lines.push(line(cells));
    }
    lines.push(String::new());
    lines.push("Counted from the hub's journal of searches and the register of hits.".to_owned());
    let mut sources: Vec<&str> =
        table.rows.iter().filter_map(|row| row.recorded.as_ref()).map(|cell| cell.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    lines.extend(sources.iter().map(|source| format!("Recorded: {source}.")));
    lines.extend(table.noted.iter().map(|noted| format!("Published beside it: {noted}.")));
    if table.differences.is_empty() {
        lines.push("The counts are those of what was planted.".to_owned());
    } else {
        lines.push("The counts differ from what was planted:".to_owned());
        lines.extend(table.differences.iter().map(|difference| format!("  {difference}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::count::Asked;
    use super::super::file::operation;
    use super::super::plan::Station;
    use super::*;

    fn country(code: &str) -> CountryCode {
        code.parse().unwrap()
    }

    fn counts() -> BorderCounts {
        let station = |post: &str| Station { country: country("IT"), post: post.parse().unwrap() };
        let half = Asked { keys: 4000, matches: 1, possible: 1, signed_for: 4000, ..Asked::default() };
        let other = Asked { matches: 2, ..half };
        let asked = BTreeMap::from([(station("fiumicino"), half), (station("malpensa"), other)]);
        let hit = |owner: &str, verdict: pb::HitVerdict, state: pb::HitState| pb::HitStatus {
            owner: owner.into(),
            asker: "IT".into(),
            verdict: verdict.into(),
            state: state.into(),
            ..pb::HitStatus::default()
        };
        let hits = vec![
            hit("FR", pb::HitVerdict::Confirmed, pb::HitState::ActionReported),
            hit("FR", pb::HitVerdict::Denied, pb::HitState::ActionReported),
            hit("BR", pb::HitVerdict::Confirmed, pb::HitState::ActionReported),
        ];
        let count = pb::SearchCount { keys: 8000, matches: 3, possible: 2, ..pb::SearchCount::default() };
        let told = pb::HitTally { hits: 3, confirmed: 2, denied: 1, acted: 3, ..pb::HitTally::default() };
        let operation = pb::OperationSearches {
            stations: 2,
            count: Some(count),
            hits: Some(told),
            ..pb::OperationSearches::default()
        };
        BorderCounts { asked, hits, operation: Some(operation) }
    }

    fn planted() -> Expected {
        let asked = CountryRow { checks: 8000, signed_for: 8000, ..CountryRow::default() };
        let italy = CountryRow { matches: 3, possible: 2, acted: 3, ..asked };
        let france = CountryRow { hits: 2, confirmed: 1, denied: 1, ..CountryRow::default() };
        let brazil = CountryRow { hits: 1, confirmed: 1, ..CountryRow::default() };
        BTreeMap::from([(country("IT"), italy), (country("FR"), france), (country("BR"), brazil)])
    }

    #[test]
    fn counts_stand_beside_what_was_recorded() {
        let table = tabulate_border(operation("hammer").unwrap().told(), &counts(), &planted());
        assert_eq!(table.differences, Vec::<String>::new());
        let lines = render_border(&table);
        assert_eq!(lines[0], "Operation Hammer                        this run  recorded");
        assert_eq!(lines[3], "Documents checked                           8000  8000");
        assert_eq!(lines[4], "Signed for by their posts                   8000");
        assert_eq!(lines[5], "Matches                                        3  3");
        assert_eq!(lines[9], "Confirmed by their owners                      2");
        let italy = lines.iter().find(|line| line.trim_start().starts_with("IT")).unwrap();
        assert_eq!(
            italy.split_whitespace().collect::<Vec<_>>(),
            ["IT", "8000", "3", "2", "3", "-", "-", "-", "-"]
        );
        assert!(lines.iter().all(|line| line.is_ascii() && line.len() <= 110));
    }

    #[test]
    fn every_figure_that_differs_is_named_with_its_country() {
        let mut counts = counts();
        counts.hits.pop();
        counts.hits[1].verdict = 0;
        counts.asked.values_mut().for_each(|asked| {
            asked.keys += 1;
            asked.signed_for -= 500;
        });
        counts.operation = None;
        let table = tabulate_border(operation("hammer").unwrap().told(), &counts, &planted());
        assert_eq!(
            table.differences,
            [
                "BR: hits: 1 planted, 0 counted",
                "BR: confirmed: 1 planted, 0 counted",
                "FR: denied: 1 planted, 0 counted",
                "IT: checks: 8000 planted, 8002 counted",
                "IT: signed for: 8000 planted, 7000 counted",
                "IT: action reported: 3 planted, 2 counted",
            ]
        );
        let lines = render_border(&table);
        assert!(lines.contains(&"The counts differ from what was planted:".to_owned()));
        assert!(lines.contains(&"  BR: hits: 1 planted, 0 counted".to_owned()));
        assert_eq!(table.rows[10].run, "1", "one is not decided");
    }

    #[test]
    fn what_the_hub_says_of_the_operation_is_held_against_the_counts() {
        let mut counts = counts();
        let mut told = counts.operation.unwrap();
        (told.stations, told.count) =
            (3, Some(pb::SearchCount { keys: 7999, matches: 3, possible: 2, ..Default::default() }));
        counts.operation = Some(told);
        let table = tabulate_border(operation("hammer").unwrap().told(), &counts, &planted());
        assert_eq!(
            table.differences,
            [
                "the operation: stations: 2 counted, the hub says 3",
                "the operation: checks: 8000 counted, the hub says 7999",
            ]
        );
    }

    #[test]
    fn a_recorded_figure_that_the_run_does_not_come_to_is_marked() {
        let mut counts = counts();
        counts.asked.pop_last();
        let lines = render_border(&tabulate_border(operation("hammer").unwrap().told(), &counts, &planted()));
        assert_eq!(lines[3], "Documents checked                           4000  8000  (differs)");
    }
}
