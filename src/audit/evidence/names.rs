//! Where things are in a container: every file's path, from what it is.

use std::collections::HashSet;

use crate::domain::document::Part;
use crate::domain::ids::{DeliveryId, Digest};

/// The media type of a container (EN 319 162-1, 4.4): the whole content of its first entry.
pub const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";
/// The entry with the media type.
pub const MIMETYPE: &str = "mimetype";
/// The manifest: digests of all other files.
pub const MANIFEST: &str = "META-INF/ASiCManifest.xml";
/// The signature over the manifest.
pub const SIGNATURE: &str = "META-INF/signature.p7s";
/// The page for a person.
pub const PAGE: &str = "index.html";
/// What the container is about, for a program.
pub const ABOUT: &str = "evidence.json";

/// Folder of the document's parts and of the signatures beside them.
pub const DOCUMENT: &str = "document/";
/// Folder of envelopes.
pub const MESSAGE: &str = "message/";
/// Folder of proven events.
pub const EVENT: &str = "event/";
/// Folder of directory versions.
pub const DIRECTORY: &str = "directory/";
/// Folder of revocation lists and OCSP responses.
pub const REVOCATION: &str = "revocation/";
/// Folder of signers' certificates.
pub const CERTIFICATE: &str = "certificate/";
/// Folder of checkpoints as others cosigned them.
pub const CHECKPOINT: &str = "checkpoint/";
/// Folder of timestamps, and of the checkpoints that they are over.
pub const TIMESTAMP: &str = "timestamp/";

/// Bytes of a file's name: what file systems take, with room for the ending of a signature.
const NAME_BYTES: usize = 200;

/// The envelope of a message.
pub fn envelope(id: &DeliveryId) -> String {
    format!("{MESSAGE}{id}.envelope")
}

/// A signature that a notice carries, from 0.
pub fn notice_signature(id: &DeliveryId, at: usize) -> String {
    format!("{MESSAGE}{id}{}", p7s(at))
}

/// A proven event; `again` is 0, or counts further proofs of the same one.
pub fn event(log: &str, index: u64, again: usize) -> String {
    let log = of_log(log);
    match again {
        0 => format!("{EVENT}{log}-{index:010}.proof"),
        n => format!("{EVENT}{log}-{index:010}.{}.proof", n + 1),
    }
}

/// A log's origin as a part of a name.
fn of_log(log: &str) -> String {
    log.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' }).collect()
}

/// A timestamp (`tst`) of the checkpoint of so many events, or that checkpoint (`note`).
pub fn timestamp(log: &str, size: u64, ending: &str) -> String {
    format!("{TIMESTAMP}{}-{size:010}.{ending}", of_log(log))
}

/// A checkpoint as others cosigned it.
pub fn checkpoint(log: &str, size: u64) -> String {
    format!("{CHECKPOINT}{}-{size:010}.note", of_log(log))
}

/// A directory version.
pub fn directory(version: u64) -> String {
    format!("{DIRECTORY}{version}.note")
}

/// Revocation data by digest.
pub fn revocation(digest: &Digest, is_list: bool) -> String {
    format!("{REVOCATION}{digest}.{}", if is_list { "crl" } else { "ocsp" })
}

/// A certificate by digest.
pub fn certificate(digest: &Digest) -> String {
    format!("{CERTIFICATE}{digest}.cer")
}

/// The media type of a file that is no part of the document.
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html",
        "json" => "application/json",
        "note" => "text/plain",
        "p7s" => "application/pkcs7-signature",
        "cer" => "application/pkix-cert",
        "crl" => "application/pkix-crl",
        "tst" => "application/timestamp-token",
        "ocsp" => "application/ocsp-response",
        "xml" => "text/xml",
        _ => "application/octet-stream",
    }
}

/// Where a part is, and the signatures beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFiles {
    /// The content.
    pub content: String,
    /// Its detached signatures, in order.
    pub signatures: Vec<String>,
}

