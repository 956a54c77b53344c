//! `i247 status` for an operator: how the hub is, in a few lines.

use std::process::ExitCode;

use crate::fail::{Exit, Fail};
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// Over so many seconds what moves is counted.
const WINDOW_S: u32 = 300;

/// Ends with 1 while the hub takes nothing, or something is critical.
pub(crate) async fn status(session: &Session) -> Result<ExitCode, Fail> {
    let monitor = session.monitor()?;
    let statistics = monitor.statistics(WINDOW_S).await?;
    let alerts = monitor.alerts(false).await?;
    let databases = monitor.databases(WINDOW_S).await?;
    out::answer(
        session,
        || to_json("StatisticsResponse", &statistics),
        || render::hub(&statistics, &alerts, &databases),
    );
    let writable = statistics.numbers.is_some_and(|numbers| numbers.writable);
    let well = writable && !alerts.alerts.iter().any(render::is_critical);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(Exit::Refused as u8) })
}
