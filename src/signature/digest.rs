//! Digests of a content, computed once while it streams.
//!
//! SHA-256 is the content's identity throughout the gateway and is always computed; SHA-384 and SHA-512 only when a
//! signature beside the content was made over them ([`super::digest_needs`]).

use std::fmt;

use ring::digest::{Context, SHA256, SHA384, SHA512};

/// Which digests a content's signatures need besides SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DigestNeeds {
    /// SHA-384.
    pub sha384: bool,
    /// SHA-512.
    pub sha512: bool,
}

impl DigestNeeds {
    /// SHA-256 alone.
    pub const SHA256: DigestNeeds = DigestNeeds { sha384: false, sha512: false };
}

/// The digests of one content (FIPS 180-4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SHA-384, if it was asked for.
    pub sha384: Option<[u8; 48]>,
    /// SHA-512, if it was asked for.
    pub sha512: Option<[u8; 64]>,
}

impl Digests {
    /// The digests of a content at hand.
    pub fn of(needs: DigestNeeds, content: &[u8]) -> Digests {
        let mut hasher = Hasher::new(needs);
        hasher.update(content);
        hasher.finish()
    }
}

/// Computes [`Digests`] piece by piece.
#[derive(Clone)]
pub struct Hasher {
    sha256: Context,
    sha384: Option<Context>,
    sha512: Option<Context>,
}

impl Hasher {
    /// Of nothing yet.
    pub fn new(needs: DigestNeeds) -> Hasher {
        Hasher {
            sha256: Context::new(&SHA256),
            sha384: needs.sha384.then(|| Context::new(&SHA384)),
            sha512: needs.sha512.then(|| Context::new(&SHA512)),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        for wide in [&mut self.sha384, &mut self.sha512].into_iter().flatten() {
            wide.update(bytes);
        }
    }

    /// SHA-256 of the bytes taken so far; more may come.
    pub fn sha256_so_far(&self) -> [u8; 32] {
        array(self.sha256.clone())
    }

    /// The digests of all bytes taken.
    pub fn finish(self) -> Digests {
        Digests { sha256: array(self.sha256), sha384: self.sha384.map(array), sha512: self.sha512.map(array) }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("sha384", &self.sha384.is_some())
            .field("sha512", &self.sha512.is_some())
            .finish_non_exhaustive()
    }
}

/// SHA-256 of bytes at hand.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    array(context)
}

/// The digest of a context whose algorithm has `N` bytes of output.
pub(crate) fn array<const N: usize>(context: Context) -> [u8; N] {
    let digest = context.finish();
    digest.as_ref().try_into().expect("the algorithm's output has this length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_digests_of_the_whole() {
        // FIPS 180-4 examples: "abc".
        let needs = DigestNeeds { sha384: true, sha512: true };
        let mut hasher = Hasher::new(needs);
        hasher.update(b"a");
        assert_eq!(hasher.sha256_so_far(), Digests::of(needs, b"a").sha256);
        hasher.update(b"bc");
        let d = hasher.finish();
        assert_eq!(d, Digests::of(needs, b"abc"));
        assert!(hex::encode(d.sha256).starts_with("ba7816bf8f01cfea"));
        assert!(hex::encode(d.sha384.unwrap()).starts_with("cb00753f45a35e8b"));
        assert!(hex::encode(d.sha512.unwrap()).starts_with("ddaf35a193617aba"));
        assert_eq!(Digests::of(DigestNeeds::SHA256, b"abc").sha512, None);
    }
}
