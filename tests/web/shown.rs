//! What pages show is what the services say: figures, documents and their way, the log, the paper register.

use lienthong::domain::EventKind;
use lienthong::wire::pb;

use crate::common::TestNet;
use crate::{browser, link, pages, says};

/// A figure as pages show it: percentage, numerator and denominator.
fn shown(ratio: &pb::Ratio) -> String {
    let percent = match ratio.percent.as_str() {
        "" => "n/a".to_owned(),
        percent => format!("{} %", percent.replace('.', ",")),
    };
    format!("<span class=\"percent\">{percent}</span> <span class=\"part\">{}/{}</span>", ratio.n, ratio.d)
}

/// An entry of the paper register of H01.1.
async fn on_paper(net: &TestNet, number: &str, recipient: &str) -> u64 {
    let entry = pb::RecordPaperRequest {
        request_id: format!("paper-{number}-{recipient}"),
        sender: "H01.1".into(),
        recipient: recipient.into(),
        number: number.into(),
        notation: "CV-VP".into(),
        issued_on: net.now().date().to_string(),
        type_name: "công văn".into(),
        dispatched_on: net.now().date().to_string(),
        ..pb::RecordPaperRequest::default()
    };
    net.dms("a").await.node.exchange().record_paper(entry).await.unwrap().into_inner().log_index
}

