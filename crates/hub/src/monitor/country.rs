//! One bureau and its link: queues, credit, certificates, how it answers.

use i247_model::{CountryCode, Identity, Lane, Party, Reason, Refusal, Timestamp, member};
use i247_trust::Certificate;
use i247_wire::{parsed, pb};

use crate::core::Core;
use crate::directory::standing;
use crate::flow::{Stand, stand};
use crate::links::Link;
use crate::overdue::{each_open, is_overdue};
use crate::views::Views;

/// How many overdue answers are named.
const OVERDUE_MAX: usize = 100;

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// What is known of a country.
///
/// # Errors
/// `UNKNOWN_COUNTRY` for who is no member, and never was one.
pub(super) async fn country(core: &Core, text: &str) -> Result<pb::CountryResponse, Refusal> {
    let code: CountryCode = parsed(text, "country")?;
    let known = member(code).ok_or_else(|| Refusal::of(Reason::UnknownCountry, "country"))?;
    let (party, now) = (Party::Bureau(code), core.clock.now());
    let newest = core.links.newest(party);
    let live = newest.as_ref().filter(|link| link.is_live());
    let (stand, lanes, mut certificates, posts) = {
        let views = core.views();
        let record = views.state.directory().record(&Identity::Bureau(code));
        let record = record.ok_or_else(|| Refusal::of(Reason::UnknownCountry, "country"))?;
        let stand = Stand {
            connected: live.is_some(),
            standing: Some(record.standing),
            worst: core.alerts.standing().worst.get(&party).copied(),
            ..stand(&views, party)
        };
        let lanes = lanes(&views, party, live.map(AsRef::as_ref));
        let keys = record.signing_keys.keys();
        let certificates: Vec<_> = keys.flat_map(|key| signing(&views, key, record.position)).collect();
        (stand, lanes, certificates, posts(core, &views, code))
    };
    if let Some(link) = &newest {
        certificates.insert(0, tls(link));
    }
    let (mut overdue, mut owed) = (Vec::new(), 0);
    each_open(core, |message, now| {
        let Some(recipient) = message.recipients.get(&party) else { return };
        owed += u32::from(crate::overdue::owes(recipient));
        if is_overdue(recipient, now) {
            overdue.push(pb::OverdueReply {
                request_id: message.id.to_string(),
                from: message.id.sender.party().to_string(),
                to: party.to_string(),
                reply_by_ms: message.reply_by.map_or(0, Timestamp::as_millis),
                state: recipient.line.map_or(pb::AnswerState::Unspecified, |line| line.state.into()).into(),
            });
        }
    })
    .await;
    let late = u32::try_from(overdue.len()).unwrap_or(u32::MAX);
    overdue.truncate(OVERDUE_MAX);
    let mut response = pb::CountryResponse {
        at_ms: now.as_millis(),
        flow: Some(stand.wire(party)),
        name: known.name.into(),
        region: known.region.to_string(),
        lanes,
        link: Some(link(newest.as_deref())),
        certificates,
        replies: None,
        overdue,
        alerts: core.alerts.list(Some(party), false),
        posts,
        ..pb::CountryResponse::default()
    };
    past(core, party, now, &mut response);
    let replies = response.replies.get_or_insert_default();
    (replies.owed, replies.overdue) = (owed, late);
    Ok(response)
}

/// What was counted: rates of the lanes, answers, and the last hour by minutes.
fn past(core: &Core, party: Party, now: Timestamp, response: &mut pb::CountryResponse) {
    let kept = core.flow.kept();
    for wire in &mut response.lanes {
        let Some(lane) = pb::Lane::try_from(wire.lane).ok().and_then(|lane| Lane::try_from(lane).ok()) else {
            continue;
        };
        wire.delivered_per_second = kept.matrix.delivered_per_second(now, party, lane);
        wire.drain_ms = drain_ms(wire.queued, wire.delivered_per_second);
    }
    let performance = kept.matrix.performance(party);
    response.replies = Some(pb::ReplyPerformance {
        answered: performance.answered,
        in_time: performance.in_time,
        median_ms: performance.percentile(50),
        p90_ms: performance.percentile(90),
        ..pb::ReplyPerformance::default()
    });
    let newest = now.as_millis() / MINUTE_MS;
    let (mut sent, mut received) = (vec![0_u32; 60], vec![0_u32; 60]);
    for minute in kept.matrix.window(now, HOUR_MS).1 {
        let ago = newest.saturating_sub(minute.begins_ms / MINUTE_MS);
        let Some(place) = 59_u64.checked_sub(ago).and_then(|place| usize::try_from(place).ok()) else {
            continue;
        };
        for (from, to, pair) in minute.pairs() {
            let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            if from == party {
                sent[place] = sent[place].saturating_add(count(pair.accepted));
            }
            if to == Some(party) {
                received[place] = received[place].saturating_add(count(pair.delivered));
            }
        }
    }
    (response.sent_per_minute, response.received_per_minute) = (sent, received);
}

