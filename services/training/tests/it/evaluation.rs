//! What a run leaves for people: figures, pictures, and the model card made of the record.

use holdfast_api::training::v1 as wire;
use holdfast_chassis::{Code, Fault};
use holdfast_records::evaluation::{Evaluation, FILE_NAME};

use crate::support::{Bench, Registry, Setup, directory, fault, metric, of_snapshot, result};

const PLOTS: [&str; 10] = [
    "confusion.svg",
    "gain.svg",
    "importance.svg",
    "lift.svg",
    "partial_dependence.svg",
    "precision_recall.svg",
    "reliability.svg",
    "roc.svg",
    "score_distribution.svg",
    "slices.svg",
];

async fn files(bench: &mut Bench, version: u32) -> Vec<wire::EvaluationFile> {
    let request = wire::ListEvaluationFilesRequest {
        model: "churn".into(),
        version,
    };
    bench
        .training
        .list_evaluation_files(request)
        .await
        .unwrap()
        .into_inner()
        .files
}

async fn file(bench: &mut Bench, version: u32, name: &str) -> Result<wire::GetEvaluationFileResponse, tonic::Status> {
    let request = wire::GetEvaluationFileRequest {
        model: "churn".into(),
        version,
        name: name.into(),
    };
    Ok(bench.training.get_evaluation_file(request).await?.into_inner())
}

async fn card(bench: &mut Bench, version: u32, format: wire::ModelCardFormat) -> wire::GetModelCardResponse {
    let request = wire::GetModelCardRequest {
        model: "churn".into(),
        version,
        format: format.into(),
    };
    bench.training.get_model_card(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_figures_and_pictures() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(3_000, 7)).await;
    let run = bench.train(of_snapshot(&snapshot)).await;

    let listed = files(&mut bench, 1).await;
    let names: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
    let mut expected = PLOTS.to_vec();
    expected.push(FILE_NAME);
    expected.sort_unstable();
    assert_eq!(names, expected);
    for file in &listed {
        let found = self::file(&mut bench, 1, &file.name).await.unwrap();
        assert_eq!(found.content.len() as u64, file.size_bytes, "{}", file.name);
        assert_eq!(found.content_type, file.content_type);
        if file.name != FILE_NAME {
            let svg = String::from_utf8(found.content).unwrap();
            assert_eq!(found.content_type, "image/svg+xml");
            for part in ["<title ", "<desc ", "role=\"img\"", "</svg>"] {
                assert!(svg.contains(part), "{part} in {}", file.name);
            }
            for unfit in ["NaN", "inf", "-0 %"] {
                assert!(!svg.contains(unfit), "{unfit} in {}", file.name);
            }
        }
    }

    let found = file(&mut bench, 1, FILE_NAME).await.unwrap();
    assert_eq!(found.content_type, "application/json");
    let evaluation = Evaluation::decode(&found.content).unwrap();
    assert_matches_the_run(&evaluation, &run);
    bench.stop().await;
    registry.stop().await;
}

