//! A member of trees, packed in the form that suits them.

use std::cell::RefCell;

use super::complete::{Answers, CompleteTrees};
use super::exits::ExitTrees;
use super::flat::FlatTrees;
use super::lanes::WORD_ROWS;
use super::predicates::Predicates;
use crate::ensemble::{Aggregation, TreeEnsemble};
use crate::preprocess::Row;

/// Words of a block of rows: what is asked of many rows at once pays for itself, until the answers leave the first-level cache.
const WORDS: usize = 4;

/// A block is run as one, with some of its rows missing, from this many rows on; below, words are run one by one.
const FEWEST_IN_BLOCK: usize = 200;

/// A word is run as one from this many rows on; below, rows are run one by one.
const FEWEST_IN_WORD: usize = 24;

/// The most rows that are run together.
pub(crate) const BLOCK_ROWS: usize = WORDS * WORD_ROWS;

thread_local! {
    /// Where the answers for one row are put: clearing so much for every row would take longer than walking the trees.
    static ANSWERS: RefCell<Answers> = const { RefCell::new([false; 1 << 16]) };
}

/// All trees of one member.
#[derive(Debug)]
pub(crate) struct PackedTrees {
    /// The instructions of this machine.
    arch: pulp::Arch,
    predicates: Predicates,
    /// For one row at a time, where the trees have few leaves.
    exits: Option<ExitTrees>,
    form: Form,
    base_margin: f64,
    /// 1 for a sum, the number of trees for a mean.
    divisor: f64,
}

#[derive(Debug)]
enum Form {
    Complete(CompleteTrees),
    Flat(FlatTrees),
}

/// Rows that are run together. It is compiled for each set of instructions, so everything that it calls is inlined.
struct Together<'a, const WORDS: usize> {
    predicates: &'a Predicates,
    trees: &'a CompleteTrees,
    rows: &'a [Row],
    sums: &'a mut [f64],
}

impl<const WORDS: usize> pulp::WithSimd for Together<'_, WORDS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.trees
            .sums(self.predicates.answer_rows::<WORDS>(self.rows), self.sums);
    }
}

impl PackedTrees {
    /// Packs validated trees.
    pub(super) fn new(trees: &TreeEnsemble) -> Self {
        let predicates = Predicates::new(trees);
        let form = match CompleteTrees::new(trees, &predicates) {
            Some(complete) => Form::Complete(complete),
            None => Form::Flat(FlatTrees::new(trees)),
        };
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 trees")]
        let divisor = match trees.aggregation() {
            Aggregation::Sum => 1.0,
            Aggregation::Mean => trees.tree_count() as f64,
        };
        Self {
            arch: pulp::Arch::new(),
            exits: ExitTrees::new(trees),
            predicates,
            form,
            base_margin: trees.base_margin(),
            divisor,
        }
    }

    /// The questions that the trees ask.
    pub(crate) fn predicates(&self) -> &Predicates {
        &self.predicates
    }

    /// What a sum over the trees is divided by.
    pub(crate) fn divisor(&self) -> f64 {
        self.divisor
    }

    /// The margin of one row.
    pub(super) fn margin(&self, row: &Row) -> f64 {
        self.margin_of(self.sum(row))
    }

    /// The margins of rows, the same bits as [`margin`](Self::margin) gives for each.
    pub(super) fn margins(&self, rows: &[Row], margins: &mut [f64]) {
        match &self.form {
            Form::Complete(trees) => {
                for (rows, sums) in rows.chunks(BLOCK_ROWS).zip(margins.chunks_mut(BLOCK_ROWS)) {
                    self.complete_sums(trees, rows, sums);
                }
            }
            Form::Flat(trees) => trees.sums(rows, margins),
        }
        for margin in margins {
            *margin = self.margin_of(*margin);
        }
    }

    /// The sums for at most a block of rows, in the largest pieces that pay.
    fn complete_sums(&self, trees: &CompleteTrees, rows: &[Row], sums: &mut [f64]) {
        if rows.len() >= FEWEST_IN_BLOCK {
            self.together::<WORDS>(trees, rows, sums);
            return;
        }
        for (rows, sums) in rows.chunks(WORD_ROWS).zip(sums.chunks_mut(WORD_ROWS)) {
            if rows.len() >= FEWEST_IN_WORD {
                self.together::<1>(trees, rows, sums);
            } else {
                for (row, sum) in rows.iter().zip(sums) {
                    *sum = self.sum(row);
                }
            }
        }
    }

