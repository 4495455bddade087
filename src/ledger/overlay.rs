//! The state that the writer builds: changes of the group on top of what is durable.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use crate::domain::fold::{Records, View, ViewError, keys};
use crate::store::index::{Index, Sum};

/// Changes on top of the index. Remembers what each key held before, for the head's sum, and so that nothing is read
/// twice.
pub struct Overlay<'a> {
    index: &'a Index,
    first: u64,
    changes: BTreeMap<Vec<u8>, Change>,
    read: RefCell<HashMap<Vec<u8>, Option<Vec<u8>>>>,
    error: Option<ViewError>,
}

struct Change {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
}

impl<'a> Overlay<'a> {
    /// No changes yet; events from `first` on are going to be applied.
    pub fn new(index: &'a Index, first: u64) -> Self {
        Overlay { index, first, changes: BTreeMap::new(), read: RefCell::default(), error: None }
    }

    /// Writes a record under a key that is known not to be there.
    pub fn put_new(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Change { before: None, after: Some(value) });
    }

    fn set(&mut self, key: Vec<u8>, after: Option<Vec<u8>>) {
        if let Some(change) = self.changes.get_mut(&key) {
            change.after = after;
            return;
        }
        // A key that ends in the index of an event of this group cannot be there yet: no need to look.
        let before = if keys::is_by_new_event(&key, self.first) {
            None
        } else if let Some(known) = self.read.get_mut().remove(&key) {
            known
        } else {
            match Records::get(self.index, &key) {
                Ok(before) => before,
                Err(e) => {
                    self.error.get_or_insert(e);
                    None
                }
            }
        };
        self.changes.insert(key, Change { before, after });
    }

    /// The changes, with the sum adjusted for them.
    pub fn finish(self, sum: &mut Sum) -> Result<BTreeMap<Vec<u8>, Option<Vec<u8>>>, ViewError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut out = BTreeMap::new();
        for (key, change) in self.changes {
            if change.before == change.after {
                continue;
            }
            if Sum::counts(&key) {
                if let Some(before) = &change.before {
                    sum.remove(&key, before);
                }
                if let Some(after) = &change.after {
                    sum.add(&key, after);
                }
            }
            out.insert(key, change.after);
        }
        Ok(out)
    }
}

impl Records for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.after.clone()),
            None => {
                if let Some(known) = self.read.borrow().get(key) {
                    return Ok(known.clone());
                }
                let value = Records::get(self.index, key)?;
                self.read.borrow_mut().insert(key.to_vec(), value.clone());
                Ok(value)
            }
        }
    }
}

impl View for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.set(key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.set(key.to_vec(), None);
    }
}
