//! What there is when the table is played, and the requests that are made about it.

use bytes::Bytes;
use i247_model::{Identity, MessageId};
use i247_testkit::pki::Pki;
use i247_testkit::{
    Pen, World, WorldError, airport, country, diffusion, free_text, grant_draft, name, notice_request,
    red_form, with_copies, withdrawal,
};
use i247_trust::sha256;
use i247_wire::pb;
use i247_wire::pb::put_attachment_request::Frame;
use prost::Message;

use super::tls_of;
use crate::line::{Line, PATIENCE};

/// What Japan calls its load.
const JAPANS_LOAD: [u8; 32] = [9; 32];

/// Brazil and Japan have bureaus; France writes by hand.
pub(super) struct Story {
    /// France to Brazil, with an attachment.
    own: MessageId,
    attachment: Vec<Vec<u8>>,
    commitment: Bytes,
    /// France to Brazil, not yet sent.
    next: pb::Envelope,
    /// Brazil's own, not yet sent.
    anothers: pb::Envelope,
    /// Japan's diffusion to Brazil, with an attachment.
    foreign: i247_testkit::Sent,
    foreign_commitment: Bytes,
    /// Japan to France: Brazil has no part in it.
    unseen: i247_testkit::Sent,
    /// Brazil to Japan.
    sent: MessageId,
    /// Brazil's request for a notice.
    pending: MessageId,
    change: pb::Signed,
    change_by_another: pb::Signed,
    national_change: pb::ChangeRequest,
}

/// Plays what comes before.
pub(super) async fn begin() -> Result<(World, Story), WorldError> {
    let world = Box::pin(World::of(["BR", "JP"]).automatic(false).start()).await?;
    let (brazil, japan) = (world.bureau("BR"), world.bureau("JP"));
    brazil.grants(with_copies(airport(&name("airport")))).await?;
    japan_reports(&world).await?;
    let mut france = world.pen("FR").await?;
    let (own, attachment, commitment) = with_attachment(&world, &mut france).await?;
    france.submit(&france.sign(&france.letter(grant_draft(with_copies(airport(&name("airport"))))))).await?;

    let note = pb::AttachmentNote { name: "map.png".into(), ..pb::AttachmentNote::default() };
    let foreign_commitment = japan.desk().await?.add_attachment(note, Bytes::from_static(b"a map")).await?;
    let foreign_commitment = Bytes::copy_from_slice(foreign_commitment.as_bytes());
    let mut draft = diffusion(red_form("MARLOWE", "ANTON"), &["BR"]);
    draft.attachments = vec![foreign_commitment.clone()];
    let foreign = japan.send(draft).await?;
    let unseen = japan.tell(&["FR"], "not for Brazil").await?;
    let sent = brazil.tell(&["JP"], "Brazil's own").await?;
    let asked = brazil.send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    world.until_pending(&asked.id).await?;
    japan.accepted(&unseen).await?;
    brazil.receives(&foreign.id).await?;
    brazil.receives(&own).await?;
    brazil.accepted(&sent).await?;

    let brazils = world.pen("BR").await?;
    let anothers = brazils.sign(&brazils.letter(free_text(&["JP"], "in Brazil's name")));
    let next = france.sign(&france.letter(free_text(&["BR"], "the next one")));
    let now = world.seams().clock.now();
    let newcomer = Identity::Operator(name("newcomer"));
    let mut elsewhere = Pki::new(now)?;
    let keys = world.pki().await.enrol(&newcomer)?;
    let admit = pb::DirectoryAction::Admit;
    let change = world.pki().await.change(admit, &newcomer, 1, now).keys(&keys);
    let change_by_another = elsewhere.sign(change.clone());
    let officer = Identity::Officer(country("BR"), name("newcomer"));
    let officers_keys = elsewhere.enrol(&officer)?;
    let suspend = world.pki().await.change(admit, &officer, 1, now).keys(&officers_keys);
    let authority = world.pki().await.national(country("BR"))?.credentials().clone();
    let national_change = pb::ChangeRequest {
        change: Some(suspend.signed_by(&authority)),
        certificates: authority.signing_chain.clone(),
    };
    let change = world.pki().await.sign(change);
    let pending = asked.id;
    let story = Story {
        own,
        attachment,
        commitment,
        next,
        anothers,
        foreign,
        foreign_commitment,
        unseen,
        sent: sent.id,
        pending,
        change,
        change_by_another,
        national_change,
    };
    Ok((world, story))
}

