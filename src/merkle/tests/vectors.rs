//! Vectors from transparency-dev/merkle and RFC 6962's reference implementation.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::merkle::*;

/// The only case that is refused here and accepted there: its roots are 12 bytes long.
const MALFORMED_BUT_ACCEPTED: &str = "sizes-are-equal-one-and-proof-is-empty.json";

#[test]
fn every_vector_gives_its_verdict() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/merkle"));
    let mut seen = [0, 0];
    for (kind, folder) in ["inclusion", "consistency"].into_iter().enumerate() {
        each_json(&root.join(folder), &mut |name, case| {
            let verified = if kind == 0 { inclusion(case) } else { consistency(case) };
            let want_error = case["wantErr"].as_bool().unwrap() || name == MALFORMED_BUT_ACCEPTED;
            assert_eq!(verified.is_err(), want_error, "{folder} {name}: {verified:?}");
            seen[kind] += 1;
        });
    }
    assert_eq!(seen, [98, 98]);
}

fn each_json(folder: &Path, check: &mut dyn FnMut(&str, &Value)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_json(&path, check);
        } else {
            let case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            check(path.file_name().unwrap().to_str().unwrap(), &case);
        }
    }
}

fn inclusion(case: &Value) -> Result<(), String> {
    let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
    let (index, size) = (case["leafIdx"].as_u64().unwrap(), case["treeSize"].as_u64().unwrap());
    verify_inclusion(&leaf, index, size, &proof(case)?, &root).map_err(|error| error.to_string())
}

fn consistency(case: &Value) -> Result<(), String> {
    let (root1, root2) = (hash(&case["root1"])?, hash(&case["root2"])?);
    let (size1, size2) = (case["size1"].as_u64().unwrap(), case["size2"].as_u64().unwrap());
    verify_consistency(size1, &root1, size2, &root2, &proof(case)?).map_err(|error| error.to_string())
}

fn proof(case: &Value) -> Result<Vec<Hash>, String> {
    case["proof"].as_array().map_or(Ok(Vec::new()), |proof| proof.iter().map(hash).collect())
}

fn hash(value: &Value) -> Result<Hash, String> {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    Hash::from_slice(&bytes).ok_or_else(|| format!("{} bytes are no hash", bytes.len()))
}

/// No tiles stored: small trees need none.
struct Nothing;

impl TileReader for Nothing {
    type Error = Infallible;

    fn tile(&self, _: TileId) -> Result<Option<Arc<[Hash]>>, Infallible> {
        Ok(None)
    }
}

/// The eight leaves and roots of the Certificate Transparency reference implementation's tests.
#[test]
fn roots_and_proofs_of_the_reference_tree() {
    let leaves =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::new();
    assert_eq!(tree.root(), empty_root());
    for (leaf, root) in leaves.iter().zip(roots) {
        tree.push(leaf_hash(&hex::decode(leaf).unwrap()));
        assert_eq!(tree.root().to_string(), root);
    }
    let printed = |proof: Vec<Hash>| proof.iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(
        printed(tree.inclusion_proof(5, 8, &Nothing).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        printed(tree.consistency_proof(6, 8, &Nothing).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}
