use std::{fs, os::unix::fs::symlink, sync::Mutex};

use cuntong_protocol::limits::INBOX_FILE_BYTES_MAX;

use super::*;

/// Takes whatever begins with `good`, and remembers it.
#[derive(Default)]
struct Taker(Mutex<Vec<Vec<u8>>>);

impl Intake for Taker {
    fn rank(&self, content: &[u8]) -> u8 {
        u8::from(content.ends_with(b"late"))
    }
    fn take(&self, content: Vec<u8>) -> Result<String, String> {
        if !content.starts_with(b"good") {
            return Err("认不出这个文件".to_owned());
        }
        self.0.lock().unwrap().push(content);
        Ok("好".to_owned())
    }
}

struct Place {
    dir: PathBuf,
    inbox: Inbox,
    taker: Taker,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("cuntong-inbox-{}-{name}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let inbox = Inbox::open(&dir).unwrap();
        Self {
            dir,
            inbox,
            taker: Taker::default(),
        }
    }
    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.at(name), content).unwrap();
    }
    fn at(&self, name: &str) -> PathBuf {
        self.dir.join("inbox").join(name)
    }
    /// Two looks, as when nothing changes in between.
    fn settle(&mut self) -> Vec<Outcome> {
        let mut all = self.inbox.scan(&self.taker, "1").unwrap().0;
        all.extend(self.inbox.scan(&self.taker, "2").unwrap().0);
        all
    }
    fn taken(&self) -> Vec<Vec<u8>> {
        self.taker.0.lock().unwrap().clone()
    }
    fn reason(&self, name: &str) -> String {
        fs::read_to_string(self.at(&format!("refused/{name}.reason.txt"))).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_file_at_rest_is_taken_once_and_put_away() {
    let mut place = Place::new("once");
    place.put("a.ct", b"good a");
    assert_eq!(place.settle().len(), 1);
    assert_eq!(place.taken(), [b"good a"]);
    assert!(place.at("done/2-a.ct").exists());
    assert!(place.settle().is_empty());
}

#[test]
fn a_file_still_being_written_waits() {
    let mut place = Place::new("growing");
    place.put("a.ct", b"go");
    assert_eq!(place.inbox.scan(&place.taker, "1").unwrap(), (vec![], true));
    place.put("a.ct", b"good now");
    assert_eq!(place.inbox.scan(&place.taker, "2").unwrap(), (vec![], true));
    assert_eq!(place.inbox.scan(&place.taker, "3").unwrap().0.len(), 1);
    assert_eq!(place.taken(), [b"good now"]);
}

#[test]
fn half_a_file_that_stopped_growing_is_refused_with_its_reason() {
    let mut place = Place::new("half");
    place.put("a.ct", b"goo");
    let outcomes = place.settle();
    assert_eq!(outcomes[0].result, Err("认不出这个文件".to_owned()));
    assert_eq!(place.reason("2-a.ct"), "认不出这个文件\n");
    assert!(!place.at("a.ct").exists());
}

#[test]
fn a_symbolic_link_is_refused_and_its_target_is_not_touched() {
    let mut place = Place::new("symlink");
    let secret = place.dir.join("secret");
    fs::write(&secret, b"good secret").unwrap();
    symlink(&secret, place.at("a.ct")).unwrap();
    let outcomes = place.settle();
    assert_eq!(outcomes[0].result, Err(Unfit::NotPlain.to_string()));
    assert!(place.taken().is_empty());
    assert_eq!(fs::read(&secret).unwrap(), b"good secret");
}

#[test]
fn a_second_name_of_a_file_is_refused() {
    let mut place = Place::new("hardlink");
    fs::write(place.dir.join("secret"), b"good secret").unwrap();
    fs::hard_link(place.dir.join("secret"), place.at("a.ct")).unwrap();
    assert_eq!(place.settle()[0].result, Err(Unfit::Linked.to_string()));
    assert!(place.taken().is_empty());
}

#[test]
fn a_pipe_does_not_make_the_node_wait() {
    let mut place = Place::new("pipe");
    let pipe = place.at("a.ct");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
    assert_eq!(place.settle()[0].result, Err(Unfit::NotPlain.to_string()));
}

#[test]
fn a_directory_is_refused() {
    let mut place = Place::new("directory");
    fs::create_dir(place.at("a.ct")).unwrap();
    assert_eq!(place.settle()[0].result, Err(Unfit::NotPlain.to_string()));
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let mut place = Place::new("big");
    let file = fs::File::create(place.at("a.ct")).unwrap();
    file.set_len(INBOX_FILE_BYTES_MAX + 1).unwrap();
    assert_eq!(place.settle()[0].result, Err(Unfit::TooBig.to_string()));
}

#[test]
fn files_that_arrive_together_are_taken_in_the_order_they_need() {
    let mut place = Place::new("order");
    place.put("a.ct", b"good late");
    place.put("b.ct", b"good early");
    let _both = place.settle();
    assert_eq!(
        place.taken(),
        [b"good early".to_vec(), b"good late".to_vec()]
    );
}

#[test]
fn an_inbox_that_is_a_link_is_not_opened() {
    let place = Place::new("linked-inbox");
    let other = place.dir.join("other");
    fs::create_dir(&other).unwrap();
    symlink(place.dir.join("inbox"), other.join("inbox")).unwrap();
    assert!(Inbox::open(&other).is_err());
}

#[test]
fn hidden_and_unfinished_names_are_left_alone() {
    let mut place = Place::new("hidden");
    place.put(".a.swp", b"good");
    place.put("a.part", b"good");
    assert!(place.settle().is_empty());
    assert!(place.at("a.part").exists());
}
