//! Whether two persons may be one: the words of their names are laid side by side, births beside births, and every
//! difference is a reason with its cost.
//!
//! A pure function of the question and the person. Neither who else is in the index nor how often a name occurs
//! changes a score, so nobody's presence can be read from the score of another.

use super::likeness::likeness;
use super::name::{Name, Word};
use super::reason::{Likeness, Reason};
use super::{Match, Part, Person, Query, SCORE_MAX};

/// How a person fits a question; nothing if the score is below what it asks for.
pub fn compare(query: &Query, person: &Person) -> Option<Match> {
    let mut reasons = vec![birth(query, person)];
    reasons.extend(nationality(query, person));
    let spent: u16 = reasons.iter().map(|reason| reason.cost()).sum();
    let left = SCORE_MAX.checked_sub(spent)?.checked_sub(query.at_least)?;
    let (alias, mut found) = person
        .names
        .iter()
        .enumerate()
        .filter_map(|(at, name)| Some((at > 0, names(&query.name, name, left)?)))
        .min_by_key(|(alias, reasons)| (cost(reasons), *alias))?;
    if alias {
        found.push(Reason::Alias);
    }
    let score = SCORE_MAX - spent - cost(&found);
    found.extend(reasons);
    Some(Match { locator: person.locator, score, reasons: found })
}

fn cost(reasons: &[Reason]) -> u16 {
    reasons.iter().map(|reason| reason.cost()).fold(0, u16::saturating_add)
}

fn birth(query: &Query, person: &Person) -> Reason {
    let agreements =
        query.birth.iter().flat_map(|asked| person.births.iter().map(|birth| asked.agreement(*birth)));
    agreements.min_by_key(|agreement| agreement.cost()).map_or(Reason::BirthUnknown, Reason::Birth)
}

fn nationality(query: &Query, person: &Person) -> Option<Reason> {
    let asked = query.nationality.filter(|_| !person.nationalities.is_empty())?;
    Some(if person.nationalities.contains(&asked) {
        Reason::SameNationality
    } else {
        Reason::OtherNationality
    })
}

/// What speaks for and against two names being one, if it costs no more than `left`.
fn names(asked: &Name, recorded: &Name, left: u16) -> Option<Vec<Reason>> {
    let table = Pairs::of(asked, recorded)?;
    let steps = table.cheapest(asked, recorded);
    let mut reasons = Vec::with_capacity(steps.len() + 4);
    let (mut only_asked, mut taken) = (Vec::new(), 0_u32);
    let mut exchanged = false;
    let mut agreeing = 0;
    for step in &steps {
        let (word, likeness, places, joined) = match *step {
            Step::Leave(word) if asked.words[word].may_be_particle_of(recorded) => {
                reasons.push(Reason::Particle);
                continue;
            }
            Step::Leave(word) => {
                only_asked.push(asked.words[word].part);
                continue;
            }
            Step::Pair(word, place, likeness) => (word, likeness, 1 << place, false),
            Step::AskedJoined(word, place, likeness) => (word, likeness, 1 << place, true),
            Step::RecordedJoined(word, place, likeness) => (word, likeness, 3 << place, true),
        };
        let part = asked.words[word].part;
        let place: u32 = u32::trailing_zeros(places);
        exchanged |= is_exchanged(part, recorded.words[place as usize].part);
        taken |= places;
        agreeing += 1;
        reasons.push(Reason::Word { part, likeness });
        reasons.extend(joined.then_some(Reason::WrittenTogether));
    }
    if agreeing == 0 {
        return None;
    }
    let over = recorded.words.iter().enumerate().filter(|(at, _)| taken & 1 << at == 0);
    let (particles, only_recorded): (Vec<&Word>, Vec<&Word>) =
        over.map(|(_, word)| word).partition(|word| word.may_be_particle_of(asked));
    reasons.extend(particles.iter().map(|_| Reason::Particle));
    let only_recorded = only_recorded.iter().map(|word| word.part).collect();
    if exchanged {
        reasons.push(Reason::PartsExchanged);
        only_asked.iter_mut().for_each(|part| *part = other_part(*part));
    }
    leftovers(only_asked, only_recorded, &mut reasons);
    if agreeing == 1 && !reasons.iter().any(|reason| matches!(reason, Reason::Other(_))) {
        reasons.push(Reason::OneWordOnly);
    }
    (cost(&reasons) <= left).then_some(reasons)
}

fn is_exchanged(asked: Part, recorded: Part) -> bool {
    matches!((asked, recorded), (Part::Surname, Part::Given) | (Part::Given, Part::Surname))
}

