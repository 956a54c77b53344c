//! Changes of a directory, signed here by the authority that rules it: admission, suspension, revocation, reinstatement.
//! The secretariat's rules the hub's, a country's that of its bureau.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use i247_client::{Directory, pb};
use i247_model::{Hash, Identity};
use i247_trust::{Authority, Certificate};

use super::kept::{self, enter_kept};
use super::keys::{is_admitted, load, stands_behind};
use super::{AdmitArgs, ChangeArgs, Target, lying_in, short};
use crate::fail::Fail;
use crate::forms::read;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// What an authority issued, as its own copy holds it: nothing secret.
pub(super) struct Issued {
    identity: Identity,
    tls_key: Hash,
    signing_certificates: Vec<Bytes>,
}

impl Issued {
    /// Where an authority keeps its copy of what it issued.
    pub(super) fn dir(authority: &Path, identity: &Identity) -> PathBuf {
        authority.join("issued").join(short(identity))
    }

    /// Reads the certificates in a directory.
    pub(super) fn load(dir: &Path) -> Result<Self, Fail> {
        let next = "issue the certificates anew with `i247 authority issue`";
        let broken = |name: &str| Fail::local(format!("{}: no certificates", dir.join(name).display()), next);
        let certificates = |name: &str| -> Result<Vec<Bytes>, Fail> {
            let blocks = pem::parse_many(read(&dir.join(name))?).map_err(|_| broken(name))?;
            Ok(blocks.into_iter().map(|block| Bytes::from(block.into_contents())).collect())
        };
        let tls = certificates("tls.crt.pem")?;
        let first = tls.first().ok_or_else(|| broken("tls.crt.pem"))?;
        let tls = Certificate::parse(first)
            .map_err(|error| Fail::because(dir.display().to_string(), &error, next))?;
        let signing_certificates = certificates("signing.crt.pem")?;
        Ok(Self { identity: tls.identity, tls_key: tls.key_id, signing_certificates })
    }
}

pub(super) async fn admit(args: AdmitArgs, session: &Session) -> Result<(), Fail> {
    let kept = &args.target.own.authority;
    if args.all {
        let mut all = Vec::new();
        collect(&kept.join("issued"), &mut all)?;
        let known = directory(&args.target, session)?.1.list().await?.records;
        all.retain(|issued| {
            let text = issued.identity.to_string();
            match known.iter().find(|record| record.identity == text) {
                // Their certificate lets them in, until the directory speaks of them.
                None => !stands_behind(&issued.identity),
                Some(record) => record.tls_key != issued.tls_key.as_bytes().as_slice(),
            }
        });
        if all.is_empty() {
            out::talk("Everything that was issued is in the directory.");
        }
        return enter(&all, &args.target, session).await;
    }
    let mut issued = Vec::with_capacity(args.identities.len());
    for identity in &args.identities {
        if !is_admitted(identity) && !stands_behind(identity) {
            let what = format!("{} is not admitted by the directory", short(identity));
            return Err(Fail::usage(what, "its certificate is enough: nothing is to be done"));
        }
        issued.push(Issued::load(&Issued::dir(kept, identity))?);
    }
    enter(&issued, &args.target, session).await
}

/// Every directory below that holds certificates, by name.
fn collect(dir: &Path, found: &mut Vec<Issued>) -> Result<(), Fail> {
    let below = lying_in(dir)?;
    if below.iter().any(|path| path.ends_with("tls.crt.pem")) {
        found.push(Issued::load(dir)?);
    }
    for path in below.into_iter().filter(|path| path.is_dir()) {
        collect(&path, found)?;
    }
    Ok(())
}

/// Enters admissions into the log, one after the other.
pub(super) async fn enter(all: &[Issued], target: &Target, session: &Session) -> Result<(), Fail> {
    if all.is_empty() {
        return Ok(());
    }
    let (authority, directory) = directory(target, session)?;
    let known = directory.list().await?.records;
    for issued in all {
        check_ruled(&authority, &issued.identity)?;
        let change = pb::DirectoryChange {
            action: pb::DirectoryAction::Admit.into(),
            identity: issued.identity.to_string(),
            tls_key: Bytes::copy_from_slice(issued.tls_key.as_bytes()),
            signing_certificates: issued.signing_certificates.clone(),
            reason: String::new(),
            signed_at_ms: session.seams.clock.now().as_millis(),
            sequence: next_sequence(&known, &issued.identity),
        };
        let folder = &target.own.authority;
        let position = enter_kept(folder, &authority, &directory, &change, &issued.identity).await?;
        out::talk(&format!("{} is admitted (entry {position})", short(&issued.identity)));
    }
    Ok(())
}

