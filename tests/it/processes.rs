//! The same story in one process and in many, where a crash is a `kill -9`.

use std::time::Duration;

use i247_testkit::{Builder, Sent, World, WorldError, program};

/// A flood, and every node is killed in the middle of it.
pub(crate) async fn flood_and_crashes(world: &World) -> Result<(), WorldError> {
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0..3 {
        sent.extend(world.bureau("FR").flood(&["BR", "JP"], 60).await?);
        // Somewhere in the flood, each time somewhere else.
        world.bureau("FR").accepted(&sent[60 * round + 10 * (round + 1)]).await?;
        match round {
            0 => {
                world.crash_hub().await?;
                world.start_hub().await?;
            }
            1 => {
                world.crash("BR").await?;
                world.restart("BR").await?;
            }
            _ => {
                world.crash("FR").await?;
                world.restart("FR").await?;
                world.crash_hub().await?;
                world.start_hub().await?;
            }
        }
        world.bureau("BR").receives_all(&sent).await?;
        world.bureau("JP").receives_all(&sent).await?;
    }
    let question = world.bureau("JP").ask(["BR"]).send().await?;
    world.bureau("JP").reply_to(&question, "BR").await?;
    let expected: Vec<String> = sent.iter().map(|sent| sent.id.to_string()).collect();
    assert_eq!(world.bureau("BR").inbox_ids().await?[..expected.len()], expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_survives_kill_9_of_hub_and_bureaus() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR", "JP"]) else { return Ok(()) };
    let world = builder.start().await?;
    flood_and_crashes(&world).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_cut_and_suspended_go_on_as_nodes_of_one_process_do() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR", "JP"]) else { return Ok(()) };
    let world = builder.start().await?;
    crate::membership::suspension(&world).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_ask_and_answer_as_nodes_of_one_process_do() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR", "JP", "SN"]) else { return Ok(()) };
    Box::pin(crate::question::question(builder)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_withhold_a_notice_as_nodes_of_one_process_do() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR", "JP", "SN"]) else { return Ok(()) };
    crate::audience::withheld(builder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_process_gets_the_rest_in_order_when_it_returns() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR", "JP"]) else { return Ok(()) };
    crate::absence::absence(builder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_gets_the_same_message_also_after_kill_9() -> Result<(), WorldError> {
    let Some(builder) = apart(["FR", "BR"]) else { return Ok(()) };
    crate::duplicates::same_key(builder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_envelope_gets_the_same_answer_also_after_kill_9() -> Result<(), WorldError> {
    let Some(builder) = apart(["BR"]) else { return Ok(()) };
    Box::pin(crate::duplicates::same_envelope(builder)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_a_nodes_directory_is_stopped_by_its_lock() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR", "BR"]).processes(&program).start().await?;
    let sent = world.bureau("FR").tell(&["BR"], "while nobody disturbs").await?;
    world.bureau("BR").receives(&sent.id).await?;
    for role in [["hub"].as_slice(), &["bureau", "FR"]] {
        let dir = world.dir().join(role[role.len() - 1].to_lowercase());
        let mut second = tokio::process::Command::new(&program);
        second.args(role).arg("--config").arg(dir.join("config.toml")).kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_secs(30), second.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{role:?} ran twice: {said}");
        assert!(said.contains("in use by another process"), "{said}");
    }
    // The first ones go on.
    let sent = world.bureau("FR").tell(&["BR"], "afterwards").await?;
    world.bureau("BR").receives(&sent.id).await?;
    world.finish().await
}

/// A world with a process for each node, where the program is built.
fn apart<const N: usize>(countries: [&str; N]) -> Option<Builder> {
    Some(World::of(countries).processes(program()?))
}