    fn together<const WORDS: usize>(&self, trees: &CompleteTrees, rows: &[Row], sums: &mut [f64]) {
        let predicates = &self.predicates;
        self.arch.dispatch(Together::<WORDS> {
            predicates,
            trees,
            rows,
            sums,
        });
    }

    /// The sum of the leaves that a row reaches.
    fn sum(&self, row: &Row) -> f64 {
        if let Some(exits) = &self.exits {
            return exits.sum(row);
        }
        match &self.form {
            Form::Complete(trees) => ANSWERS.with_borrow_mut(|right| {
                self.predicates.answer_row(row, right);
                trees.sum(right)
            }),
            Form::Flat(trees) => trees.sum(row),
        }
    }

    fn margin_of(&self, sum: f64) -> f64 {
        self.base_margin + sum / self.divisor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{Comparison, MissingRule, Node, SplitRule, Tree, UnlistedCode};
    use crate::preprocess::MAX_COLUMNS;

    /// The forms in which the same trees can be packed.
    fn forms(trees: &TreeEnsemble) -> [PackedTrees; 4] {
        let build = |exits: bool, complete: bool| {
            let mut packed = PackedTrees::new(trees);
            assert!(packed.exits.is_some() && matches!(packed.form, Form::Complete(_)));
            packed.exits = packed.exits.filter(|_| exits);
            if !complete {
                packed.form = Form::Flat(FlatTrees::new(trees));
            }
            packed
        };
        [
            build(true, true),
            build(true, false),
            build(false, true),
            build(false, false),
        ]
    }

    /// The margin of a row, alone, in a word and in a block, in every form: the same bits.
    fn margin(forms: &[PackedTrees], row: Row) -> f64 {
        let margin = forms[0].margin(&row);
        for trees in forms {
            assert_eq!(trees.margin(&row).to_bits(), margin.to_bits());
            for count in [1, FEWEST_IN_WORD, FEWEST_IN_BLOCK, BLOCK_ROWS + 1] {
                let mut margins = vec![f64::NAN; count];
                trees.margins(&vec![row; count], &mut margins);
                assert!(
                    margins.iter().all(|own| own.to_bits() == margin.to_bits()),
                    "{count} rows"
                );
            }
        }
        margin
    }

    /// One split on column 0; left answers 1, right 2.
    fn stump(
        comparison: Comparison,
        rule: SplitRule,
        missing: MissingRule,
        unlisted: UnlistedCode,
    ) -> [PackedTrees; 4] {
        let leaf = |value| Node::Leaf { value, cover: 1.0 };
        let split = Node::Split {
            column: 0,
            rule,
            missing,
            left: 2,
            right: 1,
            cover: 2.0,
        };
        let tree = Tree {
            nodes: vec![split, leaf(2.0), leaf(1.0)],
        };
        let trees = TreeEnsemble::new(comparison, Aggregation::Sum, 0.0, &[tree]).unwrap();
        forms(&trees.with_unlisted_code(unlisted))
    }

    fn goes_left(forms: &[PackedTrees], x: f64) -> bool {
        let mut row = [f64::NAN; MAX_COLUMNS];
        row[0] = x;
        margin(forms, row) < 1.5
    }

    #[test]
    fn a_float32_split_rounds_before_it_compares() {
        let split = f64::from(0.1_f32);
        let trees = stump(
            Comparison::LessThanF32,
            SplitRule::Threshold(split),
            MissingRule::Right,
            UnlistedCode::AsMissing,
        );
        // 0.1 as a double is below 0.1 as a float, but rounds to it, and is then not less.
        assert!(0.1 < split);
        assert!(!goes_left(&trees, 0.1));
        assert!(goes_left(&trees, f64::from(0.1_f32.next_down())));
        assert!(!goes_left(&trees, f64::NAN));
    }

    #[test]
    fn a_double_split_takes_its_own_value_left() {
        for split in [0.1, 0.0, -0.0, -3.5, f64::MAX, f64::MIN] {
            let rule = SplitRule::Threshold(split);
            let trees = stump(
                Comparison::LessOrEqualF64,
                rule,
                MissingRule::Left,
                UnlistedCode::AsMissing,
            );
            assert!(goes_left(&trees, split), "{split}");
            assert!(!goes_left(&trees, split.next_up()), "{split}");
            assert!(goes_left(&trees, f64::NAN));
        }
        let rule = SplitRule::Threshold(-0.0);
        assert!(goes_left(
            &stump(
                Comparison::LessOrEqualF64,
                rule,
                MissingRule::Left,
                UnlistedCode::AsMissing
            ),
            0.0
        ));
    }

    #[test]
    fn zero_counts_as_missing_where_lightgbm_says_so() {
        let rule = SplitRule::Threshold(5.0);
        let trees = stump(
            Comparison::LessOrEqualF64,
            rule,
            MissingRule::ZeroOrMissingRight,
            UnlistedCode::AsMissing,
        );
        for x in [0.0, -0.0, 1e-36, -1e-36, f64::NAN] {
            assert!(!goes_left(&trees, x), "{x}");
        }
        assert!(goes_left(&trees, 1e-34));
    }

    #[test]
    fn a_categorical_split_is_a_set() {
        let rule = SplitRule::Categories(0b101);
        let build = |unlisted| stump(Comparison::LessThanF32, rule, MissingRule::Left, unlisted);
        let trees = build(UnlistedCode::Right);
        let ways: Vec<bool> = [0.0, 1.0, 2.0, 3.0, -1.0, 64.0, f64::NAN]
            .iter()
            .map(|x| goes_left(&trees, *x))
            .collect();
        assert_eq!(ways, [true, false, true, false, false, false, true]);
        assert!(goes_left(&build(UnlistedCode::Left), -1.0));
        assert!(goes_left(&build(UnlistedCode::AsMissing), -1.0));
    }

    #[test]
    fn a_mean_divides_by_the_number_of_trees() {
        let leaf = |value| Tree {
            nodes: vec![Node::Leaf { value, cover: 1.0 }],
        };
        let trees = [leaf(0.25), leaf(0.5), leaf(0.5)];
        let trees = TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Mean, 0.5, &trees).unwrap();
        let margin = margin(&forms(&trees), [f64::NAN; MAX_COLUMNS]);
        assert_eq!(margin.to_bits(), (0.5 + 1.25_f64 / 3.0).to_bits());
    }

