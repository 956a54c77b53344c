//! Who may log in: names and password hashes, a line each. A password is drawn, never chosen, and kept nowhere.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use i247_model::Name;
use i247_node::Dice;

/// Twenty of these 32 are 100 bits. Those that look like another are left out.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH: usize = 20;
/// Longer ones are not looked at: a hash of much text costs much.
const LONGEST: usize = 128;
/// Bytes of the file that are read.
const FILE: usize = 256 * 1024;

/// Why there are no passwords.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A line is not `name:hash`.
    #[error("{}: line {line} is not a name and the hash of a password", path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Nobody could log in.
    #[error("{}: it has no line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The machine did not give the memory that a hash takes.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// Names and the hashes of their passwords.
#[derive(Clone, Debug, Default)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, has a line that is none, or no line at all.
    pub fn load(path: &Path) -> Result<Self, PasswordsError> {
        let passwords = Self::read(path)?;
        if passwords.0.is_empty() {
            return Err(PasswordsError::Empty { path: path.to_owned() });
        }
        Ok(passwords)
    }

    fn read(path: &Path) -> Result<Self, PasswordsError> {
        let unreadable = |source| PasswordsError::File { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > FILE as u64 {
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "not a password file")));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let mut passwords = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || PasswordsError::Line { path: path.to_owned(), line: at + 1 };
            let (name, hash) = line.trim().split_once(':').ok_or_else(wrong)?;
            let name: Name = name.parse().map_err(|_| wrong())?;
            PasswordHash::new(hash).map_err(|_| wrong())?;
            passwords.insert(name.to_string(), hash.to_owned());
        }
        Ok(Self(passwords))
    }

    /// One name with a new password, which is returned: for a console that runs without a file.
    ///
    /// # Errors
    /// When the machine does not give the memory.
    pub fn drawn(name: &Name, dice: &dyn Dice) -> Result<(Self, String), PasswordsError> {
        let mut passwords = Self::default();
        let password = passwords.draw(name, dice)?;
        Ok((passwords, password))
    }

    fn draw(&mut self, name: &Name, dice: &dyn Dice) -> Result<String, PasswordsError> {
        let password = random(dice);
        let mut salt = [0; 16];
        dice.fill(&mut salt);
        let hash = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|error| PasswordsError::Hash(error.to_string()))?;
        self.0.insert(name.to_string(), hash.to_string());
        Ok(password)
    }

    /// Whether it is this name's password. It takes some hundredths of a second and 19 MiB, for a name that nobody has
    /// as well.
    pub(crate) fn fits(&self, name: &str, password: &str) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        // Somebody's hash in place of nobody's: how long it takes does not tell who is there.
        let known = self.0.get(name);
        let Some(hash) = known.or_else(|| self.0.values().next()) else { return false };
        let fits = Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok();
        fits && known.is_some()
    }
}

/// Draws a password for this name, writes its hash into the file in place of an earlier one, and returns it. A file that
/// is not there is made, for its owner alone.
///
/// # Errors
/// When the file cannot be read or written, or is no password file.
pub fn new_password(path: &Path, name: &Name, dice: &dyn Dice) -> Result<String, PasswordsError> {
    let mut passwords = match Passwords::read(path) {
        Err(PasswordsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Passwords::default()
        }
        read => read?,
    };
    let password = passwords.draw(name, dice)?;
    let lines: String = passwords.0.iter().map(|(name, hash)| format!("{name}:{hash}\n")).collect();
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| PasswordsError::File { path: path.to_owned(), source })?;
    Ok(password)
}

fn random(dice: &dyn Dice) -> String {
    let mut bytes = [0; LENGTH];
    dice.fill(&mut bytes);
    let letters: Vec<u8> = bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)]).collect();
    let groups: Vec<&str> = letters.chunks(5).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use i247_node::SystemDice;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_drawn_password_fits_its_name_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        let anna = new_password(&path, &name("anna"), &SystemDice::new()).unwrap();
        let ben = new_password(&path, &name("ben"), &SystemDice::new()).unwrap();
        assert_eq!(anna.len(), 23, "{anna}");
        let passwords = Passwords::load(&path).unwrap();
        assert!(passwords.fits("anna", &anna));
        assert!(passwords.fits("ben", &ben));
        assert!(!passwords.fits("anna", &ben));
        assert!(!passwords.fits("carl", &anna));
        assert!(!passwords.fits("anna", ""));
        assert!(!passwords.fits("anna", &"a".repeat(1_000_000)));
    }

    #[test]
    fn the_file_is_for_its_owner_alone_and_holds_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        let password = new_password(&path, &name("anna"), &SystemDice::new()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("anna:$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert!(!text.contains(&password));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_password_ends_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        let old = new_password(&path, &name("anna"), &SystemDice::new()).unwrap();
        let new = new_password(&path, &name("anna"), &SystemDice::new()).unwrap();
        let passwords = Passwords::load(&path).unwrap();
        assert!(passwords.fits("anna", &new) && !passwords.fits("anna", &old));
    }

    #[test]
    fn a_line_that_is_none_is_named_and_an_empty_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        new_password(&path, &name("anna"), &SystemDice::new()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}ben:secret\n")).unwrap();
        assert!(matches!(Passwords::load(&path), Err(PasswordsError::Line { line: 2, .. })));
        assert!(matches!(
            new_password(&path, &name("carl"), &SystemDice::new()),
            Err(PasswordsError::Line { .. })
        ));
        fs::write(&path, "\n").unwrap();
        assert!(matches!(Passwords::load(&path), Err(PasswordsError::Empty { .. })));
    }
}
