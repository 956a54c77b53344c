//! What bureaus bring back after a recovery: messages that a predecessor of the log had accepted, from their senders with
//! the acceptance, and from others who received them. It checks what is shown and says how it is stored; it decides
//! nothing.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Class, Identity, Lane, Party, Reason, Refusal, Timestamp};
use i247_router::{Earlier, Origin, Previous, State};
use i247_trust::{Attested, verify};
use i247_wire::{parsed, parsed_option, payload, pb};
use prost::Message as _;

use crate::views::Views;

/// Most fields of a refusal that a sender shows, and most bytes of each.
const REFUSAL_FIELDS: usize = 512;
const FIELD_BYTES: usize = 256;

/// When those whose key is not known again yet should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// How a message comes, as the one who brings it says.
#[derive(Debug)]
pub(crate) enum Given {
    /// From its sender.
    Sent,
    /// From its sender, with the acceptance of a predecessor.
    Again(pb::Signed),
    /// From its sender, with what a predecessor refused it for.
    Refused(pb::Refusal),
    /// From a bureau that received it from a predecessor.
    HandedOver,
}

/// The same once it is checked.
#[derive(Debug)]
pub(crate) enum Way {
    Sent,
    Again(Box<Shown>),
    Refused(Refusal),
    HandedOver(Party),
}

/// An acceptance that a predecessor of the log had given.
#[derive(Debug)]
pub(crate) struct Shown {
    signed: pb::Signed,
    earlier: Earlier,
}

impl Way {
    /// As the router takes it.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Sent => Origin::Sender,
            Self::Again(shown) => Origin::Again(shown.earlier.clone()),
            Self::Refused(refusal) => Origin::Refused(refusal.clone()),
            Self::HandedOver(_) => Origin::HandedOver,
        }
    }

    pub(crate) fn is_handed_over(&self) -> bool {
        matches!(self, Self::HandedOver(_))
    }

    /// Keeps it in what the log keeps of the message.
    pub(crate) fn store(self, submission: &mut pb::Submission) {
        match self {
            Self::Sent => {}
            Self::Again(shown) => submission.earlier = Some(shown.signed),
            Self::Refused(refusal) => submission.refused_earlier = Some((&refusal).into()),
            Self::HandedOver(party) => submission.handed_over_by = party.to_string(),
        }
    }
}

/// The stored form again.
///
/// # Errors
/// `MALFORMED`: something else has written it.
pub(crate) fn origin(submission: &pb::Submission) -> Result<Origin, Refusal> {
    if let Some(signed) = &submission.earlier {
        return Ok(Origin::Again(said(&decode(signed.payload.clone())?)?));
    }
    if let Some(refusal) = &submission.refused_earlier {
        return Ok(Origin::Refused(Refusal::try_from(refusal.clone())?));
    }
    let handed_over: Option<Party> = parsed_option(&submission.handed_over_by, "handed_over_by")?;
    Ok(handed_over.map_or(Origin::Sender, |_| Origin::HandedOver))
}

/// What a genesis goes on from.
pub(crate) fn previous(log_id: &[u8], end: u64) -> Option<Previous> {
    (!log_id.is_empty()).then(|| Previous { log_id: log_id.to_vec(), end })
}

