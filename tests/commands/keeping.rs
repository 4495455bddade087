//! `hold`, `backup` and `restore`, as an administrator uses them: what they print, what they refuse, and that a node
//! runs on what was restored, but not on an old copy.

use std::path::PathBuf;

use serde_json::Value;

use super::common::program::Net;
use super::{SENDER, Said, run, send, stage, today, tracked};

fn json(said: Said) -> Value {
    serde_json::from_str(&said.done()).unwrap()
}

fn data(net: &Net) -> PathBuf {
    net.dir.path().join("net/tinh/data")
}

fn restore(net: &Net, from: &str, to: &str) -> Said {
    let output = net.run(&["restore", from, "--to", to]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// What node tinh wrote since it was last asked.
fn log(net: &Net) -> String {
    let path = net.dir.path().join("tinh.log");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    text
}

/// Puts another folder in the place of the stopped node's data.
fn replace(net: &Net, with: &str) {
    std::fs::remove_dir_all(data(net)).unwrap();
    std::fs::rename(net.dir.path().join(with), data(net)).unwrap();
}

#[test]
fn a_legal_hold_is_placed_listed_and_lifted() {
    let net = stage(3_000);
    let id = send(&net, "1");
    let year = &today()[..4];
    let document = ["--agency", SENDER, "--number", "1", "--notation", "CV", "--year", year];
    let why = ["--reason", "vụ án 7/2026", "--user", "thanh-tra.02"];
    let first = run(&net, "tinh", &[&["hold", "place"], &document[..], &why].concat()).done();
    let number = first.strip_prefix("hold ").and_then(|r| r.split(' ').next()).unwrap();
    let second = json(run(
        &net,
        "tinh",
        &["hold", "place", "--delivery", &id, "--reason", "khiếu nại", "--format", "json"],
    ));
    let all = json(run(&net, "tinh", &["hold", "list", "--format", "json"]));
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert_eq!(all[1]["hold"], second["hold"]);
    let table = run(&net, "tinh", &["hold", "list"]).done();
    for said in
        [number, &format!("document 1/CV ({year}) of {SENDER}"), "admin", "thanh-tra.02", "vụ án 7/2026"]
    {
        assert!(table.contains(said), "{said}: {table}");
    }
    run(&net, "tinh", &["hold", "lift", number, "--reason", "đã xong"]).done();
    run(&net, "tinh", &["hold", "lift", number, "--reason", "đã xong"])
        .failed(&["unknown_hold", "hold list"]);
    run(&net, "tinh", &["hold", "place", "--agency", "ZZ", "--reason", "x"])
        .failed(&["unknown_agency", "`ZZ`"]);
    let left = json(run(&net, "tinh", &["hold", "list", "--format", "json"]));
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    // What was cut off is said beside the json, and the way back to the first event ends there.
    let page = run(&net, "tinh", &["audit", "list", "--limit", "2", "--format", "json"]);
    assert!(page.err.contains("more: --from 2"), "{}", page.err);
    assert_eq!(json(page).as_array().unwrap().len(), 2);
    let first = run(&net, "tinh", &["audit", "list", "--from", "0", "--backwards", "--format", "json"]);
    assert!(!first.err.contains("more:"), "{}", first.err);
    assert_eq!(json(first)[0]["index"], 0);
    let log = run(&net, "tinh", &["audit", "list"]).done();
    assert_eq!(log.matches("hold_placed").count(), 2, "{log}");
    assert_eq!(log.matches("hold_lifted").count(), 1, "{log}");
}

#[test]
fn a_running_node_is_copied_and_runs_on_the_copy_but_not_on_an_old_one() {
    let mut net = stage(4_000);
    let first = send(&net, "1");
    tracked(&net, "tinh", &first, "delivered, event");
    // While it runs; the second copy adds what is new.
    let old = json(run(&net, "tinh", &["backup", "old", "--format", "json"]));
    let before = json(run(&net, "tinh", &["backup", "copy", "--user", "sao-luu", "--format", "json"]));
    // Each is an event, which it has itself.
    assert_eq!(old["events"].as_u64().map(|n| n + 1), before["events"].as_u64());
    let second = send(&net, "2");
    tracked(&net, "tinh", &second, "delivered, event");
    let after = json(run(&net, "tinh", &["backup", "copy", "--format", "json"]));
    assert!(after["events"].as_u64() > before["events"].as_u64(), "{before} {after}");
    assert!(after["copied"].as_u64() < after["bytes"].as_u64(), "{after}");
    for (place, why) in [
        ("net/tinh/data", "in the node's own data"),
        ("net/tinh/data/copy", "in the node's own data"),
        ("net", "none of a backup"),
    ] {
        run(&net, "tinh", &["backup", place]).failed(&[place, why, "empty folder"]);
    }
    assert!(!data(&net).join("copy").exists());
    // By whom; one that was refused is none.
    let made = run(&net, "tinh", &["audit", "list", "--kind", "extracted"]).done();
    assert_eq!(made.matches("backup").count(), 3, "{made}");
    assert!(made.contains("admin: sao-luu"), "{made}");
    run(&net, "tinh", &["backup", "other", "--client", "dms"]).failed(&["not_allowed"]);
    let listed = std::fs::read_to_string(net.dir.path().join("copy/backup.json")).unwrap();
    assert!(!listed.contains("PRIVATE KEY") && !net.dir.path().join("copy/config/tls.key").exists());
    net.end("tinh");
    let said = run(&net, "tinh", &["backup", "stopped"]);
    assert!(said.err.contains("no event says that this copy was made"), "{}", said.err);
    said.done();

    // Restored: checked, said, and refused where something is already or nothing was made.
    let said = restore(&net, "copy", "new");
    assert!(said.err.contains("private keys that the backup has not: tls.key"), "{}", said.err);
    let text = said.done();
    let events = after["events"].as_u64().unwrap();
    assert!(
        text.contains(&format!("`tinh/log/1` with {events} events")) && text.contains("verified"),
        "{text}"
    );
    restore(&net, "copy", "new").failed(&["new is not empty"]);
    restore(&net, "nothing", "other").failed(&["nothing/backup.json", "never completed"]);
    assert!(restore(&net, "old", "yesterday").done().contains("verified"));

    // On yesterday's copy the node does not start: its peer holds a newer checkpoint.
    log(&net);
    replace(&net, "yesterday");
    net.again("tinh");
    let why = net.wait("it says why it does not start", || {
        let text = std::fs::read_to_string(net.dir.path().join("tinh.log")).unwrap();
        text.contains("error: ").then_some(text)
    });
    assert!(why.contains("old copy") && why.contains("huyen"), "{why}");
    assert!(!why.lines().any(|line| line == "ready"), "{why}");
    net.end("tinh");

    // On the newest one it goes on.
    replace(&net, "new");
    net.again("tinh");
    let third = net.wait("it serves", || {
        (run(&net, "tinh", &["inbox", "--agency", SENDER]).code == Some(0)).then(|| send(&net, "3"))
    });
    tracked(&net, "tinh", &third, "delivered, event");
    tracked(&net, "tinh", &first, "delivered, event");
    tracked(&net, "tinh", &second, "delivered, event");
    let checked = run(&net, "tinh", &["audit", "check", "--format", "json"]);
    assert_eq!(json(checked)["verified"], true);
}

#[test]
fn a_spoilt_copy_is_named_and_not_restored() {
    let net = stage(5_000);
    let id = send(&net, "1");
    tracked(&net, "tinh", &id, "delivered, event");
    run(&net, "tinh", &["backup", "copy"]).done();
    let segment = net.dir.path().join("copy/journal/00000001.journal");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let said = restore(&net, "copy", "new");
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("NOT RESTORED") && said.out.contains("00000001.journal"), "{}", said.out);
    assert!(!net.dir.path().join("new/journal").exists());
}
