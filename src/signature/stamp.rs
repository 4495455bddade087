//! Timestamps of anything (RFC 3161), beside those inside signatures: what to ask an authority, what it answered, and
//! since when that proves something to exist. Asking is not done here.

use ring::digest::{SHA256 as RING_SHA256, digest};

use super::algorithm::{Digest, SHA256};
use super::asn1::{BOOLEAN, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE, definite, tlv};
use super::attach::AttachError;
use super::cms::SignedData;
use super::revocation::embedded::Embedded;
use super::revocation::{Missed, Sources};
use super::timestamp::{self, Stamped};
use super::trust::Trust;
use super::verdict::Reason;
use crate::time::Timestamp;

/// Media type of a request (RFC 3161 §3.4).
pub const TIMESTAMP_QUERY: &str = "application/timestamp-query";

/// The request for a timestamp over a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampQuery {
    imprint: [u8; 32],
    nonce: Option<Vec<u8>>,
}

impl TimestampQuery {
    /// For something with this SHA-256.
    pub fn of_digest(imprint: [u8; 32]) -> TimestampQuery {
        TimestampQuery { imprint, nonce: None }
    }

    /// For these bytes, with random bytes that the answer must repeat, so that it is an answer to this request.
    pub fn of_bytes(bytes: &[u8], random: [u8; 8]) -> TimestampQuery {
        let mut imprint = [0; 32];
        imprint.copy_from_slice(digest(&RING_SHA256, bytes).as_ref());
        // A positive integer of eight octets, in its one form in DER.
        let [first, rest @ ..] = random;
        let nonce = [&[first & 0x7f | 0x40][..], &rest].concat();
        TimestampQuery { imprint, nonce: Some(nonce) }
    }

    /// TimeStampReq (RFC 3161 §2.4.1), which wants the authority's certificate in the token.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[SHA256]), &[NULL, 0]]);
        let stamped = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[&self.imprint])]);
        let nonce = self.nonce.as_ref().map(|n| tlv(INTEGER, &[n])).unwrap_or_default();
        tlv(SEQUENCE, &[&tlv(INTEGER, &[&[1]]), &stamped, &nonce, &tlv(BOOLEAN, &[&[0xff]])])
    }

    /// The token in an authority's reply (TimeStampResp, RFC 3161 §2.4.2), or the token itself, if it answers this
    /// request. Whether it is to be trusted is for [`prove_timestamp`] to say.
    pub fn token(&self, reply: &[u8]) -> Result<Vec<u8>, AttachError> {
        const WHAT: &str = "a timestamp reply";
        let token = |e: &dyn std::fmt::Display| AttachError::Token(e.to_string());
        let mut outer = Reader::ber(reply).enter(SEQUENCE, WHAT).map_err(|e| token(&e))?;
        let mut bytes = reply.to_vec();
        if let Some(status) = outer.optional(SEQUENCE).map_err(|e| token(&e))? {
            let status = Reader::ber(status.value).expect(INTEGER, "a status").map_err(|e| token(&e))?.value;
            if !matches!(status, [0 | 1]) {
                return Err(token(&format!("the authority refused (status {})", hex::encode(status))));
            }
            bytes = outer.any().map_err(|e| token(&e))?.raw.to_vec();
        }
        let der = definite(&bytes).map_err(|e| token(&e))?;
        let data = SignedData::parse(&der).map_err(|e| token(&e))?;
        let Stamped { imprint, nonce } = timestamp::stamped(&data).map_err(|e| token(&e))?;
        if imprint != self.imprint {
            return Err(token(&"it is of something else than what was asked for"));
        }
        if self.nonce.is_some() && nonce != self.nonce.as_deref() {
            return Err(token(&"it answers another request: the nonce differs"));
        }
        Ok(bytes)
    }
}

/// What a token is worth.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The time that it claims.
    pub claimed_at: Timestamp,
    /// Why it proves nothing; `None`: what was stamped existed at `claimed_at`.
    pub fault: Option<(Reason, String)>,
    /// SHA-256 of the token and of the revocation data that the answer rests on.
    pub evidence: Vec<[u8; 32]>,
    /// Certificates whose revocation is not known.
    pub missed: Vec<Missed>,
}

impl Stamp {
    /// Whether it proves its time.
    pub fn is_proof(&self) -> bool {
        self.fault.is_none()
    }
}

/// The time that a token claims; whether it proves it is for [`prove_timestamp`] to say. Fails when it cannot be read.
pub fn claimed_time(token: &[u8]) -> Result<Timestamp, AttachError> {
    let unread = |e: &dyn std::fmt::Display| AttachError::Token(e.to_string());
    let der = definite(token).map_err(|e| unread(&e))?;
    let data = SignedData::parse(&der).map_err(|e| unread(&e))?;
    timestamp::claimed(&data).map_err(|e| unread(&e))
}

/// Judges a token over these bytes at a time. Fails when it cannot be read.
pub fn prove_timestamp(
    token: &[u8],
    bytes: &[u8],
    trust: &Trust,
    judged_at: Timestamp,
) -> Result<Stamp, AttachError> {
    let unread = |e: &dyn std::fmt::Display| AttachError::Token(e.to_string());
    let der = definite(token).map_err(|e| unread(&e))?;
    let data = SignedData::parse(&der).map_err(|e| unread(&e))?;
    let claimed_at = timestamp::claimed(&data).map_err(|e| unread(&e))?;
    let mut embedded = Embedded::default();
    embedded.add_cms(&data);
    let all = [&embedded];
    let sources = Sources::new(trust, &all);
    let stamped = |digest: Digest| Some(digest.of_bytes(bytes).as_ref().to_vec());
    let proven = timestamp::prove(&der, &data, &stamped, trust, &sources, judged_at);
    let missed = sources.take_missed();
    Ok(match proven {
        Ok(proof) => Stamp { claimed_at: proof.at, fault: None, evidence: proof.evidence, missed },
        Err(fault) => {
            Stamp { claimed_at, fault: Some((fault.reason, fault.detail)), evidence: Vec::new(), missed }
        }
    })
}
