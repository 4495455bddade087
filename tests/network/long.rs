//! A statement that goes in many pieces.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{PERIOD, allow, collect, totals};
use crate::common::TestNet;
use lienthong::domain::event::EventKind;
use lienthong::wire::pb;

/// Rows that make more than a MiB, which is more than one record of the content store holds.
const ENTRIES: usize = 11_500;
/// Entries under way at once.
const AT_ONCE: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_thousands_of_deliveries_comes_whole_and_is_counted_again() {
    let mut net = TestNet::new();
    allow(&mut net, "b", false, true);
    net.start_together(&["a", "b", "c"]).await;
    let mut tasks = JoinSet::new();
    let dms = Arc::new(net.dms("b").await);
    for first in 0..AT_ONCE {
        let dms = dms.clone();
        tasks.spawn(async move {
            for number in (first..ENTRIES).step_by(AT_ONCE) {
                let entry = pb::RecordPaperRequest {
                    request_id: format!("p-{number}"),
                    sender: "H01.22".into(),
                    recipient: "H01".into(),
                    number: number.to_string(),
                    notation: "CV-VP".into(),
                    issued_on: "2016-08-08".into(),
                    type_name: "Công văn".into(),
                    urgency: pb::Urgency::Normal.into(),
                    ..pb::RecordPaperRequest::default()
                };
                dms.node.exchange().record_paper(entry).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let admin = net.client("a", "admin").await;
    let (report, ..) = collect(&admin, PERIOD).await.unwrap();
    let b = report.nodes.iter().find(|n| n.node == "b").unwrap();
    assert_eq!((b.outcome.as_str(), b.sent, b.recomputed), ("stated", ENTRIES as u64, true), "{b:?}");
    let counted = totals(&report, "deliveries")["in_province"];
    assert_eq!((counted.deliveries, counted.paper), (ENTRIES as u64, ENTRIES as u64));
    let (_, event) = net.events("b", "statement_made").await.remove(0);
    let EventKind::StatementMade(made) = event.kind else { panic!("the statement's event") };
    assert!(made.statement_size > 1 << 20, "{} bytes", made.statement_size);
    net.finish().await;
}
