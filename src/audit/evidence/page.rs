//! The page for a person: what happened, when, and how each statement is checked. Vietnamese first, English beside it; one
//! file, nothing loaded from anywhere.
//!
//! It is a function of what else is in the container, and of nothing more: who checks one makes the page again and
//! compares. So the words here belong to the format: whoever changes any of them raises `FORMAT` and keeps the old page
//! for the old number.

use std::fmt::Write as _;

use super::collect::Proven;
use super::manifest::escape;
use super::messages::words;
use super::{agency_name, names};
use crate::directory::Directory;
use crate::domain::document::Metadata;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{EventKind, Item, RoleVerdicts, Subject};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::signature::Verdict;
use crate::time::Timestamp;

/// What the page is made of.
pub(super) struct Shown<'a> {
    /// The document's delivery.
    pub id: DeliveryId,
    /// Its envelope; `None` where that was purged.
    pub envelope: Option<&'a Envelope>,
    /// Every event in the container, once.
    pub events: &'a [Proven],
    /// The newest directory version in the container.
    pub newest: Option<&'a Directory>,
    /// The other files outside META-INF with their sizes in bytes, in their order.
    pub files: &'a [(String, u64)],
    /// The log of the node that exported.
    pub log: &'a str,
    /// Its size then.
    pub size: u64,
}

