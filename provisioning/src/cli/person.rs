//! `person add`, `person list`, `person password`, `person end`.

use std::io::Read;

use serde_json::json;
use zeroize::Zeroizing;

use cuntong_protocol::role::Role;
use cuntong_provisioning::{county::NewPerson, entropy::Entropy};

use super::{Desk, Done, Failure, Said, System, now};

#[derive(clap::Subcommand)]
pub(super) enum Args {
    #[command(about = "登记一个人;不从标准输入给口令时,生成一个并显示一次")]
    Add {
        #[arg(long, value_name = "CODE", help = "站点:12 位代码、名称或站点号")]
        site: String,
        #[arg(long, help = "姓名")]
        name: String,
        #[arg(long, help = "登录名,全县唯一")]
        login: String,
        #[arg(long = "role", required = true, value_parser = role, help = "岗位,可给多个")]
        roles: Vec<Role>,
        #[arg(long, help = "从标准输入读口令(第一行)")]
        password_stdin: bool,
    },
    #[command(about = "列出人员")]
    List,
    #[command(about = "给一个登录名换口令")]
    Password {
        login: String,
        #[arg(long, help = "从标准输入读口令(第一行)")]
        password_stdin: bool,
    },
    #[command(about = "停用一个登录名")]
    End { login: String },
}

fn role(word: &str) -> Result<Role, String> {
    let known: Vec<&str> = Role::ALL.iter().map(|r| r.word()).collect();
    Role::ALL
        .into_iter()
        .find(|r| r.word() == word)
        .ok_or_else(|| known.join(", "))
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Add {
                site,
                name,
                login,
                roles,
                password_stdin,
            } => {
                let password = Password::get(password_stdin)?;
                let (folder, mut county) = desk.open()?;
                let site = county.place(&site)?.site;
                let person = NewPerson {
                    site,
                    name,
                    login: login.clone(),
                    roles,
                    password: password.text.to_string(),
                    until: None,
                };
                let id = county.add_person(person, &mut System, now())?;
                folder
                    .note(&json!({"at": now(), "did": "person add", "person": id, "site": site}))?;
                password.said(json!({"person": id, "login": login, "site": site.to_string()}))
            }
            Self::List => list(desk),
            Self::Password {
                login,
                password_stdin,
            } => {
                let password = Password::get(password_stdin)?;
                let (folder, mut county) = desk.open()?;
                let id = county.set_password(&login, &password.text, &mut System, now())?;
                folder.note(&json!({"at": now(), "did": "person password", "person": id}))?;
                password.said(json!({"person": id, "login": login}))
            }
            Self::End { login } => {
                let (folder, mut county) = desk.open()?;
                let id = county.end_person(&login, now(), now())?;
                folder.note(&json!({"at": now(), "did": "person end", "person": id}))?;
                Ok(Said::new(
                    json!({"person": id, "login": login}),
                    format!("{login} 已停用"),
                ))
            }
        }
    }
}

fn list(desk: &Desk) -> Done {
    let trust = desk.folder()?.trust()?;
    let login_of = |person: &cuntong_protocol::control::Person| {
        let logins = &trust.credentials(person.site)?.logins;
        let login = logins.iter().find(|l| l.person == person.id)?;
        Some(login.login.clone())
    };
    let people = &trust.directory().people;
    let json: Vec<_> = people
        .iter()
        .map(|p| {
            json!({
                "person": p.id, "name": p.name, "site": p.site.to_string(),
                "roles": p.roles, "until": p.until, "login": login_of(p),
            })
        })
        .collect();
    let text: String = people
        .iter()
        .map(|p| {
            let roles: Vec<&str> = p.roles.iter().map(|r| r.zh()).collect();
            let place = trust.places().site(p.site).map_or("", |place| &place.name);
            let login = login_of(p).unwrap_or_default();
            format!("{login}\t{}\t{place}\t{}\n", p.name, roles.join("、"))
        })
        .collect();
    Ok(Said::new(json.into(), text))
}

/// A password that was given, or made here and shown once.
struct Password {
    text: Zeroizing<String>,
    made: bool,
}

impl Password {
    fn get(stdin: bool) -> Result<Self, Failure> {
        if !stdin {
            return Ok(Self {
                text: generate(),
                made: true,
            });
        }
        let mut all = Zeroizing::new(String::new());
        std::io::stdin()
            .take(4096)
            .read_to_string(&mut all)
            .map_err(anyhow::Error::from)?;
        Ok(Self {
            text: Zeroizing::new(all.lines().next().unwrap_or_default().to_owned()),
            made: false,
        })
    }

    fn said(self, mut json: serde_json::Value) -> Done {
        let mut text = "已登记".to_owned();
        if self.made {
            json["password"] = self.text.as_str().into();
            text = format!("已登记,初始口令(只显示这一次): {}", *self.text);
        }
        Ok(Said::new(json, text))
    }
}

/// Twelve characters no one mistakes for another: 58 bits.
fn generate() -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567892";
    let bytes: [u8; 12] = System.bytes();
    let text = bytes
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b % 32)]))
        .collect();
    Zeroizing::new(text)
}
