//! Containers that were exported once and are never made again: whatever becomes of this program, it goes on verifying
//! them. A change that fails here needs a new format, beside the old one.

use std::io::Cursor;
use std::path::PathBuf;

use lienthong::audit::evidence::{Given, Report, verify};
use lienthong::rpc::tls::read_certificates;

use super::tools::{beyond, failed};

fn verified(name: &str) -> Report {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/evidence/format-1");
    let authority = std::fs::read_to_string(dir.join("authority.vkey")).unwrap().trim().parse().unwrap();
    let roots = read_certificates(&dir.join("root-documents.pem")).unwrap();
    let roots: Vec<Vec<u8>> = roots.into_iter().map(|c| c.to_vec()).collect();
    let container = std::fs::read(dir.join(name)).unwrap();
    verify(Cursor::new(container), &Given { authority: &authority, roots: &roots, newer: None })
}

#[test]
fn a_container_of_format_1_verifies_for_ever() {
    // Delivered, opened, confirmed, accepted, and revoked.
    let report = verified("delivered.asice");
    assert!(report.is_verified(), "{:#?}", failed(&report));
    assert!(beyond(&report).is_empty(), "{:#?}", beyond(&report));
    assert_eq!(report.statements.iter().filter(|s| s.what.contains("recorded")).count(), 12);
    // Delivered, and purged 39 days later.
    let report = verified("purged.asice");
    assert!(report.is_verified(), "{:#?}", failed(&report));
    assert!(beyond(&report).iter().any(|s| s.what.contains("was purged at 2016-09-17")));
}