/// Checks how a message comes against the views.
///
/// # Errors
/// Not attributable, with the field of the acceptance that does not fit. An acceptance whose signer nobody knows any
/// more proves nothing: then the message is one like any other.
pub(crate) fn way(
    views: &RwLock<Views>,
    given: Given,
    attested: &Attested,
    peer: &Identity,
) -> Result<Way, Refusal> {
    match given {
        Given::Sent => Ok(Way::Sent),
        Given::HandedOver => Ok(Way::HandedOver(crate::core::mailbox_of(peer)?)),
        Given::Refused(refusal) => Ok(Way::Refused(refused(refusal)?)),
        Given::Again(signed) => {
            let key = i247_wire::hash(&signed.key_id, "acceptance.key_id")?;
            let known = read(views).signers.find(&key).map(|known| known.signer.clone());
            let Some(signer) = known else {
                tracing::warn!(id = %attested.header().id, %key, "an earlier acceptance by a key that is not known");
                return Ok(Way::Sent);
            };
            if !matches!(signer.identity, Identity::Hub(_)) {
                return Err(Refusal::of(Reason::WrongSender, "acceptance.key_id"));
            }
            let payload = verify(&signed, payload::ACCEPTANCE, &signer.key)
                .map_err(|refusal| Refusal::of(refusal.reason, "acceptance.signature"))?;
            let acceptance = decode(payload)?;
            check(&read(views).state, &acceptance, attested)?;
            let earlier = said(&acceptance)?;
            Ok(Way::Again(Box::new(Shown { signed, earlier })))
        }
    }
}

/// What a predecessor is said to have refused a message for. Its text is not kept: the reason has one.
fn refused(refusal: pb::Refusal) -> Result<Refusal, Refusal> {
    let wrong = |field: &str| Refusal::of(Reason::Malformed, format!("refusal.{field}"));
    let Refusal { reason, fields, .. } = Refusal::try_from(refusal)?;
    if reason.class() != Class::No {
        return Err(wrong("reason"));
    }
    if fields.len() > REFUSAL_FIELDS || fields.iter().any(|field| field.len() > FIELD_BYTES) {
        return Err(wrong("fields"));
    }
    Ok(Refusal::of_fields(reason, fields))
}

/// Whether a predecessor said this of this very message, where this log does not have it any more.
fn check(state: &State, acceptance: &pb::Acceptance, attested: &Attested) -> Result<(), Refusal> {
    let wrong = |field: &str| Refusal::of(Reason::Malformed, format!("acceptance.{field}"));
    if acceptance.id != attested.header().id.to_string() {
        return Err(wrong("id"));
    }
    if acceptance.header_hash[..] != attested.header_hash().as_bytes()[..] {
        return Err(wrong("header_hash"));
    }
    let predecessor = state.predecessor(&acceptance.log_id).ok_or_else(|| wrong("log_id"))?;
    if acceptance.position <= predecessor.end {
        return Err(wrong("position"));
    }
    Ok(())
}

fn decode(payload: Bytes) -> Result<pb::Acceptance, Refusal> {
    pb::Acceptance::decode(payload).map_err(|_| Refusal::of(Reason::Malformed, "acceptance"))
}

fn said(acceptance: &pb::Acceptance) -> Result<Earlier, Refusal> {
    let notice_id = match acceptance.notice_id.as_str() {
        "" => None,
        number => Some(parsed(number, "acceptance.notice_id")?),
    };
    let accepted_at = Timestamp::from_millis(acceptance.accepted_at_ms);
    Ok(Earlier { accepted_at, recipients: acceptance.recipients, notice_id })
}

/// For a while after a recovery a key, a certificate or a message that is not known, or a message not known to have been
/// delivered, may be what was lost, and is asked for again later. Whoever may not have it is told the same.
pub(crate) fn perhaps_lost(views: &RwLock<Views>, refusal: Refusal, now: Timestamp) -> Refusal {
    let (later, next_step) = match refusal.reason {
        Reason::UnknownKey | Reason::CertificateNotInForce => (
            Reason::Busy,
            "the hub was restored from an older copy and does not know this key again yet: \
             send the same bytes again once the authority has sent its changes again",
        ),
        Reason::UnknownReference => (
            Reason::ReferenceAhead,
            "the hub was restored from an older copy and may not have got this message back yet: \
             ask again until it has, or for an hour",
        ),
        _ => return refusal,
    };
    if !read(views).state.is_recovering(now) {
        return refusal;
    }
    let later = Refusal::of_fields(later, refusal.fields).retry_after(COME_AGAIN);
    Refusal { next_step: next_step.into(), ..later }
}

