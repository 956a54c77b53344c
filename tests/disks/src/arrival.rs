//! What arrives, held against what was promised: at a bureau's desk, and at a member that only reads. It must not take
//! the hub's word for what there is to come.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use i247_testkit::{World, country};
use tonic::transport::Channel;

use crate::book::{Book, Receipt};
use crate::mailbox::{Broken, Mailbox};
use crate::reader::Reader;

/// The member without a bureau that everything is addressed to; it signs for nothing, so that all of it lies there.
pub(crate) const READER: &str = "JP";
/// After so long without another message, what is missing at the reader is lost.
const QUIET: Duration = Duration::from_secs(5);
/// What was promised to a bureau arrives within this time of the one before.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Everything that was promised to this bureau so far comes, once and in order.
pub(crate) async fn at_bureau(world: &World, code: &str, book: &RefCell<Book>) -> Result<Vec<Broken>> {
    let mut mailbox = Mailbox::new(country(code));
    let mut found = Vec::new();
    let mut watch = world.bureau(code).desk().await?.watch(0).await?;
    let promised = book.borrow().receipts().to_vec();
    while promised.iter().any(|receipt| !mailbox.has(receipt)) {
        let Ok(event) = watch.next(ARRIVAL).await else { break };
        if let i247_client::Event::Arrived(item) = event {
            found.extend(mailbox.takes(item.id.parse()?, &item.subject, &book.borrow()));
        }
    }
    found.extend(mailbox.lacks(&promised));
    Ok(found)
}

/// Everything promised comes to [`READER`] over this channel, once and in order: what the hub had accepted, and what a
/// bureau still had to send.
pub(crate) async fn at_reader(channel: Channel, promised: &[Receipt], book: &RefCell<Book>) -> Vec<Broken> {
    let mut mailbox = Mailbox::new(country(READER));
    let mut missing: BTreeSet<&str> = promised.iter().map(|receipt| receipt.text.as_str()).collect();
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
    found.extend(mailbox.lacks(promised));
    found
}
