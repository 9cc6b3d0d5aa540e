//! Settings: precedence, refusal of what is unknown or insecure, secrets that stay secret.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use holdfast_chassis::printed_settings;
use holdfast_chassis::settings::{
    COMMON_DEFAULTS, ClientSettings, Common, DatabaseKind, LogFormat, Secret, Section, Sections, ServerSettings,
    SettingsError, SettingsSources, SettingsViolation, example_file, load,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::NamedTempFile;

const DEFAULTS: &str = "\
# Where it listens.
bind: 127.0.0.1:0
admin: 127.0.0.1:0
request_timeout_ms: 1000
max_message_bytes: 1048576
max_concurrent_requests: 8
shutdown_grace_ms: 1000
allow_insecure_bind: false
# What comes next.
token: null
limits:
  rows: 100
  labels: {}
tags: []
";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inference {
    #[serde(flatten)]
    server: ServerSettings,
    token: Option<Secret>,
    limits: Limits,
    tags: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    rows: u32,
    labels: BTreeMap<String, String>,
}

impl Section for Inference {
    const NAME: &'static str = "inference";
    const DEFAULTS: &'static str = DEFAULTS;

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _: &Common) -> Result<(), Vec<SettingsViolation>> {
        if self.limits.rows == 0 {
            return Err(vec![SettingsViolation::new("inference.limits.rows", "must be above 0")]);
        }
        Ok(())
    }
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<(Common, Inference), SettingsError> {
    load(&SettingsSources {
        environment: environment(variables),
        ..SettingsSources::default()
    })
}

fn from_file(text: &str) -> Result<(Common, Inference), SettingsError> {
    let file = file(text);
    load(&SettingsSources {
        file: Some(file.path().to_owned()),
        ..SettingsSources::default()
    })
}

