//! A log as a busy node has it: documents to and from many agencies, with all that follows, a few events to a commit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lienthong::audit::Offline;
use lienthong::domain::decide::{Arrival, Command, Prepared};
use lienthong::domain::event::{Actor, Item, LogRef, NoticeFacts, RoleVerdicts, Subject};
use lienthong::domain::ids::{DeliveryId, RequestId};
use lienthong::domain::{DeliveryState, Kind, Status};
use lienthong::ledger::LedgerError;
use lienthong::merkle::sha256;
use lienthong::store::disk::{Disk, DiskFile, RealDisk};
use lienthong::time::Timestamp;

use crate::harness::{START, accept, agency, close, item, runtime, signer, submit, try_open_with};

/// The real disk, without syncs: the log is for reading.
struct NoSync;
struct File(Arc<dyn DiskFile>);

impl DiskFile for File {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(data, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}

impl Disk for NoSync {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(File(RealDisk.create(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(File(RealDisk.open(path)?)))
    }
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
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

fn actor(name: &str) -> Actor {
    Actor { client: name.into(), user: String::new() }
}

fn their_event(number: u32) -> LogRef {
    LogRef { log: "b/log/1".into(), index: number.into(), leaf_hash: sha256(&number.to_be_bytes()) }
}

/// Status 01 about a document that `from` received from `to`.
fn arrived(from: &str, to: &str, number: u32, target: DeliveryId) -> Item {
    let document = item(from, to, number);
    Item {
        delivery_id: DeliveryId::of_notice(&agency(from), Kind::Status.number(), &target, 1, &agency(to)),
        envelope_digest: sha256(&[target.as_bytes().as_slice(), b"01"].concat()),
        attempt: 1,
        subject: Subject::Notice(NoticeFacts {
            kind: Kind::Status,
            target,
            message_number: 1,
            status: Some(Status::Arrived),
            out_of_order: false,
            sent_at: Timestamp::from_millis(START),
            stated: None,
            answers: None,
            after_end: false,
        }),
        ..document
    }
}

/// A document to another node that is settled and acknowledged, and one from it that is opened and acknowledged: eight
/// events, each after what it follows from.
fn steps(number: u32) -> Vec<Command> {
    let (ours, theirs) = (format!("here-{}", number % 200), format!("there-{}", number % 97));
    let out = item(&ours, &theirs, number);
    let came = item(&theirs, &ours, number);
    let Command::Submit { actor: dms, mut deliveries, .. } = submit(number, &[]) else { unreachable!() };
    deliveries[0].item = out.clone();
    let Command::Accept { arrival, .. } = accept(number, &[]) else { unreachable!() };
    let arrival = Arrival { item: came.clone(), held: false, ..*arrival };
    let settle = |id, receipt: u32| Command::Settle {
        delivery_id: id,
        outcome: DeliveryState::Delivered,
        reason: None,
        receipt: their_event(receipt),
        receipt_proof: sha256(&receipt.to_le_bytes()),
        verdicts: RoleVerdicts::ABSENT,
        received_at: Timestamp::from_millis(START),
    };
    let acknowledged = arrived(&ours, &theirs, number, came.delivery_id);
    let answer = acknowledged.delivery_id;
    let status = arrived(&theirs, &ours, number, out.delivery_id);
    let status = Arrival { item: status, origin: their_event(number), ..arrival.clone() };
    let handed = Prepared { item: acknowledged, ..deliveries[0].clone() };
    vec![
        Command::Submit {
            actor: dms.clone(),
            request_id: RequestId::new(&format!("r-{number}")).unwrap(),
            deliveries,
        },
        Command::Accept { actor: actor("b"), arrival: Box::new(arrival) },
        settle(out.delivery_id, number),
        Command::Fetch { actor: dms.clone(), agency: agency(&ours), delivery_id: came.delivery_id },
        Command::HandOver {
            actor: dms,
            agency: agency(&ours),
            delivery_id: came.delivery_id,
            arrived: Some(Box::new(handed)),
        },
        Command::Accept { actor: actor("b"), arrival: Box::new(status) },
        settle(answer, number),
    ]
}

/// Writes a log of at least `events` events, about `together` to a commit.
fn write(data: &Path, events: u64, together: u32) {
    let runtime = runtime();
    let (ledger, _) = try_open_with(data, Arc::new(NoSync), 64 << 20).unwrap();
    let mut number = 0;
    while ledger.snapshot().size() < events {
        // A few documents at once, step by step.
        let group: Vec<Vec<Command>> = (number..number + together).map(steps).collect();
        number += together;
        for step in 0..group[0].len() {
            let commits = group.iter().map(|steps| ledger.commit(steps[step].clone()));
            for committed in runtime.block_on(all(commits)) {
                committed.unwrap_or_else(|e: LedgerError| panic!("document {number}, step {step}: {e}"));
            }
        }
    }
    close(&runtime, ledger, data, true);
}

async fn all<T: Send + 'static>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pinned.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn a_log_of_every_step_checks_clean() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 400, 3);
    let checked = Offline::open(dir.path()).unwrap().check(signer().verifier(), |_| {}).unwrap();
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    assert!(checked.events >= 400);
}

/// For run.sh: writes a log of `LIENTHONG_CHECK_EVENTS` events to `LIENTHONG_CHECK_DATA`, `LIENTHONG_CHECK_TOGETHER`
/// (3) documents at once, and prints its key.
#[test]
#[ignore = "writes the log that run.sh measures"]
fn write_a_long_log() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let data = PathBuf::from(std::env::var("LIENTHONG_CHECK_DATA").unwrap());
    write(&data, number("LIENTHONG_CHECK_EVENTS", 1_000_000), number("LIENTHONG_CHECK_TOGETHER", 3) as u32);
    println!("key {}", signer().verifier());
}
