//! Configuration as its user meets it: layers, misspelt keys, wrong values.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::path::PathBuf;
use std::time::Duration;

use i247_node::config::{ConfigError, Origin, Period, Size, load_from, print};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use toml::Table;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Config {
    listen: String,
    data_dir: PathBuf,
    window: u32,
    drills: bool,
    commit: Period,
    segment: Size,
    countries: Vec<String>,
    log: Log,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Log {
    level: String,
    format: Format,
    otlp: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:2470".into(),
            data_dir: "data".into(),
            window: 64,
            drills: false,
            commit: Period(Duration::from_millis(20)),
            segment: Size(64 << 20),
            countries: Vec::new(),
            log: Log { level: "info".into(), format: Format::Text, otlp: None },
        }
    }
}

/// Loads a file of this text with these variables and flags.
fn load(file: &str, variables: &[(&str, &str)], flags: &str) -> Result<Config, ConfigError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hub.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_from(Some(&path), "I247_HUB_", variables, flags.parse::<Table>().unwrap())
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(load("", &[], "").unwrap(), Config::default());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "listen = 'file'\ndata_dir = 'file'\nwindow = 1\n[log]\nlevel = 'file'";
    let variables =
        [("I247_HUB_LISTEN", "variable"), ("I247_HUB_DATA_DIR", "variable"), ("OTHER_LISTEN", "x")];
    let config = load(file, &variables, "listen = 'flag'").unwrap();
    assert_eq!(config.listen, "flag");
    assert_eq!(config.data_dir, PathBuf::from("variable"));
    assert_eq!(config.window, 1);
    assert_eq!(config.log.level, "file");
    assert_eq!(config.log.format, Format::Text, "the rest of a table stays as it was");
}

#[test]
fn a_variable_is_read_as_its_field_asks() {
    let variables = [
        ("I247_HUB_COMMIT", "5s"),
        ("I247_HUB_COUNTRIES", "FR, BR"),
        ("I247_HUB_DATA_DIR", "7"),
        ("I247_HUB_DRILLS", "true"),
        ("I247_HUB_LOG__FORMAT", "json"),
        ("I247_HUB_LOG__OTLP", "http://127.0.0.1:4317"),
        ("I247_HUB_SEGMENT", "1MiB"),
        ("I247_HUB_WINDOW", "128"),
    ];
    let config = load("", &variables, "").unwrap();
    assert_eq!(config.commit.0, Duration::from_secs(5));
    assert_eq!(config.countries, ["FR", "BR"]);
    assert_eq!(config.data_dir, PathBuf::from("7"));
    assert!(config.drills);
    assert_eq!(config.log.format, Format::Json);
    assert_eq!(config.log.otlp.as_deref(), Some("http://127.0.0.1:4317"));
    assert_eq!((config.segment, config.window), (Size(1 << 20), 128));
}

#[test]
fn an_unknown_key_is_refused_by_name_with_the_nearest_known_one() {
    let file = load("listne = 'x'", &[], "").unwrap_err().to_string();
    assert!(file.ends_with("hub.toml: there is no key \"listne\"; did you mean \"listen\"?"), "{file}");
    let variable = load("", &[("I247_HUB_LOG__LEVLE", "x")], "").unwrap_err().to_string();
    assert_eq!(
        variable,
        "variable I247_HUB_LOG__LEVLE: there is no key \"log.levle\"; did you mean \"log.level\"?"
    );
    let flag = load("", &[], "data_dri = 'x'").unwrap_err();
    assert!(
        matches!(&flag, ConfigError::UnknownKey { origin: Origin::Flag(flag), .. } if flag == "--data-dri"),
        "{flag}"
    );
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_where_it_stood() {
    let file = load("window = 'many'", &[], "").unwrap_err().to_string();
    assert!(file.contains("hub.toml: window: ") && file.contains("many"), "{file}");
    let nested = load("[log]\nformat = 'xml'", &[], "").unwrap_err().to_string();
    assert!(nested.contains("log.format") && nested.contains("`text` or `json`"), "{nested}");
    let variable = load("", &[("I247_HUB_WINDOW", "many")], "").unwrap_err().to_string();
    assert_eq!(variable, "variable I247_HUB_WINDOW: window: \"many\": invalid digit found in string");
    let flag = load("", &[], "commit = 'soon'").unwrap_err().to_string();
    assert_eq!(flag, "flag --commit: commit: \"soon\" is not a time such as 20ms, 5s, 2m or 1h30m");
    let file = load("window = 1", &[("I247_HUB_LOG", "x")], "").unwrap_err().to_string();
    assert!(file.starts_with("variable I247_HUB_LOG: log: "), "{file}");
}

#[test]
fn what_is_printed_loads_again() {
    let config = load("", &[("I247_HUB_LOG__OTLP", "http://127.0.0.1:4317")], "window = 5").unwrap();
    let printed = print(&config).unwrap();
    assert!(printed.contains("commit = \"20ms\""), "{printed}");
    assert_eq!(load(&printed, &[], "").unwrap(), config);
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_named() {
    let missing = load_from::<Config>(Some("no-such.toml".as_ref()), "X_", [], Table::new()).unwrap_err();
    assert_eq!(missing.to_string(), "no-such.toml: cannot be read");
    assert!(matches!(load("listen = ", &[], ""), Err(ConfigError::NotToml { .. })));
}
