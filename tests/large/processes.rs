//! Two nodes that are processes of their own, with the program as their clients: memory with many transfers at once,
//! and SIGKILL in mid-transfer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::common::program::{BINARY, Net, port};
use super::stage::{MIB, noise};

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

/// Bytes of the largest part that a node keeps of a transfer.
fn kept(net: &Net, node: &str) -> u64 {
    let dir = net.dir.path().join(format!("net/{node}/data/content/partial"));
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.filter_map(|e| Some(e.ok()?.metadata().ok()?.len()));
    sizes.max().unwrap_or(0)
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
    net.wait("the upload is under way", || (kept(&net, "tinh") > 24 << 20).then_some(()));
    net.kill("tinh");
    let sent = sending.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(sent.status.success(), "{said}");
    assert!(said.contains("the connection broke: going on at byte"), "{said}");
    // The node that pulls, then the one that is pulled from.
    for (node, past) in [("huyen", 24), ("tinh", 60)] {
        net.wait("the pull is under way", || (kept(&net, "huyen") > past << 20).then_some(()));
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
    net.wait("nothing is kept any more", || {
        (kept(&net, "tinh") == 0 && kept(&net, "huyen") == 0).then_some(())
    });
}
