//! The bureau's cases: one for each notice that it asked for. A view: a case moves on signed messages only.
//!
//! ```text
//! notice request signed ─► SELECTED ─► WORKED ─► POSSIBLY LOCATED ─► POSITIVELY LOCATED ─► ARRESTED
//!                              └─► REFUSED        (review decision; then reports from other countries)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{CountryCode, Kind, MessageId, Party, ReplyStage};
use i247_wire::pb;
use serde::{Deserialize, Serialize};

use crate::inbox::Received;
use crate::outbox::Sent;
use crate::stored;

/// A case as it stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Row {
    notice_id: String,
    our_ref: String,
    seat: String,
    operation: String,
    #[serde(with = "stored::number")]
    state: pb::CaseState,
    moved_by: MessageId,
}

/// A request of this bureau and its answers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Asked {
    notice_id: String,
    /// Countries that owe an answer, or owed one.
    owing: BTreeSet<CountryCode>,
    /// What came from whom. Only what those said who were asked counts, and who they are may be heard later.
    said: BTreeMap<CountryCode, Said>,
}

/// What a country answered to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Said {
    replies: u32,
    last_word: bool,
}

/// All cases and the requests that belong to them.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cases {
    rows: BTreeMap<MessageId, Row>,
    by_notice: BTreeMap<String, MessageId>,
    asked: BTreeMap<MessageId, Asked>,
    asked_by_notice: BTreeMap<String, Vec<MessageId>>,
}

impl Cases {
    /// A message of this bureau got its signature.
    pub(crate) fn signed(&mut self, sent: &Sent) {
        match sent.kind {
            // With a reference it is an addendum to a case that is there.
            Kind::NoticeRequest if sent.refers_to.is_none() => {
                self.rows.entry(sent.id.clone()).or_insert_with(|| Row {
                    notice_id: String::new(),
                    our_ref: sent.facts.our_ref.clone(),
                    seat: sent.seat.clone(),
                    operation: sent.operation.clone(),
                    state: pb::CaseState::Selected,
                    moved_by: sent.id.clone(),
                });
            }
            Kind::Request if !self.asked.contains_key(&sent.id) => {
                let notice_id = sent.facts.notice_id.clone();
                self.asked_by_notice.entry(notice_id.clone()).or_default().push(sent.id.clone());
                let asked = Asked { notice_id, owing: sent.named.clone(), ..Asked::default() };
                self.asked.insert(sent.id.clone(), asked);
            }
            _ => {}
        }
    }

    /// A void takes the number of a message that was signed already: it was never sent, and begins nothing.
    pub(crate) fn voided(&mut self, id: &MessageId) {
        self.rows.remove(id);
        let Some(asked) = self.asked.remove(id) else { return };
        if let Some(ids) = self.asked_by_notice.get_mut(&asked.notice_id) {
            ids.retain(|known| known != id);
        }
    }

    /// The hub told who the addressees of a request are.
    pub(crate) fn heard(&mut self, id: &MessageId, status: &pb::MessageStatus) {
        let Some(asked) = self.asked.get_mut(id) else { return };
        let owing =
            status.recipients.iter().filter(|recipient| recipient.answer() != pb::AnswerState::Unspecified);
        asked.owing = owing.filter_map(|recipient| recipient.party.parse().ok()).collect();
    }

    /// A message arrived that passed the checks.
    pub(crate) fn arrived(&mut self, received: &Received) {
        match received.kind {
            Kind::ReviewDecision => self.decided(received),
            Kind::Reply => self.replied(received),
            Kind::PersonLocated => match received.facts.certainty() {
                pb::Certainty::Positive => self.reported(received, pb::CaseState::PositivelyLocated),
                pb::Certainty::Possible => self.reported(received, pb::CaseState::PossiblyLocated),
                pb::Certainty::Unspecified => {}
            },
            Kind::ArrestReport => self.reported(received, pb::CaseState::Arrested),
            _ => {}
        }
    }

    /// The cases of an operation after one of them, in the order of their ids.
    pub(crate) fn page(&self, operation: &str, after: Option<&MessageId>, limit: usize) -> Vec<pb::Case> {
        self.rows
            .iter()
            .filter(|(id, row)| {
                after.is_none_or(|after| *id > after) && (operation.is_empty() || row.operation == operation)
            })
            .take(limit)
            .map(|(id, row)| self.case(id, row))
            .collect()
    }

    fn case(&self, id: &MessageId, row: &Row) -> pb::Case {
        let none = Vec::new();
        let ids = if row.notice_id.is_empty() {
            &none
        } else {
            self.asked_by_notice.get(&row.notice_id).unwrap_or(&none)
        };
        let mut case = pb::Case {
            request_id: id.to_string(),
            notice_id: row.notice_id.clone(),
            our_ref: row.our_ref.clone(),
            seat: row.seat.clone(),
            state: row.state.into(),
            moved_by: row.moved_by.to_string(),
            ..Default::default()
        };
        let mut silent = BTreeSet::new();
        for asked in ids.iter().filter_map(|id| self.asked.get(id)) {
            case.requests_sent += 1;
            for country in &asked.owing {
                let said = asked.said.get(country).copied().unwrap_or_default();
                case.replies_received += said.replies;
                if !said.last_word {
                    case.replies_owed += 1;
                    silent.insert(country.to_string());
                }
            }
        }
        case.silent = silent.into_iter().collect();
        case
    }

    fn decided(&mut self, received: &Received) {
        let Some(request) = received.refers_to.as_ref() else { return };
        let Some(row) = self.rows.get_mut(request) else { return };
        if row.state != pb::CaseState::Selected {
            return;
        }
        match received.facts.verdict() {
            pb::ReviewVerdict::Approved => {
                row.state = pb::CaseState::Worked;
                row.notice_id.clone_from(&received.facts.notice_id);
                self.by_notice.insert(row.notice_id.clone(), request.clone());
            }
            pb::ReviewVerdict::Refused => row.state = pb::CaseState::Refused,
            pb::ReviewVerdict::Unspecified => return,
        }
        row.moved_by = received.id.clone();
    }

    fn replied(&mut self, received: &Received) {
        let Some(asked) = received.refers_to.as_ref().and_then(|id| self.asked.get_mut(id)) else { return };
        let Party::Bureau(country) = received.id.sender.party() else { return };
        let said = asked.said.entry(country).or_default();
        said.replies += 1;
        said.last_word |= matches!(received.reply_stage, Some(ReplyStage::Final | ReplyStage::Refusal));
    }

    /// A report moves a case forward, never back.
    fn reported(&mut self, received: &Received, state: pb::CaseState) {
        let Some(id) = self.by_notice.get(&received.facts.notice_id) else { return };
        let Some(row) = self.rows.get_mut(id) else { return };
        // The wire's numbers are in the order of the states, but for REFUSED, which is an end.
        if row.state != pb::CaseState::Refused && state > row.state {
            row.state = state;
            row.moved_by = received.id.clone();
        }
    }
}
