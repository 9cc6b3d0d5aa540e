//! Which points are tried next: a Gaussian process over what was seen, and the points of largest expected improvement for what they cost, a few
//! at once. Where it is known what trials cost, a second process says what others will. Points near the first one are believed in more than others.
//!
//! The next points are a function of the space, the seed and what was seen: nothing else is remembered, so that the same history always goes on in
//! the same way.

use holdfast_domain::Draws;

use super::gaussian_process::{GaussianProcess, Hyperparameters, Observations};
use super::normal;
use super::space::{Point, Space};

mod belief;
mod improvement;
mod prices;

use belief::Belief;
use improvement::log_expected_improvement;
use prices::Prices;

/// Points that are spread over the space before the model is asked, the given first one included.
pub const FIRST_POINTS: usize = 6;

/// Points drawn anywhere, and near each of the best, of which the likeliest are improved step by step.
const DRAWN_ANYWHERE: usize = 512;
const DRAWN_NEAR: usize = 48;
const BEST_POINTS: usize = 4;
const NEAR: [f64; 3] = [0.02, 0.08, 0.25];
const CLIMBED: usize = 5;
/// A climb begins with steps of this share of a range, and ends when they are smaller than the other.
const FIRST_STEP: f64 = 0.1;
const LAST_STEP: f64 = 0.005;

/// A point's gain is held against this power of what it costs: the gain for the time. With 0 a search takes the time of the most expensive.
const COST_WEIGHT: f64 = 1.0;

/// Values that lie so many spreads of the middle half below the median are taken as lying there: how bad a bad point is does not help to tell
/// good ones apart.
const FENCE: f64 = 2.0;

/// A point that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The point.
    pub point: Point,
    /// Its value; larger is better.
    pub value: f64,
    /// Variance of the error that the value is known to have.
    pub variance: f64,
    /// What a fold of it cost, in any unit, where that is known.
    pub work: Option<f64>,
}

/// How the next points are chosen.
#[derive(Clone, Copy, Debug)]
pub struct Sampler<'a> {
    /// Where.
    pub space: &'a Space,
    /// What is tried first.
    pub first: &'a Point,
    /// Seed of all draws.
    pub seed: u64,
}

impl Sampler<'_> {
    /// The next `count` points after `begun` trials, of which those with a value are `seen`.
    pub fn next_points(self, seen: &[Seen], begun: usize, count: usize) -> Vec<Point> {
        let Self { space, first, seed, .. } = self;
        let mut random = draws(begun, seed);
        let mut points: Vec<Point> = spread(space, first, seed).into_iter().skip(begun).take(count).collect();
        if points.len() < count {
            let wanted = count - points.len();
            let more = self.improving(seen, &points, wanted, &mut random);
            points.extend(more);
        }
        while points.len() < count {
            points.push(space.at(&anywhere(space, &mut random)));
        }
        points
    }

    /// The points of largest expected improvement for their cost and as far as they are believed in, each chosen as if the ones before it had been seen.
    fn improving(self, seen: &[Seen], pending: &[Point], count: usize, random: &mut Draws) -> Vec<Point> {
        let space = self.space;
        let mut chosen: Vec<Point> = Vec::with_capacity(count);
        let observations = observations(space, seen);
        let dimensions = space.dimensions();
        let starts = [
            Hyperparameters::of_priors(dimensions),
            Hyperparameters::wiggly(dimensions),
        ];
        let Some(mut process) = GaussianProcess::fit(observations, &starts) else {
            return chosen;
        };
        for point in pending {
            match process.believing(space.coordinates(point)) {
                Some(next) => process = next,
                None => return chosen,
            }
        }
        let mut known: Vec<Point> = seen
            .iter()
            .map(|seen| space.unpassed(&seen.point))
            .chain(pending.iter().cloned())
            .collect();
        let mut ranked: Vec<&Seen> = seen.iter().collect();
        ranked.sort_by(|a, b| b.value.total_cmp(&a.value));
        let best: Vec<Vec<f64>> = ranked
            .iter()
            .take(BEST_POINTS)
            .map(|seen| space.places(&seen.point))
            .collect();
        let prices = Prices::of(space, seen);
        let belief = Belief::around(space.coordinates(self.first), seen.len());
        while chosen.len() < count {
            // What is to be improved on is the process' own idea of the best point, those chosen so far among them: a lucky value is no mark to beat,
            // and a point that promises no more than the one before would be chosen right beside it.
            let mark = process.largest_mean();
            let worth = |point: &Point| {
                if known.contains(point) {
                    return f64::NEG_INFINITY;
                }
                let at = space.coordinates(point);
                let (mean, deviation) = process.predict(&at);
                log_expected_improvement(mean, deviation, mark) + belief.log_weight(&at)
                    - COST_WEIGHT * prices.log_work(&at)
            };
            let Some(point) = best_found(space, &worth, &best, random) else {
                return chosen;
            };
            known.push(point.clone());
            match process.believing(space.coordinates(&point)) {
                Some(next) => process = next,
                None => return chosen,
            }
            chosen.push(point);
        }
        chosen
    }
}

