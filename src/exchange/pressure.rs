//! Pressure: the room on the disk, and who is refused when it gets short.
//!
//! Two thresholds, below which less is taken ([`Level`]): under the *reserve* no new documents, so that what is under
//! way has room to complete; under the *critical* one nothing that begins anything. Receipts and refusals that come
//! back, statuses of what was received, hand-over and give-up go on as long as the disk takes them. The room is measured
//! every [`limits::DISK_LOOK`]; documents that are being received have their announced bytes pledged, so that many at
//! once do not all count on the same room. A large one keeps its pledge while it is broken off, for
//! [`limits::PLEDGED_MS`], and counts only with what did not come yet. When space comes back, everything is taken again
//! by itself.
//!
//! Below zero, so to speak, the storage refuses by itself, with nothing written: see `store::content` and the
//! ledger's writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::watch;

use super::Exchange;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::store::disk::Disk;

/// How short room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything is taken.
    Normal,
    /// Free space is under the reserve: no new documents.
    Short,
    /// Free space is under the critical threshold: only what completes something.
    Critical,
}

impl Level {
    /// As `status` and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Short => "short",
            Level::Critical => "critical",
        }
    }
}

/// What wants room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A document with content of this size, from a system or a peer.
    Document(u64),
    /// So many more bytes of a document whose beginning is on the disk: it is under way, and completes while it leaves
    /// what is critical.
    Rest(u64),
    /// Anything else that begins something: a paper entry, a notice from a peer.
    Entry,
}

/// The room on the disk, as it was measured last.
#[derive(Debug)]
pub struct Pressure {
    reserve: u64,
    critical: u64,
    free: AtomicU64,
    level: AtomicU8,
    /// Announced bytes of documents that are being received and did not come yet.
    pledged: Arc<AtomicU64>,
}

impl Pressure {
    /// With thresholds in bytes; `critical` is at most `reserve`. Until it is measured, there is room.
    pub fn new(reserve: u64, critical: u64) -> Pressure {
        Pressure {
            reserve,
            critical: critical.min(reserve),
            free: AtomicU64::new(u64::MAX),
            level: AtomicU8::new(Level::Normal as u8),
            pledged: Arc::default(),
        }
    }

    /// Under this many free bytes no new documents are taken.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Under this many free bytes nothing is begun.
    pub fn critical(&self) -> u64 {
        self.critical
    }

    /// Free bytes, as measured last; `None` where nobody knows.
    pub fn free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Acquire)).filter(|free| *free < u64::MAX)
    }

    /// How short it is.
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Acquire) {
            0 => Level::Normal,
            1 => Level::Short,
            _ => Level::Critical,
        }
    }

    /// Takes a measurement in. A level is left only with a sixteenth more than its threshold, so that it does not
    /// flicker.
    pub fn measured(&self, free: u64) -> Level {
        self.free.store(free, Ordering::Release);
        let before = self.level();
        let entered = |threshold: u64, inside: bool| {
            free < if inside { threshold.saturating_add(threshold / 16) } else { threshold }
        };
        let now = if entered(self.critical, before == Level::Critical) {
            Level::Critical
        } else if entered(self.reserve, before != Level::Normal) {
            Level::Short
        } else {
            Level::Normal
        };
        self.level.store(now as u8, Ordering::Release);
        if now > before {
            tracing::warn!(
                free_bytes = free,
                reserve_bytes = self.reserve,
                critical_bytes = self.critical,
                level = now.as_str(),
                "the disk is getting full: less is taken until there is room again"
            );
        } else if now < before {
            tracing::info!(free_bytes = free, level = now.as_str(), "there is room on the disk again");
        }
        now
    }

    /// Refuses what there is no room for; for a document, pledges its bytes until the guard goes.
    pub fn admit(&self, wants: Wants) -> Result<Pledge, Rejection> {
        let level = self.level();
        let free = self.free.load(Ordering::Acquire);
        let after = |bytes| free.saturating_sub(self.pledged.load(Ordering::Acquire)).saturating_sub(bytes);
        let (refused, threshold, bytes) = match wants {
            Wants::Entry => (level == Level::Critical, self.critical, 0),
            Wants::Document(bytes) => {
                (level > Level::Normal || after(bytes) < self.reserve, self.reserve, bytes)
            }
            Wants::Rest(bytes) => {
                (level == Level::Critical || after(bytes) < self.critical, self.critical, bytes)
            }
        };
        if refused {
            return Err(Rejection::new(
                Reason::StorageFull,
                "",
                format!(
                    "this node has {free} bytes free and takes nothing that leaves less than {threshold}: nothing was \
                     recorded; try again when its operator has made room"
                ),
            ));
        }
        Ok(self.keep(bytes))
    }

    /// Pledges bytes of what was admitted before this node was started.
    pub fn keep(&self, bytes: u64) -> Pledge {
        let pledge = Pledge { bytes: AtomicU64::new(0), of: self.pledged.clone() };
        pledge.set(bytes);
        pledge
    }
}

