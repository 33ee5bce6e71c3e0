//! Files of a case in a browser: in with a form, out as a download, never as a page.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other value fails the test"
)]

use axum::{body::Body, http::Method};
use cuntong_protocol::{act::ActBody, command::Command, refusal::Refusal, role::Role};

use super::*;
use crate::testing::{Browser, CaseKind, FakeDesk, Page};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a photo";

/// A form with files as a browser sends it.
async fn upload(
    browser: &Browser,
    path: &str,
    fields: &[(&str, &str)],
    files: &[(&str, &[u8])],
) -> Page {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    for (name, bytes) in files {
        let head = format!(
            "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: text/html\r\n\r\n"
        );
        body.extend(head.bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--XX--\r\n");
    let request = browser
        .request(Method::POST, path)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=XX")
        .body(Body::from(body));
    browser.send(request.unwrap()).await
}

fn address(browser: &Browser, kind: CaseKind) -> String {
    format!("/cases/{}/files", browser.desk.find(kind))
}

#[tokio::test]
async fn a_photo_that_is_added_becomes_an_act_under_a_name_of_ours() {
    let browser = Browser::agent(FakeDesk::village());
    let path = address(&browser, CaseKind::Received);
    let page = upload(
        &browser,
        &path,
        &[("material", "1")],
        &[("C:\\照片\\户口.PNG", JPEG)],
    )
    .await;
    assert_eq!(page.status, 303, "{}", page.body);
    assert!(page.location().ends_with("?done=attached"));
    let Some(Command::Act {
        body: ActBody::Attach(attach),
        ..
    }) = browser.desk.command()
    else {
        panic!("not an attachment");
    };
    assert_eq!(attach.name, "户口.jpg");
    assert_eq!(attach.material, Some(1));
    assert_eq!(attach.size, JPEG.len() as u64);
}

#[tokio::test]
async fn what_is_no_picture_is_refused_by_name_and_nothing_is_written() {
    let browser = Browser::agent(FakeDesk::village());
    let path = address(&browser, CaseKind::Received);
    let page = upload(&browser, &path, &[], &[("证明.jpg", b"<html><script>")]).await;
    assert_eq!(page.status, 422);
    page.has("证明").has("只能添加 JPEG、PNG 图片和 PDF 文件");
    assert!(browser.desk.command().is_none());
    let page = upload(&browser, &path, &[], &[]).await;
    page.has("请选择要添加的文件");
    let full = Browser::agent(FakeDesk::village().refusing(Refusal::DiskFull));
    let page = upload(&full, &path, &[], &[("a.jpg", JPEG)]).await;
    assert_eq!(page.status, 422);
    page.has("磁盘");
}

#[tokio::test]
async fn a_form_that_is_too_large_is_told_so_and_a_strangers_is_not_read() {
    let browser = Browser::agent(FakeDesk::village());
    let path = address(&browser, CaseKind::Received);
    let long = vec![0xff; UPLOAD_BYTES_MAX as usize + 1];
    let page = upload(&browser, &path, &[], &[("a.jpg", &long)]).await;
    assert_eq!(page.status, 413);
    page.has("文件太大").has("32 MB");
    let many: Vec<_> = (0..=UPLOADS_MAX).map(|_| ("a.jpg", JPEG)).collect();
    assert_eq!(upload(&browser, &path, &[], &many).await.status, 413);
    let nobody = Browser::nobody(FakeDesk::village());
    let page = upload(&nobody, &path, &[], &[("a.jpg", JPEG)]).await;
    assert_ne!(page.status, 303, "{}", page.body);
    let publisher = Browser::with(FakeDesk::village(), &[Role::Publisher]);
    let page = upload(&publisher, &path, &[], &[("a.jpg", JPEG)]).await;
    assert_eq!(page.status, 403);
}

#[tokio::test]
async fn a_file_goes_out_as_a_download_to_those_who_read_the_case_and_to_nobodys_cache() {
    let desk = FakeDesk::village().with_file(CaseKind::Received, "身份证 1.jpg", JPEG);
    let act = desk.file_act();
    let browser = Browser::agent(desk);
    let path = address(&browser, CaseKind::Received);
    let page = browser
        .get(&format!("/cases/{}", browser.desk.find(CaseKind::Received)))
        .await;
    page.has("身份证 1.jpg")
        .has("本机已有 · 待传")
        .has(&format!("{path}/{act}"));
    let file = browser.get(&format!("{path}/{act}")).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), "image/jpeg");
    assert_eq!(
        file.header("content-disposition"),
        "attachment; filename=\"file.jpg\"; \
         filename*=UTF-8''%E8%BA%AB%E4%BB%BD%E8%AF%81%201.jpg"
    );
    assert_eq!(file.header("cache-control"), "private, no-store");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert!(
        file.header("content-security-policy")
            .contains("default-src 'self'")
    );
    let missing = browser.get(&format!("{path}/{act}/small")).await;
    assert_eq!(missing.status, 404, "it has no small picture");
    let other = address(&browser, CaseKind::Decided);
    assert_eq!(browser.get(&format!("{other}/{act}")).await.status, 404);
    let publisher = Browser::with(FakeDesk::village(), &[Role::Publisher]);
    assert_eq!(publisher.get(&format!("{path}/{act}")).await.status, 403);
}

#[tokio::test]
async fn a_refused_intake_keeps_its_files_and_the_next_one_takes_them_along() {
    let browser = Browser::agent(FakeDesk::village());
    let files: [(&str, &[u8]); 2] = [("一.jpg", JPEG), ("二.exe", b"MZ")];
    let page = upload(
        &browser,
        "/intake",
        &[("step", "receive"), ("name", "张三")],
        &files,
    )
    .await;
    assert_eq!(page.status, 422);
    page.has("一.jpg（已收下）").has("二").has("只能添加 JPEG");
    page.has("value=\"张三\"");
    let (_, rest) = page.body.split_once("name=\"brought\" value=\"").unwrap();
    let (token, _) = rest.split_once('"').unwrap();
    let fields = [
        ("step", "draft"),
        ("name", "张三"),
        ("item", "990010001000"),
        ("brought", token),
        ("brought", "not-a-token"),
    ];
    let page = browser.post("/intake", &fields).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let Some(Command::Log(log)) = browser.desk.command() else {
        panic!("not an intake");
    };
    assert_eq!(log.attachments.len(), 1);
    assert_eq!(log.attachments[0].name, "一.jpg");
}
