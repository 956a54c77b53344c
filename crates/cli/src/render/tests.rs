//! Goldens: values by hand, and the text that people see.

use i247_client::{Context, Contexts, pb};
use i247_ledger::{Damage, DamageKind, Position, Report};

fn plain(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// 2010-07-05 12:00:00 UTC.
const NOON_MS: u64 = 1_278_331_200_000;

#[test]
fn the_inbox() {
    let items = [
        pb::InboxItem {
            id: "BR-1-U-12".into(),
            kind: pb::Kind::Request.into(),
            sender: "BR".into(),
            subject: "Search request: notice 2010/1".into(),
            received_at_ms: NOON_MS,
            reply_by_ms: NOON_MS + 43_200_000,
            ..Default::default()
        },
        pb::InboxItem {
            id: "GS.lena-1-U-2".into(),
            kind: pb::Kind::Notice.into(),
            sender: "GS.lena".into(),
            subject: "\u{1b}[31mRed\u{7} Notice".into(),
            received_at_ms: NOON_MS - 1_000,
            opened: true,
            ..Default::default()
        },
    ];
    assert_eq!(
        plain(&super::inbox(&items)),
        "\
ID             KIND     FROM     RECEIVED (UTC)               REPLY BY             SUBJECT
BR-1-U-12      request  BR       2010-07-05 12:00:00  new     2010-07-06 00:00:00  Search request: notice 2010/1
GS.lena-1-U-2  notice   GS.lena  2010-07-05 11:59:59  opened                        [31mRed  Notice"
    );
}

#[test]
fn where_a_message_stands() {
    let recipient = |party: &str, state: pb::RecipientState, answer: pb::AnswerState| pb::RecipientStatus {
        party: party.into(),
        state: state.into(),
        answer: answer.into(),
        since_ms: NOON_MS,
    };
    let status = pb::StatusResponse {
        item: Some(pb::OutboxItem {
            id: "FR-1-U-1".into(),
            kind: pb::Kind::Request.into(),
            state: pb::OutboxState::Accepted.into(),
            gone: vec!["SN".into()],
            ..Default::default()
        }),
        status: Some(pb::MessageStatus {
            id: "FR-1-U-1".into(),
            position: 77,
            recipients: vec![
                recipient("BR", pb::RecipientState::Actioned, pb::AnswerState::Answered),
                recipient("JP", pb::RecipientState::Queued, pb::AnswerState::Unspecified),
            ],
            closed: false,
        }),
    };
    assert_eq!(
        plain(&super::status(&status)),
        "\
id          FR-1-U-1
kind        request
state       accepted
in the log  entry 77
gone since  SN

TO  STATE     ANSWER    SINCE (UTC)
BR  actioned  answered  2010-07-05 12:00:00
JP  queued              2010-07-05 12:00:00"
    );
    let waiting = pb::StatusResponse { status: None, ..status };
    assert!(
        plain(&super::status(&waiting)).ends_with("No recipient is known yet: the hub has not answered.")
    );
}

#[test]
fn an_explanation() {
    let party = |party: &str, admitted, rule: pb::Rule| pb::Explanation {
        party: party.into(),
        admitted,
        rule: rule.into(),
    };
    let explained = pb::ExplainResponse {
        directory_position: 31,
        parties: vec![
            party("BR", true, pb::Rule::Named),
            party("CH", false, pb::Rule::Excluded),
            party("IPSG", true, pb::Rule::Secretariat),
        ],
    };
    assert_eq!(
        plain(&super::explained(&explained)),
        "\
PARTY  NAME                           RULE
BR     Brazil               receives  named
CH     Switzerland          -         excluded by this message
IPSG   General Secretariat  receives  the secretariat is addressed

2 recipients, as the directory stands at entry 31.
Sent with --explained-at 31 --exactly, it is refused if a member has come or gone since."
    );
}

#[test]
fn a_message_whole() {
    let request = pb::Request {
        subject: Some(pb::Identity { family_name: "MARLOWE".into(), ..Default::default() }),
        questions: vec![pb::Question::Record.into(), pb::Question::EntryExit.into()],
        reason: "fraud".into(),
        ..Default::default()
    };
    let shown = pb::ShowResponse {
        id: "FR-1-U-1".into(),
        header: Some(pb::Header {
            kind: pb::Kind::Request.into(),
            audience: Some(pb::Audience {
                countries: vec!["BR".into()],
                except: vec!["CH".into()],
                ..Default::default()
            }),
            signed_at_ms: NOON_MS,
            ..Default::default()
        }),
        body: Some(pb::Body {
            subject: "Search".into(),
            form: Some(pb::body::Form::Request(request)),
            ..Default::default()
        }),
        signed_by: "spiffe://i247.test/ncb/fr".into(),
        ..Default::default()
    };
    assert_eq!(
        plain(&super::shown(&shown)),
        "\
id         FR-1-U-1
kind       request
lane       urgent
signed by  spiffe://i247.test/ncb/fr
signed at  2010-07-05 12:00:00
to         BR except CH

subject: Search
request:
  subject:
    family name: MARLOWE
  questions: RECORD, ENTRY_EXIT
  reason: fraud"
    );
    let erased = pb::ShowResponse { erased: true, body: None, ..shown };
    assert!(plain(&super::shown(&erased)).ends_with("The body was erased."));
}

#[test]
fn the_network_at_a_glance() {
    let link = |party: &str, connected, queued| pb::LinkSummary {
        party: party.into(),
        connected,
        queued,
        oldest_ms: 90_500,
        standing: "active".into(),
    };
    let summary = pb::SummaryResponse {
        log_id: vec![0xab; 2].into(),
        log_end: 12,
        hub_time_ms: NOON_MS,
        open_messages: 3,
        pending_reviews: 1,
        links: vec![link("BR", true, 0), link("FR", false, 2)],
        writable: true,
    };
    assert_eq!(
        plain(&super::network(&summary)),
        "\
log         abab
entries     12
hub's time  2010-07-05 12:00:00
open        3 messages, 1 reviews
writable    yes
links       1 of 2 connected

PARTY  LINK       STANDING  QUEUED  OLDEST
BR     connected  active    0
FR     away       active    2       90.5 s"
    );
}

#[test]
fn a_bureau_that_is_halted_says_why() {
    let report = pb::ReportResponse {
        country: "FR".into(),
        halted: "it is an older copy".into(),
        warning: "the hub was recovered".into(),
        policy: pb::NationalPolicy::WarrantFirst.into(),
        epoch: 1,
        ..Default::default()
    };
    assert_eq!(
        plain(&super::report(&report)),
        "\
country     FR
link        halted: it is an older copy
warning     the hub was recovered
outbox      0 waiting
inbox       0 received, 0 unopened
epoch       1
red notice  warrant first
register    0 entries"
    );
}

#[test]
fn a_log_with_a_fault() {
    let report = Report {
        end: Position(5),
        segments: 1,
        groups: 4,
        bodies_present: 3,
        damage: vec![Damage {
            file: "00000001.seg".into(),
            offset: 4096,
            position: Position(6),
            kind: DamageKind::Torn,
        }],
        ..Report::default()
    };
    let text = plain(&super::check(&report));
    assert!(text.starts_with("sound      NO: 1 faults\nentries    5\n"), "{text}");
    assert!(text.contains("\n\n00000001.seg at byte 4096, position 6: "), "{text}");
    assert_eq!(super::check_json(&report)["damage"][0]["fatal"], serde_json::json!(false));
}

#[test]
fn contexts_with_the_chosen_one() {
    let mut contexts = Contexts::default();
    let context = Context {
        address: "127.0.0.1:7248".into(),
        server: "spiffe://i247.test/ncb/fr".parse().unwrap(),
        credentials: "/keys/fr".into(),
    };
    contexts.add("fr".parse().unwrap(), context);
    assert_eq!(
        plain(&super::contexts(&contexts)),
        "   NAME  SERVER  ADDRESS         CREDENTIALS
*  fr    ncb/fr  127.0.0.1:7248  /keys/fr"
    );
}

#[test]
fn a_message_followed_to_its_last_receipt() {
    let event = |at_ms, position, party: &str, event: &str| pb::TraceEvent {
        at_ms,
        position,
        party: party.into(),
        event: event.into(),
    };
    let trace = pb::TraceResponse {
        status: Some(pb::MessageStatus { id: "FR-1-U-1".into(), closed: true, ..Default::default() }),
        kind: "request".into(),
        sender: "FR".into(),
        events: vec![event(NOON_MS, 7, "IPSG", "accepted"), event(NOON_MS + 12, 8, "BR", "delivered")],
        ..Default::default()
    };
    assert_eq!(
        plain(&super::trace(&trace)),
        "\
id            FR-1-U-1
kind          request
from          FR
closed        yes

AT (UTC)             AFTER   ENTRY  PARTY  EVENT
2010-07-05 12:00:00  +0 ms   7      IPSG   accepted
2010-07-05 12:00:00  +12 ms  8      BR     delivered"
    );
}

#[test]
fn the_cases_of_a_bureau() {
    let case = pb::Case {
        our_ref: "FR-IR-0008".into(),
        notice_id: "2010/4".into(),
        state: pb::CaseState::PositivelyLocated.into(),
        requests_sent: 2,
        replies_received: 3,
        replies_owed: 1,
        silent: vec!["JP".into()],
        moved_by: "BR-1-U-64".into(),
        ..Default::default()
    };
    assert_eq!(
        plain(&super::cases(&[case])),
        "\
REF         NOTICE  STATE               REQUESTS  REPLIES  OWED  SILENT  MOVED BY
FR-IR-0008  2010/4  positively located  2         3        1     JP      BR-1-U-64"
    );
}

#[test]
fn the_directory_and_what_waits_for_review() {
    let record = pb::DirectoryRecord {
        identity: "spiffe://i247.test/ncb/fr".into(),
        standing: pb::Standing::Suspended.into(),
        since_ms: NOON_MS,
        position: 9,
        ..Default::default()
    };
    let list = pb::ListResponse { position: 12, records: vec![record] };
    assert_eq!(
        plain(&super::directory(&list)),
        "\
IDENTITY  STANDING   SINCE (UTC)          CERTIFICATE ENDS  ENTRY
ncb/fr    suspended  2010-07-05 12:00:00  -                 9

As of entry 12."
    );
    let pending = pb::PendingNotice {
        request_id: "FR-1-N-1".into(),
        notice_id: "2010/1".into(),
        requester: "FR".into(),
        colour: "red".into(),
        accepted_at_ms: NOON_MS,
        edition: 1,
        ..Default::default()
    };
    assert_eq!(
        plain(&super::pending(&[pending])),
        "\
REQUEST   NOTICE  COLOUR  FROM  EDITION  SINCE (UTC)          ADDENDUM TO
FR-1-N-1  2010/1  red     FR    1        2010-07-05 12:00:00"
    );
}

#[test]
fn the_outbox() {
    let item = pb::OutboxItem {
        id: "FR-1-N-1".into(),
        kind: pb::Kind::Diffusion.into(),
        subject: "Diffusion: orange".into(),
        sent_at_ms: NOON_MS,
        state: pb::OutboxState::Refused.into(),
        seat: "duty".into(),
        ..Default::default()
    };
    let damaged =
        pb::OutboxItem { id: "FR-1-N-2".into(), subject: String::new(), unreadable: true, ..item.clone() };
    assert_eq!(
        plain(&super::outbox(&[item, damaged])),
        "\
ID        KIND       SENT (UTC)           STATE    SEAT  SUBJECT
FR-1-N-1  diffusion  2010-07-05 12:00:00  refused  duty  Diffusion: orange
FR-1-N-2  diffusion  2010-07-05 12:00:00  refused  duty  (damaged at the bureau)"
    );
}
