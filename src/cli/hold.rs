//! `lienthong hold …`: legal holds of a running node.

use clap::Subcommand;
use serde_json::json;

use super::named::Named;
use super::remote::Remote;
use super::show::{columns, time};
use super::{CliError, Format, Outcome, out};
use crate::rpc::client::NodeClient;
use crate::wire::{hold, pb, words};

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong hold place --agency H09.1 --number 12 --notation UBND-VX --year 2016 \
    --reason \"case 7/2026\" --config node/lienthong.toml\n  lienthong hold list --config node/lienthong.toml\n  \
    lienthong hold lift 812 --reason \"case 7/2026 is closed\" --config node/lienthong.toml"
)]
pub struct HoldArgs {
    #[command(subcommand)]
    command: HoldCommand,
    #[command(flatten)]
    remote: Remote,
    /// How to print.
    #[arg(long, value_enum, default_value = "table", global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Places a hold: on a delivery, on a document of an agency, or on what an agency sent and received.
    Place(PlaceArgs),
    /// Lists the holds in force.
    List,
    /// Lifts a hold.
    Lift {
        /// Its number.
        hold: u64,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who, for the log (opaque).
        #[arg(long, default_value = "")]
        user: String,
    },
}

#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// A delivery.
    #[arg(long, value_name = "ID", conflicts_with = "agency")]
    delivery: Option<Named>,
    /// An agency: of a document its sender, otherwise sender or recipient.
    #[arg(long, value_name = "CODE", required_unless_present = "delivery")]
    agency: Option<String>,
    /// With --agency: documents of this type only.
    #[arg(long = "type", value_name = "NAME", requires = "agency", conflicts_with = "number")]
    type_name: Option<String>,
    /// With --agency: the document with this number, notation and year.
    #[arg(long, requires_all = ["agency", "notation", "year"])]
    number: Option<String>,
    /// Its notation.
    #[arg(long, requires = "number")]
    notation: Option<String>,
    /// Its year.
    #[arg(long, requires = "number")]
    year: Option<i32>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// Who, for the log (opaque).
    #[arg(long, default_value = "")]
    user: String,
}

impl PlaceArgs {
    async fn scope(&self, client: &NodeClient) -> Result<pb::HoldScope, CliError> {
        let agency = self.agency.clone().unwrap_or_default();
        let mut scope = pb::HoldScope::default();
        if let Some(id) = &self.delivery {
            scope.delivery_id = words::id(&id.find(client).await?);
        } else if let Some(number) = &self.number {
            scope.document = Some(pb::DocumentRef {
                agency,
                number: number.clone(),
                notation: self.notation.clone().unwrap_or_default(),
                year: self.year.unwrap_or_default(),
            });
        } else {
            (scope.agency, scope.type_name) = (agency, self.type_name.clone().unwrap_or_default());
        }
        Ok(scope)
    }
}

/// Runs the command.
pub async fn run(args: HoldArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("admin").await?;
    match &args.command {
        HoldCommand::Place(place) => {
            let (reason, user) = (place.reason.clone(), place.user.clone());
            let request = pb::PlaceHoldRequest { scope: Some(place.scope(&client).await?), reason, user };
            let hold = client.retention().place_hold(request).await?.into_inner().hold;
            match args.format {
                Format::Json => out(json!({"hold": hold})),
                Format::Table => out(format!("hold {hold} is in force")),
            }
        }
        HoldCommand::Lift { hold, reason, user } => {
            let (reason, user) = (reason.clone(), user.clone());
            let request = pb::LiftHoldRequest { hold: *hold, reason, user };
            let index = client.retention().lift_hold(request).await?.into_inner().log_index;
            match args.format {
                Format::Json => out(json!({"hold": hold, "event": index})),
                Format::Table => out(format!("hold {hold} is lifted (event {index})")),
            }
        }
        HoldCommand::List => {
            let holds = client.retention().list_holds(pb::ListHoldsRequest {}).await?.into_inner().holds;
            let scope = |h: &pb::HoldView| {
                hold::read_scope(h.scope.clone()).map_or_else(|_| "?".to_owned(), |scope| scope.to_string())
            };
            match args.format {
                Format::Json => {
                    let list: Vec<_> = holds
                        .iter()
                        .map(|h| {
                            json!({"hold": h.hold, "on": scope(h), "since": time(h.at),
                                "client": h.client, "user": h.user, "reason": h.reason})
                        })
                        .collect();
                    out(serde_json::to_string_pretty(&list).unwrap_or_default());
                }
                Format::Table => {
                    let row = |h: &pb::HoldView| {
                        let since = time(h.at);
                        vec![
                            h.hold.to_string(),
                            since,
                            scope(h),
                            h.client.clone(),
                            h.user.clone(),
                            h.reason.clone(),
                        ]
                    };
                    let rows: Vec<_> = holds.iter().map(row).collect();
                    out(columns(&["hold", "since", "on", "by", "user", "reason"], &rows));
                }
            }
        }
    }
    Ok(Outcome::Done)
}
