//! A small HTTP server that answers as it is told, by path, and remembers what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Makes an answer from a request's body.
pub type Reply = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// What a path answers.
pub enum Answer {
    /// 200 with these bytes.
    Bytes(Vec<u8>),
    /// 200 with what is made from the request's body.
    Reply(Reply),
    /// This, as it is, and the end.
    Raw(String),
    /// A body in chunks that never ends.
    Endless,
    /// Nothing, ever.
    Never,
}

/// The server.
#[derive(Clone)]
pub struct Web {
    address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Arc<Answer>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Serves at an address of loopback.
    pub async fn serve(host: &str) -> Web {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let web =
            Web { address: listener.local_addr().unwrap(), answers: Arc::default(), asked: Arc::default() };
        let served = web.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let web = served.clone();
                // Whoever asks may go away at any time.
                tokio::spawn(async move { web.answer(stream).await.ok() });
            }
        });
        web
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a path answers from now on; nothing else is found.
    pub fn put(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), Arc::new(answer));
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|p| *p == path).count()
    }

    /// How often anything was.
    pub fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (path, body) = read(&mut stream).await?;
        self.asked.lock().unwrap().push(path.clone());
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let bytes = match answer.as_deref() {
            None => return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await,
            Some(Answer::Raw(text)) => return stream.write_all(text.as_bytes()).await,
            Some(Answer::Never) => return std::future::pending().await,
            Some(Answer::Endless) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                let chunk = [b"10000\r\n", &[b'0'; 65536][..], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                }
            }
            Some(Answer::Bytes(bytes)) => bytes.clone(),
            Some(Answer::Reply(reply)) => reply(&body),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&bytes).await
    }
}

/// Reads a request: its path and its body.
async fn read(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Ok((path, bytes.split_off(end)))
}
