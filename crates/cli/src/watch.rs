//! What operators watch at a terminal: `i247 top`, `i247 tap`, `i247 alerts`. It asks the hub and never acts.

mod alerts;
mod board;
mod status;
mod tap;
mod top;

use std::time::Duration;

use clap::Args;
use i247_client::{ClientError, pb};
use i247_model::{CountryCode, Kind, Lane};
use i247_node::sleep;

use crate::args::country;
use crate::fail::Fail;

pub(crate) use alerts::alerts;
pub(crate) use status::status;
pub(crate) use tap::{TapArgs, tap};
pub(crate) use top::{TopArgs, top};

/// Between two attempts to find the hub again: at first, and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// Opens a stream anew, and tries until it works or never will. A hub asks everybody to connect anew from time to time,
/// and may be away for a while.
async fn anew<T, F>(open: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut wait = RETRY[0];
    loop {
        match open().await {
            Err(error) if error.passes() => sleep(wait).await,
            done => return done,
        }
        wait = (wait * 2).min(RETRY[1]);
    }
}

/// Which messages are meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Which {
    /// Only what this country sends or receives; may be given several times
    #[arg(id = "moving_country", long = "country", value_name = "COUNTRY", value_parser = country)]
    pub(crate) country: Vec<CountryCode>,
    /// Only this kind: request, reply, notice, diffusion …; may be given several times
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Only this lane: very-urgent, urgent, normal, bulk; may be given several times
    #[arg(long)]
    pub(crate) lane: Vec<String>,
}

impl Which {
    fn filter(&self) -> Result<pb::FlowFilter, Fail> {
        let mut filter = pb::FlowFilter::default();
        filter.parties.extend(self.country.iter().map(ToString::to_string));
        for word in &self.kind {
            filter.kinds.push(pb::Kind::from(kind(word)?).into());
        }
        for word in &self.lane {
            filter.lanes.push(pb::Lane::from(lane(word)?).into());
        }
        Ok(filter)
    }
}

fn kind(word: &str) -> Result<Kind, Fail> {
    let spoken = word.replace(['-', '_'], " ").to_lowercase();
    let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == spoken);
    found.ok_or_else(|| {
        let kinds: Vec<String> = Kind::ALL.iter().map(|kind| kind.as_str().replace(' ', "-")).collect();
        Fail::usage(format!("{word} is no kind of message"), format!("name one of: {}", kinds.join(", ")))
    })
}

fn lane(word: &str) -> Result<Lane, Fail> {
    let spoken = word.replace(['-', '_'], " ").to_lowercase();
    let found = Lane::ALL.into_iter().find(|lane| lane.to_string() == spoken);
    let next = "name one of: very-urgent, urgent, normal, bulk";
    found.ok_or_else(|| Fail::usage(format!("{word} is no lane"), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_lanes_are_named_with_dashes_or_spaces() {
        let which = Which {
            country: vec!["FR".parse().unwrap()],
            kind: vec!["diffusion".into(), "notice-request".into()],
            lane: vec!["Very urgent".into()],
        };
        let filter = which.filter().unwrap();
        assert_eq!(filter.parties, ["FR"]);
        assert_eq!(filter.kinds, [pb::Kind::Diffusion as i32, pb::Kind::NoticeRequest as i32]);
        assert_eq!(filter.lanes, [pb::Lane::VeryUrgent as i32]);
        let fail = Which { kind: vec!["letter".into()], ..Which::default() }.filter().unwrap_err();
        assert!(fail.next.contains("notice-request, review-decision"), "{}", fail.next);
    }
}
