use super::*;

fn layer(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, ConfigError> {
    Loaded::layer(
        Path::new("node.toml"),
        file,
        environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        &flags.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(),
    )
}

fn origin(loaded: &Loaded, key: &str) -> String {
    loaded
        .lines()
        .into_iter()
        .find(|l| l.key == key)
        .unwrap()
        .origin
}

#[test]
fn a_later_layer_wins_and_each_value_says_where_it_comes_from() {
    let file = "[link]\nlisten = \"127.0.0.1:1\"\nretry_first_ms = 50\nretry_max_ms = 60\n";
    let environment = [
        ("CUNTONG_LINK__RETRY_FIRST_MS", "70"),
        ("CUNTONG_LINK__RETRY_MAX_MS", "80"),
    ];
    let loaded = layer(file, &environment, &["link.retry_max_ms=90"]).unwrap();
    let link = &loaded.config.link;
    assert_eq!(link.listen.unwrap().port(), 1);
    assert_eq!(link.retry_first, Duration::from_millis(70));
    assert_eq!(link.retry_max, Duration::from_millis(90));
    assert_eq!(origin(&loaded, "web.listen"), "default");
    assert_eq!(origin(&loaded, "link.listen"), "node.toml:2");
    assert_eq!(
        origin(&loaded, "link.retry_first_ms"),
        "$CUNTONG_LINK__RETRY_FIRST_MS"
    );
    assert_eq!(
        origin(&loaded, "link.retry_max_ms"),
        "--set link.retry_max_ms=90"
    );
}

#[test]
fn a_key_nobody_knows_is_an_error_with_its_line() {
    let error = layer("# first\n[web]\n\nlistn = \"127.0.0.1:1\"\n", &[], &[]).unwrap_err();
    assert!(error.to_string().starts_with("node.toml:4: "), "{error}");
    assert!(error.to_string().contains("web.listn"), "{error}");
    let error = layer("colour = 1\n", &[], &[]).unwrap_err();
    assert!(error.to_string().starts_with("node.toml:1: "), "{error}");
    let error = layer("", &[("CUNTONG_LINK__COLOUR", "red")], &[]).unwrap_err();
    assert!(
        error.to_string().contains("$CUNTONG_LINK__COLOUR"),
        "{error}"
    );
    let error = layer("", &[], &["link.colour=red"]).unwrap_err();
    assert!(
        error.to_string().contains("--set link.colour=red"),
        "{error}"
    );
}

#[test]
fn a_value_that_cannot_be_is_an_error_with_its_line() {
    let error = layer("[link]\n\nidle_ms = 3\n", &[], &[]).unwrap_err();
    assert!(
        error.to_string().starts_with("node.toml:3: link.idle_ms"),
        "{error}"
    );
    let error = layer("[link]\nidle_ms = = 3\n", &[], &[]).unwrap_err();
    assert!(error.to_string().starts_with("node.toml:2: "), "{error}");
}

#[test]
fn lists_are_the_same_in_a_file_and_in_the_environment() {
    let file = layer("[link]\nupstream = [\"a:1\", \"b:2\"]\n", &[], &[]).unwrap();
    let environment = layer("", &[("CUNTONG_LINK__UPSTREAM", "a:1, b:2")], &[]).unwrap();
    assert_eq!(file.config, environment.config);
    assert_eq!(file.config.link.upstream, ["a:1", "b:2"]);
}

#[test]
fn other_variables_of_the_environment_are_not_settings() {
    assert!(layer("", &[("CUNTONG_DIR", "/x"), ("PATH", "/bin")], &[]).is_ok());
}

#[test]
fn what_is_shown_can_be_set_again() {
    let loaded = layer("[web]\nhosts = [\"a\", \"b\"]\n", &[], &[]).unwrap();
    let flags: Vec<_> = loaded
        .lines()
        .iter()
        .map(|l| format!("{}={}", l.key, l.value))
        .collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    assert_eq!(layer("", &[], &flags).unwrap().config, loaded.config);
}
