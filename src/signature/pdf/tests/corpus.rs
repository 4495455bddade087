//! The corpus, signed by another tool.

use std::path::PathBuf;

use crate::signature::pdf::{Pdf, PdfSignatureKind, read};

pub fn documents() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/corpus/documents")
}

#[test]
fn the_corpus_reads_as_expected() {
    let mut rows = csv::Reader::from_path(documents().join("../expected.csv")).unwrap();
    let mut seen = 0;
    for row in rows.records().map(Result::unwrap).filter(|row| row[0].ends_with(".pdf")) {
        let bytes = std::fs::read(documents().join(&row[0])).unwrap();
        let found = read(&bytes);
        let expected = match &row[5] {
            "malformed_document" => {
                assert_eq!(found.unwrap_err().reason.as_str(), "malformed_document", "{}", &row[0]);
                continue;
            }
            "modified_after_signing" => true,
            _ => false,
        };
        let Pdf { signatures, .. } = found.unwrap_or_else(|fault| panic!("{}: {fault:?}", &row[0]));
        let signed = [&row[3], &row[4]].iter().filter(|verdict| ***verdict != *"absent").count();
        assert_eq!(signatures.len(), signed, "{}", &row[0]);
        for signature in &signatures {
            assert_eq!(signature.modified.is_some(), expected, "{}: {signature:?}", &row[0]);
            let old = row[0].starts_with("07");
            let kind = if old { PdfSignatureKind::Pkcs7Detached } else { PdfSignatureKind::CadesDetached };
            assert_eq!(signature.kind, kind);
            assert!(signature.claimed_at.is_some());
            assert_eq!(signature.ranges[0].start, 0);
        }
        seen += 1;
    }
    assert_eq!(seen, 25);
}
