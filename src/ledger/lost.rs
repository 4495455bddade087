//! Whether events name content that is not there any more: a full disk made the store forget it, or it was purged. It is
//! asked only while that may be.

use crate::domain::event::EventKind;
use crate::store::content::ContentStore;

/// Whether one of the events names something that is gone. What is there stays from now on.
pub(super) fn names_lost(content: &ContentStore, events: &[EventKind]) -> bool {
    // Every one is claimed, also behind one that is gone.
    let gone = |event: &EventKind| event.named().all().filter(|digest| !content.claim(digest)).count();
    events.iter().map(gone).sum::<usize>() > 0
}
