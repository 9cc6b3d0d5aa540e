//! Committed documents that are generated from the code: they must be what the code says today.
//! `UPDATE_DOCUMENTS=1 cargo nextest run -p holdfast-e2e documents` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdfast_chassis::Section;
use holdfast_chassis::settings::example_file;
use holdfast_testkit::workspace_root;

use crate::command_line::Up;

/// Compares a committed file with what it should be, or writes it.
fn check(path: &str, expected: &str) {
    let path = workspace_root().join(path);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == expected,
        "{} is not what the code says: run UPDATE_DOCUMENTS=1 cargo nextest run -p holdfast-e2e documents",
        path.display()
    );
}

fn section<S: Section>() -> (&'static str, &'static str) {
    (S::NAME, S::DEFAULTS)
}

#[test]
fn the_settings_example_lists_every_setting() {
    let sections = [
        section::<holdfast_registry::Settings>(),
        section::<holdfast_inference::Settings>(),
        section::<holdfast_training::Settings>(),
        section::<holdfast_monitoring::Settings>(),
        section::<holdfast_gateway::Settings>(),
    ];
    check("config/config.yaml.example", &example_file(&sections));
}

/// What `/metrics` says of one metric.
struct Metric {
    kind: String,
    help: String,
    services: Vec<String>,
}

/// The metrics of all services by name, as Prometheus sees them.
async fn metrics(up: &Up) -> BTreeMap<String, Metric> {
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for (service, address) in up.ready["admin"].as_object().unwrap() {
        let url = format!("http://{}/metrics", address.as_str().unwrap());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let mut helps = BTreeMap::new();
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                helps.insert(name.to_owned(), help.to_owned());
            }
            let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let metric = found.entry(name.to_owned()).or_insert_with(|| Metric {
                kind: kind.to_owned(),
                help: String::new(),
                services: Vec::new(),
            });
            metric.services.push(service.clone());
        }
        for (name, help) in helps {
            if let Some(metric) = found.get_mut(&name) {
                metric.help = help;
            }
        }
    }
    found
}

#[tokio::test]
async fn the_list_of_metrics_is_what_the_services_show_and_every_alert_asks_for_one_of_them() {
    let up = Up::start().await;
    let metrics = metrics(&up).await;
    up.end().await;

    let mut text = String::from(
        "# Metrics\n\nEvery metric that the services show at `/metrics`, by name. Generated from running services; a test compares.\n\n\
         | metric | type | services | what it says |\n|---|---|---|---|\n",
    );
    for (name, metric) in &metrics {
        let services = if metric.services.len() == 5 {
            "all".to_owned()
        } else {
            metric.services.join(", ")
        };
        let help = metric.help.trim_end_matches('.');
        writeln!(text, "| `{name}` | {} | {services} | {help} |", metric.kind).unwrap();
    }
    check("docs/metrics.md", &text);

    let alerts = std::fs::read_to_string(workspace_root().join("deploy/prometheus/alerts.yml")).unwrap();
    let names = alerts
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .filter(|word| word.starts_with("holdfast_"));
    for name in names {
        let base = name.strip_suffix("_total").unwrap_or(name);
        assert!(
            metrics.contains_key(name) || metrics.contains_key(base),
            "alerts.yml asks for {name}, which no service shows"
        );
    }
}
