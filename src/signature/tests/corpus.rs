//! The corpus: signatures by another signer.

use std::path::PathBuf;
use std::sync::Arc;

use der::pem;

use crate::signature::{Crl, CrlStore, Digests, Trust, digest_needs, judge_detached};
use crate::time::Timestamp;

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path)
}

fn certificate(path: &str) -> Vec<u8> {
    pem::decode_vec(&std::fs::read(data(path)).unwrap()).unwrap().1
}

fn trust() -> Trust {
    let crls = ["root-rsa", "root-ecdsa", "sub-rsa", "sub-rsa-2016-05", "sub-ecdsa"]
        .map(|name| Arc::new(Crl::read(&std::fs::read(data(&format!("corpus/trust/{name}.crl"))).unwrap()).unwrap()));
    let roots = ["root-rsa", "root-ecdsa"].map(|r| certificate(&format!("corpus/trust/{r}.pem")));
    let trust = Trust::new(roots).unwrap().with_crls(CrlStore::new(crls));
    ["H09", "H09.21"].iter().fold(trust, |trust, agency| {
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

