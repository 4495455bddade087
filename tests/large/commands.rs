//! `send` and `fetch` as a person uses them, over a way that breaks.

use std::path::Path;
use std::process::Output;

use super::proxy::{BACK, Flow, Proxy, THERE};
use super::stage::{MIB, Stage, noise};

const BINARY: &str = env!("CARGO_BIN_EXE_lienthong");

/// Runs a command against a node through a proxy.
async fn run(stage: &Stage, node: &str, proxy: &Proxy, args: &[&str]) -> Output {
    let files = stage.net.client_files(node, "dms");
    let mut command = tokio::process::Command::new(BINARY);
    command
        .args(args)
        .args(["--node", &proxy.address.to_string(), "--server-name", node])
        .arg("--cert")
        .arg(super::common::pem(&files))
        .arg("--key")
        .arg(super::common::key(&files))
        .arg("--ca")
        .arg(stage.net.path("clients/network-ca.pem"));
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The words of a command that sends a file from H01.1 to H01.22.
fn sending<'a>(file: &'a Path, day: &'a str) -> Vec<&'a str> {
    let document =
        "--sender H01.1 --to H01.22 --number 1 --notation CV-VP --subject Thử --format json --issued-on";
    let mut words = vec!["send", file.to_str().unwrap()];
    words.extend(document.split(' '));
    words.push(day);
    words
}

#[tokio::test]
async fn send_and_fetch_go_on_by_themselves_after_a_break_and_say_so() {
    let stage = Stage::running().await;
    let dir = tempfile::tempdir().unwrap();
    let content = noise(3, 20 * MIB);
    let file = dir.path().join("hồ sơ.bin");
    std::fs::write(&file, &content).unwrap();
    std::fs::write(file.with_added_extension("p7s"), stage.net.person("H01.1", &content)).unwrap();
    std::fs::write(file.with_added_extension("2.p7s"), stage.net.seal("H01.1", &content)).unwrap();

    stage.clients.flow(THERE, Flow::CutOnceAfter(9 * MIB as u64));
    let day = stage.net.now().date().to_string();
    let send = sending(&file, &day);
    let sent = run(&stage, "a", &stage.clients, &send).await;
    let (out, err) = (text(&sent.stdout), text(&sent.stderr));
    assert_eq!(sent.status.code(), Some(0), "{out}{err}");
    assert!(err.contains("the connection broke: going on at byte"), "{err}");
    assert_eq!(stage.clients.cuts(), 1);
    let bytes = stage.clients.bytes(THERE);
    assert!(bytes < 23 * MIB as u64, "{bytes}");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let id = answer["results"][0]["delivery_id"].as_str().unwrap().to_owned();
    let raw = hex::decode(&id).unwrap().into();
    stage.net.dms("a").await.wait_for(&raw, lienthong::wire::pb::DeliveryState::Delivered).await;

    let way = Proxy::start(stage.net.config("b").listen_clients);
    way.flow(BACK, Flow::CutOnceAfter(7 * MIB as u64));
    let to = dir.path().join("incoming");
    let fetch = ["fetch", &id, "--agency", "H01.22", "--to", to.to_str().unwrap()];
    let fetched = run(&stage, "b", &way, &fetch).await;
    let (out, err) = (text(&fetched.stdout), text(&fetched.stderr));
    assert_eq!(fetched.status.code(), Some(0), "{out}{err}");
    assert!(err.contains("going on at byte"), "{err}");
    assert_eq!(way.cuts(), 1);
    assert!(way.bytes(BACK) < 23 * MIB as u64, "{}", way.bytes(BACK));
    assert!(std::fs::read(to.join("hồ sơ.bin")).unwrap() == content);
    // The file and its two signatures, nothing else.
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 3);

    // A file left of an earlier command is gone on with; one that is not of this delivery is not believed.
    for wrong in [false, true] {
        let to = dir.path().join(format!("again-{wrong}"));
        std::fs::create_dir(&to).unwrap();
        let mut beginning = content[..5 * MIB].to_vec();
        beginning[9] ^= u8::from(wrong);
        std::fs::write(to.join(format!(".{id}.0.part")), beginning).unwrap();
        let before = way.bytes(BACK);
        let fetch = ["fetch", &id, "--agency", "H01.22", "--to", to.to_str().unwrap()];
        let fetched = run(&stage, "b", &way, &fetch).await;
        let err = text(&fetched.stderr);
        assert!(err.contains("going on at byte 5242880"), "{err}");
        assert!(way.bytes(BACK) - before < 16 * MIB as u64);
        if wrong {
            assert_eq!(fetched.status.code(), Some(2), "{err}");
            assert!(err.contains("did not arrive as its sender signed it"), "{err}");
            assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);
        } else {
            assert_eq!(fetched.status.code(), Some(0), "{err}");
            assert!(std::fs::read(to.join("hồ sơ.bin")).unwrap() == content);
        }
    }
    stage.net.finish().await;
}

#[tokio::test]
async fn send_goes_on_with_what_an_earlier_command_began() {
    let stage = Stage::running().await;
    let dir = tempfile::tempdir().unwrap();
    let content = noise(4, 12 * MIB);
    let file = dir.path().join("a.bin");
    std::fs::write(&file, &content).unwrap();
    let day = stage.net.now().date().to_string();
    let mut send = sending(&file, &day);
    send.extend(["--request-id", "today"]);
    // It stands still in the middle and is ended by the person who waits for it.
    stage.clients.flow(THERE, Flow::StallAfter(6 * MIB as u64));
    let waiting = run(&stage, "a", &stage.clients, &send);
    tokio::select! {
        ended = waiting => panic!("{ended:?}"),
        () = async {
            super::common::eventually("it stands still", || async {
                (stage.clients.most(THERE) >= 6 * MIB as u64).then_some(())
            })
            .await;
        } => {}
    }
    stage.clients.cut_all();
    stage.clients.flow(THERE, Flow::Open);
    let before = stage.clients.bytes(THERE);
    let sent = run(&stage, "a", &stage.clients, &send).await;
    let (out, err) = (text(&sent.stdout), text(&sent.stderr));
    assert_eq!(sent.status.code(), Some(0), "{out}{err}");
    assert!(err.contains("an earlier try broke off: going on at byte"), "{err}");
    assert!(stage.clients.bytes(THERE) - before < 9 * MIB as u64);
    stage.net.finish().await;
}
