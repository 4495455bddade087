//! Events about the figures, and sums of them, as bytes and back.

use super::{pb, words};
use crate::domain::ids::{AgencyId, NodeName};
use crate::domain::ratio::{
    Calendar, Counters, Month, NetworkReported, PaperDeclared, Period, PeriodClosed, PeriodTotal, StatedNode,
    StatementMade,
};
use crate::domain::reason::{Reason, Rejection};
use crate::time::Date;

/// Sums.
pub fn counts(c: &Counters) -> pb::FigureCounts {
    pb::FigureCounts {
        deliveries: c.deliveries,
        electronic: c.electronic,
        dual: c.dual,
        paper: c.paper,
        undelivered: c.undelivered,
        pending: c.pending,
        held: c.held,
        effective: c.effective,
        signed: c.signed,
        scanned: c.scanned,
        avoidable: c.avoidable,
        mandatory: c.mandatory,
        sent: c.sent,
        on_time: c.on_time,
        acknowledged: c.acknowledged,
    }
}

/// Sums back; nothing where they are left out.
pub fn read_counts(c: Option<&pb::FigureCounts>) -> Counters {
    c.map_or(Counters::default(), |c| Counters {
        deliveries: c.deliveries,
        electronic: c.electronic,
        dual: c.dual,
        paper: c.paper,
        undelivered: c.undelivered,
        pending: c.pending,
        held: c.held,
        effective: c.effective,
        signed: c.signed,
        scanned: c.scanned,
        avoidable: c.avoidable,
        mandatory: c.mandatory,
        sent: c.sent,
        on_time: c.on_time,
        acknowledged: c.acknowledged,
    })
}

/// A month from outside.
pub fn read_month(field: &str, text: &str) -> Result<Month, Rejection> {
    text.parse().map_err(|e| Rejection::new(Reason::InvalidDate, field, format!("{e}")))
}

pub(super) fn calendar_out(calendar: &Calendar) -> pb::CalendarSet {
    let texts = |days: &[Date]| days.iter().map(Date::to_string).collect();
    pb::CalendarSet { holidays: texts(&calendar.holidays), workdays: texts(&calendar.workdays) }
}

pub(super) fn read_calendar(calendar: &pb::CalendarSet) -> Result<Calendar, Rejection> {
    let days = |field: &str, texts: &[String]| -> Result<Vec<Date>, Rejection> {
        texts.iter().map(|text| words::read_date(field, text)).collect()
    };
    Ok(Calendar {
        holidays: days("holidays", &calendar.holidays)?,
        workdays: days("workdays", &calendar.workdays)?,
    })
}

pub(super) fn declared_out(declared: &PaperDeclared) -> pb::PaperDeclared {
    pb::PaperDeclared {
        agency_id: declared.agency.to_string(),
        agency_code: declared.agency_code.clone(),
        month: declared.month.to_string(),
        complete: declared.complete,
    }
}

pub(super) fn read_declared(declared: pb::PaperDeclared) -> Result<PaperDeclared, Rejection> {
    Ok(PaperDeclared {
        agency: AgencyId::new(&declared.agency_id)?,
        agency_code: declared.agency_code,
        month: read_month("month", &declared.month)?,
        complete: declared.complete,
    })
}

pub(super) fn closed_out(closed: &PeriodClosed) -> pb::PeriodClosed {
    pb::PeriodClosed {
        period: closed.period.to_string(),
        snapshot: words::digest(&closed.snapshot),
        snapshot_size: closed.snapshot_size,
        totals: closed.totals.iter().map(total_out).collect(),
    }
}

fn total_out(total: &PeriodTotal) -> pb::PeriodTotal {
    pb::PeriodTotal {
        key: total.key.clone(),
        deliveries: Some(counts(&total.deliveries)),
        documents: Some(counts(&total.documents)),
    }
}

pub(super) fn read_closed(closed: pb::PeriodClosed) -> Result<PeriodClosed, Rejection> {
    let period = read_period(&closed.period)?;
    let totals = closed.totals.into_iter().map(|total| PeriodTotal {
        deliveries: read_counts(total.deliveries.as_ref()),
        documents: read_counts(total.documents.as_ref()),
        key: total.key,
    });
    Ok(PeriodClosed {
        period,
        snapshot: words::read_digest("snapshot", &closed.snapshot)?,
        snapshot_size: closed.snapshot_size,
        totals: totals.collect(),
    })
}

/// A period from outside.
pub fn read_period(text: &str) -> Result<Period, Rejection> {
    text.parse().map_err(|e| Rejection::new(Reason::InvalidDate, "period", format!("{e}")))
}

pub(super) fn made_out(made: &StatementMade) -> pb::StatementMade {
    pb::StatementMade {
        period: made.period.to_string(),
        statement: words::digest(&made.statement),
        statement_size: made.statement_size,
        size: made.size,
        sent: made.sent,
        received: made.received,
    }
}

pub(super) fn read_made(made: &pb::StatementMade) -> Result<StatementMade, Rejection> {
    Ok(StatementMade {
        period: read_period(&made.period)?,
        statement: words::read_digest("statement", &made.statement)?,
        statement_size: made.statement_size,
        size: made.size,
        sent: made.sent,
        received: made.received,
    })
}

pub(super) fn reported_out(reported: &NetworkReported) -> pb::NetworkReported {
    let node = |node: &StatedNode| {
        let (event, statement) =
            node.stated.as_ref().ok().map_or_else(Default::default, |(event, digest)| {
                (Some(words::log_ref(event)), words::digest(digest))
            });
        pb::StatedNode {
            node: node.node.to_string(),
            reason: node.stated.as_ref().err().map_or_else(String::new, |r| r.code().to_owned()),
            event,
            statement,
            recomputed: node.recomputed,
        }
    };
    pb::NetworkReported {
        period: reported.period.to_string(),
        result: words::digest(&reported.result),
        result_size: reported.result_size,
        complete: reported.complete,
        differences: reported.differences,
        nodes: reported.nodes.iter().map(node).collect(),
    }
}

pub(super) fn read_reported(reported: &pb::NetworkReported) -> Result<NetworkReported, Rejection> {
    let node = |node: &pb::StatedNode| -> Result<StatedNode, Rejection> {
        let stated = if node.reason.is_empty() {
            let statement = words::read_digest("statement", &node.statement)?;
            Ok((words::read_log_ref(node.event.as_ref())?, statement))
        } else {
            Err(node.reason.parse().unwrap_or(Reason::Internal))
        };
        Ok(StatedNode { node: NodeName::new(&node.node)?, stated, recomputed: node.recomputed })
    };
    Ok(NetworkReported {
        period: read_period(&reported.period)?,
        result: words::read_digest("result", &reported.result)?,
        result_size: reported.result_size,
        complete: reported.complete,
        differences: reported.differences,
        nodes: reported.nodes.iter().map(node).collect::<Result<_, _>>()?,
    })
}
