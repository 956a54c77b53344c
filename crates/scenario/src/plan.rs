//! From a scenario and a seed to a plan: who asks what of whom, and who stands in which register.
//!
//! The plan has two halves that never meet again: the script, which the simulated officers play, and
//! the registers, which the bureaus search. The script does not say where anybody is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_model::{CountryCode, Name, member};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::file::{Policy, Scenario, ScenarioError, Workload};
use crate::person::{Person, decoy, fugitive};
use crate::picture::picture;

/// What is played, and what the bureaus know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What officers do.
    pub script: Script,
    /// What each country's own files hold. Handed to the bureaus, never to the players.
    pub registers: BTreeMap<CountryCode, Vec<RegisterEntry>>,
    /// What a Red Notice may lead to in each country. Handed to the bureaus.
    pub policies: BTreeMap<CountryCode, Policy>,
    /// Operations whose requests a bureau's clerk leaves to the officers. Handed to the bureaus.
    pub left_to_officers: BTreeMap<CountryCode, BTreeSet<String>>,
}

/// What officers do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// The operation, as headers name it.
    pub operation: String,
    /// The operation, as people name it.
    pub name: String,
    /// The seed of all choices.
    pub seed: u64,
    /// Officers' seats, by country.
    pub seats: BTreeMap<CountryCode, Vec<Name>>,
    /// The cases, by number.
    pub cases: Vec<PlannedCase>,
    /// When answers are due after a request.
    pub reply_within: Duration,
    /// A reminder and an escalation, beside the operation.
    pub rehearsal: Rehearsal,
}

/// One case and how it is worked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedCase {
    /// From 1.
    pub number: u32,
    /// The owner's own reference; the same in every run.
    pub our_ref: String,
    /// The country that wants the person.
    pub owner: CountryCode,
    /// The officer who works the case.
    pub seat: Name,
    /// Who is wanted.
    pub person: Person,
    /// What for.
    pub charge: Charge,
    /// Day of the warrant, `YYYY-MM-DD`.
    pub warrant_date: String,
    /// A synthetic picture, a PNG file of at most 8 KiB.
    pub picture: Vec<u8>,
    /// Whom to ask: one list for each request, in their order. No country is asked twice.
    pub asked: Vec<BTreeSet<CountryCode>>,
}

/// What somebody is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charge {
    /// In a few words.
    pub name: &'static str,
    /// What is said to have happened.
    pub facts: &'static str,
    /// The maximum penalty in months, or what was imposed on a convict.
    pub months: u32,
    /// Wanted to serve a sentence rather than for prosecution.
    pub convicted: bool,
}

/// Two requests beside the operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rehearsal {
    /// Their operation.
    pub operation: String,
    /// Who asks.
    pub asker: CountryCode,
    /// Who answers after a reminder.
    pub late: CountryCode,
    /// Who never answers.
    pub silent: CountryCode,
    /// When answers are due after a request.
    pub reply_within: Duration,
}

/// One person in a country's own files. As JSON, one a line, these are a bureau's register file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegisterEntry {
    /// Family name.
    pub family_name: String,
    /// Forename.
    pub forename: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: String,
    /// `F` or `M`.
    pub sex: String,
    /// Country codes.
    pub nationalities: Vec<CountryCode>,
    /// The national files that hold the person.
    pub files: Vec<String>,
    /// Where the person is.
    pub place: String,
    /// What the files say.
    pub note: String,
}

/// How a country knows a fugitive who is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    CertainlyArrestable,
    Certainly,
    Partly,
}

/// Where a fugitive is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Placement {
    country: CountryCode,
    known: Known,
}

