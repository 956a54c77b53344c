//! Journal entries for tests: what a bureau in France lives through, written by hand.

use std::time::Duration;

use bytes::Bytes;
use i247_model::{Audience, Hash, Header, Kind, MessageId, Reason, Refusal, ReplyStage, Timestamp};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;

pub(crate) fn header(id: &str, kind: Kind) -> Header {
    Header {
        previous: id.parse::<MessageId>().ok().filter(|id| id.number > 1).map(|_| Hash([2; 32])),
        reply_by: (kind == Kind::Request).then_some(Timestamp::from_millis(99)),
        reply_stage: (kind == Kind::Reply).then_some(ReplyStage::Final),
        operation: Some("op-1".into()),
        seat: Some("duty".parse().unwrap()),
        ..Header::bare(
            id.parse().unwrap(),
            kind,
            Audience::countries(["BR".parse().unwrap(), "JP".parse().unwrap()]),
            Hash([1; 32]),
            Timestamp::from_millis(5),
            (Hash([3; 32]), Hash([4; 32])),
        )
    }
}

pub(crate) fn entry(event: Event) -> pb::JournalEntry {
    pb::JournalEntry { at_ms: 1000, event: Some(event) }
}

pub(crate) fn about(notice_id: &str) -> pb::JournalFacts {
    pb::JournalFacts { notice_id: notice_id.into(), our_ref: "PA-1".into(), ..Default::default() }
}

pub(crate) fn accepted(header: &Header, facts: pb::JournalFacts, key: &str) -> pb::JournalEntry {
    entry(Event::Accepted(pb::JournalAccepted {
        header: Some(pb::Header::from(header)),
        facts: Some(facts),
        officer: "spiffe://i247.test/ncb/fr/officer/duty".into(),
        idempotency_key: key.into(),
        draft_hash: Bytes::new(),
        load: None,
    }))
}

pub(crate) fn sealed(header: &Header) -> pb::JournalEntry {
    entry(Event::Sealed(pb::JournalSealed {
        id: header.id.to_string(),
        header: i247_wire::encode_header(header),
        signature: None,
    }))
}

pub(crate) fn accepted_by_hub(header: &Header, position: u64) -> pb::JournalEntry {
    answered(&pb::Acceptance {
        id: header.id.to_string(),
        log_id: Bytes::from_static(b"log"),
        position,
        ..Default::default()
    })
}

pub(crate) fn answered(acceptance: &pb::Acceptance) -> pb::JournalEntry {
    use prost::Message as _;
    let signed = pb::Signed { payload: acceptance.encode_to_vec().into(), ..Default::default() };
    let result = pb::SubmitResult {
        id: acceptance.id.clone(),
        result: Some(pb::submit_result::Result::Acceptance(signed)),
    };
    entry(Event::Answered(pb::JournalAnswered { result: Some(result) }))
}

pub(crate) fn refused_by_hub(id: &str) -> pb::JournalEntry {
    let refusal = Refusal::of(Reason::UnknownCountry, "audience.countries");
    let refusal = pb::submit_result::Result::Refusal((&refusal).into());
    let result = Some(pb::SubmitResult { id: id.into(), result: Some(refusal) });
    entry(Event::Answered(pb::JournalAnswered { result }))
}

/// The hub goes on with another log. Mailbox numbers by lane; one number for all that it had decided on in each lane.
pub(crate) fn taken_over(from: &str, to: &str, end: u64, given: [u64; 4], accepted: u64) -> pb::JournalEntry {
    let lanes = i247_model::Lane::ALL.map(|lane| i32::from(pb::Lane::from(lane)));
    let given = lanes.into_iter().zip(given).map(|(lane, number)| pb::GivenUpTo { lane, number });
    let accepted = lanes.into_iter().map(|lane| pb::LaneEnd { lane, number: accepted, ..Default::default() });
    entry(Event::TakenOver(pb::JournalTakenOver {
        log_id: Bytes::copy_from_slice(to.as_bytes()),
        predecessor: Bytes::copy_from_slice(from.as_bytes()),
        previous_end: end,
        mailbox: given.collect(),
        epoch: 1,
        accepted: accepted.collect(),
    }))
}

