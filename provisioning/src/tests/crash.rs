use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use cuntong_protocol::control::signed::Signed;

use super::*;
use crate::{
    enrol::{Binding, BookError, TicketBook},
    folder::file_name,
    ticket::TicketId,
};

/// What is on the registrar's disk, and how many writes are left before the power fails.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    documents: BTreeMap<String, Vec<u8>>,
    bindings: BTreeMap<TicketId, Binding>,
    writes_left: Option<u32>,
}

impl Disk {
    fn write(&self, write: impl FnOnce(&mut DiskState)) -> Result<(), BookError> {
        let mut state = self.0.lock().unwrap();
        match &mut state.writes_left {
            Some(0) => return Err(BookError("power cut".into())),
            Some(left) => *left -= 1,
            None => {}
        }
        write(&mut state);
        Ok(())
    }

    fn fail_after(&self, writes: Option<u32>) {
        self.0.lock().unwrap().writes_left = writes;
    }

    fn reopen(&self, before: &County) -> County {
        let documents: Vec<Vec<u8>> = self.0.lock().unwrap().documents.values().cloned().collect();
        let documents = documents.iter().map(Vec::as_slice);
        let trust = Trust::load(before.id(), documents).unwrap();
        let keys = before.keys().clone();
        County::open(trust, keys, HashCost::SAMPLE, Box::new(self.clone())).unwrap()
    }
}

impl TicketBook for Disk {
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError> {
        Ok(self.0.lock().unwrap().bindings.get(ticket).cloned())
    }

    fn keep(&mut self, binding: Binding) -> Result<(), BookError> {
        self.write(|disk| {
            disk.bindings.insert(binding.ticket, binding);
        })
    }

    fn waiting(&self) -> Result<usize, BookError> {
        Ok(0)
    }
}

impl Keeper for Disk {
    fn keep_document(&mut self, document: &Signed, bytes: &[u8]) -> Result<(), BookError> {
        self.write(|disk| {
            disk.documents
                .insert(file_name(&document.content), bytes.to_vec());
        })
    }
}

/// The power fails at each write of an enrolment.
#[test]
fn an_enrolment_cut_at_any_write_is_completed_by_asking_again() {
    for writes in 0..3 {
        let disk = Disk::default();
        let mut s = sample_with(7, Box::new(disk.clone()));
        let joining = s.machine(SHIQIAO);
        disk.fail_after(Some(writes));
        let cut = s
            .county
            .grant(joining.request(), false, &mut s.entropy, NOW);
        assert_eq!(cut.is_err(), writes < 2, "{writes}");
        disk.fail_after(None);

        s.county = disk.reopen(&s.county);
        let joined = joining.finish(&s.grant(&joining)).unwrap();
        assert_eq!((joined.node, joined.slot), (joining.node(), 1));
        assert_eq!(s.trust().roster().nodes.len(), 1, "{writes}");
    }
}

#[test]
fn a_person_entered_when_the_power_failed_can_be_entered_again() {
    for writes in 0..2 {
        let disk = Disk::default();
        let mut s = sample_with(7, Box::new(disk.clone()));
        let person = crate::county::NewPerson {
            site: SHIQIAO,
            name: "李明".into(),
            login: "liming".into(),
            roles: vec![cuntong_protocol::role::Role::Agent],
            password: "青山绿水八个字呀".into(),
            until: None,
        };
        disk.fail_after(Some(writes));
        assert!(
            s.county
                .add_person(person.clone(), &mut s.entropy, NOW)
                .is_err()
        );
        disk.fail_after(None);
        s.county = disk.reopen(&s.county);
        s.county.add_person(person, &mut s.entropy, NOW).unwrap();
        assert_eq!(s.trust().directory().people.len(), 1);
        assert_eq!(s.trust().credentials(SHIQIAO).unwrap().logins.len(), 1);
    }
}
