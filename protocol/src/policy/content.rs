//! What is wrong with an act by itself, whoever writes it and whatever the case: the same
//! question for a form and for a foreign change.

use jiff::civil::Date;

use crate::{
    act::{ActBody, Attach, Correct, Mandate, Publish, Receive},
    blob, limits,
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Something must be said; what, in words.
    Missing(&'static str),
    TooLong {
        field: &'static str,
        max: usize,
    },
    Field {
        field: &'static str,
        why: String,
    },
}

/// Bytes of a reason, an opinion, a note.
const TEXT_MAX: usize = 4 * 1024;
/// Bytes of a name, a number, a heading.
const LINE_MAX: usize = 240;
/// Things one correction notice may list, and the bytes to say how to mend one.
const MISSING_MAX: usize = 32;
const HOW_MAX: usize = 800;
/// Lines of an item's material list.
const MATERIALS_MAX: usize = 200;
/// Boards one notice may hang on.
const PLACES_MAX: usize = 2_000;
/// Longest time a correction may give, calendar days.
pub(super) const CORRECTION_DAYS_MAX: u16 = 365;

/// Everything that is wrong; empty when nothing is.
pub(super) fn flaws(body: &ActBody) -> Vec<Flaw> {
    let mut flaws = Flaws(Vec::new());
    let f = &mut flaws;
    match body {
        ActBody::Open(open) => f.line("item", &open.item),
        ActBody::Receive(receive) => received(f, receive),
        ActBody::Supplement(supplement) => {
            f.count("materials", supplement.materials.len(), MATERIALS_MAX);
            f.text("note", &supplement.note);
        }
        ActBody::Withdraw(reason) => f.said("reason", &reason.text, "撤回的理由"),
        ActBody::Deliver(deliver) => {
            f.line("receiver", deliver.receiver.as_deref().unwrap_or_default());
            f.text("note", &deliver.note);
        }
        ActBody::Correct(correct) => corrected(f, correct),
        ActBody::Accept(accept) => {
            f.count("gaps", accept.gaps.len(), MATERIALS_MAX);
            f.text("note", &accept.note);
            if !accept.gaps.is_empty() && accept.gap_days == 0 {
                f.field("gap_days", "容缺须给出补齐的期限");
            }
        }
        ActBody::Refuse(refuse) => {
            f.said("reason", &refuse.reason, "不予受理的理由");
            f.text("basis", &refuse.basis);
            f.line("competent", &refuse.competent);
            if blank(&refuse.basis) && blank(&refuse.competent) {
                f.0.push(Flaw::Missing("法律依据，或者有权受理的机关"));
            }
        }
        ActBody::Review(reason) => f.text("text", &reason.text),
        ActBody::Decide(decide) => {
            f.text("reason", &decide.reason);
            f.text("remedies", &decide.remedies);
            if !decide.granted {
                f.said("reason", &decide.reason, "不予的事实和理由");
                f.said("remedies", &decide.remedies, "救济途径");
            }
        }
        ActBody::Close(close) | ActBody::Complete(close) => {
            f.text("result", &close.result);
            f.line("result_number", &close.result_number);
        }
        ActBody::Terminate(reason) => f.said("reason", &reason.text, "终止的理由"),
        ActBody::Resolve(resolve) => {
            f.name(&resolve.field);
            f.said("reason", &resolve.reason, "选定的理由");
        }
        ActBody::Rule(rule) => f.said("reason", &rule.reason, "裁定的理由"),
        ActBody::Duplicate(duplicate) => f.said("reason", &duplicate.reason, "关联的理由"),
        ActBody::Amend(amend) => {
            f.name(&amend.field);
            f.text("reason", &amend.reason);
        }
        ActBody::Publish(publish) => published(f, publish),
        ActBody::Retract(reason) => f.said("reason", &reason.text, "撤回公示的理由"),
        ActBody::Attach(attach) => attached(f, attach),
        ActBody::Detach(detach) => f.said("reason", &detach.reason, "附件作废的理由"),
    }
    flaws.0
}

struct Flaws(Vec<Flaw>);

impl Flaws {
    fn field(&mut self, field: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.0.push(Flaw::Field { field, why });
    }

    fn long(&mut self, field: &'static str, text: &str, max: usize) {
        let flaw = Flaw::TooLong { field, max };
        if text.len() > max && !self.0.contains(&flaw) {
            self.0.push(flaw);
        }
    }

    fn text(&mut self, field: &'static str, text: &str) {
        self.long(field, text, TEXT_MAX);
    }

    fn line(&mut self, field: &'static str, text: &str) {
        self.long(field, text, LINE_MAX);
    }

    fn said(&mut self, field: &'static str, text: &str, what: &'static str) {
        self.text(field, text);
        if blank(text) {
            self.0.push(Flaw::Missing(what));
        }
    }

    fn count(&mut self, field: &'static str, count: usize, max: usize) {
        if count > max {
            self.field(field, format!("最多 {max} 项"));
        }
    }

    fn name(&mut self, name: &str) {
        if !super::parse::is_field_name(name) {
            self.field("field", "没有这个栏目");
        }
    }
}

pub(super) fn blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn received(f: &mut Flaws, receive: &Receive) {
    f.line("number", &receive.number);
    if let Some(mandate) = &receive.mandate {
        mandated(f, mandate);
    }
    if let Some(taken) = &receive.taken {
        f.said("taken_reason", &taken.reason, "补录的原因");
    }
    let reason = receive.duplicate_reason.as_deref().unwrap_or_default();
    f.text("duplicate_reason", reason);
}

fn mandated(f: &mut Flaws, mandate: &Mandate) {
    f.line("witness", mandate.witness.as_deref().unwrap_or_default());
    let until = mandate.until.as_deref();
    if until.is_some_and(|until| until.parse::<Date>().is_err()) {
        f.field("mandate_until", "日期应为 年-月-日");
    }
}

fn attached(f: &mut Flaws, attach: &Attach) {
    if !blob::is_file_name(&attach.name) {
        f.field("file", "文件名不合规定");
    }
    if attach.size == 0 || attach.size > limits::ATTACHMENT_BYTES_MAX {
        f.field("file", blob::TOO_LARGE);
    }
    let small = attach.thumbnail.as_ref();
    if small.is_some_and(|t| t.size == 0 || t.size > limits::THUMBNAIL_BYTES_MAX) {
        f.field("file", "缩略图超过限量");
    }
}

fn corrected(f: &mut Flaws, correct: &Correct) {
    if correct.missing.is_empty() {
        f.0.push(Flaw::Missing("需要补正的全部内容"));
    }
    f.count("missing", correct.missing.len(), MISSING_MAX);
    for missing in &correct.missing {
        f.long("missing", &missing.how, HOW_MAX);
        if blank(&missing.how) {
            f.field("missing", "每一项都要写明怎样补正");
        }
    }
    if !(1..=CORRECTION_DAYS_MAX).contains(&correct.days) {
        let why = format!("补正期限为 1 至 {CORRECTION_DAYS_MAX} 日");
        f.field("days", why);
    }
}

fn published(f: &mut Flaws, publish: &Publish) {
    f.line("title", &publish.title);
    f.line("category", &publish.category);
    f.text("correction", &publish.correction);
    f.long("body", &publish.body, limits::NOTICE_BYTES_MAX);
    if blank(&publish.title) {
        f.field("title", "请填写");
    }
    if blank(&publish.body) {
        f.field("body", "请填写");
    }
    if publish.places.is_empty() {
        f.field("places", "请至少选择一处公示地点");
    }
    f.count("places", publish.places.len(), PLACES_MAX);
    let from = publish.from.parse::<Date>();
    if from.is_err() {
        f.field("from", "日期应为 年-月-日");
    }
    let until = publish.until.as_deref().map(str::parse::<Date>);
    match (from, until) {
        (_, Some(Err(_not_a_date))) => f.field("until", "日期应为 年-月-日"),
        (Ok(from), Some(Ok(until))) if until < from => f.field("until", "早于开始日期"),
        (_, Some(Ok(_)) | None) => {}
    }
}