/// Japan has two passports reported: everybody may see the first, and neither France nor Brazil the second.
async fn japan_reports(world: &World) -> Result<(), WorldError> {
    use pb::load_records_request::Frame;
    let passport = |number: &str, except: &[&str]| -> Bytes {
        let record = document(number, "JPN");
        let except = except.iter().map(|code| (*code).to_owned()).collect();
        let record = pb::Record { owner: "JP".into(), except, ..record };
        pb::RecordChange { action: Some(pb::record_change::Action::Add(record)) }.encode_to_vec().into()
    };
    let changes = vec![passport("TK0000001", &[]), passport("TK0000002", &["BR", "FR"])];
    let begin = pb::LoadBegin { name: JAPANS_LOAD.to_vec().into(), database: pb::Database::Sltd.into() };
    let frames = [Frame::Begin(begin), Frame::Lines(pb::LoadLines { lines: vec![2, 3], changes })];
    let frames = frames.map(|frame| pb::LoadRecordsRequest { frame: Some(frame) });
    let desk = world.bureau("JP").desk().await?;
    let mut load = desk.load_records(tokio_stream::iter(frames)).await?;
    while load.next(PATIENCE).await?.is_some() {}
    world
        .until("the records to be accepted", async || {
            // Not answered is not accepted.
            let status = desk.load_status(None).await.ok();
            Ok(status.filter(|status| status.accepted == 2).map(drop))
        })
        .await
}

/// A lost passport.
fn document(number: &str, issuing_country: &str) -> pb::Record {
    let document = pb::TravelDocument {
        number: number.into(),
        issuing_country: issuing_country.into(),
        document_type: pb::TravelDocumentType::Passport.into(),
        fraud_type: pb::FraudType::LostBearer.into(),
        ..Default::default()
    };
    pb::Record {
        database: pb::Database::Sltd.into(),
        content: Some(pb::record::Content::TravelDocument(document)),
        ..Default::default()
    }
}

/// A message of France to Brazil that names an attachment, and what uploads it.
async fn with_attachment(
    world: &World,
    france: &mut Pen,
) -> Result<(MessageId, Vec<Vec<u8>>, Bytes), WorldError> {
    let data = Bytes::from_static(b"a picture");
    let manifest = pb::AttachmentManifest {
        size_bytes: data.len() as u64,
        chunk_bytes: 64 * 1024,
        chunks: vec![Bytes::copy_from_slice(sha256(&[&data]).as_bytes())],
        salt: Bytes::from_static(&[7; 16]),
    };
    let commitment = Bytes::copy_from_slice(sha256(&[&manifest.encode_to_vec()]).as_bytes());
    let frames = [Frame::Manifest(manifest), Frame::Chunk(pb::AttachmentChunk { index: 0, data })];
    let upload = frames.map(|frame| pb::PutAttachmentRequest { frame: Some(frame) }.encode_to_vec());
    let mut line = Line::open(world.hub_address().await?, tls_of(world, france.credentials())).await.unwrap();
    let answer = line.call_with("/i247.v1.ExchangeService/PutAttachment", &upload, 1).await;
    assert_eq!(answer.messages().len(), 1, "{answer:?}");
    let mut draft = free_text(&["BR"], "with a picture");
    draft.attachments = vec![commitment.clone()];
    let accepted = france.submit(&france.sign(&france.letter(draft))).await?;
    Ok((accepted.id.parse().unwrap(), upload.to_vec(), commitment))
}

fn one(message: &impl Message) -> Vec<Vec<u8>> {
    vec![message.encode_to_vec()]
}

pub(super) fn nothing(_: &Story) -> Vec<Vec<u8>> {
    vec![Vec::new()]
}

/// A country of the world.
pub(super) fn own_country(_: &Story) -> Vec<Vec<u8>> {
    vec![pb::CountryRequest { country: "BR".into() }.encode_to_vec()]
}

/// A filter for somebody who cannot be.
pub(super) fn no_party(_: &Story) -> Vec<Vec<u8>> {
    let filter = pb::FlowFilter { parties: vec!["nobody".into()], ..pb::FlowFilter::default() };
    vec![pb::TapRequest { filter: Some(filter), per_second: 0 }.encode_to_vec()]
}

/// Lists the services, in the protocol of reflection.
pub(super) fn services(_: &Story) -> Vec<Vec<u8>> {
    vec![vec![0x3a, 0]]
}

