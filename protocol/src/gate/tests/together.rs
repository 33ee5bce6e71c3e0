//! Changes of one document that come together.

use super::*;

#[test]
fn changes_of_a_document_are_judged_together_as_they_are_one_by_one() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, mut written, mut all) = case();
    for n in 0..6 {
        let writes = desk.amend("phone", &format!("1370000000{n}"));
        all.push(desk.write(&mut written, &writes));
    }
    let empty = Doc::new(written.id());
    for known in 0..=all.len() {
        let start = all[..known].iter().fold(empty.fork(), |doc, e| {
            entry(&doc, e, desk.writer, &g).unwrap()
        });
        // With some that are known, and one twice.
        let told: Vec<_> = all[known / 2..].iter().chain(all.last()).collect();
        let passed = entries(&start, &told, desk.writer, &g).unwrap();
        assert_eq!(passed.doc.heads(), written.heads());
        assert_eq!(values(&passed.doc), values(&written));
        let mut acts = passed.acts;
        acts.dedup();
        let of_written = written.reading().unwrap().acts;
        let of_written: Vec<_> = of_written.iter().map(|act| act.id).collect();
        assert!(of_written.ends_with(&acts), "of {known}");
    }
}

#[test]
fn one_bad_change_among_good_ones_is_found_wherever_it_stands() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, mut written, mut all) = case();
    for n in 0..4 {
        let writes = desk.amend("phone", &format!("1370000000{n}"));
        all.push(desk.write(&mut written, &writes));
    }
    let empty = Doc::new(written.id());
    for bad in 0..all.len() {
        let mut told = all.clone();
        // Its neighbours are good, but it is not what they follow.
        let twin = desk.amend("name", "李四");
        let before = all[..bad].iter().fold(empty.fork(), |doc, e| {
            entry(&doc, e, desk.writer, &g).unwrap()
        });
        told[bad] = desk.write(&mut before.fork(), &twin);
        let told: Vec<_> = told.iter().collect();
        let refused = entries(&empty, &told, desk.writer, &g);
        if bad + 1 == all.len() {
            assert!(refused.is_ok(), "nothing follows the last");
        } else {
            assert_eq!(refused.unwrap_err(), Rule::Dependencies, "at {bad}");
        }
        let told = &told[..=bad];
        let other = Writer {
            epoch: 2,
            ..desk.writer
        };
        assert_eq!(entries(&empty, told, other, &g).unwrap_err(), Rule::Writer);
        assert!(empty.changes().is_empty(), "nothing was done to it");
    }
}
