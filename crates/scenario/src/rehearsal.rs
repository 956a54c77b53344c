//! A reminder and an escalation, played on purpose beside the operation. Pure: events in, tasks out.

use i247_client::{Event, pb};
use i247_model::CountryCode;

use crate::plan::Rehearsal;

/// How far the rehearsal is.
#[derive(Debug)]
pub(crate) struct Rehearsed<'a> {
    rehearsal: &'a Rehearsal,
    /// The request that is answered after a reminder.
    late: String,
    /// The request that is never answered.
    silent: String,
    replied: bool,
    /// The addressee was reminded.
    pub(crate) reminded: bool,
    /// The late answer reached the asker.
    pub(crate) answered: bool,
    /// The asker was told of the silence.
    pub(crate) escalated: bool,
}

impl<'a> Rehearsed<'a> {
    /// Both requests are sent; these are their ids.
    pub(crate) fn new(rehearsal: &'a Rehearsal, late: String, silent: String) -> Self {
        Self { rehearsal, late, silent, replied: false, reminded: false, answered: false, escalated: false }
    }

    /// How many of the three things have happened: reminder, late answer, escalation.
    pub(crate) fn done(&self) -> usize {
        [self.reminded, self.answered, self.escalated].into_iter().filter(|happened| *happened).count()
    }

    /// Something happened at a bureau. True: the officer of the late country answers now.
    pub(crate) fn heard(&mut self, country: CountryCode, event: &Event) -> bool {
        let Event::Arrived(item) = event else { return false };
        match item.kind() {
            pb::Kind::Reminder if country == self.rehearsal.late && item.refers_to == self.late => {
                self.reminded = true;
                !std::mem::replace(&mut self.replied, true)
            }
            pb::Kind::Reply if country == self.rehearsal.asker && item.refers_to == self.late => {
                self.answered = true;
                false
            }
            pb::Kind::Escalation if country == self.rehearsal.asker && item.refers_to == self.silent => {
                self.escalated = true;
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn code(text: &str) -> CountryCode {
        text.parse().unwrap()
    }

    fn arrived(kind: pb::Kind, refers_to: &str) -> Event {
        Event::Arrived(pb::InboxItem { kind: kind.into(), refers_to: refers_to.into(), ..Default::default() })
    }

    #[test]
    fn the_officer_answers_after_the_first_reminder_and_once() {
        let rehearsal = Rehearsal {
            operation: "infra-red-2010-rehearsal".into(),
            asker: code("FR"),
            late: code("JP"),
            silent: code("BR"),
            reply_within: Duration::from_secs(1),
        };
        let mut rehearsed = Rehearsed::new(&rehearsal, "FR-1-U-8".into(), "FR-1-U-9".into());
        assert!(!rehearsed.heard(code("BR"), &arrived(pb::Kind::Reminder, "FR-1-U-9")), "BR stays silent");
        assert!(rehearsed.heard(code("JP"), &arrived(pb::Kind::Reminder, "FR-1-U-8")));
        assert!(!rehearsed.heard(code("JP"), &arrived(pb::Kind::Reminder, "FR-1-U-8")));
        assert_eq!(rehearsed.done(), 1);
        rehearsed.heard(code("FR"), &arrived(pb::Kind::Reply, "FR-1-U-8"));
        rehearsed.heard(code("FR"), &arrived(pb::Kind::Escalation, "FR-1-U-9"));
        assert_eq!(rehearsed.done(), 3);
    }
}
