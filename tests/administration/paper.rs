//! Corrections of the paper register name the entry that they correct; folds and ratios follow.

use lienthong::domain::EventKind;
use lienthong::wire::pb;
use tonic::{Code, Status};

use super::common::TestNet;
use super::common::check::refusal;
use super::common::client::Client;

struct Register {
    client: Client,
    entry: pb::RecordPaperRequest,
    next: u32,
}

impl Register {
    async fn record(
        &mut self,
        change: impl FnOnce(&mut pb::RecordPaperRequest),
    ) -> Result<pb::RecordPaperResponse, Status> {
        self.next += 1;
        let mut request = self.entry.clone();
        request.request_id = format!("paper-{}", self.next);
        change(&mut request);
        self.client.node.exchange().record_paper(request).await.map(tonic::Response::into_inner)
    }
}

async fn counted(net: &TestNet, ratio: &str) -> u64 {
    let admin = net.client("a", "admin").await;
    let answer = admin.node.report().get_ratios(pb::GetRatiosRequest::default()).await.unwrap().into_inner();
    let row = answer.rows.iter().find(|r| r.key == "in_province");
    row.and_then(|r| r.ratios.iter().find(|r| r.name == ratio)).map_or(0, |r| r.n)
}

#[tokio::test]
async fn a_correction_names_the_entry_that_it_stands_in_for_and_ratios_follow() {
    let net = TestNet::running(&["a"]).await;
    let client = net.dms("a").await;
    let document = net.document("H01.1", &["H01.2"], "12");
    let metadata = document.header.metadata.clone().unwrap();
    let id = client.deliver(&document).await.remove(0);
    client.wait_for(&id, pb::DeliveryState::Delivered).await;
    let entry = pb::RecordPaperRequest {
        sender: "H01.1".into(),
        recipient: "H01.2".into(),
        number: "21".into(),
        notation: metadata.notation.clone(),
        issued_on: metadata.issued_on.clone(),
        type_name: "công văn".into(),
        dispatched_on: metadata.issued_on.clone(),
        ..pb::RecordPaperRequest::default()
    };
    let mut register = Register { client, entry, next: 0 };
    let wrong = register.record(|_| ()).await.unwrap().log_index;
    assert_eq!((counted(&net, "paper_only").await, counted(&net, "dual").await), (1, 0));
    // It was number 12, which went electronically as well.
    let twelve = |r: &mut pb::RecordPaperRequest| {
        r.number = "12".into();
        r.corrects = Some(wrong);
    };
    let right = register.record(twelve).await.unwrap().log_index;
    assert_eq!((counted(&net, "paper_only").await, counted(&net, "dual").await), (0, 1));
    assert_eq!(counted(&net, "avoidable_paper").await, 1);
    // Sent again, it is the same answer; with another id, the entry does not stand any more.
    register.next -= 1;
    let again = register.record(twelve).await.unwrap();
    assert_eq!((again.log_index, again.already_recorded), (right, true));
    let gone = refusal(Code::NotFound, "unknown_event", "corrects", &["no entry of this agency that stands"]);
    gone.check(&register.record(twelve).await.unwrap_err());
    // Nor another agency's, nor what is no entry, in the same words.
    let others = |r: &mut pb::RecordPaperRequest| {
        r.sender = "H01.21".into();
        r.corrects = Some(right);
    };
    gone.check(&register.record(others).await.unwrap_err());
    gone.check(&register.record(|r| r.corrects = Some(0)).await.unwrap_err());
    gone.check(&register.record(|r| r.corrects = Some(u64::MAX)).await.unwrap_err());

    // There was a mandatory basis; and the recipient was another.
    let basis = |r: &mut pb::RecordPaperRequest| {
        twelve(r);
        (r.mandatory, r.basis, r.corrects) = (true, "Danh mục 2".into(), Some(right));
    };
    let based = register.record(basis).await.unwrap().log_index;
    assert_eq!((counted(&net, "dual").await, counted(&net, "avoidable_paper").await), (1, 0));
    let elsewhere = |r: &mut pb::RecordPaperRequest| {
        twelve(r);
        (r.recipient, r.corrects) = ("H01.21".into(), Some(based));
    };
    let moved = register.record(elsewhere).await.unwrap().log_index;
    assert_eq!((counted(&net, "paper_only").await, counted(&net, "dual").await), (1, 0));
    // Whom it is not about any more is told by the correction.
    let admin = net.client("a", "admin").await;
    let of_former = pb::ListEventsRequest {
        agency: "H01.2".into(),
        kind: "paper_entered".into(),
        ..pb::ListEventsRequest::default()
    };
    let seen = admin.node.audit().list_events(of_former).await.unwrap().into_inner().events;
    assert_eq!(seen.iter().map(|e| e.index).collect::<Vec<_>>(), [wrong, right, based, moved]);

    // Two entries of one document: taking one out leaves the other.
    let second = register.record(|r| (r.number, r.recipient) = ("12".into(), "H01.21".into())).await.unwrap();
    assert_eq!(counted(&net, "paper_only").await, 1);
    let withdraw = |index: u64| {
        move |r: &mut pb::RecordPaperRequest| {
            (r.number, r.recipient) = ("12".into(), "H01.21".into());
            (r.withdraw, r.corrects) = (true, Some(index));
        }
    };
    register.record(withdraw(moved)).await.unwrap();
    assert_eq!(counted(&net, "paper_only").await, 1);
    register.record(withdraw(second.log_index)).await.unwrap();
    assert_eq!(counted(&net, "paper_only").await, 0);
    let entries = net.events("a", "paper_entered").await;
    let corrected: Vec<Option<u64>> = entries
        .iter()
        .map(|(_, e)| match &e.kind {
            EventKind::PaperEntered(entry) => entry.corrects,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [None, Some(wrong), Some(right), Some(based), None, Some(moved), Some(second.log_index)];
    assert_eq!(corrected, expected);
    net.finish().await;
}
