//! Commands take the beginning of a delivery's id, as lists show it.

use super::{RECIPIENT, SENDER, run, send, stage, tracked};

#[test]
fn every_command_takes_the_beginning_of_an_id() {
    let net = stage(8_000);
    let id = send(&net, "1");
    tracked(&net, "tinh", &id, "delivered, event");
    let list = run(&net, "tinh", &["audit", "list", "--kind", "submitted"]).done();
    let short = list.split_whitespace().find(|word| id.starts_with(word) && word.len() >= 8).unwrap();
    assert_eq!(short.len(), 12, "as it is listed");
    assert!(run(&net, "tinh", &["track", short]).done().contains(&id));
    assert!(run(&net, "huyen", &["track", &id[..8]]).done().contains(&id));
    run(&net, "huyen", &["fetch", short, "--agency", RECIPIENT, "--to", "in"]).done();
    assert!(net.dir.path().join("in/letter.txt").exists());
    run(&net, "huyen", &["ack", short, "--agency", RECIPIENT]).done();
    run(&net, "huyen", &["respond", short, "03", "--agency", RECIPIENT]).done();
    run(&net, "tinh", &["take-back", short, "--agency", SENDER, "--reason", "nhầm"]).done();
    run(&net, "tinh", &["hold", "place", "--delivery", short, "--reason", "vụ án"]).done();
    let events = run(&net, "tinh", &["audit", "list", "--delivery", short]).done();
    assert!(events.contains("settled") && events.contains("hold_placed"), "{events}");
    run(&net, "tinh", &["audit", "export", short]).done();
    assert!(net.dir.path().join(format!("{short}.asice")).exists());

    run(&net, "tinh", &["track", &id[..7]]).failed(&["first 8 or more"]);
    let other = if id.starts_with("00000000") { "11111111" } else { "00000000" };
    run(&net, "tinh", &["track", other]).failed(&["unknown_delivery", "no delivery", "is known here"]);
}
