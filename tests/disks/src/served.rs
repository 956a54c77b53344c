//! Everything that a node serves about its messages, for comparison with what it served before.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use i247_client::InboxFilter;
use i247_model::Identity;
use i247_testkit::{World, country, pb};
use prost::Message as _;
use tonic::Streaming;

use crate::flips::Node;
use crate::reader::Reader;

/// A member without a bureau, to which everything is addressed.
pub(crate) const READER: &str = "JP";
/// When nobody knows how much there is, the mailbox ends where nothing more comes for so long.
const QUIET: Duration = Duration::from_secs(2);

/// What was served: by name, the bytes, or nothing where it was refused with an error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Served {
    parts: BTreeMap<String, Option<Vec<u8>>>,
}

impl Served {
    /// Asks for everything.
    pub(crate) async fn of(world: &World, node: Node) -> Result<Self> {
        Self::asked(world, node, None, QUIET).await
    }

    /// Asks for everything that was served before; a delivery may take so long.
    pub(crate) async fn again(&self, world: &World, node: Node, within: Duration) -> Result<Self> {
        Self::asked(world, node, Some(self), within).await
    }

    async fn asked(world: &World, node: Node, before: Option<&Self>, within: Duration) -> Result<Self> {
        let mut served = Self::default();
        match node {
            Node::Hub => served.ask_the_hub(world, before, within).await?,
            Node::Bureau => served.ask_the_bureau(world).await?,
        }
        Ok(served)
    }

    /// How much was served whole.
    pub(crate) fn whole(&self) -> usize {
        self.parts.values().flatten().count()
    }

    /// Whether everything is served now as it was before; `false` when something is refused or left out.
    ///
    /// # Errors
    /// When something else is served: what.
    pub(crate) fn compare(&self, now: &Self) -> Result<bool, String> {
        let mut same = true;
        for (name, bytes) in &now.parts {
            match self.parts.get(name) {
                None => return Err(format!("{name} is served, and was never there")),
                Some(before) if bytes.is_some() && bytes != before => {
                    return Err(format!("another {name} is served"));
                }
                Some(_) => {}
            }
        }
        for (name, before) in &self.parts {
            same &= before.is_none() || now.parts.get(name) == Some(before);
        }
        Ok(same)
    }

    fn put(&mut self, name: String, bytes: Option<Vec<u8>>) {
        self.parts.insert(name, bytes);
    }

    /// The mailbox of the reader, the trace of each message in it, and the attachments.
    async fn ask_the_hub(&mut self, world: &World, before: Option<&Self>, within: Duration) -> Result<()> {
        let credentials = world.credentials(&Identity::Bureau(country(READER))).await?;
        let channel = world.hub_channel(&credentials).await?;
        let wanted = before.map_or(usize::MAX, |before| before.named("delivery ").count());
        let mut ids = Vec::new();
        let mut reader = Reader::open(channel.clone()).await?;
        while ids.len() < wanted {
            let Some(delivered) = reader.next(within).await? else { break };
            self.put(
                format!("delivery {} {}", ids.len(), delivered.id),
                Some(delivered.envelope.encode_to_vec()),
            );
            ids.push(delivered.id.to_string());
        }
        if let Some(before) = before {
            ids = before.named("trace ").map(str::to_owned).collect();
        }
        let monitor = world.monitor().await?;
        for id in &ids {
            let trace = monitor.trace(id).await.ok();
            self.put(format!("trace {id}"), trace.map(|trace| trace.encode_to_vec()));
        }
        let mut exchange = world.pen_of(credentials).await?.service();
        for (id, commitment) in self.attachments(before)? {
            let asked = pb::FetchAttachmentRequest {
                message_id: id.clone(),
                commitment: commitment.into(),
                first_chunk: 0,
            };
            let fetched = match exchange.fetch_attachment(asked).await {
                Ok(frames) => whole(frames.into_inner()).await,
                Err(_) => None,
            };
            self.put(format!("attachment {id}"), fetched);
        }
        Ok(())
    }

    /// What the inbox lists, each message whole, and the attachments.
    async fn ask_the_bureau(&mut self, world: &World) -> Result<()> {
        let desk = world.bureau("FR").desk().await?;
        let inbox = desk.inbox(&InboxFilter::default()).await?;
        let outbox = desk.outbox(&Default::default()).await?;
        let ids = inbox.iter().map(|item| &item.id).chain(outbox.iter().map(|item| &item.id));
        for id in ids {
            let shown = desk.show(id).await.ok();
            let attached = shown
                .as_ref()
                .and_then(|shown| shown.header.as_ref())
                .is_some_and(|header| !header.attachments.is_empty());
            self.put(format!("message {id}"), shown.map(|shown| shown.encode_to_vec()));
            if attached {
                let opened = desk.open_attachment(id, 0).await.ok();
                self.put(format!("attachment {id}"), opened.map(|(_, bytes)| bytes));
            }
        }
        // Showing them marks them as opened, which is no part of what is compared.
        for item in inbox.iter().rev().enumerate() {
            let (nth, item) = item;
            let item = pb::InboxItem { opened: false, ..item.clone() };
            self.put(format!("inbox {nth}"), Some(item.encode_to_vec()));
        }
        for (nth, item) in outbox.iter().rev().enumerate() {
            self.put(format!("outbox {nth}"), Some(item.encode_to_vec()));
        }
        Ok(())
    }

    fn named<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a str> {
        self.parts.keys().filter_map(move |name| name.strip_prefix(what))
    }

    /// The attachments of the messages that were delivered: message and commitment.
    fn attachments(&self, before: Option<&Self>) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for (name, bytes) in &before.unwrap_or(self).parts {
            let (Some(_), Some(bytes)) = (name.strip_prefix("delivery "), bytes) else { continue };
            let envelope = pb::Envelope::decode(bytes.as_slice())?;
            let header = pb::Header::decode(envelope.header)?;
            found.extend(header.attachments.iter().map(|one| (header.id.clone(), one.to_vec())));
        }
        Ok(found)
    }
}

/// All frames of an attachment; nothing when it breaks off.
async fn whole(mut frames: Streaming<pb::FetchAttachmentResponse>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match frames.message().await {
            Ok(Some(frame)) => bytes.extend(frame.encode_to_vec()),
            Ok(None) => return Some(bytes),
            Err(_) => return None,
        }
    }
}
