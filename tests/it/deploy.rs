//! What `deploy/` says, held: the page is walked, the configuration files are started and compared with the defaults,
//! the services of the compose file run as it says, the units are what systemd accepts.

mod compose;
mod page;
mod terminal;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use i247_bureau::policy::{Objection, Policy};
use i247_node::TelemetryConfig;
use toml::{Table, Value};

use terminal::{Shell, deploy, program, said};

/// A configuration file shows every key, and nothing but keys, at its default; what is off by default behind a bare `#`.
/// Every key is in `whole`.
fn shows_the_defaults(file: &str, printed: &str, whole: &str) {
    let text = fs::read_to_string(deploy().join("config").join(file)).unwrap();
    let shown: Table = text.parse().unwrap();
    let defaults: Table = printed.parse().unwrap();
    assert_eq!(shown, defaults, "{file}");
    let all: Table = switched_on(&text).parse().unwrap();
    assert_eq!(names(&all), names(&whole.parse().unwrap()), "{file}");
}

/// The file with what stands behind a bare `#`.
fn switched_on(text: &str) -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(off) if off.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => {
            format!("{off}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(on).collect()
}

/// Every key, with the tables that it is in.
fn names(table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in table {
        match value {
            Value::Table(below) => found.extend(names(below).iter().map(|name| format!("{key}.{name}"))),
            _ => drop(found.insert(key.clone())),
        }
    }
    found
}

#[tokio::test]
async fn the_hub_s_file_shows_every_key_at_its_default() {
    let Some(program) = program() else { return };
    let printed = print_config(&program, "hub").await;
    shows_the_defaults("hub.toml", &printed, &i247_node::config::print(&whole_hub()).unwrap());
}

#[tokio::test]
async fn the_bureau_s_file_shows_every_key_at_its_default() {
    let Some(program) = program() else { return };
    let printed = print_config(&program, "bureau FR").await;
    shows_the_defaults("bureau.toml", &printed, &i247_node::config::print(&whole_bureau()).unwrap());
}

/// Whoever adds a key is sent here by the compiler: one that is off by default is switched on here and in the file.
fn whole_hub() -> i247_hub::Config {
    let i247_hub::Config {
        listen,
        data,
        credentials,
        site,
        window,
        submissions_per_second,
        searches_per_second,
        country_keys_per_minute,
        country_keys_per_day,
        copy_every,
        attachment_bytes,
        attachment_unnamed,
        receipts_wait,
        progress_wait,
        snapshot_entries,
        history_rows,
        segment_bytes,
        grace,
        telemetry: _,
    } = i247_hub::Config::default();
    i247_hub::Config {
        listen,
        data,
        credentials,
        site,
        window,
        submissions_per_second,
        searches_per_second,
        country_keys_per_minute,
        country_keys_per_day,
        copy_every,
        attachment_bytes,
        attachment_unnamed,
        receipts_wait,
        progress_wait,
        snapshot_entries,
        history_rows,
        segment_bytes,
        grace,
        telemetry: whole_telemetry(),
    }
}

/// The same for a bureau.
fn whole_bureau() -> i247_bureau::Config {
    let i247_bureau::Config {
        country,
        listen,
        hub,
        site,
        data,
        credentials,
        register: _,
        automatic,
        left_to_officers,
        segment,
        snapshot_entries,
        grace,
        policy: Policy { red_notice, objection: _ },
        telemetry: _,
    } = i247_bureau::Config::default();
    let objection = Objection { requesters: BTreeSet::new(), ground: String::new() };
    i247_bureau::Config {
        country,
        listen,
        hub,
        site,
        data,
        credentials,
        register: Some("register.jsonl".into()),
        automatic,
        left_to_officers,
        segment,
        snapshot_entries,
        grace,
        policy: Policy { red_notice, objection: Some(objection) },
        telemetry: whole_telemetry(),
    }
}

/// The same for what both tell about themselves.
fn whole_telemetry() -> TelemetryConfig {
    let TelemetryConfig { level, format, otlp: _, metrics: _ } = TelemetryConfig::default();
    TelemetryConfig { level, format, otlp: Some(String::new()), metrics: Some(String::new()) }
}

async fn print_config(program: &Path, service: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::new(&[program.parent().unwrap()], Vec::new());
    let printed = shell.run(home.path(), &format!("i247 {service} --print-config")).await;
    assert!(printed.status.success(), "{}", said(&printed));
    String::from_utf8(printed.stdout).unwrap()
}

#[tokio::test]
async fn the_configuration_files_start_a_hub_and_a_bureau() {
    let Some(program) = program() else { return };
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    let shell = Shell::new(&[program.parent().unwrap()], Vec::new());
    // What is off by default is on, so that every line of the files is read by a service that serves.
    for file in ["hub.toml", "bureau.toml"] {
        let text = switched_on(&fs::read_to_string(deploy().join("config").join(file)).unwrap());
        fs::write(
            home.join(file),
            text.replace("127.0.0.1:9247", "127.0.0.1:0").replace("127.0.0.1:9248", "127.0.0.1:0"),
        )
        .unwrap();
    }
    fs::write(home.join("register.jsonl"), "").unwrap();
    let keys = "i247 authority init authority --site lyon
        i247 authority request fr ncb/fr
        i247 authority issue fr/request.pem";
    let made = shell.run(home, keys).await;
    assert!(made.status.success(), "{}", said(&made));
    let hub = "i247 hub --config hub.toml --listen 127.0.0.1:0 --data hub --credentials authority/hub_lyon";
    let hub = shell.terminal(home, "", hub).await;
    let bureau = "i247 bureau FR --config bureau.toml --listen 127.0.0.1:0 --data bureau --credentials fr \
        --register register.jsonl --hub 127.0.0.1:9";
    let bureau = shell.terminal(home, "", bureau).await;
    hub.stop().await;
    bureau.stop().await;
}

#[test]
fn a_unit_of_systemd_is_what_systemd_accepts() {
    let place = tempfile::tempdir().unwrap();
    // The program need not be installed here; any that is there will do.
    let stand_in = std::env::current_exe().unwrap();
    let console = "console --context operator --listen 0.0.0.0:7280 --certificate %d/browsers.crt.pem \
        --key %d/browsers.key.pem --passwords %d/passwords";
    for (unit, instance, expected) in [
        ("i247-hub.service", "i247-hub.service", "hub --config /etc/i247/hub.toml"),
        ("i247-bureau@.service", "i247-bureau@FR.service", "bureau FR --config /etc/i247/bureau-FR.toml"),
        ("i247-console.service", "i247-console.service", console),
    ] {
        let text = fs::read_to_string(deploy().join("systemd").join(unit)).unwrap();
        let start =
            text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/i247 ")).unwrap();
        assert_eq!(start.replace("%i", "FR"), expected);
        for held in ["NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=on-failure", "DynamicUser=yes"] {
            assert!(text.lines().any(|line| line == held), "{unit}: {held}");
        }
        for file in ["tls.key.pem", "tls.crt.pem", "signing.key.pem", "signing.crt.pem", "authority.crt.pem"]
        {
            assert!(text.contains(&format!("LoadCredential={file}:/etc/i247/")), "{unit}: {file}");
        }
        fs::write(
            place.path().join(instance),
            text.replace("/usr/local/bin/i247", &stand_in.display().to_string()),
        )
        .unwrap();
        verify(&place.path().join(instance));
    }
}

/// What is hardened in one unit is hardened in all of them, and the console is handed what it names.
#[test]
fn the_units_are_hardened_alike_and_the_console_finds_what_it_is_handed() {
    let text = |unit: &str| fs::read_to_string(deploy().join("systemd").join(unit)).unwrap();
    let hardened = |unit: &str| text(unit).split_once("\nDynamicUser=yes\n").unwrap().1.to_owned();
    assert_eq!(hardened("i247-console.service"), hardened("i247-hub.service"));
    assert_eq!(hardened("i247-bureau@.service"), hardened("i247-hub.service"));
    let contexts = i247_client::Contexts::load(&deploy().join("config/console.toml")).unwrap();
    let operator = contexts.named("operator").unwrap();
    assert_eq!(operator.credentials, Path::new("/run/credentials/i247-console.service"));
    assert_eq!(operator.server.to_string(), "spiffe://i247.test/gs/hub/lyon");
    let unit = text("i247-console.service");
    for file in ["contexts.toml", "passwords", "browsers.crt.pem", "browsers.key.pem"] {
        assert!(unit.contains(&format!("LoadCredential={file}:/etc/i247/console/{file}\n")), "{file}");
    }
    assert!(unit.contains("\nEnvironment=I247_HOME=%d\n"), "its contexts lie among what it is handed");
}

/// Where systemd is. What it says of other units of this machine is none of our business.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not run")]
fn verify(unit: &Path) {
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output();
    let Ok(verified) = verified else {
        eprintln!("not run: systemd-analyze is missing");
        return;
    };
    let said = said(&verified);
    let name = unit.file_name().unwrap().to_str().unwrap();
    assert!(verified.status.success() && !said.contains(name), "{said}");
}
