//! A hub that was restored from an older copy, taken up again, and given back what it lost.

mod by_hand;
pub(crate) mod line;
mod story;
