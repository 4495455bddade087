//! The corpus: detached signatures by another signer, and NIST's certification paths.

use std::path::PathBuf;

use der::pem;

use crate::signature::{Digests, Trust, digest_needs, judge_detached};
use crate::time::Timestamp;

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path)
}

fn certificate(path: &str) -> Vec<u8> {
    pem::decode_vec(&std::fs::read(data(path)).unwrap()).unwrap().1
}

fn trust() -> Trust {
    let roots = ["root-rsa", "root-ecdsa"].map(|r| certificate(&format!("corpus/trust/{r}.pem")));
    ["H09", "H09.21"].iter().fold(Trust::new(roots).unwrap(), |trust, agency| {
        trust.with_seal(agency, &certificate(&format!("corpus/trust/seal-{agency}.pem"))).unwrap()
    })
}

#[test]
fn the_corpus_of_detached_signatures_is_judged_as_expected() {
    let at: Timestamp = "2016-08-06T00:00:00Z".parse().unwrap();
    let trust = trust();
    let mut rows = csv::Reader::from_path(data("corpus/expected.csv")).unwrap();
    let mut judged = 0;
    for row in rows.records().map(Result::unwrap).filter(|row| !row[1].is_empty()) {
        let file = |name: &str| std::fs::read(data("corpus/documents").join(name)).unwrap();
        let signatures = [file(&row[1])];
        let content = Digests::of(digest_needs(&signatures), &file(&row[0]));
        let found = judge_detached(&signatures, &content, &row[2], &trust, at);
        let reason = found.reason.map_or("", |r| r.as_str());
        let detail = &found.signatures[0].detail;
        assert_eq!(
            [found.person.as_str(), found.agency.as_str(), reason],
            row_outcome(&row),
            "{}: {detail}",
            &row[0]
        );
        judged += 1;
    }
    // No detached row turns on revocation or on a timestamp.
    assert_eq!(judged, 6);
}

fn row_outcome(row: &csv::StringRecord) -> [&str; 3] {
    [&row[3], &row[4], &row[5]]
}

/// Valid for NIST, refused here: DSA is no algorithm of ours, and the library reads no time before 1970.
const STRICTER: [&str; 3] = [
    "valid_dsa_signatures_test4",
    "valid_dsa_parameter_inheritance_test5",
    "valid_pre2000_utc_notbefore_date_test3",
];

/// Invalid for NIST by revocation alone, which is not judged yet: all of the sections 4.4, 4.14 and 4.15, and these.
const REVOCATION_SECTIONS: [&str; 3] = ["404", "414", "415"];
const REVOCATION: [&str; 5] = [
    "invalid_basic_self_issued_old_with_new_test2",
    "invalid_basic_self_issued_new_with_old_test5",
    "invalid_basic_self_issued_crl_signing_key_test7",
    "invalid_keyusage_critical_crlsign_false_test4",
    "invalid_keyusage_not_critical_crlsign_false_test5",
];

/// NIST's PKITS: every valid path is valid (policies unrestricted), and every path that is invalid by itself, not by
/// revocation or by the caller's parameters, is not.
#[test]
fn nists_paths_are_valid_or_not_as_nist_says() {
    use crate::signature::certificate::Certificate;
    use crate::signature::{digest::sha256, path};
    let at: Timestamp = "2016-08-06T00:00:00Z".parse().unwrap();
    let cert = |name: &str| std::fs::read(data("pkits/certs").join(name)).unwrap();
    let trust = Trust::new([cert("TrustAnchorRootCertificate.crt")]).unwrap();
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data("pkits/pkits.json")).unwrap()).unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in cases.as_array().unwrap() {
        let (valid, name) = (case["error"].is_null(), case["name"].as_str().unwrap());
        let by_revocation =
            REVOCATION.contains(&name) || REVOCATION_SECTIONS.contains(&&case["id"].as_str().unwrap()[..3]);
        if STRICTER.contains(&name) || (!valid && (by_revocation || case["params"].is_object())) {
            continue;
        }
        let leaf = cert(case["cert"].as_str().unwrap());
        let others: Vec<Vec<u8>> =
            case["other_certs"].as_array().into_iter().flatten().map(|c| cert(c.as_str().unwrap())).collect();
        let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        let found = Certificate::read(&leaf)
            .map_err(|e| e.to_string())
            .and_then(|c| path::validate(&c, &sha256(&leaf), &others, &trust, at).map_err(|f| f.detail));
        judged += 1;
        if found.is_ok() != valid {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(judged, 182);
}
