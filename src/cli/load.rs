//! `lienthong load`: a measured load with its limit beside it.
//!
//! Two nodes as separate processes, and the client here. The documents are distinct and signed before the clock
//! starts. A document is done when the sender's system is told of the receipt that its node verified; every answer
//! comes after its fsync. The **limit** is what all cores do, in the same run, when they run only ring's bare signature
//! checks and the SHA-256 of the same documents, halved, because each document is verified twice. The **share** is the
//! rate by the limit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::network::{self, Network, Plan};
use super::{CliError, Format, Outcome, note, out, pki};
use crate::directory::build::AgencyLine;
use crate::domain::NodeName;
use crate::domain::event::Level;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::sha256;
use crate::rpc::client::NodeClient;
use crate::wire::{pb, words};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// 10 KiB, one detached CAdES with P-256 (the agency's).
    CadesP256,
    /// 10 KiB, person and agency, RSA-2048.
    CadesRsa,
    /// 1 KiB, unsigned.
    Status,
    /// As cades-p256, one at a time.
    Single,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong load --workload cades-p256 --in-flight 256 --format json")]
pub struct LoadArgs {
    /// What is sent.
    #[arg(long, value_enum, default_value = "cades-p256")]
    workload: Workload,
    /// Documents on their way at once.
    #[arg(long, default_value_t = 256)]
    in_flight: usize,
    /// Documents.
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Workload {
    fn size(self) -> usize {
        if self == Workload::Status { 1024 } else { 10 * 1024 }
    }

    fn signatures(self) -> usize {
        match self {
            Workload::CadesP256 | Workload::Single => 1,
            Workload::CadesRsa => 2,
            Workload::Status => 0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Workload::CadesP256 => "cades-p256",
            Workload::CadesRsa => "cades-rsa",
            Workload::Status => "status",
            Workload::Single => "single",
        }
    }
}

const SENDER: &str = "A";
const RECIPIENT: &str = "B";

/// Runs the command.
pub async fn run(args: LoadArgs) -> Result<Outcome, CliError> {
    let count = args.count.max(1);
    let in_flight = if args.workload == Workload::Single { 1 } else { args.in_flight.max(1) };
    let folder = tempfile::tempdir().map_err(|e| CliError::failed(format!("no temporary folder: {e}")))?;
    let network = make(folder.path(), args.workload)?;
    note(format!("signing {count} documents …"));
    let documents = sign(&network, args.workload, count)?;
    note("measuring the limit: bare signature checks and SHA-256 on all cores …");
    let limit = limit(args.workload, &documents)?;
    note("starting two nodes …");
    let mut nodes = start(&network).await?;
    note(format!("sending, {in_flight} in flight …"));
    let measured = drive(&network, documents, in_flight).await;
    let usage: Vec<(String, Usage)> =
        nodes.iter().map(|(name, n)| (name.clone(), Usage::of(n.id()))).collect();
    for (_, node) in &mut nodes {
        let _ = node.start_kill();
        let _ = node.wait().await;
    }
    let (elapsed, mut times) = measured?;
    times.sort_unstable();
    let rate = count as f64 / elapsed.as_secs_f64();
    // Nothing to verify: the share has no meaning.
    let share = if args.workload == Workload::Status { None } else { Some(rate / limit) };
    print(&args, count, in_flight, rate, limit, share, &times, &usage);
    Ok(Outcome::Done)
}

fn at(sorted: &[Duration], per_mille: usize) -> f64 {
    let i = (sorted.len() * per_mille).div_ceil(1000).saturating_sub(1);
    sorted.get(i).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
}

#[expect(clippy::too_many_arguments, reason = "the figures of one run, printed once")]
fn print(
    args: &LoadArgs,
    count: usize,
    in_flight: usize,
    rate: f64,
    limit: f64,
    share: Option<f64>,
    times: &[Duration],
    usage: &[(String, Usage)],
) {
    let round = |x: f64| (x * 100.0).round() / 100.0;
    if args.format == Format::Json {
        let nodes: Vec<_> = usage
            .iter()
            .map(|(name, u)| {
                json!({"name": name, "cpu_us_per_document": round(u.cpu.as_secs_f64() * 1e6 / count as f64),
                    "peak_rss_mib": u.peak_kib / 1024, "bytes_written_per_document": u.written / count as u64})
            })
            .collect();
        return out(json!({
            "workload": args.workload.name(), "documents": count, "in_flight": in_flight,
            "documents_per_second": round(rate), "limit_per_second": round(limit),
            "share": share.map(|s| (s * 1000.0).round() / 1000.0), "p50_ms": round(at(times, 500)),
            "p99_ms": round(at(times, 990)), "p999_ms": round(at(times, 999)), "nodes": nodes,
        }));
    }
    out(format!("{}: {count} documents, {in_flight} in flight", args.workload.name()));
    out(format!("  rate   {rate:>10.0} documents/s"));
    if let Some(share) = share {
        out(format!("  limit  {limit:>10.0} documents/s (bare checks and SHA-256 on all cores, halved)"));
        out(format!("  share  {share:>10.3}"));
    }
    out(format!(
        "  from send to verified receipt: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
        at(times, 500),
        at(times, 990),
        at(times, 999)
    ));
    for (name, u) in usage {
        out(format!(
            "  node {name}: {:.0} µs CPU and {} bytes written a document, {} MiB at its peak",
            u.cpu.as_secs_f64() * 1e6 / count as f64,
            u.written / count as u64,
            u.peak_kib / 1024
        ));
    }
}

/// What a process used so far, as the operating system says.
#[derive(Debug, Default)]
struct Usage {
    cpu: Duration,
    peak_kib: u64,
    written: u64,
}

impl Usage {
    fn of(pid: Option<u32>) -> Usage {
        let Some(pid) = pid else { return Usage::default() };
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let field = |text: &str, name: &str| -> u64 {
            text.lines()
                .find_map(|l| l.strip_prefix(name))
                .and_then(|v| v.split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        // After the command's name in parentheses, user and system time are the 12th and 13th, in 1/100 s.
        let stat = read("stat");
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        Usage {
            cpu: Duration::from_millis(ticks * 10),
            peak_kib: field(&read("status"), "VmHWM:"),
            written: field(&read("io"), "write_bytes:"),
        }
    }
}

fn make(dir: &Path, workload: Workload) -> Result<Network, CliError> {
    let line = |code: &str, node: &str| AgencyLine {
        code: code.to_owned(),
        legacy_code: String::new(),
        name: format!("Agency {code}"),
        level: Level::Province,
        parent: String::new(),
        node: node.to_owned(),
    };
    let agencies = [line(SENDER, "one"), line(RECIPIENT, "two")];
    let mut addresses = BTreeMap::new();
    for node in network::nodes_of(&agencies)? {
        addresses.insert(node, (free_port()?, free_port()?));
    }
    network::make(&Plan {
        network: "load",
        dir,
        agencies: &agencies,
        addresses: &addresses,
        unreachable: &BTreeSet::new(),
        issued_at: SystemClock.now(),
        validity: pki::Validity::default(),
        rsa: workload == Workload::CadesRsa,
        write_document_keys: false,
        persons: &BTreeSet::from([SENDER.to_owned()]),
        extra: &Default::default(),
    })
}

fn free_port() -> Result<SocketAddr, CliError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    std::net::TcpListener::bind(any).and_then(|l| l.local_addr()).map_err(CliError::failed)
}

/// Distinct documents with their signatures.
fn sign(network: &Network, workload: Workload, count: usize) -> Result<Vec<pb::SendManyRequest>, CliError> {
    let now = SystemClock.now();
    let signers = &network.signers;
    let mut out = Vec::with_capacity(count);
    for n in 0..count {
        let mut data = vec![0u8; workload.size()];
        let seed = sha256(&(n as u64).to_be_bytes());
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = seed.as_bytes()[i % 32] ^ (i / 32) as u8;
        }
        let digest = sha256(&data);
        let mut signatures: Vec<bytes::Bytes> = Vec::new();
        let used = [signers.seal(SENDER), signers.person(SENDER)];
        for signer in used.into_iter().flatten().take(workload.signatures()) {
            signatures.push(signer.sign_detached(digest.as_bytes(), now).map_err(CliError::failed)?.into());
        }
        let header = pb::SendHeader {
            request_id: format!("load-{n}"),
            sender: SENDER.to_owned(),
            recipients: vec![RECIPIENT.to_owned()],
            kind: pb::Kind::New.into(),
            metadata: Some(pb::Metadata {
                number: n.to_string(),
                notation: "LOAD".to_owned(),
                issued_on: now.date().to_string(),
                type_name: "công văn".to_owned(),
                subject: format!("Document {n} of a load"),
                ..pb::Metadata::default()
            }),
            parts: vec![pb::PartUpload {
                name: "document.bin".to_owned(),
                media_type: "application/octet-stream".to_owned(),
                size: data.len() as u64,
                sha256: words::digest(&digest),
                role: pb::PartRole::Main.into(),
                signatures,
            }],
            ..pb::SendHeader::default()
        };
        out.push(pb::SendManyRequest { header: Some(header), data: data.into() });
    }
    Ok(out)
}

/// A bare signature check of one distinct message.
enum Bare {
    Ecdsa(Vec<u8>),
    Rsa(Vec<u8>),
}

/// Documents per second that all cores could verify twice if they did nothing else.
fn limit(workload: Workload, documents: &[pb::SendManyRequest]) -> Result<f64, CliError> {
    let sample = documents.len().min(10_000);
    let random = SystemRandom::new();
    let rejected = |_| CliError::failed("ring refused a key of its own");
    let mut messages: Vec<(Vec<u8>, Vec<Bare>)> = Vec::with_capacity(sample);
    let ecdsa_der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        .map_err(|_| CliError::failed("no random bytes"))?;
    let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, ecdsa_der.as_ref(), &random)
        .map_err(rejected)?;
    let rsa = if workload == Workload::CadesRsa { Some(rsa_key()?) } else { None };
    for n in 0..sample {
        // About as long as the signed attributes that a CAdES signature covers.
        let mut message = vec![0; 160];
        message[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let mut checks = Vec::new();
        for _ in 0..workload.signatures() {
            checks.push(match &rsa {
                None => Bare::Ecdsa(
                    ecdsa.sign(&random, &message).map_err(|_| CliError::failed("signing"))?.as_ref().to_vec(),
                ),
                Some(key) => {
                    let mut signature = vec![0; key.public().modulus_len()];
                    key.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature)
                        .map_err(|_| CliError::failed("signing"))?;
                    Bare::Rsa(signature)
                }
            });
        }
        messages.push((message, checks));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ecdsa_public = ecdsa.public_key().as_ref().to_vec();
    let rsa_public = rsa.as_ref().map(|k| k.public().as_ref().to_vec()).unwrap_or_default();
    let started = Instant::now();
    let failures: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| {
                let (messages, ecdsa_public, rsa_public) = (&messages, &ecdsa_public, &rsa_public);
                scope.spawn(move || {
                    let ecdsa = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, ecdsa_public);
                    let rsa = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa_public);
                    let mut failed = 0;
                    for n in (core..messages.len()).step_by(cores) {
                        let (message, checks) = &messages[n];
                        for check in checks {
                            let held = match check {
                                Bare::Ecdsa(signature) => ecdsa.verify(message, signature),
                                Bare::Rsa(signature) => rsa.verify(message, signature),
                            };
                            failed += usize::from(held.is_err());
                        }
                        std::hint::black_box(sha256(&documents[n].data));
                    }
                    failed
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap_or(1)).sum()
    });
    if failures > 0 {
        return Err(CliError::failed(format!("{failures} bare checks failed")));
    }
    Ok(sample as f64 / started.elapsed().as_secs_f64() / 2.0)
}

