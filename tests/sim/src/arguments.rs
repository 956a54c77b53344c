//! What the program is asked for.

use std::ops::Range;
use std::path::PathBuf;

use crate::plants::Plant;

/// How it is called.
pub(crate) const USAGE: &str = "\
i247-sim [--seeds FIRST..END | --seed N | --check-determinism COUNT] [--jobs N] [--keep DIR] [--log LEVEL] [--ci] [--first] \
[--plant BUG]";

/// What the program is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) seeds: Range<u64>,
    pub(crate) work: Work,
    pub(crate) jobs: u64,
    /// Where failing seeds leave their histories.
    pub(crate) keep: PathBuf,
    /// What nodes log to standard error.
    pub(crate) log: Option<String>,
    /// Every kind of fault must strike.
    pub(crate) ci: bool,
    /// Stop at the first seed that fails.
    pub(crate) first: bool,
    /// A bug on purpose.
    pub(crate) plant: Plant,
}

/// What is done with the seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// All are played.
    Seeds,
    /// Each twice, to be compared.
    Twice,
    /// One, with its whole history.
    One,
    /// One, for the process that asked for it.
    Tell,
}

impl Arguments {
    /// Reads the arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self {
            seeds: 0..300,
            work: Work::Seeds,
            jobs: 2,
            keep: std::env::temp_dir().join("i247-sim"),
            log: None,
            ci: false,
            first: false,
            plant: Plant::Nothing,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--ci" => asked.ci = true,
                "--first" => asked.first = true,
                _ => {}
            }
            if ["--ci", "--first"].contains(&name.as_str()) {
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--seeds" => asked.seeds = range(&value)?,
                "--seed" => (asked.seeds, asked.work) = (one(&value)?, Work::One),
                "--tell" => (asked.seeds, asked.work) = (one(&value)?, Work::Tell),
                "--check-determinism" => (asked.seeds, asked.work) = (0..number(&value)?, Work::Twice),
                "--jobs" => asked.jobs = number(&value)?.max(1),
                "--plant" => asked.plant = plant(&value)?,
                "--keep" => asked.keep = value.into(),
                "--log" => asked.log = Some(value),
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(asked)
    }
}

fn plant(text: &str) -> Result<Plant, String> {
    let known = || Plant::ALL.map(Plant::name).join(", ");
    Plant::ALL
        .into_iter()
        .find(|plant| plant.name() == text)
        .ok_or_else(|| format!("{text} is none of {}", known()))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or_else(|| format!("{text} is not FIRST..END"))?;
    Ok(number(first)?..number(end)?)
}

fn one(text: &str) -> Result<Range<u64>, String> {
    let seed = number(text)?;
    Ok(seed..seed.saturating_add(1))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(parse("--seeds 5..9 --ci").unwrap().seeds, 5..9);
        assert_eq!(parse("--seed 7").unwrap().seeds, 7..8);
        assert_eq!(parse("--check-determinism 3").unwrap().work, Work::Twice);
        assert!(parse("--seeds five").is_err());
        assert!(parse("--colour red").is_err());
        assert_eq!(parse("--plant lost-names").unwrap().plant, Plant::LostNames);
        assert!(parse("--plant roses").is_err());
    }
}
