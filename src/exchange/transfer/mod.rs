//! Large content on its way: from a client's system, to a peer, from a peer, to the recipient's system.
//!
//! Memory is bounded by the calls in flight ([`receiving`]), those by places ([`places`]). What breaks off is kept on
//! the disk as a *partial* and gone on with by whoever may: the same client with the same request id and the same
//! header, or the pull of the same delivery from the same peer. It is hashed again from the disk up to where it goes
//! on, so that nothing is taken for verified that was not. One that nobody goes on with expires; an owner has so many
//! of them, of so many bytes in all, and loses the oldest first. When a second call goes on with a transfer that still
//! seems under way, the first ends: its connection is dead more often than not, and this node has not noticed.

pub(crate) mod places;
mod pull;
mod receiving;
mod serve;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::Exchange;
use super::pressure::{Pledge, Pressure, Wants};
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::storage;
use crate::merkle::{Hash, sha256};
use crate::signature::{DigestNeeds, Digests, Hasher};
use crate::store::content::partial::{Found, Head, Mark, Partial};
use crate::store::{StoreError, content};
use places::Places;
pub(crate) use pull::pull_id;
use receiving::{Fate, Kept, Position};
pub(crate) use receiving::{Receiving, is_small};

/// How long a call waits for the one that it takes a transfer over from.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// How long the answer about a transfer waits for the call that is at it to end: a client asks when its own broke.
const SETTLE: Duration = Duration::from_millis(500);
/// How often a node looks for what expired.
const LOOK: Duration = Duration::from_secs(600);
/// The most marks of one transfer, so that their file stays small.
const MARKS: u64 = 1_000;

/// Content that is expected.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Bytes.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
    /// Which digests its signatures need.
    pub needs: DigestNeeds,
}

impl Wanted {
    fn check(&self, part: usize, digests: &Digests) -> Result<(), Rejection> {
        let found = Hash(digests.sha256);
        if found == self.sha256 {
            return Ok(());
        }
        Err(Rejection::new(
            Reason::ContentMismatch,
            format!("parts[{part}].sha256"),
            format!(
                "the {} bytes have SHA-256 {found}, the header says {}: send it again from the beginning",
                self.size, self.sha256
            ),
        ))
    }
}

/// Which transfer it is.
#[derive(Debug, Clone)]
pub(crate) struct TransferId {
    name: Hash,
    owner: String,
    fingerprint: Hash,
    /// It is of use to one call only, and not kept.
    once: bool,
}

impl TransferId {
    /// An upload: by client, sender and request. `header` is the digest of what was announced.
    pub fn upload(client: &str, sender: &str, request: &str, header: Hash) -> TransferId {
        let owner = format!("client {client}");
        TransferId {
            name: name(&["upload", client, sender, request]),
            owner,
            fingerprint: header,
            once: false,
        }
    }

    /// A pull: by peer and delivery.
    pub fn pull(peer: &str, delivery: &str, envelope: Hash) -> TransferId {
        let owner = format!("node {peer}");
        TransferId { name: name(&["pull", peer, delivery]), owner, fingerprint: envelope, once: false }
    }

    /// An upload that is only checked.
    pub fn check(client: &str, sender: &str, request: &str, header: Hash) -> TransferId {
        let upload = TransferId::upload(client, sender, request, header);
        TransferId { name: name(&["check", client, sender, request]), once: true, ..upload }
    }
}

/// No two lists of texts give the same name.
fn name(texts: &[&str]) -> Hash {
    let mut bytes = b"lienthong/partial/1".to_vec();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    sha256(&bytes)
}

/// Where a transfer goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resume {
    /// At this byte of all parts, which must be durable; 0 begins anew.
    At(u64),
    /// Wherever it stands.
    Newest,
}

