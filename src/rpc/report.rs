//! `ReportService`: the ratios of this node, closed periods, declarations about paper.

use std::collections::HashSet;
use std::pin::Pin;

use bytes::Bytes;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::network::Collecting;
use super::{caller, record_extract, refuse};
use crate::config::{NodeRole, Role};
use crate::directory::Directory;
use crate::domain::administration::Extract;
use crate::domain::ids::{self, AgencyId};
use crate::domain::limits;
use crate::domain::ratio::{Month, Period, Side};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::{Caller, Exchange};
use crate::ledger::{must_be_checked, storage};
use crate::report::unreadable;
use crate::report::{self, Basis, Filter, Query, Report, periods};
use crate::wire::pb::report_service_server::ReportService;
use crate::wire::{figures, leaf, pb, words};

/// The service.
#[derive(Clone)]
pub struct ReportApi {
    exchange: Exchange,
    network: Collecting,
}

impl ReportApi {
    /// Over the log of this node, and those that `network` reaches.
    pub fn new(exchange: Exchange, network: Collecting) -> ReportApi {
        ReportApi { exchange, network }
    }

    /// The agencies whose figures a caller may see: `None` is all.
    pub fn own(
        &self,
        caller: &Caller,
        directory: &Directory,
    ) -> Result<Option<HashSet<AgencyId>>, Rejection> {
        if caller.has(NodeRole::Operator) {
            return Ok(None);
        }
        let today = self.exchange.ledger().now().date();
        let may = |agency| caller.may(agency, Role::Operator, today);
        let own: HashSet<AgencyId> = directory
            .agencies()
            .iter()
            .filter(|a| a.was_hosted_lately(self.exchange.node(), today))
            .filter(|a| may(a) || may(directory.registered(a)))
            .map(|a| a.id.clone())
            .collect();
        if own.is_empty() {
            caller.check_node(NodeRole::Operator)?;
        }
        Ok(Some(own))
    }

    fn query(&self, caller: &Caller, r: &pb::GetRatiosRequest) -> Result<Query, Rejection> {
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        let agency = |field: &'static str, code: &str| {
            if code.is_empty() {
                return Ok(None);
            }
            let found = directory.by_code(code, today).map(|a| a.id.clone());
            // One that has no code any more is still known by its id.
            let found =
                found.or_else(|| AgencyId::new(code).ok().filter(|id| directory.agency(id).is_some()));
            found.map(Some).ok_or_else(|| {
                let shown = ids::shorten(code);
                Rejection::new(
                    Reason::UnknownAgency,
                    field,
                    format!("no agency `{shown}` in directory version {}", directory.version()),
                )
            })
        };
        let first = |new: &str, field: &'static str, month: &str, old: &'static str| {
            if new.is_empty() { read_period(old, month, true) } else { read_period(field, new, false) }
        };
        let from = first(&r.from, "from", &r.from_month, "from_month")?.map(|p| p.days().0);
        let to = first(&r.to, "to", &r.to_month, "to_month")?.map(|p| p.days().1);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let what = format!("{from} is after {to}: give the earlier one first");
            return Err(Rejection::new(Reason::InvalidDate, "from", what));
        }
        if r.group_by.len() > limits::REPORT_DIMENSIONS {
            let what =
                format!("{} are more than the {} allowed", r.group_by.len(), limits::REPORT_DIMENSIONS);
            return Err(Rejection::new(Reason::TooMany, "group_by", what));
        }
        let mut group = Vec::new();
        for name in &r.group_by {
            let dimension = name.parse().map_err(|e| Rejection::new(Reason::InvalidText, "group_by", e))?;
            if group.contains(&dimension) {
                let what = format!("`{name}` stands twice: name each dimension once");
                return Err(Rejection::new(Reason::InvalidText, "group_by", what));
            }
            group.push(dimension);
        }
        let side = match pb::FigureSide::try_from(r.side) {
            Ok(pb::FigureSide::Unspecified | pb::FigureSide::Outgoing) => Side::Outgoing,
            Ok(pb::FigureSide::Incoming) => Side::Incoming,
            Err(_) => return Err(words::unknown("side", r.side)),
        };
        let basis = match pb::FigureBasis::try_from(r.basis) {
            Ok(pb::FigureBasis::Unspecified | pb::FigureBasis::Deliveries) => Basis::Deliveries,
            Ok(pb::FigureBasis::Documents) => Basis::Documents,
            Err(_) => return Err(words::unknown("basis", r.basis)),
        };
        if side == Side::Incoming && basis == Basis::Documents {
            let what = "what arrives is counted in deliveries: documents are counted on their sender's side";
            return Err(Rejection::new(Reason::InvalidText, "basis", what));
        }
        ids::one_line("type_name", &r.type_name, limits::TYPE_NAME_CHARS)?;
        let filter = Filter {
            scope: enumeration("scope", r.scope, words::read_scope)?,
            direction: enumeration("direction", r.direction, words::read_direction)?,
            sender: agency("sender", &r.sender)?,
            recipient: agency("recipient", &r.recipient)?,
            sender_level: enumeration("sender_level", r.sender_level, words::read_level)?,
            recipient_level: enumeration("recipient_level", r.recipient_level, words::read_level)?,
            type_name: (!r.type_name.is_empty()).then(|| r.type_name.trim().to_lowercase()),
            urgency: enumeration("urgency", r.urgency, words::read_urgency)?,
        };
        let own = self.own(caller, &directory)?;
        Ok(Query { side, basis, from, to, filter, own, group })
    }

    async fn read(&self, query: Query) -> Result<Report, Status> {
        let ledger = self.exchange.ledger().clone();
        let read = move || {
            let newest = || ledger.snapshot().checkpoint().map_or_else(String::new, |c| c.note().to_owned());
            report::report(ledger.index(), &query, newest)
        };
        // Off the threads that serve calls.
        let report = tokio::task::spawn_blocking(read).await.map_err(|e| Status::internal(e.to_string()))?;
        report.map_err(|e| refuse(unreadable(&e)))
    }

    /// Refuses unless the caller may see what concerns the node's figures as a whole.
    fn check_periods<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let caller = caller(&self.exchange, request)?;
        if caller.has(NodeRole::Auditor) {
            return Ok(());
        }
        caller.check_node(NodeRole::Operator).map_err(refuse)
    }

    fn closed(&self, period: &str) -> Result<periods::Closed, Rejection> {
        let period = read_period("period", period, false)?.ok_or_else(|| Rejection::missing("period"))?;
        let record = self.exchange.closed_period(period)?.ok_or_else(|| {
            Rejection::new(Reason::InvalidDate, "period", format!("{period} is not closed: close it first"))
        })?;
        Ok(periods::Closed { period, record })
    }
}

