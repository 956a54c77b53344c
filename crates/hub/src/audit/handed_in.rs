//! Searches that were asked of offline copies: each stands in the journal once, however often it is handed in, whatever
//! crashes between. How far each list has come follows from the journal itself.

use std::collections::BTreeMap;

use i247_ledger::Ledger as _;
use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_wire::pb;

use super::{Audit, COME_AGAIN, shut};

/// Where it is kept how far the lists have come, beside the segments.
const FILE: &str = "handed-in";

/// Lists of one asker; beyond, the one that was handed in the longest time ago is forgotten.
const LISTS_MAX: usize = 256;

/// A search that was handed in.
pub(crate) struct Given {
    pub(crate) number: u64,
    /// The chain of its list behind it.
    pub(crate) chain: Hash,
    pub(crate) record: pb::AuditRecord,
}

/// How far the lists have come; none before the journal was read.
#[derive(Default)]
pub(super) struct HandedIn(Option<Lists>);

type Lists = BTreeMap<(String, [u8; 16]), Last>;

/// The last search of a list.
#[derive(Clone, Copy)]
struct Last {
    number: u64,
    chain: Hash,
    at_ms: u64,
    /// Until this was written it is not durable.
    noted: u64,
}

impl Audit {
    /// Takes searches of a list, whose chain before them is `before`; those that are there already are passed over. The
    /// number of the last one, which is durable then.
    ///
    /// # Errors
    /// `OUT_OF_ORDER`, `NUMBER_REUSED`, and as [`note`](Self::note).
    pub(crate) async fn take_in(
        &self,
        (asker, list): (&Identity, [u8; 16]),
        before: Hash,
        given: Vec<Given>,
        at: Timestamp,
    ) -> Result<u64, Refusal> {
        self.check_open()?;
        let mut handed_in = self.handed_in.lock().await;
        let lists = match &mut handed_in.0 {
            Some(lists) => lists,
            unread => unread.insert(self.read_lists().await?),
        };
        let key = (asker.to_string(), list);
        let known = lists.get(&key).copied();
        let new = unknown(known, before, &given)?;
        for Given { number, chain, record } in &given[new..] {
            let noted = self.note(record)?;
            let last = Last { number: *number, chain: *chain, at_ms: at.as_millis(), noted };
            lists.insert(key.clone(), last);
        }
        forget_oldest(lists, &key.0);
        let last = lists.get(&key).copied();
        let Some(Last { number, noted, .. }) = last else {
            return Err(Refusal::of(Reason::Malformed, "first"));
        };
        self.written(noted).await?;
        if new < given.len() {
            self.keep_lists(lists).await;
        }
        Ok(number)
    }

    /// Reads from the journal how far the lists have come: what was kept of that, and the entries behind it.
    async fn read_lists(&self) -> Result<Lists, Refusal> {
        let kept: Option<pb::HandedIn> = self.kept(FILE).await;
        // Kept of a journal that was longer: of no use for this one.
        let kept = kept.filter(|kept| kept.position <= self.journal.end().0);
        let (after, mut lists) = kept.and_then(lists).unwrap_or_default();
        let take_in = |group: &pb::AuditGroup| lists.extend(group.records.iter().filter_map(handed_in));
        let read = self.each_group(after + 1, self.opened_at.0, take_in).await;
        read.map_err(|_| shut("the journal of searches cannot be read: tell whoever runs the hub"))?;
        Ok(lists)
    }

    /// Keeps how far they have come. Without it more of the journal is read after the next start, and nothing is lost.
    async fn keep_lists(&self, lists: &Lists) {
        let list = |((asker, list), last): (&(String, [u8; 16]), &Last)| pb::HandedInList {
            asker: asker.clone(),
            list: list.to_vec().into(),
            number: last.number,
            chain: last.chain.as_bytes().to_vec().into(),
            at_ms: last.at_ms,
        };
        let position = self.journal.end().0;
        let handed_in = pb::HandedIn { position, lists: lists.iter().map(list).collect() };
        self.keep_beside(FILE, &handed_in).await;
    }
}

/// How many of those that are given are there already.
fn unknown(known: Option<Last>, before: Hash, given: &[Given]) -> Result<usize, Refusal> {
    let (number, chain) = known.map_or((0, Hash([0; 32])), |last| (last.number, last.chain));
    let first = given.first().map_or(0, |given| given.number);
    if first > number + 1 {
        let next_step = format!("hand in from number {} on", number + 1);
        let refusal = Refusal { next_step, ..Refusal::of(Reason::OutOfOrder, "first") };
        return Err(refusal.retry_after(COME_AGAIN));
    }
    let there = usize::try_from(number + 1 - first).unwrap_or(usize::MAX);
    // The chain at the last one that is known tells two lists of one name apart.
    let same = match there.checked_sub(1) {
        None => before == chain,
        Some(last) => given.get(last).is_none_or(|given| given.chain == chain),
    };
    if !same || (there > given.len() && first != 0) {
        let next_step = "begin a new list: another one was handed in under this name";
        return Err(Refusal { next_step: next_step.into(), ..Refusal::of(Reason::NumberReused, "list") });
    }
    Ok(there)
}

fn forget_oldest(lists: &mut Lists, asker: &str) {
    let of_asker = |lists: &Lists| -> Vec<((String, [u8; 16]), u64)> {
        let from = (asker.to_owned(), [0; 16]);
        let own = lists.range(from..).take_while(|((other, _), _)| other == asker);
        own.map(|(key, last)| (key.clone(), last.at_ms)).collect()
    };
    let own = of_asker(lists);
    if own.len() > LISTS_MAX
        && let Some((oldest, _)) = own.into_iter().min_by_key(|(_, at)| *at)
    {
        lists.remove(&oldest);
    }
}

/// The list that a record of the journal is of, and how far it brought it.
fn handed_in(record: &pb::AuditRecord) -> Option<((String, [u8; 16]), Last)> {
    let offline = record.offline.as_ref()?;
    let chain = Hash::from_slice(&offline.chain)?;
    let last = Last { number: offline.number, chain, at_ms: record.at_ms, noted: 0 };
    Some(((record.asker.clone(), offline.list.as_ref().try_into().ok()?), last))
}

/// What was kept, and of the journal up to where; none when it is not whole.
fn lists(kept: pb::HandedIn) -> Option<(u64, Lists)> {
    let list = |list: pb::HandedInList| {
        let chain = Hash::from_slice(&list.chain)?;
        let last = Last { number: list.number, chain, at_ms: list.at_ms, noted: 0 };
        Some(((list.asker, list.list.as_ref().try_into().ok()?), last))
    };
    Some((kept.position, kept.lists.into_iter().map(list).collect::<Option<_>>()?))
}
