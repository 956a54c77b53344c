//! What a reviewer signs: decisions, notices, addenda and cancellations, chained and signed with her key.
//!
//! Pure. It must not ask the network or the clock; numbers, time and salts are handed in.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_model::{
    Audience, CountryCode, Hash, Header, Kind, Lane, MessageId, Name, Refusal, Sender, Timestamp,
};
use i247_trust::{SigningKey, carry, header_hash, sign_headers};
use i247_wire::{encode_header, pb};

use crate::review::Examined;

/// Most envelopes in one call: what one signature may serve.
const MAX_ENVELOPES: usize = i247_trust::MAX_BURST;

/// Most bytes in one call, below what the hub takes in one message.
const MAX_CALL_BYTES: usize = 48 * 1024;

/// A message of a reviewer before it is numbered.
#[derive(Clone, Debug)]
pub(crate) struct Unnumbered {
    pub(crate) kind: Kind,
    pub(crate) lane: Lane,
    pub(crate) audience: Audience,
    pub(crate) refers_to: MessageId,
    pub(crate) operation: Option<String>,
    pub(crate) attachments: Vec<Hash>,
    pub(crate) body: pb::Body,
}

/// Where the reviewer's numbers stand, as the hub last said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    pub(crate) epoch: u64,
    /// The last number of each lane and the hash of its header.
    pub(crate) lanes: BTreeMap<Lane, (u64, Option<Hash>)>,
}

/// Time and salts for what is signed.
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) salt: &'a dyn Fn() -> [u8; 16],
}

/// The decision on a request and, when it is approved, the publication that follows from it.
pub(crate) fn approval(examined: &Examined) -> [Unnumbered; 2] {
    let decision = decision(examined, pb::ReviewVerdict::Approved, pb::RefusalGround::Unspecified, "");
    let hash = Bytes::copy_from_slice(examined.header_hash.as_bytes());
    let base = pb::Body {
        subject: examined.body.subject.clone(),
        language: "EN".into(),
        handling: examined.body.handling.clone(),
        attachments: examined.body.attachments.clone(),
        ..Default::default()
    };
    let publication = match &examined.addendum_to {
        None => Unnumbered {
            kind: Kind::Notice,
            audience: Audience::all()
                .except(std::iter::once(examined.requester).chain(examined.except.iter().copied())),
            refers_to: examined.header.id.clone(),
            body: pb::Body {
                form: Some(pb::body::Form::Notice(pb::Notice {
                    notice_id: examined.notice_id.clone(),
                    edition: 1,
                    requester: examined.requester.to_string(),
                    form: Some(examined.form.clone()),
                    request_header_hash: hash,
                    except: examined.except.iter().map(CountryCode::to_string).collect(),
                })),
                ..base
            },
            ..published(examined)
        },
        Some(notice) => Unnumbered {
            kind: Kind::Addendum,
            audience: Audience::as_referred(),
            refers_to: notice.clone(),
            body: pb::Body {
                form: Some(pb::body::Form::Addendum(pb::Addendum {
                    notice_id: examined.notice_id.clone(),
                    edition: examined.edition.max(2),
                    text: examined.body.subject.clone(),
                    form: Some(examined.form.clone()),
                    request_header_hash: hash,
                })),
                ..base
            },
            ..published(examined)
        },
    };
    [decision, publication]
}

/// What decision, notice and addendum have in common.
fn published(examined: &Examined) -> Unnumbered {
    Unnumbered {
        kind: Kind::Notice,
        lane: examined.header.id.lane,
        audience: Audience::default(),
        refers_to: examined.header.id.clone(),
        operation: examined.header.operation.clone(),
        attachments: examined.header.attachments.clone(),
        body: pb::Body::default(),
    }
}

/// The decision alone, to the country that asked.
pub(crate) fn decision(
    examined: &Examined,
    verdict: pb::ReviewVerdict,
    ground: pb::RefusalGround,
    remark: &str,
) -> Unnumbered {
    Unnumbered {
        kind: Kind::ReviewDecision,
        audience: Audience::countries([examined.requester]),
        attachments: Vec::new(),
        body: pb::Body {
            subject: format!("Decision on {}", examined.header.id),
            your_ref: examined.body.our_ref.clone(),
            language: "EN".into(),
            form: Some(pb::body::Form::ReviewDecision(pb::ReviewDecision {
                verdict: verdict.into(),
                ground: ground.into(),
                remark: remark.to_owned(),
                notice_id: match verdict {
                    pb::ReviewVerdict::Approved => examined.notice_id.clone(),
                    pb::ReviewVerdict::Refused | pb::ReviewVerdict::Unspecified => String::new(),
                },
                request_header_hash: Bytes::copy_from_slice(examined.header_hash.as_bytes()),
                item: None,
            })),
            ..Default::default()
        },
        ..published(examined)
    }
}

