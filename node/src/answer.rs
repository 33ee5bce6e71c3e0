//! Answers what the command line asks: the same whether the question came over the control
//! socket of a running node or from a command that opened the store itself.

use std::path::Path;

use cuntong_protocol::{
    act::{
        Accept, ActBody, Attach, Close, Correct, Decide, Deliver, DeliveryWay, Mandate, Missing,
        Publish, Reason, Receive, Refuse, Supplement,
    },
    calendar::civil_day,
    command::{Actor, Command, LogCase},
    fields::{self, MATERIAL},
    id::{DocId, SiteId},
    limits::ATTACHMENT_BYTES_MAX,
    refusal::Refusal,
    role::Role,
    state::State,
    text::Private,
};
use cuntong_provisioning::county::places::find_place;
use cuntong_web::desk::{CaseQuery, Who};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::json;

use crate::{
    against, bundle,
    exit::{Exit, Failure},
    intake::TakenIn,
    node::Node,
    request::{ActArgs, CaseLog, NoticePublish, Reply, Request},
};

/// Cases in one list at most.
const LIST_MAX: u64 = 200;
/// Category of a notice whose publisher names none.
const GENERAL: &str = "通知公告";

/// Answers one request.
///
/// # Errors
/// Why not, with the exit code.
pub async fn answer(node: &Node, request: Request) -> Reply {
    tracing::debug!(request = request.word(), "asked");
    if let Request::Enrol { content } = &request {
        return enrol(node, content).await;
    }
    if matches!(request, Request::SyncNow) {
        return sync_now(node).await;
    }
    if matches!(request, Request::VerifyAgainst) {
        return against::verify(node).await;
    }
    let node = node.clone();
    tokio::task::spawn_blocking(move || answer_blocking(&node, request))
        .await
        .map_err(Failure::fault)?
}

fn answer_blocking(node: &Node, request: Request) -> Reply {
    let desk = &node.desk;
    match request {
        Request::Status => value(desk.status()?),
        Request::Verify => verify(node),
        Request::Backup { file } => backup(node, file),
        Request::BundleExport { to, peer } => {
            value(bundle::export(&node.door, Path::new(&to), peer.as_deref())?)
        }
        Request::BundleImport { file } => value(bundle::import(&node.door, Path::new(&file))?),
        Request::CaseLog(log) => {
            let who = who(node, &log.login)?;
            value(desk.case_log(&who.actor, log_case(log)?)?)
        }
        Request::CaseList {
            state,
            query,
            limit,
        } => {
            let state = state.map(|word| state_of(&word)).transpose()?;
            let text = query.unwrap_or_default();
            let limit = limit.min(LIST_MAX);
            value(desk.case_list(CaseQuery {
                state,
                text,
                limit,
                ..CaseQuery::default()
            })?)
        }
        Request::CaseShow { case } => value(desk.case_show(None, desk.find_case(&case)?)?),
        Request::CaseAct { case, login, act } => {
            let who = who(node, &login)?;
            let case = desk.find_case(&case)?;
            value(desk.case_act(&who.actor, case, body(act)?)?)
        }
        Request::CaseAttach {
            case,
            login,
            file,
            material,
        } => attach(node, &case, &login, &file, material),
        Request::NoticePublish(notice) => publish(node, notice),
        Request::NoticeList => {
            let notices = desk.notice_list()?;
            Ok(json!({ "notices": notices }))
        }
        Request::NoticeWithdraw {
            notice,
            login,
            reason,
        } => {
            let notice = notice.parse().map_err(|_not_an_id| Refusal::NoSuchNotice)?;
            withdraw(node, notice, login.as_deref(), reason)
        }
        Request::RejectedList => Ok(json!({ "rejected": desk.rejected_list()? })),
        Request::RejectedRedo { id, login } => {
            let who = who(node, &login)?;
            value(desk.redo_as_it_was(&who.actor, id)?)
        }
        Request::RejectedDrop { id, login, reason } => {
            let who = who(node, &login)?;
            desk.drop_blocking(&who.actor, id, &reason)?;
            Ok(json!({ "dropped": id }))
        }
        Request::Link { up } => link(node, up),
        Request::SyncNow | Request::VerifyAgainst | Request::Enrol { .. } => {
            Err(Failure::fault("answered elsewhere"))
        }
    }
}

fn withdraw(node: &Node, notice: DocId, login: Option<&str>, reason: String) -> Reply {
    let actor = match login {
        Some(login) => who(node, login)?.actor,
        None => publisher(node)?,
    };
    let command = Command::RetractNotice { notice, reason };
    value(node.desk.notice_change(&actor, command)?)
}

fn value(answer: impl Serialize) -> Reply {
    serde_json::to_value(answer).map_err(Failure::fault)
}

