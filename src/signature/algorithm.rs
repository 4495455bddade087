//! The algorithms verified, and the words for those that are not.
//!
//! | signature | digest | key |
//! |---|---|---|
//! | ECDSA (RFC 5754 §3.3) | SHA-256, SHA-384 | P-256, P-384 |
//! | RSASSA-PKCS1-v1_5 (RFC 5754 §3.2) | SHA-256, SHA-384, SHA-512 | 2048 to 8192 bits |
//! | RSASSA-PSS (RFC 4055, RFC 4056), MGF1 over the same digest, a salt of its length | SHA-256, SHA-384, SHA-512 | 2048 to 8192 bits |
//! | Ed25519 (RFC 8419, RFC 8410) | SHA-512 in a CMS | – |
//!
//! MD2, MD4, MD5, SHA-1 and RSA under 2048 bits are weak. All else, ECDSA with SHA-512 and RSASSA-PSS with another
//! salt among it, is unsupported, for ring does not verify it, and the detail says which it is. The signature itself is
//! ring's to verify. Both values s of an ECDSA signature are as good as each other: RFC 5652 demands no low s.

use ring::signature::{self as sig, UnparsedPublicKey, VerificationAlgorithm};

use super::asn1::{Asn1Error, BIT_STRING, INTEGER, NULL, OID, Reader, SEQUENCE, dotted};
use super::verdict::{Fault, Reason};

pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
pub(crate) const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// 1.2.840.113549.2: the digests of PKCS, of which 2, 4 and 5 are MD2, MD4 and MD5.
const PKCS_DIGESTS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];

/// 1.2.840.113549.1.1: PKCS #1 (RFC 8017 appendix C).
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
pub(crate) const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// 1.2.840.10045.4: the signatures of ANSI X9.62 (RFC 5480 appendix A).
const ECDSA_SIGNATURES: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
pub(crate) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A digest that signatures are made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// The digest that an AlgorithmIdentifier's object identifier names (RFC 5754 §2).
    pub fn of(oid: &[u8]) -> Result<Digest, Fault> {
        match oid {
            SHA256 => Ok(Digest::Sha256),
            SHA384 => Ok(Digest::Sha384),
            SHA512 => Ok(Digest::Sha512),
            SHA1 => Err(Fault::new(Reason::WeakAlgorithm, "digest SHA-1")),
            _ => match oid.strip_prefix(PKCS_DIGESTS) {
                Some([n @ (2 | 4 | 5)]) => Err(Fault::new(Reason::WeakAlgorithm, format!("digest MD{n}"))),
                _ => Err(Fault::new(Reason::UnsupportedAlgorithm, format!("digest {}", dotted(oid)))),
            },
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
        }
    }

    /// The length of the digest in octets.
    pub const fn len(self) -> u64 {
        match self {
            Digest::Sha256 => 32,
            Digest::Sha384 => 48,
            Digest::Sha512 => 64,
        }
    }

    pub fn of_bytes(self, bytes: &[u8]) -> ring::digest::Digest {
        ring::digest::digest(
            match self {
                Digest::Sha256 => &ring::digest::SHA256,
                Digest::Sha384 => &ring::digest::SHA384,
                Digest::Sha512 => &ring::digest::SHA512,
            },
            bytes,
        )
    }
}

/// An AlgorithmIdentifier as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AlgorithmId<'a> {
    pub oid: &'a [u8],
    /// The parameters with their header; empty when absent.
    pub parameters: &'a [u8],
}

impl<'a> AlgorithmId<'a> {
    pub fn read(reader: &mut Reader<'a>, what: &'static str) -> Result<Self, Asn1Error> {
        let mut inner = reader.enter(SEQUENCE, what)?;
        let oid = inner.expect(OID, what)?.value;
        let parameters = if inner.is_empty() { &[][..] } else { inner.any()?.raw };
        inner.end(what)?;
        Ok(AlgorithmId { oid, parameters })
    }

    /// Absent parameters, or NULL: both are in use for digests and RSA (RFC 5754 §2, RFC 4055 §5).
    pub fn plain(&self) -> bool {
        self.parameters.is_empty() || self.parameters == [NULL, 0]
    }
}

