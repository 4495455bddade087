//! Witnessing: no node can rewrite its log, because the others hold what it signed.
//!
//! Of each log of another node the newest checkpoint is held, durably (`files`). Checkpoints come with proofs, hellos and
//! answers; each new one waits ([`view`]) until the log's owner has shown, asked at most once in an interval, that it grew
//! out of the one held (`run`). Only then is it held, and only what is held is cosigned; the cosignature goes back to the
//! owner, which keeps it ([`own`], read again by [`ever`]). All of this is state and no event, so that idle nodes stay idle.
//!
//! - Two checkpoints that cannot both be true: a fork. Exchange with that log stops, an alarm is recorded, and a file
//!   proves it to anyone ([`fork`]). It stays stopped until the directory lists a new generation.
//! - A log whose owner does not show that it grew: exchange stops, an alarm says so by name, nothing is proven, and it goes
//!   on when the owner shows it.
//! - Another node holds a checkpoint that this node signed and whose root its log does not have: this log is an old copy.
//!   Nothing is signed from then on (`start`).
//!
//! What is asked by others is answered by `answer`.

mod answer;
pub mod ever;
mod files;
pub mod fork;
pub mod own;
mod run;
mod start;
pub mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Exchange;
use super::accept::log_key;
use crate::directory::Node;
use crate::domain::decide::Command;
use crate::domain::event::EventKind;
use crate::domain::ids::{NodeName, shorten};
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{Checkpoint, Hash, NoteSigner, NoteVerifier, SignedCheckpoint};
use crate::store::StoreError;
use crate::store::disk::Disk;
use crate::time::Timestamp;
use files::Files;
use fork::{ForkProof, node_of};
use own::{Cosigned, Own};
use view::{LogView, Seen};

pub use files::{
    Cut, Kept, KeptFile, fork_file, fork_files, fork_text, held_files, kept, own_files, own_notes,
};
pub use run::{WitnessLink, run};
pub use start::{OldCopy, ask_at_start};

/// What this node knows as a witness, and what others witnessed of it.
pub struct Witness {
    logs: Mutex<HashMap<String, Log>>,
    own: Mutex<Own>,
    /// Not there where nothing is kept: then nothing is cosigned either.
    kept: OnceLock<(Files, NoteSigner)>,
    wake: Notify,
    /// The largest checkpoint of this node's log that another node was found to hold.
    agreed: Mutex<Option<(u64, Hash)>>,
    contradicted: watch::Sender<Option<OldCopy>>,
    unwitnessed: AtomicBool,
    /// Peers were asked what they hold of this log: it may be written.
    begun: AtomicBool,
}

/// One log of another node.
struct Log {
    peer: NodeName,
    view: LogView,
    cut: Option<Cut>,
    /// When it was asked last, and how often in a row that came to nothing.
    asked: Option<Instant>,
    failures: u32,
    /// Since when its owner answers, and does not show that it grew.
    owes_since: Option<Instant>,
    busy: bool,
}

/// How a log of another node stands, for people.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whose it is.
    pub peer: NodeName,
    /// Its origin line.
    pub log: String,
    /// Leaves of the newest checkpoint that is held; 0 where none is.
    pub held: u64,
    /// Why exchange with it is stopped, if it is.
    pub cut: Option<Cut>,
}

/// What a node has of another's log, as signed notes; empty where there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldOf {
    /// The newest checkpoint that was shown to grow out of those before, and is kept.
    pub held: String,
    /// A newer one that came, and waits for that: the log's key signed it, so that a copy of the log without it is old.
    pub newest: String,
}

impl Default for Witness {
    fn default() -> Witness {
        Witness {
            logs: Mutex::default(),
            own: Mutex::default(),
            kept: OnceLock::new(),
            wake: Notify::new(),
            agreed: Mutex::default(),
            contradicted: watch::Sender::new(None),
            unwitnessed: AtomicBool::new(false),
            begun: AtomicBool::new(false),
        }
    }
}

