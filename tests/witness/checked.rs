//! What the check finds in the files beside a log: what this node holds of others, what they cosigned of it, and directory
//! versions. Every damage is done to the files of a node that exchanged with another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lienthong::audit::{Beside, Checked, Finding, Offline, Place, backup};
use lienthong::directory::Directory;
use lienthong::directory::build;
use lienthong::exchange::directory::DirectoryHolder;
use lienthong::merkle::{Note, NoteSigner, NoteVerifier, SignedCheckpoint};
use lienthong::node::log_signer;
use lienthong::rpc::tls::read_pkcs8;
use lienthong::store::StoreError;
use lienthong::store::disk::RealDisk;

use super::common::{NETWORK, TestNet, eventually};
use super::liar::Log;
use super::rewritten::rewritten;
use super::world::{deliver, hours, newest_covers, next_hour, running};

/// a and b exchanged and cosigned each other's logs over two hours, and both are stopped.
async fn stage() -> TestNet {
    let mut net = running(&["a", "b"]).await;
    hours(&mut net, 2).await;
    net.stop("a").await;
    net.stop("b").await;
    net
}

fn key(net: &TestNet) -> NoteVerifier {
    log_signer(net.config("a")).unwrap().verifier().clone()
}

fn beside(net: &TestNet) -> Beside {
    let config = net.config("a");
    let directory = DirectoryHolder::newest_kept(&config.data, &config.authority);
    let trust = directory.map_or_else(
        || lienthong::signature::Trust::new(std::iter::empty::<Vec<u8>>()).unwrap(),
        |directory| directory.trust().clone(),
    );
    Beside::new(&config.data, config, trust)
}

fn check(net: &TestNet) -> Checked {
    let began = Instant::now();
    let offline = loop {
        match Offline::open(&net.config("a").data) {
            Ok(offline) => break offline,
            // A node that did not start lets go of its files a little later.
            Err(StoreError::InUse { .. }) if began.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    };
    offline.check_all(&key(net), Some(&beside(net)), |_| {}).unwrap()
}

/// One of a's files, and what it was.
struct File {
    path: PathBuf,
    was: Vec<u8>,
}

impl File {
    fn of(net: &TestNet, below: &str) -> File {
        let path = net.config("a").data.join(below);
        File { was: std::fs::read(&path).unwrap(), path }
    }

    fn text(&self) -> String {
        String::from_utf8(self.was.clone()).unwrap()
    }

    /// With this in its place, the check finds something that is said of this place in these words, and nothing else; with
    /// what was there before, nothing again.
    fn becomes(&self, net: &TestNet, now: Option<&[u8]>, place: Place, index: Option<u64>, says: &[&str]) {
        match now {
            Some(now) => std::fs::write(&self.path, now).unwrap(),
            None => std::fs::remove_file(&self.path).unwrap(),
        }
        let found = check(net);
        let [Finding { place: at, index: of, message }] = &found.findings[..] else {
            panic!("{says:?}: {:#?}", found.findings);
        };
        assert_eq!((*at, *of, found.first), (place, index, index), "{message}");
        for said in says {
            assert!(message.contains(said), "{said:?} is not said: {message}");
        }
        std::fs::write(&self.path, &self.was).unwrap();
    }

    fn spoilt(&self, net: &TestNet, place: Place, now: impl AsRef<[u8]>, says: &[&str]) {
        self.becomes(net, Some(now.as_ref()), place, None, says);
    }
}

fn clean(net: &TestNet) {
    let found = check(net);
    assert!(found.is_clean(), "{:#?}", found.findings);
    assert!(found.events > 10);
}

fn day_file(net: &TestNet) -> String {
    let own = net.config("a").data.join("witness/own");
    let mut names: Vec<String> = std::fs::read_dir(own)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "newest.json")
        .collect();
    names.sort();
    format!("witness/own/{}", names.remove(0))
}

