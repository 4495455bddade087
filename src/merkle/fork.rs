//! What two checkpoints of one log that cannot both be true leave to be shown to others.
//!
//! Two of the same size with different roots show it by themselves. Of different sizes, the path of the older tree's last
//! leaf in the newer one does: its left siblings are the nodes that made the older root, its right siblings came later. So
//! one path that leads to the newer root says which root the older tree *had* in that history.

use super::hash::{Hash, node_hash};
use super::proof::{ProofInvalid, skip_levels_without_sibling, verify_inclusion};

/// The root that the first `size` leaves have in a tree of `of` leaves with root `root`, by the path of leaf `size - 1` in
/// it; the path is checked first.
///
/// It is the fold of the path's left siblings: the last leaf of a tree has no others (RFC 9162, section 2.1.3.1), and what
/// is to the left of a leaf never changes.
pub fn prefix_root(
    last_leaf: &Hash,
    size: u64,
    of: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<Hash, ProofInvalid> {
    let index = size.checked_sub(1).ok_or(ProofInvalid::FromEmpty { to: of })?;
    verify_inclusion(last_leaf, index, of, path, root)?;
    let (mut node, mut last) = (index, of - 1);
    let mut prefix = *last_leaf;
    for sibling in path {
        if node & 1 == 1 || node == last {
            prefix = node_hash(sibling, &prefix);
            skip_levels_without_sibling(&mut node, &mut last);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{TileReader, Tree, leaf_hash};

    struct NoTiles;

    impl TileReader for NoTiles {
        type Error = std::convert::Infallible;

        fn tile(&self, _: crate::merkle::TileId) -> Result<Option<std::sync::Arc<[Hash]>>, Self::Error> {
            Ok(None)
        }
    }

    fn tree(leaves: u64, changed: Option<u64>) -> (Tree, Vec<Hash>) {
        let mut tree = Tree::new();
        let mut hashes = Vec::new();
        for n in 0..leaves {
            let text = if changed == Some(n) { format!("other {n}") } else { format!("leaf {n}") };
            hashes.push(leaf_hash(text.as_bytes()));
            tree.push(hashes[n as usize]);
        }
        (tree, hashes)
    }

    #[test]
    fn the_path_of_a_prefixs_last_leaf_tells_the_prefixs_root() {
        for of in 1..70 {
            let (whole, hashes) = tree(of, None);
            for size in 1..=of {
                let path = whole.inclusion_proof(size - 1, of, &NoTiles).unwrap();
                let last = &hashes[size as usize - 1];
                let found = prefix_root(last, size, of, &path, &whole.root()).unwrap();
                assert_eq!(found, whole.root_at(size, &NoTiles).unwrap(), "{size} of {of}");
            }
        }
    }

    #[test]
    fn every_rewritten_leaf_of_the_prefix_shows() {
        let (old, _) = tree(13, None);
        for changed in 0..13 {
            for of in 13..40 {
                let (new, hashes) = tree(of, Some(changed));
                let path = new.inclusion_proof(12, of, &NoTiles).unwrap();
                let found = prefix_root(&hashes[12], 13, of, &path, &new.root()).unwrap();
                assert_ne!(found, old.root(), "leaf {changed} of {of}");
            }
        }
    }

    #[test]
    fn a_path_that_does_not_lead_to_the_root_tells_nothing() {
        let (whole, hashes) = tree(20, None);
        let path = whole.inclusion_proof(9, 20, &NoTiles).unwrap();
        assert!(prefix_root(&hashes[9], 10, 20, &path, &hashes[0]).is_err());
        assert!(prefix_root(&hashes[8], 10, 20, &path, &whole.root()).is_err());
        assert!(prefix_root(&hashes[9], 10, 20, &path[1..], &whole.root()).is_err());
        assert!(prefix_root(&hashes[9], 0, 20, &path, &whole.root()).is_err());
        assert!(prefix_root(&hashes[9], 21, 20, &path, &whole.root()).is_err());
    }
}
