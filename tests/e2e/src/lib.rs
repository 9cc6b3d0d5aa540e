//! The whole of Holdfast, tested from outside: real processes, real ports, the command line. Everything is in `tests/it`.
