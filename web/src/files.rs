//! 附件: scans and photos of a case, as they come in with a form and go out to a browser.

use axum::{
    extract::{FromRequest, Multipart, Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use cuntong_protocol::{
    act::{ActBody, Attach, Detach, Media},
    blob,
    case::Event,
    command::Command,
    id::ActId,
    limits::{ATTACHMENT_BYTES_MAX, CASE_ATTACHMENTS_MAX},
    refusal::Refusal,
    time::Millis,
};

use crate::{
    App, case,
    desk::{Brought, CasePage, Desk, FileRow, FileWhere, Who},
    page::{Failure, Problem, done},
    visit::{Fields, Upload, Visit},
    words,
};

/// Bytes of one form with files: a long scan, or the photos of a day.
const UPLOAD_BYTES_MAX: u64 = ATTACHMENT_BYTES_MAX + 1024 * 1024;
/// Files of one form.
const UPLOADS_MAX: usize = 12;
/// Bytes of one value besides the files.
const VALUE_BYTES_MAX: usize = 32 * 1024;
/// Values of one form besides the files.
const VALUES_MAX: usize = 400;

/// One file of a case, for its page.
pub(crate) struct FileView {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) size: String,
    pub(crate) material: String,
    /// Where it lies; empty while it is not here.
    pub(crate) href: String,
    /// The address of its small picture.
    pub(crate) small: Option<String>,
    pub(crate) tone: &'static str,
    pub(crate) words: String,
    pub(crate) at: String,
    /// Where it is declared void; none where this desk did not attach it.
    pub(crate) void: Option<String>,
}

/// The files of a case, in the order they were attached.
pub(crate) fn views(found: &CasePage, who: &Who, now: Millis) -> Vec<FileView> {
    let base = format!("/cases/{}/files", found.row.id);
    let row = |event: &Event| found.files.iter().find(|row| row.act == event.id);
    let all = found.case.attachments();
    let view = all.map(|(event, attach)| {
        let row = row(event);
        let here = row.is_some_and(|row| row.here);
        let small = attach.thumbnail.is_some() && row.is_some_and(|row| row.small_here);
        let (tone, words) = place(row);
        let material = attach.material.and_then(|i| usize::try_from(i).ok());
        let material = material.and_then(|i| found.item.materials.get(i));
        FileView {
            name: attach.name.clone(),
            kind: kind(attach.media),
            size: words::bytes(attach.size),
            material: material.map(|m| m.name.clone()).unwrap_or_default(),
            href: if here {
                format!("{base}/{}", event.id)
            } else {
                String::new()
            },
            small: small.then(|| format!("{base}/{}/small", event.id)),
            tone,
            words,
            at: words::moment(event.at, now),
            void: (event.site == who.actor.site).then(|| format!("{base}/{}/void", event.id)),
        }
    });
    view.collect()
}

const fn kind(media: Media) -> &'static str {
    match media {
        Media::Jpeg | Media::Png => "图片",
        Media::Pdf => "PDF",
    }
}

fn place(row: Option<&FileRow>) -> (&'static str, String) {
    let Some(row) = row else {
        return ("warn", "待传".to_owned());
    };
    match (&row.above, row.here) {
        (FileWhere::County, _) => ("ok", "已到县里".to_owned()),
        (FileWhere::Township, _) => ("ok", "已到乡镇".to_owned()),
        (FileWhere::Nowhere, true) if row.own_level_is_top => ("ok", "本机已有".to_owned()),
        (FileWhere::Nowhere, true) => ("warn", "本机已有 · 待传".to_owned()),
        (FileWhere::Nowhere, false) => ("neutral", "还没有传到本机".to_owned()),
    }
}

/// `POST /cases/{id}/files`: each file of the form is one act.
pub(crate) async fn attach<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = case::find(&app, &visit, &id).await?;
    let who = visit.who()?;
    let problems = match take(&app, &visit, &found, who).await {
        Ok(()) => return Ok(done(&format!("/cases/{}", found.row.id), "attached")),
        Err(refusal) => Problem::of(&refusal),
    };
    case::failed(&app, &visit, &id, problems).await
}

async fn take<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    found: &CasePage,
    who: &Who,
) -> Result<(), Refusal> {
    let material = visit.form.get("material").parse::<u32>().ok();
    let known = |i: &u32| usize::try_from(*i).is_ok_and(|i| i < found.item.materials.len());
    let material = material.filter(known);
    if visit.files.is_empty() {
        return Err(Refusal::field("file", "请选择要添加的文件"));
    }
    let have = found.case.attachments().count();
    if have + visit.files.len() > CASE_ATTACHMENTS_MAX {
        return Err(Refusal::field("file", "一个办件最多 100 个附件"));
    }
    for file in &visit.files {
        let brought = app
            .desk
            .bring_file(who, file.name.clone(), file.bytes.clone())
            .await;
        let attach = Attach {
            material,
            ..named(brought, &file.name)?.attach
        };
        let body = ActBody::Attach(attach);
        let case = found.row.id;
        let _done = app.desk.perform(who, Command::Act { case, body }).await?;
    }
    Ok(())
}

/// Names in a form the files that came with it before.
pub(crate) const BROUGHT: &str = "brought";

