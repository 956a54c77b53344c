//! What the databases were asked for in the last hour, by minutes: for operators. It never holds what was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use i247_model::{Party, Reason, Timestamp};
use i247_records::Database;
use i247_records::record::Likeness;

use crate::flow::Latency;

/// How many minutes are kept.
const MINUTES: usize = 60;

const MINUTE_MS: u64 = 60_000;

/// Keys that were asked, and those of them for which something was found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Keys {
    pub(crate) asked: u64,
    pub(crate) found: u64,
}

/// What a frame asked for and found: of its keys, and in each database that it asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) keys: Keys,
    pub(crate) databases: BTreeMap<Database, Asked>,
}

/// What a frame asked of one database.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Asked {
    pub(crate) keys: Keys,
    /// The surest of what was found there for any of its keys.
    pub(crate) surest: Option<Likeness>,
    /// How long it was looked up there.
    pub(crate) took: Duration,
}

/// What one database was asked for, and how long it took for each frame.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct InDatabase {
    pub(crate) keys: Keys,
    pub(crate) latency: Latency,
}

/// What was asked in one minute.
#[derive(Clone, Default, Debug)]
pub(crate) struct Minute {
    pub(crate) begins_ms: u64,
    pub(crate) keys: Keys,
    pub(crate) databases: BTreeMap<Database, InDatabase>,
    pub(crate) askers: BTreeMap<Party, Keys>,
    pub(crate) refused: BTreeMap<Reason, u64>,
    /// Of whole frames.
    pub(crate) latency: Latency,
}

/// The last hour.
#[derive(Debug)]
pub(crate) struct Searched {
    began: Timestamp,
    minutes: Mutex<VecDeque<Minute>>,
}

impl Keys {
    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.found += other.found;
    }
}

impl InDatabase {
    pub(crate) fn add(&mut self, other: &Self) {
        self.keys.add(other.keys);
        self.latency.add(&other.latency);
    }
}

impl Searched {
    /// Counts from now on.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { began: now, minutes: Mutex::default() }
    }

    /// A frame was answered, in so much time.
    pub(crate) fn answered(&self, now: Timestamp, asker: Party, tally: &Tally, took: Duration) {
        self.count(now, |minute| {
            minute.keys.add(tally.keys);
            minute.askers.entry(asker).or_default().add(tally.keys);
            for (database, asked) in &tally.databases {
                let there = minute.databases.entry(*database).or_default();
                there.keys.add(asked.keys);
                there.latency.count(ms(asked.took));
            }
            minute.latency.count(ms(took));
        });
    }

    /// A frame was refused.
    pub(crate) fn refused(&self, now: Timestamp, reason: Reason) {
        self.count(now, |minute| *minute.refused.entry(reason).or_default() += 1);
    }

    /// The minutes of the window, the oldest first, and since when they count.
    pub(crate) fn window(&self, now: Timestamp, seconds: u32) -> (Timestamp, Vec<Minute>) {
        let from = now.as_millis().saturating_sub(u64::from(seconds) * 1000);
        let begins = from - from % MINUTE_MS;
        let minutes = self.minutes();
        let window = minutes.iter().filter(|minute| minute.begins_ms >= begins).cloned().collect();
        (Timestamp::from_millis(begins.max(self.began.as_millis())), window)
    }

    fn count(&self, now: Timestamp, count: impl FnOnce(&mut Minute)) {
        let mut minutes = self.minutes();
        // A clock that was put back counts on in the newest minute.
        let newest = minutes.back().map_or(0, |minute| minute.begins_ms);
        let begins_ms = (now.as_millis() - now.as_millis() % MINUTE_MS).max(newest);
        if minutes.is_empty() || begins_ms > newest {
            minutes.push_back(Minute { begins_ms, ..Minute::default() });
        }
        while minutes.len() > MINUTES {
            minutes.pop_front();
        }
        if let Some(minute) = minutes.back_mut() {
            count(minute);
        }
    }

    fn minutes(&self) -> MutexGuard<'_, VecDeque<Minute>> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begun milliseconds count whole: what took less than one took one at most.
fn ms(took: Duration) -> u32 {
    u32::try_from(took.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of 5 July 2010.
    const NOON: u64 = 1_278_331_200_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(NOON + seconds * 1000)
    }

    #[test]
    fn a_window_holds_its_minutes_and_no_others() {
        let searched = Searched::new(at(0));
        let one = Keys { asked: 10, found: 1 };
        let there = |took| Asked { keys: one, surest: None, took: Duration::from_millis(took) };
        let databases = BTreeMap::from([(Database::Sltd, there(2)), (Database::Nominal, there(40))]);
        let tally = Tally { keys: one, databases };
        for seconds in [5, 30, 65, 4000] {
            searched.answered(at(seconds), Party::Secretariat, &tally, Duration::from_millis(3));
        }
        searched.refused(at(4001), Reason::Busy);
        let (since, minutes) = searched.window(at(4010), 60);
        assert_eq!(since, at(3900), "the minute in which the window begins");
        assert_eq!(minutes.len(), 1);
        assert_eq!((minutes[0].keys, minutes[0].refused[&Reason::Busy]), (one, 1));
        assert_eq!(minutes[0].latency.percentile(99), 5);
        let (since, minutes) = searched.window(at(70), 3600);
        assert_eq!(since, at(0), "not before the hub began");
        assert_eq!(minutes[0].keys, Keys { asked: 20, found: 2 });
        let of = |database| {
            let InDatabase { keys, latency } = minutes[0].databases[&database];
            (keys, latency.percentile(50), latency.percentile(99))
        };
        assert_eq!(of(Database::Sltd), (Keys { asked: 20, found: 2 }, 2, 2));
        assert_eq!(of(Database::Nominal), (Keys { asked: 20, found: 2 }, 50, 50));
    }

    #[test]
    fn an_hour_is_kept_and_a_clock_may_be_put_back() {
        let searched = Searched::new(at(0));
        for minute in 0..90 {
            searched.refused(at(minute * 60), Reason::Busy);
        }
        searched.refused(at(10), Reason::Busy);
        let (_, minutes) = searched.window(at(90 * 60), 7200);
        assert_eq!(minutes.len(), 60);
        assert_eq!(minutes[59].refused[&Reason::Busy], 2);
    }
}
