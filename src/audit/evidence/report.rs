//! What a verification is given, and what it says.

use super::container::Broken;
use crate::domain::ids::DeliveryId;
use crate::merkle::NoteVerifier;

/// All that a verification takes on trust.
pub struct Given<'a> {
    /// The directory authority's key.
    pub authority: &'a NoteVerifier,
    /// The roots of document signatures, in DER.
    pub roots: &'a [Vec<u8>],
    /// A directory version that is newer than those in the container, to see which keys were withdrawn since.
    pub newer: Option<&'a str>,
}

/// How a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was checked and holds.
    Holds,
    /// It was checked and does not hold.
    Fails,
    /// It could not be checked here, and nothing rests on it.
    Noted,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Holds => "holds",
            State::Fails => "fails",
            State::Noted => "noted",
        }
    }
}

/// Something that a container says, and how it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// How it stands.
    pub state: State,
    /// The file that says it; empty: the archive.
    pub file: String,
    /// What is said.
    pub what: String,
    /// How it was checked, or why it does not hold.
    pub how: String,
}

/// What checking a container came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The delivery that it is about, once that is known.
    pub delivery: Option<DeliveryId>,
    /// Everything that was checked.
    pub statements: Vec<Statement>,
    /// The page for a person as what is in the container gives it, whatever page is there; `None` where that was not
    /// come to.
    pub page: Option<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_verified(&self) -> bool {
        self.delivery.is_some() && self.statements.iter().all(|s| s.state != State::Fails)
    }

    fn add(&mut self, state: State, file: &str, what: impl Into<String>, how: impl Into<String>) {
        let (file, what, how) = (file.to_owned(), what.into(), how.into());
        self.statements.push(Statement { state, file, what, how });
    }

    pub(super) fn holds(&mut self, file: &str, what: impl Into<String>, how: impl Into<String>) {
        self.add(State::Holds, file, what, how);
    }

    pub(super) fn fails(&mut self, file: &str, what: impl Into<String>, why: impl Into<String>) {
        self.add(State::Fails, file, what, why);
    }

    pub(super) fn notes(&mut self, file: &str, what: impl Into<String>, why: impl Into<String>) {
        self.add(State::Noted, file, what, why);
    }

    pub(super) fn broken(&mut self, broken: Broken) {
        self.fails(&broken.file, "the container can be read", broken.problem);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.statements.iter().any(|s| s.state == State::Fails)
    }
}
