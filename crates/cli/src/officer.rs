//! Officers' verbs: each asks the desk and prints what it says. What is sent is composed elsewhere.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use i247_client::{ClientError, Desk, InboxFilter, OutboxFilter, pb};
use i247_model::{Kind, MessageId};

use crate::args::{AttachmentArgs, InboxArgs, OutboxArgs};
use crate::compose::{Read, compose};
use crate::fail::Fail;
use crate::forms;
use crate::message::Message;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// Largest attachment, in bytes.
const MAX_ATTACHMENT_BYTES: u64 = 25 * 1024 * 1024;

/// How often the same draft is handed in when the answer is lost. Its key makes it one message.
const ATTEMPTS: u32 = 3;

/// Sends a message and prints its id.
pub(crate) async fn send(message: &Message, session: &Session) -> Result<(), Fail> {
    if let Message::Notice(args) = message
        && args.template
    {
        out::data(&forms::template(args.colour));
        return Ok(());
    }
    let desk = session.desk()?;
    let mut draft = compose(message, &read(message, &desk, session).await?)?;
    for path in &message.common().attach {
        draft.attachments.push(attach(path, &desk).await?);
    }
    draft.idempotency_key = session.key();
    let id = hand_in(&desk, draft).await?;
    out::sent(
        session,
        &id,
        &format!("It is in the bureau's outbox. `i247 status {id}` says where it stands."),
    );
    Ok(())
}

/// Says who would receive a message.
pub(crate) async fn explain(message: &Message, session: &Session) -> Result<(), Fail> {
    let desk = session.desk()?;
    let draft = compose(message, &read(message, &desk, session).await?)?;
    let explained = desk.explain(draft).await?;
    out::answer(session, || to_json("ExplainResponse", &explained), || render::explained(&explained));
    Ok(())
}

/// Hands a draft in, again where the answer was lost.
pub(crate) async fn hand_in(desk: &Desk, draft: pb::Draft) -> Result<MessageId, ClientError> {
    let mut attempt = 1;
    loop {
        match desk.send(draft.clone()).await {
            Err(error) if error.passes() && error.may_have_happened() && attempt < ATTEMPTS => attempt += 1,
            ended => return ended,
        }
    }
}

/// Reads what the message is made of: the form, the words, the message that it refers to.
async fn read(message: &Message, desk: &Desk, session: &Session) -> Result<Read, Fail> {
    let mut read = Read { now: session.seams.clock.now(), ..Read::default() };
    match message {
        Message::Notice(args) => {
            let next = "name the form with --file, or - for standard input";
            let path = args.file.as_deref().ok_or_else(|| Fail::usage("no form is named", next))?;
            read.text = forms::read(path)?;
        }
        Message::Diffuse(args) => read.text = forms::read(&args.file)?,
        Message::Text(args) if args.words == "-" => read.text = forms::read(Path::new("-"))?,
        Message::Withdraw(args) => read.referred = Some(desk.show(&args.id).await?),
        Message::Locate(args) => read.referred = Some(desk.show(&args.id).await?),
        Message::Arrest(args) => read.referred = Some(desk.show(&args.id).await?),
        Message::Decide(args) => read.referred = Some(desk.show(&args.id).await?),
        Message::Text(_) | Message::Ask(_) | Message::Reply(_) | Message::Restrict(_) => {}
    }
    Ok(read)
}

async fn attach(path: &Path, desk: &Desk) -> Result<Bytes, Fail> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        Fail::because(shown.to_string(), &error, "name a file that can be read, of at most 25 MiB")
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_ATTACHMENT_BYTES {
        return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let note = pb::AttachmentNote {
        name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        media_type: media_type(path).to_owned(),
        size_bytes: bytes.len() as u64,
    };
    let commitment = desk.add_attachment(note, bytes.into()).await?;
    Ok(Bytes::copy_from_slice(commitment.as_bytes()))
}

fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_deref().and_then(|extension| extension.to_str()) {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

pub(crate) async fn inbox(args: &InboxArgs, session: &Session) -> Result<(), Fail> {
    let filter = InboxFilter {
        kind: kind(args.kind.as_deref())?,
        sender: args.from.map(|from| from.to_string()).unwrap_or_default(),
        operation: args.operation.clone().unwrap_or_default(),
        unopened_only: args.unopened,
    };
    let desk = session.desk()?;
    let mut items: Vec<pb::InboxItem> = Vec::new();
    let total = loop {
        let after = items.last().map_or("", |item| item.id.as_str()).to_owned();
        let left = args.limit.saturating_sub(count(items.len()));
        let page = desk.inbox_page(&filter, left, &after).await?;
        let ended = page.items.is_empty();
        items.extend(page.items);
        if ended || count(items.len()) >= args.limit {
            break page.total;
        }
    };
    let page = pb::ListInboxResponse { items, total };
    if out::list(
        session,
        &page.items,
        || to_json("ListInboxResponse", &page),
        "Nothing was received that fits.",
        || render::inbox(&page.items),
    ) {
        tell_rest(page.items.len(), page.total);
    }
    Ok(())
}

pub(crate) async fn outbox(args: &OutboxArgs, session: &Session) -> Result<(), Fail> {
    let filter = OutboxFilter {
        kind: kind(args.kind.as_deref())?,
        operation: args.operation.clone().unwrap_or_default(),
    };
    let desk = session.desk()?;
    let mut items: Vec<pb::OutboxItem> = Vec::new();
    let total = loop {
        let after = items.last().map_or("", |item| item.id.as_str()).to_owned();
        let left = args.limit.saturating_sub(count(items.len()));
        let page = desk.outbox_page(&filter, left, &after).await?;
        let ended = page.items.is_empty();
        items.extend(page.items);
        if ended || count(items.len()) >= args.limit {
            break page.total;
        }
    };
    let page = pb::ListOutboxResponse { items, total };
    if out::list(
        session,
        &page.items,
        || to_json("ListOutboxResponse", &page),
        "Nothing was sent that fits.",
        || render::outbox(&page.items),
    ) {
        tell_rest(page.items.len(), page.total);
    }
    Ok(())
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

fn tell_rest(shown: usize, total: u64) {
    let rest = total.saturating_sub(shown as u64);
    if rest > 0 {
        out::talk(&format!("{rest} more: give a larger --limit"));
    }
}

pub(crate) async fn show(id: &str, session: &Session) -> Result<(), Fail> {
    let shown = session.desk()?.show(id).await?;
    out::answer(session, || to_json("ShowResponse", &shown), || render::shown(&shown));
    Ok(())
}

pub(crate) async fn done(id: &str, session: &Session) -> Result<(), Fail> {
    session.desk()?.mark_actioned(id).await?;
    out::talk("It is marked as acted upon.");
    Ok(())
}

pub(crate) async fn status(id: Option<&str>, session: &Session) -> Result<(), Fail> {
    let desk = session.desk()?;
    let Some(id) = id else {
        let report = desk.report().await?;
        out::answer(session, || to_json("ReportResponse", &report), || render::report(&report));
        return Ok(());
    };
    let status = desk.status(id).await?;
    out::answer(session, || to_json("StatusResponse", &status), || render::status(&status));
    match status.item.and_then(|item| item.refusal) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

pub(crate) async fn cases(operation: &str, session: &Session) -> Result<(), Fail> {
    let cases = session.desk()?.cases(operation).await?;
    out::list(
        session,
        &cases,
        || cases.iter().map(|case| to_json("Case", case)).collect(),
        "The bureau has no case in this operation.",
        || render::cases(&cases),
    );
    Ok(())
}

pub(crate) async fn attachment(args: &AttachmentArgs, session: &Session) -> Result<(), Fail> {
    let desk = session.desk()?;
    let (note, bytes) = desk.open_attachment(&args.id, args.number.saturating_sub(1)).await?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.out)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        Fail::because(args.out.display().to_string(), &error, "name a file that is not there yet with --out")
    })?;
    out::talk(&format!(
        "{} ({}, {} bytes) is in {}",
        render::line(&note.name),
        render::line(&note.media_type),
        bytes.len(),
        args.out.display()
    ));
    Ok(())
}

/// A kind by its word; `request`, `notice request`, `notice_request`.
fn kind(word: Option<&str>) -> Result<pb::Kind, Fail> {
    let Some(word) = word else { return Ok(pb::Kind::Unspecified) };
    let spoken = word.to_lowercase().replace(['_', '-'], " ");
    let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == spoken);
    found.map(pb::Kind::from).ok_or_else(|| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        Fail::usage(format!("there is no kind {word:?}"), format!("there is: {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_by_its_word_however_it_is_joined() {
        assert_eq!(kind(Some("notice-request")).unwrap(), pb::Kind::NoticeRequest);
        assert_eq!(kind(Some("Notice_Request")).unwrap(), pb::Kind::NoticeRequest);
        assert_eq!(kind(None).unwrap(), pb::Kind::Unspecified);
        assert!(kind(Some("letter")).unwrap_err().next.contains("free text"));
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        assert_eq!(media_type(Path::new("a/Photo.PNG")), "image/png");
        assert_eq!(media_type(Path::new("scan")), "application/octet-stream");
    }
}
