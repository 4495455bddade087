//! The tests of the room: the corpus of another signer, and files built wrong in every way.

mod corpus;
mod making;
