//! `DirectoryService`: reading the directory. Any client of this node and any node of the network may.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::exchange::{read_page, token};
use super::tls::Identity;
use super::{caller, identity, refuse};
use crate::directory::Agency;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::wire::pb;
use crate::wire::pb::directory_service_server::DirectoryService;

/// The service.
pub struct DirectoryApi {
    exchange: Exchange,
}

impl DirectoryApi {
    /// Over the version in force.
    pub fn new(exchange: Exchange) -> DirectoryApi {
        DirectoryApi { exchange }
    }

    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        match identity(request)? {
            Identity::Node { network, .. } if network == self.exchange.config().network => Ok(()),
            _ => caller(&self.exchange, request).map(|_| ()),
        }
    }

    fn show(&self, agency: &Agency) -> pb::Agency {
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        pb::Agency {
            id: agency.id.to_string(),
            codes: agency.entry.codes.iter().map(|c| c.code.clone()).collect(),
            name: agency.entry.name.clone(),
            level: agency.level().as_str().to_owned(),
            parent: agency.entry.parent.clone().unwrap_or_default(),
            registered: directory.registered(agency).id.to_string(),
            node: agency.node(today).map_or_else(String::new, ToString::to_string),
        }
    }
}

#[tonic::async_trait]
impl DirectoryService for DirectoryApi {
    type GetDirectoryStream = ReceiverStream<Result<pb::GetDirectoryResponse, Status>>;

    async fn get_directory(
        &self,
        request: Request<pb::GetDirectoryRequest>,
    ) -> Result<Response<Self::GetDirectoryStream>, Status> {
        self.check(&request)?;
        let version = request.into_inner().version;
        let current = self.exchange.directory();
        let note = if version == 0 || version == current.version() {
            current.note().to_owned()
        } else {
            self.exchange.directories().version(version).ok_or_else(|| {
                refuse(Rejection::new(
                    Reason::UnknownEvent,
                    "version",
                    format!(
                        "directory version {version} is not kept here, the newest is {}",
                        current.version()
                    ),
                ))
            })?
        };
        let (pieces, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let note = Bytes::from(note);
            for start in (0..note.len()).step_by(limits::CHUNK_BYTES) {
                let data = note.slice(start..(start + limits::CHUNK_BYTES).min(note.len()));
                if pieces.send(Ok(pb::GetDirectoryResponse { data })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_agency(
        &self,
        request: Request<pb::GetAgencyRequest>,
    ) -> Result<Response<pb::Agency>, Status> {
        self.check(&request)?;
        let code = request.into_inner().code;
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        let agency = directory.by_code(&code, today).ok_or_else(|| {
            refuse(Rejection::new(
                Reason::UnknownAgency,
                "code",
                format!(
                    "no agency `{}` in directory version {}",
                    crate::domain::ids::shorten(&code),
                    directory.version()
                ),
            ))
        })?;
        Ok(Response::new(self.show(agency)))
    }

    async fn list_agencies(
        &self,
        request: Request<pb::ListAgenciesRequest>,
    ) -> Result<Response<pb::ListAgenciesResponse>, Status> {
        self.check(&request)?;
        let request = request.into_inner();
        let (size, from) = read_page(request.page.as_ref()).map_err(refuse)?;
        let directory = self.exchange.directory();
        let query = request.query.to_lowercase();
        let matches = |a: &Agency| {
            query.is_empty()
                || a.entry.name.to_lowercase().contains(&query)
                || a.entry.codes.iter().any(|c| c.code.to_lowercase().contains(&query))
        };
        let mut agencies = Vec::new();
        let mut next = None;
        for (i, agency) in directory.agencies().iter().enumerate().skip(from as usize) {
            if matches(agency) {
                if agencies.len() == size {
                    next = Some(i as u64);
                    break;
                }
                agencies.push(self.show(agency));
            }
        }
        Ok(Response::new(pb::ListAgenciesResponse {
            agencies,
            next_token: token(next),
            directory_version: directory.version(),
        }))
    }
}
