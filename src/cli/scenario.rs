//! A scenario file: deliveries as the registries of the agencies wrote them down, and the documents made for them.
//!
//! Columns: `seq,issued_on,sender,recipient,number,notation,type,subject,urgency,origin,channel,paper_reason`. Rows of
//! one sender, number and notation are one document to several recipients.

use std::io::Read;

use serde::Deserialize;

use super::CliError;
use crate::time::Date;

/// A line as it is written.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    seq: u64,
    issued_on: String,
    sender: String,
    recipient: String,
    number: String,
    notation: String,
    #[serde(rename = "type")]
    type_name: String,
    subject: String,
    urgency: String,
    #[serde(default)]
    origin: String,
    channel: String,
    #[serde(default)]
    paper_reason: String,
}

/// One delivery.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the file")]
pub struct Row {
    pub seq: u64,
    pub issued_on: Date,
    pub sender: String,
    pub recipient: String,
    pub number: String,
    pub notation: String,
    pub type_name: String,
    pub subject: String,
    pub urgency: crate::domain::Urgency,
    pub scanned: bool,
    pub electronic: bool,
    pub paper: bool,
    pub mandatory: bool,
}

impl Row {
    /// Rows of one document share this.
    pub fn document(&self) -> (String, String, String, i32) {
        (self.sender.clone(), self.number.clone(), self.notation.clone(), self.issued_on.year())
    }
}

/// Reads a file; an error names the line and the value.
pub fn read(csv: impl Read) -> Result<Vec<Row>, CliError> {
    let mut rows = Vec::new();
    for (i, line) in csv::Reader::from_reader(csv).deserialize().enumerate() {
        let at = i + 2;
        let line: Line = line.map_err(|e| CliError::failed(format!("scenario, line {at}: {e}")))?;
        let bad = |column: &str, value: &str, allowed: &str| {
            CliError::failed(format!("scenario, line {at}: {column} `{value}` is not allowed: {allowed}"))
        };
        let (electronic, paper) = match line.channel.as_str() {
            "electronic" => (true, false),
            "dual" => (true, true),
            "paper" => (false, true),
            other => return Err(bad("channel", other, "electronic, dual or paper")),
        };
        rows.push(Row {
            issued_on: line.issued_on.parse().map_err(|_| bad("issued_on", &line.issued_on, "yyyy-mm-dd"))?,
            urgency: line
                .urgency
                .parse()
                .map_err(|_| bad("urgency", &line.urgency, "normal, urgent, very_urgent or flash"))?,
            scanned: match line.origin.as_str() {
                "scanned" => true,
                "" | "born_digital" => false,
                other => return Err(bad("origin", other, "born_digital or scanned")),
            },
            mandatory: match line.paper_reason.as_str() {
                "mandatory" => true,
                "" => false,
                other => return Err(bad("paper_reason", other, "mandatory, or nothing")),
            },
            seq: line.seq,
            sender: line.sender,
            recipient: line.recipient,
            number: line.number,
            notation: line.notation,
            type_name: line.type_name,
            subject: line.subject,
            electronic,
            paper,
        });
    }
    Ok(rows)
}

/// A small real file for a document: XML for every third one, PDF otherwise. Returns name, media type and bytes.
pub fn document(row: &Row) -> (String, &'static str, Vec<u8>) {
    let base = format!("{}-{}", row.number, row.notation).replace(['/', '\\'], "_");
    if row.seq.is_multiple_of(3) {
        (format!("{base}.xml"), "application/xml", xml(row))
    } else {
        (format!("{base}.pdf"), "application/pdf", pdf(row))
    }
}

fn xml(row: &Row) -> Vec<u8> {
    let escape = |t: &str| t.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<document>\n  <number>{}</number>\n  <notation>{}</notation>\n  \
         <issued>{}</issued>\n  <sender>{}</sender>\n  <type>{}</type>\n  <subject>{}</subject>\n</document>\n",
        escape(&row.number),
        escape(&row.notation),
        row.issued_on,
        escape(&row.sender),
        escape(&row.type_name),
        escape(&row.subject)
    )
    .into_bytes()
}

/// A PDF of one page: number, notation and day on the page, the subject in the document's information (UTF-16).
fn pdf(row: &Row) -> Vec<u8> {
    let ascii = |t: &str| -> String {
        t.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect::<String>()
    };
    let literal = |t: &str| ascii(t).replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    let utf16 = |t: &str| {
        let mut hex = String::from("<FEFF");
        for unit in t.encode_utf16() {
            hex.push_str(&format!("{unit:04X}"));
        }
        hex.push('>');
        hex
    };
    let page = format!(
        "BT /F1 14 Tf 72 760 Td (No. {}/{}) Tj 0 -24 Td (Issued {}) Tj 0 -24 Td (From {}) Tj ET",
        literal(&row.number),
        literal(&row.notation),
        row.issued_on,
        literal(&row.sender)
    );
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Title {} /Subject {} >>", utf16(&row.type_name), utf16(&row.subject)),
    ];
    let mut out = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", i + 1).as_bytes());
    }
    let xref = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{xref}\n%%EOF\n",
            objects.len() + 1
        )
        .as_bytes(),
    );
    out
}
