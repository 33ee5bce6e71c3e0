//! The forms of the case page: which there are, and the [`Command`] each makes of what was typed.

use cuntong_protocol::{
    act::{
        Accept, ActBody, ActKind, Close, Correct, Decide, Deliver, DeliveryWay, Duplicate, Mandate,
        Missing, Reason, Receive, Refuse, Rule, Supplement, TakenEarlier,
    },
    command::Command,
    fields::{self, MaterialState},
    refusal::Refusal,
    text::Private,
};

use crate::{desk::CasePage, page::Problem, visit::Fields, words};

/// One form; its word is the last part of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Receive,
    Supplement,
    Accept,
    Correct,
    Refuse,
    Review,
    Decide,
    Close,
    Complete,
    Deliver,
    Withdraw,
    Terminate,
    Rule,
    Resolve,
    Duplicate,
    Amend,
}

impl Form {
    /// Every form.
    pub(crate) const ALL: [Self; 16] = [
        Self::Receive,
        Self::Supplement,
        Self::Accept,
        Self::Correct,
        Self::Refuse,
        Self::Review,
        Self::Decide,
        Self::Close,
        Self::Complete,
        Self::Deliver,
        Self::Withdraw,
        Self::Terminate,
        Self::Rule,
        Self::Resolve,
        Self::Duplicate,
        Self::Amend,
    ];

    /// The word in its address and in `?done=`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Supplement => "supplement",
            Self::Accept => "accept",
            Self::Correct => "correct",
            Self::Refuse => "refuse",
            Self::Review => "review",
            Self::Decide => "decide",
            Self::Close => "close",
            Self::Complete => "complete",
            Self::Deliver => "deliver",
            Self::Withdraw => "withdraw",
            Self::Terminate => "terminate",
            Self::Rule => "rule",
            Self::Resolve => "resolve",
            Self::Duplicate => "duplicate",
            Self::Amend => "amend",
        }
    }

    /// The kind of act it makes.
    pub(crate) const fn kind(self) -> ActKind {
        match self {
            Self::Receive => ActKind::Receive,
            Self::Supplement => ActKind::Supplement,
            Self::Accept => ActKind::Accept,
            Self::Correct => ActKind::Correct,
            Self::Refuse => ActKind::Refuse,
            Self::Review => ActKind::Review,
            Self::Decide => ActKind::Decide,
            Self::Close => ActKind::Close,
            Self::Complete => ActKind::Complete,
            Self::Deliver => ActKind::Deliver,
            Self::Withdraw => ActKind::Withdraw,
            Self::Terminate => ActKind::Terminate,
            Self::Rule => ActKind::Rule,
            Self::Resolve => ActKind::Resolve,
            Self::Duplicate => ActKind::Duplicate,
            Self::Amend => ActKind::Amend,
        }
    }

    /// The form of a kind of act, when it is done on the case page.
    pub(crate) fn of(kind: ActKind) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.kind() == kind)
    }

    /// Whether it stands among the actions; the others stand beside what they are about.
    pub(crate) const fn in_list(self) -> bool {
        !matches!(
            self,
            Self::Rule | Self::Resolve | Self::Duplicate | Self::Amend
        )
    }

    /// A refusal at the inputs of this form: their ids are the form's word and the rule's name.
    pub(crate) fn problems(self, refusal: &Refusal) -> Vec<Problem> {
        let mut problems = Problem::of(refusal);
        for problem in problems.iter_mut().filter(|p| !p.field.is_empty()) {
            problem.field = if self == Self::Amend {
                "amend-value".to_owned()
            } else if self == Self::Resolve {
                String::new()
            } else {
                format!("{}-{}", self.word(), problem.field)
            };
        }
        problems
    }

    /// The intent of what was typed, or what is missing.
    pub(crate) fn command(self, found: &CasePage, typed: &Fields) -> Result<Command, Vec<Problem>> {
        let case = found.row.id;
        let body = match self {
            Self::Receive => ActBody::Receive(receive(typed)?),
            Self::Supplement => ActBody::Supplement(Supplement {
                materials: indexes(typed, "material"),
                note: text(typed, "note"),
            }),
            Self::Accept => ActBody::Accept(accept(found, typed)?),
            Self::Correct => ActBody::Correct(correct(found, typed)?),
            Self::Refuse => ActBody::Refuse(Refuse {
                reason: need(typed, "refuse-reason", "reason", "不予受理的理由")?,
                basis: text(typed, "basis"),
                competent: text(typed, "competent"),
            }),
            Self::Review => ActBody::Review(reason(typed, "review-text", "审查意见")?),
            Self::Decide => ActBody::Decide(decide(typed)?),
            Self::Close => ActBody::Close(close(typed, "close-result")?),
            Self::Complete => ActBody::Complete(close(typed, "complete-result")?),
            Self::Deliver => ActBody::Deliver(deliver(typed)?),
            Self::Withdraw => ActBody::Withdraw(reason(typed, "withdraw-text", "撤回的理由")?),
            Self::Terminate => ActBody::Terminate(reason(typed, "terminate-text", "终止的理由")?),
            Self::Rule => ActBody::Rule(rule(typed)?),
            Self::Duplicate => ActBody::Duplicate(duplicate(typed)?),
            Self::Resolve => {
                let (field, value, reason) = chosen(typed)?;
                return Ok(Command::Resolve {
                    case,
                    field,
                    value,
                    reason,
                });
            }
            Self::Amend => {
                let field = need(typed, "amend-field", "field", "要更正的内容")?;
                let value = value_of(&field, typed.get("value"))
                    .ok_or_else(|| vec![Problem::new("amend-value", "请选择材料状态")])?;
                // Whether a reason is needed depends on the state: the rules say.
                let reason = text(typed, "reason");
                return Ok(Command::Amend {
                    case,
                    field,
                    value,
                    reason,
                });
            }
        };
        Ok(Command::Act { case, body })
    }
}

