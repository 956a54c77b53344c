//! What a power cut left: a hub and a bureau are started on it, and held against the receipts of before the cut.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use i247_client::{Desk, InboxFilter};
use i247_model::Identity;
use i247_testkit::{World, country, name};

use crate::arrival::{self, READER};
use crate::book::{Book, Receipt};
use crate::mailbox::Broken;
use crate::node::{Node, Start};

/// The bureaus that are cut with the hub and started again; officers look into the inbox of the first.
pub(crate) const BUREAUS: [&str; 2] = ["FR", "BR"];

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
        let channel = hub.channel(world, READER).await?;
        found.extend(arrival::at_reader(channel, self.promised, book).await);
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
