//! Every reason code has its page, and every page its reason.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use lienthong::domain::Reason;

#[test]
fn every_reason_has_a_page_and_every_page_a_reason() {
    let codes: BTreeSet<String> = Reason::PLAIN
        .iter()
        .map(|r| r.code().to_owned())
        .chain(lienthong::signature::Reason::ALL.iter().map(|r| r.as_str().to_owned()))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons");
    let pages: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().into_string().unwrap().strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(codes, pages);
    for code in &codes {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# `{code}`")), "{code}");
        assert!(page.contains("**What to do"), "{code}");
    }
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for code in &codes {
        assert!(index.contains(&format!("{code}.md")), "the index misses {code}");
    }
}
