//! The addressee's own checks of what the hub delivers: the hub need not be believed about contents.
//!
//! Pure. Who signed is `trust`'s business; here it is asked whether such a signer may say such a thing to this
//! country. It must not decide what follows from a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{
    Audience, CountryCode, Hash, Header, Identity, Kind, MessageId, Party, Reason, Refusal, Sender,
    Timestamp, member,
};
use i247_trust::{Attested, CertificateError, Root, Signer};
use i247_wire::pb;
use i247_wire::pb::body::Form;

/// How many signers one stream may introduce: all members with posts, and reviewers.
const MAX_SIGNERS: usize = 65_536;

/// How many times a key may have come back after a while without certificate.
const MAX_PERIODS: usize = 16;

/// The signers that a stream has introduced, each verified up to the authority.
pub(crate) struct Signers {
    root: Arc<Root>,
    /// By key, the oldest first; more than one where a key had no certificate for a while.
    known: BTreeMap<Hash, Vec<Arc<Signer>>>,
}

impl Signers {
    pub(crate) fn new(root: Arc<Root>) -> Self {
        Self { root, known: BTreeMap::new() }
    }

    /// Takes an introduction; a certificate that has ended still counts for what was signed before.
    pub(crate) fn introduce(&mut self, chain: &[Bytes], now: Timestamp) -> Result<(), CertificateError> {
        let signer = i247_trust::introduce_past(chain, &self.root, now)?;
        if self.known.len() >= MAX_SIGNERS {
            self.known.pop_first();
        }
        let known = self.known.entry(signer.key_id).or_default();
        if let Some((joined, known)) =
            known.iter_mut().find_map(|known| Some((known.joined(&signer)?, known)))
        {
            *known = Arc::new(joined);
        } else if known.len() < MAX_PERIODS {
            known.push(Arc::new(signer));
        }
        Ok(())
    }

    /// Whoever has this key, as introduced last.
    pub(crate) fn find(&self, key_id: &Hash) -> Option<Arc<Signer>> {
        self.known.get(key_id)?.last().cloned()
    }

    /// Whoever had this key at that time; as introduced last, where nobody had.
    fn find_at(&self, key_id: &Hash, at: Timestamp) -> Option<Arc<Signer>> {
        let known = self.known.get(key_id)?;
        known.iter().find(|signer| signer.in_force(at)).or(known.last()).cloned()
    }
}

/// What this country knows already and holds a message against.
pub(crate) struct Known<'a> {
    /// The header hash of a message of this country.
    pub(crate) asked: &'a dyn Fn(&MessageId) -> Option<Hash>,
    /// Who asked for the notice of this number, when it is in force here.
    pub(crate) requester: &'a dyn Fn(&str) -> Option<CountryCode>,
}

/// Opens a delivered envelope: signature, sender, audience, and what its kind asks for. Returns the body too, unless
/// it was erased.
pub(crate) fn open(
    me: CountryCode,
    envelope: &pb::Envelope,
    accepted_at: Timestamp,
    signers: &Signers,
    known: &Known<'_>,
) -> Result<(Attested, Option<pb::Body>), Refusal> {
    let attested = attest(envelope, accepted_at, signers)?;
    let header = attested.header();
    if header.id.sender.party() == Party::Bureau(me) || !may_include(&header.audience, me) {
        return Err(Refusal::of(Reason::BadAudience, "header.audience"));
    }
    check_signer(header, &attested.signer().identity)?;
    check_withdrawal(header)?;
    let body = match attested.body() {
        Some(bytes) => Some(i247_trust::open_carried(bytes, header)?),
        None => None,
    };
    if let Some(body) = &body {
        check_body(me, header, body, known)?;
    }
    Ok((attested, body))
}

/// Opens what the hub says this country had sent. Returns the body too; a batch of records has none that views know.
///
/// # Errors
/// Also when the body was erased: without it nothing can be sent once more.
pub(crate) fn open_own(
    me: &Sender,
    envelope: &pb::Envelope,
    accepted_at: Timestamp,
    signers: &Signers,
) -> Result<(Attested, Option<pb::Body>), Refusal> {
    let attested = attest(envelope, accepted_at, signers)?;
    let header = attested.header();
    if header.id.sender != *me {
        return Err(Refusal::of(Reason::WrongSender, "header.id"));
    }
    let bytes = attested.body().ok_or_else(|| Refusal::of(Reason::MissingData, "body"))?;
    let body = match header.kind {
        Kind::Records => None,
        _ => Some(i247_trust::open_carried(bytes, header)?),
    };
    Ok((attested, body))
}

/// Whose signature an envelope bears, by who had the key when it was signed.
fn attest(envelope: &pb::Envelope, accepted_at: Timestamp, signers: &Signers) -> Result<Attested, Refusal> {
    let signed_at = i247_wire::decode_header(&envelope.header)?.signed_at;
    i247_trust::open(envelope, accepted_at, |key_id| signers.find_at(key_id, signed_at))
}

/// Whether an audience can lead to this country. Who exactly is in it only the hub knows.
fn may_include(audience: &Audience, me: CountryCode) -> bool {
    if audience.except.contains(&me) {
        return false;
    }
    let region = member(me).map(|member| member.region);
    audience.all
        || audience.as_referred
        || audience.countries.contains(&me)
        || audience.copies.contains(&Party::Bureau(me))
        || region.is_some_and(|region| audience.regions.contains(&region))
}

