//! NIST's PKITS: certification paths with their revocation data. The gate is: no false accept.

use std::path::PathBuf;
use std::sync::Arc;

use crate::signature::certificate::Certificate;
use crate::signature::digest::sha256;
use crate::signature::revocation::embedded::Embedded;
use crate::signature::revocation::{Rule, Sources};
use crate::signature::{Crl, CrlStore, Trust, path};
use crate::time::Timestamp;

/// Valid for NIST, refused here, each with its cause.
const STRICTER: [(&str, &str); 10] = [
    ("valid_dsa_signatures_test4", "DSA is no algorithm of ours"),
    ("valid_dsa_parameter_inheritance_test5", "DSA is no algorithm of ours"),
    ("valid_pre2000_utc_notbefore_date_test3", "the library reads no time before 1970"),
    ("valid_idp_with_indirectcrl_test22", INDIRECT),
    ("valid_idp_with_indirectcrl_test24", INDIRECT),
    ("valid_idp_with_indirectcrl_test25", INDIRECT),
    ("valid_crlissuer_test28", INDIRECT),
    ("valid_crlissuer_test29", INDIRECT),
    ("valid_crlissuer_test30", INDIRECT),
    ("valid_crlissuer_test33", INDIRECT),
];
const INDIRECT: &str = "indirect lists (entries of other issuers) are refused whole";

/// Revoked for NIST by an indirect list, and unknown here: not valid either way.
const REVOKED_BY_INDIRECT: [&str; 4] = [
    "invalid_idp_with_indirectcrl_test23",
    "invalid_crlissuer_test31",
    "invalid_crlissuer_test32",
    "invalid_crlissuer_test34",
];

/// A case's outcome here: valid, or why not.
fn judge(case: &serde_json::Value) -> Result<(), String> {
    let file = |name: &str| {
        let folder = if name.ends_with(".crl") { "crls" } else { "certs" };
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pkits");
        std::fs::read(root.join(folder).join(name)).unwrap()
    };
    let files = |key: &str| -> Vec<Vec<u8>> {
        case[key].as_array().into_iter().flatten().map(|c| file(c.as_str().unwrap())).collect()
    };
    let at: Timestamp = "2016-08-06T00:00:00Z".parse().unwrap();
    let crls = files("crls").into_iter().chain([file("TrustAnchorRootCRL.crl")]);
    // What cannot be read is as if absent.
    let crls = crls.filter_map(|der| Crl::read(&der).ok()).map(Arc::new);
    let trust = Trust::new([file("TrustAnchorRootCertificate.crt")]).unwrap().with_crls(CrlStore::new(crls));
    let (leaf, others) = (file(case["cert"].as_str().unwrap()), files("other_certs"));
    let mut embedded = Embedded::default();
    others.iter().for_each(|der| embedded.add_certificate(der));
    let all = [&embedded];
    let sources = Sources::new(&trust, &all);
    let read = Certificate::read(&leaf).map_err(|e| e.to_string())?;
    let paths = path::find(&read, &sha256(&leaf), &sources.certificates(), &trust).map_err(|f| f.detail)?;
    let mut outcome = Err("no path".to_owned());
    for path in &*paths {
        let found = path.check_time(&read, at).and_then(|()| {
            if case["revocation"] == false {
                return Ok(());
            }
            sources.check_path(&read, path, at, Rule::AtTime, &mut Vec::new())
        });
        match found {
            Ok(()) => return Ok(()),
            Err(fault) => outcome = Err(format!("{}: {}", fault.reason, fault.detail)),
        }
    }
    outcome
}

/// Every valid path is valid (policies unrestricted) but those listed, and every invalid one is not, but those that are
/// so only by parameters that a caller may set and this one does not.
#[test]
fn nists_paths_are_valid_or_not_as_nist_says() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pkits/pkits.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut accepted, mut rejected, mut wrong) = (0, 0, Vec::new());
    for case in cases.as_array().unwrap() {
        let (valid, name) = (case["error"].is_null(), case["name"].as_str().unwrap());
        if !valid && case["params"].is_object() {
            continue;
        }
        let found = judge(case);
        let expected = valid && STRICTER.iter().all(|(stricter, _)| *stricter != name);
        if found.is_ok() != expected {
            wrong.push(format!("{} {name}: {found:?}", if valid { "refused" } else { "ACCEPTED" }));
        }
        let revoked = found.as_ref().is_err_and(|why| why.starts_with("certificate_revoked"));
        if (case["error"]["class"] == "RevokedError") != (revoked || REVOKED_BY_INDIRECT.contains(&name)) {
            wrong.push(format!("for another reason {name}: {found:?}"));
        }
        if found.is_ok() {
            accepted += 1;
        } else {
            rejected += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((accepted, rejected), (100, 131));
}
