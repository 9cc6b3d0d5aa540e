//! From the wire to JSON, what all modules need: times, absent parts, enums by name.

use holdfast_chassis::Fault;
use jiff::Timestamp;

/// A point in time; `None` when absent.
pub(crate) fn time(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    at.as_ref().and_then(holdfast_api::time::from_wire)
}

/// A part of a peer's answer that its contract promises.
pub(crate) fn promised<T>(part: Option<T>, name: &'static str) -> Result<T, Fault> {
    part.ok_or_else(|| Fault::internal("INCOMPLETE_ANSWER", format!("a service answered without {name}")))
}

/// Protobuf says "none" with an empty text, JSON with null.
pub(crate) fn text(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

/// JSON has no NaN and no infinity.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Protobuf says "none" with 0, JSON with null.
pub(crate) fn counted<T: PartialEq + Default>(value: T) -> Option<T> {
    Some(value).filter(|value| *value != T::default())
}

/// Defines an enum of REST, written in lower case, with the variants of a wire enum; a value that this gateway does not know is `unknown`.
macro_rules! names_of {
    ($(#[$about:meta])* $name:ident from $wire:ident { $($(#[$meaning:meta])* $variant:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            /// Not set, or newer than this gateway.
            Unknown,
            $($(#[$meaning])* $variant,)+
        }

        impl From<i32> for $name {
            fn from(number: i32) -> Self {
                match $wire::try_from(number) {
                    $(Ok($wire::$variant) => Self::$variant,)+
                    _ => Self::Unknown,
                }
            }
        }
    };
}
pub(crate) use names_of;