/// A partial that is there.
struct Known {
    owner: String,
    fingerprint: Hash,
    announced: u64,
    durable: u64,
    /// When its newest mark was written, in milliseconds since 1970.
    touched: i64,
    /// Room for what is to come: from the beginning on, and for a while after it broke off.
    room: Option<Arc<Pledge>>,
    /// Who holds it may write.
    right: Arc<tokio::sync::Mutex<()>>,
    /// Ends the call that is at it.
    cancel: watch::Sender<bool>,
}

/// The partials of this node.
#[derive(Default)]
pub(crate) struct Registry {
    known: Mutex<HashMap<Hash, Known>>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Known>> {
        self.known.lock().expect("no holder of this lock panics")
    }

    fn marked(&self, name: &Hash, durable: u64, at: i64) {
        if let Some(known) = self.lock().get_mut(name) {
            (known.durable, known.touched) = (durable, at);
        }
    }

    fn forget(&self, name: &Hash) {
        self.lock().remove(name);
    }
}

/// What transfers share.
pub(crate) struct Transfers {
    pub(crate) registry: Registry,
    /// Threads that hash and write at once.
    pub(crate) threads: Semaphore,
    /// Threads that read at once; apart, so that reading waits for no sync.
    pub(crate) readers: Semaphore,
    pub(crate) places: Places,
}

impl Transfers {
    /// With what was there at opening.
    pub fn new(found: Vec<Found>, pressure: &Pressure) -> Transfers {
        let registry = Registry::default();
        registry.lock().extend(found.into_iter().map(|f| {
            let (announced, durable) = (f.head.total(), f.mark.total(&f.head.sizes));
            let room = Arc::new(pressure.keep(announced.saturating_sub(durable)));
            let known = Known { durable, ..known(f.head.owner, f.head.fingerprint, announced, f.mark.at) };
            (f.name, Known { room: Some(room), ..known })
        }));
        let threads = || Semaphore::new(limits::TRANSFER_THREADS);
        Transfers { registry, threads: threads(), readers: threads(), places: Places::default() }
    }
}

fn known(owner: String, fingerprint: Hash, announced: u64, touched: i64) -> Known {
    let cancel = watch::Sender::new(false);
    Known { owner, fingerprint, announced, durable: 0, touched, room: None, right: Arc::default(), cancel }
}

fn bad_offset(asked: u64, durable: u64) -> Rejection {
    Rejection::new(
        Reason::BadOffset,
        "resume_offset",
        format!(
            "{asked} is not among the {durable} bytes of this upload that are durable here: ask GetUpload, and go \
             on there or from 0"
        ),
    )
}

