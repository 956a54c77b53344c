//! What one message costs the hub as the network and the log grow: point to point, signed one by one.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::contender::{Contender as _, Place, Task};
use crate::hub::{IN_BURSTS, ONE_BY_ONE, Ours, People};
use crate::measure::{Point, Setting, Work};
use crate::out;
use crate::process::memory_of;

/// Countries on the network.
const COUNTRIES: [usize; 5] = [10, 25, 50, 100, 196];
/// In flight in each measurement.
const IN_FLIGHT: usize = 256;
/// The hub may grow to this before the log is long enough; then the curve ends.
const MEMORY_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// How long the log is filled between two looks at it, at most; less when little is missing.
const FILL_SECONDS: f64 = 5.0;
/// Messages a second that are not exceeded in filling, as far as one can tell.
const FILL_RATE: f64 = 50_000.0;

/// A place on a curve.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Countries, or messages in the log.
    pub(crate) at: u64,
    pub(crate) point: Point,
    /// The hub's resident memory, in bytes.
    pub(crate) memory: u64,
}

/// Cost by number of countries.
pub(crate) async fn by_countries(
    program: &Path,
    place: &Place,
    people: &Arc<People>,
    seconds: f64,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for countries in COUNTRIES {
        let place = Place { countries, ..place.clone() };
        let mut ours = Ours::new(program.to_owned(), place, people.clone());
        ours.begin().await?;
        let step = step(&mut ours, countries as u64, seconds).await?;
        ours.end().await?;
        steps.push(step);
    }
    Ok(steps)
}

/// Cost by length of the log: 10⁴ messages, 10⁵, and so on to `longest`.
pub(crate) async fn by_length(
    program: &Path,
    place: &Place,
    people: &Arc<People>,
    seconds: f64,
    longest: u64,
) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut ours = Ours::new(program.to_owned(), place.clone(), people.clone());
    ours.begin().await?;
    let mut sent = 0;
    let mut at = 10_000;
    while at <= longest && steps.last().is_none_or(|step| step.memory < MEMORY_MAX) {
        while sent < at {
            let setting = Setting::of(1024, IN_BURSTS);
            let seconds = ((at - sent) as f64 / FILL_RATE).clamp(0.1, FILL_SECONDS);
            let filled = measure(&mut ours, setting, seconds).await?;
            if filled.shortfall.is_some() {
                break;
            }
            sent += filled.sent;
        }
        let step = step(&mut ours, sent, seconds).await?;
        sent += step.point.sent;
        let sound = step.point.shortfall.is_none();
        steps.push(step);
        if !sound {
            break;
        }
        at *= 10;
    }
    ours.end().await?;
    Ok(steps)
}

async fn step(ours: &mut Ours, at: u64, seconds: f64) -> Result<Step> {
    let point = measure(ours, Setting::of(IN_FLIGHT, ONE_BY_ONE), seconds).await?;
    let memory = ours.hub().map_or(0, |hub| memory_of(hub.process()));
    out::talk(&format!(
        "  at {at:>9}: {:>7.1} us a message, hub at {} MiB {}",
        point.server_us,
        memory >> 20,
        point.shortfall.as_deref().unwrap_or_default()
    ));
    Ok(Step { at, point, memory })
}

async fn measure(ours: &mut Ours, setting: Setting, seconds: f64) -> Result<Point> {
    let task = Task { work: Work::PointToPoint, setting, seconds, rate_before: None };
    Ok(ours.measure(&task).await?.point())
}
