//! Frames that a peer may send beside its messages: a budget for each connection, counted as the bytes are read.
//!
//! hyper answers every ping and every change of settings, and takes frames that mean nothing for as long as they come.
//! Each is cheap, and a million a second are not. It reads heads of frames only, and decides nothing but that.

use std::time::Duration;

/// What a frame that carries no message costs.
const IDLE_COST: u64 = 100;

/// What the reset of a call costs: callers with deadlines give up on many at once.
const RESET_COST: u64 = 20;

/// What more room for answers costs: whoever reads much sends many.
const WINDOW_COST: u64 = 1;

/// Bytes of the preface, which is no frame.
const PREFACE_BYTES: u64 = 24;

const HEAD_BYTES: usize = 9;

/// The budget of one connection.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What it is filled with each second. It holds two seconds' worth.
    per_second: u64,
    /// Thousandths.
    level: u64,
    filled_at: Duration,
    /// Bytes to come before the next head.
    skip: u64,
    head: [u8; HEAD_BYTES],
    filled: usize,
}

impl Budget {
    /// A full budget.
    pub(crate) fn new(per_second: u32, now: Duration) -> Self {
        let per_second = u64::from(per_second);
        let level = per_second * 2000;
        Self { per_second, level, filled_at: now, skip: PREFACE_BYTES, head: [0; HEAD_BYTES], filled: 0 }
    }

    /// Whether the peer is still within it when these bytes have come.
    pub(crate) fn covers(&mut self, mut bytes: &[u8], now: impl Fn() -> Duration) -> bool {
        let mut cost = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
                self.skip -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(HEAD_BYTES - self.filled);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD_BYTES {
                self.filled = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = u64::from(u32::from_be_bytes([0, a, b, c]));
                cost += cost_of(kind, flags, self.skip);
            }
        }
        cost == 0 || self.pays(cost, now())
    }

    fn pays(&mut self, cost: u64, now: Duration) -> bool {
        let passed = u64::try_from(now.saturating_sub(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        let poured = self.per_second.saturating_mul(passed);
        self.level = self.level.saturating_add(poured).min(self.per_second * 2000);
        self.filled_at = now;
        match self.level.checked_sub(cost * 1000) {
            Some(left) => self.level = left,
            None => return false,
        }
        true
    }
}

fn cost_of(kind: u8, flags: u8, length: u64) -> u64 {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const WINDOW_UPDATE: u8 = 8;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    match kind {
        DATA if length == 0 && flags & END_STREAM == 0 => IDLE_COST,
        // How many calls there may be, and how long their heads, is limited elsewhere.
        DATA | HEADERS | CONTINUATION => 0,
        RST_STREAM => RESET_COST,
        WINDOW_UPDATE => WINDOW_COST,
        _ => IDLE_COST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const START: Duration = Duration::from_secs(7);

    fn begun() -> Budget {
        let mut budget = Budget::new(1000, START);
        assert!(budget.covers(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || START));
        budget
    }

    #[test]
    fn pings_are_covered_until_the_budget_is_spent_and_again_when_time_has_passed() {
        let mut budget = begun();
        assert!((0..20).all(|_| budget.covers(&PING, || START)));
        assert!(!budget.covers(&PING, || START));
        assert!(budget.covers(&PING, || START + Duration::from_millis(100)));
        assert!(!budget.covers(&PING, || START + Duration::from_millis(100)));
    }

    #[test]
    fn a_head_is_read_however_the_bytes_are_cut() {
        for cut in 0..PING.len() {
            let mut budget = begun();
            assert!(
                (0..20)
                    .all(|_| budget.covers(&PING[..cut], || START) && budget.covers(&PING[cut..], || START))
            );
            assert!(
                !(budget.covers(&PING[..cut], || START) && budget.covers(&PING[cut..], || START)),
                "{cut}"
            );
        }
    }

    #[test]
    fn messages_cost_nothing() {
        let mut budget = begun();
        let call =
            [&[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x83][..], &[0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]].concat();
        let end = [0, 0, 0, 0, 1, 0, 0, 0, 1];
        assert!((0..10_000).all(|_| budget.covers(&call, || START) && budget.covers(&end, || START)));
        let nothing = [0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!((0..20).all(|_| budget.covers(&nothing, || START)) && !budget.covers(&nothing, || START));
    }
}
