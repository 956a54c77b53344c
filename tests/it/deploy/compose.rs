//! `deploy/compose.yaml`, held: what it names is there, and its commands, with its variables, make a network. Containers
//! are not needed: paths and names of machines are replaced by those of a directory and of loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Yaml};
use tempfile::TempDir;

use super::terminal::{Shell, Terminal, deploy, free, program, said};

const COUNTRIES: [&str; 5] = ["br", "fr", "jp", "sn", "us"];

#[test]
fn every_port_and_mount_of_the_compose_file_exists() {
    let compose = Compose::read();
    let containerfile = fs::read_to_string(deploy().join("Containerfile")).unwrap();
    let exposed = containerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let exposed: BTreeSet<&str> = exposed.split(' ').collect();
    let mut mounted = BTreeSet::new();
    for service in &compose.services {
        for port in &service.ports {
            let (_, inner) = port.rsplit_once(':').unwrap();
            assert!(exposed.contains(inner), "{}: {port}", service.name);
            let listens = service.environment.values().any(|value| *value == format!("0.0.0.0:{inner}"));
            assert!(listens, "{} does not listen at {inner}", service.name);
        }
        for volume in &service.volumes {
            let (from, to) = volume.split_once(':').unwrap();
            if let Some(file) = from.strip_prefix("./") {
                assert!(deploy().join(file).is_file(), "{}: {file}", service.name);
                assert!(to.ends_with(":ro"), "{}: {volume}", service.name);
                continue;
            }
            mounted.insert(from.to_owned());
            // Each sees its own keys and its own data; only where keys are made there are all.
            let whose = from.split_once('-').unwrap().1;
            let own = whose == service.name || (service.name == "admission" && whose == "authority");
            assert!(own || service.name == "keys", "{} mounts {from}", service.name);
            let place = to.strip_suffix(":ro").unwrap_or(to);
            let expected =
                if from.starts_with("data-") { "/var/lib/i247".into() } else { format!("/keys/{whose}") };
            assert_eq!(place, expected);
        }
    }
    assert_eq!(mounted, compose.volumes);
    assert!(containerfile.contains("cargo build --profile dist --locked -p i247-cli"));
    assert!(containerfile.contains("\nUSER 7247:7247\n"));
}

#[tokio::test]
async fn the_services_of_the_compose_file_are_a_network() {
    let Some(program) = program() else { return };
    let compose = Compose::read();
    let place = Place::new(&program);
    let keys = compose.service("keys");
    assert_eq!(keys.entrypoint, ["/bin/sh", "-euc"]);
    let home = place.dir.path();
    let made = place.shell.run(home, &place.local("keys", &keys.command[0])).await;
    assert!(made.status.success(), "{}", said(&made));

    let mut running: Vec<Terminal> = vec![place.start(compose.service("hub")).await];
    let admission = place.local("admission", &compose.service("admission").command.join(" "));
    let admitted = place.shell.run(home, &format!("i247 {admission}")).await;
    assert!(admitted.status.success(), "{}", said(&admitted));
    for country in COUNTRIES {
        running.push(place.start(compose.service(country)).await);
    }

    let officer = place.shell_of(compose.service("fr"));
    let asked =
        officer.run(home, "i247 ask BR,JP,SN,US --about 'a stolen car' --name Marlowe --born 1987").await;
    assert!(asked.status.success(), "{}", said(&asked));
    officer
        .until_it_succeeds(home, "test \"$(i247 inbox --kind reply --json | grep -c '\"id\"')\" = 4")
        .await;
    for service in running {
        service.stop().await;
    }
}

/// Where the services run here.
struct Place {
    dir: TempDir,
    shell: Shell,
    addresses: BTreeMap<String, String>,
}

