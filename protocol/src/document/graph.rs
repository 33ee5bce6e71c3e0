//! Who knew of what: ancestors in a document's change graph, as bit sets.

use std::collections::BTreeMap;

use crate::id::ChangeHash;

/// The causal order of one document's changes. Documents are small: 5 000 changes are 3 MB.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    index: BTreeMap<ChangeHash, usize>,
    /// Per change, a bit for every ancestor.
    ancestors: Vec<Vec<u64>>,
}

impl Graph {
    /// From each change and what it depends on, in any order. Dependencies that are not in the
    /// list are taken as having no ancestors; a change in a cycle (impossible with hashes) knows
    /// nothing.
    pub(crate) fn new(changes: &[(ChangeHash, Vec<ChangeHash>)]) -> Self {
        let index: BTreeMap<_, _> = changes.iter().enumerate().map(|(i, c)| (c.0, i)).collect();
        let words = changes.len().div_ceil(64);
        let mut ancestors = vec![vec![0_u64; words]; changes.len()];
        let deps: Vec<Vec<usize>> = changes
            .iter()
            .map(|c| c.1.iter().filter_map(|d| index.get(d).copied()).collect())
            .collect();
        let mut children = vec![Vec::new(); changes.len()];
        let mut open: Vec<usize> = deps.iter().map(Vec::len).collect();
        for (child, deps) in deps.iter().enumerate() {
            for dep in deps {
                children[*dep].push(child);
            }
        }
        let mut ready: Vec<usize> = (0..changes.len()).filter(|i| open[*i] == 0).collect();
        while let Some(done) = ready.pop() {
            let known = ancestors[done].clone();
            for &child in &children[done] {
                for (to, from) in ancestors[child].iter_mut().zip(&known) {
                    *to |= from;
                }
                ancestors[child][done / 64] |= 1 << (done % 64);
                open[child] -= 1;
                if open[child] == 0 {
                    ready.push(child);
                }
            }
        }
        Self { index, ancestors }
    }

    pub(crate) fn rank(&self, change: ChangeHash) -> Option<usize> {
        self.index.get(&change).copied()
    }

    /// Whether the writer of `later` had `earlier` when writing. A change does not know itself.
    pub(crate) fn knew(&self, later: ChangeHash, earlier: ChangeHash) -> bool {
        match (self.rank(later), self.rank(earlier)) {
            (Some(later), Some(earlier)) => self.knew_at(later, earlier),
            (None, _) | (_, None) => false,
        }
    }

    /// The same by rank.
    pub(crate) fn knew_at(&self, later: usize, earlier: usize) -> bool {
        let word = self.ancestors.get(later).and_then(|w| w.get(earlier / 64));
        word.is_some_and(|word| word >> (earlier % 64) & 1 == 1)
    }
}
