//! What officers do next, from what they have done and what reached them. Pure: events in, tasks out.
//!
//! ```text
//! Open ─► (decision arrives) ─► Read ─► Ask first ─► (all finals) ─► Ask follow-up ─► (all finals) ─► done
//! ```
//!
//! It knows what an officer knows: ids, kinds, senders, stages. Where a person is, it is never told.

use std::collections::{BTreeMap, BTreeSet};

use i247_client::{Event, pb};
use i247_model::{CountryCode, MessageId};

use crate::plan::{PlannedCase, Script};

/// Something that an officer is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Ask for the notice of this case (place in the script's list).
    Open { case: usize },
    /// Read the decision on it.
    Read { case: usize, decision: String },
    /// Send its request of this place.
    Ask { case: usize, nth: usize, notice_id: String },
    /// Read what another country reports on one of the own cases.
    ReadReport { country: CountryCode, id: String },
}

/// Where a case stands for its officer.
#[derive(Clone, Debug, Default)]
struct File {
    request: Option<String>,
    decision_read: bool,
    notice_id: Option<String>,
    /// Ids of the requests sent, in order; none while one is on its way to the desk.
    asked: Vec<Option<String>>,
}

/// All cases, and what has reached the officers.
#[derive(Debug)]
pub(crate) struct Casework<'a> {
    script: &'a Script,
    files: Vec<File>,
    /// Notice request to case.
    opened: BTreeMap<String, usize>,
    /// Notice request to the decision on it, which may come before the request's own id is known here.
    decisions: BTreeMap<String, String>,
    /// Request to case.
    asked: BTreeMap<String, usize>,
    /// Request to the countries whose last word has come.
    finals: BTreeMap<String, BTreeSet<CountryCode>>,
    counts: Counts,
}

/// How far the officers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Notice requests handed in.
    pub(crate) opened: usize,
    /// Decisions read.
    pub(crate) decided: usize,
    /// Requests handed in.
    pub(crate) asked: usize,
    /// Last words that have come.
    pub(crate) finals: usize,
}

