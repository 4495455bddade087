//! Reading the outbox, as far as it is worth to have it in memory.
//!
//! One cursor for each urgency goes over everything. A sender that has its share of memory is passed over from then on,
//! and has a cursor of its own, which follows when some of its messages have gone.

use super::{Cursor, Entry, Found, Message, Schedule, Standing, Want};
use crate::domain::document::Urgency;
use crate::domain::ids::AgencyId;
use crate::exchange::courier::backoff::Moment;

/// Messages of one urgency that wait in memory to be sent, about.
pub(super) const AHEAD: usize = 1_024;
/// The least and the most of them that one sender may have.
const SHARE: (usize, usize) = (16, 256);
/// Entries of the outbox that are read at once.
const PAGE: usize = 256;

impl Schedule {
    /// The part of the outbox to read next, when the log has `size` events; `None` when there is enough in memory.
    pub fn wants(&mut self, now: Moment, size: u64) -> Option<Want> {
        if let Some((at, from)) = self.dropped
            && now >= at
        {
            self.dropped = None;
            for (cursor, from) in self.cursors.iter_mut().zip(from) {
                if from < cursor.next {
                    *cursor = Cursor { next: from, drained: None, ..*cursor };
                }
            }
        }
        for urgency in Urgency::ALL {
            let cursor = self.cursors[urgency as usize];
            if cursor.waiting >= AHEAD {
                continue;
            }
            let share = self.share(urgency);
            let lowest = (urgency, AgencyId::default());
            let hungry = self
                .over
                .range(lowest..)
                .take_while(|((u, _), _)| *u == urgency)
                .find(|(key, _)| self.shares.get(*key).copied().unwrap_or_default() < share.div_ceil(2));
            if let Some(((_, sender), from)) = hungry {
                let only = Some((sender.clone(), cursor.next));
                return Some(Want { urgency, from: *from, most: PAGE, only });
            }
            if cursor.drained != Some(size) {
                return Some(Want { urgency, from: cursor.next, most: PAGE, only: None });
            }
        }
        None
    }

    /// How many messages of one urgency a sender may have waiting in memory.
    fn share(&self, urgency: Urgency) -> usize {
        let senders = self.ready[urgency as usize].senders() + self.ready_large[urgency as usize].senders();
        (AHEAD / senders.max(1)).clamp(SHARE.0, SHARE.1)
    }

    /// Takes in what was read of what it wanted.
    pub fn take(&mut self, want: &Want, found: Found) {
        let Found { entries: found, ended, size } = found;
        let at = want.urgency as usize;
        if let Some((sender, to)) = &want.only {
            let key = (want.urgency, sender.clone());
            let last = found.last().map_or(*to, |(index, _)| index + 1);
            for (index, entry) in found {
                let Some(entry) = entry.filter(|e| index < *to && e.sender == *sender) else { continue };
                if self.is_full(&entry) {
                    self.over.insert(key, index);
                    return;
                }
                self.enter(entry);
            }
            if ended || last >= *to {
                self.over.remove(&key);
            } else {
                self.over.insert(key, last);
            }
            return;
        }
        for (index, entry) in found {
            let next = self.cursors[at].next;
            self.cursors[at].next = next.max(index + 1);
            let Some(entry) = entry else { continue };
            let key = (want.urgency, entry.sender.clone());
            let over = self.over.get(&key).copied();
            if self.known.contains_key(&entry.id) || over.is_some_and(|from| index >= from) {
                continue;
            }
            if self.is_full(&entry) {
                self.over.insert(key, index);
            } else {
                self.enter(entry);
            }
        }
        if ended {
            self.cursors[at].drained = Some(size);
        }
    }

    fn is_full(&self, entry: &Entry) -> bool {
        let has = self.shares.get(&(entry.urgency, entry.sender.clone())).copied().unwrap_or_default();
        !self.known.contains_key(&entry.id) && has >= self.share(entry.urgency)
    }

    fn enter(&mut self, entry: Entry) {
        let id = entry.id;
        if self.known.contains_key(&id) {
            return;
        }
        let mut standing = Standing::Ready;
        if let Some(target) = entry.target {
            let line = self.lines.entry(target).or_default();
            if let Some(first) = line.front() {
                standing = Standing::Behind(*first);
            }
            line.push_back(id);
        }
        self.count(&entry, true);
        self.known.insert(id, Message { entry, standing: standing.clone(), tries: 0, last: None });
        if standing == Standing::Ready {
            self.line_up(id);
        }
    }

    /// Counts a message among those that wait to be sent.
    pub(super) fn count(&mut self, entry: &Entry, more: bool) {
        let waiting = &mut self.cursors[entry.urgency as usize].waiting;
        let key = (entry.urgency, entry.sender.clone());
        let share = self.shares.entry(key.clone()).or_default();
        if more {
            *waiting += 1;
            *share += 1;
            return;
        }
        *waiting = waiting.saturating_sub(1);
        *share = share.saturating_sub(1);
        if *share == 0 {
            self.shares.remove(&key);
        }
    }
}