impl Witness {
    fn logs(&self) -> MutexGuard<'_, HashMap<String, Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How every log that was seen stands, by its owner's name.
    pub fn standings(&self) -> Vec<Standing> {
        let logs = self.logs();
        let mut all: BTreeMap<(NodeName, String), Standing> = BTreeMap::new();
        for (name, log) in logs.iter() {
            let held = log.view.held().map_or(0, |held| held.checkpoint().size);
            let (peer, cut) = (log.peer.clone(), log.cut.clone());
            all.insert((peer.clone(), name.clone()), Standing { peer, log: name.clone(), held, cut });
        }
        all.into_values().collect()
    }

    /// No peer could say at the start whether this log is the newest copy.
    pub fn is_unwitnessed(&self) -> bool {
        self.unwitnessed.load(Ordering::Relaxed)
    }

    /// Refuses once another node was found to hold what this log does not have: what this node signed since is of a second
    /// history, and goes to nobody.
    pub(crate) fn check_own(&self) -> Result<(), Rejection> {
        match &*self.contradicted.borrow() {
            Some(found) => Err(Rejection::new(Reason::Stopping, "", found.to_string())),
            None => Ok(()),
        }
    }

    /// Resolves when another node was found to hold what this log does not have.
    pub async fn contradiction(&self) -> OldCopy {
        let mut told = self.contradicted.subscribe();
        let found = told.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        match found {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }
}

/// The key of the newest generation of a node's log that is in use.
pub fn current_log(node: &Node) -> Option<&NoteVerifier> {
    let in_use = node.log_keys.iter().filter(|k| k.last.is_none() && k.withdrawn.is_none());
    let generation =
        |key: &NoteVerifier| key.name().rsplit_once('/').and_then(|(_, n)| n.parse::<u32>().ok());
    in_use.map(|k| &k.key).max_by_key(|key| generation(key))
}

/// Why nothing is exchanged with a log.
fn stopped(log: &str, cut: &Cut) -> Rejection {
    let what = format!("exchange with log `{}` is stopped since {}: {}", shorten(log), cut.since(), cut.why);
    Rejection::new(cut.reason(), "", what)
}

impl Exchange {
    /// What this node knows as a witness.
    pub fn witness(&self) -> &Witness {
        &self.inner.witness
    }

    /// Reads what was kept, and keeps from now on. Before this, and without it, nothing is cosigned.
    pub fn open_witness(&self, disk: Arc<dyn Disk>, cosigner: NoteSigner) -> Result<(), StoreError> {
        let files = Files::open(disk, &self.config().data)?;
        let directory = self.directory();
        for Kept { log, held, cut } in files.logs()? {
            let Some(peer) = node_of(&log) else { continue };
            // Of a node that is listed no more, or with a key that is trusted no more, nothing is held.
            let held = held.and_then(|text| {
                let unverified = SignedCheckpoint::parse_unverified(&text).ok()?;
                let key = log_key(&directory, &peer)(&unverified)?;
                unverified.verify(&key).ok()
            });
            let log_state = Log { cut, ..Log::new(peer, LogView::new(held)) };
            self.witness().logs().insert(log, log_state);
        }
        let (mut seen, mut newest) = (0, Vec::new());
        files.own(|notes| {
            for Cosigned { checkpoint, witnesses } in self.read_cosigned(&notes) {
                for (node, (at, line)) in witnesses {
                    self.witness().own().add(&checkpoint, &node, at, line, at);
                }
            }
            seen += 1;
            if seen == 1 {
                newest = notes;
            }
            seen < 2
        })?;
        self.witness().own().set_read(&newest, self.ledger().now());
        let _ = self.witness().kept.set((files, cosigner));
        Ok(())
    }

    /// Refuses while exchange with the log that a node writes now is stopped.
    pub(crate) fn check_peer(&self, peer: &NodeName) -> Result<(), Rejection> {
        let directory = self.directory();
        let Some(log) = directory.node(peer).and_then(current_log) else { return Ok(()) };
        self.check_log(log.name())
    }

    /// Refuses while exchange with a log is stopped.
    pub(crate) fn check_log(&self, log: &str) -> Result<(), Rejection> {
        let logs = self.witness().logs();
        match logs.get(log).and_then(|l| l.cut.as_ref()) {
            Some(cut) => Err(stopped(log, cut)),
            None => Ok(()),
        }
    }

