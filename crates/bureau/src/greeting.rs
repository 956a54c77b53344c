//! Hello and Welcome: whether one of the two sides holds an older copy of its data. Pure.

use bytes::Bytes;
use i247_model::{Hash, Lane, Refusal, Timestamp};
use i247_wire::pb;

use crate::outbox::Outbox;
use crate::views::Views;

/// Why a bureau must neither send nor acknowledge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// The hub lost data.
    HubBehind(String),
    /// This bureau lost data; recovering begins a new epoch.
    BureauBehind(String),
    /// Anything else that repeating would only repeat.
    Other(String),
}

impl Halt {
    /// What it says to people.
    pub(crate) fn text(&self) -> &str {
        let (Self::HubBehind(text) | Self::BureauBehind(text) | Self::Other(text)) = self;
        text
    }
}

/// The hub says of itself that it is an older copy: one text, however it came to say so.
pub(crate) fn hub_behind(refusal: &Refusal) -> Halt {
    let other_log = refusal.fields.iter().any(|field| field.ends_with("log_id"));
    let text = if other_log { OTHER_LOG } else { OLDER_COPY };
    Halt::HubBehind(text.into())
}

/// Of so many epochs before its present one the hub is asked.
const MAX_LOST_EPOCHS: u64 = 32;

const OTHER_LOG: &str =
    "the hub keeps another log than the one that gave this bureau its receipts: ask its operator";
const OLDER_COPY: &str =
    "the hub was restored from an older copy and accepts nothing (BEHIND): ask its operator to recover it";

/// What this bureau says first.
pub(crate) fn hello(views: &Views, now: Timestamp) -> pb::Hello {
    let outbox = &views.outbox;
    let sent = Lane::ALL.map(|lane| {
        let ends = outbox.lane(lane);
        pb::LaneEnd {
            lane: pb::Lane::from(lane).into(),
            number: ends.sealed,
            header_hash: ends.last_hash.map_or_else(Bytes::new, bytes_of),
        }
    });
    let mailbox = Lane::ALL.map(|lane| pb::MailboxEnd {
        lane: pb::Lane::from(lane).into(),
        received_up_to: views.inbox.up_to(lane),
    });
    pb::Hello {
        log_id: Bytes::copy_from_slice(&outbox.log_id),
        log_end_seen: outbox.log_end_seen,
        epoch: outbox.epoch,
        sent: sent.into_iter().filter(|end| end.number > 0).collect(),
        mailbox: mailbox.into_iter().filter(|end| end.received_up_to > 0).collect(),
        program: concat!("i247 ", env!("CARGO_PKG_VERSION")).into(),
        newest_acceptance: outbox.newest_acceptance.clone(),
        sent_at_ms: now.as_millis(),
        lost: outbox.lost().map(|((epoch, lane), known_up_to)| lost_lane(epoch, lane, known_up_to)).collect(),
        deliver_anew: Lane::ALL.iter().any(|lane| views.inbox.lost_up_to(*lane) > views.inbox.up_to(*lane)),
    }
}

/// Of which lanes what this bureau had sent may be missing here, after it found the hub to know more. What the hub had
/// answered in an epoch that is unknown here can have been in any lane.
pub(crate) fn lost(welcome: &pb::Welcome, outbox: &Outbox) -> Vec<pb::LostLane> {
    let first = outbox.epoch.max(welcome.epoch.saturating_sub(MAX_LOST_EPOCHS));
    let more = |lane: Lane| {
        let accepted = welcome.accepted.iter().find(|end| end.lane == pb::Lane::from(lane) as i32);
        welcome.epoch > outbox.epoch || accepted.is_some_and(|end| end.number > outbox.known_up_to(lane))
    };
    (first..=welcome.epoch)
        .flat_map(|epoch| Lane::ALL.map(|lane| (epoch, lane)))
        .filter(|(_, lane)| more(*lane))
        .map(|(epoch, lane)| {
            let known_up_to = if epoch == outbox.epoch { outbox.known_up_to(lane) } else { 0 };
            lost_lane(epoch, lane, known_up_to)
        })
        .collect()
}

fn lost_lane(epoch: u64, lane: Lane, known_up_to: u64) -> pb::LostLane {
    pb::LostLane { epoch, lane: pb::Lane::from(lane).into(), known_up_to }
}

/// Whether both sides remember the same.
pub(crate) fn check_welcome(welcome: &pb::Welcome, views: &Views) -> Result<(), Halt> {
    let outbox = &views.outbox;
    if !outbox.log_id.is_empty() && outbox.log_id != welcome.log_id {
        return Err(Halt::HubBehind(OTHER_LOG.into()));
    }
    if welcome.log_end < outbox.log_end_seen {
        return Err(Halt::HubBehind(format!(
            "the hub's log ends at {} but it gave receipts up to {}: it was restored from an older copy; ask its \
             operator to recover it",
            welcome.log_end, outbox.log_end_seen
        )));
    }
    let recover = recover(views);
    if welcome.epoch > outbox.epoch {
        return Err(Halt::BureauBehind(format!("the hub knows epoch {}; {recover}", welcome.epoch)));
    }
    if welcome.epoch == outbox.epoch {
        for end in &welcome.accepted {
            let Ok(lane) = crate::views::lane(end.lane) else { continue };
            let own = outbox.lane(lane);
            if end.number > own.sealed {
                return Err(Halt::BureauBehind(format!(
                    "the hub has number {} of the {lane} lane, the last one known here is {}; {recover}",
                    end.number, own.sealed
                )));
            }
            let same = own.last_hash == Hash::from_slice(&end.header_hash);
            if end.number == own.sealed && end.number > 0 && !end.header_hash.is_empty() && !same {
                return Err(Halt::BureauBehind(format!(
                    "the hub has another message under number {} of the {lane} lane; {recover}",
                    end.number
                )));
            }
        }
    }
    for end in &welcome.mailbox {
        let Ok(lane) = crate::views::lane(end.lane) else { continue };
        let own = views.inbox.up_to(lane).max(views.inbox.lost_up_to(lane));
        if end.received_up_to > own {
            return Err(Halt::BureauBehind(format!(
                "the hub has a receipt for mailbox number {} of the {lane} lane, the last one known here is {own}; \
                 {recover}",
                end.received_up_to
            )));
        }
    }
    Ok(())
}

