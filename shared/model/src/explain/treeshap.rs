//! Path-dependent TreeSHAP: the Shapley values of Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for Tree
//! Ensembles" (2018), in time linear in the size of the trees.
//!
//! The value of a set of known columns is the expected leaf when a split on an unknown column sends a row left or right with the shares of
//! training weight (cover) that went there. On the way to a leaf of value v, let each distinct column j have the share z_j of rows that
//! flow through its splits when it is unknown, and o_j = 1 or 0 for whether this row flows through. The Shapley weights are integrals of
//! powers, |S|! (k - |S| - 1)! / k! = ∫ t^|S| (1 - t)^(k - |S| - 1) dt over 0..1, and so the leaf's contribution to column i is
//!
//! ```text
//! v (o_i - z_i) ∫ Π_{j ≠ i} f_j(t) dt,   f_j(t) = t o_j + (1 - t) z_j
//! ```
//!
//! The product is a polynomial of degree k - 1: quadrature with k/2 points is exact. At each of the points the sum over all leaves needs one
//! way down the tree and one up. Going down, `through` is the product of the f_j of the way so far, times the quadrature's weight. Coming up,
//! `below` is the sum of the leaves below times what they add to that product. At a split of column i with shares s, whose way so far
//! holds i with z and o (both 1 where the column is new) and f = t o + (1 - t) z, the two sides have
//!
//! ```text
//! expected  = s_left below_left + s_right below_right
//! gain      = below_taken - expected                            taken: the side that this row goes
//! below     = expected + gain t / f                             where o = 1, else expected
//! contribution of i += Σ_points through z / f² gain             where o = 1, else nothing
//! ```
//!
//! Nothing is divided by a share and nothing subtracted but the expectation, so that chains of any depth lose no digits. Several rows are explained at
//! once, one a lane; each lane does what a single row does, in the same order, and gets the same bits.

use super::quadrature::Quadrature;
use crate::ensemble::TreeEnsemble;
use crate::preprocess::{MAX_COLUMNS, Row};
use crate::scoring::{Lanes, Predicates, Question};

/// Rows explained side by side.
const LANES: usize = 16;

/// From this many rows on, lanes that are left empty cost less than rows one by one.
const FEWEST_LANES: usize = 6;

/// A column's index is cut to this, so that the compiler sees it inside the row; validation has checked it already.
const COLUMN_MASK: usize = MAX_COLUMNS - 1;

/// The trees of one member, prepared for TreeSHAP.
#[derive(Debug)]
pub(crate) struct TreeExplainer {
    trees: Vec<Plan>,
    /// All splits, tree after tree, each tree depth first.
    splits: Vec<Split>,
    /// Per split whose column is on the way to it already, `t / f` and then `z / f²` of each point.
    repeated: Vec<f64>,
    /// Per number of points.
    quadratures: Vec<Option<Quadrature>>,
    /// Splits on the longest way, and points of the tree that needs most of them.
    depth: usize,
    points: usize,
    /// Expected margin of the member.
    base: f64,
    /// What a sum over the trees is divided by.
    divisor: f64,
}

/// A tree that splits at all.
#[derive(Clone, Copy, Debug)]
struct Plan {
    root: usize,
    points: usize,
}

#[derive(Clone, Copy, Debug)]
struct Split {
    predicate: u32,
    column: u32,
    /// Where the factors of [`TreeExplainer::repeated`] begin; `None` where the column is new.
    repeated: Option<u32>,
    left: Child,
    right: Child,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    /// The child's cover as a share of its parent's.
    share: f64,
    node: Below,
}

#[derive(Clone, Copy, Debug)]
enum Below {
    Leaf(f64),
    Split(u32),
}

impl TreeExplainer {
    /// Prepares validated trees.
    pub(crate) fn new(trees: &TreeEnsemble, predicates: &Predicates, divisor: f64) -> Self {
        let mut explainer = Self {
            trees: Vec::new(),
            splits: Vec::new(),
            repeated: Vec::new(),
            quadratures: Vec::new(),
            depth: 0,
            points: 0,
            base: trees.base_margin() + expected(trees) / divisor,
            divisor,
        };
        for range in trees.nodes.tree_ranges() {
            explainer.add(trees, predicates, range.start);
        }
        // They have grown by doubling, and stay as long as the model.
        explainer.splits.shrink_to_fit();
        explainer.repeated.shrink_to_fit();
        explainer
    }

