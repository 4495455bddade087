//! Making CAdES-T of CAdES-B: a timestamp token becomes an unsigned attribute (EN 319 122-1 §5.3, RFC 3161 appendix A).
//!
//! The signature stays as it is, byte for byte; only the headers around the new attribute are written anew, in DER.
//! Asking a timestamp authority is not done here: [`timestamp_request`] says what for, [`timestamp_token`] reads what it
//! answers.

use super::asn1::{OID, Reader, SEQUENCE, SET, context, definite, set_of_order, tlv};
use super::cms::{CmsError, SIGNATURE_TIMESTAMP, SignedData};
use super::digest::sha256;
use super::stamp::TimestampQuery;

/// Why a timestamp cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The signature cannot be read.
    #[error("the signature: {0}")]
    Signature(String),
    /// The token cannot be read.
    #[error("the timestamp: {0}")]
    Token(String),
}

fn signature(e: impl std::fmt::Display) -> AttachError {
    AttachError::Signature(e.to_string())
}

/// SHA-256 of a signature's value: what a timestamp over it is to be asked for (RFC 3161 appendix A).
pub fn timestamp_imprint(cms: &[u8]) -> Result<[u8; 32], AttachError> {
    let cms = definite(cms).map_err(signature)?;
    Ok(sha256(SignedData::parse(&cms).map_err(signature)?.signer.signature))
}

/// The request for such a timestamp (RFC 3161 §2.4.1), which wants the authority's certificate in the token.
pub fn timestamp_request(cms: &[u8]) -> Result<Vec<u8>, AttachError> {
    Ok(TimestampQuery::of_digest(timestamp_imprint(cms)?).to_der())
}

/// The token in an authority's reply (RFC 3161 §2.4.2), or the token itself, if it is of this signature.
pub fn timestamp_token(reply: &[u8], cms: &[u8]) -> Result<Vec<u8>, AttachError> {
    TimestampQuery::of_digest(timestamp_imprint(cms)?).token(reply)
}

/// The signature with a timestamp token (a ContentInfo) as unsigned attribute signature-time-stamp. Whether the token
/// is of this signature, and trusted, is the verifier's to say.
pub fn add_timestamp(cms: &[u8], token: &[u8]) -> Result<Vec<u8>, AttachError> {
    let token = definite(token).map_err(|e| AttachError::Token(e.to_string()))?;
    SignedData::parse(&token).map_err(|e| AttachError::Token(e.to_string()))?;
    let cms = definite(cms).map_err(signature)?;
    SignedData::parse(&cms).map_err(signature)?;
    rebuild(&cms, &token).map_err(signature)
}

fn rebuild(cms: &[u8], token: &[u8]) -> Result<Vec<u8>, CmsError> {
    const WHAT: &str = "a signature";
    let mut info = Reader::ber(cms).enter(SEQUENCE, WHAT)?;
    let kind = info.expect(OID, WHAT)?.raw;
    let mut data = info.enter(context(0), WHAT)?.enter(SEQUENCE, WHAT)?;
    let mut before: Vec<&[u8]> = Vec::new();
    let signers = loop {
        let field = data.any()?;
        // The last SET is that of the signers; the one of the digest algorithms stands before others.
        if field.tag == SET && data.is_empty() {
            break field.value;
        }
        before.push(field.raw);
    };
    let mut signer = Reader::ber(signers).enter(SEQUENCE, WHAT)?;
    let (mut fields, mut unsigned): (Vec<&[u8]>, Vec<&[u8]>) = Default::default();
    while !signer.is_empty() {
        let field = signer.any()?;
        if field.tag != context(1) {
            fields.push(field.raw);
            continue;
        }
        let mut all = Reader::ber(field.value);
        while !all.is_empty() {
            unsigned.push(all.any()?.raw);
        }
    }
    let stamp = tlv(SEQUENCE, &[&tlv(OID, &[SIGNATURE_TIMESTAMP]), &tlv(SET, &[token])]);
    unsigned.push(&stamp);
    unsigned.sort_unstable_by(|a, b| set_of_order(a, b));
    let unsigned = tlv(context(1), &unsigned);
    fields.push(&unsigned);
    let signers = tlv(SET, &[&tlv(SEQUENCE, &fields)]);
    before.push(&signers);
    Ok(tlv(SEQUENCE, &[kind, &tlv(context(0), &[&tlv(SEQUENCE, &before)])]))
}
