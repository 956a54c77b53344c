//! Posts ask about travellers, owners decide about what was found from their own files, and whoever asked says what was
//! done. All of it goes through the same clients as everybody's.
//!
//! Nothing here knows who is to be found: posts are handed zones, owners their own files.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, FuturesUnordered};
use i247_client::{ClientError, Desk, RolledSearches, pb};
use i247_model::CountryCode;
use i247_node::{Clock, sleep, sleep_on};

use super::count::register;
use super::plan::{OwnFiles, Standing, Station, Traveller};
use crate::table::Row;

/// Checks that are under way at once at one post, where they come as fast as they can.
const AT_ONCE: usize = 8;

/// Checks that may be under way or waited for at once, where each has its time.
const AHEAD: usize = 1024;

/// How often the register is looked at while hits are decided.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// So many looks in a row must find everything decided and nothing new.
const SETTLED_LOOKS: u32 = 3;

/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long nothing may change at a desk before the watch looks whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// Of things that could not be done so many are told.
const TOLD: usize = 20;

/// The connections of those who act.
pub struct BorderActors {
    /// Each post, under its own certificate. It signs for what it asks.
    pub posts: BTreeMap<Station, RolledSearches>,
    /// The operation that they search for.
    pub operation: String,
    /// An officer's desk in each country.
    pub desks: BTreeMap<CountryCode, Desk>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// After so long without anything new a step ends as it is.
    pub patience: Duration,
    /// The entry of the hub's log behind which hits are of this run; 0 where the network is its own.
    pub after: u64,
}

impl BorderActors {
    /// Whether somebody else has found it, at a place that is none of this run.
    fn is_foreign(&self, hit: &pb::HitStatus) -> bool {
        Station::of(hit).is_none_or(|station| !self.posts.contains_key(&station))
    }

    /// The hits of this run, as far as these desks see them.
    async fn register(&self, desks: &BTreeMap<CountryCode, Desk>) -> Result<Vec<pb::HitStatus>, ClientError> {
        let mut hits = register(desks, self.after).await?;
        hits.retain(|hit| !self.is_foreign(hit));
        Ok(hits)
    }

    /// The hits of this run, as all desks see them together.
    ///
    /// # Errors
    /// As every call.
    pub async fn hits(&self) -> Result<Vec<pb::HitStatus>, ClientError> {
        self.register(&self.desks).await
    }
}

/// A part of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Posts ask.
    Checks,
    /// Owners decide, and askers say what was done.
    Decisions,
}

/// Who is told how far it is.
pub trait BorderProgress {
    /// A step has done so many things of so many.
    fn reached(&mut self, step: Step, done: usize, of: usize);
}

/// How it went, as those saw it who acted. What came of it is counted afterwards.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BorderPlayed {
    /// What could not be done, and why. Empty when all went well.
    pub gave_up: Vec<String>,
    /// How long each answer took, from when it was due to be asked; the shortest first.
    pub answered_in: Vec<Duration>,
    /// How often a post was refused for now, and asked again after the time given.
    pub put_off: u64,
    /// Checks without an answer.
    pub unanswered: u64,
    /// From the first question to the last answer.
    pub lasted: Duration,
}