/// Who may send which kind to a bureau. That only hubs make reminders, escalations and hits, `trust` has checked.
fn check_signer(header: &Header, signer: &Identity) -> Result<(), Refusal> {
    let bureau = matches!(signer, Identity::Bureau(_) | Identity::Post(..));
    let reviewer = matches!(signer, Identity::Reviewer(_));
    let may = match header.kind {
        Kind::ReviewDecision | Kind::Notice | Kind::Addendum => reviewer,
        Kind::Cancellation | Kind::FreeText | Kind::HitDecision => reviewer || bureau,
        Kind::Diffusion
        | Kind::Withdrawal
        | Kind::Request
        | Kind::Reply
        | Kind::PersonLocated
        | Kind::ArrestReport
        | Kind::NationalDecision
        | Kind::HitAction => bureau,
        Kind::Reminder | Kind::Escalation | Kind::Hit => matches!(signer, Identity::Hub(_)),
        // These go to the secretariat alone.
        Kind::NoticeRequest
        | Kind::Restriction
        | Kind::Void
        | Kind::NewEpoch
        | Kind::Records
        | Kind::Grant => false,
    };
    if may { Ok(()) } else { Err(Refusal::of(Reason::KindNotAllowed, "header.kind")) }
}

/// Only its sender takes a message back.
fn check_withdrawal(header: &Header) -> Result<(), Refusal> {
    let theirs = header.refers_to.as_ref().map(|id| id.sender.party());
    if header.kind == Kind::Withdrawal && theirs != Some(header.id.sender.party()) {
        return Err(Refusal::of(Reason::NotOwner, "header.refers_to"));
    }
    Ok(())
}

/// What a body must hold for this country to act upon it.
fn check_body(me: CountryCode, header: &Header, body: &pb::Body, known: &Known<'_>) -> Result<(), Refusal> {
    // The form of its kind, and nothing that would reach an officer's terminal or swell a list.
    i247_wire::check_body(header.kind, body)?;
    let missing = |field: &str| Err(Refusal::of(Reason::MissingData, field));
    match (header.kind, &body.form) {
        (Kind::Notice, Some(Form::Notice(notice))) => {
            if Hash::from_slice(&notice.request_header_hash).is_none() {
                return missing("body.notice.request_header_hash");
            }
            if notice.except.iter().any(|code| *code == me.to_string()) {
                return Err(Refusal::of(Reason::BadAudience, "body.notice.except"));
            }
        }
        (Kind::ReviewDecision, Some(Form::ReviewDecision(decision))) => {
            // The reviewer has examined the very request that this country signed.
            let own = header.refers_to.as_ref().and_then(known.asked);
            if own.is_none() || own != Hash::from_slice(&decision.request_header_hash) {
                return Err(Refusal::of(Reason::WrongReference, "body.review_decision.request_header_hash"));
            }
        }
        (Kind::Cancellation, Some(Form::Cancellation(cancellation))) => {
            // A reviewer cancels any notice, a country its own.
            let owner = (known.requester)(&cancellation.notice_id);
            if let (Party::Bureau(sender), Some(owner)) = (header.id.sender.party(), owner)
                && sender != owner
            {
                return Err(Refusal::of(Reason::NotOwner, "body.cancellation.notice_id"));
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> CountryCode {
        code.parse().unwrap()
    }

    #[test]
    fn a_renewed_key_counts_for_what_it_signed_before() {
        use std::time::Duration;

        use i247_trust::{Authority, Request, TlsKey, Validity};
        const DAY: u64 = 86_400_000;
        let between = |from: u64, to: u64| Validity {
            not_before: Timestamp::from_millis(from * DAY),
            not_after: Timestamp::from_millis(to * DAY),
        };
        let authority = Authority::new(between(1000, 9000), TlsKey::P256).unwrap();
        let brazil: Identity = "spiffe://i247.test/ncb/br".parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let request = Request::create(dir.path(), &brazil, TlsKey::P256).unwrap();
        let issue = |from, to| authority.issue(&request, &brazil, &["br"], between(from, to)).unwrap();
        let (first, renewed, later) = (issue(2000, 2365), issue(2350, 2715), issue(3000, 3365));
        let mut signers = Signers::new(Arc::new(authority.credentials().root.clone()));
        let now = Timestamp::from_millis(3100 * DAY);
        for issued in [&first, &renewed, &later] {
            signers.introduce(&issued.signing_chain, now).unwrap();
        }
        let key = signers.known.keys().next().copied().unwrap();
        let counts = |day: u64| {
            let at = Timestamp::from_millis(day * DAY).plus(Duration::from_secs(60));
            signers.find_at(&key, at).unwrap().in_force(at)
        };
        assert!(counts(2001) && counts(2400) && counts(3001));
        assert!(!counts(1999) && !counts(2800) && !counts(3400));
    }

    #[test]
    fn an_audience_that_cannot_include_this_country_is_seen() {
        let (fr, br) = (country("FR"), country("BR"));
        assert!(may_include(&Audience::countries([fr]), fr));
        assert!(!may_include(&Audience::countries([br]), fr));
        assert!(may_include(&Audience::all(), fr));
        assert!(!may_include(&Audience::all().except([fr]), fr));
        assert!(may_include(&Audience::as_referred(), fr));
        assert!(may_include(&Audience::countries([br]).copies([Party::Bureau(fr)]), fr));
        assert!(!may_include(&Audience::secretariat(), fr));
    }

    #[test]
    fn a_region_includes_its_own_members_only() {
        let audience = Audience { regions: [i247_model::Region::Europe].into(), ..Audience::default() };
        assert!(may_include(&audience, country("FR")));
        assert!(!may_include(&audience, country("BR")));
    }
}
