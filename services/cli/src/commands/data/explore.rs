//! `holdfast data explore`: what a research notebook would show of a table, as one HTML file. It needs no service.

use std::path::PathBuf;
use std::sync::Mutex;

use clap::Args;
use holdfast_domain::Schema;
use holdfast_sources::{RawTable, SourceSpec};
use holdfast_training::service::exploration::{
    Contender, CrossValidation, Exploration, ExploreOptions, Severity, Step, explore, report,
};
use holdfast_training::service::params::Presets;
use holdfast_training::service::recipe::{EngineeredFeature, Formula};

use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Work;
use crate::unfinished::Unfinished;

pub(super) const EXAMPLES: &str = "\
The report has distributions by class, churn by category, correlations, missing values, columns that tell too much, families of
models compared by repeated cross-validation, and a paired test of what each engineered feature brings. The table is taken as it
is: what an import would refuse is told. The same table, options and seed give the same numbers.

Examples:
  holdfast data explore --source BankChurners.csv --out report.html
  holdfast data explore --source 'bank.db?table=customers' --out report.html --no-models
  holdfast data explore --source bank.csv --out report.html --engineered Amount_Per_Transaction=Total_Trans_Amt/Total_Trans_Ct";

/// What `data explore` takes.
#[derive(Args, Debug)]
pub(crate) struct ExploreArgs {
    /// A .csv or .parquet file, or an SQLite database such as bank.db?table=customers
    #[arg(long, value_name = "FILE_OR_URL")]
    source: String,
    /// The HTML file to write; one of this name is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Folds of the cross-validation that compares families of models, 2 to 20
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=20))]
    folds: u16,
    /// How often it is repeated, each time with other folds, 1 to 20
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=20))]
    repeats: u16,
    /// An engineered feature to be tried as well: NAME=COLUMN/COLUMN or NAME=COLUMN*COLUMN[*…]; may be given again
    #[arg(long = "engineered", value_name = "FORMULA", value_parser = formula)]
    engineered: Vec<EngineeredFeature>,
    /// Only look at the table; compare no models
    #[arg(long)]
    no_models: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Threads, 1 to 64; the numbers do not depend on them [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
}

/// Runs the command.
pub(super) async fn run(args: ExploreArgs, context: &Context) -> Result<()> {
    let spec = SourceSpec::parse(&args.source)?;
    let options = options(&args)?;
    // Before minutes of work: whether the result can be written where it is wanted.
    let mut out = Unfinished::create(&args.out).await?;
    let table = read(&spec).await?;
    let computed = tokio::task::spawn_blocking(move || look(&table, &options)).await;
    let found = computed.map_err(|error| Failure::new(format!("the table cannot be explored: {error}")))??;
    out.write(report::page(&found).as_bytes()).await?;
    out.finish().await?;
    context.output.emit(&found, || people(&found, &args))
}

fn options(args: &ExploreArgs) -> Result<ExploreOptions> {
    let presets = Presets::load(None).map_err(|error| Failure::new(error.to_string()))?;
    let contenders = Contender::of_presets(&presets).map_err(|error| Failure::new(error.to_string()))?;
    if let Some(first) = contenders.first() {
        let mut recipe = first.recipe.clone();
        recipe.features.engineered.extend(args.engineered.iter().cloned());
        if let Some((_, problem)) = recipe.violations().first() {
            return Err(Failure::usage(format!("--engineered {problem}")));
        }
    }
    let threads = args.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    Ok(ExploreOptions {
        seed: args.seed,
        cross_validation: (!args.no_models).then_some(CrossValidation {
            folds: args.folds.into(),
            repeats: args.repeats.into(),
            threads,
        }),
        contenders,
        engineered: args.engineered.clone(),
    })
}

async fn read(spec: &SourceSpec) -> Result<RawTable> {
    let work = Work::counter("rows", format!("reading {spec}"));
    let mut seen = 0;
    let table = holdfast_sources::read_raw(spec, |rows| {
        work.advance(rows.saturating_sub(seen));
        seen = rows;
    });
    Ok(table.await?)
}

fn look(table: &RawTable, options: &ExploreOptions) -> Result<Exploration> {
    let work = Mutex::new(Work::spinner("describing the table"));
    let show = |step: Step| {
        let Ok(mut work) = work.lock() else { return };
        match step {
            Step::Describing => {}
            Step::Fitting { fits } => *work = Work::bar(fits as u64, "fits", "comparing models"),
            Step::Fitted => work.advance(1),
        }
    };
    explore(table, Schema::embedded(), options, &show).map_err(|error| Failure::new(error.to_string()))
}

/// The verdict in a few lines; the file has the rest.
fn people(found: &Exploration, args: &ExploreArgs) -> String {
    let overview = &found.overview;
    let mut lines = vec![format!(
        "{} customers, {} of them left ({:.1} %); {}",
        overview.rows,
        overview.left,
        overview.churn.value * 100.0,
        args.out.display()
    )];
    for screen in &found.screens {
        for warning in screen
            .warnings
            .iter()
            .filter(|warning| warning.severity > Severity::Note)
        {
            lines.push(format!("! {} {}", screen.name, warning.text));
        }
    }
    if let Some(why) = &found.families_left_out {
        lines.push(format!("models were not compared: {why}"));
    }
    if let Some(families) = &found.families {
        let mut table = output::table(["family", "ROC-AUC", "PR-AUC", "log-loss", "ROC-AUC, required only"]);
        for family in &families.families {
            let mean = |values: &[f64]| format!("{:.4}", holdfast_training::service::exploration::mean(values));
            table.add_row([
                family.name.clone(),
                mean(&family.full.roc_auc),
                mean(&family.full.pr_auc),
                mean(&family.full.log_loss),
                mean(&family.required_only.roc_auc),
            ]);
        }
        lines.push(table.to_string());
    }
    lines.extend(found.advice.iter().map(|advice| format!("- {}", advice.action)));
    lines.join("\n")
}

/// `NAME=COLUMN/COLUMN` or `NAME=COLUMN*COLUMN…`.
fn formula(text: &str) -> std::result::Result<EngineeredFeature, String> {
    const SHAPE: &str = "expected NAME=COLUMN/COLUMN or NAME=COLUMN*COLUMN";
    let (name, formula) = text.split_once('=').ok_or(SHAPE)?;
    let formula = match formula.split_once('/') {
        Some((numerator, denominator)) => Formula::Ratio {
            numerator: numerator.trim().to_owned(),
            denominator: denominator.trim().to_owned(),
        },
        None if formula.contains('*') => {
            Formula::Product(formula.split('*').map(|factor| factor.trim().to_owned()).collect())
        }
        None => return Err(SHAPE.to_owned()),
    };
    Ok(EngineeredFeature {
        name: name.trim().to_owned(),
        formula,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_a_ratio_or_a_product_of_columns() {
        let ratio = Formula::Ratio {
            numerator: "A".to_owned(),
            denominator: "B".to_owned(),
        };
        assert_eq!(formula("N = A / B").unwrap().formula, ratio);
        let product = Formula::Product(["A", "B", "C"].map(str::to_owned).to_vec());
        assert_eq!(formula("N=A*B*C").unwrap().formula, product);
        for wrong in ["N", "N=A", "A/B"] {
            assert!(formula(wrong).is_err(), "{wrong}");
        }
    }
}
