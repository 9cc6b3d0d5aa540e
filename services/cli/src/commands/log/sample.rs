//! Which records of a log are replayed when not all of them are: spread evenly over it, the same ones every time.

/// Of `count` things, `wanted` places spread evenly, in order; all of them when there are no more.
pub(super) fn spread(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|place| place * count / wanted).collect()
}

/// How many records each of `objects` objects gives for `wanted` in all: their sum is `wanted`, and no two differ by more than one.
pub(super) fn shares(objects: usize, wanted: usize) -> Vec<usize> {
    let mut before = 0;
    let upto = |object: usize| (object + 1) * wanted / objects;
    let share = |object: usize| {
        let share = upto(object) - before;
        before = upto(object);
        share
    };
    (0..objects).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_evenly() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert_eq!(spread(0, 5), [0; 0]);
    }

    #[test]
    fn every_object_gives_its_share() {
        assert_eq!(shares(3, 10), [3, 3, 4]);
        assert_eq!(shares(5, 2), [0, 0, 1, 0, 1]);
        assert_eq!(shares(0, 2), [0; 0]);
    }
}
