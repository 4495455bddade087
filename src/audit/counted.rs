//! The state that a recount builds, with bounded memory: what is used is in memory, the rest in a temporary file.
//!
//! ```text
//! place  key length u16 | key | value, with room up to the next multiple of 64 bytes
//! ```
//! In memory there are 32 bytes, and what a hash table leaves free, for each record that ever was: the newest event that
//! touched it, and where it is. A record is known by 128 bits of two keyed hashes of its key, whose keys are drawn for each
//! recount, so that nobody can make two records that pass for one. The file has no name: it goes with the process.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::fold::ViewError;
use crate::store::StoreError;

/// Bytes of records that were used last; up to twice as many are in memory.
const RECENT_BYTES: usize = 12 << 20;
/// Bytes in memory of a record beside its key and value, about.
const OVERHEAD: usize = 100;
/// Places are multiples of this, so that a record that grows is not moved every time, and the file may be of 256 GiB.
const STEP: u32 = 64;

/// What is known of a record without reading it. There are millions: 16 bytes.
#[derive(Debug)]
struct Slot {
    /// The newest event that touched it, in 40 bits.
    at: u32,
    at_high: u8,
    /// It is there, and not removed.
    alive: bool,
    seen: AtomicBool,
    /// In steps from the file's beginning.
    place: u32,
    /// In bytes; 0 while it has no place.
    length: u32,
}

impl Slot {
    fn new() -> Slot {
        Slot { at: 0, at_high: 0, alive: false, seen: AtomicBool::new(false), place: 0, length: 0 }
    }

    fn at(&self) -> u64 {
        u64::from(self.at_high) << 32 | u64::from(self.at)
    }

    fn touch(&mut self, at: u64, alive: bool) {
        (self.at, self.at_high, self.alive) = (at as u32, (at >> 32) as u8, alive);
    }

    fn offset(&self) -> u64 {
        u64::from(self.place) * u64::from(STEP)
    }

    fn steps(bytes: u32) -> u32 {
        bytes.div_ceil(STEP)
    }
}

/// A record in memory, as it is not in the file.
struct Recent {
    key: Box<[u8]>,
    value: Option<Vec<u8>>,
}

/// Keys are hashes already.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

type Map<T> = HashMap<u128, T, BuildHasherDefault<Taken>>;

/// Records by key; each remembers the newest event that touched it.
pub(super) struct Counted {
    /// Both halves of a record's name.
    names: [RandomState; 2],
    slots: Map<Slot>,
    /// Used last, and used before that: the older are written away all at once.
    young: Map<Recent>,
    old: Map<Recent>,
    young_bytes: usize,
    /// [`RECENT_BYTES`], or less in tests.
    recent_bytes: usize,
    file: File,
    /// Steps of the file that are used.
    end: u32,
}

impl Counted {
    /// None yet.
    pub(super) fn new() -> Result<Counted, StoreError> {
        let dir = std::env::temp_dir();
        let file = tempfile::tempfile_in(&dir).map_err(StoreError::io("creating a file in", dir))?;
        Ok(Counted {
            names: [RandomState::new(), RandomState::new()],
            slots: Map::default(),
            young: Map::default(),
            old: Map::default(),
            young_bytes: 0,
            recent_bytes: RECENT_BYTES,
            file,
            end: 0,
        })
    }

    fn name(&self, key: &[u8]) -> u128 {
        let [high, low] = self.names.each_ref().map(|state| u128::from(state.hash_one(key)));
        high << 64 | low
    }

    fn failed(error: &dyn std::fmt::Display) -> ViewError {
        ViewError::Storage(format!("the recount's file in {}: {error}", std::env::temp_dir().display()))
    }

    /// The newest event that touched a record, and whether it is there now.
    pub(super) fn touched(&self, key: &[u8]) -> Option<(u64, bool)> {
        self.slots.get(&self.name(key)).map(|slot| (slot.at(), slot.alive))
    }

