//! Every limit of asking others for revocation data, in one place, each with its reason.

/// Bytes of one fetched OCSP response: an answer with a responder's certificate has two to four thousand.
pub(super) const RESPONSE_BYTES: usize = 64 * 1024;

/// Requests at once: enough that a slow host delays few others, and that memory stays at a few lists.
pub(super) const AT_ONCE: usize = 4;

/// The first wait after a failure, in milliseconds; each further one doubles it.
pub(super) const BACKOFF_MS: i64 = 60 * 1000;

/// The longest wait after failures.
pub(super) const BACKOFF_MAX_MS: i64 = 60 * 60 * 1000;

/// The longest wait before a list or a response is asked for again, whatever it says: an authority may publish before
/// it must.
pub(super) const REFRESH_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// The shortest, for lists that are valid for minutes.
pub(super) const REFRESH_MIN_MS: i64 = 60 * 1000;

/// How long OCSP responses about a certificate are renewed before anybody misses one again. One of a signer who is
/// known is then at hand for the working day, and one who signed once is soon forgotten.
pub(super) const RESPONSE_INTEREST_MS: i64 = 24 * 60 * 60 * 1000;

/// How long a URL that gives nothing is tried before it is forgotten.
pub(super) const FORGET_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Certificates that were missed and nobody has asked about yet; the oldest goes. A day's signers of a province.
pub(super) const MISSED: usize = 1_000;

/// Lists and responses that are known to be had somewhere. A national tree has some dozen lists; the rest are OCSP
/// responses, one for each certificate.
pub(super) const SOURCES: usize = 4_000;

/// Bytes of all fetched lists. The largest authorities' lists have some MiB; in memory they take up to twice this.
pub(super) const LISTS_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of all fetched OCSP responses: several thousand.
pub(super) const RESPONSES_BYTES: usize = 16 * 1024 * 1024;

/// How far thisUpdate may lie ahead of this node's clock: clocks that differ. Later ones would keep true ones out.
pub(super) const FUTURE_MS: i64 = 10 * 60 * 1000;