/// A SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicKey<'a> {
    algorithm: AlgorithmId<'a>,
    bits: &'a [u8],
    /// Both, with their headers' contents.
    raw: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Asn1Error> {
        let mut spki = reader.enter(SEQUENCE, "a public key")?;
        let raw = spki.rest();
        let algorithm = AlgorithmId::read(&mut spki, "a public key's algorithm")?;
        let bits = bit_string(&mut spki, "a public key")?;
        spki.end("a public key")?;
        Ok(PublicKey { algorithm, bits, raw })
    }

    /// The key's own encoding: a point, or an RSAPublicKey.
    pub fn bits(&self) -> &'a [u8] {
        self.bits
    }

    /// All of it but the outermost header.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// That it is an RSA key too short to prove anything.
    fn weakness(&self) -> Option<Fault> {
        let rsa = matches!(self.algorithm.oid.strip_prefix(PKCS1), Some([1 | 10]));
        let bits = self.modulus_bits().ok().filter(|bits| rsa && *bits < 2048)?;
        Some(Fault::new(Reason::WeakAlgorithm, format!("RSA key of {bits} bits, 2048 are the least")))
    }

    /// The bits of the modulus of an RSA key.
    fn modulus_bits(&self) -> Result<usize, Asn1Error> {
        let mut reader = Reader::new(self.bits);
        let mut key = reader.enter(SEQUENCE, "an RSA key")?;
        let modulus = key.expect(INTEGER, "an RSA modulus")?.value;
        let digits = modulus.strip_prefix(&[0]).unwrap_or(modulus);
        Ok((digits.len() * 8).saturating_sub(digits.first().map_or(0, |b| b.leading_zeros() as usize)))
    }
}

/// The contents of a BIT STRING of whole octets.
pub(crate) fn bit_string<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], Asn1Error> {
    match reader.expect(BIT_STRING, what)?.value {
        [0, bits @ ..] => Ok(bits),
        _ => Err(Asn1Error::Value(what)),
    }
}

#[cfg(test)]
thread_local! {
    /// How many signatures this thread verified.
    pub(crate) static VERIFICATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A signature algorithm with the key it is used with: what is left is to verify.
pub(crate) struct Verifier<'a> {
    key: UnparsedPublicKey<&'a [u8]>,
    /// For example `ecdsa-p256-sha256`.
    pub name: String,
}

impl<'a> Verifier<'a> {
    /// Whether this algorithm with this key is verified here. `digest` is the one that the signer names beside the
    /// algorithm (RFC 5652 §5.3); a certificate's signature has none.
    pub fn new(id: &AlgorithmId<'_>, digest: Option<Digest>, key: &PublicKey<'a>) -> Result<Self, Fault> {
        let unsupported = |what: String| Fault::new(Reason::UnsupportedAlgorithm, what);
        let weak = key.weakness();
        let named = match named_digest(id, digest) {
            Ok(named) => named,
            Err(fault) => return Err(weak.filter(|w| w.reason < fault.reason).unwrap_or(fault)),
        };
        if let (Some(named), Some(stated)) = (named, digest)
            && named != stated
        {
            let text =
                format!("the signature algorithm is over {}, the digest {}", named.as_str(), stated.as_str());
            return Err(Fault::new(Reason::MalformedSignature, text));
        }
        let key_oid = key.algorithm.oid;
        let (algorithm, name): (&'static dyn VerificationAlgorithm, String) = if id.oid == ED25519 {
            if key_oid != ED25519 {
                return Err(mismatch("Ed25519", key_oid));
            }
            if digest.is_some_and(|d| d != Digest::Sha512) {
                return Err(Fault::new(
                    Reason::MalformedSignature,
                    "Ed25519 in a CMS goes with sha512 (RFC 8419 §3.1)",
                ));
            }
            (&sig::ED25519, "ed25519".into())
        } else if id.oid.starts_with(ECDSA_SIGNATURES) {
            let curve = match (key_oid, key.algorithm.parameters) {
                (EC_PUBLIC_KEY, [OID, _, curve @ ..]) => curve,
                _ => return Err(mismatch("ECDSA", key_oid)),
            };
            match (curve, named) {
                (P256, Some(Digest::Sha256)) => (&sig::ECDSA_P256_SHA256_ASN1, "ecdsa-p256-sha256".into()),
                (P256, Some(Digest::Sha384)) => (&sig::ECDSA_P256_SHA384_ASN1, "ecdsa-p256-sha384".into()),
                (P384, Some(Digest::Sha256)) => (&sig::ECDSA_P384_SHA256_ASN1, "ecdsa-p384-sha256".into()),
                (P384, Some(Digest::Sha384)) => (&sig::ECDSA_P384_SHA384_ASN1, "ecdsa-p384-sha384".into()),
                (P256 | P384, _) => return Err(unsupported("ECDSA with SHA-512".into())),
                _ => return Err(unsupported(format!("elliptic curve {}", dotted(curve)))),
            }
        } else {
            let pss = id.oid.strip_prefix(PKCS1) == Some(&[10]);
            match key_oid.strip_prefix(PKCS1) {
                Some([1]) => {}
                // RFC 4055 §3.3: a key for PSS alone, its parameters when present those of every signature.
                Some([10]) if pss => {
                    let all = key.algorithm.parameters;
                    if !all.is_empty() && all != id.parameters {
                        return Err(unsupported("RSASSA-PSS with other parameters than the key's".into()));
                    }
                }
                _ => return Err(mismatch("RSA", key_oid)),
            }
            let bits = key
                .modulus_bits()
                .map_err(|e| Fault::new(Reason::MalformedSignature, format!("the signer's RSA key: {e}")))?;
            if let Some(weak) = weak {
                return Err(weak);
            }
            if bits > 8192 {
                return Err(unsupported(format!("RSA key of {bits} bits, 8192 are the most")));
            }
            let digest =
                named.or(digest).ok_or_else(|| unsupported(format!("signature {}", dotted(id.oid))))?;
            let algorithm = match (digest, pss) {
                (Digest::Sha256, false) => &sig::RSA_PKCS1_2048_8192_SHA256,
                (Digest::Sha384, false) => &sig::RSA_PKCS1_2048_8192_SHA384,
                (Digest::Sha512, false) => &sig::RSA_PKCS1_2048_8192_SHA512,
                (Digest::Sha256, true) => &sig::RSA_PSS_2048_8192_SHA256,
                (Digest::Sha384, true) => &sig::RSA_PSS_2048_8192_SHA384,
                (Digest::Sha512, true) => &sig::RSA_PSS_2048_8192_SHA512,
            };
            (algorithm, format!("rsa{}-{bits}-{}", if pss { "-pss" } else { "" }, digest.as_str()))
        };
        Ok(Verifier { key: UnparsedPublicKey::new(algorithm, key.bits), name })
    }

