//! Which network is meant, and under which identity: one small file of a person's own.
//!
//! It names addresses and directories; keys stay where they are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use i247_model::{CountryCode, Identity, Name};
use serde::{Deserialize, Serialize};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// One network and one identity in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The desk's or the hub's address, `host:port`.
    pub address: String,
    /// Who answers there: a bureau or a hub. Somebody else is hung up on.
    pub server: Identity,
    /// The directory with the own certificate and keys.
    pub credentials: PathBuf,
}

impl Context {
    /// The country whose desk it is; none for a hub.
    pub fn country(&self) -> Option<CountryCode> {
        match &self.server {
            Identity::Bureau(country) => Some(*country),
            Identity::Authority
            | Identity::Hub(_)
            | Identity::Reviewer(_)
            | Identity::Operator(_)
            | Identity::NationalAuthority(_)
            | Identity::Officer(..)
            | Identity::Post(..)
            | Identity::Entity(_) => None,
        }
    }
}

/// All contexts of a person, and which one is meant when none is named.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<Name>,
    #[serde(default)]
    contexts: BTreeMap<Name, Context>,
}

/// What is wrong with the contexts. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ContextsError {
    /// There is no place for the file.
    #[error("no home directory: set I247_HOME to a directory for the contexts")]
    NoHome,
    /// The file cannot be read or written.
    #[error("{path}: cannot be {what}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Read or written.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: not a file of contexts: {detail}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// No context has this name.
    #[error("there is no context {name:?}; there is: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No context leads to this country's desk.
    #[error("no context leads to the desk of {country}; there is: {known}")]
    NoCountry {
        /// What was asked for.
        country: CountryCode,
        /// What there is.
        known: String,
    },
    /// None is chosen.
    #[error("no context is chosen: name a country with --as, or choose one with `i247 context use`")]
    NoneChosen,
}