impl<'a> Casework<'a> {
    pub(crate) fn new(script: &'a Script) -> Self {
        Self {
            script,
            files: vec![File::default(); script.cases.len()],
            opened: BTreeMap::new(),
            decisions: BTreeMap::new(),
            asked: BTreeMap::new(),
            finals: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// What there is to do at the beginning.
    pub(crate) fn begin(&self) -> Vec<Task> {
        (0..self.script.cases.len()).map(|case| Task::Open { case }).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn case(&self, case: usize) -> &'a PlannedCase {
        &self.script.cases[case]
    }

    /// Whether every request that was sent has all its last words, and no other is to come.
    pub(crate) fn settled(&self) -> bool {
        self.files.iter().enumerate().all(|(case, file)| {
            let owed = !file.asked.is_empty() || file.notice_id.is_some();
            !owed || (file.asked.len() == self.case(case).asked.len() && self.all_answered(case))
        })
    }

    /// The id of the first request that was sent for the first case that sent one.
    pub(crate) fn first_request(&self) -> Option<&str> {
        self.files.iter().find_map(|file| file.asked.first()?.as_deref())
    }

    /// The desk took the notice request.
    pub(crate) fn opened(&mut self, case: usize, id: &MessageId) -> Option<Task> {
        let id = id.to_string();
        self.counts.opened += 1;
        self.files[case].request = Some(id.clone());
        let decision = self.decisions.get(&id).cloned();
        self.opened.insert(id, case);
        self.read(case, decision?)
    }

    /// The officer read the decision. `None`: the notice was refused.
    pub(crate) fn read_decision(&mut self, case: usize, notice_id: Option<String>) -> Option<Task> {
        self.counts.decided += 1;
        self.files[case].notice_id.clone_from(&notice_id);
        self.ask(case, notice_id?)
    }

    /// The desk took a request.
    pub(crate) fn asked(&mut self, case: usize, nth: usize, id: &MessageId) -> Option<Task> {
        let id = id.to_string();
        self.counts.asked += 1;
        if let Some(place) = self.files[case].asked.get_mut(nth) {
            *place = Some(id.clone());
        }
        // Answers that were here before the id was.
        let early = self.finals.get(&id).map_or(0, BTreeSet::len);
        self.counts.finals += early;
        self.asked.insert(id, case);
        self.next(case)
    }

    /// Something happened at a bureau. Says what is to be done, and whether the officers got further.
    pub(crate) fn heard(&mut self, country: CountryCode, event: &Event) -> (Option<Task>, bool) {
        let item = match event {
            Event::Arrived(item) if item.operation == self.script.operation => item,
            Event::Sent(item) => return (None, item.operation == self.script.operation),
            Event::Arrived(_) | Event::Progress(_) => return (None, false),
        };
        match item.kind() {
            pb::Kind::ReviewDecision => {
                self.decisions.insert(item.refers_to.clone(), item.id.clone());
                let case = self.opened.get(&item.refers_to).copied();
                (case.and_then(|case| self.read(case, item.id.clone())), true)
            }
            pb::Kind::Reply => (self.replied(item), true),
            pb::Kind::PersonLocated | pb::Kind::ArrestReport => {
                (Some(Task::ReadReport { country, id: item.id.clone() }), true)
            }
            _ => (None, false),
        }
    }

    /// Nothing has come for long: officers who still wait for the first answers ask the other countries
    /// all the same.
    pub(crate) fn impatient(&mut self) -> Vec<Task> {
        let waiting: Vec<(usize, String)> = self
            .files
            .iter()
            .enumerate()
            .filter(|(case, file)| !file.asked.is_empty() && file.asked.len() < self.case(*case).asked.len())
            .filter_map(|(case, file)| Some((case, file.notice_id.clone()?)))
            .collect();
        waiting.into_iter().filter_map(|(case, notice_id)| self.ask(case, notice_id)).collect()
    }

    fn read(&mut self, case: usize, decision: String) -> Option<Task> {
        let file = &mut self.files[case];
        if file.decision_read {
            return None;
        }
        file.decision_read = true;
        Some(Task::Read { case, decision })
    }

    fn replied(&mut self, item: &pb::InboxItem) -> Option<Task> {
        let last_word = matches!(item.reply_stage(), pb::ReplyStage::Final | pb::ReplyStage::Refusal);
        let sender = item.sender.parse::<CountryCode>().ok().filter(|_| last_word)?;
        let new = self.finals.entry(item.refers_to.clone()).or_default().insert(sender);
        let case = *self.asked.get(&item.refers_to)?;
        self.counts.finals += usize::from(new);
        self.next(case)
    }

    /// The follow-up, once the first request has all its answers.
    fn next(&mut self, case: usize) -> Option<Task> {
        let file = &self.files[case];
        if file.asked.len() == self.case(case).asked.len() || !self.all_answered(case) {
            return None;
        }
        let notice_id = file.notice_id.clone()?;
        self.ask(case, notice_id)
    }

    fn all_answered(&self, case: usize) -> bool {
        let asked = self.case(case).asked.iter();
        self.files[case].asked.iter().zip(asked).all(|(id, countries)| {
            let come = id.as_ref().and_then(|id| self.finals.get(id));
            come.is_some_and(|come| come.is_superset(countries))
        })
    }

    /// The next request of a case, if there is one more.
    fn ask(&mut self, case: usize, notice_id: String) -> Option<Task> {
        let nth = self.files[case].asked.len();
        if nth == self.case(case).asked.len() {
            return None;
        }
        self.files[case].asked.push(None);
        Some(Task::Ask { case, nth, notice_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Scenario};

    const OPERATION: &str = "infra-red-2010";

    fn script() -> Script {
        let countries = ["FR", "BR", "JP"].map(|code| code.parse().unwrap());
        let scenario = Scenario::named(OPERATION).unwrap().with_countries(countries).unwrap();
        Plan::draw(&scenario, 2010).unwrap().script
    }

    /// The first case that has a follow-up.
    fn two_requests(script: &Script) -> usize {
        script.cases.iter().position(|case| case.asked.len() == 2).unwrap()
    }

    fn id(text: &str) -> MessageId {
        text.parse().unwrap()
    }

    fn arrived(kind: pb::Kind, sender: &str, refers_to: &str) -> pb::InboxItem {
        pb::InboxItem {
            id: format!("{sender}-1-U-77"),
            kind: kind.into(),
            sender: sender.into(),
            refers_to: refers_to.into(),
            operation: OPERATION.into(),
            ..Default::default()
        }
    }

    fn reply(sender: CountryCode, to: &str, stage: pb::ReplyStage) -> Event {
        let item = arrived(pb::Kind::Reply, &sender.to_string(), to);
        Event::Arrived(pb::InboxItem { reply_stage: stage.into(), ..item })
    }

    fn decision(on: &str) -> Event {
        Event::Arrived(pb::InboxItem {
            id: "GS.lena-1-U-1".into(),
            ..arrived(pb::Kind::ReviewDecision, "GS.lena", on)
        })
    }

    fn asked_first(script: &Script) -> (Casework<'_>, usize) {
        let case = two_requests(script);
        let mut work = Casework::new(script);
        assert_eq!(work.opened(case, &id("FR-1-U-1")), None);
        let (task, _) = work.heard(script.cases[case].owner, &decision("FR-1-U-1"));
        assert_eq!(task, Some(Task::Read { case, decision: "GS.lena-1-U-1".into() }));
        let ask = work.read_decision(case, Some("2010/1".into()));
        assert_eq!(ask, Some(Task::Ask { case, nth: 0, notice_id: "2010/1".into() }));
        (work, case)
    }

    #[test]
    fn a_case_goes_from_request_to_follow_up_as_answers_come() {
        let script = script();
        let (mut work, case) = asked_first(&script);
        let planned = &script.cases[case];
        assert_eq!(work.asked(case, 0, &id("FR-1-U-2")), None);
        let [first] = *planned.asked[0].iter().copied().collect::<Vec<_>>() else { panic!("one country") };
        let (task, _) = work.heard(planned.owner, &reply(first, "FR-1-U-2", pb::ReplyStage::Interim));
        assert_eq!(task, None, "an interim reply is no last word");
        let (task, _) = work.heard(planned.owner, &reply(first, "FR-1-U-2", pb::ReplyStage::Final));
        assert_eq!(task, Some(Task::Ask { case, nth: 1, notice_id: "2010/1".into() }));
        assert!(!work.settled());
        work.asked(case, 1, &id("FR-1-U-3"));
        let [second] = *planned.asked[1].iter().copied().collect::<Vec<_>>() else { panic!("one country") };
        work.heard(planned.owner, &reply(second, "FR-1-U-3", pb::ReplyStage::Refusal));
        assert!(work.settled(), "a refusal is a last word too");
        assert_eq!(work.counts(), Counts { opened: 1, decided: 1, asked: 2, finals: 2 });
    }

    #[test]
    fn an_answer_that_overtakes_its_question_counts_once_the_question_is_known() {
        let script = script();
        let (mut work, case) = asked_first(&script);
        let first = *script.cases[case].asked[0].first().unwrap();
        let (task, _) =
            work.heard(script.cases[case].owner, &reply(first, "FR-1-U-2", pb::ReplyStage::Final));
        assert_eq!(task, None);
        let task = work.asked(case, 0, &id("FR-1-U-2"));
        assert_eq!(task, Some(Task::Ask { case, nth: 1, notice_id: "2010/1".into() }));
        assert_eq!(work.counts().finals, 1);
    }

    #[test]
    fn a_decision_may_come_before_the_desk_has_answered() {
        let script = script();
        let mut work = Casework::new(&script);
        let (task, _) = work.heard(script.cases[0].owner, &decision("FR-1-U-1"));
        assert_eq!(task, None);
        let task = work.opened(0, &id("FR-1-U-1"));
        assert_eq!(task, Some(Task::Read { case: 0, decision: "GS.lena-1-U-1".into() }));
        let (again, _) = work.heard(script.cases[0].owner, &decision("FR-1-U-1"));
        assert_eq!(again, None, "it is read once");
    }

    #[test]
    fn a_repeated_answer_counts_once() {
        let script = script();
        let (mut work, case) = asked_first(&script);
        work.asked(case, 0, &id("FR-1-U-2"));
        let first = *script.cases[case].asked[0].first().unwrap();
        for _ in 0..3 {
            work.heard(script.cases[case].owner, &reply(first, "FR-1-U-2", pb::ReplyStage::Final));
        }
        assert_eq!(work.counts().finals, 1);
    }

    #[test]
    fn an_officer_who_hears_nothing_asks_the_others_all_the_same_and_once() {
        let script = script();
        let (mut work, case) = asked_first(&script);
        work.asked(case, 0, &id("FR-1-U-2"));
        assert_eq!(work.impatient(), [Task::Ask { case, nth: 1, notice_id: "2010/1".into() }]);
        assert_eq!(work.impatient(), []);
    }

    #[test]
    fn a_refused_notice_is_not_worked() {
        let script = script();
        let mut work = Casework::new(&script);
        work.opened(0, &id("FR-1-U-1"));
        work.heard(script.cases[0].owner, &decision("FR-1-U-1"));
        assert_eq!(work.read_decision(0, None), None);
        assert!(work.settled());
    }

    #[test]
    fn what_belongs_to_another_operation_is_nobodys_business() {
        let script = script();
        let mut work = Casework::new(&script);
        work.opened(0, &id("FR-1-U-1"));
        let Event::Arrived(item) = decision("FR-1-U-1") else { panic!("an arrival") };
        let other = Event::Arrived(pb::InboxItem { operation: "another".into(), ..item });
        assert_eq!(work.heard(script.cases[0].owner, &other), (None, false));
    }
}
