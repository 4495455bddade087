//! `verify`, `sign` and `timestamp` as typed: the corpus through the program, what it makes, and what it says when it is
//! handed something else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use lienthong::signature::MAX_PDF;
use serde_json::Value;

/// What a call ended with.
struct Call {
    code: Option<i32>,
    out: String,
    err: String,
}

fn lienthong(args: impl IntoIterator<Item = impl Into<OsString>>) -> Call {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let done = Command::new(env!("CARGO_BIN_EXE_lienthong")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Call { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

fn corpus() -> PathBuf {
    let data = std::env::var_os("LIENTHONG_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    data.join("corpus")
}

fn in_corpus(options: &[&str], files: &[PathBuf]) -> Call {
    let trust = corpus().join("trust");
    let seal = |code: &str| format!("{code}={}", trust.join(format!("seal-{code}.pem")).display());
    let mut args: Vec<OsString> =
        ["verify", "--at", "2016-08-06T00:00:00Z", "--trust"].map(Into::into).into();
    args.push(trust.clone().into());
    args.extend(["--seal".into(), seal("H09").into(), "--seal".into(), seal("H09.21").into()]);
    args.extend(options.iter().map(Into::into));
    args.extend(files.iter().map(Into::into));
    lienthong(args)
}

struct Row {
    file: PathBuf,
    sender: String,
    expected: [String; 3],
}

fn rows() -> Vec<Row> {
    let mut reader = csv::Reader::from_path(corpus().join("expected.csv")).unwrap();
    let row = |row: csv::StringRecord| Row {
        file: corpus().join("documents").join(&row[0]),
        sender: row[2].to_owned(),
        expected: [3, 4, 5].map(|column| row[column].to_owned()),
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn every_document_of_the_corpus_gets_its_verdicts_as_json() {
    let rows = rows();
    assert_eq!(rows.len(), 34);
    for row in rows {
        let call = in_corpus(&["--format", "json", "--sender", &row.sender], std::slice::from_ref(&row.file));
        let name = row.file.file_name().unwrap().to_str().unwrap();
        let list: Vec<Value> = serde_json::from_str(&call.out).unwrap();
        let [one] = &list[..] else { panic!("{name}: {}", call.out) };
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        assert_eq!(["person", "agency", "reason"].map(text), row.expected, "{name}: {}", call.out);
        assert_eq!(text("file"), row.file.display().to_string());
        assert_eq!(call.err, "", "{name}");

        // 0 is the whole answer of a script that asks no more.
        let both = row.expected[0] == "valid" && row.expected[1] == "valid";
        assert_eq!(call.code, Some(if both { 0 } else { 1 }), "{name}");

        for signature in one["signatures"].as_array().unwrap() {
            for key in ["role", "verdict", "reason", "signer", "claimed_at", "proven_at", "algorithm"] {
                assert!(signature.get(key).is_some(), "{name}: {key}");
            }
            let valid = signature["verdict"] == "valid";
            assert_eq!(signature["reason"] == "", valid, "{name}");
            assert_eq!(signature["detail"] == "", valid, "{name}");
        }
    }
}

#[test]
fn a_table_has_a_row_for_each_document_and_a_line_for_each_signature() {
    for sender in ["H09", "H09.21"] {
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.sender == sender).collect();
        let files: Vec<PathBuf> = rows.iter().map(|row| row.file.clone()).collect();
        let call = in_corpus(&["--sender", sender], &files);
        let (table, rest) = call.out.split_once("\n\n").unwrap();
        let mut lines = table.lines();
        assert_eq!(
            lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["file", "person", "agency", "reason"]
        );
        for row in &rows {
            let mut expected = vec![row.file.display().to_string()];
            expected.extend(row.expected.iter().filter(|cell| !cell.is_empty()).cloned());
            assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>(), expected);
        }
        assert_eq!(lines.next(), None);
        assert!(rest.contains("docs/SIGNATURES.md") == (sender == "H09"));
        assert_eq!((call.code, call.err.as_str()), (Some(1), ""));
    }

    let file = |name: &str| corpus().join("documents").join(name);
    let two = in_corpus(&["--sender", "H09"], &[file("23-revoked.pdf"), file("34-truncated.pdf")]);
    let (_, rest) = two.out.split_once("\n\n").unwrap();
    let rest = rest.replace(&format!("{}/", corpus().join("documents").display()), "");
    assert_eq!(
        rest,
        "23-revoked.pdf
  person: invalid: Chứng thư bị thu hồi, rsa-2048-sha256, proven at 2016-07-04T07:00:00.000+07:00
    certificate_revoked: the certificate of `Chứng thư bị thu hồi` was revoked at 2016-06-01T07:00:00.000+07:00 \
         (keyCompromise), judged at 2016-07-04T07:00:00.000+07:00

34-truncated.pdf
  refused: malformed_document: it does not end as a PDF does, with startxref and %%EOF

docs/SIGNATURES.md says what each reason means, and what to do.
"
    );
}

/// A folder with the documents' keys, certificates and revocation lists of a new network.
fn network() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let made = lienthong([OsString::from("init"), dir.path().join("net").into(), "--local-network".into()]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let keys = dir.path().join("net/documents");
    (dir, keys)
}

fn sign(keys: &Path, who: &str, rest: &[&Path]) -> Call {
    let mut args: Vec<OsString> = vec!["sign".into(), "--key".into()];
    args.push(keys.join(format!("{who}.key")).into());
    args.extend(["--certificate".into(), keys.join(format!("{who}.pem")).into()]);
    args.extend(rest.iter().map(|arg| arg.into()));
    lienthong(args)
}

/// Verdicts on a file that H09 sent, and the exit status.
fn verify(keys: &Path, file: &Path) -> (String, String, Option<i32>) {
    let seal = format!("H09={}", keys.join("seal-H09.pem").display());
    let mut args: Vec<OsString> =
        ["verify", "--sender", "H09", "--format", "json", "--seal"].map(Into::into).into();
    args.extend([seal.into(), "--trust".into(), keys.into(), file.into()]);
    let call = lienthong(args);
    let list: Vec<Value> = serde_json::from_str(&call.out).unwrap_or_else(|_| panic!("{}", call.err));
    let text = |key: &str| list[0][key].as_str().unwrap().to_owned();
    (text("person"), text("agency"), call.code)
}

fn verdicts(person: &str, agency: &str, code: i32) -> (String, String, Option<i32>) {
    (person.into(), agency.into(), Some(code))
}

#[test]
fn what_sign_makes_inside_a_pdf_is_valid_and_nothing_is_overwritten() {
    let (dir, keys) = network();
    let [signed, sealed] = ["signed.pdf", "sealed.pdf"].map(|name| dir.path().join(name));
    let original = corpus().join("documents/06-unsigned.pdf");

    let call = sign(&keys, "person-H09", &[&original]);
    assert_eq!(call.code, Some(2));
    assert!(call.err.contains("with -o"), "{}", call.err);

    assert_eq!(sign(&keys, "person-H09", &[&original, Path::new("-o"), &signed]).code, Some(0));
    assert_eq!(verify(&keys, &signed), verdicts("valid", "absent", 1));
    assert_eq!(sign(&keys, "seal-H09", &[&signed, Path::new("-o"), &sealed]).code, Some(0));
    assert_eq!(verify(&keys, &sealed), verdicts("valid", "valid", 0));
    let [first, second, third] = [&original, &signed, &sealed].map(|file| std::fs::read(file).unwrap());
    assert!(second.starts_with(&first) && third.starts_with(&second));

    let again = sign(&keys, "seal-H09", &[&signed, Path::new("-o"), &sealed]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("exists"), "{}", again.err);
    assert_eq!(std::fs::read(&sealed).unwrap(), third);
}

#[test]
fn what_sign_makes_beside_a_file_is_valid_until_the_file_is_changed() {
    let (dir, keys) = network();
    let file = dir.path().join("công văn.xml");
    std::fs::write(&file, "<văn-bản/>").unwrap();
    assert_eq!(verify(&keys, &file), verdicts("absent", "absent", 1));
    assert_eq!(sign(&keys, "person-H09", &[&file]).code, Some(0));
    assert_eq!(verify(&keys, &file), verdicts("valid", "absent", 1));
    assert_eq!(sign(&keys, "seal-H09", &[&file]).code, Some(0));
    assert_eq!(verify(&keys, &file), verdicts("valid", "valid", 0));

    // The first is not looked for to find the second.
    std::fs::remove_file(file.with_added_extension("p7s")).unwrap();
    assert_eq!(verify(&keys, &file), verdicts("absent", "valid", 1));
    std::fs::write(&file, "<văn-bản />").unwrap();
    assert_eq!(verify(&keys, &file), verdicts("absent", "invalid", 1));
}

#[test]
fn a_request_for_a_timestamp_takes_no_other_reply() {
    let (dir, keys) = network();
    let [file, request, stamped] =
        ["letter.txt", "letter.tsq", "stamped.p7s"].map(|name| dir.path().join(name));
    std::fs::write(&file, "thư").unwrap();
    assert_eq!(sign(&keys, "person-H09", &[&file]).code, Some(0));
    let signature = file.with_added_extension("p7s");
    let ask = |rest: &[&Path]| {
        let mut args: Vec<OsString> = vec!["timestamp".into(), (&signature).into()];
        args.extend(rest.iter().map(|arg| arg.into()));
        lienthong(args)
    };
    assert_eq!(ask(&[Path::new("--request"), &request]).code, Some(0));
    // RFC 3161 §2.4.1: version, SHA-256 and 32 bytes of it, certReq.
    let made = std::fs::read(&request).unwrap();
    assert_eq!(
        (made.len(), &made[..7], &made[made.len() - 3..]),
        (59, &[0x30, 57, 2, 1, 1, 0x30, 0x31][..], &[1, 1, 0xff][..])
    );
    let call = ask(&[Path::new("--reply"), &request, Path::new("-o"), &stamped]);
    assert_eq!(call.code, Some(2));
    assert!(!stamped.exists(), "{}", call.err);
}

#[test]
fn what_cannot_be_read_is_said_and_keeps_no_other_file_from_being_judged() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| corpus().join("documents").join(name);
    let [folder, empty, huge] = ["folder.pdf", "empty.pdf", "huge.pdf"].map(|name| dir.path().join(name));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&empty, "").unwrap();
    std::fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let missing = dir.path().join("missing.pdf");
    let call = in_corpus(&["--sender", "H09"], &[missing, folder, empty, huge, file("04-person-only.pdf")]);
    assert_eq!(call.code, Some(2));
    for part in ["missing.pdf: No such file", "folder.pdf is a folder"] {
        assert!(call.err.contains(part), "{part}: {}", call.err);
    }
    // A pipe that nobody writes into would be waited for.
    let pipe = dir.path().join("pipe.pdf");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let waiting = in_corpus(&["--sender", "H09"], &[pipe]);
    assert_eq!(waiting.code, Some(2));
    assert!(waiting.err.contains("pipe.pdf is no file"), "{}", waiting.err);
    for part in
        ["empty.pdf", "it does not start as a PDF does", "too many bytes", "04-person-only.pdf  valid"]
    {
        assert!(call.out.contains(part), "{part}: {}", call.out);
    }
}

#[test]
fn what_is_typed_wrongly_says_how_to_type_it() {
    let file = || corpus().join("documents/04-person-only.pdf");
    let trust = corpus().join("trust");
    for (options, words) in [
        (&["--seal", "H09"][..], "CODE=FILE"),
        (&["--seal", "=seal.pem"], "CODE=FILE"),
        (&["--seal", "H09="], "CODE=FILE"),
        (&["--seal", "H09=no.pem"], "no.pem"),
        (&["--at", "yesterday"], "RFC 3339"),
    ] {
        let mut args: Vec<OsString> = vec!["verify".into(), "--trust".into(), (&trust).into()];
        args.extend(options.iter().map(Into::into));
        args.push(file().into());
        let call = lienthong(args);
        assert_eq!(call.code, Some(2), "{options:?}");
        assert!(call.err.contains(words), "{options:?}: {}", call.err);
    }
    // What is no mistake by itself is said beside the answer.
    assert!(in_corpus(&[], &[file()]).err.contains("no --sender"));
    assert!(in_corpus(&["--sender", "H08"], &[file()]).err.contains("no --seal H08="));

    let dir = tempfile::tempdir().unwrap();
    let under =
        |dir: &Path| lienthong([OsString::from("verify"), "--trust".into(), dir.into(), file().into()]);
    let call = under(dir.path());
    assert_eq!(call.code, Some(2));
    assert!(call.err.contains("there is no root-*.pem"), "{}", call.err);
    std::fs::copy(trust.join("root-rsa.pem"), dir.path().join("root-rsa.pem")).unwrap();
    std::fs::write(dir.path().join("bad.crl"), "rubbish").unwrap();
    let call = under(dir.path());
    assert_eq!(call.code, Some(1), "{}", call.err);
    for words in ["bad.crl", "neither DER nor PEM", "no *.crl that can be used"] {
        assert!(call.err.contains(words), "{}", call.err);
    }
    assert!(call.out.contains("revocation_unknown"), "{}", call.out);
}

#[test]
fn what_may_not_be_what_was_meant_is_said_beside_the_answer() {
    let (dir, keys) = network();
    let pdf = dir.path().join("letter.pdf");
    std::fs::copy(corpus().join("documents/04-person-only.pdf"), &pdf).unwrap();
    assert_eq!(sign(&keys, "seal-H09", &[Path::new("--detached"), &pdf]).code, Some(0));
    // The person inside, trusted nowhere here, counts as well: a seal beside the file heals nothing in it.
    assert_eq!(verify(&keys, &pdf), verdicts("invalid", "valid", 1));
    let ask =
        |file: &Path| lienthong([OsString::from("verify"), "--trust".into(), (&keys).into(), file.into()]);
    let said = ask(&pdf.with_added_extension("p7s")).err;
    assert!(said.contains("name the document"), "{said}");
    // Names that are not those of signatures.
    for name in ["letter.pdf.1.p7s", "letter.pdf.P7S"] {
        std::fs::copy(pdf.with_added_extension("p7s"), dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("letter.pdf.note.p7s"), "").unwrap();
    let said = ask(&pdf).err;
    for name in ["`letter.pdf.1.p7s` is not looked at", "`letter.pdf.P7S` is not looked at"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(!said.contains("note.p7s") && !said.contains("`letter.pdf.p7s`"), "{said}");
    // A PDF is one whatever its name.
    let other = dir.path().join("letter.bin");
    std::fs::copy(&pdf, &other).unwrap();
    assert_eq!(verify(&keys, &other), verdicts("invalid", "absent", 1));
    // Signatures that a later revision took out of the form.
    let mut bytes = std::fs::read(&pdf).unwrap();
    let start = bytes.len();
    let prev = String::from_utf8_lossy(&bytes).rsplit("startxref").next().unwrap().trim().to_owned();
    let prev = prev.lines().next().unwrap().trim().to_owned();
    let catalog = "900 0 obj\n<</Type/Catalog/Pages 901 0 R>>\nendobj\n";
    let at = start + catalog.len();
    bytes.extend(catalog.bytes());
    bytes.extend(format!("xref\n900 1\n{start:010} 00000 n \ntrailer\n<</Size 901/Root 900 0 R/Prev {prev}>>\nstartxref\n{at}\n%%EOF\n").bytes());
    std::fs::write(&other, bytes).unwrap();
    assert_eq!(verify(&keys, &other), verdicts("absent", "absent", 1));
    let said = ask(&other).err;
    assert!(said.contains("an earlier revision has signatures"), "{said}");
    std::fs::write(pdf.with_added_extension("17.p7s"), "").unwrap();
    let call = ask(&pdf);
    assert_eq!(call.code, Some(2));
    assert!(call.err.contains("at most 16 signatures"), "{}", call.err);
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf_8_is_told_by_its_bytes() {
    use std::os::unix::ffi::OsStringExt as _;

    let dir = tempfile::tempdir().unwrap();
    let name = OsString::from_vec(b"\xff\xfe.pdf".to_vec());
    let file = dir.path().join(name);
    std::fs::copy(corpus().join("documents/04-person-only.pdf"), &file).unwrap();
    let call = in_corpus(&["--sender", "H09", "--format", "json"], &[file]);
    let list: Vec<Value> = serde_json::from_str(&call.out).unwrap();
    assert!(list[0]["file_hex"].as_str().unwrap().ends_with("2ffffe2e706466"), "{}", call.out);
    assert_eq!(list[0]["person"], "valid");
}

#[test]
fn a_pdf_that_is_too_large_to_be_read_is_judged_by_what_is_beside_it() {
    let (dir, keys) = network();
    let pdf = dir.path().join("plan.pdf");
    let mut bytes = std::fs::read(corpus().join("documents/04-person-only.pdf")).unwrap();
    bytes.resize(MAX_PDF + 1, b'\n');
    std::fs::write(&pdf, bytes).unwrap();
    let ask = || lienthong([OsString::from("verify"), "--trust".into(), (&keys).into(), (&pdf).into()]);
    assert!(ask().out.contains("malformed_document"));
    assert_eq!(sign(&keys, "seal-H09", &[Path::new("--detached"), &pdf]).code, Some(0));
    assert_eq!(verify(&keys, &pdf), verdicts("absent", "valid", 1));
    let said = ask().err;
    assert!(said.contains("too large to be read for signatures inside it"), "{said}");
}
