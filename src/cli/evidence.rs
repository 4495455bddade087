//! `lienthong audit export` and `lienthong audit verify FILE`: the evidence of a delivery as one container, and the check of
//! it on a machine that has never seen the network.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::audit::{Listed, Stopped};
use super::named::Named;
use super::remote::Remote;
use super::show::columns;
use super::verify::read_roots;
use super::{CliError, Format, Outcome, note, out};
use crate::audit::evidence::{
    Audience, Given, Packer, Report, Seal, Source, State, Statement, export, find, on_behalf_of, verify,
};
use crate::config::Config;
use crate::domain::document::DocumentRef;
use crate::domain::ids::DocumentKey;
use crate::exchange::timestamps::Stamps;
use crate::exchange::trust::read_crls;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::NoteVerifier;
use crate::rpc::evidence::signer;
use crate::store::content::StoppedContent;
use crate::wire::{pb, words};

/// What to export, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The delivery's id; or give the document's key.
    #[arg(value_name = "DELIVERY", required_unless_present = "number")]
    delivery: Option<Named>,
    /// Code of the agency that sent it.
    #[arg(long, value_name = "CODE", requires = "number", conflicts_with = "delivery")]
    agency: Option<String>,
    /// Number of the document.
    #[arg(long, requires = "agency", requires = "notation", requires = "year")]
    number: Option<String>,
    /// Notation of the document.
    #[arg(long, requires = "number")]
    notation: Option<String>,
    /// Year of issue.
    #[arg(long, requires = "number")]
    year: Option<i32>,
    /// Code of the recipient, where the document went to several.
    #[arg(long, value_name = "CODE", requires = "number")]
    recipient: Option<String>,
    /// Who asks, as the event says it (opaque).
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,
    /// The file to write; by default the first letters of the delivery's id, with the ending `.asice`.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that is there already.
    #[arg(long)]
    force: bool,
}

impl ExportArgs {
    fn document(&self) -> Result<Option<DocumentRef>, CliError> {
        let (Some(agency), Some(number), Some(year)) = (&self.agency, &self.number, self.year) else {
            return Ok(None);
        };
        let key = DocumentKey::new(number, self.notation.as_deref().unwrap_or_default(), year)?;
        Ok(Some(DocumentRef { agency: agency.clone(), key }))
    }
}

/// What is given to check a container by.
#[derive(Debug, clap::Args)]
pub(super) struct GivenArgs {
    /// With a container or the proof of a fork: verifier key of the directory's authority (C2SP).
    #[arg(long, value_name = "KEY")]
    pub(super) authority: Option<String>,
    /// With a container: folder with root-*.pem, the anchors of document signatures.
    #[arg(long, value_name = "DIR")]
    roots: Option<PathBuf>,
    /// With a container: a newer version of the directory, to see which keys were withdrawn since.
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
}

/// Writes a container.
pub(super) async fn run(
    args: &ExportArgs,
    data: Option<&Path>,
    log_key: Option<&str>,
    remote: &Remote,
    format: Format,
) -> Result<Outcome, CliError> {
    let folder = args.out.as_deref().and_then(Path::parent).filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let failed = |e: std::io::Error| CliError::file("writing in", &folder, &e);
    // Before the node records that it was exported.
    let known =
        args.out.clone().or_else(|| args.delivery.as_ref().map(|id| default_name(&folder, &id.to_string())));
    if let Some(name) = known.filter(|name| !args.force && name.exists()) {
        return Err(is_there(&name));
    }
    // Whole, or not there at all.
    let file = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
    let mut target = Target {
        packer: Packer::new(BufWriter::new(file)),
        path: String::new(),
        files: 0,
        about: Vec::new(),
    };
    match data {
        Some(data) => stopped(args, &Stopped::open(data, log_key)?, &mut target)?,
        None => running(args, remote, &mut target).await?,
    }
    let Target { packer, files, about, .. } = target;
    let file = packer.finish().and_then(|w| w.into_inner().map_err(std::io::IntoInnerError::into_error));
    let file = file.map_err(failed)?;
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap_or_default();
    let id = about["delivery_id"].as_str().unwrap_or_default().to_owned();
    let name = args.out.clone().unwrap_or_else(|| default_name(&folder, &id));
    let bytes = file.as_file().metadata().map_err(failed)?.len();
    file.as_file().sync_all().map_err(failed)?;
    let kept = if args.force { file.persist(&name) } else { file.persist_noclobber(&name) };
    kept.map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => is_there(&name),
        _ => CliError::file("writing", &name, &e.error),
    })?;
    let shown = name.display().to_string();
    match format {
        Format::Json => out(
            json!({"file": shown, "delivery_id": id, "log": about["log"], "files": files, "bytes": bytes}),
        ),
        Format::Table => {
            out(format!("evidence of delivery {id} from {}", about["log"].as_str().unwrap_or_default()));
            out(format!("{shown}: {files} files, {bytes} bytes"));
            note(format!("check it with: lienthong audit verify {shown} --authority KEY --roots DIR"));
        }
    }
    Ok(Outcome::Done)
}

