//! Keys and certificates, made on the spot: authorities, nodes, clients, seals and persons of a network.
//!
//! What is made here is for tests, the demo and first steps. A real agency's seal comes from its certification
//! authority and stays in its HSM; certs/README.md has the profiles.

use std::path::Path;

use der::Decode as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::cli::CliError;
use crate::signature::{Signer, SigningKey};
use crate::time::Timestamp;

/// Days that certificates are valid for: the scenario of 2016 and the years to come.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// First year, on whose first day validity begins.
    pub from_year: i32,
    /// Year on whose first day validity ends.
    pub to_year: i32,
}

impl Default for Validity {
    fn default() -> Self {
        Validity { from_year: 2015, to_year: 2040 }
    }
}

fn failed(what: &str) -> impl Fn(rcgen::Error) -> CliError {
    let what = what.to_owned();
    move |e| CliError::failed(format!("{what}: {e}"))
}

/// An authority: it signs certificates, and its own is a root.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    validity: Validity,
}

/// A certificate with its key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn name(common: &str, organisation: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "VN");
    if !organisation.is_empty() {
        name.push(DnType::OrganizationName, organisation);
    }
    name.push(DnType::CommonName, common);
    name
}

fn params(common: &str, organisation: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common, organisation);
    params.not_before = rcgen::date_time_ymd(validity.from_year, 1, 1);
    params.not_after = rcgen::date_time_ymd(validity.to_year, 1, 1);
    params
}

impl Authority {
    /// A new one with a P-256 key.
    pub fn new(common: &str, validity: Validity) -> Result<Authority, CliError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed(common))?;
        let mut params = params(common, "", validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed(common))?;
        Ok(Authority { issuer: Issuer::new(params, key), certificate, validity })
    }

    /// Its certificate.
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// Writes certificate and key.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), CliError> {
        write_public(certificate, self.certificate.pem().as_bytes())?;
        write_secret(key, self.issuer.key().serialize_pem().as_bytes())
    }

    /// A revocation list in PEM (RFC 5280 §5): number, issue, the time of the next one, and the certificates (DER) that
    /// are revoked since a time. A document that is signed under an authority without a list cannot be judged.
    pub fn crl(
        &self,
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
        revoked: &[(&[u8], Timestamp)],
    ) -> Result<String, CliError> {
        let error =
            |e: &dyn std::fmt::Display| CliError::failed(format!("a revocation list could not be made: {e}"));
        let time = |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.secs()).map_err(|e| error(&e));
        let mut entries = Vec::new();
        for (der, since) in revoked {
            let certificate = x509_cert::Certificate::from_der(der).map_err(|e| error(&e))?;
            let serial = certificate.tbs_certificate().serial_number().as_bytes();
            entries.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial),
                revocation_time: time(*since)?,
                reason_code: None,
                invalidity_date: None,
            });
        }
        let list = CertificateRevocationListParams {
            this_update: time(this_update)?,
            next_update: time(next_update)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: entries,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(|e| error(&e))
    }

    /// The list of an authority that has revoked nothing, good for all of its validity: for networks on one machine,
    /// where nobody issues a new one every week.
    pub fn empty_crl(&self) -> Result<String, CliError> {
        let year = |y| Timestamp::from_secs(rcgen::date_time_ymd(y, 1, 1).unix_timestamp());
        self.crl(1, year(self.validity.from_year), year(self.validity.to_year), &[])
    }

    fn issue(&self, common: &str, params: CertificateParams, key: KeyPair) -> Result<Issued, CliError> {
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed(common))?;
        Ok(Issued { certificate, key })
    }

    /// A TLS certificate: one URI that names its holder, and for a node the names that it is reached by.
    pub fn tls(&self, uri: &str, hosts: &[String], is_node: bool) -> Result<Issued, CliError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed(uri))?;
        let mut params = params(uri.rsplit('/').next().unwrap_or(uri), "", self.validity);
        let mut names =
            vec![SanType::URI(uri.try_into().map_err(|e| CliError::failed(format!("{uri}: {e}")))?)];
        for host in hosts {
            names.push(match host.parse() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(
                    host.as_str().try_into().map_err(|e| CliError::failed(format!("{host}: {e}")))?,
                ),
            });
        }
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if is_node {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        self.issue(uri, params, key)
    }

    /// A certificate for document signatures: an agency's seal or a person's, P-256.
    pub fn document(&self, common: &str, organisation: &str) -> Result<Issued, CliError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed(common))?;
        self.document_with(common, organisation, key)
    }

    /// The same with an RSA key of 2048 bits.
    pub fn document_rsa(&self, common: &str, organisation: &str) -> Result<Issued, CliError> {
        self.document_with(common, organisation, rsa_key()?)
    }

    fn document_with(&self, common: &str, organisation: &str, key: KeyPair) -> Result<Issued, CliError> {
        let mut params = params(common, organisation, self.validity);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        self.issue(common, params, key)
    }
}

/// ring cannot make RSA keys; the `rsa` crate makes them, ring signs with them.
fn rsa_key() -> Result<KeyPair, CliError> {
    use rsa::pkcs8::EncodePrivateKey as _;
    let error = |e: &dyn std::fmt::Display| CliError::failed(format!("an RSA key could not be made: {e}"));
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).map_err(|e| error(&e))?;
    let der = key.to_pkcs8_der().map_err(|e| error(&e))?;
    KeyPair::try_from(der.as_bytes()).map_err(|e| error(&e))
}

impl Issued {
    /// The certificate.
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// Signs documents with it.
    pub fn signer(&self) -> Result<Signer, CliError> {
        let key = SigningKey::from_pkcs8(&self.key.serialize_der()).map_err(CliError::failed)?;
        Signer::new(key, self.der(), Vec::new()).map_err(CliError::failed)
    }

    /// Writes certificate and key.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), CliError> {
        write_public(certificate, self.certificate.pem().as_bytes())?;
        write_secret(key, self.key.serialize_pem().as_bytes())
    }
}

/// A new Ed25519 key for a log, for cosignatures or for a directory's authority, as PEM and PKCS#8.
pub fn ed25519() -> Result<(String, Vec<u8>), CliError> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed("Ed25519"))?;
    Ok((key.serialize_pem(), key.serialize_der()))
}

/// A TLS key and a request for its certificate.
pub fn tls_request(uri: &str, hosts: &[String]) -> Result<(String, String), CliError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed(uri))?;
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed(uri))?;
    params.distinguished_name = name(uri.rsplit('/').next().unwrap_or(uri), "");
    params
        .subject_alt_names
        .push(SanType::URI(uri.try_into().map_err(|e| CliError::failed(format!("{uri}: {e}")))?));
    let request = params.serialize_request(&key).map_err(failed(uri))?;
    Ok((key.serialize_pem(), request.pem().map_err(failed(uri))?))
}

/// Writes a file that everybody may read.
pub fn write_public(path: &Path, data: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, data).map_err(|e| CliError::file("writing", path, &e))
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, data: &[u8]) -> Result<(), CliError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut f| f.write_all(data))
        .map_err(|e| CliError::file("writing", path, &e))
}