    fn add(&mut self, trees: &TreeEnsemble, predicates: &Predicates, root: usize) {
        let mut way = Way {
            splits: 0,
            columns: [0; MAX_COLUMNS],
            depth: 0,
            distinct: 0,
        };
        way.measure(trees, root, root);
        if way.depth == 0 {
            return;
        }
        let points = way.distinct.div_ceil(2);
        if self.quadratures.len() <= points {
            self.quadratures.resize(points + 1, None);
        }
        let quadrature = self.quadratures[points].get_or_insert_with(|| Quadrature::new(points));
        let mut grower = Grower {
            trees,
            predicates,
            root,
            points: &quadrature.points,
            shares: [None; MAX_COLUMNS],
            splits: &mut self.splits,
            repeated: &mut self.repeated,
        };
        let first = grower.splits.len();
        grower.grow(root);
        self.trees.push(Plan { root: first, points });
        self.depth = self.depth.max(way.depth);
        self.points = self.points.max(points);
    }

    pub(crate) fn base(&self) -> f64 {
        self.base
    }

    /// Adds `weight` × this member's contributions of the columns, row by row. `right` are the answers to the predicates of these rows, which
    /// fit a word.
    pub(crate) fn contribute(&self, right: &[Lanes<1>], weight: f64, contributions: &mut [Row]) {
        let scale = weight / self.divisor;
        let mut first = 0;
        while first < contributions.len() {
            let rows = &mut contributions[first..];
            if rows.len() >= FEWEST_LANES {
                let count = rows.len().min(LANES);
                self.walk::<LANES>(right, first, scale, &mut rows[..count]);
                first += count;
            } else {
                self.walk::<1>(right, first, scale, &mut rows[..1]);
                first += 1;
            }
        }
    }

    /// Explains up to `L` rows, the first of which is bit `first` of the answers.
    fn walk<const L: usize>(&self, right: &[Lanes<1>], first: usize, scale: f64, contributions: &mut [Row]) {
        let mut levels = vec![[0.0; L]; 3 * self.points * self.depth];
        let mut below = vec![[0.0; L]; self.points];
        let mut walk = Walk {
            explainer: self,
            right,
            first,
            points: &[],
            taken: [[u64::MAX; L]; MAX_COLUMNS],
            contributions: [[0.0; L]; MAX_COLUMNS],
        };
        for tree in &self.trees {
            let Some(quadrature) = &self.quadratures[tree.points] else {
                continue;
            };
            walk.points = &quadrature.points;
            for (through, weight) in levels.iter_mut().zip(&quadrature.weights) {
                *through = [*weight; L];
            }
            walk.visit(tree.root, &mut levels, &mut below);
        }
        for (lane, row) in contributions.iter_mut().enumerate() {
            for (sum, own) in row.iter_mut().zip(&walk.contributions) {
                *sum += scale * own[lane];
            }
        }
    }
}

/// The expected sum of the leaves, by cover.
fn expected(trees: &TreeEnsemble) -> f64 {
    let nodes = &trees.nodes;
    let mut sum = 0.0;
    for range in nodes.tree_ranges() {
        let mut expected = nodes.values[range.clone()].to_vec();
        // Children stand after their parents, so going backwards meets them first.
        for index in (0..range.len()).rev() {
            let at = range.start + index;
            if nodes.missing_rules[at].is_some() {
                let left = nodes.left_children[at] as usize;
                let share = |child: usize| nodes.covers[range.start + child] / nodes.covers[at];
                expected[index] = share(left) * expected[left] + share(left + 1) * expected[left + 1];
            }
        }
        sum += expected[0];
    }
    sum
}

/// The longest way from a root, in splits and in distinct columns.
struct Way {
    splits: usize,
    columns: [u8; MAX_COLUMNS],
    depth: usize,
    distinct: usize,
}

