//! The run's own counts beside the recorded figures. Pure: counts in, table out.

use i247_client::pb::CaseState;
use i247_model::Kind;
use serde::Serialize;

use crate::count::{Counted, CountedSearches, digest};
use crate::file::{Figure, Qualifier, Recorded};

/// The table that a run ends with.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Table {
    /// Which operation.
    pub operation: String,
    /// Line by line.
    pub rows: Vec<Row>,
    /// Where the run falls short, country by country; empty when nothing is missing.
    pub gaps: Vec<String>,
    /// Over cases, outcomes and counts.
    pub digest: String,
}

/// One line of the table.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// What is counted.
    pub label: String,
    /// What the run came to.
    pub run: String,
    /// What was recorded of the real operation, where something was.
    pub recorded: Option<RecordedCell>,
}

/// A recorded figure beside the run's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RecordedCell {
    /// The number.
    pub value: u64,
    /// How the source puts it.
    pub qualifier: Qualifier,
    /// Where it stands.
    pub source: String,
    /// Whether the run comes to it: exactly, at least, or within two in a hundred.
    pub met: bool,
}

impl Table {
    /// Whether something is missing from the run: unanswered, undelivered, undecided, or unknown. The
    /// recorded figures have no part in it.
    pub fn falls_short(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Whether the run comes to every recorded figure.
    pub fn meets_the_record(&self) -> bool {
        self.rows.iter().filter_map(|row| row.recorded.as_ref()).all(|recorded| recorded.met)
    }
}

/// Lays the counts beside what was recorded. `rehearsal` is the count of the operation that shows a
/// reminder and an escalation, if it was played.
pub fn tabulate(counted: &Counted, recorded: &[Recorded], rehearsal: Option<&Counted>) -> Table {
    let figures = [
        (Figure::Cases, "Cases"),
        (Figure::Countries, "Countries"),
        (Figure::Officers, "Officers"),
        (Figure::Sent, "Messages sent: requests of officers"),
        (Figure::Received, "Messages received: replies to them"),
        (Figure::Arrests, "Arrests"),
        (Figure::PositivelyLocated, "Positively located"),
        (Figure::PossiblyLocated, "Possibly located"),
        (Figure::PositivePercent, "Arrested or positively located, in percent"),
    ];
    let has_cases = counted.cases().next().is_some();
    let mut rows: Vec<Row> = figures
        .into_iter()
        .filter_map(|(figure, label)| {
            let run = value(counted, figure);
            let recorded = recorded.iter().find(|recorded| recorded.figure == figure);
            // That nobody was found says something where there are cases, and nothing where there are none.
            let occurs = run > 0 || recorded.is_some() || (has_cases && is_outcome(figure));
            let row = Row {
                label: label.into(),
                run: run.to_string(),
                recorded: recorded.map(|one| cell(one, run)),
            };
            occurs.then_some(row)
        })
        .collect();
    rows.extend(own_rows(counted, rehearsal));
    Table { operation: counted.operation.clone(), rows, gaps: gaps(counted), digest: digest(counted) }
}

/// Whether a figure says how cases ended.
fn is_outcome(figure: Figure) -> bool {
    match figure {
        Figure::Cases | Figure::Countries | Figure::Officers | Figure::Sent | Figure::Received => false,
        Figure::Arrests | Figure::PositivelyLocated | Figure::PossiblyLocated | Figure::PositivePercent => {
            true
        }
    }
}

fn value(counted: &Counted, figure: Figure) -> u64 {
    let countries = || counted.countries.values();
    match figure {
        Figure::Cases => counted.cases().count() as u64,
        Figure::Countries => countries().filter(|country| country.took_part).count() as u64,
        Figure::Officers => countries().map(|country| country.seats.len() as u64).sum(),
        Figure::Sent => countries().map(|country| country.sent).sum(),
        Figure::Received => countries().map(|country| country.received).sum(),
        Figure::Arrests => counted.in_state(CaseState::Arrested),
        Figure::PositivelyLocated => counted.in_state(CaseState::PositivelyLocated),
        Figure::PossiblyLocated => counted.in_state(CaseState::PossiblyLocated),
        Figure::PositivePercent => {
            let sure = counted.in_state(CaseState::Arrested) + counted.in_state(CaseState::PositivelyLocated);
            let cases = counted.cases().count() as u64;
            // Rounded half up; no cases make nought percent.
            (200 * sure + cases).checked_div(2 * cases).unwrap_or(0)
        }
    }
}

fn cell(recorded: &Recorded, run: u64) -> RecordedCell {
    let met = recorded.qualifier.is_met(recorded.value, run);
    RecordedCell {
        value: recorded.value,
        qualifier: recorded.qualifier,
        source: recorded.source.clone(),
        met,
    }
}

/// What nothing was recorded of: kinds of messages that occur, searches where there were any, and of the network where it
/// carried something.
fn own_rows(counted: &Counted, rehearsal: Option<&Counted>) -> Vec<Row> {
    let row = |label: &str, run: String| Row { label: label.to_owned(), run, recorded: None };
    let kinds = [
        (Kind::NoticeRequest, "Notice requests"),
        (Kind::ReviewDecision, "Review decisions"),
        (Kind::Notice, "Notices published"),
        (Kind::NationalDecision, "National decisions on notices"),
        (Kind::PersonLocated, "Reports: person located"),
        (Kind::ArrestReport, "Reports: person arrested"),
    ];
    let accepted_of = kinds.into_iter().map(|(kind, label)| (label, counted.accepted_of(kind)));
    let mut rows: Vec<Row> =
        accepted_of.filter(|(_, run)| *run > 0).map(|(label, run)| row(label, run.to_string())).collect();
    rows.extend(search_rows(counted.searches));
    let accepted: u64 = counted.accepted.values().sum();
    if accepted == 0 {
        return rows;
    }
    rows.push(row("Frames of receipts", counted.receipts.to_string()));
    rows.push(row("Reminders", counted.reminders.to_string()));
    rows.push(row("Escalations", counted.escalations.to_string()));
    if let Some(rehearsal) = rehearsal {
        rows.push(row("Reminders, played on purpose", rehearsal.reminders.to_string()));
        rows.push(row("Escalations, played on purpose", rehearsal.escalations.to_string()));
    }
    rows.push(row("Delivery time, half within", milliseconds(counted.delivery_p50_ms)));
    rows.push(row("Delivery time, 99 in 100 within", milliseconds(counted.delivery_p99_ms)));
    rows.push(row("Messages accepted", accepted.to_string()));
    let per_second = (accepted * 1000).checked_div(counted.lasted_ms);
    rows.push(row("Messages a second", per_second.map_or_else(|| "-".to_owned(), |rate| rate.to_string())));
    rows
}

/// What was asked of the databases; nothing where nothing was.
fn search_rows(
    CountedSearches { stations, keys, matches, hits, confirmed, located }: CountedSearches,
) -> Vec<Row> {
    let rows = [
        ("Searches: stations that asked", stations),
        ("Searches: keys asked", keys),
        ("Searches: matches", matches),
        ("Hits that owners were told of", hits),
        ("Hits confirmed by their owners", confirmed),
        ("Records located", located),
    ];
    let rows = rows.into_iter().filter(|_| keys > 0);
    rows.map(|(label, run)| Row { label: label.into(), run: run.to_string(), recorded: None }).collect()
}

fn milliseconds(ms: u64) -> String {
    format!("{ms} ms")
}

/// Country by country, what is missing because of it.
fn gaps(counted: &Counted) -> Vec<String> {
    let mut gaps = Vec::new();
    for (code, country) in &counted.countries {
        if let Some(why) = &country.unreachable {
            gaps.push(format!("{code}: its desk cannot be asked: {why}"));
        }
        if country.waiting > 0 {
            gaps.push(format!("{code}: {} of its messages have not reached the hub", country.waiting));
        }
        if country.refused > 0 {
            gaps.push(format!("{code}: {} of its messages were refused", country.refused));
        }
        let undecided = country.cases.values().filter(|case| !case.decided).count();
        if undecided > 0 {
            gaps.push(format!("{code}: {undecided} of its cases have no decision on the notice"));
        }
        let silent = counted
            .cases()
            .flat_map(|case| &case.silent)
            .filter(|silent| silent.as_str() == code.to_string())
            .count();
        if silent > 0 {
            gaps.push(format!("{code}: silent, {silent} cases wait for its answer"));
        }
    }
    for (code, undelivered) in &counted.undelivered {
        gaps.push(format!("{code}: {undelivered} messages to it are not delivered"));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::tests::{case, small};

    fn recorded(figure: Figure, value: u64, qualifier: Qualifier) -> Recorded {
        Recorded { figure, value, qualifier, source: "public page on Operation Infra-Red".into() }
    }

    fn run_of<'a>(table: &'a Table, label: &str) -> &'a str {
        &table.rows.iter().find(|row| row.label == label).unwrap().run
    }

