//! Two nodes that are processes of their own, with the program as their clients: `tinh` hosts H09, H09.1 and H09.2,
//! `huyen` H09.21 and H09.21.7.

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::LIMIT;

/// The program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_lienthong");

/// The first of four free ports below those that the system hands out.
pub fn port(salt: u16) -> u16 {
    let first = 24_000 + ((std::process::id() % 700) as u16 * 8 + salt) % 8_000;
    let free = |port: u16| (port..port + 4).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
    let mut all = (first..32_000).step_by(8).chain((24_000..first).step_by(8));
    all.find(|port| free(*port)).unwrap()
}

/// A network of two nodes in a folder.
pub struct Net {
    pub dir: tempfile::TempDir,
    nodes: Vec<(&'static str, Child)>,
}

impl Drop for Net {
    fn drop(&mut self) {
        for (_, node) in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Net {
    /// Makes a network. `salt` keeps tests of one process apart: multiples of 500 below 8,000.
    pub fn make(salt: u16) -> Net {
        let dir = tempfile::tempdir().unwrap();
        let net = Net { dir, nodes: Vec::new() };
        let made = net.run(&["init", "net", "--local-network", "--port", &port(salt).to_string()]);
        assert!(made.status.success(), "{made:?}");
        net
    }

    /// The same, and starts both nodes.
    pub fn start(salt: u16) -> Net {
        let mut net = Net::make(salt);
        net.serve_all();
        net
    }

    /// Starts both nodes.
    pub fn serve_all(&mut self) {
        for node in ["tinh", "huyen"] {
            let child = self.serve(node);
            self.nodes.push((node, child));
        }
    }

    /// Starts a node's process.
    fn serve(&self, node: &str) -> Child {
        let stderr = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("{node}.log")))
            .unwrap();
        Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(self.dir.path().join(format!("net/{node}/lienthong.toml")))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap()
    }

    /// A command in the network's folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.dir.path());
        command
    }

    /// Runs one to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// SIGKILL, and a start at once.
    pub fn kill(&mut self, node: &str) {
        self.end(node);
        self.again(node);
    }

    /// SIGKILL.
    pub fn end(&mut self, node: &str) {
        let at = self.at(node);
        self.nodes[at].1.kill().unwrap();
        self.nodes[at].1.wait().unwrap();
    }

    /// Starts a node that was ended.
    pub fn again(&mut self, node: &str) {
        let at = self.at(node);
        self.nodes[at].1 = self.serve(node);
    }

    fn at(&self, node: &str) -> usize {
        self.nodes.iter().position(|(name, _)| *name == node).unwrap()
    }

    /// Waits for something to happen.
    pub fn wait<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = probe() {
                return found;
            }
            let log = |node| std::fs::read_to_string(self.dir.path().join(format!("{node}.log"))).unwrap();
            assert!(began.elapsed() < LIMIT, "{what}\n{}\n{}", log("tinh"), log("huyen"));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
