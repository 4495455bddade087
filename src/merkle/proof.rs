//! Checking proofs against roots (RFC 9162, sections 2.1.3.2 and 2.1.4.2).
//!
//! Proofs, sizes and indexes come from others. The steps only shift and compare, so no value overflows,
//! and a proof longer than any tree of 2^64 leaves needs is refused before anything is hashed.

use super::hash::{Hash, node_hash};

/// The longest proof that is looked at. An inclusion proof in the largest tree has 64 hashes; a
/// consistency proof for sizes up to 2^63 no more.
pub const MAX_PROOF_HASHES: usize = 64;

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofInvalid {
    /// The leaf would lie outside the tree.
    #[error("leaf index {index} is not below the tree size {size}")]
    IndexOutOfRange {
        /// The claimed place of the leaf.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("the older tree has {from} leaves, more than the newer one's {to}")]
    SizesReversed {
        /// The older tree's size.
        from: u64,
        /// The newer tree's size.
        to: u64,
    },
    /// Every tree extends the empty one, so there is nothing to prove.
    #[error("a consistency proof from an empty tree to one of {to} leaves says nothing; do not ask for it")]
    FromEmpty {
        /// The newer tree's size.
        to: u64,
    },
    /// More hashes than any tree needs.
    #[error("the proof has {hashes} hashes, more than {MAX_PROOF_HASHES}")]
    TooLong {
        /// How many came.
        hashes: usize,
    },
    /// Too few or too many hashes for these sizes.
    #[error("{hashes} hashes are not the length of this proof for a tree of {size} leaves")]
    WrongLength {
        /// How many came.
        hashes: usize,
        /// The (newer) tree's size.
        size: u64,
    },
    /// The proof leads to another root than the one given.
    #[error("the proof leads to root {computed} for {size} leaves, not to {expected}")]
    RootMismatch {
        /// The size of the tree whose root does not fit.
        size: u64,
        /// The root that should have come out.
        expected: Hash,
        /// The root that did.
        computed: Hash,
    },
}

/// Checks that `leaf`, a leaf hash, is number `index` of the tree with this size and root
/// (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofInvalid> {
    bounded(path)?;
    // 1. The leaf must be inside the tree.
    if index >= size {
        return Err(ProofInvalid::IndexOutOfRange { index, size });
    }
    // 2. Node and last node of the level at hand.
    let (mut node, mut last) = (index, size - 1);
    // 3. What is known of the path upwards.
    let mut hash = *leaf;
    // 4. One sibling after the other.
    for sibling in path {
        if last == 0 {
            return Err(ProofInvalid::WrongLength { hashes: path.len(), size });
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    // 5. The top must be reached, and be the root.
    if last != 0 {
        return Err(ProofInvalid::WrongLength { hashes: path.len(), size });
    }
    same_root(size, root, hash)
}

/// Checks that the tree of `to` leaves begins with the tree of `from` leaves (RFC 9162, section 2.1.4.2).
///
/// Equal sizes need equal roots and an empty path. `from` must not be 0: nothing is proved by that.
pub fn verify_consistency(
    from: u64,
    from_root: &Hash,
    to: u64,
    to_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofInvalid> {
    bounded(path)?;
    if from > to {
        return Err(ProofInvalid::SizesReversed { from, to });
    }
    if from == 0 {
        return Err(ProofInvalid::FromEmpty { to });
    }
    let wrong_length = ProofInvalid::WrongLength { hashes: path.len(), size: to };
    if from == to {
        return if path.is_empty() { same_root(to, from_root, *to_root) } else { Err(wrong_length) };
    }
    // 1. and 2. A perfect older tree is itself the first node of the path.
    let (first, rest) = if from.is_power_of_two() {
        (from_root, path)
    } else {
        path.split_first().ok_or_else(|| wrong_length.clone())?
    };
    // 3. and 4. Start at the largest perfect subtree that ends the older tree.
    let skip = (from - 1).trailing_ones();
    let (mut node, mut last) = ((from - 1) >> skip, (to - 1) >> skip);
    // 5. Both roots grow from it.
    let (mut old, mut new) = (*first, *first);
    // 6. Left siblings belong to both trees, right ones only to the newer.
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    // 7. The top must be reached, and both roots be right.
    if last != 0 {
        return Err(wrong_length);
    }
    same_root(from, from_root, old)?;
    same_root(to, to_root, new)
}

/// At the right edge a node may be its parent's only child for some levels: those have no hash in a path.
pub(super) fn skip_levels_without_sibling(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

fn bounded(path: &[Hash]) -> Result<(), ProofInvalid> {
    if path.len() > MAX_PROOF_HASHES {
        return Err(ProofInvalid::TooLong { hashes: path.len() });
    }
    Ok(())
}

fn same_root(size: u64, expected: &Hash, computed: Hash) -> Result<(), ProofInvalid> {
    if *expected != computed {
        return Err(ProofInvalid::RootMismatch { size, expected: *expected, computed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    #[test]
    fn extreme_sizes_neither_panic_nor_pass() {
        let hash = leaf_hash(b"x");
        let sizes = [0, 1, 2, 3, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
        for length in [0, 1, 2, 31, 62, 63, 64, 65, 1000] {
            let path = vec![hash; length];
            for from in sizes {
                for to in sizes {
                    let trivial = from == to && from != 0 && length == 0;
                    assert_eq!(verify_consistency(from, &hash, to, &hash, &path).is_ok(), trivial);
                    let trivial = from == 0 && to == 1 && length == 0;
                    assert_eq!(verify_inclusion(&hash, from, to, &path, &hash).is_ok(), trivial);
                }
            }
        }
    }

    #[test]
    fn the_most_specific_reason_is_given() {
        let hash = leaf_hash(b"x");
        let too_long = vec![hash; 65];
        assert_eq!(
            verify_inclusion(&hash, 0, 1, &too_long, &hash),
            Err(ProofInvalid::TooLong { hashes: 65 })
        );
        assert_eq!(
            verify_inclusion(&hash, 4, 4, &[], &hash),
            Err(ProofInvalid::IndexOutOfRange { index: 4, size: 4 })
        );
        assert_eq!(
            verify_consistency(5, &hash, 4, &hash, &[]),
            Err(ProofInvalid::SizesReversed { from: 5, to: 4 })
        );
        assert_eq!(verify_consistency(0, &hash, 4, &hash, &[]), Err(ProofInvalid::FromEmpty { to: 4 }));
        assert_eq!(
            verify_inclusion(&hash, 0, 4, &[hash], &hash),
            Err(ProofInvalid::WrongLength { hashes: 1, size: 4 })
        );
    }
}
