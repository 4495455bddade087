//! [`Tree`] against RFC 9162's recursions, written as they stand there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::merkle::*;

/// Full tiles in memory; remembers how many were read.
#[derive(Default)]
struct Store {
    tiles: HashMap<TileId, Arc<[Hash]>>,
    reads: RefCell<Vec<TileId>>,
}

impl Store {
    fn keep(&mut self, tree: &mut Tree) {
        self.tiles.extend(tree.take_full_tiles());
    }
}

impl TileReader for Store {
    type Error = &'static str;

    fn tile(&self, id: TileId) -> Result<Option<Arc<[Hash]>>, Self::Error> {
        self.reads.borrow_mut().push(id);
        Ok(self.tiles.get(&id).cloned())
    }
}

/// RFC 9162, sections 2.1.1, 2.1.3.1 and 2.1.4.1, remembering the roots of ranges.
#[derive(Default)]
struct Model {
    leaves: Vec<Hash>,
    roots: RefCell<HashMap<(usize, usize), Hash>>,
}

impl Model {
    fn root(&self, begin: usize, end: usize) -> Hash {
        if let Some(known) = self.roots.borrow().get(&(begin, end)) {
            return *known;
        }
        let root = match end - begin {
            0 => empty_root(),
            1 => self.leaves[begin],
            n => {
                let k = n.next_power_of_two() / 2;
                node_hash(&self.root(begin, begin + k), &self.root(begin + k, end))
            }
        };
        self.roots.borrow_mut().insert((begin, end), root);
        root
    }

    fn path(&self, m: usize, begin: usize, end: usize) -> Vec<Hash> {
        let n = end - begin;
        if n == 1 {
            return Vec::new();
        }
        let k = n.next_power_of_two() / 2;
        let (mut path, sibling) = if m < k {
            (self.path(m, begin, begin + k), self.root(begin + k, end))
        } else {
            (self.path(m - k, begin + k, end), self.root(begin, begin + k))
        };
        path.push(sibling);
        path
    }

    fn subproof(&self, m: usize, begin: usize, end: usize, known: bool) -> Vec<Hash> {
        let n = end - begin;
        if m == n {
            return if known { Vec::new() } else { vec![self.root(begin, end)] };
        }
        let k = n.next_power_of_two() / 2;
        let (mut proof, other) = if m <= k {
            (self.subproof(m, begin, begin + k, known), self.root(begin + k, end))
        } else {
            (self.subproof(m - k, begin + k, end, false), self.root(begin, begin + k))
        };
        proof.push(other);
        proof
    }

    fn check_inclusion(&self, tree: &Tree, store: &Store, index: usize, size: usize) {
        let (i, n) = (index as u64, size as u64);
        let proof = tree.inclusion_proof(i, n, store).unwrap();
        assert_eq!(proof, self.path(index, 0, size), "leaf {index} of {size}");
        assert_eq!(verify_inclusion(&self.leaves[index], i, n, &proof, &self.root(0, size)), Ok(()));
    }

    fn check_consistency(&self, tree: &Tree, store: &Store, from: usize, to: usize) {
        let (m, n) = (from as u64, to as u64);
        let proof = tree.consistency_proof(m, n, store).unwrap();
        assert_eq!(proof, self.subproof(from, 0, to, true), "{from} to {to}");
        assert_eq!(verify_consistency(m, &self.root(0, from), n, &self.root(0, to), &proof), Ok(()));
        assert_eq!(tree.root_at(m, store).unwrap(), self.root(0, from));
    }
}

/// Some numbers up to `end`: both ends, tile and subtree boundaries, and a few without pattern.
fn some_below(end: usize) -> Vec<usize> {
    let scattered = (0..4).map(|i| (end * 31 + i * 7919) % end.max(1));
    let mut some: Vec<_> = [0, 1, 255, 256, 257, 512, 1023, 65_535, end / 2, end.wrapping_sub(1)]
        .into_iter()
        .chain(scattered)
        .filter(|&number| number < end)
        .collect();
    some.sort_unstable();
    some.dedup();
    some
}

fn leaf(number: usize) -> Hash {
    leaf_hash(&number.to_be_bytes())
}

#[test]
fn small_trees_equal_the_model_in_every_proof() {
    let (mut tree, mut model, store) = (Tree::new(), Model::default(), Store::default());
    for size in 0..=70 {
        for to in 1..=size {
            for from in 1..=to {
                model.check_consistency(&tree, &store, from, to);
                model.check_inclusion(&tree, &store, from - 1, to);
            }
        }
        tree.push(leaf(size));
        model.leaves.push(leaf(size));
    }
}

