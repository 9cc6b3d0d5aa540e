//! What came from what, as a pure function of what is on record.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::champion::{ChampionReason, StoredEntry};
use holdfast_records::model_manifest::ModelManifest;
use holdfast_records::snapshot::{PredictionWindow, SnapshotManifest};
use jiff::Timestamp;

use crate::service::gate::GateDecision;

/// Most things answered at once.
pub const MOST_NODES: usize = 500;

/// Kind of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A span of the prediction log.
    Window,
    /// A snapshot of data.
    Snapshot,
    /// A run.
    Run,
    /// A version of a model.
    Version,
    /// An evaluation at the gate.
    Evaluation,
    /// A generation of the champion.
    Generation,
    /// All predictions of a generation.
    Predictions,
    /// One answered request.
    Prediction,
    /// A segment of the prediction log.
    Segment,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its kind.
    pub kind: Kind,
    /// Its id within the kind.
    pub id: String,
    /// What it is, in words; empty while it is only referred to.
    pub label: String,
    /// When it came to be.
    pub at: Option<Timestamp>,
    /// Whether it was found itself and not only referred to.
    pub found: bool,
}

/// One thing that came from another, by their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What was there first.
    pub from: usize,
    /// What came of it.
    pub to: usize,
    /// How.
    pub relation: &'static str,
}

/// Things and what came from what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The things; in a part of a graph, what was asked for comes first.
    pub nodes: Vec<Node>,
    /// Edges between them.
    pub edges: Vec<Edge>,
    /// Whether some were left out.
    pub truncated: bool,
}

/// What is on record. All of it is written once and never changed.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Snapshots by digest.
    pub snapshots: BTreeMap<Digest, SnapshotManifest>,
    /// Versions.
    pub versions: BTreeMap<(ModelName, ModelVersion), ModelManifest>,
    /// The gate's decisions, by version and digest of the evaluation.
    pub decisions: BTreeMap<(ModelName, ModelVersion, Digest), GateDecision>,
    /// Champion logs by model, oldest entry first.
    pub champions: BTreeMap<ModelName, Vec<StoredEntry>>,
}

/// A graph that is being built: every thing once.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
    positions: HashMap<(Kind, String), usize>,
    edges: HashSet<(usize, usize, &'static str)>,
}

impl Builder {
    /// Everything that `facts` tell.
    pub fn of(facts: &Facts) -> Self {
        let mut builder = Self::default();
        for manifest in facts.snapshots.values() {
            builder.snapshot(manifest, facts);
        }
        for manifest in facts.versions.values() {
            builder.version(manifest);
        }
        for ((model, version, digest), decision) in &facts.decisions {
            builder.decision(model, *version, digest, decision);
        }
        for (model, entries) in &facts.champions {
            for (index, stored) in entries.iter().enumerate() {
                let ended = entries.get(index + 1).map(|next| next.entry.at);
                builder.generation(model, stored, ended);
            }
        }
        builder
    }

    /// Where a thing is, if it is known.
    pub fn position(&self, kind: Kind, id: &str) -> Option<usize> {
        self.positions.get(&(kind, id.to_owned())).copied()
    }

    /// Positions of the things of these kinds whose id begins so.
    pub fn beginning_with(&self, kinds: &[Kind], start: &str) -> Vec<usize> {
        let nodes = self.graph.nodes.iter().enumerate();
        let fitting = nodes.filter(|(_, node)| kinds.contains(&node.kind) && node.id.starts_with(start));
        fitting.map(|(position, _)| position).collect()
    }

    /// The thing at a position.
    pub fn node(&self, position: usize) -> Option<&Node> {
        self.graph.nodes.get(position)
    }

    /// Says what a thing is, and where it is.
    pub fn describe(&mut self, kind: Kind, id: String, label: String, at: Option<Timestamp>) -> usize {
        let position = self.refer(kind, id);
        if let Some(node) = self.graph.nodes.get_mut(position) {
            node.label = label;
            node.at = at.or(node.at);
            node.found = true;
        }
        position
    }

    /// Where a thing is that something else refers to.
    pub fn refer(&mut self, kind: Kind, id: String) -> usize {
        let next = self.graph.nodes.len();
        let position = *self.positions.entry((kind, id.clone())).or_insert(next);
        if position == next {
            self.graph.nodes.push(Node {
                kind,
                id,
                label: String::new(),
                at: None,
                found: false,
            });
        }
        position
    }

    /// Says that one thing came from another.
    pub fn link(&mut self, from: usize, to: usize, relation: &'static str) {
        if self.edges.insert((from, to, relation)) {
            self.graph.edges.push(Edge { from, to, relation });
        }
    }

    fn snapshot(&mut self, manifest: &SnapshotManifest, facts: &Facts) {
        let mut label = format!(
            "{} rows, {} of customers who left; from {}",
            manifest.rows, manifest.positives, manifest.source
        );
        if let Some(how) = &manifest.query_or_window {
            label.push_str(&format!(" ({how})"));
        }
        let id = manifest.digest.to_string();
        let position = self.describe(Kind::Snapshot, id, label, Some(manifest.created_at));
        for parent in &manifest.parents {
            let parent = self.refer(Kind::Snapshot, parent.to_string());
            self.link(parent, position, "made into");
        }
        if let Some(window) = manifest.prediction_window() {
            let taken_from = self.window(&window, facts);
            self.link(taken_from, position, "labelled as");
        }
    }