/// A period, or with `month` only a month; nothing where the text is empty.
pub(super) fn read_period(field: &'static str, text: &str, month: bool) -> Result<Option<Period>, Rejection> {
    if text.is_empty() {
        return Ok(None);
    }
    if month {
        return figures::read_month(field, text).map(|m| Some(Period::Month(m)));
    }
    text.parse().map(Some).map_err(|e| Rejection::new(Reason::InvalidDate, field, format!("{e}")))
}

/// A filter by an enumeration, where 0 is none.
fn enumeration<T>(
    field: &'static str,
    number: i32,
    read: impl Fn(i32) -> Option<T>,
) -> Result<Option<T>, Rejection> {
    if number == 0 {
        return Ok(None);
    }
    read(number).map(Some).ok_or_else(|| words::unknown(field, number))
}

/// What was asked, in words, for the event.
fn in_words(r: &pb::GetRatiosRequest) -> String {
    let (basis, side) = (r.basis().as_str_name(), r.side().as_str_name());
    let word = |name: &str| name.rsplit('_').next().unwrap_or_default().to_lowercase();
    let given = [
        ("from", if r.from.is_empty() { r.from_month.clone() } else { r.from.clone() }),
        ("to", if r.to.is_empty() { r.to_month.clone() } else { r.to.clone() }),
        ("basis", if r.basis == 0 { String::new() } else { word(basis) }),
        ("side", if r.side == 0 { String::new() } else { word(side) }),
        ("scope", words::read_scope(r.scope).map_or("", |s| s.as_str()).to_owned()),
        ("direction", words::read_direction(r.direction).map_or("", |d| d.as_str()).to_owned()),
        ("sender", r.sender.clone()),
        ("recipient", r.recipient.clone()),
        ("sender_level", words::read_level(r.sender_level).map_or("", |l| l.as_str()).to_owned()),
        ("recipient_level", words::read_level(r.recipient_level).map_or("", |l| l.as_str()).to_owned()),
        ("type", r.type_name.clone()),
        (
            "urgency",
            if r.urgency == 0 {
                String::new()
            } else {
                words::read_urgency(r.urgency).map_or("", |u| u.as_str()).to_owned()
            },
        ),
        ("group_by", r.group_by.join(",")),
    ];
    let given = given.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn response(report: Report) -> Result<pb::GetRatiosResponse, Rejection> {
    if report.figures.len() > limits::REPORT_ROWS {
        return Err(Rejection::new(
            Reason::TooMany,
            "group_by",
            format!(
                "{} figures are more than the {} allowed: ask for fewer days, or filter",
                report.figures.len(),
                limits::REPORT_ROWS
            ),
        ));
    }
    let side = report.query.side;
    let grouped = !report.query.group.is_empty();
    let row = |figure: report::Figure| pb::RatioRow {
        key: figure.values.join("|"),
        deliveries: figure.counters.deliveries,
        ratios: figure
            .counters
            .ratios_of(side)
            .iter()
            .map(|r| pb::Ratio {
                name: r.name.to_owned(),
                n: r.n,
                d: r.d,
                percent: r.percent().unwrap_or_default(),
            })
            .collect(),
        values: if grouped { figure.values } else { Vec::new() },
        counts: Some(figures::counts(&figure.counters)),
        covered: figure.covered,
    };
    let coverage = report.coverage;
    let missing = coverage.missing.into_iter().take(limits::REPORT_MISSING);
    Ok(pb::GetRatiosResponse {
        rows: report.figures.into_iter().map(row).collect(),
        checkpoint: report.checkpoint,
        exact: report.exact,
        coverage: Some(pb::FigureCoverage {
            covered: coverage.covered,
            all: coverage.all,
            complete: coverage.complete,
            missing: missing
                .map(|m| pb::MissingDeclaration {
                    agency: m.agency.to_string(),
                    months: m.months.iter().map(ToString::to_string).collect(),
                    deliveries: m.deliveries,
                })
                .collect(),
        }),
        closed: report
            .closed
            .into_iter()
            .map(|(period, restatements)| pb::ClosedPeriod { period, restatements })
            .collect(),
    })
}

#[tonic::async_trait]
impl ReportService for ReportApi {
    async fn get_ratios(
        &self,
        request: Request<pb::GetRatiosRequest>,
    ) -> Result<Response<pb::GetRatiosResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let query = self.query(&caller, &request).map_err(refuse)?;
        if request.export {
            let actor = caller.actor(&request.user).map_err(refuse)?;
            // Of one agency's figures, that agency's event as well.
            let agency =
                query.own.as_ref().and_then(|own| if own.len() == 1 { own.iter().next() } else { None });
            let agency = agency.cloned();
            let asked = in_words(&request);
            record_extract(&self.exchange, actor, Extract::Ratios, agency, asked).await.map_err(refuse)?;
        }
        let report = self.read(query).await?;
        response(report).map(Response::new).map_err(refuse)
    }

    async fn close_period(
        &self,
        request: Request<pb::ClosePeriodRequest>,
    ) -> Result<Response<pb::ClosePeriodResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let r = request.into_inner();
        let period = if r.period.is_empty() {
            read_period("month", &r.month, true)
        } else {
            read_period("period", &r.period, false)
        };
        let period = period.map_err(refuse)?.ok_or_else(|| refuse(Rejection::missing("period")))?;
        let (record, already_closed) =
            self.exchange.close_period(&caller, period, &r.user).await.map_err(refuse)?;
        let snapshot = words::digest(&record.snapshot);
        Ok(Response::new(pb::ClosePeriodResponse { log_index: record.index, already_closed, snapshot }))
    }

    async fn list_restatements(
        &self,
        request: Request<pb::ListRestatementsRequest>,
    ) -> Result<Response<pb::ListRestatementsResponse>, Status> {
        self.check_periods(&request)?;
        let r = request.into_inner();
        let closed = self.closed(&r.period).map_err(refuse)?;
        let from = read_token(&r.page_token, closed.period).map_err(refuse)?;
        let size = match r.page_size {
            0 => limits::PAGE_ENTRIES,
            size if size <= limits::PAGE_ENTRIES => size,
            size => {
                let what = format!("{size} is more than the {} allowed", limits::PAGE_ENTRIES);
                return Err(refuse(Rejection::new(Reason::TooMany, "page_size", what)));
            }
        };
        let ledger = self.exchange.ledger();
        let found = periods::restatements(ledger.index(), &closed, from, size as usize);
        let found = found.map_err(|e| refuse(unreadable(&e)))?;
        let full = found.len() >= size as usize;
        let next = found.last().filter(|_| full).map(|last| format!("{}:{}", last.month, last.index + 1));
        let mut restatements = Vec::with_capacity(found.len());
        for restatement in found {
            let event =
                ledger.leaf(restatement.index).map_err(refuse)?.ok_or_else(|| refuse(must_be_checked()))?;
            let kind = leaf::decode(&event).map_or("unknown", |event| event.kind.name());
            restatements.push(restatement_out(restatement, kind));
        }
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(pb::ListRestatementsResponse { restatements, next_page_token }))
    }

    type GetSnapshotStream = Pin<Box<dyn Stream<Item = Result<pb::GetSnapshotResponse, Status>> + Send>>;

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<Self::GetSnapshotStream>, Status> {
        self.check_periods(&request)?;
        let closed = self.closed(&request.into_inner().period).map_err(refuse)?;
        let text = self.exchange.ledger().content().get(&closed.record.snapshot);
        let text = text.map_err(|e| refuse(storage(&e)))?.ok_or_else(|| refuse(must_be_checked()))?;
        let pieces = in_pieces(&text).into_iter().map(|data| Ok(pb::GetSnapshotResponse { data }));
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }

    type ReportNetworkStream = Pin<Box<dyn Stream<Item = Result<pb::ReportNetworkResponse, Status>> + Send>>;

    async fn report_network(
        &self,
        request: Request<pb::ReportNetworkRequest>,
    ) -> Result<Response<Self::ReportNetworkStream>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let r = request.into_inner();
        let reported = self.network.report(&self.exchange, &caller, &r).await.map_err(refuse)?;
        let mut pieces: Vec<_> = in_pieces(&Bytes::from(reported.text))
            .into_iter()
            .map(|data| pb::ReportNetworkResponse { data, ..Default::default() })
            .collect();
        if let Some(first) = pieces.first_mut() {
            first.log_index = reported.index;
            first.checkpoint = reported.checkpoint;
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces.into_iter().map(Ok)))))
    }

    async fn declare_paper(
        &self,
        request: Request<pb::DeclarePaperRequest>,
    ) -> Result<Response<pb::DeclarePaperResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let r = request.into_inner();
        let month = figures::read_month("month", &r.month).map_err(refuse)?;
        let declared = self.exchange.declare_paper(&caller, &r.agency, month, !r.withdraw, &r.user);
        let (log_index, already_recorded) = declared.await.map_err(refuse)?;
        Ok(Response::new(pb::DeclarePaperResponse { log_index, already_recorded }))
    }
}

