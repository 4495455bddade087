//! The order of the layers (DESIGN.md, "Layers"), read from the sources: a module names itself and those above it,
//! never one below. Test code counts. A violation is fixed, not listed here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top down; modules of one line may name each other.
const ORDER: &[&[&str]] = &[
    &["time", "parallel"],
    &["merkle"],
    &["signature"],
    &["domain"],
    &["config", "directory"],
    &["wire"],
    &["store"],
    &["ledger"],
    &["exchange"],
    &["audit", "report"],
    &["rpc"],
    &["web"],
    &["node"],
    &["cli"],
];

/// Layers without clock, disk, network or async.
const PURE: &[&str] = &["merkle", "signature", "domain"];

const IMPURE: &[&str] = &["std::fs", "std::net", "tokio", "SystemTime", "Instant"];

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&module))
}

/// A source file, by its module path.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).unwrap().with_extension("");
                let mut module: Vec<String> =
                    relative.iter().map(|c| c.to_string_lossy().into_owned()).collect();
                if module.last().is_some_and(|m| m == "mod") {
                    module.pop();
                }
                if module != ["lib"] && module != ["main"] {
                    let code = without_comments_and_texts(&fs::read_to_string(&path).unwrap());
                    out.push(Source { path, module, code });
                }
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// The code alone: comments and texts are left out, so that their words are nobody's names.
fn without_comments_and_texts(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let next = chars.get(i + 1);
        match chars[i] {
            '/' if next == Some(&'/') => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            '/' if next == Some(&'*') => {
                let mut depth = 1;
                i += 2;
                while i < chars.len() && depth > 0 {
                    let pair = (chars[i], chars.get(i + 1).copied().unwrap_or(' '));
                    match pair {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        _ => {}
                    }
                    i += if matches!(pair, ('/', '*') | ('*', '/')) { 2 } else { 1 };
                }
            }
            'r' if is_raw_text(&chars, i) => {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                i += hashes + 2;
                while i < chars.len()
                    && !(chars[i] == '"'
                        && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes)
                {
                    i += 1;
                }
                i += hashes + 1;
            }
            '"' => {
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character that is a quote or a backslash; a lifetime is no character.
            '\'' if next == Some(&'\\') => {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if chars.get(i + 2) == Some(&'\'') => i += 3,
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

fn is_raw_text(chars: &[char], at: usize) -> bool {
    let part_of_a_name =
        at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_');
    let rest = chars[at + 1..].iter().find(|c| **c != '#');
    !part_of_a_name && rest == Some(&'"')
}

/// The names that follow `prefix::` in `code`, also in a group `prefix::{a::b, c}`.
fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut out = Vec::new();
    let mark = format!("{prefix}::");
    for (at, _) in code.match_indices(&mark) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = code[at + mark.len()..].trim_start();
        match rest.strip_prefix('{') {
            None => out.push(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut begins = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        c if begins && !c.is_whitespace() => {
                            out.push(first_name(&group[i..]));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    out
}

fn first_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[test]
fn a_module_names_itself_and_those_above_it() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let here = &source.module[0];
        let own = rank(here).unwrap_or_else(|| panic!("{} is in no layer", source.path.display()));
        let mut names = names_after(&source.code, "crate");
        // `super` that climbs to the root; inside an inline module it climbs one less, which finds no layer's name.
        let climb = vec!["super"; source.module.len()].join("::");
        names.extend(names_after(&source.code, &climb));
        for name in names {
            if rank(name).is_some_and(|other| other > own) {
                wrong.insert(format!("{} names {name}, which is below {here}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_pure_layers_name_no_clock_disk_network_or_runtime() {
    let mut wrong = BTreeSet::new();
    // Their tests read vectors from files; the order of the layers holds for them as well.
    let product =
        |s: &&Source| PURE.contains(&s.module[0].as_str()) && !s.module.iter().any(|m| m == "tests");
    for source in sources().iter().filter(product) {
        let mut named: Vec<String> =
            names_after(&source.code, "std").iter().map(|name| format!("std::{name}")).collect();
        named.extend(source.code.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
        for name in named.iter().filter(|name| IMPURE.contains(&name.as_str())) {
            wrong.insert(format!("{} names {name}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_are_found_in_paths_and_groups_and_not_in_comments_and_texts() {
    let code = without_comments_and_texts(
        "use crate::{time::Date, wire::{leaf, pb},\n store};\n// crate::cli\nlet x = \"crate::rpc\"; crate::node::run(); \
         let q = '\"'; let r = r#\"crate::web \" \"#; /* crate::audit */ mycrate::report; &'a crate::domain",
    );
    assert_eq!(names_after(&code, "crate"), ["time", "wire", "store", "node", "domain"]);
    assert_eq!(names_after("use super::super::wire::x;", "super::super"), ["wire"]);
    assert_eq!(names_after("use std::{fs, io};", "std"), ["fs", "io"]);
}
