//! A listener with a bounded number of places, of which one address has a bounded share: for pages and metrics, whose
//! connections are short and few.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// One address has one of so many parts of all places: whoever holds connections open keeps nobody else out.
const PARTS: usize = 4;
/// And at least this many: a monitoring system and a person beside it.
const LEAST: usize = 4;
/// Bits of an IPv6 address that a network has; who has one has every address in it.
const NETWORK: u32 = 64;

/// The places, and who has them.
struct Places {
    free: Arc<Semaphore>,
    /// Places of one address.
    each: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place, until it is dropped.
struct Place {
    of: Arc<Places>,
    address: IpAddr,
    _free: OwnedSemaphorePermit,
}

impl Places {
    fn new(places: usize) -> Places {
        let free = Arc::new(Semaphore::new(places));
        Places { free, each: (places / PARTS).max(LEAST), taken: Mutex::default() }
    }

    /// A place for an address, where there is one and the address has not its share already.
    fn take(self: &Arc<Places>, address: IpAddr) -> Option<Place> {
        let address = counted_as(address);
        let free = self.free.clone().try_acquire_owned().ok()?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&address).copied().unwrap_or_default();
        if count >= self.each {
            return None;
        }
        taken.insert(address, count + 1);
        Some(Place { of: self.clone(), address, _free: free })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // An address without a place is forgotten.
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.address)),
        }
    }
}

/// The address that has the share: an IPv4 address, or the network of an IPv6 address.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << (128 - NETWORK))).into()),
        v4 => v4,
    }
}

/// Serves each connection on a task of its own until `stop`, `places` of them at once, a quarter of them for one address
/// (four, where that is less), each for at most `longest`. Who finds no place is closed.
pub async fn serve<F>(
    listener: TcpListener,
    places: usize,
    longest: Duration,
    mut stop: watch::Receiver<bool>,
    connection: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Places::new(places));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|s| *s) => return,
        };
        let Ok((socket, from)) = accepted else {
            // Too many files are open, mostly: that passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(place) = places.take(from.ip()) else { continue };
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;

    use super::*;

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// Whether the other end serves: it greets. Where there is no place it closes.
    async fn is_served(stream: &mut TcpStream) -> bool {
        let mut greeting = [0];
        matches!(stream.read(&mut greeting).await, Ok(1))
    }

    #[tokio::test]
    async fn one_address_takes_a_quarter_of_the_places_and_leaves_the_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let greet = |mut socket: TcpStream| async move {
            let _ = socket.write_all(b"!").await;
            let _ = socket.read(&mut [0]).await;
        };
        let serving = tokio::spawn(serve(listener, 16, Duration::from_secs(600), stopped, greet));
        let mut kept = Vec::new();
        for from in ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"] {
            for place in 0..6 {
                let mut stream = connect(from, to).await;
                assert_eq!(is_served(&mut stream).await, place < 4, "{from}, {place}");
                kept.push(stream);
            }
        }
        // All are taken; a place that gets free is there again, for its address and for others.
        assert!(!is_served(&mut connect("127.0.0.5", to).await).await);
        for from in ["127.0.0.1", "127.0.0.5"] {
            drop(kept.remove(0));
            let found = async {
                loop {
                    let mut stream = connect(from, to).await;
                    if is_served(&mut stream).await {
                        return stream;
                    }
                }
            };
            kept.push(tokio::time::timeout(Duration::from_secs(60), found).await.unwrap());
        }
        stop.send(true).unwrap();
        serving.await.unwrap();
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_place_and_counted_by_its_network() {
        let places = Arc::new(Places::new(16));
        let take = |address: &str| places.take(address.parse().unwrap());
        let held = ["1", "2", "3", "3"].map(|host| take(&format!("2001:db8::{host}")));
        assert!(held.iter().all(Option::is_some) && take("2001:db8::4").is_none());
        assert!(take("2001:db8:0:1::3").is_some());
        let v4 = ["", "::ffff:", "", "::ffff:"].map(|before| take(&format!("{before}192.0.2.1")));
        assert!(v4.iter().all(Option::is_some) && take("192.0.2.1").is_none() && take("192.0.2.2").is_some());
        drop((held, v4));
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 16);
    }
}