/// Changes the first note of a file.
fn notes(file: &File, change: impl FnOnce(&mut Note)) -> String {
    let mut notes: Vec<String> = serde_json::from_str(&file.text()).unwrap();
    let mut note = Note::parse(&notes[0], 1 << 16).unwrap();
    change(&mut note);
    notes[0] = note.to_string();
    serde_json::to_string(&notes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_of_another_log_must_be_what_its_key_signed() {
    let mut net = stage().await;
    clean(&net);
    let name = "witness/b+log+1.json";
    let file = File::of(&net, name);
    let spoilt = |now: &str, says: &str| file.spoilt(&net, Place::Witness, now, &[name, says]);
    spoilt("", "it cannot be read");
    spoilt(&file.text()[..40], "it cannot be read");
    spoilt(&file.text().replacen("\"log\"", "\"lag\"", 1), "unknown field `lag`");
    file.spoilt(&net, Place::Witness, [0xff, 0xfe], &[name, "it cannot be read"]);
    let held = || -> serde_json::Value { serde_json::from_str(&file.text()).unwrap() };
    let with = |change: &dyn Fn(&mut String)| {
        let mut json = held();
        let mut note = json["held"].as_str().unwrap().to_owned();
        change(&mut note);
        json["held"] = note.into();
        json.to_string()
    };
    let size = held()["held"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    spoilt(&with(&|note| *note = note.replacen(&size, "7", 1)), "of 7 events that is held: ");
    spoilt(&with(&|note| *note = "nothing".into()), "what is held: ");
    let own = log_signer(net.config("a")).unwrap();
    let forged = SignedCheckpoint::parse_unverified(held()["held"].as_str().unwrap()).unwrap();
    let stranger = NoteSigner::from_pkcs8("b/log/1", &read_pkcs8(&net.config("a").log_key).unwrap()).unwrap();
    let by_stranger = forged.claimed().sign(&stranger).note().to_owned();
    spoilt(&with(&|note| note.clone_from(&by_stranger)), "no key that a kept directory version lists signed");
    let mut other = forged.claimed().clone();
    other.origin = "a/log/1".into();
    let of_a = other.sign(&own).note().to_owned();
    spoilt(&with(&|note| note.clone_from(&of_a)), "what is held is a checkpoint of log `a/log/1`");
    let mut json = held();
    json["log"] = "c/log/1".into();
    spoilt(&json.to_string(), "would be named c+log+1.json");
    // Stopped for a fork whose proof is gone, and a file that proves none.
    json = held();
    json["cut"] = serde_json::json!({"proven": true, "since_ms": 1, "why": "x", "alarmed": true});
    spoilt(&json.to_string(), "the proof of it is missing: forks/b+log+1.json");
    let fork = net.config("a").data.join("forks/c+log+1.json");
    std::fs::write(&fork, "{}").unwrap();
    let found = check(&net).findings;
    assert!(found.len() == 1 && found[0].place == Place::Witness, "{found:#?}");
    assert!(found[0].message.starts_with("forks/c+log+1.json: it proves no fork: "), "{}", found[0]);
    std::fs::remove_file(fork).unwrap();
    clean(&net);
    // What keeps the node from starting, the check calls damaged.
    std::fs::write(&file.path, "{").unwrap();
    let error = net.try_start("a", Arc::new(RealDisk)).await.unwrap_err().to_string();
    assert!(error.contains("b+log+1.json"), "{error}");
    assert!(!check(&net).is_clean());
    std::fs::write(&file.path, &file.was).unwrap();
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_cosigned_must_be_signed_by_both_and_be_in_the_log() {
    let mut net = stage().await;
    let names = ["witness/own/newest.json".to_owned(), day_file(&net)];
    for name in &names {
        let file = File::of(&net, name);
        let spoilt = |now: &str, says: &str| file.spoilt(&net, Place::Witness, now, &[name, says]);
        spoilt("[", "it cannot be read");
        spoilt("[1]", "it cannot be read");
        spoilt("[\"x\"]", "checkpoint 1 in it: ");
        // Its root and its size are signed, and so is each cosignature.
        let root = |note: &mut Note| {
            let line = note.text.lines().nth(2).unwrap().to_owned();
            note.text = note.text.replace(&line, &lienthong::merkle::sha256(b"x").to_base64());
        };
        spoilt(&notes(&file, root), "checkpoint 1 in it: of ");
        spoilt(&notes(&file, |note| note.signatures[0].signature[9] ^= 1), "checkpoint 1 in it: of ");
        let cosigned = |note: &mut Note| note.signatures[1].signature[20] ^= 1;
        spoilt(&notes(&file, cosigned), "a signature of `b/witness` that no cosigning key");
        spoilt(&notes(&file, |note| note.signatures.truncate(1)), "has no cosignature");
        spoilt(&notes(&file, |note| drop(note.signatures.remove(0))), "checkpoint 1 in it: of ");
        let other = |note: &mut Note| note.text = note.text.replacen("a/log/1", "b/log/1", 1);
        spoilt(&notes(&file, other), "it is of log `b/log/1`, not `a/log/1`");
    }
    clean(&net);
    // The command says the same, and in its own words that it is not verified.
    let file = File::of(&net, &names[0]);
    std::fs::write(&file.path, notes(&file, |note| note.signatures[1].signature[20] ^= 1)).unwrap();
    let data = net.config("a").data.clone();
    let (status, said) = lienthong(&["audit", "check", "--data", text(&data)]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("! witness: witness/own/newest.json: ") && said.contains("NOT VERIFIED"), "{said}");
    let (status, said) = lienthong(&["audit", "check", "--format", "json", "--data", text(&data)]);
    assert_eq!(status, 1, "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&json["findings"][0]["place"], &json["verified"]), (&"witness".into(), &false.into()));
    std::fs::write(&file.path, &file.was).unwrap();
    let (status, said) = lienthong(&["audit", "check", "--data", text(&data)]);
    assert_eq!(status, 0, "{said}");
    // A cosignature is no reason not to start: a file that cannot be read is passed over, and replaced.
    std::fs::write(&file.path, "[").unwrap();
    net.start("b").await;
    net.start("a").await;
    let reads = || async { (std::fs::read_to_string(&file.path).unwrap().len() > 9).then_some(()) };
    deliver(&net, "999").await;
    eventually("the file is written again", reads).await;
    net.finish().await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the program; its exit status and what it printed.
fn lienthong(args: &[&str]) -> (i32, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_lienthong")).args(args).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_rewritten_with_its_own_key_contradicts_what_others_cosigned() {
    let mut net = stage().await;
    let mut log = Log::of(&net, "a");
    let whole = log.leaves.len() as u64;
    let at = rewritten(&mut log) as u64;
    let data = net.config("a").data.clone();
    log.put(&data);
    // By itself the journal is without fault: one block, one checkpoint, the log's own signature.
    let offline = Offline::open(&data).unwrap();
    let alone = offline.check(&key(&net), |_| {}).unwrap();
    assert!(alone.findings.iter().all(|f| f.message.starts_with("sled is missing")), "{:#?}", alone.findings);
    drop(offline);
    let contradicted = |found: &Checked| -> Vec<Finding> {
        let of = |f: &&Finding| f.message.contains("it was rewritten");
        found.findings.iter().filter(of).cloned().collect()
    };
    let found = check(&net);
    let wrong = contradicted(&found);
    assert!(!wrong.is_empty(), "{:#?}", found.findings);
    for finding in &wrong {
        assert!(finding.place == Place::Witness && finding.index.unwrap() >= at, "{finding}");
        assert!(finding.message.starts_with("witness/own/"), "{finding}");
        let range = finding.message.rsplit_once("at an event from ").unwrap().1;
        let (from, to) = range.split_once(" to ").unwrap();
        assert!((from.parse().unwrap()..=to.parse().unwrap()).contains(&at), "{at}: {finding}");
    }
    assert_eq!(found.first, wrong[0].index);
    // Both roots are named, and the file.
    let newest: Vec<String> =
        serde_json::from_str(&std::fs::read_to_string(data.join("witness/own/newest.json")).unwrap())
            .unwrap();
    let newest = newest.iter().map(|note| SignedCheckpoint::parse_unverified(note).unwrap());
    let newest = newest.max_by_key(|c| c.claimed().size).unwrap().claimed().clone();
    let said = wrong.iter().find(|f| f.index == Some(newest.size - 1)).unwrap();
    for part in [newest.root.to_string(), format!("of {} events", newest.size), log.root_at(newest.size)] {
        assert!(said.message.contains(&part), "{part} is not said: {said}");
    }
    // A node that goes on with it, alone, has it in sled as well, and finds it when it checks itself.
    net.start("a").await;
    let last = net.node("a").check_now().await.unwrap();
    assert_eq!((last.findings as usize, last.first), (wrong.len(), wrong[0].index));
    net.stop("a").await;
    assert_eq!(contradicted(&check(&net)), wrong);
    let (status, shown) = lienthong(&["audit", "check", "--data", text(&data)]);
    assert_eq!(status, 1, "{shown}");
    assert!(shown.contains(&format!("! {said}\n")) && shown.ends_with("NOT VERIFIED\n"), "{shown}");
    assert!(
        shown.contains(&format!("the first event that is wrong: {}\n", wrong[0].index.unwrap())),
        "{shown}"
    );
    // Cut off before what others saw.
    for gone in ["journal", "sled"] {
        assert!(data.join(gone).exists());
    }
    let mut short = Log::of(&net, "a");
    short.leaves.truncate(at as usize);
    short.put(&data);
    let found = check(&net);
    let beyond = found.findings.iter().filter(|f| f.message.contains("is an old copy, or was cut off"));
    assert!(beyond.clone().count() > 0, "{:#?}", found.findings);
    assert!(beyond.clone().all(|f| f.index == Some(at) && f.message.contains(&format!("has {at} events"))));
    assert!(whole > at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_versions_are_signed_in_one_chain_and_are_those_that_the_log_adopted() {
    let mut net = stage().await;
    let first = std::fs::read_to_string(net.path("a/directory.note")).unwrap();
    let digest = Directory::verify(&first, &net.config("a").authority).unwrap().digest();
    net.change_directory(|content| (content.version, content.previous) = (2, Some(digest)));
    net.start("a").await;
    let adopted = net.events("a", "directory_adopted").await;
    assert_eq!(adopted.len(), 2);
    net.stop("a").await;
    clean(&net);
    let file = File::of(&net, "directories/1.note");
    let spoilt = |now: &str, says: &str| {
        file.spoilt(&net, Place::Directory, now, &["directories/1.note: ", says]);
    };
    spoilt("", "the directory's signature does not hold");
    spoilt(&file.text()[..500], "the directory's signature does not hold");
    spoilt(&file.text().replacen("H01.2", "H01.3", 1), "the directory's signature does not hold");
    let second = File::of(&net, "directories/2.note");
    spoilt(&second.text(), "it is version 2");
    file.becomes(&net, None, Place::Directory, Some(adopted[0].0), &["directories/1.note: it is missing"]);
    // The authority signed another one with the same number.
    let note = Note::parse(file.text(), 1 << 20).unwrap().text;
    let mut content: lienthong::directory::content::Content = serde_json::from_str(&note).unwrap();
    content.valid_until = content.valid_until.plus_millis(1);
    let authority = read_pkcs8(&net.path("authority/directory.key")).unwrap();
    let authority = NoteSigner::from_pkcs8(&format!("{NETWORK}/directory"), &authority).unwrap();
    let other = build::sign(&content, &authority).unwrap();
    std::fs::write(&file.path, &other).unwrap();
    let found = check(&net);
    assert_eq!(found.findings.len(), 2, "{:#?}", found.findings);
    assert!(found.findings[0].message.contains("version 2 follows the one with"), "{}", found.findings[0]);
    assert_eq!(found.findings[1].index, Some(adopted[0].0));
    assert!(found.findings[1].message.contains(&digest.to_string()), "{}", found.findings[1]);
    std::fs::write(&file.path, &file.was).unwrap();
    content.network = "another".into();
    std::fs::write(net.config("a").data.join("directories/3.note"), {
        content.version = 3;
        build::sign(&content, &authority).unwrap()
    })
    .unwrap();
    let found = check(&net);
    assert!(found.findings[0].message.contains("this node belongs to `test`"), "{:#?}", found.findings);
    // A newest version that keeps the node from starting is found.
    std::fs::write(net.config("a").data.join("directories/3.note"), "x").unwrap();
    net.try_start("a", Arc::new(RealDisk)).await.unwrap_err();
    let found = check(&net);
    assert!(found.findings[0].message.starts_with("directories/3.note: "), "{:#?}", found.findings);
    std::fs::remove_file(net.config("a").data.join("directories/3.note")).unwrap();
    clean(&net);
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_finds_it_too_and_takes_what_is_cosigned_meanwhile_for_what_it_is() {
    let mut net = running(&["a", "b"]).await;
    hours(&mut net, 1).await;
    for number in 0..5 {
        deliver(&net, &format!("8{number}")).await;
        assert_eq!(net.node("a").check_now().await.unwrap().findings, 0);
    }
    newest_covers(&mut net, "a", "b", 1).await;
    let file = net.config("a").data.join("witness/b+log+1.json");
    // It may still move on, and is written again then.
    let last = loop {
        std::fs::write(&file, "{").unwrap();
        let last = net.node("a").check_now().await.unwrap();
        if last.findings > 0 {
            break last;
        }
    };
    assert!(last.findings == 1 && last.first.is_none(), "{last:?}");
    assert_eq!(net.events("a", "alarm").await.len(), 1);
    // Written again as soon as it moves on.
    deliver(&net, "90").await;
    eventually("what is held is written again", || async {
        (std::fs::read_to_string(&file).unwrap().len() > 9).then_some(())
    })
    .await;
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_running_node_has_what_others_saw_up_to_its_end_and_is_whole() {
    let mut net = running(&["a", "b"]).await;
    hours(&mut net, 1).await;
    let key = key(&net);
    next_hour(&net);
    // What is copied comes after the log's size is taken, and meanwhile the log goes on.
    let published = net.node("a").exchange().ledger().snapshot().checkpoint().unwrap().clone();
    let before = published.checkpoint().size;
    hours(&mut net, 1).await;
    deliver(&net, "901").await;
    newest_covers(&mut net, "a", "b", before + 1).await;
    let source = backup::Source {
        data: &net.config("a").data,
        key: &key,
        published: Some(&published),
        beside: Vec::new(),
        keys_left_out: Vec::new(),
        now: net.now(),
    };
    let to = net.path("copy");
    assert_eq!(backup::make(&source, &to, |_| {}).unwrap().size, before);
    let data = net.path("restored");
    backup::restore(&to, &data, |_| Some(key.clone()), |_, _| {}).unwrap();
    net.stop("a").await;
    let config = net.config("a").clone();
    let check = |data: &Path| {
        let directory = DirectoryHolder::newest_kept(data, &config.authority).unwrap();
        let beside = Beside::new(data, &config, directory.trust().clone());
        let offline = Offline::open(data).unwrap();
        offline.check_all(&key, Some(&beside), |_| {}).unwrap()
    };
    let found: Vec<Finding> = check(&data).findings;
    assert!(
        found.iter().all(|f| f.place == Place::Store && f.message.starts_with("sled is missing")),
        "{found:#?}"
    );
    // With the node's own files it is an old copy, and says so.
    let own = config.data.join("witness/own/newest.json");
    std::fs::copy(own, data.join("witness/own/newest.json")).unwrap();
    let found = check(&data).findings;
    let said = found.iter().find(|f| f.place == Place::Witness).unwrap();
    assert!(said.message.contains(&format!("this log has {before} events: it is an old copy")), "{said}");
    assert_eq!(said.index, Some(before));
    net.finish().await;
}
