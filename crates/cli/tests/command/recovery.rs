//! Data restored from an older copy, and the commands that bring the network back.

use std::process::Command;

use crate::desk::{Desk, ids, network, text};

#[test]
fn a_hub_from_an_older_copy_is_recovered_and_hears_the_authority_again() {
    let mut desk = Desk::new();
    let run = "hub --data hub --credentials authority/hub_lyon";
    let recover = "hub recover --data hub --credentials authority/hub_lyon --yes";
    desk.done("authority init authority --site lyon");
    let hub = desk.start(run);
    desk.done("authority request fr ncb/fr");
    desk.done(&format!("authority issue fr/request.pem --hub {hub}"));
    desk.stop(0);
    let copied = Command::new("cp").arg("-a").arg(desk.path("hub")).arg(desk.path("monday")).status();
    assert!(copied.unwrap().success());
    let hub = desk.start(run);
    desk.done(&format!("authority suspend ncb/fr --reason inquiry --hub {hub}"));
    let (code, said) = desk.refused(recover);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("stop the service that uses it first"), "{said}");
    desk.stop(1);
    std::fs::remove_dir_all(desk.path("hub")).unwrap();
    std::fs::rename(desk.path("monday"), desk.path("hub")).unwrap();
    let (code, said) = desk.refused("hub recover --data hub --credentials authority/hub_lyon");
    assert!(code == 2 && said.contains("--yes"), "{said}");
    let recovered = desk.json(recover);
    assert_ne!(recovered["log_id"], recovered["previous_log_id"]);
    let known = recovered["previous_log_id"].as_str().unwrap();
    let (code, said) = desk.refused(&format!("{recover} --lost {known}"));
    assert!(code == 4 && said.contains(known), "the copy knows it: {said}");
    let again = desk.run(recover);
    let (out, said) = (text(&again.stdout), text(&again.stderr));
    assert!(out.contains(recovered["log_id"].as_str().unwrap()), "it goes on from the one before: {out}");
    assert!(said.contains("authority resend") && said.contains("Start the hub"), "{said}");

    let hub = desk.start(run);
    let standing = |desk: &Desk| {
        let list = desk.json(&format!("authority list --hub {hub}"));
        list["records"][0]["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing(&desk), "ACTIVE");
    // Nothing new is said about it before the hub has heard what was said already.
    let (code, said) = desk.refused(&format!("authority revoke ncb/fr --hub {hub}"));
    assert!(code == 1 && said.contains("authority resend"), "{said}");
    desk.done(&format!("authority resend --hub {hub}"));
    assert_eq!(standing(&desk), "SUSPENDED");
    desk.done(&format!("authority resend --hub {hub}"));
    // What is refused is not kept.
    assert_eq!(desk.refused(&format!("authority suspend ncb/fr --hub {hub}")).0, 1);
    desk.done(&format!("authority reinstate ncb/fr --hub {hub}"));
    assert_eq!(standing(&desk), "ACTIVE");
}

#[test]
fn a_bureau_from_an_older_copy_is_refused_and_goes_on_when_it_is_recovered() {
    let mut desk = network();
    let hub = desk.nodes[0].address.clone();
    let run = format!("bureau br --hub {hub} --data br_data --credentials br --automatic false");
    // Wherever it listens now.
    let start = |desk: &mut Desk| {
        let address = desk.start(&run);
        desk.done(&format!("context add br --address {address} --server ncb/br --credentials br_duty"));
    };
    let asks = |desk: &Desk| desk.done("ask FR --about fraud --name Marlowe --as BR");
    let arrives = |desk: &Desk, id: &str| {
        desk.wait_for("the request at FR", || {
            ids(&desk.json("inbox --as FR")).contains(&id.to_owned()).then_some(())
        });
    };
    let kept = asks(&desk);
    arrives(&desk, &kept);
    let (code, said) = desk.refused("bureau BR recover --reason practice");
    assert!(code == 1 && said.contains("next"), "nothing was lost: {said}");
    desk.stop(2);
    let copied = Command::new("cp").arg("-a").arg(desk.path("br_data")).arg(desk.path("monday")).status();
    assert!(copied.unwrap().success());
    start(&mut desk);
    let lost = asks(&desk);
    arrives(&desk, &lost);
    desk.stop(3);
    std::fs::remove_dir_all(desk.path("br_data")).unwrap();
    std::fs::rename(desk.path("monday"), desk.path("br_data")).unwrap();
    start(&mut desk);

    let standing = desk.wait_for("BR to say that it is an older copy", || {
        let said = desk.done("status --as BR");
        said.contains("halted: ").then_some(said)
    });
    assert!(standing.contains("restored from an older copy"), "{standing}");
    assert!(standing.contains("`i247 bureau BR recover --reason"), "it says what to do: {standing}");
    let (code, said) = desk.refused("bureau BR recover");
    assert!(code == 2 && said.contains("--reason"), "{said}");
    let recovered = desk.run("bureau BR recover --reason restored");
    let said = text(&recovered.stderr);
    assert!(recovered.status.success() && said.contains("in epoch 2"), "{said}");
    let anew = asks(&desk);
    assert_eq!(anew, "BR-2-N-1");
    arrives(&desk, &anew);
    desk.wait_for("the link of BR", || {
        desk.done("status --as BR").contains("connected to the hub").then_some(())
    });
}
