//! Alerts of false documents before a reviewer.

use i247_client::{ExaminedAlert, pb};
use i247_records::record::{Cell, Record};

use super::table::{line, pairs, table, word};

/// Those that wait for their quality check.
pub(crate) fn forgeries(alerts: &[pb::PendingAlert]) -> String {
    let rows = alerts.iter().map(|one| {
        vec![
            one.name.clone(),
            one.country.clone(),
            word(one.document_type().as_str_name(), "TRAVEL_DOCUMENT_TYPE_"),
            word(one.forgery_kind().as_str_name(), "FORGERY_KIND_"),
            one.message_id.clone(),
        ]
    });
    table(&["ALERT", "COUNTRY", "DOCUMENT", "FORGERY", "BROUGHT BY"], rows.collect())
}

/// One as the reviewer read it.
pub(crate) fn forgery(alert: &ExaminedAlert) -> String {
    let head = pairs(&[
        ("alert", alert.record.name().to_string()),
        ("from", alert.signed.country.to_string()),
        ("message", format!("{}, item {}", alert.signed.header.id, alert.item)),
    ]);
    let said: Vec<(&str, String)> = Record::columns(alert.record.database())
        .zip(alert.record.to_row())
        .map(|(name, cell)| (name, text(&cell)))
        .collect();
    format!("{head}\n\n{}", pairs(&said))
}

fn text(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => line(text),
        Cell::List(entries) => line(&entries.join(", ")),
    }
}
