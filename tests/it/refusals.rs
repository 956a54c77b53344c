//! What bad input gets. Every case starts from a message that would be accepted, changes one thing, and then sends the
//! message as it was: it is accepted.

use std::collections::BTreeSet;

use i247_model::{Identity, Reason};
use i247_testkit::{
    Letter, Pen, World, WorldError, airport, country, diffusion, free_text, grant_draft, name,
    notice_request, pb, red_form, reply, withdrawal,
};

macro_rules! case {
    ($what:literal, $good:ident, $change:expr, $reason:ident, $fields:expr, $entries:ident) => {
        Case {
            what: $what,
            good: $good,
            change: $change,
            reason: Reason::$reason,
            fields: &$fields,
            entries: $entries,
        }
    };
}

mod rules;
mod states;
mod unattributable;

/// One change, and what it must get.
struct Case {
    what: &'static str,
    /// What would be accepted.
    good: fn(&Before) -> pb::Draft,
    change: fn(&Pen, Letter) -> pb::Envelope,
    reason: Reason,
    fields: &'static [&'static str],
    /// How many entries the log grows by: a refusal for good spends the number.
    entries: u64,
}

/// What there is already when the cases begin.
struct Before {
    /// Brazil's question to France.
    question: i247_model::MessageId,
    /// Two diffusions of France.
    own: [i247_testkit::Sent; 2],
}

/// Never entered.
const NOTHING: u64 = 0;

/// Entered as void, or as evidence.
const ONE: u64 = 1;

/// Replaced by a time that is far enough from now when the draft is used.
const FAR: u64 = u64::MAX;

fn words(_: &Before) -> pb::Draft {
    free_text(&["PT"], "to be accepted")
}

fn notice(_: &Before) -> pb::Draft {
    notice_request(red_form("MARLOWE", "ANTON"), &[])
}

fn request(_: &Before) -> pb::Draft {
    let mut draft = free_text(&["PT"], "");
    draft.kind = pb::Kind::Request.into();
    draft.reply_by_ms = FAR;
    draft.body.as_mut().unwrap().form = Some(pb::body::Form::Request(pb::Request::default()));
    draft
}

/// Of a post that has none yet.
fn leave(_: &Before) -> pb::Draft {
    grant_draft(airport(&name("cdg")))
}

fn answer(before: &Before) -> pb::Draft {
    reply(&before.question, pb::Outcome::Negative, pb::ReplyStage::Final)
}

fn end(before: &Before) -> pb::Draft {
    withdrawal(&before.own[0])
}

fn another_end(before: &Before) -> pb::Draft {
    withdrawal(&before.own[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_be_held_to_is_refused_and_leaves_no_trace() -> Result<(), WorldError> {
    Box::pin(play(unattributable::NOT_ATTRIBUTABLE)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_early_is_refused_for_now() -> Result<(), WorldError> {
    Box::pin(play(rules::NOT_NOW)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_a_rule_is_refused_for_good_and_spends_its_number() -> Result<(), WorldError> {
    Box::pin(play(rules::NO)).await
}

#[test]
fn every_reason_has_a_case() {
    let tables = [unattributable::NOT_ATTRIBUTABLE, rules::NOT_NOW, rules::NO];
    let cases = tables.into_iter().flatten().map(|case| case.reason);
    let cases: BTreeSet<Reason> = cases.chain(states::STORIES.iter().map(|(reason, _)| *reason)).collect();
    let without: Vec<&Reason> = Reason::ALL.iter().filter(|reason| !cases.contains(reason)).collect();
    assert!(without.is_empty(), "no case for {without:?}");
}

async fn play(cases: &[Case]) -> Result<(), WorldError> {
    // Nobody signs receipts for Portugal and France, so that the log grows by what is submitted only.
    let world = World::of(["BR", "JP"]).automatic(false).start().await?;
    world.credentials(&Identity::Bureau(country("PT"))).await?;
    let mut pen = world.pen("FR").await?;
    let brazil = world.bureau("BR");
    let stranger = brazil.tell(&["JP"], "none of France's business").await?;
    let question = brazil.ask(["FR"]).send().await?;
    let theirs = brazil.send(diffusion(red_form("MARLOWE", "ANTON"), &["FR", "PT"])).await?;
    brazil.accepted(&theirs).await?;
    world.bureau("JP").receives(&stranger.id).await?;
    brazil.stands(&stranger, "closed", |status| status.closed).await?;
    for text in ["the first", "the second"] {
        pen.submit(&pen.sign(&pen.letter(free_text(&["PT"], text)))).await?;
    }
    let mut own = Vec::new();
    for _ in 0..2 {
        let diffusion = pen.letter(diffusion(red_form("MARLOWE", "ANTON"), &["PT"]));
        let accepted = pen.submit(&pen.sign(&diffusion)).await?;
        own.push(i247_testkit::Sent { id: accepted.id.parse().unwrap(), from: country("FR") });
    }
    let own = own.try_into().unwrap();
    let before = Before { question: question.id, own };
    for case in cases {
        refused(&world, &mut pen, &before, case).await?;
    }
    world.finish().await
}

async fn refused(world: &World, pen: &mut Pen, before: &Before, case: &Case) -> Result<(), WorldError> {
    let what = case.what;
    let letter = good(pen, before, case, world);
    let state = state(world).await?;
    let error = pen.submit(&(case.change)(pen, letter.clone())).await.expect_err(what);
    let refusal = error.refusal().unwrap_or_else(|| panic!("{what}: {error}"));
    assert_eq!(refusal.reason, case.reason, "{what}: {refusal}");
    assert_eq!(refusal.fields, case.fields, "{what}: {refusal}");
    assert!(!refusal.next_step.is_empty(), "{what}: no next step");
    let (end, queued, inboxes) = self::state(world).await?;
    assert_eq!(end, state.0 + case.entries, "{what}: entries of the log");
    assert_eq!(queued, state.1, "{what}: deliveries to Portugal");
    assert_eq!(inboxes, state.2, "{what}: inboxes");

    // As it was it is accepted: under the same number, unless that is spent.
    let spent = case.reason.class() == i247_model::Class::No;
    let again = if spent { good(pen, before, case, world) } else { letter };
    let accepted = pen.submit(&pen.sign(&again)).await;
    assert_eq!(accepted.unwrap_or_else(|error| panic!("{what}, put right: {error}")).id, again.header.id);
    Ok(())
}

fn good(pen: &Pen, before: &Before, case: &Case, world: &World) -> Letter {
    let mut draft = (case.good)(before);
    if draft.reply_by_ms == FAR {
        draft.reply_by_ms = world.seams().clock.now().as_millis() + 3_600_000;
    }
    pen.letter(draft)
}

/// The log's end, what is queued for Portugal, and the inboxes.
async fn state(world: &World) -> Result<(u64, u64, Vec<Vec<String>>), WorldError> {
    let queued = |summary: &pb::SummaryResponse, code| {
        summary.links.iter().find(|link| link.party == code).map_or(0, |link| link.queued)
    };
    // Brazil's receipts are entries too.
    let quiet = |summary: &pb::SummaryResponse| queued(summary, "BR") + queued(summary, "JP") == 0;
    let summary = world.hub_shows("nothing under way to Brazil", quiet).await?;
    assert!(summary.writable);
    let queued = queued(&summary, "PT");
    let inboxes = vec![world.bureau("BR").inbox_ids().await?, world.bureau("JP").inbox_ids().await?];
    Ok((summary.log_end, queued, inboxes))
}