    /// A checkpoint came that a key of the log signed; refuses where exchange with the log is stopped, or stops now.
    pub(crate) async fn saw(&self, signed: &SignedCheckpoint) -> Result<(), Rejection> {
        let Checkpoint { origin, size, .. } = signed.checkpoint();
        let Some(peer) = node_of(origin).filter(|peer| peer != self.node()) else { return Ok(()) };
        if *size == 0 {
            return Ok(());
        }
        let other = {
            let mut logs = self.witness().logs();
            let fresh = || Log::new(peer.clone(), LogView::default());
            let log = logs.entry(origin.clone()).or_insert_with(fresh);
            match log.view.see(signed) {
                Seen::Known => None,
                Seen::New => {
                    // It is there: what came to nothing before may come to something now.
                    log.failures = 0;
                    self.witness().wake.notify_one();
                    None
                }
                Seen::Contradicts(other) => Some(other),
            }
        };
        if let Some(other) = other {
            self.forked(&peer, (&other, signed), None).await;
        }
        self.check_log(origin)
    }

    /// The same for a checkpoint as it came in a hello; one that is not the node's own is no news.
    async fn saw_text(&self, peer: &NodeName, text: &str) {
        let directory = self.directory();
        match self.inner.proofs.checkpoint(text, log_key(&directory, peer)) {
            Ok(signed) => {
                if let Err(rejection) = self.saw(&signed).await {
                    tracing::warn!(peer = %peer, reason = %rejection, "the peer's checkpoint is not taken");
                }
            }
            Err(rejection) => {
                tracing::info!(peer = %peer, reason = %rejection, "the peer's checkpoint cannot be read");
            }
        }
    }

    /// What two nodes say of their logs when they say hello: the peer's own newest checkpoint, and what it has of this
    /// node's.
    pub async fn greeted(&self, peer: &NodeName, theirs: &str, ours: &HeldOf) {
        self.recovery().nudge();
        for text in [&ours.held, &ours.newest] {
            if !text.is_empty() {
                self.is_held(peer, text);
            }
        }
        if !theirs.is_empty() {
            self.saw_text(peer, theirs).await;
        }
    }

    /// What this node has of the log that a node writes now, for a hello.
    pub fn held_of(&self, peer: &NodeName) -> HeldOf {
        let directory = self.directory();
        let Some(key) = directory.node(peer).and_then(current_log) else { return HeldOf::default() };
        let logs = self.witness().logs();
        let Some(log) = logs.get(key.name()) else { return HeldOf::default() };
        let note =
            |signed: Option<&SignedCheckpoint>| signed.map_or_else(String::new, |s| s.note().to_owned());
        // Of two histories nobody knows here which one the newest is of.
        let newest = log.view.largest().filter(|_| log.cut.is_none());
        let held = log.view.held();
        HeldOf { held: note(held), newest: note(newest.filter(|newest| Some(*newest) != held)) }
    }

    /// The newest checkpoint that this node holds of an earlier log of another, or else one that came and was never
    /// connected: which of two histories that one is of, nobody knows here. Empty where it has none.
    pub fn held_lost(&self, peer: &NodeName, log: &str) -> String {
        let logs = self.witness().logs();
        let Some(log) = logs.get(log).filter(|l| l.peer == *peer) else { return String::new() };
        let newest = log.view.held().or(log.view.largest().filter(|_| log.cut.is_none()));
        newest.map_or_else(String::new, |newest| newest.note().to_owned())
    }

