//! The messages that officers send, as the command line has them. `explain` takes the same flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use i247_client::pb;
use i247_model::{Colour, CountryCode};
use i247_node::config::Period;

use crate::args::country;

const AFTER_NOTICE: &str = "\
The secretariat examines the request; approved, its notice goes to all members but those under --except.

Examples:
  i247 notice red --template > form.toml
  i247 notice red --file form.toml --attach photo.png
  i247 notice red --file form.toml --addendum-to FR-1-N-12";

const AFTER_DIFFUSE: &str = "\
Example:
  i247 diffuse Europe,MA --colour blue --file form.toml --except CH";

const AFTER_ASK: &str = "\
Examples:
  i247 ask BR,JP --about \"fugitive wanted for fraud\" --name Marlowe --born 1987-03-22 --within 12h
  i247 ask BR --about \"seen at the border?\" --notice 2010/1 --question entry-exit --lane urgent";

const AFTER_REPLY: &str = "\
Examples:
  i247 reply BR-1-U-3 --negative --searched criminal_records,entry_exit
  i247 reply BR-1-U-3 --positive \"Entered by road on 28 April under the same identity\"
  i247 reply BR-1-U-3 --interim --expected 12h
  i247 reply BR-1-U-3 --refuse \"national interest\"";

#[derive(Debug, Subcommand)]
pub(crate) enum Message {
    /// Ask the secretariat for a notice, or for an addendum to one
    #[command(after_help = AFTER_NOTICE)]
    Notice(NoticeArgs),
    /// Send a diffusion, the bureau's own circular, to chosen countries
    #[command(after_help = AFTER_DIFFUSE)]
    Diffuse(DiffuseArgs),
    /// Ask countries to check their records
    #[command(after_help = AFTER_ASK)]
    Ask(AskArgs),
    /// Answer a request
    #[command(after_help = AFTER_REPLY)]
    Reply(ReplyArgs),
    /// Take back a diffusion, or a notice that this country asked for
    Withdraw(WithdrawArgs),
    /// Report that the subject of a received notice was located
    Locate(LocateArgs),
    /// Report that the subject of a received notice was arrested
    Arrest(ArrestArgs),
    /// Tell what this country decided to do about a received notice, under its own law
    Decide(DecideArgs),
    /// Bar countries from all that this country owns, from now on; replaces the list before
    Restrict(RestrictArgs),
    /// Send words that fit no form
    Text(TextArgs),
}

/// What every message may carry.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// The operation that it belongs to, such as infra-red-2010
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// How urgent it is; what answers another message takes that one's lane
    #[arg(long)]
    pub(crate) lane: Option<LaneArg>,
    /// A file to attach; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
    /// Subject line
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Our own reference
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) our_ref: Option<String>,
    /// EN, FR, ES or AR
    #[arg(long, default_value = "EN")]
    pub(crate) language: String,
    /// A condition on its use, such as CONTACT_SOURCE_BEFORE_ACTION; may be given several times
    #[arg(long)]
    pub(crate) handling: Vec<String>,
    /// The entry that `explain` named: `status` then tells who came to the recipients or went since
    #[arg(long, value_name = "ENTRY")]
    pub(crate) explained_at: Option<u64>,
    /// Be refused rather than reach others than `explain` named
    #[arg(long, requires = "explained_at")]
    pub(crate) exactly: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LaneArg {
    /// Answered within the hour
    #[value(alias = "v")]
    VeryUrgent,
    /// Answered within twelve hours
    #[value(alias = "u")]
    Urgent,
    /// Answered within ten days
    #[value(alias = "n")]
    Normal,
    /// Loads of records
    #[value(alias = "b")]
    Bulk,
}