    /// Whether the signature is this key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        #[cfg(test)]
        VERIFICATIONS.with(|count| count.set(count.get() + 1));
        self.key.verify(message, signature).is_ok()
    }
}

fn mismatch(algorithm: &str, key: &[u8]) -> Fault {
    Fault::new(
        Reason::UnsupportedAlgorithm,
        format!("an {algorithm} signature with a key of type {}", dotted(key)),
    )
}

/// The digest that a signature algorithm's identifier names itself, if it is one verified here. Plain
/// `rsaEncryption` names none and is read as PKCS #1 v1.5 over the signer's digest (RFC 5754 §3.2).
fn named_digest(id: &AlgorithmId<'_>, digest: Option<Digest>) -> Result<Option<Digest>, Fault> {
    let weak =
        |what: &str| Fault::new(Reason::WeakAlgorithm, format!("signature {what} ({})", dotted(id.oid)));
    let unsupported = || Fault::new(Reason::UnsupportedAlgorithm, format!("signature {}", dotted(id.oid)));
    if let Some(arc) = id.oid.strip_prefix(PKCS1) {
        let named = match arc {
            [1] if digest.is_some() => None,
            [11] => Some(Digest::Sha256),
            [12] => Some(Digest::Sha384),
            [13] => Some(Digest::Sha512),
            [10] => return super::pss::digest_of(id).map(Some),
            [2..=4] => return Err(weak("MD with RSA")),
            [5] => return Err(weak("SHA-1 with RSA")),
            _ => return Err(unsupported()),
        };
        return if id.plain() { Ok(named) } else { Err(unsupported()) };
    }
    let named = match id.oid.strip_prefix(ECDSA_SIGNATURES) {
        Some([1]) => return Err(weak("ECDSA with SHA-1")),
        Some([3, 2]) => Some(Digest::Sha256),
        Some([3, 3]) => Some(Digest::Sha384),
        Some([3, 4]) => Some(Digest::Sha512),
        None if id.oid == ED25519 => None,
        _ => return Err(unsupported()),
    };
    // RFC 5758 §3.2 and RFC 8410 §3: no parameters at all.
    if id.parameters.is_empty() { Ok(named) } else { Err(unsupported()) }
}
