//! The program as people run it: real processes, real files, and what they print. One network, set up by hand.
#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod desk;
mod false_hub;
mod recovery;

use std::path::{Path, PathBuf};

use crate::desk::{Desk, ids, network};

const RED: &str = r#"
person_status = "CHARGED"
legal_basis = "RPD art. 82 to 87"
purpose = "arrest with a view to extradition"
source_authority = "Prosecutor, Lyon"
[red]
facts = "Sold forged shares to forty buyers. Invented for a simulation."
charges = ["Fraud"]
laws = ["Penal code, invented article 901"]
max_penalty_months = 96
extradition_undertaking = true
[red.identity]
family_name = "MARLOWE"
forename = "TESSA IRIS"
sex = "FEMALE"
date_of_birth = "1987-03-22"
nationalities = ["PT"]
description = "invented person"
photograph = true
[red.warrant]
authority = "Court of Instruction, Lyon"
reference = "INV-77/2010"
date = "2010-05-02"
judicial = true
"#;

#[test]
fn a_network_set_up_by_hand_carries_questions_answers_and_notices() {
    let mut desk = network();
    let hub = desk.nodes[0].address.clone();
    ask_and_answer(&desk);
    publish(&desk);
    cancel(&desk);
    operate(&desk);
    let_a_post_in(&desk, &hub);

    desk.done(&format!("authority suspend ncb/br --reason inquiry --hub {hub}"));
    desk.wait_for("the link of BR to end", || {
        let network = desk.json("network");
        let links = network["links"].as_array().unwrap().clone();
        let brazil = links.into_iter().find(|link| link["party"] == "BR").unwrap();
        (brazil["connected"] == false && brazil["standing"] == "suspended").then_some(())
    });
    desk.done(&format!("authority reinstate ncb/br --hub {hub}"));
    let (code, said) = desk.refused(&format!("authority suspend ncb/jp --hub {hub}"));
    assert_eq!(code, 1);
    assert!(said.contains("the directory does not know ncb/jp"), "{said}");

    let (code, said) = desk.refused("ledger rebuild hub --credentials lena");
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("stop the service that uses it first"), "{said}");
    for n in (0..3).rev() {
        desk.stop(n);
    }
    for data in ["hub", "fr_data", "br_data"] {
        assert!(desk.done(&format!("ledger check {data}")).contains("sound"), "{data}");
    }
    let digest = desk.done("ledger rebuild hub --credentials lena");
    assert_eq!(digest.len(), 64);
    assert_eq!(desk.done("ledger rebuild hub --credentials lena"), digest);
    assert_eq!(desk.done("ledger rebuild fr_data --country FR").len(), 64);

    let (code, said) = desk.refused("inbox --as FR");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("connection refused"), "{said}");

    damage(&desk.path("br_data/journal"));
    let (code, said) = desk.refused("ledger check br_data");
    assert_eq!(code, 1);
    assert!(said.contains("restore the directory from a copy"), "{said}");
    let (code, said) = desk.refused("ledger rebuild br_data --country BR");
    assert_eq!(code, 4);
    assert!(said.contains("`i247 ledger check DIR` says what is wrong where"), "{said}");
}

/// Flips the first byte of the first segment.
fn damage(log: &Path) {
    let names = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> = names.filter(|path| path.metadata().unwrap().len() > 4096).collect();
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    bytes[0] ^= 0xff;
    std::fs::write(&segments[0], bytes).unwrap();
}

fn ask_and_answer(desk: &Desk) {
    let explained = desk.done("explain ask BR --about fraud --as FR");
    assert!(explained.contains("Brazil") && explained.contains("named"), "{explained}");
    let at = desk.json("explain ask BR --about fraud --as FR")["directory_position"].clone();
    let id = desk.done(&format!(
        "ask BR --about fraud --name Marlowe --lane urgent --explained-at {at} --exactly --as FR"
    ));
    desk.wait_for("the request at BR", || {
        let inbox = desk.json("inbox --kind request --unopened --as BR");
        ids(&inbox).contains(&id).then_some(())
    });
    let shown = desk.done(&format!("show {id} --as BR"));
    assert!(shown.contains("family name: Marlowe"), "{shown}");
    let answer = desk.done(&format!("reply {id} --positive entered~by~road --as BR"));
    desk.wait_for("the answer at FR", || {
        ids(&desk.json("inbox --kind reply --as FR")).contains(&answer).then_some(())
    });
    desk.wait_for("the state answered at FR", || {
        let status = desk.json(&format!("status {id} --as FR"));
        (status["status"]["recipients"][0]["answer"] == "ANSWERED").then_some(())
    });
    let (code, said) = desk.refused("reply BR-9-N-9 --negative --as FR");
    assert_eq!(code, 1);
    assert!(said.contains("next"), "{said}");
}