/// How long a queue lasts at this rate; none when it does not move.
pub(crate) fn drain_ms(queued: u32, per_second: f64) -> Option<u64> {
    match queued {
        0 => Some(0),
        _ if per_second <= 0.0 => None,
        // Where it does not fit, it is as good as never.
        queued => Some((f64::from(queued) * 1000.0 / per_second) as u64),
    }
}

fn lanes(views: &Views, party: Party, link: Option<&Link>) -> Vec<pb::CountryLane> {
    let lane = |lane: Lane| {
        let mailbox = views.state.mailbox(party);
        let oldest = mailbox.and_then(|mailbox| views.state.message_at(mailbox.oldest(lane)?));
        let delivered = mailbox.map_or(0, |mailbox| mailbox.delivered_up_to(lane));
        let under_way = link.map_or(0, |link| link.handed(lane).saturating_sub(delivered));
        pb::CountryLane {
            lane: pb::Lane::from(lane).into(),
            queued: mailbox.map_or(0, |mailbox| u32::try_from(mailbox.waiting(lane)).unwrap_or(u32::MAX)),
            oldest_accepted_at_ms: oldest.map_or(0, |message| message.accepted_at.as_millis()),
            oldest_id: oldest.map(|message| message.id.to_string()).unwrap_or_default(),
            under_way: u32::try_from(under_way).unwrap_or(u32::MAX),
            ..pb::CountryLane::default()
        }
    };
    Lane::ALL.map(lane).into()
}

fn link(newest: Option<&Link>) -> pb::CountryLink {
    let Some(link) = newest else { return pb::CountryLink::default() };
    let connected = link.is_live();
    let since = if connected { link.began } else { link.last_contact() };
    pb::CountryLink {
        connected,
        since_ms: since.as_millis(),
        last_contact_at_ms: link.last_contact().as_millis(),
        credit: if connected { link.credit() } else { 0 },
        clock_skew_ms: link.skew_ms(),
        program: link.program.clone(),
        address: link.peer.address.to_string(),
        tls_version: link.peer.agreed.version.into(),
        tls_group: link.peer.agreed.group.into(),
        post_quantum: link.peer.agreed.is_post_quantum(),
    }
}

pub(super) fn tls(link: &Link) -> pb::CertificateFacts {
    pb::CertificateFacts {
        purpose: "tls".into(),
        identity: link.peer.identity.to_string(),
        key_id: link.peer.tls_key.to_string(),
        not_before_ms: link.peer.not_before.as_millis(),
        not_after_ms: link.peer.not_after.as_millis(),
        ..pb::CertificateFacts::default()
    }
}

/// The newest certificate of a signing key, and what stands above it.
pub(super) fn signing(views: &Views, key: &i247_model::Hash, position: u64) -> Option<pb::CertificateFacts> {
    let chain = views.signers.find(key)?.chains.last()?;
    let issuer = chain.certificates.get(1).and_then(|above| Certificate::parse(above).ok());
    let leaf = Certificate::parse(chain.certificates.first()?).ok()?;
    let issuer =
        issuer.map_or_else(|| views.signers.root().certificate().identity.clone(), |issuer| issuer.identity);
    Some(facts("signing", &leaf, Some(issuer), position))
}

pub(super) fn facts(
    purpose: &str,
    certificate: &Certificate,
    issuer: Option<Identity>,
    position: u64,
) -> pb::CertificateFacts {
    pb::CertificateFacts {
        purpose: purpose.into(),
        identity: certificate.identity.to_string(),
        issuer: issuer.map(|issuer| issuer.to_string()).unwrap_or_default(),
        key_id: certificate.key_id.to_string(),
        not_before_ms: certificate.not_before.as_millis(),
        not_after_ms: certificate.not_after.as_millis(),
        position,
    }
}

/// The posts that the directory names.
fn posts(core: &Core, views: &Views, code: CountryCode) -> Vec<pb::CountryPost> {
    let records = views.state.directory().records();
    let own = records.filter(|(identity, _)| matches!(identity, Identity::Post(home, _) if *home == code));
    let post = |(identity, record): (Identity, &i247_router::Record)| pb::CountryPost {
        connected: core.live.connections_of(&identity) > 0,
        identity: identity.to_string(),
        standing: standing(record.standing).into(),
        since_ms: record.since.as_millis(),
    };
    own.map(post).collect()
}
