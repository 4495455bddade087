//! A wire between two nodes that a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to an address.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    connections: AtomicUsize,
    /// Bytes until every connection is cut; none are counted when it is negative.
    left: AtomicI64,
    cuts: watch::Sender<u32>,
}

impl Relay {
    pub async fn to(to: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            to,
            connections: AtomicUsize::new(0),
            left: AtomicI64::new(-1),
            cuts: watch::Sender::new(0),
        });
        tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok((from, _)) = listener.accept().await {
                    let Ok(to) = TcpStream::connect(state.to).await else { continue };
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    let (from_read, from_write) = from.into_split();
                    let (to_read, to_write) = to.into_split();
                    tokio::spawn(pass(state.clone(), from_read, to_write));
                    tokio::spawn(pass(state.clone(), to_read, from_write));
                }
            }
        });
        Relay { address, state }
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Cuts every connection when so many bytes more have passed, in both directions together.
    pub fn cut_after(&self, bytes: i64) {
        self.state.left.store(bytes, Ordering::SeqCst);
    }

    /// Times that it was cut.
    pub fn cuts(&self) -> u32 {
        *self.state.cuts.borrow()
    }
}

impl State {
    fn cut(&self) {
        self.left.store(-1, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass(state: Arc<State>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut cut = state.cuts.subscribe();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            _ = cut.changed() => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(n @ 1..) = read else { return };
        let before = state.left.load(Ordering::SeqCst);
        if before >= 0 && state.left.fetch_sub(n as i64, Ordering::SeqCst) <= n as i64 {
            state.cut();
            return;
        }
        let written = tokio::select! {
            _ = cut.changed() => return,
            written = to.write_all(&buffer[..n]) => written,
        };
        if written.is_err() {
            return;
        }
    }
}