impl Shown<'_> {
    /// What an event says of a message.
    fn item(&self, id: DeliveryId) -> Option<&Item> {
        self.events.iter().filter_map(|e| e.event.kind.item()).find(|item| item.delivery_id == id)
    }
}

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#111}\
    h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}table{border-collapse:collapse;width:100%}\
    th,td{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}th{background:#f2f2f2}\
    .en{color:#555;font-size:.9em}code{overflow-wrap:anywhere}tr{break-inside:avoid}";

/// The page.
pub(super) fn render(shown: &Shown<'_>) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"vi\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Bằng chứng giao nhận văn bản điện tử</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Bằng chứng giao nhận văn bản điện tử\
         <br><span class=\"en\" lang=\"en\">Evidence of the delivery of an electronic document</span></h1>\n"
    );
    document(&mut page, shown);
    timeline(&mut page, shown);
    checks(&mut page, shown.log, shown.size);
    files(&mut page, shown);
    page.push_str("</body>\n</html>\n");
    page
}

fn heading(page: &mut String, vi: &str, en: &str) {
    let _ = writeln!(page, "<h2>{vi}<br><span class=\"en\" lang=\"en\">{en}</span></h2>");
}

fn row(page: &mut String, vi: &str, en: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let value = escape(value);
    let _ = writeln!(
        page,
        "<tr><th>{vi}<br><span class=\"en\" lang=\"en\">{en}</span></th><td>{value}</td></tr>"
    );
}

fn document(page: &mut String, shown: &Shown<'_>) {
    heading(page, "Văn bản", "The document");
    page.push_str("<table>\n");
    let party = |id: &AgencyId, code: &str| {
        let name = agency_name(shown.newest, id);
        if name.contains(code) { name } else { format!("{name}, {code}") }
    };
    if let Some(item) = shown.item(shown.id) {
        let parties = &item.parties;
        row(page, "Cơ quan gửi", "Sender", &party(&parties.sender, &parties.sender_code));
        let recipient = parties.recipient.as_ref().map(|id| party(id, &parties.recipient_code));
        row(page, "Cơ quan nhận", "Recipient", &recipient.unwrap_or_default());
    }
    match shown.envelope.map(|e| &e.body) {
        Some(Body::Document { metadata, .. }) => described(page, metadata),
        _ => recorded(page, shown),
    }
    row(page, "Mã lần gửi", "Delivery", &shown.id.to_string());
    page.push_str("</table>\n");
}

fn described(page: &mut String, m: &Metadata) {
    row(page, "Số, ký hiệu", "Number and notation", &format!("{}/{}", m.key.number(), m.key.notation()));
    row(page, "Ngày ban hành", "Issued on", &m.issued_on.to_string());
    row(page, "Loại văn bản", "Type", &m.type_name);
    row(page, "Trích yếu", "Subject", &m.subject);
    row(page, "Người ký", "Signed by", &m.signer_name);
    row(page, "Độ khẩn", "Urgency", m.urgency.as_str());
}

/// What the events still say of a document that was purged.
fn recorded(page: &mut String, shown: &Shown<'_>) {
    if let Some(Item { subject: Subject::Document(d), .. }) = shown.item(shown.id) {
        row(page, "Số, ký hiệu", "Number and notation", &format!("{}/{}", d.key.number(), d.key.notation()));
        row(page, "Ngày ban hành", "Issued on", &d.issued_on.to_string());
        row(page, "Loại văn bản", "Type", &d.type_name);
        row(page, "Độ khẩn", "Urgency", d.urgency.as_str());
    }
    let purged = shown.events.iter().find_map(|e| match &e.event.kind {
        EventKind::Purged { delivery_id, rule, .. } if *delivery_id == shown.id => Some((e, rule)),
        _ => None,
    });
    if let Some((proven, rule)) = purged {
        let (at, index) = (moment(proven.event.at), proven.index);
        let said = format!(
            "đã xóa lúc {at} theo quy tắc «{rule}» (sự kiện {index}); giá trị băm vẫn được chứng minh / purged at {at} by \
             the rule “{rule}” (event {index}); its digests stay proven"
        );
        row(page, "Nội dung", "Content", &said);
    }
}

fn timeline(page: &mut String, shown: &Shown<'_>) {
    heading(page, "Việc gì đã xảy ra, lúc nào", "What happened, and when (Vietnam time, UTC+7)");
    page.push_str(
        "<table>\n<tr><th>Thời gian<br><span class=\"en\" lang=\"en\">Time</span></th><th>Sự kiện\
         <br><span class=\"en\" lang=\"en\">Event</span></th><th>Nhật ký, tệp chứng minh\
         <br><span class=\"en\" lang=\"en\">Log, file of the proof</span></th></tr>\n",
    );
    let mut events: Vec<&Proven> = shown.events.iter().collect();
    // Within one log the order is the log's; between two it is that of their clocks.
    events.sort_by(|a, b| (a.event.at, &a.log, a.index).cmp(&(b.event.at, &b.log, b.index)));
    for proven in events {
        let node = proven.log.split("/log/").next().unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}<br><span class=\"en\" lang=\"en\">Node {} recorded {}.</span></td>\
             <td>{} # {}<br><code>{}</code></td></tr>",
            when(proven),
            escape(&vietnamese(proven, shown)),
            escape(node),
            escape(&words(&proven.event)),
            escape(&proven.log),
            proven.index,
            escape(&names::event(&proven.log, proven.index, 0)),
        );
    }
    page.push_str("</table>\n");
}

/// When, by the node's clock, and until when at the latest, by an authority's.
fn when(proven: &Proven) -> String {
    let at = moment(proven.event.at);
    let Some(stamped) = proven.stamped_at.map(moment) else { return at };
    format!(
        "{at}<br><span class=\"en\">dấu thời gian / <span lang=\"en\">timestamped</span> {stamped}</span>"
    )
}

/// `2016-08-08T09:00:00.000+07:00` as `08/08/2016 09:00:00`.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (y, mo, d, time) = (text.get(..4), text.get(5..7), text.get(8..10), text.get(11..19));
    match (y, mo, d, time) {
        (Some(y), Some(mo), Some(d), Some(time)) => format!("{d}/{mo}/{y} {time}"),
        _ => text,
    }
}

