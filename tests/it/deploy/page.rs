//! `deploy/README.md`, walked: its blocks are run in order, each on its machine, which is a directory here.
//!
//! ```text
//!  # on: every machine                          before every other block
//!  # on: hub                                    runs to its end
//!  # on: hub, in terminal hub                   stays, and is waited for until it listens
//!  # on: hub, until it succeeds                 runs again and again
//!  # on: hub, after Ctrl-C in terminal hub      stops that one first
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::terminal::{Shell, Terminal, deploy, free, program, said};

/// `scp` between machines that are directories side by side.
const SCP: &str = r#"#!/bin/sh
set -eu
for name in "$@"; do
  shift
  case $name in *:*) name=../${name%%:*}/${name#*:} ;; esac
  set -- "$@" "$name"
done
exec cp -- "$@"
"#;

const MACHINES: [&str; 3] = ["authority", "hub", "bureau"];

#[tokio::test]
async fn the_page_leads_from_nothing_to_an_answered_question_and_back_from_an_older_copy() {
    let Some(program) = program() else { return };
    let blocks = blocks(&fs::read_to_string(deploy().join("README.md")).unwrap());
    let mut walk = Walk::new(&program);
    for block in &blocks {
        walk.step(block).await;
    }
    for terminal in walk.terminals.into_values() {
        terminal.stop().await;
    }
    no_private_key_is_on_two_machines(walk.machines.path());
}

struct Block {
    line: usize,
    machine: String,
    manner: Manner,
    /// A terminal that is stopped before.
    stopped: Option<String>,
    script: String,
}

enum Manner {
    ToItsEnd,
    UntilItSucceeds,
    InTerminal(String),
}

struct Walk {
    machines: TempDir,
    shell: Shell,
    terminals: BTreeMap<String, Terminal>,
    /// What stands before every block.
    before: String,
}

impl Walk {
    fn new(program: &Path) -> Self {
        let machines = tempfile::tempdir().unwrap();
        for machine in MACHINES.iter().chain(&["bin"]) {
            fs::create_dir(machines.path().join(machine)).unwrap();
        }
        let bin = machines.path().join("bin");
        fs::write(bin.join("scp"), SCP).unwrap();
        fs::set_permissions(bin.join("scp"), fs::Permissions::from_mode(0o755)).unwrap();
        let addresses = [("HUB", "127.0.0.2"), ("DESK_FR", "127.0.0.3"), ("DESK_BR", "127.0.0.3")];
        let variables = addresses.map(|(name, address)| (name.to_owned(), free(address)));
        let shell = Shell::new(&[&bin, program.parent().unwrap()], variables.into());
        Self { machines, shell, terminals: BTreeMap::new(), before: String::new() }
    }

    async fn step(&mut self, block: &Block) {
        if block.machine == "every machine" {
            self.before.push_str(&block.script);
            return;
        }
        assert!(MACHINES.contains(&block.machine.as_str()), "line {}: which machine?", block.line);
        let home = self.machines.path().join(&block.machine);
        if let Some(name) = &block.stopped {
            self.terminals.remove(name).unwrap().stop().await;
        }
        let script = format!("{}{}", self.before, block.script);
        match &block.manner {
            Manner::ToItsEnd => {
                let output = self.shell.run(&home, &script).await;
                assert!(output.status.success(), "line {}:\n{}\n{}", block.line, said(&output), self.logs());
            }
            Manner::UntilItSucceeds => drop(self.shell.until_it_succeeds(&home, &script).await),
            Manner::InTerminal(name) => {
                let terminal = self.shell.terminal(&home, &self.before, block.script.trim_end()).await;
                let before = self.terminals.insert(name.clone(), terminal);
                assert!(before.is_none(), "line {}: terminal {name} is in use", block.line);
            }
        }
    }

    fn logs(&self) -> String {
        let log = |(name, terminal): (&String, &Terminal)| format!("-- terminal {name}\n{}", terminal.log());
        self.terminals.iter().map(log).collect()
    }
}

/// The page's blocks in order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        match (inside, line) {
            (false, "```sh") => {
                let (_, head) = lines.next().unwrap();
                blocks.push(head_of(at + 1, head));
                inside = true;
            }
            (true, "```") => inside = false,
            (true, line) => {
                let block = blocks.last_mut().unwrap();
                block.script.push_str(line);
                block.script.push('\n');
            }
            (false, _) => {}
        }
    }
    assert!(!inside, "the last block has no end");
    blocks
}

fn head_of(line: usize, head: &str) -> Block {
    let on =
        head.strip_prefix("# on: ").unwrap_or_else(|| panic!("line {line}: a block says where it is run"));
    let mut parts = on.split(", ");
    let machine = parts.next().unwrap().to_owned();
    let mut block = Block { line, machine, manner: Manner::ToItsEnd, stopped: None, script: String::new() };
    for part in parts {
        if let Some(name) = part.strip_prefix("in terminal ") {
            block.manner = Manner::InTerminal(name.to_owned());
        } else if let Some(name) = part.strip_prefix("after Ctrl-C in terminal ") {
            block.stopped = Some(name.to_owned());
        } else if part == "until it succeeds" {
            block.manner = Manner::UntilItSucceeds;
        } else {
            panic!("line {line}: {part:?} is not understood");
        }
    }
    block
}

fn no_private_key_is_on_two_machines(machines: &Path) {
    let mut found: BTreeMap<String, &str> = BTreeMap::new();
    for machine in MACHINES {
        for path in files(&machines.join(machine)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if !text.contains("PRIVATE KEY") {
                continue;
            }
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} may be read by others", path.display());
            let other = found.insert(text, machine);
            assert!(other.is_none_or(|other| other == machine), "{} has travelled", path.display());
        }
    }
    // Authority 3; hub 2, operator 2; two bureaus 2 each, national authority 3, officer 2 and 2 new ones, post 2.
    assert_eq!(found.len(), 20);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
