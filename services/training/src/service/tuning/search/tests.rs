use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fixtures::fixture;
use super::super::stages;
use super::*;

const FOLDS: usize = 5;

/// A hill, the same on every fold but for the fold's own height and a little noise; `count` of 3 cannot be fitted.
struct Hill<'a> {
    space: &'a Space,
    asked: AtomicUsize,
}

impl Hill<'_> {
    fn height(&self, point: &[Value]) -> f64 {
        let places = self.space.places(point);
        -places.iter().map(|place| (place - 0.6) * (place - 0.6)).sum::<f64>()
    }
}

impl Objective for Hill<'_> {
    fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
        let fold = asked.fold;
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.space.named(point)["count"] == 3 {
            return Err(NoValue::Unfit("3 is too few".to_owned()));
        }
        let height = self.height(point);
        // Far below the differences between points, and another on every fold.
        let noise = ((height * 1e6).abs() as usize * (fold + 3) % 17) as f64 * 1e-5;
        Ok(Measured {
            values: vec![height + fold as f64 + noise],
            work: 1.0,
        })
    }

    fn measure_again(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
        let asked = Asked {
            fold: FOLDS + fold,
            upto: None,
            floor: None,
            wanted,
        };
        Ok(self.measure(point, asked)?.values[0])
    }
}

/// The same hill, whose height a trial comes to on its way through `many`: it is highest at 400, but on the first fold at 500.
struct Path<'a>(Hill<'a>);

impl Path<'_> {
    const SPACE: fn() -> Space = || fixture().space().passing("many");

    fn loss(many: i64, fold: usize) -> f64 {
        let top = if fold == 0 { 500 } else { 400 };
        ((many - top) as f64 / 1e4).abs()
    }
}

impl Objective for Path<'_> {
    fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
        let (_, from, to) = self.0.space.passed().unwrap();
        let stages = stages::stages(from, to);
        let measured = self.0.measure(&self.0.space.unpassed(point), asked)?;
        let values = stages.iter().take(asked.upto.unwrap_or(stages.len()));
        let values: Vec<f64> = values
            .map(|many| measured.values[0] - Self::loss(*many, asked.fold))
            .collect();
        // With no hope in sight an objective may stop half-way.
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let seen = if asked.floor.is_some_and(|floor| best < floor) {
            values.len().div_ceil(2)
        } else {
            values.len()
        };
        Ok(Measured {
            work: seen as f64,
            values: values[..seen].to_vec(),
        })
    }

    fn measure_again(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
        let (many, ..) = self.0.space.passed().unwrap();
        let Value::Integer(trees) = point[many] else {
            panic!("`many` is a number");
        };
        let point = self.0.space.unpassed(point);
        Ok(self.0.measure_again(&point, fold, wanted)? - Self::loss(trees, FOLDS + fold))
    }
}

/// A plan of a search that uses up its trials.
fn plan(trials: usize, workers: usize, seed: u64) -> Plan {
    Plan {
        trials,
        folds: FOLDS,
        workers,
        early_stop: false,
        seed,
    }
}

/// Searches from the middle of the space.
fn run(space: &Space, objective: &dyn Objective, plan: Plan, go_on: &(dyn Fn() -> bool + Sync)) -> Found {
    let search = Search {
        space,
        first: &space.at(&vec![0.5; space.parameters().len()]),
        plan,
        objective,
        go_on,
    };
    untimed(search.run(&mut |_| {}))
}

/// How long a trial took is the one thing that may differ.
fn untimed(mut found: Found) -> Found {
    found.trials.iter_mut().for_each(|trial| trial.seconds = 0.0);
    found
}

fn searched(workers: usize, trials: usize, early_stop: bool, go_on: &(dyn Fn() -> bool + Sync)) -> (Found, usize) {
    let space = fixture().space();
    let hill = Hill {
        space: &space,
        asked: AtomicUsize::new(0),
    };
    let first = space.at(&vec![0.1; space.parameters().len()]);
    let search = Search {
        space: &space,
        first: &first,
        plan: Plan {
            early_stop,
            ..plan(trials, workers, 11)
        },
        objective: &hill,
        go_on,
    };
    let found = untimed(search.run(&mut |_| {}));
    (found, hill.asked.load(Ordering::Relaxed))
}

#[test]
fn one_worker_and_many_find_the_same_trials() {
    let (one, _) = searched(1, 40, true, &|| true);
    for workers in [2, 3, 8] {
        assert_eq!(searched(workers, 40, true, &|| true).0, one, "{workers} workers");
    }
}

