//! What one listener puts up with. Each number was measured against an attacker on tonic's and hyper's defaults,
//! which leave most of these open.

use std::time::Duration;

/// Limits of a [`crate::Server`].
///
/// The size of a message is not among them: set `max_decoding_message_size` on each generated service (64 KiB, or
/// 1 MiB where attachments travel), since five bytes from a stranger reserve that much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the peer may take from there to its HTTP/2 preface and settings.
    pub first_frame: Duration,
    /// How long a connection may stay without any call.
    pub idle: Duration,
    /// How long the answer to a call may take to begin; a shorter `grpc-timeout` of the caller counts.
    pub call: Duration,
    /// The same for calls in which the caller streams and is answered once, such as the upload of an attachment.
    pub upload: Duration,
    /// How long a piece of an answer may wait for a peer that does not take it.
    pub stalled: Duration,
    /// After so long the peer is asked to connect anew, and so to be verified anew.
    pub age: Duration,
    /// How long open calls may go on once the peer was asked to leave (age, stop of the process).
    pub grace: Duration,
    /// Pings are sent at this interval, and must be answered within [`Self::ping_timeout`].
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// Handshakes under way from one address. One more, and the one that has lasted longest makes way.
    pub handshakes_per_address: usize,
    /// Handshakes under way in all. One more, and one makes way of the address that has most.
    pub handshakes: usize,
    /// Authenticated connections in all.
    pub connections: usize,
    /// Authenticated connections of one identity.
    pub connections_per_identity: usize,
    /// HTTP/2 streams open at once on a connection.
    pub streams: u32,
    /// Calls under way at once on a connection; the rest is refused as busy.
    pub calls_per_connection: u32,
    /// Bytes of metadata in one call.
    pub header_bytes: u32,
    /// Bytes that a peer may send ahead on one stream.
    pub stream_window_bytes: u32,
    /// Bytes that a peer may send ahead on one connection.
    pub connection_window_bytes: u32,
    /// Bytes of answers that wait on one stream for a peer that does not read.
    pub send_buffer_bytes: usize,
    /// Streams that a peer may make us reset before its connection ends (`MadeYouReset`).
    pub local_resets: usize,
    /// Streams that a peer may reset before they were accepted (rapid reset).
    pub pending_resets: usize,
    /// Hundredths of a frame that carries no message, each second: a ping, settings or an empty frame costs 100, the
    /// reset of a call 20, more room for answers 1. What is not used is kept for two seconds.
    pub idle_frames_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_frame: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(20),
            upload: Duration::from_secs(300),
            stalled: Duration::from_secs(60),
            age: Duration::from_secs(3600),
            grace: Duration::from_secs(30),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            handshakes_per_address: 32,
            handshakes: 256,
            connections: 4096,
            connections_per_identity: 32,
            streams: 100,
            calls_per_connection: 64,
            header_bytes: 8192,
            stream_window_bytes: 65_535,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes: 256 * 1024,
            local_resets: 64,
            pending_resets: 20,
            idle_frames_per_second: 10_000,
        }
    }
}
