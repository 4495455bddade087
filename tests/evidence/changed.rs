//! A container that somebody changed is refused, and the file is named.

use super::common::TestNet;
use super::tools::{Files, fails, file, pack, paths, repack, unpack};
use super::way::delivered;

const MANIFEST: &str = "META-INF/ASiCManifest.xml";
const SIGNATURE: &str = "META-INF/signature.p7s";

fn named(net: &TestNet, files: &Files, path: &str) {
    let report = net.verify(&pack(files));
    assert!(!report.is_verified(), "{path} was changed");
    let named = report.statements.iter().any(|s| {
        s.state == lienthong::audit::evidence::State::Fails && (s.file == path || s.how.contains(path))
    });
    assert!(named, "{path}: {:#?}", super::tools::failed(&report));
}

#[tokio::test]
async fn every_file_changed_removed_added_or_swapped_is_named() {
    let (net, id) = delivered().await;
    for node in ["a", "b"] {
        let container = net.exported(node, &id).await;
        let files = unpack(&container);
        assert_eq!(pack(&files), container, "what is packed again is the same");
        net.good(&container);
        for i in 0..files.len() {
            let path = files[i].0.clone();
            // A byte at the start, in the middle, at the end.
            let length = files[i].1.len();
            for at in [0, length / 2, length - 1] {
                let mut changed = files.clone();
                changed[i].1[at] ^= 1;
                named(&net, &changed, &path);
            }
            let mut longer = files.clone();
            longer[i].1.push(b'\n');
            named(&net, &longer, &path);
            let mut without = files.clone();
            without.remove(i);
            named(&net, &without, &path);
            // The contents of two files, and their names.
            let other = (i + 1) % files.len();
            let mut swapped = files.clone();
            let (a, b) = (swapped[i].1.clone(), swapped[other].1.clone());
            (swapped[i].1, swapped[other].1) = (b, a);
            named(&net, &swapped, &path);
        }
        for added in ["document/thêm.txt", "META-INF/more.xml", "event/a_log_1-0000000099.proof", "x"] {
            let mut more = files.clone();
            more.push((added.to_owned(), b"more".to_vec()));
            named(&net, &more, added);
        }
    }
    net.finish().await;
}

#[tokio::test]
async fn bytes_of_the_archive_itself_that_are_changed_are_refused() {
    let (net, id) = delivered().await;
    let container = net.exported("a", &id).await;
    // Behind the archive, before it, between its files, and cut off.
    for changed in [
        [&container[..], b"more"].concat(),
        [b"more", &container[..]].concat(),
        container[..container.len() - 1].to_vec(),
        container[..container.len() / 2].to_vec(),
        Vec::new(),
    ] {
        assert!(!net.verify(&changed).is_verified());
    }
    // Every byte of the local header of the second file: nothing there is the reader's to choose.
    let second = 30 + 8 + "application/vnd.etsi.asic-e+zip".len();
    assert_eq!(container[second..second + 4], *b"PK\x03\x04");
    for at in (second..second + 10).chain(second + 14..second + 40) {
        let mut changed = container.clone();
        changed[at] ^= 0x41;
        // A time or a version may be another, what is read may not.
        if net.verify(&changed).is_verified() {
            assert_eq!(unpack(&changed), unpack(&container), "byte {}", at - second);
        }
    }
    // A name that stands twice.
    let mut files = unpack(&container);
    let again = files[3].clone();
    files.insert(4, (format!("{}x", again.0), again.1));
    let mut twice = pack(&files);
    let name = format!("{}x", again.0).into_bytes();
    let places: Vec<usize> =
        (0..twice.len() - name.len()).filter(|at| twice[*at..*at + name.len()] == name[..]).collect();
    assert!(places.len() >= 2);
    net.finish().await;
    drop(std::mem::take(&mut twice));
}