/// Room that is kept for a document while it comes.
#[derive(Debug)]
pub struct Pledge {
    bytes: AtomicU64,
    of: Arc<AtomicU64>,
}

impl Pledge {
    /// So many bytes are still to come; those before are on the disk.
    pub fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::AcqRel);
        // Wrapping: what all have together never gets below nothing.
        self.of.fetch_add(bytes.wrapping_sub(before), Ordering::AcqRel);
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The least of what is free where journal, content and sled are: they may be on file systems of their own.
pub fn free_bytes(disk: &dyn Disk, data: &Path) -> Option<u64> {
    let places = ["", "journal", "content", "sled"].map(|sub| data.join(sub));
    places.iter().filter_map(|dir| disk.free_bytes(dir).ok()).min()
}

/// Measures until the node stops.
pub async fn watch_disk(exchange: Exchange, disk: Arc<dyn Disk>, mut stop: watch::Receiver<bool>) {
    loop {
        let (disk, data) = (disk.clone(), exchange.config().data.clone());
        // A network file system may hang.
        let found = tokio::task::spawn_blocking(move || free_bytes(&*disk, &data)).await;
        if let Ok(Some(free)) = found {
            exchange.pressure().measured(free);
        }
        tokio::select! {
            () = tokio::time::sleep(limits::DISK_LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn each_threshold_refuses_its_own_and_a_level_is_left_with_a_little_more() {
        let p = Pressure::new(16 * GIB, 4 * GIB);
        assert!(p.admit(Wants::Document(u64::MAX / 2)).is_ok(), "nothing is known yet");
        for (free, level, document, entry) in [
            (16 * GIB, Level::Normal, true, true),
            (16 * GIB - 1, Level::Short, false, true),
            (17 * GIB - 1, Level::Short, false, true),
            (17 * GIB, Level::Normal, true, true),
            (4 * GIB - 1, Level::Critical, false, false),
            (4 * GIB + GIB / 4 - 1, Level::Critical, false, false),
            (4 * GIB + GIB / 4, Level::Short, false, true),
            (0, Level::Critical, false, false),
            (u64::MAX, Level::Normal, true, true),
        ] {
            assert_eq!(p.measured(free), level, "{free}");
            assert_eq!(p.admit(Wants::Document(0)).is_ok(), document, "{free}");
            assert_eq!(p.admit(Wants::Entry).is_ok(), entry, "{free}");
        }
    }

    #[test]
    fn documents_under_way_do_not_count_on_the_same_room() {
        let p = Pressure::new(GIB, 0);
        p.measured(10 * GIB);
        let first = p.admit(Wants::Document(5 * GIB)).unwrap();
        let refusal = p.admit(Wants::Document(5 * GIB)).unwrap_err();
        assert_eq!(refusal.reason, Reason::StorageFull);
        let second = p.admit(Wants::Document(4 * GIB)).unwrap();
        // What came is on the disk, and no longer pledged.
        first.set(2 * GIB);
        p.measured(7 * GIB);
        assert!(p.admit(Wants::Document(1)).is_err());
        drop(second);
        assert!(p.admit(Wants::Document(4 * GIB)).is_ok());
        drop(first);
        assert_eq!(p.pledged.load(Ordering::Acquire), 0);
    }

    #[test]
    fn the_rest_of_what_was_begun_is_taken_down_to_what_is_critical() {
        let p = Pressure::new(4 * GIB, GIB);
        p.measured(3 * GIB);
        assert!(p.admit(Wants::Document(0)).is_err());
        assert!(p.admit(Wants::Rest(2 * GIB + 1)).is_err());
        let rest = p.admit(Wants::Rest(2 * GIB)).unwrap();
        // Its room is taken for the next, and what was admitted before the start counts without being asked.
        assert!(p.admit(Wants::Rest(1)).is_err());
        drop(rest);
        let kept = p.keep(9 * GIB);
        assert!(p.admit(Wants::Rest(1)).is_err());
        drop(kept);
        p.measured(GIB - 1);
        assert!(p.admit(Wants::Rest(0)).is_err(), "nothing goes on when it is critical");
    }
}
