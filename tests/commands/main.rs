//! The commands that a person uses for a document's life, through the real program and two nodes that are processes:
//! `send`, `inbox`, `fetch`, `ack`, `respond`, `track`, `watch`, `update`, `take-back`, `revoke`, `release`, `status`;
//! what they print, and with which exit status. `keeping`: `hold`, `backup`, `restore`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod explained;
mod found;
mod keeping;
mod register;

use std::fs::File;
use std::process::{Child, Stdio};

use common::program::Net;
use lienthong::ledger::{Clock as _, SystemClock};

/// The sender of every document here, at node tinh, and its recipient, at node huyen.
const SENDER: &str = "H09";
const RECIPIENT: &str = "H09.21.7";

/// What a command printed, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// It was done; what it printed.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// It could not be done, for these reasons, and printed nothing else.
    #[track_caller]
    fn failed(self, says: &[&str]) {
        assert_eq!(self.code, Some(2), "{}{}", self.out, self.err);
        assert_eq!(self.out, "");
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for said in says {
            assert!(self.err.contains(said), "`{said}` is not said: {}", self.err);
        }
    }
}

/// A command about a node.
fn run(net: &Net, node: &str, args: &[&str]) -> Said {
    let config = format!("net/{node}/lienthong.toml");
    let output = net.run(&[args, &["--config", &config]].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Both nodes, serving.
fn stage(salt: u16) -> Net {
    let net = Net::start(salt);
    serves(&net);
    net
}

fn serves(net: &Net) {
    std::fs::write(net.dir.path().join("letter.txt"), "Kính gửi").unwrap();
    for (node, agency) in [("tinh", SENDER), ("huyen", RECIPIENT)] {
        net.wait("it serves", || {
            (run(net, node, &["inbox", "--agency", agency]).code == Some(0)).then_some(())
        });
    }
}

/// Sends a document with both signatures; its delivery.
fn send(net: &Net, number: &str) -> String {
    let (person, seal) = (format!("net/documents/person-{SENDER}.pem"), seal());
    let args = [
        "send",
        "letter.txt",
        "--sender",
        SENDER,
        "--to",
        RECIPIENT,
        "--number",
        number,
        "--notation",
        "CV",
        "--subject",
        "Thử",
        "--sign",
        &person,
        "--sign",
        &seal,
        "--format",
        "json",
    ];
    let answer: serde_json::Value = serde_json::from_str(&run(net, "tinh", &args).done()).unwrap();
    answer["results"][0]["delivery_id"].as_str().unwrap().to_owned()
}

fn seal() -> String {
    format!("net/documents/seal-{SENDER}.pem")
}

fn today() -> String {
    SystemClock.now().date().to_string()
}

/// `track ID`, as it is printed.
fn track(net: &Net, node: &str, id: &str) -> String {
    run(net, node, &["track", id]).done()
}

/// Waits until `track` says something.
fn tracked(net: &Net, node: &str, id: &str, says: &str) -> String {
    net.wait(says, || {
        let said = run(net, node, &["track", id]);
        (said.code == Some(0) && said.out.contains(says)).then_some(said.out)
    })
}

/// The recipient's answer about a delivery.
fn respond(net: &Net, id: &str, status: &str, reason: &str) -> Said {
    run(net, "huyen", &["respond", id, status, "--agency", RECIPIENT, "--reason", reason])
}

/// Fetches and acknowledges.
fn take(net: &Net, id: &str) {
    run(net, "huyen", &["fetch", id, "--agency", RECIPIENT, "--to", &format!("in-{id}")]).done();
    run(net, "huyen", &["ack", id, "--agency", RECIPIENT]).done();
}

/// The lines of a text begin in this order with these times and words, and times never go back.
#[track_caller]
fn in_order(text: &str, words: &[&str]) {
    let mut times: Vec<&str> = Vec::new();
    let mut wanted = words.iter().peekable();
    for line in text.lines().skip(1) {
        let Some((time, rest)) = line.trim().split_once("  ") else { continue };
        times.push(time);
        if wanted.peek().is_some_and(|word| rest.starts_with(**word)) {
            wanted.next();
        }
    }
    assert_eq!(wanted.next(), None, "{text}");
    assert!(times.is_sorted(), "{text}");
}

/// A command that goes on until it is killed or ends.
struct Going(Child, std::path::PathBuf);

impl Going {
    fn start(net: &Net, node: &str, args: &[&str], file: &str) -> Going {
        let path = net.dir.path().join(file);
        let config = format!("net/{node}/lienthong.toml");
        let mut command = net.command(&[args, &["--config", &config]].concat());
        let out = File::create(&path).unwrap();
        Going(command.stdout(out).stderr(Stdio::null()).spawn().unwrap(), path)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.1).unwrap()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_document_is_followed_from_sent_to_completed_at_both_ends() {
    let net = stage(0);
    let mut watch = Going::start(&net, "huyen", &["watch", "--agency", RECIPIENT], "watch.txt");
    let id = send(&net, "1");
    let mut follow = Going::start(&net, "tinh", &["track", &id, "--follow"], "follow.txt");
    tracked(&net, "tinh", &id, &format!("waits: the system of {RECIPIENT} to fetch and acknowledge it"));
    net.wait("the recipient is told", || {
        watch.said().contains(&format!("arrived  {SENDER}  {id}")).then_some(())
    });
    assert!(watch.0.try_wait().unwrap().is_none(), "it stays for what comes");
    assert!(track(&net, "huyen", &id).contains(&format!("waits: the system of {RECIPIENT} to fetch")));
    let inbox = run(&net, "huyen", &["inbox", "--agency", RECIPIENT]).done();
    assert!(inbox.contains(&id) && inbox.contains("equal to paper") && !inbox.contains("fetched"), "{inbox}");
    run(&net, "huyen", &["fetch", &id, "--agency", RECIPIENT, "--to", "in"]).done();
    assert_eq!(std::fs::read_to_string(net.dir.path().join("in/letter.txt")).unwrap(), "Kính gửi");
    // Fetched, not acknowledged: under a lease, and said so.
    let leased = track(&net, "huyen", &id);
    assert!(
        leased.contains("client `dms` to acknowledge it") && leased.contains("offered again from"),
        "{leased}"
    );
    assert!(run(&net, "huyen", &["inbox", "--agency", RECIPIENT]).done().contains("fetched"));
    for _ in 0..2 {
        // Twice is harmless.
        run(&net, "huyen", &["ack", &id, "--agency", RECIPIENT]).done();
    }
    for status in ["03", "04", "05", "06"] {
        respond(&net, &id, status, "").done();
    }
    let ended = net.wait("it is followed to its end", || follow.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0), "{}", follow.said());
    let lines = ["submitted", "delivered", "status 01", "status 03", "status 04", "status 05", "status 06"];
    in_order(&track(&net, "tinh", &id), &lines);
    in_order(&track(&net, "huyen", &id), &lines[1..]);
    for line in lines {
        let said = follow.said();
        assert_eq!(said.matches(&format!("  {line}, event")).count(), 1, "{line}: {said}");
    }
    assert!(!track(&net, "tinh", &id).contains("waits"));
    // By its number as well, and for a program.
    let year = &today()[..4];
    let by_number = [
        "track",
        "--sender",
        SENDER,
        "--number",
        "1",
        "--notation",
        "CV",
        "--year",
        year,
        "--format",
        "json",
    ];
    let found: serde_json::Value = serde_json::from_str(&run(&net, "tinh", &by_number).done()).unwrap();
    assert_eq!((&found[0]["delivery_id"], &found[0]["state"]), (&id.clone().into(), &"delivered".into()));
    assert_eq!(found[0]["statuses"].as_array().unwrap().len(), 5);
    // A watch goes on at its cursor.
    let all = run(&net, "tinh", &["watch", "--once"]).done();
    let told: Vec<&str> = all.lines().collect();
    let (first, rest) = told.split_first().unwrap();
    let cursor = first.rsplit_once("cursor ").unwrap().1;
    let again = run(&net, "tinh", &["watch", "--once", "--cursor", cursor]).done();
    assert_eq!(again.lines().collect::<Vec<_>>(), rest);
    // Out of order is recorded, and said.
    let late = respond(&net, &id, "03", "");
    assert!(late.err.contains("out of order"), "{}", late.err);
    assert!(track(&net, "huyen", &id).contains("status 03 (out of order)"));
}

#[test]
fn updates_take_backs_and_revokes_are_asked_answered_and_shown_in_order_of_time() {
    let net = stage(1_000);
    let id = send(&net, "1");
    tracked(&net, "tinh", &id, "delivered, event");
    take(&net, &id);
    let day = today();
    let update = ["update", &id, "--agency", SENDER, "--issued-on", &day, "--subject", "Sửa", "--seal"];
    run(&net, "tinh", &[&update[..], &[&seal()]].concat()).done();
    tracked(&net, "huyen", &id, "waits: H09.21.7 to answer the sender's update with 15 or 16");
    assert!(run(&net, "huyen", &["watch", "--once"]).done().contains("notice update "));
    respond(&net, &id, "15", "").done();
    tracked(&net, "tinh", &id, "update asked");
    tracked(&net, "tinh", &id, ": agreed, event");
    // A take-back needs a reason to be refused, and a refusal leaves the document.
    let take_back = ["take-back", &id, "--agency", SENDER, "--reason", "Gửi nhầm"];
    run(&net, "tinh", &take_back).done();
    tracked(&net, "huyen", &id, "take_back with 15 or 16");
    respond(&net, &id, "16", "").failed(&["missing_field", "reason"]);
    respond(&net, &id, "16", "Đã xử lý").done();
    tracked(&net, "tinh", &id, ": refused, event");
    let told = run(&net, "tinh", &["watch", "--once"]).done();
    assert!(told.contains("status 16 \"Đã xử lý\""), "{told}");
    assert!(told.contains("delivered update ") && told.contains("delivered status "), "{told}");
    // A revoke needs the agency's seal, made here or elsewhere over the printed statement.
    let revoke = ["revoke", &id, "--agency", SENDER, "--reason", "Ban hành nhầm"];
    run(&net, "tinh", &revoke).failed(&["seal_required", "docs/reasons/seal_required.md"]);
    let person = format!("net/documents/person-{SENDER}.pem");
    run(&net, "tinh", &[&revoke[..], &["--seal", &person]].concat()).failed(&["seal_required"]);
    let statement = run(&net, "tinh", &[&revoke[..], &["--print-statement"]].concat()).done();
    std::fs::write(net.dir.path().join("s.txt"), &statement).unwrap();
    let (key, certificate) = (format!("net/documents/seal-{SENDER}.key"), seal());
    let signed = net.run(&["sign", "--key", &key, "--certificate", &certificate, "s.txt", "-o", "s.txt.p7s"]);
    assert!(signed.status.success(), "{signed:?}");
    for again in ["", " (was sent before)"] {
        let said = run(&net, "tinh", &[&revoke[..], &["--signature", "s.txt.p7s"]].concat()).done();
        assert!(said.trim_end().ends_with(again), "{said}");
    }
    let gone = tracked(&net, "huyen", &id, "NO LONGER IN FORCE: revoked");
    assert!(gone.contains("waits: H09.21.7 to answer the sender's revoke"), "{gone}");
    run(&net, "huyen", &["fetch", &id, "--agency", RECIPIENT]).failed(&["revoked"]);
    respond(&net, &id, "15", "").done();
    let lines = [
        "submitted",
        "delivered",
        "status 01",
        "update asked",
        "status 15",
        "take_back asked",
        "status 16",
        "revoke asked",
        "NO LONGER IN FORCE: revoked",
        "status 15",
    ];
    net.wait("the sender has the answer", || {
        (track(&net, "tinh", &id).matches("status 15").count() == 2).then_some(())
    });
    in_order(&track(&net, "tinh", &id), &lines);
    in_order(&track(&net, "huyen", &id), &lines[1..]);
    let follow = run(&net, "tinh", &["track", &id, "--follow"]);
    assert_eq!(follow.code, Some(0), "{}", follow.out);
    // A client at the port for nodes, which only hangs up.
    let config = std::fs::read_to_string(net.dir.path().join("net/tinh/lienthong.toml")).unwrap();
    let peers = config.lines().find_map(|l| l.strip_prefix("peers = ")).unwrap().trim_matches('"');
    run(&net, "tinh", &["inbox", "--agency", SENDER, "--node", peers])
        .failed(&["peer_unreachable", "this certificate at this port"]);
    // What ended frees its number, and what was asked back with consent is out of force as well.
    let second = send(&net, "1");
    assert_ne!(second, id);
    tracked(&net, "tinh", &second, "delivered, event");
    run(&net, "tinh", &["take-back", &second, "--agency", SENDER, "--reason", "Gửi nhầm"]).done();
    tracked(&net, "huyen", &second, "take_back with 15 or 16");
    respond(&net, &second, "15", "").done();
    tracked(&net, "tinh", &second, "NO LONGER IN FORCE: taken_back");
    let inbox = run(&net, "huyen", &["inbox", "--agency", RECIPIENT]).done();
    assert!(!inbox.contains(&second), "{inbox}");
    let unknown = "ab".repeat(32);
    run(&net, "tinh", &["track", &unknown]).failed(&["unknown_delivery"]);
    run(&net, "tinh", &["revoke", &unknown, "--agency", SENDER, "--reason", "x"])
        .failed(&["unknown_delivery"]);
}

#[test]
fn whoever_asks_sees_why_it_waits() {
    let mut net = Net::make(2_000);
    // Without revocation data node huyen cannot judge a signature.
    let crls = net.dir.path().join("net/huyen/crls");
    std::fs::rename(&crls, net.dir.path().join("lists")).unwrap();
    std::fs::create_dir(&crls).unwrap();
    net.serve_all();
    serves(&net);
    let held = send(&net, "1");
    let there = tracked(&net, "tinh", &held, "waits: held at node huyen: revocation_unknown");
    assert!(!there.contains("delivered, event"), "{there}");
    let here = track(&net, "huyen", &held);
    assert!(here.contains("waits: held here: revocation_unknown: judged again when"), "{here}");
    for node in ["tinh", "huyen"] {
        let told = run(&net, node, &["watch", "--once"]).done();
        assert!(told.contains("held (revocation_unknown)"), "{told}");
    }
    run(&net, "huyen", &["fetch", &held, "--agency", RECIPIENT]).failed(&["held"]);
    run(&net, "huyen", &["release", &held, "--agency", RECIPIENT]).done();
    take(&net, &held);
    // A peer that is down: since when, what happened, when it is tried next, until when.
    net.end("huyen");
    let queued = send(&net, "2");
    tracked(&net, "tinh", &queued, "queued: waits: node huyen has not answered since");
    // While it is being tried, there is no next try.
    net.wait("track says when it is tried next, and until when", || {
        let why = track(&net, "tinh", &queued);
        (why.contains("next try") && why.contains("tried until")).then_some(())
    });
    net.wait("status says so as well", || {
        let status = run(&net, "tinh", &["status"]).done();
        (status.contains("peer_unreachable") && status.contains("next try in")).then_some(())
    });
    std::fs::remove_dir(&crls).unwrap();
    std::fs::rename(net.dir.path().join("lists"), &crls).unwrap();
    net.again("huyen");
    let arrived = tracked(&net, "tinh", &queued, "delivered, event");
    assert!(arrived.contains("waits: the system of H09.21.7"), "{arrived}");
    // The other way round: an answer that cannot go back yet.
    net.end("tinh");
    take(&net, &queued);
    tracked(&net, "huyen", &queued, "waits: a status to arrive: node tinh");
    net.again("tinh");
    tracked(&net, "tinh", &queued, "status 01");
    net.wait("nothing waits any more", || (!track(&net, "huyen", &queued).contains("waits")).then_some(()));
}
