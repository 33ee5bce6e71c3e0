//! `cuntong case …`

use std::collections::BTreeMap;

use clap::Subcommand;
use cuntong_protocol::{calendar::civil_day, fields, time::Millis};
use serde_json::Value;

use super::{
    Context,
    show::{list, table, text},
};
use crate::{
    exit::{Exit, Failure},
    request::{ActArgs, CaseLog, Request},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

/// Whose hand it is: the owner of the directory may act as any person of the site.
#[derive(Debug, clap::Args)]
struct As {
    /// Login of the person who acts
    #[arg(long = "as", value_name = "LOGIN")]
    login: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// 登记收件: log a case
    Log(Log),
    /// List cases, newest first
    List {
        /// received, accepted, decided_yes …
        #[arg(long)]
        state: Option<String>,
        /// Name, initials, tail of an ID, number
        #[arg(long)]
        query: Option<String>,
        /// At most 200
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=200))]
        limit: u64,
    },
    /// One case, whole
    Show { id: String },
    #[command(flatten)]
    Counter(Counter),
    #[command(flatten)]
    Authority(Authority),
}

/// The case, and whose hand it is.
#[derive(Debug, clap::Args)]
struct On {
    /// Id or printed number
    id: String,
    #[command(flatten)]
    who: As,
}