#[test]
fn growing_trees_equal_the_model() {
    let (mut tree, mut model, mut store) = (Tree::new(), Model::default(), Store::default());
    for size in 0..=1100 {
        assert_eq!((tree.size(), tree.root()), (size as u64, model.root(0, size)));
        assert_eq!(tree.edge(0), &model.leaves[size - size % 256..]);
        for number in some_below(size) {
            model.check_inclusion(&tree, &store, number, size);
            model.check_consistency(&tree, &store, number + 1, size);
        }
        // Tiles are taken only now and then: meanwhile they must be readable from the tree.
        if size % 300 == 0 {
            store.keep(&mut tree);
        }
        tree.push(leaf(size));
        model.leaves.push(leaf(size));
    }
}

#[test]
fn rebuilt_trees_are_the_same_and_read_only_the_edge() {
    let (mut tree, mut store) = (Tree::new(), Store::default());
    let mut model = Model::default();
    let sizes =
        |size: usize| size <= 1100 && (size.is_multiple_of(51) || [1, 255, 256, 257].contains(&(size % 512)));
    let large = [65_533, 65_534, 65_535, 65_536, 65_537, 65_538, 65_539];
    for size in 0..=large[6] {
        if sizes(size) || large.contains(&size) {
            store.keep(&mut tree);
            store.reads.take();
            let tail = model.leaves[size - size % 256..].iter().copied();
            let again = Tree::rebuild(size as u64, &store, tail).unwrap();
            assert_eq!(store.reads.take().len(), size / 256 % 256 + size / 65_536);
            assert_eq!((again.size(), again.root()), (tree.size(), model.root(0, size)));
            for level in 0..4 {
                assert_eq!(again.edge(level), tree.edge(level), "level {level} at {size}");
            }
            for number in some_below(size) {
                model.check_inclusion(&again, &store, number, size);
                model.check_consistency(&again, &store, number + 1, size);
                assert!(store.reads.take().len() <= 8, "a proof reads each tile once");
            }
            // And both go on alike.
            let (mut one, mut other) = (tree.clone(), again);
            for number in 0..300 {
                one.push(leaf(number));
                other.push(leaf(number));
            }
            assert_eq!(one.root(), other.root());
            assert_eq!(one.take_full_tiles(), other.take_full_tiles());
        }
        tree.push(leaf(size));
        model.leaves.push(leaf(size));
    }
}

#[test]
fn tiles_hold_what_the_specification_says() {
    let (mut tree, mut model) = (Tree::new(), Model::default());
    for number in 0..70_000 {
        tree.push(leaf(number));
        model.leaves.push(leaf(number));
    }
    // The specification's own example of 70,000 leaves.
    let tiles = tree.take_full_tiles();
    assert_eq!(tiles.iter().filter(|(id, _)| id.level == 0).count(), 273);
    assert_eq!(tiles.iter().filter(|(id, _)| id.level == 1).count(), 1);
    assert_eq!(
        [tree.edge(0).len(), tree.edge(1).len(), tree.edge(2).len(), tree.edge(3).len()],
        [112, 17, 1, 0]
    );
    for (id, hashes) in &tiles {
        let span = 256usize.pow(u32::from(id.level));
        for place in [0, 1, 100, 255] {
            let first = (id.index as usize * 256 + place) * span;
            assert_eq!(hashes[place], model.root(first, first + span), "{id} {place}");
        }
        assert_eq!(hashes.len(), 256);
    }
    assert_eq!(tree.edge(2)[0], model.root(0, 65_536));
    assert!(tree.take_full_tiles().is_empty());
}

#[test]
fn a_dropped_copy_leaves_the_tree_as_it_was() {
    let mut tree = Tree::new();
    (0..250).for_each(|number| tree.push(leaf(number)));
    let before = (tree.size(), tree.root(), tree.edge(0).to_vec());
    let mut copy = tree.clone();
    (0..1000).for_each(|number| copy.push(leaf(number)));
    drop(copy);
    assert_eq!((tree.size(), tree.root(), tree.edge(0).to_vec()), before);
    assert!(tree.take_full_tiles().is_empty());
}