    /// Two checkpoints of a log cannot both be true: exchange stops, the proof is kept, the alarm recorded.
    async fn forked(
        &self,
        peer: &NodeName,
        (one, other): (&SignedCheckpoint, &SignedCheckpoint),
        prefix: Option<(&Hash, &[Hash])>,
    ) {
        let mut pair = [one, other];
        pair.sort_by_key(|c| c.checkpoint().size);
        let [older, newer] = pair;
        let log = older.checkpoint().origin.clone();
        let (a, b) = (older.checkpoint(), newer.checkpoint());
        let why = if a.size == b.size {
            format!("its key signed roots {} and {} for {} events", a.root, b.root, a.size)
        } else {
            format!(
                "its key signed root {} for {} events, and then {} events that do not begin with these",
                a.root, a.size, b.size
            )
        };
        if !self.cut(&log, true, &why) {
            return;
        }
        let directory = self.directory();
        let key = SignedCheckpoint::parse_unverified(older.note()).ok();
        let key = key.and_then(|unverified| log_key(&directory, peer)(&unverified));
        if let (Some((files, _)), Some(key)) = (self.witness().kept.get(), key) {
            let by = (self.node(), self.ledger().now());
            let proof = ForkProof::new((older, newer), prefix, &key, &directory, by);
            let json = serde_json::to_vec_pretty(&proof).unwrap_or_default();
            match files.keep_fork(&log, &json) {
                Ok(path) => {
                    tracing::error!(log = %log, file = %path.display(), "the proof of a fork was written")
                }
                Err(error) => tracing::error!(log = %log, %error, "the proof of a fork could not be written"),
            }
        }
        self.alarm(&log).await;
    }

    /// A log's owner does not show that it grew: exchange stops until it does.
    async fn suspected(&self, log: &str, why: &str) {
        if self.cut(log, false, why) {
            self.alarm(log).await;
        }
    }

    /// Stops exchange with a log, at once; false when it was stopped for that before.
    fn cut(&self, log: &str, proven: bool, why: &str) -> bool {
        let since_ms = self.ledger().now().millis();
        let mut logs = self.witness().logs();
        let Some(entry) = logs.get_mut(log) else { return false };
        if entry.cut.as_ref().is_some_and(|cut| cut.proven || !proven) {
            return false;
        }
        tracing::error!(
            log,
            proven,
            why,
            "exchange with this log is stopped: its node's administrator must explain"
        );
        entry.cut = Some(Cut { proven, since_ms, why: why.to_owned(), alarmed: false });
        true
    }

    /// Keeps that exchange with a log is stopped, and records the alarm; one that is found before this log may be written
    /// is recorded when it may.
    async fn alarm(&self, log: &str) {
        self.keep(log);
        if !self.witness().begun.load(Ordering::Acquire) {
            return;
        }
        let cut = self.witness().logs().get(log).and_then(|l| Some((l.peer.clone(), l.cut.clone()?)));
        let Some((peer, cut)) = cut.filter(|(_, cut)| !cut.alarmed) else { return };
        let kind = EventKind::Alarm {
            reason: cut.reason().code().to_owned(),
            peer: peer.to_string(),
            detail: format!("{log}: {}", cut.why),
        };
        if let Err(error) = self.ledger().commit(Command::Note { kind }).await {
            tracing::error!(log, %error, "the alarm could not be recorded");
            return;
        }
        if let Some(cut) = self.witness().logs().get_mut(log).and_then(|l| l.cut.as_mut()) {
            cut.alarmed = true;
        }
        self.keep(log);
    }

    /// Writes what is known of a log; false where it could not be.
    fn keep(&self, log: &str) -> bool {
        let Some((files, _)) = self.witness().kept.get() else { return false };
        let kept = {
            let logs = self.witness().logs();
            let Some(entry) = logs.get(log) else { return false };
            let held = entry.view.held().map(|held| held.note().to_owned());
            Kept { log: log.to_owned(), held, cut: entry.cut.clone() }
        };
        self.write(files, &kept)
    }

    fn write(&self, files: &Files, kept: &Kept) -> bool {
        match files.keep(kept) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(log = %kept.log, %error, "what is held of a peer's log could not be written");
                false
            }
        }
    }

    /// When the newest checkpoint of this node's log was cosigned last.
    pub fn cosigned_at(&self) -> Option<Timestamp> {
        self.cosigned().iter().filter_map(Cosigned::latest).max()
    }
}

impl Log {
    fn new(peer: NodeName, view: LogView) -> Log {
        Log { peer, view, cut: None, asked: None, failures: 0, owes_since: None, busy: false }
    }
}
