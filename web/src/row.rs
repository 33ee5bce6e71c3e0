//! A case in a list, ready to be shown.

use cuntong_protocol::{case::Light, time::Millis};

use crate::{
    desk::CaseRow,
    words::{self, Chip},
};

/// One line of a queue, a search or a warning.
pub(crate) struct RowView {
    pub(crate) href: String,
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) id_masked: String,
    pub(crate) item: String,
    pub(crate) site: String,
    pub(crate) state: Chip,
    /// Shape, word and colour class.
    pub(crate) light: Option<(&'static str, Chip)>,
    pub(crate) due: String,
    pub(crate) due_kind: &'static str,
    pub(crate) received: String,
    pub(crate) custody: Chip,
    pub(crate) flags: Vec<Chip>,
}

impl RowView {
    pub(crate) fn of(row: &CaseRow, now: Millis) -> Self {
        let mut flags = Vec::new();
        if row.needs_ruling {
            flags.push(Chip::new("bad", "须裁定"));
        }
        if row.conflict {
            flags.push(Chip::new("conflict", "冲突"));
        }
        if row.duplicate {
            flags.push(Chip::new("conflict", "疑似重复"));
        }
        if row.parallel {
            flags.push(Chip::new("info", "并行修改"));
        }
        Self {
            href: format!("/cases/{}", row.id),
            number: row.number.clone().unwrap_or_else(|| "未编号".to_owned()),
            name: row.name.reveal().to_owned(),
            id_masked: row.id_masked.clone(),
            item: row.item_name.clone(),
            site: row.site_name.clone(),
            state: Chip::new(words::state_tone(row.state), row.state.zh()),
            light: row
                .light
                .map(|l| (shape(l), Chip::new(words::light_tone(l), l.zh()))),
            due: row.due.as_ref().map(words::due).unwrap_or_default(),
            due_kind: row.due_kind,
            received: row
                .received_at
                .map(|at| words::moment(at, now))
                .unwrap_or_default(),
            custody: words::custody(row.custody, now),
            flags,
        }
    }

    pub(crate) fn all(rows: &[CaseRow], now: Millis) -> Vec<Self> {
        rows.iter().map(|row| Self::of(row, now)).collect()
    }
}

/// The light's shape; the pause sign of the rules is missing from older systems' fonts.
fn shape(light: Light) -> &'static str {
    match light {
        Light::Paused => "\u{2016}",
        Light::Green | Light::Yellow | Light::Red => light.shape(),
    }
}
