//! `lienthong verify`: verdicts on the signatures of files, offline.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::dms::signatures_beside;
use super::show::columns;
use super::{CliError, Format, Outcome, note, out};
use crate::exchange::trust::read_crls;
use crate::ledger::{Clock as _, SystemClock};
use crate::rpc::tls::read_certificates;
use crate::signature::{Digests, Role, Trust, Verdict, Verdicts, digest_needs, judge_detached, judge_pdf};
use crate::time::Timestamp;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong verify --trust ./trust --seal H09=seal.pem --sender H09 letter.xml\n  \
    (letter.xml.p7s, letter.xml.2.p7s beside the file are its signatures)"
)]
pub struct VerifyArgs {
    /// Folder with root-*.pem, the only anchors, and *.crl, the revocation lists.
    #[arg(long, value_name = "DIR")]
    trust: PathBuf,
    /// An agency's seal certificate; may be repeated.
    #[arg(long, value_name = "CODE=FILE")]
    seal: Vec<String>,
    /// Registered agency whose seal counts as the agency's.
    #[arg(long, value_name = "CODE", default_value = "")]
    sender: String,
    /// Judge as at this time (RFC 3339; default: now).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Judges files.
pub fn run(args: &VerifyArgs) -> Result<Outcome, CliError> {
    let trust = read_trust(&args.trust, &args.seal)?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let mut judged = Vec::new();
    for file in &args.files {
        let data = std::fs::read(file).map_err(|e| CliError::file("reading", file, &e))?;
        let signatures = signatures_beside(file)?;
        judged.push((file, judge(file, &data, &signatures, &args.sender, &trust, at)));
    }
    match args.format {
        Format::Json => {
            let list: Vec<Value> = judged.iter().map(|(file, v)| to_json(file, v)).collect();
            out(serde_json::to_string_pretty(&list).unwrap_or_default());
        }
        Format::Table => print(&judged),
    }
    let valid = |v: &Verdicts| v.person == Verdict::Valid && v.agency == Verdict::Valid;
    Ok(if judged.iter().all(|(_, v)| valid(v)) { Outcome::Done } else { Outcome::No })
}

/// A file with signatures beside it is judged by these; a PDF without by those inside it.
fn judge(
    file: &Path,
    data: &[u8],
    signatures: &[Vec<u8>],
    sender: &str,
    trust: &Trust,
    at: Timestamp,
) -> Verdicts {
    let pdf = data.starts_with(b"%PDF-")
        || file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"));
    if signatures.is_empty() && pdf {
        return judge_pdf(data, sender, trust, at);
    }
    let digests = Digests::of(digest_needs(signatures), data);
    judge_detached(signatures, &digests, sender, trust, at)
}

fn read_trust(dir: &Path, seals: &[String]) -> Result<Trust, CliError> {
    let mut roots = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| CliError::file("reading", dir, &e))? {
        let path = entry.map_err(|e| CliError::file("reading", dir, &e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("root-") && name.ends_with(".pem") {
            roots.extend(read_certificates(&path).map_err(CliError::failed)?);
        }
    }
    if roots.is_empty() {
        return Err(CliError::failed(format!(
            "{}: there is no root-*.pem: nothing would be trusted",
            dir.display()
        )));
    }
    let (crls, bad) = read_crls(dir).map_err(CliError::failed)?;
    for error in bad {
        note(format!("a revocation list is left out: {error}"));
    }
    if crls.is_empty() {
        note(format!("{}: there is no *.crl: signatures will be `revocation_unknown`", dir.display()));
    }
    let mut trust = Trust::new(roots).map_err(CliError::failed)?.with_crls(crls);
    for seal in seals {
        let (code, file) = seal
            .split_once('=')
            .ok_or_else(|| CliError::failed(format!("--seal `{seal}`: write it as CODE=FILE")))?;
        for certificate in read_certificates(Path::new(file)).map_err(CliError::failed)? {
            trust = trust.with_seal(code, &certificate).map_err(CliError::failed)?;
        }
    }
    Ok(trust)
}

fn to_json(file: &Path, v: &Verdicts) -> Value {
    let signatures: Vec<Value> = v
        .signatures
        .iter()
        .map(|s| {
            json!({"role": s.role.as_str(), "verdict": s.verdict.as_str(), "reason": s.reason.map(|r| r.as_str()),
                "signer": s.signer, "claimed_at": s.claimed_at.map(|t| t.to_string()),
                "proven_at": s.proven_at.map(|t| t.to_string()), "algorithm": s.algorithm, "detail": s.detail})
        })
        .collect();
    json!({"file": file.display().to_string(), "person": v.shown(Role::Person), "agency": v.shown(Role::Agency),
        "reason": v.reason.map_or("", |r| r.as_str()), "signatures": signatures})
}

/// A row for each file, then a line for whatever is not valid, and for each time that is proven.
fn print(judged: &[(&PathBuf, Verdicts)]) {
    let mut rows = Vec::new();
    for (file, v) in judged {
        rows.push(vec![
            file.display().to_string(),
            v.shown(Role::Person).to_owned(),
            v.shown(Role::Agency).to_owned(),
            v.reason.map_or("", |r| r.as_str()).to_owned(),
        ]);
    }
    out(columns(&["file", "person", "agency", "reason"], &rows));
    for (file, v) in judged {
        let file = file.display();
        if let Some(why) = &v.refused {
            out(format!("{file}: refused: {why}"));
        }
        for s in &v.signatures {
            let who =
                format!("{} {}", s.role.as_str(), if s.signer.is_empty() { "(unknown)" } else { &s.signer });
            let proven = s.proven_at.map_or_else(String::new, |at| format!(", time proven: {at}"));
            if s.verdict != Verdict::Valid {
                let reason = s.reason.map_or("", |r| r.as_str());
                out(format!("{file}: {who}: {} ({reason}): {}{proven}", s.verdict.as_str(), s.detail));
            } else if s.proven_at.is_some() {
                out(format!("{file}: {who}: valid{proven}"));
            }
        }
    }
}
