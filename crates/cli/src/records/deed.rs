//! What a file of records is for: loaded, changed, kept from others than before, withdrawn. Whatever it is, it takes the way
//! of every load.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use i247_model::CountryCode;
use i247_records::Database;
use i247_records::record::{Change, Record};

use super::load::{Loaded, code, load_at, told};
use super::{Format, LoadArgs, summary};
use crate::fail::Fail;
use crate::out;
use crate::session::Session;

/// What is done to each record of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// It is not there yet.
    Add,
    /// It now stands as in the file.
    Change,
    /// These must not see it; without them those that the file names.
    Restrict(Vec<CountryCode>),
    /// It goes.
    Withdraw,
}

impl Deed {
    /// The change that does it to this record.
    pub(super) fn of(&self, record: Record) -> Change {
        match self {
            Self::Add => Change::Add(record),
            Self::Change => Change::Change(record),
            Self::Restrict(except) if except.is_empty() => Change::Restrict(record),
            Self::Restrict(except) => Change::Restrict(record.with_except(except.clone())),
            Self::Withdraw => Change::Withdraw(record.name()),
        }
    }

    /// What tells the same file apart when something else is done with it; nothing for a load.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Add => String::new(),
            Self::Change => "change".to_owned(),
            Self::Withdraw => "withdraw".to_owned(),
            Self::Restrict(except) => {
                let mut codes: Vec<&str> = except.iter().map(CountryCode::as_str).collect();
                codes.sort_unstable();
                format!("restrict {}", codes.join(" "))
            }
        }
    }
}

/// A file, and what is to be done with it.
#[derive(Clone, Debug)]
pub(crate) struct FileOf {
    pub(crate) database: Database,
    pub(crate) file: PathBuf,
    pub(crate) format: Option<Format>,
    pub(crate) no_wait: bool,
    pub(crate) deed: Deed,
    /// It was done before, and is done once more: drawn at random, so that it is not taken for what was done.
    pub(crate) again: Option<[u8; 16]>,
}

impl From<&LoadArgs> for FileOf {
    fn from(args: &LoadArgs) -> Self {
        Self {
            database: args.database,
            file: args.file.clone(),
            format: args.format,
            no_wait: args.no_wait,
            deed: Deed::Add,
            again: None,
        }
    }
}

/// A file in the place of one record.
#[derive(Debug, Args)]
pub(super) struct FromArgs {
    /// Every record of a file as `load` reads it, instead of one. Wrong lines are set aside in FILE.bad; broken off and run
    /// again, it goes on where it was
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(super) from: Option<PathBuf>,
    /// How the file is written; by its name without this
    #[arg(long, requires = "from")]
    format: Option<Format>,
    /// End when everything is durable at the bureau, without waiting for the hub
    #[arg(long, requires = "from")]
    no_wait: bool,
    /// Do it once more although it was done with this file before
    #[arg(long, requires = "from")]
    again: bool,
}

impl FromArgs {
    /// Does it with the file, if there is one.
    pub(super) async fn run(
        &self,
        database: Database,
        deed: Deed,
        session: &Session,
    ) -> Option<Result<ExitCode, Fail>> {
        let file = self.from.clone()?;
        let again = self.again.then(|| {
            let mut again = [0; 16];
            session.seams.dice.fill(&mut again);
            again
        });
        let of = FileOf { database, file, format: self.format, no_wait: self.no_wait, deed, again };
        Some(run(&of, session).await)
    }
}

/// Does it, and says what came of it.
pub(super) async fn run(of: &FileOf, session: &Session) -> Result<ExitCode, Fail> {
    let desk = session.desk()?;
    let Loaded { status, bad } =
        load_at(&desk, of, &session.seams.clock, &mut |words| out::talk(words)).await?;
    out::answer(session, || summary(&status, bad), || told(&status));
    Ok(code(&status, bad))
}
