//! Chance as an argument: whoever calls decides where it comes from.

/// Unpredictable bytes. The executable gives [`System`]'s, the node its own; tests give [`Seeded`].
pub trait Entropy {
    /// Fills `out` wholly.
    fn fill(&mut self, out: &mut [u8]);

    /// That many bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// The operating system's chance, for the executables.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Entropy for System {
    fn fill(&mut self, out: &mut [u8]) {
        // Without it there are neither keys nor ids: nothing signed here could be trusted.
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}

/// The same bytes for the same seed, for tests and for sample data that must not differ from run
/// to run. Never for a real county.
pub struct Seeded(blake3::OutputReader);

impl Seeded {
    /// The stream of that seed.
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 seeded entropy");
        hasher.update(&seed.to_be_bytes());
        Self(hasher.finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}
