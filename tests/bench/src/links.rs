//! What connections cost: the hub's memory with all bureaus linked and with two thousand connections, and the
//! handshake with the hybrid key exchange beside that without.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use i247_node::{Clock as _, SystemClock};
use i247_wire::pb;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use rustls::crypto::{SupportedKxGroup, aws_lc_rs::kx_group};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use crate::bureaus::Bureaus;
use crate::certs::Certs;
use crate::contender::Place;
use crate::hub::{Hub, People};
use crate::measure::median;
use crate::process::memory_of;

/// Connections that are opened in all.
pub(crate) const CONNECTIONS: usize = 2000;

/// How many are opened at once: what the hub takes from one address.
const OPENING: usize = 16;

/// The hub's resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) started: u64,
    /// With a stream to every bureau.
    pub(crate) linked: u64,
    /// With two thousand connections, those streams among them.
    pub(crate) connected: u64,
}

/// Connects to a new hub until it has so many connections.
pub(crate) async fn memory(program: &std::path::Path, place: &Place, people: &People) -> Result<Memory> {
    let hub = Hub::start(program, place, people).await?;
    let started = memory_of(hub.process());
    let bureaus = Bureaus::open(place.clock.clone(), people.members.clone(), |own| hub.channel(own)).await?;
    let linked = memory_of(hub.process());
    let more = CONNECTIONS.saturating_sub(people.members.len());
    let connecting = people.members.iter().cycle().take(more).map(|(_, own)| {
        let channel = hub.channel(own);
        async move {
            let mut exchange = ExchangeServiceClient::new(channel?);
            // The first call makes the connection.
            exchange.statuses(pb::StatusesRequest::default()).await?;
            anyhow::Ok(exchange)
        }
    });
    let connected: Vec<_> = futures::stream::iter(connecting).buffer_unordered(OPENING).try_collect().await?;
    let memory = Memory { started, linked, connected: memory_of(hub.process()) };
    drop((connected, bureaus));
    hub.stop().await?;
    Ok(memory)
}

/// Microseconds of a whole mutual handshake in memory, both sides: hybrid, and X25519 alone.
pub(crate) fn handshakes(certs: &Certs, clock: &SystemClock, rounds: usize) -> Result<(f64, f64)> {
    /// So many a round, so that the clock is fine enough.
    const IN_A_ROUND: u32 = 50;
    let groups: [&'static dyn SupportedKxGroup; 2] = [kx_group::X25519MLKEM768, kx_group::X25519];
    let mut took = [Vec::new(), Vec::new()];
    let server = Arc::new(certs.server()?);
    for _ in 0..rounds {
        for (group, took) in groups.iter().zip(&mut took) {
            let mut client = certs.client_with(vec![*group])?;
            client.resumption = rustls::client::Resumption::disabled();
            let client = Arc::new(client);
            let begun = clock.monotonic();
            for _ in 0..IN_A_ROUND {
                handshake(&client, &server)?;
            }
            took.push((clock.monotonic() - begun) / IN_A_ROUND);
        }
    }
    let [hybrid, plain] =
        took.map(|took: Vec<Duration>| median(took.into_iter().map(crate::measure::micros).collect()));
    Ok((hybrid, plain))
}

fn handshake(client: &Arc<rustls::ClientConfig>, server: &Arc<rustls::ServerConfig>) -> Result<()> {
    let mut client = ClientConnection::new(client.clone(), ServerName::try_from("localhost")?)?;
    let mut server = ServerConnection::new(server.clone())?;
    let mut bytes = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut bytes)?;
        server.read_tls(&mut &bytes[..])?;
        server.process_new_packets().context("server")?;
        bytes.clear();
        server.write_tls(&mut bytes)?;
        client.read_tls(&mut &bytes[..])?;
        client.process_new_packets().context("client")?;
        bytes.clear();
    }
    Ok(())
}
