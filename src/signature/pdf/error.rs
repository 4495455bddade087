//! Why a file is not read. Every case refuses the document as malformed; nothing is repaired.

use crate::signature::verdict::{Fault, Reason};

/// What is wrong with a PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PdfError {
    #[error("{what} at byte {at}")]
    Syntax { what: &'static str, at: usize },
    #[error("object {number}: {what}")]
    Object { number: u32, what: &'static str },
    #[error("{0}")]
    File(&'static str),
    #[error("it has too many {what}: {limit} are the most that is read")]
    Limit { what: &'static str, limit: usize },
    #[error("the file is encrypted, and encrypted files are not taken")]
    Encrypted,
    #[error("signature field `{field}`: {what}")]
    Signature { field: String, what: &'static str },
}

impl From<PdfError> for Fault {
    fn from(error: PdfError) -> Fault {
        Fault::new(Reason::MalformedDocument, error.to_string())
    }
}
