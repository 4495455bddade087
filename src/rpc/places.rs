//! A listener with a bounded number of places: for pages and metrics, whose connections are short and few.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Serves each connection on a task of its own until `stop`, `places` of them at once, each for at most `longest`. Who
/// finds no place is closed.
pub async fn serve<F>(
    listener: TcpListener,
    places: usize,
    longest: Duration,
    mut stop: watch::Receiver<bool>,
    connection: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(places));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|s| *s) => return,
        };
        let Ok((socket, _)) = accepted else {
            // Too many files are open, mostly: that passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (served, mut stop) = (connection(socket), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::time::timeout(longest, served) => {}
                _ = stop.wait_for(|s| *s) => {}
            }
            drop(place);
        });
    }
}