impl Way {
    fn measure(&mut self, trees: &TreeEnsemble, root: usize, at: usize) {
        if trees.nodes.missing_rules[at].is_none() {
            self.depth = self.depth.max(self.splits);
            self.distinct = self
                .distinct
                .max(self.columns.iter().filter(|count| **count > 0).count());
            return;
        }
        let column = trees.nodes.columns[at] as usize & COLUMN_MASK;
        self.splits += 1;
        self.columns[column] += 1;
        let left = root + trees.nodes.left_children[at] as usize;
        self.measure(trees, root, left);
        self.measure(trees, root, left + 1);
        self.columns[column] -= 1;
        self.splits -= 1;
    }
}

/// Puts the splits of a tree into the order in which they are visited.
struct Grower<'a> {
    trees: &'a TreeEnsemble,
    predicates: &'a Predicates,
    root: usize,
    points: &'a [f64],
    /// The share of rows that flow through the splits of each column on the way, `None` where there is none.
    shares: [Option<f64>; MAX_COLUMNS],
    splits: &'a mut Vec<Split>,
    repeated: &'a mut Vec<f64>,
}

impl Grower<'_> {
    fn grow(&mut self, at: usize) -> Below {
        let nodes = &self.trees.nodes;
        let Some(question) = Question::of(self.trees, at) else {
            return Below::Leaf(nodes.values[at]);
        };
        let column = nodes.columns[at] as usize & COLUMN_MASK;
        let earlier = self.shares[column];
        let repeated = earlier.map(|share| self.repeat(share));
        let left = self.root + nodes.left_children[at] as usize;
        let own = self.splits.len();
        let mut split = Split {
            predicate: number(self.predicates.number(question)),
            column: nodes.columns[at],
            repeated,
            left: self.child(at, left),
            right: self.child(at, left + 1),
        };
        self.splits.push(split);
        for (child, at) in [(&mut split.left, left), (&mut split.right, left + 1)] {
            self.shares[column] = Some(earlier.unwrap_or(1.0) * child.share);
            child.node = self.grow(at);
        }
        self.shares[column] = earlier;
        self.splits[own] = split;
        Below::Split(number(own))
    }

    fn child(&self, parent: usize, at: usize) -> Child {
        let covers = &self.trees.nodes.covers;
        Child {
            share: covers[at] / covers[parent],
            node: Below::Leaf(0.0),
        }
    }

    fn repeat(&mut self, share: f64) -> u32 {
        let start = number(self.repeated.len());
        let factor = |point: &f64| point + (1.0 - point) * share;
        self.repeated
            .extend(self.points.iter().map(|point| point / factor(point)));
        self.repeated
            .extend(self.points.iter().map(|point| share / (factor(point) * factor(point))));
        start
    }
}

/// Validation has checked that all nodes fit 32 bits, and a node has fewer than 2^6 points.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// One way through all trees for `L` rows.
struct Walk<'a, const L: usize> {
    explainer: &'a TreeExplainer,
    right: &'a [Lanes<1>],
    first: usize,
    points: &'a [f64],
    /// All ones in the lanes of rows that flow through every split of the column on the way.
    taken: [[u64; L]; MAX_COLUMNS],
    contributions: [[f64; L]; MAX_COLUMNS],
}

