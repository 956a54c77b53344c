//! `i247 post`: certificates for the posts of a country, and what its bureau grants them.
//!
//! A certificate says who a post is; the grant, a message of the bureau, says what it may do and when. Neither is of
//! use without the other.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use i247_client::{Desk, pb};
use i247_model::{Identity, MessageId, Name, Timestamp, Unit};
use i247_node::config::Period;
use i247_records::Database;
use serde_json::json;

use crate::authority::{Own, enrol_here, short};
use crate::check::database;
use crate::fail::Fail;
use crate::officer::hand_in;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// How long a command waits for the hub to say whether it takes a grant.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

const AFTER_ISSUE: &str = "\
The keys are made here and stay here; the country's authority certifies them. A certificate alone lets nobody in: the \
bureau's grant does. When a key is lost, withdraw the grant and issue the post anew under another name.

Nothing renews a post's certificates by itself, so they last 90 days unless --days says otherwise: what ends in the night \
closes the post. What keeps a stolen device out is not their end but the grant's, which counts within a second. Where \
somebody brings new ones each day, --days 1 is better.

Examples:
  i247 post issue cdg --authority keys/fr/authority
  i247 post issue cdg --authority keys/fr/authority --out /media/cdg --days 30";

const AFTER_GRANT: &str = "\
A grant replaces the one before. It is in force once the hub has accepted it; at its end the post is cut off by \
itself. Units: border-crossing, airport, sea-port, customs, immigration, police, wildlife, event-team (needs an end), \
partner (may only check: it is told NO MATCH or REFER, and shown no record).

Examples:
  i247 post grant cdg --unit airport --databases sltd,tdawn
  i247 post grant cdg --unit airport --databases sltd,tdawn --offline sltd --supplement
  i247 post grant stade --unit event-team --databases sltd,nominal --from 2031-06-01T06:00 --until 2031-06-30T22:00
  i247 post grant oceanair --unit partner --databases sltd --per-minute 600 --per-day 100000 --for 90d";

const AFTER_WITHDRAW: &str = "\
Connections that are open end within a second of the hub's acceptance; new ones are refused.

Example:
  i247 post withdraw cdg";

#[derive(Debug, Subcommand)]
pub(crate) enum PostCommand {
    /// Make keys for a post, and have the country's authority certify them at once
    #[command(after_help = AFTER_ISSUE)]
    Issue(IssueArgs),
    /// Let a post reach the network: what it may ask, how much, from when until when
    #[command(after_help = AFTER_GRANT)]
    Grant(GrantArgs),
    /// End what a post is granted, at once
    #[command(after_help = AFTER_WITHDRAW)]
    Withdraw {
        /// The post's name
        #[arg(value_parser = name)]
        post: Name,
    },
    /// List the country's posts: what each is granted, and whether it may come now
    #[command(after_help = "Example:\n  i247 post list --json")]
    List,
}

#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The post's name: small letters, digits and underscores
    #[arg(value_parser = name)]
    post: Name,
    #[command(flatten)]
    own: Own,
    /// Where keys and certificates are written; a new directory of the post's name unless said otherwise
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many days the certificates are in force; nothing renews them by itself
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The post's name
    #[arg(value_parser = name)]
    post: Name,
    /// What kind of unit it is
    #[arg(long, value_parser = unit)]
    unit: Unit,
    /// Which databases it may ask
    #[arg(long, required = true, value_delimiter = ',', value_name = "DATABASE", value_parser = database)]
    databases: Vec<Database>,
    /// It may only check: it is told no more than NO MATCH or REFER
    #[arg(long, conflicts_with = "offline")]
    check_only: bool,
    /// Of which of these it may hold offline copies, which it gets here or at the hub (`i247 mind sync`)
    #[arg(long, value_delimiter = ',', value_name = "DATABASE", value_parser = database)]
    offline: Vec<Database>,
    /// With what the country sees besides what nobody is kept from
    #[arg(long, requires = "offline")]
    supplement: bool,
    /// In force from then on, such as 2031-06-01T06:00 (UTC); at once unless said otherwise
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Not in force any more from then on; without an end it stays until it is withdrawn
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "lasting")]
    until: Option<Timestamp>,
    /// How long it is in force, such as 90d or 12h
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<Period>,
    /// How many keys it may ask about in a minute
    #[arg(long, default_value_t = 120)]
    per_minute: u32,
    /// How many keys it may ask about in a day (UTC)
    #[arg(long, default_value_t = 20_000)]
    per_day: u32,
}

