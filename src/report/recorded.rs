//! What is recorded about the figures: a period that is closed, an agency's word that its paper register is complete.

use super::{ReportError, engine, periods};
use crate::config::{NodeRole, Role};
use crate::domain::decide::{Answer, Command, Place};
use crate::domain::fold::records::ClosedRecord;
use crate::domain::fold::{decode, keys};
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::domain::ratio::{Month, PaperDeclared, Period, PeriodClosed};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::pressure::Wants;
use crate::exchange::{Caller, Exchange};
use crate::ledger::{LedgerError, damaged, must_be_checked, storage};
use crate::merkle::sha256;

/// A refusal because figures cannot be read.
pub(crate) fn unreadable(error: &ReportError) -> Rejection {
    if let ReportError::TooMany { .. } = error {
        return Rejection::new(Reason::TooMany, "period", error.to_string());
    }
    tracing::error!(%error, "figures cannot be read");
    must_be_checked()
}

/// Keeps a text of figures as content, whatever its size; gives its digest.
pub(super) fn keep(exchange: &Exchange, text: &str) -> Result<Digest, Rejection> {
    let digest = sha256(text.as_bytes());
    exchange.ledger().content().put_whole(digest, text.as_bytes()).map_err(|e| storage(&e))?;
    Ok(digest)
}

impl Exchange {
    /// Declares the paper register of an agency complete for a month, or takes that back; returns the log index and
    /// whether it was so before.
    pub async fn declare_paper(
        &self,
        caller: &Caller,
        agency: &str,
        month: Month,
        complete: bool,
        user: &str,
    ) -> Result<(u64, bool), Rejection> {
        let directory = self.directory();
        let own = self.own_agency(&directory, caller, Role::Dms, agency, "agency", Reason::UnknownAgency)?;
        let _room = self.pressure().admit(Wants::Entry)?;
        let actor = caller.actor(user)?;
        let now = Month::of(self.ledger().now().date());
        if month > now {
            return Err(Rejection::new(
                Reason::InvalidDate,
                "month",
                format!("{month} lies ahead of {now}: a register is complete when its month is over"),
            ));
        }
        let declared = PaperDeclared { agency: own.id, agency_code: agency.to_owned(), month, complete };
        let command = Command::DeclarePaper { actor, declared };
        let committed = self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        let existing = matches!(committed.answer, Answer::Recorded(Place::Existing(_)));
        Ok((committed.recorded(), existing))
    }

    /// A closed period's record.
    pub fn closed_period(&self, period: Period) -> Result<Option<ClosedRecord>, Rejection> {
        let key = keys::closed(period);
        let found = self.ledger().index().get(&key).map_err(|e| storage(&e))?;
        found.map(|bytes| decode(&key, &bytes)).transpose().map_err(|e| damaged(&e))
    }

    /// Closes a period with its figures; returns the record and whether it was closed before.
    pub async fn close_period(
        &self,
        caller: &Caller,
        period: Period,
        user: &str,
    ) -> Result<(ClosedRecord, bool), Rejection> {
        caller.check_node(NodeRole::Operator)?;
        let actor = caller.actor(user)?;
        let today = self.ledger().now().date();
        if matches!(period, Period::Day(_)) || period.days().1 >= today {
            return Err(Rejection::new(
                Reason::InvalidDate,
                "period",
                format!("{period} cannot be closed on {today}: close a month, quarter or year that is over"),
            ));
        }
        let _room = self.pressure().admit(Wants::Entry)?;
        for _ in 0..limits::CLOSE_TRIES {
            if let Some(known) = self.closed_period(period)? {
                return Ok((known, true));
            }
            let (closed, changes) = self.figures_of(period).await?;
            let command = Command::ClosePeriod { actor: actor.clone(), closed: Box::new(closed), changes };
            match self.ledger().commit(command).await {
                // Somebody else may have closed it meanwhile: then that record stands.
                Ok(committed) => {
                    let existing = matches!(committed.answer, Answer::Recorded(Place::Existing(_)));
                    let record = self.closed_period(period)?.ok_or_else(must_be_checked)?;
                    return Ok((record, existing));
                }
                Err(LedgerError::Stale) => {}
                Err(error) => return Err(error.into_rejection()),
            }
        }
        Err(Rejection::new(
            Reason::Overloaded,
            "period",
            format!("the figures of {period} changed during every try: close it when there is less traffic"),
        ))
    }

    /// A period's figures, kept as content, and how often its months had changed before they were read.
    async fn figures_of(&self, period: Period) -> Result<(PeriodClosed, u64), Rejection> {
        let exchange = self.clone();
        let read = move || {
            let index = exchange.ledger().index();
            let changes = engine::changes(index, &periods::query(period)).map_err(|e| unreadable(&e))?;
            let text = periods::snapshot(index, period).map_err(|e| unreadable(&e))?;
            let totals = periods::totals(index, period).map_err(|e| unreadable(&e))?;
            let snapshot = keep(&exchange, &text)?;
            let snapshot_size = text.len() as u64;
            Ok((PeriodClosed { period, snapshot, snapshot_size, totals }, changes))
        };
        // Off the threads that serve calls.
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|error| {
            tracing::error!(%error, "reading figures broke off");
            Rejection::new(Reason::Internal, "", "this node's administrator must look")
        })?
    }
}