/// A form on the page: open with what was typed when it has just been refused.
pub(crate) struct FormView {
    pub(crate) word: &'static str,
    pub(crate) label: &'static str,
    pub(crate) open: bool,
    typed: Option<Fields>,
}

impl FormView {
    /// The form, when this person may use it now.
    pub(crate) fn offered(
        form: Form,
        found: &CasePage,
        tried: Option<(Form, &Fields)>,
    ) -> Option<Self> {
        let tried = tried.filter(|(which, _)| *which == form);
        if !found.offers.contains(&form.kind()) && tried.is_none() {
            return None;
        }
        Some(Self {
            word: form.word(),
            label: form.kind().zh(),
            open: tried.is_some(),
            typed: tried.map(|(_, fields)| fields.clone()),
        })
    }

    /// What was typed into an input.
    pub(crate) fn typed(&self, name: &str) -> &str {
        self.typed.as_ref().map_or("", |fields| fields.get(name))
    }

    /// What was typed, or the usual text of a fresh form.
    pub(crate) fn typed_or<'a>(&'a self, name: &str, usual: &'a str) -> &'a str {
        self.typed.as_ref().map_or(usual, |fields| fields.get(name))
    }

    /// What was typed beside a material.
    pub(crate) fn how(&self, index: &u32) -> &str {
        self.typed
            .as_ref()
            .map_or("", |fields| fields.get(&format!("how.{index}")))
    }

    /// Whether a box with that value was ticked.
    pub(crate) fn ticked(&self, name: &str, index: &u32) -> bool {
        let value = index.to_string();
        self.typed
            .as_ref()
            .is_some_and(|fields| fields.all(name).any(|v| v == value))
    }

    /// Whether this choice was made.
    pub(crate) fn chose(&self, name: &str, value: &str) -> bool {
        self.typed(name) == value
    }
}

