//! What an authority has signed about its directory, as its folder keeps it: so that a directory that was restored from
//! an older copy can be given again what it lost. Nothing here is secret.

use std::path::{Path, PathBuf};

use i247_client::{ClientError, Directory, pb};
use i247_ledger::disk::{OsDisk, replace_whole};
use i247_model::{Class, Identity};
use i247_trust::Authority;
use i247_wire::payload;
use prost::Message as _;

use super::{lying_in, short};
use crate::fail::Fail;
use crate::out;

/// Below the authority's directory.
const FOLDER: &str = "changes";

/// A change that was signed and may have been entered.
pub(super) struct Kept {
    path: PathBuf,
    signed: pb::Signed,
    change: pb::DirectoryChange,
}

/// Keeps a change, enters it, and says at which position. What is refused is not kept.
pub(super) async fn enter_kept(
    folder: &Path,
    authority: &Authority,
    directory: &Directory,
    change: &pb::DirectoryChange,
    identity: &Identity,
) -> Result<u64, Fail> {
    let dir = folder.join(FOLDER).join(short(identity));
    let name = format!("{}.signed", change.sequence);
    let path = dir.join(&name);
    if path.exists() {
        let what = format!("the directory lacks a change about {} that was signed before", short(identity));
        return Err(Fail::refused(what, "enter that one first: `i247 authority resend`"));
    }
    let key = &authority.credentials().signing_key;
    let signed = i247_trust::sign(key, payload::DIRECTORY_CHANGE, change.encode_to_vec());
    write(&dir, &name, &signed.encode_to_vec())?;
    directory.change(signed).await.map_err(|error| forget(&path, error).into())
}

/// Enters again what the directory does not have, as far as it goes.
///
/// # Errors
/// When a change is refused, after all others were tried; at once when nobody answers.
pub(super) async fn resend(folder: &Path, directory: &Directory) -> Result<(), Fail> {
    let mut lacking = Vec::new();
    collect(&folder.join(FOLDER), &mut lacking)?;
    let known = directory.list().await?.records;
    lacking.retain(|kept| {
        let known = known.iter().find(|record| record.identity == kept.change.identity);
        kept.change.sequence > known.map_or(0, |record| record.sequence)
    });
    // As they were signed; of one identity each after the one before.
    lacking.sort_by(|a, b| {
        let place = |kept: &Kept| (kept.change.signed_at_ms, kept.change.sequence);
        place(a).cmp(&place(b))
    });
    if lacking.is_empty() {
        out::talk("The directory has every change that is kept here.");
    }
    let mut refused = 0;
    for Kept { path, signed, change } in lacking {
        let what = format!("change {} about {}", change.sequence, change.identity);
        match directory.change(signed).await {
            Ok(position) => out::talk(&format!("{what} is entered again (entry {position})")),
            Err(error) if error.refusal().is_some_and(|refusal| refusal.reason.class() != Class::NotNow) => {
                out::talk(&format!("{what} is refused: {error}"));
                refused += 1;
                forget(&path, error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match refused {
        0 => Ok(()),
        _ => Err(Fail::refused(
            format!("{refused} changes were refused"),
            "`i247 authority list` shows how things stand: make what is missing anew",
        )),
    }
}

/// One that was refused as it is can never be entered. One whose predecessor is missing may be, later.
fn forget(path: &Path, error: ClientError) -> ClientError {
    let in_turn = |refusal: &i247_model::Refusal| !refusal.fields.iter().any(|field| field == "sequence");
    let never = match error.refusal() {
        Some(refusal) => in_turn(refusal),
        None => !error.may_have_happened(),
    };
    if never {
        // If it stays, it is refused once more.
        drop(std::fs::remove_file(path));
    }
    error
}

/// Written whole, and on the disk before it is sent.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Fail> {
    let written = std::fs::create_dir_all(dir).and_then(|()| replace_whole(&OsDisk, dir, name, bytes));
    written.map_err(|error| {
        let next = "make the authority's directory writable: what it signs is kept there";
        Fail::because(dir.join(name).display().to_string(), &error, next)
    })
}

/// Every change below a directory.
fn collect(dir: &Path, found: &mut Vec<Kept>) -> Result<(), Fail> {
    for path in lying_in(dir)? {
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "signed") {
            found.push(load(path)?);
        }
    }
    Ok(())
}

fn load(path: PathBuf) -> Result<Kept, Fail> {
    let broken = || Fail::local(format!("{}: no signed change", path.display()), "restore it, or remove it");
    let bytes = std::fs::read(&path).map_err(|_| broken())?;
    let signed = pb::Signed::decode(bytes.as_slice()).map_err(|_| broken())?;
    let change = pb::DirectoryChange::decode(signed.payload.clone()).map_err(|_| broken())?;
    Ok(Kept { path, signed, change })
}
