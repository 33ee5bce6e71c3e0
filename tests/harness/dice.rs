//! Chance that replays.

use cuntong_node::demo::chance::Chance;

/// A seeded source of choices: the same seed gives the same history on every machine and in every
/// release.
#[derive(Debug, Clone)]
pub struct Dice(Chance);

impl Dice {
    /// Dice that will fall as this seed says.
    pub const fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0.bits()
    }

    /// A number from 0 to `n - 1`; 0 when `n` is 0.
    pub const fn below(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    /// True `n` times out of `of`.
    pub const fn chance(&mut self, n: usize, of: usize) -> bool {
        self.below(of) < n
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Bytes of chance.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.any().to_be_bytes()[0])
    }
}
