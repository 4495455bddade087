//! `lienthong verify`: verdicts on the signatures of files, offline.
//!
//! A file is judged by the signatures beside it, for which it is hashed; a PDF by those inside it as well, for which it is
//! read whole. Files are judged one after the other, and one that cannot be read does not keep the others from it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::dms::{signature_name, signatures_beside};
use super::show::columns;
use super::{CliError, Format, Outcome, note, out};
use crate::domain::limits::{SIGNATURE_BYTES, SIGNATURES_PER_PART};
use crate::exchange::trust::read_crls;
use crate::ledger::{Clock as _, SystemClock};
use crate::rpc::tls::read_certificates;
use crate::signature::{
    Hasher, Judgement, MAX_PDF, Role, Trust, Verdict, Verdicts, digest_needs, had_signatures, is_pdf,
    judge_detached, judge_pdf,
};
use crate::time::Timestamp;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong verify --trust ./trust --seal H09=seal.pem --sender H09 letter.pdf\n  \
    lienthong verify --trust ./trust --seal H09=seal.pem --sender H09 --at 2016-08-06T07:00:00+07:00 letter.xml\n\n\
    letter.xml.p7s, letter.xml.2.p7s, … beside a file are its signatures; a PDF without them has its own inside.\n\
    docs/SIGNATURES.md says what each verdict and reason means, and what to do."
)]
pub struct VerifyArgs {
    /// Folder with root-*.pem, the only anchors, and *.crl, the revocation lists.
    #[arg(long, value_name = "DIR")]
    trust: PathBuf,
    /// An agency's seal certificate (PEM); may be repeated.
    #[arg(long, value_name = "CODE=FILE")]
    seal: Vec<String>,
    /// Agency that sent the files (a subunit: its registered agency): its seal counts as the agency's signature.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    sender: String,
    /// Judge as at this time (RFC 3339; default: now).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Judges files.
pub fn run(args: &VerifyArgs) -> Result<Outcome, CliError> {
    let trust = read_trust(&args.trust, &args.seal, &args.sender)?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let (mut judged, mut failed) = (Vec::new(), Vec::new());
    for file in &args.files {
        match judge(file, &args.sender, &trust, at) {
            Ok(verdicts) => judged.push((file, verdicts)),
            Err(error) => failed.push(error),
        }
    }
    match args.format {
        Format::Json => {
            let list: Vec<Value> = judged.iter().map(|(file, v)| to_json(file, v)).collect();
            out(serde_json::to_string_pretty(&list).unwrap_or_default());
        }
        Format::Table if judged.is_empty() => {}
        Format::Table => print(&judged),
    }
    if let Some(last) = failed.pop() {
        failed.iter().for_each(|error| note(format!("error: {error}")));
        return Err(last);
    }
    let valid = |v: &Verdicts| v.person == Verdict::Valid && v.agency == Verdict::Valid;
    Ok(if judged.iter().all(|(_, v)| valid(v)) { Outcome::Done } else { Outcome::No })
}

fn judge(file: &Path, sender: &str, trust: &Trust, at: Timestamp) -> Result<Verdicts, CliError> {
    let failed = |e: std::io::Error| CliError::file("reading", file, &e);
    if file.is_dir() {
        return Err(CliError::failed(format!("{} is a folder: name the files in it", shown(file))));
    }
    // Opening a pipe waits until somebody writes into it.
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return Err(CliError::failed(format!("{} is no file: save what it gives into one", shown(file))));
    }
    let mut content = BufReader::new(File::open(file).map_err(failed)?);
    let mut start = Vec::new();
    content.by_ref().take(5).read_to_end(&mut start).map_err(failed)?;
    let pdf = is_pdf(&file.to_string_lossy(), "", &start);
    let mut content = start.chain(content);

