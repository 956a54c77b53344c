//! How many keys are asked about: by each post and by each country, in a minute and in a day (UTC). Looked up by key,
//! never iterated. It must not decide who may ask at all.

use std::time::Duration;

use dashmap::DashMap;
use i247_model::{CountryCode, Identity, Reason, Refusal, Timestamp};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: u64 = 60 * 1000;

/// How many keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    pub(crate) per_minute: u32,
    pub(crate) per_day: u64,
}

/// A moment, by both clocks: days are counted by the one, minutes by the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) monotonic: Duration,
}

/// What everybody has left.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    posts: DashMap<Identity, Budget>,
    countries: DashMap<CountryCode, Budget>,
}

#[derive(Debug)]
struct Budget {
    /// Keys left of this minute, in parts: a millisecond brings as many parts as a minute has keys. Below zero after
    /// a frame that holds more keys than a minute.
    level: i64,
    filled_at: Duration,
    day: u64,
    spent: u64,
}

impl Budgets {
    /// Takes so many keys from a country, and from its post if it is one that asks; or from neither.
    ///
    /// # Errors
    /// `BUSY`, with the time after which as many may come.
    pub(crate) fn take(
        &self,
        post: Option<(&Identity, Limit)>,
        country: (CountryCode, Limit),
        keys: u64,
        now: Moment,
    ) -> Result<(), Refusal> {
        let mut posts = post.map(|(post, limit)| {
            let budget = self.posts.entry(post.clone()).or_insert_with(|| Budget::full(limit, now));
            (budget, limit)
        });
        let (country, limit) = country;
        let mut of_country = self.countries.entry(country).or_insert_with(|| Budget::full(limit, now));
        if let Some((budget, limit)) = &mut posts {
            budget.check(*limit, keys, now).map_err(|wait| used("quota.post", wait))?;
        }
        of_country.check(limit, keys, now).map_err(|wait| used("quota.country", wait))?;
        if let Some((budget, _)) = &mut posts {
            budget.take(keys);
        }
        of_country.take(keys);
        Ok(())
    }

    /// Counts keys of today that were asked about before the start. A minute is whole again by then.
    pub(crate) fn recall(&self, post: Option<&Identity>, country: CountryCode, keys: u64, at: Timestamp) {
        let count = |budget: &mut Budget| budget.spent = budget.spent.saturating_add(keys);
        if let Some(post) = post {
            count(&mut self.posts.entry(post.clone()).or_insert_with(|| Budget::begun(at)));
        }
        count(&mut self.countries.entry(country).or_insert_with(|| Budget::begun(at)));
    }

    /// How many keys a post has asked about today.
    pub(crate) fn today(&self, post: &Identity, at: Timestamp) -> u64 {
        self.posts.get(post).filter(|budget| budget.day == day(at)).map_or(0, |budget| budget.spent)
    }
}

impl Budget {
    fn full(limit: Limit, now: Moment) -> Self {
        Self { level: parts(limit.per_minute), filled_at: now.monotonic, day: day(now.at), spent: 0 }
    }

    /// Of somebody whose limit is not known yet: the first look at it fills the minute.
    fn begun(at: Timestamp) -> Self {
        Self { level: i64::MAX, filled_at: Duration::ZERO, day: day(at), spent: 0 }
    }

