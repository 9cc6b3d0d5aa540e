//! Estimators to and from their messages.

use super::nodes::{NodeKind, Nodes};
use super::{
    Aggregation, Comparison, Ensemble, Estimator, Link, LogisticCoefficients, Member, MissingRule, TreeEnsemble,
    UnlistedCode,
};
use crate::error::InvalidPart;
use crate::wire;

impl Ensemble {
    pub(crate) fn to_wire(&self) -> wire::Ensemble {
        let link = match self.link {
            Link::Logistic => wire::Link::Logistic,
            Link::Identity => wire::Link::Identity,
        };
        let members = self.members.iter().map(|member| wire::Member {
            weight: member.weight,
            estimator: Some(match &member.estimator {
                Estimator::Trees(trees) => wire::member::Estimator::Trees(trees.to_wire()),
                Estimator::Logistic(linear) => wire::member::Estimator::Linear(wire::LinearModel {
                    intercept: linear.intercept,
                    coefficients: linear.coefficients.clone(),
                    column_means: linear.column_means.clone(),
                }),
            }),
        });
        wire::Ensemble {
            members: members.collect(),
            link: link.into(),
        }
    }

    pub(crate) fn from_wire(message: wire::Ensemble) -> Result<Self, InvalidPart> {
        let link = match wire::Link::try_from(message.link) {
            Ok(wire::Link::Logistic) => Link::Logistic,
            Ok(wire::Link::Identity) => Link::Identity,
            _ => return Err(InvalidPart::new("link", format!("{} is not a link", message.link))),
        };
        let members = message.members.into_iter().enumerate().map(|(index, member)| {
            member_from_wire(member).map_err(|error| error.inside(&format!("members[{index}]")))
        });
        Ok(Self {
            link,
            members: members.collect::<Result<_, _>>()?,
        })
    }
}

fn member_from_wire(member: wire::Member) -> Result<Member, InvalidPart> {
    let estimator = match member.estimator {
        Some(wire::member::Estimator::Trees(trees)) => Estimator::Trees(TreeEnsemble::from_wire(trees)?),
        Some(wire::member::Estimator::Linear(linear)) => Estimator::Logistic(LogisticCoefficients {
            intercept: linear.intercept,
            coefficients: linear.coefficients,
            column_means: linear.column_means,
        }),
        None => return Err(InvalidPart::new("estimator", "there is none")),
    };
    Ok(Member {
        weight: member.weight,
        estimator,
    })
}

impl TreeEnsemble {
    fn to_wire(&self) -> wire::TreeEnsemble {
        let nodes = &self.nodes;
        let comparison = match self.comparison {
            Comparison::LessThanF32 => wire::Comparison::LessThanFloat32,
            Comparison::LessOrEqualF64 => wire::Comparison::LessOrEqualFloat64,
        };
        let aggregation = match self.aggregation {
            Aggregation::Sum => wire::Aggregation::Sum,
            Aggregation::Mean => wire::Aggregation::Mean,
        };
        let unlisted_code = match self.unlisted_code {
            UnlistedCode::Left => wire::UnlistedCode::Left,
            UnlistedCode::Right => wire::UnlistedCode::Right,
            UnlistedCode::AsMissing => wire::UnlistedCode::Missing,
        };
        let categorical = nodes
            .kinds
            .iter()
            .zip(&nodes.left_categories)
            .filter(|(kind, _)| **kind == NodeKind::Categorical);
        wire::TreeEnsemble {
            comparison: comparison.into(),
            aggregation: aggregation.into(),
            unlisted_code: unlisted_code.into(),
            base_margin: self.base_margin,
            tree_node_counts: nodes.tree_sizes.clone(),
            node_kinds: nodes.kinds.iter().map(|kind| kind_to_wire(*kind).into()).collect(),
            node_columns: nodes.columns.clone(),
            node_values: nodes.values.clone(),
            node_left_children: nodes.left_children.clone(),
            node_missing_rules: nodes
                .missing_rules
                .iter()
                .map(|rule| rule_to_wire(*rule).into())
                .collect(),
            node_covers: nodes.covers.clone(),
            left_category_sets: categorical.map(|(_, set)| *set).collect(),
        }
    }

