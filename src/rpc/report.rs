//! `ReportService`: the ratios of this node.

use tonic::{Request, Response, Status};

use super::{caller, record_extract, refuse};
use crate::config::NodeRole;
use crate::domain::administration::Extract;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::ledger::must_be_checked;
use crate::report;
use crate::wire::pb;
use crate::wire::pb::report_service_server::ReportService;

/// The service.
pub struct ReportApi {
    exchange: Exchange,
}

impl ReportApi {
    /// Over the log of this node.
    pub fn new(exchange: Exchange) -> ReportApi {
        ReportApi { exchange }
    }
}

fn check_month(field: &str, text: &str) -> Result<(), Rejection> {
    if text.is_empty() || format!("{text}-01").parse::<crate::time::Date>().is_ok() {
        return Ok(());
    }
    let shown = crate::domain::ids::shorten(text);
    Err(Rejection::new(Reason::InvalidDate, field, format!("`{shown}` is no month such as 2016-08")))
}

#[tonic::async_trait]
impl ReportService for ReportApi {
    async fn get_ratios(
        &self,
        request: Request<pb::GetRatiosRequest>,
    ) -> Result<Response<pb::GetRatiosResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Operator).map_err(refuse)?;
        let request = request.into_inner();
        check_month("from_month", &request.from_month).map_err(refuse)?;
        check_month("to_month", &request.to_month).map_err(refuse)?;
        let ledger = self.exchange.ledger();
        if request.export {
            let actor = caller.actor(&request.user).map_err(refuse)?;
            let months = [("from", &request.from_month), ("to", &request.to_month)];
            let given = months.iter().filter(|(_, month)| !month.is_empty());
            let filter = given.map(|(name, month)| format!("{name}={month}")).collect::<Vec<_>>().join(" ");
            record_extract(&self.exchange, actor, Extract::Ratios, None, filter).await.map_err(refuse)?;
        }
        let snapshot = ledger.snapshot();
        let cells = report::cells(ledger.index()).map_err(|error| {
            tracing::error!(%error, "the ratios cannot be read");
            refuse(must_be_checked())
        })?;
        let cells = report::within(&cells, &request.from_month, &request.to_month);
        let rows = cells
            .into_iter()
            .map(|(key, counters)| pb::RatioRow {
                key,
                deliveries: counters.deliveries,
                ratios: counters
                    .ratios()
                    .iter()
                    .map(|r| pb::Ratio {
                        name: r.name.to_owned(),
                        n: r.n,
                        d: r.d,
                        percent: r.percent().unwrap_or_default(),
                    })
                    .collect(),
            })
            .collect();
        let checkpoint = snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned());
        Ok(Response::new(pb::GetRatiosResponse { rows, checkpoint }))
    }

    async fn close_period(
        &self,
        request: Request<pb::ClosePeriodRequest>,
    ) -> Result<Response<pb::ClosePeriodResponse>, Status> {
        caller(&self.exchange, &request)?;
        Err(refuse(Rejection::new(Reason::Unimplemented, "", "periods cannot be closed with this version")))
    }
}
