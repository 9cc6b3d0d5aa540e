//! Random trees: what is ruled out must lead to where walking leads.

use super::leaves::Leaves;
use super::{ExitTrees, MAX_WORDS};
use crate::ensemble::{Aggregation, Comparison, MissingRule, Node, SplitRule, Tree, TreeEnsemble, UnlistedCode};
use crate::preprocess::{MAX_COLUMNS, Row};
use crate::scoring::flat::FlatTrees;

/// Columns 0 to 4 hold numbers, 5 to 9 codes; a higher one of each kind has more different splits.
const COLUMNS: u64 = 10;

/// Numbers that look random enough (Steele et al. 2014, SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A value that is often a bound, and at times missing or as good as zero.
    fn number(&mut self, column: u64) -> f64 {
        match self.below(8) {
            0 => f64::NAN,
            1 => 1e-36,
            _ => self.below(4 << (2 * column)) as f64 / 4.0 - 1.0,
        }
    }

    /// A tree whose leaves are multiples of a part.
    fn tree(&mut self, leaves: u64, rules: &[MissingRule], part: f64) -> Tree {
        let leaf = |value: u64| Node::Leaf {
            value: value as f64 * part - 3.0,
            cover: 1.0,
        };
        let mut nodes = vec![leaf(self.below(100))];
        for _ in 1..leaves {
            // Some leaf is split; its children stand behind all others.
            let mut at = self.below(nodes.len() as u64) as usize;
            while let Node::Split { right, .. } = nodes[at] {
                at = right;
            }
            let column = self.below(COLUMNS);
            let rule = if column < 5 {
                // Never within what is as good as zero, so that every column can be looked up.
                SplitRule::Threshold(self.below(4 << (2 * column)) as f64 / 4.0 - 0.875)
            } else {
                SplitRule::Categories(self.below(1 << (column - 3)))
            };
            let missing = rules[self.below(rules.len() as u64) as usize];
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[at] = Node::Split {
                column: column as usize,
                rule,
                missing,
                left,
                right,
                cover: 1.0,
            };
            nodes.extend([leaf(self.below(100)), leaf(self.below(100))]);
        }
        Tree { nodes }
    }

    fn row(&mut self) -> Row {
        let mut row = [f64::NAN; MAX_COLUMNS];
        for column in 0..COLUMNS {
            row[column as usize] = match column {
                0..5 => self.number(column),
                _ => [f64::NAN, -1.0, self.below(64) as f64, self.below(8) as f64][self.below(4) as usize],
            };
        }
        row
    }
}

fn ensemble(comparison: Comparison, trees: &[Tree]) -> TreeEnsemble {
    TreeEnsemble::new(comparison, Aggregation::Sum, 0.0, trees).unwrap()
}

#[test]
fn ruling_out_leaves_reaches_what_walking_reaches() {
    let mut draws = Draws(7);
    let plain = [MissingRule::Left, MissingRule::Right];
    let zeros = [MissingRule::ZeroOrMissingLeft, MissingRule::ZeroOrMissingRight];
    for (comparison, rules) in [
        (Comparison::LessThanF32, plain.as_slice()),
        (Comparison::LessOrEqualF64, plain.as_slice()),
        (Comparison::LessOrEqualF64, zeros.as_slice()),
        (Comparison::LessOrEqualF64, [plain, zeros].as_flattened()),
    ] {
        for (count, leaves, part) in [
            (1, 1, 0.1),
            (3, 2, 0.1),
            (40, 17, 0.1),
            (300, 64, 0.1),
            (1, 1, 0.125),
            (3, 2, 0.125),
            (40, 17, 0.125),
            (300, 64, 0.125),
        ] {
            let trees: Vec<Tree> = (0..count)
                .map(|_| {
                    let leaves = 1 + draws.below(leaves);
                    draws.tree(leaves, rules, part)
                })
                .collect();
            let trees = ensemble(comparison, &trees);
            for unlisted in [UnlistedCode::Left, UnlistedCode::Right, UnlistedCode::AsMissing] {
                let trees = trees.clone().with_unlisted_code(unlisted);
                let (exits, flat) = (ExitTrees::new(&trees).unwrap(), FlatTrees::new(&trees));
                if count > 3 {
                    let in_any_order = matches!(exits.leaves, Leaves::InAnyOrder(_));
                    assert_eq!(
                        in_any_order,
                        part == 0.125,
                        "sums of tenths are rounded, sums of eighths are not"
                    );
                }
                for _ in 0..200 {
                    let row = draws.row();
                    assert_eq!(exits.sum(&row).to_bits(), flat.sum(&row).to_bits(), "{row:?}");
                }
            }
        }
    }
}

#[test]
fn trees_of_too_many_leaves_are_refused() {
    let mut draws = Draws(8);
    let mut build = |count: usize, leaves: u64| {
        let trees: Vec<Tree> = (0..count)
            .map(|_| draws.tree(leaves, &[MissingRule::Left], 0.5))
            .collect();
        ExitTrees::new(&ensemble(Comparison::LessThanF32, &trees))
    };
    assert!(build(1, 64).is_some());
    assert!(build(1, 65).is_none());
    assert!(build(MAX_WORDS, 1).is_some());
    assert!(build(MAX_WORDS + 1, 1).is_none());
}

#[test]
fn a_bound_that_is_as_good_as_zero_is_refused_where_zero_is_missing() {
    let split = |missing| Tree {
        nodes: vec![
            Node::Split {
                column: 0,
                rule: SplitRule::Threshold(1e-36),
                missing,
                left: 1,
                right: 2,
                cover: 2.0,
            },
            Node::Leaf { value: 1.0, cover: 1.0 },
            Node::Leaf { value: 2.0, cover: 1.0 },
        ],
    };
    let build = |trees: &[Tree]| ExitTrees::new(&ensemble(Comparison::LessOrEqualF64, trees));
    assert!(build(&[split(MissingRule::Left)]).is_some());
    assert!(build(&[split(MissingRule::ZeroOrMissingLeft)]).is_some());
    assert!(build(&[split(MissingRule::Left), split(MissingRule::ZeroOrMissingLeft)]).is_none());
}