    fn from_wire(message: wire::TreeEnsemble) -> Result<Self, InvalidPart> {
        let unknown = |what: &str, value: i32| {
            InvalidPart::new(format!("trees.{what}"), format!("{value} is not one of the values"))
        };
        let comparison = match wire::Comparison::try_from(message.comparison) {
            Ok(wire::Comparison::LessThanFloat32) => Comparison::LessThanF32,
            Ok(wire::Comparison::LessOrEqualFloat64) => Comparison::LessOrEqualF64,
            _ => return Err(unknown("comparison", message.comparison)),
        };
        let aggregation = match wire::Aggregation::try_from(message.aggregation) {
            Ok(wire::Aggregation::Sum) => Aggregation::Sum,
            Ok(wire::Aggregation::Mean) => Aggregation::Mean,
            _ => return Err(unknown("aggregation", message.aggregation)),
        };
        let unlisted_code = match wire::UnlistedCode::try_from(message.unlisted_code) {
            Ok(wire::UnlistedCode::Left) => UnlistedCode::Left,
            Ok(wire::UnlistedCode::Right) => UnlistedCode::Right,
            Ok(wire::UnlistedCode::Missing) => UnlistedCode::AsMissing,
            _ => return Err(unknown("unlisted_code", message.unlisted_code)),
        };
        let kinds: Vec<NodeKind> = message
            .node_kinds
            .iter()
            .map(|kind| kind_from_wire(*kind).ok_or_else(|| unknown("node_kinds", *kind)))
            .collect::<Result<_, _>>()?;
        let missing_rules = message
            .node_missing_rules
            .iter()
            .map(|rule| rule_from_wire(*rule).ok_or_else(|| unknown("node_missing_rules", *rule)))
            .collect::<Result<_, _>>()?;
        let left_categories = spread(&kinds, &message.left_category_sets)?;
        let nodes = Nodes {
            tree_sizes: snug(message.tree_node_counts),
            kinds,
            columns: snug(message.node_columns),
            values: snug(message.node_values),
            left_children: snug(message.node_left_children),
            missing_rules,
            covers: snug(message.node_covers),
            left_categories,
        };
        Ok(Self {
            comparison,
            aggregation,
            unlisted_code,
            base_margin: message.base_margin,
            nodes,
        })
    }
}

/// A list that has grown by doubling while it was read, and stays as long as the model.
fn snug<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}

/// One set a node, from one a categorical split.
fn spread(kinds: &[NodeKind], sets: &[u64]) -> Result<Vec<u64>, InvalidPart> {
    let splits = kinds.iter().filter(|kind| **kind == NodeKind::Categorical).count();
    if splits != sets.len() {
        let problem = format!("there are {} sets, and {splits} categorical splits", sets.len());
        return Err(InvalidPart::new("trees.left_category_sets", problem));
    }
    let mut sets = sets.iter().copied();
    let of = |kind: &NodeKind| {
        if *kind == NodeKind::Categorical {
            sets.next().unwrap_or(0)
        } else {
            0
        }
    };
    Ok(kinds.iter().map(of).collect())
}

fn kind_to_wire(kind: NodeKind) -> wire::NodeKind {
    match kind {
        NodeKind::Leaf => wire::NodeKind::Leaf,
        NodeKind::Numeric => wire::NodeKind::Numeric,
        NodeKind::Categorical => wire::NodeKind::Categorical,
    }
}

fn kind_from_wire(kind: i32) -> Option<NodeKind> {
    match wire::NodeKind::try_from(kind).ok()? {
        wire::NodeKind::Unspecified => None,
        wire::NodeKind::Leaf => Some(NodeKind::Leaf),
        wire::NodeKind::Numeric => Some(NodeKind::Numeric),
        wire::NodeKind::Categorical => Some(NodeKind::Categorical),
    }
}

fn rule_to_wire(rule: Option<MissingRule>) -> wire::MissingRule {
    match rule {
        None => wire::MissingRule::Unspecified,
        Some(MissingRule::Left) => wire::MissingRule::Left,
        Some(MissingRule::Right) => wire::MissingRule::Right,
        Some(MissingRule::ZeroOrMissingLeft) => wire::MissingRule::ZeroLeft,
        Some(MissingRule::ZeroOrMissingRight) => wire::MissingRule::ZeroRight,
    }
}

/// `None` for a number that is no rule; `Some(None)` for a leaf's absent rule.
#[expect(
    clippy::option_option,
    reason = "two different absences, told apart at once by the one caller"
)]
fn rule_from_wire(rule: i32) -> Option<Option<MissingRule>> {
    Some(match wire::MissingRule::try_from(rule).ok()? {
        wire::MissingRule::Unspecified => None,
        wire::MissingRule::Left => Some(MissingRule::Left),
        wire::MissingRule::Right => Some(MissingRule::Right),
        wire::MissingRule::ZeroLeft => Some(MissingRule::ZeroOrMissingLeft),
        wire::MissingRule::ZeroRight => Some(MissingRule::ZeroOrMissingRight),
    })
}