/// The files of all parts: their names as sent, made good for any file system, each once.
pub fn parts(parts: &[Part]) -> Vec<PartFiles> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut files = Vec::with_capacity(parts.len());
    for part in parts {
        let wanted = good(&part.name);
        let mut name = wanted.clone();
        let mut n = 2;
        let of = |name: &str| {
            let signatures = (0..part.signatures.len()).map(|i| format!("{name}{}", p7s(i)));
            std::iter::once(name.to_owned()).chain(signatures).collect::<Vec<_>>()
        };
        // Names that differ in case only are one name on some systems.
        while of(&name).iter().any(|file| taken.contains(&file.to_lowercase())) {
            name = numbered(&wanted, n);
            n += 1;
        }
        let mut all = of(&name);
        taken.extend(all.iter().map(|file| file.to_lowercase()));
        all.iter_mut().for_each(|file| file.insert_str(0, DOCUMENT));
        let content = all.remove(0);
        files.push(PartFiles { content, signatures: all });
    }
    files
}

/// The ending of a signature beside a file, from 0: as `lienthong verify` finds it.
fn p7s(at: usize) -> String {
    if at == 0 { ".p7s".to_owned() } else { format!(".{}.p7s", at + 1) }
}

/// A name without what some file system does not take, short enough for all.
fn good(name: &str) -> String {
    let bad = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    let name: String = name.chars().map(|c| if bad(c) { '_' } else { c }).collect();
    let name = name.trim_matches(['.', ' ']);
    let (stem, ending) = split(name);
    let mut end = NAME_BYTES.saturating_sub(ending.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem[..end].trim_end();
    if stem.is_empty() { format!("part{ending}") } else { format!("{stem}{ending}") }
}

fn numbered(name: &str, n: u32) -> String {
    let (stem, ending) = split(name);
    format!("{stem} ({n}){ending}")
}

/// Name and ending; a long ending is none.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, ""),
    }
}

/// A path as an URI reference (RFC 3986): what is not unreserved is percent-encoded, slashes stay.
pub fn to_uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// The path of an URI reference; `None` where it is not one that [`to_uri`] writes.
pub fn from_uri(uri: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            bytes.extend(hex::decode(tail.get(..2)?).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok().filter(|path| to_uri(path) == uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::PartRole;
    use crate::merkle::sha256;

    fn part(name: &str, signatures: usize) -> Part {
        Part {
            name: name.to_owned(),
            media_type: "text/plain".to_owned(),
            size: 1,
            sha256: sha256(b""),
            role: PartRole::Main,
            signatures: vec![(sha256(b"s"), 1); signatures],
        }
    }

    #[test]
    fn names_are_kept_made_good_and_never_given_twice() {
        let long = "ă".repeat(200) + ".pdf";
        let sent = [
            part("công văn.pdf", 2),
            part("Công Văn.PDF", 0),
            part("công văn.pdf.2.p7s", 0),
            part("a:b\u{7}|c.", 0),
            part("...", 0),
            part(&long, 1),
            part(&long, 1),
        ];
        let files = parts(&sent);
        let names: Vec<&str> = files.iter().map(|f| f.content.as_str()).collect();
        assert_eq!(
            names[..5],
            [
                "document/công văn.pdf",
                "document/Công Văn (2).PDF",
                "document/công văn.pdf.2 (2).p7s",
                "document/a_b__c",
                "document/part",
            ]
        );
        assert_eq!(files[0].signatures, ["document/công văn.pdf.p7s", "document/công văn.pdf.2.p7s"]);
        assert!(names[5].ends_with("ă.pdf") && names[5].len() <= NAME_BYTES + DOCUMENT.len());
        assert!(names[6].ends_with("ă (2).pdf") && names[6].len() < 255);
        let all: HashSet<String> = files
            .iter()
            .flat_map(|f| f.signatures.iter().chain([&f.content]))
            .map(|f| f.to_lowercase())
            .collect();
        assert_eq!(all.len(), 7 + 4);
    }

    #[test]
    fn a_path_has_one_uri() {
        let path = "document/công văn (2).pdf";
        let uri = to_uri(path);
        assert_eq!(uri, "document/c%C3%B4ng%20v%C4%83n%20%282%29.pdf");
        assert_eq!(from_uri(&uri).as_deref(), Some(path));
        for bad in ["%", "%4", "%zz", "%61", "a b", "%ff", "%c3%b4"] {
            assert_eq!(from_uri(bad), None, "{bad}");
        }
    }
}
