//! Timestamps between the wire (`google.protobuf.Timestamp`) and [`jiff::Timestamp`].

use jiff::Timestamp;

/// The wire form of a point in time.
pub fn to_wire(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// The point in time a wire timestamp names; `None` when it is outside the years -9999 to 9999.
pub fn from_wire(at: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}
