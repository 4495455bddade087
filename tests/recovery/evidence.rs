//! What can be proven after a recovery, offline, from either side: under the lost generation's key and the new one's.

use lienthong::wire::pb;

use super::common::eventually;
use super::lost::{all_is_back, exchanged};
use super::tools::{paths, unpack};
use super::world::{copy, deliver, figures, lose, open_next, running};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_before_are_proven_from_either_side() {
    let mut net = running().await;
    let of_old = deliver(&net, "a", "H01.1", "H01.22", "90").await;
    let sent_of_old = deliver(&net, "b", "H01.22", "H01.1", "91").await;
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("yesterday"));
    net.start("b").await;
    let before = exchanged(&net).await;
    let of_b = figures(&net, "b").await;
    net.kill("b");
    lose(&net, "b").await;
    let old = net.path("yesterday");
    open_next(&mut net, "b", Some(&old)).await;
    net.start("b").await;
    all_is_back(&mut net, &before, &of_b).await;
    // The document that came again: both receipts, each under its own log's key.
    let again = &before.to_b[1];
    for (node, id) in [
        ("a", again),
        ("b", again),
        // Its proofs came back to b; its content is at a.
        ("b", &before.to_a[0]),
        ("a", &before.to_a[0]),
        // Of the copy: proven in the new log, answered in the words of the old.
        ("b", &sent_of_old),
        ("a", &sent_of_old),
        ("b", &of_old),
    ] {
        let container = net.exported(node, id).await;
        net.good(&container);
        if id == again {
            let files = unpack(&container);
            let of_b =
                |log: &str| paths(&files, "event/", "").iter().filter(|path| path.contains(log)).count();
            assert!(of_b("b_log_1") > 0 && of_b("b_log_2") > 0, "{:?}", paths(&files, "event/", ""));
        }
    }
    // It says so in words.
    let report = net.good(&net.exported("b", &before.to_a[0]).await);
    assert!(report.statements.iter().any(|s| s.what.contains("came back, which a lost log had sent")));
    assert!(report.statements.iter().any(|s| s.how.contains("of `b/log/1`")));
    let report = net.good(&net.exported("b", again).await);
    assert!(report.statements.iter().any(|s| s.what.contains("had received it before")));
    let report = net.good(&net.exported("a", again).await);
    assert!(report.statements.iter().any(|s| s.what.contains("node b lost it")));
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_is_told_everything_since_the_end_of_the_copy() {
    let mut net = running().await;
    deliver(&net, "a", "H01.1", "H01.22", "1").await;
    let told = async |net: &super::common::TestNet, cursor: &str| {
        net.dms("b").await.told(&["H01.22"], cursor).await.unwrap()
    };
    let first = told(&net, "").await.pop().unwrap().cursor;
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("yesterday"));
    net.start("b").await;
    let lost = deliver(&net, "a", "H01.1", "H01.22", "2").await;
    let newest = told(&net, &first).await.pop().unwrap().cursor;
    net.kill("b");
    lose(&net, "b").await;
    let old = net.path("yesterday");
    open_next(&mut net, "b", Some(&old)).await;
    net.start("b").await;
    let dms = net.dms("b").await;
    eventually("it is there again", || async {
        dms.inbox("H01.22").await.unwrap().iter().any(|item| item.delivery_id == lost).then_some(())
    })
    .await;
    // With the cursor of then, which is beyond what the copy has.
    let again = told(&net, &newest).await;
    assert!(again.iter().any(|item| item.delivery_id == lost && item.kind() == pb::WatchKind::Arrived));
    let cursor = again.last().unwrap().cursor.clone();
    assert!(cursor.starts_with("g2c"), "{cursor}");
    assert!(told(&net, &cursor).await.is_empty());
    for wrong in ["g3c1", "g0c1", "gc1", "g2x1"] {
        let status = dms.told(&["H01.22"], wrong).await.unwrap_err();
        assert!(status.message().contains("was not given by this node"), "{wrong}: {status}");
    }
    net.finish().await;
}