const CHARGES: [Charge; 8] = [
    Charge {
        name: "murder",
        facts: "shot a man in the yard of a warehouse and fled by car",
        months: 360,
        convicted: false,
    },
    Charge {
        name: "armed robbery",
        facts: "robbed a jeweller with two others, each armed with a pistol",
        months: 180,
        convicted: false,
    },
    Charge {
        name: "trafficking in narcotic drugs",
        facts: "led a group that moved cocaine in containers of fruit",
        months: 240,
        convicted: false,
    },
    Charge {
        name: "fraud on a large scale",
        facts: "sold shares in mines that do not exist to some hundred persons",
        months: 96,
        convicted: false,
    },
    Charge {
        name: "kidnapping",
        facts: "held a trader for eleven days and demanded a ransom",
        months: 216,
        convicted: false,
    },
    Charge {
        name: "trafficking in human beings",
        facts: "took workers' passports and kept them on a building site",
        months: 144,
        convicted: false,
    },
    Charge {
        name: "murder",
        facts: "convicted of killing a business partner; escaped from prison",
        months: 180,
        convicted: true,
    },
    Charge {
        name: "smuggling of firearms",
        facts: "convicted of bringing rifles across a border; did not begin the sentence",
        months: 60,
        convicted: true,
    },
];

const NOTES: [&str; 4] =
    ["entered by road", "rented a flat", "checked in a traffic control", "gave an address at a hospital"];

const FILES: [&str; 4] = ["ENTRY_EXIT", "ADDRESSES", "CRIMINAL_RECORDS", "VEHICLES"];

impl Plan {
    /// Draws the plan. The same scenario and seed always give the same plan, and what was recorded
    /// about the real operation is not looked at.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when a seat's name cannot be made; a checked scenario has none
    /// of these.
    pub fn draw(scenario: &Scenario, seed: u64) -> Result<Self, ScenarioError> {
        let draw = Draw::new(seed);
        let workload = &scenario.workload;
        let seats = seats(workload)?;
        let owners = owners(draw, workload, &seats);
        let placements = placements(draw, workload, &owners);
        let mut asked = asked(draw, workload, &owners, &placements);
        let cases = owners
            .iter()
            .map(|(number, (owner, seat))| {
                let asked = asked.remove(number).unwrap_or_default();
                case(draw, *number, *owner, seat.clone(), asked)
            })
            .collect();
        let setting = &workload.rehearsal;
        let mut left_to_officers: BTreeMap<CountryCode, BTreeSet<String>> = BTreeMap::new();
        for country in [setting.late, setting.silent] {
            left_to_officers.entry(country).or_default().insert(setting.operation.clone());
        }
        Ok(Self {
            script: Script {
                operation: scenario.id.clone(),
                name: scenario.name.clone(),
                seed,
                seats,
                cases,
                reply_within: workload.reply_within(),
                rehearsal: Rehearsal {
                    operation: setting.operation.clone(),
                    asker: setting.asker,
                    late: setting.late,
                    silent: setting.silent,
                    reply_within: setting.reply_within(),
                },
            },
            registers: registers(draw, workload, &placements),
            policies: workload.countries.iter().map(|(code, setting)| (*code, setting.policy)).collect(),
            left_to_officers,
        })
    }

    /// The same plan with another law in one country: everybody stays where they are.
    pub fn with_policy(mut self, country: CountryCode, policy: Policy) -> Self {
        if let Some(place) = self.policies.get_mut(&country) {
            *place = policy;
        }
        self
    }

    /// A country's register as a bureau reads it: one entry a line, as JSON.
    pub fn register_file(&self, country: CountryCode) -> String {
        let entries = self.registers.get(&country).map_or(&[][..], Vec::as_slice);
        let mut file = String::new();
        for entry in entries {
            // Texts and lists of texts can always be written as JSON.
            if let Ok(line) = serde_json::to_string(entry) {
                file.push_str(&line);
                file.push('\n');
            }
        }
        file
    }
}

impl Script {
    /// How many requests officers send in the operation.
    pub fn requests(&self) -> usize {
        self.cases.iter().map(|case| case.asked.len()).sum()
    }

    /// How many final answers are owed to them.
    pub fn addressees(&self) -> usize {
        self.cases.iter().flat_map(|case| &case.asked).map(BTreeSet::len).sum()
    }
}