fn first() -> pb::ConnectRequest {
    let hello = pb::Hello { epoch: 1, program: "hostile".into(), ..pb::Hello::default() };
    pb::ConnectRequest { frame: Some(pb::connect_request::Frame::Hello(hello)) }
}

pub(super) fn hello(_: &Story) -> Vec<Vec<u8>> {
    one(&first())
}

pub(super) fn hello_and_anothers(story: &Story) -> Vec<Vec<u8>> {
    let envelope = pb::connect_request::Frame::Envelope(story.anothers.clone());
    let second = pb::ConnectRequest { frame: Some(envelope) };
    [one(&first()), one(&second)].concat()
}

/// The same field in the calls of bureaus and of reviewers.
pub(super) fn anothers_envelope(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::SubmitRequest { envelope: Some(story.anothers.clone()) })
}

pub(super) fn own_envelope(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::SubmitRequest { envelope: Some(story.next.clone()) })
}

pub(super) fn own_audience(_: &Story) -> Vec<Vec<u8>> {
    let draft = free_text(&["BR", "JP"], "to whom?");
    one(&pb::ExplainRequest { kind: draft.kind, audience: draft.audience, ..pb::ExplainRequest::default() })
}

pub(super) fn anothers_audience(story: &Story) -> Vec<Vec<u8>> {
    let draft = withdrawal(&story.foreign);
    one(&pb::ExplainRequest {
        kind: draft.kind,
        audience: draft.audience,
        refers_to: draft.refers_to,
        ..pb::ExplainRequest::default()
    })
}

fn id(id: &MessageId) -> Vec<Vec<u8>> {
    // The first field of every call that names a message, be it one or a list.
    one(&pb::ShowRequest { id: id.to_string() })
}

pub(super) fn own_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.own)
}

pub(super) fn anothers_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.foreign.id)
}

pub(super) fn pending_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.pending)
}

pub(super) fn nobodys_id(_: &Story) -> Vec<Vec<u8>> {
    id(&"BR-1-N-4711".parse().unwrap())
}

pub(super) fn received_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.foreign.id)
}

pub(super) fn unseen_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.unseen.id)
}

pub(super) fn sent_id(story: &Story) -> Vec<Vec<u8>> {
    id(&story.sent)
}

pub(super) fn own_commitment(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::FindAttachmentRequest { commitment: story.commitment.clone() })
}

pub(super) fn anothers_commitment(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::FindAttachmentRequest { commitment: story.foreign_commitment.clone() })
}

pub(super) fn own_attachment(story: &Story) -> Vec<Vec<u8>> {
    story.attachment.clone()
}

fn fetch(message: &MessageId, commitment: &Bytes) -> Vec<Vec<u8>> {
    let (message_id, commitment) = (message.to_string(), commitment.clone());
    one(&pb::FetchAttachmentRequest { message_id, commitment, first_chunk: 0 })
}

pub(super) fn own_attachment_of(story: &Story) -> Vec<Vec<u8>> {
    fetch(&story.own, &story.commitment)
}

pub(super) fn anothers_attachment_of(story: &Story) -> Vec<Vec<u8>> {
    fetch(&story.foreign.id, &story.foreign_commitment)
}

pub(super) fn anothers_attachment_of_own(story: &Story) -> Vec<Vec<u8>> {
    fetch(&story.own, &story.foreign_commitment)
}

pub(super) fn change(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::ChangeRequest { change: Some(story.change.clone()), certificates: Vec::new() })
}

pub(super) fn change_by_another(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::ChangeRequest { change: Some(story.change_by_another.clone()), certificates: Vec::new() })
}

pub(super) fn national_change(story: &Story) -> Vec<Vec<u8>> {
    one(&story.national_change)
}

pub(super) fn draft(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::SendRequest { draft: Some(free_text(&["JP"], "from the desk")) })
}

pub(super) fn draft_about_anothers(story: &Story) -> Vec<Vec<u8>> {
    one(&pb::SendRequest { draft: Some(withdrawal(&story.unseen)) })
}

/// A record that nobody loaded; asked alike at the desk and at the hub.
pub(super) fn record_name(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::FindRecordRequest { database: pb::Database::Sltd.into(), name: "FRA/PASSPORT/P1234567".into() })
}

/// A record that everybody may see.
pub(super) fn seen_record_name(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::FindRecordRequest { database: pb::Database::Sltd.into(), name: "JPN/PASSPORT/TK0000001".into() })
}