    let signatures = signatures_beside(file)?;
    hints(file, &signatures);
    let mut hasher = Hasher::new(digest_needs(&signatures));
    let mut inside = None;
    if pdf {
        // One byte over the limit tells that it is over.
        let mut bytes = Vec::new();
        content.by_ref().take(MAX_PDF as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        hasher.update(&bytes);
        if bytes.len() <= MAX_PDF || signatures.is_empty() {
            let found = judge_pdf(&bytes, sender, trust, at);
            if found.signatures.is_empty() && found.refused.is_none() && had_signatures(&bytes) {
                note(format!(
                    "{}: an earlier revision has signatures, and the file as it is has none: they count for nothing",
                    shown(file)
                ));
            }
            inside = Some(found);
        } else {
            note(format!(
                "{}: too large to be read for signatures inside it; those beside it count",
                shown(file)
            ));
        }
    }
    if !signatures.is_empty() {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match content.read(&mut buffer).map_err(failed)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
    }
    let beside = judge_detached(&signatures, &hasher.finish(), sender, trust, at);
    Ok(match inside {
        Some(inside) => inside.and_beside(beside),
        None => beside,
    })
}

/// What may not be what was meant.
fn hints(file: &Path, signatures: &[Vec<u8>]) {
    let name = shown(file);
    for large in signatures.iter().map(Vec::len).filter(|&len| len > SIGNATURE_BYTES) {
        note(format!("{name}: a signature of {large} bytes; nodes take at most {SIGNATURE_BYTES}"));
    }
    for other in passed_over(file) {
        note(format!(
            "{name}: `{other}` is not looked at; signatures of a file are those in FILE.p7s, FILE.2.p7s, …"
        ));
    }
    if signatures.is_empty() && file.extension().is_some_and(|extension| extension == "p7s") {
        note(format!("{name}: judged as a document; name the document, its signatures are found beside it"));
    }
}

/// Names beside a file that look like those of signatures and are none, such as `FILE.1.p7s` and `FILE.P7S`.
fn passed_over(file: &Path) -> Vec<String> {
    const MOST: usize = 10_000;
    let own = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let known: Vec<_> = (1..=SIGNATURES_PER_PART).map(|n| signature_name(file, n)).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST) {
        let name = entry.file_name();
        let lower = name.to_string_lossy().to_lowercase();
        let rest = lower.strip_prefix(&own).and_then(|rest| rest.strip_suffix(".p7s"));
        let number =
            |rest: &str| rest.strip_prefix('.').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let known = known.iter().any(|path| path.file_name() == Some(&name));
        if rest.is_some_and(|rest| rest.is_empty() || number(rest)) && !known {
            found.push(shown(Path::new(&name)));
        }
    }
    found.sort();
    found
}

