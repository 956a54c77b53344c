//! What a plan of the whole operation holds, counted by hand.

use super::*;

const SEED: u64 = 2010;

fn scenario() -> Scenario {
    Scenario::named("infra-red-2010").unwrap()
}

fn plan(scenario: &Scenario) -> Plan {
    Plan::draw(scenario, SEED).unwrap()
}

fn code(text: &str) -> CountryCode {
    text.parse().unwrap()
}

/// What a search of the registers by family name finds: in which country, and whether forename and
/// birth day agree too.
fn found(plan: &Plan, case: &PlannedCase) -> Vec<(CountryCode, bool)> {
    let mut found = Vec::new();
    for (country, entries) in &plan.registers {
        for entry in entries.iter().filter(|entry| entry.family_name == case.person.family_name) {
            assert_eq!(entry.date_of_birth[..4], case.person.date_of_birth[..4]);
            let forename = entry.forename == case.person.forename;
            let born = entry.date_of_birth == case.person.date_of_birth;
            assert!(forename || born, "a partial entry differs in one thing");
            found.push((*country, forename && born));
        }
    }
    found
}

#[test]
fn the_whole_operation_has_the_totals_of_the_workload() {
    let plan = plan(&scenario());
    let script = &plan.script;
    assert_eq!(script.cases.len(), 447);
    assert_eq!(script.seats.len(), 29);
    assert_eq!(script.seats.values().map(Vec::len).sum::<usize>(), 45);
    assert_eq!(script.requests(), 700);
    assert_eq!(script.cases.iter().filter(|case| case.asked.len() == 2).count(), 253);
    assert_eq!(script.addressees(), 1_766);
    let sizes = |n| script.cases.iter().flat_map(|case| &case.asked).filter(|asked| asked.len() == n).count();
    assert_eq!((sizes(2), sizes(3)), (334, 366));
}

#[test]
fn everybody_who_can_be_found_is_in_one_country_that_is_asked_once() {
    let plan = plan(&scenario());
    let (mut arrestable, mut certain, mut partial, mut nowhere) = (0, 0, 0, 0);
    for case in &plan.script.cases {
        match found(&plan, case).as_slice() {
            [] => nowhere += 1,
            [(country, sure)] => {
                let asked = case.asked.iter().filter(|asked| asked.contains(country)).count();
                assert_eq!(asked, 1, "case {}", case.number);
                match (sure, plan.policies[country] == Policy::ArrestBasis) {
                    (true, true) => arrestable += 1,
                    (true, false) => certain += 1,
                    (false, _) => partial += 1,
                }
            }
            several => panic!("case {} is in {} registers", case.number, several.len()),
        }
    }
    assert_eq!((arrestable, certain, partial, nowhere), (71, 90, 73, 213));
}

#[test]
fn nobody_asks_the_own_country_or_one_country_twice() {
    for case in plan(&scenario()).script.cases {
        let all: Vec<CountryCode> = case.asked.iter().flatten().copied().collect();
        let once: BTreeSet<CountryCode> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "case {}", case.number);
        assert!(!once.contains(&case.owner));
    }
}

#[test]
fn work_is_dealt_evenly_and_references_are_unique() {
    let plan = plan(&scenario());
    let mut by_seat: BTreeMap<(CountryCode, Name), usize> = BTreeMap::new();
    for case in &plan.script.cases {
        *by_seat.entry((case.owner, case.seat.clone())).or_default() += 1;
    }
    assert_eq!(by_seat.len(), 45);
    // 447 = 42 × 10 + 3 × 9
    assert_eq!(by_seat.values().filter(|cases| **cases == 10).count(), 42);
    assert_eq!(by_seat.values().filter(|cases| **cases == 9).count(), 3);
    let references: BTreeSet<&str> = plan.script.cases.iter().map(|case| case.our_ref.as_str()).collect();
    assert_eq!(references.len(), 447);
    assert!(references.iter().all(|reference| reference.len() <= 40));
    assert!(plan.script.cases.iter().all(|case| case.picture.len() <= 8 * 1024));
}

