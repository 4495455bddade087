//! Reasons and gRPC statuses: one table, both ways. A failed call carries `google.rpc.ErrorInfo` with the stable
//! reason, `BadRequest` with the field, and a message that says what to do.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::reason::{Class, Reason, Rejection};

/// Domain of the reasons in `ErrorInfo`.
pub const DOMAIN: &str = "lienthong";

/// The gRPC code of a class of reasons.
pub fn code(class: Class) -> Code {
    match class {
        Class::Invalid => Code::InvalidArgument,
        Class::Denied => Code::PermissionDenied,
        Class::NotFound => Code::NotFound,
        Class::Conflict => Code::AlreadyExists,
        Class::Precondition => Code::FailedPrecondition,
        Class::Exhausted => Code::ResourceExhausted,
        Class::Unavailable => Code::Unavailable,
        Class::Internal => Code::Internal,
        Class::Unimplemented => Code::Unimplemented,
    }
}

/// A refusal as a gRPC status.
pub fn status(rejection: &Rejection) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(rejection.reason.code(), DOMAIN, std::collections::HashMap::new());
    if !rejection.field.is_empty() {
        details.add_bad_request_violation(rejection.field.clone(), rejection.message.clone());
    }
    let class = rejection.reason.class();
    if matches!(class, Class::Unavailable | Class::Exhausted) {
        let wait = rejection.reason.retry_after_ms();
        details.set_retry_info(Some(std::time::Duration::from_millis(wait.into())));
    }
    let message = if rejection.field.is_empty() {
        format!("{}: {}", rejection.reason, rejection.message)
    } else {
        format!("{}: {}: {}", rejection.reason, rejection.field, rejection.message)
    };
    Status::with_error_details(code(class), message, details)
}

/// Whether a status is a refusal that a node made, with its reason.
pub fn is_own(status: &Status) -> bool {
    status.get_error_details().error_info().is_some_and(|i| i.domain == DOMAIN)
}

/// A refusal read back from a gRPC status: what a client shows, and how a peer decides whether to try again.
pub fn read_status(status: &Status) -> Rejection {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .filter(|i| i.domain == DOMAIN)
        .and_then(|i| i.reason.parse::<Reason>().ok())
        .unwrap_or(match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                Reason::PeerUnreachable
            }
            Code::ResourceExhausted => Reason::Overloaded,
            // What the decoder says of a message over the limit.
            Code::OutOfRange => Reason::BadStream,
            Code::PermissionDenied | Code::Unauthenticated => Reason::NotAllowed,
            Code::Unimplemented => Reason::Unimplemented,
            _ => Reason::Internal,
        });
    let field = details
        .bad_request()
        .and_then(|b| b.field_violations.first())
        .map_or_else(String::new, |v| v.field.clone());
    let prefix = if field.is_empty() { format!("{reason}: ") } else { format!("{reason}: {field}: ") };
    let message = status.message().strip_prefix(&prefix).unwrap_or(status.message());
    Rejection::new(reason, field, message)
}

/// A failed call as a person should read it: reason, field, what happened, and where the reason is explained.
pub fn explain(status: &Status) -> String {
    let rejection = read_status(status);
    let reason = rejection.reason;
    if status.get_error_details().error_info().is_none() {
        // The way to the node failed: what lies at the bottom says more than what lies on top.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
        let mut deepest = None;
        while let Some(error) = cause {
            deepest = Some(error.to_string());
            cause = error.source();
        }
        let deepest = deepest.filter(|text| *text != status.message());
        let deepest = deepest.map_or_else(String::new, |text| format!(": {text}"));
        // After a handshake of TLS 1.3 the other side has not looked at the certificate yet: it may only hang up.
        let why = match reason {
            Reason::PeerUnreachable => {
                "; it is not there any more, or does not take this certificate at this port"
            }
            _ => "",
        };
        return format!("{reason}: {}{deepest}{why}", status.message());
    }
    let field = if rejection.field.is_empty() { String::new() } else { format!(" {}:", rejection.field) };
    format!("{reason}:{field} {} (docs/reasons/{reason}.md)", rejection.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_way_through_grpc() {
        for reason in Reason::PLAIN {
            for field in ["", "metadata.subject"] {
                let rejection = Rejection::new(*reason, field, "501 characters are more than 500");
                assert_eq!(read_status(&status(&rejection)), rejection);
            }
        }
    }
}
