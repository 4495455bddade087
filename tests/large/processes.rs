//! Two nodes that are processes of their own, with the program as their clients: memory with many transfers at once,
//! and SIGKILL in mid-transfer.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::stage::{MIB, noise};

const BINARY: &str = env!("CARGO_BIN_EXE_lienthong");
/// Longest wait for what must happen.
const LIMIT: Duration = Duration::from_secs(60);

/// The first of four free ports below those that the system hands out.
fn port(salt: u16) -> u16 {
    let first = 24_000 + (std::process::id() % 700) as u16 * 8 + salt;
    let free = |port: u16| (port..port + 4).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
    (first..32_000).step_by(8).find(|port| free(*port)).unwrap()
}

#[test]
fn twenty_transfers_at_once_stay_under_256_mib_in_each_node() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/large/run.sh");
    let output = Command::new("bash")
        .arg(script)
        .args(["8", "20"])
        .env("LIENTHONG_BIN", BINARY)
        .env("LIENTHONG_PORT", port(0).to_string())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&found["documents"], &found["lost"]), (&20.into(), &0.into()), "{found}");
    for node in ["tinh", "huyen"] {
        let peak = found["peak_mib"][node].as_u64().unwrap();
        assert!((10..256).contains(&peak), "{found}");
    }
    eprintln!("{out}");
}

/// A network of two nodes in a folder.
struct Net {
    dir: tempfile::TempDir,
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
    fn start(salt: u16) -> Net {
        let dir = tempfile::tempdir().unwrap();
        let mut net = Net { dir, nodes: Vec::new() };
        let made = net.run(&["init", "net", "--local-network", "--port", &port(salt).to_string()]);
        assert!(made.status.success(), "{made:?}");
        for node in ["tinh", "huyen"] {
            let child = net.serve(node);
            net.nodes.push((node, child));
        }
        net
    }

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

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.dir.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// SIGKILL, and a start at once.
    fn kill(&mut self, node: &str) {
        let at = self.nodes.iter().position(|(name, _)| *name == node).unwrap();
        self.nodes[at].1.kill().unwrap();
        self.nodes[at].1.wait().unwrap();
        self.nodes[at].1 = self.serve(node);
    }

    /// Bytes of the largest part that a node keeps of a transfer.
    fn kept(&self, node: &str) -> u64 {
        let dir = self.dir.path().join(format!("net/{node}/data/content/partial"));
        let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
        let sizes = entries.filter_map(|e| Some(e.ok()?.metadata().ok()?.len()));
        sizes.max().unwrap_or(0)
    }

    fn wait<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
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

#[test]
fn a_document_arrives_whole_though_each_node_is_killed_in_mid_transfer() {
    let mut net = Net::start(2_000);
    let content = noise(7, 160 * MIB);
    std::fs::write(net.dir.path().join("a.bin"), &content).unwrap();
    net.wait("node tinh serves", || {
        net.run(&["inbox", "--config", "net/tinh/lienthong.toml", "--agency", "H09"])
            .status
            .success()
            .then_some(())
    });
    let mut send = net.command(&[
        "send",
        "a.bin",
        "--config",
        "net/tinh/lienthong.toml",
        "--sender",
        "H09",
        "--to",
        "H09.21",
        "--number",
        "1",
        "--notation",
        "CV",
        "--subject",
        "Thử",
        "--format",
        "json",
    ]);
    let sending = send.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    net.wait("the upload is under way", || (net.kept("tinh") > 24 << 20).then_some(()));
    net.kill("tinh");
    let sent = sending.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(sent.status.success(), "{said}");
    assert!(said.contains("the connection broke: going on at byte"), "{said}");
    // The node that pulls, then the one that is pulled from.
    for (node, past) in [("huyen", 24), ("tinh", 60)] {
        net.wait("the pull is under way", || (net.kept("huyen") > past << 20).then_some(()));
        net.kill(node);
    }
    let path: PathBuf = net.dir.path().join("got/a.bin");
    let id = serde_json::from_slice::<serde_json::Value>(&sent.stdout).unwrap()["results"][0]["delivery_id"]
        .as_str()
        .unwrap()
        .to_owned();
    net.wait("it arrives", || {
        let args =
            ["fetch", &id, "--config", "net/huyen/lienthong.toml", "--agency", "H09.21", "--to", "got"];
        net.run(&args).status.success().then_some(())
    });
    assert!(std::fs::read(path).unwrap() == content);
    net.wait("nothing is kept any more", || (net.kept("tinh") == 0 && net.kept("huyen") == 0).then_some(()));
}
