//! When to try again: exponential with full jitter.

use std::time::Duration;

/// Doubles from the first wait to the longest; each wait is drawn evenly from nothing to that
/// bound, so that nodes which lost the same upstream together come back spread out.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub(super) const fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            failures: 0,
        }
    }

    /// One more failure: how long to wait, drawn by `draw` (bound → wait).
    pub(super) fn failed(&mut self, draw: impl FnOnce(Duration) -> Duration) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        draw(bound).min(bound)
    }

    /// The longest the next wait may be.
    pub(super) fn bound(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.max)
    }

    /// It worked: the next failure is the first again.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small seeded generator: SplitMix64.
    fn seeded(mut state: u64) -> impl FnMut(Duration) -> Duration {
        move |bound| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            bound.mul_f64((z ^ (z >> 31)) as f64 / u64::MAX as f64)
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_stay_within_their_bounds() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(300));
        for seed in 0..200 {
            let mut draw = seeded(seed);
            let mut backoff = Backoff::new(first, max);
            for failure in 0..40_u32 {
                let bound = first.saturating_mul(1 << failure.min(20)).min(max);
                assert_eq!(backoff.bound(), bound);
                assert!(
                    backoff.failed(&mut draw) <= bound,
                    "seed {seed}, failure {failure}"
                );
            }
            backoff.reset();
            assert_eq!(backoff.bound(), first);
        }
    }

    #[test]
    fn a_thousand_nodes_that_lost_the_hub_together_come_back_spread_out() {
        let mut tenths = [0_u32; 10];
        let mut draw = seeded(7);
        for _node in 0..1_000 {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
            let wait = backoff.failed(&mut draw);
            tenths[((wait.as_millis() / 100) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|n| (50..200).contains(n)), "{tenths:?}");
    }
}