fn text(typed: &Fields, name: &str) -> String {
    typed.get(name).to_owned()
}

fn need(typed: &Fields, id: &str, name: &str, what: &str) -> Result<String, Vec<Problem>> {
    typed
        .some(name)
        .ok_or_else(|| vec![Problem::new(id, format!("请写明{what}"))])
}

fn reason(typed: &Fields, id: &str, what: &str) -> Result<Reason, Vec<Problem>> {
    need(typed, id, "text", what).map(|text| Reason { text })
}

fn indexes(typed: &Fields, name: &str) -> Vec<u32> {
    typed.all(name).filter_map(|n| n.parse().ok()).collect()
}

fn days(typed: &Fields, id: &str, name: &str, max: u16) -> Result<u16, Vec<Problem>> {
    match typed.get(name).parse::<u16>() {
        Ok(days) if (1..=max).contains(&days) => Ok(days),
        Ok(_) | Err(_) => Err(vec![Problem::new(id, format!("天数请填 1 到 {max}"))]),
    }
}

/// The mandate a form describes; none unless the agent acts in the resident's place.
pub(crate) fn mandate(typed: &Fields) -> Option<Mandate> {
    (typed.get("proxy") == "yes").then(|| Mandate {
        may_withdraw: typed.ticked("may_withdraw"),
        may_collect: typed.ticked("may_collect"),
        until: typed.some("mandate_until"),
        witness: typed.some("witness"),
    })
}

/// 补录, when the form says that the papers were taken earlier.
pub(crate) fn taken(typed: &Fields) -> Result<Option<TakenEarlier>, Problem> {
    if !typed.ticked("late") {
        return Ok(None);
    }
    let at = words::typed_moment(typed.get("taken_date"), typed.get("taken_time"))
        .ok_or_else(|| Problem::new("taken_date", "请填实际收件的日期"))?;
    let reason = typed
        .some("taken_reason")
        .ok_or_else(|| Problem::new("taken_reason", "请写明补录的原因"))?;
    Ok(Some(TakenEarlier { at, reason }))
}

fn receive(typed: &Fields) -> Result<Receive, Vec<Problem>> {
    Ok(Receive {
        // Given by the desk when it commits.
        number: String::new(),
        mandate: mandate(typed),
        taken: taken(typed).map_err(|problem| vec![problem])?,
        duplicate_reason: typed.some("duplicate_reason"),
    })
}

fn accept(found: &CasePage, typed: &Fields) -> Result<Accept, Vec<Problem>> {
    let gaps = indexes(typed, "gap");
    let gap_days = if gaps.is_empty() {
        0
    } else {
        days(
            typed,
            "accept-gap_days",
            "gap_days",
            found.item.promised_days.max(1),
        )?
    };
    Ok(Accept {
        gaps,
        gap_days,
        note: text(typed, "note"),
    })
}

fn correct(found: &CasePage, typed: &Fields) -> Result<Correct, Vec<Problem>> {
    let mut missing = Vec::new();
    let mut problems = Vec::new();
    for index in indexes(typed, "missing") {
        match typed.some(&format!("how.{index}")) {
            Some(how) => missing.push(Missing {
                material: Some(index),
                how,
            }),
            None => {
                let name = found
                    .item
                    .materials
                    .get(usize::try_from(index).unwrap_or(usize::MAX))
                    .map_or("材料", |m| m.name.as_str());
                let words = format!("请写明“{name}”缺什么、怎样补");
                problems.push(Problem::new(format!("correct-how-{index}"), words));
            }
        }
    }
    for line in typed.get("other").lines().map(str::trim) {
        if !line.is_empty() {
            missing.push(Missing {
                material: None,
                how: line.to_owned(),
            });
        }
    }
    if missing.is_empty() && problems.is_empty() {
        problems.push(Problem::new("correct-other", "请至少列出一项要补正的内容"));
    }
    let days = match days(typed, "correct-days", "days", 180) {
        Ok(days) => days,
        Err(more) => {
            problems.extend(more);
            0
        }
    };
    if problems.is_empty() {
        Ok(Correct { missing, days })
    } else {
        Err(problems)
    }
}

