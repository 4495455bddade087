//! `fetch`: a delivery's files, streamed to the disk, and gone on with where it broke.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::dms::{signature_name, write_new};
use super::named::Named;
use super::remote::{Person, Remote};
use super::send::{Tries, hash_file};
use super::show::time;
use super::{CliError, Outcome, note, out};
use crate::domain::limits::PARTS;
use crate::domain::{Body, Envelope, Notice, Reason};
use crate::rpc::client::NodeClient;
use crate::wire::{envelope, failure, pb, words};

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong fetch ID --config node/lienthong.toml --agency H09.2 --to ./incoming"
)]
pub struct FetchArgs {
    /// Delivery.
    id: Named,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    person: Person,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// Folder for the files and their signatures.
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
}

/// Fetches a delivery's files. What breaks on the way, or broke before, goes on where it stopped.
pub async fn fetch(mut args: FetchArgs) -> Result<Outcome, CliError> {
    std::fs::create_dir_all(&args.to).map_err(|e| CliError::file("creating", &args.to, &e))?;
    let mut client = args.remote.connect("dms").await?;
    // What arrived of it before is beside its whole id.
    args.id = Named::Whole(args.id.find(&client).await?);
    let mut tries = Tries::default();
    let (header, opened) = loop {
        let at = arrived(&args);
        if at > 0 {
            note(format!("going on at byte {at}"));
        }
        match stream(&args, &client, at).await {
            Ok(Some(fetched)) => break fetched,
            // What was there is not the beginning of this delivery.
            Ok(None) => {}
            Err(Failed::Here(error)) => return Err(error),
            Err(Failed::There(status)) => {
                tries.wait(&status, at).await?;
                // While there is none, the old one fails at once.
                client = args.remote.connect("dms").await.unwrap_or(client);
            }
        }
    };
    let mut signatures = header.signatures.iter();
    for (i, part) in opened.parts().iter().enumerate() {
        let partial = partial_path(&args, i);
        let failed = |e: std::io::Error| CliError::file("reading", &partial, &e);
        std::fs::File::options().append(true).create(true).open(&partial).map_err(failed)?;
        let (size, digest) = hash_file(&partial).map_err(failed)?;
        if (size, digest) != (part.size, part.sha256) {
            remove(&args);
            return Err(CliError::failed(format!(
                "`{}` did not arrive as its sender signed it: fetch it again",
                part.name
            )));
        }
    }
    for (i, part) in opened.parts().iter().enumerate() {
        let path = args.to.join(&part.name);
        new_name(&path)?;
        std::fs::rename(partial_path(&args, i), &path).map_err(|e| CliError::file("writing", &path, &e))?;
        out(format!("{} ({} bytes, SHA-256 {})", path.display(), part.size, part.sha256));
        for n in 1..=part.signatures.len() {
            let path = signature_name(&path, n);
            write_new(&path, signatures.next().map_or(&[], |s| s.as_ref()))?;
            out(format!("  signature {}", path.display()));
        }
    }
    for update in &header.updates {
        if let Body::Notice(Notice { metadata: Some(metadata), .. }) = envelope::decode(update)?.body {
            out(format!("updated: subject \"{}\", issued on {}", metadata.subject, metadata.issued_on));
        }
    }
    out(if header.legally_effective {
        "equal to paper: both signatures are valid"
    } else {
        "for information only"
    });
    note(format!(
        "not yet acknowledged: `lienthong ack {} --agency {} …` before {}",
        args.id,
        args.agency,
        time(header.lease_until)
    ));
    Ok(Outcome::Done)
}

/// Why a stream ended.
enum Failed {
    /// At this machine.
    Here(CliError),
    /// At the node, or on the way.
    There(tonic::Status),
}

impl From<tonic::Status> for Failed {
    fn from(status: tonic::Status) -> Failed {
        Failed::There(status)
    }
}

impl From<CliError> for Failed {
    fn from(error: CliError) -> Failed {
        Failed::Here(error)
    }
}

/// Where the bytes of a part are until all are there.
fn partial_path(args: &FetchArgs, part: usize) -> PathBuf {
    args.to.join(format!(".{}.{part}.part", args.id))
}

/// Bytes of the delivery that are here.
fn arrived(args: &FetchArgs) -> u64 {
    let sizes = (0..PARTS).map(|i| std::fs::metadata(partial_path(args, i)).map_or(0, |m| m.len()));
    sizes.sum()
}

fn remove(args: &FetchArgs) {
    for i in 0..PARTS {
        // One that cannot be removed is found again by the next fetch.
        let _ = std::fs::remove_file(partial_path(args, i));
    }
}

fn new_name(path: &Path) -> Result<(), CliError> {
    if path.exists() {
        return Err(CliError::file(
            "writing",
            path,
            &"it is there already: move it, or fetch to another folder",
        ));
    }
    Ok(())
}

/// Fetches from an offset on; `None` when what is here is not the beginning.
async fn stream(
    args: &FetchArgs,
    client: &NodeClient,
    offset: u64,
) -> Result<Option<(pb::FetchHeader, Envelope)>, Failed> {
    use pb::fetch_response::Part;
    let request = pb::FetchRequest {
        agency: args.agency.clone(),
        delivery_id: words::id(&args.id.find(client).await?),
        user: args.person.user.clone(),
        offset,
    };
    let mut messages = match client.exchange().fetch(request).await {
        Err(status) if offset > 0 && failure::read_status(&status).reason == Reason::BadOffset => {
            remove(args);
            return Ok(None);
        }
        opened => opened?.into_inner(),
    };
    let Some(Part::Header(header)) = messages.message().await?.and_then(|m| m.part) else {
        return Err(tonic::Status::unavailable("the fetch ended before its header").into());
    };
    let opened = envelope::decode(&header.envelope).map_err(CliError::from)?;
    let mut places = Vec::new();
    let mut before = offset;
    for (i, part) in opened.parts().iter().enumerate() {
        // Checked at both nodes to be no path.
        new_name(&args.to.join(&part.name))?;
        let path = partial_path(args, i);
        let here = std::fs::metadata(&path).map_or(0, |m| m.len());
        if here != before.min(part.size) {
            remove(args);
            return Ok(None);
        }
        before -= here;
        places.push((path, part.size - here));
    }
    let mut places = places.into_iter().filter(|(_, left)| *left > 0);
    let mut open: Option<(std::fs::File, u64)> = None;
    while let Some(message) = messages.message().await? {
        let Some(Part::Data(data)) = message.part else { continue };
        let mut data = &data[..];
        while !data.is_empty() {
            if open.as_ref().is_none_or(|(_, left)| *left == 0) {
                let Some((path, left)) = places.next() else {
                    return Err(CliError::failed("the node sends more than the envelope names").into());
                };
                let file = std::fs::File::options().append(true).create(true).open(&path);
                open = Some((file.map_err(|e| CliError::file("writing", &path, &e))?, left));
            }
            let Some((file, left)) = &mut open else { break };
            let (now, later) = data.split_at(data.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
            file.write_all(now).map_err(|e| CliError::file("writing", &args.to, &e))?;
            *left -= now.len() as u64;
            data = later;
        }
    }
    if places.next().is_some() || open.is_some_and(|(_, left)| left > 0) {
        return Err(tonic::Status::unavailable("the fetch ended too early").into());
    }
    Ok(Some((header, opened)))
}
