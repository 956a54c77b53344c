//! What a power cut left: a hub and a bureau are started on it, and held against the receipts of before the cut.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use i247_client::{Desk, InboxFilter};
use i247_model::Identity;
use i247_testkit::{World, country, name};

use crate::book::{Book, Receipt};
use crate::mailbox::{Broken, Mailbox};
use crate::node::{Node, Start};
use crate::reader::Reader;

/// The bureaus that are cut with the hub and started again; officers look into the inbox of the first.
pub(crate) const BUREAUS: [&str; 2] = ["FR", "BR"];
/// The member without a bureau that everything is addressed to; it reads on the cut alone.
pub(crate) const READER: &str = "JP";
/// After so long without another message, what is missing is lost.
const QUIET: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    pub(crate) program: &'a Path,
    /// The world's directory, on the disk whose power was not cut and on the one whose power was.
    pub(crate) live: &'a Path,
    pub(crate) cut: &'a Path,
    /// For what the nodes write besides.
    pub(crate) work: &'a Path,
    /// What was promised before the cut, and everything that was ever offered.
    pub(crate) promised: &'a [Receipt],
    /// What the bureau's officers saw in its inbox before the cut.
    pub(crate) seen: &'a [String],
}

impl Left<'_> {
    /// Starts hub and bureau, and tells what was lost.
    pub(crate) async fn inspect(
        &self,
        world: &World,
        book: &std::cell::RefCell<Book>,
    ) -> Result<Vec<Broken>> {
        let hub = match self.start(&["hub"], "hub", None).await {
            Ok(hub) => hub,
            Err(error) => return Ok(vec![Broken::Otherwise(format!("the hub does not start: {error:#}"))]),
        };
        let address = hub.address.to_string();
        let mut nodes = Vec::new();
        for code in BUREAUS {
            match self.start(&["bureau", code], &code.to_lowercase(), Some(&address)).await {
                Ok(bureau) => nodes.push(bureau),
                Err(error) => {
                    return Ok(vec![Broken::Otherwise(format!("{code} does not start: {error:#}"))]);
                }
            }
        }
        let mut found = self.look_in(world, BUREAUS[0], &nodes[0]).await?;
        found.extend(self.read(world, &hub, book).await?);
        nodes.push(hub);
        for node in nodes {
            node.kill().await?;
        }
        Ok(found)
    }

    async fn start(&self, role: &[&str], node: &str, hub: Option<&str>) -> Result<Node> {
        let data = self.cut.join(node).join("data").display().to_string();
        let mut set = vec![("data", data.as_str())];
        set.extend(hub.map(|address| ("hub", address)));
        let config = self.live.join(node).join("config.toml");
        let work = self.work.join(node);
        Node::start(Start { program: self.program, role, config: &config, set: &set, work: &work }).await
    }

    /// Everything promised comes, once and in order: what the hub had accepted, and what the bureau still had to send.
    async fn read(&self, world: &World, hub: &Node, book: &std::cell::RefCell<Book>) -> Result<Vec<Broken>> {
        let credentials = world.credentials(&Identity::Bureau(country(READER))).await?;
        let channel = world.channel(hub.address, &credentials, Identity::Hub(name("lyon")))?;
        let mut mailbox = Mailbox::new(country(READER));
        let mut missing: BTreeSet<&str> = self.promised.iter().map(|receipt| receipt.text.as_str()).collect();
        let mut found = Vec::new();
        match Reader::open(channel).await {
            Err(error) => found.push(Broken::Otherwise(format!("the hub serves nobody: {error:#}"))),
            Ok(mut reader) => {
                while !missing.is_empty() {
                    match reader.next(QUIET).await {
                        Ok(Some(delivered)) => {
                            missing.remove(delivered.text.as_str());
                            found.extend(mailbox.takes(delivered.id, &delivered.text, &book.borrow()));
                        }
                        Ok(None) => break,
                        Err(error) => {
                            found.push(Broken::Otherwise(format!("{error:#}")));
                            break;
                        }
                    }
                }
            }
        }
        found.extend(mailbox.lacks(self.promised));
        Ok(found)
    }

    /// The bureau works, and has what it had shown.
    async fn look_in(&self, world: &World, code: &str, bureau: &Node) -> Result<Vec<Broken>> {
        let at = country(code);
        let officer = world.credentials(&Identity::Officer(at, name("duty"))).await?;
        let desk = Desk::new(world.channel(bureau.address, &officer, Identity::Bureau(at))?);
        let halted = desk.report().await?.halted;
        if !halted.is_empty() {
            return Ok(vec![Broken::Otherwise(format!("{code} halts: {halted}"))]);
        }
        let inbox = desk.inbox(&InboxFilter::default()).await?;
        let held: BTreeSet<&str> = inbox.iter().map(|item| item.id.as_str()).collect();
        let lost = self.seen.iter().filter(|id| !held.contains(id.as_str()));
        Ok(lost.map(|id| Broken::Lost { message: id.clone(), at }).collect())
    }
}