/// A message that is here has another number of the normal lane.
pub(crate) fn given_anew(id: &str, number: u64, position: u64) -> pb::JournalEntry {
    let lane = pb::Lane::Normal.into();
    entry(Event::GivenAnew(pb::JournalGivenAnew { id: id.into(), lane, number, position }))
}

pub(crate) fn arrived(number: u64, header: &Header, facts: pb::JournalFacts) -> pb::JournalEntry {
    let signed_by = match header.kind {
        Kind::Notice | Kind::ReviewDecision => "spiffe://i247.test/gs/reviewer/lena",
        _ => "spiffe://i247.test/ncb/br",
    };
    entry(Event::Arrived(pb::JournalArrived {
        lane: pb::Lane::from(header.id.lane).into(),
        number,
        position: 40 + number,
        accepted_at_ms: 900,
        header: i247_wire::encode_header(header),
        signature: None,
        signed_by: signed_by.into(),
        facts: Some(facts),
    }))
}

/// A case from its notice request to an arrest: two requests out, an interim and two final replies in.
pub(crate) fn case() -> Vec<pb::JournalEntry> {
    let red = Header { audience: Audience::secretariat(), ..header("FR-1-N-1", Kind::NoticeRequest) };
    let decision = Header {
        refers_to: Some(red.id.clone()),
        audience: Audience::countries(["FR".parse().unwrap()]),
        ..header("GS.lena-1-N-1", Kind::ReviewDecision)
    };
    let approved = pb::JournalFacts { verdict: pb::ReviewVerdict::Approved.into(), ..about("2010/7") };
    let ask = header("FR-1-U-1", Kind::Request);
    let reply = |id: &str, stage| Header {
        refers_to: Some("FR-1-U-1".parse().unwrap()),
        reply_stage: Some(stage),
        ..header(id, Kind::Reply)
    };
    let report =
        |id: &str, kind| Header { refers_to: Some("GS.lena-1-N-2".parse().unwrap()), ..header(id, kind) };
    let certain = pb::JournalFacts { certainty: pb::Certainty::Positive.into(), ..about("2010/7") };
    vec![
        accepted(&red, about(""), "case-7"),
        sealed(&red),
        accepted_by_hub(&red, 11),
        arrived(1, &decision, approved),
        accepted(&ask, about("2010/7"), ""),
        sealed(&ask),
        accepted_by_hub(&ask, 12),
        arrived(1, &reply("BR-1-U-1", ReplyStage::Interim), about("")),
        arrived(2, &reply("BR-1-U-2", ReplyStage::Final), about("")),
        arrived(3, &report("BR-1-U-3", Kind::PersonLocated), certain),
        arrived(4, &report("BR-1-U-4", Kind::ArrestReport), about("2010/7")),
        entry(Event::Marked(pb::JournalMarked {
            id: "BR-1-U-3".into(),
            actioned: true,
            officer: "spiffe://i247.test/ncb/fr/officer/duty".into(),
        })),
    ]
}

