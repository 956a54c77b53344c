//! `i247 authority`: keys and certificates, and who may be on the network now.
//!
//! Keys are made on the machine that keeps them (`request`); an authority certifies them (`issue`); an entry in the
//! hub's log lets them in (`admit`). A certificate alone admits nobody to the hub; to a desk it does, until the
//! country's authority says otherwise.

mod changes;
mod kept;
mod keys;

pub(crate) use keys::enrol_here;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use i247_model::{CountryCode, Identity, Name};

use crate::args::country;
use crate::fail::Fail;
use crate::session::Session;

const AFTER_REQUEST: &str = "\
Identities:
  gs/hub/lyon          a hub                      ncb/fr               a bureau
  gs/reviewer/lena     a reviewer                 ncb/fr/authority     a country's authority
  operator/ops         an operator                ncb/fr/officer/duty  an officer's seat

Example:
  i247 authority request keys/fr ncb/fr
  i247 authority request keys/fr-2027 ncb/fr --tls-key-of keys/fr
  (carry keys/fr/request.pem to the authority, and what it issues back into keys/fr)";

const AFTER_CHANGE: &str = "\
The secretariat's authority rules bureaus, reviewers and operators, at the hub (--hub). A country's authority rules its \
officers, at its bureau (--bureau). Connections that are open end, new ones are refused, also after a restart.

Examples:
  i247 authority suspend ncb/fr --reason \"as decided on Monday\" --hub hub.example:7247
  i247 authority revoke gs/reviewer/lena --reason \"key lost\" --hub hub.example:7247
  i247 authority revoke ncb/fr/officer/duty --reason \"key lost\" --authority fr/authority --bureau bureau.example:7248

After a revocation only new keys come back: request, issue, and `i247 authority admit` them.";

const AFTER_RESEND: &str = "\
Every change is kept in the authority's directory, below `changes`, before it is sent. Entered again is what the \
directory does not hold, in its old order and with its old signatures; doing it twice does no harm.

Example:
  i247 authority resend --authority ca --hub hub.example:7247";

const AFTER_ISSUE: &str = "\
The certificates are written beside the request, or into --out. A copy stays with the authority, for `admit`.

Examples:
  i247 authority issue keys/fr/request.pem --names bureau.example --hub hub.example:7247
  i247 authority issue keys/fr/duty/request.pem --authority keys/fr/authority";

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Make the secretariat's authority in a new directory
    Init {
        /// The directory; its keys are the network's root: keep them well
        dir: PathBuf,
        /// Also make keys and certificates for a hub at this site, in DIR/hub_SITE
        #[arg(long)]
        site: Option<Name>,
        /// Names and addresses of that hub
        #[arg(long, value_delimiter = ',', value_name = "HOST,IP", default_value = "localhost,127.0.0.1")]
        names: Vec<String>,
    },
    /// Make keys in a directory of this machine, and a request to certify them
    #[command(after_help = AFTER_REQUEST)]
    Request {
        /// The directory for the keys
        dir: PathBuf,
        /// For whom
        #[arg(value_parser = identity)]
        identity: Identity,
        /// Make a new signing key alone, for the node that runs from this directory and keeps its TLS key
        #[arg(long, value_name = "DIR")]
        tls_key_of: Option<PathBuf>,
    },
    /// Certify the keys of a request
    #[command(after_help = AFTER_ISSUE)]
    Issue(IssueArgs),
    /// Make a country's authority on this machine and certify it at once
    National {
        /// The country
        #[arg(id = "national_country", value_name = "COUNTRY", value_parser = country)]
        country: CountryCode,
        /// The directory for the country's authority
        dir: PathBuf,
        #[command(flatten)]
        own: Own,
    },
    /// Let in what was issued: enter its keys into the hub's log, or an officer's into the bureau's journal
    Admit(AdmitArgs),
    /// Cut off at once; queues are kept, and `reinstate` ends it
    #[command(after_help = AFTER_CHANGE)]
    Suspend(ChangeArgs),
    /// Cut off at once and for good: the keys are void
    #[command(after_help = AFTER_CHANGE)]
    Revoke(ChangeArgs),
    /// End a suspension
    #[command(after_help = AFTER_CHANGE)]
    Reinstate(ChangeArgs),
    /// Enter again what this authority had signed and the directory lost, because it was restored from an older copy
    #[command(after_help = AFTER_RESEND)]
    Resend(Target),
    /// List everyone that the hub's directory knows, or whom a country's authority has spoken of at its bureau
    List(Target),
}

