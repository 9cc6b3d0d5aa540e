//! `holdfast webhooks`, to a receiver that is there and to one that is not.

use holdfast_testkit::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::command_line::{Up, text};
use crate::support::PATIENCE;

/// Answers 204 to every request and passes on what it was told.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (told, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with("}}") {
                let mut piece = [0; 4_096];
                let read = stream.read(&mut piece).await.unwrap();
                assert!(read > 0, "{request}");
                request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            let _ = told.send(request);
        }
    });
    (url, hears)
}

#[tokio::test]
async fn a_webhook_is_added_tested_told_of_a_champion_and_removed() {
    let up = Up::start().await;
    let (url, mut hears) = receiver().await;
    let added = up.json(&["webhooks", "add", &url, "--description", "a test"]).await;
    let webhook = added["webhook_id"].as_str().unwrap();
    let secret = added["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{added}");

    let sent = up.json(&["webhooks", "test", webhook]).await;
    assert_eq!(
        (&sent["state"], &sent["http_status"]),
        (&"delivered".into(), &204.into()),
        "{sent}"
    );
    let test = hears.recv().await.unwrap();
    assert!(
        test.contains("webhook-signature: v1,") && test.contains("\"webhook.test\""),
        "{test}"
    );

    let table = up.simulate("bank.csv", "3000").await;
    let trained = up.json(&["train", "--source", text(&table), "--seed", "7"]).await;
    let told = hears.recv().await.unwrap();
    let body: Value = serde_json::from_str(told.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["type"], "champion.changed", "{body}");
    assert_eq!(
        (
            &body["data"]["version"],
            &body["data"]["generation"],
            &body["data"]["kind"]
        ),
        (&trained["version"], &1.into(), &"promotion".into()),
        "{body}"
    );
    eventually("the delivery to be in the log", PATIENCE, async || {
        let log = up.json(&["webhooks", "log", webhook]).await;
        log["deliveries"][0]["state"] == "delivered" && log["deliveries"][0]["generation"] == 1
    })
    .await;

    let off = up.json(&["webhooks", "disable", webhook]).await;
    assert_eq!(off["enabled"], false, "{off}");
    assert_eq!(up.json(&["webhooks", "enable", webhook]).await["enabled"], true);
    for shown in [
        ["webhooks", "list"].as_slice(),
        &["webhooks", "log"],
        &["webhooks", "list", "--json"],
    ] {
        let shown = up.cli(shown).await;
        assert!(
            shown.stdout.contains(webhook) && !shown.stdout.contains(secret),
            "{}",
            shown.stdout
        );
    }
    let removed = up.cli(&["webhooks", "remove", webhook]).await;
    assert_eq!(removed.code(), Some(0), "{}", removed.stderr);
    let gone = up.cli(&["webhooks", "test", webhook]).await;
    assert_eq!(gone.code(), Some(1));
    assert!(gone.stderr.contains("holdfast webhooks list"), "{}", gone.stderr);
    up.end().await;
}

#[tokio::test]
async fn a_test_that_does_not_arrive_ends_with_one_and_says_why() {
    let up = Up::start().await;
    // Nobody listens where the system has just given a port and taken it back.
    let url = format!(
        "http://{}/",
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    );
    let added = up.json(&["webhooks", "add", &url]).await;
    let test = up
        .cli(&["webhooks", "test", added["webhook_id"].as_str().unwrap()])
        .await;
    assert_eq!(test.code(), Some(1));
    assert!(
        test.stderr.contains("the test did not arrive: no connection"),
        "{}",
        test.stderr
    );
    let refused = up.cli(&["webhooks", "add", "https://169.254.169.254/latest"]).await;
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr.contains("not a public address"), "{}", refused.stderr);
    let wrong = up.cli(&["webhooks", "remove", "../models"]).await;
    assert_eq!(wrong.code(), Some(2), "{}", wrong.stderr);
    up.end().await;
}