impl<const L: usize> Walk<'_, L> {
    /// Visits a split. `levels` begins with what flows through it, a value a point; what lies behind is for the levels below. `below` becomes
    /// the sum of its leaves.
    fn visit(&mut self, index: usize, levels: &mut [[f64; L]], below: &mut [[f64; L]]) {
        let split = &self.explainer.splits[index];
        let points = self.points.len();
        let (own, deeper) = levels.split_at_mut(3 * points);
        let (through, sides) = own.split_at_mut(points);
        let (left, right) = sides.split_at_mut(points);
        let column = split.column as usize & COLUMN_MASK;
        let goes_right = self.lanes(split.predicate);
        let before = self.taken[column];
        if let (Below::Leaf(left), Below::Leaf(right)) = (split.left.node, split.right.node) {
            self.meet_leaves(split, [left, right], &goes_right, through, below);
            return;
        }
        for (child, turn, side) in [(&split.left, u64::MAX, &mut *left), (&split.right, 0, &mut *right)] {
            match child.node {
                Below::Leaf(value) => side.fill([value; L]),
                Below::Split(next) => {
                    let mut taken = goes_right;
                    taken.iter_mut().for_each(|lane| *lane ^= turn);
                    self.flow(split, child.share, &taken, through, deeper);
                    for (own, (before, taken)) in self.taken[column].iter_mut().zip(before.iter().zip(&taken)) {
                        *own = before & taken;
                    }
                    self.visit(next as usize, deeper, side);
                    self.taken[column] = before;
                }
            }
        }
        self.meet(split, &goes_right, through, [left, right], below);
    }

    /// The answers for these rows, all ones for right.
    #[inline]
    fn lanes(&self, predicate: u32) -> [u64; L] {
        let word = self.right[predicate as usize].0[0] >> self.first;
        std::array::from_fn(|lane| 0_u64.wrapping_sub(word >> lane & 1))
    }

    /// `t / f` and `z / f²` of a point.
    #[inline]
    fn factors(&self, split: &Split, point: usize) -> (f64, f64) {
        match split.repeated {
            None => (self.points[point], 1.0),
            Some(start) => {
                let start = start as usize + point;
                let repeated = &self.explainer.repeated;
                (repeated[start], repeated[start + self.points.len()])
            }
        }
    }

    /// What flows through to a child.
    #[inline]
    fn flow(&self, split: &Split, share: f64, taken: &[u64; L], through: &[[f64; L]], child: &mut [[f64; L]]) {
        let before = &self.taken[split.column as usize & COLUMN_MASK];
        for (point, (through, child)) in through.iter().zip(child).enumerate() {
            let (hot, _) = self.factors(split, point);
            let unknown = (1.0 - hot) * share;
            let known = (unknown + hot).to_bits() ^ unknown.to_bits();
            let cold = share.to_bits() ^ unknown.to_bits();
            for lane in 0..L {
                // The share where the column has been left already, else unknown, with hot added where this side is taken.
                let factor = share.to_bits() ^ (before[lane] & (cold ^ (taken[lane] & known)));
                child[lane] = through[lane] * f64::from_bits(factor);
            }
        }
    }

    /// Joins both sides of a split.
    #[inline]
    fn meet(
        &mut self,
        split: &Split,
        goes_right: &[u64; L],
        through: &[[f64; L]],
        [left, right]: [&[[f64; L]]; 2],
        below: &mut [[f64; L]],
    ) {
        let column = split.column as usize & COLUMN_MASK;
        let before = self.taken[column];
        let mut sums = self.contributions[column];
        for point in 0..self.points.len() {
            let (hot, scale) = self.factors(split, point);
            let (through, left, right, below) = (&through[point], &left[point], &right[point], &mut below[point]);
            for lane in 0..L {
                let expected = split.left.share * left[lane] + split.right.share * right[lane];
                let gain = select(goes_right[lane], left[lane], right[lane]) - expected;
                let gain = f64::from_bits(before[lane] & gain.to_bits());
                below[lane] = expected + hot * gain;
                sums[lane] += scale * through[lane] * gain;
            }
        }
        self.contributions[column] = sums;
    }

    /// Joins two leaves: the same at every point.
    #[inline]
    fn meet_leaves(
        &mut self,
        split: &Split,
        [left, right]: [f64; 2],
        goes_right: &[u64; L],
        through: &[[f64; L]],
        below: &mut [[f64; L]],
    ) {
        let column = split.column as usize & COLUMN_MASK;
        let before = &self.taken[column];
        let expected = split.left.share * left + split.right.share * right;
        let (left, right) = (left - expected, right - expected);
        let gains: [f64; L] =
            std::array::from_fn(|lane| f64::from_bits(before[lane] & select(goes_right[lane], left, right).to_bits()));
        let mut weights = [0.0; L];
        for point in 0..self.points.len() {
            let (hot, scale) = self.factors(split, point);
            for lane in 0..L {
                weights[lane] += scale * through[point][lane];
                below[point][lane] = expected + hot * gains[lane];
            }
        }
        for (sum, (weight, gain)) in self.contributions[column].iter_mut().zip(weights.iter().zip(&gains)) {
            *sum += weight * gain;
        }
    }
}

/// `right` where all bits are set, `left` where none is.
#[inline]
fn select(bits: u64, left: f64, right: f64) -> f64 {
    f64::from_bits(left.to_bits() ^ (bits & (left.to_bits() ^ right.to_bits())))
}
