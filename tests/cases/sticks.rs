//! Villages without any network: bundles carried on a stick, there and back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use cuntong_node::{
    bundle::{self, Account},
    store::Linked,
};
use cuntong_protocol::{
    policy,
    sync::Peer,
    wire::{Message, codec},
};
use harness::{
    browser::Browser,
    county,
    process::{Demo, Node, wait_for},
    world::World,
};

const HUB: usize = 0;
const TOWN: usize = 1;
const VILLAGE: usize = 2;
const TOWN_CALLS_HUB: usize = 0;
const DAY_MS: i64 = 86_400_000;

fn peer(world: &World, of: usize, at: usize) -> Peer {
    let places = county::county().trust().places();
    let (site, own) = (world.machines[of].site, world.machines[at].site);
    Peer {
        node: world.machines[of].node,
        site,
        level: places.site(site).expect("a known site").level,
        upstream: places.above(own).contains(&site),
    }
}

/// What one machine writes on a stick for another.
fn write(world: &mut World, from: usize, to: usize) -> Vec<Vec<u8>> {
    let (peer, now) = (peer(world, to, from), world.now);
    let places = county::county().trust().places();
    let mine = policy::scopes_read_by(places, world.machines[from].site);
    let theirs = policy::scopes_read_by(places, peer.site);
    let db = world.db(from);
    let plan = bundle::plan(
        &mut Linked::new(db, now),
        &peer,
        &mine,
        &theirs,
        "test".into(),
    );
    let plan = plan.expect("the store reads");
    let mut stick = Vec::new();
    let db = &*db;
    let said = bundle::outgoing(
        plan,
        |log, after| db.batch(&log, after),
        |message| {
            stick.push(codec::encode(message));
            Ok(())
        },
    );
    let _entries = said.expect("the store reads");
    stick
}

fn read(world: &mut World, stick: &[Vec<u8>], from: usize, to: usize) -> Account {
    let (peer, now) = (peer(world, from, to), world.now);
    let places = county::county().trust().places();
    let mine = policy::scopes_read_by(places, world.machines[to].site);
    let theirs = policy::scopes_read_by(places, peer.site);
    let mut account = Account::new(now, &mine, &theirs);
    for bytes in stick {
        let message = codec::decode(bytes).expect("what a bundle says decodes");
        let db = world.db(to);
        let _news = bundle::take(&mut Linked::new(db, now), &peer, message, &mut account)
            .expect("the store writes");
    }
    account
}

fn carry(world: &mut World, from: usize, to: usize) -> Account {
    let stick = write(world, from, to);
    read(world, &stick, from, to)
}

#[test]
fn a_village_works_for_a_month_by_stick_and_ends_with_the_countys_receipts() {
    let mut world = World::small(31);
    for day in 0..30 {
        world.log_case(VILLAGE);
        let cases = world.cases_at(VILLAGE);
        world.amend(VILLAGE, cases[day / 2]);
        world.pass(DAY_MS);
        // The agent goes to town once a week; one stick in four gets lost on the way there.
        if day % 7 == 6 {
            let lost = day == 13;
            let stick = write(&mut world, VILLAGE, TOWN);
            if !lost {
                let account = read(&mut world, &stick, VILLAGE, TOWN);
                assert_eq!((account.refused, account.early), (0, 0));
                assert!(account.taken > 0);
                let again = read(&mut world, &stick, VILLAGE, TOWN);
                assert_eq!(again.taken, 0, "the same stick twice brings nothing");
            }
            world.exchange(TOWN_CALLS_HUB);
            world.cut(TOWN_CALLS_HUB);
            for case in world.cases_at(TOWN).into_iter().take(2) {
                world.handle(TOWN, case);
            }
            let home = carry(&mut world, TOWN, VILLAGE);
            assert!(lost || home.receipts > 0);
        }
    }
    let _last = carry(&mut world, VILLAGE, TOWN);
    world.exchange(TOWN_CALLS_HUB);
    world.cut(TOWN_CALLS_HUB);
    let home = carry(&mut world, TOWN, VILLAGE);
    assert_eq!((home.refused, home.early), (0, 0));

    let waiting = world.db(VILLAGE).waiting().expect("the store reads");
    assert_eq!(waiting.count, 0, "县里已收 for everything");
    let held = |world: &mut World, at: usize| world.db(at).whole_vector().expect("it reads");
    let (village, hub) = (held(&mut world, VILLAGE), held(&mut world, HUB));
    for (log, head) in village {
        assert_eq!(hub.get(&log), Some(&head), "{}", log.writer);
    }
    let last = write(&mut world, VILLAGE, TOWN);
    let pushes = last.iter().map(|b| codec::decode(b).expect("it decodes"));
    assert!(
        !pushes.into_iter().any(|m| matches!(m, Message::Push(_))),
        "what has a receipt is not carried again"
    );
}

