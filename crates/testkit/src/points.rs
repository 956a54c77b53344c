//! Named points in the life of a message at which a node loses its power. They are played through the seams only: the
//! disk's writes and syncs, by what they hold, and the line between a bureau and the hub. The nodes know nothing of it.

use std::path::PathBuf;

use i247_ledger::faults::{BreakableDisk, Moment, Trap};
use i247_model::{CountryCode, MessageId};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::error::WorldError;
use crate::invariants::under_way;
use crate::pki::country;
use crate::proxy::{Catch, Toward};
use crate::running::node_dir;
use crate::world::World;

/// A point in the life of a message, and who goes down there. They stand in the order in which a message comes to
/// them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Point {
    /// The sender, when its desk has the draft and nothing of it is in the journal.
    Offered,
    /// The sender, when the message is durable in its journal and the officer has not been told.
    Taken,
    /// The sender, when header and signature are durable and not a byte has left.
    Sealed,
    /// The hub, when the message is on the line and has not reached it.
    Sent,
    /// The hub, when the message reaches it: it may read and check it, and can keep nothing.
    Received,
    /// The hub, when it has decided and nothing of the entry is written.
    Decided,
    /// The hub, inside the append: the entry is written and not synced. It may be there afterwards or not.
    Appending,
    /// The hub, when the entry is durable and nobody has been answered.
    Appended,
    /// The hub, when its answer is on the line and has not reached the sender. The addressee may have the message.
    Answered,
    /// The sender, when it has the hub's answer and nothing of it is in the journal.
    Told,
    /// The sender, when the hub's answer is durable in its journal and nobody at the desk has seen it.
    Noted,
    /// The addressee, when it has the message and nothing of it is in the journal.
    Delivered,
    /// The addressee, inside the write: the message is written and not synced. It may be there afterwards or not.
    Keeping,
    /// The addressee, when the message is durable in its journal and not acknowledged.
    Kept,
    /// The hub, when it has the addressee's receipt and nothing of it is written.
    Acknowledged,
    /// The hub, when the receipt is durable and the sender has not been told.
    Entered,
}

impl Point {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::Offered,
        Self::Taken,
        Self::Sealed,
        Self::Sent,
        Self::Received,
        Self::Decided,
        Self::Appending,
        Self::Appended,
        Self::Answered,
        Self::Told,
        Self::Noted,
        Self::Delivered,
        Self::Keeping,
        Self::Kept,
        Self::Acknowledged,
        Self::Entered,
    ];
}

/// Who goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Sender,
    Hub,
    Addressee,
}

/// How a point is recognised.
enum Sign {
    /// By a write that holds all this.
    Write(Whose, Vec<Vec<u8>>, Moment),
    /// By what comes through the sender's line.
    Line(Toward, Catch),
}

/// A crash that is laid for a message, or has struck.
#[derive(Debug)]
#[must_use = "a crash that nobody waits for and recovers from leaves the node down"]
pub struct Crash<'w> {
    world: &'w World,
    point: Point,
    /// Who goes down; the hub is none of the countries.
    node: Option<CountryCode>,
    disk: BreakableDisk,
}