#[test]
fn trials_pass_through_a_parameter_and_take_the_value_that_is_best_on_all_folds_together() {
    let space = Path::SPACE();
    let (many, from, to) = space.passed().unwrap();
    let best = stages::stages(from, to)
        .into_iter()
        .min_by_key(|count| (count - 400).abs())
        .unwrap();
    let searched = |workers| {
        let path = Path(Hill {
            space: &space,
            asked: AtomicUsize::new(0),
        });
        run(&space, &path, plan(16, workers, 11), &|| true)
    };
    let one = searched(1);
    for trial in one.trials.iter().filter(|trial| trial.state == TrialState::Complete) {
        assert_eq!(trial.point[many], Value::Integer(best), "trial {}", trial.number);
    }
    // What was stopped half-way had no hope, and does not say what all of it would have cost.
    let stages = stages::stages(from, to).len() as f64;
    for trial in &one.trials {
        match trial.state {
            TrialState::Complete => assert_eq!(trial.work, Some(stages), "trial {}", trial.number),
            TrialState::Pruned => assert!(trial.work.is_none_or(|work| work == stages), "trial {}", trial.number),
            _ => {}
        }
    }
    let stopped = one
        .trials
        .iter()
        .filter(|trial| trial.state == TrialState::Pruned && trial.work.is_none());
    assert!(stopped.count() > 0);
    for workers in [2, 8] {
        assert_eq!(searched(workers), one, "{workers} workers");
    }
}

#[test]
fn hopeless_trials_are_given_up_and_the_best_is_as_good_as_without() {
    let (found, asked) = searched(1, 40, false, &|| true);
    let pruned: Vec<&Trial> = found
        .trials
        .iter()
        .filter(|trial| trial.state == TrialState::Pruned)
        .collect();
    assert!(
        !pruned.is_empty() && asked < 40 * FOLDS,
        "{} of 40, {asked} fits",
        pruned.len()
    );
    let best = found.best().unwrap();
    let space = fixture().space();
    let hill = Hill {
        space: &space,
        asked: AtomicUsize::new(0),
    };
    for trial in pruned {
        assert!(trial.values.len() < FOLDS);
        assert!(hill.height(&trial.point) < hill.height(&best.point));
        assert!(trial.expected.0 < best.mean() && trial.expected.1 > 0.0);
    }
}

#[test]
fn a_search_that_gains_nothing_more_ends_early() {
    let (found, _) = searched(2, 200, true, &|| true);
    assert_eq!(found.stopped_by, StoppedBy::NoGain);
    assert!(
        (pruning::LEAST_SEARCH..200).contains(&found.trials.len()),
        "{}",
        found.trials.len()
    );
    assert_eq!(searched(2, 30, false, &|| true).0.stopped_by, StoppedBy::Trials);
}

#[test]
fn a_trial_that_cannot_be_fitted_fails_alone_and_its_neighbourhood_is_left() {
    let (found, _) = searched(1, 40, false, &|| true);
    let failed: Vec<&Trial> = found
        .trials
        .iter()
        .filter(|trial| trial.state == TrialState::Failed)
        .collect();
    // The first trial is the parameter set's own, which has 3.
    assert_eq!(failed[0].number, 1);
    assert_eq!(failed[0].error.as_deref(), Some("3 is too few"));
    assert!(failed.len() < 8, "{}", failed.len());
    assert_eq!(found.best().unwrap().state, TrialState::Complete);
}

#[test]
fn a_search_that_is_told_to_stop_stops() {
    let asked = AtomicUsize::new(0);
    let (found, fits) = searched(2, 40, false, &|| asked.fetch_add(1, Ordering::Relaxed) < 30);
    assert_eq!(found.stopped_by, StoppedBy::Cancelled);
    assert!(found.trials.len() < 40 && fits < 40 * FOLDS);
    let (none, fits) = searched(1, 40, false, &|| false);
    assert_eq!((none.trials.len(), none.best(), fits), (0, None, 0));
}

#[test]
fn every_change_of_a_trial_is_told_in_order() {
    let space = fixture().space();
    let hill = Hill {
        space: &space,
        asked: AtomicUsize::new(0),
    };
    let first = space.at(&vec![0.5; space.parameters().len()]);
    let search = Search {
        space: &space,
        first: &first,
        plan: plan(12, 3, 2),
        objective: &hill,
        go_on: &|| true,
    };
    let mut told: Vec<Trial> = Vec::new();
    let found = search.run(&mut |trial| told.push(trial.clone()));
    for trial in &found.trials {
        let of = told.iter().filter(|told| told.number == trial.number);
        let (again, of): (Vec<&Trial>, Vec<&Trial>) = of.partition(|told| !told.again.is_empty());
        assert_eq!(
            again.len(),
            usize::from(!trial.again.is_empty()),
            "trial {}",
            trial.number
        );
        let folds: Vec<usize> = of.iter().map(|told| told.values.len()).collect();
        let expected = if trial.state == TrialState::Failed {
            vec![0, 0]
        } else {
            (0..=trial.values.len()).collect()
        };
        assert_eq!(folds, expected, "trial {}", trial.number);
        assert_eq!(of.last().unwrap().state, trial.state);
    }
}

