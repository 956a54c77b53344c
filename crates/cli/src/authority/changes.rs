//! Changes of the hub's directory, signed here by the authority: admission, suspension, revocation, reinstatement.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use i247_client::{Directory, pb};
use i247_model::{Hash, Identity};
use i247_trust::{Authority, Certificate, sign};
use prost::Message as _;

use super::keys::{is_admitted, load};
use super::{AdmitArgs, ChangeArgs, Target, short};
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
            let record = known.iter().find(|record| record.identity == text);
            record.is_none_or(|record| record.tls_key != issued.tls_key.as_bytes().as_slice())
        });
        if all.is_empty() {
            out::talk("Everything that was issued is in the directory.");
        }
        return enter(&all, &args.target, session).await;
    }
    let mut issued = Vec::with_capacity(args.identities.len());
    for identity in &args.identities {
        if !is_admitted(identity) {
            let what = format!("{} is not admitted by the directory", short(identity));
            return Err(Fail::usage(what, "its certificate is enough: nothing is to be done"));
        }
        issued.push(Issued::load(&Issued::dir(kept, identity))?);
    }
    enter(&issued, &args.target, session).await
}

/// Every directory below that holds certificates, by name.
fn collect(dir: &Path, found: &mut Vec<Issued>) -> Result<(), Fail> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Fail::because(dir.display().to_string(), &error, "see that it can be read"));
        }
    };
    let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    below.sort();
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
    let (authority, hub) = directory(target, session)?;
    let known = hub.list().await?.records;
    for issued in all {
        let change = pb::DirectoryChange {
            action: pb::DirectoryAction::Admit.into(),
            identity: issued.identity.to_string(),
            tls_key: Bytes::copy_from_slice(issued.tls_key.as_bytes()),
            signing_certificates: issued.signing_certificates.clone(),
            reason: String::new(),
            signed_at_ms: session.seams.clock.now().as_millis(),
            sequence: next_sequence(&known, &issued.identity),
        };
        let position = hub.change(signed(&authority, &change)).await?;
        out::talk(&format!("{} is admitted (entry {position})", short(&issued.identity)));
    }
    Ok(())
}

pub(super) async fn change(
    args: ChangeArgs,
    action: pb::DirectoryAction,
    session: &Session,
) -> Result<(), Fail> {
    let (authority, hub) = directory(&args.target, session)?;
    let known = hub.list().await?.records;
    let text = args.identity.to_string();
    if !known.iter().any(|record| record.identity == text) {
        let what = format!("the directory does not know {}", short(&args.identity));
        return Err(Fail::refused(what, "`i247 authority list` shows whom it knows"));
    }
    let change = pb::DirectoryChange {
        action: action.into(),
        identity: text,
        reason: args.reason,
        signed_at_ms: session.seams.clock.now().as_millis(),
        sequence: next_sequence(&known, &args.identity),
        ..Default::default()
    };
    let position = hub.change(signed(&authority, &change)).await?;
    let done = match action {
        pb::DirectoryAction::Suspend => "suspended",
        pb::DirectoryAction::Revoke => "revoked",
        pb::DirectoryAction::Reinstate => "reinstated",
        pb::DirectoryAction::Admit | pb::DirectoryAction::Unspecified => "changed",
    };
    out::talk(&format!("{} is {done} (entry {position})", short(&args.identity)));
    Ok(())
}

pub(super) async fn list(target: Target, session: &Session) -> Result<(), Fail> {
    let (_, hub) = directory(&target, session)?;
    let list = hub.list().await?;
    if session.global.json {
        out::json(&to_json("ListResponse", &list));
    } else {
        out::data(&render::directory(&list));
    }
    Ok(())
}

/// One more than the last change that the directory holds about an identity.
fn next_sequence(known: &[pb::DirectoryRecord], identity: &Identity) -> u64 {
    let text = identity.to_string();
    known.iter().find(|record| record.identity == text).map_or(0, |record| record.sequence).saturating_add(1)
}

fn signed(authority: &Authority, change: &pb::DirectoryChange) -> pb::Signed {
    sign(&authority.credentials().signing_key, i247_wire::payload::DIRECTORY_CHANGE, change.encode_to_vec())
}

fn directory(target: &Target, session: &Session) -> Result<(Authority, Directory), Fail> {
    let authority = load(&target.own)?;
    if *authority.identity() != Identity::Authority {
        let what = format!("{} does not rule the directory", short(authority.identity()));
        return Err(Fail::usage(what, "name the secretariat's authority with --authority"));
    }
    let hub = |found: &Identity| matches!(found, Identity::Hub(_));
    let channel = session.channel(&target.hub, authority.credentials(), hub)?;
    Ok((authority, Directory::new(channel)))
}
