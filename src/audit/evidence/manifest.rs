//! The manifest of a container: an ASiCManifest (EN 319 162-1, A.4) with the SHA-256 of every file outside META-INF.
//!
//! It is read as it is written, line by line: what is written in any other way is refused, so that nothing in it can be
//! read in two ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::{SIGNATURE, from_uri, media_type, to_uri};
use crate::domain::ids::Digest;
use crate::merkle::Hash;

/// Bytes of a manifest that is read: ten thousand files with long names.
pub const MAX_BYTES: u64 = 16 << 20;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<asic:ASiCManifest \
    xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n";
const METHOD: &str = "    <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/>\n";
const END: &str = "</asic:ASiCManifest>\n";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its path in the container.
    pub path: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// All files, in the container's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The files.
    pub files: Vec<Reference>,
    /// Whether there is a signature over the manifest.
    pub signed: bool,
}

impl Manifest {
    /// As XML.
    pub fn render(&self) -> String {
        let mut xml = HEAD.to_owned();
        if self.signed {
            let kind = media_type(SIGNATURE);
            xml.push_str(&format!("  <asic:SigReference URI=\"{SIGNATURE}\" MimeType=\"{kind}\"/>\n"));
        }
        for file in &self.files {
            xml.push_str(&format!(
                "  <asic:DataObjectReference URI=\"{}\" MimeType=\"{}\">\n{METHOD}    \
                 <ds:DigestValue>{}</ds:DigestValue>\n  </asic:DataObjectReference>\n",
                to_uri(&file.path),
                escape(&file.media_type),
                STANDARD.encode(file.digest.as_bytes())
            ));
        }
        xml.push_str(END);
        xml
    }

    /// From XML; the error says what stands where something else should.
    pub fn parse(xml: &str) -> Result<Manifest, String> {
        let mut manifest = Manifest::default();
        for line in xml.lines().map(str::trim) {
            if line.starts_with("<asic:SigReference ") {
                manifest.signed = true;
            } else if let Some(rest) = line.strip_prefix("<asic:DataObjectReference URI=\"") {
                let read = rest.strip_suffix("\">").and_then(|rest| rest.split_once("\" MimeType=\""));
                let (path, media_type) =
                    read.and_then(|(uri, kind)| Some((from_uri(uri)?, unescape(kind)?))).ok_or_else(
                        || format!("it is not written as a manifest of evidence is: {}", short(line)),
                    )?;
                manifest.files.push(Reference { path, media_type, digest: Hash([0; 32]) });
            } else if let Some(value) = line.strip_prefix("<ds:DigestValue>") {
                let value = value.strip_suffix("</ds:DigestValue>").and_then(Hash::from_base64);
                match (value, manifest.files.last_mut()) {
                    (Some(digest), Some(file)) => file.digest = digest,
                    _ => return Err(format!("a digest that is none: {}", short(line))),
                }
            }
        }
        let again = manifest.render();
        if again == xml {
            return Ok(manifest);
        }
        let differs = again.lines().zip(xml.lines()).find(|(a, b)| a != b).map_or("its end", |(_, b)| b);
        Err(format!("it is not written as a manifest of evidence is: {}", short(differs)))
    }
}

fn short(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(120).collect()
}

const ENTITIES: [(char, &str); 4] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")];

/// A text as it stands in XML and HTML.
pub fn escape(text: &str) -> String {
    let entity = |c| ENTITIES.iter().find(|(plain, _)| *plain == c).map(|(_, entity)| *entity);
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match entity(c) {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
        out
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (plain, entity) = ENTITIES.iter().find(|(_, entity)| rest[at..].starts_with(entity))?;
        out.push(*plain);
        rest = &rest[at + entity.len()..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::sha256;

    #[test]
    fn a_manifest_reads_back_and_has_one_spelling() {
        let file = |path: &str, kind: &str| Reference {
            path: path.to_owned(),
            media_type: kind.to_owned(),
            digest: sha256(path.as_bytes()),
        };
        let files = vec![
            file("document/công văn & <1>.xml", "text/xml; a=\"&amp;\""),
            file("index.html", "text/html"),
        ];
        for signed in [false, true] {
            let manifest = Manifest { files: files.clone(), signed };
            let xml = manifest.render();
            assert_eq!(Manifest::parse(&xml), Ok(manifest));
            for at in 0..xml.len() {
                let mut bytes = xml.clone().into_bytes();
                bytes[at] ^= 1;
                if let Ok(changed) = String::from_utf8(bytes) {
                    // What still reads says something else.
                    assert_ne!(Manifest::parse(&changed), Manifest::parse(&xml), "byte {at}");
                }
            }
            assert!(Manifest::parse(&xml.replace("\n  <asic:Data", "\n <asic:Data")).is_err());
            assert!(Manifest::parse(&format!("{xml}\n")).is_err());
        }
    }
}