/// Keeps the files of an intake form, so that a refused form loses none; what is wrong with them.
pub(crate) async fn bring<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    typed: &mut Fields,
) -> Result<Vec<Problem>, Failure> {
    let mut problems = Vec::new();
    for file in &visit.files {
        let brought = app
            .desk
            .bring_file(visit.who()?, file.name.clone(), file.bytes.clone());
        match named(brought.await, &file.name) {
            Ok(brought) => typed.0.push((BROUGHT.to_owned(), brought.token)),
            Err(refusal) => problems.extend(Problem::of(&refusal)),
        }
    }
    for problem in &mut problems {
        FILE.clone_into(&mut problem.field);
    }
    Ok(problems)
}

/// Id of the input for files.
const FILE: &str = "file";

/// The files a form brought, now or before.
pub(crate) async fn brought<D: Desk>(app: &App<D>, who: &Who, typed: &Fields) -> Vec<Brought> {
    let mut all: Vec<Brought> = Vec::new();
    for token in typed.all(BROUGHT).take(CASE_ATTACHMENTS_MAX) {
        let known = all.iter().any(|file| file.token == token);
        if let (false, Some(file)) = (known, app.desk.brought(who, token.to_owned()).await) {
            all.push(file);
        }
    }
    all
}

/// Of several files, the one that was refused is named.
fn named<T>(brought: Result<T, Refusal>, name: &str) -> Result<T, Refusal> {
    brought.map_err(|refusal| {
        if matches!(refusal, Refusal::WrongMedia) {
            let shown = blob::file_name(name, "文件");
            Refusal::field("file", format!("{shown}\u{ff1a}{refusal}"))
        } else {
            refusal
        }
    })
}

/// `POST /cases/{id}/files/{act}/void`: a file that was attached by mistake.
pub(crate) async fn void<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path((id, act)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let found = case::find(&app, &visit, &id).await?;
    let attach: ActId = act.parse().map_err(|_not_an_id| Failure::NotFound)?;
    let reason = visit.form.get("reason").to_owned();
    let body = ActBody::Detach(Detach { attach, reason });
    let case = found.row.id;
    match app
        .desk
        .perform(visit.who()?, Command::Act { case, body })
        .await
    {
        Ok(_done) => Ok(done(&format!("/cases/{case}"), "detached")),
        Err(refusal) => case::failed(&app, &visit, &id, Problem::of(&refusal)).await,
    }
}

/// `GET /cases/{id}/files/{act}`
pub(crate) async fn open<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path((id, act)): Path<(String, String)>,
) -> Result<Response, Failure> {
    send(&app, &visit, &id, &act, false).await
}

/// `GET /cases/{id}/files/{act}/small`
pub(crate) async fn small<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path((id, act)): Path<(String, String)>,
) -> Result<Response, Failure> {
    send(&app, &visit, &id, &act, true).await
}

async fn send<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    id: &str,
    act: &str,
    small: bool,
) -> Result<Response, Failure> {
    let found = case::find(app, visit, id).await?;
    let act: ActId = act.parse().map_err(|_not_an_id| Failure::NotFound)?;
    let (_, attach) = found
        .case
        .attachments()
        .find(|(event, _)| event.id == act)
        .ok_or(Failure::NotFound)?;
    let (hash, media) = if small {
        (attach.thumbnail.ok_or(Failure::NotFound)?.hash, Media::Jpeg)
    } else {
        (attach.hash, attach.media)
    };
    let bytes = app.desk.file(hash).await.ok_or(Failure::NotFound)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media.mime()));
    // Whoever made the file may have put anything into it: it is saved, never shown as a page.
    let disposition = if small {
        "inline".to_owned()
    } else {
        saved_as(&attach.name)
    };
    let disposition = HeaderValue::from_str(&disposition).map_err(|_never| Failure::Broken)?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    Ok(response)
}

/// A name for a browser: RFC 6266 with the extended form of RFC 5987.
fn saved_as(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    let ending = name.rsplit('.').next().unwrap_or("bin");
    let ending: String = ending
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(4)
        .collect();
    format!("attachment; filename=\"file.{ending}\"; filename*=UTF-8''{encoded}")
}

/// Whether a request is a form with files.
pub(crate) fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"))
}

/// Reads a form with files, within its limits.
pub(crate) async fn read(request: Request) -> Result<(Fields, Vec<Upload>), Failure> {
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|_not_a_form| Failure::NotAForm)?;
    let (mut fields, mut files) = (Vec::new(), Vec::new());
    let mut left = UPLOAD_BYTES_MAX;
    loop {
        let part = parts
            .next_field()
            .await
            .map_err(|_broken| Failure::NotAForm)?;
        let Some(mut part) = part else {
            return Ok((Fields(fields), files));
        };
        let field = part.name().unwrap_or_default().to_owned();
        let name = part.file_name().map(ToOwned::to_owned);
        let mut bytes = Vec::new();
        while let Some(more) = part.chunk().await.map_err(|_broken| Failure::NotAForm)? {
            left = left
                .checked_sub(more.len() as u64)
                .ok_or(Failure::FileTooLarge)?;
            bytes.extend_from_slice(&more);
        }
        match name {
            // A browser sends an input without a file as one of no name and no bytes.
            Some(name) if !bytes.is_empty() || !name.is_empty() => {
                if files.len() >= UPLOADS_MAX {
                    return Err(Failure::FileTooLarge);
                }
                files.push(Upload { name, bytes });
            }
            Some(_) => {}
            None => {
                let text = String::from_utf8(bytes).map_err(|_not_text| Failure::NotAForm)?;
                if text.len() > VALUE_BYTES_MAX || fields.len() >= VALUES_MAX {
                    return Err(Failure::TooLarge);
                }
                fields.push((field, text));
            }
        }
    }
}

#[cfg(test)]
mod tests;
