//! `lienthong sign` and `lienthong timestamp`: signatures for agencies whose own system cannot make them.
//!
//! `sign` makes PAdES-B-B inside a PDF or CAdES-B-B beside any file; `timestamp` makes CAdES-T of the latter, in two
//! steps, for asking a timestamp authority needs a network and its terms. No file is ever overwritten.

use std::path::{Path, PathBuf};

use super::dms::{signature_name, write_new};
use super::{CliError, Outcome, note};
use crate::domain::limits::SIGNATURES_PER_PART;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::sha256;
use crate::rpc::tls::{read_certificates, read_pkcs8};
use crate::signature::{
    MAX_PDF, PdfSignError, PdfSignatureDetails, Signer, SigningKey, add_timestamp, sign_pdf,
    timestamp_request, timestamp_token,
};
use crate::time::Timestamp;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lienthong sign --key person.key --certificate person.pem --chain ca.pem letter.pdf -o signed.pdf\n  \
    lienthong sign --key seal.key --certificate seal.pem --chain ca.pem signed.pdf -o sealed.pdf\n  \
    lienthong sign --key person.key --certificate person.pem --chain ca.pem letter.xml\n\n\
    The last makes letter.xml.p7s, or letter.xml.2.p7s when that is there. The person signs first, then the agency.\n\
    A key of another kind becomes PKCS#8 by: openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW\n\
    What was made is checked by `lienthong verify`; docs/SIGNATURES.md says more.")]
