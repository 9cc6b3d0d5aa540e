use std::time::Duration;

use holdfast_testkit::{eventually, eventually_some, free_ports};

#[tokio::test]
async fn a_condition_that_comes_true_is_waited_for() {
    let mut asked = 0;
    eventually("the third question", Duration::from_secs(60), async || {
        asked += 1;
        asked == 3
    })
    .await;
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn a_value_that_appears_is_answered() {
    let mut values = vec![Some("there"), None, None];
    assert_eq!(
        eventually_some("a value", Duration::from_secs(60), async || values.pop().flatten()).await,
        "there"
    );
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited 5s in vain for godot")]
async fn waiting_in_vain_names_what_was_waited_for() {
    eventually("godot", Duration::from_secs(5), async || false).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "in vain for an answer")]
async fn a_condition_that_hangs_is_cut_off() {
    eventually("an answer", Duration::from_secs(5), async || {
        std::future::pending().await
    })
    .await;
}

#[test]
fn free_ports_differ() {
    let mut ports = free_ports::<16>().to_vec();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 16);
}