pub(crate) async fn run(command: PostCommand, session: &Session) -> Result<(), Fail> {
    match command {
        PostCommand::Issue(args) => issue(&args, session),
        PostCommand::Grant(args) => {
            let grant = compose(&args, session.seams.clock.now());
            let done = format!("{} is granted it", args.post);
            send(grant, &format!("Grant for {}", args.post), &done, session).await
        }
        PostCommand::Withdraw { post } => {
            let grant = pb::Grant { post: post.to_string(), withdrawn: true, ..Default::default() };
            let done = format!("{post} is granted nothing any more, and is cut off");
            send(grant, &format!("Grant of {post} withdrawn"), &done, session).await
        }
        PostCommand::List => list(session).await,
    }
}

fn issue(args: &IssueArgs, session: &Session) -> Result<(), Fail> {
    let dir = args.out.clone().unwrap_or_else(|| PathBuf::from(args.post.as_str()));
    let identity = |country| Identity::Post(country, args.post.clone());
    let identity = enrol_here(&args.own, identity, &dir, args.days, session)?;
    out::data(&dir.display().to_string());
    out::talk(&format!(
        "{} is certified for {} days; keys and certificates in {}.\nNext, at the bureau: `i247 post grant {} --unit …`; \
         at the post: `i247 context add {} --address HUB:PORT --server gs/hub/SITE --credentials {}`",
        short(&identity),
        args.days,
        dir.display(),
        args.post,
        args.post,
        dir.display(),
    ));
    Ok(())
}

