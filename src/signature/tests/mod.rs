//! The tests of the whole room: the corpus of another signer, and the traps set with CMS built by hand.

mod corpus;
mod pki;
mod pkits;
mod roles;
mod traps;
mod usage;
