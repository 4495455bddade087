//! Files that pyHanko signed, with keys of its own (hanko/make.py): what the corpus does not have.

use std::path::PathBuf;
use std::sync::Arc;

use der::pem;

use crate::signature::{Crl, CrlStore, Trust, judge_pdf};

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/signature/tests/hanko");
    std::fs::read(folder.join(name)).unwrap()
}

/// Verdict of the person, reason, and whether a time is proven.
fn judge(name: &str, trust: &Trust) -> (&'static str, &'static str, bool) {
    let at = "2026-11-23T14:30:00Z".parse().unwrap();
    let found = judge_pdf(&file(name), "H09", trust, at);
    let proven = found.signatures.iter().any(|s| s.proven_at.is_some());
    (found.person.as_str(), found.reason.map_or("", |r| r.as_str()), proven)
}

#[test]
fn what_pyhanko_signs_is_judged_with_lists_at_hand_and_by_what_came_along() {
    let bare = Trust::new([pem::decode_vec(&file("root.pem")).unwrap().1]).unwrap();
    let lists = ["root.crl", "sub.crl"].map(|name| Arc::new(Crl::read(&file(name)).unwrap()));
    let trust = bare.clone().with_crls(CrlStore::new(lists));
    let unknown = ("indeterminate", "revocation_unknown", false);
    let expired = ("invalid", "certificate_expired", false);
    for (name, with_lists, without) in [
        ("b-bt-rsa.pdf", ("valid", "", true), unknown),
        // B-LT and B-LTA: a security store with lists, or with OCSP responses by a delegated responder.
        ("c-blt-crl.pdf", ("valid", "", true), ("valid", "", true)),
        ("d-blta.pdf", ("valid", "", true), ("valid", "", true)),
        ("e-blt-ocsp.pdf", ("valid", "", true), ("valid", "", true)),
        (
            "f-pss.pdf",
            ("invalid", "unsupported_algorithm", false),
            ("invalid", "unsupported_algorithm", false),
        ),
        ("g-adbe.pdf", ("valid", "", false), unknown),
        // A document timestamp proves the time of the signature before it, and of none after it.
        ("m-expired-docts.pdf", ("valid", "", true), expired),
        ("n-docts-then-expired.pdf", expired, expired),
    ] {
        assert_eq!(judge(name, &trust), with_lists, "{name}");
        assert_eq!(judge(name, &bare), without, "{name} without lists");
    }
}