fn publish(desk: &Desk) {
    std::fs::write(desk.path("red.toml"), RED).unwrap();
    std::fs::write(desk.path("photo.png"), b"not really a picture").unwrap();
    std::fs::write(desk.path("poor.toml"), "[red]\nfacts = \"\"\n").unwrap();
    let (code, said) = desk.refused("notice red --file poor.toml --as FR");
    assert_eq!(code, 1);
    assert!(said.contains("MISSING_DATA") && said.contains("form.red.charges"), "{said}");
    let request = desk.done("notice red --file red.toml --attach photo.png --operation test-2010 --as FR");
    desk.wait_for("the request at the secretariat", || {
        let pending = desk.json("review list");
        pending.as_array().unwrap().iter().any(|one| one["request_id"] == request.as_str()).then_some(())
    });
    assert!(desk.done(&format!("review show {request}")).contains("MARLOWE"));
    let published = desk.done(&format!("review approve {request}"));
    let notice = published.split_whitespace().nth(1).unwrap().to_owned();
    desk.wait_for("the notice at BR", || {
        ids(&desk.json("inbox --kind notice --operation test-2010 --as BR"))
            .contains(&notice)
            .then_some(())
            .or_else(|| ids(&desk.json("inbox --kind notice --as BR")).contains(&notice).then_some(()))
    });
    let report = desk.done(&format!("locate {notice} --place Recife --as BR"));
    desk.wait_for("the report at FR", || {
        ids(&desk.json("inbox --kind person-located --as FR")).contains(&report).then_some(())
    });
    let decision = desk.done(&format!("decide {notice} --measure warrant-first --objection none --as BR"));
    desk.wait_for("Brazil's decision at FR", || {
        ids(&desk.json("inbox --kind national-decision --as FR")).contains(&decision).then_some(())
    });
    let cases = desk.json("cases --operation test-2010 --as FR");
    assert_eq!(cases[0]["state"], "POSITIVELY_LOCATED", "{cases}");
    desk.done(&format!("attachment {request} --out copy.png --as FR"));
    assert_eq!(std::fs::read(desk.path("copy.png")).unwrap(), b"not really a picture");
    assert_eq!(desk.refused(&format!("attachment {request} --out copy.png --as FR")).0, 4);
}

fn cancel(desk: &Desk) {
    let notices = desk.json("review notices");
    let number = notices[0]["notice_id"].as_str().unwrap().to_owned();
    assert_eq!(notices[0]["requester"], "FR");
    let (code, said) = desk.refused("review cancel 1999/1 --reason none");
    assert!(code == 1 && said.contains("review notices"), "{said}");
    let cancellation = desk.done(&format!("review cancel {number} --reason mistaken"));
    desk.wait_for("the cancellation at BR", || {
        ids(&desk.json("inbox --kind cancellation --as BR")).contains(&cancellation).then_some(())
    });
    assert!(desk.json("review notices").as_array().unwrap().is_empty());
}

