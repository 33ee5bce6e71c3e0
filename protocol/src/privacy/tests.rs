use proptest::prelude::*;

use super::*;

fn kinds(text: &str) -> Vec<FindingKind> {
    scan(text).into_iter().map(|f| f.kind).collect()
}

use FindingKind::{BankCard, CitizenId as Id, Mobile};

#[test]
fn an_id_is_found_however_it_is_written() {
    for text in [
        "申请人张三,身份证号34990119410305001X,特此公示。",
        "349901 19410305 001x",
        "349901-19410305-001X",
        "３４９９０１１９４１０３０５００１Ｘ",
        "3 4 9 9 0 1 1 9 4 1 0 3 0 5 0 0 1 X",
        "349901194103\n05001X",
        "34990119410305\u{200b}001×",
        "编号12349901194103050011X349901197608221121",
        "𝟑𝟒𝟗𝟗𝟎𝟏𝟏𝟗𝟕𝟔𝟎𝟖𝟐𝟐𝟏𝟏𝟐𝟏",
        "|349901197608221121|",
        "ID349901197608221121abc",
        "349901500101001",
        "349901 500101 001",
    ] {
        assert_eq!(kinds(text), [Id], "{text}");
    }
}

#[test]
fn a_finding_names_its_place_without_showing_the_number() {
    let text = "联系人13812345678,身份证34990119410305001X";
    let found = scan(text);
    assert_eq!(found.len(), 2);
    assert_eq!(&text[found[0].at.clone()], "13812345678");
    assert_eq!(&text[found[1].at.clone()], "34990119410305001X");
    assert_eq!(found[0].zh(), "手机号 138****5678");
    assert_eq!(found[1].zh(), "身份证号 349***********001X");
}

#[test]
fn mobiles_are_found_however_they_are_written() {
    for text in [
        "电话13812345678",
        "138-1234-5678",
        "138 1234 5678",
        "+86 138 1234 5678",
        "8613812345678",
        "+86-13812345678",
        "１３８１２３４５６７８",
        "(13812345678)",
    ] {
        assert_eq!(kinds(text), [Mobile], "{text}");
    }
}

#[test]
fn bank_cards_are_found_by_their_check() {
    for text in [
        "账号6222020200001234562",
        "6222 0202 0000 1234 562",
        "4111111111111111",
    ] {
        assert_eq!(kinds(text), [BankCard], "{text}");
    }
    assert_eq!(scan("6222020200001234562")[0].masked, "***************4562");
    assert!(kinds("6222020200001234563").is_empty(), "a wrong check");
}

#[test]
fn what_a_notice_may_say_is_let_through() {
    for text in [
        "公示期 2026-03-02 至 2026-03-09,共 7 天。",
        "监督电话:0556-4161234",
        "补助金额:1200 3500 4800 2600 元",
        "统一社会信用代码 11349901009990012Q",
        "索引号 11341426003240448H/202503-00037",
        "事项编码 990010001000,区划代码 349901101203",
        "低保户 12 户,金额 1 234 567.89 元",
        "身份证号 349***********001X,手机 138****5678",
        "349901193802290018",
        "",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn a_case_number_is_not_taken_for_an_id() {
    // One of eleven such numbers has a right check in the middle by chance.
    for serial in 0..10_000 {
        let number = format!("349901110203{}01{serial:04}", "20260302");
        assert_eq!(kinds(&format!("办件 {number} 已办结")), [], "{number}");
    }
}

#[test]
fn an_id_in_the_place_of_a_case_number_s_date_is_still_found() {
    let born_before_any_case = "349901200106100068";
    assert_eq!(kinds(&format!("000000{born_before_any_case}00")), [Id]);
    assert_eq!(kinds(&format!("349901{born_before_any_case}00")), [Id]);
}

#[test]
fn masks_show_no_more_than_they_say() {
    assert_eq!(mask_id("340123194103051234"), "340***********1234");
    assert_eq!(mask_id("12345"), "*****");
    assert_eq!(mask_phone("13812345678"), "138****5678");
    assert_eq!(mask_phone("0556-4161234"), "0556-***1234");
    assert_eq!(mask_phone("110"), "***");
    assert_eq!(mask_account("6222020200001234562"), "***************4562");
    assert_eq!(mask_name("张三"), "张*");
    assert_eq!(mask_name("买买提·吐尔逊"), "买*");
    assert_eq!(mask_name("𬭎某"), "𬭎*");
    assert_eq!(mask_name("张"), "*");
    assert_eq!(mask_name(""), "");
}

/// A well-formed id of a region that does not exist, of somebody born from 1915 to 2021.
fn planted() -> impl Strategy<Value = String> {
    (0..39_000_i32, 0..1_000_u32).prop_map(|(born, sequence)| {
        let birth = jiff::civil::date(1915, 1, 1) + jiff::Span::new().days(born);
        let head = format!(
            "349901{:04}{:02}{:02}{sequence:03}",
            birth.year(),
            birth.month(),
            birth.day()
        );
        "0123456789X"
            .chars()
            .map(|c| format!("{head}{c}"))
            .find(|id| CitizenId::stored(id).is_ok())
            .unwrap()
    })
}

/// One digit as somebody may write it, and what may stand behind it.
fn written() -> impl Strategy<Value = (bool, &'static str)> {
    let gap = prop::sample::select(vec![
        "", "", "", " ", "-", "\u{3000}", ".", "\u{200b}", " - ",
    ]);
    (any::<bool>(), gap)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_planted_id_is_found_in_any_text(
        id in planted(),
        before in ".{0,40}",
        after in ".{0,40}",
        ways in prop::collection::vec(written(), 18),
    ) {
        let mut text = before.clone();
        for (at, (c, (wide, gap))) in id.chars().zip(ways).enumerate() {
            let full = char::from_u32(u32::from(c) + 0xfee0).unwrap();
            text.push(if wide { full } else { c });
            text.push_str(if at < 17 { gap } else { "" });
        }
        let range = before.len()..text.len();
        text.push_str(&after);
        let hit = |f: &Finding| f.kind == Id && f.at.start < range.end && range.start < f.at.end;
        prop_assert!(scan(&text).iter().any(hit), "{text:?}");
    }

    #[test]
    fn a_planted_id_is_found_among_other_digits(
        id in planted(),
        before in "[0-9 ]{0,12}",
        after in "[0-9 ]{0,12}",
    ) {
        let text = format!("{before}{id}{after}");
        prop_assert!(kinds(&text).contains(&Id), "{text}");
    }

    #[test]
    fn findings_lie_in_the_text_in_order_and_apart(text in "[0-9xX １３８６２ -]{0,120}") {
        let found = scan(&text);
        for f in &found {
            prop_assert!(text.get(f.at.clone()).is_some());
            prop_assert!(f.masked.contains('*'));
        }
        prop_assert!(found.windows(2).all(|w| w[0].at.end <= w[1].at.start));
    }
}