fn other_part(part: Part) -> Part {
    match part {
        Part::Surname => Part::Given,
        Part::Given => Part::Surname,
        Part::Patronymic | Part::Any => part,
    }
}

/// Words without a counterpart: where both sides have one, they contradict each other.
fn leftovers(asked: Vec<Part>, mut recorded: Vec<Part>, reasons: &mut Vec<Reason>) {
    for part in asked {
        let same = recorded.iter().position(|other| *other == part);
        let other = same.or_else(|| recorded.iter().position(|other| contradicts(part, *other)));
        let Some(other) = other else {
            reasons.push(Reason::NotRecorded(part));
            continue;
        };
        recorded.remove(other);
        reasons.push(Reason::Other(part));
    }
    reasons.extend(recorded.into_iter().map(Reason::NotAsked));
}

fn contradicts(asked: Part, recorded: Part) -> bool {
    match (asked, recorded) {
        // A given name that only agrees with a father's name leaves the other father's name over.
        (Part::Patronymic, other) | (other, Part::Patronymic) => {
            matches!(other, Part::Patronymic | Part::Given)
        }
        (Part::Any, _) | (_, Part::Any) => true,
        (asked, recorded) => asked == recorded,
    }
}

/// What a word without a counterpart costs while names are laid side by side: half of what two words cost that
/// contradict each other, so that words are paired wherever they can be. What it really costs is seen at the end.
const LEFT: u16 = 140;

/// One step in laying two names side by side. The first number is the word asked for, the second the place of its
/// counterpart in the record.
#[derive(Debug, Clone, Copy)]
enum Step {
    Leave(usize),
    Pair(usize, usize, Likeness),
    AskedJoined(usize, usize, Likeness),
    RecordedJoined(usize, usize, Likeness),
}

/// Which words of one name may be which of the other.
struct Pairs {
    steps: Vec<Vec<Step>>,
}

impl Pairs {
    /// Nothing if no word of one is any of the other.
    fn of(asked: &Name, recorded: &Name) -> Option<Self> {
        let (a, b) = (&asked.words, &recorded.words);
        let joined_a = joined(a);
        let joined_b = joined(b);
        let mut steps = Vec::with_capacity(a.len());
        for (i, word) in a.iter().enumerate() {
            let mut of_word = vec![Step::Leave(i)];
            for (j, other) in b.iter().enumerate() {
                of_word.extend(likeness(word, other).map(|likeness| Step::Pair(i, j, likeness)));
                let one = joined_a.get(i).and_then(Option::as_ref);
                of_word.extend(as_one(one, other).map(|likeness| Step::AskedJoined(i, j, likeness)));
                let one = joined_b.get(j).and_then(Option::as_ref);
                of_word.extend(as_one(one, word).map(|likeness| Step::RecordedJoined(i, j, likeness)));
            }
            steps.push(of_word);
        }
        steps.iter().any(|of_word| of_word.len() > 1).then_some(Self { steps })
    }

    /// The steps that cost least, over all ways to lay the names side by side. Names are short, so all of them are
    /// tried: `least[i][taken]` is the cost from word `i` on when the places in `taken` have their counterpart.
    fn cheapest(&self, asked: &Name, recorded: &Name) -> Vec<Step> {
        let (n, m) = (asked.words.len(), recorded.words.len());
        let sets = 1_usize << m;
        let mut least = vec![(0_u16, 0_u8); (n + 1) * sets];
        for (taken, (cost, _)) in least[n * sets..].iter_mut().enumerate() {
            *cost = LEFT * u16::try_from(m - taken.count_ones() as usize).unwrap_or(u16::MAX);
        }
        for i in (0..n).rev() {
            for taken in 0..sets {
                let mut best = (u16::MAX, 0);
                for (at, step) in self.steps[i].iter().enumerate() {
                    let Some((cost, next, then)) = step_from(*step, taken, asked, recorded) else { continue };
                    let cost = cost.saturating_add(least[next * sets + then].0);
                    if cost < best.0 {
                        best = (cost, u8::try_from(at).unwrap_or(u8::MAX));
                    }
                }
                least[i * sets + taken] = best;
            }
        }
        let (mut i, mut taken) = (0, 0);
        let mut steps = Vec::with_capacity(n);
        while i < n {
            let step = self.steps[i][usize::from(least[i * sets + taken].1)];
            steps.push(step);
            let Some((_, next, then)) = step_from(step, taken, asked, recorded) else { break };
            (i, taken) = (next, then);
        }
        steps
    }
}

