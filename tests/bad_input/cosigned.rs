//! A document that waited until its signer's certificate had ended: it counts as it was when another node of the
//! directory saw its origin's log, and nobody else's word moves that time.

use lienthong::domain::EventKind;
use lienthong::merkle::{NoteSigner, NoteVerifier, SignedCheckpoint, cosign};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::wire::pb::{self, deliver_response::Outcome};

use super::common::log::{HandLog, event};
use super::common::{TestNet, name};
use super::forged::Forged;

/// A document of c for a of 2016, that may be delivered until 2045.
fn offer(net: &TestNet, log: &mut HandLog, number: &str) -> pb::DeliverRequest {
    let later = "2045-01-01T00:00:00Z".parse().unwrap();
    Forged::good(net, number).with(|e| e.not_after = later).offer(net, log)
}

/// The checkpoint of the offer's proof gets the cosignature of a node's key, or of one under its name.
fn cosigned(
    net: &mut TestNet,
    mut offer: pb::DeliverRequest,
    node: &str,
    key: &str,
    at: &str,
) -> pb::DeliverRequest {
    let listed = net.node("a").exchange().directory().node(&name(node)).unwrap().entry.cosign_keys[0].clone();
    let listed: NoteVerifier = listed.parse().unwrap();
    let pkcs8 = read_pkcs8(&net.config(key).cosign_key).unwrap();
    let witness = NoteSigner::cosigner_from_pkcs8(listed.name(), &pkcs8).unwrap();
    let origin = net.node("a").exchange().directory().node(&name("c")).unwrap().log_keys[0].key.clone();
    let proof = offer.origin.as_mut().unwrap();
    let checkpoint = SignedCheckpoint::verify(&proof.checkpoint, &origin).unwrap();
    let at: lienthong::time::Timestamp = at.parse().unwrap();
    proof.checkpoint += &cosign(&checkpoint, at.secs() as u64, &witness);
    offer
}

#[tokio::test]
async fn a_cosigned_checkpoint_proves_when_a_document_existed() {
    let mut net = TestNet::running(&["a"]).await;
    let mut calling = net.calling("c", "a").await;
    let mut log = net.hand_log("c");
    let now = "2016-08-30T03:00:00Z";
    let offers = [
        ("nobody saw it", offer(&net, &mut log, "1"), None),
        ("another node saw it", offer(&net, &mut log, "2"), Some(("b", "b", now))),
        ("its own node says so", offer(&net, &mut log, "3"), Some(("c", "c", now))),
        ("somebody says so in another's name", offer(&net, &mut log, "4"), Some(("b", "c", now))),
        (
            "a witness saw it when the certificate had ended",
            offer(&net, &mut log, "5"),
            Some(("b", "b", "2040-06-01T00:00:00Z")),
        ),
        ("a witness is ahead of time", offer(&net, &mut log, "6"), Some(("b", "b", "2044-01-01T00:00:00Z"))),
    ];
    net.clock.set("2041-01-01T00:00:00Z".parse().unwrap());
    for (what, offer, by) in offers {
        let offer = match by {
            None => offer,
            Some((node, key, at)) => cosigned(&mut net, offer, node, key, at),
        };
        let answer = calling.offer(offer).await.unwrap();
        let Outcome::Receipt(proof) = answer else { panic!("{what}: {answer:?}") };
        match (event(&proof.leaf), what) {
            (EventKind::Received { verdicts, judged, .. }, "another node saw it") => {
                assert!(verdicts.both_valid(), "{verdicts:?}");
                let proven: Vec<_> = judged.signatures.iter().map(|s| s.proven_at).collect();
                assert_eq!(proven, [Some(now.parse().unwrap()); 2]);
            }
            (EventKind::Refused { reason, .. }, what) if what != "another node saw it" => {
                assert_eq!(reason.code(), "certificate_expired", "{what}");
            }
            (other, what) => panic!("{what}: {other:?}"),
        }
    }
    net.finish().await;
}
