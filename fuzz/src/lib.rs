//! What all targets share: the trust of the corpus in `../shared/data`, beside the repository.

use std::path::PathBuf;
use std::sync::LazyLock;

use lienthong::signature::{Crl, CrlStore, Trust};

/// Roots, revocation lists, and the certificates that they are asked about.
pub struct World {
    /// The corpus's roots and lists.
    pub trust: Trust,
    /// Its seals.
    pub certificates: Vec<Vec<u8>>,
}

/// Read once.
pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/corpus/trust");
    let (mut roots, mut crls, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir).expect("shared/data lies beside the repository") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let bytes = std::fs::read(&path).expect("it can be read");
        let pem = || der::pem::decode_vec(&bytes).expect("PEM").1;
        match name {
            _ if name.starts_with("root-") && name.ends_with(".pem") => roots.push(pem()),
            _ if name.ends_with(".pem") => certificates.push(pem()),
            _ => crls.push(Crl::read(&bytes).expect("a list").into()),
        }
    }
    let trust = Trust::new(roots).expect("roots").with_crls(CrlStore::new(crls));
    World { trust, certificates }
});