    #[test]
    fn the_run_column_is_counted_and_the_record_changes_nothing_in_it() {
        let bare = tabulate(&small(), &[], None);
        let runs: Vec<&str> = bare.rows.iter().take(9).map(|row| row.run.as_str()).collect();
        // One of three cases is 33.3 percent.
        assert_eq!(runs, ["3", "2", "3", "3", "3", "1", "0", "0", "33"]);
        let beside = tabulate(&small(), &[recorded(Figure::Cases, 447, Qualifier::Exact)], None);
        let run = |table: &Table| table.rows.iter().map(|row| row.run.clone()).collect::<Vec<_>>();
        assert_eq!(run(&beside), run(&bare));
        assert_eq!(beside.digest, bare.digest);
    }

    #[test]
    fn a_figure_is_met_as_its_qualifier_says() {
        let met = |qualifier, run| cell(&recorded(Figure::Sent, 700, qualifier), run).met;
        assert!(met(Qualifier::Exact, 700) && !met(Qualifier::Exact, 701));
        assert!(met(Qualifier::MoreThan, 700) && !met(Qualifier::MoreThan, 699));
        // Two in a hundred of 700 are 14.
        assert!(met(Qualifier::About, 686) && met(Qualifier::About, 714));
        assert!(!met(Qualifier::About, 685) && !met(Qualifier::About, 715));
    }

