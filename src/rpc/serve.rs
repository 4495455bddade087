//! Listeners: TLS 1.3 with a certificate on both sides, bounds on connections, in all, for each caller and for each
//! address that does not say yet who it is, and on the time of a handshake.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, Router};

use tower::layer::util::Stack;

use super::guard::GuardLayer;
use super::quota::{Quotas, Taken, What, holder};
use super::tls::Identity;
use crate::domain::administration::RefusalCause;
use crate::domain::limits;

/// A connection whose other end is known.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    identity: Identity,
    _place: tokio::sync::OwnedSemaphorePermit,
    _share: Taken,
}

impl Connected for Connection {
    type ConnectInfo = Identity;

    fn connect_info(&self) -> Identity {
        self.identity.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Accepts connections until `stop`; a handshake that fails or idles concerns that connection only.
fn accept(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    quotas: Quotas,
    mut stop: watch::Receiver<bool>,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let handshakes = Handshakes::default();
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let acceptor = TlsAcceptor::from(tls);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let socket = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|s| *s) => break,
            };
            let (socket, address) = match socket {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: give others time to end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(begun) = handshakes.begin(address.ip()) else {
                tracing::info!(%address, limit = limits::HANDSHAKES_PER_ADDRESS,
                    "too many handshakes of one address at once");
                quotas.turned_away().count(RefusalCause::TooManyHandshakes, &address.ip().to_string());
                continue;
            };
            let (acceptor, quotas) = (acceptor.clone(), quotas.clone());
            let sender = sender.clone();
            tokio::spawn(async move {
                let _ = socket.set_nodelay(true);
                let turned_away = |cause| quotas.turned_away().count(cause, &address.ip().to_string());
                let handshake = async {
                    // Who opens a connection and says nothing looks whether the port is open: a load balancer, often.
                    if socket.peek(&mut [0]).await? == 0 {
                        return Ok(None);
                    }
                    acceptor.accept(socket).await.map(Some)
                };
                let stream = match tokio::time::timeout(
                    Duration::from_millis(limits::HANDSHAKE_MS),
                    handshake,
                )
                .await
                {
                    Ok(Ok(Some(stream))) => stream,
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => {
                        tracing::info!(%address, %error, "a handshake failed");
                        turned_away(cause_of(&error));
                        return;
                    }
                    Err(_) => {
                        tracing::info!(%address, limit_ms = limits::HANDSHAKE_MS, "a handshake took too long");
                        turned_away(RefusalCause::Timeout);
                        return;
                    }
                };
                let certificates = stream.get_ref().1.peer_certificates();
                let identity = certificates
                    .and_then(<[_]>::first)
                    .map_or(Identity::Unknown, |c| Identity::of_certificate(c));
                drop(begun);
                let share = match quotas.take(&holder(Some(&identity)), What::Connections, 1) {
                    Ok(share) => share,
                    Err(rejection) => {
                        tracing::info!(%address, reason = %rejection, "a connection was closed");
                        quotas.refused(rejection.reason);
                        quotas.turned_away().count(RefusalCause::TooManyConnections, &identity.to_string());
                        return;
                    }
                };
                let _ = sender.send(Ok(Connection { stream, identity, _place: place, _share: share })).await;
            });
        }
    });
    ReceiverStream::new(receiver)
}

/// Why a handshake failed.
fn cause_of(error: &io::Error) -> RefusalCause {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::NoCertificatesPresented) => RefusalCause::NoCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => RefusalCause::BadCertificate,
        Some(
            rustls::Error::PeerIncompatible(_)
            | rustls::Error::InvalidMessage(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. }
            | rustls::Error::NoApplicationProtocol,
        ) => RefusalCause::Protocol,
        _ => RefusalCause::Handshake,
    }
}

/// Handshakes under way, by address.
#[derive(Clone, Default)]
struct Handshakes {
    begun: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of them.
struct Begun {
    of: Handshakes,
    address: IpAddr,
}

impl Handshakes {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, address: IpAddr) -> Option<Begun> {
        let mut begun = self.lock();
        let count = begun.entry(address).or_default();
        (*count < limits::HANDSHAKES_PER_ADDRESS).then(|| {
            *count += 1;
            Begun { of: self.clone(), address }
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut begun = self.of.lock();
        if let Some(count) = begun.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                begun.remove(&self.address);
            }
        }
    }
}

/// A server whose calls pass the shares of its listener.
pub type Guarded = Router<Stack<GuardLayer, tower::layer::util::Identity>>;

/// Serves a router on a listener until `stop`, then lets calls under way end.
pub async fn serve(
    router: Guarded,
    quotas: Quotas,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let incoming = accept(listener, tls, quotas, stop.clone());
    let mut signal = stop;
    router
        .serve_with_incoming_shutdown(incoming, async move {
            let _ = signal.wait_for(|s| *s).await;
        })
        .await
}

/// A tonic server with this project's limits; from `stop` on it begins no calls.
pub fn builder(
    quotas: &Quotas,
    stop: watch::Receiver<bool>,
) -> tonic::transport::Server<Stack<GuardLayer, tower::layer::util::Identity>> {
    tonic::transport::Server::builder()
        .layer(GuardLayer::new(quotas.clone(), stop))
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}
