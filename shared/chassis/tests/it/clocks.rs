//! Time that tests set.

use std::time::Duration;

use holdfast_chassis::clock::{Clock, FakeClock};
use jiff::Timestamp;

#[test]
fn a_fake_clock_moves_only_when_told_and_its_clones_agree() {
    let start: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let clock = FakeClock::at(start);
    let clone = clock.clone();
    assert_eq!(clone.now(), start);
    clock.advance(Duration::from_secs(90));
    assert_eq!(clone.now().to_string(), "2026-11-23T12:01:30Z");
    clock.set(start);
    assert_eq!(clone.now(), start);
}
