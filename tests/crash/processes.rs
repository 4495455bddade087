//! The nodes as processes: started, killed, started again on the same ports, and stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use lienthong::cli::network::{self, Network, Plan};
use lienthong::cli::pki::Validity;
use lienthong::cli::scenario::Row;
use lienthong::directory::build::AgencyLine;
use lienthong::ledger::{Clock as _, SystemClock};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_lienthong");
/// Longest time that a node takes to stop when it is asked to.
const STOP: Duration = Duration::from_secs(60);

/// Free ports below those that the system hands out: nobody takes them by chance while a node is down.
fn ports(count: usize) -> Vec<SocketAddr> {
    // The tests of this process run side by side, and none must take what another has found free.
    static BEFORE: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 450) as u16 * 24 + BEFORE.fetch_add(6, Ordering::SeqCst);
    let free = (first..32_000).chain(20_000..first).filter_map(|port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address).ok().map(|_| address)
    });
    free.take(count).collect()
}

/// Makes the network around free ports.
pub fn make(dir: &Path, agencies: &[AgencyLine], rows: &[Row]) -> Network {
    let nodes = network::nodes_of(agencies).unwrap();
    let ports = ports(2 * nodes.len());
    let addresses: BTreeMap<_, _> =
        nodes.into_iter().enumerate().map(|(i, n)| (n, (ports[2 * i], ports[2 * i + 1]))).collect();
    let persons: BTreeSet<String> = rows.iter().map(|r| r.sender.clone()).collect();
    network::make(&Plan {
        network: "crash",
        dir,
        agencies,
        addresses: &addresses,
        unreachable: &BTreeSet::new(),
        issued_at: SystemClock.now(),
        validity: Validity::default(),
        rsa: false,
        write_document_keys: false,
        persons: &persons,
        extra: &Default::default(),
    })
    .unwrap()
}

/// How often a node was killed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kills {
    /// While it served and work was under way.
    pub under_way: usize,
    /// Shortly after it was started again.
    pub beginning: usize,
}

struct Process {
    child: Child,
    folder: PathBuf,
    kills: Kills,
    stops: usize,
}

impl Process {
    /// Waits for its end in order.
    fn ended(&mut self, name: &str) {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(began.elapsed() < STOP, "node {name} does not stop"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0), "node {name} stopped with {status}");
    }
}

/// All nodes.
pub struct Processes {
    nodes: Mutex<BTreeMap<String, Process>>,
    /// All were killed and are not started yet.
    down: AtomicBool,
}

fn spawn(folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("stderr.txt")).unwrap();
    Command::new(BINARY)
        .arg("serve")
        .arg("--config")
        .arg(folder.join("lienthong.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

impl Processes {
    /// Starts every node.
    pub fn start(network: &Network) -> Processes {
        let nodes = network.nodes.keys().map(|name| {
            let folder = network.dir.join(name.as_str());
            (name.to_string(), Process { child: spawn(&folder), folder, kills: Kills::default(), stops: 0 })
        });
        Processes { nodes: Mutex::new(nodes.collect()), down: AtomicBool::new(false) }
    }

    /// SIGKILL, and a start at once.
    pub fn kill(&self, node: &str, beginning: bool) {
        let mut nodes = self.nodes.lock().unwrap();
        let process = nodes.get_mut(node).unwrap();
        if process.child.try_wait().unwrap().is_some() {
            // It ended by itself: left as it is, and reported by who waits for the end.
            return;
        }
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        if beginning {
            process.kills.beginning += 1;
        } else {
            process.kills.under_way += 1;
        }
        process.child = spawn(&process.folder);
    }

    /// Stops all of them where they are (SIGSTOP).
    pub fn suspend(&self) {
        for process in self.nodes.lock().unwrap().values() {
            signal(&process.child, "-STOP");
        }
    }

    /// Sends a signal to one.
    pub fn signal(&self, node: &str, signal_name: &str) {
        signal(&self.nodes.lock().unwrap()[node].child, signal_name);
    }

    /// SIGKILL to all; [`Processes::start_all`] follows.
    pub fn kill_all(&self) {
        self.down.store(true, Ordering::SeqCst);
        for process in self.nodes.lock().unwrap().values_mut() {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
            process.kills.under_way += 1;
        }
    }

    /// Starts them again.
    pub fn start_all(&self) {
        for process in self.nodes.lock().unwrap().values_mut() {
            process.child = spawn(&process.folder);
        }
        self.down.store(false, Ordering::SeqCst);
    }

    /// A node that ended though nobody killed it.
    pub fn ended_by_itself(&self) -> Option<String> {
        if self.down.load(Ordering::SeqCst) {
            return None;
        }
        let mut nodes = self.nodes.lock().unwrap();
        nodes.iter_mut().find_map(|(name, process)| {
            process.child.try_wait().unwrap().map(|status| format!("node {name} ended by itself: {status}"))
        })
    }

    /// The kills so far.
    pub fn kills(&self) -> BTreeMap<String, Kills> {
        self.nodes.lock().unwrap().iter().map(|(name, p)| (name.clone(), p.kills)).collect()
    }

    /// The last lines that each node wrote.
    pub fn tails(&self) -> String {
        let nodes = self.nodes.lock().unwrap();
        let tail = |(name, process): (&String, &Process)| {
            let text = std::fs::read_to_string(process.folder.join("stderr.txt")).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(25)..].join("\n"))
        };
        nodes.iter().map(tail).collect()
    }

    /// SIGTERM, its end, which must be with 0, and a start.
    pub fn restart(&self, node: &str) {
        let mut nodes = self.nodes.lock().unwrap();
        let process = nodes.get_mut(node).unwrap();
        signal(&process.child, "-TERM");
        process.ended(node);
        process.stops += 1;
        process.child = spawn(&process.folder);
    }

    /// How often each was stopped in order and started again.
    pub fn stops(&self) -> BTreeMap<String, usize> {
        self.nodes.lock().unwrap().iter().map(|(name, p)| (name.clone(), p.stops)).collect()
    }

    /// SIGTERM to all; each must end with 0.
    pub fn stop(&self) {
        let mut nodes = self.nodes.lock().unwrap();
        for process in nodes.values() {
            signal(&process.child, "-TERM");
        }
        for (name, process) in nodes.iter_mut() {
            process.ended(name);
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // No node outlives a test that failed.
        let mut nodes = match self.nodes.lock() {
            Ok(nodes) => nodes,
            Err(poisoned) => poisoned.into_inner(),
        };
        for process in nodes.values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// `audit check` of a stopped node.
pub fn audit(folder: &Path) -> Value {
    let output = Command::new(BINARY)
        .args(["audit", "check", "--format", "json", "--data"])
        .arg(folder)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "audit check of {}:\n{out}\n{err}", folder.display());
    serde_json::from_str(&out).unwrap()
}