impl LaneArg {
    pub(crate) fn wire(self) -> pb::Lane {
        match self {
            Self::VeryUrgent => pb::Lane::VeryUrgent,
            Self::Urgent => pb::Lane::Urgent,
            Self::Normal => pb::Lane::Normal,
            Self::Bulk => pb::Lane::Bulk,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NoticeArgs {
    /// red, yellow, blue, green, orange, purple or black
    pub(crate) colour: Colour,
    /// The form, TOML or JSON; - reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "template")]
    pub(crate) file: Option<PathBuf>,
    /// Print an empty form with comments, and end
    #[arg(long)]
    pub(crate) template: bool,
    /// Countries that must not receive the notice
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', value_parser = country)]
    pub(crate) except: Vec<CountryCode>,
    /// The earlier request, when this adds to its notice
    #[arg(long, value_name = "ID")]
    pub(crate) addendum_to: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct To {
    /// Countries (FR), regions (Europe, Africa, Americas, Asia-Pacific, MENA), IPSG, or all; with commas
    #[arg(value_name = "RECIPIENTS")]
    pub(crate) to: String,
    /// Countries that must not receive it, whatever else is said
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', value_parser = country)]
    pub(crate) except: Vec<CountryCode>,
    /// Copies for information, to countries or IPSG
    #[arg(long = "copy", value_name = "PARTIES", value_delimiter = ',')]
    pub(crate) copies: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffuseArgs {
    #[command(flatten)]
    pub(crate) to: To,
    /// red, yellow, blue, green, orange, purple or black
    #[arg(long)]
    pub(crate) colour: Colour,
    /// The form, TOML or JSON; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) to: To,
    /// What it is about, and why it is asked
    #[arg(long, value_name = "TEXT")]
    pub(crate) about: String,
    /// Family name, or "Family name, Forename", of the person asked about
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Date of birth: YYYY, YYYY-MM or YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) born: Option<String>,
    /// Nationalities
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', value_parser = country)]
    pub(crate) nationality: Vec<CountryCode>,
    /// What is asked about: record, address, entry-exit, vehicle, phone, bank, company, photo, prints, other
    #[arg(long, value_name = "QUESTIONS", value_delimiter = ',', default_value = "record")]
    pub(crate) question: Vec<QuestionArg>,
    /// The notice that it is about, such as 2010/1
    #[arg(long, value_name = "NUMBER")]
    pub(crate) notice: Option<String>,
    /// Field of crime, such as FINANCIAL
    #[arg(long, value_name = "AREA")]
    pub(crate) crime_area: Option<String>,
    /// When the answer is due: 90m, 12h, 10d. As the lane asks unless said otherwise
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<Period>,
    /// Answers may go to everybody who was asked
    #[arg(long)]
    pub(crate) reply_to_all: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum QuestionArg {
    Record,
    Address,
    EntryExit,
    Vehicle,
    Phone,
    Bank,
    Company,
    Photo,
    Prints,
    Other,
}

impl QuestionArg {
    pub(crate) fn wire(self) -> pb::Question {
        match self {
            Self::Record => pb::Question::Record,
            Self::Address => pb::Question::Address,
            Self::EntryExit => pb::Question::EntryExit,
            Self::Vehicle => pb::Question::Vehicle,
            Self::Phone => pb::Question::Phone,
            Self::Bank => pb::Question::Bank,
            Self::Company => pb::Question::Company,
            Self::Photo => pb::Question::Photo,
            Self::Prints => pb::Question::Prints,
            Self::Other => pb::Question::Other,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReplyArgs {
    /// The request, or a prefix that only it has
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) outcome: OutcomeArgs,
    /// What was found, or why the answer is refused
    pub(crate) words: Option<String>,
    /// The files that were searched
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    pub(crate) searched: Vec<String>,
    /// When the final answer is expected (with --interim)
    #[arg(long, value_name = "TIME", requires = "interim")]
    pub(crate) expected: Option<Period>,
    /// Answer everybody who was asked, where the request allows it
    #[arg(long)]
    pub(crate) to_all: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// One of these must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "clap's way to say: one of these flags")]
pub(crate) struct OutcomeArgs {
    /// Something was found
    #[arg(long)]
    pub(crate) positive: bool,
    /// Nothing was found
    #[arg(long)]
    pub(crate) negative: bool,
    /// Something was found, but not all that was asked
    #[arg(long)]
    pub(crate) partial: bool,
    /// The final answer will follow
    #[arg(long)]
    pub(crate) interim: bool,
    /// No answer is given
    #[arg(long)]
    pub(crate) refuse: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The diffusion or notice request, or a prefix that only it has
    pub(crate) id: String,
    /// Why; everybody who has it is told
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct LocateArgs {
    /// The notice as it was received, or a prefix that only it has
    pub(crate) id: String,
    /// Perhaps the same person, not surely
    #[arg(long)]
    pub(crate) possibly: bool,
    /// Where
    #[arg(long)]
    pub(crate) place: String,
    /// What is proposed
    #[arg(long, default_value = "")]
    pub(crate) measure: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct ArrestArgs {
    /// The notice as it was received, or a prefix that only it has
    pub(crate) id: String,
    /// Where
    #[arg(long)]
    pub(crate) place: String,
    /// How the identity was established
    #[arg(long, value_name = "TEXT")]
    pub(crate) identity_proof: String,
    /// When the extradition papers must be there
    #[arg(long, value_name = "TIME", default_value = "40d")]
    pub(crate) papers_within: Period,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The notice as it was received, or a prefix that only it has
    pub(crate) id: String,
    /// What the country's law lets the notice do there
    #[arg(long)]
    pub(crate) measure: MeasureArg,
    /// Object to the notice, and say why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) objection: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What a country does about a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum MeasureArg {
    /// Provisional arrest is possible on the notice alone
    ArrestBasis,
    /// Locate and inform; arrest only on a formal request
    WarrantFirst,
    /// Locate and inform, no more
    LocateOnly,
    /// Refuse entry or remove
    ImmigrationOnly,
}

impl MeasureArg {
    pub(crate) fn wire(self) -> pb::NationalPolicy {
        match self {
            Self::ArrestBasis => pb::NationalPolicy::ArrestBasis,
            Self::WarrantFirst => pb::NationalPolicy::WarrantFirst,
            Self::LocateOnly => pb::NationalPolicy::LocateOnly,
            Self::ImmigrationOnly => pb::NationalPolicy::ImmigrationOnly,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RestrictArgs {
    /// The countries that are barred
    #[arg(value_name = "COUNTRIES", value_delimiter = ',', value_parser = country)]
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub(crate) countries: Vec<CountryCode>,
    /// Bar nobody any more
    #[arg(long)]
    pub(crate) none: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct TextArgs {
    #[command(flatten)]
    pub(crate) to: To,
    /// The words; - reads standard input
    pub(crate) words: String,
    /// The message that it refers to
    #[arg(long, value_name = "ID")]
    pub(crate) about: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Message {
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Notice(args) => &args.common,
            Self::Diffuse(args) => &args.common,
            Self::Ask(args) => &args.common,
            Self::Reply(args) => &args.common,
            Self::Withdraw(args) => &args.common,
            Self::Locate(args) => &args.common,
            Self::Arrest(args) => &args.common,
            Self::Decide(args) => &args.common,
            Self::Restrict(args) => &args.common,
            Self::Text(args) => &args.common,
        }
    }
}
