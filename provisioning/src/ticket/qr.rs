//! A ticket as a QR code: on paper (SVG) and in a terminal.

use fast_qr::{
    ECL, QRBuilder, QRCode,
    convert::{Builder, Shape, svg::SvgBuilder},
};

use super::{Ticket, TicketError};

/// As an SVG image, black on white with the quiet zone scanners need.
pub fn svg(ticket: &Ticket) -> Result<String, TicketError> {
    Ok(SvgBuilder::default()
        .margin(4)
        .shape(Shape::Square)
        .to_str(&code(ticket)?))
}

/// As lines of block characters, two modules a character, light on a dark terminal.
pub fn terminal(ticket: &Ticket) -> Result<String, TicketError> {
    Ok(code(ticket)?.to_str())
}

fn code(ticket: &Ticket) -> Result<QRCode, TicketError> {
    // Level M survives a folded or stained sheet.
    QRBuilder::new(ticket.text())
        .ecl(ECL::M)
        .build()
        .map_err(|_too_long| TicketError::TooLong)
}
