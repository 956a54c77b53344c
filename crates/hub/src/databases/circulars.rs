//! Notices and diffusions as the databases follow them: which records each of them brought, and who may see those. It
//! keeps places, never what a form says.

use std::collections::BTreeSet;

use i247_ledger::{Body, Record as LogRecord};
use i247_model::{CountryCode, Header, Kind, Lifted, MessageId, NoticeId, Party, Reason, Refusal};
use i247_records::derived::Origin;
use i247_router::Accepted;
use i247_wire::pb;
use serde::{Deserialize, Serialize};

/// A notice or a diffusion, whatever its editions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// By its number.
    Notice(NoticeId),
    /// By its message.
    Diffusion(MessageId),
}

/// What the databases know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Circular {
    /// Whose data it is.
    pub(crate) owner: Party,
    /// Countries that the owner bars from it.
    pub(crate) except: BTreeSet<CountryCode>,
    /// Those who received it, where nobody else may see it.
    pub(crate) only: Option<Box<[Party]>>,
    /// It was published: an owner may bar countries before.
    pub(crate) published: bool,
    /// Where the records lie that follow from it: database and locator, as numbers.
    pub(crate) records: Vec<(u8, u64)>,
}

/// What an accepted message does to what follows from notices and diffusions.
pub(crate) enum Step {
    /// The owner asks for a notice, or for an addition to it, and says whom it bars.
    Asked { notice: NoticeId, owner: Party, except: BTreeSet<CountryCode> },
    /// What was asked for was refused.
    Refused(NoticeId),
    /// It is published, or stands in a new edition. The records are those of the entry's batch.
    Published { subject: Subject, owner: Party, except: BTreeSet<CountryCode>, only: Option<Box<[Party]>> },
    /// It ends.
    Ended(Subject),
    /// An owner bars these from all that it owns, and nobody else.
    Barred { owner: Party, except: BTreeSet<CountryCode> },
    /// A reviewer decides about an item of a message of records.
    Checked { message: MessageId, item: u16, approved: bool },
}

/// The form of a published notice or a diffusion, and what it is.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) form: pb::NoticeForm,
    pub(crate) origin: Origin,
}

/// What an accepted message does; nothing for what neither brings records nor ends or hides them.
pub(crate) fn step(header: &Header, lifted: Lifted, accepted: &Accepted) -> Option<Step> {
    let sender = header.id.sender.party();
    let notice = accepted.notice_id;
    let except = || lifted.except.union(&header.audience.except).copied().collect();
    Some(match header.kind {
        Kind::NoticeRequest => Step::Asked { notice: notice?, owner: sender, except: lifted.except },
        Kind::ReviewDecision if lifted.item.is_some() => Step::Checked {
            message: header.refers_to.clone()?,
            item: lifted.item?,
            approved: lifted.approved?,
        },
        Kind::ReviewDecision if lifted.approved == Some(false) => Step::Refused(notice?),
        Kind::Notice | Kind::Addendum => Step::Published {
            subject: Subject::Notice(notice?),
            // That of whoever asked for it, who is known already.
            owner: Party::Secretariat,
            except: except(),
            only: None,
        },
        Kind::Diffusion => Step::Published {
            subject: Subject::Diffusion(header.id.clone()),
            owner: sender,
            except: except(),
            only: Some(accepted.places.iter().map(|place| place.party).collect()),
        },
        Kind::Cancellation => Step::Ended(Subject::Notice(notice?)),
        Kind::Withdrawal => Step::Ended(Subject::Diffusion(header.refers_to.clone()?)),
        Kind::Restriction => Step::Barred { owner: sender, except: lifted.except },
        _ => return None,
    })
}

/// The form that an entry carries; none when it was erased, or when an addition leaves the form as it was.
///
/// # Errors
/// When something else has written it, or when it is damaged.
pub(crate) fn published(
    record: &LogRecord,
    header: &Header,
    lifted: &Lifted,
    accepted: &Accepted,
) -> Result<Option<Published>, Refusal> {
    use pb::body::Form;
    let origin = match (header.kind, accepted.notice_id) {
        (Kind::Notice | Kind::Addendum, Some(id)) => Origin::Notice(id, lifted.edition),
        (Kind::Diffusion, _) => Origin::Diffusion(header.id.clone()),
        _ => return Ok(None),
    };
    let bytes = match &record.body {
        Body::Present(bytes) => bytes,
        Body::Erased | Body::None => return Ok(None),
        Body::Damaged => return Err(Refusal::of(Reason::Malformed, "body")),
    };
    let form = match i247_trust::open_carried(bytes, header)?.form {
        Some(Form::Notice(notice)) => notice.form,
        Some(Form::Addendum(addendum)) => addendum.form,
        Some(Form::Diffusion(diffusion)) => diffusion.form,
        _ => None,
    };
    Ok(form.map(|form| Published { form, origin }))
}

impl Circular {
    /// One that nothing is known of yet.
    pub(crate) fn of(owner: Party) -> Self {
        Self { owner, except: BTreeSet::new(), only: None, published: false, records: Vec::new() }
    }

    /// Whether an asker may see what follows from it. Its owner always may, and the secretariat.
    pub(crate) fn is_shown_to(&self, asker: Party) -> bool {
        let Some(country) = asker.country().filter(|_| asker != self.owner) else { return true };
        !self.except.contains(&country) && self.only.as_ref().is_none_or(|only| only.contains(&asker))
    }
}