fn in_pieces(text: &Bytes) -> Vec<Bytes> {
    let piece = |at| text.slice(at..text.len().min(at + limits::CHUNK_BYTES));
    (0..text.len()).step_by(limits::CHUNK_BYTES).map(piece).collect()
}

/// Month and event from which a list goes on.
fn read_token(token: &str, period: Period) -> Result<(Month, u64), Rejection> {
    if token.is_empty() {
        return Ok((period.months().0, 0));
    }
    let read =
        token.split_once(':').and_then(|(month, index)| Some((month.parse().ok()?, index.parse().ok()?)));
    read.ok_or_else(|| {
        Rejection::new(Reason::BadToken, "page_token", "it is not from the answer before: begin again")
    })
}

fn restatement_out(restatement: periods::Restatement, kind: &str) -> pb::Restatement {
    let record = restatement.record;
    let channel = |c: Option<crate::domain::ratio::Channel>| c.map_or("", |c| c.as_str()).to_owned();
    pb::Restatement {
        month: restatement.month.to_string(),
        log_index: restatement.index,
        event_kind: kind.to_owned(),
        sender: record.dims.sender.to_string(),
        recipient: record.dims.recipient.map_or_else(String::new, |r| r.to_string()),
        number: record.document.number().to_owned(),
        notation: record.document.notation().to_owned(),
        year: record.document.year(),
        channel_before: channel(record.channel_before),
        channel_after: channel(record.channel_after),
        before: Some(figures::counts(&record.before)),
        after: Some(figures::counts(&record.after)),
    }
}