/// A record that its owner keeps from those who ask.
pub(super) fn unseen_record_name(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::FindRecordRequest { database: pb::Database::Sltd.into(), name: "JPN/PASSPORT/TK0000002".into() })
}

/// A record as an alert: it is none.
pub(super) fn record_as_alert(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::ShowAlertRequest { name: "JPN/PASSPORT/TK0000001".into() })
}

pub(super) fn japans_load(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::LoadStatusRequest { name: JAPANS_LOAD.to_vec().into() })
}

fn load_begin() -> Vec<u8> {
    let begin = pb::LoadBegin { name: vec![7; 32].into(), database: pb::Database::Sltd.into() };
    let frame = pb::load_records_request::Frame::Begin(begin);
    pb::LoadRecordsRequest { frame: Some(frame) }.encode_to_vec()
}

pub(super) fn load(_: &Story) -> Vec<Vec<u8>> {
    vec![load_begin()]
}

/// A document of another country, which would be Brazil's to report as little as anybody's but France's.
pub(super) fn load_of_anothers(_: &Story) -> Vec<Vec<u8>> {
    let record = pb::Record { owner: "BR".into(), ..document("P1234567", "FRA") };
    let change = pb::RecordChange { action: Some(pb::record_change::Action::Add(record)) };
    let lines = pb::LoadLines { lines: vec![2], changes: vec![change.encode_to_vec().into()] };
    let frame = pb::load_records_request::Frame::Lines(lines);
    vec![load_begin(), pb::LoadRecordsRequest { frame: Some(frame) }.encode_to_vec()]
}

pub(super) fn file(_: &Story) -> Vec<Vec<u8>> {
    use pb::add_attachment_request::Frame;
    let note = pb::AttachmentNote { name: "note.txt".into(), media_type: "text/plain".into(), size_bytes: 5 };
    let frames = [Frame::Note(note), Frame::Data(Bytes::from_static(b"words"))];
    frames.map(|frame| pb::AddAttachmentRequest { frame: Some(frame) }.encode_to_vec()).to_vec()
}

fn asked() -> pb::SearchRequest {
    let passport = pb::TravelDocumentKey {
        number: "X4719T06M".into(),
        issuing_country: "UTO".into(),
        document_type: pb::TravelDocumentType::Passport.into(),
    };
    pb::SearchRequest {
        purpose: pb::Purpose::BorderControl.into(),
        officer: "duty".into(),
        station: "airport".into(),
        keys: vec![pb::SearchKey { key: Some(pb::search_key::Key::TravelDocument(passport)) }],
        ..pb::SearchRequest::default()
    }
}

pub(super) fn search(_: &Story) -> Vec<Vec<u8>> {
    one(&asked())
}

pub(super) fn frame_of_keys(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::SearchStreamRequest { search: Some(asked()) })
}

pub(super) fn copy(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::FetchCopyRequest { database: pb::Database::Sltd.into(), ..pb::FetchCopyRequest::default() })
}

pub(super) fn copy_for_a_post(_: &Story) -> Vec<Vec<u8>> {
    copy_for("airport")
}

pub(super) fn copy_for_an_ungranted_post(_: &Story) -> Vec<Vec<u8>> {
    copy_for("ungranted")
}

fn copy_for(post: &str) -> Vec<Vec<u8>> {
    let (database, post) = (pb::Database::Sltd.into(), post.to_owned());
    one(&pb::FetchCopyRequest { database, post, ..pb::FetchCopyRequest::default() })
}

pub(super) fn offline_searches(_: &Story) -> Vec<Vec<u8>> {
    handed_in("airport", 7)
}

pub(super) fn offline_searches_elsewhere(_: &Story) -> Vec<Vec<u8>> {
    handed_in("harbour", 8)
}

fn handed_in(station: &str, list: u8) -> Vec<Vec<u8>> {
    let search = pb::OfflineSearch {
        officer: "duty".into(),
        station: station.into(),
        purpose: pb::Purpose::BorderControl.into(),
        keys: vec![b"travel-document\0D/X4719T06M".to_vec().into()],
        ..pb::OfflineSearch::default()
    };
    one(&pb::HandInSearchesRequest {
        list: vec![list; 16].into(),
        first: 1,
        chain: vec![0; 32].into(),
        searches: vec![search.encode_to_vec().into()],
        post: String::new(),
    })
}

pub(super) fn check(_: &Story) -> Vec<Vec<u8>> {
    one(&pb::CheckRequest { search: Some(asked()) })
}
