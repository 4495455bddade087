//! Urgent messages beside large transfers on a disk that is busy with them.
//!
//! The disk here is slow and takes turns: what was written goes out when it is synced, [`RATE`] bytes a second, in
//! pieces of [`PIECE`], one piece of each file that is being synced after the other. So a small sync waits for a piece
//! of every other, as it does on a real one.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use lienthong::store::disk::{Disk, DiskFile, RealDisk};
use lienthong::wire::pb;

use super::common::document::Doc;
use super::flash::flash;
use super::stage::{MIB, Stage, delivery, noise};

/// Bytes that the disk takes in a second: a slow one.
const RATE: u64 = 16 << 20;
/// Bytes of one file that it takes before others have their turn.
const PIECE: u64 = 512 << 10;
/// The least that a sync takes.
const SYNC: Duration = Duration::from_millis(2);

/// The one device under all files of a node.
#[derive(Clone, Default)]
struct SlowDisk {
    /// The next ticket, and the one whose turn it is.
    turns: Arc<(Mutex<(u64, u64)>, Condvar)>,
    busy: Arc<AtomicU64>,
}

impl SlowDisk {
    /// Has the device for so long, after everyone who asked before.
    fn take(&self, time: Duration) {
        let (turns, changed) = &*self.turns;
        let mut now = turns.lock().unwrap();
        let ticket = now.0;
        now.0 += 1;
        while now.1 != ticket {
            now = changed.wait(now).unwrap();
        }
        drop(now);
        std::thread::sleep(time);
        self.busy.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        turns.lock().unwrap().1 += 1;
        changed.notify_all();
    }

    fn wrap(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SlowFile { disk: self.clone(), inner, dirty: AtomicU64::new(0) })
    }
}

struct SlowFile {
    disk: SlowDisk,
    inner: Arc<dyn DiskFile>,
    /// Bytes that were written and not synced.
    dirty: AtomicU64,
}

impl DiskFile for SlowFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(data, offset)?;
        self.dirty.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        let mut left = self.dirty.swap(0, Ordering::Relaxed);
        self.disk.take(SYNC);
        while left > 0 {
            let piece = left.min(PIECE);
            self.disk.take(Duration::from_micros(piece * 1_000_000 / RATE));
            left -= piece;
        }
        self.inner.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

impl Disk for SlowDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.take(SYNC);
        RealDisk.sync_dir(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

/// Sends one large document after the other until it is told to stop.
async fn send_on(stage: &Stage, first: u32, stop: &AtomicBool) -> Vec<(bytes::Bytes, Doc)> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = first + sent.len() as u32;
        let doc =
            stage.net.document_of("H01.1", &["H01.22"], &number.to_string(), noise(number.into(), 16 * MIB));
        let id = delivery(stage.send(&doc).await.unwrap());
        sent.push((id, doc));
    }
    sent
}

#[tokio::test]
async fn flash_documents_pass_large_transfers_on_a_disk_that_is_busy_with_them() {
    let mut stage = Stage::new();
    let disks = [SlowDisk::default(), SlowDisk::default()];
    for (node, disk) in ["a", "b"].into_iter().zip(&disks) {
        stage.net.start_on(node, Arc::new(disk.clone())).await;
    }
    let idle = flash(&stage.net, 1, 6).await[3];
    let stop = AtomicBool::new(false);
    let (mut loaded, mut share) = (Vec::new(), [0; 2]);
    let urgent = async {
        // Both disks have to do by now: what comes to one goes on to the other.
        stage.keeps("b", 2).await;
        let (began, before) = (Instant::now(), disks.each_ref().map(|d| d.busy.load(Ordering::Relaxed)));
        loaded = flash(&stage.net, 10, 10).await;
        let span = began.elapsed().as_millis() as u64;
        for (i, disk) in disks.iter().enumerate() {
            share[i] = (disk.busy.load(Ordering::Relaxed) - before[i]) * 100 / span;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (_, one, two, three) = tokio::join!(
        urgent,
        send_on(&stage, 100, &stop),
        send_on(&stage, 200, &stop),
        send_on(&stage, 300, &stop)
    );
    eprintln!(
        "flash from sending to receipt: {idle:?} idle; {:?} median, {:?} longest beside transfers; disks busy {share:?} %",
        loaded[5], loaded[9]
    );
    assert!(share.iter().all(|percent| *percent > 30), "the disks were not busy: {share:?} %");
    // A transfer of 16 MiB has one disk for a second, and three go on at once: nothing waits for one of them.
    let bound = idle * 5 + Duration::from_secs(2);
    assert!(loaded[5] < bound, "{loaded:?} on busy disks, {idle:?} on idle ones");
    for (id, doc) in one.iter().chain(&two).chain(&three) {
        stage.net.dms("a").await.wait_for(id, pb::DeliveryState::Delivered).await;
        let (_, data) = stage.net.dms("b").await.fetch("H01.22", id).await.unwrap();
        assert!(data == doc.data);
    }
    stage.net.finish().await;
}