fn violations<T: std::fmt::Debug>(loaded: Result<T, SettingsError>) -> Vec<String> {
    match loaded.unwrap_err() {
        SettingsError::Invalid(found) => found
            .into_iter()
            .map(|found| {
                format!(
                    "{}: {}{}",
                    found.path,
                    found.message,
                    found.suggestion.map(|s| format!(" ?{s}")).unwrap_or_default()
                )
            })
            .collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_embedded_defaults_are_complete() {
    let (common, inference) = from_environment(&[]).unwrap();
    assert_eq!(common.client, ClientSettings::default());
    assert_eq!(common.peers.registry, "http://127.0.0.1:50052");
    assert_eq!(common.database.kind, None);
    assert_eq!(inference.limits.rows, 100);
}

#[test]
fn a_later_source_wins_over_an_earlier_one() {
    let file =
        file("inference:\n  limits: {rows: 2}\n  tags: [a]\ndata_dir: /from/file\ntelemetry:\n  log_format: text\n");
    let sources = SettingsSources {
        file: Some(file.path().to_owned()),
        environment: environment(&[
            ("HOLDFAST_INFERENCE__LIMITS__ROWS", "3"),
            ("HOLDFAST_DATA_DIR", "/from/environment"),
            ("HOLDFAST_INFERENCE__TAGS", "[b, c]"),
        ]),
        overrides: vec![
            ("inference.limits.rows".to_owned(), json!(4)),
            ("inference.limits.rows".to_owned(), json!(5)),
        ],
    };
    let (common, inference) = load::<Inference>(&sources).unwrap();
    assert_eq!(common.telemetry.log_format, LogFormat::Text);
    assert_eq!(common.data_dir, PathBuf::from("/from/environment"));
    assert_eq!(inference.tags, ["b", "c"]);
    assert_eq!(inference.limits.rows, 5);
}

#[test]
fn unknown_keys_of_the_file_are_refused_all_at_once_with_their_paths() {
    let found = violations(from_file(
        "inference:\n  bnid: 127.0.0.1:1\n  limits: {row: 1}\nblob_store:\n  s3:\n    buckett: x\nmonitorin: {}\n",
    ));
    assert_eq!(
        found,
        [
            "blob_store.s3.buckett: unknown key ?bucket",
            "inference.bnid: unknown key ?bind",
            "inference.limits.row: unknown key ?rows",
            "monitorin: unknown key ?monitoring",
        ]
    );
}

#[test]
fn unknown_variables_are_refused_with_the_name_that_was_meant() {
    let found = violations(from_environment(&[
        ("HOLDFAST_INFERENCE_BIND", "127.0.0.1:1"),
        ("HOLDFAST_BLOB_STORE__KNID", "s3"),
        ("HOLDFAST_DATABASE__PORT__X", "1"),
    ]));
    assert_eq!(
        found,
        [
            "blob_store.knid: unknown key ?HOLDFAST_BLOB_STORE__KIND",
            "database.port.x: unknown key ?HOLDFAST_DATABASE__PORT",
            "inference_bind: unknown key ?HOLDFAST_INFERENCE__BIND",
        ]
    );
}

#[test]
fn sections_and_variables_that_belong_to_others_are_left_alone() {
    let (common, _) = from_environment(&[
        ("HOLDFAST_TRAINING__WHATEVER", "1"),
        ("HOLDFAST_URL", "http://127.0.0.1:8080"),
        ("HOLDFAST_CONFIG", "ignored here"),
        ("HOLDFAST_BANK_CSV", "x"),
        ("HOLDFAST_WEED", "x"),
        ("HOLDFAST_TEST_ANYTHING", "x"),
        ("HOLDFAST_LOG", "debug"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(common.telemetry.log_filter, "debug");
    from_file("training:\n  whatever: 1\ninference:\n").unwrap();
}

#[test]
fn an_open_mapping_takes_any_keys() {
    let (_, inference) = from_environment(&[("HOLDFAST_INFERENCE__LIMITS__LABELS__TEAM", "7")]).unwrap();
    assert_eq!(inference.limits.labels.get("team").map(String::as_str), Some("7"));
    let (_, inference) = from_file("inference: {limits: {labels: {a: b}}}").unwrap();
    assert_eq!(inference.limits.labels.get("a").map(String::as_str), Some("b"));
}

#[test]
fn the_predecessors_variables_set_the_database() {
    let file = file("database: {kind: mysql, host: file, user: file, name: file}");
    let sources = SettingsSources {
        file: Some(file.path().to_owned()),
        environment: environment(&[
            ("DB_HOST", "db.example"),
            ("DB_PORT", "3307"),
            ("DB_USER", "1234"),
            ("DB_PASSWORD", "007"),
            ("DB_NAME", "bank"),
            ("HOLDFAST_DATABASE__NAME", "2026"),
        ]),
        overrides: Vec::new(),
    };
    let (common, _) = load::<Inference>(&sources).unwrap();
    let database = common.database;
    assert_eq!(database.kind, Some(DatabaseKind::Mysql));
    assert_eq!(database.port, Some(3307));
    assert_eq!(database.user.as_deref(), Some("1234"));
    assert_eq!(database.password.as_ref().map(Secret::expose), Some("007"));
    assert_eq!(database.name.as_deref(), Some("2026"));
    assert_eq!(
        database.source_url().unwrap().expose(),
        "mysql://1234:007@db.example:3307/2026?table=customers"
    );
}

#[test]
fn an_empty_variable_unsets_what_has_no_default() {
    let (common, _) = from_environment(&[("HOLDFAST_TELEMETRY__OTLP_ENDPOINT", ""), ("DB_PASSWORD", "")]).unwrap();
    assert_eq!(common.telemetry.otlp_endpoint, None);
    assert_eq!(common.database.password, None);
}

#[test]
fn secrets_are_never_printed() {
    let sources = SettingsSources {
        file: None,
        environment: environment(&[
            ("DB_PASSWORD", "hunter2"),
            ("HOLDFAST_INFERENCE__TOKEN", "hunter2"),
            ("HOLDFAST_BLOB_STORE__S3__SECRET_ACCESS_KEY", "hunter2"),
        ]),
        overrides: Vec::new(),
    };
    let (common, inference) = load::<Inference>(&sources).unwrap();
    assert_eq!(inference.token.as_ref().map(Secret::expose), Some("hunter2"));
    let printed = printed_settings::<Inference>(&sources).unwrap();
    assert!(printed.contains("[redacted]"), "{printed}");
    for text in [format!("{common:?} {inference:?} {sources:?}"), printed] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// What else runs in the process of [`Inference`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    page: u32,
}

impl Section for Gateway {
    const NAME: &'static str = "gateway";
    const DEFAULTS: &'static str = "page: 7\n";

    fn server(&self) -> Option<&ServerSettings> {
        None
    }

    fn validate(&self, _: &Common) -> Result<(), Vec<SettingsViolation>> {
        Ok(())
    }
}

#[test]
fn two_services_of_a_process_have_a_section_each() {
    fn sources(variables: &[(&str, &str)]) -> SettingsSources {
        SettingsSources {
            file: None,
            environment: environment(variables),
            overrides: Vec::new(),
        }
    }
    let set = sources(&[
        ("HOLDFAST_GATEWAY__PAGE", "8"),
        ("HOLDFAST_INFERENCE__LIMITS__ROWS", "9"),
    ]);
    let (_, (inference, gateway)) = <(Inference, Gateway)>::load(&set).unwrap();
    assert_eq!((inference.limits.rows, gateway.page), (9, 8));
    let printed = printed_settings::<(Inference, Gateway)>(&set).unwrap();
    for line in ["gateway:", "  page: 8", "inference:", "    rows: 9", "data_dir:"] {
        assert!(printed.lines().any(|own| own.starts_with(line)), "{line} in {printed}");
    }
    for (variable, path) in [
        ("HOLDFAST_GATEWAY__PAGES", "gateway.pages"),
        ("HOLDFAST_INFERENCE__ROWS", "inference.rows"),
    ] {
        let found = violations(<(Inference, Gateway)>::load(&sources(&[(variable, "1")])));
        assert!(found[0].starts_with(path), "{found:?}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_quoted_by_the_error() {
    let misplaced = [
        from_environment(&[("DB_PORT", "hunter2")]).unwrap_err(),
        from_environment(&[("HOLDFAST_INFERENCE__LIMITS", "hunter2")]).unwrap_err(),
        from_file("database: hunter2").unwrap_err(),
        from_file("inference: {limits: {rows: hunter2}}").unwrap_err(),
        from_file("database: {password: [hunter2]}").unwrap_err(),
        from_file("database: {password: hunter2\n  host: [").unwrap_err(),
    ];
    for error in misplaced {
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn binding_beyond_loopback_needs_to_be_meant() {
    let open = ("HOLDFAST_INFERENCE__BIND", "0.0.0.0:50051");
    let found = violations(from_environment(&[open]));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("inference.bind: 0.0.0.0:50051 is reachable from other machines"),
        "{}",
        found[0]
    );
    let (_, inference) = from_environment(&[open, ("HOLDFAST_INFERENCE__ALLOW_INSECURE_BIND", "true")]).unwrap();
    assert_eq!(inference.server.bind.port(), 50051);
}

#[test]
fn wrong_values_are_reported_all_at_once_with_their_origin() {
    let error = from_environment(&[
        ("HOLDFAST_INFERENCE__BIND", "here"),
        ("HOLDFAST_INFERENCE__MAX_MESSAGE_BYTES", "many"),
        ("HOLDFAST_BLOB_STORE__KIND", "s33"),
        ("HOLDFAST_CLIENT__RETRY__BUDGET_RATIO", "2"),
        ("HOLDFAST_PEERS__REGISTRY", "nowhere"),
        ("HOLDFAST_TYPO", "1"),
    ])
    .unwrap_err();
    let found: Vec<(&str, Option<&str>)> = error
        .violations()
        .iter()
        .map(|found| (found.path.as_str(), found.origin.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("blob_store.kind", Some("HOLDFAST_BLOB_STORE__KIND")),
            ("inference.bind", Some("HOLDFAST_INFERENCE__BIND")),
            (
                "inference.max_message_bytes",
                Some("HOLDFAST_INFERENCE__MAX_MESSAGE_BYTES")
            ),
            ("typo", Some("HOLDFAST_TYPO")),
        ]
    );
    assert_eq!(error.violations()[0].suggestion.as_deref(), Some("s3"));
}

#[test]
fn rules_of_the_common_keys_and_of_the_section_are_checked_together() {
    let found = violations(from_environment(&[
        ("HOLDFAST_CLIENT__RETRY__BUDGET_RATIO", "2"),
        ("HOLDFAST_PEERS__REGISTRY", "nowhere"),
        ("HOLDFAST_TELEMETRY__LOG_FILTER", "a=b=c"),
        ("HOLDFAST_BLOB_STORE__KIND", "s3"),
        ("HOLDFAST_INFERENCE__LIMITS__ROWS", "0"),
        ("HOLDFAST_DATABASE__KIND", "postgres"),
    ]));
    let paths: Vec<&str> = found.iter().filter_map(|found| found.split(':').next()).collect();
    assert_eq!(
        paths,
        [
            "blob_store.s3.bucket",
            "client.retry.budget_ratio",
            "database.host",
            "database.name",
            "inference.limits.rows",
            "peers.registry",
            "telemetry.log_filter",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named() {
    let missing = SettingsSources {
        file: Some(PathBuf::from("no/such/file.yaml")),
        ..SettingsSources::default()
    };
    assert!(
        load::<Inference>(&missing)
            .unwrap_err()
            .to_string()
            .contains("no/such/file.yaml")
    );
    assert!(matches!(
        from_file("- a\n- list\n").unwrap_err(),
        SettingsError::Malformed { .. }
    ));
    let twice = from_file("data_dir: a\ndata_dir: b\n").unwrap_err();
    assert!(matches!(twice, SettingsError::Malformed { .. }), "{twice}");
    from_file("").unwrap();
}

#[test]
fn the_committed_example_is_the_defaults_and_loads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/config.yaml.example");
    let example = std::fs::read_to_string(path).unwrap();
    assert!(
        example.starts_with(COMMON_DEFAULTS.trim_end()),
        "config.yaml.example must begin with chassis/config.default.yaml"
    );
    // Sections of services are checked by the services.
    let common = example.split("\nregistry:").next().unwrap().to_owned();
    let (loaded, _) = from_file(&common).unwrap();
    assert_eq!(loaded, from_environment(&[]).unwrap().0);
}

#[test]
fn the_generated_example_loads_with_its_sections() {
    let example = example_file(&[("inference", DEFAULTS)]);
    assert!(
        example.contains("\ninference:\n  # Where it listens.\n  bind: 127.0.0.1:0\n"),
        "{example}"
    );
    from_file(&example).unwrap();
}