    /// Whether there is room for so many keys; else how long until there is.
    fn check(&mut self, limit: Limit, keys: u64, now: Moment) -> Result<(), Duration> {
        let passed =
            u64::try_from(now.monotonic.saturating_sub(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        let rate = u64::from(limit.per_minute);
        let poured = i64::try_from(rate.saturating_mul(passed)).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(poured).min(parts(limit.per_minute));
        self.filled_at = now.monotonic;
        // A clock that goes back brings no day back.
        if day(now.at) > self.day {
            (self.day, self.spent) = (day(now.at), 0);
        }
        if self.spent.saturating_add(keys) > limit.per_day {
            let midnight = (self.day + 1).saturating_mul(DAY_MS);
            return Err(Timestamp::from_millis(midnight).since(now.at));
        }
        // A frame with more keys than a minute may come when the minute is whole.
        let needed = parts(u32::try_from(keys).unwrap_or(u32::MAX).min(limit.per_minute));
        match u64::try_from(needed.saturating_sub(self.level)) {
            Err(_) | Ok(0) => Ok(()),
            Ok(lacking) => Err(Duration::from_millis(lacking.div_ceil(rate.max(1)))),
        }
    }

    fn take(&mut self, keys: u64) {
        let taken = i64::try_from(keys.saturating_mul(MINUTE_MS)).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(taken);
        self.spent = self.spent.saturating_add(keys);
    }
}

fn parts(keys: u32) -> i64 {
    i64::from(keys) * MINUTE_MS as i64
}

fn day(at: Timestamp) -> u64 {
    at.as_millis() / DAY_MS
}

/// When the day of this moment began (UTC).
pub(crate) fn midnight_before(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(day(at) * DAY_MS)
}

fn used(field: &str, wait: Duration) -> Refusal {
    let next_step = "wait for the time given, or have the bureau grant more keys".into();
    Refusal { next_step, ..Refusal::of(Reason::Busy, field) }.retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limit = Limit { per_minute: 1_000_000, per_day: 1_000_000 };

    fn cdg() -> Identity {
        "spiffe://i247.test/ncb/fr/post/cdg".parse().unwrap()
    }

    fn france() -> CountryCode {
        "FR".parse().unwrap()
    }

    /// Ten minutes before midnight, and so many seconds later.
    fn seconds(passed: u64) -> Moment {
        let at = Timestamp::from_millis(20_000 * DAY_MS - 600_000 + passed * 1000);
        Moment { at, monotonic: Duration::from_secs(passed) }
    }

    fn asks(budgets: &Budgets, limit: Limit, keys: u64, now: Moment) -> Result<(), Duration> {
        let taken = budgets.take(Some((&cdg(), limit)), (france(), WIDE), keys, now);
        taken.map_err(|refusal| {
            assert_eq!((refusal.reason, refusal.fields[0].as_str()), (Reason::Busy, "quota.post"));
            refusal.retry_after.unwrap()
        })
    }

    #[test]
    fn budget_of_a_minute_comes_back_key_by_key() {
        let budgets = Budgets::default();
        let limit = Limit { per_minute: 60, per_day: 1_000_000 };
        assert_eq!(asks(&budgets, limit, 60, seconds(0)), Ok(()));
        assert_eq!(asks(&budgets, limit, 1, seconds(0)), Err(Duration::from_secs(1)));
        assert_eq!(asks(&budgets, limit, 30, seconds(10)), Err(Duration::from_secs(20)));
        assert_eq!(asks(&budgets, limit, 30, seconds(30)), Ok(()));
        assert_eq!(asks(&budgets, limit, 1, seconds(30)), Err(Duration::from_secs(1)));
        assert_eq!(asks(&budgets, limit, 60, seconds(400)), Ok(()), "it holds one minute, not more");
        assert_eq!(asks(&budgets, limit, 1, seconds(400)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn budget_of_a_minute_lets_a_larger_frame_come_when_it_is_whole_and_waits_for_it_afterwards() {
        let budgets = Budgets::default();
        let limit = Limit { per_minute: 60, per_day: 1_000_000 };
        assert_eq!(asks(&budgets, limit, 180, seconds(0)), Ok(()));
        assert_eq!(asks(&budgets, limit, 1, seconds(120)), Err(Duration::from_secs(1)));
        assert_eq!(asks(&budgets, limit, 1, seconds(121)), Ok(()));
    }

    #[test]
    fn budget_of_a_day_ends_at_midnight() {
        let budgets = Budgets::default();
        let limit = Limit { per_minute: 1000, per_day: 1000 };
        assert_eq!(asks(&budgets, limit, 1000, seconds(0)), Ok(()));
        assert_eq!(budgets.today(&cdg(), seconds(0).at), 1000);
        assert_eq!(asks(&budgets, limit, 1, seconds(540)), Err(Duration::from_secs(60)));
        assert_eq!(asks(&budgets, limit, 1, seconds(600)), Ok(()));
        assert_eq!(budgets.today(&cdg(), seconds(600).at), 1);
        let yesterday = Moment { at: seconds(0).at, monotonic: Duration::from_secs(700) };
        assert!(asks(&budgets, limit, 1000, yesterday).is_err(), "no day comes back");
    }

    #[test]
    fn budget_of_a_day_counts_what_was_asked_before_the_start() {
        let budgets = Budgets::default();
        let limit = Limit { per_minute: 100, per_day: 1000 };
        let now = seconds(0);
        budgets.recall(Some(&cdg()), france(), 600, now.at);
        budgets.recall(Some(&cdg()), france(), 350, now.at);
        assert_eq!(budgets.today(&cdg(), now.at), 950);
        assert_eq!(asks(&budgets, limit, 51, now), Err(Duration::from_secs(600)), "until midnight");
        assert_eq!(asks(&budgets, limit, 50, now), Ok(()));
        let small = Limit { per_minute: 1000, per_day: 1000 };
        assert!(budgets.take(None, (france(), small), 1, now).is_err(), "the country's too");
        assert_eq!(asks(&budgets, limit, 50, seconds(600)), Ok(()));
    }

    #[test]
    fn budget_of_a_country_is_shared_and_what_it_refuses_takes_nothing_from_the_post() {
        let budgets = Budgets::default();
        let small = Limit { per_minute: 100, per_day: 100 };
        let now = seconds(0);
        assert!(budgets.take(None, (france(), small), 60, now).is_ok(), "the bureau's own");
        let refusal = budgets.take(Some((&cdg(), WIDE)), (france(), small), 60, now).unwrap_err();
        assert_eq!(refusal.fields, ["quota.country"]);
        assert_eq!(budgets.today(&cdg(), now.at), 0);
        assert!(budgets.take(Some((&cdg(), WIDE)), (france(), small), 40, now).is_ok());
        assert!(budgets.take(Some((&cdg(), WIDE)), ("BR".parse().unwrap(), small), 40, now).is_ok());
    }
}