impl Exchange {
    /// Content that goes to the disk, from where it may go on.
    pub(crate) async fn receive(
        &self,
        id: TransferId,
        wanted: Arc<[Wanted]>,
        from: Resume,
    ) -> Result<Receiving, Rejection> {
        let registry = &self.inner.transfers.registry;
        let head = Head {
            owner: id.owner.clone(),
            fingerprint: id.fingerprint,
            sizes: wanted.iter().map(|w| w.size).collect(),
        };
        loop {
            self.expire();
            let right = {
                let mut all = registry.lock();
                match all.get(&id.name) {
                    Some(known) if known.fingerprint != id.fingerprint && matches!(from, Resume::At(_)) => {
                        return Err(Rejection::new(
                            Reason::RequestIdReused,
                            "request_id",
                            "an upload with other metadata, recipients or parts goes by this request id: go on with \
                             that one, or use another id",
                        ));
                    }
                    // Another envelope of the same delivery: what was begun is not that.
                    Some(_) => {}
                    None => {
                        if let Resume::At(asked @ 1..) = from {
                            return Err(bad_offset(asked, 0));
                        }
                        // What is only checked does not stay.
                        let wants = (!id.once).then_some(Wants::Document(head.total()));
                        let room = wants.map(|wants| self.pressure().admit(wants)).transpose()?;
                        self.make_room(&mut all, &id.owner, head.total())?;
                        let now = self.ledger().now().millis();
                        let known = known(id.owner.clone(), id.fingerprint, head.total(), now);
                        all.insert(id.name, Known { room: room.map(Arc::new), ..known });
                    }
                }
                let known = all.get_mut(&id.name).expect("it was there, or was put there");
                let same = known.fingerprint == id.fingerprint;
                if (known.room.is_none() || !same) && !id.once {
                    known.room = None;
                    let total = head.total();
                    let rest = Wants::Rest(total.saturating_sub(known.durable));
                    let wants = if same { rest } else { Wants::Document(total) };
                    known.room = Some(Arc::new(self.pressure().admit(wants)?));
                }
                known.cancel.send_replace(true);
                known.right.clone()
            };
            let guard = tokio::time::timeout(TAKE_OVER, right.clone().lock_owned()).await.map_err(|_| {
                Rejection::new(
                    Reason::Overloaded,
                    "",
                    format!(
                        "an earlier call with this content does not end within {} s",
                        TAKE_OVER.as_secs()
                    ),
                )
            })?;
            let (cancelled, room) = {
                let mut all = registry.lock();
                match all.get_mut(&id.name) {
                    Some(known) if Arc::ptr_eq(&known.right, &right) => {
                        known.cancel = watch::Sender::new(false);
                        (known.fingerprint, known.announced) = (id.fingerprint, head.total());
                        (known.cancel.subscribe(), known.room.clone())
                    }
                    // The call before came to its end, one way or the other.
                    _ => continue,
                }
            };
            let exchange = self.clone();
            let _place = self.inner.transfers.threads.acquire().await;
            let (name, once, wanted, head) = (id.name, id.once, wanted.clone(), head.clone());
            let opened = tokio::task::spawn_blocking(move || {
                let opened = open(&exchange, name, &head, &wanted, from);
                let (partial, position) = opened.inspect_err(|rejection| {
                    // What is durable is kept when only the caller is wrong.
                    if rejection.reason != Reason::BadOffset {
                        exchange.inner.transfers.registry.forget(&name);
                    }
                })?;
                let kept = Kept {
                    exchange,
                    partial,
                    room,
                    fate: if once { Fate::Remove } else { Fate::Keep },
                    unmarked: 0,
                    interval: limits::MARK_BYTES.max(head.total() / MARKS),
                    wanted,
                    position,
                    cancelled,
                    _guard: guard,
                };
                kept.count_room();
                Ok(kept)
            });
            let kept = opened.await.map_err(|error| {
                tracing::error!(%error, "a transfer could not be begun");
                registry.forget(&id.name);
                Rejection::new(
                    Reason::Internal,
                    "",
                    "a transfer could not be begun: this node's operator must look",
                )
            })??;
            return Receiving::kept(kept, self);
        }
    }

    /// Whether a transfer was begun and may be gone on with.
    pub(crate) fn is_under_way(&self, id: &TransferId) -> bool {
        let all = self.inner.transfers.registry.lock();
        all.get(&id.name).is_some_and(|known| known.fingerprint == id.fingerprint)
    }

    /// Content that is kept nowhere but in memory, or not at all.
    pub(crate) fn receive_small(
        &self,
        wanted: Arc<[Wanted]>,
        only_checked: bool,
    ) -> Result<Receiving, Rejection> {
        Receiving::small(self, wanted, only_checked)
    }

    /// Bytes of an upload that are durable; none of one that is not there.
    pub(crate) async fn durable(&self, client: &str, sender: &str, request: &str) -> u64 {
        self.expire();
        let id = TransferId::upload(client, sender, request, Hash([0; 32]));
        let registry = &self.inner.transfers.registry;
        let right = registry.lock().get(&id.name).map(|known| known.right.clone());
        let Some(right) = right else { return 0 };
        // A call that just broke makes its last bytes durable.
        drop(tokio::time::timeout(SETTLE, right.lock()).await);
        registry.lock().get(&id.name).map_or(0, |known| known.durable)
    }