/// What a step costs, the next word and the places taken after it; nothing if its place is taken.
fn step_from(step: Step, taken: usize, asked: &Name, recorded: &Name) -> Option<(u16, usize, usize)> {
    let together = Reason::WrittenTogether.cost();
    let (word, place, places, cost, read) = match step {
        Step::Leave(i) => return Some((LEFT, i + 1, taken)),
        Step::Pair(i, j, likeness) => (i, j, 1 << j, likeness.cost(), 1),
        Step::AskedJoined(i, j, likeness) => (i, j, 1 << j, likeness.cost() + together, 2),
        Step::RecordedJoined(i, j, likeness) => (i, j, 3 << j, likeness.cost() + together, 1),
    };
    // Of two ways that cost the same, the one that exchanges nothing.
    let exchanged = u16::from(is_exchanged(asked.words[word].part, recorded.words[place].part));
    (taken & places == 0).then_some((cost + exchanged, word + read, taken | places))
}

/// Each word with the one after it, where they are of the same part.
fn joined(words: &[Word]) -> Vec<Option<Word>> {
    words.windows(2).map(|two| (two[0].part == two[1].part).then(|| two[0].joined(&two[1]))).collect()
}

/// How alike two words written as one are to a word. Otherwise they are spelt nearly the same, or it is chance.
fn as_one(two: Option<&Word>, word: &Word) -> Option<Likeness> {
    let two = two.filter(|two| {
        two.printed.len().abs_diff(word.printed.len()) <= 3 || word.unvowelled != two.unvowelled
    })?;
    likeness(two, word).filter(|likeness| *likeness != Likeness::Initial && likeness.cost() <= 90)
}

#[cfg(test)]
mod tests {
    use super::super::Birth;
    use super::*;

    fn on(day: &str) -> Option<Birth> {
        Some(Birth::on(day.parse().unwrap()))
    }

    fn person(surname: &str, given: &str, birth: Option<Birth>) -> Person {
        let name = Name::new(surname, given).unwrap();
        Person::new(1, vec![name], birth.into_iter().collect(), Vec::new()).unwrap()
    }

    fn query(name: Name, birth: Option<Birth>) -> Query {
        Query { at_least: 0, ..Query::new(name, birth) }
    }

    /// The score and the reasons of a question about parts and a birth, in words.
    fn asked(surname: &str, given: &str, day: &str, of: &Person) -> String {
        let found = compare(&query(Name::new(surname, given).unwrap(), on(day)), of);
        found.map_or_else(|| "nobody".into(), |found| format!("{} {found}", found.score))
    }

