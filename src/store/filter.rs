//! A Bloom filter over the keys of sled: most look-ups ask whether something new is new, and need not go there.
//!
//! Blocked (one block of 64 bytes a key, six bits in it), in layers: a full layer gets a successor of twice its size, so
//! that it grows with the store at about 12 to 24 bits a key. It answers *not there* or *perhaps*, never wrongly *not
//! there*; hence a filter of which anything is doubtful is not used ([`super::index`] makes it again from the keys). Who
//! could choose keys that look alike would gain look-ups that cost what they cost without a filter.
//!
//! Stored form: for each layer its number of keys and blocks, u64 each, then its words; all little-endian.

use std::sync::{PoisonError, RwLock};

/// Keys taken in under one lock.
const AT_ONCE: usize = 256;

/// The keys of a store that is read and written; of use once it is complete.
#[derive(Debug, Default)]
pub struct KnownKeys {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    filter: Filter,
    complete: bool,
}

impl KnownKeys {
    /// Takes keys in, before they can be found in the store.
    pub(super) fn add<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) {
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            // Not all at once: readers wait meanwhile.
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            keys.by_ref().take(AT_ONCE).for_each(|key| state.filter.add(key));
        }
    }

    /// Every key of the store has been taken in.
    pub(super) fn set_complete(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).complete = true;
    }

    /// The store cannot have the key.
    pub(super) fn excludes(&self, key: &[u8]) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.complete && !state.filter.may_have(key)
    }

    /// The form in which it is kept over a stop; `None` while it is not complete.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.complete.then(|| state.filter.to_bytes())
    }

    /// Takes over what was kept; false where it cannot be read.
    pub(super) fn restore(&self, bytes: &[u8]) -> bool {
        let Some(filter) = Filter::from_bytes(bytes) else { return false };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State { filter, complete: true };
        true
    }
}

/// Words of a block: 512 bits, a line of cache.
const WORDS: usize = 8;
/// Bits set for a key.
const BITS: u32 = 6;
/// Keys of a block when its layer is full.
const KEYS_PER_BLOCK: u64 = 40;
/// Blocks of the first layer: 64 KiB, for 40,000 keys.
const FIRST_BLOCKS: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    keys: u64,
    blocks: Vec<[u64; WORDS]>,
}

/// The filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    layers: Vec<Layer>,
}

impl Filter {
    /// For so many keys at most, in one layer.
    pub fn sized(keys: usize) -> Filter {
        let blocks = keys.div_ceil(KEYS_PER_BLOCK as usize).max(1);
        Filter { layers: vec![Layer { keys: 0, blocks: vec![[0; WORDS]; blocks] }] }
    }

    /// Takes a key in.
    pub fn add(&mut self, key: &[u8]) {
        let hash = hash(key);
        if self.layers.iter().any(|layer| layer.has(hash)) {
            return;
        }
        let full = self.layers.last().is_none_or(|l| l.keys >= l.blocks.len() as u64 * KEYS_PER_BLOCK);
        if full {
            let blocks = self.layers.last().map_or(FIRST_BLOCKS, |l| l.blocks.len() * 2);
            self.layers.push(Layer { keys: 0, blocks: vec![[0; WORDS]; blocks] });
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.set(hash);
        }
    }

    /// Whether the key may be there.
    pub fn may_have(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        self.layers.iter().rev().any(|layer| layer.has(hash))
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for layer in &self.layers {
            out.extend(layer.keys.to_le_bytes());
            out.extend((layer.blocks.len() as u64).to_le_bytes());
            out.extend(layer.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()));
        }
        out
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Filter> {
        let mut layers = Vec::new();
        let (mut words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return None;
        }
        while let [keys, blocks, after @ ..] = words {
            let count = usize::try_from(u64::from_le_bytes(*blocks)).ok()?;
            let (own, after) = after.split_at_checked(count.checked_mul(WORDS)?)?;
            if count == 0 {
                return None;
            }
            let (own, _) = own.as_chunks::<WORDS>();
            let blocks = own.iter().map(|block| block.map(u64::from_le_bytes)).collect();
            layers.push(Layer { keys: u64::from_le_bytes(*keys), blocks });
            words = after;
        }
        words.is_empty().then_some(Filter { layers })
    }
}

impl Layer {
    /// The block of a hash, from its upper half, and the bits in it, nine of the lower half each, spread.
    fn place(&self, hash: u64) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let block = ((hash >> 32) * self.blocks.len() as u64) >> 32;
        let mut bits = (hash as u32 as u64 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (0..BITS).map(move |_| {
            let bit = bits >> 55;
            bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            ((bit >> 6) as usize, 1 << (bit & 63))
        });
        (block as usize, bits)
    }

    fn has(&self, hash: u64) -> bool {
        let (block, mut bits) = self.place(hash);
        let block = &self.blocks[block];
        bits.all(|(word, bit)| block[word] & bit != 0)
    }

    fn set(&mut self, hash: u64) {
        let (block, bits) = self.place(hash);
        for (word, bit) in bits {
            self.blocks[block][word] |= bit;
        }
        self.keys += 1;
    }
}

/// A quick hash with every bit of the key in every bit of the outcome; the stored form depends on it.
fn hash(key: &[u8]) -> u64 {
    let (chunks, rest) = key.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut hash = key.len() as u64;
    for chunk in chunks.iter().chain([&last]) {
        hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9fb2_1c65_1e98_df25);
        hash ^= hash >> 32;
    }
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u64) -> Vec<u8> {
        format!("f\u{1}agency-{}\0{i:08x}", i % 7).into_bytes()
    }

    #[test]
    fn every_key_is_found_again_and_few_others_are() {
        let mut filter = Filter::default();
        assert!(!filter.may_have(b"x"));
        let keys = 200_000;
        for i in 0..keys {
            filter.add(&key(i));
        }
        assert!((0..keys).all(|i| filter.may_have(&key(i))));
        assert_eq!(filter.layers.len(), 3);
        let wrong = (keys..2 * keys).filter(|i| filter.may_have(&key(*i))).count();
        assert!(wrong < keys as usize / 40, "{wrong} of {keys}");
        let bytes = filter.to_bytes();
        assert!(bytes.len() < keys as usize * 3);
        assert_eq!(Filter::from_bytes(&bytes), Some(filter));
        assert_eq!(Filter::from_bytes(&bytes[..bytes.len() - 8]), None);
        assert_eq!(Filter::from_bytes(&bytes[1..]), None);
        assert_eq!(Filter::from_bytes(&[]), Some(Filter::default()));
    }
}
