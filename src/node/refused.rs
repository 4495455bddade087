//! Connections that were turned away, as events: one for all of a minute, and while it goes on one for two, four, …, at
//! most sixty minutes. So a flood that lasts a day makes some thirty events, and the first minute is known soon.
//!
//! What is counted is in memory: a crash loses what was counted since the last event.

use std::time::Duration;

use tokio::sync::watch;

use crate::domain::administration::{RefusedConnections, Side};
use crate::domain::decide::Command;
use crate::domain::event::EventKind;
use crate::domain::limits;
use crate::exchange::Exchange;
use crate::rpc::quota::Quotas;
use crate::time::Timestamp;

/// How long until the next event: longer after each that followed at once.
fn next(window: Duration, refused: bool) -> Duration {
    let (first, most) =
        (Duration::from_millis(limits::REFUSED_EVERY_MS), Duration::from_millis(limits::REFUSED_MOST_MS));
    if refused { (window * 2).min(most) } else { first }
}

/// Records what is turned away, until the node stops.
pub(super) async fn record(exchange: Exchange, quotas: [Quotas; 2], mut stop: watch::Receiver<bool>) {
    let mut window = next(Duration::ZERO, false);
    loop {
        let since = exchange.ledger().now();
        tokio::select! {
            () = tokio::time::sleep(window) => {}
            () = async { drop(stop.wait_for(|s| *s).await) } => {
                write(&exchange, &quotas, since).await;
                return;
            }
        }
        window = next(window, write(&exchange, &quotas, since).await);
    }
}

/// Records what was counted since; whether there was anything.
async fn write(exchange: &Exchange, quotas: &[Quotas; 2], since: Timestamp) -> bool {
    let [clients, peers] = quotas;
    let taken = [clients.turned_away().take(Side::Clients), peers.turned_away().take(Side::Peers)];
    let refusals = taken.concat();
    if refusals.is_empty() {
        return false;
    }
    let kind = EventKind::ConnectionsRefused(RefusedConnections { since, refusals });
    if let Err(error) = exchange.ledger().commit(Command::Note { kind }).await {
        tracing::warn!(%error, "refused connections could not be recorded: they are counted on");
        clients.turned_away().give_back(&taken[0]);
        peers.turned_away().give_back(&taken[1]);
    }
    true
}

/// Records what was turned away while the node stopped, which began at `since`.
pub(super) async fn record_last(exchange: &Exchange, quotas: &[Quotas; 2], since: Timestamp) {
    write(exchange, quotas, since).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_a_day_makes_some_thirty_events() {
        let mut window = next(Duration::ZERO, false);
        assert_eq!(window, Duration::from_secs(60));
        let (mut passed, mut events) = (Duration::ZERO, 0);
        while passed < Duration::from_secs(24 * 3600) {
            passed += window;
            events += 1;
            window = next(window, true);
        }
        assert!(events <= 31, "{events}");
        assert_eq!(next(window, false), Duration::from_secs(60));
    }
}