/// The file of a delivery's evidence, where none is named.
fn default_name(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{}.asice", id.get(..12).unwrap_or("evidence")))
}

fn is_there(name: &Path) -> CliError {
    CliError::failed(format!("{} is there already: name another file, or give --force", name.display()))
}

/// The container that is being written.
struct Target {
    packer: Packer<BufWriter<tempfile::NamedTempFile>>,
    path: String,
    files: u64,
    about: Vec<u8>,
}

impl Target {
    fn write(&mut self, path: &str, size: u64, data: &[u8]) -> Result<(), CliError> {
        let failed = |e: std::io::Error| CliError::failed(format!("writing {path}: {e}"));
        if path != self.path {
            self.packer.file(path, size).map_err(failed)?;
            path.clone_into(&mut self.path);
            self.files += 1;
        }
        if path == "evidence.json" {
            self.about.extend_from_slice(data);
        }
        self.packer.write(data).map_err(failed)
    }
}

async fn running(args: &ExportArgs, remote: &Remote, target: &mut Target) -> Result<(), CliError> {
    let client = remote.connect("admin").await?;
    let document = args.document()?.map(|d| pb::DocumentRef {
        agency: d.agency,
        number: d.key.number().to_owned(),
        notation: d.key.notation().to_owned(),
        year: d.key.year(),
    });
    let delivery_id = match &args.delivery {
        Some(named) => words::id(&named.find(&client).await?),
        None => bytes::Bytes::new(),
    };
    let request = pb::ExportEvidenceRequest {
        delivery_id,
        document,
        recipient: args.recipient.clone().unwrap_or_default(),
        user: args.user.clone(),
    };
    let mut pieces = client.audit().export_evidence(request).await?.into_inner();
    while let Some(piece) = pieces.message().await? {
        target.write(&piece.path, piece.size, &piece.data)?;
    }
    Ok(())
}

/// From a stopped node's files. Nothing is written there, so no event says that it was exported.
fn stopped(args: &ExportArgs, stopped: &Stopped, target: &mut Target) -> Result<(), CliError> {
    let index = stopped.offline.index().map_err(CliError::failed)?;
    let head = index.head().map_err(CliError::failed)?.ok_or_else(|| CliError::failed("the log is empty"))?;
    let listed = stopped.listed()?;
    let cosigned = stopped.cosigned(&listed);
    let Listed { config, directory, log } = listed;
    let data = stopped.data.clone();
    let content = StoppedContent::open(&data.join("content")).map_err(CliError::failed)?;
    let now = SystemClock.now();
    let trust = trust(&config, &directory)?;
    let stamps = Stamps::open(&data, &log).map_err(CliError::failed)?;
    let prove = |at, under: Option<(u64, &str)>| match under {
        None => super::audit::prove_leaf(index, &head, at),
        Some(under) => super::audit::prove_leaf_under(index, &head, at, under),
    };
    let source = Source {
        index,
        log: &log,
        size: head.size,
        prove: &prove,
        stamps: &stamps,
        cosigned: &cosigned,
        trust: &trust,
        content: &content,
        directories: &data.join("directories"),
        authority: &config.authority,
        audience: Audience::Node,
    };
    let id = match (&args.delivery, args.document()?) {
        (Some(named), _) => named.find_in(index)?,
        (None, Some(document)) => {
            let recipient = args.recipient.as_deref().unwrap_or_default();
            find(&source, &directory, now.date(), &document, recipient).map_err(CliError::failed)?
        }
        (None, None) => return Err(CliError::failed("which delivery? give its id, or the document's key")),
    };
    on_behalf_of(&source, id).map_err(CliError::failed)?;
    let signer = signer(&config).map_err(CliError::failed)?;
    let seal = signer.as_ref().map(|signer| Seal { signer, trust: &trust, at: now });
    export(&source, id, seal.as_ref(), |path, size, data| target.write(path, size, data))
        .map_err(CliError::failed)?;
    note("the node does not run: no event says that this was exported");
    Ok(())
}

