//! A delivery as it is typed: its whole id, or the beginning that a list showed.

use std::fmt;
use std::str::FromStr;

use super::CliError;
use crate::domain::{DeliveryId, limits};
use crate::exchange::find::{delivery, is_beginning};
use crate::rpc::client::NodeClient;
use crate::store::index::Index;
use crate::wire::pb;

/// A delivery, by its id or the beginning of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Whole(DeliveryId),
    Begins(String),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        match text.parse() {
            Ok(id) => Ok(Named::Whole(id)),
            Err(_) if is_beginning(text) => Ok(Named::Begins(text.to_ascii_lowercase())),
            Err(_) => {
                let least = limits::ID_DIGITS;
                Err(format!("a delivery id has 64 hexadecimal digits: give it, or its first {least} or more"))
            }
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Whole(id) => id.fmt(f),
            Named::Begins(text) => f.write_str(text),
        }
    }
}

impl Named {
    /// Its id; a node is asked where only the beginning is known.
    pub async fn find(&self, client: &NodeClient) -> Result<DeliveryId, CliError> {
        match self {
            Named::Whole(id) => Ok(*id),
            Named::Begins(text) => {
                let request = pb::FindDeliveryRequest { begins: text.clone() };
                let found = client.exchange().find_delivery(request).await?.into_inner();
                Ok(DeliveryId::from_slice(&found.delivery_id)?)
            }
        }
    }

    /// Its id, by a stopped node's files.
    pub fn find_in(&self, index: &Index) -> Result<DeliveryId, CliError> {
        match self {
            Named::Whole(id) => Ok(*id),
            Named::Begins(text) => Ok(delivery(index, text, |_| true)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_typed_whole_or_by_eight_digits_or_more() {
        let id = "0f".repeat(32);
        assert!(matches!(id.parse(), Ok(Named::Whole(whole)) if whole.to_string() == id));
        assert_eq!("0F3A5C7e".parse(), Ok(Named::Begins("0f3a5c7e".to_owned())));
        assert_eq!(id[..63].parse(), Ok(Named::Begins(id[..63].to_owned())));
        for wrong in ["", "0f3a5c7", "0f3a5c7g", &format!("{id}0"), "215ee28b…"] {
            assert!(wrong.parse::<Named>().unwrap_err().contains("first 8 or more"), "{wrong}");
        }
    }
}
