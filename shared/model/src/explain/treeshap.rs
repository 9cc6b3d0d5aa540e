//! Path-dependent TreeSHAP: algorithm 2 of Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for Tree
//! Ensembles" (2018), on the packed trees that scoring walks, so that both take the same way at every split.
//!
//! The value of a set of known columns is the expected leaf when a split on an unknown column sends a row left or right with the shares of
//! training weight (cover) that went there. The names follow the paper: a path element's *zero fraction* is the share of rows that
//! flow through when its column is unknown, its *one fraction* whether this row flows through (0 or 1).

use crate::ensemble::{MAX_DEPTH, TreeEnsemble};
use crate::preprocess::Row;
use crate::scoring::FlatTrees;

/// No column: the element in front of every path.
const NO_COLUMN: usize = usize::MAX;

/// What TreeSHAP needs beside the packed trees of one member.
#[derive(Debug)]
pub(crate) struct TreeExplainer {
    /// Each node's cover as a share of its parent's; roots have 1.
    shares: Vec<f64>,
    /// Expected margin of the member.
    base: f64,
    depth: usize,
}

/// One distinct column on the path from the root.
#[derive(Clone, Copy, Debug)]
struct Element {
    column: usize,
    zero: f64,
    one: f64,
    /// Sum of the weights of all subsets of this size. `one` is 0 or 1 throughout, so nothing divides by it.
    weight: f64,
}

/// Paths of all depths one behind the other, reused from row to row.
#[derive(Debug)]
pub(crate) struct PathBuffer(Vec<Element>);

impl PathBuffer {
    pub(crate) fn for_depth(depth: usize) -> Self {
        // The path at depth d has at most d + 1 elements and starts behind its parent's; one element more of room each, for the copy.
        let length = (depth + 2) * (depth + 3) / 2;
        Self(vec![
            Element {
                column: NO_COLUMN,
                zero: 0.0,
                one: 0.0,
                weight: 0.0
            };
            length
        ])
    }
}

impl TreeExplainer {
    pub(crate) fn new(trees: &TreeEnsemble, flat: &FlatTrees) -> Self {
        let count = flat.nodes().len();
        let mut shares = vec![1.0; count];
        let mut depths = vec![0_usize; count];
        for (at, node) in flat.nodes().iter().enumerate() {
            if !node.is_leaf() {
                for child in [node.left(), node.left() + 1] {
                    shares[child] = trees.nodes.covers[child] / trees.nodes.covers[at];
                    depths[child] = depths[at] + 1;
                }
            }
        }
        // Children stand after their parents, so going backwards meets them first.
        let mut expected: Vec<f64> = vec![0.0; count];
        for (at, node) in flat.nodes().iter().enumerate().rev() {
            expected[at] = if node.is_leaf() {
                node.value()
            } else {
                shares[node.left()] * expected[node.left()] + shares[node.left() + 1] * expected[node.left() + 1]
            };
        }
        let sum: f64 = flat
            .roots()
            .iter()
            .fold(0.0, |sum, root| sum + expected[*root as usize]);
        let base = flat.base_margin() + sum / flat.divisor();
        Self {
            shares,
            base,
            depth: depths.into_iter().max().unwrap_or(0),
        }
    }

    pub(crate) fn base(&self) -> f64 {
        self.base
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Adds `weight` × this member's contributions of the columns.
    pub(crate) fn contribute(
        &self,
        flat: &FlatTrees,
        row: &Row,
        weight: f64,
        contributions: &mut Row,
        buffer: &mut PathBuffer,
    ) {
        let row = flat.seen(row);
        let scale = weight / flat.divisor();
        let mut walk = Walk {
            shares: &self.shares,
            flat,
            row: &row,
            scale,
            contributions,
            path: &mut buffer.0,
        };
        for root in flat.roots() {
            walk.visit(
                *root as usize,
                0,
                0,
                Element {
                    column: NO_COLUMN,
                    zero: 1.0,
                    one: 1.0,
                    weight: 0.0,
                },
            );
        }
    }
}

struct Walk<'a> {
    shares: &'a [f64],
    flat: &'a FlatTrees,
    row: &'a Row,
    scale: f64,
    contributions: &'a mut Row,
    path: &'a mut [Element],
}

