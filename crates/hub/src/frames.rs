//! The frames that wait in a stream for the network, bounded by what they weigh: a bureau that reads nothing costs the
//! same however large its messages are. It must not look into what it carries beyond its size.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use i247_wire::pb;
use i247_wire::pb::connect_response::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Status;

/// What the frames of one stream may weigh together.
const ROOM: u32 = 256;

/// A frame weighs one for each begun part of so many bytes: 512 KiB wait in all, or 256 small frames.
const BYTES_PER_WEIGHT: usize = 2 * 1024;

/// What a recipient takes in a status in memory, about.
const RECIPIENT_BYTES: usize = 64;

/// The sending side: where results, deliveries and progress meet.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    queue: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
}

/// The side that the network takes from.
#[derive(Debug)]
pub(crate) struct FrameStream(mpsc::UnboundedReceiver<Waiting>);

/// A frame and the room that it takes until the network has it.
type Waiting = (pb::ConnectResponse, OwnedSemaphorePermit);

/// The bureau is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// The two ends of a stream.
pub(crate) fn frames() -> (Frames, FrameStream) {
    let (queue, waiting) = mpsc::unbounded_channel();
    (Frames { queue, room: Arc::new(Semaphore::new(ROOM as usize)) }, FrameStream(waiting))
}

impl Frames {
    /// Waits for room and puts a frame behind the others; whoever waits longest is next.
    ///
    /// # Errors
    /// [`Gone`] when nobody takes frames any more.
    ///
    /// # Cancel safety
    /// A frame that had no room yet is not sent.
    pub(crate) async fn send(&self, frame: Frame) -> Result<(), Gone> {
        let room = self.room.clone().acquire_many_owned(weight(&frame));
        let taken = tokio::select! {
            biased;
            taken = room => taken.map_err(|_| Gone)?,
            () = self.queue.closed() => return Err(Gone),
        };
        self.queue.send((pb::ConnectResponse { frame: Some(frame) }, taken)).map_err(|_| Gone)
    }

    /// Waits until nobody takes frames any more.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// No frame weighs more than there is room for.
fn weight(frame: &Frame) -> u32 {
    let of = |envelope: &pb::Envelope| envelope.header.len() + envelope.body.len();
    let bytes = match frame {
        Frame::Delivery(delivery) => match &delivery.content {
            Some(pb::delivery::Content::Envelope(envelope)) => of(envelope),
            Some(pb::delivery::Content::Gap(_)) | None => 0,
        },
        Frame::GivenBack(given) => given.envelope.as_ref().map_or(0, of),
        Frame::Introduction(introduction) => introduction.certificates.iter().map(bytes::Bytes::len).sum(),
        Frame::Progress(progress) => {
            progress.statuses.iter().map(|status| status.recipients.len() * RECIPIENT_BYTES).sum()
        }
        Frame::Welcome(_) | Frame::Result(_) | Frame::Farewell(_) => 0,
    };
    u32::try_from(bytes / BYTES_PER_WEIGHT + 1).unwrap_or(ROOM).min(ROOM)
}

impl tokio_stream::Stream for FrameStream {
    type Item = Result<pb::ConnectResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|waiting| waiting.map(|(response, _room)| Ok(response)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt as _;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn delivery(bytes: usize) -> Frame {
        let envelope = pb::Envelope { body: Bytes::from(vec![0; bytes]), ..pb::Envelope::default() };
        let content = Some(pb::delivery::Content::Envelope(envelope));
        Frame::Delivery(pb::Delivery { content, ..pb::Delivery::default() })
    }

    /// Whether there is room now. The runtime lets a task take so much at a time only; here it may.
    fn sent(frames: &Frames, frame: Frame) -> bool {
        tokio::task::unconstrained(frames.send(frame)).now_or_never().is_some_and(|sent| sent.is_ok())
    }

    #[tokio::test]
    async fn a_stream_holds_256_small_frames_or_512_kib_and_goes_on_when_one_is_taken() {
        let (frames, mut stream) = frames();
        for _ in 0..256 {
            assert!(sent(&frames, delivery(1024)));
        }
        assert!(!sent(&frames, delivery(0)), "full");
        assert!(stream.next().await.is_some());
        assert!(sent(&frames, delivery(0)));

        let (frames, mut stream) = super::frames();
        assert!(sent(&frames, delivery(200 * 1024)) && sent(&frames, delivery(200 * 1024)));
        assert!(!sent(&frames, delivery(200 * 1024)), "the third is beyond 512 KiB");
        assert!(stream.next().await.is_some());
        assert!(sent(&frames, delivery(200 * 1024)));
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_room_goes_through_alone() {
        let (frames, mut stream) = frames();
        assert!(sent(&frames, delivery(1024 * 1024)));
        assert!(!sent(&frames, delivery(0)));
        assert!(stream.next().await.is_some());
        assert!(sent(&frames, delivery(0)));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_hears_that_the_bureau_is_gone() {
        let (frames, stream) = frames();
        assert!(sent(&frames, delivery(1024 * 1024)));
        let waits = frames.send(delivery(0));
        drop(stream);
        assert!(waits.await.is_err());
        frames.closed().await;
    }
}