#[tokio::test]
async fn every_figure_of_a_page_is_that_of_the_report_service() {
    let mut net = pages().await;
    let dms = net.dms("a").await;
    for (number, to) in [("1", "H01.22"), ("2", "H01.22"), ("3", "H01.2"), ("4", "H01.1.5")] {
        let id = dms.deliver(&net.document("H01.1", &[to], number)).await.remove(0);
        dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
    // Waits for a node that does not run; dual; paper only.
    dms.deliver(&net.document("H01.1", &["G01"], "5")).await;
    on_paper(&net, "2", "H01.22").await;
    on_paper(&net, "4", "H01.1.5").await;
    on_paper(&net, "6", "H01.21").await;

    let mut admin = browser(&mut net, Some("admin"));
    let report = net.client("a", "admin").await;
    for (basis, named) in
        [(pb::FigureBasis::Deliveries, ""), (pb::FigureBasis::Documents, "&basis=documents")]
    {
        let request = pb::GetRatiosRequest {
            from: "2016-08".into(),
            to: "2016-08".into(),
            basis: basis.into(),
            ..Default::default()
        };
        let said = report.node.report().get_ratios(request.clone()).await.unwrap().into_inner();
        let page = admin.get(&format!("/overview?period=2016-08{named}")).await.unwrap();
        let mut compared = 0;
        for row in said.rows.iter().filter(|row| !row.key.contains('@')) {
            for ratio in &row.ratios {
                says(&page, 200, &shown(ratio));
                compared += 1;
            }
        }
        assert_eq!(compared, 6 * 12);
        // The three measures, large, and the target of the first.
        for (scope, name) in
            [("in_province", "fully_electronic"), ("internal", "dual"), ("outside", "any_electronic")]
        {
            let row = said.rows.iter().find(|row| row.key == scope).unwrap();
            let ratio = row.ratios.iter().find(|r| r.name == name).unwrap();
            let percent =
                if ratio.d == 0 { "n/a".into() } else { format!("{} %", ratio.percent.replace('.', ",")) };
            says(
                &page,
                200,
                &format!("<p class=\"big\">{percent}</p><p class=\"part\">{}/{} ", ratio.n, ratio.d),
            );
        }
        says(&page, 200, "Mục tiêu ≥ 90 %: <strong class=\"short\">chưa đạt, còn cách ");
        says(&page, 200, "Mục tiêu ≤ 10 %: <strong class=\"short\">chưa đạt, vượt 90,00 điểm %</strong>");
        says(&page, 200, "Vượt mục tiêu (điểm %)");
        // What is compared before its time is over says so.
        says(&page, 200, "tháng 08/2016 (kỳ chưa kết thúc)");
        let before = admin.get(&format!("/overview?period=2016-07{named}")).await.unwrap();
        assert!(before.code == 200 && !before.body.contains("kỳ chưa kết thúc"));
        // By agency: every figure of the drill-down.
        let of = pb::GetRatiosRequest { sender: "H01.1".into(), ..request };
        let said = report.node.report().get_ratios(of).await.unwrap().into_inner();
        let page = admin.get(&format!("/agencies/H01.1?period=2016-08{named}")).await.unwrap();
        for row in said.rows.iter().filter(|row| !row.key.contains('@')) {
            row.ratios.iter().for_each(|ratio| says(&page, 200, &shown(ratio)));
        }
    }
    // In the table of all agencies, and whom it sent to.
    let page = admin.get("/agencies?period=2016-08&sort=in_province&order=down").await.unwrap();
    says(&page, 200, "<a href=\"/agencies/H01.1?period=2016-08\">Sở Nội vụ</a>");
    says(&page, 200, "aria-sort=\"descending\"");
    let page = admin.get("/agencies/H01.1?period=2016-08").await.unwrap();
    says(&page, 200, "<a href=\"/agencies/H01.22?period=2016-08\">UBND huyện Tây</a>");
    // What will not arrive in time: five days later less an hour.
    net.clock.set(net.now().plus_millis(5 * 86_400_000 - 3_600_000));
    let page = admin.get("/overview").await.unwrap();
    says(&page, 200, "H01.1 → G01</a>");
    // A period that is none, and one without figures.
    says(&admin.get("/overview?period=08/2016").await.unwrap(), 400, "<code>invalid_date</code>");
    says(&admin.get("/overview?period=2010").await.unwrap(), 200, "<p class=\"big\">n/a</p>");
    says(&admin.get("/agencies/H99").await.unwrap(), 404, "<code>unknown_agency</code>");
    // An agency's operator sees the figures of its agency only, and not the node's queues.
    let mut operator = browser(&mut net, Some("operator"));
    let page = operator.get("/overview?period=2016-08").await.unwrap();
    says(&page, 200, "chỉ người vận hành hoặc kiểm tra của nút xem được");
    let mut auditor = browser(&mut net, Some("auditor"));
    says(&auditor.get("/overview").await.unwrap(), 403, "<code>not_allowed</code>");
    // Whose figures they are: beside every heading where they are of some agencies only.
    says(
        &page,
        200,
        "Chỉ gồm văn bản do cơ quan của nút này gửi: <strong>a</strong>: <strong>H01.1</strong>.",
    );
    assert_eq!(page.body.matches("<span class=\"note\">(chỉ của: H01.1)</span></h2>").count(), 3 + 4);
    let page = admin.get("/overview?period=2016-08").await.unwrap();
    says(&page, 200, "Chỉ gồm văn bản do cơ quan của nút này gửi: <strong>a</strong>.");
    assert!(!page.body.contains("chỉ của"));
    // The figures of others are refused, not shown as none; there are none of what another node's agency sent.
    says(&operator.get("/agencies/H01.1").await.unwrap(), 200, "Văn bản đi");
    for other in ["H01.2", "H01.22"] {
        let refused = operator.get(&format!("/agencies/{other}")).await.unwrap();
        says(&refused, 403, "<code>not_allowed</code>");
        assert!(!refused.body.contains("class=\"big\"") && !refused.body.contains("<table"));
    }
    let page = operator.get("/agencies/H01.1?period=2016-08").await.unwrap();
    assert!(page.body.contains("UBND huyện Tây") && !page.body.contains("href=\"/agencies/H01.22"));
    let elsewhere = admin.get("/agencies/H01.22").await.unwrap();
    says(&elsewhere, 200, "<dt>Thuộc nút</dt><dd>b</dd>");
    says(&elsewhere, 200, "Cơ quan này không thuộc nút này");
    assert!(!elsewhere.body.contains("<table"));
    net.finish().await;
}

#[tokio::test]
async fn a_document_is_found_and_looking_at_it_is_recorded_once_an_hour_for_each_person() {
    let mut net = pages().await;
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.2"], "77")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    dms.fetch("H01.2", &id).await.unwrap();
    dms.acknowledge("H01.2", &id).await.unwrap();
    let path = format!("/documents/{}", hex::encode(&id));

    let mut admin = browser(&mut net, Some("admin"));
    for query in ["", "?way=in", "?number=77", "?agency=H01.2&way=in", "?number=77&notation=CV-VP&year=2016"]
    {
        let found = admin.get(&format!("/documents{query}")).await.unwrap();
        says(&found, 200, &format!("<a href=\"{path}\">77/CV-VP"));
    }
    for query in ["?number=78", "?agency=H01.21", "?to=2016-08-07", "?from=2016-08-09", "?way=refused"] {
        says(&admin.get(&format!("/documents{query}")).await.unwrap(), 200, "Không tìm thấy văn bản nào.");
    }
    says(&admin.get("/documents?year=2016").await.unwrap(), 400, "missing_field");
    says(&admin.get("/documents?from=yesterday").await.unwrap(), 400, "invalid_date");
    assert!(net.events("a", "viewed").await.is_empty());

    // Looked at three times by two people: two events, and a third an hour later.
    let page = admin.get(&path).await.unwrap();
    says(&page, 200, "Văn bản 77/CV-VP (2016)");
    for step in
        ["Ghi nhận để gửi", "Nút nhận ghi nhận", "lấy nội dung", "xác nhận đã nhận", "Xem trên trang web"]
    {
        says(&page, 200, step);
    }
    says(&page, 200, "có giá trị như bản giấy");
    admin.get(&path).await.unwrap();
    let mut person = browser(&mut net, None);
    let sign_in = link(&net, "admin", "", "thu.nguyen").await.unwrap();
    person.post(&sign_in, &[]).await.unwrap();
    says(&person.get(&path).await.unwrap(), 200, "thu.nguyen");
    let viewed = net.events("a", "viewed").await;
    let who: Vec<&str> = viewed.iter().map(|(_, event)| event.actor.user.as_str()).collect();
    assert_eq!(who, ["", "thu.nguyen"]);
    assert!(viewed.iter().all(|(_, event)| {
        matches!(&event.kind, EventKind::Viewed { delivery_id, agency: None } if delivery_id.as_bytes()[..] == id[..])
    }));
    net.clock.set(net.now().plus_millis(3_600_000));
    admin.get(&path).await.unwrap();
    assert_eq!(net.events("a", "viewed").await.len(), 3);

    // An agency's auditor sees its own agency's, on its behalf; not what is others'.
    let mut auditor = browser(&mut net, Some("auditor"));
    says(&auditor.get(&path).await.unwrap(), 200, "Xem trên trang web");
    let (_, last) = net.events("a", "viewed").await.pop().unwrap();
    assert!(
        matches!(&last.kind, EventKind::Viewed { agency: Some(agency), .. } if agency.as_str() == "H01.1")
    );
    says(&auditor.get("/documents").await.unwrap(), 200, "77/CV-VP");
    let other = dms.deliver(&net.document("H01.21", &["H01.2"], "78")).await.remove(0);
    let hidden = auditor.get(&format!("/documents/{}", hex::encode(&other))).await.unwrap();
    let unknown = auditor.get(&format!("/documents/{}", "0".repeat(64))).await.unwrap();
    assert_eq!((hidden.code, unknown.code), (404, 404));
    let strip = |body: &str, id: &str| body.replace(id, "");
    assert_eq!(strip(&hidden.body, &hex::encode(&other)), strip(&unknown.body, &"0".repeat(64)));
    assert_eq!(net.events("a", "viewed").await.len(), 4, "what was refused was not looked at");

    // The evidence, as an event first; never for a form of another site.
    admin.site = "cross-site";
    assert_eq!(admin.post(&format!("{path}/evidence"), &[]).await.unwrap().code, 403);
    assert!(net.events("a", "exported").await.is_empty());
    admin.site = "same-origin";
    let file = admin.download(&format!("{path}/evidence")).await.unwrap();
    assert!(file.starts_with(b"PK\x03\x04") && file.windows(8).any(|w| w == b"mimetype"), "{}", file.len());
    assert_eq!(net.events("a", "exported").await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn the_log_is_listed_page_by_page_and_every_event_has_its_proof() {
    let mut net = pages().await;
    let dms = net.dms("a").await;
    for number in 1..=20 {
        dms.deliver(&net.document("H01.1", &["H01.2"], &number.to_string())).await;
    }
    let mut admin = browser(&mut net, Some("admin"));
    // From the newest to the oldest, no event twice.
    let (mut path, mut listed) = ("/audit".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await.unwrap();
        let rows = page.body.split("<th scope=\"row\"><a href=\"/audit/").skip(1);
        listed.extend(rows.map(|row| row.split('"').next().unwrap().parse::<u64>().unwrap()));
        let Some((before, _)) = page.body.split_once("\">Trang sau") else { break };
        path = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&");
    }
    assert!(listed.len() > 60, "{listed:?}");
    assert!(listed.windows(2).all(|w| w[0] == w[1] + 1) && listed.last() == Some(&0), "{listed:?}");
    let found = admin.get("/audit?kind=submitted&number=7").await.unwrap();
    says(&found, 200, "7/CV-VP");
    assert!(!found.body.contains("17/CV-VP"));
    says(&admin.get("/audit?kind=alarm").await.unwrap(), 200, "Không có sự kiện nào.");
    says(&admin.get("/audit?kind=nothing").await.unwrap(), 400, "<code>invalid_text</code>");
    says(&admin.get("/audit?delivery=xyz").await.unwrap(), 404, "<code>unknown_delivery</code>");
    let (index, _) = net.events("a", "submitted").await.remove(3);
    let page = admin.get(&format!("/audit/{index}")).await.unwrap();
    let auditor = net.client("a", "admin").await;
    let proof = auditor.node.audit().prove_event(pb::ProveEventRequest { index }).await.unwrap().into_inner();
    for hash in &proof.path {
        says(&page, 200, &hex::encode(hash));
    }
    says(&admin.get("/audit/99999").await.unwrap(), 404, "<code>unknown_event</code>");
    net.finish().await;
}

#[tokio::test]
async fn the_paper_register_is_kept_by_a_form_that_enters_nothing_twice() {
    let mut net = pages().await;
    let mut dms = browser(&mut net, Some("dms"));
    let form = dms.get("/paper?agency=H01.1").await.unwrap();
    says(&form, 200, "Ghi văn bản gửi bằng giấy");
    let field = |body: &str, name: &str| {
        let (_, body) = body.split_once("method=\"post\" action=\"/paper\"").unwrap();
        let at = body.find(&format!("name=\"{name}\" value=\"")).unwrap() + name.len() + 15;
        body[at..].split('"').next().unwrap().to_owned()
    };
    let key = field(&form.body, "request_id");
    assert_eq!(key.len(), 43);
    let entry = |key: &str, number: &str| -> Vec<(&'static str, String)> {
        vec![
            ("request_id", key.to_owned()),
            ("agency", "H01.1".into()),
            ("recipient", "H01.22".into()),
            ("number", number.to_owned()),
            ("notation", "QĐ-SNV".into()),
            ("issued_on", "2016-08-08".into()),
            ("type_name", "quyết định".into()),
            ("urgency", "urgent".into()),
            ("mandatory", "yes".into()),
            ("basis", "Quyết định 1".into()),
        ]
    };
    let post = async |browser: &mut crate::browser::Browser, fields: &[(&'static str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        browser.post("/paper", &fields).await.unwrap()
    };
    // By another site; and twice.
    dms.site = "cross-site";
    assert_eq!(post(&mut dms, &entry(&key, "5")).await.code, 403);
    dms.site = "same-origin";
    let first = post(&mut dms, &entry(&key, "5")).await;
    let again = post(&mut dms, &entry(&key, "5")).await;
    assert_eq!((first.code, first.header("location")), (303, again.header("location")));
    let entered = net.events("a", "paper_entered").await;
    assert_eq!(entered.len(), 1);
    let index = entered[0].0;
    assert_eq!(first.header("location"), format!("/paper?agency=H01.1&done={index}"));
    let page = dms.get(first.header("location")).await.unwrap();
    says(&page, 200, "5/QĐ-SNV");
    says(&page, 200, "còn hiệu lực");
    // What is wrong is said, and what was filled in stays.
    let mut wrong = entry("another-key", "6");
    wrong.retain(|(name, _)| *name != "recipient");
    let answer = post(&mut dms, &wrong).await;
    says(&answer, 400, "<code>no_recipient</code>");
    says(&answer, 400, "value=\"Quyết định 1\"");
    assert_eq!(field(&answer.body, "request_id"), "another-key");
    // Corrected: the form begins with the entry; then withdrawn.
    let form = dms.get(&format!("/paper?agency=H01.1&corrects={index}")).await.unwrap();
    assert_eq!((field(&form.body, "number"), field(&form.body, "recipient")), ("5".into(), "H01.22".into()));
    let mut correction = entry(&field(&form.body, "request_id"), "5");
    correction.retain(|(name, _)| *name != "recipient");
    correction.extend([("recipient", "H01.21".into()), ("corrects", index.to_string())]);
    assert_eq!(post(&mut dms, &correction).await.code, 303);
    let page = dms.get("/paper?agency=H01.1").await.unwrap();
    says(&page, 200, "đã sửa hoặc rút");
    let (corrected, _) = net.events("a", "paper_entered").await.pop().unwrap();
    let mut withdrawal = entry("third-key", "5");
    withdrawal.retain(|(name, _)| *name != "recipient");
    withdrawal.extend([
        ("recipient", "H01.21".into()),
        ("corrects", corrected.to_string()),
        ("withdraw", "yes".into()),
    ]);
    assert_eq!(post(&mut dms, &withdrawal).await.code, 303);
    assert!(!dms.get("/paper?agency=H01.1").await.unwrap().body.contains("còn hiệu lực"));
    // Declared complete: the figures are covered.
    let declared = dms.post("/paper/complete", &[("agency", "H01.1"), ("month", "2016-07")]).await.unwrap();
    assert_eq!(declared.code, 303);
    assert_eq!(net.events("a", "paper_declared").await.len(), 1);
    let ahead = dms.post("/paper/complete", &[("agency", "H01.1"), ("month", "2017-01")]).await.unwrap();
    says(&ahead, 400, "<code>invalid_date</code>");
    // Nobody else's register, and none for who keeps none.
    let mut one = browser(&mut net, Some("one"));
    says(&one.get("/paper?agency=H01.2").await.unwrap(), 403, "<code>not_allowed</code>");
    says(&browser(&mut net, Some("admin")).get("/paper").await.unwrap(), 403, "<code>not_allowed</code>");
    let mut strange = entry("fourth-key", "9");
    strange[1].1 = "H01.2".into();
    assert_eq!(post(&mut one, &strange).await.code, 403);
    net.finish().await;
}
