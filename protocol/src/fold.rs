//! What the acts of a case amount to. Deterministic and total: the same acts give the same case
//! on every node, in whatever order they came, and no set of acts is an error.

mod clocks;
pub(crate) mod order;
mod rivals;
mod values;
mod walk;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use crate::{
    calendar::Calendar,
    case::{Case, Flags, Moments},
    control::{Catalogue, Places},
    document::Reading,
    fields::MaterialState,
    id::DocId,
    state::State,
};

pub use clocks::{ACCEPTANCE_DAYS, DELIVERY_DAYS, HANDOVER_DAYS, light};

use order::Line;
use walk::Walk;

/// What acts are read by: the county's data as this node knows it.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    pub catalogue: &'a Catalogue,
    pub calendar: &'a Calendar,
    pub places: &'a Places,
}

/// Why two documents are no case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("{0} is not the application of a case")]
    NotACase(DocId),
    #[error("{0} is not the handling of the same case")]
    OtherCase(DocId),
}

/// The case of these documents. Without an opening act it is an empty draft.
///
/// # Errors
/// Documents of another kind, or of two cases.
pub fn fold(
    application: &Reading,
    handling: Option<&Reading>,
    ground: &Ground<'_>,
) -> Result<Case, FoldError> {
    let wrong = FoldError::NotACase(application.doc);
    let id = application.doc.case().ok_or(wrong)?;
    if id.doc(crate::id::Kind::Application) != application.doc {
        return Err(wrong);
    }
    if let Some(other) = handling.filter(|h| h.doc != id.doc(crate::id::Kind::Handling)) {
        return Err(FoldError::OtherCase(other.doc));
    }
    let line = Line::new(application, handling);
    let verdict = rivals::settle(&line, ground);
    let walk = Walk::along(&line, ground, &verdict.script);
    let materials = values::materials(application);
    let open = |i: &u32| !settled(materials.get(i).map(String::as_str));
    let with_gaps = walk.gaps.iter().any(open);
    let level = ground.places.site(id.site()).map(|p| p.level);
    let clocks = clocks::clocks(&walk, ground, with_gaps, clocks::hands_over(level));
    Ok(Case {
        id,
        site: id.site(),
        state: walk.state.unwrap_or(State::Draft),
        flags: Flags {
            with_gaps,
            proxy: walk.mandate.is_some(),
            late_entry: walk.late_entry,
            on_the_spot: walk.on_the_spot,
            needs_ruling: verdict.needs_ruling,
            double_correction: walk.double_correction,
            duplicate_of: walk.duplicate_of,
        },
        fields: values::fields(application),
        materials,
        moments: Moments {
            received: walk.times.received,
            accepted: walk.times.accepted,
            decided: walk.times.decided,
            closed: walk.times.closed,
            delivered: walk.times.delivered,
        },
        parallel: values::parallel(application),
        item: walk.item,
        item_version: walk.item_version,
        number: walk.number,
        mandate: walk.mandate,
        timeline: walk.events,
        clocks,
    })
}

/// Whether a material line with that state word asks for nothing more; a line never set does.
pub(crate) fn settled(word: Option<&str>) -> bool {
    word.and_then(MaterialState::from_word)
        .is_some_and(MaterialState::settled)
}
