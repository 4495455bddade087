//! The pages for operators, auditors and administrators: HTTPS on a listener of its own, rendered on the server.
//!
//! ```text
//! listen     TLS that asks for a client certificate without requiring one; bounds; who is at the other end
//! session    one-time links become sessions; everything but signing in needs a certificate or a session
//! visitor    who asks, in which language
//! pages/     one file a page: what a page shows it asks of the same services that clients call (rpc), as the same caller
//! choice     which period and basis a page's figures have; figures: how one is shown; chart: bars, as SVG
//! frame      what stands around every page; text: numbers and dates of both languages
//! said       what pages say, in both languages; words: the words of the exchange
//! ```
//! A page has no right of its own and no figure of its own: it calls [`crate::rpc`]'s services in this process, with the
//! identity of the visitor. It loads nothing from elsewhere, works without JavaScript, and is forbidden to do more by its
//! content-security policy.

mod chart;
mod choice;
mod events;
mod figures;
mod forms;
mod frame;
mod listen;
mod pages;
mod said;
mod session;
mod text;
mod visitor;
mod words;

use std::sync::Arc;

pub use listen::serve;

use crate::exchange::Exchange;
use crate::rpc::audit::AuditApi;
use crate::rpc::exchange::ExchangeApi;
use crate::rpc::login::Logins;
use crate::rpc::quota::Quotas;
use crate::rpc::report::ReportApi;
use session::Sessions;

/// What the pages stand on.
pub struct Site {
    /// The steps, and the configuration.
    pub exchange: Exchange,
    /// The log, and the state of the node.
    pub audit: AuditApi,
    /// The figures.
    pub reports: ReportApi,
    /// Documents, and the paper register.
    pub documents: ExchangeApi,
    /// What clients and peers have in use, and what they were refused.
    pub quotas: [Quotas; 2],
    /// One-time links.
    pub logins: Arc<Logins>,
    sessions: Sessions,
}

impl Site {
    /// Nobody is signed in yet.
    pub fn new(
        exchange: Exchange,
        audit: AuditApi,
        reports: ReportApi,
        documents: ExchangeApi,
        quotas: [Quotas; 2],
        logins: Arc<Logins>,
    ) -> Site {
        Site { exchange, audit, reports, documents, quotas, logins, sessions: Sessions::default() }
    }
}