    /// A chain that asks column 0 whether it is less than 1, 2, 3 and so on; the leaf's value is the depth at which it ends.
    fn chain(depth: usize) -> Tree {
        let mut nodes = Vec::new();
        for level in 0..depth {
            nodes.push(Node::Split {
                column: 0,
                rule: SplitRule::Threshold(level as f64 + 1.0),
                missing: MissingRule::Right,
                left: nodes.len() + 1,
                right: nodes.len() + 2,
                cover: 1.0,
            });
            nodes.push(Node::Leaf {
                value: level as f64,
                cover: 0.5,
            });
        }
        nodes.push(Node::Leaf {
            value: depth as f64,
            cover: 0.5,
        });
        Tree { nodes }
    }

    #[test]
    fn trees_that_cannot_be_padded_take_the_general_form() {
        let build = |trees: &[Tree]| {
            PackedTrees::new(&TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, trees).unwrap())
        };
        let deepest = build(&[chain(8)]);
        assert!(deepest.exits.is_some());
        assert!(matches!(deepest.form, Form::Complete(_)));
        let deeper = build(&[chain(9)]);
        assert!(deeper.exits.is_some());
        assert!(build(&[chain(64)]).exits.is_none());
        assert!(matches!(deeper.form, Form::Flat(_)));
        // One deep tree would make all of the small ones 256 leaves large.
        let unequal: Vec<Tree> = (0..5_000).map(|index| chain(if index == 0 { 8 } else { 0 })).collect();
        let unequal = build(&unequal);
        assert!(matches!(unequal.form, Form::Flat(_)));
        for depth in (0..=8).map(f64::from) {
            let mut row = [f64::NAN; MAX_COLUMNS];
            row[0] = depth + 0.5;
            assert_eq!(deepest.margin(&row), depth);
            assert_eq!(deeper.margin(&row), depth);
            assert_eq!(unequal.margin(&row), depth);
        }
    }
}
