//! The tests of the room: the corpus of another signer, and files built wrong in every way.

mod build;
mod changed;
mod corpus;
mod hostile;
mod kinds;
mod making;
mod many;
mod shown;
mod written;