pub(super) async fn change(
    args: ChangeArgs,
    action: pb::DirectoryAction,
    session: &Session,
) -> Result<(), Fail> {
    let (authority, directory) = directory(&args.target, session)?;
    check_ruled(&authority, &args.identity)?;
    let known = directory.list().await?.records;
    let text = args.identity.to_string();
    // A bureau hears of an officer for the first time when the certificate is no longer to be enough.
    if !stands_behind(&args.identity) && !known.iter().any(|record| record.identity == text) {
        let what = format!("the directory does not know {}", short(&args.identity));
        return Err(Fail::refused(what, "`i247 authority list` shows whom it knows"));
    }
    let tls_key = match action {
        pb::DirectoryAction::Revoke if stands_behind(&args.identity) => issued_key(&args),
        _ => Bytes::new(),
    };
    let change = pb::DirectoryChange {
        action: action.into(),
        identity: text,
        tls_key,
        reason: args.reason.clone(),
        signed_at_ms: session.seams.clock.now().as_millis(),
        sequence: next_sequence(&known, &args.identity),
        ..Default::default()
    };
    let folder = &args.target.own.authority;
    let position = enter_kept(folder, &authority, &directory, &change, &args.identity).await?;
    let done = match action {
        pb::DirectoryAction::Suspend => "suspended",
        pb::DirectoryAction::Revoke => "revoked",
        pb::DirectoryAction::Reinstate => "reinstated",
        pb::DirectoryAction::Admit | pb::DirectoryAction::Unspecified => "changed",
    };
    out::talk(&format!("{} is {done} (entry {position})", short(&args.identity)));
    Ok(())
}

/// What was signed here and the directory lost.
pub(super) async fn resend(target: Target, session: &Session) -> Result<(), Fail> {
    let (_, directory) = directory(&target, session)?;
    kept::resend(&target.own.authority, &directory).await
}

pub(super) async fn list(target: Target, session: &Session) -> Result<(), Fail> {
    let list = directory(&target, session)?.1.list().await?;
    out::answer(session, || to_json("ListResponse", &list), || render::directory(&list));
    Ok(())
}

/// One more than the last change that the directory holds about an identity.
fn next_sequence(known: &[pb::DirectoryRecord], identity: &Identity) -> u64 {
    let text = identity.to_string();
    known.iter().find(|record| record.identity == text).map_or(0, |record| record.sequence).saturating_add(1)
}

/// The TLS key of the certificate that this authority issued last, to be made void; none where no copy was kept.
fn issued_key(args: &ChangeArgs) -> Bytes {
    let issued = Issued::load(&Issued::dir(&args.target.own.authority, &args.identity));
    issued.map(|issued| Bytes::copy_from_slice(issued.tls_key.as_bytes())).unwrap_or_default()
}

/// An authority rules those whom it certifies.
fn check_ruled(authority: &Authority, identity: &Identity) -> Result<(), Fail> {
    let issuer = identity.issuer();
    if issuer == *authority.identity() {
        return Ok(());
    }
    let what = format!("{} does not rule {}", short(authority.identity()), short(identity));
    Err(Fail::usage(what, format!("name the directory of {} with --authority", short(&issuer))))
}

/// The directory that the authority rules.
fn directory(target: &Target, session: &Session) -> Result<(Authority, Directory), Fail> {
    let authority = load(&target.own)?;
    let certificates = authority.credentials().signing_chain.clone();
    let channel = if let Identity::NationalAuthority(country) = *authority.identity() {
        let bureau = move |found: &Identity| *found == Identity::Bureau(country);
        session.channel(&target.bureau, authority.credentials(), bureau)?
    } else {
        let hub = |found: &Identity| matches!(found, Identity::Hub(_));
        session.channel(&target.hub, authority.credentials(), hub)?
    };
    Ok((authority, Directory::new(channel).introducing(certificates)))
}