#[test]
fn every_changed_bit_of_a_proof_is_noticed() {
    let (mut tree, mut model, store) = (Tree::new(), Model::default(), Store::default());
    for number in 0..300 {
        tree.push(leaf(number));
        model.leaves.push(leaf(number));
    }
    let (old, new) = (model.root(0, 201), tree.root());
    let inclusion = tree.inclusion_proof(200, 300, &store).unwrap();
    let consistency = tree.consistency_proof(201, 300, &store).unwrap();
    let broken = |proof: &[Hash], at: usize, bit: usize| {
        let mut proof = proof.to_vec();
        proof[at].0[bit / 8] ^= 1 << (bit % 8);
        proof
    };
    for bit in 0..256 {
        for at in 0..inclusion.len() {
            let proof = broken(&inclusion, at, bit);
            assert!(verify_inclusion(&leaf(200), 200, 300, &proof, &new).is_err());
        }
        for at in 0..consistency.len() {
            let proof = broken(&consistency, at, bit);
            assert!(verify_consistency(201, &old, 300, &new, &proof).is_err());
        }
        let [other_leaf, other_old, other_new] = [leaf(200), old, new].map(|hash| broken(&[hash], 0, bit)[0]);
        assert!(verify_inclusion(&other_leaf, 200, 300, &inclusion, &new).is_err());
        assert!(verify_inclusion(&leaf(200), 200, 300, &inclusion, &other_new).is_err());
        assert!(verify_consistency(201, &other_old, 300, &new, &consistency).is_err());
        assert!(verify_consistency(201, &old, 300, &other_new, &consistency).is_err());
    }
    // Neither place nor size may be another, nor the path shorter or longer.
    for index in (0..300).filter(|&index| index != 200) {
        assert!(verify_inclusion(&leaf(200), index, 300, &inclusion, &new).is_err());
    }
    for size in (200..400).filter(|&size| size != 201) {
        assert!(verify_consistency(size, &old, 300, &new, &consistency).is_err());
    }
    for (longer, shorter) in [(&inclusion, true), (&consistency, false)] {
        let mut longer = longer.clone();
        longer.push(leaf(0));
        for proof in [&longer[..], &longer[..longer.len() - 2], &longer[1..longer.len() - 1]] {
            let refused = if shorter {
                verify_inclusion(&leaf(200), 200, 300, proof, &new)
            } else {
                verify_consistency(201, &old, 300, &new, proof)
            };
            assert!(refused.is_err());
        }
    }
}

#[test]
fn what_cannot_be_proved_is_refused_by_name() {
    let (mut tree, mut store) = (Tree::new(), Store::default());
    (0..600).for_each(|number| tree.push(leaf(number)));
    let beyond = ProofError::SizeBeyondTree { size: 601, tree: 600 };
    assert_eq!(tree.inclusion_proof(0, 601, &store), Err(beyond.clone()));
    assert_eq!(tree.consistency_proof(1, 601, &store), Err(beyond.clone()));
    assert_eq!(tree.root_at(601, &store), Err(beyond));
    assert_eq!(tree.root_at(0, &store), Ok(empty_root()));
    assert_eq!(
        tree.inclusion_proof(10, 10, &store),
        Err(ProofError::IndexOutOfRange { index: 10, size: 10 })
    );
    assert_eq!(tree.consistency_proof(3, 2, &store), Err(ProofError::SizesReversed { from: 3, to: 2 }));
    assert_eq!(tree.consistency_proof(0, 2, &store), Err(ProofError::FromEmpty { to: 2 }));
    assert_eq!(tree.consistency_proof(600, 600, &store), Ok(vec![]));

    store.keep(&mut tree);
    let id = TileId { level: 0, index: 1 };
    let tile = store.tiles.remove(&id).unwrap();
    assert_eq!(tree.inclusion_proof(300, 600, &store), Err(ProofError::TileMissing { tile: id }));
    let rebuilt =
        |store: &Store, count| Tree::rebuild(600, store, (0..count).map(leaf)).map(|tree| tree.size());
    assert_eq!(rebuilt(&store, 88), Err(RebuildError::TileMissing { tile: id, size: 600 }));
    store.tiles.insert(id, tile[..255].into());
    assert_eq!(tree.inclusion_proof(300, 600, &store), Err(ProofError::TileWidth { tile: id, width: 255 }));
    assert_eq!(rebuilt(&store, 88), Err(RebuildError::TileWidth { tile: id, width: 255 }));
    for found in [0, 87, 89, 256] {
        let error = RebuildError::TailLength { size: 600, expected: 88, found: found as u64 };
        assert_eq!(rebuilt(&store, found), Err(error));
    }
    assert!(Tree::rebuild(u64::MAX, &store, (0..255).map(leaf)).is_err());
}