    #[test]
    fn who_is_the_same_in_everything_has_a_thousand_points() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        assert_eq!(
            asked("Doranov", "Ivan", "1975-03-12", &of),
            "1000 surname exact, given name exact, born the same day"
        );
    }

    #[test]
    fn a_letter_costs_by_the_length_of_the_word() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        // One letter of seven, a share of 142 in 1000: 28 for the share and 26 for its square.
        assert_eq!(
            asked("Doralov", "Ivan", "1975-03-12", &of),
            "946 surname spelt alike (1 letter), given name exact, born the same day"
        );
    }

    #[test]
    fn a_birth_costs_by_how_it_agrees() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        let birth = |day: &str| asked("Doranov", "Ivan", day, &of);
        assert_eq!(
            birth("1975-12-03"),
            "940 surname exact, given name exact, born the same day, day and month exchanged"
        );
        assert_eq!(
            birth("1975-03-17"),
            "920 surname exact, given name exact, day of birth alike (one digit)"
        );
        assert_eq!(
            birth("1975-11-30"),
            "730 surname exact, given name exact, born the same year, another day"
        );
        assert_eq!(birth("1999-11-30"), "500 surname exact, given name exact, born another time");
        let unknown = compare(&query(Name::new("Doranov", "Ivan").unwrap(), None), &of).unwrap();
        assert_eq!(
            format!("{} {unknown}", unknown.score),
            "830 surname exact, given name exact, birth not known"
        );
    }

    #[test]
    fn the_order_of_the_parts_hardly_matters() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        assert_eq!(
            asked("Ivan", "Doranov", "1975-03-12", &of),
            "980 surname exact, given name exact, surname and given name exchanged, born the same day"
        );
        let whole = compare(&query(Name::whole("Ivan Doranov").unwrap(), on("1975-03-12")), &of).unwrap();
        assert_eq!(format!("{} {whole}", whole.score), "1000 name exact, name exact, born the same day");
    }

    #[test]
    fn what_is_missing_costs_less_than_what_contradicts() {
        let of = person("García López", "Ana María", on("1975-03-12"));
        assert_eq!(
            asked("García", "Ana", "1975-03-12", &of),
            "900 surname exact, given name exact, the record has a further surname, the record has a further given name, \
             born the same day"
        );
        assert_eq!(
            asked("García Moreno", "Ana María", "1975-03-12", &of),
            "700 surname exact, given name exact, given name exact, another surname, born the same day"
        );
        assert_eq!(
            asked("García López", "Elena", "1975-03-12", &of),
            "660 surname exact, surname exact, another given name, the record has a further given name, born the same day"
        );
    }

    #[test]
    fn one_name_only_is_little_to_go_by() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        assert_eq!(
            asked("Doranov", "", "1975-03-12", &of),
            "810 surname exact, the record has a further given name, one name only to go by, born the same day"
        );
    }

    #[test]
    fn a_patronymic_may_be_missing_and_may_contradict() {
        let of = person("Doranov", "Ivan Petrovich", on("1975-03-12"));
        assert_eq!(
            asked("Doranov", "Ivan", "1975-03-12", &of),
            "980 surname exact, given name exact, the record has a further patronymic, born the same day"
        );
        assert_eq!(
            asked("Doranov", "Ivan Sergeevich", "1975-03-12", &of),
            "890 surname exact, given name exact, another patronymic, born the same day"
        );
    }

    #[test]
    fn words_written_as_one_are_still_found() {
        let of = person("Lin", "Xiao Ming", on("1975-03-12"));
        assert_eq!(
            asked("Lin", "Xiaoming", "1975-03-12", &of),
            "990 surname exact, given name exact, two words written as one, born the same day"
        );
        let of = person("Lin", "Xiaoming", on("1975-03-12"));
        assert_eq!(
            asked("Lin", "Xiao-Ming", "1975-03-12", &of),
            "990 surname exact, given name exact, two words written as one, born the same day"
        );
    }

    #[test]
    fn a_particle_with_a_wrong_letter_is_no_other_surname() {
        let of = person("von der Aue", "Else", on("1975-03-12"));
        assert_eq!(
            asked("von dr Aue", "Else", "1975-03-12", &of),
            "980 a particle alike, surname exact, given name exact, born the same day"
        );
        assert_eq!(
            asked("Aue Dor", "Else", "1975-03-12", &person("Aue", "Else", on("1975-03-12"))),
            "940 surname exact, given name exact, a surname is not in the record, born the same day"
        );
    }

    #[test]
    fn an_alias_counts_like_a_name_and_is_named() {
        let names = vec![Name::new("Doranov", "Ivan").unwrap(), Name::new("Belkin", "Oleg").unwrap()];
        let of = Person::new(1, names, on("1975-03-12").into_iter().collect(), Vec::new()).unwrap();
        assert_eq!(
            asked("Belkin", "Oleg", "1975-03-12", &of),
            "1000 surname exact, given name exact, under an alias, born the same day"
        );
    }

    #[test]
    fn another_nationality_counts_only_if_both_are_known() {
        let name = || Name::new("Doranov", "Ivan").unwrap();
        let with = |nationalities: &[&str]| {
            let nationalities = nationalities.iter().map(|code| code.parse().unwrap()).collect();
            Person::new(1, vec![name()], Vec::new(), nationalities).unwrap()
        };
        let asked = Query { nationality: Some("BG".parse().unwrap()), ..query(name(), None) };
        let score = |of: &Person| compare(&asked, of).unwrap().score;
        assert_eq!(score(&with(&[])), 830);
        assert_eq!(score(&with(&["RO", "BG"])), 830);
        assert_eq!(score(&with(&["RO"])), 780);
    }

    #[test]
    fn a_score_is_a_thousand_less_what_the_reasons_cost() {
        let of = person("Doranov", "Ivan Petrovich", on("1975-03-12"));
        let found = compare(&query(Name::whole("Dornov Iwan").unwrap(), on("1975-03-21")), &of).unwrap();
        assert_eq!(found.score, 1000 - found.reasons.iter().map(|reason| reason.cost()).sum::<u16>());
    }

    #[test]
    fn nobody_is_found_by_a_name_that_has_no_word_in_common() {
        let of = person("Doranov", "Ivan", on("1975-03-12"));
        assert_eq!(asked("Castellet", "Pilar", "1975-03-12", &of), "nobody");
    }

    #[test]
    fn the_longest_names_are_compared_all_the_same() {
        let ten = "bada cefe digi folo gumu hana jepe kiri loso mutu";
        let of = person(ten, "", on("1975-03-12"));
        assert!(asked(ten, "", "1975-03-12", &of).starts_with("1000 "));
    }
}