impl Place {
    fn new(program: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        // All is one user's here.
        fs::write(bin.join("chown"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(bin.join("chown"), fs::Permissions::from_mode(0o755)).unwrap();
        let shell = Shell::new(&[&bin, program.parent().unwrap()], Vec::new());
        let hub = [("hub".to_owned(), free("127.0.0.2"))];
        let desks = COUNTRIES.map(|country| (country.to_owned(), free("127.0.0.3")));
        Self { dir, shell, addresses: hub.into_iter().chain(desks).collect() }
    }

    async fn start(&self, service: &Service) -> Terminal {
        let command = format!("i247 {}", self.local(&service.name, &service.command.join(" ")));
        self.shell_of(service).terminal(self.dir.path(), "", &command).await
    }

    fn shell_of(&self, service: &Service) -> Shell {
        let local = |(name, value): (&String, &String)| (name.clone(), self.local(&service.name, value));
        self.shell.with(service.environment.iter().map(local))
    }

    /// The same on this machine, for one service.
    fn local(&self, service: &str, text: &str) -> String {
        let deploy = deploy();
        let shown = |path: &Path| path.display().to_string();
        let own = self.addresses.get(service).cloned().unwrap_or_default();
        let mut local = text.to_owned();
        for (country, desk) in &self.addresses {
            let country = country.to_uppercase();
            local = local.replace(&format!("{country}=localhost:7248"), &format!("{country}={desk}"));
        }
        for (there, here) in [
            ("/trial-keys.sh", shown(&deploy.join("trial-keys.sh"))),
            ("/etc/i247/", shown(&deploy.join("config")) + "/"),
            ("/var/lib/i247", shown(&self.dir.path().join("data").join(service))),
            ("/keys", shown(&self.dir.path().join("keys"))),
            ("hub:7247", self.addresses["hub"].clone()),
            ("0.0.0.0:7247", own.clone()),
            ("0.0.0.0:7248", own),
            ("0.0.0.0:9247", "127.0.0.2:0".to_owned()),
        ] {
            local = local.replace(there, &here);
        }
        local
    }
}

struct Compose {
    services: Vec<Service>,
    volumes: BTreeSet<String>,
}

struct Service {
    name: String,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    ports: Vec<String>,
    volumes: Vec<String>,
}

impl Compose {
    fn read() -> Self {
        let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
        let file = Yaml::load_from_str(&text).unwrap().remove(0);
        let services: Vec<Service> =
            keys(&file["services"]).iter().map(|name| Service::of(&file, name)).collect();
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["keys", "hub", "admission", "fr", "br", "jp", "sn", "us"]);
        Self { services, volumes: keys(&file["volumes"]).into_iter().collect() }
    }

    fn service(&self, name: &str) -> &Service {
        self.services.iter().find(|service| service.name == name).unwrap()
    }
}

impl Service {
    fn of(file: &Yaml<'_>, name: &str) -> Self {
        let service = &file["services"][name];
        let strings = |key: &str| -> Vec<String> {
            let listed = entry(service, key).map(|list| list.as_vec().unwrap().iter().map(string).collect());
            listed.unwrap_or_default()
        };
        let mut environment = BTreeMap::new();
        if let Some(settings) = entry(service, "environment") {
            for name in
                keys(settings).into_iter().chain(settings.as_mapping_get("<<").map(keys).unwrap_or_default())
            {
                if name != "<<" {
                    environment.insert(name.clone(), string(entry(settings, &name).unwrap()));
                }
            }
        }
        Self {
            name: name.to_owned(),
            entrypoint: strings("entrypoint"),
            command: strings("command"),
            environment,
            ports: strings("ports"),
            volumes: strings("volumes"),
        }
    }
}

/// An entry of a mapping, or of the one that is merged into it.
fn entry<'a>(mapping: &'a Yaml<'a>, key: &str) -> Option<&'a Yaml<'a>> {
    mapping.as_mapping_get(key).or_else(|| entry(mapping.as_mapping_get("<<")?, key))
}

fn keys(mapping: &Yaml<'_>) -> Vec<String> {
    mapping.as_mapping().unwrap().keys().map(string).collect()
}

fn string(value: &Yaml<'_>) -> String {
    value.as_str().unwrap().to_owned()
}