    /// Removes what nobody went on with in time; before that, its room is given to others.
    pub(crate) fn expire(&self) {
        let keep = self.config().partial_ms;
        let now = self.ledger().now().millis();
        let mut all = self.inner.transfers.registry.lock();
        let expired: Vec<Hash> =
            all.iter().filter(|(_, known)| now - known.touched > keep).map(|(name, _)| *name).collect();
        for name in expired {
            self.drop_partial(&mut all, &name);
        }
        for known in all.values_mut().filter(|known| now - known.touched > limits::PLEDGED_MS) {
            // Who is at it keeps it.
            if known.right.try_lock().is_ok() {
                known.room = None;
            }
        }
    }

    /// Makes room for one more of this owner: the oldest that nobody is at goes first.
    fn make_room(&self, all: &mut HashMap<Hash, Known>, owner: &str, bytes: u64) -> Result<(), Rejection> {
        loop {
            let mut own: Vec<(i64, Hash, u64)> = all
                .iter()
                .filter(|(_, known)| known.owner == owner)
                .map(|(name, known)| (known.touched, *name, known.announced))
                .collect();
            let announced = own.iter().fold(bytes, |n, (_, _, more)| n.saturating_add(*more));
            let allowed = self.config().partial_bytes;
            let fits = announced <= allowed || own.is_empty();
            if own.len() < limits::PARTIALS && fits {
                return Ok(());
            }
            own.sort_unstable();
            if !own.iter().any(|(_, name, _)| self.drop_partial(all, name)) {
                return Err(Rejection::new(
                    Reason::Overloaded,
                    "",
                    format!(
                        "{} large transfers of {owner} are under way, of {announced} bytes with this one: at most {} \
                         of {allowed} bytes are taken at once; try again when one has ended",
                        own.len(),
                        limits::PARTIALS
                    ),
                ));
            }
        }
    }

    /// Removes a partial that nobody is at; says whether it does. Its files go on a thread that may wait for the disk,
    /// and nobody begins another of its name before.
    fn drop_partial(&self, all: &mut HashMap<Hash, Known>, name: &Hash) -> bool {
        let Some(known) = all.get_mut(name) else { return false };
        let Ok(right) = known.right.clone().try_lock_owned() else { return false };
        (known.owner, known.announced, known.durable) = (String::new(), 0, 0);
        known.room = None;
        let (exchange, name) = (self.clone(), *name);
        let remove = move || {
            if let Err(error) = exchange.ledger().content().remove_partial(&name) {
                tracing::warn!(%error, "what came of a transfer is removed at the next start");
            }
            exchange.inner.transfers.registry.forget(&name);
            drop(right);
        };
        drop(tokio::task::spawn_blocking(remove));
        true
    }
}

