//! Keys, requests and certificates: files of this machine. Only `issue --hub` asks the network for something.

use std::path::{Path, PathBuf};
use std::time::Duration;

use i247_model::{CountryCode, Identity, Name};
use i247_node::Clock;
use i247_trust::{Authority, AuthorityError, Request, TlsKey, Validity};

use super::changes::{Issued, enter};
use super::{IssueArgs, Own, Target, short};
use crate::fail::{Exit, Fail};
use crate::forms::read;
use crate::out;
use crate::session::Session;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority's certificate is in force, in days.
const AUTHORITY_DAYS: u32 = 3650;

/// How long that of a country's authority is, in days.
const NATIONAL_DAYS: u32 = 1825;

/// How long those of a hub made by `init` are, in days.
const HUB_DAYS: u32 = 365;

pub(super) fn init(dir: &Path, site: Option<Name>, names: &[String], session: &Session) -> Result<(), Fail> {
    let validity = lasting(session, AUTHORITY_DAYS.into());
    let authority = Authority::create(dir, validity, TlsKey::P256)
        .map_err(|error| failed("no authority was made", &error))?;
    out::talk(&format!(
        "The authority is in {}. Its keys are the network's root: keep them well.",
        dir.display()
    ));
    let Some(site) = site else { return Ok(()) };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hub = dir.join(format!("hub_{site}"));
    let identity = Identity::Hub(site);
    let made = authority
        .enrol(&identity, &names, lasting(session, HUB_DAYS.into()), TlsKey::P256)
        .and_then(|credentials| Ok(credentials.save(&hub)?));
    made.map_err(|error| failed("no keys were made for the hub", &error))?;
    out::data(&hub.display().to_string());
    out::talk(&format!(
        "Keys and certificates of {}: start it with --credentials {}",
        short(&identity),
        hub.display()
    ));
    Ok(())
}

pub(super) fn request(dir: &Path, identity: &Identity, tls_key_of: Option<&Path>) -> Result<(), Fail> {
    let made = match tls_key_of {
        Some(running) => Request::renew_signing(dir, running, identity),
        None => Request::create(dir, identity, TlsKey::P256),
    };
    made.map_err(|error| failed("no keys were made", &error))?;
    let path = dir.join("request.pem");
    out::data(&path.display().to_string());
    out::talk(&format!(
        "Keys of {} are in {}; they stay here. Next: `i247 authority issue {}` where {} is.",
        short(identity),
        dir.display(),
        path.display(),
        short(&identity.issuer())
    ));
    Ok(())
}

pub(super) fn national(country: CountryCode, dir: &Path, own: &Own, session: &Session) -> Result<(), Fail> {
    let authority = load(own)?;
    let identity = Identity::NationalAuthority(country);
    let made = Request::create(dir, &identity, TlsKey::P256).and_then(|request| {
        authority.issue(&request, &identity, &[], lasting(session, NATIONAL_DAYS.into()))?.save(dir)
    });
    made.map_err(|error| failed("no national authority was made", &error))?;
    out::talk(&format!(
        "The authority of {country} is in {}. It certifies officers: `i247 authority issue REQUEST.pem --authority {}`",
        dir.display(),
        dir.display()
    ));
    Ok(())
}

/// Makes keys in a directory for somebody of the country whose authority this is, and certifies them at once; the
/// authority keeps a copy of the certificates.
pub(crate) fn enrol_here(
    own: &Own,
    identity: impl FnOnce(CountryCode) -> Identity,
    dir: &Path,
    days: u64,
    session: &Session,
) -> Result<Identity, Fail> {
    let authority = load(own)?;
    let Identity::NationalAuthority(country) = *authority.identity() else {
        let what = format!("{} is no country's authority", short(authority.identity()));
        return Err(Fail::usage(what, "name the directory of the country's authority with --authority"));
    };
    let identity = identity(country);
    let made = Request::create(dir, &identity, TlsKey::P256).and_then(|request| {
        let issued = authority.issue(&request, &identity, &[], lasting(session, days))?;
        issued.save(dir)?;
        issued.save(&Issued::dir(&own.authority, &identity))
    });
    made.map_err(|error| failed("nothing was issued", &error))?;
    Ok(identity)
}