#[test]
fn a_village_set_back_to_a_backup_loses_nothing_by_stick() {
    let mut world = World::small(32);
    world.log_case(VILLAGE);
    let backup = write(&mut world, VILLAGE, TOWN);
    let _taken = read(&mut world, &backup, VILLAGE, TOWN);
    world.back_up(VILLAGE);
    world.pass(DAY_MS);
    world.log_case(VILLAGE);
    let _taken = carry(&mut world, VILLAGE, TOWN);
    let known = world.cases_at(VILLAGE);
    assert!(
        world.restore(VILLAGE, true),
        "the whole machine is set back"
    );
    world.pass(DAY_MS);
    world.log_case(VILLAGE);
    let taken = carry(&mut world, VILLAGE, TOWN);
    assert_eq!((taken.refused, taken.early), (0, 0));
    // Only now the township knows what the village lacks.
    let _home = carry(&mut world, TOWN, VILLAGE);
    let _again = carry(&mut world, VILLAGE, TOWN);
    let all = world.cases_at(TOWN);
    let village = world.cases_at(VILLAGE);
    for case in known.iter().chain(&village) {
        assert!(all.contains(case) && village.contains(case));
    }
}

#[test]
fn a_bundle_whose_taking_in_was_cut_short_is_taken_again_and_brings_the_rest() {
    let mut world = World::small(33);
    for _case in 0..6 {
        world.log_case(VILLAGE);
        world.pass(60_000);
    }
    let stick = write(&mut world, VILLAGE, TOWN);
    for cut in 0..stick.len() {
        // Whatever was taken before the power went stays, and is known the second time.
        let before = read(&mut world, &stick[..cut], VILLAGE, TOWN);
        assert_eq!((before.refused, before.early), (0, 0), "cut after {cut}");
    }
    let whole = read(&mut world, &stick, VILLAGE, TOWN);
    assert_eq!((whole.refused, whole.early), (0, 0));
    let held = |world: &mut World, at: usize| world.db(at).whole_vector().expect("it reads");
    let town = held(&mut world, TOWN);
    for (log, head) in held(&mut world, VILLAGE) {
        assert_eq!(town.get(&log), Some(&head));
    }
}

fn export(node: &Node, peer: &str, to: &Path) -> String {
    let to = to.display().to_string();
    let done = node.cuntong(&["bundle", "export", "--to", &to, "--peer", peer]);
    let file = done.done().json()["file"].clone();
    file.as_str().expect("a file").to_owned()
}

