//! `lienthong web-login`: a link that signs a person in to a node's pages, once.

use serde_json::json;

use super::remote::Remote;
use super::show::time;
use super::{CliError, Format, Outcome, note, out};
use crate::wire::pb;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong web-login --config node/lienthong.toml\n  \
    lienthong web-login --config node/lienthong.toml --for operator --user thu.nguyen")]
pub struct WebLoginArgs {
    #[command(flatten)]
    remote: Remote,
    /// Another client, whose rights the person gets; for admins of the node.
    #[arg(long = "for", value_name = "CLIENT")]
    whose: Option<String>,
    /// The person, as they are to stand in the log; at most 100 characters.
    #[arg(long, default_value = "")]
    user: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Gets a link.
pub async fn run(args: WebLoginArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("admin").await?;
    let request = pb::CreateWebLoginRequest { client: args.whose.unwrap_or_default(), user: args.user };
    let made = client.audit().create_web_login(request).await?.into_inner();
    match args.format {
        Format::Table => {
            note(format!("open this in a browser; it works once, until {}", time(made.expires_at)));
            out(made.url);
        }
        Format::Json => {
            let json = json!({"url": made.url, "expires_at": time(made.expires_at)});
            out(serde_json::to_string_pretty(&json).unwrap_or_default());
        }
    }
    Ok(Outcome::Done)
}