    #[test]
    fn the_table_says_where_a_run_falls_short() {
        let table = tabulate(&small(), &[], None);
        assert!(table.falls_short());
        assert_eq!(table.gaps, ["BR: silent, 1 cases wait for its answer"]);
        let mut counted = small();
        let brazil = counted.countries.get_mut(&"BR".parse().unwrap()).unwrap();
        brazil.waiting = 4;
        brazil.cases.insert("BR-IR-0009".into(), case("SELECTED", 0, &[]));
        counted.undelivered.insert("BR".parse().unwrap(), 12);
        assert_eq!(
            tabulate(&counted, &[], None).gaps,
            [
                "BR: 4 of its messages have not reached the hub",
                "BR: 1 of its cases have no decision on the notice",
                "BR: silent, 1 cases wait for its answer",
                "BR: 12 messages to it are not delivered",
            ]
        );
    }

    #[test]
    fn a_desk_that_cannot_be_asked_is_a_gap() {
        let mut counted = small();
        counted.countries.get_mut(&"BR".parse().unwrap()).unwrap().unreachable = Some("no connection".into());
        assert!(tabulate(&counted, &[], None).gaps[0].contains("cannot be asked: no connection"));
    }

    #[test]
    fn speed_is_what_was_accepted_over_how_long_it_took() {
        let table = tabulate(&small(), &[], None);
        // 12 messages in 4 seconds.
        assert_eq!(run_of(&table, "Messages a second"), "3");
        assert_eq!(run_of(&table, "Delivery time, 99 in 100 within"), "80 ms");
        let mut instant = small();
        instant.lasted_ms = 0;
        assert_eq!(run_of(&tabulate(&instant, &[], None), "Messages a second"), "-");
    }

    #[test]
    fn the_rehearsal_stands_on_lines_of_its_own() {
        let rehearsal = Counted { reminders: 3, escalations: 1, ..Counted::default() };
        let table = tabulate(&small(), &[], Some(&rehearsal));
        assert_eq!(run_of(&table, "Reminders"), "0");
        assert_eq!(run_of(&table, "Reminders, played on purpose"), "3");
        assert_eq!(run_of(&table, "Escalations, played on purpose"), "1");
    }

    #[test]
    fn searches_have_rows_where_something_was_asked() {
        let searches =
            CountedSearches { stations: 2, keys: 8000, matches: 5, hits: 4, confirmed: 3, located: 1 };
        let table = tabulate(&Counted { searches, ..small() }, &[], None);
        let runs = ["stations that asked", "keys asked", "matches"]
            .map(|what| run_of(&table, &format!("Searches: {what}")).to_owned());
        assert_eq!(runs, ["2", "8000", "5"]);
        assert_eq!(run_of(&table, "Records located"), "1");
        let without = tabulate(&small(), &[], None);
        assert!(without.rows.iter().all(|row| !row.label.starts_with("Searches")));
    }

    #[test]
    fn an_operation_of_searches_alone_has_rows_of_searches_alone() {
        let searches =
            CountedSearches { stations: 2, keys: 4, matches: 3, hits: 3, confirmed: 0, located: 0 };
        let table = tabulate(&Counted { searches, receipts: 9, ..Counted::default() }, &[], None);
        let rows: Vec<(&str, &str)> =
            table.rows.iter().map(|row| (row.label.as_str(), row.run.as_str())).collect();
        let expected = [
            ("Searches: stations that asked", "2"),
            ("Searches: keys asked", "4"),
            ("Searches: matches", "3"),
            ("Hits that owners were told of", "3"),
            ("Hits confirmed by their owners", "0"),
            ("Records located", "0"),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn kinds_that_do_not_occur_have_no_row_and_what_was_recorded_always_has() {
        let letters = Counted { accepted: [("free text".to_owned(), 2)].into(), ..Counted::default() };
        let arrests = recorded(Figure::Arrests, 71, Qualifier::Exact);
        let table = tabulate(&letters, &[arrests], None);
        let labels: Vec<&str> = table.rows.iter().map(|row| row.label.as_str()).collect();
        let expected = [
            "Arrests",
            "Frames of receipts",
            "Reminders",
            "Escalations",
            "Delivery time, half within",
            "Delivery time, 99 in 100 within",
            "Messages accepted",
            "Messages a second",
        ];
        assert_eq!(labels, expected);
        assert!(tabulate(&Counted::default(), &[], None).rows.is_empty());
    }
}
