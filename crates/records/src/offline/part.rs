//! The form in which offline copies travel: what is stated, the signature over it, and the body whose hash is stated.
//! It must not hand out anything before the signature is checked.
//!
//! ```text
//!   file:  "i247mind" | format 4 | length of the statement 4 | of the signature 4 | of the body 8
//!          | statement | signature | body
//! ```
//!
//! The signature is over the statement, byte for byte as it lies in the file. All numbers little end first:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `i247 offline v1` and a zero, so that the signature means nothing elsewhere |
//! | 32 | the network |
//! | 3 | 0 0 0 for the base; 1 and two letters for the supplement of a country |
//! | 1 | 0: a snapshot; 1: a delta |
//! | 8, 8, 8 | version; as of, in milliseconds since 1970; last position of the log that is in it |
//! | 8, 8, 8 | keys that there are then; keys added and keys removed by a delta |
//! | 32, 32 | the chain before (zeroes in a snapshot) and the chain after |
//! | 32 | SHA-256 of the body |
//! | 1, then each 1 + n | the databases: how many, and the names with their lengths |

use i247_model::{CountryCode, Hash, Timestamp};
use sha2::{Digest, Sha256};

use super::{OfflineError, Scope};

const MAGIC: &[u8; 8] = b"i247mind";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 28;
const DOMAIN: &[u8; 16] = b"i247 offline v1\0";
/// The longest statement: far more than nineteen databases need.
const MAX_STATEMENT_BYTES: usize = 16 * 1024;
/// The longest signature; a chain of certificates may be in it.
const MAX_SIGNATURE_BYTES: usize = 64 * 1024;

/// Whether a part stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Snapshot,
    Delta,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) network: Hash,
    pub(super) scope: Scope,
    pub(super) form: Form,
    pub(super) version: u64,
    pub(super) as_of: Timestamp,
    pub(super) through: u64,
    pub(super) keys: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) before: Hash,
    pub(super) chain: Hash,
    pub(super) body: Hash,
    pub(super) databases: Vec<String>,
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    Hash(hash.finalize().into())
}

impl Statement {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(self.network.as_bytes());
        match self.scope {
            Scope::Base => bytes.extend_from_slice(&[0; 3]),
            Scope::Supplement(country) => {
                bytes.push(1);
                bytes.extend_from_slice(country.as_str().as_bytes());
            }
        }
        bytes.push(u8::from(self.form == Form::Delta));
        let as_of = self.as_of.as_millis();
        for number in [self.version, as_of, self.through, self.keys, self.added, self.removed] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for hash in [self.before, self.chain, self.body] {
            bytes.extend_from_slice(hash.as_bytes());
        }
        // Both fit: see `Edition::first`.
        bytes.push(self.databases.len() as u8);
        for name in &self.databases {
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.take()? != *DOMAIN {
            return None;
        }
        let network = Hash(rest.take()?);
        let scope = match rest.take::<3>()? {
            [0, 0, 0] => Scope::Base,
            [1, letters @ ..] => {
                Scope::Supplement(std::str::from_utf8(&letters).ok()?.parse::<CountryCode>().ok()?)
            }
            _ => return None,
        };
        let form = match rest.take()? {
            [0] => Form::Snapshot,
            [1] => Form::Delta,
            _ => return None,
        };
        let mut numbers = [0; 6];
        for number in &mut numbers {
            *number = u64::from_le_bytes(rest.take()?);
        }
        let [version, as_of, through, keys, added, removed] = numbers;
        let (before, chain, body) = (Hash(rest.take()?), Hash(rest.take()?), Hash(rest.take()?));
        let mut databases = Vec::new();
        let [count] = rest.take()?;
        for _ in 0..count {
            let [len] = rest.take()?;
            let (name, behind) = rest.0.split_at_checked(usize::from(len))?;
            databases.push(std::str::from_utf8(name).ok()?.to_owned());
            rest.0 = behind;
        }
        let as_of = Timestamp::from_millis(as_of);
        let statement = Self {
            network,
            scope,
            form,
            version,
            as_of,
            through,
            keys,
            added,
            removed,
            before,
            chain,
            body,
            databases,
        };
        rest.0.is_empty().then_some(statement)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// Puts a part together; `sign` signs the statement.
pub(super) fn write(statement: &Statement, body: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let stated = statement.encode();
    let signature = sign(&stated);
    let mut file = Vec::with_capacity(HEAD_BYTES + stated.len() + signature.len() + body.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&(stated.len() as u32).to_le_bytes());
    file.extend_from_slice(&(signature.len() as u32).to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&stated);
    file.extend_from_slice(&signature);
    file.extend_from_slice(body);
    file
}

/// Takes a part apart: what it states and its body, once `verify(statement, signature)` says so and the body is the one
/// that is stated.
pub(super) fn read(
    file: &[u8],
    verify: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Result<(Statement, &[u8]), OfflineError> {
    let truncated = |expected: u64| OfflineError::Truncated { expected, found: file.len() as u64 };
    let mut head = Reader(file);
    let cut = || truncated(HEAD_BYTES as u64);
    if head.take().ok_or_else(cut)? != *MAGIC {
        return Err(OfflineError::NotACopy);
    }
    let format = u32::from_le_bytes(head.take().ok_or_else(cut)?);
    if format != FORMAT {
        return Err(OfflineError::Format(format));
    }
    let stated_len = u32::from_le_bytes(head.take().ok_or_else(cut)?) as usize;
    let signature_len = u32::from_le_bytes(head.take().ok_or_else(cut)?) as usize;
    let body_len = u64::from_le_bytes(head.take().ok_or_else(cut)?);
    if stated_len > MAX_STATEMENT_BYTES || signature_len > MAX_SIGNATURE_BYTES {
        return Err(OfflineError::NotACopy);
    }
    let expected = ((HEAD_BYTES + stated_len + signature_len) as u64).saturating_add(body_len);
    if expected > file.len() as u64 {
        return Err(truncated(expected));
    }
    if expected < file.len() as u64 {
        return Err(OfflineError::TooLong { expected, found: file.len() as u64 });
    }
    let (stated, rest) = head.0.split_at(stated_len);
    let (signature, body) = rest.split_at(signature_len);
    if !verify(stated, signature) {
        return Err(OfflineError::Signature);
    }
    let statement = Statement::decode(stated).ok_or(OfflineError::Contents)?;
    if sha256(&[body]) != statement.body {
        return Err(OfflineError::Body);
    }
    Ok((statement, body))
}
