//! `ticket`: lets one machine join.

use std::path::PathBuf;

use serde_json::json;

use cuntong_protocol::time::Millis;
use cuntong_provisioning::{
    County, folder,
    ticket::{DAYS_DEFAULT, Purpose, Ticket, qr},
};

use super::{Desk, Done, Failure, Said, System, moment, now, talk};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long, value_name = "CODE", help = "站点:12 位代码、名称或站点号")]
    site: String,
    #[command(flatten)]
    paper: Paper,
}

/// What a ticket says besides its site, and where it goes.
#[derive(clap::Args)]
pub(super) struct Paper {
    #[arg(long = "hub", value_name = "HOST:PORT", help = "县级枢纽地址,最多三个")]
    pub(super) hubs: Vec<String>,
    #[arg(long, default_value_t = DAYS_DEFAULT, help = "有效天数")]
    pub(super) days: u16,
    #[arg(
        long,
        num_args = 1..=2,
        value_names = ["terminal|svg", "FILE"],
        help = "二维码:terminal 显示在终端,svg FILE 写入文件"
    )]
    qr: Vec<String>,
    #[arg(long, value_name = "FILE", help = "把入网票写入文件")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        self.paper.check()?;
        let (folder, county) = desk.open()?;
        let site = county.place(&self.site)?.site;
        let ticket = county.ticket(
            site,
            Purpose::New,
            &self.paper.hubs,
            self.paper.days,
            &mut System,
            now(),
        )?;
        folder.note(
            &json!({"at": now(), "did": "ticket", "ticket": ticket.id().text(), "site": site}),
        )?;
        self.paper.said(&county, &ticket)
    }
}

impl Paper {
    /// Whether the picture asked for is one; asked before anything is signed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let words: Vec<&str> = self.qr.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["terminal"] | ["svg", _] => Ok(()),
            _ => Err(Failure::usage("--qr 应为 terminal 或 svg FILE")),
        }
    }

    pub(super) fn said(&self, county: &County, ticket: &Ticket) -> Done {
        let text = ticket.text();
        if let Some(path) = &self.out {
            folder::write(path, format!("{text}\n").as_bytes())?;
        }
        let failed = |e| Failure::from(cuntong_provisioning::county::CountyError::Ticket(e));
        match self.qr.as_slice() {
            [_svg, file] => {
                let image = qr::svg(ticket).map_err(failed)?;
                folder::write(file.as_ref(), image.as_bytes())?;
            }
            [_terminal] => talk(&qr::terminal(ticket).map_err(failed)?),
            _ => {}
        }
        let claims = ticket.claims();
        let not_after = Millis(i64::from(claims.not_after_s) * 1000);
        let place = county
            .trust()
            .places()
            .site(claims.site)
            .map_or("", |place| &place.name);
        Ok(Said::new(
            json!({
                "ticket": text, "id": ticket.id().text(), "site": claims.site.to_string(),
                "place": place, "level": claims.level, "hubs": claims.hubs, "not_after": not_after,
            }),
            format!(
                "{place} 的入网票,{} 前首次使用有效,只能用于一台机器:\n{text}",
                moment(not_after)
            ),
        ))
    }
}