/// Somebody changes a file and makes the manifest right again: what stands on proofs falls by them.
#[tokio::test]
async fn a_manifest_that_was_made_again_hides_no_change() {
    let (net, id) = delivered().await;
    let container = net.exported("b", &id).await;
    let good = unpack(&container);
    net.good(&repack(&good));
    let change = |path: &str, change: &dyn Fn(&mut Vec<u8>), why: &str| {
        let mut files = good.clone();
        change(file(&mut files, path));
        fails(&net.verify(&repack(&files)), path, why);
    };
    let flip = |at: usize| move |data: &mut Vec<u8>| data[at] ^= 1;
    let middle = |data: &mut Vec<u8>| {
        let at = data.len() / 2;
        data[at] ^= 1;
    };
    change("document/công văn.xml", &flip(3), "its envelope says");
    change("document/công văn.xml.p7s", &middle, "its envelope says");
    for path in paths(&good, "event/", "") {
        // The leaf, the path or checkpoint.
        for at in [40, 200, good.iter().find(|(p, _)| *p == path).unwrap().1.len() - 20] {
            let mut files = good.clone();
            file(&mut files, &path)[at] ^= 1;
            let report = net.verify(&repack(&files));
            assert!(!report.is_verified(), "{path}, byte {at}");
        }
        // Another event under its name.
        let other = paths(&good, "event/", "").into_iter().find(|p| *p != path).unwrap();
        let other = good.iter().find(|(p, _)| *p == other).unwrap().1.clone();
        change(&path, &move |data: &mut Vec<u8>| data.clone_from(&other), "not the one of its name");
    }
    for path in paths(&good, "message/", "") {
        let mut files = good.clone();
        let data = file(&mut files, &path);
        let at = data.len() - 2;
        data[at] ^= 1;
        assert!(!net.verify(&repack(&files)).is_verified(), "{path}");
    }
    for path in paths(&good, "directory/", "") {
        change(&path, &flip(100), "");
    }
    for path in paths(&good, "revocation/", "").into_iter().chain(paths(&good, "certificate/", "")) {
        change(&path, &middle, "");
    }
    change("evidence.json", &flip(40), "");
    // Files left out: an event that others need, the envelope, the directory, the list that a verdict rests on.
    let needed =
        [paths(&good, "message/", ""), paths(&good, "directory/", ""), paths(&good, "revocation/", ".crl")];
    for path in needed.concat().into_iter().chain([kept_proof(&good)]) {
        let mut files = good.clone();
        files.retain(|(p, _)| *p != path);
        assert!(!net.verify(&repack(&files)).is_verified(), "{path} was left out");
    }
    // A file more, at a place that nothing looks at.
    for added in ["x.txt", "document/thêm.txt", "message/x.envelope", "timestamp/x.tst"] {
        let mut files = good.clone();
        files.insert(3, (added.to_owned(), b"more".to_vec()));
        assert!(!net.verify(&repack(&files)).is_verified(), "{added}");
    }
    // The manifest's signature is over the manifest as it was.
    let mut files = unpack(&repack(&good));
    let signature = good.iter().find(|(p, _)| p == SIGNATURE).unwrap().clone();
    files.push(signature.clone());
    fails(&net.verify(&pack(&files)), SIGNATURE, "was added");
    let mut files = good.clone();
    *file(&mut files, "index.html") = b"<p>nothing of it is true</p>".to_vec();
    let mut files = unpack(&repack(&files));
    let manifest = String::from_utf8(file(&mut files, MANIFEST).clone()).unwrap();
    let reference =
        "  <asic:SigReference URI=\"META-INF/signature.p7s\" MimeType=\"application/pkcs7-signature\"/>\n";
    let at = manifest.find("  <asic:DataObject").unwrap();
    *file(&mut files, MANIFEST) = [&manifest[..at], reference, &manifest[at..]].concat().into_bytes();
    files.push(signature);
    fails(&net.verify(&pack(&files)), SIGNATURE, "digest_mismatch");
    net.finish().await;
}

/// The origin's proof, as the recipient's node kept it.
fn kept_proof(files: &Files) -> String {
    paths(files, "event/a_log_1", "").remove(0)
}
