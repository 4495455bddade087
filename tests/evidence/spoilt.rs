//! Somebody alters a file, or takes one out, and makes everything right again that needs no key: the page and the
//! manifest. What stands on a proof fails; what may be absent is said to be.

use lienthong::audit::evidence::{MANIFEST, Report, SIGNATURE};
use lienthong::domain::event::EventKind;
use lienthong::wire::{leaf, proof::Proof};

use super::common::TestNet;
use super::tools::{Files, failed, fails, file, notes, paths, repack, unpack, with_page};
use super::way::delivered;

/// Takes each file out in turn, and changes each in many places.
pub fn spoilt_everywhere(net: &TestNet, good: &Files) {
    let before = net.good(&repack(good));
    let fixed = ["mimetype", MANIFEST, SIGNATURE];
    for (path, data) in good.iter().filter(|(path, _)| !fixed.contains(&path.as_str())) {
        let mut without = good.clone();
        without.retain(|(other, _)| other != path);
        let report = net.verify(&repack(&with_page(net, without)));
        if report.is_verified() {
            may_be_absent(path, data, &before, &report);
        } else {
            is_named(path, "taken out", &report);
        }
        for at in places(data.len()) {
            let mut changed = good.clone();
            file(&mut changed, path)[at] ^= 1;
            // The page itself is not made right again: that would be the page that was there.
            let changed = if path == "index.html" { changed } else { with_page(net, changed) };
            let report = net.verify(&repack(&changed));
            assert!(!report.is_verified() || is_told(&report, path), "byte {at} of {path} was changed");
        }
    }
}

/// Bytes of a file: its ends, and some between.
fn places(length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..12).map(|n| n * (length - 1) / 11).collect();
    places.dedup();
    places
}

/// A change that counts for nothing is told of.
fn is_told(report: &Report, path: &str) -> bool {
    let by_nobody = "signatures of its checkpoint are by keys that the directory does not list";
    report.statements.iter().any(|s| s.file == path && s.what == by_nobody)
}

fn is_named(path: &str, how: &str, report: &Report) {
    let failed = failed(report);
    // An event without its envelope says so of the event, a proof without its checkpoint of the proof.
    let id = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let folder = path.split('/').next().unwrap_or_default();
    let named = failed.iter().any(|s| {
        s.file == path
            || s.how.contains(path)
            || s.how.contains(id)
            || s.what.contains(id)
            || match folder {
                "message" => s.how == "its envelope is not here",
                "directory" => s.file.starts_with("directory/") || s.how == "it is not in the container",
                "checkpoint" | "timestamp" => {
                    s.how.contains("a file was taken out") || s.file.starts_with(folder)
                }
                "event" => {
                    s.how.contains("no proof of that event is here")
                        || s.how == "its envelope is not here"
                        || s.how.contains("no event says that it was purged")
                        || s.how.contains("no proof has SHA-256")
                        || s.how.contains("no event names the proof")
                        || s.how.contains("not the one of its name")
                        || s.how.contains("no proof here stands on its checkpoint")
                }
                _ => false,
            }
    });
    assert!(named, "{path} was {how}: {failed:#?}");
}

