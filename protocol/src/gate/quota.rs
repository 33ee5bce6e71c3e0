//! What one machine may cost a node in a day.

use crate::{gate::Rule, limits};

/// What the entries of one machine, in whatever epochs and scopes, cost the node that keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Documents whose first entry here was one of them.
    pub documents: u64,
    pub entries: u64,
    /// Content that is kept.
    pub bytes: u64,
}

impl Cost {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents.saturating_add(other.documents),
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Whether a machine that has cost this much in the last day may bring another batch. It is
    /// asked of a batch that is good by itself, before anything is spent on its entries, and not
    /// of one from a node above, which took it in under its own quota.
    ///
    /// Too much of what is genuine is no offence, so it is put off and not refused: the log stays
    /// where it is, nothing goes to quarantine, the author keeps every entry and reads why, other
    /// logs go on, and the batch comes again until the day has made room. A month's backlog is far
    /// below: see [`limits::QUOTA_DOCUMENTS`]. The last batch may go over by what one batch holds.
    ///
    /// # Errors
    /// [`Rule::Quota`].
    pub const fn within_quota(self) -> Result<(), Rule> {
        let room = self.documents < limits::QUOTA_DOCUMENTS
            && self.entries < limits::QUOTA_ENTRIES
            && self.bytes < limits::QUOTA_BYTES;
        if room { Ok(()) } else { Err(Rule::Quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A month without a line: 2 000 cases, each with ten changes of 2 KiB.
    const MONTH: Cost = Cost {
        documents: 2_000,
        entries: 20_000,
        bytes: 20_000 * 2_048,
    };

    #[test]
    fn a_village_that_comes_back_after_a_month_is_far_from_its_quota() {
        let several = MONTH.plus(MONTH).plus(MONTH);
        assert_eq!(several.within_quota(), Ok(()));
    }

    #[test]
    fn each_kind_of_cost_has_its_own_end() {
        let over = [
            Cost {
                documents: limits::QUOTA_DOCUMENTS,
                ..Cost::default()
            },
            Cost {
                entries: limits::QUOTA_ENTRIES,
                ..Cost::default()
            },
            Cost {
                bytes: limits::QUOTA_BYTES,
                ..Cost::default()
            },
        ];
        for cost in over {
            assert_eq!(cost.within_quota(), Err(Rule::Quota), "{cost:?}");
        }
    }
}