#[test]
fn the_plan_is_the_same_without_the_recorded_figures() {
    let mut bare = scenario();
    let whole = plan(&bare);
    bare.recorded.clear();
    assert_eq!(plan(&bare), whole);
    let text = include_str!("infra_red_2010.toml");
    let cut = text.split("\n[[recorded]]").next().unwrap();
    assert_eq!(plan(&Scenario::parse(cut).unwrap()), whole);
}

#[test]
fn another_seed_gives_other_persons_and_the_same_totals() {
    let one = plan(&scenario());
    let other = Plan::draw(&scenario(), SEED + 1).unwrap();
    assert_ne!(other.script.cases[0].person, one.script.cases[0].person);
    assert_eq!(other.script.addressees(), 1_766);
    let entries = |plan: &Plan| plan.registers.values().map(Vec::len).sum::<usize>();
    assert_eq!((entries(&one), entries(&other)), (29 * 40 + 234, 29 * 40 + 234));
}

#[test]
fn another_law_in_one_country_moves_nobody() {
    let before = plan(&scenario());
    let after = before.clone().with_policy(code("FR"), Policy::LocateOnly);
    assert_eq!(after.script, before.script);
    assert_eq!(after.registers, before.registers);
    let changed: Vec<_> =
        after.policies.iter().filter(|(code, policy)| before.policies[code] != **policy).collect();
    assert_eq!(changed, [(&code("FR"), &Policy::LocateOnly)]);
}

#[test]
fn another_law_in_the_file_moves_only_those_who_no_longer_fit() {
    let before = plan(&scenario());
    let mut changed = scenario();
    changed.workload.countries.get_mut(&code("SN")).unwrap().policy = Policy::LocateOnly;
    let after = plan(&changed);
    let mut moved = 0;
    for (case, same) in before.script.cases.iter().zip(&after.script.cases) {
        assert_eq!((&case.person, &case.owner, &case.seat), (&same.person, &same.owner, &same.seat));
        let (was, is) = (found(&before, case), found(&after, same));
        if was == is {
            assert_eq!(case.asked, same.asked);
            continue;
        }
        moved += 1;
        assert!(was.iter().chain(&is).any(|(country, _)| *country == code("SN")), "case {}", case.number);
    }
    // Those who were surely known in SN, and those for whom SN is now the first that fits.
    assert!((1..=25).contains(&moved), "{moved}");
}

#[test]
fn a_country_that_joins_changes_no_person() {
    let all = plan(&scenario());
    let three = scenario().with_countries(["FR", "BR", "JP"].map(code)).unwrap();
    let few = plan(&three);
    assert_eq!(few.script.cases.len(), 46);
    assert_eq!(few.script.requests(), 72);
    assert_eq!(few.script.addressees(), 92);
    for (case, same) in few.script.cases.iter().zip(&all.script.cases) {
        assert_eq!(case.person, same.person);
    }
    let found = few.script.cases.iter().filter(|case| !found(&few, case).is_empty()).count();
    assert_eq!(found, 7 + 9 + 8);
}

#[test]
fn a_class_without_a_country_that_fits_stays_empty() {
    let scenario = scenario().with_countries(["US", "NZ", "JP"].map(code)).unwrap();
    let plan = plan(&scenario);
    let found: Vec<bool> =
        plan.script.cases.iter().flat_map(|case| found(&plan, case)).map(|(_, sure)| sure).collect();
    // 9 of 90, 8 of 73, and none of the 7 that would have been arrested.
    assert_eq!((found.len(), found.iter().filter(|sure| **sure).count()), (17, 9));
}

#[test]
fn a_register_file_is_one_json_object_a_line() {
    let plan = plan(&scenario());
    let file = plan.register_file(code("FR"));
    let read: Vec<RegisterEntry> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, plan.registers[&code("FR")]);
    assert!(read.iter().all(|entry| !entry.files.is_empty() && entry.place == "Paris"));
}

#[test]
fn the_rehearsal_is_left_to_the_officers_of_two_countries() {
    let plan = plan(&scenario());
    let rehearsal = &plan.script.rehearsal;
    assert_ne!(rehearsal.operation, plan.script.operation);
    let left: Vec<CountryCode> = plan.left_to_officers.keys().copied().collect();
    assert_eq!(left, [code("BR"), code("JP")]);
}