/// The person of a login of this site.
fn who(node: &Node, login: &str) -> Result<Who, Failure> {
    node.desk.who_blocking(login).map_err(|refusal| {
        if refusal == Refusal::SignIn {
            return Failure::new(Exit::NotPermitted, format!("本站点没有登录名 {login}"));
        }
        refusal.into()
    })
}

async fn sync_now(node: &Node) -> Reply {
    let links = node.links.as_ref().ok_or(Refusal::NotEnrolled)?;
    let whole = links.sync_now().await?;
    let desk = node.desk.clone();
    let status = tokio::task::spawn_blocking(move || desk.status())
        .await
        .map_err(Failure::fault)??;
    let settled = &whole.settled;
    Ok(json!({
        "peer": whole.peer,
        "sent": settled.sent,
        "received": settled.received,
        "repaired": settled.repaired,
        "mismatched": settled.mismatched.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "waiting": status.waiting.count,
        "rejected": status.rejected,
    }))
}

fn link(node: &Node, up: bool) -> Reply {
    if node.links.is_none() {
        return Err(Refusal::NotEnrolled.into());
    }
    node.plugs.set_demo(up);
    Ok(json!({ "up": up }))
}

async fn enrol(node: &Node, content: &str) -> Reply {
    let content = HEXLOWER
        .decode(content.as_bytes())
        .map_err(Failure::usage)?;
    let door = node.door.clone();
    let taken = tokio::task::spawn_blocking(move || door.take(&content))
        .await
        .map_err(Failure::fault)??;
    match &taken {
        TakenIn::Ticket { .. } if node.ask_to_join().await? => joined(node).await,
        TakenIn::Ticket {
            fingerprint,
            request_file,
        } => Ok(json!({
            "state": "waiting",
            "words": taken.zh(),
            "fingerprint": fingerprint,
            "request_file": request_file.display().to_string(),
        })),
        TakenIn::Joined => joined(node).await,
        TakenIn::Grant { .. } | TakenIn::Control(..) | TakenIn::Bundle(_) | TakenIn::Known => {
            Ok(json!({ "state": "taken", "words": taken.zh() }))
        }
    }
}

/// Which node this machine has become.
async fn joined(node: &Node) -> Reply {
    let desk = node.desk.clone();
    let status = tokio::task::spawn_blocking(move || desk.status())
        .await
        .map_err(Failure::fault)??;
    Ok(json!({
        "state": "joined",
        "words": TakenIn::Joined.zh(),
        "node": status.node,
        "site_name": status.site_name,
    }))
}

fn verify(node: &Node) -> Reply {
    let report = node.store.write(|db| db.verify())?;
    let blobs = node.blobs.clone();
    let (attachments, broken) = node.store.read(move |db| blobs.verify(db))?;
    let mut report = report;
    report.problems.extend(broken);
    Ok(json!({
        "attachments": attachments,
        "documents": report.documents,
        "entries": report.entries,
        "differences": report.problems,
    }))
}

/// A file of this machine becomes an attachment of a case.
fn attach(node: &Node, case: &str, login: &str, file: &str, material: Option<u32>) -> Reply {
    let who = who(node, login)?;
    let case = node.desk.find_case(case)?;
    let path = Path::new(file);
    let size = std::fs::metadata(path).map_err(Failure::usage)?.len();
    if size > ATTACHMENT_BYTES_MAX {
        return Err(Refusal::field("file", cuntong_protocol::blob::TOO_LARGE).into());
    }
    let bytes = std::fs::read(path).map_err(Failure::usage)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let brought = node.desk.bring_blocking(&who.actor, &name, &bytes)?;
    let attach = Attach {
        material,
        ..brought.attach
    };
    value(
        node.desk
            .case_act(&who.actor, case, ActBody::Attach(attach))?,
    )
}

fn backup(node: &Node, file: String) -> Reply {
    let path = file.clone();
    if Path::new(&file).exists() {
        return Err(Failure::fault(format!(
            "{file} 已经存在:备份不覆盖已有的文件"
        )));
    }
    node.store.read(move |db| db.backup(Path::new(&path)))?;
    let left = node.store.read(|db| db.blob_counts())?.held;
    Ok(json!({ "file": file, "attachments_not_included": left.0, "attachments_bytes": left.1 }))
}

fn state_of(word: &str) -> Result<State, Failure> {
    State::from_word(word).ok_or_else(|| {
        let known: Vec<_> = State::ALL.iter().map(|state| state.word()).collect();
        Failure::usage(format!("没有状态 {word};可用:{}", known.join(" ")))
    })
}