/// What people do about a bureau that is an older copy.
pub(crate) fn recover(views: &Views) -> String {
    format!(
        "this bureau was restored from an older copy: run `i247 bureau {} recover --reason \"…\"` and say why",
        views.outbox.sender()
    )
}

fn bytes_of(hash: Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn views() -> Views {
        let mut views = Views::new("FR".parse().unwrap());
        views.outbox.log_id = b"log".to_vec();
        views.outbox.log_end_seen = 40;
        views.inbox.gap(Lane::Urgent, 1, pb::Gap::Withdrawn);
        views
    }

    fn welcome() -> pb::Welcome {
        pb::Welcome { log_id: Bytes::from_static(b"log"), log_end: 40, epoch: 1, ..Default::default() }
    }

    fn mailbox(number: u64) -> Vec<pb::MailboxEnd> {
        vec![pb::MailboxEnd { lane: pb::Lane::Urgent.into(), received_up_to: number }]
    }

    #[test]
    fn a_hub_that_remembers_the_same_is_welcome() {
        assert_eq!(check_welcome(&pb::Welcome { mailbox: mailbox(1), ..welcome() }, &views()), Ok(()));
        let hello = hello(&views(), Timestamp::from_millis(7));
        assert_eq!((hello.log_end_seen, hello.epoch, hello.mailbox), (40, 1, mailbox(1)));
        assert!(hello.sent.is_empty());
    }

    #[test]
    fn a_hub_behind_its_own_receipts_halts_the_bureau() {
        let behind = check_welcome(&pb::Welcome { log_end: 39, ..welcome() }, &views());
        assert!(matches!(behind, Err(Halt::HubBehind(_))));
        let other = pb::Welcome { log_id: Bytes::from_static(b"new"), ..welcome() };
        assert!(matches!(check_welcome(&other, &views()), Err(Halt::HubBehind(_))));
    }

    #[test]
    fn what_was_sent_may_be_missing_where_the_hub_has_more() {
        let outbox = &views().outbox;
        let lanes = |lost: &[pb::LostLane]| -> Vec<(u64, i32, u64)> {
            lost.iter().map(|lost| (lost.epoch, lost.lane, lost.known_up_to)).collect()
        };
        let end = |lane: pb::Lane| pb::LaneEnd { lane: lane.into(), number: 3, ..Default::default() };
        let same_epoch = pb::Welcome { accepted: vec![end(pb::Lane::Normal)], ..welcome() };
        assert_eq!(lanes(&lost(&same_epoch, outbox)), [(1, pb::Lane::Normal.into(), 0)]);
        assert!(lost(&welcome(), outbox).is_empty());
        // Of the epoch that went on after the copy was taken nobody told how far it went.
        let later = pb::Welcome { epoch: 2, accepted: vec![end(pb::Lane::Urgent)], ..welcome() };
        let lost = lanes(&lost(&later, outbox));
        assert_eq!(lost.len(), 8);
        assert!(
            lost.contains(&(1, pb::Lane::Bulk.into(), 0)) && lost.contains(&(2, pb::Lane::Urgent.into(), 0))
        );
    }

    #[test]
    fn a_bureau_behind_the_hub_halts_until_it_has_recovered() {
        let lanes = vec![pb::LaneEnd { lane: pb::Lane::Normal.into(), number: 3, ..Default::default() }];
        let sent = pb::Welcome { accepted: lanes, ..welcome() };
        let received = pb::Welcome { mailbox: mailbox(2), ..welcome() };
        let mut views = views();
        let halt = check_welcome(&sent, &views).unwrap_err();
        assert!(matches!(halt, Halt::BureauBehind(_)));
        assert!(halt.text().contains("`i247 bureau FR recover --reason \"…\"`"), "{}", halt.text());
        assert!(matches!(check_welcome(&received, &views), Err(Halt::BureauBehind(_))));

        let given_up = Refusal::of(i247_model::Reason::Behind, "id");
        views.outbox.new_epoch(2, &given_up, BTreeMap::new());
        views.inbox.lost(Lane::Urgent, 2);
        assert_eq!(check_welcome(&sent, &views), Ok(()));
        assert_eq!(check_welcome(&received, &views), Ok(()));
        let later = pb::Welcome { epoch: 3, ..welcome() };
        assert!(matches!(check_welcome(&later, &views), Err(Halt::BureauBehind(_))));
    }
}