/// Acts of the desk that took the papers.
#[derive(Debug, Subcommand)]
enum Counter {
    /// 收件: take the papers of a draft
    Receive {
        #[command(flatten)]
        on: On,
    },
    /// 补正收件
    Supplement {
        #[command(flatten)]
        on: On,
        #[arg(long = "material")]
        materials: Vec<u32>,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// 送达
    Deliver {
        #[command(flatten)]
        on: On,
        /// collected, mailed, brought, electronic
        #[arg(long, default_value = "collected")]
        way: String,
        /// Who signed, when not the applicant
        #[arg(long)]
        receiver: Option<String>,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// 附件: attach a scan or photo (JPEG, PNG, PDF)
    Attach {
        #[command(flatten)]
        on: On,
        file: std::path::PathBuf,
        /// Index of the material it is
        #[arg(long)]
        material: Option<u32>,
    },
    /// 撤回
    Withdraw {
        #[command(flatten)]
        on: On,
        #[arg(long)]
        reason: String,
    },
}

/// Acts of the authority.
#[derive(Debug, Subcommand)]
enum Authority {
    /// 受理
    Accept {
        #[command(flatten)]
        on: On,
        #[arg(long, default_value = "")]
        note: String,
        /// 容缺: index of a material promised for later
        #[arg(long = "gap")]
        gaps: Vec<u32>,
        #[arg(long, default_value_t = 0)]
        gap_days: u16,
    },
    /// 一次性补正告知
    Correct {
        #[command(flatten)]
        on: On,
        /// What is missing and how to mend it: `TEXT`, or `INDEX:TEXT` for a listed material
        #[arg(long, required = true)]
        missing: Vec<String>,
        /// Calendar days the applicant has
        #[arg(long, default_value_t = 10)]
        days: u16,
    },
    /// 不予受理
    Refuse {
        #[command(flatten)]
        on: On,
        #[arg(long)]
        reason: String,
        #[arg(long, default_value = "")]
        basis: String,
        /// The body that is competent
        #[arg(long, default_value = "")]
        competent: String,
    },
    /// 审查
    Review {
        #[command(flatten)]
        on: On,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// 准予 or 不予
    Decide {
        #[command(flatten)]
        on: On,
        /// 不予
        #[arg(long)]
        deny: bool,
        #[arg(long, default_value = "")]
        reason: String,
        /// 救济途径, needed with --deny
        #[arg(long, default_value = "")]
        remedies: String,
    },
    /// 办结
    Close {
        #[command(flatten)]
        on: On,
        #[arg(long, default_value = "")]
        result: String,
        #[arg(long, default_value = "")]
        number: String,
    },
    /// 终止
    Terminate {
        #[command(flatten)]
        on: On,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Log {
    #[command(flatten)]
    who: As,
    /// Code of the item
    #[arg(long)]
    item: String,
    #[arg(long)]
    name: String,
    /// Citizen id
    #[arg(long)]
    id: String,
    #[arg(long)]
    phone: Option<String>,
    /// address=…, note=…, material.0=copy …
    #[arg(long = "field", value_name = "K=V")]
    fields: Vec<String>,
    /// The agent acts in the resident's place
    #[arg(long)]
    mandate: bool,
    /// Keep as a draft; print nothing
    #[arg(long)]
    draft: bool,
    /// Why to go on though an open case of the same person and item exists
    #[arg(long)]
    duplicate_reason: Option<String>,
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.what {
        What::Log(log) => context.tell(Request::CaseLog(log.args()?), done).await,
        What::List {
            state,
            query,
            limit,
        } => {
            context
                .tell(
                    Request::CaseList {
                        state,
                        query,
                        limit,
                    },
                    rows,
                )
                .await
        }
        What::Show { id } => context.tell(Request::CaseShow { case: id }, page).await,
        What::Counter(act) => context.tell(act.request()?, done).await,
        What::Authority(act) => {
            let (on, act) = act.args();
            context.tell(on.request(act), done).await
        }
    }
}

impl On {
    fn request(self, act: ActArgs) -> Request {
        Request::CaseAct {
            case: self.id,
            login: self.who.login,
            act,
        }
    }
}

impl Counter {
    fn request(self) -> Result<Request, Failure> {
        let (on, act) = match self {
            Self::Attach { on, file, material } => {
                // The node that answers may have another working directory.
                let file = std::path::absolute(file)?.display().to_string();
                return Ok(Request::CaseAttach {
                    case: on.id,
                    login: on.who.login,
                    file,
                    material,
                });
            }
            Self::Receive { on } => (on, ActArgs::Receive),
            Self::Supplement {
                on,
                materials,
                note,
            } => (on, ActArgs::Supplement { materials, note }),
            Self::Deliver {
                on,
                way,
                receiver,
                note,
            } => (
                on,
                ActArgs::Deliver {
                    way,
                    receiver,
                    note,
                },
            ),
            Self::Withdraw { on, reason } => (on, ActArgs::Withdraw { reason }),
        };
        Ok(on.request(act))
    }
}

impl Authority {
    fn args(self) -> (On, ActArgs) {
        match self {
            Self::Accept {
                on,
                note,
                gaps,
                gap_days,
            } => (
                on,
                ActArgs::Accept {
                    note,
                    gaps,
                    gap_days,
                },
            ),
            Self::Correct { on, missing, days } => {
                let missing = missing.iter().map(|line| missing_line(line)).collect();
                (on, ActArgs::Correct { missing, days })
            }
            Self::Refuse {
                on,
                reason,
                basis,
                competent,
            } => (
                on,
                ActArgs::Refuse {
                    reason,
                    basis,
                    competent,
                },
            ),
            Self::Review { on, note } => (on, ActArgs::Review { note }),
            Self::Decide {
                on,
                deny,
                reason,
                remedies,
            } => (
                on,
                ActArgs::Decide {
                    granted: !deny,
                    reason,
                    remedies,
                },
            ),
            Self::Close { on, result, number } => (
                on,
                ActArgs::Close {
                    result,
                    result_number: number,
                },
            ),
            Self::Terminate { on, reason } => (on, ActArgs::Terminate { reason }),
        }
    }
}

impl Log {
    fn args(self) -> Result<CaseLog, Failure> {
        let mut fields = BTreeMap::new();
        for field in self.fields {
            let Some((key, value)) = field.split_once('=') else {
                return Err(Failure::usage("--field 应写作 K=V"));
            };
            let _before = fields.insert(key.to_owned(), value.to_owned());
        }
        Ok(CaseLog {
            login: self.who.login,
            item: self.item,
            name: self.name,
            id: self.id,
            phone: self.phone,
            fields,
            mandate: self.mandate,
            draft: self.draft,
            duplicate_reason: self.duplicate_reason,
        })
    }
}

/// `2:缺盖章` is about material 2; anything else is about something not listed.
fn missing_line(line: &str) -> (Option<u32>, String) {
    match line.split_once(':') {
        Some((index, how)) if index.parse::<u32>().is_ok() => (index.parse().ok(), how.to_owned()),
        _ => (None, line.to_owned()),
    }
}

fn done(value: &Value) -> String {
    let number = text(value, "number");
    format!(
        "{} {} {} {}",
        text(value, "case"),
        if number.is_empty() {
            "(草稿)"
        } else {
            number
        },
        text(value, "state_zh"),
        text(value, "custody_zh"),
    )
}

fn rows(value: &Value) -> String {
    let rows: Vec<_> = list(value, "cases")
        .iter()
        .map(|row| {
            [
                "case",
                "number",
                "name",
                "item_name",
                "state_zh",
                "custody_zh",
            ]
            .iter()
            .map(|key| text(row, key).to_owned())
            .collect()
        })
        .collect();
    let table = table(&["办件", "编号", "申请人", "事项", "状态", "存证"], &rows);
    format!("{table}\n共 {} 件", value["total"])
}

fn page(value: &Value) -> String {
    let mut out = done(value);
    for (name, values) in value["fields"].as_object().into_iter().flatten() {
        let values: Vec<_> = values
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let conflict = if values.len() > 1 { "(待确认)" } else { "" };
        out.push_str(&format!(
            "\n  {}: {}{conflict}",
            fields::label(name),
            values.join(" / ")
        ));
    }
    for event in list(value, "timeline") {
        let at = Millis(event["at"].as_i64().unwrap_or(0));
        out.push_str(&format!(
            "\n  {} {} {} {}{}",
            civil_day(at),
            text(event, "name"),
            text(event, "act_zh"),
            text(event, "words"),
            if event["void"].is_null() {
                ""
            } else {
                "(无效)"
            },
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_material_is_named_by_its_index_and_other_things_by_words() {
        assert_eq!(missing_line("2:缺盖章"), (Some(2), "缺盖章".to_owned()));
        assert_eq!(missing_line("地址:不全"), (None, "地址:不全".to_owned()));
    }
}
