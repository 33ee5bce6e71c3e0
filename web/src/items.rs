//! 事项目录 and 明白卡: what can be asked for, what to bring, how long it takes. Public.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use cuntong_protocol::{control::Item, role::Level};

use crate::{
    App,
    desk::Desk,
    page::{Failure, Shell, render},
    visit::Visit,
};

/// An item in words.
pub(crate) struct ItemView {
    pub(crate) code: String,
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) department: String,
    pub(crate) receive: &'static str,
    pub(crate) decide: String,
    pub(crate) legal_days: u16,
    pub(crate) promised_days: u16,
    pub(crate) on_the_spot: bool,
    pub(crate) proxy_allowed: bool,
    pub(crate) presence_required: bool,
    pub(crate) materials: Vec<MaterialView>,
    pub(crate) stages: Vec<String>,
    pub(crate) keywords: String,
}

pub(crate) struct MaterialView {
    pub(crate) name: String,
    pub(crate) note: &'static str,
}

impl ItemView {
    pub(crate) fn of(item: &Item) -> Self {
        let decide: Vec<&str> = item.decide.iter().map(|level| level.zh()).collect();
        Self {
            code: item.code.clone(),
            version: item.version,
            name: item.name.clone(),
            class: item.class.clone(),
            department: item.department.clone(),
            receive: receive(item.receive),
            decide: if decide.is_empty() {
                "受理窗口".to_owned()
            } else {
                decide.join("或")
            },
            legal_days: item.legal_days,
            promised_days: item.promised_days,
            on_the_spot: item.on_the_spot,
            proxy_allowed: item.proxy_allowed,
            presence_required: item.presence_required,
            materials: item
                .materials
                .iter()
                .map(|material| MaterialView {
                    name: material.name.clone(),
                    note: match (material.no_submit, material.deferrable) {
                        (true, _) => "可免提交",
                        (false, true) => "可容缺后补",
                        (false, false) => "",
                    },
                })
                .collect(),
            stages: item.stages.iter().map(stage).collect(),
            keywords: item.keywords.join(" "),
        }
    }
}

const fn receive(level: Level) -> &'static str {
    match level {
        Level::Village => "村级代办点、乡镇便民服务中心",
        Level::Township => "乡镇便民服务中心",
        Level::County => "县级窗口",
    }
}

fn stage(stage: &cuntong_protocol::control::catalogue::NoticeStage) -> String {
    let place = match stage.place.as_str() {
        "village" => "村公示栏",
        "township" => "乡镇公示栏",
        "county" | "county_site" => "县级公开",
        "group" => "村民小组",
        other => other,
    };
    match stage.days {
        Some(days) => {
            let unit = if stage.working_days {
                "个工作日"
            } else {
                "天"
            };
            format!("{}：{place}公示 {days} {unit}", stage.name)
        }
        None => format!("{}：{place}长期公示", stage.name),
    }
}

#[derive(Template)]
#[template(path = "items.html")]
struct ItemsPage {
    page: Shell,
    query: String,
    items: Vec<ItemView>,
}

/// `GET /items?q=`
pub(crate) async fn list<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let query = visit.query.get("q").to_owned();
    let items = app.desk.items(query.clone()).await;
    render(&ItemsPage {
        page: Shell::new(&app, &visit, "事项目录").await,
        query,
        items: items.iter().map(ItemView::of).collect(),
    })
}

#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage {
    page: Shell,
    item: ItemView,
}

/// `GET /items/{code}`
pub(crate) async fn one<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(code): Path<String>,
) -> Result<Response, Failure> {
    let item = app.desk.item(code, None).await.ok_or(Failure::NotFound)?;
    render(&ItemPage {
        page: Shell::new(&app, &visit, &item.name).await,
        item: ItemView::of(&item),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn anybody_may_read_what_an_item_asks_for() {
        let page = Browser::nobody(FakeDesk::village())
            .get("/items/990010001000")
            .await;
        assert_eq!(page.status, 200);
        page.has("最低生活保障")
            .has("可免提交")
            .has("可容缺后补")
            .has("22")
            .has("村公示栏公示 7 天");
    }

    #[tokio::test]
    async fn an_item_is_found_by_everyday_words() {
        let page = Browser::nobody(FakeDesk::village())
            .get("/items?q=%E4%BD%8E%E4%BF%9D")
            .await;
        page.has("最低生活保障").has_not("老年优待证");
    }
}
