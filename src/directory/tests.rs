//! What a directory says of certificates, as the judge hears it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::content::{self, Content};
use super::*;
use crate::merkle::NoteSigner;
use crate::signature::{Hasher, Reason, digest_needs, judge_detached};

fn corpus(name: &str) -> Vec<u8> {
    let data = std::env::var("LIENTHONG_DATA").unwrap_or_else(|_| "../shared/data".into());
    std::fs::read(std::path::Path::new(&data).join("corpus").join(name)).unwrap()
}

fn certificates(name: &str) -> Vec<String> {
    CertificateDer::pem_slice_iter(&corpus(name)).map(|c| STANDARD.encode(c.unwrap())).collect()
}

/// A directory of one agency, signed.
fn signed(refused: Vec<String>, seals: Vec<String>) -> Result<Directory, DirectoryError> {
    let content = Content {
        format: content::FORMAT,
        network: "test".into(),
        version: 1,
        previous: None,
        issued_at: Timestamp::from_secs(0),
        valid_until: Timestamp::MAX,
        roots: certificates("trust/root-rsa.pem"),
        refused_signers: refused,
        nodes: Vec::new(),
        agencies: vec![content::AgencyEntry {
            id: "H09".into(),
            codes: Vec::new(),
            name: "H09".into(),
            level: Level::Province,
            parent: None,
            hosting: Vec::new(),
            seals,
            closed_on: None,
        }],
    };
    let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let authority = NoteSigner::from_pkcs8("test/directory", pkcs8.as_ref()).unwrap();
    Directory::verify(&build::sign(&content, &authority)?, authority.verifier())
}

fn reason(directory: &Directory) -> Option<Reason> {
    let signatures = [corpus("documents/52-cades-agency.xml.p7s")];
    let mut hasher = Hasher::new(digest_needs(&signatures));
    hasher.update(&corpus("documents/52-cades-agency.xml"));
    let at = "2016-08-06T00:00:00Z".parse().unwrap();
    judge_detached(&signatures, &hasher.finish(), "H09", directory.trust(), at).reason
}

#[test]
fn a_certificate_that_is_listed_as_no_signer_signs_nothing() {
    let seal = certificates("trust/seal-H09.pem");
    // Without revocation lists.
    assert_eq!(reason(&signed(Vec::new(), seal.clone()).unwrap()), Some(Reason::RevocationUnknown));
    let refused = signed(seal.clone(), Vec::new()).unwrap();
    assert_eq!(reason(&refused), Some(Reason::WrongKeyUsage));
    let both = signed(seal.clone(), seal).unwrap_err().to_string();
    assert!(both.contains("strike it from one list"), "{both}");
}
