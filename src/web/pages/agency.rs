//! One agency: what it sent and what it was sent, by month, and with whom.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use tonic::Status;

use super::overview::{drawn, every_ratio};
use crate::domain::ids::{self, AgencyId};
use crate::domain::ratio::{Month, Period};
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::choice::{Asked, Choice};
use crate::web::figures::{self, Rows, cell, covered, ratio};
use crate::web::frame::{facts, grid, page as framed};
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;

/// Months that are drawn, and counterparts that are listed.
const MONTHS: i32 = 12;
const COUNTERPARTS: usize = 50;

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match show(&site, &visitor, &id, &asked).await {
        Ok(page) => page.into_response(),
        Err(status) => visitor.trouble(&status).into_response(),
    }
}

async fn show(site: &Site, visitor: &Visitor, id: &str, asked: &Asked) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let directory = site.exchange.directory();
    let found = AgencyId::new(id).ok().and_then(|id| directory.agency(&id).cloned());
    let agency = found.ok_or_else(|| {
        let what = format!("no agency `{}` in the directory", ids::shorten(id));
        refuse(Rejection::new(Reason::UnknownAgency, "id", what))
    })?;
    let now = Month::of(site.exchange.ledger().now().date());
    let choice = asked.read(Some(Period::Month(now))).map_err(refuse)?;
    let id = agency.id.as_str();
    let of = |request: pb::GetRatiosRequest| pb::GetRatiosRequest { sender: id.to_owned(), ..request };
    let all = figures::ask(site, visitor, of(choice.request(&[]))).await?;
    let last = choice.period.map_or(now, |p| p.months().1);
    let first = Month::from_number(last.number() + 1 - MONTHS);
    let months = choice.between(&first.to_string(), &last.to_string(), &["month"]);
    let months = Rows::of(figures::ask(site, visitor, of(months)).await?.rows);
    let to = figures::ask(site, visitor, of(choice.request(&["recipient_registered"]))).await?;
    let incoming = arrived(site, visitor, id, choice, &[]).await?;
    let from = arrived(site, visitor, id, choice, &["sender_level"]).await?;
    let basis = figures::basis(lang, &all);
    let codes: Vec<&str> = agency.entry.codes.iter().map(|c| c.code.as_str()).collect();
    let parent = agency.entry.parent.clone().unwrap_or_default();
    let body = html! {
        (facts(&[
            (lang.pick("Mã định danh", "Codes"), codes.join(", "), None),
            (lang.pick("Cấp", "Level"), words::level(lang, agency.level().as_str()).to_owned(), None),
            (lang.pick("Trực thuộc", "Below"),
                if parent.is_empty() { "–".to_owned() } else { figures::agency_name(site, &parent) }, None),
        ]))
        (choice.links(lang, &format!("/agencies/{id}"), now))
        h2 { (lang.pick("Văn bản đi", "What it sent")) }
        (every_ratio(lang, choice, &Rows::of(all.rows)))
        @let rows: Vec<_> = months.iter().filter_map(|(values, row)| Some((values.first()?, row))).collect();
        (drawn(lang, lang.pick("Văn bản đi theo tháng và hình thức gửi", "What it sent by month and channel"), &rows))
        h2 { (lang.pick("Gửi đến các cơ quan", "To whom")) }
        (counterparts(site, lang, choice, to.rows))
        h2 { (lang.pick("Văn bản đến", "What it was sent")) }
        (arrivals(lang, &Rows::of(incoming.rows), &Rows::of(from.rows)))
        (basis)
    };
    Ok(framed(visitor, "/agencies", &agency.entry.name, &body))
}

/// What arrived at an agency; counted in deliveries, whatever the basis.
async fn arrived(
    site: &Site,
    visitor: &Visitor,
    id: &str,
    choice: Choice,
    group_by: &[&str],
) -> Result<pb::GetRatiosResponse, Status> {
    let request = Choice { documents: false, ..choice }.request(group_by);
    let side = pb::FigureSide::Incoming.into();
    figures::ask(site, visitor, pb::GetRatiosRequest { recipient: id.to_owned(), side, ..request }).await
}

