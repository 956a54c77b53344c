//! What must hold when all is quiet, by the record alone. It must not repair or wait.

mod cuts;
mod ends;
mod late;
mod order;
mod stall;

use std::collections::BTreeSet;
use std::time::Duration;

use i247_model::{CountryCode, Kind, MessageId};
use i247_wire::pb;

use crate::record::{Record, Seen, Wish};

/// How the secretariat is called where recipients are named.
const SECRETARIAT: &str = "IPSG";

/// A rule, the message concerned if there is one, and what happened.
type Broken = (&'static str, String, String);

/// What is not at its end yet: empty when everything has arrived that must.
pub(crate) fn unfinished(record: &Record) -> Vec<(String, String)> {
    let mut unfinished = Vec::new();
    for wish in &record.wishes {
        let given_up = wish.lost && !wish.receipt;
        if given_up || wish.refused.is_some() || record.revoked.contains_key(&wish.from) {
            continue;
        }
        let Some(id) = &wish.id else {
            unfinished.push((wish.words.clone(), format!("{:?} is not taken", wish.words)));
            continue;
        };
        if !wish.receipt {
            unfinished.push((id.clone(), format!("{id} has no receipt")));
            continue;
        }
        if wish.missing {
            unfinished.push((id.clone(), format!("{id} is not back at {}", wish.from)));
        }
        for at in &wish.audience {
            if must_arrive(record, wish, *at) && !record.has(*at, id) {
                unfinished.push((id.clone(), format!("{id} is not at {at}")));
            }
            let fetched = wish.attachment.is_empty() || record.fetched.contains(&(*at, id.clone()));
            if record.has(*at, id) && !fetched && !record.revoked.contains_key(at) {
                unfinished.push((id.clone(), format!("{at} cannot open the attachment of {id}")));
            }
        }
        if wish.lost || says_nothing_more(record, wish) {
            continue;
        }
        let Some(status) = &wish.status else {
            if !wish.audience.is_empty() {
                unfinished.push((id.clone(), format!("nothing is known of {id}")));
            }
            continue;
        };
        for recipient in &status.recipients {
            if !settled(recipient.state()) && recipient.party != SECRETARIAT {
                let state = recipient.state().as_str_name();
                unfinished.push((id.clone(), format!("{id} stays {state} at {}", recipient.party)));
            }
            // What a lost log had said of it is corrected, and what need not arrive is seen where it has.
            let at = recipient.party.parse::<CountryCode>().ok();
            let at = at.filter(|at| record.recovered.is_some() || !must_arrive(record, wish, *at));
            let differs = |at: CountryCode| record.has(at, id) != has_it(recipient.state());
            if at.is_some_and(|at| differs(at) && !is_excused(record, at) && !is_gone(record, wish, at)) {
                let state = recipient.state().as_str_name();
                unfinished.push((id.clone(), format!("{id} is {state} at {}, or not", recipient.party)));
            }
        }
        if wish.kind == Kind::Request {
            unfinished.extend(late::overdue(record, wish, id).into_iter().map(|text| (id.clone(), text)));
        }
    }
    for (at, inbox) in &record.inboxes {
        for seen in inbox.iter().filter(|seen| record.wish(&seen.id).is_none()) {
            let sender = seen.id.parse::<MessageId>().ok().and_then(|id| id.sender.party().country());
            if sender.is_some_and(|sender| is_overlooked(record, sender)) {
                let text =
                    format!("{} is at {at}, and the officer of its sender has not found it yet", seen.id);
                unfinished.push((seen.id.clone(), text));
            }
        }
    }
    unfinished.extend(unpublished(record));
    unfinished
}

/// What a reviewer decided and has not come where it must, or has led to nothing there.
fn unpublished(record: &Record) -> Vec<(String, String)> {
    let mut unfinished = Vec::new();
    for published in record.published.iter().filter(|published| !is_cancelled(record, &published.request)) {
        for at in &published.audience {
            let excused = is_excused(record, *at);
            // Then it is decided anew.
            let lost = record.recovered.is_some_and(|recovered| published.at <= recovered)
                && !record.inboxes.keys().any(|at| record.has(*at, &published.id));
            if !excused && !lost && !record.has(*at, &published.id) {
                unfinished.push((published.id.clone(), format!("{} is not at {at}", published.id)));
            }
            if !excused && leaves_undecided(record, *at, &published.id) {
                let text = format!("{at}, which answers by itself, has not decided on {}", published.id);
                unfinished.push((published.id.clone(), text));
            }
        }
    }
    unfinished
}

/// Whether a country that decides by itself has a notice and has said nothing about it.
fn leaves_undecided(record: &Record, at: CountryCode, id: &str) -> bool {
    let mut inbox = record.inboxes.get(&at).into_iter().flatten();
    let has = inbox.any(|seen| seen.kind == Kind::Notice && seen.id == id);
    let mut decisions = record.wishes.iter().filter(|wish| wish.kind == Kind::NationalDecision);
    record.automatic.contains(&at) && has && !decisions.any(|wish| wish.from == at && wish.refers_to == id)
}

/// Whether this country's bureau may have written something that its officer does not know yet.
fn is_overlooked(record: &Record, country: CountryCode) -> bool {
    let excused = is_excused(record, country);
    record.automatic.contains(&country) && !excused
}

/// Whether the wish must have been seen there, by the simulation's own rule.
fn must_arrive(record: &Record, wish: &Wish, at: CountryCode) -> bool {
    if wish.expires_at_ms > 0 || is_excused(record, at) {
        return false;
    }
    match wish.kind {
        // Taken back, perhaps before it came. A bureau that lost its data does not know that the hub has accepted that.
        Kind::Diffusion => !record.wishes.iter().any(|end| {
            let may_be_accepted = end.receipt || record.restored.contains(&end.from);
            end.kind == Kind::Withdrawal && may_be_accepted && Some(&end.refers_to) == wish.id.as_ref()
        }),
        // For those who have what it takes back.
        Kind::Withdrawal => record.has(at, &wish.refers_to),
        Kind::Cancellation => record.has_about(at, Kind::Notice, &wish.refers_to),
        _ => true,
    }
}

/// Whether the hub has lost it, and does not take it again because it has expired since.
fn says_nothing_more(record: &Record, wish: &Wish) -> bool {
    wish.expires_at_ms > 0 && record.recovered.is_some_and(|recovered| wish.written < recovered)
}

/// Whether the notice of this request was ended: then it is taken back from whoever does not have it yet.
fn is_cancelled(record: &Record, request: &str) -> bool {
    let mut ends = record.wishes.iter().filter(|wish| wish.kind == Kind::Cancellation);
    ends.any(|wish| wish.refers_to == request && wish.refused.is_none())
}

/// Whether nothing can be said of what is at this country.
fn is_excused(record: &Record, at: CountryCode) -> bool {
    record.revoked.contains_key(&at)
}

/// Whether it had this once, perhaps, and lost it when it was ended already: then it does not come back.
fn is_gone(record: &Record, wish: &Wish, at: CountryCode) -> bool {
    wish.expires_at_ms > 0 && record.restored.contains(&at)
}

fn has_it(state: pb::RecipientState) -> bool {
    matches!(state, pb::RecipientState::Delivered | pb::RecipientState::Opened | pb::RecipientState::Actioned)
}

fn settled(state: pb::RecipientState) -> bool {
    match state {
        pb::RecipientState::Unspecified | pb::RecipientState::Queued | pb::RecipientState::Held => false,
        pb::RecipientState::Delivered
        | pb::RecipientState::Opened
        | pb::RecipientState::Actioned
        | pb::RecipientState::Withdrawn
        | pb::RecipientState::Expired
        | pb::RecipientState::Refused => true,
    }
}

/// Everything that must hold at the end, which is now.
pub(crate) fn check(record: &mut Record, now: Duration) {
    let mut broken: Vec<Broken> = Vec::new();
    for (at, inbox) in &record.inboxes {
        for seen in inbox {
            if matches!(seen.kind, Kind::Reminder | Kind::Escalation | Kind::ReviewDecision | Kind::Notice) {
                if !may_come_from_the_secretariat(record, seen, *at) {
                    broken.push((
                        "nobody else",
                        seen.id.clone(),
                        format!("{at} has it, and it is not for {at}"),
                    ));
                }
                continue;
            }
            let Some(wish) = record.wish(&seen.id) else {
                // Taken and sent by a bureau that lost it before its officer heard of it.
                let sender = seen.id.parse::<MessageId>().ok().and_then(|id| id.sender.party().country());
                if sender.is_some_and(|sender| record.restored.contains(&sender)) {
                    continue;
                }
                broken.push(("nobody else", seen.id.clone(), format!("{at} has it, and nobody wrote it")));
                continue;
            };
            if !record.wishes_of(&seen.id).any(|wish| wish.audience.contains(at)) || wish.from == *at {
                broken.push((
                    "nobody else",
                    seen.id.clone(),
                    format!("{at} has it, and it was not meant for {at}"),
                ));
            }
            let without = match seen.kind {
                Kind::Withdrawal => !record.has(*at, &seen.refers_to),
                Kind::Cancellation => !record.has_about(*at, Kind::Notice, &seen.refers_to),
                _ => false,
            };
            if without && !record.restored.contains(at) {
                broken.push((
                    "nothing before what it refers to",
                    seen.id.clone(),
                    format!("{at} never had that"),
                ));
            }
        }
    }
    cuts::check(record, now, &mut broken);
    order::check(record, &mut broken);
    late::check(record, &mut broken);
    ends::check(record, &mut broken);
    let beside = stall::check(record, &mut broken);
    for (at, inbox) in &record.inboxes {
        answered_once(record, *at, inbox, &mut broken);
    }
    for wish in &record.wishes {
        add_up(record, wish, &mut broken);
    }
    record.count_all("arrived beside a country that stands still", beside);
    for (rule, message, text) in broken {
        record.broken(rule, &message, text);
    }
}

/// The hub reminds who was asked and tells who asked; the reviewer answers who asked, and publishes to all the others
/// but those whom the requester bars.
fn may_come_from_the_secretariat(record: &Record, seen: &Seen, at: CountryCode) -> bool {
    record.wishes_of(&seen.refers_to).any(|wish| match seen.kind {
        Kind::Reminder => wish.kind == Kind::Request && wish.audience.contains(&at),
        Kind::Escalation => wish.kind == Kind::Request && wish.from == at,
        Kind::ReviewDecision => wish.kind == Kind::NoticeRequest && wish.from == at,
        _ => wish.kind == Kind::NoticeRequest && wish.from != at && !wish.barred.contains(&at),
    })
}

/// Nobody has two last words on one question.
fn answered_once(record: &Record, at: CountryCode, inbox: &[Seen], broken: &mut Vec<Broken>) {
    let mut answers = BTreeSet::new();
    for seen in inbox.iter().filter(|seen| seen.last_answer) {
        let Some(from) = record.wish(&seen.id).map(|wish| wish.from) else { continue };
        if !answers.insert((from, &seen.refers_to)) && !record.restored.contains(&from) {
            broken.push((
                "once",
                seen.id.clone(),
                format!("{at} has another answer of {from} to {}", seen.refers_to),
            ));
        }
    }
}

/// The states that the sender sees add up to the audience, and are what the recipients saw.
fn add_up(record: &Record, wish: &Wish, broken: &mut Vec<Broken>) {
    let (Some(id), Some(status)) = (&wish.id, &wish.status) else { return };
    if !wish.receipt || is_excused(record, wish.from) || says_nothing_more(record, wish) {
        return;
    }
    let parties: BTreeSet<String> =
        status.recipients.iter().map(|recipient| recipient.party.clone()).collect();
    if parties.len() != status.recipients.len() {
        broken.push(("states add up", id.clone(), "a recipient is named twice".into()));
    }
    let mut meant: BTreeSet<String> = wish.audience.iter().map(ToString::to_string).collect();
    if matches!(
        wish.kind,
        Kind::NoticeRequest
            | Kind::NewEpoch
            | Kind::NationalDecision
            | Kind::PersonLocated
            | Kind::Cancellation
    ) {
        meant.insert(SECRETARIAT.into());
    }
    let gone: BTreeSet<String> = record.revoked.keys().map(ToString::to_string).collect();
    let had = matches!(wish.kind, Kind::Withdrawal | Kind::Cancellation);
    let missing = meant.difference(&parties).any(|country| !had && !gone.contains(country));
    if missing || !parties.is_subset(&meant) {
        broken.push(("states add up", id.clone(), format!("meant for {meant:?}, states of {parties:?}")));
    }
    for recipient in &status.recipients {
        let Ok(at) = recipient.party.parse::<CountryCode>() else { continue };
        if is_excused(record, at) || is_gone(record, wish, at) {
            continue;
        }
        let has = record.has(at, id);
        if has != has_it(recipient.state()) {
            let state = recipient.state().as_str_name();
            broken.push(("states are true", id.clone(), format!("{state} at {at}, which has it: {has}")));
        }
    }
}