pub(super) async fn issue(args: IssueArgs, session: &Session) -> Result<(), Fail> {
    let authority = load(&args.own)?;
    let request = Request::from_pem(&read(&args.request)?)
        .map_err(|error| failed("the request does not count", &error))?;
    let identity = request.identity().clone();
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let issued = authority
        .issue(&request, &identity, &names, lasting(session, args.days))
        .map_err(|error| failed("nothing was issued", &error))?;
    let beside = args.request.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = args.out.clone().or(beside.map(Path::to_owned)).unwrap_or_else(|| PathBuf::from("."));
    issued.save(&dir).map_err(|error| failed("the certificates were not written", &error))?;
    out::data(&dir.display().to_string());
    out::talk(&format!(
        "{} is certified for {} days; certificates in {}",
        short(&identity),
        args.days,
        dir.display()
    ));
    if !is_admitted(&identity) && !stands_behind(&identity) {
        return Ok(());
    }
    let kept = Issued::dir(&args.own.authority, &identity);
    issued.save(&kept).map_err(|error| failed("no copy was kept for `admit`", &error))?;
    if stands_behind(&identity) {
        return Ok(());
    }
    let Some(hub) = args.hub else {
        out::talk(&format!("Next: `i247 authority admit {} --hub HOST:PORT`", short(&identity)));
        return Ok(());
    };
    let target = Target { own: args.own, hub, bureau: String::new() };
    enter(&[Issued::load(&kept)?], &target, session).await
}

/// Whether the directory must name an identity before it may connect. Officers and national authorities stand behind
/// their bureau; a hub is known by its certificate.
pub(super) fn is_admitted(identity: &Identity) -> bool {
    match identity {
        Identity::Bureau(_) | Identity::Reviewer(_) | Identity::Operator(_) | Identity::Entity(_) => true,
        Identity::Authority
        | Identity::Hub(_)
        | Identity::NationalAuthority(_)
        | Identity::Officer(..)
        | Identity::Post(..) => false,
    }
}

/// Whether a bureau lets an identity come by its certificate, and its country's authority may say otherwise there.
pub(super) fn stands_behind(identity: &Identity) -> bool {
    matches!(identity, Identity::Officer(..) | Identity::Post(..))
}

pub(super) fn load(own: &Own) -> Result<Authority, Fail> {
    Authority::load(&own.authority).map_err(|error| {
        let next = "name the authority's directory with --authority; `i247 authority init DIR` makes one";
        Fail::because(format!("{}: no authority", own.authority.display()), &error, next)
    })
}

fn lasting(session: &Session, days: u64) -> Validity {
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    Validity::lasting(Clock::now(&*session.seams.clock), DAY.saturating_mul(days))
}

fn failed(what: &str, error: &AuthorityError) -> Fail {
    let next = match error {
        AuthorityError::Exists => "name another directory: these keys may be in use",
        AuthorityError::BadRequest(_) => "have the request made anew with `i247 authority request`",
        AuthorityError::NotOurs { .. } => "take the request to the authority that certifies this identity",
        AuthorityError::Validity => "ask for fewer --days, or renew the authority",
        AuthorityError::File(_) => "see that the directory can be written",
        AuthorityError::Credentials(_) | AuthorityError::Certificate(_) | AuthorityError::Making(_) => {
            "see that the files of the authority's directory are complete and of one authority"
        }
    };
    let mut fail = Fail::because(what, error, next);
    if matches!(
        error,
        AuthorityError::BadRequest(_) | AuthorityError::NotOurs { .. } | AuthorityError::Validity
    ) {
        fail.exit = Exit::Refused;
    }
    fail
}
