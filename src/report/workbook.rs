//! A report as a workbook (xlsx): the figures, the definitions, the coverage, each on a sheet of its own.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::Report;
use super::query::side_word;
use super::table::{columns, covered, filter, whole};
use crate::domain::ratio::Ratio;

/// What each figure means; the names are those of the columns.
const DEFINITIONS: [(&str, &str); 17] = [
    (
        "counted",
        "N: deliveries (document × recipient) of new and replace documents, or documents; not status, update or revoke messages, not exact re-sends, not what was withdrawn before it arrived",
    ),
    ("fully_electronic", "delivered electronically and not on paper / N"),
    (
        "legally_effective",
        "fully electronic, with the person's and the agency's signature valid at both nodes / N",
    ),
    ("dual", "delivered electronically and in the paper register / N"),
    ("paper_only", "in the paper register only / N"),
    ("any_electronic", "(electronic + dual) / N"),
    ("undelivered", "given up, or refused and not on paper / N"),
    ("pending", "queued or held / N; in no numerator"),
    ("signed", "with both signatures valid / (electronic + dual)"),
    ("scanned", "of scanned documents / (electronic + dual)"),
    ("avoidable_paper", "dual without a basis that makes paper mandatory / dual"),
    (
        "on_time",
        "sent in time / sent: urgent and above within 1 hour of issue, others until 12:00 of the next working day (UTC+7)",
    ),
    ("acknowledged_same_day", "status 01, 02 or 03 on the day of arrival / delivered electronically"),
    ("held", "of those pending: in the custody of the recipient's node, not yet decided"),
    (
        "coverage",
        "figures of agencies that declared their paper register of the month complete / N; what went on paper elsewhere may be missing, so that fully electronic is overstated",
    ),
    (
        "documents",
        "a document is electronic or on paper when all its deliveries are, dual when it went both ways, undelivered when one did not arrive, pending while one is",
    ),
    ("n/a", "the denominator is empty"),
];

/// The bytes of the workbook.
pub fn workbook(report: &Report) -> Result<Vec<u8>, XlsxError> {
    book(report)?.save_to_buffer()
}

/// The workbook, to which sheets may be added.
pub(super) fn book(report: &Report) -> Result<Workbook, XlsxError> {
    let bold = Format::new().set_bold();
    let mut book = Workbook::new();
    // No clock: the same report gives the same file.
    let time = ExcelDateTime::from_ymd(2000, 1, 1)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&time));
    figures(report, book.add_worksheet().set_name("figures")?, &bold)?;
    definitions(book.add_worksheet().set_name("definitions")?, &bold)?;
    coverage(report, book.add_worksheet().set_name("coverage")?, &bold)?;
    Ok(book)
}

/// A number in a cell. Over 2^53 it would not be exact: no node counts so many.
fn number(sheet: &mut Worksheet, row: u32, column: u16, n: u64) -> Result<(), XlsxError> {
    sheet.write_number(row, column, n as f64)?;
    Ok(())
}

fn percent(sheet: &mut Worksheet, row: u32, column: u16, ratio: &Ratio) -> Result<(), XlsxError> {
    match ratio.percent().and_then(|p| p.parse::<f64>().ok()) {
        None => sheet.write_string(row, column, "n/a")?,
        Some(p) => sheet.write_number_with_format(row, column, p, &Format::new().set_num_format("0.00"))?,
    };
    Ok(())
}

fn figures(report: &Report, sheet: &mut Worksheet, bold: &Format) -> Result<(), XlsxError> {
    let side = report.query.side;
    let mut header: Vec<String> = columns(report).into_iter().map(str::to_owned).collect();
    let first = header.len() as u16;
    header.extend([report.query.basis.as_str(), "pending", "held"].map(str::to_owned));
    let names =
        report.figures.first().map_or_else(Vec::new, |f| f.counters.ratios_of(side).map(|r| r.name).to_vec());
    for name in names.into_iter().chain(["coverage"]) {
        header.extend([format!("{name} n"), format!("{name} d"), format!("{name} %")]);
    }
    for (column, name) in header.iter().enumerate() {
        sheet.write_string_with_format(0, column as u16, name, bold)?;
    }
    sheet.set_freeze_panes(1, first)?;
    for (i, figure) in report.figures.iter().enumerate() {
        let row = i as u32 + 1;
        for (column, value) in figure.values.iter().enumerate() {
            sheet.write_string(row, column as u16, value)?;
        }
        let c = &figure.counters;
        for (column, n) in (first..).zip([c.deliveries, c.pending, c.held]) {
            number(sheet, row, column, n)?;
        }
        let mut column = first + 3;
        let coverage = covered(report, figure).unwrap_or(Ratio { name: "coverage", n: 0, d: 0 });
        for ratio in c.ratios_of(side).iter().chain([&coverage]) {
            number(sheet, row, column, ratio.n)?;
            number(sheet, row, column + 1, ratio.d)?;
            percent(sheet, row, column + 2, ratio)?;
            column += 3;
        }
    }
    Ok(())
}

fn definitions(sheet: &mut Worksheet, bold: &Format) -> Result<(), XlsxError> {
    for (row, (name, text)) in DEFINITIONS.iter().enumerate() {
        sheet.write_string_with_format(row as u32, 0, *name, bold)?;
        sheet.write_string(row as u32, 1, *text)?;
    }
    sheet.set_column_width(0, 24)?;
    sheet.set_column_width(1, 120)?;
    Ok(())
}

fn coverage(report: &Report, sheet: &mut Worksheet, bold: &Format) -> Result<(), XlsxError> {
    let query = &report.query;
    let day = |day: Option<crate::time::Date>| day.map_or_else(|| "all".to_owned(), |d| d.to_string());
    let facts = [
        ("side", side_word(query.side).to_owned()),
        ("basis", query.basis.as_str().to_owned()),
        ("from", day(query.from)),
        ("to", day(query.to)),
        ("filter", filter(report)),
        ("network", report.network.clone()),
        ("exact", report.exact.to_string()),
        ("checkpoint", report.checkpoint.clone()),
    ];
    let mut row = 0;
    for (name, value) in &facts {
        sheet.write_string_with_format(row, 0, *name, bold)?;
        sheet.write_string(row, 1, value)?;
        row += 1;
    }
    for (period, restatements) in &report.closed {
        sheet.write_string_with_format(row, 0, "closed period", bold)?;
        sheet.write_string(row, 1, format!("{period}: {restatements} restatements since"))?;
        row += 1;
    }
    let ratio = whole(&report.coverage);
    sheet.write_string_with_format(row, 0, "covered", bold)?;
    number(sheet, row, 1, ratio.n)?;
    number(sheet, row, 2, ratio.d)?;
    percent(sheet, row, 3, &ratio)?;
    row += 2;
    for (column, name) in ["not declared", "deliveries", "months"].iter().enumerate() {
        sheet.write_string_with_format(row, column as u16, *name, bold)?;
    }
    for missing in &report.coverage.missing {
        row += 1;
        sheet.write_string(row, 0, missing.agency.as_str())?;
        number(sheet, row, 1, missing.deliveries)?;
        let months: Vec<String> = missing.months.iter().map(ToString::to_string).collect();
        sheet.write_string(row, 2, months.join(", "))?;
    }
    sheet.set_column_width(0, 24)?;
    Ok(())
}
