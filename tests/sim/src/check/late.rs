//! What time does: nothing that has expired is shown, unless it was on its way already; nobody stays unanswered without
//! being reminded.

use std::time::Duration;

use i247_model::{CountryCode, Kind};
use i247_wire::pb;

use super::{Broken, has_it, is_excused};
use crate::record::{Record, Wish, simulated};
use crate::run::BUSY;

/// So long the hub may take to notice that something is due.
const NOTICED: Duration = Duration::from_secs(2);

/// What expired while its addressee had no line to a hub that was well was never on its way.
pub(super) fn check(record: &Record, broken: &mut Vec<Broken>) {
    for wish in record.wishes.iter().filter(|wish| wish.expires_at_ms > 0) {
        let (Some(id), ends) = (&wish.id, simulated(wish.expires_at_ms) + NOTICED) else { continue };
        // A hub that starts takes all that it has for handed out.
        let unwell = record.hub_unwell.iter().any(|(from, until)| *from <= ends && *until >= wish.written);
        // That it had expired was perhaps in the part of the log that is lost.
        let lost = record.recovered.is_some_and(|recovered| wish.written <= recovered);
        if unwell || lost || record.older_hub || record.restored.contains(&wish.from) {
            continue;
        }
        for at in &wish.audience {
            let lines = record.lines.from(&at.to_lowercase());
            let away = !lines.iter().any(|line| line.overlaps(wish.written, ends));
            if away && record.has(*at, id) {
                broken.push(("nothing expired is shown", id.clone(), format!("{at} was away, and has it")));
            }
        }
    }
}

/// What is overdue and leads to nothing; empty for anything else.
pub(super) fn overdue(record: &Record, wish: &Wish, id: &str) -> Vec<String> {
    let Some(status) = &wish.status else { return Vec::new() };
    let mut overdue = Vec::new();
    for recipient in &status.recipients {
        let Ok(at) = recipient.party.parse::<CountryCode>() else { continue };
        if is_excused(record, at) {
            continue;
        }
        // A hub that has lost something waits until all came back.
        let due = wish.reply_by_ms > 0
            && simulated(wish.reply_by_ms) + NOTICED < BUSY
            && record.recovered.is_none();
        let has = has_it(recipient.state());
        let answer = recipient.answer();
        if due && has && answer == pb::AnswerState::Awaited {
            overdue.push(format!("{id} is overdue at {at}, and nobody is reminded"));
        }
        let reminded = matches!(answer, pb::AnswerState::Reminded | pb::AnswerState::Escalated);
        if reminded && !record.has_about(at, Kind::Reminder, id) {
            overdue.push(format!("{at} does not see that it is reminded of {id}"));
        }
        let told = record.has_about(wish.from, Kind::Escalation, id) || record.restored.contains(&wish.from);
        if answer == pb::AnswerState::Escalated && !told {
            overdue.push(format!("{} does not see that {at} is silent about {id}", wish.from));
        }
        let mut replies = record.wishes.iter().filter(|reply| reply.from == at && reply.kind == Kind::Reply);
        let replied = replies.any(|reply| reply.refers_to == id);
        if has && !replied && record.automatic.contains(&at) && !record.misread.contains(&at) {
            overdue.push(format!("{id} is not answered by {at}, which answers by itself"));
        }
    }
    overdue
}