/// Removes what expired, until the node stops.
pub(crate) async fn watch(exchange: Exchange, mut stop: watch::Receiver<bool>) {
    loop {
        exchange.expire();
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// Opens a partial and hashes what is there up to where it goes on; begins anew where nothing is.
fn open(
    exchange: &Exchange,
    name: Hash,
    head: &Head,
    wanted: &[Wanted],
    from: Resume,
) -> Result<(Partial, Position), Rejection> {
    let content = exchange.ledger().content();
    let store = |e: StoreError| storage(&e);
    let found = match from {
        Resume::At(0) => None,
        _ => content.open_partial(name).map_err(store)?.filter(|(_, kept, _)| kept == head),
    };
    let Some((mut partial, _, mark)) = found else {
        if let Resume::At(asked @ 1..) = from {
            exchange.inner.transfers.registry.forget(&name);
            return Err(bad_offset(asked, 0));
        }
        let now = exchange.ledger().now().millis();
        let partial = content.begin_partial(name, head, now).map_err(store)?;
        exchange.inner.transfers.registry.marked(&name, 0, now);
        return Ok((partial, Position::start(wanted)));
    };
    let durable = mark.total(&head.sizes);
    let target = match from {
        Resume::At(asked) if asked > durable => return Err(bad_offset(asked, durable)),
        Resume::At(asked) => asked,
        Resume::Newest => durable,
    };
    match hash_again(content, &partial, wanted, &mark, target).map_err(store)? {
        Some(position) => {
            if target < durable {
                // What lies behind is going to be written over.
                let at = exchange.ledger().now().millis();
                let prefix = Hash(position.hasher.sha256_so_far());
                let back = Mark { at, part: position.part as u32, offset: position.seen, prefix };
                partial.mark(&back).map_err(store)?;
                exchange.inner.transfers.registry.marked(&name, target, at);
            }
            Ok((partial, position))
        }
        None => {
            tracing::warn!(%name, durable, "what is on the disk of a transfer is not what came: it begins anew");
            content.remove_partial(&name).map_err(store)?;
            match from {
                Resume::At(_) => Err(Rejection::new(
                    Reason::BadOffset,
                    "resume_offset",
                    "what this node kept of the upload does not hold any more: begin again from 0",
                ))
                .inspect_err(|_| exchange.inner.transfers.registry.forget(&name)),
                Resume::Newest => {
                    let now = exchange.ledger().now().millis();
                    let partial = content.begin_partial(name, head, now).map_err(store)?;
                    exchange.inner.transfers.registry.marked(&name, 0, now);
                    Ok((partial, Position::start(wanted)))
                }
            }
        }
    }
}

/// Part and byte of it at a byte of all parts; parts that end there are over.
fn place(wanted: &[Wanted], mut byte: u64) -> (usize, u64) {
    let mut part = 0;
    while let Some(w) = wanted.get(part).filter(|w| w.size <= byte) {
        byte -= w.size;
        part += 1;
    }
    (part, byte)
}

/// Hashes what a partial has, up to its mark; where `target` is, if all is as the mark says.
fn hash_again(
    content: &content::ContentStore,
    partial: &Partial,
    wanted: &[Wanted],
    mark: &Mark,
    target: u64,
) -> Result<Option<Position>, StoreError> {
    let target = place(wanted, target);
    let mut digests = Vec::new();
    let mut found = None;
    let mut buffer = vec![0; limits::CHUNK_BYTES];
    for (i, part) in wanted.iter().enumerate().take(mark.part as usize + 1) {
        let end = if i < mark.part as usize { part.size } else { mark.offset };
        let mut hasher = Hasher::new(part.needs);
        let mut seen = 0;
        loop {
            if (i, seen) == target {
                let digests = digests.clone();
                found = Some(Position { part: i, seen, hasher: hasher.clone(), digests });
            }
            if seen == end {
                break;
            }
            let stop = if i == target.0 && seen < target.1 { target.1.min(end) } else { end };
            let n = (stop - seen).min(buffer.len() as u64) as usize;
            if partial.read(i as u32, seen, &mut buffer[..n])?.is_none() {
                // Taken in already: it is in the store, and only the end of everything goes on from there.
                let whole = content.reader(&part.sha256)?.filter(|_| target.0 != i);
                let Some(piece) = whole.map(|reader| reader.piece(seen, n)).transpose()? else {
                    return Ok(None);
                };
                if piece.len() != n {
                    return Ok(None);
                }
                buffer[..n].copy_from_slice(&piece);
            }
            hasher.update(&buffer[..n]);
            seen += n as u64;
        }
        if i < mark.part as usize {
            let whole = hasher.finish();
            if Hash(whole.sha256) != part.sha256 {
                return Ok(None);
            }
            digests.push(whole);
        } else if Hash(hasher.sha256_so_far()) != mark.prefix {
            return Ok(None);
        }
    }
    if target.0 == wanted.len() {
        let hasher = Hasher::new(DigestNeeds::SHA256);
        found = Some(Position { part: target.0, seen: 0, hasher, digests });
    }
    Ok(found)
}