fn seats(workload: &Workload) -> Result<BTreeMap<CountryCode, Vec<Name>>, ScenarioError> {
    let name = |nth: u32| {
        format!("desk{nth}").parse::<Name>().map_err(|error| ScenarioError::Contradiction(error.to_string()))
    };
    workload
        .countries
        .iter()
        .map(|(code, setting)| Ok((*code, (1..=setting.seats).map(name).collect::<Result<_, _>>()?)))
        .collect()
}

/// Deals the cases to the seats, so that no seat has more than one case more than another.
fn owners(
    draw: Draw,
    workload: &Workload,
    seats: &BTreeMap<CountryCode, Vec<Name>>,
) -> BTreeMap<u32, (CountryCode, Name)> {
    let seats: Vec<(CountryCode, &Name)> =
        seats.iter().flat_map(|(code, names)| names.iter().map(|name| (*code, name))).collect();
    let dealt = draw.ranked("owner", 0, 1..=workload.cases);
    dealt
        .into_iter()
        .zip(seats.iter().cycle())
        .map(|(case, (code, name))| (case, (*code, (*name).clone())))
        .collect()
}

/// Puts exactly as many fugitives as the workload says where they can be found. A class without a
/// country that fits stays empty.
fn placements(
    draw: Draw,
    workload: &Workload,
    owners: &BTreeMap<u32, (CountryCode, Name)>,
) -> BTreeMap<u32, Placement> {
    let arrestable = |policy: Policy| policy == Policy::ArrestBasis;
    let classes = [
        (Known::CertainlyArrestable, workload.findable.arrest_basis),
        (Known::Certainly, workload.findable.elsewhere),
        (Known::Partly, workload.findable.partial),
    ];
    let ranked = draw.ranked("findable", 0, owners.keys().copied());
    let mut placements = BTreeMap::new();
    for (known, count) in classes {
        let mut left = count;
        for case in &ranked {
            let (Some((owner, _)), false) = (owners.get(case), placements.contains_key(case)) else {
                continue;
            };
            if left == 0 {
                break;
            }
            let fits = workload.countries.iter().filter(|(code, setting)| {
                *code != owner
                    && match known {
                        Known::CertainlyArrestable => arrestable(setting.policy),
                        Known::Certainly => !arrestable(setting.policy),
                        Known::Partly => true,
                    }
            });
            let there = draw.ranked("whereabouts", *case, fits.map(|(code, _)| *code));
            if let Some(country) = there.first() {
                placements.insert(*case, Placement { country: *country, known });
                left -= 1;
            }
        }
    }
    placements
}

/// Whom each request of each case goes to. Exactly as many addressees as the workload says; the
/// country where the fugitive is, if any, is one of them.
fn asked(
    draw: Draw,
    workload: &Workload,
    owners: &BTreeMap<u32, (CountryCode, Name)>,
    placements: &BTreeMap<u32, Placement>,
) -> BTreeMap<u32, Vec<BTreeSet<CountryCode>>> {
    let follow_ups = (workload.requests - workload.cases) as usize;
    let with_follow_up: BTreeSet<u32> =
        draw.ranked("follow-up", 0, owners.keys().copied()).into_iter().take(follow_ups).collect();
    let sizes = sizes(draw, workload, owners, &with_follow_up);
    let mut asked = BTreeMap::new();
    for (case, (owner, _)) in owners {
        let others = workload.countries.keys().copied().filter(|code| code != owner);
        let mut order = draw.ranked("asked", *case, others);
        let sizes: Vec<usize> = (0..2).map_while(|nth| sizes.get(&(*case, nth)).copied()).collect();
        if let Some(placement) = placements.get(case) {
            // The country where the fugitive is comes to stand at a drawn place among those asked.
            let total = u32::try_from(sizes.iter().sum::<usize>()).unwrap_or(1).max(1);
            let place = draw.below("found by", *case, total) as usize;
            order.retain(|code| *code != placement.country);
            order.insert(place.min(order.len()), placement.country);
        }
        let mut order = order.into_iter();
        let requests: Vec<BTreeSet<CountryCode>> =
            sizes.into_iter().map(|size| order.by_ref().take(size).collect()).collect();
        asked.insert(*case, requests);
    }
    asked
}