/// Which authority acts.
#[derive(Clone, Debug, Args)]
pub(crate) struct Own {
    /// Directory of the authority
    #[arg(long, value_name = "DIR", env = "I247_AUTHORITY", default_value = "authority")]
    pub(crate) authority: PathBuf,
}

/// Which authority acts, and where.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) own: Own,
    /// Address of the hub, where the secretariat's authority acts
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7247")]
    pub(crate) hub: String,
    /// Address of the bureau, where its country's authority acts
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7248")]
    pub(crate) bureau: String,
}

#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The request, as `i247 authority request` wrote it
    #[arg(value_name = "REQUEST.PEM")]
    pub(crate) request: PathBuf,
    /// Names and addresses of the machine, where it is a server
    #[arg(long, value_delimiter = ',', value_name = "HOST,IP")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) own: Own,
    /// How many days the certificates are in force
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// Where the certificates are written; beside the request unless said otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Enter the admission into the log of this hub at once
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) hub: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AdmitArgs {
    /// Whom; certificates were issued for it by this authority
    #[arg(value_parser = identity, required_unless_present = "all", conflicts_with = "all")]
    pub(crate) identities: Vec<Identity>,
    /// Everything that was issued and is not in the directory with these keys; of officers, those who need it
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Whom, such as ncb/fr or ncb/fr/officer/duty
    #[arg(value_parser = identity)]
    pub(crate) identity: Identity,
    /// Why; it stands in the log, or in the bureau's journal
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(command: AuthorityCommand, session: &Session) -> Result<(), Fail> {
    use i247_client::pb::DirectoryAction as Action;
    match command {
        AuthorityCommand::Init { dir, site, names } => keys::init(&dir, site, &names, session),
        AuthorityCommand::Request { dir, identity, tls_key_of } => {
            keys::request(&dir, &identity, tls_key_of.as_deref())
        }
        AuthorityCommand::Issue(args) => keys::issue(args, session).await,
        AuthorityCommand::National { country, dir, own } => keys::national(country, &dir, &own, session),
        AuthorityCommand::Admit(args) => changes::admit(args, session).await,
        AuthorityCommand::Suspend(args) => changes::change(args, Action::Suspend, session).await,
        AuthorityCommand::Revoke(args) => changes::change(args, Action::Revoke, session).await,
        AuthorityCommand::Reinstate(args) => changes::change(args, Action::Reinstate, session).await,
        AuthorityCommand::Resend(target) => changes::resend(target, session).await,
        AuthorityCommand::List(target) => changes::list(target, session).await,
    }
}

/// An identity, with or without what all identities begin with.
pub(crate) fn identity(text: &str) -> Result<Identity, String> {
    let path =
        text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map_or(text, |(_, path)| path);
    let full = format!("spiffe://{}/{}", i247_model::TRUST_DOMAIN, path.trim_matches('/'));
    let whole = if text.starts_with("spiffe://") { text } else { &full };
    whole
        .parse()
        .map_err(|_| "an identity is expected, such as ncb/fr, gs/hub/lyon or operator/ops".to_owned())
}

/// What lies in a directory, by name; nothing where there is none.
fn lying_in(dir: &Path) -> Result<Vec<PathBuf>, Fail> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Fail::because(dir.display().to_string(), &error, "see that it can be read"));
        }
    };
    let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    below.sort();
    Ok(below)
}

/// An identity without what all identities begin with.
pub(crate) fn short(identity: &Identity) -> String {
    let text = identity.to_string();
    text.splitn(4, '/').last().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_may_leave_out_what_all_begin_with() {
        let bureau = identity("ncb/fr").unwrap();
        assert_eq!(bureau.to_string(), "spiffe://i247.test/ncb/fr");
        assert_eq!(identity("/ncb/fr").unwrap(), bureau);
        assert_eq!(identity("spiffe://i247.test/ncb/fr").unwrap(), bureau);
        assert_eq!(short(&bureau), "ncb/fr");
        assert_eq!(short(&identity("ncb/fr/officer/duty").unwrap()), "ncb/fr/officer/duty");
        assert!(identity("spiffe://other.test/ncb/fr").is_err());
        assert!(identity("ncb/FR").is_err());
        assert!(identity("").is_err());
    }
}
