//! Senders that do not give up: what they handed in they hand in again, the same bytes or the same key, until they are
//! answered. So every message ends with a receipt, whatever befalls the nodes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use i247_client::Desk;
use i247_ledger::faults::Dice;
use i247_model::{CountryCode, Lane, MessageId};
use i247_testkit::{Pen, World, WorldError, country, free_text, pb};

use crate::book::{Book, Receipt};

/// One attempt may take so long.
const ATTEMPT: Duration = Duration::from_secs(5);
/// So long until the next attempt.
const PAUSE: Duration = Duration::from_millis(10);
/// After so long without an answer the network is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// One officer, or one member that writes by hand; each has a lane of its own.
#[derive(Debug)]
pub(crate) struct Sender {
    name: String,
    from: From,
    lane: Lane,
    /// Who may be addressed; one or two of them are.
    to: Vec<&'static str>,
    /// Who always is.
    always: Option<&'static str>,
    dice: Dice,
    count: u64,
}

#[derive(Debug)]
enum From {
    /// An officer at the desk of this country.
    Desk(&'static str, Option<Desk>),
    /// A member that submits to the hub by itself.
    Pen(Box<Pen>),
}

impl Sender {
    /// An officer of a bureau.
    pub(crate) fn officer(code: &'static str, lane: Lane, to: Vec<&'static str>, dice: Dice) -> Self {
        let name = format!("{code} {lane}");
        Self { name, from: From::Desk(code, None), lane, to, always: None, dice, count: 0 }
    }

    /// A member without a bureau, admitted now.
    pub(crate) async fn member(
        world: &World,
        code: &'static str,
        to: Vec<&'static str>,
        dice: Dice,
    ) -> Result<Self> {
        let pen = Box::new(world.pen(code).await?);
        let name = format!("{code} by hand");
        Ok(Self { name, from: From::Pen(pen), lane: Lane::Normal, to, always: None, dice, count: 0 })
    }

    /// The same, with somebody who gets everything.
    pub(crate) fn always(mut self, code: &'static str) -> Self {
        self.always = Some(code);
        self
    }

    /// Sends so many, one after the other, each in about so much time.
    pub(crate) async fn send(
        &mut self,
        world: &World,
        book: &RefCell<Book>,
        count: u64,
        pace: Duration,
    ) -> Result<()> {
        for _ in 0..count {
            self.next(world, book, pace).await?;
        }
        Ok(())
    }

    /// The same until it is told to stop.
    pub(crate) async fn send_until(
        &mut self,
        world: &World,
        book: &RefCell<Book>,
        stop: &Cell<bool>,
        pace: Duration,
    ) -> Result<()> {
        while !stop.get() {
            self.next(world, book, pace).await?;
        }
        Ok(())
    }

    async fn next(&mut self, world: &World, book: &RefCell<Book>, pace: Duration) -> Result<()> {
        let most = u64::try_from(2 * pace.as_micros())?;
        i247_node::sleep(Duration::from_micros(self.dice.below(most))).await;
        self.one(world, book).await.with_context(|| self.name.clone())
    }

    async fn one(&mut self, world: &World, book: &RefCell<Book>) -> Result<()> {
        self.count += 1;
        let text = format!("{} {}", self.name, self.count);
        let to = self.recipients();
        let codes: Vec<&str> = to.iter().map(CountryCode::as_str).collect();
        let mut draft = free_text(&codes, &text);
        draft.lane = pb::Lane::from(self.lane).into();
        draft.idempotency_key = text.clone();
        if let Some(body) = &mut draft.body {
            body.subject = text.clone();
        }
        book.borrow_mut().offers(&text, &to);
        let sending = async {
            match &mut self.from {
                From::Desk(code, desk) => hand_in(world, code, desk, draft).await,
                From::Pen(pen) => submit(world, pen, draft).await,
            }
        };
        let id = tokio::time::timeout(PATIENCE, sending).await.context("nobody answers")??;
        book.borrow_mut().holds(Receipt { id, text, to });
        Ok(())
    }

    fn recipients(&mut self) -> BTreeSet<CountryCode> {
        let pick = |dice: &mut Dice| usize::try_from(dice.roll() % self.to.len() as u64).unwrap_or(0);
        let picked = [pick(&mut self.dice), pick(&mut self.dice)];
        picked.into_iter().map(|nth| self.to[nth]).chain(self.always).map(country).collect()
    }
}

/// At a desk: the same draft under the same key.
async fn hand_in(world: &World, code: &str, desk: &mut Option<Desk>, draft: pb::Draft) -> Result<MessageId> {
    loop {
        if desk.is_none() {
            *desk = world.bureau(code).desk().await.ok().map(|desk| desk.within(ATTEMPT));
        }
        let Some(open) = desk else {
            i247_node::sleep(PAUSE).await;
            continue;
        };
        match open.send(draft.clone()).await {
            Ok(id) => return Ok(id),
            Err(error) if error.passes() || error.may_have_happened() => {
                // It may have another address when it is back.
                *desk = None;
                i247_node::sleep(PAUSE).await;
            }
            Err(error) => bail!("refused: {error}"),
        }
    }
}

/// At the hub: the same bytes.
async fn submit(world: &World, pen: &mut Pen, draft: pb::Draft) -> Result<MessageId> {
    let envelope = pen.sign(&pen.letter(draft));
    loop {
        match tokio::time::timeout(ATTEMPT, pen.submit(&envelope)).await {
            Ok(Ok(acceptance)) => return acceptance.id.parse().context("the acceptance names no message"),
            Ok(Err(WorldError::Client(error))) if error.passes() => {}
            Ok(Err(error @ WorldError::Client(_))) => bail!("refused: {error}"),
            // No answer: it may be accepted or not.
            Ok(Err(_)) | Err(_) => {
                if let Ok(channel) = world.hub_channel(pen.credentials()).await {
                    pen.continue_over(channel);
                }
            }
        }
        i247_node::sleep(PAUSE).await;
    }
}
