//! The command line: every verb with its help. It reads words and files nothing; what they mean is the verbs' own
//! business.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use i247_model::CountryCode;

use crate::authority::AuthorityCommand;
use crate::check::CheckArgs;
use crate::console::ConsoleArgs;
use crate::context::ContextCommand;
use crate::demo::DemoArgs;
use crate::fail::Fail;
use crate::hits::{HitCommand, HitsArgs};
use crate::ledger::LedgerCommand;
use crate::message::Message;
use crate::mind::MindCommand;
use crate::operator::OperationCommand;
use crate::out;
use crate::post::PostCommand;
use crate::records::RecordsCommand;
use crate::review::ReviewCommand;
use crate::scenario::ScenarioCommand;
use crate::services::{BureauArgs, HubArgs};
use crate::watch::{TapArgs, TopArgs};

const ABOUT: &str = "A simulated I-24/7: a secure police network of one hub and many bureaus";

const LONG_ABOUT: &str = "\
A simulated I-24/7: a secure police network of one hub and many national bureaus.

It is a simulation, not affiliated with INTERPOL; all persons and cases are invented.

Officers speak to the desk of their own bureau, reviewers and operators to the hub. Which one, and under which \
identity, is said by a context: `i247 context list` shows those that there are, `--as FR` takes the one that leads \
to France's desk.";

/// Heading of what every verb understands.
const EVERYWHERE: &str = "Everywhere";

const AFTER_HELP: &str = "\
Message ids may be shortened to a prefix that only one message has: `i247 show FR-1-U-10`.

With OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 a command begins a trace, which that collector gets by OTLP.

Exit codes:
  0  done
  1  refused, or the result fell short
  2  the command was not called as it must be
  3  the network cannot be reached
  4  something on this machine is at fault";

/// The command line, parsed.
#[derive(Debug, Parser)]
#[command(name = "i247", version, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, disable_help_subcommand = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every verb understands.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Global {
    /// Act for this country: take the context that leads to its desk
    #[arg(long = "as", global = true, help_heading = EVERYWHERE, value_name = "COUNTRY", value_parser = country, conflicts_with = "context")]
    pub(crate) country: Option<CountryCode>,
    /// Take the context of this name instead of the chosen one
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Print JSON, with the field names of the protocol
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a hub until it is asked to stop (SIGTERM or SIGINT)
    Hub(HubArgs),
    /// Run a country's bureau until it is asked to stop (SIGTERM or SIGINT)
    Bureau(BureauArgs),
    /// Serve the operators' web page until it is asked to stop (SIGTERM or SIGINT)
    Console(ConsoleArgs),
    /// Run a whole network on this machine and play Operation Infra-Red 2010 on it
    Demo(DemoArgs),
    /// Keys, certificates, and who may be on the network
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Which network is meant, and under which identity
    #[command(subcommand)]
    Context(ContextCommand),
    /// Look into a log, or rebuild everything from it
    #[command(subcommand)]
    Ledger(LedgerCommand),
    #[command(flatten)]
    Message(Message),
    /// Say who would receive a message, and by which rule, without sending it
    #[command(
        arg_required_else_help = true,
        after_help = "The flags are those of the message itself:\n  i247 explain ask BR,JP --about \"a stolen car\"\n  \
                      i247 explain diffuse Europe --colour orange --file form.toml"
    )]
    Explain {
        #[command(subcommand)]
        message: Message,
    },
    /// List received messages, the newest first
    Inbox(InboxArgs),
    /// List sent messages, the newest first
    Outbox(OutboxArgs),
    /// Show one message, whole. A received one counts as opened then
    Show {
        /// The message, or a prefix that only it has
        id: String,
    },
    /// Mark a received message as acted upon; its sender sees it
    Done {
        /// The message, or a prefix that only it has
        id: String,
    },
    /// Say where a sent message stands with each recipient; without one, how the bureau is, or, to an operator, the hub: the
    /// exit code is then 1 while it takes nothing, or something is critical
    Status {
        /// The message, or a prefix that only it has
        id: Option<String>,
    },
    /// Save an attachment of a message
    Attachment(AttachmentArgs),
    /// List the bureau's cases in an operation
    Cases {
        /// The operation, such as infra-red-2010
        #[arg(long)]
        operation: String,
    },
    /// Ask the databases about a document, a thing, or a list of travellers
    Check(CheckArgs),
    /// List the bureau's hits, as owner and as asker, and where they stand; a post's are those that it made itself
    Hits(HitsArgs),
    /// Say whether a record of the country holds that somebody found, or what was done about a hit
    #[command(subcommand)]
    Hit(HitCommand),
    /// Records of the databases: load files of them, and look where one comes from
    #[command(subcommand)]
    Records(RecordsCommand),
    /// Operations at borders, and the searches of the whole network, run on a network of their own
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// What reviewers of the secretariat decide
    #[command(subcommand)]
    Review(ReviewCommand),
    /// What one operation put on the network
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Follow one message from its submission to the last receipt, for operators
    #[command(
        after_help = "What was signed, and where the log has it, stays provable when the body was erased or is damaged: each is said \
                      by itself. No text of the message is shown.\n\nExample:\n  i247 trace FR-1-U-1 --context operator"
    )]
    Trace {
        /// The message, or a prefix that only it has
        id: String,
    },
    /// Show the network at a glance: every link, and what waits for it
    Network,
    /// Offline copies of the databases: fetch them, and see how old they are
    #[command(subcommand)]
    Mind(MindCommand),
    /// The posts of a country: airports, border crossings, event teams, partners
    #[command(subcommand)]
    Post(PostCommand),
    /// Watch all links live: rates, queues, the oldest that waits, what is wrong; q leaves
    Top(TopArgs),
    /// Show single messages as they move, one a line, without a word of their texts
    #[command(
        after_help = "Examples:\n  i247 tap --country FR --kind diffusion\n  i247 tap --lane very-urgent --json"
    )]
    Tap(TapArgs),
    /// Prove each link from here to its end, and say what is the cause where one does not work: the name, the port, a
    /// certificate, a clock, a slow line
    #[command(
        after_help = "It looks at every context, or at the one that is named with --context or --as, and says with which key \
                      agreement TLS protects it. An operator is shown the links of all bureaus too. The exit code is 1 \
                      when a link is broken."
    )]
    Doctor,
    /// Say what is wrong, since when, where to look and what to do. The exit code is 1 while something is critical
    Alerts {
        /// Also what was wrong lately
        #[arg(long)]
        cleared: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InboxArgs {
    /// Only messages that nobody has opened
    #[arg(long)]
    pub(crate) unopened: bool,
    /// Only this kind: request, reply, notice, diffusion, reminder …
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only from this country
    #[arg(long, value_name = "COUNTRY", value_parser = country)]
    pub(crate) from: Option<CountryCode>,
    /// Only of this operation
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OutboxArgs {
    /// Only this kind: request, reply, notice request, diffusion …
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only of this operation
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct AttachmentArgs {
    /// The message, or a prefix that only it has
    pub(crate) id: String,
    /// Which of its attachments, counted from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) number: u32,
    /// Where it is saved; a file that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit code when there is nothing to do: help was asked for and printed (0), or the command was not called
    /// as it must be (2), and it was said how.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            drop(error.print());
            // Clap's own codes: 0 for help and version, 2 for the rest.
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        })
    }

    /// Says that the machine gives no threads, and returns the exit code.
    pub fn no_runtime(error: &io::Error) -> ExitCode {
        let fail =
            Fail::because("no runtime", error, "see how many threads this user may have (`ulimit -u`)");
        out::talk(fail.render().trim_end());
        fail.code()
    }
}

