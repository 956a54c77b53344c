//! Everything that a node serves about its messages, for comparison with what it served before.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use i247_client::{InboxFilter, OutboxFilter};
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
    /// Asks for everything; the hub for the traces of these messages.
    pub(crate) async fn of(world: &World, node: Node, sent: &[String]) -> Result<Self> {
        let mut first = Self::default();
        match node {
            Node::Hub => {
                sent.iter().for_each(|id| first.put(format!("trace {id}"), None));
                first.ask_the_hub(world, None, QUIET).await?;
            }
            Node::Bureau => first.ask_the_bureau(world, None).await?,
        }
        Ok(first)
    }

    /// Asks for everything that was served before; a delivery may take so long.
    pub(crate) async fn again(&self, world: &World, node: Node, within: Duration) -> Result<Self> {
        let mut served = Self::default();
        match node {
            Node::Hub => served.ask_the_hub(world, Some(self), within).await?,
            Node::Bureau => served.ask_the_bureau(world, Some(self)).await?,
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

    /// The subject stands in the body: without it, it is left out.
    fn subject(&mut self, of: String, subject: &str) {
        self.put(format!("subject of {of}"), (!subject.is_empty()).then(|| subject.into()));
    }

    /// The mailbox of the reader, the trace of each message in it, and the attachments.
    async fn ask_the_hub(&mut self, world: &World, before: Option<&Self>, within: Duration) -> Result<()> {
        let credentials = world.credentials(&Identity::Bureau(country(READER))).await?;
        let channel = world.hub_channel(&credentials).await?;
        let wanted = before.map_or(usize::MAX, |before| before.named("delivery ").count());
        let mut reader = Reader::open(channel).await?;
        for nth in 0..wanted {
            let Some(delivered) = reader.next(within).await? else { break };
            // Without its body it is not what was sent, and that must be named.
            let whole = (!delivered.envelope.body.is_empty()).then(|| delivered.envelope.encode_to_vec());
            self.put(format!("delivery {nth} {}", delivered.id), whole);
        }
        let ids: Vec<String> = before.unwrap_or(self).named("trace ").map(str::to_owned).collect();
        let monitor = world.monitor().await?;
        for id in &ids {
            // A trace says itself that the body is damaged.
            let is_whole =
                |trace: &pb::TraceResponse| trace.place.as_ref().is_some_and(|place| place.body != "damaged");
            let trace = monitor.trace(id).await.ok().filter(is_whole);
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

    /// What inbox and outbox list, each message whole, and the attachments.
    async fn ask_the_bureau(&mut self, world: &World, before: Option<&Self>) -> Result<()> {
        let desk = world.bureau("FR").desk().await?;
        // A list that cannot be served is refused as a whole; one that is served is complete.
        let inbox = desk.inbox(&InboxFilter::default()).await.ok();
        let outbox = desk.outbox(&OutboxFilter::default()).await.ok();
        let count = |long: usize| long.to_string().into_bytes();
        self.put("count of the inbox".into(), inbox.as_ref().map(|list| count(list.len())));
        self.put("count of the outbox".into(), outbox.as_ref().map(|list| count(list.len())));
        let (inbox, outbox) = (inbox.unwrap_or_default(), outbox.unwrap_or_default());
        let ids: Vec<String> = match before {
            Some(before) => before.named("message ").map(str::to_owned).collect(),
            None => {
                inbox.iter().map(|item| &item.id).chain(outbox.iter().map(|item| &item.id)).cloned().collect()
            }
        };
        for id in &ids {
            let shown = desk.show(id).await.ok().filter(|shown| shown.body.is_some());
            self.put(format!("message {id}"), shown.map(|shown| shown.encode_to_vec()));
            if before.is_none_or(|before| before.parts.contains_key(&format!("attachment {id}"))) {
                let opened = desk.open_attachment(id, 0).await;
                if before.is_some() || opened.is_ok() {
                    let whole = opened.ok().map(|(note, bytes)| [note.encode_to_vec(), bytes].concat());
                    self.put(format!("attachment {id}"), whole);
                }
            }
        }
        for (nth, item) in inbox.into_iter().rev().enumerate() {
            self.subject(format!("inbox {nth}"), &item.subject);
            // Showing it marks it as opened.
            let item = pb::InboxItem { opened: false, subject: String::new(), unreadable: false, ..item };
            self.put(format!("inbox {nth}"), Some(item.encode_to_vec()));
        }
        for (nth, item) in outbox.into_iter().rev().enumerate() {
            self.subject(format!("outbox {nth}"), &item.subject);
            let item = pb::OutboxItem { subject: String::new(), unreadable: false, ..item };
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
