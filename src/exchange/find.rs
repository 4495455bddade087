//! From the beginning of a delivery's id, as lists show it, to the whole: by the keys that deliveries are stored under.

use std::collections::BTreeSet;

use super::{Caller, Exchange};
use crate::domain::fold::records::{Incoming, Outgoing};
use crate::domain::fold::{decode, keys};
use crate::domain::ids::{AgencyId, DeliveryId, shorten};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::{damaged, storage};
use crate::store::index::Index;

/// Whether a text can be the beginning of an id: 8 to 64 hexadecimal digits.
pub fn is_beginning(text: &str) -> bool {
    (limits::ID_DIGITS..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The one delivery in a store whose id begins so, of those that `may_read` lets through: it is asked for the sender where
/// this node sent it, and for the recipient where it came here.
pub fn delivery(
    index: &Index,
    begins: &str,
    may_read: impl Fn(&AgencyId) -> bool,
) -> Result<DeliveryId, Rejection> {
    if !is_beginning(begins) {
        let what = format!(
            "`{}` is no beginning of a delivery id: it is {} to 64 hexadecimal digits",
            shorten(begins),
            limits::ID_DIGITS
        );
        return Err(Rejection::new(Reason::InvalidText, "begins", what));
    }
    let begins = begins.to_ascii_lowercase();
    // Keys are bytes: of an odd number of digits, the last is looked at here.
    let whole = hex::decode(&begins[..begins.len() / 2 * 2]).unwrap_or_default();
    let mut found: BTreeSet<DeliveryId> = BTreeSet::new();
    for (prefix, is_outgoing) in keys::beginning(&whole).iter().zip([true, false]) {
        for (key, value) in index.scan(prefix, prefix, limits::IDS_LOOKED_AT).map_err(|e| storage(&e))? {
            let id = key.len().checked_sub(32).and_then(|at| DeliveryId::from_slice(&key[at..]).ok());
            let Some(id) = id.filter(|id| id.to_string().starts_with(&begins)) else { continue };
            let agency = if is_outgoing {
                decode::<Outgoing>(&key, &value).map_err(|e| damaged(&e))?.facts.sender
            } else {
                decode::<Incoming>(&key, &value).map_err(|e| damaged(&e))?.facts.recipient
            };
            if may_read(&agency) {
                found.insert(id);
            }
        }
    }
    let mut ids = found.into_iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            let what = format!("several deliveries have ids that begin with {begins}: give more digits");
            Err(Rejection::new(Reason::UnknownDelivery, "begins", what))
        }
        _ => {
            let what = format!("no delivery {begins}… of this client's agencies is known here");
            Err(Rejection::new(Reason::UnknownDelivery, "begins", what))
        }
    }
}

impl Exchange {
    /// The one delivery of the caller's agencies whose id begins so.
    pub fn find_delivery(&self, caller: &Caller, begins: &str) -> Result<DeliveryId, Rejection> {
        delivery(self.ledger().index(), begins, |agency| self.may_read(caller, agency))
    }
}