impl World {
    /// Lays a crash at this point of the life of a message that is not written yet, on its way to `to`. It waits first
    /// until nothing else is under way. Only in a world with [breakable](crate::Builder::breakable) disks.
    ///
    /// # Errors
    /// When the world does not become quiet, or one of the three does not run.
    ///
    /// # Panics
    /// When the disks of this world cannot break, or the sender is no country.
    pub async fn crash_at(&self, point: Point, id: &MessageId, to: &str) -> Result<Crash<'_>, WorldError> {
        let from = id.sender.party().country().expect("a country's message");
        self.linked(from.as_str()).await?;
        self.linked(to).await?;
        let quiet = async || Ok(under_way(self).await?.is_empty().then_some(()));
        self.until("nothing else to be under way", quiet).await?;
        let to = country(to);
        let sign = sign(point, id, to);
        let whose = match &sign {
            Sign::Write(whose, ..) => *whose,
            Sign::Line(..) => Whose::Hub,
        };
        let node = match whose {
            Whose::Sender => Some(from),
            Whose::Hub => None,
            Whose::Addressee => Some(to),
        };
        let disk = self.disk(node);
        match sign {
            Sign::Write(_, holding, moment) => {
                disk.power_off_at(Trap { dir: self.log_dir(node)?, holding, moment });
            }
            Sign::Line(toward, catch) => {
                let line = self.placed(from)?.line.as_ref().expect("a line that is not direct");
                line.catch(toward, catch, disk.clone());
            }
        }
        Ok(Crash { world: self, point, node, disk })
    }

    /// The breakable disk of a bureau, or of the hub: `None`.
    ///
    /// # Panics
    /// When the disks of this world cannot break.
    pub fn disk(&self, node: Option<CountryCode>) -> BreakableDisk {
        self.disks().get(&node).cloned().expect("a world with breakable disks")
    }

    /// Where a node's log, or journal, is.
    fn log_dir(&self, node: Option<CountryCode>) -> Result<PathBuf, WorldError> {
        Ok(match node {
            None => node_dir(&self.dir, "hub")?.join("data/log"),
            Some(code) => node_dir(&self.dir, &code.to_lowercase())?.join("data/journal"),
        })
    }
}

impl Crash<'_> {
    /// Waits until the node has come to the point; then it is gone.
    ///
    /// # Errors
    /// When it does not come there in time.
    pub async fn strikes(&self) -> Result<(), WorldError> {
        let what = format!("the crash at {:?}", self.point);
        self.world.until(&what, async || Ok((!self.disk.is_powered()).then_some(()))).await?;
        match self.node {
            None => self.world.crash_hub().await,
            Some(code) => self.world.crash(code.as_str()).await,
        }
    }

    /// The power is on again: what was not synced is lost, kept or torn, and the node starts.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn recover(self) -> Result<(), WorldError> {
        let disk = self.disk.power_off();
        self.world.put_disk(self.node, disk);
        match self.node {
            None => self.world.start_hub().await,
            Some(code) => self.world.restart(code.as_str()).await,
        }
    }
}

fn sign(point: Point, id: &MessageId, to: CountryCode) -> Sign {
    let written = |whose, moment| Sign::Write(whose, vec![id.to_string().into_bytes()], moment);
    let sealed = pb::JournalSealed { id: id.to_string(), ..pb::JournalSealed::default() };
    let answer = vec![id.to_string().into_bytes(), payload::ACCEPTANCE.as_bytes().to_vec()];
    let from_addressee = pb::Receipts { party: to.to_string(), ..pb::Receipts::default() };
    let receipt = vec![payload::RECEIPTS.as_bytes().to_vec(), from_addressee.encode_to_vec()];
    match point {
        Point::Offered => written(Whose::Sender, Moment::BeforeWrite),
        Point::Taken => written(Whose::Sender, Moment::AfterSync),
        // The draft was written without an id of its own: that stands in its header only.
        Point::Sealed => Sign::Write(Whose::Sender, vec![sealed.encode_to_vec()], Moment::AfterSync),
        Point::Sent => Sign::Line(Toward::Hub, Catch::Hold),
        Point::Received => Sign::Line(Toward::Hub, Catch::Pass),
        Point::Decided => written(Whose::Hub, Moment::BeforeWrite),
        Point::Appending => written(Whose::Hub, Moment::BeforeSync),
        Point::Appended => written(Whose::Hub, Moment::AfterSync),
        Point::Answered => Sign::Line(Toward::Bureau, Catch::Hold),
        Point::Told => Sign::Write(Whose::Sender, answer, Moment::BeforeWrite),
        Point::Noted => Sign::Write(Whose::Sender, answer, Moment::AfterSync),
        Point::Delivered => written(Whose::Addressee, Moment::BeforeWrite),
        Point::Keeping => written(Whose::Addressee, Moment::BeforeSync),
        Point::Kept => written(Whose::Addressee, Moment::AfterSync),
        Point::Acknowledged => Sign::Write(Whose::Hub, receipt, Moment::BeforeWrite),
        Point::Entered => Sign::Write(Whose::Hub, receipt, Moment::AfterSync),
    }
}