#[test]
#[should_panic(expected = "a scoped thread panicked")]
fn a_panic_of_one_worker_is_no_wait_without_end_for_the_others() {
    struct Panics;
    impl Objective for Panics {
        fn measure(&self, _: &[Value], _: Asked<'_>) -> Result<Measured, NoValue> {
            panic!("a fault of the engine")
        }

        fn measure_again(&self, _: &[Value], _: usize, _: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
            panic!("a fault of the engine")
        }
    }
    let space = fixture().space();
    run(&space, &Panics, plan(4, 3, 2), &|| true);
}

/// Trials that are equal but for luck: on the folds of the search the luckier ones are better, on others the one with the largest `worth` is.
struct Luck {
    worth: fn(f64) -> f64,
}

impl Objective for Luck {
    fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
        // More than the noise decides about the folds, but not about the trials.
        let scatter = ((place(point) * 1e3) as usize * 7 + asked.fold * 13) % 11;
        Ok(Measured {
            values: vec![0.9 + scatter as f64 * 1e-4],
            work: 0.0,
        })
    }

    fn measure_again(&self, point: &[Value], _: usize, _: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
        Ok((self.worth)(place(point)))
    }
}

fn place(point: &[Value]) -> f64 {
    let place = fixture().space().places(point);
    place.iter().sum::<f64>() / place.len() as f64
}

#[test]
fn what_the_folds_cannot_tell_apart_is_decided_by_folds_drawn_anew() {
    let space = fixture().space();
    let found = |worth, workers| run(&space, &Luck { worth }, plan(24, workers, 3), &|| true);
    // Much more than the luck: the choice follows it, whichever way it points.
    for worth in [|place| place, |place: f64| -place] {
        let one = found(worth, 1);
        let settled = one.trials.iter().filter(|trial| !trial.again.is_empty());
        let settled: Vec<&Trial> = settled.collect();
        assert!((2..=6).contains(&settled.len()), "{}", settled.len());
        let best = settled
            .iter()
            .map(|trial| worth(place(&trial.point)))
            .fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(worth(place(&one.best().unwrap().point)), best);
        assert_eq!(found(worth, 3), one);
    }
}

#[test]
fn a_search_that_is_stopped_while_it_settles_says_so_and_has_the_best_so_far() {
    let space = fixture().space();
    let settling = std::sync::atomic::AtomicBool::new(false);
    struct Stops<'a>(&'a std::sync::atomic::AtomicBool);
    impl Objective for Stops<'_> {
        fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
            Luck { worth: |place| place }.measure(point, asked)
        }

        fn measure_again(&self, _: &[Value], _: usize, _: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
            self.0.store(true, Ordering::Relaxed);
            Err(NoValue::NotWanted)
        }
    }
    let found = run(&space, &Stops(&settling), plan(24, 2, 3), &|| {
        !settling.load(Ordering::Relaxed)
    });
    assert_eq!((found.stopped_by, found.trials.len()), (StoppedBy::Cancelled, 24));
    assert!(found.best().is_some() && found.trials.iter().all(|trial| trial.again.is_empty()));
}

#[test]
fn where_no_candidate_can_be_fitted_on_other_folds_the_best_so_far_is_taken() {
    struct Unfit;
    impl Objective for Unfit {
        fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
            Luck { worth: |place| place }.measure(point, asked)
        }

        fn measure_again(&self, _: &[Value], _: usize, _: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
            Err(NoValue::Unfit("one class only".to_owned()))
        }
    }
    let space = fixture().space();
    let search = Search {
        space: &space,
        first: &space.at(&vec![0.5; space.parameters().len()]),
        plan: plan(24, 2, 3),
        objective: &Unfit,
        go_on: &|| true,
    };
    let mut ends = 0;
    let found = search.run(&mut |trial| ends += usize::from(trial.state != TrialState::Running));
    assert_eq!(ends, found.trials.len(), "each end is told once");
    assert_eq!(found.stopped_by, StoppedBy::Trials);
    assert!(found.best().is_some_and(|best| best.again.is_empty()));
}