/// A country code in either case.
pub(crate) fn country(text: &str) -> Result<CountryCode, String> {
    let code: CountryCode =
        text.to_ascii_uppercase().parse().map_err(|_| "two letters are expected, such as FR".to_owned())?;
    match i247_model::member(code) {
        Some(_) => Ok(code),
        None => Err(format!("{code} is not a member country")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Clap knows an argument by its id: one of the same id would be taken for `--as`, and `--as` be refused.
    #[test]
    fn nothing_has_the_id_of_what_every_verb_understands() {
        fn look(verb: &clap::Command, everywhere: &[&clap::Id], found: &mut Vec<String>) {
            for below in verb.get_subcommands() {
                let same = below.get_arguments().filter(|arg| everywhere.contains(&arg.get_id()));
                found.extend(same.map(|arg| format!("{}: {}", below.get_name(), arg.get_id())));
                look(below, everywhere, found);
            }
        }
        let command = Cli::command();
        let everywhere: Vec<_> =
            command.get_arguments().filter(|arg| arg.is_global_set()).map(clap::Arg::get_id).collect();
        assert_eq!(everywhere.len(), 3);
        let mut found = Vec::new();
        look(&command, &everywhere, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    /// Each verb of the manual, with its arguments.
    const MANUAL: &[&str] = &[
        "i247 hub --config hub.toml --listen 127.0.0.1:0 --data /d --print-config",
        "i247 hub --ready-file ready --die-with-parent 12",
        "i247 hub recover --config hub.toml --yes",
        "i247 hub recover --yes --lost 00112233445566778899aabbccddeeff,ffeeddccbbaa99887766554433221100",
        "i247 bureau FR --config bureau.toml --hub 127.0.0.1:7247",
        "i247 bureau FR recover --reason restored",
        "i247 console --listen 127.0.0.1:0 --context operator",
        "i247 console --passwords p --certificate c.pem --key k.pem --listen 0.0.0.0:7280",
        "i247 console --telemetry-metrics 127.0.0.1:9249 --telemetry-level debug",
        "i247 console password passwords --name anna",
        "i247 authority init ca --site lyon",
        "i247 authority request keys ncb/fr",
        "i247 authority issue keys/request.pem --names hub.example,127.0.0.1 --authority ca",
        "i247 authority issue keys/request.pem --authority ca --hub 127.0.0.1:7247",
        "i247 authority national FR fr --authority ca",
        "i247 authority admit --all --authority ca",
        "i247 authority suspend ncb/fr --reason inquiry",
        "i247 authority list --hub 127.0.0.1:7247",
        "i247 authority resend --authority ca --hub 127.0.0.1:7247",
        "i247 notice red --file form.toml --attach photo.png --operation infra-red-2010 --as fr",
        "i247 notice red --template",
        "i247 diffuse BR,JP --colour orange --file form.toml",
        "i247 ask BR,JP --about car --name Marlowe --born 1987-03-22 --notice 2010/1 --within 12h --lane urgent",
        "i247 reply FR-1-U-1 --positive Found",
        "i247 reply FR-1-U-1 --interim --expected 12h",
        "i247 withdraw FR-1-N-1 --reason done",
        "i247 text BR hello --json",
        "i247 explain ask BR,JP --about car",
        "i247 inbox --unopened --kind request --from BR",
        "i247 status",
        "i247 status FR-1-U-1 --context fr",
        "i247 attachment FR-1-U-1 --out photo.png",
        "i247 cases --operation infra-red-2010",
        "i247 records load sltd stolen.csv --as fr --no-wait",
        "i247 records load vehicles cars.jsonl.zst --format json",
        "i247 records status",
        "i247 records generate sltd --count 1000 --seed 7 --country FRA --out stolen.csv",
        "i247 records show sltd FRA/PASSPORT/12AB34567",
        "i247 records columns sltd",
        "i247 records change sltd FRA/PASSPORT/12AB34567 fraud_type=REVOKED stolen_on= --as fr",
        "i247 records restrict sltd FRA/PASSPORT/12AB34567 --except BR,jp",
        "i247 records restrict sltd FRA/PASSPORT/12AB34567",
        "i247 records withdraw vehicles FR/2026-17",
        "i247 scenario list --json",
        "i247 scenario run hammer --seed 7 --checks 500 --one-process --dir kept",
        "i247 scenario run network --for 60s",
        "i247 review refuse FR-1-U-1 --ground article3 --remark political",
        "i247 check P1234567 --country UTO --purpose border",
        "i247 check P1234567 --country UTO --type id-card --purpose visa --station cdg --as fr",
        "i247 check --mrz P<UTO --purpose police-check --databases sltd,tdawn",
        "i247 check --manifest passengers.csv --purpose border --csv",
        "i247 check --thing vin 1HGBH41JXMN109186 --purpose investigation --json",
        "i247 check P1234567 --country UTO --purpose border --offline /var/lib/mind --context cdg",
        "i247 mind sync /var/lib/mind --databases sltd,tdawn --context cdg",
        "i247 mind status /var/lib/mind --json",
        "i247 hits --open --watch",
        "i247 hits --watch --context cdg",
        "i247 hit confirm IPSG-881-U-1 --as de",
        "i247 hit deny IPSG-881-U-1 --remark found",
        "i247 hit act IPSG-881-U-1 --measure document-seized --place Modane",
        "i247 operation report infra-red-2010 --json",
        "i247 top --once",
        "i247 tap --country FR --kind diffusion --lane urgent --rate 10 --limit 5",
        "i247 alerts --cleared",
        "i247 trace FR-1-U-1 --context operator",
        "i247 doctor --as FR",
        "i247 ledger check dir",
        "i247 ledger searches dir",
        "i247 ledger rebuild dir --credentials keys",
        "i247 context add fr --address 127.0.0.1:1 --server ncb/fr --credentials keys",
        "i247 post issue cdg --authority fr --out keys --days 30",
        "i247 post grant cdg --unit airport --databases sltd,tdawn --for 90d --per-minute 60 --per-day 5000",
        "i247 post withdraw cdg",
        "i247 post list --json",
    ];

    #[test]
    fn every_verb_of_the_manual_is_understood() {
        for line in MANUAL {
            let parsed = parse(line);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "i247",
            "i247 console --certificate c.pem",
            "i247 console password passwords",
            "i247 hub recover",
            "i247 hub recover --config hub.toml",
            "i247 hub recover --yes --lost 0011",
            "i247 ask BR",
            "i247 ask --about car",
            "i247 notice",
            "i247 notice pink --file a.toml",
            "i247 notice red",
            "i247 reply FR-1-U-1",
            "i247 reply FR-1-U-1 --positive --negative",
            "i247 check P1234567",
            "i247 check --purpose border",
            "i247 check P1234567 --mrz P<UTO --purpose border",
            "i247 check P1234567 --purpose tourism",
            "i247 check P1234567 --type ticket --purpose border",
            "i247 check --thing vin --purpose border",
            "i247 inbox --from France",
            "i247 inbox --from XX",
            "i247 inbox --as FR --context fr",
            "i247 attachment FR-1-U-1 --number 0 --out a",
            "i247 authority admit",
            "i247 post issue CDG",
            "i247 post grant cdg --unit airport",
            "i247 post grant cdg --unit airport --databases sltd --until 2031-06-01 --for 2d",
            "i247 scenario run",
            "i247 scenario run network --for 60s --checks 5",
            "i247 records load passports stolen.csv",
            "i247 records generate sltd",
            "i247 records change sltd FRA/PASSPORT/12AB34567",
            "i247 records change sltd FRA/PASSPORT/12AB34567 revoked",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
