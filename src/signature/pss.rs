//! The parameters of RSASSA-PSS (RFC 4055 §3.1), and which of them are verified here.

use super::algorithm::{AlgorithmId, Digest, SHA1};
use super::asn1::{Asn1Error, INTEGER, Reader, SEQUENCE, Tlv, context, dotted};
use super::verdict::{Fault, Reason};

/// 1.2.840.113549.1.1.8, MGF1 (RFC 8017 appendix B.2.1).
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];

/// The digest of an RSASSA-PSS-params (RFC 4055 §3.1) that ring verifies: MGF1 over the same digest, a salt as long as
/// the digest, and the one trailer there is.
pub(crate) fn digest_of(id: &AlgorithmId<'_>) -> Result<Digest, Fault> {
    let unsupported = |what: String| {
        let name = dotted(id.oid);
        Fault::new(Reason::UnsupportedAlgorithm, format!("signature RSASSA-PSS ({name}) {what}"))
    };
    let parameters = read_pss(id.parameters).map_err(|e| unsupported(format!("with bad parameters: {e}")))?;
    let Some(parameters) = parameters else { return Err(unsupported("without parameters".into())) };
    let digest = match parameters.digest {
        Some(hash) => Digest::of(hash.oid)?,
        None => return Err(Fault::new(Reason::WeakAlgorithm, "RSASSA-PSS over SHA-1, its default")),
    };
    let masked = match parameters.mask {
        Some((mgf, hash)) if mgf == MGF1 => hash.oid,
        Some((mgf, _)) => return Err(unsupported(format!("with mask generation {}", dotted(mgf)))),
        None => SHA1,
    };
    if Digest::of(masked).ok() != Some(digest) {
        let masked = if masked == SHA1 { "SHA-1".into() } else { dotted(masked) };
        return Err(unsupported(format!("over {} with MGF1 over {masked}", digest.as_str())));
    }
    if parameters.salt != Some(digest.len()) {
        let salt =
            parameters.salt.map_or_else(|| "an endless salt".into(), |n| format!("a salt of {n} bytes"));
        return Err(unsupported(format!("over {} with {salt}, not {}", digest.as_str(), digest.len())));
    }
    if parameters.trailer != Some(1) {
        return Err(unsupported("with another trailer".into()));
    }
    Ok(digest)
}

struct PssParameters<'a> {
    digest: Option<AlgorithmId<'a>>,
    mask: Option<(&'a [u8], AlgorithmId<'a>)>,
    salt: Option<u64>,
    trailer: Option<u64>,
}

fn read_pss(parameters: &[u8]) -> Result<Option<PssParameters<'_>>, Asn1Error> {
    const WHAT: &str = "RSASSA-PSS parameters";
    if parameters.is_empty() {
        return Ok(None);
    }
    let mut outer = Reader::new(parameters);
    let mut fields = outer.enter(SEQUENCE, WHAT)?;
    outer.end(WHAT)?;
    let number = |field: Option<Tlv<'_>>, default: u64| match field {
        None => Ok(Some(default)),
        Some(field) => {
            let digits = Reader::new(field.value).expect(INTEGER, WHAT)?.value;
            let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
            Ok((digits.len() <= 8).then(|| digits.iter().fold(0, |n, &b| n << 8 | u64::from(b))))
        }
    };
    let digest = match fields.optional(context(0))? {
        Some(field) => Some(AlgorithmId::read(&mut Reader::new(field.value), WHAT)?),
        None => None,
    };
    let mask = match fields.optional(context(1))? {
        Some(field) => {
            let mgf = AlgorithmId::read(&mut Reader::new(field.value), WHAT)?;
            Some((mgf.oid, AlgorithmId::read(&mut Reader::new(mgf.parameters), WHAT)?))
        }
        None => None,
    };
    let salt = number(fields.optional(context(2))?, 20)?;
    let trailer = number(fields.optional(context(3))?, 1)?;
    fields.end(WHAT)?;
    if digest.is_some_and(|d| !d.plain()) || mask.is_some_and(|(_, d)| !d.plain()) {
        return Err(Asn1Error::Value(WHAT));
    }
    Ok(Some(PssParameters { digest, mask, salt, trailer }))
}
