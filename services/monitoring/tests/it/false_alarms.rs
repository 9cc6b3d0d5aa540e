//! How often a quiet window is called drifted, and how often a shift is missed: measured, not assumed.

use holdfast_domain::Customer;
use holdfast_model::Model;
use holdfast_monitoring::service::drift::compare;
use holdfast_monitoring::service::policy::DriftPolicy;
use holdfast_monitoring::service::report::Verdict;
use holdfast_simulator::Scenario;

use crate::support::{artifact, features, sample, schema, unseen};

const WINDOWS: u64 = 200;

fn drifted(model: &Model, customers: &[Customer]) -> bool {
    let window = sample(model, &features(customers));
    let comparison = compare(model.profile(), &window, &DriftPolicy::default(), schema()).unwrap();
    comparison.verdict == Verdict::Drift
}

/// Of 200 windows of customers whom nobody has seen, all of the bank the champion knows.
fn false_alarms(rows: u64) -> usize {
    let model = Model::decode(&artifact(), schema()).unwrap();
    let windows = (0..WINDOWS).filter(|window| drifted(&model, &unseen(window * rows, rows)));
    let alarms = windows.count();
    println!("false alarms: {alarms} of {WINDOWS} quiet windows of {rows} rows");
    alarms
}

#[test]
fn of_200_quiet_windows_of_200_at_most_2_percent_are_called_drifted() {
    let alarms = false_alarms(200);
    assert!(alarms * 50 <= WINDOWS as usize, "{alarms} of {WINDOWS}");
}

#[test]
fn of_200_quiet_windows_of_1000_at_most_2_percent_are_called_drifted() {
    let alarms = false_alarms(1_000);
    assert!(alarms * 50 <= WINDOWS as usize, "{alarms} of {WINDOWS}");
}

#[test]
fn shifts_are_seen_in_windows_of_200() {
    let model = Model::decode(&artifact(), schema()).unwrap();
    for scenario in [
        Scenario::Sudden,
        Scenario::Gradual,
        Scenario::OneFeature,
        Scenario::BrokenColumn,
    ] {
        let seen = (0..20).filter(|window| drifted(&model, &scenario.apply(&unseen(window * 200, 200), 1.0, *window)));
        let seen = seen.count();
        assert!(seen >= 19, "{scenario}: {seen} of 20");
    }
}