    fn window(&mut self, window: &PredictionWindow, facts: &Facts) -> usize {
        let id = format!("{}/{}/{}", window.model, window.from, window.to);
        let label = format!(
            "predictions of {} from {} to {}, chosen by drift report {}",
            window.model, window.from, window.to, window.report_id
        );
        let position = self.describe(Kind::Window, id, label, Some(window.to));
        let log = facts
            .champions
            .get(&window.model)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let generations = match &window.generations {
            Some(recorded) => recorded.iter().copied().collect(),
            None => in_force(log, window.from, window.to),
        };
        for generation in generations {
            let predictions = self.refer(Kind::Predictions, generation_id(&window.model, generation));
            self.link(predictions, position, "logged in");
        }
        position
    }

    fn version(&mut self, manifest: &ModelManifest) {
        let (model, version) = (&manifest.model, manifest.version);
        let label = match manifest.created_by.as_str() {
            "" => manifest.family.clone(),
            by => format!("{}, asked for by {by}", manifest.family),
        };
        let at = Some(manifest.created_at);
        let position = self.describe(Kind::Version, version_id(model, version), label, at);
        let run = self.refer(Kind::Run, manifest.run_id.to_string());
        self.link(run, position, "made");
        for (role, digest) in &manifest.snapshots {
            let snapshot = self.refer(Kind::Snapshot, digest.to_string());
            let relation = match role.as_str() {
                "training" => "trained on by",
                "test" => "tested on by",
                _ => "used by",
            };
            self.link(snapshot, run, relation);
        }
    }

    fn decision(&mut self, model: &ModelName, version: ModelVersion, digest: &Digest, decision: &GateDecision) {
        let failed = decision.checks.iter().filter(|check| !check.passed);
        let failed: Vec<&str> = failed.map(|check| check.name.as_str()).collect();
        let label = if decision.accepted {
            "the gate accepted it".to_owned()
        } else {
            format!("the gate rejected it: {}", failed.join(", "))
        };
        let position = self.describe(Kind::Evaluation, digest.to_string(), label, Some(decision.decided_at));
        let judged = self.refer(Kind::Version, version_id(model, version));
        self.link(judged, position, "judged by");
        let rows = self.refer(Kind::Snapshot, decision.evaluation.test_snapshot.to_string());
        self.link(rows, position, "measured on by");
    }

    fn generation(&mut self, model: &ModelName, stored: &StoredEntry, ended: Option<Timestamp>) {
        let entry = &stored.entry;
        let id = generation_id(model, entry.generation);
        let (relation, how) = match &entry.reason {
            ChampionReason::Promotion { .. } => ("promoted to", "promoted"),
            ChampionReason::Rollback { .. } => ("rolled back to", "rolled back to"),
            ChampionReason::Override { .. } => ("promoted to", "promoted around the gate"),
        };
        let label = format!("version {} {how} by {}", entry.version, entry.actor);
        let position = self.describe(Kind::Generation, id.clone(), label, Some(entry.at));
        let version = self.refer(Kind::Version, version_id(model, entry.version));
        self.link(version, position, relation);
        if let ChampionReason::Promotion { evaluation_digest, .. } = &entry.reason {
            let evaluation = self.refer(Kind::Evaluation, evaluation_digest.to_string());
            self.link(evaluation, position, "accepted for");
        }
        let until = ended.map_or_else(|| "now".to_owned(), |at| at.to_string());
        let label = format!("answered by version {} from {} to {until}", entry.version, entry.at);
        let predictions = self.describe(Kind::Predictions, id, label, Some(entry.at));
        self.link(position, predictions, "served");
    }

    /// Everything that `starts` came from and everything that came from them, the nearest first.
    pub fn around(self, starts: &[usize]) -> Graph {
        let Graph { nodes, edges, .. } = self.graph;
        let (mut before, mut after) = (vec![Vec::new(); nodes.len()], vec![Vec::new(); nodes.len()]);
        for edge in &edges {
            before[edge.to].push(edge.from);
            after[edge.from].push(edge.to);
        }
        // Breadth first in both directions at once, so that what is left out is what is farthest away.
        let mut kept: Vec<usize> = Vec::new();
        let mut positions: HashMap<usize, usize> = HashMap::new();
        let mut seen: HashSet<(usize, bool)> = HashSet::new();
        let mut queue: VecDeque<(usize, bool)> = VecDeque::new();
        let mut truncated = false;
        for start in starts {
            queue.extend(
                [(*start, true), (*start, false)]
                    .into_iter()
                    .filter(|step| seen.insert(*step)),
            );
        }
        while let Some((at, back)) = queue.pop_front() {
            if let Entry::Vacant(place) = positions.entry(at) {
                if kept.len() == MOST_NODES {
                    truncated = true;
                    break;
                }
                place.insert(kept.len());
                kept.push(at);
            }
            let next = if back { &before[at] } else { &after[at] };
            queue.extend(next.iter().map(|next| (*next, back)).filter(|step| seen.insert(*step)));
        }
        let between = edges.into_iter().filter_map(|edge| {
            Some(Edge {
                from: *positions.get(&edge.from)?,
                to: *positions.get(&edge.to)?,
                relation: edge.relation,
            })
        });
        let edges = between.collect();
        let nodes = kept.into_iter().map(|at| nodes[at].clone());
        Graph {
            nodes: nodes.collect(),
            edges,
            truncated,
        }
    }
}

/// "<model>/<version>".
pub fn version_id(model: &ModelName, version: ModelVersion) -> String {
    format!("{model}/{version}")
}

/// "<model>@<generation>".
pub fn generation_id(model: &ModelName, generation: Generation) -> String {
    format!("{model}@{generation}")
}

/// Generations in force at some instant of a span.
fn in_force(log: &[StoredEntry], from: Timestamp, to: Timestamp) -> Vec<Generation> {
    let begun = log.iter().enumerate().filter(|(_, stored)| stored.entry.at < to);
    let overlapping = begun.filter(|(index, _)| log.get(index + 1).is_none_or(|next| next.entry.at > from));
    overlapping.map(|(_, stored)| stored.entry.generation).collect()
}
