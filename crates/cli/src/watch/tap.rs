//! `i247 tap`: single messages as they move, one a line, until it is stopped. Ids and kinds, never a text.

use clap::Args;
use i247_client::ClientError;

use super::{Which, anew};
use crate::fail::Fail;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// How much is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct TapArgs {
    #[command(flatten)]
    which: Which,
    /// At most so many lines a second; how many were left out is said
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// End after so many lines; without it, when it is interrupted
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

/// Shows until the limit is reached or the command is interrupted. A hub that is lost is found again; what moved in
/// between is not shown.
pub(crate) async fn tap(args: &TapArgs, session: &Session) -> Result<(), Fail> {
    let monitor = session.monitor()?;
    let filter = args.which.filter()?;
    let mut stream = monitor.tap(filter.clone(), args.rate).await?;
    if !session.global.json {
        out::talk("Tapping; Ctrl-C ends it.");
    }
    let mut left = args.limit.unwrap_or(u64::MAX);
    loop {
        let part = match stream.message().await.map_err(ClientError::of_stream) {
            Ok(Some(part)) => part,
            Err(error) if !error.passes() => return Err(error.into()),
            Ok(None) | Err(_) => {
                out::talk("… the hub has ended the stream; what moves until there is another is not shown");
                stream = anew(|| monitor.tap(filter.clone(), args.rate)).await?;
                out::talk("… and goes on");
                continue;
            }
        };
        for event in &part.events {
            if session.global.json {
                out::json_line(&to_json("TapEvent", event));
            } else {
                out::data(&render::tapped(event));
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(());
            }
        }
        if part.left_out > 0 {
            out::talk(&format!("… {} left out", part.left_out));
        }
    }
}
