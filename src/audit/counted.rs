//! The state that a recount builds, with bounded memory: what is used is in memory, the rest in a temporary file.
//!
//! ```text
//! slot   key length u16 | key | value, in a place that has room for the value to grow a little
//! ```
//! In memory there are about 40 bytes for each record that ever was: the newest event that touched it, and where it is.
//! A record is known by 128 bits of its key's SHA-256, so that nobody can make two records that pass for one. The file
//! has no name: it goes with the process.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::unix::fs::FileExt as _;

use crate::domain::fold::ViewError;
use crate::merkle::sha256;
use crate::store::StoreError;

/// Bytes of records that were used last; up to twice as many are in memory.
const RECENT_BYTES: usize = 12 << 20;
/// Bytes in memory of a record beside its key and value, about.
const OVERHEAD: usize = 100;
/// Places are multiples of this, so that a record that grows is not moved every time.
const STEP: u32 = 64;

/// What is known of a record without reading it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The newest event that touched it.
    at: u64,
    place: u64,
    length: u32,
    room: u32,
    /// It is there, and not removed.
    alive: bool,
    seen: bool,
}

/// A record in memory.
struct Recent {
    key: Box<[u8]>,
    value: Option<Vec<u8>>,
    /// Not as it is in the file.
    changed: bool,
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

fn name(key: &[u8]) -> u128 {
    let digest = sha256(key);
    u128::from_be_bytes(*digest.as_bytes().first_chunk().expect("32 bytes"))
}

/// Records by key; each remembers the newest event that touched it.
pub(super) struct Counted {
    slots: Map<Slot>,
    /// Used last, and used before that: the older are written away all at once.
    young: Map<Recent>,
    old: Map<Recent>,
    young_bytes: usize,
    /// [`RECENT_BYTES`], or less in tests.
    recent_bytes: usize,
    file: File,
    end: u64,
}

impl Counted {
    /// None yet.
    pub(super) fn new() -> Result<Counted, StoreError> {
        let dir = std::env::temp_dir();
        let file = tempfile::tempfile_in(&dir).map_err(StoreError::io("creating a file in", dir))?;
        Ok(Counted {
            slots: Map::default(),
            young: Map::default(),
            old: Map::default(),
            young_bytes: 0,
            recent_bytes: RECENT_BYTES,
            file,
            end: 0,
        })
    }

    fn failed(error: &std::io::Error) -> ViewError {
        ViewError::Storage(format!("the recount's file in {}: {error}", std::env::temp_dir().display()))
    }

    /// The newest event that touched a record, and whether it is there now.
    pub(super) fn touched(&self, key: &[u8]) -> Option<(u64, bool)> {
        self.slots.get(&name(key)).map(|slot| (slot.at, slot.alive))
    }

    /// A record's value.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let name = name(key);
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
        self.file.read_exact_at(&mut bytes, slot.place).map_err(|e| Counted::failed(&e))?;
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let value = bytes.split_off(2 + length);
        bytes.drain(..2);
        Ok((bytes, value))
    }

    /// Writes or removes a record, by the event at `at`.
    pub(super) fn set(&mut self, key: &[u8], value: Option<Vec<u8>>, at: u64) -> Result<(), ViewError> {
        let name = name(key);
        let alive = value.is_some();
        let new = Slot { at, place: 0, length: 0, room: 0, alive, seen: false };
        let slot = self.slots.entry(name).or_insert(new);
        (slot.at, slot.alive) = (at, alive);
        let bytes = OVERHEAD + key.len() + value.as_ref().map_or(0, Vec::capacity);
        self.old.remove(&name);
        self.young.insert(name, Recent { key: key.into(), value, changed: true });
        self.young_bytes += bytes;
        if self.young_bytes > self.recent_bytes { self.turn() } else { Ok(()) }
    }

    /// What was not used for long goes to the file.
    fn turn(&mut self) -> Result<(), ViewError> {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.young_bytes = 0;
        for (name, recent) in old {
            let Some(value) = recent.value.filter(|_| recent.changed) else { continue };
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            let mut bytes = Vec::with_capacity(2 + recent.key.len() + value.len());
            bytes.extend((recent.key.len() as u16).to_be_bytes());
            bytes.extend(&recent.key);
            bytes.extend(&value);
            slot.length = bytes.len() as u32;
            if slot.length > slot.room {
                slot.room = slot.length.next_multiple_of(STEP);
                slot.place = self.end;
                self.end += u64::from(slot.room);
            }
            self.file.write_all_at(&bytes, slot.place).map_err(|e| Counted::failed(&e))?;
        }
        Ok(())
    }

    /// Remembers that a record was met; [`Counted::unseen`] gives the others.
    pub(super) fn see(&mut self, key: &[u8]) {
        if let Some(slot) = self.slots.get_mut(&name(key)) {
            slot.seen = true;
        }
    }

    /// Keys of at most `most` records that are there and were not met, in the order of the events that touched them.
    pub(super) fn unseen(&self, most: usize) -> Result<Vec<Vec<u8>>, ViewError> {
        let mut missed: Vec<(u64, u128)> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.alive && !slot.seen)
            .map(|(name, slot)| (slot.at, *name))
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
        expected.sort_by_key(|(_, (key, _))| counted.touched(key).map(|(at, _)| at));
        let expected: Vec<_> = expected.into_iter().map(|(_, (key, _))| key.clone()).collect();
        assert_eq!(counted.unseen(1_000).unwrap(), expected);
        assert_eq!(counted.unseen(3).unwrap(), expected[..3]);
    }
}
