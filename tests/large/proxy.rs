//! A way to a node that a test cuts, stalls and measures.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What happens to bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Open,
    /// The first connection that has carried so many is cut, and every one after it passes.
    CutOnceAfter(u64),
    /// No connection carries more than so many.
    StallAfter(u64),
}

/// A proxy on a port of its own, on threads of its own.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct State {
    to: SocketAddr,
    /// From who dials to who listens, and back.
    flows: [watch::Sender<Flow>; 2],
    bytes: [AtomicU64; 2],
    /// Bytes of the connection that carried most, in either direction.
    most: [AtomicU64; 2],
    cuts: AtomicU64,
    cut_all: watch::Sender<u64>,
}

/// From who dials to who listens.
pub const THERE: usize = 0;
/// From who listens to who dials.
pub const BACK: usize = 1;

impl Proxy {
    /// To an address, on a free port.
    pub fn start(to: SocketAddr) -> Proxy {
        Proxy::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), to)
    }

    /// The same on a given port.
    pub fn start_at(address: SocketAddr, to: SocketAddr) -> Proxy {
        let state = Arc::new(State {
            to,
            flows: [watch::Sender::new(Flow::Open), watch::Sender::new(Flow::Open)],
            bytes: Default::default(),
            most: Default::default(),
            cuts: AtomicU64::new(0),
            cut_all: watch::Sender::new(0),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (of, entered) = (state.clone(), runtime.enter());
        let listener = TcpListener::from_std(listener).unwrap();
        drop(entered);
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(carry(of.clone(), socket));
            }
        });
        Proxy { address, state, runtime: Some(runtime) }
    }

    /// From now on bytes of a direction flow so.
    pub fn flow(&self, direction: usize, flow: Flow) {
        self.state.flows[direction].send_replace(flow);
    }

    /// Bytes that passed in a direction.
    pub fn bytes(&self, direction: usize) -> u64 {
        self.state.bytes[direction].load(Ordering::SeqCst)
    }

    /// The most that one connection carried in a direction.
    pub fn most(&self, direction: usize) -> u64 {
        self.state.most[direction].load(Ordering::SeqCst)
    }

    /// Connections that were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Cuts every connection that is there.
    pub fn cut_all(&self) {
        self.state.cut_all.send_modify(|n| *n += 1);
    }
}

async fn carry(state: Arc<State>, socket: TcpStream) {
    let Ok(other) = TcpStream::connect(state.to).await else { return };
    let mut cut_all = state.cut_all.subscribe();
    let (from, to) = (socket.into_split(), other.into_split());
    tokio::select! {
        () = pass(&state, THERE, from.0, to.1) => {}
        () = pass(&state, BACK, to.0, from.1) => {}
        _ = cut_all.changed() => {}
    }
}

async fn pass(state: &State, direction: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut flow = state.flows[direction].subscribe();
    let mut buffer = vec![0; 16 << 10];
    let mut carried = 0u64;
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
        loop {
            let now = *flow.borrow_and_update();
            match now {
                Flow::CutOnceAfter(most) if carried >= most => {
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    state.flows[direction].send_replace(Flow::Open);
                    return;
                }
                Flow::StallAfter(most) if carried >= most => {
                    if flow.changed().await.is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
        carried += n as u64;
        state.bytes[direction].fetch_add(n as u64, Ordering::SeqCst);
        state.most[direction].fetch_max(carried, Ordering::SeqCst);
    }
}
