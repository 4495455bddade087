//! Exporting and checking through the program, and containers taken apart and put together again.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use lienthong::audit::evidence::{Container, Given, Manifest, Packer, Report, State, Statement, verify};
use lienthong::merkle::{NoteVerifier, sha256};
use lienthong::rpc::tls::read_certificates;
use rcgen::{CertificateParams, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use super::common::{TestNet, key, pem};

pub struct Call {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a program; `None` where it is not installed.
pub fn run(program: &str, args: &[&str]) -> Option<Call> {
    let done = Command::new(program).args(args).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Call { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) })
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// `lienthong audit …`, on a thread of its own: the nodes run in this process.
pub async fn audit(args: Vec<String>) -> Call {
    let call = move || {
        let args: Vec<&str> = ["audit"].into_iter().chain(args.iter().map(String::as_str)).collect();
        run(env!("CARGO_BIN_EXE_lienthong"), &args).unwrap()
    };
    tokio::task::spawn_blocking(call).await.unwrap()
}

impl TestNet {
    /// Exports as a client of a running node; `what` names the delivery.
    pub async fn export(&self, node: &str, client: &str, what: &[&str], out: &str) -> Call {
        let files = self.client_files(node, client);
        let address = self.config(node).listen_clients.to_string();
        let mut args: Vec<String> = ["export", "--format", "json"].map(str::to_owned).to_vec();
        args.extend(what.iter().map(|w| (*w).to_owned()));
        args.extend(["--out".to_owned(), text(&self.path(out))]);
        args.extend(["--node", &address, "--server-name", node].map(str::to_owned));
        args.extend(["--cert".to_owned(), text(&pem(&files)), "--key".to_owned(), text(&key(&files))]);
        args.extend(["--ca".to_owned(), text(&self.path("clients/network-ca.pem"))]);
        audit(args).await
    }

    /// The same, and it works: the container's bytes.
    pub async fn exported(&self, node: &str, id: &Bytes) -> Vec<u8> {
        let out = format!("{node}-{}.asice", hex::encode(&id[..4]));
        let said = self.export(node, "admin", &[&hex::encode(id), "--force"], &out).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        let said: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said["delivery_id"], hex::encode(id));
        std::fs::read(self.path(&out)).unwrap()
    }

    /// Checks a file through the program.
    pub async fn check_file(&self, file: &Path, more: &[&str]) -> (Option<i32>, Value) {
        let mut args: Vec<String> = ["verify", &text(file), "--format", "json"].map(str::to_owned).to_vec();
        args.extend(["--authority".to_owned(), self.authority().to_string()]);
        args.extend(["--roots".to_owned(), text(&self.path("documents"))]);
        args.extend(more.iter().map(|m| (*m).to_owned()));
        let said = audit(args).await;
        (said.code, serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{} {}", said.out, said.err)))
    }

    pub fn authority(&self) -> NoteVerifier {
        std::fs::read_to_string(self.path("authority/directory.vkey")).unwrap().trim().parse().unwrap()
    }

    pub fn roots(&self) -> Vec<Vec<u8>> {
        let file = self.path("documents/root-documents.pem");
        read_certificates(&file).unwrap().into_iter().map(|c| c.to_vec()).collect()
    }

    /// Checks a container.
    pub fn verify(&self, container: &[u8]) -> Report {
        self.verify_with(container, None)
    }

    /// The same with a newer version of the directory.
    pub fn verify_with(&self, container: &[u8], newer: Option<&str>) -> Report {
        let given = Given { authority: &self.authority(), roots: &self.roots(), newer };
        verify(Cursor::new(container), &given)
    }

    /// It is verified.
    #[track_caller]
    pub fn good(&self, container: &[u8]) -> Report {
        let report = self.verify(container);
        assert!(report.is_verified(), "{:#?}", failed(&report));
        report
    }

    /// Gives a node that does not run a certificate to sign what it exports, of the documents' authority.
    pub fn evidence_certificate(&mut self, node: &str) {
        let read = |ending: &str| {
            std::fs::read_to_string(self.path("authority").join(format!("documents-ca.{ending}"))).unwrap()
        };
        let issuer =
            Issuer::from_ca_cert_pem(&read("pem"), KeyPair::from_pem(&read("key")).unwrap()).unwrap();
        let subject = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Bằng chứng của nút");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(2015, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let certificate = params.signed_by(&subject, &issuer).unwrap();
        let base = self.path(node).join("evidence");
        std::fs::write(pem(&base), certificate.pem()).unwrap();
        std::fs::write(key(&base), subject.serialize_pem()).unwrap();
        self.configure(node, |config| config.evidence = Some((pem(&base), key(&base))));
    }
}

/// What does not hold, and what was only noted.
pub fn failed(report: &Report) -> Vec<&Statement> {
    report.statements.iter().filter(|s| s.state == State::Fails).collect()
}

pub fn noted(report: &Report) -> Vec<&Statement> {
    report.statements.iter().filter(|s| s.state == State::Noted).collect()
}

/// What the evidence of one side never proves by itself, as it says.
const OPEN: [&str; 6] = [
    "nobody signed the manifest",
    "not cosigned by anybody",
    "no authority timestamped",
    "recorded beside what it sent and answered",
    "keys that were withdrawn after directory version",
    "that nothing else happened is not proven",
];

/// What was noted beyond that.
pub fn beyond(report: &Report) -> Vec<&Statement> {
    noted(report).into_iter().filter(|s| !OPEN.iter().any(|open| s.what.contains(open))).collect()
}

/// It says so, in these words, and does not fail by it.
pub fn notes(report: &Report, what: &str, why: &str) -> bool {
    noted(report).iter().any(|s| s.what.contains(what) && s.how.contains(why))
}

/// Fails, and says so of this file in these words.
#[track_caller]
pub fn fails(report: &Report, file: &str, why: &str) {
    let failed = failed(report);
    assert!(!report.is_verified(), "{file} was taken: {why}");
    let named = failed.iter().any(|s| s.file == file && s.how.contains(why));
    assert!(named, "{file}, {why}: {failed:#?}");
}

/// The files of a container.
pub type Files = Vec<(String, Vec<u8>)>;

pub fn unpack(container: &[u8]) -> Files {
    let mut container = Container::open(Cursor::new(container)).unwrap();
    let entries = container.entries().to_vec();
    entries.into_iter().map(|e| (e.path.clone(), container.whole(&e, u64::MAX).unwrap())).collect()
}

pub fn pack(files: &Files) -> Vec<u8> {
    let mut packer = Packer::new(Cursor::new(Vec::new()));
    for (path, data) in files {
        packer.file(path, data.len() as u64).unwrap();
        packer.write(data).unwrap();
    }
    packer.finish().unwrap().into_inner()
}

/// Packs with a manifest that names the files as they are, and no signature: what somebody would do who changes
/// something and can sign nothing.
pub fn repack(files: &Files) -> Vec<u8> {
    let mut files = files.clone();
    files.retain(|(path, _)| path != lienthong::audit::evidence::SIGNATURE);
    let manifest = files.iter_mut().find(|(path, _)| path == lienthong::audit::evidence::MANIFEST).unwrap();
    let mut read = Manifest::parse(std::str::from_utf8(&manifest.1).unwrap()).unwrap();
    let kinds: BTreeMap<String, String> =
        read.files.iter().map(|f| (f.path.clone(), f.media_type.clone())).collect();
    read.signed = false;
    read.files = files
        .iter()
        .filter(|(path, _)| path != "mimetype" && !path.starts_with("META-INF/"))
        .map(|(path, data)| lienthong::audit::evidence::Reference {
            path: path.clone(),
            media_type: kinds
                .get(path)
                .cloned()
                .unwrap_or_else(|| lienthong::audit::evidence::media_type(path).to_owned()),
            digest: sha256(data),
        })
        .collect();
    let rendered = read.render().into_bytes();
    files.iter_mut().find(|(path, _)| path == lienthong::audit::evidence::MANIFEST).unwrap().1 = rendered;
    pack(&files)
}

/// With the page made again, as far as it can be.
pub fn with_page(net: &TestNet, mut files: Files) -> Files {
    let page = net.verify(&repack(&files)).page;
    if let (Some(page), Some((_, data))) = (page, files.iter_mut().find(|(path, _)| path == "index.html")) {
        *data = page.into_bytes();
    }
    files
}

/// A file by its path.
pub fn file<'a>(files: &'a mut Files, path: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(p, _)| p == path).unwrap_or_else(|| panic!("no {path}")).1
}

/// Paths that begin and end so.
pub fn paths(files: &Files, start: &str, end: &str) -> Vec<String> {
    let found = files.iter().filter(|(p, _)| p.starts_with(start) && p.ends_with(end));
    found.map(|(p, _)| p.clone()).collect()
}

/// Writes all files below a folder.
pub fn spill(files: &Files, dir: &Path) {
    for (path, data) in files {
        let path: PathBuf = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
    }
}

/// The first bytes of a file.
pub fn start(path: &Path, n: usize) -> Vec<u8> {
    let mut data = vec![0; n];
    std::fs::File::open(path).unwrap().read_exact(&mut data).unwrap();
    data
}
