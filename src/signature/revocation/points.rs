//! Which certificates a CRL speaks of: its issuingDistributionPoint (RFC 5280 §5.2.5) against the certificate's
//! cRLDistributionPoints (§4.2.1.13), as §6.3.3 (b) matches them.

use crate::signature::asn1::{Asn1Error, Reader, SEQUENCE, SET, Tlv, context, tlv};
use crate::signature::certificate::Certificate;
use crate::signature::limits::MAX_URL;

use super::crl::{CrlError, flags};
use super::name;

/// uniformResourceIdentifier of a GeneralName.
const URI: u8 = 0x86;

/// Every reason there is: bits 1 to 8 of ReasonFlags, bit 0 being unused.
pub(super) const ALL_REASONS: u16 = 0b1_1111_1110;
/// certificateHold.
pub(super) const HOLD: u16 = 1 << 6;

/// The scope of a CRL; the default is everything its issuer issues.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Names of the distribution point; none: any.
    names: Option<Vec<Vec<u8>>>,
    users: bool,
    authorities: bool,
    /// The reasons it is limited to.
    pub reasons: Option<u16>,
}

/// The bits of a ReasonFlags as a number with bit n for reason n.
pub(super) fn reasons(bits: &[u8]) -> u16 {
    (0..16).filter(|n| bits.get(n / 8).is_some_and(|b| b & (0x80 >> (n % 8)) != 0)).fold(0, |m, n| m | 1 << n)
}

impl Scope {
    /// An IssuingDistributionPoint of a CRL by this issuer.
    pub fn read(mut value: Reader<'_>, issuer: &[u8]) -> Result<Scope, CrlError> {
        let mut fields = value.enter(SEQUENCE, "an issuing distribution point")?;
        value.end("the issuing distribution point")?;
        let mut scope = Scope::default();
        while !fields.is_empty() {
            let field = fields.any()?;
            let set = field.value != [0];
            match field.tag {
                0xa0 => scope.names = Some(names(Reader::new(field.value), issuer)?),
                0x81 => scope.users = set,
                0x82 => scope.authorities = set,
                0x83 => scope.reasons = Some(flags(field.value)?),
                0x84 if set => return Err(CrlError::Indirect),
                0x85 if set => return Err(CrlError::Attributes),
                0x84 | 0x85 => {}
                found => {
                    return Err(Asn1Error::Unexpected { what: "an issuing distribution point", found }.into());
                }
            }
        }
        Ok(scope)
    }

    /// The reasons for which this scope takes in the certificate; 0: it does not.
    pub fn covers(&self, certificate: &Certificate<'_>) -> u16 {
        if (self.users && certificate.ca) || (self.authorities && !certificate.ca) {
            return 0;
        }
        let mine = self.reasons.unwrap_or(ALL_REASONS) & ALL_REASONS;
        let Some(wanted) = &self.names else { return mine };
        // §6.3.3 (b)(2)(i): a name in common with a distribution point of the certificate. One that has none is as one
        // with its issuer's name for distribution point (§6.3.3, last paragraph).
        match points(certificate) {
            Ok(points) => points
                .iter()
                .filter(|point| point.names.iter().any(|name| wanted.contains(name)))
                .fold(0, |all, point| all | (point.reasons & mine)),
            Err(_) => 0,
        }
    }
}

/// Where the issuer's lists about this certificate can be had by HTTP: the URLs of its distribution points that have
/// no other issuer, as the certificate has them and in its order.
pub(super) fn urls(certificate: &Certificate<'_>) -> Vec<String> {
    // Without the extension the only name is a directory's.
    let points = points(certificate).unwrap_or_default();
    let names = points.iter().flat_map(|point| &point.names);
    names.filter_map(|name| url(Reader::new(name).any().ok()?)).collect()
}

/// The URL in a GeneralName (RFC 5280 §4.2.1.6), if it is one of HTTP.
pub(super) fn url(name: Tlv<'_>) -> Option<String> {
    let text = (name.tag == URI).then(|| std::str::from_utf8(name.value).ok())??;
    let scheme = text.get(..7)?;
    let short = text.len() <= MAX_URL && text.bytes().all(|b| b.is_ascii_graphic());
    (short && scheme.eq_ignore_ascii_case("http://")).then(|| text.to_owned())
}

struct Point {
    names: Vec<Vec<u8>>,
    reasons: u16,
}

fn points(certificate: &Certificate<'_>) -> Result<Vec<Point>, CrlError> {
    let Some(value) = certificate.crl_points else {
        let names = vec![directory_name(certificate.issuer)?];
        return Ok(vec![Point { names, reasons: ALL_REASONS }]);
    };
    let (mut all, mut found) = (Reader::new(value).enter(SEQUENCE, "distribution points")?, Vec::new());
    while !all.is_empty() {
        let mut fields = all.enter(SEQUENCE, "a distribution point")?;
        let mut point = Point { names: Vec::new(), reasons: ALL_REASONS };
        let mut other = false;
        if let Some(name) = fields.optional(context(0))? {
            point.names = names(Reader::new(name.value), certificate.issuer)?;
        }
        if let Some(limited) = fields.optional(0x81)? {
            point.reasons = flags(limited.value)?;
        }
        if let Some(issuer) = fields.optional(context(2))? {
            // cRLIssuer: the CRL is another's unless it names the certificate's issuer.
            let mut reader = Reader::new(issuer.value);
            let own = directory_name(certificate.issuer)?;
            let mut named = Vec::new();
            while !reader.is_empty() {
                named.push(general_name(reader.any()?.raw)?);
            }
            other = !named.contains(&own);
            if point.names.is_empty() {
                point.names = named;
            }
        }
        if !other {
            found.push(point);
        }
    }
    Ok(found)
}

/// A DistributionPointName: the keys of its names.
fn names(mut choice: Reader<'_>, issuer: &[u8]) -> Result<Vec<Vec<u8>>, CrlError> {
    let choice = choice.any()?;
    match choice.tag {
        0xa0 => {
            let (mut reader, mut names) = (Reader::new(choice.value), Vec::new());
            while !reader.is_empty() {
                names.push(general_name(reader.any()?.raw)?);
            }
            Ok(names)
        }
        // nameRelativeToCRLIssuer: one more part of the issuer's name.
        0xa1 => {
            let rdns = Reader::new(issuer).enter(SEQUENCE, "an issuer")?.rest();
            Ok(vec![directory_name(&tlv(SEQUENCE, &[rdns, &tlv(SET, &[choice.value])]))?])
        }
        found => Err(Asn1Error::Unexpected { what: "a distribution point's name", found }.into()),
    }
}

/// The key of a GeneralName: directory names as names are compared, others as their bytes.
fn general_name(raw: &[u8]) -> Result<Vec<u8>, CrlError> {
    let name = Reader::new(raw).any()?;
    if name.tag == context(4) { directory_name(name.value) } else { Ok(raw.to_vec()) }
}

fn directory_name(name: &[u8]) -> Result<Vec<u8>, CrlError> {
    let mut key = vec![context(4)];
    key.extend_from_slice(&name::key(name)?);
    Ok(key)
}
