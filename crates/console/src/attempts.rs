//! How often a password may be tried from one place. It knows nothing of passwords.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How many tries one place has at once.
const AT_ONCE: u32 = 5;
/// After so long one more.
const ONE_MORE: Duration = Duration::from_secs(12);
/// Places that are remembered. One more, and the one with most tries left is forgotten.
const PLACES: usize = 4096;

/// Tries left, by place. An IPv6 place is its first 64 bits: who has one address there has them all.
#[derive(Debug, Default)]
pub(crate) struct Attempts(BTreeMap<IpAddr, Left>);

#[derive(Debug)]
struct Left {
    tries: u32,
    /// When `tries` was last counted.
    at: Duration,
}

impl Attempts {
    /// Takes a try, or says how long to wait for the next.
    pub(crate) fn take(&mut self, from: IpAddr, now: Duration) -> Result<(), Duration> {
        let place = place(from);
        if !self.0.contains_key(&place) {
            self.make_room(now);
        }
        let left = self.0.entry(place).or_insert(Left { tries: AT_ONCE, at: now });
        left.refill(now);
        if left.tries == 0 {
            return Err(ONE_MORE.saturating_sub(now.saturating_sub(left.at)));
        }
        left.tries -= 1;
        Ok(())
    }

    /// Gives all tries back: whoever knew the password was no guesser.
    pub(crate) fn forget(&mut self, from: IpAddr) {
        self.0.remove(&place(from));
    }

    fn make_room(&mut self, now: Duration) {
        if self.0.len() < PLACES {
            return;
        }
        for left in self.0.values_mut() {
            left.refill(now);
        }
        self.0.retain(|_, left| left.tries < AT_ONCE);
        if self.0.len() < PLACES {
            return;
        }
        let most = self.0.iter().max_by_key(|(_, left)| left.tries).map(|(place, _)| *place);
        if let Some(most) = most {
            self.0.remove(&most);
        }
    }
}

impl Left {
    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        let more = u32::try_from(passed.as_secs() / ONE_MORE.as_secs()).unwrap_or(u32::MAX);
        self.tries = self.tries.saturating_add(more).min(AT_ONCE);
        self.at = if self.tries == AT_ONCE { now } else { self.at + ONE_MORE * more };
    }
}

fn place(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_five_tries_the_next_waits_and_others_do_not() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            assert_eq!(attempts.take(address("192.0.2.1"), NOW), Ok(()));
        }
        assert_eq!(attempts.take(address("192.0.2.1"), NOW), Err(Duration::from_secs(12)));
        assert_eq!(attempts.take(address("192.0.2.2"), NOW), Ok(()));
        let later = NOW + Duration::from_secs(11);
        assert_eq!(attempts.take(address("192.0.2.1"), later), Err(Duration::from_secs(1)));
        assert_eq!(attempts.take(address("192.0.2.1"), later + Duration::from_secs(1)), Ok(()));
        assert!(attempts.take(address("192.0.2.1"), later + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_place() {
        let mut attempts = Attempts::default();
        for n in 0..5 {
            assert_eq!(attempts.take(address(&format!("2001:db8::{n}")), NOW), Ok(()));
        }
        assert!(attempts.take(address("2001:db8::ffff"), NOW).is_err());
        assert_eq!(attempts.take(address("2001:db8:0:1::1"), NOW), Ok(()));
    }

    #[test]
    fn the_right_password_gives_all_tries_back() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            attempts.take(address("192.0.2.1"), NOW).unwrap();
        }
        attempts.forget(address("192.0.2.1"));
        assert_eq!(attempts.take(address("192.0.2.1"), NOW), Ok(()));
    }

    #[test]
    fn a_crowd_of_places_is_forgotten_before_the_one_that_guesses() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            attempts.take(address("192.0.2.1"), NOW).unwrap();
        }
        for n in 0..5000_u32 {
            assert_eq!(attempts.take(IpAddr::V4((0x0a00_0000 + n).into()), NOW), Ok(()));
        }
        assert!(attempts.0.len() <= PLACES);
        assert!(attempts.take(address("192.0.2.1"), NOW).is_err());
    }
}