pub struct SignArgs {
    /// Private key (PEM, PKCS#8, not encrypted): ECDSA P-256, or RSA with 2048 to 4096 bits.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// The key's certificate (PEM); certificates after it in the file count as its chain.
    #[arg(long, value_name = "CERT")]
    certificate: PathBuf,
    /// Certificates of its issuers (PEM), the root not needed; may be repeated.
    #[arg(long, value_name = "CERT")]
    chain: Vec<PathBuf>,
    /// Sign inside the PDF (PAdES); the default for a file that starts as a PDF does.
    #[arg(long, conflicts_with = "detached")]
    pdf: bool,
    /// Make a signature beside the file (CAdES); the default for any other file.
    #[arg(long)]
    detached: bool,
    /// Name of the new signature field in a PDF (default: Signature1, or the next that is free).
    #[arg(long, value_name = "NAME", conflicts_with = "detached")]
    field: Option<String>,
    /// Why it is signed, for a reader of the PDF.
    #[arg(long, value_name = "TEXT", conflicts_with = "detached")]
    reason: Option<String>,
    /// The file.
    file: PathBuf,
    /// What is made, which must not exist: the signed PDF, or the signature (default: FILE.p7s, FILE.2.p7s, …).
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

/// Signs a file.
pub fn sign(args: &SignArgs) -> Result<Outcome, CliError> {
    let signer = signer(&args.key, &args.certificate, &args.chain)?;
    let data = std::fs::read(&args.file).map_err(|e| CliError::file("reading", &args.file, &e))?;
    let now = SystemClock.now();
    let pdf = args.pdf || (!args.detached && data.starts_with(b"%PDF-"));
    if !pdf {
        if args.field.is_some() || args.reason.is_some() {
            return Err(CliError::failed(format!(
                "{} is no PDF: --field and --reason have no place in a signature beside a file",
                args.file.display()
            )));
        }
        let made = signer.sign_detached(sha256(&data).as_bytes(), now).map_err(CliError::failed)?;
        let output = args.output.clone().map_or_else(|| free_name(&args.file), Ok)?;
        write_new(&output, &made)?;
        note(format!("{}: a CAdES signature beside {}", output.display(), args.file.display()));
        return Ok(Outcome::Done);
    }
    let output = args.output.as_ref().ok_or_else(|| {
        CliError::failed(format!(
            "name the signed PDF with -o: {} itself is not changed (--detached signs beside it)",
            args.file.display()
        ))
    })?;
    if output.exists() {
        return Err(CliError::failed(format!("{} exists: name another file with -o", output.display())));
    }
    write_new(output, &signed_pdf(args, &data, &signer, now)?)?;
    note(format!("{}: a PAdES signature inside", output.display()));
    Ok(Outcome::Done)
}

fn signed_pdf(args: &SignArgs, data: &[u8], signer: &Signer, at: Timestamp) -> Result<Vec<u8>, CliError> {
    let failed = |e: &PdfSignError| {
        let hint = match e {
            PdfSignError::Unreadable(_) => "; --detached signs beside any file",
            _ => "",
        };
        CliError::failed(format!("{}: {e}{hint}", args.file.display()))
    };
    if data.len() > MAX_PDF {
        return Err(CliError::failed(format!(
            "{} has {} bytes, and in a PDF of more than {MAX_PDF} no signature is read: sign it with --detached",
            args.file.display(),
            data.len()
        )));
    }
    let sign = |field: &str| {
        sign_pdf(data, signer, &PdfSignatureDetails { field, at, name: None, reason: args.reason.as_deref() })
    };
    if let Some(field) = &args.field {
        return sign(field).map_err(|e| failed(&e));
    }
    let mut n = 1;
    loop {
        match sign(&format!("Signature{n}")) {
            Err(PdfSignError::FieldExists(_)) if n < 1000 => n += 1,
            made => return made.map_err(|e| failed(&e)),
        }
    }
}

/// The first of FILE.p7s, FILE.2.p7s, … that is not there.
fn free_name(file: &Path) -> Result<PathBuf, CliError> {
    let mut names = (1..=SIGNATURES_PER_PART).map(|n| signature_name(file, n));
    names.find(|name| !name.exists()).ok_or_else(|| {
        CliError::failed(format!(
            "{} has {SIGNATURES_PER_PART} signatures beside it, and may not have more",
            file.display()
        ))
    })
}

/// From files: a private key, its certificate, certificates of its issuers.
pub(super) fn signer(key: &Path, certificate: &Path, chain: &[PathBuf]) -> Result<Signer, CliError> {
    let mut certificates =
        read_certificates(certificate).map_err(CliError::failed)?.into_iter().map(|c| c.to_vec());
    let leaf = certificates.next().unwrap_or_default();
    let mut issuers: Vec<Vec<u8>> = certificates.collect();
    for file in chain {
        issuers.extend(read_certificates(file).map_err(CliError::failed)?.into_iter().map(|c| c.to_vec()));
    }
    let key = SigningKey::from_pkcs8(&private_key(key)?).map_err(|e| CliError::file("--key", key, &e))?;
    Signer::new(key, leaf, issuers).map_err(|e| CliError::file("--certificate", certificate, &e))
}

/// A private key, or how to make one of what is there.
fn private_key(path: &Path) -> Result<Vec<u8>, CliError> {
    let text = std::fs::read(path).map_err(|e| CliError::file("reading", path, &e))?;
    let has = |label: &str| text.windows(label.len()).any(|window| window == label.as_bytes());
    let convert = |what: &str, options: &str| {
        let path = path.display();
        CliError::failed(format!(
            "--key {path} is {what}: make a plain PKCS#8 key of it, `openssl pkcs8 {options}-in {path} -out NEW`"
        ))
    };
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        return Err(convert("encrypted", if has("Proc-Type") { "-topk8 -nocrypt " } else { "" }));
    }
    if has("-----BEGIN RSA PRIVATE KEY-----") || has("-----BEGIN EC PRIVATE KEY-----") {
        return Err(convert("no PKCS#8 key", "-topk8 -nocrypt "));
    }
    if !has("-----BEGIN PRIVATE KEY-----") {
        return Err(CliError::failed(format!(
            "--key {}: there is no PKCS#8 private key in PEM (BEGIN PRIVATE KEY)",
            path.display()
        )));
    }
    read_pkcs8(path).map_err(CliError::failed)
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    lienthong timestamp letter.xml.p7s --request letter.tsq\n  \
    curl -H 'Content-Type: application/timestamp-query' --data-binary @letter.tsq http://tsa.example/ -o letter.tsr\n  \
    lienthong timestamp letter.xml.p7s --reply letter.tsr -o stamped.p7s")]
pub struct TimestampArgs {
    /// A detached signature.
    file: PathBuf,
    /// Write the request for the timestamp authority (RFC 3161) to this file, which must not exist.
    #[arg(long, value_name = "OUT", required_unless_present = "reply", conflicts_with = "reply")]
    request: Option<PathBuf>,
    /// The authority's reply, or the token inside it.
    #[arg(long, value_name = "FILE", requires = "output")]
    reply: Option<PathBuf>,
    /// The signature with the timestamp, which must not exist.
    #[arg(short, long, value_name = "OUT", requires = "reply")]
    output: Option<PathBuf>,
}

/// Makes a request for a timestamp, or puts the reply into the signature.
pub fn timestamp(args: &TimestampArgs) -> Result<Outcome, CliError> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| CliError::file("reading", path, &e));
    let about = |e: &dyn std::fmt::Display| CliError::failed(format!("{}: {e}", args.file.display()));
    let signature = read(&args.file)?;
    if let Some(request) = &args.request {
        write_new(request, &timestamp_request(&signature).map_err(|e| about(&e))?)?;
        note(format!("{}: post it to the authority, then give its answer as --reply", request.display()));
    }
    if let (Some(reply), Some(output)) = (&args.reply, &args.output) {
        let token = timestamp_token(&read(reply)?, &signature)
            .map_err(|e| CliError::failed(format!("{}: {e}", reply.display())))?;
        write_new(output, &add_timestamp(&signature, &token).map_err(|e| about(&e))?)?;
        note(format!("{}: the signature with its timestamp", output.display()));
    }
    Ok(Outcome::Done)
}