#[test]
fn a_bundle_that_was_cut_changed_misdirected_or_opened_by_another_brings_nothing() {
    let demo = Demo::start(4);
    let (hub, town) = (demo.level("county").clone(), demo.level("township").clone());
    let village = demo.at("石桥村").clone();
    demo.link("cut", "石桥村");
    let logged = village
        .as_person(&[
            "case",
            "log",
            "--item",
            "990050004000",
            "--name",
            "欧阳远山",
            "--id",
            "34990119410305001X",
            "--mandate",
        ])
        .done()
        .json();
    let case = logged["case"].as_str().expect("an id").to_owned();
    let stick = demo.folder().join("stick");
    fs::create_dir(&stick).expect("a folder");
    let file = export(&village, "township", &stick);
    let whole = fs::read(&file).expect("it was written");
    let text = String::from_utf8_lossy(&whole);
    assert!(!text.contains("欧阳") && !text.contains("34990119410305001X"));

    let refused = |node: &Node, name: &str, bytes: &[u8]| {
        let path = stick.join(name);
        fs::write(&path, bytes).expect("a file");
        let ran = node.cuntong(&["bundle", "import", &path.display().to_string()]);
        assert_eq!(ran.code, 77, "{name}: {}", ran.err);
        ran.err
    };
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert!(refused(&town, "flipped", &flipped).contains("没有收取任何内容"));
    let cut = &whole[..whole.len() - 20];
    assert!(refused(&town, "cut", cut).contains("没有收取任何内容"));
    assert!(refused(&hub, "for-another", &whole).contains("北乡镇"));
    assert!(refused(&town, "a-photo", b"\x89PNG not a bundle at all......").contains("不是数据包"));
    let show = |node: &Node| node.cuntong(&["case", "show", &case]).code;
    assert_ne!(show(&town), 0, "nothing was taken");

    let taken = town.cuntong(&["bundle", "import", &file]).done().json();
    assert!(taken["taken"].as_u64() > Some(0), "{taken}");
    assert_eq!(show(&town), 0);
    // The inbox takes one as well.
    let inbox = town.dir.join("inbox/from-shiqiao.ctb");
    fs::copy(&file, &inbox).expect("a copy");
    wait_for("the inbox is emptied", || !inbox.exists());
    let done = fs::read_dir(town.dir.join("inbox/done")).expect("a folder");
    assert_eq!(done.count(), 1);
    let twice = town.cuntong(&["bundle", "import", &file]).done().json();
    assert_eq!(twice["taken"].as_u64(), Some(0), "{twice}");
}

/// Logs a case by the command line; its id.
fn log_case(village: &Node, id: &str) -> String {
    let item = "990050004000";
    let mut command = vec!["case", "log", "--item", item, "--name", "欧阳远山"];
    command.extend(["--id", id, "--mandate"]);
    let logged = village.as_person(&command).done().json();
    logged["case"].as_str().expect("an id").to_owned()
}

fn custody(node: &Node, case: &str) -> String {
    let shown = node.cuntong(&["case", "show", case]).done().json();
    shown["custody"].as_str().unwrap_or_default().to_owned()
}

fn import(node: &Node, file: &Path) -> serde_json::Value {
    let ran = node.cuntong(&["bundle", "import", &file.display().to_string()]);
    ran.done().json()
}

fn bundles(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut all: Vec<_> = names.map(|name| name.expect("a name").path()).collect();
    all.sort();
    all
}

/// A county in which nobody reaches anybody.
fn cut_off(environment: &[(&str, &str)]) -> Demo {
    let demo = Demo::start_with(4, environment, Stdio::inherit());
    for site in ["石桥村", "青溪村", "北乡镇"] {
        demo.link("cut", site);
    }
    demo
}

