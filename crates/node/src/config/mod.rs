//! Configuration: file < environment < flags, into one typed struct.
//!
//! Every key is a field of the struct. Whatever is not is refused by name, with the nearest name that is, and every
//! error says where the key stood: file, variable or flag. Values from variables and flags are read as the field's
//! type asks for.

mod read;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub use units::{Period, Size};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the built-in defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not TOML", path.display())]
    NotToml {
        /// Which file.
        path: PathBuf,
        /// Where in it and what.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// There is no such key.
    #[error("{origin}: there is no key {key:?}{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// Where it stood.
        origin: Origin,
        /// The key, with the tables that it is in: `telemetry.otpl`.
        key: String,
        /// The nearest key that there is.
        nearest: Option<String>,
    },
    /// The value does not fit the key.
    #[error("{origin}: {key}: {problem}")]
    Value {
        /// Where it stood.
        origin: Origin,
        /// The key, with the tables that it is in.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean {key:?}?")).unwrap_or_default()
}

/// The configuration from `file`, then the environment, then `flags`; what none of them says is as in `T::default`.
///
/// With the prefix `I247_HUB_`, the variable `I247_HUB_LISTEN` is the key `listen`, and `I247_HUB_TELEMETRY__OTLP` is
/// `otlp` in the table `telemetry`. In `flags` the key `data_dir` is what the command calls `--data-dir`.
pub fn load<T>(file: Option<&Path>, env_prefix: &str, flags: Table) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    load_from(file, env_prefix, variables, flags)
}

/// The same with the environment handed in.
pub fn load_from<T>(
    file: Option<&Path>,
    env_prefix: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    flags: Table,
) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let mut layers = Layers { values: defaults::<T>()?, origins: BTreeMap::new() };
    if let Some(path) = file {
        let origin = Origin::File(path.to_owned());
        layers.lay(&[], read_file(path)?, &|_| origin.clone());
    }
    let mut variables: Vec<(String, String)> =
        variables.into_iter().filter(|(name, _)| name.starts_with(env_prefix)).collect();
    // The environment has no order of its own; errors shall have.
    variables.sort();
    for (name, value) in variables {
        let key = name[env_prefix.len()..].to_lowercase();
        let mut layer = Value::String(value);
        for part in key.rsplit("__") {
            layer = Value::Table(Table::from_iter([(part.to_owned(), layer)]));
        }
        if let Value::Table(layer) = layer {
            layers.lay(&[], layer, &|_| Origin::Variable(name.clone()));
        }
    }
    layers.lay(&[], flags, &|path| Origin::Flag(format!("--{}", path.join("-").replace('_', "-"))));
    read::read(&layers)
}

/// The configuration as a file that [`load`] reads back: every key with the value in force.
pub fn print<T: Serialize>(config: &T) -> Result<String, ConfigError> {
    toml::to_string_pretty(config).map_err(|error| built_in(&error))
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    text.parse().map_err(|error| ConfigError::NotToml { path: path.to_owned(), source: Box::new(error) })
}

fn defaults<T: Serialize + Default>() -> Result<Table, ConfigError> {
    Table::try_from(T::default()).map_err(|error| built_in(&error))
}

fn built_in(error: &toml::ser::Error) -> ConfigError {
    ConfigError::Value { origin: Origin::Default, key: String::new(), problem: error.to_string() }
}

/// The layers put on one another, and where each value comes from.
struct Layers {
    values: Table,
    origins: BTreeMap<Vec<String>, Origin>,
}

impl Layers {
    /// Lays a table on what is there. Tables merge; anything else replaces.
    fn lay(&mut self, at: &[String], layer: Table, origin: &dyn Fn(&[String]) -> Origin) {
        for (key, value) in layer {
            let path: Vec<String> = at.iter().cloned().chain([key.clone()]).collect();
            self.origins.insert(path.clone(), origin(&path));
            let mut below = &mut self.values;
            for part in at {
                let entry = below.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
                if !entry.is_table() {
                    *entry = Value::Table(Table::new());
                }
                let Value::Table(table) = entry else { return };
                below = table;
            }
            match value {
                Value::Table(table) => {
                    if !below.get(&key).is_some_and(Value::is_table) {
                        below.insert(key, Value::Table(Table::new()));
                    }
                    self.lay(&path, table, origin);
                }
                value => {
                    below.insert(key, value);
                }
            }
        }
    }

    /// Where the value at `path` comes from; its nearest table's origin, if it has none of its own.
    fn origin(&self, path: &[String]) -> Origin {
        let known = (1..=path.len()).rev().find_map(|end| self.origins.get(&path[..end]));
        known.cloned().unwrap_or(Origin::Default)
    }
}
