//! Power cuts: the nodes' folders are on a file system in an image. At a cut all nodes are stopped at once, the image
//! is copied as the disk has it, and the nodes are killed and started again from the copy. What they wrote and did not
//! sync is gone; and because a disk may also lose what happened to be written, every file that is not meant to be durable
//! is emptied.
//!
//! Needs root, loop devices and mkfs.ext4: tests/crash/power-cut.sh

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::play::Play;
use super::processes::Processes;

/// Bytes of the image (it is sparse): journals are preallocated, and below `storage.reserve_mib` a node takes nothing new.
const IMAGE: u64 = 4 << 30;

/// A file system that can lose its power.
pub struct Image {
    file: PathBuf,
    copy: PathBuf,
    /// Where it is mounted.
    pub dir: PathBuf,
}

fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Image {
    /// Makes and mounts one below `dir`, which should be in memory: copying it takes no time then.
    pub fn mount(dir: &Path) -> Image {
        let image = Image { file: dir.join("disk"), copy: dir.join("copy"), dir: dir.join("nodes") };
        std::fs::File::create(&image.file).unwrap().set_len(IMAGE).unwrap();
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image.file)]);
        std::fs::create_dir(&image.dir).unwrap();
        image.mount_again();
        image
    }

    /// The file system commits by itself every ten minutes only: what is durable was asked for.
    fn mount_again(&self) {
        run("mount", &["-o", "loop,commit=600", text(&self.file), text(&self.dir)]);
    }

    /// What was made before the nodes start is on the disk.
    pub fn sync(&self) {
        run("sync", &["-f", text(&self.dir)]);
    }

    /// Goes back to what the disk had, with no node running.
    fn cut(&self, processes: &Processes) {
        processes.suspend();
        // What was on its way to the disk arrives there.
        std::thread::sleep(Duration::from_millis(200));
        run("cp", &["--sparse=always", text(&self.file), text(&self.copy)]);
        processes.kill_all();
        run("umount", &[text(&self.dir)]);
        std::fs::rename(&self.copy, &self.file).unwrap();
        self.mount_again();
        let (mut emptied, mut kept) = (0, 0);
        for data in std::fs::read_dir(&self.dir).unwrap().map(|e| e.unwrap().path().join("data")) {
            for path in files(&data) {
                let below = path.strip_prefix(&data).unwrap().to_owned();
                if is_durable(&below) {
                    kept += 1;
                } else {
                    std::fs::File::create(&path).unwrap();
                    emptied += 1;
                }
            }
        }
        assert!(emptied > 0 && kept > 0, "{emptied} files emptied, {kept} kept");
        self.sync();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.dir).status();
    }
}

/// Whether a file below a node's data is synced before anything rests on it.
fn is_durable(below: &Path) -> bool {
    let first = below.components().next().and_then(|c| c.as_os_str().to_str()).unwrap_or_default();
    let in_tmp = below.components().any(|c| c.as_os_str() == "tmp" || c.as_os_str() == "partial");
    let meant = matches!(
        first,
        "journal" | "content" | "directories" | "format" | "witness" | "forks" | "timestamps"
    );
    meant && !in_tmp
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let entries = entries.map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Cuts the power a number of times while work is under way.
pub async fn run_cuts(
    play: Arc<Play>,
    processes: Arc<Processes>,
    answers: usize,
    image: Arc<Image>,
    cuts: usize,
) {
    for cut in 1..=cuts {
        play.board.reach(cut * answers / (cuts + 1)).await;
        for line in play.lines() {
            line.serves().await;
        }
        assert!(play.board.answers() < answers, "the replay was over before its last cut");
        let (image, at) = (image.clone(), processes.clone());
        tokio::task::spawn_blocking(move || {
            image.cut(&at);
            at.start_all();
        })
        .await
        .unwrap();
    }
}
