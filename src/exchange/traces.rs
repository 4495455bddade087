//! What a delivery went through, as the spans of one trace, for whoever collects traces ([`Keeper`]).
//!
//! The id of a delivery names its trace: its first 16 bytes are the trace's id, the next 8 that of the first span, which is
//! the sending. So the spans of all nodes meet in one trace without a word about it on the wire, and who knows a delivery's
//! id finds its trace. A message about a document belongs to the trace of that document. Which share of deliveries is
//! traced is decided by the last bytes of the same id: nodes that keep the same share keep the same deliveries.
//!
//! A span says which nodes, which agencies' codes, which kind, how large, how it ended and how long each step took. It says
//! nothing of what a document is about, its number, or who opened it.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::Exchange;
use crate::domain::ids::DeliveryId;
use crate::domain::reason::Rejection;

/// Takes finished spans; it never makes anybody wait.
pub trait Keeper: Send + Sync {
    /// One span is over. What cannot be kept is dropped.
    fn keep(&self, span: Finished);
}

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Somebody called this node.
    Server,
    /// This node calls.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, of at most some hundred bytes.
    Text(String),
    /// A number.
    Number(i64),
}

/// A span that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The delivery whose trace it belongs to.
    pub delivery: DeliveryId,
    /// It is the trace's first span.
    pub first: bool,
    /// Its name: `send`, `deliver`, `accept`, `fetch`, `acknowledge`, `respond`.
    pub name: &'static str,
    /// Which side of a call it is.
    pub side: Side,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What is known of it; names begin with `lienthong.` when they are sent.
    pub attributes: Vec<(&'static str, Value)>,
    /// The stable reason why it failed.
    pub failed: Option<&'static str>,
    /// Its steps, one after the other.
    pub steps: Vec<Step>,
}

/// A step of a span.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name: `content`, `judge`, `commit`.
    pub name: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
}

/// Who takes the spans, and of which deliveries; nobody at first.
#[derive(Default)]
pub struct Traces(OnceLock<Kept>);

struct Kept {
    keeper: Arc<dyn Keeper>,
    /// Of one hundred deliveries.
    percent: u8,
}

impl Traces {
    /// From now on spans of so many percent of all deliveries go there. Called once.
    pub fn keep(&self, percent: u8, keeper: Arc<dyn Keeper>) {
        let _ = self.0.set(Kept { keeper, percent });
    }

    /// Who takes the spans of a delivery, if anybody.
    fn of(&self, delivery: &DeliveryId) -> Option<&dyn Keeper> {
        let kept = self.0.get()?;
        let drawn = delivery.as_bytes().iter().skip(24).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        (drawn % 100 < u64::from(kept.percent)).then_some(&*kept.keeper)
    }
}

/// A span under way. Where nobody takes spans it is nothing and costs nothing; one that is dropped before its end is not
/// kept.
#[derive(Default)]
pub(crate) struct Span(Option<Box<Open>>);

struct Open {
    exchange: Exchange,
    name: &'static str,
    side: Side,
    began: SystemTime,
    delivery: Option<DeliveryId>,
    attributes: Vec<(&'static str, Value)>,
    steps: Vec<Step>,
}

impl Exchange {
    /// Who takes what is traced.
    pub fn traces(&self) -> &Traces {
        &self.inner.traces
    }

    /// Something begins.
    pub(crate) fn span(&self, name: &'static str, side: Side) -> Span {
        let open = self.traces().0.get().map(|_| Open {
            exchange: self.clone(),
            name,
            side,
            began: SystemTime::now(),
            delivery: None,
            attributes: Vec::new(),
            steps: Vec::new(),
        });
        Span(open.map(Box::new))
    }
}

impl Span {
    /// Says something of it.
    pub fn says(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            open.attributes.push((name, value.into()));
        }
    }

    /// Does a step of it.
    pub async fn step<T>(&mut self, name: &'static str, work: impl Future<Output = T>) -> T {
        if self.0.is_none() {
            return work.await;
        }
        let began = SystemTime::now();
        let done = work.await;
        if let Some(open) = &mut self.0 {
            open.steps.push(Step { name, began, ended: SystemTime::now() });
        }
        done
    }

    /// It belongs to the trace of a delivery: that of the document, where it is about one. Before this nothing is kept.
    pub fn about(&mut self, delivery: &DeliveryId, target: Option<&DeliveryId>) {
        if let Some(open) = &mut self.0 {
            open.delivery = Some(*target.unwrap_or(delivery));
            if target.is_some() {
                open.attributes.push(("message_id", Value::Text(delivery.to_string())));
            }
        }
    }

    /// It is over.
    pub fn end(self, failed: Option<&Rejection>) {
        let Some(open) = self.0 else { return };
        if let Some(delivery) = open.delivery {
            open.finish(&delivery, false, failed);
        }
    }

    /// The first span of a trace, which several deliveries of one document have in common, is over.
    pub fn begins<'a>(self, deliveries: impl Iterator<Item = &'a DeliveryId>) {
        let Some(open) = self.0 else { return };
        for delivery in deliveries {
            open.finish(delivery, true, None);
        }
    }
}

impl Open {
    fn finish(&self, delivery: &DeliveryId, first: bool, failed: Option<&Rejection>) {
        if let Some(keeper) = self.exchange.traces().of(delivery) {
            keeper.keep(Finished {
                delivery: *delivery,
                first,
                name: self.name,
                side: self.side,
                began: self.began,
                ended: SystemTime::now(),
                attributes: self.attributes.clone(),
                failed: failed.map(|rejection| rejection.reason.code()),
                steps: self.steps.clone(),
            });
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