fn vietnamese(proven: &Proven, shown: &Shown<'_>) -> String {
    let about = |subject: &Subject| match subject {
        Subject::Document(d) => format!("văn bản {}", d.key),
        Subject::Notice(n) => match n.status {
            Some(status) => format!("trạng thái {status}"),
            None => format!("thông điệp {}", n.kind.as_str()),
        },
    };
    let parties = proven.event.kind.delivery_id().and_then(|id| shown.item(id)).map(|item| &item.parties);
    let party = |sender: bool| {
        let id = parties.and_then(|p| if sender { Some(&p.sender) } else { p.recipient.as_ref() });
        id.map_or_else(String::new, |id| agency_name(shown.newest, id))
    };
    match &proven.event.kind {
        EventKind::Submitted { item, verdicts, .. } => {
            format!("{} gửi {}{}", party(true), about(&item.subject), signatures(*verdicts, &item.subject))
        }
        EventKind::Received { item, held, verdicts, .. } => {
            let held = if *held { "; tạm giữ cho đến khi kiểm tra được chữ ký" } else { "" };
            let signed = signatures(*verdicts, &item.subject);
            format!("{} đã đến nút của {}{signed}{held}", about(&item.subject), party(false))
        }
        EventKind::Refused { item, reason, .. } => {
            format!("Nút của {} từ chối {}: {reason}", party(false), about(&item.subject))
        }
        EventKind::Settled { outcome, reason, .. } => {
            let why = reason.map_or_else(String::new, |r| format!(": {r}"));
            format!("Nút gửi nhận được bằng chứng của nút nhận: {outcome}{why}")
        }
        EventKind::Undelivered { reason, .. } => format!("Ngừng gửi: {reason}"),
        EventKind::Fetched { .. } => format!("Hệ thống của {} lấy nội dung", party(false)),
        EventKind::HandedOver { .. } => format!("Hệ thống của {} xác nhận đã nhận", party(false)),
        EventKind::Released { refused: None, .. } => "Văn bản tạm giữ được giao cho cơ quan nhận".to_owned(),
        EventKind::Released { refused: Some(reason), .. } => format!("Văn bản tạm giữ bị từ chối: {reason}"),
        EventKind::Recovered(recovered) => {
            let item = recovered.submitted.item();
            let about = item.map_or_else(String::new, |item| about(&item.subject));
            format!("Nút gửi mất nhật ký và nhận lại bằng chứng về {about}")
        }
        EventKind::SentAgain { peer, .. } => format!("Nút {peer} mất nhật ký: văn bản được gửi lại"),
        EventKind::Returned { first, .. } => {
            format!("Nút nhận đã nhận văn bản này lúc {} trong nhật ký bị mất", first.at)
        }
        EventKind::Exported { .. } => {
            format!("Bằng chứng được kết xuất cho {} {}", proven.event.actor.client, proven.event.actor.user)
        }
        EventKind::Viewed { .. } => {
            format!("{} {} xem trên trang web", proven.event.actor.client, proven.event.actor.user)
        }
        EventKind::Purged { rule, .. } => {
            format!(
                "Nội dung bị xóa khi hết thời hạn lưu (quy tắc «{rule}»); sự kiện và bằng chứng được giữ lại"
            )
        }
        EventKind::Rerouted { peer, .. } => format!("Cơ quan nhận chuyển sang nút {peer}: gửi đến đó"),
        EventKind::HoldPlaced { .. } => "Bắt đầu giữ lại theo yêu cầu pháp lý".to_owned(),
        EventKind::HoldLifted { .. } => "Thôi giữ lại theo yêu cầu pháp lý".to_owned(),
        other => other.name().to_owned(),
    }
}