/// The end of a published notice.
pub(crate) fn cancellation(notice: MessageId, notice_id: &str, reason: &str) -> Unnumbered {
    Unnumbered {
        kind: Kind::Cancellation,
        lane: notice.lane,
        audience: Audience::as_referred(),
        refers_to: notice,
        operation: None,
        attachments: Vec::new(),
        body: pb::Body {
            subject: format!("Cancellation of notice {notice_id}"),
            language: "EN".into(),
            form: Some(pb::body::Form::Cancellation(pb::Cancellation {
                notice_id: notice_id.to_owned(),
                reason: reason.to_owned(),
            })),
            ..Default::default()
        },
    }
}

/// Numbers, chains and signs, in the order given: groups of envelopes that each fit one call. The numbers
/// move on; an error leaves them as they were.
///
/// # Errors
/// The refusal that the hub would give to a header of this form.
pub(crate) fn sign(
    messages: Vec<Unnumbered>,
    reviewer: &Name,
    key: &SigningKey,
    numbers: &mut Numbers,
    moment: &Moment<'_>,
) -> Result<Vec<Vec<(MessageId, pb::Envelope)>>, Refusal> {
    let mut ahead = numbers.clone();
    let mut groups: Vec<Vec<(MessageId, Bytes, Bytes)>> = vec![Vec::new()];
    let mut bytes = 0;
    for message in messages {
        let carried = carry(&message.body, (moment.salt)());
        let (last, previous) = ahead.lanes.get(&message.lane).copied().unwrap_or_default();
        let header = Header {
            previous,
            conversation: Some(message.refers_to.clone()),
            refers_to: Some(message.refers_to),
            operation: message.operation,
            attachments: message.attachments,
            ..Header::bare(
                MessageId {
                    sender: Sender::Reviewer(reviewer.clone()),
                    epoch: ahead.epoch,
                    lane: message.lane,
                    number: last + 1,
                },
                message.kind,
                message.audience,
                key.key_id(),
                moment.now,
                (carried.body_hash, carried.commitment),
            )
        };
        i247_wire::check_header(&header)?;
        let encoded = encode_header(&header);
        ahead.lanes.insert(message.lane, (last + 1, Some(header_hash(&encoded))));
        let size = encoded.len() + carried.bytes.len();
        let full = groups.last().is_none_or(|group| {
            !group.is_empty() && (group.len() == MAX_ENVELOPES || bytes + size > MAX_CALL_BYTES)
        });
        if full {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(group) = groups.last_mut() {
            group.push((header.id, encoded, carried.bytes));
        }
    }
    *numbers = ahead;
    groups.retain(|group| !group.is_empty());
    Ok(groups.into_iter().map(|group| sealed(group, key)).collect())
}

/// One signature for a group.
fn sealed(group: Vec<(MessageId, Bytes, Bytes)>, key: &SigningKey) -> Vec<(MessageId, pb::Envelope)> {
    let headers: Vec<Bytes> = group.iter().map(|(_, header, _)| header.clone()).collect();
    let signatures = sign_headers(key, &headers);
    group
        .into_iter()
        .zip(signatures)
        .map(|((id, header, body), signature)| {
            (id, pb::Envelope { header, body, signature: Some(signature) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use i247_model::Identity;
    use i247_trust::{Signer, open, open_carried};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_280_000_000_000);

    fn examined(request: &str, except: &[&str], addendum_to: Option<&str>) -> Examined {
        Examined {
            approved: false,
            header: Header {
                operation: Some("infra-red-2010".to_owned()),
                attachments: vec![Hash([4; 32])],
                ..Header::bare(
                    request.parse().unwrap(),
                    Kind::NoticeRequest,
                    Audience::secretariat(),
                    Hash([1; 32]),
                    NOW,
                    (Hash([2; 32]), Hash([3; 32])),
                )
            },
            header_hash: Hash([5; 32]),
            requester: "FR".parse().unwrap(),
            notice_id: "2010/7".to_owned(),
            edition: if addendum_to.is_some() { 3 } else { 1 },
            addendum_to: addendum_to.map(|id| id.parse().unwrap()),
            except: except.iter().map(|code| code.parse().unwrap()).collect(),
            form: pb::NoticeForm::default(),
            body: pb::Body { our_ref: "FR-IR-0007".into(), ..Default::default() },
        }
    }

    fn fresh() -> Numbers {
        Numbers { epoch: 1, lanes: BTreeMap::new() }
    }

    fn signed(
        messages: Vec<Unnumbered>,
        numbers: &mut Numbers,
    ) -> (SigningKey, Vec<Vec<(MessageId, pb::Envelope)>>) {
        let key = SigningKey::generate().unwrap();
        let count = Cell::new(0_u8);
        let salt = || {
            count.set(count.get().wrapping_add(1));
            [count.get(); 16]
        };
        let moment = Moment { now: NOW, salt: &salt };
        let groups = sign(messages, &"lena".parse().unwrap(), &key, numbers, &moment).unwrap();
        (key, groups)
    }

    #[test]
    fn an_approval_is_a_decision_to_the_country_and_a_notice_to_all_others() {
        let messages = approval(&examined("FR-1-U-9", &["US"], None));
        let (key, groups) = signed(messages.into(), &mut fresh());
        let signer = Arc::new(Signer {
            identity: Identity::Reviewer("lena".parse().unwrap()),
            key: *key.verifying_key(),
            key_id: key.key_id(),
            not_before: NOW,
            not_after: NOW,
        });
        let opened: Vec<(Header, pb::Body)> = groups[0]
            .iter()
            .map(|(_, envelope)| {
                let attested = open(envelope, NOW, |_| Some(signer.clone())).unwrap();
                let body = open_carried(attested.body().unwrap(), attested.header()).unwrap();
                (attested.header().clone(), body)
            })
            .collect();
        let [(decision, decided), (notice, published)] = opened.as_slice() else { panic!("two messages") };
        assert_eq!(decision.id.to_string(), "GS.lena-1-U-1");
        assert_eq!(decision.audience, Audience::countries(["FR".parse().unwrap()]));
        assert_eq!(decided.your_ref, "FR-IR-0007");
        assert_eq!(notice.id.to_string(), "GS.lena-1-U-2");
        assert_eq!(notice.previous, Some(header_hash(&groups[0][0].1.header)));
        assert_eq!(notice.audience, Audience::all().except(["FR", "US"].map(|code| code.parse().unwrap())));
        assert_eq!(notice.attachments, [Hash([4; 32])]);
        for header in [decision, notice] {
            assert_eq!(header.refers_to.as_ref().unwrap().to_string(), "FR-1-U-9");
            assert_eq!(header.operation.as_deref(), Some("infra-red-2010"));
        }
        let Some(pb::body::Form::Notice(notice)) = &published.form else { panic!("a notice") };
        assert_eq!((notice.notice_id.as_str(), notice.requester.as_str()), ("2010/7", "FR"));
        assert_eq!(notice.request_header_hash.as_ref(), [5; 32]);
    }

    #[test]
    fn an_approved_addendum_goes_to_whoever_had_the_notice() {
        let [_, addendum] = approval(&examined("FR-1-U-9", &[], Some("GS.lena-1-U-2")));
        assert_eq!(addendum.kind, Kind::Addendum);
        assert_eq!(addendum.audience, Audience::as_referred());
        assert_eq!(addendum.refers_to.to_string(), "GS.lena-1-U-2");
        let Some(pb::body::Form::Addendum(form)) = addendum.body.form else { panic!("an addendum") };
        assert_eq!((form.edition, form.notice_id.as_str()), (3, "2010/7"));
    }

    #[test]
    fn a_refusal_names_no_notice() {
        let examined = examined("FR-1-U-9", &[], None);
        let refused =
            decision(&examined, pb::ReviewVerdict::Refused, pb::RefusalGround::Article3, "political");
        let Some(pb::body::Form::ReviewDecision(decision)) = refused.body.form else { panic!("a decision") };
        assert_eq!(decision.notice_id, "");
        assert_eq!(decision.ground(), pb::RefusalGround::Article3);
    }

    #[test]
    fn numbers_go_on_lane_by_lane_and_groups_hold_at_most_64() {
        let mut numbers = fresh();
        numbers.lanes.insert(Lane::Urgent, (41, Some(Hash([9; 32]))));
        let messages: Vec<Unnumbered> =
            (1..=40).flat_map(|number| approval(&examined(&format!("FR-1-U-{number}"), &[], None))).collect();
        let (_, groups) = signed(messages, &mut numbers);
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 80);
        assert!(groups.iter().all(|group| group.len() <= 64));
        let ids: Vec<String> = groups.iter().flatten().map(|(id, _)| id.to_string()).collect();
        assert_eq!((ids[0].as_str(), ids[79].as_str()), ("GS.lena-1-U-42", "GS.lena-1-U-121"));
        assert_eq!(numbers.lanes[&Lane::Urgent].0, 121);
    }

    #[test]
    fn a_call_stays_below_its_limit_in_bytes() {
        let long = |number: u32| {
            let mut message =
                cancellation(format!("GS.max-1-N-{number}").parse().unwrap(), "2010/7", "served");
            message.body.subject = "x".repeat(20 * 1024);
            message
        };
        let (_, groups) = signed((1..=5).map(long).collect(), &mut fresh());
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
