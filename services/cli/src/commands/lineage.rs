//! `holdfast lineage`: what a thing came from, and what came from it.

use std::collections::HashSet;

use clap::Args;
use serde_json::Value;

use super::{Context, DEFAULT_MODEL};
use crate::failure::Result;
use crate::output::{cell, moment, short};

const EXAMPLES: &str = "\
Examples:
  holdfast lineage churn                 the champion: what it came from, what it has answered
  holdfast lineage churn/3               version 3
  holdfast lineage churn@2               generation 2 of the champion
  holdfast lineage 0198c5e2-…            a run, or the request id of a prediction
  holdfast lineage 1f3a9c7d20b4          a snapshot, an artefact or an evaluation by (the beginning of) its digest
  holdfast lineage predictions/date=2026-11-26/hour=09/inference-1-00000000000000000001.parquet";

/// What `lineage` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LineageArgs {
    /// A model, MODEL/VERSION, MODEL@GENERATION, a digest, a run, a prediction, or a segment of the prediction log
    #[arg(default_value = DEFAULT_MODEL)]
    thing: String,
    /// Model for a version or @GENERATION that is named without one
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// Runs the command.
pub(crate) async fn run(args: LineageArgs, context: &Context) -> Result<()> {
    let query = [("thing", args.thing.as_str()), ("model", args.model.as_str())];
    let answer = context.rest.get("api/v1/lineage", &query).await?;
    context.output.emit(&answer, || Tree::of(&answer).text())
}

/// The answer, drawn.
struct Tree<'a> {
    nodes: &'a [Value],
    edges: Vec<(usize, usize, &'a str)>,
    truncated: bool,
}

/// Which way a tree grows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To what was there first.
    Back,
    /// To what came of it.
    On,
}

impl<'a> Tree<'a> {
    fn of(answer: &'a Value) -> Self {
        let listed = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let place = |value: &Value| value.as_u64().and_then(|place| usize::try_from(place).ok());
        let edges = listed("edges").iter().filter_map(|edge| {
            let relation = edge["relation"].as_str().unwrap_or("led to");
            Some((place(&edge["from"])?, place(&edge["to"])?, relation))
        });
        Self {
            nodes: listed("nodes"),
            edges: edges.collect(),
            truncated: answer["truncated"] == true,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![self.name(0)];
        for (way, title, none) in [
            (Way::Back, "it came from", "nothing on record comes before it"),
            (Way::On, "what came of it", "nothing on record came of it"),
        ] {
            lines.push(String::new());
            if self.next(0, way).is_empty() {
                lines.push(none.to_owned());
                continue;
            }
            lines.push(title.to_owned());
            self.grow(0, way, "", &mut HashSet::from([0]), &mut lines);
        }
        lines.push(String::new());
        if self.truncated {
            lines.push("there is more: ask for one of these things to see what is near it".to_owned());
        }
        lines.push("any of these can be asked for: `holdfast lineage ID`".to_owned());
        lines.join("\n")
    }

    /// What is one step away, each once.
    fn next(&self, at: usize, way: Way) -> Vec<(usize, &'a str)> {
        let steps = self.edges.iter().filter_map(|(from, to, relation)| match way {
            Way::Back if *to == at => Some((*from, *relation)),
            Way::On if *from == at => Some((*to, *relation)),
            _ => None,
        });
        steps.collect()
    }

    fn grow(&self, at: usize, way: Way, indent: &str, drawn: &mut HashSet<usize>, lines: &mut Vec<String>) {
        let next = self.next(at, way);
        let last = next.len().saturating_sub(1);
        for (index, (to, relation)) in next.into_iter().enumerate() {
            let (branch, below) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let name = match way {
                Way::Back => format!("{} · {relation} it", self.name(to)),
                Way::On => format!("{relation} {}", self.name(to)),
            };
            let first = drawn.insert(to);
            let again = if first { "" } else { " (as above)" };
            lines.push(format!("{indent}{branch}{name}{again}"));
            if first {
                self.grow(to, way, &format!("{indent}{below}"), drawn, lines);
            }
        }
    }

    fn name(&self, at: usize) -> String {
        let Some(node) = self.nodes.get(at) else {
            return "?".to_owned();
        };
        let kind = cell(&node["kind"]).replace('_', " ");
        let id = cell(&node["id"]);
        let shown = if matches!(kind.as_str(), "snapshot" | "evaluation") {
            short(&id)
        } else {
            &id
        };
        let mut text = format!("{kind} {shown}");
        if let Some(label) = node["label"].as_str() {
            text.push_str(&format!(": {label}"));
        }
        if let Some(at) = node["at"].as_str() {
            text.push_str(&format!(", {}", moment(at)));
        }
        if node["missing"] == true {
            text.push_str(" (not on record)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_reads_as_sentences_both_ways_and_draws_everything_once() {
        let answer = json!({
            "nodes": [
                {"kind": "version", "id": "churn/1", "label": "boosted_trees", "at": "2026-11-26T09:00:00Z", "missing": false},
                {"kind": "run", "id": "r", "label": null, "at": null, "missing": true},
                {"kind": "snapshot", "id": "0123456789abcdef", "label": "9 rows", "at": null, "missing": false},
                {"kind": "generation", "id": "churn@1", "label": null, "at": null, "missing": false},
            ],
            "edges": [
                {"from": 1, "to": 0, "relation": "made"},
                {"from": 2, "to": 1, "relation": "trained on by"},
                {"from": 2, "to": 0, "relation": "measured on by"},
                {"from": 0, "to": 3, "relation": "promoted to"},
            ],
            "truncated": false,
        });
        let expected = "\
version churn/1: boosted_trees, 2026-11-26 09:00:00Z

it came from
├─ run r (not on record) · made it
│  └─ snapshot 0123456789ab: 9 rows · trained on by it
└─ snapshot 0123456789ab: 9 rows · measured on by it (as above)

what came of it
└─ promoted to generation churn@1

any of these can be asked for: `holdfast lineage ID`";
        assert_eq!(Tree::of(&answer).text(), expected);
    }
}
