use super::*;
use crate::{
    enrol::{JoinError, Refusal, RequestError, TicketBook, desk},
    ticket::{TEXT_BYTES_MAX, TicketError, qr},
};

#[test]
fn a_ticket_fits_on_paper_with_three_hubs_and_replacing_a_machine() {
    let mut s = sample();
    let hubs: Vec<String> = ["10.200.100.10:7443", "[2001:db8::17]:7443", "hub.test:443"]
        .map(str::to_owned)
        .into();
    let old = s.machine(SHIQIAO).node();
    let purpose = Purpose::Replace(old);
    let ticket = s
        .county
        .ticket(SHIQIAO, purpose, &hubs, 30, &mut s.entropy, NOW)
        .unwrap();
    assert!(
        ticket.text().len() <= TEXT_BYTES_MAX,
        "{}",
        ticket.text().len()
    );
    let read = Ticket::read(&ticket.text()).unwrap();
    assert_eq!(read, ticket);
    assert_eq!(
        (&read.claims().hubs, read.claims().purpose),
        (&hubs, purpose)
    );
}

#[test]
fn a_ticket_reads_back_however_it_was_copied() {
    let ticket = sample().ticket(SHIQIAO);
    let text = ticket.text().to_lowercase();
    let mut copied = String::from(" ");
    for (n, c) in text.chars().enumerate() {
        copied.push(match c {
            '0' if n % 2 == 0 => 'o',
            '1' if n > 3 => 'l',
            other => other,
        });
        if n % 8 == 7 {
            copied.push_str(if n % 16 == 7 { "-" } else { " \r\n" });
        }
    }
    assert_eq!(Ticket::read(&copied), Ok(ticket));
}

#[test]
fn a_ticket_with_a_wrong_or_missing_character_is_noticed_before_anything_is_sent() {
    let text = sample().ticket(SHIQIAO).text();
    for at in 3..text.len() {
        let mut wrong = text.clone().into_bytes();
        wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(Ticket::read(&wrong), Err(TicketError::Damaged), "{at}");
    }
    for end in 3..text.len() {
        assert!(Ticket::read(&text[..end]).is_err());
    }
    assert_eq!(Ticket::read("CT2ABC"), Err(TicketError::Newer));
    assert_eq!(Ticket::read("村通"), Err(TicketError::NotATicket));
    assert_eq!(
        Ticket::read(&"CT1".repeat(1000)),
        Err(TicketError::NotATicket)
    );
}

#[test]
fn a_ticket_is_a_qr_code_on_paper_and_in_a_terminal() {
    let ticket = sample().ticket(SHIQIAO);
    assert!(qr::svg(&ticket).unwrap().starts_with("<svg"));
    assert!(qr::terminal(&ticket).unwrap().lines().count() > 20);
}

#[test]
fn a_ticket_names_no_secret_when_printed_by_accident() {
    let ticket = sample().ticket(SHIQIAO);
    let shown = format!("{ticket:?}");
    assert_eq!(shown, format!("Ticket({})", ticket.id()));
}

#[test]
fn terms_that_make_no_sense_make_no_ticket() {
    let mut s = sample();
    let mut ticket = |site, hubs: &[&str], days| {
        let hubs: Vec<String> = hubs.iter().map(|h| (*h).to_owned()).collect();
        s.county
            .ticket(site, Purpose::New, &hubs, days, &mut s.entropy, NOW)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert!(ticket(SHIQIAO, &["hub.test:443"], 1).is_ok());
    assert!(ticket(SiteId(99), &[], 1).is_err());
    assert!(ticket(SHIQIAO, &[], 0).is_err());
    assert!(ticket(SHIQIAO, &[], 181).is_err());
    for bad in [
        "hub.test",
        "hub.test:0",
        ":443",
        "hub test:443",
        "hub.test:65536",
        "县:443",
    ] {
        assert!(ticket(SHIQIAO, &[bad], 1).is_err(), "{bad}");
    }
    assert!(ticket(SHIQIAO, &["a:1", "b:1", "c:1", "d:1"], 1).is_err());
    let long = format!("{}:443", "x".repeat(58));
    assert!(ticket(SHIQIAO, &[&long, &long, &long], 1).is_err());
}

/// A ticket whose site was widened.
#[test]
fn an_altered_ticket_is_refused_by_hub_and_machine_alike() {
    let mut s = sample();
    let honest = s.ticket(SHIQIAO);
    // The strongest forger: reads the ticket, knows its secret, writes another site into it.
    let forged = forge(&honest, HUB, Level::County);
    let joining = Joining::begin(forged, &mut s.entropy, NOW).unwrap();
    let mut book = Memory::default();
    let outcome = desk::receive(joining.request(), s.trust(), &mut book, NOW);
    let altered = Refusal::Request(RequestError::NotSigned);
    assert_eq!(outcome, desk::Outcome::Refused(altered));
    assert!(book.binding(&joining.ticket().id()).unwrap().is_none());
    let documents = s.county.controls_for(HUB);
    let provisional = joining.provisional(documents.iter().map(Vec::as_slice));
    assert_eq!(provisional.unwrap_err(), JoinError::NotSigned);
}

/// A ticket with the same secret and signature but another place.
fn forge(honest: &Ticket, site: SiteId, level: Level) -> Ticket {
    let mut forged = honest.clone();
    forged.set_place_for_test(site, level);
    forged
}
