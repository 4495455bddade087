//! Who stops in order: every node in turn, by progress, as an upgrade does, while work is under way.

use std::sync::Arc;

use super::play::Play;
use super::processes::Processes;

/// How often each node is stopped and started.
pub const ROUNDS: usize = 3;

/// Stops each node once a round, waits for its end, and starts it again.
pub async fn run(play: Arc<Play>, processes: Arc<Processes>, answers: usize) {
    let nodes: Vec<String> = play.lines().map(|l| l.node().to_owned()).collect();
    let shares = ROUNDS * nodes.len() + 2;
    let mut share = 0;
    for _ in 0..ROUNDS {
        for node in &nodes {
            share += 1;
            play.board.reach(share * answers / shares).await;
            play.line(node).serves().await;
            assert!(play.board.answers() < answers, "the replay was over before its last stop");
            let (processes, node) = (processes.clone(), node.clone());
            tokio::task::spawn_blocking(move || processes.restart(&node)).await.unwrap();
        }
    }
}
