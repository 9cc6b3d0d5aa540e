//! A bank to practise on: seeded customers, drift scenarios, traffic and late outcomes.
//!
//! Everything here is pure: no I/O, no clock, no global state. The same arguments give the same bytes on any machine, because
//! randomness comes from ChaCha8 alone and the few transcendental functions from software (`libm`), not from the platform.
//! Every customer, row and outcome draws from a random stream of its own, so that a result does not depend on how many others
//! are made with it, or in which order.
//!
//! - [`customers`] and [`customers_between`] make labelled customers whose distributions, dependence and label are close to the
//!   public BankChurners file's; `README.md` beside this crate has the figures.
//! - [`Scenario`] changes customers of any origin, simulated or real, in a named way.
//! - [`traffic`] says who is asked about when, [`outcomes`] when it becomes known who left.

mod bank;
mod outcome;
mod population;
mod random;
mod scenario;
mod segment;
mod segments;
mod traffic;

pub use outcome::{Outcome, OutcomePlan, outcomes};
pub use population::{FIRST_KEY, customers, customers_between};
pub use scenario::{Scenario, UnknownScenario, apply};
pub use traffic::{Arrival, traffic};