fn let_a_post_in(desk: &Desk, hub: &str) {
    assert_eq!(desk.done("post issue cdg --authority fr_authority --days 30"), "cdg");
    let (code, said) = desk.refused("post issue cdg --authority fr_authority");
    assert!(code == 4 && said.contains("name another directory"), "{said}");
    let (code, said) = desk.refused("post issue orly --authority authority");
    assert!(code == 2 && said.contains("no country's authority"), "{said}");
    desk.done(&format!("context add cdg --address {hub} --server gs/hub/lyon --credentials cdg"));

    desk.done("post grant cdg --unit airport --databases tdawn,sltd --for 90d --per-day 5000 --as FR");
    let posts = desk.json("post list --as FR");
    let (post, grant) = (&posts["posts"][0], &posts["posts"][0]["grant"]);
    assert_eq!(
        (&post["state"], &grant["post"], &grant["verb"]),
        (&"IN_FORCE".into(), &"cdg".into(), &"SEARCH".into())
    );
    assert_eq!(grant["databases"], serde_json::json!(["SLTD", "TDAWN"]));
    assert_eq!(grant["keys_per_day"], 5000);
    let table = desk.done("post list --as FR");
    assert!(table.contains("in force") && table.contains("sltd tdawn"), "{table}");
    assert!(desk.json("post list --as BR")["posts"].as_array().unwrap().is_empty());
    let (code, said) = desk.refused("post grant stade --unit event-team --databases sltd --as FR");
    assert!(code == 1 && said.contains("say when the event is over"), "{said}");
    let check = "check P1234567 --country UTO --purpose border --context cdg";
    assert_eq!(desk.done(check), "No record.");
    desk.done("post withdraw cdg --as FR");
    let (code, said) = desk.refused(check);
    assert!(code == 2 && said.contains("NOT_GRANTED") && said.contains("ask your bureau"), "{said}");
    let (code, said) = desk.refused("post withdraw cdg --as FR");
    assert!(code == 1 && said.contains("cdg is granted nothing"), "{said}");
}

fn operate(desk: &Desk) {
    let network = desk.done("network");
    assert!(network.contains("2 of 2 connected"), "{network}");
    let trace = desk.done("trace FR-1-U-1");
    assert!(trace.contains("accepted") && trace.contains("delivered"), "{trace}");
    assert!(desk.done("status --as FR").contains("connected to the hub"));
    let report = desk.json("operation report test-2010");
    assert_eq!(report["operation"], "test-2010");
    let (code, said) = desk.refused("trace ZZ-1-U-1");
    assert_eq!(code, 1, "{said}");
}

#[test]
fn the_configuration_that_is_printed_reads_back_the_same() {
    let desk = Desk::new();
    for service in ["hub", "bureau FR"] {
        let printed = desk.done(&format!("{service} --print-config --listen 127.0.0.1:4711"));
        std::fs::write(desk.path("config.toml"), &printed).unwrap();
        assert_eq!(desk.done(&format!("{service} --print-config --config config.toml")), printed);
        assert!(printed.contains("127.0.0.1:4711"), "{printed}");
    }
    std::fs::write(desk.path("config.toml"), "listne = \"x\"\n").unwrap();
    let (code, said) = desk.refused("hub --config config.toml");
    assert_eq!(code, 2);
    assert!(said.contains("\"listne\"") && said.contains("did you mean \"listen\"?"), "{said}");
}

#[test]
fn what_cannot_be_done_says_what_to_do() {
    let desk = Desk::new();
    for (line, code, next) in [
        ("inbox", 2, "i247 context list"),
        ("inbox --as FR", 2, "i247 context add"),
        ("network", 2, "i247 context add"),
        ("context use fr", 2, "i247 context add"),
        ("notice red --file missing.toml", 2, "i247 context list"),
        ("hub --credentials nowhere", 4, "i247 authority request"),
        ("bureau FR --credentials nowhere", 4, "i247 authority request"),
        ("authority list --authority nowhere", 4, "i247 authority init"),
        ("authority national FR fr", 4, "i247 authority init"),
        ("ledger check nowhere", 2, "name the directory"),
        ("hub --die-with-parent 1", 4, "start it from the process"),
    ] {
        let (found, said) = desk.refused(line);
        assert_eq!(found, code, "{line}: {said}");
        assert!(said.starts_with("error: ") && said.contains(next), "{line}: {said}");
    }
}

#[test]
fn keys_are_never_overwritten_and_belong_to_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.done("authority init authority");
    assert_eq!(desk.refused("authority init authority").0, 4);
    desk.done("authority request fr ncb/fr");
    assert_eq!(desk.refused("authority request fr ncb/fr").0, 4);
    for key in ["authority/ca.key.pem", "fr/tls.key.pem", "fr/signing.key.pem"] {
        let mode = std::fs::metadata(desk.path(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    desk.done("authority national FR fr_authority");
    let (code, said) = desk.refused("authority issue fr/request.pem --authority fr_authority");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("take the request to the authority"), "{said}");
    desk.done("authority issue fr/request.pem --out elsewhere");
    assert!(Path::new(&desk.path("elsewhere/tls.crt.pem")).exists());
    assert!(!desk.path("fr/tls.crt.pem").exists());
}
