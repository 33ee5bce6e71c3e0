//! Attached files where no line ever comes: on sticks.

use cuntong_protocol::{blob::Blob, id::Kind};

use super::{
    blobs::scan,
    enrolment::door,
    land::{HUB, Land, SHIQIAO, until},
};
use crate::{blobs::Limits, bundle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_up_by_stick_once_and_its_village_hears_that_it_arrived() {
    let mut land = Land::new(81);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let (hub, village) = (
        land.start(&hub, true, &[]),
        land.start(&village, false, &[]),
    );
    let (above, below) = (door(&land, &hub), door(&land, &village));
    let stick = tempfile::tempdir().unwrap();
    let case = village.log_case();
    let bytes = scan(200_000, 1);
    let up = village.attach(case, Kind::Application, &bytes);

    let sent = bundle::export(&below, stick.path(), Some("hub")).unwrap();
    assert_eq!((sent.files, sent.files_left), (1, 0));
    let taken = bundle::import(&above, &sent.file).unwrap();
    assert_eq!((taken.account.files, taken.account.files_refused), (1, 0));
    assert!(taken.words.contains("附件 1 个"), "{}", taken.words);
    assert_eq!(hub.blobs.read(up.hash).unwrap(), bytes);

    let me = village.node().to_string();
    let back = bundle::export(&above, stick.path(), Some(&me)).unwrap();
    assert_eq!(back.files, 0, "a village is not brought its own scan");
    assert_eq!(village.unsent(), 1);
    let _receipts = bundle::import(&below, &back.file).unwrap();
    assert_eq!(village.holders(up.hash), 1);
    assert_eq!(village.unsent(), 0);
    let next = bundle::export(&below, &stick.path().join("next.ctb"), Some("hub")).unwrap();
    assert_eq!(next.files, 0, "what arrived is not carried again");
    let again = bundle::import(&above, &sent.file).unwrap();
    assert_eq!(
        again.account.files, 0,
        "the same stick twice brings nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_without_room_takes_the_cases_of_a_stick_and_says_what_it_left() {
    let mut land = Land::new(82);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let tight = Limits {
        quota: 500,
        free: 0,
    };
    let hub = land.start_with_room(&hub, tight);
    let village = land.start(&village, false, &[]);
    let stick = tempfile::tempdir().unwrap();
    let case = village.log_case();
    let up = village.attach(case, Kind::Application, &scan(1_000, 2));
    let sent = bundle::export(&door(&land, &village), stick.path(), Some("hub")).unwrap();
    let taken = bundle::import(&door(&land, &hub), &sent.file).unwrap();
    assert_eq!((taken.account.files, taken.account.files_left), (0, 1));
    assert!(!hub.has_file(up.hash));
    until("the case is there", || hub.holds(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_a_file_below_does_not_make_it_safe() {
    let mut land = Land::new(83);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let (hub, village) = (
        land.start(&hub, true, &[]),
        land.start(&village, false, &[]),
    );
    let case = village.log_case();
    let up = village.attach(case, Kind::Application, &scan(1_000, 3));
    let blob = Blob {
        hash: up.hash,
        size: up.size,
    };
    let node = village.node();
    let told = village
        .store
        .write(move |db| db.blob_told(blob, node, super::land::NOW));
    told.unwrap();
    assert_eq!(village.unsent(), 1);
    let node = hub.node();
    let told = village
        .store
        .write(move |db| db.blob_told(blob, node, super::land::NOW));
    told.unwrap();
    assert_eq!(village.unsent(), 0);
}