/// To whom, the most first.
fn counterparts(site: &Site, lang: Lang, choice: Choice, mut rows: Vec<pb::RatioRow>) -> Markup {
    rows.sort_by(|a, b| b.deliveries.cmp(&a.deliveries).then_with(|| a.key.cmp(&b.key)));
    let more = rows.len().saturating_sub(COUNTERPARTS);
    let line = |row: &pb::RatioRow| {
        let id = row.values.first().map_or("", String::as_str);
        let name = match id {
            "" => html! { (lang.pick("(nơi nhận không có mã)", "(recipients without a code)")) },
            id => {
                html! { a href=(format!("/agencies/{id}?{}", choice.query())) { (figures::agency_name(site, id)) } }
            }
        };
        let named = ["fully_electronic", "dual", "paper_only", "undelivered", "pending"];
        let mut line = vec![name, html! { (lang.number(row.deliveries)) }];
        line.extend(named.map(|name| cell(lang, &ratio(Some(row), name))));
        line.push(covered(Some(row)).map_or_else(|| html! { "n/a" }, |c| cell(lang, &c)));
        line
    };
    let lines: Vec<Vec<Markup>> = rows.iter().take(COUNTERPARTS).map(line).collect();
    let head = [
        lang.pick("Nơi nhận", "Recipient"),
        lang.pick("Số gửi", "Sent"),
        lang.pick("Hoàn toàn điện tử", "Fully electronic"),
        lang.pick("Song song", "Both ways"),
        lang.pick("Chỉ giấy", "Paper only"),
        lang.pick("Không gửi được", "Undelivered"),
        lang.pick("Đang chờ", "Pending"),
        lang.pick("Sổ giấy đủ", "Registers complete"),
    ]
    .map(|name| html! { (name) });
    html! {
        @if lines.is_empty() {
            p { (lang.pick("Không gửi văn bản nào trong kỳ này.", "Nothing was sent in this period.")) }
        } @else {
            (grid(
                lang.pick("Nhiều nhất trước", "The most first"),
                &head,
                &[false, true, true, true, true, true, true, true],
                &lines,
            ))
            @if more > 0 { p { (lang.pick("và", "and")) " " (lang.number(more as u64)) " "
                (lang.pick("nơi nhận khác.", "other recipients.")) } }
        }
    }
}

/// What arrived, by the sender's level; never added to what was sent.
fn arrivals(lang: Lang, all: &Rows, levels: &Rows) -> Markup {
    let named = ["any_electronic", "signed", "scanned", "acknowledged_same_day"];
    let line = |name: Markup, row: &pb::RatioRow| {
        let mut line = vec![name, html! { (lang.number(row.deliveries)) }];
        line.extend(named.map(|name| cell(lang, &ratio(Some(row), name))));
        line
    };
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for (scope, vi, en) in [
        ("in_province", "Trong tỉnh", "In the province"),
        ("internal", "Nội bộ", "Internal"),
        ("outside", "Ngoài tỉnh", "Outside"),
    ] {
        rows.extend(all.get(&[scope]).map(|row| line(html! { (lang.pick(vi, en)) }, row)));
    }
    rows.extend(levels.iter().map(|(values, row)| {
        let level = values.first().map_or("", String::as_str);
        line(html! { "– " (lang.pick("từ cấp", "from level")) " " (words::level(lang, level)) }, row)
    }));
    let head = [
        lang.pick("Từ", "From"),
        lang.pick("Số đến", "Arrived"),
        lang.pick("Có gửi điện tử", "Any electronic"),
        lang.pick("Đủ chữ ký số", "Signed by both"),
        lang.pick("Bản quét", "Scanned"),
        lang.pick("Báo nhận trong ngày", "Acknowledged the same day"),
    ]
    .map(|name| html! { (name) });
    let caption = lang.pick(
        "Phía nhận, theo ngày đến; không cộng với phía gửi",
        "The recipient's side, by day of arrival; never added to the sender's",
    );
    grid(caption, &head, &[false, true, true, true, true, true], &rows)
}
