//! The screens in a real browser, over real nodes.

use harness::{
    browser::Browser,
    process::{Demo, Node, wait_for},
};

/// Logs a case on the one screen of intake; returns the path of the case's page.
async fn log(browser: &Browser, village: &Node, name: &str, id: &str) -> String {
    browser.open(village, "/intake").await;
    browser.fill("#item_query", "租地").await;
    browser.click("button[name=step][value=item]").await;
    browser.click("button[value='990050004000']").await;
    // The page before has the same suggestions: what is typed into it would be gone.
    browser.wait(".chosen").await;
    browser.fill("#id", id).await;
    browser.fill("#name", name).await;
    browser.fill("#phone", "13800000000").await;
    browser.click("button[name=step][value=originals]").await;
    browser.click("#receive").await;
    let path = browser.leads_to("/cases/c-").await;
    let id = path.trim_start_matches("/cases/").split('/').next();
    format!("/cases/{}", id.unwrap_or_default())
}

fn custody(node: &Node, page: &str) -> String {
    let case = page.trim_start_matches("/cases/");
    let shown = node.cuntong(&["case", "show", case]).done().json();
    shown["custody"].as_str().unwrap_or_default().to_owned()
}

/// Logs a case by the command line; returns the path of its page.
fn log_by_command(village: &Node, name: &str, id: &str) -> String {
    let item = "990050004000";
    let mut command = vec!["case", "log", "--item", item, "--name", name, "--id", id];
    command.push("--mandate");
    let logged = village.as_person(&command).done().json();
    format!("/cases/{}", logged["case"].as_str().expect("an id"))
}

/// How often a node's list holds the case of this page, looked for by name.
fn times_listed(node: &Node, page: &str, name: &str) -> usize {
    let found = node.cuntong(&["case", "list", "--query", name]);
    let found = found.done().json();
    let cases = found["cases"].as_array().expect("a list of cases");
    let id = page.trim_start_matches("/cases/");
    cases.iter().filter(|case| case["case"] == id).count()
}

/// Kills a node and waits until it is back.
fn power_cut(demo: &Demo, village: &Node) {
    let epoch = || village.cuntong(&["status"]).json()["epoch"].as_u64();
    let before = epoch();
    demo.kill(village);
    let address = village.url.trim_start_matches("http://").to_owned();
    wait_for("the village is back in a new epoch", || {
        epoch() > before && std::net::TcpStream::connect(&address).is_ok()
    });
}

#[tokio::test]
async fn cases_logged_on_screen_with_the_link_cut_survive_a_power_cut_and_arrive_once() {
    let demo = Demo::start(4);
    let village = demo.at("石桥村").clone();
    let browser = Browser::start(true).await;
    browser.sign_in(&village).await;
    browser.open(&village, "/").await;
    browser
        .click("form[action='/demo/link'] button[value=no]")
        .await;
    // The answer to the form is a page of its own: opening another before it would be undone by it.
    browser.shows("已拔").await;

    let people = [
        ("买买提·吐尔逊", "34990119410305001X"),
        ("𬱖䶮", "349901197608221121"),
        ("王", "349901202002290038"),
    ];
    let mut pages = Vec::new();
    for (name, id) in people {
        let page = log(&browser, &village, name, id).await;
        browser.open(&village, &page).await;
        let text = browser.text().await;
        assert!(text.contains(name), "{text}");
        assert!(text.contains("本机已存"), "{text}");
        assert!(!text.contains("县里已收"), "{text}");
        pages.push(page);
    }
    assert!(
        browser.text().await.contains("待上报"),
        "the header says what waits"
    );

    for (name, id) in [
        ("欧阳远山", "34990119500101002X"),
        ("单秀英", "349901195506120152"),
    ] {
        pages.push(log_by_command(&village, name, id));
    }
    power_cut(&demo, &village);

    browser.open(&village, "/").await;
    browser
        .click("form[action='/demo/link'] button[value=yes]")
        .await;
    browser.shows("已插").await;
    wait_for("县里已收", || {
        pages.iter().all(|page| custody(&village, page) == "county")
    });
    let hub = demo.level("county").clone();
    let names = people.map(|(name, _id)| name);
    for (page, name) in pages
        .iter()
        .zip(names.iter().chain(&["欧阳远山", "单秀英"]))
    {
        assert_eq!(times_listed(&hub, page, name), 1, "{name} at the hub");
    }
    for page in &pages {
        browser.open(&village, page).await;
        assert!(browser.text().await.contains("县里已收"));
    }

    let town = demo.level("township").clone();
    decide_on_screen(&browser, &town, &pages[0]).await;
    let case = pages[0].trim_start_matches("/cases/").to_owned();
    wait_for("办结", || {
        village.cuntong(&["case", "show", &case]).done().json()["state"] == "closed"
    });
    browser.open(&village, &pages[0]).await;
    assert!(browser.text().await.contains("备案证明"));
    act(&browser, "deliver", None).await;
    browser.shows("已送达").await;
    browser.close().await;
}

/// Takes a case from acceptance to its close at the township's screens.
async fn decide_on_screen(browser: &Browser, town: &Node, page: &str) {
    browser.sign_in(town).await;
    browser.open(town, page).await;
    for (form, fill) in [
        ("accept", None),
        ("review", Some(("#review-text", "材料齐全"))),
        ("decide", Some(("#decide-reason", "符合条件"))),
        ("close", Some(("#close-result", "备案证明"))),
    ] {
        act(browser, form, fill).await;
    }
}

/// Opens one of the forms a case offers, fills it and sends it.
async fn act(browser: &Browser, form: &str, fill: Option<(&str, &str)>) {
    let form = format!("form[action$='/{form}']");
    // The page before has no such form: once it is there, the step before it is done.
    browser.wait(&form).await;
    let open = format!("details:has({form}):not([open]) > summary");
    if browser.has(&open).await {
        browser.click(&open).await;
    }
    if form.contains("decide") {
        browser.click("#decide-yes").await;
    }
    if let Some((field, text)) = fill {
        browser.fill(field, text).await;
    }
    browser.click(&format!("{form} button")).await;
}

#[tokio::test]
async fn everything_works_with_scripts_off() {
    let demo = Demo::start(4);
    let village = demo.at("青溪村").clone();
    let browser = Browser::start(false).await;
    browser.sign_in(&village).await;
    let page = log(&browser, &village, "欧阳远山", "34990119500101002X").await;
    browser.open(&village, "/search?q=oyys").await;
    assert!(
        browser.text().await.contains("欧阳远山"),
        "found by pinyin initials"
    );
    browser.open(&village, &format!("{page}/receipt")).await;
    assert!(browser.text().await.contains("收件"), "the receipt prints");

    // A wrong number keeps what was typed and says so in the title.
    browser.open(&village, "/intake").await;
    browser.fill("#id", "349901194103050011").await;
    browser.fill("#name", "写错了").await;
    browser.click("#receive").await;
    browser.shows("<title>错误").await;
    let source = browser.page.source().await.expect("a page");
    assert!(source.contains("349901194103050011") && source.contains("写错了"));
    browser.close().await;
}
