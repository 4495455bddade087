//! What is kept of others' cosignatures: the last of each hour, so that events stay covered by one that came soon after
//! them, also when a key is withdrawn later.

use std::collections::BTreeMap;

use lienthong::directory::Directory;
use lienthong::exchange::witness::ever::Ever;
use lienthong::merkle::Note;
use lienthong::time::Timestamp;

use super::common::{TestNet, name};
use super::world::{deliver, hours, newest_covers, next_hour, quick, size};

const HOUR_MS: i64 = 3_600_000;

fn hour(at: Timestamp) -> i64 {
    at.millis().div_euclid(HOUR_MS)
}

/// The checkpoints in a's files, by file: size, and the hour in which b cosigned.
fn kept(net: &TestNet) -> BTreeMap<String, Vec<(u64, i64)>> {
    let own = net.config("a").data.join("witness/own");
    let read = |path: std::path::PathBuf| {
        let notes: Vec<String> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let notes = notes.iter().map(|note| Note::parse(note, 1 << 16).unwrap());
        notes
            .map(|note| {
                let line = note.signatures.iter().find(|line| line.name == "b/witness").unwrap();
                let seconds = u64::from_be_bytes(*line.signature.first_chunk().unwrap());
                let size = note.text.lines().nth(1).unwrap().parse().unwrap();
                (size, hour(Timestamp::from_millis(seconds as i64 * 1_000)))
            })
            .collect::<Vec<(u64, i64)>>()
    };
    let entries = std::fs::read_dir(own).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), read(e.path()))).collect()
}

fn ever(net: &TestNet, directory: Directory) -> Ever {
    Ever::new(&net.config("a").data, directory, name("a"), "a/log/1", Vec::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_cosignature_of_each_hour_stays_and_covers_what_happened_in_it() {
    let mut net = quick();
    for node in ["a", "b"] {
        net.start(node).await;
    }
    // 09:00 to 13:00, with a restart between.
    let begun = hour(net.now());
    let mut last = hours(&mut net, 2).await;
    net.stop("a").await;
    net.start("a").await;
    next_hour(&net);
    let more = hours(&mut net, 2).await;
    last.extend(more);
    let events: Vec<(u64, Timestamp)> =
        net.events("a", "submitted").await.into_iter().map(|(index, event)| (index, event.at)).collect();
    net.stop("a").await;
    net.stop("b").await;

    let files = kept(&net);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["2016-08-08.json", "newest.json"]);
    let (day, newest) = (&files["2016-08-08.json"], &files["newest.json"]);
    assert!(newest.len() <= 2, "{newest:?}");
    // One of each hour that is over, and it is the last that came.
    let hours_kept: Vec<i64> = day.iter().map(|(_, hour)| *hour).collect();
    assert_eq!(hours_kept, [begun, begun + 1, begun + 2], "{day:?}");
    for ((size, _), covered) in day.iter().zip(&last) {
        assert!(size >= covered, "{day:?} {last:?}");
    }

    // So each event is covered by a cosignature of its own hour, or by the first that came after.
    let directory = Directory::verify(
        &std::fs::read_to_string(net.path("a/directory.note")).unwrap(),
        &net.config("a").authority,
    )
    .unwrap();
    let all = ever(&net, directory);
    let end = 1 << 20;
    // What came at the very end may be covered by nothing yet.
    let covered = last.last().unwrap();
    for (index, at) in events.iter().filter(|(index, _)| index < covered) {
        let covering = all.covering(*index, end).unwrap();
        assert!(covering.checkpoint.checkpoint().size > *index);
        let cosigned = hour(covering.earliest().unwrap()) - hour(*at);
        let in_time = *index < last[(hour(*at) - begun) as usize];
        assert!(cosigned == 0 || cosigned == 1 && !in_time, "event {index}: {cosigned} hours later");
    }
    assert_eq!(all.covering(end, end), None);

    // The log's key is withdrawn as of the third hour: what was cosigned before counts, what came after does not.
    let withdrawn = Timestamp::from_millis((begun + 2) * HOUR_MS);
    net.change_directory(|content| {
        (content.version, content.previous) = (2, None);
        let a = content.nodes.iter_mut().find(|n| n.name == name("a")).unwrap();
        a.log_keys[0].withdrawn = Some(withdrawn);
    });
    let directory = Directory::verify(
        &std::fs::read_to_string(net.path("a/directory.note")).unwrap(),
        &net.config("a").authority,
    )
    .unwrap();
    let all = ever(&net, directory);
    let seen_before = events.iter().filter(|(index, _)| *index < last[1]);
    assert!(seen_before.clone().count() >= 4);
    for (index, at) in seen_before {
        let covering = all.covering(*index, end).unwrap();
        assert!(covering.latest().unwrap() < withdrawn, "event {index} of {at}");
    }
    let after = events.iter().filter(|(_, at)| *at >= withdrawn);
    assert!(after.clone().count() > 0);
    for (index, _) in after {
        assert_eq!(all.covering(*index, end), None);
    }
    assert_eq!(all.newest().unwrap().checkpoint.checkpoint().size, day[1].0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_a_day_stays_with_its_day_however_long_nothing_happens() {
    let mut net = quick();
    for node in ["a", "b"] {
        net.start(node).await;
    }
    deliver(&net, "1").await;
    deliver(&net, "2").await;
    newest_covers(&mut net, "a", "b", 1).await;
    let first = kept(&net);
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), ["newest.json"], "{first:?}");
    let ended = newest_covers(&mut net, "a", "b", 1).await;
    let day = hour(net.now());
    net.clock.set(net.now().plus_millis(3 * 24 * HOUR_MS));
    // What is of more events was cosigned on the later day.
    let before = size(&mut net, "a");
    deliver(&net, "3").await;
    deliver(&net, "4").await;
    newest_covers(&mut net, "a", "b", before + 1).await;
    net.stop("a").await;
    let files = kept(&net);
    let [(size, of)] = files["2016-08-08.json"][..] else { panic!("{files:?}") };
    assert!(size >= ended && of == day, "{files:?}");
    net.finish().await;
}
