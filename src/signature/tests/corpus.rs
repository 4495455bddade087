//! The corpus: signatures by another signer.

use std::path::PathBuf;
use std::sync::Arc;

use der::pem;

use crate::signature::{Crl, CrlStore, Digests, Role, Trust, digest_needs, judge_detached, judge_pdf};
use crate::time::Timestamp;

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path)
}

fn certificate(path: &str) -> Vec<u8> {
    pem::decode_vec(&std::fs::read(data(path)).unwrap()).unwrap().1
}

fn trust() -> Trust {
    let crls = ["root-rsa", "root-ecdsa", "sub-rsa", "sub-rsa-2016-05", "sub-ecdsa"].map(|name| {
        Arc::new(Crl::read(&std::fs::read(data(&format!("corpus/trust/{name}.crl"))).unwrap()).unwrap())
    });
    let roots = ["root-rsa", "root-ecdsa"].map(|r| certificate(&format!("corpus/trust/{r}.pem")));
    let trust = Trust::new(roots).unwrap().with_crls(CrlStore::new(crls));
    ["H09", "H09.21"].iter().fold(trust, |trust, agency| {
        trust.with_seal(agency, &certificate(&format!("corpus/trust/seal-{agency}.pem"))).unwrap()
    })
}

/// The rows inside PDF are judged where the pdf module is.
const PDF: bool = true;

#[test]
fn the_corpus_is_judged_as_expected() {
    let at: Timestamp = "2016-08-06T00:00:00Z".parse().unwrap();
    let trust = trust();
    let mut rows = csv::Reader::from_path(data("corpus/expected.csv")).unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for row in rows.records().map(Result::unwrap) {
        let file = |name: &str| std::fs::read(data("corpus/documents").join(name)).unwrap();
        let content = file(&row[0]);
        let found = if row[1].is_empty() {
            if !PDF {
                continue;
            }
            judge_pdf(&content, &row[2], &trust, at)
        } else {
            let signatures = [file(&row[1])];
            let content = Digests::of(digest_needs(&signatures), &content);
            judge_detached(&signatures, &content, &row[2], &trust, at)
        };
        let reason = found.reason.map_or("", |r| r.as_str());
        if [found.shown(Role::Person), found.shown(Role::Agency), reason] != row_outcome(&row) {
            wrong.push(format!("{}: {found:?}", &row[0]));
        }
        let proven = found.signatures.iter().any(|s| s.proven_at.is_some());
        let stamped = ["03-", "09-", "10-", "23-", "51-"].iter().any(|n| row[0].starts_with(n));
        if proven != stamped {
            wrong.push(format!("{}: proven {proven}", &row[0]));
        }
        judged += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(judged, if PDF { 34 } else { 6 });
}

fn row_outcome(row: &csv::StringRecord) -> [&str; 3] {
    [&row[3], &row[4], &row[5]]
}