fn signatures(verdicts: RoleVerdicts, subject: &Subject) -> String {
    if !matches!(subject, Subject::Document(_)) {
        return String::new();
    }
    let word = |verdict| match verdict {
        Verdict::Valid => "hợp lệ",
        Verdict::Invalid => "không hợp lệ",
        Verdict::Indeterminate => "chưa xác định",
        Verdict::Absent => "không có",
    };
    let (person, agency) = (word(verdicts.person), word(verdicts.agency));
    let only = verdicts.person == Verdict::Absent && verdicts.agency == Verdict::Absent;
    let for_information = if only { "; chỉ có giá trị tham khảo" } else { "" };
    format!(" (chữ ký người ký: {person}; chữ ký cơ quan: {agency}{for_information})")
}

fn checks(page: &mut String, log: &str, size: u64) {
    heading(page, "Kiểm tra từng khẳng định như thế nào", "How each statement is checked");
    let items = [
        (
            "Mọi tệp: giá trị băm SHA-256 ghi trong META-INF/ASiCManifest.xml; nếu có META-INF/signature.p7s, nút kết xuất \
             đã ký bảng này.",
            "Every file: its SHA-256 stands in META-INF/ASiCManifest.xml; where there is META-INF/signature.p7s, the node \
             that exported signed that list.",
        ),
        (
            "Mỗi sự kiện: đường dẫn Merkle từ sự kiện đến gốc của nhật ký, do khóa của nhật ký ký (RFC 9162, C2SP \
             tlog-checkpoint); khóa có trong danh bạ do cơ quan quản lý danh bạ ký.",
            "Every event: a Merkle path leads from it to the root of the log, signed by the log's key (RFC 9162, C2SP \
             tlog-checkpoint); the key is listed in the directory, which its authority signed.",
        ),
        (
            "Thời điểm: đồng hồ của nút ghi; nơi có timestamp/*.tst, một tổ chức cấp dấu thời gian (RFC 3161) xác nhận nhật ký \
             đã có sự kiện đó vào lúc ấy.",
            "The time: by the clock of the node that recorded; where there is timestamp/*.tst, an authority (RFC 3161) says \
             that the log had the event by then.",
        ),
        (
            "Hai bên: sự kiện của nút nhận nêu đúng sự kiện của nút gửi, phong bì và mọi giá trị băm của nội dung; và ngược \
             lại.",
            "Both sides: the event of the recipient's node names that of the sender's node, the envelope and every digest of \
             the content; and the other way round.",
        ),
        (
            "Chữ ký trên văn bản: kiểm tra lại tại thời điểm của sự kiện, với chứng thư gốc, con dấu trong danh bạ và danh \
             sách thu hồi kèm theo.",
            "Signatures on the document: judged again at the time of the event, under the roots, with the seals of the \
             directory and the revocation lists that are here.",
        ),
    ];
    page.push_str("<ol>\n");
    for (vi, en) in items {
        let _ = writeln!(page, "<li>{vi}<br><span class=\"en\" lang=\"en\">{en}</span></li>");
    }
    let _ = write!(
        page,
        "</ol>\n<p>Trang này chỉ để đọc; việc kiểm tra do chương trình làm, không cần mạng; chương trình cũng làm lại \
         trang này từ các tệp khác và so từng byte:\
         <br><span class=\"en\" lang=\"en\">This page is for reading only; a program does the checking, without a \
         network, and makes this page again from the other files to compare every byte:</span></p>\n<p><code>lienthong audit verify FILE --authority KEY --roots DIR</code></p>\n\
         <p>Kết xuất từ nhật ký / <span class=\"en\" lang=\"en\">exported from log</span> <code>{}</code>, \
         {size} sự kiện / <span class=\"en\" lang=\"en\">events</span>.</p>\n",
        escape(log)
    );
}

fn files(page: &mut String, shown: &Shown<'_>) {
    heading(page, "Các tệp", "The files");
    page.push_str("<ul>\n");
    for (path, size) in shown.files {
        let (uri, path) = (names::to_uri(path), escape(path));
        let _ = writeln!(page, "<li><a href=\"{uri}\"><code>{path}</code></a> ({size} B)</li>");
    }
    page.push_str("</ul>\n");
}
