//! The module against the world: vectors of other implementations and a plain RFC 9162 model.

mod model;
mod notes;
mod vectors;
