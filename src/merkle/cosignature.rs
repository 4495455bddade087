//! Cosignatures: a witness's word that it saw a checkpoint, and when ([C2SP tlog-cosignature], Ed25519).
//!
//! Signed is `cosignature/v1\ntime <seconds>\n` and then the checkpoint's whole note text; the signature
//! in the line is the time in eight big-endian bytes and the 64 bytes of Ed25519.
//!
//! [C2SP tlog-cosignature]: https://c2sp.org/tlog-cosignature

use super::checkpoint::SignedCheckpoint;
use super::note::{NoteError, NoteSignature};
use super::note_key::{KeyAlgorithm, NoteSigner, NoteVerifier};

/// Cosigns a checkpoint: the signature line, ending in a newline, to be added to the checkpoint's note.
///
/// The caller has checked that this checkpoint extends the last one it cosigned of that log. The line is
/// always of type 0x04, whatever the signer was made for. A time beyond 2^63 - 1 does not verify.
pub fn cosign(checkpoint: &SignedCheckpoint, unix_seconds: u64, signer: &NoteSigner) -> String {
    let message = message(unix_seconds, checkpoint.body());
    signer.line(KeyAlgorithm::CosignatureV1, &unix_seconds.to_be_bytes(), message.as_bytes())
}

/// Checks a cosignature on a checkpoint's note text and tells its time, in seconds since 1970.
///
/// Whether that time is acceptable is for the caller to say.
pub fn verify_cosignature(
    body: &str,
    line: &NoteSignature,
    verifier: &NoteVerifier,
) -> Result<u64, NoteError> {
    if verifier.algorithm() != KeyAlgorithm::CosignatureV1 {
        return Err(NoteError::NotCosigner { name: verifier.name().to_owned() });
    }
    if !verifier.made(line) {
        return Err(NoteError::not_signed(verifier));
    }
    let Some((time, signature)) = line.signature.split_first_chunk() else {
        return Err(NoteError::bad_signature(verifier));
    };
    let unix_seconds = u64::from_be_bytes(*time);
    if i64::try_from(unix_seconds).is_err() {
        return Err(NoteError::TimeOutOfRange { unix_seconds });
    }
    if !verifier.verify_bytes(message(unix_seconds, body).as_bytes(), signature) {
        return Err(NoteError::bad_signature(verifier));
    }
    Ok(unix_seconds)
}

/// What is signed (C2SP tlog-cosignature, "Ed25519 signed message").
fn message(unix_seconds: u64, body: &str) -> String {
    format!("cosignature/v1\ntime {unix_seconds}\n{body}")
}