    /// A record's value.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let name = self.name(key);
        if let Some(recent) = self.young.get(&name).or_else(|| self.old.get(&name)) {
            return Ok(recent.value.clone());
        }
        match self.slots.get(&name) {
            Some(slot) if slot.alive => Ok(Some(self.read(slot)?.1)),
            _ => Ok(None),
        }
    }

    /// Key and value as the file has them.
    fn read(&self, slot: &Slot) -> Result<(Vec<u8>, Vec<u8>), ViewError> {
        let mut bytes = vec![0; slot.length as usize];
        self.file.read_exact_at(&mut bytes, slot.offset()).map_err(|e| Counted::failed(&e))?;
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let value = bytes.split_off(2 + length);
        bytes.drain(..2);
        Ok((bytes, value))
    }

    /// Writes or removes a record, by the event at `at`.
    pub(super) fn set(&mut self, key: &[u8], value: Option<Vec<u8>>, at: u64) -> Result<(), ViewError> {
        let name = self.name(key);
        self.slots.entry(name).or_insert_with(Slot::new).touch(at, value.is_some());
        let bytes = OVERHEAD + key.len() + value.as_ref().map_or(0, Vec::capacity);
        self.old.remove(&name);
        self.young.insert(name, Recent { key: key.into(), value });
        self.young_bytes += bytes;
        if self.young_bytes > self.recent_bytes { self.turn() } else { Ok(()) }
    }

    /// What was not used for long goes to the file: what has no place yet, or outgrew it, at the end and all at once.
    fn turn(&mut self) -> Result<(), ViewError> {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.young_bytes = 0;
        let begin = u64::from(self.end) * u64::from(STEP);
        let mut added: Vec<u8> = Vec::new();
        let mut bytes = Vec::new();
        for (name, recent) in old {
            let (Some(value), Some(slot)) = (recent.value, self.slots.get_mut(&name)) else { continue };
            bytes.clear();
            bytes.extend((recent.key.len() as u16).to_be_bytes());
            bytes.extend(&recent.key);
            bytes.extend(&value);
            let length = u32::try_from(bytes.len()).map_err(|e| Counted::failed(&e))?;
            if Slot::steps(length) > Slot::steps(slot.length) {
                slot.place = self.end;
                let end = self.end.checked_add(Slot::steps(length));
                self.end = end.ok_or_else(|| Counted::failed(&"it is full: 256 GiB"))?;
                added.extend(&bytes);
                added.resize(added.len().next_multiple_of(STEP as usize), 0);
            } else {
                self.file.write_all_at(&bytes, slot.offset()).map_err(|e| Counted::failed(&e))?;
            }
            slot.length = length;
        }
        self.file.write_all_at(&added, begin).map_err(|e| Counted::failed(&e))
    }

    /// Remembers that a record was met; [`Counted::unseen`] gives the others.
    pub(super) fn see(&self, key: &[u8]) {
        if let Some(slot) = self.slots.get(&self.name(key)) {
            slot.seen.store(true, Ordering::Relaxed);
        }
    }

    /// Keys of at most `most` records that are there and were not met, in the order of the events that touched them.
    pub(super) fn unseen(&self, most: usize) -> Result<Vec<Vec<u8>>, ViewError> {
        let mut missed: Vec<(u64, u128)> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.alive && !slot.seen.load(Ordering::Relaxed))
            .map(|(name, slot)| (slot.at(), *name))
            .collect();
        missed.sort_unstable();
        missed.truncate(most);
        let key = |(_, name): (u64, u128)| match self.young.get(&name).or_else(|| self.old.get(&name)) {
            Some(recent) => Ok(recent.key.to_vec()),
            None => self.slots.get(&name).map_or(Ok(Vec::new()), |slot| self.read(slot).map(|(key, _)| key)),
        };
        missed.into_iter().map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn records_are_what_was_written_last_wherever_they_are() {
        let mut counted = Counted { recent_bytes: 1 << 20, ..Counted::new().unwrap() };
        let mut model: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        // Enough to turn a few times; every record is written several times, grows, and some go.
        for at in 0..20_000_u64 {
            let n = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
            let key = format!("f{n}").into_bytes();
            let value = (at % 7 > 0).then(|| at.to_be_bytes().repeat((at % 200) as usize + 1));
            counted.set(&key, value.clone(), at).unwrap();
            model.insert(key, value);
        }
        assert!(counted.end > 0, "nothing went to the file");
        for (n, (key, value)) in model.iter().enumerate() {
            assert_eq!(&counted.value(key).unwrap(), value);
            assert_eq!(counted.touched(key).map(|(_, alive)| alive), Some(value.is_some()));
            if n % 100 > 0 {
                counted.see(key);
            }
        }
        assert_eq!((counted.value(b"other").unwrap(), counted.touched(b"other")), (None, None));
        let mut expected: Vec<_> =
            model.iter().enumerate().filter(|(n, (_, v))| n % 100 == 0 && v.is_some()).collect();
        assert_eq!(size_of::<(u128, Slot)>(), 32);
        expected.sort_by_key(|(_, (key, _))| counted.touched(key).map(|(at, _)| at));
        let expected: Vec<_> = expected.into_iter().map(|(_, (key, _))| key.clone()).collect();
        assert_eq!(counted.unseen(1_000).unwrap(), expected);
        assert_eq!(counted.unseen(3).unwrap(), expected[..3]);
    }
}
