//! The network's figures as a workbook: those of any report, and a sheet each for nodes, pairs and differences.

use rust_xlsxwriter::{Format, Worksheet, XlsxError};

use super::print::{List, list};
use super::result::NetworkReport;
use crate::report::query::Basis;
use crate::report::workbook::book;

/// The bytes of the workbook.
pub fn workbook(report: &NetworkReport, basis: Basis, checkpoint: &str) -> Result<Vec<u8>, XlsxError> {
    let mut book = book(&report.report(basis, checkpoint))?;
    for (name, which) in [("nodes", List::Nodes), ("pairs", List::Pairs), ("differences", List::Differences)]
    {
        sheet(report, which, book.add_worksheet().set_name(name)?)?;
    }
    book.save_to_buffer()
}

fn sheet(report: &NetworkReport, which: List, sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let (columns, lines) = list(report, which);
    for (column, name) in columns.iter().enumerate() {
        sheet.write_string_with_format(0, column as u16, *name, &bold)?;
    }
    for (row, line) in lines.iter().enumerate() {
        for (column, text) in line.iter().enumerate() {
            let (row, column) = (row as u32 + 1, column as u16);
            // Numbers as numbers; ids of agencies may look like them.
            let counts = matches!(columns[usize::from(column)], "sent" | "received" | "differences");
            match text.parse::<u32>() {
                Ok(n) if counts => sheet.write_number(row, column, n)?,
                _ => sheet.write_string(row, column, text)?,
            };
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}