fn assert_matches_the_run(evaluation: &Evaluation, run: &wire::PipelineRun) {
    assert_eq!(evaluation.run_id.as_str(), run.run_id);
    assert_eq!(evaluation.artifact_digest.to_string(), result(run).artifact_digest);
    assert_eq!(evaluation.test_snapshot.to_string(), run.test_snapshot);
    let full = &evaluation.full;
    for (name, value) in [
        ("test_roc_auc", full.roc_auc.value),
        ("test_roc_auc_lower", full.roc_auc.lower),
        ("test_pr_auc", full.pr_auc.value),
        ("test_pr_auc_upper", full.pr_auc.upper),
        ("test_f1", full.f1.value),
        ("test_log_loss", full.log_loss.value),
        ("test_calibration_error", full.calibration_error),
        ("test_top_decile_lift", full.top_decile_lift.value),
        ("test_roc_auc_required_only", evaluation.required_only.roc_auc.value),
        ("baseline_roc_auc", evaluation.baseline.roc_auc.value),
    ] {
        assert!((metric(run, name) - value).abs() < 1e-12, "{name}");
    }
    assert!(!result(run).metrics.contains_key("test_profit_usd_per_customer"));
    let counts = &full.confusion;
    let sum = counts.true_positives + counts.false_positives + counts.true_negatives + counts.false_negatives;
    assert_eq!((sum, full.rows), (600, 600));
    for measured in [full, &evaluation.required_only, &evaluation.baseline] {
        for curve in [&measured.roc_curve, &measured.gain_curve] {
            assert_eq!((curve.first(), curve.last()), (Some(&[0.0, 0.0]), Some(&[1.0, 1.0])));
            assert!(curve.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]), "{curve:?}");
        }
        let binned: u64 = measured.reliability.iter().map(|bin| bin.rows).sum();
        let scored: u64 = measured.score_histogram.iter().map(|bin| bin.left + bin.stayed).sum();
        assert_eq!((binned, scored), (600, 600));
    }
    assert!(evaluation.champion.is_none() && evaluation.profit.is_none());
    assert_eq!(evaluation.dependence.len(), 6);
    let strongest: Vec<&str> = evaluation.importance.features[..6]
        .iter()
        .map(|feature| feature.feature.as_str())
        .collect();
    let shown: Vec<&str> = evaluation
        .dependence
        .iter()
        .map(|dependence| dependence.feature.as_str())
        .collect();
    assert_eq!(shown, strongest);
    let held_out = evaluation.calibration.held_out.as_ref().unwrap();
    assert_eq!(held_out.rows, 2_400);
    let of_gender = evaluation.slices.iter().filter(|slice| slice.column == "Gender");
    assert_eq!(of_gender.map(|slice| slice.rows).sum::<u64>(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_rule_brings_profit_into_the_evaluation() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 9)).await;
    let rule = wire::CostRule {
        offer_cost: 20.0,
        lost_margin: 400.0,
        success_rate: 0.4,
    };
    let request = wire::StartRunRequest {
        threshold: Some(wire::ThresholdRule {
            rule: Some(wire::threshold_rule::Rule::Cost(rule)),
        }),
        ..of_snapshot(&snapshot)
    };
    let run = bench.train(request).await;
    let json = file(&mut bench, 1, FILE_NAME).await.unwrap().content;
    let profit = Evaluation::decode(&json).unwrap().profit.unwrap();
    let [called, earned] = profit.at_threshold;
    assert!(called > 0.0 && called < 0.5 && earned > 0.0, "{called} {earned}");
    assert_eq!(metric(&run, "test_profit_usd_per_customer").to_bits(), earned.to_bits());
    // Calling everybody costs 20 each and saves 160 a leaving customer.
    let last = profit.curve.last().unwrap();
    assert_eq!((last[0], profit.curve[0]), (1.0, [0.0, 0.0]));
    assert!(last[1] < earned);
    let svg = file(&mut bench, 1, "profit.svg").await.unwrap();
    assert!(
        String::from_utf8(svg.content)
            .unwrap()
            .contains("US dollars per customer scored")
    );
    let card = card(&mut bench, 1, wire::ModelCardFormat::Markdown).await.content;
    assert!(
        card.contains("an offer costs \\$20.00, keeps 40.0 % of the leaving customers"),
        "{card}"
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_card_of_a_version_is_made_from_the_record() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 8)).await;
    let first = bench.train(of_snapshot(&snapshot)).await;
    let second = bench.train(of_snapshot(&snapshot)).await;
    assert_eq!(result(&first).artifact_digest, result(&second).artifact_digest);

    let markdown = card(&mut bench, 1, wire::ModelCardFormat::Unspecified).await;
    assert_eq!(markdown.content_type, "text/markdown");
    let text = markdown.content;
    let auc = format!("{:.4}", metric(&first, "test_roc_auc"));
    for part in [
        "# Model card: churn, version 1",
        &result(&first).artifact_digest,
        &first.training_snapshot,
        &first.test_snapshot,
        &auc,
        "champion, generation 1",
        "| bank.csv | 2,500 |",
        "first version that was judged on this test set",
        "Age and gender are features of this model",
        "holdfast models reproduce 1 --model churn",
        "beats baseline",
        "too small to judge",
        "`Total_Trans_Ct`",
        "`estimators.0.trees` | `130`",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(
        card(&mut bench, 1, wire::ModelCardFormat::Markdown).await.content,
        text,
        "the same record gives the same card"
    );

    let data = card(&mut bench, 1, wire::ModelCardFormat::Json).await;
    assert_eq!(data.content_type, "application/json");
    let data: serde_json::Value = serde_json::from_str(&data.content).unwrap();
    let headings: Vec<String> = data["sections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|section| format!("\n## {}\n", section["heading"].as_str().unwrap()))
        .collect();
    assert_eq!(headings.len(), 11);
    assert!(headings.iter().all(|heading| text.contains(heading)), "{headings:?}");

    let page = card(&mut bench, 2, wire::ModelCardFormat::Html).await;
    assert_eq!(page.content_type, "text/html");
    let page = page.content;
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("This test set has been used 2 times"), "{page}");
    assert!(page.contains("the 2nd version on the same test set are optimistic"));
    assert!(page.contains("not champion; version 1 is"));
    assert_eq!(page.matches("<svg ").count(), PLOTS.len());
    for unfit in ["<script", "<img", "<iframe", "http-equiv=\"refresh\""] {
        assert!(!page.contains(unfit), "{unfit}");
    }
    for unfit in ["http://", "https://"] {
        let links = page.matches(unfit).count();
        let namespaces = page.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(
            links,
            if unfit == "http://" { namespaces } else { 0 },
            "the page loads nothing"
        );
    }
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_a_table_stays_a_text_in_the_card() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let bank = holdfast_simulator::customers(2_500, 8);
    let evil = "<img src=x onerror=alert(1)>|`bank`.csv";
    let mut digests = Vec::new();
    for rows in [&bank[..2_000], &bank[2_000..]] {
        let bytes = crate::support::csv(rows).await;
        let imported = bench.import_bytes(wire::TableFormat::Csv, evil, &bytes).await.unwrap();
        digests.push(imported.snapshot.unwrap().digest);
    }
    let request = wire::StartRunRequest {
        test_snapshot: digests[1].clone(),
        ..of_snapshot(&digests[0])
    };
    bench.train(request).await;
    let page = card(&mut bench, 1, wire::ModelCardFormat::Html).await.content;
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;|`bank`.csv"), "{page}");
    assert!(!page.contains("<img"));
    let text = card(&mut bench, 1, wire::ModelCardFormat::Markdown).await.content;
    assert!(
        text.contains("\\<img src=x onerror=alert(1)\\>\\|\\`bank\\`.csv"),
        "{text}"
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_record_is_not_found() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let unknown = wire::GetModelCardRequest {
        model: "churn".into(),
        version: 7,
        format: 0,
    };
    let refused = fault(bench.training.get_model_card(unknown).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::NotFound, "NO_SUCH_VERSION")
    );
    let none = wire::GetModelCardRequest {
        model: "Not a model".into(),
        version: 1,
        format: 0,
    };
    let refused = fault(bench.training.get_model_card(none).await);
    assert_eq!(
        (refused.code, refused.violations[0].field.as_str()),
        (Code::InvalidArgument, "model")
    );

    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 8)).await;
    bench.train(of_snapshot(&snapshot)).await;
    for name in ["profit.svg", "../manifest.json", "", "trials.json", "a/b.svg"] {
        let refused: Fault = fault(file(&mut bench, 1, name).await);
        assert_eq!(
            (refused.code, refused.reason.as_ref()),
            (Code::NotFound, "NO_SUCH_FILE"),
            "{name}"
        );
    }
    let refused = fault(file(&mut bench, 0, "roc.svg").await);
    assert_eq!(refused.violations[0].field, "version");
    bench.stop().await;
    registry.stop().await;
}
