//! How far things got, by signed receipts.

use cuntong_protocol::{id::Kind, log::Receipt};

use crate::store::{
    Db, Held,
    fixture::{County, HUB, NOW, SHIQIAO, TOWN, case, log_case, send, write},
};

/// A receipt of `holder` for everything it holds, at this moment.
fn receipt(holder: &Db, after_ms: i64) -> Receipt {
    let held: Vec<_> = holder.whole_vector().unwrap().into_iter().collect();
    holder.sign_receipt(&held, NOW.after(after_ms)).unwrap()
}

#[test]
fn a_record_says_how_far_it_got_with_the_receivers_signature() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    let of = case(SHIQIAO, 1);
    write(&mut village, of.doc(Kind::Application), "张三");
    assert_eq!(village.custody(of).unwrap(), Held::Here);
    let waiting = village.waiting().unwrap();
    assert_eq!((waiting.count, waiting.oldest), (1, Some(NOW)));
    assert_eq!(
        village
            .lacking_receipts(hub.identity().unwrap().node)
            .unwrap()
            .len(),
        1
    );

    send(&village, &mut town, false);
    village.keep_receipts(&[receipt(&town, 10)]).unwrap();
    assert_eq!(village.custody(of).unwrap(), Held::Township(NOW.after(10)));
    assert_eq!(
        village.waiting().unwrap().count,
        1,
        "the county has not got it"
    );

    send(&town, &mut hub, false);
    let of_hub = receipt(&hub, 20);
    assert_eq!(
        town.keep_receipts(std::slice::from_ref(&of_hub))
            .unwrap()
            .len(),
        1
    );
    // The township carries the hub's receipt down, word for word.
    let log = *village.whole_vector().unwrap().keys().next().unwrap();
    let carried = town.receipts_about(&[log], None).unwrap();
    assert_eq!(carried, vec![of_hub]);
    village.keep_receipts(&carried).unwrap();
    assert_eq!(village.custody(of).unwrap(), Held::County(NOW.after(20)));
    assert_eq!(village.waiting().unwrap().count, 0);
    let standings = village.standings(of).unwrap();
    assert_eq!(standings.len(), 2);
    assert!(
        standings
            .iter()
            .any(|s| s.signature == carried[0].signature)
    );

    write(&mut village, of.doc(Kind::Application), "张三丰");
    assert_eq!(
        village.custody(of).unwrap(),
        Held::Here,
        "the newest entry counts"
    );
    assert_eq!(
        hub.waiting().unwrap().count,
        0,
        "the county waits for nobody"
    );
}

#[test]
fn a_forged_receipt_is_not_kept() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    log_case(&mut village, 1, "张三");
    send(&village, &mut hub, false);
    let mut forged = receipt(&hub, 0);
    forged.at = NOW.after(1);
    assert!(village.keep_receipts(&[forged]).unwrap().is_empty());
    assert_eq!(village.waiting().unwrap().count, 1);
}

#[test]
fn a_node_signs_only_for_what_is_durable_there() {
    let county = County::new();
    let (mut village, hub) = (county.node(SHIQIAO), county.node(HUB));
    log_case(&mut village, 1, "张三");
    let held: Vec<_> = village.whole_vector().unwrap().into_iter().collect();
    assert!(hub.sign_receipt(&held, NOW).unwrap().held.is_empty());
}

#[test]
fn an_older_receipt_says_nothing_new_and_old_ones_go() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    send(&village, &mut hub, false);
    let older = receipt(&hub, 1);
    write(&mut village, doc, "二");
    send(&village, &mut hub, false);
    village.keep_receipts(&[receipt(&hub, 2)]).unwrap();
    assert!(village.keep_receipts(&[older]).unwrap().is_empty());
    let kept: i64 = village
        .connection()
        .query_row("SELECT count(*) FROM receipt", [], |r| r.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}