/// What is said of a message that is handed over and cannot be entered, when the time for it is over: nobody need come
/// with it again.
pub(crate) fn too_late(refusal: Refusal) -> Refusal {
    let next_step = "nothing is left to do: only its sender can still send it";
    Refusal {
        next_step: next_step.into(),
        ..Refusal::of_fields(Reason::Expired, [vec!["handed_over".into()], refusal.fields].concat())
    }
}

/// The predecessors, as a mailbox is told of them.
pub(crate) fn told(state: &State, party: Party) -> Vec<pb::Predecessor> {
    let told = state.predecessors().iter().map(|predecessor| pb::Predecessor {
        log_id: Bytes::copy_from_slice(&predecessor.log_id),
        end: predecessor.end,
        mailbox: Lane::ALL
            .into_iter()
            .map(|lane| pb::GivenUpTo {
                lane: pb::Lane::from(lane).into(),
                number: predecessor.given_up_to(party, lane),
            })
            .collect(),
    });
    told.collect()
}

/// Of the numbers that a bureau received, by lane, those that this log has given: of another log only what they share.
pub(crate) fn held(state: &State, log_id: &[u8], party: Party, received: [u64; 4]) -> [u64; 4] {
    let Some(predecessor) = state.predecessor(log_id) else { return received };
    Lane::ALL.map(|lane| received[lane.index()].min(predecessor.given_up_to(party, lane)))
}

fn read(views: &RwLock<Views>) -> std::sync::RwLockReadGuard<'_, Views> {
    views.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use i247_router::{Decision, Input, RECOVERY_WINDOW, Stamp};
    use i247_trust::{Authority, TlsKey, Validity};

    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn who_or_what_is_not_known_again_yet_comes_later_and_after_an_hour_is_told_what_it_is() {
        let at = Timestamp::from_millis(2000 * DAY);
        let validity = Validity {
            not_before: Timestamp::from_millis(1000 * DAY),
            not_after: Timestamp::from_millis(9000 * DAY),
        };
        let authority = Authority::new(validity, TlsKey::P256).unwrap();
        let mut views = Views::new(authority.credentials().root.clone());
        let said =
            |views: &RwLock<Views>, reason, at| perhaps_lost(views, Refusal::of(reason, "key_id"), at).reason;
        let asked =
            |views: &RwLock<Views>, reason, at| perhaps_lost(views, Refusal::of(reason, "message_id"), at);
        let genesis = |log_id: u8, before: &[u8]| Input::Genesis {
            log_id: vec![log_id],
            previous: previous(before, 1),
        };
        views.state.apply(Stamp { position: 1, at }, &genesis(1, &[]), &Decision::Noted);
        let never_lost = RwLock::new(views);
        assert_eq!(said(&never_lost, Reason::UnknownKey, at), Reason::UnknownKey);
        assert_eq!(asked(&never_lost, Reason::UnknownReference, at).reason, Reason::UnknownReference);
        let mut views = never_lost.into_inner().unwrap();
        views.state.apply(Stamp { position: 2, at }, &genesis(2, &[1]), &Decision::Noted);
        let views = RwLock::new(views);
        let (last, late) = (at.plus(RECOVERY_WINDOW), at.plus(RECOVERY_WINDOW + COME_AGAIN));
        for reason in [Reason::UnknownKey, Reason::CertificateNotInForce] {
            assert_eq!(said(&views, reason, last), Reason::Busy);
            assert_eq!(said(&views, reason, late), reason);
        }
        assert_eq!(said(&views, Reason::BadSignature, at), Reason::BadSignature);

        let later = asked(&views, Reason::UnknownReference, last);
        assert_eq!((later.reason, later.retry_after), (Reason::ReferenceAhead, Some(COME_AGAIN)));
        assert_eq!(later.fields, ["message_id"]);
        assert_eq!(asked(&views, Reason::UnknownReference, late).reason, Reason::UnknownReference);
        assert_eq!(asked(&views, Reason::ReadOnly, last).reason, Reason::ReadOnly);
    }
}
