//! Names as keys: what two encodings of one name have in common.
//!
//! RFC 5280 §7.1 compares names without regard to the kind of string, to case and to runs of spaces. [`key`] folds these
//! away, so that a map and `==` do the comparing. Text that cannot be read stays as its bytes.

use crate::signature::asn1::{Asn1Error, OID, Reader, SEQUENCE, SET};
use crate::signature::certificate::string;

/// The key of a Name with its header.
pub(crate) fn key(name: &[u8]) -> Result<Vec<u8>, Asn1Error> {
    const WHAT: &str = "a name";
    let mut key = Vec::with_capacity(name.len());
    let mut rdns = Reader::new(name).enter(SEQUENCE, WHAT)?;
    while !rdns.is_empty() {
        let mut rdn = rdns.enter(SET, WHAT)?;
        let mut parts = Vec::new();
        while !rdn.is_empty() {
            let mut attribute = rdn.enter(SEQUENCE, WHAT)?;
            let kind = attribute.expect(OID, WHAT)?;
            let value = attribute.any()?;
            let folded = match string(value) {
                Some(text) => {
                    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
                    words.join(" ").into_bytes()
                }
                None => value.raw.to_vec(),
            };
            let mut part = kind.raw.to_vec();
            part.extend_from_slice(&(folded.len() as u64).to_be_bytes());
            part.extend_from_slice(&folded);
            parts.push(part);
        }
        parts.sort_unstable();
        key.push(parts.len().min(255) as u8);
        parts.iter().for_each(|part| key.extend_from_slice(part));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::asn1::tlv;

    fn name(tag: u8, text: &str) -> Vec<u8> {
        let attribute = tlv(SEQUENCE, &[&tlv(OID, &[&[0x55, 4, 3]]), &tlv(tag, &[text.as_bytes()])]);
        tlv(SEQUENCE, &[&tlv(SET, &[&attribute])])
    }

    #[test]
    fn kind_of_string_case_and_spaces_make_no_difference_and_letters_do() {
        let key = |tag, text| key(&name(tag, text)).unwrap();
        assert_eq!(key(0x0c, "CA  Cơ Quan "), key(0x0c, "ca cơ quan"));
        assert_eq!(key(0x0c, "Good CA"), key(0x13, "good ca"));
        assert_ne!(key(0x0c, "CA co quan"), key(0x0c, "ca cơ quan"));
        assert_ne!(key(0x0c, "ab"), key(0x0c, "a b"));
    }
}