fn rsa_key() -> Result<RsaKeyPair, CliError> {
    use rsa::pkcs8::EncodePrivateKey as _;
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).map_err(CliError::failed)?;
    let der = key.to_pkcs8_der().map_err(CliError::failed)?;
    RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(CliError::failed)
}

/// Starts every node as a process of its own and waits until it answers.
async fn start(network: &Network) -> Result<Vec<(String, tokio::process::Child)>, CliError> {
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let mut nodes = Vec::new();
    for name in network.nodes.keys() {
        let child = tokio::process::Command::new(&program)
            .args(["serve", "--config"])
            .arg(network.dir.join(name.as_str()).join("lienthong.toml"))
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(CliError::failed)?;
        nodes.push((name.to_string(), child));
    }
    for name in network.nodes.keys() {
        connect(network, name).await?;
    }
    Ok(nodes)
}

async fn connect(network: &Network, node: &NodeName) -> Result<NodeClient, CliError> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match network.connect(node, "dms").await {
            Ok(client) => return Ok(client),
            Err(e) if Instant::now() > deadline => return Err(CliError::failed(e)),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[derive(Default)]
struct Times {
    sent: HashMap<String, Instant>,
    by_delivery: HashMap<Vec<u8>, Instant>,
    early: HashMap<Vec<u8>, Instant>,
    done: Vec<Duration>,
    error: Option<String>,
}

/// Sends everything, and returns how long it took and each document's time to its receipt.
async fn drive(
    network: &Network,
    documents: Vec<pb::SendManyRequest>,
    in_flight: usize,
) -> Result<(Duration, Vec<Duration>), CliError> {
    let count = documents.len();
    let sender = network.nodes.keys().next().ok_or_else(|| CliError::failed("no node"))?.clone();
    let client = connect(network, &sender).await?;
    let times = Arc::new(Mutex::new(Times::default()));
    let places = Arc::new(Semaphore::new(in_flight));
    let finished = Arc::new(tokio::sync::Notify::new());

    let watch = pb::WatchRequest { agencies: vec![SENDER.to_owned()], ..pb::WatchRequest::default() };
    let mut items = client.exchange().watch(watch).await?.into_inner();
    let watching = {
        let (times, places, finished) = (times.clone(), places.clone(), finished.clone());
        tokio::spawn(async move {
            while let Ok(Some(item)) = items.message().await {
                let now = Instant::now();
                let mut times = times.lock().expect("no holder of this lock panics");
                if item.kind() != pb::WatchKind::Delivered {
                    times
                        .error
                        .get_or_insert_with(|| format!("{}: {}", item.kind().as_str_name(), item.reason));
                    finished.notify_one();
                    return;
                }
                match times.by_delivery.remove(item.delivery_id.as_ref()) {
                    Some(at) => times.done.push(now.duration_since(at)),
                    None => {
                        times.early.insert(item.delivery_id.to_vec(), now);
                    }
                }
                places.add_permits(1);
                if times.done.len() == count {
                    finished.notify_one();
                }
            }
        })
    };
    let (requests, receiver) = mpsc::channel(64);
    let mut answers = client.exchange().send_many(ReceiverStream::new(receiver)).await?.into_inner();
    let started = Instant::now();
    let sending = {
        let (times, places) = (times.clone(), places.clone());
        tokio::spawn(async move {
            for document in documents {
                match places.acquire().await {
                    Ok(place) => place.forget(),
                    Err(_) => return,
                }
                let id = document.header.as_ref().map_or_else(String::new, |h| h.request_id.clone());
                times.lock().expect("no holder of this lock panics").sent.insert(id, Instant::now());
                if requests.send(document).await.is_err() {
                    return;
                }
            }
        })
    };
    let answering = {
        let (times, finished) = (times.clone(), finished.clone());
        tokio::spawn(async move {
            while let Ok(Some(answer)) = answers.message().await {
                let mut times = times.lock().expect("no holder of this lock panics");
                let sent = times.sent.remove(&answer.request_id);
                match (answer.outcome, sent) {
                    (Some(pb::send_many_response::Outcome::Sent(response)), Some(at)) => {
                        for result in response.results {
                            let id = result.delivery_id.to_vec();
                            match times.early.remove(&id) {
                                Some(done) => times.done.push(done.duration_since(at)),
                                None => {
                                    times.by_delivery.insert(id, at);
                                }
                            }
                        }
                    }
                    (outcome, _) => {
                        times.error.get_or_insert_with(|| format!("{}: {outcome:?}", answer.request_id));
                        finished.notify_one();
                        return;
                    }
                }
                if times.done.len() == count {
                    finished.notify_one();
                }
            }
        })
    };
    let waited = tokio::time::timeout(Duration::from_secs(600), finished.notified()).await;
    let elapsed = started.elapsed();
    for task in [watching, sending, answering] {
        task.abort();
    }
    let mut times = times.lock().expect("no holder of this lock panics");
    if let Some(error) = times.error.take() {
        return Err(CliError::failed(error));
    }
    if waited.is_err() {
        return Err(CliError::failed(format!(
            "{} of {count} documents were done after 600 s",
            times.done.len()
        )));
    }
    Ok((elapsed, std::mem::take(&mut times.done)))
}
