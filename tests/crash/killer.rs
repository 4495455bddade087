//! Who kills: every node, by progress, at moments that a fixed seed picks.

use std::sync::Arc;
use std::time::Duration;

use super::play::Play;
use super::processes::Processes;

/// How often each node is killed while work is under way, unless LIENTHONG_KILL_ROUNDS says otherwise.
const ROUNDS: usize = 5;
const SEED: u64 = 0x2016_0830;

/// xorshift64*: the same moments every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// Kills each node once a round; each time another share of all answers has come. Every third time the same node is
/// killed once more as it begins, in the middle of its recovery.
pub async fn run(play: Arc<Play>, processes: Arc<Processes>, answers: usize) {
    let rounds = std::env::var("LIENTHONG_KILL_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    let mut dice = Dice(SEED);
    let nodes: Vec<String> = play.lines().map(|l| l.node().to_owned()).collect();
    // The last kill still has much work before it.
    let shares = rounds * nodes.len() + 3;
    let mut share = 0;
    for _ in 0..rounds {
        let mut order = nodes.clone();
        for i in (1..order.len()).rev() {
            order.swap(i, dice.below(i as u64 + 1) as usize);
        }
        for node in order {
            share += 1;
            play.board.reach(share * answers / shares).await;
            // It serves: what is killed is a node at work.
            play.line(&node).serves().await;
            pause(dice.below(60)).await;
            assert!(play.board.answers() < answers, "the replay was over before its last kill");
            processes.kill(&node, false);
            if share.is_multiple_of(3) {
                pause(5 + dice.below(150)).await;
                processes.kill(&node, true);
            }
        }
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
