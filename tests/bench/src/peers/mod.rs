//! The systems that we compare with, each as its makers mean it to be used, and how their messages are marked.

pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod raw_tls;
pub(crate) mod raw_tonic;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tokio::process::Command;

use crate::bureaus::BODY_BYTES;
use crate::certs::Certs;
use crate::contender::Task;
use crate::process::Server;

/// The command of this program that runs one of its own servers.
pub(crate) const SERVE: &str = "serve";

/// Starts this program once more, as a server; `keys` is the directory of what it needs.
async fn start_own(dir: &Path, name: &str, keys: &Path) -> Result<(Server, SocketAddr)> {
    crate::machine::empty(dir)?;
    let ready = dir.join("ready");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(SERVE).arg(name).arg("--keys").arg(keys).arg("--ready").arg(&ready);
    command.arg("--parent").arg(std::process::id().to_string());
    let mut server = Server::start(command, &dir.join("log.txt")).with_context(|| name.to_owned())?;
    let address = server.ready(async || std::fs::read_to_string(&ready).ok()?.parse().ok()).await?;
    Ok((server, address))
}

/// Runs one of the servers in this process, until it is killed or the process that asked for it ends.
///
/// # Errors
/// When there is none of that name, or it cannot listen.
pub(crate) async fn serve(name: &str, keys: &Path, ready: &Path, parent: u32) -> Result<()> {
    i247_node::linux::die_with_parent(parent)?;
    let tell = |address: SocketAddr| {
        let beside = ready.with_extension("new");
        std::fs::write(&beside, address.to_string())?;
        Ok(std::fs::rename(beside, ready)?)
    };
    match name {
        raw_tls::NAME => raw_tls::serve(&Certs::at(keys), tell).await,
        raw_tonic::NAME => raw_tonic::serve(keys, tell).await,
        _ => bail!("there is no server {name}"),
    }
}

/// A body that says which message of which sender it is.
pub(crate) fn payload(sender: usize, number: u64) -> Bytes {
    let mut payload = vec![b'x'; BODY_BYTES];
    mark(&mut payload, sender, number);
    payload.into()
}

/// Makes a body that of another message.
pub(crate) fn mark(payload: &mut [u8], sender: usize, number: u64) {
    payload[..8].copy_from_slice(&(sender as u64).to_le_bytes());
    payload[8..16].copy_from_slice(&number.to_le_bytes());
}

/// The sender and the number that a body names.
pub(crate) fn read_payload(payload: &[u8]) -> (usize, u64) {
    let word =
        |at: usize| payload.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let sender = word(0).and_then(|sender| usize::try_from(sender).ok());
    (sender.unwrap_or(usize::MAX), word(8).unwrap_or(u64::MAX))
}

/// How many messages there is room for in a measurement: more than can be sent in its time.
pub(crate) fn supply(task: &Task, recipients: usize) -> usize {
    const MOST_A_SECOND: f64 = 2_000_000.0;
    (MOST_A_SECOND / recipients as f64 * task.seconds) as usize + task.setting.in_flight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_one_kibibyte_and_names_its_message() {
        assert_eq!(payload(3, 700).len(), 1024);
        assert_eq!(read_payload(&payload(3, 700)), (3, 700));
        assert_eq!(read_payload(b"short"), (usize::MAX, u64::MAX));
    }
}