impl Contexts {
    /// Where the file lies: `$I247_HOME/contexts.toml`, else `$XDG_CONFIG_HOME/i247/contexts.toml`, else
    /// `$HOME/.config/i247/contexts.toml`. The environment is handed in.
    ///
    /// # Errors
    /// [`ContextsError::NoHome`] when none of the three is set.
    pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ContextsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = set("I247_HOME") {
            return Ok(home.join("contexts.toml"));
        }
        let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        Ok(config.ok_or(ContextsError::NoHome)?.join("i247/contexts.toml"))
    }

    /// Reads the file; none there means no contexts.
    ///
    /// # Errors
    /// [`ContextsError::File`], [`ContextsError::Unreadable`].
    pub fn load(path: &Path) -> Result<Self, ContextsError> {
        let failed = |source| ContextsError::File { path: path.to_owned(), what: "read", source };
        let unreadable = |detail: String| ContextsError::Unreadable { path: path.to_owned(), detail };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                return Err(unreadable("it is larger than 1 MiB".to_owned()));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))
    }

    /// Writes the file, whole or not at all: beside it first, then in its place.
    ///
    /// # Errors
    /// [`ContextsError::File`]; the old file is then untouched.
    pub fn save(&self, path: &Path) -> Result<(), ContextsError> {
        let failed = |source| ContextsError::File { path: path.to_owned(), what: "written", source };
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(failed)?;
        let beside = path.with_extension("toml.new");
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            fs::File::open(directory)?.sync_all()
        };
        write().map_err(failed)
    }

    /// All of them, by name.
    pub fn list(&self) -> &BTreeMap<Name, Context> {
        &self.contexts
    }

    /// The name of the chosen one.
    pub fn current_name(&self) -> Option<&Name> {
        self.current.as_ref()
    }

    /// The chosen one.
    ///
    /// # Errors
    /// [`ContextsError::NoneChosen`].
    pub fn current(&self) -> Result<&Context, ContextsError> {
        let chosen = self.current.as_ref().and_then(|name| self.contexts.get(name));
        chosen.ok_or(ContextsError::NoneChosen)
    }

    /// The one with this name.
    ///
    /// # Errors
    /// [`ContextsError::Unknown`] with those that there are.
    pub fn named(&self, name: &str) -> Result<&Context, ContextsError> {
        let found = self.contexts.iter().find(|(known, _)| known.as_str() == name);
        found.map(|(_, context)| context).ok_or_else(|| self.unknown(name))
    }

    /// The one that leads to this country's desk; of several the chosen one, else the first by name.
    ///
    /// # Errors
    /// [`ContextsError::NoCountry`] with those that there are.
    pub fn as_country(&self, country: CountryCode) -> Result<&Context, ContextsError> {
        let fits = |context: &&Context| context.country() == Some(country);
        let chosen = self.current().ok().filter(fits);
        chosen
            .or_else(|| self.contexts.values().find(fits))
            .ok_or_else(|| ContextsError::NoCountry { country, known: self.known() })
    }

    /// Adds one, or replaces the one of the same name. The first is chosen by itself.
    pub fn add(&mut self, name: Name, context: Context) {
        if self.current.is_none() {
            self.current = Some(name.clone());
        }
        self.contexts.insert(name, context);
    }

    /// Chooses one.
    ///
    /// # Errors
    /// [`ContextsError::Unknown`] with those that there are.
    pub fn choose(&mut self, name: &str) -> Result<(), ContextsError> {
        let Some(known) = self.contexts.keys().find(|known| known.as_str() == name) else {
            return Err(self.unknown(name));
        };
        self.current = Some(known.clone());
        Ok(())
    }

    /// Takes one away. Was it the chosen one, none is chosen.
    ///
    /// # Errors
    /// [`ContextsError::Unknown`] with those that there are.
    pub fn remove(&mut self, name: &str) -> Result<Context, ContextsError> {
        let Some(known) = self.contexts.keys().find(|known| known.as_str() == name).cloned() else {
            return Err(self.unknown(name));
        };
        if self.current.as_ref() == Some(&known) {
            self.current = None;
        }
        self.contexts.remove(&known).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> ContextsError {
        ContextsError::Unknown { name: name.chars().take(64).collect(), known: self.known() }
    }

    fn known(&self) -> String {
        if self.contexts.is_empty() {
            return "none".to_owned();
        }
        self.contexts.keys().map(Name::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(country: &str) -> Context {
        Context {
            address: "127.0.0.1:2471".to_owned(),
            server: format!("spiffe://i247.test/ncb/{country}").parse().unwrap(),
            credentials: format!("keys/{country}/duty").into(),
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn two() -> Contexts {
        let mut contexts = Contexts::default();
        contexts.add(name("fr"), desk("fr"));
        contexts.add(name("br"), desk("br"));
        contexts
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/contexts.toml");
        assert_eq!(Contexts::load(&path).unwrap(), Contexts::default());
        two().save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), two());
        two().save(&path).unwrap();
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn the_first_is_chosen_until_another_one_is() {
        let mut contexts = two();
        assert_eq!(contexts.current().unwrap(), &desk("fr"));
        contexts.choose("br").unwrap();
        assert_eq!(contexts.current_name(), Some(&name("br")));
        contexts.remove("br").unwrap();
        assert!(matches!(contexts.current(), Err(ContextsError::NoneChosen)));
        assert_eq!(contexts.list().len(), 1);
    }

    #[test]
    fn a_country_is_found_by_who_answers_there() {
        let mut contexts = two();
        contexts.add(name("another"), desk("fr"));
        contexts.add(
            name("hub"),
            Context { server: "spiffe://i247.test/gs/hub/lyon".parse().unwrap(), ..desk("fr") },
        );
        // `fr` is the chosen one, although `another` comes first by name.
        assert_eq!(contexts.as_country("FR".parse().unwrap()).unwrap(), contexts.named("fr").unwrap());
        assert_eq!(contexts.as_country("BR".parse().unwrap()).unwrap(), &desk("br"));
        let missing = contexts.as_country("JP".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(missing, "no context leads to the desk of JP; there is: another, br, fr, hub");
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_there_are() {
        let mut contexts = two();
        for error in [
            contexts.named("de").unwrap_err(),
            contexts.choose("de").unwrap_err(),
            contexts.remove("de").unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "there is no context \"de\"; there is: br, fr");
        }
    }

    #[test]
    fn the_file_lies_where_the_environment_says() {
        let path = |set: &[(&str, &str)]| {
            let set: BTreeMap<String, OsString> =
                set.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
            Contexts::path(|name| set.get(name).cloned()).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/a");
        assert_eq!(path(&[home]).unwrap(), "/home/a/.config/i247/contexts.toml");
        assert_eq!(path(&[home, ("XDG_CONFIG_HOME", "/c")]).unwrap(), "/c/i247/contexts.toml");
        assert_eq!(path(&[home, ("I247_HOME", "/i")]).unwrap(), "/i/contexts.toml");
        assert_eq!(path(&[home, ("I247_HOME", "")]).unwrap(), "/home/a/.config/i247/contexts.toml");
        assert!(matches!(path(&[]), Err(ContextsError::NoHome)));
    }

    #[test]
    fn a_file_with_an_unknown_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contexts.toml");
        fs::write(&path, "current = \"fr\"\ncolour = \"red\"\n").unwrap();
        let error = Contexts::load(&path).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
}
