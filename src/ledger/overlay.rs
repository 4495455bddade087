//! The state that the writer builds: changes of the group on top of what is durable.

use std::cell::RefCell;
use std::collections::HashMap;

use sled::IVec;

use crate::domain::fold::{Records, View, ViewError, keys};
use crate::store::index::{Change, Index};

/// Changes on top of the index. Remembers what each key held before, for the sum, and so that nothing is read twice.
pub struct Overlay<'a> {
    index: &'a Index,
    first: u64,
    changes: HashMap<Vec<u8>, Change>,
    read: RefCell<HashMap<Vec<u8>, Option<IVec>>>,
    error: Option<ViewError>,
}

impl<'a> Overlay<'a> {
    /// No changes yet; events from `first` on are going to be applied.
    pub fn new(index: &'a Index, first: u64) -> Self {
        Overlay { index, first, changes: HashMap::new(), read: RefCell::default(), error: None }
    }

    /// Writes a record under a key that is known not to be there.
    pub fn put_new(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Change { before: None, after: Some(value.into()) });
    }

    fn set(&mut self, key: Vec<u8>, after: Option<IVec>) {
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
            match self.index.get(&key) {
                Ok(before) => before,
                Err(e) => {
                    self.error.get_or_insert(ViewError::Storage(e.to_string()));
                    None
                }
            }
        };
        self.changes.insert(key, Change { before, after });
    }

    /// The changes.
    pub fn finish(self) -> Result<Vec<(IVec, Change)>, ViewError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let changed = self.changes.into_iter().filter(|(_, change)| change.before != change.after);
        Ok(changed.map(|(key, change)| (key.into(), change)).collect())
    }
}

impl Records for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.after.as_ref().map(|v| v.to_vec())),
            None => {
                if let Some(known) = self.read.borrow().get(key) {
                    return Ok(known.as_ref().map(|v| v.to_vec()));
                }
                let value = self.index.get(key).map_err(|e| ViewError::Storage(e.to_string()))?;
                let copy = value.as_ref().map(|v| v.to_vec());
                self.read.borrow_mut().insert(key.to_vec(), value);
                Ok(copy)
            }
        }
    }
}

impl View for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.set(key, Some(value.into()));
    }

    fn delete(&mut self, key: &[u8]) {
        self.set(key.to_vec(), None);
    }
}