#[test]
fn a_township_carries_a_villages_bundle_that_it_cannot_open_and_brings_the_receipts_back() {
    let demo = cut_off(&[]);
    let (hub, town) = (demo.level("county").clone(), demo.level("township").clone());
    let village = demo.at("石桥村").clone();
    let case = log_case(&village, "34990119410305001X");
    let stick = |name: &str| {
        let folder = demo.folder().join(name);
        fs::create_dir(&folder).expect("a folder");
        folder
    };
    let (up, on, down) = (stick("up"), stick("on"), stick("down"));
    let sealed = PathBuf::from(export(&village, "hub", &up));
    let whole = fs::read(&sealed).expect("it was written");

    // What is broken is told here, not a week later at the county.
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (name, bytes) in [
        ("flipped", &flipped[..]),
        ("cut", &whole[..whole.len() - 9]),
    ] {
        let path = up.join(name);
        fs::write(&path, bytes).expect("a file");
        let ran = town.cuntong(&["bundle", "import", &path.display().to_string()]);
        assert_eq!(ran.code, 77, "{name}: {}", ran.err);
        assert!(ran.err.contains("没有收取任何内容"), "{name}: {}", ran.err);
    }
    assert_eq!(import(&town, &sealed)["kept"], true);
    assert!(import(&town, &sealed)["words"].to_string().contains("早已"));
    let show = |node: &Node| node.cuntong(&["case", "show", &case]).code;
    assert_ne!(show(&town), 0, "the township cannot open it");

    let own = PathBuf::from(export(&town, "hub", &on));
    let carried: Vec<_> = bundles(&on).into_iter().filter(|p| *p != own).collect();
    assert_eq!(carried.len(), 1);
    assert_eq!(fs::read(&carried[0]).expect("a file"), whole);
    let taken = import(&hub, &carried[0]);
    assert!(taken["taken"].as_u64() > Some(0), "{taken}");
    let _towns = import(&hub, &own);
    assert_eq!(show(&hub), 0);

    // Back: the county's receipt, and with it the word that nothing needs to be carried any more.
    let _counts = import(&town, Path::new(&export(&hub, "北乡镇", &down)));
    assert_eq!(show(&town), 0);
    let _counts = import(&village, Path::new(&export(&town, "石桥村", &down)));
    assert_eq!(custody(&village, &case), "county");
    let again = stick("again").display().to_string();
    let last = town.cuntong(&["bundle", "export", "--to", &again, "--peer", "hub"]);
    assert_eq!(last.done().json()["carried"], 0);
}

#[test]
fn a_stick_that_was_pulled_while_it_was_written_is_recognised_and_written_again() {
    let demo = cut_off(&[]);
    let village = demo.at("石桥村").clone();
    let stick = demo.folder().join("stick");
    fs::create_dir(&stick).expect("a folder");
    let half = stick.join("石桥村-北乡镇-2026-11-20-080000.partial");
    let others = stick.join("青溪村-北乡镇-2026-11-20-080000.partial");
    for path in [&half, &others] {
        fs::write(path, b"cuntong-bundle-1 and no more").expect("a file");
    }
    let file = PathBuf::from(export(&village, "township", &stick));
    assert!(file.exists() && !half.exists());
    assert!(others.exists(), "what another wrote is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stick_is_written_and_taken_in_on_the_page_without_any_script() {
    let sticks = tempfile::tempdir().expect("a folder");
    let folder = sticks.path().join("乡镇U盘");
    fs::create_dir(&folder).expect("a folder");
    let place = folder.display().to_string();
    let demo = cut_off(&[("CUNTONG_BUNDLE__PLACES", &place)]);
    let (town, village) = (demo.level("township").clone(), demo.at("石桥村").clone());
    let case = log_case(&village, "34990119410305001X");

    let browser = Browser::start(false).await;
    browser.sign_in(&village).await;
    browser.open(&village, "/sync").await;
    browser.click("#sticks form.stick button").await;
    browser.shows("现在可以拔下 U 盘").await;
    assert_eq!(bundles(&folder).len(), 1);
    // What this very machine wrote is no offer to itself.
    assert!(!browser.has("#sticks td button").await);

    browser.sign_in(&town).await;
    let take = "#sticks td button";
    for _look in 0..100 {
        browser.open(&town, "/sync").await;
        if browser.has(take).await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let text = browser.text().await;
    assert!(text.contains("石桥村 给 北乡镇"), "{text}");
    browser.click(take).await;
    browser.shows("已收：新记录").await;
    assert_eq!(town.cuntong(&["case", "show", &case]).code, 0);

    // The stick is pulled while the page is open.
    fs::remove_file(&bundles(&folder)[0]).expect("it was there");
    browser.open(&town, "/sync").await;
    browser.shows("已办好").await;
    browser.close().await;
}