/// The command a `case log` means; `material.N=WORD` is the state of a material.
fn log_case(log: CaseLog) -> Result<LogCase, Failure> {
    let mut case = LogCase {
        item: log.item,
        mandate: log.mandate.then(|| Mandate {
            may_collect: true,
            ..Mandate::default()
        }),
        duplicate_reason: log.duplicate_reason,
        receive: !log.draft,
        once: Some(crate::clock::random()),
        ..LogCase::default()
    };
    for (key, value) in log.fields {
        if let Some(index) = key.strip_prefix(MATERIAL) {
            let index = index
                .parse()
                .map_err(|_not_a_number| Failure::usage(format!("{key}: 应为 {MATERIAL}N")))?;
            let _before = case.materials.insert(index, value);
        } else {
            let _before = case.fields.insert(key, Private::new(value));
        }
    }
    let known = [
        (fields::NAME, Some(log.name)),
        (fields::ID, Some(log.id)),
        (fields::PHONE, log.phone),
    ];
    for (key, value) in known {
        if let Some(value) = value {
            let _before = case.fields.insert(key.to_owned(), Private::new(value));
        }
    }
    Ok(case)
}

fn body(act: ActArgs) -> Result<ActBody, Failure> {
    Ok(match act {
        ActArgs::Receive => ActBody::Receive(Receive {
            number: String::new(),
            mandate: None,
            taken: None,
            duplicate_reason: None,
        }),
        ActArgs::Accept {
            note,
            gaps,
            gap_days,
        } => ActBody::Accept(Accept {
            gaps,
            gap_days,
            note,
        }),
        ActArgs::Correct { missing, days } => ActBody::Correct(Correct {
            missing: missing
                .into_iter()
                .map(|(material, how)| Missing { material, how })
                .collect(),
            days,
        }),
        ActArgs::Supplement { materials, note } => {
            ActBody::Supplement(Supplement { materials, note })
        }
        ActArgs::Refuse {
            reason,
            basis,
            competent,
        } => ActBody::Refuse(Refuse {
            reason,
            basis,
            competent,
        }),
        ActArgs::Review { note } => ActBody::Review(Reason { text: note }),
        ActArgs::Decide {
            granted,
            reason,
            remedies,
        } => ActBody::Decide(Decide {
            granted,
            reason,
            remedies,
        }),
        ActArgs::Close {
            result,
            result_number,
        } => ActBody::Close(Close {
            result,
            result_number,
        }),
        ActArgs::Deliver {
            way,
            receiver,
            note,
        } => ActBody::Deliver(Deliver {
            way: way_of(&way)?,
            receiver,
            note,
        }),
        ActArgs::Withdraw { reason } => ActBody::Withdraw(Reason { text: reason }),
        ActArgs::Terminate { reason } => ActBody::Terminate(Reason { text: reason }),
    })
}

fn way_of(word: &str) -> Result<DeliveryWay, Failure> {
    Ok(match word {
        "collected" => DeliveryWay::Collected,
        "mailed" => DeliveryWay::Mailed,
        "brought" => DeliveryWay::Brought,
        "electronic" => DeliveryWay::Electronic,
        _ => {
            return Err(Failure::usage(
                "--way 应为 collected、mailed、brought 或 electronic",
            ));
        }
    })
}

fn publish(node: &Node, notice: NoticePublish) -> Reply {
    let who = who(node, &notice.login)?;
    let places = notice
        .to
        .iter()
        .map(|place| place_of(node, place))
        .collect::<Result<Vec<_>, _>>()?;
    let version = Publish {
        title: notice.title,
        body: notice.body,
        places,
        category: notice.category.unwrap_or_else(|| GENERAL.to_owned()),
        from: civil_day(node.clock.now()).to_string(),
        until: notice.until,
        case: None,
        correction: String::new(),
    };
    value(
        node.desk
            .notice_change(&who.actor, Command::PublishNotice(version))?,
    )
}

/// A place by its id, its division code, or a name that only one place has.
fn place_of(node: &Node, text: &str) -> Result<SiteId, Failure> {
    let trust = node.store.read(|db| db.shared_trust())?;
    find_place(trust.places(), text)
        .map(|place| place.site)
        .ok_or_else(|| Failure::usage(format!("没有站点 {text},或不止一个叫这个名称")))
}

/// The first person of this site who may publish, for commands that name nobody.
fn publisher(node: &Node) -> Result<Actor, Failure> {
    let (trust, site) = node.store.read(|db| Ok((db.shared_trust()?, db.site()?)))?;
    trust
        .directory()
        .people
        .iter()
        .find(|person| person.site == site && person.roles.contains(&Role::Publisher))
        .map(|person| Actor {
            person: person.id,
            roles: person.roles.clone(),
            site,
        })
        .ok_or_else(|| Refusal::NotYourRole(Role::Publisher.zh()).into())
}
