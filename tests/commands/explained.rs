//! `check-config`: what it says of a configuration; and what `audit list` refuses before it asks anybody.

use super::common::program::Net;
use super::run;

#[test]
fn timestamps_and_the_certificate_of_evidence_are_explained() {
    let net = Net::make(6_000);
    let shown = || {
        let output = net.run(&["check-config", "net/tinh/lienthong.toml"]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = shown();
    assert_eq!(code, Some(0), "{out}{err}");
    for line in [
        "timestamps  of nobody (`timestamps.url`): times are by this node's clock\n",
        "evidence    not signed (`evidence.certificate`): it does not say who exported it\n",
        "targets     none (`figures.targets`)\n",
        "figures     stated to tinh; the whole log read by tinh\n",
        "traces      sent nowhere\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
    let file = net.dir.path().join("net/tinh/lienthong.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let certificate = "../documents/person-H09.pem";
    let with = |key: &str| {
        format!(
            "{before}\n[timestamps]\nurl = \"http://tsa.example/\"\ninterval_minutes = 30\n\n[evidence]\n\
             certificate = \"{certificate}\"\nkey = \"../documents/{key}\"\n"
        )
    };
    std::fs::write(&file, with("person-H09.key")).unwrap();
    let (code, out, err) = shown();
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("timestamps  of http://tsa.example/, every 30 min when the log has grown\n"),
        "{out}"
    );
    assert!(
        out.contains("evidence    signed with ") && out.contains("person-H09.pem, valid until 20"),
        "{out}"
    );
    let collectors = before.replace("collectors = [\"tinh\"]", "collectors = [\"huyen\", \"nosuch\"]");
    assert_ne!(collectors, before);
    std::fs::write(&file, format!("{collectors}\n[figures.targets]\ndual = 20\n")).unwrap();
    let (code, out, err) = shown();
    assert_eq!(code, Some(0), "{out}{err}");
    for line in [
        "targets     dual at most 20 %\n",
        "figures     stated to huyen, nosuch; the whole log read by tinh\n",
        "! the directory lists no node `nosuch`",
    ] {
        assert!(out.contains(line), "{out}");
    }
    // A key that is not the certificate's, one that is not there.
    for (key, why) in [("seal-H09.key", "evidence: "), ("none.key", "none.key")] {
        std::fs::write(&file, with(key)).unwrap();
        let (code, out, err) = shown();
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(err.contains(why), "{err}");
    }
}

#[test]
fn filters_that_nothing_can_match_are_refused_with_what_is_known() {
    let net = Net::make(7_000);
    let list = |args: &[&str]| run(&net, "tinh", &[&["audit", "list"], args].concat());
    list(&["--kind", ""]).failed(&["--kind", "is no kind of event: submitted, received"]);
    list(&["--kind", "sent"]).failed(&["`sent` is no kind of event: submitted, received"]);
    list(&["--reason", "foo"]).failed(&[
        "`foo` is no reason that an event gives:",
        "bad_proof",
        "self_check",
    ]);
    list(&["--reason", ""]).failed(&["is no reason that an event gives:"]);
    list(&["--limit", "0"]).failed(&["--limit", "0 is not in 1"]);
    for filter in ["--agency", "--counterpart", "--number", "--by-client", "--by-user"] {
        list(&[filter, ""]).failed(&[filter, "a value is required"]);
    }
}
