//! What the benchmarks share: the bank's rows, matrices for Python, load on servers, and the worker that a benchmark's Python side asks for
//! figures.
//!
//! A benchmark is one Python program that measures Holdfast and its peers in turn, round after round, so that a slow moment of the
//! machine meets all of them. Holdfast's side is a binary of this crate that it starts and asks line by line ([`worker`]).

pub mod bank;
pub mod load;
pub mod noop;
pub mod npy;
pub mod recipes;
pub mod served;
pub mod worker;