impl Walk<'_> {
    /// Visits a node whose parent's path is the `length` elements from `start`; `step` is the way from the parent.
    fn visit(&mut self, at: usize, start: usize, length: usize, step: Element) {
        // A child works on a copy of its parent's path, behind it.
        let own = start + length;
        self.path.copy_within(start..own, own);
        extend(&mut self.path[own..=own + length], step);
        let mut length = length + 1;
        let flat = self.flat;
        let node = &flat.nodes()[at];
        if node.is_leaf() {
            self.credit_leaf(own, length, node.value());
            return;
        }
        let column = node.column();
        let left = node.left();
        let (hot, cold) = if node.goes_left(self.row) {
            (left, left + 1)
        } else {
            (left + 1, left)
        };
        // A column that is on the path already is taken out, and its fractions go on in the new element.
        let (mut zero, mut one) = (1.0, 1.0);
        let path = &mut self.path[own..own + length];
        if let Some(earlier) = path.iter().position(|element| element.column == column) {
            (zero, one) = (path[earlier].zero, path[earlier].one);
            unwind(path, earlier);
            length -= 1;
        }
        self.visit(
            hot,
            own,
            length,
            Element {
                column,
                zero: zero * self.shares[hot],
                one,
                weight: 0.0,
            },
        );
        self.visit(
            cold,
            own,
            length,
            Element {
                column,
                zero: zero * self.shares[cold],
                one: 0.0,
                weight: 0.0,
            },
        );
    }

    fn credit_leaf(&mut self, start: usize, length: usize, value: f64) {
        let path = &self.path[start..start + length];
        for (index, element) in path.iter().enumerate().skip(1) {
            let weight = unwound_sum(path, index);
            self.contributions[element.column] += self.scale * (weight * (element.one - element.zero) * value);
        }
    }
}

/// Elements of the longest path: one a level of the deepest tree, the one in front, and room for the one that is added.
const LONGEST_PATH: usize = MAX_DEPTH + 3;

/// k and 1/k for k up to the longest path: the inner loops multiply where the paper divides.
const NUMBERS: [f64; LONGEST_PATH] = counted(false);
const INVERSES: [f64; LONGEST_PATH] = counted(true);

const fn counted(inverse: bool) -> [f64; LONGEST_PATH] {
    let mut table = [0.0; LONGEST_PATH];
    let mut k = 1;
    let mut number = 1.0;
    while k < LONGEST_PATH {
        table[k] = if inverse { 1.0 / number } else { number };
        number += 1.0;
        k += 1;
    }
    table
}

/// EXTEND of the paper: grows the subsets by one column. The last element of `path` is the place for it.
fn extend(path: &mut [Element], step: Element) {
    let last = path.len() - 1;
    path[last] = Element {
        weight: if last == 0 { 1.0 } else { 0.0 },
        ..step
    };
    let per_size = INVERSES[last + 1];
    for i in (0..last).rev() {
        let weight = path[i].weight * per_size;
        path[i + 1].weight += step.one * weight * NUMBERS[i + 1];
        path[i].weight = step.zero * weight * NUMBERS[last - i];
    }
}

/// UNWIND of the paper: undoes the extension by element `index`. The last element is meaningless afterwards.
fn unwind(path: &mut [Element], index: usize) {
    let last = path.len() - 1;
    let Element { zero, one, .. } = path[index];
    let (size, per_size) = (NUMBERS[last + 1], INVERSES[last + 1]);
    if one != 0.0 {
        let mut next = path[last].weight;
        for i in (0..last).rev() {
            let weight = next * size * INVERSES[i + 1];
            next = path[i].weight - weight * zero * NUMBERS[last - i] * per_size;
            path[i].weight = weight;
        }
    } else {
        // Where nothing flows through at all, every subset weighs nothing.
        let scale = if zero == 0.0 { 0.0 } else { size / zero };
        for i in 0..last {
            path[i].weight *= scale * INVERSES[last - i];
        }
    }
    for i in index..last {
        let Element { column, zero, one, .. } = path[i + 1];
        path[i] = Element {
            column,
            zero,
            one,
            weight: path[i].weight,
        };
    }
}

/// The sum of the weights after unwinding element `index`, without doing so.
fn unwound_sum(path: &[Element], index: usize) -> f64 {
    let last = path.len() - 1;
    let Element { zero, one, .. } = path[index];
    let (size, per_size) = (NUMBERS[last + 1], INVERSES[last + 1]);
    let mut total = 0.0;
    if one != 0.0 {
        let mut next = path[last].weight;
        for i in (0..last).rev() {
            let weight = next * size * INVERSES[i + 1];
            total += weight;
            next = path[i].weight - weight * zero * NUMBERS[last - i] * per_size;
        }
        return total;
    }
    for (i, element) in path[..last].iter().enumerate() {
        total += element.weight * INVERSES[last - i];
    }
    if zero == 0.0 { 0.0 } else { total * size / zero }
}