/// The anchors of a folder: every certificate of its root-*.pem, by file name.
pub(super) fn read_roots(dir: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| CliError::file("reading", dir, &e))? {
        let path = entry.map_err(|e| CliError::file("reading", dir, &e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with("root-") && name.ends_with(".pem") {
            files.push(path);
        }
    }
    files.sort();
    let mut roots = Vec::new();
    for path in files {
        roots.extend(read_certificates(&path).map_err(CliError::failed)?);
    }
    Ok(roots)
}

fn read_trust(dir: &Path, seals: &[String], sender: &str) -> Result<Trust, CliError> {
    let roots = read_roots(dir)?;
    if roots.is_empty() {
        return Err(CliError::failed(format!(
            "{}: there is no root-*.pem: nothing would be trusted",
            dir.display()
        )));
    }
    let mut trust = Trust::new(roots).map_err(CliError::failed)?;
    let mut agencies = Vec::new();
    for seal in seals {
        let (code, file) =
            seal.split_once('=').filter(|(code, file)| !code.is_empty() && !file.is_empty()).ok_or_else(
                || CliError::failed(format!("--seal `{seal}`: write it as CODE=FILE, as in H09=seal.pem")),
            )?;
        for certificate in read_certificates(Path::new(file)).map_err(CliError::failed)? {
            trust = trust.with_seal(code, &certificate).map_err(CliError::failed)?;
        }
        agencies.push(code);
    }
    if sender.is_empty() && !agencies.is_empty() {
        note("no --sender: every seal counts as another agency's (`wrong_agency`)");
    } else if !sender.is_empty() && !agencies.contains(&sender) {
        note(format!("no --seal {sender}=FILE: no signature can be the agency's"));
    }

    let (crls, bad) = read_crls(dir).map_err(CliError::failed)?;
    for error in bad {
        note(format!("a revocation list is left out: {error}"));
    }
    if crls.is_empty() {
        note(format!(
            "{}: there is no *.crl that can be used: what brings no revocation data along is `revocation_unknown`",
            dir.display()
        ));
    }
    Ok(trust.with_crls(crls))
}

fn to_json(file: &Path, v: &Verdicts) -> Value {
    let signatures: Vec<Value> = v
        .signatures
        .iter()
        .map(|s| {
            json!({"role": s.role.as_str(), "verdict": s.verdict.as_str(), "reason": s.reason.map_or("", |r| r.as_str()),
                "signer": s.signer, "claimed_at": s.claimed_at.map(|t| t.to_string()),
                "proven_at": s.proven_at.map(|t| t.to_string()), "algorithm": s.algorithm, "detail": s.detail})
        })
        .collect();
    let mut shown = json!({"file": file.display().to_string(), "person": v.shown(Role::Person), "agency": v.shown(Role::Agency),
        "reason": v.reason.map_or("", |r| r.as_str()), "detail": v.refused.as_deref().unwrap_or_default(), "signatures": signatures});
    // Two names that are not UTF-8 may look the same: the bytes tell them apart.
    if file.to_str().is_none() {
        shown["file_hex"] = Value::String(hex::encode(file.as_os_str().as_encoded_bytes()));
    }
    shown
}

/// A row for each file, then what is known of each signature, and what is wrong with it.
fn print(judged: &[(&PathBuf, Verdicts)]) {
    let mut rows = Vec::new();
    for (file, v) in judged {
        rows.push(vec![
            shown(file),
            v.shown(Role::Person).to_owned(),
            v.shown(Role::Agency).to_owned(),
            v.reason.map_or("", |r| r.as_str()).to_owned(),
        ]);
    }
    out(columns(&["file", "person", "agency", "reason"], &rows));
    for (file, v) in judged.iter().filter(|(_, v)| v.refused.is_some() || !v.signatures.is_empty()) {
        out(format!("\n{}", shown(file)));
        if let Some(why) = &v.refused {
            let reason = v.reason.map_or("", |r| r.as_str());
            out(format!("  refused: {reason}: {why}"));
        }
        v.signatures.iter().for_each(print_signature);
    }
    if judged.iter().any(|(_, v)| v.reason.is_some()) {
        out("\ndocs/SIGNATURES.md says what each reason means, and what to do.");
    }
}

fn print_signature(s: &Judgement) {
    let mut facts = vec![if s.signer.is_empty() { "signer unknown".to_owned() } else { s.signer.clone() }];
    if !s.algorithm.is_empty() {
        facts.push(s.algorithm.clone());
    }
    match (s.proven_at, s.claimed_at) {
        (Some(at), _) => facts.push(format!("proven at {at}")),
        (None, Some(at)) => facts.push(format!("claims {at}")),
        (None, None) => {}
    }
    out(format!("  {}: {}: {}", s.role, s.verdict, facts.join(", ")));
    if let Some(reason) = s.reason {
        out(format!("    {reason}: {}", s.detail));
    }
}

/// A path for a terminal.
fn shown(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_write_to_the_terminal() {
        assert_eq!(shown(Path::new("thư\n\u{1b}[31m.pdf")), "thư\u{fffd}\u{fffd}[31m.pdf");
    }
}
