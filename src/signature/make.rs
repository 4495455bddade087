//! Making detached CAdES-B-B signatures (EN 319 122-1 §6.3): content-type, message-digest, signing-time and
//! signing-certificate-v2, with the signer's certificate and its chain, in DER. Without the signing-time, the same
//! for PDF (`pdf::make`).
//!
//! All but three of the pieces depend on the certificate alone and are encoded once.

use std::fmt;

use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{self as sig, EcdsaKeyPair, KeyPair as _};

use crate::time::Timestamp;

use super::algorithm::{ECDSA_SHA256, RSA_SHA256, SHA256};
use super::asn1::{INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, context, encode_time, set_of_order, tlv};
use super::certificate::Certificate;
use super::cms::{
    CONTENT_TYPE, ID_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
};
use super::digest::sha256;

/// Why no signature can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The bytes are no private key that signs here.
    #[error("not a PKCS #8 private key of ECDSA P-256, or of RSA with 2048 to 4096 bits: {0}")]
    Key(String),
    /// The bytes are not a certificate in DER.
    #[error("not a certificate: {0}")]
    Certificate(String),
    /// The certificate is for another key.
    #[error("the certificate of `{0}` is for another key")]
    OtherKey(String),
    /// The certificate is one that no verifier takes.
    #[error("the certificate of `{subject}` is not for documents: {why}")]
    NotForDocuments {
        /// The subject of the certificate.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time cannot be written.
    #[error("{0} cannot be written as a signing time")]
    Time(Timestamp),
    /// The key does not sign.
    #[error("the key does not sign")]
    Failed,
}

/// A private key. It never shows itself.
pub enum SigningKey {
    /// ECDSA P-256 with SHA-256.
    EcdsaP256(EcdsaKeyPair),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// Reads a private key in PKCS #8 (RFC 5958), DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<SigningKey, SignError> {
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            return Ok(SigningKey::EcdsaP256(key));
        }
        RsaKeyPair::from_pkcs8(der).map(SigningKey::Rsa).map_err(|e| SignError::Key(e.to_string()))
    }

    /// The public key as it stands in the bits of a SubjectPublicKeyInfo.
    fn public(&self) -> &[u8] {
        match self {
            SigningKey::EcdsaP256(key) => key.public_key().as_ref(),
            SigningKey::Rsa(key) => key.public().as_ref(),
        }
    }

    /// The AlgorithmIdentifier of its signatures (RFC 5754 §3).
    fn algorithm(&self) -> Vec<u8> {
        match self {
            SigningKey::EcdsaP256(_) => tlv(SEQUENCE, &[&tlv(OID, &[ECDSA_SHA256])]),
            SigningKey::Rsa(_) => tlv(SEQUENCE, &[&tlv(OID, &[RSA_SHA256]), &[NULL, 0]]),
        }
    }

    pub(super) fn sign(&self, random: &SystemRandom, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            SigningKey::EcdsaP256(key) => {
                Ok(key.sign(random, message).map_err(|_| SignError::Failed)?.as_ref().to_vec())
            }
            SigningKey::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&sig::RSA_PKCS1_SHA256, random, message, &mut signature)
                    .map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SigningKey::EcdsaP256(_) => "SigningKey::EcdsaP256(..)",
            SigningKey::Rsa(_) => "SigningKey::Rsa(..)",
        })
    }
}

/// A key with its certificate, ready to sign.
pub struct Signer {
    key: SigningKey,
    random: SystemRandom,
    subject: String,
    /// From the version of the SignedData to the certificates.
    head: Vec<u8>,
    /// The version of the SignerInfo, the signer identifier and the digest algorithm.
    signer: Vec<u8>,
    /// The attributes content-type and signing-certificate-v2.
    fixed: [Vec<u8>; 2],
    /// The signature algorithm.
    algorithm: Vec<u8>,
}

