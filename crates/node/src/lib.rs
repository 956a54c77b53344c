//! What every process does alike: clock, dice, network, configuration, telemetry, shutdown.
//!
//! ```text
//!   config ─► telemetry ─► Server: accept ─ TLS ─ limits ─ rules ─► services       connect ─► a Channel out
//!                             └─ Live: who is connected, cut ─┘        Shutdown stops it all in order
//! ```
//!
//! [`Clock`], [`Dice`] and [`Network`] are the seams to the outside, handed in at the composition root; a simulator
//! hands in others. Nothing here decides about messages, builds a runtime, or spawns a thread.

mod authorise;
mod budget;
mod calls;
mod causes;
mod channel;
mod clock;
pub mod config;
mod connection;
mod dice;
mod health;
mod limits;
pub mod linux;
mod live;
mod metrics_page;
mod net;
mod renewal;
mod seams;
mod server;
mod shutdown;
pub mod strict;
mod telemetry;
pub mod trace;
mod trusted_disk;

pub use authorise::{DescriptorError, Role, Rule, Rules, Shape};
pub use causes::with_causes;
pub use channel::{ChannelLimits, ConnectError, Probe, connect, probe};
pub use clock::{Clock, SystemClock, TlsClock, sleep, sleep_on, sleep_until};
pub use dice::{Dice, SeededDice, SystemDice};
pub use health::{Health, reflection};
pub use limits::Limits;
pub use live::Live;
pub use net::{BoxedStream, Listener, Network, Stream, TcpNetwork};
pub use renewal::Renewal;
pub use seams::Seams;
pub use server::{Agreed, Peer, Server};
pub use shutdown::{Shutdown, Stage, stop_signal};
pub use telemetry::{LogFormat, Telemetry, TelemetryConfig, TelemetryError};
pub use trusted_disk::TrustedDisk;