/// Mean and standard deviation, 1 where all values are the same.
struct Standard {
    mean: f64,
    deviation: f64,
}

impl Standard {
    #[expect(clippy::cast_precision_loss, reason = "a thousand observations at most")]
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        Self {
            mean,
            deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 },
        }
    }

    fn apply(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

/// Other draws for each beginning.
fn draws(begun: usize, seed: u64) -> Draws {
    let mut seeds = Draws::of(seed);
    for _ in 0..begun {
        seeds.seed();
    }
    Draws::of(seeds.seed())
}

/// A Latin hypercube: each parameter's range is cut into as many parts as there are points, and each part has one (McKay, Beckman & Conover, 1979).
#[expect(clippy::cast_precision_loss, reason = "a handful of points")]
fn spread(space: &Space, first: &Point, seed: u64) -> Vec<Point> {
    let mut random = Draws::of(seed);
    let count = FIRST_POINTS - 1;
    let columns: Vec<Vec<f64>> = space
        .parameters()
        .iter()
        .map(|_| {
            let mut parts: Vec<usize> = (0..count).collect();
            random.shuffle(&mut parts);
            parts
                .into_iter()
                .map(|part| (part as f64 + random.unit()) / count as f64)
                .collect()
        })
        .collect();
    let others = (0..count).map(|row| {
        let places: Vec<f64> = columns.iter().map(|column| column[row]).collect();
        space.at(&places)
    });
    std::iter::once(first.clone()).chain(others).collect()
}

/// The trial that the process expects most of, among those that are `candidates`; by its place.
pub fn most_promising(space: &Space, seen: &[Seen], candidates: &[usize]) -> Option<usize> {
    let dimensions = space.dimensions();
    let starts = [
        Hyperparameters::of_priors(dimensions),
        Hyperparameters::wiggly(dimensions),
    ];
    let process = GaussianProcess::fit(observations(space, seen), &starts)?;
    let expected = |place: usize| process.predict(&space.coordinates(&seen[place].point)).0;
    let pairs = candidates.iter().map(|place| (*place, expected(*place)));
    let best = pairs.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map(|(place, _)| place)
}

/// Standard units, with what lies far below cut off.
fn observations(space: &Space, seen: &[Seen]) -> Observations {
    let mut sorted: Vec<f64> = seen.iter().map(|seen| seen.value).collect();
    sorted.sort_by(f64::total_cmp);
    let quartile = |quarter: usize| sorted.get(sorted.len() * quarter / 4).copied().unwrap_or(0.0);
    let floor = quartile(2) - FENCE * (quartile(3) - quartile(1)).max(0.0);
    let values: Vec<f64> = seen.iter().map(|seen| seen.value.max(floor)).collect();
    let standard = Standard::of(&values);
    Observations {
        at: seen.iter().map(|seen| space.coordinates(&seen.point)).collect(),
        values: values.iter().map(|value| standard.apply(*value)).collect(),
        noise: seen
            .iter()
            .map(|seen| seen.variance / (standard.deviation * standard.deviation))
            .collect(),
    }
}

/// The point that is worth most of those that a broad draw and a climb from its best find.
fn best_found(space: &Space, worth: &impl Fn(&Point) -> f64, best: &[Vec<f64>], random: &mut Draws) -> Option<Point> {
    let value = |places: &[f64]| worth(&space.at(places));
    let mut drawn: Vec<(f64, Vec<f64>)> = Vec::new();
    let mut draw = |places: Vec<f64>| drawn.push((value(&places), places));
    for _ in 0..DRAWN_ANYWHERE {
        draw(anywhere(space, random));
    }
    for places in best {
        for turn in 0..DRAWN_NEAR {
            draw(near(places, NEAR[turn % NEAR.len()], random));
        }
    }
    drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
    drawn.truncate(CLIMBED);
    let climbed = drawn.into_iter().map(|(worth, places)| climb(worth, places, &value));
    let (worth, places) = climbed.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (worth > f64::NEG_INFINITY).then(|| space.at(&places))
}

/// Steps along one parameter at a time, as long as they lead up; then smaller ones.
fn climb(mut worth: f64, mut places: Vec<f64>, value: &impl Fn(&[f64]) -> f64) -> (f64, Vec<f64>) {
    let mut step = FIRST_STEP;
    while step >= LAST_STEP {
        let mut moved = false;
        for parameter in 0..places.len() {
            for direction in [step, -step] {
                let before = places[parameter];
                places[parameter] = (before + direction).clamp(0.0, 1.0);
                let found = value(&places);
                if found > worth {
                    worth = found;
                    moved = true;
                    break;
                }
                places[parameter] = before;
            }
        }
        if !moved {
            step *= 0.5;
        }
    }
    (worth, places)
}

fn anywhere(space: &Space, random: &mut Draws) -> Vec<f64> {
    space.parameters().iter().map(|_| random.unit()).collect()
}

/// Some of the parameters moved by a normal step, at least one.
fn near(places: &[f64], deviation: f64, random: &mut Draws) -> Vec<f64> {
    let always = random.below(places.len());
    let moved = places.iter().enumerate().map(|(place, at)| {
        // The same number of draws whether or not a parameter is moved.
        let (chosen, step) = (random.unit() < 0.5, normal::draw(random));
        if chosen || place == always {
            (at + deviation * step).clamp(0.0, 1.0)
        } else {
            *at
        }
    });
    moved.collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::fixture;
    use super::*;

    fn middle(space: &Space) -> Point {
        space.at(&vec![0.5; space.parameters().len()])
    }

    fn sampler<'a>(space: &'a Space, first: &'a Point, seed: u64) -> Sampler<'a> {
        Sampler { space, first, seed }
    }

    /// Falls with the distance from a place in the space.
    fn seen_of(space: &Space, points: &[Point]) -> Vec<Seen> {
        let worth = |point: &Point| {
            let places = space.places(point);
            -places.iter().map(|place| (place - 0.3) * (place - 0.3)).sum::<f64>()
        };
        let seen = points.iter().map(|point| Seen {
            point: point.clone(),
            value: worth(point),
            variance: 0.0,
            work: None,
        });
        seen.collect()
    }

    #[test]
    fn the_first_points_begin_with_the_given_one_and_are_spread_over_every_range() {
        let space = fixture().space();
        let first = middle(&space);
        let points = sampler(&space, &first, 7).next_points(&[], 0, FIRST_POINTS);
        assert_eq!(points[0], first);
        let places: Vec<Vec<f64>> = points[1..].iter().map(|point| space.places(point)).collect();
        // `many` has 1,301 values: rounding moves no point into another part.
        let many = space
            .parameters()
            .iter()
            .position(|parameter| parameter.name == "many")
            .unwrap();
        let count = places.len();
        let mut parts: Vec<usize> = places
            .iter()
            .map(|places| (places[many] * count as f64) as usize)
            .collect();
        parts.sort_unstable();
        assert_eq!(parts, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn the_next_points_follow_from_history_and_seed_alone_and_are_new() {
        let space = fixture().space();
        let first = middle(&space);
        let begun = sampler(&space, &first, 7).next_points(&[], 0, FIRST_POINTS);
        let seen = seen_of(&space, &begun);
        let next = |seed| sampler(&space, &first, seed).next_points(&seen, begun.len(), 4);
        assert_eq!(next(7), next(7));
        assert_ne!(next(7), next(8));
        let points = next(7);
        for (place, point) in points.iter().enumerate() {
            assert!(!begun.contains(point) && !points[..place].contains(point), "{point:?}");
        }
    }

    #[test]
    fn the_points_of_a_round_are_not_next_to_each_other() {
        let space = fixture().space();
        let first = middle(&space);
        let tried = sampler(&space, &first, 3).next_points(&[], 0, 2 * FIRST_POINTS);
        let seen = seen_of(&space, &tried);
        let round = sampler(&space, &first, 3).next_points(&seen, tried.len(), 4);
        let distance = |one: &Point, other: &Point| {
            let pairs = space.coordinates(one).into_iter().zip(space.coordinates(other));
            pairs.map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
        };
        for (place, point) in round.iter().enumerate() {
            for other in &round[..place] {
                assert!(distance(point, other) > 0.1, "{point:?} and {other:?}");
            }
        }
    }

    #[test]
    fn what_is_tried_comes_nearer_to_the_best_place() {
        let space = fixture().space();
        let first = middle(&space);
        let mut tried: Vec<Point> = Vec::new();
        while tried.len() < 32 {
            let seen = seen_of(&space, &tried);
            tried.extend(sampler(&space, &first, 3).next_points(&seen, tried.len(), 4));
        }
        let values: Vec<f64> = seen_of(&space, &tried).into_iter().map(|seen| seen.value).collect();
        let best = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (at_first, at_last) = (best(&values[..FIRST_POINTS]), best(&values[24..]));
        // The middle of the place is 0, and the first points lie all around it.
        assert!(at_last > 0.5 * at_first, "{at_first} then {at_last}");
    }

    #[test]
    fn of_points_as_promising_those_are_tried_that_cost_less() {
        let space = fixture().space();
        let first = middle(&space);
        let mut tried: Vec<Point> = Vec::new();
        // After so many trials the belief in the first point weighs little.
        while tried.len() < 42 {
            let seen = seen_of(&space, &tried);
            tried.extend(sampler(&space, &first, 3).next_points(&seen, tried.len(), 4));
        }
        let rate = space
            .parameters()
            .iter()
            .position(|parameter| parameter.name == "rate")
            .unwrap();
        let place = |point: &Point| space.places(point)[rate];
        let mean_place = |seen: &[Seen]| {
            let next = sampler(&space, &first, 3).next_points(seen, tried.len(), 4);
            next.iter().map(place).sum::<f64>() / next.len() as f64
        };
        // A thousand times as much at the one end of a range as at the other, as with small steps.
        let mut seen = seen_of(&space, &tried);
        let free = mean_place(&seen);
        seen.iter_mut()
            .for_each(|seen| seen.work = Some((-7.0 * place(&seen.point)).exp()));
        let priced = mean_place(&seen);
        assert!(priced > free + 0.05, "{priced} and {free}");
        // Equal costs are none.
        seen.iter_mut().for_each(|seen| seen.work = Some(3.0));
        assert!((mean_place(&seen) - free).abs() < 1e-3);
    }

    #[test]
    fn the_trial_that_is_expected_most_of_is_not_the_luckiest() {
        let space = fixture().space();
        let first = middle(&space);
        let begun = sampler(&space, &first, 7).next_points(&[], 0, FIRST_POINTS);
        let mut seen = seen_of(&space, &begun);
        let all: Vec<usize> = (0..seen.len()).collect();
        let by_value = |seen: &[Seen]| {
            let ranked = all.iter().max_by(|a, b| seen[**a].value.total_cmp(&seen[**b].value));
            *ranked.unwrap()
        };
        let best = by_value(&seen);
        assert_eq!(most_promising(&space, &seen, &all), Some(best));
        // Next to the best, and by a hair luckier than it: but such values are known to be no more than luck.
        let mut places = space.places(&seen[best].point);
        places
            .iter_mut()
            .for_each(|place| *place += if *place < 0.3 { -0.05 } else { 0.05 });
        let spread = seen.iter().map(|seen| seen.value.abs()).fold(0.0, f64::max);
        seen.push(Seen {
            point: space.at(&places),
            value: seen[best].value + 1e-6,
            variance: spread * spread,
            work: None,
        });
        let all: Vec<usize> = (0..seen.len()).collect();
        assert_eq!(most_promising(&space, &seen, &all), Some(best));
    }

    #[test]
    fn values_that_are_all_the_same_still_lead_somewhere() {
        let space = fixture().space();
        let first = middle(&space);
        let begun = sampler(&space, &first, 1).next_points(&[], 0, FIRST_POINTS);
        let mut seen = seen_of(&space, &begun);
        seen.iter_mut().for_each(|seen| seen.value = 0.5);
        assert_eq!(sampler(&space, &first, 1).next_points(&seen, begun.len(), 4).len(), 4);
    }
}