impl BorderPlayed {
    /// How fast it went, for the table.
    pub fn rows(&self) -> Vec<Row> {
        let row = |label: &str, run: String| Row { label: label.into(), run, recorded: None };
        let time = |percent| {
            self.percentile(percent)
                .map_or_else(|| "-".into(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
        };
        let seconds = self.lasted.as_secs_f64();
        let rate = if seconds > 0.0 { self.answered_in.len() as f64 / seconds } else { 0.0 };
        vec![
            row("Refused for now, and asked again", self.put_off.to_string()),
            row("Without an answer", self.unanswered.to_string()),
            row("Answers a second", format!("{rate:.0}")),
            row("Answered, half within", time(50)),
            row("Answered, 99 in 100 within", time(99)),
        ]
    }

    /// The time within which so many of a hundred answers came; none without an answer.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let last = self.answered_in.len().checked_sub(1)?;
        self.answered_in.get(last * percent / 100).copied()
    }
}

/// Checks every traveller once, in order, and waits until what was found is decided upon. With `due`, each is asked about
/// at its time after the beginning; without, as fast as the posts can. Each post signs for what it asked, every minute and
/// at its end.
///
/// It always comes to an end: what does not come costs the patience and is named in [`BorderPlayed::gave_up`].
///
/// # Cancel safety
/// Dropped, everybody stops where they are; what was asked was asked.
pub async fn play(
    travellers: &[Traveller],
    due: Option<&[Duration]>,
    own_files: &OwnFiles,
    actors: &BorderActors,
    progress: &mut dyn BorderProgress,
) -> BorderPlayed {
    let gave_up = Mutex::new(Vec::new());
    let nothing = BTreeMap::new();
    let mut officers: FuturesUnordered<_> = actors
        .desks
        .iter()
        .map(|(country, desk)| {
            let own_file = own_files.get(country).unwrap_or(&nothing);
            Officer { country: *country, desk, own_file, actors, gave_up: &gave_up }.work()
        })
        .collect();
    let mut signers: FuturesUnordered<_> = actors
        .posts
        .iter()
        .map(|(station, post)| {
            let gave_up = &gave_up;
            post.keep(move |error| give_up(gave_up, not_taken(station, &error)))
        })
        .collect();
    let acting = async {
        let mut played = BorderPlayed::default();
        let found = ask(travellers, due, actors, progress, &mut played).await;
        settle(found, actors, progress, &mut played).await;
        for (station, post) in &actors.posts {
            if let Err(error) = sign_off(post, actors).await {
                give_up(&gave_up, not_taken(station, &error));
            }
        }
        played
    };
    let mut acting = pin!(acting);
    let mut played = loop {
        // Officers and posts go on until the others are done; no arm loses anything when another one is taken.
        tokio::select! {
            played = &mut acting => break played,
            Some(()) = officers.next() => {}
            Some(()) = signers.next() => {}
        }
    };
    drop((officers, signers));
    played.gave_up.extend(std::mem::take(&mut *gave_up.lock().unwrap_or_else(PoisonError::into_inner)));
    played
}

/// Asks about everybody, and returns the hits that the posts were told of.
async fn ask(
    travellers: &[Traveller],
    due: Option<&[Duration]>,
    actors: &BorderActors,
    progress: &mut dyn BorderProgress,
    played: &mut BorderPlayed,
) -> usize {
    let begun = actors.clock.monotonic();
    let at_once = if due.is_some() { AHEAD } else { AT_ONCE * actors.posts.len().max(1) };
    let asking = travellers.iter().enumerate().map(|(nth, traveller)| {
        let due = due.and_then(|due| due.get(nth)).map(|due| begun.saturating_add(*due));
        check(traveller, due, actors)
    });
    let mut answers = stream::iter(asking).buffer_unordered(at_once);
    let (mut hits, mut done) = (BTreeSet::new(), 0);
    while let Some(checked) = answers.next().await {
        done += 1;
        progress.reached(Step::Checks, done, travellers.len());
        played.put_off += checked.put_off;
        match checked.answer {
            Ok(answer) => {
                played.answered_in.push(checked.took);
                hits.extend(answer.found.into_iter().map(|found| found.hit_id).filter(|id| !id.is_empty()));
            }
            Err(error) => {
                played.unanswered += 1;
                if played.gave_up.len() < TOLD {
                    played.gave_up.push(format!("a check was not answered: {error}"));
                }
            }
        }
    }
    played.answered_in.sort_unstable();
    played.lasted = actors.clock.monotonic().saturating_sub(begun);
    hits.len()
}

/// What came of one traveller.
struct Checked {
    took: Duration,
    /// How often the gate was told to ask again.
    put_off: u64,
    answer: Result<pb::KeyAnswer, ClientError>,
}

/// One traveller at a gate.
async fn check(traveller: &Traveller, due: Option<Duration>, actors: &BorderActors) -> Checked {
    let clock = &*actors.clock;
    if let Some(wait) = due.map(|due| due.saturating_sub(clock.monotonic())).filter(|wait| !wait.is_zero()) {
        sleep_on(clock, wait).await;
    }
    // What is asked late because too much is under way counts from when it was due.
    let since = due.unwrap_or_else(|| clock.monotonic());
    let Some(post) = actors.posts.get(&traveller.station) else {
        let answer = Err(ClientError::Unexpected(format!("no post {:?}", traveller.station)));
        return Checked { took: Duration::ZERO, put_off: 0, answer };
    };
    let key = pb::SearchKey { key: Some(pb::search_key::Key::Mrz(traveller.zone.clone())) };
    let asked = pb::SearchRequest {
        purpose: pb::Purpose::BorderControl.into(),
        officer: "gate".into(),
        station: traveller.station.post.to_string(),
        keys: vec![key],
        operation: actors.operation.clone(),
        ..pb::SearchRequest::default()
    };
    let mut put_off = 0;
    let answered = loop {
        let answered = post.check(asked.clone()).await;
        // What is refused for now was not asked: the gate asks again after the time given.
        let again = answered.as_ref().err().filter(|error| error.passes()).and_then(ClientError::refusal);
        let waited = clock.monotonic().saturating_sub(since);
        match again.and_then(|refusal| refusal.retry_after).filter(|_| waited < actors.patience) {
            Some(wait) => {
                put_off += 1;
                sleep_on(clock, wait).await;
            }
            None => break answered,
        }
    };
    let answer = answered.and_then(|found| {
        let answer = found.answers.into_iter().next();
        answer.ok_or_else(|| ClientError::Unexpected("an answer without a key".into()))
    });
    Checked { took: clock.monotonic().saturating_sub(since), put_off, answer }
}

/// Waits until every hit in the register has been decided and acted upon.
async fn settle(
    told: usize,
    actors: &BorderActors,
    progress: &mut dyn BorderProgress,
    played: &mut BorderPlayed,
) {
    let askers: BTreeSet<CountryCode> = actors.posts.keys().map(|station| station.country).collect();
    let desks: BTreeMap<CountryCode, Desk> = actors
        .desks
        .iter()
        .filter(|(country, _)| askers.contains(country))
        .map(|(country, desk)| (*country, desk.clone()))
        .collect();
    let (mut looks, mut last, mut since) = (0, (0, 0), actors.clock.monotonic());
    loop {
        // Not answered is not settled.
        if let Ok(hits) = actors.register(&desks).await {
            let acted = hits.iter().filter(|hit| hit.state() == pb::HitState::ActionReported).count();
            let of = hits.len().max(told);
            progress.reached(Step::Decisions, acted, of);
            looks = if acted == of { looks + 1 } else { 0 };
            if looks >= SETTLED_LOOKS {
                return;
            }
            if last != (acted, of) {
                (last, since) = ((acted, of), actors.clock.monotonic());
            }
        }
        if actors.clock.monotonic().saturating_sub(since) > actors.patience {
            let (acted, of) = last;
            played.gave_up.push(format!("{} of {of} hits were not decided and acted upon", of - acted));
            return;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Who sits at a bureau's desk: decides about hits on its own records, and reports what was done about the others'.
struct Officer<'a> {
    country: CountryCode,
    desk: &'a Desk,
    own_file: &'a BTreeMap<String, Standing>,
    actors: &'a BorderActors,
    gave_up: &'a Mutex<Vec<String>>,
}

impl Officer<'_> {
    /// Never ends by itself.
    async fn work(self) {
        let mut after = 0;
        loop {
            // A watch that ended is opened again, and goes on behind the last hit.
            if let Ok(mut hits) = self.desk.watch_hits(after, true).await {
                loop {
                    match hits.next(SILENCE).await {
                        Ok(Some(hit)) => {
                            after = after.max(hit.changed_position);
                            self.look_at(&hit).await;
                        }
                        Err(ClientError::Late(_)) => {}
                        Ok(None) | Err(_) => break,
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn look_at(&self, hit: &pb::HitStatus) {
        if self.actors.is_foreign(hit) {
            return;
        }
        let own = |code: &str| code == self.country.as_str();
        let done = match hit.state() {
            pb::HitState::SourceNotified if own(&hit.owner) => self.decide(hit).await,
            pb::HitState::Confirmed | pb::HitState::Denied | pb::HitState::Stale if own(&hit.asker) => {
                self.act(hit).await
            }
            _ => Ok(()),
        };
        if let Err(error) = done {
            give_up(self.gave_up, format!("{}: {}: {error}", self.country, hit.id));
        }
    }

    /// Looks the record up in the country's own file.
    async fn decide(&self, hit: &pb::HitStatus) -> Result<(), ClientError> {
        let shown = again(self.actors, async || self.desk.show(&hit.id).await).await?;
        let Some(pb::body::Form::Hit(found)) = shown.body.and_then(|body| body.form) else {
            return Err(ClientError::Unexpected("a hit without its form".into()));
        };
        let (verdict, remark) = match self.own_file.get(&found.name) {
            Some(Standing::Missing) => (pb::HitVerdict::Confirmed, "still missing"),
            Some(Standing::FoundAgain) => (pb::HitVerdict::Denied, "found again by its bearer"),
            // Somebody else's business: from before this run, and of a record that is not in it.
            None if hit.changed_position <= self.actors.after => return Ok(()),
            None => return Err(ClientError::Unexpected(format!("{} is no record of this run", found.name))),
        };
        let form = pb::HitDecision { verdict: verdict.into(), remark: remark.into() };
        let form = pb::body::Form::HitDecision(form);
        self.send(pb::Kind::HitDecision, &hit.id, "decided", form).await
    }

    /// Says what was done, now that the owner has decided.
    async fn act(&self, hit: &pb::HitStatus) -> Result<(), ClientError> {
        let confirmed = hit.state() == pb::HitState::Confirmed;
        let measure = if confirmed { pb::HitMeasure::DocumentSeized } else { pb::HitMeasure::Released };
        let form = pb::HitAction {
            measure: measure.into(),
            done_at_ms: self.actors.clock.now().as_millis(),
            place: hit.station.clone(),
            remark: String::new(),
        };
        self.send(pb::Kind::HitAction, &hit.decision_id, "acted", pb::body::Form::HitAction(form)).await
    }

    async fn send(
        &self,
        kind: pb::Kind,
        refers_to: &str,
        what: &str,
        form: pb::body::Form,
    ) -> Result<(), ClientError> {
        let body = pb::Body {
            subject: format!("About {refers_to}"),
            language: "EN".into(),
            form: Some(form),
            ..pb::Body::default()
        };
        let draft = pb::Draft {
            kind: kind.into(),
            refers_to: refers_to.to_owned(),
            body: Some(body),
            // Handed in again, it is the same message.
            idempotency_key: format!("{what}/{refers_to}"),
            ..pb::Draft::default()
        };
        again(self.actors, async || self.desk.send(draft.clone()).await.map(drop)).await
    }
}

/// Tries again while the patience lasts: what a hit refers to may come a moment after it.
async fn again<T>(
    actors: &BorderActors,
    mut call: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let since = actors.clock.monotonic();
    loop {
        match call().await {
            Err(_) if actors.clock.monotonic().saturating_sub(since) < actors.patience => {}
            ended => return ended,
        }
        sleep(PAUSE).await;
    }
}

/// Hands in what a post has signed for. What the hub does not agree with is not tried again.
async fn sign_off(post: &RolledSearches, actors: &BorderActors) -> Result<(), ClientError> {
    let since = actors.clock.monotonic();
    loop {
        match post.end().await {
            Err(error)
                if error.passes() && actors.clock.monotonic().saturating_sub(since) < actors.patience => {}
            ended => return ended,
        }
        sleep(PAUSE).await;
    }
}

fn give_up(gave_up: &Mutex<Vec<String>>, what: String) {
    let mut gave_up = gave_up.lock().unwrap_or_else(PoisonError::into_inner);
    if gave_up.len() < TOLD {
        gave_up.push(what);
    }
}

fn not_taken(station: &Station, error: &ClientError) -> String {
    format!("{}: {}: a roll-up was not taken: {error}", station.country, station.post)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times_that_were_taken() {
        let played = |times: std::ops::Range<u64>| BorderPlayed {
            answered_in: times.map(Duration::from_millis).collect(),
            ..BorderPlayed::default()
        };
        assert_eq!(played(0..101).percentile(50), Some(Duration::from_millis(50)));
        assert_eq!(played(0..101).percentile(99), Some(Duration::from_millis(99)));
        assert_eq!(played(7..8).percentile(99), Some(Duration::from_millis(7)));
        assert_eq!(played(0..0).percentile(50), None);
    }
}
