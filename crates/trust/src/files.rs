//! The files in which keys and certificates lie, and how they are read and written.
//!
//! A file is replaced as a whole or not at all, and a private one is never readable by others, not
//! even while it is written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

/// TLS private key, PKCS#8.
pub(crate) const TLS_KEY: &str = "tls.key.pem";
/// TLS certificate, and the national authority's below it.
pub(crate) const TLS_CERTIFICATES: &str = "tls.crt.pem";
/// Private key that signs messages, PKCS#8.
pub(crate) const SIGNING_KEY: &str = "signing.key.pem";
/// Its certificate, and the national authority's below it.
pub(crate) const SIGNING_CERTIFICATES: &str = "signing.crt.pem";
/// The root: the authority's certificate, and the one of its signing key.
pub(crate) const ROOT_CERTIFICATES: &str = "authority.crt.pem";
/// Private key that certifies others, PKCS#8. Only where an authority is.
pub(crate) const CA_KEY: &str = "ca.key.pem";
/// The certificate of that key.
pub(crate) const CA_CERTIFICATE: &str = "ca.crt.pem";
/// The key of what lies on the disk of a node.
pub(crate) const AT_REST_KEY: &str = "at-rest.key.pem";
/// What is sent to an authority.
pub(crate) const REQUEST: &str = "request.pem";

/// Largest file read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct FileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

pub(crate) fn read(dir: &Path, name: &str) -> Result<Zeroizing<String>, FileError> {
    let path = dir.join(name);
    let bounded = || {
        if fs::metadata(&path)?.len() > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 KiB"));
        }
        fs::read_to_string(&path)
    };
    match bounded() {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(source) => Err(FileError { path, source }),
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(dir: &Path, name: &str, text: &str) -> Result<(), FileError> {
    write(dir, name, text, 0o600)
}

/// Writes a file that everybody may read.
pub(crate) fn write_public(dir: &Path, name: &str, text: &str) -> Result<(), FileError> {
    write(dir, name, text, 0o644)
}

pub(crate) fn write_certificates(
    dir: &Path,
    name: &str,
    chain: &[CertificateDer<'_>],
) -> Result<(), FileError> {
    let blocks = chain.iter().map(|der| pem::Pem::new("CERTIFICATE", der.to_vec()));
    write_public(dir, name, &pem::encode_many(&blocks.collect::<Vec<_>>()))
}

/// The certificates in a file, in their order; nothing else may stand there.
pub(crate) fn read_certificates(
    dir: &Path,
    name: &str,
) -> Result<Option<Vec<CertificateDer<'static>>>, FileError> {
    let text = read(dir, name)?;
    let Ok(blocks) = pem::parse_many(text.as_bytes()) else { return Ok(None) };
    let one = |block: pem::Pem| (block.tag() == "CERTIFICATE").then(|| block.into_contents().into());
    Ok(blocks.into_iter().map(one).collect())
}

fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Result<(), FileError> {
    let path = dir.join(name);
    let replace = || {
        fs::create_dir_all(dir)?;
        let unfinished = dir.join(format!("{name}.new"));
        // One left behind by a crash may have other permissions.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    replace().map_err(|source| FileError { path: path.clone(), source })
}
