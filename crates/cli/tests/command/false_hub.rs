//! Somebody else who answers at the hub's address: with its names, under an authority of their own.

use std::path::Path;

use crate::desk::{Desk, ids, network};

/// Stands in what is sent, and is in no other message.
const SECRET: &str = "Marlowe-Anders";

#[test]
fn a_bureau_at_a_false_hub_says_so_and_sends_nothing() {
    let mut desk = network();
    let hub = desk.nodes[0].address.clone();
    desk.done("authority init elsewhere --site lyon");
    let elsewhere = desk.start("hub --data elsewhere_data --credentials elsewhere/hub_lyon");
    desk.stop(1);
    let led_to = |desk: &mut Desk, hub: &str| {
        let address = desk.start(&format!(
            "bureau fr --hub {hub} --data fr_data --credentials fr --automatic false --telemetry-level info"
        ));
        desk.done(&format!("context add fr --address {address} --server ncb/fr --credentials fr_duty"));
    };
    led_to(&mut desk, &elsewhere);
    let waits = desk.done(&format!("ask BR --about fraud --name {SECRET} --as FR"));
    // Twice, so that it tries again with something to send.
    for _ in 0..2 {
        let said = desk.hears(4, "the link to the hub is down");
        assert!(said.contains(&elsewhere) && said.contains("TLS failed"), "{said}");
        assert!(said.contains("UnknownIssuer") && said.contains("check certificates"), "{said}");
    }
    let status = desk.done("status --as FR");
    assert!(status.contains("away from the hub") && status.contains("1 waiting"), "{status}");
    assert_eq!(desk.json("outbox --as FR")["items"][0]["state"], "WAITING");
    desk.stop(4);
    desk.stop(3);
    assert!(!holds(&desk.path("elsewhere_data"), SECRET));

    led_to(&mut desk, &hub);
    desk.wait_for("the request at BR", || ids(&desk.json("inbox --as BR")).contains(&waits).then_some(()));
    // The hub does not seal what it carries: it would have been seen at the other one, too.
    assert!(holds(&desk.path("hub"), SECRET));
}

/// Whether a file below has these words in it.
fn holds(dir: &Path, words: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, words);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    })
}
