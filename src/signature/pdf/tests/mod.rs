//! The tests of the room: the corpus of another signer, and files built wrong in every way.

mod build;
mod changed;
mod corpus;
mod many;
mod hostile;
mod kinds;
mod making;
mod shown;
mod written;
