//! What is wrong with a document itself: metadata, parts, content, signatures.

use lienthong::cli::pki::{Authority, Validity};
use lienthong::config::RevocationUnknown;
use lienthong::domain::limits;
use lienthong::merkle::sha256;
use lienthong::wire::{pb, words};

use super::common::check::{invalid, refusal};
use super::common::document::{Doc, part};
use super::common::{MAX_CONTENT, TestNet};
use tonic::Code;

/// Node a, its system, and a good document to spoil: to an agency of the same node, where it would arrive at once.
async fn good() -> (TestNet, super::common::client::Client, Doc) {
    let net = TestNet::running(&["a"]).await;
    let client = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.2"], "12");
    (net, client, doc)
}

#[tokio::test]
async fn a_classified_document_is_refused_before_anything_else_of_it_is_looked_at() {
    let (net, client, doc) = good().await;
    let refused = invalid("classified_document", "metadata.classification", &["Decision 28/2018/QĐ-TTg"]);
    for class in ["mật", "tối mật", "  tuyệt mật", "x"] {
        net.refuses(&client, &doc.clone().with(|m| m.classification = class.into()), &refused).await;
    }
    // Whatever else is wrong with it, and before its content comes.
    let mut wrong = doc.clone().with(|m| {
        m.classification = "mật".into();
        m.subject.clear();
        m.number = "x".repeat(90);
    });
    wrong.header.sender = "nobody".into();
    wrong.data.clear();
    net.refuses(&client, &wrong, &refused).await;
    net.finish().await;
}

#[tokio::test]
async fn a_missing_number_notation_subject_type_or_date_is_refused_by_its_field() {
    let (net, client, doc) = good().await;
    type Clear = fn(&mut pb::Metadata);
    let fields: [(&str, Clear); 7] = [
        ("metadata.number", |m| m.number.clear()),
        ("metadata.number", |m| m.number = " ".into()),
        ("metadata.notation", |m| m.notation.clear()),
        ("metadata.subject", |m| m.subject.clear()),
        ("metadata.subject", |m| m.subject = "\n\t".into()),
        ("metadata.type_name", |m| m.type_name.clear()),
        ("metadata.issued_on", |m| m.issued_on.clear()),
    ];
    for (field, clear) in fields {
        let refused = invalid("missing_field", field, &["required"]);
        net.refuses(&client, &doc.clone().with(clear), &refused).await;
    }
    let mut bare = doc.clone();
    bare.header.metadata = None;
    net.refuses(&client, &bare, &invalid("missing_field", "metadata", &["required"])).await;
    let nameless = doc.clone().with_header(|h| h.parts[0].name.clear());
    net.refuses(&client, &nameless, &invalid("missing_field", "parts.name", &["required"])).await;
    let anonymous = doc.clone().request("");
    net.refuses(&client, &anonymous, &invalid("missing_field", "request_id", &["required"])).await;
    net.finish().await;
}

