//! The generated messages of `holdfast.model.v1`. They stop here: everything outside works on checked types.

#![allow(unreachable_pub, clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/holdfast.model.v1.rs"));