/// What signatures and timestamps are judged under, with the revocation lists of the configured folder.
pub(super) fn trust(
    config: &Config,
    directory: &crate::directory::Directory,
) -> Result<crate::signature::Trust, CliError> {
    let trust = directory.trust().clone();
    match &config.crl_dir {
        None => Ok(trust),
        Some(dir) => Ok(trust.with_crls(read_crls(dir).map_err(CliError::failed)?.0)),
    }
}

/// Whether a file is a container: a zip archive.
pub(super) fn is_container(file: &Path) -> Result<bool, CliError> {
    let failed = |e: std::io::Error| CliError::file("reading", file, &e);
    let mut start = [0; 4];
    let mut opened = File::open(file).map_err(failed)?;
    let read = opened.read(&mut start).map_err(failed)?;
    // One that is cut off at its start, or that something stands before, ends like one.
    let length = opened.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut end = vec![0; 64.min(length) as usize];
    opened.seek(SeekFrom::Start(length - end.len() as u64)).map_err(failed)?;
    opened.read_exact(&mut end).map_err(failed)?;
    Ok((read == 4 && start == *b"PK\x03\x04") || end.windows(4).any(|w| w == b"PK\x05\x06"))
}

/// Checks a container.
pub(super) fn check(args: &GivenArgs, file: &Path, format: Format) -> Result<Outcome, CliError> {
    let needed = |what: &str, why: &str| CliError::failed(format!("{what} is needed: {why}"));
    let authority: NoteVerifier = args
        .authority
        .as_deref()
        .ok_or_else(|| {
            needed("--authority KEY", "what the container says of the directory proves nothing by itself")
        })?
        .parse()
        .map_err(|e| CliError::failed(format!("--authority: {e}")))?;
    let dir = args
        .roots
        .as_deref()
        .ok_or_else(|| needed("--roots DIR", "the anchors of document signatures are yours to choose"))?;
    let roots: Vec<Vec<u8>> =
        read_roots(dir)?.into_iter().map(|root: CertificateDer<'_>| root.to_vec()).collect();
    if roots.is_empty() {
        return Err(CliError::failed(format!(
            "{}: there is no root-*.pem: nothing would be trusted",
            dir.display()
        )));
    }
    let newer = match &args.directory {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|e| CliError::file("reading", path, &e))?),
    };
    let opened = File::open(file).map_err(|e| CliError::file("reading", file, &e))?;
    let given = Given { authority: &authority, roots: &roots, newer: newer.as_deref() };
    let report = verify(BufReader::new(opened), &given);
    print(&report, format);
    Ok(if report.is_verified() { Outcome::Done } else { Outcome::No })
}

fn print(report: &Report, format: Format) {
    let verified = report.is_verified();
    match format {
        Format::Json => {
            let statements: Vec<_> = report
                .statements
                .iter()
                .map(
                    |s| json!({"state": s.state.as_str(), "file": s.file, "statement": s.what, "how": s.how}),
                )
                .collect();
            let id = report.delivery.map(|id| id.to_string());
            let json = json!({"verified": verified, "delivery_id": id, "statements": statements});
            out(serde_json::to_string_pretty(&json).unwrap_or_default());
        }
        Format::Table => {
            let mark = |s: &Statement| match s.state {
                State::Holds => "✓",
                State::Fails => "✗",
                State::Noted => "·",
            };
            let file =
                |s: &Statement| if s.file.is_empty() { "the archive".to_owned() } else { s.file.clone() };
            let rows: Vec<Vec<String>> = report
                .statements
                .iter()
                .map(|s| vec![mark(s).to_owned(), plain(&s.what), plain(&s.how), plain(&file(s))])
                .collect();
            out(columns(&["", "statement", "how it was checked", "file"], &rows));
            for failed in report.statements.iter().filter(|s| s.state == State::Fails) {
                out(format!("! {}: {}", plain(&file(failed)), plain(&failed.how)));
            }
            out(if verified { "verified" } else { "NOT VERIFIED" });
        }
    }
}

/// A text from a container, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
