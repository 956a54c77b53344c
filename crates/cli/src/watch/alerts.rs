//! `i247 alerts`: what is wrong, since when, where to look, and what to do.

use std::process::ExitCode;

use crate::fail::{Exit, Fail};
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// Ends with 1 while something is critical.
pub(crate) async fn alerts(cleared: bool, session: &Session) -> Result<ExitCode, Fail> {
    let answer = session.monitor()?.alerts(cleared).await?;
    out::answer(session, || to_json("AlertsResponse", &answer), || render::alerts(&answer));
    let critical = answer.alerts.iter().any(render::is_critical);
    Ok(if critical { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}