impl Signer {
    /// From a key, its certificate and the certificates of its issuers, all in DER. The certificate must be for this
    /// key and for signing documents; whether it is valid, and trusted, is the verifier's to say.
    pub fn new(key: SigningKey, certificate_der: Vec<u8>, chain: Vec<Vec<u8>>) -> Result<Signer, SignError> {
        let bad = |e: super::asn1::Asn1Error| SignError::Certificate(e.to_string());
        let certificate = Certificate::read(&certificate_der).map_err(bad)?;
        let subject = certificate.subject_text();
        if certificate.key.bits() != key.public() {
            return Err(SignError::OtherKey(subject));
        }
        if let Err(fault) = certificate.for_documents() {
            return Err(SignError::NotForDocuments { subject, why: fault.detail });
        }
        for issuer in &chain {
            Certificate::read(issuer).map_err(bad)?;
        }

        // RFC 5652 §5.1. A CertificateSet is a SET OF, in order in DER.
        let digest = tlv(SEQUENCE, &[&tlv(OID, &[SHA256]), &[NULL, 0]]);
        let mut certificates: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        certificates.push(&certificate_der);
        certificates.sort_unstable_by(|a, b| set_of_order(a, b));
        certificates.dedup();
        let head = [
            tlv(INTEGER, &[&[1]]),
            tlv(SET, &[&digest]),
            tlv(SEQUENCE, &[&tlv(OID, &[ID_DATA])]),
            tlv(context(0), &certificates),
        ]
        .concat();

        // RFC 5652 §5.3, up to the signed attributes.
        let serial = tlv(INTEGER, &[certificate.serial]);
        let id = tlv(SEQUENCE, &[certificate.issuer, &serial]);
        let signer = [tlv(INTEGER, &[&[1]]), id, digest].concat();

        // RFC 5035 §3: the hash algorithm is left out where it is the default, SHA-256.
        let hash = tlv(OCTET_STRING, &[&sha256(&certificate_der)]);
        let names = tlv(SEQUENCE, &[&tlv(context(4), &[certificate.issuer])]);
        let ess_id = tlv(SEQUENCE, &[&hash, &tlv(SEQUENCE, &[&names, &serial])]);
        let signing_certificate = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&ess_id])]);
        let fixed = [
            attribute(CONTENT_TYPE, &tlv(OID, &[ID_DATA])),
            attribute(SIGNING_CERTIFICATE_V2, &signing_certificate),
        ];
        let algorithm = key.algorithm();
        Ok(Signer { key, random: SystemRandom::new(), subject, head, signer, fixed, algorithm })
    }

    /// A detached signature over a content with this SHA-256, which claims this time.
    pub fn sign_detached(&self, content_sha256: &[u8; 32], at: Timestamp) -> Result<Vec<u8>, SignError> {
        let time = attribute(SIGNING_TIME, &encode_time(at).ok_or(SignError::Time(at))?);
        self.sign(content_sha256, Some(&time))
    }

    /// A signature for the /Contents of a PDF: the signing-time attribute shall not be there, for the signature
    /// dictionary has the time (EN 319 142-1 §6.3).
    pub(super) fn sign_pdf_digest(&self, content_sha256: &[u8; 32]) -> Result<Vec<u8>, SignError> {
        self.sign(content_sha256, None)
    }

    /// More bytes than a signature for a PDF has.
    pub(super) fn pdf_room(&self) -> usize {
        // The lengths, the message-digest and the signature itself, of 512 bytes at most, are the rest.
        let fixed = self.fixed.iter().map(Vec::len).sum::<usize>();
        self.head.len() + self.signer.len() + fixed + self.algorithm.len() + 768
    }

    fn sign(&self, content_sha256: &[u8; 32], time: Option<&[u8]>) -> Result<Vec<u8>, SignError> {
        let digest = attribute(MESSAGE_DIGEST, &tlv(OCTET_STRING, &[content_sha256]));
        let mut attributes: Vec<&[u8]> = vec![&self.fixed[0], &self.fixed[1], &digest];
        attributes.extend(time);
        attributes.sort_unstable_by(|a, b| set_of_order(a, b));

        // RFC 5652 §5.4: signed as a SET OF, sent under the implicit tag.
        let mut attributes = tlv(SET, &attributes);
        let signature = self.key.sign(&self.random, &attributes)?;
        attributes[0] = context(0);

        let value = tlv(OCTET_STRING, &[&signature]);
        let info = tlv(SEQUENCE, &[&self.signer, &attributes, &self.algorithm, &value]);
        let data = tlv(SEQUENCE, &[&self.head, &tlv(SET, &[&info])]);
        Ok(tlv(SEQUENCE, &[&tlv(OID, &[ID_SIGNED_DATA]), &tlv(context(0), &[&data])]))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("key", &self.key)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// An Attribute with one value (RFC 5652 §5.3).
fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OID, &[kind]), &tlv(SET, &[value])])
}
