//! Holdfast e2e.
