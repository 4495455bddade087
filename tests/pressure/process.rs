//! A node as a process of its own that is told to end twice.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::common::{TestNet, eventually};

/// Kills what is left when a test fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_nothing_that_was_acknowledged_is_lost() {
    let mut net = TestNet::new();
    let stderr = net.path("stderr.txt");
    let mut process = Process(
        Command::new(env!("CARGO_BIN_EXE_lienthong"))
            .args(["serve", "--config"])
            .arg(net.path("a/lienthong.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap(),
    );
    let says = |text: &'static str| {
        let stderr = stderr.clone();
        move || {
            let said = std::fs::read_to_string(&stderr).unwrap_or_default().contains(text);
            async move { said.then_some(()) }
        }
    };
    eventually("the node serves", says("ready")).await;
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    // A call that would hold the stop up for as long as it may.
    let (upload, receiver) = mpsc::channel(8);
    let doc = net.document_of("H01.1", &["H01.2"], "2", vec![b'x'; 600_000]);
    upload.send(doc.messages().remove(0)).await.unwrap();
    let sending = tokio::spawn({
        let mut exchange = dms.node.exchange();
        async move { exchange.send(ReceiverStream::new(receiver)).await.map(|_| ()) }
    });
    dms.inbox("H01.2").await.unwrap();
    process.terminate();
    eventually("it says what a second signal does", says("a second signal ends at once")).await;
    assert_eq!(process.0.try_wait().unwrap(), None);
    let again = Instant::now();
    process.terminate();
    let status = eventually("it ends", || {
        let ended = process.0.try_wait().unwrap();
        async move { ended }
    })
    .await;
    assert_eq!(status.code(), Some(2));
    assert!(again.elapsed() < Duration::from_secs(9), "it waited as long as after the first");
    sending.await.unwrap().unwrap_err();
    net.start("a").await;
    let dms = net.dms("a").await;
    assert!(dms.inbox("H01.2").await.unwrap().iter().any(|item| item.delivery_id == id));
    assert!(!dms.send(&doc).await.unwrap().results[0].already_sent);
    net.finish().await;
}
