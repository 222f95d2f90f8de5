//! Picks by example and at random.

use super::*;
use proptest::prelude::*;

fn table(weights: &[u64]) -> Table<usize> {
    Table::serve(1, weights.iter().copied().enumerate().collect())
}

fn choose<E>(table: &Table<E>, turn: u64, exclude: Option<usize>) -> Pick {
    pick(table, turn, 0, None, exclude, |_| 0)
}

fn slot(pick: Pick) -> Option<usize> {
    match pick {
        Pick::Slot(index) => Some(index),
        Pick::Wait | Pick::Fail(_) | Pick::Excluded => None,
    }
}

fn counts(weights: &[u64], start: u64, picks: u64) -> Vec<u64> {
    let table = table(weights);
    let mut counts = vec![0; weights.len()];
    for at in 0..picks {
        let index = slot(choose(&table, start.wrapping_add(at), None)).unwrap();
        counts[index] += 1;
    }
    counts
}

#[test]
fn equal_weights_are_taken_in_turn() {
    let table = table(&[3, 3, 3]);
    let order: Vec<_> = (0..7)
        .filter_map(|at| slot(choose(&table, at, None)))
        .collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn weights_are_kept_without_bursts() {
    for start in [0, 77, u64::MAX - 500] {
        let counts = counts(&[1, 1, 8], start, 1000);
        for (count, want) in counts.iter().zip([100u64, 100, 800]) {
            assert!(count.abs_diff(want) <= 3, "{counts:?} from {start}");
        }
    }
    // No more than nine of a hundred picks in a row miss the small entry.
    let table = table(&[1, 8]);
    let mut since = 0;
    for at in 0..1000 {
        since = if slot(choose(&table, at, None)) == Some(0) {
            0
        } else {
            since + 1
        };
        assert!(since <= 14, "{since} picks past the light entry at {at}");
    }
}

#[test]
fn modes_without_entries() {
    let wait = Table::<usize>::empty(1, Mode::Wait);
    assert!(matches!(choose(&wait, 1, None), Pick::Wait));
    let failure = Arc::new(Failure::no_instances("shop/pay", None));
    let fail = Table::<usize>::empty(1, Mode::Fail(Arc::clone(&failure)));
    assert!(matches!(choose(&fail, 1, None), Pick::Fail(f) if Arc::ptr_eq(&f, &failure)));
}

#[test]
fn the_only_entry_excluded() {
    assert!(matches!(choose(&table(&[5]), 9, Some(0)), Pick::Excluded));
}

proptest! {
    #[test]
    fn picks_are_in_range_and_never_excluded(
        weights in proptest::collection::vec(1..u64::from(u32::MAX), 1..50),
        at in any::<u64>(),
        exclude in proptest::option::of(0..50usize),
    ) {
        match choose(&table(&weights), at, exclude) {
            Pick::Slot(index) => {
                prop_assert!(index < weights.len());
                prop_assert_ne!(Some(index), exclude);
            }
            Pick::Excluded => prop_assert!(weights.len() == 1 && exclude == Some(0)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn shares_follow_weights(
        weights in proptest::collection::vec(1..100u64, 1..8),
        start in any::<u64>(),
    ) {
        let picks = 2000;
        let total: u64 = weights.iter().sum();
        for (count, weight) in counts(&weights, start, picks).into_iter().zip(&weights) {
            let want = picks * weight / total;
            prop_assert!(count.abs_diff(want) <= 8, "{count} picks instead of {want} of {weights:?}");
        }
    }
}
