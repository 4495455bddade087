//! An agency's place in the tree: registered agency, topmost ancestor, and what lies between two agencies.
//! By the directory, never by comparing the text of codes.

use super::{Agency, Directory};
use crate::domain::event::{Direction, Level, Parties, Scope};

impl Directory {
    /// The agency and its ancestors, nearest first.
    pub fn ancestry<'a>(&'a self, agency: &'a Agency) -> impl Iterator<Item = &'a Agency> {
        std::iter::successors(Some(agency), |a| a.parent.map(|p| &self.inner.agencies[p]))
    }

    /// The nearest ancestor that is no subunit, or the topmost.
    pub fn registered<'a>(&'a self, agency: &'a Agency) -> &'a Agency {
        let mut last = agency;
        for ancestor in self.ancestry(agency) {
            last = ancestor;
            if ancestor.level() != Level::Subunit {
                break;
            }
        }
        last
    }

    fn top<'a>(&'a self, agency: &'a Agency) -> &'a Agency {
        self.ancestry(agency).last().unwrap_or(agency)
    }

    /// Sender and recipient as an event records them.
    pub fn parties(
        &self,
        sender: &Agency,
        sender_code: &str,
        recipient: &Agency,
        recipient_code: &str,
    ) -> Parties {
        let from = self.registered(sender);
        let to = self.registered(recipient);
        let (scope, direction) = if from.id == to.id {
            (Scope::Internal, None)
        } else if self.top(from).id == self.top(to).id {
            let direction = if self.ancestry(from).any(|a| a.id == to.id) {
                Direction::Up
            } else if self.ancestry(to).any(|a| a.id == from.id) {
                Direction::Down
            } else {
                Direction::Horizontal
            };
            (Scope::InProvince, Some(direction))
        } else {
            (Scope::Outside, None)
        };
        Parties {
            sender: sender.id.clone(),
            sender_code: sender_code.to_owned(),
            recipient: Some(recipient.id.clone()),
            recipient_code: recipient_code.to_owned(),
            sender_registered: from.id.clone(),
            recipient_registered: Some(to.id.clone()),
            sender_level: sender.level(),
            recipient_level: Some(recipient.level()),
            scope,
            direction,
        }
    }

    /// Parties of a paper dispatch to somebody who has no code: outside by definition.
    pub fn parties_outside(&self, sender: &Agency, sender_code: &str) -> Parties {
        Parties {
            sender: sender.id.clone(),
            sender_code: sender_code.to_owned(),
            recipient: None,
            recipient_code: String::new(),
            sender_registered: self.registered(sender).id.clone(),
            recipient_registered: None,
            sender_level: sender.level(),
            recipient_level: None,
            scope: Scope::Outside,
            direction: None,
        }
    }
}