#[tokio::test]
async fn an_overlong_text_is_refused_with_its_length_and_the_limit() {
    let (net, client, doc) = good().await;
    type Set = fn(&mut pb::Metadata, String);
    let fields: [(&str, usize, Set); 9] = [
        ("metadata.number", limits::NUMBER_CHARS, |m, t| m.number = t),
        ("metadata.notation", limits::NOTATION_CHARS, |m, t| m.notation = t),
        ("metadata.subject", limits::SUBJECT_CHARS, |m, t| m.subject = t),
        ("metadata.summary", limits::SUMMARY_CHARS, |m, t| m.summary = t),
        ("metadata.type_name", limits::TYPE_NAME_CHARS, |m, t| m.type_name = t),
        ("metadata.type_code", limits::TYPE_CODE_CHARS, |m, t| m.type_code = t),
        ("metadata.signer_name", limits::FULL_NAME_CHARS, |m, t| m.signer_name = t),
        ("metadata.signer_position", limits::POSITION_CHARS, |m, t| m.signer_position = t),
        ("metadata.places_received", limits::AGENCY_NAME_CHARS, |m, t| m.places_received = vec![t]),
    ];
    for (field, max, set) in fields {
        let (over, limit) = (format!("{} characters", max + 1), format!("the {max} allowed"));
        let overlong = doc.clone().with(|m| set(m, "ệ".repeat(max + 1)));
        net.refuses(&client, &overlong, &invalid("too_long", field, &[&over, &limit])).await;
    }
    let user = doc.clone().with_header(|h| h.user = "u".repeat(101));
    net.refuses(&client, &user, &invalid("too_long", "user", &["101 characters", "100 allowed"])).await;
    // Characters are counted, not bytes: at the limit it is taken.
    let longest = doc.clone().with(|m| {
        m.number = "ệ".repeat(limits::NUMBER_CHARS);
        m.notation = "Đ".repeat(limits::NOTATION_CHARS);
        m.subject = "ộ".repeat(limits::SUBJECT_CHARS);
    });
    assert_eq!(client.deliver(&longest).await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_text_of_a_wrong_form_is_refused() {
    let (net, client, doc) = good().await;
    let control = doc.clone().with(|m| m.subject = "a\u{0}b".into());
    net.refuses(&client, &control, &invalid("invalid_text", "metadata.subject", &["control characters"]))
        .await;
    let padded = doc.clone().with(|m| m.number = "12 ".into());
    net.refuses(&client, &padded, &invalid("invalid_text", "metadata.number", &["`12 `", "white space"]))
        .await;
    let long = "r".repeat(65);
    let shown = &long[..60];
    let refused = invalid("invalid_text", "request_id", &[shown, "1 to 64 printable ASCII"]);
    net.refuses(&client, &doc.clone().request(&long), &refused).await;
    let refused = invalid("invalid_text", "request_id", &["`số 1`"]);
    net.refuses(&client, &doc.clone().request("số 1"), &refused).await;
    for path in ["../../etc/passwd", "a\\b", ".."] {
        let named = doc.clone().with_header(|h| h.parts[0].name = path.into());
        let refused = invalid("invalid_text", "parts.name", &[path, "the file's name only"]);
        net.refuses(&client, &named, &refused).await;
    }
    let digest = doc.clone().with_header(|h| h.parts[0].sha256 = vec![1; 31].into());
    net.refuses(&client, &digest, &invalid("invalid_text", "parts[0].sha256", &["31 bytes", "32"])).await;
    let role = doc.clone().with_header(|h| h.parts[0].role = 9);
    net.refuses(&client, &role, &invalid("invalid_text", "parts[0].role", &["9"])).await;
    let urgency = doc.clone().with(|m| m.urgency = 77);
    net.refuses(&client, &urgency, &invalid("invalid_text", "metadata.urgency", &["77"])).await;
    net.finish().await;
}

#[tokio::test]
async fn a_date_of_issue_in_the_future_or_no_date_is_refused() {
    let (net, client, doc) = good().await;
    let tomorrow = net.now().date().plus_days(1).to_string();
    let ahead = doc.clone().with(|m| m.issued_on = tomorrow.clone());
    let refused =
        invalid("issued_in_future", "metadata.issued_on", &[&tomorrow, "this node's clock says 2016-08-08"]);
    net.refuses(&client, &ahead, &refused).await;
    let soon = net.now().plus_millis(limits::FUTURE_MS + 60_000);
    let ahead = doc.clone().with(|m| m.issued_at = soon.millis());
    let refused = invalid("issued_in_future", "metadata.issued_at", &["this node's clock says"]);
    net.refuses(&client, &ahead, &refused).await;
    for date in ["2016-02-30", "08/08/2016", "2016-8-8"] {
        let odd = doc.clone().with(|m| m.issued_on = date.into());
        net.refuses(&client, &odd, &invalid("invalid_date", "metadata.issued_on", &[date])).await;
    }
    let yesterday = net.now().date().plus_days(-1).midnight();
    let torn = doc.clone().with(|m| m.issued_at = yesterday.millis());
    let refused = invalid("invalid_date", "metadata.issued_at", &["2016-08-07", "2016-08-08"]);
    net.refuses(&client, &torn, &refused).await;
    for (at, said) in
        [(net.now().plus_millis(-1), "2016-08-08"), (net.now().plus_millis(31 * 86_400_000), "2016-09-08")]
    {
        let late = doc.clone().with_header(|h| h.not_after = at.millis());
        net.refuses(&client, &late, &invalid("invalid_date", "not_after", &[said, "is not between"])).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn content_that_is_not_what_the_header_says_is_refused() {
    let (net, client, doc) = good().await;
    let (said, found) = (sha256(b"other").to_string(), sha256(&doc.data).to_string());
    let other = doc.clone().with_header(|h| h.parts[0].sha256 = words::digest(&sha256(b"other")));
    let refused = invalid("content_mismatch", "parts[0].sha256", &[&said, &found]);
    net.refuses(&client, &other, &refused).await;

    let size = doc.data.len();
    let mut short = doc.clone();
    short.data.pop();
    let seen = format!("{} of {size} bytes", size - 1);
    net.refuses(&client, &short, &invalid("content_mismatch", "parts[0].size", &[&seen, "công văn.xml"]))
        .await;

    let mut long = doc.clone();
    long.data.extend(b"more");
    net.refuses(&client, &long, &invalid("content_mismatch", "data", &["4 bytes"])).await;

    // The second of two parts is at fault: it is named.
    let mut second = doc.clone().attach("a.txt", b"annex", vec![]);
    *second.data.last_mut().unwrap() = b'!';
    net.refuses(&client, &second, &invalid("content_mismatch", "parts[1].sha256", &["5 bytes"])).await;

    // What is larger than a record is written to a file of its own, and that goes as well.
    let mut large = net.document_of("H01.1", &["H01.2"], "13", vec![b'x'; (1 << 20) + 1]);
    large.data[17] = b'y';
    net.refuses(&client, &large, &invalid("content_mismatch", "parts[0].sha256", &["1048577 bytes"])).await;
    assert_eq!(std::fs::read_dir(net.config("a").data.join("content/tmp")).unwrap().count(), 0);
    net.finish().await;
}

#[tokio::test]
async fn content_over_the_limit_is_refused_by_its_header_alone() {
    let (net, client, doc) = good().await;
    let (over, limit) = ((MAX_CONTENT + 1).to_string(), format!("the {MAX_CONTENT} allowed"));
    let refused = invalid("content_too_large", "parts.size", &[&over, &limit]);
    let mut large = doc.clone().with_header(|h| h.parts[0].size = MAX_CONTENT + 1);
    large.data.clear();
    net.refuses(&client, &large, &refused).await;
    // All parts together, and sums that overflow.
    for (first, second) in [(MAX_CONTENT, 1), (u64::MAX, 2)] {
        let mut two = doc.clone().attach("a.txt", b"", vec![]).with_header(|h| {
            h.parts[0].size = first;
            h.parts[1].size = second;
        });
        two.data.clear();
        let refused = refused.saying(&["allowed", "send less"]);
        net.refuses(&client, &two, &refused).await;
    }
    // A message of a bulk stream has a limit of its own.
    let bulk = net.document_of("H01.1", &["H01.2"], "13", vec![b'x'; limits::BULK_BYTES + 1]);
    let before = net.traces().await;
    let answers = client.send_many(vec![bulk.bulk()]).await;
    let Some(pb::send_many_response::Outcome::Problem(problem)) = &answers[0].outcome else { panic!() };
    invalid("content_too_large", "data", &["1048577 bytes", "1048576", "use Send"]).check_problem(problem);
    assert_eq!(net.traces().await, before);
    net.finish().await;
}

#[tokio::test]
async fn too_many_or_too_large_parts_signatures_and_lists_are_refused_with_their_number() {
    let (net, client, doc) = good().await;
    let mut parts = doc.clone();
    for n in 0..limits::PARTS {
        parts = parts.attach(&format!("{n}.txt"), b"", vec![]);
    }
    net.refuses(&client, &parts, &invalid("too_many", "parts", &["101", "100 allowed"])).await;
    let signatures = doc.clone().signed(vec![vec![1]; limits::SIGNATURES_PER_PART + 1]);
    net.refuses(&client, &signatures, &invalid("too_many", "parts.signatures", &["17", "16 allowed"])).await;
    let mut all = doc.clone();
    for n in 0..4 {
        all = all.attach(&format!("{n}.txt"), b"", vec![vec![1]; limits::SIGNATURES_PER_PART]);
    }
    net.refuses(&client, &all, &invalid("too_many", "parts.signatures", &["66", "64 allowed"])).await;
    for (bytes, shown) in [(limits::SIGNATURE_BYTES + 1, "65537 bytes"), (0, "0 bytes")] {
        let large = doc.clone().signed(vec![vec![1; bytes]]);
        net.refuses(&client, &large, &invalid("too_long", "parts[0].signatures", &[shown, "65536"])).await;
    }
    let places = doc.clone().with(|m| m.places_received = vec!["x".into(); limits::PLACES + 1]);
    net.refuses(&client, &places, &invalid("too_many", "metadata.places_received", &["101", "100"])).await;
    let reference =
        pb::DocumentRef { agency: "H01".into(), number: "1".into(), notation: "x".into(), year: 2016 };
    let answers = doc.clone().with(|m| m.response_for = vec![reference; limits::RESPONSES + 1]);
    net.refuses(&client, &answers, &invalid("too_many", "metadata.response_for", &["51", "50"])).await;
    let none = doc.clone().with_header(|h| h.parts[0].role = pb::PartRole::Attachment.into());
    net.refuses(&client, &none, &invalid("no_main_part", "parts", &["none of the 1 parts"])).await;
    net.finish().await;
}

#[tokio::test]
async fn an_invalid_signature_refuses_the_document_with_the_judges_reason() {
    let (net, client, doc) = good().await;
    let refused = |reason| {
        refusal(Code::FailedPrecondition, reason, "parts.signatures", &["the document was not taken"])
    };
    let garbage = doc.clone().signed(vec![net.person("H01.1", &doc.data), b"no CMS at all".to_vec()]);
    net.refuses(&client, &garbage, &refused("malformed_signature")).await;

    let other = doc.clone().signed(net.signatures("H01.1", b"something else"));
    net.refuses(&client, &other, &refused("digest_mismatch")).await;

    let mut broken = net.seal("H01.1", &doc.data);
    // The signature's value stands at the end.
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let broken = doc.clone().signed(vec![broken]);
    net.refuses(&client, &broken, &refused("digest_mismatch")).await;

    let stranger = Authority::new("nobody's authority", Validity::default()).unwrap();
    let stranger = stranger.document("Người lạ", "").unwrap().signer().unwrap();
    let foreign = stranger.sign_detached(sha256(&doc.data).as_bytes(), net.now()).unwrap();
    let foreign = doc.clone().signed(vec![net.seal("H01.1", &doc.data), foreign]);
    net.refuses(&client, &foreign, &refused("untrusted_issuer")).await;

    // As good as its worst part.
    let annex = doc.clone().attach("a.txt", b"annex", net.signatures("H01.1", b"another annex"));
    net.refuses(&client, &annex, &refused("digest_mismatch")).await;

    // A PDF is one by whatever name it comes, and judged by what is inside it, too; also where it is only checked.
    let pdf = b"%PDF-1.7\nneither signed nor whole";
    let inside = doc.clone().attach("letter.bin", pdf, net.signatures("H01.1", pdf));
    net.refuses(&client, &inside, &refused("malformed_document")).await;
    let checked = inside.with_header(|h| h.validate_only = true);
    net.refuses(&client, &checked, &refused("malformed_document")).await;
    net.finish().await;
}

#[tokio::test]
async fn another_agencys_seal_is_refused_also_within_the_province() {
    let (net, client, doc) = good().await;
    let refused = refusal(
        Code::FailedPrecondition,
        "wrong_agency",
        "parts.signatures",
        &["agency: invalid", "the document was not taken"],
    );
    for other in ["H01.2", "H01", "H01.22", "G01"] {
        let sealed = doc.clone().signed(vec![net.person("H01.1", &doc.data), net.seal(other, &doc.data)]);
        net.refuses(&client, &sealed, &refused).await;
    }
    // A second, right seal does not heal it.
    let both = doc.clone().signed(vec![net.seal("H01.1", &doc.data), net.seal("H01.2", &doc.data)]);
    net.refuses(&client, &both, &refused).await;
    net.finish().await;
}

#[tokio::test]
async fn without_revocation_lists_a_document_is_refused_where_the_node_is_configured_so() {
    let mut net = TestNet::new();
    std::fs::remove_file(net.path("a/crls/documents-ca.crl")).unwrap();
    // What is no list is left out, and stops nothing.
    std::fs::write(net.path("a/crls/odd.crl"), b"no list").unwrap();
    net.configure("a", |config| config.revocation_unknown = RevocationUnknown::Refuse);
    net.start("a").await;
    let client = net.dms("a").await;
    let words = &["person: indeterminate, agency: indeterminate", "no revocation list"];
    let refused = refusal(Code::FailedPrecondition, "revocation_unknown", "parts.signatures", words);
    net.refuses(&client, &net.document("H01.1", &["H01.2"], "12"), &refused).await;
    net.finish().await;
}

#[tokio::test]
async fn a_kind_that_cannot_be_sent_is_refused_by_name() {
    let (net, client, doc) = good().await;
    for (kind, word) in
        [(pb::Kind::Revoke, "revoke"), (pb::Kind::Update, "update"), (pb::Kind::Status, "status")]
    {
        let odd = doc.clone().with_header(|h| h.kind = kind.into());
        let status = client.send(&odd).await.unwrap_err();
        invalid("invalid_text", "kind", &[word, "SendNotice", "SendStatus"]).check(&status);
    }
    let odd = doc.clone().with_header(|h| h.kind = 99);
    net.refuses(&client, &odd, &invalid("invalid_text", "kind", &["99"])).await;
    net.finish().await;
}

#[tokio::test]
async fn the_good_document_is_taken_with_an_empty_attachment() {
    let (net, client, _) = good().await;
    // The good document itself: what all the others differ from by one thing.
    let mut doc = net.document("H01.1", &["H01.2"], "14");
    doc.header.parts.push(part("trống.txt", pb::PartRole::Attachment, b"", vec![]));
    assert_eq!(client.deliver(&doc).await.len(), 1);
    net.finish().await;
}
