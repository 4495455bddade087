//! The tests of the whole room: the corpus of another signer, and the traps set with CMS built by hand.

mod asking;
mod corpus;
mod hanko;
mod mutation;
mod ocsp;
mod odd;
mod openssl;
pub(crate) mod pki;
mod pkits;
mod revocation;
mod roles;
mod timestamps;
mod traps;
mod usage;
mod wycheproof;
