//! What is decided. Pure: no clock, dice, I/O, async, wire types or hash order.
//!
//! ```text
//!            State ─┐
//!   Stamp + Input ──┴─► decide ──► Decision ──► the log ──► State::apply ──► Effects
//!                          │                       │             │
//!                       Refusal                replay does    wake-ups, closed
//!                    (nothing entered)         only this      messages for history
//!
//!   submission: number ─► reference ─► audience ─► notice ─► places in mailboxes
//!   receipts:   delivered up to, opened, actioned          tick: reminders, escalations, expiry
//! ```
//!
//! The contract:
//!
//! - [`decide`] reads a state and an input with its stamp, and changes nothing. Same arguments, same
//!   decision. An `Err` enters nothing and spends no number; [`Decision::Void`] is entered and spends one.
//! - [`State::apply`] is total, never decides, and is all that replay does.
//! - Nobody outside the sequencer may see a state whose entry is not durable.
//! - Effects may be repeated, and a replay gives them again. What they say of open messages can always
//!   be read from the state; with [`Effect::Closed`] a message leaves it for history, whose owner hands
//!   it back in [`Submission::referred`] when it is referred to.
//! - The state is bounded by what is open: queues, open messages, notices asked for or in force, and
//!   [`ANSWERS_KEPT`] answers per sender and lane; after a recovery also of the epochs that it ended.
//! - The states of a message's recipients always add up to its frozen audience.
//! - The secretariat's mailbox is the log: what is addressed to it is delivered when it is accepted.

mod apply;
mod audience;
mod decide;
mod decision;
mod directory;
mod grant;
mod hit;
mod input;
mod mailbox;
mod message;
mod notice;
mod number;
mod predecessor;
mod receipt;
mod reference;
mod request;
mod state;

pub use audience::{Question, admitted_by, explain};
pub use decide::decide;
pub use decision::{Accepted, Decision, Effect, Fired, FiredDeadline, Made, Outcome, Place, TakenBack};
pub use directory::{Directory, Record, Standing};
pub use grant::{GRANTS_MAX, Granted, REMEMBERED};
pub use input::{
    DirectoryAction, DirectoryChange, Earlier, Input, Origin, Previous, SearchRoot, Stamp, Submission,
    UnderWay,
};
pub use mailbox::{Cursor, Delivery, Gap, Mailbox, STARVATION_BOUND};
pub use message::{Line, Message, MessageRef, Recipient};
pub use notice::{NoticeFile, Review};
pub use number::{ANSWERS_KEPT, Acceptance, Answer, out_of_order};
pub use predecessor::{Predecessor, RECOVERY_WINDOW};
pub use request::DEADLINES_PER_TICK;
pub use state::{Deadline, State};