/// The case, and whatever else a journal can hold.
pub(crate) fn everything() -> Vec<pb::JournalEntry> {
    let mut entries = case();
    let words = |id: &str| header(id, Kind::FreeText);
    let refused =
        Refusal::of(Reason::UnknownCountry, "audience.countries").retry_after(Duration::from_secs(2));
    let result = pb::SubmitResult {
        id: "FR-1-N-2".into(),
        result: Some(pb::submit_result::Result::Refusal((&refused).into())),
    };
    let changed = pb::Acceptance {
        id: "FR-1-N-3".into(),
        log_id: Bytes::from_static(b"log"),
        position: 13,
        come: vec!["DE".into()],
        gone: vec!["US".into(), "IPSG".into()],
        ..Default::default()
    };
    let recipient = |party: &str, answer: pb::AnswerState| pb::RecipientStatus {
        party: party.into(),
        state: pb::RecipientState::Delivered.into(),
        answer: answer.into(),
        since_ms: 77,
    };
    let status = pb::MessageStatus {
        id: "FR-1-U-1".into(),
        position: 12,
        recipients: vec![
            recipient("BR", pb::AnswerState::Answered),
            recipient("JP", pb::AnswerState::Awaited),
        ],
        closed: false,
    };
    let notice = Header { refers_to: "BR-1-N-1".parse().ok(), ..header("GS.lena-1-N-2", Kind::Notice) };
    let red = pb::JournalFacts { requester: "BR".into(), colour: pb::Colour::Red.into(), ..about("2010/8") };
    let lane = pb::Lane::Normal.into();
    entries.extend([
        accepted(&words("FR-1-N-2"), about(""), "two"),
        sealed(&words("FR-1-N-2")),
        entry(Event::Answered(pb::JournalAnswered { result: Some(result) })),
        accepted(&words("FR-1-N-3"), about(""), ""),
        sealed(&words("FR-1-N-3")),
        answered(&changed),
        entry(Event::Heard(pb::JournalHeard { status: Some(status) })),
        arrived(2, &notice, red),
        arrived(3, &header("BR-1-N-1", Kind::Request), about("2010/8")),
        entry(Event::Gap(pb::JournalGap { lane, number: 4, ..Default::default() })),
        entry(Event::Rejected(pb::JournalRejected { lane, number: 5, ..Default::default() })),
        entry(Event::Handled(pb::JournalHandled { arrivals: 3 })),
        entry(Event::Attachment(pb::JournalAttachment { size_bytes: 5, ..Default::default() })),
        entry(Event::Told(pb::JournalTold { marks: 2 })),
        accepted(&words("FR-1-N-4"), about(""), ""),
        sealed(&words("FR-1-N-4")),
        voided("FR-1-N-4"),
        accepted(&words("FR-1-N-5"), about(""), ""),
        admitted("spiffe://i247.test/ncb/fr/officer/duty"),
        entry(Event::Epoch(pb::JournalEpoch {
            epoch: 2,
            mailbox: vec![pb::MailboxEnd { lane, received_up_to: 9 }],
            ..Default::default()
        })),
        accepted(&words("FR-2-N-1"), about(""), "new"),
        sealed(&words("FR-2-N-1")),
        taken_over("log", "log two", 12, [0, 2, 1, 0], 1),
        entry(Event::HandedOver(pb::JournalHandedOver { log_id: Bytes::from_static(b"log two") })),
        taken_over("log two", "log three", 11, [0, 1, 1, 0], 1),
        given_anew("GS.lena-1-N-2", 2, 17),
    ]);
    entries
}

/// The country's authority admits somebody.
pub(crate) fn admitted(identity: &str) -> pb::JournalEntry {
    use prost::Message as _;
    let change = pb::DirectoryChange {
        action: pb::DirectoryAction::Admit.into(),
        identity: identity.into(),
        tls_key: Bytes::from_static(&[6; 32]),
        sequence: 1,
        ..Default::default()
    };
    let change = Some(pb::Signed { payload: change.encode_to_vec().into(), ..Default::default() });
    entry(Event::Directory(pb::JournalDirectory { change, certificates: Vec::new() }))
}

/// A void takes the number of this message.
pub(crate) fn voided(id: &str) -> pb::JournalEntry {
    let why = Refusal::of(Reason::AttachmentMissing, "attachments");
    let (voided, _) = crate::draft::void(&id.parse().unwrap(), "the attachment is damaged", &why, [1; 16]);
    entry(Event::Voided(voided))
}