/// How many countries each request goes to: one each, then one more each in an order of chance, until
/// all addressees are given out. A case never asks more countries than there are others.
fn sizes(
    draw: Draw,
    workload: &Workload,
    owners: &BTreeMap<u32, (CountryCode, Name)>,
    with_follow_up: &BTreeSet<u32>,
) -> BTreeMap<(u32, usize), usize> {
    let others = workload.countries.len() - 1;
    let mut sizes: BTreeMap<(u32, usize), usize> = BTreeMap::new();
    for case in owners.keys() {
        sizes.insert((*case, 0), 1);
        if with_follow_up.contains(case) {
            sizes.insert((*case, 1), 1);
        }
    }
    let mut order: Vec<(u64, (u32, usize))> =
        sizes.keys().map(|(case, nth)| (draw.hash("addressees", *case, nth), (*case, *nth))).collect();
    order.sort_unstable();
    let mut left = (workload.addressees as usize).saturating_sub(sizes.len());
    while left > 0 {
        let before = left;
        for (_, (case, nth)) in &order {
            let of_case: usize = (0..2).filter_map(|nth| sizes.get(&(*case, nth))).sum();
            if left > 0 && of_case < others {
                *sizes.entry((*case, *nth)).or_default() += 1;
                left -= 1;
            }
        }
        if left == before {
            break; // nobody is left to ask
        }
    }
    sizes
}

fn case(
    draw: Draw,
    number: u32,
    owner: CountryCode,
    seat: Name,
    asked: Vec<BTreeSet<CountryCode>>,
) -> PlannedCase {
    let (month, day) =
        (1 + draw.below("warrant month", number, 12), 1 + draw.below("warrant day", number, 28));
    let year = 2004 + draw.below("warrant year", number, 6);
    PlannedCase {
        number,
        our_ref: format!("{owner}-IR-{number:04}"),
        owner,
        seat,
        person: fugitive(draw, number),
        charge: draw.pick("charge", number, &CHARGES),
        warrant_date: format!("{year}-{month:02}-{day:02}"),
        picture: picture(draw, number),
        asked,
    }
}

/// The fugitives where they were placed, among persons whom nobody looks for.
fn registers(
    draw: Draw,
    workload: &Workload,
    placements: &BTreeMap<u32, Placement>,
) -> BTreeMap<CountryCode, Vec<RegisterEntry>> {
    let mut registers: BTreeMap<CountryCode, Vec<RegisterEntry>> = workload
        .countries
        .keys()
        .map(|country| {
            let decoys = (0..workload.decoys).map(|nth| {
                let number = u32::MAX - nth;
                entry(draw, number, *country, decoy(draw, *country, nth))
            });
            (*country, decoys.collect())
        })
        .collect();
    for (case, placement) in placements {
        let person = fugitive(draw, *case);
        let known_as = match placement.known {
            Known::CertainlyArrestable | Known::Certainly => person,
            Known::Partly if draw.below("partly", *case, 2) == 0 => person.with_variant_forename(),
            Known::Partly => person.with_another_birth_day(),
        };
        let entry = entry(draw, *case, placement.country, known_as);
        registers.entry(placement.country).or_default().push(entry);
    }
    for entries in registers.values_mut() {
        entries.sort_by(|a, b| a.family_name.cmp(&b.family_name));
    }
    registers
}

fn entry(draw: Draw, number: u32, country: CountryCode, person: Person) -> RegisterEntry {
    let about = |what: &str, items: &'static [&'static str]| -> String {
        let hash = draw.hash(what, number, country) % items.len() as u64;
        items[usize::try_from(hash).unwrap_or(0)].to_owned()
    };
    RegisterEntry {
        family_name: person.family_name,
        forename: person.forename,
        date_of_birth: person.date_of_birth,
        sex: if person.female { "F" } else { "M" }.to_owned(),
        nationalities: vec![person.nationality],
        files: vec![about("file", &FILES)],
        place: member(country).map_or_else(String::new, |member| member.city.to_owned()),
        note: about("note", &NOTES),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
