//! Writes simulated customers, or a CSV file's customers as a scenario shows them, as CSV to standard output.
//!
//! ```text
//! cargo run -p holdfast-simulator --example export -- simulate 10127 --seed 1 > simulated.csv
//! cargo run -p holdfast-simulator --example export -- simulate 10127 --seed 1 --scenario sudden --progress 1 > shifted.csv
//! cargo run -p holdfast-simulator --example export -- file BankChurners.csv --scenario sudden --progress 1 > shifted.csv
//! ```
//!
//! For calibration only: its CSV reader knows quotes and commas and nothing else.

use std::io::{BufWriter, Write};

use anyhow::{Context, anyhow, bail};
use holdfast_domain::{Customer, Feature, FeatureKind, FieldValue, Schema, Strictness};
use holdfast_simulator::{Scenario, customers};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, what, options @ ..] = arguments.as_slice() else {
        bail!("usage: export simulate N | export file PATH, then [--seed S] [--scenario NAME] [--progress P]");
    };
    let (mut seed, mut scenario, mut progress) = (1, Scenario::None, 1.0);
    for pair in options.chunks(2) {
        match pair {
            [flag, value] if flag == "--seed" => seed = value.parse()?,
            [flag, value] if flag == "--scenario" => scenario = value.parse()?,
            [flag, value] if flag == "--progress" => progress = value.parse()?,
            other => bail!("unknown option {other:?}"),
        }
    }
    let population = match source.as_str() {
        "simulate" => customers(what.parse()?, seed),
        "file" => read(&std::fs::read_to_string(what).with_context(|| format!("cannot read {what}"))?)?,
        other => bail!("unknown source {other}"),
    };
    write(&scenario.apply(&population, progress, seed))
}

fn read(text: &str) -> anyhow::Result<Vec<Customer>> {
    let schema = Schema::embedded();
    let mut lines = text.lines().map(cells);
    let header = lines.next().context("the file is empty")?;
    lines
        .enumerate()
        .map(|(row, cells)| {
            let fields = header
                .iter()
                .zip(&cells)
                .map(|(column, cell)| (column.as_str(), FieldValue::Text(cell)));
            schema
                .customer(fields, Strictness::Training)
                .map_err(|violations| anyhow!("row {}: {violations:?}", row + 1))
        })
        .collect()
}

fn cells(line: &str) -> Vec<String> {
    line.split(',').map(|cell| cell.trim_matches('"').to_owned()).collect()
}

fn write(population: &[Customer]) -> anyhow::Result<()> {
    let schema = Schema::embedded();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let columns: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    writeln!(out, "CLIENTNUM,Attrition_Flag,{}", columns.join(","))?;
    for customer in population {
        let key = customer.key.context("a customer without key")?;
        write!(
            out,
            "{key},{}",
            schema.label_text(customer.label.context("a customer without label")?)
        )?;
        for feature in Feature::ALL {
            match (customer.features.get(feature), feature.kind()) {
                (None, _) => write!(out, ",")?,
                (Some(value), FeatureKind::Numeric) => write!(out, ",{value}")?,
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "codes are small whole numbers"
                )]
                (Some(value), FeatureKind::Categorical) => {
                    write!(
                        out,
                        ",{}",
                        schema
                            .category_name(feature, value as usize)
                            .context("an unlisted category")?
                    )?;
                }
            }
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