/// Only an event that no other names, a further proof of one, or who else saw it; and the report says what it does not
/// prove.
fn may_be_absent(path: &str, data: &[u8], before: &Report, after: &Report) {
    let said = |report: &Report, what: &str| {
        report
            .statements
            .iter()
            .filter(|s| s.what.contains(what))
            .map(|s| (s.what.clone(), s.how.clone()))
            .collect::<Vec<_>>()
    };
    // A proof that stands by itself as well goes without the checkpoint that others saw.
    if [".2.proof", ".3.proof"].iter().any(|again| path.contains(again)) || path.starts_with("checkpoint/") {
        let unseen = ["not cosigned by anybody", "no authority timestamped"];
        assert!(unseen.iter().any(|what| said(before, what) != said(after, what)), "{path}");
        return;
    }
    if path.starts_with("revocation/") {
        let digest = path.rsplit('/').next().unwrap().split('.').next().unwrap();
        let what = format!("revocation data with SHA-256 {digest}, which its verdicts rest on");
        assert!(notes(after, &what, "or was left out"), "{path}");
        return;
    }
    assert!(path.starts_with("event/"), "{path} was taken out");
    let proof = Proof::decode(data).unwrap();
    let event = leaf::decode(&proof.leaf).unwrap();
    let optional = matches!(
        event.kind,
        EventKind::Fetched { .. }
            | EventKind::HandedOver { .. }
            | EventKind::Exported { .. }
            | EventKind::Viewed { .. }
            | EventKind::Settled { .. }
            | EventKind::Received { .. }
    );
    assert!(optional, "{path}, {:?}, was taken out", event.kind.name());
    let what = "that nothing else happened is not proven";
    assert!(notes(after, what, "") && said(before, what) != said(after, what));
    match event.kind {
        EventKind::Exported { .. } => {
            assert!(notes(after, "no event says that this was exported", "was left out"));
        }
        EventKind::Settled { .. } => {
            assert!(notes(after, "that the sender's node had the answer to", "was left out"))
        }
        // Of a message whose submission another node cosigned.
        EventKind::Received { .. } => assert!(notes(after, "message arrived is not proven", "was left out")),
        _ => {}
    }
}

#[tokio::test]
async fn with_page_and_manifest_made_again_only_what_is_said_can_be_left_out() {
    let (net, id) = delivered().await;
    for node in ["a", "b"] {
        spoilt_everywhere(&net, &unpack(&net.exported(node, &id).await));
    }
    net.finish().await;
}

#[tokio::test]
async fn another_page_and_a_file_that_nothing_accounts_for_are_refused() {
    let (net, id) = delivered().await;
    let good = unpack(&net.exported("a", &id).await);
    let page = |change: &dyn Fn(String) -> String| {
        let mut files = good.clone();
        let data = file(&mut files, "index.html");
        *data = change(String::from_utf8(data.clone()).unwrap()).into_bytes();
        net.verify(&repack(&files))
    };
    let other = "it is not the page that the other files of the container give";
    fails(&page(&|page| page.replace("hợp lệ", "không hợp lệ")), "index.html", other);
    fails(&page(&|page| page.replace("</body>", "<p>…</p></body>")), "index.html", other);
    fails(&page(&|_| String::new()), "index.html", other);

    // Files that say nothing false and that nothing needs: a proof, a checkpoint, a list, a part.
    let added = |path: &str, data: Vec<u8>| {
        let mut files = good.clone();
        let at = files.len() - 1;
        files.insert(at, (path.to_owned(), data));
        net.verify(&repack(&with_page(&net, files)))
    };
    let data_of = |path: &str| good.iter().find(|(p, _)| p == path).unwrap().1.clone();
    let own = paths(&good, "event/a_log_1", ".proof").remove(0);
    let again = own.replace(".proof", ".2.proof");
    assert!(added(&again, data_of(&own)).is_verified(), "the same proof twice is no lie");
    let bare = Proof::decode(&data_of(&own)).unwrap().checkpoint;
    let size: u64 = bare.lines().nth(1).unwrap().parse().unwrap();
    fails(
        &added(&format!("checkpoint/a_log_1-{size:010}.note"), bare.into_bytes()),
        &format!("checkpoint/a_log_1-{size:010}.note"),
        "by no other node that the directory lists as a witness",
    );
    for path in ["document/thêm.txt", "message/x.p7s", "x"] {
        fails(&added(path, b"more".to_vec()), path, "it has none");
    }
    // The other side's log as that of who exported: not what was exported.
    let mut files = good.clone();
    let said = String::from_utf8(data_of("evidence.json")).unwrap().replace("a/log/1", "b/log/1");
    let sizes = paths(&good, "event/b_log_1", ".proof").into_iter().map(|path| {
        let note = Proof::decode(&data_of(&path)).unwrap().checkpoint;
        note.lines().nth(1).unwrap().to_owned()
    });
    for theirs in sizes {
        let said = said.replace(&format!("\"size\": {size}"), &format!("\"size\": {theirs}"));
        *file(&mut files, "evidence.json") = said.into_bytes();
        let report = net.verify(&repack(&with_page(&net, files.clone())));
        assert!(!report.is_verified() && report.page.is_some());
    }
    net.finish().await;
}