/// The form of a grant. What contradicts itself the desk refuses.
fn compose(args: &GrantArgs, now: Timestamp) -> pb::Grant {
    let numbers = |databases: &[Database]| {
        let mut numbers: Vec<i32> = databases.iter().map(|database| database.number().into()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let lasting = args.lasting.map(|lasting| args.from.unwrap_or(now).plus(lasting.0));
    // A partner may do nothing else, so that it need not be said.
    let check_only = args.check_only || args.unit == Unit::Partner;
    let verb = if check_only { pb::PostVerb::CheckOnly } else { pb::PostVerb::Search };
    let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
    pb::Grant {
        post: args.post.to_string(),
        unit: pb::PostUnit::from(args.unit).into(),
        verb: verb.into(),
        databases: numbers(&args.databases),
        offline: numbers(&args.offline),
        supplement: args.supplement,
        from_ms: millis(args.from),
        until_ms: millis(args.until.or(lasting)),
        keys_per_minute: args.per_minute,
        keys_per_day: args.per_day,
        withdrawn: false,
    }
}

/// Sends a grant and waits until the hub has answered, as far as it is there.
async fn send(grant: pb::Grant, subject: &str, done: &str, session: &Session) -> Result<(), Fail> {
    let desk = session.desk()?;
    let body = pb::Body {
        subject: subject.to_owned(),
        language: "EN".to_owned(),
        form: Some(pb::body::Form::Grant(grant)),
        ..Default::default()
    };
    let draft = pb::Draft {
        kind: pb::Kind::Grant.into(),
        body: Some(body),
        idempotency_key: session.key(),
        ..Default::default()
    };
    let id = hand_in(&desk, draft).await?;
    let answered = answer(&desk, &id).await?;
    if let Some(refusal) = answered.as_ref().and_then(|item| item.refusal.clone()) {
        return Err(refusal.into());
    }
    if session.global.json {
        out::json(&json!({ "id": id.to_string(), "accepted": answered.is_some() }));
        return Ok(());
    }
    out::data(&id.to_string());
    out::talk(&match answered {
        Some(_) => format!("The hub has accepted it: {done}."),
        None => format!(
            "It is in the bureau's outbox, and in force once the hub has it: `i247 status {id}` says where it stands."
        ),
    });
    Ok(())
}

/// What the hub has answered; none when it does not answer in time.
async fn answer(desk: &Desk, id: &MessageId) -> Result<Option<pb::OutboxItem>, Fail> {
    let waiting = async {
        loop {
            let item = desk.status(&id.to_string()).await?.item.unwrap_or_default();
            if matches!(item.state(), pb::OutboxState::Accepted | pb::OutboxState::Refused) {
                return Ok(item);
            }
            i247_node::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(ANSWER_WITHIN, waiting).await {
        Ok(answered) => answered.map(Some),
        Err(_late) => Ok(None),
    }
}

async fn list(session: &Session) -> Result<(), Fail> {
    let posts = session.desk()?.posts().await?;
    out::list(
        session,
        &posts.posts,
        || to_json("ListPostsResponse", &posts),
        "No post is granted anything. `i247 post grant --help` says how.",
        || render::posts(&posts),
    );
    Ok(())
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: i247_model::ParseError| error.to_string())
}

/// `sea-port`, `Sea Port`, `sea_port`.
fn unit(text: &str) -> Result<Unit, String> {
    let spoken = text.to_lowercase().replace(['_', '-'], " ");
    Unit::ALL.into_iter().find(|unit| unit.as_str() == spoken).ok_or_else(|| {
        let known: Vec<String> = Unit::ALL.iter().map(|unit| unit.as_str().replace(' ', "-")).collect();
        format!("there is: {}", known.join(", "))
    })
}

/// With an offset, or in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let utc = || {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let millis = zoned.or_else(utc).and_then(|at| u64::try_from(at.as_millisecond()).ok());
    millis.map(Timestamp::from_millis).ok_or_else(|| {
        "a time is expected, such as 2031-06-01, 2031-06-01T06:00 (UTC) or 2031-06-01T08:00+02:00".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: GrantArgs,
    }

    fn composed(line: &str) -> pb::Grant {
        let line = Line::try_parse_from(format!("grant {line}").split_whitespace());
        let args = line.unwrap_or_else(|error| panic!("{error}")).args;
        compose(&args, Timestamp::from_millis(1_000))
    }

    #[test]
    fn an_airport_is_granted_until_it_is_withdrawn() {
        let grant = composed("cdg --unit airport --databases tdawn,sltd,sltd");
        let expected = pb::Grant {
            post: "cdg".into(),
            unit: pb::PostUnit::Airport.into(),
            verb: pb::PostVerb::Search.into(),
            databases: vec![7, 8],
            keys_per_minute: 120,
            keys_per_day: 20_000,
            ..Default::default()
        };
        assert_eq!(grant, expected);
        let copies = composed("cdg --unit airport --databases tdawn,sltd --offline tdawn,sltd --supplement");
        assert_eq!(copies, pb::Grant { offline: vec![7, 8], supplement: true, ..expected });
    }

    #[test]
    fn an_event_has_a_begin_and_an_end_and_a_partner_only_checks() {
        let event = composed(
            "stade --unit event-team --databases dial-doc --from 2031-06-01T06:00 --until 2031-06-01T08:00+01:00",
        );
        assert_eq!((event.from_ms, event.until_ms), (1_938_060_000_000, 1_938_063_600_000));
        let partner = composed("air --unit partner --databases sltd --for 2d --per-minute 5 --per-day 9");
        assert_eq!(partner.verb(), pb::PostVerb::CheckOnly);
        assert_eq!(partner.until_ms, 1_000 + 2 * 86_400_000);
        assert_eq!((partner.keys_per_minute, partner.keys_per_day), (5, 9));
    }

    #[test]
    fn what_is_no_unit_or_time_is_answered_with_what_there_is() {
        assert!(unit("harbour").unwrap_err().contains("sea-port"));
        assert!(time("tomorrow").is_err());
        assert_eq!(time("1970-01-02").unwrap().as_millis(), 86_400_000);
    }
}
