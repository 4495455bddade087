//! `lienthong audit tiles DIR`: the log as a static directory (C2SP tlog-tiles), of a running node or of a stopped
//! one's files. A directory that has an earlier export of the same log is brought up to date.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::audit::Stopped;
use super::remote::Remote;
use super::{CliError, Format, Outcome, out};
use crate::audit::{CHECKPOINT, Known, export_tiles};
use crate::exchange::witness::own::newest_cosigned;
use crate::merkle::{Checkpoint, SignedCheckpoint};
use crate::wire::{pb, words};

/// What is asked for.
pub(super) struct What<'a> {
    /// Where to.
    pub dir: &'a Path,
    /// Who takes it.
    pub user: &'a str,
    /// Under the newest checkpoint that another node cosigned.
    pub cosigned: bool,
}

/// Exports into a folder.
pub(super) async fn run(
    what: What<'_>,
    stopped: Option<Stopped>,
    remote: &Remote,
    format: Format,
) -> Result<Outcome, CliError> {
    let mut folder = Folder::open(what.dir)?;
    match stopped {
        Some(stopped) => {
            let index = stopped.offline.index().map_err(CliError::failed)?;
            let newest = match index.head().map_err(CliError::failed)? {
                Some(_) if what.cosigned => {
                    let listed = stopped.listed()?;
                    let all = stopped.cosigned(&listed);
                    let newest = newest_cosigned(&listed.log, all.newest()).map_err(CliError::failed)?;
                    let note = newest.note();
                    Some((newest.checkpoint, note))
                }
                Some(head) => {
                    let checkpoint = SignedCheckpoint::verify(&head.checkpoint, stopped.key()?)
                        .map_err(|e| CliError::failed(format!("the newest checkpoint: {e}")))?;
                    let note = checkpoint.note().to_owned();
                    Some((checkpoint, note))
                }
                None => None,
            };
            if let Some((checkpoint, note)) = newest {
                let known = folder.known();
                export_tiles(index, (&checkpoint, &note), known, |path, data| folder.write(path, &data))
                    .map_err(CliError::failed)?;
            }
        }
        None => {
            let client = remote.connect("admin").await?;
            let known = folder.known();
            let request = pb::ExportTilesRequest {
                known_size: known.map_or(0, |k| k.size),
                known_root: known.map_or_else(bytes::Bytes::new, |k| words::digest(&k.root)),
                user: what.user.to_owned(),
                cosigned: what.cosigned,
            };
            let mut pieces = client.audit().export_tiles(request).await?.into_inner();
            let (mut path, mut data) = (String::new(), Vec::new());
            while let Some(piece) = pieces.message().await? {
                if piece.path != path && !path.is_empty() {
                    folder.write(&path, &std::mem::take(&mut data))?;
                }
                path = piece.path;
                data.extend_from_slice(&piece.data);
            }
            if !path.is_empty() {
                folder.write(&path, &data)?;
            }
        }
    }
    folder.finish(format)
}

/// Where the files go.
struct Folder {
    dir: PathBuf,
    before: Option<Checkpoint>,
    after: Option<Checkpoint>,
    files: u64,
    bytes: u64,
}

impl Folder {
    fn open(dir: &Path) -> Result<Folder, CliError> {
        std::fs::create_dir_all(dir).map_err(|e| CliError::file("creating", dir, &e))?;
        let path = dir.join(CHECKPOINT);
        let before = match std::fs::read_to_string(&path) {
            Ok(text) => Some(read(&text).map_err(|e| CliError::file("reading", &path, &e))?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut found = std::fs::read_dir(dir).map_err(|e| CliError::file("reading", dir, &e))?;
                // A tree without a checkpoint is an export that was broken off.
                if found.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "tile")) {
                    return Err(CliError::failed(format!(
                        "{} holds other files: name an empty folder, or one with an earlier export",
                        dir.display()
                    )));
                }
                None
            }
            Err(e) => return Err(CliError::file("reading", &path, &e)),
        };
        Ok(Folder { dir: dir.to_owned(), before, after: None, files: 0, bytes: 0 })
    }

    /// The export that is there.
    fn known(&self) -> Option<Known> {
        self.before.as_ref().map(|c| Known { size: c.size, root: c.root })
    }

    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), CliError> {
        let target = self.dir.join(path);
        if path == CHECKPOINT {
            let text =
                std::str::from_utf8(data).map_err(|e| CliError::failed(format!("the checkpoint: {e}")))?;
            let after = read(text).map_err(|e| CliError::failed(format!("the checkpoint: {e}")))?;
            self.compare(&after)?;
            self.after = Some(after);
        } else if !is_tile(path) {
            return Err(CliError::failed(format!("the node names a file that is no tile: {path:?}")));
        }
        let parent = target.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(parent).map_err(|e| CliError::file("creating", parent, &e))?;
        let failed = |e: std::io::Error| CliError::file("writing", &target, &e);
        // Whoever serves the folder meanwhile sees whole files only.
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
        file.write_all(data).map_err(failed)?;
        file.persist(&target).map_err(|e| failed(e.error))?;
        self.files += 1;
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// The new export goes on where the one that is there ends.
    fn compare(&self, after: &Checkpoint) -> Result<(), CliError> {
        let Some(before) = &self.before else { return Ok(()) };
        let dir = self.dir.display();
        if before.origin != after.origin {
            let (one, other) = (&before.origin, &after.origin);
            return Err(CliError::failed(format!(
                "{dir} holds log `{one}`, this is `{other}`: name another folder"
            )));
        }
        Ok(())
    }

    fn finish(self, format: Format) -> Result<Outcome, CliError> {
        let dir = self.dir.display().to_string();
        let (origin, size, root) =
            self.after.map_or((String::new(), 0, String::new()), |c| (c.origin, c.size, c.root.to_string()));
        match format {
            Format::Json => out(json!({"dir": dir, "log": origin, "events": size, "root": root,
                "files": self.files, "bytes": self.bytes})),
            Format::Table if size == 0 => out("the log is empty: there is nothing to export"),
            Format::Table => {
                out(format!("`{origin}`: {size} events, root {root}"));
                out(format!("{} files written below {dir}, {} bytes", self.files, self.bytes));
            }
        }
        Ok(Outcome::Done)
    }
}

/// What a checkpoint says; its signature is for the readers of the folder to check.
fn read(text: &str) -> Result<Checkpoint, String> {
    SignedCheckpoint::parse_unverified(text).map(|c| c.claimed().clone()).map_err(|e| e.to_string())
}

/// Whether a path is one of tiles or entries: nothing that a node says is written elsewhere.
fn is_tile(path: &str) -> bool {
    let mut places = path.split('/');
    let level = |p: &str| p == "entries" || p.parse::<u8>().is_ok();
    places.next() == Some("tile")
        && places.next().is_some_and(level)
        && places.clone().next().is_some()
        && places.all(|p| {
            let digits = p.strip_prefix('x').unwrap_or(p);
            let digits = digits.strip_suffix(".p").unwrap_or(digits);
            !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tiles_are_written() {
        for path in ["tile/0/000", "tile/0/x001/234", "tile/entries/000.p/17", "tile/2/000.p/1"] {
            assert!(is_tile(path), "{path}");
        }
        for path in
            ["tile/../x", "/etc/passwd", "tile/0/..", "tile/0", "tile/0/", "tile//0", "a", "tile/0/00a"]
        {
            assert!(!is_tile(path), "{path}");
        }
    }
}