fn decide(typed: &Fields) -> Result<Decide, Vec<Problem>> {
    let granted = match typed.get("granted") {
        "yes" => true,
        "no" => false,
        _ => return Err(vec![Problem::new("decide-yes", "请选择准予或不予")]),
    };
    let decide = Decide {
        granted,
        reason: text(typed, "reason"),
        remedies: if granted {
            String::new()
        } else {
            text(typed, "remedies")
        },
    };
    if !granted && decide.reason.is_empty() {
        return Err(vec![Problem::new(
            "decide-reason",
            "不予决定须写明事实和理由",
        )]);
    }
    if !granted && decide.remedies.is_empty() {
        return Err(vec![Problem::new(
            "decide-remedies",
            "不予决定须写明救济途径",
        )]);
    }
    Ok(decide)
}

fn close(typed: &Fields, id: &str) -> Result<Close, Vec<Problem>> {
    Ok(Close {
        result: need(typed, id, "result", "办理结果")?,
        result_number: text(typed, "result_number"),
    })
}

fn deliver(typed: &Fields) -> Result<Deliver, Vec<Problem>> {
    let way = match typed.get("way") {
        "collected" => DeliveryWay::Collected,
        "mailed" => DeliveryWay::Mailed,
        "brought" => DeliveryWay::Brought,
        "electronic" => DeliveryWay::Electronic,
        _ => return Err(vec![Problem::new("deliver-way", "请选择送达方式")]),
    };
    Ok(Deliver {
        way,
        receiver: typed.some("receiver"),
        note: text(typed, "note"),
    })
}

fn rule(typed: &Fields) -> Result<Rule, Vec<Problem>> {
    let withdrawn = match typed.get("stands") {
        "withdrawal" => true,
        "decision" => false,
        _ => return Err(vec![Problem::new("rule-decision", "请选择以哪一个为准")]),
    };
    Ok(Rule {
        withdrawn,
        reason: need(typed, "rule-reason", "reason", "裁定的理由")?,
    })
}

fn duplicate(typed: &Fields) -> Result<Duplicate, Vec<Problem>> {
    let of = typed
        .get("of")
        .parse()
        .map_err(|_not_an_id| vec![Problem::new("", "请从列出的办件中选择")])?;
    Ok(Duplicate {
        of,
        reason: need(typed, "duplicate-reason", "reason", "为什么是同一件")?,
    })
}

/// The field, the value chosen or typed, and why.
fn chosen(typed: &Fields) -> Result<(String, Private, String), Vec<Problem>> {
    let field = need(typed, "", "field", "是哪一项")?;
    let id = format!("choose-{field}");
    let value = match typed.some("choice") {
        Some(value) if value != OTHER => value,
        Some(_) | None => need(typed, &id, "other", "选定的值")?,
    };
    let value = value_of(&field, &value)
        .ok_or_else(|| vec![Problem::new(&id, "请写材料状态，如“已收原件”")])?;
    let reason = need(typed, &format!("{id}-reason"), "reason", "选定的理由")?;
    Ok((field, value, reason))
}

/// The radio value that means "neither: the typed one"; no field value looks like it.
pub(crate) const OTHER: &str = "\u{2014}other";

/// A value as the documents keep it: states of materials by their stored word.
fn value_of(field: &str, value: &str) -> Option<Private> {
    if !field.starts_with(fields::MATERIAL) {
        return Some(Private::new(value));
    }
    MaterialState::ALL
        .into_iter()
        .find(|state| state.word() == value || state.zh() == value)
        .map(|state| Private::new(state.word()))
}
