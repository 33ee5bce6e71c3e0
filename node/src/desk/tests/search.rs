use super::fixture::{County, SHIQIAO};
use crate::desk::list;

#[test]
fn a_case_is_found_by_name_initials_pinyin_and_tails() {
    let place = County::new().desk(SHIQIAO);
    let (_, number) = place.log("张三", "34990119410305001X");
    place.log("李四", "349901197608221121");
    for typed in [
        "张",
        "张三",
        "zs",
        "zhang san",
        "zhangsan",
        "001X",
        "５００１ｘ",
        &number,
    ] {
        assert_eq!(place.found(typed), ["张三"], "{typed}");
    }
    assert_eq!(place.found("00012"), [""; 0]);
    assert_eq!(place.found(&number[number.len() - 6..]), ["张三"]);
    assert_eq!(
        place.found("1234"),
        ["李四", "张三"],
        "the phone of both, newest first"
    );
}

#[test]
fn rare_and_long_names_are_kept_and_found() {
    let place = County::new().desk(SHIQIAO);
    for (name, id) in [
        ("𬱖龑", "349901202002290038"),
        ("䶮", "34990119500101002X"),
        ("买买提·吐尔逊", "349901195506120152"),
    ] {
        place.log(name, id);
    }
    for (typed, name) in [
        ("𬱖", "𬱖龑"),
        ("䶮", "䶮"),
        ("买买提", "买买提·吐尔逊"),
        ("吐尔逊", "买买提·吐尔逊"),
        ("mmt", "买买提·吐尔逊"),
    ] {
        assert_eq!(place.found(typed), [name], "{typed}");
    }
}

#[test]
fn a_resident_served_before_fills_the_form() {
    let place = County::new().desk(SHIQIAO);
    place.log("张三", "34990119410305001X");
    let actor = place.actor.clone();
    let found = place.look(move |g| list::residents(g, &actor, "zs"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.reveal(), "34990119410305001X");
    assert_eq!(found[0].phone.reveal(), "13800001234");
    assert_eq!(found[0].last, "上次 2026-11 办过 临时救助(一般程序)");
}

#[test]
fn an_id_number_is_masked_in_lists() {
    let place = County::new().desk(SHIQIAO);
    let (case, _) = place.log("张三", "34990119410305001X");
    assert_eq!(place.row(case).id_masked, "349***********001X");
    assert_eq!(list::masked("护照 E123"), "*******");
}

#[test]
fn every_named_query_prepares() {
    let place = County::new().desk(SHIQIAO);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/queries");
    let files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let sql = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), sql)
        })
        .collect();
    assert!(files.len() > 30);
    place.look(move |g| {
        for (name, sql) in files {
            if let Err(error) = g.conn().prepare(&sql) {
                panic!("{name}: {error}");
            }
        }
        Ok(())
    });
}
