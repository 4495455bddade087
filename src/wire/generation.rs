//! Events of a recovery, to and from the log.

use super::{leaf, pb, words};
use crate::domain::event::EventKind;
use crate::domain::generation::{FirstReceipt, GenerationOpened, Recovered, split};
use crate::domain::ids::{DeliveryId, shorten};
use crate::domain::reason::{Reason, Rejection};
use crate::time::Timestamp;

pub(super) fn opened_out(opened: &GenerationOpened) -> pb::GenerationOpened {
    pb::GenerationOpened {
        lost: opened.lost.clone(),
        kept: opened.kept,
        kept_root: words::digest(&opened.kept_root),
        known: opened.known,
        known_root: words::digest(&opened.known_root),
        told_by: opened.told_by.clone(),
    }
}

pub(super) fn read_opened(opened: pb::GenerationOpened) -> Result<GenerationOpened, Rejection> {
    if split(&opened.lost).is_none() {
        let what = format!("`{}` is no origin of a log", shorten(&opened.lost));
        return Err(Rejection::new(Reason::InvalidText, "lost", what));
    }
    Ok(GenerationOpened {
        lost: opened.lost,
        kept: opened.kept,
        kept_root: words::read_digest("kept_root", &opened.kept_root)?,
        known: opened.known,
        known_root: words::read_digest("known_root", &opened.known_root)?,
        told_by: opened.told_by,
    })
}

pub(super) fn recovered_out(recovered: &Recovered) -> pb::Recovered {
    use pb::event::Kind as K;
    pb::Recovered {
        submitted: match leaf::kind(&recovered.submitted) {
            Some(K::Submitted(submitted)) => Some(submitted),
            _ => None,
        },
        submitted_at: recovered.submitted_at.millis(),
        origin: Some(words::log_ref(&recovered.origin)),
        origin_proof: words::digest(&recovered.origin_proof),
        settled: match leaf::kind(&recovered.settled) {
            Some(K::Settled(settled)) => Some(settled),
            _ => None,
        },
    }
}

pub(super) fn read_recovered(recovered: pb::Recovered) -> Result<Recovered, Rejection> {
    use pb::event::Kind as K;
    let submitted = recovered.submitted.ok_or_else(|| Rejection::missing("submitted"))?;
    let settled = recovered.settled.ok_or_else(|| Rejection::missing("settled"))?;
    Ok(Recovered {
        submitted: leaf::read_kind(K::Submitted(submitted))?,
        submitted_at: Timestamp::from_millis(recovered.submitted_at),
        origin: words::read_log_ref(recovered.origin.as_ref())?,
        origin_proof: words::read_digest("origin_proof", &recovered.origin_proof)?,
        settled: leaf::read_kind(K::Settled(settled))?,
    })
}

pub(super) fn returned_out(delivery_id: &DeliveryId, first: &FirstReceipt) -> pb::Returned {
    pb::Returned {
        delivery_id: words::id(delivery_id),
        receipt: Some(words::log_ref(&first.receipt)),
        receipt_proof: words::digest(&first.proof),
        received_at: first.at.millis(),
    }
}

pub(super) fn read_returned(returned: pb::Returned) -> Result<EventKind, Rejection> {
    Ok(EventKind::Returned {
        delivery_id: DeliveryId::from_slice(&returned.delivery_id)?,
        first: FirstReceipt {
            receipt: words::read_log_ref(returned.receipt.as_ref())?,
            proof: words::read_digest("receipt_proof", &returned.receipt_proof)?,
            at: Timestamp::from_millis(returned.received_at),
        },
    })
}
